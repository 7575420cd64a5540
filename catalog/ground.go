package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"sekisho/stmt"
)

// A Ground is what a judgement rests on besides the statement's own text: the
// relations and functions that its names mean. Who runs the statement asks
// whether it still Holds when the server has made its plan: what the plan reads
// is locked from then on, so what it reads is what was judged.
type Ground struct {
	relations, functions []string
	version              string
	seen                 atomic.Pointer[string] // as it was in the snapshot, once that is known

	table   *relation // that it reads, or writes, if it is nothing else: columns of the result that come from there say that the name still means it
	changes bool      // it writes to that one
}

// Shown says that the origins of a result show that the statement still reads
// its one table as it was.
func (g *Ground) Shown(origins []Origin) bool {
	shown := false
	for _, o := range origins {
		if g.table == nil || o.TableOID != g.table.oid {
			continue
		}
		if shown = o.Attnum < 0 || slices.ContainsFunc(g.table.columns, func(c column) bool { return c.attnum == o.Attnum }); !shown {
			return false // a column that nobody knew of
		}
	}
	return shown
}

// Silent says that the statement writes to its one table and nothing else: as
// long as no more than its tag comes, it has shown nothing of any other.
func (g *Ground) Silent() bool { return g.changes }

// Ground is what a judgement of this statement rests on. Nil: on nothing that
// the origins of its rows do not show, or there is nothing protected. masked:
// it is sent with masks, each of which reads a column by its name.
func (c *Catalog) Ground(s *stmt.Statement, j Judgement, masked bool) *Ground {
	if len(c.all) == 0 || j.Kind == Denied || j.Kind == Opaque && j.Bound == nil || j.Locks {
		return nil
	}
	switch s.Kind {
	case stmt.Select, stmt.Insert, stmt.Update, stmt.Delete, stmt.Merge, stmt.Copy, stmt.Prepare, stmt.Declare, stmt.Explain, stmt.Call:
	default:
		return nil
	}
	g := &Ground{version: c.version}
	own := c.grow(g, s)
	if of := c.writtenOut(s); of != nil {
		own = c.grow(g, of) || own
	}
	if len(g.relations) == 0 && !own {
		return nil
	}
	tables, one := 0, (*relation)(nil)
	for _, r := range s.Relations {
		found := c.find(r)
		if r.CTE {
			continue
		}
		if len(found) != 1 || found[0].kind != 'r' && found[0].kind != 'p' {
			tables = -1
			break
		}
		tables, one = tables+1, found[0]
	}
	own = own || c.ownOperators(s)
	switch {
	case own || tables < 1 || s.Copy != nil && !s.Copy.From:
	case j.Kind == Plain && tables == len(j.Instances) && !masked:
		return nil // each of them has its key among the columns
	case j.Kind == Free && tables == 1 && (s.Kind == stmt.Select || s.Kind == stmt.Prepare || s.Kind == stmt.Declare):
		g.table = one
	case j.Kind == Free && tables == 1 && s.Kind != stmt.Explain:
		g.table, g.changes = one, true
	}
	return g
}

// grow adds a statement's names, and says whether one of its functions is not
// PostgreSQL's own.
func (c *Catalog) grow(g *Ground, s *stmt.Statement) (own bool) {
	add := func(to *[]string, name string) {
		for _, n := range []string{name, fold(name)} {
			if !slices.Contains(*to, n) {
				*to = append(*to, n)
			}
		}
	}
	for _, r := range s.Relations {
		if !r.CTE {
			add(&g.relations, r.Name.Name)
		}
	}
	for _, f := range s.Functions {
		if f.Special {
			continue
		}
		add(&g.functions, f.Name.Name)
		_, system := c.system[f.Name.Name]
		own = own || !system || len(c.functions[f.Name.Name]) > 0
	}
	return own
}

// ownOperators: an operator or type in the statement may be somebody's own.
func (c *Catalog) ownOperators(s *stmt.Statement) bool {
	return slices.ContainsFunc(s.Operators, func(n stmt.Name) bool { return n.Schema != "" && n.Schema != "pg_catalog" })
}

// Holds says whether what the judgement rests on is, in the database, still
// what it was in the snapshot. changed: it is not; unsure: nobody can tell,
// because the database has changed somewhere since and this was not looked at
// before.
func (g *Ground) Holds(ctx context.Context, query Query) (holds, unsure bool, err error) {
	was := g.seen.Load()
	ask := "SELECT " + groundSum
	if was == nil {
		ask = "SELECT " + groundSum + ", " + versionSum
	}
	rows, err := query(ctx, withGround+ask, array(g.relations), array(g.functions))
	if err != nil {
		return false, false, fmt.Errorf("asking whether what a statement reads has changed: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) == 0 || slices.Contains(rows[0], nil) {
		return false, false, errors.New("asking whether what a statement reads has changed: no answer")
	}
	is := rows[0][0]
	if was != nil {
		return *is == *was, false, nil
	}
	if open(*rows[0][1]) != open(g.version) {
		return false, true, nil
	}
	g.seen.CompareAndSwap(nil, is)
	return true, false, nil
}

// open is a version without what it says of locks: who has its plan waits for
// none.
func open(version string) string { return version[:strings.LastIndexByte(version, ' ')+1] }

// Same says that two judgements account for the same statement alike.
func (j Judgement) Same(as Judgement) bool {
	return j.Kind == as.Kind && j.Verb == as.Verb && j.Categories == as.Categories && slices.Equal(j.Tables, as.Tables) && slices.Equal(j.Spaces, as.Spaces) && slices.Equal(j.Instances, as.Instances)
}

// array is an array of texts as PostgreSQL reads it.
func array(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(n) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// withGround finds what names mean and what that is made of: the relations below
// a view and the children of a table, at any depth, and the functions that any
// of their rules call. Of pg_class only what decides counts, so that a table
// that is emptied or moved is still the same.
const withGround = `
WITH RECURSIVE r (oid) AS (
	SELECT c.oid FROM pg_catalog.pg_class c
	WHERE c.relname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text::pg_catalog.name[]) AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
	UNION
	SELECT x.oid FROM r, LATERAL (
		SELECT d.refobjid FROM pg_catalog.pg_rewrite w
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
		WHERE w.ev_class = r.oid
		UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = r.oid
	) x (oid)
), p (oid) AS (
	SELECT f.oid FROM pg_catalog.pg_proc f WHERE f.proname OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.text::pg_catalog.name[])
	UNION
	SELECT d.refobjid FROM r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
	JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
) `

var groundSum = strings.Join([]string{
	`(SELECT pg_catalog.count(*)::pg_catalog.text || ':' || COALESCE(pg_catalog.sum(pg_catalog.hashtext(c.oid::pg_catalog.text || c.relname::pg_catalog.text || ' ' || c.relnamespace::pg_catalog.text || c.relkind::pg_catalog.text || c.relrowsecurity::pg_catalog.text || c.relowner::pg_catalog.text)::pg_catalog.int8), 0)::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.oid = ANY (ARRAY (SELECT r.oid FROM r)))`,
	sumOf("pg_namespace", "t.nspname NOT LIKE 'pg\\_t%'"),
	sumOf("pg_attribute", "t.attnum > 0 AND t.attrelid = ANY (ARRAY (SELECT r.oid FROM r))"),
	sumOf("pg_rewrite", "t.ev_class = ANY (ARRAY (SELECT r.oid FROM r))"),
	sumOf("pg_inherits", "t.inhparent = ANY (ARRAY (SELECT r.oid FROM r))"),
	sumOf("pg_policy", "t.polrelid = ANY (ARRAY (SELECT r.oid FROM r))"),
	sumOf("pg_attrdef", "t.adrelid = ANY (ARRAY (SELECT r.oid FROM r))"),
	sumOf("pg_trigger", "t.tgrelid = ANY (ARRAY (SELECT r.oid FROM r)) AND NOT t.tgisinternal"),
	sumOf("pg_proc", "t.oid = ANY (ARRAY (SELECT p.oid FROM p))"),
	sumOf("pg_operator", "t.oid >= 16384"),
	sumOf("pg_cast", "t.oid >= 16384"),
}, " || ' ' || ")
