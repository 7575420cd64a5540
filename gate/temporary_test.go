package gate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// tells are the accesses that a statement leaves behind.
func (h *house) tells(t *testing.T, conn *pgx.Conn, mode pgx.QueryExecMode, sql, tag string, args ...any) []string {
	t.Helper()
	before := len(h.wrote())
	got, err := conn.Exec(context.Background(), sql, append([]any{mode}, args...)...)
	if err != nil || got.String() != tag {
		t.Errorf("%v %s: %q, %v; want %q", mode, sql, got, err, tag)
	}
	return slices.Clone(h.wrote()[before:])
}

// A temporary table that is filled with protected rows is protected: who is put
// there is named, and who is read of it.
func TestTemporaryTablesBecomeProtected(t *testing.T) {
	h := newHouse(t)
	h.direct("grant temporary on database " + h.dbname + " to staff")
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		conn := h.connect("sato")
		for _, c := range []struct {
			sql, tag string
			args     []any
			tells    []string
		}{
			{"create temp table x as select member_no, name, upper(email) as mail from crm.member where member_no in (1001, 1002)", "SELECT 2", nil,
				[]string{"read crm.member: 1001 1002", "read crm.member: 1001 1002"}},
			{"select name from x where mail like 'M2@%'", "SELECT 1", nil, []string{"read crm.member: 1002"}},
			{"select count(*) from pg_temp.x where mail like 'M1@%'", "SELECT 1", nil, []string{"read contributed crm.member: 1001"}},
			{"select p.passport_no from x join crm.passport p using (member_no)", "SELECT 0", nil, []string{"read crm.member,crm.passport: "}},
			{"insert into x select member_no, passport_no, null from crm.passport where member_no = 1003", "INSERT 0 1", nil,
				[]string{"read crm.member,crm.passport: 1003", "read crm.member,crm.passport: 1003"}},
			{"select name from x where name = $1", "SELECT 1", []any{"TK3"}, []string{"read crm.member,crm.passport: 1003"}},
			{"delete from x where member_no = $1", "DELETE 1", []any{1001}, []string{"read crm.member,crm.passport: 1001"}},
			{"create temp table y (who bigint, what text)", "CREATE TABLE", nil, nil},
			{"insert into y values (1, 'one')", "INSERT 0 1", nil, nil},
			{"insert into y (what, who) select email, member_no from crm.member where member_no = 1007", "INSERT 0 1", nil,
				[]string{"read crm.member: 1007", "read crm.member: 1007"}},
			{"select what from y order by who desc limit 1", "SELECT 1", nil, []string{"read crm.member: 1007"}},
			{"truncate y", "TRUNCATE TABLE", nil, nil},
			{"drop table x", "DROP TABLE", nil, nil},
			{"create temp table x (a int)", "CREATE TABLE", nil, nil},
			{"insert into x values (1)", "INSERT 0 1", nil, nil},
			{"select * from x", "SELECT 1", nil, nil},
			{"discard temp", "DISCARD TEMP", nil, nil},
			{"create temp table x on commit drop as select * from crm.member where member_no = 1009", "SELECT 1", nil,
				[]string{"read crm.member: 1009", "read crm.member: 1009"}},
		} {
			mode := mode
			if c.args != nil {
				mode = pgx.QueryExecModeExec
			}
			if got := h.tells(t, conn, mode, c.sql, c.tag, c.args...); !slices.Equal(got, c.tells) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
		conn.Close(context.Background())
	}
}

// What has once been put into a temporary table stays accounted, whatever
// becomes of the table's name.
func TestTemporaryTablesStayProtected(t *testing.T) {
	h := newHouse(t)
	h.direct("grant temporary on database " + h.dbname + " to staff")
	const fill = "Q create temp table x as select member_no, name from crm.member where member_no between 1001 and 1004"
	for name, c := range map[string]struct{ script, last string }{
		"a DROP that is taken back": {fill + "\n--\nQ begin\n--\nQ drop table x\n--\nQ select 1\n--\nQ rollback\n--\nQ select count(*) from x where name like 'n%'", "named"},
		"to a savepoint":            {"Q begin\n--\n" + fill + "\n--\nQ savepoint s\n--\nQ drop table x\n--\nQ create temp table x (a int)\n--\nQ rollback to s\n--\nQ select count(*) from x where name like 'n%'", "named"},
		"by an error":               {fill + "\n--\nQ begin\n--\nQ drop table x\n--\nQ select 1/0\nQ rollback\n--\nQ select count(*) from x where name like 'n%'", "named"},
		"within one text":           {fill + "\n--\nQ begin; drop table x; rollback; select count(*) from x where name like 'n%'", "named"},
		"in a pipeline":             {fill + "\n--\nQ begin\n--\nQ drop table x\n--\nQ select 1\n--\nP \"\" rollback\nB \"\" \"\" - -\nE \"\" 0\nP s select count(*) from x where name like 'n%'\nB \"\" s - -\nE \"\" 0\nS", "named"},
		"what was prepared before":  {"Q create temp table x (member_no bigint, name text)\n--\nP s select count(*) from x where name like 'n%'\nS\n--\nQ prepare p as select count(*) from x where name like 'n%'\n--\nQ insert into x select member_no, name from crm.member where member_no < 1005\n--\nB \"\" s - -\nE \"\" 0\nS\n--\nQ execute p", "refused"},
		"a view made before":        {"Q create temp table x (member_no bigint, name text)\n--\nQ create temp view v as select name from x\n--\nQ insert into x select member_no, name from crm.member where member_no < 1005", "refused"},
		"another name":              {fill + "\n--\nQ alter table x rename to z", "refused"},
		"an heir":                   {fill + "\n--\nQ create temp table z () inherits (x)", "refused"},
		"a view":                    {fill + "\n--\nQ create temp view v as select name from x", "refused"},
		"by the schema's number":    {fill + "\n--\nQ select name from pg_temp_3.x union all select name from pg_temp_4.x union all select name from pg_temp_5.x", ""},
		"without the key":           {"Q create temp table x as select name from crm.member", "refused"},
		"of all, counted":           {"Q create temp table x as select city, count(*) as n from crm.member group by city", "refused"},
		"if it is not there":        {"Q create temp table if not exists x as select member_no, name from crm.member", "refused"},
		"not temporary":             {"Q create table x as select member_no, name from crm.member", "refused"},
		"put there by UPDATE":       {fill + "\n--\nQ update x set name = (select max(passport_no) from crm.passport)", "refused"},
		"put there by a WITH":       {fill + "\n--\nQ with n as (insert into x select member_no, passport_no from crm.passport returning 1) select count(*) from n", "refused"},
		"put under another key":     {fill + "\n--\nQ insert into x (name, member_no) select member_no::text, length(passport_no) from crm.passport", "refused"},
		"several in one text":       {"Q select 1; create temp table x as select member_no, name from crm.member", "refused"},
		"it is there already":       {"Q create temp table x (a int)\n--\n" + fill, "refused"},
		"into one of everybody's":   {"Q insert into crm.airport select name, name from crm.member", "refused"},
	} {
		r := h.raw("sato")
		parts := strings.Split(c.script, "\n--\n")
		for _, part := range parts[:len(parts)-1] {
			r.run(part)
		}
		before := len(h.wrote())
		got := r.run(parts[len(parts)-1])
		var said []string
		for _, a := range h.accounts()[before:] {
			said = append(said, a.keys...)
		}
		named := strings.Contains(strings.Join(said, " "), "1001")
		switch {
		case c.last == "named" && !named:
			t.Errorf("%s: nobody is named: %s", name, got)
		case c.last == "refused" && (named || !strings.Contains(got, "ERROR") && !strings.Contains(got, "C0A000") && !strings.Contains(got, "C42P07")):
			t.Errorf("%s: it is not refused: %s", name, got)
		case c.last == "" && strings.Contains(got, "name100") && !named:
			t.Errorf("%s: somebody's name came, and nobody is named: %s", name, got)
		}
		r.send(messages("X"))
		r.receive()
	}
}

// What a policy hides is not copied, and what a limit cuts leaves no table.
func TestLimitsOfTemporaryTables(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, policy)
	h.direct("grant temporary on database " + h.dbname + " to staff")
	if got := h.psql("sato", "create temp table x as select member_no, email from crm.member where member_no = 1001; "); !strings.Contains(got, "addresses are masked") {
		t.Errorf("a masked column: %s", got)
	}
	var g *house
	g = newHouse(t, askAbove(10, &g))
	got := g.psql("sato", "create temp table x as select member_no, email from crm.member;\nselect 'made' from pg_class where relname = 'x' and relpersistence = 't';\ncreate temp table x as select member_no, email from crm.member where member_no < 1005;\nselect count(*) from x where email is not null;")
	if !strings.Contains(got, "more than 10 customers") || strings.Contains(got, "made") || !strings.HasSuffix(got, "4\n") {
		t.Errorf("beyond ask_above: %s", got)
	}
}

// An error in the middle of what the gate sends by itself leaves nothing behind
// that the next one stumbles over.
func TestCopiesAfterOneThatFailed(t *testing.T) {
	h := newHouse(t)
	h.direct("grant temporary on database " + h.dbname + " to staff")
	conn := h.connect("sato").PgConn()
	fill := func(of string) error { // by the extended protocol
		return conn.ExecParams(context.Background(), "create temp table x as "+of, nil, nil, nil, nil).Read().Err
	}
	for range 2 {
		if err := fill("select member_no, 1/(member_no - 1001) as nothing from crm.member"); sqlstate(err) != "22012" {
			t.Errorf("the division by zero: %v", err)
		}
	}
	before := len(h.wrote())
	if err := fill("select member_no, name from crm.member where member_no = 1001"); err != nil {
		t.Fatal(err)
	}
	if got, want := h.wrote()[before:], []string{"read crm.member: 1001", "read crm.member: 1001"}; !slices.Equal(got, want) {
		t.Errorf("it tells %q", got)
	}
}
