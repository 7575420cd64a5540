package stmt

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// plain decides whether a SELECT is plain, and sets Obstacle and Targets.
func (s *Statement) plain(n *pg.SelectStmt, w *walk) {
	s.Obstacle = obstacle(n)
	if s.Obstacle == "" {
		s.Obstacle = s.from(n.FromClause, w)
	}
	if s.Obstacle == "" {
		s.Obstacle = expressions(n)
	}
	if s.Obstacle == "" {
		s.Obstacle = w.locks(n)
	}
	if s.Obstacle == "" {
		w.missed(n)
		var ok bool
		if s.Skip, ok = skip(n); !ok {
			s.Obstacle = "offset"
		}
	}
	if s.Obstacle != "" {
		w.top, s.Tested = nil, nil
		return
	}
	for _, t := range n.TargetList {
		s.Targets = append(s.Targets, target(t.GetResTarget()))
	}
	s.Asked = asked(n.WhereClause)
	s.Tested = append(s.Tested, references(n.WhereClause)...)
	for _, list := range [][]*pg.Node{n.FromClause, n.SortClause} {
		for _, e := range list {
			s.Tested = append(s.Tested, references(e)...)
		}
	}
	s.Tested = append(append(s.Tested, references(n.LimitCount)...), references(n.LimitOffset)...)
	s.Writes = s.Writes || len(n.LockingClause) > 0
}

// locks notes what a SELECT locks. A lock stays on a row that is left out after
// it was taken, and can be asked for later.
func (w *walk) locks(n *pg.SelectStmt) string {
	for _, each := range n.LockingClause {
		c := each.GetLockingClause()
		if c == nil || n.LimitOffset != nil || n.LimitOption == pg.LimitOption_LIMIT_OPTION_WITH_TIES || c.WaitPolicy == pg.LockWaitPolicy_LockWaitSkip {
			return "locking"
		}
		for _, r := range w.top {
			name := refOf(r)
			if len(c.LockedRels) == 0 || slices.ContainsFunc(c.LockedRels, func(of *pg.Node) bool { return of.GetRangeVar().GetRelname() == name }) {
				w.locking = append(w.locking, r)
			}
		}
	}
	return ""
}

func obstacle(n *pg.SelectStmt) string {
	switch {
	case n.Op != pg.SetOperation_SETOP_NONE:
		return "set_operation"
	case n.WithClause != nil:
		return "cte"
	case n.IntoClause != nil:
		return "into"
	case len(n.ValuesLists) > 0:
		return "values"
	case len(n.DistinctClause) > 0:
		return "distinct"
	case len(n.GroupClause) > 0:
		return "group_by"
	case n.HavingClause != nil:
		return "having"
	case len(n.WindowClause) > 0:
		return "window"
	}
	return ""
}

// from accepts relations and joins of relations only.
func (s *Statement) from(list []*pg.Node, w *walk) string {
	for _, item := range list {
		switch n := item.GetNode().(type) {
		case *pg.Node_RangeVar:
			if n.RangeVar.Alias != nil && len(n.RangeVar.Alias.Colnames) > 0 {
				return "column_alias"
			}
			w.top = append(w.top, n.RangeVar)
		case *pg.Node_JoinExpr:
			j := n.JoinExpr
			switch {
			case j.Alias != nil || j.JoinUsingAlias != nil:
				return "join_alias"
			case j.Jointype != pg.JoinType_JOIN_INNER && j.Jointype != pg.JoinType_JOIN_LEFT &&
				j.Jointype != pg.JoinType_JOIN_RIGHT && j.Jointype != pg.JoinType_JOIN_FULL:
				return "not_understood"
			}
			if j.IsNatural {
				s.Tested = append(s.Tested, Column{Fields: []string{"*"}})
			}
			for _, name := range fieldsOf(j.UsingClause) {
				s.Tested = append(s.Tested, Column{Fields: []string{name}})
			}
			if o := s.from([]*pg.Node{j.Larg, j.Rarg}, w); o != "" {
				return o
			}
			if j.Jointype == pg.JoinType_JOIN_LEFT || j.Jointype == pg.JoinType_JOIN_FULL {
				w.try(j, j.Rarg)
			}
			if j.Jointype == pg.JoinType_JOIN_RIGHT || j.Jointype == pg.JoinType_JOIN_FULL {
				w.try(j, j.Larg)
			}
		case *pg.Node_RangeSubselect:
			switch {
			case n.RangeSubselect.Lateral:
				return "lateral"
			case len(n.RangeSubselect.Subquery.GetSelectStmt().GetValuesLists()) > 0:
				return "values"
			}
			return "sub_select"
		case *pg.Node_RangeFunction, *pg.Node_RangeTableFunc, *pg.Node_JsonTable:
			return "function_in_from"
		case *pg.Node_RangeTableSample:
			return "tablesample"
		default:
			return "not_understood"
		}
	}
	return ""
}

// try marks the relations of the side of an outer join that may be missing, if
// the join's own condition, or one within that side, is more than equalities
// of columns.
func (w *walk) try(join *pg.JoinExpr, side *pg.Node) {
	equal := equalities(join.Quals)
	var relations []*pg.RangeVar
	var visit func(n *pg.Node)
	visit = func(n *pg.Node) {
		if r := n.GetRangeVar(); r != nil {
			relations = append(relations, r)
		}
		if j := n.GetJoinExpr(); j != nil {
			equal = equal && equalities(j.Quals)
			visit(j.Larg)
			visit(j.Rarg)
		}
	}
	visit(side)
	if !equal {
		w.tried = append(w.tried, relations...)
		return
	}
	if w.missing == nil {
		w.missing = map[*pg.RangeVar][]Column{}
	}
	for _, r := range relations {
		_, before := w.missing[r] // in a join within this side
		w.missing[r] = nil
		if !before && side.GetRangeVar() == r {
			w.missing[r] = joinedOn(join)
		}
	}
}

// missed marks the sides that may be missing as tried, if the statement may
// leave out a row because one of theirs is there: then that it is there is
// told, and named by nobody. A condition that is never true of NULL leaves out
// the same rows whether it is there or not.
func (w *walk) missed(n *pg.SelectStmt) {
	if len(w.missing) == 0 {
		return
	}
	certain := func(e *pg.Node) bool {
		return !slices.ContainsFunc(references(e), func(c Column) bool {
			return len(c.Fields) < 2 || !slices.ContainsFunc(w.top, func(r *pg.RangeVar) bool {
				_, may := w.missing[r]
				return !may && c.Fields[len(c.Fields)-2] == refOf(r)
			})
		})
	}
	var holds func(e *pg.Node) bool
	holds = func(e *pg.Node) bool {
		if b := e.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
			return !slices.ContainsFunc(b.Args, func(a *pg.Node) bool { return !holds(a) })
		}
		return e == nil || strict(e) || certain(e)
	}
	sorted := n.LimitCount == nil || !slices.ContainsFunc(n.SortClause, func(e *pg.Node) bool { return !certain(e) })
	if holds(n.WhereClause) && sorted {
		return
	}
	for r := range w.missing {
		w.tried = append(w.tried, r)
	}
}

// refOf is how a relation's columns are qualified.
func refOf(r *pg.RangeVar) string {
	if name := r.Alias.GetAliasname(); name != "" {
		return name
	}
	return r.Relname
}

// strict: a condition that is not true if one of its columns is NULL.
func strict(n *pg.Node) bool {
	if t := n.GetNullTest(); t != nil {
		return t.Nulltesttype == pg.NullTestType_IS_NOT_NULL && operand(t.Arg)
	}
	e := n.GetAExpr()
	if e == nil || !operand(e.Lexpr) {
		return false
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		return slices.Contains([]string{"=", "<>", "<", ">", "<=", ">="}, nameOf(e.Name).Name) && operand(e.Rexpr)
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE:
		return operand(e.Rexpr)
	case pg.A_Expr_Kind_AEXPR_IN:
		return nameOf(e.Name).Name == "=" && e.Rexpr.GetList() != nil && !slices.ContainsFunc(e.Rexpr.GetList().Items, func(i *pg.Node) bool { return !operand(i) })
	case pg.A_Expr_Kind_AEXPR_BETWEEN:
		items := e.Rexpr.GetList().GetItems()
		return len(items) == 2 && operand(items[0]) && operand(items[1])
	}
	return false
}

// operand is a column, a constant or a parameter, perhaps cast: a cast of NULL
// is NULL, unless a function says otherwise, and such casts are refused.
func operand(n *pg.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().Arg
	}
	return n.GetColumnRef() != nil || n.GetAConst() != nil || n.GetParamRef() != nil
}

// joinedOn is what a join by equalities compares, if it is one equality.
func joinedOn(join *pg.JoinExpr) []Column {
	switch using := fieldsOf(join.UsingClause); {
	case join.IsNatural || len(using) > 1:
		return nil
	case len(using) == 1:
		return []Column{{Fields: using}}
	}
	e := join.Quals.GetAExpr()
	if e == nil || e.Lexpr.GetColumnRef() == nil || e.Rexpr.GetColumnRef() == nil {
		return nil
	}
	return []Column{{Fields: fieldsOf(e.Lexpr.GetColumnRef().GetFields())}, {Fields: fieldsOf(e.Rexpr.GetColumnRef().GetFields())}}
}

// equalities says whether a join's condition is nothing but column = column, or
// column = constant or parameter, once or several times with AND. USING and
// NATURAL leave none, and are just that.
func equalities(n *pg.Node) bool {
	if n == nil {
		return true
	}
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		return !slices.ContainsFunc(b.Args, func(a *pg.Node) bool { return !equalities(a) })
	}
	e := n.GetAExpr()
	return e != nil && e.Kind == pg.A_Expr_Kind_AEXPR_OP && nameOf(e.Name).Name == "=" &&
		(e.Lexpr.GetColumnRef() != nil && comparable(e.Rexpr) || comparable(e.Lexpr) && e.Rexpr.GetColumnRef() != nil)
}

// comparable is a column, a constant or a parameter, perhaps with a type.
func comparable(n *pg.Node) bool {
	if cast := n.GetTypeCast(); cast != nil {
		n = cast.Arg
		if n.GetColumnRef() != nil {
			return false
		}
	}
	return n.GetColumnRef() != nil || n.GetAConst() != nil || n.GetParamRef() != nil
}

// expressions says whether everything below n is a node that is known to be
// harmless in a plain statement: the server evaluates it for each row, and it
// neither joins rows together nor reads rows of its own.
func expressions(n *pg.SelectStmt) string {
	var reason string
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		if reason != "" {
			return
		}
		switch e := m.Interface().(type) {
		case *pg.SelectStmt:
			if e != n {
				reason = "sub_select"
			}
		case *pg.FuncCall:
			switch {
			case e.Over != nil:
				reason = "window"
			case e.AggStar || e.AggDistinct || e.AggWithinGroup || e.AggFilter != nil || len(e.AggOrder) > 0:
				reason = "aggregate"
			}
		case *pg.SubLink:
			reason = "sub_select"
		case *pg.GroupingFunc:
			reason = "group_by"
		case *pg.Node, *pg.RangeVar, *pg.JoinExpr, *pg.Alias, *pg.ResTarget, *pg.SortBy, *pg.LockingClause,
			*pg.ColumnRef, *pg.A_Const, *pg.ParamRef, *pg.A_Expr, *pg.BoolExpr, *pg.NullTest, *pg.BooleanTest,
			*pg.CaseExpr, *pg.CaseWhen, *pg.CoalesceExpr, *pg.MinMaxExpr, *pg.TypeCast, *pg.TypeName,
			*pg.CollateClause, *pg.A_ArrayExpr, *pg.A_Indirection, *pg.A_Indices, *pg.A_Star, *pg.RowExpr,
			*pg.NamedArgExpr, *pg.SQLValueFunction, *pg.XmlExpr, *pg.XmlSerialize,
			*pg.List, *pg.String, *pg.Integer, *pg.Float, *pg.Boolean, *pg.BitString:
		default:
			reason = "not_understood"
		}
		if reason == "" {
			children(m, visit)
		}
	}
	visit(n.ProtoReflect())
	return reason
}

func target(t *pg.ResTarget) Target {
	out := Target{Refs: references(t.GetVal())}
	if c := t.GetVal().GetColumnRef(); c != nil {
		f := fieldsOf(c.Fields)
		switch {
		case len(f) == 1 && f[0] == "*":
			out.Kind = Star
		case len(f) > 1 && f[len(f)-1] == "*":
			out.Kind = TableStar
		default:
			out.Kind = Reference
		}
	}
	return out
}
