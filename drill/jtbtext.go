package drill

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sekisho/console"
	"sekisho/trace"
)

// missing says whether a note is about a source that should have seen what
// left.
func missing(n trace.Note) bool {
	switch n.Code {
	case "source_silent", "source_never", "no_sensor", "sensor_gap", "no_egress_record":
		return true
	}
	return false
}

// missing lays out the sources that are missing, machines together.
func (r *JtbReport) missing(out io.Writer, w *console.Teller) {
	silent := 0
	for _, n := range r.Missing {
		if n.Code == "no_egress_record" {
			silent++
			continue
		}
		fmt.Fprintf(out, "  - %s\n", w.Note(n))
	}
	if silent > 0 {
		fmt.Fprintf(out, "  - %s\n", w.Say("report.jtb_silent", silent))
	}
}

// Text writes the report for people to read.
func (r *JtbReport) Text(out io.Writer, w *console.Teller) {
	line := func(key string, args ...any) { fmt.Fprintln(out, w.Say("report."+key, args...)) }
	line("jtb_head", r.Scenario, thousands(uint64(r.Members)), r.Seed)
	fmt.Fprintln(out)
	happened(out, w, r.Timeline)
	fmt.Fprintf(out, "\n%s\n", w.Say("report.jtb_alerts", thousands(uint64(r.Alerts.All)), r.Alerts.InIncident, r.Incident))

	fmt.Fprintln(out)
	line("jtb_answer." + r.Verdict)
	if !r.ExitObserved {
		line("jtb_no_exit")
		r.missing(out, w)
	}
	fmt.Fprintf(out, "  %s\n", w.Say("report.jtb_file", thousands(r.File.Rows), thousands(r.File.Bytes)))
	fmt.Fprintf(out, "  %s\n", w.Say("report.jtb_passports", thousands(r.Passports.All), thousands(r.Passports.Valid)))
	fmt.Fprintf(out, "  %s\n", w.Say("report.jtb_partner", thousands(r.PartnerRows)))
	fmt.Fprintf(out, "  %s\n", w.Say("report.jtb_destinations", r.Destinations.Known, r.Destinations.Blocked))
	if f := r.Destinations.First; !f.At.IsZero() {
		fmt.Fprintf(out, "  %s\n", w.Say("report.jtb_half", f.At.Format("2006-01-02 15:04"), f.Blocked, f.Known))
	}
	fmt.Fprintf(out, "  %s\n", w.Say("report.jtb_readers", len(r.Readers), strings.Join(r.Readers, ", ")))
	line("jtb_rows")

	a := r.Answer
	fmt.Fprintln(out)
	line("numbers", strings.Join(a.Endpoints, ", "), w.Window(a), w.Hostile(a.Hostile))
	for _, n := range []struct {
		key string
		trace.Number
	}{{"answer.worst_case", a.Numbers.WorstCase}, {"answer.suspected", a.Numbers.Suspected}, {"answer.sent_at_most", a.Numbers.SentAtMost}, {"answer.confirmed", a.Numbers.Confirmed}} {
		fmt.Fprintf(out, "\n  %s%10s  %s\n", console.Pad(w.Say(n.key), 13), thousands(n.Value), strings.Repeat("█", int(n.Value*40/max(a.WorstCase, 1))))
		fmt.Fprintf(out, "    = %s\n", w.Formula(n.Formula))
	}
	fmt.Fprintln(out)
	line("notseen")
	if r.ExitObserved {
		r.missing(out, w)
	}
	for _, n := range a.NotObserved {
		if !missing(n) {
			fmt.Fprintf(out, "  - %s\n", w.Note(n))
		}
	}

	t := r.Truth
	fmt.Fprintln(out)
	line("truth")
	fact := func(n uint64, key string, args ...any) {
		fmt.Fprintf(out, "  %10s %s\n", thousands(n), w.Say("report."+key, args...))
	}
	fact(t.Read, "jtb_read", t.Infected)
	fact(t.FileRows, "jtb_in_file")
	fact(t.Taken, "jtb_taken")
	fmt.Fprintf(out, "\n  %s%s%s%s%s\n", console.Pad(w.Say("report.list"), 13), console.Pad(w.Say("report.jtb_listed"), -10), console.Pad(w.Say("report.true"), -10),
		console.Pad(w.Say("report.precision"), -11), console.Pad(w.Say("report.recall"), -10))
	for _, l := range []struct {
		key string
		Agreement
	}{{"answer.worst_case", r.Lists.WorstCase}, {"answer.suspected", r.Lists.Suspected}} {
		fmt.Fprintf(out, "  %s%10s%10s%11.4f%10.4f\n", console.Pad(w.Say(l.key), 13), thousands(l.Listed), thousands(l.True), l.Precision, l.Recall)
	}
	if len(r.Violations) == 0 {
		fmt.Fprintf(out, "\n  %s\n", w.Say("report.holds", thousands(r.Confirmed), thousands(t.Taken), thousands(r.SentAtMost), thousands(r.WorstCase)))
	}
	for _, v := range r.Violations {
		fmt.Fprintf(out, "\n  %s\n", w.Say("report.violation", v))
	}
	fmt.Fprintln(out)
	line("jtb_played", int(jtbAsked.Sub(jtbFirst)/(24*time.Hour))+1, fmt.Sprintf("%.0f", r.Elapsed), thousands(uint64(r.Rate)))
}
