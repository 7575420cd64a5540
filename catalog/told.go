package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sekisho/stmt"
)

// Whom a statement of any other shape reads: see stmt.Provenance. The names
// come in front of its own rows, or are all of a table.

// A Named is the persons of one subject behind the answer of a statement.
type Named struct {
	Space   string // the subject
	Exact   bool   // protected values of theirs are shown; else they contributed
	TypeOID uint32 // of the keys
	Column  string // of the head: its name in the result; empty in Judgement.Whole
	Wrote   *Wrote // they are those whose records were written; nil: they are read
}

// cannot is why a statement's names cannot be told, as a reason code.
type cannot struct{ reason, text string }

func (c cannot) Error() string { return c.text }

// told fills in how a statement of any shape is accounted, or says why it
// cannot be.
func (c *Catalog) told(s *stmt.Statement, login string, j *Judgement) error {
	of := s
	switch {
	case s.Kind == stmt.Select:
	case s.Copy != nil && s.Copy.Query != nil && !s.Copy.From:
		of = s.Copy.Query
	case (s.Kind == stmt.Prepare || s.Kind == stmt.Declare) && s.Inner != nil:
		of = s.Inner
	default:
		return cannot{"", "it is no query"}
	}
	if of.Kind != stmt.Select {
		return cannot{"", "it is no query"}
	}
	names, seen, keys, err := c.behind(s, login)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return cannot{"", "nobody's rows decide its answer"}
	}
	var read []stmt.Names
	for _, n := range names {
		t := Named{Space: n.Space, Exact: n.Exact, TypeOID: keyType(keys[n.Space])}
		// All of a table is not read, unless somebody of it must be told apart
		// from the others, or something gets a name: only the head says what a
		// name means.
		if n.Whole && s.Inner == nil && !slices.ContainsFunc(names, func(o stmt.Names) bool { return o.Space == n.Space && o.Exact }) {
			j.Whole = append(j.Whole, t)
			continue
		}
		read = append(read, n)
		t.Column = n.Column(len(read))
		j.Head = append(j.Head, t)
	}
	if len(read) > 0 {
		written := s
		if s.As != nil {
			written = s.As
		}
		if j.Rewrite, err = stmt.Head(written, read); err != nil {
			return err
		}
	}
	for _, rel := range seen {
		j.mentions = append(j.mentions, mention{rel.name, "", rel})
	}
	j.columns = c.mentioned(s, seen)
	j.Tested = j.columns
	j.Kind = Told
	return nil
}

// behind gives the names of those whom a statement's answer rests on, or whom a
// write reads, the relations that they stand in, and the types of their keys by
// subject.
func (c *Catalog) behind(s *stmt.Statement, login string) (names []stmt.Names, seen []*relation, keys map[string]map[uint32]bool, err error) {
	if err := c.unsteady(s); err != nil {
		return nil, nil, nil, err
	}
	keys = map[string]map[uint32]bool{}
	names, err = stmt.Provenance(s, c.resolver(login, &seen, keys))
	return names, seen, keys, err
}

// unsteady says what in a statement may give something else each time, or is not
// what it seems.
func (c *Catalog) unsteady(s *stmt.Statement) error {
	for _, f := range s.Functions {
		if c.system[f.Name.Name].volatile || slices.ContainsFunc(c.functions[f.Name.Name], func(u function) bool { return u.volatile }) {
			return cannot{"", "it calls " + f.Name.Name + ", which gives something else each time"}
		}
	}
	for _, col := range s.Columns {
		if col.Attribute && !c.column(nil, col) {
			return cannot{"unknown_column", "it takes a field that may be a call of a function"}
		}
	}
	return nil
}

// resolver says what names in FROM mean to somebody with this login, and notes
// the relations, and by subject the types of their keys.
func (c *Catalog) resolver(login string, seen *[]*relation, keys map[string]map[uint32]bool) stmt.Resolver {
	return func(n stmt.Name) (stmt.Table, error) {
		rel, t, err := c.means(n, login)
		if rel != nil && err == nil {
			*seen = append(*seen, rel)
			if t.Key != "" {
				if keys[t.Space] == nil {
					keys[t.Space] = map[uint32]bool{}
				}
				keys[t.Space][rel.key.typeOID] = true
			}
		}
		return t, err
	}
}

// keyType is the type that keys of these types arrive in. What is char(n) in
// one table is padded in all.
func keyType(types map[uint32]bool) uint32 {
	kind := uint32(0)
	for t := range types {
		switch {
		case t == 1042 || kind == 1042:
			kind = 1042
		case kind == 0 || kind == t:
			kind = t
		case kind != t:
			kind = 25
		}
	}
	return kind
}

// keyTypes are the types that a key may have: no domain, no enum and no citext, in
// which two spellings are one person. asked is how the names of an answer are asked
// for, where what is text to the server is one type; shown is format_type's name.
var keyTypes = []struct {
	oid          uint32
	asked, shown string
}{
	{20, "pg_catalog.int8", "bigint"}, {21, "pg_catalog.int2", "smallint"}, {23, "pg_catalog.int4", "integer"}, {25, "pg_catalog.text", "text"},
	{1042, "pg_catalog.text", "character"}, {1043, "pg_catalog.text", "character varying"}, {1700, "pg_catalog.numeric", "numeric"}, {2950, "pg_catalog.uuid", "uuid"},
}

// keyNames are the types that a key may have, as the names of an answer are asked
// for.
var keyNames = func() map[uint32]string {
	names := map[uint32]string{}
	for _, t := range keyTypes {
		names[t.oid] = t.asked
	}
	return names
}()

// CanBeKey says whether a column of a type can be a key, by the name that format_type
// gives the type, whatever its length. A numeric that takes tens or more for one
// (numeric(5,-2)) cannot.
func CanBeKey(typ string) bool {
	name, mod, _ := strings.Cut(typ, "(")
	for _, t := range keyTypes {
		if t.shown == name {
			return !strings.HasSuffix(typ, "[]") && !strings.Contains(mod, ",-")
		}
	}
	return false
}

// means is what a name in FROM means to somebody with this login.
func (c *Catalog) means(n stmt.Name, login string) (*relation, stmt.Table, error) {
	found := c.find(stmt.Relation{Name: n})
	switch {
	case len(found) == 0:
		return nil, stmt.Table{}, cannot{"", "it reads " + n.String() + ", which is not known"}
	case len(found) > 1:
		if slices.ContainsFunc(found, (*relation).concerning) {
			return nil, stmt.Table{}, cannot{"ambiguous_name", "several tables have the name " + n.String() + ", and one of them is protected"}
		}
		return nil, stmt.Table{}, nil // one of several that are all unprotected
	}
	rel := found[0]
	t := stmt.Table{Full: rel.full(), Columns: rel.columnNames()}
	switch {
	case rel.policy:
		return rel, t, cannot{"policy", "a policy of row level security reads what is protected, or calls a function that nobody reviewed"}
	case rel.sensitive:
		return rel, t, cannot{"statistics", "it reads a system table"}
	case rel.protected():
		typ, ok := keyNames[rel.key.typeOID]
		if !ok {
			return rel, t, cannot{"key_type", "the key of " + rel.full() + " has a type that the gate cannot read"}
		}
		t.Key, t.Space, t.Type, t.Null = rel.key.name, rel.table.Subject, typ, rel.keyNullable
		for _, col := range rel.columns {
			if col.protected {
				t.Protected = append(t.Protected, col.name)
			}
		}
		return rel, t, nil
	case !rel.concerning():
		return rel, t, nil
	case rel.opaque != "":
		return rel, t, cannot{"view", rel.full() + " reads protected tables, and " + rel.opaque}
	case rel.kind == 'm':
		return rel, t, cannot{"view", "the materialized view " + rel.full() + " holds rows of another time"}
	case rel.kind != 'v' || rel.text == "":
		return rel, t, cannot{"view", rel.full() + " reads protected tables, and does not show whose rows they are"}
	}
	if why := rel.closed(login, 0); why != "" {
		return rel, t, cannot{"view", "the view " + rel.full() + " reads " + why}
	}
	t.View = rel.text
	return rel, t, nil
}

// closed says what a view reads with its owner's rights that somebody with
// this login may not read, or not in the same rows; "" if there is nothing.
func (r *relation) closed(login string, depth int) string {
	if depth > 20 {
		return "views that read each other"
	}
	for _, u := range r.under {
		switch {
		case !u.readers[login]:
			return u.full() + ", which the role's login may not read"
		case u.secured:
			return u.full() + ", which has row level security"
		case u.kind == 'v' && !u.protected() && !u.declared:
			if why := u.closed(login, depth+1); why != "" {
				return why
			}
		}
	}
	return ""
}

// mentioned are the protected columns of these relations that a statement may
// mean, at most, wherever it stands: by their names alone.
func (c *Catalog) mentioned(s *stmt.Statement, rels []*relation) (columns []string) {
	names := map[string]bool{}
	for _, col := range s.Columns {
		for _, f := range col.Fields {
			names[f] = true
		}
	}
	for _, r := range s.Relations {
		if r.Renamed {
			names["*"] = true
		}
	}
	var show func(rel *relation, names map[string]bool, all bool, depth int)
	show = func(rel *relation, names map[string]bool, all bool, depth int) {
		for _, col := range rel.columns {
			if rel.protected() && col.protected && (all || names[col.name]) {
				columns = append(columns, rel.columnsOf(&col)...)
			}
		}
		if !rel.protected() && depth < 20 {
			for _, u := range rel.under { // a view may call columns as it likes
				show(u, rel.says, rel.says["*"], depth+1)
			}
		}
	}
	for _, rel := range rels {
		show(rel, names, names["*"] || wholeRow(s, rel), 0)
	}
	return set(columns)
}

// wholeRow says whether a statement may mean a whole row of a relation.
func wholeRow(s *stmt.Statement, rel *relation) bool {
	return slices.ContainsFunc(s.Columns, func(col stmt.Column) bool {
		last := col.Fields[len(col.Fields)-1]
		return slices.ContainsFunc(s.Relations, func(r stmt.Relation) bool { return r.Name.Name == rel.name && r.Ref() == last })
	})
}

// outputsTold is Outputs of a statement whose names come in a head.
func (j Judgement) outputsTold(origins []Origin) (columns []string, err error) {
	known := map[uint32]bool{}
	var know func(r *relation, depth int)
	know = func(r *relation, depth int) {
		known[r.oid] = true
		if depth < 20 {
			for _, u := range r.under {
				know(u, depth+1)
			}
		}
	}
	for _, m := range j.mentions {
		know(m.rel, 0)
	}
	for i, o := range origins {
		r := j.catalog.byOID[o.TableOID]
		switch {
		case o.TableOID == 0:
			columns = append(columns, j.columns...) // computed of any of them
		case r == nil || !r.concerning():
		case !known[o.TableOID]:
			return nil, fmt.Errorf("%w: column %d comes from %s", ErrOrigin, i+1, r.full())
		case r.protected():
			columns = append(columns, r.shown(o.Attnum)...)
		default:
			columns = append(columns, j.columns...)
		}
	}
	return set(columns), nil
}

// loadReaders notes who may read what views with protected rows are made of:
// views read with the rights of their owner, and the names of a statement
// over them with those of whoever asks.
func (c *Catalog) loadReaders(ctx context.Context, query Query) error {
	var oids []byte
	below := map[*relation]bool{}
	var descend func(r *relation)
	descend = func(r *relation) {
		for _, u := range r.under {
			if !below[u] {
				below[u] = true
				oids = fmt.Appendf(oids, "%d,", u.oid)
				descend(u)
			}
		}
	}
	for _, r := range c.byOID {
		if r.kind == 'v' && !r.protected() && !r.declared && len(r.reaches) > 0 {
			descend(r)
		}
	}
	if len(oids) == 0 {
		return nil
	}
	return rowsOf(ctx, query, "privileges", `
		SELECT c.oid, r.rolname, (c.relrowsecurity AND NOT r.rolbypassrls AND NOT r.rolsuper)::pg_catalog.text
		FROM pg_catalog.pg_class c, pg_catalog.pg_roles r
		WHERE r.rolcanlogin AND c.oid = ANY ('{`+string(oids[:len(oids)-1])+`}'::pg_catalog.oid[])
			AND pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'USAGE')`,
		func(v []string) error {
			r := c.byOID[oidOf(v[0])]
			if r.readers == nil {
				r.readers = map[string]bool{}
			}
			r.readers[v[1]] = true
			r.secured = r.secured || v[2] == "true"
			return nil
		})
}

// reasonOf is the code of why names cannot be told. Of what the plain shape
// was refused for, only what no shape may do is still the reason.
func reasonOf(err error, plain string) string {
	var c cannot
	if errors.As(err, &c) && c.reason != "" {
		return c.reason
	}
	switch plain {
	case "locking", "tablesample", "function_in_from", "into", "unknown_column", "ambiguous_name", "policy":
		return plain
	}
	return "names"
}
