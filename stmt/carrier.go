package stmt

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Names that stand in the queries for names, and in nothing else.
const (
	keyName    = Hidden + "k"
	valuesName = Hidden + "v"
	innerName  = Hidden + "x"
	prefixName = Hidden + "p"
	onceName   = Hidden + "o"
	rowsName   = Hidden + "c"
)

// A part is one SELECT of a carrier, or of the names.
//
// A carrier stands for a query in FROM. It has the query's columns, of which
// those that are not local are NULL, and the key: at least one row for each row
// of the query's J, and one for each person behind it.
type part struct {
	targets []*pg.Node // nil: not local
	with    *pg.WithClause
	from    []*pg.Node
	where   *pg.Node
	key     *pg.Node // nil: none
}

// names are the parts that name the persons behind a query.
func (p *pass) names(sel *pg.SelectStmt, e *env, outer *scope) []part {
	parts, _, _ := p.parts(sel, e, outer, false)
	return parts
}

// parts takes a query apart. Always says that it has a row even if there is
// nothing to read. To carry is to give a row also where there is no key.
func (p *pass) parts(sel *pg.SelectStmt, e *env, outer *scope, carry bool) (parts []part, cols []column, always bool) {
	e = enter(sel, e, outer)
	switch {
	case hasSublink(sel.LimitCount) || hasSublink(sel.LimitOffset):
		giveUp("a sub-select in LIMIT")
	case (sel.Op != pg.SetOperation_SETOP_NONE || len(sel.ValuesLists) > 0) && len(sublinks(sel.SortClause)) > 0:
		giveUp("a sub-select in the order of a set")
	case sel.Op != pg.SetOperation_SETOP_NONE:
		left, lcols, lalways := p.parts(sel.Larg, e, outer, carry)
		right, rcols, ralways := p.parts(sel.Rarg, e, outer, carry)
		if len(lcols) != len(rcols) {
			giveUp("a set operation of different columns")
		}
		for i := range lcols {
			lcols[i].local = lcols[i].local && rcols[i].local && sel.LimitCount == nil && sel.LimitOffset == nil
		}
		return append(left, right...), lcols, lalways || ralways
	case len(sel.ValuesLists) > 0:
		for i := range sel.ValuesLists[0].GetList().GetItems() {
			cols = append(cols, column{"column" + strconv.Itoa(i+1), sel.LimitCount == nil && sel.LimitOffset == nil})
		}
		for _, row := range sel.ValuesLists {
			one := part{}
			for i, v := range row.GetList().GetItems() {
				if hasSublink(v) {
					giveUp("a sub-select in VALUES")
				}
				cols[i].local = cols[i].local && outer.certain(v)
				one.targets = append(one.targets, v)
			}
			if carry {
				parts = append(parts, one)
			}
		}
		return parts, cols, false
	}
	return p.block(sel, e, outer, carry)
}

// enter takes in a WITH clause.
func enter(sel *pg.SelectStmt, e *env, outer *scope) *env {
	if sel.WithClause == nil {
		return e
	}
	in := &env{map[string]*cte{}, e}
	for _, n := range sel.WithClause.Ctes {
		c := n.GetCommonTableExpr()
		def := c.GetCtequery().GetSelectStmt()
		if writes(c.GetCtequery()) {
			if sel.WithClause.Recursive || in.find(c.Ctename) != nil {
				giveUp("a write in a recursive WITH, or two of one name")
			}
			in.ctes[c.Ctename] = &cte{write: c.Ctequery, env: &env{clone(in.ctes), e}}
			if len(c.Aliascolnames) > 0 {
				in.ctes[c.Ctename].names = &pg.Alias{Colnames: c.Aliascolnames}
			}
			continue
		}
		if def == nil || c.SearchClause != nil || c.CycleClause != nil {
			giveUp("a WITH query of an unknown kind")
		}
		if in.ctes[c.Ctename] != nil {
			giveUp("two WITH queries of one name")
		}
		if outer.could(def) {
			giveUp("a WITH query that may mean columns from around it")
		}
		one := &cte{def: def, env: &env{clone(in.ctes), e}}
		if len(c.Aliascolnames) > 0 {
			one.names = &pg.Alias{Colnames: c.Aliascolnames}
		}
		if sel.WithClause.Recursive {
			mentions := func(name string) (yes bool) {
				all(def.ProtoReflect(), func(m protoreflect.Message) {
					r, ok := m.Interface().(*pg.RangeVar)
					yes = yes || ok && r.Schemaname == "" && r.Relname == name
				})
				return yes
			}
			one.recursive = mentions(c.Ctename)
			for _, other := range sel.WithClause.Ctes {
				if name := other.GetCommonTableExpr().GetCtename(); in.ctes[name] == nil && name != c.Ctename && mentions(name) {
					giveUp("a WITH query that stands before the one it reads")
				}
			}
		}
		in.ctes[c.Ctename] = one
	}
	return in
}

func clone(m map[string]*cte) map[string]*cte {
	c := make(map[string]*cte, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// block takes one SELECT level apart: those whose rows stand in its J, and
// those behind each of its sub-selects.
func (p *pass) block(sel *pg.SelectStmt, e *env, outer *scope, carry bool) (parts []part, cols []column, always bool) {
	f := p.from(sel.FromClause, e, outer)
	sc := &scope{f.items, f.merged, outer}
	targets := p.expand(sel.TargetList, f)
	sets := slices.ContainsFunc(sel.GroupClause, func(g *pg.Node) bool { return g.GetGroupingSet() != nil })
	after := behind(sel)
	known(sc, slices.Concat(after, sel.GroupClause, sel.DistinctClause, []*pg.Node{sel.WhereClause}, f.joined))
	grouped := len(sel.GroupClause) > 0 || sel.HavingClause != nil || slices.ContainsFunc(after, mayAggregate)
	always = grouped && (sets || len(sel.GroupClause) == 0)
	p.ofItsOwn(after, sc)

	// The conditions that a context keeps, and those that tell whether a row of
	// its own tables is in J now.
	var context, own []*pg.Node
	complete := f.plain
	for _, c := range conjuncts(sel.WhereClause) {
		switch {
		case sc.certain(c):
			context, own = append(context, c), append(own, c)
		case f.plain && p.steady(c, e, sc):
			own = append(own, c)
		default:
			complete = false
		}
	}
	if !f.plain {
		own = context
	}

	once := len(sel.DistinctClause) > 0 && sel.DistinctClause[0].GetNode() != nil || sel.LimitCount != nil || sel.LimitOffset != nil ||
		slices.ContainsFunc(after, hasWindow)
	list := make([]*pg.Node, len(targets))
	for i, t := range targets {
		local := carry && !once && sc.certain(t.val) && (!grouped || !sets && slices.ContainsFunc(sel.GroupClause, func(g *pg.Node) bool { return groups(g, t, i, sc) }))
		cols = append(cols, column{t.name, local})
		if local {
			list[i] = t.val
		}
	}

	if mine := (part{targets: list, from: f.list, where: and(own)}); len(f.keys) > 0 || carry {
		keys := f.keys
		if count := p.first(sel, sc, targets, after, complete && !grouped); count != nil {
			mine, keys = prefix(sel, mine, keys, targets, count, nil)
		}
		p.grow(len(f.items) + 1)
		parts = append(parts, keyed(mine, keys))
	}
	links := func(nodes []*pg.Node, free bool) {
		for _, l := range sublinks(nodes) {
			in := l.Subselect.GetSelectStmt()
			if in == nil {
				giveUp("a sub-select of an unknown kind")
			}
			if free && p.escapes(in, e, nil, sc) {
				giveUp("a sub-select within an aggregate")
			}
			scope := sc
			if free {
				scope = outer
			}
			of := p.names(in, e, scope)
			if len(of) == 0 {
				continue
			}
			one := part{targets: list, key: columnRef([]string{innerName, keyName})}
			if !free {
				one.from, one.where = slices.Clone(f.list), and(context)
			}
			one.from = append(one.from, lateral(p.union(of, nil), innerName, keyName))
			p.grow(len(f.items) + len(of))
			parts = append(parts, one)
		}
	}
	if sets && len(sublinks(after)) > 0 {
		giveUp("a sub-select beside grouping sets")
	}
	links([]*pg.Node{sel.WhereClause}, false)
	links(f.conditions, false)
	links(append(after, sel.GroupClause...), always)
	return parts, cols, always
}

// keyed gives a part all of these keys, each in a row of its own.
func keyed(of part, keys []*pg.Node) part {
	switch len(keys) {
	case 0:
	case 1:
		of.key = keys[0]
	default:
		v := fresh()
		for _, k := range keys {
			v.ValuesLists = append(v.ValuesLists, pg.MakeListNode([]*pg.Node{k}))
		}
		of.from = append(slices.Clone(of.from), lateral(v, valuesName, keyName))
		of.key = columnRef([]string{valuesName, keyName})
	}
	return of
}

// union is the query of all parts. With cols it is a carrier.
func (p *pass) union(parts []part, cols []column) *pg.SelectStmt {
	var sum *pg.SelectStmt
	for _, one := range parts {
		s := fresh()
		s.FromClause, s.WhereClause = one.from, one.where
		for i, c := range cols {
			val := template("SELECT NULL").TargetList[0].GetResTarget().Val
			if c.local {
				val = one.targets[i]
			}
			s.TargetList = append(s.TargetList, pg.MakeResTargetNodeWithNameAndVal(c.name, val, 0))
		}
		key := one.key
		if key == nil {
			key = p.none()
		}
		s.TargetList = append(s.TargetList, pg.MakeResTargetNodeWithNameAndVal(keyName, key, 0))
		s = proto.Clone(s).(*pg.SelectStmt)
		if one.with != nil {
			s.WithClause = one.with
			in := fresh()
			in.FromClause = []*pg.Node{derivedTable(s, rowsName, false)}
			in.TargetList = []*pg.Node{pg.MakeResTargetNodeWithNameAndVal("", columnRef([]string{rowsName, keyName}), 0)}
			s = in
		}
		if sum != nil {
			s = &pg.SelectStmt{Op: pg.SetOperation_SETOP_UNION, All: true, Larg: sum, Rarg: s, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT}
		}
		sum = s
	}
	return sum
}

// none is no key.
func (p *pass) none() *pg.Node {
	typ := p.space.typ
	if p.space.null {
		typ += "[]"
	}
	return template("SELECT NULL::" + typ).TargetList[0].GetResTarget().Val
}

// carrier is what stands for a query in FROM.
func (p *pass) carrier(def *pg.SelectStmt, e *env, outer *scope, names *pg.Alias) (*pg.SelectStmt, []column) {
	parts, cols, always := p.parts(def, e, outer, true)
	for i, n := range fieldsOf(names.GetColnames()) {
		if i >= len(cols) {
			giveUp("more names for columns than columns")
		}
		cols[i].name = n
	}
	for i, c := range cols {
		if c.name == "" || slices.ContainsFunc(cols[:i], func(o column) bool { return o.name == c.name }) {
			// Nobody can refer to it, so it need not be there. But whoever reads
			// the columns by number must find it.
			cols[i].local = false
		}
	}
	shown := slices.Clone(cols)
	for i := range shown {
		if shown[i].name == "" {
			shown[i].name = Hidden + "n" + strconv.Itoa(i+1)
		}
	}
	sum := p.union(parts, shown)
	if always {
		s := template("SELECT FROM (SELECT 1) " + onceName + " LEFT JOIN (SELECT 1) " + rowsName + " ON true")
		s.FromClause[0].GetJoinExpr().Rarg.GetRangeSubselect().Subquery = selectNode(sum)
		for _, c := range append(shown, column{name: keyName}) {
			s.TargetList = append(s.TargetList, pg.MakeResTargetNodeWithNameAndVal(c.name, columnRef([]string{rowsName, c.name}), 0))
		}
		sum = s
	}
	return sum, cols
}
