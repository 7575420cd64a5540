package incident

import (
	"net/netip"
	"slices"

	"sekisho"
)

// moments marks what containments bring about in their incident: a first cut
// when a hand was read back, and a verified one when every hand of an order
// that covers the incident was. Drift takes the latter back: what is not in
// force any more is not contained.
func (b *Book) moments(e *sekisho.Entry) {
	x, ok := e.Body.(*sekisho.ContainmentReported)
	if !ok {
		return
	}
	for _, n := range x.Orders {
		o := b.orders.byNumber[n]
		if o == nil || !o.InForce() {
			continue
		}
		i := b.find(o.Proposed.Incident)
		if i == nil {
			continue
		}
		switch x.State {
		case "applied", "unverified":
			i.mark("contained_partial", e.Time, e.ID.Seq)
			if o.whole() && o.covers(i) {
				i.mark("contained_verified", e.Time, e.ID.Seq)
			}
		case "drift", "partial", "failed":
			if o.covers(i) {
				i.unmark("contained_verified")
			}
		}
	}
}

// whole: each of the order's hands was read back, and has all of it in force.
func (o *Order) whole() bool {
	return len(o.Proposed.Hands) > 0 && !slices.ContainsFunc(o.Proposed.Hands, func(hand string) bool {
		return !slices.ContainsFunc(o.Hands, func(h HandState) bool { return h.Body.Hand == hand && h.Body.State == "applied" })
	})
}

// covers: every terminal of the incident has lost its way out by the order, or
// every hostile destination that is known can be reached by nobody.
func (o *Order) covers(i *Incident) bool {
	all := len(i.Endpoints) > 0
	for _, name := range i.Endpoints {
		all = all && o.Left(name)&sekisho.CutEgress != 0
	}
	if all {
		return true
	}
	hostile := i.Hostile()
	ordered := o.Destinations()
	if o.Proposed.Follow {
		ordered = append(ordered, hostile...)
	}
	return len(hostile) > 0 && !slices.ContainsFunc(hostile, func(p netip.Prefix) bool { return !slices.Contains(ordered, p) })
}
