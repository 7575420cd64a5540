package stmt

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// A write says whose records it has touched by RETURNING their keys: PostgreSQL
// then tells of exactly the rows that it has inserted, changed or deleted, with
// the keys as they are after every default, trigger and conflict.

// Write is what is particular to an INSERT, UPDATE or DELETE whose rows can be
// named by hidden keys in its RETURNING. Its target is the relation that is
// Written and Top; so are the tables of its FROM or USING Top.
type Write struct {
	Returning bool     // it has a RETURNING of its own, whose list are the statement's Targets
	Columns   []string // that it gives values to; nil: all there are
	Changes   []string // of these, the ones that it changes in rows that were there: by UPDATE, or ON CONFLICT DO UPDATE
	Sources   []Column // of rows that are there, and that its values are made of
	Rows      int      // how many it tries to insert; 0: the text does not say
	Passes    bool     // by ON CONFLICT it may leave a row as it is: how many it says it wrote then tells of one that was there
	Merges    *Merges  // of a MERGE: what it may do to its rows; else nil
	Kept      []string // of Changes by ON CONFLICT, those that get what the row would have been inserted with
	Arbiter   []string // the columns of ON CONFLICT (a, b); nil: none, or more than columns
	Infers    bool     // ON CONFLICT names a constraint, an expression or a condition: which columns conflict, the text does not say
	Conflicts bool     // it has an ON CONFLICT
	Derived   []string // aliases of what it is joined with that is no relation
}

// Merges is what a MERGE may do to the rows of its target.
type Merges struct {
	Inserts, Updates, Deletes bool
	All                       bool // it gives values to all columns, or destroys rows
}

func (s *Statement) insert(n *pg.InsertStmt, w *walk) {
	s.Obstacle = ""
	w.top = append(w.top, n.Relation)
	s.Write = &Write{Columns: assigned(n.Cols)}
	switch values := n.SelectStmt.GetSelectStmt().GetValuesLists(); {
	case n.SelectStmt == nil:
		s.Write.Rows = 1
	default:
		s.Write.Rows = len(values)
	}
	if c := n.OnConflictClause; c != nil {
		s.Write.Conflicts = true
		s.Write.Passes = c.Action != pg.OnConflictAction_ONCONFLICT_UPDATE || c.WhereClause != nil
		s.Write.Changes = assigned(c.TargetList)
		if len(s.Write.Columns) > 0 {
			s.Write.Columns = append(s.Write.Columns, s.Write.Changes...)
		}
		s.Write.Sources = sources(c.TargetList)
		for _, t := range c.TargetList {
			r := t.GetResTarget()
			if f := fieldsOf(r.GetVal().GetColumnRef().GetFields()); len(r.Indirection) == 0 && len(f) == 2 && f[0] == "excluded" && f[1] == r.Name {
				s.Write.Kept = append(s.Write.Kept, r.Name)
			}
		}
		s.Tested = append(s.Tested, references(c.WhereClause)...)
		s.Write.Arbiter = arbiter(c.Infer)
		s.Write.Infers = c.Infer != nil && s.Write.Arbiter == nil
	}
	s.returns(n.ReturningList)
}

// arbiter are the columns that ON CONFLICT names, nil if it names anything else.
func arbiter(n *pg.InferClause) (columns []string) {
	if n == nil || n.Conname != "" || n.WhereClause != nil {
		return nil
	}
	for _, e := range n.IndexElems {
		name := e.GetIndexElem().GetName()
		if name == "" {
			return nil
		}
		columns = append(columns, name)
	}
	return columns
}

func (s *Statement) update(n *pg.UpdateStmt, w *walk) {
	s.Obstacle = ""
	w.top = append(w.top, n.Relation)
	columns := assigned(n.TargetList)
	s.Write = &Write{Columns: columns, Changes: columns, Sources: sources(n.TargetList)}
	s.joins(n.FromClause, n.WhereClause, w)
	s.returns(n.ReturningList)
}

func (s *Statement) delete(n *pg.DeleteStmt, w *walk) {
	s.Obstacle = ""
	w.top = append(w.top, n.Relation)
	s.Write = &Write{}
	s.joins(n.UsingClause, n.WhereClause, w)
	s.returns(n.ReturningList)
}

// joins takes the tables that a write is joined with, and its condition.
func (s *Statement) joins(from []*pg.Node, where *pg.Node, w *walk) {
	s.Obstacle = s.beside(from, true, w)
	for _, e := range append([]*pg.Node{where}, from...) {
		s.Tested = append(s.Tested, references(e)...)
	}
	if s.Obstacle != "" {
		w.top, s.Tested, s.Write = nil, nil, nil
	}
}

// beside accepts relations and joins, and whatever else gives rows: a relation
// within that is not Top, so that whoever needs its key finds it missing.
func (s *Statement) beside(list []*pg.Node, inner bool, w *walk) string {
	for _, item := range list {
		switch n := item.GetNode().(type) {
		case *pg.Node_RangeVar:
			if n.RangeVar.Alias != nil && len(n.RangeVar.Alias.Colnames) > 0 {
				return "column_alias"
			}
			w.top = append(w.top, n.RangeVar)
			if !inner {
				w.tried = append(w.tried, n.RangeVar)
			}
		case *pg.Node_JoinExpr:
			j := n.JoinExpr
			if j.Alias != nil || j.JoinUsingAlias != nil {
				return "join_alias"
			}
			if j.IsNatural {
				s.Tested = append(s.Tested, Column{Fields: []string{"*"}})
			}
			for _, name := range fieldsOf(j.UsingClause) {
				s.Tested = append(s.Tested, Column{Fields: []string{name}})
			}
			if o := s.beside([]*pg.Node{j.Larg, j.Rarg}, inner && j.Jointype == pg.JoinType_JOIN_INNER, w); o != "" {
				return o
			}
		case *pg.Node_RangeSubselect:
			s.Write.Derived = append(s.Write.Derived, n.RangeSubselect.Alias.GetAliasname())
		case *pg.Node_RangeFunction:
			s.Write.Derived = append(s.Write.Derived, n.RangeFunction.Alias.GetAliasname())
		case *pg.Node_RangeTableFunc, *pg.Node_JsonTable, *pg.Node_RangeTableSample:
		default:
			return "not_understood"
		}
	}
	return ""
}

// assigned are the columns that a list of assignments names.
func assigned(list []*pg.Node) (columns []string) {
	for _, n := range list {
		columns = append(columns, n.GetResTarget().GetName())
	}
	return columns
}

// sources are the columns that a list of assignments reads.
func sources(list []*pg.Node) (columns []Column) {
	for _, n := range list {
		columns = append(columns, references(n)...)
	}
	return columns
}

// returns takes a statement's own RETURNING.
func (s *Statement) returns(list []*pg.Node) {
	if s.Write == nil {
		return
	}
	s.Write.Returning = len(list) > 0
	for _, t := range list {
		s.Targets = append(s.Targets, target(t.GetResTarget()))
	}
}

// WithReturning adds the keys to the end of a plain write's RETURNING, or gives
// it one. Every byte of the statement stays. The result is parsed again, and
// proven to be the same tree with exactly these targets more.
func (s *Statement) WithReturning(keys []KeyRef) (Rewrite, error) {
	if s.As != nil {
		var err error
		if keys, err = s.keysAs(keys); err != nil {
			return Rewrite{}, err
		}
		s = s.As
	}
	if s.Write == nil || s.Obstacle != "" || len(keys) == 0 {
		return Rewrite{}, ErrRewrite
	}
	if strings.Contains(lower(s.Text), Hidden) {
		return Rewrite{}, fmt.Errorf("%w: it uses a name that begins with %s", ErrRewrite, Hidden)
	}
	at, err := lastToken(s.Text)
	if err != nil {
		return Rewrite{}, err
	}
	want, err := parse(s.Text)
	if err != nil || len(want.Stmts) != 1 {
		return Rewrite{}, ErrRewrite
	}
	var list *[]*pg.Node
	switch n := want.Stmts[0].Stmt.GetNode().(type) {
	case *pg.Node_InsertStmt:
		list = &n.InsertStmt.ReturningList
	case *pg.Node_UpdateStmt:
		list = &n.UpdateStmt.ReturningList
	case *pg.Node_DeleteStmt:
		list = &n.DeleteStmt.ReturningList
	case *pg.Node_MergeStmt:
		list = &n.MergeStmt.ReturningList
	default:
		return Rewrite{}, ErrRewrite
	}
	var insert strings.Builder
	if !s.Write.Returning {
		insert.WriteString(" RETURNING ")
	}
	for i, k := range keys {
		if i > 0 || s.Write.Returning {
			insert.WriteString(", ")
		}
		ref, err := s.field(k)
		if err != nil {
			return Rewrite{}, err
		}
		name := fmt.Sprintf("%s%d", Hidden, i+1)
		fmt.Fprintf(&insert, "%s AS %s", quoteAll(ref), name)
		*list = append(*list, pg.MakeResTargetNodeWithNameAndVal(name, columnRef(ref), 0))
	}
	r := Rewrite{At: at, Insert: insert.String(), last: true}
	r.Text = s.Text[:at] + r.Insert + s.Text[at:]
	if err := proven(want, r.Text); err != nil {
		return Rewrite{}, err
	}
	if key, _, ok := shapeKey(s.Text); ok && s.Start == 0 && len(s.Settings) == 0 {
		r.shape = key
	}
	return r, nil
}

// keysAs are these keys in the statement as the client wrote it, of which this one
// is written out. A function that is written out stands in a query of its own, so
// the tables that have keys are the same, in the same order.
func (s *Statement) keysAs(keys []KeyRef) (own []KeyRef, err error) {
	top := func(s *Statement) (list []int) {
		for i, r := range s.Relations {
			if r.Top && !r.CTE {
				list = append(list, i)
			}
		}
		return list
	}
	here, there := top(s), top(s.As)
	for _, k := range keys {
		n := slices.Index(here, k.Relation)
		if n < 0 || len(here) != len(there) {
			return nil, fmt.Errorf("%w: a key of a table that the statement does not name", ErrRewrite)
		}
		is, was := s.Relations[k.Relation], s.As.Relations[there[n]]
		if is.Name != was.Name || is.Ref() != was.Ref() || is.Written != was.Written {
			return nil, fmt.Errorf("%w: the tables of the statement are others than those written out", ErrRewrite)
		}
		own = append(own, KeyRef{Relation: there[n], Column: k.Column})
	}
	return own, nil
}

// lastToken is where the last word of a statement ends, before any comment.
func lastToken(text string) (end int, err error) {
	scan, err := pg.Scan(text)
	if err != nil {
		return 0, ErrRewrite
	}
	for _, t := range scan.Tokens {
		if t.Token != pg.Token_SQL_COMMENT && t.Token != pg.Token_C_COMMENT {
			end = int(t.End)
		}
	}
	if end == 0 || end > len(text) {
		return 0, ErrRewrite
	}
	return end, nil
}
