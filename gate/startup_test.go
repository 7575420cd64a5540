package gate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
)

// startup makes a startup packet: version, then names and values.
func startup(version uint32, pairs ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, p := range pairs {
		body = append(append(body, p...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// knock sends bytes to the gate and gives what it answers until it closes or
// asks for a password.
func (h *house) knock(packet []byte) string {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	conn.Write(packet)
	var got []byte
	b := make([]byte, 4096)
	for {
		n, err := conn.Read(b)
		got = append(got, b[:n]...)
		if err != nil || bytes.Contains(got, []byte("SCRAM-SHA-256")) {
			if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
				h.t.Errorf("after %q: %v", got, err)
			}
			return string(got)
		}
	}
}

func TestFirstPackets(t *testing.T) {
	h := newHouse(t)
	ssl := []byte{0, 0, 0, 8, 4, 210, 22, 47}
	gss := []byte{0, 0, 0, 8, 4, 210, 22, 48}
	me := []string{"user", "sato", "database", h.dbname}
	with := func(more ...string) []byte { return startup(3<<16, append(me[:4:4], more...)...) }
	for _, c := range []struct {
		name   string
		packet []byte
		want   string // somewhere in the answer; empty: no answer at all
	}{
		{"in order", with(), "SCRAM-SHA-256"},
		{"nobody's name", startup(3<<16, "user", "nobody", "database", h.dbname), "SCRAM-SHA-256"},
		{"no user", startup(3<<16, "database", "x"), "C28000"},
		{"an empty user", startup(3<<16, "user", "", "database", "x"), "C28000"},
		{"a user twice", with("user", "root"), "C08P01"},
		{"a user twice, in capitals", with("USER", "root"), "C08P01"},
		{"bytes after the end", append([]byte{0, 0, 0, 31}, startup(3<<16, "user", "sato")[4:]...), ""},
		{"a value without an end", []byte{0, 0, 0, 16, 0, 3, 0, 0, 'u', 's', 'e', 'r', 0, 's', 'a', 't'}, "C08P01"},
		{"an odd number", startup(3<<16, "user", "sato", "database"), "C08P01"},
		{"too short", []byte{0, 0, 0, 7, 0, 3, 0, 0}, "C08P01"},
		{"too long", []byte{0, 1, 0, 0, 0, 3, 0, 0}, "C08P01"},
		{"huge", []byte{0x7f, 255, 255, 255, 0, 3, 0, 0}, "C08P01"},
		{"protocol 2", startup(2<<16, me...), "C0A000"},
		{"protocol 4", startup(4<<16, me...), "C0A000"},
		{"protocol 3.2", startup(3<<16|2, me...), "SCRAM-SHA-256"},
		{"protocol 3.1, which nobody speaks", startup(3<<16|1, me...), "SCRAM-SHA-256"},
		{"protocol 3.3", startup(3<<16|3, me...), "v\x00\x00\x00\x0c\x00\x03\x00\x02\x00\x00\x00\x00R"},
		{"grease", startup(3<<16|9999, append(me, "_pq_.test_protocol_negotiation", "")...), "v\x00\x00\x00\x2b\x00\x03\x00\x02\x00\x00\x00\x01_pq_.test_protocol_negotiation\x00R"},
		{"two options of 3.0 that nobody knows", with("_pq_.a", "1", "_pq_.b", "2"), "\x00\x03\x00\x00\x00\x00\x00\x02_pq_.a\x00_pq_.b\x00R"},
		{"replication", with("replication", "true"), "C0A000"},
		{"replication of a database", with("replication", "database"), "C0A000"},
		{"replication, refused by the client itself", with("replication", "off"), "SCRAM-SHA-256"},
		{"a parameter that is not on the list", with("session_preload_libraries", "x"), "C0A000"},
		{"options", with("options", `-c statement_timeout=5s --lock-timeout=1s -c application_name=a\ b`), "SCRAM-SHA-256"},
		{"options that are not on the list", with("options", "-c role=postgres"), "C0A000"},
		{"options that are switches", with("options", "-F"), "C0A000"},
		{"options without a value", with("options", "-c geqo"), "C42601"},
		{"an encoding in which SQL hides", with("client_encoding", "SJIS"), "C0A000"},
		{"GSSENCRequest", append(gss[:8:8], with()...), "SCRAM-SHA-256"},
		{"GSSENCRequest twice", append(gss[:8:8], gss...), "C08P01"},
		{"SSLRequest, then plaintext", append(ssl[:8:8], with()...), ""},
		{"SSLRequest twice", append(ssl[:8:8], ssl...), ""},
		{"a long SSLRequest", []byte{0, 0, 0, 9, 4, 210, 22, 47, 0}, "C08P01"},
		{"a cancel without a key", []byte{0, 0, 0, 12, 4, 210, 22, 46, 0, 0, 0, 1}, ""},
		{"a cancel for nobody", append([]byte{0, 0, 0, 16, 4, 210, 22, 46}, 0, 0, 0, 1, 0, 0, 0, 0), ""},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), "C08P01"},
	} {
		if c.name == "bytes after the end" {
			c.packet = startup(3<<16, "user", "sato")
			c.packet = append(c.packet, "x\x00"...)
			binary.BigEndian.PutUint32(c.packet, uint32(len(c.packet)))
			c.want = "C08P01"
		}
		got := h.knock(c.packet)
		if c.want == "" {
			got = strings.TrimPrefix(got, "S")
			if strings.Contains(got, "SCRAM") || strings.Contains(got, "R\x00") {
				t.Errorf("%s: it goes on: %q", c.name, got)
			}
			continue
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
	if got := h.psql("sato", "select 1"); got != "1\n" {
		t.Errorf("the next client: %q", got)
	}
}

func TestWhoDoesNotGetIn(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	try := func(dsn string) error {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			conn.Close(ctx)
		}
		return err
	}
	wrong := func(s, old, new string) string { return strings.Replace(s, old, new, 1) }
	for _, c := range []struct{ dsn, code string }{
		{wrong(h.dsn("sato"), "open sesame", "open barley"), "28P01"},
		{h.dsn("nobody"), "28P01"},
		{wrong(h.dsn("sato"), "dbname="+h.dbname, "dbname=postgres"), "3D000"},
		{wrong(h.dsn("nobody"), "dbname="+h.dbname, "dbname=postgres"), "28P01"}, // no telling what is there
		{h.dsn("sato", "timezone=nowhere"), "22023"},
	} {
		if err := try(c.dsn); sqlstate(err) != c.code {
			t.Errorf("%s: %v", c.code, err)
		}
	}
	h.stop()
	var reasons []string
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.SessionRefused); ok {
			reasons = append(reasons, fmt.Sprint(b.Reason, " ", b.Principal > 0))
		}
	}
	if got, want := strings.Join(reasons, ", "), "password true, unknown_principal false, database true, unknown_principal false, upstream true"; got != want {
		t.Errorf("the ledger says %s, want %s", got, want)
	}
}

// The two ways of TLS, with and without a terminal's certificate, by libpq and
// by pgx.
func TestTLS(t *testing.T) {
	h := newHouse(t, func(o *options) { o.gate.TLS.Require = true })
	other := newAuthority(t)
	cert, key := h.ca.issue(t, h.dir, "pc-0417", x509.ExtKeyUsageClientAuth)
	bad, badKey := other.issue(t, h.dir, "pc-6666", x509.ExtKeyUsageClientAuth)
	fake, fakeKey := h.ca.issue(t, h.dir, "unverified@10.0.0.1", x509.ExtKeyUsageClientAuth)
	root := "sslmode=verify-full sslrootcert=" + h.ca.file
	const ask = "select name from crm.member where member_no=1001"
	tlsDSN := func(more ...string) string {
		return strings.Replace(h.dsn("sato", more...), "sslmode=disable", "", 1)
	}
	psql := func(more ...string) string {
		cmd := exec.Command("psql", "-XqAt", "-d", tlsDSN(more...), "-c", ask)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	ctx := context.Background()
	pgxs := func(more ...string) string {
		conn, err := pgx.Connect(ctx, tlsDSN(more...))
		if err != nil {
			return err.Error()
		}
		defer conn.Close(ctx)
		var name string
		if err := conn.QueryRow(ctx, ask).Scan(&name); err != nil {
			return err.Error()
		}
		return name + "\n"
	}
	if got := h.psql("sato", ask); !strings.Contains(got, "encrypted connections only") {
		t.Errorf("without TLS: %q", got)
	}
	for name, client := range map[string]func(...string) string{"psql": psql, "pgx": pgxs} {
		if got := client(root); got != "name1\n" {
			t.Errorf("%s with TLS: %q", name, got)
		}
		if got := client(root, "channel_binding=require"); got != "name1\n" {
			t.Errorf("%s with channel binding: %q", name, got)
		}
		if got := client(root, "channel_binding=disable"); got != "name1\n" {
			t.Errorf("%s without channel binding: %q", name, got)
		}
		if got := client(root, "sslcert="+cert, "sslkey="+key); got != "name1\n" {
			t.Errorf("%s with a certificate: %q", name, got)
		}
		if got := client(root, "sslcert="+fake, "sslkey="+fakeKey); got != "name1\n" {
			t.Errorf("%s with a certificate that calls itself unverified: %q", name, got)
		}
		if got := client(root, "sslcert="+bad, "sslkey="+badKey); strings.Contains(got, "name1") {
			t.Errorf("%s with another authority's certificate: %q", name, got)
		}
	}
	// Direct TLS: only with ALPN.
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(h.ca.file)
	pool.AppendCertsFromPEM(pem)
	for _, c := range []struct {
		protos []string
		in     bool
	}{{[]string{"postgresql"}, true}, {nil, false}, {[]string{"h2"}, false}} {
		conn, err := tls.Dial("tcp", h.addr, &tls.Config{RootCAs: pool, NextProtos: c.protos})
		in := false
		if err == nil {
			conn.Write(startup(3<<16, "user", "sato", "database", h.dbname))
			conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
			b := make([]byte, 100)
			n, _ := conn.Read(b)
			in = bytes.Contains(b[:n], []byte("SCRAM-SHA-256-PLUS"))
			conn.Close()
		}
		if in != c.in {
			t.Errorf("direct TLS with ALPN %v: %v, %v", c.protos, in, err)
		}
	}
	h.stop()
	ends := map[string]int{}
	for _, e := range h.entries() {
		switch b := e.Body.(type) {
		case *sekisho.SessionOpened:
			ends[fmt.Sprint(b.Endpoint, " ", b.Verified, " ", b.TLS)]++
		case *sekisho.SessionRefused:
			ends["refused: "+b.Reason]++
		}
	}
	if got := fmt.Sprint(ends["pc-0417 true true"], ends["unverified@127.0.0.1 false true"]); got != "2 8" {
		t.Errorf("endpoints %v", ends)
	}
	if ends["refused: certificate"] < 2 {
		t.Errorf("refusals %v", ends)
	}
}

// SCRAM, message by message.
func TestSCRAMExchange(t *testing.T) {
	text, err := MakeVerifier("pencil")
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, mechanism, first string
		binding                bool
		ok                     bool
	}{
		{"plain", scramPlain, "n,,n=,r=abc", false, true},
		{"the client could bind and we cannot", scramPlain, "y,,n=,r=abc", false, true},
		{"the offer was taken away", scramPlain, "y,,n=,r=abc", true, false},
		{"bound", scramPlus, "p=tls-server-end-point,,n=,r=abc", true, true},
		{"bound to something else", scramPlus, "p=tls-unique,,n=,r=abc", true, false},
		{"bound without TLS", scramPlus, "p=tls-server-end-point,,n=,r=abc", false, false},
		{"PLUS and no binding", scramPlus, "n,,n=,r=abc", true, false},
		{"plain and a binding", scramPlain, "p=tls-server-end-point,,n=,r=abc", true, false},
		{"another's identity", scramPlain, "n,a=root,n=,r=abc", false, false},
		{"a mandatory extension", scramPlain, "n,,m=x,n=,r=abc", false, false},
		{"no nonce", scramPlain, "n,,n=,r=", false, false},
		{"a nonce with a NUL", scramPlain, "n,,n=,r=a\x00c", false, false},
		{"another mechanism", "PLAIN", "n,,n=,r=abc", false, false},
		{"nothing", scramPlain, "", false, false},
	} {
		s := scramServer{verifier: v}
		if c.binding {
			s.binding = []byte("end point")
		}
		if _, err := s.first(c.mechanism, []byte(c.first)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTooManySessions(t *testing.T) {
	h := newHouse(t, func(o *options) { o.gate.Limits.Sessions = 1 })
	conn := h.connect("sato")
	if _, err := pgx.Connect(context.Background(), h.dsn("sato")); sqlstate(err) != "53300" {
		t.Errorf("the second: %v", err)
	}
	conn.Close(context.Background())
	eventually(t, "there is room again", func() bool { return h.psql("sato", "select 1") == "1\n" })
}

// Whoever connects and does not say who they are, in whatever way, keeps nobody
// out; whoever has, is not put out for another.
func TestWhoIsNobodyKeepsNobodyOut(t *testing.T) {
	h := newHouse(t, func(o *options) { o.gate.Limits.Sessions = 4 })
	conn := h.connect("sato")
	var hang []net.Conn
	for name, said := range map[string]string{
		"nothing":            "",
		"half a length":      "\x00\x00",
		"TLS, and nothing":   "\x00\x00\x00\x08\x04\xd2\x16\x2f",
		"half a TLS hello":   "\x16\x03\x01\x02\x00\x01",
		"half a start":       "\x00\x00\x00\x40\x00\x03\x00\x00user\x00",
		"a name, and no key": "\x00\x00\x00\x12\x00\x03\x00\x00user\x00sato\x00\x00",
	} {
		for range 2 * 4 {
			c, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, said)
			hang = append(hang, c)
		}
		if got := h.psql("watched", "select 1"); got != "1\n" {
			t.Errorf("%s: who comes behind them gets %q", name, got)
		}
		// One who is leaving, and those who gave way, keep their places until they
		// are gone: so many of them at once would be all there are.
		eventually(t, "the place is free again", func() bool {
			h.gate.mu.Lock()
			defer h.gate.mu.Unlock()
			taken := h.gate.taken
			for _, w := range h.gate.pending {
				if w.placed {
					taken--
				}
			}
			return taken == 1
		})
	}
	var one int
	if err := conn.QueryRow(context.Background(), "select 1").Scan(&one); err != nil || one != 1 {
		t.Errorf("who was in before them: %v", err)
	}
	// Those who gave way were hung up on.
	for _, c := range hang[:len(hang)-8] {
		c.SetDeadline(time.Now().Add(2 * time.Minute))
		said, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a client that says nothing: %v", err)
		}
		// There always was one to give way for it, however fast they came.
		if bytes.Contains(said, []byte("53300")) {
			t.Errorf("a client that says nothing is told %q", said)
		}
	}
}

func TestStartupTimeout(t *testing.T) {
	h := newHouse(t, func(o *options) { o.gate.Limits.Startup = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if b, err := io.ReadAll(conn); err != nil || len(b) != 0 {
		t.Errorf("a client that says nothing: %s, %v", hex.EncodeToString(b), err)
	}
}
