package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"sekisho/ledger"
	"sekisho/trace"
)

// How answers look on a terminal. Nothing here decides anything.

// thousands writes 1234567 as 1,234,567.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func printAnswer(w io.Writer, a *trace.Answer) {
	fmt.Fprintf(w, "whose        %s\nendpoints    %s\nwindow       %s until %s\n", a.Space, strings.Join(a.Endpoints, ", "), a.Since, a.Until)
	if len(a.Hostile) > 0 {
		fmt.Fprintf(w, "hostile      %v\n", a.Hostile)
	}
	fmt.Fprintf(w, "ledger       through entry %s\n\n", thousands(a.Through))
	top := max(a.WorstCase, 1)
	for _, n := range []struct {
		name string
		trace.Number
	}{{"worst case", a.Numbers.WorstCase}, {"suspected", a.Numbers.Suspected}, {"sent at most", a.Numbers.SentAtMost}, {"confirmed", a.Numbers.Confirmed}} {
		fmt.Fprintf(w, "%-13s%12s  %s\n", n.name, thousands(n.Value), strings.Repeat("█", int(n.Value*40/top)))
		fmt.Fprintf(w, "  = %s\n", n.Formula.Text)
		if e := n.Evidence; e.Entries > 0 {
			fmt.Fprintf(w, "  stands on %s entries, %s to %s\n", thousands(e.Entries), e.First, e.Last)
		}
		for _, line := range parts(n.Breakdown) {
			fmt.Fprintf(w, "  %s\n", line)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "observed")
	for _, s := range a.Observed {
		fmt.Fprintf(w, "  %-9s by %s, %s to %s\n", s.How, s.By, s.From, s.To)
	}
	fmt.Fprintln(w, "not observed, or weakening the numbers")
	if len(a.NotObserved) == 0 {
		fmt.Fprintln(w, "  nothing known")
	}
	for _, n := range a.NotObserved {
		fmt.Fprintf(w, "  - %s\n", n.Text)
	}
}

// parts writes a breakdown as one line for each dimension.
func parts(list []trace.Part) (lines []string) {
	var order []string
	by := map[string][]string{}
	for _, p := range list {
		k := p.Dimension
		if _, ok := by[k]; !ok {
			order = append(order, k)
		}
		v := p.Value
		if v == "" {
			v = "(none)"
		}
		by[k] = append(by[k], v+" "+thousands(p.Count))
	}
	for _, k := range order {
		lines = append(lines, "by "+k+": "+strings.Join(by[k], ", "))
	}
	return lines
}

func printReport(w io.Writer, r ledger.Report) {
	fmt.Fprintf(w, "entries   %s in %s groups, %d segments, %d epochs\n", thousands(r.Entries), thousands(r.Groups), r.Segments, r.Epochs)
	fmt.Fprintf(w, "from      %v at %v\nto        %v at %v\nchain     %x\n", r.First, r.From, r.Last, r.Until, r.Chain)
	if r.Torn > 0 {
		fmt.Fprintf(w, "torn      %d bytes of a write that was never acknowledged\n", r.Torn)
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
	if r.OK() {
		fmt.Fprintln(w, "every entry is as it was written")
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
