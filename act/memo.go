package act

import "sync"

// A Memo keeps the decisions about one statement: requests with the same
// Tables. The zero value is ready. It may be used by many at once.
type Memo struct {
	mu     sync.RWMutex
	policy *Policy // by which known was decided
	known  map[Key]*Decision
}

// More keys than this for one statement come from what a client can choose,
// such as a purpose: then the memo begins anew.
const memoSize = 1024

// Decide is p.Decide, remembered. A new policy forgets what the one before
// decided. Nobody may change the decision.
func (m *Memo) Decide(p *Policy, r *Request) *Decision {
	k := p.Key(r)
	m.mu.RLock()
	var d *Decision
	if m.policy == p {
		d = m.known[k]
	}
	m.mu.RUnlock()
	if d != nil {
		return d
	}
	decided := p.Decide(*r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.policy != p || len(m.known) >= memoSize {
		m.policy, m.known = p, map[Key]*Decision{}
	}
	m.known[k] = &decided
	return &decided
}
