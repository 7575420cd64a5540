package stmt

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// One SELECT level: what belongs to it, and what only stands within it.

// could says whether a reference below could mean something in the scope or
// around it, by its name alone.
func (sc *scope) could(sel *pg.SelectStmt) (yes bool) {
	if sc == nil {
		return false
	}
	all(sel.ProtoReflect(), func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.ColumnRef); ok {
			yes = yes || sc.may(fieldsOf(c.Fields))
		}
	})
	return yes
}

func (sc *scope) may(fields []string) bool {
	for ; sc != nil; sc = sc.outer {
		for _, i := range sc.items {
			if len(fields) > 1 && (i.name == fields[0] || i.name == fields[len(fields)-2]) ||
				len(fields) == 1 && (i.doubt || i.name == fields[0] || i.column(fields[0]) != nil) {
				return true
			}
		}
	}
	return false
}

// known refuses a field of something in FROM that is none of its columns:
// m.count is count(m), an aggregate that looks like a column.
func known(sc *scope, nodes []*pg.Node) {
	for _, n := range nodes {
		level(n, func(m protoreflect.Message) {
			c, ok := m.Interface().(*pg.ColumnRef)
			if !ok || len(c.Fields) < 2 {
				return
			}
			f := fieldsOf(c.Fields)
			name := f[len(f)-1]
			for at := sc; at != nil; at = at.outer {
				for _, i := range at.items {
					if i.name != f[len(f)-2] {
						continue
					}
					if name != "*" && !slices.Contains(systemColumns, name) && i.column(name) == nil && (!i.doubt || inAnyOrder[name] || inOrder[name]) {
						giveUp("%s.%s, which is no column that is known there", i.name, name)
					}
					return
				}
			}
		})
	}
}

// behind is all of a level that is a function of its J, but grouping.
func behind(sel *pg.SelectStmt) []*pg.Node {
	list := slices.Concat(sel.TargetList, sel.SortClause, sel.WindowClause)
	for _, d := range sel.DistinctClause {
		if d.GetNode() != nil {
			list = append(list, d)
		}
	}
	if sel.HavingClause != nil {
		list = append(list, sel.HavingClause)
	}
	return list
}

// level visits what belongs to this level: not what is in its sub-selects.
func level(n *pg.Node, visit func(protoreflect.Message)) {
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		visit(m)
		if l, ok := m.Interface().(*pg.SubLink); ok {
			if l.Testexpr != nil {
				walk(l.Testexpr.ProtoReflect())
			}
			return
		}
		if _, ok := m.Interface().(*pg.SelectStmt); !ok {
			children(m, walk)
		}
	}
	if n != nil {
		walk(n.ProtoReflect())
	}
}

func sublinks(nodes []*pg.Node) (links []*pg.SubLink) {
	for _, n := range nodes {
		level(n, func(m protoreflect.Message) {
			if l, ok := m.Interface().(*pg.SubLink); ok {
				links = append(links, l)
			}
		})
	}
	return links
}

func mayAggregate(n *pg.Node) (yes bool) {
	level(n, func(m protoreflect.Message) {
		switch f := m.Interface().(type) {
		case *pg.FuncCall:
			name := builtin(f.Funcname)
			yes = yes || f.Over == nil && (aggregates(f) || !harmless[name] && !settled[name])
		case *pg.JsonObjectAgg, *pg.JsonArrayAgg, *pg.GroupingFunc:
			yes = true
		}
	})
	return yes
}

func hasWindow(n *pg.Node) (yes bool) {
	level(n, func(m protoreflect.Message) {
		switch f := m.Interface().(type) {
		case *pg.FuncCall:
			yes = yes || f.Over != nil
		case *pg.WindowDef:
			yes = true
		}
	})
	return yes
}

// ofItsOwn refuses an aggregate of columns from around its level only: it is
// then an aggregate of that level.
func (p *pass) ofItsOwn(after []*pg.Node, sc *scope) {
	if sc.outer == nil {
		return
	}
	for _, n := range after {
		level(n, func(m protoreflect.Message) {
			f, ok := m.Interface().(*pg.FuncCall)
			if !ok || f.Over != nil || !mayAggregate(&pg.Node{Node: &pg.Node_FuncCall{FuncCall: f}}) {
				return
			}
			refs, own := 0, 0
			all(m, func(m protoreflect.Message) {
				if c, ok := m.Interface().(*pg.ColumnRef); ok {
					refs++
					if found, _ := sc.here(fieldsOf(c.Fields)); found {
						own++
					}
				}
			})
			if refs > 0 && own == 0 {
				giveUp("an aggregate of an outer query's columns")
			}
		})
	}
}

// escapes says whether a sub-select means columns of a scope around it.
func (p *pass) escapes(sel *pg.SelectStmt, e *env, inner, target *scope) (yes bool) {
	e = enter(sel, e, nil)
	if sel.Op != pg.SetOperation_SETOP_NONE {
		return p.escapes(sel.Larg, e, inner, target) || p.escapes(sel.Rarg, e, inner, target)
	}
	f := p.from(sel.FromClause, e, inner)
	own := &scope{f.items, f.merged, inner}
	only := &scope{items: target.items}
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		switch n := m.Interface().(type) {
		case *pg.WithClause:
			return
		case *pg.SelectStmt:
			if n != sel {
				yes = yes || p.escapes(n, e, own, target)
				return
			}
		case *pg.ColumnRef:
			fields := fieldsOf(n.Fields)
			for sc := own; sc != nil; sc = sc.outer {
				if found, _ := sc.here(fields); found && !sc.guesses(fields) {
					return
				}
			}
			yes = yes || only.may(fields)
		}
		children(m, walk)
	}
	walk(sel.ProtoReflect())
	return yes
}

// guesses: a column may belong to something here only because nobody knows what
// columns that has.
func (sc *scope) guesses(fields []string) bool {
	return len(fields) == 1 &&
		!slices.ContainsFunc(sc.merged, func(c column) bool { return c.name == fields[0] }) &&
		!slices.ContainsFunc(sc.items, func(i *item) bool { return i.column(fields[0]) != nil })
}

// groups says whether a target is what GROUP BY groups by.
func groups(g *pg.Node, t output, i int, sc *scope) bool {
	if c := g.GetAConst(); c != nil {
		return c.GetIval() != nil && int(c.GetIval().Ival) == i+1
	}
	if f := fieldsOf(g.GetColumnRef().GetFields()); len(f) == 1 && f[0] == t.name {
		if found, _ := sc.here(f); !found {
			return true
		}
	}
	return alike(g, t.val)
}

func alike(a, b *pg.Node) bool {
	return same(proto.Clone(a), proto.Clone(b))
}
