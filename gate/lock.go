package gate

import "sekisho"

// LOCK TABLE of a protected table shows nothing, but holds up others, and how
// long it waits tells that somebody else is there. So the policy is asked about
// it, as about a read, or about an update where it locks as a write does, and
// that it was done is in the ledger before it is.

// recordLock appends, durably, that a statement locks protected tables.
func (s *session) recordLock(sp *stmtPlan, number uint64, by *said) *refusal {
	var bodies []sekisho.Body
	for _, space := range sp.judgement.Spaces {
		seq, err := s.g.shape(sp, sp.judgement.Verb, space, nil, 0)
		if err != nil {
			return ledgerRefusal(err)
		}
		bodies = append(bodies, &sekisho.Access{Session: s.id.Load(), Shape: seq, Number: number, Class: sekisho.Exact, Purpose: by.purpose})
	}
	if _, err := s.g.append(s.explain(by, number, bodies...)...); err != nil {
		return ledgerRefusal(err)
	}
	return nil
}
