package gate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sekisho"
	"sekisho/stmt"
)

// Reading a head, and the rows behind it.

// toldRow takes the head, or a row behind it.
func (r *replies) toldRow(w *want, sp *stmtPlan, d *desc, from, to int) error {
	u := r.begin(w, d)
	b := r.c.buf[from:to]
	if int(be.Uint16(b[5:])) != d.fields {
		return r.cut(w, changedRefusal)
	}
	visible := d.fields - d.hidden
	pos, end := 7, 7
	var values [8][]byte
	hidden := values[:0]
	for i := range d.fields {
		if pos+4 > len(b) {
			return fmt.Errorf("%w: DataRow ends early", errServerProtocol)
		}
		size := int(int32(be.Uint32(b[pos:])))
		pos += 4
		if size > len(b)-pos || size < -1 {
			return fmt.Errorf("%w: DataRow ends early", errServerProtocol)
		}
		switch {
		case i < visible:
		case size < 0:
			hidden = append(hidden, nil)
		default:
			hidden = append(hidden, b[pos:pos+size:pos+size])
		}
		pos += max(size, 0)
		if i == visible-1 {
			end = pos
		}
	}
	if visible == 0 {
		end = 7
	}
	if done, err := r.behindHead(w, sp, u, hidden, w.binary(visible, visible)); done || err != nil {
		return err
	}
	if why := r.behindRow(w, sp, u); why != nil {
		return r.cut(w, why)
	}
	be.PutUint16(b[5:], uint16(visible))
	be.PutUint32(b[1:], uint32(end-1))
	r.keep(from, from+end)
	return nil
}

// began says whether the head of w's answer has come.
func (r *replies) began(w *want) bool {
	u := r.runningFor(w)
	return u != nil && u.told
}

// behindHead deals with the hidden fields of a row: done if it was the head,
// or the statement was cut.
func (r *replies) behindHead(w *want, sp *stmtPlan, u *run, hidden [][]byte, binary bool) (done bool, err error) {
	switch {
	case sp.after && !sp.read.Load():
		return true, r.cut(w, &refusal{code: "0A000", reason: "fetch", text: "whom this cursor rests on is not in the ledger", hint: "Close it and declare it again."})
	case hidden[0] == nil && u.told || hidden[0] != nil && !u.told && !sp.after, hidden[0] == nil && sp.after:
		// A head that is not first, or none: these are not the rows that were
		// asked for.
		return true, r.cut(w, changedRefusal)
	case hidden[0] == nil:
		u.told = true
		w.skipped++
		return true, r.takeHead(w, sp, u, hidden[1:], binary)
	}
	return false, nil
}

// behindRow counts a row behind the head of a told statement, or says why it
// must not go.
func (r *replies) behindRow(w *want, sp *stmtPlan, u *run) *refusal {
	if why := r.oneMore(w, sp, u); why != nil {
		return why
	}
	entries := r.entries(u)
	a := entries[0].(*sekisho.Access) // one of them counts the rows
	a.Rows++
	for _, e := range entries {
		e.(*sekisho.Access).Least = 1 // many may stand behind a byte
	}
	return nil
}

// writesHead looks at the fields behind the keys of a row that a write with a
// head gives: done if it was the head, or the statement was cut.
func (r *replies) writesHead(w *want, sp *stmtPlan, u *run, b []byte) (done bool, err error) {
	var values [8][]byte
	behind, err := lastFields(b, u.d.fields, 1+len(sp.head), values[:0])
	if err != nil {
		return true, err
	}
	visible := u.d.fields - u.d.hidden
	return r.behindHead(w, sp, u, behind, w.binary(visible, visible))
}

// lastFields appends the last n of a DataRow's fields to list; nil is NULL.
func lastFields(b []byte, fields, n int, list [][]byte) ([][]byte, error) {
	pos := 7
	for i := range fields {
		if pos+4 > len(b) {
			return nil, fmt.Errorf("%w: DataRow ends early", errServerProtocol)
		}
		size := int(int32(be.Uint32(b[pos:])))
		pos += 4
		if size > len(b)-pos || size < -1 {
			return nil, fmt.Errorf("%w: DataRow ends early", errServerProtocol)
		}
		switch {
		case i < fields-n:
		case size < 0:
			list = append(list, nil)
		default:
			list = append(list, b[pos:pos+size:pos+size])
		}
		pos += max(size, 0)
	}
	return list, nil
}

// takeHead reads the names, and puts them into the entries that the next row
// waits for.
func (r *replies) takeHead(w *want, sp *stmtPlan, u *run, arrays [][]byte, binary bool) error {
	d := u.d
	lists := make([][]uint32, len(d.head))
	nobody, many, size := false, false, 0
	for _, v := range arrays {
		size += len(v)
	}
	var failed error
	read := func() {
		for i := range d.head {
			h := &d.head[i]
			var list []uint32
			failed = eachElement(arrays[i], binary, func(v []byte) error {
				if v == nil {
					nobody = true
					return nil
				}
				ord, err := r.ordinal(&h.keyAt, v, binary, list)
				if err == nil {
					list = append(list, ord)
				}
				return err
			})
			if failed != nil {
				return
			}
			if len(list) > stmt.MostNames { // any of them, and not these alone
				many, list = true, nil
			}
			slices.Sort(list)
			lists[i] = slices.Compact(list)
			if i > 0 && !h.exact && d.head[i-1].exact && !d.head[i-1].written && d.head[i-1].of == h.of {
				shown := lists[i-1]
				lists[i] = slices.DeleteFunc(lists[i], func(ord uint32) bool {
					_, found := slices.BinarySearch(shown, ord)
					return found
				})
			}
		}
	}
	if size > 32<<10 {
		r.t.wait(read)
	} else {
		read()
	}
	if failed != nil {
		return r.cut(w, keyRefusal)
	}
	if why := r.withinLimit(w, u, lists, nobody, many); why != nil {
		return r.cut(w, why)
	}
	if (nobody || many) && !u.nobody {
		if err := r.nobody(w, sp, u); err != nil {
			return r.cut(w, refusalFor(err))
		}
	}
	if d.whole {
		if why := r.allWithin(w, sp, u); why != nil {
			return r.cut(w, why)
		}
	}
	var entries []sekisho.Body
	if sp.mine {
		entries = r.apart(u)
	} else {
		entries = r.entries(u)
	}
	r.beforeRow(u, entries)
	for _, e := range entries {
		if a := e.(*sekisho.Access); sp.written == nil {
			a.Least = 1
		}
	}
	for i, list := range lists {
		a := entries[d.head[i].space].(*sekisho.Access)
		a.Least, a.Subjects = 1, append(a.Subjects, list...)
	}
	if why := r.charge(w, sp, u, entries); why != nil {
		return r.cut(w, why)
	}
	if sp.mine {
		// What is fetched later may come in another cycle, when nothing waits for
		// this chunk any more.
		if u.by.behalf != nil {
			entries = append([]sekisho.Body{r.s.behalf(u.by, u.number)}, entries...)
		}
		var err error
		r.t.wait(func() {
			if err = r.s.announce(); err == nil {
				_, err = r.s.g.append(entries...)
			}
		})
		if err != nil {
			return r.cut(w, ledgerRefusal(err))
		}
		sp.read.Store(true)
	}
	return nil
}

// apart gives the Access entries of a cursor's head, outside any chunk.
func (r *replies) apart(u *run) (entries []sekisho.Body) {
	for i := range u.d.shapes {
		a := &sekisho.Access{Session: r.s.id.Load(), Shape: u.d.shapes[i].seq, Number: u.number, Class: sekisho.Exact, Purpose: u.by.purpose}
		u.d.shapes[i].begins(a, r.s.g, true)
		entries = append(entries, a)
	}
	return entries
}

// withinLimit says why so many customers must not be named; nil if they may.
func (r *replies) withinLimit(w *want, u *run, lists [][]uint32, nobody, many bool) *refusal {
	if !u.limit.on {
		return nil
	}
	over := func() *refusal { return noneSent(r.overLimit(w, u)) }
	for i, list := range lists {
		if u.d.head[i].written {
			continue
		}
		space := u.d.countedAs(i)
		for _, ord := range list {
			for !u.limit.allows(space, ord) {
				if why := over(); why != nil {
					return why
				}
			}
		}
	}
	for nobody && !u.limit.allowsNobody() {
		if why := over(); why != nil {
			return why
		}
	}
	for many && u.limit.most <= stmt.MostNames {
		if why := over(); why != nil {
			return why
		}
	}
	return nil
}

// countedAs is the index in shapes under which a limit counts the customers of
// one of the head's columns: the same for all that are of one subject.
func (d *desc) countedAs(i int) int {
	of := d.head[i].of
	for _, k := range d.keys {
		if !k.written && k.of == of {
			return k.space
		}
	}
	return d.head[slices.IndexFunc(d.head, func(h headAt) bool { return !h.written && h.of == of })].space
}

// noneSent is the refusal of a statement of which no row has gone.
func noneSent(why *refusal) *refusal {
	if why == nil {
		return nil
	}
	c := *why
	if _, rest, ok := strings.Cut(c.hint, " were sent. "); ok {
		c.hint = rest
	}
	return &c
}

// allWithin says why all of a table must not be told of; nil if it may.
func (r *replies) allWithin(w *want, sp *stmtPlan, u *run) *refusal {
	u.told = true
	if u.accounts != nil {
		var spaces []string
		for _, s := range u.d.shapes {
			if s.whole {
				spaces = append(spaces, s.space)
			}
		}
		var why *refusal
		if r.t.wait(func() { why = r.s.chargeAny(sp, spaces, u.by, true) }); why != nil {
			return why
		}
	}
	for _, s := range u.d.shapes {
		for s.whole && u.limit.on && r.s.g.populationOf(s.space) > u.limit.most {
			if why := noneSent(r.overLimit(w, u)); why != nil {
				return why
			}
		}
	}
	return nil
}

// begins gives an Access of a shape its class, and with the first one the reach.
func (s *shapeRef) begins(a *sekisho.Access, g *Gate, first bool) {
	if s.class != 0 {
		a.Class = s.class
	}
	if s.whole && first {
		if a.Reach = g.populationOf(s.space); a.Reach == 0 {
			a.Class = sekisho.AnyRow // of how many, nobody knows
		}
	}
}

// eachElement reads the elements of a one-dimensional array as the server
// sends it; nil is NULL. What it gives f is valid until f returns.
func eachElement(v []byte, binary bool, f func(v []byte) error) error {
	if binary {
		return eachBinary(v, f)
	}
	if len(v) < 2 || v[0] != '{' || v[len(v)-1] != '}' {
		return errKey
	}
	v = v[1 : len(v)-1]
	var plain []byte
	for len(v) > 0 {
		if v[0] != '"' {
			elem, rest, more := bytes.Cut(v, []byte{','})
			if len(elem) == 0 || bytes.ContainsAny(elem, `{}"\`) || more && len(rest) == 0 {
				return errKey
			}
			v = rest
			if bytes.EqualFold(elem, []byte("NULL")) {
				elem = nil
			}
			if err := f(elem); err != nil {
				return err
			}
			continue
		}
		plain = plain[:0]
		i := 1
		for ; i < len(v) && v[i] != '"'; i++ {
			if v[i] == '\\' {
				if i++; i == len(v) {
					return errKey
				}
			}
			plain = append(plain, v[i])
		}
		if i >= len(v) {
			return errKey
		}
		if plain == nil {
			plain = []byte{}
		}
		if err := f(plain); err != nil {
			return err
		}
		switch v = v[i+1:]; {
		case len(v) == 0:
		case v[0] == ',' && len(v) > 1:
			v = v[1:]
		default:
			return errKey
		}
	}
	return nil
}

// eachBinary is eachElement for the binary format.
func eachBinary(v []byte, f func(v []byte) error) error {
	if len(v) < 12 {
		return errKey
	}
	dims := be.Uint32(v)
	v = v[12:]
	if dims == 0 && len(v) == 0 {
		return nil
	}
	if dims != 1 || len(v) < 8 {
		return errKey
	}
	n := be.Uint32(v)
	v = v[8:]
	for ; n > 0; n-- {
		if len(v) < 4 {
			return errKey
		}
		size := int(int32(be.Uint32(v)))
		v = v[4:]
		if size < -1 || size > len(v) {
			return errKey
		}
		var elem []byte
		if size >= 0 {
			elem = v[:size:size]
			v = v[size:]
		}
		if err := f(elem); err != nil {
			return err
		}
	}
	if len(v) > 0 {
		return errKey
	}
	return nil
}
