package house

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/directory"
	"sekisho/disk"
	"sekisho/ledger"
)

// staffOf is a table of n people of one company in departments of ten.
func staffOf(n int, change func(i int, row []string) []string) string {
	var b strings.Builder
	b.WriteString("user,name,mail,joined,company,department,post\n")
	for i := range n {
		row := []string{fmt.Sprintf("u%04d", i), fmt.Sprintf("Name %d", i), fmt.Sprintf("u%04d@jalx.example", i), "2020-04-01", "0001", fmt.Sprintf("d%02d", i/10), ""}
		if change != nil {
			row = change(i, row)
		}
		if row != nil {
			b.WriteString(strings.Join(row, ",") + "\n")
		}
	}
	return b.String()
}

// A year of one company's tables: everybody joins, some move, some leave, half
// a file is refused, and the same table again changes nothing. No name reaches
// the ledger, and after a restart the directory says the same.
func TestTablesOfStaff(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Tokyo")
	must(t, err)
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, zone)
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	open := func() *House {
		h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
		must(t, err)
		return h
	}
	h := open()
	send := func(table string, ask console.DirectoryImport) (*directory.Plan, error) {
		if ask.Source == "" {
			ask.Source = "hr"
		}
		return h.ImportDirectory(t.Context(), strings.NewReader(table), ask, 1)
	}
	figures := func(p *directory.Plan, err error) string {
		if p == nil {
			return fmt.Sprint(err)
		}
		s := fmt.Sprintf("%d joined, %d changed, %d left, %d returned, %d units", p.Count("joined"), p.Count("changed"), p.Count("left"), p.Count("returned"), len(p.Units))
		if err != nil {
			s += ": " + err.Error()
		}
		return s
	}
	expect := func(what, want string, p *directory.Plan, err error) {
		t.Helper()
		if got := figures(p, err); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	people := func(at time.Time) (n int) {
		for range h.Directory.PeopleAt(sekisho.At(at)) {
			n++
		}
		return n
	}

	last := h.Ledger.Last()
	p, err := send(staffOf(100, nil), console.DirectoryImport{DryRun: true})
	expect("a dry run", "100 joined, 0 changed, 0 left, 0 returned, 11 units", p, err)
	if h.Ledger.Last() != last || h.Vault.Space("staff").Len() != 0 {
		t.Error("a dry run wrote something")
	}
	p, err = send(staffOf(100, nil), console.DirectoryImport{})
	expect("the first table", "100 joined, 0 changed, 0 left, 0 returned, 11 units", p, err)
	p, err = send(staffOf(100, nil), console.DirectoryImport{})
	expect("the same again", "0 joined, 0 changed, 0 left, 0 returned, 0 units", p, err)

	half := staffOf(50, nil)
	last = h.Ledger.Last()
	p, err = send(half, console.DirectoryImport{})
	expect("half a file", "0 joined, 0 changed, 50 left, 0 returned, 5 units: 50 of the 100 people of \"hr\" would leave", p, err)
	if h.Ledger.Last() != last {
		t.Error("half a file was recorded")
	}
	p, err = send(half, console.DirectoryImport{Part: true})
	expect("a part", "0 joined, 0 changed, 0 left, 0 returned, 0 units", p, err)

	// On 1 April department d00 moves into another company; five people leave, one
	// comes back in June.
	now = time.Date(2026, 4, 1, 9, 0, 0, 0, zone)
	moved := func(i int, row []string) []string {
		if i < 10 {
			row[4] = "0002"
		}
		if i >= 95 {
			return nil
		}
		return row
	}
	p, err = send(staffOf(100, moved), console.DirectoryImport{Effective: "2026-04-01"})
	expect("the reorganisation", "0 joined, 10 changed, 5 left, 0 returned, 3 units", p, err)
	now = time.Date(2026, 6, 1, 9, 0, 0, 0, zone)
	p, err = send(staffOf(100, func(i int, row []string) []string {
		if i == 97 {
			return row
		}
		return moved(i, row)
	}), console.DirectoryImport{})
	expect("one comes back", "0 joined, 0 changed, 0 left, 1 returned, 0 units", p, err)

	check := func() {
		t.Helper()
		for _, want := range []struct {
			day           string
			all, in1, in2 int
		}{{"2026-03-31", 100, 100, 0}, {"2026-04-02", 95, 85, 10}, {"2026-06-02", 96, 86, 10}} {
			at, err := time.ParseInLocation("2006-01-02", want.day, zone)
			must(t, err)
			within := func(key string) (n int) {
				unit, _ := h.Vault.Space("unit").Find(key)
				for range h.Directory.PeopleWithin(unit, sekisho.At(at)) {
					n++
				}
				return n
			}
			if got := [3]int{people(at), within("company/0001"), within("company/0002")}; got != [3]int{want.all, want.in1, want.in2} {
				t.Errorf("on %s: %v, want %+v", want.day, got, want)
			}
		}
		joined, left := h.Directory.Moves(sekisho.At(time.Date(2026, 3, 1, 0, 0, 0, 0, zone)), sekisho.At(time.Date(2026, 7, 1, 0, 0, 0, 0, zone)))
		if len(joined) != 1 || len(left) != 5 {
			t.Errorf("%d joined and %d left from March to June", len(joined), len(left))
		}
	}
	check()
	must(t, h.Close())
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(c.Data), 1) {
		must(t, err)
		if b := string(e.AppendEncode(nil)); strings.Contains(b, "Name ") || strings.Contains(b, "jalx.example") || strings.Contains(b, "u0001") {
			t.Fatalf("entry %v holds a person: %q", e.ID, b)
		}
	}
	h = open()
	defer h.Close()
	check()
}
