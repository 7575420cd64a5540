package gate

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/vault"
)

func FuzzStartup(f *testing.F) {
	f.Add(startup(3<<16, "user", "sato", "options", `-c geqo=off --work-mem=4MB`)[8:])
	f.Add(startup(3<<16, "user", "a", "_pq_.x", "")[8:])
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := parseStartup(3<<16, body)
		if err != nil {
			return
		}
		if h.params["user"] == "" || h.params["database"] == "" {
			t.Error("a client without a name or a database")
		}
		settings, err := h.settings(false)
		if err != nil {
			return
		}
		for k, v := range settings {
			if !startupSettings[k] || strings.ContainsRune(v, 0) {
				t.Errorf("the setting %q=%q goes upstream", k, v)
			}
		}
	})
}

func FuzzSCRAM(f *testing.F) {
	f.Add("n,,n=,r=abc", "c=biws,r=abc,p=AAAA", true)
	f.Add("p=tls-server-end-point,,n=,r=abc", "c=,r=,p=", false)
	text, err := MakeVerifier("pencil")
	if err != nil {
		f.Fatal(err)
	}
	v, _ := ParseVerifier(text)
	f.Fuzz(func(t *testing.T, first, final string, plus bool) {
		s := scramServer{verifier: v, nonce: "fixed"}
		mechanism := scramPlain
		if plus {
			mechanism, s.binding = scramPlus, []byte("end point")
		}
		if _, err := s.first(mechanism, []byte(first)); err != nil {
			return
		}
		if _, err := s.final([]byte(final)); err == nil {
			t.Error("somebody without the password got in")
		}
	})
}

func FuzzErrorFields(f *testing.F) {
	f.Add([]byte("SERROR\x00VERROR\x00C22P02\x00Msecret\x00Dsecret\x00P12\x00\x00"), 3, 5)
	f.Fuzz(func(t *testing.T, body []byte, at, shift int) {
		out := redact(nil, 'E', body, at, shift)
		if out[0] != 'E' || int(be.Uint32(out[1:])) != len(out)-1 {
			t.Errorf("not one message: %q", out)
		}
		for _, field := range "DHWqp" {
			if errorField(out[5:], byte(field)) != "" {
				t.Errorf("field %c passes: %q", field, out)
			}
		}
		isFatal(body)
		shifted(nil, body, at, shift)
	})
}

// A line that PostgreSQL's own rules make is read back by lastField and
// unescape: FuzzCopyLine writes by these rules, and the conversations compare
// with the server itself.
func FuzzCopyLine(f *testing.F) {
	f.Add("a", "b", true)
	f.Add("x,\"", "\",\"", true)
	f.Add("tab\t", "back\\slash\n", false)
	f.Fuzz(func(t *testing.T, before, key string, csv bool) {
		write := func(s string) string {
			if csv {
				if s == "" || strings.ContainsAny(s, ",\"\r\n") || s == `\.` {
					return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
				}
				return s
			}
			return strings.NewReplacer("\\", `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`).Replace(s)
		}
		sep := "\t"
		if csv {
			sep = ","
		}
		field, rest, ok := lastField([]byte(write(before)+sep+write(key)), csv)
		if !ok || string(rest) != write(before) || string(unescape(field, csv)) != key {
			t.Errorf("%q and %q: got %q and %q, %v", before, key, rest, field, ok)
		}
		lastField([]byte(before), csv) // whatever comes, it does not panic
		unescape([]byte(before), csv)
	})
}

// lone is a gate without a server or a client: the test plays both.
func lone(f testing.TB) (*Gate, func()) {
	dir := f.TempDir()
	v, err := vault.Open(vault.Config{Dir: dir + "/vault", FS: disk.OS{}, Key: [32]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	l, err := ledger.Open(ledger.Config{Dir: dir + "/ledger", FS: disk.OS{}, Gate: 1, Name: "fuzz", Now: time.Now, Before: v.Flush, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	h := newHouse(f)
	cat := h.gate.plans.catalog()
	h.stop()
	g := &Gate{ledger: l, vault: v, log: slog.New(slog.DiscardHandler), conf: h.gate.conf, catalog: testCatalog(), sessions: map[uint32]*session{}, pending: map[net.Conn]*waiting{}}
	g.conf.Upstream.Host = "/nowhere"
	g.plans.reset(cat)
	return g, func() { l.Close(); v.Close() }
}

// Whatever a client and a server say, in whatever pieces, nothing panics, and
// no row of a protected statement leaves before its entry.
func FuzzSession(f *testing.F) {
	g, stop := lone(f)
	f.Cleanup(stop)
	const rowText = "a protected row"
	row := func(cells ...string) []byte {
		b := be.AppendUint16(nil, uint16(len(cells)))
		for _, c := range cells {
			b = append(be.AppendUint32(b, uint32(len(c))), c...)
		}
		return appendMessage(nil, 'D', string(b))
	}
	member := uint32(0)
	for oid := uint32(16384); oid < 40000 && member == 0; oid++ {
		if c, ok := g.plans.catalog().Column(oid, 1); ok && strings.Contains(fmt.Sprint(c), "crm.member") {
			member = oid
		}
	}
	description := be.AppendUint16(nil, 2)
	for _, att := range []uint16{2, 1} {
		description = append(description, "c\x00"...)
		description = be.AppendUint32(description, member)
		description = be.AppendUint16(description, att)
		description = append(description, 0, 0, 0, 20, 0, 8, 255, 255, 255, 255, 0, 0)
	}
	answer := bytes.Join([][]byte{appendMessage(nil, 'T', string(description)), row(rowText, "1001"), appendMessage(nil, 'C', "SELECT 1\x00"), appendMessage(nil, 'Z', "I")}, nil)
	f.Add(messages("Q select name from crm.member"), answer, byte(3))
	f.Add(messages("P \"\" select name from crm.member\nB \"\" \"\" - -\nE \"\" 0\nS"), append(appendMessage(appendMessage(appendMessage(nil, '1', ""), 'T', string(description)), '2', ""), answer[len(appendMessage(nil, 'T', string(description))):]...), byte(1))
	f.Add(messages("Q select name from crm.member limit 1 offset 1"), answer, byte(7))
	f.Add(messages("P \"\" select name from crm.member offset $1\nB \"\" \"\" 1 -\nE \"\" 1\nS"), append(appendMessage(appendMessage(appendMessage(nil, '1', ""), 'T', string(description)), '2', ""), answer[len(appendMessage(nil, 'T', string(description))):]...), byte(2))
	f.Add(messages("Q copy crm.airport from stdin\nd x\nc"), appendMessage(nil, 'G', "\x00\x00\x00"), byte(9))
	f.Fuzz(func(t *testing.T, said, replied []byte, piece byte) {
		client, clientEnd := net.Pipe()
		server, serverEnd := net.Pipe()
		role := g.conf.Roles["staff"]
		s := &session{g: g, latest: unsaid, log: g.log, client: clientEnd, server: serverEnd, role: &role, roleName: "staff", out: newOutbox(clientEnd),
			upstream: &pgconn.HijackedConn{Conn: serverEnd}, opened: &sekisho.SessionOpened{Door: sekisho.DoorGate, Endpoint: "fuzz"},
			stmts: map[string]*prepared{}, portals: map[string]*portal{}, hidden: map[string]*byName{}}
		before := g.ledger.Last()
		done := make(chan bool)
		go func() { s.serve(); close(done) }()
		deadline := time.Now().Add(2 * time.Second)
		client.SetDeadline(deadline)
		server.SetDeadline(deadline)
		got := make(chan []byte)
		go func() {
			var all []byte
			b := make([]byte, 4096)
			for {
				n, err := client.Read(b)
				all = append(all, b[:n]...)
				if err != nil {
					got <- all
					return
				}
			}
		}()
		go func() { // the server reads all, and answers
			b := make([]byte, 4096)
			for {
				if _, err := server.Read(b); err != nil {
					return
				}
			}
		}()
		inPieces := func(c net.Conn, b []byte) {
			for n := int(piece)%31 + 1; len(b) > 0; {
				k := min(n, len(b))
				if _, err := c.Write(b[:k]); err != nil {
					return
				}
				b = b[k:]
			}
		}
		inPieces(client, said)
		inPieces(server, replied)
		server.Close()
		all := <-got
		client.Close()
		<-done
		if bytes.Contains(all, []byte(rowText)) && bytes.Contains(said, []byte("crm.member")) && !bytes.Contains(said, []byte(rowText)) && g.ledger.Last() == before {
			t.Errorf("a row left without an entry: %q to %q", all, said)
		}
	})
}

// Whatever comes at the start of a connection upstream, and in whatever pieces,
// what is heard of it is bounded and the reader sees every byte.
func FuzzOpening(f *testing.F) {
	f.Add(append(appendMessage(appendMessage(nil, 'S', "DateStyle\x00ISO\x00"), 'N', "SWARNING\x00\x00"), appendMessage(nil, 'Z', "I")...), byte(3))
	f.Add([]byte("S\x00\x00\x00\x00"), byte(1))
	f.Fuzz(func(t *testing.T, said []byte, piece byte) {
		o := &opening{r: bytes.NewReader(said)}
		var fr, whole framer
		var got []byte
		b := make([]byte, int(piece)+1)
		for {
			n, err := o.Read(b)
			got = append(got, b[:n]...)
			fr.feed(b[:n], 'X')
			if err != nil {
				break
			}
		}
		whole.feed(said, 'X')
		if !bytes.Equal(got, said) || len(o.partial) > mostOpening || len(o.notices) > mostOpening || len(o.names) > 256 {
			t.Errorf("%d of %d bytes, %d kept, %d of notices, %d names", len(got), len(said), len(o.partial), len(o.notices), len(o.names))
		}
		if fr.between() != whole.between() || fr.left != whole.left {
			t.Error("the pieces decide where a message ends")
		}
	})
}
