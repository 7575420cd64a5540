package catalog

import (
	"maps"
	"slices"

	"sekisho"
	"sekisho/stmt"
)

// How a write to protected tables is accounted: by the keys of the rows that
// it says it has written, and by what it carries on into other tables.

// Write is what a plain write does, besides what its Instances say. The first
// of these is then the table that is written, whose records are inserted,
// changed or destroyed; the others are read.
type Write struct {
	Columns []string // protected columns that are set, or destroyed, sorted
	Reads   []string // protected columns that decide which rows are written, but for the key that is asked for, sorted
	Sources []string // protected columns of rows that are there, and that the values are made of, sorted
	Quiet   bool     // the statement has no RETURNING of its own: nothing of the rows is the client's

	// AnyRow: it cannot be told whose records are written: TRUNCATE, or what a
	// foreign key carries on from a table about nobody.
	AnyRow bool

	// Blind: nothing of its rows comes, not even their keys: it runs under EXPLAIN
	// ANALYZE, or is a MERGE of a server that has no RETURNING for it. AnyRow too,
	// and what it reads may be anybody's as well.
	Blind bool

	// Passes: rows may be passed over because somebody's is there already, and
	// that tells of more than of the key that the client has given. Rows is how
	// many it tries to insert, 0 if the text does not say.
	Passes bool
	Rows   int

	// Probes are the protected columns by which ON CONFLICT finds the row that is
	// there, but for the key alone, sorted: that it finds one tells their values.
	Probes []string

	// Carried are protected tables in which foreign keys change or destroy
	// records of others than the Instances name, sorted. Tables in which they
	// do so for the same customers are among the judgement's.
	Carried []string

	// Own: it writes to a temporary table of the session's own. It creates,
	// changes and destroys nobody's records; what its rows hold is read.
	Own bool

	Rekeys bool // it may give rows another key: the first in the head are those whom they were about

	Merges bool // it is a MERGE

	Verbs []sekisho.Verb // of the writes in its WITH
	Says  sekisho.Verb   // what the statement says it did, at its end

	Copy *CopyIn // of COPY FROM

	errs reach // that its errors may tell of; nil: the judgement's own tables
}

// CopyIn is how the lines of a COPY FROM name their customers.
type CopyIn struct {
	Field  int // of the key, from 0
	Fields int
}

// write fills in how a write is accounted, or gives the reason why it cannot
// be.
func (c *Catalog) write(s *stmt.Statement, j *Judgement) string {
	var target *relation
	targets := 0
	for _, r := range s.Relations {
		if !r.Written {
			continue
		}
		targets++
		found := c.find(r)
		if len(found) > 1 {
			return "ambiguous_name"
		}
		if len(found) == 1 {
			target = found[0]
		}
	}
	switch {
	case s.Kind == stmt.Truncate:
		j.Write = &Write{AnyRow: true, Columns: c.destroyed(j)}
		return ""
	case s.Kind == stmt.Merge && s.Write == nil:
		return "merge"
	case s.Kind == stmt.Copy:
		return c.copyIn(s, target, j)
	case s.Write == nil || s.Obstacle != "":
		return s.Obstacle
	case targets != 1:
		return "write_reads" // another one in a WITH
	}
	w := &Write{Quiet: !s.Write.Returning, Rows: s.Write.Rows, Says: verb(s)}
	deletes := s.Kind == stmt.Delete
	if upserts(s) {
		w.Verbs = []sekisho.Verb{sekisho.Insert, sekisho.Update}
	}
	if m := s.Write.Merges; m != nil {
		deletes, w.Merges = m.Deletes, true
		j.Verb, w.Verbs = merging(m)
	}
	if target == nil || !target.protected() {
		// What it reads goes where nobody accounts for it.
		if target != nil && target.concerning() {
			return "write_view"
		}
		for _, r := range s.Relations {
			if slices.ContainsFunc(c.find(r), (*relation).concerning) {
				return "write_reads"
			}
		}
		// What foreign keys carry on from there is somebody's.
		_, others := c.carries(target, deletes, s.Write.Changes)
		j.concerns(c, others)
		w.AnyRow, w.Columns = true, c.destroyed(j)
		j.Write = w
		return ""
	}
	if target.kind != 'r' && target.kind != 'p' {
		return "write_view"
	}
	if w.Own = target.of != nil; w.Own {
		j.Verb = sekisho.Read
	}
	if w.Merges && c.server < firstToReturn {
		return c.merged(s, target, w, j)
	}
	w.Rekeys = rekeys(s, target)
	if w.Rekeys && s.Kind != stmt.Update {
		return "write_key"
	}
	touched := reach{}
	keys, reason := []stmt.KeyRef(nil), "write_reads"
	if !w.Merges {
		keys, reason = c.written(s, target, w, j)
	}
	if reason == "" && w.Rekeys {
		err := c.unsteady(s)
		if err == nil {
			err = c.tellBoth(s, target, w, j, keys, nil)
		}
		if j.why = err; err != nil {
			return "write_key"
		}
	}
	switch reason {
	case "":
	case "write_reads", "view":
		j.forget()
		seen, err := c.writtenTold(s, target, w, j)
		if j.why = err; err != nil {
			if of := reasonOf(err, ""); of != "names" {
				return of
			}
			return reason
		}
		for _, r := range seen {
			for t := range r.reaches {
				touched[t] = true
			}
		}
	default:
		return reason
	}
	for _, in := range j.Instances {
		touched[c.byOID[in.OID]] = true
	}
	if w.Own && s.Fill == nil && (len(j.Instances) > 1 || len(j.Head) > 0) && !(len(j.Instances) == 1 && w.Rekeys && reason == "") {
		return "write_reads" // which columns it puts there is not known
	}
	same, others := reach{}, reach{}
	if deletes || len(s.Write.Changes) > 0 {
		same, others = c.carries(target, deletes, s.Write.Changes)
	}
	for t := range same {
		touched[t] = true
		w.Columns = append(w.Columns, t.shown(0)...)
	}
	for t := range others {
		w.Carried = append(w.Carried, t.full())
	}
	j.concerns(c, touched)
	w.Columns, w.Carried = set(w.Columns), set(w.Carried)
	w.Passes = s.Write.Passes && !slices.Equal(s.Write.Arbiter, []string{target.key.name})
	w.Probes = target.probed(s.Write)
	j.Write = w
	return ""
}

// merging is what a MERGE may do to its rows. The worst that may have happened to
// one is what the ledger says of all.
func merging(m *stmt.Merges) (worst sekisho.Verb, verbs []sekisho.Verb) {
	worst = sekisho.Insert
	for _, each := range []struct {
		does bool
		verb sekisho.Verb
	}{{m.Inserts, sekisho.Insert}, {m.Updates, sekisho.Update}, {m.Deletes, sekisho.Delete}} {
		if each.does {
			verbs, worst = append(verbs, each.verb), each.verb
		}
	}
	return worst, verbs
}

// upserts: an INSERT that changes the row that is there, if there is one.
func upserts(s *stmt.Statement) bool {
	return s.Kind == stmt.Insert && s.Write != nil && len(s.Write.Changes) > 0
}

// probed are Write.Probes. Where the text does not say which columns conflict,
// it may be any.
func (r *relation) probed(w *stmt.Write) (columns []string) {
	if slices.Equal(w.Arbiter, []string{r.key.name}) {
		return nil
	}
	for i := range r.columns {
		if col := &r.columns[i]; col.protected && (w.Infers || slices.Contains(w.Arbiter, col.name)) {
			columns = append(columns, r.columnsOf(col)...)
		}
	}
	return set(columns)
}

// firstToReturn is the first version of the server in which MERGE has RETURNING.
const firstToReturn = 17_00_00

// merged is how a MERGE is accounted that has no RETURNING: it may have written,
// and read, anybody's row.
func (c *Catalog) merged(s *stmt.Statement, target *relation, w *Write, j *Judgement) string {
	if w.Own { // which columns it puts there is not known
		return "merge"
	}
	var seen []*relation
	for _, r := range s.Relations {
		found := c.find(r)
		switch {
		case len(found) > 1 && slices.ContainsFunc(found, (*relation).concerning):
			return "ambiguous_name"
		case slices.ContainsFunc(found, func(rel *relation) bool { return rel.policy }):
			return "policy"
		}
		seen = append(seen, found...)
	}
	j.columns = c.mentioned(s, seen)
	j.Tested = j.columns
	for _, col := range target.columns {
		if col.protected && (len(s.Write.Columns) == 0 || slices.Contains(s.Write.Columns, col.name)) {
			w.Columns = append(w.Columns, target.columnsOf(&col)...)
		}
	}
	touched := reach{}
	for _, rel := range seen {
		maps.Copy(touched, rel.reaches)
	}
	same, others := c.carries(target, s.Write.Merges.Deletes, s.Write.Changes)
	for t := range others {
		same[t] = true
	}
	for t := range same {
		touched[t] = true
		w.Columns = append(w.Columns, t.shown(0)...)
	}
	j.concerns(c, touched)
	w.AnyRow, w.Blind, w.Columns = true, true, set(w.Columns)
	j.Write = w
	return ""
}

// rekeys: the write may give rows that are there another key. One that is taken
// from the row that conflicts by the key alone stays as it is, where what is
// equal is the same.
func rekeys(s *stmt.Statement, target *relation) bool {
	key := target.key.name
	if target.key.generated {
		return len(s.Write.Changes) > 0
	}
	if !slices.Contains(s.Write.Changes, key) {
		return false
	}
	switch target.key.typeOID {
	case 20, 21, 23, 1700, 2950: // of numerics, what is equal is the same person
		return s.Kind != stmt.Insert || !slices.Equal(s.Write.Arbiter, []string{key}) || !slices.Contains(s.Write.Kept, key)
	}
	return true
}

// tellBoth is the rewriting of an UPDATE that may change keys: a head names whom
// the rows were about, in front of those whom it reads elsewhere, and its
// RETURNING whom they are about now.
func (c *Catalog) tellBoth(s *stmt.Statement, target *relation, w *Write, j *Judgement, keys []stmt.KeyRef, read []stmt.Names) error {
	typ, ok := keyNames[target.key.typeOID]
	if !ok {
		return cannot{"key_type", "the key of " + target.full() + " has a type that the gate cannot read"}
	}
	before, err := s.Before(target.key.name, stmt.Names{Space: target.table.Subject, Type: typ, Exact: true})
	if err != nil {
		return err
	}
	names, shown := []stmt.Names{before}, before
	wrote := &Wrote{Verb: j.Verb, Table: target.full(), Columns: w.Columns}
	head := []Named{{Space: before.Space, Exact: true, TypeOID: target.key.typeOID, Column: before.Column(1), Wrote: wrote}}
	if !w.Quiet || len(w.Reads)+len(w.Sources) > 0 { // what it tells of the rows, or keeps of them, is of who they were about
		shown.Exact = !w.Quiet
		names = append(names, shown)
		head = append(head, Named{Space: shown.Space, Exact: shown.Exact, TypeOID: target.key.typeOID, Column: shown.Column(2)})
	}
	j.Head = append(head, j.Head...)
	names = append(names, read...)
	for i := range j.Head {
		j.Head[i].Column = names[i].Column(i + 1)
	}
	j.Rewrite, j.Behind, err = s.TellWrite(keys, names)
	return err
}

// concerns says anew which tables a judgement is about.
func (j *Judgement) concerns(c *Catalog, tables reach) {
	j.Tables, j.Spaces, j.Categories = nil, nil, 0
	c.concern(j, tables)
}

// destroyed are the protected columns of all tables of a judgement.
func (c *Catalog) destroyed(j *Judgement) (columns []string) {
	for _, name := range j.Tables {
		if r := c.named(name); r != nil {
			columns = append(columns, r.shown(0)...)
		}
	}
	return set(columns)
}

// written resolves the target and the tables that a write is joined with, and
// adds their keys to its RETURNING.
func (c *Catalog) written(s *stmt.Statement, target *relation, w *Write, j *Judgement) (keys []stmt.KeyRef, reason string) {
	for i, r := range s.Relations {
		found := c.find(r)
		rel := (*relation)(nil)
		if len(found) > 0 {
			rel = found[0]
		}
		concerning := slices.ContainsFunc(found, (*relation).concerning)
		switch {
		case concerning && len(found) > 1:
			return nil, "ambiguous_name"
		case concerning && !rel.protected():
			if rel.policy {
				return nil, "policy"
			}
			return nil, "view"
		case concerning && (!r.Top || r.CTE && !r.Written):
			return nil, "write_reads"
		case concerning && r.Tried:
			return nil, "write_reads"
		}
		if len(found) > 1 {
			rel = nil
		}
		m := mention{alias: r.Ref(), rel: rel}
		if r.Alias == "" {
			m.schema = r.Schema
		}
		j.mentions = append(j.mentions, m)
		if !concerning {
			continue
		}
		in := Instance{
			Space: rel.table.Subject, Table: rel.full(), OID: rel.oid, Alias: r.Ref(),
			Key: rel.key.name, Attnum: rel.key.attnum, TypeOID: rel.key.typeOID, KeyNullable: rel.keyNullable,
		}
		key := stmt.KeyRef{Relation: i, Column: rel.key.name}
		if r.Written { // the first, wherever it stands: WITH comes before it
			j.Instances = append([]Instance{in}, j.Instances...)
			keys = append([]stmt.KeyRef{key}, keys...)
			continue
		}
		j.Instances, keys = append(j.Instances, in), append(keys, key)
	}
	for _, alias := range s.Write.Derived {
		j.mentions = append(j.mentions, mention{alias: alias})
	}
	if s.Write.Conflicts {
		j.mentions = append(j.mentions, mention{alias: "excluded", rel: target})
	}
	for _, col := range s.Columns {
		// In a write no aggregate stands outside a sub-select: only what is asked
		// of a protected table must be certain to be a column.
		if f := col.Fields; !col.Attribute && len(f) > 1 {
			if rel := qualified(j.mentions, f[:len(f)-1]); rel != nil && rel.protected() && !c.column(j.mentions, col) {
				return nil, "unknown_column"
			}
		}
	}
	j.targets = s.Targets
	for _, col := range s.Tested {
		j.Tested = append(j.Tested, j.resolve(col)...)
	}
	j.Tested = set(j.Tested)
	w.Reads = slices.DeleteFunc(slices.Clone(j.Tested), func(name string) bool { return slices.Contains(target.columnsOf(target.key), name) })
	if len(j.Instances) > 1 {
		w.Reads = slices.Clone(j.Tested) // a join by the key tells who is in both
	}
	for _, col := range s.Write.Sources {
		if f := col.Fields; s.Write.Conflicts && len(f) == 2 && f[0] == "excluded" && f[1] != "*" {
			continue // what the client has given
		}
		w.Sources = append(w.Sources, j.resolve(col)...)
	}
	w.Sources = set(w.Sources)
	columns := s.Write.Columns
	for _, col := range target.columns {
		if col.protected && (len(columns) == 0 || slices.Contains(columns, col.name)) {
			w.Columns = append(w.Columns, target.columnsOf(&col)...)
		}
	}
	var err error
	if j.Rewrite, err = s.WithReturning(keys); err != nil {
		return nil, "not_understood"
	}
	return keys, ""
}

// writtenTold is written for a write that reads protected tables elsewhere than
// in a join: those whom it reads are named by a head.
func (c *Catalog) writtenTold(s *stmt.Statement, target *relation, w *Write, j *Judgement) (seen []*relation, err error) {
	names, seen, types, err := c.behind(s, j.login)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, cannot{"", "nobody's rows decide what it writes"}
	}
	at := slices.IndexFunc(s.Relations, func(r stmt.Relation) bool { return r.Written })
	j.Instances = []Instance{{
		Space: target.table.Subject, Table: target.full(), OID: target.oid, Alias: s.Relations[at].Ref(),
		Key: target.key.name, Attnum: target.key.attnum, TypeOID: target.key.typeOID, KeyNullable: target.keyNullable,
	}}
	for i, n := range names {
		j.Head = append(j.Head, Named{Space: n.Space, Exact: n.Exact, TypeOID: keyType(types[n.Space]), Column: n.Column(i + 1)})
	}
	j.mentions = []mention{{target.name, "", target}}
	for _, rel := range seen {
		j.mentions = append(j.mentions, mention{rel.name, "", rel})
	}
	j.columns = c.mentioned(s, append(seen, target))
	j.Tested, w.Reads, w.Sources = j.columns, j.columns, j.columns
	columns := s.Write.Columns
	for _, col := range target.columns {
		if col.protected && (len(columns) == 0 || slices.Contains(columns, col.name)) {
			w.Columns = append(w.Columns, target.columnsOf(&col)...)
		}
	}
	keys := []stmt.KeyRef{{Relation: at, Column: target.key.name}}
	if w.Rekeys {
		return seen, c.tellBoth(s, target, w, j, keys, names)
	}
	j.Rewrite, j.Behind, err = s.TellWrite(keys, names)
	return seen, err
}

// copyIn is COPY FROM STDIN into a protected table.
func (c *Catalog) copyIn(s *stmt.Statement, target *relation, j *Judgement) string {
	switch {
	case target == nil || !target.protected():
		return "write_reads" // of what it carries on; it cannot be
	case target.kind != 'r' && target.kind != 'p':
		return "write_view"
	case s.Copy.Odd || s.Copy.Format != "text" && s.Copy.Format != "csv" && s.Copy.Format != "binary" || s.Copy.Encoding != "":
		return "copy_format"
	case target.remakes:
		return "copy_trigger"
	}
	columns := s.Copy.Columns
	if len(columns) == 0 {
		for _, col := range target.columns {
			if !col.generated {
				columns = append(columns, col.name)
			}
		}
	}
	w := &Write{Quiet: true, Copy: &CopyIn{Field: slices.Index(columns, target.key.name), Fields: len(columns)}}
	if w.Copy.Field < 0 {
		return "copy_key"
	}
	for _, col := range target.columns {
		if col.protected && slices.Contains(columns, col.name) {
			w.Columns = append(w.Columns, target.columnsOf(&col)...)
		}
	}
	j.Instances = []Instance{{
		Space: target.table.Subject, Table: target.full(), OID: target.oid, Alias: target.name,
		Key: target.key.name, Attnum: target.key.attnum, TypeOID: target.key.typeOID, KeyNullable: target.keyNullable,
	}}
	w.Columns = set(w.Columns)
	if w.Own = target.of != nil; w.Own {
		j.Verb = sekisho.Read
	}
	j.Write = w
	return ""
}

// A foreignKey leads from a table to one that refers to it.
type foreignKey struct {
	to                 *relation
	columns, referring []int16 // of this table and of to, in the same order
	onUpdate, onDelete byte    // pg_constraint's: c cascade, n set null, d set default; else nothing is carried on
}

// carries follows a change or deletion through foreign keys into protected
// tables. same are those whose records there are of the same customers as in
// the table itself, because the key of one refers to the key of the other;
// others are those of which that cannot be said. changed are the columns that
// are set, if it is no deletion.
func (c *Catalog) carries(from *relation, deletes bool, changed []string) (same, others reach) {
	same, others = reach{}, reach{}
	if from == nil {
		return same, others
	}
	type step struct {
		rel     *relation
		linked  bool // its rows are of the customers that are named
		deletes bool
	}
	set := func(rel *relation, names []string) (columns []int16) {
		for _, name := range names {
			if col := rel.column(name); col != nil {
				columns = append(columns, col.attnum)
			}
		}
		return columns
	}
	seen := map[step]bool{}
	var follow func(at step, columns []int16)
	follow = func(at step, columns []int16) {
		if at.deletes || columns == nil { // else it may come again with other columns
			if seen[at] {
				return
			}
			seen[at] = true
		}
		for _, under := range at.rel.under { // of a view, and of which columns of it, nobody asks
			follow(step{under, false, at.deletes}, nil)
		}
		for _, child := range c.children[at.rel.oid] {
			if r := c.byOID[child]; r != nil {
				follow(step{r, at.linked, at.deletes}, nil)
			}
		}
		for _, k := range at.rel.referred {
			action := k.onDelete
			if !at.deletes {
				action = k.onUpdate
				if columns != nil && !slices.ContainsFunc(k.columns, func(n int16) bool { return slices.Contains(columns, n) }) {
					continue
				}
			}
			if action != 'c' && action != 'n' && action != 'd' {
				continue
			}
			linked := false
			if at.linked && k.to.protected() && k.to.table.Subject == at.rel.table.Subject {
				for i := range k.columns {
					if k.columns[i] == at.rel.key.attnum && k.referring[i] == k.to.key.attnum {
						linked = action != 'd'
					}
				}
			}
			switch {
			case linked:
				same[k.to] = true
			case k.to.protected():
				others[k.to] = true
			}
			// What is set there is not followed column by column: any may be.
			follow(step{k.to, linked, at.deletes && action == 'c'}, nil)
		}
	}
	follow(step{from, from.protected(), deletes}, set(from, changed))
	return same, others
}

// Carrying is the judgement of what a write carries on into tables of which it
// cannot be told whose records they are.
func (j Judgement) Carrying() (all []Judgement) {
	if j.Write == nil {
		return nil
	}
	by := map[string]*Judgement{}
	for _, name := range j.Write.Carried {
		r := j.catalog.named(name)
		if r == nil {
			continue
		}
		space := r.table.Subject
		if by[space] == nil {
			by[space] = &Judgement{Kind: Opaque, Verb: j.Verb, Spaces: []string{space}, Write: &Write{AnyRow: true}}
		}
		one := by[space]
		one.Tables = append(one.Tables, name)
		one.Write.Columns = append(one.Write.Columns, r.shown(0)...)
		one.Categories = j.catalog.categories(one.Write.Columns)
	}
	for _, space := range sorted(by) {
		all = append(all, *by[space])
	}
	return all
}

// CategoriesOf are the categories of columns, written as schema.table.column.
func (j Judgement) CategoriesOf(columns []string) sekisho.Categories {
	return j.catalog.categories(columns)
}
