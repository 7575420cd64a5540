package stmt

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// finish is the query for all parts, each person once where it may be often.
func (p *pass) finish(parts []part, exact bool) Names {
	text := "SELECT DISTINCT " + keyName
	if len(parts) == 1 && len(parts[0].from) == 1 && parts[0].from[0].GetRangeVar() != nil {
		text = "SELECT " + keyName
	}
	if p.space.null {
		text += "[1]"
	}
	q := template(text + " FROM (SELECT 1) " + rowsName + " WHERE " + keyName + " IS NOT NULL LIMIT " + strconv.Itoa(MostNames+1))
	q.FromClause[0].GetRangeSubselect().Subquery = selectNode(p.union(parts, nil))
	return Names{p.space.name, p.space.typ, exact, false, deparse(q), q}
}

// deparse gives the text of a tree, proven by reading it again.
func deparse(q *pg.SelectStmt) string {
	tree := &pg.ParseResult{Version: grammarVersion, Stmts: []*pg.RawStmt{{Stmt: selectNode(q)}}}
	text, err := pg.Deparse(tree)
	if err != nil {
		giveUp("a tree that cannot be written")
	}
	again, err := parse(text)
	if err != nil {
		giveUp("a tree that is not read again as it was written")
	}
	want := proto.Clone(tree).(*pg.ParseResult)
	if !same(want, again) {
		giveUp("a tree that is not read again as it was written")
	}
	return text
}

// grammarVersion is PostgreSQL's, of the grammar in the library: without it the
// library does not write a tree.
const grammarVersion = 170007

func template(sql string) *pg.SelectStmt {
	tree, err := pg.Parse(sql)
	if err != nil {
		giveUp("a name that cannot be written")
	}
	return tree.Stmts[0].Stmt.GetSelectStmt()
}

func fresh() *pg.SelectStmt {
	return &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
}

func selectNode(s *pg.SelectStmt) *pg.Node {
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}
}

func derivedTable(s *pg.SelectStmt, alias string, lateral bool) *pg.Node {
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: lateral, Subquery: selectNode(s), Alias: &pg.Alias{Aliasname: alias}}}}
}

func lateral(s *pg.SelectStmt, alias, col string) *pg.Node {
	n := derivedTable(s, alias, true)
	n.GetRangeSubselect().Alias.Colnames = []*pg.Node{pg.MakeStrNode(col)}
	return n
}

// conjuncts takes a condition apart at its ANDs.
func conjuncts(n *pg.Node) (list []*pg.Node) {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		for _, a := range b.Args {
			list = append(list, conjuncts(a)...)
		}
		return list
	}
	if n == nil {
		return nil
	}
	return []*pg.Node{n}
}

func and(list []*pg.Node) *pg.Node {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_AND_EXPR, Args: list}}}
}
