package stmt

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Where a level shows the first rows of its J in an order of their own, only
// those are named.

// first is the number of rows from the beginning of J that decide the answer,
// if there is such a number: the level shows them one by one, in an order that
// is the row's own. Ties are for the prefix to take in: the server may take any
// of them.
func (p *pass) first(sel *pg.SelectStmt, sc *scope, targets []output, after []*pg.Node, complete bool) *pg.Node {
	if !complete || sel.LimitCount == nil || len(sel.SortClause) == 0 || len(sel.DistinctClause) > 0 || slices.ContainsFunc(after, hasWindow) {
		return nil
	}
	for _, t := range targets { // no function may give several rows, or none
		ok := true
		level(t.val, func(m protoreflect.Message) {
			if f, is := m.Interface().(*pg.FuncCall); is {
				ok = ok && (harmless[builtin(f.Funcname)] || settled[builtin(f.Funcname)])
			}
		})
		if !ok {
			return nil
		}
	}
	for _, s := range sel.SortClause {
		if !sc.certain(by(s, targets)) {
			return nil
		}
	}
	number := func(n *pg.Node) (int64, bool) {
		if n == nil {
			return 0, true
		}
		c := n.GetAConst()
		return int64(c.GetIval().GetIval()), c != nil && !c.Isnull && c.GetSval() == nil && c.GetFval() == nil && c.GetBoolval() == nil
	}
	limit, ok1 := number(sel.LimitCount)
	offset, ok2 := number(sel.LimitOffset)
	if ok1 && ok2 {
		return template("SELECT " + strconv.FormatInt(limit+offset, 10)).TargetList[0].GetResTarget().Val
	}
	value := func(n *pg.Node) (*pg.Node, bool) {
		if n == nil {
			n = template("SELECT 0").TargetList[0].GetResTarget().Val
		}
		return n, n.GetParamRef() != nil || n.GetAConst() != nil && !n.GetAConst().Isnull
	}
	l, ok1 := value(sel.LimitCount)
	o, ok2 := value(sel.LimitOffset)
	if !ok1 || !ok2 {
		return nil
	}
	// Neither a NULL, which means no limit, nor a sum too large is an error.
	sum := template("SELECT LEAST(COALESCE($1::pg_catalog.int8::pg_catalog.numeric OPERATOR(pg_catalog.+) $2::pg_catalog.int8::pg_catalog.numeric, 9223372036854775807), 9223372036854775807)")
	n := sum.TargetList[0].GetResTarget().Val
	all(n.ProtoReflect(), func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.TypeCast); ok && c.Arg.GetParamRef() != nil {
			if c.Arg.GetParamRef().Number == 1 {
				c.Arg = l
			} else {
				c.Arg = o
			}
		}
	})
	return n
}

// by is what an item of ORDER BY orders by.
func by(s *pg.Node, targets []output) *pg.Node {
	n := s.GetSortBy().GetNode()
	if c := n.GetAConst(); c.GetIval() != nil {
		if i := int(c.GetIval().Ival); i >= 1 && i <= len(targets) {
			return targets[i-1].val
		}
	}
	if f := fieldsOf(n.GetColumnRef().GetFields()); len(f) == 1 {
		for _, t := range targets {
			if t.name == f[0] {
				return t.val
			}
		}
	}
	return n
}

// prefix puts the first rows of J in the place of its FROM.
func prefix(sel *pg.SelectStmt, of part, keys []*pg.Node, targets []output, count, offset *pg.Node) (part, []*pg.Node) {
	in := fresh()
	in.FromClause, in.WhereClause = of.from, of.where
	in.LimitCount, in.LimitOffset, in.LimitOption = count, offset, pg.LimitOption_LIMIT_OPTION_WITH_TIES
	for _, s := range sel.SortClause {
		s = proto.Clone(s).(*pg.Node)
		s.GetSortBy().Node = by(s, targets)
		in.SortClause = append(in.SortClause, s)
	}
	var out []*pg.Node
	for i, k := range keys {
		name := keyName + strconv.Itoa(i+1)
		in.TargetList = append(in.TargetList, pg.MakeResTargetNodeWithNameAndVal(name, k, 0))
		out = append(out, columnRef([]string{prefixName, name}))
	}
	of.from = []*pg.Node{derivedTable(in, prefixName, false)}
	of.where = nil
	return of, out
}
