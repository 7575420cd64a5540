package catalog

import (
	"context"
	"strconv"
	"strings"
)

// unseen is what runs code that nobody reviewed, and stands in expressions of
// the database's owner.
type unseen struct {
	operators, types map[uint32]bool
	holds            map[uint32][]uint32 // a type and those that it is made of
}

// any: there is a type that does.
func (u unseen) any() bool {
	for _, runs := range u.types {
		if runs {
			return true
		}
	}
	return false
}

// spread carries a mark from what is held to what holds it.
func spread(marks map[uint32]bool, holds map[uint32][]uint32) {
	for changed := true; changed; {
		changed = false
		for oid, parts := range holds {
			for _, part := range parts {
				if marks[part] && !marks[oid] {
					marks[oid], changed = true, true
				}
			}
		}
	}
}

// loadExpressions finds the expressions that run unasked: defaults, generated
// columns, checks of tables and of domains, expressions of indexes and of
// partition keys, and policies of row level security. What each calls is taken
// from what the server says it depends on. A policy runs when its table is
// read; the others run when it is written.
func (c *Catalog) loadExpressions(ctx context.Context, query Query) error {
	reviewed := c.reviewedOID()
	type expression struct {
		what       string // "default", "check", "policy" or "relation"
		owner      uint32 // the table
		class      string // of what it depends on
		refers     uint32
		unreviewed bool
	}
	var all []expression
	// Before version 15 what a generated column calls was noted with its table.
	err := rowsOf(ctx, query, "expressions", `
		SELECT x.what, x.owner, x.domain, d.refclassid::pg_catalog.regclass::pg_catalog.text, d.refobjid FROM pg_catalog.pg_depend d JOIN (
			SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid, a.oid, 'default'::pg_catalog.text, a.adrelid, 0::pg_catalog.oid FROM pg_catalog.pg_attrdef a
			UNION ALL SELECT DISTINCT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, g.attrelid, 'default', g.attrelid, 0::pg_catalog.oid FROM pg_catalog.pg_attribute g
				WHERE g.attgenerated <> '' AND pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 150000
			UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 'check', k.conrelid, k.contypid FROM pg_catalog.pg_constraint k
			UNION ALL SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid, 'policy', p.polrelid, 0 FROM pg_catalog.pg_policy p
				JOIN pg_catalog.pg_class c ON c.oid = p.polrelid WHERE c.relrowsecurity
			UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, 'relation', i.indrelid, 0 FROM pg_catalog.pg_index i
			UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, t.partrelid, 'relation', t.partrelid, 0 FROM pg_catalog.pg_partitioned_table t
		) AS x (class, oid, what, owner, domain) ON d.classid = x.class AND d.objid = x.oid
		WHERE d.refobjid >= 16384 AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass,
			'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)`,
		func(v []string) error {
			e := expression{what: v[0], owner: oidOf(v[1]), class: strings.TrimPrefix(v[3], "pg_catalog."), refers: oidOf(v[4])}
			switch e.class {
			case "pg_proc":
				e.unreviewed = !reviewed[strconv.FormatUint(uint64(e.refers), 10)]
			case "pg_operator":
				e.unreviewed = c.unseen.operators[e.refers]
			}
			if domain := oidOf(v[2]); domain != 0 {
				c.unseen.types[domain] = c.unseen.types[domain] || e.unreviewed
				if e.class == "pg_type" {
					c.unseen.holds[domain] = append(c.unseen.holds[domain], e.refers)
				}
				return nil
			}
			all = append(all, e)
			return nil
		})
	if err != nil {
		return err
	}
	spread(c.unseen.types, c.unseen.holds)
	for _, e := range all {
		r := c.byOID[e.owner]
		if r == nil || !e.unreviewed && !(e.class == "pg_type" && c.unseen.types[e.refers]) {
			continue
		}
		if e.what == "policy" {
			r.policy, r.opaque = true, "a policy calls a function that nobody reviewed"
			continue
		}
		r.writes = "its default, check or index calls a function that nobody reviewed"
	}
	for _, r := range c.byOID {
		for _, col := range r.columns {
			if !c.unseen.types[col.typeOID] {
				continue
			}
			r.coerces = true
			if r.writes == "" {
				r.writes = "the type of a column runs code that nobody reviewed"
			}
		}
	}
	return nil
}
