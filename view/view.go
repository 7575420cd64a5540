// Package view keeps the folds of a ledger up to date, and lets detectors
// answer entries with entries.
//
// A view is what a fold of the ledger leaves in memory. It can be thrown away
// and folded again, and then gives the same answers. So a view has no clock,
// does no input or output, and cannot fail.
package view

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"sekisho"
)

// A View is one fold. Apply is called for every entry of the ledger once, in
// order, and never at the same time as itself or as a reader in Set.Read. It
// must not keep or change e, but may keep what e.Body points to.
type View interface {
	Name() string
	Apply(e *sekisho.Entry)
}

// A Reaction answers entries with entries: it is how a detector speaks.
//
// Exactly once: React is asked about every entry, those of the past included,
// so it must give the same answers each time. An answer whose key is that of
// an entry that comes later in the ledger has been given; when the end of the
// past is reached, the answers that were never given are appended. So a crash
// between cause and answer neither loses nor doubles it.
type Reaction struct {
	Name string
	// React is called once for each entry, in order, after every view has
	// applied it and under the same lock: it may itself be a fold, and be read
	// in Set.Read.
	React func(e *sekisho.Entry) []sekisho.Body
	// Key names what a body answers. Two bodies with the same key are the same
	// answer, even if a changed config gives them other figures. Empty for a
	// body that is none of this reaction's.
	Key func(b sekisho.Body) string
}

// Config is what a Set follows and feeds.
type Config struct {
	// Follow gives every durable entry from a sequence number on, then waits
	// for more until ctx ends: ledger.Ledger.Follow.
	Follow func(ctx context.Context, from uint64) iter.Seq2[sekisho.Entry, error]
	// Hurry has Follow give at once what it would gather: ledger.Ledger.Hurry. May
	// be nil.
	Hurry func()
	// Last is the sequence number of the last durable entry: ledger.Ledger.Last.
	Last func() uint64
	// Append makes bodies durable: ledger.Ledger.Append. Needed only with
	// reactions.
	Append func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error)

	Views     []View     // applied in this order
	Reactions []Reaction // asked in this order
	// Retry is how long to wait after an answer could not be appended (a full
	// disk, say) before trying again. 0 means one second.
	Retry time.Duration
	Log   *slog.Logger
}

// A Set of views that stand at one sequence number.
type Set struct {
	cfg  Config
	tail uint64 // where the past ended when the set began

	mu      sync.RWMutex // guards the views themselves, and the rest below
	applied uint64
	moved   chan struct{} // closed and replaced at each step while somebody waits
	waiting int
	err     error // why Run ended
	stuck   error // why the last attempt to append failed; nil after a success
	open    int   // answers that are called for and not yet appended

	// Answers not yet handed over, and every key ever due (true) or given
	// (false). Only Run touches them.
	order []answer
	due   map[string]bool
}

type answer struct {
	key  string
	body sekisho.Body
}

// New makes a set. Its views must be empty: they are fed from entry 1. It panics if
// two of its folds have one name: a fold that is in it twice would count everything
// twice.
func New(cfg Config) *Set {
	names := map[string]bool{}
	once := func(name string) {
		if names[name] {
			panic("view: the fold " + name + " is in the set twice")
		}
		names[name] = true
	}
	for _, v := range cfg.Views {
		once(v.Name())
	}
	for _, r := range cfg.Reactions {
		once(r.Name)
	}
	if cfg.Retry == 0 {
		cfg.Retry = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Set{cfg: cfg, moved: make(chan struct{}), due: map[string]bool{}}
}

// Run feeds the views until ctx ends or the ledger cannot be read. It returns
// only after the last answer that was being appended is settled. The views
// stay readable afterwards, at the point that they had reached.
func (s *Set) Run(ctx context.Context) error {
	s.tail = s.cfg.Last()
	ctx, stop := context.WithCancel(ctx)
	var answers sync.WaitGroup
	q := newQueue()
	if len(s.cfg.Reactions) > 0 {
		answers.Go(func() { s.appendAll(ctx, q) })
	}
	err := s.follow(ctx, q)
	stop()
	q.close()
	answers.Wait()

	s.mu.Lock()
	s.err = err
	s.step()
	s.mu.Unlock()
	return err
}

func (s *Set) follow(ctx context.Context, q *queue) error {
	if s.tail == 0 {
		s.answer(q)
	}
	for e, err := range s.cfg.Follow(ctx, 1) {
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("following the ledger after entry %d: %w", s.applied, err)
		}
		s.apply(&e)
		if e.ID.Seq >= s.tail {
			s.answer(q)
		}
	}
	return ctx.Err()
}

// answer hands over every answer that the past has not already given.
func (s *Set) answer(q *queue) {
	if len(s.order) == 0 {
		return
	}
	var bodies []sekisho.Body
	for _, a := range s.order {
		if s.due[a.key] {
			bodies = append(bodies, a.body)
		}
	}
	if given := len(s.order) - len(bodies); given > 0 {
		s.mu.Lock()
		s.open -= given
		s.step()
		s.mu.Unlock()
	}
	s.order = s.order[:0]
	if len(bodies) > 0 {
		q.put(bodies)
	}
}

func (s *Set) apply(e *sekisho.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Body != nil {
		for _, v := range s.cfg.Views {
			v.Apply(e)
		}
		for _, r := range s.cfg.Reactions {
			s.react(&r, e)
		}
	}
	s.applied = e.ID.Seq
	s.step()
}

// react notes what e answers, and what it calls for.
func (s *Set) react(r *Reaction, e *sekisho.Entry) {
	if k := r.Key(e.Body); k != "" {
		s.due[r.Name+"\x00"+k] = false
	}
	for _, b := range r.React(e) {
		k := r.Name + "\x00" + r.Key(b)
		if _, known := s.due[k]; !known {
			s.due[k] = true
			s.order = append(s.order, answer{k, b})
			s.open++
		}
	}
}

func (s *Set) step() {
	if s.waiting > 0 || s.err != nil {
		close(s.moved)
		s.moved = make(chan struct{})
		s.waiting = 0
	}
}

// appendAll appends answers on its own, so that a ledger that is slow or full
// holds up no view. What it could not append when ctx ends is found again as
// missing at the next start.
func (s *Set) appendAll(ctx context.Context, q *queue) {
	for {
		bodies := q.take(ctx)
		if bodies == nil {
			return
		}
		for {
			_, err := s.cfg.Append(ctx, bodies...)
			s.mu.Lock()
			s.stuck = err
			if err == nil {
				s.open -= len(bodies)
				s.step()
			}
			s.mu.Unlock()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			s.cfg.Log.Error("an alert or incident could not be recorded; trying again", "entries", len(bodies), "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(s.cfg.Retry):
			}
		}
	}
}

// Read calls f while every view stands still at one sequence number.
func (s *Set) Read(f func()) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f()
}

// Applied is the sequence number that the views stand at.
func (s *Set) Applied() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.applied
}

// WaitFor returns nil once the views have applied entry seq, the reason if
// they never will, or the error of ctx.
func (s *Set) WaitFor(ctx context.Context, seq uint64) error {
	for {
		s.mu.Lock()
		if s.applied >= seq {
			s.mu.Unlock()
			return nil
		}
		if s.err != nil {
			err := s.err
			s.mu.Unlock()
			return fmt.Errorf("waiting for entry %d: the views stopped: %w", seq, err)
		}
		s.waiting++
		moved := s.moved
		s.mu.Unlock()
		if s.cfg.Hurry != nil {
			s.cfg.Hurry()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for entry %d: %w", seq, ctx.Err())
		}
	}
}

// Quiet returns nil once the views have applied all that is in the ledger and
// every answer that it calls for, and the answers to those: until something
// new happens, nothing will. The error is as WaitFor's. Only a drill or a test
// can be sure that nothing new happens meanwhile.
func (s *Set) Quiet(ctx context.Context) error {
	for {
		last := s.cfg.Last()
		if err := s.WaitFor(ctx, last); err != nil {
			return err
		}
		s.mu.Lock()
		open, moved, err := s.open, s.moved, s.err
		if open > 0 && err == nil {
			s.waiting++
		}
		s.mu.Unlock()
		switch {
		case err != nil:
			return fmt.Errorf("waiting for the answers: the views stopped: %w", err)
		case open == 0 && s.cfg.Last() == last:
			return nil
		case open == 0:
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the answers: %w", ctx.Err())
		}
	}
}

// Err is why Run ended, or why answers cannot be appended at the moment; nil
// if all is well.
func (s *Set) Err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.err != nil {
		return s.err
	}
	return s.stuck
}

// Fold applies entries to views until they end: for a stopped ledger. It
// gives the number of entries.
func Fold(entries iter.Seq2[sekisho.Entry, error], views ...View) (uint64, error) {
	var n uint64
	for e, err := range entries {
		if err != nil {
			return n, fmt.Errorf("folding the ledger beyond entry %d: %w", n, err)
		}
		n++
		if e.Body == nil {
			continue
		}
		for _, v := range views {
			v.Apply(&e)
		}
	}
	return n, nil
}

// A queue of answers without bound: the follower must never wait for the
// ledger, which may be waiting for the follower's readers.
type queue struct {
	mu     sync.Mutex
	items  [][]sekisho.Body
	ready  chan struct{}
	closed bool
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) put(b []sekisho.Body) {
	q.mu.Lock()
	q.items = append(q.items, b)
	q.mu.Unlock()
	q.wake()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for the next batch; nil when there will be none.
func (q *queue) take(ctx context.Context) []sekisho.Body {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			b := q.items[0]
			q.items = q.items[1:]
			q.mu.Unlock()
			return b
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return nil
		}
	}
}
