package stmt_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"sekisho/stmt"
)

// texts are statements in which ? stands for a literal.
var texts = []string{
	"select a from t where k = ?",
	"SELECT abalance FROM pgbench_accounts WHERE aid = ?;",
	"UPDATE pgbench_accounts SET abalance = abalance + ? WHERE aid = ?;",
	"INSERT INTO h (tid, delta) VALUES (?, ?)",
	"delete from t where a = ? and b in (?, ?, ?)",
	"select a, ? from t where k = ?",
	"select a from s.t as x join u using (k) where x.a between ? and ? order by ? limit ?",
	"select a from t order by ?, b",
	"select count(*) from t where a = ?",
	"select a, b from t group by ?, ?",
	"select distinct on (?) a from t",
	"select a from t where b = -? and c <> - ?",
	"select a from t where b = ?::int and c = date ?",
	"select a from t where b = ? 'x'",
	"select a from t where b = ?\n ?",
	"select a /* ? */ from t where b = ?",
	"select a from t -- ?\n where b = ?",
	"select a from t where b = E? or b = U&? or b = x?",
	"select a from t where b = ?e? or b = a?",
	"select set_config(?, ?, false)",
	"select \"set_config\"(?, ?, false)", "select pg_catalog.\"set_config\" (?, ?, false) from t",
	"select a from t where k = ? ;", "select a from t where k = ?;\n",
	"select a from t where b = ?; select a from t where b = ?",
	"select a from t where b = $1 and c = ?",
	"select \"a?\" from t where b = ?",
	"select a from t where b ->> ? = ? and c @> ?",
	"select a is distinct from ? from t where k = ?",
	"select a from t where f(a, ?) and t.a[?] = ?",
	"select a from t fetch first ? rows only",
	"select a from t offset ?", "select a from t where b = ? limit ? offset ?", "select a from t where b = ? offset ? rows",
	"(select a from t where k = ?)",
	"with x as (select ?) select * from x",
	"copy (select a from t where k = ?) to stdout",
	"set application_name = ?",
	"select 日本 from 会員 where 名 = ?",
	"select $?$ a from t $?$ from t where b = ?",
	"select interval ? year, a::varchar(?), a from t",
	"selecta from t where k = ?",
	"select a from t where b = ?--?",
	"select a into x from t where b = ?",
	"select ?from t", "select a from t where k=?and b=?",
}

var literals = []string{
	"1", "42", "99999999999999999999", "1.5", ".5", "7.", "0", "'x'", "''", "'it''s'", "'from t'", "'; drop table t'", "'--'", "'/*'",
	"'日本'", "'a\nb'", "'\\'", "'$$'", "'\"'", "1e5", "0x1F", "1_000", "null", "true", "$1", "$$x$$", "'\x01'", "b", "-1", "(1)", "'a' 'b'",
	"'a'\n'b'", "1 from t", "1--", "1/**/", "'x", "x'", "1;", "''''", "'", "\"q\"", "e'\\''", "2,3",
}

func fill(r *rand.Rand, text string) string {
	for strings.Contains(text, "?") {
		text = strings.Replace(text, "?", literals[r.IntN(len(literals))], 1)
	}
	return text
}

// What is kept for a shape must hold for every other text of the shape: the
// analysis, and the rewriting with hidden keys.
func TestOneShapeOneAnalysis(t *testing.T) {
	type kept struct {
		text     string
		analysis []stmt.Statement
		err      bool
		rewrite  stmt.Rewrite
		plain    bool
	}
	seen := map[string]kept{}
	keys := []stmt.KeyRef{{Relation: 0, Column: "k"}}
	r := rand.New(rand.NewPCG(1, 2))
	agreed, applied := 0, 0
	for range 12000 {
		text := fill(r, texts[r.IntN(len(texts))])
		key, ok := stmt.ShapeKey(text)
		if !ok {
			continue
		}
		var now kept
		now.text = text
		statements, err := stmt.Analyse(text)
		now.err = err != nil
		for _, s := range statements {
			if len(statements) == 1 && s.Kind == stmt.Select && s.Obstacle == "" && len(s.Relations) > 0 {
				if now.rewrite, err = s.WithKeys(keys); err == nil {
					now.plain = true
				}
			}
			s.Text, s.Start, s.End = "", 0, 0
			byTurn(t, text, s.Asked)
			now.analysis = append(now.analysis, s)
		}
		before, twice := seen[key]
		if !twice {
			seen[key] = now
			continue
		}
		// A text that the server would refuse as well may share its shape with
		// one that it takes: float(200). Only what both take must agree.
		if before.err || now.err {
			continue
		}
		agreed++
		if !reflect.DeepEqual(before.analysis, now.analysis) {
			t.Fatalf("one shape, two meanings:\n%s\n%s\n%+v\n%+v", before.text, text, before.analysis, now.analysis)
		}
		if before.plain != now.plain {
			t.Fatalf("one shape, and one of them cannot be rewritten:\n%s\n%s", before.text, text)
		}
		if got, ok := before.rewrite.Apply(text, key); ok {
			applied++
			want := now.rewrite.Text + text[len(now.rewrite.Text)-len(now.rewrite.Insert):]
			if got != want {
				t.Fatalf("applied to\n%s\n got %s\nwant %s", text, got, want)
			}
		}
	}
	if agreed < 1000 || applied < 300 {
		t.Errorf("only %d texts were compared, %d rewritten: the test tests too little", agreed, applied)
	}
}

func TestShapeKeyRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", ";", "select 1; select 2", "set x = 1", "begin", "select E'x'", "select U&'x'", "select $$x$$", "select 1 -- x", "select 1 /* x */",
		"select 'x", `select "x`, "select 'a\\b'", "select set_config('a', 'b', false)", `select "set_config"('a', 'b', false)`, `select pg_catalog."set_config"
('a', 'b', false)`, "select '\x00'", "select '\xff'", "select 1\v", "copy t to stdout",
		"select a into b from t", "table t", "values (1)", "explain select 1",
	} {
		if key, ok := stmt.ShapeKey(text); ok {
			t.Errorf("%q has the key %q", text, key)
		}
	}
	a, _ := stmt.ShapeKey("select a from t order by 1")
	b, _ := stmt.ShapeKey("select a from t order by 2")
	if a == b {
		t.Error("the number behind ORDER BY names a column, and is lost")
	}
}

// A semicolon at the end, and white space before or behind it, change neither
// the shape nor where the keys go.
func TestApplyLeavesTheEndOfATextAlone(t *testing.T) {
	const body, keyed = "select a from t where k = ", `select a , "t"."k" AS __sekisho_1 from t where k = `
	ends := []string{"", ";", " ;", " ; \n", "\t", "\n"}
	for _, written := range ends {
		r, err := one(t, body+"1"+written).WithKeys([]stmt.KeyRef{{Relation: 0, Column: "k"}})
		if err != nil {
			t.Fatal(err)
		}
		if key, _ := stmt.ShapeKey(body + "'x'" + written); key != "" {
			if got, ok := r.Apply(body+"'x'"+written, key); ok {
				t.Errorf("a string has the shape of a number: %q", got)
			}
		}
		for _, end := range ends {
			text := body + "42" + end
			key, _ := stmt.ShapeKey(text)
			if got, ok := r.Apply(text, key); !ok || got != keyed+"42"+end {
				t.Errorf("rewritten as %q, applied to %q: %q, %t", body+"1"+written, text, got, ok)
			}
		}
	}
	// Something behind the semicolon is another statement.
	for _, text := range []string{body + "1;;", body + "1; x", body + "1;-- x"} {
		if key, ok := stmt.ShapeKey(text); ok {
			t.Errorf("%q has the key %q", text, key)
		}
	}
}

func FuzzAnalyse(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, text := range texts {
		f.Add(fill(r, text))
	}
	f.Add("copy s.t (a, b) to stdout with (format csv, header, force_quote (a))")
	f.Add("create temp table x (a, b) on commit drop as with y as (select 1) select * from y natural join s.t union select k, 'z' from s.t")
	f.Add("explain (analyze off, analyze maybe, format json) update t set a = b where c in (select d from e)")
	f.Fuzz(func(t *testing.T, text string) {
		statements, err := stmt.Analyse(text)
		if err != nil {
			return
		}
		key, shaped := stmt.ShapeKey(text)
		if shaped && len(statements) > 1 {
			t.Fatalf("%q has one shape %q and %d statements", text, key, len(statements))
		}
		if _, err := stmt.Normalise(text, nil); err != nil {
			t.Fatalf("%q is understood, but has no normal form: %v", text, err)
		}
		for i := range statements {
			s := &statements[i]
			var keys []stmt.KeyRef
			of := s
			if s.Copy != nil && s.Copy.Query != nil {
				of = s.Copy.Query
			}
			for n, rel := range of.Relations {
				if rel.Top {
					keys = append(keys, stmt.KeyRef{Relation: n, Column: `k"é`})
				}
			}
			if len(keys) == 0 {
				continue
			}
			w, err := s.WithKeys(keys)
			if err != nil {
				w, err = s.CopyWithKeys("s", "t", []string{"a"}, []string{"k"})
			}
			if err != nil {
				continue
			}
			again, err := stmt.Analyse(w.Text)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q was rewritten to %q, which is %d statements, %v", s.Text, w.Text, len(again), err)
			}
			if w.Text[:w.At] != s.Text[:w.At] || of.Skip == nil && w.Text[w.At+len(w.Insert):] != s.Text[w.At+w.Cut:] {
				t.Fatalf("%q was rewritten to %q: other bytes changed", s.Text, w.Text)
			}
			if s.Kind == stmt.Select && of.Skip == nil && len(again[0].Targets) != len(s.Targets)+len(keys) {
				t.Fatalf("%q was rewritten to %q: the targets are %+v", s.Text, w.Text, again[0].Targets)
			}
		}
	})
}

// byTurn says of what is asked for which of the text's literals it is, in place
// of where it stands: that is each text's own.
func byTurn(t *testing.T, text string, asked []stmt.Asked) {
	_, literals, _ := stmt.Shape(text)
	for i, a := range asked {
		if a.Param > 0 {
			continue
		}
		turn, ok := literals.Which(a.At)
		if value, plain := literals.Value(text, turn); ok && plain && !strings.Contains(text[a.At:], value) {
			t.Fatalf("%q of literal %d is not what stands there: %s", value, turn, text)
		}
		asked[i].At = turn
	}
}

func FuzzShapeKey(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, text := range texts {
		f.Add(fill(r, text), "'x'", uint8(3))
	}
	// Putting another string in the place of the first one never changes the
	// shape, so it must never change the analysis either.
	f.Fuzz(func(t *testing.T, text, value string, _ uint8) {
		key, ok := stmt.ShapeKey(text)
		at := strings.IndexByte(text, '\'')
		if !ok || at < 0 {
			return
		}
		end := at + 1 + strings.IndexByte(text[at+1:], '\'')
		other := text[:at] + "'" + strings.ReplaceAll(value, "'", "''") + "'" + text[end+1:]
		if same, ok := stmt.ShapeKey(other); !ok || same != key {
			return
		}
		a, err := stmt.Analyse(text)
		b, err2 := stmt.Analyse(other)
		if err != nil || err2 != nil {
			if (err == nil) != (err2 == nil) {
				t.Fatalf("%q: %v, but %q: %v", text, err, other, err2)
			}
			return
		}
		for i := range a {
			a[i].Text, a[i].End, b[i].Text, b[i].End = "", 0, "", 0
		}
		for i := range a {
			byTurn(t, text, a[i].Asked)
		}
		for i := range b {
			byTurn(t, other, b[i].Asked)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("one shape, two meanings: %q and %q", text, other)
		}
	})
}

func BenchmarkPoint(b *testing.B) {
	const text = "SELECT name, email FROM crm.member WHERE member_no = 12345;"
	statements, err := stmt.Analyse(text)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Analyse", func(b *testing.B) {
		for b.Loop() {
			stmt.Analyse(text)
		}
	})
	b.Run("WithKeys", func(b *testing.B) {
		for b.Loop() {
			statements[0].WithKeys([]stmt.KeyRef{{Relation: 0, Column: "member_no"}})
		}
	})
	b.Run("ShapeKey", func(b *testing.B) {
		for b.Loop() {
			stmt.ShapeKey(text)
		}
	})
	b.Run("Normalise", func(b *testing.B) {
		for b.Loop() {
			stmt.Normalise(text, nil)
		}
	})
}

func ExampleNormalise() {
	text, _ := stmt.Normalise("SELECT email FROM crm.member /* Tanaka */ WHERE member_no IN (1, 2, 3)", nil)
	fmt.Println(text)
	// Output: select email from crm.member where member_no in ($1, …)
}
