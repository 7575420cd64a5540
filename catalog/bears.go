package catalog

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"sekisho/stmt"
)

// What the columns of protected tables are made of: types, collations, tables
// whose rows they hold, ancestors. Whoever changes or drops one of these changes
// or destroys records, and names no protected table: ALTER TYPE … RENAME VALUE or
// DROP ATTRIBUTE, DROP TABLE … CASCADE of one whose row is a type, DROP SCHEMA …
// CASCADE of where a type lives. DDL of types and collations by themselves is
// Code, and never passes.

// bearing are the tables that rest on something, by its name.
type bearing struct {
	names   map[stmt.Name]reach
	schemas map[string]reach
}

// protectedOIDs are the protected tables, as the server numbers them, in order.
func (c *Catalog) protectedOIDs() (oids []string) {
	for r := range c.all {
		oids = append(oids, strconv.FormatUint(uint64(r.oid), 10))
	}
	slices.Sort(oids)
	return oids
}

// loadBearing follows the dependencies that DROP … CASCADE goes by.
func (c *Catalog) loadBearing(ctx context.Context, query Query) error {
	c.bears = bearing{map[stmt.Name]reach{}, map[string]reach{}}
	oids := c.protectedOIDs()
	if len(oids) == 0 {
		return nil
	}
	return rowsOf(ctx, query, "what protected columns are made of", `
		WITH RECURSIVE d(rel, classid, objid) AS (
			SELECT p.objid, p.refclassid, p.refobjid FROM pg_catalog.pg_depend p
			WHERE p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.objid IN (`+strings.Join(oids, ", ")+`)
			UNION
			SELECT d.rel, p.refclassid, p.refobjid FROM d JOIN pg_catalog.pg_depend p ON p.classid = d.classid AND p.objid = d.objid)
		SELECT d.rel, n.nspname, COALESCE(t.typname, k.relname)
		FROM d LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
			LEFT JOIN pg_catalog.pg_class k ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND k.oid = d.objid
			JOIN pg_catalog.pg_namespace n ON n.oid = COALESCE(t.typnamespace, k.relnamespace, CASE WHEN d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass THEN d.objid END)
		WHERE d.rel <> d.objid OR d.classid <> 'pg_catalog.pg_class'::pg_catalog.regclass`,
		func(v []string) error {
			r := c.byOID[oidOf(v[0])]
			if r == nil {
				return nil
			}
			if v[2] == "" {
				if c.bears.schemas[v[1]] == nil {
					c.bears.schemas[v[1]] = reach{}
				}
				c.bears.schemas[v[1]][r] = true
				return nil
			}
			name := stmt.Name{Schema: v[1], Name: v[2]}
			if on := c.named(name.String()); on != nil && on.protected() {
				return nil // nothing of it is changed anyway
			}
			if c.bears.names[name] == nil {
				c.bears.names[name] = reach{}
			}
			c.bears.names[name][r] = true
			return nil
		})
}

// rests are the protected tables that DDL may change or destroy by what it does
// to something that they are made of.
func (c *Catalog) rests(s *stmt.Statement) reach {
	touched := reach{}
	if s.Kind != stmt.Define {
		return touched
	}
	for name, tables := range c.bears.names {
		if slices.ContainsFunc(s.Relations, func(r stmt.Relation) bool {
			return r.Name.Name == name.Name && (r.Schema == "" || r.Schema == name.Schema)
		}) {
			for t := range tables {
				touched[t] = true
			}
		}
	}
	if s.Cascade {
		for _, schema := range s.Schemas {
			for t := range c.bears.schemas[schema] {
				touched[t] = true
			}
		}
	}
	return touched
}
