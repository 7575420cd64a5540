package lease

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"sekisho"
	"sekisho/budget"
	"sekisho/porter"
)

// Outfit is what both sides need of the house.
type Outfit struct {
	Number uint32 // this gate's
	Book   *budget.Book
	// Record makes entries durable and waits until the book has folded them.
	Record func(ctx context.Context, bodies ...sekisho.Body) error
	// Ordinal is a name's ordinal in a space of the vault.
	Ordinal func(space, name string) uint32
	Now     func() time.Time
	Clock   func() (boot string, since uint64)
	Log     *slog.Logger
}

// A Door is where gates ask for shares.
type Door struct {
	conf Config
	o    Outfit
	tls  *tls.Config
	in   *porter.Porter
	gone uint64 // Clock when the door was made

	mu      sync.Mutex
	seen    map[uint32]*Gate
	granted map[string]uint64 // gate and holder → Clock when its share was last granted
}

// A Gate is what the issuer knows of another gate.
type Gate struct {
	Number   uint32       `json:"gate"`
	Name     string       `json:"name"`
	Asked    sekisho.Time `json:"asked,omitempty"` // when it last did, since this start
	Epoch    uint64       `json:"epoch,omitempty"`
	Claimed  uint64       `json:"claimed,omitempty"` // the most customers of one share that it said to hold beyond what was granted, since this start
	instance string
	number   uint64
}

// NewDoor makes the issuer's door. conf was checked.
func NewDoor(conf Config, o Outfit) (*Door, error) {
	d := newDoor(conf, o)
	var err error
	if d.tls, err = channel(conf, true, o.Now); err != nil {
		return nil, err
	}
	return d, nil
}

// NewFormer makes the door of a house that grants no shares any more: nobody is
// let in, and what it has granted runs out.
func NewFormer(conf Config, o Outfit) *Door { return newDoor(conf, o) }

func newDoor(conf Config, o Outfit) *Door {
	d := &Door{conf: conf, o: o, in: porter.New(), seen: map[uint32]*Gate{}, granted: map[string]uint64{}}
	for _, g := range conf.Gates {
		d.seen[g.Number] = &Gate{Number: g.Number, Name: g.Name}
	}
	_, d.gone = o.Clock()
	return d
}

// Why a question is not answered. The gate that asked cannot do anything about it.
var (
	ErrFenced  = errors.New("a later start of this gate has asked already")
	ErrTwice   = errors.New("another process asks as this gate")
	ErrOld     = errors.New("this question is older than the last one")
	ErrUnknown = errors.New("the issuer's config knows no such gate")
)

// Answer answers one question of a gate, whose certificate has proven its number.
// What it grants is durable when it returns.
func (d *Door) Answer(ctx context.Context, gate uint32, q *Question) (*Answer, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second) // what was begun is finished
	defer stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.seen[gate]
	if g == nil || q.Gate != gate {
		return nil, ErrUnknown
	}
	if q.Number == 0 && len(q.Asks) == 0 { // only whether somebody is there
		return &Answer{Issuer: d.o.Number, Seconds: uint64(d.conf.Lasts / time.Second), Budgets: termsOf(d.o.Book.Budgets())}, nil
	}
	if last := d.o.Book.AskedBy(gate); last.Epoch > g.Epoch {
		g.Epoch, g.number, g.instance = last.Epoch, last.Number, ""
	} else if last.Epoch == g.Epoch {
		g.number = max(g.number, last.Number)
	}
	switch {
	case q.Epoch < g.Epoch:
		return nil, ErrFenced
	case q.Epoch > g.Epoch:
		g.Epoch, g.number, g.instance = q.Epoch, 0, ""
	case g.instance != "" && q.Instance != g.instance:
		d.o.Log.Error("two processes ask for shares as one gate: end one of them", "gate", gate)
		return nil, ErrTwice
	case q.Number <= g.number:
		return nil, ErrOld
	}
	g.instance, g.number, g.Asked = q.Instance, q.Number, sekisho.At(d.o.Now())

	now, lasts := sekisho.At(d.o.Now()), uint64(d.conf.Lasts/time.Second)
	a := &Answer{Issuer: d.o.Number, Epoch: q.Epoch, Instance: q.Instance, Number: q.Number, Seconds: lasts, Shares: make([]Share, len(q.Asks))}
	var bodies []sekisho.Body
	var kept []sekisho.LeaseHolder
	for i, ask := range q.Asks {
		of := d.holder(ask.Claim)
		l, err := d.o.Book.Lend(now, gate, of, ask)
		if err != nil {
			a.Shares[i].Refused = err.Error()
			continue
		}
		if l.Claims > 0 {
			g.Claimed = max(g.Claimed, l.Claims)
			d.o.Log.Error("a gate says that it holds more of a budget than this ledger has granted it: if neither ledger was put back to an older state, somebody has changed that gate",
				"gate", gate, "budget", of.Budget, "customers", l.Claims)
		}
		kept = append(kept, of)
		a.Shares[i] = Share{Share: l.Share, Counts: l.Counts, Idle: l.Idle}
		e := sekisho.LeaseGranted{Gate: gate, Epoch: q.Epoch, Question: q.Number, Whose: of, Share: l.Share, Used: ask.Used, Lasts: lasts}
		switch {
		case l.Share < l.Before:
			returned := sekisho.LeaseReturned(e)
			bodies = append(bodies, &returned)
		case l.Share > l.Before || ask.Renew && l.Share > 0:
			bodies = append(bodies, &e)
		}
	}
	if len(bodies) > 0 {
		// If it fails, what was reserved stays reserved: the entry may stand there.
		if err := d.o.Record(ctx, bodies...); err != nil {
			return nil, fmt.Errorf("recording shares: %w", err)
		}
	}
	_, since := d.o.Clock()
	for _, of := range kept {
		d.o.Book.Settled(gate, of)
		d.granted[spot(gate, of)] = since
	}
	a.Wanted = d.o.Book.Wanted(now, gate)
	return a, nil
}

func spot(gate uint32, of sekisho.LeaseHolder) string { return fmt.Sprint(gate, of) }

// holder is a claim in ordinals of this ledger's vault.
func (d *Door) holder(c budget.Claim) sekisho.LeaseHolder {
	of := sekisho.LeaseHolder{Budget: c.Budget, Space: c.Subject, Role: c.Role, Endpoint: c.Endpoint}
	if c.Principal != "" {
		of.Principal = d.o.Ordinal("staff", c.Principal)
	}
	if c.Purpose != "" {
		of.Purpose = d.o.Ordinal("purpose", c.Purpose)
	}
	return of
}

// Sweep ends the shares of gates that have not asked again in time.
func (d *Door) Sweep(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := sekisho.At(d.o.Now())
	_, since := d.o.Clock()
	var bodies []sekisho.Body
	for _, l := range d.o.Book.LentOut() {
		over := sekisho.Time(l.Lasts*1e6) + sekisho.Time(d.conf.Margin/time.Microsecond)
		from, ok := d.granted[spot(l.Gate, l.Whose)]
		if !ok {
			from = d.gone
		}
		// By the clock that nobody sets, too: it may have been set forward.
		if l.At == 0 || now-l.At < over || since-from < uint64(over) {
			continue
		}
		e := &sekisho.LeaseEnded{Gate: l.Gate, Whose: l.Whose, Share: l.Share, State: "lapsed"}
		switch {
		case now-l.At >= over+sekisho.Time(l.Window):
			e.State = "passed"
			delete(d.granted, spot(l.Gate, l.Whose))
		case l.Lapsed:
			continue
		default:
			d.o.Log.Warn("a gate has not asked again for its share of a budget: it counts as spent for one window", "gate", l.Gate, "budget", l.Whose.Budget, "share", l.Share)
		}
		bodies = append(bodies, e)
	}
	if len(bodies) == 0 {
		return nil
	}
	return d.o.Record(ctx, bodies...)
}

// Keep sweeps until ctx ends.
func (d *Door) Keep(ctx context.Context) {
	tick := time.NewTicker(d.conf.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := d.Sweep(ctx); err != nil && ctx.Err() == nil {
			d.o.Log.Error("ending shares of budgets", "error", err)
		}
	}
}

// Gates lists the gates that may ask, in the config's order.
func (d *Door) Gates() (list []Gate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range d.conf.Gates {
		list = append(list, *d.seen[g.Number])
	}
	return list
}

// Serve answers questions on l until ctx ends.
func (d *Door) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: http.HandlerFunc(d.serve), TLSConfig: d.tls, ConnState: d.in.State, ErrorLog: slog.NewLogLogger(d.o.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving shares of budgets: %w", err)
	}
	return nil
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request) {
	name, err := nameIn(r.TLS)
	if err == nil {
		err = counts(d.conf.CRL, *r.TLS, d.o.Now())
	}
	var gate uint32
	for _, g := range d.conf.Gates {
		if err == nil && g.Name == name {
			gate = g.Number
		}
	}
	if gate == 0 {
		d.o.Log.Warn("somebody without a place in leases.gates asked for a share", "name", name, "error", err)
		http.Error(w, ErrUnknown.Error(), http.StatusForbidden)
		return
	}
	d.in.Knows(r)
	if r.Method != http.MethodPost || r.URL.Path != path {
		http.NotFound(w, r)
		return
	}
	q, err := readQuestion(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a, err := d.Answer(r.Context(), gate, q)
	if err != nil {
		d.o.Log.Warn("a question for shares was not answered", "gate", gate, "error", err)
		status := http.StatusConflict
		if !errors.Is(err, ErrFenced) && !errors.Is(err, ErrTwice) && !errors.Is(err, ErrOld) && !errors.Is(err, ErrUnknown) {
			status, err = http.StatusServiceUnavailable, errors.New("the issuer's ledger takes no entry")
		}
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a)
}
