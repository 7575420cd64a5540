package gate

import (
	"net/netip"
	"sync"
	"time"
)

// Limits on what clients that do not get in can make the gate do. The port may
// be open to anybody: each failed try must not be an entry that stays for good.
const (
	triesPerAddress = 10                     // entries a minute for one address
	triesInAll      = 100                    // entries a minute
	triesFree       = 3                      // failures in a minute before the answer is delayed
	triesDelay      = 100 * time.Millisecond // doubled with each further one
	triesMostDelay  = time.Second
	triesAddresses  = 4096 // that are told apart; the rest counts as one
)

// tries counts failed tries to get in, minute by minute.
type tries struct {
	mu       sync.Mutex
	minute   int64
	by       map[netip.Addr]int
	recorded int
	left     int // not recorded
}

// verdict is what becomes of one failed try.
type verdict struct {
	record bool          // it gets an entry of its own
	delay  time.Duration // before it is answered
	first  bool          // the first of this minute that gets none
	before int           // how many got none in an earlier minute, told once
}

// failed counts a try of an address. A whole IPv6 network of 64 bits, which one
// customer of a provider has to himself, is one address.
func (t *tries) failed(from netip.Addr, now time.Time) (v verdict) {
	if from.Is6() && !from.Is4In6() {
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if minute := now.Unix() / 60; minute != t.minute || t.by == nil {
		v.before = t.left
		t.minute, t.by, t.recorded, t.left = minute, map[netip.Addr]int{}, 0, 0
	}
	if _, known := t.by[from]; !known && len(t.by) >= triesAddresses {
		from = netip.Addr{}
	}
	t.by[from]++
	n := t.by[from]
	if n > triesFree {
		v.delay = min(triesDelay<<min(n-triesFree-1, 8), triesMostDelay)
	}
	if v.record = n <= triesPerAddress && t.recorded < triesInAll; v.record {
		t.recorded++
	} else {
		t.left++
		v.first = t.left == 1
	}
	return v
}
