package catalog

import (
	"cmp"
	"fmt"
	"maps"
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
	Plain  Kind = 2 // hidden keys account for it exactly, or Judgement.Write says how it is accounted
	Opaque Kind = 3 // over protected data, and it cannot be told over whose
	Denied Kind = 4 // never let through, whatever the mode
	Told   Kind = 5 // names in front of its rows, or all of a table, account for it
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
	case Told:
		return "told"
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

	login   string // for which it was judged
	why     error  // that explains Reason
	culprit string // a function or operator in the statement that is the reason, as written

	Verb       sekisho.Verb
	Spaces     []string // subjects concerned, sorted
	Tables     []string // protected tables concerned, sorted
	Unclear    string   // a name without a schema that is several relations', one of them protected; "": there is none
	Categories sekisho.Categories

	// Of Told: whose keys the head of the result holds, one column each, and of
	// whom all are meant without being read. Of a Plain write, Head is of those
	// whom it reads elsewhere than in the rows that it writes; Behind is then
	// where the query for them begins in Rewrite.Text, in characters from 1.
	Head, Whole []Named
	Behind      int

	// Of Plain, and Rewrite of a Told with a Head.
	Instances []Instance
	Rewrite   stmt.Rewrite
	Skip      *stmt.Skip // rows at the beginning that the statement as written does not show; nil: none
	Write     *Write     // of a write; else nil
	Tested    []string   // protected columns outside the target list, sorted: at most the values that could be probed

	// Unknown: the statement names something that the snapshot does not know.
	// Load the catalog again and judge once more; if it is still unknown, the
	// judgement holds.
	Unknown bool

	// Changes: the statement may change the catalog. Check Fresh before the
	// next one is judged.
	Changes bool

	// Locks: it locks tables, and shows nothing of them. It holds up others, and
	// is recorded as an access to nobody's rows. Verb is Update where it locks as
	// a write does.
	Locks bool

	// Ties: it writes to a table that a foreign key ties to a protected one, in
	// either direction. The errors of class 23 then tell, in their detail,
	// which keys the protected table has. True of Free judgements too.
	Ties bool

	// LeavesOut: it reads a view that is declared unprotected and leaves out
	// rows of protected tables. The server may evaluate the statement's own
	// conditions before the view's, so errors and notices can hold values of the
	// rows left out, or tell of them by coming. True of Free judgements too.
	LeavesOut bool

	// Bound, of Opaque: how far it can reach. A role may be allowed to run it,
	// recorded as any-row before it does. Nil: it runs in no way.
	Bound *Bound

	catalog  *Catalog
	targets  []stmt.Target
	mentions []mention
	columns  []string        // of COPY: what goes out, in order
	masked   map[string]bool // columns of which only a mask goes out; see Masked
}

// mention is one relation in the FROM of a plain statement.
type mention struct {
	alias  string
	schema string // as written, when there is no alias
	rel    *relation
}

// Judge is JudgeAs for nobody in particular: a view without a key of its own
// is closed to them.
func (c *Catalog) Judge(s *stmt.Statement) Judgement { return c.JudgeAs(s, "") }

// JudgeAs says what a statement does to protected data, sent by somebody with
// this login.
func (c *Catalog) JudgeAs(s *stmt.Statement, login string) Judgement {
	if of := c.writtenOut(s); of != nil {
		if j := c.JudgeAs(of, login); j.asWritten() && (j.Kind != Opaque || j.Bound != nil || len(c.calls(s)) == 0) {
			return j
		}
	}
	j := Judgement{Kind: Free, Verb: verb(s), catalog: c, login: login}
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
		if r.Schema == "" && len(found) > 1 && j.Unclear == "" && slices.ContainsFunc(found, (*relation).concerning) {
			j.Unclear = r.Name.Name
		}
		for _, rel := range found {
			for t := range rel.reaches {
				touched[t] = true
			}
			sens = sens || rel.sensitive
			if rel.opaque != "" && opaque == "" {
				opaque = "view_calls_function"
				switch {
				case rel.policy:
					opaque = "policy"
				case rel.locked:
					opaque = "view_locked"
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
			if s.Kind == stmt.Truncate && s.Cascade {
				tables, writes := c.emptied(rel)
				if maps.Copy(touched, tables); writes != "" && opaque == "" {
					opaque = "write_sets_off"
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
	maps.Copy(touched, c.rests(s))
	j.Unknown = unknown
	calls := c.calls(s)
	over := len(touched) > 0 || sens || len(calls) > 0
	if opaque == "" {
		opaque = c.trouble(s, over, calls, &j)
	}
	if opaque == "" && len(calls) > 0 && c.guarded(s) {
		opaque = "policy"
	}
	if opaque == "" && len(calls) > 0 {
		if sens {
			maps.Copy(touched, c.all)
		}
		var b *Bound
		if b, opaque = c.reach(calls, touched); opaque == "" {
			c.bindCalls(&j, b, touched)
			return j
		}
	}
	if opaque == "" && !sens && passes(s, touched) {
		return j
	}
	switch {
	case !over && opaque == "":
		return j
	case opaque != "":
		c.concern(&j, c.all)
		j.refuse(Opaque, opaque)
		j.bindUnread(s)
		return j
	case sens:
		c.concern(&j, c.all)
		j.refuse(Opaque, "statistics")
		j.bind(s)
		return j
	}
	c.concern(&j, touched)
	if s.Kind == stmt.Lock && !slices.ContainsFunc(s.Relations, func(r stmt.Relation) bool {
		return slices.ContainsFunc(c.find(r), func(rel *relation) bool { return rel.kind == 'v' && rel.concerning() })
	}) {
		j.Kind, j.Locks = Told, true
		if s.Holds {
			j.Verb = sekisho.Update
		}
		return j
	}
	if s.Kind == stmt.Explain {
		if reason := c.explained(s, &j); reason != "" {
			j.forget()
			j.refuse(Opaque, reason)
		}
		return j
	}
	reason := c.plain(s, &j)
	if reason == "" {
		if j.Kind = Plain; j.Write != nil && len(j.Tables) == 0 {
			j.Kind, j.Write = Free, nil // no foreign key carries it on, after all
		}
		return j
	}
	j.forget()
	if asks(s) && !s.Writes && reason != "copy_format" {
		if err := c.told(s, login, &j); err != nil {
			j.forget()
			j.refuse(Opaque, reasonOf(err, reason))
			j.bind(s)
			j.Message += ": " + strings.TrimPrefix(err.Error(), stmt.ErrNames.Error()+": ")
		}
		return j
	}
	if _, known := refusals[reason]; !known { // a shape that would be told, if it only read
		reason = "locking"
		if slices.ContainsFunc(s.Relations, func(r stmt.Relation) bool { return r.Written }) {
			reason = "write_reads"
		}
	}
	j.refuse(Opaque, reason)
	if j.why != nil {
		j.Message += ": " + strings.TrimPrefix(j.why.Error(), stmt.ErrNames.Error()+": ")
	}
	return j
}

// asWritten: what goes upstream is the statement as the client wrote it, with a
// head or a RETURNING besides, if this is its judgement with functions written
// out. Keys are added to what is not written out alone. What is sent is made of
// the written out text where a record may change its key.
func (j *Judgement) asWritten() bool {
	return j.Kind != Plain || j.Write != nil && !j.Write.Own && !j.Write.Rekeys
}

// forget takes back how the statement would have been accounted.
func (j *Judgement) forget() {
	j.Instances, j.Head, j.Whole, j.Rewrite, j.Skip, j.Tested = nil, nil, nil, stmt.Rewrite{}, nil, nil
	j.mentions, j.targets, j.columns, j.Write, j.Behind = nil, nil, nil, nil, 0
}

// asks: it is a query, or gives one a name.
func asks(s *stmt.Statement) bool {
	switch s.Kind {
	case stmt.Prepare, stmt.Declare:
		return s.Inner != nil && s.Inner.Kind == stmt.Select
	case stmt.Copy:
		return !s.Copy.From && s.Copy.Query != nil && s.Copy.Query.Kind == stmt.Select
	}
	return s.Kind == stmt.Select
}

func verb(s *stmt.Statement) sekisho.Verb {
	switch s.Kind {
	case stmt.Select, stmt.Explain, stmt.Lock, stmt.Declare, stmt.Fetch, stmt.Prepare, stmt.Execute:
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
		case set.Name == "session_authorization" && set.Default && !set.Durable:
			// Back to who has logged in, as DISCARD ALL does as well: pools ask for
			// it of a connection that is to keep its prepared statements.
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
		if c.isToken(f) {
			return "token_function"
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

func isSystem(schema string) bool { return schema == "pg_catalog" || schema == "information_schema" }

// concern fills in whose data and which tables a judgement is about.
func (c *Catalog) concern(j *Judgement, tables reach) {
	for t := range tables {
		j.Tables = append(j.Tables, t.recorded()...)
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

// Refused is a judgement of nothing but its reason, for whoever does not let
// through what the catalog would.
func Refused(reason string) (j Judgement) {
	j.refuse(Opaque, reason)
	return j
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
	if j.culprit != "" {
		j.Message, j.Hint = j.Message+": "+j.culprit, j.advice()
	}
	if j.Message == "" {
		j.Message = fmt.Sprintf("the gate cannot tell whose data this statement shows (%s)", reason)
	}
}
