package catalog

import (
	"slices"
	"strings"

	"sekisho/stmt"
)

// What a statement runs that nobody can see through.

// trouble gives the reason if the statement runs what nobody can see through,
// but for calls, of which somebody has said how far they reach.
// Beside protected data more is trouble than elsewhere.
func (c *Catalog) trouble(s *stmt.Statement, over bool, calls map[stmt.Name][]*Reaching, j *Judgement) string {
	if s.Kind == stmt.Code {
		return string(s.Kind)
	}
	if s.Runs != "" && !c.procedure(s, calls) { // also EXPLAIN ANALYZE CREATE TABLE x AS EXECUTE y
		return string(s.Runs)
	}
	for inner := s; inner != nil; inner = inner.Inner {
		if inner.Kind == stmt.Unknown {
			return "not_understood"
		}
	}
	for _, set := range s.Settings {
		if set.Durable || !set.Known && !set.Default && !stated(s, set) {
			return "setting"
		}
	}
	for _, f := range s.Functions {
		if f.Name.Name == "set_config" && !over {
			continue // seen among the settings
		}
		if calls[f.Name] != nil {
			continue
		}
		if why := c.functionTrouble(f, over); why != "" {
			j.Unknown = j.Unknown || why == "unknown_function"
			j.culprit = f.Name.String()
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

// advice is the hint of a refusal that has a culprit. It names what to add to
// the config, if something there would help.
func (j *Judgement) advice() string {
	if j.Reason != "function" {
		return j.Hint
	}
	_, name, qualified := strings.Cut(j.culprit, ".")
	if !qualified {
		name = j.culprit
	}
	var own []string
	for _, f := range j.catalog.functions[name] {
		if full := f.schema + "." + name; (!qualified || full == j.culprit) && !slices.Contains(own, full) {
			own = append(own, full)
		}
	}
	if len(own) == 0 {
		return "It is one of PostgreSQL's own that reads or does more than its arguments show. Leave it out, or run it in a statement without protected tables."
	}
	slices.Sort(own)
	return "Have it reviewed: whose data it reads must show in its arguments. Then add it to the gate's config, under catalog: functions: reviewed: [" + strings.Join(own, ", ") + "]."
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

// LargeObjectsFree says whether large objects are declared to hold nothing of
// any person.
func (c *Catalog) LargeObjectsFree() bool { return slices.Contains(c.cfg.Unprotected, LargeObjects) }

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
	if largeObject[name] && (over || !c.LargeObjectsFree()) {
		return "large_object"
	}
	if hidden(name) && !largeObject[name] || over && stateful[name] {
		return "function"
	}
	if readsIn[name] && c.unseen.any() {
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

// Own begins the names of the settings that only the gate reads.
const Own = "sekisho."

// stated: one of those, by a parameter. The server does nothing with its value.
func stated(s *stmt.Statement, set stmt.Setting) bool {
	return s.Certain && set.Param > 0 && strings.HasPrefix(set.Name, Own)
}
