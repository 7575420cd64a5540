package gate

import (
	"fmt"
	"slices"
	"strings"
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
// fence, or what else the client sends before its Sync.
//
// Between two Syncs other statements may stand beside it. A BEGIN among those
// before it is a transaction of the client's. Without one they are a transaction
// too, which the Sync commits, but one in which the server makes no savepoint: so
// the gate says BEGIN in it, and COMMIT before the Sync. Whatever of it fails,
// none of it stays, as without the gate.

// A fence stands around one statement.
type fence struct {
	portal *portal    // in the extended protocol: of the statement
	inside bool       // in a transaction of the client's
	sent   bool       // in the extended protocol: all of its rows were asked for
	names  [][]string // the prepared statements before
	known  bool       // they are known
	gone   bool       // they are others, and so are gone, and the client has not been told
}

// A cycle is what was sent of the extended protocol since the last Sync.
type cycle struct {
	bound bool // a Bind or Execute
	block bool // a BEGIN of the client's
	ended bool // a COMMIT or the like: whether a transaction is open is not certain
	begun bool // a BEGIN of the gate's own, which owes a COMMIT
}

// does takes note of a statement that is about to be executed, or says why it
// must not be.
func (c *cycle) does(e *effect) *refusal {
	if e == nil {
		return nil
	}
	if c.begun && e.command != "" {
		return openTransaction
	}
	switch e.command {
	case "", "savepoint", "release", "rollback_to":
	case "begin", "start":
		c.block = true
	default:
		c.ended = true
	}
	return nil
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

var (
	// aloneInCycle is of what would stand within one fence with other statements.
	aloneInCycle = &refusal{code: "0A000", reason: "open_cycle", text: "nothing else is bound or executed between the Bind and the Execute of a statement that runs what nobody has read, and all of its rows come at once", hint: "Execute it, without a limit on its rows, before the next Bind; or send Sync before it and behind it."}
	// openTransaction is of a cycle in which only the server knows whether a
	// transaction is open.
	openTransaction = &refusal{code: "0A000", reason: "open_cycle", text: "a statement that runs what nobody has read stands between two Syncs with the end of a transaction, or behind other statements with its beginning", hint: "Send Sync between the two. BEGIN may come in front of both."}
	// namesGone is of what comes in one cycle behind a statement that has changed
	// prepared statements.
	namesGone = &refusal{code: "26000", reason: "changed", text: "all prepared statements of this session are gone, because a statement that runs what nobody has read has changed some", hint: "Send Sync, and prepare them again."}
)

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
	return q.unfence(f, false)
}

// fenceCycle puts a fence around what is bound next. others: something was bound
// before it in this cycle.
func (q *requests) fenceCycle(po *portal, others bool) *refusal {
	q.settle()
	if q.cycle.ended {
		return openTransaction
	}
	within := q.s.status.Load() == 'T' || q.s.status.Load() == 'E'
	f := &fence{portal: po, inside: within || q.cycle.block || others}
	q.fence = f
	if q.s.status.Load() == 'E' || q.s.wants.skipping() {
		return nil // the server does not run it
	}
	c := &caught{}
	q.own(namesName, fenceNames, &stmtPlan{kind: planFree, catch: c})
	if f.inside {
		if !within && !q.cycle.block && !q.cycle.begun {
			q.cycle.begun = true
			q.own("sekisho_fence", "BEGIN", &stmtPlan{kind: planFree})
		}
		q.own("sekisho_fence", fenceInside, &stmtPlan{kind: planFree})
		q.own("sekisho_fence", fenceReads, &stmtPlan{kind: planFree})
	} else {
		q.own("sekisho_fence", fenceBegin, &stmtPlan{kind: planFree})
	}
	q.settle()
	f.names, f.known = c.list()
	f.names = withoutOwn(f.names)
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
func (q *requests) fenced(typ byte, msg, body []byte) (refused bool, err error) {
	if q.fence == nil {
		if typ == 'Q' || typ == 'F' {
			q.cycle.ended = q.cycle.ended || q.open
			if q.cycle.begun {
				return false, errInFenced
			}
		}
		return false, nil
	}
	switch typ {
	case 'Q', 'F':
		return false, errInFenced
	case 'D', 'C':
		if !q.fence.sent || len(body) < 2 || body[0] == 'P' {
			return false, nil
		}
	case 'P':
		if !q.fence.sent {
			return false, nil
		}
	case 'B':
	case 'E':
		name, _, _ := cut0(body)
		if po := q.portal(name); po != nil && po == q.fence.portal {
			return false, nil
		}
	default:
		return false, nil
	}
	var why *refusal
	if !q.fence.sent {
		why = aloneInCycle
	} else if why, err = q.unfenceWithin(); err != nil {
		return true, err
	}
	switch {
	case why != nil:
		q.poison(&want{typ: 'P', plan: emptyPlan, refuse: why})
	case q.fence != nil: // it has failed, and the server skips what comes until the Sync
		q.up = append(q.up, msg...)
	default:
		return false, nil
	}
	return true, nil
}

// unfenceWithin takes back what was done behind a fence, before the cycle ends.
// The fence is still there if the statement has failed; otherwise the cycle goes
// on, unless there is a reason why not.
func (q *requests) unfenceWithin() (*refusal, error) {
	f := q.fence
	if q.settle(); q.s.wants.skipping() {
		return nil, nil
	}
	for text := range strings.SplitSeq(f.back(), "; ") {
		q.own("sekisho_fence", text, &stmtPlan{kind: planFree})
	}
	c := &caught{}
	q.own(namesName, fenceNames, &stmtPlan{kind: planFree, catch: c})
	q.settle()
	names, ok := c.list()
	if !ok || !f.known {
		return nil, errFence
	}
	q.fence = nil
	q.stale()
	if !slices.EqualFunc(withoutOwn(names), f.names, slices.Equal) {
		q.own("sekisho_fence", "DEALLOCATE ALL", &stmtPlan{kind: planFree})
		q.s.forgetNames()
		return namesGone, nil
	}
	return nil, nil
}

// back is what takes back what was done behind a fence.
func (f *fence) back() string {
	if f.inside {
		return fenceBack
	}
	return fenceEnd
}

// withoutOwn are names without that of the statement which asked for them: it is
// closed again, and whoever has it behind a fence has made it.
func withoutOwn(names [][]string) [][]string {
	return slices.DeleteFunc(names, func(row []string) bool { return row[0] == namesName })
}

// fenceSynced is the Sync of a cycle in which a fence stands, or a COMMIT is owed.
// Writes before it are in the ledger.
func (q *requests) fenceSynced(msg []byte) error {
	f, begun := q.fence, q.cycle.begun
	if begun {
		var gone *refusal
		if f != nil {
			var err error
			if gone, err = q.unfenceWithin(); err != nil {
				return err
			}
		}
		if f = q.fence; f == nil {
			f = &fence{inside: true, gone: gone != nil}
			q.own("sekisho_fence", "COMMIT", &stmtPlan{kind: planFree})
		}
	}
	q.fence, q.cycle = nil, cycle{}
	q.send(&want{typ: 'S', own: true}, msg)
	return q.unfence(f, begun)
}

// unfence takes back what was done behind a fence, and lets the client know that
// the server is ready. If it cannot be taken back the session ends. begun: the
// transaction that it stood in was begun by the gate itself.
func (q *requests) unfence(f *fence, begun bool) error {
	q.settle()
	s := q.s
	failed := s.status.Load() == 'E'
	switch {
	case s.status.Load() == 'I':
	case begun, !f.inside:
		q.mine(fenceEnd, 1, false)
	case f.known:
		q.mine(fenceBack, 2, false)
	}
	q.settle()
	before := byte('I')
	if f.inside && !begun {
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
			f.gone = true
		}
	}
	if f.gone {
		label = appendError(nil, "NOTICE", &refusal{code: "01000", text: "sekisho: all prepared statements of this session are gone, because the statement has changed some", hint: "Prepare them again."})
		label[0] = 'N'
	}
	q.stale()
	switch {
	case failed && before == 'T' && f.known: // as the client's transaction is after an error
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
