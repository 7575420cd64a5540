package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sekisho/disk"
)

const lockName = "lock"

// recover takes the lock and makes the directory ready for the next group,
// after a crash and after an orderly end alike. It returns the number of bytes
// that it cut. After an error the caller releases what was taken.
//
// It is idempotent: a crash during it leaves something that it recovers from.
// Acknowledged bytes are never changed; of the last group, which may be whole
// in the page cache and nowhere else, the same bytes are written again.
func (l *Ledger) recover() (dropped int64, err error) {
	fs, dir := l.fs, l.cfg.Dir
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	if err := fs.SyncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
		return 0, err
	}
	if l.lock, err = fs.Lock(filepath.Join(dir, lockName)); err != nil {
		return 0, err
	}
	segments, err := segmentsIn(fs, dir)
	if err != nil {
		return 0, err
	}
	if err := removePreparing(fs, dir); err != nil {
		return 0, err
	}
	l.tail = tail{next: 1}

	// From the last segment back to the last one that holds a group. All after
	// it must be zeros, or the torn first write to a segment.
	var unused []int
	for i := len(segments); i > 0 && l.file == nil; i-- {
		cut, err := l.resume(segments[i-1])
		if err != nil {
			return 0, err
		}
		dropped += cut
		if l.file == nil {
			unused = append(unused, segments[i-1])
		}
	}
	if len(unused) > 1 {
		return 0, fmt.Errorf("%w: segments %d to %d hold nothing; run `sekisho ledger verify`", ErrCorrupt, unused[len(unused)-1], unused[0])
	}
	l.epoch++
	if len(unused) == 1 {
		f, err := fs.OpenFile(filepath.Join(dir, segmentName(unused[0])), os.O_RDWR, 0)
		if err != nil {
			return 0, err
		}
		size, err := f.Size()
		if err != nil {
			return 0, errors.Join(err, f.Close())
		}
		l.spare = make(chan prepared, 1)
		l.spare <- prepared{file: f, size: size}
	}
	// A segment's name may have been given and not yet synced.
	if err := fs.SyncDir(dir); err != nil {
		return 0, err
	}
	if l.file != nil {
		l.durable = position{l.segment, l.off, l.next - 1}
		l.last.Store(l.next - 1)
		l.prepareAt = l.size / 4
	}
	return dropped, nil
}

// segmentsIn lists the numbers of the segments in dir. There is no hole in
// them.
func segmentsIn(fs disk.FS, dir string) ([]int, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	var segments []int
	for _, name := range names {
		n, ok := segmentNumber(name)
		if !ok {
			continue
		}
		if n != len(segments)+1 {
			return nil, fmt.Errorf("%w: %s is missing; run `sekisho ledger verify`", ErrCorrupt, segmentName(len(segments)+1))
		}
		segments = append(segments, n)
	}
	return segments, nil
}

// removePreparing removes a segment that was still being prepared.
func removePreparing(fs disk.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".segment"+preparing) {
			if err := fs.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume makes segment n the current one, if it holds a whole group, and
// leaves zeros, durable, after the last of them.
func (l *Ledger) resume(n int) (cut int64, err error) {
	f, err := l.fs.OpenFile(filepath.Join(l.cfg.Dir, segmentName(n)), os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil || l.file == nil {
			err = errors.Join(err, f.Close())
		}
	}()
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	w := &window{file: f, size: size}
	b, err := w.bytes(0, segmentHeader)
	if err != nil {
		return 0, err
	}
	head, bad := parseSegmentHead(b)
	if bad == nil && head.gate != l.cfg.Gate {
		return 0, fmt.Errorf("the ledger belongs to gate %d, not to gate %d: give each gate a directory of its own", head.gate, l.cfg.Gate)
	}
	next, prev, off, lastGroup := uint64(1), hash{}, int64(0), int64(0)
	var last []byte // the bytes of the last entry
	if bad == nil {
		next, prev, off = head.first, head.prev, segmentHeader
		for {
			g, group, err := w.group(off)
			if err == nil {
				err = whole(g, group)
			}
			if err == nil && (g.first != next || g.prev != prev) {
				err = fmt.Errorf("%w: the group at byte %d does not follow the one before it", errDamaged, off)
			}
			if errors.Is(err, errUnused) || errors.Is(err, errDamaged) || errors.Is(err, errTooShort) {
				break
			}
			if err != nil {
				return 0, err
			}
			last = append(last[:0], lastEntry(group)...)
			next, prev = next+uint64(g.count), chainOf(group)
			lastGroup, off = off, off+g.size()
		}
	} else if !errors.Is(bad, errUnused) && !errors.Is(bad, errDamaged) && !errors.Is(bad, errTooShort) {
		return 0, fmt.Errorf("%s: %w", segmentName(n), bad)
	}
	empty := lastGroup == 0
	if empty {
		off = 0
	}

	r, err := inspect(f, off, size, next)
	if err != nil {
		return 0, err
	}
	if err := r.refuse(segmentName(n)); err != nil {
		return 0, err
	}
	if err := l.settle(f, lastGroup, off, r.dirty); err != nil {
		return 0, fmt.Errorf("%s: %w", segmentName(n), err)
	}
	if empty {
		return r.dirty, nil
	}
	e, _, ok := peek(last)
	if !ok || e.ID.Seq != next-1 {
		return 0, fmt.Errorf("%w: %s: entry %d is not what it should be; run `sekisho ledger verify`", ErrCorrupt, segmentName(n), next-1)
	}
	l.tail = tail{
		file: f, segment: n, off: off, size: size,
		next: next, epoch: e.ID.Epoch, time: e.Time, prev: prev,
	}
	return r.dirty, nil
}

// settle writes the bytes from the last group to off again and zeros over the
// dirty bytes after them, and syncs. A sync that failed in the last life may
// have left the group in the page cache alone, and stale bytes after off could
// one day be taken for a later group.
//
// A crash within the cut leaves some of the dirty bytes and zeros in the place
// of others, which nobody could tell from damage. So the cut is marked first,
// and the mark is the last to go: after a crash at any line either it stands
// there, or what stands there is the torn write as it was, or nothing.
func (l *Ledger) settle(f disk.File, lastGroup, off, dirty int64) error {
	begin := lastGroup
	if begin == segmentHeader {
		begin = 0
	}
	at := off // of the torn group's magic
	if off == 0 {
		at = min(segmentHeader, dirty)
	}
	mark := min(off+dirty-at, int64(len(cutMark)))
	same := make([]byte, at-begin, at-begin+mark)
	if _, err := f.ReadAt(same, begin); err != nil && err != io.EOF {
		return err
	}
	for i, w := range []struct {
		bytes []byte
		at    int64
	}{
		{append(same, cutMark[:mark]...), begin},
		{make([]byte, off+dirty-at-mark), at + mark},
		{make([]byte, at+mark-off), off}, // with the segment's header, if the first group is cut
	} {
		if i > 0 && dirty == 0 {
			break
		}
		if len(w.bytes) > 0 {
			if _, err := f.WriteAt(w.bytes, w.at); err != nil {
				return err
			}
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// lastEntry is the last entry's bytes of a group that is whole.
func lastEntry(group []byte) []byte {
	var e []byte
	for rest := entriesOf(group); len(rest) > 0; {
		e, rest, _ = nextEntry(rest)
	}
	return e
}
