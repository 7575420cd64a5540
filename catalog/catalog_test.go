package catalog_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
)

func judge(t testing.TB, c *catalog.Catalog, text string) catalog.Judgement {
	t.Helper()
	s, err := stmt.Analyse(text)
	if err != nil || len(s) != 1 {
		t.Fatalf("%s: %d statements, %v", text, len(s), err)
	}
	return c.Judge(&s[0])
}

// The queries that psql makes of its own must pass, or nobody can work. They
// are taken from psql itself, as it runs.
func TestPsqlIsFree(t *testing.T) {
	c := loaded(t)
	commands := []string{`\d`, `\d crm.member`, `\d+ crm.passport`, `\d+ app.member_mail`, `\d crm.booking`, `\dt *.*`, `\dv`, `\dm`, `\di+`, `\ds`,
		`\dn+`, `\df app.*`, `\df+ app.peek`, `\da`, `\do app.*`, `\dT+`, `\dD`, `\du`, `\dg+`, `\l+`, `\dp crm.*`, `\dx`, `\dy`, `\des`, `\det`, `\dC`,
		`\dd`, `\ddp`, `\dF`, `\dRp`, `\db+`, `\dc`, `\dL`, `\dO`, `\dP`, `\drds`, `\dX`, `\sf app.peek`, `\sv app.member_mail`, `\dconfig`}
	out, err := postgres.psql(strings.Join(commands, "\n"), "-E")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	// Since version 17 psql writes the lines around a query as comments.
	for _, part := range regexp.MustCompile(`(?m)^/?\*+ QUERY \*+/?\n`).Split(out, -1)[1:] {
		sql := regexp.MustCompile(`(?m)^/?\*{20,}/?$`).Split(part, 2)[0]
		statements, err := stmt.Analyse(sql)
		if err != nil {
			t.Errorf("%v:\n%s", err, sql)
			continue
		}
		for i := range statements {
			n++
			if j := c.Judge(&statements[i]); j.Kind != catalog.Free || j.Unknown {
				t.Errorf("%v %s unknown %t:\n%s", j.Kind, j.Reason, j.Unknown, sql)
			}
		}
	}
	if n < 50 {
		t.Errorf("psql made only %d queries", n)
	}
}

// A dump is an export of everything: each protected table by COPY, accounted
// row by row, and around it queries that must pass. They are taken from the
// server's log while pg_dump runs.
func TestPgDump(t *testing.T) {
	c := loaded(t)
	cmd := postgres.command("pg_dump", "-h", postgres.dir, "-U", "postgres", "-T", "app.remote", "postgres")
	cmd.Env = append(cmd.Env, "PGOPTIONS=-c log_statement=all -c log_min_messages=log")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	log, err := os.ReadFile(filepath.Join(postgres.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	prepared := map[string]bool{}
	copied, n, locks := map[string]bool{}, 0, 0
	for _, line := range strings.Split(strings.ReplaceAll(string(log), "\n\t", "\n"), "LOG:  statement: ")[1:] {
		if end := strings.Index(line, "\n20"); end >= 0 { // the time stamp of the next line
			line = line[:end]
		}
		statements, err := stmt.Analyse(line)
		if err != nil {
			t.Errorf("%v: %s", err, line)
		}
		for i := range statements {
			n++
			s := &statements[i]
			switch j := c.Judge(s); {
			case s.Kind == stmt.Execute && prepared[s.Object]:
			case j.Kind == catalog.Plain && s.Kind == stmt.Copy:
				copied[j.Instances[0].Table] = true
			case j.Locks:
				locks++
			case j.Kind != catalog.Free || j.Unknown:
				t.Errorf("%v %s unknown %t: %s", j.Kind, j.Reason, j.Unknown, line)
			case s.Kind == stmt.Prepare:
				prepared[s.Object] = true
			}
		}
	}
	if n < 50 || locks == 0 || !copied["crm.member"] || !copied["crm.passport"] || !copied["crm.booking_2014"] {
		t.Errorf("%d statements, copied %v", n, copied)
	}
}

func TestStartUpQueriesOfClientsAreFree(t *testing.T) {
	c := loaded(t)
	for _, sql := range []string{
		// DBeaver, JDBC
		"SET extra_float_digits = 3", "SET application_name = 'DBeaver 24'", "SELECT current_schema(),session_user",
		"SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname",
		"SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')",
		"SHOW search_path", "show transaction isolation level", "SHOW ALL", "select * from pg_catalog.pg_settings where name='standard_conforming_strings'", "select string_agg(word, ',') from pg_catalog.pg_get_keywords() where word <> ALL ('{a,b}'::text[])",
		"SELECT version()", "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate OR db.datname ='x'", "SELECT * FROM pg_catalog.pg_enum", "select pg_catalog.pg_get_partkeydef(1), pg_catalog.obj_description(1, 'pg_class')",
		// pgx, lib/pq, Npgsql
		"select t.oid, t.typname from pg_type t where t.typname = any($1)", ";", "-- ping", "select 1", "BEGIN READ WRITE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		// pg_dump
		"SELECT pg_catalog.set_config('search_path', '', false);", "SET row_security = off", "LOCK TABLE app.route IN ACCESS SHARE MODE", "SELECT pg_catalog.pg_is_in_recovery()", "SET synchronize_seqscans TO off",
		"SELECT relname FROM pg_class WHERE oid = 'crm.member'::regclass", "SELECT pg_catalog.pg_get_viewdef('1'::pg_catalog.oid) AS viewdef",
		"SELECT table_name FROM information_schema.tables", "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'crm'",
	} {
		statements, err := stmt.Analyse(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		for i := range statements {
			if j := c.Judge(&statements[i]); j.Kind != catalog.Free || j.Unknown {
				t.Errorf("%v %s: %s", j.Kind, j.Reason, sql)
			}
		}
	}
	// pg_dump locks what it will read. Of a protected table that is recorded.
	statements, err := stmt.Analyse("LOCK TABLE crm.member IN ACCESS SHARE MODE")
	if err != nil {
		t.Fatal(err)
	}
	if j := c.Judge(&statements[0]); j.Kind != catalog.Told || !j.Locks {
		t.Errorf("a lock of a protected table is %v: %s", j.Kind, j.Reason)
	}
}

// generator writes random plain SELECTs over the test schema.
type generator struct{ *rand.Rand }

func (g generator) of(list ...string) string { return list[g.IntN(len(list))] }

func (g generator) statement() string {
	from, aliases := g.from()
	a := func() string { return g.of(aliases...) }
	column := func() string {
		switch alias := a(); alias[0] {
		case 'm':
			return alias + "." + g.of("member_no", "name", "email", "points", "joined", "status", "partner", "email_upper")
		case 'p':
			return alias + "." + g.of("passport_id", "member_no", "number", `"valid until"`, "score")
		case 'b':
			return alias + "." + g.of("booking_id", "member_no", "flown", "route")
		default:
			return alias + "." + g.of("code", "miles", "note")
		}
	}
	expression := func() string {
		c := column()
		return g.of(c, c, c+"::text", "coalesce("+c+"::text, 'none')", "upper("+c+"::text) || ' from x'", "case when "+c+" is null then 1 else 2 end",
			c+" is distinct from "+c, "row("+c+", 1)::text", a()+"::text", "'it''s from here'", "substring("+c+"::text from 1 for 2)", "extract(year from date '2014-08-18')", "$$ from $$")
	}
	var targets []string
	for range g.IntN(5) {
		targets = append(targets, g.of("*", a()+".*", expression(), expression()+" as from", expression()+` as "A b"`, "/* from */ "+column()))
	}
	sql := "select " + g.of("", "all ", "-- from\n") + strings.Join(targets, ", ") + " from " + from
	if g.IntN(2) == 0 {
		sql += " where " + column() + "::text " + g.of(" > 'n'", " is not null", " like '%1%'", " in ('blue', 'r1', '3')") + g.of("", " or "+column()+" is null")
	}
	if g.IntN(3) == 0 {
		sql += " order by " + column() + "::text" + g.of("", " desc nulls last")
	}
	return sql
}

func (g generator) from() (string, []string) {
	m := g.of("crm.member m", "only crm.member as m", "crm.member_archive m", "crm.member m")
	switch g.IntN(8) {
	case 0:
		return m, []string{"m"}
	case 1:
		return m + g.of(" left", " right", " full", " inner", "") + " join crm.passport p on m.member_no = p.member_no", []string{"m", "p"}
	case 2:
		return m + g.of(" left", " right", " full", "") + " join crm.passport p using (member_no)", []string{"m", "p"}
	case 3:
		return "crm.booking b, app.route r", []string{"b", "r"}
	case 4:
		return "(crm.booking_2013 b natural join crm.passport p) left join app.route r on r.code = b.route", []string{"b", "p", "r"}
	case 5:
		return m + " cross join app.route r", []string{"m", "r"}
	case 6:
		return "app.route r left join (crm.member m2 join crm.booking b using (member_no)) on r.code = b.route", []string{"r", "m2", "b"}
	}
	return "crm.member m, crm.member m2", []string{"m", "m2"}
}

// For any plain SELECT, the rewritten text yields the same rows in the same
// columns, with the keys behind them; and the keys are those of the rows that
// made them, which the whole rows beside them show.
func TestRewrittenStatementsYieldTheSameRows(t *testing.T) {
	c := loaded(t)
	g := generator{rand.New(rand.NewPCG(7, 8))}
	var script strings.Builder
	var judged []catalog.Judgement
	var texts []string
	for len(texts) < 250 {
		sql := g.statement()
		j := judge(t, c, sql)
		if j.Kind == catalog.Told {
			continue // an outer join: a row may be left out because somebody's is there
		}
		if j.Kind != catalog.Plain {
			t.Fatalf("%v %s: %s", j.Kind, j.Reason, sql)
		}
		texts, judged = append(texts, sql), append(judged, j)
		// The key of each instance once more, from outside the statement:
		// whole rows, which are null where an outer join found none.
		check := j.Rewrite.Text[:j.Rewrite.At]
		for i, in := range j.Instances {
			if i > 0 || strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(check), "select"), "all")) != "" && !emptyTargets(check) {
				check += ", "
			}
			check += stmt.Quote(in.Alias) + "." + stmt.Quote(in.Key)
		}
		check += " " + j.Rewrite.Text[j.Rewrite.At+len(j.Rewrite.Insert):]
		for _, text := range []string{sql, j.Rewrite.Text, check} {
			fmt.Fprintf(&script, "%s\n;\n\\echo ---\n", text)
		}
	}
	out, err := postgres.psql(script.String())
	if err != nil {
		t.Fatal(err)
	}
	results := strings.Split(out, "---\n")
	rows := 0
	for i, sql := range texts {
		plain, keyed, check := records(t, results[3*i]), records(t, results[3*i+1]), results[3*i+2]
		if got := results[3*i+1]; sortLines(got) != sortLines(check) {
			t.Fatalf("%s\nthe keys differ from\n%s", sql, check)
		}
		k := len(judged[i].Instances)
		if emptyTargets(sql) {
			continue // psql shows rows without columns as nothing
		}
		var cut []string
		for _, row := range keyed {
			rows++
			cut = append(cut, strings.Join(row[:len(row)-k], "\x01"))
		}
		var want []string
		for _, row := range plain {
			want = append(want, strings.Join(row, "\x01"))
		}
		if !strings.Contains(sql, "order by") {
			sort.Strings(cut)
			sort.Strings(want)
		} else if sortedCopy(cut) == sortedCopy(want) {
			continue // the same rows; among equals the order is the server's
		}
		if !slices.Equal(cut, want) {
			t.Fatalf("%s\nother rows:\n%s\n%q\n%q", sql, judged[i].Rewrite.Text, cut, want)
		}
	}
	if rows < 1000 {
		t.Errorf("only %d rows were compared", rows)
	}
}

func emptyTargets(sql string) bool {
	rest := strings.TrimPrefix(strings.TrimSpace(sql), "select")
	rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), "-- from"))
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "all"))
	return rest == "" || strings.HasPrefix(rest, "from ")
}

func sortedCopy(list []string) string {
	list = slices.Clone(list)
	sort.Strings(list)
	return strings.Join(list, "\n")
}

func sortLines(s string) string { return sortedCopy(strings.Split(s, "\n")) }

func records(t *testing.T, text string) [][]string {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// COPY writes the same lines with one field more.
func TestRewrittenCopyWritesTheSameLines(t *testing.T) {
	c := loaded(t)
	for _, sql := range []string{
		"copy crm.member to stdout", "copy crm.member (name, email) to stdout (format csv)", "copy crm.passport to stdout (delimiter '|', null 'none')",
		"copy (select name, points from crm.member where points > 50) to stdout", "copy crm.member_archive to stdout", "copy crm.booking_2013 to stdout csv",
	} {
		j := judge(t, c, sql)
		if j.Kind != catalog.Plain {
			t.Fatalf("%v %s: %s", j.Kind, j.Reason, sql)
		}
		before, err := postgres.psql(sql + ";")
		if err != nil {
			t.Fatal(err)
		}
		after, err := postgres.psql(j.Rewrite.Text + ";")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(after, "\n"), "\n")
		for i := range lines {
			if n := strings.LastIndexAny(lines[i], "\t,|"); n >= 0 {
				lines[i] = lines[i][:n]
			}
		}
		if got := strings.Join(lines, "\n"); got != strings.TrimSuffix(before, "\n") {
			t.Errorf("%s\n%s\n%s", sql, before, got)
		}
	}
}

func TestOutputs(t *testing.T) {
	c := loaded(t)
	oid := func(table string) uint32 {
		rows, err := postgres.query(context.Background(), "select '"+table+"'::regclass::oid")
		if err != nil {
			t.Fatal(err)
		}
		var n uint32
		fmt.Sscan(*rows[0][0], &n)
		return n
	}
	member, passport, route := oid("crm.member"), oid("crm.passport"), oid("app.route")
	for _, x := range []struct {
		sql        string
		origins    []catalog.Origin
		columns    string
		categories string
	}{
		{"select email, points, member_no from crm.member", []catalog.Origin{{member, 3}, {member, 5}, {member, 1}, {member, 1}}, "crm.member.email crm.member.points", "contact,loyalty"},
		{"select status from crm.member", []catalog.Origin{{member, 7}, {member, 1}}, "crm.member.status", "unclassified"},
		{"select upper(name), 1, joined from crm.member", []catalog.Origin{{0, 0}, {0, 0}, {member, 6}, {member, 1}}, "crm.member.name", "identity"},
		{"select m from crm.member m", []catalog.Origin{{member, 0}, {member, 1}}, "crm.member.email crm.member.email_upper crm.member.name crm.member.partner crm.member.points crm.member.status", "identity,contact,loyalty,unclassified"},
		{"select r.*, upper(m.name) from app.route r, crm.member m", []catalog.Origin{{route, 1}, {route, 2}, {route, 3}, {0, 0}, {member, 1}}, "crm.member.name", "identity"},
		{"select number, code from crm.passport p join app.route r on true", []catalog.Origin{{passport, 3}, {route, 1}, {passport, 2}}, "crm.passport.number", "travel_document"},
		{"select member_no, p.number from crm.member m full join crm.passport p using (member_no)", []catalog.Origin{{0, 0}, {passport, 3}, {member, 1}, {passport, 2}}, "crm.passport.number", "travel_document"},
		{"select ctid from crm.member", []catalog.Origin{{member, -1}, {member, 1}}, "", ""},
		// A name that nothing in the catalog has is counted as everything.
		{"select nosuch || 'x' from crm.passport", []catalog.Origin{{0, 0}, {passport, 2}}, "crm.passport.number crm.passport.office crm.passport.score crm.passport.valid until", "travel_document,unclassified"},
	} {
		j := judge(t, c, x.sql)
		columns, categories, err := j.Outputs(x.origins)
		if err != nil || strings.Join(columns, " ") != x.columns || categories.String() != x.categories {
			t.Errorf("%s\n got %v (%v), %v\nwant %s (%s)", x.sql, columns, categories, err, x.columns, x.categories)
		}
		static, most := j.Static()
		for _, col := range columns {
			if !slices.Contains(static, col) && j.Kind == catalog.Plain {
				t.Errorf("%s: %s goes out, and Static %v does not have it", x.sql, col, static)
			}
		}
		if categories&^most != 0 {
			t.Errorf("%s: Static has %v, Outputs %v", x.sql, most, categories)
		}
	}
	j := judge(t, c, "select email from crm.member")
	for name, origins := range map[string][]catalog.Origin{
		"no key":                   {},
		"key missing":              {{member, 3}},
		"key of another column":    {{member, 3}, {member, 2}},
		"key of another table":     {{member, 3}, {passport, 2}},
		"key computed":             {{member, 3}, {0, 0}},
		"a table never judged":     {{passport, 3}, {member, 1}},
		"a view never judged":      {{oid("app.member_mail"), 1}, {member, 1}},
		"statistics":               {{oid("pg_stats"), 8}, {member, 1}},
		"a temporary double of it": {{member + 100000, 3}, {member + 100000, 1}},
	} {
		if columns, _, err := j.Outputs(origins); !errors.Is(err, catalog.ErrOrigin) {
			t.Errorf("%s: %v, %v", name, columns, err)
		}
	}
	if _, _, err := judge(t, c, "select 1").Outputs(nil); !errors.Is(err, catalog.ErrOrigin) {
		t.Errorf("a free statement has no outputs to account: %v", err)
	}
	if got, ok := c.Column(member, 3); !ok || got != (catalog.Column{Name: "crm.member.email", Category: sekisho.Contact, Protected: true, Subject: "member"}) {
		t.Errorf("got %+v, %t", got, ok)
	}
	if got, ok := c.Column(member, 0); !ok || got.Category&sekisho.Unclassified == 0 || !got.Protected {
		t.Errorf("whole row: %+v, %t", got, ok)
	}
	if !c.ProtectedOID(oid("app.member_mail_again")) || c.ProtectedOID(route) || c.ProtectedOID(oid("app.member_total")) {
		t.Error("ProtectedOID is wrong about a view or a table")
	}
}

func TestFreshSeesWhatMatters(t *testing.T) {
	ctx := context.Background()
	c := load(t)
	for _, ddl := range []string{
		"create table app.added (id int)", "alter table app.added add column x text", "alter table app.added rename column x to y",
		"create view app.added_view as select email from crm.member", "create or replace view app.added_view as select name as email from crm.member",
		"create function app.added() returns int language sql as 'select 1'", "create or replace function app.added() returns int language sql as 'select 2'",
		"create table crm.booking_2015 partition of crm.booking for values from ('2015-01-01') to ('2016-01-01')",
		"create operator app.%%% (leftarg = text, rightarg = text, function = app.spy)", "create domain app.added_domain as text", "alter domain app.added_domain add check (value > '')",
		"create table app.added_too (id int check (id > 0) default 1)", "alter table app.added_too alter id set default 2", "alter table app.added_too add check (id > 1)",
		"create policy p on app.added_too using (true)", "alter policy p on app.added_too using (false)", "alter table app.added_too enable row level security",
		"create index on app.added_too ((id + 1))", "create index on app.added_too (id) where id > 3", "drop table app.added_too",
		"drop operator app.%%% (text, text); drop domain app.added_domain; drop table crm.booking_2015; drop function app.added(); drop view app.added_view; drop table app.added",
	} {
		if _, err := postgres.psql(ddl); err != nil {
			t.Fatal(err)
		}
		if fresh, err := c.Fresh(ctx, postgres.query); err != nil || fresh {
			t.Errorf("unseen: %s (%v)", ddl, err)
		}
		c = load(t)
		if fresh, err := c.Fresh(ctx, postgres.query); err != nil || !fresh {
			t.Errorf("not fresh right after loading: %s (%v)", ddl, err)
		}
	}
	if _, err := postgres.psql("insert into app.note (body) values ('x'); analyze; vacuum; create temp table x (id int)"); err != nil {
		t.Fatal(err)
	}
	if fresh, err := c.Fresh(ctx, postgres.query); err != nil || !fresh {
		t.Errorf("daily work makes the snapshot stale: %v", err)
	}
}

func TestConfigErrorsNameTheItem(t *testing.T) {
	for _, x := range []struct {
		change func(*catalog.Config)
		want   string
	}{
		{func(c *catalog.Config) { c.Tables[0].Columns = map[string]string{"emial": "contact"} }, "catalog: table crm.member has no column named emial; did you mean email?"},
		{func(c *catalog.Config) { c.Tables[0].Columns = map[string]string{"email": "contakt"} }, `catalog: table crm.member, column email: unknown category "contakt"`},
		{func(c *catalog.Config) { c.Tables[1].Name = "crm.pasport" }, "catalog: the database has no table crm.pasport; did you mean crm.passport?"},
		{func(c *catalog.Config) { c.Tables[1].Key = "memberno" }, "catalog: table crm.passport has no column named memberno; did you mean member_no?"},
		{func(c *catalog.Config) { c.Tables[1].Subject = "membr" }, `catalog: table crm.passport has no subject named "membr"; did you mean member?`},
		{func(c *catalog.Config) { c.Tables[1].Name = "passport" }, "catalog: table passport: write it as schema.table"},
		{func(c *catalog.Config) { c.Subjects[0].Name = "staff" }, `catalog: subject "staff": that name is taken by sekisho itself`},
		{func(c *catalog.Config) { c.Subjects[0].Key = "number" }, "catalog: subject member: table crm.member has no column named number"},
		{func(c *catalog.Config) { c.Tables = c.Tables[1:] }, "catalog: subject member: its table crm.member is not listed under tables"},
		{func(c *catalog.Config) { c.Functions.Reviewed = []string{"app.distanse"} }, "catalog: the database has no function app.distanse, which is listed as reviewed; did you mean app.distance?"},
		{func(c *catalog.Config) {
			c.Functions.Reaching = []catalog.Reaching{{Name: "app.distanse", Reads: []string{"*"}}}
		}, "catalog: the database has no function app.distanse, which is listed as reaching; did you mean app.distance?"},
		{func(c *catalog.Config) { c.Unprotected = []string{"app.route"} }, "catalog: app.route is listed as unprotected, but is neither a view nor a foreign table"},
		{func(c *catalog.Config) {
			c.Subjects[0].Roster.Query = ""
			c.Subjects[0].Roster.Labels = map[string]string{"a": "partnr"}
		}, "catalog: subject member: table crm.member has no column named partnr; did you mean partner?"},
	} {
		cfg := config()
		x.change(&cfg)
		if _, err := catalog.Load(context.Background(), postgres.query, cfg); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("got %v\nwant %s", err, x.want)
		}
	}
}

func TestRosterAndPopulation(t *testing.T) {
	c := loaded(t)
	sql, ok := c.Population("member")
	if !ok {
		t.Fatal("no population")
	}
	rows, err := postgres.query(context.Background(), sql)
	if err != nil || *rows[0][0] != "40" {
		t.Errorf("population: %v, %v", rows, err)
	}
	q, ok := c.Roster("member")
	if !ok || !reflect.DeepEqual([][]string{q.Labels, q.Dates, q.Match}, [][]string{{"partner"}, {"passport_until"}, {"email"}}) {
		t.Fatalf("roster: %+v", q)
	}
	rows, err = postgres.query(context.Background(), q.SQL+" ORDER BY 1::int LIMIT 3")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		for _, v := range row {
			if v == nil {
				got = append(got, "null")
			} else {
				got = append(got, *v)
			}
		}
	}
	// Member 1 has no date; 2015-01-03 is day 16438.
	want := "1 p1 null u1@example.jp 2 p2 16438 u2@example.jp 3 null 16439 u3@example.jp"
	if strings.Join(got, " ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, " "), want)
	}
}

func BenchmarkJudge(b *testing.B) {
	c := loaded(b)
	for name, sql := range map[string]string{
		"free":  "UPDATE app.route SET miles = 3 WHERE code = 'x'",
		"plain": "SELECT name, email FROM crm.member WHERE member_no = 12345",
	} {
		s, err := stmt.Analyse(sql)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.Judge(&s[0])
			}
		})
	}
}

// A key that may be null names nobody. It may be so in the table itself, or in
// one that inherits from it.
func TestKeysThatMayBeNull(t *testing.T) {
	if _, err := postgres.psql(`create table app.base (member_no integer not null, x text); create table app.heir (note text) inherits (app.base)`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { postgres.psql("drop table app.heir, app.base") })
	cfg := config()
	cfg.Tables = append(cfg.Tables, catalog.Table{Name: "app.base", Subject: "member", Key: "member_no"})
	c, err := catalog.Load(context.Background(), postgres.query, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]bool{
		"select email from crm.member":         false,
		"select email from crm.member_archive": false,
		"select x from app.base":               false,
		"select x from app.heir":               false,
		"copy crm.member to stdout":            false,
		"select number from crm.passport":      true,
		"copy crm.passport to stdout":          true,
		"select route from crm.booking":        true,
		"select name from app.member_card":     true,
	} {
		j := judge(t, c, sql)
		if len(j.Instances) != 1 || j.Instances[0].KeyNullable != want {
			t.Errorf("%s: %+v, want nullable %t", sql, j.Instances, want)
		}
	}
	j := judge(t, c, "select 1 from crm.member m left join crm.passport p on p.member_no = m.member_no")
	if len(j.Instances) != 2 || j.Instances[0].KeyNullable || !j.Instances[1].KeyNullable {
		t.Errorf("%+v", j.Instances)
	}
	want := "app.member_card.member_no app.trip_tokyo.member_no crm.booking.member_no crm.booking_2013.member_no crm.booking_2014.member_no crm.passport.member_no"
	if got := strings.Join(c.NullableKeys(), " "); got != want {
		t.Errorf("nullable keys: %s", got)
	}
	if _, err := postgres.psql("alter table app.base alter member_no drop not null"); err != nil {
		t.Fatal(err)
	}
	if fresh, err := c.Fresh(context.Background(), postgres.query); err != nil || fresh {
		t.Errorf("unseen: a key may be null now (%v)", err)
	}
	if c, err = catalog.Load(context.Background(), postgres.query, cfg); err != nil {
		t.Fatal(err)
	}
	if j := judge(t, c, "select x from app.base"); !j.Instances[0].KeyNullable {
		t.Errorf("%+v", j.Instances)
	}
}

// An outer join by the key alone tells by missing only of a person without
// any row. By anything else it tells of values.
func TestOuterJoinsThatTellByMissing(t *testing.T) {
	c := loaded(t)
	for from, want := range map[string]bool{
		"app.note n left join crm.member m on m.member_no = n.member_no":                                      false,
		"app.note n left join crm.member m on n.member_no = m.member_no":                                      false,
		"app.note n left join crm.member m using (member_no)":                                                 false,
		"crm.member m right join app.note n on m.member_no = n.id":                                            false,
		"app.route r left join crm.member m on member_no = miles":                                             false,
		"app.note n left join app.route r on r.code = n.body join crm.member m on m.email = r.note":           false,
		"crm.member m left join app.route r on r.code = m.partner and r.miles > 100":                          false,
		"app.note n left join crm.member m on m.member_no = n.member_no and m.email = n.body":                 true,
		"app.note n left join crm.member m on m.email = n.body":                                               true,
		"app.note n left join crm.member m on m.member_no = m.points":                                         true,
		"app.note n left join crm.member m on n.member_no = n.id":                                             true,
		"app.note n natural left join crm.member m":                                                           true,
		"app.note n left join (crm.member m join app.route r on r.code = m.partner) on m.member_no = n.id":    true,
		"app.route r join crm.member m on r.code = m.partner right join app.note n on m.member_no = n.id":     true,
		"app.note n full join crm.member m on m.email = n.body":                                               true,
		"app.note n left join crm.member_archive m on m.member_no = n.member_no":                              true,
		"app.note n left join (app.route r left join crm.member m on m.member_no = r.miles) on r.code = body": true,
	} {
		j := judge(t, c, "select 1 from "+from)
		if len(j.Instances) != 1 || j.Instances[0].KeyNullable != want {
			t.Errorf("%s: %v %s %+v, want %t", from, j.Kind, j.Reason, j.Instances, want)
		}
	}
}

// A server with one byte for each letter makes é of É; the grammar does not.
func TestLettersThatTheServerFolds(t *testing.T) {
	if _, err := postgres.psql(`create table app."été" (member_no integer, x text)`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { postgres.psql(`drop table app."été"`) })
	cfg := config()
	cfg.Tables = append(cfg.Tables, catalog.Table{Name: "app.été", Subject: "member", Key: "member_no"})
	c, err := catalog.Load(context.Background(), postgres.query, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"select x||'' from ÉTÉ", "select x||'' from app.Été", `select x||'' from app."été"`} {
		if j := judge(t, c, sql); !slices.Contains(j.Tables, "app.été") {
			t.Errorf("%s: %v", sql, j.Kind)
		}
	}
}

func TestTypesOfParametersThatRunCode(t *testing.T) {
	c := loaded(t)
	for name, want := range map[string]bool{"text": false, "app.plain_text": false, "app.colour": false, "app.leaky": true, "app.holder": true, "app.leaky[]": true} {
		oid, err := postgres.psql("select '"+name+"'::regtype::oid", "-At")
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.ParseUint(strings.TrimSpace(oid), 10, 32)
		if got := c.RunsCode(uint32(n)); got != want {
			t.Errorf("%s (%d) runs code: %t", name, n, got)
		}
	}
}

// What comes with PostgreSQL is trusted, but not to keep a secret: pg_trgm's
// set_limit is remembered for the session, and show_limit shows it.
func TestExtensionsThatKeepState(t *testing.T) {
	for _, name := range []string{"pg_trgm", "isn", "uuid-ossp"} {
		rows, err := postgres.query(context.Background(), "select 1 from pg_available_extensions where name = '"+name+"'")
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			t.Skipf("this PostgreSQL has no %s (on Debian: apt install postgresql-contrib)", name)
		}
	}
	if _, err := postgres.psql(`create schema ext; create extension pg_trgm schema ext; create extension isn schema ext; create extension "uuid-ossp" schema ext`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		postgres.psql(`drop extension pg_trgm; drop extension isn; drop extension "uuid-ossp"; drop schema ext`)
	})
	c := load(t)
	for sql, want := range map[string]catalog.Kind{
		"select ext.set_limit(points) from crm.member":                            catalog.Opaque,
		"select set_limit(points) from crm.member":                                catalog.Opaque,
		"select ext.show_limit() from crm.member":                                 catalog.Opaque,
		"select 1 from crm.member where email like 'u1%' and ext.isn_weak(true)":  catalog.Opaque,
		"select ext.similarity(name, 'x') from crm.member where name % 'x'":       catalog.Plain,
		"select ext.uuid_generate_v4(), email from crm.member":                    catalog.Plain,
		"select ext.set_limit(0.3)":                                               catalog.Free,
		"select ext.show_limit(), ext.isn_weak()":                                 catalog.Free,
		"insert into app.note (body) values (ext.uuid_generate_v4()::text)":       catalog.Free,
		"select code from app.route where note % 'x' order by ext.set_limit(0.1)": catalog.Free,
	} {
		if j := judge(t, c, sql); j.Kind != want || j.Unknown {
			t.Errorf("%v %s unknown %t, want %v: %s", j.Kind, j.Reason, j.Unknown, want, sql)
		}
	}
}
