package stmt

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// # The head row
//
// The names of an answer must be of the same snapshot as the answer, so both
// come from one statement, in which the client's own stands byte for byte:
//
//	SELECT q.*, CASE WHEN s.h THEN ARRAY(names) END AS __sekisho_1, …
//	FROM (VALUES (true), (false)) s(h)
//	LEFT JOIN LATERAL (SELECT i.*, true AS __sekisho_0 FROM (the statement) i
//	  WHERE NOT s.h OFFSET 0) q ON true
//	WHERE s.h OR q.__sekisho_0
//
// Its first row is the head: NULL in every column of the client's, and the
// names. The client's rows follow in their own order, with NULL for the names.
// OFFSET 0 keeps the planner from running the client's statement before the
// head is out.
//
// What the gate has to do with it:
//
//   - Take the last columns off every RowDescription: Rewrite.Mark and one for each
//     of the Names, in their order and by their name (Names.Column). What is
//     left is what the client would have got without, the origin of each column
//     included.
//   - PREPARE gives the head to each EXECUTE, whose text stays as it is.
//   - Ask for text in these columns if a Bind gives formats, whatever it asks
//     for its own.
//   - Hold the first DataRow of an execution back, read an array from each of
//     its last columns, and write the Access: class exact or contributed, as
//     Names.Exact says. A NULL in an array is a row without a key, and more
//     than MostNames keys are too many: either makes it any-row besides. Never
//     send that row. When the entry is durable, let the other rows flow behind
//     it, each without its last columns.
//   - An answer without a head that ends in CommandComplete is not the answer
//     of such a statement: end the session.
//   - Take one off the number of rows in the command tag. Ask for one row more
//     in the first Execute of a portal, and in the first FETCH of a cursor; the
//     entry of a cursor is made there, and says for all of it what may be
//     released.
//   - In COPY, the first line (behind the header) is the head. Its columns are
//     the last ones of each line.
//   - Turn the position in an error back with Rewrite.Position. One behind the
//     statement's end is in the names, and means nothing to the client. So may
//     the error's text: the names read rows that the statement may not have
//     reached, and may fail where it would not have.
//   - If the server does not take the text (SQLSTATE class 42), or its names
//     take more time or memory than the statement itself had been given, refuse
//     or record as any-row, as for a statement that has no head.
//   - Refuse what Provenance refuses as before. A statement without any
//     condition on a protected table has everybody for its names: it may be
//     cheaper to record it as any-row, unread.

// headNames is true in the head row.
const headNames = Hidden + "h"

// markOf is the name of the column that is NULL in the head row, and true in
// the statement's own. Like Column it says which statement's rows these are.
func markOf(text string) string {
	h := fnv.New32a()
	h.Write([]byte(text))
	return fmt.Sprintf("%s0%08x", Hidden, h.Sum32())
}

// Column is the name of the column of these names, the i-th behind
// Rewrite.Mark, from 1. It says whose names they are, so that whoever reads a description of
// rows can tell which statement's they are.
func (n Names) Column(i int) string {
	class := "c"
	if n.Exact {
		class = "e"
	}
	h := fnv.New32a()
	h.Write([]byte(n.Space))
	return fmt.Sprintf("%s%d%s%08x", Hidden, i, class, h.Sum32())
}

// Head puts the names in front of the statement's own rows. The names must be
// Provenance's of the same statement. It takes a SELECT, COPY (SELECT) TO,
// PREPARE of a SELECT and DECLARE CURSOR, which becomes NO SCROLL: nobody may
// move back to the head.
func Head(s *Statement, names []Names) (Rewrite, error) {
	if len(names) == 0 {
		return Rewrite{}, fmt.Errorf("%w: there are no names", ErrRewrite)
	}
	if strings.Contains(lower(s.Text), Hidden) {
		return Rewrite{}, fmt.Errorf("%w: it uses a name that begins with %s", ErrRewrite, Hidden)
	}
	want, err := parse(s.Text)
	if err != nil {
		return Rewrite{}, err
	}
	if len(want.Stmts) != 1 {
		return Rewrite{}, ErrRewrite
	}
	place, sel := inner(want.Stmts[0].Stmt)
	if sel == nil {
		return Rewrite{}, fmt.Errorf("%w: it is not a SELECT", ErrRewrite)
	}
	from, to, cursor, err := s.query()
	if err != nil {
		return Rewrite{}, err
	}
	text := s.Text
	early := ""
	if c := want.Stmts[0].Stmt.GetDeclareCursorStmt(); c != nil {
		switch {
		case c.Options&scroll != 0:
			return Rewrite{}, fmt.Errorf("%w: its cursor may be moved back; declare it NO SCROLL", ErrRewrite)
		case c.Options&binary != 0:
			return Rewrite{}, fmt.Errorf("%w: its cursor is BINARY", ErrRewrite)
		case c.Options&noScroll == 0:
			early = "NO SCROLL "
			text = text[:cursor] + early + text[cursor:]
			from, to = from+len(early), to+len(early)
			c.Options |= noScroll
		}
	}
	mark := markOf(s.Text)
	arrays := func(text func(i int) string) string {
		var b strings.Builder
		for i := range names {
			fmt.Fprintf(&b, ", CASE WHEN %ss.%s THEN ARRAY(%s) END AS %s", Hidden, headNames, text(i), names[i].Column(i+1))
		}
		return b.String()
	}
	before := func(list string) string {
		return "SELECT " + Hidden + "q.*" + list + " FROM (VALUES (true), (false)) " + Hidden + "s(" + headNames + ") LEFT JOIN LATERAL (SELECT " +
			Hidden + "i.*, true AS " + mark + " FROM ("
	}
	// A comment at the statement's end must not swallow what comes behind it.
	after := "\n) " + Hidden + "i WHERE NOT " + Hidden + "s." + headNames + " OFFSET 0) " + Hidden + "q ON true WHERE " +
		Hidden + "s." + headNames + " OR " + Hidden + "q." + mark
	insert := before(arrays(func(i int) string { return names[i].Text }))
	if from > 0 {
		insert = " " + insert
	}
	r := Rewrite{Text: text[:from] + insert + text[from:to] + after + text[to:], At: from - len(early), Insert: insert, Early: len(early), Mark: mark}

	// The tree that is meant, in which nothing depends on where a text ends.
	meant, err := pg.Parse(before(arrays(func(i int) string { return "SELECT " + strconv.Itoa(i) })) + "SELECT" + after)
	if err != nil {
		return Rewrite{}, ErrRewrite
	}
	head := meant.Stmts[0].Stmt.GetSelectStmt()
	client := head.FromClause[0].GetJoinExpr().Rarg.GetRangeSubselect().Subquery.GetSelectStmt()
	client.FromClause[0].GetRangeSubselect().Subquery = selectNode(proto.Clone(sel).(*pg.SelectStmt))
	for i, n := range names {
		if n.query == nil {
			return Rewrite{}, fmt.Errorf("%w: names that are not Provenance's", ErrRewrite)
		}
		head.TargetList[i+1].GetResTarget().Val.GetCaseExpr().Args[0].GetCaseWhen().Result.GetSubLink().Subselect = selectNode(n.query)
	}
	place.Node = &pg.Node_SelectStmt{SelectStmt: head}
	got, err := parse(r.Text)
	if err != nil {
		return Rewrite{}, fmt.Errorf("%w: %w", ErrRewrite, err)
	}
	want = proto.Clone(want).(*pg.ParseResult)
	if !same(want, got) {
		return Rewrite{}, ErrRewrite
	}
	return r, nil
}

// CURSOR_OPT_… of PostgreSQL's parsenodes.h.
const (
	binary   = 1
	scroll   = 2
	noScroll = 4
)

// query is where in the text the query that it runs stands, and of DECLARE the
// word CURSOR. It may be mistaken in texts that nobody has thought of yet; the
// proof makes that harmless.
func (s *Statement) query() (from, to, cursor int, err error) {
	var before pg.Token
	switch {
	case s.Kind == Select:
		return 0, len(s.Text), 0, nil
	case s.Copy != nil && s.Copy.Query != nil:
		if s.Copy.targetAt >= s.Copy.targetEnd {
			return 0, 0, 0, ErrRewrite
		}
		return s.Copy.targetAt, s.Copy.targetEnd, 0, nil
	case s.Kind == Prepare:
		before = pg.Token_AS
	case s.Kind == Declare:
		before = pg.Token_FOR
	default:
		return 0, 0, 0, fmt.Errorf("%w: it is not a SELECT", ErrRewrite)
	}
	scan, err := pg.Scan(s.Text)
	if err != nil {
		return 0, 0, 0, ErrRewrite
	}
	for _, t := range scan.Tokens {
		switch t.Token {
		case pg.Token_CURSOR:
			cursor = int(t.Start)
		case before:
			return int(t.End), len(s.Text), cursor, nil
		}
	}
	return 0, 0, 0, ErrRewrite
}
