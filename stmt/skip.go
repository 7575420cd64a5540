package stmt

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Rows that OFFSET skips decide which rows come back, and how many: a question
// about them is answered, and none of them is there to be named. So OFFSET is
// taken from the server. It is added to LIMIT instead, and whoever reads the
// answer names the first rows and leaves them out:
//
//	LIMIT 20 OFFSET $1
//	LIMIT (coalesce(($1)::bigint, 0) OPERATOR(pg_catalog.+) 20) OFFSET least(($1)::bigint, 0)
//
// What stands there for OFFSET is never more than 0. A negative one stays, and
// the server refuses it as ever; only together with a negative LIMIT it may not
// find it. What is skipped is so never more than what was seen, whatever the
// reader takes the parameter for: a mistake there shows or hides rows that are
// named already.

// Skip is how many of the first rows of a plain SELECT its reader must leave
// out, because of OFFSET.
type Skip struct {
	Param int   // as the value of this parameter says, from 1
	Rows  int64 // so many, if Param is 0
}

// skip gives what OFFSET says, nil if nothing. False: it is more than a number
// or parameter.
func skip(n *pg.SelectStmt) (*Skip, bool) {
	if p := n.LimitOffset.GetParamRef(); p != nil {
		return &Skip{Param: int(p.Number)}, p.Number > 0
	}
	c := n.LimitOffset.GetAConst()
	switch {
	case n.LimitOffset == nil || c != nil && c.Isnull:
		return nil, true
	case c == nil || c.GetIval() == nil:
		return nil, false
	case c.GetIval().Ival <= 0:
		return nil, true // nothing, or the server's error
	}
	return &Skip{Rows: int64(c.GetIval().Ival)}, true
}

// An edit puts text in the place of the bytes from at to end.
type edit struct {
	at, end int
	text    string
}

// unskip gives the edits that take OFFSET out of text, and changes the tree of
// the text to what it must be with them.
func unskip(text string, sel *pg.SelectStmt) ([]edit, error) {
	scan, err := pg.Scan(text)
	if err != nil {
		return nil, ErrRewrite
	}
	// The one token that stands at a place.
	token := func(at int) (edit, error) {
		for _, t := range scan.Tokens {
			if int(t.Start) == at && (t.Token == pg.Token_ICONST || t.Token == pg.Token_PARAM) {
				return edit{at: at, end: int(t.End)}, nil
			}
		}
		return edit{}, ErrRewrite
	}
	offset, err := token(first(sel.LimitOffset.ProtoReflect()))
	if err != nil {
		return nil, err
	}
	y := text[offset.at:offset.end]
	more := fmt.Sprintf("coalesce((%s)::bigint, 0) OPERATOR(pg_catalog.+) ", y) // nobody's own +
	offset.text = fmt.Sprintf("least((%s)::bigint, 0)", y)
	pattern, err := pg.Parse("select limit " + more + "0 offset " + offset.text)
	if err != nil || len(pattern.Stmts) != 1 {
		return nil, ErrRewrite
	}
	made := pattern.Stmts[0].Stmt.GetSelectStmt()
	edits := []edit{offset}
	if limit := sel.LimitCount; limit != nil && !limit.GetAConst().GetIsnull() { // not LIMIT ALL
		at := first(limit.ProtoReflect())
		if at < 0 { // FETCH FIRST ROW ONLY
			return nil, ErrRewrite
		}
		one, err := token(at)
		if err == nil && (limit.GetAConst() != nil || limit.GetParamRef() != nil) {
			one.text = "(" + more + text[one.at:one.end] + ")" // FETCH FIRST … takes no sum without
		} else {
			one = edit{at, at, more}
		}
		edits = append(edits, one)
		sum := made.LimitCount.GetAExpr()
		sum.Rexpr = limit
		sel.LimitCount = made.LimitCount
	}
	sel.LimitOffset = made.LimitOffset
	slices.SortFunc(edits, func(a, b edit) int { return a.at - b.at })
	return edits, nil
}

// first is the place of the first token below m that has one, or -1.
func first(m protoreflect.Message) int {
	at := -1
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		if _, node := m.Interface().(*pg.Node); !node {
			if f := m.Descriptor().Fields().ByName("location"); f != nil {
				if l := int(m.Get(f).Int()); l >= 0 && (at < 0 || l < at) {
					at = l
				}
			}
		}
		children(m, visit)
	}
	visit(m)
	return at
}
