package stmt

import (
	"errors"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ErrMaskName is a table that a WITH query may stand for.
var ErrMaskName = errors.New("a name that a WITH query and a masked table share")

// MaskAll gives the text of a query of any shape with a sub-select in the place
// of each mention of a masked table, at any depth. Who is behind its answer is
// to be told of that text. of says how a table is masked; nil: it is not. The
// sub-selects have the columns that the statement may mean, in their order.
func (s *Statement) MaskAll(of func(Name) *MaskedTable) (string, error) {
	if strings.Contains(lower(s.Text), Hidden) {
		return "", ErrRewrite
	}
	want, err := parse(s.Text)
	if err != nil || len(want.Stmts) != 1 {
		return "", ErrRewrite
	}
	scan, err := pg.Scan(s.Text)
	if err != nil {
		return "", ErrRewrite
	}
	m := masking{s: s, text: s.Text, tokens: scan.Tokens}
	a := maskAll{masking: &m, of: of, tables: map[string]*MaskedTable{}, names: map[string]bool{}}
	a.look(want.ProtoReflect())
	a.replace(want.ProtoReflect())
	if a.err != nil {
		return "", a.err
	}
	slices.SortStableFunc(m.edits, func(x, y edit) int { return x.at - y.at })
	text, err := edited(s.Text, m.edits)
	if err != nil {
		return "", err
	}
	if err := proven(want, text); err != nil {
		return "", err
	}
	return text, nil
}

type maskAll struct {
	*masking
	of     func(Name) *MaskedTable
	tables map[string]*MaskedTable // by how the statement refers to them
	names  map[string]bool         // that it uses of columns
	whole  bool                    // it may mean columns that it does not name
	err    error
}

// look gathers what the statement means by columns, before the sub-selects are
// there.
func (a *maskAll) look(p protoreflect.Message) {
	var columns []*pg.ColumnRef
	var visit func(p protoreflect.Message)
	visit = func(p protoreflect.Message) {
		switch e := p.Interface().(type) {
		case *pg.ColumnRef:
			columns = append(columns, e)
		case *pg.JoinExpr:
			a.whole = a.whole || e.IsNatural || len(e.UsingClause) > 0
		case *pg.Alias:
			a.whole = a.whole || len(e.Colnames) > 0
		case *pg.RangeTableSample, *pg.LockingClause:
			a.err = ErrMaskShape
		case *pg.RangeVar:
			t := a.of(nameOfVar(e))
			if t == nil {
				break
			}
			if !e.Inh {
				a.err = ErrMaskShape
			}
			if a.cte(e) {
				a.err = ErrMaskName
			}
			a.tables[refOf(e)] = t
		}
		children(p, visit)
	}
	visit(p)
	own := func(name string) bool {
		for _, t := range a.tables {
			if slices.ContainsFunc(t.Columns, func(c MaskedColumn) bool { return c.Name == name }) {
				return true
			}
		}
		return false
	}
	for _, c := range columns {
		f := fieldsOf(c.Fields)
		last := f[len(f)-1]
		switch {
		case len(f) > 2 && a.tables[f[len(f)-2]] != nil:
			a.err = ErrMaskQualified
		case last == "*":
			a.whole = true
		case a.tables[last] != nil && !own(last):
			a.err = ErrMaskWhole
		case slices.Contains(systemColumns, last):
			a.err = ErrMaskShape
		}
		a.names[last] = true
	}
}

func nameOfVar(r *pg.RangeVar) Name { return Name{Schema: r.Schemaname, Name: r.Relname} }

// cte: the name may be a WITH query's of the same statement.
func (a *maskAll) cte(r *pg.RangeVar) bool {
	return r.Schemaname == "" && slices.ContainsFunc(a.s.Relations, func(rel Relation) bool { return rel.CTE && rel.Name.Name == r.Relname })
}

// replace puts the sub-selects in.
func (a *maskAll) replace(p protoreflect.Message) {
	if a.err != nil {
		return
	}
	node, ok := p.Interface().(*pg.Node)
	if !ok || node.GetRangeVar() == nil || a.of(nameOfVar(node.GetRangeVar())) == nil {
		children(p, a.replace)
		return
	}
	was := node.GetRangeVar()
	t := *a.of(nameOfVar(was))
	if !a.whole {
		t.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c MaskedColumn) bool { return !a.names[c.Name] })
	}
	end, err := a.nameEnd(int(was.Location), was)
	if err != nil {
		a.err = err
		return
	}
	sub := t.part(a.text[was.Location:end])
	e := edit{int(was.Location), end, sub}
	if was.Alias == nil {
		e.text += " AS " + Quote(was.Relname)
	}
	made, err := pg.Parse("SELECT FROM " + sub + " AS " + Quote(was.Relname))
	if err != nil || len(made.Stmts) != 1 || len(made.Stmts[0].Stmt.GetSelectStmt().GetFromClause()) != 1 {
		a.err = ErrRewrite
		return
	}
	now := made.Stmts[0].Stmt.GetSelectStmt().FromClause[0]
	if len(t.Columns) > 0 {
		t.Key = ""
		if a.err = t.prove(now, was); a.err != nil {
			return
		}
	}
	if was.Alias != nil {
		now.GetRangeSubselect().Alias = was.Alias
	}
	node.Node = now.Node
	a.edits = append(a.edits, e)
}

// part is subselect without the key.
func (t *MaskedTable) part(name string) string {
	if len(t.Columns) == 0 {
		return "(SELECT FROM " + name + " AS " + Quote(maskedTable) + ")"
	}
	u := *t
	u.Key = ""
	return u.subselect(name)
}
