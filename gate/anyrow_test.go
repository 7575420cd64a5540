package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/budget"
	"sekisho/catalog"
)

// What cannot be named: functions that read and write, of which somebody has
// said what; others that nobody has read; a materialized view without a key.
const unnamed = `
create function crm.oldest(n int) returns setof text language plpgsql stable as $$begin return query select name from crm.member order by joined limit n; end$$;
create function crm.shout(who bigint) returns text language plpgsql as $$declare v text; begin select upper(name) into v from crm.member where member_no = who; raise notice 'hello %', v; return v; end$$;
create function crm.fails(who bigint) returns text language plpgsql as $$declare v text; begin select name into v from crm.member where member_no = who; raise exception 'no %', v; end$$;
create function crm.counts() returns bigint language plpgsql as $$begin return (select count(*) from crm.passport); end$$;
create function crm.moves(who bigint, town text) returns text language plpgsql as $$begin update crm.member set city = town where member_no = who; return town; end$$;
create function crm.anything(t text) returns text language plpgsql as $$declare v text; begin execute t into v; return v; end$$;
create procedure crm.forget(who bigint) language plpgsql as $$begin delete from crm.passport where member_no = who; commit; end$$;
create procedure crm.unread() language plpgsql as $$begin perform name from crm.member; end$$;
create procedure crm.nothing() language plpgsql as $$begin end$$;
create function crm.both(x int) returns int language plpgsql as $$begin return x; end$$;
create function crm.both(x text) returns text language plpgsql as $$begin return x; end$$;
create materialized view crm.towns as select city, count(*) from crm.member group by city;
create table crm.fenced (id int);
alter table crm.fenced enable row level security;
create policy p on crm.fenced using (exists (select from crm.passport p where p.member_no = 1003));
create view crm.seen as select crm.counts();
`

// reachable says of some of them what they reach.
func reachable(o *options) {
	o.catalog.Functions.Reviewed = []string{"crm.nothing"}
	o.catalog.Functions.Reaching = []catalog.Reaching{
		{Name: "crm.oldest", Reads: []string{"crm.member"}},
		{Name: "crm.shout", Reads: []string{"crm.member"}},
		{Name: "crm.fails", Reads: []string{"crm.member"}},
		{Name: "crm.counts", Reads: []string{"*"}},
		{Name: "crm.moves", Reads: []string{"crm.member"}, Writes: []string{"crm.member"}},
		{Name: "crm.forget", Writes: []string{"crm.passport"}},
	}
}

// anyRows lets the staff run what could be about anybody.
func anyRows(o *options) {
	r := o.gate.Roles["staff"]
	r.AnyRow = true
	o.gate.Roles["staff"] = r
}

// boundOnes are statements that reach no further than is known, and what the
// ledger says of each.
var boundOnes = []struct {
	sql, reason string
	tag         string
	tells       []string
}{
	{"select * from crm.oldest(3)", "function", "SELECT 3", []string{"read any-row crm.member: "}},
	{"select crm.oldest(2) union select code from crm.airport", "function", "SELECT 5", []string{"read any-row crm.member: "}},
	{"select crm.shout(1005)", "function", "SELECT 1", []string{"read any-row crm.member: "}},
	{"select crm.counts() + count(*) from crm.passport p where p.member_no < 1100", "function", "SELECT 1", []string{"read any-row crm.member,crm.passport,crm.textual: ", "read any-row crm.member,crm.passport,crm.textual: "}},
	{"copy (select crm.oldest(4)) to stdout", "function", "COPY 4", []string{"read any-row crm.member: "}},
	{"select crm.moves(1007, 'Nara')", "function", "SELECT 1", []string{"read any-row crm.member: ", "delete any-row crm.member: "}},
	{"call crm.forget(1009)", "function", "CALL", []string{"read any-row crm.passport: ", "delete any-row crm.passport: "}},
	{"select * from crm.towns", "view", "SELECT 2", []string{"read any-row crm.member: "}},
	{"select t.city from crm.towns t join crm.member m using (city) where m.member_no = 1001", "view", "SELECT 1", []string{"read any-row crm.member: "}},
	{"select count(*) from crm.member tablesample bernoulli (100)", "tablesample", "SELECT 1", []string{"read any-row crm.member: "}},
	{"select city, (select max(p.passport_no) from crm.passport p) from crm.member group by rollup (city)", "names", "SELECT 4", []string{"read any-row crm.member,crm.passport: "}},
	{"select most_common_vals from pg_stats where tablename = 'member' and attname = 'city'", "statistics", "SELECT 1", []string{"read any-row crm.member,crm.passport,crm.textual: ", "read any-row crm.member,crm.passport,crm.textual: "}},
	{"select count(*) > 0 from pg_stat_activity", "statistics", "SELECT 1", []string{"read any-row crm.member,crm.passport,crm.textual: ", "read any-row crm.member,crm.passport,crm.textual: "}},
}

// A role without any_row is refused, and reads which setting it would take.
func TestWhatCannotBeNamedIsRefused(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable)
	var asked, reasons []string
	for _, c := range boundOnes {
		asked, reasons = append(asked, c.sql), append(reasons, c.reason)
	}
	h.asksForAnyRow(asked, reasons)
}

// asksForAnyRow: each is refused for its reason, in both ways, the hint names the
// setting, and nobody is taken to have been read.
func (h *house) asksForAnyRow(asked, reasons []string) {
	h.t.Helper()
	var want []string
	for i, sql := range asked {
		for _, mode := range bothWays {
			conn := h.connect("sato")
			_, err := conn.Exec(context.Background(), sql, mode)
			conn.Close(context.Background())
			var pe *pgconn.PgError
			if !errors.As(err, &pe) || !strings.Contains(pe.Hint, "any_row: true") {
				h.t.Errorf("%v %s: %v (%+v)", mode, sql, err, pe)
			}
			want = append(want, reasons[i])
		}
	}
	h.stop()
	if got := h.refusals(); !slices.Equal(got, want) {
		h.t.Errorf("refused as\n  %v\nand not\n  %v", got, want)
	}
	h.tellsOf()
}

// One with any_row runs them, and they are in the ledger as what could be about
// anybody in the tables that they reach.
func TestAnyRowIsRecordedBeforeItRuns(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	for _, mode := range bothWays {
		conn := h.connect("sato")
		for _, c := range boundOnes {
			if got := h.tells(t, conn, mode, c.sql, c.tag); !slices.Equal(got, c.tells) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
		conn.Close(context.Background())
	}
	for _, a := range h.accounts() {
		if a.class != sekisho.AnyRow || a.reach == 0 || a.cats == "" {
			t.Errorf("%+v", a)
		}
	}
	if got := h.direct("select city from crm.member where member_no = 1007; select count(*) from crm.passport where member_no = 1009"); got != "Nara\n0\n" {
		t.Errorf("written: %s", got)
	}
	// Errors and notices lose what may be somebody's.
	for _, sql := range []string{"select crm.shout(1005)", "select crm.fails(1005)"} {
		if got := h.psql("sato", sql); strings.Contains(got, "name5") || strings.Contains(got, "hello") {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

// What puts rows where nobody accounts for them, or writes by itself, no role
// runs.
func TestAnyRowIsNotForWhatStays(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	h.asOwner("grant temporary, create on database " + h.dbname + " to staff; grant create on schema crm to staff")
	list := []struct{ sql, reason string }{
		{"select crm.oldest(1), set_config('search_path', 'public', false)", "function"},
		{"declare c cursor for select crm.anything('select 1')", "function"},
		{"create table crm.kept as select crm.oldest(3)", "function"},
		{"create temporary table kept as select crm.oldest(3)", "function"},
		{"select crm.oldest(3) into crm.kept", "function"},
		{"create materialized view crm.kept as select name from crm.member", "create_table_as"},
		{"create table crm.kept as select * from crm.towns", "create_table_as"},
		{"create table crm.kept as select member_no, name from crm.member", "create_table_as"},
		{"refresh materialized view crm.towns", "refresh"},
		{"insert into crm.airport select crm.oldest(1), 'x'", "function"},
		{"insert into crm.airport select city, 'x' from crm.towns", "write_reads"},
		{"update crm.member set name = crm.shout(1005) where member_no = 1006", "function"},
		{"with w as (update crm.member set city = city returning 1) select crm.oldest(1) from w", "function"},
		{"select city from crm.towns for update", "locking"},
		{"select 1; select crm.oldest(3)", "several_statements"},
		{"select f.id from crm.fenced f, crm.oldest(1)", "policy"},
		{"select f.id from crm.towns t, crm.fenced f", "view"},
		{"copy (select crm.oldest(3)) to program 'cat'", "copy_program"},
		{"copy (select crm.oldest(3)) to '/tmp/kept'", "copy_file"},
		{"select crm.oldest(1), pg_terminate_backend(1)", "other_sessions"},
		{"select pg_read_file('x'), crm.oldest(1)", "server_files_or_replication"},
		{"select set_config('role', 'reader', false), crm.oldest(1)", "role_change"},
		{"merge into crm.airport a using crm.towns t on false when not matched then insert values (t.city, 'x')", "write_reads"},
		{"create function crm.mine() returns void language sql as 'select crm.oldest(1)'", "code"},
	}
	conn := h.connect("sato").PgConn()
	for _, c := range list {
		var pe *pgconn.PgError
		if _, err := conn.Exec(context.Background(), c.sql).ReadAll(); !errors.As(err, &pe) || pe.Hint == "" {
			t.Errorf("%s: %v", c.sql, err)
		}
	}
	// A cursor's hint names what runs instead, and it does.
	var pe *pgconn.PgError
	if _, err := conn.Exec(context.Background(), list[1].sql).ReadAll(); !errors.As(err, &pe) || !strings.Contains(pe.Hint, "Not by a cursor") || !strings.Contains(pe.Hint, "send the SELECT by itself") {
		t.Errorf("a cursor: %v", err)
	}
	list = append(list, list[1])
	h.stop()
	for i, reason := range h.refusals() {
		if i < len(list) && list[i].reason != reason {
			t.Errorf("%s: refused as %s and not as %s", list[i].sql, reason, list[i].reason)
		}
	}
	if n := len(h.refusals()); n != len(list) {
		t.Errorf("%d are refused of %d", n, len(list))
	}
	// Nothing of anybody's is in the ledger, and nothing was kept.
	h.tellsOf()
	if got := h.direct("select to_regclass('crm.kept')"); got != "\n" {
		t.Errorf("kept: %s", got)
	}
}

// A role that may not write does not run what writes.
func TestAnyRowAloneDoesNotWrite(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows, func(o *options) {
		r := o.gate.Roles["staff"]
		r.Writes = false
		o.gate.Roles["staff"] = r
	})
	for _, sql := range []string{"select crm.moves(1007, 'Nara')", "call crm.forget(1009)"} {
		if got := h.psql("sato", sql); !strings.Contains(got, "writes: true") {
			t.Errorf("%s: %s", sql, got)
		}
	}
	if got := h.psql("sato", "select crm.shout(1005)"); got != "NAME5\n" {
		t.Errorf("what only reads: %s", got)
	}
	if got := h.psql("sato", "call crm.nothing()"); got != "" {
		t.Errorf("what neither reads nor writes: %s", got)
	}
	h.tellsOf("read any-row crm.member: ")
}

// Where it is a function that keeps the masks away, the hint says what to do about
// the function.
func TestMaskedAndUnread(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newWritingHouse(t, unnamed, anyRows, policy)
	_, err := h.connect("sato").Exec(context.Background(), "select crm.shout(1005)")
	if pe := pgError(t, err); !strings.Contains(pe.Hint, "listed in the catalog under functions.reviewed") {
		t.Errorf("%+v", pe)
	}
}

// The policy is asked about everything in the tables, and nothing is masked.
func TestPolicyOfAnyRow(t *testing.T) {
	const all = `@id("all") permit (principal, action, resource); `
	forbid := func(actions, categories string) string {
		return all + `@id("not") @reason_en("no") @reason_ja("不可") @hint_en("leave it") @hint_ja("やめる") forbid (principal, action in [` + actions + `], resource == Category::"` + categories + `");`
	}
	for name, c := range map[string]struct{ rules, sql, reason string }{
		"allowed":        {all, "select crm.shout(1005)", ""},
		"a category":     {forbid(`Action::"read"`, "contact"), "select crm.shout(1005)", "policy_refused"},
		"of its tables":  {forbid(`Action::"read"`, "travel_document"), "select crm.shout(1005)", ""},
		"of all tables":  {forbid(`Action::"read"`, "travel_document"), "select most_common_vals from pg_stats limit 1", "policy_refused"},
		"what it writes": {forbid(`Action::"update"`, "contact"), "select crm.moves(1007, 'Nara')", "policy_refused"},
		"nobody inserts": {forbid(`Action::"insert"`, "travel_document"), "call crm.forget(1009)", "policy_refused"},
		"masked":         {veiled, "select crm.shout(1005)", "policy_mask"},
	} {
		t.Run(name, func(t *testing.T) {
			_, policy := withPolicy(t, c.rules)
			h := newWritingHouse(t, unnamed, reachable, anyRows, policy)
			for _, mode := range bothWays {
				conn := h.connect("sato")
				_, err := conn.Exec(context.Background(), c.sql, mode)
				conn.Close(context.Background())
				if (err != nil) != (c.reason != "") {
					t.Errorf("%v %s: %v", mode, c.sql, err)
				}
			}
			h.stop()
			for _, reason := range h.refusals() {
				if reason != c.reason {
					t.Errorf("refused as %s", reason)
				}
			}
			if n := len(h.accounts()); (n == 0) != (c.reason != "") {
				t.Errorf("%d accesses", n)
			}
		})
	}
}

// ask_above takes such a statement for everybody, and a second person's approval
// lets it through once, bound values and all.
func TestAnyRowNeedsAnApprovalForEverybody(t *testing.T) {
	var h *house
	h = newWritingHouse(t, unnamed, reachable, anyRows, func(o *options) { askAbove(10, &h)(o) })
	for _, mode := range bothWays {
		conn := h.connect("sato")
		ask := func(who any) (string, error) {
			var name string
			err := conn.QueryRow(context.Background(), "select crm.shout($1)", mode, who).Scan(&name)
			return name, err
		}
		_, err := ask(int64(1005))
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "53400" || strings.Contains(pe.Hint, "were sent") || !strings.Contains(pe.Hint, "all 1000") {
			t.Fatalf("%v: %v %+v", mode, err, pe)
		}
		n := reference(t, pe.Hint)
		few := h.approve(n, 500, time.Now().Add(time.Hour))
		if _, err := ask(int64(1005)); err == nil {
			t.Errorf("%v: request %d is for fewer than everybody", mode, few)
		}
		_ = n
		conn.Close(context.Background())
	}
	said := h.psql("sato", "select crm.shout(1006)")
	request := h.approve(reference(t, said), 1000, time.Now().Add(time.Hour))
	if got := h.psql("sato", "select crm.shout(1007)"); !strings.Contains(got, "approval") {
		t.Errorf("another statement: %s", got)
	}
	if got := h.psql("sato", "select crm.shout(1006)"); got != "NAME6\n" {
		t.Errorf("approved: %s", got)
	}
	if got := h.psql("sato", "select crm.shout(1006)"); !strings.Contains(got, "approval") {
		t.Errorf("twice: %s", got)
	}
	used := 0
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.ExportUsed); ok {
			if used++; b.Request != request {
				t.Errorf("request %d is used", b.Request)
			}
		}
	}
	if used != 1 {
		t.Errorf("%d approvals are used", used)
	}
	h.tellsOf("read any-row crm.member: ")
}

// A budget has no room for everybody, unless it says that it lets such
// statements pass.
func TestBudgetsTakeAnyRowForEverybody(t *testing.T) {
	for _, pass := range []bool{false, true} {
		b := hourly(5)
		if pass {
			b.AnyRow = budget.Pass
		}
		h := newWritingHouse(t, unnamed, reachable, anyRows, withBudgets(b))
		got := h.psql("sato", "select crm.shout(1005)")
		if strings.Contains(got, "NAME5") != pass {
			t.Errorf("pass %v: %s", pass, got)
		}
		h.stop()
		if n := len(h.accounts()); (n > 0) != pass {
			t.Errorf("pass %v: %d accesses", pass, n)
		}
	}
}

// A name that the server knows as something else does not borrow the account of
// what could be about anybody.
func TestAnyRowUnderAnotherName(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	conn := h.connect("sato").PgConn()
	ctx := context.Background()
	if _, err := conn.Prepare(ctx, "x", "select passport_no from crm.passport where member_no = 1003", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Prepare(ctx, "x", "select crm.shout(1005)", nil); err == nil {
		t.Fatal("the server took a name twice")
	}
	r := conn.ExecPrepared(ctx, "x", nil, nil, nil).Read()
	if r.Err == nil && len(r.Rows) > 0 {
		if got := h.wrote(); !slices.Contains(got, "read crm.passport: 1003") {
			t.Errorf("%q is read, and the ledger says %v", r.Rows, got)
		}
	}
}
