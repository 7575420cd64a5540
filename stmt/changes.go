package stmt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// # Statements that write in their WITH
//
// Each INSERT, UPDATE, DELETE or MERGE in a WITH gets its key in RETURNING and a name
// of the gate's own; under the client's name stands what it returned before:
//
//	WITH a AS (DELETE FROM t WHERE … RETURNING x) SELECT x FROM a
//
//	WITH __sekisho_w1 AS (DELETE FROM t WHERE … RETURNING x, key AS __sekisho_k),
//	  a AS (SELECT x FROM __sekisho_w1)
//	SELECT q.*, CASE WHEN s.h THEN ARRAY(SELECT __sekisho_k FROM __sekisho_w1) END, …
//	FROM (VALUES (true), (false)) s(h) LEFT JOIN LATERAL (SELECT … FROM (SELECT x FROM a) i …) q
//
// So the head holds whose records were written, beside those who were read. For
// whoever reads a it is a relation like any other, whose rows are those that
// were written, and they are all named. Such a statement is printed from its
// tree, and proven by reading it again.

// A Change is one INSERT, UPDATE, DELETE or MERGE in the WITH of a statement.
type Change struct {
	Name string     // of the WITH query
	Of   *Statement // what it does, as a statement of its own
}

// changes are those in the WITH of a statement, nil if there are none.
func changes(node *pg.Node) (list []Change) {
	for _, n := range withOf(node).GetCtes() {
		c := n.GetCommonTableExpr()
		if writes(c.GetCtequery()) {
			list = append(list, Change{c.Ctename, analyse(c.Ctequery)})
		}
	}
	return list
}

func writes(n *pg.Node) bool {
	switch n.GetNode().(type) {
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		return true
	}
	return false
}

func withOf(n *pg.Node) *pg.WithClause {
	switch n := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return n.SelectStmt.WithClause
	case *pg.Node_InsertStmt:
		return n.InsertStmt.WithClause
	case *pg.Node_UpdateStmt:
		return n.UpdateStmt.WithClause
	case *pg.Node_DeleteStmt:
		return n.DeleteStmt.WithClause
	case *pg.Node_MergeStmt:
		return n.MergeStmt.WithClause
	}
	return nil
}

// returning is the RETURNING of a write, nil for what is none.
func returning(n *pg.Node) *[]*pg.Node {
	switch n := n.GetNode().(type) {
	case *pg.Node_InsertStmt:
		return &n.InsertStmt.ReturningList
	case *pg.Node_UpdateStmt:
		return &n.UpdateStmt.ReturningList
	case *pg.Node_DeleteStmt:
		return &n.DeleteStmt.ReturningList
	case *pg.Node_MergeStmt:
		return &n.MergeStmt.ReturningList
	}
	return nil
}

// writtenTo is the target of a write.
func writtenTo(n *pg.Node) *pg.RangeVar {
	switch n := n.GetNode().(type) {
	case *pg.Node_InsertStmt:
		return n.InsertStmt.Relation
	case *pg.Node_UpdateStmt:
		return n.UpdateStmt.Relation
	case *pg.Node_DeleteStmt:
		return n.DeleteStmt.Relation
	case *pg.Node_MergeStmt:
		return n.MergeStmt.Relation
	}
	return nil
}

// readable is a WITH without its writes, nil if nothing is left.
func readable(w *pg.WithClause) *pg.WithClause {
	if w == nil || !slices.ContainsFunc(w.Ctes, func(n *pg.Node) bool { return writes(n.GetCommonTableExpr().GetCtequery()) }) {
		return w
	}
	if w.Recursive {
		giveUp("a recursion beside a write")
	}
	out := proto.Clone(w).(*pg.WithClause)
	out.Ctes = slices.DeleteFunc(out.Ctes, func(n *pg.Node) bool { return writes(n.GetCommonTableExpr().GetCtequery()) })
	if len(out.Ctes) == 0 {
		return nil
	}
	return out
}

// A reading is a query of which it is asked whom it reads.
type reading struct {
	sel    *pg.SelectStmt
	target *pg.RangeVar // of an UPDATE or DELETE that it stands for
	env    *env
}

// readings are what a statement reads: its own query, and what the writes in
// its WITH read.
func (p *pass) readings(s *Statement) []reading {
	sel, target := reads(s)
	list := []reading{{sel, target, nil}}
	if len(s.Changes) == 0 {
		return list
	}
	top := enter(sel, nil, nil)
	p.writes = map[string]bool{}
	for _, n := range sel.WithClause.Ctes {
		c := n.GetCommonTableExpr()
		p.writes[c.Ctename] = writes(c.Ctequery)
		if !p.writes[c.Ctename] {
			continue
		}
		of, target := readOf(c.Ctequery)
		if m := c.Ctequery.GetMergeStmt(); m != nil {
			// What a MERGE returns is not among what it reads by itself; here it is
			// rows of the statement's, beside those that it says it has written.
			if s.ShowsRows(c.Ctename) {
				of.TargetList = append(of.TargetList, slices.DeleteFunc(slices.Clone(m.ReturningList), func(n *pg.Node) bool { return n.GetResTarget().GetVal().GetMergeSupportFunc() != nil })...)
			}
		} else if list := returning(c.Ctequery); !s.ShowsRows(c.Ctename) { // then what it returns is not shown as it is
			sets := of.TargetList[:len(of.TargetList)-min(len(*list), len(of.TargetList))]
			if target != nil {
				of.TargetList = append(slices.Clone(sets), slices.DeleteFunc(slices.Clone(*list), func(n *pg.Node) bool { return !hasSublink(n) })...)
			}
		}
		list = append(list, reading{of, target, top.ctes[c.Ctename].env})
	}
	return list
}

// given are the names of the columns that a write in a WITH returns.
func (p *pass) given(write *pg.Node, e *env) (names []string) {
	list := returning(write)
	from := []*pg.Node{rangeVar(writtenTo(write))}
	switch n := write.GetNode().(type) {
	case *pg.Node_MergeStmt: // a star gives the source's columns first
		from = append([]*pg.Node{n.MergeStmt.SourceRelation}, from...)
	case *pg.Node_UpdateStmt:
		from = append(from, n.UpdateStmt.FromClause...)
	case *pg.Node_DeleteStmt:
		from = append(from, n.DeleteStmt.UsingClause...)
	}
	if w := withOf(write); w != nil {
		e = enter(&pg.SelectStmt{WithClause: w}, e, nil)
	}
	for _, o := range p.expand(*list, p.from(from, e, nil)) {
		if o.name == "" || o.name == "?column?" || slices.Contains(names, o.name) {
			giveUp("a write in WITH that returns columns without names of their own")
		}
		names = append(names, o.name)
	}
	return names
}

// TellChanges is TellWrite for a statement that writes in its WITH. keys are
// the key columns of the targets: that of Changes[i] under i, and of the
// statement itself under -1; none for a target that is about nobody. In front
// of the names of those who are read stand those who are written by Changes, in
// their order, as types says of each; written are their indexes. An index that
// comes twice in it is, the second time, of what an INSERT returned of its rows.
func (s *Statement) TellChanges(keys map[int]string, types map[int]Names, resolve Resolver) (names []Names, written []int, r Rewrite, err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case gaveUp:
			err = fmt.Errorf("%w: %w", ErrNames, why.error)
		default:
			panic(why)
		}
	}()
	read, p, err := provenance(s, resolve)
	if err != nil {
		return nil, nil, r, err
	}
	text := s.Text
	if s.As != nil { // what goes upstream calls its functions
		text = s.As.Text
	}
	tree, err := parse(text)
	if err != nil || len(tree.Stmts) != 1 {
		return nil, nil, r, ErrRewrite
	}
	main := tree.Stmts[0].Stmt
	with := withOf(main)
	keyed := func(write *pg.Node, key, name string) {
		list, to := returning(write), writtenTo(write)
		*list = append(*list, pg.MakeResTargetNodeWithNameAndVal(name, columnRef([]string{refOf(to), key}), 0))
	}
	top := enter(&pg.SelectStmt{WithClause: with}, nil, nil)
	var ctes []*pg.Node
	at := -1
	for _, n := range with.Ctes {
		c := n.GetCommonTableExpr()
		if !writes(c.Ctequery) {
			ctes = append(ctes, n)
			continue
		}
		at++
		key, ok := keys[at]
		if !ok {
			ctes = append(ctes, n)
			continue
		}
		own := writeName + strconv.Itoa(at+1)
		var returned []string
		if len(*returning(c.Ctequery)) > 0 {
			p.space = &space{typ: types[at].Type}
			returned = p.given(c.Ctequery, top.ctes[c.Ctename].env)
		}
		keyed(c.Ctequery, key, keyName)
		ctes = append(ctes, &pg.Node{Node: &pg.Node_CommonTableExpr{CommonTableExpr: &pg.CommonTableExpr{Ctename: own, Ctematerialized: pg.CTEMaterialize_CTEMaterializeDefault, Ctequery: c.Ctequery}}})
		if len(returned) > 0 {
			sel := template("SELECT FROM " + Quote(own))
			for _, name := range returned {
				sel.TargetList = append(sel.TargetList, pg.MakeResTargetNodeWithNameAndVal("", columnRef([]string{name}), 0))
			}
			ctes = append(ctes, &pg.Node{Node: &pg.Node_CommonTableExpr{CommonTableExpr: &pg.CommonTableExpr{
				Ctename: c.Ctename, Aliascolnames: c.Aliascolnames, Ctematerialized: pg.CTEMaterialize_CTEMaterializeDefault, Ctequery: selectNode(sel)}}})
		}
		one := types[at]
		one.query = template("SELECT " + keyName + " FROM " + Quote(own) + " LIMIT " + strconv.Itoa(MostNames+1))
		one.Text = deparse(one.query)
		names, written = append(names, one), append(written, at)
		if (c.Ctequery.GetInsertStmt() != nil || c.Ctequery.GetMergeStmt() != nil) && len(returned) > 0 { // what other writes return is read as any other row
			one.Exact = s.ShowsRows(c.Ctename)
			names, written = append(names, one), append(written, at)
		}
	}
	names = append(names, read...)
	if len(names) == 0 {
		return nil, nil, r, fmt.Errorf("%w: there are no names", ErrRewrite)
	}
	mark := markOf(text)
	list := ""
	for i := range names {
		list += fmt.Sprintf(", CASE WHEN %ss.%s THEN ARRAY(SELECT %d) END AS %s", Hidden, headNames, i, names[i].Column(i+1))
	}
	of := "(SELECT 1)"
	if writes(main) {
		of = writeName
	}
	head := template("SELECT " + Hidden + "q.*" + list + " FROM (VALUES (true), (false)) " + Hidden + "s(" + headNames + ") LEFT JOIN LATERAL (SELECT " +
		Hidden + "i.*, true AS " + mark + " FROM " + of + " " + Hidden + "i WHERE NOT " + Hidden + "s." + headNames + " OFFSET 0) " + Hidden + "q ON true WHERE " +
		Hidden + "s." + headNames + " OR " + Hidden + "q." + mark)
	for i, n := range names {
		head.TargetList[i+1].GetResTarget().Val.GetCaseExpr().Args[0].GetCaseWhen().Result.GetSubLink().Subselect = selectNode(n.query)
	}
	switch n := main.GetNode().(type) {
	case *pg.Node_SelectStmt:
		n.SelectStmt.WithClause = nil
		head.FromClause[0].GetJoinExpr().Rarg.GetRangeSubselect().Subquery.GetSelectStmt().FromClause[0].GetRangeSubselect().Subquery = main
	case *pg.Node_InsertStmt:
		n.InsertStmt.WithClause = nil
	case *pg.Node_UpdateStmt:
		n.UpdateStmt.WithClause = nil
	case *pg.Node_DeleteStmt:
		n.DeleteStmt.WithClause = nil
	}
	if writes(main) {
		list := returning(main)
		if key, ok := keys[-1]; ok {
			keyed(main, key, Hidden+"1")
		} else if len(*list) == 0 { // else nothing can be read of it, and nobody counts its rows
			*list = template("SELECT true AS " + Hidden + "1").TargetList
		}
		ctes = append(ctes, &pg.Node{Node: &pg.Node_CommonTableExpr{CommonTableExpr: &pg.CommonTableExpr{Ctename: writeName, Ctematerialized: pg.CTEMaterialize_CTEMaterializeDefault, Ctequery: main}}})
	}
	head.WithClause = &pg.WithClause{Ctes: ctes}
	return names, written, Rewrite{Text: deparse(head), Mark: mark, Moved: true}, nil
}

// ShowsRows says whether the rows of a statement's own query are rows of what
// the WITH query of this name returned.
func (s *Statement) ShowsRows(name string) bool {
	tree, err := parse(s.Text)
	if err != nil || len(tree.Stmts) != 1 {
		return true
	}
	sel := tree.Stmts[0].Stmt.GetSelectStmt()
	if sel == nil {
		if i := tree.Stmts[0].Stmt.GetInsertStmt(); i != nil {
			sel = i.SelectStmt.GetSelectStmt()
		}
	}
	if sel == nil || !rowByRow(sel) {
		return false
	}
	return slices.ContainsFunc(sel.FromClause, func(n *pg.Node) bool {
		r := n.GetRangeVar()
		return r != nil && r.Schemaname == "" && strings.EqualFold(r.Relname, name)
	})
}
