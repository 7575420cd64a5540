package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"sekisho"
	"sekisho/act"
	"sekisho/console"
	"sekisho/sheet"
)

type changeKey struct {
	principal                    uint32
	role, endpoint, tables, verb string
	before, after, policies      string
}

// A change is what would have become of statements of one kind.
type change struct {
	Principal  string   `json:"principal,omitempty"`
	Role       string   `json:"role"`
	Endpoint   string   `json:"endpoint,omitempty"`
	Tables     []string `json:"tables,omitempty"`
	Verb       string   `json:"verb"`
	Before     string   `json:"before"`
	After      string   `json:"after"`
	Policies   []string `json:"policies,omitempty"`
	Statements uint64   `json:"statements"`
	Rows       uint64   `json:"rows"`
	KeptBefore uint64   `json:"rows_kept_before"` // rows that did not, or would not, go out at once
	KeptAfter  uint64   `json:"rows_kept_after"`

	effect act.Effect
}

type simulated struct {
	Statements uint64 `json:"statements"`
	Rows       uint64 `json:"rows"`
	Changed    uint64 `json:"changed"`
	From       string `json:"from"`
	To         string `json:"to"`

	first, last sekisho.Time
	refused     uint64 // then, by the gate
	elsewhere   uint64 // accesses at the console and the command line
	purposes    uint64 // statements whose purpose could not be read
	budgets     uint64 // statements under a budget
	unplaced    uint64 // statements whose place is unknown
	unnamed     bool   // somebody is a number
	roles       map[string]bool
}

// compareChanges puts the strictest first, and the most frequent.
func compareChanges(a, b *change) int {
	return cmp.Or(
		cmp.Compare(a.effect, b.effect), cmp.Compare(b.Statements, a.Statements),
		cmp.Compare(a.Role, b.Role), cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Endpoint, b.Endpoint),
		slices.Compare(a.Tables, b.Tables), cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Before+a.After, b.Before+b.After), slices.Compare(a.Policies, b.Policies))
}

// add takes in what c counts.
func (sum *change) add(c *change) {
	sum.Statements += c.Statements
	sum.Rows += c.Rows
	sum.KeptBefore += c.KeptBefore
	sum.KeptAfter += c.KeptAfter
}

// simulationReport is what a person reads of a simulation.
type simulationReport struct {
	simulated
	Summary []*change `json:"summary"` // by role, verb and what changes
	Changes []*change `json:"changes"`
	Notes   []string  `json:"notes"` // what the result does not know
}

func (s *simulation) report() *simulationReport {
	t := &s.total
	r := &simulationReport{Summary: []*change{}, Changes: []*change{}, Notes: []string{}}
	if t.Statements > 0 {
		t.From, t.To = t.first.Go().In(s.zone).Format(time.RFC3339), t.last.Go().In(s.zone).Format(time.RFC3339)
	}
	r.simulated = *t
	kinds := map[[4]string]*change{}
	for _, c := range s.changes {
		r.Changes = append(r.Changes, c)
		k := [4]string{c.Role, c.Verb, c.Before, c.After}
		if kinds[k] == nil {
			kinds[k] = &change{Role: c.Role, Verb: c.Verb, Before: c.Before, After: c.After, effect: c.effect}
			r.Summary = append(r.Summary, kinds[k])
		}
		kinds[k].add(c)
	}
	slices.SortFunc(r.Summary, compareChanges)
	slices.SortFunc(r.Changes, compareChanges)
	say := func(key string, args ...any) { r.Notes = append(r.Notes, s.words.Say("cmd.note."+key, args...)) }
	note := func(n uint64, key string) {
		if n > 0 {
			say(key, thousands(n))
		}
	}
	note(t.purposes, "purposes")
	note(t.unplaced, "unplaced")
	var postless []string
	for role := range t.roles {
		if s.posts[role] == "" && s.gate == nil {
			postless = append(postless, role)
		}
	}
	if slices.Sort(postless); len(postless) > 0 {
		say("posts", s.words.Join(postless, "answer.comma"))
	}
	if t.unnamed {
		say("unnamed")
	}
	note(t.budgets, "budgets")
	note(t.refused, "refused")
	note(t.elsewhere, "elsewhere")
	return r
}

func (r *simulationReport) print(out io.Writer, top int, w *console.Teller) {
	say := func(before, key string, args ...any) { fmt.Fprintln(out, before+w.Say("cmd.sim."+key, args...)) }
	line := func(what, text string) { fmt.Fprintf(out, "%s%s\n", console.Pad(w.Say("cmd.sim."+what), 9), text) }
	judged := w.Say("cmd.sim.counts", thousands(r.Statements), thousands(r.Rows))
	if r.Statements > 0 {
		judged += w.Say("cmd.sim.span", r.From, r.To)
	}
	line("judged", judged)
	line("changed", w.Say("cmd.sim.statements", thousands(r.Changed)))
	for _, c := range r.Summary {
		say("  ", "kind", c.Role, c.Verb, c.counts(w))
	}
	for i, c := range r.Changes {
		if i == top {
			say("\n", "more", thousands(uint64(len(r.Changes)-top)))
			break
		}
		by := cmp.Or(w.Join(c.Policies, "answer.comma"), w.Say("cmd.sim.norule"))
		say("\n", "change", c.Principal, c.Role, c.Endpoint, c.Verb, sheet.Few(c.Tables))
		fmt.Fprintf(out, "  %s\n  %s\n", c.counts(w), w.Say("cmd.sim.by", by))
	}
	if len(r.Notes) > 0 {
		fmt.Fprintf(out, "\n%s\n", w.Say("cmd.notknown"))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "  - %s\n", n)
	}
}

func (c *change) counts(w *console.Teller) string {
	s := w.Say("cmd.sim.becomes", c.Before, c.After, w.Say("cmd.sim.counts", thousands(c.Statements), thousands(c.Rows)))
	if c.KeptAfter > 0 {
		s += w.Say("cmd.sim.kept", thousands(c.KeptAfter))
	}
	if c.KeptBefore > c.KeptAfter {
		s += w.Say("cmd.sim.freed", thousands(c.KeptBefore-c.KeptAfter))
	}
	return s
}
