package gate

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho/budget"
)

// What EXPLAIN tells rests on everybody: estimates are made of everybody's
// values, and counts are of all rows that were met.
func TestExplainIsOfEverybody(t *testing.T) {
	h := newWritingHouse(t, "")
	ctx := context.Background()
	for _, c := range []struct {
		sql   string
		tells []string
	}{
		{"explain select name from crm.member where email = 'm5@example.jp'", []string{"read contributed crm.member: "}},
		{"explain (analyze, timing off) select name from crm.member where member_no = 1001", []string{"read contributed crm.member: "}},
		{"explain (analyze, format json) select * from crm.everybody", []string{"read contributed crm.member: "}},
		{"explain (analyze, costs off) with x as materialized (select city from crm.member) select count(*) from x, crm.airport", []string{"read contributed crm.member: "}},
		{"explain update crm.member set city = 'x' where member_no = 1001", []string{"read contributed crm.member: "}},
		{"explain (analyze false) delete from crm.passport", []string{"read contributed crm.passport: "}},
		{"explain analyze update crm.member set city = 'Nara' where member_no = 1001", []string{"update any-row crm.member: ", "read any-row crm.member: "}},
		{"explain (analyze 1) insert into crm.member (member_no) select 20000 + member_no from crm.passport where member_no = 1003", []string{"insert any-row crm.member,crm.passport: ", "read any-row crm.member,crm.passport: "}},
		{"explain (analyze) with d as (delete from crm.passport where member_no = 1006 returning *) select count(*) from d", []string{"delete any-row crm.passport: ", "read any-row crm.passport: "}},
		{"explain (analyze, costs off) select 1 from crm.airport", nil},
		{"explain declare c cursor for select name from crm.member", []string{"read contributed crm.member: "}},
		{"explain (analyze, timing off) declare c no scroll cursor for select name from crm.member where member_no = 1001", []string{"read contributed crm.member: "}},
		{"explain create table crm.taken as select * from crm.member", []string{"read contributed crm.member: "}},
		{"explain select email into crm.taken from crm.member", []string{"read contributed crm.member: "}},
		{"explain create materialized view crm.taken as select * from crm.passport", []string{"read contributed crm.passport: "}},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			if strings.Contains(c.sql, "insert") && mode != pgx.QueryExecModeSimpleProtocol {
				continue
			}
			conn := h.connect("sato")
			before := len(h.wrote())
			rows, err := conn.Query(ctx, c.sql, mode)
			if err != nil {
				t.Fatalf("%s: %v", c.sql, err)
			}
			n := 0
			for rows.Next() {
				n++
			}
			if rows.Err() != nil || n == 0 {
				t.Errorf("%s: %d lines, %v", c.sql, n, rows.Err())
			}
			if got := h.wrote()[before:]; !slices.Equal(got, c.tells) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
			conn.Close(ctx)
		}
	}
	if got := h.direct("select city from crm.member where member_no = 1001"); strings.TrimSpace(got) != "Nara" {
		t.Errorf("EXPLAIN ANALYZE has not written: %q", got)
	}
}

func TestWhatOfExplainIsRefused(t *testing.T) {
	h := newWritingHouse(t, "")
	r, n := h.raw("sato"), 0
	for _, c := range [][2]string{
		{"explain analyze create temp table x as select * from crm.member", "explain"},
		{"explain analyze create table crm.taken as select * from crm.member", "explain"},
		{"explain analyze select * into crm.taken from crm.member", "explain"},
		{"explain analyze create materialized view crm.taken as select * from crm.member", "explain"},
		{"explain execute nobody", "execute"},
		{"explain create temp table x as execute nobody", "execute"},
		{"explain analyze insert into crm.airport select email, name from crm.member", "write_reads"},
		{"explain analyze with m as (insert into crm.airport select email from crm.member returning 1) select * from m", "write_reads"},
		{"explain analyze select name from crm.member where random() < 0.5", "function"},
		{"explain select * from pg_stats", "statistics"},
	} {
		if got := r.run("Q " + c[0]); !strings.Contains(got, "C0A000") {
			t.Errorf("%s: want a refusal\n%s", c[0], got)
		}
		n++
		h.until("the refusal is in the ledger", func() bool { return len(h.refusals()) == n })
		if got := h.refusals()[n-1]; got != c[1] {
			t.Errorf("%s: refused for %s, want %s", c[0], got, c[1])
		}
	}
	if got := h.psql("sato", "explain analyze delete from crm.member where member_no = 1"); strings.Contains(got, "ERROR") {
		t.Errorf("a role that writes may explain a write: %s", got)
	}
	reads := newHouse(t)
	if got := reads.psql("sato", "explain analyze delete from crm.member where member_no = 1"); !strings.Contains(got, "does not write") {
		t.Errorf("a role that only reads runs a write by EXPLAIN ANALYZE: %s", got)
	}
	if got := reads.psql("sato", "explain delete from crm.member where member_no = 1"); strings.Contains(got, "sekisho") {
		t.Errorf("how a write would run may be asked: %s", got)
	}
}

// Under a limit of customers an EXPLAIN is one of everybody, as a count is.
func TestExplainCountsAgainstLimits(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(500, &h))
	if got := h.psql("sato", "explain select name from crm.member where member_no = 1001"); !strings.Contains(got, "more than 500 customers") {
		t.Errorf("beyond ask_above: %s", got)
	}
	b := newHouse(t, withBudgets(budget.Budget{Name: "day", Customers: 100, Within: budget.Span(24 * time.Hour)}))
	if got := b.psql("sato", "explain select name from crm.member where member_no = 1001"); !strings.Contains(got, `the budget "day" counts customers`) {
		t.Errorf("beyond a budget: %s", got)
	}
}

// What is masked is explained as its mask, so that no estimate is of the values.
func TestExplainOfMasks(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, policy)
	got := h.psql("sato", "explain (costs off) select name from crm.member where email = 'm5@example.jp'")
	if !strings.Contains(got, "repeat(") || strings.Contains(got, "ERROR") {
		t.Errorf("the plan of the masked statement: %s", got)
	}
}

// What PREPARE gave a name to is explained by that name, as long as it can mean
// one statement only: what comes does not show which one it was.
func TestExplainOfAName(t *testing.T) {
	h := newWritingHouse(t, "")
	r := h.raw("sato")
	told := func(script string) (string, []string) {
		before := len(h.wrote())
		got := r.run(script)
		return got, slices.Clone(h.wrote()[before:])
	}
	r.run("Q prepare m as select name from crm.member where member_no = $1; prepare n as select count(distinct city) from crm.member; prepare f as select 1 from crm.airport")
	for _, c := range []struct {
		script string
		tells  []string
	}{
		{"Q explain execute m(1001)", []string{"read contributed crm.member: "}},
		{"Q explain (analyze, verbose) execute m(1001)", []string{"read contributed crm.member: "}},
		{"P \"\" explain (analyze, timing off) execute n\nB \"\" \"\" - -\nD P \"\"\nE \"\" 0\nS", []string{"read contributed crm.member: "}},
		{"Q execute m(1002)", []string{"read crm.member: 1002"}},
		{"Q explain analyze execute f", nil},
	} {
		got, tells := told(c.script)
		if strings.Contains(got, "C0A000") || !slices.Equal(tells, c.tells) {
			t.Errorf("%s tells\n  %s\nand not\n  %s\n%s", c.script, strings.Join(tells, "\n  "), strings.Join(c.tells, "\n  "), got)
		}
	}
	for _, script := range []string{
		// The name means something else by the time of the EXPLAIN.
		"Q deallocate f; prepare f as select * from crm.passport; explain analyze execute f",
		"Q deallocate m; prepare m as select * from crm.passport; explain execute m",
		// Here the server has kept the first, or has not.
		"Q prepare p as select 1 from crm.member\nQ prepare p as select 1 from crm.passport\nQ explain execute p",
		"Q deallocate p\nQ prepare p as select 1 from crm.passport\nQ explain execute p",
		// A name of the protocol's may stand for a write.
		"P w update crm.member set city = 'Nara'\nS\nQ explain analyze execute w",
	} {
		got, _ := told(script)
		if last := got[strings.LastIndex(strings.TrimSuffix(got, "\n"), "\nE")+1:]; !strings.Contains(last, "C0A000") || strings.Contains(got, "QUERY PLAN") {
			t.Errorf("%s: want a refusal\n%s", script, got)
		}
	}
	if got := h.direct("select count(*) from crm.member where city = 'Nara'"); strings.TrimSpace(got) != "0" {
		t.Errorf("it has written: %s", got)
	}
}
