package gate

import (
	"context"
	"slices"
	"strings"
	"testing"
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

// All others are functions that nobody has read.
func TestFunctionsInSQLThatAreNotWrittenOut(t *testing.T) {
	h := newWritingHouse(t, inSQL)
	list := []string{
		"select crm.later(1001)", "select crm.before(1001)", "select crm.definer(1001)", "select crm.pathed(1001)", "select crm.strictly(1001)",
		"select crm.hides('Tokyo')", "select crm.two(1001)", "select crm.twice(1001)", "select crm.through(1001)", "select * from crm.again(1001)",
		"select * from crm.fixed('Tokyo')", "select crm.fixes(1001)", "select * from crm.bits('101')", "select * from crm.keyed('Osaka')", "select crm.bare(1001)",
		"select crm.called(who => 1001)", "select crm.of_town('Tokyo')", "select count(*) from crm.of_town('Tokyo') with ordinality",
		"insert into crm.airport select name, 'x' from crm.of_town('Tokyo')", "update crm.member set name = crm.called(1001) where member_no = 1002",
		"create table crm.kept as select * from crm.of_town('Tokyo')", "explain select crm.called(1001)", "select crm.called(1001) from crm.member for update",
	}
	for _, sql := range list {
		if got := h.psql("sato", sql); !strings.Contains(got, "ERROR") || !strings.Contains(got, "HINT") {
			t.Errorf("%s: %.200s", sql, got)
		}
	}
	h.stop()
	for i, reason := range h.refusals() {
		if reason != "function" && reason != "names" {
			t.Errorf("%s: %s", list[i], reason)
		}
	}
	h.tellsOf()
}

// What a rule masks in a table is not read past it through a function.
func TestFunctionsInSQLAreNotMasked(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newWritingHouse(t, inSQL, policy)
	for _, sql := range []string{"select email from crm.of_town('Tokyo')", "select crm.called(1001), email from crm.of_town('Tokyo')", "select f.email from crm.member m, crm.of_town(m.city) f where m.member_no = 1001"} {
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
