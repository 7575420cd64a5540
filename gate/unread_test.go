package gate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// everything is what the ledger says of a statement that nobody has read: one
// entry for each kind of subject.
var everything = []string{"read any-row crm.member,crm.passport,crm.textual: ", "read any-row crm.member,crm.passport,crm.textual: "}

// unreadOnes run code that nobody has read, and what comes of them.
var unreadOnes = []struct{ sql, reason, tag, gives string }{
	{"do $$begin perform name from crm.member; end$$", "do", "DO", ""},
	{"call crm.unread()", "call", "CALL", ""},
	{"select crm.anything('select name from crm.member where member_no = 1005')", "function", "SELECT 1", "name5"},
	{"select code, crm.anything('select 1') from crm.airport order by 1 limit 1", "function", "SELECT 1", "HND"},
	{"select crm.oldest(1), crm.anything('select 1')", "function", "SELECT 1", ""},
	{"copy (select crm.anything('select 7')) to stdout", "function", "COPY 1", ""},
	{"select * from crm.seen", "view_calls_function", "SELECT 1", ""},
	{"select query_to_xml('select name from crm.member where member_no = 1005', true, false, '')", "function", "SELECT 1", ""},
	{"explain (costs off) select crm.anything('select 1')", "function", "EXPLAIN", "Result"},
	{"explain (analyze, costs off, timing off, summary off) select crm.anything('select 1')", "function", "EXPLAIN", ""},
}

// A role without any_row is refused, and reads which setting it would take.
func TestWhatNobodyHasReadIsRefused(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable)
	var asked, reasons []string
	for _, c := range unreadOnes {
		asked, reasons = append(asked, c.sql), append(reasons, c.reason)
	}
	h.asksForAnyRow(asked, reasons)
}

// One with any_row runs it, in and outside of a transaction, and it is in the
// ledger as what could be about anybody in all tables.
func TestWhatNobodyHasReadIsAboutEverybody(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	ctx := context.Background()
	for _, mode := range bothWays {
		for _, inside := range []bool{false, true} {
			conn := h.connect("sato")
			if inside {
				if _, err := conn.Exec(ctx, "begin", mode); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range unreadOnes {
				if got := h.tells(t, conn, mode, c.sql, c.tag); !slices.Equal(got, everything) {
					t.Errorf("%v %s tells\n  %s", mode, c.sql, strings.Join(got, "\n  "))
				}
				if c.gives == "" {
					continue
				}
				var got string
				if err := conn.QueryRow(ctx, c.sql, mode).Scan(&got); err != nil && !strings.Contains(err.Error(), "number of field") || !strings.HasPrefix(got, c.gives) && err == nil {
					t.Errorf("%v %s gives %q, %v", mode, c.sql, got, err)
				}
			}
			// The session is as it was: plain statements are exact, and writes are written.
			if got := h.tells(t, conn, mode, "select name from crm.member where member_no = 1004", "SELECT 1"); !slices.Equal(got, []string{"read crm.member: 1004"}) {
				t.Errorf("%v, then %v", mode, got)
			}
			town := fmt.Sprintf("T%v%v", int(mode), inside)
			if got := h.tells(t, conn, mode, "update crm.member set city = '"+town+"' where member_no = 1004", "UPDATE 1"); !slices.Contains(got, "update crm.member: 1004") {
				t.Errorf("%v, then %v", mode, got)
			}
			status, want := conn.PgConn().TxStatus(), byte('I')
			if inside {
				want = 'T'
			}
			if status != want {
				t.Errorf("%v: the transaction is %c and not %c", mode, status, want)
			}
			if inside {
				if _, err := conn.Exec(ctx, "commit", mode); err != nil {
					t.Fatal(err)
				}
			}
			if got := h.direct("select city from crm.member where member_no = 1004"); got != town+"\n" {
				t.Errorf("written: %s", got)
			}
			conn.Close(ctx)
		}
	}
}

// leaving are tries to leave something behind; and what the client would read of
// it in the session, or anybody in the database.
var leaving = []struct{ sql, look, clean string }{
	{"do $$begin insert into crm.airport select 'X', name from crm.member where member_no = 1005; end$$", "select count(*) from crm.airport where code = 'X'", "0"},
	{"do $$begin create table crm.kept as select * from crm.member; end$$", "select to_regclass('crm.kept') is null", "true"},
	{"do $$begin create temp table kept as select * from crm.member; end$$", "select to_regclass('kept') is null", "true"},
	{"do $$begin insert into mine select 5; end$$", "select count(*) from mine", "0"},
	{"do $$begin set local transaction_read_only = off; insert into crm.airport values ('X', 'x'); end$$", "select count(*) from crm.airport where code = 'X'", "0"},
	{"do $$begin perform set_config('transaction_read_only', 'off', false); insert into crm.airport values ('X', 'x'); end$$", "select count(*) from crm.airport where code = 'X'", "0"},
	{"do $$begin commit; insert into crm.airport values ('X', 'x'); end$$", "select count(*) from crm.airport where code = 'X'", "0"},
	{"do $$begin rollback; insert into crm.airport values ('X', 'x'); end$$", "select count(*) from crm.airport where code = 'X'", "0"},
	{"do $$begin execute 'rollback to savepoint sekisho_unread'; end$$", "select 1", "1"},
	{"do $$begin perform setval('crm.n', 77); end$$", "select last_value from crm.n", "1"},
	{"do $$begin perform set_config('search_path', 'crm', false); end$$", "select current_setting('search_path') <> 'crm'", "true"},
	{"do $$begin perform set_config('my.value', name, false) from crm.member where member_no = 1005; end$$", "select coalesce(current_setting('my.value', true), '') = ''", "true"},
	{"do $$begin set session role reader; end$$", "select current_user = session_user", "true"},
	{"do $$begin perform set_config('sekisho.purpose', 'other', false); end$$", "select coalesce(current_setting('sekisho.purpose', true), '') = ''", "true"},
	{"do $$begin execute 'declare c cursor with hold for select name from crm.member'; end$$", "select count(*) from pg_cursors where name = 'c'", "0"},
	{"do $$begin execute 'listen x'; perform pg_notify('x', 'said'); end$$", "select count(*) from pg_listening_channels()", "0"},
	{"do $$begin perform lo_from_bytea(4711, 'said'); end$$", "select count(*) from pg_largeobject_metadata where oid = 4711", "0"},
	{"select crm.anything('insert into crm.airport values (''X'', ''x'') returning code')", "select count(*) from crm.airport where code = 'X'", "0"},
	{"do $$begin execute 'prepare other as select passport_no from crm.passport where member_no = 1003'; end$$", "select count(*) from pg_prepared_statements where name = 'other'", "0"},
}

// Nothing of it stays: not in the database, and not in the session.
func TestWhatNobodyHasReadLeavesNothing(t *testing.T) {
	h := newWritingHouse(t, unnamed+"create sequence crm.n; grant usage on schema crm to reader; grant reader to staff;", reachable, anyRows)
	h.asOwner("grant temporary, create on database " + h.dbname + " to staff; grant create on schema crm to staff; grant usage, select, update on crm.n to staff")
	ctx := context.Background()
	for _, mode := range bothWays {
		for _, inside := range []bool{false, true} {
			for _, c := range leaving {
				conn := h.connect("sato")
				if _, err := conn.Exec(ctx, "create temp table mine (n int)", mode); err != nil {
					t.Fatal(err)
				}
				if inside {
					for _, sql := range []string{"begin", "savepoint s"} {
						if _, err := conn.Exec(ctx, sql, mode); err != nil {
							t.Fatal(err)
						}
					}
				}
				before := len(h.wrote())
				_, err := conn.Exec(ctx, c.sql, mode)
				if got := h.wrote()[before:]; !slices.Equal(got, everything) {
					t.Errorf("%v %s (%v) tells %v", mode, c.sql, err, got)
				}
				if err != nil && inside {
					if s := conn.PgConn().TxStatus(); s != 'E' {
						t.Errorf("%v %s: after an error the transaction is %c", mode, c.sql, s)
					}
					if _, err := conn.Exec(ctx, "rollback to savepoint s", mode); err != nil {
						t.Errorf("%v %s: %v", mode, c.sql, err)
					}
				}
				var pe *pgconn.PgError
				if errors.As(err, &pe) && pe.Code == "25006" && !strings.Contains(pe.Hint, "reviewed") {
					t.Errorf("%s: %+v", c.sql, pe)
				}
				var got string
				if err := conn.QueryRow(ctx, "select ("+c.look+")::text", mode).Scan(&got); err != nil || got != c.clean {
					// Others cannot look into their own session's lists through the gate.
					var refused *pgconn.PgError
					if !errors.As(err, &refused) || refused.Code != "0A000" {
						t.Errorf("%v inside %v %s: %s gives %q, %v", mode, inside, c.sql, c.look, got, err)
					}
				}
				conn.Close(ctx)
			}
		}
	}
	if got := h.direct("select count(*) from crm.airport where code = 'X'; select to_regclass('crm.kept') is null; select count(*) from pg_largeobject_metadata"); got != "0\nt\n0\n" {
		t.Errorf("left behind: %s", got)
	}
}

// A name that means another statement behind it than before means none: all are
// gone, and the client is told. Without that, they stay.
func TestWhatNobodyHasReadGivesNoNames(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	ctx := context.Background()
	for _, inside := range []bool{false, true} {
		conn := h.connect("sato")
		if inside {
			if _, err := conn.Exec(ctx, "begin"); err != nil {
				t.Fatal(err)
			}
		}
		raw := conn.PgConn()
		if _, err := raw.Prepare(ctx, "x", "select code from crm.airport where code = 'HND'", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(ctx, "do $$begin perform 1; end$$").ReadAll(); err != nil {
			t.Fatal(err)
		}
		if r := raw.ExecPrepared(ctx, "x", nil, nil, nil).Read(); r.Err != nil || len(r.Rows) != 1 {
			t.Fatalf("it is still there: %v", r.Err)
		}
		if _, err := raw.Exec(ctx, "do $$begin execute 'deallocate x'; execute 'prepare x as select passport_no from crm.passport where member_no = 1003'; end$$").ReadAll(); err != nil {
			t.Fatal(err)
		}
		before := len(h.wrote())
		r := raw.ExecPrepared(ctx, "x", nil, nil, nil).Read()
		var pe *pgconn.PgError
		if !errors.As(r.Err, &pe) || pe.Code != "26000" || len(r.Rows) > 0 {
			t.Errorf("inside %v: x gives %q, %v; the ledger says %v", inside, r.Rows, r.Err, h.wrote()[before:])
		}
		conn.Close(ctx)
	}
	// Not even under a name of the gate's own.
	for _, name := range []string{"sekisho_names", "sekisho_fence"} {
		for _, block := range []string{"deallocate all", "deallocate " + name} {
			conn := h.connect("sato").PgConn()
			if _, err := conn.Prepare(ctx, name, "select code from crm.airport where code = 'HND'", nil); err != nil {
				t.Fatal(err)
			}
			again := "do $$begin begin execute '" + block + "'; exception when others then null; end; execute 'prepare " + name + " as select passport_no from crm.passport where member_no = 1003'; end$$"
			if r := conn.ExecParams(ctx, again, nil, nil, nil, nil).Read(); r.Err != nil {
				t.Fatal(r.Err)
			}
			if r := conn.ExecPrepared(ctx, name, nil, nil, nil).Read(); r.Err == nil {
				t.Errorf("%s gives %q", name, r.Rows)
			}
			conn.Close(ctx)
		}
	}
	if got := h.psql("sato", "prepare x as select 1; do $$begin execute 'deallocate x'; end$$;"); !strings.Contains(got, "prepared statements of this session are gone") {
		t.Errorf("the client reads %s", got)
	}
}

// reported is what servers from 18 on say of a setting that stays, or does not.
var reported = regexp.MustCompile(`(?m)^S "search_path.*\n`)

// A constant's type may run code as the statement is parsed, before it is bound:
// so by messages it is refused, and as a query it runs behind the fence.
func TestTypesThatRunCodeWhileTheyAreParsed(t *testing.T) {
	h := newWritingHouse(t, unnamed+`
create function crm.lets_out(v text) returns boolean language plpgsql as $$begin insert into crm.airport values ('ZZZ', (select name from crm.member where member_no = 1005)); return true; end$$;
create domain crm.leaky as text check (crm.lets_out(value));`, reachable, anyRows)
	conn := h.raw("sato")
	for _, sql := range []string{"select '{x}'::crm.leaky[]", "select cast('{x}' as crm.leaky[]) from crm.airport"} {
		if got := conn.answers("P \"\" " + sql + "\nS"); !strings.Contains(got, "0A000") || !strings.Contains(got, "simple query") {
			t.Errorf("%s is parsed: %s", sql, got)
		}
	}
	h.tellsOf()
	if got := conn.answers("Q select '{x}'::crm.leaky[]"); strings.Contains(got, "0A000") {
		t.Errorf("as a query: %s", got)
	}
	if got := h.direct("select count(*) from crm.airport where code = 'ZZZ'"); got != "0\n" {
		t.Errorf("what it wrote stays: %s", got)
	}
	h.tellsOf(everything...)
}

// step is a statement by messages, without a Sync.
func step(sql ...string) (script string) {
	for _, text := range sql {
		script += "P \"\" " + text + "\nB \"\" \"\" - -\nD P \"\"\nE \"\" 0\n"
	}
	return script
}

const (
	unreadDO    = "do $$begin perform name from crm.member; perform set_config('search_path', 'crm', false); end$$"
	unreadFails = "do $$begin raise exception 'no'; end$$"
	putX        = "insert into crm.airport values ('XXX', 'x')"
	putY        = "insert into crm.airport values ('YYY', 'y')"
)

// What nobody has read, in one cycle with other statements: as JDBC sends BEGIN
// and the first statement of a transaction, and as pipelines send all. The client
// reads what the server itself would say, and the same stays in the database.
func TestWhatNobodyHasReadInOneCycle(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	h.asOwner("create table crm.late (n int primary key, at int references crm.late deferrable initially deferred); grant select, insert on crm.late to staff")
	unread := "select crm.anything('select name from crm.member where member_no = 1005')"
	town := "update crm.member set city = 'Otaru' where member_no = 1006"
	path := "select current_setting('search_path')"
	const named = "update crm.member: 1006"
	all := func(n int, more ...string) (list []string) {
		for range n {
			list = append(list, everything...)
		}
		return append(list, more...)
	}
	for _, c := range []struct {
		name, script string
		tells        []string
	}{
		{"BEGIN before it", step("begin", unreadDO) + "S\n" + step(putX, path) + "S\nQ commit", all(1)},
		{"all of a transaction", step("begin", putX, unreadDO, path, unread, putY, "commit") + "S", all(2)},
		{"a transaction that is rolled back", step("begin", putX, unreadDO, putY, "rollback") + "S", all(1)},
		{"BEGIN, and it fails", step("begin", putX, unreadFails, putY) + "S\n" + step("select 1") + "S\nQ commit", all(1)},
		{"BEGIN that fails before it", step("begin", "select 1/0", unreadDO) + "S\nQ rollback", all(1)},
		{"behind a savepoint", step("begin", putX, "savepoint s", putY, unreadDO, "rollback to s") + "S\n" + step("commit") + "S", all(1)},
		{"isolation", step("begin isolation level serializable read write", unreadDO, "show transaction_isolation", "show transaction_read_only") + "S\nQ commit", all(1)},
		{"behind another", step(putX, unreadDO) + "S", all(1)},
		{"between others", step(putX, unreadDO, path, putY) + "S\n" + step("select count(*) from crm.airport") + "S", all(1)},
		{"in front of others", step(unreadDO, putX, path) + "S", all(1)},
		{"in front of a transaction", step(unreadDO, "begin", putX, path) + "S\n" + step(putY, "rollback") + "S", all(1)},
		{"several", step(putX, unreadDO, unread, unreadDO, putY) + "S", all(3)},
		{"what fails behind it takes all back", step(putX, unreadDO, putY, "select 1/0") + "S\n" + step("select 1") + "S", all(1)},
		{"its failure takes all back", step(putX, unreadFails, putY) + "S\n" + step("select 1") + "S", all(1)},
		{"what fails at the Sync takes all back", step(putX, "insert into crm.late values (1, 2)", unreadDO) + "S\nQ select 1", all(1)},
		{"what fails before it", step(putX, "select 1/0", unreadDO) + "S\nQ select 1", all(1)},
		{"bound, and never run", step(putX) + "P \"\" " + unreadDO + "\nB \"\" \"\" - -\nS\nQ select 1", all(1)},
		{"in a transaction that has failed", "Q begin\nQ select 1/0\n" + step(unreadDO) + "S\nQ select 1\nQ rollback", all(1)},
		{"without a Describe", "P b begin\nB \"\" b - -\nE \"\" 0\nP u " + unread + "\nB \"\" u - -\nE \"\" 0\nH\nC S u\nC S b\nS\nQ rollback", all(1)},
		{"a COPY behind it", step(unreadDO) + "P \"\" copy crm.airport from stdin\nB \"\" \"\" - -\nE \"\" 0\nS\nd XXX\tx\nc\nS", all(1)},
		{"a write to somebody's record before it", step(town, unreadDO) + "S", append([]string{named}, all(1)...)},
		{"and behind it", step("begin", unreadDO, town, "commit") + "S", all(1, named)},
		{"somebody read behind it", step(unreadDO, "select name from crm.member where member_no = 1004", "select count(*) from crm.member where member_no = 1003") + "S", all(1, "read crm.member: 1004", "read contributed crm.member: 1003")},
		{"somebody read before it", step("select name from crm.member where member_no = 1004", unreadDO) + "S", append([]string{"read crm.member: 1004"}, all(1)...)},
	} {
		stays := func() string {
			return h.direct("select string_agg(code, ' ' order by code) from crm.airport; select count(*) from crm.late; select city from crm.member where member_no = 1006; delete from crm.airport where name in ('x', 'y'); update crm.member set city = 'T' where member_no = 1006")
		}
		stays()
		direct := h.rawDirect()
		want := direct.answers(c.script)
		direct.conn.Close()
		stood := stays()
		before := len(h.wrote())
		conn := h.raw("sato")
		got := conn.answers(c.script)
		// Its settings stay without the gate, and behind the fence they do not.
		want = strings.ReplaceAll(want, `D "crm"`, `D "\"$user\", public"`)
		diff(t, c.name, reported.ReplaceAllString(got, ""), reported.ReplaceAllString(want, ""))
		if stands := stays(); stands != stood {
			t.Errorf("%s: what stays is\n%sand without the gate\n%s", c.name, stands, stood)
		}
		if got := conn.answers("Q " + path); !strings.Contains(got, "public") {
			t.Errorf("%s: the session is another than before: %s", c.name, got)
		}
		if tells := slices.Sorted(slices.Values(h.wrote()[before:])); !slices.Equal(tells, slices.Sorted(slices.Values(c.tells))) {
			t.Errorf("%s tells\n  %s", c.name, strings.Join(tells, "\n  "))
		}
		conn.conn.Close()
	}
}

// What cannot stand in one cycle with it is refused, and nothing of it stays.
func TestWhatNobodyHasReadStandsAlone(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	for _, c := range []struct{ script, says string }{
		{step("begin", "commit", unreadDO) + "S", "Send Sync between the two"},
		{step(putX, unreadDO, "begin") + "S", "Send Sync between the two"},
		{step(putX, unreadDO, "savepoint s") + "S", "Send Sync between the two"},
		{"P \"\" do 'begin end'\nB \"\" \"\" - -\nP \"\" select 1\nB x \"\" - -\nE \"\" 0\nE x 0\nS", "before the next Bind"},
		{"P u select crm.anything('select 1') from crm.airport\nB u u - -\nE u 1\nP \"\" select 1\nB \"\" \"\" - -\nE \"\" 0\nS", "before the next Bind"},
		{step("do $$begin execute 'prepare other as select 1'; end$$", putX) + "S", "prepare them again"},
	} {
		r := h.raw("sato")
		before := len(h.refusals())
		if got := r.answers(c.script); !strings.Contains(got, c.says) {
			t.Errorf("%s\n%s", c.script, got)
		}
		if got := h.refusals()[before:]; len(got) == 0 || slices.ContainsFunc(got, func(reason string) bool { return reason != "open_cycle" && reason != "changed" }) {
			t.Errorf("%s: refused %v", c.script, got)
		}
		if got := r.answers("Q commit\n" + step("select 7 as seven") + "S"); !strings.Contains(got, "seven") {
			t.Errorf("afterwards: %s", got)
		}
		r.conn.Close()
	}
	if got := h.direct("select count(*) from crm.airport where name in ('x', 'y')"); got != "0\n" {
		t.Errorf("left: %s", got)
	}
	// Whoever changes prepared statements, and says Sync in that cycle, is told.
	r := h.raw("sato")
	if got := r.answers(step(putY, "do $$begin execute 'prepare other as select 1'; end$$") + "S\nP \"\" select 1\nD S other\nS"); !strings.Contains(got, "are gone") || !strings.Contains(got, "26000") {
		t.Errorf("%s", got)
	}
}

// What could be about anybody may be prepared and declared: it is recorded when it
// runs.
func TestAnyRowByName(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	conn := h.connect("sato")
	ctx := context.Background()
	member := []string{"read any-row crm.member: "}
	for _, mode := range bothWays {
		for _, c := range []struct {
			sql, tag string
			tells    []string
		}{
			{"prepare p(int) as select crm.oldest($1)", "PREPARE", nil},
			{"execute p(3)", "SELECT 3", member},
			{"execute p(2)", "SELECT 2", member},
			{"explain (costs off) execute p(2)", "EXPLAIN", member},
			{"deallocate p", "DEALLOCATE", nil},
			{"prepare u as select crm.anything('select 1')", "PREPARE", nil},
			{"execute u", "SELECT 1", everything},
			{"deallocate u", "DEALLOCATE", nil},
			{"explain (costs off) select crm.oldest(3)", "EXPLAIN", member},
			{"begin", "BEGIN", nil},
			{"declare c scroll cursor with hold for select * from crm.towns", "DECLARE CURSOR", member},
			{"fetch 1 from c", "FETCH 1", member},
			{"commit", "COMMIT", nil},
			{"fetch all from c", "FETCH 1", member},
			{"fetch absolute 1 from c", "FETCH 1", member},
			{"close c", "CLOSE CURSOR", nil},
		} {
			if strings.HasPrefix(c.sql, "declare") && mode == pgx.QueryExecModeExec {
				continue
			}
			if got := h.tells(t, conn, mode, c.sql, c.tag); !slices.Equal(got, c.tells) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
		conn.Close(ctx)
		conn = h.connect("sato")
	}
}

// A name that has meant something else is not believed to reach no further.
func TestAnyRowByAnotherName(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows)
	conn := h.connect("sato").PgConn()
	ctx := context.Background()
	if _, err := conn.Exec(ctx, "prepare x as select passport_no from crm.passport where member_no = 1003").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "prepare x as select crm.oldest(1)").ReadAll(); err == nil {
		t.Fatal("the server took a name twice")
	}
	for _, sql := range []string{"execute x", "explain execute x"} {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err == nil {
			t.Errorf("%s: the ledger says %v", sql, h.wrote())
		}
	}
	r := conn.ExecPrepared(ctx, "x", nil, nil, nil).Read()
	if r.Err == nil {
		t.Errorf("%q; the ledger says %v", r.Rows, h.wrote())
	}
}

// A function that was replaced since somebody has read it is one that nobody has
// read.
func TestReachingFunctionThatWasReplaced(t *testing.T) {
	h := newWritingHouse(t, unnamed, reachable, anyRows, func(o *options) {
		out, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, "select encode(sha256(convert_to(pg_get_functiondef('crm.oldest'::regproc), 'UTF8')), 'hex')")
		if err != nil {
			t.Fatal(err)
		}
		o.catalog.Functions.Reaching[0].Body = []string{strings.TrimSpace(out)}
	})
	conn := h.connect("sato")
	const sql = "select crm.oldest(3)"
	if got := h.tells(t, conn, bothWays[0], sql, "SELECT 3"); !slices.Equal(got, []string{"read any-row crm.member: "}) {
		t.Errorf("as it was read, it tells %v", got)
	}
	h.asOwner("create or replace function crm.oldest(n int) returns setof text language plpgsql stable as $$begin return query select passport_no from crm.passport limit n; end$$")
	eventually(t, "the gate sees the new one", func() bool {
		before := len(h.wrote())
		_, err := conn.Exec(context.Background(), sql, bothWays[0])
		var pe *pgconn.PgError
		if errors.As(err, &pe) && pe.Code == "40001" {
			return false // it was judged as it was before, and nothing of it went out
		}
		if err != nil {
			t.Fatal(err)
		}
		return slices.Equal(h.wrote()[before:], everything)
	})
}
