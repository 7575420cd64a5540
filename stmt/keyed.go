package stmt

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Keyed says of the text of a materialized view, as pg_get_viewdef gives it,
// that each of its rows is made of the rows of one person, and of those of
// nobody, and which of its columns holds the key of that person. gives are all
// of its columns. A row in which the key is NULL may be anybody's.
//
// It holds of one SELECT over tables, where whatever holds persons is joined by
// its keys, and which groups, if it does, by the key. Anything else is an error:
// then nobody can tell from a row whose it is.
func Keyed(text string, resolve Resolver) (gives []Given, key int, err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case gaveUp:
			gives, err = nil, why.error
		default:
			panic(why)
		}
	}()
	tree, err := parse(strings.TrimRight(strings.TrimSpace(text), ";"))
	if err != nil {
		return nil, 0, err
	}
	if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		giveUp("it is no query")
	}
	sel := tree.Stmts[0].Stmt.GetSelectStmt()
	switch {
	case sel.Op != pg.SetOperation_SETOP_NONE, sel.WithClause != nil, sel.IntoClause != nil, len(sel.ValuesLists) > 0, len(sel.WindowClause) > 0, sel.LimitCount != nil, sel.LimitOffset != nil:
		giveUp("it is more than one SELECT")
	case len(sel.DistinctClause) > 1, len(sel.DistinctClause) == 1 && sel.DistinctClause[0].GetNode() != nil:
		giveUp("DISTINCT ON leaves rows out")
	}
	all(sel.ProtoReflect(), func(m protoreflect.Message) {
		switch n := m.Interface().(type) {
		case *pg.SubLink, *pg.GroupingSet, *pg.LockingClause, *pg.RangeTableSample:
			giveUp("it is more than one SELECT")
		case *pg.FuncCall:
			if n.Over != nil {
				giveUp("a window function reads other rows")
			}
		}
	})
	p := &pass{resolve: resolve}
	var items []*persons
	for _, n := range sel.FromClause {
		items = append(items, p.persons(n))
	}
	linkAll(items, conjuncts(sel.WhereClause))
	gives = p.gives(sel, nil, 0)
	if len(gives) != len(sel.TargetList) {
		giveUp("a star") // none in the text of a view
	}
	key = -1
	for i, g := range gives {
		if g.Key == "" || g.Computed || key >= 0 {
			continue
		}
		f := fieldsOf(sel.TargetList[i].GetResTarget().GetVal().GetColumnRef().GetFields())
		if len(sel.GroupClause) == 0 || slices.ContainsFunc(sel.GroupClause, func(n *pg.Node) bool { return slices.Equal(fieldsOf(n.GetColumnRef().GetFields()), f) }) {
			key = i
		}
	}
	if key < 0 {
		giveUp("none of its columns is the key of a person")
	}
	return gives, key, nil
}

// persons are the tables with persons in an item of FROM: in each of its rows
// those that are there are of one.
type persons struct {
	tables []keyedTable
}

type keyedTable struct{ ref, key, space, typ string }

func (p *pass) persons(n *pg.Node) *persons {
	switch {
	case n.GetRangeVar() != nil:
		r := n.GetRangeVar()
		t := p.table(r)
		switch {
		case t.View != "":
			giveUp("it reads a view")
		case r.Alias != nil && len(r.Alias.Colnames) > 0:
			giveUp("it names columns anew")
		case t.Key == "":
			return &persons{}
		}
		return &persons{[]keyedTable{{refOf(r), t.Key, t.Space, t.Type}}}
	case n.GetJoinExpr() != nil:
		j := n.GetJoinExpr()
		if j.Alias != nil || j.JoinUsingAlias != nil {
			giveUp("a name for a join")
		}
		left, right := p.persons(j.Larg), p.persons(j.Rarg)
		if len(left.tables) > 0 && len(right.tables) > 0 && !linked(left, right, conjuncts(j.Quals)) && !using(left, right, fieldsOf(j.UsingClause)) {
			giveUp("rows of several persons are joined by other things than their key")
		}
		return &persons{append(slices.Clone(left.tables), right.tables...)}
	}
	giveUp("it reads more than tables")
	return nil
}

// linkAll sees to it that conditions tie all items with persons together.
func linkAll(items []*persons, conditions []*pg.Node) {
	items = slices.DeleteFunc(items, func(i *persons) bool { return len(i.tables) == 0 })
	for len(items) > 1 {
		at := slices.IndexFunc(items[1:], func(other *persons) bool { return linked(items[0], other, conditions) })
		if at < 0 {
			giveUp("rows of several persons are joined by other things than their key")
		}
		items[0] = &persons{append(slices.Clone(items[0].tables), items[at+1].tables...)}
		items = slices.Delete(items, at+1, at+2)
	}
}

// linked: one of the conditions is that a key on one side equals one on the
// other, of the same persons, and equal is the same.
func linked(a, b *persons, conditions []*pg.Node) bool {
	return slices.ContainsFunc(conditions, func(n *pg.Node) bool {
		e := n.GetAExpr()
		if e == nil || e.Kind != pg.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 || e.Name[0].GetString_().GetSval() != "=" {
			return false
		}
		l, r := fieldsOf(e.Lexpr.GetColumnRef().GetFields()), fieldsOf(e.Rexpr.GetColumnRef().GetFields())
		return ties(a.of(l), b.of(r)) || ties(a.of(r), b.of(l))
	})
}

// of is the table of which a reference is the key; nil for all others.
func (p *persons) of(f []string) *keyedTable {
	if len(f) < 2 {
		return nil
	}
	at := slices.IndexFunc(p.tables, func(t keyedTable) bool { return t.ref == f[len(f)-2] })
	if at < 0 || p.tables[at].key != f[len(f)-1] {
		return nil
	}
	return &p.tables[at]
}

// using: the same by USING.
func using(a, b *persons, names []string) bool {
	for _, name := range names {
		for i := range a.tables {
			for k := range b.tables {
				if len(a.tables) == 1 && len(b.tables) == 1 && a.tables[i].key == name && b.tables[k].key == name && ties(&a.tables[i], &b.tables[k]) {
					return true
				}
			}
		}
	}
	return false
}

func ties(a, b *keyedTable) bool {
	same := func(typ string) bool {
		return strings.HasPrefix(typ, "pg_catalog.int") || typ == "pg_catalog.numeric" || typ == "pg_catalog.uuid"
	}
	return a != nil && b != nil && a.space == b.space && same(a.typ) && same(b.typ)
}
