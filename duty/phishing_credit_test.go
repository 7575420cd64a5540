package duty

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"

	"sekisho"
)

// campaign sends a lure to some people, and says which entry it was.
func (h *hand) campaign(at, teaches string, staff ...uint32) uint64 {
	n := h.write(at, &sekisho.LureAsked{Lures: []string{"itinerary ja 2026-11"}, People: uint64(len(staff))})
	if teaches != "" {
		h.write(at, &sekisho.LureSorted{Campaign: n, Teaches: []string{teaches}})
	}
	h.write(at, &sekisho.LureListed{Campaign: n, Staff: staff, Lures: make([]uint32, len(staff))})
	h.write(at, &sekisho.MailEnded{Started: h.write(at, &sekisho.MailStarted{Mailing: n, Subjects: staff}), Taken: staff})
	return n
}

// Three drills a year for each: one person has all, one misses the last, and the
// year after counts anew. A lure that came back was none.
func TestDrillsSeveralTimesAYear(t *testing.T) {
	h := newBook(t, staff(2))
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	d := h.b.Register().Duty("M3b")
	status := func(now string, window int, want string) {
		t.Helper()
		s := h.b.Judge(d, day(now))[window].status
		if got := s[0].String() + " " + s[1].String(); got != want {
			t.Errorf("on %s: %s, want %s", now, got, want)
		}
	}
	status("2026-05-01", 0, "OPEN OPEN")
	h.campaign("2026-06-10", "virus", 1, 2)
	h.campaign("2026-09-10", "bec", 1, 2)
	status("2026-10-01", 0, "OPEN OPEN")
	last := h.campaign("2027-01-10", "virus", 1, 2)
	status("2027-01-11", 0, "MET MET")
	h.write("2027-01-12", &sekisho.MailBounced{Mailing: last, Final: true, Status: "5.1.1", Subjects: []uint32{2}})
	status("2027-01-13", 0, "MET OPEN")
	status("2027-04-02", 0, "MET MISSED")
	status("2028-04-02", 1, "MISSED MISSED")
}

// Virus mails and mail fraud are both among a year's drills. Who only ever got
// one kind has missed the other, and campaigns that do not say their kind count
// for neither; a joiner who owes one drill owes no particular one.
func TestDrillsOfBothKinds(t *testing.T) {
	d := staff(3)
	people := d.People
	d.People = func(at int64) iter.Seq[Member] {
		return func(yield func(Member) bool) {
			for m := range people(at) {
				if m.Unit.Ordinal == 3 {
					m.From = day("2026-12-01")
				}
				if (m.From == 0 || m.From <= at) && !yield(m) {
					return
				}
			}
		}
	}
	h := newBook(t, d)
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	row := h.b.Register().Duty("M3b")
	for n, kind := range []string{"virus", "virus", "", "virus"} {
		h.campaign([]string{"2026-06-10", "2026-09-10", "2026-11-10", "2027-01-10"}[n], kind, 1, 2, 3)
	}
	want := func(now, want string) {
		t.Helper()
		j := h.b.Judge(row, day(now))[0]
		if got := fmt.Sprint(j.status); got != want {
			t.Errorf("on %s: %s, want %s", now, got, want)
		}
	}
	want("2027-02-01", "[OPEN OPEN MET]")
	if f, ok := h.b.Forecast(h.b.Judge(row, day("2027-02-01"))[0], day("2027-02-01")); !ok || f.Steps != 2+2+1 || f.Owed != 3+3+1 {
		t.Errorf("steps: %+v", f)
	}
	// Virus mails alone bring mail fraud no nearer: two lack that kind at this pace.
	if f, _ := h.b.Forecast(h.b.Judge(row, day("2027-02-01"))[0], day("2027-02-01")); f.Expected != 5 || f.Missed != 2 {
		t.Errorf("a kind that never came is taken to come by itself: %+v", f)
	}
	if mine := h.b.Mine(1, day("2027-02-01")); !slices.ContainsFunc(mine, func(m Mine) bool { return m.Duty == row && m.Steps == 2 && m.Now.Owed == 3 }) {
		t.Errorf("one's own: %+v", mine)
	}
	h.campaign("2027-02-10", "bec", 1)
	want("2027-04-02", "[MET MISSED MET]")
}

// What somebody did with a lure changes nothing in the book of duties: it is the
// same whether everybody fell for it or nobody did. Reports are everybody's.
func TestAClickProvesNothing(t *testing.T) {
	tell := func(deeds ...string) *hand {
		h := newBook(t, staff(2))
		n := h.campaign("2026-06-10", "virus", 1, 2)
		for i, did := range deeds {
			h.write("2026-06-11", &sekisho.LureSeen{Campaign: n, Who: uint64(77 + i), Did: did})
		}
		return h
	}
	quiet := tell("learned", "learned", "learned", "learned")
	fell := tell("clicked", "typed", "attachment", "replied")
	if !reflect.DeepEqual(quiet.b.store, fell.b.store) {
		t.Error("a click stands in the book of duties")
	}
	h := tell("reported")
	list := h.b.store.of("phish_report", Group)
	if len(list) != 1 {
		t.Errorf("a report gives %v", list)
	}
	for _, who := range []Unit{{"staff", 1}, {"staff", 2}} {
		if list := h.b.store.of("phish_report", who); len(list) != 0 {
			t.Errorf("a report names %v: %v", who, list)
		}
	}
}
