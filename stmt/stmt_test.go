package stmt_test

import (
	"errors"
	"strings"
	"testing"

	"sekisho/stmt"
)

func one(t testing.TB, text string) *stmt.Statement {
	t.Helper()
	s, err := stmt.Analyse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(s) != 1 {
		t.Fatalf("%s: %d statements", text, len(s))
	}
	return &s[0]
}

func TestEachStatementOfATextHasItsRange(t *testing.T) {
	text := " select 1 ;; /* あ */ update t set a = 'い';\ncommit"
	statements, err := stmt.Analyse(text)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range statements {
		kinds = append(kinds, string(s.Kind))
		if s.Text != text[s.Start:s.End] {
			t.Errorf("text %q is not range %d to %d", s.Text, s.Start, s.End)
		}
		if again := one(t, s.Text); again.Kind != s.Kind {
			t.Errorf("%q alone is %s, among others %s", s.Text, again.Kind, s.Kind)
		}
	}
	if got := strings.Join(kinds, " "); got != "select update transaction" {
		t.Errorf("got %s", got)
	}
	for _, empty := range []string{"", " ", ";", "-- x", "/* x */;"} {
		if s, err := stmt.Analyse(empty); err != nil || len(s) != 0 {
			t.Errorf("%q: %v, %v", empty, s, err)
		}
	}
}

// A text made to fell the parser is an error, soon, and the process lives.
func TestBounds(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"100,000 parentheses":        {"select " + many("(", 100_000) + "1" + many(")", 100_000), stmt.ErrTooDeep},
		"IN list of 10 MB":           {"select 1 where 1 in (" + many("1234567,", 1_250_000) + "1)", stmt.ErrTooLong},
		"chain of additions":         {"select 1" + many("+1", 100_000), stmt.ErrTooDeep},
		"chain inside parentheses":   {"select " + many("(", 1000) + "1" + many("+1)", 1000) + many("+1", 1000), stmt.ErrTooDeep},
		"chain of unions":            {"select 1,2" + many(" union select 1,2", 10_000), stmt.ErrTooDeep},
		"chain of joins":             {"select from a" + many(" join b on x and y", 10_000), stmt.ErrTooDeep},
		"chain of cases with and":    {"select 1" + many("+case when a and b then 1 end", 10_000), stmt.ErrTooDeep},
		"chain of between":           {"select 1" + many(" between 1 and 2 is null", 10_000), stmt.ErrTooDeep},
		"nested cases":               {"select " + many("case when a and b then ", 10_000) + "1" + many(" end", 10_000), stmt.ErrTooDeep},
		"minus signs":                {"select " + many("- ", 100_000) + "1", stmt.ErrTooDeep},
		"casts":                      {"select 1" + many("::int", 100_000), stmt.ErrTooDeep},
		"array brackets":             {"select " + many("array[", 50_000) + many("]", 50_000), stmt.ErrTooDeep},
		"nots between ands":          {"select true" + many(" and not not not true", 30_000), nil},
		"long IN list":               {"select 1 where 1 in (" + many("1234567,", 100_000) + "1)", nil},
		"many rows":                  {"insert into t values (1,'x')" + many(",(1,'x')", 50_000), nil},
		"many conditions":            {"select 1 where a = 1" + many(" or a = 1 and b = 2", 20_000), nil},
		"long name":                  {"select 1 from crm." + many("旅", 22), stmt.ErrLongName},
		"long name in quotes":        {"select \"" + many("x", 60) + "éé\"", stmt.ErrLongName},
		"long name in escapes":       {"select U&\"" + many("\\65c5", 13) + "\", '旅'", stmt.ErrLongName},
		"name as long as may be":     {"select 1 from " + many("旅", 21), nil},
		"long name in ASCII":         {"select " + many("x", 100) + " from \"旅\"", nil},
		"long string":                {"select '" + many("旅", 100) + "'", nil},
		"NUL":                        {"select 1\x00", stmt.ErrNUL},
		"not UTF-8":                  {"select '\x83\x5c'", stmt.ErrUTF8},
		"no SQL":                     {"selekt 1", stmt.ErrSyntax},
		"two numbers stuck together": {"select 1a", stmt.ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := stmt.Analyse(c.text); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	// An error is logged; what was in the text is not.
	if _, err := stmt.Analyse("select 'u1@example.jp' 'x"); err == nil || strings.Contains(err.Error(), "u1@") {
		t.Errorf("got %v", err)
	}
}

// Texts just short of what is refused must not fell the parser either.
func TestDeepestAccepted(t *testing.T) {
	for _, c := range []struct{ head, link, mid, tail string }{
		{"select ", "(", "1", ")"}, {"select 1", "+1", "", ""}, {"select 1", " union select 1", "", ""},
		{"select ", "- ", "1", ""}, {"select ", "case when a then ", "1", " end"}, {"select ", "f(", "1", ")"},
		{"select ", "array[", "1", "]"}, {"select ", "(select ", "1", ")"}, {"select * from ", "(a join ", "b", " on true)"},
	} {
		accepted := 0
		for n := 1; n <= 4096; n *= 2 {
			text := c.head + strings.Repeat(c.link, n) + c.mid + strings.Repeat(c.tail, n)
			if _, err := stmt.Analyse(text); err == nil {
				accepted = n
				if s := one(t, text); s.Kind == stmt.Select && s.Obstacle == "" {
					s.WithKeys([]stmt.KeyRef{{Relation: 0, Column: "k"}})
				}
			}
		}
		if accepted < 64 {
			t.Errorf("%s…: only %d levels are accepted", c.head+c.link, accepted)
		}
	}
}

func TestWithKeys(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`select a from t`, `select a , "t"."k" AS __sekisho_1 from t`},
		{`select"a"from"T t"`, `select"a", "T t"."k" AS __sekisho_1 from"T t"`},
		{`select from t`, `select "t"."k" AS __sekisho_1 from t`},
		{`select all from t`, `select all "t"."k" AS __sekisho_1 from t`},
		{`select t.*from t`, `select t.*, "t"."k" AS __sekisho_1 from t`},
		{`select 'x from y' from s.t`, `select 'x from y' , "s"."t"."k" AS __sekisho_1 from s.t`},
		{`select a from s.t as "it""s"`, `select a , "it""s"."k" AS __sekisho_1 from s.t as "it""s"`},
		{`select extract(year from d), trim(both from a), substring(a from 1) from t`, `select extract(year from d), trim(both from a), substring(a from 1) , "t"."k" AS __sekisho_1 from t`},
		{`select a is distinct from b, a is not distinct from b from t`, `select a is distinct from b, a is not distinct from b , "t"."k" AS __sekisho_1 from t`},
		{`select a as from, t.from from t`, `select a as from, t.from , "t"."k" AS __sekisho_1 from t`},
		{"select a -- from x\n/* from /* from */ */from t -- end", "select a -- from x\n/* from /* from */ */, \"t\".\"k\" AS __sekisho_1 from t -- end"},
		{`select $$ from $$, $a$ from t $a$ from t`, `select $$ from $$, $a$ from t $a$ , "t"."k" AS __sekisho_1 from t`},
		{`((select a from t)) limit 3`, `((select a , "t"."k" AS __sekisho_1 from t)) limit 3`},
		{`select U&"\0061" from t`, `select U&"\0061" , "t"."k" AS __sekisho_1 from t`},
		{`select a[1], row(1, 2), array[a, b] from t where x = 'y' for update`, `select a[1], row(1, 2), array[a, b] , "t"."k" AS __sekisho_1 from t where x = 'y' for update`},
		{`table t`, `SELECT *, "t"."k" AS __sekisho_1 FROM t`},
		{`/* table */ table only s.t order by 1`, `/* table */ SELECT *, "s"."t"."k" AS __sekisho_1 FROM only s.t order by 1`},
		{`copy (table"t")to stdout`, `copy (SELECT *, "t"."k" AS __sekisho_1 FROM"t")to stdout`},
		{`copy (select a from t) to stdout (format csv)`, `copy (select a , "t"."k" AS __sekisho_1 from t) to stdout (format csv)`},
		{`COPY/* ( */(select (a) from t where (b) > 1)to stdout`, `COPY/* ( */(select (a) , "t"."k" AS __sekisho_1 from t where (b) > 1)to stdout`},
	} {
		s := one(t, c.text)
		r, err := s.WithKeys([]stmt.KeyRef{{Relation: 0, Column: "k"}})
		if err != nil || r.Text != c.want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.text, r.Text, err, c.want)
			continue
		}
		if got := r.Text[:r.At] + s.Text[r.At:r.At+r.Cut] + r.Text[r.At+len(r.Insert):]; got != s.Text {
			t.Errorf("without the insertion it is %s", got)
		}
	}
	long := strings.Repeat("x", 70) // the server reads 63 bytes of a name
	if got := one(t, "select a from "+long).Relations[0].Name.Name; got != long[:63] {
		t.Errorf("a long name is %s", got)
	}
	for _, refused := range []string{
		`select 1`, `select distinct a from t`, `select a from t union select a from t`,
		`select __sekisho_1 from t`, `select a from t order by "__SEKISHO_1"`, `select a from (select 1) t`, `values (1)`,
		`insert into t select a from t`, `copy t to stdout`, `copy (select distinct a from t) to stdout`, `select a into b from t`,
	} {
		if r, err := one(t, refused).WithKeys([]stmt.KeyRef{{Relation: 0, Column: "k"}}); err == nil {
			t.Errorf("%s became %s", refused, r.Text)
		}
	}
}

// What the server is told in place of OFFSET skips nothing, and LIMIT has room
// for what the reader skips.
func TestWithKeysTakesOffsetAway(t *testing.T) {
	const keyed = `select a , "t"."k" AS __sekisho_1 from t `
	for _, c := range []struct {
		end, want string
		skip      stmt.Skip
	}{
		{"limit 20 offset 40", "limit (coalesce((40)::bigint, 0) OPERATOR(pg_catalog.+) 20) offset least((40)::bigint, 0)", stmt.Skip{Rows: 40}},
		{"offset $2 limit $1", "offset least(($2)::bigint, 0) limit (coalesce(($2)::bigint, 0) OPERATOR(pg_catalog.+) $1)", stmt.Skip{Param: 2}},
		{"where x = 'あ' order by a offset 5 rows fetch next $1 rows only", "where x = 'あ' order by a offset least((5)::bigint, 0) rows fetch next (coalesce((5)::bigint, 0) OPERATOR(pg_catalog.+) $1) rows only", stmt.Skip{Rows: 5}},
		{"limit all offset 3", "limit all offset least((3)::bigint, 0)", stmt.Skip{Rows: 3}},
		{"offset 3 -- limit 1", "offset least((3)::bigint, 0) -- limit 1", stmt.Skip{Rows: 3}},
		{"limit $1::int offset 3", "limit coalesce((3)::bigint, 0) OPERATOR(pg_catalog.+) $1::int offset least((3)::bigint, 0)", stmt.Skip{Rows: 3}},
		{"limit 1+1*2-3 offset 1", "limit coalesce((1)::bigint, 0) OPERATOR(pg_catalog.+) 1+1*2-3 offset least((1)::bigint, 0)", stmt.Skip{Rows: 1}},
		{"limit '7' offset $1", "limit coalesce(($1)::bigint, 0) OPERATOR(pg_catalog.+) '7' offset least(($1)::bigint, 0)", stmt.Skip{Param: 1}},
	} {
		s := one(t, "select a from t "+c.end)
		r, err := s.WithKeys([]stmt.KeyRef{{Relation: 0, Column: "k"}})
		if err != nil || r.Text != keyed+c.want || s.Skip == nil || *s.Skip != c.skip {
			t.Errorf("%s\n got %s, %v, %+v\nwant %s", c.end, r.Text, err, s.Skip, keyed+c.want)
		}
		if _, ok := r.Apply(s.Text, "select a from t "+c.end); ok {
			t.Errorf("%s: used for another text, where another number may stand", c.end)
		}
	}
	for _, end := range []string{"", "limit 1", "offset 0", "offset null", "limit 1 offset -1"} {
		s := one(t, "select a from t "+end)
		if r, err := s.WithKeys([]stmt.KeyRef{{Relation: 0, Column: "k"}}); err != nil || r.Text != keyed+end || s.Skip != nil {
			t.Errorf("%s: %s, %v, %+v", end, r.Text, err, s.Skip)
		}
	}
	for _, end := range []string{"offset 1+1", "offset '1'", "offset $1::int", "offset 99999999999", "offset (select 1)", "offset coalesce(1, 2)"} {
		if s := one(t, "select a from t "+end); s.Obstacle == "" {
			t.Errorf("%s passes for plain: %+v", end, s.Skip)
		}
	}
	for _, end := range []string{"limit 1 < 2 offset 1", "offset 1 fetch first row only"} {
		if r, err := one(t, "select a from t "+end).WithKeys([]stmt.KeyRef{{Relation: 0, Column: "k"}}); err == nil {
			t.Errorf("%s became %s", end, r.Text)
		}
	}
}

func TestCopyWithKeys(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`copy t to stdout`, `copy (SELECT "a", "b", "k" AS __sekisho_1 FROM ONLY "s"."t") to stdout`},
		{`COPY "s"."t" ( a,b ) TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';', FORCE_QUOTE (a))`, `COPY (SELECT "a", "b", "k" AS __sekisho_1 FROM ONLY "s"."t") TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';', FORCE_QUOTE (a))`},
		{`copy/*to*/t to stdout csv`, `copy/*to*/(SELECT "a", "b", "k" AS __sekisho_1 FROM ONLY "s"."t") to stdout csv`},
	} {
		r, err := one(t, c.text).CopyWithKeys("s", "t", []string{"a", "b"}, []string{"k"})
		if err != nil || r.Text != c.want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.text, r.Text, err, c.want)
		}
	}
	for _, refused := range []string{`copy t from stdin`, `copy t to '/tmp/x'`, `copy t to program 'x'`, `copy (select 1) to stdout`, `select 1`} {
		if r, err := one(t, refused).CopyWithKeys("s", "t", []string{"a"}, []string{"k"}); err == nil {
			t.Errorf("%s became %s", refused, r.Text)
		}
	}
}

// What the gate takes for a header, the server must too: the first line of
// such a COPY is nobody's row.
func TestCopyHeader(t *testing.T) {
	for option, want := range map[string]bool{
		"header": true, "header true": true, "header on": true, "header 1": true, "header 'TRUE'": true,
		"header false": false, "header off": false, "header 0": false, "header 'Off'": false,
	} {
		if c := one(t, "copy t to stdout ("+option+")").Copy; c.Header != want || c.Odd {
			t.Errorf("%s: header %t, odd %t", option, c.Header, c.Odd)
		}
	}
	for _, odd := range []string{"header (false)", "header (true)", "header 1.0", "header *", "format (csv)", "delimiter (x)"} {
		if c := one(t, "copy t to stdout ("+odd+")").Copy; !c.Odd || c.Header {
			t.Errorf("%s: header %t, odd %t", odd, c.Header, c.Odd)
		}
	}
	if one(t, "copy t to stdout (force_quote (a), force_quote *)").Copy.Odd {
		t.Error("a list of columns is odd")
	}
}

// EXECUTE is known by its name only if it evaluates nothing.
func TestExecuteWithConstants(t *testing.T) {
	for text, want := range map[string]stmt.Kind{
		"execute p": stmt.Execute, "execute p(1, -1.5, 'x', null, true, 'x'::text, int '1', date '2026-01-01')": stmt.Execute,
		"execute p(f())": stmt.Unknown, "execute p(1 + 1)": stmt.Unknown, "execute p('x'::s.t)": stmt.Unknown, "execute p('x'::regclass)": stmt.Unknown,
		"execute p(array[1])": stmt.Unknown, "execute p(current_user)": stmt.Unknown, "execute p(f()::text)": stmt.Unknown,
	} {
		if s := one(t, text); s.Kind != want || s.Runs != stmt.Execute {
			t.Errorf("%s: %s, runs %s", text, s.Kind, s.Runs)
		}
	}
}

// The server counts error positions in characters of the text that it was
// sent; the client must see those of the text that it wrote.
func TestPosition(t *testing.T) {
	for _, text := range []string{`select 'あ', a from t where nosuch = 1`, `copy (select 'い' from t where nosuch) to stdout`} {
		s := one(t, text)
		r, err := s.WithKeys([]stmt.KeyRef{{Relation: 0, Column: "あ"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"select", "from", "where", "nosuch"} {
			at := len([]rune(r.Text[:strings.Index(r.Text, word)])) + 1
			want := len([]rune(text[:strings.Index(text, word)])) + 1
			if got := r.Position(at); got != want {
				t.Errorf("%s: %s is at %d, not at %d", text, word, got, want)
			}
		}
	}
	s := one(t, `copy "あ" (a) to stdout (format nosuch)`)
	r, err := s.CopyWithKeys("s", "t", []string{"a"}, []string{"k"})
	if err != nil {
		t.Fatal(err)
	}
	at := len([]rune(r.Text[:strings.Index(r.Text, "nosuch")])) + 1
	if got, want := r.Position(at), len([]rune(s.Text[:strings.Index(s.Text, "nosuch")]))+1; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"SELECT  email /* u1@example.jp */ FROM Member -- 42\n WHERE id = 42", "select email from member where id = $1"},
		{"select 'u1@example.jp', E'a\\'b', $$x$$, B'1', X'F', U&'x', 1.5e3", "select $1, …"},
		{`select a as "u1@example.jp", b as "plain", c as あ from t`, `select a as "?", b as plain, c as "?" from t`},
		{`select "Tanaka" from t`, `select "?" from t`},
		{`select "user", "name", "order".x, "left" from "user"`, `select "user", name, "order".x, "left" from "user"`},
		{`select "E-Mail", "e-mail", 氏名, "a""b" from 会員, "会員", "Customer ""X""", U&"x"`, `select "E-Mail", "?", "?", "?" from "会員", "会員", "Customer ""X""", "?"`},
		{"select * from t where id in (1,2, 3) and x = $2 or y = 5", "select * from t where id in ($3, …) and x = $2 or y = $4"},
		{"set application_name = 'u1'", "set application_name = $1"},
		{"do $x$ secret $x$", "do $1"},
		{"create role x password 'secret'", "create role x password $1"},
		{"insert into t values (1, 'a'), (2, 'b')", "insert into t values ($1, …), ($2, …)"},
		{"select f(1, a)", "select f($1, a)"},
		{"select -1 , - 2", "select -$1, - $2"},
	} {
		got, err := stmt.Normalise(c.text, map[string]bool{"会員": true, "E-Mail": true, `Customer "X"`: true, "order": true})
		if err != nil || got != c.want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.text, got, err, c.want)
		}
	}
}
