// Package ledger is the one truth: a log of entries that only grows, durable
// before anybody acts on it, in which each group of entries carries the hash
// of all that came before.
//
// Submit puts a request into a queue. One goroutine, the committer, takes
// whatever waits, writes it as one group with one write and one fdatasync, and
// then answers every request of the group. It never waits for more to come:
// under load the next group gathers while the last one is being synced.
//
// What is true after a crash: every entry whose request was answered without
// an error is there, in its place. Entries of a group that was being written
// are all there or none is; nobody was told of them.
//
// The rejected designs. A leader among the callers instead of a committer: it
// saves a switch of goroutines when idle and costs more of them under load,
// and Submit could not return before the disk did. Groups aligned to sectors:
// acknowledged bytes would never be written again with their neighbours, at
// twice the size for a quiet ledger; instead a disk is trusted to write a
// sector of 512 bytes whole or not at all, as every database does.
//
// An event loop that submits for many has another way: Queue, and then Commit
// for all of them at once, which on a quick disk wakes no goroutine.
//
// BUG(ledger): a flipped bit in the last group is told from a torn write by
// which sectors are still zeros. A flip within an entry that itself holds a
// whole sector of zeros, in the last group before a crash, is taken for a torn
// write.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sekisho"
	"sekisho/disk"
)

// Errors of requests. They come wrapped with the reason.
var (
	// ErrFull: the disk had no room for another segment. Nothing of the request
	// was written. Later requests are accepted again once there is room.
	ErrFull = errors.New("the ledger's disk is full")
	// ErrFailed: a write or a sync failed, so that nobody knows what the disk
	// holds of the last group. Nothing is accepted until the ledger was closed
	// and opened again, which finds out.
	ErrFailed = errors.New("the ledger has failed and must be opened again")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the ledger is closed")
	// ErrCorrupt: what is on the disk is not what a ledger left there. Opening
	// and reading stop at it; Verify goes on and says what is wrong.
	ErrCorrupt = errors.New("the ledger is damaged")
	// ErrRefused: the request itself cannot be written, whatever the disk does.
	ErrRefused = errors.New("the ledger cannot hold this entry")
)

// Config is how a ledger is opened.
type Config struct {
	Dir string  // of the segments; made if need be. Nothing else may be in it
	FS  disk.FS // nil: disk.OS

	Gate     uint32 // the number of the gate that writes; a directory belongs to one
	Name     string // these three go into LedgerOpened
	Drill    string
	Software string

	Now func() time.Time // nil: time.Now. Entries never go back in time, whatever it says

	// SegmentBytes is the size of a segment file; 0 means 64 MiB. It may differ
	// from one opening to the next.
	SegmentBytes int64

	// Before, if set, is called by the committer before each group. The bodies
	// that it gives stand at the head of the group. An error fails the group.
	// If the group fails after Before answered, its bodies go to the head of
	// the next one.
	Before func() ([]sekisho.Body, error)
	// BeforeWaits, if set, says whether Before would now wait for a disk. Then
	// Commit leaves the group to the committer.
	BeforeWaits func() bool

	Log *slog.Logger // nil: slog.Default
}

// Limits on what waits in memory.
const (
	// queueBytes is about how much may wait to be committed.
	queueBytes = 16 << 20
	// maxGroup is the most bytes of entries in one group. A group's length has
	// 32 bits, and a reader holds a group in memory.
	maxGroup = 256 << 20

	defaultSegment = 64 << 20
	leastSegment   = 4 << 10
)

// A Request is some entries that are appended together: one after the other,
// all of them or none.
type Request struct {
	Bodies []sekisho.Body

	// Done is called once, when the entries are durable or will never be. The
	// calls come one at a time, from the committer or a caller of Commit, in the
	// order of Submit; the next group waits for them, so they must not block, wait
	// for another request, or call Submit. Only after Close do they come from Submit itself.
	Done func(first sekisho.ID, err error)

	weight int
	first  sekisho.ID
	err    error
}

// A Ledger is open for appending. It is safe for concurrent use.
type Ledger struct {
	cfg  Config
	fs   disk.FS
	log  *slog.Logger
	lock io.Closer

	mu      sync.Mutex
	work    sync.Cond     // the committer waits on it for called or closing
	called  bool          // the committer is to take the queue
	queue   []*Request    // in order of Submit
	weight  int           // of the queue
	room    chan struct{} // closed when the queue was taken; nil if nobody waits for that
	closing bool
	stopped bool          // the committer has taken the queue for the last time
	durable position      // up to where followers may read
	news    chan struct{} // closed when durable grows; nil if nobody waits for that
	hurry   chan struct{} // closed by Hurry; nil if nobody gathers

	last    atomic.Uint64
	pace    atomic.Int64  // about how long a commit takes, in nanoseconds
	done    chan struct{} // closed when the committer is gone
	goodbye error         // of the committer's end; read after done

	committing sync.Mutex  // held by whoever commits: the committer, or a caller of Commit
	inside     atomic.Bool // what Commit was given runs, and nothing can be committed: who submits in it must not wait for that
	tail                   // guarded by committing
}

// A position is the end of a group.
type position struct {
	segment int
	off     int64
	seq     uint64 // of the last entry before it
}

// Open takes the directory's lock, recovers what is there, and appends the
// LedgerOpened of a new epoch, durable on return. A torn tail, never
// acknowledged, is cut. Damage anywhere else in the last segment is refused.
func Open(cfg Config) (*Ledger, error) {
	l, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger in %s: %w", cfg.Dir, err)
	}
	return l, nil
}

func open(cfg Config) (*Ledger, error) {
	if cfg.FS == nil {
		cfg.FS = disk.OS{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = defaultSegment
	}
	if cfg.SegmentBytes < leastSegment {
		return nil, fmt.Errorf("a segment of %d bytes: the least is %d", cfg.SegmentBytes, leastSegment)
	}
	l := &Ledger{cfg: cfg, fs: cfg.FS, log: cfg.Log, done: make(chan struct{})}
	l.work.L = &l.mu
	dropped, err := l.recover()
	if err != nil {
		return nil, errors.Join(err, l.release())
	}

	opened := &Request{Bodies: []sekisho.Body{&sekisho.LedgerOpened{
		Name: cfg.Name, Drill: cfg.Drill, Software: cfg.Software, Dropped: uint64(dropped),
	}}}
	// Before is not asked: LedgerOpened is the first entry of its epoch.
	l.commit([]*Request{opened}, nil)
	if opened.err != nil {
		return nil, errors.Join(opened.err, l.release())
	}
	go l.run()
	return l, nil
}

// Submit queues r and returns. While about 16 MiB wait to be committed it
// blocks until the committer has taken them. r and its bodies belong to the
// ledger until Done is called.
func (l *Ledger) Submit(r *Request) { _ = l.submit(context.Background(), r, true) }

// Queue is Submit for one who has more to queue and never waits. It must be
// followed by Commit, soon: until then r waits.
func (l *Ledger) Queue(r *Request) { _ = l.submit(context.Background(), r, false) }

// Commit commits what is queued. While the disk is quick, and nobody else
// commits, it does so on the caller's goroutine, which then also makes the calls
// of Done; else it leaves that to the committer and returns. Either way it calls
// meanwhile once, if it can while the bytes are on their way to the disk.
// meanwhile may queue and submit for the next commit, and must not wait for one.
func (l *Ledger) Commit(meanwhile func()) {
	if l.pace.Load() > patience || !l.committing.TryLock() {
		l.call()
		meanwhile()
		return
	}
	defer l.committing.Unlock()
	if !l.roomy() || l.cfg.BeforeWaits != nil && l.cfg.BeforeWaits() {
		l.call()
		meanwhile()
		return
	}
	l.mu.Lock()
	group := l.take()
	l.mu.Unlock()
	l.meanwhile = meanwhile
	l.answer(group)
	l.leave() // nothing was written
}

// patience is how long a commit may keep a caller of Commit, in nanoseconds.
// Above it, to wake the committer costs little beside the disk.
const patience = 500_000

// call has the committer take the queue.
func (l *Ledger) call() {
	l.mu.Lock()
	l.called = true
	l.mu.Unlock()
	l.work.Signal()
}

// submit fails only if ctx ends before r was queued; then r is the caller's
// again.
func (l *Ledger) submit(ctx context.Context, r *Request, call bool) error {
	r.weight = 0
	for _, b := range r.Bodies {
		r.weight += weigh(b)
	}
	l.mu.Lock()
	for call && l.weight > 0 && l.weight+r.weight > queueBytes && !l.stopped && !l.inside.Load() {
		if l.room == nil {
			l.room = make(chan struct{})
		}
		room := l.room
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		l.mu.Lock()
	}
	if l.stopped {
		l.mu.Unlock()
		r.finish(sekisho.ID{}, ErrClosed)
		return nil
	}
	l.queue = append(l.queue, r)
	l.weight += r.weight
	call = call && !l.called
	l.called = l.called || call
	l.mu.Unlock()
	if call {
		l.work.Signal()
	}
	return nil
}

func (r *Request) finish(first sekisho.ID, err error) {
	if r.Done != nil {
		r.Done(first, err)
	}
}

// weigh is about how many bytes b will take, for the bound on the queue.
func weigh(b sekisho.Body) int {
	switch b := b.(type) {
	case *sekisho.Access:
		return 64 + 2*len(b.Subjects)
	case *sekisho.FileMatched:
		return 128 + 2*len(b.Subjects)
	}
	return 256
}

// A call is one Append under way. Calls are reused.
type call struct {
	Request
	answer chan struct{} // holds one token once first and err of the Request are set
}

var calls = sync.Pool{New: func() any {
	c := &call{answer: make(chan struct{}, 1)}
	c.Done = func(first sekisho.ID, err error) {
		c.first, c.err = first, err
		c.answer <- struct{}{}
	}
	return c
}}

// Append appends the bodies as consecutive entries, durable on return, and
// says what the first is called. If ctx ends first, it returns its error and
// nobody knows whether the entries become durable; the bodies still belong to
// the ledger then.
func (l *Ledger) Append(ctx context.Context, bodies ...sekisho.Body) (first sekisho.ID, err error) {
	c := calls.Get().(*call)
	c.Bodies = bodies
	if err := l.submit(ctx, &c.Request, true); err != nil {
		c.Bodies = nil
		calls.Put(c)
		return sekisho.ID{}, fmt.Errorf("appending to the ledger: %w", err)
	}
	select {
	case <-c.answer:
	case <-ctx.Done():
		return sekisho.ID{}, fmt.Errorf("appending to the ledger: %w", ctx.Err()) // the committer still has c
	}
	first, err = c.first, c.err
	c.Bodies, c.err = nil, nil
	calls.Put(c)
	if err != nil {
		return sekisho.ID{}, fmt.Errorf("appending to the ledger: %w", err)
	}
	return first, nil
}

// Last is the sequence number of the last durable entry.
func (l *Ledger) Last() uint64 { return l.last.Load() }

// Close answers everything that was submitted, appends LedgerClosed, and gives
// up the lock. Followers end after the last entry. After ErrFailed there is no
// LedgerClosed, and Close says so.
func (l *Ledger) Close() error {
	l.mu.Lock()
	again := l.closing
	l.closing = true
	l.mu.Unlock()
	l.work.Signal()
	<-l.done
	if again {
		return ErrClosed
	}
	if err := errors.Join(l.goodbye, l.release()); err != nil {
		return fmt.Errorf("closing the ledger in %s: %w", l.cfg.Dir, err)
	}
	return nil
}

// release gives back what open took. Only when no committer runs.
func (l *Ledger) release() error {
	l.committing.Lock()
	defer l.committing.Unlock()
	err := l.tail.close()
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}
