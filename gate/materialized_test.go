package gate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A materialized view that says whose each of its rows is needs no entry in the
// config: who is read of it is named, as of the tables that it was made of.
func TestMaterializedViewsThatHoldTheKey(t *testing.T) {
	h := newHouse(t)
	h.asOwner(`
		create materialized view crm.addresses as select m.member_no as no, m.name, m.email, a.name as town from crm.member m left join crm.airport a on a.code = m.city;
		create materialized view crm.documents as select p.member_no, count(*) as n, max(m.name) as name from crm.passport p join crm.member m on m.member_no = p.member_no group by p.member_no having count(*) > 0;
		create materialized view crm.holders as select distinct member_no, p.passport_no, m.city from crm.member m right join crm.passport p using (member_no) where passport_no like 'TK%';
		create materialized view crm.pairs as select m.member_no, p.passport_no from crm.member m, crm.passport p where (m.member_no = p.member_no) and m.member_no < 1007;
		create view crm.over_it as select a.town, count(*) from crm.addresses a where a.no < 1003 group by a.town;
		grant select on all tables in schema crm to staff`)
	for _, mode := range bothWays {
		conn := h.connect("sato")
		for _, c := range []struct {
			sql, tag string
			tells    []string
		}{
			{"select email from crm.addresses where no in (1001, 1002)", "SELECT 2", []string{"read crm.member: 1001 1002"}},
			{"select * from crm.documents where member_no = 1003", "SELECT 1", []string{"read crm.member,crm.passport: 1003"}},
			{"select count(*) from crm.documents where name = 'name3'", "SELECT 1", []string{"read contributed crm.member,crm.passport: 1003"}},
			{"select passport_no from crm.holders where member_no = 1006", "SELECT 1", []string{"read crm.member,crm.passport: 1006"}},
			{"select passport_no from crm.pairs", "SELECT 2", []string{"read crm.member,crm.passport: 1003 1006"}},
			{"select * from crm.over_it", "SELECT 1", []string{"read contributed crm.member: 1001 1002"}},
			{"select d.n, a.name from crm.documents d join crm.addresses a on a.no = d.member_no where a.no = 1009", "SELECT 1", []string{"read crm.member,crm.passport: 1009 1009"}},
		} {
			if got := h.tells(t, conn, mode, c.sql, c.tag); !slices.Equal(got, c.tells) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
		conn.Close(context.Background())
	}
}

// All others are refused: a row of theirs may be of several people, or of some
// that it does not name.
func TestMaterializedViewsThatHideWhose(t *testing.T) {
	h := newHouse(t)
	texts := map[string]string{
		"towns":    "select city, count(*) from crm.member group by city",
		"hidden":   "select name from crm.member",
		"mates":    "select m.member_no, o.name from crm.member m join crm.member o on o.city = m.city",
		"crossed":  "select m.member_no, o.name from crm.member m, crm.member o where m.member_no = 1001",
		"kept":     "select m.member_no, p.passport_no from crm.member m left join crm.airport a on true left join crm.passport p on m.member_no = 1001",
		"besides":  "select m.member_no, (select max(p.passport_no) from crm.passport p) as most from crm.member m",
		"ranked":   "select m.member_no, lag(m.name) over (order by m.member_no) from crm.member m",
		"latest":   "select distinct on (m.city) m.member_no, m.name from crm.member m order by m.city, m.joined",
		"few":      "select m.member_no, m.name from crm.member m order by m.joined limit 3",
		"most":     "select max(m.member_no) as member_no from crm.member m",
		"next":     "select m.member_no + 1 as member_no, m.name from crm.member m",
		"together": "select m.member_no, m.name from crm.member m union all select p.member_no, p.passport_no from crm.passport p",
		"grouped":  "select m.member_no, string_agg(o.name, '') from crm.member m join crm.member o on o.member_no > m.member_no group by m.member_no",
		"cubed":    "select m.member_no, count(*) from crm.member m group by rollup (m.member_no)",
		"viewed":   "select * from crm.everybody",
		"drawn":    "select m.member_no, e.name from crm.member m join lateral (select name from crm.member x where x.member_no <> m.member_no limit 1) e on true",
		"again":    "with m as (select * from crm.member) select m.member_no, m.name from m",
		"sampled":  "select m.member_no from crm.member m tablesample system (100)",
	}
	var b strings.Builder
	for name, text := range texts {
		b.WriteString("create materialized view crm.mv_" + name + " as " + text + ";")
	}
	h.asOwner(b.String() + "grant select on all tables in schema crm to staff")
	for name := range texts {
		if got := h.psql("sato", "select * from crm.mv_"+name); !strings.Contains(got, "materialized view") || !strings.Contains(got, "HINT") {
			t.Errorf("%s: %.200s", name, got)
		}
	}
	h.stop()
	if a := h.accounts(); len(a) > 0 {
		t.Errorf("%d accesses", len(a))
	}
}

// What a rule says of a table holds of its copies.
func TestPolicyOfMaterializedViews(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, policy)
	h.asOwner("create materialized view crm.addresses as select m.member_no as no, m.email, m.name || '' as called from crm.member m; grant select on crm.addresses to staff")
	conn := h.connect("sato")
	want, got := "", ""
	for sql, into := range map[string]*string{"select email from crm.member where member_no = 1003": &want, "select email from crm.addresses where no = 1003": &got} {
		if err := conn.QueryRow(context.Background(), sql, pgx.QueryExecModeSimpleProtocol).Scan(into); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if got != want || got == "m3@example.jp" {
		t.Errorf("masked of the table %q, of its copy %q", want, got)
	}
	for _, of := range []string{"crm.member where member_no", "crm.addresses where no"} { // the same where it is told
		if err := conn.QueryRow(context.Background(), "select max(email) || count(*) from "+of+" in (1003, 1004)").Scan(&got); err != nil || strings.Contains(got, "m4@example.jp") {
			t.Errorf("%s: %q, %v", of, got, err)
		}
	}
	var called *string
	if err := conn.QueryRow(context.Background(), "select called from crm.addresses where no = 1003").Scan(&called); err != nil || called != nil && *called == "name3" {
		t.Errorf("what is made of masked columns: %v, %v", called, err)
	}
}
