package gate

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/catalog"
)

func TestLargeRows(t *testing.T) {
	h := newHouse(t)
	direct, through := h.rawDirect(), h.raw("sato")
	for _, script := range []string{
		"Q select name, repeat('x', 1000000) from crm.member where member_no=1001",
		"Q select name, repeat('x', 20000000) from crm.member where member_no < 1004 order by member_no",
		"Q select repeat('y', 20000000) from crm.airport",
		"Q copy (select name, repeat('x', 2000000) from crm.member where member_no < 1004 order by member_no) to stdout",
		"Q copy (select repeat('x', 2000000) from crm.airport) to stdout",
		"P \"\" select name, repeat('x', 2000000) from crm.member where member_no=1001\nB \"\" \"\" - 1\nE \"\" 0\nS",
		"Q select 'an unprotected text of ' || length('" + strings.Repeat("z", 900_000) + "')",
	} {
		diff(t, script[:min(len(script), 80)], through.run(script), direct.run(script))
	}
	through.conn.Close()
	h.stop()
	n := 0
	for _, a := range h.accounts() {
		n += len(a.keys)
	}
	if n != 1+3+3+1 {
		t.Errorf("%d keys", n)
	}
}

func TestRowOverTheLimit(t *testing.T) {
	h := newHouse(t, func(o *options) { o.gate.Limits.Row = 1 << 20 })
	r := h.raw("sato")
	got := r.run("Q select name, repeat('x', 2000000) from crm.member\nQ select repeat('y', 2000000) from crm.airport where code='HND'\nQ copy (select name, repeat('x', 2000000) from crm.member) to stdout")
	if strings.Count(got, "C54000") != 2 || !strings.Contains(got, "D 2000006 bytes") || strings.Contains(got, "the connection ends") {
		t.Errorf("%s", got)
	}
}

// A client that is slow holds up nobody but itself, and the gate keeps no more
// of its result than a few chunks.
func TestSlowClient(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	r.send(messages("Q select m.name, repeat('x', 1000) from crm.member m, crm.passport p where p.member_no < 1250"))
	r.receive()
	if got := h.psql("sato", "select name from crm.member where member_no=1001"); got != "name1\n" {
		t.Errorf("another client meanwhile: %q", got)
	}
	eventually(t, "the gate waits for the client", func() bool {
		h.gate.mu.Lock()
		defer h.gate.mu.Unlock()
		full := false
		for _, s := range h.gate.sessions {
			s.out.mu.Lock()
			full = full || len(s.out.queue) == maxPending
			if len(s.out.queue) > maxPending || s.out.bytes > maxPendingBytes {
				t.Errorf("%d chunks of %d bytes wait", len(s.out.queue), s.out.bytes)
			}
			s.out.mu.Unlock()
		}
		return full
	})
	rows := 0
	for {
		typ, _, ok := r.receive()
		if typ == 'D' {
			rows++
		}
		if typ == 'Z' || !ok {
			break
		}
	}
	if rows != 83*1000 {
		t.Errorf("%d rows", rows)
	}
}

// psql's large objects go through the fast path. They pass where they are
// declared to be nobody's, and beside protected data they never do.
func TestLargeObjects(t *testing.T) {
	if got := newHouse(t).psql("sato", `\lo_import /etc/hostname`); !strings.Contains(got, "the gate") {
		t.Errorf("nobody said whose they are, and psql printed %s", got)
	}
	h := newHouse(t, func(o *options) { o.catalog.Unprotected = append(o.catalog.Unprotected, catalog.LargeObjects) })
	file := filepath.Join(t.TempDir(), "object")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	got := h.psql("sato", `\lo_import `+file+`
\lo_export :LASTOID `+file+`.out
\lo_unlink :LASTOID
select lo_from_bytea(0, email::bytea) from crm.member limit 1;
select lo_get(member_no::oid) from crm.member limit 1;`)
	if strings.Count(got, "the gate") != 2 || strings.Contains(got, "fast-path") {
		t.Errorf("psql printed %s", got)
	}
	if back, err := os.ReadFile(file + ".out"); err != nil || !bytes.Equal(back, content) {
		t.Errorf("%d bytes came back, %v", len(back), err)
	}
}
