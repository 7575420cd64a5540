package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho/catalog"
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

// copies are materialized views that a role may refresh: one that says whose its
// rows are, listed ones, and one of which nobody can say it.
const copies = `
create materialized view crm.addresses as select m.member_no as no, m.email, m.city from crm.member m;
create materialized view crm.latest as select m.city, max(m.member_no) as member_no, max(1000 / (m.member_no - 999)) as n from crm.member m group by m.city;
create unique index on crm.latest (city);
create materialized view crm.towns as select city, count(*) as n from crm.member group by city;
create materialized view crm.halls as select code, name from crm.airport;
create function crm.seen(t text) returns text language plpgsql as $$begin return t; end$$;
create materialized view crm.called as select member_no, crm.seen(name) as name from crm.member;
create view crm.seeing as select member_no, crm.seen(name) as name from crm.member;
create materialized view crm.called_by as select member_no, name from crm.seeing;
create function crm.first(t text) returns text language plpgsql immutable as $$begin return left(t, 1); end$$;
create materialized view crm.found as select member_no, name from crm.member;
create index on crm.found (crm.first(name));
do $$declare v record; begin for v in select oid::regclass as name from pg_class where relkind = 'm' loop execute format('alter materialized view %s owner to staff', v.name); end loop; end$$;
grant usage, create on schema crm to staff;
`

func listedCopies(o *options) {
	for _, name := range []string{"crm.latest", "crm.called", "crm.called_by", "crm.found"} {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: name, Subject: "member", Key: "member_no"})
	}
}

// REFRESH shows nothing, and may have written anybody's row of the view: that is
// in the ledger before it runs.
func TestRefreshOfMaterializedViews(t *testing.T) {
	h := newWritingHouse(t, copies, listedCopies)
	for i, c := range []struct {
		sql   string
		tells []string
	}{
		{"refresh materialized view crm.addresses", []string{"delete any-row crm.member: "}},
		{"refresh materialized view crm.latest", []string{"delete any-row crm.latest: "}},
		{"refresh materialized view concurrently crm.latest", []string{"delete any-row crm.latest: "}},
		{"refresh materialized view crm.latest with no data", []string{"delete any-row crm.latest: "}},
		{"refresh materialized view crm.latest with data", []string{"delete any-row crm.latest: "}},
		{"refresh materialized view crm.halls", nil},
	} {
		for _, mode := range bothWays {
			conn := h.connect("sato")
			h.direct(fmt.Sprintf("update crm.member set email = 'r%d%d@example.jp' where member_no = 1003", i, int(mode)))
			if got := h.tells(t, conn, mode, c.sql, "REFRESH MATERIALIZED VIEW"); !slices.Equal(got, c.tells) {
				t.Errorf("%v %s tells %q and not %q", mode, c.sql, got, c.tells)
			}
			conn.Close(context.Background())
		}
		if i > 0 {
			continue
		}
		before := len(h.wrote())
		if got, want := h.psql("sato", "select email from crm.addresses where no = 1003"), h.direct("select email from crm.member where member_no = 1003"); got != want {
			t.Errorf("it is refreshed, and holds %s and not %s", got, want)
		}
		if got := h.wrote()[before:]; !slices.Equal(got, []string{"read crm.member: 1003"}) {
			t.Errorf("who reads it: %q", got)
		}
	}
	// In a transaction, and beside other statements of one text.
	for _, sql := range []string{"begin; refresh materialized view crm.latest; rollback", "refresh materialized view crm.latest; select 1"} {
		before := len(h.wrote())
		if got := h.psql("sato", sql); strings.Contains(got, "ERROR") || !slices.Equal(h.wrote()[before:], []string{"delete any-row crm.latest: "}) {
			t.Errorf("%s: %s %q", sql, got, h.wrote()[before:])
		}
	}
	// An error tells of the rows that it was made of.
	h.direct("alter table crm.passport drop constraint passport_member_no_fkey")
	h.direct("update crm.member set member_no = 999 where member_no = 1050")
	before := len(h.wrote())
	if got := h.psql("sato", "refresh materialized view crm.latest"); !strings.Contains(got, "ERROR") || strings.Contains(got, "division by zero") && strings.Contains(got, "DETAIL") {
		t.Errorf("%s", got)
	}
	if got := h.wrote()[before:]; !slices.Equal(got, []string{"delete any-row crm.latest: ", "read any-row crm.latest,crm.member: "}) {
		t.Errorf("a refresh that fails tells %q", got)
	}
	refused := []struct{ sql, reason string }{
		{"refresh materialized view crm.towns", "refresh"},
		{"refresh materialized view crm.called", "view_calls_function"},
		{"refresh materialized view crm.called_by", "view_calls_function"},
		{"refresh materialized view crm.found", "write_sets_off"},
		{"reindex table crm.latest", "maintain"},
	}
	for _, c := range refused {
		if got := h.psql("sato", c.sql); !strings.Contains(got, "ERROR") || !strings.Contains(got, "HINT") {
			t.Errorf("%s: %s", c.sql, got)
		}
	}
	h.stop()
	for i, reason := range h.refusals() {
		if reason != refused[i].reason {
			t.Errorf("%s: %s", refused[i].sql, reason)
		}
	}
}

// Who may not write does not refresh, and a rule about deleting is one about this.
func TestRefreshIsAWrite(t *testing.T) {
	h := newHouse(t, listedCopies, func(o *options) {
		if _, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, copies+"grant all on all tables in schema crm to staff"); err != nil {
			t.Fatal(err)
		}
	})
	for _, sql := range []string{"refresh materialized view crm.latest", "refresh materialized view crm.addresses"} {
		if got := h.psql("sato", sql); !strings.Contains(got, "does not write") {
			t.Errorf("%s: %s", sql, got)
		}
	}
	_, policy := withPolicy(t, `@id("staff") permit (principal, action in [Action::"read", Action::"insert", Action::"update"], resource);`)
	h = newWritingHouse(t, copies, listedCopies, policy)
	for _, sql := range []string{"refresh materialized view crm.latest", "refresh materialized view crm.addresses"} {
		if got := h.psql("sato", sql); !strings.Contains(got, "42501") && !strings.Contains(got, "policy") {
			t.Errorf("%s: %s", sql, got)
		}
	}
	h.stop()
	h.tellsOf()
}

// A copy that lasts is refused, and the hint names a way that works from end to
// end: the table without rows, its entry in the catalog, then its rows. Whoever
// reads it from then on reads its customers.
func TestACopyThatLasts(t *testing.T) {
	h := newWritingHouse(t, "grant create on schema crm to staff")
	refused := []string{"create table crm.kept as select member_no, email from crm.member where member_no < 1004", "select member_no, email into crm.kept from crm.member where member_no < 1004",
		"create materialized view crm.kept as select member_no, email from crm.member where member_no < 1004"}
	for _, sql := range refused {
		for _, says := range []string{"ERROR", "HINT", "CREATE TABLE with its columns and no rows", "list it in the catalog", "INSERT … SELECT"} {
			if got := h.psql("sato", sql); !strings.Contains(got, says) {
				t.Errorf("%s: nothing of %q in %s", sql, says, got)
			}
		}
	}
	if got := h.psql("sato", "create table crm.kept (member_no bigint primary key, email text)"); got != "" {
		t.Fatalf("%s", got)
	}
	fill := "insert into crm.kept select member_no, email from crm.member where member_no < 1004"
	if got := h.psql("sato", fill); !strings.Contains(got, "ERROR") {
		t.Errorf("it is filled before it is listed: %s", got)
	}
	h.tellsOf()
	h.stop()
	h.made.catalog.Tables = append(h.made.catalog.Tables, catalog.Table{Name: "crm.kept", Subject: "member", Key: "member_no"})
	h.open()
	if got := h.psql("sato", fill); got != "" {
		t.Fatalf("%s", got)
	}
	if got := h.psql("sato", "select email from crm.kept where member_no = 1002"); got != "m2@example.jp\n" {
		t.Errorf("%q", got)
	}
	if got := h.psql("sato", "select string_agg(email, ',') from crm.kept where member_no > 1002"); got != "m3@example.jp\n" {
		t.Errorf("%q", got)
	}
	want := []string{"insert crm.kept,crm.member: 1001 1002 1003", "read crm.kept,crm.member: 1001 1002 1003", "read crm.kept: 1002", "read contributed crm.kept: 1003"}
	if got := h.wrote(); !slices.Equal(got, want) {
		t.Errorf("the ledger says\n  %s\nand not\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
