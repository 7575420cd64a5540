package gate

import (
	"fmt"
	"time"

	"sekisho"
)

// Where an answer ends before its last row: because the gate cannot read it, or
// because a rule or a budget says so. Client and server must agree afterwards
// on what happened.

// beforeCancel is how long what was cut may go on. A cancel does not say what
// it is to cancel, so it may hit the next statement of a pipeline: most answers
// end sooner by themselves.
const beforeCancel = 300 * time.Millisecond

// cut tells the client that its statement ends here, and leaves out the rest
// of the cycle. The server is asked to stop if it goes on.
func (r *replies) cut(w *want, why *refusal) error {
	s := r.s
	if r.cutting {
		return nil
	}
	if w == nil { // a message so large that it was not looked at
		return fmt.Errorf("%w: rows that nobody asked for", errServerProtocol)
	}
	r.withdraw(w, sekisho.CutOff, why.code)
	number, by := w.number, w.by()
	if u := r.runningFor(w); u != nil {
		number, by = u.number, u.by
		if u.open {
			if err := r.closeRun(u, sekisho.CutOff, why.code); err != nil {
				return err
			}
		}
	}
	var statement uint32
	if sp := w.statement(); sp != nil {
		statement = sp.statement
	}
	s.refused(why, number, statement, by, r.t)
	stopped := make(chan struct{})
	s.out.lose()
	r.cutting, r.stopped, r.effects = true, stopped, r.changed
	r.stopping = time.AfterFunc(beforeCancel, func() {
		defer close(stopped)
		s.cancelUpstream()
	})
	return r.insert(appendError(nil, "ERROR", why))
}

// stopSending has the client side send nothing more upstream. False: something
// is on its way already. Before, the ReadyForQuery that is being read was
// taken from the wants.
func (s *session) stopSending() bool {
	s.silent.Store(true)
	if !s.cancelling.TryLock() {
		return false // it is being sent
	}
	defer s.cancelling.Unlock()
	return s.wants.idle()
}

// disagreement says why a session cannot go on after the rest of a cycle was
// left out; nil if it can. status is that of its ReadyForQuery.
func disagreement(status byte, effects bool) *refusal {
	switch {
	case status == 'T':
		return cutTransaction
	case effects:
		return cutEffect
	}
	return nil
}
