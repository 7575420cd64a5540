package contain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
)

// An Error is why an order is not taken: a code, with what it is about, which
// the console tells in words.
type Error struct {
	Code  string
	About []any
}

func (e *Error) Error() string {
	if len(e.About) == 0 {
		return "containment: " + strings.ReplaceAll(e.Code, "_", " ")
	}
	return fmt.Sprintf("containment: %s: %v", strings.ReplaceAll(e.Code, "_", " "), e.About)
}

func wrong(code string, about ...any) error { return &Error{code, about} }

// An Ask is what somebody wants to contain, as it is typed.
type Ask struct {
	Incident     uint64   `json:"incident,omitempty"`
	System       string   `json:"system,omitempty"` // every terminal that read it, or may
	Endpoints    []string `json:"endpoints,omitempty"`
	Principals   []string `json:"principals,omitempty"`
	Roles        []string `json:"roles,omitempty"`
	Tables       []string `json:"tables,omitempty"`
	Destinations []string `json:"destinations,omitempty"` // those of the incident need not be named
	Cuts         []string `json:"cuts,omitempty"`         // "egress", "gate"; none: egress of a system, both of named terminals
	For          string   `json:"for,omitempty"`          // such as 24h
	Keep         bool     `json:"keep,omitempty"`         // after its time, until a person lifts it
	Owner        string   `json:"owner,omitempty"`        // none: who asks
	Executive    string   `json:"executive,omitempty"`    // on whose word protected terminals are cut as well
	Alone        bool     `json:"alone,omitempty"`        // fewer than two independent hands will do
	BreakGlass   bool     `json:"break_glass,omitempty"`  // at once, on one person's word
	Reason       string   `json:"reason,omitempty"`
}

// An Actor is who acts. Same says whether another, by the ordinal in "staff", is
// the same person.
type Actor struct {
	Staff  uint32
	Person string
	May    bool // decide on what others ask
	Same   func(staff uint32) bool
}

// longestReason, in bytes.
const longestReason = 4096

// Propose records an order. It waits for an answer on return, unless it is so
// small that one person may give it, or broken glass: then its hands were told.
func (k *Keeper) Propose(ctx context.Context, ask Ask, by Actor) (uint64, error) {
	ask.Reason = strings.TrimSpace(ask.Reason)
	if ask.Reason == "" || len(ask.Reason) > longestReason {
		return 0, wrong("reason")
	}
	k.giving.Lock()
	defer k.giving.Unlock()
	plan, body, err := k.plan(ask)
	if err != nil {
		return 0, err
	}
	if ask.Executive != "" && !slices.Contains(k.Config.Executives, ask.Executive) {
		return 0, wrong("executive", ask.Executive)
	}
	if plan.Independent < 2 && !ask.Alone {
		return 0, wrong("alone", plan.Independent)
	}
	// Glass is broken by the executive who is named, as in Decide: the name alone
	// is not their word.
	if ask.BreakGlass && by.May && ask.Executive != "" && !by.Same(k.Ordinal("staff", ask.Executive)) {
		return 0, wrong("executive_word", ask.Executive)
	}
	// Many small orders are a large one.
	plan.Second = plan.Second || k.aloneBy(by, body) > k.Config.ApproveAbove
	body.By, body.Owner, body.Alone = by.Staff, by.Staff, ask.Alone
	if ask.Owner != "" {
		body.Owner = k.Ordinal("staff", ask.Owner)
	}
	if ask.Executive != "" {
		body.Executive = k.Ordinal("staff", ask.Executive)
	}
	if body.Reason = k.Ordinal("said", ask.Reason); body.Reason == 0 || body.Owner == 0 {
		return 0, errors.New("proposing a containment: the vault takes no more")
	}
	at := k.Now()
	lasts := time.Duration(body.Lasts) * time.Second
	bodies := []sekisho.Body{body}
	id, err := k.Append(ctx, bodies...)
	if err != nil {
		return 0, err
	}
	// A crash here leaves a proposal that waits for an answer.
	number := id.Seq
	if err := k.WaitFor(ctx, number); err != nil {
		return number, err
	}
	action := ""
	switch {
	case ask.BreakGlass && by.May:
		action = "broken_glass"
	case ask.BreakGlass:
		return number, wrong("role")
	case !plan.Second && by.May:
		action = "approved"
	default:
		return number, nil
	}
	if err := k.record(ctx, &sekisho.ContainmentDecided{Order: number, Action: action, Until: sekisho.At(at.Add(lasts)), By: by.Staff}); err != nil {
		return number, err
	}
	k.settle(ctx)
	return number, nil
}

// aloneBy counts the terminals that a person would have cut off alone, with
// another order.
func (k *Keeper) aloneBy(by Actor, body *sekisho.ContainmentProposed) int {
	var others []*incident.Order
	k.Read(func() { others = k.Orders.InForce() })
	cut := map[string]bool{}
	for _, end := range body.Endpoints {
		cut[end.Name] = true
	}
	for _, o := range others {
		if o.Decided.Action != "approved" || !by.Same(o.Decided.By) || !by.Same(o.Proposed.By) {
			continue
		}
		for _, end := range o.Proposed.Endpoints {
			cut[end.Name] = cut[end.Name] || o.Left(end.Name) != 0
		}
	}
	n := 0
	for _, is := range cut {
		if is {
			n++
		}
	}
	return n
}

// Decide answers a proposal: "approved", "rejected", "withdrawn" or
// "broken_glass". With an approval the hands were told on return.
func (k *Keeper) Decide(ctx context.Context, number uint64, action, reason string, by Actor) error {
	k.giving.Lock()
	defer k.giving.Unlock()
	o, err := k.order(number)
	if err != nil {
		return err
	}
	if o.Decided != nil {
		return wrong("decided", number)
	}
	own := by.Same(o.Proposed.By)
	named := o.Proposed.Executive != 0 && by.Same(o.Proposed.Executive)
	executive := o.Proposed.Executive == 0 || named
	switch action {
	case "withdrawn":
		if !own {
			return wrong("withdraw")
		}
	case "rejected", "approved":
		if !by.May && !named {
			return wrong("role")
		}
		if own {
			return wrong("own")
		}
		// What is protected is cut on a named executive's word: theirs is one of the
		// two.
		if action == "approved" && !executive && !sameStaff(o.Proposed.Executive, o.Proposed.By) {
			return wrong("executive_word", k.Name("staff", o.Proposed.Executive))
		}
	case "broken_glass":
		if !by.May {
			return wrong("role")
		}
		if !executive {
			return wrong("executive_word", k.Name("staff", o.Proposed.Executive))
		}
	default:
		return wrong("action", action)
	}
	said, err := k.said(reason)
	if err != nil {
		return err
	}
	body := &sekisho.ContainmentDecided{Order: number, Action: action, Reason: said, By: by.Staff}
	if action == "approved" || action == "broken_glass" {
		body.Until = sekisho.At(k.Now().Add(time.Duration(o.Proposed.Lasts) * time.Second))
	}
	if err := k.record(ctx, body); err != nil {
		return err
	}
	if body.Until != 0 {
		k.settle(ctx)
	}
	return nil
}

func sameStaff(a, b uint32) bool { return a != 0 && a == b }

func (k *Keeper) said(reason string) (uint32, error) {
	if reason = strings.TrimSpace(reason); reason == "" {
		return 0, nil
	}
	if len(reason) > longestReason {
		return 0, wrong("reason")
	}
	n := k.Ordinal("said", reason)
	if n == 0 {
		return 0, errors.New("recording a reason: the vault takes no more")
	}
	return n, nil
}

// A LiftAsk says what is to be given back.
type LiftAsk struct {
	All       bool     `json:"all,omitempty"`
	Cuts      []string `json:"cuts,omitempty"`      // "egress", "gate"; none: both
	Endpoints []string `json:"endpoints,omitempty"` // names or patterns; none: every one that is left
	Reason    string   `json:"reason,omitempty"`
}

// A LiftPlan is what a lift would give back.
type LiftPlan struct {
	Order     uint64      `json:"order"`
	Back      []string    `json:"back"`            // terminals that get something back
	Cuts      sekisho.Cut `json:"-"`               //
	CutsNamed string      `json:"cuts"`            // what they get back
	Still     int         `json:"still_cut"`       // terminals of which something stays cut, by this order
	Others    int         `json:"cut_by_others"`   // of Back: another order cuts them still
	Ends      bool        `json:"ends"`            // the order ends
	Alarms    []string    `json:"alarms"`          // what speaks against it: topics
	Hostile   []string    `json:"hostile_allowed"` // destinations that can be reached again
}

// PlanLift says what a lift would give back. Nothing happens.
func (k *Keeper) PlanLift(number uint64, ask LiftAsk) (p LiftPlan, err error) {
	o, err := k.order(number)
	if err != nil {
		return p, err
	}
	if !o.InForce() {
		return p, wrong("not_in_force", number)
	}
	if p.Cuts, err = cutsOf(ask.Cuts, sekisho.CutEgress|sekisho.CutGate); err != nil {
		return p, err
	}
	if ask.All {
		p.Cuts = sekisho.CutEgress | sekisho.CutGate
	}
	p.Order, p.CutsNamed, p.Ends, p.Alarms, p.Hostile, p.Back = number, p.Cuts.String(), ask.All, []string{}, []string{}, []string{}
	var others []*incident.Order
	k.Read(func() { others = k.Orders.InForce() })
	matched := map[string]bool{}
	for _, end := range o.Proposed.Endpoints {
		left := o.Left(end.Name)
		if left == 0 {
			continue
		}
		meant := ask.All || len(ask.Endpoints) == 0
		for _, pattern := range ask.Endpoints {
			if matches([]string{pattern}, end.Name) || pattern == end.Name {
				meant, matched[pattern] = true, true
			}
		}
		if meant && left&p.Cuts != 0 {
			p.Back = append(p.Back, end.Name)
			if slices.ContainsFunc(others, func(x *incident.Order) bool { return x.Number != number && x.Left(end.Name)&p.Cuts != 0 }) {
				p.Others++
			}
		}
		if !meant || left&^p.Cuts != 0 {
			p.Still++
		}
	}
	for _, pattern := range ask.Endpoints {
		if !matched[pattern] {
			return p, wrong("no_endpoint", pattern)
		}
	}
	if !ask.All && len(p.Back) == 0 {
		return p, wrong("nothing_back")
	}
	rest := len(o.Proposed.Principals) + len(o.Proposed.Roles) + len(o.Proposed.Tables) + len(o.Destinations())
	p.Ends = p.Ends || p.Still == 0 && rest == 0
	if ask.All {
		for _, d := range o.Destinations() {
			if !slices.ContainsFunc(others, func(x *incident.Order) bool { return x.Number != number && covered(x.Destinations(), d) }) {
				p.Hostile = append(p.Hostile, Short(d))
			}
		}
	}
	for _, a := range o.Alarms {
		if a.Body.State == "alarm" && a.Body.Reason != "expiring" && a.Body.Reason != "overdue" {
			p.Alarms = append(p.Alarms, a.Body.Reason)
		}
	}
	if o.ToReview() {
		p.Alarms = append(p.Alarms, "to_review")
	}
	return p, nil
}

// Lift gives something back. The hands have let go on return, as far as they
// answer.
func (k *Keeper) Lift(ctx context.Context, number uint64, ask LiftAsk, by Actor) error {
	if !by.May {
		return wrong("role")
	}
	if strings.TrimSpace(ask.Reason) == "" {
		return wrong("reason")
	}
	k.giving.Lock()
	defer k.giving.Unlock()
	plan, err := k.PlanLift(number, ask)
	if err != nil {
		return err
	}
	said, err := k.said(ask.Reason)
	if err != nil {
		return err
	}
	body := &sekisho.ContainmentLifted{Order: number, All: ask.All, Cause: "person", Reason: said, By: by.Staff}
	if !ask.All {
		body.Cuts = plan.Cuts
		if len(ask.Endpoints) > 0 {
			body.Endpoints = plan.Back
		}
	}
	if err := k.record(ctx, body); err != nil {
		return err
	}
	k.settle(ctx)
	return nil
}

// Review records what a second person says of an order that was given alone.
func (k *Keeper) Review(ctx context.Context, number uint64, verdict, reason string, by Actor) error {
	k.giving.Lock()
	defer k.giving.Unlock()
	o, err := k.order(number)
	switch {
	case err != nil:
		return err
	case !o.ToReview():
		return wrong("no_review", number)
	case verdict != "upheld" && verdict != "objected":
		return wrong("verdict", verdict)
	case !by.May:
		return wrong("role")
	case by.Same(o.Decided.By) || by.Same(o.Proposed.By):
		return wrong("own")
	}
	said, err := k.said(reason)
	if err != nil {
		return err
	}
	return k.record(ctx, &sekisho.ContainmentReviewed{Order: number, Verdict: verdict, Reason: said, By: by.Staff})
}

// Prolong gives an order another end, counted from now, and another owner if one
// is named.
func (k *Keeper) Prolong(ctx context.Context, number uint64, lasts time.Duration, owner, reason string, by Actor) error {
	if !by.May {
		return wrong("role")
	}
	if lasts <= 0 || lasts > k.Config.Longest {
		return wrong("for", k.Config.Longest.String())
	}
	k.giving.Lock()
	defer k.giving.Unlock()
	o, err := k.order(number)
	if err != nil {
		return err
	}
	if !o.InForce() {
		return wrong("not_in_force", number)
	}
	said, err := k.said(reason)
	if err != nil {
		return err
	}
	body := &sekisho.ContainmentProlonged{Order: number, Until: sekisho.At(k.Now().Add(lasts)), Owner: o.Owner, Reason: said, By: by.Staff}
	if owner != "" {
		body.Owner = k.Ordinal("staff", owner)
	}
	return k.record(ctx, body)
}

func cutsOf(names []string, none sekisho.Cut) (c sekisho.Cut, err error) {
	for _, n := range names {
		switch n {
		case "egress":
			c |= sekisho.CutEgress
		case "gate":
			c |= sekisho.CutGate
		default:
			return 0, wrong("cuts", n)
		}
	}
	if c == 0 {
		c = none
	}
	return c, nil
}

func prefixOf(s string) (netip.Prefix, error) {
	p, err := sekisho.ParsePrefix(s)
	if err != nil {
		return p, wrong("destination", s)
	}
	d, ok := incident.Destination(p)
	if !ok {
		return netip.Prefix{}, wrong("destination", s)
	}
	return d, nil
}
