// Package contain cuts off the outside, proves that it is cut, and gives it
// back. Orders are entries of the ledger (incident.Order); what they ask for
// together is computed from them (Desired); hands carry it out, and a keeper
// compares what is intended with what is in force, every few seconds, for as
// long as an order lives.
package contain

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"sekisho"
)

// A Hand is a door out: something that can take a terminal's way to the outside,
// or to the affected system, and say truly what it has taken.
//
// The contract, which sekishotest/handtest holds every hand to:
//
//   - Apply is given the whole state, not a change. When it returns nil, what is
//     in force is exactly the part of d that this hand can do (Only(d, Does())):
//     everything in it is cut, nothing else is, and connections that were open
//     before carry nothing any more.
//   - It is atomic: at every moment, during the call and if the process dies in
//     it, either the old state is in force or the new one. Never nothing.
//   - It is idempotent: with the same d it changes nothing, and cuts nobody off
//     for a moment.
//   - An empty Desired gives everything back.
//   - What d.Open holds is never cut, whatever the targets say. What d.Inside
//     holds can be reached by everybody: egress is what leaves it.
//   - If Apply fails, what is in force is unchanged, or an error that is
//     ErrPartial says that nobody knows. The keeper tries again.
//   - Enforced looks at the thing itself (the kernel's rules, the published
//     file, the gate's table), never at what Apply was told. If it cannot look,
//     it returns ErrBlind: such a hand is never counted as proof.
//   - What a hand has in force outlives sekisho, unless it is a part of sekisho
//     itself; then Apply is called before the doors open. A hand that forgets by
//     itself (a router that is started again) answers Enforced with what it has
//     now, and the keeper asserts it again.
//   - Both give up when ctx ends. Apply and Enforced of one hand are never
//     called at the same time.
//   - Names of terminals in d are data: a hand that writes them anywhere
//     (a file, a rule's comment, a request) keeps them from being read as
//     anything else. There are no people in d, only ordinals of the vault.
type Hand interface {
	// Name is what entries call the hand, for ever: that of the config.
	Name() string
	// Place is where it works: a machine, a process, a firewall. Two hands at one
	// place fail together, and count as one.
	Place() string
	// Does says what it can cut.
	Does() Does
	Apply(ctx context.Context, d Desired) error
	Enforced(ctx context.Context) (Observed, error)
}

// Does is what a hand can cut. A set of bits.
type Does uint32

const (
	DoesEgress       Does = 1 << iota // the way of a terminal's addresses to the outside
	DoesGate                          // sessions at the gate: endpoints, principals, roles, tables
	DoesDestinations                  // everybody's way to a hostile destination
)

var (
	// ErrBlind: the hand cannot say what is in force.
	ErrBlind = errors.New("this hand cannot be read back")
	// ErrPartial: what is in force is neither the old state nor the new one, or
	// nobody knows which.
	ErrPartial = errors.New("what is in force is not known")
)

// Desired is everything that shall be in force at one time: all orders
// together. The lists are sorted, hold each thing once, and are not to be
// changed.
type Desired struct {
	Through      uint64         `json:"through"`      // sequence number of the ledger's entry up to which orders were read
	Orders       []uint64       `json:"orders"`       // those in force
	Targets      []Target       `json:"targets"`      // by endpoint
	Principals   []uint32       `json:"principals"`   // ordinals in "staff"
	Roles        []string       `json:"roles"`        //
	Tables       []string       `json:"tables"`       //
	Destinations []netip.Prefix `json:"destinations"` // hostile: nobody may reach them
	Inside       []netip.Prefix `json:"inside"`       // the company's own networks: always open
	Open         []netip.Prefix `json:"open"`         // protected paths: sources that are never cut (responders, flight operations), and destinations that everybody keeps
}

// Target is one endpoint.
type Target struct {
	Endpoint  string         `json:"endpoint"`
	Addresses []netip.Prefix `json:"addresses"` // none: nobody knows where it is, and only the gate can cut it
	Cuts      sekisho.Cut    `json:"cuts"`
	Orders    []uint64       `json:"orders"`
	Until     sekisho.Time   `json:"until"` // when the last of its orders ends; 0: never by itself
}

// Observed is what a hand really has in force. Order does not matter, and what
// is there twice counts once.
type Observed struct {
	Egress       []netip.Prefix `json:"egress"`       // sources whose way out is cut
	Destinations []netip.Prefix `json:"destinations"` // that nobody can reach
	Endpoints    []string       `json:"endpoints"`    // shut out at the gate
	Principals   []uint32       `json:"principals"`
	Roles        []string       `json:"roles"`
	Tables       []string       `json:"tables"`
	// Faults are codes of what the hand found wrong with itself although the sets
	// are right: a rule of somebody else's that lets pass before ours is asked
	// ("bypassed"), a firewall that has not fetched the list ("not_fetched").
	Faults []string `json:"faults"`
}

// Only is the part of d that a hand can do: what it is compared with. A target
// without addresses is left out for a hand that knows addresses alone.
func Only(d Desired, does Does) Observed {
	var o Observed
	for _, t := range d.Targets {
		if does&DoesEgress != 0 && t.Cuts&sekisho.CutEgress != 0 {
			for _, a := range t.Addresses {
				if !covered(d.Open, a) {
					o.Egress = append(o.Egress, a)
				}
			}
		}
		if does&DoesGate != 0 && t.Cuts&sekisho.CutGate != 0 {
			o.Endpoints = append(o.Endpoints, t.Endpoint)
		}
	}
	if does&DoesGate != 0 {
		o.Principals, o.Roles, o.Tables = d.Principals, d.Roles, d.Tables
	}
	if does&DoesDestinations != 0 {
		for _, p := range d.Destinations {
			if !covered(d.Open, p) {
				o.Destinations = append(o.Destinations, p)
			}
		}
	}
	slices.SortFunc(o.Egress, netip.Prefix.Compare)
	o.Egress = slices.Compact(o.Egress)
	return o
}

// covered: p lies within one of the list.
func covered(list []netip.Prefix, p netip.Prefix) bool {
	for _, one := range list {
		if one.Bits() <= p.Bits() && one.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
