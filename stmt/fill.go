package stmt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A Fill is what puts the rows of a query into a table of the session's own:
// CREATE TEMPORARY TABLE … AS, SELECT INTO TEMPORARY, or INSERT … SELECT, of
// which it cannot be said here whether the table is temporary.
type Fill struct {
	Table   Name
	Made    bool     // it makes the table, as Create says, without rows
	Create  string   // the same table, without rows
	Insert  string   // and what puts them there
	Columns []string // that are named for the rows, in their order; nil: none are

	query *pg.SelectStmt
}

// fill finds it, nil if the statement is none or is more than that.
func fill(node *pg.Node) (f *Fill) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case gaveUp:
			f = nil
		default:
			panic(why)
		}
	}()
	var into *pg.IntoClause
	var sel *pg.SelectStmt
	switch n := node.GetNode().(type) {
	case *pg.Node_CreateTableAsStmt:
		c := n.CreateTableAsStmt
		if c.IfNotExists || c.Objtype != pg.ObjectType_OBJECT_TABLE || c.Into.GetSkipData() {
			return nil
		}
		into, sel = c.Into, c.Query.GetSelectStmt()
	case *pg.Node_SelectStmt:
		into, sel = n.SelectStmt.IntoClause, n.SelectStmt
	case *pg.Node_InsertStmt:
		i := n.InsertStmt
		sel = i.SelectStmt.GetSelectStmt()
		if sel == nil || len(sel.ValuesLists) > 0 || i.WithClause != nil || i.OnConflictClause != nil || slices.ContainsFunc(i.Cols, func(c *pg.Node) bool { return len(c.GetResTarget().GetIndirection()) > 0 }) {
			return nil
		}
		return &Fill{Table: Name{i.Relation.Schemaname, i.Relation.Relname}, Columns: assigned(i.Cols), query: proto.Clone(sel).(*pg.SelectStmt)}
	}
	rel := into.GetRel()
	if rel == nil || sel == nil || rel.Catalogname != "" || rel.Relpersistence != "t" && rel.Schemaname != "pg_temp" {
		return nil
	}
	into, sel = proto.Clone(into).(*pg.IntoClause), proto.Clone(sel).(*pg.SelectStmt)
	sel.IntoClause = nil
	into.SkipData = true
	f = &Fill{Table: Name{"pg_temp", rel.Relname}, Made: true, Columns: fieldsOf(into.ColNames), query: sel}
	f.Create = deparsed(&pg.Node{Node: &pg.Node_CreateTableAsStmt{CreateTableAsStmt: &pg.CreateTableAsStmt{Query: selectNode(sel), Into: into, Objtype: pg.ObjectType_OBJECT_TABLE}}})
	target := &pg.RangeVar{Schemaname: "pg_temp", Relname: rel.Relname, Inh: true, Relpersistence: "p"}
	f.Insert = deparsed(&pg.Node{Node: &pg.Node_InsertStmt{InsertStmt: &pg.InsertStmt{Relation: target, SelectStmt: selectNode(sel), Override: pg.OverridingKind_OVERRIDING_NOT_SET}}})
	return f
}

// A Given is one column that a query gives.
type Given struct {
	Name string // "" where it is not certain
	Key  string // it is the key of a person of this space
	// From are the columns that it is a copy of, as schema.table and column;
	// Computed: it is more than a copy, or of what is not known.
	From     [][2]string
	Computed bool
}

var errGives = errors.New("which columns it has cannot be told")

// Gives are the columns of the rows that f puts into its table.
func (f *Fill) Gives(resolve Resolver) (list []Given, err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case gaveUp:
			list, err = nil, why.error
		default:
			panic(why)
		}
	}()
	p := &pass{resolve: resolve}
	list = p.gives(f.query, nil, 0)
	for i, name := range f.Columns {
		if i < len(list) {
			list[i].Name = name
		}
	}
	return list, nil
}

// A leaf is an item of FROM, with the columns that it has.
type leaf struct {
	name string
	cols []Given
	open bool // it may have others
}

func (p *pass) gives(sel *pg.SelectStmt, e *env, depth int) (list []Given) {
	if depth > 20 {
		giveUp("queries within each other")
	}
	p.grow(1)
	switch {
	case len(sel.ValuesLists) > 0:
		for range sel.ValuesLists[0].GetList().GetItems() {
			list = append(list, Given{Computed: true})
		}
		return list
	case sel.Op != pg.SetOperation_SETOP_NONE:
		e = enter(sel, e, nil)
		list = p.gives(sel.Larg, e, depth+1)
		right := p.gives(sel.Rarg, e, depth+1)
		if len(right) != len(list) {
			panic(gaveUp{errGives})
		}
		for i, r := range right {
			if list[i].Key != r.Key {
				list[i].Key = ""
			}
			list[i].From, list[i].Computed = append(slices.Clone(list[i].From), r.From...), list[i].Computed || r.Computed
		}
		return list
	}
	e = enter(sel, e, nil)
	var leaves []leaf
	merged := false
	var from func(n *pg.Node)
	from = func(n *pg.Node) {
		switch {
		case n.GetJoinExpr() != nil:
			j := n.GetJoinExpr()
			if j.Alias != nil || j.JoinUsingAlias != nil {
				panic(gaveUp{errGives})
			}
			merged = merged || j.IsNatural || len(j.UsingClause) > 0
			from(j.Larg)
			from(j.Rarg)
		case n.GetRangeVar() != nil:
			leaves = append(leaves, p.leafOf(n.GetRangeVar(), e, depth))
		case n.GetRangeSubselect() != nil:
			r := n.GetRangeSubselect()
			one := leaf{name: r.Alias.GetAliasname()}
			if def := r.Subquery.GetSelectStmt(); def != nil && !r.Lateral {
				one.cols = p.gives(def, e, depth+1)
			} else {
				one.open = true
			}
			leaves = append(leaves, one.renamed(r.Alias))
		default:
			leaves = append(leaves, leaf{open: true})
		}
	}
	for _, n := range sel.FromClause {
		from(n)
	}
	for _, n := range sel.TargetList {
		t := n.GetResTarget()
		f := fieldsOf(t.GetVal().GetColumnRef().GetFields())
		if len(f) > 0 && f[len(f)-1] == "*" {
			found := false
			for _, l := range leaves {
				if len(f) > 1 && l.name != f[len(f)-2] {
					continue
				}
				if found = true; l.open || merged && len(f) == 1 {
					panic(gaveUp{errGives})
				}
				list = append(list, l.cols...)
			}
			if !found {
				panic(gaveUp{errGives})
			}
			continue
		}
		one := Given{Computed: true}
		if len(f) > 0 {
			one = pick(leaves, f)
		}
		one.Name = outputName(t)
		list = append(list, one)
	}
	return list
}

// pick is the column that a reference means.
func pick(leaves []leaf, f []string) Given {
	out, found := Given{Computed: true}, 0
	for _, l := range leaves {
		if len(f) > 1 && l.name != f[len(f)-2] {
			continue
		}
		if l.open {
			return Given{Computed: true}
		}
		for _, c := range l.cols {
			if c.Name != f[len(f)-1] {
				continue
			}
			if found++; found == 1 {
				out = c
				continue
			}
			if out.Key != c.Key { // of USING
				out.Key = ""
			}
			out.From, out.Computed = append(slices.Clone(out.From), c.From...), out.Computed || c.Computed
		}
	}
	return out
}

func (l leaf) renamed(alias *pg.Alias) leaf {
	l.cols = slices.Clone(l.cols)
	for i, name := range fieldsOf(alias.GetColnames()) {
		if i < len(l.cols) {
			l.cols[i].Name = name
		}
	}
	return l
}

func (p *pass) leafOf(r *pg.RangeVar, e *env, depth int) leaf {
	l := leaf{name: refOf(r)}
	if r.Schemaname == "" {
		if c := e.find(r.Relname); c != nil {
			if c.recursive || c.def == nil {
				l.open = true
				return l
			}
			l.cols = p.gives(c.def, c.env, depth+1)
			return l.renamed(c.names).renamed(r.Alias)
		}
	}
	t := p.table(r)
	if t.View != "" {
		l.cols = p.gives(viewed(t), nil, depth+1)
		for i, name := range t.Columns {
			if i < len(l.cols) {
				l.cols[i].Name = name
			}
		}
		return l.renamed(r.Alias)
	}
	l.open = len(t.Columns) == 0
	for _, name := range t.Columns {
		one := Given{Name: name, From: [][2]string{{t.Full, name}}}
		if name == t.Key {
			one.Key = t.Space
		}
		l.cols = append(l.cols, one)
	}
	return l.renamed(r.Alias)
}

// deparsed is deparse of any statement.
func deparsed(n *pg.Node) string {
	if strings.Contains(lower(fmt.Sprint(textsOf(n))), Hidden) {
		giveUp("it uses a name that begins with %s", Hidden)
	}
	tree := &pg.ParseResult{Version: grammarVersion, Stmts: []*pg.RawStmt{{Stmt: n}}}
	text, err := pg.Deparse(tree)
	if err != nil {
		giveUp("a tree that cannot be written")
	}
	again, err := parse(text)
	if err != nil || !same(proto.Clone(tree).(*pg.ParseResult), again) {
		giveUp("a tree that is not read again as it was written")
	}
	return text
}

// textsOf are the names in a tree, as they are written.
func textsOf(n *pg.Node) (list []string) {
	all(n.ProtoReflect(), func(m protoreflect.Message) {
		if s, ok := m.Interface().(*pg.String); ok {
			list = append(list, s.Sval)
		}
	})
	return list
}
