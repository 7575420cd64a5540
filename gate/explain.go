package gate

import (
	"slices"

	"sekisho/catalog"
	"sekisho/stmt"
)

// EXPLAIN of EXECUTE shows how what PREPARE gave a name to would run, so it
// rests on everybody, as EXPLAIN of the statement itself does. What comes does
// not show which statement it was, as rows do by their head: so the name must
// have meant one protected statement only, for the whole session.

// namedExplained is what an EXPLAIN of of does, if that runs what the session's
// own PREPARE gave a name to; nil if it must not be.
func (s *session) namedExplained(of *stmt.Statement) *stmtPlan {
	if of == nil || of.Kind != stmt.Execute {
		return nil
	}
	sp := s.named(of)
	if sp == nil || sp.kind == planFree || sp.kind == planAnyRow {
		return sp // it tells nothing of anybody, or could be anybody's before it runs
	}
	s.names.Lock()
	defer s.names.Unlock()
	if h := s.hidden[string(stmt.Prepare)+" "+of.Object]; h == nil || h.several || h.plan.free || sp.judgement.Kind != catalog.Plain && sp.judgement.Kind != catalog.Told || sp.judgement.Write != nil {
		return nil
	}
	if sp.how == nil {
		j := sp.judgement.HowItRuns()
		sp.how = &stmtPlan{kind: planExact, judgement: j, statement: sp.statement, whole: j.Whole, asked: sp.asked, shown: sp.asked, masks: sp.masks, shapes: map[string]uint64{}}
	}
	return sp.how
}

// givesAnew: st explains what a name stands for that an earlier statement of the
// same text has given, maybe after a DEALLOCATE: what it meant before says
// nothing.
func (p *plan) givesAnew(st *stmt.Statement) bool {
	return st.Kind == stmt.Explain && st.Inner != nil && slices.ContainsFunc(p.gives, func(sp *stmtPlan) bool {
		return sp.names == string(stmt.Prepare)+" "+st.Inner.Object
	})
}
