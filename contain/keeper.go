package contain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/incident"
)

// Parts is what a keeper stands on.
type Parts struct {
	Config Config
	System string // the ledger's name: what an order calls the affected system
	Inside []netip.Prefix
	Listed map[string][]netip.Prefix // addresses that the config lists for terminals
	Hands  []Hand

	Orders *incident.Book // in the views
	Census *Census        // in the views
	// Read holds the views still; WaitFor waits until they have come to an entry.
	Read    func(func())
	WaitFor func(ctx context.Context, seq uint64) error
	Append  func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error)
	// Ordinal and Name are the vault's.
	Ordinal func(space, key string) uint32
	Name    func(space string, ordinal uint32) string
	// Known is the ordinal that a key has already; 0 if it has none.
	Known func(space, key string) uint32
	// People says what the config knows of an account at the gate.
	People func(account string) (Person, bool)
	// MayRead begins a question: which roles the policy lets read the system from
	// a terminal. nil: there is no gate, and everybody may.
	MayRead func() func(endpoint string, verified bool) []string
	// Tables are the names of the protected tables, Roles those of the gate.
	Tables, Roles []string
	Now           func() time.Time
	Log           *slog.Logger
}

// Person is an account at the gate.
type Person struct {
	Role    string `json:"role"`
	Post    string `json:"post,omitempty"`
	Company string `json:"company,omitempty"`
}

// A Keeper takes orders, has the hands carry them out, and compares what is
// intended with what is in force until it is stopped.
type Keeper struct {
	Parts
	workers []*worker
	giving  sync.Mutex // one order is given, decided or lifted at a time

	mu sync.Mutex // guards the workers' states
}

// New makes a keeper. Nothing moves yet.
func New(o Parts) (*Keeper, error) {
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{Parts: o}
	names := map[string]bool{}
	for _, h := range o.Hands {
		if h.Name() == "" || names[h.Name()] {
			return nil, fmt.Errorf("contain: two hands are called %q, or one has no name", h.Name())
		}
		names[h.Name()] = true
		k.workers = append(k.workers, &worker{k: k, hand: h, kick: make(chan struct{}, 1), state: HandNow{Name: h.Name(), Place: h.Place(), Does: doesNames(h.Does()), State: "waiting"}})
	}
	return k, nil
}

// HandNow is how a hand stands at present.
type HandNow struct {
	Name     string       `json:"name"`
	Place    string       `json:"place"`
	Does     []string     `json:"does"`
	State    string       `json:"state"` // as ContainmentReported.State, or "idle", or "waiting" for its first look
	Intended int          `json:"intended"`
	Enforced int          `json:"enforced"`
	Extra    int          `json:"extra"`
	Missing  []string     `json:"missing,omitempty"`
	Faults   []string     `json:"faults,omitempty"`
	Error    string       `json:"error,omitempty"`
	Looked   sekisho.Time `json:"looked,omitempty"`   // when it was last asked
	Verified sekisho.Time `json:"verified,omitempty"` // when it was last found complete
	Took     float64      `json:"took_seconds"`       // of the last look
	Through  uint64       `json:"through"`            // the orders up to this entry are carried out

	destinations []netip.Prefix // that it was found to block
	sure         bool           // read back and complete
}

func doesNames(d Does) (list []string) {
	for _, one := range []struct {
		bit  Does
		name string
	}{{DoesEgress, "egress"}, {DoesGate, "gate"}, {DoesDestinations, "destinations"}} {
		if d&one.bit != 0 {
			list = append(list, one.name)
		}
	}
	return list
}

// Hands says how every hand stands.
func (k *Keeper) Hands() (list []HandNow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.workers {
		list = append(list, w.state)
	}
	return list
}

// Desired is what shall be in force now, with the orders as the views know them.
func (k *Keeper) Desired() (d Desired, orders []*incident.Order) {
	k.Read(func() {
		orders = k.Orders.InForce()
		d = Combine(k.Orders.Through(), orders, func(name string) []netip.Prefix { return k.Census.whereabouts(k.Listed, name) }, k.paths(orders))
	})
	return d, orders
}

// paths are what stays open while these orders are in force. k.Read holds.
func (k *Keeper) paths(orders []*incident.Order) Paths {
	p := Paths{Inside: k.Inside, Open: slices.Concat(k.Config.responders, k.Config.reachable)}
	if len(orders) == 0 {
		return p
	}
	ordered := map[string]bool{} // by an executive, protected or not
	for _, o := range orders {
		for _, name := range o.Proposed.Protected {
			ordered[name] = true
		}
	}
	// A group's networks stay open, unless one of its own terminals is cut off:
	// then the others of the group that are known do, each by itself.
	cut := map[string]bool{}
	for name := range ordered {
		cut[k.Config.protects(name, k.Census.whereabouts(k.Listed, name))] = true
	}
	for i := range k.Config.Protected {
		if g := &k.Config.Protected[i]; !cut[g.Name] {
			p.Open = append(p.Open, g.prefixes...)
		}
	}
	spare := func(name string) {
		if at := k.Census.whereabouts(k.Listed, name); !ordered[name] && k.Config.protects(name, at) != "" {
			p.Open = append(p.Open, at...)
		}
	}
	for name := range k.Census.ends {
		spare(name)
	}
	for name := range k.Listed {
		spare(name)
	}
	slices.SortFunc(p.Open, netip.Prefix.Compare)
	p.Open = slices.Compact(p.Open)
	return p
}

// Assert has every hand put in force what is ordered, once: before the doors
// open. Hands that do not answer in time are asked again by Run.
func (k *Keeper) Assert(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	var all sync.WaitGroup
	for _, w := range k.workers {
		all.Go(func() { w.pass(ctx) })
	}
	all.Wait()
}

// Run keeps the orders until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, w := range k.workers {
		all.Go(func() { w.run(ctx) })
	}
	tick := time.NewTicker(k.Config.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := k.tend(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("tending the orders of containment", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	all.Wait()
}

// settle has every hand look now, and waits until all have carried out what is
// ordered, or for as long as somebody may be kept waiting.
func (k *Keeper) settle(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all sync.WaitGroup
		for _, w := range k.workers {
			all.Go(func() { w.pass(ctx) })
		}
		all.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done(): // the rounds go on with whoever has not answered
	}
}

// A worker sees to one hand.
type worker struct {
	k    *Keeper
	hand Hand
	kick chan struct{}

	one      sync.Mutex // one pass at a time
	intended *Observed  // that was last found in force
	told     *Desired   // that was last carried out
	clean    int        // passes since something was found to be missing
	state    HandNow    // guarded by Keeper.mu
}

func (w *worker) poke() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *worker) run(ctx context.Context) {
	tick := time.NewTicker(w.k.Config.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.kick:
		}
		w.pass(ctx)
	}
}

// handTakes is how long a hand may take to answer.
const handTakes = 5 * time.Second

// steady is how many looks in a row must find everything in force before a
// hand from which something was taken is called complete again: two that fight
// over a rule are one drift, not one every few seconds.
const steady = 2

// pass looks at the hand once: what is in force, and what should be. Whatever
// the ledger says of the orders is carried out even if nothing new can be
// recorded; then what was found is recorded later.
func (w *worker) pass(ctx context.Context) {
	w.one.Lock()
	defer w.one.Unlock()
	if ctx.Err() != nil {
		return
	}
	d, orders := w.k.Desired()
	want := Only(d, w.hand.Does())
	began := time.Now()
	found, first, err := w.enforce(ctx, d, want)
	now := HandNow{Name: w.hand.Name(), Place: w.hand.Place(), Does: doesNames(w.hand.Does()), Looked: sekisho.At(w.k.Now()),
		Took: time.Since(began).Seconds(), Intended: found.Intended, Enforced: found.Enforced, Extra: len(found.Extra),
		Missing: found.Missing[:min(len(found.Missing), mostNamed)], Faults: found.Faults, Through: d.Through}
	drifted := w.intended != nil && same(*w.intended, want) && (len(first.Missing) > 0 || len(first.Extra) > 0)
	switch {
	case errors.Is(err, ErrBlind):
		now.State = "unverified"
	case err != nil:
		now.State, now.Error, now.Through = "failed", err.Error(), 0
	case !found.None():
		now.State = "partial"
	default:
		now.State, now.sure = "applied", true
		now.Verified = now.Looked
		w.intended = &want
	}
	if w.clean++; drifted || now.State != "applied" {
		w.clean = 0
	}
	w.k.mu.Lock()
	if now.Verified == 0 {
		now.Verified = w.state.Verified
	}
	if now.sure || now.State == "partial" {
		now.destinations = blocked(want.Destinations, found.Missing)
	}
	was := w.state.State
	w.state = now
	if empty(want) && now.State == "applied" {
		w.state.State = "idle"
	}
	w.k.mu.Unlock()
	if now.State == "failed" && was != "failed" && len(orders) > 0 {
		w.k.Log.Error("a hand of containment failed", "hand", now.Name, "error", err)
	}
	if err := w.report(ctx, d, now, first, drifted); err != nil && ctx.Err() == nil {
		w.k.Log.Error("recording what a hand of containment has in force", "hand", now.Name, "error", err)
	}
}

// enforce compares, puts in force what is missing, and compares again. first is
// what was found before anything was done.
func (w *worker) enforce(ctx context.Context, d Desired, want Observed) (found, first Difference, err error) {
	ctx, stop := context.WithTimeout(ctx, handTakes)
	defer stop()
	have, err := w.hand.Enforced(ctx)
	switch {
	case errors.Is(err, ErrBlind):
		if w.intended != nil && same(*w.intended, want) {
			return Difference{Intended: size(want)}, first, err // told already
		}
		if aerr := w.hand.Apply(ctx, d); aerr != nil {
			return Difference{Intended: size(want)}, first, aerr
		}
		w.intended = &want
		return Difference{Intended: size(want)}, first, err
	case err != nil:
		first.Intended = size(want)
		return first, first, fmt.Errorf("reading back: %w", err)
	}
	first = Compare(want, have)
	// Some of a state is not seen when it is read back: when an order ends, what
	// is inside, what stays open. It is told once in each life, and when it changes.
	if w.told != nil && sameBeside(*w.told, d) && len(first.Missing) == 0 && len(first.Extra) == 0 {
		if first.None() || w.clean%10 != 9 { // its own faults: to say it again every few seconds mends nothing
			return first, first, nil
		}
	}
	if err := w.hand.Apply(ctx, d); err != nil {
		return first, first, fmt.Errorf("putting in force: %w", err)
	}
	w.told = &d
	if have, err = w.hand.Enforced(ctx); err != nil {
		return first, first, fmt.Errorf("reading back: %w", err)
	}
	return Compare(want, have), first, nil
}

// sameBeside says whether two states differ in nothing that a hand does not show
// when it is read back.
func sameBeside(a, b Desired) bool {
	until := func(d Desired) (out []sekisho.Time) {
		for _, t := range d.Targets {
			out = append(out, t.Until)
		}
		return out
	}
	return slices.Equal(a.Inside, b.Inside) && slices.Equal(a.Open, b.Open) && slices.Equal(until(a), until(b))
}

func size(o Observed) int { d := Compare(o, Observed{}); return d.Intended }

func empty(o Observed) bool { return size(o) == 0 }

func same(a, b Observed) bool { d := Compare(a, b); return d.None() }

// blocked are the destinations of a list that are not among what is missing.
func blocked(list []netip.Prefix, missing []string) (out []netip.Prefix) {
	for _, p := range list {
		if !slices.Contains(missing, Short(p)) {
			out = append(out, p)
		}
	}
	return out
}

// mostNamed is how much of what is missing is named.
const mostNamed = 20

// report records how the hand stands, for each order of which that is news.
func (w *worker) report(ctx context.Context, d Desired, now HandNow, first Difference, drifted bool) error {
	var bodies []sekisho.Body
	var changed, lifted, alarmed []uint64
	state, reason := now.State, codeOf(now)
	w.k.Read(func() {
		for _, o := range w.k.Orders.Orders() {
			last := o.Hand(now.Name)
			able := w.hand.Does()&needs(o.Proposed) != 0
			switch {
			case o.Over != 0 && !slices.Contains(d.Orders, o.Number) && last != nil && last.Body.State != "lifted" && (now.sure || state == "unverified"):
				lifted = append(lifted, o.Number)
			case !o.InForce() || !able || !slices.Contains(d.Orders, o.Number):
			case drifted:
				alarmed = append(alarmed, o.Number)
				if last == nil || last.Body.State != "drift" {
					changed = append(changed, o.Number)
				}
			case last == nil || last.Body.State != state || last.Body.Enforced != uint64(now.Enforced) || last.Body.Intended != uint64(now.Intended) || last.Body.Reason != reason:
				if last != nil && last.Body.State == "drift" && w.clean < steady {
					continue
				}
				changed = append(changed, o.Number)
			}
		}
	})
	at := sekisho.At(w.k.Now())
	switch {
	case drifted && len(changed) > 0:
		bodies = append(bodies, &sekisho.ContainmentReported{Hand: now.Name, Orders: changed, State: "drift", Intended: uint64(first.Intended), Enforced: uint64(first.Enforced),
			Extra: uint64(len(first.Extra)), Missing: first.Missing[:min(len(first.Missing), mostNamed)], Reason: "drift"},
			alarm(at, uint64(first.Enforced), uint64(first.Intended), changed...))
		w.k.Log.Warn("what a hand of containment had in force was taken away; it was put back", "hand", now.Name, "orders", changed, "enforced", first.Enforced, "intended", first.Intended)
		w.poke()
	case len(changed) > 0:
		bodies = append(bodies, &sekisho.ContainmentReported{Hand: now.Name, Orders: changed, State: state, Intended: uint64(now.Intended), Enforced: uint64(now.Enforced),
			Extra: uint64(now.Extra), Missing: now.Missing, Reason: reason})
		if state == "failed" || state == "partial" {
			bodies = append(bodies, alarm(at, uint64(now.Enforced), uint64(now.Intended), changed...))
		}
	}
	if len(lifted) > 0 {
		bodies = append(bodies, &sekisho.ContainmentReported{Hand: now.Name, Orders: lifted, State: "lifted", Reason: "read_back"})
	}
	if len(bodies) == 0 {
		return nil
	}
	id, err := w.k.Append(ctx, bodies...)
	if err != nil {
		return err
	}
	return w.k.WaitFor(ctx, id.Seq+uint64(len(bodies))-1)
}

// codeOf names why a hand is not as it should be. Words of others, which an
// error may hold, stay out of the ledger.
func codeOf(now HandNow) string {
	switch {
	case now.State == "failed" && strings.Contains(now.Error, context.DeadlineExceeded.Error()):
		return "timeout"
	case now.State == "failed":
		return "error"
	case len(now.Faults) > 0:
		return now.Faults[0]
	case now.State == "partial" && now.Extra > 0:
		return "extra"
	}
	return ""
}

// alarm is an alert about orders. It joins their incident.
func alarm(at sekisho.Time, enforced, intended uint64, orders ...uint64) *sekisho.Alert {
	return &sekisho.Alert{Detector: "containment", From: at, Until: at + 1, Observed: enforced, Limit: intended, Basis: orders}
}
