package gate

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho/catalog"
)

// What is said before anybody has said who they are, and what a client asks for
// as it connects, beside a direct connection.

// openHouse protects nothing.
func openHouse(t *testing.T) *house {
	return newHouse(t, func(o *options) { o.catalog = catalog.Config{} })
}

// greeted sends a first packet, and gives what is answered as far as the request
// for a password or the end: of errors what a program goes by, and without the
// place in the server's source, which no gate has.
func greeted(t *testing.T, network, address string, packet []byte) string {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	go conn.Write(packet)
	var said strings.Builder
	for {
		var head [5]byte
		if _, err := io.ReadFull(conn, head[:1]); err != nil {
			return said.String() + "the end"
		}
		if head[0] == 'N' || head[0] == 'S' {
			if said.WriteString(string(head[:1]) + " "); len(packet) == 8 {
				return said.String()
			}
			continue
		}
		if _, err := io.ReadFull(conn, head[1:]); err != nil {
			return said.String() + "the end"
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(conn, body); err != nil {
			return said.String() + "the end"
		}
		switch head[0] {
		case 'R':
			return said.String() + "asks for a password"
		case 'E':
			for field := range bytes.SplitSeq(bytes.TrimRight(body, "\x00"), []byte{0}) {
				if strings.IndexByte("SVCM", field[0]) >= 0 {
					fmt.Fprintf(&said, "%s; ", field)
				}
			}
		default:
			fmt.Fprintf(&said, "%c %q; ", head[0], body)
		}
	}
}

// A first packet is answered as the server would answer it, but for what is
// listed here, with the reason.
func TestFirstPacketsAsDirect(t *testing.T) {
	const (
		aloud   = "the server writes it to its log and closes; the gate tells the client as well"
		once    = "the server takes the last, and what the gate believes must be what the server believes"
		ownWord = "the gate has a name of its own for it"
		ahead   = "the server takes it for something slipped in; the gate reads one packet at a time, so that nothing can be"
		newer   = "the gate speaks 3.2 itself, whatever the server speaks"
		sieve   = "replication would go past the accounting"
	)
	h := openHouse(t)
	me := []string{"user", "staff", "database", h.dbname}
	with := func(version uint32, more ...string) []byte { return startup(version, append(me[:4:4], more...)...) }
	long := strings.Repeat("n", 64<<10)
	gss := []byte{0, 0, 0, 8, 4, 210, 22, 48}
	for _, c := range []struct {
		name   string
		packet []byte
		why    string // it differs
	}{
		{"in order", with(3 << 16), ""},
		{"a parameter with a name of 64 KiB", with(3<<16, long, "x"), aloud},
		{"a parameter with a value of 64 KiB", with(3<<16, "application_name", long), aloud},
		{"as long as may be", with(3<<16, long[:maxStartup-200], "x"), ""},
		{"a user of many letters", startup(3<<16, "user", long[:2000], "database", h.dbname), ""},
		{"no user", startup(3<<16, "database", "x"), ""},
		{"an empty user", startup(3<<16, "user", ""), ""},
		{"a parameter twice", with(3<<16, "application_name", "a", "application_name", "b"), once},
		{"options twice", with(3<<16, "options", "-c geqo=off", "options", "-c geqo=on"), once},
		{"an odd number", startup(3<<16, "user", "staff", "database"), ""},
		{"bytes after the end", func() []byte {
			b := append(with(3<<16), "x\x00"...)
			binary.BigEndian.PutUint32(b, uint32(len(b)))
			return b
		}(), ""},
		{"too short", []byte{0, 0, 0, 7, 0, 3, 0, 0}, aloud},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), aloud},
		{"protocol 2", startup(2<<16, me...), ownWord},
		{"protocol 4", startup(4<<16, me...), ownWord},
		{"protocol 3.1", with(3<<16 | 1), newer},
		{"protocol 3.2", with(3<<16 | 2), newer},
		{"protocol 3.3", with(3<<16 | 3), newer},
		{"grease", with(3<<16|9999, "_pq_.test_protocol_negotiation", ""), newer},
		{"an option that nobody knows", with(3<<16, "_pq_.a", "1", "_pq_.b", "2"), ""},
		{"GSSENCRequest", gss, ""},
		{"GSSENCRequest, and more before it is answered", append(gss[:8:8], with(3<<16)...), ahead},
		{"GSSENCRequest, then TLS at once", append(gss[:8:8], tlsHandshake, 3, 1, 0, 100, 1, 0, 0), aloud},
		{"replication", with(3<<16, "replication", "true"), sieve},
		{"replication of a database", with(3<<16, "replication", "database"), sieve},
		{"no replication", with(3<<16, "replication", "off"), ""},
		{"a cancel for nobody", append([]byte{0, 0, 0, 16, 4, 210, 22, 46}, 0, 0, 0, 1, 0, 0, 0, 0), ""},
	} {
		want := greeted(t, "unix", filepath.Join(cluster.SocketDir(), fmt.Sprintf(".s.PGSQL.%d", cluster.Port())), c.packet)
		got := greeted(t, "tcp", h.addr, c.packet)
		if c.why == newer && atLeast(t, 18) {
			c.why = "" // so does the server
		}
		switch {
		case c.why == "" && got != want:
			t.Errorf("%s:\n got %.300s\nwant %.300s", c.name, got, want)
		case c.why == "":
		case got == want:
			t.Errorf("%s: the same, %.300s; it was to differ, for %s", c.name, got, c.why)
		default:
			t.Logf("%s: %.300s\ndirectly: %.300s\n(%s)", c.name, got, want, c.why)
		}
	}
}

// TLS asked for after GSS was declined, as libpq does; and TLS from the first
// byte by a client that wants to speak something else.
func TestTLSAfterGSS(t *testing.T) {
	h := newHouse(t)
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	answer := make([]byte, 1)
	for _, c := range []struct {
		packet []byte
		want   byte
	}{{[]byte{0, 0, 0, 8, 4, 210, 22, 48}, 'N'}, {[]byte{0, 0, 0, 8, 4, 210, 22, 47}, 'S'}} {
		conn.Write(c.packet)
		if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != c.want {
			t.Fatalf("%q, %v; want %c", answer, err, c.want)
		}
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	secure.Write(startup(3<<16, "user", "sato", "database", h.dbname))
	first := make([]byte, 9)
	if _, err := io.ReadFull(secure, first); err != nil || first[0] != 'R' || first[8] != 10 {
		t.Errorf("by TLS after GSS: %q, %v", first, err)
	}
	for _, protos := range [][]string{{"h2"}, {"http/1.1", "postgres"}} {
		if _, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: protos}); err == nil || !strings.Contains(err.Error(), "no application protocol") {
			t.Errorf("direct TLS for %v: %v", protos, err)
		}
	}
	if got := h.psql("sato", "select 1"); got != "1\n" {
		t.Errorf("the next client: %q", got)
	}
}

// The startup parameter options is read as the server reads it: where nothing is
// protected by the server itself, else by the gate, which refuses besides what
// is not on its list.
func TestOptionsAsDirect(t *testing.T) {
	ask := func(dsn, options string, more map[string]string) string {
		conf, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		conf.RuntimeParams = map[string]string{"options": options}
		for k, v := range more {
			conf.RuntimeParams[k] = v
		}
		conf.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
		conn, err := pgx.ConnectConfig(t.Context(), conf)
		if err != nil {
			var pe *pgconn.PgError
			if e := regexp.MustCompile(`(FATAL|ERROR): .*`).FindString(err.Error()); e != "" {
				return e
			}
			return fmt.Sprint(pe, err)
		}
		defer conn.Close(context.Background())
		var said string
		if err := conn.QueryRow(t.Context(), "select concat_ws('|', current_setting('application_name'), current_setting('geqo'), current_setting('search_path'), current_setting('statement_timeout'), current_setting('timezone'), current_setting('work_mem'))").Scan(&said); err != nil {
			return err.Error()
		}
		return said
	}
	open, kept := openHouse(t), newHouse(t)
	for _, c := range []struct {
		options string
		more    map[string]string
		refused bool // where something is protected
	}{
		{options: `-c application_name=a\ b`},
		{options: `-c application_name=a\\b`},
		{options: `-c application_name=a\\\ b`},
		{options: `-c application_name=a\`},
		{options: `-c application_name=\a\=\-b`},
		{options: `-c application_name="a b"`, refused: true},
		{options: `-c application_name='a'`},
		{options: "  -c\tgeqo=off\n-cwork_mem=5MB\r-c statement_timeout=7s\v\f"},
		{options: `-c\ geqo=off`, refused: true},
		{options: `--geqo=off --statement-timeout=5s`},
		{options: `-c geqo=off -c geqo=on -c GEQO=off`},
		{options: `-c search_path=crm\,public`},
		{options: `-c search_path=crm,\ public`},
		{options: `-c application_name=å旅`},
		{options: `-c application_name=`},
		{options: `-c application_name=x=y`},
		{options: ``},
		{options: `   `},
		{options: `-c geqo=off`, more: map[string]string{"geqo": "on"}},
		{options: `-c application_name=in_options`, more: map[string]string{"application_name": "in the packet"}},
		{options: `-c geqo`},
		{options: `--geqo`},
		{options: `-c geqo=maybe`},
		{options: `-c timezone=Nowhere/At_all`},
		{options: `-c`, refused: true},
		{options: `geqo=off`, refused: true},
		{options: `-F`, refused: true},
		{options: `-e`, refused: true},
		{options: `-c nothing_such=1`, refused: true},
		{options: `-c a.b=1`, refused: true},
		{options: `-c role=postgres`, refused: true},
		{options: `-c shared_buffers=1GB`, refused: true},
		{options: `-c log_statement=none`, refused: true},
		{options: `-- geqo=off`, refused: true},
	} {
		want := ask(open.directDSN(), c.options, c.more)
		if got := ask(open.dsn("sato"), c.options, c.more); got != want {
			t.Errorf("%q, nothing protected:\n got %s\nwant %s", c.options, got, want)
		}
		got := ask(kept.dsn("sato"), c.options, c.more)
		if c.refused {
			if !strings.Contains(got, "unsupported ") {
				t.Errorf("%q: %s and not refused", c.options, got)
			}
		} else if got != want {
			t.Errorf("%q:\n got %s\nwant %s", c.options, got, want)
		}
	}
}

// What comes unasked among the results that the gate holds back until they are
// recorded has its place among them.
func TestUnaskedAmongHeldResults(t *testing.T) {
	h := newHouse(t)
	const rows = "select member_no, name from crm.member where member_no between 1001 and 1003 order by 1"
	for _, c := range []conversation{
		{name: "notified by itself", turns: []string{"Q listen ch", "Q begin; notify ch; " + rows + "; commit", "Q begin", "Q notify ch", "Q " + rows, "Q commit",
			"P \"\" notify ch\nB \"\" \"\" - -\nE \"\" 0\nP \"\" " + rows + "\nB \"\" \"\" - -\nE \"\" 0\nS", "Q unlisten *"}},
		{name: "notified by another", turns: []string{"Q listen ch", "until C\nP \"\" " + rows + "\nB \"\" \"\" - -\nE \"\" 0\nH", "elsewhere notify ch", "until A\nS",
			"Q begin", "Q " + rows, "elsewhere notify ch", "Q " + rows, "until A\nQ commit", "Q unlisten *"}},
		{name: "settings", turns: []string{"Q set timezone = 'Asia/Tokyo'; " + rows + "; set timezone = 'UTC'; " + rows, "Q begin; set local timezone = 'Asia/Tokyo'", "Q " + rows, "Q rollback; " + rows,
			"P \"\" set application_name = 'x'\nB \"\" \"\" - -\nE \"\" 0\nP \"\" " + rows + "\nB \"\" \"\" - -\nE \"\" 0\nS", "Q reset all; " + rows}},
		{name: "flushed", turns: []string{"until 1\nP m select member_no, name from crm.member where member_no = $1\nH", "until C\nB p m 1001 -\nD P p\nE p 0\nH", "until 3\nC P p\nH", "S", "until 3\nC S nope\nC P nope\nH", "S"}},
		{name: "many and one Sync", turns: []string{"P m select name from crm.member where member_no = $1\nS", strings.Repeat("B \"\" m 1001 -\nE \"\" 0\n", 5000) + "S", strings.Repeat("B \"\" m 1002 -\nE \"\" 0\n", 100) + "E gone 0\n" + strings.Repeat("B \"\" m 1003 -\nE \"\" 0\n", 5000) + "S"}},
	} {
		for _, by := range []road{{name: "as it is"}, {name: "in crumbs", crumbs: true}} {
			want, got := hold(t, h.directDSN(), road{}, c), hold(t, h.dsn("sato"), by, c)
			if !bytes.Equal(got, want) {
				i := 0
				for i < min(len(got), len(want)) && got[i] == want[i] {
					i++
				}
				t.Errorf("%s (%s): from byte %d on\n got %q\nwant %q", c.name, by.name, i, got[max(0, i-100):min(len(got), i+300)], want[max(0, i-100):min(len(want), i+300)])
			}
		}
	}
	h.stop()
	named := map[string]bool{}
	for _, a := range h.accounts() {
		for _, k := range a.keys {
			named[k] = true
		}
	}
	if !named["1001"] || !named["1002"] || !named["1003"] || len(named) != 3 {
		t.Errorf("named: %v", named)
	}
}
