package view_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"sekisho"
	"sekisho/view"
)

// book is a ledger in memory. It can be told to fail an append before or
// after it happened, which is what a crash looks like to the one who appends.
type book struct {
	mu      sync.Mutex
	entries []sekisho.Entry
	grown   chan struct{}
	fail    func() (before, after bool)
}

func newBook() *book { return &book{grown: make(chan struct{})} }

var errCrash = errors.New("crash")

func (b *book) Append(_ context.Context, bodies ...sekisho.Body) (sekisho.ID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var before, after bool
	if b.fail != nil {
		before, after = b.fail()
	}
	if before {
		return sekisho.ID{}, errCrash
	}
	var first sekisho.ID
	for i, body := range bodies {
		id := sekisho.ID{Gate: 1, Epoch: 1, Seq: uint64(len(b.entries) + 1)}
		if i == 0 {
			first = id
		}
		b.entries = append(b.entries, sekisho.Entry{ID: id, Time: sekisho.Time(id.Seq), Body: body})
	}
	close(b.grown)
	b.grown = make(chan struct{})
	if after {
		return sekisho.ID{}, errCrash
	}
	return first, nil
}

func (b *book) Last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.entries))
}

func (b *book) Follow(ctx context.Context, from uint64) iter.Seq2[sekisho.Entry, error] {
	return func(yield func(sekisho.Entry, error) bool) {
		for i := int(from) - 1; ; {
			b.mu.Lock()
			new, grown := b.entries[i:], b.grown
			b.mu.Unlock()
			for _, e := range new {
				if ctx.Err() != nil || !yield(e, nil) {
					return
				}
				i++
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}
}

// sum counts entries: a view that shows at which one it stands.
type sum struct {
	name    string
	n, last uint64
}

func (v *sum) Name() string           { return v.name }
func (v *sum) Apply(e *sekisho.Entry) { v.n++; v.last = e.ID.Seq }

// alarm answers every access with an alert that names it.
func alarm() view.Reaction {
	return view.Reaction{
		Name: "alarm",
		React: func(e *sekisho.Entry) []sekisho.Body {
			if _, ok := e.Body.(*sekisho.Access); !ok {
				return nil
			}
			return []sekisho.Body{&sekisho.Alert{Detector: "alarm", Basis: []uint64{e.ID.Seq}}}
		},
		Key: func(b sekisho.Body) string {
			if a, ok := b.(*sekisho.Alert); ok && len(a.Basis) == 1 {
				return fmt.Sprint(a.Basis[0])
			}
			return ""
		},
	}
}

func start(t *testing.T, b *book, cfg view.Config) (set *view.Set, stop func() error) {
	t.Helper()
	cfg.Follow, cfg.Last, cfg.Append = b.Follow, b.Last, b.Append
	cfg.Retry = 1
	set = view.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- set.Run(ctx) }()
	return set, func() error { cancel(); return <-done }
}

func TestReadersSeeOneSequenceNumber(t *testing.T) {
	b, a, c := newBook(), &sum{name: "sum"}, &sum{name: "again"}
	set, stop := start(t, b, view.Config{Views: []view.View{a, c}})
	for range 200 {
		id, err := b.Append(t.Context(), &sekisho.Access{})
		if err != nil {
			t.Fatal(err)
		}
		if err := set.WaitFor(t.Context(), id.Seq); err != nil {
			t.Fatal(err)
		}
		set.Read(func() {
			if a.n != c.n || a.last != c.last || a.n != id.Seq || a.last != id.Seq {
				t.Errorf("after entry %d the views stand at %v and %v", id.Seq, *a, *c)
			}
		})
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run: %v", err)
	}
	if err := set.WaitFor(t.Context(), 201); err == nil {
		t.Fatal("waiting for an entry that the stopped set will never apply ended well")
	}
}

func TestAnswersAreGivenExactlyOnceWhateverCrashes(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		b := newBook()
		causes := 0
		cause := func() {
			b.mu.Lock()
			b.fail = nil
			b.mu.Unlock()
			if _, err := b.Append(t.Context(), &sekisho.Access{}); err != nil {
				t.Fatal(err)
			}
			causes++
		}
		for range 5 { // five lives of the process, each ended by a crash
			for range 1 + rng.IntN(3) {
				cause()
			}
			switch rng.IntN(4) {
			case 0: // dies at once
				_, stop := start(t, b, view.Config{Reactions: []view.Reaction{alarm()}})
				stop()
			case 1, 2: // dies in its first append, before or after the write
				written := rng.IntN(2) == 0
				crashed := make(chan struct{})
				dead := false
				b.fail = func() (bool, bool) {
					if dead {
						return true, false
					}
					dead = true
					close(crashed)
					return !written, true
				}
				_, stop := start(t, b, view.Config{Reactions: []view.Reaction{alarm()}})
				<-crashed
				stop()
			case 3: // answers everything, then one more cause while it lives
				set, stop := start(t, b, view.Config{Reactions: []view.Reaction{alarm()}})
				cause()
				if err := set.WaitFor(t.Context(), uint64(2*causes)); err != nil {
					t.Fatal(err)
				}
				stop()
			}
		}
		cause()
		set, stop := start(t, b, view.Config{Reactions: []view.Reaction{alarm()}})
		if err := set.WaitFor(t.Context(), uint64(2*causes)); err != nil {
			t.Fatal(err)
		}
		stop()
		answered := map[uint64]bool{}
		for _, e := range b.entries {
			if a, ok := e.Body.(*sekisho.Alert); ok {
				answered[a.Basis[0]] = true
			}
		}
		if len(b.entries) != 2*causes || len(answered) != causes {
			t.Fatalf("seed %d: %d causes have %d answers in %d entries", seed, causes, len(answered), len(b.entries))
		}
	}
}

func TestAFullDiskDelaysAnswersAndSaysSo(t *testing.T) {
	b := newBook()
	b.Append(t.Context(), &sekisho.Access{})
	full, tried := true, make(chan struct{}, 1000)
	b.fail = func() (bool, bool) {
		select {
		case tried <- struct{}{}:
		default:
		}
		return full, false
	}
	set, stop := start(t, b, view.Config{Reactions: []view.Reaction{alarm()}})
	defer stop()
	<-tried
	<-tried // the first failure has been noted by now
	if set.Err() == nil {
		t.Error("no error while answers cannot be appended")
	}
	b.mu.Lock()
	full = false
	b.mu.Unlock()
	if err := set.WaitFor(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
}

// A fold that is in the set twice would count every entry twice.
func TestAFoldIsInASetOnce(t *testing.T) {
	one := &sum{name: "sum"}
	for _, twice := range []view.Config{
		{Views: []view.View{one, one}},
		{Views: []view.View{&sum{name: "alarm"}}, Reactions: []view.Reaction{alarm()}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a set was made of a fold twice")
				}
			}()
			view.New(twice)
		}()
	}
}

func TestFoldStopsAtAnError(t *testing.T) {
	broken := func(yield func(sekisho.Entry, error) bool) {
		_ = yield(sekisho.Entry{ID: sekisho.ID{Seq: 1}, Body: &sekisho.LedgerClosed{}}, nil) &&
			yield(sekisho.Entry{}, errCrash)
	}
	v := &sum{}
	n, err := view.Fold(broken, v)
	if n != 1 || v.n != 1 || !errors.Is(err, errCrash) {
		t.Fatalf("n=%d, view=%v, err=%v", n, *v, err)
	}
}
