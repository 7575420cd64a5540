package gate

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"unicode/utf8"

	"sekisho"
	"sekisho/catalog"
	"sekisho/vault"
)

// Reading the subjects' keys out of rows, and taking hidden keys off.

// A desc is what the gate knows of the rows of one statement, from the
// server's own RowDescription. Immutable.
type desc struct {
	raw    []byte // the RowDescription it was made from
	fields int    // as the server sends them
	hidden int    // of these, at the end, are the gate's own
	keys   []keyAt
	head   []headAt   // of a told statement: columns with keys in the first row
	whole  bool       // all of a table is meant
	free   bool       // nothing protected: see stmtPlan.orFree
	shapes []shapeRef // one for each subject space, as keyAt.space counts
	held   []bool     // for each visible field: holds protected values; nil when all do
	refuse *refusal   // rows of this description must not go out
	anyRow bool       // recorded as any-row before the first row
	header bool       // of COPY: the first line names the columns
	shows  bool       // its columns say that the statement stands; see catalog.Ground

	least atomic.Uint32 // the least bytes of protected values in a row so far; 0 before the first
}

// keyAt is a field that holds a subject's key.
type keyAt struct {
	field int
	space int // index in shapes
	of    *vault.Space
	typ   keyType
	null  bool // the database lets it be NULL: then a row without it may still be somebody's

	written bool // of a record that is written: what of it the client reads has a key of its own
}

// shapeRef is a Shape entry that stands in the ledger.
type shapeRef struct {
	seq   uint64
	space string
	class sekisho.Class // 0: exact
	whole bool          // all of the space are meant

	writes bool // of what is written, and not read
	named  bool // by a head
}

type keyType byte

const (
	keyText keyType = iota
	keyInt2
	keyInt4
	keyInt8
	keyUUID
	keyChar // char(n), which pads with blanks that are no part of the value
	keyNumeric
)

// keyTypes are the types that a subject's key may have, by their OID in
// pg_type, which are fixed.
var keyTypes = map[uint32]keyType{
	20: keyInt8, 21: keyInt2, 23: keyInt4, 25: keyText, 1043: keyText, 1042: keyChar, 1700: keyNumeric, 2950: keyUUID,
}

// origin is what a RowDescription says of one field.
type origin struct {
	catalog.Origin
	typ uint32
}

// origins reads a RowDescription's fields.
func origins(body []byte) ([]origin, error) {
	if len(body) < 2 {
		return nil, fmt.Errorf("%w: RowDescription ends early", errServerProtocol)
	}
	n := int(be.Uint16(body))
	body = body[2:]
	out := make([]origin, 0, min(n, 1664))
	for range n {
		end := bytes.IndexByte(body, 0)
		if end < 0 || len(body) < end+19 {
			return nil, fmt.Errorf("%w: RowDescription ends early", errServerProtocol)
		}
		f := body[end+1:]
		out = append(out, origin{catalog.Origin{TableOID: be.Uint32(f), Attnum: int16(be.Uint16(f[4:]))}, be.Uint32(f[6:])})
		body = f[18:]
	}
	return out, nil
}

// row takes the keys out of one DataRow, buf[from:to], and keeps the row
// without its hidden fields.
func (r *replies) row(w *want, sp *stmtPlan, from, to int) error {
	d := r.descOf(w)
	switch {
	case sp.kind == planAnyRow: // every customer was recorded before it ran
		r.keep(from, to)
		return nil
	case d == nil:
		return r.cut(w, &refusal{code: "0A000", reason: "no_description", text: "rows arrived that the gate has no description of", hint: "Prepare the statement again."})
	case d.refuse != nil:
		return r.cut(w, d.refuse)
	case d.anyRow:
		return r.anyRow(w, sp, d, from, to)
	case d.free:
		r.keep(from, to)
		return nil
	case len(d.shapes) == 0: // nothing says whose they are
		return r.cut(w, originRefusal)
	case d.head != nil && sp.written == nil:
		return r.toldRow(w, sp, d, from, to)
	}
	u := r.begin(w, d)
	if d.head != nil {
		if int(be.Uint16(r.c.buf[from+5:])) != d.fields {
			return r.cut(w, changedRefusal)
		}
		if done, err := r.writesHead(w, sp, u, r.c.buf[from:to]); done || err != nil {
			return err
		}
	}
	if why := r.comes(w, sp, u, d); why != nil {
		return r.cut(w, why)
	}
	f := r.pending(w, d)
	var entries []sekisho.Body
	if f != nil {
		entries = f.scratch()
	} else {
		entries = r.entries(u)
	}
	b := r.c.buf[from:to]
	if int(be.Uint16(b[5:])) != d.fields {
		return r.cut(w, changedRefusal)
	}
	r.beforeRow(u, entries)
	visible := d.fields - d.hidden
	pos, end, held := 7, 7, 0
	next, named := 0, uint64(0) // of d.keys
	for i := range d.fields {
		if pos+4 > len(b) {
			return fmt.Errorf("%w: DataRow ends early", errServerProtocol)
		}
		size := int(int32(be.Uint32(b[pos:])))
		pos += 4
		if size > len(b)-pos || size < -1 {
			return fmt.Errorf("%w: DataRow ends early", errServerProtocol)
		}
		if size > 0 && i < visible && (d.held == nil || d.held[i]) {
			held += size
		}
		for next < len(d.keys) && d.keys[next].field == i {
			k := &d.keys[next]
			next++
			if size >= 0 {
				a := entries[k.space].(*sekisho.Access)
				ord, err := r.ordinal(k, b[pos:pos+size], w.binary(i, visible), f.hint(a.Subjects))
				if err != nil {
					return r.cut(w, keyRefusal)
				}
				if over := r.within(w, u, d, entries, next-1, named, ord); over != nil {
					return r.cut(w, over)
				}
				named |= 1 << (next - 1)
				a.Subjects = append(a.Subjects, ord)
			} else if k.null && !u.nobody {
				if err := r.nobody(w, sp, u); err != nil {
					return r.cut(w, refusalFor(err))
				}
			}
		}
		if size > 0 {
			pos += size
		}
		if i == visible-1 {
			end = pos
		}
	}
	least := uint32(max(held, 1))
	if why := r.counted(w, sp, u, entries, named, least); why != nil {
		return r.cut(w, why)
	}
	if sp.expects != nil {
		if before := d.least.Load(); before == 0 || least < before {
			d.least.Store(least) // of two at once the greater may stay: then a smaller row is not the foretold one
		}
	}
	if f != nil {
		r.fulfils(w, u, f)
	}
	if sp.quiet() {
		return nil
	}
	be.PutUint16(b[5:], uint16(visible))
	be.PutUint32(b[1:], uint32(end-1))
	r.keep(from, from+end)
	if u.marks != nil {
		return u.follow(r, w, entries, end, r.formOf(w))
	}
	return nil
}

// binary tells the format of field i. Hidden fields are always asked for as
// text, unless one format code stands for all fields.
func (w *want) binary(i, visible int) bool {
	if w.portal == nil {
		return false
	}
	switch f := w.portal.formats; {
	case len(f) == 1:
		return f[0] == 1
	case i < len(f) && i < visible:
		return f[i] == 1
	}
	return false
}

// anyRow keeps a row of which the key is not in the result: observe mode. That
// it could be anybody's is durable before it goes.
func (r *replies) anyRow(w *want, sp *stmtPlan, d *desc, from, to int) error {
	if u := r.begin(w, d); !u.recorded {
		if u.number == 0 {
			u.number = r.s.number.Add(1)
		}
		if err := r.recordAnyRow(sp, u.number, u.by); err != nil {
			return r.cut(w, refusalFor(err))
		}
		u.recorded = true
	}
	r.keep(from, to)
	return nil
}

// noneObserved sees to it that a plain statement whose rows could have been
// anybody's is recorded when no row has come: as it is where the gate rewrites, an
// access that names nobody. That nobody was found is an answer, too.
func (r *replies) noneObserved(w *want, sp *stmtPlan) (why *refusal) {
	d := r.descOf(w)
	if d == nil || !d.anyRow || d.refuse != nil || !sp.observe || sp.blind || sp.kind != planExact || r.runningFor(w) != nil || r.cutting {
		return nil
	}
	none := &desc{fields: d.fields}
	columns, categories := sp.judgement.Static()
	r.t.wait(func() { why = r.s.g.addShapes(none, sp, columns, categories) })
	if why == nil {
		r.begin(w, none)
	}
	return why
}

// nobody records, before the first row without a key goes, that it may be
// anybody's. Where an outer join gives no row the key is missing too, and that
// cannot be told from a row whose key is not there.
func (r *replies) nobody(w *want, sp *stmtPlan, u *run) error {
	if err := r.recordAnyRow(sp, r.s.number.Add(1), u.by); err != nil {
		return err
	}
	u.nobody = true
	return nil
}

// recordAnyRow is Gate.recordAnyRow for the server side.
func (r *replies) recordAnyRow(sp *stmtPlan, number uint64, by *said) (err error) {
	r.t.wait(func() {
		if err = r.s.announce(); err == nil {
			err = r.s.g.recordAnyRow(r.s, sp, number, by, false)
		}
	})
	return err
}

var keyRefusal = &refusal{code: "0A000", reason: "key_format", text: "the subject's key arrived in a form that the gate cannot read", hint: "Set client_encoding to UTF8 and ask for text results, or see the manual for the types that a key may have."}

// ordinal is the ordinal of a key as the server sent it. In another encoding
// than UTF-8 the same person would have another key. before are the ordinals
// that this access has named so far.
func (r *replies) ordinal(k *keyAt, v []byte, binary bool, before []uint32) (uint32, error) {
	if k.typ == keyText || k.typ == keyChar {
		for _, c := range v {
			if c < 0x80 {
				continue
			}
			if r.s.wants.isForeign() || !r.s.utf8.Load() || !utf8.Valid(v) {
				return 0, errKey
			}
			break
		}
	}
	last := uint32(0)
	if n := len(before); n > 0 {
		last = before[n-1]
	}
	ord, err := k.ordinal(v, binary, last)
	if err == nil && ord == 0 {
		err = errKey // the vault takes no such key, or no more of them
	}
	return ord, err
}

var errKey = errors.New("a key that cannot be read")

// ordinal is the ordinal of a key in UTF-8 or in binary; last is that of the
// row before.
func (k *keyAt) ordinal(v []byte, binary bool, last uint32) (uint32, error) {
	if !binary {
		switch k.typ {
		case keyText, keyUUID:
			return k.of.OfText(v), nil
		case keyChar:
			return k.of.OfText(bytes.TrimRight(v, " ")), nil
		case keyNumeric:
			return k.of.OfText(trimScale(v)), nil
		}
		if n, ok := parseInt(v); ok {
			return k.of.OfIntAfter(n, last), nil
		}
		return 0, errKey
	}
	switch {
	case k.typ == keyInt8 && len(v) == 8:
		return k.of.OfIntAfter(int64(be.Uint64(v)), last), nil
	case k.typ == keyInt4 && len(v) == 4:
		return k.of.OfIntAfter(int64(int32(be.Uint32(v))), last), nil
	case k.typ == keyInt2 && len(v) == 2:
		return k.of.OfIntAfter(int64(int16(be.Uint16(v))), last), nil
	case k.typ == keyText:
		return k.of.OfText(v), nil
	case k.typ == keyChar:
		return k.of.OfText(bytes.TrimRight(v, " ")), nil
	case k.typ == keyNumeric:
		text, ok := numericText(v)
		if !ok {
			return 0, errKey
		}
		return k.of.OfText(text), nil
	case k.typ == keyUUID && len(v) == 16:
		return k.of.OfText(fmt.Appendf(nil, "%x-%x-%x-%x-%x", v[:4], v[4:6], v[6:8], v[8:10], v[10:])), nil
	}
	return 0, errKey
}

// parseInt reads the text form of an integer type.
func parseInt(v []byte) (int64, bool) {
	digits := v
	if len(v) > 0 && v[0] == '-' {
		digits = v[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		n, err := strconv.ParseInt(string(v), 10, 64)
		return n, err == nil
	}
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) != len(v) {
		n = -n
	}
	return n, true
}

var changedRefusal = &refusal{code: "0A000", reason: "changed", text: "the result has other columns than the gate was told of", hint: "A table was changed meanwhile. Prepare the statement again."}
