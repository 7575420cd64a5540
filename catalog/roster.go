package catalog

import (
	"fmt"
	"strings"

	"sekisho/stmt"
)

// Tables lists the protected tables of a subject, sorted.
func (c *Catalog) Tables(subject string) (tables []string) {
	for r := range c.all {
		if r.table.Subject == subject {
			tables = append(tables, r.full())
		}
	}
	return set(tables)
}

// UnreadKeys lists, as schema.table.column and sorted, the key columns of
// protected tables whose type the gate cannot read: nothing that an answer from
// these tables names can be told.
func (c *Catalog) UnreadKeys() (columns []string) {
	for r := range c.all {
		if r.key != nil && keyNames[r.key.typeOID] == "" {
			columns = append(columns, r.full()+"."+r.key.name)
		}
	}
	return set(columns)
}

// NullableKeys lists, as schema.table.column and sorted, the key columns of
// protected tables in which the database allows null. Whoever loads a catalog
// should say so: rows without a key cannot be told whose they are.
func (c *Catalog) NullableKeys() (columns []string) {
	for r := range c.all {
		if r.keyNullable {
			columns = append(columns, r.full()+"."+r.key.name)
		}
	}
	return set(columns)
}

// Subjects lists the subjects in the order of the config.
func (c *Catalog) Subjects() (names []string) {
	for _, s := range c.cfg.Subjects {
		names = append(names, s.Name)
	}
	return names
}

// Population is the query whose single value is how many people a subject has.
func (c *Catalog) Population(subject string) (sql string, ok bool) {
	s := c.subjects[subject]
	if s == nil {
		return "", false
	}
	schema, table, _ := split(s.Table)
	return fmt.Sprintf("SELECT pg_catalog.count(*) FROM %s.%s", stmt.Quote(schema), stmt.Quote(table)), true
}

// RosterQuery is the query for the roster of a subject. Every value comes as
// text: the key, then the labels, then the dates as days since 1970-01-01
// (null for none or infinity), then the match fields.
type RosterQuery struct {
	SQL                  string
	Labels, Dates, Match []string // names, each sorted, in the order of the columns
}

// Roster gives the roster query of a subject; false if it has none.
func (c *Catalog) Roster(subject string) (RosterQuery, bool) {
	s := c.subjects[subject]
	if s == nil || len(s.Roster.Labels)+len(s.Roster.Dates)+len(s.Roster.Match) == 0 {
		return RosterQuery{}, false
	}
	q := RosterQuery{Labels: sorted(s.Roster.Labels), Dates: sorted(s.Roster.Dates), Match: sorted(s.Roster.Match)}
	const text = "::pg_catalog.text"
	columns := []string{"r." + stmt.Quote(s.Key) + text}
	for _, n := range q.Labels {
		columns = append(columns, "r."+stmt.Quote(s.Roster.Labels[n])+text)
	}
	for _, n := range q.Dates {
		date := "r." + stmt.Quote(s.Roster.Dates[n]) + "::pg_catalog.date"
		columns = append(columns, "CASE WHEN pg_catalog.isfinite("+date+") THEN ("+date+" - '1970-01-01'::pg_catalog.date)"+text+" END")
	}
	for _, n := range q.Match {
		columns = append(columns, "r."+stmt.Quote(s.Roster.Match[n])+text)
	}
	schema, table, _ := split(s.Table)
	from := stmt.Quote(schema) + "." + stmt.Quote(table)
	if s.Roster.Query != "" {
		from = "(" + strings.TrimRight(strings.TrimSpace(s.Roster.Query), ";") + "\n)"
	}
	q.SQL = "SELECT " + strings.Join(columns, ", ") + " FROM " + from + " AS r"
	return q, true
}

// RowsOf is the query that counts the rows of some people in a protected table:
// $1 is a JSON array of keys as text, a row of the answer has a key and a count.
func (c *Catalog) RowsOf(table string) (sql string, ok bool) {
	r := c.named(table)
	if r == nil || r.table == nil || r.key == nil {
		return "", false
	}
	key := stmt.Quote(r.key.name) + "::pg_catalog.text"
	schema, name, _ := split(r.full())
	return fmt.Sprintf("SELECT %s, pg_catalog.count(*)::pg_catalog.text FROM %s.%s WHERE %s IN (SELECT pg_catalog.json_array_elements_text($1::pg_catalog.json)) GROUP BY 1",
		key, stmt.Quote(schema), stmt.Quote(name), key), true
}

// ColumnOf is the query for one column of some people of a subject: $1 is a JSON
// array of keys as text, a row of the answer has a key and the column as text. The
// column stands in query, or, without one, in the subject's table.
func (c *Catalog) ColumnOf(subject, column, query string) (sql string, ok bool) {
	s := c.subjects[subject]
	if s == nil {
		return "", false
	}
	schema, table, _ := split(s.Table)
	from := stmt.Quote(schema) + "." + stmt.Quote(table)
	if query != "" {
		from = "(" + strings.TrimRight(strings.TrimSpace(query), ";") + "\n)"
	}
	// The keys take the column's type, not the column theirs: so an index is used.
	key, wanted := "r."+stmt.Quote(s.Key), "k"
	r := c.named(s.Table)
	if r != nil && r.key != nil && r.key.name == s.Key && r.key.typeName != "" {
		wanted += "::" + r.key.typeName
	} else {
		key += "::pg_catalog.text"
	}
	return fmt.Sprintf("SELECT r.%s::pg_catalog.text, r.%s::pg_catalog.text FROM %s AS r WHERE %s IN (SELECT %s FROM pg_catalog.json_array_elements_text($1::pg_catalog.json) AS k)",
		stmt.Quote(s.Key), stmt.Quote(column), from, key, wanted), true
}
