package stmt

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Normalise is the statement without anything that a value could stand in:
// every constant becomes a parameter, comments go, and a name that is not a
// plain one ([a-z_][a-z0-9_]*, in quotes or not) becomes "?", unless it is among
// those that are known to be names; a keyword keeps its quotes. Lists of constants become one and an
// ellipsis. White space is one space.
//
// It reads tokens only. Use it for texts that Analyse has accepted: in one
// that is not SQL, anything may look like a name.
func Normalise(text string, known map[string]bool) (string, error) {
	if len(text) > MaxBytes {
		return "", ErrTooLong
	}
	if strings.IndexByte(text, 0) >= 0 {
		return "", ErrNUL
	}
	scan, err := pg.Scan(text)
	if err != nil {
		return "", ErrSyntax
	}
	next := 1
	for _, t := range scan.Tokens {
		if t.Token == pg.Token_PARAM {
			if n, err := strconv.Atoi(text[t.Start+1 : t.End]); err == nil && n >= next {
				next = n + 1
			}
		}
	}
	var b strings.Builder
	end := 0
	listed := false // the constant before is followed by nothing but a comma
	comma := false  // a comma is held back
	for i := 0; i < len(scan.Tokens); i++ {
		t := scan.Tokens[i]
		if t.Token == pg.Token_SQL_COMMENT || t.Token == pg.Token_C_COMMENT {
			continue
		}
		spaced := int(t.Start) > end && b.Len() > 0
		end = int(t.End)
		constant := false
		word := text[t.Start:t.End]
		switch t.Token {
		case pg.Token_SCONST, pg.Token_USCONST, pg.Token_BCONST, pg.Token_XCONST, pg.Token_ICONST, pg.Token_FCONST:
			constant = true
			word = "$" + strconv.Itoa(next)
		case pg.Token_IDENT, pg.Token_UIDENT:
			word = plainName(word, known)
		case pg.Token_Op:
		default:
			if t.KeywordKind != pg.KeywordKind_NO_KEYWORD {
				word = lower(word)
			}
		}
		if constant && comma {
			comma = false // $1, $2: the second is swallowed
			if listed {
				if !strings.HasSuffix(b.String(), "…") {
					b.WriteString(", …")
				}
				continue
			}
		}
		if comma {
			b.WriteString(",")
			comma, listed = false, false
		}
		if listed && t.Token == pg.Token_ASCII_44 {
			comma = true
			continue
		}
		if spaced {
			b.WriteByte(' ')
		}
		b.WriteString(word)
		listed = constant
		if constant {
			next++
		}
	}
	if comma {
		b.WriteByte(',')
	}
	return b.String(), nil
}

// plainName is the name if it is a plain one, in quotes if it is known, else a
// stand-in.
func plainName(s string, known map[string]bool) string {
	name := lower(s)
	if strings.HasPrefix(s, `"`) {
		name = strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			if known[name] {
				return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
			}
			return `"?"`
		}
	}
	switch {
	case name == "":
		return `"?"`
	case name != s && strings.HasPrefix(s, `"`) && keyword(name):
		return s
	}
	return name
}

// keyword says whether a name means something else without its quotes.
func keyword(name string) bool {
	scan, err := pg.Scan(name)
	return err != nil || len(scan.Tokens) != 1 || scan.Tokens[0].KeywordKind > pg.KeywordKind_UNRESERVED_KEYWORD
}
