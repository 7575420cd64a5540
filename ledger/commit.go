package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"sekisho"
	"sekisho/disk"
)

// A tail is where the next group goes, and what it needs to know of all groups
// before. It belongs to whoever commits.
type tail struct {
	file    disk.File
	segment int
	off     int64 // of the next group; everything from here on is zeros
	size    int64 // of the file

	next  uint64       // sequence number of the next entry
	epoch uint64       //
	time  sekisho.Time // of the last entry
	prev  hash         // of the last group

	failed  error          // wraps ErrFailed once nothing is accepted any more
	carried []sekisho.Body // from Before, of a group that was not written
	buf     []byte         // the segment header's room, then the group
	group   []*Request     // the other of two queues, of which one is being answered

	meanwhile func()        // what Commit was given, until it is called
	away      time.Duration // how long it took

	spare     chan prepared // the next segment on its way; nil if none was asked for
	prepareAt int64         // the offset at which to ask for one
}

// A prepared segment is zero-filled, named, and durable.
type prepared struct {
	file disk.File
	size int64
	err  error
}

func (t *tail) close() error {
	var err error
	if t.file != nil {
		err = t.file.Close()
	}
	if t.spare != nil {
		if p := <-t.spare; p.file != nil {
			err = errors.Join(err, p.file.Close())
		}
		t.spare = nil
	}
	return err
}

// run is the committer.
func (l *Ledger) run() {
	for last := false; !last; {
		l.mu.Lock()
		for !l.called && !l.closing {
			l.work.Wait()
		}
		l.mu.Unlock()
		l.committing.Lock()
		l.mu.Lock()
		l.letIn()
		group := l.take()
		l.stopped = l.closing // what was not queued by now is refused by Submit
		last = l.stopped
		l.mu.Unlock()
		l.answer(group)
		l.committing.Unlock()
		if len(group) > 1 && !last {
			// Those who were just answered often have the next request at hand.
			// Letting them run first, without waiting for any, nearly doubles the
			// group; after a group of one there is nobody to let run.
			runtime.Gosched()
		}
	}

	closed := &Request{Bodies: []sekisho.Body{&sekisho.LedgerClosed{}}}
	l.committing.Lock()
	l.commit([]*Request{closed}, l.cfg.Before)
	l.committing.Unlock()
	l.goodbye = closed.err
	close(l.done)
}

// take empties the queue. l.mu and committing are held; what it gives is good
// until committing is given up.
func (l *Ledger) take() []*Request {
	group := l.queue
	l.queue, l.group = l.group[:0], group
	l.weight, l.called = 0, false
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	return group
}

// answer commits a group and answers it.
func (l *Ledger) answer(group []*Request) {
	if len(group) == 0 {
		return
	}
	begin := time.Now()
	l.away = 0
	l.commit(group, l.cfg.Before)
	pace := l.pace.Load()
	l.pace.Store(pace + (int64(time.Since(begin)-l.away)-pace)/8)
	for i, r := range group {
		group[i] = nil // before Done: r is its owner's again in there
		r.finish(r.first, r.err)
	}
}

// leave calls meanwhile, if there is one and it has not been called.
func (l *Ledger) leave() {
	f := l.meanwhile
	if f == nil {
		return
	}
	l.meanwhile = nil
	begin := time.Now()
	l.inside.Store(true)
	f()
	l.inside.Store(false)
	l.away = time.Since(begin)
}

// roomy: the next group will not have to wait for a segment to be filled with
// zeros.
func (l *Ledger) roomy() bool { return l.size-l.off > fewLeft || len(l.spare) == 1 }

// yields is how often letIn gives way at most.
const yields = 3

// letIn gives the processor to whoever is about to submit, on this side of the
// socket or the other, for as long as that makes the queue grow. It waits for
// nobody: with nothing else to run it returns at once. It holds l.mu on entry
// and on return.
func (l *Ledger) letIn() {
	for range yields {
		n := len(l.queue)
		l.mu.Unlock()
		syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
		runtime.Gosched()
		l.mu.Lock()
		if len(l.queue) == n {
			return
		}
	}
}

// commit writes the requests as one group. On return each has its first or its
// err, and what has no err is durable and can be followed.
func (l *Ledger) commit(group []*Request, before func() ([]sekisho.Body, error)) {
	if len(group) == 0 {
		return
	}
	count, err := l.write(group, before)
	if err != nil {
		for _, r := range group {
			r.first, r.err = sekisho.ID{}, err
		}
		return
	}
	if count == 0 {
		return
	}
	l.next += uint64(count)
	l.last.Store(l.next - 1)
	l.mu.Lock()
	l.durable = position{l.segment, l.off, l.next - 1}
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
	l.mu.Unlock()
	l.prepareAhead()
}

// write encodes the group and makes it durable. It returns the number of
// entries. An error is the whole group's; then no entry of it was, or ever
// will be, acknowledged.
func (l *Ledger) write(group []*Request, before func() ([]sekisho.Body, error)) (count int, err error) {
	if l.failed != nil {
		return 0, l.failed
	}
	if before != nil {
		bodies, err := before()
		if err != nil {
			return 0, fmt.Errorf("preparing the group: %w", err)
		}
		l.carried = append(l.carried, bodies...)
	}
	count = l.encode(group)
	if count == 0 {
		return 0, nil
	}
	var chain hash
	l.buf, chain = endGroup(l.buf, segmentHeader, count, l.next, l.prev)

	out := l.buf[segmentHeader:]
	if l.off+int64(len(out)) > l.size {
		if err := l.roll(int64(len(l.buf))); err != nil {
			return 0, err
		}
		segmentHead{gate: l.cfg.Gate, epoch: l.epoch, first: l.next, prev: l.prev}.append(l.buf[:0])
		out = l.buf
	}
	// A crash from here until Sync returns leaves the group whole or torn, and
	// a new segment begun or not: recovery decides by the bytes.
	if _, err := l.file.WriteAt(out, l.off); err != nil {
		return 0, l.fail(fmt.Errorf("writing %s: %w", segmentName(l.segment), err))
	}
	if l.meanwhile != nil {
		// To write and to flush are two journeys to the disk, one after the other:
		// the first is under way while meanwhile runs.
		l.file.Start(l.off, int64(len(out)))
		l.leave()
	}
	if err := l.file.Sync(); err != nil {
		return 0, l.fail(fmt.Errorf("syncing %s: %w", segmentName(l.segment), err))
	}
	// From here on the group is durable.
	l.off += int64(len(out))
	l.prev = chain
	l.carried = nil
	return count, nil
}

// keepBuffer is the largest buffer that is kept for the next group.
const keepBuffer = 32 << 20

// encode fills l.buf with the room for a segment header, the room for a group
// header, and the entries: the carried bodies, then those of each request. A
// request that cannot be written gets its err and no entry.
func (l *Ledger) encode(group []*Request) (count int) {
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	if l.buf == nil {
		l.buf = make([]byte, segmentHeader, 64<<10)
	}
	l.buf = beginGroup(l.buf[:segmentHeader])
	l.time = max(l.time, sekisho.At(l.cfg.Now()))
	e := sekisho.Entry{ID: sekisho.ID{Gate: l.cfg.Gate, Epoch: l.epoch}, Time: l.time}

	add := func(bodies []sekisho.Body) error {
		at := len(l.buf)
		for i, b := range bodies {
			e.ID.Seq = l.next + uint64(count+i)
			e.Body = b
			begin := len(l.buf)
			if b != nil {
				l.buf = appendEntry(l.buf, &e)
			}
			if err := refuse(b, l.buf[begin:], len(l.buf)); err != nil {
				l.buf = l.buf[:at]
				return err
			}
		}
		count += len(bodies)
		return nil
	}
	for _, b := range l.carried {
		if err := add([]sekisho.Body{b}); err != nil {
			l.log.Error("the ledger left out an entry that it cannot hold", "kind", kindOf(b), "err", err)
		}
	}
	for _, r := range group {
		first := l.next + uint64(count)
		if len(r.Bodies) == 0 {
			r.err = fmt.Errorf("%w: the request is empty", ErrRefused)
		} else {
			r.err = add(r.Bodies)
		}
		r.first = sekisho.ID{}
		if r.err == nil {
			r.first = sekisho.ID{Gate: e.ID.Gate, Epoch: e.ID.Epoch, Seq: first}
		}
	}
	return count
}

// refuse keeps out an entry that no reader could read, for it would stop every
// view for ever. framed is what would be written, group the bytes so far.
func refuse(b sekisho.Body, framed []byte, group int) error {
	switch {
	case b == nil:
		return fmt.Errorf("%w: it has no body", ErrRefused)
	case len(framed)-entryHeader > sekisho.MaxEntry:
		return fmt.Errorf("%w: kind %d of %d bytes, the limit is %d", ErrRefused, b.Kind(), len(framed)-entryHeader, sekisho.MaxEntry)
	case group > maxGroup:
		return fmt.Errorf("%w: more than %d bytes at once", ErrRefused, maxGroup)
	}
	switch b.(type) {
	case *sekisho.Access, *sekisho.AccessClosed, *sekisho.SessionClosed:
		return nil // these have no field whose Go value may lack a valid encoding
	}
	if _, err := sekisho.Decode(framed[entryHeader:]); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

func kindOf(b sekisho.Body) sekisho.Kind {
	if b == nil {
		return 0
	}
	return b.Kind()
}

// fail ends the ledger's life. After a failed sync the kernel may have dropped
// the pages and marked them clean, so that a second sync would succeed and
// mean nothing.
func (l *Ledger) fail(err error) error {
	l.failed = fmt.Errorf("%w: %w", ErrFailed, err)
	l.log.Error("the ledger has failed; nothing is accepted until it is opened again", "err", err)
	return l.failed
}

// roll makes the next segment the current one. It must hold need bytes.
func (l *Ledger) roll(need int64) error {
	var p prepared
	if l.spare != nil {
		p = <-l.spare
		l.spare = nil
	}
	if p.file == nil && (p.err == nil || errors.Is(p.err, syscall.ENOSPC)) {
		// None was ready, or the disk was full then: it may no longer be.
		p = prepare(l.fs, l.cfg.Dir, l.segment+1, max(l.cfg.SegmentBytes, need))
	}
	if p.err == nil && p.size < need {
		if p.err = errors.Join(p.file.Allocate(need), p.file.Sync()); p.err == nil {
			p.size = need
		} else if errors.Is(p.err, syscall.ENOSPC) {
			l.spare = make(chan prepared, 1) // still good for smaller groups
			l.spare <- prepared{file: p.file, size: p.size}
		}
	}
	if errors.Is(p.err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", ErrFull, p.err)
	}
	if p.err != nil {
		return l.fail(p.err)
	}
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return l.fail(fmt.Errorf("closing %s: %w", segmentName(l.segment), err))
		}
	}
	l.file, l.segment, l.off, l.size = p.file, l.segment+1, 0, p.size
	l.prepareAt = p.size / 4
	return nil
}

// prepareAhead asks for the next segment once a quarter of this one is used,
// so that the commit path does not wait for it. If the disk is full, that
// shows again when the segment is needed.
func (l *Ledger) prepareAhead() {
	if l.spare != nil || l.off < l.prepareAt {
		return
	}
	l.prepareAt = l.size
	spare, fs, dir, n, size := make(chan prepared, 1), l.fs, l.cfg.Dir, l.segment+1, l.cfg.SegmentBytes
	l.spare = spare
	go func() { spare <- prepare(fs, dir, n, size) }()
}

// prepare makes segment n: zeros under another name, durable, then its own
// name, durable. A crash leaves a file that recovery removes, or a segment of
// zeros that it uses.
func prepare(fs disk.FS, dir string, n int, size int64) prepared {
	name := filepath.Join(dir, segmentName(n))
	f, err := fs.OpenFile(name+preparing, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return prepared{err: fmt.Errorf("preparing %s: %w", segmentName(n), err)}
	}
	if err = f.Allocate(size); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		fs.Remove(name + preparing) // to give its room back; recovery would do it too
		return prepared{err: fmt.Errorf("preparing %s: %w", segmentName(n), err)}
	}
	if err = fs.Rename(name+preparing, name); err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		f.Close()
		// %v: whatever the reason, a name that could not be synced is no case for
		// trying again.
		return prepared{err: fmt.Errorf("preparing %s: %v", segmentName(n), err)}
	}
	return prepared{file: f, size: size}
}
