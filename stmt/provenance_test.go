package stmt_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho/demo"
	"sekisho/stmt"
)

// The airline of gate/testdata/oracle.sql, as a catalog would describe it.
func airline(n stmt.Name) (stmt.Table, error) {
	person := func(null bool, shown []string, columns ...string) stmt.Table {
		return stmt.Table{Columns: columns, Key: "member_no", Space: "passenger", Type: "bigint", Null: null, Protected: shown}
	}
	t, ok := map[string]stmt.Table{
		"member":   person(false, []string{"member_no", "name", "email", "city"}, "member_no", "name", "email", "city", "tier", "partner", "referred_by", "joined", "note"),
		"passport": person(false, []string{"member_no", "passport_no", "expires_on", "country"}, "member_no", "passport_no", "expires_on", "country"),
		"booking":  person(true, []string{"member_no", "seat", "fare", "booked"}, "id", "member_no", "flight", "seat", "fare", "booked"),
		"mile":     person(false, []string{"member_no", "miles", "reason"}, "member_no", "year", "miles", "reason"),
		"mile_new": person(false, []string{"member_no", "miles", "reason"}, "member_no", "year", "miles", "reason"),
		"card":     person(false, []string{"member_no", "name"}, "member_no", "name", "tier"),
		"contact":  {Columns: []string{"name", "email", "city"}, View: "SELECT member.name, member.email, member.city FROM air.member;"},
		"turnover": {Columns: []string{"city", "bookings", "fare"}, View: "SELECT m.city, count(*) AS bookings, sum(b.fare) AS fare FROM (air.member m JOIN air.booking b ON ((b.member_no = m.member_no))) GROUP BY m.city;"},
		"partner":  {Columns: []string{"code", "name", "country"}},
		"flight":   {Columns: []string{"flight", "origin", "destination"}},
		"audit":    {Columns: []string{"id", "what", "amount"}},
	}[n.Name]
	if !ok || n.Schema != "air" {
		return t, fmt.Errorf("the catalog does not know %s", n)
	}
	return t, nil
}

// rewrite gives a statement with its head.
func rewrite(sql string) ([]stmt.Names, stmt.Rewrite, error) {
	all, err := stmt.Analyse(sql)
	if err != nil {
		return nil, stmt.Rewrite{}, err
	}
	names, err := stmt.Provenance(&all[0], airline)
	if err != nil || len(names) == 0 {
		return nil, stmt.Rewrite{}, err
	}
	r, err := stmt.Head(&all[0], names)
	return names, r, err
}

// The tools of the deletion oracle, beside those of the schema.
const tools = `
create function oracle.answer(sql text) returns text language plpgsql as $$
declare a text;
begin
  execute format('select string_agg(r, %L order by r) from (select q::text as r from (%s) q) x', '|', sql) into a;
  return coalesce(a, 'nothing');
exception when query_canceled then raise; when others then
  if sqlstate like '42%' or sqlstate like '0A%' then raise; end if;
  return sqlstate;
end $$;
create function oracle.try(sql text, change text) returns text language plpgsql as $$
declare a text;
begin
  begin
    execute change;
    a := oracle.answer(sql);
    raise exception 'undo' using errcode = 'UN001';
  exception when sqlstate 'UN001' then return a;
  end;
end $$;
-- The customers without whom the answer is another one; NULL if there is no one answer.
create function oracle.about(sql text) returns setof bigint language plpgsql as $$
declare base text := oracle.answer(sql); no bigint;
begin
  if oracle.try(sql, 'select oracle.shuffle()') <> base then return next null; return; end if;
  for no in select member_no from air.member order by 1 loop
    if oracle.try(sql, format('select oracle.forget(%s, false)', no)) <> base then return next no; end if;
  end loop;
end $$;
grant usage on schema oracle to staff;
`

func connect(t *testing.T) *pgconn.PgConn {
	t.Helper()
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sekisho-names")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cluster, err := demo.StartCluster(ctx, demo.ClusterConfig{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Stop() })
	schema, err := os.ReadFile(filepath.Join("..", "gate", "testdata", "oracle.sql"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = cluster.SQL(ctx, "postgres", "create database air"); err == nil {
		_, err = cluster.SQL(ctx, "air", "create role staff; create role reader;\n"+string(schema)+tools)
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := cluster.Conninfo(cluster.Superuser(), "air")
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgconn.Connect(ctx, info+" options='-c statement_timeout=700'")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(ctx) })
	return db
}

func ask(db *pgconn.PgConn, sql string, args ...string) (*pgconn.Result, string) {
	var values [][]byte
	for _, a := range args {
		values = append(values, []byte(a))
	}
	reader := db.ExecParams(context.Background(), sql, values, nil, nil, nil)
	columns := slices.Clone(reader.FieldDescriptions()) // Read keeps them only if there are rows
	for i := range columns {
		columns[i].Name = strings.Clone(columns[i].Name)
	}
	r := reader.Read()
	r.FieldDescriptions = columns
	var pe *pgconn.PgError
	if errors.As(r.Err, &pe) {
		return r, pe.Code + " " + pe.Message
	}
	if r.Err != nil {
		return r, r.Err.Error()
	}
	return r, ""
}

// A figure is what a run of many statements comes to.
type figures struct {
	statements, wrong, unstable, slow, refused, failed, free int
	tested, disclosed, named, exact, missed                  int
	anonymous                                                int
	reasons                                                  map[string]int
}

// TestNamesHoldEveryoneTheAnswerIsAbout deletes each customer in turn: if the
// answer is another one then, the names must hold the customer. And with the
// names in front, the statement's own rows are what they were.
//
// SEKISHO_NAMES is how many statements to try, SEKISHO_NAMES_SEED which ones.
func TestNamesHoldEveryoneTheAnswerIsAbout(t *testing.T) {
	number := func(name string, otherwise int) int {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return n
		}
		return otherwise
	}
	db := connect(t)
	seed := number("SEKISHO_NAMES_SEED", 1)
	g := &gen{Rand: rand.New(rand.NewPCG(uint64(seed), 0))}
	f := &figures{reasons: map[string]int{}}
	for _, c := range cases(t) {
		f.check(t, db, c.sql, "list")
	}
	n := number("SEKISHO_NAMES", 180)
	for i := range n {
		f.check(t, db, g.statement(), fmt.Sprintf("seed %d, statement %d", seed, i))
	}
	t.Logf("seed %d: %d statements: wrong in themselves %d, without one certain answer %d, too slow %d, refused %d, head failed %d, of nobody %d",
		seed, f.statements, f.wrong, f.unstable, f.slow, f.refused, f.failed, f.free)
	t.Logf("tested %d: %d customers disclosed, %d named (%d of them exactly), %d missed; %d with rows of nobody", f.tested, f.disclosed, f.named, f.exact, f.missed, f.anonymous)
	for _, r := range slices.Sorted(maps.Keys(f.reasons)) {
		t.Logf("%5d %s", f.reasons[r], r)
	}
	if f.tested < n/2 {
		t.Errorf("of %d statements only %d could be tested", n, f.tested)
	}
	t.Run("parameters", func(t *testing.T) { parameters(t, db) })
}

// parameters: they mean the same to the server with the names in front.
func parameters(t *testing.T, db *pgconn.PgConn) {
	for _, c := range []struct {
		sql  string
		args []string
	}{
		{"select count(*) from air.member where tier = $1", []string{"2"}},
		{"select distinct name from air.member where tier > $1 and city is distinct from $2", []string{"1", "東京"}},
		{"select name, city from air.member where joined > $1 order by joined, member_no limit $2 offset $3", []string{"2010-05-01", "3", "2"}},
		{"select p.code from air.partner p where exists (select 1 from air.member m where m.partner = p.code and m.member_no = $1)", []string{"104"}},
		{"select sum(fare) from air.booking where flight in ($1, $2) and fare + $3 > 2000", []string{"NH1", "NH2", "500"}},
	} {
		names, r, err := rewrite(c.sql)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		ctx := context.Background()
		plain, err1 := db.Prepare(ctx, "", c.sql, nil)
		headed, err2 := db.Prepare(ctx, "", r.Text, nil)
		if err1 != nil || err2 != nil {
			t.Errorf("%s: %v, %v\n%s", c.sql, err1, err2, r.Text)
			continue
		}
		if !slices.Equal(plain.ParamOIDs, headed.ParamOIDs) {
			t.Errorf("%s: parameters of types %v became %v", c.sql, plain.ParamOIDs, headed.ParamOIDs)
		}
		was, code1 := ask(db, c.sql, c.args...)
		is, code2 := ask(db, r.Text, c.args...)
		if code1 != "" || code2 != "" {
			t.Errorf("%s: %s, %s\n%s", c.sql, code1, code2, r.Text)
			continue
		}
		new(figures).compare(t, was, is, len(names), ordered(c.sql), c.sql)
	}
}

func (f *figures) check(t *testing.T, db *pgconn.PgConn, sql, where string) {
	t.Helper()
	f.statements++
	plain, code := ask(db, sql)
	switch {
	case strings.HasPrefix(code, "57014"):
		f.slow++
		return
	case code != "":
		f.wrong++
		if os.Getenv("SEKISHO_NAMES_ALL") != "" {
			t.Logf("%s: %s\n%s", where, code, sql)
		}
		return
	}
	names, r, err := rewrite(sql)
	if err != nil {
		f.refused++
		f.reasons["refused: "+err.Error()]++
		return
	}
	about, code := ask(db, "select oracle.about($names$"+sql+"$names$)")
	switch {
	case strings.HasPrefix(code, "57014"):
		f.slow++
		return
	case code != "":
		t.Errorf("%s: the oracle: %s\n%s", where, code, sql)
		return
	case len(about.Rows) == 1 && about.Rows[0][0] == nil:
		f.unstable++
		return
	}
	named := map[string]bool{}
	if len(names) == 0 {
		f.free++
	} else {
		headed, code := ask(db, r.Text)
		if code != "" {
			f.failed++
			f.reasons["failed: "+code]++
			if !strings.HasPrefix(code, "57014") {
				t.Logf("%s: %s\n%s\n%s", where, code, sql, r.Text)
			}
			return
		}
		f.compare(t, plain, headed, len(names), ordered(sql), where+"\n"+sql)
		if len(headed.Rows) == 0 {
			return
		}
		for i, field := range headed.Rows[0][len(plain.FieldDescriptions)+1:] {
			for key := range strings.SplitSeq(strings.Trim(string(field), "{}"), ",") {
				switch {
				case key == "NULL":
					f.anonymous++
				case key != "":
					named[key] = true
					if names[i].Exact {
						f.exact++
					}
				}
			}
		}
	}
	f.tested++
	f.disclosed += len(about.Rows)
	f.named += len(named)
	for _, row := range about.Rows {
		if !named[string(row[0])] {
			f.missed++
			t.Errorf("%s: customer %s is missing\n%s\nnamed %v\n%s", where, row[0], sql, slices.Sorted(maps.Keys(named)), r.Text)
			return
		}
	}
}

// compare sees to it that the statement's own rows are what they were.
func (f *figures) compare(t *testing.T, plain, headed *pgconn.Result, more int, ordered bool, where string) {
	t.Helper()
	n := len(plain.FieldDescriptions)
	if len(headed.FieldDescriptions) != n+1+more || len(headed.Rows) != len(plain.Rows)+1 {
		t.Errorf("%s: %d columns and %d rows became %d and %d", where, n, len(plain.Rows), len(headed.FieldDescriptions), len(headed.Rows))
		return
	}
	for i, was := range plain.FieldDescriptions {
		if is := headed.FieldDescriptions[i]; is.Name != was.Name || is.DataTypeOID != was.DataTypeOID || is.TypeModifier != was.TypeModifier ||
			is.TableOID != was.TableOID || is.TableAttributeNumber != was.TableAttributeNumber {
			t.Errorf("%s: column %d was %+v, and is %+v", where, i+1, was, is)
		}
	}
	if len(headed.Rows) > 1 && !ordered { // the server may give them in any order
		line := func(n int) func(a, b [][]byte) int {
			return func(a, b [][]byte) int { return strings.Compare(fmt.Sprintf("%q", a[:n]), fmt.Sprintf("%q", b[:n])) }
		}
		slices.SortFunc(plain.Rows, line(n))
		slices.SortFunc(headed.Rows[1:], line(n))
	}
	for i, was := range plain.Rows {
		if is := headed.Rows[i+1]; !slices.EqualFunc(was, is[:n], same) || slices.ContainsFunc(is[n+1:], func(v []byte) bool { return v != nil }) {
			t.Errorf("%s: row %d was %q, and is %q", where, i+1, was, is)
			return
		}
	}
	if slices.ContainsFunc(headed.Rows[0][:n+1], func(v []byte) bool { return v != nil }) {
		t.Errorf("%s: the head shows %q", where, headed.Rows[0])
	}
}

// ordered: it has an ORDER BY at its own level.
func ordered(sql string) bool {
	depth := 0
	for i := range len(sql) {
		switch sql[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 && strings.HasPrefix(sql[i:], " order by ") {
			return true
		}
	}
	return false
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }
