package gate

import "sekisho/catalog"

// What the names of prepared statements and portals mean. The client side goes
// by what it has sent, the server side by what the server has confirmed.

// byName is what SQL-level PREPARE or DECLARE gave a name to.
type byName struct {
	text string // all that was sent with it
	cat  *catalog.Catalog
	plan *stmtPlan
	// several: it may mean another protected statement than plan, to a server
	// that did not take the one or the other.
	several bool
}

// meantMore: what had the name before, or nil, may still be what the server
// runs by it, and is not the same as sp.
func (b *byName) meantMore(text string, sp *stmtPlan) bool {
	return b != nil && (b.several || b.plan.kind != planFree && (b.text != text || b.plan.sent != sp.sent))
}

// nameRefusal is of a name that may mean another than it says: the server cuts
// it, or has it in other letters.
var nameRefusal = &refusal{code: "42622", reason: "protocol_name", text: "the gate takes names of prepared statements and portals of at most 63 ASCII characters", hint: "Name them in a shorter way, or leave the names to the driver."}

// named says whether the names in a message mean to the server what they say.
// If not, the message is refused.
func (q *requests) named(typ byte, body []byte) (ok bool, err error) {
	names := 1
	switch typ {
	case 'D', 'C':
		body = body[min(1, len(body)):]
	case 'B':
		names = 2
	case 'P', 'E':
	default:
		return true, nil
	}
	for range names {
		name, rest, ok := cut0(body)
		if !ok {
			return false, malformed(typ)
		}
		if len(name) > 63 || !ascii([]byte(name)) {
			q.poison(&want{typ: 'P', plan: emptyPlan, refuse: nameRefusal})
			return false, nil
		}
		body = rest
	}
	return true, nil
}

// unknown makes a name mean nothing to the server that means nothing to the
// gate: else the server could still have the statement of a Query that the gate
// ran in pieces and that failed. That there is none, the server then says
// itself. kind is S or P, as in Close.
func (q *requests) unknown(kind byte, name string) {
	q.send(&want{typ: 'C', kind: kind, name: name, own: true}, appendMessage(nil, 'C', string(kind)+name+"\x00"))
}

// longestName is that of a name which is the same in SQL as in the protocol:
// the server cuts longer ones, and differently.
const longestName = 60

// mostNames is how many names of a session the gate remembers for good.
const mostNames = 10_000

// given notes that Parse or Bind gave this name, or that Close took it. Called
// with names locked.
func (s *session) given(kind, name string) {
	if len(name) > 0 && len(name) <= longestName && len(s.ever) < mostNames {
		if s.ever == nil {
			s.ever = map[string]bool{}
		}
		s.ever[kind+name] = true
	}
}

// onlySQL: Parse or Bind has never given this name, so that it means what SQL
// gave it, or nothing. Called with names locked.
func (s *session) onlySQL(kind, name string) bool {
	return len(name) <= longestName && len(s.ever) < mostNames && !s.ever[kind+name]
}

// hiddenPlan is what SQL gave this name, or nil. Called with names locked.
func (s *session) hiddenPlan(kindAndName string) *stmtPlan {
	if h := s.hidden[kindAndName]; h != nil {
		return h.plan
	}
	return nil
}

// judgeNamesAgain judges what SQL gave names to by today's catalog, if that is
// another. What would not be let through now has the plan of kind 0, which
// never runs. Called by the client side, which alone gives such names.
func (s *session) judgeNamesAgain(t *strand) {
	cat := s.catalog()
	if s.namesCat == cat || len(s.hidden) == 0 {
		return
	}
	s.namesCat = cat
	for kindAndName, h := range s.hidden {
		if h.cat == cat {
			continue
		}
		fresh := &stmtPlan{}
		var p *plan
		if t.wait(func() { p, _ = s.g.makePlan(s, h.text, h.plan.masks) }); p.refuse == nil && p.speak == nil {
			for _, sp := range p.gives {
				if sp.names == kindAndName && sp.sent == h.plan.sent {
					fresh = sp
					if sp.own != nil {
						sp.own.read, sp.tail.read = h.plan.own.read, h.plan.own.read
					}
				}
			}
		}
		if h.plan.kind == planAnyRow {
			fresh = h.plan // it once was, and stays so
		}
		s.names.Lock()
		s.hidden[kindAndName] = &byName{text: h.text, cat: cat, plan: fresh, several: h.several}
		s.names.Unlock()
	}
}

// statementNamed is the prepared statement of this name, whether a Parse or an
// SQL PREPARE made it. Where both have, and SQL over protected data, the server
// may have refused either, and what it runs could be a write: nothing is run by
// that name, but in observe mode, where it is any-row before it runs. Called
// with names locked.
func (s *session) statementNamed(name string) *prepared {
	ps, sp := s.stmts[name], s.hiddenPlan("prepare "+name)
	if sp == nil || ps != nil && sp.kind == planFree {
		return ps
	}
	if sp.kind != planFree && !s.role.observes() && !s.onlySQL("prepare ", name) || sp.bounded && s.hidden["prepare "+name].several {
		sp = &stmtPlan{}
	}
	return &prepared{name: name, stmt: sp, sql: true, plan: &plan{cat: s.g.plans.catalog(), stmts: []*stmtPlan{sp}, protected: sp.kind != planFree, masks: sp.masks}}
}

// portalNamed does the same for portals and cursors.
func (s *session) portalNamed(name string) *portal {
	po, sp := s.portals[name], s.hiddenPlan("declare "+name)
	if sp == nil || po != nil && sp.kind == planFree {
		return po
	}
	if sp.kind != planFree && !s.role.observes() && !s.onlySQL("declare ", name) || sp.bounded && s.hidden["declare "+name].several {
		sp = &stmtPlan{}
	}
	if sp.tail != nil {
		sp = sp.tail
	}
	return &portal{ps: &prepared{stmt: sp, sql: true, plan: &plan{cat: s.g.plans.catalog(), stmts: []*stmtPlan{sp}, protected: sp.kind != planFree, masks: sp.masks}}}
}

// setStatement names a prepared statement, or forgets it, and gives the way
// back.
func (s *session) setStatement(name string, ps *prepared) func() {
	s.names.Lock()
	defer s.names.Unlock()
	before := s.stmts[name]
	s.given("prepare ", name)
	put := func(v *prepared) {
		if v == nil {
			delete(s.stmts, name)
		} else {
			s.stmts[name] = v
		}
	}
	put(ps)
	return func() {
		s.names.Lock()
		defer s.names.Unlock()
		if s.stmts[name] == ps {
			put(before)
		}
	}
}

// setPortal does the same for a portal.
func (s *session) setPortal(name string, po *portal) func() {
	s.names.Lock()
	defer s.names.Unlock()
	before := s.portals[name]
	s.given("declare ", name)
	put := func(v *portal) {
		if v == nil {
			delete(s.portals, name)
		} else {
			s.portals[name] = v
		}
	}
	put(po)
	return func() {
		s.names.Lock()
		defer s.names.Unlock()
		if s.portals[name] == po {
			put(before)
		}
	}
}

// confirm notes what a name means to the server from here on.
func (r *replies) confirm(w *want) {
	switch w.typ {
	case 'P':
		r.stmts[w.name] = w.ps
	case 'B':
		r.portals[w.name] = w.portal
		if w.portal != nil {
			w.portal.strange = !interchangeable(r.stmts[w.from], w.ps)
		}
	case 'C':
		if w.kind == 'S' {
			delete(r.stmts, w.name)
		} else {
			delete(r.portals, w.name)
		}
	}
}

// sure: the gate knows which statement w is about, and the server has
// confirmed that it is that one. What is not sure is protected.
func (r *replies) sure(w *want) bool {
	switch w.typ {
	case 'Q':
		return w.plan != nil
	case 'B':
		return w.ps != nil && interchangeable(r.stmts[w.from], w.ps)
	case 'E':
		return w.portal != nil && r.confirmed(w)
	case 'D':
		return w.ps != nil
	}
	return true
}

// guarded: the reply may hold customers' values in any of its fields.
func (r *replies) guarded(w *want) bool {
	switch w.typ {
	case 'S', 'c', 'C', 'F':
		return false // about no statement
	}
	if !r.sure(w) {
		return true
	}
	sp := w.statement()
	if sp == nil && w.plan != nil {
		return w.plan.protected
	}
	return sp == nil || sp.kind != planFree
}

// tells: errors and notices that come now may hold customers' values, or tell
// of them by coming, though the rows do not: a declared view leaves some out.
func (r *replies) tells(w *want) bool {
	sp := w.statement()
	return r.guarded(w) || sp != nil && sp.judgement.LeavesOut && w.typ != 'P'
}

// confirmed: the portal that the server runs is the one that the client side
// took it for.
func (r *replies) confirmed(w *want) bool {
	po := w.portal
	if po == nil {
		return false // nothing but an error may come
	}
	if po.strange {
		return false
	}
	real := r.portals[w.name]
	if real == po {
		return true
	}
	var ps *prepared
	if real != nil {
		ps = real.ps
	}
	return interchangeable(ps, po.ps)
}

// interchangeable: where the server runs real, the gate may go by taken.
func interchangeable(real, taken *prepared) bool {
	switch {
	case real == taken:
		return true
	case taken.stmt == nil:
		return false
	case taken.stmt.kind == planAnyRow && !taken.stmt.bounded:
		return true // every customer is in the ledger already
	case real == nil:
		return taken.sql
	}
	return taken.stmt.kind == planFree && real.stmt != nil && real.stmt.kind == planFree
}
