package gate

import "fmt"

// Where the client side must not run ahead of the server: it waits until the
// server has answered what it was sent.

// settle waits until what was sent is answered. Flush makes the server say what
// it has: without it, it may keep that back until Sync. copying: what it says
// is that it reads a COPY.
func (q *requests) settle() (copying bool) {
	if !q.s.wants.idle() {
		q.up = appendMessage(q.up, 'H', "")
		q.flush()
	}
	if q.s.wants.idle() {
		return q.s.wants.settle()
	}
	q.t.wait(func() { copying = q.s.wants.settle() })
	return copying
}

// afterCopy holds back what follows a COPY FROM STDIN until its outcome is
// known. While the server reads one it takes nothing but the copy's data and
// end; if the COPY has failed it throws away what comes up to Sync. Which of
// the two, only the server knows.
func (q *requests) afterCopy(typ byte) error {
	switch typ {
	case 'c', 'f', 'H', 'S', 'X':
		return nil
	}
	if !q.copying {
		return nil
	}
	if q.settle() {
		return fmt.Errorf("%w: unexpected message of type %c during COPY from stdin", errClientProtocol, typ)
	}
	q.copying, q.data, q.copies = false, false, nil
	return nil
}

// statement is the prepared statement that a name means, or nil: the server
// knows none either.
func (q *requests) statement(name string) *prepared {
	look := func() *prepared {
		q.s.names.Lock()
		defer q.s.names.Unlock()
		return q.s.statementNamed(name)
	}
	if ps := look(); ps != nil && !q.s.wants.uncertain('S', name) {
		return ps
	}
	q.settle()
	return look()
}

// portal does the same for portals and cursors.
func (q *requests) portal(name string) *portal {
	look := func() *portal {
		q.s.names.Lock()
		defer q.s.names.Unlock()
		return q.s.portalNamed(name)
	}
	if po := look(); po != nil && !q.s.wants.uncertain('P', name) {
		return po
	}
	q.settle()
	return look()
}

// encodingRefusal is of bytes that could be one letter for the gate and another
// for the server.
var encodingRefusal = &refusal{code: "0A000", reason: "encoding", text: "the gate reads letters outside ASCII in UTF-8 only", hint: "Set client_encoding to UTF8, or send such values as parameters."}

// plan is the plan for a text, if the gate and the server read the same
// letters in it.
func (q *requests) plan(text string) *plan {
	s := q.s
	for i := range len(text) {
		if text[i] < 0x80 {
			continue
		}
		if s.wants.isForeign() {
			q.settle()
			if q.encoded || !s.utf8.Load() {
				return (&plan{cat: s.g.plans.catalog(), original: text}).refusedWith(encodingRefusal)
			}
		}
		break
	}
	return s.g.planFor(s, text, q.t)
}

// speak lets the server say what is wrong with a text that the gate cannot
// judge. The server reads it without running it, under a name that no client
// has; if it finds nothing wrong, it is told to forget it, and then to fail, so
// that the gate's own reason stands. params is the end of the Parse message.
func (q *requests) speak(name, text, params string, p *plan, undo func()) {
	own := "sekisho_speak"
	if name == "" {
		own = "" // so that the client's unnamed statement ends, as it would have
	}
	q.send(&want{typ: 'P', name: own, speak: p.speak, undo: undo}, appendMessage(nil, 'P', own+"\x00"+text+"\x00"+params))
	q.send(&want{typ: 'C', kind: 'S', name: own, own: true}, appendMessage(nil, 'C', "S"+own+"\x00"))
	q.send(&want{typ: 'P', plan: p, refuse: p.speak, late: true}, appendMessage(nil, 'P', own+"\x00"+poisonText+"\x00\x00\x00"))
}
