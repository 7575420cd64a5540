package gate

import (
	"bytes"
	"context"
	"fmt"
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

// A table as wide as PostgreSQL makes them shows its rows with the key behind
// them; a list of columns that has no room for the key says so.
func TestWidestTable(t *testing.T) {
	const widest = 1600
	var columns, values strings.Builder
	for i := 2; i <= widest; i++ {
		fmt.Fprintf(&columns, ", c%d smallint", i)
		fmt.Fprintf(&values, ", %d", i)
	}
	h := newHouse(t, func(o *options) {
		if _, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, "create table crm.widest (member_no bigint primary key"+columns.String()+
			"); insert into crm.widest values (1001"+values.String()+"), (1002"+values.String()+"); grant select on crm.widest to staff"); err != nil {
			t.Fatal(err)
		}
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.widest", Subject: "member", Key: "member_no"})
	})
	direct, through := h.rawDirect(), h.raw("sato")
	formats := strings.TrimSuffix(strings.Repeat("1,", widest), ",")
	for _, script := range []string{
		"Q select * from crm.widest order by member_no",
		"Q table crm.widest",
		"Q copy crm.widest to stdout",
		"Q copy crm.widest to stdout (format binary)",
		"Q select distinct * from crm.widest",
		"P \"\" select * from crm.widest where member_no = 1002\nB \"\" \"\" - " + formats + "\nD P \"\"\nE \"\" 0\nS",
	} {
		diff(t, script[:min(len(script), 80)], through.run(script), direct.run(script))
	}
	all := "select *" + strings.Repeat(", member_no", 1664-widest) + " from crm.widest"
	if got := direct.run("Q " + all); !strings.Contains(got, "SELECT 2") {
		t.Fatalf("the server takes 1,664 columns: %.200s", got)
	}
	if got := through.run("Q " + all); !strings.Contains(got, "C54011") {
		t.Errorf("no room for the key: %.300s", got)
	}
	diff(t, "afterwards", through.run("Q select c1600 from crm.widest where member_no = 1001"), direct.run("Q select c1600 from crm.widest where member_no = 1001"))
	through.conn.Close()
	h.stop()
	n := 0
	for _, a := range h.accounts() {
		n += len(a.keys)
	}
	if n != 2+2+2+2+2+1+1 {
		t.Errorf("%d keys", n)
	}
}
