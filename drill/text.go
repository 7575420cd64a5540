package drill

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sekisho/console"
	"sekisho/trace"
)

// happened lists what was done, and what sekisho saw of it.
func happened(out io.Writer, w *console.Teller, timeline []Event) {
	fmt.Fprintln(out, w.Say("report.happened"))
	for _, e := range timeline {
		fmt.Fprintf(out, "  %s  %s", e.At.Format("2006-01-02 15:04"), e.tell(w))
		if seen := e.tellSeen(w); seen != "" {
			fmt.Fprintf(out, "  → %s", seen)
		}
		fmt.Fprintln(out)
	}
}

// Text writes the report for people to read.
func (r *Report) Text(out io.Writer, w *console.Teller) {
	line := func(key string, args ...any) { fmt.Fprintln(out, w.Say("report."+key, args...)) }
	line("head", r.Scenario, thousands(uint64(r.Members)), r.Seed)
	fmt.Fprintln(out)
	happened(out, w, r.Timeline)
	r.alerts(out, w)

	a := r.Answer
	fmt.Fprintln(out)
	line("numbers", strings.Join(a.Endpoints, ", "), w.Window(a), w.Hostile(a.Hostile))
	for _, n := range []struct {
		key string
		trace.Number
	}{{"answer.worst_case", a.Numbers.WorstCase}, {"answer.suspected", a.Numbers.Suspected}, {"answer.sent_at_most", a.Numbers.SentAtMost}, {"answer.confirmed", a.Numbers.Confirmed}} {
		fmt.Fprintf(out, "\n  %s%10s  %s\n", console.Pad(w.Say(n.key), 13), thousands(n.Value), strings.Repeat("█", int(n.Value*40/max(a.WorstCase, 1))))
		fmt.Fprintf(out, "    = %s\n", w.Formula(n.Formula))
		for _, part := range w.Parts(n.Breakdown) {
			fmt.Fprintf(out, "    %s\n", part)
		}
	}
	fmt.Fprintf(out, "\n  %s\n\n", r.Spared.tell(w))

	line("notseen")
	if len(a.NotObserved) == 0 {
		fmt.Fprintf(out, "  %s\n", w.Say("answer.nothing"))
	}
	for _, n := range a.NotObserved {
		fmt.Fprintf(out, "  - %s\n", w.Note(n))
	}

	t := r.Truth
	fmt.Fprintln(out)
	line("truth")
	fact := func(n uint64, key string, args ...any) {
		fmt.Fprintf(out, "  %10s %s\n", thousands(n), w.Say("report."+key, args...))
	}
	fact(t.Read, "read", thousands(t.AttackRead))
	fact(t.BurstRead, "burst_read")
	fact(t.Taken, "taken", thousands(uint64(t.SentBytes)))
	fact(t.Recovered, "in_file", thousands(t.Undamaged))
	fmt.Fprintf(out, "\n  %s%s%s%s%s\n", console.Pad(w.Say("report.list"), 13), console.Pad(w.Say("report.listed"), -9), console.Pad(w.Say("report.true"), -10),
		console.Pad(w.Say("report.precision"), -11), console.Pad(w.Say("report.recall"), -10))
	for _, l := range []struct {
		key string
		Agreement
	}{{"answer.worst_case", r.Lists.WorstCase}, {"answer.suspected", r.Lists.Suspected}, {"answer.confirmed", r.Lists.Confirmed}} {
		fmt.Fprintf(out, "  %s%9s%10s%11.4f%10.4f\n", console.Pad(w.Say(l.key), 13), thousands(l.Listed), thousands(l.True), l.Precision, l.Recall)
	}
	if len(r.Violations) == 0 {
		fmt.Fprintf(out, "\n  %s\n", w.Say("report.holds", thousands(r.Confirmed), thousands(t.Taken), thousands(r.SentAtMost), thousands(r.WorstCase)))
	}
	for _, v := range r.Violations {
		fmt.Fprintf(out, "\n  %s\n", w.Say("report.violation", v))
	}
	fmt.Fprintln(out)
	line("played", int(askedAt.Sub(firstDay)/(24*time.Hour))+1, fmt.Sprintf("%.0f", r.Elapsed))
}

// alerts lays out what became of every alert, so that the reader can add up.
func (r *Report) alerts(out io.Writer, w *console.Teller) {
	a := r.Alerts
	fmt.Fprintf(out, "\n%s\n", w.Say("report.alerts", thousands(uint64(a.All))))
	for _, l := range []struct {
		n   int
		key string
	}{{a.Before, "alerts_before"}, {a.Judging, "alerts_judging"}, {a.Sent, "alerts_sent"}, {a.Other, "alerts_other"}} {
		if l.n > 0 {
			fmt.Fprintf(out, "  %4d  %s\n", l.n, w.Say("report."+l.key))
		}
	}
	var parts []string
	for _, i := range a.Incidents {
		parts = append(parts, w.Say("report.alerts_in", i.Number, i.Alerts))
	}
	if len(parts) > 0 {
		fmt.Fprintf(out, "  %s\n", w.Say("report.alerts_of", a.All-a.Before, w.Join(parts, "report.and")))
	}
}

// tell says what happened.
func (e Event) tell(w *console.Teller) string {
	args := make([]any, len(e.Facts))
	for i, f := range e.Facts {
		args[i] = f
	}
	return w.Say("report.event."+e.Code, args...)
}

// tellSeen says when sekisho saw it; empty if there was nothing to be seen.
func (e Event) tellSeen(w *console.Teller) string {
	switch {
	case e.Delay != nil && *e.Delay < 1:
		return w.Say("report.seen_at_once", w.Code("report.by", e.By))
	case e.Delay != nil:
		return w.Say("report.seen_after", w.Code("report.by", e.By), w.Duration(*e.Delay))
	case e.Code == "trial":
		return w.Say("report.seen_below")
	case e.Code == "burst" || e.Code == "sent" || e.Unseen:
		return w.Say("report.unseen")
	}
	return ""
}

// tell says what the ledger shows about the two tables that no role at an
// infected terminal needed.
func (s Spared) tell(w *console.Teller) string {
	switch {
	case s.Credentials && s.Payment:
		return w.Say("report.spared_both")
	case s.Credentials:
		return w.Say("report.spared_credentials")
	case s.Payment:
		return w.Say("report.spared_payment")
	}
	return w.Say("report.spared_unknown")
}

// thousands writes 1234567 as 1,234,567.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
