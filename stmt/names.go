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

// ErrNames is a statement of which it cannot be said with proof whose rows its
// answer rests on.
var ErrNames = errors.New("whose rows the answer rests on cannot be told")

// A Table is what a name in FROM means.
type Table struct {
	Full    string   // what whoever resolves it calls it
	Columns []string // all that SELECT * gives, in their order

	// Of a protected one. A view that is listed with a key counts as a table.
	Key       string   // the column that holds the key of the person
	Space     string   // whose keys these are
	Type      string   // of the key, as SQL: "bigint"
	Null      bool     // the key may be missing in a row
	Protected []string // the columns that hold data of the person

	// View is the text of a view without a key, every name in it qualified, as
	// pg_get_viewdef gives it with an empty search_path. The role that runs the
	// statement must be allowed to read what the view reads.
	View string
}

// A Resolver says what a name that a statement reads means. An error refuses
// the statement: for what it does not know, and for what cannot be expanded,
// such as a materialised view.
type Resolver func(Name) (Table, error)

// MostNames is the largest number of keys that a head holds of one Names. If
// there are more, it holds one more than this, and they are any of the rows.
const MostNames = 200_000

// Names is a query for persons behind the answer of a statement.
type Names struct {
	Space string // see Table
	Type  string // of the keys, as SQL: that of the tables; text where they differ
	Exact bool   // a protected column of theirs is shown; else they contributed
	// Whole: all of a protected table contributed, because there is no condition
	// on it, and nothing but counts, sums and the like come of it. Whoever knows
	// how many that are need not read their names.
	Whole bool
	// Text is a query of one column. It stands in the place of an expression
	// in the statement's own list, so that it sees the same parameters and
	// snapshot. A NULL among its rows is a row without a key.
	Text string

	query *pg.SelectStmt
}

// Provenance says whose rows the answer of a SELECT rests on, or what a write
// reads: queries that
// together name every person whose absence would make it another answer, or an
// error. They name more than that where one row hides another: all rows that
// were matched count, though a maximum or DISTINCT shows one of them only.
//
// It rests on one observation. For each SELECT level let J be the rows of its
// FROM and WHERE, before all grouping, ordering and cutting; the rest of the
// level is a function of J. So if a person's absence changes J at no level, in
// no context in which that level is evaluated, it does not change the answer.
// It is enough to name the keys in J level by level, as long as no context is
// taken too narrow. A context therefore keeps the conditions that are certain
// to hold of a row whoever else is there, and whose evaluation cannot fail, and
// drops all others. To drop one names too many, never too few.
//
// The caller has made sure, as for every statement, that the functions and
// operators are PostgreSQL's own or reviewed, and that relations mean what the
// Resolver says.
func Provenance(s *Statement, resolve Resolver) (names []Names, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case gaveUp:
			names, err = nil, fmt.Errorf("%w: %w", ErrNames, r.error)
		default:
			panic(r)
		}
	}()
	if len(s.Changes) > 0 {
		giveUp("it writes") // see TellChanges
	}
	names, _, err = provenance(s, resolve)
	return names, err
}

// provenance panics with gaveUp. The pass is for whoever asks more.
func provenance(s *Statement, resolve Resolver) (names []Names, p *pass, err error) {
	if strings.Contains(lower(s.Text), Hidden) {
		giveUp("it uses a name that begins with %s", Hidden)
	}
	known := map[Name]Table{}
	p = &pass{resolve: func(n Name) (Table, error) {
		if t, ok := known[n]; ok {
			return t, nil
		}
		t, err := resolve(n)
		if err == nil {
			known[n] = t
		}
		return t, err
	}}
	p.spaces = map[string]*space{}
	of := p.readings(s)
	for _, r := range of {
		p.survey(r.sel, nil)
	}
	order := make([]string, 0, len(p.spaces))
	for name := range p.spaces {
		order = append(order, name)
	}
	slices.Sort(order)
	for _, name := range order {
		p.space, p.made = p.spaces[name], 0
		var shown, all []part
		for _, r := range of {
			if r.target != nil {
				p.fixed(r.sel, r.target, r.env)
			}
			shown, all = append(shown, p.exact(r.sel, nil, r.env)...), append(all, p.names(r.sel, r.env, nil)...)
		}
		if len(shown) > 0 {
			names = append(names, p.finish(shown, true))
		}
		if len(all) > 0 {
			n := p.finish(all, false)
			n.Whole = len(of) == 1 && slices.ContainsFunc(all, whole) && p.summary(of[0].sel)
			if len(shown) == 0 || names[len(names)-1].Text != n.Text {
				names = append(names, n)
			}
		}
	}
	return names, p, nil
}

// reads is the SELECT that a statement runs for its client, or that reads what
// a write reads; see readOf.
func reads(s *Statement) (sel *pg.SelectStmt, target *pg.RangeVar) {
	tree, err := parse(s.Text)
	if err != nil {
		panic(gaveUp{err})
	}
	if len(tree.Stmts) != 1 {
		giveUp("it is not one statement")
	}
	if sel, target = readOf(tree.Stmts[0].Stmt); sel != nil {
		return sel, target
	}
	if _, sel = inner(tree.Stmts[0].Stmt); sel == nil {
		giveUp("it is not a SELECT")
	}
	return proto.Clone(sel).(*pg.SelectStmt), nil
}

// inner finds the SELECT in a statement, and the place that holds it.
func inner(n *pg.Node) (*pg.Node, *pg.SelectStmt) {
	switch {
	case n.GetCopyStmt() != nil && !n.GetCopyStmt().IsFrom:
		n = n.GetCopyStmt().Query
	case n.GetPrepareStmt() != nil:
		n = n.GetPrepareStmt().Query
	case n.GetDeclareCursorStmt() != nil:
		n = n.GetDeclareCursorStmt().Query
	}
	return n, n.GetSelectStmt()
}

type gaveUp struct{ error }

func giveUp(format string, args ...any) { panic(gaveUp{fmt.Errorf(format, args...)}) }

// A space is what a statement reads of one kind of persons.
type space struct {
	name string
	typ  string // of its keys; text where they differ
	null bool   // some keys may be missing: then a key is an array of one
}

// A pass makes the queries for one space.
type pass struct {
	resolve Resolver
	spaces  map[string]*space
	space   *space
	writes  map[string]bool // of a statement with writes in its WITH: its WITH queries, and whether they write
	made    int             // items built, see tooMany
}

// A CTE or a view is written out at each place of use, and the FROM of a level
// once for each sub-select in it, so a short text can become a long one.
const tooMany = 2000

func (p *pass) grow(n int) {
	if p.made += n; p.made > tooMany {
		giveUp("written out it becomes too long")
	}
}

// A cte is a WITH query, with what it sees.
type cte struct {
	def   *pg.SelectStmt
	names *pg.Alias // of its columns
	env   *env
	write *pg.Node // instead of def: what is read of it is there

	recursive bool
}

// An env is the WITH queries in scope.
type env struct {
	ctes map[string]*cte
	up   *env
}

func (e *env) find(name string) *cte {
	for ; e != nil; e = e.up {
		if c := e.ctes[name]; c != nil {
			return c
		}
	}
	return nil
}

// survey refuses what nobody has thought through, wherever it stands, and
// notes whose data there is.
func (p *pass) survey(sel *pg.SelectStmt, views []string) {
	if w := sel.WithClause; w != nil && len(p.writes) > 0 {
		sel = proto.Clone(sel).(*pg.SelectStmt)
		sel.WithClause = readable(w)
	}
	var ctes []string
	for name := range p.writes {
		ctes = append(ctes, name)
	}
	all(sel.ProtoReflect(), func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.CommonTableExpr); ok {
			ctes = append(ctes, c.Ctename)
		}
	})
	limits, recursive := false, false
	all(sel.ProtoReflect(), func(m protoreflect.Message) {
		switch n := m.Interface().(type) {
		case *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt:
			giveUp("it writes")
		case *pg.IntoClause:
			giveUp("it makes a table")
		case *pg.LockingClause:
			// At READ COMMITTED a row that was waited for is read again as it is
			// then, and the names would be of before.
			giveUp("it locks rows")
		case *pg.RangeTableSample:
			giveUp("it reads a sample")
		case *pg.RangeTableFunc, *pg.JsonTable:
			giveUp("it has a table made by XMLTABLE or JSON_TABLE")
		case *pg.CurrentOfExpr:
			giveUp("it asks for the row of a cursor")
		case *pg.SelectStmt:
			limits = limits || n.LimitCount != nil || n.LimitOffset != nil
		case *pg.WithClause:
			recursive = recursive || n.Recursive
		case *pg.FuncCall:
			if volatile[builtin(n.Funcname)] {
				giveUp("it calls %s, which gives something else each time", builtin(n.Funcname))
			}
		case *pg.RangeVar:
			if n.Catalogname != "" {
				giveUp("it names a database")
			}
			if n.Schemaname == "" && slices.Contains(ctes, n.Relname) {
				// Elsewhere in the statement it may mean a relation of that name.
				if t, err := p.resolve(Name{Name: n.Relname}); err == nil {
					p.meet(t, views)
				}
				return
			}
			p.meet(p.table(n), views)
		}
	})
	if limits && recursive {
		giveUp("a LIMIT may be all that ends its recursion")
	}
}

func (p *pass) meet(t Table, views []string) {
	if t.View != "" {
		if slices.Contains(views, t.View) || len(views) > 20 {
			giveUp("views that read each other")
		}
		p.survey(viewed(t), append(views, t.View))
		return
	}
	if t.Key == "" {
		return
	}
	s := p.spaces[t.Space]
	if s == nil {
		s = &space{name: t.Space, typ: t.Type}
		p.spaces[t.Space] = s
	}
	if s.typ != t.Type {
		s.typ = "pg_catalog.text"
	}
	s.null = s.null || t.Null
}

func (p *pass) table(r *pg.RangeVar) Table {
	t, err := p.resolve(Name{r.Schemaname, r.Relname})
	if err != nil {
		panic(gaveUp{err})
	}
	return t
}

func viewed(t Table) *pg.SelectStmt {
	tree, err := parse(strings.TrimRight(strings.TrimSpace(t.View), ";"))
	if err != nil || len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		giveUp("the text of a view is not understood")
	}
	return tree.Stmts[0].Stmt.GetSelectStmt()
}

// all visits a tree.
func all(m protoreflect.Message, visit func(protoreflect.Message)) {
	visit(m)
	children(m, func(m protoreflect.Message) { all(m, visit) })
}

// A column of something in FROM. It is local if it is copied from a row of a
// table: nobody else's absence gives it another value.
type column struct {
	name  string
	local bool
}

// An item is what has a name of its own in FROM.
type item struct {
	name  string
	cols  []column
	whole bool // a reference to its whole row is local
	doubt bool // it may have more columns than these
	table Table
	key   *pg.Node
}

func (i *item) column(name string) *column {
	for j := range i.cols {
		if i.cols[j].name == name {
			return &i.cols[j]
		}
	}
	return nil
}

// A scope is what a column reference may mean, from the inside out.
type scope struct {
	items  []*item
	merged []column // by USING; they hide those of the items
	outer  *scope
}

// local says whether a reference means a local column for certain.
func (sc *scope) local(fields []string) bool {
	if len(fields) == 0 || len(fields) > 3 {
		return false
	}
	for ; sc != nil; sc = sc.outer {
		if found, local := sc.here(fields); found {
			return local
		}
	}
	return false
}

func (sc *scope) here(fields []string) (found, local bool) {
	name := fields[len(fields)-1]
	if len(fields) > 1 {
		for _, i := range sc.items {
			if i.name != fields[len(fields)-2] {
				continue
			}
			if name == "*" {
				return true, i.whole
			}
			c := i.column(name)
			return true, c != nil && c.local && (len(fields) == 2 || i.table.Columns != nil)
		}
		return false, false
	}
	for _, c := range sc.merged {
		if c.name == name {
			return true, c.local
		}
	}
	doubt := false
	local = true
	for _, i := range sc.items {
		doubt = doubt || i.doubt
		if c := i.column(name); c != nil {
			found, local = true, local && c.local
		}
	}
	if found || doubt {
		return true, local && !doubt
	}
	for _, i := range sc.items {
		if i.name == name {
			return true, i.whole
		}
	}
	return false, false
}

// suspect says whether a reference anywhere below could mean a column that is
// not local, going by its name alone.
func (sc *scope) suspect(fields []string) bool {
	for ; sc != nil; sc = sc.outer {
		for _, c := range sc.merged {
			if !c.local && c.name == fields[len(fields)-1] {
				return true
			}
		}
		for _, i := range sc.items {
			alone := len(fields) == 1
			if !alone && i.name != fields[len(fields)-2] && i.name != fields[0] {
				continue
			}
			if i.doubt || !i.whole && (fields[len(fields)-1] == "*" || alone && i.name == fields[0]) {
				return true
			}
			for _, f := range fields {
				if c := i.column(f); c != nil && !c.local {
					return true
				}
			}
		}
	}
	return false
}

// certain says whether the value of an expression for a row is the same
// whoever else is there, and whether it can be had without an error. Sums and
// products are let through: they fail at the edge of their type only.
func (sc *scope) certain(n *pg.Node) bool {
	if n == nil {
		return true
	}
	ok := true
	all(n.ProtoReflect(), func(m protoreflect.Message) {
		switch e := m.Interface().(type) {
		case *pg.ColumnRef:
			ok = ok && sc.local(fieldsOf(e.Fields))
		case *pg.FuncCall:
			f := builtin(e.Funcname)
			ok = ok && harmless[f] && e.Over == nil && !aggregates(e)
			if (f == "date_trunc" || f == "date_part" || f == "extract" || f == "to_char") && ok {
				arg := 0
				if f == "to_char" {
					arg = 1
				}
				ok = len(e.Args) == 2 && e.Args[arg].GetAConst() != nil
			}
		case *pg.A_Expr:
			ok = ok && smooth(e)
		case *pg.TypeCast:
			to := nameOf(e.TypeName.GetNames())
			ok = ok && (e.Arg.GetAConst() != nil || e.Arg.GetParamRef() != nil || to.Name == "text" && (to.Schema == "" || to.Schema == "pg_catalog")) && len(e.TypeName.GetArrayBounds()) == 0
		case *pg.Node, *pg.A_Const, *pg.ParamRef, *pg.BoolExpr, *pg.NullTest, *pg.BooleanTest, *pg.CaseExpr, *pg.CaseWhen,
			*pg.CoalesceExpr, *pg.MinMaxExpr, *pg.TypeName, *pg.CollateClause, *pg.RowExpr, *pg.SQLValueFunction, *pg.A_ArrayExpr,
			*pg.A_Star, *pg.List, *pg.String, *pg.Integer, *pg.Float, *pg.Boolean, *pg.BitString:
		default:
			ok = false
		}
	})
	return ok
}

// smooth says whether an operator gives a value for all operands.
func smooth(e *pg.A_Expr) bool {
	if len(e.Name) == 1 || len(e.Name) == 2 && fieldsOf(e.Name)[0] == "pg_catalog" {
		switch fieldsOf(e.Name[len(e.Name)-1:])[0] {
		case "=", "<>", "<", ">", "<=", ">=", "+", "-", "*", "->", "->>", "#>", "#>>", "@>", "<@",
			"BETWEEN", "NOT BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN SYMMETRIC":
			return true
		case "~~", "!~~", "~~*", "!~~*", "~", "!~", "~*", "!~*":
			return e.Rexpr.GetAConst() != nil || e.Rexpr.GetParamRef() != nil
		}
	}
	return false
}

// steady says whether a condition of a row that is there has the same value in
// the statement as in a query for its names, sub-selects and all.
func (p *pass) steady(n *pg.Node, e *env, sc *scope) bool {
	if n == nil {
		return true
	}
	ok := true
	all(n.ProtoReflect(), func(m protoreflect.Message) {
		_, with := m.Interface().(*pg.WithClause)
		ok = ok && !with
	})
	if !ok {
		return false
	}
	all(n.ProtoReflect(), func(m protoreflect.Message) {
		switch x := m.Interface().(type) {
		case *pg.ColumnRef:
			ok = ok && !sc.suspect(fieldsOf(x.Fields))
		case *pg.A_Indirection:
			ok = false
		case *pg.FuncCall:
			f := builtin(x.Funcname)
			ok = ok && x.Over == nil && (harmless[f] || settled[f] || inAnyOrder[f])
		case *pg.RangeVar:
			if x.Schemaname == "" && e.find(x.Relname) != nil {
				ok = false
			} else {
				ok = ok && p.table(x).View == ""
			}
		case *pg.RangeFunction:
			ok = false
		case *pg.SelectStmt:
			ok = ok && x.LimitCount == nil && x.LimitOffset == nil && (len(x.DistinctClause) == 0 || x.DistinctClause[0].GetNode() == nil)
		}
	})
	return ok
}

func hasSublink(n *pg.Node) (yes bool) {
	if n != nil {
		all(n.ProtoReflect(), func(m protoreflect.Message) {
			if _, ok := m.Interface().(*pg.SubLink); ok {
				yes = true
			}
		})
	}
	return yes
}

// builtin is the name of a function, "" if it is in a schema of its own.
func builtin(list []*pg.Node) string {
	n := nameOf(list)
	if n.Schema != "" && n.Schema != "pg_catalog" {
		return ""
	}
	return n.Name
}

// aggregates says whether a call is certainly of an aggregate.
func aggregates(f *pg.FuncCall) bool {
	n := builtin(f.Funcname)
	return f.Over == nil && (f.AggStar || f.AggDistinct || f.AggWithinGroup || f.AggFilter != nil || len(f.AggOrder) > 0 || inAnyOrder[n] || inOrder[n])
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

var (
	// Functions of one row that give a value for all of theirs.
	harmless = words(`lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim concat concat_ws
		left right replace reverse md5 strpos position starts_with abs sign round floor ceil ceiling trunc ascii translate
		extract date_part date_trunc to_char now current_schema to_jsonb row_to_json to_json jsonb_typeof json_typeof isfinite age num_nulls num_nonnulls`)
	// Functions of one row that may fail, and give the same each time.
	settled = words(`substring substr split_part overlay lpad rpad repeat mod div power sqrt to_number to_date to_timestamp make_date
		regexp_replace regexp_match coalesce nullif greatest least format quote_literal quote_ident chr cardinality array_length
		array_position array_to_string string_to_array jsonb_build_object json_build_object jsonb_extract_path_text jsonb_array_length timezone`)
	// Aggregates whose value does not depend on the order of the rows.
	inAnyOrder = words(`count min max bool_and bool_or every bit_and bit_or`)
	// The others.
	inOrder = words(`sum avg string_agg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg stddev stddev_pop stddev_samp variance var_pop var_samp
		corr covar_pop covar_samp regr_slope regr_intercept regr_r2 regr_count regr_avgx regr_avgy regr_sxx regr_sxy regr_syy
		percentile_cont percentile_disc mode xmlagg bit_xor range_agg range_intersect_agg any_value`)
	volatile = words(`random random_normal setseed nextval currval lastval setval pg_sleep pg_sleep_for pg_sleep_until clock_timestamp timeofday gen_random_uuid
		uuid_generate_v4 statement_timestamp txid_current pg_current_xact_id pg_backend_pid set_config pg_advisory_lock dblink`)
)
