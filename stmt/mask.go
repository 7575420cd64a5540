package stmt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Masks are put into a statement by taking each masked table's place with a
// sub-select of the same columns, some of them computed:
//
//	select name, email from crm.member m where email like 'a%'
//	select name, email , "m"."member_no" AS __sekisho_1 from (SELECT
//	    "sekisho masked"."member_no", "sekisho masked"."name", <mask> AS "email"
//	    FROM crm.member AS "sekisho masked") m where email like 'a%'
//
// So everything in the statement sees the mask, its conditions too.

// MaskedTable asks for one relation to be masked.
type MaskedTable struct {
	Relation int // in Statement.Relations; of the query, for COPY (query)
	Columns  []MaskedColumn
	Key      string // the column that hidden keys are taken from
}

// MaskedColumn is one column of a masked table. All stand in their order.
type MaskedColumn struct {
	Name string
	Mask string // SQL that takes its place, over MaskedValue(Name); "" shows it as it is
}

const (
	// maskedTable is what the table is called within its sub-select, where
	// nothing else can be meant.
	maskedTable = "sekisho masked"
	maskedKey   = Hidden + "k" // its key as it is, where the key is masked too
)

// MaskedValue is how a mask writes the value of a column.
func MaskedValue(column string) string { return Quote(maskedTable) + "." + Quote(column) }

// What keeps a statement from being masked, each with a hint of its own.
var (
	ErrMaskStar      = errors.New("a star over USING or NATURAL, whose key is masked")
	ErrMaskWhole     = errors.New("a whole row, or a star inside an expression, of a masked table")
	ErrMaskQualified = errors.New("a column written as schema.table.column")
	ErrMaskShape     = errors.New("a part of the statement that a sub-select in the table's place would change")
)

// WithMasks is WithKeys for a statement of which some tables are masked. The
// keys are those of the people themselves, masked or not.
func (s *Statement) WithMasks(masked []MaskedTable, keys []KeyRef) (Rewrite, error) {
	if len(masked) == 0 {
		return Rewrite{}, ErrRewrite
	}
	of, at, table, err := s.keyed(keys)
	if err != nil {
		return Rewrite{}, err
	}
	if table > 0 {
		return Rewrite{}, ErrMaskShape
	}
	want, err := parse(s.Text)
	if err != nil {
		return Rewrite{}, err
	}
	sel := selectOf(want)
	if sel == nil {
		return Rewrite{}, ErrRewrite
	}
	scan, err := pg.Scan(s.Text)
	if err != nil {
		return Rewrite{}, ErrRewrite
	}
	m := masking{s: of, text: s.Text, sel: sel, tokens: scan.Tokens}
	for i := range masked {
		if err := m.replace(&masked[i]); err != nil {
			return Rewrite{}, err
		}
	}
	if err := m.references(); err != nil {
		return Rewrite{}, err
	}
	if err := m.stars(); err != nil {
		return Rewrite{}, err
	}
	if err := m.keys(at, keys); err != nil {
		return Rewrite{}, err
	}
	if of.Skip != nil {
		more, err := unskip(s.Text, sel)
		if err != nil {
			return Rewrite{}, err
		}
		m.edits = append(m.edits, more...)
	}
	slices.SortStableFunc(m.edits, func(a, b edit) int { return a.at - b.at })
	r := Rewrite{At: at, Moved: true}
	if r.Text, err = edited(s.Text, m.edits); err != nil {
		return Rewrite{}, err
	}
	if err := proven(want, r.Text); err != nil {
		return Rewrite{}, err
	}
	if key, literals, ok := shapeKey(s.Text); ok && s.Start == 0 && of.Skip == nil && len(of.Settings) == 0 && literals.behind(m.edits[len(m.edits)-1].end) {
		r.shape, r.edits = key, m.edits
	}
	return r, nil
}

// edited makes the edits, which stand in their order.
func edited(text string, edits []edit) (string, error) {
	var b strings.Builder
	done := 0
	for _, e := range edits {
		if e.at < done {
			return "", ErrRewrite
		}
		b.WriteString(text[done:e.at] + e.text)
		done = e.end
	}
	b.WriteString(text[done:])
	return b.String(), nil
}

func selectOf(tree *pg.ParseResult) *pg.SelectStmt {
	if len(tree.Stmts) != 1 {
		return nil
	}
	if c := tree.Stmts[0].Stmt.GetCopyStmt(); c != nil {
		return c.Query.GetSelectStmt()
	}
	return tree.Stmts[0].Stmt.GetSelectStmt()
}

// A masking is a statement while it is masked: its text, and the tree that the
// new text must have.
type masking struct {
	s      *Statement
	text   string
	sel    *pg.SelectStmt
	tokens []*pg.ScanToken
	edits  []edit
	by     map[string]*MaskedTable // by how the statement refers to it
}

// hides: the sub-select has one column more than the table, for the key.
func (t *MaskedTable) hides() bool {
	return slices.ContainsFunc(t.Columns, func(c MaskedColumn) bool { return c.Name == t.Key && c.Mask != "" })
}

// subselect is what takes the table's place. name is how the statement writes
// the table.
func (t *MaskedTable) subselect(name string) string {
	var b strings.Builder
	b.WriteString("(SELECT ")
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		if c.Mask == "" {
			b.WriteString(MaskedValue(c.Name))
			continue
		}
		b.WriteString(c.Mask + " AS " + Quote(c.Name))
	}
	if t.hides() {
		b.WriteString(", " + MaskedValue(t.Key) + " AS " + Quote(maskedKey))
	}
	b.WriteString(" FROM " + name + " AS " + Quote(maskedTable) + ")")
	return b.String()
}

// replace puts a sub-select in the place of one relation, in text and tree.
func (m *masking) replace(t *MaskedTable) error {
	if t.Relation < 0 || t.Relation >= len(m.s.Relations) || len(t.Columns) == 0 {
		return ErrRewrite
	}
	rel := m.s.Relations[t.Relation]
	ref := rel.Ref()
	if m.by == nil {
		m.by = map[string]*MaskedTable{}
	}
	same := 0
	for _, r := range m.s.Relations {
		if r.Ref() == ref {
			same++
		}
	}
	if !rel.Top || rel.Only || rel.Locked || rel.Renamed || same > 1 {
		return ErrMaskShape
	}
	m.by[ref] = t
	node := m.node(m.sel.FromClause, ref)
	if node == nil {
		return ErrRewrite
	}
	was := node.GetRangeVar()
	end, err := m.nameEnd(int(was.Location), was)
	if err != nil {
		return err
	}
	name := m.text[was.Location:end]
	sub := t.subselect(name)
	e := edit{int(was.Location), end, sub}
	if rel.Alias == "" {
		e.text += " AS " + Quote(ref)
	}
	made, err := pg.Parse("SELECT FROM " + sub + " AS " + Quote(ref))
	if err != nil || len(made.Stmts) != 1 || len(made.Stmts[0].Stmt.GetSelectStmt().GetFromClause()) != 1 {
		return ErrRewrite
	}
	now := made.Stmts[0].Stmt.GetSelectStmt().FromClause[0]
	if err := t.prove(now, was); err != nil {
		return err
	}
	node.Node = now.Node
	m.edits = append(m.edits, e)
	return nil
}

// prove: a node is a sub-select of exactly the table's columns in their order,
// from the table alone.
func (t *MaskedTable) prove(n *pg.Node, table *pg.RangeVar) error {
	sub := n.GetRangeSubselect().GetSubquery().GetSelectStmt()
	want := len(t.Columns)
	if t.hides() {
		want++
	}
	if sub == nil || obstacle(sub) != "" || len(sub.TargetList) != want || len(sub.FromClause) != 1 || sub.WhereClause != nil ||
		len(sub.SortClause)+len(sub.LockingClause) > 0 || sub.LimitCount != nil || sub.LimitOffset != nil {
		return ErrRewrite
	}
	from := proto.Clone(sub.FromClause[0].GetRangeVar()).(*pg.RangeVar)
	as := proto.Clone(table).(*pg.RangeVar)
	if from.GetAlias().GetAliasname() != maskedTable {
		return ErrRewrite
	}
	from.Alias, as.Alias, from.Location, as.Location = nil, nil, 0, 0
	if !proto.Equal(from, as) {
		return ErrRewrite
	}
	for i, target := range sub.TargetList {
		res := target.GetResTarget()
		name, masked := maskedKey, false
		column := t.Key
		if i < len(t.Columns) {
			column, masked = t.Columns[i].Name, t.Columns[i].Mask != ""
			name = ""
			if masked {
				name = column
			}
		}
		fields := fieldsOf(res.GetVal().GetColumnRef().GetFields())
		if res.Name != name || !masked && !slices.Equal(fields, []string{maskedTable, column}) {
			return ErrRewrite
		}
		odd := false
		var visit func(p protoreflect.Message)
		visit = func(p protoreflect.Message) {
			switch e := p.Interface().(type) {
			case *pg.SelectStmt, *pg.SubLink, *pg.ParamRef:
				odd = true
			case *pg.ColumnRef: // a mask looks at its own column alone
				odd = odd || !slices.Equal(fieldsOf(e.Fields), []string{maskedTable, column})
			}
			children(p, visit)
		}
		visit(res.GetVal().ProtoReflect())
		if odd {
			return ErrRewrite
		}
	}
	return nil
}

// node is the relation in FROM that the statement refers to so.
func (m *masking) node(list []*pg.Node, ref string) *pg.Node {
	for _, n := range list {
		if r := n.GetRangeVar(); r != nil && refOf(r) == ref {
			return n
		}
		if j := n.GetJoinExpr(); j != nil {
			if found := m.node([]*pg.Node{j.Larg, j.Rarg}, ref); found != nil {
				return found
			}
		}
	}
	return nil
}

// nameEnd is where the name that begins at a place ends.
func (m *masking) nameEnd(at int, r *pg.RangeVar) (int, error) {
	parts := 1
	if r.Schemaname != "" {
		parts++
	}
	if r.Catalogname != "" {
		parts++
	}
	i := slices.IndexFunc(m.tokens, func(t *pg.ScanToken) bool { return int(t.Start) == at })
	last := i + 2*(parts-1)
	if i < 0 || last >= len(m.tokens) {
		return 0, ErrRewrite
	}
	for k := i + 1; k < last; k += 2 {
		if m.tokens[k].Token != pg.Token_ASCII_46 {
			return 0, ErrRewrite
		}
	}
	return int(m.tokens[last].End), nil
}

// references refuses what means something else over a sub-select.
func (m *masking) references() error {
	var found error
	top := map[*pg.ColumnRef]bool{}
	for _, t := range m.sel.TargetList {
		if c := t.GetResTarget().GetVal().GetColumnRef(); c != nil {
			top[c] = true
		}
	}
	skip := map[any]bool{}
	for ref := range m.by {
		skip[m.subnode(m.sel.FromClause, ref)] = true
	}
	var visit func(p protoreflect.Message)
	visit = func(p protoreflect.Message) {
		if found != nil || skip[p.Interface()] {
			return
		}
		if c, ok := p.Interface().(*pg.ColumnRef); ok {
			f := fieldsOf(c.Fields)
			switch last := f[len(f)-1]; {
			case last == "*" && !top[c]:
				if len(f) == 1 || m.by[f[len(f)-2]] != nil {
					found = ErrMaskWhole
				}
			case last == "*":
			case len(f) > 2 && m.by[f[len(f)-2]] != nil:
				found = ErrMaskQualified
			case len(f) == 1 && m.by[last] != nil && !m.column(last):
				found = ErrMaskWhole
			case slices.Contains(systemColumns, last) && (len(f) == 1 || m.by[f[len(f)-2]] != nil):
				found = ErrMaskShape
			}
			if last := f[len(f)-1]; last == "*" && len(f) > 2 && m.by[f[len(f)-2]] != nil {
				found = ErrMaskQualified
			}
		}
		children(p, visit)
	}
	visit(m.sel.ProtoReflect())
	return found
}

var systemColumns = []string{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}

// column: a masked table has a column of this name, which goes before the row
// of the same name.
func (m *masking) column(name string) bool {
	for _, t := range m.by {
		if slices.ContainsFunc(t.Columns, func(c MaskedColumn) bool { return c.Name == name }) {
			return true
		}
	}
	return false
}

// subnode is the sub-select that took a relation's place.
func (m *masking) subnode(list []*pg.Node, ref string) *pg.RangeSubselect {
	for _, n := range list {
		if r := n.GetRangeSubselect(); r != nil && r.Alias.GetAliasname() == ref {
			return r
		}
		if j := n.GetJoinExpr(); j != nil {
			if found := m.subnode([]*pg.Node{j.Larg, j.Rarg}, ref); found != nil {
				return found
			}
		}
	}
	return nil
}

// stars writes out the stars that would show a key as it is.
func (m *masking) stars() error {
	hides := false
	for _, t := range m.by {
		hides = hides || t.hides()
	}
	if !hides {
		return nil
	}
	if natural(m.sel.FromClause) {
		return ErrMaskStar // it would join by the keys as they are
	}
	var targets []*pg.Node
	for _, node := range m.sel.TargetList {
		c := node.GetResTarget().GetVal().GetColumnRef()
		f := fieldsOf(c.GetFields())
		if c == nil || f[len(f)-1] != "*" {
			targets = append(targets, node)
			continue
		}
		if len(f) == 2 && (m.by[f[0]] == nil || !m.by[f[0]].hides()) || len(f) > 2 {
			targets = append(targets, node)
			continue
		}
		refs := f[:1]
		if len(f) == 1 {
			if merges(m.sel.FromClause) {
				return ErrMaskStar
			}
			refs = nil
			for _, r := range m.s.Relations {
				refs = append(refs, r.Ref())
			}
		}
		var list []string
		for _, ref := range refs {
			t := m.by[ref]
			if t == nil || !t.hides() {
				list = append(list, Quote(ref)+".*")
				targets = append(targets, starOf(ref))
				continue
			}
			for _, col := range t.Columns {
				list = append(list, Quote(ref)+"."+Quote(col.Name))
				targets = append(targets, targetOf(columnRef([]string{ref, col.Name})))
			}
		}
		at := int(c.Location)
		end := -1
		for _, t := range m.tokens {
			if int(t.Start) >= at && t.Token == pg.Token_ASCII_42 {
				end = int(t.End)
				break
			}
		}
		if end < 0 {
			return ErrRewrite
		}
		m.edits = append(m.edits, edit{at, end, strings.Join(list, ", ")})
	}
	m.sel.TargetList = targets
	return nil
}

// merges: a join makes one column of two, so that a star has them once.
func merges(list []*pg.Node) bool {
	return slices.ContainsFunc(list, func(n *pg.Node) bool {
		j := n.GetJoinExpr()
		return j != nil && (j.IsNatural || len(j.UsingClause) > 0 || merges([]*pg.Node{j.Larg, j.Rarg}))
	})
}

func natural(list []*pg.Node) bool {
	return slices.ContainsFunc(list, func(n *pg.Node) bool {
		j := n.GetJoinExpr()
		return j != nil && (j.IsNatural || natural([]*pg.Node{j.Larg, j.Rarg}))
	})
}

func targetOf(val *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: val}}}
}

func starOf(ref string) *pg.Node {
	return targetOf(pg.MakeColumnRefNode([]*pg.Node{pg.MakeStrNode(ref), {Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}, 0))
}

// keys appends the hidden keys.
func (m *masking) keys(at int, keys []KeyRef) error {
	var b strings.Builder
	for i, k := range keys {
		if i > 0 || len(m.sel.TargetList) > 0 {
			b.WriteString(", ")
		}
		ref, err := m.s.field(k)
		if err != nil {
			return err
		}
		if t := m.by[m.s.Relations[k.Relation].Ref()]; t != nil {
			ref = []string{m.s.Relations[k.Relation].Ref(), k.Column}
			if t.Key != k.Column {
				return ErrRewrite
			}
			if t.hides() {
				ref[1] = maskedKey
			}
		}
		name := fmt.Sprintf("%s%d", Hidden, i+1)
		b.WriteString(quoteAll(ref) + " AS " + name)
		m.sel.TargetList = append(m.sel.TargetList, pg.MakeResTargetNodeWithNameAndVal(name, columnRef(ref), 0))
	}
	b.WriteString(" ")
	m.edits = append(m.edits, edit{at, at, b.String()})
	return nil
}

// CopyWithMasks is CopyWithKeys for a table that is masked. columns are those
// that the statement copies, in their order.
func (s *Statement) CopyWithMasks(schema, table string, columns []MaskedColumn, key string) (Rewrite, error) {
	t := MaskedTable{Columns: columns}
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	r, err := s.CopyWithKeys(schema, table, names, []string{key})
	if err != nil {
		return r, err
	}
	name := "ONLY " + Quote(schema) + "." + Quote(table)
	sub := t.subselect(name)
	sub = strings.TrimSuffix(sub, " FROM "+name+" AS "+Quote(maskedTable)+")") + fmt.Sprintf(", %s AS %s1 FROM %s AS %s)", MaskedValue(key), Hidden, name, Quote(maskedTable))
	text := s.Text[:s.Copy.targetAt] + sub + s.Text[s.Copy.targetEnd:]
	want, err := parse(r.Text)
	if err != nil {
		return Rewrite{}, err
	}
	got, err := parse(text)
	if err != nil || selectOf(got) == nil || selectOf(want) == nil {
		return Rewrite{}, ErrRewrite
	}
	// It is the rewriting without masks, but for the targets and the alias.
	made := selectOf(got)
	if len(made.TargetList) != len(columns)+1 || len(made.FromClause) != 1 || made.FromClause[0].GetRangeVar().GetAlias().GetAliasname() != maskedTable {
		return Rewrite{}, ErrRewrite
	}
	for i, c := range columns {
		if res := made.TargetList[i].GetResTarget(); c.Mask != "" && res.GetName() != c.Name || c.Mask == "" && !slices.Equal(fieldsOf(res.GetVal().GetColumnRef().GetFields()), []string{maskedTable, c.Name}) {
			return Rewrite{}, ErrRewrite
		}
	}
	if last := made.TargetList[len(columns)].GetResTarget(); last.GetName() != Hidden+"1" || !slices.Equal(fieldsOf(last.GetVal().GetColumnRef().GetFields()), []string{maskedTable, key}) {
		return Rewrite{}, ErrRewrite
	}
	plain := proto.Clone(got).(*pg.ParseResult)
	selectOf(plain).TargetList = selectOf(want).TargetList
	selectOf(plain).FromClause[0].GetRangeVar().Alias = nil
	if !same(want, plain) {
		return Rewrite{}, ErrRewrite
	}
	return Rewrite{Text: text, At: s.Copy.targetAt, Moved: true}, nil
}
