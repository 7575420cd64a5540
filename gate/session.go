package gate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
	"sekisho/ledger"
)

// A session is one client's connection with its own connection upstream: SET,
// prepared statements, temporary tables and locks never leak between people.
type session struct {
	g         *Gate
	log       *slog.Logger
	client    io.ReadWriteCloser
	server    io.ReadWriteCloser
	loop      *loop                // that serves it; nil: goroutines of its own
	upstream  *pgconn.HijackedConn // nil until the client asks something
	route     *route
	relays    bool   // nothing is protected: everything passes as it comes
	relaying  framer // of the server side alone
	role      *Role
	roleName  string
	principal uint32
	opened    *sekisho.SessionOpened

	out   *outbox
	wants wants

	temps  temporaries
	status atomic.Int32 // of the transaction, as in the latest ReadyForQuery; 0 before the first

	// id is the sequence number of the SessionOpened entry; 0 while the ledger
	// does not take it, and then nothing protected is answered.
	id          atomic.Uint64
	utf8        atomic.Bool   // the client's encoding, as the server last reported it
	number      atomic.Uint64 // of the latest statement over protected data
	foretelling atomic.Int32  // accesses that were foretold and whose row has not come
	vanished    atomic.Bool   // the client has gone without a goodbye
	speaks      SpeaksFor
	tracks      bool                    // it may state something: the settings are followed
	first       stating                 // as stated while connecting
	settled     atomic.Pointer[stating] // as the server has them; immutable
	latest      *said                   // of the client side alone, like the next one: what was stated last,
	latestOf    [settings]value         // and by which settings
	list        []*said                 // of the latest alone; of the client side alone
	accounts    accounts                // of the client side alone: of the latest access that was foretold
	asking      act.Request             // of the client side alone: what the policy is asked about this session and its purpose

	// names of the client's prepared statements and portals. The client side
	// sets them, the server side takes them back after an error.
	names    sync.Mutex
	stmts    map[string]*prepared
	portals  map[string]*portal
	hidden   map[string]*byName // what SQL-level PREPARE and DECLARE named: "prepare x", "declare x"
	ever     map[string]bool    // names that a Parse or Bind has ever given, in the same form
	namesCat *catalog.Catalog   // by which hidden was judged; of the client side alone

	// Of the server side alone.
	desc    *desc // of the simple query's statement whose rows are coming
	running *run
	unknown *stmtPlan // for what the gate does not know, in the ledger
	unended []*run    // when the server side has ended: the accesses that had not
	saidWhy bool      // the client has read why its connection ends

	leaving    atomic.Bool // the client has said goodbye
	announcing sync.Mutex
	silent     atomic.Bool // nothing more goes upstream
	cancelling sync.Mutex  // held while a cancel is on its way, so that nothing new goes upstream meanwhile; see cancelUpstream

	key     cancelKey
	early   bool                   // it has one of the places of limits.at_once
	asleep  net.Conn               // guarded by Gate.mu: the client's, while there is no connection upstream
	ending  atomic.Pointer[ending] // it was ended from outside
	chains  [][]*x509.Certificate  // of the client's certificate, if it can be taken back
	told    []setting              // what a client was told that has no connection upstream yet
	notices []byte                 // of the server's, at the start
}

// An ending is why a session was ended from outside.
type ending struct {
	reason string // for the ledger
	why    *refusal
	since  time.Time // of a containment: from here on nothing goes out but why; else zero
}

// prepared is a prepared statement of the client's.
type prepared struct {
	name  string
	plan  *plan
	stmt  *stmtPlan
	tags  *tags                // its text says what it is for
	types []byte               // of parameters that its Parse stated, where an approval may be bound to them
	sql   bool                 // made by SQL, and so not confirmed by a ParseComplete
	desc  atomic.Pointer[desc] // from the server's description, when it came
}

// portal is a bound statement.
type portal struct {
	ps       *prepared
	formats  []int16  // of the results, as the client sent them
	run      *run     // of the server side alone
	number   uint64   // of the client side alone: recorded as any-row when it was bound, and not executed since; else 0
	skip     int64    // how many of the first rows OFFSET skips
	expected uint32   // ordinal of the customer it asks for, 0 if nobody knows
	reached  bool     // of the client side alone: it is in the ledger that it could be about anybody
	label    []byte   // that its answer bears
	asked    bool     // of the client side alone: it has been executed
	values   []byte   // what was bound, where an approval may be bound to it
	bound    []byte   // what was bound, where the gate runs another statement with it
	long     bool     // it was too long for that
	texts    [][]byte // of the parameters, where one of them states something
	stated   bool     // of the server side alone: what it states has been taken
	looked   bool     // of the server side alone: it has asked whether the statement stands
	strange  bool     // of the server side alone: bound to another statement than the client side took it for
}

// ride has a loop serve the session, if it can: without TLS on either side.
// Nothing of the session is under way yet.
func (s *session) ride(l *loop) {
	client, ok := s.client.(net.Conn)
	server, ok2 := s.server.(net.Conn)
	if l == nil || !ok || !ok2 {
		return
	}
	cw, sw := double(client), double(server)
	if cw == nil || sw == nil {
		cw.release()
		sw.release()
		return
	}
	s.client, s.server, s.loop = cw, sw, l
	s.out.overWire(cw)
	l.ask(func() { l.watch(cw); l.watch(sw) })
	client.Close() // the first descriptors alone: the runtime's poller must not watch too
	server.Close()
}

// hangUp gives back what the session has of the system.
func (s *session) hangUp() {
	s.client.Close()
	if s.server != nil {
		s.server.Close()
	}
	if s.loop != nil {
		s.loop.ask(func() {
			s.loop.forget(s.client.(*wire))
			s.loop.forget(s.server.(*wire))
		})
	}
}

// serve carries a session from its first statement to its end.
func (s *session) serve() {
	type end struct {
		err    error
		client bool
	}
	ended := make(chan end, 2)
	serverLoop, clientLoop := s.serverLoop, s.clientLoop
	if s.relays {
		serverLoop, clientLoop = s.relayServer, s.relayClient
	}
	if s.loop == nil {
		go s.out.writeLoop()
		go func() { ended <- end{serverLoop(goroutine), false} }()
		go func() { ended <- end{clientLoop(goroutine), true} }()
	} else {
		cw, sw := s.client.(*wire), s.server.(*wire)
		client, server := &strand{}, &strand{}
		cw.reader, sw.reader, sw.writer = client, server, client
		s.loop.begin(server, func() { ended <- end{serverLoop(server), false} })
		s.loop.begin(client, func() { ended <- end{clientLoop(client), true} })
	}

	first := <-ended
	if s.leaving.Load() && !first.client && errors.Is(first.err, errServerGone) {
		first = end{nil, true} // the server was only quicker
	}
	reason := "terminate"
	switch {
	case first.client && first.err != nil:
		reason = "client_gone"
		if errors.Is(first.err, errClientProtocol) {
			reason = "protocol"
		}
	case !first.client && (errors.Is(first.err, errTransaction) || errors.Is(s.out.failure(), errTransaction)):
		reason, s.saidWhy = "refused", true
	case !first.client && errors.Is(first.err, errServerGone):
		reason = "server_gone"
	case !first.client && errors.Is(first.err, errClientGone):
		reason = "client_gone"
	case !first.client:
		reason = "protocol"
	}
	if e := s.ending.Load(); e != nil && !first.client {
		reason = e.reason
	}
	if s.g.closing.Load() {
		reason = "shutdown"
	}
	switch {
	case first.client && first.err == nil:
		// The server finishes what it was sent before the goodbye, as it does
		// without a gate, and then closes.
		<-ended
		s.client.Close()
		s.server.Close()
	case first.client:
		s.vanished.Store(true)
		if !s.relays { // the server may be in the middle of a long answer that nobody wants
			s.cancelUpstream()
		}
		s.server.Close()
		s.out.fail(errClientGone)
		s.client.Close()
		<-ended
	default:
		switch reason {
		case "terminate", "client_gone":
		case "contained": // people ordered it: the ledger and the order say so
			s.log.Info("session ends", "reason", reason)
		default:
			s.log.Warn("session ends", "reason", reason, "error", first.err)
		}
		if reason != "server_gone" && !s.relays {
			s.cancelUpstream()
		}
		s.farewell(first.err)
		s.client.Close()
		s.server.Close()
		<-ended
	}
	s.settleRuns(reason)
	s.out.fail(errClientGone)
	close(s.out.ended)
	if id := s.id.Load(); id != 0 {
		s.g.note(&sekisho.SessionClosed{Session: id, Reason: reason, Bytes: s.out.bytesSent()})
	}
}

// end ends the session, and tells the client why. Gate.mu is held.
func (s *session) end(e *ending) {
	if s.ending.CompareAndSwap(nil, e) {
		s.shut()
	}
}

// shut ends the session from outside. A client that takes nothing does not
// hold it up for long. Gate.mu is held, or nobody else knows the session.
func (s *session) shut() {
	if s.asleep != nil {
		s.asleep.SetReadDeadline(time.Unix(1, 0)) // it wakes, and looks why
		return
	}
	switch conn, ok := s.server.(net.Conn); {
	case !s.relays:
		s.server.Close()
	// It may be in the middle of a message: see finish.
	case s.loop != nil:
		s.loop.tell(func() {
			if s.relaying.between() {
				s.server.Close()
			}
		})
	case ok:
		conn.SetReadDeadline(time.Unix(1, 0))
	}
	time.AfterFunc(2*time.Second, func() {
		s.out.fail(errClientGone)
		s.client.Close()
	})
}

// farewell tells a client why its connection ends, if that was not its own
// wish.
func (s *session) farewell(err error) {
	s.out.drainFor(2 * time.Second)
	var r *refusal
	switch {
	case s.saidWhy:
		return
	case s.g.closing.Load():
		r = &refusal{code: "57P01", text: "terminating connection: the gate is shutting down"}
	case s.ending.Load() != nil:
		r = s.ending.Load().why
	case s.relays:
		return // the server has said what it had to say
	case errors.Is(err, errServerGone):
		r = &refusal{code: "08006", text: "the database server closed the connection", hint: "What was running there has been rolled back."}
	case errors.Is(err, errCopySync):
		r = &refusal{code: "08P01", text: "a Sync came among the data of a COPY that failed: which of the two was first is not known, so the connection ends", hint: "Send Sync after CopyDone or CopyFail."}
	case errors.Is(err, errUnsafe):
		r = &refusal{code: "42501", text: "the connection's settings are no longer safe to read SQL by, so it ends", hint: "Leave standard_conforming_strings on and client_encoding at UTF8."}
	case errors.Is(err, errServerProtocol):
		r = &refusal{code: "08P01", text: "the database server sent what the gate does not know, so nothing more is passed on"}
	default:
		return
	}
	c := newChunk(smallChunk)
	c.buf, c.words = appendError(c.buf[:0], "FATAL", r), true
	s.out.put(c, nil, goroutine)
	s.out.drainFor(2 * time.Second)
}

// settleRuns closes the accesses that were under way when the session ended.
func (s *session) settleRuns(reason string) {
	outcome := sekisho.ClientGone
	switch reason {
	case "server_gone":
		outcome = sekisho.ServerGone
	case "shutdown", "refused", "protocol", "contained":
		outcome = sekisho.CutOff
	}
	s.unanswered(s.wants.left(), outcome, "")
	for _, u := range s.unended {
		s.closeAccess(u.number, outcome, s.out.lastReleased(), "")
	}
}

func (s *session) closeAccess(number uint64, outcome sekisho.Outcome, released uint64, code string) {
	s.g.note(&sekisho.AccessClosed{Session: s.id.Load(), Number: number, Outcome: outcome, Released: released, SQLState: code})
}

// record appends what must be durable before the session goes on.
func (s *session) record(b sekisho.Body) error {
	_, err := s.g.append(b)
	return err
}

// announce makes the session known to the ledger if it is not yet.
func (s *session) announce() error {
	s.announcing.Lock()
	defer s.announcing.Unlock()
	if s.id.Load() != 0 {
		return nil
	}
	id, err := s.g.append(s.opened)
	if err != nil {
		return fmt.Errorf("recording the session: %w", err)
	}
	if s.speaks.any() {
		if _, err := s.g.append(&sekisho.OnBehalf{Session: id.Seq}); err != nil {
			return fmt.Errorf("recording that the session works for others: %w", err)
		}
	}
	s.id.Store(id.Seq)
	return nil
}

// serves says what the next statement is for.
func (s *session) serves(by *said) { s.asking.Purpose = by.what }

// refused records that a statement was turned away. The client is refused
// whether or not the ledger takes the entry.
func (s *session) refused(why *refusal, number uint64, statement uint32, by *said, t *strand) {
	if why.recorded && why.ruled == nil {
		return
	}
	if s.id.Load() == 0 {
		var err error
		if t.wait(func() { err = s.announce() }); err != nil {
			return
		}
	}
	entry := &sekisho.Refused{Session: s.id.Load(), Number: number, Statement: statement, Tables: why.tables, SQLState: why.code, Reason: why.reason}
	if why.ruled == nil {
		s.g.note(s.explain(by, number, entry)...)
		return
	}
	ruled := *why.ruled
	ruled.Session, ruled.Number = entry.Session, number
	if why.recorded {
		s.g.note(s.explain(by, number, &ruled)...)
		return
	}
	s.g.note(s.explain(by, number, &ruled, entry)...)
}

// cancelUpstream asks the server to stop what this session is doing. On return
// the server has been told, or could not be reached.
func (s *session) cancelUpstream() {
	// The client side may be stuck in a write that the server takes only when it
	// is read from again, which is for the caller to do: then the cancel goes
	// without waiting, and at worst stops a later statement.
	for try := range 20 {
		if s.cancelling.TryLock() {
			defer s.cancelling.Unlock()
			break
		}
		if try < 19 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if s.wants.idle() {
		return // it has ended meanwhile
	}
	s.tellCancel()
}

// tellCancel is cancelUpstream whether or not anything is under way.
func (s *session) tellCancel() {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	if err := s.g.cancelServer(ctx, s.upstream); err != nil {
		s.log.Warn("cancelling upstream", "error", err)
	}
}

func (o *outbox) bytesSent() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent
}

func (o *outbox) lastReleased() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.released
}

// drainFor is drain, for at most d: a client that does not read must not keep
// a session from ending.
func (o *outbox) drainFor(d time.Duration) {
	t := time.AfterFunc(d, func() { o.fail(errClientGone) })
	o.drain()
	t.Stop()
}

var (
	errClientGone     = errors.New("the client closed the connection")
	errClientProtocol = errors.New("the client broke the protocol")
	errCopySync       = errors.New("a Sync among the data of a COPY that failed")
	errUnsafe         = errors.New("the server reports a setting that makes its reading of SQL another than the gate's")
)

// note hands an entry to the ledger without waiting for it. What it says has
// happened already, or must happen whether or not it can be recorded.
func (g *Gate) note(b ...sekisho.Body) {
	g.ledger.Submit(&ledger.Request{Bodies: b, Done: func(_ sekisho.ID, err error) {
		if err != nil {
			g.sick.Store(true)
		}
	}})
}

// append appends an entry and remembers whether the ledger is well.
func (g *Gate) append(b ...sekisho.Body) (sekisho.ID, error) {
	id, err := g.ledger.Append(context.Background(), b...)
	g.sick.Store(err != nil)
	return id, err
}
