package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/stmt"
)

// How a column looks when it is masked. A mask has the type of its column, so
// that whatever reads the result goes on working.

// MaskKind is how a value is shown.
type MaskKind byte

const (
	NoMask  MaskKind = 0
	Partial MaskKind = 1 // as the column's form says: some characters of it
	Token   MaskKind = 2 // the same value gives the same token
	Blank   MaskKind = 3 // NULL
)

// forms are the words of catalog: tables: masks. What they show is stated in
// docs/policy.md.
var forms = map[string]func(v string) string{
	"email": func(v string) string {
		at := "pg_catalog.strpos(pg_catalog.reverse(" + v + "), '@')"
		return "CASE WHEN " + at + " OPERATOR(pg_catalog.>) 0 AND " + at + " OPERATOR(pg_catalog.<) pg_catalog.length(" + v + ")" +
			" THEN pg_catalog.left(" + v + ", 1) OPERATOR(pg_catalog.||) '***' OPERATOR(pg_catalog.||) pg_catalog.right(" + v + ", " + at + ") ELSE " + stars(v) + " END"
	},
	"phone": func(v string) string {
		return "CASE WHEN pg_catalog.length(" + v + ") OPERATOR(pg_catalog.>=) 8 THEN pg_catalog.repeat('*', pg_catalog.length(" + v + ") OPERATOR(pg_catalog.-) 4)" +
			" OPERATOR(pg_catalog.||) pg_catalog.right(" + v + ", 4) ELSE " + stars(v) + " END"
	},
	"name":  func(v string) string { return "pg_catalog.left(" + v + ", 1) OPERATOR(pg_catalog.||) '***'" },
	"stars": stars,
}

func stars(v string) string { return "pg_catalog.repeat('*', pg_catalog.length(" + v + "))" }

// formNames are what a config may say of a column's mask.
func formNames() []string { return append(sorted(forms), "blank") }

// PostgreSQL's own types, whose numbers are fixed.
const (
	oidText, oidVarchar, oidChar      = 25, 1043, 1042
	oidInt8, oidUUID                  = 20, 2950
	oidDate, oidTimestamp, oidStampTZ = 1082, 1114, 1184
)

func isText(oid uint32) bool { return oid == oidText || oid == oidVarchar || oid == oidChar }

// keywords are the types whose names the grammar knows, so that no search path
// changes what they mean.
var keywords = map[uint32]bool{16: true, 20: true, 21: true, 23: true, 700: true, 701: true, 1700: true, 1042: true, 1043: true, 1083: true, 1114: true, 1184: true, 1186: true, 1266: true, 1560: true, 1562: true}

// loadTypeNames reads how the types of protected columns are written.
func (c *Catalog) loadTypeNames(ctx context.Context, query Query) error {
	oids := c.protectedOIDs()
	if len(oids) == 0 {
		return nil
	}
	return rowsOf(ctx, query, "types of columns", `
		SELECT a.attrelid, a.attnum, a.atttypid, a.atttypmod, n.nspname, t.typname, t.typtype, pg_catalog.format_type(a.atttypid, a.atttypmod)
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
		WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN (`+strings.Join(oids, ", ")+`)`,
		func(v []string) error {
			r := c.byOID[oidOf(v[0])]
			n, _ := strconv.ParseInt(v[1], 10, 16)
			for i := range r.columns {
				col := &r.columns[i]
				if col.attnum != int16(n) {
					continue
				}
				mod, _ := strconv.Atoi(v[3])
				switch {
				case v[6] == "d": // a domain may forbid NULL, and any mask
				case v[4] == "pg_catalog" && keywords[oidOf(v[2])]:
					col.typeName = v[7]
				case mod == -1:
					col.typeName = stmt.Quote(v[4]) + "." + stmt.Quote(v[5])
				}
				if col.typeOID == oidVarchar && mod > 4 || col.typeOID == oidChar && mod > 4 {
					col.length = mod - 4
				}
			}
			return nil
		})
}

// mask is SQL that shows the column so. "" is none: it cannot be masked.
func (c *Catalog) mask(r *relation, col *column, kind MaskKind) string {
	if col.typeName == "" {
		return ""
	}
	v := stmt.MaskedValue(col.name)
	expr := "NULL"
	switch kind {
	case Partial:
		form := r.table.Masks[col.name]
		text := "(" + v + "::pg_catalog.text)"
		switch {
		case form == "blank":
		case isText(col.typeOID) && forms[form] != nil:
			expr = "(" + forms[form](text) + ")"
		case isText(col.typeOID):
			expr = "(" + stars(text) + ")"
		case col.typeOID == oidDate || col.typeOID == oidTimestamp:
			expr = "pg_catalog.date_trunc('year', " + v + "::timestamp without time zone)"
		case col.typeOID == oidStampTZ:
			// The year of one zone: in one of the client's choice each zone would tell
			// on which side of a year's beginning it lies.
			expr = "pg_catalog.date_trunc('year', " + v + ", 'UTC')"
		}
	case Token:
		call := c.token()
		if call == "" {
			return ""
		}
		token := call + "(" + v + "::pg_catalog.text)"
		switch {
		case isText(col.typeOID) && (col.length == 0 || col.length >= leastToken):
			expr = token
		case col.typeOID == oidInt8:
			expr = "(('x' OPERATOR(pg_catalog.||) pg_catalog.left(" + token + ", 15))::bit(60)::bigint)"
		case col.typeOID == oidUUID:
			expr = token
		}
	}
	return "(" + expr + "::" + col.typeName + ")"
}

// leastToken is how many characters of a token tell people apart: 64 bits.
const leastToken = 16

// token is the function that makes tokens, as SQL writes it; "" if the database
// has none.
func (c *Catalog) token() string {
	schema, name, ok := split(c.cfg.Functions.Token)
	if !ok || len(c.functions[name]) == 0 {
		return ""
	}
	return stmt.Quote(schema) + "." + stmt.Quote(name)
}

// isToken: calling it through the gate would tell which value a token stands
// for.
func (c *Catalog) isToken(f stmt.Function) bool {
	_, name, ok := split(c.cfg.Functions.Token)
	return ok && f.Name.Name == name
}

// A MaskError says why a statement cannot be masked, and what to do.
type MaskError struct{ Hint string }

func (e *MaskError) Error() string { return "the statement cannot be masked" }

// Masked is the judgement of a plain statement of which the columns of some
// categories are masked. The error is a *MaskError.
func (c *Catalog) Masked(s *stmt.Statement, j Judgement, kind func(sekisho.Categories) MaskKind) (Judgement, error) {
	if j.Kind != Plain {
		return j, &MaskError{"Select columns from tables and joins, without the columns that are masked."}
	}
	var tables []stmt.MaskedTable
	j.masked = map[string]bool{}
	at := 0
	for i, m := range j.mentions {
		rel := m.rel
		if rel == nil || !rel.protected() {
			continue
		}
		in := j.Instances[at]
		at++
		columns, any, err := c.maskedColumns(rel, kind, j.masked)
		if err != nil {
			return j, err
		}
		if any {
			tables = append(tables, stmt.MaskedTable{Relation: i, Columns: columns, Key: in.Key})
		}
	}
	if s.Copy != nil && s.Copy.Query == nil {
		return c.maskedCopy(s, j, kind)
	}
	if len(tables) == 0 {
		return j, nil
	}
	of := s
	if s.Copy != nil {
		of = s.Copy.Query
	}
	var keys []stmt.KeyRef
	for i := range of.Relations {
		if rel := j.mentions[i].rel; rel != nil && rel.protected() {
			keys = append(keys, stmt.KeyRef{Relation: i, Column: rel.key.name})
		}
	}
	rewrite, err := s.WithMasks(tables, keys)
	if err != nil {
		return j, maskError(err)
	}
	j.Rewrite = rewrite
	return j, nil
}

// MaskedTold is the statement and the judgement of one of any other shape of
// which the columns of some categories are masked, for somebody with this login.
// The error is a *MaskError.
func (c *Catalog) MaskedTold(s *stmt.Statement, login string, kind func(sekisho.Categories) MaskKind) (*stmt.Statement, Judgement, error) {
	if c.writtenOut(s) != nil {
		return nil, Judgement{}, &MaskError{"Read the tables themselves in place of a function."}
	}
	hidden := map[string]bool{}
	tables := map[*relation]*stmt.MaskedTable{}
	for _, r := range s.Relations {
		for _, rel := range c.find(r) {
			for t := range rel.reaches {
				if tables[t] != nil {
					continue
				}
				columns, any, err := c.maskedColumns(t, kind, hidden)
				if err != nil {
					return nil, Judgement{}, err
				}
				switch {
				case any && t != rel:
					return nil, Judgement{}, &MaskError{"Read the tables themselves in place of " + rel.full() + "."}
				case any:
					tables[t] = &stmt.MaskedTable{Columns: columns}
				}
			}
		}
	}
	text, err := s.MaskAll(func(n stmt.Name) *stmt.MaskedTable {
		for _, rel := range c.find(stmt.Relation{Name: n}) {
			if tables[rel] != nil {
				return tables[rel]
			}
		}
		return nil
	})
	if err != nil {
		return nil, Judgement{}, maskError(err)
	}
	all, err := stmt.Analyse(text)
	if err != nil || len(all) != 1 {
		return nil, Judgement{}, maskError(stmt.ErrRewrite)
	}
	own := *c // which may call the function that makes tokens
	own.cfg.Functions.Token = ""
	j := own.JudgeAs(&all[0], login)
	if j.Kind != Told {
		return nil, Judgement{}, &MaskError{"Columns of it are masked, and then it cannot be told whose data it shows. Write it in a simpler way, or without these columns."}
	}
	j.catalog, j.masked = c, hidden
	return &all[0], j, nil
}

// maskedColumns are a table's columns with their masks. masked gets the names
// of those that have one.
func (c *Catalog) maskedColumns(rel *relation, kind func(sekisho.Categories) MaskKind, masked map[string]bool) (columns []stmt.MaskedColumn, any bool, err error) {
	for i := range rel.columns {
		col := &rel.columns[i]
		one := stmt.MaskedColumn{Name: col.name}
		if k := kind(col.category); k != NoMask && col.protected {
			if one.Mask = c.mask(rel, col, k); one.Mask == "" {
				hint := "Column " + col.name + " has a type that the gate cannot mask. Leave it out."
				if k == Token && c.token() == "" {
					hint = "There is no function for tokens in the database: ask whoever runs sekisho (catalog: functions: token)."
				}
				return nil, false, &MaskError{hint}
			}
			any = true
			masked[rel.full()+"."+col.name] = true
		}
		columns = append(columns, one)
	}
	return columns, any, nil
}

// maskedCopy is Masked for COPY of a table.
func (c *Catalog) maskedCopy(s *stmt.Statement, j Judgement, kind func(sekisho.Categories) MaskKind) (Judgement, error) {
	in := j.Instances[0]
	rel := c.byOID[in.OID]
	all, any, err := c.maskedColumns(rel, kind, j.masked)
	if err != nil || !any {
		return j, err
	}
	var columns []stmt.MaskedColumn
	for _, name := range copied(s, rel) {
		columns = append(columns, all[slices.IndexFunc(all, func(m stmt.MaskedColumn) bool { return m.Name == name })])
	}
	if j.Rewrite, err = s.CopyWithMasks(rel.schema, rel.name, columns, in.Key); err != nil {
		return j, maskError(err)
	}
	return j, nil
}

// copied are the columns that COPY of a table copies.
func copied(s *stmt.Statement, rel *relation) (columns []string) {
	if len(s.Copy.Columns) > 0 {
		return s.Copy.Columns
	}
	for _, col := range rel.columns {
		if !col.generated {
			columns = append(columns, col.name)
		}
	}
	return columns
}

func maskError(err error) error {
	hint := "Name the columns that you need, from tables with plain aliases, without system columns, ONLY, TABLE and FOR UPDATE."
	switch {
	case errors.Is(err, stmt.ErrMaskStar):
		hint = "Name the columns in place of the star, and join with ON in place of NATURAL and USING."
	case errors.Is(err, stmt.ErrMaskWhole):
		hint = "Name the columns in place of the whole row."
	case errors.Is(err, stmt.ErrMaskName):
		hint = "Give the WITH query another name than a table has."
	case errors.Is(err, stmt.ErrMaskQualified):
		hint = "Write columns as table.column, or give the table an alias."
	}
	return &MaskError{hint}
}

// unmasked leaves out the columns that a mask hides.
func (j Judgement) unmasked(columns []string) []string {
	if len(j.masked) == 0 {
		return columns
	}
	return slices.DeleteFunc(columns, func(c string) bool { return j.masked[c] })
}

// checkMasks finds what is wrong with a table's masks in the config.
func (t *Table) checkMasks() error {
	for _, col := range sorted(t.Masks) {
		if form := t.Masks[col]; !slices.Contains(formNames(), form) {
			return fmt.Errorf("table %s, mask of column %s: %q is none; use one of %s", t.Name, col, form, strings.Join(formNames(), ", "))
		}
	}
	return nil
}
