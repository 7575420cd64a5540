package gate

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho"
)

// says is the ledger's account of a session's accesses, one a line: the keys,
// and in brackets those that were taken back.
func (h *house) says(from int) string {
	var lines []string
	for _, a := range h.accounts()[from:] {
		line := strings.Join(a.keys, " ")
		if a.class == sekisho.AnyRow {
			line = "any-row"
		}
		if a.closed != nil && a.closed.Released == 0 {
			line = fmt.Sprintf("(%s) %v", line, a.closed.Outcome)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// A lookup by key is in the ledger while the server still works at it. Where
// another row comes than the one foretold, or none, that is taken back, and
// what came is named.
func TestForetold(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	h.psql("sato", "select member_no from crm.member") // only who has an ordinal can be foretold
	conn := h.connect("sato")
	for _, c := range []struct {
		name, sql string
		runs      []any // parameters, one list a run
		says      string
	}{
		{"the first row tells how small one is", "select name from crm.member where member_no = $1", []any{[]any{2000}, []any{1999}}, "2000\n(1999) completed\n1999"},
		{"what was foretold comes", "select email from crm.member where member_no = $1", []any{[]any{1001}, []any{1500}, []any{1501}}, "1001\n1500\n1501"},
		{"nobody comes", "select email from crm.member where member_no = $1 and city = $2", []any{[]any{1001, "Osaka"}, []any{1501, "Tokyo"}, []any{1501, "Osaka"}}, "1001\n(1501) completed\n1501"},
		{"nobody has the key", "select city from crm.member where $1 = member_no", []any{[]any{1001}, []any{99999}}, "1001\n"},
		{"the server fails", "select city, 1/(1600-member_no) from crm.member where member_no = $1", []any{[]any{1500}, []any{1600}, []any{1501}}, "1500\n(1600) failed\nany-row\n1501"},
		{"two rows of one customer", "select passport_no from crm.passport p where p.member_no = $1 order by 1", []any{[]any{1003}, []any{1003}}, "1003\n1003"},
		{"as a literal", "select email || city from crm.member m where m.member_no = 1001;\nselect email || city from crm.member m where m.member_no = 1500;\nselect email || city from crm.member m where m.member_no = 1501", nil, "1001\n1500\n1501"},
		{"another customer by the same sign", "select email from crm.member m where member_no + 0 = 1001 and member_no = 1001 or member_no = 1002", nil, "1001 1002"},
	} {
		before := len(h.accounts())
		for _, sql := range strings.Split(c.sql, "\n") {
			runs := c.runs
			args := []any{}
			if runs == nil {
				runs, args = []any{[]any{}}, []any{pgx.QueryExecModeSimpleProtocol}
			}
			for _, run := range runs {
				rows, err := conn.Query(ctx, sql, append(args, run.([]any)...)...)
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				for rows.Next() {
				}
				rows.Close()
			}
		}
		// What was taken back may be taken back a moment later.
		eventually(t, c.name+": the ledger says\n"+c.says, func() bool { return h.says(before) == c.says })
	}

	before := len(h.accounts())
	lookup := "select name, city from crm.member where member_no = $1"
	read := func(key int) error {
		var name, city string
		return conn.QueryRow(ctx, lookup, key).Scan(&name, &city)
	}
	if err := read(1001); err != nil {
		t.Fatal(err)
	}
	owner, err := cluster.Conninfo(cluster.Superuser(), h.dbname)
	if err != nil {
		t.Fatal(err)
	}
	held, err := pgx.Connect(ctx, owner)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close(ctx)
	if _, err := held.Exec(ctx, "begin; lock table crm.member in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() { got <- read(1501) }()
	eventually(t, "the member is named before the server has answered", func() bool { return h.says(before) == "1001\n1501" })
	select {
	case err := <-got:
		t.Errorf("it was answered: %v", err)
	default:
	}
	if _, err := held.Exec(ctx, "rollback"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}

	// A client that goes away meanwhile was shown nothing.
	if _, err := held.Exec(ctx, "begin; lock table crm.member in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	before = len(h.accounts())
	cctx, leave := context.WithCancel(ctx)
	go func() { got <- conn.QueryRow(cctx, lookup, 1601).Scan(new(string), new(string)) }()
	eventually(t, "the member is named", func() bool { return h.says(before) == "1601" })
	leave()
	<-got
	eventually(t, "it is taken back", func() bool { return strings.HasPrefix(h.says(before), "(1601) c") }) // client gone, or cancelled, which pgx asks for too
	held.Exec(ctx, "rollback")
}

// No row leaves before what was foretold of it is durable, and none if it
// never will be.
func TestForetoldAndABrokenDisk(t *testing.T) {
	d := &faulty{}
	h := newHouse(t, withDisk(d, 4<<10))
	h.psql("sato", "select member_no from crm.member")
	r := h.raw("sato")
	prepare := "P s select email from crm.member where member_no=$1\nS"
	r.run(prepare)
	look := func(key int) string { return r.run(fmt.Sprintf("B \"\" s %d -\nE \"\" 0\nS", key)) }
	if got := look(1001); !strings.Contains(got, "m1@example.jp") {
		t.Fatal(got)
	}
	d.full.Store(true)
	full := ""
	for i := range 500 {
		if full = look(1002 + i); !strings.Contains(full, "@example.jp") {
			break
		}
	}
	if !strings.Contains(full, "C53100") || strings.Contains(full, "@example.jp") || !strings.Contains(full, "Z ") {
		t.Fatalf("on a full disk: %s", full)
	}
	d.full.Store(false)
	eventually(t, "members can be read again", func() bool { return strings.Contains(look(1600), "m600@example.jp") })
	pipeline := strings.Repeat("B \"\" s 1700 -\nE \"\" 0\n", 5) + "S"
	if got := r.run(pipeline); strings.Count(got, "m700@example.jp") != 5 {
		t.Errorf("in a pipeline: %s", got)
	}
	d.broken.Store(true)
	if got := look(1800); !strings.Contains(got, "C53100") || strings.Contains(got, "m800@example.jp") {
		t.Errorf("on a broken disk: %s", got)
	}
	if got := r.run(pipeline); strings.Contains(got, "m700@example.jp") || !strings.Contains(got, "C53100") {
		t.Errorf("on a broken disk, in a pipeline: %s", got)
	}
}
