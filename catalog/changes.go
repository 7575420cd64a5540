package catalog

import (
	"slices"

	"sekisho"
	"sekisho/stmt"
)

// Statements that write in their WITH: whose records each of the writes has
// touched stands in one head, beside those who were read (stmt.TellChanges).

// Wrote is one of the writes of a statement with several.
type Wrote struct {
	Verb    sekisho.Verb
	Table   string
	Columns []string // protected ones that are set, or destroyed, sorted
}

// changing fills in how a statement with writes in its WITH is accounted, or
// gives the reason why it cannot be.
func (c *Catalog) changing(s *stmt.Statement, j *Judgement) string {
	w := &Write{Says: verb(s), Quiet: s.Kind != stmt.Select && (s.Write == nil || !s.Write.Returning)}
	keys, types := map[int]string{}, map[int]stmt.Names{}
	wrote, targets := map[int]Wrote{}, map[int]*relation{}
	touched := reach{}
	ctes := map[string]bool{}
	for _, r := range s.Relations {
		ctes[r.Name.Name] = ctes[r.Name.Name] || r.CTE
	}
	one := func(at int, of *stmt.Statement) string {
		var target *relation
		for _, r := range of.Relations {
			if !r.Written {
				continue
			}
			found := c.find(r)
			switch {
			case target != nil || of.Kind == stmt.Merge && (at < 0 || of.Write == nil || c.server < firstToReturn):
				return "write_reads"
			case len(found) > 1:
				return "ambiguous_name"
			case len(found) == 0 || r.CTE:
				return "not_understood"
			}
			target = found[0]
		}
		does, deletes := verb(of), of.Kind == stmt.Delete
		var may []sekisho.Verb // of a MERGE
		if of.Write != nil && of.Write.Merges != nil {
			deletes = of.Write.Merges.Deletes
			does, may = merging(of.Write.Merges)
		}
		switch {
		case target != nil && target.of != nil:
			return "write_reads"
		case target == nil || of.Write == nil || of.Obstacle != "":
			return "write_reads"
		case !target.protected():
			if target.concerning() {
				return "write_view"
			}
			// What it reads goes where nobody accounts for it.
			for _, r := range of.Relations {
				if slices.ContainsFunc(c.find(r), (*relation).concerning) || r.Schema == "" && ctes[r.Name.Name] {
					return "write_reads"
				}
			}
			if _, others := c.carries(target, deletes, of.Write.Changes); len(others) > 0 {
				return "write_reads"
			}
			return ""
		case target.kind != 'r' && target.kind != 'p':
			return "write_view"
		case rekeys(of, target):
			return "write_key"
		}
		typ, ok := keyNames[target.key.typeOID]
		if !ok {
			return "key_type"
		}
		one := Wrote{Verb: does, Table: target.full()}
		if deletes || len(of.Write.Changes) > 0 {
			same, others := c.carries(target, deletes, of.Write.Changes)
			if len(others) > 0 {
				return "write_reads"
			}
			for t := range same {
				touched[t] = true
				one.Columns = append(one.Columns, t.shown(0)...)
			}
		}
		columns := of.Write.Columns
		for _, col := range target.columns {
			if col.protected && (len(columns) == 0 || slices.Contains(columns, col.name)) {
				one.Columns = append(one.Columns, target.full()+"."+col.name)
			}
		}
		one.Columns = set(one.Columns)
		touched[target] = true
		keys[at], wrote[at], targets[at] = target.key.name, one, target
		types[at] = stmt.Names{Space: target.table.Subject, Type: typ, Exact: true}
		w.Columns = append(w.Columns, one.Columns...)
		if at >= 0 {
			w.Verbs = append(append(w.Verbs, one.Verb), may...)
		}
		if upserts(of) {
			w.Verbs = append(w.Verbs, sekisho.Update)
		}
		w.Probes = set(append(w.Probes, target.probed(of.Write)...))
		if of.Write.Passes && !slices.Equal(of.Write.Arbiter, []string{target.key.name}) {
			w.Passes = true // of how many rows, nobody knows: Rows is 0
		}
		return ""
	}
	for i, change := range s.Changes {
		if reason := one(i, change.Of); reason != "" {
			return reason
		}
	}
	if s.Kind != stmt.Select {
		main := *s
		main.Relations = slices.DeleteFunc(slices.Clone(s.Relations), func(r stmt.Relation) bool {
			// Those that the writes in its WITH name, too.
			return r.Written && !r.Top
		})
		if reason := one(-1, &main); reason != "" {
			return reason
		}
	}
	var seen []*relation
	kinds := map[string]map[uint32]bool{}
	if why := c.unsteady(s); why != nil {
		j.why = why
		return "write_reads"
	}
	names, written, r, err := s.TellChanges(keys, types, c.resolver(j.login, &seen, kinds))
	if j.why = err; err != nil {
		if of := reasonOf(err, ""); of != "names" {
			return of
		}
		return "write_reads"
	}
	for i, n := range names {
		head := Named{Space: n.Space, Exact: n.Exact, Column: n.Column(i + 1)}
		switch {
		case i < len(written) && (i == 0 || written[i] != written[i-1]):
			one := wrote[written[i]]
			head.TypeOID, head.Wrote = targets[written[i]].key.typeOID, &one
		case i < len(written):
			head.TypeOID = targets[written[i]].key.typeOID
		default:
			head.TypeOID = keyType(kinds[n.Space])
		}
		j.Head = append(j.Head, head)
	}
	j.Rewrite = r
	for _, rel := range seen {
		for t := range rel.reaches {
			touched[t] = true
		}
	}
	j.mentions = nil
	for _, at := range indexes(targets) {
		seen = append(seen, targets[at])
	}
	for _, rel := range seen {
		j.mentions = append(j.mentions, mention{rel.name, "", rel})
	}
	j.columns = c.mentioned(s, seen)
	j.Tested, w.Reads, w.Sources = j.columns, j.columns, j.columns
	if target := targets[-1]; target != nil {
		j.Instances = []Instance{{
			Space: target.table.Subject, Table: target.full(), OID: target.oid, Alias: target.name,
			Key: target.key.name, Attnum: target.key.attnum, TypeOID: target.key.typeOID, KeyNullable: target.keyNullable,
		}}
		j.Verb = wrote[-1].Verb
		w.Columns = wrote[-1].Columns
	} else {
		j.Verb, w.Columns = sekisho.Read, set(w.Columns)
		if len(w.Verbs) > 0 {
			j.Verb = w.Verbs[0]
		}
	}
	j.concerns(c, touched)
	j.Write = w
	return ""
}

func indexes(m map[int]*relation) (keys []int) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
