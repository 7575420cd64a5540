package gate

import (
	"sync"

	"sekisho"
	"sekisho/catalog"
	"sekisho/ledger"
	"sekisho/stmt"
)

// A statement that asks for one customer by the key says whose row will come.
// Its Access is then written while the server works, and not after: the disk
// and the server take their time together. The row is looked at as ever. If it
// is not what was foretold, the foretold access is taken back, which costs an
// entry, and the row has an access of its own, which costs a flush. So a wrong
// guess shows nobody anything, and a crash in between leaves a customer too
// many in the ledger, never one too few.

// expects says where a statement names the customer that it asks for.
type expects struct {
	param   int // the value of this parameter, from 1
	literal int // or, if that is 0, the literal of this turn
}

// expectation is what a plain statement, as it stands in text, asks for; nil if
// that is nobody in particular.
func expectation(st *stmt.Statement, j catalog.Judgement, text string) *expects {
	if len(j.Instances) != 1 || j.Instances[0].KeyNullable || j.Skip != nil || st.Kind != stmt.Select {
		return nil
	}
	in := j.Instances[0]
	for _, a := range st.Asked {
		f := a.Column.Fields
		if n := len(f); n == 0 || f[n-1] != in.Key || n > 1 && f[n-2] != in.Alias {
			continue
		}
		if a.Param > 0 {
			return &expects{param: a.Param}
		}
		if _, literals, ok := stmt.Shape(text); ok {
			if turn, ok := literals.Which(a.At); ok {
				return &expects{literal: turn}
			}
		}
	}
	return nil
}

// who is the ordinal of the customer with this key, as the client wrote it; 0
// if there is none yet.
func (k *keyAt) who(v []byte, binary bool) uint32 {
	n, ok := int64(0), false
	switch {
	case k.typ == keyNumeric:
		text := trimScale(v)
		if binary {
			if text, ok = numericText(v); !ok {
				return 0
			}
		}
		ord, _ := k.of.Find(string(text))
		return ord
	case binary && k.typ != keyInt2 && k.typ != keyInt4 && k.typ != keyInt8:
		return 0
	case !binary && (k.typ == keyText || k.typ == keyUUID || k.typ == keyChar):
		ord, _ := k.of.Find(string(v))
		return ord
	case !binary:
		n, ok = parseInt(v)
	case len(v) == 8:
		n, ok = int64(be.Uint64(v)), true
	case len(v) == 4:
		n, ok = int64(int32(be.Uint32(v))), true
	case len(v) == 2:
		n, ok = int64(int16(be.Uint16(v))), true
	}
	if !ok {
		return 0
	}
	return k.of.FindInt(n)
}

// A foretold is an access that was written before its row came.
type foretold struct {
	s      *session
	req    ledger.Request
	access sekisho.Access  // the ledger's from commit to recorded
	bodies [2]sekisho.Body // who is behind it, if that was stated, and the access
	named  [1]uint32       // the access's Subjects

	// What the access says, for the server side.
	shape, number uint64
	least, who    uint32

	// Of the server side alone.
	came   sekisho.Access // what the row says that did come
	rows   [1]sekisho.Body
	before [1]uint32

	// Guarded by outbox.mu.
	chunk *chunk // waits for it
	done  bool
	seq   uint64
	err   error
}

var foretolds = sync.Pool{New: func() any {
	f := new(foretold)
	f.bodies[1], f.rows[0] = &f.access, &f.came
	return f
}}

// mostForetold is how many foretold accesses of a session may be under way.
const mostForetold = maxPending

// foretell makes the access of a statement that is about to go upstream. nil:
// nobody can be foretold. It is for the client side.
func (s *session) foretell(w *want, sp *stmtPlan, who uint32) *foretold {
	d := sp.last.Load()
	if who == 0 || d == nil || d.refuse != nil || len(d.shapes) != 1 || len(d.keys) != 1 || s.foretelling.Load() >= mostForetold {
		return nil
	}
	least := d.least.Load()
	if least == 0 {
		return nil // no row has come yet that would tell how small one is
	}
	if !s.mayForetell(w, d, who) {
		return nil
	}
	f := foretolds.Get().(*foretold)
	f.s, f.named[0] = s, who
	f.shape, f.number, f.least, f.who = d.shapes[0].seq, w.number, least, who
	f.access = sekisho.Access{
		Session: s.id.Load(), Shape: f.shape, Number: f.number, Class: sekisho.Exact,
		Purpose: w.by().purpose, Rows: 1, Least: least, Subjects: f.named[:],
	}
	f.req.Bodies = f.bodies[1:]
	if by := w.by(); by.behalf != nil {
		f.bodies[0] = s.behalf(by, f.number)
		f.req.Bodies = f.bodies[:]
	}
	if f.req.Done == nil {
		f.req.Done = f.recorded
	}
	s.foretelling.Add(1)
	return f
}

// expected is the customer that a bound statement asks for, by the parameters of
// a well-formed Bind, which begin with their number.
func (sp *stmtPlan) expected(formats, values []byte) uint32 {
	if sp.expects.param == 0 || sp.expects.param > int(be.Uint16(values)) {
		return 0
	}
	d := sp.last.Load()
	if d == nil || len(d.keys) != 1 {
		return 0
	}
	values = values[2:]
	for i := range sp.expects.param {
		size := int32(be.Uint32(values))
		values = values[4:]
		switch {
		case i == sp.expects.param-1 && size >= 0:
			return d.keys[0].who(values[:size], binaryAt(formats, i))
		case size > 0:
			values = values[size:]
		}
	}
	return 0
}

// binaryAt tells the format of parameter i of a Bind.
func binaryAt(formats []byte, i int) bool {
	switch {
	case len(formats) == 2:
		return be.Uint16(formats) == 1
	case 2*i+2 <= len(formats):
		return be.Uint16(formats[2*i:]) == 1
	}
	return false
}

// asksIn is the key that a text of this plan's shape asks for; empty if none
// stands in it.
func (p *plan) asksIn(text string, literals *stmt.Literals) (key string) {
	if len(p.stmts) == 1 {
		if e := p.stmts[0].expects; e != nil && e.param == 0 {
			key, _ = literals.Value(text, e.literal)
		}
	}
	return key
}

// expected is the customer that a text asks for.
func (p *plan) expected() uint32 {
	if p.asks == "" || len(p.stmts) != 1 {
		return 0
	}
	d := p.stmts[0].last.Load()
	if d == nil || len(d.keys) != 1 {
		return 0
	}
	return d.keys[0].who([]byte(p.asks), false)
}

// commit hands the access to the ledger, once the statement is among the wants.
func (f *foretold) commit(t *strand) {
	if l := t.loop; l != nil {
		l.queue(&f.req)
		return
	}
	f.s.g.ledger.Submit(&f.req)
}

// recorded is called by whoever commits: the access is durable, or will never
// be. It must not block.
func (f *foretold) recorded(first sekisho.ID, err error) {
	o := f.s.out
	if err != nil {
		o.refused()
	}
	o.mu.Lock()
	seq := first.Seq + uint64(len(f.req.Bodies)) - 1
	f.done, f.seq, f.err = true, seq, err
	c := f.chunk
	o.mu.Unlock()
	if c != nil {
		o.arrived(c, seq, err)
	}
}

// scratch is where the row is noted that may be the foretold one.
func (f *foretold) scratch() []sekisho.Body {
	f.came.Subjects, f.came.Rows, f.came.Least = f.came.Subjects[:0], 0, 0
	return f.rows[:]
}

// hint is the ordinal before the one that the row is likely to have.
func (f *foretold) hint(before []uint32) []uint32 {
	if f == nil {
		return before
	}
	f.before[0] = f.who - 1
	return f.before[:]
}

// pending is the foretold access that the next row of w may be, by its
// description.
func (r *replies) pending(w *want, d *desc) *foretold {
	f := w.foretold
	if f == nil {
		return nil
	}
	if len(d.shapes) != 1 || len(d.keys) != 1 || d.shapes[0].seq != f.shape {
		r.withdraw(w, sekisho.Completed, "")
		return nil
	}
	return f
}

// fulfils has the row's chunk wait for the foretold access, if the row is the
// one that was foretold. Else that is taken back, and the row gets an access of
// its own.
func (r *replies) fulfils(w *want, u *run, f *foretold) {
	if len(f.came.Subjects) == 1 && f.came.Subjects[0] == f.who && f.came.Least >= f.least {
		u.foretold = true
		r.awaits(w)
		return
	}
	r.withdraw(w, sekisho.Completed, "")
	a := r.entries(u)[0].(*sekisho.Access)
	a.Subjects = append(a.Subjects, f.came.Subjects...)
	a.Rows, a.Least = 1, f.came.Least
}

// awaits has the chunk wait for the foretold access, which belongs to the
// chunk from here on.
func (r *replies) awaits(w *want) {
	f := w.foretold
	w.foretold = nil
	r.s.foretelling.Add(-1)
	r.c.marks = append(r.c.marks, mark{at: r.w, is: markRows, number: f.number})
	r.c.foretold = append(r.c.foretold, f)
}

// withdraw takes back what was foretold for w and has not come. What comes
// instead has another number.
func (r *replies) withdraw(w *want, outcome sekisho.Outcome, code string) {
	if !r.s.takeBack(w, outcome, code) {
		return
	}
	w.number = r.s.number.Add(1)
	if u := r.runningFor(w); u != nil {
		u.number = w.number
	}
}

// foretoldEnds has the answer wait for its foretold access although no row
// came: that none did is an answer, too. The access is then taken back.
func (r *replies) foretoldEnds(w *want) {
	r.awaits(w)
	r.s.closeAccess(w.number, sekisho.Completed, 0, "")
}

// toldFails narrows a foretold access whose statement the server ended with an
// error behind its row.
func (r *replies) toldFails(w *want, code string) error {
	u := r.runningFor(w)
	if u == nil || !u.foretold || u.open || r.cutting {
		return nil
	}
	if err := r.emit(0); err != nil {
		return err
	}
	released := r.s.out.settle(r.t)
	r.s.closeAccess(u.number, r.s.outcomeOf(code), released, code)
	return nil
}

// unanswered takes back what was foretold for messages that the server will
// never answer.
func (s *session) unanswered(dropped []*want, outcome sekisho.Outcome, code string) {
	for _, w := range dropped {
		s.takeBack(w, outcome, code)
	}
}

// takeBack ends what was foretold for w. False: nothing was.
func (s *session) takeBack(w *want, outcome sekisho.Outcome, code string) bool {
	f := w.foretold
	if f == nil {
		return false
	}
	w.foretold = nil
	s.foretelling.Add(-1)
	s.closeAccess(f.number, outcome, 0, code)
	return true
}

// release gives back what a chunk waited for. The ledger has answered for all
// of it if the chunk has gone by the outbox.
func (c *chunk) release() {
	for i, f := range c.foretold {
		if c.out != nil {
			f.s, f.chunk, f.done, f.seq, f.err = nil, nil, false, 0, nil
			foretolds.Put(f)
		}
		c.foretold[i] = nil
	}
	c.foretold = c.foretold[:0]
}

// hold makes c the chunk that waits for what was foretold and is not durable
// yet. outbox.mu is held.
func (c *chunk) hold() {
	for _, f := range c.foretold {
		if f.done {
			c.took(f.seq, f.err)
		} else {
			f.chunk = c
			c.waits++
		}
	}
}

// took notes that one of the entries that the chunk waits for is durable, or
// was refused. outbox.mu is held.
func (c *chunk) took(last uint64, err error) {
	if err != nil {
		c.err = err
		return
	}
	c.last = max(c.last, last)
}

// arrived tells the outbox of one of the requests that a chunk waits for. It
// must not block.
func (o *outbox) arrived(c *chunk, last uint64, err error) {
	o.mu.Lock()
	c.took(last, err)
	c.waits--
	c.ready = c.waits == 0
	o.lost = o.lost || err != nil
	o.space.Broadcast() // for recorded
	head := c.ready && o.queue[0] == c
	o.mu.Unlock()
	if !head {
		return // whoever is at the head will come to it
	}
	if o.try == nil {
		o.poke()
		return
	}
	o.flush(false)
}
