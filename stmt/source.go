package stmt

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A source is a FROM in which every query is replaced by its carrier.
type source struct {
	list       []*pg.Node
	items      []*item
	merged     []column
	shown      []output // what SELECT * gives
	keys       []*pg.Node
	conditions []*pg.Node // of joins, with sub-selects
	joined     []*pg.Node // all conditions of joins
	plain      bool       // tables and inner joins only: a row is in J by its own merit
	missing    bool       // it has an outer join
}

// An output is a column of a SELECT.
type output struct {
	name string // "" if it is not known
	val  *pg.Node
}

// A tree is one item of FROM, which may be a join of many.
type tree struct {
	node   *pg.Node
	items  []*item
	merged []column
	shown  []output
}

func (p *pass) from(list []*pg.Node, e *env, outer *scope) *source {
	f := &source{plain: true}
	type condition struct {
		on    *pg.Node
		items []*item
	}
	var on []condition
	var build func(n *pg.Node, left *scope) tree
	build = func(n *pg.Node, left *scope) tree {
		j := n.GetJoinExpr()
		if j == nil {
			i, node := p.item(n, e, left, outer, f)
			p.grow(1)
			t := tree{node: node, items: []*item{i}}
			for _, c := range i.cols {
				t.shown = append(t.shown, output{c.name, columnRef([]string{i.name, c.name})})
			}
			return t
		}
		if j.Alias != nil || j.JoinUsingAlias != nil {
			giveUp("a join with a name of its own")
		}
		l := build(j.Larg, left)
		r := build(j.Rarg, &scope{items: slices.Concat(left.items, l.items), merged: slices.Concat(left.merged, l.merged), outer: outer})
		out := &pg.JoinExpr{Jointype: j.Jointype, Larg: l.node, Rarg: r.node}
		t := tree{node: &pg.Node{Node: &pg.Node_JoinExpr{JoinExpr: out}}, items: slices.Concat(l.items, r.items)}
		using := fieldsOf(j.UsingClause)
		if j.IsNatural { // a carrier has more columns
			for _, c := range l.shown {
				if slices.ContainsFunc(r.shown, func(o output) bool { return o.name == c.name }) {
					using = append(using, c.name)
				}
			}
			if slices.ContainsFunc(t.items, func(i *item) bool { return i.doubt }) {
				giveUp("NATURAL JOIN of columns that are not known")
			}
		}
		var merged []column
		for _, name := range using {
			out.UsingClause = append(out.UsingClause, pg.MakeStrNode(name))
			for _, side := range []tree{l, r} {
				if _, local := (&scope{items: side.items, merged: side.merged}).here([]string{name}); !local {
					giveUp("a join USING a column that others may change")
				}
			}
			merged = append(merged, column{name, j.Jointype != pg.JoinType_JOIN_FULL})
			t.shown = append(t.shown, output{name, columnRef([]string{name})})
		}
		for _, o := range slices.Concat(l.shown, r.shown) {
			if !slices.Contains(using, o.name) {
				t.shown = append(t.shown, o)
			}
		}
		here := &scope{items: t.items, merged: slices.Concat(l.merged, r.merged), outer: outer}
		var kept []*pg.Node
		all := conjuncts(j.Quals)
		f.joined = append(f.joined, all...)
		for _, c := range all {
			if hasSublink(c) {
				f.conditions = append(f.conditions, c)
				on = append(on, condition{c, t.items})
			}
			if here.certain(c) {
				kept = append(kept, c)
			} else {
				f.plain = false
			}
		}
		out.Quals = and(kept)
		if len(kept) < len(all) && j.Jointype == pg.JoinType_JOIN_FULL {
			giveUp("a FULL JOIN on a condition that others may change")
		}
		if out.Quals == nil && len(using) == 0 && j.Jointype != pg.JoinType_JOIN_INNER {
			out.Quals = template("SELECT WHERE true").WhereClause
		}
		lacking := func(side *tree) {
			f.plain, f.missing = false, true
			for _, i := range side.items {
				i.whole = false
				for k := range i.cols {
					i.cols[k].local = false
				}
			}
			for k := range side.merged {
				side.merged[k].local = false
			}
		}
		switch j.Jointype {
		case pg.JoinType_JOIN_INNER:
		case pg.JoinType_JOIN_LEFT:
			lacking(&r)
		case pg.JoinType_JOIN_RIGHT:
			lacking(&l)
		case pg.JoinType_JOIN_FULL:
			lacking(&l)
			lacking(&r)
		default:
			giveUp("a join of an unknown kind")
		}
		for _, m := range slices.Concat(l.merged, r.merged) {
			if !slices.Contains(using, m.name) {
				merged = append(merged, m)
			}
		}
		t.merged = merged
		return t
	}
	for _, n := range list {
		t := build(n, &scope{items: f.items, merged: f.merged, outer: outer})
		f.list = append(f.list, t.node)
		f.items = append(f.items, t.items...)
		f.merged = append(f.merged, t.merged...)
		f.shown = append(f.shown, t.shown...)
	}
	for _, c := range on { // it moves to where it sees all of FROM
		for _, i := range f.items {
			if !slices.Contains(c.items, i) && (&scope{items: []*item{i}}).could(&pg.SelectStmt{WhereClause: c.on}) {
				giveUp("a sub-select in a join's condition whose columns may be another's")
			}
		}
	}
	for n, i := range f.items {
		if i.name != "" && slices.ContainsFunc(f.items[:n], func(o *item) bool { return o.name == i.name }) {
			giveUp("two items of FROM with one name")
		}
		switch {
		case i.key != nil:
			f.keys = append(f.keys, i.key)
		case i.table.Key != "" && i.table.Space == p.space.name:
			f.keys = append(f.keys, p.key(i, f.missing))
		}
	}
	return f
}

// key is the key in a row of a table.
func (p *pass) key(i *item, missing bool) *pg.Node {
	at := slices.Index(i.table.Columns, i.table.Key)
	if at < 0 {
		giveUp("a key that is no column")
	}
	text := Quote(i.name) + "." + Quote(i.cols[at].name)
	if i.table.Type != p.space.typ {
		if i.table.Type == "pg_catalog.numeric" {
			text = "pg_catalog.trim_scale(" + text + ")" // one text for what is equal
		}
		text += "::" + p.space.typ
	}
	if p.space.null {
		text = "ARRAY[" + text + "]"
		if missing { // a row that is not there has no key either
			text = "CASE WHEN " + Quote(i.name) + ".* IS DISTINCT FROM NULL THEN " + text + " END"
		}
	}
	return template("SELECT " + text).TargetList[0].GetResTarget().Val
}

// item is one item of FROM that is no join.
func (p *pass) item(n *pg.Node, e *env, left, outer *scope, f *source) (*item, *pg.Node) {
	switch {
	case n.GetRangeVar() != nil:
		r := n.GetRangeVar()
		name := r.Relname
		if r.Alias != nil {
			name = r.Alias.Aliasname
		}
		if r.Schemaname == "" {
			if c := e.find(r.Relname); c != nil && c.write != nil {
				i := &item{name: name, whole: true}
				for _, col := range rename(rename(p.given(c.write, c.env), c.names), r.Alias) {
					i.cols = append(i.cols, column{col, true})
				}
				return i, n
			} else if c != nil {
				if c.recursive {
					return p.steps(r.Relname, c, name, r.Alias, f)
				}
				return p.derived(c.def, c.env, nil, name, rename(fieldsOf(c.names.GetColnames()), r.Alias), false, f)
			}
		}
		t := p.table(r)
		if t.View != "" {
			return p.derived(viewed(t), nil, nil, name, rename(t.Columns, r.Alias), false, f)
		}
		i := &item{name: name, whole: true, table: t, doubt: len(t.Columns) == 0}
		for _, c := range rename(t.Columns, r.Alias) {
			i.cols = append(i.cols, column{c, true})
		}
		if len(i.cols) != len(t.Columns) {
			giveUp("more names for columns than columns")
		}
		return i, n
	case n.GetRangeSubselect() != nil:
		r := n.GetRangeSubselect()
		def := r.Subquery.GetSelectStmt()
		if def == nil || r.Alias == nil {
			giveUp("a derived table without a name")
		}
		sc := outer
		if r.Lateral {
			sc = left
		}
		return p.derived(def, e, sc, r.Alias.Aliasname, fieldsOf(r.Alias.Colnames), r.Lateral, f)
	case n.GetRangeFunction() != nil:
		return series(n, left)
	}
	giveUp("something unknown in FROM")
	return nil, nil
}

func rename(cols []string, alias *pg.Alias) []string {
	cols = slices.Clone(cols)
	for i, n := range fieldsOf(alias.GetColnames()) {
		if i < len(cols) {
			cols[i] = n
		} else {
			cols = append(cols, n)
		}
	}
	return cols
}

// series is a function in FROM that gives one column.
func series(n *pg.Node, left *scope) (*item, *pg.Node) {
	r := n.GetRangeFunction()
	var call *pg.FuncCall
	if len(r.Functions) == 1 {
		call = r.Functions[0].GetList().GetItems()[0].GetFuncCall()
	}
	if call == nil || r.IsRowsfrom || r.Ordinality || len(r.Coldeflist) > 0 || !lists[builtin(call.Funcname)] {
		giveUp("a function in FROM")
	}
	for _, a := range call.Args {
		if !left.certain(a) {
			giveUp("a function in FROM of what others may change")
		}
	}
	i := &item{name: builtin(call.Funcname), whole: true, doubt: true}
	if r.Alias != nil {
		i.name = r.Alias.Aliasname
		if cols := fieldsOf(r.Alias.Colnames); len(cols) == 1 {
			i.cols, i.doubt = []column{{cols[0], true}}, false
		}
	}
	return i, n
}

var lists = words("generate_series generate_subscripts unnest string_to_table regexp_split_to_table jsonb_array_elements jsonb_array_elements_text json_array_elements json_array_elements_text jsonb_object_keys json_object_keys")

// derived is a query in FROM: itself if it is the same whoever is there, else
// its carrier.
func (p *pass) derived(def *pg.SelectStmt, e *env, outer *scope, name string, names []string, lateral bool, f *source) (*item, *pg.Node) {
	alias := &pg.Alias{Aliasname: name}
	for _, n := range names {
		alias.Colnames = append(alias.Colnames, pg.MakeStrNode(n))
	}
	sum, cols := p.carrier(def, e, outer, alias)
	i := &item{name: name, cols: cols}
	i.doubt = slices.ContainsFunc(cols, func(c column) bool { return c.name == "" })
	if p.unprotected(def, e, outer) {
		for k := range i.cols {
			i.cols[k].local = true
		}
		i.whole = true
		node := derivedTable(def, name, lateral)
		node.GetRangeSubselect().Alias = alias
		return i, node
	}
	f.plain = false
	i.key = columnRef([]string{name, keyName})
	return i, derivedTable(sum, name, lateral)
}

// unprotected says whether a query gives the same rows wherever it stands and
// whoever is there.
func (p *pass) unprotected(def *pg.SelectStmt, e *env, outer *scope) bool {
	ok := true
	all(def.ProtoReflect(), func(m protoreflect.Message) {
		switch n := m.Interface().(type) {
		case *pg.WithClause, *pg.RangeFunction:
			ok = false
		case *pg.RangeVar:
			if n.Schemaname == "" && e.find(n.Relname) != nil {
				ok = false
			}
		}
	})
	if !ok || !p.steady(selectNode(def), e, outer) {
		return false
	}
	all(def.ProtoReflect(), func(m protoreflect.Message) {
		if r, is := m.Interface().(*pg.RangeVar); is && p.table(r).Key != "" {
			ok = false
		}
	})
	return ok
}

// steps is a recursive query, with the key of each step beside its columns.
// Such a recursion only ever adds rows, so a row is there by the rows on its
// way, each of which has its own row with its own key.
func (p *pass) steps(self string, c *cte, name string, alias *pg.Alias, f *source) (*item, *pg.Node) {
	def := proto.Clone(c.def).(*pg.SelectStmt)
	if def.Op != pg.SetOperation_SETOP_UNION || def.LimitCount != nil || def.LimitOffset != nil || len(def.SortClause) > 0 || def.WithClause != nil {
		giveUp("a recursion of an unknown shape")
	}
	cols := fieldsOf(c.names.GetColnames())
	p.branch(def.Larg, self, nil, c.env)
	if len(cols) == 0 {
		for _, t := range def.Larg.TargetList[:len(def.Larg.TargetList)-1] {
			cols = append(cols, outputName(t.GetResTarget()))
		}
	}
	p.branch(def.Rarg, self, cols, c.env)
	s := template("WITH RECURSIVE " + Quote(self) + " AS (SELECT 1) SELECT FROM " + Quote(self))
	w := s.WithClause.Ctes[0].GetCommonTableExpr()
	w.Ctequery = selectNode(def)
	for _, n := range append(slices.Clone(cols), keyName) {
		if n == "" {
			giveUp("a recursion with a column without a name")
		}
		w.Aliascolnames = append(w.Aliascolnames, pg.MakeStrNode(n))
	}
	i := &item{name: name, key: columnRef([]string{name, keyName})}
	names := rename(cols, alias)
	if len(names) != len(cols) {
		giveUp("more names for columns than columns")
	}
	for k, n := range names {
		s.TargetList = append(s.TargetList, pg.MakeResTargetNodeWithNameAndVal(n, columnRef([]string{self, cols[k]}), 0))
		i.cols = append(i.cols, column{n, false})
	}
	s.TargetList = append(s.TargetList, pg.MakeResTargetNodeWithNameAndVal(keyName, columnRef([]string{self, keyName}), 0))
	f.plain = false
	return i, derivedTable(s, name, false)
}

// branch gives one side of a recursion the key of the table it reads.
func (p *pass) branch(b *pg.SelectStmt, self string, cols []string, e *env) {
	rest := append(slices.Clone(b.TargetList), b.WhereClause)
	switch {
	case b.Op != pg.SetOperation_SETOP_NONE || len(b.ValuesLists) > 0 || len(b.GroupClause) > 0 || b.HavingClause != nil || len(b.DistinctClause) > 0,
		b.LimitCount != nil || b.LimitOffset != nil || len(b.SortClause) > 0 || len(b.WindowClause) > 0 || b.WithClause != nil,
		slices.ContainsFunc(b.TargetList, mayAggregate), slices.ContainsFunc(rest, hasWindow), slices.ContainsFunc(rest, hasSublink):
		giveUp("a recursion of an unknown shape")
	}
	sc := &scope{}
	var on []*pg.Node
	var visit func(n *pg.Node)
	visit = func(n *pg.Node) {
		if j := n.GetJoinExpr(); j != nil {
			if j.Jointype != pg.JoinType_JOIN_INNER || j.IsNatural || len(j.UsingClause) > 0 || j.Alias != nil || hasSublink(j.Quals) {
				giveUp("a recursion with such a join")
			}
			on = append(on, j.Quals)
			visit(j.Larg)
			visit(j.Rarg)
			return
		}
		if q := n.GetRangeSubselect(); q != nil && !q.Lateral && q.Alias != nil {
			// Of a query that gives the same rows whoever is there a step has nobody's key.
			i, _ := p.derived(q.Subquery.GetSelectStmt(), e, &scope{}, q.Alias.Aliasname, fieldsOf(q.Alias.Colnames), false, &source{})
			if i.key != nil || i.doubt {
				giveUp("a recursion over a query that reads protected tables")
			}
			sc.items = append(sc.items, i)
			return
		}
		r := n.GetRangeVar()
		if r == nil || len(r.Alias.GetColnames()) > 0 {
			giveUp("a recursion over more than tables")
		}
		i := &item{name: r.Relname}
		if r.Alias != nil {
			i.name = r.Alias.Aliasname
		}
		if r.Schemaname == "" && r.Relname == self {
			for _, c := range cols {
				i.cols = append(i.cols, column{c, true})
			}
			sc.items = append(sc.items, i)
			return
		}
		if r.Schemaname == "" && e.find(r.Relname) != nil {
			giveUp("a recursion over another WITH query")
		}
		if i.table = p.table(r); i.table.View != "" {
			giveUp("a recursion over a view")
		}
		for _, c := range i.table.Columns {
			i.cols = append(i.cols, column{c, true})
		}
		sc.items = append(sc.items, i)
	}
	for _, n := range b.FromClause {
		visit(n)
	}
	for _, n := range append(rest, on...) {
		if n == nil {
			continue
		}
		all(n.ProtoReflect(), func(m protoreflect.Message) {
			if c, ok := m.Interface().(*pg.ColumnRef); ok && !sc.local(fieldsOf(c.Fields)) {
				giveUp("a recursion with a column that is not known")
			}
		})
	}
	var key *pg.Node
	for _, i := range sc.items {
		if i.table.Key != "" && i.table.Space == p.space.name {
			if key != nil {
				giveUp("a recursion over several protected tables")
			}
			key = p.key(i, false)
		}
	}
	if key == nil {
		key = p.none()
	}
	b.TargetList = append(b.TargetList, pg.MakeResTargetNodeWithNameAndVal(keyName, key, 0))
}

// expand writes out the stars of a target list.
func (p *pass) expand(targets []*pg.Node, f *source) (out []output) {
	for _, n := range targets {
		t := n.GetResTarget()
		fields := fieldsOf(t.GetVal().GetColumnRef().GetFields())
		if len(fields) == 0 || fields[len(fields)-1] != "*" {
			out = append(out, output{outputName(t), t.GetVal()})
			continue
		}
		found := false
		for _, i := range f.items {
			if len(fields) > 1 && i.name != fields[len(fields)-2] {
				continue
			}
			found = true
			if i.doubt {
				giveUp("a star for columns that are not known")
			}
			if len(fields) > 1 {
				for _, c := range i.cols {
					out = append(out, output{c.name, columnRef([]string{i.name, c.name})})
				}
			}
		}
		if !found {
			giveUp("a star for something that is not there")
		}
		if len(fields) == 1 {
			out = append(out, f.shown...)
		}
	}
	return out
}

// outputName is the name that the server gives a target; "" where that is not
// certain.
func outputName(t *pg.ResTarget) string {
	if t.Name != "" {
		return t.Name
	}
	name, _ := figure(t.Val)
	return name
}

func figure(n *pg.Node) (name string, strong bool) {
	last := func(list []*pg.Node) string {
		f := fieldsOf(list)
		if len(f) == 0 {
			return ""
		}
		return f[len(f)-1]
	}
	weak := func(n *pg.Node, otherwise string) (string, bool) {
		if name, strong := figure(n); strong || name == "" && n != nil {
			return name, strong
		}
		return otherwise, false
	}
	switch e := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return last(e.ColumnRef.Fields), true
	case *pg.Node_FuncCall:
		return last(e.FuncCall.Funcname), true
	case *pg.Node_MergeSupportFunc:
		return "merge_action", true
	case *pg.Node_TypeCast:
		return weak(e.TypeCast.Arg, last(e.TypeCast.TypeName.GetNames()))
	case *pg.Node_CollateClause:
		return figure(e.CollateClause.Arg)
	case *pg.Node_CaseExpr:
		return weak(e.CaseExpr.Defresult, "case")
	case *pg.Node_CoalesceExpr:
		return "coalesce", true
	case *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest:
		return "?column?", false
	case *pg.Node_AExpr:
		if e.AExpr.Kind != pg.A_Expr_Kind_AEXPR_NULLIF {
			return "?column?", false
		}
	}
	return "", true
}
