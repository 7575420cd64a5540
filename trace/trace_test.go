package trace_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/sekishotest"
	"sekisho/trace"
	"sekisho/vault"
)

func script(t *testing.T, text string) *sekishotest.Book {
	t.Helper()
	book := sekishotest.New()
	for line := range strings.Lines(text) {
		if err := book.Run(line); err != nil {
			t.Fatal(err)
		}
	}
	return book
}

// members is a real roster of ten: odd ones came by the partner "north" and
// live in JP, even ones have no partner and live in DE; passports of 1 to 5
// end with 2014-09-22, those of 6 to 8 with 2014-09-23, 9 and 10 have none.
func members(t *testing.T) *vault.Roster {
	t.Helper()
	v, err := vault.Open(vault.Config{Dir: t.TempDir(), FS: disk.OS{}, Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	const day = 16335 // 2014-09-22
	rows := iter.Seq2[vault.RosterRow, error](func(yield func(vault.RosterRow, error) bool) {
		for i := 1; i <= 10; i++ {
			row := vault.RosterRow{Key: fmt.Sprint(i), Labels: []string{"", "DE"}, Dates: []int32{day}}
			if i%2 == 1 {
				row.Labels = []string{"north", "JP"}
			}
			switch {
			case i > 8:
				row.Dates[0] = vault.NoDate
			case i > 5:
				row.Dates[0]++
			}
			if !yield(row, nil) {
				return
			}
		}
	})
	if _, err := v.WriteRoster("member", vault.RosterSchema{Labels: []string{"partner", "residence"}, Dates: []string{"passport_until"}}, rows, nil); err != nil {
		t.Fatal(err)
	}
	r, err := v.Roster("member")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parts(n trace.Number) string {
	var s []string
	for _, p := range n.Breakdown {
		s = append(s, fmt.Sprintf("%s=%s:%d", p.Dimension, p.Value, p.Count))
	}
	return strings.Join(s, " ")
}

func TestEachNumberIsBrokenDown(t *testing.T) {
	book := script(t, `
		time 2014-09-20T00:00:00Z
		shape m member members identity,contact
		shape p member passports travel_document
		session s 7 clerk pc-0417
		alert sweep 7 pc-0417 for=1h
		read s m 1..4 least=50
		wait 2h
		read s p 4 5 6 6 9 least=20
		file 99 5 10`)
	a, err := fold(book.Entries).Impact(trace.Question{Endpoints: []string{"pc-0417"}, Since: book.Now - day, Until: book.Now/day*day + 3*day, Incident: 99}, members(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		n         trace.Number
		value     uint64
		breakdown string
	}{
		{"worst case", a.Numbers.WorstCase, 7, "category=identity:4 category=contact:4 category=travel_document:4 partner=north:4 residence=JP:4 residence=DE:3 passport_until=valid:1"},
		{"suspected", a.Numbers.Suspected, 4, "category=identity:4 category=contact:4 partner=north:2 residence=DE:2 residence=JP:2"},
		{"confirmed", a.Numbers.Confirmed, 2, "category=travel_document:1 partner=north:1 residence=DE:1 residence=JP:1"},
	} {
		if c.n.Value != c.value || parts(c.n) != c.breakdown {
			t.Errorf("%s: got %d, %s\nwant %d, %s", c.name, c.n.Value, parts(c.n), c.value, c.breakdown)
		}
	}
}

func TestAnyRowReachesNoMoreThanThereAre(t *testing.T) {
	book := script(t, `
		shape m member members identity
		session s 7 clerk pc-0417
		read s m 1..4
		any s m 9`)
	q := trace.Question{Endpoints: []string{"pc-0417"}, Since: book.Now, Until: book.Now + 1}
	// All of a table that was counted unread are as many, and no more beside it.
	whole := script(t, `
		shape m member members identity
		session s 7 clerk pc-0417
		read s m 1..4`)
	for _, e := range whole.Entries {
		if a, ok := e.Body.(*sekisho.Access); ok {
			whole.Put(&sekisho.Access{Session: a.Session, Shape: a.Shape, Number: a.Number + 1, Class: sekisho.Contributed, Rows: 1, Least: 1, Reach: 9})
		}
	}
	if a, err := fold(whole.Entries).Impact(trace.Question{Endpoints: []string{"pc-0417"}, Since: whole.Now, Until: whole.Now + 1}, nil); err != nil || a.WorstCase != 13 {
		t.Errorf("all of a table: %d, %v", a.WorstCase, err)
	}
	tr := fold(book.Entries)
	for _, c := range []struct {
		roster *vault.Roster
		want   uint64
		code   string
	}{{nil, 13, "worst_case_any_row"}, {members(t), 10, "worst_case_population"}} {
		a, err := tr.Impact(q, c.roster)
		if err != nil {
			t.Fatal(err)
		}
		if a.WorstCase != c.want || a.Numbers.WorstCase.Formula.Code != c.code {
			t.Errorf("got %d by %q, want %d by %q", a.WorstCase, a.Numbers.WorstCase.Formula.Code, c.want, c.code)
		}
	}
}

func TestAnEndpointNeverSeenIsAnErrorWithTheNearestNames(t *testing.T) {
	tr := fold(script(t, `
		shape m member members identity
		session a 7 clerk pc-0417
		session b 7 clerk pc-0533
		session c 7 clerk batch-01
		egress pc-0471 203.0.113.66 1`).Entries)
	_, err := tr.Impact(trace.Question{Endpoints: []string{"pc-0417", "pc-0418"}, Until: 1}, nil)
	var unknown *trace.UnknownEndpoint
	if !errors.As(err, &unknown) || unknown.Name != "pc-0418" || !slices.Equal(unknown.Nearest, []string{"pc-0417", "pc-0471", "pc-0533"}) {
		t.Fatalf("got %v", err)
	}
	// Two keys pressed in the wrong order are nearer than a wrong one.
	_, err = tr.Impact(trace.Question{Endpoints: []string{"pc-0353"}, Until: 1}, nil)
	if !errors.As(err, &unknown) || unknown.Nearest[0] != "pc-0533" {
		t.Fatalf("got %v", err)
	}
}

// TestOwnConsolesAreNoTerminals: who mistypes a terminal's name is not sent to
// the console.
func TestOwnConsolesAreNoTerminals(t *testing.T) {
	book := script(t, `session a 7 clerk pc-0417`)
	book.Put(&sekisho.SessionOpened{Door: sekisho.DoorConsole, Endpoint: "console@127.0.0.1"})
	book.Put(&sekisho.SessionOpened{Door: sekisho.DoorCommand, Endpoint: "sekisho", Verified: true})
	tr := fold(book.Entries)
	_, err := tr.Impact(trace.Question{Endpoints: []string{"pc-0418"}, Until: 1}, nil)
	var unknown *trace.UnknownEndpoint
	if !errors.As(err, &unknown) || !slices.Equal(unknown.Nearest, []string{"pc-0417"}) {
		t.Errorf("got %v", err)
	}
	if got := tr.Endpoints(); len(got) != 3 {
		t.Errorf("the endpoints are %v", got)
	}
}

// TestFilesOfWhichIncident: a question that names neither a file nor an
// incident counts the files of incidents about its endpoints in its window,
// and says how many others there are.
func TestFilesOfWhichIncident(t *testing.T) {
	book := script(t, `
		shape m member members identity
		session a 7 clerk pc-0417
		session b 7 clerk pc-0533
		read a m 1..20
		read b m 1..20`)
	now := book.Now
	opened := func(endpoint string) uint64 {
		return book.Put(&sekisho.IncidentOpened{Endpoints: []string{endpoint}})
	}
	matched := func(incident uint64, hash byte, subjects ...uint32) {
		book.Put(&sekisho.FileMatched{Incident: incident, SHA256: [32]byte{hash}, Rows: 9, Space: "member", Subjects: subjects})
	}
	of0417, of0533 := opened("pc-0417"), opened("pc-0533")
	matched(of0417, 1, 3, 4)
	matched(of0533, 2, 5)
	matched(0, 3, 6)
	book.Put(&sekisho.IncidentRevised{Incident: of0533, Endpoints: []string{"pc-0533"}, Since: now - 2*day, Until: now + day})

	for _, c := range []struct {
		what      string
		q         trace.Question
		confirmed []uint32
		code      string
		elsewhere uint64
	}{
		{"one endpoint", trace.Question{Endpoints: []string{"pc-0417"}}, []uint32{3, 4}, "confirmed", 2},
		{"both", trace.Question{Endpoints: []string{"pc-0417", "pc-0533"}}, []uint32{3, 4, 5}, "confirmed", 1},
		{"an incident", trace.Question{Endpoints: []string{"pc-0417"}, Incident: of0533}, []uint32{5}, "confirmed", 0},
		{"a window after the incident's", trace.Question{Endpoints: []string{"pc-0533"}, Since: now + day, Until: now + 2*day}, nil, "no_file", 3},
		{"a file", trace.Question{Endpoints: []string{"pc-0417"}, Files: []*sekisho.FileMatched{{Space: "member", Subjects: []uint32{9}}}}, []uint32{9}, "confirmed", 0},
	} {
		if c.q.Until == 0 {
			c.q.Since, c.q.Until = now-day, now+day
		}
		c.q.Lists = true
		a, err := fold(book.Entries).Impact(c.q, nil)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := uint64(0)
		for _, n := range a.NotObserved {
			if n.Code == "files_elsewhere" {
				elsewhere = n.Count
			}
		}
		if !slices.Equal(a.Lists.Confirmed, c.confirmed) || a.Numbers.Confirmed.Formula.Code != c.code || elsewhere != c.elsewhere {
			t.Errorf("%s: confirmed %v by %q, %d files elsewhere; want %v, %q, %d", c.what, a.Lists.Confirmed, a.Numbers.Confirmed.Formula.Code, elsewhere, c.confirmed, c.code, c.elsewhere)
		}
	}
}
