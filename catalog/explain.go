package catalog

import (
	"slices"

	"sekisho"
	"sekisho/stmt"
)

// EXPLAIN shows no row, and tells of many: the planner's estimates are made of
// the commonest values and the bounds of everybody's, and with ANALYZE each
// node of the plan counts the rows that it has met, also those that no answer
// would rest on. So the answer rests on everybody in the tables that it reads.

// explained fills in how an EXPLAIN over protected tables is accounted, or gives
// the reason why it must not pass.
func (c *Catalog) explained(s *stmt.Statement, j *Judgement) string {
	of := s.Inner
	switch of.Kind {
	case stmt.Select, stmt.Insert, stmt.Update, stmt.Delete, stmt.Merge:
	case stmt.Declare: // with ANALYZE its query runs, and no cursor is made
		if of.Inner == nil || of.Inner.Kind != stmt.Select {
			return string(s.Kind)
		}
	case stmt.CreateTableAs:
		if s.Analyze { // it would make the table
			return string(s.Kind)
		}
	default:
		return string(s.Kind)
	}
	var seen []*relation
	writes := false
	for _, r := range s.Relations {
		found := c.find(r)
		if slices.ContainsFunc(found, func(rel *relation) bool { return rel.policy }) {
			return "policy"
		}
		seen = append(seen, found...)
		if writes = writes || r.Written; !r.Written || !s.Analyze {
			continue
		}
		switch {
		case len(found) > 1:
			return "ambiguous_name"
		case len(found) == 0 || !found[0].protected(): // what it reads would go where nobody accounts for it
			return "write_reads"
		case found[0].kind != 'r' && found[0].kind != 'p':
			return "write_view"
		}
	}
	j.columns = c.mentioned(s, seen)
	j.Tested = j.columns
	if s.Analyze && writes {
		// Its rows do not come, and so no keys: it may be anybody's.
		if j.Verb = verb(of); of.Kind == stmt.Select {
			j.Verb = sekisho.Other
			if len(of.Changes) > 0 {
				j.Verb = verb(of.Changes[0].Of)
			}
		}
		j.Kind, j.Write = Plain, &Write{AnyRow: true, Blind: true, Columns: c.destroyed(j)}
		return ""
	}
	for _, space := range j.Spaces {
		j.Whole = append(j.Whole, Named{Space: space})
	}
	for _, rel := range seen {
		j.mentions = append(j.mentions, mention{rel.name, "", rel})
	}
	j.Kind = Told
	return ""
}

// HowItRuns is the judgement of an EXPLAIN of what a name stands for, of which
// this is the judgement.
func (j Judgement) HowItRuns() Judgement {
	how := Judgement{Kind: Told, Verb: sekisho.Read, Spaces: j.Spaces, Tables: j.Tables, Categories: j.Categories, catalog: j.catalog, login: j.login, masked: j.masked}
	how.columns = j.AskedColumns()
	how.Tested = how.columns
	for _, space := range j.Spaces {
		how.Whole = append(how.Whole, Named{Space: space})
	}
	for _, name := range j.Tables {
		if r := j.catalog.named(name); r != nil {
			how.mentions = append(how.mentions, mention{r.name, "", r})
		}
	}
	return how
}
