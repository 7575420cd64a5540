package gate

import (
	"fmt"
	"slices"
)

// What runs code that nobody has read, by a role with any_row. It is recorded as
// a read of any-row over all that is protected (see anyrow.go), and goes upstream
// behind a fence, so that reading is all that it does:
//
//   - In a transaction that only reads, so it can neither write rows nor make
//     anything, and sequences stand still. Inside a transaction no code can end
//     it, nor make it write again once it has looked at anything.
//   - Which is rolled back behind it: whatever it has set, opened, said by NOTIFY
//     or put into a temporary table or a large object is gone. In a transaction
//     of the client's that is done by a savepoint, and the client's stays as it
//     was.
//   - Prepared statements are not taken back by the server. If there are others
//     behind it than before, all go, and the client is told.
//
// So later statements of the session mean what they meant before. The client
// reads the answer as it comes: only the ReadyForQuery waits for the end of the
// fence.

// A fence stands around one statement.
type fence struct {
	portal *portal    // in the extended protocol: of the statement
	inside bool       // in a transaction of the client's
	names  [][]string // the prepared statements before
	known  bool       // they are known
}

const (
	namesName   = "sekisho_names" // under which the gate itself asks for the names, within a cycle
	fenceBegin  = "BEGIN READ ONLY"
	fenceInside = "SAVEPOINT sekisho_unread"
	fenceReads  = "SET TRANSACTION READ ONLY"
	fenceEnd    = "ROLLBACK"
	fenceBack   = "ROLLBACK TO SAVEPOINT sekisho_unread; RELEASE SAVEPOINT sekisho_unread"
	fenceNames  = "SELECT p.name, p.prepare_time::pg_catalog.text FROM pg_catalog.pg_prepared_statement() p ORDER BY p.name USING OPERATOR(pg_catalog.<)"
)

// aloneInCycle is of what would stand within one fence with other statements.
var aloneInCycle = &refusal{code: "0A000", reason: "open_cycle", text: "a statement that runs what nobody has read stands alone between two Syncs", hint: "Send Sync before it and behind it."}

// kept is what a client reads of an error that the fence has caused; nil: it was
// another.
func (sp *stmtPlan) kept(code string) *refusal {
	if sp == nil || !sp.unread || code != "25006" && code != "2D000" {
		return nil
	}
	return &refusal{code: code, text: "what nobody has read neither writes nor ends a transaction: it runs in one that only reads and is rolled back",
		hint: "Run its statements one by one; or have a function or procedure of them reviewed, and listed in the catalog under functions.reviewed, or under functions.reaching with the tables that it reads and writes."}
}

// mine sends a Query of the gate's own, of so many statements. last: its
// ReadyForQuery is the client's.
func (q *requests) mine(text string, statements int, last bool) *want {
	p := &plan{cat: q.s.g.plans.catalog()}
	for range statements {
		p.stmts = append(p.stmts, &stmtPlan{kind: planFree, mine: true, shapes: map[string]uint64{}})
	}
	w := &want{typ: 'Q', plan: p, own: !last}
	q.send(w, appendMessage(nil, 'Q', text+"\x00"))
	return w
}

// prepared asks for the prepared statements, between two cycles.
func (q *requests) prepared() (names [][]string, ok bool) {
	c := &caught{cycle: true}
	p := &plan{cat: q.s.g.plans.catalog(), stmts: []*stmtPlan{{kind: planFree, mine: true, catch: c, shapes: map[string]uint64{}}}}
	q.send(&want{typ: 'Q', plan: p, own: true}, appendMessage(nil, 'Q', fenceNames+"\x00"))
	q.settle()
	return c.list()
}

// list are the rows; false if they did not all come.
func (c *caught) list() ([][]string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows, c.done && c.bad == nil
}

// unreadQuery runs a Query of one statement that runs what nobody has read. It is
// in the ledger.
func (q *requests) unreadQuery(w *want, msg []byte) error {
	if q.open {
		w.refuse = openRefusal
		q.poison(w)
		return nil
	}
	q.settle()
	f := &fence{inside: q.s.status.Load() == 'T'}
	if q.s.status.Load() == 'E' { // the server refuses it
		q.send(w, msg)
		q.cycleSent()
		return nil
	}
	f.names, f.known = q.prepared()
	if f.inside {
		q.mine(fenceInside, 1, false)
		q.mine(fenceReads, 1, false)
	} else {
		q.mine(fenceBegin, 1, false)
	}
	if q.settle(); q.s.status.Load() == 'T' && f.known {
		w.own = true
		q.send(w, msg)
	}
	return q.unfence(f)
}

// fenceCycle puts a fence around what is bound next.
func (q *requests) fenceCycle(po *portal) *refusal {
	q.settle()
	f := &fence{portal: po, inside: q.s.status.Load() == 'T'}
	q.fence = f
	if q.s.status.Load() == 'E' || q.s.wants.skipping() {
		return nil // the server does not run it
	}
	c := &caught{}
	q.own(namesName, fenceNames, &stmtPlan{kind: planFree, catch: c})
	if f.inside {
		q.own("sekisho_fence", fenceInside, &stmtPlan{kind: planFree})
		q.own("sekisho_fence", fenceReads, &stmtPlan{kind: planFree})
	} else {
		q.own("sekisho_fence", fenceBegin, &stmtPlan{kind: planFree})
	}
	q.settle()
	f.names, f.known = c.list()
	f.names = slices.DeleteFunc(f.names, func(row []string) bool { return row[0] == namesName }) // closed again; whoever has it behind the fence has made it
	if !f.known && !q.s.wants.skipping() {
		return changedRefusal
	}
	return nil
}

// errFence ends a session of which nobody knows what was left behind in it.
var (
	errFence    = fmt.Errorf("%w: what a statement left behind could not be taken back", errClientProtocol)
	errInFenced = fmt.Errorf("%w: a Query or FunctionCall, and a Sync is owed for a statement that runs what nobody has read", errClientProtocol)
)

// fenced: what a client sends within a fence must not be run there.
func (q *requests) fenced(typ byte, body []byte) (refused bool, err error) {
	if q.fence == nil {
		return false, nil
	}
	switch typ {
	case 'Q', 'F':
		return false, errInFenced
	case 'B':
		q.poison(&want{typ: 'P', plan: emptyPlan, refuse: aloneInCycle})
		return true, nil
	case 'E':
		name, _, _ := cut0(body)
		if po := q.portal(name); po == nil || po != q.fence.portal {
			q.poison(&want{typ: 'P', plan: emptyPlan, refuse: aloneInCycle})
			return true, nil
		}
	}
	return false, nil
}

// fenceSynced is the Sync behind a fenced statement.
func (q *requests) fenceSynced(msg []byte) error {
	q.send(&want{typ: 'S', own: true}, msg)
	f := q.fence
	q.fence = nil
	return q.unfence(f)
}

// unfence takes back what was done behind a fence, and lets the client know that
// the server is ready. If it cannot be taken back the session ends.
func (q *requests) unfence(f *fence) error {
	q.settle()
	s := q.s
	failed := s.status.Load() == 'E'
	switch {
	case s.status.Load() == 'I':
	case f.inside && f.known:
		q.mine(fenceBack, 2, false)
	case !f.inside:
		q.mine(fenceEnd, 1, false)
	}
	q.settle()
	before := byte('I')
	if f.inside {
		before = 'T'
	}
	var label []byte
	if f.known {
		if byte(s.status.Load()) != before {
			return errFence
		}
		names, ok := q.prepared()
		if !ok {
			return errFence
		}
		if !slices.EqualFunc(names, f.names, slices.Equal) {
			q.mine("DEALLOCATE ALL", 1, false)
			s.forgetNames()
			label = appendError(nil, "NOTICE", &refusal{code: "01000", text: "sekisho: all prepared statements of this session are gone, because the statement has changed some", hint: "Prepare them again."})
			label[0] = 'N'
		}
	}
	q.stale()
	switch {
	case failed && f.inside && f.known: // as the client's transaction is after an error
		c := &caught{cycle: true}
		p := &plan{cat: s.g.plans.catalog(), stmts: []*stmtPlan{{kind: planFree, mine: true, catch: c, shapes: map[string]uint64{}}}}
		q.send(&want{typ: 'Q', plan: p}, appendMessage(nil, 'Q', poisonText+"\x00"))
	default:
		q.mine("", 1, true).label = label
	}
	q.cycleSent()
	return nil
}

// stale: the server must be asked what became of temporary tables.
func (q *requests) stale() { q.s.temps.stale.Store(true) }

// forgetNames: the server has no prepared statement any more.
func (s *session) forgetNames() {
	s.names.Lock()
	defer s.names.Unlock()
	clear(s.stmts)
	for name := range s.hidden {
		if len(name) > 8 && name[:8] == "prepare " {
			delete(s.hidden, name)
		}
	}
}
