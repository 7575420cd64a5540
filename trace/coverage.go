package trace

import (
	"fmt"
	"slices"

	"sekisho"
)

// observed lists what watched the window: the gate's epochs, and what the
// sensors' records span.
func (t *Trace) observed(q Question) []Span {
	list := []Span{}
	add := func(how, by string, s span) {
		if s.from, s.to = max(s.from, q.Since), min(s.to, q.Until); s.from < s.to {
			list = append(list, Span{how, by, s.from.String(), s.to.String()})
		}
	}
	for _, e := range t.epochs {
		add("enforced", fmt.Sprintf("gate %d", e.gate), span{e.from, e.to})
	}
	by := map[string][]span{}
	var names []string
	for _, s := range t.sensors {
		if _, ok := by[s.body.Sensor]; !ok {
			names = append(names, s.body.Sensor)
		}
		by[s.body.Sensor] = append(by[s.body.Sensor], span{s.body.From, s.body.Until})
	}
	slices.Sort(names)
	for _, n := range names {
		for _, s := range mergeSpans(by[n]) {
			add("inferred", n, s)
		}
	}
	return list
}

// shownGaps is how many outages of the gate are told one by one.
const shownGaps = 20

// notObserved names what the numbers could not see.
func (t *Trace) notObserved(q Question, a *Answer, s *scope, c *counts, roster bool) []Note {
	list := []Note{}
	add := func(n Note) {
		n.Text = n.English()
		list = append(list, n)
	}
	t.gateGaps(q, add)
	t.sensorGaps(q, add)
	for _, name := range s.silent {
		add(Note{Code: "no_egress_record", Name: name})
	}
	if s.partial > 0 {
		add(Note{Code: "egress_partial", Count: s.partial, Reach: s.partialHostile})
	}
	if s.unnamed > 0 {
		add(Note{Code: "egress_unnamed", Count: s.unnamed, Bytes: s.unnamedBytes})
	}
	if s.unverified.count > 0 {
		add(Note{Code: "unverified", Count: s.unverified.count})
	}
	if of := t.terminals(q); of.Unknown > 0 || of.Stated > 0 {
		if of.Unknown > 0 {
			add(Note{Code: "terminal_unknown", Count: of.Unknown, Reach: of.Accesses})
		}
		if of.Stated > 0 {
			add(Note{Code: "terminal_stated", Count: of.Stated, Reach: of.Accesses})
		}
	}
	if s.anyRows > 0 {
		add(Note{Code: "any_row", Count: s.anyRows, Reach: a.WorstCase - c.worst.customers})
	}
	if s.unknownReach && c.population == 0 {
		add(Note{Code: "any_row_reach_unknown"})
	}
	if n, accesses, anyRow := t.written(q); accesses > 0 || anyRow > 0 {
		add(Note{Code: "written", Count: n, Reach: anyRow})
	}
	if !roster {
		add(Note{Code: "no_roster"})
	}
	if n := t.filesElsewhere(q); n > 0 {
		add(Note{Code: "files_elsewhere", Count: n})
	}
	if c.outside > 0 {
		add(Note{Code: "confirmed_outside", Count: c.outside})
	}
	if n, rows := t.passedBy(q); n > 0 {
		add(Note{Code: "passed_by", Count: n, Reach: rows})
	}
	return list
}

// passedBy counts what the database itself reported of the window that did not
// come through the gate: alerts, and the rows of protected tables in them. At
// which terminal it was is not known, so that it concerns every question.
func (t *Trace) passedBy(q Question) (alerts, rows uint64) {
	for _, a := range t.alerts {
		if b := a.body; b.Detector == "outside" && b.From < q.Until && b.Until > q.Since {
			alerts++
			rows += b.Observed
		}
	}
	return alerts, rows
}

func (t *Trace) gateGaps(q Question, add func(Note)) {
	note := func(code string, from, to sekisho.Time) (Note, bool) {
		from, to = max(from, q.Since), min(to, q.Until)
		return Note{Code: code, From: from.String(), To: to.String(), Seconds: float64(to-from) / 1e6}, from < to
	}
	if len(t.epochs) == 0 {
		return
	}
	if n, ok := note("before_ledger", q.Since, t.epochs[0].from); ok {
		add(n)
	}
	more := Note{Code: "gate_down_more"}
	shown := 0
	for i := 1; i < len(t.epochs); i++ {
		n, ok := note("gate_down", t.epochs[i-1].to, t.epochs[i].from)
		switch {
		case !ok:
		case shown < shownGaps:
			shown++
			add(n)
		default:
			more.Count++
			more.Seconds += n.Seconds
		}
	}
	if more.Count > 0 {
		add(more)
	}
	if n, ok := note("after_ledger", t.lastTime, q.Until); ok {
		add(n)
	}
}

func (t *Trace) sensorGaps(q Question, add func(Note)) {
	var spans []span
	rejected := map[string]uint64{}
	for _, s := range t.sensors {
		b := s.body
		// A file none of whose lines could be read has no time: it may hide any.
		if b.Rejected > 0 && (b.Accepted == 0 || b.From < q.Until && b.Until >= q.Since) {
			rejected[b.Sensor] += b.Rejected
		}
		if b.Accepted > 0 && b.From < q.Until && b.Until >= q.Since {
			spans = append(spans, span{max(b.From, q.Since), min(b.Until, q.Until)})
		}
	}
	for _, name := range sortedKeys(rejected) {
		add(Note{Code: "sensor_rejected", Name: name, Count: rejected[name]})
	}
	if len(spans) == 0 {
		add(Note{Code: "no_sensor"})
		return
	}
	gap := Note{Code: "sensor_gap"}
	at := q.Since
	for _, s := range append(mergeSpans(spans), span{q.Until, q.Until}) {
		if s.from > at {
			if gap.Count == 0 {
				gap.From, gap.To = at.String(), s.from.String()
			}
			gap.Count++
			gap.Seconds += float64(s.from-at) / 1e6
		}
		at = max(at, s.to)
	}
	if gap.Count > 0 {
		add(gap)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
