package watch

import "sekisho"

// ended is the alert about a budget that has ended, or that somebody went
// beyond. What was cut in observe mode only in thought is none, and neither is
// a budget that is nearly used.
func (w *Watch) ended(e *sekisho.Entry, b *sekisho.BudgetReached) []sekisho.Body {
	s := w.behind.Of(b.Session, 0) // the session itself: the entry does not say which statement it was
	if s == nil || b.State != sekisho.BudgetEnded && b.State != sekisho.BudgetPassed {
		return nil
	}
	// What is judged is what the holder read at this terminal within the window:
	// of a terminal's budget, by anybody there.
	endpoint := s.Endpoint
	if b.Endpoint != "" { // it may be behind a program
		endpoint = b.Endpoint
	}
	return []sekisho.Body{&sekisho.Alert{
		Detector: "budget", Principal: b.Principal, Endpoint: endpoint, From: max(0, e.Time-sekisho.Time(b.Window)*1e6), Until: e.Time + 1,
		Observed: b.Used, Limit: b.Limit, Basis: []uint64{e.ID.Seq},
	}}
}
