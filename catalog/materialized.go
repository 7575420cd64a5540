package catalog

import (
	"slices"

	"sekisho"
	"sekisho/stmt"
)

// Materialized views hold rows of another time, which nobody can name by reading
// the tables that they were made of. But where each of their rows is of one
// person, and one of their columns that person's key, they are a table like
// others, and need not be listed as one. In the ledger, and for the policy, they
// are the tables that their rows were made of.

// keyed guards the materialized views that say whose each of their rows is.
func (c *Catalog) keyed() {
	for _, r := range c.byOID {
		if r.kind != 'm' || r.protected() || r.declared || r.text == "" || r.opaque != "" || r.sensitive {
			continue
		}
		var seen []*relation
		gives, key, err := stmt.Keyed(r.text, c.tables(&seen))
		if err != nil || len(gives) != len(r.columns) {
			continue
		}
		r.table = &Table{Name: r.full(), Subject: gives[key].Key, Key: r.columns[key].name, Masks: map[string]string{}}
		r.reaches, r.keyNullable, r.of = reach{r: true}, true, []string{}
		var every []string // that an expression may be of
		for _, t := range seen {
			if !t.protected() {
				continue
			}
			r.of = append(r.of, t.full())
			for _, col := range t.columns {
				if col.protected && (r.says[col.name] || r.says["*"]) {
					every = append(every, t.full()+"."+col.name)
				}
			}
		}
		r.of, every = set(r.of), set(every)
		for i, g := range gives {
			col := &r.columns[i]
			if g.Computed {
				col.from = slices.Clone(every)
			}
			for _, of := range g.From {
				if t := c.named(of[0]); t != nil && t.protected() {
					if source := t.column(of[1]); source != nil {
						col.from = append(col.from, t.shown(source.attnum)...)
						r.table.Masks[col.name] = t.table.Masks[source.name]
					}
				}
			}
			col.from = set(col.from)
			col.protected, col.category = len(col.from) > 0, c.categories(col.from)
		}
		r.key = &r.columns[key]
		r.key.protected = true
		c.all[r] = true
	}
}

// tables says what names mean in the text of a view that reads tables alone.
func (c *Catalog) tables(seen *[]*relation) stmt.Resolver {
	return func(n stmt.Name) (stmt.Table, error) {
		r := c.named(n.String())
		if r == nil || r.kind != 'r' && r.kind != 'p' || r.concerning() && !r.protected() || r.sensitive {
			return stmt.Table{}, cannot{"view", "it reads more than tables"}
		}
		*seen = append(*seen, r)
		t := stmt.Table{Full: r.full(), Columns: r.columnNames()}
		if r.protected() {
			typ, ok := keyNames[r.key.typeOID]
			if !ok {
				return t, cannot{"key_type", "the key of " + r.full() + " has a type that the gate cannot read"}
			}
			t.Key, t.Space, t.Type = r.key.name, r.table.Subject, typ
		}
		return t, nil
	}
}

// refreshed is how REFRESH MATERIALIZED VIEW is accounted, or the reason why it
// cannot be. It shows nothing of any row. Every row of the view is made anew, and
// may be created, changed or destroyed by that: as TRUNCATE, it may have written
// anybody's. Of a view that does not say whose its rows are nobody could say so.
func (c *Catalog) refreshed(s *stmt.Statement, j *Judgement) string {
	var view *relation
	for _, r := range s.Relations {
		found := c.find(r)
		if len(found) != 1 || view != nil {
			return "ambiguous_name"
		}
		view = found[0]
	}
	switch {
	case view == nil || view.kind != 'm':
		return "maintain" // and the server says that it is none
	case !view.protected():
		return "refresh"
	case view.writes != "":
		return "write_sets_off"
	}
	if reason := view.unseen(0); reason != "" {
		return reason
	}
	j.Verb = sekisho.Delete
	j.Write = &Write{AnyRow: true, Quiet: true, Columns: set(view.shown(0)), Verbs: []sekisho.Verb{sekisho.Insert, sekisho.Update, sekisho.Delete}, Says: sekisho.Delete, errs: reach{view: true}}
	view.madeOf(j.Write.errs, 0)
	return ""
}

// unseen is why nobody can see into what makes the rows of a view, below it at any
// depth; "" if somebody can.
func (r *relation) unseen(depth int) string {
	if depth > 20 || r.policy || r.kind == 'f' {
		return "view_calls_function"
	}
	if depth > 0 && r.kind != 'v' {
		return "" // its rows are there
	}
	switch {
	case r.locked:
		return "view_locked"
	case r.runs || r.coerces:
		return "view_calls_function"
	}
	for _, u := range r.under {
		if reason := u.unseen(depth + 1); reason != "" {
			return reason
		}
	}
	return ""
}

// madeOf adds the protected tables that a view reads.
func (r *relation) madeOf(tables reach, depth int) {
	for _, u := range r.under {
		for t := range u.reaches {
			tables[t] = true
		}
		if depth < 20 && u.kind == 'v' {
			u.madeOf(tables, depth+1)
		}
	}
}

// Answers is the judgement of what the errors of a write tell, and what it says
// of rows that were there.
func (j Judgement) Answers() Judgement {
	of := Judgement{Kind: Opaque, Verb: sekisho.Read, Spaces: j.Spaces, Tables: j.Tables, Categories: j.Categories}
	if j.Write != nil && len(j.Write.errs) > 0 {
		of.concerns(j.catalog, j.Write.errs)
	}
	return of
}
