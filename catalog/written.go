package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sekisho/stmt"
)

// Functions in SQL that are one SELECT need no review: a call is judged with the
// SELECT written out in its place, as a view is, and whom it reads is named. That
// holds of those that are
//
//   - STABLE, so that they see the snapshot of the statement that calls them. A
//     VOLATILE one sees a later one, and the answer of an IMMUTABLE one may be of
//     an earlier one, when the statement was planned.
//   - run with the rights and settings of whoever calls them: no SECURITY DEFINER,
//     no SET. So their names mean what they mean in the statement.
//   - not STRICT, which leaves the body out where an argument is NULL; without
//     VARIADIC, and called with all of their arguments.
//   - the only function of their name.
//   - without parameters and results of type character or bit, and without an
//     unqualified parameter beside a table without its schema.

// loadWritten finds them. A function that is listed as reviewed stays a call.
func (c *Catalog) loadWritten(ctx context.Context, query Query) error {
	text := "p.prosrc"
	if c.server >= 14_00_00 { // BEGIN ATOMIC, and RETURN
		text = "COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)"
	}
	types := func(list string) string {
		return `(SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.t::pg_catalog.text, pg_catalog.format_type(a.t, NULL)) ORDER BY a.n) FROM ROWS FROM (pg_catalog.unnest(` + list + `)) WITH ORDINALITY a(t, n))::pg_catalog.text`
	}
	return rowsOf(ctx, query, "functions in SQL", `
		SELECT p.oid, p.proname, `+text+`, p.proretset::pg_catalog.text, p.prorettype, t.typtype, t.typrelid, pg_catalog.format_type(p.prorettype, NULL),
			pg_catalog.array_to_json(p.proargnames)::pg_catalog.text, pg_catalog.array_to_json(p.proargmodes)::pg_catalog.text,
			`+types("p.proargtypes::pg_catalog.oid[]")+`, `+types("p.proallargtypes")+`
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang JOIN pg_catalog.pg_type t ON t.oid = p.prorettype
		WHERE p.oid >= 16384 AND l.lanname = 'sql' AND p.prokind = 'f' AND p.provolatile = 's' AND NOT p.prosecdef AND p.proconfig IS NULL
			AND NOT p.proisstrict AND p.provariadic = 0`,
		func(v []string) error {
			oid := oidOf(v[0])
			for i, f := range c.functions[v[1]] {
				if f.oid == oid && !f.reviewed {
					c.functions[v[1]][i].body = c.bodyOf(v)
				}
			}
			return nil
		})
}

// bodyOf is what a function of this row of loadWritten does; nil if it is not
// written out.
func (c *Catalog) bodyOf(v []string) *stmt.Body {
	type typed struct {
		oid  uint32
		name string
	}
	list := func(text string) (out []typed, ok bool) {
		var raw [][2]any
		if text == "" {
			return nil, true
		}
		if json.Unmarshal([]byte(text), &raw) != nil {
			return nil, false
		}
		for _, r := range raw {
			out = append(out, typed{oidOf(fmt.Sprint(r[0])), fmt.Sprint(r[1])})
		}
		return out, true
	}
	var names, modes []string
	if v[8] != "" && json.Unmarshal([]byte(v[8]), &names) != nil || v[9] != "" && json.Unmarshal([]byte(v[9]), &modes) != nil {
		return nil
	}
	in, ok := list(v[10])
	all, ok2 := list(v[11])
	if !ok || !ok2 {
		return nil
	}
	b := &stmt.Body{Text: bodyText(v[2]), Set: v[3] == "true"}
	var gives []typed
	for i, mode := range modes {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		switch mode {
		case "i":
			b.Names = append(b.Names, name)
		case "t", "o":
			if name == "" || i >= len(all) {
				return nil
			}
			b.Columns, gives = append(b.Columns, name), append(gives, all[i])
		default:
			return nil
		}
	}
	if len(modes) == 0 {
		b.Names = slices.Clone(names)
	}
	for len(b.Names) < len(in) {
		b.Names = append(b.Names, "")
	}
	for _, t := range in {
		if t.oid >= firstUserOID || cutByName(t.oid) {
			return nil // what a value of such a type runs is another question
		}
		b.Types = append(b.Types, t.name)
	}
	switch row := c.byOID[oidOf(v[6])]; {
	case len(gives) > 0:
		if !b.Set {
			return nil
		}
	case v[5] == "c":
		if row == nil || !b.Set {
			return nil
		}
		for _, col := range row.columns {
			b.Columns, gives = append(b.Columns, col.name), append(gives, typed{oid: col.typeOID})
		}
	case v[5] == "b" && oidOf(v[4]) < firstUserOID:
		b.Columns, gives = []string{""}, []typed{{oidOf(v[4]), v[7]}}
	default:
		return nil
	}
	parsed, err := stmt.Analyse(b.Text)
	if err != nil || len(parsed) != 1 || parsed[0].Kind != stmt.Select || parsed[0].Writes {
		return nil
	}
	has, known := c.outputTypes(&parsed[0])
	if known && len(has) != len(gives) {
		return nil
	}
	for i, t := range gives {
		switch {
		case known && has[i] == t.oid:
			b.Casts = append(b.Casts, "")
		case t.oid < firstUserOID && t.name != "" && !cutByName(t.oid):
			b.Casts = append(b.Casts, t.name)
		default:
			return nil
		}
	}
	// A column goes before a parameter of its name. A table without its schema may
	// be another one where the function is called, a temporary one for instance,
	// and have such a column.
	for _, col := range parsed[0].Columns {
		name := col.Fields[len(col.Fields)-1]
		if len(col.Fields) > 2 || name == "" || !slices.Contains(b.Names, name) {
			continue
		}
		for _, r := range parsed[0].Relations {
			if len(col.Fields) == 1 && r.Schema == "" && !r.CTE {
				return nil
			}
			for _, rel := range c.find(r) {
				if rel.column(name) != nil {
					return nil
				}
			}
		}
	}
	return b
}

// cutByName: the name of the type without a length means a length of one, so a
// value that is cast to it is cut. character, bit, and their arrays.
func cutByName(oid uint32) bool {
	return slices.Contains([]uint32{1042, 1014, 1560, 1561}, oid)
}

// bodyText is the query in a function's text.
func bodyText(text string) string {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "BEGIN ATOMIC"); ok {
		text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "END"))
	} else if rest, ok := strings.CutPrefix(text, "RETURN "); ok {
		text = "SELECT " + rest
	}
	return strings.TrimRight(text, "; \t\r\n")
}

// outputTypes are the types of a query's columns, 0 where only the server knows.
// It does not know how many there are of most shapes.
func (c *Catalog) outputTypes(s *stmt.Statement) (types []uint32, known bool) {
	if s.Obstacle != "" {
		return nil, false
	}
	from := map[string]*relation{}
	for _, r := range s.Relations {
		found := c.find(r)
		if len(found) != 1 || r.CTE || r.Renamed || from[r.Ref()] != nil {
			return nil, false
		}
		from[r.Ref()] = found[0]
	}
	for _, t := range s.Targets {
		switch t.Kind {
		case stmt.Star:
			if len(from) != 1 {
				return nil, false
			}
			for _, r := range from {
				for _, col := range r.columns {
					types = append(types, col.typeOID)
				}
			}
		case stmt.TableStar:
			return nil, false
		case stmt.Reference:
			f := t.Refs[0].Fields
			typ, times := uint32(0), 0
			for ref, r := range from {
				if len(f) > 1 && f[len(f)-2] != ref {
					continue
				}
				if col := r.column(f[len(f)-1]); col != nil {
					typ, times = col.typeOID, times+1
				}
			}
			if times != 1 {
				typ = 0
			}
			types = append(types, typ)
		default:
			types = append(types, 0)
		}
	}
	return types, true
}

// writtenOut is a query, or a write, with the calls of such functions written out;
// nil if it holds none, or one cannot be.
func (c *Catalog) writtenOut(s *stmt.Statement) *stmt.Statement {
	if s.As != nil || len(s.Settings) > 0 || !(asks(s) || writesRows(s)) || !slices.ContainsFunc(s.Functions, func(f stmt.Function) bool { return c.bodyNamed(f.Name, f.Args) != nil }) {
		return nil
	}
	out, err := s.Inline(c.bodyNamed)
	if err != nil {
		return nil
	}
	return out
}

// writesRows: it is a write, whatever else of such stands in its WITH.
func writesRows(s *stmt.Statement) bool {
	switch s.Kind {
	case stmt.Insert, stmt.Update, stmt.Delete, stmt.Merge:
		return true
	}
	return false
}

// bodyNamed is what the one function of this name does.
func (c *Catalog) bodyNamed(n stmt.Name, args int) *stmt.Body {
	list := c.functions[n.Name]
	if _, own := c.system[n.Name]; len(list) != 1 || list[0].body == nil || len(list[0].body.Types) != args || n.Schema == "" && own || n.Schema != "" && n.Schema != list[0].schema {
		return nil
	}
	return list[0].body
}
