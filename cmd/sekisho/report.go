package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"sekisho/console"
	"sekisho/ledger"
	"sekisho/sheet"
	"sekisho/trace"
)

// How answers look on a terminal. Nothing here decides anything.

// counted is "1 segment" or "2 segments".
func counted[N int | int64 | uint64](n N, what string) string {
	return thousands(uint64(n)) + " " + sheet.Noun(n, what)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// printAnswer tells the four numbers, with the times of the zone that the
// question was asked in.
func printAnswer(out io.Writer, a *trace.Answer, w *console.Teller) {
	head := func(key, text string) { fmt.Fprintf(out, "%s%s\n", console.Pad(w.Say(key), 13), text) }
	var whose []string
	for _, p := range a.Parts() {
		whose = append(whose, p.Space)
	}
	head("answer.whose", strings.Join(whose, ", "))
	if len(whose) > 1 {
		head("", w.Say("answer.twice"))
	}
	head("answer.endpoints", strings.Join(a.Endpoints, ", "))
	head("answer.window_is", w.Window(a))
	if len(a.Hostile) > 0 {
		head("answer.hostile", w.Hostile(a.Hostile))
	}
	head("answer.ledger", w.Say("answer.through", thousands(a.Through)))
	for _, e := range a.Exports {
		head("answer.file", w.Say("answer.export", e.Request, oneLine(cmp.Or(e.Principal, "?")), oneLine(cmp.Or(e.Endpoint, "?")), cmp.Or(w.When(e.At), "?")))
	}
	fmt.Fprintln(out)
	top := max(a.WorstCase, 1)
	for _, n := range []struct {
		key string
		trace.Number
	}{{"answer.worst_case", a.Numbers.WorstCase}, {"answer.suspected", a.Numbers.Suspected}, {"answer.sent_at_most", a.Numbers.SentAtMost}, {"answer.confirmed", a.Numbers.Confirmed}} {
		fmt.Fprintf(out, "%s%12s  %s\n", console.Pad(w.Say(n.key), 13), thousands(n.Value), strings.Repeat("█", int(n.Value*40/top)))
		fmt.Fprintf(out, "  = %s\n", w.Formula(n.Formula))
		if e := n.Evidence; e.Entries > 0 {
			stands := w.Say("answer.stands", w.Count("answer.entries", e.Entries), e.First, e.Last)
			if e.First == e.Last {
				stands = w.Say("answer.stands.one", w.Count("answer.entries", e.Entries), e.First)
			}
			fmt.Fprintf(out, "  %s\n", stands)
		}
		for _, line := range w.Parts(n.Breakdown) {
			fmt.Fprintf(out, "  %s\n", line)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, w.Say("answer.observed"))
	for _, s := range a.Observed {
		fmt.Fprintf(out, "  %s %s\n", console.Pad(w.Code("how", s.How), 9), w.Say("answer.span", s.By, w.When(s.From), w.When(s.To)))
	}
	fmt.Fprintln(out, w.Say("answer.notseen"))
	if len(a.NotObserved) == 0 {
		fmt.Fprintf(out, "  %s\n", w.Say("answer.nothing"))
	}
	for _, n := range a.NotObserved {
		fmt.Fprintf(out, "  - %s\n", w.Note(n))
	}
}

func printReport(w io.Writer, r ledger.Report) {
	fmt.Fprintf(w, "entries   %s in %s, %s, %s\n", thousands(r.Entries), counted(r.Groups, "group"), counted(r.Segments, "segment"), counted(r.Epochs, "epoch"))
	if r.Entries > 0 { // of none there is no first, and no time
		fmt.Fprintf(w, "from      %v at %v\nto        %v at %v\nchain     %x\n", r.First, r.From, r.Last, r.Until, r.Chain)
	}
	if r.Torn > 0 {
		fmt.Fprintf(w, "torn      %s of a write that was never acknowledged\n", counted(r.Torn, "byte"))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note      %v\n", n)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "PROBLEM   %v\n", p)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "          and %d more\n", r.More)
	}
	if r.OK() && r.Segments > 0 {
		fmt.Fprintln(w, "every entry is as it was written")
	}
}

func (r *nameReport) print(w io.Writer) {
	fmt.Fprintf(w, "vault     %s in %s compared\n", counted(r.Keys, "key"), counted(r.Commitments, "commitment"))
	for _, p := range r.Problems {
		fmt.Fprintf(w, "PROBLEM   %s\n", p)
	}
	if len(r.Problems) == 0 {
		fmt.Fprintln(w, "every name is the one that was recorded")
	}
}

// A bar shows how far a long piece of work is: as a line that redraws itself
// on a terminal, as nothing elsewhere.
type bar struct {
	w     *os.File
	what  string
	shown time.Time
	drawn bool
}

func newBar(w *os.File, what string) *bar {
	b := &bar{what: what}
	if term.IsTerminal(int(w.Fd())) {
		b.w = w
	}
	return b
}

func (b *bar) set(done, total int64) {
	if b.w == nil || total <= 0 || time.Since(b.shown) < 100*time.Millisecond && done < total {
		return
	}
	b.shown, b.drawn = time.Now(), true
	n := int(done * 30 / total)
	fmt.Fprintf(b.w, "\r%s [%s%s] %3d%% ", b.what, strings.Repeat("#", n), strings.Repeat("·", 30-n), done*100/total)
}

func (b *bar) done() {
	if b.w != nil && b.drawn {
		fmt.Fprint(b.w, "\r\033[K")
	}
}
