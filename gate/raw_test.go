package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
)

// A raw client speaks the protocol message by message, as a script says, and
// writes down every reply. One message a line:
//
//	Q text                        P name text
//	B portal statement params codes        params and codes by commas, - for none; NULL is null
//	D S name    D P name          E portal rows
//	C S name    C P name          S    H    X    c
//	d data                        f reason
//
// "" is the empty name, and \n in a text a new line.
type raw struct {
	t     testing.TB
	conn  net.Conn
	split *rand.Rand // cuts what is sent into small pieces
}

func dialRaw(t testing.TB, dsn string) *raw {
	t.Helper()
	c, err := pgconn.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	if err := quiet(h); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Conn.Close() })
	return &raw{t: t, conn: h.Conn}
}

func (h *house) raw(user string) *raw { h.t.Helper(); return dialRaw(h.t, h.dsn(user)) }

func (h *house) directDSN() string {
	return fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s sslmode=disable", cluster.SocketDir(), cluster.Port(), h.dbname)
}

func (h *house) rawDirect() *raw { h.t.Helper(); return dialRaw(h.t, h.directDSN()) }

// messages are the bytes of a script.
func messages(script string) []byte {
	var out []byte
	name := func(s string) string {
		if s == `""` {
			return "\x00"
		}
		return s + "\x00"
	}
	list := func(s string) []string {
		if s == "-" {
			return nil
		}
		return strings.Split(s, ",")
	}
	u16 := func(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }
	u32 := func(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
	for line := range strings.Lines(script) {
		line = strings.ReplaceAll(strings.Trim(line, "\t\r\n"), `\n`, "\n")
		if line == "" {
			continue
		}
		typ, rest, _ := strings.Cut(line, " ")
		var body string
		switch typ {
		case "Q":
			body = rest + "\x00"
		case "P":
			n, text, _ := strings.Cut(rest, " ")
			body = name(n) + text + "\x00" + u16(0)
		case "B":
			f := strings.Fields(rest)
			params, codes := list(f[2]), list(f[3])
			body = name(f[0]) + name(f[1]) + u16(0) + u16(len(params))
			for _, p := range params {
				if p == "NULL" {
					body += u32(-1)
				} else {
					body += u32(len(p)) + p
				}
			}
			body += u16(len(codes))
			for _, c := range codes {
				n, _ := strconv.Atoi(c)
				body += u16(n)
			}
		case "E":
			n, rows, _ := strings.Cut(rest, " ")
			k, _ := strconv.Atoi(rows)
			body = name(n) + u32(k)
		case "D", "C":
			body = rest[:1] + name(rest[2:])
		case "d":
			body = rest + "\n"
		case "f":
			body = rest + "\x00"
		}
		out = appendMessage(out, typ[0], body)
	}
	return out
}

func (r *raw) send(b []byte) {
	if r.split == nil {
		r.conn.Write(b)
		return
	}
	for len(b) > 0 {
		n := min(1+r.split.IntN(7), len(b))
		if _, err := r.conn.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

// receive gives the next message; false at the end of the connection.
func (r *raw) receive() (typ byte, body []byte, ok bool) {
	r.t.Helper()
	r.conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	var head [5]byte
	if _, err := io.ReadFull(r.conn, head[:]); err != nil {
		if ne, is := err.(net.Error); is && ne.Timeout() {
			r.t.Fatal("no answer for two minutes")
		}
		return 0, nil, false
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	if _, err := io.ReadFull(r.conn, body); err != nil {
		return 0, nil, false
	}
	return head[0], body, true
}

// print writes a message as one line of text.
func printMessage(typ byte, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%c", typ)
	if len(body) > 4000 {
		return fmt.Sprintf("%c %d bytes %x", typ, len(body), sha256.Sum256(body))
	}
	switch typ {
	case 'D':
		n := int(binary.BigEndian.Uint16(body))
		rest := body[2:]
		for range n {
			size := int(int32(binary.BigEndian.Uint32(rest)))
			rest = rest[4:]
			if size < 0 {
				b.WriteString(" NULL")
				continue
			}
			fmt.Fprintf(&b, " %q", rest[:size])
			rest = rest[size:]
		}
	case 'T':
		rest := body[2:]
		for len(rest) > 0 {
			end := bytes.IndexByte(rest, 0)
			f := rest[end+1:]
			fmt.Fprintf(&b, " %s:%d:%d", rest[:end], binary.BigEndian.Uint16(f[4:]), binary.BigEndian.Uint16(f[16:]))
			rest = f[18:]
		}
	default:
		fmt.Fprintf(&b, " %q", body)
	}
	return b.String()
}

// run sends a script at once, and gives the replies up to those of a last
// Sync and query.
func (r *raw) run(script string) string {
	r.t.Helper()
	const sentinel = "that was all"
	go r.send(append(messages(script), messages("S\nQ select '"+sentinel+"'")...))
	var out strings.Builder
	last := false
	for {
		typ, body, ok := r.receive()
		if !ok {
			out.WriteString("the connection ends\n")
			return out.String()
		}
		if typ == 'D' && bytes.Contains(body, []byte(sentinel)) {
			last = true
		}
		out.WriteString(printMessage(typ, body) + "\n")
		if last && typ == 'Z' {
			return out.String()
		}
	}
}

// crumbs is a server's socket that passes everything on in small pieces, cut
// at random places.
func crumbs(t testing.TB, seed uint64) (dir string) {
	dir, err := os.MkdirTemp("", "crumbs")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf(".s.PGSQL.%d", cluster.Port())
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	go func() {
		for n := uint64(0); ; n++ {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", filepath.Join(cluster.SocketDir(), name))
			if err != nil {
				in.Close()
				continue
			}
			go func() { io.Copy(out, in); out.(*net.UnixConn).CloseWrite() }()
			go func() {
				defer in.Close()
				rng := rand.New(rand.NewPCG(seed, n))
				buf := make([]byte, 4096)
				for {
					k, err := out.Read(buf)
					for b := buf[:k]; len(b) > 0; {
						m := min(1+rng.IntN(1+rng.IntN(200)), len(b))
						if _, err := in.Write(b[:m]); err != nil {
							return
						}
						b = b[m:]
					}
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return dir
}

// sessions are the keys that the ledger names for each session, in the order
// in which the sessions came.
func (h *house) sessions() (keys [][]string) {
	h.t.Helper()
	at := map[uint64]int{}
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.SessionOpened); ok && b.Door == sekisho.DoorGate {
			at[e.ID.Seq] = len(keys)
			keys = append(keys, nil)
		}
	}
	for _, a := range h.accounts() {
		i := at[a.session]
		keys[i] = append(keys[i], a.keys...)
	}
	return keys
}
