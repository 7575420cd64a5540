package house

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sekisho"
	"slices"

	"sekisho/console"
	"sekisho/contain"
	"sekisho/gate"
	"sekisho/incident"
)

// gateHand is the gate as a hand: it shuts out endpoints, accounts, roles and
// tables.
type gateHand struct {
	gate    *gate.Gate
	ledger  string
	contact string
}

func (*gateHand) Name() string       { return incident.GateHand }
func (h *gateHand) Place() string    { return "gate " + h.ledger }
func (*gateHand) Does() contain.Does { return contain.DoesGate }

// Apply puts another suspension in place of the one in force: one pointer is
// exchanged.
func (h *gateHand) Apply(ctx context.Context, d contain.Desired) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	su := &gate.Suspension{Endpoints: map[string]uint64{}, Principals: map[uint32]uint64{}, Roles: map[string]uint64{}, Tables: map[string]uint64{}, Contact: h.contact}
	order := uint64(0)
	if len(d.Orders) == 1 {
		order = d.Orders[0]
	}
	for _, name := range contain.Only(d, contain.DoesGate).Endpoints {
		su.Endpoints[name] = order
	}
	for _, t := range d.Targets {
		if _, ok := su.Endpoints[t.Endpoint]; !ok {
			continue
		}
		su.Endpoints[t.Endpoint] = t.Orders[len(t.Orders)-1]
		for _, a := range t.Addresses {
			if !slices.ContainsFunc(d.Open, func(p netip.Prefix) bool { return p.Contains(a.Addr()) && p.Bits() <= a.Bits() }) {
				su.Addresses = append(su.Addresses, a)
			}
		}
	}
	for _, n := range d.Principals {
		su.Principals[n] = order
	}
	for _, n := range d.Roles {
		su.Roles[n] = order
	}
	for _, n := range d.Tables {
		su.Tables[n] = order
	}
	h.gate.Suspend(su)
	return nil
}

// Enforced reads the gate's own table, and looks for sessions that should not
// be there any more.
func (h *gateHand) Enforced(ctx context.Context) (o contain.Observed, err error) {
	su, there := h.gate.Suspended()
	o.Endpoints, o.Principals = slices.Collect(maps.Keys(su.Endpoints)), slices.Collect(maps.Keys(su.Principals))
	o.Roles, o.Tables = slices.Collect(maps.Keys(su.Roles)), slices.Collect(maps.Keys(su.Tables))
	if there > 0 {
		o.Faults = append(o.Faults, "sessions")
	}
	return o, ctx.Err()
}

// OpenContain makes the keeper of containments, and puts in force what the
// ledger says is ordered: before a door opens. It comes after OpenGate, if the
// house has a gate.
func (h *House) OpenContain(ctx context.Context) (err error) {
	parts := contain.Parts{
		Config: h.Config.Contain, System: h.Config.Name, Listed: map[string][]netip.Prefix{},
		Orders: h.Incidents, Census: h.Census, Read: h.Views.Read, WaitFor: h.Views.WaitFor, Append: h.append,
		Ordinal: func(space, key string) uint32 { return h.Vault.Space(space).OfText([]byte(key)) },
		Known: func(space, key string) uint32 {
			n, _ := h.Vault.Space(space).Find(key)
			return n
		},
		Name: h.nameOf, People: h.personAt, Now: h.now, Log: h.Log.With("door", "contain"),
	}
	inside := h.Config.Sensors.Inside
	if len(inside) == 0 {
		inside = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1"}
	}
	if parts.Inside, err = sekisho.ParsePrefixes(inside); err != nil {
		return err
	}
	for _, b := range h.Config.Sensors.Bindings {
		if !b.Until.IsZero() && !b.Until.After(h.now()) || b.Since.After(h.now()) {
			continue
		}
		at, err := sekisho.ParsePrefixes([]string{b.Address})
		if err != nil {
			return err
		}
		parts.Listed[b.Endpoint] = append(parts.Listed[b.Endpoint], at...)
	}
	parts.Roles = slices.Sorted(maps.Keys(h.Config.Gate.Roles))
	for _, t := range h.Config.Catalog.Tables {
		parts.Tables = append(parts.Tables, t.Name)
	}
	if h.Gate != nil {
		parts.Hands = append(parts.Hands, &gateHand{h.Gate, h.Config.Name, h.Config.Contain.Contact})
		parts.MayRead = func() func(string, bool) []string { return h.Gate.Readers().From }
	}
	parts.Hands = append(parts.Hands, h.moreHands...)
	if h.Contain, err = contain.New(parts); err != nil {
		return fmt.Errorf("opening the keeper of containments: %w", err)
	}
	h.Contain.Assert(ctx)
	return nil
}

// personAt is what the config knows of an account at the gate.
func (h *House) personAt(account string) (p contain.Person, ok bool) {
	for _, one := range h.Config.Gate.Principals {
		if one.Name == account {
			return contain.Person{Role: one.Role, Post: one.Post, Company: one.Company}, true
		}
	}
	return p, false
}

// KeepContained sees to it that what is ordered stays in force, until ctx ends.
func (h *House) KeepContained(ctx context.Context) { h.Contain.Run(ctx) }

// Containments lists orders and hands.
func (c *Caller) Containments(ctx context.Context) (p console.ContainmentsPage, err error) {
	return p, c.tell(ctx, "/api/containments", nil, &p)
}

// Containment shows one order.
func (c *Caller) Containment(ctx context.Context, number uint64) (p console.ContainmentPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/containments/%d", number), nil, &p)
}

// PlanContainment says what an order would do. Nothing happens.
func (c *Caller) PlanContainment(ctx context.Context, ask contain.Ask) (p contain.Plan, err error) {
	return p, c.tell(ctx, "/api/containments/plan", ask, &p)
}

// ProposeContainment records an order.
func (c *Caller) ProposeContainment(ctx context.Context, ask contain.Ask) (p console.ContainmentPage, err error) {
	return p, c.tell(ctx, "/api/containments", ask, &p)
}

// AnswerContainment does something with an order. Where that moves hands, they
// have moved on return, as far as they answer.
func (c *Caller) AnswerContainment(ctx context.Context, number uint64, a console.ContainmentAnswer) (p console.ContainmentPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/containments/%d", number), a, &p)
}

// PlanLift says what a lift would give back. Nothing happens.
func (c *Caller) PlanLift(ctx context.Context, number uint64, ask contain.LiftAsk) (p contain.LiftPlan, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/containments/%d/lift-plan", number), ask, &p)
}
