package stmt

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// # Functions that are one SELECT
//
// A call of such a function is written out, so that whose rows the answer rests
// on is asked of a statement without it; what goes upstream is the client's own
// call behind that head. In FROM
//
//	crm.of(m.member_no, 'x') f
//	LATERAL (SELECT c FROM (SELECT (m.member_no)::bigint) args(p1), LATERAL (its body, with 'x'::text) of(c)) f(c)
//
// and anywhere else, for one value,
//
//	(SELECT (c)::text FROM (SELECT …) args, LATERAL (its body) of(c) LIMIT 1)
//
// with the names of its parameters, or $1, in the body's text taken for args. An
// argument stands in a query of its own, so that no table of the body's can take
// a name in it for its own; a constant or a parameter of the statement's has no
// such name, and stands where the parameter stood.

// A Body is what a function does.
type Body struct {
	Text    string // one SELECT
	Names   []string
	Types   []string // of its parameters, as SQL
	Columns []string // of its rows; one without a name if it gives values
	Casts   []string // that its rows undergo, "" for none
	Set     bool     // it gives rows: for FROM alone
}

// ErrInline is a call that is not written out.
var ErrInline = errors.New("a function cannot be written out")

const (
	argsName = "sekisho arguments"
	bodyName = "sekisho body"
	// deepest is how deep functions may call each other, and mostCalls how many
	// calls a statement may hold: a tree that is too deep cannot be printed.
	deepest, mostCalls = 8, 64
)

// Inline gives the statement with the calls of functions written out of which
// body knows what they do, or nil if there are none. What it gives is to be
// judged, and is never run.
func (s *Statement) Inline(body func(n Name, args int) *Body) (out *Statement, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case gaveUp:
			out, err = nil, fmt.Errorf("%w: %w", ErrInline, r.error)
		default:
			panic(r)
		}
	}()
	tree, err := parse(s.Text)
	if err != nil || len(tree.Stmts) != 1 {
		return nil, ErrInline
	}
	in := &inlining{body: body}
	in.visit(tree.Stmts[0].Stmt.ProtoReflect(), 0)
	if in.made == 0 {
		return nil, nil
	}
	text, err := pg.Deparse(tree)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be written", ErrInline)
	}
	again, err := parse(text)
	if err != nil || len(again.Stmts) != 1 || !same(proto.Clone(tree.Stmts[0].Stmt), proto.Clone(again.Stmts[0].Stmt)) {
		return nil, fmt.Errorf("%w: it is not read again as it was written", ErrInline)
	}
	list, err := Analyse(text)
	if err != nil || len(list) != 1 {
		return nil, ErrInline
	}
	list[0].As = s
	return &list[0], nil
}

type inlining struct {
	body func(n Name, args int) *Body
	made int
}

// visit writes out the calls below a message.
func (in *inlining) visit(m protoreflect.Message, depth int) {
	if n, ok := m.Interface().(*pg.Node); ok {
		switch {
		case n.GetRangeFunction() != nil:
			r := n.GetRangeFunction()
			if out := in.table(r, depth); out != nil {
				n.Node = &pg.Node_RangeSubselect{RangeSubselect: out}
				return
			}
			for _, f := range r.Functions { // a list of a call and its columns
				for _, item := range f.GetList().GetItems() {
					if call := item.GetFuncCall(); call != nil {
						children(call.ProtoReflect(), func(m protoreflect.Message) { in.visit(m, depth) })
					}
				}
			}
			return
		case n.GetFuncCall() != nil:
			if out := in.value(n.GetFuncCall(), depth); out != nil {
				n.Node = out
				return
			}
		}
	}
	t, output := m.Interface().(*pg.ResTarget)
	name := ""
	if output = output && t.Name == "" && t.Val != nil; output {
		name = outputName(t)
	}
	children(m, func(m protoreflect.Message) { in.visit(m, depth) })
	if output && name != "" && name != "?column?" && outputName(t) != name {
		t.Name = name // that a column has of a call
	}
}

// table is a call in FROM.
func (in *inlining) table(r *pg.RangeFunction, depth int) *pg.RangeSubselect {
	if len(r.Functions) != 1 || r.IsRowsfrom || r.Ordinality || len(r.Coldeflist) > 0 || len(r.Functions[0].GetList().GetItems()) == 0 {
		return nil
	}
	call := r.Functions[0].GetList().GetItems()[0].GetFuncCall()
	b := in.known(call)
	if b == nil || !b.Set {
		return nil
	}
	name := nameOf(call.Funcname).Name
	alias := &pg.Alias{Aliasname: name}
	cols := slices.Clone(b.Columns)
	if r.Alias != nil {
		alias.Aliasname = r.Alias.Aliasname
	}
	if len(cols) == 1 && cols[0] == "" {
		cols[0] = alias.Aliasname
	}
	renamed := rename(cols, r.Alias)
	if len(renamed) != len(cols) {
		giveUp("more names for columns than columns")
	}
	for _, c := range renamed {
		alias.Colnames = append(alias.Colnames, pg.MakeStrNode(c))
	}
	sel, looks := in.written(b, call, depth)
	return &pg.RangeSubselect{Lateral: looks, Subquery: selectNode(sel), Alias: alias}
}

// value is a call in an expression.
func (in *inlining) value(call *pg.FuncCall, depth int) *pg.Node_SubLink {
	b := in.known(call)
	if b == nil || b.Set {
		return nil
	}
	sel, _ := in.written(b, call, depth)
	sel.LimitCount, sel.LimitOption = template("SELECT 1 LIMIT 1").LimitCount, pg.LimitOption_LIMIT_OPTION_COUNT
	return &pg.Node_SubLink{SubLink: &pg.SubLink{SubLinkType: pg.SubLinkType_EXPR_SUBLINK, Subselect: selectNode(sel)}}
}

// known is what a call does, if that is known and it is nothing but a call.
func (in *inlining) known(call *pg.FuncCall) *Body {
	if call == nil || call.Over != nil || call.AggStar || call.AggDistinct || call.AggWithinGroup || call.AggFilter != nil || len(call.AggOrder) > 0 || call.FuncVariadic ||
		call.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX || slices.ContainsFunc(call.Args, func(a *pg.Node) bool { return a.GetNamedArgExpr() != nil }) {
		return nil
	}
	return in.body(nameOf(call.Funcname), len(call.Args))
}

// written is a call as a query; looks: it may look at what stands beside it.
func (in *inlining) written(b *Body, call *pg.FuncCall, depth int) (sel *pg.SelectStmt, looks bool) {
	if in.made++; depth >= deepest || in.made > mostCalls {
		giveUp("functions that call each other")
	}
	tree, err := parse(b.Text)
	if err != nil || len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		giveUp("its text is not one SELECT")
	}
	def := tree.Stmts[0].Stmt
	body := &pg.Alias{Aliasname: bodyName}
	out := template("SELECT")
	for i := range b.Columns {
		own := "c" + strconv.Itoa(i+1)
		body.Colnames = append(body.Colnames, pg.MakeStrNode(own))
		val := columnRef([]string{bodyName, own})
		if b.Casts[i] != "" {
			val = cast(val, b.Casts[i])
		}
		out.TargetList = append(out.TargetList, pg.MakeResTargetNodeWithNameAndVal(own, val, 0))
	}
	args := template("SELECT")
	given := &pg.Alias{Aliasname: argsName}
	values := make([]*pg.Node, len(call.Args))
	for i, a := range call.Args {
		in.visit(a.ProtoReflect(), depth)
		value := cast(a, b.Types[i])
		if operand(a) && len(references(a)) == 0 {
			values[i] = value
			continue
		}
		own := "p" + strconv.Itoa(i+1)
		args.TargetList = append(args.TargetList, pg.MakeResTargetNodeWithNameAndVal(own, value, 0))
		given.Colnames = append(given.Colnames, pg.MakeStrNode(own))
		values[i] = columnRef([]string{argsName, own})
	}
	in.fromFunctions(def, b.Names)
	substitute(def, nameOf(call.Funcname).Name, b.Names, values)
	in.visit(def.ProtoReflect(), depth+1)
	if looks = len(args.TargetList) > 0; looks {
		out.FromClause = append(out.FromClause, &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(args), Alias: given}}})
	}
	out.FromClause = append(out.FromClause, &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: looks, Subquery: def, Alias: body}}})
	return out, looks
}

// fromFunctions makes sure that no function in a body's FROM has a column that
// goes before a parameter of its name. What columns it has is known of those that
// are written out, too.
func (in *inlining) fromFunctions(def *pg.Node, names []string) {
	bare := false
	all(def.ProtoReflect(), func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.ColumnRef); ok {
			f := fieldsOf(c.Fields)
			bare = bare || len(f) == 1 && slices.Contains(names, f[0])
		}
	})
	if !bare {
		return
	}
	all(def.ProtoReflect(), func(m protoreflect.Message) {
		r, ok := m.Interface().(*pg.RangeFunction)
		if !ok {
			return
		}
		for _, f := range r.Functions {
			var body *Body
			if items := f.GetList().GetItems(); len(items) > 0 {
				body = in.known(items[0].GetFuncCall())
			}
			if body == nil || slices.ContainsFunc(body.Columns, func(c string) bool { return c != "" && slices.Contains(names, c) }) {
				giveUp("a function in its FROM may have a column of a parameter's name")
			}
		}
	})
}

func cast(n *pg.Node, to string) *pg.Node {
	c := template("SELECT NULL::" + to).TargetList[0].GetResTarget().Val
	c.GetTypeCast().Arg = n
	return c
}

// substitute puts values where the parameters of a function of this name stand
// in its body. The caller has made sure that no table in it has a column of a
// parameter's name.
func substitute(def *pg.Node, function string, names []string, values []*pg.Node) {
	taken := func(name string) {
		if name != "" && slices.Contains(names, name) {
			giveUp("it gives something the name of a parameter")
		}
	}
	top := def.GetSelectStmt()
	all(def.ProtoReflect(), func(m protoreflect.Message) {
		switch n := m.Interface().(type) {
		case *pg.RangeVar:
			taken(n.Relname)
		case *pg.Alias:
			taken(n.Aliasname)
			for _, c := range fieldsOf(n.Colnames) {
				taken(c)
			}
		case *pg.CommonTableExpr:
			taken(n.Ctename)
			for _, c := range fieldsOf(n.Aliascolnames) {
				taken(c)
			}
		case *pg.SelectStmt:
			if n != top {
				for _, t := range n.TargetList {
					taken(outputName(t.GetResTarget()))
				}
			}
		}
	})
	at := func(n *pg.Node) int {
		if p := n.GetParamRef(); p != nil {
			if p.Number < 1 || int(p.Number) > len(values) {
				giveUp("a parameter that it does not have")
			}
			return int(p.Number) - 1
		}
		f := fieldsOf(n.GetColumnRef().GetFields())
		switch {
		case len(f) == 1:
			return slices.Index(names, f[0])
		case len(f) == 2 && f[0] == function:
			return slices.Index(names, f[1])
		}
		return -1
	}
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		if n, ok := m.Interface().(*pg.Node); ok {
			if i := at(n); i >= 0 {
				n.Node = proto.Clone(values[i]).(*pg.Node).Node
				return
			}
		}
		children(m, visit)
	}
	visit(def.ProtoReflect())
}
