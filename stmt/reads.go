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
		subscripts(u.TargetList)
		for _, t := range u.TargetList {
			val := t.GetResTarget().Val
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

// subscripts refuses sub-selects that say which element of a column is written:
// they are no values of what the write reads, and tell theirs by where it is put.
func subscripts(columns []*pg.Node) {
	for _, c := range columns {
		if slices.ContainsFunc(c.GetResTarget().GetIndirection(), hasSublink) {
			giveUp("a sub-select in a subscript")
		}
	}
}

func readOfInsert(i *pg.InsertStmt) *pg.SelectStmt {
	subscripts(i.Cols)
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
// names would be of before. That it has another key by then is seen in its
// RETURNING, so those who have it are named: a sub-select may speak of the key if
// all that it reads is of the same person (see ofOne).
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
		in = l.Subselect.GetSelectStmt()
		keyed := &scope{items: []*item{{name: name, table: t, cols: []column{{t.Key, false}}}}}
		if p.escapes(in, e, nil, keyed) && !p.ofOne(in, e, &held{key: t, refs: [][2]string{{name, t.Key}}, items: []*item{{name: name, table: t, cols: append(i.cols, column{t.Key, false}), doubt: len(t.Columns) == 0}}}) {
			giveUp("a sub-select that reads records of others than those of the rows to be changed, and depends on their key; join its table instead (FROM, USING)")
		}
	}
}

// held are the columns of a level that hold the key of the row that is changed,
// if they hold anything.
type held struct {
	key   Table // the target
	refs  [][2]string
	items []*item // all that stands in its FROM
	outer *held
}

// has says whether it is sure that a column holds that key.
func (s *held) has(n *pg.Node) bool {
	// A cast to another kind of type may make another key of it: a rounded number.
	for n.GetTypeCast() != nil && len(n.GetTypeCast().TypeName.GetTypmods()) == 0 && kindOf("pg_catalog."+builtin(n.GetTypeCast().TypeName.GetNames())) == kindOf(s.key.Type) {
		n = n.GetTypeCast().Arg
	}
	f := fieldsOf(n.GetColumnRef().GetFields())
	if len(f) != 1 && len(f) != 2 {
		return false
	}
	for ; s != nil; s = s.outer {
		found := s.find(f)
		switch {
		case len(found) > 1:
			return false
		case len(found) == 1:
			return slices.Contains(s.refs, [2]string{found[0].name, f[len(f)-1]})
		}
	}
	return false
}

// kindOf are the types of keys in which an equal value is the same key.
func kindOf(typ string) string { return strings.TrimRight(typ, "248") }

// find are the items of this level to which a column may belong.
func (s *held) find(f []string) (found []*item) {
	for _, i := range s.items {
		if len(f) == 2 && i.name == f[0] || len(f) == 1 && (i.doubt || i.name == f[0] || i.column(f[0]) != nil) {
			found = append(found, i)
		}
	}
	return found
}

// own is what a column of this very level means.
func (s *held) own(n *pg.Node) *item {
	f := fieldsOf(n.GetColumnRef().GetFields())
	if len(f) != 1 && len(f) != 2 {
		return nil
	}
	found := s.find(f)
	if len(found) != 1 || found[0].table.Key == "" || found[0].table.Space != s.key.Space || found[0].table.Key != f[len(f)-1] {
		return nil
	}
	if kindOf(found[0].table.Type) != kindOf(s.key.Type) {
		return nil
	}
	return found[0]
}

// ofOne says whether all rows of protected tables that a query reads are sure to
// be of the person whose the row is that is changed, whatever key it has: every
// such table at every level is bound to that key by an equality that holds of each
// of its rows.
func (p *pass) ofOne(sel *pg.SelectStmt, e *env, outer *held) bool {
	if sel.WithClause != nil {
		return false
	}
	if sel.Op != pg.SetOperation_SETOP_NONE {
		return p.ofOne(sel.Larg, e, outer) && p.ofOne(sel.Rarg, e, outer)
	}
	here := &held{key: outer.key, outer: outer}
	conditions := conjuncts(sel.WhereClause)
	var below []*pg.RangeSubselect
	var from func(n *pg.Node) bool
	from = func(n *pg.Node) bool {
		switch {
		case n.GetJoinExpr() != nil:
			j := n.GetJoinExpr()
			if j.Alias != nil || j.JoinUsingAlias != nil || j.IsNatural || len(j.UsingClause) > 0 {
				return false
			}
			if j.Jointype == pg.JoinType_JOIN_INNER {
				conditions = append(conditions, conjuncts(j.Quals)...)
			}
			return from(j.Larg) && from(j.Rarg)
		case n.GetRangeVar() != nil:
			r := n.GetRangeVar()
			i := &item{name: refOf(r)}
			if r.Schemaname == "" {
				if c := e.find(r.Relname); c != nil { // what a write in WITH returned is named, whole
					i.doubt = true
					here.items = append(here.items, i)
					return c.write != nil
				}
			}
			if i.table = p.table(r); i.table.View != "" {
				i.doubt = true
				here.items = append(here.items, i)
				return p.unprotected(viewed(i.table), nil, nil)
			}
			if len(r.Alias.GetColnames()) > 0 && i.table.Key != "" {
				return false
			}
			for _, c := range rename(i.table.Columns, r.Alias) {
				i.cols = append(i.cols, column{c, true})
			}
			i.doubt = len(i.cols) == 0
			here.items = append(here.items, i)
			return true
		case n.GetRangeSubselect() != nil:
			r := n.GetRangeSubselect()
			if r.Alias == nil || r.Subquery.GetSelectStmt() == nil {
				return false
			}
			here.items = append(here.items, &item{name: r.Alias.Aliasname, doubt: true})
			below = append(below, r)
			return true
		case n.GetRangeFunction() != nil:
			name := n.GetRangeFunction().Alias.GetAliasname()
			here.items = append(here.items, &item{name: name, doubt: true})
			return name != ""
		}
		return false
	}
	for _, n := range sel.FromClause {
		if !from(n) {
			return false
		}
	}
	for n, i := range here.items {
		if slices.ContainsFunc(here.items[:n], func(o *item) bool { return o.name == i.name }) {
			return false
		}
	}
	if len(below) > 0 && sel.FromClause[0].GetRangeSubselect() == below[0] {
		// The arguments of a function that is written out: nothing beside them is in
		// front of them, so they see what is further out.
		r := below[0]
		def := r.Subquery.GetSelectStmt()
		args := len(def.FromClause) == 0 && len(def.ValuesLists) == 0 && def.Op == pg.SetOperation_SETOP_NONE && len(def.TargetList) == len(r.Alias.Colnames)
		for i, name := range fieldsOf(r.Alias.Colnames) {
			if args && outer.has(def.TargetList[i].GetResTarget().GetVal()) {
				here.refs = append(here.refs, [2]string{r.Alias.Aliasname, name})
			}
		}
	}
	bound := map[*item]bool{}
	for again := true; again; {
		again = false
		for _, c := range conditions {
			a := c.GetAExpr()
			if a == nil || a.Kind != pg.A_Expr_Kind_AEXPR_OP || len(a.Name) == 0 || builtin(a.Name) != "=" {
				continue
			}
			for _, pair := range [][2]*pg.Node{{a.Lexpr, a.Rexpr}, {a.Rexpr, a.Lexpr}} {
				if i := here.own(pair[0]); i != nil && !bound[i] && here.has(pair[1]) {
					bound[i], again = true, true
					here.refs = append(here.refs, [2]string{i.name, i.table.Key})
				}
			}
		}
	}
	for _, i := range here.items {
		if i.table.View == "" && i.table.Key != "" && !bound[i] {
			return false
		}
	}
	for _, r := range below {
		if !p.ofOne(r.Subquery.GetSelectStmt(), e, here) {
			return false
		}
	}
	rest := proto.Clone(sel).(*pg.SelectStmt)
	rest.FromClause = nil
	nodes := []*pg.Node{selectNode(rest)}
	for _, n := range sel.FromClause {
		nodes = append(nodes, joinConditions(n)...)
	}
	inside := true
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		if l, ok := m.Interface().(*pg.SubLink); ok {
			in := l.Subselect.GetSelectStmt()
			inside = inside && in != nil && p.ofOne(in, e, here)
			if l.Testexpr != nil {
				walk(l.Testexpr.ProtoReflect())
			}
			return
		}
		children(m, walk)
	}
	for _, n := range nodes {
		if n != nil {
			walk(n.ProtoReflect())
		}
	}
	return inside
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
