package stmt

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// An Asked is a condition of a plain SELECT that every row of the answer meets:
// a column equals one value that the statement names. Which column that is, and
// what the server takes the value for, is not proven: it says what to expect,
// and whoever uses it looks at what comes.
type Asked struct {
	Column Column
	Param  int // the value is that of this parameter, from 1; 0: it is a literal
	At     int // of a literal: the byte at which it begins, in the text given to Analyse
}

// asked finds such conditions in a WHERE.
func asked(n *pg.Node) (all []Asked) {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		for _, a := range b.Args {
			all = append(all, asked(a)...)
		}
		return all
	}
	e := n.GetAExpr()
	if e == nil || e.Kind != pg.A_Expr_Kind_AEXPR_OP || nameOf(e.Name).Name != "=" {
		return nil
	}
	column, value := e.Lexpr.GetColumnRef(), e.Rexpr
	if column == nil {
		column, value = e.Rexpr.GetColumnRef(), e.Lexpr
	}
	if column == nil {
		return nil
	}
	for value.GetTypeCast() != nil {
		value = value.GetTypeCast().Arg
	}
	a := Asked{Column: Column{Fields: fieldsOf(column.Fields)}}
	switch c := value.GetAConst(); {
	case value.GetParamRef() != nil:
		a.Param = int(value.GetParamRef().Number)
	case c != nil && (c.GetIval() != nil || c.GetFval() != nil || c.GetSval() != nil):
		a.At = int(c.Location)
	default:
		return nil
	}
	return []Asked{a}
}
