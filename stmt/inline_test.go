package stmt_test

import (
	"slices"
	"strings"
	"testing"

	"sekisho/stmt"
)

// bodies are functions in SQL as a catalog knows them.
var bodies = map[string]*stmt.Body{
	"of":    {Text: "select name, city from s.t where k = who and x > $2", Names: []string{"who", ""}, Types: []string{"bigint", "text"}, Columns: []string{"name", "city"}, Casts: []string{"text", ""}, Set: true},
	"one":   {Text: "select max(b.v) from s.b where b.k = one.a", Names: []string{"a"}, Types: []string{"integer"}, Columns: []string{""}, Casts: []string{"text"}},
	"twice": {Text: "select s.one(a) || u.w from s.u where u.k = s.one(a)::int", Names: []string{"a"}, Types: []string{"integer"}, Columns: []string{""}, Casts: []string{""}},
	"loops": {Text: "select s.loops(n + 1)", Names: []string{"n"}, Types: []string{"integer"}, Columns: []string{""}, Casts: []string{""}},
	"named": {Text: "select a.x from s.t a, (select n as m) z", Names: []string{"n"}, Types: []string{"date"}, Columns: []string{"x"}, Casts: []string{"date"}, Set: true},
	"none":  {Text: "select 1", Columns: []string{""}, Casts: []string{""}},
}

// reads are the tables that a call of a function reads.
var reads = map[string][]string{"of": {"t"}, "one": {"b"}, "twice": {"b", "u"}, "loops": nil, "named": {"t"}, "none": nil}

func relations(s *stmt.Statement) (names []string) {
	for _, r := range s.Relations {
		names = append(names, r.Name.Name)
	}
	return names
}

// A statement written out reads all that it read before, and what the functions in
// it read; and the calls are gone.
func FuzzInline(f *testing.F) {
	for _, text := range []string{
		"select * from s.of(m.k, 'x') f, s.m", "select s.one(k), s.twice($1) from s.m where s.one(1) = 'x'",
		"select f.q from s.m left join lateral s.of(m.k, $1) as f(q) on true", "select s.none() union select s.one(2) from a order by 1",
		"select s.loops(1)", "select * from s.named(current_date) x(y)", "with w as (select s.one(1)) select * from w, s.of(1, s.one(2))",
		"prepare p as select s.twice(s.one(3)::int)", "copy (select s.one(4)) to stdout", "explain select s.one(4)",
		"select s.one(a := 3), s.one(variadic array[1]), s.one(1) over (), s.one(distinct 1) from s.m", "select * from rows from (s.of(1, 'x'), s.one(3))",
		"select * from s.of(1, 'x') with ordinality", "select (select count(*) from s.of(m.k, t.x)) from s.m, s.t", "insert into a select s.one(k) from s.m",
		"select s.one(k) from s.m group by s.one(k) having s.one(1) > 'x'", "select one(1), \"One\"(2), x.one from x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := stmt.Analyse(text)
		if err != nil {
			return
		}
		for i := range list {
			s := &list[i]
			written := map[string]bool{}
			out, err := s.Inline(func(n stmt.Name, args int) *stmt.Body {
				b := bodies[n.Name]
				if b == nil || n.Schema != "s" || len(b.Types) != args {
					return nil
				}
				written[n.Name] = true
				return b
			})
			if err != nil || out == nil {
				continue
			}
			if out.Kind != s.Kind || out.As != s || out.Writes != s.Writes {
				t.Fatalf("%q is a %s, and written out, as %q, a %s", s.Text, s.Kind, out.Text, out.Kind)
			}
			has := relations(out)
			for _, name := range relations(s) {
				if !slices.Contains(has, name) {
					t.Fatalf("%q reads %s, and written out it does not: %q", s.Text, name, out.Text)
				}
			}
			for _, fn := range out.Functions {
				if fn.Schema == "s" && fn.Name.Name == "loops" {
					t.Fatalf("%q is written out without an end: %q", s.Text, out.Text)
				}
			}
			for name := range written {
				left := slices.ContainsFunc(out.Functions, func(fn stmt.Function) bool { return fn.Name == stmt.Name{Schema: "s", Name: name} })
				for _, table := range reads[name] {
					if !left && !slices.Contains(has, table) {
						t.Fatalf("%q calls %s, which reads %s, and written out it does not: %q", s.Text, name, table, out.Text)
					}
				}
			}
			if again, err := stmt.Analyse(out.Text); err != nil || len(again) != 1 || strings.Join(relations(&again[0]), " ") != strings.Join(has, " ") {
				t.Fatalf("%q, written out as %q, is read as %d statements, %v", s.Text, out.Text, len(again), err)
			}
		}
	})
}
