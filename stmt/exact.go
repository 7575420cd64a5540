package stmt

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// exact are the rows of the topmost level that the answer shows: of each table
// there of which a protected column is among the targets. They are read as the
// statement reads them, so nothing here has to be careful: whom it misses, the
// other names hold.
func (p *pass) exact(sel *pg.SelectStmt, with *pg.WithClause, e *env) []part {
	if sel.WithClause != nil {
		if with != nil {
			return nil
		}
		with = readable(sel.WithClause)
	}
	e = enter(sel, e, nil)
	if sel.Op == pg.SetOperation_SETOP_UNION && sel.LimitCount == nil && sel.LimitOffset == nil {
		return append(p.exact(sel.Larg, with, e), p.exact(sel.Rarg, with, e)...)
	}
	if !rowByRow(sel) || len(sel.DistinctClause) > 0 && sel.DistinctClause[0].GetNode() != nil {
		return nil
	}
	f := p.from(sel.FromClause, e, nil)
	var vals []*pg.Node
	targets := p.expand(sel.TargetList, f)
	for _, t := range targets {
		vals = append(vals, t.val)
	}
	from, keys := p.shown(sel, e, f, vals, 0)
	if len(keys) == 0 {
		return nil
	}
	of := part{with: with, from: from, where: sel.WhereClause}
	if sel.LimitCount != nil || sel.LimitOffset != nil {
		sc := &scope{f.items, f.merged, nil}
		if sel.LimitCount.GetAConst() == nil || p.first(sel, sc, targets, behind(sel), true) == nil {
			return nil
		}
		of, keys = prefix(sel, of, keys, targets, sel.LimitCount, sel.LimitOffset)
	}
	return []part{keyed(of, keys)}
}

// rowByRow: each row of its J is shown in a row of the answer.
func rowByRow(sel *pg.SelectStmt) bool {
	return sel.Op == pg.SetOperation_SETOP_NONE && len(sel.ValuesLists) == 0 && len(sel.GroupClause) == 0 && sel.HavingClause == nil &&
		!slices.ContainsFunc(behind(sel), certainlyAggregates)
}

// whole says whether a part is all rows of one table.
func whole(of part) bool {
	return of.key != nil && of.where == nil && len(of.from) == 1 && of.from[0].GetRangeVar() != nil
}

// summary: a statement gives nothing of one protected table but counts, sums
// and the like: no row, and no list of values.
func (p *pass) summary(sel *pg.SelectStmt) bool {
	if sel.Op != pg.SetOperation_SETOP_NONE || rowByRow(sel) || len(sel.FromClause) != 1 {
		return false
	}
	f := p.from(sel.FromClause, enter(sel, nil, nil), nil)
	var rest []*pg.Node
	for _, n := range append(behind(sel), sel.GroupClause...) {
		n = proto.Clone(n).(*pg.Node)
		all(n.ProtoReflect(), func(m protoreflect.Message) {
			if c, ok := m.Interface().(*pg.FuncCall); ok && summaries[builtin(c.Funcname)] && c.Over == nil {
				c.Args, c.AggFilter, c.AggOrder = nil, nil, nil
			}
		})
		rest = append(rest, n)
	}
	return len(f.items) == 1 && len(f.items[0].asked(rest, f.items[0].table.Protected)) == 0
}

var summaries = words("count min max sum avg bool_and bool_or every stddev stddev_pop stddev_samp variance var_pop var_samp")

func certainlyAggregates(n *pg.Node) (yes bool) {
	level(n, func(m protoreflect.Message) {
		switch f := m.Interface().(type) {
		case *pg.FuncCall:
			yes = yes || aggregates(f)
		case *pg.JsonObjectAgg, *pg.JsonArrayAgg:
			yes = true
		}
	})
	return yes
}

// shown is the FROM of a level, with the keys of whatever shows a protected
// column in these expressions. A query in FROM brings its keys along as columns.
func (p *pass) shown(sel *pg.SelectStmt, e *env, f *source, vals []*pg.Node, depth int) (from []*pg.Node, keys []*pg.Node) {
	n := -1
	var visit func(node *pg.Node) *pg.Node
	visit = func(node *pg.Node) *pg.Node {
		if j := node.GetJoinExpr(); j != nil {
			out := &pg.JoinExpr{Jointype: j.Jointype, IsNatural: j.IsNatural, UsingClause: j.UsingClause, Quals: j.Quals}
			out.Larg = visit(j.Larg)
			out.Rarg = visit(j.Rarg)
			return &pg.Node{Node: &pg.Node_JoinExpr{JoinExpr: out}}
		}
		n++ // items stand in the order of FROM
		i := f.items[n]
		if i.table.Key != "" && i.table.Space == p.space.name && len(i.asked(vals, i.table.Protected)) > 0 {
			keys = append(keys, p.key(i, f.missing))
		}
		if i.key == nil || depth > 8 {
			return node
		}
		def, in, names := p.definition(node, e)
		if def == nil || !rowByRow(def) || len(def.DistinctClause) > 0 {
			return node
		}
		in = enter(def, in, nil)
		inner := p.from(def.FromClause, in, nil)
		targets := p.expand(def.TargetList, inner)
		var asked []*pg.Node
		for _, k := range i.asked(vals, nil) {
			if k < len(targets) {
				asked = append(asked, targets[k].val)
			}
		}
		list, more := p.shown(def, in, inner, asked, depth+1)
		if len(more) == 0 || slices.ContainsFunc(targets, func(o output) bool { return o.name == "" }) {
			return node
		}
		def = proto.Clone(def).(*pg.SelectStmt)
		def.FromClause, def.TargetList = list, nil
		for _, t := range targets {
			def.TargetList = append(def.TargetList, pg.MakeResTargetNodeWithNameAndVal(t.name, t.val, 0))
		}
		for _, k := range more {
			name := keyName + strconv.Itoa(depth) + "_" + strconv.Itoa(len(keys))
			def.TargetList = append(def.TargetList, pg.MakeResTargetNodeWithNameAndVal(name, k, 0))
			keys = append(keys, columnRef([]string{i.name, name}))
		}
		node = derivedTable(def, i.name, false)
		for _, c := range names {
			alias := node.GetRangeSubselect().Alias
			alias.Colnames = append(alias.Colnames, pg.MakeStrNode(c))
		}
		return node
	}
	for _, item := range sel.FromClause {
		from = append(from, visit(item))
	}
	return from, keys
}

// definition is the query behind an item of FROM, and the names it has there
// for its columns; nil if it has none that can be written in its place.
func (p *pass) definition(n *pg.Node, e *env) (def *pg.SelectStmt, in *env, names []string) {
	if r := n.GetRangeSubselect(); r != nil {
		// Where it looks around itself, its columns are not known here.
		if r.Lateral {
			return nil, nil, nil
		}
		return r.Subquery.GetSelectStmt(), e, fieldsOf(r.Alias.GetColnames())
	}
	r := n.GetRangeVar()
	if r == nil {
		return nil, nil, nil
	}
	if r.Schemaname == "" {
		if c := e.find(r.Relname); c != nil {
			if c.recursive {
				return nil, nil, nil
			}
			return c.def, c.env, rename(fieldsOf(c.names.GetColnames()), r.Alias)
		}
	}
	t := p.table(r)
	if t.View == "" {
		return nil, nil, nil
	}
	return viewed(t), nil, rename(t.Columns, r.Alias)
}

// asked are the columns that may be meant in these expressions: of a table only
// those of these names, whatever they are called here. The expressions are read
// once, since a table can have 1,600 columns.
func (i *item) asked(vals []*pg.Node, of []string) (columns []int) {
	named := map[string]bool{}
	for _, v := range vals {
		for _, c := range references(v) {
			f := c.Fields
			if len(f) == 1 || f[len(f)-2] == i.name || f[0] == i.name {
				named[f[len(f)-1]] = true
			}
		}
	}
	all := named["*"] || named[i.name]
	for k, col := range i.cols {
		if of != nil && (k >= len(i.table.Columns) || !slices.Contains(of, i.table.Columns[k])) {
			continue
		}
		if all || named[col.name] {
			columns = append(columns, k)
		}
	}
	return columns
}
