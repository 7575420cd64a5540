package gate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
)

// What the gate makes of the server's description of rows: where the keys are,
// and which Shape entries say what the rows show.

// describe makes the description of a statement's rows from the server's own.
// The refusal, which is also in the description, says that they must not go
// out.
func (s *session) describe(sp *stmtPlan, body []byte, t *strand) (d *desc, refused *refusal) {
	if d := sp.last.Load(); d != nil && string(d.raw) == string(body) {
		return d, d.refuse
	}
	return s.describeAnew(sp, body, t)
}

func (s *session) describeAnew(sp *stmtPlan, body []byte, t *strand) (d *desc, refused *refusal) {
	t.wait(func() { d = s.g.makeDesc(s, sp, body) })
	d.raw = append([]byte(nil), body...)
	if d.refuse == nil {
		sp.last.Store(d)
	}
	return d, d.refuse
}

// originRefusal: names lie, numbers do not.
var originRefusal = &refusal{code: "0A000", reason: "origin", text: "the result comes from other tables than the gate was told of, so nothing of it is released", hint: "A table was changed or shadowed by another of its name. Write the table as schema.table, and try again."}

func (g *Gate) makeDesc(s *session, sp *stmtPlan, body []byte) *desc {
	fields, err := origins(body)
	if err != nil {
		return &desc{refuse: originRefusal}
	}
	d := &desc{fields: len(fields), hidden: len(sp.hidden)}
	cat := s.catalog()
	switch sp.kind {
	case 0:
		d.refuse = originRefusal // what has this name is not known
		return d
	case planFree:
		if bytes.Contains(body, []byte(stmt.Hidden)) && !sp.observe {
			d.refuse = originRefusal // a name has come to mean a statement with a head
			return d
		}
		d.shows = sp.ground != nil && sp.ground.Shown(originsOf(fields))
		for _, f := range fields {
			if f.TableOID != 0 && cat.ProtectedOID(f.TableOID) {
				// The text named nothing protected, and yet here it is.
				select {
				case g.plans.stale <- struct{}{}:
				default:
				}
				g.log.Error("a statement over protected data was taken for a free one", "relation", f.TableOID)
				if d.anyRow = sp.observe; !sp.observe {
					d.refuse = originRefusal
				}
				return d
			}
		}
		return d
	case planAnyRow:
		d.anyRow = true
		return d
	}
	all := originsOf(fields)
	j := sp.judgement
	if sp.told() && sp.written == nil {
		g.tellDesc(s, d, sp, fields, body)
		return d
	}
	if d.hidden = sp.hiddenFields(); sp.told() {
		visible := len(fields) - d.hidden
		if visible < 0 || !sp.isHead(body, visible+len(sp.hidden)) {
			d.refuse = originRefusal
			return d
		}
		all = all[:visible+len(sp.hidden)]
	}
	if sp.observe {
		if sp.blind {
			d.anyRow = true
			return d
		}
		if all = sp.observed(d, fields, g); all == nil {
			d.anyRow = true
			return d
		}
	} else {
		for i, in := range sp.hidden {
			d.keys = append(d.keys, keyAt{field: len(fields) - d.hidden + i, of: g.vault.Space(in.Space), typ: keyTypes[in.TypeOID], null: in.KeyNullable})
		}
	}
	columns, categories, err := j.Outputs(all)
	if err != nil {
		d.refuse = originRefusal
		return d
	}
	d.held = make([]bool, d.fields-d.hidden)
	every := true
	for i := range d.held {
		f := fields[i]
		d.held[i] = f.TableOID == 0 || cat.ProtectedOID(f.TableOID)
		every = every && d.held[i]
	}
	if every {
		d.held = nil
	}
	if sp.written != nil {
		if d.refuse = g.writeShapes(d, sp, columns); d.refuse == nil && sp.told() {
			d.refuse = g.tellShapes(d, sp, nil, 0)
		}
	} else {
		d.refuse = g.addShapes(d, sp, columns, categories)
	}
	slices.SortFunc(d.keys, func(a, b keyAt) int { return a.field - b.field })
	return d
}

func originsOf(fields []origin) []catalog.Origin {
	all := make([]catalog.Origin, len(fields))
	for i, f := range fields {
		all[i] = f.Origin
	}
	return all
}

// addShapes sees to it that a Shape entry stands in the ledger for each
// subject space of the statement.
func (g *Gate) addShapes(d *desc, sp *stmtPlan, columns []string, categories sekisho.Categories) *refusal {
	index := map[string]int{}
	for i, in := range sp.judgement.Instances {
		at, ok := index[in.Space]
		if !ok {
			at = len(d.shapes)
			index[in.Space] = at
			seq, err := g.shape(sp, sp.judgement.Verb, in.Space, columns, categories)
			if err != nil {
				return ledgerRefusal(err)
			}
			d.shapes = append(d.shapes, shapeRef{seq: seq, space: in.Space})
		}
		if i < len(d.keys) {
			d.keys[i].space = at
		}
	}
	return nil
}

// shape gives the sequence number of a statement's Shape entry, and appends it
// the first time.
func (g *Gate) shape(sp *stmtPlan, verb sekisho.Verb, space string, columns []string, categories sekisho.Categories) (uint64, error) {
	key := space + "\x00" + strings.Join(columns, "\x00")
	if verb != sp.judgement.Verb {
		key = verb.String() + "\x00" + key
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if seq, ok := sp.shapes[key]; ok {
		return seq, nil
	}
	id, err := g.append(&sekisho.Shape{
		Statement: sp.statement, Verb: verb, Space: space,
		Tables: sp.judgement.Tables, Columns: columns, Categories: categories,
	})
	if err != nil {
		return 0, fmt.Errorf("recording the shape of a statement: %w", err)
	}
	sp.shapes[key] = id.Seq
	return id.Seq, nil
}

// observed finds the keys of a statement that was not rewritten in its own
// result: each table's key column, if the table stands in the statement once.
// It gives the origins as if the keys had been added, or nil if a key is
// missing.
func (sp *stmtPlan) observed(d *desc, fields []origin, g *Gate) []catalog.Origin {
	all := make([]catalog.Origin, len(fields))
	for i, f := range fields {
		all[i] = f.Origin
	}
	seen := map[uint32]bool{}
	for _, in := range sp.judgement.Instances {
		typ, ok := keyTypes[in.TypeOID]
		at := slices.Index(all[:len(fields)], catalog.Origin{TableOID: in.OID, Attnum: in.Attnum})
		if !ok || at < 0 || seen[in.OID] {
			return nil
		}
		seen[in.OID] = true
		d.keys = append(d.keys, keyAt{field: at, of: g.vault.Space(in.Space), typ: typ, null: in.KeyNullable})
		all = append(all, all[at])
	}
	return all
}
