package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"sekisho"
	"sekisho/disk"
)

// Follow gives every durable entry with a sequence number of at least from, in
// order, and waits for more until ctx ends or the ledger is closed; then it
// ends without an error. It sees an entry when it is durable, never sooner: at
// once after a silence, and while more and more come, what has come within a few
// milliseconds together, or when somebody is in a Hurry. Whoever follows slowly
// slows nobody.
//
// An entry of a kind that this program does not know comes without a body and
// with an error that is sekisho.ErrUnknownKind; going on after it is right.
// After any other error the sequence ends.
func (l *Ledger) Follow(ctx context.Context, from uint64) iter.Seq2[sekisho.Entry, error] {
	return func(yield func(sekisho.Entry, error) bool) {
		r := reader{fs: l.fs, dir: l.cfg.Dir, next: 1, from: from}
		defer r.close()
		pause := time.NewTimer(0)
		defer pause.Stop()
		silence := true // nothing has come for the length of a pause
		for {
			var news chan struct{}
			l.mu.Lock()
			end := l.durable
			switch {
			case r.next <= end.seq:
			case silence:
				news = opened(&l.news)
			default:
				news = opened(&l.hurry)
			}
			l.mu.Unlock()

			for r.next <= end.seq {
				silence = false
				if ctx.Err() != nil {
					return
				}
				r.end = &end
				more, err := r.group(yield)
				if err != nil {
					yield(sekisho.Entry{}, fmt.Errorf("following the ledger: %w", err))
					return
				}
				if !more {
					return
				}
			}
			if news == nil {
				continue
			}
			var over <-chan time.Time
			if !silence {
				pause.Reset(gather)
				over = pause.C
			}
			select {
			case <-news:
			case <-over:
				silence = true
			case <-ctx.Done():
				return
			case <-l.done:
				l.mu.Lock()
				last := l.durable.seq < r.next
				l.mu.Unlock()
				if last {
					return
				}
			}
		}
	}
}

// gather is how long what comes is gathered for those who follow. To wake them
// for each group would cost a tenth of what the groups themselves do.
const gather = 5 * time.Millisecond

// Hurry has those who follow see at once what is durable. It is for whoever
// waits for them.
func (l *Ledger) Hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hurry != nil {
		close(l.hurry)
		l.hurry = nil
	}
}

// opened is the channel at c, made if it is not there.
func opened(c *chan struct{}) chan struct{} {
	if *c == nil {
		*c = make(chan struct{})
	}
	return *c
}

// Read gives the entries of the ledger in dir with a sequence number of at
// least from, read only, up to the last whole group. Somebody may be writing
// to it. Errors are as with Follow.
func Read(fsys disk.FS, dir string, from uint64) iter.Seq2[sekisho.Entry, error] {
	return func(yield func(sekisho.Entry, error) bool) {
		r := reader{fs: fsys, dir: dir, next: 1, from: from}
		defer r.close()
		for {
			more, err := r.group(yield)
			if errors.Is(err, errUnused) {
				return
			}
			if err != nil {
				yield(sekisho.Entry{}, fmt.Errorf("reading the ledger in %s: %w", dir, err))
				return
			}
			if !more {
				return
			}
		}
	}
}

// A reader goes from group to group.
type reader struct {
	fs   disk.FS
	dir  string
	from uint64    // entries before it are passed over
	end  *position // groups before it are whole; nil if that is not known

	w       window
	segment int // 0 before the first
	off     int64
	next    uint64 // the entry that the next group begins with
	prev    hash
}

func (r *reader) close() {
	if r.w.file != nil {
		r.w.file.Close()
		r.w = window{}
	}
}

// group yields the entries of the next group. errUnused says that there is
// none yet.
func (r *reader) group(yield func(sekisho.Entry, error) bool) (more bool, err error) {
	if r.segment == 0 {
		if err := r.start(); err != nil {
			return false, err
		}
	}
	head, group, err := r.read()
	if err != nil {
		return false, err
	}
	if head.first != r.next || head.prev != r.prev {
		return false, fmt.Errorf("%w: %s at byte %d: entry %d was expected; run `sekisho ledger verify`", ErrCorrupt, segmentName(r.segment), r.off, r.next)
	}
	seq := head.first
	rest := entriesOf(group)
	for n := 0; len(rest) > 0; n++ {
		var b []byte
		if b, rest, err = nextEntry(rest); err != nil {
			return false, fmt.Errorf("%w: %s: entry %d: %w; run `sekisho ledger verify`", ErrCorrupt, segmentName(r.segment), seq, err)
		}
		if seq >= r.from {
			e, err := sekisho.Decode(b)
			if err != nil && !errors.Is(err, sekisho.ErrUnknownKind) {
				return false, fmt.Errorf("%w: %s: entry %d: %w; run `sekisho ledger verify`", ErrCorrupt, segmentName(r.segment), seq, err)
			}
			if !yield(e, err) {
				return false, nil
			}
		}
		seq++
	}
	r.next, r.prev = head.first+uint64(head.count), chainOf(group)
	r.off += head.size()
	return true, nil
}

// start opens the segment that holds entry from, or the last one.
func (r *reader) start() error {
	segments, err := segmentsIn(r.fs, r.dir)
	if err != nil {
		return err
	}
	if len(segments) == 0 {
		return errUnused
	}
	low, high := 1, len(segments) // the segment is in [low, high]
	for low < high {
		mid := (low + high + 1) / 2
		err := r.open(mid)
		switch {
		case errors.Is(err, errUnused):
			high = mid - 1
		case err != nil:
			return err
		case r.next <= r.from:
			low = mid
		default:
			high = mid - 1
		}
	}
	return r.open(low)
}

// open goes to the beginning of segment n. errUnused says that it is not there
// or was not begun; then nothing has changed.
func (r *reader) open(n int) error {
	f, err := r.fs.OpenFile(filepath.Join(r.dir, segmentName(n)), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return errUnused
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w := window{file: f, size: size}
	b, err := w.bytes(0, segmentHeader)
	var head segmentHead
	if err == nil {
		head, err = parseSegmentHead(b)
	}
	if err == nil && r.end != nil && n > r.end.segment {
		err = errUnused
	}
	if errors.Is(err, errDamaged) && r.end == nil {
		// The first write to a segment, torn, is the end of the ledger too.
		if rest, bad := inspect(f, 0, size, 1); bad == nil && rest.damaged == nil {
			err = errUnused
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, errUnused) {
			return errUnused
		}
		if errors.Is(err, errDamaged) {
			return fmt.Errorf("%w: %s: %w; run `sekisho ledger verify`", ErrCorrupt, segmentName(n), err)
		}
		return fmt.Errorf("%s: %w", segmentName(n), err)
	}
	r.close()
	r.w, r.segment, r.off = w, n, segmentHeader
	r.next, r.prev = head.first, head.prev
	return nil
}

// read gives the next group, from the next segment if this one is used up.
func (r *reader) read() (groupHead, []byte, error) {
	for again, back := false, false; ; again = true {
		if r.end != nil {
			// Beyond the durable end of the current segment a group may be half
			// there: it must not get into the window.
			if r.segment == r.end.segment {
				r.w.size = r.end.off
			} else if size, err := r.w.file.Size(); err != nil {
				return groupHead{}, nil, err
			} else {
				r.w.size = size
			}
		}
		head, group, err := r.w.group(r.off)
		if err == nil && r.end == nil {
			err = whole(head, group)
		}
		switch {
		case err == nil:
			return head, group, nil
		case !errors.Is(err, errUnused) && !errors.Is(err, errDamaged) && !errors.Is(err, errTooShort):
			return head, nil, err
		case !again:
			// The window may have been read before the group was written, or
			// while it was.
			r.w.buf = nil
			continue
		}
		if !errors.Is(err, errUnused) {
			return head, nil, r.judge(err)
		}
		was := *r
		if err := r.open(r.segment + 1); err != nil {
			return groupHead{}, nil, err
		}
		if r.next != was.next || r.prev != was.prev {
			if r.end == nil && !back && r.next > was.next {
				// Since the end of the segment before was looked at, somebody has
				// written more there and then begun this one. By now that segment is
				// what it will stay: what follows must be in it.
				back = true
				if err := r.open(was.segment); err != nil {
					return groupHead{}, nil, err
				}
				r.off, r.next, r.prev = was.off, was.next, was.prev
				continue
			}
			return groupHead{}, nil, fmt.Errorf("%w: %s does not follow the segment before it; run `sekisho ledger verify`", ErrCorrupt, segmentName(r.segment))
		}
	}
}

// judge tells a torn tail, which is the end, from damage. The group at r.off
// is not whole.
func (r *reader) judge(bad error) error {
	if r.end == nil {
		rest, err := inspect(r.w.file, r.off, r.w.size, r.next)
		if err != nil {
			return err
		}
		r.w.buf = nil
		if head, group, err := r.w.group(r.off); err == nil && whole(head, group) == nil {
			return errUnused // it was being written meanwhile: the end, when this began
		}
		if rest.damaged == nil {
			return errUnused
		}
		bad = rest.damaged
	}
	return fmt.Errorf("%w: %s: %w; run `sekisho ledger verify`", ErrCorrupt, segmentName(r.segment), bad)
}
