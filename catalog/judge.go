package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekisho"
	"sekisho/stmt"
)

// Kind is how a statement is dealt with.
type Kind byte

const (
	Free   Kind = 1 // touches nothing protected: pass it on untouched
	Plain  Kind = 2 // hidden keys account for it exactly
	Opaque Kind = 3 // over protected data, and it cannot be told over whose
	Denied Kind = 4 // never let through, whatever the mode
)

func (k Kind) String() string {
	switch k {
	case Free:
		return "free"
	case Plain:
		return "plain"
	case Opaque:
		return "opaque"
	case Denied:
		return "denied"
	}
	return "unknown"
}

// Instance is one protected table in a plain statement. The hidden key columns
// of the rewritten statement are those of Instances, in this order, last in
// the result.
type Instance struct {
	Space   string // its subject
	Table   string // schema.table
	OID     uint32
	Alias   string // as the statement refers to it
	Key     string // key column
	Attnum  int16  // of the key column
	TypeOID uint32 // of the key column

	// KeyNullable: a row without the key may tell something of somebody, and it
	// cannot be told of whom. Either the database does not see to it that the
	// key is there, or an outer join shows where the table has no such row.
	KeyNullable bool
}

// Judgement is what a statement does to protected data. It belongs to one
// snapshot of the catalog and may be kept with it; it does not change.
type Judgement struct {
	Kind Kind

	// Of Opaque and Denied: how to refuse. Reason is a code for the ledger and
	// for metrics; Message and Hint are for the client, and hold no values.
	SQLState, Reason, Message, Hint string

	Verb       sekisho.Verb
	Spaces     []string // subjects concerned, sorted
	Tables     []string // protected tables concerned, sorted
	Categories sekisho.Categories

	// Of Plain.
	Instances []Instance
	Rewrite   stmt.Rewrite
	Tested    []string // protected columns outside the target list, sorted: at most the values that could be probed

	// Unknown: the statement names something that the snapshot does not know.
	// Load the catalog again and judge once more; if it is still unknown, the
	// judgement holds.
	Unknown bool

	// Changes: the statement may change the catalog. Check Fresh before the
	// next one is judged.
	Changes bool

	// Ties: it writes to a table that a foreign key ties to a protected one, in
	// either direction. The errors of class 23 then tell, in their detail,
	// which keys the protected table has. True of Free judgements too.
	Ties bool

	// LeavesOut: it reads a view that is declared unprotected and leaves out
	// rows of protected tables. The server may evaluate the statement's own
	// conditions before the view's, so errors and notices can hold values of the
	// rows left out, or tell of them by coming. True of Free judgements too.
	LeavesOut bool

	catalog  *Catalog
	targets  []stmt.Target
	mentions []mention
	columns  []string // of COPY: what goes out, in order
}

// mention is one relation in the FROM of a plain statement.
type mention struct {
	alias  string
	schema string // as written, when there is no alias
	rel    *relation
}

// Judge says what a statement does to protected data.
func (c *Catalog) Judge(s *stmt.Statement) Judgement {
	j := Judgement{Kind: Free, Verb: verb(s), catalog: c}
	j.Changes = changes(s)
	if reason := c.denied(s); reason != "" {
		j.refuse(Denied, reason)
		return j
	}
	touched, sens, unknown := reach{}, false, false
	var opaque string
	for _, r := range s.Relations {
		found := c.find(r)
		if len(found) == 0 && !r.Maybe && !r.CTE && !creates(s) {
			unknown = true
		}
		// It may be a materialized view that has just been made.
		j.LeavesOut = j.LeavesOut || len(found) == 0 && s.Kind == stmt.Maintain
		for _, rel := range found {
			if s.Kind == stmt.Lock && rel.kind != 'v' {
				continue // holds rows still, and shows none
			}
			for t := range rel.reaches {
				touched[t] = true
			}
			sens = sens || rel.sensitive
			if rel.opaque != "" && opaque == "" {
				opaque = "view_calls_function"
				switch {
				case rel.policy:
					opaque = "policy"
				case rel.kind == 'f':
					opaque = "foreign_table"
				}
			}
			j.Ties = j.Ties || r.Written && rel.ties
			j.LeavesOut = j.LeavesOut || rel.leavesOut
			if rel.leavesOut && creates(s) && s.Kind != stmt.CreateTableAs && s.Kind != stmt.Maintain && !r.Maybe && opaque == "" {
				// A view over it may be read before the next snapshot knows of it.
				opaque = "create_view"
			}
			if r.Written && !r.Added {
				for t := range rel.cascades {
					touched[t] = true
				}
			}
			if (r.Written || r.Taken) && rel.writes != "" && opaque == "" {
				opaque = "write_sets_off"
			}
		}
	}
	for _, r := range s.Relations {
		sens = sens || strings.HasPrefix(r.Schema, "pg_toast")
	}
	sens = sens || counts(s)
	for t := range c.all {
		if slices.Contains(s.Schemas, t.schema) {
			touched[t] = true
		}
	}
	j.Unknown = unknown
	over := len(touched) > 0 || sens
	if opaque == "" {
		opaque = c.trouble(s, over, &j)
	}
	switch {
	case !over && opaque == "":
		return j
	case opaque != "":
		c.concern(&j, c.all)
		j.refuse(Opaque, opaque)
		return j
	case sens:
		c.concern(&j, c.all)
		j.refuse(Opaque, "statistics")
		return j
	}
	c.concern(&j, touched)
	if reason := c.plain(s, &j); reason != "" {
		j.Instances, j.Rewrite = nil, stmt.Rewrite{}
		j.refuse(Opaque, reason)
		return j
	}
	j.Kind = Plain
	return j
}

func verb(s *stmt.Statement) sekisho.Verb {
	switch s.Kind {
	case stmt.Select, stmt.Explain, stmt.Declare, stmt.Fetch, stmt.Prepare, stmt.Execute:
		if s.Kind == stmt.Select && s.Writes && s.Obstacle != "" {
			return sekisho.Other
		}
		return sekisho.Read
	case stmt.Insert:
		return sekisho.Insert
	case stmt.Update, stmt.Merge:
		return sekisho.Update
	case stmt.Delete, stmt.Truncate:
		return sekisho.Delete
	case stmt.Copy:
		if s.Copy.From {
			return sekisho.Insert
		}
		return sekisho.Export
	}
	return sekisho.Other
}

func creates(s *stmt.Statement) bool {
	switch s.Kind {
	case stmt.Define, stmt.Code, stmt.CreateView, stmt.CreateTableAs, stmt.Maintain:
		return true
	}
	return false
}

func changes(s *stmt.Statement) bool {
	switch s.Kind {
	case stmt.Do, stmt.Call, stmt.Unknown:
		return true
	}
	return creates(s) && s.Kind != stmt.Maintain
}

// find lists every relation that a mention may mean. Without a schema that is
// every one of the name: which of them is first in the search path when the
// server reads the statement, nobody knows before.
func (c *Catalog) find(r stmt.Relation) []*relation {
	named := c.byName[r.Name.Name]
	if other := fold(r.Name.Name); other != r.Name.Name {
		named = append(slices.Clone(named), c.byName[other]...)
	}
	if r.Schema == "" {
		return named
	}
	var found []*relation
	for _, rel := range named {
		if rel.schema == r.Schema || rel.schema == fold(r.Schema) || r.Schema == "pg_temp" && rel.temporary {
			found = append(found, rel)
		}
	}
	return found
}

// fold is a name as a server reads it whose encoding has one byte for each
// letter: it makes small letters of É and the like, which the grammar, in
// UTF-8, leaves as they are. Names in quotes are not told from others here.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= utf8.RuneSelf {
			return unicode.ToLower(c)
		}
		return c
	}, name)
}

// denied gives the reason if no mode lets the statement through.
func (c *Catalog) denied(s *stmt.Statement) string {
	for _, set := range s.Settings {
		switch {
		case set.Name == "role" || set.Name == "session_authorization":
			return "role_change"
		case set.Default:
		case set.Known:
			if reason := Setting(set.Name, set.Values...); reason != "" {
				return reason
			}
		}
	}
	if s.Copy != nil && s.Copy.Program {
		return "copy_program"
	}
	if s.Copy != nil && s.Copy.File {
		return "copy_file"
	}
	for _, f := range s.Functions {
		if never(f.Name.Name) {
			return "server_files_or_replication"
		}
		if others(f.Name.Name) {
			return "other_sessions"
		}
	}
	for _, r := range s.Relations {
		// A view over pg_settings is refused as it is made: it may be temporary,
		// or written to by the rest of the same text, and then no snapshot
		// knows it by the time of the write.
		makes := creates(s) && s.Kind != stmt.CreateTableAs && s.Kind != stmt.Maintain && !r.Maybe
		if !r.Written && !makes {
			continue
		}
		if r.Name.Name == "pg_settings" || slices.ContainsFunc(c.find(r), func(rel *relation) bool { return rel.settings }) {
			return "unsafe_setting"
		}
	}
	return ""
}

// trouble gives the reason if the statement runs what nobody can see through.
// Beside protected data more is trouble than elsewhere.
func (c *Catalog) trouble(s *stmt.Statement, over bool, j *Judgement) string {
	if s.Kind == stmt.Code {
		return string(s.Kind)
	}
	if s.Runs != "" { // also EXPLAIN ANALYZE CREATE TABLE x AS EXECUTE y
		return string(s.Runs)
	}
	for inner := s; inner != nil; inner = inner.Inner {
		if inner.Kind == stmt.Unknown {
			return "not_understood"
		}
	}
	for _, set := range s.Settings {
		if set.Durable || !set.Known && !set.Default {
			return "setting"
		}
	}
	for _, f := range s.Functions {
		if f.Name.Name == "set_config" && !over {
			continue // seen among the settings
		}
		if why := c.functionTrouble(f, over); why != "" {
			j.Unknown = j.Unknown || why == "unknown_function"
			return why
		}
	}
	if c.coerces(s) {
		return "type"
	}
	for _, o := range s.Operators {
		unreviewed, known := c.operators[o.Name]
		known = known || o.Schema == "" && c.own[o.Name]
		if o.Schema != "pg_catalog" && (unreviewed || !known) {
			j.Unknown = j.Unknown || !known
			return "operator"
		}
	}
	if (over || s.Writes) && c.casts {
		return "type"
	}
	for _, t := range s.Types {
		runs, known := c.types[t.Name]
		known = known || t.Schema == "" && (c.own[t.Name] || creates(s) && serial[t.Name])
		if !isSystem(t.Schema) && (runs || !known) {
			j.Unknown = j.Unknown || !known
			return "type"
		}
	}
	for _, col := range s.Columns {
		for i, f := range col.Fields {
			if i == 0 && !col.Attribute {
				continue // the first name of a reference is never a function
			}
			for _, fn := range c.functions[f] {
				if fn.attribute && !fn.reviewed {
					return "function"
				}
			}
		}
	}
	return ""
}

// coerces says whether a statement may turn values into a type with code that
// nobody reviewed, without naming the type: a function that fills in a row, or
// a table made in the likeness of a result. What the snapshot does not know may
// be made of such a type.
func (c *Catalog) coerces(s *stmt.Statement) bool {
	creates := s.Kind == stmt.CreateTableAs || s.Inner != nil && s.Inner.Kind == stmt.CreateTableAs // EXPLAIN ANALYZE
	fills := creates ||
		slices.ContainsFunc(s.Operators, func(o stmt.Name) bool { return o.Name == "#=" }) ||
		slices.ContainsFunc(s.Functions, func(f stmt.Function) bool { return strings.Contains(f.Name.Name, "populate_record") })
	if !fills || !c.unseen.any() {
		return false
	}
	return slices.ContainsFunc(s.Relations, func(r stmt.Relation) bool {
		found := c.find(r)
		return len(found) == 0 && !r.Maybe && !creates || slices.ContainsFunc(found, func(rel *relation) bool { return rel.coerces })
	})
}

// RunsCode says whether a value of this type, by its oid, runs code that nobody
// reviewed when it is made: of a parameter, the type is not in the text.
func (c *Catalog) RunsCode(typeOID uint32) bool { return c.unseen.types[typeOID] }

// functionTrouble gives the reason why a function makes a statement opaque.
func (c *Catalog) functionTrouble(f stmt.Function, over bool) string {
	name := f.Name.Name
	found := false
	if !isSystem(f.Schema) {
		for _, user := range c.functions[name] {
			if f.Schema == "" || f.Schema == user.schema || f.Schema == "pg_temp" {
				if !user.reviewed {
					return "function"
				}
				if over && user.volatile && !idle[name] {
					return "function"
				}
				found = true
			}
		}
		if !found && f.Schema != "" {
			return "unknown_function"
		}
	}
	if hidden(name) || over && stateful[name] {
		return "function"
	}
	system, known := c.system[name]
	if !known && !found && !f.Special {
		return "unknown_function"
	}
	if over && system.volatile && !idle[name] {
		return "function"
	}
	return ""
}

func isSystem(schema string) bool { return schema == "pg_catalog" || schema == "information_schema" }

// concern fills in whose data and which tables a judgement is about.
func (c *Catalog) concern(j *Judgement, tables reach) {
	for t := range tables {
		j.Tables = append(j.Tables, t.full())
		j.Spaces = append(j.Spaces, t.table.Subject)
		for _, col := range t.columns {
			j.Categories |= col.category
		}
	}
	j.Tables, j.Spaces = set(j.Tables), set(j.Spaces)
}

func set[T cmp.Ordered](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

// plain fills in how a statement over protected tables is accounted, or gives
// the reason why it cannot be.
func (c *Catalog) plain(s *stmt.Statement, j *Judgement) string {
	switch {
	case s.Kind == stmt.Copy && s.Copy.From:
		return "write"
	case s.Kind == stmt.Copy:
		return c.plainCopy(s, j)
	case s.Kind == stmt.Insert || s.Kind == stmt.Update || s.Kind == stmt.Delete || s.Kind == stmt.Merge || s.Kind == stmt.Truncate:
		return "write"
	case s.Kind == stmt.Declare:
		return "cursor"
	case s.Kind != stmt.Select:
		return string(s.Kind)
	case s.Obstacle != "":
		return s.Obstacle
	}
	keys, reason := c.instances(s, j)
	if reason != "" {
		return reason
	}
	var err error
	if j.Rewrite, err = s.WithKeys(keys); err != nil {
		return "not_understood"
	}
	return ""
}

// instances resolves the relations, columns and functions of a plain SELECT.
func (c *Catalog) instances(s *stmt.Statement, j *Judgement) (keys []stmt.KeyRef, reason string) {
	for i, r := range s.Relations {
		found := c.find(r)
		if r.Locked && !slices.ContainsFunc(found, (*relation).protected) {
			// Whoever asks it later which of its rows are locked (xmax) learns which
			// ones were met, also those that the gate has cut off.
			return nil, "locking"
		}
		if len(found) == 0 {
			if !r.Top {
				return nil, "not_understood"
			}
			j.mentions = append(j.mentions, mention{r.Ref(), "", nil})
			continue
		}
		rel := found[0]
		if len(found) > 1 {
			for _, f := range found {
				if f.concerning() {
					return nil, "ambiguous_name"
				}
			}
			rel = nil // one of several that are all unprotected
		}
		m := mention{alias: r.Ref(), rel: rel}
		if r.Alias == "" {
			m.schema = r.Schema
		}
		j.mentions = append(j.mentions, m)
		if rel == nil || !rel.concerning() {
			continue
		}
		if !rel.protected() {
			if rel.policy {
				return nil, "policy"
			}
			return nil, "view"
		}
		if !r.Top || rel.key == nil {
			return nil, "not_understood"
		}
		if r.Tried {
			return nil, "outer_join"
		}
		j.Instances = append(j.Instances, Instance{
			Space: rel.table.Subject, Table: rel.full(), OID: rel.oid, Alias: r.Ref(),
			Key: rel.key.name, Attnum: rel.key.attnum, TypeOID: rel.key.typeOID, KeyNullable: rel.keyNullable || r.Missing && !rel.joinedByKey(r),
		})
		keys = append(keys, stmt.KeyRef{Relation: i, Column: rel.key.name})
	}
	for _, f := range s.Functions {
		switch kind := c.functionKind(f.Name); {
		case f.Aggregate || kind == 'a':
			return nil, "aggregate"
		case f.Window || kind == 'w':
			return nil, "window"
		}
	}
	for _, col := range s.Columns {
		if !c.column(j.mentions, col) {
			return nil, "unknown_column"
		}
	}
	j.targets = s.Targets
	for _, col := range s.Tested {
		j.Tested = append(j.Tested, j.resolve(col)...)
	}
	j.Tested = set(j.Tested)
	return keys, ""
}

// joinedByKey: an outer join finds the rows of a person by the key alone, so
// that it tells by missing only of a person without any. Other columns are
// values: whoever joins guesses of them, and keeps those that miss, reads what
// is left out.
func (r *relation) joinedByKey(m stmt.Relation) bool {
	if r.kind != 'r' && r.kind != 'p' || r.full() != r.table.Name {
		return false // a view or partition: which rows it has is a value too
	}
	keys, others := 0, 0
	for _, col := range m.On {
		f := col.Fields
		name := f[len(f)-1]
		own := len(f) == 1 && r.column(name) != nil || len(f) > 1 && f[len(f)-2] == m.Ref()
		switch {
		case own && name == r.key.name:
			keys++
		case !own:
			others++
		}
	}
	return keys == 1 && keys+others == len(m.On)
}

func (c *Catalog) functionKind(n stmt.Name) byte {
	kind := c.system[n.Name].kind
	for _, f := range c.functions[n.Name] {
		if f.kind == 'a' || f.kind == 'w' {
			kind = f.kind
		}
	}
	return kind
}

// column says whether a reference is certain to be no function in disguise:
// t.f is f(t) if t has no column f, and PostgreSQL takes even t.count so.
func (c *Catalog) column(mentions []mention, col stmt.Column) bool {
	f := col.Fields
	if !col.Attribute && len(f) < 2 {
		return true
	}
	if f[len(f)-1] == "*" {
		if !col.Attribute {
			return true
		}
		f = f[:len(f)-1]
	}
	names := f
	if !col.Attribute {
		names = f[len(f)-1:]
	}
	for _, name := range names {
		_, system := c.system[name]
		if !system && len(c.functions[name]) == 0 {
			continue // whatever it is, it is not a function
		}
		if !col.Attribute {
			if rel := qualified(mentions, f[:len(f)-1]); rel != nil && rel.column(name) != nil {
				continue
			}
		}
		return false
	}
	return true
}

func qualified(mentions []mention, qualifier []string) *relation {
	last := qualifier[len(qualifier)-1]
	for _, m := range mentions {
		if m.alias == last && (len(qualifier) == 1 || qualifier[len(qualifier)-2] == m.schema || m.schema == "") {
			return m.rel
		}
	}
	return nil
}

// plainCopy is COPY TO STDOUT of a protected table, or of a plain SELECT.
func (c *Catalog) plainCopy(s *stmt.Statement, j *Judgement) string {
	if s.Copy.Odd || s.Copy.Format != "text" && s.Copy.Format != "csv" || s.Copy.Encoding != "" && !SafeEncoding(s.Copy.Encoding) {
		return "copy_format"
	}
	if inner := s.Copy.Query; inner != nil {
		if inner.Kind != stmt.Select {
			return "write"
		}
		if inner.Obstacle != "" {
			return inner.Obstacle
		}
		keys, reason := c.instances(inner, j)
		if reason != "" {
			return reason
		}
		var err error
		if j.Rewrite, err = s.WithKeys(keys); err != nil {
			return "not_understood"
		}
		return ""
	}
	var rel *relation
	for _, r := range s.Relations {
		found := c.find(r)
		if len(found) != 1 {
			return "ambiguous_name"
		}
		rel = found[0]
	}
	switch {
	case rel == nil || rel.key == nil:
		return "view"
	case rel.kind != 'r':
		return "copy_kind" // the server refuses it, and has its own words for that
	}
	columns := s.Copy.Columns
	if len(columns) == 0 {
		for _, col := range rel.columns {
			if !col.generated {
				columns = append(columns, col.name)
			}
		}
	}
	for _, name := range columns {
		col := rel.column(name)
		if col == nil || col.generated {
			return "unknown_column"
		}
		if col.protected {
			j.columns = append(j.columns, rel.full()+"."+name)
		}
	}
	j.Instances = []Instance{{
		Space: rel.table.Subject, Table: rel.full(), OID: rel.oid, Alias: rel.name,
		Key: rel.key.name, Attnum: rel.key.attnum, TypeOID: rel.key.typeOID, KeyNullable: rel.keyNullable,
	}}
	var err error
	if j.Rewrite, err = s.CopyWithKeys(rel.schema, rel.name, columns, []string{rel.key.name}); err != nil {
		return "not_understood"
	}
	return ""
}

func (j *Judgement) refuse(kind Kind, reason string) {
	j.Kind, j.Reason = kind, reason
	j.SQLState = "0A000"
	if kind == Denied {
		j.SQLState = "42501"
	}
	text, known := refusals[reason]
	if !known {
		text = refusals["not_understood"]
	}
	j.Message, j.Hint = text[0], text[1]
	if j.Message == "" {
		j.Message = fmt.Sprintf("the gate cannot tell whose data this statement shows (%s)", reason)
	}
}
