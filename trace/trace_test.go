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
}

func TestTheLivePageSeesAStatementGrowAndEnd(t *testing.T) {
	book := script(t, `
		shape m member members identity
		session s 7 clerk pc-0417
		read s m 5
		read s m 1..30 chunks=3
		close s 2`)
	tr := trace.New()
	sub, slow := tr.Subscribe(10), tr.Subscribe(1)
	for i := range book.Entries {
		tr.Apply(&book.Entries[i])
	}
	var got []string
	for len(sub.C) > 0 {
		a := <-sub.C
		got = append(got, fmt.Sprintf("%d.%d %d %v %v", a.Session, a.Number, a.Customers, a.Open, a.Outcome))
	}
	want := "3.1 1 false completed|3.2 10 true open|3.2 20 true open|3.2 30 false completed|3.2 30 false client gone"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	if slow.Dropped() != 4 {
		t.Errorf("%d dropped for the slow reader, want 4", slow.Dropped())
	}
	sub.Close()
	live := tr.Live(10)
	if len(live) != 2 || live[0].Number != 2 || live[0].Outcome != sekisho.ClientGone || live[1].Endpoint != "pc-0417" || live[1].Principal != 7 {
		t.Errorf("live: %+v", live)
	}
}
