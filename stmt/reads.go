package stmt

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// # What a write reads
//
// A write's own rows are named by its RETURNING. What else it reads, in a
// sub-select, in WITH, or for its INSERT … SELECT, is named by a head in front
// of them (see Head). The write itself then stands in a WITH of that statement,
// byte for byte but for the keys in its RETURNING:
//
//	WITH __sekisho_w AS (the write RETURNING …, keys)
//	SELECT q.*, CASE WHEN s.h THEN ARRAY(names) END AS __sekisho_1, …
//	FROM (VALUES (true), (false)) s(h)
//	LEFT JOIN LATERAL (SELECT i.*, true AS __sekisho_0 FROM __sekisho_w i
//	  WHERE NOT s.h OFFSET 0) q ON true
//	WHERE s.h OR q.__sekisho_0
//
// All of a WITH is of one snapshot, so the names are of what the write reads.
// The command's tag is that of a SELECT: the gate counts the rows and writes
// the tag itself.

// writeName is the write in the WITH of its head.
const writeName = Hidden + "w"

// readOf is a SELECT that reads what a write reads: whose absence changes
// nothing of its answer has no part in what is written, or in what the write
// says of it. target is the relation of which rows are changed; nil for
// INSERT.
func readOf(n *pg.Node) (sel *pg.SelectStmt, target *pg.RangeVar) {
	node := proto.Clone(n).(*pg.Node)
	switch n := node.GetNode().(type) {
	case *pg.Node_InsertStmt:
		return readOfInsert(n.InsertStmt), nil
	case *pg.Node_UpdateStmt:
		u := n.UpdateStmt
		sel = fresh()
		sel.WithClause, sel.WhereClause = u.WithClause, u.WhereClause
		sel.FromClause = append([]*pg.Node{rangeVar(u.Relation)}, u.FromClause...)
		for _, t := range u.TargetList {
			r := t.GetResTarget()
			if slices.ContainsFunc(r.Indirection, hasSublink) {
				giveUp("a sub-select in a subscript")
			}
			val := r.Val
			if m := val.GetMultiAssignRef(); m != nil {
				if val = m.Source; m.Colno > 1 {
					continue
				}
			}
			// What a row keeps or makes of its own values is nobody else's.
			if hasSublink(val) || len(u.FromClause) > 0 && val.GetSetToDefault() == nil {
				sel.TargetList = append(sel.TargetList, pg.MakeResTargetNodeWithNameAndVal("", val, 0))
			}
		}
		sel.TargetList = append(sel.TargetList, u.ReturningList...)
		return sel, u.Relation
	case *pg.Node_MergeStmt:
		return readOfMerge(n.MergeStmt), n.MergeStmt.Relation
	case *pg.Node_DeleteStmt:
		d := n.DeleteStmt
		sel = fresh()
		sel.WithClause, sel.WhereClause = d.WithClause, d.WhereClause
		sel.FromClause = append([]*pg.Node{rangeVar(d.Relation)}, d.UsingClause...)
		sel.TargetList = d.ReturningList
		return sel, d.Relation
	}
	return nil, nil
}

func readOfInsert(i *pg.InsertStmt) *pg.SelectStmt {
	sel := i.SelectStmt.GetSelectStmt()
	if sel == nil { // DEFAULT VALUES
		sel = fresh()
	}
	switch {
	case i.OnConflictClause != nil && hasSublink(&pg.Node{Node: &pg.Node_OnConflictClause{OnConflictClause: i.OnConflictClause}}):
		giveUp("a sub-select in ON CONFLICT")
	case slices.ContainsFunc(i.ReturningList, hasSublink):
		giveUp("a sub-select in the RETURNING of an INSERT")
	case i.WithClause != nil && sel.WithClause != nil:
		giveUp("two WITH clauses, one within the other")
	}
	if len(sel.ValuesLists) > 0 { // one SELECT for each row
		if sel.LimitCount != nil || sel.LimitOffset != nil || len(sel.SortClause) > 0 {
			giveUp("a VALUES that is cut or sorted")
		}
		with := sel.WithClause
		var sum *pg.SelectStmt
		for _, row := range sel.ValuesLists {
			one := fresh()
			for _, v := range row.GetList().GetItems() {
				if v.GetSetToDefault() == nil {
					one.TargetList = append(one.TargetList, pg.MakeResTargetNodeWithNameAndVal("", v, 0))
				}
			}
			if sum == nil {
				sum = one
				continue
			}
			sum.TargetList = append(sum.TargetList, one.TargetList...) // nothing is in FROM: side by side they read the same
		}
		sel = sum
		sel.WithClause = with
	}
	if i.WithClause != nil {
		sel.WithClause = i.WithClause
	}
	return sel
}

func rangeVar(r *pg.RangeVar) *pg.Node { return &pg.Node{Node: &pg.Node_RangeVar{RangeVar: r}} }

// fixed refuses sub-selects that mean columns of the rows that are changed,
// other than the key. At READ COMMITTED a row that somebody else has changed
// meanwhile is read again as it is then, and such a sub-select with it; the
// names would be of before. A key does not change.
func (p *pass) fixed(sel *pg.SelectStmt, target *pg.RangeVar, e *env) {
	t := p.table(target)
	name := refOf(target)
	i := &item{name: name, table: t}
	for _, c := range t.Columns {
		if c != t.Key {
			i.cols = append(i.cols, column{c, false})
		}
	}
	sc := &scope{items: []*item{i}}
	e = enter(sel, e, nil)
	nodes := append(slices.Clone(sel.TargetList), sel.WhereClause)
	for _, n := range sel.FromClause {
		nodes = append(nodes, joinConditions(n)...)
	}
	for _, l := range sublinks(nodes) {
		in := l.Subselect.GetSelectStmt()
		if in == nil {
			giveUp("a sub-select of an unknown kind")
		}
		in = proto.Clone(in).(*pg.SelectStmt)
		all(in.ProtoReflect(), func(m protoreflect.Message) {
			if c, ok := m.Interface().(*pg.ColumnRef); ok {
				if f := fieldsOf(c.Fields); len(f) > 1 && f[len(f)-1] == t.Key && f[len(f)-2] == name {
					c.Fields = []*pg.Node{pg.MakeStrNode(keyName)}
				}
			}
		})
		if p.escapes(in, e, nil, sc) {
			giveUp("a sub-select that depends on other columns of the rows to be changed than their key; join its table instead (FROM, USING)")
		}
	}
}

// joinConditions are the conditions of all joins in one item of FROM.
func joinConditions(n *pg.Node) (list []*pg.Node) {
	if j := n.GetJoinExpr(); j != nil {
		list = append(list, j.Quals)
		list = append(list, joinConditions(j.Larg)...)
		list = append(list, joinConditions(j.Rarg)...)
	}
	return list
}

// TellWrite is WithReturning for a write whose reads have names: it puts the
// head in front of the rows of its RETURNING. The columns are then those of the
// statement's own RETURNING, the keys, Rewrite.Mark, and one for each of the
// names. Behind is where in Text, in characters from 1, the names begin: no
// error that points there is of the statement's own text.
func (s *Statement) TellWrite(keys []KeyRef, names []Names) (r Rewrite, behind int, err error) {
	if len(names) == 0 {
		return r, 0, fmt.Errorf("%w: there are no names", ErrRewrite)
	}
	own, err := s.WithReturning(keys)
	if err != nil {
		return r, 0, err
	}
	tree, err := parse(own.Text)
	if err != nil || len(tree.Stmts) != 1 {
		return r, 0, ErrRewrite
	}
	mark := markOf(s.Text)
	before := "WITH " + writeName + " AS ("
	after := func(text func(i int) string) string {
		var b strings.Builder
		b.WriteString("\n) SELECT " + Hidden + "q.*")
		for i := range names {
			fmt.Fprintf(&b, ", CASE WHEN %ss.%s THEN ARRAY(%s) END AS %s", Hidden, headNames, text(i), names[i].Column(i+1))
		}
		b.WriteString(" FROM (VALUES (true), (false)) " + Hidden + "s(" + headNames + ") LEFT JOIN LATERAL (SELECT " +
			Hidden + "i.*, true AS " + mark + " FROM " + writeName + " " + Hidden + "i WHERE NOT " + Hidden + "s." + headNames + " OFFSET 0) " + Hidden + "q ON true WHERE " +
			Hidden + "s." + headNames + " OR " + Hidden + "q." + mark)
		return b.String()
	}
	r = Rewrite{Text: before + own.Text + after(func(i int) string { return names[i].Text }), Insert: before, Mark: mark}

	// The tree that is meant, in which nothing depends on where a text ends.
	meant, err := pg.Parse(before + "SELECT" + after(func(i int) string { return fmt.Sprintf("SELECT %d", i) }))
	if err != nil {
		return r, 0, ErrRewrite
	}
	head := meant.Stmts[0].Stmt.GetSelectStmt()
	head.WithClause.Ctes[0].GetCommonTableExpr().Ctequery = tree.Stmts[0].Stmt
	for i, n := range names {
		if n.query == nil {
			return r, 0, fmt.Errorf("%w: names that are not Provenance's", ErrRewrite)
		}
		head.TargetList[i+1].GetResTarget().Val.GetCaseExpr().Args[0].GetCaseWhen().Result.GetSubLink().Subselect = selectNode(n.query)
	}
	return r, utf8.RuneCountInString(before+own.Text) + 1, proven(proto.Clone(meant).(*pg.ParseResult), r.Text)
}
