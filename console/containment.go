package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/contain"
	"sekisho/incident"
)

// Containments: what is cut off, by whose order, and what is really in force.
// Nobody approves their own order: people are compared, as for exports.

func isContainment(b sekisho.Body) bool {
	switch b.(type) {
	case *sekisho.ContainmentProposed, *sekisho.ContainmentDecided, *sekisho.ContainmentLifted, *sekisho.ContainmentReviewed, *sekisho.ContainmentProlonged:
		return true
	}
	return false
}

// A ContainmentAnswer is what somebody does with an order.
type ContainmentAnswer struct {
	Action string          `json:"action"` // "approved", "rejected", "withdrawn", "broken_glass", "upheld", "objected", "prolonged", "lifted"
	Reason string          `json:"reason,omitempty"`
	For    string          `json:"for,omitempty"`   // prolonged: from now
	Owner  string          `json:"owner,omitempty"` // prolonged
	Lift   contain.LiftAsk `json:"lift,omitzero"`
}

// A ContainmentLine is one order.
type ContainmentLine struct {
	Number       uint64               `json:"number"`
	Time         sekisho.Time         `json:"time"`
	State        incident.OrderState  `json:"state"`
	Incident     uint64               `json:"incident,omitempty"`
	System       string               `json:"system,omitempty"`
	Cuts         string               `json:"cuts"`
	Terminals    int                  `json:"terminals"`
	Left         int                  `json:"still_cut"`
	Principals   []string             `json:"principals"`
	Roles        []string             `json:"roles"`
	Tables       []string             `json:"tables"`
	Destinations []string             `json:"destinations"`
	Reason       string               `json:"reason"`
	By           string               `json:"by"`
	Owner        string               `json:"owner"`
	Executive    string               `json:"executive,omitempty"`
	Until        sekisho.Time         `json:"until,omitempty"`
	Keep         bool                 `json:"keep"`
	Alone        bool                 `json:"alone"`
	Decision     *ContainmentDecision `json:"decision,omitempty"`
	ToReview     bool                 `json:"to_review"`
	Over         sekisho.Time         `json:"over,omitempty"`
	Hands        []ContainmentHand    `json:"hands"`
	NoHand       []string             `json:"no_hand"` // what the order names and no hand in the config does: "egress", "gate", "destinations"
	Alarms       []ContainmentAlarm   `json:"alarms"`
}

type ContainmentDecision struct {
	Entry    uint64       `json:"entry"`
	Time     sekisho.Time `json:"time"`
	Action   string       `json:"action"`
	By       string       `json:"by"`
	Reason   string       `json:"reason,omitempty"`
	Verdict  string       `json:"verdict,omitempty"` // of the review
	Reviewer string       `json:"reviewed_by,omitempty"`
	Reviewed sekisho.Time `json:"reviewed,omitempty"`
	Review   string       `json:"review,omitempty"`
}

// A ContainmentHand is how one hand stands with the order.
type ContainmentHand struct {
	Name     string       `json:"name"`
	State    string       `json:"state"` // as last recorded; "asked" if nothing was
	Intended uint64       `json:"intended"`
	Enforced uint64       `json:"enforced"`
	Extra    uint64       `json:"extra"`
	Missing  []string     `json:"missing,omitempty"`
	Why      string       `json:"why,omitempty"`
	Since    sekisho.Time `json:"since,omitempty"`
	Entry    uint64       `json:"entry,omitempty"`
	Verified sekisho.Time `json:"verified,omitempty"` // when it was last read back and found complete
	Looked   sekisho.Time `json:"looked,omitempty"`
	Gone     bool         `json:"not_in_config,omitempty"`
}

// A ContainmentAlarm is what is wrong with the order.
type ContainmentAlarm struct {
	Topic string       `json:"topic"`
	State string       `json:"state"` // "alarm", "settled"
	Is    uint64       `json:"is"`
	Of    uint64       `json:"of"`
	What  []string     `json:"what,omitempty"`
	Since sekisho.Time `json:"since"`
	Entry uint64       `json:"entry"`
}

// A ContainmentsPage lists orders, those that need somebody first, and hands.
type ContainmentsPage struct {
	Orders []ContainmentLine `json:"orders"`
	Hands  []contain.HandNow `json:"hands"`
	System string            `json:"system"`
	Ask    contain.Ask       `json:"-"`
}

func (*ContainmentsPage) file() string { return "containments" }

// A ContainmentPage is one order with its history.
type ContainmentPage struct {
	ContainmentLine
	Endpoints []ContainmentEnd  `json:"endpoints"`
	More      int               `json:"-"`
	Spared    []string          `json:"spared"`
	Protected []string          `json:"protected"`
	Lifts     []ContainmentLift `json:"lifts"`
	History   []ContainmentHand `json:"history"`
	Leaks     []ContainmentLeak `json:"leaks"`
	Leaked    uint64            `json:"leaked"`
	CanDecide bool              `json:"can_decide"`
	Own       bool              `json:"own"`
	Lift      *contain.LiftPlan `json:"-"` // a dry run, to be confirmed
	LiftAsk   contain.LiftAsk   `json:"-"`
}

func (*ContainmentPage) file() string { return "containment" }

type ContainmentEnd struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	Left      string   `json:"left"`
}

type ContainmentLift struct {
	Entry     uint64       `json:"entry"`
	Time      sekisho.Time `json:"time"`
	All       bool         `json:"all"`
	Cuts      string       `json:"cuts"`
	Terminals int          `json:"terminals"`
	By        string       `json:"by,omitempty"`
	Reason    string       `json:"reason,omitempty"`
	Cause     string       `json:"cause"`
}

type ContainmentLeak struct {
	Entry    uint64       `json:"entry"`
	Time     sekisho.Time `json:"time"`
	Endpoint string       `json:"endpoint"`
	Target   string       `json:"target"`
	Bytes    uint64       `json:"bytes"`
}

// A ContainmentPlanPage is a dry run.
type ContainmentPlanPage struct {
	*contain.Plan
	Ask   contain.Ask `json:"-"`
	Shown int         `json:"-"`
}

func (*ContainmentPlanPage) file() string { return "containplan" }

// Cut is what the terminals lose, for the words.
func (p *ContainmentPlanPage) Several() bool { return len(p.Terminals) > p.Shown }

const mostTerminals = 500 // on a page

// noHand is what an order names and none of the hands does: it is not cut,
// whatever the hands that there are say of their own part.
func noHand(o *incident.Order, hands []contain.HandNow) []string {
	p, list := o.Proposed, []string{}
	for _, part := range []struct {
		name   string
		wanted bool
	}{
		{"egress", len(p.Endpoints) > 0 && p.Cuts&sekisho.CutEgress != 0},
		{"gate", len(p.Endpoints) > 0 && p.Cuts&sekisho.CutGate != 0 || len(p.Principals)+len(p.Roles)+len(p.Tables) > 0},
		{"destinations", len(o.Destinations()) > 0 || p.Follow},
	} {
		if part.wanted && !slices.ContainsFunc(hands, func(h contain.HandNow) bool { return slices.Contains(h.Does, part.name) }) {
			list = append(list, part.name)
		}
	}
	return list
}

func (c *Console) containmentLine(o *incident.Order, hands []contain.HandNow) ContainmentLine {
	p := o.Proposed
	l := ContainmentLine{Number: o.Number, Time: o.At, State: o.State(sekisho.At(c.cfg.Now())), Incident: p.Incident, System: p.System, Cuts: p.Cuts.String(), Terminals: len(p.Endpoints),
		Principals: []string{}, Roles: p.Roles, Tables: p.Tables, Destinations: []string{}, Reason: c.named("said", p.Reason), By: c.named("staff", p.By), Owner: c.named("staff", o.Owner),
		Executive: c.named("staff", p.Executive), Until: o.Until, Keep: p.Keep, Alone: p.Alone, ToReview: o.ToReview(), Over: o.Over, Hands: []ContainmentHand{}, NoHand: []string{}, Alarms: []ContainmentAlarm{}}
	for _, n := range p.Principals {
		l.Principals = append(l.Principals, c.named("staff", n))
	}
	for _, d := range o.Destinations() {
		l.Destinations = append(l.Destinations, contain.Short(d))
	}
	for _, end := range p.Endpoints {
		if o.Left(end.Name) != 0 {
			l.Left++
		}
	}
	if d := o.Decided; d != nil {
		l.Decision = &ContainmentDecision{Entry: o.Entry, Time: o.When, Action: d.Action, By: c.named("staff", d.By), Reason: c.named("said", d.Reason)}
		if r := o.Reviewed; r != nil {
			l.Decision.Verdict, l.Decision.Reviewer, l.Decision.Reviewed, l.Decision.Review = r.Verdict, c.named("staff", r.By), o.ReviewAt, c.named("said", r.Reason)
		}
	}
	if l.State == incident.OrderProposed || o.InForce() {
		l.NoHand = noHand(o, hands)
	}
	names := slices.Clone(p.Hands)
	for _, h := range o.Hands {
		if !slices.Contains(names, h.Body.Hand) {
			names = append(names, h.Body.Hand)
		}
	}
	for _, name := range names {
		h := ContainmentHand{Name: name, State: "asked"}
		if last := o.Hand(name); last != nil {
			h = containmentHand(last)
		}
		at := slices.IndexFunc(hands, func(x contain.HandNow) bool { return x.Name == name })
		if h.Gone = at < 0; !h.Gone {
			h.Looked = hands[at].Looked
			if o.InForce() {
				h.Verified = hands[at].Verified
			}
		}
		l.Hands = append(l.Hands, h)
	}
	for _, a := range o.Alarms {
		l.Alarms = append(l.Alarms, ContainmentAlarm{a.Body.Reason, a.Body.State, a.Body.Enforced, a.Body.Intended, a.Body.Missing, a.At, a.Entry})
	}
	return l
}

func containmentHand(s *incident.HandState) ContainmentHand {
	return ContainmentHand{Name: s.Body.Hand, State: s.Body.State, Intended: s.Body.Intended, Enforced: s.Body.Enforced, Extra: s.Body.Extra, Missing: s.Body.Missing, Why: s.Body.Reason, Since: s.At, Entry: s.Entry}
}

// Alarming: something about the order is wrong now.
func (l *ContainmentLine) Alarming() bool {
	bad := func(h ContainmentHand) bool {
		return l.State == incident.OrderInForce && slices.Contains([]string{"failed", "partial", "drift"}, h.State)
	}
	return l.State == incident.OrderOverdue || l.ToReview || slices.ContainsFunc(l.Hands, bad) || l.Over == 0 && slices.ContainsFunc(l.Alarms, func(a ContainmentAlarm) bool { return a.State == "alarm" })
}

func (c *Console) handsNow() []contain.HandNow {
	if c.cfg.Contain == nil {
		return []contain.HandNow{}
	}
	return c.cfg.Contain.Hands()
}

func (c *Console) containmentsPage(of uint64) *ContainmentsPage {
	p := &ContainmentsPage{Orders: []ContainmentLine{}, Hands: c.handsNow(), System: c.cfg.Name}
	var orders []*incident.Order
	c.cfg.Views.Read(func() { orders = c.cfg.Incidents.Orders() })
	for _, o := range orders {
		if of == 0 || o.Proposed.Incident == of {
			p.Orders = append(p.Orders, c.containmentLine(o, p.Hands))
		}
	}
	first := func(l ContainmentLine) int {
		switch {
		case l.State == incident.OrderProposed || l.Alarming():
			return 0
		case l.State == incident.OrderInForce:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(p.Orders, func(a, b ContainmentLine) int { return cmp.Compare(first(a), first(b)) })
	p.Orders = p.Orders[:min(len(p.Orders), 500)]
	p.Ask.Incident = of
	return p
}

func (c *Console) containmentPage(v *visit, number uint64) (*ContainmentPage, error) {
	var o *incident.Order
	c.cfg.Views.Read(func() { o = c.cfg.Incidents.Order(number) })
	if o == nil {
		return nil, fail(http.StatusNotFound, "contain_order", number64(number))
	}
	p := &ContainmentPage{ContainmentLine: c.containmentLine(o, c.handsNow()), Endpoints: []ContainmentEnd{}, Spared: o.Proposed.Spared, Protected: o.Proposed.Protected,
		Lifts: []ContainmentLift{}, History: []ContainmentHand{}, Leaks: []ContainmentLeak{}, Leaked: o.Leaked, CanDecide: c.mayDecide(v.who)}
	p.Own = c.actor(v).Same(o.Proposed.By)
	for _, end := range o.Proposed.Endpoints {
		one := ContainmentEnd{Name: end.Name, Addresses: []string{}, Left: o.Left(end.Name).String()}
		for _, a := range end.Addresses {
			one.Addresses = append(one.Addresses, contain.Short(a))
		}
		p.Endpoints = append(p.Endpoints, one)
	}
	for _, l := range o.Lifts {
		p.Lifts = append(p.Lifts, ContainmentLift{l.Entry, l.At, l.Body.All, l.Body.Cuts.String(), len(l.Body.Endpoints), c.named("staff", l.Body.By), c.named("said", l.Body.Reason), l.Body.Cause})
	}
	for i := len(o.History) - 1; i >= 0; i-- {
		p.History = append(p.History, containmentHand(&o.History[i]))
	}
	for _, l := range o.Leaks {
		p.Leaks = append(p.Leaks, ContainmentLeak{l.Entry, l.At, l.Endpoint, l.Target.String(), l.Bytes})
	}
	return p, nil
}

// actor is the visitor, as containments know people.
func (c *Console) actor(v *visit) contain.Actor {
	me := c.users.person(v.who.name)
	return contain.Actor{Staff: v.who.staff, Person: me, May: c.mayDecide(v.who), Same: func(n uint32) bool { return c.users.person(c.named("staff", n)) == me }}
}

// containError is what somebody can act on.
func containError(err error) error {
	var e *contain.Error
	if !errors.As(err, &e) {
		return notRecorded(err)
	}
	status := http.StatusBadRequest
	switch e.Code {
	case "order", "incident", "endpoint", "no_endpoint":
		status = http.StatusNotFound
	case "own", "role", "withdraw", "executive", "executive_word":
		status = http.StatusForbidden
	case "decided", "not_in_force", "no_review", "alone":
		status = http.StatusConflict
	}
	var about []any
	for _, a := range e.About {
		about = append(about, fmt.Sprint(a))
	}
	return fail(status, "contain_"+e.Code, about...)
}

func (c *Console) keeper() (*contain.Keeper, error) {
	if c.cfg.Contain == nil {
		return nil, fail(http.StatusConflict, "contain_not_here")
	}
	return c.cfg.Contain, nil
}

// act does what an answer says.
func (c *Console) answerContainment(v *visit, number uint64, a ContainmentAnswer) error {
	k, err := c.keeper()
	if err != nil {
		return err
	}
	ctx, by := v.r.Context(), c.actor(v)
	switch a.Action {
	case "upheld", "objected":
		err = k.Review(ctx, number, a.Action, a.Reason, by)
	case "prolonged":
		lasts, bad := time.ParseDuration(a.For)
		if bad != nil {
			lasts = 0
		}
		err = k.Prolong(ctx, number, lasts, a.Owner, a.Reason, by)
	case "lifted":
		a.Lift.Reason = cmp.Or(a.Lift.Reason, a.Reason)
		err = k.Lift(ctx, number, a.Lift, by)
	default:
		err = k.Decide(ctx, number, a.Action, a.Reason, by)
	}
	if err != nil {
		return containError(err)
	}
	return nil
}

func (c *Console) propose(v *visit, ask contain.Ask) (uint64, error) {
	k, err := c.keeper()
	if err != nil {
		return 0, err
	}
	number, err := k.Propose(v.r.Context(), ask, c.actor(v))
	if err != nil {
		return number, containError(err)
	}
	return number, nil
}

func (c *Console) planContainment(ask contain.Ask) (*ContainmentPlanPage, error) {
	k, err := c.keeper()
	if err != nil {
		return nil, err
	}
	p, err := k.Plan(ask)
	if err != nil {
		return nil, containError(err)
	}
	return &ContainmentPlanPage{Plan: p, Ask: ask, Shown: mostTerminals}, nil
}

// The pages.

func (c *Console) containments(v *visit) (page, error) {
	p := c.containmentsPage(0)
	p.Ask = contain.Ask{System: c.cfg.Name, For: "24h"}
	return p, nil
}

// containmentsEvents keeps the orders and the hands on the page up to date.
func (c *Console) containmentsEvents(v *visit) (page, error) {
	return c.streamPart(v, "containments", "contain-now", func() (page, error) { return c.containmentsPage(0), nil })
}

func (c *Console) containment(v *visit) (page, error) {
	n, err := containmentNumber(v)
	if err != nil {
		return nil, err
	}
	return c.containmentPage(v, n)
}

func containmentNumber(v *visit) (uint64, error) {
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
	if err != nil {
		return 0, fail(http.StatusNotFound, "contain_order", "?")
	}
	return n, nil
}

func number64(n uint64) string { return strconv.FormatUint(n, 10) }

func fieldsOf(f url.Values, name string) (list []string) {
	for _, v := range f[name] {
		list = append(list, strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' || r == ' ' || r == '\t' })...)
	}
	return list
}

func containAsk(f url.Values) contain.Ask {
	a := contain.Ask{System: strings.TrimSpace(f.Get("system")), Endpoints: fieldsOf(f, "endpoints"), Principals: fieldsOf(f, "principals"), Roles: fieldsOf(f, "roles"), Tables: fieldsOf(f, "tables"),
		Destinations: fieldsOf(f, "destinations"), Cuts: f["cuts"], For: strings.TrimSpace(f.Get("for")), Keep: f.Has("keep"), Owner: strings.TrimSpace(f.Get("owner")),
		Executive: strings.TrimSpace(f.Get("executive")), Alone: f.Has("alone"), BreakGlass: f.Get("do") == "broken_glass", Reason: f.Get("reason")}
	a.Incident, _ = called(f.Get("incident"))
	return a
}

// containForm shows what an order would do; only from there it is given.
func (c *Console) containForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	ask := containAsk(v.r.PostForm)
	switch v.r.PostForm.Get("do") {
	case "propose", "broken_glass":
		n, err := c.propose(v, ask)
		if err != nil {
			return nil, err
		}
		return c.seeContainment(v, n)
	}
	return c.planContainment(ask)
}

func (c *Console) answerContainmentForm(v *visit) (page, error) {
	n, err := containmentNumber(v)
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := ContainmentAnswer{Action: f.Get("action"), Reason: f.Get("reason"), For: strings.TrimSpace(f.Get("for")), Owner: strings.TrimSpace(f.Get("owner")),
		Lift: contain.LiftAsk{All: f.Get("all") == "1", Cuts: f["cuts"], Endpoints: fieldsOf(f, "endpoints")}}
	if a.Action == "lift_plan" {
		k, err := c.keeper()
		if err != nil {
			return nil, err
		}
		plan, err := k.PlanLift(n, a.Lift)
		if err != nil {
			return nil, containError(err)
		}
		p, err := c.containmentPage(v, n)
		if err != nil {
			return nil, err
		}
		p.Lift, p.LiftAsk = &plan, a.Lift
		p.LiftAsk.Reason = a.Reason
		return p, nil
	}
	if err := c.answerContainment(v, n, a); err != nil {
		return nil, err
	}
	return c.seeContainment(v, n)
}

func (c *Console) seeContainment(v *visit, number uint64) (page, error) {
	if wantsJSON(v.r) {
		return c.containmentPage(v, number)
	}
	http.Redirect(v.w, v.r, "/containments/"+number64(number), http.StatusSeeOther)
	return nil, errDone
}

// roomContain is the block of an incident's room, and of its page.
func (c *Console) roomContain(v *visit, one *incident.Incident) (any, error) {
	return c.containmentsPage(one.Number), nil
}

// The control socket's.

func (c *Console) controlContainments(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/containments", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		return c.containmentsPage(0), nil
	})
	handle("GET /api/containments/{number}", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		n, err := containmentNumber(v)
		if err != nil {
			return nil, err
		}
		return c.containmentPage(v, n)
	})
	handle("POST /api/containments/plan", 1<<20, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		ask, err := told[contain.Ask](v)
		if err != nil {
			return nil, err
		}
		return c.planContainment(ask)
	})
	handle("POST /api/containments", 1<<20, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		ask, err := told[contain.Ask](v)
		if err != nil {
			return nil, err
		}
		n, err := c.propose(v, ask)
		if err != nil {
			return nil, err
		}
		return c.containmentPage(v, n)
	})
	handle("POST /api/containments/{number}", 1<<20, func(v *visit) (any, error) {
		n, err := containmentNumber(v)
		if err != nil {
			return nil, err
		}
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		a, err := told[ContainmentAnswer](v)
		if err != nil {
			return nil, err
		}
		if err := c.answerContainment(v, n, a); err != nil {
			return nil, err
		}
		return c.containmentPage(v, n)
	})
	handle("POST /api/containments/{number}/lift-plan", 1<<20, func(v *visit) (any, error) {
		n, err := containmentNumber(v)
		if err != nil {
			return nil, err
		}
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		ask, err := told[contain.LiftAsk](v)
		if err != nil {
			return nil, err
		}
		k, err := c.keeper()
		if err != nil {
			return nil, err
		}
		p, err := k.PlanLift(n, ask)
		if err != nil {
			return nil, containError(err)
		}
		return p, nil
	})
}
