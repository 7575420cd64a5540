package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho"
)

// Observe mode answers as the server does, whatever is asked, and the ledger
// says at least whom it could have been about.
func TestObserve(t *testing.T) {
	h := newHouse(t, withOdd)
	for _, c := range []struct {
		name, script string
		want         string // the accesses: "any-row", or the keys
	}{
		{"the key is there", "Q select member_no, name from crm.member where member_no between 1001 and 1002 order by 1", "1001 1002"},
		{"the key is not there", "Q select name from crm.member where member_no=1001", "any-row"},
		{"no row, with the key", "Q select member_no, name from crm.member where member_no=77", "nobody"},
		{"no row, without it", "Q select name from crm.member where email='nobody@example.jp'", "nobody"},
		{"rows for one, none for the next", "P s select name from crm.member where member_no=$1\nB \"\" s 1001 -\nE \"\" 0\nB \"\" s 77 1\nE \"\" 0\nB p s 1001 -\nE p 1\nE p 1\nS", "any-row any-row nobody"},
		{"none twice in one text", "Q select name from crm.member where member_no=77; select code from crm.airport where false; select email from crm.member where false", "nobody nobody"},
		{"each time it is run", "P s select name from crm.member where member_no=$1\nB \"\" s 1001 -\nE \"\" 0\nB \"\" s 1002 1\nE \"\" 0\nS", "any-row any-row"},
		{"the key in binary", "P s select name, member_no from crm.member where member_no=$1\nB \"\" s 1001 1\nE \"\" 0\nB \"\" s 1002 0,1\nE \"\" 0\nS", "1001 1002"},
		{"an aggregate", "Q select count(*) from crm.member", "all"},
		{"a view", "Q select name from crm.everybody order by 1 limit 1", "any-row"},
		{"a union", "Q select name from crm.member where member_no=1001 union select 'x' order by 1", "any-row"},
		{"a sub-select", "Q select code, (select name from crm.member where member_no=1001) from crm.airport order by 1", "any-row"},
		{"a cursor", "Q begin\nQ declare c cursor for select name from crm.member order by member_no\nQ fetch 2 from c\nQ fetch 2 from c\nQ commit", "any-row any-row any-row"},
		{"PREPARE and EXECUTE", "Q prepare p as select name from crm.member where member_no=1001\nQ execute p\nQ execute p", "any-row any-row any-row"},
		{"PREPARE and Bind", "Q prepare p as select name from crm.member where member_no=1001\nB \"\" p - -\nD P \"\"\nE \"\" 0\nS", "any-row any-row"},
		{"a name that changed hands", "P p select code from crm.airport order by 1\nS\nQ deallocate p\nQ prepare p as select name from crm.member where member_no=1001\nB \"\" p - -\nE \"\" 0\nS", "any-row any-row"},
		{"COPY", "Q copy (select name from crm.member where member_no=1001) to stdout\nQ copy crm.textual to stdout binary", "any-row any-row"},
		{"EXPLAIN", "Q explain (costs off) select name from crm.member where member_no=1001", "all"},
		{"a DO block", "Q do $$ begin perform name from crm.member; end $$", "any-row"},
		{"nothing protected", "Q select * from crm.airport order by 1", ""},
		{"wrong", "Q select from where\nQ selec\nP a selec\nS", ""},
		{"left joins with nobody", "Q select m.member_no, p.member_no, p.passport_no from crm.member m left join crm.passport p on p.member_no = m.member_no where m.member_no between 1002 and 1003 order by 1", "1002 1003 1003"},
	} {
		before := len(h.accounts())
		direct, through := h.rawDirect(), h.raw("watched")
		want, got := direct.run(c.script), through.run(c.script)
		diff(t, c.name, got, want)
		direct.conn.Close()
		through.send(messages("X"))
		through.receive()
		var says []string
		for _, a := range h.accounts()[before:] {
			if a.class == sekisho.AnyRow {
				if says = append(says, "any-row"); a.reach == 0 && len(a.keys) > 0 {
					t.Errorf("%s: any row of how many?", c.name)
				}
			} else if a.class == sekisho.Contributed && a.reach > 0 && len(a.keys) == 0 {
				says = append(says, "all")
			} else if len(a.keys) == 0 {
				says = append(says, "nobody")
				if a.class != sekisho.Exact || a.rows != 0 || a.open || !strings.Contains(a.tables, "crm.member") {
					t.Errorf("%s: an access to nobody is %+v", c.name, a)
				}
			} else {
				says = append(says, a.keys...)
			}
		}
		// Where it cannot be told of whom, each kind of people has its entry.
		if got := strings.Join(says, " "); got != c.want && (c.want == "" || !strings.HasPrefix(got, c.want) || strings.Trim(strings.ReplaceAll(got, "any-row", ""), " ") != "") {
			t.Errorf("%s: the ledger says %q, want %q", c.name, got, c.want)
		}
	}
	if r := h.refusals(); len(r) > 0 {
		t.Errorf("refused: %v", r)
	}
}

// Whatever plain select is made up, the ledger names exactly the members whose
// rows came.
func TestKeysOfRandomSelects(t *testing.T) {
	h := newHouse(t, withOdd)
	rng := rand.New(rand.NewPCG(3, 4))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	modes := []pgx.QueryExecMode{pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	conn, through := h.connect("sato"), 0
	var want [][]string
	for i := range 50 {
		columns := make([]string, 1+rng.IntN(3))
		for i := range columns {
			columns[i] = pick("m.name", "m.*", "m.email || 'x'", "upper(m.city)", "1", "m.member_no", "null::text", "m.joined + 1", "m.name as key", "case when m.member_no > 1500 then m.city end")
		}
		from, keys := "crm.member m", "m.member_no"
		switch rng.IntN(5) {
		case 0:
			from, keys = "crm.member m join crm.passport p using (member_no)", "m.member_no, p.member_no"
			columns = append(columns, "passport_no")
		case 1:
			from, keys = "crm.member m left join crm.passport p on p.member_no = m.member_no", "m.member_no, p.member_no"
		case 2:
			from, keys = "crm.airport a cross join crm.member m", "m.member_no"
		case 3:
			from, keys = "crm.member m, crm.member n", "m.member_no, n.member_no"
		}
		rest := fmt.Sprintf(" from %s where m.member_no %s %d and m.city %s '%s'", from, pick("=", "<", ">=", "<>"), 1000+rng.IntN(1001), pick("=", "<>", "<"), pick("Tokyo", "Osaka", "x''y"))
		if strings.Contains(from, "member n") {
			rest += " and n.member_no = m.member_no % 500 + 1200"
		}
		rest += " order by m.member_no" + pick("", " desc")
		if strings.Contains(from, "airport") {
			rest += ", a.code"
		}
		if keys != "m.member_no" {
			rest += ", " + strings.TrimPrefix(keys, "m.member_no, ")
		}
		rest += pick("", fmt.Sprintf(" limit %d", rng.IntN(50)), fmt.Sprintf(" offset %d", rng.IntN(500)), " for share of m")
		rest = strings.ReplaceAll(rest, " for share of m", "") // needs a right that staff lacks
		all, _, _ := strings.Cut(rest, " offset ")             // who is skipped counts
		truth := strings.Fields(strings.ReplaceAll(h.direct("select "+keys+all), "|", " "))
		if strings.Contains(rest, " left join ") && (strings.Contains(rest, " limit ") || strings.Contains(rest, " offset ")) {
			continue // who is missing decides where it ends: not of the plain shape
		}
		rows, err := conn.Query(context.Background(), "select "+strings.Join(columns, ", ")+rest, modes[i%len(modes)])
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			through++
		}
		if rows.Err() != nil {
			t.Fatalf("select %s%s: %v", strings.Join(columns, ", "), rest, rows.Err())
		}
		want = append(want, truth)
	}
	h.stop()
	got := h.accounts()
	if len(got) != len(want) {
		t.Fatalf("%d accesses, %d selects", len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i].keys, want[i]) || got[i].open {
			t.Errorf("select %d: the ledger names %d members, %d is the truth", i, len(got[i].keys), len(want[i]))
		}
	}
	if through < 3000 {
		t.Errorf("only %d rows came", through)
	}
}
