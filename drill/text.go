package drill

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sekisho/trace"
)

// Text writes the report for people to read.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "DRILL %s: %s members, seed %d. The people are invented; the connections, statements and files were real.\n\n", r.Scenario, thousands(uint64(r.Members)), r.Seed)
	fmt.Fprintln(w, "What happened, and when sekisho saw it")
	for _, e := range r.Timeline {
		fmt.Fprintf(w, "  %s  %s", e.At.Format("2006-01-02 15:04"), e.What)
		switch {
		case e.Delay != nil && *e.Delay < 1:
			fmt.Fprintf(w, "  → seen by %q as it happened", e.By)
		case e.Delay != nil:
			fmt.Fprintf(w, "  → seen by %q after %v", e.By, time.Duration(*e.Delay*float64(time.Second)).Round(time.Second))
		case e.Code == "trial":
			fmt.Fprint(w, "  → not seen: below every hourly limit")
		case e.Code == "burst" || e.Code == "sent":
			fmt.Fprint(w, "  → not seen")
		}
		fmt.Fprintln(w)
	}
	if r.Learning > 0 {
		fmt.Fprintf(w, "  %d alerts came before that, about approved bulk jobs in their first weeks, which sekisho was still learning.\n", r.Learning)
	}

	a := r.Answer
	fmt.Fprintf(w, "\nThe four numbers, for %s from %s until %s, hostile %v\n", strings.Join(a.Endpoints, " and "), since, until, a.Hostile)
	for _, n := range []struct {
		name string
		trace.Number
	}{{"worst case", a.Numbers.WorstCase}, {"suspected", a.Numbers.Suspected}, {"sent at most", a.Numbers.SentAtMost}, {"confirmed", a.Numbers.Confirmed}} {
		fmt.Fprintf(w, "\n  %-13s%10s  %s\n", n.name, thousands(n.Value), strings.Repeat("█", int(n.Value*40/max(a.WorstCase, 1))))
		fmt.Fprintf(w, "    = %s\n", n.Formula.Text)
		for _, line := range breakdown(n.Breakdown) {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "  "+r.Spared.English())

	fmt.Fprintln(w, "\nNot observed, or weakening the numbers")
	if len(a.NotObserved) == 0 {
		fmt.Fprintln(w, "  nothing known")
	}
	for _, n := range a.NotObserved {
		fmt.Fprintf(w, "  - %s\n", n.Text)
	}

	t := r.Truth
	fmt.Fprintln(w, "\nThe truth, which only the actors knew")
	fmt.Fprintf(w, "  %10s people were read at the infected terminals in the window; %s of them by the attacker\n", thousands(t.Read), thousands(t.AttackRead))
	fmt.Fprintf(w, "  %10s people were read in the two bursts\n", thousands(t.BurstRead))
	fmt.Fprintf(w, "  %10s people's data arrived at the drop site, in %s bytes\n", thousands(t.Taken), thousands(uint64(t.SentBytes)))
	fmt.Fprintf(w, "  %10s people stand in the recovered file, %s of them undamaged\n", thousands(t.Recovered), thousands(t.Undamaged))
	fmt.Fprintln(w, "\n  list          people      true  precision    recall")
	for _, l := range []struct {
		name string
		Agreement
	}{{"worst case", r.Lists.WorstCase}, {"suspected", r.Lists.Suspected}, {"confirmed", r.Lists.Confirmed}} {
		fmt.Fprintf(w, "  %-11s%9s %9s  %9.4f %9.4f\n", l.name, thousands(l.Listed), thousands(l.True), l.Precision, l.Recall)
	}
	if len(r.Violations) == 0 {
		fmt.Fprintf(w, "\n  confirmed %s ≤ taken %s ≤ sent at most %s ≤ worst case %s, and everybody who was read is in the list.\n",
			thousands(r.Confirmed), thousands(t.Taken), thousands(r.SentAtMost), thousands(r.WorstCase))
	}
	for _, v := range r.Violations {
		fmt.Fprintf(w, "\n  VIOLATION: %s\n", v)
	}
	fmt.Fprintf(w, "\n%s of the case were played in %.0f s.\n", days(), r.Elapsed)
}

func days() string {
	return fmt.Sprintf("%d days", int(askedAt.Sub(firstDay)/(24*time.Hour))+1)
}

// English tells what the ledger shows about the two tables that no role at an
// infected terminal needed.
func (s Spared) English() string {
	switch {
	case s.Credentials && s.Payment:
		return "No credentials and no payment data: no access at these terminals in the window gave any out."
	case s.Credentials:
		return "No credentials: no access at these terminals in the window gave any out. Payment data was given out."
	case s.Payment:
		return "No payment data: no access at these terminals in the window gave any out. Credentials were given out."
	}
	return "That no credentials and no payment data were given out is not shown."
}

// breakdown writes the parts of a number, one line for each dimension.
func breakdown(parts []trace.Part) (lines []string) {
	var order []string
	by := map[string][]string{}
	for _, p := range parts {
		if _, ok := by[p.Dimension]; !ok {
			order = append(order, p.Dimension)
		}
		v := p.Value
		if v == "" {
			v = "(none)"
		}
		by[p.Dimension] = append(by[p.Dimension], v+" "+thousands(p.Count))
	}
	for _, d := range order {
		lines = append(lines, "by "+d+": "+strings.Join(by[d], ", "))
	}
	return lines
}

// thousands writes 1234567 as 1,234,567.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
