package gate

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho/catalog"
)

// The fields of an error that can carry a customer's value do not pass; the
// code does.
func TestErrorsOfProtectedStatementsHoldNoValues(t *testing.T) {
	h := newHouse(t, planted)
	for _, c := range []struct{ name, script, code string }{
		{"a cast", "Q select name::int from crm.member where member_no=9001", "22P02"},
		{"a cast, extended", "P \"\" select name::int from crm.member where member_no=9001\nB \"\" \"\" - -\nE \"\" 0\nS", "22P02"},
		{"a cast in COPY", "Q copy (select name::int from crm.member where member_no=9001) to stdout", "22P02"},
		{"a cast in WHERE", "Q select city from crm.member where member_no=9001 and name::int=1", "22P02"},
		{"a date", "Q select email::date from crm.member where member_no=9001", "22007"},
		{"JSON", "Q select name::json from crm.member where member_no=9001", "22P02"},
		{"a relation's name", "Q select name::regclass from crm.member where member_no=9001", "42P01"},
		{"a type's name", "Q select name::regtype from crm.member where member_no=9001", "42704"},
		{"a schema's name", "Q select name::regnamespace from crm.member where member_no=9001", "3F000"},
		{"a role's name", "Q select name::regrole from crm.member where member_no=9001", "42704"},
		{"a time zone", "Q select now() at time zone name from crm.member where member_no=9001", "22023"},
		{"an encoding", "Q select convert_to('x', name) from crm.member where member_no=9001", ""},
		{"a number format", "Q select to_number(name, '999') from crm.member where member_no=9001", ""},
		{"a regular expression", "Q select 'x' ~ ('(' || name) from crm.member where member_no=9001", "2201B"},
		{"an array", "Q select ('{' || name)::int[] from crm.member where member_no=9001", "22P02"},
		{"too long a number", "Q select (repeat('9', 30) || length(name))::bigint from crm.member where member_no=9001", "22003"},
	} {
		got := h.raw("sato").run(c.script)
		if holds := plantedIn([]byte(got)); len(holds) > 0 {
			t.Errorf("%s: the client reads %v:\n%s", c.name, holds, got)
		}
		if c.code != "" && !strings.Contains(got, "C"+c.code) {
			t.Errorf("%s: no %s:\n%s", c.name, c.code, got)
		}
	}
	// In observe mode writes pass too, and what is wrong with them must not tell.
	for _, c := range []struct{ name, script, code string }{
		{"unique", "Q insert into crm.member (member_no, name, email) values (9002, 'x', (select email from crm.member where member_no=9001))", "23505"},
		{"unique, at the commit", "Q begin\nQ insert into crm.member (member_no, name, city) values (9003, 'x', (select city from crm.member where member_no=9001))\nQ commit", "23P01"},
		{"check", "Q update crm.member set joined = null where member_no=9001", "23514"},
		{"raise", "Q select crm.tell(name) from crm.member where member_no=9001", "P0001"},
		{"notice", "Q select crm.whisper(name) from crm.member where member_no=9001", "00000"},
	} {
		got := h.raw("watched").run(c.script)
		if holds := plantedIn([]byte(got)); len(holds) > 0 {
			t.Errorf("%s: the client reads %v:\n%s", c.name, holds, got)
		}
		if !strings.Contains(got, "C"+c.code) {
			t.Errorf("%s: no %s:\n%s", c.name, c.code, got)
		}
	}
	if got := h.raw("sato").run("Q select 'planted'::int\nQ select ('plan'||'ted')::int from crm.airport"); strings.Count(got, `invalid input syntax for type integer: \"planted\"`) != 2 {
		t.Errorf("errors of unprotected statements are not as they were:\n%s", got)
	}
}

var plants = []string{"Xenophon", "xenophon@planted.example", "9001", "Plantingen", "plantedapp", "plantedpassword", "planteduser", "plantedliteral", "plantedzone", "plantedparam", "planteddb"}

func plantedIn(b []byte) (found []string) {
	for _, p := range plants {
		if bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(p))) {
			found = append(found, p)
		}
	}
	return found
}

func planted(o *options) {
	if _, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, `
insert into crm.member values (9001, 'Xenophon', 'xenophon@planted.example', 'Plantingen', '2020-01-01');
create unique index on crm.member (email);
alter table crm.member add constraint one_city exclude (city with =) where (member_no > 9000) deferrable initially deferred;
alter table crm.member add check (joined is not null or member_no <> 9001);
create function crm.tell(t text) returns text language plpgsql as $$ begin raise exception 'this is %', t using detail = t, hint = t; end $$;
create function crm.whisper(t text) returns int language plpgsql as $$ begin raise notice 'this is %', t; return 1; end $$;
grant insert, update on crm.member to staff;`); err != nil {
		panic(err)
	}
}

// Nothing that the house writes outside the vault and the database holds a
// customer's key or data, a name of staff, or a literal.
func TestNoPersonalValueAnywhere(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	h := newHouse(t, planted, func(o *options) {
		o.log = lockedWriter{&mu, &log}
		o.gate.Principals = append(o.gate.Principals, Principal{Name: "planteduser", Role: "staff", Verifier: o.gate.Principals[0].Verifier})
		o.catalog.Subjects[0].Roster = catalog.Roster{Labels: map[string]string{"city": "city"}, Match: map[string]string{"email": "email"}}
	})
	ctx := context.Background()
	if _, err := h.gate.ReadRoster(ctx, "member", nil); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"planteduser", "watched"} {
		conn := h.connect(user, "application_name=plantedapp")
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol} {
			var name string
			conn.QueryRow(ctx, "select name from crm.member where name = $1", mode, "Xenophon").Scan(&name)
			conn.Exec(ctx, "select name::int, 'plantedliteral' from crm.member where member_no = $1", mode, 9001)
			conn.Exec(ctx, "select count(*) from crm.member where name = $1", mode, "plantedparam")
			conn.Exec(ctx, "selec 'plantedliteral'", mode)
			conn.Exec(ctx, "select 'plantedliteral' from crm.nosuch", mode)
		}
		h.psql(user, "copy (select * from crm.member where email='xenophon@planted.example') to stdout csv;\nset sekisho.purpose = 'plantedparam';\nselect crm.tell('plantedliteral');")
	}
	h.psql("plantedpassword", "select 1")
	h.psql("sato", "select 1", "timezone=plantedzone")
	h.psql("sato", "select 1", "options='-c plantedparam=1'")
	pgx.Connect(ctx, strings.Replace(h.dsn("sato"), "open sesame", "plantedpassword", 1))
	pgx.Connect(ctx, strings.Replace(h.dsn("sato"), "dbname="+h.dbname, "dbname=planteddb", 1))
	h.knock(startup(3<<16, "user", "plantedpassword", "plantedparam", "x"))
	r := h.raw("planteduser")
	r.begins(1)
	cluster.SQL(ctx, "postgres", "select pg_terminate_backend(pid) from pg_stat_activity where usename='staff' and datname='"+h.dbname+"'")
	r.rest()
	h.stop()
	mu.Lock()
	defer mu.Unlock()
	if holds := plantedIn(log.Bytes()); len(holds) > 0 {
		t.Errorf("the log holds %v:\n%s", holds, log.Bytes())
	}
	files := 0
	filepath.WalkDir(filepath.Join(h.dir, "ledger"), func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Error(err)
			}
			files++
			if holds := plantedIn(b); len(holds) > 0 {
				t.Errorf("%s holds %v", filepath.Base(name), holds)
			}
		}
		return err
	})
	if files == 0 {
		t.Error("there is no file of the ledger")
	}
	h.mustName([]string{"9001"}) // so that the search was for what had really passed
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}
