package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"sekisho"
)

// The client side of a session: reads messages, judges statements, and sends
// upstream what may go.

// requests is the buffer between the client and the server: what was read and
// not yet dealt with, and what is to be sent.
type requests struct {
	s    *session
	t    *strand
	buf  []byte
	r, w int    // buf[r:w] is unread
	up   []byte // for the server

	open     bool // extended messages were sent since the last Sync
	foretold bool // up holds a statement whose access the ledger has in its queue
	encoded  bool // one of them may have changed the client's encoding, which the server reports at its end
	copying  bool // what was sent last may be a COPY FROM STDIN, whose outcome is not known
	data     bool // data of it was sent, and its end was not

	stating   stating  // what the session has stated, as far as was sent
	taken     *stating // by the server, that stating began with
	unsettled bool     // something that changes it is under way

	fence *fence // around what nobody has read, until it is taken back
	cycle cycle  // what was sent since the last Sync

	wrote  bool    // a write to a protected table was sent, and nothing since that could commit it: see mayCommit
	copies *copyIn // reads the COPY into a protected table that was sent last
}

// errTerminate is the client's orderly goodbye.
var errTerminate = errors.New("terminate")

func (s *session) clientLoop(t *strand) error {
	q := &requests{s: s, t: t, buf: make([]byte, smallChunk)}
	for {
		err := q.next()
		if err == nil {
			continue
		}
		if errors.Is(err, errTerminate) {
			return nil
		}
		if errors.Is(err, errClientProtocol) {
			// Nothing after such a message can be trusted: say why, then close.
			c := newChunk(smallChunk)
			c.buf = appendError(c.buf[:0], "FATAL", &refusal{code: codeOf(err), text: strings.TrimPrefix(err.Error(), errClientProtocol.Error()+": "), hint: hintOfProtocol(err)})
			if s.out.put(c, nil, t) == nil {
				t.wait(func() { s.out.drainFor(2e9) })
			}
		}
		return err
	}
}

// errTooLarge is a message over its limit.
var errTooLarge = fmt.Errorf("%w: too large", errClientProtocol)

func codeOf(err error) string {
	if errors.Is(err, errTooLarge) {
		return "54000"
	}
	return "08P01"
}

// hintOfProtocol says what to do about a message that closed the connection.
func hintOfProtocol(err error) string {
	if errors.Is(err, errTooLarge) {
		return "Send values as parameters, or in several statements; or raise limits: statement, and message for values, in the gate's config. Then connect anew."
	}
	return ""
}

// fill reads at least n bytes beyond r into the buffer. What is to go upstream
// goes before the gate waits.
func (q *requests) fill(n int) error {
	if q.w-q.r >= n {
		return nil
	}
	if len(q.buf)-q.r < n {
		if n > len(q.buf) {
			bigger := make([]byte, max(n, 2*len(q.buf)))
			q.w = copy(bigger, q.buf[q.r:q.w])
			q.buf = bigger
		} else {
			q.w = copy(q.buf, q.buf[q.r:q.w])
		}
		q.r = 0
	}
	for q.w-q.r < n {
		q.flush()
		k, err := q.s.client.Read(q.buf[q.w:])
		q.w += k
		if err != nil && q.w-q.r < n {
			if errors.Is(err, io.EOF) {
				return errClientGone
			}
			return fmt.Errorf("%w: %w", errClientGone, err)
		}
	}
	return nil
}

// flush sends what is collected for the server.
func (q *requests) flush() {
	if len(q.up) == 0 {
		return
	}
	if q.foretold && q.t.loop != nil {
		q.t.yield(pauseSend)
	}
	q.foretold = false
	// If this fails, the server side will see the end of the connection, and what
	// the server said before it. Until then there is nobody to send to.
	if !q.s.cancelling.TryLock() {
		q.t.wait(q.s.cancelling.Lock)
	}
	if !q.s.silent.Load() {
		q.s.server.Write(q.up)
	}
	q.s.cancelling.Unlock()
	q.up = q.up[:0]
	if cap(q.up) > 1<<20 {
		q.up = nil
	}
}

// limit is the most bytes that a message of this type may have.
func (q *requests) limit(typ byte) (int, bool) {
	switch typ {
	case 'Q', 'P':
		return q.s.g.conf.Limits.Statement + 1024, true
	case 'B', 'F':
		return q.s.g.conf.Limits.Message, true
	case 'd':
		return 1 << 30, true
	case 'D', 'E', 'C', 'f', 'p':
		return 1 << 16, true
	case 'S', 'H', 'X', 'c':
		return 4, true
	}
	return 0, false
}

// next deals with one message.
func (q *requests) next() error {
	if q.w == q.r {
		q.r, q.w = 0, 0
		if len(q.buf) > 1<<20 {
			q.buf = make([]byte, smallChunk)
		}
	}
	if err := q.fill(5); err != nil {
		return err
	}
	typ := q.buf[q.r]
	length := binary.BigEndian.Uint32(q.buf[q.r+1:])
	most, known := q.limit(typ)
	switch {
	case !known:
		return fmt.Errorf("%w: invalid frontend message type %d", errClientProtocol, typ)
	case length < 4:
		return fmt.Errorf("%w: invalid message length", errClientProtocol)
	case length > uint32(most):
		return fmt.Errorf("%w: a message of type %c of %d bytes, the limit is %d", errTooLarge, typ, length, most)
	}
	if typ == 'd' {
		q.data = q.data || q.copying
		if q.copies != nil {
			return q.copyData(int(length))
		}
		return q.stream(int(length) + 1)
	}
	if err := q.fill(int(length) + 1); err != nil {
		return err
	}
	msg := q.buf[q.r : q.r+int(length)+1]
	q.r += len(msg)
	if err := q.handle(typ, msg); err != nil {
		return err
	}
	if len(q.up) > 64<<10 {
		q.flush()
	}
	return nil
}

// stream passes CopyData on without holding it.
func (q *requests) stream(size int) error {
	for size > 0 {
		if q.w == q.r {
			q.r, q.w = 0, 0
			if err := q.fill(1); err != nil {
				return err
			}
		}
		k := min(size, q.w-q.r)
		q.up = append(q.up, q.buf[q.r:q.r+k]...)
		q.r += k
		size -= k
		if len(q.up) > 64<<10 {
			q.flush()
		}
	}
	return nil
}

// cut0 splits off a NUL-terminated string.
func cut0(b []byte) (string, []byte, bool) {
	s, rest, ok := bytes.Cut(b, []byte{0})
	return string(s), rest, ok
}

func malformed(typ byte) error {
	return fmt.Errorf("%w: malformed message of type %c", errClientProtocol, typ)
}

// handle deals with one whole message, header included.
func (q *requests) handle(typ byte, msg []byte) error {
	s := q.s
	body := msg[5:]
	if err := q.afterCopy(typ); err != nil {
		return err
	}
	q.keepUp(typ)
	switch typ {
	case 'P', 'B', 'D', 'E', 'C':
		q.open = true
	case 'S':
		q.open, q.encoded = false, false
	}
	if refused, err := q.fenced(typ, msg, body); refused || err != nil {
		return err
	}
	switch typ {
	case 'S', 'Q', 'F':
		q.mayCommit()
	}
	switch typ {
	case 'Q', 'P', 'B', 'E':
		q.lookAgain()
	}
	s.judgeNamesAgain(q.t)
	if ok, err := q.named(typ, body); !ok || err != nil {
		return err
	}
	switch typ {
	case 'Q':
		text, rest, ok := cut0(body)
		if !ok || len(rest) != 0 {
			return malformed(typ)
		}
		return q.query(text, msg)
	case 'P':
		return q.parse(msg, body)
	case 'B':
		return q.bind(msg, body)
	case 'D':
		if len(body) < 2 {
			return malformed(typ)
		}
		name, rest, ok := cut0(body[1:])
		if !ok || len(rest) != 0 {
			return malformed(typ)
		}
		w := &want{typ: 'D'}
		switch body[0] {
		case 'S':
			w.ps = q.statement(name)
		case 'P':
			if w.portal = q.portal(name); w.portal != nil {
				w.ps = w.portal.ps
			}
		default:
			return malformed(typ)
		}
		q.send(w, msg)
	case 'E':
		return q.execute(msg, body)
	case 'C':
		if len(body) < 2 {
			return malformed(typ)
		}
		name, rest, ok := cut0(body[1:])
		if !ok || len(rest) != 0 || body[0] != 'S' && body[0] != 'P' {
			return malformed(typ)
		}
		w := &want{typ: 'C', kind: body[0], name: name}
		if body[0] == 'S' {
			w.undo = s.setStatement(name, nil)
		} else {
			w.undo = s.setPortal(name, nil)
		}
		q.send(w, msg)
	case 'S':
		if q.fence != nil || q.cycle.begun {
			return q.fenceSynced(msg)
		}
		q.cycle = cycle{}
		q.send(&want{typ: 'S', data: q.data}, msg)
		q.cycleSent()
	case 'H':
		q.up = append(q.up, msg...)
	case 'c', 'f':
		if q.copies != nil && !q.copyEnds(typ) {
			return nil
		}
		q.data = false
		s.wants.push(&want{typ: 'c'})
		q.up = append(q.up, msg...)
	case 'F':
		if len(body) >= 4 && largeObjects[binary.BigEndian.Uint32(body)] && s.g.plans.catalog().LargeObjectsFree() {
			q.send(&want{typ: 'F'}, msg)
			break
		}
		// The fast path runs any function by number and has no description of
		// what it answers (P15).
		q.poison(&want{typ: 'Q', plan: emptyPlan, refuse: &refusal{
			code: "0A000", reason: "function_call", text: "the fast-path function call does not pass the gate", hint: "Call the function with SELECT."}})
	case 'X':
		s.leaving.Store(true)
		q.up = append(q.up, msg...)
		q.flush()
		return errTerminate
	default: // 'p' after authentication
		return fmt.Errorf("%w: unexpected message of type %c", errClientProtocol, typ)
	}
	return nil
}

// largeObjects are the functions that libpq and the JDBC driver call by their
// numbers for large objects, as they stand in PostgreSQL's pg_proc.dat.
var largeObjects = map[uint32]bool{
	715: true, 952: true, 953: true, 954: true, 955: true, 956: true, 957: true, 958: true, 964: true, // lo_create, _open, _close, loread, lowrite, lo_lseek, _creat, _tell, _unlink
	1004: true, 3170: true, 3171: true, 3172: true, // lo_truncate, and three of 64 bits
}

// send queues w and its message for the server.
func (q *requests) send(w *want, msg []byte) {
	f := w.foretold // from push on w is the server side's
	switch pushed := q.s.wants.push(w); {
	case pushed && f != nil:
		f.commit(q.t)
		q.foretold = true
	case !pushed && f != nil:
		q.s.foretelling.Add(-1)
	case !pushed && w.undo != nil:
		w.undo()
	}
	// Sent even if the server is skipping: it must see the same stream as the
	// client believes it does.
	q.up = append(q.up, msg...)
}

// poisonText is what goes upstream in place of a statement that the gate
// refuses. The server must fail on it, so that the transaction, the pipeline
// and the client agree. It also leaves a trail in the server's own log.
const poisonText = "refused by sekisho"

// poison queues w, and sends the server a query or a statement that it must
// reject.
func (q *requests) poison(w *want) {
	var ord uint32
	switch {
	case w.plan != nil:
		ord = w.plan.statement
	case w.portal != nil:
		ord = w.portal.ps.stmt.statement
	case w.ps != nil:
		ord = w.ps.plan.statement
	}
	if ord == 0 && w.refuse.ruled != nil {
		ord = w.refuse.ruled.Statement
	}
	q.s.refused(w.refuse, q.s.number.Add(1), ord, w.by(), q.t)
	switch w.typ {
	case 'Q':
		q.send(w, appendMessage(nil, 'Q', poisonText+"\x00"))
	default:
		q.send(w, appendMessage(nil, 'P', "sekisho_refused\x00"+poisonText+"\x00\x00\x00"))
	}
}

func appendMessage(dst []byte, typ byte, body string) []byte {
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)+4))
	return append(dst, body...)
}

// query is the simple protocol's Query.
func (q *requests) query(text string, msg []byte) error {
	s := q.s
	bare, tail, tags := cutTags(text)
	p := q.plan(bare)
	if p.fill != nil && p.fill.Fill.Made {
		undoStmt, undoPortal := s.setStatement("", nil), s.setPortal("", nil)
		return q.makeTemporary(p, tags, tail, func() { undoStmt(); undoPortal() })
	}
	if p.fill != nil {
		p = q.fills(p, bare)
	}
	if p.simple != nil {
		p = p.simple
	}
	said, p := q.saysOf(p, tags)
	if why := s.suspends(p, said); why != nil && p.refuse == nil {
		p = p.refusedWith(why)
	}
	var rules rulings
	if p.refuse == nil {
		p, rules = s.admit(p, true, q.t)
	}
	if p.speak != nil && q.open {
		p = p.refusedWith(p.speak) // a Sync of the gate's own would end the client's cycle
	}
	// A simple query ends the unnamed statement and portal.
	undoStmt, undoPortal := s.setStatement("", nil), s.setPortal("", nil)
	undo := func() { undoStmt(); undoPortal() }
	if p.refuse != nil {
		q.poison(&want{typ: 'Q', plan: p, refuse: p.refuse, undo: undo, said: said})
		return nil
	}
	if p.speak != nil {
		q.speak("", text, "\x00\x00", p, undo)
		q.send(&want{typ: 'S'}, appendMessage(nil, 'S', ""))
		return nil
	}
	if p.writes {
		return q.run(p, rules, said, tail, undo)
	}
	w := &want{typ: 'Q', plan: p, rules: rules, undo: undo, encodes: p.encodes, said: said}
	if p.protected {
		w.number = s.number.Add(uint64(len(p.stmts))) - uint64(len(p.stmts)) + 1
		if r := q.recordAnyRow(p.stmts, w.number, said); r != nil {
			w.refuse = r
			q.poison(w)
			return nil
		}
		if p.stmts[0].bounded {
			if w.refuse = q.reaches(w, rules.at(0), w.number, w.by()); w.refuse != nil {
				q.poison(w)
				return nil
			}
		}
	}
	if p.text != bare {
		msg = appendMessage(nil, 'Q', p.text+tail+"\x00")
	}
	if who := p.expected(); who != 0 {
		w.foretold = s.foretell(w, p.stmts[0], who)
	}
	s.applied(p)
	if len(p.stmts) == 1 && p.stmts[0].unread {
		return q.unreadQuery(w, msg)
	}
	for _, sp := range p.stmts {
		q.does(sp.effect, nil)
	}
	for _, sp := range p.stmts {
		if sp.copyIn {
			q.copying, q.data = true, false
		}
		if sp.copies() {
			q.reads(w, sp, w.number)
		}
	}
	q.send(w, msg)
	q.cycleSent()
	return nil
}

// admit says whether the statements of a text may go upstream now: over
// protected data, only if they can be recorded and the policy lets them. It also
// gives what is due while their rows come. may says that the text can still be
// another one.
func (s *session) admit(p *plan, may bool, t *strand) (*plan, rulings) {
	if !p.protected || p.refuse != nil {
		return p, rulings{}
	}
	if p = s.recordable(p, t); p.refuse != nil {
		return p, rulings{}
	}
	return s.rule(p, may, t)
}

// recordable: statements over protected data go upstream only with a session
// and a ledger that can record them.
func (s *session) recordable(p *plan, t *strand) *plan {
	if !p.protected || p.refuse != nil {
		return p
	}
	if s.g.sick.Load() || s.id.Load() == 0 {
		var why *refusal
		t.wait(func() { why = s.unwell() })
		if why != nil {
			return p.refusedWith(why)
		}
	}
	return p
}

// unwell says why nothing can be recorded now.
func (s *session) unwell() *refusal {
	if err := s.announce(); err != nil {
		return ledgerRefusal(err)
	}
	if s.g.sick.Load() {
		// The ledger refused an entry a moment ago. This entry tries it again; the
		// statement is refused either way, and says so truthfully.
		r := ledgerRefusal(errLedgerSick)
		s.record(&sekisho.Refused{Session: s.id.Load(), SQLState: r.code, Reason: r.reason})
		return r
	}
	return nil
}

var errLedgerSick = errors.New("the ledger refused an entry")

// recordAnyRow records, before they run, the statements that observe mode lets
// pass without being able to name their customers.
func (q *requests) recordAnyRow(stmts []*stmtPlan, number uint64, by []*said) *refusal {
	for i, sp := range stmts {
		if sp.locks {
			var why *refusal
			q.t.wait(func() { why = q.s.recordLock(sp, number+uint64(i), by[min(i, len(by)-1)]) })
			if why != nil {
				return why
			}
		}
		if sp.kind != planAnyRow || sp.bounded {
			continue
		}
		var err error
		said := by[min(i, len(by)-1)]
		q.t.wait(func() {
			if err = q.s.g.recordAnyRow(q.s, sp, number+uint64(i), said, true); err == nil && sp.unseen {
				err = q.s.g.recordAnyRow(q.s, sp.answers, q.s.number.Add(1), said, true)
			}
		})
		if err != nil {
			return refusalFor(err)
		}
	}
	return nil
}
