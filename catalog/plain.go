package catalog

import (
	"slices"

	"sekisho/stmt"
)

// How a plain statement over protected tables is accounted.

// plain fills in how a statement over protected tables is accounted, or gives
// the reason why it cannot be.
func (c *Catalog) plain(s *stmt.Statement, j *Judgement) string {
	switch {
	case len(s.Changes) > 0:
		return c.changing(s, j)
	case s.Kind == stmt.Insert || s.Kind == stmt.Update || s.Kind == stmt.Delete || s.Kind == stmt.Merge || s.Kind == stmt.Truncate || s.Kind == stmt.Copy && s.Copy.From:
		return c.write(s, j)
	case s.Refreshes:
		return c.refreshed(s, j)
	case s.Kind == stmt.Copy:
		return c.plainCopy(s, j)
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
	j.Skip = s.Skip
	if j.Rewrite, err = s.WithKeys(keys); err != nil {
		if s.Skip != nil {
			return "offset"
		}
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
	if s.Copy.Odd || s.Copy.Format != "text" && s.Copy.Format != "csv" && s.Copy.Format != "binary" || s.Copy.Encoding != "" && !SafeEncoding(s.Copy.Encoding) {
		return "copy_format"
	}
	if inner := s.Copy.Query; inner != nil {
		if inner.Kind != stmt.Select {
			return "write"
		}
		if inner.Obstacle != "" {
			return inner.Obstacle
		}
		if inner.Skip != nil {
			return "offset"
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
	columns := copied(s, rel)
	for _, name := range columns {
		col := rel.column(name)
		if col == nil || col.generated {
			return "unknown_column"
		}
		if col.protected {
			j.columns = append(j.columns, rel.columnsOf(col)...)
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
