package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
	"sekisho/stmt"
)

// What the gate has decided about a text. Reading SQL costs some forty
// microseconds and happens once for each distinct text, or once for all texts
// that differ only in their literals where that is certain to be safe.

type planKind byte

const (
	planFree   planKind = iota + 1 // touches nothing protected
	planExact                      // its rows carry the subjects' keys
	planAnyRow                     // cannot be told whose, recorded before it runs
)

// A plan is the decision about one text in one role. Immutable.
type plan struct {
	cat       *catalog.Catalog // the snapshot it was made by
	original  string           // the client's text
	text      string           // what goes upstream
	stmts     []*stmtPlan
	protected bool             // one of stmts is not free
	refuse    *refusal         // the text must not run
	statement uint32           // of a refused text: its ordinal, 0 if it cannot be read
	unread    bool             // the gate cannot read it, and lets the server try
	speak     *refusal         // the gate cannot read it: only the server may say what is wrong with it; this if it finds nothing wrong
	changes   bool             // it may change the catalog
	states    bool             // it sets what the session states
	simple    *plan            // for the simple protocol, where it differs: heads of cursors are read behind them
	asks      string           // the key of the customer that it asks for; empty if none stands in it
	writes    bool             // it holds a write whose customers are named
	encodes   bool             // it may change the client's encoding
	refers    bool             // it runs what SQL gave a name to
	gives     []*stmtPlan      // of stmts, those that give a name by SQL
	fill      *catalog.Filling // what it puts into a table that may be temporary; of a CREATE TABLE AS, text makes the table alone
	unknown   bool             // it names what the snapshot does not know
	guessed   bool             // and is taken for free all the same

	masks      act.Masks   // that stand in text
	unmaskable string      // they do not: how to write it so that they can
	named      []*stmtPlan // of stmts, those that SQL gave a name to before: their masks stand as they are
}

var emptyPlan = &plan{}

// refusedWith is the plan turned into a refusal.
func (p *plan) refusedWith(r *refusal) *plan {
	c := *p
	c.refuse = r
	return &c
}

// A stmtPlan is the decision about one statement.
type stmtPlan struct {
	kind      planKind
	judgement catalog.Judgement
	observe   bool            // not rewritten: keys are found in the result or not at all
	copyIn    bool            // the server may ask for the client's COPY
	ground    *catalog.Ground // what must still be as it was when the server answers; nil: nothing, or its rows say so themselves
	blind     bool            // observe mode: the gate cannot read the text, so what it gives is any-row
	statement uint32
	hidden    []catalog.Instance // whose keys were added at the end
	skip      *stmt.Skip         // of the first rows, which the statement as the client wrote it does not show
	expects   *expects           // where it names the customer it asks for; nil if nowhere
	header    bool               // COPY … HEADER
	csv       bool               // COPY in CSV, not in text format
	binary    bool               // COPY in binary format
	effect    *effect            // on what the session has stated; nil for none
	names     string             // SQL-level PREPARE or DECLARE: the kind and the name
	commits   bool               // to run it may make the server commit
	alone     string             // its text as it goes upstream by itself; empty if it is the only one
	written   *written           // of a write whose customers are named
	sets      []string           // of a write recorded before it runs, which tells nothing of its rows: the protected columns that it sets or destroys
	locks     bool               // LOCK TABLE: recorded before it runs, as an access to nobody
	bounded   bool               // could be anybody's, and a role with any_row runs it all the same
	unread    bool               // of such a statement: it runs what nobody has read, behind a fence
	changing  *stmtPlan          // of such a statement: what it may write, recorded before it runs, too
	unseen    bool               // a write of which no key comes: answers is recorded before it runs, too
	answers   *stmtPlan          // of a write: what its errors, and what it says of conflicts, tell; nil: as the statement itself

	head   []catalog.Named // a told statement: the names in its first row
	whole  []catalog.Named // and of whom all are meant
	sent   string          // of a PREPARE or DECLARE with a head: its text
	fetch  string          // of a DECLARE with a head: what reads the head
	how    *stmtPlan       // of a PREPARE: EXPLAIN of its EXECUTE
	own    *stmtPlan       // which is this statement
	tail   *stmtPlan       // and what FETCH gives later
	catch  *caught         // its rows; then mine
	begins bool            // BEGIN
	mine   bool            // the gate's own: the client gets nothing of its answer
	read   *atomic.Bool    // of the gate's own and what FETCH gives: the head is in the ledger
	free   bool            // rows without the columns of a head are of nobody; see orFree
	after  bool            // its rows have the columns of a head, which was read before

	insertAt, insertLen int       // where and how much, for error positions
	behind              int       // of a write with a head: from this position on an error is of the names; 0: see fails
	masks               act.Masks // that stand in its text
	moved               bool      // by more than that: error positions mean nothing

	asked sekisho.Categories // of all columns that it shows, tests or writes
	shown sekisho.Categories // of those that it shows in plain, as its Shape will say at most
	memo  act.Memo           // what the policy says of it

	last   atomic.Pointer[desc] // the latest description, which is nearly always the next one too
	mu     sync.Mutex
	shapes map[string]uint64 // Shape entries of this epoch, by what is in them
}

// judge is makePlan by the catalog as it is known now.
func (g *Gate) judge(s *session, text string, masks act.Masks) (p *plan, keep bool) {
	cat := s.catalog()
	p = &plan{cat: cat, original: text, text: text, masks: masks}
	if len(text) > g.conf.Limits.Statement {
		p.refuse = &refusal{code: "54000", reason: "too_long", text: fmt.Sprintf("the statement has %d bytes, the gate's limit is %d", len(text), g.conf.Limits.Statement), hint: "Send values as parameters, or in several statements."}
		return p, false
	}
	defer g.reading.enter(len(text))()
	statements, err := stmt.Analyse(text)
	if err != nil {
		r := &refusal{code: "0A000", reason: "not_understood", text: "the gate cannot read this text as SQL, so it is not run", hint: "The gate reads the grammar of PostgreSQL 17. Write the statement in an older way."}
		if errors.Is(err, stmt.ErrSyntax) {
			p.speak = r
			if s.role.observes() {
				// A newer server may be able to read it. What it gives is any-row, if
				// it gives anything.
				p.speak, p.protected, p.unread = nil, true, true
				p.stmts = []*stmtPlan{{kind: planExact, observe: true, blind: true, copyIn: true, judgement: catalog.Judgement{Kind: catalog.Opaque, Verb: sekisho.Other}, shapes: map[string]uint64{}}}
			}
		} else {
			r.code, r.text, r.hint = "54000", "the gate does not read this text: "+err.Error(), "Send values as parameters, or in several statements."
			p.refuse = r
		}
		return p, false
	}
	if len(statements) > 1 {
		cat = s.catalogFor(len(statements))
		p.cat = cat
	}
	keep = true
	done := 0
	var texts []string // that go upstream, each with what stands before it
	for i := range statements {
		st := &statements[i]
		j := cat.JudgeAs(st, s.role.User)
		text, before := text[st.Start:st.End], text[done:st.Start]
		done = st.End
		texts = append(texts, before+text)
		p.unknown = p.unknown || j.Unknown
		p.guessed = p.guessed || j.Unknown && j.Kind == catalog.Free
		sp := &stmtPlan{judgement: j, shapes: map[string]uint64{}, copyIn: st.Copy != nil && st.Copy.From}
		sp.ground = cat.Ground(st, j, masks != (act.Masks{}))
		sp.commits = commits(st.Kind)
		sp.begins = st.Kind == stmt.Transaction && (st.Object == "begin" || st.Object == "start")
		p.encodes = p.encodes || encodes(st)
		p.stmts = append(p.stmts, sp)
		p.changes = p.changes || j.Changes
		if st.Kind == stmt.Prepare || st.Kind == stmt.Declare {
			sp.names = string(st.Kind) + " " + st.Object
			p.gives = append(p.gives, sp)
			keep = false
		}
		effect, ok := effectOf(st)
		if !ok {
			p.refuse = &refusal{code: "22023", reason: "stated", text: "the gate cannot tell what this makes of its own settings", hint: "Use SET, SET LOCAL or SELECT set_config(…) alone, of sekisho.purpose, sekisho.user or sekisho.terminal, with a constant or a parameter."}
			return p, false
		}
		if sp.effect = effect; effect != nil {
			p.states = p.states || len(effect.set) > 0
			keep = keep && !effect.says(forWhom) && !effect.says(fromWhere) // each time another one
		}
		mode := s.role.modeFor(j.Tables)
		switch j.Kind {
		case catalog.Free:
			sp.kind = planFree
			sp.observe = mode == Observe
			continue
		case catalog.Denied:
			p.refuse = refusalOf(j)
			return p, true
		case catalog.Opaque:
			named := p.givenBefore(st)
			if named == nil && !p.givesAnew(st) {
				named = s.named(st)
			}
			if named != nil && named.bounded && len(statements) > 1 {
				p.refuse = aloneRefusal(j.Tables)
				return p, false
			}
			if named != nil {
				p.refers = true
				keep = false
				p.stmts[i] = named
				p.named = append(p.named, named)
				p.protected = p.protected || named.kind != planFree
				continue
			}
			if st.Kind == stmt.Execute || st.Kind == stmt.Fetch {
				keep = false
			}
			if mode == Enforce && j.Reason == "unknown_function" && len(statements) == 1 {
				// Mistyped, most likely, and then the server has the best words for it.
				p.speak = refusalOf(j)
				return p, false
			}
			if mode == Enforce && len(statements) == 1 && st.Fill != nil && slices.Contains([]string{"create_table_as", "into", "write_reads"}, j.Reason) {
				p.refuse = refusalOf(j)
				switch filling, err := cat.Fills(st, s.role.User); {
				case err == nil && st.Fill.Made:
					p.fill, p.refuse, p.text = filling, nil, st.Fill.Create+text[done:]
					sp.kind, sp.judgement = planFree, catalog.Judgement{Kind: catalog.Free, Verb: sekisho.Other, Changes: true}
				case err == nil:
					p.fill = filling
				case st.Fill.Made:
					p.refuse.text += ": " + strings.TrimPrefix(err.Error(), stmt.ErrNames.Error()+": ")
				}
				return p, false
			}
			if mode == Enforce {
				if p.refuse = sp.bounds(s.role, len(statements)); p.refuse != nil {
					return p, keep
				}
				if st.Kind == stmt.Prepare { // which runs nothing yet
					sp.asked, sp.statement = j.Asked(), g.statementOrdinal(st.Text)
					p.stmts[i] = &stmtPlan{kind: planFree, judgement: catalog.Judgement{Kind: catalog.Free, Verb: sekisho.Other}, shapes: map[string]uint64{}}
					continue
				}
				if st.Kind == stmt.Declare {
					sp.tail = &stmtPlan{kind: planAnyRow, judgement: j, asked: j.Asked(), statement: g.statementOrdinal(st.Text), shapes: map[string]uint64{}}
				}
				break
			}
			sp.kind, sp.observe = planAnyRow, true
		case catalog.Plain:
			sp.kind = planExact
			if j.Write != nil {
				if refused := sp.writes(s.role, st, mode); refused != nil {
					p.refuse = refused
					return p, true
				}
				if sp.kind != planExact {
					break
				}
				if j.Write.Own && st.Fill != nil {
					if len(statements) > 1 {
						p.refuse = severalRefusal
						return p, false
					}
					var err error
					if p.fill, err = cat.Fills(st, s.role.User); err != nil && len(j.Head) > 0 {
						p.refuse = refusalOf(catalog.Refused("create_table_as"))
						p.refuse.text += ": " + strings.TrimPrefix(err.Error(), stmt.ErrNames.Error()+": ")
						return p, false
					}
				}
			}
			if st.Copy != nil && j.Write == nil {
				if refused := sp.copyOptions(st); refused != nil && mode == Enforce {
					refused.tables = j.Tables
					p.refuse = refused
					return p, true
				}
			}
			if i := slices.IndexFunc(j.Instances, func(in catalog.Instance) bool { _, ok := keyTypes[in.TypeOID]; return !ok }); i >= 0 && mode == Enforce {
				p.refuse = &refusal{code: "0A000", reason: "key_type", tables: j.Tables, text: "the key of " + j.Instances[i].Table + " has a type that the gate cannot read", hint: "A subject's key may be an integer, text, varchar, char or uuid."}
				return p, true
			}
			if sp.observe = mode == Observe; sp.observe {
				if st.Copy != nil || j.Skip != nil {
					// No description comes, so nothing says where a key is; or rows are
					// skipped, and nobody sees their keys.
					sp.kind = planAnyRow
				}
				break
			}
			if masks != (act.Masks{}) && sp.written != nil {
				p.unmaskable, p.protected = hintOf(nil), true
				return p, keep
			}
			if sp.copies() {
				break
			}
			if masks != (act.Masks{}) {
				sp.asked = j.Asked()
				var err error
				if j, err = cat.Masked(st, j, masksOf(masks)); err != nil {
					p.unmaskable, p.protected = hintOf(err), true
					return p, keep
				}
				sp.judgement, sp.masks = j, masks
			}
			sp.hidden, sp.skip = j.Instances, j.Skip
			if sp.head = j.Head; sp.written != nil && len(sp.head) > 0 {
				if sp.moved = j.Rewrite.Moved; !sp.moved {
					sp.insertAt, sp.insertLen, sp.behind = st.Start, len(j.Rewrite.Insert), utf8.RuneCountInString(p.original[:st.Start])+j.Behind
				}
			}
			if sp.written == nil { // whose insertion stands behind all that an error points at
				sp.expects = expectation(st, j, text)
				sp.insertAt, sp.insertLen, sp.moved = st.Start+j.Rewrite.At, len(j.Rewrite.Insert)-j.Rewrite.Cut, j.Rewrite.Moved
			}
			texts[i] = before + j.Rewrite.Text
		case catalog.Told:
			if j.Locks {
				sp.kind, sp.locks, sp.observe = planExact, true, mode == Observe
				if j.Verb != sekisho.Read && !s.role.Writes && mode == Enforce {
					p.refuse = refusalOf(catalog.Refused("write"))
					p.refuse.tables = j.Tables
					return p, true
				}
				break
			}
			if mode == Observe {
				sp.kind, sp.observe = planAnyRow, true
				break
			}
			sp.kind = planExact
			if masks != (act.Masks{}) {
				sp.asked, sp.statement = j.Asked(), g.statementOrdinal(st.Text)
				at := st.Start
				var err error
				if st, j, err = cat.MaskedTold(st, s.role.User, masksOf(masks)); err != nil {
					p.unmaskable, p.protected = hintOf(err), true
					return p, keep
				}
				sp.judgement, sp.moved = j, true
				st.Start, st.End = at, at+len(st.Text)
			}
			if st.Copy != nil {
				if refused := sp.copyOptions(st); refused != nil {
					refused.tables = j.Tables
					p.refuse = refused
					return p, true
				}
			}
			if sp.statement == 0 {
				sp.statement = g.statementOrdinal(st.Text)
			}
			sp.masks = masks
			texts[i] = before + sp.tell(st, j)
		}
		p.protected = true
		if sp.asked == 0 {
			sp.asked = j.Asked()
		}
		if sp.shown = sp.asked; j.Kind == catalog.Plain {
			_, sp.shown = j.Static()
		}
		if sp.statement == 0 {
			sp.statement = g.statementOrdinal(st.Text)
		}
		if sp.answers != nil {
			sp.answers.statement = sp.statement
		}
		if sp.changing != nil {
			sp.changing.statement = sp.statement
		}
	}
	rest := text[done:]
	p.text = strings.Join(texts, "") + rest
	p.withHeads(texts, rest)
	if p.refuse = p.apart(statements); p.writes && len(statements) > 1 {
		for i, sp := range p.stmts {
			sp.alone = alone(text, &statements[i], texts[i])
		}
	}
	return p, keep
}

// refusalOf is what the client reads of a judgement.
func refusalOf(j catalog.Judgement) *refusal {
	return &refusal{code: j.SQLState, text: j.Message, hint: j.Hint, reason: j.Reason, tables: j.Tables}
}

// statementOrdinal is the ordinal of a statement's text without its literals.
func (g *Gate) statementOrdinal(text string) uint32 {
	plain, err := stmt.Normalise(text, g.known)
	if err != nil {
		return 0
	}
	return g.vault.Space("statement").OfText([]byte(plain))
}

// giverOf is the kind of statement that gives a name to what one of this kind
// runs; empty for all others.
func giverOf(kind stmt.Kind) stmt.Kind {
	switch kind {
	case stmt.Execute:
		return stmt.Prepare
	case stmt.Fetch:
		return stmt.Declare
	}
	return ""
}

// named is what an EXECUTE or FETCH does, if the session's own PREPARE or
// DECLARE passed the gate.
func (s *session) named(st *stmt.Statement) *stmtPlan {
	if st.Kind == stmt.Explain {
		return s.namedExplained(st.Inner)
	}
	kind := giverOf(st.Kind)
	if kind == "" {
		return nil
	}
	s.names.Lock()
	defer s.names.Unlock()
	sp := s.hiddenPlan(string(kind) + " " + st.Object)
	if sp == nil || sp.kind == 0 || (sp.kind == planFree || !s.role.observes()) && !s.onlySQL(string(kind)+" ", st.Object) {
		return nil
	}
	if sp.bounded && s.hidden[string(kind)+" "+st.Object].several {
		return nil // it may reach further
	}
	return sp.runs(st)
}

// encodes: the statement may change the encoding of what the client sends.
func encodes(st *stmt.Statement) bool {
	switch st.Kind {
	case stmt.Do, stmt.Call, stmt.Code, stmt.Unknown:
		return true
	}
	if st.All {
		return true
	}
	for _, set := range st.Settings {
		if strings.HasPrefix(set.Name, catalog.Own) {
			continue
		}
		if !set.Known && !set.Default || set.Name == "" || strings.EqualFold(set.Name, "client_encoding") {
			return true
		}
	}
	return st.Inner != nil && encodes(st.Inner)
}

// applied notes what a text that is on its way does to the session.
func (s *session) applied(p *plan) {
	if p.changes {
		select {
		case s.g.plans.stale <- struct{}{}:
		default:
		}
	}
	for _, sp := range p.stmts {
		if sp.commits && !sp.begins || p.fill != nil {
			s.temps.stale.Store(true)
		}
	}
	for _, sp := range p.gives {
		kind, name, _ := strings.Cut(sp.names, " ")
		s.names.Lock()
		// The server may refuse it because the name is taken, or take it because
		// the other was dropped. So a name that once meant something protected
		// stays so for this session, and one that a Parse gave stays that one's
		// unless this is protected.
		taken := kind == string(stmt.Prepare) && s.stmts[name] != nil || kind == string(stmt.Declare) && s.portals[name] != nil
		before := s.hiddenPlan(sp.names)
		switch {
		case sp.kind != planFree || !taken && (before == nil || before.kind == planFree):
			s.hidden[sp.names] = &byName{text: p.original, cat: p.cat, plan: sp, several: s.hidden[sp.names].meantMore(p.original, sp)}
		case !taken && before != nil && before.sent != "":
			s.hidden[sp.names] = &byName{text: p.original, cat: p.cat, plan: before.orFree(), several: s.hidden[sp.names].several}
		}
		s.names.Unlock()
	}
}

// recordAnyRow appends, durably, that every customer of these tables may have
// been reached. known: it is known before the statement runs.
func (g *Gate) recordAnyRow(s *session, sp *stmtPlan, number uint64, by *said, known bool) error {
	j := sp.judgement
	spaces := j.Spaces
	if len(spaces) == 0 {
		spaces = g.plans.catalog().Subjects()
	}
	if why := s.chargeAny(sp, spaces, by, known); why != nil {
		return overBudget{why}
	}
	return g.recordReach(s, sp, spaces, number, by)
}

// restsOnAll: observe mode need not rewrite a statement to know that its answer
// rests on everybody of a subject's, and shows nobody.
func (sp *stmtPlan) restsOnAll(space string) bool {
	j := &sp.judgement
	return sp.observe && !sp.blind && j.Kind == catalog.Told && j.Verb == sekisho.Read && len(j.Head) == 0 &&
		slices.ContainsFunc(j.Whole, func(n catalog.Named) bool { return n.Space == space })
}

// recordReach is recordAnyRow of what no budget is charged for any more.
func (g *Gate) recordReach(s *session, sp *stmtPlan, spaces []string, number uint64, by *said) error {
	j := sp.judgement
	bodies := make([]sekisho.Body, 0, len(spaces))
	for _, space := range spaces {
		seq, err := g.shape(sp, j.Verb, space, sp.sets, j.Categories)
		if err != nil {
			return err
		}
		class, reach := sekisho.AnyRow, g.populationOf(space)
		if reach > 0 && sp.restsOnAll(space) {
			class = sekisho.Contributed
		}
		bodies = append(bodies, &sekisho.Access{
			Session: s.id.Load(), Shape: seq, Number: number, Class: class,
			Purpose: by.purpose, Reach: reach,
		})
	}
	_, err := g.append(s.explain(by, number, bodies...)...)
	return err
}
