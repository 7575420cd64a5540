// Package survey looks at a database that sekisho does not know yet: it
// proposes whose data is where (Look, Propose, Plan.Write), examines whether
// a config fits the machine and the database (Doctor), finds what came past the
// gate (Outside), and judges from the ledger what enforcement would refuse.
//
// It reads only, and it keeps nothing of what it reads. Sampled values are
// looked at in memory and reduced to shares ("96 of 100 values are e-mail
// addresses"); none is printed, logged, written, or part of an error.
package survey

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekisho/catalog"
	"sekisho/stmt"
)

// Limits of one look, so that it costs a busy database little.
type Limits struct {
	Rows    int           // sampled of each table; default 1000
	Bytes   int           // taken of each value; default 400
	Timeout time.Duration // of each statement; default 5s
}

func (l *Limits) defaults() {
	if l.Rows <= 0 {
		l.Rows = 1000
	}
	if l.Bytes <= 0 {
		l.Bytes = 400
	}
	if l.Timeout <= 0 {
		l.Timeout = 5 * time.Second
	}
}

// Schema is what a look found: the tables that hold rows of their own. What
// hangs below another table (partitions, inheriting tables) is part of it.
type Schema struct {
	Tables []*Table
	// Skipped are tables that could not be judged by their values, or not be
	// named in a config, with the code of the reason.
	Skipped []Skip
	Logins  []string // roles that can log in, are no superusers, and may read some table
	// Writers are the logins that may change rows, with the tables; nil: that could
	// not be found out.
	Writers map[string][]string
	byOID   map[uint32]*Table
}

// Skip is a table that was not looked into.
type Skip struct {
	Table  string `json:"table"`
	Reason string `json:"reason"` // not_permitted, timed_out, failed, foreign, dot_in_name
}

// Table is one table of the database.
type Table struct {
	OID          uint32
	Schema, Name string
	Rows         int64 // as the database estimates; -1 if it does not know
	Children     int   // partitions and inheriting tables that follow it
	Sampled      int   // rows that were looked at
	Columns      []*Column
	Unique       []string // columns that are unique by themselves; the primary key first
	Primary      []string // columns of the primary key
	Links        []Link
	SetsOff      []string // functions of its triggers, as schema.function

	parent   uint32
	readable bool
	pages    int64
	kind     byte
	comment  string
}

// Full is the table as a config names it.
func (t *Table) Full() string { return t.Schema + "." + t.Name }

// Column of a table.
type Column struct {
	Name    string
	Type    string // as the database prints it
	NotNull bool
	Guesses []Guess // best first; empty if nothing is known of it

	number   int16
	class    class
	comment  string
	readable bool
	samples  []string // never leaves the package; dropped when Look returns
	empty    int      // sampled rows without a value
}

// Link is a foreign key of one column.
type Link struct {
	Column   string
	To       *Table
	ToColumn string
	Implied  bool // the database declares none, but names and values say so
	Named    bool // implied by the name alone: there are no values to compare
}

// class is what sort of values a type has, as far as recognising goes.
type class byte

const (
	classOther class = iota // not looked at
	classText
	classInteger
	classNumber
	classDate
	classTime // of the day, or with a day
	classBool
	classAddress // inet, cidr
	classBinary
	classUUID
	classDocument // json, xml, text search
)

func classOf(base, category string) class {
	switch base {
	case "date":
		return classDate
	case "timestamp", "timestamptz", "time", "timetz", "interval":
		return classTime
	case "int2", "int4", "int8":
		return classInteger
	case "numeric", "float4", "float8", "money":
		return classNumber
	case "bool":
		return classBool
	case "inet", "cidr", "macaddr", "macaddr8":
		return classAddress
	case "bytea":
		return classBinary
	case "uuid":
		return classUUID
	case "json", "jsonb", "xml", "hstore":
		return classDocument
	}
	if category == "S" || category == "E" { // strings, and enumerations
		return classText
	}
	return classOther
}

// Look reads the system catalogs, samples each table that it may read, and
// guesses what each column holds. query must run in a transaction that cannot
// write. progress, if not nil, is told before each table.
func Look(ctx context.Context, query catalog.Query, limits Limits, progress func(done, total int)) (*Schema, error) {
	limits.defaults()
	s := &Schema{byOID: map[uint32]*Table{}}
	for _, step := range []struct {
		what string
		do   func(context.Context, catalog.Query) error
	}{{"tables", s.readTables}, {"columns", s.readColumns}, {"keys", s.readKeys}, {"logins", s.readLogins}} {
		if err := step.do(ctx, query); err != nil {
			return nil, fmt.Errorf("reading the %s of the database: %w", step.what, err)
		}
	}
	s.readWriters(ctx, query)
	for i, t := range s.Tables {
		if progress != nil {
			progress(i, len(s.Tables))
		}
		if reason := t.sample(ctx, query, limits); reason != "" {
			s.Skipped = append(s.Skipped, Skip{t.Full(), reason})
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.guess()
	}
	if progress != nil {
		progress(len(s.Tables), len(s.Tables))
	}
	s.implyLinks(ctx, query)
	for _, t := range s.Tables {
		for _, c := range t.Columns {
			c.samples = nil
		}
	}
	return s, nil
}

// each asks, and gives null as the empty string.
func each(ctx context.Context, query catalog.Query, sql string, args []string, f func(v []string)) error {
	rows, err := query(ctx, sql, args...)
	if err != nil {
		return err
	}
	for _, row := range rows {
		v := make([]string, len(row))
		for i, p := range row {
			if p != nil {
				v[i] = *p
			}
		}
		f(v)
	}
	return nil
}

func number(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }

// notSystem leaves out the schemas of PostgreSQL itself.
const notSystem = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'`

func (s *Schema) readTables(ctx context.Context, query catalog.Query) error {
	var children []*Table
	err := each(ctx, query, `
		SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples::pg_catalog.int8, c.relpages,
			pg_catalog.obj_description(c.oid, 'pg_class'),
			(SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1),
			pg_catalog.has_schema_privilege(n.oid, 'usage') AND pg_catalog.has_any_column_privilege(c.oid, 'select')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'f') AND `+notSystem+`
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
		ORDER BY n.nspname, c.relname`, nil, func(v []string) {
		t := &Table{OID: uint32(number(v[0])), Schema: v[1], Name: v[2], kind: v[3][0], Rows: number(v[4]), pages: number(v[5]),
			comment: v[6], parent: uint32(number(v[7])), readable: v[8] == "t"}
		s.byOID[t.OID] = t
		switch {
		case t.parent != 0:
			children = append(children, t)
		case strings.Contains(t.Schema, "."):
			s.Skipped = append(s.Skipped, Skip{t.Full(), "dot_in_name"})
		default:
			s.Tables = append(s.Tables, t)
		}
	})
	for _, child := range children {
		if top := s.top(child.OID); top != nil && top != child {
			top.Children++
			if child.Rows > 0 && top.kind == 'r' {
				top.Rows += child.Rows
			}
		}
	}
	return err
}

// top is the table that another follows: the root of its inheritance.
func (s *Schema) top(oid uint32) *Table {
	t := s.byOID[oid]
	for range 64 { // as deep as partitions go, and no loop in a catalog that changes under us
		if t == nil || t.parent == 0 {
			return t
		}
		t = s.byOID[t.parent]
	}
	return nil
}

func (s *Schema) readColumns(ctx context.Context, query catalog.Query) error {
	return each(ctx, query, `
		SELECT a.attrelid, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), b.typname, b.typcategory, a.attnotnull,
			pg_catalog.col_description(a.attrelid, a.attnum::pg_catalog.int4),
			pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'select'),
			b.typtype = 'e' OR bn.nspname = 'pg_catalog' OR b.typname = 'citext'
		FROM pg_catalog.pg_attribute a
			JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
			JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
			JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace
		WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND `+notSystem+`
		ORDER BY a.attrelid, a.attnum`, nil, func(v []string) {
		t := s.byOID[uint32(number(v[0]))]
		if t == nil {
			return
		}
		c := &Column{number: int16(number(v[1])), Name: v[2], Type: v[3], NotNull: v[6] == "t", comment: v[7], readable: v[8] == "t"}
		// The output function of a type of users' own is code of theirs, which a
		// survey does not run.
		if v[9] == "t" {
			c.class = classOf(v[4], v[5])
		}
		t.Columns = append(t.Columns, c)
	})
}

func (t *Table) column(name string) *Column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func (t *Table) byNumber(n int16) string {
	for _, c := range t.Columns {
		if c.number == n {
			return c.Name
		}
	}
	return ""
}

// readKeys reads what is unique, and where foreign keys of one column lead.
// What hangs below another table is passed over: its keys repeat its parent's.
func (s *Schema) readKeys(ctx context.Context, query catalog.Query) error {
	err := each(ctx, query, `
		SELECT i.indrelid, i.indkey::pg_catalog.text, i.indisprimary, i.indnkeyatts
		FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND `+notSystem+`
		ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid`, nil, func(v []string) {
		t := s.byOID[uint32(number(v[0]))]
		if t == nil {
			return
		}
		numbers := strings.Fields(v[1])
		if n := int(number(v[3])); n > 0 && n < len(numbers) {
			numbers = numbers[:n] // the rest is only carried along
		}
		var names []string
		for _, n := range numbers {
			names = append(names, t.byNumber(int16(number(n))))
		}
		if v[2] == "t" {
			t.Primary = names
		}
		if len(names) == 1 {
			t.Unique = append(t.Unique, names[0])
		}
	})
	if err != nil {
		return err
	}
	return each(ctx, query, `
		SELECT DISTINCT k.conrelid, k.conkey[1], k.confrelid, k.confkey[1]
		FROM pg_catalog.pg_constraint k
		WHERE k.contype = 'f' AND pg_catalog.array_length(k.conkey, 1) = 1 AND k.conrelid <> k.confrelid
		ORDER BY 1, 2`, nil, func(v []string) {
		from, to := s.byOID[uint32(number(v[0]))], s.byOID[uint32(number(v[2]))]
		if from == nil || to == nil || from.parent != 0 {
			return
		}
		column := to.byNumber(int16(number(v[3])))
		if to = s.top(to.OID); to != nil && to != from {
			from.Links = append(from.Links, Link{Column: from.byNumber(int16(number(v[1]))), To: to, ToColumn: column})
		}
	})
}

// readLogins lists who works with the database today: each becomes a role of
// the proposed gate.
func (s *Schema) readLogins(ctx context.Context, query catalog.Query) error {
	return each(ctx, query, `
		SELECT r.rolname FROM pg_catalog.pg_roles r
		WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname !~ '^pg_'
			AND EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
				WHERE c.relkind IN ('r', 'p', 'v', 'm') AND `+notSystem+` AND pg_catalog.has_any_column_privilege(r.oid, c.oid, 'select'))
		ORDER BY 1`, nil, func(v []string) { s.Logins = append(s.Logins, v[0]) })
}

// readWriters reads who may change what, and what that sets off. It is good to
// know and no more: what cannot be read is left open.
func (s *Schema) readWriters(ctx context.Context, query catalog.Query) {
	writers := map[string][]string{}
	if err := each(ctx, query, `
		SELECT r.rolname, n.nspname || '.' || c.relname
		FROM pg_catalog.pg_roles r, pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname !~ '^pg_' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND `+notSystem+`
			AND (pg_catalog.has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE') OR pg_catalog.has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE'))
		ORDER BY 1, 2`, nil, func(v []string) { writers[v[0]] = append(writers[v[0]], v[1]) }); err == nil {
		s.Writers = writers
	}
	each(ctx, query, `
		SELECT DISTINCT t.tgrelid, pn.nspname || '.' || p.proname
		FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
		WHERE NOT t.tgisinternal AND pn.nspname <> 'pg_catalog'
		ORDER BY 1, 2`, nil, func(v []string) {
		if table := s.byOID[uint32(number(v[0]))]; table != nil {
			table.SetsOff = append(table.SetsOff, v[1])
		}
	})
}

// sample takes values of a table. It gives the code of the reason if it took
// none.
func (t *Table) sample(ctx context.Context, query catalog.Query, limits Limits) (reason string) {
	if t.kind == 'f' {
		return "foreign" // asking for its rows would ask another server
	}
	if !t.readable {
		return "not_permitted"
	}
	var columns []*Column
	var list []string
	for _, c := range t.Columns {
		switch c.class {
		case classOther, classBool, classBinary:
			continue
		}
		if c.readable {
			columns = append(columns, c)
			list = append(list, fmt.Sprintf("pg_catalog.left(%s::pg_catalog.text, %d)", stmt.Quote(c.Name), limits.Bytes))
		}
	}
	if len(columns) == 0 {
		return ""
	}
	from := stmt.Quote(t.Schema) + "." + stmt.Quote(t.Name)
	limit := fmt.Sprintf(" LIMIT %d", limits.Rows)
	var rows [][]*string
	var err error
	if t.Rows > int64(8*limits.Rows) {
		// Pages from all over the table, thrice as many rows as needed: rows that
		// were put in together tell less.
		percent := min(100, 300*float64(limits.Rows)/float64(t.Rows))
		sampled := fmt.Sprintf(" TABLESAMPLE SYSTEM (%s) REPEATABLE (1)", strconv.FormatFloat(percent, 'f', 6, 64))
		rows, err = query(ctx, "SELECT "+strings.Join(list, ", ")+" FROM "+from+sampled+limit)
	}
	if err == nil && len(rows) < limits.Rows/4 {
		rows, err = query(ctx, "SELECT "+strings.Join(list, ", ")+" FROM "+from+limit)
	}
	if err != nil {
		var refused interface{ SQLState() string }
		if errors.As(err, &refused) {
			switch refused.SQLState() {
			case "42501":
				return "not_permitted"
			case "57014", "55P03":
				return "timed_out"
			}
		}
		return "failed"
	}
	t.Sampled = len(rows)
	for _, row := range rows {
		for i, v := range row {
			if v == nil || strings.TrimSpace(*v) == "" {
				columns[i].empty++
				continue
			}
			columns[i].samples = append(columns[i].samples, strings.TrimSpace(*v))
		}
	}
	return ""
}
