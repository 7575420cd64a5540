package contain_test

import (
	"fmt"
	"net/netip"
	"testing"

	"sekisho/contain"
)

// Ten thousand terminals, from the word of the second person until two hands have
// been read back.
func BenchmarkContain10000Endpoints(b *testing.B) {
	before := listed
	listed = map[string][]netip.Prefix{}
	for i := range 10_000 {
		listed[fmt.Sprintf("pc-%05d", i)] = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}), 32)}
	}
	b.Cleanup(func() { listed = before })
	o, err := openKeeping(b.TempDir(), contain.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer o.close()
	did := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		b.StopTimer()
		number, err := o.Propose(b.Context(), contain.Ask{System: "member-db", Cuts: []string{"egress", "gate"}, Reason: "a measurement"}, o.actor("suzuki", true))
		did(err)
		b.StartTimer()
		did(o.Decide(b.Context(), number, "approved", "", o.actor("tanaka", true)))
		b.StopTimer()
		hands := o.Hands()
		if hands[0].Enforced != 10_000 || hands[1].Enforced != 20_000 {
			b.Fatalf("in force: %d and %d", hands[0].Enforced, hands[1].Enforced)
		}
		did(o.Lift(b.Context(), number, contain.LiftAsk{All: true, Reason: "over"}, o.actor("tanaka", true)))
		b.StartTimer()
	}
}

// The set of ten thousand terminals, with its blast radius.
func BenchmarkPlan10000Endpoints(b *testing.B) {
	before := listed
	listed = map[string][]netip.Prefix{}
	for i := range 10_000 {
		listed[fmt.Sprintf("pc-%05d", i)] = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}), 32)}
	}
	b.Cleanup(func() { listed = before })
	o, err := openKeeping(b.TempDir(), usual)
	if err != nil {
		b.Fatal(err)
	}
	defer o.close()
	for b.Loop() {
		if p, err := o.Plan(contain.Ask{System: "member-db"}); err != nil || len(p.Terminals) != 10_000 {
			b.Fatal(err)
		}
	}
}
