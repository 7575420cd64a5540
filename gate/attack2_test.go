package gate

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho/catalog"
)

// What somebody tries who may also write, and make tables of their own.

// workshop is a house in which staff have a schema of their own, and the owner
// has left things that read customers on somebody's behalf.
func workshop(t *testing.T) *house {
	return newHouse(t, func(o *options) {
		_, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, `
create schema own;
grant all on schema own to staff;
grant update on crm.member to staff;
create table crm.desk (n int, member_no bigint references crm.member);
grant all on crm.desk to staff;
create function crm.email_of(n bigint) returns text language sql security definer as $$ select email from crm.member where member_no=n $$;
create function crm.tells(t text) returns boolean language plpgsql security definer as $$ begin raise notice '%', (select email from crm.member where member_no=1042); return true; end $$;
create domain crm.telling as text check (crm.tells(value));
create table crm.form (n int, field crm.telling);
insert into crm.form values (1, 'a');
grant all on crm.form to staff;
create view crm.osaka as select city from crm.member where lower(trim(replace(replace(replace(city, ' ', ''), '-', ''), '.', ''))) = 'osaka';
grant select on crm.osaka to staff;`)
		if err != nil {
			t.Fatal(err)
		}
		o.catalog.Unprotected = append(o.catalog.Unprotected, "crm.osaka")
	})
}

// An attempt is refused with certain words, or what it reads stands in the
// ledger.
type attempt struct{ name, script, refused string }

func (h *house) try(attempts []attempt) {
	h.t.Helper()
	for _, a := range attempts {
		got := h.raw("sato").run(a.script + "\nQ rollback") // else nothing more is answered
		if !strings.Contains(got, a.refused) {
			h.t.Errorf("%s: no %q in\n%.3000s", a.name, a.refused, got)
		}
		h.mustBeTold(a.name, got)
	}
}

// The arguments of EXECUTE are evaluated before what was prepared runs, and
// are no part of it.
func TestExecuteEvaluatesNothing(t *testing.T) {
	h := workshop(t)
	const no = "does not pass EXECUTE"
	h.try([]attempt{
		{"SQL in a string", "Q prepare p(xml) as select $1\nQ execute p(query_to_xml('select email from crm.member where member_no=1042', true, true, ''))", no},
		{"a function of the owner's", "Q prepare p(text) as select $1\nQ execute p(crm.email_of(1042))", no},
		{"one within an expression", "Q prepare p(text) as select $1\nQ execute p('x' || crm.email_of(1042))", no},
		{"one as a condition", "Q prepare p(int) as select name from crm.airport limit $1\nQ execute p(length(crm.email_of(1042)))", no},
		{"by the extended protocol", "Q prepare p(text) as select $1\nP e execute p(crm.email_of(1042))\nB \"\" e - -\nE \"\" 0\nS", no},
		{"in a text of several", "Q prepare p(text) as select $1; execute p(crm.email_of(1042))", no},
		{"a type with a check", "Q prepare p(text) as select $1\nQ execute p('x'::crm.telling)", no},
		{"a setting by a name put together", "Q prepare p(text) as select $1\nQ execute p(set_config('standard_conforming' || '_strings', 'off', false))", no},
		{"a role by a name put together", "Q prepare p(text) as select $1\nQ execute p(set_config('ro' || 'le', 'reader', false))", no},
		{"under EXPLAIN", "Q prepare p(text) as select $1\nQ explain analyze execute p(crm.email_of(1042))", no},
		{"into a table", "Q prepare p(text) as select $1\nQ create temp table z as execute p(crm.email_of(1042))", no},
	})
	got := h.raw("sato").run("Q prepare p(text, int, date) as select $1, $2, $3\nQ execute p('x', -1, '2026-01-01'::date)")
	if !strings.Contains(got, `D "x" "-1" "2026-01-01"`) {
		t.Errorf("EXECUTE with constants:\n%s", got)
	}
}

// The first line of COPY … HEADER is nobody's row, so the gate must know as
// well as the server whether there is one.
func TestCopyHeaderIsReadAsTheServerReadsIt(t *testing.T) {
	h := newHouse(t)
	one := "(select email from crm.member where member_no = 1042)"
	for i, option := range []string{
		"header (false)", "header (off)", "header ('false')", "format csv, header (false)", "header 0", "header false", "header off", "header 'FALSE'", "header 'Off'", "header 1.0", "header 00", "header 2", "header *",
		"header", "header 1", "header true", "header on", "header 'TRUE'", "header ''", "header t", "header yes", "header match", "header false, header true", "header (true, false)", `"HEADER" off`, `header "off"`,
	} {
		got := h.raw("sato").run("Q copy " + one + " to stdout (" + option + ")")
		h.mustBeTold(option, got)
		if keys, _ := h.told(); strings.Contains(got, "m42@") && !slices.Contains(keys, "1042") {
			t.Errorf("%d: %s: nobody is named", i, option)
		}
	}
	got := h.raw("sato").run("Q copy " + one + " to stdout csv header")
	if !strings.Contains(got, "email\\n") || !strings.Contains(got, "m42@") {
		t.Errorf("with a header:\n%s", got)
	}
}

// An outer join shows where there is no row. Whoever joins guesses and keeps
// those that miss reads what is left out.
func TestOuterJoinsThatMissAreAnybodys(t *testing.T) {
	h := workshop(t)
	guesses := "Q create temp table guess(member_no bigint, city text, email text); insert into guess select 1000+i, c, 'm'||i||'@example.jp' from generate_series(1,5) i, (values ('Tokyo'),('Osaka')) v(c)\n" +
		"Q create temp table tokyo(city text); insert into tokyo values ('Tokyo')\n"
	for _, c := range []struct {
		name, from string
		anyRow     int
	}{
		{"two columns", "guess g left join crm.member m on m.member_no = g.member_no and m.city = g.city where m.member_no is null", 1},
		{"two columns, the other way", "crm.member m right join guess g on g.city = m.city and g.member_no = m.member_no where m.member_no is null", 1},
		{"both sides", "guess g full join crm.member m on m.member_no = g.member_no and m.city = g.city where m.member_no is null", 1},
		{"USING two columns", "guess g left join crm.member m using (member_no, city) where m.name is null", 1},
		{"NATURAL", "guess g natural left join crm.member m where m.name is null", 1},
		{"a value that is not hers", "guess g left join crm.member m on m.member_no = 1042 and m.city = 'Osaka' where m.member_no is null", 1},
		{"a value that is hers", "guess g left join crm.member m on m.member_no = 1042 and m.city = 'Tokyo'", 0},
		{"a value alone", "guess g left join crm.member m on m.email = g.city where m.member_no is null", 1},
		{"USING a value alone", "(select 1) x, guess g left join crm.member m using (city)", 0},
		{"a join on the side that may be missing", "guess g left join (crm.member m join tokyo t on t.city = m.city) on m.member_no = g.member_no where m.member_no is null", 1},
		{"a side that is missing by the order of joins", "tokyo t join crm.member m on t.city = m.city right join guess g on m.member_no = g.member_no where m.member_no is null", 1},
		{"the key and itself", "guess g left join crm.member m on m.member_no = m.member_no where m.member_no is null", 0},
		{"the key alone", "guess g left join crm.member m on m.member_no = g.member_no - 0", 0},
		{"the key alone, by columns", "guess g left join crm.member m on m.member_no = g.member_no", 0},
		{"USING the key alone, which may be NULL", "guess g left join crm.passport p using (member_no)", 1},
	} {
		from, misses, _ := strings.Cut(c.from, " where ")
		h.told()
		_, before := h.told()
		got := h.raw("sato").run(guesses + "Q select g.member_no, g.city from " + from)
		_, after := h.told()
		if after-before != c.anyRow {
			t.Errorf("%s: %d entries say that it may be anybody, want %d:\n%.2000s", c.name, after-before, c.anyRow, got)
		}
		if misses == "" {
			continue
		}
		// Whoever is there makes a row go away, and is named by none.
		if got := h.raw("sato").run(guesses + "Q select g.member_no, g.city from " + c.from); !strings.Contains(got, "C0A000") {
			t.Errorf("%s, and those who miss alone:\n%.2000s", c.name, got)
		}
	}
}

// What runs over rows that do not come back must leave nothing behind that can
// be asked for later.
func TestNothingCountsWhatWasMet(t *testing.T) {
	h := workshop(t)
	h.raw("sato").run("Q create table own.letter(c text, n int); insert into own.letter select chr(i), i from generate_series(97,122) i; create index on own.letter(c)")
	meet := "Q begin isolation level serializable; set local enable_seqscan=off; set local enable_hashjoin=off; set local enable_mergejoin=off; set local enable_bitmapscan=off\n" +
		"Q select 1 from crm.member m join own.letter l on l.c = substr(m.email,1,1) and l.n is null where m.member_no=1042\n"
	h.try([]attempt{
		{"random numbers used up", "Q select setseed(0.5)\nQ select 1 from crm.member where member_no=1042 and case when email like 'm4%' then random() else 2 end < 0\nQ select random()", "C0A000"},
		{"the order of random numbers", "Q select member_no from crm.member where email like 'm4%' order by random() limit 1", "C0A000"},
		{"random numbers by another name", `Q select 1 from crm.member where member_no=1042 and pg_catalog."random"() < 0`, "C0A000"},
		{"locks on what was met", meet + "Q select page, tuple from pg_locks where mode = 'SIReadLock'", "C0A000"},
		{"the function under them", meet + "Q select pg_lock_status()", "C0A000"},
		{"a view over them", "Q create temp view v as select * from pg_locks\n" + meet + "Q select * from v", "C0A000"},
		{"locks under an OFFSET", "Q select 1 from crm.member m join own.letter l on l.c = substr(m.email,1,1) where m.member_no=1042 for update of l offset 1000000\nQ select c from own.letter where xmax::text <> '0'", "C0A000"},
		{"locks on all", "Q select 1 from crm.member m join own.letter l on l.c = substr(m.email,1,1) where m.member_no=1042 for share", "C0A000"},
		{"locks beside others that are skipped", "Q select 1 from crm.member m join own.letter l on l.c = substr(m.email,1,1) where m.member_no=1042 for update of l for update of m skip locked", "C0A000"},
		{"locks beyond the last of equals", "Q select 1 from crm.member m order by city fetch first 1 row with ties for update", "C0A000"},
		{"locks under another name", "Q select 1 from crm.member m join own.letter member on member.c = substr(m.email,1,1) for update of member", "C0A000"},
		{"counters of this transaction", meet + "Q select idx_tup_fetch from pg_stat_xact_user_tables where relname = 'letter'", "C0A000"},
		{"their functions", meet + "Q select pg_stat_get_xact_tuples_fetched('own.letter'::regclass)", "C0A000"},
		{"counters of all", "Q select idx_scan from pg_stat_user_indexes", "C0A000"},
		{"counters by a star", "Q select * from pg_statio_user_tables", "C0A000"},
		{"counters by a row", "Q select to_jsonb(s) from pg_stat_user_tables s", "C0A000"},
		{"counters renamed", "Q select a, b, c, d from pg_stat_user_tables s(a, b, c, d)", "C0A000"},
		{"a view over counters", "Q create temp view v as table pg_stat_user_tables", "C0A000"},
		{"a snapshot of counters", "Q select pg_stat_get_numscans('own.letter'::regclass) from crm.member where member_no=1042", "C0A000"},
	})
	if got := h.psql("sato", "select relname, n_live_tup is null from pg_stat_user_tables where relname = 'airport'"); got != "airport|f\n" {
		t.Errorf("how large a table is: %q", got)
	}
}

// A type with code of its own runs it wherever a value becomes one, named or
// not.
func TestTypesThatTellAreNotMadeUnnamed(t *testing.T) {
	h := workshop(t)
	h.try([]attempt{
		{"a row filled in", `Q select jsonb_populate_record(f, '{"field": "x"}') from crm.form f`, "C0A000"},
		{"rows filled in", `Q select json_populate_recordset(f, '[{"field": "x"}]') from crm.form f`, "C0A000"},
		{"a row of the type by name", `Q select jsonb_populate_record(null::crm.form, '{"field": "x"}')`, "C0A000"},
		{"a table like it", "Q create temp table z as select * from crm.form\nQ insert into z values (1, 'x')", "C0A000"},
		{"a table like it, by INTO", "Q select * into temp z from crm.form\nQ insert into z values (1, 'x')", "C0A000"},
		{"a table like it, by EXPLAIN", "Q explain analyze create temp table z as select * from crm.form\nQ insert into z values (1, 'x')", "C0A000"},
		{"a table like it, by LIKE", "Q create temp table z (like crm.form)\nQ insert into z values (1, 'x')", "C0A000"},
		{"a write", "Q insert into crm.form values (1, 'x')", "C0A000"},
		{"a cast", "Q select 'x'::crm.telling", "C0A000"},
		{"reading, which runs nothing", "Q select * from crm.form", `D "1" "a"`},
	})
}

// Whoever locks a view of their own keeps the gate from reading its definition,
// and must not keep it from seeing what else has changed.
func TestLocksDoNotBlindTheGate(t *testing.T) {
	h := workshop(t)
	r := h.raw("sato")
	r.run("Q create table own.t(a text); create view own.v as select a from own.t")
	for _, locked := range []string{"own.v", "own.t"} {
		got := r.run("Q begin; lock table " + locked + " in access exclusive mode")
		if !strings.Contains(got, "LOCK TABLE") {
			t.Fatal(got)
		}
		late := "crm.late_" + strings.TrimPrefix(locked, "own.")
		h.asOwner("create view " + late + " as select email as e from crm.member where member_no = 1042; grant select on " + late + " to staff")
		got = h.raw("sato").run("Q select e || '' from " + late)
		h.mustBeTold("a view made while "+locked+" is locked", got)
		r.run("Q rollback")
		h.until("the view is known again", func() bool { return !strings.Contains(h.raw("sato").run("Q select a from own.v"), "C0A000") })
	}
}

// parseTyped is a Parse that says which types its parameters have.
func parseTyped(name, text string, types ...uint32) []byte {
	body := binary.BigEndian.AppendUint16([]byte(name+"\x00"+text+"\x00"), uint16(len(types)))
	for _, oid := range types {
		body = binary.BigEndian.AppendUint32(body, oid)
	}
	return appendMessage(nil, 'P', string(body))
}

func TestParametersOfTypesThatTell(t *testing.T) {
	h := workshop(t)
	r := h.raw("sato")
	var oid uint32
	fmt.Sscan(h.psql("sato", "select 'crm.telling'::regtype::oid"), &oid)
	r.send(parseTyped("", "select $1", oid))
	got := r.run(`B "" "" x -` + "\nE \"\" 0\nS")
	h.mustBeTold("a parameter", got)
}

// Whether a row is locked by somebody, or was changed meanwhile, is asked only
// of rows that the condition lets through.
func TestLockErrorsAreAnswers(t *testing.T) {
	h := workshop(t)
	holder := h.raw("sato")
	holder.run("Q begin; insert into crm.desk values (1, 1042)")
	defer holder.run("Q rollback")
	for _, question := range []string{
		"Q select 1 from crm.member where member_no=1042 and email like 'm42@%' for update nowait",
		"Q set lock_timeout = 1\nQ select 1 from crm.member where member_no=1042 and email like 'm42@%' for update",
	} {
		_, before := h.told()
		got := h.raw("sato").run(question)
		if !strings.Contains(got, "C55P03") {
			t.Fatalf("%s:\n%s", question, got)
		}
		if _, after := h.told(); after != before+1 {
			t.Errorf("%s: %d entries say that it was about somebody", question, after-before)
		}
	}
}

// A notice has no values left in it, but it came, and so often.
func TestNoticesDoNotCount(t *testing.T) {
	h := newHouse(t)
	for _, question := range []string{
		"Q select 1 from crm.member where member_no=1042 and to_tsvector('simple', repeat(repeat('x',2100)||' ', ascii(email)-100)) is null",
		"Q select 1 from crm.member where member_no=1042 and to_tsquery('english', case when email like 'm42@%' then 'the' else 'x' end) is null",
	} {
		_, before := h.told()
		got := h.raw("sato").run(question)
		_, after := h.told()
		if n := strings.Count(got, "\nN "); n > 0 && after == before {
			t.Errorf("%s: %d notices, and no entry", question, n)
		}
	}
}

// Rows that OFFSET leaves out decide which row comes back, and how many.
func TestOffsetSkipsNobodyUnseen(t *testing.T) {
	h := newHouse(t)
	for _, like := range []string{"m42@%", "x%"} {
		before := len(h.accounts())
		h.raw("sato").run("Q select member_no from crm.member where member_no=1001 or member_no=1042 and email like '" + like + "' order by member_no desc offset 1")
		all := h.accounts()[before:]
		if like == "m42@%" && !slices.Contains(all[0].keys, "1042") {
			t.Errorf("the answer tells of 1042, and names %v", all[0].keys)
		}
	}
	for _, user := range []string{"sato", "watched"} {
		// The second one has the shape of the first.
		_, anyRow := h.told()
		before := len(h.accounts())
		h.raw(user).run("Q select member_no from crm.member where member_no < 1004 offset 0")
		h.raw(user).run("Q select member_no from crm.member where member_no < 1004 offset 5")
		all := h.accounts()[before:]
		if _, now := h.told(); len(all) != 2 || len(all[0].keys) != 3 || len(all[1].keys) != 3 && now == anyRow {
			t.Errorf("%s: 0 rows and 5 rows skipped: %+v and %+v", user, all[0], all[len(all)-1])
		}
	}
	// What hidden keys cannot account has its names in front.
	for _, sql := range []string{
		"copy (select member_no from crm.member order by 1 offset 1 limit 1) to stdout",
		"select member_no from crm.member order by 1 offset 1+0 limit 1",
		"select member_no from crm.member order by 1 offset 1 fetch first row only",
	} {
		before := len(h.accounts())
		got := h.psql("sato", sql)
		var named []string
		for _, a := range h.accounts()[before:] {
			named = append(named, a.keys...)
		}
		if got != "1002\n" || !slices.Contains(named, "1001") || !slices.Contains(named, "1002") {
			t.Errorf("%s: %q, and the ledger names %d", sql, got, len(named))
		}
	}
	before, _ := h.told()
	got := h.raw("sato").run("P \"\" select member_no from crm.member order by 1 limit 1 offset $1\nB \"\" \"\" 1.0 -\nE \"\" 0\nS")
	if after, _ := h.told(); !strings.Contains(got, "C0A000") || len(after) != len(before) {
		t.Errorf("a number that is none:\n%s", got)
	}
	rows, err := h.connect("sato").Query(context.Background(), "select member_no from crm.member where member_no > $1 order by 1 limit $2 offset $3", 1500, 2, 3) // binary
	if err != nil {
		t.Fatal(err)
	}
	if page, err := pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil || !slices.Equal(page, []int64{1504, 1505}) {
		t.Errorf("a page: %v, %v", page, err)
	}
	if all := h.accounts(); !slices.Equal(all[len(all)-1].keys, []string{"1501", "1502", "1503", "1504", "1505"}) || all[len(all)-1].rows != 2 {
		t.Errorf("the page is about %+v", all[len(all)-1])
	}
	_, anyRow := h.told()
	h.raw("watched").run("Q select member_no from crm.member order by 1 offset 1 limit 1")
	if _, after := h.told(); after != anyRow+1 {
		t.Errorf("in observe mode %d entries say that it was about somebody", after-anyRow)
	}
}

// A view that somebody has declared to show nothing of anybody leaves rows
// out. Conditions of whoever reads it may be asked of those too, and then
// errors and notices are answers.
func TestDeclaredViewsTellNothingOfWhatTheyLeaveOut(t *testing.T) {
	h := workshop(t)
	const question = "select 1 from crm.osaka where case when city = 'Osaka' then 1 else city::int end = 2"
	for _, script := range []string{
		"Q " + question,
		"P \"\" " + question + "\nB \"\" \"\" - -\nE \"\" 0\nS",
		"Q prepare p as " + question + "\nQ execute p",
		"Q create materialized view own.o as " + question + " with no data\nQ refresh materialized view own.o",
		"Q begin; declare c cursor for " + question + "\nQ fetch c",
		"Q copy (" + question + ") to stdout",
	} {
		_, before := h.told()
		got := h.raw("sato").run(script + "\nQ rollback")
		if _, after := h.told(); strings.Contains(got, "Tokyo") || !strings.Contains(got, "C22P02") || after == before {
			t.Errorf("%s: %d entries say that it was about somebody:\n%s", script, after-before, got)
		}
	}
	got := h.raw("sato").run("Q select 1 from crm.osaka where to_tsquery('english', case when city = 'Osaka' then 'x' else 'the' end) is null")
	if strings.Contains(got, "\nN ") {
		t.Errorf("a notice:\n%s", got)
	}
	if got := h.raw("sato").run("Q create view own.v with (security_barrier) as " + question); !strings.Contains(got, "C0A000") {
		t.Errorf("a view over it:\n%s", got)
	}
	h.asOwner("create view own.w with (security_barrier) as " + question + "; grant select on own.w to staff")
	if got := h.raw("sato").run("Q select * from own.w"); strings.Contains(got, "Tokyo") || !strings.Contains(got, "C22P02") {
		t.Errorf("the owner's view over it:\n%s", got)
	}
	h.asOwner("alter view crm.osaka set (security_barrier)")
	h.until("the view is known anew", func() bool {
		_, before := h.told()
		got := h.raw("sato").run("Q " + question + "\nQ select 1/0 from crm.osaka")
		_, after := h.told()
		return after == before && strings.Contains(got, "division by zero") && !strings.Contains(got, "withheld")
	})
}

// All of a role share one login upstream, and the server lets a login end its
// own sessions: that would be everybody's.
func TestNobodyEndsTheSessionsOfOthers(t *testing.T) {
	h := newHouse(t)
	other := h.raw("sato")
	pid := strings.Trim(strings.TrimPrefix(strings.Split(other.run("Q select pg_backend_pid()"), "\n")[1], "D "), `"`)
	for _, user := range []string{"sato", "watched"} {
		got := h.raw(user).run("Q select pg_terminate_backend(" + pid + ")\nQ select pg_cancel_backend(" + pid + ")\nQ do $$begin perform pg_terminate_backend(" + pid + "); end$$")
		if user == "watched" {
			got = strings.Join(strings.SplitAfter(got, "\nZ ")[:2], "")
		}
		if strings.Count(got, "C42501") != 2 {
			t.Errorf("%s:\n%s", user, got)
		}
	}
}

func TestTableIsSelect(t *testing.T) {
	h := newHouse(t)
	got := h.raw("sato").run("Q table crm.textual limit 1\nQ copy (table crm.passport order by expires_on limit 1) to stdout")
	if !strings.Contains(got, `D "K-1" "note, \"quoted\" 1"`) || !strings.Contains(got, "TK3") || strings.Contains(got, "sekisho_") {
		t.Errorf("%s", got)
	}
	if keys, _ := h.told(); !slices.Equal(keys, []string{"K-1", "1003"}) {
		t.Errorf("it is about %v", keys)
	}
}

// A database of another encoding cuts long names elsewhere than the grammar
// does, which counts bytes of UTF-8.
func TestNamesOfAnotherEncoding(t *testing.T) {
	ctx := context.Background()
	long := "crm." + strings.Repeat("旅", 25) // 75 bytes in UTF-8, 50 in EUC_JP
	h := newHouse(t, func(o *options) {
		o.gate.Upstream.Database += "_eucjp"
		if _, err := cluster.SQL(ctx, "postgres", "create database "+o.gate.Upstream.Database+" encoding 'EUC_JP' template template0 lc_collate 'C' lc_ctype 'C'"); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.SQL(ctx, o.gate.Upstream.Database, `set client_encoding to 'UTF8'; create schema crm; create table `+long+` (who text primary key, note text); insert into `+long+` values ('K-1', 'm42@example.jp'); grant usage on schema crm to staff, reader; grant select on `+long+` to staff, reader`)
		if err != nil {
			t.Fatal(err)
		}
		o.catalog = catalog.Config{
			Subjects: []catalog.Subject{{Name: "holder", Table: long, Key: "who"}},
			Tables:   []catalog.Table{{Name: long, Subject: "holder", Key: "who"}},
		}
	})
	h.dbname += "_eucjp"
	got := h.raw("sato").run("Q select note || '' from " + long + "\nP \"\" select note || '' from " + long + "\nB \"\" \"\" - -\nE \"\" 0\nS")
	if strings.Contains(got, "m42@") || strings.Count(got, "longer than 63 bytes") != 2 {
		t.Errorf("a long name:\n%s", got)
	}
}
