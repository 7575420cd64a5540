package pack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"sekisho/ledger"
)

// The file of groups: eight bytes, then a record for each group of the ledger in
// order, from its first on.
//
//	"G"  u32 bytes, little endian; the group as it stands in the ledger
//	"S"  uvarint entries, uvarint bytes of them, 32 bytes chain hash: the group is
//	     not in the pack
//	"E"  the end
const groupsMagic = "SKPACK\x00\x01"

const maxGroup = 1 << 30

type groupWriter struct {
	w       io.Writer
	scratch []byte
}

func (g *groupWriter) begin() error {
	_, err := io.WriteString(g.w, groupsMagic)
	return err
}

func (g *groupWriter) whole(one *ledger.Group) error {
	g.scratch = binary.LittleEndian.AppendUint32(append(g.scratch[:0], 'G'), uint32(len(one.Raw)))
	if _, err := g.w.Write(g.scratch); err != nil {
		return err
	}
	_, err := g.w.Write(one.Raw)
	return err
}

func (g *groupWriter) skip(one *ledger.Group) error {
	b := append(g.scratch[:0], 'S')
	b = binary.AppendUvarint(b, one.Count)
	b = binary.AppendUvarint(b, one.Size)
	b = append(b, one.Chain[:]...)
	g.scratch = b
	_, err := g.w.Write(b)
	return err
}

func (g *groupWriter) end() error {
	_, err := g.w.Write([]byte{'E'})
	return err
}

// A groupReader reads the file back, and computes the chain.
type groupReader struct {
	r    *bufio.Reader
	next uint64 // the entry that the next group begins with
	prev [32]byte
	over bool
}

func newGroupReader(r io.Reader) (*groupReader, error) {
	g := &groupReader{r: bufio.NewReaderSize(r, 1<<20), next: 1}
	magic := make([]byte, len(groupsMagic))
	if _, err := io.ReadFull(g.r, magic); err != nil || string(magic) != groupsMagic {
		return nil, fmt.Errorf("%s: not a file of groups", GroupsFile)
	}
	return g, nil
}

// group gives the next group; Raw is nil for one that is not in the pack. io.EOF
// says that it was the last.
func (g *groupReader) group() (one ledger.Group, err error) {
	at := g.next
	defer func() {
		if err != nil && err != io.EOF {
			err = fmt.Errorf("%s, the group that begins with entry %d: %w", GroupsFile, at, err)
		}
	}()
	tag, err := g.r.ReadByte()
	if err != nil {
		return one, errors.New("the file ends early")
	}
	switch tag {
	case 'E':
		if _, err := g.r.ReadByte(); err != io.EOF {
			return one, errors.New("there is more behind the end")
		}
		g.over = true
		return one, io.EOF
	case 'G':
		var n [4]byte
		if _, err := io.ReadFull(g.r, n[:]); err != nil {
			return one, errors.New("the file ends early")
		}
		size := binary.LittleEndian.Uint32(n[:])
		if size > maxGroup {
			return one, fmt.Errorf("%d bytes are no group", size)
		}
		// What is read grows with what is there, not with what is said to be.
		raw, err := io.ReadAll(io.LimitReader(g.r, int64(size)))
		if err != nil || len(raw) != int(size) {
			return one, errors.New("the file ends early")
		}
		if one, err = ledger.ParseGroup(raw); err != nil {
			return one, err
		}
		if one.First != g.next {
			return one, fmt.Errorf("it begins with entry %d: entries are missing, or in another order", one.First)
		}
		if one.Prev != g.prev {
			return one, errors.New("it does not continue the chain of the groups before it")
		}
	case 'S':
		count, err := binary.ReadUvarint(g.r)
		if err != nil || count == 0 || count > 1<<40 {
			return one, errors.New("the record of a group that is left out cannot be read")
		}
		size, err := binary.ReadUvarint(g.r)
		if err != nil {
			return one, errors.New("the record of a group that is left out cannot be read")
		}
		one = ledger.Group{First: g.next, Count: count, Size: size, Prev: g.prev}
		if _, err := io.ReadFull(g.r, one.Chain[:]); err != nil {
			return one, errors.New("the file ends early")
		}
	default:
		return one, fmt.Errorf("a record of the sort %q", tag)
	}
	g.next, g.prev = one.First+one.Count, one.Chain
	return one, nil
}
