package gate

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
	"sekisho/stmt"
)

// Writes to protected tables. A write says by hidden keys in its RETURNING whose
// records it has touched, and is never committed before that is durable:
//
//   - The keys are read as those of any other rows, and the CommandComplete
//     behind them waits for their entries.
//   - Whatever could make the server commit (Sync, a Query, an Execute of COMMIT
//     or the like) goes upstream only when every write before it is answered and
//     its entries are durable: requests.mayCommit.
//   - A Query with such a write would commit by itself. It goes upstream as
//     Parse, Bind and Execute, and its Sync is held back: requests.run.
//   - If an entry is refused, the server is given something to fail on before
//     its Sync: so the transaction is rolled back, as the client has read.

// written is what the gate knows of a write whose customers it can name.
type written struct {
	of      *catalog.Write
	carried []*stmtPlan // what foreign keys carry on to nobody knows whom: recorded as any-row before it runs
}

// quiet: the client asked for no rows, so that all of them, and their
// description, are the gate's own.
func (sp *stmtPlan) quiet() bool {
	return sp.written != nil && sp.written.of.Quiet && sp.written.of.Copy == nil
}

// copies: a COPY FROM whose lines the gate reads.
func (sp *stmtPlan) copies() bool { return sp.written != nil && sp.written.of.Copy != nil }

// writes decides how a write is accounted, or that it must not run. The kind is
// planAnyRow if it is recorded before it runs.
func (sp *stmtPlan) writes(role *Role, st *stmt.Statement, mode Mode) *refusal {
	j := sp.judgement
	if mode == Observe {
		sp.kind, sp.observe = planAnyRow, true
		return nil
	}
	if !role.Writes && !j.Write.Own {
		r := refusalOf(catalog.Refused("write"))
		r.tables = j.Tables
		return r
	}
	sp.answers = &stmtPlan{kind: planAnyRow, judgement: j.Answers(), shapes: map[string]uint64{}}
	if j.Write.AnyRow {
		sp.kind, sp.sets, sp.unseen = planAnyRow, j.Write.Columns, j.Write.Blind
		return nil
	}
	if st.Copy != nil {
		if refused := sp.copyOptions(st); refused != nil {
			refused.tables = j.Tables
			return refused
		}
	}
	sp.kind, sp.written = planExact, &written{of: j.Write}
	for _, one := range j.Carrying() {
		sp.written.carried = append(sp.written.carried, &stmtPlan{kind: planAnyRow, judgement: one, sets: one.Write.Columns, shapes: map[string]uint64{}})
	}
	return nil
}

// mayTell asks the policy about what a write tells of its rows, by RETURNING or
// by its condition, or takes from them for its values, which could be read where
// they are put: that is a read, and what is due of one must be due of it. It can
// be neither masked nor held up, so it is let through or refused.
func (s *session) mayTell(policy *act.Policy, sp *stmtPlan, r act.Request) *refusal {
	of := sp.judgement.Write
	if of == nil || sp.observe {
		return nil
	}
	for _, verb := range of.Verbs { // of the writes in its WITH, and what else it may do
		if r.Verb = verb; verb == sp.judgement.Verb {
			continue // asked for by itself
		}
		if d := sp.memo.Decide(policy, &r); d.Effect == act.Refuse {
			return s.ruled("policy_refused", act.Refuse, sp, &r, d)
		} else if d.Second {
			return s.ruled("policy_second", act.Ask, sp, &r, d)
		}
	}
	if sp.written == nil && !sp.unseen {
		return nil
	}
	tells := slices.Concat(of.Reads, of.Sources, of.Probes) // not what is written: whoever writes it knows it
	if of.Blind {
		tells = append(tells, sp.judgement.Tested...)
	}
	if !of.Quiet {
		shown, _ := sp.judgement.Static()
		tells = append(tells, shown...)
	} else if len(tells) == 0 {
		return nil
	}
	r.Categories = sp.judgement.CategoriesOf(tells)
	r.Verb = sekisho.Read
	d := sp.memo.Decide(policy, &r)
	switch {
	case d.Effect == act.Refuse:
		return s.ruled("policy_refused", act.Refuse, sp, &r, d)
	case d.Masks != (act.Masks{}):
		why := s.ruled("policy_mask", act.Mask, sp, &r, d)
		why.hint = hintOf(nil)
		return why
	case d.Second && d.AskAbove == 0:
		return s.ruled("policy_second", act.Ask, sp, &r, d)
	}
	return nil
}

// commits: to execute such a statement may make the server commit.
func commits(kind stmt.Kind) bool {
	switch kind {
	case stmt.Select, stmt.Insert, stmt.Update, stmt.Delete, stmt.Merge, stmt.Copy, stmt.Set, stmt.Show,
		stmt.Declare, stmt.Fetch, stmt.CloseCursor, stmt.Prepare, stmt.Execute, stmt.Deallocate, stmt.Listen, stmt.Notify, stmt.Lock:
		return false
	}
	return true
}

// severalRefusal is of a text that the gate would have to take apart.
var severalRefusal = &refusal{code: "0A000", reason: "several_statements", text: "the gate cannot run a write to protected tables in one text with these other statements", hint: "Send the statements one by one."}

// apart says whether the statements of a text can be run one by one, as they
// must be if one is a write whose customers are named.
func (p *plan) apart(statements []stmt.Statement) *refusal {
	p.writes = slices.ContainsFunc(p.stmts, func(sp *stmtPlan) bool { return sp.written != nil && !sp.copies() })
	if len(statements) == 1 || !slices.ContainsFunc(p.stmts, func(sp *stmtPlan) bool { return sp.written != nil }) {
		return nil
	}
	for i := range statements {
		switch statements[i].Kind {
		case stmt.Select, stmt.Insert, stmt.Update, stmt.Delete, stmt.Merge, stmt.Transaction, stmt.Show:
			continue
		case stmt.Set:
			if !p.encodes {
				continue
			}
		}
		return severalRefusal
	}
	return nil
}

// mayCommit is called before anything goes upstream that could make the server
// commit. On return every write to a protected table is in the ledger, or the
// server will fail.
func (q *requests) mayCommit() {
	if !q.wrote {
		return
	}
	q.wrote = false
	q.settle()
	if q.s.out.recorded(q.t) {
		return
	}
	q.send(&want{typ: 'P', plan: emptyPlan, refuse: undoneRefusal, undoes: true}, poisonParse())
}

// undoneRefusal is read by nobody, unless the error before it was.
var undoneRefusal = &refusal{code: "53100", reason: reasonLedger, text: "a write could not be recorded, so the transaction is rolled back"}

func poisonParse() []byte {
	return appendMessage(nil, 'P', "sekisho_refused\x00"+poisonText+"\x00\x00\x00")
}

// limitRefusal is of an Execute that asks for some of the rows of a RETURNING:
// the rest would be written, and not named.
var limitRefusal = &refusal{code: "0A000", reason: "returning_limit", text: "the rows of RETURNING come all at once through the gate", hint: "Execute the write without a limit on its rows."}

// executes is what must happen before an Execute is sent, and gives the message
// to send, or says why none may be.
func (q *requests) executes(w *want, sp *stmtPlan, msg []byte) ([]byte, *refusal) {
	if sp.commits {
		q.mayCommit()
	}
	if sp.written == nil {
		return msg, nil
	}
	if at := len(msg) - 4; int32(be.Uint32(msg[at:])) > 0 && !sp.copies() {
		if !sp.quiet() {
			return nil, limitRefusal
		}
		msg = bytes.Clone(msg) // of rows that are none of the client's
		be.PutUint32(msg[at:], 0)
	}
	return msg, q.writing(w, sp)
}

// writing notes that a write is about to go upstream. What it carries on is
// recorded before.
func (q *requests) writing(w *want, sp *stmtPlan) *refusal {
	for _, carried := range sp.written.carried {
		carried.statement = sp.statement
		if r := q.recordAnyRow([]*stmtPlan{carried}, q.s.number.Add(1), []*said{w.by()}); r != nil {
			return r
		}
	}
	if sp.copies() {
		q.reads(w, sp, w.number)
		return nil
	}
	if !q.wrote {
		q.wrote = true
		q.s.out.forgive()
	}
	return nil
}

// openRefusal is of a Query among the messages of the extended protocol.
var openRefusal = &refusal{code: "0A000", reason: "open_cycle", text: "the gate does not run a write to protected tables by Query while a Sync is owed", hint: "Send Sync before Query."}

// run runs a Query that holds a write to a protected table, statement by
// statement: as the server does, but for the commit at its end, which waits.
func (q *requests) run(p *plan, rules rulings, by []*said, tail string, undo func()) error {
	s := q.s
	if q.open {
		q.poison(&want{typ: 'Q', plan: p, refuse: openRefusal, undo: undo, said: by})
		return nil
	}
	s.applied(p)
	for i, sp := range p.stmts {
		ps := &prepared{plan: p, stmt: sp}
		po := &portal{ps: ps}
		w := &want{typ: 'E', portal: po, ps: ps, rules: rulings{one: rules.at(i)}, said: by[min(i, len(by)-1):][:1]}
		execute := appendMessage(nil, 'E', "\x00\x00\x00\x00\x00")
		var why *refusal
		if sp.kind != planFree {
			w.number = s.number.Add(1)
			why = q.recordAnyRow([]*stmtPlan{sp}, w.number, w.said)
		}
		parse := &want{typ: 'P', ps: ps, own: true, undo: undo}
		undo = nil
		if why == nil {
			q.send(parse, appendMessage(nil, 'P', "\x00"+p.textOf(i, tail)+"\x00\x00\x00"))
			q.send(&want{typ: 'B', ps: ps, portal: po, own: true}, appendMessage(nil, 'B', "\x00\x00\x00\x00\x00\x00\x00\x00"))
			describe := byte('D')
			if sp.quiet() {
				describe = 'h'
			}
			q.send(&want{typ: describe, ps: ps, portal: po, own: true}, appendMessage(nil, 'D', "P\x00"))
			execute, why = q.executes(w, sp, execute)
		}
		if why != nil {
			q.poison(&want{typ: 'P', plan: p, refuse: why, undo: parse.undo, said: w.said})
			break
		}
		q.does(sp.effect, nil)
		q.send(w, execute)
	}
	q.mayCommit()
	q.send(&want{typ: 'C', kind: 'P', own: true}, appendMessage(nil, 'C', "P\x00"))
	q.send(&want{typ: 'C', kind: 'S', own: true}, appendMessage(nil, 'C', "S\x00"))
	q.send(&want{typ: 'S'}, appendMessage(nil, 'S', ""))
	q.cycleSent()
	return nil
}

// textOf is the text of one statement as it goes upstream. Blanks stand for
// those before it, so that the server's positions are those of the whole text.
// tail is the comment that stood at its end.
func (p *plan) textOf(i int, tail string) string {
	switch {
	case len(p.stmts) == 1:
		return p.text + tail
	case i == len(p.stmts)-1:
		return p.stmts[i].alone + tail
	}
	return p.stmts[i].alone
}

// longestLead is how much of a text blanks stand for.
const longestLead = 4 << 10

// alone is a statement's own text, as it goes upstream by itself; sent is that
// with what stands before it in the text.
func alone(text string, st *stmt.Statement, sent string) string {
	sent = strings.TrimLeft(sent, "; \t\r\n")
	lead := st.Start + len(st.Text) - len(strings.TrimLeft(st.Text, " \t\r\n"))
	if lead == 0 || lead > longestLead {
		return sent
	}
	return strings.Repeat(" ", utf8.RuneCountInString(text[:lead])) + sent
}

// writeEnds deals with the CommandComplete of a write. On return its entries are
// on their way to the ledger, and what could commit it waits for them.
func (r *replies) writeEnds(w *want, sp *stmtPlan, from, to int) error {
	r.wrote = sp
	tag, own := r.c.buf[from+5:to], []byte(nil)
	if sp.headed() && !r.cutting {
		if d := r.descOf(w); d != nil && d.refuse == nil && !r.began(w) {
			return fmt.Errorf("%w: an answer without its head", errServerProtocol)
		}
		var err error
		if own, err = sp.tagOf(tag, w.skipped); err != nil {
			return err
		}
		tag, w.skipped = own[5:], 0
	}
	if !r.cutting {
		if of := sp.written.of; of.Passes {
			if n, ok := affected(tag); !ok || of.Rows == 0 || n < int64(of.Rows) {
				// That somebody's record stood in the way is told now.
				if err := r.recordAnyRow(sp.answers, r.s.number.Add(1), w.by()); err != nil {
					if err := r.cut(w, refusalFor(err)); err != nil {
						return err
					}
				}
			}
		}
	}
	if !r.cutting {
		r.accessEnds(w)
		if own == nil {
			r.keep(from, to)
		} else if err := r.insert(own); err != nil {
			return err
		}
		if err := r.emit(0); err != nil {
			return err
		}
	}
	r.s.wants.pop()
	return nil
}

// tagOf is the CommandComplete of a write whose rows came as those of a SELECT,
// of which so many were the gate's own.
func (sp *stmtPlan) tagOf(tag []byte, own int64) ([]byte, error) {
	n, ok := affected(tag)
	if !ok || n < own || !bytes.HasPrefix(tag, []byte("SELECT ")) {
		return nil, fmt.Errorf("%w: it has counted other rows than it sent", errServerProtocol)
	}
	verb := map[sekisho.Verb]string{sekisho.Insert: "INSERT 0 ", sekisho.Update: "UPDATE ", sekisho.Delete: "DELETE "}[sp.written.of.Says]
	if sp.written.of.Merges {
		verb = "MERGE "
	}
	if verb == "" {
		verb = "SELECT "
	}
	return appendMessage(nil, 'C', verb+strconv.FormatInt(n-own, 10)+"\x00"), nil
}

// affected is how many rows a command says it wrote.
func affected(tag []byte) (int64, bool) {
	words := strings.Fields(strings.TrimSuffix(string(tag), "\x00"))
	if len(words) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(words[len(words)-1], 10, 64)
	return n, err == nil
}

// noData answers a Describe of a write that has no rows for the client.
func (r *replies) noData() error {
	if r.cutting {
		return nil
	}
	return r.insert(appendMessage(nil, 'n', ""))
}

// recorded waits until the ledger has answered for every chunk so far. False:
// one of them it did not take, or a statement was cut off, since forgive.
func (o *outbox) recorded(t *strand) bool {
	waits := func() bool {
		return o.err == nil && slices.ContainsFunc(o.queue, func(c *chunk) bool { return !c.ready })
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if waits() {
		o.mu.Unlock()
		t.wait(func() {
			o.mu.Lock()
			for waits() {
				o.space.Wait()
			}
			o.mu.Unlock()
		})
		o.mu.Lock()
	}
	return o.err == nil && !o.lost && !o.dropping
}

// forgive begins a new transaction: what was lost before concerns it no more.
func (o *outbox) forgive() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost = false
}

// lose notes that a statement was cut off: what it belongs to must not commit.
func (o *outbox) lose() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost = true
}

// writeShapes sees to it that the Shape entries of a write stand in the ledger:
// one for the write itself, whose customers are those of the target's keys, and
// one for each subject of which it tells something, by its own RETURNING or by
// its condition. shown are the columns of that RETURNING.
func (g *Gate) writeShapes(d *desc, sp *stmtPlan, shown []string) *refusal {
	j := sp.judgement
	if len(j.Instances) == 0 { // all its writes stand in WITH, and in the head
		return nil
	}
	write := &sekisho.Shape{Statement: sp.statement, Verb: j.Verb, Space: j.Instances[0].Space, Tables: j.Tables, Columns: sp.written.of.Columns, Categories: j.CategoriesOf(sp.written.of.Columns)}
	first := len(d.keys)
	if d.refuse = g.addShape(d, sp, write, sekisho.Exact); d.refuse != nil || first == 0 {
		return d.refuse
	}
	d.keys[0].written, d.shapes[0].writes = true, true
	var told []string
	if !sp.told() || sp.written.of.Rekeys {
		told = slices.Clone(sp.written.of.Reads)
	}
	class := sekisho.Contributed
	if len(shown) > 0 {
		class = sekisho.Exact
	}
	if told = append(told, shown...); len(told) == 0 {
		return nil
	}
	slices.Sort(told)
	told = slices.Compact(told)
	at := map[string]int{}
	for i, in := range j.Instances {
		if _, ok := at[in.Space]; !ok {
			at[in.Space] = len(d.shapes)
			read := &sekisho.Shape{Statement: sp.statement, Verb: sekisho.Read, Space: in.Space, Tables: j.Tables, Columns: told, Categories: j.CategoriesOf(told)}
			if d.refuse = g.addShape(d, sp, read, class); d.refuse != nil {
				return d.refuse
			}
		}
		k := d.keys[i]
		k.space, k.written = at[in.Space], false
		if i == 0 {
			d.keys = append(d.keys, k) // it is written, and told of
		} else {
			d.keys[i] = k
		}
	}
	return nil
}

// addShape appends a shape the first time, and has d name it.
func (g *Gate) addShape(d *desc, sp *stmtPlan, shape *sekisho.Shape, class sekisho.Class) *refusal {
	key := fmt.Sprintf("%d\x00%s\x00%s", shape.Verb, shape.Space, strings.Join(shape.Columns, "\x00"))
	sp.mu.Lock()
	defer sp.mu.Unlock()
	seq, ok := sp.shapes[key]
	if !ok {
		id, err := g.append(shape)
		if err != nil {
			return ledgerRefusal(fmt.Errorf("recording the shape of a statement: %w", err))
		}
		seq = id.Seq
		sp.shapes[key] = seq
	}
	d.shapes = append(d.shapes, shapeRef{seq: seq, space: shape.Space, class: class})
	return nil
}
