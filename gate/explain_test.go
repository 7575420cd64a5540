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
		{"explain declare c cursor for select * from crm.member", "explain"},
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
