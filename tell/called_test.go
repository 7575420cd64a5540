package tell

import (
	"regexp"
	"testing"

	"sekisho"
	"sekisho/trace"
)

// crowded is an incident of which everything is known and everything is wrong: two
// subjects, every category of data, labels and dates under the names of a catalog,
// every gap, and every fact that people can state.
func crowded(t *testing.T) *Ground {
	g := story(t)
	var parts []trace.Part
	for _, c := range sekisho.AllCategories() {
		parts = append(parts, trace.Part{Kind: "category", Dimension: "category", Value: c.String(), Count: 7})
	}
	for _, label := range []trace.Part{
		{Dimension: "residence", Value: "JP"}, {Dimension: "residence", Value: "US-CA"}, {Dimension: "residence", Value: "somewhere else"},
		{Dimension: "partner", Value: "partner-a"},
	} {
		label.Kind, label.Count = "label", 3
		parts = append(parts, label)
	}
	for _, date := range []string{"passport_until", "permit_to_fish_until", "valid_to"} {
		parts = append(parts, trace.Part{Kind: "date", Dimension: date, Value: "valid", Count: 2})
	}
	a := g.Answer
	for _, n := range []*trace.Number{&a.Numbers.WorstCase, &a.Numbers.Suspected, &a.Numbers.Confirmed} {
		n.Breakdown = parts
	}
	a.Subjects = []*trace.Answer{{Space: "member", WorstCase: 9, Suspected: 4}, {Space: "guest_of_member", WorstCase: 3, Suspected: 1}}
	for code := range blinding {
		a.NotObserved = append(a.NotObserved, trace.Note{Code: code, Count: 1, Seconds: 5})
	}
	for _, key := range []string{"cause", "cause_in", "prevention", "prevention_planned", "measures", "misuse", "police", "contractor", "other", "consequences"} {
		g.Stated = append(g.Stated, Stated{Key: key, Text: "x", Entry: 3})
	}
	g.Mailboxes, g.Misuse, g.Cut, g.CutEndpoints = []uint64{4}, []uint64{5, 6}, []uint64{7}, 2
	g.Published = &Said{Entry: 8, At: 9}
	g.Due = []Deadline{{Key: "appi_preliminary", At: 10, Entry: 3, En: "commission", Ja: "委員会"}, {Key: "appi_final", At: 10, Entry: 3, En: "commission", Ja: "委員会"}}
	return g
}

// Whoever reads a text outside the company knows no name of a catalog, no code and
// no identifier of ours.
func TestNoCodeStandsInAText(t *testing.T) {
	code := regexp.MustCompile(`[A-Za-z0-9]+_[A-Za-z0-9_]+`)
	forms, err := ReadForms(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range forms.Names() {
		for _, lang := range Languages {
			for name, g := range map[string]*Ground{"everything": crowded(t), "little": story(t)} {
				if n.To == "partner" {
					g.About = "partner-a"
				}
				d := fill(t, n.Key, lang, g)
				texts := []string{d.Title}
				for _, f := range d.Fields {
					texts = append(texts, f.Title)
					for _, s := range f.Sentences {
						texts = append(texts, s.Text)
					}
				}
				for _, s := range texts {
					if found := code.FindString(s); found != "" {
						t.Errorf("%s in %s, %s: %q says %s", n.Key, lang, name, s, found)
					}
				}
			}
		}
	}
}

// What the config calls something is what texts call it; what it says nothing of
// has a name all the same.
func TestWhatThingsAreCalled(t *testing.T) {
	c := &Config{Names: map[string]Called{"guest": {Ja: "同伴のお客様"}, "passport_until": {En: "travel passports"}}}
	for _, x := range []struct{ name, lang, want string }{
		{"guest", "ja", "同伴のお客様"}, {"guest", "en", "guests"},
		{"passport_until", "en", "travel passports"}, {"passport_until", "ja", "旅券"},
		{"crew_member_until", "en", "crew member"}, {"member", "ja", "会員"},
	} {
		if got := c.Called(x.name, x.lang); got != x.want {
			t.Errorf("%s in %s: %q, want %q", x.name, x.lang, got, x.want)
		}
	}
	for _, x := range []struct{ place, lang, want string }{
		{"JP", "ja", "日本"}, {"JP", "en", "Japan"}, {"US-CA", "ja", "アメリカ合衆国（CA）"}, {"US-CA", "en", "United States (CA)"},
		{"", "ja", ""}, {"東京都", "ja", "東京都"}, {"ZZ", "en", "ZZ"}, {"no", "en", "no"}, {"EU", "en", "EU"},
	} {
		if got := Country(x.place, x.lang); got != x.want {
			t.Errorf("%s in %s: %q, want %q", x.place, x.lang, got, x.want)
		}
	}
	for _, c := range sekisho.AllCategories() {
		if w := categoryWords[c.String()]; w[0] == "" || w[1] == "" {
			t.Errorf("the category %s has no words in texts", c)
		}
	}
	for code := range blinding {
		if w := gapWords[code]; w[0] == "" || w[1] == "" {
			t.Errorf("what was not observed by %s has no words in texts", code)
		}
	}
}

// What the config has not said of the company is for somebody to fill in, and no
// matter of an investigation.
func TestWhatTheCompanyHasNotSaidIsToBeFilledIn(t *testing.T) {
	g := story(t)
	g.Company.Address = ""
	for lang, want := range map[string]string{"ja": "（記入してください）", "en": "(to be filled in)"} {
		if s, ok := sentence(fill(t, "appi_preliminary", lang, g), "reporter_address"); !ok || s.Text != want || s.State != "unknown" {
			t.Errorf("%+v, want %s", s, want)
		}
	}
}
