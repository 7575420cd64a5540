// Package handtest holds every hand of containment to the contract of
// contain.Hand.
package handtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/contain"
)

// A Case is one hand on a real thing of its own.
type Case struct {
	// Open makes a hand on the thing. It is called again to play a start of
	// sekisho while the thing goes on.
	Open func(t *testing.T) contain.Hand
	// Forgets: the hand is a part of sekisho, so that a start leaves nothing.
	Forgets bool
	// Blind: it cannot be read back.
	Blind bool
	// Break takes something away from what is in force, behind the hand's back;
	// nil: that cannot be done.
	Break func(t *testing.T)
	// Cut says whether a source cannot reach a destination at present, by trying;
	// nil: there is nothing to try with.
	Cut func(t *testing.T, from, to netip.Addr) bool
	// From are sources that Cut can try, at least three, and To a destination
	// outside; Inside is one within. They are used in place of invented ones.
	From       []netip.Addr
	To, Inside netip.Addr
}

// Run holds the hand to the contract.
func Run(t *testing.T, c Case) {
	if len(c.From) == 0 {
		c.From = []netip.Addr{netip.MustParseAddr("10.1.4.1"), netip.MustParseAddr("10.1.4.2"), netip.MustParseAddr("fd00:1::3")}
		c.To, c.Inside = netip.MustParseAddr("203.0.113.66"), netip.MustParseAddr("10.9.9.9")
	}
	h := c.Open(t)
	if h.Name() == "" || h.Place() == "" || h.Does() == 0 {
		t.Fatalf("a hand %q at %q that does %b", h.Name(), h.Place(), h.Does())
	}
	one, two := c.desired(1, 0), c.desired(2, 0, 1)
	t.Run("nothing at first", func(t *testing.T) { c.expect(t, h, c.desired(0)) })
	t.Run("exactly what is desired", func(t *testing.T) {
		for i, d := range []contain.Desired{one, two, one, c.desired(3, 1), c.desired(4)} {
			apply(t, h, d)
			c.expect(t, h, d)
			if t.Failed() {
				t.Fatalf("at state %d", i)
			}
		}
	})
	t.Run("the same again changes nothing", func(t *testing.T) {
		for range 3 {
			apply(t, h, two)
			c.expect(t, h, two)
		}
	})
	t.Run("protected paths stay open", func(t *testing.T) {
		d := c.desired(5, 0, 1)
		d.Open = append(d.Open, netip.PrefixFrom(c.From[1], c.From[1].BitLen()))
		apply(t, h, d)
		c.expect(t, h, d)
	})
	t.Run("it does not change what it was given", func(t *testing.T) {
		d, same := c.desired(6, 0, 1), c.desired(6, 0, 1)
		apply(t, h, d)
		if !reflect.DeepEqual(d, same) {
			t.Errorf("%+v became %+v", same, d)
		}
	})
	t.Run("a call that was given up leaves the old state or the new one", func(t *testing.T) {
		apply(t, h, one)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err := h.Apply(ctx, two)
		if c.Blind {
			return
		}
		was := one
		if err == nil {
			was = two
		}
		if errors.Is(err, contain.ErrPartial) {
			t.Errorf("a call that was given up before it began: %v", err)
		}
		c.expect(t, h, was)
	})
	t.Run("names are data", func(t *testing.T) {
		d := c.desired(7, 0, 1)
		for i, name := range []string{"a\"; drop table\n#", "事務所 {1}\t'$(reboot)'"} {
			d.Targets[i].Endpoint = name
		}
		slices.SortFunc(d.Targets, func(a, b contain.Target) int { return strings.Compare(a.Endpoint, b.Endpoint) })
		apply(t, h, d)
		c.expect(t, h, d)
	})
	t.Run("it outlives sekisho", func(t *testing.T) {
		apply(t, h, two)
		h = c.Open(t)
		if c.Forgets {
			c.expect(t, h, c.desired(0))
			apply(t, h, two)
		}
		c.expect(t, h, two)
	})
	if c.Break != nil {
		t.Run("what somebody takes away is seen, and asserted again", func(t *testing.T) {
			apply(t, h, two)
			c.Break(t)
			if diff := c.difference(t, h, two); diff.None() {
				t.Error("it says that all is in force")
			}
			apply(t, h, two)
			c.expect(t, h, two)
		})
	}
	t.Run("many", func(t *testing.T) {
		d := contain.Desired{Through: 8, Orders: []uint64{1}}
		for i := range 10_000 {
			a := netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})
			d.Targets = append(d.Targets, contain.Target{Endpoint: fmt.Sprintf("pc-%05d", i), Addresses: []netip.Prefix{netip.PrefixFrom(a, 32)},
				Cuts: sekisho.CutEgress | sekisho.CutGate, Orders: []uint64{1}})
		}
		apply(t, h, d)
		c.expect(t, h, d)
	})
	t.Run("nothing gives everything back", func(t *testing.T) {
		apply(t, h, contain.Desired{Through: 9})
		c.expect(t, h, c.desired(0))
	})
}

// desired cuts the sources with these indexes.
func (c *Case) desired(through uint64, from ...int) contain.Desired {
	d := contain.Desired{Through: through}
	if len(from) == 0 {
		return d
	}
	d.Orders, d.Inside = []uint64{1}, []netip.Prefix{netip.PrefixFrom(c.Inside, c.Inside.BitLen())}
	for _, i := range from {
		a := c.From[i]
		d.Targets = append(d.Targets, contain.Target{Endpoint: fmt.Sprintf("pc-%d", i), Addresses: []netip.Prefix{netip.PrefixFrom(a, a.BitLen())},
			Cuts: sekisho.CutEgress | sekisho.CutGate, Orders: []uint64{1}})
	}
	d.Principals, d.Roles, d.Tables = []uint32{uint32(through)}, []string{"role"}, []string{"table"}
	d.Destinations = []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8:66::/48")}
	return d
}

func apply(t *testing.T, h contain.Hand, d contain.Desired) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if err := h.Apply(ctx, d); err != nil {
		t.Fatalf("applying: %v", err)
	}
}

func (c *Case) difference(t *testing.T, h contain.Hand, d contain.Desired) contain.Difference {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	o, err := h.Enforced(ctx)
	if err != nil {
		t.Fatalf("reading back: %v", err)
	}
	return contain.Compare(contain.Only(d, h.Does()), o)
}

// expect compares what the hand says, and what a try shows, with d.
func (c *Case) expect(t *testing.T, h contain.Hand, d contain.Desired) {
	t.Helper()
	if c.Blind {
		if _, err := h.Enforced(t.Context()); !errors.Is(err, contain.ErrBlind) {
			t.Errorf("a blind hand answers %v", err)
		}
	} else if diff := c.difference(t, h, d); !diff.None() {
		t.Errorf("missing %q, extra %q, faults %q", diff.Missing[:min(5, len(diff.Missing))], diff.Extra[:min(5, len(diff.Extra))], diff.Faults)
	}
	if c.Cut == nil || h.Does()&contain.DoesEgress == 0 {
		return
	}
	want := contain.Only(d, contain.DoesEgress).Egress
	for _, from := range c.From {
		cut := slices.ContainsFunc(want, func(p netip.Prefix) bool { return p.Contains(from) })
		if got := c.Cut(t, from, c.To); got != cut {
			t.Errorf("from %v to the outside: cut %v, want %v", from, got, cut)
		}
		if c.Cut(t, from, c.Inside) {
			t.Errorf("from %v to the inside: cut", from)
		}
	}
}
