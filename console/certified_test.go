package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What the authority does is told at the control socket, and stands in the
// ledger with whoever told it.
func TestControlRecordsCertificates(t *testing.T) {
	h := newHouse(t)
	do := h.controlled("root")
	const serial = "5f3a0c66d1e84b7792ab34cd56ef7801"
	told := func(action, endpoint, serial, more string) string {
		return fmt.Sprintf(`{"action":%q,"endpoint":%q,"serial":%q,"until":"2014-09-23T00:00:00Z"%s}`, action, endpoint, serial, more)
	}
	at := h.ledger.Last()
	status, body := do("POST", "/api/certificates", "application/json", told("login", "pc-0417", serial, `,"principal":"sato"`))
	if status != http.StatusOK || !strings.Contains(body, `"entry": `) {
		t.Errorf("got %d %s", status, body)
	}
	if got, want := h.since(at), "Certified login of pc-0417 for sato by root"; !strings.Contains(got, want) {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}
	at = h.ledger.Last()
	for what, bad := range map[string]string{
		"an action that is none":   told("forged", "pc-0417", serial, ""),
		"a serial number in words": told("issued", "pc-0417", "one", ""),
		"a name that lies":         told("issued", "unverified@10.0.0.1", serial, ""),
		"a login of nobody":        told("login", "pc-0417", serial, ""),
		"a person of a revocation": told("revoked", "pc-0417", serial, `,"principal":"sato"`),
		"a key that nobody knows":  told("issued", "pc-0417", serial, `,"key":"secret"`),
		"no JSON":                  "issued pc-0417",
	} {
		if status, _ := do("POST", "/api/certificates", "application/json", bad); status != http.StatusBadRequest {
			t.Errorf("%s got %d", what, status)
		}
	}
	if got := h.since(at); strings.Contains(got, "Certified") {
		t.Errorf("the ledger says\n%s", got)
	}
}
