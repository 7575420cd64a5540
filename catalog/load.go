package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/stmt"
)

// Query asks the database and gives every value as text, or nil for null. The
// parameters are $1, $2, …, of type text.
type Query func(ctx context.Context, sql string, args ...string) ([][]*string, error)

// Catalog is one snapshot of the config joined with the system catalogs. It
// does not change, and is safe for use by many goroutines; a newer one is a new
// Catalog.
type Catalog struct {
	cfg      Config
	version  string
	byOID    map[uint32]*relation
	byName   map[string][]*relation // by the name without its schema
	subjects map[string]*Subject
	all      reach               // every protected table there is
	children map[uint32][]uint32 // partitions and inheriting tables, by oid

	system    map[string]systemFunction // functions of PostgreSQL itself, by name
	functions map[string][]function     // all others
	operators map[string]bool           // all others, by name: true if one of the name is not reviewed
	types     map[string]bool           // types of users, by name: true if one of the name runs code of its own
	own       map[string]bool           // operators and types of PostgreSQL itself, by name
	unseen    unseen                    // what runs code that nobody reviewed, by oid
	casts     bool                      // a cast between PostgreSQL's own types runs code of its own
}

// relation is a table, view or the like.
type relation struct {
	oid          uint32
	schema, name string
	kind         byte // pg_class.relkind
	temporary    bool
	columns      []column
	table        *Table // the config that protects it: its own or an ancestor's
	key          *column
	keyNullable  bool        // its key, or that of a table below it, may be null
	reaches      reach       // protected tables that reading it can read; for a protected table, itself
	opaque       string      // reading it runs code that nobody reviewed
	policy       bool        // a policy of row level security calls what nobody reviewed, or reads what is protected
	coerces      bool        // the type of a column runs code that nobody reviewed
	writes       string      // writing it sets off something that nobody reviewed
	ties         bool        // a foreign key leads from it to a protected table, or from one to it
	cascades     reach       // protected tables into which a change or deletion here is carried on
	declared     bool        // listed as unprotected
	under        []*relation // of a view: what it is made of
	barrier      bool        // a view with security_barrier: nobody's conditions go before its own
	leavesOut    bool        // a declared view without it, or a view over one
	settings     bool        // pg_settings, or a view over it: writing it sets a setting
	sensitive    bool        // of PostgreSQL itself, and holds values of users' tables or statements
}

type column struct {
	name      string
	attnum    int16
	typeOID   uint32
	generated bool
	notNull   bool
	category  sekisho.Categories
	protected bool
}

// reach is a set of protected tables.
type reach map[*relation]bool

func (r *relation) full() string     { return r.schema + "." + r.name }
func (r *relation) protected() bool  { return r.table != nil }
func (r *relation) concerning() bool { return len(r.reaches) > 0 || r.sensitive || r.opaque != "" }
func (r *relation) isSystem() bool   { return isSystem(r.schema) }

func (r *relation) column(name string) *column {
	for i := range r.columns {
		if r.columns[i].name == name {
			return &r.columns[i]
		}
	}
	return nil
}

// Load reads the system catalogs and joins the config to them. An error names
// each item of the config that the database does not have.
func Load(ctx context.Context, query Query, cfg Config) (*Catalog, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	c := &Catalog{cfg: cfg, byOID: map[uint32]*relation{}, byName: map[string][]*relation{}, subjects: map[string]*Subject{}, all: reach{}, children: map[uint32][]uint32{}}
	for i := range cfg.Subjects {
		c.subjects[cfg.Subjects[i].Name] = &cfg.Subjects[i]
	}
	// The version is read first: what changes during the reads then shows as
	// a change at the next check.
	var err error
	if c.version, err = version(ctx, query); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, Query) error{
		c.loadFunctions, c.loadOperators, c.loadTypes, c.loadRelations, c.protect, c.loadExpressions, c.loadViews, c.loadEffects,
	} {
		if err := step(ctx, query); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Fresh says whether nothing that a judgement depends on has changed since the
// snapshot was taken. It costs one query of a few milliseconds.
func (c *Catalog) Fresh(ctx context.Context, query Query) (bool, error) {
	v, err := version(ctx, query)
	return v == c.version, err
}

// Version names the snapshot.
func (c *Catalog) Version() string { return c.version }

// rowsOf calls each for every row; null is the empty string.
func rowsOf(ctx context.Context, query Query, what, sql string, each func(v []string) error) error {
	rows, err := query(ctx, sql)
	if err != nil {
		return fmt.Errorf("reading %s from the system catalogs: %w", what, err)
	}
	for _, row := range rows {
		v := make([]string, len(row))
		for i, p := range row {
			if p != nil {
				v[i] = *p
			}
		}
		if err := each(v); err != nil {
			return fmt.Errorf("reading %s from the system catalogs: %w", what, err)
		}
	}
	return nil
}

func oidOf(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

func first(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

func (c *Catalog) loadRelations(ctx context.Context, query Query) error {
	err := rowsOf(ctx, query, "relations", `
		SELECT c.oid, n.nspname, c.relname, c.relkind, (c.relpersistence = 't')::pg_catalog.text,
			COALESCE(c.reloptions && ARRAY['security_barrier=true', 'security_barrier=on'], false)::pg_catalog.text
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 't', 'c')`,
		func(v []string) error {
			r := &relation{oid: oidOf(v[0]), schema: v[1], name: v[2], kind: first(v[3]), temporary: v[4] == "true", barrier: v[5] == "true", reaches: reach{}, cascades: reach{}}
			r.settings = r.schema == "pg_catalog" && r.name == "pg_settings"
			r.sensitive = r.schema == "pg_toast" || r.schema == "pg_catalog" && sensitive[r.name] || r.name == "pg_stat_statements"
			c.byOID[r.oid] = r
			c.byName[r.name] = append(c.byName[r.name], r)
			return nil
		})
	if err != nil {
		return err
	}
	return rowsOf(ctx, query, "columns", `
		SELECT a.attrelid, a.attnum, a.attname, a.atttypid, (a.attgenerated <> '')::pg_catalog.text, a.attnotnull::pg_catalog.text
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
		WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND c.relnamespace <> 'pg_toast'::pg_catalog.regnamespace
		ORDER BY a.attrelid, a.attnum`,
		func(v []string) error {
			if r := c.byOID[oidOf(v[0])]; r != nil {
				n, _ := strconv.ParseInt(v[1], 10, 16)
				r.columns = append(r.columns, column{name: v[2], attnum: int16(n), typeOID: oidOf(v[3]), generated: v[4] == "true", notNull: v[5] == "true"})
			}
			return nil
		})
}

// protect joins the config's tables, and all that descend from them.
func (c *Catalog) protect(ctx context.Context, query Query) error {
	var errs []error
	var names []string
	for _, r := range c.byOID {
		if !r.isSystem() && (r.kind == 'r' || r.kind == 'p' || r.kind == 'f' || r.kind == 'v' || r.kind == 'm') {
			names = append(names, r.full())
		}
	}
	for i := range c.cfg.Tables {
		t := &c.cfg.Tables[i]
		r := c.named(t.Name)
		if r == nil || !slices.Contains(names, t.Name) {
			errs = append(errs, fmt.Errorf("catalog: the database has no table %s%s", t.Name, nearest(t.Name, names)))
			continue
		}
		errs = append(errs, r.guard(t)...)
	}
	for _, s := range c.cfg.Subjects {
		r := c.named(s.Table)
		if r == nil {
			errs = append(errs, fmt.Errorf("catalog: subject %s: the database has no table %s%s", s.Name, s.Table, nearest(s.Table, names)))
			continue
		}
		needed := []string{s.Key}
		if s.Roster.Query == "" {
			for _, m := range []map[string]string{s.Roster.Labels, s.Roster.Dates, s.Roster.Match} {
				for _, name := range sorted(m) {
					needed = append(needed, m[name])
				}
			}
		}
		for _, col := range needed {
			if r.column(col) == nil {
				errs = append(errs, fmt.Errorf("catalog: subject %s: table %s has no column named %s%s", s.Name, s.Table, col, nearest(col, r.columnNames())))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	children := c.children
	err := rowsOf(ctx, query, "partitions", `SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i`,
		func(v []string) error {
			children[oidOf(v[0])] = append(children[oidOf(v[0])], oidOf(v[1]))
			return nil
		})
	if err != nil {
		return err
	}
	var descend func(r *relation) error
	descend = func(r *relation) error {
		for _, oid := range children[r.oid] {
			child := c.byOID[oid]
			if child == nil { // an index
				continue
			}
			if !child.protected() { // else it has a config of its own
				if errs := child.guard(r.table); len(errs) > 0 {
					return errors.Join(errs...)
				}
				if err := descend(child); err != nil {
					return err
				}
			}
			// A constraint of the parent need not hold below it, and the child
			// may call another of its columns the key.
			if key := child.column(r.key.name); key == nil || !key.notNull || child.keyNullable {
				r.keyNullable = true
			}
		}
		return nil
	}
	for i := range c.cfg.Tables {
		if err := descend(c.named(c.cfg.Tables[i].Name)); err != nil {
			return err
		}
	}
	// A parent that is not protected shows the rows of a child that is.
	for changed := true; changed; {
		changed = false
		for oid, list := range children {
			parent := c.byOID[oid]
			if parent == nil || parent.protected() {
				continue
			}
			for _, child := range list {
				if r := c.byOID[child]; r != nil {
					for t := range r.reaches {
						if !parent.reaches[t] {
							parent.reaches[t], changed = true, true
						}
					}
				}
			}
		}
	}
	for _, name := range c.cfg.Unprotected {
		r := c.named(name)
		switch {
		case r == nil:
			return fmt.Errorf("catalog: the database has no relation %s, which is listed as unprotected%s", name, nearest(name, names))
		case r.kind != 'v' && r.kind != 'm' && r.kind != 'f':
			return fmt.Errorf("catalog: %s is listed as unprotected, but is neither a view nor a foreign table", name)
		}
		r.declared = true
	}
	for _, r := range c.byOID {
		if r.protected() {
			c.all[r] = true
		} else if r.kind == 'f' && !r.declared {
			r.opaque = "it is a foreign table"
		}
	}
	return nil
}

func (r *relation) columnNames() []string {
	names := make([]string, len(r.columns))
	for i, col := range r.columns {
		names[i] = col.name
	}
	return names
}

// guard puts a relation under the config of a table.
func (r *relation) guard(t *Table) (errs []error) {
	r.table, r.reaches = t, reach{r: true}
	for i := range r.columns {
		col := &r.columns[i]
		word, listed := t.Columns[col.name]
		if !listed {
			col.category, col.protected = sekisho.Unclassified, true
			continue
		}
		col.category, _ = category(word) // checked by Config.Check
		col.protected = col.category != 0
	}
	for _, name := range append(sorted(t.Columns), t.Key) {
		if r.column(name) == nil {
			errs = append(errs, fmt.Errorf("catalog: table %s has no column named %s%s", r.full(), name, nearest(name, r.columnNames())))
		}
	}
	if r.key = r.column(t.Key); r.key != nil {
		r.keyNullable = !r.key.notNull
	}
	return errs
}

func (c *Catalog) named(full string) *relation {
	schema, name, _ := split(full)
	for _, r := range c.byName[name] {
		if r.schema == schema {
			return r
		}
	}
	return nil
}

// loadViews carries protection through views, materialized views and rules, by
// what the server says that they depend on and by what their text says: the
// server notes no dependency on what is its own, such as pg_stats.
func (c *Catalog) loadViews(ctx context.Context, query Query) error {
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
			}
			return nil
		})
	if err != nil {
		return err
	}
	// Views that are locked now are not understood until they are free again.
	err = rowsOf(ctx, query, "view definitions", `
		WITH shut AS MATERIALIZED (`+shut+`)
		SELECT c.oid, CASE WHEN c.oid IN (SELECT t.oid FROM shut t) THEN '' ELSE pg_catalog.pg_get_viewdef(c.oid) END FROM pg_catalog.pg_class c
		WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384`,
		func(v []string) error {
			view := c.byOID[oidOf(v[0])]
			if view == nil {
				return nil
			}
			if v[1] == "" && strings.HasSuffix(c.version, unlocked) {
				c.version += " locked since" // so that it is read again
			}
			parsed, err := stmt.Analyse(v[1])
			if err != nil || len(parsed) != 1 {
				if !view.protected() && !view.declared {
					view.opaque = "its definition is not understood"
				}
				return nil
			}
			for _, r := range parsed[0].Relations {
				depends[view] = append(depends[view], c.find(r)...)
			}
			if view.protected() || view.declared {
				return nil
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
					view.opaque, changed = r.opaque, true
				}
			}
		}
	}
	return nil
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
		SELECT t.tgrelid, t.tgfoid FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal`,
		func(v []string) error {
			if r := c.byOID[oidOf(v[0])]; r != nil && !reviewed[v[1]] && oidOf(v[1]) >= firstUserOID {
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
			}
		}
	}
	carries := map[*relation][]*relation{}
	err = rowsOf(ctx, query, "foreign keys", `
		SELECT k.confrelid, k.conrelid, (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd'))::pg_catalog.text
		FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'`,
		func(v []string) error {
			from, to := c.byOID[oidOf(v[0])], c.byOID[oidOf(v[1])]
			if from == nil || to == nil {
				return nil
			}
			from.ties = from.ties || to.concerning()
			to.ties = to.ties || from.concerning()
			if v[2] == "true" {
				carries[from] = append(carries[from], to)
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
				if r.writes != "" && view.writes == "" {
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

// version is a hash over the identity and last change of every row that Load
// reads. Temporary relations are left out: they come and go, and are made
// from what was judged when they were made.
func version(ctx context.Context, query Query) (string, error) {
	sum := func(table, where string) string {
		return `(SELECT pg_catalog.count(*)::pg_catalog.text || ':' || COALESCE(pg_catalog.sum(pg_catalog.hashtext(t.tableoid::pg_catalog.text || t.ctid::pg_catalog.text || t.xmin::pg_catalog.text)::pg_catalog.int8), 0)::pg_catalog.text FROM pg_catalog.` + table + ` t WHERE ` + where + `)`
	}
	const temporary = `(SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relpersistence = 't')`
	parts := []string{
		sum("pg_namespace", "t.nspname NOT LIKE 'pg\\_t%'"),
		sum("pg_class", "t.oid >= 16384 AND t.relpersistence <> 't' AND t.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')"),
		sum("pg_attribute", "t.attnum > 0 AND t.attrelid IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c'))"),
		sum("pg_proc", "t.oid >= 16384"),
		sum("pg_operator", "t.oid >= 16384"),
		sum("pg_cast", "t.oid >= 16384"),
		sum("pg_type", "t.oid >= 16384 AND t.typtype IN ('b', 'd', 'e', 'r')  AND t.typelem = 0"),
		sum("pg_constraint", "t.oid >= 16384 AND t.conrelid NOT IN "+temporary),
		sum("pg_rewrite", "t.oid >= 16384"),
		sum("pg_trigger", "NOT t.tgisinternal"),
		sum("pg_inherits", "true"),
		sum("pg_attrdef", "t.adrelid NOT IN "+temporary),
		sum("pg_policy", "t.polrelid NOT IN "+temporary),
		sum("pg_index", "(t.indexprs IS NOT NULL OR t.indpred IS NOT NULL) AND t.indrelid NOT IN "+temporary),
		sum("pg_extension", "true"),
		`(SELECT pg_catalog.count(*)::pg_catalog.text || ':' || COALESCE(pg_catalog.sum(t.oid::pg_catalog.int8), 0)::pg_catalog.text FROM (` + shut + `) t)`,
	}
	rows, err := query(ctx, "SELECT "+strings.Join(parts, " || ' ' || "))
	if err != nil {
		return "", fmt.Errorf("asking whether the catalog has changed: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 || rows[0][0] == nil {
		return "", errors.New("asking whether the catalog has changed: no answer")
	}
	return *rows[0][0], nil
}
