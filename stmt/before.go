package stmt

import (
	"fmt"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// Before gives a query for the keys that the rows of an UPDATE have before it
// runs, for one that may give them others: its RETURNING says only what they are
// afterwards. It reads what the UPDATE reads, and locks the rows as the UPDATE
// will: so a row that somebody else has changed meanwhile is named as it is
// then, and stays so until the UPDATE comes to it. A NULL among them is a row
// without a key. of says whose keys they are, and of what class.
func (s *Statement) Before(key string, of Names) (n Names, err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case gaveUp:
			n, err = Names{}, fmt.Errorf("%w: %w", ErrNames, why.error)
		default:
			panic(why)
		}
	}()
	tree, err := parse(s.Text)
	if err != nil || len(tree.Stmts) != 1 {
		return Names{}, ErrRewrite
	}
	u := tree.Stmts[0].Stmt.GetUpdateStmt()
	if u == nil || len(s.Changes) > 0 {
		giveUp("it is no UPDATE")
	}
	read := fresh()
	read.WithClause, read.WhereClause = u.WithClause, u.WhereClause
	read.FromClause = append([]*pg.Node{rangeVar(proto.Clone(u.Relation).(*pg.RangeVar))}, u.FromClause...)
	read.TargetList = []*pg.Node{pg.MakeResTargetNodeWithNameAndVal(keyName, columnRef([]string{refOf(u.Relation), key}), 0)}
	read.LockingClause = []*pg.Node{{Node: &pg.Node_LockingClause{LockingClause: &pg.LockingClause{
		LockedRels: []*pg.Node{rangeVar(&pg.RangeVar{Relname: refOf(u.Relation), Inh: true, Relpersistence: "p"})},
		Strength:   pg.LockClauseStrength_LCS_FORNOKEYUPDATE, WaitPolicy: pg.LockWaitPolicy_LockWaitBlock,
	}}}}
	q := template("SELECT DISTINCT " + keyName + " FROM (SELECT 1) " + rowsName + " LIMIT " + strconv.Itoa(MostNames+1))
	q.FromClause[0].GetRangeSubselect().Subquery = selectNode(read)
	of.query, of.Text = q, deparse(q)
	return of, nil
}
