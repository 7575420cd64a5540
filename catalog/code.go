package catalog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sekisho/sheet"
	"sekisho/stmt"
)

type systemFunction struct {
	kind     byte // pg_proc.prokind: 'f', 'a', 'w' or 'p'; the worst of those with the name
	volatile bool
}

type function struct {
	oid       uint32
	schema    string
	reviewed  bool
	attribute bool // can be called as an attribute of a row: (row).f
	kind      byte
	volatile  bool // of a trusted extension, and reviewed by nobody here
	reaching  *Reaching
	body      *stmt.Body // of one whose calls are judged written out
}

const systemSchemas = "('pg_catalog', 'information_schema')"

// trusted extensions come with PostgreSQL; none of their functions runs SQL
// from a string or reads a table by itself. Some keep what they are given for
// the rest of the session: see stateful.
const trusted = "('citext', 'pg_trgm', 'hstore', 'ltree', 'btree_gin', 'btree_gist', 'cube', 'intarray', 'isn', 'seg', 'unaccent', 'fuzzystrmatch', 'pgcrypto', 'uuid-ossp')"

func (c *Catalog) loadFunctions(ctx context.Context, query Query) error {
	c.system = map[string]systemFunction{}
	err := rowsOf(ctx, query, "functions", `
		SELECT p.proname, pg_catalog.string_agg(DISTINCT p.prokind::pg_catalog.text, ''), pg_catalog.bool_or(p.provolatile = 'v')::pg_catalog.text
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname IN `+systemSchemas+` GROUP BY p.proname`,
		func(v []string) error {
			f := systemFunction{kind: 'f', volatile: v[2] == "true"}
			for _, k := range "apw" {
				if strings.ContainsRune(v[1], k) {
					f.kind = byte(k)
				}
			}
			c.system[v[0]] = f
			return nil
		})
	if err != nil {
		return err
	}
	// A type's name can be called like a function: json('1').
	err = rowsOf(ctx, query, "types", `
		SELECT t.typname FROM pg_catalog.pg_type t WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace`,
		func(v []string) error {
			if _, taken := c.system[v[0]]; !taken {
				c.system[v[0]] = systemFunction{kind: 'f'}
			}
			return nil
		})
	if err != nil {
		return err
	}
	reviewed := map[string]bool{}
	for _, f := range c.cfg.Functions.Reviewed {
		reviewed[f] = true
	}
	if t := c.cfg.Functions.Token; t != "" {
		reviewed[t] = true // the gate alone calls it: see isToken
	}
	reaching := map[string]*Reaching{}
	for i := range c.cfg.Functions.Reaching {
		reaching[c.cfg.Functions.Reaching[i].Name] = &c.cfg.Functions.Reaching[i]
	}
	if err := c.loadReaching(ctx, query, reaching); err != nil {
		return err
	}
	c.functions = map[string][]function{}
	found := map[string]bool{}
	var names []string
	err = rowsOf(ctx, query, "functions", `
		SELECT p.oid, n.nspname, p.proname, p.prokind, (e.extname IS NOT NULL)::pg_catalog.text,
			(p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 AND t.typtype IN ('c', 'p', 'd'))::pg_catalog.text,
			(p.provolatile = 'v')::pg_catalog.text
		FROM pg_catalog.pg_proc p
		JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
		LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
			AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
		LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname IN `+trusted+`
		WHERE n.nspname NOT IN `+systemSchemas,
		func(v []string) error {
			full := v[1] + "." + v[2]
			found[full] = true
			names = append(names, full)
			f := function{
				oid: oidOf(v[0]), schema: v[1], kind: first(v[3]), attribute: v[5] == "true",
				reviewed: v[4] == "true" || reviewed[full], volatile: v[6] == "true" && !reviewed[full],
			}
			if r := reaching[full]; r != nil && !c.otherwise(f.oid) {
				f.reaching = r
			}
			c.functions[v[2]] = append(c.functions[v[2]], f)
			return nil
		})
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range c.cfg.Functions.Reviewed {
		if !found[f] {
			errs = append(errs, fmt.Errorf("catalog: the database has no function %s, which is listed as reviewed%s", f, sheet.Nearest(f, names)))
		}
	}
	for name := range reaching {
		if !found[name] {
			errs = append(errs, fmt.Errorf("catalog: the database has no function %s, which is listed as reaching%s", name, sheet.Nearest(name, names)))
		}
	}
	return errors.Join(errs...)
}

// reviewedOID are the functions known to be harmless, by oid.
func (c *Catalog) reviewedOID() map[string]bool {
	m := map[string]bool{}
	for _, list := range c.functions {
		for _, f := range list {
			if f.reviewed {
				m[strconv.FormatUint(uint64(f.oid), 10)] = true
			}
		}
	}
	return m
}

// firstUserOID is the least that the server gives to what users make; all
// below is PostgreSQL's own (FirstNormalObjectId in access/transam.h).
const firstUserOID = 16384

func (c *Catalog) loadOperators(ctx context.Context, query Query) error {
	c.operators, c.own = map[string]bool{}, map[string]bool{}
	c.unseen.operators = map[uint32]bool{}
	err := rowsOf(ctx, query, "operators", `
		SELECT o.oprname FROM pg_catalog.pg_operator o WHERE o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace
		UNION ALL SELECT t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
			WHERE n.nspname IN `+systemSchemas,
		func(v []string) error { c.own[v[0]] = true; return nil })
	if err != nil {
		return err
	}
	reviewed := c.reviewedOID()
	return rowsOf(ctx, query, "operators", `
		SELECT o.oprname, o.oprcode::pg_catalog.oid, o.oid FROM pg_catalog.pg_operator o
		JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
		WHERE n.nspname NOT IN `+systemSchemas,
		func(v []string) error {
			code := oidOf(v[1])
			unreviewed := code >= firstUserOID && !reviewed[v[1]]
			c.operators[v[0]] = c.operators[v[0]] || unreviewed
			c.unseen.operators[oidOf(v[2])] = unreviewed
			return nil
		})
}

// loadTypes finds the types that run code of their own when a value is turned
// into one: a domain with a check, an input function or a cast that nobody
// reviewed, and every array, domain, range or row that holds such a type.
func (c *Catalog) loadTypes(ctx context.Context, query Query) error {
	reviewed := c.reviewedOID()
	names := map[uint32]string{}
	runs := map[uint32]bool{}
	leaks := map[uint32]bool{}     // as runs, but a check alone is not enough: see loadExpressions
	holds := map[uint32][]uint32{} // a type and those that it is made of
	err := rowsOf(ctx, query, "types", `
		SELECT t.oid, t.typname, t.typtype, t.typinput::pg_catalog.oid, t.typelem, t.typbasetype,
			EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')::pg_catalog.text
		FROM pg_catalog.pg_type t WHERE t.oid >= 16384`,
		func(v []string) error {
			oid := oidOf(v[0])
			names[oid] = v[1]
			input := oidOf(v[3])
			leaks[oid] = v[2] == "b" && input >= firstUserOID && !reviewed[v[3]]
			runs[oid] = leaks[oid] || v[2] == "d" && v[6] == "true"
			holds[oid] = append(holds[oid], oidOf(v[4]), oidOf(v[5]))
			return nil
		})
	if err != nil {
		return err
	}
	err = rowsOf(ctx, query, "types", `
		SELECT c.reltype, a.atttypid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
		WHERE a.atttypid >= 16384 AND a.attnum > 0 AND c.reltype >= 16384
		UNION ALL SELECT r.rngtypid, r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid >= 16384
		UNION ALL SELECT (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid, r.rngtypid -- since version 14
			FROM pg_catalog.pg_range r WHERE r.rngtypid >= 16384`,
		func(v []string) error {
			holds[oidOf(v[0])] = append(holds[oidOf(v[0])], oidOf(v[1]))
			return nil
		})
	if err != nil {
		return err
	}
	err = rowsOf(ctx, query, "casts", `
		SELECT k.castsource, k.casttarget, k.castfunc FROM pg_catalog.pg_cast k WHERE k.castfunc >= 16384`,
		func(v []string) error {
			source, target := oidOf(v[0]), oidOf(v[1])
			switch {
			case reviewed[v[2]]:
			case source < firstUserOID && target < firstUserOID:
				c.casts = true
			default:
				for _, oid := range []uint32{source, target} {
					if oid >= firstUserOID {
						runs[oid], leaks[oid] = true, true
					}
				}
			}
			return nil
		})
	if err != nil {
		return err
	}
	spread(runs, holds)
	c.unseen.types, c.unseen.holds = leaks, holds
	c.types = map[string]bool{}
	for oid, name := range names {
		c.types[name] = c.types[name] || runs[oid]
	}
	return nil
}
