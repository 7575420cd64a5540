package stmt

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// KeyRef asks for one hidden column: column Column of the relation that is
// Statement.Relations[Relation].
type KeyRef struct {
	Relation int
	Column   string
}

// Hidden begins the name of every hidden column. The name keeps ORDER BY from
// finding the column; whoever strips it finds it by its position from the end,
// never by its name.
const Hidden = "__sekisho_"

// ErrRewrite is a plain statement to which the keys cannot be added with
// proof that nothing else changed.
var ErrRewrite = errors.New("the statement cannot be given hidden key columns")

// Rewrite is a statement with hidden keys as the last columns of its result.
type Rewrite struct {
	Text   string // the whole statement
	At     int    // byte offset in the statement as written where Insert was put
	Cut    int    // bytes of the statement as written that Insert replaces; only of TABLE t, and of COPY of a relation
	Insert string // the keys alone: what Skip changes stands behind them, in Text
	Moved  bool   // masked: an error position in it means nothing in the statement as written
	Mark   string // of a head: the column that is NULL in its row, and true in the statement's own; behind the client's columns
	Early  int    // bytes put in before At besides, of which no error speaks: DECLARE becomes NO SCROLL

	last  bool   // Insert stands behind the last word, not before the first literal
	cut   int    // characters in the bytes that Insert replaces
	edits []edit // of a masked statement, instead of At, Cut and Insert
	shape string // of the statement as written, if the same insertion fits all texts of this shape
}

// Position turns an error position in the rewritten statement, in characters
// from 1 as in the field P of ErrorResponse, into one in the statement as
// written. A position inside the insertion becomes the place of the insertion.
func (r Rewrite) Position(p int) int {
	p = max(p-r.Early, 1)
	at := utf8.RuneCountInString(r.Text[:r.At])
	grown := utf8.RuneCountInString(r.Insert)
	switch {
	case p <= at:
		return p
	case p <= at+grown:
		return at + 1
	}
	return p - grown + r.cut
}

// Apply puts the same keys into another text. It reports false unless that is
// certain to be right: the text has the same ShapeKey as the one that was
// rewritten, and the insertion lies before its first literal, where two texts
// of one shape are the same byte for byte, or at its end. The text may end in a semicolon
// even if the one rewritten did not, and the other way round: ShapeKey is the
// same for both.
func (r Rewrite) Apply(text, shapeKey string) (string, bool) {
	if r.shape == "" || r.shape != shapeKey || r.At > len(text) {
		return "", false
	}
	if n := len(r.edits); n > 0 {
		if r.edits[n-1].end > len(text) {
			return "", false
		}
		out, err := edited(text, r.edits)
		return out, err == nil
	}
	if r.last { // a text that has a shape has no comments
		const blank = " \t\r\n"
		at := len(strings.TrimRight(strings.TrimSuffix(strings.TrimRight(text, blank), ";"), blank))
		return text[:at] + r.Insert + text[at:], true
	}
	return text[:r.At] + r.Insert + text[r.At:], true
}

// keyed finds where the keys go in: into which plain SELECT, and what topFrom
// says of it.
func (s *Statement) keyed(keys []KeyRef) (of *Statement, at, table int, err error) {
	of, from, to := s, 0, len(s.Text)
	if s.Copy != nil && s.Copy.Query != nil {
		of, from, to = s.Copy.Query, s.Copy.targetAt, s.Copy.targetEnd
	}
	if of.Kind != Select || of.Obstacle != "" || len(keys) == 0 || from >= to {
		return nil, 0, 0, ErrRewrite
	}
	if strings.Contains(lower(s.Text), Hidden) {
		return nil, 0, 0, fmt.Errorf("%w: it uses a name that begins with %s", ErrRewrite, Hidden)
	}
	at, table, err = topFrom(s.Text, from, to)
	return of, at, table, err
}

// WithKeys adds the keys to a plain SELECT, or to COPY (plain SELECT) TO, in
// which case Relation counts in Copy.Query.Relations. Every other byte of the
// statement stays, but for what Skip says of LIMIT and OFFSET. The result is
// parsed again, and proven to be the same tree with exactly these targets more.
func (s *Statement) WithKeys(keys []KeyRef) (Rewrite, error) {
	of, at, table, err := s.keyed(keys)
	if err != nil {
		return Rewrite{}, err
	}
	var insert strings.Builder
	if table > 0 { // TABLE t is SELECT * FROM t
		insert.WriteString("SELECT *")
	}
	for i, k := range keys {
		if i > 0 || len(of.Targets) > 0 {
			insert.WriteString(", ")
		}
		ref, err := of.field(k)
		if err != nil {
			return Rewrite{}, err
		}
		fmt.Fprintf(&insert, "%s AS %s%d", quoteAll(ref), Hidden, i+1)
	}
	insert.WriteString(" ")
	if table > 0 {
		insert.WriteString("FROM")
	}
	r := Rewrite{At: at, Cut: table, Insert: insert.String(), cut: table}
	if err := s.apply(of, &r, keys); err != nil {
		return Rewrite{}, err
	}
	if key, literals, ok := shapeKey(s.Text); ok && s.Start == 0 && literals.behind(at) && table == 0 && of.Skip == nil && len(of.Settings) == 0 {
		r.shape = key
	}
	return r, nil
}

// field is how the key of a relation is written in the statement.
func (s *Statement) field(k KeyRef) ([]string, error) {
	if k.Relation < 0 || k.Relation >= len(s.Relations) || !s.Relations[k.Relation].Top || k.Column == "" {
		return nil, ErrRewrite
	}
	rel := s.Relations[k.Relation]
	if rel.Alias == "" && rel.Schema != "" {
		return []string{rel.Schema, rel.Name.Name, k.Column}, nil
	}
	return []string{rel.Ref(), k.Column}, nil
}

// apply makes the text of a rewriting, and proves that it is the statement with
// these keys, without OFFSET (see Skip), and nothing else.
func (s *Statement) apply(of *Statement, r *Rewrite, keys []KeyRef) error {
	want, err := parse(s.Text)
	if err != nil {
		return err
	}
	if len(want.Stmts) != 1 {
		return ErrRewrite
	}
	sel := want.Stmts[0].Stmt.GetSelectStmt()
	if c := want.Stmts[0].Stmt.GetCopyStmt(); c != nil {
		sel = c.Query.GetSelectStmt()
	}
	if sel == nil {
		return ErrRewrite
	}
	for i, k := range keys {
		ref, err := of.field(k)
		if err != nil {
			return err
		}
		sel.TargetList = append(sel.TargetList, pg.MakeResTargetNodeWithNameAndVal(fmt.Sprintf("%s%d", Hidden, i+1), columnRef(ref), 0))
	}
	edits := []edit{{r.At, r.At + r.Cut, r.Insert}}
	if of.Skip != nil {
		more, err := unskip(s.Text, sel)
		if err != nil {
			return err
		}
		edits = append(edits, more...)
	}
	if r.Text, err = edited(s.Text, edits); err != nil {
		return err
	}
	return proven(want, r.Text)
}

func columnRef(fields []string) *pg.Node {
	var nodes []*pg.Node
	for _, f := range fields {
		nodes = append(nodes, pg.MakeStrNode(f))
	}
	return pg.MakeColumnRefNode(nodes, 0)
}

// proven says whether text is one statement of the tree that is wanted. It clears
// the positions in that tree.
func proven(want *pg.ParseResult, text string) error {
	got, err := parse(text)
	if err != nil || len(got.Stmts) != 1 || !same(want, got) {
		return ErrRewrite
	}
	return nil
}

// same compares two trees but for positions in the text, which it clears.
func same(a, b proto.Message) bool {
	unplace(a.ProtoReflect())
	unplace(b.ProtoReflect())
	return proto.Equal(a, b)
}

// unplace clears every position in the text from a tree.
func unplace(m protoreflect.Message) {
	if _, node := m.Interface().(*pg.Node); !node {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			if f.Kind() == protoreflect.Int32Kind && !f.IsList() && (strings.HasSuffix(string(f.Name()), "location") || f.Name() == "stmt_len") {
				m.Clear(f)
			}
		}
	}
	children(m, unplace)
}

// topFrom is the byte offset in text of the FROM that belongs to the first
// SELECT in text[from:to], or of the word TABLE, whose length is table then, if
// that is what it begins with. It may be mistaken in statements that nobody has
// thought of yet; prove is what makes that harmless.
func topFrom(text string, from, to int) (at, table int, err error) {
	scan, err := pg.Scan(text)
	if err != nil {
		return 0, 0, ErrRewrite
	}
	depth, home := 0, -1
	var before, last pg.Token // the two tokens before
	for _, t := range scan.Tokens {
		if int(t.Start) < from || t.Token == pg.Token_SQL_COMMENT || t.Token == pg.Token_C_COMMENT {
			continue
		}
		if int(t.Start) >= to {
			break
		}
		switch t.Token {
		case pg.Token_ASCII_40, pg.Token_ASCII_91:
			depth++
		case pg.Token_ASCII_41, pg.Token_ASCII_93:
			depth--
		case pg.Token_SELECT:
			if home < 0 {
				home = depth
			}
		case pg.Token_FROM:
			distinct := last == pg.Token_DISTINCT && (before == pg.Token_IS || before == pg.Token_NOT)
			label := last == pg.Token_AS || last == pg.Token_ASCII_46 // AS from, x.from
			if depth == home && !distinct && !label {
				return int(t.Start), 0, nil
			}
		case pg.Token_TABLE:
			if home < 0 {
				return int(t.Start), int(t.End - t.Start), nil
			}
		default:
			if home < 0 {
				return 0, 0, ErrRewrite
			}
		}
		before, last = last, t.Token
	}
	return 0, 0, ErrRewrite
}

func quoteAll(fields []string) string {
	q := make([]string, len(fields))
	for i, f := range fields {
		q[i] = Quote(f)
	}
	return strings.Join(q, ".")
}

// Quote writes a name so that the server reads exactly this name, whatever it
// holds.
func Quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
