package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
)

// backendsOf is how many connections of the house's gate the server has as this
// login, beside the reader's.
func (h *house) backendsOf(login string) (n int) {
	h.t.Helper()
	out, err := cluster.SQL(context.Background(), "postgres", fmt.Sprintf("select count(*) from pg_stat_activity where datname = '%s' and usename = '%s'", h.dbname, login))
	if err != nil {
		h.t.Fatal(err)
	}
	fmt.Sscan(out, &n)
	return n
}

// reasons are why sessions ended, in the ledger's order.
func (h *house) reasons() (all []string) {
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.SessionClosed); ok {
			all = append(all, b.Reason)
		}
	}
	return all
}

// late: every client but the first is connected with its first statement.
func late(o *options) { o.gate.Limits.AtOnce = -1 }

func TestIdleClientsHaveNoConnectionUpstream(t *testing.T) {
	h := newHouse(t, late)
	ctx := context.Background()
	first := h.connect("sato") // what the server says at the start is learnt from this one
	if n := h.backendsOf("staff"); n != 1 {
		t.Fatalf("%d connections for the first client", n)
	}
	h.connect("sato", "application_name='daily report'").Close(ctx) // and what it says to those who give a name
	eventually(t, "its connection has ended", func() bool { return h.backendsOf("staff") == 1 })
	root := strings.Replace(h.dsn("sato"), "sslmode=disable", "sslmode=verify-full sslrootcert="+h.ca.file, 1)
	for _, dsn := range []string{h.dsn("sato"), h.dsn("sato", "application_name='monthly report'"), root} {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"server_version", "TimeZone", "DateStyle", "integer_datetimes", "session_authorization"} {
			if got, want := conn.PgConn().ParameterStatus(name), first.PgConn().ParameterStatus(name); got != want || want == "" {
				t.Errorf("the server's %s is %q, and this client was told %q", name, want, got)
			}
		}
		if got := conn.PgConn().ParameterStatus("application_name"); got != conn.Config().RuntimeParams["application_name"] {
			t.Errorf("application_name: %q", got)
		}
		if n := h.backendsOf("staff"); n != 1 {
			t.Errorf("%d connections while the second client asks nothing", n)
		}
		// A cancel has nothing to cancel.
		if err := conn.PgConn().CancelRequest(ctx); err != nil {
			t.Error(err)
		}
		var name string
		if err := conn.QueryRow(ctx, "select name from crm.member where member_no = $1", 1001).Scan(&name); err != nil || name != "name1" {
			t.Errorf("%q, %v", name, err)
		}
		if n := h.backendsOf("staff"); n != 2 {
			t.Errorf("%d connections once it has asked", n)
		}
		conn.Close(ctx)
		eventually(t, "the server's connection has ended, too", func() bool { return h.backendsOf("staff") == 1 })
	}
	// One who leaves without a word costs the server nothing either.
	quiet, err := pgx.Connect(ctx, h.dsn("sato"))
	if err != nil {
		t.Fatal(err)
	}
	quiet.Close(ctx)
	gone, err := pgconn.Connect(ctx, h.dsn("sato"))
	if err != nil {
		t.Fatal(err)
	}
	gone.Conn().Close()
	eventually(t, "both ends are in the ledger", func() bool {
		r := strings.Join(h.reasons(), " ")
		return r == strings.Repeat("terminate ", 5)+"client_gone" || r == strings.Repeat("terminate ", 4)+"client_gone terminate"
	})
}

// What the server says otherwise when it is asked at last, the client is told
// before its first answer.
func TestSettingsThatChangedMeanwhile(t *testing.T) {
	h := newHouse(t, late)
	ctx := context.Background()
	h.connect("sato")
	conn := h.connect("sato")
	was := conn.PgConn().ParameterStatus("DateStyle")
	if _, err := cluster.SQL(ctx, "postgres", "alter database "+h.dbname+" set datestyle = 'German, DMY'"); err != nil {
		t.Fatal(err)
	}
	var date string
	if err := conn.QueryRow(ctx, "select date '2014-09-22'::text").Scan(&date); err != nil || date != "22.09.2014" {
		t.Errorf("%q, %v", date, err)
	}
	if is := conn.PgConn().ParameterStatus("DateStyle"); was != "ISO, MDY" || is != "German, DMY" {
		t.Errorf("it was told %q, and then %q", was, is)
	}
	if is := h.connect("sato").PgConn().ParameterStatus("DateStyle"); is != "German, DMY" {
		t.Errorf("the next client was told %q", is)
	}
}

// A connection that cannot be made is told at the first statement, and the next
// client hears it while connecting.
func TestLateConnectionThatFails(t *testing.T) {
	h := newHouse(t, late)
	ctx := context.Background()
	h.connect("sato")
	conn, secure := h.connect("sato"), h.connect("sato", "sslmode=require")
	if _, err := cluster.SQL(ctx, "postgres", "alter role staff nologin"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.SQL(ctx, "postgres", "alter role staff login") })
	for _, c := range []*pgx.Conn{conn, secure} {
		var pe *pgconn.PgError
		if _, err := c.Exec(ctx, "select name from crm.member"); !errors.As(err, &pe) || pe.Severity != "FATAL" || pe.Code != "28000" || strings.Contains(pe.Message, "staff") {
			t.Errorf("the first statement: %v", err)
		}
	}
	if _, err := pgx.Connect(ctx, h.dsn("sato")); sqlstate(err) != "28000" {
		t.Errorf("the next client: %v", err)
	}
	eventually(t, "the ledger says why", func() bool { return strings.Join(h.reasons(), " ") == "upstream upstream" })
}

// A gate that closes says so to those who never asked anything.
func TestIdleClientsAtTheEnd(t *testing.T) {
	h := newHouse(t, late)
	h.connect("sato")
	var idle []*pgx.Conn
	for _, more := range []string{"", "sslmode=require"} {
		idle = append(idle, h.connect("sato", more))
	}
	h.stop()
	for _, c := range idle {
		if _, err := c.Exec(context.Background(), "select 1"); sqlstate(err) != "57P01" {
			t.Errorf("%v", err)
		}
	}
	for _, r := range h.reasons() {
		if r != "shutdown" {
			t.Errorf("a session ended by %s", r)
		}
	}
}

// An idle client costs the gate less than 40 KiB, with TLS or without: 5,000 of
// them, less than 200 MiB. What the client's own end takes is counted with it.
// SEKISHO_TEST_IDLE says how many there are.
func TestIdleClientsAreSmall(t *testing.T) {
	const most = 40 << 10
	n := 300
	if all := os.Getenv("SEKISHO_TEST_IDLE"); all != "" {
		var err error
		if n, err = strconv.Atoi(all); err != nil {
			t.Fatalf("SEKISHO_TEST_IDLE: %v", err)
		}
	}
	h := newHouse(t, func(o *options) { o.gate.Limits.Sessions, o.log = n+10, io.Discard })
	for _, mode := range []string{"sslmode=disable", "sslmode=require"} {
		h.connect("sato", mode)
		before := inUse()
		conns := make([]net.Conn, 0, n)
		for range n {
			c, err := pgconn.Connect(context.Background(), h.dsn("sato", mode))
			if err != nil {
				t.Fatal(err)
			}
			up, err := c.Hijack()
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, up.Conn)
		}
		if each := (inUse() - before) / n; each > most {
			t.Errorf("%s: %d bytes for each client", mode, each)
		} else {
			t.Logf("%s: %d bytes for each client, its own end included", mode, each)
		}
		for _, c := range conns {
			c.Close()
		}
		eventually(t, "they are gone", func() bool {
			h.gate.mu.Lock()
			defer h.gate.mu.Unlock()
			return len(h.gate.sessions) < 5
		})
	}
}

// inUse is the memory that holds what is alive.
func inUse() int {
	for range 2 { // the second shrinks what the first has emptied
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// Cancel keys are as long as the client's protocol lets them be.
func TestProtocolVersions(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	for _, c := range []struct {
		more   string
		secret int
	}{{"max_protocol_version=3.0", 4}, {"max_protocol_version=3.2", 32}, {"max_protocol_version=3.2 sslmode=require", 32}} {
		conn, err := pgconn.Connect(ctx, h.dsn("sato", c.more))
		if err != nil {
			t.Errorf("%s: %v", c.more, err)
			continue
		}
		if got := len(conn.SecretKey()); got != c.secret {
			t.Errorf("%s: a key of %d bytes", c.more, got)
		}
		end := make(chan error, 1)
		go func() { end <- conn.Exec(ctx, "select pg_sleep(60)").Close() }()
		eventually(t, "the statement runs", func() bool {
			out, _ := cluster.SQL(ctx, "postgres", "select count(*) from pg_stat_activity where datname = '"+h.dbname+"' and wait_event = 'PgSleep'")
			return strings.TrimSpace(out) == "1"
		})
		// Another's key cancels nothing, though it begins alike.
		if other, err := net.Dial("tcp", h.addr); err != nil {
			t.Error(err)
		} else {
			key := append([]byte(nil), conn.SecretKey()...)
			key[len(key)-1]++
			msg := be.AppendUint32(be.AppendUint32(be.AppendUint32(nil, uint32(12+len(key))), codeCancel), conn.PID())
			other.Write(append(msg, key...))
			other.Read(make([]byte, 1))
			other.Close()
		}
		select {
		case err := <-end:
			t.Errorf("%s: cancelled by a wrong key: %v", c.more, err)
		case <-time.After(50 * time.Millisecond):
		}
		if err := conn.CancelRequest(ctx); err != nil { // over TLS, if the connection is
			t.Error(err)
		}
		select {
		case err := <-end:
			if sqlstate(err) != "57014" {
				t.Errorf("%s: %v", c.more, err)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: it was not cancelled", c.more)
		}
		conn.Close(ctx)
	}
}

// The gate's own CancelRequest is encrypted where its connection is: whoever
// reads the key could cancel, too.
func TestCancelGoesUpstreamEncrypted(t *testing.T) {
	h := newHouse(t)
	cert, key := h.ca.server(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan *hello, 1)
	go func() { // a server that takes TLS only
		first, err := l.Accept() // the session's own
		if err != nil {
			return
		}
		defer first.Close()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn, said, err := greet(conn, &tls.Config{Certificates: []tls.Certificate{pair}}, true)
		if _, secure := conn.(*tls.Conn); err != nil || !secure {
			t.Errorf("%T, %v", conn, err)
		}
		got <- said
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pool := x509.NewCertPool()
	pool.AddCert(h.ca.cert)
	up := &pgconn.HijackedConn{Conn: conn, PID: 77, SecretKey: []byte("a key of more than four bytes"), Config: &pgconn.Config{}}
	up.Config.TLSConfig = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	if err := h.gate.cancelServer(ctx, up); err != nil {
		t.Error(err)
	}
	if said := <-got; said == nil || !said.cancel || said.pid != 77 || string(said.cancelKey) != string(up.SecretKey) {
		t.Errorf("the server heard %+v", said)
	}
}

// A gate whose reader's password is changed goes on: the next connection reads
// the file again.
func TestReadersPasswordTurnsOver(t *testing.T) {
	ctx := context.Background()
	sql := func(db, text string) string {
		out, err := cluster.SQL(ctx, db, text)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	file := filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("upstream")
	h := newHouse(t, func(o *options) { o.gate.Upstream.Reader.PasswordFile = file })
	sql("postgres", "alter role reader password 'another'")
	t.Cleanup(func() { sql("postgres", "alter role reader password 'upstream'") })
	// Its connection ends, as at a restart of the server.
	for _, password := range []string{"upstream", "another"} {
		write(password)
		sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'")
	}
	eventually(t, "the reader is back", func() bool { return h.backendsOf("reader") == 1 })
	sql(h.dbname, "create table crm.new (a int); grant select on crm.new to staff")
	if got := h.psql("sato", "select count(*) from crm.new"); got != "0\n" {
		t.Errorf("of a table that the reader had to look up: %q", got)
	}
}
