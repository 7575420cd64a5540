package gate

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
)

// Statements of any shape: whom they rest on comes in front of their rows, as
// one more row, the head (see stmt.Head), or is all of a table. The head goes
// no further than here. What it names stands in the entries of the chunk that
// the first row goes out with, so no row leaves before.
//
// A cursor's head is read by the gate itself, directly behind the DECLARE, and
// what is fetched later has no head.

// tell takes over how a statement is told, and gives its text.
func (sp *stmtPlan) tell(st *stmt.Statement, j catalog.Judgement) string {
	sp.head, sp.whole = j.Head, j.Whole
	if sp.asked == 0 {
		sp.asked = j.Asked()
	}
	if len(j.Head) == 0 {
		return st.Text
	}
	sp.insertAt, sp.insertLen = st.Start+j.Rewrite.At, len(j.Rewrite.Insert)+j.Rewrite.Early
	sp.sent = j.Rewrite.Text
	if st.Kind == stmt.Declare {
		sp.fetch = "FETCH FORWARD 1 FROM " + stmt.Quote(st.Object)
		part := func() *stmtPlan {
			return &stmtPlan{kind: planExact, judgement: j, statement: sp.statement, head: j.Head, whole: j.Whole, asked: sp.asked, masks: sp.masks, shapes: map[string]uint64{}}
		}
		sp.own, sp.tail = part(), part()
		sp.own.read = new(atomic.Bool)
		sp.tail.read = sp.own.read
		sp.own.mine, sp.tail.after = true, true
		sp.tail.whole = nil
	}
	return j.Rewrite.Text
}

// hiddenFields is how many of the last columns are the gate's own.
func (sp *stmtPlan) hiddenFields() int {
	if len(sp.head) > 0 {
		return len(sp.hidden) + 1 + len(sp.head)
	}
	return len(sp.hidden)
}

// told: it is accounted by a head, or as all of a table.
func (sp *stmtPlan) told() bool { return len(sp.head)+len(sp.whole) > 0 }

// headed: its first row is the head.
func (sp *stmtPlan) headed() bool { return len(sp.head) > 0 && !sp.after }

// givenBefore is what an earlier statement of the same text gave this name.
func (p *plan) givenBefore(st *stmt.Statement) *stmtPlan {
	kind := giverOf(st.Kind)
	if kind == "" {
		return nil
	}
	for _, sp := range slices.Backward(p.gives) {
		if sp.names == string(kind)+" "+st.Object {
			return sp.runs(st) // an error before would have ended the text
		}
	}
	return nil
}

// runs is what running the name that sp gave is: nil if it must not be.
func (sp *stmtPlan) runs(st *stmt.Statement) *stmtPlan {
	if sp.tail == nil {
		return sp
	}
	if st.Absolute && sp.tail.kind != planAnyRow { // the head counts as a row there
		return nil
	}
	return sp.tail
}

// orFree is what a name means that was given to sp, and now to a statement over
// nothing protected. Which of them the server has, its description of the rows
// says. All else, errors among it, counts as sp's.
func (sp *stmtPlan) orFree() *stmtPlan {
	if sp.tail != nil {
		sp.tail.sent = sp.sent
		sp = sp.tail
	}
	return &stmtPlan{kind: sp.kind, judgement: sp.judgement, statement: sp.statement, head: sp.head, asked: sp.asked, masks: sp.masks, shapes: map[string]uint64{},
		names: sp.names, sent: sp.sent, after: sp.after, read: sp.read, ground: sp.ground, free: true}
}

// withHeads is the plan for the simple protocol: behind each DECLARE the gate
// reads the head of the cursor.
func (p *plan) withHeads(texts []string, rest string) {
	if !slices.ContainsFunc(p.stmts, func(sp *stmtPlan) bool { return sp.own != nil }) {
		return
	}
	q := *p
	q.stmts = nil
	var b strings.Builder
	for i, sp := range p.stmts {
		b.WriteString(texts[i])
		q.stmts = append(q.stmts, sp)
		if sp.own != nil {
			b.WriteString(";" + sp.fetch)
			q.stmts = append(q.stmts, sp.own)
		}
	}
	q.text = b.String() + rest
	p.simple = &q
}

// readHead reads the head of the cursor that sp declares, behind its Execute.
func (q *requests) readHead(sp *stmtPlan, said []*said) {
	const name = "sekisho_head"
	ps := &prepared{name: name, stmt: sp.own, plan: &plan{cat: q.s.g.plans.catalog(), stmts: []*stmtPlan{sp.own}, protected: true}}
	po := &portal{ps: ps}
	q.unknown('S', name) // an error may have kept the one before from being closed
	q.send(&want{typ: 'P', own: true, name: name, ps: ps}, appendMessage(nil, 'P', name+"\x00"+sp.fetch+"\x00\x00\x00"))
	q.send(&want{typ: 'h', ps: ps}, appendMessage(nil, 'D', "S"+name+"\x00"))
	q.send(&want{typ: 'B', own: true, name: name, from: name, ps: ps, portal: po}, appendMessage(nil, 'B', name+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00"))
	q.send(&want{typ: 'E', name: name, ps: ps, portal: po, number: q.s.number.Add(1), said: said}, appendMessage(nil, 'E', name+"\x00\x00\x00\x00\x00"))
	q.send(&want{typ: 'C', own: true, kind: 'P', name: name}, appendMessage(nil, 'C', "P"+name+"\x00"))
	q.send(&want{typ: 'C', own: true, kind: 'S', name: name}, appendMessage(nil, 'C', "S"+name+"\x00"))
}

// A headAt is a column of the head: the keys of some persons.
type headAt struct {
	keyAt
	exact bool
}

// tellDesc makes the description of a told statement's rows.
func (g *Gate) tellDesc(s *session, d *desc, sp *stmtPlan, fields []origin, body []byte) {
	if sp.free && !bytes.Contains(body, []byte(stmt.Hidden)) {
		d.hidden, d.free = 0, true
		cat := s.catalog()
		if slices.ContainsFunc(fields, func(f origin) bool { return cat.ProtectedOID(f.TableOID) }) {
			d.refuse = originRefusal
		}
		return
	}
	d.hidden = sp.hiddenFields()
	visible := len(fields) - d.hidden
	if visible < 0 || len(sp.head) > 0 && !sp.isHead(body, visible) || len(sp.head) == 0 && bytes.Contains(body, []byte(stmt.Hidden)) {
		d.refuse = originRefusal
		return
	}
	all := make([]catalog.Origin, visible)
	for i := range all {
		all[i] = fields[i].Origin
	}
	columns, categories, err := sp.judgement.Outputs(all)
	if err != nil {
		d.refuse = originRefusal
		return
	}
	d.refuse = g.tellShapes(d, sp, columns, categories)
}

// isHead says whether the columns behind the first so many are this
// statement's head, by their names: a name may have come to mean another
// statement.
func (sp *stmtPlan) isHead(body []byte, visible int) bool {
	body = body[2:] // origins has read it before
	for i := 0; len(body) > 0; i++ {
		end := bytes.IndexByte(body, 0)
		name := string(body[:end])
		body = body[end+19:]
		switch {
		case i < visible:
		case i == visible && name != sp.judgement.Rewrite.Mark, i > visible && name != sp.head[i-visible-1].Column:
			return false
		}
	}
	return true
}

// tellShapes sees to it that the Shape entries of a told statement stand in
// the ledger, and notes where the head's columns are.
func (g *Gate) tellShapes(d *desc, sp *stmtPlan, columns []string, categories sekisho.Categories) *refusal {
	tested, of := sp.judgement.Static()
	verb := sp.judgement.Verb
	if sp.written != nil { // what it takes from elsewhere goes into what it writes
		if of := sp.written.of; of.Rekeys {
			tested = append(append(slices.Clone(tested), of.Reads...), of.Sources...)
			slices.Sort(tested)
			tested = slices.Compact(tested)
		}
		verb, columns, categories = sekisho.Read, tested, sp.judgement.CategoriesOf(tested)
	}
	add := func(n catalog.Named, whole bool) *refusal {
		ref := shapeRef{space: n.Space, class: sekisho.Contributed, whole: whole, named: true}
		if one := n.Wrote; one != nil {
			ref.writes = true
			if why := g.addShape(d, sp, &sekisho.Shape{Statement: sp.statement, Verb: one.Verb, Space: n.Space, Tables: sp.judgement.Tables, Columns: one.Columns, Categories: sp.judgement.CategoriesOf(one.Columns)}, sekisho.Exact); why != nil {
				return why
			}
			at := len(d.shapes) - 1
			ref.seq, ref.class = d.shapes[at].seq, sekisho.Exact
			d.shapes[at] = ref
			return nil
		}
		cols, cats := tested, of
		if n.Exact {
			ref.class, cols, cats = sekisho.Exact, columns, categories
		}
		var err error
		if ref.seq, err = g.shape(sp, verb, n.Space, cols, cats); err != nil {
			return ledgerRefusal(err)
		}
		d.shapes = append(d.shapes, ref)
		return nil
	}
	for i, n := range sp.head {
		d.head = append(d.head, headAt{keyAt{field: d.fields - len(sp.head) + i, space: len(d.shapes), of: g.vault.Space(n.Space), typ: keyTypes[n.TypeOID], written: n.Wrote != nil}, n.Exact})
		if why := add(n, false); why != nil {
			return why
		}
	}
	for _, n := range sp.whole {
		d.whole = true
		if why := add(n, true); why != nil {
			return why
		}
	}
	return nil
}

// namesRefusal stands for an error that the server found in the names, and not
// in the statement.
var namesRefusal = &refusal{code: "0A000", reason: "names", text: "the gate cannot tell whose data the answer rests on: the server does not take the query for it", hint: "Write the statement in a simpler way."}

// fails says whether an error is of the names' own text.
func (sp *stmtPlan) fails(body []byte) bool {
	if sp == nil || !sp.headed() {
		return false
	}
	code := errorField(body, 'C')
	p, err := strconv.Atoi(errorField(body, 'P'))
	if sp.behind > 0 {
		return err == nil && (strings.HasPrefix(code, "42") || code == "0A000") && p >= sp.behind
	}
	return err == nil && (strings.HasPrefix(code, "42") || code == "0A000") && p > sp.insertAt && p <= sp.insertAt+sp.insertLen
}
