package trace_test

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sekisho/sekishotest"
	"sekisho/trace"
	"sekisho/vault"
)

// whole answers a question over all subjects that a script's people belong to.
func whole(t *testing.T, script string, q trace.Question) *trace.Answer {
	t.Helper()
	b := sekishotest.New()
	for line := range strings.Lines(script) {
		if err := b.Run(line); err != nil {
			t.Fatal(err)
		}
	}
	tr := trace.New()
	for i := range b.Entries {
		tr.Apply(&b.Entries[i])
	}
	rosters := map[string]*vault.Roster{}
	for _, s := range tr.Spaces() {
		rosters[s] = nil
	}
	q.Since, q.Until = b.Entries[0].Time, tr.LastTime()+1
	a, err := tr.Whole(q, rosters)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const twoKinds = `
	shape m member members identity,contact
	shape g guest guests contact
	session s1 7 clerk pc-0417
	session s2 8 clerk unverified@10.0.0.9
	read s1 m 1..300 least=80
	read s1 g 1..40 least=5
	read s2 g 900 least=50
	alert sweep 7 pc-0417 for=1h
	egress pc-0417 203.0.113.66 200
	sensor zeek for=24h
	wait 1m`

var outside = []netip.Prefix{netip.MustParsePrefix("203.0.113.66/32")}

// The numbers of a company whose customers are members and guests are over both.
func TestTotalOverSubjects(t *testing.T) {
	a := whole(t, twoKinds, trace.Question{Endpoints: []string{"pc-0417"}, Hostile: outside})
	if a.WorstCase != 341 || a.Suspected != 340 || a.Space != "" || len(a.Subjects) != 2 || a.Subjects[0].Space != "guest" {
		t.Fatalf("%d, %d of %q", a.WorstCase, a.Suspected, a.Space)
	}
	// 2,000 bytes: 41 guests take 205, and 22 members fit into the rest. Each kind by
	// itself would be bounded by all that was sent.
	if a.SentAtMost != 41+22 || !a.SentKnown || a.Subjects[0].SentAtMost != 41 || a.Subjects[1].SentAtMost != 25 {
		t.Errorf("sent at most %d, of %d and %d", a.SentAtMost, a.Subjects[0].SentAtMost, a.Subjects[1].SentAtMost)
	}
	if got, want := a.Numbers.WorstCase.Formula.Text, "41 of guest + 300 of member = 341"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := a.Numbers.SentAtMost.Formula.Text, "the most people whose records fit into 200 bytes to hostile destinations in 1 connections × 10 (compression), the smallest records first: 41 of guest + 22 of member = 63"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if e := a.Numbers.WorstCase.Evidence; e.Entries != 3 || !slices.IsSorted(e.Some) || len(e.Some) != 3 {
		t.Errorf("%+v", e)
	}
	if want := []trace.Part{{Kind: "category", Dimension: "category", Value: "contact", Count: 341}, {Kind: "category", Dimension: "category", Value: "identity", Count: 300}}; !slices.Equal(a.Numbers.WorstCase.Breakdown, want) {
		t.Errorf("%+v", a.Numbers.WorstCase.Breakdown)
	}
	var notes []string
	for _, n := range a.NotObserved {
		notes = append(notes, n.Code+" "+n.Name)
	}
	if !slices.Contains(notes, "no_roster_of guest") || !slices.Contains(notes, "no_roster_of member") || !slices.Contains(notes, "unverified ") {
		t.Errorf("%v", notes)
	}
	if a.Nameless() {
		t.Error("everybody is named")
	}
}

// What bounds nothing for one kind bounds nothing in total; and a kind of which
// nobody can be named keeps the total from being a list.
func TestTotalThatNothingBounds(t *testing.T) {
	a := whole(t, twoKinds, trace.Question{Endpoints: []string{"pc-0417"}})
	if a.SentKnown || a.SentAtMost != 341 || a.Numbers.SentAtMost.Formula.Code != "sent_no_hostile" {
		t.Errorf("%d, %v, %+v", a.SentAtMost, a.SentKnown, a.Numbers.SentAtMost.Formula)
	}
	a = whole(t, twoKinds+`
	any s1 g 500`, trace.Question{Endpoints: []string{"pc-0417"}, Hostile: outside})
	if !a.Nameless() || a.WorstCase != 300+41+500 {
		t.Errorf("%v, %d", a.Nameless(), a.WorstCase)
	}
}

// One kind of customers is answered for as ever.
func TestTotalOfOneSubject(t *testing.T) {
	a := whole(t, `
	shape m member members identity
	session s1 7 clerk pc-0417
	read s1 m 1..30
	wait 1m`, trace.Question{Endpoints: []string{"pc-0417"}})
	if a.Space != "member" || a.Subjects != nil || a.WorstCase != 30 {
		t.Errorf("%q, %v, %d", a.Space, a.Subjects, a.WorstCase)
	}
}

// However bytes and rows fall, the total is the most people who fit: no split of
// the bytes between the kinds holds more.
func TestTotalSentIsTheMostThatFits(t *testing.T) {
	for _, c := range []struct{ bytes, m, g int }{{10, 7, 3}, {100, 80, 5}, {1, 50, 49}, {3000, 9, 8}, {77, 11, 13}} {
		a := whole(t, `
	shape m member members identity
	shape g guest guests identity
	session s1 7 clerk pc-0417
	read s1 m 1..60 least=`+strconv.Itoa(c.m)+`
	read s1 g 1..45 least=`+strconv.Itoa(c.g)+`
	egress pc-0417 203.0.113.66 `+strconv.Itoa(c.bytes)+`
	sensor zeek for=24h
	wait 1m`, trace.Question{Endpoints: []string{"pc-0417"}, Hostile: outside, Compression: 2})
		most := 0
		for m := 0; m <= 60 && m*c.m <= 2*c.bytes; m++ {
			most = max(most, m+min(45, (2*c.bytes-m*c.m)/c.g))
		}
		if a.SentAtMost != uint64(most) {
			t.Errorf("%+v: %d, but %d fit", c, a.SentAtMost, most)
		}
	}
}
