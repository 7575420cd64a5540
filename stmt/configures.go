package stmt

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// What is certain of settings: that they take effect, when, and for how long.

// configures: a SELECT of nothing but calls of set_config, which all run, once,
// when it runs.
func configures(n *pg.SelectStmt) bool {
	if n.Op != pg.SetOperation_SETOP_NONE || n.WithClause != nil || n.IntoClause != nil || n.WhereClause != nil || n.HavingClause != nil ||
		n.LimitCount != nil || n.LimitOffset != nil || n.All || len(n.TargetList) == 0 ||
		len(n.FromClause)+len(n.GroupClause)+len(n.SortClause)+len(n.DistinctClause)+len(n.WindowClause)+len(n.ValuesLists)+len(n.LockingClause) > 0 {
		return false
	}
	return !slices.ContainsFunc(n.TargetList, func(t *pg.Node) bool {
		call := t.GetResTarget().GetVal().GetFuncCall()
		if call == nil || call.Over != nil || call.AggFilter != nil || call.AggDistinct || call.AggWithinGroup || call.AggStar || call.FuncVariadic || len(call.AggOrder) > 0 || len(call.Args) != 3 {
			return true
		}
		name := nameOf(call.Funcname)
		if name.Name != "set_config" || name.Schema != "" && name.Schema != "pg_catalog" {
			return true
		}
		_, ok := constant(call.Args[0])
		_, plain := constant(call.Args[1])
		_, given := valueParam(call.Args[1])
		_, how := isLocal(call.Args[2])
		return !ok || !plain && !given || !how
	})
}

// valueParam is the number of the parameter that the second argument of
// set_config is.
func valueParam(n *pg.Node) (int, bool) {
	if c := n.GetTypeCast(); c != nil {
		if t := nameOf(c.TypeName.GetNames()); t != (Name{"", "text"}) && t != (Name{"pg_catalog", "text"}) || len(c.TypeName.GetArrayBounds()) > 0 {
			return 0, false
		}
		n = c.Arg
	}
	p := n.GetParamRef()
	return int(p.GetNumber()), p.GetNumber() > 0
}

// isLocal reads the third argument of set_config.
func isLocal(n *pg.Node) (local, ok bool) {
	v, ok := constant(n)
	switch strings.ToLower(v) {
	case "true", "t":
		return true, ok
	case "false", "f":
		return false, ok
	}
	return false, false
}
