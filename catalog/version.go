package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Whether the database is still the one that a snapshot was taken of.

// Fresh says whether nothing that a judgement depends on has changed since the
// snapshot was taken. It costs one query of a few milliseconds.
func (c *Catalog) Fresh(ctx context.Context, query Query) (bool, error) {
	v, err := version(ctx, query)
	return v == c.version, err
}

// Version names the snapshot.
func (c *Catalog) Version() string { return c.version }

// sumOf is a hash over the identity and last change of some rows of a system
// catalog.
func sumOf(table, where string) string {
	return `(SELECT pg_catalog.count(*)::pg_catalog.text || ':' || COALESCE(pg_catalog.sum(pg_catalog.hashtext(t.tableoid::pg_catalog.text || t.ctid::pg_catalog.text || t.xmin::pg_catalog.text)::pg_catalog.int8), 0)::pg_catalog.text FROM pg_catalog.` + table + ` t WHERE ` + where + `)`
}

// temporaries are relations that come and go.
const temporaries = `(SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relpersistence = 't')`

// versionSum is a hash over the identity and last change of every row that Load
// reads. Temporary relations are left out: they come and go, and are made
// from what was judged when they were made. What is locked comes last.
var versionSum = strings.Join([]string{
	sumOf("pg_namespace", "t.nspname NOT LIKE 'pg\\_t%'"),
	sumOf("pg_class", "t.oid >= 16384 AND t.relpersistence <> 't' AND t.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')"),
	sumOf("pg_attribute", "t.attnum > 0 AND t.attrelid IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c'))"),
	sumOf("pg_proc", "t.oid >= 16384"),
	sumOf("pg_operator", "t.oid >= 16384"),
	sumOf("pg_cast", "t.oid >= 16384"),
	sumOf("pg_type", "t.oid >= 16384 AND t.typtype IN ('b', 'd', 'e', 'r')  AND t.typelem = 0"),
	sumOf("pg_constraint", "t.oid >= 16384 AND t.conrelid NOT IN "+temporaries),
	sumOf("pg_rewrite", "t.oid >= 16384"),
	sumOf("pg_trigger", "NOT t.tgisinternal"),
	sumOf("pg_inherits", "true"),
	sumOf("pg_attrdef", "t.adrelid NOT IN "+temporaries),
	sumOf("pg_policy", "t.polrelid NOT IN "+temporaries),
	sumOf("pg_index", "(t.indexprs IS NOT NULL OR t.indpred IS NOT NULL) AND t.indrelid NOT IN "+temporaries),
	sumOf("pg_extension", "true"),
	`(SELECT pg_catalog.count(*)::pg_catalog.text || ':' || COALESCE(pg_catalog.sum(t.oid::pg_catalog.int8), 0)::pg_catalog.text FROM (` + shut + `) t)`,
}, " || ' ' || ")

// version asks for it.
func version(ctx context.Context, query Query) (string, error) {
	rows, err := query(ctx, "SELECT "+versionSum)
	if err != nil {
		return "", fmt.Errorf("asking whether the catalog has changed: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 || rows[0][0] == nil {
		return "", errors.New("asking whether the catalog has changed: no answer")
	}
	return *rows[0][0], nil
}
