package budget

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// Whatever comes, in a table or in pages, is remembered as in a plain map, and
// what was forgotten had left the window.
func TestLastsAreAsInAMap(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 5))
		var l lasts
		truth := map[uint32]uint32{}
		now := uint32(1_000_000)
		paged, unpaged := 0, 0
		dense := r.IntN(2) == 0
		for range 400 {
			if r.IntN(10) == 0 {
				dense = !dense
			}
			if r.IntN(3) == 0 {
				to := now + 1 + r.Uint32N(width-1)
				l.advance(now, to)
				now = to
				maps.DeleteFunc(truth, func(_, step uint32) bool { return now-step >= width })
			}
			first := r.Uint32N(3_000_000)
			for i := range uint32(500) {
				ord := first + i
				if !dense {
					ord = 1 + r.Uint32N(3_000_000)
				}
				step := now - r.Uint32N(3)
				want, was := truth[ord]
				if got, live := l.see(ord, step, now); live != was || live && got != want {
					t.Fatalf("seed %d: customer %d was seen in step %d (%v), want %d (%v)", seed, ord, got, live, want, was)
				}
				if step > want {
					truth[ord] = step
				}
				if _, live := l.seen(ord, now); !live {
					t.Fatalf("seed %d: customer %d is forgotten at once", seed, ord)
				}
			}
			if l.pages != nil {
				paged++
			} else {
				unpaged++
			}
			if l.made*pageOf > 64*l.filled+9*leastPaged {
				t.Fatalf("seed %d: %d pages for %d customers", seed, l.made, l.filled)
			}
		}
		if got := maps.Collect(l.all(now)); !maps.Equal(got, truth) {
			t.Errorf("seed %d: %d customers, want %d", seed, len(got), len(truth))
		}
		t.Logf("seed %d: %d times in pages, %d in a table", seed, paged, unpaged)
	}
}

// People close together, by the thousand, stand in pages; sweeps lose nobody who
// counts and keep nobody who does not, however long it goes on.
func TestPagesAreSwept(t *testing.T) {
	var l lasts
	now := uint32(7)
	for range 300 {
		for ord := range uint32(20_000) {
			l.see(ord+1, now, now)
		}
		if l.pages == nil {
			t.Fatal("20,000 customers in a row stand in a table")
		}
		l.advance(now, now+13)
		now += 13
		if _, live := l.seen(20_001, now); live {
			t.Fatal("somebody who never came counts")
		}
		l.see(30_000+now%5000, now, now) // seen once, and never again
	}
	for ord := range l.all(now) {
		if ord > 20_000 && ord < 30_000 {
			t.Fatalf("customer %d never came", ord)
		}
	}
	if l.filled > 20_000+70 {
		t.Errorf("%d are kept: sweeps do not forget", l.filled)
	}
}
