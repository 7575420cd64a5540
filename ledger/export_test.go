package ledger

// A Forged segment is one that a test took apart and may put together again,
// with every length, count and checksum as it should be.
type Forged struct {
	Head   []byte
	Groups []ForgedGroup
}

type ForgedGroup struct {
	First   uint64
	Prev    [32]byte
	Chain   [32]byte
	Offset  int      // where the group stood
	Entries [][]byte // as sekisho.Entry.AppendEncode wrote them
	Offsets []int    // where each stood, its length and checksum first
}

// TakeApart reads a sound segment.
func TakeApart(b []byte) Forged {
	f := Forged{Head: b[:segmentHeader]}
	for off := segmentHeader; off < len(b); {
		head, err := parseGroupHead(b[off:])
		if err != nil {
			break
		}
		group := b[off:][:head.size()]
		g := ForgedGroup{First: head.first, Prev: head.prev, Chain: chainOf(group), Offset: off}
		all := entriesOf(group)
		for rest := all; len(rest) > 0; {
			g.Offsets = append(g.Offsets, off+groupHeader+len(all)-len(rest))
			var e []byte
			if e, rest, err = nextEntry(rest); err != nil {
				panic(err)
			}
			g.Entries = append(g.Entries, e)
		}
		f.Groups = append(f.Groups, g)
		off += int(head.size())
	}
	return f
}

// PutTogether writes the segment again, size bytes long. With rehash the chain
// is hashed again from the first group on; without, each group keeps the
// hashes that it had.
func (f Forged) PutTogether(size int, rehash bool) []byte {
	b := append([]byte(nil), f.Head...)
	prev := hash(f.Groups[0].Prev)
	for _, g := range f.Groups {
		if !rehash {
			prev = g.Prev
		}
		at := len(b)
		b = beginGroup(b)
		for _, e := range g.Entries {
			from := len(b)
			b = append(append(b, make([]byte, entryHeader)...), e...)
			frame(b[from:])
		}
		b, prev = endGroup(b, at, len(g.Entries), g.First, prev)
		if !rehash {
			copy(b[len(b)-trailer:], g.Chain[:])
		}
	}
	return append(b, make([]byte, size-len(b))...)
}
