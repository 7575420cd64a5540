package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"sekisho"
)

// A client that is in and asks nothing needs no connection upstream: but for the
// first few, which get theirs while they log in, it gets one when it sends its
// first byte. What the server would have told it at the
// start is known from a connection of the same login with the same settings
// that was made before; where the server says something else when it is asked
// at last, the client is told so before its first answer.

// setting is a run-time parameter as the server reports it.
type setting struct{ name, value string }

// A template is what the server last said at the start of a connection.
type template struct {
	statuses []setting // in the server's order
	notices  []byte    // whole messages
	seen     time.Time
}

// templateAge is how long a template is believed without being seen again, and
// mostTemplates how many are kept: clients choose the settings.
const (
	templateAge   = 10 * time.Minute
	mostTemplates = 256
)

type templates struct {
	mu sync.Mutex
	by map[string]*template
}

func (ts *templates) get(key string, now time.Time) *template {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.by[key]
	if t == nil || now.Sub(t.seen) > templateAge {
		return nil
	}
	return t
}

func (ts *templates) put(key string, t *template) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.by == nil || len(ts.by) >= mostTemplates {
		ts.by = map[string]*template{}
	}
	ts.by[key] = t
}

// clear forgets all: the database cannot be reached, or refused somebody, and
// who comes next shall hear of it while connecting.
func (ts *templates) clear() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	clear(ts.by)
}

// A route is how a session gets its connection upstream.
type route struct {
	login    Login
	settings map[string]string
}

// key names the template for these settings. The application's name is the
// client's own and comes back as it was sent.
func (r *route) key() string {
	var b strings.Builder
	b.WriteString(r.login.User)
	for _, k := range slices.Sorted(maps.Keys(r.settings)) {
		v := r.settings[k]
		if k == "application_name" {
			v = ""
		}
		b.WriteString("\x00" + k + "\x00" + v)
	}
	return b.String()
}

// mayWait: nothing that the server would do by itself depends on when it hears
// of the client.
func (r *route) mayWait() bool {
	if r.settings["idle_session_timeout"] != "" {
		return false
	}
	app := r.settings["application_name"]
	if len(app) > 63 { // NAMEDATALEN: the server cuts it
		return false
	}
	for i := range len(app) {
		if app[i] < ' ' || app[i] > '~' { // the server writes such letters otherwise
			return false
		}
	}
	return true
}

// reserves says whether the session is one of the limits.at_once that are
// connected as they log in, and takes one of the places if it is, which frees
// gives back.
func (s *session) reserves() bool {
	if s.early = s.g.early.Add(1) <= int64(s.g.conf.Limits.AtOnce); !s.early {
		s.g.early.Add(-1)
	}
	return s.early
}

// frees gives back the session's place among limits.at_once, if it has one.
func (s *session) frees() {
	if s.early {
		s.early = false
		s.g.early.Add(-1)
	}
}

// statuses are those of the template, with the client's own name.
func (r *route) statuses(t *template) []setting {
	told := slices.Clone(t.statuses)
	if app, ok := r.settings["application_name"]; ok {
		for i := range told {
			if told[i].name == "application_name" {
				told[i].value = app
			}
		}
	}
	return told
}

// attach gives the session its connection upstream.
func (s *session) attach(up *pgconn.HijackedConn) *template {
	s.server, s.upstream = up.Conn, up
	first, _ := up.CustomData[openingKey].(*opening)
	t := &template{seen: time.Now()}
	if first != nil {
		t.notices = first.notices
		for _, name := range first.names {
			t.statuses = append(t.statuses, setting{name, up.ParameterStatuses[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(up.ParameterStatuses)) {
		if !slices.ContainsFunc(t.statuses, func(x setting) bool { return x.name == name }) {
			t.statuses = append(t.statuses, setting{name, up.ParameterStatuses[name]})
		}
	}
	s.g.templates.put(s.route.key(), t)
	return t
}

// reachUpstream connects a session. The error is what the client may read.
func (s *session) reachUpstream(ctx context.Context) (*template, error) {
	up, err := s.g.connect(ctx, s.route.login, s.route.settings)
	if err == nil {
		return s.attach(up), nil
	}
	s.g.templates.clear()
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		if ofASetting(pe) {
			return nil, errors.Join(&startupError{pe.Code, pe.Message, pe.Hint}, err)
		}
		// The server's own words would name the upstream login.
		return nil, errors.Join(&startupError{pe.Code, "the database refused the gate's connection: " + speak(pe), "Ask whoever runs sekisho: the gate's log says more."}, err)
	}
	return nil, errors.Join(&startupError{"08006", "the gate cannot reach the database", "Ask whoever runs sekisho: the gate's log says more."}, err)
}

// wake waits for the client's first byte, and then connects the session. False:
// the session has ended, and its end is recorded. conn is the client's
// connection, with TLS if it has that.
func (s *session) wake(ctx context.Context, conn net.Conn) bool {
	first, err := firstByte(conn)
	reason, why := "", error(nil)
	switch {
	case s.g.closing.Load():
		reason, why = "shutdown", &startupError{"57P01", "terminating connection: the gate is shutting down", ""}
	case s.ending.Load() != nil:
		end := s.ending.Load()
		reason, why = end.reason, &startupError{end.why.code, end.why.text, end.why.hint}
	case err != nil:
		reason = "client_gone"
	case first == 'X':
		reason = "terminate"
	default:
		if _, tls := conn.(syscall.Conn); !tls {
			s.client = &unread{Conn: conn, first: []byte{first}}
		}
		reaching, stop := context.WithTimeout(ctx, s.g.conf.Limits.Startup)
		fresh, failed := s.reachUpstream(reaching)
		stop()
		if failed == nil {
			return s.tellDifferences(fresh)
		}
		if reason, why = "upstream", failed; s.g.closing.Load() {
			reason = "shutdown"
		}
		s.log.Warn("a client's connection upstream could not be made", "error", upstreamReason(failed), "hint", upstreamRemedy(failed))
	}
	var se *startupError
	if errors.As(why, &se) {
		conn.SetDeadline(time.Now().Add(2 * time.Second))
		fatal(conn, se)
		drop(conn)
	}
	s.closed(reason)
	return false
}

// drop reads what a client has sent already: closing with bytes unread would
// throw the last words to it away.
func drop(conn net.Conn) {
	conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
}

// tellDifferences tells the client of settings that are not as it was told.
func (s *session) tellDifferences(fresh *template) bool {
	var msg []byte
	for _, is := range fresh.statuses {
		if !slices.Contains(s.told, is) {
			msg = appendMessage(msg, 'S', is.name+"\x00"+is.value+"\x00")
		}
		s.safe(is.name, is.value)
	}
	s.told = nil
	if len(msg) == 0 {
		return true
	}
	c := newChunk(len(msg))
	c.buf = append(c.buf[:0], msg...)
	return s.out.put(c, nil, goroutine) == nil
}

// firstByte waits for a byte of the client's with nothing but its goroutine. A
// connection without TLS keeps the byte.
func firstByte(conn net.Conn) (byte, error) {
	var b [1]byte
	sc, ok := conn.(syscall.Conn)
	if !ok {
		_, err := io.ReadFull(conn, b[:])
		return b[0], err
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, failed = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if failed != unix.EINTR {
				return failed != unix.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, fmt.Errorf("reading: %w", failed)
	case n == 0:
		return 0, io.EOF
	}
	return b[0], nil
}

// closed records that a session has ended which never reached the server.
func (s *session) closed(reason string) {
	if id := s.id.Load(); id != 0 {
		s.g.note(&sekisho.SessionClosed{Session: id, Reason: reason, Bytes: s.out.bytesSent()})
	}
}

// openingKey is where a connection keeps what was heard at its start.
const openingKey = "sekisho opening"

// An opening listens to the start of a connection upstream: pgconn keeps the
// settings without their order, and no notices.
type opening struct {
	r       io.Reader
	partial []byte
	names   []string
	notices []byte
	over    bool
}

// mostOpening bounds what is kept of it; a server says much less.
const mostOpening = 64 << 10

func (o *opening) Read(b []byte) (int, error) {
	n, err := o.r.Read(b)
	if !o.over {
		o.hear(b[:n])
	}
	return n, err
}

// hear takes note of whole messages.
func (o *opening) hear(b []byte) {
	o.partial = append(o.partial, b...)
	for len(o.partial) >= 5 && !o.over {
		size := uint64(be.Uint32(o.partial[1:])) + 1
		if size < 5 || size > mostOpening {
			o.over = true
			break
		}
		if uint64(len(o.partial)) < size {
			break
		}
		msg := o.partial[:size]
		o.partial = o.partial[size:]
		switch msg[0] {
		case 'S':
			if name, _, ok := bytes.Cut(msg[5:], []byte{0}); ok && !slices.Contains(o.names, string(name)) && len(o.names) < 256 {
				o.names = append(o.names, string(name))
			}
		case 'N':
			if len(o.notices)+len(msg) <= mostOpening {
				o.notices = append(o.notices, msg...)
			}
		case 'Z':
			o.over = true
		}
	}
	if o.over || len(o.partial) > mostOpening {
		o.over, o.partial = true, nil
	}
}
