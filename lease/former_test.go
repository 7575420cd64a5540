package lease

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"sekisho"
	"sekisho/budget"
)

// Two sessions lack the same share at once. The second asks when the first has
// been answered, and has used it: the issuer hears what is so then, and lends
// nobody else what is used here.
func TestWhoWaitsToAskSaysWhatIsSoThen(t *testing.T) {
	for seed := range uint64(40) {
		w := newWorld(t, seed, 2)
		w.quiet = true
		issuer, g := w.gates[0], w.gates[1]
		g.asks.send = func(ctx context.Context, q *Question) (*Answer, error) { return issuer.door.Answer(ctx, 2, q) }
		now := func() sekisho.Time { return sekisho.At(g.wall()) }
		everybody := make([]uint32, 3*w.limit)
		for i := range everybody {
			everybody[i] = uint32(i + 1)
		}
		first, second := g.book.Account(budget.Holder{Principal: 1}, "member"), g.book.Account(budget.Holder{Principal: 1}, "member")
		for used := 0; used < w.limit; {
			second.Spend(now(), everybody, true)
			two, ok := second.Lacking()
			if !ok {
				break // it has it all
			}
			for range 3 {
				first.Spend(now(), everybody, true)
				if one, ok := first.Lacking(); ok {
					if err := g.asks.Ask(context.Background(), one); err != nil {
						t.Fatal(err)
					}
				}
				used, _ = first.Spend(now(), everybody, true)
			}
			if err := g.asks.Ask(context.Background(), two); err != nil && !errors.Is(err, budget.ErrSpent) {
				t.Fatal(err)
			}
			if lent := issuer.book.LentOut(); len(lent) != 1 || lent[0].Share < uint64(used) {
				t.Fatalf("world %d: the gate has used %d of %d, and its issuer counts %+v", seed, used, w.limit, lent)
			}
		}
	}
}

// A house that grants no shares any more answers nobody. What it has lent counts
// on, through restarts, until it has run out and a window has passed; then the
// house has all of its budget again. Never do more leave both gates than the limit.
func TestWhoGrantsNoMoreHasItsBudgetAgain(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.rnd, w.quiet = rand.New(rand.NewPCG(1, 1)), true
	issuer, g := w.gates[0], w.gates[1]
	read := func(g *simGate, who uint32) bool {
		a := g.book.Account(budget.Holder{Principal: 1}, "member")
		for {
			within, _ := a.Spend(sekisho.At(g.wall()), []uint32{who}, true)
			if within == 1 {
				g.put(&sekisho.Access{Session: g.session, Shape: g.shape, Number: 1, Class: sekisho.Exact, Rows: 1, Subjects: []uint32{who}})
				w.released = append(w.released, release{w.now, who})
				w.check()
				return true
			}
			ask, ok := a.Lacking()
			if !ok {
				return false
			}
			if g.asks == nil || g.asks.Ask(context.Background(), ask) != nil {
				a.Refused()
			}
		}
	}
	for who := uint32(1); who <= 4; who++ {
		for tries := 0; !read(g, who) && tries < 100; tries++ {
			w.now += 11e6
		}
	}
	issuer.former = true
	issuer.start()
	if _, err := issuer.door.Answer(context.Background(), 2, &Question{Gate: 2, Epoch: g.epoch, Instance: "later", Number: 1000}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a gate that asks is told %v", err)
	}
	lent := issuer.book.LentOut()
	if len(lent) != 1 || lent[0].Share < 4 || lent[0].Lapsed {
		t.Fatalf("it has lent %+v", lent)
	}
	frees, share := lent[0].Frees(issuer.door.conf.Margin), int(lent[0].Share)
	fresh, lapsed := uint32(1000), false
	for sekisho.At(issuer.wall()) < frees {
		for read(issuer, fresh) {
			fresh++
		}
		if in := int(issuer.book.Uses(sekisho.At(issuer.wall()))[0].Used); in != w.limit-share {
			t.Fatalf("at %v, %d count at the house itself, of %d, while %d are lent until %v", sekisho.At(issuer.wall()), in, w.limit, share, frees)
		}
		w.now += window / 6
		read(g, 1) // as long as it can
		issuer.door.Sweep(context.Background())
		if now := issuer.book.LentOut(); len(now) == 1 && now[0].Lapsed {
			lapsed = true
			issuer.start() // it is folded, too
		}
	}
	if !lapsed {
		t.Error("the share never lapsed")
	}
	for range 3 { // by the clock that nobody sets, since the last start
		w.now += window / 6
		issuer.door.Sweep(context.Background())
	}
	if left := issuer.book.LentOut(); len(left) != 0 {
		t.Fatalf("behind its time there are %+v", left)
	}
	w.now += 2 * window // of the house's own
	got := 0
	for ; read(issuer, fresh); fresh++ {
		got++
	}
	if got != w.limit {
		t.Errorf("the house has %d of %d", got, w.limit)
	}
}
