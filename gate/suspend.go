package gate

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Who is shut out for the time being, by orders of containment. What is in
// force is one immutable value behind one pointer: putting another in its place
// is the whole change, whoever reads and writes meanwhile.

// A Suspension is everything that is shut at one time. The numbers are those of
// the orders, for what a client gets to read. It is not to be changed once it
// was given to Suspend.
type Suspension struct {
	Endpoints  map[string]uint64
	Addresses  []netip.Prefix // of the endpoints: a client from there that proves to be no other terminal is taken for one of them
	Principals map[uint32]uint64
	Roles      map[string]uint64
	Tables     map[string]uint64 // as the catalog names them, with their schema
	Contact    string            // whom to ask: stands in the hint

	single map[netip.Addr]bool // of Addresses
	wider  []netip.Prefix
}

// forTheSession: somebody is shut out as a whole.
func (su *Suspension) forTheSession() bool {
	return len(su.Endpoints)+len(su.Addresses)+len(su.Principals)+len(su.Roles) > 0
}

// Suspend puts another suspension in place of the one in force; nil gives
// everything back. On return nobody whom it shuts out gets in, and no statement
// that it forbids begins; sessions of theirs are ending, and no row that was
// read from the server afterwards goes out. It gives how many sessions it ended.
func (g *Gate) Suspend(su *Suspension) (ended int) {
	if su == nil {
		su = &Suspension{}
	}
	su.single = make(map[netip.Addr]bool, len(su.Addresses))
	su.wider = nil
	for _, p := range su.Addresses {
		if p.IsSingleIP() {
			su.single[p.Addr().Unmap()] = true
		} else {
			su.wider = append(su.wider, p)
		}
	}
	g.suspended.Store(su)
	if !su.forTheSession() {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if why := su.shuts(s); why != nil && s.contain(why) {
			ended++
		}
	}
	return ended
}

// Suspended is what is in force, and how many sessions are there that it shuts
// out: those that are not ending, or have not ended in time.
func (g *Gate) Suspended() (su *Suspension, there int) {
	su = g.suspended.Load()
	if su == nil {
		return &Suspension{}, 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if su.shuts(s) == nil {
			continue
		}
		if e := s.ending.Load(); e == nil || !e.since.IsZero() && time.Since(e.since) > endsWithin {
			there++
		}
	}
	return su, there
}

// endsWithin is how long a session that was ended may take: its last words have
// two seconds, twice, and a cancel upstream five.
const endsWithin = 15 * time.Second

// contain ends the session because it is shut out. False: it was ending.
// Gate.mu is held.
func (s *session) contain(why *refusal) bool {
	if !s.ending.CompareAndSwap(nil, &ending{reason: "contained", why: why, since: time.Now()}) {
		return false
	}
	if !s.relays { // there, nobody knows where a message ends
		s.out.silence()
	}
	s.shut()
	return true
}

// shuts says why a whole session is shut out; nil if it is not.
func (su *Suspension) shuts(s *session) *refusal {
	return su.shutsWho(s.principal, s.roleName, s.opened.Endpoint, s.opened.Verified, s.opened.Address)
}

func (su *Suspension) shutsWho(principal uint32, role, endpoint string, verified bool, from netip.Addr) *refusal {
	if n, ok := su.Endpoints[endpoint]; ok {
		return su.closed("this terminal", n)
	}
	if n, ok := su.Principals[principal]; ok && principal != 0 {
		return su.closed("this account", n)
	}
	if n, ok := su.Roles[role]; ok {
		return su.closed("this role", n)
	}
	if !verified && from.IsValid() && (su.single[from.Unmap()] || slices.ContainsFunc(su.wider, func(p netip.Prefix) bool { return p.Contains(from.Unmap()) })) {
		return su.closed("the terminal at this address", 0)
	}
	return nil
}

// closed is what a client reads whose session ends, or does not begin. Programs
// try again after most errors of connections; after 57P01 too, and then they
// meet 28000.
func (su *Suspension) closed(what string, order uint64) *refusal {
	return &refusal{code: "57P01", reason: "contained", text: "terminating connection: " + what + " is cut off" + byOrder(order), hint: su.hint()}
}

func byOrder(order uint64) string {
	if order == 0 {
		return " by an order of containment"
	}
	return fmt.Sprintf(" by order %d", order)
}

func (su *Suspension) hint() string {
	if su.Contact != "" {
		return "Do not try another way in. " + su.Contact
	}
	return "Do not try another way in: ask the incident response team."
}

// admits says why a client that has said who it is does not get in.
func (g *Gate) admits(s *session, a *arrival) *startupError {
	su := g.suspended.Load()
	if su == nil {
		return nil
	}
	why := su.shutsWho(s.principal, s.roleName, a.endpoint, a.verified, a.address)
	if why == nil {
		return nil
	}
	return &startupError{"28000", why.text[len("terminating connection: "):], why.hint}
}

// statement says why one statement over protected data must not run, or run on: what it is over is
// shut, or the person or the terminal that a program makes it for is.
func (su *Suspension) statement(sp *stmtPlan, by *said) *refusal {
	if sp == nil || sp.kind == planFree {
		return nil // a program must be able to say that it works for somebody else now
	}
	if by != nil && by.behalf != nil && su.forTheSession() {
		b := by.behalf
		if why := su.shutsWho(b.Principal, "", b.Endpoint, true, netip.Addr{}); why != nil {
			return &refusal{code: "42501", reason: "contained", text: "what this is done for may not be: " + why.text[len("terminating connection: "):], hint: why.hint}
		}
	}
	if len(su.Tables) == 0 {
		return nil
	}
	if len(sp.judgement.Tables) == 0 { // it may be over anything
		for _, n := range su.Tables {
			return su.shutTable("a table that this may touch", sp, n)
		}
	}
	for _, t := range sp.judgement.Tables {
		if n, ok := su.Tables[t]; ok {
			return su.shutTable("table "+t, sp, n)
		}
	}
	if sp.written == nil {
		return nil
	}
	for _, carried := range sp.written.carried { // what its foreign keys change or destroy
		for _, t := range carried.judgement.Tables {
			if n, ok := su.Tables[t]; ok {
				return su.shutTable("table "+t+", which this carries on into,", carried, n)
			}
		}
	}
	return nil
}

func (su *Suspension) shutTable(what string, sp *stmtPlan, order uint64) *refusal {
	return &refusal{code: "42501", reason: "contained", text: what + " is shut" + byOrder(order), hint: su.hint(), tables: sp.judgement.Tables}
}

// perStatement: single statements of the session may be shut out.
func (su *Suspension) perStatement(s *session) bool {
	return su != nil && (len(su.Tables) > 0 || s.speaks.any() && su.forTheSession())
}

// suspends is asked before the statements of a text go upstream.
func (s *session) suspends(p *plan, by []*said) *refusal {
	su := s.g.suspended.Load()
	if !su.perStatement(s) {
		return nil
	}
	for i, sp := range p.stmts {
		var who *said
		if len(by) > 0 {
			who = by[min(i, len(by)-1)]
		}
		if why := su.statement(sp, who); why != nil {
			return why
		}
	}
	return nil
}

// shutting is what the server side keeps of the suspension in force: it looks
// at it once for each piece that it reads, and at single rows only while
// statements are shut out.
type shutting struct {
	seen    *Suspension
	by      *Suspension // nil: no single statement of this session is
	cleared *want       // the statement that was found not to be; and which of its text
	at      int
}

// look is called for each piece read from the server. False: the session is
// over, and nothing more of it goes out.
func (r *replies) look() bool {
	if su := r.s.g.suspended.Load(); su != r.shut.seen {
		r.shut = shutting{seen: su}
		if su.perStatement(r.s) {
			r.shut.by = su
		}
	}
	e := r.s.ending.Load()
	return e == nil || e.since.IsZero()
}

// rowShut says why a row of w must not go out.
func (r *replies) rowShut(w *want) *refusal {
	if w == r.shut.cleared && w.at == r.shut.at {
		return nil
	}
	if why := r.shut.by.statement(w.statement(), w.by()); why != nil {
		return why
	}
	r.shut.cleared, r.shut.at = w, w.at
	return nil
}

// finish reads a relayed message to its end, so that an error of the gate's own
// can follow it. Whatever does not come at once is not waited for.
func (s *session) finish(f *framer, t *strand) bool {
	const most = 1 << 20
	if d, ok := s.server.(interface{ SetReadDeadline(time.Time) error }); ok {
		d.SetReadDeadline(time.Now().Add(time.Second))
	}
	for !f.between() && f.left <= most {
		need := int(f.left)
		if need == 0 {
			need = len(f.head) - f.have
		}
		c := newChunk(need)
		n, err := s.server.Read(c.buf[:need])
		if n > 0 {
			f.feed(c.buf[:n], 0)
			if c.buf = c.buf[:n]; s.out.put(c, nil, t) != nil {
				return false
			}
		} else {
			c.recycle()
		}
		if err != nil {
			break
		}
	}
	return f.between()
}

// silence leaves out everything that waits for the client and of which no byte
// has gone, up to the session's last words.
func (o *outbox) silence() {
	o.mu.Lock()
	o.silent = true
	o.mu.Unlock()
}
