package gate

// What the names of prepared statements and portals mean. The client side goes
// by what it has sent, the server side by what the server has confirmed.

// statementNamed is the prepared statement of this name, whether a Parse or an
// SQL PREPARE made it. Where both did and one of them is over protected data,
// DEALLOCATE may have come between, so it counts as that one. Called with names
// locked.
func (s *session) statementNamed(name string) *prepared {
	ps, sp := s.stmts[name], s.hidden["prepare "+name]
	if sp == nil || ps != nil && sp.kind == planFree {
		return ps
	}
	return &prepared{name: name, stmt: sp, sql: true, plan: &plan{cat: s.g.plans.catalog(), stmts: []*stmtPlan{sp}, protected: sp.kind != planFree}}
}

// portalNamed does the same for portals and cursors.
func (s *session) portalNamed(name string) *portal {
	po, sp := s.portals[name], s.hidden["declare "+name]
	if sp == nil || po != nil && sp.kind == planFree {
		return po
	}
	return &portal{ps: &prepared{stmt: sp, sql: true, plan: &plan{cat: s.g.plans.catalog(), stmts: []*stmtPlan{sp}, protected: sp.kind != planFree}}}
}

// setStatement names a prepared statement, or forgets it, and gives the way
// back.
func (s *session) setStatement(name string, ps *prepared) func() {
	s.names.Lock()
	defer s.names.Unlock()
	before := s.stmts[name]
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

// confirmed: the portal that the server runs is the one that the client side
// took it for.
func (r *replies) confirmed(w *want) bool {
	po := w.portal
	if po == nil {
		return true // nothing but an error may come
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
	case taken.stmt.kind == planAnyRow:
		return true // every customer is in the ledger already
	case real == nil:
		return taken.sql
	}
	return taken.stmt.kind == planFree && (real.stmt == nil || real.stmt.kind == planFree)
}
