package ledger

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// ErrBusy: the committer has not come back from the disk.
var ErrBusy = errors.New("the ledger waits for its disk")

// Health says why entries are not accepted now, or soon will not be: it wraps
// ErrFailed, ErrFull, ErrClosed or ErrBusy; another error is of Before. nil
// says that the next groups have room, not that the disk will keep them. It
// writes no entry. When the current segment is nearly used up it prepares the
// next one, as the next commit would have to. ErrBusy comes when ctx ends.
func (l *Ledger) Health(ctx context.Context) error {
	for wait := 100 * time.Microsecond; !l.committing.TryLock(); wait = min(2*wait, 20*time.Millisecond) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
		case <-time.After(wait):
		}
	}
	defer l.committing.Unlock()
	l.mu.Lock()
	closing := l.closing
	l.mu.Unlock()
	if closing {
		return ErrClosed
	}
	if l.failed != nil {
		return l.failed
	}
	if l.cfg.Before != nil {
		bodies, err := l.cfg.Before()
		if errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("%w: preparing a group: %w", ErrFull, err) // it is tried again, and goes on where there is room
		}
		if err != nil {
			return fmt.Errorf("preparing a group: %w", err)
		}
		l.carried = append(l.carried, bodies...)
	}
	return l.nextRoom(ctx)
}

// fewLeft is the room in a segment that is nearly used up: some large groups.
const fewLeft = 1 << 20

// nextRoom makes sure that there is a next segment when the current one is nearly
// used up. Whoever calls commits.
func (l *Ledger) nextRoom(ctx context.Context) error {
	if l.size-l.off > min(fewLeft, l.size/2) {
		return nil
	}
	var next prepared
	if l.spare != nil {
		select {
		case next = <-l.spare:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
		}
	}
	if next.file == nil && (next.err == nil || errors.Is(next.err, syscall.ENOSPC)) {
		next = prepare(l.fs, l.cfg.Dir, l.segment+1, l.cfg.SegmentBytes)
	}
	l.spare = make(chan prepared, 1)
	l.spare <- next
	switch {
	case errors.Is(next.err, syscall.ENOSPC):
		return fmt.Errorf("%w: %w", ErrFull, next.err)
	case next.err != nil:
		return next.err // the commit that needs the segment will fail by it
	}
	return nil
}
