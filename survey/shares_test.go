package survey

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// What the doctor says of gates that share budgets, in both languages: whether
// the other side answers, and what the running sekisho knows.
func TestDoctorLooksAtShares(t *testing.T) {
	for _, one := range []struct {
		name string
		p    Patient
		want string
	}{
		{"nobody shares", Patient{}, ""},
		{"all is well", Patient{With: "1 gate, at 10.0.0.5:7443", Shares: func(context.Context) error { return nil }, Lending: &Lending{}}, "ok shares"},
		{"the issuer has other budgets", Patient{With: "gate 1", Shares: func(context.Context) error { return errors.New("another limit") }}, "failure shares"},
		{"the running house does not reach it", Patient{With: "gate 1", Shares: func(context.Context) error { return nil }, Lending: &Lending{Away: "no route to host"}}, "ok shares, failure shares_away"},
		{"a gate lies", Patient{Lending: &Lending{Claimed: []string{"gate-2 (79)"}}}, "warning shares_claimed"},
		{"a gate is gone", Patient{Lending: &Lending{Silent: []string{"gate-2"}, Lapsed: 79, LapsedUntil: "2026-05-01 09:00"}}, "warning shares_silent, warning shares_lapsed"},
		{"it grants none any more", Patient{Lending: &Lending{Left: 79, LeftUntil: "2026-05-01 09:00"}}, "warning shares_left"},
	} {
		d := &doctor{p: one.p}
		d.shares(t.Context())
		var got []string
		for _, f := range d.found {
			got = append(got, string(f.Level)+" "+f.Check)
			for _, lang := range []string{"en", "ja"} {
				w, err := Speak(lang)
				if err != nil {
					t.Fatal(err)
				}
				if text := f.Text(w); strings.Contains(text, "%!") || strings.HasPrefix(text, "check.") {
					t.Errorf("%s: %s", one.name, text)
				}
				if f.Level != OK && f.Hint(w) == "" {
					t.Errorf("%s: %s has no hint in %s", one.name, f.Check, lang)
				}
			}
		}
		if strings.Join(got, ", ") != one.want {
			t.Errorf("%s: %v, want %s", one.name, got, one.want)
		}
	}
}
