package gate

import (
	"fmt"
	"net/netip"
	"testing"
)

// Ten thousand terminals are shut out and given back, while sessions of others
// are open.
func BenchmarkSuspend10000Endpoints(b *testing.B) {
	h := newHouse(b)
	for range 50 {
		h.connect("sato")
	}
	su := func() *Suspension {
		su := &Suspension{Endpoints: map[string]uint64{}}
		for i := range 10_000 {
			su.Endpoints[fmt.Sprintf("pc-%05d", i)] = 1
			su.Addresses = append(su.Addresses, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32))
		}
		return su
	}
	for b.Loop() {
		h.gate.Suspend(su())
		h.gate.Suspend(nil)
	}
}
