package ledger

import (
	"errors"
	"fmt"
	"iter"

	"sekisho/disk"
)

// A Group is what was written at once, and what one link of the chain stands for:
// whoever has its bytes can compute Chain again, with nothing else.
type Group struct {
	First uint64   // sequence number of its first entry
	Count uint64   // of entries
	Size  uint64   // bytes of the entries
	Prev  [32]byte // chain hash of the group before
	Chain [32]byte // of this one
	Raw   []byte   // as it stands in the segment, good until the next group is read
}

// Last is the sequence number of its last entry.
func (g *Group) Last() uint64 { return g.First + g.Count - 1 }

// ParseGroup reads the bytes of one whole group, and checks every checksum, the
// number of entries and the chain hash.
func ParseGroup(raw []byte) (Group, error) {
	head, err := parseGroupHead(raw)
	if err != nil {
		return Group{}, err
	}
	if head.size() != int64(len(raw)) {
		return Group{}, fmt.Errorf("%w: %d bytes of a group of %d", errDamaged, len(raw), head.size())
	}
	if err := whole(head, raw); err != nil {
		return Group{}, err
	}
	return groupOf(head, raw), nil
}

func groupOf(head groupHead, raw []byte) Group {
	return Group{First: head.first, Count: uint64(head.count), Size: uint64(head.bytes), Prev: head.prev, Chain: chainOf(raw), Raw: raw}
}

// Entries are the bytes of each entry, in order. Those of a group that ParseGroup
// or Groups gave are sound.
func (g *Group) Entries() iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		rest := entriesOf(g.Raw)
		for seq := g.First; len(rest) > 0; seq++ {
			b, after, err := nextEntry(rest)
			if err != nil || !yield(seq, b) {
				return
			}
			rest = after
		}
	}
}

// Groups gives the groups of the ledger in dir from its first on, up to the one
// that holds the entry through, read only. Somebody may be writing behind it. It
// ends with an error where the chain breaks, or through is not there.
func Groups(fsys disk.FS, dir string, through uint64) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		r := reader{fs: fsys, dir: dir, next: 1, from: 1}
		defer r.close()
		wrong := func(err error) { yield(Group{}, fmt.Errorf("reading the ledger in %s: %w", dir, err)) }
		for r.next <= through {
			if r.segment == 0 {
				if err := r.start(); err != nil {
					wrong(err)
					return
				}
			}
			head, raw, err := r.read()
			if errors.Is(err, errUnused) {
				err = fmt.Errorf("it ends before entry %d", through)
			}
			if err == nil && (head.first != r.next || head.prev != r.prev) {
				err = fmt.Errorf("%w: entry %d was expected; run `sekisho ledger verify`", ErrCorrupt, r.next)
			}
			if err != nil {
				wrong(err)
				return
			}
			g := groupOf(head, raw)
			if !yield(g, nil) {
				return
			}
			r.next, r.prev = g.First+g.Count, g.Chain
			r.off += head.size()
		}
	}
}
