package tell

import (
	"cmp"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Called is what people read for a name of the catalog.
type Called struct {
	Ja string `yaml:"ja"`
	En string `yaml:"en"`
}

// In gives it in a language; empty, where it has none.
func (c Called) In(lang string) string {
	if lang == "ja" {
		return c.Ja
	}
	return c.En
}

// called are names that catalogs often have.
var called = map[string]Called{
	"member": {"会員", "members"}, "customer": {"お客様", "customers"}, "guest": {"ゲスト（非会員）", "guests"}, "passenger": {"搭乗者", "passengers"},
	"employee": {"従業員", "employees"}, "applicant": {"採用応募者", "applicants"}, "traveller": {"旅行者", "travellers"}, "companion": {"同行者", "companions"},
	"passport_until": {"旅券", "passports"}, "passport_expiry": {"旅券", "passports"}, "passport": {"旅券", "passports"},
	"visa_until": {"査証", "visas"}, "card_until": {"カード", "cards"}, "licence_until": {"運転免許証", "driving licences"},
	"partner": {"提携先", "partner of origin"}, "residence": {"居住国", "country of residence"},
}

// Called says what a subject, a label or a date of the catalog is called in a
// language: as the config says, or as the house knows it, or else by its name in
// plain letters.
func (c *Config) Called(name, lang string) string {
	plain := strings.ReplaceAll(strings.TrimSuffix(name, "_until"), "_", " ")
	return cmp.Or(c.Names[name].In(lang), called[name].In(lang), plain)
}

// Country is what a place that is an ISO 3166 code is called; anything else is
// called what it is. Of a part of a country the code of the part stays.
func Country(place, lang string) string {
	code, part, _ := strings.Cut(place, "-")
	if len(code) != 2 || code != strings.ToUpper(code) {
		return place
	}
	r, err := language.ParseRegion(code)
	if err != nil || !r.IsCountry() {
		return place
	}
	names := display.English.Regions()
	if lang == "ja" {
		names = display.Japanese.Regions()
	}
	name := names.Name(r)
	switch {
	case name == "":
		return place
	case part == "":
		return name
	case lang == "ja":
		return name + "（" + part + "）"
	}
	return name + " (" + part + ")"
}
