package gate

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hugeField is how many bytes the field of the tests has: 72 MiB, or what
// SEKISHO_TEST_FIELD says. A row of PostgreSQL, this field and its frame, has less
// than 1 GiB: 1073741700 is about the most.
func hugeField(t *testing.T) int {
	if n := os.Getenv("SEKISHO_TEST_FIELD"); n != "" {
		size, err := strconv.Atoi(n)
		if err != nil {
			t.Fatalf("SEKISHO_TEST_FIELD: %v", err)
		}
		return size
	}
	return 72 << 20
}

// A passed is what came of one statement, whose fields nobody has kept.
type passed struct {
	fields int    // bytes of rows
	wrong  int    // of these, other than the letter that was asked for
	said   string // of errors and tags
	most   uint64 // bytes of the heap while it passed, beyond those before
}

// passing sends messages and reads what comes until the server is ready again,
// piece by piece, and looks every 32 MiB how much memory the process, and so the
// gate in it, holds; send calls look when it has sent so much.
func (r *raw) passing(send func(look func()) error, letter byte) (p passed) {
	t := r.t
	t.Helper()
	var m runtime.MemStats
	heap := func() uint64 {
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	look := func() {
		if now := heap(); now > before {
			p.most = max(p.most, now-before)
		}
	}
	sent := make(chan error, 1)
	go func() { sent <- send(look) }()
	piece, looked := make([]byte, 1<<20), 0
	for {
		r.conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
		var head [5]byte
		if _, err := io.ReadFull(r.conn, head[:]); err != nil {
			p.said += "the connection ends\n"
			return p
		}
		left := int(binary.BigEndian.Uint32(head[1:])) - 4
		if head[0] != 'D' && head[0] != 'd' {
			body := make([]byte, left)
			if _, err := io.ReadFull(r.conn, body); err != nil {
				t.Fatal(err)
			}
			if head[0] == 'Z' {
				if err := <-sent; err != nil {
					t.Error(err)
				}
				return p
			}
			if head[0] != 'T' {
				p.said += printMessage(head[0], body) + "\n"
			}
			continue
		}
		p.fields += left
		for left > 0 {
			n, err := r.conn.Read(piece[:min(left, len(piece))])
			if err != nil {
				t.Fatal(err)
			}
			p.wrong += n - bytes.Count(piece[:n], []byte{letter})
			left -= n
			if looked += n; looked >= 32<<20 {
				looked = 0
				look()
			}
		}
	}
}

func (r *raw) query(sql string) func(func()) error {
	return func(func()) error { _, err := r.conn.Write(messages("Q " + sql)); return err }
}

// A field of 72 MiB (1 GB in a longer run) of an unprotected table passes as it
// is, by query and by COPY, both ways, as text and in binary, in front of a
// database with protected tables and of one without, while the gate holds a few
// MiB of it; the answers are a direct connection's. Of a protected table it ends
// with an error that says which limit it is over, and the connection goes on.
func TestHugeFields(t *testing.T) {
	const flat = 24 << 20 // what waits for a client, twice its buffers, and what the test itself takes
	size := hugeField(t)
	check := func(what string, p passed, bytes int, said string) {
		t.Helper()
		t.Logf("%s: %d MB passed, at most %.1f MiB more on the heap", what, p.fields/1e6, float64(p.most)/(1<<20))
		if p.fields-p.wrong != bytes || p.wrong > 64 || !strings.Contains(p.said, said) || p.most > flat {
			t.Errorf("%s: %d bytes, of them %d others, %d more on the heap; %.300s", what, p.fields, p.wrong, p.most, p.said)
		}
	}
	pass := func(h *house, what string, r *raw) {
		if _, err := cluster.SQL(context.Background(), h.dbname, "create schema if not exists crm; drop table if exists crm.blob; create unlogged table crm.blob (content text); alter table crm.blob alter content set storage external; grant usage on schema crm to staff; grant select, insert, truncate on crm.blob to staff"); err != nil {
			t.Fatal(err)
		}
		direct := h.rawDirect()
		beside := func(name string, send func(*raw) func(func()) error, bytes int, said string) {
			t.Helper()
			through := r.passing(send(r), 'y')
			check(what+", "+name, through, bytes, said)
			if as := direct.passing(send(direct), 'y'); through.fields != as.fields || through.wrong != as.wrong || through.said != as.said {
				t.Errorf("%s, %s: %d bytes, %d others, %.300s\ndirectly %d, %d, %.300s", what, name, through.fields, through.wrong, through.said, as.fields, as.wrong, as.said)
			}
		}
		query := func(sql string) func(*raw) func(func()) error {
			return func(r *raw) func(func()) error { return r.query(sql) }
		}
		asked := func(script string) func(*raw) func(func()) error {
			return func(r *raw) func(func()) error {
				return func(func()) error { _, err := r.conn.Write(messages(script)); return err }
			}
		}
		extended := "P \"\" select content from crm.blob\nB \"\" \"\" - %d\nE \"\" 0\nS"

		text := func(r *raw) func(func()) error {
			return r.copyIn("copy crm.blob from stdin", nil, []byte("\n"), size)
		}
		// PostgreSQL's binary format: its header, a row of one field, the end.
		head := append([]byte("PGCOPY\n\xff\r\n\x00"), make([]byte, 8)...)
		head = binary.BigEndian.AppendUint32(append(head, 0, 1), uint32(size))
		binarily := func(r *raw) func(func()) error {
			return r.copyIn("copy crm.blob from stdin (format binary)", head, []byte{0xff, 0xff}, size)
		}
		for _, way := range []struct {
			name string
			in   func(*raw) func(func()) error
		}{{"COPY in", text}, {"binary COPY in", binarily}} {
			beside(way.name, way.in, 0, "COPY 1")
			whole := "select count(*) || ' ' || bool_and(content = repeat('y', " + strconv.Itoa(size) + ")) from crm.blob"
			if got, err := cluster.SQL(context.Background(), h.dbname, whole); err != nil || strings.TrimSpace(got) != "2 true" {
				t.Errorf("%s, %s: what came in, and a direct connection's: %s, %v", what, way.name, got, err)
			}
			r.run("Q truncate crm.blob")
		}
		if p := r.passing(text(r), 'y'); !strings.Contains(p.said, "COPY 1") {
			t.Fatal(p.said)
		}
		beside("SELECT", query("select content from crm.blob"), size, "SELECT 1")
		beside("SELECT, extended", asked(fmt.Sprintf(extended, 0)), size, "SELECT 1")
		beside("SELECT, binary", asked(fmt.Sprintf(extended, 1)), size, "SELECT 1")
		beside("COPY out", query("copy crm.blob to stdout"), size, "COPY 1")
		beside("binary COPY out", query("copy crm.blob to stdout (format binary)"), size, "COPY 1")
	}
	open := openHouse(t)
	pass(open, "nothing protected", open.raw("sato"))
	h := newHouse(t)
	r := h.raw("sato")
	pass(h, "beside protected", r)

	// What is protected is read whole before it goes, and has a limit.
	for _, sql := range []string{
		fmt.Sprintf("select name, repeat('x', %d) from crm.member where member_no = 1001", size),
		fmt.Sprintf("copy (select name, repeat('x', %d) from crm.member where member_no = 1001) to stdout", size),
	} {
		check(sql[:30], r.passing(r.query(sql), 'x'), 0, "C54000")
	}
	if got := r.run("Q select name from crm.member where member_no = 1001"); !strings.Contains(got, "name1") {
		t.Errorf("after them: %s", got)
	}

	// A parameter over the limit is refused before it is read.
	big := h.raw("sato")
	most := h.gate.conf.Limits.Message
	p := big.passing(func(func()) error {
		if _, err := big.conn.Write(messages("P \"\" insert into crm.blob values ($1)")); err != nil {
			return err
		}
		var head [5]byte
		head[0] = 'B'
		binary.BigEndian.PutUint32(head[1:], uint32(most+100))
		_, err := big.conn.Write(head[:])
		return err
	}, 'y')
	if !strings.Contains(p.said, "C54000") || !strings.Contains(p.said, fmt.Sprint(most)) {
		t.Errorf("a parameter of %d bytes: %s", most, p.said)
	}

	// So is a statement over its limit, and both say what to do instead.
	long := h.raw("sato")
	q := long.passing(func(func()) error {
		var head [5]byte
		head[0] = 'Q'
		binary.BigEndian.PutUint32(head[1:], uint32(h.gate.conf.Limits.Statement+2000))
		_, err := long.conn.Write(head[:])
		return err
	}, 'y')
	for what, said := range map[string]string{"parameter": p.said, "statement": q.said} {
		if !strings.Contains(said, "C54000") || !strings.Contains(said, "limits: statement, and message for values") {
			t.Errorf("a %s that is too large: %s\nwant a hint", what, said)
		}
	}
}

// write sends one message.
func (r *raw) write(typ byte, body []byte) error {
	head := [5]byte{typ}
	binary.BigEndian.PutUint32(head[1:], uint32(len(body)+4))
	if _, err := r.conn.Write(head[:]); err != nil {
		return err
	}
	_, err := r.conn.Write(body)
	return err
}

// copyIn sends one row with a field of size bytes y, between head and tail.
func (r *raw) copyIn(sql string, head, tail []byte, size int) func(look func()) error {
	line := bytes.Repeat([]byte("y"), 1<<20)
	return func(look func()) error {
		if err := r.query(sql)(look); err != nil {
			return err
		}
		if err := r.write('d', head); err != nil {
			return err
		}
		for left := size; left > 0; left -= min(left, len(line)) {
			if err := r.write('d', line[:min(left, len(line))]); err != nil {
				return err
			}
			if left%(32<<20) == 0 {
				look()
			}
		}
		if err := r.write('d', tail); err != nil {
			return err
		}
		return r.write('c', nil)
	}
}
