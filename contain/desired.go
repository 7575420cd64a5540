package contain

import (
	"net/netip"
	"slices"
	"strings"

	"sekisho"
	"sekisho/incident"
)

// Whereabouts says at which addresses an endpoint is known at present. They
// are added to those that an order was proposed with: a terminal that gets
// another address stays cut.
type Whereabouts func(endpoint string) []netip.Prefix

// Paths are what stays open whatever is ordered.
type Paths struct {
	Inside []netip.Prefix
	Open   []netip.Prefix
}

// Combine is everything that the orders in force ask for together.
func Combine(through uint64, orders []*incident.Order, where Whereabouts, paths Paths) Desired {
	d := Desired{Through: through, Inside: paths.Inside, Open: paths.Open}
	targets := map[string]*Target{}
	for _, o := range orders {
		if !o.InForce() {
			continue
		}
		d.Orders = append(d.Orders, o.Number)
		for i := range o.Proposed.Endpoints {
			end := &o.Proposed.Endpoints[i]
			left := o.Left(end.Name)
			if left == 0 {
				continue
			}
			t := targets[end.Name]
			if t == nil {
				t = &Target{Endpoint: end.Name}
				if where != nil {
					t.Addresses = slices.Clone(where(end.Name))
				}
				targets[end.Name] = t
			}
			t.Addresses = append(t.Addresses, end.Addresses...)
			t.Cuts |= left
			if t.Orders = append(t.Orders, o.Number); o.Proposed.Keep {
				t.Until = 0
			} else if len(t.Orders) == 1 || t.Until != 0 {
				t.Until = max(t.Until, o.Until)
			}
		}
		d.Principals = append(d.Principals, o.Proposed.Principals...)
		d.Roles = append(d.Roles, o.Proposed.Roles...)
		d.Tables = append(d.Tables, o.Proposed.Tables...)
		for _, p := range o.Destinations() {
			// One that no hand can close must not keep it from all the others.
			if p, ok := incident.Destination(p); ok {
				d.Destinations = append(d.Destinations, p)
			}
		}
	}
	for _, t := range targets {
		slices.SortFunc(t.Addresses, netip.Prefix.Compare)
		t.Addresses = slices.Compact(t.Addresses)
		d.Targets = append(d.Targets, *t)
	}
	slices.SortFunc(d.Targets, func(a, b Target) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	slices.Sort(d.Orders)
	d.Principals = once(d.Principals)
	d.Roles, d.Tables = once(d.Roles), once(d.Tables)
	slices.SortFunc(d.Destinations, netip.Prefix.Compare)
	d.Destinations = slices.Compact(d.Destinations)
	return d
}

func once[T interface{ ~uint32 | ~string }](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

// needs says which hands can do something for an order.
func needs(p *sekisho.ContainmentProposed) (does Does) {
	if len(p.Endpoints) > 0 {
		if p.Cuts&sekisho.CutEgress != 0 {
			does |= DoesEgress
		}
		if p.Cuts&sekisho.CutGate != 0 {
			does |= DoesGate
		}
	}
	if len(p.Principals)+len(p.Roles)+len(p.Tables) > 0 {
		does |= DoesGate
	}
	if len(p.Destinations) > 0 || p.Follow {
		does |= DoesDestinations
	}
	return does
}
