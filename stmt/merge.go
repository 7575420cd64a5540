package stmt

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// merge takes a MERGE as a write whose rows its RETURNING names, since
// PostgreSQL 17. What it reads is always told by a head, see readOfMerge.
func (s *Statement) merge(n *pg.MergeStmt, w *walk) {
	s.Obstacle = ""
	w.top = append(w.top, n.Relation)
	s.Write = &Write{Merges: &Merges{}}
	for _, each := range n.MergeWhenClauses {
		c := each.GetMergeWhenClause()
		switch c.GetCommandType() {
		case pg.CmdType_CMD_INSERT:
			s.Write.Merges.Inserts = true
			columns := assigned(c.TargetList)
			if s.Write.Merges.All = s.Write.Merges.All || len(columns) == 0; len(columns) > 0 {
				s.Write.Columns = append(s.Write.Columns, columns...)
			}
		case pg.CmdType_CMD_UPDATE:
			s.Write.Merges.Updates = true
			columns := assigned(c.TargetList)
			s.Write.Columns = append(s.Write.Columns, columns...)
			s.Write.Changes = append(s.Write.Changes, columns...)
		case pg.CmdType_CMD_DELETE:
			s.Write.Merges.Deletes, s.Write.Merges.All = true, true
		case pg.CmdType_CMD_NOTHING:
		default:
			s.Obstacle = "not_understood"
		}
	}
	if s.Write.Merges.All {
		s.Write.Columns = nil
	}
	s.returns(n.ReturningList)
}

// readOfMerge is a SELECT that reads what a MERGE reads: each row of its source
// with the row of its target, and what is made of them.
func readOfMerge(n *pg.MergeStmt) *pg.SelectStmt {
	sel := fresh()
	sel.WithClause = n.WithClause
	lone, lonely := false, false // rows of the source, and of the target, that meet none
	for _, each := range n.MergeWhenClauses {
		c := each.GetMergeWhenClause()
		if c.CommandType != pg.CmdType_CMD_NOTHING || c.Condition != nil {
			lone = lone || c.MatchKind == pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_TARGET
			lonely = lonely || c.MatchKind == pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE
		}
		subscripts(c.TargetList)
		values := append([]*pg.Node{c.Condition}, c.Values...)
		for _, t := range c.TargetList {
			val := t.GetResTarget().GetVal()
			if m := val.GetMultiAssignRef(); m != nil {
				if val = m.Source; m.Colno > 1 {
					continue
				}
			}
			values = append(values, val)
		}
		for _, v := range values {
			if v != nil && v.GetSetToDefault() == nil {
				sel.TargetList = append(sel.TargetList, pg.MakeResTargetNodeWithNameAndVal("", v, 0))
			}
		}
	}
	for _, t := range n.ReturningList {
		if hasSublink(t) {
			giveUp("a sub-select in the RETURNING of a MERGE")
		}
	}
	kind := pg.JoinType_JOIN_INNER
	switch {
	case lone && lonely:
		kind = pg.JoinType_JOIN_FULL
	case lone:
		kind = pg.JoinType_JOIN_LEFT
	case lonely:
		kind = pg.JoinType_JOIN_RIGHT
	}
	sel.FromClause = []*pg.Node{{Node: &pg.Node_JoinExpr{JoinExpr: &pg.JoinExpr{Jointype: kind, Larg: n.SourceRelation, Rarg: rangeVar(n.Relation), Quals: n.JoinCondition}}}}
	if len(sel.TargetList) == 0 {
		sel.TargetList = template("SELECT true").TargetList
	}
	return sel
}
