package duty

import (
	"fmt"
	"slices"
	"testing"
)

// The table of NIST TN 2276, cell by cell, at the edges of each class.
func TestPhishScale(t *testing.T) {
	want := map[string]map[string]string{
		"few":  {"high": "very", "medium": "very", "low": "moderately"},
		"some": {"high": "very", "medium": "moderately", "low": "least_moderately"},
		"many": {"high": "moderately", "medium": "moderately", "low": "least"},
	}
	premises := map[string][]Premise{
		"low":    {{}, {Process: 8, Relevance: 2}, {Process: 8, Relevance: 8, Warned: 6}},
		"medium": {{Process: 8, Relevance: 4}, {Process: 8, Relevance: 8}, {Process: 8, Relevance: 8, Events: 2, Warned: 2}},
		"high":   {{Process: 8, Relevance: 8, Events: 2}, {Process: 8, Relevance: 8, Events: 8, Consequences: 8}},
	}
	for level, counts := range map[string][]int{"few": {1, 8}, "some": {9, 14}, "many": {15, 40}} {
		for _, n := range counts {
			for alignment, list := range premises {
				for _, p := range list {
					r := Rate([]Cue{{Kind: "urgency", Count: n - 1}, {Kind: "threat"}}[2-min(n, 2):], p)
					if r.Cues != n || r.CueLevel != level || r.Alignment != alignment || r.Difficulty != want[level][alignment] {
						t.Errorf("%d cues, premise %+v: %+v, want %s, %s: %s", n, p, r, level, alignment, want[level][alignment])
					}
				}
			}
		}
	}
	if len(CueKinds()) != 23 {
		t.Errorf("%d kinds of cue, the guide has 23", len(CueKinds()))
	}
}

// The shipped lures: both kinds, every way to ask, both languages, and each
// level of difficulty at least once. The ratings stand here so that a change of
// a template that changes its rating is seen.
func TestShippedLures(t *testing.T) {
	list, err := ReadLures(ShippedLures())
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	seen := map[string]bool{}
	for _, l := range list {
		seen[l.Teaches], seen[l.Asks] = true, true
		for _, lang := range LureLanguages() {
			r := l.Rate(lang)
			seen[r.Difficulty] = true
			got += fmt.Sprintf("%s %s %s: %d cues (%s), premise %d (%s): %s\n", l.ID(lang), l.Teaches, l.Asks, r.Cues, r.CueLevel, r.Premise, r.Alignment, r.Difficulty)
		}
	}
	want := `bank-change ja 2026-11 bec reply: 8 cues (few), premise 18 (high): very
bank-change en 2026-11 bec reply: 8 cues (few), premise 18 (high): very
executive-request ja 2026-11 bec reply: 9 cues (some), premise 12 (medium): moderately
executive-request en 2026-11 bec reply: 9 cues (some), premise 12 (medium): moderately
itinerary ja 2026-11 virus attachment: 5 cues (few), premise 20 (high): very
itinerary en 2026-11 virus attachment: 5 cues (few), premise 20 (high): very
parcel ja 2026-11 virus link: 17 cues (many), premise 2 (low): least
parcel en 2026-11 virus link: 17 cues (many), premise 2 (low): least
password-expiry ja 2026-11 virus form: 9 cues (some), premise 12 (medium): moderately
password-expiry en 2026-11 virus form: 9 cues (some), premise 12 (medium): moderately
shared-document ja 2026-11 virus link: 9 cues (some), premise 12 (medium): moderately
shared-document en 2026-11 virus link: 9 cues (some), premise 12 (medium): moderately
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	for _, w := range append(slices.Clone(Difficulties()), "virus", "bec", "link", "attachment", "form", "reply") {
		if w != "least_moderately" && !seen[w] {
			t.Errorf("no lure is %s", w)
		}
	}
}
