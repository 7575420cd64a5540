package gate

import (
	"bytes"

	"sekisho"
)

// COPY FROM STDIN into a protected table. The server tells nothing of the rows,
// so the gate reads the keys out of the client's lines as they pass, and holds
// the end of the data back until their entries are durable: before that the
// server cannot commit. What the gate cannot read for certain ends the COPY.

// A copyIn reads the lines of one COPY.
type copyIn struct {
	w      *want
	by     *said // who is behind it: from here on w is the server side's
	sp     *stmtPlan
	number uint64
	key    keyAt
	shape  uint64
	lines  copyReader
	binary bool // so keys are not as the client would write them

	access *sekisho.Access // what has not been appended
	nobody bool            // recorded as any-row, because of a line without a key
	begun  bool            // an entry has been appended
	shut   *Suspension     // that was in force when it was last looked at
	over   *refusal        // the COPY was ended by the gate
}

// A copyReader reads the key of each row that a client sends to COPY FROM, or
// says that it cannot do so for certain.
type copyReader interface {
	read(b []byte, each func(field []byte, null bool) error) error
	end(each func(field []byte, null bool) error) error
}

// mostCopied is how many customers of a COPY one entry names.
const mostCopied = 16 << 10

// reads begins the reading of a COPY that is about to go upstream.
func (q *requests) reads(w *want, sp *stmtPlan, number uint64) {
	in, of := sp.judgement.Instances[0], sp.written.of
	q.copies = &copyIn{w: w, by: w.by(), sp: sp, number: number,
		key:   keyAt{of: q.s.g.vault.Space(in.Space), typ: keyTypes[in.TypeOID], null: in.KeyNullable},
		lines: &copyLines{csv: sp.csv, skip: sp.header, key: of.Copy.Field}, binary: sp.binary}
	if sp.binary {
		q.copies.lines = &copyTuples{fields: of.Copy.Fields, key: of.Copy.Field}
	}
}

// copyData passes one CopyData on, of which length and type are in the buffer,
// and reads it. What follows bytes that were refused stays here: the server
// would object to it in words of its own, before or after the gate's.
func (q *requests) copyData(length int) error {
	c := q.copies
	if su := q.s.g.suspended.Load(); su != c.shut {
		if c.shut = su; c.over == nil && su.perStatement(q.s) {
			c.over = su.statement(c.sp, c.by)
		}
	}
	begins, kept := len(q.up), c.over == nil
	if kept {
		q.up = append(q.up, q.buf[q.r:q.r+5]...)
	}
	q.r += 5
	for left := length - 4; left > 0; {
		if q.w == q.r {
			q.r, q.w = 0, 0
			if err := q.fill(1); err != nil { // which sends what is there
				return err
			}
			begins = -1
		}
		k := min(left, q.w-q.r)
		if c.over == nil {
			if err := c.lines.read(q.buf[q.r:q.r+k], func(field []byte, null bool) error { return q.copied(c, field, null) }); err != nil && c.over == nil {
				c.over = copyRefusal
			}
			if c.over != nil && begins >= 0 { // nothing of the message is on its way
				q.up, kept = q.up[:begins], false
			}
		}
		if kept { // of a message that has begun all must follow
			q.up = append(q.up, q.buf[q.r:q.r+k]...)
		}
		q.r += k
		left -= k
		if len(q.up) > 64<<10 {
			q.flush()
			begins = -1
		}
	}
	return nil
}

// copied takes the key of one line.
func (q *requests) copied(c *copyIn, field []byte, null bool) error {
	if null {
		if c.key.null && !c.nobody {
			// The row may be anybody's.
			c.nobody = true
			if c.over = q.recordAnyRow([]*stmtPlan{{kind: planAnyRow, judgement: c.sp.judgement, statement: c.sp.statement, sets: c.sp.written.of.Columns, shapes: map[string]uint64{}}}, q.s.number.Add(1), []*said{c.by}); c.over != nil {
				return errKey
			}
		}
		return nil // else the server takes no such row
	}
	v, ok := field, true
	if !c.binary || c.key.typ == keyText {
		v, ok = c.key.canonical(field)
	}
	if c.binary && c.key.typ == keyNumeric { // the server may round what is no integer
		text, is := numericText(field)
		ok = is && plainInteger(text)
	}
	if ok && (c.key.typ == keyText || c.key.typ == keyChar || !c.binary) && !ascii(v) {
		ok = !q.s.wants.isForeign() && q.s.utf8.Load()
	}
	if !ok {
		return errKey
	}
	last := uint32(0)
	if c.access == nil {
		c.access = &sekisho.Access{}
	}
	if n := len(c.access.Subjects); n > 0 {
		last = c.access.Subjects[n-1]
	}
	ord, err := c.key.ordinal(v, c.binary, last)
	if err != nil || ord == 0 {
		return errKey
	}
	c.access.Subjects = append(c.access.Subjects, ord)
	c.access.Rows++
	if len(c.access.Subjects) >= mostCopied {
		if c.over = q.appendCopied(c, true); c.over != nil {
			return errKey
		}
	}
	return nil
}

// appendCopied makes the entry of the lines so far durable.
func (q *requests) appendCopied(c *copyIn, more bool) (why *refusal) {
	a := c.access
	if a == nil {
		a = &sekisho.Access{}
	}
	c.access = nil
	q.t.wait(func() {
		if c.shape == 0 {
			j := c.sp.judgement
			d := &desc{}
			why = q.s.g.addShape(d, c.sp, &sekisho.Shape{Statement: c.sp.statement, Verb: j.Verb, Space: j.Instances[0].Space,
				Tables: j.Tables, Columns: c.sp.written.of.Columns, Categories: j.CategoriesOf(c.sp.written.of.Columns)}, sekisho.Exact)
			if why != nil {
				return
			}
			c.shape = d.shapes[0].seq
		}
		a.Session, a.Shape, a.Number = q.s.id.Load(), c.shape, c.number
		a.Class, a.More, a.Purpose, a.Least = sekisho.Exact, more, c.by.purpose, 1
		entries := []sekisho.Body{a}
		if !c.begun {
			entries = q.s.explain(c.by, c.number, a)
		}
		if _, err := q.s.g.append(entries...); err != nil {
			why = ledgerRefusal(err)
		}
		c.begun = true
	})
	return why
}

// copyEnds is called at the client's end of a COPY, typ 'c' or 'f'. On return
// the entries are durable and true is given, or the COPY was ended in the
// client's place and its own end must not follow.
func (q *requests) copyEnds(typ byte) bool {
	c := q.copies
	q.copies = nil
	if typ == 'f' {
		if c.shape != 0 { // nothing is stored, but names are there
			q.appendCopied(c, false)
		}
		return true
	}
	if c.over == nil {
		if err := c.lines.end(func(field []byte, null bool) error { return q.copied(c, field, null) }); err != nil && c.over == nil {
			c.over = copyRefusal
		}
	}
	if c.over == nil {
		c.over = q.appendCopied(c, false)
	}
	if c.over == nil {
		return true
	}
	q.s.refused(c.over, c.number, c.sp.statement, c.by, q.t)
	c.w.spoiled.Store(c.over)
	q.data = false
	q.s.wants.push(&want{typ: 'c'})
	q.up = append(q.up, appendMessage(nil, 'f', poisonText+"\x00")...)
	return false
}

// copyRefusal is of lines that the gate reads otherwise than the server might.
var copyRefusal = &refusal{code: "0A000", reason: "copy_lines", text: "the gate cannot read whose records these lines are, so none of them is stored", hint: "Write keys as the database shows them, end lines by a newline, and put nothing behind the end marker."}

// canonical is a key, as a client may write it, in the form in which the server
// shows it. False: it may mean another than it seems to.
func (k *keyAt) canonical(v []byte) ([]byte, bool) {
	switch k.typ {
	case keyInt2, keyInt4, keyInt8:
		v = bytes.Trim(v, " \t\n\v\f\r")
		v = bytes.TrimPrefix(v, []byte{'+'})
		_, ok := parseInt(v)
		return v, ok
	case keyNumeric:
		v = bytes.Trim(v, " \t\n\v\f\r")
		return v, plainInteger(v)
	case keyUUID:
		return canonicalUUID(v)
	case keyText:
		// A varchar of limited length loses blanks at its end.
		return v, len(v) == 0 || v[len(v)-1] != ' '
	}
	return v, true
}

// canonicalUUID is a UUID as the server shows it.
func canonicalUUID(v []byte) ([]byte, bool) {
	if len(v) != 36 {
		return nil, false // braces and missing hyphens: the server takes them
	}
	v = bytes.ToLower(v)
	for i, c := range v {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return nil, false
		}
	}
	return v, true
}

func ascii(v []byte) bool {
	for _, c := range v {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
