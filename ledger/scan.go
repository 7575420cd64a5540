package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"sekisho/disk"
)

// A window reads a file forward in large pieces.
type window struct {
	file disk.File
	size int64 // what may be read
	buf  []byte
	at   int64 // where buf begins in the file
}

const windowBytes = 256 << 10

// bytes gives n bytes from off on, fewer at the end. They are good until the
// next call.
func (w *window) bytes(off, n int64) ([]byte, error) {
	n = min(n, w.size-off)
	if n <= 0 {
		return nil, nil
	}
	if off < w.at || off+n > w.at+int64(len(w.buf)) {
		want := min(max(n, windowBytes), w.size-off)
		if int64(cap(w.buf)) < want || cap(w.buf) > 4*windowBytes {
			w.buf = make([]byte, want)
		}
		w.buf = w.buf[:want]
		w.at = off
		got, err := w.file.ReadAt(w.buf, off)
		w.buf = w.buf[:got]
		if err != nil && err != io.EOF {
			w.buf = nil
			return nil, fmt.Errorf("reading at %d: %w", off, err)
		}
		if int64(got) < n {
			n = int64(got)
		}
	}
	return w.buf[off-w.at:][:n], nil
}

// group reads the whole group at off: its header, and all of its bytes, good
// until the next call. The checksums of its entries are not looked at.
func (w *window) group(off int64) (groupHead, []byte, error) {
	b, err := w.bytes(off, groupHeader)
	if err != nil {
		return groupHead{}, nil, err
	}
	if len(b) == 0 {
		return groupHead{}, nil, errUnused
	}
	if len(b) < groupHeader && allZero(b) {
		return groupHead{}, nil, errUnused
	}
	head, err := parseGroupHead(b)
	if err != nil {
		return head, nil, err
	}
	if off+head.size() > w.size {
		return head, nil, errTooShort
	}
	b, err = w.bytes(off, head.size())
	if err == nil && int64(len(b)) < head.size() {
		err = errTooShort
	}
	return head, b, err
}

// entriesOf is the part of a whole group that holds the entries.
func entriesOf(group []byte) []byte { return group[groupHeader : len(group)-trailer] }

// chainOf is the chain hash that a whole group states.
func chainOf(group []byte) hash { return hash(group[len(group)-trailer:]) }

// whole says what is wrong with a whole group, if anything is: its checksums,
// the number of its entries, its chain hash.
func whole(head groupHead, group []byte) error {
	rest, n := entriesOf(group), 0
	for ; len(rest) > 0; n++ {
		var err error
		if _, rest, err = nextEntry(rest); err != nil {
			return err
		}
	}
	if n != head.count || n == 0 {
		return fmt.Errorf("%w: %d entries in a group of %d", errDamaged, n, head.count)
	}
	if hash(sha256.Sum256(group[:len(group)-trailer])) != chainOf(group) {
		return fmt.Errorf("%w: the chain hash does not match", errDamaged)
	}
	return nil
}

// A rest is what stands in a segment after its last whole group.
type rest struct {
	dirty   int64 // bytes up to the last one that is not zero
	damaged error // why this is no torn write; nil: it may be cut
}

// inspect judges the bytes from off on, where the group that begins with entry
// next was expected and is not whole. A torn write is the last thing that
// happened to a file of zeros, so there is no later group, and whatever does
// not verify lacks sectors or its end. Anything else is damage to what was
// once whole, and must not be cut.
func inspect(f disk.File, off, size int64, next uint64) (rest, error) {
	end, err := lastUsed(f, off, size)
	if err != nil || end == off {
		return rest{}, err
	}
	r := rest{dirty: end - off}
	b := make([]byte, end-off)
	if _, err := f.ReadAt(b, off); err != nil && err != io.EOF {
		return r, fmt.Errorf("reading at %d: %w", off, err)
	}
	if at, first, ok := laterGroup(b, next); ok {
		r.damaged = fmt.Errorf("%w: entry %d cannot be read, but entry %d follows at byte %d", errDamaged, next, first, off+at)
		return r, nil
	}
	group := b
	if off == 0 {
		group = b[min(segmentHeader, len(b)):]
	}
	if beingCut(group) {
		return r, nil
	}
	if off == 0 {
		// The segment header and its first group are one write. Its first sector,
		// if it is there, holds the header.
		if !missing(b, 0, 0, segmentHeader) {
			if _, err := parseSegmentHead(b); err != nil && len(b) > segmentHeader+groupHeader {
				if _, err := parseGroupHead(b[segmentHeader:]); err == nil {
					r.damaged = fmt.Errorf("%w: the segment's header, before entry %d", errDamaged, next)
					return r, nil
				}
			}
		}
		if len(b) > segmentHeader {
			r.damaged = onceWhole(b[segmentHeader:], segmentHeader, size, next)
		}
		return r, nil
	}
	r.damaged = onceWhole(b, off, size, next)
	return r, nil
}

// lastUsed is the offset after the last byte from off on that is not zero, or
// off.
func lastUsed(f disk.File, off, size int64) (int64, error) {
	buf := make([]byte, min(1<<20, max(size-off, 0)))
	end := off
	for at := off; at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("reading at %d: %w", at, err)
		}
		if n == 0 {
			break
		}
		if !allZero(buf[:n]) {
			used := buf[:n]
			for len(used) > sector && allZero(used[len(used)-sector:]) { // quicker than byte by byte
				used = used[:len(used)-sector]
			}
			end = at + int64(len(bytes.TrimRight(used, "\x00")))
		}
		at += int64(n)
	}
	return end, nil
}

// beingCut says whether b begins with cutMark, or with what a mark that was
// itself torn leaves, byte for byte, of it and of what stood there before.
func beingCut(b []byte) bool {
	magic := binary.LittleEndian.AppendUint32(nil, groupMagic)
	found := false
	for i := range len(cutMark) {
		if i == len(b) {
			break
		}
		switch b[i] {
		case cutMark[i]:
			found = true
		case 0, magic[i]:
		default:
			return false
		}
	}
	return found
}

// laterGroup finds a group's header in b, not at its very beginning, that
// comes after entry next.
func laterGroup(b []byte, next uint64) (at int64, first uint64, ok bool) {
	for i := 1; ; i++ {
		j := nextMagic(b, i)
		if j < 0 {
			return 0, 0, false
		}
		if g, err := parseGroupHead(b[j:]); err == nil && g.first > next && g.first-next <= math.MaxUint32 {
			return int64(j), g.first, true
		}
		i = j
	}
}

// nextMagic is where the next group may begin in b, from i on; below 0 if
// nowhere.
func nextMagic(b []byte, i int) int {
	magic := binary.LittleEndian.AppendUint32(nil, groupMagic)
	if i > len(b) {
		return -1
	}
	j := bytes.Index(b[i:], magic)
	if j < 0 {
		return -1
	}
	return i + j
}

const sector = 512

// missing says whether one of the sectors under b[from:to], as far as they lie
// within b, is all zeros, as a sector is that was never written. b begins at
// off in the file and is followed by zeros.
func missing(b []byte, off, from, to int64) bool {
	for at := from; at < to; {
		begin := max((off+at)/sector*sector-off, 0)
		end := (off+at)/sector*sector + sector - off
		if begin >= int64(len(b)) || allZero(b[begin:min(end, int64(len(b)))]) {
			return true
		}
		at = end
	}
	return false
}

// onceWhole says why the group at the start of b, which does not verify, was
// written in full; nil if it may have been torn. b ends with the last byte of
// the file that is not zero, and begins at off of size bytes.
func onceWhole(b []byte, off, size int64, next uint64) error {
	head, err := parseGroupHead(b)
	if err != nil {
		if len(b) <= groupHeader || missing(b, off, 0, groupHeader) {
			return nil
		}
		if e, _, err := nextEntry(b[groupHeader:]); err == nil {
			if e, _, ok := peek(e); ok && e.ID.Seq == next {
				return fmt.Errorf("%w: the header of the group of entry %d", errDamaged, next)
			}
		}
		return nil // nothing of ours
	}
	if head.size() > size-off {
		return fmt.Errorf("%w: the group of entry %d is longer than its segment", errDamaged, next)
	}
	// Where the group's bytes end in zeros it may simply not have been written
	// so far. (b was cut at its last byte that is not zero.)
	ends := min(int64(len(b)), head.size())
	group := make([]byte, head.size())
	copy(group, b[:ends])
	torn := func(from, to int64) bool {
		return missing(group, off, from, to) || to > ends && head.size()-ends >= trailer
	}
	at := int64(groupHeader)
	body := head.size() - trailer
	sound := true
	for n := 0; at < body; n++ {
		_, rest, err := nextEntry(group[at:body])
		if err == nil {
			at = body - int64(len(rest))
			continue
		}
		sound = false
		// How long the entry was can be believed only if its length is there,
		// and all of it.
		to := body
		if l := int64(binary.LittleEndian.Uint32(group[at:])); at+entryHeader <= body && !torn(at, at+entryHeader) && l > 0 && at+entryHeader+l <= body {
			to = at + entryHeader + l
		}
		if !torn(at, to) {
			return fmt.Errorf("%w: entry %d at byte %d", errDamaged, next+uint64(n), off+at)
		}
		at = to
	}
	if sound {
		chain := sha256.Sum256(group[:body])
		for i, c := range group[body:] {
			if c != chain[i] && (c != 0 || !torn(body+int64(i), body+int64(i)+1) && body+int64(i) < ends) {
				return fmt.Errorf("%w: the chain hash after entry %d", errDamaged, next+uint64(head.count)-1)
			}
		}
	}
	return nil
}

// refuse is the error for those who cannot go on past damage; nil if the rest
// may be cut.
func (r rest) refuse(segment string) error {
	if r.damaged == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w; run `sekisho ledger verify` to see what is damaged", ErrCorrupt, segment, r.damaged)
}
