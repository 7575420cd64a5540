package stmt

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Normalise is the statement without anything that a value could stand in:
// every constant becomes a parameter, comments go, and a name that is not a
// plain one ([a-z_][a-z0-9_]*, in quotes or not) becomes "?". Lists of
// constants become one and an ellipsis. White space is one space.
//
// It reads tokens only. Use it for texts that Analyse has accepted: in one
// that is not SQL, anything may look like a name.
func Normalise(text string) (string, error) {
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
			word = plainName(word)
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

// plainName is the name if it is a plain one, else a stand-in.
func plainName(s string) string {
	name := s
	if strings.HasPrefix(s, `"`) {
		name = strings.Trim(s, `"`)
		if lower(name) != name {
			return `"?"`
		}
	}
	name = lower(name)
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return `"?"`
		}
	}
	if name == "" {
		return `"?"`
	}
	return name
}
