package contain_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"sekisho"
	"sekisho/contain"
	"sekisho/incident"
	"sekisho/sekishotest/handtest"
)

// The suite itself, on the hand that tests use beside the gate.
func TestContainFileHand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	handtest.Run(t, handtest.Case{
		Open: func(*testing.T) contain.Hand {
			return &handtest.File{Called: "list", Path: path, Can: contain.DoesEgress | contain.DoesDestinations | contain.DoesGate}
		},
		Break: func(t *testing.T) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// pages fold bodies as a ledger would.
type pages struct {
	book *incident.Book
	seq  uint64
	now  sekisho.Time
}

func newPages() *pages { return &pages{book: incident.New(), now: 1_000_000_000_000} }

func (l *pages) put(b sekisho.Body) uint64 {
	l.seq++
	l.now += 1e6
	for _, more := range l.book.React(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: l.seq}, Time: l.now, Body: b}) {
		l.put(more)
	}
	return l.seq
}

// Two orders over the same terminal: what one gives back, the other still cuts.
func TestContainCombinesOrders(t *testing.T) {
	l := newPages()
	one := l.put(&sekisho.ContainmentProposed{Cuts: sekisho.CutEgress, Endpoints: []sekisho.ContainedEndpoint{
		{Name: "pc-1", Addresses: prefixes("10.0.0.1/32")}, {Name: "pc-2", Addresses: prefixes("10.0.0.2/32")}}})
	two := l.put(&sekisho.ContainmentProposed{Cuts: sekisho.CutEgress | sekisho.CutGate, Tables: []string{"member"}, Endpoints: []sekisho.ContainedEndpoint{{Name: "pc-2"}}})
	where := func(name string) []netip.Prefix {
		if name == "pc-2" {
			return prefixes("10.0.0.22/32")
		}
		return nil
	}
	state := func() contain.Observed {
		d := contain.Combine(l.seq, l.book.InForce(), where, contain.Paths{Open: prefixes("10.0.0.1/32")})
		return contain.Only(d, contain.DoesEgress|contain.DoesGate|contain.DoesDestinations)
	}
	expect := func(when string, want contain.Observed) {
		t.Helper()
		if diff := contain.Compare(want, state()); !diff.None() {
			t.Errorf("%s: missing %q, too much %q", when, diff.Missing, diff.Extra)
		}
	}
	expect("proposed only", contain.Observed{})
	l.put(&sekisho.ContainmentDecided{Order: one, Action: "approved", Until: l.now + 3600e6})
	expect("pc-1 is protected", contain.Observed{Egress: prefixes("10.0.0.2/32", "10.0.0.22/32")})
	l.put(&sekisho.ContainmentDecided{Order: two, Action: "broken_glass", Until: l.now + 3600e6})
	expect("both", contain.Observed{Egress: prefixes("10.0.0.2/32", "10.0.0.22/32"), Endpoints: []string{"pc-2"}, Tables: []string{"member"}})
	l.put(&sekisho.ContainmentLifted{Order: two, Cuts: sekisho.CutGate, Endpoints: []string{"pc-2"}})
	expect("the gate is given back", contain.Observed{Egress: prefixes("10.0.0.2/32", "10.0.0.22/32"), Tables: []string{"member"}})
	l.put(&sekisho.ContainmentLifted{Order: two, All: true})
	expect("one order cuts still", contain.Observed{Egress: prefixes("10.0.0.2/32", "10.0.0.22/32")})
	l.put(&sekisho.ContainmentLifted{Order: one, Cuts: sekisho.CutEgress})
	expect("all is given back", contain.Observed{})
	if o := l.book.Order(one); o.State(l.now) != incident.OrderLifted {
		t.Errorf("an order whose last terminal has everything back is %s", o.State(l.now))
	}
	l.put(&sekisho.ContainmentDecided{Order: one, Action: "approved", Until: l.now + 3600e6})
	expect("decided once only", contain.Observed{})
}

// An order that follows its incident takes in destinations that become known
// later, and what an alert of the containment says changes no scope.
func TestContainFollowsTheIncident(t *testing.T) {
	l := newPages()
	l.put(&sekisho.Alert{Detector: "egress", Endpoint: "pc-1", From: l.now, Until: l.now + 1, Target: netip.MustParseAddr("203.0.113.1")})
	number := l.book.List()[0].Number
	order := l.put(&sekisho.ContainmentProposed{Incident: number, Follow: true})
	l.put(&sekisho.ContainmentDecided{Order: order, Action: "approved", Until: l.now + 3600e6})
	l.put(&sekisho.Alert{Detector: "egress", Endpoint: "pc-1", From: l.now, Until: l.now + 1, Target: netip.MustParseAddr("203.0.113.2")})
	l.put(&sekisho.Alert{Detector: "containment", Endpoint: "pc-9", From: l.now, Until: l.now + 1, Basis: []uint64{order}, Observed: 1, Limit: 2})
	if got := l.book.Order(order).Destinations(); len(got) != 2 {
		t.Errorf("it blocks %v", got)
	}
	one := l.book.Get(number)
	if len(l.book.List()) != 1 || len(one.Endpoints) != 1 || len(one.Alerts) != 2 {
		t.Errorf("the incident has endpoints %v and %d alerts", one.Endpoints, len(one.Alerts))
	}
	said := one.Timeline[len(one.Timeline)-1].English(nil)
	if want := "Order 3: 1 of 2 cuts are in force."; said != want {
		t.Errorf("the timeline says %q, want %q", said, want)
	}
}

// What a sensor sees leave a terminal that is cut is a leak; what began before
// it was cut is none.
func TestContainSeesLeaks(t *testing.T) {
	l := newPages()
	order := l.put(&sekisho.ContainmentProposed{Cuts: sekisho.CutEgress, Endpoints: []sekisho.ContainedEndpoint{{Name: "pc-1"}}})
	before := l.now
	l.put(&sekisho.ContainmentDecided{Order: order, Action: "approved", Until: l.now + 3600e6})
	out := &sekisho.Egress{Endpoint: "pc-1", Target: netip.MustParseAddr("203.0.113.1"), Out: 9, Start: before, End: before + 1}
	l.put(out)
	if n := len(l.book.Order(order).Leaks); n != 0 {
		t.Errorf("%d leaks by what began before", n)
	}
	later := *out
	later.Start = l.now + 60e6
	l.put(&later)
	if n := len(l.book.Order(order).Leaks); n != 1 {
		t.Errorf("%d leaks, want 1", n)
	}
	l.put(&sekisho.ContainmentLifted{Order: order, All: true})
	l.put(&later)
	if n := len(l.book.Order(order).Leaks); n != 1 {
		t.Errorf("%d leaks after the lift, want 1", n)
	}
}
