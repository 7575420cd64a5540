package stmt

import (
	"maps"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func TestCutComment(t *testing.T) {
	for _, c := range []struct{ text, tail string }{
		{"select 1 /*a*/", "/*a*/"},
		{"select 1 /*a*/;", "/*a*/;"},
		{"select 1; /*a*/ ;\n", "/*a*/ ;\n"},
		{"/*a*/", "/*a*/"},
		{"select 1 /*a*/ /*b*/", "/*b*/"},
		{"select '/*' /*b*/", "/*b*/"},
		{"select 1 /**/", "/**/"},
		{"select 1 /* ** */", "/* ** */"},
		{"select 1 +/*b*/", "/*b*/"},
		{"select 1", ""},
		{"select 1 */", ""},
		{"select 1 /*/", ""},
		{"select 1 /* a /* b */ */", ""}, // nested: what begins last does not end last
		{"select 1 /*a*/ + 1", ""},
		{"select 1 /*a*/ --b", ""},
		{"", ""},
	} {
		bare, tail := CutComment(c.text)
		if tail != c.tail || bare+tail != c.text {
			t.Errorf("%q: cut into %q and %q, want %q", c.text, bare, tail, c.tail)
		}
	}
}

func TestEndsOpen(t *testing.T) {
	for text, want := range map[string]bool{
		"select 1 ": false, "select 1 -- a ": true, "select 1 -- a\n": false, "select 1 -- a\n+ 2": false,
		"select '--a' ": false, "with x as (select 1) select '--' ": false, "select $$--$$ ": false,
		"select 1 -- '\n -- /* ": true, "select 1 /* -- */ ": false, "select E'\\'--' ": false,
	} {
		if got := EndsOpen(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestParseTags(t *testing.T) {
	for _, c := range []struct {
		tail string
		want map[string]string
	}{
		{"/*user='alice'*/", map[string]string{"user": "alice"}},
		{"/* user='alice',terminal='pc-0417' */;", map[string]string{"user": "alice", "terminal": "pc-0417"}},
		{"/*route='%2Fpolls%201000',user='%E5%A4%AA%E9%83%8E'*/", map[string]string{"route": "/polls 1000", "user": "太郎"}},
		{`/*name='DROP TABLE FOO\'s%25'*/`, map[string]string{"name": "DROP TABLE FOO's%"}},
		{"/*a='1+1'*/", map[string]string{"a": "1+1"}}, // a plus is a plus
		{"/*a='',b=''*/", map[string]string{"a": "", "b": ""}},
		{"/*user=alice*/", nil},
		{"/*user='alice'", nil},
		{"/*user='alice*/", nil},
		{"/*user='alice'x*/", nil},
		{"/*user='alice',*/", nil},
		{"/*user='alice',user='bob'*/", nil},
		{"/*user='%zz'*/", nil},
		{"/*='x'*/", nil},
		{"/* just words */", nil},
		{"/**/", nil},
	} {
		got, ok := ParseTags(c.tail)
		if ok != (c.want != nil) || ok && !maps.Equal(got, c.want) {
			t.Errorf("%s: %v %v, want %v", c.tail, got, ok, c.want)
		}
	}
}

// What is cut off is one comment to the server's own lexer, wherever the rest
// is a text that the grammar takes, and the rest is read as it stands.
func FuzzCutComment(f *testing.F) {
	for _, text := range []string{
		"select 1 /*a*/", "select 1 -- /*a*/", "select '/*a*/", "select 1 /* a /* b */ */", "select $$ /*a*/", "select \"/*a*/", "select 1 /*/*/", "select 1 /***/;",
		"select E'\\' /*a*/", "select 1;--\n/*a*/;;", "select U&'\\0041' /*a*/", "select 1 +/*a*/", "select 'a'\n/*b*/", "/*\x00*/", "/*user='x'*/",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bare, tail := CutComment(text)
		if bare+tail != text {
			t.Fatalf("%q became %q and %q", text, bare, tail)
		}
		ParseTags(tail)
		if tail == "" {
			return
		}
		if _, err := parse(bare); err != nil || EndsOpen(bare) {
			return
		}
		whole, err := pg.Scan(text)
		if err != nil {
			t.Fatalf("%q is read, and with %q behind it not", bare, tail)
		}
		rest, err := pg.Scan(bare)
		if err != nil {
			t.Fatal(err)
		}
		n := len(rest.Tokens)
		for i, tok := range whole.Tokens {
			switch {
			case i < n && (tok.Start != rest.Tokens[i].Start || tok.End != rest.Tokens[i].End || tok.Token != rest.Tokens[i].Token):
				t.Fatalf("%q: token %d is another one", text, i)
			case i == n && (tok.Token != pg.Token_C_COMMENT || int(tok.Start) != len(bare) || int(tok.End) != len(bare)+strings.LastIndex(tail, "*/")+2):
				t.Fatalf("%q: behind %q stands a %v", text, bare, tok.Token)
			case i > n && tok.Token != pg.Token_ASCII_59:
				t.Fatalf("%q: behind the comment stands a %v", text, tok.Token)
			}
		}
		if len(whole.Tokens) <= n {
			t.Fatalf("%q: the comment is none", text)
		}
	})
}
