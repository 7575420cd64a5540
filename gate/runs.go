package gate

import (
	"slices"

	"sekisho"
	"sekisho/budget"
)

// Accesses under way: from their first row to their last word.

// A run is an access under way: one statement's, or one portal's.
type run struct {
	number    uint64
	by        *said
	d         *desc
	open      bool  // an Access with More set has been made, and none without
	recorded  bool  // as any-row
	told      bool  // the head has been read, or all of a table may be told of
	header    bool  // of COPY: the first line has passed
	skip      int64 // rows that are still to be skipped
	limit     limit
	left      int64 // rows that may still pass
	ruling    *ruling
	agreed    bool              // a second person has
	accounts  []*budget.Account // by subject, as desc.shapes; nil: no budget applies
	marks     *marks            // of an approved export that carries decoys; nil: it carries none
	foretold  bool              // its row went by a foretold access
	everybody uint64            // how many it could be about, of what is recorded as any-row before it runs; else 0
	nobody    bool              // recorded as any-row, because a row came without the key of a table that must have one
}

// runningFor is the access that w's rows belong to.
func (r *replies) runningFor(w *want) *run {
	if w.portal != nil {
		return w.portal.run
	}
	return r.s.running
}

// begin gives the access that a row belongs to, making it with the first row.
func (r *replies) begin(w *want, d *desc) *run {
	if w.portal != nil {
		if w.portal.run == nil {
			w.portal.run = (&run{number: w.number, by: w.by(), d: d, skip: w.skips(), limit: r.limits(w), accounts: r.accountsFor(d, w.by(), w.rules.one)}).bounded(w.rules.one)
		}
		return w.portal.run
	}
	if r.s.running == nil {
		r.s.running = (&run{number: w.number + uint64(w.at), by: w.by(), d: d, skip: w.skips(), limit: r.limits(w), accounts: r.accountsFor(d, w.by(), w.rules.at(w.at))}).bounded(w.rules.at(w.at))
	}
	return r.s.running
}

// entries gives the run's Access entries in this chunk, one a subject space,
// making them with the chunk's first row.
func (r *replies) entries(u *run) []sekisho.Body {
	d, c := u.d, r.c
	if n := len(c.bodies) - len(d.shapes); n >= 0 {
		if a, ok := c.bodies[n].(*sekisho.Access); ok && a.Number == u.number && a.Shape == d.shapes[0].seq {
			return c.bodies[n:]
		}
	}
	if !u.open && u.by.behalf != nil {
		c.bodies = append(c.bodies, r.s.behalf(u.by, u.number)) // in front of what it explains, and in one group with it
	}
	at := len(c.bodies)
	c.marks = append(c.marks, mark{at: r.w, is: markRows, number: u.number})
	for i := range d.shapes {
		a := c.access()
		a.Session, a.Shape, a.Number = r.s.id.Load(), d.shapes[i].seq, u.number
		a.Class, a.More, a.Purpose = sekisho.Exact, true, u.by.purpose
		d.shapes[i].begins(a, r.s.g, !u.open)
	}
	if !u.open {
		u.open = true
		r.open = append(r.open, u)
	}
	return c.bodies[at:]
}

// oneMore takes one of the rows that an access may still have, or says why it may
// have no more.
func (r *replies) oneMore(w *want, sp *stmtPlan, u *run) *refusal {
	if u.left == 0 {
		if why := r.beyond(w, sp, u); why != nil {
			return why
		}
	}
	u.left--
	return nil
}

// comes says why a row, or a line of COPY, must not go, before it is read.
func (r *replies) comes(w *want, sp *stmtPlan, u *run, d *desc) *refusal {
	if why := r.oneMore(w, sp, u); why != nil {
		return why
	}
	if d.whole && !u.told {
		return r.allWithin(w, sp, u)
	}
	return nil
}

// within says why a row that names ord by key i of d must not go: it is one more
// than the access may name. What the row has named before, the keys in named, is
// then taken back.
func (r *replies) within(w *want, u *run, d *desc, entries []sekisho.Body, i int, named uint64, ord uint32) *refusal {
	k := &d.keys[i]
	if !u.limit.on || k.written || u.limit.allows(k.space, ord) {
		return nil
	}
	if over := r.overLimit(w, u); over != nil {
		d.takeBack(entries, i, named)
		return over
	}
	u.limit.allows(k.space, ord)
	return nil
}

// counted counts a row of which the keys in named were read, or says why it must
// not go after all.
func (r *replies) counted(w *want, sp *stmtPlan, u *run, entries []sekisho.Body, named uint64, least uint32) *refusal {
	if u.limit.on && named == 0 && u.nobody && !u.limit.allowsNobody() {
		if over := r.overLimit(w, u); over != nil {
			return over
		}
		u.limit.allowsNobody()
	}
	if why := r.charge(w, sp, u, entries); why != nil {
		return why
	}
	for i, e := range entries {
		a := e.(*sekisho.Access)
		if u.d.shapes[i].named { // what a write reads is in no row of its own
			a.Least = 1
			continue
		}
		a.Rows++
		if a.Least == 0 || least < a.Least {
			a.Least = least
		}
	}
	return nil
}

// accessEnds writes the last word of the access: its last entry says that
// nothing follows.
func (r *replies) accessEnds(w *want) {
	u := r.runningFor(w)
	if u == nil && w.foretold != nil {
		r.foretoldEnds(w)
		return
	}
	if u == nil {
		d := r.descOf(w)
		if d == nil || len(d.shapes) == 0 {
			return
		}
		u = r.begin(w, d)
	}
	if len(u.d.shapes) > 0 && (u.open || !u.foretold) {
		for _, b := range r.entries(u) {
			b.(*sekisho.Access).More = false
		}
	}
	r.ended(u)
	r.forgetRun(w)
}

// forgetRun: what answers w next is another access.
func (r *replies) forgetRun(w *want) {
	if w.portal != nil {
		w.portal.run = nil
	} else {
		r.s.running = nil
	}
}

// descOf is the description of the rows that answer w.
func (r *replies) descOf(w *want) *desc {
	if w.portal == nil {
		return r.s.desc
	}
	ps := w.portal.ps
	d := ps.desc.Load()
	if d != nil && d.refuse != nil && d.refuse.reason == reasonLedger && d.raw != nil {
		// What the ledger did not take then, it may take now.
		d, _ = r.s.describe(ps.stmt, d.raw, r.t)
		ps.desc.Store(d)
	}
	return d
}

// ended: nothing more of the access will come.
func (r *replies) ended(u *run) {
	u.open = false
	r.open = slices.DeleteFunc(r.open, func(v *run) bool { return v == u })
}

// accessFails narrows an access that the server ended with an error.
func (r *replies) accessFails(u *run, code string) error {
	return r.closeRun(u, r.s.outcomeOf(code), code)
}

// outcomeOf is how a statement ended that the server ended with an error.
func (s *session) outcomeOf(code string) sekisho.Outcome {
	switch {
	case code != "57014":
		return sekisho.Failed
	case s.vanished.Load():
		return sekisho.ClientGone // and so the gate cancelled it
	}
	return sekisho.Cancelled
}

// closeRun writes the closing entry of an access, once all that was framed
// before has gone out.
func (r *replies) closeRun(u *run, outcome sekisho.Outcome, code string) error {
	if err := r.emit(0); err != nil {
		return err
	}
	released := r.s.out.settle(r.t)
	r.ended(u)
	r.s.closeAccess(u.number, outcome, released, code)
	return nil
}

// recordError appends, before the client reads an error that customers' values
// may have caused, that it may be about any of them: the error itself answers
// a question. The refusal stands in for the error if that is not possible.
func (r *replies) recordError(w *want, body []byte) *refusal {
	s, code := r.s, errorField(body, 'C')
	if w.typ == 'D' || w.typ == 'h' || !tests(code, pointsAtTheText(body)) {
		return nil
	}
	sp := w.statement()
	if sp != nil && sp.answers != nil {
		sp = sp.answers
	} else if sp != nil && sp.kind == planAnyRow && r.sure(w) {
		return nil // as any-row it was recorded before it ran
	}
	if sp == nil {
		if s.unknown == nil {
			s.unknown = unknownPlan()
		}
		sp = s.unknown
	}
	number := w.number + uint64(w.at)
	if w.number == 0 || r.runningFor(w) != nil || w.foretold != nil {
		number = s.number.Add(1)
	}
	if err := r.recordAnyRow(sp, number, w.by()); err != nil {
		return refusalFor(err)
	}
	// The error is what is released, and it answers for every row: nothing of
	// the access is taken back.
	s.closeAccess(number, sekisho.Failed, s.g.ledger.Last(), code)
	return nil
}
