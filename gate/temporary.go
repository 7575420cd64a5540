package gate

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"sekisho/catalog"
)

// Temporary tables with protected rows. CREATE TEMPORARY TABLE … AS goes upstream
// as two statements: one that makes the table without rows, and an INSERT …
// SELECT, which is accounted as any other: a head names whom it reads, and its
// RETURNING whose rows are in the table. So all of them are in the ledger before
// the transaction can commit, and a table that is gone owes nothing.
//
// From then on the session's statements are judged by a catalog in which that
// table is protected (catalog.WithTemporary). What is there the server says: the
// gate asks it again after whatever may have made, dropped or brought back a
// table. One that has once held protected rows stays so, by its number.

// temporaries are those of a session. Client and server side both ask for the
// catalog; the client side alone changes what is known.
type temporaries struct {
	any   atomic.Bool // there is one, or was
	stale atomic.Bool // the server must be asked again

	mu   sync.Mutex
	list []catalog.Temporary
	over *catalog.Catalog // with them
	base *catalog.Catalog // that over was made from
}

// catalog is what the session's statements are judged by.
func (s *session) catalog() *catalog.Catalog {
	base := s.g.plans.catalog()
	if !s.temps.any.Load() {
		return base
	}
	s.temps.mu.Lock()
	defer s.temps.mu.Unlock()
	if s.temps.over == nil || s.temps.base != base {
		s.temps.over, s.temps.base = base.WithTemporary(s.temps.list), base
	}
	return s.temps.over
}

// catalogFor is what a text of so many statements is judged by. One of several
// can bring a table back that is gone, by ROLLBACK, before the next one runs: to
// them all tables are there that ever were.
func (s *session) catalogFor(statements int) *catalog.Catalog {
	cat := s.catalog()
	if statements < 2 || !s.temps.any.Load() {
		return cat
	}
	s.temps.mu.Lock()
	defer s.temps.mu.Unlock()
	list := slices.Clone(s.temps.list)
	for i := range list {
		list[i].Gone = false
	}
	return s.g.plans.catalog().WithTemporary(list)
}

// A present is a temporary table that the server has.
type present struct {
	oid          uint32
	schema, name string
	bound        bool // something depends on it, and could show its rows: a view, an heir, a trigger
	columns      []catalog.TempColumn
}

// presentSQL asks for the session's temporary tables. No name in it can be
// anything else than PostgreSQL's own.
const presentSQL = `SELECT c.oid, n.nspname, c.relname, a.attnum, a.attname, a.atttypid,
 (EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refobjid OPERATOR(pg_catalog.=) c.oid AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid)
 OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid OR i.inhrelid OPERATOR(pg_catalog.=) c.oid)
 OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid)
 OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid)
 OR EXISTS (SELECT FROM pg_catalog.pg_attrdef f WHERE f.adrelid OPERATOR(pg_catalog.=) c.oid)
 OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.<>) 'p')
 OR EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid OPERATOR(pg_catalog.=) c.oid AND (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL))
 OR c.relkind OPERATOR(pg_catalog.<>) 'r')::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
 AND c.relkind OPERATOR(pg_catalog.<>) 'i' AND c.relkind OPERATOR(pg_catalog.<>) 'S'
ORDER BY c.oid USING OPERATOR(pg_catalog.<), a.attnum USING OPERATOR(pg_catalog.<)`

// caught are the rows of a statement of the gate's own.
type caught struct {
	cycle bool // in a cycle of its own: not even an error is the client's

	mu   sync.Mutex
	rows [][]string
	bad  error
	done bool
}

// add takes a DataRow.
func (c *caught) add(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fields := int(be.Uint16(b[5:]))
	list, err := lastFields(b, fields, fields, nil)
	if err != nil {
		c.bad = err
		return
	}
	row := make([]string, len(list))
	for i, v := range list {
		row[i] = string(v)
	}
	c.rows = append(c.rows, row)
}

// ends: the server has given all.
func (c *caught) ends() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
}

// tables are the rows as tables; false if they did not all come.
func (c *caught) tables() (all []present, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, row := range c.rows {
		if len(row) != 7 {
			return nil, false
		}
		oid, err := strconv.ParseUint(row[0], 10, 32)
		num, err2 := strconv.ParseInt(row[3], 10, 16)
		typ, err3 := strconv.ParseUint(row[5], 10, 32)
		if err != nil || err2 != nil || err3 != nil {
			return nil, false
		}
		if n := len(all); n == 0 || all[n-1].oid != uint32(oid) {
			all = append(all, present{oid: uint32(oid), schema: row[1], name: row[2], bound: row[6] == "true"})
		}
		one := &all[len(all)-1]
		one.columns = append(one.columns, catalog.TempColumn{Name: row[4], Attnum: int16(num), TypeOID: uint32(typ)})
	}
	return all, c.done && c.bad == nil
}

// own sends a statement of the gate's own under a name of the gate's own, and
// nothing of its answers is the client's, but for an error.
func (q *requests) own(name, text string, sp *stmtPlan) {
	sp.mine = true
	sp.shapes = map[string]uint64{}
	ps := &prepared{name: name, stmt: sp, plan: &plan{cat: q.s.g.plans.catalog(), stmts: []*stmtPlan{sp}}}
	po := &portal{ps: ps}
	q.unknown('S', name) // an error may have kept the one before from being closed
	q.send(&want{typ: 'P', own: true, name: name, ps: ps}, appendMessage(nil, 'P', name+"\x00"+text+"\x00\x00\x00"))
	q.send(&want{typ: 'B', own: true, name: name, from: name, ps: ps, portal: po}, appendMessage(nil, 'B', name+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00"))
	q.send(&want{typ: 'E', name: name, ps: ps, portal: po}, appendMessage(nil, 'E', name+"\x00\x00\x00\x00\x00"))
	q.send(&want{typ: 'C', own: true, kind: 'P', name: name}, appendMessage(nil, 'C', "P"+name+"\x00"))
	q.send(&want{typ: 'C', own: true, kind: 'S', name: name}, appendMessage(nil, 'C', "S"+name+"\x00"))
}

// ask asks the server for the session's temporary tables. ok is false where it
// cannot be asked now, because a transaction has failed. Between two cycles it
// is a cycle of its own.
func (q *requests) ask(cycle bool) (all []present, ok bool) {
	q.settle()
	if q.s.status.Load() == 'E' || q.s.wants.skipping() {
		return nil, false
	}
	c := &caught{cycle: cycle}
	q.own("sekisho_temporary", presentSQL, &stmtPlan{kind: planFree, catch: c})
	if cycle {
		q.send(&want{typ: 'S', own: true}, appendMessage(nil, 'S', ""))
	}
	q.settle()
	return c.tables()
}

// lookAgain asks the server what has become of the session's temporary tables,
// if something may have become of them.
func (q *requests) lookAgain() {
	t := &q.s.temps
	if !t.any.Load() {
		return
	}
	if !q.s.wants.idle() {
		q.settle() // an error may be on its way
	}
	if !t.stale.Load() {
		return
	}
	t.stale.Store(false)
	all, ok := q.ask(!q.open)
	if !ok {
		t.stale.Store(true)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.list {
		one := &t.list[i]
		gone := !slices.ContainsFunc(all, func(p present) bool { return p.oid == one.OID })
		if gone != one.Gone {
			one.Gone, t.over = gone, nil
		}
	}
}

// mostTemporary is how many temporary tables of protected data a session may
// have made.
const mostTemporary = 10_000

// holds notes what a statement is about to put into a table, or says why it
// must not.
func (t *temporaries) holds(p *present, f *catalog.Filling) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.bound {
		return "a view, an heir, a default, a constraint or a trigger belongs to the table"
	}
	names := f.Fill.Columns
	if len(names) == 0 || f.Fill.Made {
		names = nil
		for _, col := range p.columns {
			names = append(names, col.Name)
		}
	}
	if len(f.Gives) > len(names) {
		return "the query has more columns than the table"
	}
	at := slices.IndexFunc(t.list, func(o catalog.Temporary) bool { return o.OID == p.oid })
	key := names[f.KeyAt]
	if at < 0 {
		if len(t.list) == mostTemporary {
			return fmt.Sprintf("the session has made %d such tables", mostTemporary)
		}
		t.list = append(t.list, catalog.Temporary{OID: p.oid, Schema: p.schema, Name: p.name, Subject: f.Subject, Key: key, Columns: slices.Clone(p.columns)})
		at = len(t.list) - 1
		t.over = nil
	}
	one := &t.list[at]
	if one.Key != key || one.Subject != f.Subject {
		return "its column " + one.Key + " holds the key of the subject " + one.Subject + ", and nothing else may be put there"
	}
	add := func(list []string, more []string) []string {
		for _, m := range more {
			if !slices.Contains(list, m) {
				list = append(slices.Clone(list), m)
				t.over = nil
			}
		}
		return list
	}
	one.Tables = add(one.Tables, f.Tables)
	columns := slices.Clone(one.Columns)
	for i, g := range f.Gives {
		for k := range columns {
			if columns[k].Name == names[i] {
				columns[k].From = add(columns[k].From, g.From)
			}
		}
	}
	one.Columns = columns
	t.any.Store(true)
	return ""
}

// temporaryRefusal is of a copy that nobody could account for later.
func temporaryRefusal(p *plan, why string) *plan {
	r := refusalOf(catalog.Refused("create_table_as"))
	r.text += ": " + why
	if p.refuse != nil {
		r.tables = p.refuse.tables
	} else if len(p.stmts) > 0 {
		r.tables = p.stmts[0].judgement.Tables
	}
	return p.refusedWith(r)
}

// fills is the plan for an INSERT … SELECT of protected rows into a table that
// may be a temporary one: then it becomes protected, before anything is put
// there.
func (q *requests) fills(p *plan, text string) *plan {
	f := p.fill.Fill
	all, ok := q.ask(!q.open)
	at := slices.IndexFunc(all, func(t present) bool {
		return t.name == f.Table.Name && (f.Table.Schema == "" || f.Table.Schema == "pg_temp" || f.Table.Schema == t.schema)
	})
	if !ok || at < 0 {
		return p
	}
	if why := q.s.temps.holds(&all[at], p.fill); why != "" {
		return temporaryRefusal(p, why)
	}
	return q.plan(text)
}

// makes makes the table of a CREATE TEMPORARY TABLE … AS, without rows, and
// gives the plan for those. gone: it could not be made, and the client has the
// server's reason.
func (q *requests) makes(p *plan, sent bool) (fill *plan, gone bool) {
	if !sent {
		q.own("sekisho_make", p.fill.Fill.Create, &stmtPlan{kind: planFree, commits: true})
	}
	q.s.temps.stale.Store(true)
	all, ok := q.ask(false)
	at := slices.IndexFunc(all, func(t present) bool { return t.name == p.fill.Fill.Table.Name })
	if !ok || at < 0 {
		return nil, true
	}
	if why := q.s.temps.holds(&all[at], p.fill); why != "" {
		return temporaryRefusal(p, why), false
	}
	return q.plan(p.fill.Fill.Insert), false
}

// makeTemporary is a Query that is a CREATE TEMPORARY TABLE … AS.
func (q *requests) makeTemporary(p *plan, t *tags, tail string, undo func()) error {
	s := q.s
	if q.open {
		q.poison(&want{typ: 'Q', plan: p, refuse: openRefusal, undo: undo})
		return nil
	}
	fill, gone := q.makes(p, false)
	end := func() error {
		q.send(&want{typ: 'S'}, appendMessage(nil, 'S', ""))
		q.cycleSent()
		return nil
	}
	if gone {
		undo()
		return end()
	}
	said, fill := q.saysOf(fill, t)
	if why := s.suspends(fill, said); why != nil && fill.refuse == nil {
		fill = fill.refusedWith(why)
	}
	var rules rulings
	if fill.refuse == nil {
		fill, rules = s.admit(fill, true, q.t)
	}
	if fill.refuse == nil && !fill.writes {
		fill = temporaryRefusal(fill, "it would not be told whose they are")
	}
	if fill.refuse != nil {
		q.poison(&want{typ: 'P', plan: fill, refuse: fill.refuse, undo: undo, said: said})
		return end()
	}
	s.applied(p)
	fill.selects()
	return q.run(fill, rules, said, tail, undo)
}

// selects gives a plan that nobody else has the tag of a SELECT at its end, as
// CREATE TABLE AS has.
func (p *plan) selects() {
	sp := p.stmts[0]
	of := *sp.written.of
	of.Says = 0
	sp.written = &written{of: &of, carried: sp.written.carried}
}

// executeMaking is an Execute of a CREATE TEMPORARY TABLE … AS.
func (q *requests) executeMaking(w *want, msg []byte, po *portal) error {
	s := q.s
	w.mute = true
	q.send(w, msg)
	fill, gone := q.makes(po.ps.plan, true)
	if gone {
		return nil // until Sync the server skips what else comes
	}
	said, fill := q.saysOf(fill, po.ps.tags)
	if why := s.suspends(fill, said); why != nil && fill.refuse == nil {
		fill = fill.refusedWith(why)
	}
	var rules rulings
	if fill.refuse == nil {
		fill, rules = s.admit(fill, true, q.t)
	}
	if fill.refuse == nil && !fill.writes {
		fill = temporaryRefusal(fill, "it would not be told whose they are")
	}
	if fill.refuse != nil {
		q.poison(&want{typ: 'P', plan: fill, refuse: fill.refuse, said: said})
		return nil
	}
	fill.selects()
	const name = "sekisho_fill"
	sp := fill.stmts[0]
	ps := &prepared{name: name, plan: fill, stmt: sp}
	own := &portal{ps: ps}
	run := &want{typ: 'E', name: name, portal: own, ps: ps, rules: rules, said: said, number: s.number.Add(1)}
	execute := appendMessage(nil, 'E', name+"\x00\x00\x00\x00\x00")
	types := "\x00\x00"
	if n := len(po.ps.types); n > 0 {
		types = string(be.AppendUint16(nil, uint16(n/4))) + string(po.ps.types)
	}
	q.unknown('S', name)
	q.send(&want{typ: 'P', name: name, ps: ps, own: true}, appendMessage(nil, 'P', name+"\x00"+fill.text+"\x00"+types))
	q.send(&want{typ: 'B', name: name, from: name, ps: ps, portal: own, own: true}, appendMessage(nil, 'B', name+"\x00"+name+"\x00"+string(po.bound)+"\x00\x00"))
	q.send(&want{typ: 'h', ps: ps, portal: own}, appendMessage(nil, 'D', "P"+name+"\x00"))
	execute, why := q.executes(run, sp, execute)
	if why != nil {
		q.poison(&want{typ: 'P', plan: fill, refuse: why, said: said})
		return nil
	}
	q.send(run, execute)
	q.send(&want{typ: 'C', own: true, kind: 'P', name: name}, appendMessage(nil, 'C', "P"+name+"\x00"))
	q.send(&want{typ: 'C', own: true, kind: 'S', name: name}, appendMessage(nil, 'C', "S"+name+"\x00"))
	return nil
}
