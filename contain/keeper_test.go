package contain_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho"
	"sekisho/contain"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/sekishotest/handtest"
	"sekisho/vault"
	"sekisho/view"
)

// A keeping is a keeper with all it stands on: a real ledger and vault, views
// that follow them, and two hands that keep lists in files.
type keeping struct {
	*contain.Keeper
	dir    string
	ledger *ledger.Ledger
	vault  *vault.Vault
	views  *view.Set
	book   *incident.Book
	hands  []contain.Hand
	skip   atomic.Int64 // the clock is ahead by so many nanoseconds
	stops  []func()
}

func (o *keeping) now() time.Time { return time.Now().Add(time.Duration(o.skip.Load())) }

// openKeeping opens what is in dir: for the first time, or again.
func openKeeping(dir string, conf contain.Config, more ...contain.Hand) (o *keeping, err error) {
	o = &keeping{dir: dir, book: incident.New()}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	if o.vault, err = vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: [32]byte{1}}); err != nil {
		return o, err
	}
	o.stops = append(o.stops, func() { o.vault.Close() })
	o.ledger, err = ledger.Open(ledger.Config{Dir: filepath.Join(dir, "ledger"), FS: disk.OS{}, Gate: 1, Name: "member-db", Now: o.now, SegmentBytes: 1 << 20,
		Before: o.vault.Flush, BeforeWaits: o.vault.Unsettled})
	if err != nil {
		return o, err
	}
	o.stops = append(o.stops, func() { o.ledger.Close() })
	highest := map[string]uint32{}
	census := contain.NewCensus()
	o.views = view.New(view.Config{Follow: o.ledger.Follow, Hurry: o.ledger.Hurry, Last: o.ledger.Last, Append: o.ledger.Append,
		Views: []view.View{census, assigned(highest)}, Reactions: []view.Reaction{o.book.Reaction()}})
	following, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); o.views.Run(following) }()
	o.stops = append(o.stops, func() { stop(); <-done })
	if err = o.views.WaitFor(following, o.ledger.Last()); err != nil {
		return o, err
	}
	if err = o.vault.Reconcile(highest); err != nil {
		return o, err
	}
	o.hands = append([]contain.Hand{
		&handtest.File{Called: "proxy", Path: filepath.Join(dir, "proxy.list"), Can: contain.DoesEgress | contain.DoesDestinations},
		&handtest.File{Called: "router", Path: filepath.Join(dir, "router.list"), Can: contain.DoesEgress | contain.DoesDestinations | contain.DoesGate}}, more...)
	conf.Every = 100 * time.Millisecond
	o.Keeper, err = contain.New(contain.Parts{
		Config: conf, System: "member-db", Listed: listed, Hands: o.hands, Orders: o.book, Census: census,
		Read: o.views.Read, WaitFor: o.views.WaitFor, Append: o.ledger.Append,
		Ordinal: func(space, key string) uint32 { return o.vault.Space(space).OfText([]byte(key)) },
		Known:   func(space, key string) uint32 { n, _ := o.vault.Space(space).Find(key); return n },
		Name:    func(space string, n uint32) string { s, _ := o.vault.Space(space).Key(n); return s },
		People: func(name string) (contain.Person, bool) {
			p, ok := staff[name]
			return p, ok
		},
		Tables: []string{"crm.member"}, Roles: []string{"call_centre"}, Now: o.now,
	})
	return o, err
}

type assigned map[string]uint32

func (assigned) Name() string { return "assigned" }
func (a assigned) Apply(e *sekisho.Entry) {
	if b, ok := e.Body.(*sekisho.Assigned); ok {
		a[b.Space] = max(a[b.Space], b.First+b.Count-1)
	}
}

var (
	listed = map[string][]netip.Prefix{"pc-1": prefixes("10.0.0.1/32"), "pc-2": prefixes("10.0.0.2/32"), "pc-3": prefixes("10.0.0.3/32"), "ops-1": prefixes("10.0.9.1/32")}
	staff  = map[string]contain.Person{"sato": {Role: "call_centre", Post: "agent", Company: "JAL Navia"}}
	usual  = contain.Config{
		Protected:  []contain.Group{{Name: "flight operations", Endpoints: []string{"ops-*"}}},
		Executives: []string{"president"},
		Businesses: []contain.Business{{Name: "call centre", Endpoints: []string{"pc-*"}, Stops: "callers wait"}},
		Responders: []string{"10.0.0.3"},
	}
)

// close ends it in order.
func (o *keeping) close() {
	for _, stop := range slices.Backward(o.stops) {
		stop()
	}
}

func newKeeping(t *testing.T, conf contain.Config, more ...contain.Hand) *keeping {
	t.Helper()
	return reopen(t, t.TempDir(), conf, more...)
}

func reopen(t *testing.T, dir string, conf contain.Config, more ...contain.Hand) *keeping {
	t.Helper()
	o, err := openKeeping(dir, conf, more...)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	stop := o.stops
	o.stops = []func(){func() {
		if !closed {
			closed = true
			for _, f := range slices.Backward(stop) {
				f()
			}
		}
	}}
	t.Cleanup(o.close)
	return o
}

// runs starts the keeper's rounds; they end with the test, or with stop.
func (o *keeping) runs(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); o.Run(ctx) }()
	stop = func() { cancel(); <-done }
	o.stops = append(o.stops, stop)
	return stop
}

func (o *keeping) actor(name string, may bool) contain.Actor {
	n := o.vault.Space("staff").OfText([]byte(name))
	return contain.Actor{Staff: n, Person: name, May: may, Same: func(other uint32) bool { return other == n }}
}

// inForce says what a hand really has in force.
func inForce(t *testing.T, h contain.Hand) string {
	t.Helper()
	o, err := h.Enforced(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, p := range append(slices.Clone(o.Egress), o.Destinations...) {
		list = append(list, p.Addr().String())
	}
	return strings.Join(append(append(list, o.Endpoints...), o.Tables...), " ")
}

func (o *keeping) expect(t *testing.T, when, proxy, router string) {
	t.Helper()
	if got := inForce(t, o.hands[0]); got != proxy {
		t.Errorf("%s: the proxy has %q, want %q", when, got, proxy)
	}
	if got := inForce(t, o.hands[1]); got != router {
		t.Errorf("%s: the router has %q, want %q", when, got, router)
	}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var e *contain.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%v, want the code %s", err, code)
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1500 {
		if ok() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("not within 30 seconds: %s", what)
}

// An order from the first look to the last: shown, asked for, approved by
// another, in force and read back, given back in stages.
func TestContainFromProposalToLift(t *testing.T) {
	o := newKeeping(t, usual)
	o.runs(t)
	ctx := t.Context()
	ask := contain.Ask{System: "member-db", Cuts: []string{"egress", "gate"}, Reason: "malware"}
	plan, err := o.Plan(ask)
	mustDo(t, err)
	var names []string
	for _, end := range plan.Terminals {
		names = append(names, end.Name)
	}
	if got := fmt.Sprint(names, plan.Spared, plan.Businesses, plan.Independent, plan.Second); got != "[pc-1 pc-2 pc-3] [{ops-1 flight operations}] [{call centre callers wait 3}] 2 true" {
		t.Errorf("the plan is %s", got)
	}
	o.expect(t, "after a dry run", "", "")
	number, err := o.Propose(ctx, ask, o.actor("suzuki", true))
	mustDo(t, err)
	o.expect(t, "proposed", "", "")
	refused(t, o.Decide(ctx, number, "approved", "", o.actor("suzuki", true)), "own")
	refused(t, o.Decide(ctx, number, "approved", "", o.actor("guest", false)), "role")
	mustDo(t, o.Decide(ctx, number, "approved", "", o.actor("tanaka", true)))
	refused(t, o.Decide(ctx, number, "rejected", "", o.actor("tanaka", true)), "decided")
	// pc-3 is where the incident is worked on.
	o.expect(t, "approved", "10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2 pc-1 pc-2 pc-3")
	until(t, "both hands are recorded as complete", func() bool { return o.states(number) == "proxy applied 2/2, router applied 5/5" })

	lift, err := o.PlanLift(number, contain.LiftAsk{Endpoints: []string{"pc-1"}, Cuts: []string{"gate"}})
	mustDo(t, err)
	if fmt.Sprint(lift.Back, lift.Still, lift.Ends) != "[pc-1] 3 false" {
		t.Errorf("the lift would be %+v", lift)
	}
	refused(t, o.Lift(ctx, number, contain.LiftAsk{Endpoints: []string{"pc-9"}, Reason: "x"}, o.actor("tanaka", true)), "no_endpoint")
	mustDo(t, o.Lift(ctx, number, contain.LiftAsk{Endpoints: []string{"pc-1"}, Cuts: []string{"gate"}, Reason: "cleaned"}, o.actor("tanaka", true)))
	o.expect(t, "a first stage", "10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2 pc-2 pc-3")
	mustDo(t, o.Lift(ctx, number, contain.LiftAsk{Endpoints: []string{"pc-[12]"}, Reason: "cleaned"}, o.actor("tanaka", true)))
	o.expect(t, "a second", "", "pc-3")
	mustDo(t, o.Lift(ctx, number, contain.LiftAsk{All: true, Reason: "over"}, o.actor("tanaka", true)))
	o.expect(t, "all", "", "")
	until(t, "both hands have let go", func() bool { return o.states(number) == "proxy lifted 0/0, router lifted 0/0" })
	refused(t, o.Lift(ctx, number, contain.LiftAsk{All: true, Reason: "again"}, o.actor("tanaka", true)), "not_in_force")
}

func (o *keeping) states(number uint64) string {
	var list []string
	o.views.Read(func() {
		for _, h := range o.book.Order(number).Hands {
			list = append(list, fmt.Sprintf("%s %s %d/%d", h.Body.Hand, h.Body.State, h.Body.Enforced, h.Body.Intended))
		}
	})
	return strings.Join(list, ", ")
}

func (o *keeping) order(number uint64) (one *incident.Order) {
	o.views.Read(func() { one = o.book.Order(number) })
	return one
}

// given is an order that one person may give.
func (o *keeping) given(t *testing.T, ask contain.Ask) uint64 {
	t.Helper()
	ask.Reason = "a test"
	number, err := o.Propose(t.Context(), ask, o.actor("suzuki", true))
	mustDo(t, err)
	if d := o.order(number).Decided; d == nil {
		mustDo(t, o.Decide(t.Context(), number, "approved", "", o.actor("tanaka", true)))
	}
	return number
}

func alone(n int) contain.Config {
	c := usual
	c.ApproveAbove = n
	return c
}

// What somebody takes away is seen, put back, recorded and told.
func TestContainSeesDrift(t *testing.T) {
	o := newKeeping(t, alone(5))
	o.runs(t)
	number := o.given(t, contain.Ask{Endpoints: []string{"pc-1"}, Cuts: []string{"egress"}})
	until(t, "it is recorded", func() bool { return o.states(number) == "proxy applied 1/1, router applied 1/1" })
	gone := time.Now()
	mustDo(t, os.Remove(filepath.Join(o.dir, "proxy.list")))
	until(t, "it is put back", func() bool { return inForce(t, o.hands[0]) == "10.0.0.1" })
	t.Logf("put back after %v, looking every %v", time.Since(gone), o.Config.Every)
	until(t, "the drift stands in the history, and what came after", func() bool {
		var list []string
		for _, h := range o.order(number).History {
			if h.Body.Hand == "proxy" {
				list = append(list, h.Body.State)
			}
		}
		return strings.Join(list, " ") == "applied drift applied"
	})
	if n := o.alerts(); n != 1 {
		t.Errorf("%d alerts, want 1", n)
	}
}

func (o *keeping) alerts() (n int) {
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(o.dir, "ledger"), 1) {
		if err != nil {
			return -1
		}
		if a, ok := e.Body.(*sekisho.Alert); ok && a.Detector == "containment" {
			n++
		}
	}
	return n
}

// Two that fight over a list are one drift, not one every few seconds.
func TestContainTellsAFightOnce(t *testing.T) {
	o := newKeeping(t, alone(5))
	o.runs(t)
	number := o.given(t, contain.Ask{Endpoints: []string{"pc-1"}, Cuts: []string{"egress"}})
	until(t, "it is recorded", func() bool { return o.states(number) == "proxy applied 1/1, router applied 1/1" })
	for range 20 {
		mustDo(t, os.Remove(filepath.Join(o.dir, "proxy.list")))
		until(t, "it is put back", func() bool { return inForce(t, o.hands[0]) == "10.0.0.1" })
	}
	if n := o.alerts(); n > 4 {
		t.Errorf("%d alerts for twenty times of taking away", n)
	}
}

// A start puts in force what the ledger says, whatever hands have forgotten,
// and gives back nothing and takes nothing that was lifted.
func TestContainSurvivesAStart(t *testing.T) {
	o := newKeeping(t, alone(5))
	stop := o.runs(t)
	kept := o.given(t, contain.Ask{Endpoints: []string{"pc-1"}})
	lifted := o.given(t, contain.Ask{Endpoints: []string{"pc-2"}})
	mustDo(t, o.Lift(t.Context(), lifted, contain.LiftAsk{All: true, Reason: "over"}, o.actor("suzuki", true)))
	stop()
	o.close()
	mustDo(t, os.Remove(filepath.Join(o.dir, "router.list")))
	again := reopen(t, o.dir, alone(5))
	again.Assert(t.Context())
	again.expect(t, "after a start", "10.0.0.1", "10.0.0.1 pc-1")
	if s := again.order(kept).State(sekisho.At(time.Now())); s != incident.OrderInForce {
		t.Errorf("the order is %s", s)
	}
}

// An order ends by itself: its owner is warned before. One that is kept stays,
// and that is an alarm.
func TestContainExpires(t *testing.T) {
	o := newKeeping(t, alone(5))
	o.runs(t)
	ends := o.given(t, contain.Ask{Endpoints: []string{"pc-1"}, For: "4h"})
	stays := o.given(t, contain.Ask{Endpoints: []string{"pc-2"}, For: "4h", Keep: true})
	o.skip.Store(int64(3 * time.Hour))
	until(t, "it is warned", func() bool { return o.topics(ends) == "expiring alarm" && o.topics(stays) == "expiring alarm" })
	o.skip.Store(int64(4*time.Hour + time.Minute))
	until(t, "one has ended, and one is overdue", func() bool {
		return o.order(ends).Over != 0 && inForce(t, o.hands[0]) == "10.0.0.2" && strings.Contains(o.topics(stays), "overdue alarm")
	})
	if l := o.order(ends).Lifts[0].Body; l.Cause != "expired" || l.By != 0 {
		t.Errorf("it ended by %+v", l)
	}
	mustDo(t, o.Prolong(t.Context(), stays, time.Hour, "", "not yet", o.actor("suzuki", true)))
	until(t, "it is not overdue any more", func() bool { return strings.Contains(o.topics(stays), "overdue settled") })
}

func (o *keeping) topics(number uint64) string {
	var list []string
	for _, a := range o.order(number).Alarms {
		list = append(list, a.Body.Reason+" "+a.Body.State)
	}
	return strings.Join(list, ", ")
}

// A forgetful list leaves one destination out.
type forgetful struct {
	*handtest.File
	leaves atomic.Pointer[netip.Prefix]
}

func (f *forgetful) Apply(ctx context.Context, d contain.Desired) error {
	if p := f.leaves.Load(); p != nil {
		d.Destinations = slices.DeleteFunc(slices.Clone(d.Destinations), func(x netip.Prefix) bool { return x == *p })
	}
	return f.File.Apply(ctx, d)
}

// JTB blocked one of several destinations, and the others six days later.
func TestContainThreeOfFourDestinations(t *testing.T) {
	f := &forgetful{}
	o := newKeeping(t, alone(5))
	o.close()
	f.File = &handtest.File{Called: "blocklist", Path: filepath.Join(o.dir, "blocklist"), Can: contain.DoesDestinations}
	o = reopenWith(t, o.dir, f)
	o.runs(t)
	bad := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }
	alert := func(n int) {
		now := sekisho.At(o.now())
		id, err := o.ledger.Append(t.Context(), &sekisho.Alert{Detector: "egress", Endpoint: "pc-1", From: now, Until: now + 1, Target: bad(n)})
		mustDo(t, err)
		mustDo(t, o.views.WaitFor(t.Context(), id.Seq))
	}
	alert(1)
	mustDo(t, o.views.Quiet(t.Context()))
	var number uint64
	o.views.Read(func() { number = o.book.List()[0].Number })
	order, err := o.Propose(t.Context(), contain.Ask{Incident: number, Alone: true, Reason: "cut"}, o.actor("suzuki", true))
	mustDo(t, err)
	if got := inForce(t, f); got != bad(1).String() {
		t.Fatalf("the list has %q", got)
	}
	left := netip.PrefixFrom(bad(3), 32)
	f.leaves.Store(&left)
	for n := 2; n <= 4; n++ {
		alert(n)
	}
	o.skip.Store(int64(time.Minute)) // what hands may take has passed
	until(t, "three of four", func() bool {
		for _, a := range o.order(order).Alarms {
			if a.Body.Reason == "destinations" && a.Body.State == "alarm" && a.Body.Enforced == 3 && a.Body.Intended == 4 {
				return slices.Equal(a.Body.Missing, []string{bad(3).String()})
			}
		}
		return false
	})
	f.leaves.Store(nil)
	until(t, "four of four", func() bool { return strings.Contains(o.topics(order), "destinations settled") })
}

// reopenWith opens an keeping with this hand alone.
func reopenWith(t *testing.T, dir string, h contain.Hand) *keeping {
	t.Helper()
	o := reopen(t, dir, alone(5))
	o.hands = []contain.Hand{h}
	p := o.Parts
	p.Hands = o.hands
	var err error
	o.Keeper, err = contain.New(p)
	mustDo(t, err)
	return o
}

// One hand is not enough, unless somebody says that it is.
func TestContainWantsTwoHands(t *testing.T) {
	o := newKeeping(t, alone(5))
	ask := contain.Ask{Endpoints: []string{"pc-1"}, Cuts: []string{"gate"}, Reason: "a test"}
	_, err := o.Propose(t.Context(), ask, o.actor("suzuki", true))
	refused(t, err, "alone")
	ask.Alone = true
	_, err = o.Propose(t.Context(), ask, o.actor("suzuki", true))
	mustDo(t, err)
	o.expect(t, "by one hand", "", "pc-1")
}

// In an emergency one person may, and somebody else judges it afterwards.
func TestContainBreakGlass(t *testing.T) {
	o := newKeeping(t, usual)
	ctx := t.Context()
	number, err := o.Propose(ctx, contain.Ask{Endpoints: []string{"pc-1"}, BreakGlass: true, Reason: "at night"}, o.actor("suzuki", true))
	mustDo(t, err)
	o.expect(t, "at once", "10.0.0.1", "10.0.0.1 pc-1")
	if !o.order(number).ToReview() {
		t.Error("nobody has to review it")
	}
	refused(t, o.Review(ctx, number, "upheld", "", o.actor("suzuki", true)), "own")
	mustDo(t, o.Review(ctx, number, "upheld", "right", o.actor("tanaka", true)))
	refused(t, o.Review(ctx, number, "objected", "", o.actor("tanaka", true)), "no_review")
}

// Flight operations stay out, unless a named executive orders it: and then it
// is in force only with the executive's own word.
func TestContainProtected(t *testing.T) {
	o := newKeeping(t, usual)
	ctx := t.Context()
	ask := contain.Ask{Endpoints: []string{"ops-1", "pc-1"}, Cuts: []string{"egress"}, Reason: "a test"}
	plan, err := o.Plan(ask)
	mustDo(t, err)
	if fmt.Sprint(plan.Spared, len(plan.Terminals)) != "[{ops-1 flight operations}] 1" {
		t.Errorf("spared %v, cut %d", plan.Spared, len(plan.Terminals))
	}
	ask.Executive = "tanaka"
	_, err = o.Propose(ctx, ask, o.actor("suzuki", true))
	refused(t, err, "executive")
	ask.Executive = "president"
	number, err := o.Propose(ctx, ask, o.actor("suzuki", true))
	mustDo(t, err)
	refused(t, o.Decide(ctx, number, "approved", "", o.actor("tanaka", true)), "executive_word")
	mustDo(t, o.Decide(ctx, number, "approved", "", o.actor("president", false)))
	o.expect(t, "the president has said so", "10.0.0.1 10.0.9.1", "10.0.0.1 10.0.9.1")
}

// An incident is contained when all that is held to be in it is cut, by two
// hands that were read back: until something is taken away, or more comes to
// light.
func TestContainMarksTheIncident(t *testing.T) {
	o := newKeeping(t, alone(5))
	o.runs(t)
	alert := func(endpoint string) {
		now := sekisho.At(o.now())
		id, err := o.ledger.Append(t.Context(), &sekisho.Alert{Detector: "egress", Endpoint: endpoint, From: now, Until: now + 1, Target: netip.MustParseAddr("203.0.113.1")})
		mustDo(t, err)
		mustDo(t, o.views.WaitFor(t.Context(), id.Seq))
		mustDo(t, o.views.Quiet(t.Context()))
	}
	marked := func(code string) (ok bool) {
		o.views.Read(func() { _, ok = o.book.List()[0].Marks()[code] })
		return ok
	}
	alert("pc-1")
	var number uint64
	o.views.Read(func() { number = o.book.List()[0].Number })
	if marked("contained_partial") {
		t.Error("it is contained in part before anything was cut")
	}
	o.given(t, contain.Ask{Incident: number, Endpoints: []string{"pc-1"}})
	until(t, "it is contained", func() bool { return marked("contained_partial") && marked("contained_verified") })
	alert("pc-2")
	if marked("contained_verified") || !marked("contained_partial") {
		t.Error("another terminal came to light, and all of it is still called contained")
	}
	o.given(t, contain.Ask{Incident: number, Endpoints: []string{"pc-2"}})
	until(t, "it is contained again", func() bool { return marked("contained_verified") })
	mustDo(t, os.Remove(filepath.Join(o.dir, "proxy.list")))
	until(t, "what was taken away has been seen", func() bool { return o.alerts() > 0 })
	until(t, "it is contained once more", func() bool { return marked("contained_verified") })
}
