package gate

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sekisho"
	"sekisho/act"
	"sekisho/budget"
	"sekisho/catalog"
	"sekisho/ledger"
	"sekisho/vault"
)

// A Gate is one PostgreSQL door: one upstream database, one ledger.
type Gate struct {
	conf    Config
	ledger  *ledger.Ledger
	vault   *vault.Vault
	log     *slog.Logger
	catalog catalog.Config
	known   map[string]bool // its tables and columns: names in which nobody's value stands

	tls        *tls.Config
	binding    []byte // tls-server-end-point of our certificate
	revoked    *revocations
	principals map[string]principal
	mock       mock

	budgets    *budget.Book // nil: nothing is counted
	plans      planCache
	looks      looks
	reading    room // for the texts that are being read
	population population
	sick       atomic.Bool // the ledger refused the last entry
	loop       *loop       // of the sessions without TLS; nil: they have goroutines
	closing    atomic.Bool
	backends   backends
	templates  templates
	tries      tries
	exports    exports
	rules      rules
	suspended  atomic.Pointer[Suspension] // nil: nobody is shut out

	early atomic.Int64 // sessions that were connected as they logged in; see session.reserves

	mu       sync.Mutex
	sessions map[uint32]*session   // by cancel key's process id
	pending  map[net.Conn]*waiting // connections that are not sessions yet
	came     uint64                // how many there ever were
	taken    int                   // places, of limits.sessions
	queue    []*waiting            // who has another's place as soon as that one is gone
	running  sync.WaitGroup
	ended    sync.Once
}

type principal struct {
	Principal
	verifier Verifier
}

// New makes a gate: it reads the certificates and the database's catalog, and
// refuses to start on doubt.
func New(ctx context.Context, conf Config, cat catalog.Config, led *ledger.Ledger, v *vault.Vault, log *slog.Logger) (*Gate, error) {
	if err := conf.Check(); err != nil {
		return nil, err
	}
	g := &Gate{
		conf: conf, reading: room{size: mostJudged}, ledger: led, vault: v, log: log, catalog: cat, known: cat.Names(),
		principals: map[string]principal{}, sessions: map[uint32]*session{}, pending: map[net.Conn]*waiting{},
	}
	for _, p := range conf.Principals {
		verifier, err := ParseVerifier(p.Verifier)
		if err != nil {
			return nil, fmt.Errorf("principal %s: %w", p.Name, err)
		}
		g.principals[p.Name] = principal{p, verifier}
		g.mock.like = append(g.mock.like, verifier)
	}
	g.mock.secret = v.Secret("names that nobody has")
	var err error
	if g.tls, g.binding, g.revoked, err = conf.TLS.server(); err != nil {
		return nil, err
	}
	if err := g.refresh(ctx); err != nil {
		return nil, err
	}
	if err := g.openRules(); err != nil {
		return nil, err
	}
	if g.transparent() {
		log.Warn("the catalog protects no table: everything passes as it comes, and no access is recorded")
	}
	if g.loop, err = newLoop(led); err != nil {
		return nil, err
	}
	return g, nil
}

// Serve accepts clients until the listener is closed or ctx ends.
func (g *Gate) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	go g.keepFresh(ctx)
	go g.endRevoked(ctx)
	go g.keepPolicy(ctx)
	go g.keepTurns(ctx)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				continue
			}
			// Out of descriptors, or the like: the next client may have more luck.
			g.log.Error("accepting a client", "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		w, in := g.arrived(conn)
		switch {
		case w == nil:
			conn.Close()
		case in:
			g.running.Go(func() {
				defer g.left(conn, w)
				select {
				case <-w.turned:
					g.handle(ctx, conn, w)
					return
				case <-time.After(g.conf.Limits.Startup):
				case <-ctx.Done():
				}
				conn.Close()
			})
		default:
			go func() {
				conn.SetDeadline(time.Now().Add(time.Second))
				conn.Read(make([]byte, maxStartup)) // closing with bytes unread would throw the answer away
				conn.Write(appendError(nil, "FATAL", &refusal{code: "53300", text: "sorry, too many clients already", hint: "The gate's limit is in its config: limits: sessions."}))
				conn.Close()
			}()
		}
	}
}

// arrived counts conn among those who have not said who they are, and gives it a
// place, or that of one who gives way for it, as soon as that one is gone. Who has
// not said who they are gives way, the one who came first first: so nobody keeps
// the others out by connecting alone. All this is one step, as left is: whoever
// has a place, or waits for one, can be made to give way until they have said who
// they are. in is false if there is no room, and w nil if the gate is closing.
func (g *Gate) arrived(conn net.Conn) (w *waiting, in bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing.Load() {
		return nil, false
	}
	g.came++
	w = &waiting{turn: g.came, unknown: true, turned: make(chan struct{})}
	switch {
	case g.taken < g.conf.Limits.Sessions:
		g.taken++
		w.take()
	case g.makeRoom():
		g.queue = append(g.queue, w)
	default:
		return w, false
	}
	g.pending[conn] = w
	return w, true
}

// left is of a connection that is over. Whoever waits longest has its place.
func (g *Gate) left(conn net.Conn, w *waiting) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.pending, conn)
	switch {
	case !w.placed:
		g.queue = slices.DeleteFunc(g.queue, func(q *waiting) bool { return q == w })
	case len(g.queue) > 0:
		g.queue[0].take()
		g.queue = slices.Delete(g.queue, 0, 1)
	default:
		g.taken--
	}
}

// makeRoom ends the connection that has waited longest without saying who it is
// of; false: there is none. The caller holds the lock.
func (g *Gate) makeRoom() bool {
	var first net.Conn
	for conn, came := range g.pending {
		if came.unknown && (first == nil || came.turn < g.pending[first].turn) {
			first = conn
		}
	}
	if first == nil {
		return false
	}
	w := g.pending[first]
	delete(g.pending, first)
	first.Close()
	if !w.placed { // it leaves the queue to whoever it makes room for
		g.queue = slices.DeleteFunc(g.queue, func(q *waiting) bool { return q == w })
		close(w.turned)
	}
	g.log.Debug("all places are taken: a client who had not said who it is has lost its own")
	return true
}

// Close ends every session and waits for them. Their last entries are in the
// ledger when it returns.
func (g *Gate) Close() {
	g.closing.Store(true)
	g.mu.Lock()
	for conn := range g.pending {
		conn.Close()
	}
	for _, s := range g.sessions {
		s.shut()
	}
	g.mu.Unlock()
	g.running.Wait()
	g.ended.Do(func() {
		if g.loop != nil {
			g.loop.end()
		}
		g.looks.turn.Lock()
		defer g.looks.turn.Unlock()
		g.looks.end()
	})
}

// handle carries one connection from its first byte to its end.
func (g *Gate) handle(ctx context.Context, conn net.Conn, w *waiting) {
	defer conn.Close()
	raw := conn
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetNoDelay(true)
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4})
	}
	conn.SetDeadline(time.Now().Add(g.conf.Limits.Startup))
	conn, h, err := greet(conn, g.tls, g.conf.TLS.Require)
	if err != nil {
		var se *startupError
		var ce *tls.CertificateVerificationError
		switch {
		case errors.As(err, &se):
			g.turnAway(g.identify(conn), 0, "protocol")
			fatal(conn, se)
		case errors.As(err, &ce):
			g.turnAway(g.identify(raw), 0, "certificate")
		}
		return
	}
	if h.cancel {
		g.cancelFor(h)
		return
	}
	a := g.identify(conn)
	a.waiting = w
	s, reason, err := g.admitClient(ctx, conn, h, a)
	if err != nil {
		var se *startupError
		if !errors.As(err, &se) {
			return // it went away: that is no refusal
		}
		if reason == "upstream" {
			g.log.Warn("a client did not get in", "endpoint", a.endpoint, "role", g.principals[h.params["user"]].Role, "error", upstreamReason(err), "hint", upstreamRemedy(err))
		}
		g.turnAway(a, g.staffOf(h), reason)
		fatal(conn, se)
		return
	}
	conn.SetDeadline(time.Time{})
	defer func() {
		if s.upstream != nil {
			g.backends.over(s.upstream.PID)
		}
		s.frees()
	}()
	defer s.hangUp()
	late := s.upstream == nil
	if !late {
		s.ride(g.loop)
	}
	g.mu.Lock()
	delete(g.pending, raw)
	if g.closing.Load() {
		g.mu.Unlock()
		return
	}
	if late {
		s.asleep = conn
	}
	if t, ok := conn.(*tls.Conn); ok && g.revoked != nil {
		s.chains = t.ConnectionState().VerifiedChains
	}
	number := uint32(0)
	if !late {
		number = s.upstream.PID
	}
	s.key = g.newCancelKey(h.minor, number)
	g.sessions[s.key.pid] = s
	if su := g.suspended.Load(); su != nil { // it may have come since the client was let in
		if why := su.shuts(s); why != nil {
			s.contain(why)
		}
	}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.sessions, s.key.pid)
		g.mu.Unlock()
	}()
	if err := s.welcome(); err != nil {
		return
	}
	if late {
		if !s.wake(ctx, conn) {
			return
		}
		s.ride(g.loop)
		g.mu.Lock()
		s.asleep = nil
		over := g.closing.Load() || s.ending.Load() != nil
		g.mu.Unlock()
		if over { // told so while it was being connected
			s.shut()
		}
	}
	s.serve()
}

// An arrival is what is known of a client before it says who it is.
type arrival struct {
	endpoint string
	verified bool
	address  netip.Addr
	tls      bool
	waiting  *waiting
}

// waiting is a connection that is no session yet.
type waiting struct {
	turn    uint64        // which connection it is, since the gate began
	unknown bool          // it has not proven who it is
	placed  bool          // it has one of the places, and gives it back
	turned  chan struct{} // closed when it has, or never will
}

// take gives it a place.
func (w *waiting) take() {
	w.placed = true
	close(w.turned)
}

func addressOf(conn net.Conn) netip.Addr {
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}

// identify names the endpoint: by its certificate, or as unverified.
func (g *Gate) identify(conn net.Conn) *arrival {
	a := &arrival{address: addressOf(conn)}
	a.endpoint = "unverified@" + a.address.String()
	if !a.address.IsValid() {
		a.endpoint = "unverified@local"
	}
	if t, ok := conn.(*tls.Conn); ok {
		a.tls = true
		if chains := t.ConnectionState().VerifiedChains; len(chains) > 0 {
			if name := chains[0][0].Subject.CommonName; name != "" && !strings.HasPrefix(name, "unverified@") {
				a.endpoint, a.verified = name, true
			}
		}
	}
	return a
}

func (g *Gate) staffOf(h *hello) uint32 {
	if _, ok := g.principals[h.params["user"]]; !ok {
		return 0
	}
	return g.vault.Space("staff").OfText([]byte(h.params["user"]))
}

// turnAway records that a client did not get in, or counts it if there were too
// many, and delays the answer to one that tries again and again.
func (g *Gate) turnAway(a *arrival, staff uint32, reason string) {
	v := g.tries.failed(a.address, time.Now())
	if v.before > 0 {
		g.log.Warn("failed tries to log in were not recorded one by one", "tries", v.before)
	}
	if v.first {
		g.log.Warn("too many failed tries to log in: more of them in this minute are counted and not recorded", "endpoint", a.endpoint)
	}
	defer time.Sleep(v.delay)
	if !v.record {
		return
	}
	g.note(&sekisho.SessionRefused{Door: sekisho.DoorGate, Principal: staff, Endpoint: a.endpoint, Address: a.address, Reason: reason})
}

// admitClient authenticates the client and connects it upstream. reason is the
// code for the ledger when it fails.
func (g *Gate) admitClient(ctx context.Context, conn net.Conn, h *hello, a *arrival) (s *session, reason string, err error) {
	if err := h.negotiate(conn); err != nil {
		return nil, "", err
	}
	settings, err := h.settings(g.transparent())
	if err != nil {
		return nil, "protocol", err
	}
	user := h.params["user"]
	p, known := g.principals[user]
	if err := g.authenticate(conn, user, p, known); err != nil {
		if !known {
			return nil, "unknown_principal", err
		}
		return nil, "password", err
	}
	g.mu.Lock()
	a.waiting.unknown = false
	g.mu.Unlock()
	if h.params["database"] != g.conf.Upstream.Database {
		return nil, "database", &startupError{"3D000", fmt.Sprintf("database %q does not exist", clip(h.params["database"])), "This gate leads to one database: " + g.conf.Upstream.Database + "."}
	}
	role := g.conf.Roles[p.Role]
	s = &session{g: g, role: &role, roleName: p.Role, speaks: p.SpeaksFor}
	if why := s.started(settings); why != nil {
		return nil, "protocol", &startupError{why.code, why.text, why.hint}
	}
	delete(settings, "tcp_user_timeout")
	if v, ok := settings["fallback_application_name"]; ok {
		delete(settings, "fallback_application_name")
		if settings["application_name"] == "" {
			settings["application_name"] = v
		}
	}
	s.client, s.route, s.relays = conn, &route{role.Login, settings}, g.transparent()
	s.principal = g.vault.Space("staff").OfText([]byte(user))
	s.out, s.log = newOutbox(conn), g.log.With("endpoint", a.endpoint, "role", p.Role)
	s.stmts, s.portals, s.hidden = map[string]*prepared{}, map[string]*portal{}, map[string]*byName{}
	if why := g.admits(s, a); why != nil {
		return nil, "contained", why
	}
	first := g.templates.get(s.route.key(), time.Now())
	if first == nil || !s.route.mayWait() || s.reserves() {
		if first, err = s.reachUpstream(ctx); err != nil {
			s.frees()
			return nil, "upstream", err
		}
	}
	s.told, s.notices = s.route.statuses(first), first.notices
	s.opened = &sekisho.SessionOpened{
		Door: sekisho.DoorGate, Principal: s.principal, Role: p.Role,
		Endpoint: a.endpoint, Verified: a.verified, Address: a.address, TLS: a.tls,
	}
	if app := settings["application_name"]; app != "" {
		s.opened.Application = g.vault.Space("application").OfText([]byte(app))
	}
	s.asking = act.Request{
		Principal: user, Role: p.Role, Post: p.Post, Company: p.Company,
		Endpoint: a.endpoint, Verified: a.verified, Address: a.address,
	}
	s.asking.Place = g.conf.Policy.PlaceOf(a.address)
	s.latestOf = s.first.now
	s.latest, _ = s.says(&s.first.now, nil)
	s.serves(s.latest)
	s.out.refused = func() { g.sick.Store(true) }
	s.out.over = func() { s.server.Close() }
	s.out.leftOut = func(numbers []uint64, released uint64) {
		for i, n := range numbers {
			if i == 0 || n != numbers[i-1] {
				s.closeAccess(n, sekisho.Unrecorded, released, "53100")
			}
		}
	}
	for _, is := range s.told {
		s.safe(is.name, is.value)
	}
	if err := s.announce(); err != nil {
		// Unprotected work goes on. Every statement over protected data tries
		// again, and is refused while this fails.
		s.log.Warn("a session without its entry", "error", err)
	}
	return s, "", nil
}

// speak is what a client may read of an upstream refusal.
func speak(pe *pgconn.PgError) string {
	switch pe.Code {
	case "53300":
		return "it has too many connections"
	case "57P03":
		return "it is starting up or shutting down"
	}
	return "SQLSTATE " + pe.Code
}

// ofASetting: the server does not like a setting that the client has stated, so
// that the words and the value are the client's own, and it reads what it would
// without a gate.
func ofASetting(pe *pgconn.PgError) bool {
	switch pe.Code {
	case "22023", "42704", "42601", "55P02":
		return true
	}
	return pe.Code == "42501" && strings.HasPrefix(pe.Message, "permission denied to set parameter")
}

// upstreamReason is what the log may hold of a failed connection upstream: the
// server's words can repeat what a client sent as a setting.
func upstreamReason(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return "SQLSTATE " + pe.Code
	}
	return err.Error()
}

// upstreamRemedy is what whoever runs sekisho does about it.
func upstreamRemedy(err error) string {
	var pe *pgconn.PgError
	switch {
	case !errors.As(err, &pe):
		return "look whether the database is up, and gate.upstream of the config: sekisho doctor"
	case pe.Code == "28P01":
		return "the role's password_file does not hold what the database knows: write the password of now into it, beside it and renamed over it; nothing is restarted"
	case strings.HasPrefix(pe.Code, "28"):
		return "let the role's login in from here, in pg_hba.conf: sekisho doctor"
	case pe.Code == "53300":
		return "the database has no more connections to give: max_connections, or the login's CONNECTION LIMIT"
	}
	return "sekisho doctor tries each login and says more"
}

// purpose is the purpose of a session that states one, or none.
func (r *Role) purpose(stated string) (string, error) {
	if stated == "" {
		if len(r.Purposes) > 0 {
			return r.Purposes[0], nil
		}
		return "", nil
	}
	for _, p := range r.Purposes {
		if p == stated {
			return p, nil
		}
	}
	hint := "Use one of: " + strings.Join(r.Purposes, ", ") + "."
	if len(r.Purposes) == 0 {
		hint = "State none: the config lists no purposes for this role. Whoever keeps it adds them to the role (gate.roles, purposes)."
	}
	return "", &startupError{"22023", "this role knows no such purpose", hint}
}

// authenticate runs SCRAM. For a name that nobody has it goes through the same
// steps, and fails at the same one.
func (g *Gate) authenticate(conn net.Conn, user string, p principal, known bool) error {
	denied := &startupError{"28P01", fmt.Sprintf("password authentication failed for user %q", clip(user)), ""}
	sc := scramServer{verifier: p.verifier}
	if !known {
		sc.verifier = g.mock.verifier(user)
	}
	mechanisms := []string{scramPlain}
	if _, ok := conn.(*tls.Conn); ok && g.binding != nil {
		sc.binding = g.binding
		mechanisms = []string{scramPlus, scramPlain}
	}
	msg, err := (&pgproto3.AuthenticationSASL{AuthMechanisms: mechanisms}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	body, err := readPassword(conn)
	if err != nil {
		return err
	}
	mechanism, rest, ok := cut0(body)
	if !ok || len(rest) < 4 || int(int32(binary.BigEndian.Uint32(rest))) != len(rest)-4 {
		return &startupError{"08P01", "malformed SASL message", ""}
	}
	answer, err := sc.first(mechanism, rest[4:])
	if err != nil {
		return &startupError{"28000", err.Error(), ""}
	}
	if msg, err = (&pgproto3.AuthenticationSASLContinue{Data: answer}).Encode(nil); err != nil {
		return err
	}
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	if body, err = readPassword(conn); err != nil {
		return err
	}
	answer, err = sc.final(body)
	if err != nil || !known {
		if errors.Is(err, errScram) {
			return &startupError{"28000", err.Error(), ""}
		}
		return denied
	}
	if msg, err = (&pgproto3.AuthenticationSASLFinal{Data: answer}).Encode(nil); err != nil {
		return err
	}
	_, err = conn.Write(msg)
	return err
}

// readPassword reads one message of type p.
func readPassword(conn net.Conn) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'p' || size < 4 || size > maxSASL {
		return nil, &startupError{"08P01", "expected a SASL response", ""}
	}
	body := make([]byte, size-4)
	_, err := io.ReadFull(conn, body)
	return body, err
}

func fatal(conn net.Conn, e *startupError) {
	conn.Write(appendError(nil, "FATAL", &refusal{code: e.code, text: e.text, hint: e.hint}))
}

// welcome tells the client that it is in: the server's own settings, and a
// cancel key of the gate's.
func (s *session) welcome() error {
	msg, _ := (&pgproto3.AuthenticationOk{}).Encode(nil)
	for _, is := range s.told {
		msg, _ = (&pgproto3.ParameterStatus{Name: is.name, Value: is.value}).Encode(msg)
	}
	msg, _ = (&pgproto3.BackendKeyData{ProcessID: s.key.pid, SecretKey: s.key.secret}).Encode(msg)
	if s.g.transparent() {
		msg = append(msg, s.notices...)
	}
	msg, _ = (&pgproto3.ReadyForQuery{TxStatus: 'I'}).Encode(msg)
	if s.notices = nil; s.upstream != nil {
		s.told = nil
	}
	c := newChunk(len(msg))
	c.buf = append(c.buf[:0], msg...)
	return s.out.put(c, nil, goroutine)
}

// quiet makes sure that nobody else reads from the connection. While it was
// made, a write that took long (15 ms: a busy machine is enough) has left a
// reader of pgconn's own behind, which would swallow the first reply. A read
// that runs out of time ends it; the Frontend's waits until it has ended.
func quiet(up *pgconn.HijackedConn) error {
	if err := up.Conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return err
	}
	for {
		_, err := up.Frontend.Receive() // at most a notice of the server's: nothing was asked
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return up.Conn.SetReadDeadline(time.Time{})
		}
		if err != nil {
			return err
		}
	}
}
