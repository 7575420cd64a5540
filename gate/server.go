package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"sekisho"
)

// The server side of a session: reads replies, matches them with the messages
// that caused them, and makes chunks of what may go to the client.

// replies is the buffer that the server side reads into. Output is made in
// place: buf[:w] has been decided on, buf[scan:n] has been read and not looked
// at. What is left out or shortened makes the gap between.
type replies struct {
	s       *session
	t       *strand
	c       *chunk
	w       int
	scan    int
	n       int
	pass    int     // bytes of a large unprotected message that are still to come
	stating stating // what the session has stated, as the server has it
	midRow  bool    // the last message was a row: more will follow
	rows    *want   // what that row answered, which is what the next one answers
	fd      int     // of the upstream socket, to ask whether more is there; -1 unknown

	cutting  bool          // the rest of this cycle is left out: the client has been told of an error
	effects  bool          // of that cycle: something may have been changed by it
	changed  bool          // in the running cycle something may have been changed
	stopping *time.Timer   // asks the server to stop what was cut
	stopped  chan struct{} // closed when that has been done

	wrote   *stmtPlan            // the last write to protected tables in this transaction, nil if there was none
	stmts   map[string]*prepared // as the server has confirmed them
	portals map[string]*portal

	open []*run // accesses that have begun and not ended

	shut     shutting     // statements that may not go on
	accounts accounts     // the latest, which nearly always are the next ones too
	named    []int        // how many customers each entry of the running access had before the row that is being read
	at       sekisho.Time // of the bytes at hand, once somebody has asked; 0 before
}

var be = binary.BigEndian

func (s *session) serverLoop(t *strand) error {
	r := &replies{s: s, t: t, stating: s.first.clone(), stmts: map[string]*prepared{}, portals: map[string]*portal{}, c: newChunk(smallChunk), fd: rawFD(s.server)}
	defer func() {
		if r.stopping != nil {
			r.stopping.Stop() // whoever ends the session cancels what runs
		}
		s.wants.end()
		r.c.recycle()
		s.unended = r.open
		s.saidWhy = s.saidWhy || r.pass > 0 // in the middle of a message there is no place for words
	}()
	for {
		if !r.look() {
			return errServerGone
		}
		if err := r.scanMessages(); err != nil {
			r.emit(0)
			return err
		}
		if r.w > 0 && r.shouldEmit() {
			if err := r.emit(0); err != nil {
				return err
			}
		}
		if r.n == len(r.c.buf) {
			if err := r.makeRoom(len(r.c.buf) * 2); err != nil {
				return err
			}
		}
		k, err := s.server.Read(r.c.buf[r.n:])
		r.n += k
		r.at = 0
		if err != nil && k == 0 {
			r.emit(0)
			if errors.Is(err, io.EOF) {
				return errServerGone
			}
			return fmt.Errorf("%w: %w", errServerGone, err)
		}
		// A read that fills a small buffer is the sign of a long answer.
		if r.n == len(r.c.buf) && len(r.c.buf) < chunkBytes && r.w == 0 {
			if err := r.makeRoom(chunkBytes); err != nil {
				return err
			}
		}
	}
}

func isUTF8(encoding string) bool { return encoding == "UTF8" || encoding == "UNICODE" }

// scanMessages deals with every whole message at hand.
func (r *replies) scanMessages() error {
	for {
		if r.pass > 0 {
			k := min(r.pass, r.n-r.scan)
			from := r.scan
			r.scan += k
			r.pass -= k
			if !r.cutting {
				r.keep(from, r.scan)
			}
			if r.pass > 0 {
				return nil
			}
		}
		if r.n-r.scan < 5 {
			return nil
		}
		typ := r.c.buf[r.scan]
		length := be.Uint32(r.c.buf[r.scan+1:])
		if length < 4 || length > 1<<30 {
			return fmt.Errorf("%w: a message of %d bytes", errServerProtocol, length)
		}
		size := int(length) + 1
		if r.n-r.scan < size {
			if size <= len(r.c.buf)-r.scan {
				return nil // there is room: read on
			}
			if why := r.stands(r.s.wants.first(), typ); why != nil {
				if err := r.cut(r.s.wants.first(), why); err != nil {
					return err
				}
			}
			if (typ == 'D' || typ == 'd' || typ == 'V') && r.freeRows(typ) {
				r.pass = size
				r.midRow = true
				continue
			}
			if size > r.s.g.conf.Limits.Row {
				if typ != 'D' && typ != 'd' {
					return fmt.Errorf("%w: a message of %d bytes", errServerProtocol, size)
				}
				why := &refusal{code: "54000", reason: "row_size", text: fmt.Sprintf("a row of protected data has %d bytes, the gate's limit is %d", size, r.s.g.conf.Limits.Row), hint: "Select fewer columns, or raise limits: row in the gate's config."}
				if err := r.cut(r.s.wants.first(), why); err != nil {
					return err
				}
				r.pass = size // left out, as all of a cut cycle
				continue
			}
			return r.makeRoom(size)
		}
		if r.rows != nil && (typ == 'D' || typ == 'd') && r.takeTogether(r.rows, typ) {
			continue
		}
		from := r.scan
		r.scan += size
		if err := r.message(typ, from, r.scan); err != nil {
			return err
		}
	}
}

// freeRows: rows that come now belong to a statement over nothing protected,
// by the gate's plan and by the server's description.
func (r *replies) freeRows(typ byte) bool {
	w := r.s.wants.first()
	if w != nil && typ == 'V' {
		return w.typ == 'F'
	}
	if w == nil || r.cutting || w.typ != 'Q' && w.typ != 'E' || r.guarded(w) {
		return false
	}
	if typ == 'd' {
		return w.copyOut
	}
	d := r.descOf(w)
	return d != nil && d.refuse == nil && !d.anyRow
}

// statement is the plan of the statement whose reply is being read.
func (w *want) statement() *stmtPlan {
	switch {
	case w.plan != nil:
		if len(w.plan.stmts) == 1 && w.plan.stmts[0].blind {
			return w.plan.stmts[0] // of how many statements, nobody knows
		}
		if w.at < len(w.plan.stmts) {
			return w.plan.stmts[w.at]
		}
	case w.portal != nil:
		return w.portal.ps.stmt
	case w.ps != nil:
		return w.ps.stmt
	}
	return nil
}

// message deals with one whole message, buf[from:to].
func (r *replies) message(typ byte, from, to int) error {
	s := r.s
	body := r.c.buf[from+5 : to]
	r.midRow = typ == 'D' || typ == 'd'

	switch typ { // what may come at any time
	case 'S':
		name, rest, _ := cut0(body)
		value, _, _ := cut0(rest)
		if !s.safe(name, value) {
			return errUnsafe
		}
		if why := r.stands(s.wants.first(), typ); why != nil {
			return r.cut(s.wants.first(), why)
		}
		r.keep(from, to)
		return nil
	case 'A':
		if s.role.observes() {
			r.keep(from, to)
			return nil
		}
		// Whoever notifies may put customers' values into the payload.
		if len(body) < 4 {
			return fmt.Errorf("%w: a notification of %d bytes", errServerProtocol, len(body))
		}
		channel, _, _ := cut0(body[4:])
		return r.insert(appendMessage(nil, 'A', string(body[:4])+channel+"\x00\x00"))
	case 'N':
		if w := s.wants.first(); w != nil && r.tells(w) {
			if !s.role.observes() {
				return nil // that it came, and how often, can tell as much as its words
			}
			return r.insert(redact(nil, 'N', append([]byte(nil), body...), 0, 0))
		} else if why := r.stands(w, typ); why != nil {
			return r.cut(w, why)
		}
		r.keep(from, to)
		return nil
	}

	w := r.rows
	if r.rows = nil; w == nil || typ != 'D' && typ != 'd' {
		w = s.wants.first()
	}
	if typ == 'E' {
		return r.errorReply(w, from, to)
	}
	if w == nil {
		return fmt.Errorf("%w: a message of type %q that nobody asked for", errServerProtocol, typ)
	}
	wrong := func() error {
		return fmt.Errorf("%w: a reply of type %q to a message of type %q", errServerProtocol, typ, w.typ)
	}
	pass := func() error {
		if !r.cutting {
			r.keep(from, to)
		}
		return nil
	}
	if w.typ == 'E' && !w.seen {
		w.seen = true
		if !r.confirmed(w) && !r.cutting {
			if typ == 'G' {
				return fmt.Errorf("%w: it reads a COPY for another statement", errServerProtocol)
			}
			if err := r.cut(w, changedRefusal); err != nil {
				return err
			}
			body = r.c.buf[:0] // moved, and of no more use
		}
	}
	sp := w.statement()
	if why := r.stands(w, typ); why != nil {
		body = append([]byte(nil), body...)
		if err := r.cut(w, why); err != nil {
			return err
		}
	}
	switch typ {
	case 'Z':
		if w.typ != 'Q' && w.typ != 'S' && w.typ != 'F' || len(body) != 1 {
			return wrong()
		}
		if w.typ == 'Q' && w.plan != nil && w.refuse == nil && !w.failed && w.statement() != nil && !w.statement().blind {
			return fmt.Errorf("%w: it is ready before it has answered", errServerProtocol)
		}
		r.statesReady(body[0])
		s.status.Store(int32(body[0]))
		s.wants.pop()
		s.wants.encoding(s.utf8.Load(), body[0] == 'I')
		if w.own {
			return r.cycleEnds(from, from, body[0])
		}
		return r.cycleEnds(from, to, body[0])
	case '1', '2', '3':
		if typ == '1' && w.typ != 'P' || typ == '2' && w.typ != 'B' || typ == '3' && w.typ != 'C' {
			return wrong()
		}
		defer s.wants.pop() // when the name is confirmed
		if w.refuse != nil {
			// Poison that the server did not fail on.
			return fmt.Errorf("%w: it accepted a statement that was refused", errServerProtocol)
		}
		if typ == '2' && w.portal == nil {
			return fmt.Errorf("%w: it knows a prepared statement that the gate does not", errServerProtocol)
		}
		r.confirm(w)
		if w.speak != nil || w.own {
			return nil // what makes the server fail is next
		}
		return pass()
	case 't':
		if w.typ != 'D' && w.typ != 'h' {
			return wrong()
		}
		if w.typ == 'h' {
			return nil
		}
		return pass()
	case 'n':
		if w.typ != 'D' && w.typ != 'h' {
			return wrong()
		}
		s.wants.pop()
		if w.typ == 'h' || w.own {
			return nil
		}
		return pass()
	case 'T':
		if w.typ != 'D' && w.typ != 'h' && w.typ != 'Q' || sp == nil {
			return wrong()
		}
		d, refused := s.describe(sp, body, r.t)
		switch w.typ {
		case 'Q':
			s.desc = d
		default:
			// A portal's own description has the same columns as its statement's.
			if w.portal != nil {
				w.portal.ps.desc.Store(d)
			} else {
				w.ps.desc.Store(d)
			}
			s.wants.pop()
		}
		if w.typ == 'h' {
			return nil // a refusal shows at the first row, from the stored description
		}
		if refused != nil {
			return r.cut(w, refused)
		}
		if sp.mine {
			return nil
		}
		if sp.quiet() {
			return r.noData()
		}
		if d.hidden > 0 && !r.cutting {
			r.keepDescription(from, to, d.hidden)
			return nil
		}
		return pass()
	case 'D':
		if w.typ != 'E' && w.typ != 'Q' || sp == nil {
			return wrong()
		}
		if sp.catch != nil {
			sp.catch.add(r.c.buf[from:to])
			return nil
		}
		if r.cutting {
			return nil
		}
		if r.shut.by != nil {
			if why := r.rowShut(w); why != nil {
				return r.cut(w, why)
			}
		}
		if sp.kind == planFree {
			if d := r.descOf(w); d == nil || d.refuse != nil || d.anyRow {
				return r.row(w, sp, from, to) // it may not be free after all
			}
			r.keep(from, to)
			return nil
		}
		r.rows = w
		if sp.skip != nil {
			return r.skipping(w, sp, from, to)
		}
		return r.row(w, sp, from, to)
	case 'C', 'I':
		if w.typ != 'E' && w.typ != 'Q' {
			return wrong()
		}
		if again, err := r.leftDecoys(w, from); again || err != nil {
			return err
		}
		if typ == 'C' && sp != nil && sp.written != nil && !sp.copies() {
			if w.typ != 'E' {
				return wrong()
			}
			return r.writeEnds(w, sp, from, to)
		}
		if typ == 'C' && sp != nil && sp.kind != planFree {
			if sp.judgement.Verb != sekisho.Read {
				r.wrote = sp
			}
			if !r.cutting {
				if d := r.descOf(w); d != nil && d.head != nil && d.refuse == nil && sp.headed() && !r.began(w) {
					return fmt.Errorf("%w: an answer without its head", errServerProtocol)
				}
				if d := r.descOf(w); d != nil && d.whole && d.refuse == nil && !r.began(w) {
					// That there is no row is told of all of them, too.
					if why := r.allWithin(w, sp, r.begin(w, d)); why != nil {
						if err := r.cut(w, why); err != nil {
							return err
						}
					}
				}
				if why := r.noneObserved(w, sp); why != nil {
					if err := r.cut(w, why); err != nil {
						return err
					}
				}
				switch {
				case r.cutting:
				case sp.mine:
					r.forgetRun(w)
				default:
					r.accessEnds(w)
				}
			}
		}
		if sp != nil && sp.copyIn {
			s.wants.copyEnded()
		}
		w.copyOut = false
		if typ == 'C' {
			r.states(w, sp)
		}
		if sp != nil && sp.catch != nil {
			sp.catch.ends()
		}
		var tagged []byte // with decoys
		if w.skipped != 0 && typ == 'C' && !r.cutting {
			tag, err := tagWithout(body, w.skipped)
			if err != nil {
				return err
			}
			if w.skipped < 0 {
				tagged = tag
			} else {
				to = from + copy(r.c.buf[from:to], tag)
			}
			w.skipped = 0
		}
		if w.typ == 'E' {
			s.wants.pop()
		} else {
			w.at++
			s.desc = nil
		}
		if sp != nil && sp.mine || w.mute {
			return r.labelled(w, nil)
		}
		if typ == 'C' && (sp == nil || sp.kind == planFree || sp.judgement.Verb == sekisho.Other) && hasEffect(body) {
			if r.changed = true; r.cutting {
				r.effects = true
			} else {
				r.c.marks = append(r.c.marks, mark{at: r.w, is: markEffect})
			}
		}
		if tagged != nil {
			return r.labelled(w, r.insert(tagged))
		}
		return r.labelled(w, pass())
	case 's':
		if w.typ != 'E' {
			return wrong()
		}
		r.states(w, sp)
		s.wants.pop()
		return pass()
	case 'H':
		if w.typ != 'E' && w.typ != 'Q' || sp == nil {
			return wrong()
		}
		w.copyOut = true
		return r.copyOut(w, sp, from, to)
	case 'd':
		if w.typ != 'E' && w.typ != 'Q' || sp == nil {
			return wrong()
		}
		if r.cutting {
			return nil
		}
		if !w.copyOut {
			return wrong()
		}
		if r.shut.by != nil {
			if why := r.rowShut(w); why != nil {
				return r.cut(w, why)
			}
		}
		if sp.kind == planFree {
			r.keep(from, to)
			return nil
		}
		r.rows = w
		return r.copyRow(w, sp, from, to)
	case 'V':
		if w.typ != 'F' {
			return wrong()
		}
		return pass()
	case 'c':
		if again, err := r.leftDecoys(w, from); again || err != nil {
			return err
		}
		return pass()
	case 'G':
		if w.typ != 'E' && w.typ != 'Q' || sp == nil || !sp.copyIn || sp.kind != planFree && sp.kind != planAnyRow && !sp.blind && !sp.copies() || !s.wants.copyStarted() {
			return wrong()
		}
		return pass()
	}
	// CopyBoth and whatever a newer server may say: what
	// the gate does not know it does not pass (P24).
	return fmt.Errorf("%w: a message of type %q", errServerProtocol, typ)
}

// keepDescription keeps a RowDescription without its last hidden fields.
func (r *replies) keepDescription(from, to, hidden int) {
	b := r.c.buf[from:to]
	fields := int(be.Uint16(b[5:])) - hidden
	pos := 7
	for range fields {
		for b[pos] != 0 {
			pos++
		}
		pos += 19
	}
	be.PutUint16(b[5:], uint16(fields))
	be.PutUint32(b[1:], uint32(pos-1))
	r.keep(from, from+pos)
}

var (
	errServerGone     = errors.New("the server closed the connection")
	errServerProtocol = errors.New("the server broke the protocol")
)
