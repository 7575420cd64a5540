package gate

import (
	"bytes"
	"sync"

	"sekisho"
)

// Rows of a long answer are taken together: those that stand whole in the buffer
// and are like the one before them are read, then charged, then moved, and not
// one after the other. A row in which anything is out of the ordinary ends them;
// it is left to row or copyRow, which know what to do.

// mostTogether is how many rows are taken at a time, at most.
const mostTogether = 2048

// together are rows that were read and not moved yet, from buf[scan] on.
type together struct {
	rows [mostTogether]struct {
		size, end uint32 // of the message, and how much of it goes to the client
		held      uint32 // bytes of protected values that the client gets
	}
	n int
}

var togethers = sync.Pool{New: func() any { return new(together) }}

func (g *together) add(size, end, held int) {
	row := &g.rows[g.n]
	row.size, row.end, row.held = uint32(size), uint32(end), uint32(max(held, 1))
	g.n++
}

// takeTogether takes rows that answer w, of which at least one stands whole at
// buf[scan]. False: that one has to be looked at by itself.
func (r *replies) takeTogether(w *want, typ byte) bool {
	u, sp, d := r.likeBefore(w, typ)
	if u == nil {
		return false
	}
	g := togethers.Get().(*together)
	defer togethers.Put(g)
	g.n = 0
	a := r.entries(u)[0].(*sekisho.Access)
	before := len(a.Subjects)
	if typ == 'D' {
		r.readRows(g, w, u, d, a)
	} else {
		r.readLines(g, sp, u, d, a)
	}
	r.chargeTogether(g, u, sp, a, before)
	if g.n == 0 {
		return false
	}
	least := uint32(1 << 31)
	for i := range g.rows[:g.n] {
		least = min(least, g.rows[i].held)
	}
	u.left -= int64(g.n)
	a.Rows += uint64(g.n)
	if a.Least == 0 || least < a.Least {
		a.Least = least
	}
	if typ == 'D' && sp.expects != nil {
		if before := d.least.Load(); before == 0 || least < before {
			d.least.Store(least)
		}
	}
	r.midRow = true
	r.moveTogether(g, d, typ)
	return true
}

// likeBefore gives the access of the next rows of w if they may be taken
// together: nothing but their customers' number can then stop them.
func (r *replies) likeBefore(w *want, typ byte) (*run, *stmtPlan, *desc) {
	sp, u := w.statement(), r.runningFor(w)
	switch {
	case r.cutting, sp == nil, u == nil, w.foretold != nil:
		return nil, nil, nil
	case sp.kind != planExact, sp.blind, sp.catch != nil, sp.skip != nil, sp.written != nil, sp.quiet(), sp.binary && typ == 'd':
		return nil, nil, nil
	case u.left == 0, u.marks != nil:
		return nil, nil, nil
	case r.shut.by != nil && (w != r.shut.cleared || w.at != r.shut.at):
		return nil, nil, nil
	}
	d := r.descOf(w)
	switch {
	case d == nil, d != u.d, d.refuse != nil, d.anyRow, d.free, d.head != nil:
		return nil, nil, nil
	case d.whole && !u.told, d.header && !u.header, len(d.shapes) != 1, len(d.keys) != 1, d.shapes[0].named:
		return nil, nil, nil
	case typ == 'd' && d.hidden != 1:
		return nil, nil, nil
	}
	return u, sp, d
}

// readRows reads the keys of DataRows.
func (r *replies) readRows(g *together, w *want, u *run, d *desc, a *sekisho.Access) {
	k := &d.keys[0]
	visible := d.fields - d.hidden
	binary := w.binary(k.field, visible)
	b := r.c.buf[r.scan:r.n]
	for r.mayTake(g, u) && len(b) >= 7 && b[0] == 'D' {
		size := int(be.Uint32(b[1:])) + 1
		if size < 7 || size > len(b) || int(be.Uint16(b[5:])) != d.fields {
			return
		}
		row := b[:size]
		pos, end, held := 7, 7, 0
		var key []byte
		for i := range d.fields {
			if pos+4 > len(row) {
				return
			}
			n := int(int32(be.Uint32(row[pos:])))
			pos += 4
			if n > len(row)-pos || n < -1 {
				return
			}
			if n > 0 {
				if i == k.field {
					key = row[pos : pos+n]
				}
				if i < visible && (d.held == nil || d.held[i]) {
					held += n
				}
				pos += n
			}
			if i == visible-1 {
				end = pos
			}
		}
		if key == nil || !r.names(u, k, key, binary, a) {
			return
		}
		g.add(size, end, held)
		b = b[size:]
	}
}

// readLines reads the keys of lines of COPY, the last field of each.
func (r *replies) readLines(g *together, sp *stmtPlan, u *run, d *desc, a *sekisho.Access) {
	k := &d.keys[0]
	sep, empty := byte('\t'), d.fields-d.hidden-1
	if sp.csv {
		sep = ','
	}
	b := r.c.buf[r.scan:r.n]
	for r.mayTake(g, u) && len(b) >= 7 && b[0] == 'd' {
		size := int(be.Uint32(b[1:])) + 1
		if size < 7 || size > len(b) {
			return
		}
		line := b[5:size]
		last := len(line) - 1
		switch {
		case line[last] != '\n', line[last-1] == '"':
			return
		case !sp.csv && bytes.IndexByte(line, '\n') != last, sp.csv && bytes.Count(line, quote)%2 != 0:
			return
		}
		at := bytes.LastIndexByte(line[:last], sep)
		if at < 0 {
			return
		}
		key := line[at+1 : last]
		if len(key) == 0 || bytes.IndexByte(key, '\\') >= 0 || !r.names(u, k, key, false, a) {
			return
		}
		g.add(size, 5+at+1, at-empty)
		b = b[size:]
	}
}

// mayTake: there may be another row.
func (r *replies) mayTake(g *together, u *run) bool {
	return g.n < mostTogether && int64(g.n) < u.left
}

// names has the access name the customer of a key. False: the row has to be
// looked at by itself.
func (r *replies) names(u *run, k *keyAt, key []byte, binary bool, a *sekisho.Access) bool {
	ord, err := r.ordinal(k, key, binary, a.Subjects)
	if err != nil || u.limit.on && !u.limit.allows(k.space, ord) {
		return false
	}
	a.Subjects = append(a.Subjects, ord)
	return true
}

// chargeTogether charges the customers whom the access has come to name since it
// named so many, and leaves out the rows from the first on for whom a budget has
// no room.
func (r *replies) chargeTogether(g *together, u *run, sp *stmtPlan, a *sekisho.Access, before int) {
	if u.accounts == nil || u.accounts[0] == nil || u.limit.request != 0 || g.n == 0 {
		return // as in charge
	}
	if r.at == 0 {
		r.at = sekisho.At(r.s.g.conf.Now())
	}
	of, who := u.accounts[0], a.Subjects[before:]
	if of.SpendAll(r.at, who) {
		return
	}
	for i := range who {
		within, tell := of.Spend(r.at, who[i:i+1], !sp.observe)
		if tell {
			r.s.tellBudgets(of)
		}
		if within == 0 {
			g.n, a.Subjects = i, a.Subjects[:before+i]
			return
		}
	}
}

// moveTogether moves the rows to the output, without what is the gate's own.
func (r *replies) moveTogether(g *together, d *desc, typ byte) {
	buf, from, to := r.c.buf, r.scan, r.w
	if d.hidden == 0 {
		for i := range g.rows[:g.n] {
			r.scan += int(g.rows[i].size)
		}
		r.keep(from, r.scan)
		return
	}
	visible := uint16(d.fields - d.hidden)
	for i := range g.rows[:g.n] {
		end := int(g.rows[i].end)
		row := buf[from : from+end]
		be.PutUint32(row[1:], uint32(end-1))
		if typ == 'D' {
			be.PutUint16(row[5:], visible)
		} else {
			row[end-1] = '\n'
		}
		copy(buf[to:], row)
		from += int(g.rows[i].size)
		to += end
	}
	r.scan, r.w = from, to
}
