package catalog

import (
	"errors"
	"maps"
	"slices"

	"sekisho/stmt"
)

// Temporary tables that hold protected rows. They are one session's own, so
// that no snapshot of the database knows what is in them: the session keeps that
// and has its statements judged by a catalog with them.

// Temporary is one such table. In the ledger it has no name of its own, which a
// client has chosen: what is read of it is of the tables that its rows were
// copied from.
type Temporary struct {
	OID          uint32
	Schema, Name string
	Subject, Key string
	Tables       []string // that its rows are of
	Columns      []TempColumn
	Gone         bool // it is not there now, and could come back
}

// TempColumn is one of its columns.
type TempColumn struct {
	Name    string
	Attnum  int16
	TypeOID uint32
	From    []string // the protected columns that its values are made of, as schema.table.column; none: of nobody
}

// WithTemporary is the catalog with a session's temporary tables.
func (c *Catalog) WithTemporary(list []Temporary) *Catalog {
	over := *c
	over.byOID, over.byName, over.all = maps.Clone(c.byOID), maps.Clone(c.byName), maps.Clone(c.all)
	for i := range list {
		t := &list[i]
		r := &relation{oid: t.OID, schema: t.Schema, name: t.Name, kind: 'r', temporary: true, cascades: reach{}, keyNullable: true, of: t.Tables}
		r.reaches = reach{r: true}
		r.table = &Table{Name: r.full(), Subject: t.Subject, Key: t.Key}
		for _, col := range t.Columns {
			one := column{name: col.Name, attnum: col.Attnum, typeOID: col.TypeOID, protected: len(col.From) > 0, from: col.From, category: c.categories(col.From)}
			r.columns = append(r.columns, one)
		}
		if r.key = r.column(t.Key); r.key == nil {
			r.key = &column{} // it cannot be; whatever reads it fails
		}
		r.key.protected = true
		others := slices.DeleteFunc(slices.Clone(over.byName[t.Name]), func(o *relation) bool { return o.oid == t.OID || o.temporary && o.of == nil && !t.Gone })
		over.byOID[t.OID] = r
		if over.all[r] = true; !t.Gone {
			others = append(others, r)
		}
		over.byName[t.Name] = others
	}
	return &over
}

// A Filling is what a statement puts into a temporary table of protected data.
type Filling struct {
	Fill    *stmt.Fill
	Subject string
	Tables  []string
	KeyAt   int          // of the columns of its rows, from 0
	Gives   []TempColumn // the columns of its rows
}

// ErrNoKey is a query whose rows do not say whose they are.
var ErrNoKey = errors.New("its rows do not say whose they are")

// Fills says what a statement over protected tables would put into a temporary
// table, for somebody with this login. The error says why nobody could account
// for what is read of it later.
func (c *Catalog) Fills(s *stmt.Statement, login string) (*Filling, error) {
	f := s.Fill
	if f == nil {
		return nil, cannot{"", "it is made in another way"}
	}
	var seen []*relation
	gives, err := f.Gives(c.resolver(login, &seen, map[string]map[uint32]bool{}))
	if err != nil {
		return nil, err
	}
	out := &Filling{Fill: f, KeyAt: -1}
	touched := reach{}
	for _, r := range seen {
		for t := range r.reaches {
			touched[t] = true
		}
	}
	for t := range touched {
		out.Tables = append(out.Tables, t.recorded()...)
	}
	out.Tables = set(out.Tables)
	every := c.mentioned(s, seen)
	for i, g := range gives {
		if g.Name == "" {
			return nil, cannot{"", "a column has no name of its own"}
		}
		var from []string
		if g.Computed {
			from = slices.Clone(every)
		}
		for _, of := range g.From {
			if r := c.named(of[0]); r != nil && r.protected() {
				if col := r.column(of[1]); col != nil {
					from = append(from, r.shown(col.attnum)...)
				}
			}
		}
		if out.Gives = append(out.Gives, TempColumn{Name: g.Name, From: set(from)}); g.Key != "" && out.KeyAt < 0 {
			out.KeyAt, out.Subject = i, g.Key
		}
	}
	if out.KeyAt < 0 {
		return nil, ErrNoKey
	}
	return out, nil
}

// recorded is how the ledger calls a relation.
func (r *relation) recorded() []string {
	if r.of != nil {
		return r.of
	}
	return []string{r.full()}
}

// columnsOf is how the ledger calls a protected column.
func (r *relation) columnsOf(col *column) []string {
	if r.of != nil {
		return col.from
	}
	return []string{r.full() + "." + col.name}
}

// ownTables: all that is protected in a statement are temporary tables of the
// session's own.
func ownTables(touched reach) bool {
	for t := range touched {
		if t.of == nil || !t.temporary {
			return false
		}
	}
	return len(touched) > 0
}

// passes: what a statement does to the session's own temporary tables tells
// nothing of their rows, and goes no further.
func passes(s *stmt.Statement, touched reach) bool {
	return ownTables(touched) && (s.Tends || s.Kind == stmt.Truncate && !s.Cascade)
}
