package catalog

import (
	"maps"
	"slices"

	"sekisho"
	"sekisho/stmt"
)

// Statements that nobody can name, and that can reach no further than is known:
// a query whose names cannot be told, a materialized view without a key, the
// server's statistics, a function that somebody has read and that states its
// tables. They stay opaque, and are refused; but a role may be allowed to run
// them, and then they are recorded as any-row before they do.
//
// What runs code that nobody has read reaches everything, and could write what it
// reads where nobody accounts for it, or leave something behind in the session
// that later statements are judged without. It is bounded only as far as it
// reads: whoever runs it sees to it that nothing else of it comes to be.

// A Bound is how far an opaque statement can reach: it reads the Tables of its
// Judgement, and writes these.
type Bound struct {
	// Unread: it runs code that nobody has read. It may read all that is
	// protected, and must neither write anything nor leave anything behind.
	Unread bool

	Spaces     []string // of what it writes
	Tables     []string
	Columns    []string // all that are protected in them, sorted
	Categories sekisho.Categories
}

// Writes: it may create, change or destroy anybody's records.
func (b *Bound) Writes() bool { return len(b.Tables) > 0 }

// bounded are the reasons for which a query is refused that only reads what its
// text names.
var bounded = map[string]bool{
	"names": true, "function_in_from": true, "tablesample": true, "view": true, "key_type": true, "statistics": true,
}

const boundHint = " Or, where that is not to be had, a login whose role has any_row: true in the gate's config runs it, recorded as if it were about everybody."

// bind notes that an opaque query reaches no further than its tables.
func (j *Judgement) bind(s *stmt.Statement) {
	if !bounded[j.Reason] || !reads(s) || j.catalog.guarded(s) {
		return
	}
	j.Bound = &Bound{}
	j.Hint += boundHint
}

// guarded: a policy of row level security decides what comes of a table of the
// statement's, and reads what is protected or calls what nobody has read.
func (c *Catalog) guarded(s *stmt.Statement) bool {
	return slices.ContainsFunc(s.Relations, func(r stmt.Relation) bool {
		return slices.ContainsFunc(c.find(r), func(rel *relation) bool { return rel.policy })
	})
}

// reads: it is a query, a COPY or EXPLAIN of one, or gives one a name, and writes
// nothing by itself.
func reads(s *stmt.Statement) bool {
	if s.Writes || s.Runs != "" {
		return false
	}
	for inner := s; inner != nil; inner = inner.Inner {
		if len(inner.Settings) > 0 {
			return false
		}
	}
	switch s.Kind {
	case stmt.Copy:
		return !s.Copy.From && s.Copy.Query != nil && s.Copy.Query.Kind == stmt.Select
	case stmt.Explain, stmt.Prepare, stmt.Declare:
		return s.Inner != nil && s.Inner.Kind == stmt.Select
	}
	return s.Kind == stmt.Select
}

// unread are the reasons for which a statement is refused that runs code which
// nobody has read, and does nothing else that could not be taken back.
var unread = map[string]bool{"do": true, "call": true, "function": true, "view_calls_function": true, "operator": true, "type": true}

const unreadHint = " Or a login whose role has any_row: true in the gate's config runs it, in a read-only transaction that is rolled back, and recorded as if it were about everybody."

const cursorHint = " Not by a cursor, whose code runs whenever anything names it: send the SELECT by itself, as a login whose role has any_row: true in the gate's config may; its rows come as they are read."

// bindUnread notes that a statement which runs what nobody has read does no more
// than read, if it is kept from all else. A cursor is not to be kept: the fence
// ends by a rollback, which would take the cursor with it, and without one its
// code runs by FETCH and MOVE, by an Execute of the portal of its name, at COMMIT
// if it is WITH HOLD, and within any function that is given its name.
func (j *Judgement) bindUnread(s *stmt.Statement) {
	if unread[j.Reason] && s.Kind == stmt.Declare && reads(s) {
		j.Hint += cursorHint
		return
	}
	if !unread[j.Reason] || !(reads(s) || s.Kind == stmt.Do || s.Kind == stmt.Call && s.Runs == stmt.Call && len(s.Settings) == 0) {
		return
	}
	j.Bound, j.Verb = &Bound{Unread: true}, sekisho.Read
	j.Hint += unreadHint
}

// calls are the reaching functions that a statement calls, by name. A name that
// may also mean a function that nobody has read is not among them.
func (c *Catalog) calls(s *stmt.Statement) map[stmt.Name][]*Reaching {
	if s.Writes || len(s.Settings) > 0 || s.Runs != "" && (s.Runs != stmt.Call || s.Kind != stmt.Call) {
		return nil
	}
	if s.Kind != stmt.Call && !reads(s) {
		return nil
	}
	var all map[stmt.Name][]*Reaching
	for _, f := range s.Functions {
		var list []*Reaching
		blind := isSystem(f.Schema) || f.Schema == "" && c.system[f.Name.Name].kind != 0
		for _, user := range c.functions[f.Name.Name] {
			if f.Schema != "" && f.Schema != user.schema {
				continue
			}
			switch {
			case user.reaching != nil:
				list = append(list, user.reaching)
			case !user.reviewed:
				blind = true
			}
		}
		if blind || len(list) == 0 {
			continue
		}
		if all == nil {
			all = map[stmt.Name][]*Reaching{}
		}
		all[f.Name] = list
	}
	return all
}

// reach adds to touched what these functions read and write, and says how far
// the statement can reach; or gives the reason why that cannot be said.
func (c *Catalog) reach(calls map[stmt.Name][]*Reaching, touched reach) (*Bound, string) {
	written := reach{}
	reason, fenced := "", false
	for _, list := range calls {
		for _, f := range list {
			for _, name := range f.Reads {
				if name == everyTable {
					maps.Copy(touched, c.all)
				} else if r := c.named(name); r != nil {
					maps.Copy(touched, r.reaches)
					fenced = fenced || r.policy
				}
			}
			for _, name := range f.Writes {
				r := c.named(name)
				if r == nil {
					continue
				}
				maps.Copy(written, r.reaches)
				maps.Copy(written, r.cascades)
				fenced = fenced || r.policy
				if r.writes != "" {
					reason = "write_sets_off"
				}
			}
		}
	}
	if fenced {
		reason = "policy"
	}
	maps.Copy(touched, written)
	var of Judgement
	c.concern(&of, written)
	b := &Bound{Spaces: of.Spaces, Tables: of.Tables, Categories: of.Categories}
	if len(b.Tables) > 0 {
		b.Columns = c.destroyed(&of)
	}
	return b, reason
}

// bindCalls refuses a statement that calls reaching functions, over these
// tables, as one that a role may be allowed to run.
func (c *Catalog) bindCalls(j *Judgement, b *Bound, touched reach) {
	c.concern(j, touched)
	j.refuse(Opaque, "function")
	j.Message, j.Hint = "a function in this statement could be about anybody", "It is listed in the catalog under functions.reaching: a login whose role has any_row: true in the gate's config may call it"
	if b.Writes() {
		j.Hint += ", with writes: true"
	}
	j.Hint += "."
	j.Bound, j.Verb = b, sekisho.Read
}

// procedure: the statement is a CALL, of what somebody has read.
func (c *Catalog) procedure(s *stmt.Statement, calls map[stmt.Name][]*Reaching) bool {
	return s.Kind == stmt.Call && s.Runs == stmt.Call && !slices.ContainsFunc(s.Functions, func(f stmt.Function) bool {
		return calls[f.Name] == nil && c.functionTrouble(f, len(calls) > 0) != ""
	})
}
