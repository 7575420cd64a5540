package drill

import (
	"slices"
	"sync"
	"time"
)

// truth is what the actors know of their own doing: what came back to them,
// what they packed, what they sent. Nothing in it comes from the gate's
// records, and nothing of sekisho sees it before the end.
type truth struct {
	mu       sync.Mutex
	terminal []int64 // read at an infected terminal in the window, by anybody
	attack   []int64 // read by the attacker in the window
	bursts   []int64 // of these, in the two bursts
	trial    []int64 // read by the attacker before the bursts, whenever
	taken    []int64 // arrived at the drop site
	sent     int64   // bytes, with what the transport adds

	recovered []int64 // has a row in the recovered file
	undamaged uint64  // rows of it that are whole
}

// saw keeps what somebody at a terminal was shown.
func (t *truth) saw(endpoint string, at time.Time, members []int64) {
	if !slices.Contains(infected[:], endpoint) || at.Before(windowOn) || !at.Before(windowOff) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.terminal = append(t.terminal, members...)
}

func (t *truth) stole(at time.Time, members []int64, inBurst bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if inBurst {
		t.bursts = append(t.bursts, members...)
	} else {
		t.trial = append(t.trial, members...)
	}
	if !at.Before(windowOn) && at.Before(windowOff) {
		t.attack = append(t.attack, members...)
	}
}

// settle sorts each list, so that it names everybody once.
func (t *truth) settle() {
	for _, l := range []*[]int64{&t.terminal, &t.attack, &t.bursts, &t.trial, &t.taken, &t.recovered} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
}

// common is how many numbers stand in both ascending lists.
func common(a, b []int64) (n uint64) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			n, i, j = n+1, i+1, j+1
		}
	}
	return n
}
