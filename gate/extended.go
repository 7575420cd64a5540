package gate

import (
	"bytes"
	"encoding/binary"
)

// The client's side of the extended protocol: Parse, Bind and Execute.

// typeRefusal is of a parameter whose type runs code as the value is made.
var typeRefusal = &refusal{code: "0A000", reason: "type", text: "the gate cannot see what the type of a parameter does", hint: "Leave the types of parameters to the server."}

// parsedRefusal is of a constant whose type runs code that nobody has read as the
// statement is parsed: before it is bound, and so before it would be recorded and
// stand behind a fence.
var parsedRefusal = &refusal{code: "0A000", reason: "type", text: "the gate cannot see what a type in this statement does while it is parsed", hint: "Send it as a simple query, without Parse."}

// parse is the extended protocol's Parse.
func (q *requests) parse(msg, body []byte) error {
	s := q.s
	name, rest, ok := cut0(body)
	text, params, ok2 := cut0(rest)
	if !ok || !ok2 || len(params) < 2 || len(params) != 2+4*int(binary.BigEndian.Uint16(params)) {
		return malformed('P')
	}
	bare, tail, tags := cutTags(text)
	p := q.plan(bare)
	if p.fill != nil && !p.fill.Fill.Made {
		p = q.fills(p, bare)
	}
	said, p := q.saysOf(p, tags)
	if p.refuse == nil {
		p = s.recordable(s.masked(p, q.t), q.t)
	}
	for types := params[2:]; len(types) > 0 && p.refuse == nil && !s.role.observes(); types = types[4:] {
		if s.g.plans.catalog().RunsCode(binary.BigEndian.Uint32(types)) {
			p = p.refusedWith(typeRefusal)
		}
	}
	if p.refuse == nil && len(p.stmts) == 1 && p.stmts[0].unread && p.stmts[0].judgement.Reason == "type" {
		p = p.refusedWith(parsedRefusal)
	}
	if p.refuse == nil && len(p.stmts) == 1 && !p.stmts[0].offsetTypes(params[2:]) {
		p = p.refusedWith(offsetRefusal)
	}
	if p.refuse == nil && len(p.stmts) == 1 && !p.stmts[0].effect.asText(params[2:]) {
		p = p.refusedWith(statedTypes)
	}
	if p.refuse != nil {
		q.poison(&want{typ: 'P', name: name, plan: p, refuse: p.refuse, said: said})
		return nil
	}
	if p.speak != nil {
		q.speak(name, text, string(params), p, s.setStatement(name, nil))
		return nil
	}
	ps := &prepared{name: name, plan: p, stmt: &stmtPlan{}, tags: tags}
	switch len(p.stmts) {
	case 0:
		ps.stmt.kind = planFree
	case 1:
		ps.stmt = p.stmts[0] // several are the server's to refuse
	}
	if (s.mayAsk(ps.stmt) || p.fill != nil) && len(params) > 2 {
		ps.types = bytes.Clone(params[2:])
	}
	w := &want{typ: 'P', name: name, ps: ps, undo: s.setStatement(name, ps)}
	if p.text != bare {
		b := make([]byte, 0, len(name)+len(p.text)+len(tail)+len(params)+2)
		b = append(append(append(append(append(b, name...), 0), p.text...), tail...), 0)
		msg = appendMessage(nil, 'P', string(append(b, params...)))
	}
	q.send(w, msg)
	if len(p.stmts) == 1 {
		// Execute may come without Describe, and then rows come without a
		// description (P10): the gate asks for its own. Also where it takes the
		// statement for free: names may lie, origins do not.
		q.send(&want{typ: 'h', ps: ps}, appendMessage(nil, 'D', "S"+name+"\x00"))
	}
	return nil
}

// bind is the extended protocol's Bind. Where hidden keys follow the client's
// columns, a list of format codes gets one text code for each.
func (q *requests) bind(msg, body []byte) error {
	s := q.s
	portalName, rest, ok := cut0(body)
	stmtName, rest, ok2 := cut0(rest)
	if !ok || !ok2 || len(rest) < 2 {
		return malformed('B')
	}
	bound := rest
	n := int(binary.BigEndian.Uint16(rest))
	if len(rest) < 2+2*n+2 {
		return malformed('B')
	}
	formats := rest[2 : 2+2*n]
	rest = rest[2+2*n:]
	before := rest
	values := int(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	for range values {
		if len(rest) < 4 {
			return malformed('B')
		}
		size := int32(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		if size < -1 || int(size) > len(rest) {
			return malformed('B')
		}
		if size > 0 {
			rest = rest[size:]
		}
	}
	if len(rest) < 2 {
		return malformed('B')
	}
	codes := int(binary.BigEndian.Uint16(rest))
	if len(rest) != 2+2*codes {
		return malformed('B')
	}
	bound = bound[:len(bound)-len(rest)]
	ps := q.statement(stmtName)
	w := &want{typ: 'B', name: portalName, from: stmtName, ps: ps}
	if ps == nil {
		q.unknown('S', stmtName)
		w.undo = s.setPortal(portalName, nil)
		q.send(w, msg)
		return nil
	}
	po := &portal{ps: ps}
	w.said, _ = q.saysOf(ps.plan, ps.tags)
	if ps.stmt.effect != nil {
		po.texts = valuesOf(bytes.Clone(before))
	}
	s.holds(po, bound)
	if ps.plan.fill != nil {
		po.bound = bytes.Clone(bound)
	}
	others := q.cycle.bound
	q.cycle.bound = true
	if w.refuse = q.mayBind(ps, po, w.said); w.refuse == nil && ps.stmt.skip != nil {
		if po.skip, ok = ps.stmt.offset(formats, valuesOf(before)); !ok {
			w.refuse = offsetRefusal
		}
	}
	if w.refuse != nil {
		q.poison(w)
		return nil
	}
	if ps.stmt.expects != nil {
		if po.expected = ps.stmt.expected(formats, before); po.expected == 0 {
			po.expected = ps.plan.expected()
		}
	}
	for i := range codes {
		po.formats = append(po.formats, int16(binary.BigEndian.Uint16(rest[2+2*i:])))
	}
	if ps.stmt.headed() {
		po.skip = 1
	}
	if hidden := ps.stmt.hiddenFields(); hidden > 0 && codes > 1 {
		grown := make([]byte, 0, len(msg)+2*hidden)
		grown = append(grown, msg...)
		for range hidden {
			grown = append(grown, 0, 0)
		}
		at := len(msg) - 2*codes - 2
		binary.BigEndian.PutUint16(grown[at:], uint16(codes+hidden))
		binary.BigEndian.PutUint32(grown[1:], uint32(len(grown)-1))
		msg = grown
	}
	if ps.stmt.unread {
		if w.refuse = q.fenceCycle(po, others); w.refuse != nil {
			q.poison(w)
			return nil
		}
	}
	w.portal, w.undo = po, s.setPortal(portalName, po)
	q.send(w, msg)
	return nil
}

// valuesOf are the parameters of a well-formed Bind, nil for NULL. b begins with
// their number.
func valuesOf(b []byte) [][]byte {
	values := make([][]byte, binary.BigEndian.Uint16(b))
	b = b[2:]
	for i := range values {
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size >= 0 {
			values[i], b = b[:size:size], b[size:]
		}
	}
	return values
}

// mayBind says why a statement must not be bound now. Binding runs code:
// calls of functions with constant arguments. So what is any-row is recorded
// before.
func (q *requests) mayBind(ps *prepared, po *portal, by []*said) *refusal {
	s := q.s
	if why := s.suspends(ps.plan, by); why != nil {
		return why
	}
	switch ps.stmt.kind {
	case planFree:
		return q.stillFree(ps)
	case planExact:
		return nil // judged again before it is executed, and errors tell nothing
	case planAnyRow:
		if ps.stmt.bounded {
			return q.before(ps, po, by)
		}
		if p := s.recordable(s.g.current(s, ps.plan, q.t), q.t); p.refuse != nil {
			return p.refuse
		}
		po.number = s.number.Add(1)
		return q.recordAnyRow([]*stmtPlan{ps.stmt}, po.number, by)
	}
	return changedRefusal
}

// stillFree says why a statement that was free when it was prepared must not
// run: what it reads has become protected, or what it names means something
// else.
func (q *requests) stillFree(ps *prepared) *refusal {
	s := q.s
	fresh := s.g.current(s, ps.plan, q.t)
	if ps.plan.refers {
		fresh = s.g.planFor(s, ps.plan.original, q.t)
	}
	if fresh.protected || fresh.refuse != nil || fresh.speak != nil {
		return changedRefusal
	}
	return nil
}

// execute is the extended protocol's Execute.
func (q *requests) execute(msg, body []byte) error {
	s := q.s
	name, rest, ok := cut0(body)
	if !ok || len(rest) != 4 {
		return malformed('E')
	}
	po := q.portal(name)
	w := &want{typ: 'E', name: name, portal: po, rows: int32(be.Uint32(rest))}
	if po == nil {
		q.unknown('P', name)
		q.send(w, msg)
		return nil
	}
	w.ps = po.ps
	var stated *plan
	w.said, stated = q.saysOf(po.ps.plan, po.ps.tags)
	if w.refuse = s.suspends(po.ps.plan, w.said); w.refuse != nil {
		q.poison(w)
		return nil
	}
	if stated.refuse == nil && !po.asked {
		if why := s.mayDo(po.ps.stmt.effect, po.texts); why != nil {
			stated = stated.refusedWith(why)
		}
	}
	switch po.ps.stmt.kind {
	case planFree:
		w.refuse = q.stillFree(po.ps)
	case planExact, planAnyRow:
		if po.ps.plan.refers && po.ps.stmt.kind == planExact {
			if again := s.g.planFor(s, po.ps.plan.original, q.t); len(again.stmts) != 1 || again.stmts[0] != po.ps.stmt {
				w.refuse = changedRefusal // the name means another statement by now
				break
			}
		}
		fresh, rules := s.admit(s.g.current(s, po.ps.plan, q.t), false, q.t)
		w.refuse, w.rules = fresh.refuse, rules
		if w.number, po.number = po.number, 0; w.number == 0 {
			w.number = s.number.Add(1)
			if w.refuse == nil {
				w.refuse = q.recordAnyRow([]*stmtPlan{po.ps.stmt}, w.number, w.said)
			}
			if w.refuse == nil && po.ps.stmt.bounded && !po.reached {
				w.refuse = changedRefusal // it was bound as something else
			}
		}
	default:
		w.refuse = changedRefusal
	}
	if w.refuse == nil {
		w.refuse = stated.refuse
	}
	w.label, po.label = po.label, nil
	if w.refuse == nil && po.ps.stmt.unread && (q.fence == nil || q.fence.portal != po) {
		w.refuse = changedRefusal // it was bound in another cycle
	}
	if w.refuse == nil {
		msg, w.refuse = q.executes(w, po.ps.stmt, msg)
	}
	if w.refuse == nil {
		w.refuse = q.cycle.does(po.ps.stmt.effect)
	}
	q.cycle.bound = true
	if w.refuse != nil {
		q.poison(w)
		return nil
	}
	if !po.asked {
		q.does(po.ps.stmt.effect, po.texts)
	}
	if po.ps.sql {
		// No Parse of the client's made it, so none was described.
		q.send(&want{typ: 'h', ps: po.ps, portal: po}, appendMessage(nil, 'D', "P"+name+"\x00"))
	}
	s.applied(po.ps.plan)
	w.encodes = po.ps.plan.encodes
	q.encoded = q.encoded || w.encodes
	if q.copying = po.ps.stmt.copyIn; q.copying {
		q.data = false
	}
	if po.expected != 0 && !po.asked {
		w.foretold = s.foretell(w, po.ps.stmt, po.expected)
	}
	if f := po.ps.plan.fill; f != nil && f.Fill.Made && !po.asked {
		po.asked = true
		return q.executeMaking(w, msg, po)
	}
	msg = po.asks(msg)
	po.asked = true
	if q.fence != nil {
		q.fence.sent = w.rows == 0
	}
	q.send(w, msg)
	if po.ps.stmt.own != nil {
		q.readHead(po.ps.stmt, w.said)
	}
	return nil
}
