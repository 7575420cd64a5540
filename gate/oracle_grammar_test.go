package gate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A gen writes statements over the schema air. It avoids what would give
// different answers from one time to the next: where the order matters, it
// orders by everything that can tell two rows apart.
type gen struct {
	*rand.Rand
	names int // aliases given so far
	ctes  []relation
	// simple keeps to the shapes that hidden keys account for.
	simple bool
}

// A typ is what a generated expression gives.
type typ byte

const (
	typText typ = iota
	typInt
	typNum
	typDate
	typJSON
	typBool
)

// An attr is a column that a scope offers.
type attr struct {
	name string
	typ  typ
}

// A relation is what can stand in a FROM. unique are columns that together
// tell its rows apart; none means that only all of them might.
type relation struct {
	name   string
	attrs  []attr
	unique []string
}

var relations = []relation{
	{"air.member", []attr{{"member_no", typInt}, {"name", typText}, {"email", typText}, {"city", typText}, {"tier", typInt}, {"partner", typText}, {"referred_by", typInt}, {"joined", typDate}, {"note", typJSON}}, []string{"member_no"}},
	{"air.passport", []attr{{"member_no", typInt}, {"passport_no", typText}, {"expires_on", typDate}, {"country", typText}}, []string{"member_no"}},
	{"air.booking", []attr{{"id", typInt}, {"member_no", typInt}, {"flight", typText}, {"seat", typText}, {"fare", typNum}, {"booked", typDate}}, []string{"id"}},
	{"air.mile", []attr{{"member_no", typInt}, {"year", typInt}, {"miles", typInt}, {"reason", typText}}, []string{"member_no", "year"}},
	{"air.card", []attr{{"member_no", typInt}, {"name", typText}, {"tier", typInt}}, []string{"member_no"}},
	{"air.partner", []attr{{"code", typText}, {"name", typText}, {"country", typText}}, []string{"code"}},
	{"air.flight", []attr{{"flight", typText}, {"origin", typText}, {"destination", typText}}, []string{"flight"}},
	{"air.audit", []attr{{"id", typInt}, {"what", typText}, {"amount", typInt}}, []string{"id"}},
	// Only in statements that are not simple:
	{"air.mile_new", []attr{{"member_no", typInt}, {"year", typInt}, {"miles", typInt}, {"reason", typText}}, []string{"member_no", "year"}},
	{"air.contact", []attr{{"name", typText}, {"email", typText}, {"city", typText}}, nil},
	{"air.turnover", []attr{{"city", typText}, {"bookings", typInt}, {"fare", typNum}}, nil},
	{"air.city_size", []attr{{"city", typText}, {"members", typInt}, {"latest", typDate}}, nil},
	{"air.tally", []attr{{"member_no", typInt}, {"city", typText}, {"flights", typInt}, {"dearest", typNum}}, []string{"member_no"}},
}

const simpleRelations = 8

// A scope is what expressions may refer to.
type scope struct {
	cols   []attr   // with their qualifier
	unique []string // what tells two rows apart
	whole  []string // aliases of tables
	lonely []string // columns of tables on the side of an outer join that may be missing
	outer  *scope
	depth  int
}

// local is the scope without what lies around it.
func (sc *scope) local() *scope {
	in := *sc
	in.outer = nil
	return &in
}

// types are those that the scope has columns of.
func (sc *scope) types() (types []typ) {
	for _, c := range sc.cols {
		if c.typ != typJSON {
			types = append(types, c.typ)
		}
	}
	return append(types, typText)
}

// A query is a generated SELECT and the columns that it gives.
type query struct {
	*part
	cols []attr
}

func (g *gen) one(of ...string) string { return of[g.IntN(len(of))] }
func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }
func (g *gen) alias() string           { g.names++; return "t" + strconv.Itoa(g.names) }

// statement is a whole statement that reads.
func (g *gen) statement() *part {
	g.names, g.ctes = 0, nil
	g.simple = g.chance(45)
	if g.simple {
		return g.plain(&scope{depth: 9}).part
	}
	return g.query(&scope{}).part
}

// query is any SELECT.
func (g *gen) query(sc *scope) query {
	deep := sc.depth >= 3
	switch n := g.IntN(100); {
	case n < 20 || deep && n < 70:
		return g.plain(sc)
	case n < 45:
		return g.aggregated(sc)
	case n < 58:
		return g.combined(sc)
	case n < 68 && !deep:
		return g.with(sc)
	case n < 76 && !deep:
		return g.recursive(sc)
	case n < 88:
		return g.windowed(sc)
	}
	return g.distinct(sc)
}

// plain is a SELECT of expressions from relations.
func (g *gen) plain(outer *scope) query {
	sc, from := g.from(outer)
	q := query{}
	var targets []*part
	if g.chance(12) {
		targets = append(targets, word(sc.whole[0]+".*"))
	} else {
		for range 1 + g.IntN(4) {
			g.target(&q, &targets, g.typ(sc), sc)
		}
		if g.chance(6) {
			targets = append(targets, g.whole(sc))
			q.cols = append(q.cols, attr{name: "w", typ: typText})
		}
	}
	star := len(q.cols) == 0
	q.part = seq("select ", list(", ", 1, targets...), from, g.where(sc), nil)
	if star { // nobody may use its columns
		q.cols = nil
	}
	q.part = seq(q.part, g.order(sc, len(q.cols)))
	return q
}

func (g *gen) target(q *query, targets *[]*part, t typ, sc *scope) {
	name := "c" + strconv.Itoa(len(q.cols)+1)
	*targets = append(*targets, seq(g.expr(t, sc, 0), " as "+name))
	q.cols = append(q.cols, attr{name, t})
}

// typ is the type of one of the scope's columns, mostly.
func (g *gen) typ(sc *scope) typ {
	if types := sc.types(); g.chance(90) {
		return types[g.IntN(len(types))]
	}
	return g.anyTyp()
}

func (g *gen) anyTyp() typ {
	return []typ{typText, typText, typText, typInt, typInt, typNum, typDate, typBool}[g.IntN(8)]
}

// whole is a whole row as one value, or as JSON.
func (g *gen) whole(sc *scope) *part {
	a := g.one(sc.whole...)
	return word(g.one(a+"::text", "to_jsonb("+a+")::text", "row_to_json("+a+")::text", "row("+a+".*)::text") + " as w")
}

// order is an ORDER BY, and a LIMIT that is certain about its rows.
func (g *gen) order(sc *scope, n int) *part {
	if g.chance(55) {
		return nil
	}
	var by []*part
	if len(sc.cols) > 0 {
		by = append(by, word(sc.cols[g.IntN(len(sc.cols))].name+g.one("", " desc", " nulls first", " desc nulls last")))
	}
	for _, u := range sc.unique {
		by = append(by, word(u))
	}
	order := list(", ", 1, by...)
	if len(sc.unique) == 0 || g.chance(40) {
		return maybe(" order by ", order)
	}
	limit := maybe(" limit ", strconv.Itoa(1+g.IntN(8)))
	var offset *part
	if g.chance(35) {
		offset = maybe(" offset ", strconv.Itoa(g.IntN(6)))
	}
	if !g.simple && g.chance(15) {
		limit = maybe(fmt.Sprintf(" fetch first %d rows with ties", 1+g.IntN(5)))
	}
	return maybe(" order by ", order, limit, offset)
}

func (g *gen) where(sc *scope) *part {
	if g.chance(25) {
		return nil
	}
	conds := []*part{g.cond(sc, 0)}
	if len(sc.lonely) > 0 && g.chance(40) {
		conds = []*part{word(g.one(sc.lonely...) + " is null")}
	}
	for g.chance(25) {
		conds = append(conds, g.cond(sc, 0))
	}
	return maybe(" where ", list(" and ", 1, conds...))
}

// from is a FROM clause and the scope that it makes.
func (g *gen) from(outer *scope) (*scope, *part) {
	sc := &scope{outer: outer, depth: outer.depth + 1}
	item := g.item(sc, false)
	n := 1
	for n < 3 && g.chance(40) {
		n++
		before := *sc
		before.outer = outer
		lateral := !g.simple && g.chance(12)
		next := g.item(sc, lateral)
		added := &scope{cols: sc.cols[len(before.cols):], unique: sc.unique[len(before.unique):]}
		on := g.on(&before, added, sc)
		switch k := g.IntN(10); {
		case k < 5:
			item = list("", 1, item, seq(" join ", next, " on ", on))
		case k < 7:
			item = list("", 1, item, seq(" left join ", next, " on ", on))
			sc.lonely = append(sc.lonely, added.unique...)
		case k < 8 && !lateral:
			item = list("", 1, item, seq(" right join ", next, " on ", on))
			sc.lonely = append(sc.lonely, before.unique...)
		case k < 9 && !lateral && g.pair(&before, added) != "":
			item = list("", 1, item, seq(" full join ", next, " on ", g.pair(&before, added)))
		default:
			item = list("", 1, item, seq(" cross join ", next))
		}
	}
	return sc, seq(" from ", item)
}

// on joins what was there with what is new.
func (g *gen) on(before, added, both *scope) *part {
	p := g.pair(before, added)
	if p == "" {
		return g.cond(both, 1)
	}
	if g.chance(20) {
		return seq(p, maybe(" and ", g.cond(both, 1)))
	}
	return word(p)
}

// pair is an equality between two columns that mean the same, if there are
// such.
func (g *gen) pair(before, added *scope) string {
	var pairs []string
	for _, a := range before.cols {
		for _, b := range added.cols {
			if a.typ == b.typ && means(a.name) != "" && means(a.name) == means(b.name) {
				pairs = append(pairs, a.name+" = "+b.name)
			}
		}
	}
	if len(pairs) == 0 {
		return ""
	}
	return g.one(pairs...)
}

func means(col string) string {
	switch name := col[strings.LastIndex(col, ".")+1:]; name {
	case "member_no", "referred_by":
		return "member"
	case "partner", "code":
		return "partner"
	case "city", "flight", "name", "country":
		return name
	case "tier", "amount":
		return "small"
	}
	return ""
}

// item is one item of FROM; its columns join the scope.
func (g *gen) item(sc *scope, lateral bool) *part {
	a := g.alias()
	if !g.simple {
		switch k := g.IntN(20); {
		case lateral || k < 2 && sc.depth < 4:
			in := &scope{depth: sc.depth + 1}
			if lateral {
				in = &scope{outer: &scope{cols: sc.cols, outer: sc.outer}, depth: sc.depth + 1}
			}
			if q := g.query(in); len(q.cols) > 0 {
				sc.add(a, relation{attrs: q.cols})
				if lateral {
					return seq("lateral (", q.part, ") "+a)
				}
				return seq("(", q.part, ") "+a)
			}
		case k < 3:
			sc.add(a, relation{attrs: []attr{{"v1", typInt}, {"v2", typText}}, unique: []string{"v1"}})
			return word("(values (101, '東京'), (2, '佐藤'), (107, null)) " + a + "(v1, v2)")
		case k < 4:
			sc.add(a, relation{attrs: []attr{{"v1", typInt}}, unique: []string{"v1"}})
			return word("generate_series(100, 108, 2) " + a + "(v1)")
		case k < 6:
			if p := g.function(a, sc); p != nil {
				return p
			}
		case k < 11 && len(g.ctes) > 0:
			r := g.ctes[g.IntN(len(g.ctes))]
			sc.add(a, r)
			return word(r.name + " " + a)
		}
	}
	n := len(relations)
	if g.simple {
		n = simpleRelations
	}
	i := g.IntN(n)
	if g.chance(60) {
		i = g.IntN(4)
	}
	r := relations[i]
	sc.add(a, r)
	return word(r.name + " " + a)
}

// function is a call, in FROM, of a function that is one SELECT. Its argument may
// be a column beside it.
func (g *gen) function(a string, sc *scope) *part {
	arg := func(t typ) string {
		if len(sc.cols) > 0 && g.chance(50) {
			return g.col(t, sc)
		}
		return g.constant(t)
	}
	switch g.IntN(3) {
	case 0:
		r := relation{attrs: relations[0].attrs, unique: []string{"member_no"}}
		call := "air.of_town(" + arg(typText) + ") " + a
		sc.add(a, r)
		return word(call)
	case 1:
		call := "air.trips(" + arg(typInt) + ") " + a
		sc.add(a, relation{attrs: []attr{{"id", typInt}, {"trip", typText}, {"price", typNum}}, unique: []string{"id"}})
		return word(call)
	}
	call := "air.sizes(" + g.one("0", "1", "2") + ") " + a
	sc.add(a, relation{attrs: []attr{{"town", typText}, {"members", typInt}}})
	return word(call)
}

func (sc *scope) add(alias string, r relation) {
	for _, c := range r.attrs {
		sc.cols = append(sc.cols, attr{alias + "." + c.name, c.typ})
	}
	if len(r.unique) == 0 {
		for _, c := range r.attrs {
			sc.unique = append(sc.unique, alias+"."+c.name)
		}
	}
	for _, u := range r.unique {
		sc.unique = append(sc.unique, alias+"."+u)
	}
	sc.whole = append(sc.whole, alias)
}

// col is a column of some type, or a constant where there is none.
func (g *gen) col(t typ, sc *scope) string {
	var found []string
	for _, c := range sc.cols {
		if c.typ == t {
			found = append(found, c.name)
		}
	}
	if sc.outer != nil && (len(found) == 0 || g.chance(25)) {
		for o := sc.outer; o != nil; o = o.outer {
			for _, c := range o.cols {
				if c.typ == t {
					found = append(found, c.name)
				}
			}
		}
	}
	if len(found) == 0 {
		return g.constant(t)
	}
	return g.one(found...)
}

func (g *gen) constant(t typ) string {
	switch t {
	case typInt:
		return g.one("1", "2", "3", "104", "110", "117")
	case typNum:
		return g.one("1500", "500.5", "4500")
	case typDate:
		return g.one("date '2010-09-01'", "date '2025-03-01'", "date '2026-01-10'")
	case typBool:
		return g.one("true", "false")
	case typJSON:
		return `'{"meal": "any"}'::jsonb`
	}
	return g.one("'東京'", "'佐藤'", "'HTL'", "'NH2'", "'JP'", "'x'")
}

// expr is an expression of a type.
func (g *gen) expr(t typ, sc *scope, depth int) *part {
	if depth > 2 || g.chance(50) {
		if g.chance(8) {
			return word(g.constant(t))
		}
		return word(g.col(t, sc))
	}
	sub := func(t typ) *part { return g.expr(t, sc, depth+1) }
	if g.chance(12) {
		return seq("case when ", g.cond(sc, depth+1), " then ", sub(t), maybe(" else ", sub(t)), " end").or(g.col(t, sc))
	}
	if g.chance(8) {
		return seq("coalesce(", sub(t), ", ", g.constant(t), ")").or(g.col(t, sc))
	}
	if !g.simple && sc.depth < 4 && g.chance(15) {
		if p := g.scalar(t, sc); p != nil {
			return p.or(g.col(t, sc))
		}
	}
	if !g.simple && g.chance(6) && (t == typInt || t == typText) {
		return seq(map[typ]string{typInt: "air.flown(", typText: "air.called("}[t], sub(typInt), ")").or(g.col(t, sc))
	}
	switch t {
	case typInt:
		switch g.IntN(6) {
		case 0:
			return seq("length(", sub(typText), ")")
		case 1:
			return seq("(", sub(typInt), g.one(" + ", " - ", " * "), g.one("1", "2"), ")")
		case 2:
			return seq("extract(year from ", sub(typDate), ")::int")
		case 3:
			return seq("(", sub(typInt), " % 3)")
		case 4:
			return seq("abs(", sub(typInt), ")")
		}
		if g.chance(20) {
			return seq("(10 / ", sub(typInt), ")") // may fail
		}
	case typNum:
		switch g.IntN(3) {
		case 0:
			return seq("round(", sub(typNum), " / 3, 1)")
		case 1:
			return seq("(", sub(typInt), " * 1.5)")
		}
	case typDate:
		if g.chance(50) {
			return seq("(", sub(typDate), " + ", g.one("1", "30"), ")")
		}
	case typBool:
		return seq("(", g.cond(sc, depth+1), ")")
	case typText:
		switch g.IntN(9) {
		case 0:
			return seq("upper(", sub(typText), ")")
		case 1:
			return seq("(", sub(typText), " || ", sub(typText), ")")
		case 2:
			return seq("left(", sub(typText), ", 2)")
		case 3:
			return seq("concat_ws('/', ", sub(typText), ", ", sub(typInt), ")")
		case 4:
			return seq("to_char(", sub(typDate), ", 'YYYY-MM')")
		case 5:
			return seq("nullif(", sub(typText), ", ", g.constant(typText), ")")
		case 6:
			return seq("(", sub(typInt), ")::text")
		case 7:
			return seq("replace(", sub(typText), ", '1', '一')")
		case 8:
			return word("(" + g.col(typJSON, sc) + g.one(" ->> 'meal'", "::text", " #>> '{seat}'") + ")")
		}
	}
	return word(g.col(t, sc))
}

// cond is a condition.
func (g *gen) cond(sc *scope, depth int) *part {
	if depth < 2 && g.chance(22) {
		return seq("(", list(g.one(" and ", " or "), 1, g.cond(sc, depth+1), g.cond(sc, depth+1)), ")")
	}
	if depth < 2 && g.chance(8) {
		return seq("not (", g.cond(sc, depth+1), ")").or("true")
	}
	if !g.simple && sc.depth < 4 && g.chance(30) {
		return g.inner(sc).or("true")
	}
	t := []typ{typText, typText, typInt, typInt, typNum, typDate}[g.IntN(6)]
	c := g.col(t, sc)
	switch g.IntN(8) {
	case 0:
		return word(c + g.one(" is null", " is not null")).or("true")
	case 1:
		return word(c + " in (" + g.constant(t) + ", " + g.constant(t) + ")").or("true")
	case 2:
		return word(c + " is distinct from " + g.constant(t)).or("true")
	case 3:
		if t == typText {
			return word(c + " like " + g.one("'%1%'", "'佐%'", "'N%'", "'%京'")).or("true")
		}
		return word(c + " between " + g.constant(t) + " and " + g.constant(t)).or("true")
	case 4:
		return seq(g.expr(t, sc, depth+1), g.one(" = ", " < ", " >= ", " <> "), g.expr(t, sc, depth+1)).or("true")
	}
	return word(c + g.one(" = ", " < ", " > ", " <= ", " <> ", " >= ") + g.constant(t)).or("true")
}

// inner is a condition with a sub-select.
func (g *gen) inner(sc *scope) *part {
	in, from := g.from(sc)
	t := []typ{typText, typInt, typInt, typDate}[g.IntN(4)]
	where := g.where(in)
	switch g.IntN(6) {
	case 0, 1:
		if p := g.pair(in, sc); p != "" && g.chance(70) {
			where = maybe(" where ", p)
		}
		return seq(g.one("", "not "), "exists (select 1", from, where, ")")
	case 2, 3:
		return seq(g.col(t, sc), g.one(" in ", " not in "), "(select ", g.expr(t, in, 2), from, where, ")")
	case 4:
		return seq(g.col(t, sc), g.one(" = any ", " < all ", " >= any "), "(select ", g.expr(t, in, 2), from, where, ")")
	}
	if p := g.scalar(t, sc); p != nil {
		return seq(g.col(t, sc), g.one(" = ", " < ", " >= "), p)
	}
	return word("true")
}

// scalar is a sub-select with one value.
func (g *gen) scalar(t typ, sc *scope) *part {
	in, from := g.from(sc)
	where := g.where(in)
	if g.chance(50) && len(in.unique) > 0 {
		return seq("(select ", g.expr(t, in, 2), from, where, " order by ", strings.Join(in.unique, ", "), " limit 1)")
	}
	a := g.aggregate(t, in)
	if a == nil {
		return nil
	}
	return seq("(select ", a, from, where, ")")
}

// aggregate is an aggregate of a type.
func (g *gen) aggregate(t typ, sc *scope) *part {
	var a *part
	sc = sc.local() // of outer columns alone it would be the outer query's
	sc.depth = 9
	switch t {
	case typInt:
		switch g.IntN(5) {
		case 0, 1:
			a = word("count(*)")
		case 2:
			a = seq("count("+g.one("", "distinct "), g.expr(g.anyTyp(), sc, 2), ")")
		case 3:
			a = seq("sum(", g.expr(typInt, sc, 2), ")")
		case 4:
			a = seq(g.one("min", "max"), "(", g.expr(typInt, sc, 2), ")")
		}
	case typNum:
		a = seq(g.one("sum", "max", "min"), "(", g.expr(typNum, sc, 2), ")")
	case typDate:
		a = seq(g.one("min", "max"), "(", g.expr(typDate, sc, 2), ")")
	case typText:
		if g.chance(40) {
			e := g.expr(typText, sc, 2)
			a = seq("string_agg(", e, ", ',' order by ", e, ")")
			break
		}
		a = seq(g.one("min", "max"), "(", g.expr(typText, sc, 2), ")")
	case typBool:
		a = seq(g.one("bool_and", "bool_or"), "(", g.cond(sc, 2), ")")
	default:
		return nil
	}
	if g.chance(20) {
		a = seq(a, maybe(" filter (where ", g.cond(sc, 1), ")"))
	}
	return a
}

// aggregated is a SELECT with GROUP BY or without.
func (g *gen) aggregated(outer *scope) query {
	sc, from := g.from(outer)
	q := query{}
	var targets, by []*part
	local := &scope{cols: sc.cols}
	for range g.IntN(3) {
		t := []typ{typText, typText, typInt, typDate}[g.IntN(4)]
		c := g.col(t, local)
		if !strings.HasPrefix(c, "t") || c == "true" {
			continue
		}
		name := "c" + strconv.Itoa(len(q.cols)+1)
		targets = append(targets, word(c+" as "+name))
		q.cols = append(q.cols, attr{name, t})
		by = append(by, word(c))
	}
	for range 1 + g.IntN(2) {
		t := g.anyTyp()
		if a := g.aggregate(t, sc); a != nil {
			name := "c" + strconv.Itoa(len(q.cols)+1)
			targets = append(targets, seq(a, " as "+name))
			q.cols = append(q.cols, attr{name, t})
		}
	}
	var group, having *part
	if len(by) > 0 {
		switch g.IntN(6) {
		case 0:
			group = seq(" group by ", g.one("rollup", "cube"), " (", list(", ", 1, by...), ")")
		case 1:
			group = seq(" group by grouping sets ((", list(", ", 1, by...), "), ())")
		default:
			group = seq(" group by ", list(", ", 1, by...))
		}
	}
	if g.chance(25) {
		having = maybe(" having count(*)", g.one(" > 1", " = 1", " >= 2"))
	}
	q.part = seq("select ", list(", ", 1, targets...), from, g.where(sc), group, having, g.positions(len(q.cols)))
	return q
}

// positions is an ORDER BY all columns, with a LIMIT.
func (g *gen) positions(n int) *part {
	if n == 0 || g.chance(60) {
		return nil
	}
	var by []string
	for i := range n {
		by = append(by, strconv.Itoa(i+1)+g.one("", " desc"))
	}
	return maybe(" order by ", strings.Join(by, ", "), maybe(" limit ", strconv.Itoa(1+g.IntN(5))), maybe(" offset ", g.one("0", "1", "2")))
}

// combined is UNION, INTERSECT or EXCEPT.
func (g *gen) combined(outer *scope) query {
	q := query{}
	n := 1 + g.IntN(2)
	for i := range n {
		q.cols = append(q.cols, attr{"c" + strconv.Itoa(i+1), []typ{typText, typInt, typDate}[g.IntN(3)]})
	}
	branch := func() *part {
		if g.chance(10) {
			var vals []string
			for _, c := range q.cols {
				vals = append(vals, g.constant(c.typ))
			}
			return word("values (" + strings.Join(vals, ", ") + ")")
		}
		sc, from := g.from(outer)
		var targets []*part
		for _, c := range q.cols {
			targets = append(targets, seq(g.expr(c.typ, sc, 1), " as "+c.name))
		}
		return seq("select ", list(", ", len(targets), targets...), from, g.where(sc))
	}
	parts := seq("(", branch(), ")")
	for i := 0; i == 0 || i < 2 && g.chance(25); i++ {
		parts = list("", 1, parts, seq(g.one(" union ", " union all ", " intersect ", " except ", " except all ", " intersect all "), "(", branch(), ")"))
	}
	q.part = seq(parts, g.positions(n))
	return q
}

// with is a SELECT with a common table expression.
func (g *gen) with(outer *scope) query {
	in := g.query(&scope{depth: outer.depth + 1})
	if len(in.cols) == 0 {
		return g.plain(outer)
	}
	if strings.HasPrefix(in.part.String(), "with ") { // one WITH within another needs its parentheses
		in.part = seq("(", in.part, ")")
	}
	g.names++
	name := "q" + strconv.Itoa(g.names)
	g.ctes = append(g.ctes, relation{name: name, attrs: in.cols})
	q := g.query(&scope{outer: outer, depth: outer.depth + 1})
	g.ctes = g.ctes[:len(g.ctes)-1]
	if strings.HasPrefix(q.part.String(), "with ") {
		q.part = seq("(", q.part, ")")
	}
	q.part = seq("with "+name+" as "+g.one("", "materialized ", "not materialized ")+"(", in.part, ") ", q.part)
	return q
}

// recursive follows who referred whom.
func (g *gen) recursive(outer *scope) query {
	g.names++
	r := "r" + strconv.Itoa(g.names)
	start := &scope{depth: 4}
	start.add("m", relations[0])
	step := g.one(
		"select m.member_no, m.name, r.n + 1 from air.member m join "+r+" r on m.referred_by = r.member_no where r.n < 4",
		"select m.member_no, m.name, r.n + 1 from air.member m, "+r+" r where m.member_no = r.member_no + 5 and r.n < 3",
		"select m.member_no, m.name, r.n + 1 from (select id from air.audit where amount > 0 union select 1) x join "+r+" r on x.id > r.n join air.member m on m.referred_by = r.member_no where r.n < 2")
	return query{
		seq("(with recursive "+r+"(member_no, name, n) as (select m.member_no, m.name, 0 from air.member m", g.where(start), " union "+g.one("", "all ")+step+") "+
			g.one("select name as c1, n as c2 from "+r, "select max(name) as c1, count(*) as c2 from "+r, "select r.name as c1, f.amount as c2 from "+r+" r join air.audit f on f.id = r.n"), ")"),
		[]attr{{"c1", typText}, {"c2", typInt}},
	}
}

// windowed has a window function.
func (g *gen) windowed(outer *scope) query {
	sc, from := g.from(outer)
	q := query{}
	var targets []*part
	g.target(&q, &targets, g.anyTyp(), sc)
	over := seq("(", maybe("partition by ", g.col(typText, sc)), " order by "+strings.Join(sc.unique, ", ")+")")
	switch g.IntN(5) {
	case 0:
		targets = append(targets, seq("row_number() over ", over, " as c2"))
		q.cols = append(q.cols, attr{"c2", typInt})
	case 1:
		targets = append(targets, seq(g.one("lag(", "lead(", "first_value("), g.col(typText, sc), ") over ", over, " as c2"))
		q.cols = append(q.cols, attr{"c2", typText})
	case 2:
		targets = append(targets, seq("sum(", g.col(typInt, sc), ") over ", over, " as c2"))
		q.cols = append(q.cols, attr{"c2", typInt})
	case 3:
		targets = append(targets, seq("count(*) over (", maybe("partition by ", g.col(typText, sc)), ") as c2"))
		q.cols = append(q.cols, attr{"c2", typInt})
	case 4:
		targets = append(targets, seq(g.one("rank", "dense_rank"), "() over (order by ", g.col(typDate, sc), ") as c2"))
		q.cols = append(q.cols, attr{"c2", typInt})
	}
	q.part = seq("select ", list(", ", 1, targets...), from, g.where(sc), g.order(sc, 2))
	return q
}

// distinct is DISTINCT, or DISTINCT ON.
func (g *gen) distinct(outer *scope) query {
	sc, from := g.from(outer)
	q := query{}
	var targets []*part
	for range 1 + g.IntN(2) {
		g.target(&q, &targets, g.anyTyp(), sc)
	}
	if g.chance(50) || len(sc.unique) == 0 {
		q.part = seq("select distinct ", list(", ", 1, targets...), from, g.where(sc), g.positions(len(q.cols)))
		return q
	}
	on := sc.cols[g.IntN(len(sc.cols))].name
	q.part = seq("select distinct on ("+on+") ", list(", ", 1, targets...), from, g.where(sc), " order by ", strings.Join(append([]string{on}, sc.unique...), ", "))
	return q
}

// copied is a query whose rows say whose they are, among other things.
func (g *gen) copied() *part {
	g.names, g.ctes, g.simple = 0, nil, g.chance(50)
	sc, from := g.from(&scope{depth: 1})
	key := sc.whole[0] + ".member_no"
	for _, c := range sc.cols {
		if strings.HasSuffix(c.name, ".member_no") && (!slices.Contains(sc.lonely, c.name) || g.chance(20)) {
			key = c.name
		}
	}
	q := query{}
	targets := []*part{word(key + " as k")}
	for range 1 + g.IntN(3) {
		g.target(&q, &targets, g.typ(sc), sc)
	}
	return seq("select ", list(", ", 1, targets...), from, g.where(sc))
}

// explained asks how a statement runs, and of the rows that each step of it
// has met: nothing else in it is the same each time.
func (g *gen) explained(of *part) *part {
	return seq("explain (analyze, costs off, timing off, summary off"+g.one("", ", format json", ", verbose")+") ", of)
}

// write is a statement that changes something and, mostly, tells what.
func (g *gen) write() *part {
	g.names, g.ctes, g.simple = 0, nil, false
	r := relations[g.IntN(simpleRelations)]
	if r.name == "air.card" {
		r = relations[0]
	}
	sc := &scope{depth: 2}
	sc.add("x", r)
	returning := maybe(" returning ", g.expr(g.anyTyp(), sc, 1), ", ", g.col(typInt, sc))
	last := r.attrs[len(r.attrs)-1]
	if last.typ == typJSON {
		last = r.attrs[1]
	}
	switch g.IntN(4) {
	case 0:
		return seq("delete from "+r.name+" x", g.where(sc), returning)
	case 1:
		return seq("insert into "+r.name+" as x select ", "y.*", " from "+r.name+" y where false", returning)
	case 2:
		n := relations[5+g.IntN(3)]
		from := &scope{depth: 2, cols: sc.cols}
		from.add("y", n)
		return seq("update "+r.name+" x set "+last.name+" = ", g.expr(last.typ, from, 2), " from "+n.name+" y", g.where(from), returning)
	}
	return seq("update "+r.name+" x set "+last.name+" = ", g.expr(last.typ, sc, 1), g.where(sc), returning)
}
