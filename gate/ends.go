package gate

import (
	"fmt"
	"slices"
	"strings"

	"sekisho"
)

// How the server's answers end: by an error, or with ReadyForQuery.

// cycleEnds passes a ReadyForQuery on.
func (r *replies) cycleEnds(from, to int, status byte) error {
	if r.cutting {
		if stopped := r.stopped; !r.stopping.Stop() {
			r.t.wait(func() { <-stopped }) // else the cancel could hit what the client sends next
		}
		why := disagreement(status, r.effects)
		r.cutting, r.effects = false, false
		if why != nil {
			r.s.saidWhy = true
			if !r.s.stopSending() {
				why = cutEffect // what is under way may be a COMMIT
			}
			if err := r.insert(appendError(nil, "FATAL", why)); err != nil {
				return err
			}
			return errTransaction
		}
	}
	r.s.desc = nil
	r.s.running = nil
	r.changed = false
	if status == 'I' {
		r.wrote = nil
		clear(r.portals)
	}
	if status == 'I' && len(r.open) > 0 {
		// Portals that were fetched from in part end with the transaction.
		for _, u := range r.open {
			for _, b := range r.entries(u) {
				b.(*sekisho.Access).More = false
			}
			u.open = false
		}
		r.open = r.open[:0]
	}
	r.c.marks = append(r.c.marks, mark{at: r.w, is: markCycle})
	r.keep(from, to)
	return nil
}

// ties: it writes to a table that foreign keys tie to a protected one.
func (w *want) ties() bool {
	if w.plan != nil {
		return slices.ContainsFunc(w.plan.stmts, func(sp *stmtPlan) bool { return sp.judgement.Ties })
	}
	sp := w.statement()
	return sp != nil && sp.judgement.Ties
}

// errorReply passes an ErrorResponse on: the gate's own reason where the gate
// made the server fail, without values where the statement was over protected
// data.
func (r *replies) errorReply(w *want, from, to int) error {
	s := r.s
	body := append([]byte(nil), r.c.buf[from+5:to]...)
	if isFatal(body) { // the server ends the session; what was under way stays open until then
		s.saidWhy = true
		if w != nil && r.tells(w) {
			return r.insert(redact(nil, 'E', body, 0, 0))
		}
		r.keep(from, to)
		return nil
	}
	if w == nil {
		return fmt.Errorf("%w: an error that nothing caused", errServerProtocol)
	}
	if why := r.stands(w, 'E'); why != nil {
		s.refused(why, s.number.Add(1), w.statement().statement, w.by(), r.t)
		w.refuse = why
	}
	r.statesFail()
	s.temps.stale.Store(true)
	if sp := w.statement(); sp != nil && sp.catch != nil && sp.catch.cycle {
		if w.typ == 'Q' {
			w.failed, w.at = true, len(w.plan.stmts)
			return nil
		}
		s.wants.fail()
		return nil
	}
	var out []byte
	spoiled := w.spoiled.Load()
	switch {
	case spoiled != nil:
		out = appendError(nil, "ERROR", spoiled)
	case w.refuse != nil:
		out = appendError(nil, "ERROR", w.refuse)
		if w.late {
			s.refused(w.refuse, s.number.Add(1), w.plan.statement, w.by(), r.t)
		}
	case r.tells(w):
		at, shift := 0, 0
		if sp := w.statement(); sp != nil {
			if at, shift = sp.insertAt, sp.insertLen; sp.moved {
				shift = noPosition
			}
		}
		if w.statement().fails(body) {
			s.refused(namesRefusal, s.number.Add(1), w.statement().statement, w.by(), r.t)
			out = appendError(nil, "ERROR", namesRefusal)
			break
		}
		if w.typ == 'P' {
			out = shifted(nil, body, at, shift)
			break
		}
		typing := w.mistyped(body)
		if out = redact(nil, 'E', body, at, shift); typing {
			out = shifted(nil, body, at, shift)
		}
		if why := w.statement().kept(errorField(body, 'C')); why != nil {
			out = appendError(nil, "ERROR", why)
		}
		if r.cutting {
			break
		}
		if !typing {
			if why := r.recordError(w, body); why != nil {
				out = appendError(nil, "ERROR", why)
			}
		}
		r.withdraw(w, s.outcomeOf(errorField(body, 'C')), errorField(body, 'C'))
		if err := r.toldFails(w, errorField(body, 'C')); err != nil {
			return err
		}
		if run := r.runningFor(w); run != nil && run.open && !r.cutting {
			if err := r.accessFails(run, errorField(body, 'C')); err != nil {
				return err
			}
		}
	case (r.wrote != nil || w.ties()) && strings.HasPrefix(errorField(body, 'C'), "23"):
		// A deferred constraint speaks at COMMIT of rows written before; a foreign
		// key, of the protected rows at its other end.
		out = redact(nil, 'E', body, 0, 0)
		if r.wrote != nil && r.wrote.answers != nil && !r.cutting {
			// A constraint that was put off speaks of rows that stood there before.
			if err := r.recordAnyRow(r.wrote.answers, s.number.Add(1), w.by()); err != nil {
				out = appendError(nil, "ERROR", refusalFor(err))
			}
		}
	}
	if w.undoes {
		r.changed, r.effects = false, false
		r.c.marks = append(r.c.marks, mark{at: r.w, is: markUndone})
	}
	sure := true
	if w.typ != 'Q' && w.typ != 'S' && w.typ != 'F' {
		sure = s.wants.fail()
		s.unanswered(s.wants.left(), s.outcomeOf(errorField(body, 'C')), errorField(body, 'C'))
	} else {
		sure = s.wants.copyFailed()
		w.failed = true
		if w.plan != nil {
			w.at = len(w.plan.stmts)
		}
	}
	switch {
	case r.cutting:
	case out == nil:
		r.keep(from, to)
	default:
		if err := r.insert(out); err != nil {
			return err
		}
	}
	if !sure {
		return errCopySync
	}
	return nil
}

// hasEffect: a command of this tag may have changed something that a
// transaction can take back.
func hasEffect(tag []byte) bool {
	verb, _, _ := strings.Cut(string(tag[:max(len(tag)-1, 0)]), " ")
	switch verb {
	case "SELECT", "FETCH", "MOVE", "SHOW", "SET", "RESET", "BEGIN", "START", "DECLARE", "CLOSE", "PREPARE", "DEALLOCATE", "LISTEN", "UNLISTEN", "SAVEPOINT", "ROLLBACK":
		return false
	}
	return true
}
