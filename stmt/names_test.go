package stmt_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sekisho/stmt"
)

var update = flag.Bool("update", false, "write the golden files")

// A shape is one way to read, with an example.
type shape struct{ title, sql string }

// cases are the shapes in testdata/names.sql.
func cases(t *testing.T) (all []shape) {
	t.Helper()
	text, err := os.ReadFile("testdata/names.sql")
	if err != nil {
		t.Fatal(err)
	}
	for each := range strings.SplitSeq(strings.TrimPrefix(string(text), "-- "), "\n-- ") {
		title, sql, _ := strings.Cut(each, "\n")
		all = append(all, shape{title, strings.TrimSuffix(strings.TrimSuffix(sql, "\n"), ";")})
	}
	return all
}

func TestNamesOfEachShape(t *testing.T) {
	var b strings.Builder
	for _, c := range cases(t) {
		names, r, err := rewrite(c.sql)
		if err != nil {
			t.Errorf("%s: %v", c.title, err)
			continue
		}
		fmt.Fprintf(&b, "== %s\n%s\n", c.title, c.sql)
		head := r.Text
		for i, n := range names {
			class := "contributed"
			if n.Exact {
				class = "exact"
			}
			fmt.Fprintf(&b, "-- %d: %s, %s\n%s\n", i+1, n.Space, class, n.Text)
			head = strings.ReplaceAll(head, n.Text, fmt.Sprintf("(%d)", i+1))
		}
		fmt.Fprintf(&b, "-- head\n%s\n\n", head)
	}
	const golden = "testdata/names.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("the names are not those of %s: run with -update, and read what git diff shows", golden)
	}
}

// What is not thought through is refused, and says why.
func TestNamesRefused(t *testing.T) {
	for _, c := range []struct{ sql, why string }{
		{"select count(*) from air.member for update", "locks rows"},
		{"select count(*) from air.member tablesample system (10)", "sample"},
		{"select count(*) from air.city_size", "does not know air.city_size"},
		{"select count(*) from member", "does not know member"},
		{"select max(name) from air.member where random() < 0.5", "random"},
		{"with d as (delete from air.member returning *) select count(*) from d", "writes"},
		{"select count(*) into x from air.member", "makes a table"},
		{"select count(*) from air.member, pg_ls_dir('.') d", "function in FROM"},
		{"select count(*) from air.member m, generate_series(1, (select 3)) s(i)", "function in FROM"},
		{"with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from air.member, (select n from r limit 3) x", "LIMIT"},
		{"with recursive r(n) as (select member_no from air.member union select max(m.member_no) from air.member m, r where m.referred_by = r.n) select count(*) from r", "recursion"},
		{"select count(*) from air.member m full join air.passport d on m.member_no = d.member_no and exists (select 1 from air.mile)", "FULL JOIN"},
		{"select city, (select count(*) from air.partner) from air.member group by rollup (city)", "grouping sets"},
		{"select count(*) from (air.member m join air.passport d using (member_no)) as j", "name of its own"},
		{"select count(*) from air.member a left join air.passport b using (member_no) join air.mile c on true join air.passport d using (country)", "USING"},
		{"select (select max(m.city) from air.mile) from air.member m", "outer query"},
		{"select __sekisho_k from air.member", "__sekisho_"},
		{"values (1), ((select count(*) from air.member))", "VALUES"},
		{"select city from air.member limit (select 1)", "LIMIT"},
		{"truncate air.member", "not a SELECT"},
		{"explain select count(*) from air.member", "not a SELECT"},
		{"select m.count from air.member m", "no column"},
		{"select 1 from air.partner p where exists (select 1 from air.member m group by m.city having m.count > 2)", "no column"},
	} {
		names, _, err := rewrite(c.sql)
		if !errors.Is(err, stmt.ErrNames) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s\nwant an error with %q, got %v and %v", c.sql, c.why, err, names)
		}
	}
}

// The head fits in front of whatever runs a SELECT for its client.
func TestHeadOfEachStatement(t *testing.T) {
	for _, sql := range []string{
		"copy (select count(*) from air.member) to stdout with (format csv, header)",
		"prepare p(int) as select count(*) from air.member where tier = $1",
		"declare c no scroll cursor for select count(*) from air.member",
		"declare c cursor for select count(*) from air.member -- in peace",
		"declare c no scroll cursor with hold for with q as (select 1) select count(*) from air.member, q",
		"select count(*) from air.member where tier = $1 and name = $2 /* who */ -- and why",
		"with q as (select * from air.member) select tier, count(*) from q group by 1",
		"(select name from air.member where tier = 1) union (select name from air.card) order by 1",
		"table air.member",
		"select from air.member where tier = 2",
		"select m, m.*, m.city as city, city from air.member m order by joined limit $1 offset $2",
	} {
		names, r, err := rewrite(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if r.Early > 0 { // NO SCROLL was put in before
			if at := strings.Index(r.Text, " NO SCROLL cursor"); at < 0 || r.Early != len("NO SCROLL ") {
				t.Errorf("%s: %d bytes before the query\n%s", sql, r.Early, r.Text)
			}
			r.Text = strings.Replace(r.Text, "NO SCROLL ", "", 1)
		}
		query, _, _ := strings.Cut(sql[r.At:], ") to stdout")
		if len(names) == 0 || !strings.HasPrefix(r.Text, sql[:r.At]+r.Insert+query) {
			t.Errorf("the statement is not in it byte for byte:\n%s\n%s", sql, r.Text)
		}
		if p := r.Early + len(r.Insert) + r.At + 8; r.Position(p) != r.At+8 {
			t.Errorf("%s: position %d became %d", sql, p, r.Position(p))
		}
	}
	for _, sql := range []string{
		"declare c scroll cursor for select count(*) from air.member",
		"declare c binary cursor for select count(*) from air.member",
	} {
		if _, _, err := rewrite(sql); !errors.Is(err, stmt.ErrRewrite) {
			t.Errorf("%s: want a refusal, got %v", sql, err)
		}
	}
}

// Keys of any type that a subject may have are written so that they are read
// again.
func TestNamesOfEachTypeOfKey(t *testing.T) {
	for _, typ := range []string{"pg_catalog.int8", "pg_catalog.int4", "pg_catalog.int2", "pg_catalog.text", "pg_catalog.uuid"} {
		for _, null := range []bool{false, true} {
			s := one(t, "select count(*) from a.b full join a.c using (x)")
			names, err := stmt.Provenance(s, func(n stmt.Name) (stmt.Table, error) {
				table := stmt.Table{Columns: []string{"k", "x"}, Key: "k", Space: "s", Type: typ, Null: null}
				if n.Name == "c" {
					table.Type = "pg_catalog.int8"
				}
				return table, nil
			})
			if err != nil || len(names) != 1 {
				t.Errorf("%s: %v %v", typ, names, err)
			}
			if _, err = stmt.Head(s, names); err != nil {
				t.Errorf("%s: %v", typ, err)
			}
		}
	}
}

// All of a table is said to be so, and nothing less.
func TestNamesOfAWholeTable(t *testing.T) {
	for sql, want := range map[string]bool{
		"select count(*) from air.member":                                         true,
		"select city, count(*) from air.member group by city having count(*) > 3": false,
		"select code from air.partner where exists (select 1 from air.booking)":   false,
		"select count(*) from air.member where tier = 2":                          false,
		"select count(*) from air.member m join air.booking b using (member_no)":  false,
		"select distinct city from air.member":                                    false, // shows them
	} {
		names, _, err := rewrite(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		for _, n := range names {
			if n.Whole != want {
				t.Errorf("%s: whole is %v\n%s", sql, n.Whole, n.Text)
			}
		}
	}
}

// A head that is not this statement's, or not Provenance's, is no head.
func TestHeadWantsItsOwnNames(t *testing.T) {
	s := one(t, "select count(*) from air.member")
	if _, err := stmt.Head(s, nil); !errors.Is(err, stmt.ErrRewrite) {
		t.Errorf("without names: %v", err)
	}
	if _, err := stmt.Head(s, []stmt.Names{{Text: "select 1"}}); !errors.Is(err, stmt.ErrRewrite) {
		t.Errorf("with a text of somebody's: %v", err)
	}
	names, err := stmt.Provenance(s, airline)
	if err != nil {
		t.Fatal(err)
	}
	names[0].Text = "select 1) END, (select 2"
	if _, err := stmt.Head(s, names); !errors.Is(err, stmt.ErrRewrite) {
		t.Errorf("with another text: %v", err)
	}
}

// Whatever a client writes, it is refused or proven.
func FuzzProvenance(f *testing.F) {
	text, err := os.ReadFile("testdata/names.sql")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "-- ") {
			f.Add(strings.TrimSuffix(line, ";\n"))
		}
	}
	for _, sql := range []string{
		"select from a.b", "select * from a.b, lateral (values (b.k)) v natural join a.c", "select * from only a.b tablesample system (1)",
		"select x from generate_series(1, 2) with ordinality x", "select (a.b).c, a.b[1] from a.b", "select * from (select) x", "values (1, 2), (3, 4) order by 1 limit all",
		"with recursive r as (values (1) union select * from r) select * from r", "select xmlelement(name x), json_object('a': 1) from a.b",
		"select 1 from a.b group by () having true", "select * from a.b x(k, v) right join a.c using (k) as j", "select k from a.b order by k using < limit 1.5",
		"select count(*) over w from a.b window w as (partition by k)", "select * from rows from (unnest(array[1]), f()) as x", "select array(select k from a.b) = any(array[1])",
		"select k from a.b limit null offset 2", "select k from a.b order by 7 fetch first row with ties", "select k from a.b union select", "table a.b",
	} {
		f.Add(sql)
	}
	for _, sql := range []string{"create temp table x (a, b) as with y (k) as (select k from s.t) select * from y join s.t z using (k)", "merge into s.t a using (select k as w from s.u) b on a.k = b.w when matched and v > 1 then delete when not matched then insert (k) values (b.w) returning a.v", "insert into x (b) select k from (select * from s.t) q (k, w) union select v from s.t", "update air.mile m set member_no = $1 from air.card c where c.member_no = m.member_no", "with x as (select 1 as n) update only air.member as a set (member_no, name) = (select n, 'y' from x) where tier = 1"} {
		f.Add(sql)
	}
	person := stmt.Table{Columns: []string{"k", "v"}, Key: "k", Space: "s", Type: "integer", Null: true, Protected: []string{"v"}}
	f.Fuzz(func(t *testing.T, sql string) {
		all, err := stmt.Analyse(sql)
		if err != nil {
			return
		}
		for i := range all {
			names, err := stmt.Provenance(&all[i], func(n stmt.Name) (stmt.Table, error) {
				if n.Schema == "air" {
					return airline(n)
				}
				return person, nil
			})
			if err == nil && len(names) > 0 {
				stmt.Head(&all[i], names)
			}
			if f := all[i].Fill; f != nil {
				f.Gives(func(n stmt.Name) (stmt.Table, error) { return person, nil })
			}
			if s := &all[i]; s.Kind == stmt.Merge && len(names) > 0 {
				at := slices.IndexFunc(s.Relations, func(r stmt.Relation) bool { return r.Written })
				s.TellWrite([]stmt.KeyRef{{Relation: at, Column: "k"}}, names)
			}
			if s := &all[i]; s.Kind == stmt.Update && s.Write != nil && s.Obstacle == "" {
				if before, err := s.Before("k", stmt.Names{Space: "s", Type: "integer"}); err == nil {
					at := slices.IndexFunc(s.Relations, func(r stmt.Relation) bool { return r.Written })
					s.TellWrite([]stmt.KeyRef{{Relation: at, Column: "k"}}, append([]stmt.Names{before}, names...))
				}
			}
		}
	})
}
