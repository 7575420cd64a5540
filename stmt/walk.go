package stmt

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// walk visits every node of a tree, known or not, and notes the names in it.
type walk struct {
	s         *Statement
	top       []*pg.RangeVar // those that stand in the top level FROM
	locked    []*pg.RangeVar // the names behind FOR UPDATE OF
	locking   []*pg.RangeVar // see Relation.Locked
	named     string         // the setting that namedCall sets, though it says name
	namedCall *pg.FuncCall
	written   []*pg.RangeVar
	added     []*pg.RangeVar // of those written, the ones that only grow
	ctes      []string
	tried     []*pg.RangeVar            // see Relation.Tried
	missing   map[*pg.RangeVar][]Column // see Relation.Missing and On
	taken     []*pg.RangeVar            // see Relation.Taken
}

func (w *walk) message(m protoreflect.Message) {
	w.visit(m.Interface())
	children(m, w.message)
}

// children calls visit for every message directly below m, in the order of the
// fields. A Node is one of some 270 alternatives, so it is asked which.
func children(m protoreflect.Message, visit func(protoreflect.Message)) {
	if _, node := m.Interface().(*pg.Node); node {
		if f := m.WhichOneof(m.Descriptor().Oneofs().Get(0)); f != nil {
			visit(m.Get(f).Message())
		}
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.Message() == nil || !m.Has(f):
		case f.IsList():
			for list, j := m.Get(f).List(), 0; j < list.Len(); j++ {
				visit(list.Get(j).Message())
			}
		default:
			visit(m.Get(f).Message())
		}
	}
}

func (w *walk) visit(node any) {
	s := w.s
	switch n := node.(type) {
	case *pg.LockingClause:
		if s.Write != nil {
			s.Obstacle = "locking" // of rows that are met, and not named
		}
		for _, r := range n.LockedRels {
			w.locked = append(w.locked, r.GetRangeVar())
		}
	case *pg.RangeVar:
		if slices.Contains(w.locked, n) { // FOR UPDATE OF m: an alias in FROM
			return
		}
		on, missing := w.missing[n]
		s.Relations = append(s.Relations, Relation{
			Name:    Name{n.Schemaname, n.Relname},
			Catalog: n.Catalogname,
			Alias:   n.Alias.GetAliasname(),
			Renamed: len(n.Alias.GetColnames()) > 0,
			Top:     slices.Contains(w.top, n),
			Only:    !n.Inh,
			Written: slices.Contains(w.written, n),
			Added:   slices.Contains(w.added, n),
			Tried:   slices.Contains(w.tried, n),
			Taken:   slices.Contains(w.taken, n),
			Locked:  slices.Contains(w.locking, n),
			Missing: missing,
			On:      on,
		})
	case *pg.InsertStmt:
		w.write(n.Relation)
		if n.OnConflictClause == nil || n.OnConflictClause.Action == pg.OnConflictAction_ONCONFLICT_NOTHING {
			w.added = append(w.added, n.Relation)
		}
	case *pg.UpdateStmt:
		w.write(n.Relation)
	case *pg.DeleteStmt:
		w.write(n.Relation)
	case *pg.MergeStmt:
		w.write(n.Relation)
	case *pg.TruncateStmt:
		for _, r := range n.Relations {
			w.write(r.GetRangeVar())
		}
	case *pg.CopyStmt:
		if n.IsFrom {
			w.write(n.Relation)
			w.added = append(w.added, n.Relation)
		}
	case *pg.CreateStmt:
		for _, r := range n.InhRelations {
			w.taken = append(w.taken, r.GetRangeVar())
		}
	case *pg.TableLikeClause:
		w.taken = append(w.taken, n.Relation)
	case *pg.ExecuteStmt:
		s.Runs = Execute
	case *pg.FetchStmt:
		s.Runs = Fetch
	case *pg.CallStmt:
		s.Runs = Call
	case *pg.DoStmt:
		s.Runs = Do
	case *pg.CommonTableExpr:
		w.ctes = append(w.ctes, n.Ctename)
	case *pg.FuncCall:
		name := nameOf(n.Funcname)
		s.Functions = append(s.Functions, Function{
			Name:      name,
			Aggregate: n.AggStar || n.AggDistinct || n.AggWithinGroup || n.AggFilter != nil || len(n.AggOrder) > 0,
			Window:    n.Over != nil,
			Special:   n.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX,
			Args:      len(n.Args),
		})
		if name.Name == "set_config" {
			s.Settings = append(s.Settings, w.configured(n))
		}
	// A server older than the grammar takes these for functions by name.
	case *pg.JsonParseExpr:
		w.special("json")
	case *pg.JsonScalarExpr:
		w.special("json_scalar")
	case *pg.JsonSerializeExpr:
		w.special("json_serialize")
	case *pg.JsonObjectConstructor:
		w.special("json_object")
	case *pg.JsonArrayConstructor, *pg.JsonArrayQueryConstructor:
		w.special("json_array")
	case *pg.JsonObjectAgg:
		w.special("json_objectagg")
	case *pg.JsonArrayAgg:
		w.special("json_arrayagg")
	case *pg.JsonFuncExpr:
		w.special("json_exists")
		w.special("json_query")
		w.special("json_value")
	case *pg.JsonTable:
		w.special("json_table")
	case *pg.MergeSupportFunc:
		w.special("merge_action")
	case *pg.A_Expr:
		switch n.Kind {
		case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
			pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
			s.Operators = append(s.Operators, Name{Name: ">="}, Name{Name: "<="}, Name{Name: "<"}, Name{Name: ">"})
		default:
			s.Operators = append(s.Operators, nameOf(n.Name))
		}
	case *pg.SubLink:
		if len(n.OperName) > 0 {
			s.Operators = append(s.Operators, nameOf(n.OperName))
		} else if n.Testexpr != nil {
			s.Operators = append(s.Operators, Name{Name: "="})
		}
	case *pg.CaseExpr:
		if n.Arg != nil {
			s.Operators = append(s.Operators, Name{Name: "="})
		}
	case *pg.JoinExpr:
		if n.IsNatural || len(n.UsingClause) > 0 {
			s.Operators = append(s.Operators, Name{Name: "="})
		}
		for _, name := range fieldsOf(n.UsingClause) {
			w.column(Column{Fields: []string{name}})
		}
		if n.IsNatural { // whichever have one name
			w.column(Column{Fields: []string{"*"}})
		}
	case *pg.SortBy:
		if len(n.UseOp) > 0 {
			s.Operators = append(s.Operators, nameOf(n.UseOp))
		}
	case *pg.TypeName:
		if len(n.Names) > 0 {
			s.Types = append(s.Types, nameOf(n.Names))
		}
		if n.PctType { // table.column%TYPE
			w.names(n.Names)
		}
	case *pg.CollateClause:
		s.Collations = append(s.Collations, nameOf(n.Collname))
	case *pg.ColumnRef:
		w.column(Column{Fields: fieldsOf(n.Fields)})
	case *pg.A_Indirection:
		if f := fieldsOf(n.Indirection); len(f) > 0 {
			w.column(Column{Fields: f, Attribute: true})
		}
	case *pg.List:
		// Only DDL names things by lists of strings: DROP TABLE a.b.
		w.names(n.Items)
	}
}

func (w *walk) special(name string) {
	w.s.Functions = append(w.s.Functions, Function{Name: Name{Name: name}, Special: true})
}

func (w *walk) write(r *pg.RangeVar) {
	w.s.Writes = true
	w.written = append(w.written, r)
}

func (w *walk) column(c Column) {
	w.s.Columns = append(w.s.Columns, c)
}

// names notes a list of names that may name a relation, or a column of one.
func (w *walk) names(list []*pg.Node) {
	var parts []string
	for _, n := range list {
		str := n.GetString_()
		if str == nil {
			return
		}
		parts = append(parts, str.Sval)
	}
	for i := range parts {
		if i > 0 {
			w.s.Relations = append(w.s.Relations, Relation{Name: Name{parts[i-1], parts[i]}, Maybe: true})
		}
		w.maybe(parts[i])
	}
}

func (w *walk) maybe(name string) {
	if name != "" {
		w.s.Relations = append(w.s.Relations, Relation{Name: Name{Name: name}, Maybe: true})
	}
}

func (w *walk) finish() {
	for i := range w.s.Relations {
		r := &w.s.Relations[i]
		r.CTE = r.Schema == "" && slices.Contains(w.ctes, r.Name.Name)
	}
}

// settingNamed finds what pg_dump writes, and nothing else: SELECT
// set_config(name, …) FROM pg_settings WHERE name = 'constant'. There the name
// is that constant.
func settingNamed(n *pg.SelectStmt) (string, *pg.FuncCall) {
	if len(n.GetFromClause()) != 1 || len(n.TargetList) != 1 || n.Op != pg.SetOperation_SETOP_NONE || n.WithClause != nil {
		return "", nil
	}
	call := n.TargetList[0].GetResTarget().GetVal().GetFuncCall()
	from, where := n.FromClause[0].GetRangeVar(), n.WhereClause.GetAExpr()
	if from == nil || from.Relname != "pg_settings" || from.Schemaname != "" && from.Schemaname != "pg_catalog" || from.Alias != nil || where == nil ||
		where.Kind != pg.A_Expr_Kind_AEXPR_OP || nameOf(where.Name) != (Name{Name: "="}) {
		return "", nil
	}
	if f := fieldsOf(where.Lexpr.GetColumnRef().GetFields()); len(f) != 1 || f[0] != "name" {
		return "", nil
	}
	name, ok := constant(where.Rexpr)
	name = lower(name)
	// A temporary pg_settings may compare names in a way of its own, and take
	// "role " for "role". Among plain names no such two mean different settings.
	if !ok || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
		return "", nil
	}
	return name, call
}

// configured is the setting that a call of set_config changes.
func (w *walk) configured(n *pg.FuncCall) Setting {
	var set Setting
	if len(n.Args) != 3 {
		return set
	}
	name, ok := constant(n.Args[0])
	if f := fieldsOf(n.Args[0].GetColumnRef().GetFields()); len(f) == 1 && f[0] == "name" && n == w.namedCall {
		name, ok = w.named, true
	}
	value, ok2 := constant(n.Args[1])
	_, ok3 := constant(n.Args[2])
	set = Setting{Name: lower(name), Values: []string{value}, Known: ok && ok2 && ok3}
	set.Local, _ = isLocal(n.Args[2])
	set.Param, _ = valueParam(n.Args[1])
	return set
}

func nameOf(list []*pg.Node) Name {
	f := fieldsOf(list)
	switch len(f) {
	case 0:
		return Name{}
	case 1:
		return Name{Name: f[0]}
	}
	return Name{f[len(f)-2], f[len(f)-1]}
}

func fieldsOf(list []*pg.Node) []string {
	var fields []string
	for _, n := range list {
		switch {
		case n.GetString_() != nil:
			fields = append(fields, n.GetString_().Sval)
		case n.GetAStar() != nil:
			fields = append(fields, "*")
		}
	}
	return fields
}

// references lists every column reference below a node.
func references(n *pg.Node) []Column {
	if n == nil {
		return nil
	}
	var s Statement
	w := walk{s: &s}
	w.message(n.ProtoReflect())
	return s.Columns
}

// lower folds ASCII only, as the server folds identifiers of UTF-8 text.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
