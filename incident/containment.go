package incident

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sekisho"
	"sekisho/sheet"
)

// An Order is one containment, from its proposal to its end. What Orders.Get
// and List return is a copy, to keep.
type Order struct {
	Number   uint64 // sequence number of its ContainmentProposed
	At       sekisho.Time
	Proposed *sekisho.ContainmentProposed

	Decided  *sekisho.ContainmentDecided // nil: nobody has answered
	Entry    uint64                      // of Decided
	When     sekisho.Time                // of Decided
	Until    sekisho.Time                // when it ends; as prolonged
	Owner    uint32                      // ordinal in "staff"
	Reviewed *sekisho.ContainmentReviewed
	ReviewAt sekisho.Time
	Lifts    []Lift
	Over     sekisho.Time   // when all of it was lifted; 0: it was not
	Hands    []HandState    // in the order of their names
	History  []HandState    // every report, the latest last
	Alarms   []HandState    // what the keeper itself has found, by its topic: the latest of each
	Leaks    []Leak         // what a sensor saw leave although it was cut: the latest
	Leaked   uint64         // how many there were
	Learned  []netip.Prefix // hostile destinations that became known later, where the order follows its incident
	Sees     []netip.Prefix // every hostile destination of the incident that is known

	left map[string]sekisho.Cut // endpoints of which something is still cut
	was  []netip.Prefix         // what it learned, when it ended
}

// A Lift is what was given back at one time.
type Lift struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.ContainmentLifted
}

// A HandState is what a hand was last found to have in force.
type HandState struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.ContainmentReported
}

// A Leak is traffic that left an endpoint after its way out was cut.
type Leak struct {
	Entry    uint64
	At       sekisho.Time // when it began
	Endpoint string
	Target   netip.Addr
	Bytes    uint64
}

// mostKept bounds what an order keeps of reports and leaks, the latest ones.
const mostKept = 200

// An OrderState is how far an order has come.
type OrderState string

const (
	OrderProposed  OrderState = "proposed"
	OrderInForce   OrderState = "in_force"
	OrderOverdue   OrderState = "overdue" // its time is over, and it is kept until a person lifts it
	OrderRejected  OrderState = "rejected"
	OrderWithdrawn OrderState = "withdrawn"
	OrderLifted    OrderState = "lifted"
)

// State says how far the order has come at a time. An order whose time is over
// is in force until the lift is recorded: nothing is given back by a clock
// alone.
func (o *Order) State(now sekisho.Time) OrderState {
	switch {
	case o.Over != 0:
		return OrderLifted
	case o.Decided == nil:
		return OrderProposed
	case o.Decided.Action == "rejected":
		return OrderRejected
	case o.Decided.Action == "withdrawn":
		return OrderWithdrawn
	case o.Proposed.Keep && now >= o.Until:
		return OrderOverdue
	}
	return OrderInForce
}

// InForce says that hands must see to the order.
func (o *Order) InForce() bool {
	return o.Over == 0 && o.Decided != nil && (o.Decided.Action == "approved" || o.Decided.Action == "broken_glass")
}

// ToReview: it was given alone, and nobody else has judged it yet.
func (o *Order) ToReview() bool {
	return o.Decided != nil && o.Decided.Action == "broken_glass" && o.Reviewed == nil
}

// Left is what is still cut of an endpoint.
func (o *Order) Left(endpoint string) sekisho.Cut {
	if !o.InForce() {
		return 0
	}
	return o.left[endpoint]
}

// Destinations are those that nobody may reach, by this order.
func (o *Order) Destinations() []netip.Prefix {
	list := slices.Concat(o.Proposed.Destinations, o.Learned)
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}

// Orders is the fold of all containments. It is inside the Book, whose alerts
// and revisions tell it which destinations are hostile.
type Orders struct {
	list     []*Order
	byNumber map[uint64]*Order
	cut      map[string][]*Order // by endpoint: of the orders that cut its way out and are in force
	through  uint64
}

func newOrders() *Orders {
	return &Orders{byNumber: map[uint64]*Order{}, cut: map[string][]*Order{}}
}

// Orders gives every order, the latest first.
func (b *Book) Orders() []*Order {
	list := make([]*Order, 0, len(b.orders.list))
	for _, o := range b.orders.list {
		list = append(list, b.copyOf(o))
	}
	slices.SortFunc(list, func(x, y *Order) int { return cmp.Compare(y.Number, x.Number) })
	return list
}

// Order gives one order, or nil.
func (b *Book) Order(number uint64) *Order {
	if o := b.orders.byNumber[number]; o != nil {
		return b.copyOf(o)
	}
	return nil
}

// InForce gives the orders that hands must see to, the earliest first.
func (b *Book) InForce() (list []*Order) {
	for _, o := range b.orders.list {
		if o.InForce() {
			list = append(list, b.copyOf(o))
		}
	}
	return list
}

func (b *Book) copyOf(o *Order) *Order {
	c := *o
	c.Lifts, c.Hands, c.History, c.Leaks = slices.Clone(o.Lifts), slices.Clone(o.Hands), slices.Clone(o.History), slices.Clone(o.Leaks)
	c.Alarms = slices.Clone(o.Alarms)
	c.left = o.left // replaced whole when it changes
	if i := b.find(o.Proposed.Incident); i != nil {
		c.Sees = i.Hostile()
	}
	c.Learned = nil
	switch {
	case !o.Proposed.Follow:
	case o.Over != 0:
		c.Learned = o.was
	default:
		for _, p := range without(c.Sees, o.Proposed.Destinations) {
			if p, ok := Destination(p); ok && Narrow(p) {
				c.Learned = append(c.Learned, p)
			}
		}
	}
	return &c
}

// Hostile are the destinations that are known: of its alerts, and those named
// when its question was last asked.
func (i *Incident) Hostile() (list []netip.Prefix) {
	for _, t := range i.Targets {
		list = append(list, netip.PrefixFrom(t, t.BitLen()))
	}
	if n := len(i.Revisions); n > 0 {
		list = append(list, i.Revisions[n-1].Body.Hostile...)
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}

// Destination is a destination as every hand knows it; not ok: none can close it.
// Everybody is not a destination.
func Destination(p netip.Prefix) (_ netip.Prefix, ok bool) {
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), p.IsValid() && p.Bits() > 0 && p.Addr().Zone() == ""
}

// Narrow: a destination is no wider than what somebody rents to attack from. An
// order takes in a wider one only if it was named when the order was given.
func Narrow(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() >= 24
	}
	for _, all := range [...]string{
		"64:ff9b::/96",    // RFC 6052, 2.1
		"64:ff9b:1::/48",  // RFC 8215
		"::ffff:0:0:0/96", // RFC 2765, 2.1
		"::/96",           // RFC 4291, 2.5.5.1
	} {
		// All of IPv4 stands in the last 32 bits: it is as wide as it is there.
		if netip.MustParsePrefix(all).Overlaps(p) {
			return p.Bits() >= 96+24
		}
	}
	return p.Bits() >= 48
}

func without(list, other []netip.Prefix) (out []netip.Prefix) {
	for _, p := range list {
		if !slices.Contains(other, p) {
			out = append(out, p)
		}
	}
	return out
}

// contained folds what entries say of containments.
func (b *Book) contained(e *sekisho.Entry) {
	of := b.orders
	of.through = e.ID.Seq
	switch body := e.Body.(type) {
	case *sekisho.ContainmentProposed:
		o := &Order{Number: e.ID.Seq, At: e.Time, Proposed: body, Owner: body.Owner}
		of.list = append(of.list, o)
		of.byNumber[o.Number] = o
		b.tellOrder(o, e, Fact{Code: "contain_proposed", Principal: body.By, Count: uint64(len(body.Endpoints))})
	case *sekisho.ContainmentDecided:
		o := of.byNumber[body.Order]
		if o == nil || o.Decided != nil {
			return
		}
		o.Decided, o.Entry, o.When, o.Until = body, e.ID.Seq, e.Time, body.Until
		if o.InForce() {
			o.left = map[string]sekisho.Cut{}
			for _, p := range o.Proposed.Endpoints {
				if o.left[p.Name] = o.Proposed.Cuts; o.Proposed.Cuts&sekisho.CutEgress != 0 {
					of.cut[p.Name] = append(of.cut[p.Name], o)
				}
			}
		}
		b.tellOrder(o, e, Fact{Code: "contain_" + body.Action, Principal: body.By, Count: uint64(len(o.Proposed.Endpoints))})
	case *sekisho.ContainmentReported:
		for _, n := range body.Orders {
			if o := of.byNumber[n]; o != nil {
				o.report(HandState{e.ID.Seq, e.Time, body})
				code := "contain_hand_" + body.State
				if body.Hand == "" {
					code = "contain_" + body.State + "_" + body.Reason
				}
				b.tellOrder(o, e, Fact{Code: code, Reason: body.Hand, Count: body.Enforced, Limit: body.Intended})
			}
		}
	case *sekisho.ContainmentLifted:
		if o := of.byNumber[body.Order]; o != nil && o.InForce() {
			b.lift(o, e, body)
		}
	case *sekisho.ContainmentReviewed:
		if o := of.byNumber[body.Order]; o != nil && o.ToReview() {
			o.Reviewed, o.ReviewAt = body, e.Time
			b.tellOrder(o, e, Fact{Code: "contain_" + body.Verdict, Principal: body.By})
		}
	case *sekisho.ContainmentProlonged:
		if o := of.byNumber[body.Order]; o != nil && o.InForce() {
			o.Until, o.Owner = body.Until, body.Owner
			b.tellOrder(o, e, Fact{Code: "contain_prolonged", Principal: body.By})
		}
	case *sekisho.Egress:
		b.leak(e, body)
	}
}

func (o *Order) report(s HandState) {
	list, by := &o.Hands, func(s HandState) string { return s.Body.Hand }
	if s.Body.Hand == "" {
		list, by = &o.Alarms, func(s HandState) string { return s.Body.Reason }
	}
	at, found := slices.BinarySearchFunc(*list, s, func(a, b HandState) int { return cmp.Compare(by(a), by(b)) })
	if found {
		(*list)[at] = s
	} else {
		*list = slices.Insert(*list, at, s)
	}
	if o.History = append(o.History, s); len(o.History) > 2*mostKept {
		o.History = slices.Clone(o.History[mostKept:])
	}
}

func (b *Book) lift(o *Order, e *sekisho.Entry, body *sekisho.ContainmentLifted) {
	o.Lifts = append(o.Lifts, Lift{e.ID.Seq, e.Time, body})
	left := map[string]sekisho.Cut{}
	for name, cut := range o.left {
		if !body.All && len(body.Endpoints) > 0 && !slices.Contains(body.Endpoints, name) {
			left[name] = cut
			continue
		}
		if rest := cut &^ body.Cuts; !body.All && rest != 0 {
			left[name] = rest
		}
	}
	for name, cut := range o.left {
		if cut&sekisho.CutEgress != 0 && left[name]&sekisho.CutEgress == 0 {
			if b.orders.cut[name] = slices.DeleteFunc(slices.Clone(b.orders.cut[name]), func(x *Order) bool { return x == o }); len(b.orders.cut[name]) == 0 {
				delete(b.orders.cut, name)
			}
		}
	}
	// Nothing else is ordered, and the last endpoint has everything back.
	p := o.Proposed
	empty := len(left) == 0 && len(p.Principals) == 0 && len(p.Roles) == 0 && len(p.Tables) == 0 && len(p.Destinations) == 0 && !p.Follow
	if body.All || empty {
		o.was = b.copyOf(o).Learned
		o.Over = e.Time
	}
	o.left = left
	code := "contain_lifted"
	if o.Over == 0 {
		code = "contain_lifted_part"
	} else if body.Cause == "expired" {
		code = "contain_expired"
	}
	b.tellOrder(o, e, Fact{Code: code, Principal: body.By, Count: uint64(len(left))})
}

// settles is how long after an order's approval its hands may take to cut what
// was open: traffic that began later should not have left.
const settles = 10 * sekisho.Time(1e6)

// leak notes traffic of an endpoint whose way out is cut. A sensor is the other
// side: it knows nothing of what hands say. Whether the target is outside is
// for the sensor to say: it tells of nothing else.
func (b *Book) leak(e *sekisho.Entry, body *sekisho.Egress) {
	for _, o := range b.orders.cut[body.Endpoint] {
		if body.Start <= o.When+settles || body.Out == 0 {
			continue
		}
		o.Leaked++
		if o.Leaks = append(o.Leaks, Leak{e.ID.Seq, body.Start, body.Endpoint, body.Target, body.Out}); len(o.Leaks) > 2*mostKept {
			o.Leaks = slices.Clone(o.Leaks[mostKept:])
		}
	}
}

// aboutOrder is an alert of the containment's own. It joins its order's
// incident, and changes nothing of what the incident asks: the endpoints of an
// order are not those held to be compromised.
func (b *Book) aboutOrder(e *sekisho.Entry, body *sekisho.Alert) bool {
	if body.Detector != "containment" {
		return false
	}
	if len(body.Basis) > 0 {
		if o := b.orders.byNumber[body.Basis[0]]; o != nil {
			b.tellOrder(o, e, Fact{Code: "contain_alarm", Endpoint: body.Endpoint, Target: body.Target, Count: body.Observed, Limit: body.Limit})
		}
	}
	return true
}

func (b *Book) tellOrder(o *Order, e *sekisho.Entry, f Fact) {
	if i := b.find(o.Proposed.Incident); i != nil {
		f.Seq, f.At, f.Order = e.ID.Seq, e.Time, o.Number
		i.tell(f)
	}
}

// ofOrder tells a fact of a containment in English.
func (f Fact) ofOrder(person func(uint32) string) string {
	who := "sekisho"
	if f.Principal != 0 {
		who = person(f.Principal)
	}
	switch f.Code {
	case "contain_proposed":
		return fmt.Sprintf("%s proposed to contain %s (order %d).", who, sheet.Of(f.Count, "terminal"), f.Order)
	case "contain_approved":
		return fmt.Sprintf("%s approved order %d.", who, f.Order)
	case "contain_broken_glass":
		return fmt.Sprintf("%s gave order %d alone; it is to be reviewed.", who, f.Order)
	case "contain_rejected":
		return fmt.Sprintf("%s rejected order %d.", who, f.Order)
	case "contain_withdrawn":
		return fmt.Sprintf("%s withdrew order %d.", who, f.Order)
	case "contain_upheld":
		return fmt.Sprintf("%s reviewed order %d and upheld it.", who, f.Order)
	case "contain_objected":
		return fmt.Sprintf("%s reviewed order %d and objected.", who, f.Order)
	case "contain_prolonged":
		return fmt.Sprintf("%s prolonged order %d.", who, f.Order)
	case "contain_lifted":
		return fmt.Sprintf("%s lifted order %d.", who, f.Order)
	case "contain_lifted_part":
		return fmt.Sprintf("%s lifted a part of order %d; %d terminals are still cut.", who, f.Order, f.Count)
	case "contain_expired":
		return fmt.Sprintf("The time of order %d is over; it was lifted.", f.Order)
	case "contain_alarm":
		return fmt.Sprintf("Order %d: %d of %d cuts are in force.", f.Order, f.Count, f.Limit)
	}
	if state, ok := strings.CutPrefix(f.Code, "contain_hand_"); ok {
		return fmt.Sprintf("Order %d at hand %s: %s, %d of %d cuts are in force.", f.Order, f.Reason, state, f.Count, f.Limit)
	}
	return f.Code
}

// Hand is what a hand was last found to have in force for the order; nil: it
// has not been reported.
func (o *Order) Hand(name string) *HandState {
	for i := range o.Hands {
		if o.Hands[i].Body.Hand == name {
			return &o.Hands[i]
		}
	}
	return nil
}

// Through is the sequence number of the last entry that the book has folded.
func (b *Book) Through() uint64 { return b.orders.through }

// GateHand is the name of the gate as a hand: it ends sessions, and closes nobody's
// way out. No other hand has this name.
const GateHand = "gate"

// marksContained derives how far an incident is contained: in part, once a hand
// has something of an order in force; and verified, while every order in force
// is complete at two places that were read back (or one, where that was held to
// be enough), the way out is closed by another hand than the gate, which cannot,
// nothing about them is an alarm, and every endpoint and destination that is held
// to be in it is cut.
func (b *Book) marksContained(e *sekisho.Entry) {
	switch e.Body.(type) {
	case *sekisho.ContainmentDecided, *sekisho.ContainmentReported, *sekisho.ContainmentLifted, *sekisho.Alert, *sekisho.IncidentRevised, *sekisho.IncidentOpened:
	default:
		return
	}
	done := map[uint64]bool{}
	for _, o := range b.orders.list {
		i := b.find(o.Proposed.Incident)
		if i == nil || done[i.Number] || !o.InForce() {
			continue
		}
		done[i.Number] = true
		part, whole := b.contains(i)
		if part {
			i.mark("contained_partial", e.Time, e.ID.Seq)
		}
		if whole {
			i.mark("contained_verified", e.Time, e.ID.Seq)
		} else {
			i.unmark("contained_verified")
		}
	}
}

func (b *Book) contains(i *Incident) (part, whole bool) {
	cut := map[string]bool{}
	whole = true
	var blocked []netip.Prefix
	for _, o := range b.orders.list {
		if o.Proposed.Incident != i.Number || !o.InForce() {
			continue
		}
		complete, out := 0, false
		for _, h := range o.Hands {
			switch h.Body.State {
			case "applied":
				complete++
				out = out || h.Body.Hand != GateHand
			case "partial", "failed", "drift":
				whole = false
			}
			part = part || h.Body.Enforced > 0 || h.Body.State == "unverified"
		}
		whole = whole && (complete >= 2 || complete == 1 && o.Proposed.Alone)
		for _, a := range o.Alarms {
			whole = whole && (a.Body.State != "alarm" || a.Body.Reason == "expiring" || a.Body.Reason == "overdue")
		}
		for name, left := range o.left {
			cut[name] = cut[name] || out && left&sekisho.CutEgress != 0
		}
		if out {
			blocked = append(blocked, b.copyOf(o).Destinations()...)
		}
	}
	for _, name := range i.Endpoints {
		whole = whole && cut[name]
	}
	for _, d := range i.Hostile() {
		whole = whole && slices.Contains(blocked, d)
	}
	return part, part && whole
}
