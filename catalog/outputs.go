package catalog

import (
	"errors"
	"fmt"
	"strings"

	"sekisho"
	"sekisho/stmt"
)

// Origin is where a column of a result comes from, as RowDescription says it:
// 0, 0 for what was computed.
type Origin struct {
	TableOID uint32
	Attnum   int16
}

// Column is one column of the database.
type Column struct {
	Name      string // schema.table.column; schema.table for a whole row
	Category  sekisho.Categories
	Protected bool
	Subject   string // of a protected table
}

// ErrOrigin is a result that does not come from where the judgement says. The
// statement must not be passed on: something has the name of something else.
var ErrOrigin = errors.New("the result comes from other tables than the catalog says; the catalog may have changed")

// Column is what the catalog knows of a column by its origin. Number 0 is the
// whole row: every category of the table.
func (c *Catalog) Column(tableOID uint32, attnum int16) (Column, bool) {
	r := c.byOID[tableOID]
	if r == nil {
		return Column{}, false
	}
	col := Column{Name: r.full(), Protected: r.concerning()}
	if r.protected() {
		col.Subject = r.table.Subject
	}
	if attnum <= 0 {
		for _, each := range r.columns {
			col.Category |= each.category
		}
		if attnum < 0 { // a system column: ctid, xmin, tableoid
			col.Category, col.Protected = 0, false
		}
		return col, true
	}
	for _, each := range r.columns {
		if each.attnum == attnum {
			col.Name += "." + each.name
			col.Category = each.category
			if r.protected() {
				col.Protected = each.protected
			}
			return col, true
		}
	}
	return Column{}, false
}

// ProtectedOID says whether a relation is protected, or reaches one that is.
func (c *Catalog) ProtectedOID(oid uint32) bool {
	r := c.byOID[oid]
	return r != nil && r.concerning()
}

// Outputs says which protected columns the result of a plain statement shows,
// sorted, and their categories, from the origins in its RowDescription with
// the hidden keys; of a Told, without the head's. An error means that the
// result is not what was judged.
func (j Judgement) Outputs(origins []Origin) (columns []string, categories sekisho.Categories, err error) {
	if j.Kind == Told {
		columns, err = j.outputsTold(origins)
		columns = j.unmasked(columns)
		return columns, j.catalog.categories(columns), err
	}
	if j.Kind != Plain {
		return nil, 0, fmt.Errorf("%w: the statement is %v, not plain", ErrOrigin, j.Kind)
	}
	n := len(origins) - len(j.Instances)
	if n < 0 {
		return nil, 0, fmt.Errorf("%w: there are fewer columns than hidden keys", ErrOrigin)
	}
	for i, in := range j.Instances {
		if o := origins[n+i]; o.TableOID != in.OID || o.Attnum != in.Attnum {
			return nil, 0, fmt.Errorf("%w: hidden key %d is not %s.%s", ErrOrigin, i+1, in.Table, in.Key)
		}
	}
	if j.Write != nil && len(j.Head) > 0 {
		columns, err = j.outputsTold(origins[:n])
		return columns, j.catalog.categories(columns), err
	}
	known := map[uint32]bool{}
	for _, m := range j.mentions {
		if m.rel != nil {
			known[m.rel.oid] = true
		}
	}
	for i, o := range origins[:n] {
		if o.TableOID == 0 {
			columns = append(columns, j.computed(i, n)...)
			continue
		}
		r := j.catalog.byOID[o.TableOID]
		if r == nil {
			continue // made after the snapshot, and so out of nothing protected
		}
		if !r.concerning() {
			continue
		}
		if !known[o.TableOID] {
			return nil, 0, fmt.Errorf("%w: column %d comes from %s", ErrOrigin, i+1, r.full())
		}
		columns = append(columns, r.shown(o.Attnum)...)
	}
	columns = j.unmasked(set(columns))
	return columns, j.catalog.categories(columns), nil
}

// Static is what a plain statement shows, at most, told without a
// RowDescription: for COPY, and for Execute without Describe.
func (j Judgement) Static() (columns []string, categories sekisho.Categories) {
	columns = append(columns, j.columns...)
	for _, t := range j.targets {
		switch t.Kind {
		case stmt.Star:
			columns = append(columns, j.everything()...)
		default:
			for _, ref := range t.Refs {
				columns = append(columns, j.resolve(ref)...)
			}
		}
	}
	columns = j.unmasked(set(columns))
	return columns, j.catalog.categories(columns)
}

// shown are the protected columns behind an attribute number.
func (r *relation) shown(attnum int16) (columns []string) {
	for _, col := range r.columns {
		if col.protected && (attnum == 0 || attnum == col.attnum) {
			columns = append(columns, r.columnsOf(&col)...)
		}
	}
	return columns
}

// computed are the protected columns that column i of n, an expression, may
// hold. Before the first star and behind the last one, it is known which
// expression that is.
func (j Judgement) computed(i, n int) []string {
	first, last := len(j.targets), -1
	for k, t := range j.targets {
		if t.Kind == stmt.Star || t.Kind == stmt.TableStar {
			first, last = min(first, k), k
		}
	}
	k := -1
	switch {
	case last < 0 && n == len(j.targets), i < first && last >= 0:
		k = i
	case last >= 0 && n-i < len(j.targets)-last:
		k = len(j.targets) - (n - i)
	}
	if k < 0 || k >= len(j.targets) {
		return j.everything()
	}
	var columns []string
	for _, ref := range j.targets[k].Refs {
		columns = append(columns, j.resolve(ref)...)
	}
	return columns
}

func (j Judgement) everything() (columns []string) {
	for _, m := range j.mentions {
		if m.rel != nil && m.rel.protected() {
			columns = append(columns, m.rel.shown(0)...)
		}
	}
	return columns
}

// resolve lists the protected columns that a reference may mean, at least.
func (j Judgement) resolve(ref stmt.Column) (columns []string) {
	f := ref.Fields
	if ref.Attribute {
		return nil // taken from an expression whose own references count
	}
	name := f[len(f)-1]
	if name == "*" && len(f) == 1 {
		return j.everything()
	}
	if len(f) > 1 {
		rel := qualified(j.mentions, f[:len(f)-1])
		switch {
		case rel == nil:
			return j.unresolved(f)
		case !rel.protected():
			return nil
		case name == "*":
			return rel.shown(0)
		}
		if col := rel.column(name); col != nil {
			return rel.shown(col.attnum)
		}
		if systemColumns[name] {
			return nil
		}
		return rel.shown(0)
	}
	found := false
	for _, m := range j.mentions {
		if m.rel == nil {
			continue
		}
		if col := m.rel.column(name); col != nil {
			found = true
			if m.rel.protected() {
				columns = append(columns, m.rel.shown(col.attnum)...)
			}
		} else if m.alias == name {
			found = true
			if m.rel.protected() {
				columns = append(columns, m.rel.shown(0)...)
			}
		}
	}
	if !found && !systemColumns[name] {
		return j.everything()
	}
	return columns
}

// unresolved is a qualified reference to a relation that the catalog cannot
// name: nothing if the statement has exactly such an unprotected one.
func (j Judgement) unresolved(fields []string) []string {
	for _, m := range j.mentions {
		if m.alias == fields[len(fields)-2] && m.rel == nil {
			return nil
		}
	}
	return j.everything()
}

var systemColumns = map[string]bool{"ctid": true, "xmin": true, "xmax": true, "cmin": true, "cmax": true, "tableoid": true}

func (c *Catalog) categories(columns []string) (all sekisho.Categories) {
	for _, name := range columns {
		i := strings.LastIndexByte(name, '.')
		if r := c.named(name[:i]); r != nil {
			if col := r.column(name[i+1:]); col != nil {
				all |= col.category
			}
		}
	}
	return all
}
