package catalog

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sekisho/stmt"
)

// What is not in a statement's text: what views read, and what writes set off.

// loadViews carries protection through views, materialized views and rules, by
// what the server says that they depend on and by what their text says: the
// server notes no dependency on what is its own, such as pg_stats.
func (c *Catalog) loadViews(ctx context.Context, query Query, before map[uint32]*relation) error {
	reviewed := c.reviewedOID()
	depends := map[*relation][]*relation{}
	err := rowsOf(ctx, query, "views", `
		SELECT r.ev_class, d.refclassid::pg_catalog.regclass::pg_catalog.text, d.refobjid
		FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d
			ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
		WHERE r.ev_class >= 16384 AND d.refobjid >= 16384 AND d.refobjid <> r.ev_class`,
		func(v []string) error {
			view := c.byOID[oidOf(v[0])]
			if view == nil || view.kind != 'v' && view.kind != 'm' { // a rule on writes: see loadEffects
				return nil
			}
			switch strings.TrimPrefix(v[1], "pg_catalog.") {
			case "pg_class":
				if r := c.byOID[oidOf(v[2])]; r != nil {
					depends[view] = append(depends[view], r)
				}
			case "pg_proc":
				if !reviewed[v[2]] && !view.declared {
					view.opaque = "it calls a function that nobody reviewed"
				}
				view.runs = view.runs || !reviewed[v[2]]
			}
			return nil
		})
	if err != nil {
		return err
	}
	// What a view says cannot be read while somebody has locked it, or what it is
	// made of. It says what it said before, where that is certain, and is not
	// understood until it is free again where it is not.
	err = rowsOf(ctx, query, "view definitions", `
		WITH shut AS MATERIALIZED (`+shut+`)
		SELECT c.oid, CASE WHEN c.oid IN (SELECT t.oid FROM shut t) THEN '' ELSE pg_catalog.pg_get_viewdef(c.oid) END,
			(SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(r.ev_action::pg_catalog.text, 'UTF8')), 'hex') FROM pg_catalog.pg_rewrite r
				WHERE r.ev_class = c.oid AND r.rulename = '_RETURN')
		FROM pg_catalog.pg_class c
		WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384`,
		func(v []string) error {
			view := c.byOID[oidOf(v[0])]
			if view == nil {
				return nil
			}
			if v[1] == "" && strings.HasSuffix(c.version, unlocked) {
				c.version += " locked since" // so that it is read again
			}
			view.definition, view.rule = v[1], v[2]
			if was := before[view.oid]; view.definition == "" && was != nil && c.saysStill(view, was, before) {
				view.definition = was.definition
			}
			parsed, err := stmt.Analyse(view.definition)
			if err != nil || len(parsed) != 1 {
				view.runs = true
				view.locked = view.definition == ""
				if !view.protected() && !view.declared {
					view.opaque = "its definition is not understood"
				}
				return nil
			}
			for _, r := range parsed[0].Relations {
				depends[view] = append(depends[view], c.find(r)...)
			}
			view.runs = view.runs || slices.ContainsFunc(parsed[0].Functions, func(f stmt.Function) bool { return c.functionTrouble(f, false) != "" }) ||
				slices.ContainsFunc(parsed[0].Operators, func(o stmt.Name) bool { return c.operators[o.Name] }) ||
				slices.ContainsFunc(parsed[0].Types, func(t stmt.Name) bool { return c.types[t.Name] })
			if view.protected() || view.declared {
				return nil
			}
			if !slices.ContainsFunc(parsed[0].Relations, func(r stmt.Relation) bool { return r.Schema == "" && !r.CTE }) {
				view.text, view.says = view.definition, map[string]bool{}
				for _, col := range parsed[0].Columns {
					for _, f := range col.Fields {
						view.says[f] = true
					}
				}
				for _, r := range parsed[0].Relations { // a whole row
					view.says["*"] = view.says["*"] || view.says[r.Ref()] && slices.ContainsFunc(parsed[0].Columns, func(c stmt.Column) bool { return c.Fields[len(c.Fields)-1] == r.Ref() })
				}
			}
			view.sensitive = view.sensitive || counts(&parsed[0])
			for _, f := range parsed[0].Functions {
				if why := c.functionTrouble(f, false); why != "" {
					view.opaque = why
				}
			}
			for _, o := range parsed[0].Operators {
				if c.operators[o.Name] {
					view.opaque = "it uses an operator that nobody reviewed"
				}
			}
			return nil
		})
	if err != nil {
		return err
	}
	for view, on := range depends {
		view.under = on
	}
	if c.keyed(); slices.ContainsFunc(slices.Collect(maps.Keys(c.all)), func(r *relation) bool { return r.kind == 'm' && r.of != nil }) {
		if err := c.loadTypeNames(ctx, query); err != nil {
			return err
		}
	}
	guarded := map[*relation]bool{} // by policies that read other relations
	err = rowsOf(ctx, query, "policies", `
		SELECT p.polrelid, d.refobjid FROM pg_catalog.pg_depend d
		JOIN pg_catalog.pg_policy p ON p.oid = d.objid JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
		WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
			AND d.refobjid <> p.polrelid AND c.relrowsecurity`,
		func(v []string) error {
			if table, r := c.byOID[oidOf(v[0])], c.byOID[oidOf(v[1])]; table != nil && r != nil {
				depends[table] = append(depends[table], r)
				guarded[table] = true
			}
			return nil
		})
	if err != nil {
		return err
	}
	// Views may depend on each other in a circle, so: until nothing changes.
	for changed := true; changed; {
		changed = false
		for view, on := range depends {
			for _, r := range on {
				if r == view {
					continue
				}
				if guarded[view] && len(r.reaches) > 0 {
					view.policy = true
				}
				if (r.leavesOut || view.declared && !view.barrier && view.kind == 'v' && r.concerning()) && !view.leavesOut {
					view.leavesOut, changed = true, true
				}
				if r.settings && !view.settings {
					view.settings, changed = true, true
				}
				if view.protected() || view.declared {
					continue
				}
				for t := range r.reaches {
					if !view.reaches[t] {
						view.reaches[t], changed = true, true
					}
				}
				if r.sensitive && !view.sensitive {
					view.sensitive, changed = true, true
				}
				if r.opaque != "" && view.opaque == "" {
					view.opaque, view.locked, changed = r.opaque, r.locked, true
				}
			}
		}
	}
	return nil
}

// saysStill: what a view said in an earlier snapshot it says now. The server keeps
// it by oids and numbers of columns, which are the same; and what the text has in
// their stead means the same as it did.
func (c *Catalog) saysStill(view, was *relation, before map[uint32]*relation) bool {
	if was.definition == "" || view.rule == "" || was.rule != view.rule || !view.looksAs(was) {
		return false
	}
	parsed, err := stmt.Analyse(was.definition)
	if err != nil || len(parsed) != 1 || slices.ContainsFunc(parsed[0].Types, func(t stmt.Name) bool { return t.Schema != "" && t.Schema != "pg_catalog" }) {
		return false // a user's type may have another name since; functions are known by their oids, operators are not renamed
	}
	return !slices.ContainsFunc(parsed[0].Relations, func(n stmt.Relation) bool {
		found := c.find(n)
		return len(found) == 0 && !n.CTE || slices.ContainsFunc(found, func(r *relation) bool {
			old := before[r.oid]
			return old == nil || !r.looksAs(old)
		})
	})
}

// looksAs: it has the name and the columns of another.
func (r *relation) looksAs(other *relation) bool {
	return r.full() == other.full() && slices.EqualFunc(r.columns, other.columns, func(a, b column) bool {
		return a.name == b.name && a.attnum == b.attnum && a.typeOID == b.typeOID
	})
}

// shut are the views that nobody can read the definition of, because somebody
// holds, or waits for, a lock on them or on what they are made of. The server
// would wait, and whoever holds such a lock could keep everything else that
// has changed from being seen.
const shut = `
	SELECT c.oid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
	WHERE l.mode = 'AccessExclusiveLock' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
		AND c.oid >= 16384 AND c.relkind IN ('v', 'm')
	UNION SELECT r.ev_class FROM pg_catalog.pg_locks l
	JOIN pg_catalog.pg_depend d ON d.refobjid = l.relation AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
	JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
	WHERE l.mode = 'AccessExclusiveLock' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())`

// unlocked ends a version in which no view is locked.
const unlocked = " 0:0"

// loadEffects finds what a write sets off: triggers, rules, and foreign keys
// that carry it on into a protected table.
func (c *Catalog) loadEffects(ctx context.Context, query Query) error {
	reviewed := c.reviewedOID()
	err := rowsOf(ctx, query, "triggers", `
		SELECT t.tgrelid, t.tgfoid, (t.tgtype & 7 = 7)::pg_catalog.text FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal`,
		func(v []string) error {
			r := c.byOID[oidOf(v[0])]
			if r == nil {
				return nil
			}
			r.remakes = r.remakes || v[2] == "true" // before each row that is inserted
			if !reviewed[v[1]] && oidOf(v[1]) >= firstUserOID {
				r.writes = "a trigger runs a function that nobody reviewed"
			}
			return nil
		})
	if err != nil {
		return err
	}
	err = rowsOf(ctx, query, "rules", `
		SELECT r.ev_class FROM pg_catalog.pg_rewrite r WHERE r.rulename <> '_RETURN'`,
		func(v []string) error {
			if rel := c.byOID[oidOf(v[0])]; rel != nil {
				rel.writes = "a rule rewrites the statement"
			}
			return nil
		})
	if err != nil {
		return err
	}
	// A write to a table may be one to its partitions and heirs.
	for changed := true; changed; {
		changed = false
		for oid, list := range c.children {
			for _, child := range list {
				parent, r := c.byOID[oid], c.byOID[child]
				if parent != nil && r != nil && r.writes != "" && parent.writes == "" {
					parent.writes, changed = r.writes, true
				}
				if parent != nil && r != nil && r.remakes && !parent.remakes {
					parent.remakes, changed = true, true
				}
			}
		}
	}
	carries := map[*relation][]*relation{}
	err = rowsOf(ctx, query, "foreign keys", `
		SELECT k.confrelid, k.conrelid, (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd'))::pg_catalog.text,
			pg_catalog.array_to_string(k.confkey, ','), pg_catalog.array_to_string(k.conkey, ','), k.confupdtype, k.confdeltype
		FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'`,
		func(v []string) error {
			from, to := c.byOID[oidOf(v[0])], c.byOID[oidOf(v[1])]
			if from == nil || to == nil {
				return nil
			}
			from.referring = append(from.referring, to)
			from.ties = from.ties || to.concerning()
			to.ties = to.ties || from.concerning()
			if v[2] == "true" {
				carries[from] = append(carries[from], to)
				from.referred = append(from.referred, foreignKey{to: to, columns: numbers(v[3]), referring: numbers(v[4]), onUpdate: first(v[5]), onDelete: first(v[6])})
			}
			return nil
		})
	if err != nil {
		return err
	}
	for from := range carries {
		seen := map[*relation]bool{from: true}
		for next := carries[from]; len(next) > 0; {
			to := next[0]
			next = next[1:]
			if seen[to] {
				continue
			}
			seen[to] = true
			for t := range to.reaches {
				from.cascades[t] = true
			}
			if to.writes != "" {
				from.writes = to.writes
			}
			from.ties = from.ties || to.ties // the deletion may fail there
			next = append(next, carries[to]...)
		}
	}
	// A write to a view may be one to the tables under it, and one to a table
	// may fail in a partition of it.
	for changed := true; changed; {
		changed = false
		for oid, list := range c.children {
			for _, child := range list {
				parent, r := c.byOID[oid], c.byOID[child]
				if parent != nil && r != nil && r.ties && !parent.ties {
					parent.ties, changed = true, true
				}
			}
		}
		for _, view := range c.byOID {
			for _, r := range view.under {
				if r.writes != "" && view.writes == "" && view.kind != 'm' {
					view.writes, changed = r.writes, true
				}
				if r.ties && !view.ties {
					view.ties, changed = true, true
				}
				for t := range r.cascades {
					if !view.cascades[t] {
						view.cascades[t], changed = true, true
					}
				}
			}
		}
	}
	return nil
}

// numbers reads a list of attribute numbers.
func numbers(list string) (all []int16) {
	for part := range strings.SplitSeq(list, ",") {
		n, _ := strconv.ParseInt(part, 10, 16)
		all = append(all, int16(n))
	}
	return all
}

// emptied are the protected tables that TRUNCATE … CASCADE of this one empties:
// whatever refers to it, whatever the foreign key says of deletions. writes is
// what nobody can see through that it sets off.
func (c *Catalog) emptied(from *relation) (tables reach, writes string) {
	tables = reach{}
	seen := map[*relation]bool{}
	for next := []*relation{from}; len(next) > 0; {
		r := next[0]
		if next = next[1:]; r == nil || seen[r] {
			continue
		}
		seen[r] = true
		maps.Copy(tables, r.reaches)
		writes = cmp.Or(writes, r.writes)
		next = append(next, r.referring...)
		for _, oid := range c.children[r.oid] {
			next = append(next, c.byOID[oid])
		}
	}
	return tables, writes
}
