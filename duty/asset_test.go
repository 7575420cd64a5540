package duty

import (
	"testing"

	"sekisho"
)

// Assets, paper among them: registered, seen by a stock-taking that two people
// sign, missing, destroyed before witnesses. The rows that ask for them go from
// missing to met to lapsed by these entries alone.
func TestAssetsProveTheirRows(t *testing.T) {
	h := newBook(t, group())
	at := func(s string) sekisho.Time { return sekisho.Time(day(s)) }
	h.write("2025-04-01", &sekisho.LedgerOpened{})
	for thing, traits := range map[uint32][]string{1: {"flight_safety", "paper", "travel_document"}, 2: {"digital", "identity"}} {
		h.write("2025-04-01", &sekisho.Registered{Noun: "asset", Thing: thing, Action: "registered", Owner: 5, Traits: traits, Until: at("2029-01-01"), By: 8})
	}
	p0, f1 := h.b.Register().Duty("P0"), h.b.Register().Duty("F1")
	judge := func(d *Duty, name, now string) Tally {
		t.Helper()
		for _, j := range h.b.Judge(d, day(now)) {
			if j.Window.Name == name {
				return j.Total
			}
		}
		t.Fatalf("no window %s of %s", name, d.ID)
		return Tally{}
	}
	windows := h.b.Judge(p0, day("2028-04-02"))
	first, second, third := windows[0].Window.Name, windows[1].Window.Name, windows[2].Window.Name
	if got := judge(p0, first, "2026-04-01"); got.Missed != 2 || got.Met != 0 {
		t.Errorf("nobody looked: %+v", got)
	}
	check := h.write("2026-09-01", &sekisho.CheckPlanned{Noun: "stocktake", Space: "thing", Units: []uint32{1, 2}, Due: at("2026-09-10"), Lead: 3, Other: 4, By: 3})
	h.write("2026-09-05", &sekisho.CheckChanged{Check: check, Action: "held", At: at("2026-09-05"), By: 3})
	see := func(things []uint32, states ...string) {
		h.write("2026-09-05", &sekisho.AssetSeen{Check: check, At: at("2026-09-05"), Things: things, States: states, Counts: make([]uint64, len(things)), Notes: make([]uint32, len(things)), By: 3})
	}
	sign := func(party string, person uint32) {
		h.write("2026-09-06", &sekisho.CheckSigned{Check: check, Party: party, Person: person, SHA256: h.b.Checks().Check(check).Record, Agreed: true})
	}
	see([]uint32{1}, "seen")
	sign("owner", 3)
	sign("witness", 4)
	if got := judge(p0, second, "2027-04-01"); got.Met != 0 {
		t.Errorf("one of two was seen: %+v", got)
	}
	see([]uint32{2}, "missing")
	sign("owner", 3)
	if got := judge(p0, second, "2027-04-01"); got.Met != 0 {
		t.Errorf("one has signed: %+v", got)
	}
	sign("witness", 4)
	if got := judge(p0, second, "2027-04-01"); got.Met != 1 || got.Missed != 1 {
		t.Errorf("one was seen, one is missing: %+v", got)
	}
	if state := h.b.Checks().AssetState(h.b.Checks().Thing(2), at("2026-09-07")); state != "missing" {
		t.Errorf("the missing one is %s", state)
	}
	see([]uint32{2}, "elsewhere")
	sign("owner", 3)
	sign("witness", 4)
	if got := judge(p0, second, "2027-04-01"); got.Met != 2 || got.Num != got.Den {
		t.Errorf("it turned up: %+v", got)
	}
	if got := judge(f1, second, "2027-04-01"); got.Met+got.Num == 0 {
		t.Errorf("the protected list was looked at: %+v", got)
	}
	if got := judge(p0, third, "2028-04-01"); got.Met != 0 || got.Missed != 2 {
		t.Errorf("nobody looked again: %+v", got)
	}
	if got := judge(p0, second, "2028-04-01"); got.Met != 2 {
		t.Errorf("what was met stays met: %+v", got)
	}
}

// Paper with passports on it is gone when two have seen it, apart from whoever
// destroyed it; one who saw otherwise stops that.
func TestAnAssetEndsBeforeWitnesses(t *testing.T) {
	h := newBook(t, group())
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	h.write("2026-04-01", &sekisho.Registered{Noun: "asset", Thing: 1, Action: "registered", Traits: []string{"paper", "travel_document"}, By: 8})
	end := h.write("2026-05-01", &sekisho.AssetEnded{Thing: 1, Action: "destroyed", How: "shredded", At: sekisho.Time(day("2026-05-01")), Pieces: 40, Witnesses: 2, By: 3})
	thing := h.b.Checks().Thing(1)
	state := func() string { return h.b.Checks().AssetState(thing, sekisho.Time(day("2026-05-02"))) }
	answer := func(action string, by uint32) {
		h.write("2026-05-01", &sekisho.AssetEnded{Thing: 1, End: end, Action: action, By: by})
	}
	answer("witnessed", 3) // nobody witnesses themselves
	answer("witnessed", 4)
	answer("witnessed", 4)
	if state() != "destroying" {
		t.Errorf("one witness, however often: %s", state())
	}
	answer("witnessed", 5)
	if state() != "destroyed" {
		t.Errorf("two witnesses: %s", state())
	}
	if live := h.b.live("asset", h.b.calendar.at("year", day("2026-06-01")), day("2027-04-01")).members; len(live) != 0 {
		t.Errorf("what was destroyed is still counted: %v", live)
	}
	answer("disputed", 6)
	if state() != "destroyed" {
		t.Error("too late to dispute, and it was")
	}

	h.write("2026-06-01", &sekisho.Registered{Noun: "asset", Thing: 2, Action: "registered", Traits: []string{"paper"}, By: 8})
	end = h.write("2026-06-02", &sekisho.AssetEnded{Thing: 2, Action: "destroyed", How: "pulped", At: sekisho.Time(day("2026-06-02")), Witnesses: 1, By: 3})
	answer("disputed", 4)
	answer("witnessed", 5)
	if s := h.b.Checks().AssetState(h.b.Checks().Thing(2), sekisho.Time(day("2026-06-03"))); s != "disputed" {
		t.Errorf("somebody saw otherwise, and it is %s", s)
	}
}

// Each protected table is a store, which has its label when approved rules know a
// category for every column; what was said holds until something else is.
func TestHandlingLabelsTheStores(t *testing.T) {
	h := newBook(t, group())
	h.write("2025-04-01", &sekisho.LedgerOpened{})
	b2 := h.b.Register().Duty("B2")
	read := func(on string, version uint64, unnamed ...uint64) {
		h.write(on, &sekisho.HandlingRead{Edition: "1", Version: version, Stores: []uint32{1, 2}, Columns: []uint64{5, 5}, Unnamed: unnamed})
	}
	total := func(now string) Tally {
		list := h.b.Judge(b2, day(now))
		return list[len(list)-1].Total
	}
	read("2025-04-01", 0, 0, 0)
	if got := total("2025-06-01"); got.Num != 0 || got.Den != 2 {
		t.Errorf("rules that nobody approved: %+v", got)
	}
	read("2025-06-02", 9, 0, 1)
	if got := total("2025-06-03"); got.Num != 1 || got.Den != 2 {
		t.Errorf("one column without a category: %+v", got)
	}
	read("2025-06-04", 9, 0, 0)
	if got := total("2025-06-05"); got.Num != 2 || got.Den != 2 {
		t.Errorf("every column has one: %+v", got)
	}
	read("2025-07-01", 9, 1, 0)
	if got := total("2025-07-02"); got.Num != 1 {
		t.Errorf("a new column: %+v", got)
	}
	read("2025-07-03", 9, 0, 0)
	if got := total("2026-03-01"); got.Num != 2 {
		t.Errorf("labelled again: %+v", got)
	}
	if got := total("2026-12-01"); got.Num != 0 {
		t.Errorf("nobody has looked for more than a year: %+v", got)
	}
}
