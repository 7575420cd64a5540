package catalog

import (
	"context"
	"fmt"
	"strconv"

	"sekisho"
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
	bears    bearing             // what protected columns are made of

	system    map[string]systemFunction // functions of PostgreSQL itself, by name
	functions map[string][]function     // all others
	operators map[string]bool           // all others, by name: true if one of the name is not reviewed
	types     map[string]bool           // types of users, by name: true if one of the name runs code of its own
	own       map[string]bool           // operators and types of PostgreSQL itself, by name
	unseen    unseen                    // what runs code that nobody reviewed, by oid
	defined   []Defined                 // what is listed as reaching
	server    int                       // its server_version_num
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
	keyNullable  bool            // its key, or that of a table below it, may be null
	reaches      reach           // protected tables that reading it can read; for a protected table, itself
	opaque       string          // reading it runs code that nobody reviewed
	locked       bool            // or may do so: nobody can read its definition now
	policy       bool            // a policy of row level security calls what nobody reviewed, or reads what is protected
	coerces      bool            // the type of a column runs code that nobody reviewed
	writes       string          // writing it sets off something that nobody reviewed
	runs         bool            // of a materialized view: making its rows anew runs code that nobody reviewed
	ties         bool            // a foreign key leads from it to a protected table, or from one to it
	remakes      bool            // a trigger may change what is inserted before it is
	referred     []foreignKey    // by which other tables refer to it, that carry changes on
	referring    []*relation     // all tables with a foreign key to it
	cascades     reach           // protected tables into which a change or deletion here is carried on
	declared     bool            // listed as unprotected
	under        []*relation     // of a view: what it is made of
	rule         string          // of a view: a hash over what it was made of, as the server keeps it
	definition   string          // and what it says; "" as long as somebody's lock keeps it from being read
	text         string          // the same, of a view whose names are all qualified
	says         map[string]bool // and every field in it
	readers      map[string]bool // of what a view without a key is made of: the logins that may read it
	secured      bool            // of the same: some of them not in all rows
	barrier      bool            // a view with security_barrier: nobody's conditions go before its own
	leavesOut    bool            // a declared view without it, or a view over one
	settings     bool            // pg_settings, or a view over it: writing it sets a setting
	sensitive    bool            // of PostgreSQL itself, and holds values of users' tables or statements
	of           []string        // of a temporary table or materialized view with protected rows: the tables that they were copied from
}

type column struct {
	name      string
	attnum    int16
	typeOID   uint32
	generated bool
	notNull   bool
	loose     bool // of a collation in which different texts are equal, or of a numeric that takes tens or more for one
	category  sekisho.Categories
	protected bool
	typeName  string   // as SQL writes it whatever the search path; "" where no mask can have the type
	length    int      // of varchar(n) and char(n)
	from      []string // of the same: the protected columns that it was made of
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
	return load(ctx, query, cfg, nil)
}

// Again is what Load would give now. What is locked now is taken for what it was
// in this snapshot, if it is that still.
func (c *Catalog) Again(ctx context.Context, query Query) (*Catalog, error) {
	return load(ctx, query, c.cfg, c.byOID)
}

func load(ctx context.Context, query Query, cfg Config, before map[uint32]*relation) (*Catalog, error) {
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
	err = rowsOf(ctx, query, "the version", "SELECT pg_catalog.current_setting('server_version_num')", func(v []string) error {
		c.server, _ = strconv.Atoi(v[0])
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, Query) error{
		c.loadFunctions, c.loadOperators, c.loadTypes, c.loadRelations, c.protect, c.loadBearing, c.loadTypeNames, c.loadExpressions,
		func(ctx context.Context, query Query) error { return c.loadViews(ctx, query, before) }, c.loadReaders, c.loadEffects, c.loadWritten,
	} {
		if err := step(ctx, query); err != nil {
			return nil, err
		}
	}
	return c, nil
}

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
	// Since version 18 there may be a NOT NULL that the rows before it were never
	// asked for.
	return rowsOf(ctx, query, "columns", `
		SELECT a.attrelid, a.attnum, a.attname, a.atttypid, (a.attgenerated <> '')::pg_catalog.text,
			(a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint n
				WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND NOT n.convalidated AND a.attnum = ANY (n.conkey)))::pg_catalog.text,
			(NOT co.collisdeterministic OR a.atttypid = 1700 AND a.atttypmod >= 4 AND ((a.atttypmod - 4) & 1024) <> 0)::pg_catalog.text
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
		WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND c.relnamespace <> 'pg_toast'::pg_catalog.regnamespace
		ORDER BY a.attrelid, a.attnum`,
		func(v []string) error {
			if r := c.byOID[oidOf(v[0])]; r != nil {
				n, _ := strconv.ParseInt(v[1], 10, 16)
				r.columns = append(r.columns, column{name: v[2], attnum: int16(n), typeOID: oidOf(v[3]), generated: v[4] == "true", notNull: v[5] == "true", loose: v[6] == "true"})
			}
			return nil
		})
}
