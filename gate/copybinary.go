package gate

import (
	"bytes"
	"errors"
	"fmt"

	"sekisho"
)

// COPY in format binary. The data begins with a signature, flags and an
// extension; each row is a number of fields, and each field its length and its
// bytes; -1 in place of a number of fields ends the data.

// copySignature begins every binary COPY (PostgreSQL manual, COPY, File Formats).
var copySignature = []byte("PGCOPY\n\xff\r\n\x00")

// copyHead is the signature, the flags, and the length of the extension.
const copyHead = 11 + 4 + 4

// splitBinary takes what a server sends in one message of a binary COPY apart:
// the header, which comes with whatever is first; then the fields of a row, or
// nothing if it is the end of the data.
func splitBinary(data []byte, first bool) (header, row []byte, err error) {
	if first {
		if len(data) < copyHead || !bytes.HasPrefix(data, copySignature) || be.Uint32(data[11:]) != 0 || be.Uint32(data[15:]) != 0 {
			return nil, nil, fmt.Errorf("%w: a binary COPY without its header", errServerProtocol)
		}
		header, data = data[:copyHead], data[copyHead:]
	}
	if len(data) == 2 && int16(be.Uint16(data)) == -1 {
		return data[:0:0], nil, nil
	}
	return header, data, nil
}

// fieldsOfBinary are the fields of a row; nil is NULL. ends is where each ends.
func fieldsOfBinary(row []byte, fields int) (values [][]byte, ends []int, err error) {
	if len(row) < 2 || int(be.Uint16(row)) != fields {
		return nil, nil, errBinaryRow
	}
	pos := 2
	for range fields {
		if pos+4 > len(row) {
			return nil, nil, errBinaryRow
		}
		size := int(int32(be.Uint32(row[pos:])))
		pos += 4
		switch {
		case size == -1:
			values = append(values, nil)
		case size < 0 || size > len(row)-pos:
			return nil, nil, errBinaryRow
		default:
			values = append(values, row[pos:pos+size:pos+size])
			pos += size
		}
		ends = append(ends, pos)
	}
	if pos != len(row) {
		return nil, nil, errBinaryRow
	}
	return values, ends, nil
}

var errBinaryRow = errors.New("a row of a binary COPY that is not as it was announced")

// copyBinaryRow takes the keys off the end of one row of a binary COPY.
func (r *replies) copyBinaryRow(w *want, sp *stmtPlan, d *desc, from, to int) error {
	b := r.c.buf[from:to]
	u := r.begin(w, d)
	header, row, err := splitBinary(b[5:], !u.header)
	if err != nil {
		return err
	}
	first := !u.header
	u.header = true
	if row == nil { // the end
		if again, err := r.leftDecoys(w, from); again || err != nil {
			return err
		}
		r.keep(from, to)
		return nil
	}
	values, ends, err := fieldsOfBinary(row, d.fields)
	if err != nil {
		return r.cut(w, &refusal{code: "0A000", reason: "copy_line", text: "the server sent something else than one row a message, which the gate cannot account for"})
	}
	visible := d.fields - d.hidden
	hidden := values[visible:]
	length := 2 // of what is left of the row
	if visible > 0 {
		length = ends[visible-1]
	}
	if d.head != nil {
		done, err := r.behindHead(w, sp, u, hidden, true)
		if err != nil || r.cutting {
			return err
		}
		if done { // the header is the client's, the head is not
			if first {
				be.PutUint32(b[1:], uint32(4+len(header)))
				r.keep(from, from+5+len(header))
			}
			return nil
		}
		if why := r.behindRow(w, sp, u); why != nil {
			return r.cut(w, why)
		}
	} else {
		if why := r.comes(w, sp, u, d); why != nil {
			return r.cut(w, why)
		}
		entries := r.entries(u)
		named := uint64(0)
		r.beforeRow(u, entries)
		for i := range d.keys {
			k := &d.keys[i]
			if hidden[i] == nil {
				if k.null && !u.nobody {
					if err := r.nobody(w, sp, u); err != nil {
						return r.cut(w, refusalFor(err))
					}
				}
				continue
			}
			a := entries[k.space].(*sekisho.Access)
			ord, err := r.ordinal(k, hidden[i], true, a.Subjects)
			if err != nil {
				return r.cut(w, keyRefusal)
			}
			if over := r.within(w, u, d, entries, i, named, ord); over != nil {
				return r.cut(w, over)
			}
			named |= 1 << i
			a.Subjects = append(a.Subjects, ord)
		}
		if why := r.counted(w, sp, u, entries, named, uint32(max(length-2-4*visible, 1))); why != nil {
			return r.cut(w, why)
		}
	}
	var entries []sekisho.Body
	if u.marks != nil {
		entries = r.entries(u)
	}
	be.PutUint16(row, uint16(visible))
	end := 5 + len(header) + length
	be.PutUint32(b[1:], uint32(end-1))
	r.keep(from, from+end)
	if u.marks != nil {
		return u.follow(r, w, entries, end, r.formOf(w))
	}
	return nil
}

// copyTuples is copyLines for the format binary.
type copyTuples struct {
	fields, key int

	state tupleState
	need  int    // bytes of the state that are still to come
	held  []byte // of it, those that are looked at
	at    int    // the field at hand
	ended bool
}

type tupleState byte

const (
	tupleHeader tupleState = iota
	tupleExtension
	tupleCount
	tupleSize
	tupleKey
	tupleOther
)

// read takes the next bytes, and calls each with the key of every row whose key
// ends in them.
func (c *copyTuples) read(b []byte, each func(field []byte, null bool) error) error {
	for len(b) > 0 {
		if c.ended {
			return errLines
		}
		if c.need == 0 && c.state == tupleHeader {
			c.need = copyHead
		}
		n := min(len(b), c.need)
		if c.state != tupleOther && c.state != tupleExtension {
			c.held = append(c.held, b[:n]...)
		}
		b, c.need = b[n:], c.need-n
		for c.need == 0 && !c.ended {
			if err := c.step(each); err != nil {
				return err
			}
		}
	}
	return nil
}

// step ends a state whose bytes are all there.
func (c *copyTuples) step(each func([]byte, bool) error) error {
	held := c.held
	c.held = c.held[:0]
	next := func() {
		if c.at++; c.at == c.fields {
			c.state, c.need = tupleCount, 2
		} else {
			c.state, c.need = tupleSize, 4
		}
	}
	switch c.state {
	case tupleHeader:
		if len(held) < copyHead {
			return errLines
		}
		size := be.Uint32(held[15:])
		if !bytes.HasPrefix(held, copySignature) || be.Uint32(held[11:]) != 0 || size > 1<<20 {
			return errLines
		}
		c.state, c.need = tupleExtension, int(size)
	case tupleExtension:
		c.state, c.need = tupleCount, 2
	case tupleCount:
		switch n := int16(be.Uint16(held)); {
		case n == -1:
			c.ended = true
		case int(n) != c.fields || n == 0:
			return errLines
		default:
			c.at, c.state, c.need = 0, tupleSize, 4
		}
	case tupleSize:
		size := int(int32(be.Uint32(held)))
		switch {
		case size < -1 || c.at == c.key && size > longestCopied:
			return errLines
		case size == -1 && c.at == c.key:
			next()
			return each(nil, true)
		case size == -1:
			next()
		case c.at == c.key:
			c.state, c.need = tupleKey, size
		default:
			c.state, c.need = tupleOther, size
		}
	case tupleKey:
		next()
		return each(held, false)
	case tupleOther:
		next()
	}
	return nil
}

// end says whether the data may end here. The server takes it only with its
// trailer, or at the beginning of a row.
func (c *copyTuples) end(func(field []byte, null bool) error) error {
	if c.ended || c.state == tupleCount && len(c.held) == 0 {
		return nil
	}
	return errLines
}
