package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Reaching functions are believed as somebody has read them. What that was, the
// config can say by the digest of the definition.

// A Defined is one function of a name that is listed as reaching, as the database
// has it now.
type Defined struct {
	Name   string // as schema.function
	Digest string // the SHA-256 of its definition
	Pinned bool   // the config says what was read
	Other  bool   // and it was something else

	oid uint32
}

// Defined are the functions that are listed as reaching, by name and digest.
func (c *Catalog) Defined() []Defined { return c.defined }

// otherwise: the function is not what somebody has read.
func (c *Catalog) otherwise(oid uint32) bool {
	return slices.ContainsFunc(c.defined, func(d Defined) bool { return d.oid == oid && d.Other })
}

// loadReaching compares the functions that are listed as reaching with what was
// read of them. pg_get_functiondef writes all of a definition: arguments,
// settings, whose rights it runs with, and the body.
func (c *Catalog) loadReaching(ctx context.Context, query Query, listed map[string]*Reaching) error {
	if len(listed) == 0 {
		return nil
	}
	names, err := json.Marshal(sorted(listed))
	if err != nil {
		return fmt.Errorf("listing the reaching functions: %w", err)
	}
	rows, err := query(ctx, `
		SELECT d.oid::pg_catalog.text, d.name, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.pg_get_functiondef(d.oid), 'UTF8')), 'hex')
		FROM (SELECT p.oid, n.nspname || '.' || p.proname AS name FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
			WHERE p.oid >= 16384 AND p.prokind IN ('f', 'p', 'w')) d
		WHERE d.name IN (SELECT l FROM pg_catalog.json_array_elements_text('`+strings.ReplaceAll(string(names), "'", "''")+`') l) ORDER BY 2, 3`)
	if err != nil {
		return fmt.Errorf("reading the definitions of functions: %w", err)
	}
	for _, row := range rows {
		if len(row) != 3 || row[0] == nil || row[1] == nil || row[2] == nil {
			return errors.New("reading the definitions of functions: a definition is missing")
		}
		r := listed[*row[1]]
		d := Defined{Name: *row[1], Digest: *row[2], Pinned: len(r.Body) > 0, oid: oidOf(*row[0])}
		d.Other = d.Pinned && !slices.Contains(r.Body, d.Digest)
		c.defined = append(c.defined, d)
	}
	return nil
}
