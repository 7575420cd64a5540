// Package catalog says whose data is where: which tables and columns hold
// which category of personal data about whom, and what a statement does to it.
//
// It joins two sources: a config that a person wrote, and the system catalogs
// of the database. What neither of them knows is taken for the worst: a column
// of a protected table that nobody classified is protected, a view that
// reaches a protected table is protected, and a function that nobody reviewed
// may read anything.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"sekisho"
	"sekisho/sheet"
)

// Config is the part of the configuration that says whose data is where.
type Config struct {
	// Subjects are the kinds of people whose data is protected, such as
	// "member".
	Subjects []Subject `yaml:"subjects"`

	// Tables are the protected tables. Partitions and inheriting tables follow
	// their parent. A table not listed here is not protected, unless it is a
	// view that reaches one that is.
	Tables []Table `yaml:"tables"`

	// Unprotected are views that read protected tables, and foreign tables,
	// each as schema.name, of which somebody has made sure that they show
	// nothing of any person. Every other one is taken for the worst.
	// pg_catalog.pg_largeobject stands for all large objects.
	Unprotected []string `yaml:"unprotected"`

	// Functions are the database's own functions that somebody has read.
	Functions Functions `yaml:"functions"`
}

// Subject is one kind of people.
type Subject struct {
	// Name of the subject; also of its space in the vault. Small letters,
	// digits and underscores.
	Name string `yaml:"name"`

	// Table, as schema.table, has one row for each person.
	Table string `yaml:"table"`

	// Key is the column of Table that names the person. The ledger knows a
	// person by this key only.
	Key string `yaml:"key"`

	// Roster says what sekisho may keep about each person, encrypted in its
	// vault, to break numbers down and to match recovered files. Optional.
	Roster Roster `yaml:"roster"`
}

// Roster says where the label, date and match columns of a subject are.
type Roster struct {
	// Query is an SQL query that yields the key column and all columns named
	// below; without one, they are columns of the subject's table.
	Query string `yaml:"query"`

	// Labels: a name of a breakdown (partner, residence) and its column.
	Labels map[string]string `yaml:"labels"`

	// Dates: a name (passport_until) and its column, of type date.
	Dates map[string]string `yaml:"dates"`

	// Match: fields by which a recovered file is matched (email, phone), and
	// their columns. The vault keeps keyed hashes of them only.
	Match map[string]string `yaml:"match"`
}

// Table is one protected table.
type Table struct {
	// Name of the table, as schema.table.
	Name string `yaml:"name"`

	// Subject is whose data it holds.
	Subject string `yaml:"subject"`

	// Key is the column that holds the subject's key in this table.
	Key string `yaml:"key"`

	// Columns says what each column holds: a category, or "public" for what
	// is not personal data. A column that is not listed is protected, as
	// unclassified.
	Columns map[string]string `yaml:"columns"`

	// Masks says what of a column's value is still seen where the policy says
	// mask partial: email (the first letter and the domain), phone (the last four
	// digits), name (the first letter), stars (how long it is) or blank. Without
	// an entry here: of text stars, of a date its year, of all else nothing.
	Masks map[string]string `yaml:"masks"`
}

// Functions are the database's own functions.
type Functions struct {
	// Reviewed functions, as schema.function, are known to neither read
	// protected tables nor hide what they are given. Every other function
	// that is not part of PostgreSQL makes a statement opaque.
	Reviewed []string `yaml:"reviewed"`
	// Reaching functions and procedures are known to read or write protected
	// tables, and no others than are stated here. A statement that calls one
	// could be about anybody in them: only a role with any_row runs it.
	Reaching []Reaching `yaml:"reaching"`
	// Token, as schema.function, takes a text and gives 32 hexadecimal digits that
	// are the same for the same text, and that nobody without its key can make
	// or undo. docs/token.sql installs one. Where the policy says mask token it is
	// put into statements; clients may not call it.
	Token string `yaml:"token"`
}

// Reaching is a function, or procedure, that reads or writes protected tables.
// Somebody has read it and found that it puts what it reads nowhere else, runs
// no text that it is given, and leaves the session's settings alone.
type Reaching struct {
	// Name, as schema.function. All functions of that name are meant.
	Name string `yaml:"name"`
	// Reads are the protected tables that it reads, as schema.table, with those
	// that the functions it calls read; "*" is all of them.
	Reads []string `yaml:"reads"`
	// Writes are the protected tables in which it creates, changes or destroys
	// records. The role needs writes, too. Where foreign keys carry that on is
	// found out.
	Writes []string `yaml:"writes"`
	// Body is what was read: the SHA-256 digest of its definition, in hexadecimal,
	// as sekisho doctor prints it; one for each function of that name. One with
	// another definition is taken for what nobody has read. Without any, whatever
	// the function does now is believed.
	Body []string `yaml:"body"`
}

// everyTable stands in Reaching.Reads for all protected tables.
const everyTable = "*"

// Names are those of the tables, views and columns that the config speaks of, with
// their schemas: no value of anybody's stands in them.
func (c Config) Names() map[string]bool {
	names := map[string]bool{}
	table := func(full string) {
		for i := range len(full) {
			if full[i] == '.' {
				names[full[:i]], names[full[i+1:]] = true, true
			}
		}
	}
	for _, s := range c.Subjects {
		table(s.Table)
		names[s.Key] = true
	}
	for _, t := range c.Tables {
		table(t.Name)
		names[t.Key] = true
		for name := range t.Columns {
			names[name] = true
		}
	}
	for _, name := range c.Unprotected {
		table(name)
	}
	return names
}

// Check finds what is wrong with the config alone, before any database is
// asked. It reports every mistake, each with the name of the item.
func (c Config) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("catalog: "+format, args...)) }
	subjects := map[string]bool{}
	var names []string
	for i, s := range c.Subjects {
		switch {
		case s.Name == "":
			wrong("subject %d has no name", i+1)
			continue
		case !plain(s.Name):
			wrong("subject %q: use small letters, digits and underscores in its name", s.Name)
		case reserved[s.Name]:
			wrong("subject %q: that name is taken by sekisho itself", s.Name)
		case subjects[s.Name]:
			wrong("subject %s is there twice", s.Name)
		}
		subjects[s.Name] = true
		names = append(names, s.Name)
		if _, _, ok := split(s.Table); !ok {
			wrong("subject %s: write its table as schema.table, not %q", s.Name, s.Table)
		}
		if s.Key == "" {
			wrong("subject %s has no key column", s.Name)
		}
	}
	tables := map[string]bool{}
	for i, t := range c.Tables {
		if t.Name == "" {
			wrong("table %d has no name", i+1)
			continue
		}
		if _, _, ok := split(t.Name); !ok {
			wrong("table %s: write it as schema.table", t.Name)
		}
		if tables[t.Name] {
			wrong("table %s is there twice", t.Name)
		}
		tables[t.Name] = true
		if !subjects[t.Subject] {
			wrong("table %s has no subject named %q%s", t.Name, t.Subject, sheet.Nearest(t.Subject, names))
		}
		if t.Key == "" {
			wrong("table %s has no key column", t.Name)
		}
		for _, col := range sorted(t.Columns) {
			if _, err := category(t.Columns[col]); err != nil {
				wrong("table %s, column %s: %w, or public", t.Name, col, err)
			}
		}
	}
	for i := range c.Tables {
		if err := c.Tables[i].checkMasks(); err != nil {
			wrong("%w", err)
		}
	}
	if _, _, ok := split(c.Functions.Token); c.Functions.Token != "" && !ok {
		wrong("token function %q: write it as schema.function", c.Functions.Token)
	}
	for _, s := range c.Subjects {
		if s.Table != "" && !tables[s.Table] {
			wrong("subject %s: its table %s is not listed under tables", s.Name, s.Table)
		}
	}
	for _, r := range c.Unprotected {
		if _, _, ok := split(r); !ok {
			wrong("unprotected relation %q: write it as schema.name", r)
		}
		if tables[r] {
			wrong("%s is listed both under tables and as unprotected", r)
		}
	}
	reaching := map[string]bool{}
	for _, f := range c.Functions.Reviewed {
		if _, _, ok := split(f); !ok {
			wrong("reviewed function %q: write it as schema.function", f)
		}
	}
	for _, f := range c.Functions.Reaching {
		_, _, ok := split(f.Name)
		switch {
		case !ok:
			wrong("reaching function %q: write it as schema.function", f.Name)
		case slices.Contains(c.Functions.Reviewed, f.Name) || f.Name == c.Functions.Token:
			wrong("%s is listed both under reaching and as a function that reads nothing protected", f.Name)
		case reaching[f.Name]:
			wrong("reaching function %s is there twice", f.Name)
		case len(f.Reads)+len(f.Writes) == 0:
			wrong("reaching function %s: state what it reads or writes; what does neither is listed as reviewed", f.Name)
		}
		reaching[f.Name] = true
		for _, b := range f.Body {
			if raw, err := hex.DecodeString(b); err != nil || len(raw) != sha256.Size || strings.ToLower(b) != b {
				wrong("reaching function %s: body is the SHA-256 digest of its definition in 64 small hexadecimal digits, as sekisho doctor prints it", f.Name)
			}
		}
		for _, t := range slices.Concat(f.Reads, f.Writes) {
			if !tables[t] && !(t == everyTable && slices.Contains(f.Reads, t) && !slices.Contains(f.Writes, t)) {
				wrong("reaching function %s: %q is no table listed under tables%s", f.Name, t, sheet.Nearest(t, sorted(tables)))
			}
		}
	}
	return errors.Join(errs...)
}

// reserved are the vault's spaces that are not subjects.
var reserved = map[string]bool{"staff": true, "application": true, "statement": true, "purpose": true, "export": true, "reason": true, "mailbox": true, "said": true, "document": true, "object": true, "domain": true, "unit": true, "thing": true, "staff_record": true, "lure_key": true, "lure_link": true}

// category reads the word of a column: 0 for public.
func category(word string) (sekisho.Categories, error) {
	if word == "public" {
		return 0, nil
	}
	return sekisho.ParseCategory(word)
}

func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// split takes schema.table apart at the first dot. Names are as the catalog
// has them, without quotes; a schema with a dot in its name cannot be written.
func split(name string) (schema, object string, ok bool) {
	schema, object, ok = strings.Cut(name, ".")
	return schema, object, ok && schema != "" && object != ""
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
