package lease

import (
	"context"
	"testing"

	"sekisho"
	"sekisho/budget"
)

// Somebody keeps answers, and gives them to later questions of the same number,
// of another epoch or gate, in place of the true one or before it. Never do more
// go out than the budget has.
func TestAnswersOfAnotherTimeAreNotBelieved(t *testing.T) {
	given := 0
	for seed := range uint64(150) {
		w := newWorld(t, 9000+seed, 2+int(seed%3))
		w.hostile = true
		for range 500 {
			w.step()
		}
		given += len(w.answers)
	}
	if given == 0 {
		t.Error("there was nothing to give again")
	}
}

// A clock is set back after customers have left the window. Who takes their
// places is recorded no earlier than that: so a gate that starts anew does not
// find both within the window, and let the former be read again for nothing.
func TestAClockThatIsSetBack(t *testing.T) {
	w := newWorld(t, 1, 1)
	g := w.gates[0]
	read := func(first uint32) (within int) {
		var who []uint32
		for i := range uint32(w.limit) {
			who = append(who, first+i)
		}
		within, _ = g.book.Account(budget.Holder{Principal: 1}, "member").Spend(sekisho.At(g.wall()), who, true)
		if within > 0 {
			g.put(&sekisho.Access{Session: g.session, Shape: g.shape, Number: 1, Class: sekisho.Exact, Rows: uint64(within), Subjects: who[:within]})
		}
		for _, s := range who[:within] {
			w.released = append(w.released, release{w.now, s})
		}
		w.check()
		return within
	}
	if n := read(1); n != w.limit {
		t.Fatalf("%d of %d", n, w.limit)
	}
	w.now += window + window/20
	g.book.Uses(sekisho.At(g.wall())) // somebody looks at the page
	g.skew -= window / 2
	if n := read(1000); n != w.limit {
		t.Fatalf("once they have left the window: %d of %d", n, w.limit)
	}
	g.start()
	if n := read(1); n != 0 {
		t.Errorf("%d of those of before are read beside them", n)
	}
}

// A gate that lies gains nothing at the others: it may have what it likes of the
// budget, and the rest of them keep to what is left. That it holds what nobody
// granted it is said, and what it holds is never more than there is.
func TestAGateThatLies(t *testing.T) {
	lies := map[string]func(a *budget.Ask, limit uint64){
		"it holds all":             func(a *budget.Ask, limit uint64) { a.Holds = limit },
		"it holds more than there": func(a *budget.Ask, limit uint64) { a.Holds, a.Want = 1<<40, 1<<40 },
		"it needs all":             func(a *budget.Ask, limit uint64) { a.Want, a.Need = 1<<40, 1<<40 },
		"it has used all":          func(a *budget.Ask, limit uint64) { a.Used, a.Holds = limit, limit },
		"it has used too much":     func(a *budget.Ask, limit uint64) { a.Used, a.Holds = 1<<40, 0 },
		"it has nothing":           func(a *budget.Ask, limit uint64) { a.Used, a.Holds, a.Want, a.Need = 0, 0, 0, 0 },
	}
	for name, lie := range lies {
		for seed := range uint64(20) {
			w := newWorld(t, 12_000+seed, 3)
			issuer, liar := w.gates[0], w.gates[2]
			number := uint64(0)
			for range 300 {
				// What the liar reads is nobody's business but its own: it has the
				// database's login. The others' is counted.
				if w.gates[2] = w.gates[1]; w.rnd.IntN(5) == 0 && !issuer.dead {
					claim := budget.Claim{Budget: "hour", Subject: "member", Principal: "sato", Customers: uint64(w.limit), Seconds: 3600}
					ask := budget.Ask{Claim: claim, Renew: w.rnd.IntN(2) == 0}
					lie(&ask, uint64(w.limit))
					number++
					issuer.door.Answer(context.Background(), 3, &Question{Gate: 3, Epoch: 1, Instance: "liar", Number: number, Asks: []budget.Ask{ask}})
					if issuer.dead {
						issuer.start()
					}
				}
				w.step()
				w.gates[2] = liar
				for _, l := range issuer.book.LentOut() {
					if l.Gate == 3 && l.Share > uint64(w.limit) && name != "it has used too much" {
						t.Fatalf("%s: it has %d of %d", name, l.Share, w.limit)
					}
				}
				room := int64(0)
				for _, u := range issuer.book.Uses(sekisho.At(issuer.wall())) {
					room = max(room, int64(u.Overshoot))
				}
				if name == "it has nothing" && room > int64(w.limit) {
					t.Fatalf("the others have %d of %d", room, w.limit)
				}
			}
			for _, g := range issuer.door.Gates() {
				if g.Number == 2 && g.Claimed > 0 {
					t.Errorf("%s: gate 2, which is honest, is accused", name)
				}
			}
		}
	}
}

// Whoever says to hold what this ledger never granted is named.
func TestWhatNobodyGrantedIsSaid(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.quiet = true
	issuer := w.gates[0]
	claim := budget.Claim{Budget: "hour", Subject: "member", Principal: "sato", Customers: uint64(w.limit), Seconds: 3600}
	put := func(number, used, holds uint64) Share {
		t.Helper()
		a, err := issuer.door.Answer(context.Background(), 2, &Question{Gate: 2, Epoch: 1, Instance: "one", Number: number, Asks: []budget.Ask{{Claim: claim, Used: used, Holds: holds, Want: holds}}})
		if err != nil {
			t.Fatal(err)
		}
		return a.Shares[0]
	}
	put(1, 2, 2)
	if n := issuer.door.Gates()[0].Claimed; n != 0 {
		t.Errorf("what it has used, it may say: %d", n)
	}
	if s := put(2, 2, 1<<40); s.Share != uint64(w.limit) {
		t.Errorf("it has %d of %d", s.Share, w.limit)
	}
	if n := issuer.door.Gates()[0].Claimed; n != 1<<40-2 {
		t.Errorf("it is said to hold %d beyond what it was granted", n)
	}
}
