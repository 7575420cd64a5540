package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sekisho"
	"sekisho/sheet"
)

// Whose data is where: the config's tables joined to the database's, and all
// that descends from them.

// protect joins the config's tables, and all that descend from them.
func (c *Catalog) protect(ctx context.Context, query Query) error {
	var errs []error
	var names []string
	for _, r := range c.byOID {
		if !r.isSystem() && (r.kind == 'r' || r.kind == 'p' || r.kind == 'f' || r.kind == 'v' || r.kind == 'm') {
			names = append(names, r.full())
		}
	}
	for i := range c.cfg.Tables {
		t := &c.cfg.Tables[i]
		r := c.named(t.Name)
		if r == nil || !slices.Contains(names, t.Name) {
			errs = append(errs, fmt.Errorf("catalog: the database has no table %s%s", t.Name, sheet.Nearest(t.Name, names)))
			continue
		}
		errs = append(errs, r.guard(t)...)
	}
	for _, s := range c.cfg.Subjects {
		r := c.named(s.Table)
		if r == nil {
			errs = append(errs, fmt.Errorf("catalog: subject %s: the database has no table %s%s", s.Name, s.Table, sheet.Nearest(s.Table, names)))
			continue
		}
		needed := []string{s.Key}
		if s.Roster.Query == "" {
			for _, m := range []map[string]string{s.Roster.Labels, s.Roster.Dates, s.Roster.Match} {
				for _, name := range sorted(m) {
					needed = append(needed, m[name])
				}
			}
		}
		for _, col := range needed {
			if r.column(col) == nil {
				errs = append(errs, fmt.Errorf("catalog: subject %s: table %s has no column named %s%s", s.Name, s.Table, col, sheet.Nearest(col, r.columnNames())))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	children := c.children
	err := rowsOf(ctx, query, "partitions", `SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i`,
		func(v []string) error {
			children[oidOf(v[0])] = append(children[oidOf(v[0])], oidOf(v[1]))
			return nil
		})
	if err != nil {
		return err
	}
	var descend func(r *relation) error
	descend = func(r *relation) error {
		for _, oid := range children[r.oid] {
			child := c.byOID[oid]
			if child == nil { // an index
				continue
			}
			if !child.protected() { // else it has a config of its own
				if errs := child.guard(r.table); len(errs) > 0 {
					return errors.Join(errs...)
				}
				if err := descend(child); err != nil {
					return err
				}
			}
			// A constraint of the parent need not hold below it, and the child
			// may call another of its columns the key.
			if key := child.column(r.key.name); key == nil || !key.notNull || child.keyNullable {
				r.keyNullable = true
			}
		}
		return nil
	}
	for i := range c.cfg.Tables {
		if err := descend(c.named(c.cfg.Tables[i].Name)); err != nil {
			return err
		}
	}
	// A parent that is not protected shows the rows of a child that is.
	for changed := true; changed; {
		changed = false
		for oid, list := range children {
			parent := c.byOID[oid]
			if parent == nil || parent.protected() {
				continue
			}
			for _, child := range list {
				if r := c.byOID[child]; r != nil {
					for t := range r.reaches {
						if !parent.reaches[t] {
							parent.reaches[t], changed = true, true
						}
					}
				}
			}
		}
	}
	for _, name := range c.cfg.Unprotected {
		if name == LargeObjects {
			continue // see functionTrouble
		}
		r := c.named(name)
		switch {
		case r == nil:
			return fmt.Errorf("catalog: the database has no relation %s, which is listed as unprotected%s", name, sheet.Nearest(name, names))
		case r.kind != 'v' && r.kind != 'm' && r.kind != 'f':
			return fmt.Errorf("catalog: %s is listed as unprotected, but is neither a view nor a foreign table", name)
		}
		r.declared = true
	}
	for _, r := range c.byOID {
		if r.protected() {
			c.all[r] = true
		} else if r.kind == 'f' && !r.declared {
			r.opaque = "it is a foreign table"
		}
	}
	return nil
}

func (r *relation) columnNames() []string {
	names := make([]string, len(r.columns))
	for i, col := range r.columns {
		names[i] = col.name
	}
	return names
}

// guard puts a relation under the config of a table.
func (r *relation) guard(t *Table) (errs []error) {
	r.table, r.reaches = t, reach{r: true}
	for i := range r.columns {
		col := &r.columns[i]
		word, listed := t.Columns[col.name]
		if !listed {
			col.category, col.protected = sekisho.Unclassified, true
			continue
		}
		col.category, _ = category(word) // checked by Config.Check
		col.protected = col.category != 0
	}
	for _, name := range append(append(sorted(t.Columns), sorted(t.Masks)...), t.Key) {
		if r.column(name) == nil {
			errs = append(errs, fmt.Errorf("catalog: table %s has no column named %s%s", r.full(), name, sheet.Nearest(name, r.columnNames())))
		}
	}
	if r.key = r.column(t.Key); r.key != nil {
		r.keyNullable = !r.key.notNull
		if r.key.loose {
			// Two spellings would be one person to the database and two to the ledger,
			// and what is grouped by the key would name one of them.
			r.key.typeOID = 0
		}
	}
	return errs
}

func (c *Catalog) named(full string) *relation {
	schema, name, _ := split(full)
	for _, r := range c.byName[name] {
		if r.schema == schema {
			return r
		}
	}
	return nil
}
