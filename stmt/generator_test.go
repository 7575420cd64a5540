package stmt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A gen writes statements over the schema air, of all shapes. Where the order
// matters, it orders by what tells any two rows apart.
type gen struct {
	*rand.Rand
	aliases int
	ctes    []relation
}

// A relation is what can stand in a FROM: its columns, each with an i (number)
// or t (text) in front, and those that tell its rows apart.
type relation struct {
	name    string
	cols    []string
	unique  []string
	missing bool // only on the side of an outer join that may be missing
}

func schema() []relation {
	r := func(name, cols, unique string) relation {
		return relation{name: name, cols: strings.Fields(cols), unique: strings.Fields(unique)}
	}
	return []relation{
		r("air.member", "i:member_no t:name t:email t:city i:tier t:partner i:referred_by", "member_no"),
		r("air.passport", "i:member_no t:passport_no t:country", "member_no"),
		r("air.booking", "i:id i:member_no t:flight t:seat i:fare", "id"),
		r("air.mile", "i:member_no i:year i:miles t:reason", "member_no year"),
		r("air.card", "i:member_no t:name i:tier", "member_no"),
		r("air.contact", "t:name t:email t:city", "name email city"),
		r("air.turnover", "t:city i:bookings i:fare", "city"),
		r("air.partner", "t:code t:name t:country", "code"),
		r("air.flight", "t:flight t:origin t:destination", "flight"),
		r("air.audit", "i:id t:what i:amount", "id"),
	}
}

func (g *gen) one(of ...string) string { return of[g.IntN(len(of))] }
func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

func (g *gen) statement() string {
	g.aliases, g.ctes = 0, nil
	sql, _ := g.query(0, nil)
	return sql
}

// query is any SELECT, and its columns.
func (g *gen) query(depth int, outer []relation) (string, []string) {
	switch n := g.IntN(100); {
	case n < 8 && depth < 2:
		g.aliases++
		name := fmt.Sprintf("q%d", g.aliases)
		def, cols := g.query(depth+1, nil)
		g.ctes = append(g.ctes, relation{name: name, cols: cols, unique: bare(cols)})
		sql, out := g.query(depth+1, outer)
		g.ctes = g.ctes[:len(g.ctes)-1]
		return fmt.Sprintf("with %s as %s(%s) (%s)", name, g.one("", "materialized ", "not materialized "), def, sql), out
	case n < 16 && depth < 2 && len(outer) == 0:
		g.aliases++
		name := fmt.Sprintf("r%d", g.aliases)
		return fmt.Sprintf("with recursive %s(no, n) as (select m.member_no, 0 from air.member m where %s union %s select m.member_no, r.n + 1 from air.member m join %[1]s r on m.referred_by = r.no%s where r.n < 3) %s",
			name, g.cond([]relation{named("m", schema()[0])}, nil, 3), g.one("", "all"), g.one("", " join (select a.id from air.audit a where a.amount > 0 union select 1) x on x.id > r.n"), g.one("select no as c1, n as c2 from ", "select count(*) as c1, max(n) as c2 from ")+name), []string{"i:c1", "i:c2"}
	case n < 28 && depth < 3:
		op := g.one(" union ", " union all ", " intersect ", " except ", " except all ")
		left, right := g.level(depth+1, outer, "it"), g.level(depth+1, outer, "it")
		return "(" + left + ")" + op + "(" + right + ")" + g.one("", "", " order by 1, 2 limit 3 offset 1"), []string{"i:c1", "t:c2"}
	}
	types := g.one("i", "t", "it", "ti", "itt")
	return g.level(depth, outer, types), columnsOf(types)
}

func columnsOf(types string) (cols []string) {
	for i, t := range types {
		cols = append(cols, fmt.Sprintf("%c:c%d", t, i+1))
	}
	return cols
}

func bare(cols []string) (names []string) {
	for _, c := range cols {
		names = append(names, c[2:])
	}
	return names
}

// level is one SELECT with columns of these types.
func (g *gen) level(depth int, outer []relation, types string) string {
	from, scope := g.from(depth, outer)
	where := g.where(scope, outer, depth)
	list := func(expr func(t byte) string) string {
		var out []string
		for i := range len(types) {
			out = append(out, fmt.Sprintf("%s as c%d", expr(types[i]), i+1))
		}
		return strings.Join(out, ", ")
	}
	plain := func(t byte) string { return g.expr(t, scope, outer, depth) }
	positions := func() string {
		var by []string
		for i := range len(types) {
			by = append(by, fmt.Sprint(i+1))
		}
		return g.one("", "", " order by "+strings.Join(by, ", ")+g.one("", " limit 2", " limit 3 offset 1"))
	}
	switch n := g.IntN(10); {
	case n < 2: // aggregates
		return "select " + list(func(t byte) string { return g.aggregate(t, scope) }) + from + where + g.one("", "", " having count(*) > 2") + positions()
	case n < 4: // of groups
		group := g.col(types[0], scope, nil)
		if !strings.HasPrefix(group, "t") {
			group = scope[0].name + "." + scope[0].cols[0][2:]
			types = scope[0].cols[0][:1] + types[1:]
		}
		first := true
		return "select " + list(func(t byte) string {
			if first {
				first = false
				return group
			}
			return g.aggregate(t, scope)
		}) + from + where + " group by " + g.one(group, group, "rollup ("+group+")") + g.one("", " having count(*) > 1") + positions()
	case n < 5:
		return "select distinct " + list(plain) + from + where + positions()
	case n < 6:
		c := g.col('t', scope, nil)
		return "select distinct on (" + c + ") " + list(plain) + from + where + " order by " + c + ", " + total(scope)
	case n < 7:
		window := fmt.Sprintf(" over (partition by %s order by %s)", g.col('t', scope, nil), total(scope))
		return "select " + list(func(t byte) string {
			if t == 'i' {
				return g.one("row_number()", "count(*)", "sum("+g.col('i', scope, nil)+")") + window
			}
			return g.one("lag(", "first_value(", "max(") + g.col('t', scope, nil) + ")" + window
		}) + from + where + g.one("", " order by "+total(scope)+" limit 3")
	}
	return "select " + list(plain) + from + where + g.one("", "", " order by "+g.col('t', scope, nil)+", "+total(scope)+g.one("", " limit 3", " limit 2 offset 2", " fetch first 2 rows with ties"))
}

func total(scope []relation) string {
	var by []string
	for _, r := range scope {
		for _, u := range r.unique {
			by = append(by, r.name+"."+u)
		}
	}
	return strings.Join(by, ", ")
}

func named(alias string, r relation) relation { r.name = alias; return r }

// from is a FROM clause and what it brings in.
func (g *gen) from(depth int, outer []relation) (string, []relation) {
	var scope []relation
	item := func(lateral bool) string {
		g.aliases++
		alias := fmt.Sprintf("t%d", g.aliases)
		switch n := g.IntN(20); {
		case depth < 2 && (n < 3 || lateral):
			around := outer
			if lateral {
				around = slices.Concat(outer, scope)
			}
			def, cols := g.query(depth+1, around)
			scope = append(scope, relation{name: alias, cols: cols, unique: bare(cols)})
			if lateral {
				return "lateral (" + def + ") " + alias
			}
			return "(" + def + ") " + alias
		case n < 5:
			scope = append(scope, relation{name: alias, cols: []string{"i:v1", "t:v2"}, unique: []string{"v1"}})
			return "(values (101, '東京'), (2, '佐藤'), (107, null)) " + alias + "(v1, v2)"
		case n < 9 && len(g.ctes) > 0:
			r := g.ctes[g.IntN(len(g.ctes))]
			scope = append(scope, named(alias, r))
			return r.name + " " + alias
		}
		all := schema()
		r := all[g.IntN(len(all))]
		if g.chance(50) {
			r = all[g.IntN(4)]
		}
		scope = append(scope, named(alias, r))
		return r.name + " " + alias
	}
	from := " from " + item(false)
	for len(scope) < 3 && g.chance(45) {
		before := len(scope)
		join := g.one(" join ", " join ", " left join ", " left join ", " right join ")
		next := item(join != " right join " && depth < 2 && g.chance(15))
		on := g.pair(scope[:before], scope[before:])
		if on == "" || g.chance(25) {
			on = strings.TrimPrefix(on+" and "+g.cond(scope, outer, depth+1), " and ")
		}
		switch join {
		case " left join ":
			scope[before].missing = true
		case " right join ":
			for i := range before {
				scope[i].missing = true
			}
		}
		from += join + next + " on " + on
	}
	return from, scope
}

// pair joins by columns of one name.
func (g *gen) pair(left, right []relation) string {
	var pairs []string
	for _, l := range left {
		for _, r := range right {
			for _, c := range l.cols {
				if slices.Contains(r.cols, c) {
					pairs = append(pairs, l.name+"."+c[2:]+" = "+r.name+"."+c[2:])
				}
			}
		}
	}
	if len(pairs) == 0 {
		return ""
	}
	return g.one(pairs...)
}

func (g *gen) where(scope, outer []relation, depth int) string {
	var conds []string
	for g.chance(60) && len(conds) < 3 {
		conds = append(conds, g.cond(scope, outer, depth))
	}
	for _, r := range scope {
		if r.missing && g.chance(30) {
			conds = append(conds, r.name+"."+r.unique[0]+" is null")
		}
	}
	if len(conds) == 0 {
		return ""
	}
	return " where " + strings.Join(conds, " and ")
}

func (g *gen) constant(t byte) string {
	if t == 'i' {
		return g.one("1", "2", "3", "104", "117", "2013", "4500")
	}
	return g.one("'東京'", "'大阪'", "'HTL'", "'NH2'", "'JP'", "'x'")
}

func (g *gen) col(t byte, scope, outer []relation) string {
	var found []string
	if len(outer) > 0 && g.chance(30) {
		scope = outer
	}
	for _, r := range scope {
		for _, c := range r.cols {
			if c[0] == t {
				found = append(found, r.name+"."+c[2:])
			}
		}
	}
	if len(found) == 0 {
		return "(" + g.constant(t) + "::" + map[byte]string{'i': "int", 't': "text"}[t] + ")"
	}
	return g.one(found...)
}

func (g *gen) expr(t byte, scope, outer []relation, depth int) string {
	c := g.col(t, scope, outer)
	switch n := g.IntN(12); {
	case n < 2 && depth < 2:
		return g.scalar(t, slices.Concat(outer, scope), depth+1)
	case n < 3:
		return "case when " + g.cond(scope, outer, depth+1) + " then " + c + " end"
	case n < 5 && t == 'i':
		return "(" + c + g.one(" + 1", " * 2", " % 3") + ")"
	case n < 5:
		return g.one("upper(", "lower(", "concat(") + c + ")"
	}
	return c
}

// scalar is a sub-select of one value.
func (g *gen) scalar(t byte, outer []relation, depth int) string {
	from, scope := g.from(depth, outer)
	where := g.where(scope, outer, depth)
	if g.chance(40) {
		return "(select " + g.col(t, scope, nil) + from + where + " order by " + total(scope) + " limit 1)"
	}
	return "(select " + g.aggregate(t, scope) + from + where + ")"
}

func (g *gen) aggregate(t byte, scope []relation) string {
	if t == 'i' {
		c := g.col('i', scope, nil)
		if !strings.HasPrefix(c, "t") {
			return "count(*)"
		}
		return g.one("count(*)", "count(distinct "+c+")", "max("+c+")", "sum("+c+")") + g.one("", "", " filter (where "+c+" > 2)")
	}
	c := g.col('t', scope, nil)
	return g.one("max("+c+")", "min("+c+")", "string_agg("+c+", ',' order by "+c+")")
}

func (g *gen) cond(scope, outer []relation, depth int) string {
	t := g.one("i", "t")[0]
	c := g.col(t, scope, outer)
	around := slices.Concat(outer, scope)
	switch n := g.IntN(20); {
	case n < 3 && depth < 2:
		from, in := g.from(depth+1, around)
		where := g.where(in, around, depth+1)
		if p := g.pair(in, scope); p != "" && g.chance(70) {
			where = strings.TrimSuffix(" where "+p+" and"+strings.TrimPrefix(where, " where"), " and")
		}
		return g.one("", "not ") + "exists (select 1" + from + where + ")"
	case n < 5 && depth < 2:
		from, in := g.from(depth+1, around)
		return c + g.one(" in ", " not in ", " = any ", " >= all ") + "(select " + g.col(t, in, nil) + from + g.where(in, around, depth+1) + ")"
	case n < 6 && depth < 2:
		return c + g.one(" = ", " >= ") + g.scalar(t, around, depth+1)
	case n < 8:
		return c + g.one(" is null", " is not null")
	case n < 9:
		return "(" + g.cond(scope, outer, depth+1) + " or " + g.cond(scope, outer, depth+1) + ")"
	case n < 10:
		return "not (" + g.cond(scope, outer, depth+1) + ")"
	case n < 12:
		return c + " is distinct from " + g.constant(t)
	case n < 14:
		return c + " in (" + g.constant(t) + ", " + g.constant(t) + ")"
	}
	return c + g.one(" = ", " < ", " >= ", " <> ") + g.constant(t)
}
