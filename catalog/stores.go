package catalog

import (
	"slices"
	"strings"

	"sekisho"
)

// A Store is a protected table, and how many of its columns nobody has put in a
// category.
type Store struct {
	Table      string
	Columns    int
	Unnamed    int
	Categories sekisho.Categories
}

// Stores are the tables that the config protects, as the database has them now.
func (c *Catalog) Stores() (list []Store) {
	for _, t := range c.cfg.Tables {
		r := c.named(t.Name)
		if r == nil {
			continue
		}
		s := Store{Table: t.Name, Columns: len(r.columns)}
		for _, col := range r.columns {
			s.Categories |= col.category
			if col.category&sekisho.Unclassified != 0 {
				s.Unnamed++
			}
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Store) int { return strings.Compare(a.Table, b.Table) })
	return list
}
