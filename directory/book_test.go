package directory_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sekisho"
	"sekisho/directory"
)

const day = sekisho.Time(86_400_000_000)

// A ledger of one's own: entries numbered and dated as they come.
type ledger struct {
	entries []sekisho.Entry
	now     sekisho.Time
}

func (l *ledger) add(b sekisho.Body) uint64 {
	seq := uint64(len(l.entries) + 1)
	l.entries = append(l.entries, sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: l.now, Body: b})
	return seq
}

func (l *ledger) book() *directory.Book {
	b := directory.New()
	for i := range l.entries {
		b.Apply(&l.entries[i])
	}
	return b
}

func staff(seq func(func(*directory.Person) bool)) (list []uint32) {
	for p := range seq {
		list = append(list, p.Staff)
	}
	return list
}

// A department moves to another company on day 200 and is renamed in the tree;
// the past stays what it was, also when the move is recorded late.
func TestAReorganisationLeavesThePast(t *testing.T) {
	const tokyo, osaka, sales, tickets = 1, 2, 3, 4
	l := &ledger{now: 10 * day}
	read := l.add(&sekisho.DirectoryRead{Source: "hr", Form: "csv"})
	for _, u := range []*sekisho.UnitChanged{
		{Unit: tokyo, Is: "company", Action: "opened"},
		{Unit: osaka, Is: "company", Action: "opened"},
		{Unit: sales, Is: "department", Parent: tokyo, Action: "opened"},
		{Unit: tickets, Is: "department", Parent: sales, Action: "opened"},
	} {
		u.Read, u.Effective = read, 10*day
		l.add(u)
	}
	l.add(&sekisho.PersonChanged{Read: read, Staff: 7, Action: "joined", Effective: 10 * day, Joined: 10 * day, Employed: "employee",
		Postings: []sekisho.PersonPosting{{Unit: tickets, As: "main"}}})
	l.add(&sekisho.PersonChanged{Read: read, Staff: 8, Action: "joined", Effective: 10 * day, Joined: 10 * day, Employed: "employee",
		Postings: []sekisho.PersonPosting{{Unit: tokyo, As: "main", Until: 150 * day}, {Unit: osaka, As: "secondment", From: 150 * day}}})
	before := staff(l.book().PeopleWithin(tokyo, 100*day))

	l.now = 230 * day
	read = l.add(&sekisho.DirectoryRead{Source: "hr", Form: "csv"})
	l.add(&sekisho.UnitChanged{Read: read, Unit: sales, Is: "department", Parent: osaka, Action: "changed", Effective: 200 * day})
	b := l.book()

	for _, c := range []struct {
		unit uint32
		at   sekisho.Time
		want []uint32
	}{
		{tokyo, 100 * day, []uint32{7, 8}}, {osaka, 100 * day, nil},
		{tokyo, 199 * day, []uint32{7}}, {osaka, 199 * day, []uint32{8}},
		{tokyo, 200 * day, nil}, {osaka, 200 * day, []uint32{7, 8}},
	} {
		if got := staff(b.PeopleWithin(c.unit, c.at)); !slices.Equal(got, c.want) {
			t.Errorf("in %d on day %d: %v, want %v", c.unit, c.at/day, got, c.want)
		}
	}
	if after := staff(b.PeopleWithin(tokyo, 100*day)); !slices.Equal(before, after) {
		t.Errorf("day 100 was %v and is %v", before, after)
	}
	if got := b.Companies(b.Person(7, 250*day), 250*day); !slices.Equal(got, []uint32{osaka}) {
		t.Errorf("companies %v", got)
	}
	if got := b.Above(tickets, "company", 150*day); got != tokyo {
		t.Errorf("above tickets on day 150: %d", got)
	}
}

// People join, move, go on leave, leave and come back, recorded in any order of
// days. Each answer is that of somebody who goes through all entries by hand.
func TestPeopleAreThoseOfTheDay(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		l := &ledger{}
		read := l.add(&sekisho.DirectoryRead{Source: "hr"})
		type fact struct {
			*sekisho.PersonChanged
			recorded sekisho.Time
			seq      uint64
		}
		var facts []fact
		for range 300 {
			l.now += sekisho.Time(rng.IntN(3)) * day
			p := &sekisho.PersonChanged{Read: read, Staff: 1 + rng.Uint32N(20), Action: "changed", Effective: sekisho.Time(rng.IntN(500)) * day, Employed: "employee"}
			p.Joined = sekisho.Time(rng.IntN(200)) * day
			if rng.IntN(3) == 0 {
				p.Left = p.Joined + sekisho.Time(1+rng.IntN(300))*day
			}
			facts = append(facts, fact{p, l.now, l.add(p)})
		}
		b := l.book()
		for range 200 {
			at := sekisho.Time(rng.IntN(520)) * day
			known := sekisho.Time(rng.IntN(2)) * sekisho.Time(1+rng.IntN(320)) * day
			type one struct {
				joined, left     sekisho.Time
				version, first   sekisho.Time
				seq, firstSeq    uint64
				known, hasBefore bool
				unstated         bool
			}
			all := map[uint32]*one{}
			for _, f := range facts {
				if known != 0 && f.recorded > known {
					continue
				}
				o := all[f.Staff]
				if o == nil {
					o = &one{first: f.Effective, firstSeq: f.seq}
					all[f.Staff] = o
				}
				switch {
				case f.Joined != 0:
					o.joined, o.unstated = f.Joined, false
				case !o.known:
					o.joined, o.unstated = f.Effective, true
				case o.unstated:
					o.joined = min(o.joined, f.Effective)
				}
				o.known, o.left = true, f.Left
				if f.Effective < o.first {
					o.first, o.firstSeq = f.Effective, f.seq
				}
				if f.Effective <= at && (!o.hasBefore || f.Effective >= o.version) {
					o.hasBefore, o.version, o.seq = true, f.Effective, f.seq
				}
			}
			var want []uint32
			seqs := map[uint32]uint64{}
			for s, o := range all {
				if o.joined <= at && (o.left == 0 || at < o.left) {
					want = append(want, s)
					if seqs[s] = o.seq; !o.hasBefore {
						seqs[s] = o.firstSeq
					}
				}
			}
			slices.Sort(want)
			for p := range b.Known(at, known) {
				if p.Seq != seqs[p.Staff] {
					t.Fatalf("seed %d, day %d, known on day %d: person %d as entry %d says, want %d", seed, at/day, known/day, p.Staff, p.Seq, seqs[p.Staff])
				}
			}
			if got := staff(b.Known(at, known)); !slices.Equal(got, want) {
				t.Fatalf("seed %d, day %d, known on day %d: %v, want %v", seed, at/day, known/day, got, want)
			}
		}
	}
}

// Who joined and who left within a window: a mistaken date that was put right
// counts as what it is now, and who came back counts twice.
func TestMoves(t *testing.T) {
	l := &ledger{now: 100 * day}
	say := func(staff uint32, action string, effective, joined, left sekisho.Time) {
		l.add(&sekisho.PersonChanged{Staff: staff, Action: action, Effective: effective * day, Joined: joined * day, Left: left * day, Employed: "employee"})
	}
	say(1, "joined", 10, 10, 0)
	say(2, "joined", 20, 20, 0)
	say(2, "changed", 20, 40, 0) // it was day 40
	say(3, "joined", 5, 5, 0)
	say(3, "left", 30, 5, 30)
	say(3, "returned", 60, 60, 0)
	b := l.book()
	for _, c := range []struct {
		from, until  sekisho.Time
		joined, left []uint32
	}{
		{0, 10, []uint32{3}, nil}, {10, 30, []uint32{1}, nil}, {30, 50, []uint32{2}, []uint32{3}}, {0, 100, []uint32{1, 2, 3}, []uint32{3}},
	} {
		in, out := b.Moves(c.from*day, c.until*day)
		if got := fmt.Sprint(staff(slices.Values(in)), staff(slices.Values(out))); got != fmt.Sprint(c.joined, c.left) {
			t.Errorf("days %d to %d: %v, want %v %v", c.from, c.until, got, c.joined, c.left)
		}
	}
}

// A ring of parents, which a source may give, ends nothing.
func TestARingOfUnits(t *testing.T) {
	l := &ledger{}
	l.add(&sekisho.UnitChanged{Unit: 1, Is: "department", Parent: 2, Action: "opened"})
	l.add(&sekisho.UnitChanged{Unit: 2, Is: "department", Parent: 1, Action: "opened"})
	b := l.book()
	if got := b.Above(1, "company", 0); got != 0 {
		t.Errorf("a company above a ring: %d", got)
	}
	if got := b.Within(1, 0); len(got) != 2 {
		t.Errorf("within a ring: %v", got)
	}
}

// 50,000 people over three years.
func BenchmarkBook(b *testing.B) {
	l := &ledger{}
	read := l.add(&sekisho.DirectoryRead{Source: "hr"})
	rng := rand.New(rand.NewPCG(1, 1))
	for u := range uint32(60) {
		l.add(&sekisho.UnitChanged{Read: read, Unit: 1 + u, Is: "company", Action: "opened"})
	}
	for u := range uint32(3000) {
		l.add(&sekisho.UnitChanged{Read: read, Unit: 61 + u, Is: "department", Parent: 1 + u%60, Action: "opened"})
	}
	for year := range sekisho.Time(3) {
		for p := range uint32(50_000) {
			l.add(&sekisho.PersonChanged{Read: read, Staff: 1 + p, Action: "changed", Effective: year * 365 * day, Employed: "employee",
				Postings: []sekisho.PersonPosting{{Unit: 61 + rng.Uint32N(3000), As: "main"}}})
		}
	}
	book := l.book()
	b.Run("fold", func(b *testing.B) {
		for b.Loop() {
			l.book()
		}
	})
	b.Run("people", func(b *testing.B) {
		for b.Loop() {
			book.PeopleAt(400 * day)
		}
	})
	b.Run("within", func(b *testing.B) {
		for b.Loop() {
			book.PeopleWithin(5, 400*day)
		}
	})
	b.Run("moves", func(b *testing.B) {
		for b.Loop() {
			book.Moves(365*day, 730*day)
		}
	})
}
