package stmt

import (
	"fmt"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// find notes where in the text of a COPY its relation with columns, or its
// query, stands. If it is not found, the range stays empty and nothing is
// rewritten.
func (c *CopyTo) find(text string) {
	scan, err := pg.Scan(text)
	if err != nil {
		return
	}
	var tokens []*pg.ScanToken
	for _, t := range scan.Tokens {
		if t.Token != pg.Token_SQL_COMMENT && t.Token != pg.Token_C_COMMENT {
			tokens = append(tokens, t)
		}
	}
	if len(tokens) < 2 || tokens[0].Token != pg.Token_COPY {
		return
	}
	depth := 0
	for i, t := range tokens[1:] {
		switch t.Token {
		case pg.Token_ASCII_40:
			depth++
		case pg.Token_ASCII_41:
			depth--
			if depth == 0 && c.Query != nil {
				c.targetAt, c.targetEnd = int(tokens[1].End), int(t.Start)
				return
			}
		case pg.Token_TO, pg.Token_FROM:
			if depth == 0 && c.Query == nil {
				c.targetAt, c.targetEnd = int(tokens[1].Start), int(tokens[i].End)
				return
			}
		}
	}
}

// CopyWithKeys turns COPY relation TO STDOUT into a COPY of the query that
// reads the same rows, with the keys as its last columns. schema and table
// name the relation as the catalog knows it, and columns are those that COPY
// would write, in their order: all that are not generated if the statement
// lists none. All else, the options included, stays as written; options that
// the rewriting could change the meaning of are refused.
func (s *Statement) CopyWithKeys(schema, table string, columns, keys []string) (Rewrite, error) {
	c := s.Copy
	if c == nil || c.From || c.Query != nil || c.Program || c.File || c.targetAt >= c.targetEnd || len(columns) == 0 || len(keys) == 0 {
		return Rewrite{}, ErrRewrite
	}
	if strings.Contains(lower(s.Text), Hidden) {
		return Rewrite{}, fmt.Errorf("%w: it uses a name that begins with %s", ErrRewrite, Hidden)
	}
	var b strings.Builder
	b.WriteString("(SELECT ")
	for _, col := range columns {
		b.WriteString(Quote(col) + ", ")
	}
	for i, k := range keys {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s AS %s%d", Quote(k), Hidden, i+1)
	}
	fmt.Fprintf(&b, " FROM ONLY %s.%s)", Quote(schema), Quote(table))
	r := Rewrite{At: c.targetAt, Cut: c.targetEnd - c.targetAt, Insert: b.String()}
	r.cut = utf8.RuneCountInString(s.Text[c.targetAt:c.targetEnd])
	r.Text = s.Text[:c.targetAt] + r.Insert + s.Text[c.targetEnd:]

	want, err := parse(s.Text)
	if err != nil {
		return Rewrite{}, err
	}
	got, err := parse(r.Text)
	if err != nil {
		return Rewrite{}, err
	}
	query, err := parse(strings.TrimSuffix(strings.TrimPrefix(r.Insert, "("), ")"))
	if err != nil || len(want.Stmts) != 1 || len(got.Stmts) != 1 || len(query.Stmts) != 1 {
		return Rewrite{}, ErrRewrite
	}
	copied := want.Stmts[0].Stmt.GetCopyStmt()
	if copied == nil {
		return Rewrite{}, ErrRewrite
	}
	copied.Relation, copied.Attlist, copied.Query = nil, nil, query.Stmts[0].Stmt
	if !same(want, got) {
		return Rewrite{}, ErrRewrite
	}
	return r, nil
}
