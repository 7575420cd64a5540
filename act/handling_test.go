package act

import (
	"os"
	"strings"
	"testing"

	"sekisho"
	"sekisho/catalog"
)

// everything is a policy that permits all, so that what narrows it is seen.
const everything = `@id("all") permit (principal, action, resource);`

func narrowed(t *testing.T, h *catalog.Handling, approved bool) *Policy {
	t.Helper()
	p, err := Set{Policies: []File{{Name: "all.cedar", Text: []byte(everything)}}, Narrow: []File{OffSite(h, approved)}}.Load(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What the shipped rules come to, act by act and place by place; and that neither
// rules which nobody has approved nor a category without one let anything out.
func TestHandlingRulesOutsideTheOffice(t *testing.T) {
	h, err := catalog.ReadHandling(catalog.ShippedHandling())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []struct {
		name     string
		rules    *catalog.Handling
		approved bool
	}{{"testdata/handling.tests", h, true}, {"testdata/handling-unapproved.tests", h, false}, {"testdata/handling-unapproved.tests", h.Strictest(), true}} {
		text, err := os.ReadFile(table.name)
		if err != nil {
			t.Fatal(err)
		}
		p := narrowed(t, table.rules, table.approved)
		cases, err := ReadTable(File{table.name, text}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if got := c.Check(p); got != "" {
				t.Errorf("%s:%d: %s\nit is: %s", c.File, c.Line, c.Text, got)
			}
		}
	}
	d := narrowed(t, h, true).Decide(Request{Verb: sekisho.Read, Categories: sekisho.TravelDoc, Place: Remote, OffSiteReady: true})
	for _, want := range []string{d.Reason.En, d.Reason.Ja} {
		if !strings.Contains(want, h.Edition) {
			t.Errorf("the refusal names no edition: %q", want)
		}
	}
	if d.Hint.En == "" || d.Hint.Ja == "" {
		t.Errorf("a refusal without a hint: %+v", d)
	}
}

// In the office the handling rules change nothing, whatever is asked; elsewhere
// they never let more through than was let through without them.
func TestHandlingRulesOnlyNarrow(t *testing.T) {
	h, err := catalog.ReadHandling(catalog.ShippedHandling())
	if err != nil {
		t.Fatal(err)
	}
	wide, err := Load(Config{}, File{"all.cedar", []byte(everything)})
	if err != nil {
		t.Fatal(err)
	}
	p := narrowed(t, h, true)
	for verb := sekisho.Read; verb <= sekisho.Other; verb++ {
		for _, c := range append(sekisho.AllCategories(), 0) {
			for _, place := range []Place{Office, Remote, PlaceUnknown} {
				for _, ready := range []bool{false, true} {
					r := Request{Verb: verb, Categories: c, Place: place, OffSiteReady: ready, Permits: c}
					with, without := p.Decide(r), wide.Decide(r)
					if place == Office && with.String() != without.String() || with.Effect > without.Effect {
						t.Errorf("%v %v %v ready %v: %v, without the handling rules %v", verb, c, place, ready, &with, &without)
					}
					if place != Office && !ready && c != 0 && with.Effect != Refuse {
						t.Errorf("%v %v %v at a terminal that may not leave the office: %v", verb, c, place, &with)
					}
				}
			}
		}
	}
}

// A policy's own tests are about its own files.
func TestHandlingRulesAreNotWhatTablesTest(t *testing.T) {
	h, err := catalog.ReadHandling(catalog.ShippedHandling())
	if err != nil {
		t.Fatal(err)
	}
	s := Set{Policies: []File{{"all.cedar", []byte(everything)}}, Tables: []File{{"all.tests", []byte("read travel_document place=remote -> allow by all\n")}}}
	before := s.Sum()
	s.Narrow = []File{OffSite(h, true)}
	r, err := s.Check(Config{})
	if err != nil || r.Wrong() != 0 || r.Tests != 1 || s.Sum() == before {
		t.Fatalf("%+v, %v", r, err)
	}
	if d := r.Policy.Decide(Request{Verb: sekisho.Read, Categories: sekisho.TravelDoc, Place: Remote}); d.Effect != Refuse {
		t.Errorf("what was checked does not decide: %v", &d)
	}
	s.Narrow = []File{{"wide.cedar", []byte(`@id("more") permit (principal, action, resource);`)}}
	if r, err = s.Check(Config{}); err != nil || r.Wrong() != 1 {
		t.Errorf("a permit came in where only forbids may: %+v, %v", r, err)
	}
}
