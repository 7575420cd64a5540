package gate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Functions that are one SELECT.
const inSQL = `
create function crm.of_town(town text) returns setof crm.member language sql stable as $$ select * from crm.member where city = town and member_no < 1007 $$;
create function crm.called(who bigint) returns text language sql stable as $$ select name from crm.member where member_no = who $$;
create function crm.papers(bigint, n int) returns table (person bigint, paper text) language sql stable as 'select member_no, passport_no || '''' from crm.passport where member_no < $1 order by member_no limit n';
create function crm.how_many(town text) returns bigint language sql stable as $$ select count(*) from crm.member m where m.city = how_many.town and m.member_no < 1005 $$;
create function crm.numbers(town text) returns setof bigint language sql stable as $$ select member_no from crm.of_town(town) $$;
create function crm.m(m bigint) returns text language sql stable as $$ select x.name from crm.member x where x.member_no = m $$;
create function crm.plus(a int, b int) returns int language sql stable as 'select a + b';
create function crm.halls() returns setof text language sql stable as 'select name from crm.airport order by code';

create function crm.later(who bigint) returns text language sql volatile as $$ select name from crm.member where member_no = who $$;
create function crm.before(who bigint) returns text language sql immutable as $$ select name from crm.member where member_no = who $$;
create function crm.definer(who bigint) returns text language sql stable security definer as $$ select name from crm.member where member_no = who $$;
create function crm.pathed(who bigint) returns text language sql stable set search_path = crm as $$ select name from member where member_no = who $$;
create function crm.strictly(who bigint) returns text language sql stable strict as $$ select name from crm.member where member_no = who $$;
create function crm.hides(city text) returns bigint language sql stable as $$ select count(*) from crm.member where city = city $$;
create function crm.two(who bigint) returns text language sql stable as $$ select 1; select name from crm.member where member_no = who $$;
create function crm.twice(x int) returns text language sql stable as 'select max(name) from crm.member where member_no = x';
create function crm.twice(x text) returns text language sql stable as 'select max(name) from crm.member where name = x';
create function crm.fixed(c char) returns setof text language sql stable as 'select m.name from crm.member m where m.city = c';
create function crm.fixes(who bigint) returns char language sql stable as 'select m.name::char(8) from crm.member m where m.member_no = who';
create function crm.bits(b bit) returns setof text language sql stable as 'select m.name from crm.member m where length(b) = 3 and m.member_no < 1003';
create function crm.keyed(key text) returns setof text language sql stable as 'select m.name from crm.member m, json_each(''{"Tokyo": 1}'') where m.city = key';
create function crm.called_in(town text) returns setof text language sql stable as 'select m.name from crm.member m, crm.of_town(town) where m.city = town and m.member_no < 1003';
set search_path = crm, public;
create function crm.bare(who bigint) returns text language sql stable as 'select m.email from crm.member m, airport a where m.member_no = who limit 1';
reset search_path;
create function crm.through(who bigint) returns text language sql stable as 'select crm.later(who)';
create function crm.again(n int) returns setof bigint language sql stable as 'select member_no from crm.member where member_no < n union select 1';
create or replace function crm.again(n int) returns setof bigint language sql stable as 'select a from crm.again(n - 1) a union select member_no from crm.member where member_no = n';
`

// Whom a function in SQL reads is named, as if its text stood in the statement.
func TestFunctionsInSQLAreWrittenOut(t *testing.T) {
	more := inSQL
	if atLeast(t, 14) {
		more += "create function crm.atomic(who bigint) returns text language sql stable begin atomic select m.email from crm.member m where m.member_no = who; end;"
	}
	h := newWritingHouse(t, more)
	for _, c := range []struct {
		sql   string
		tells []string
	}{
		{"select name from crm.of_town('Tokyo')", []string{"read crm.member: 1002 1004 1006"}},
		{"select t.city, t.email from crm.of_town('Osaka') t where t.member_no = 1003", []string{"read crm.member: 1003"}},
		{"select crm.called(1005)", []string{"read contributed crm.member: 1005"}},
		{"select a.name, crm.called(1004) from crm.airport a where a.code = 'HND'", []string{"read contributed crm.member: 1004"}},
		{"select m.city, crm.called(m.member_no + 1) from crm.member m where m.member_no = 1001", []string{"read crm.member: 1001 1002"}},
		{"select paper from crm.papers(1010, 2)", []string{"read crm.passport: 1003 1006 1009"}},
		{"select crm.how_many('Tokyo')", []string{"read contributed crm.member: 1002 1004"}},
		{"select * from crm.called_in('Tokyo')", []string{"read crm.member: 1002 1004 1006"}},
		{"select * from crm.numbers('Tokyo')", []string{"read crm.member: 1002 1004 1006"}},
		{"select crm.m(m.member_no) from crm.member m where m.member_no = 1008", []string{"read crm.member: 1008"}},
		{"select m.name, f.paper from crm.member m, crm.papers(m.member_no + 1, 1) f where m.member_no = 1003", []string{"read crm.member,crm.passport: 1003"}},
		{"copy (select email from crm.of_town('Tokyo')) to stdout", []string{"export crm.member: 1002 1004 1006"}},
		{"select crm.plus(1, 2), h from crm.halls() h limit 1", nil},
	} {
		for _, mode := range bothWays {
			conn := h.connect("sato")
			before := len(h.wrote())
			_, err := conn.Exec(context.Background(), c.sql, mode)
			got := slices.Clone(h.wrote()[before:])
			conn.Close(context.Background())
			for i := range got {
				head, keys, _ := strings.Cut(got[i], ": ")
				list := strings.Fields(keys)
				slices.Sort(list)
				got[i] = head + ": " + strings.Join(slices.Compact(list), " ")
			}
			if err != nil || !slices.Equal(got, c.tells) {
				t.Errorf("%v %s: %v tells\n  %s\nand not\n  %s", mode, c.sql, err, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
			if want := h.direct(c.sql); mode == bothWays[0] && h.psql("sato", c.sql) != want {
				t.Errorf("%s gives %s and not %s", c.sql, h.psql("sato", c.sql), want)
			}
		}
	}
	// Prepared, the names are of each run.
	conn := h.connect("sato")
	for _, who := range []int64{1011, 1012} {
		before := len(h.wrote())
		var name string
		if err := conn.QueryRow(context.Background(), "select crm.called($1)", who).Scan(&name); err != nil || !strings.HasPrefix(name, "name") {
			t.Fatalf("%q %v", name, err)
		}
		if got := h.wrote()[before:]; len(got) != 1 || !strings.HasSuffix(got[0], ": "+map[int64]string{1011: "1011", 1012: "1012"}[who]) {
			t.Errorf("%d: %v", who, got)
		}
	}
	if atLeast(t, 14) {
		before := len(h.wrote())
		if got := h.psql("sato", "select crm.atomic(1005)"); got != "m5@example.jp\n" {
			t.Errorf("BEGIN ATOMIC: %s", got)
		}
		if got := h.wrote()[before:]; !slices.Equal(got, []string{"read contributed crm.member: 1005"}) {
			t.Errorf("BEGIN ATOMIC: %v", got)
		}
	}
}

// Within a write, too: it names whom it would name with the function's text in
// the place of the call, and what it writes and returns is what it would without
// the gate.
func TestFunctionsInSQLWithinWrites(t *testing.T) {
	h := newWritingHouse(t, inSQL)
	ctx := context.Background()
	stands := func(conn *pgx.Conn) (all string) {
		t.Helper()
		if err := conn.QueryRow(ctx, "select (select md5(string_agg(m::text, '|' order by m::text)) from crm.member m) || (select md5(string_agg(p::text, '|' order by p::text)) from crm.passport p)", pgx.QueryExecModeSimpleProtocol).Scan(&all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	// what a statement answers and leaves behind, on this connection
	outcome := func(conn *pgx.Conn, mode pgx.QueryExecMode, sql string) (out string) {
		t.Helper()
		if _, err := conn.Exec(ctx, "begin"); err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(ctx, sql, mode)
		if err == nil {
			for rows.Next() {
				for _, v := range rows.RawValues() {
					out += string(v) + "|"
				}
			}
			rows.Close()
			err = rows.Err()
		}
		if err != nil {
			t.Errorf("%v %s: %v", mode, sql, err)
		} else {
			out += rows.CommandTag().String() + stands(conn)
		}
		if _, err := conn.Exec(ctx, "rollback"); err != nil {
			t.Fatal(err)
		}
		return out
	}
	owner := h.owner()
	list := []struct{ sql, by string }{ // by hand
		{"update crm.member set city = crm.called(1005) where member_no = 1001", "update crm.member set city = (select name from crm.member where member_no = 1005) where member_no = 1001"},
		{"update crm.member m set city = crm.called(m.member_no) where m.member_no in (1007, 1008)", "update crm.member m set city = (select x.name from crm.member x where x.member_no = m.member_no) where m.member_no in (1007, 1008)"},
		{"update crm.member m set city = f.paper from crm.papers(1004, 5) f where f.person = m.member_no", "update crm.member m set city = f.paper from (select member_no, passport_no || '' from crm.passport where member_no < 1004 order by member_no limit 5) f (person, paper) where f.person = m.member_no"},
		{"delete from crm.passport where member_no in (select f.member_no + 2 from crm.of_town('Tokyo') f where f.member_no = 1004)", "delete from crm.passport where member_no in (select f.member_no + 2 from (select * from crm.member where city = 'Tokyo' and member_no < 1007) f where f.member_no = 1004)"},
		{"delete from crm.member where member_no = 1011 and crm.how_many('Tokyo') > 0", "delete from crm.member where member_no = 1011 and (select count(*) from crm.member m where m.city = 'Tokyo' and m.member_no < 1005) > 0"},
		{"insert into crm.member (member_no, name) select f.member_no + 5000, f.name from crm.of_town('Osaka') f where f.member_no < 1004", "insert into crm.member (member_no, name) select f.member_no + 5000, f.name from (select * from crm.member where city = 'Osaka' and member_no < 1007) f where f.member_no < 1004"},
		{"insert into crm.member (member_no, name, city) values (6005, crm.called(1013), crm.called(1014))", "insert into crm.member (member_no, name, city) values (6005, (select name from crm.member where member_no = 1013), (select name from crm.member where member_no = 1014))"},
		{"update crm.member m set city = 'x' where member_no = 1012 returning city, crm.called(m.member_no)", "update crm.member m set city = 'x' where member_no = 1012 returning city, (select x.name from crm.member x where x.member_no = m.member_no)"},
		{"with x as materialized (select f.member_no as n from crm.of_town('Tokyo') f) update crm.member m set city = 'y' from x where x.n = m.member_no", "with x as materialized (select f.member_no as n from (select * from crm.member where city = 'Tokyo' and member_no < 1007) f) update crm.member m set city = 'y' from x where x.n = m.member_no"},
		{"with u as (update crm.member m set city = crm.called(1005) where crm.called(m.member_no) = 'name7' and m.member_no < 1009 returning m.member_no, crm.called(m.member_no)) select u.called from u", "with u as (update crm.member m set city = (select x.name from crm.member x where x.member_no = 1005) where (select x.name from crm.member x where x.member_no = m.member_no) = 'name7' and m.member_no < 1009 returning m.member_no, (select x.name from crm.member x where x.member_no = m.member_no) as called) select u.called from u"},
		{"with d as (delete from crm.passport where member_no = 1003 returning member_no) insert into crm.member (member_no, name) select d.member_no + 8000, crm.called(d.member_no) from d", "with d as (delete from crm.passport where member_no = 1003 returning member_no) insert into crm.member (member_no, name) select d.member_no + 8000, (select x.name from crm.member x where x.member_no = d.member_no) from d"},
		// What reads nothing that is protected leaves a write as it is.
		{"update crm.member set city = crm.plus(1, 2)::text where member_no = 1010", "update crm.member set city = (1 + 2)::text where member_no = 1010"},
		{"update crm.member m set city = p.passport_no from crm.passport p, crm.halls() h where p.member_no = m.member_no and m.member_no = 1003 and h = 'Haneda' returning m.city", "update crm.member m set city = p.passport_no from crm.passport p, (select name from crm.airport) h where p.member_no = m.member_no and m.member_no = 1003 and h.name = 'Haneda' returning m.city"},
	}
	if atLeast(t, 17) {
		list = append(list, struct{ sql, by string }{"merge into crm.member m using crm.papers(1007, 1) f on f.person = m.member_no when matched then update set city = f.paper, name = crm.called(1013)",
			"merge into crm.member m using (select member_no, passport_no || '' from crm.passport where member_no < 1007 order by member_no limit 1) f (person, paper) on f.person = m.member_no when matched then update set city = f.paper, name = (select name from crm.member where member_no = 1013)"})
	}
	for _, c := range list {
		for _, mode := range bothWays {
			conn := h.connect("sato")
			var told [2][]string
			for i, sql := range []string{c.sql, c.by} {
				before := len(h.wrote())
				got := outcome(conn, mode, sql)
				told[i] = slices.Clone(h.wrote()[before:])
				if want := outcome(owner, mode, sql); got != want {
					t.Errorf("%v %s does\n  %.300q\nand without the gate\n  %.300q", mode, sql, got, want)
				}
				for j, line := range told[i] {
					head, keys, _ := strings.Cut(line, ": ")
					list := strings.Fields(keys)
					slices.Sort(list)
					told[i][j] = head + ": " + strings.Join(slices.Compact(list), " ")
				}
				slices.Sort(told[i])
			}
			if len(told[0]) == 0 || !slices.Equal(told[0], told[1]) {
				t.Errorf("%v %s tells\n  %.600s\nand by hand\n  %.600s", mode, c.sql, strings.Join(told[0], "\n  "), strings.Join(told[1], "\n  "))
			}
			conn.Close(ctx)
		}
	}
	// Where nothing is protected, a write is as it was.
	conn := h.connect("sato")
	if got := h.tells(t, conn, pgx.QueryExecModeExec, "insert into crm.airport select 'x' || crm.plus(1, 2), h from crm.halls() h limit 1", "INSERT 0 1"); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

// All others are functions that nobody has read.
func TestFunctionsInSQLThatAreNotWrittenOut(t *testing.T) {
	h := newWritingHouse(t, inSQL)
	list := []string{
		"select crm.later(1001)", "select crm.before(1001)", "select crm.definer(1001)", "select crm.pathed(1001)", "select crm.strictly(1001)",
		"select crm.hides('Tokyo')", "select crm.two(1001)", "select crm.twice(1001)", "select crm.through(1001)", "select * from crm.again(1001)",
		"select * from crm.fixed('Tokyo')", "select crm.fixes(1001)", "select * from crm.bits('101')", "select * from crm.keyed('Osaka')", "select crm.bare(1001)",
		"select crm.called(who => 1001)", "select crm.of_town('Tokyo')", "select count(*) from crm.of_town('Tokyo') with ordinality",
		"insert into crm.airport select name, 'x' from crm.of_town('Tokyo')", "update crm.member set name = crm.called(length(city)) where member_no = 1002", "update crm.member m set city = crm.called(m.member_no + 1) where m.member_no = 1007",
		"update crm.member set member_no = 6001, name = crm.called(1001) where member_no = 1002", "with n as (insert into crm.airport select 'x', f.name from crm.of_town('Tokyo') f) select 1",
		"update crm.member set name = crm.later(1001) where member_no = 1002",
		"create table crm.kept as select * from crm.of_town('Tokyo')", "explain select crm.called(1001)", "select crm.called(1001) from crm.member for update",
	}
	for _, sql := range list {
		if got := h.psql("sato", sql); !strings.Contains(got, "ERROR") || !strings.Contains(got, "HINT") {
			t.Errorf("%s: %.200s", sql, got)
		}
	}
	h.stop()
	for i, reason := range h.refusals() {
		if reason != "function" && reason != "names" && reason != "write_reads" {
			t.Errorf("%s: %s", list[i], reason)
		}
	}
	h.tellsOf()
}

// What a rule masks in a table is not read past it through a function.
func TestFunctionsInSQLAreNotMasked(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newWritingHouse(t, inSQL, policy)
	for _, sql := range []string{"update crm.member set city = (select max(f.email) from crm.of_town('Tokyo') f) where member_no = 1001", "select email from crm.of_town('Tokyo')", "select crm.called(1001), email from crm.of_town('Tokyo')", "select f.email from crm.member m, crm.of_town(m.city) f where m.member_no = 1001"} {
		for _, mode := range bothWays {
			conn := h.connect("sato")
			_, err := conn.Exec(context.Background(), sql, mode)
			conn.Close(context.Background())
			if err == nil || !strings.Contains(err.Error(), "addresses are masked") {
				t.Errorf("%v %s: %v", mode, sql, err)
			}
		}
	}
	h.tellsOf()
}

// A function that is made anew means what it then says.
func TestFunctionsInSQLThatAreMadeAnew(t *testing.T) {
	h := newWritingHouse(t, inSQL)
	if got := h.psql("sato", "select * from crm.halls() limit 1"); got != "Haneda\n" {
		t.Fatalf("%s", got)
	}
	h.asOwner("create or replace function crm.halls() returns setof text language sql stable as 'select name from crm.member where member_no = 1009'")
	h.until("the new text is known", func() bool {
		h.psql("sato", "select * from crm.halls()")
		return slices.Contains(h.wrote(), "read crm.member: 1009")
	})
}
