package console

import (
	"net/http"

	"sekisho/catalog"
	"sekisho/duty"
	"sekisho/vault"
)

// HandlingDocument is the name of the document whose version in force says how
// information is handled. Its sort is the same.
const HandlingDocument = "handling"

// TextOf is a version's text in a language; "" if it has none, or if it is not
// the one whose SHA-256 the ledger has.
func TextOf(v *vault.Vault, one *duty.Version, lang string) string { return textOf(v, one, lang) }

// checkHandlingText: what is approved as handling rules must be rules, the same in
// both languages.
func checkHandlingText(a *DocumentAsk) error {
	if a.Sort != HandlingDocument && a.Name != HandlingDocument {
		return nil
	}
	if a.Sort != a.Name {
		return fail(http.StatusBadRequest, "handling_name")
	}
	en, err := catalog.HandlingOf(a.English)
	if err != nil {
		return fail(http.StatusBadRequest, "handling_text", "en", err.Error())
	}
	ja, err := catalog.HandlingOf(a.Japanese)
	if err != nil {
		return fail(http.StatusBadRequest, "handling_text", "ja", err.Error())
	}
	if en.SHA256 != ja.SHA256 {
		return fail(http.StatusBadRequest, "handling_differ")
	}
	return nil
}
