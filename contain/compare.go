package contain

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// A Difference is what intended and enforced do not agree in.
type Difference struct {
	Intended int      // cuts that should be in force
	Enforced int      // of these
	Missing  []string // those that are not, each as a person reads it
	Extra    []string // cuts in force that nobody ordered
	Faults   []string // codes of the hand's own
}

// None: what is in force is what was ordered.
func (d *Difference) None() bool {
	return len(d.Missing) == 0 && len(d.Extra) == 0 && len(d.Faults) == 0
}

// Compare looks at both sides: whether all that is intended is enforced, and
// whether anything is that nobody ordered.
func Compare(intended, enforced Observed) Difference {
	d := Difference{Faults: enforced.Faults}
	text := func(s string) string { return s }
	both(&d, intended.Egress, enforced.Egress, netip.Prefix.Compare, Short)
	both(&d, intended.Destinations, enforced.Destinations, netip.Prefix.Compare, Short)
	both(&d, intended.Endpoints, enforced.Endpoints, cmp.Compare[string], text)
	both(&d, intended.Principals, enforced.Principals, cmp.Compare[uint32], func(n uint32) string { return fmt.Sprintf("person %d", n) })
	both(&d, intended.Roles, enforced.Roles, cmp.Compare[string], func(s string) string { return "role " + s })
	both(&d, intended.Tables, enforced.Tables, cmp.Compare[string], func(s string) string { return "table " + s })
	return d
}

// Short is an address as a person writes it: a prefix of one address without
// its length.
func Short(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func both[T any](d *Difference, want, have []T, compare func(a, b T) int, say func(T) string) {
	same := func(a, b T) bool { return compare(a, b) == 0 }
	sorted := func(list []T) []T {
		if !slices.IsSortedFunc(list, compare) {
			list = slices.SortedFunc(slices.Values(list), compare)
		}
		for i := 1; i < len(list); i++ {
			if same(list[i-1], list[i]) {
				return slices.CompactFunc(slices.Clone(list), same)
			}
		}
		return list
	}
	want, have = sorted(want), sorted(have)
	d.Intended += len(want)
	for i, j := 0, 0; i < len(want) || j < len(have); {
		switch {
		case j == len(have) || i < len(want) && compare(want[i], have[j]) < 0:
			d.Missing = append(d.Missing, say(want[i]))
			i++
		case i == len(want) || compare(want[i], have[j]) > 0:
			d.Extra = append(d.Extra, say(have[j]))
			j++
		default:
			d.Enforced++
			i, j = i+1, j+1
		}
	}
}
