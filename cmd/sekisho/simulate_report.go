package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/act"
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
	note := func(n uint64, text string) {
		if n > 0 {
			r.Notes = append(r.Notes, text+": "+thousands(n))
		}
	}
	note(t.purposes, "statements with a purpose that only the vault can read, judged as if none was stated")
	note(t.unplaced, "statements from an unknown place (tell which addresses are the office's with --office)")
	var postless []string
	for role := range t.roles {
		if s.posts[role] == "" && s.gate == nil {
			postless = append(postless, role)
		}
	}
	if slices.Sort(postless); len(postless) > 0 {
		r.Notes = append(r.Notes, "the posts of these roles' principals (give them with --post, as role=post): "+strings.Join(postless, ", "))
	}
	if t.unnamed {
		r.Notes = append(r.Notes, unnamedNote)
	}
	note(t.budgets, "statements under a budget of customers, which is not simulated")
	note(t.refused, "statements refused then, of which the ledger does not say what they would have read")
	note(t.elsewhere, "accesses at the console and the command line, which are not the policy's")
	return r
}

// unnamedNote is said where people are numbers.
const unnamedNote = "the names of principals that are numbers: --vault names them"

func (r *simulationReport) print(w io.Writer, top int) {
	fmt.Fprintf(w, "judged   statements %s, rows %s", thousands(r.Statements), thousands(r.Rows))
	if r.Statements > 0 {
		fmt.Fprintf(w, ", %s to %s", r.From, r.To)
	}
	fmt.Fprintf(w, "\nchanged  statements %s\n", thousands(r.Changed))
	for _, c := range r.Summary {
		fmt.Fprintf(w, "  %s, %s: %s\n", c.Role, c.Verb, c.counts())
	}
	for i, c := range r.Changes {
		if i == top {
			fmt.Fprintf(w, "\nand %s more: --top shows them, or --json\n", thousands(uint64(len(r.Changes)-top)))
			break
		}
		by := strings.Join(c.Policies, ", ")
		if by == "" {
			by = "no rule"
		}
		fmt.Fprintf(w, "\n%s, %s at %s: %s %s\n  %s\n  by %s\n", c.Principal, c.Role, c.Endpoint, c.Verb, sheet.Few(c.Tables), c.counts(), by)
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(w, "\nnot known here")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  - %s\n", n)
	}
}

func (c *change) counts() string {
	s := fmt.Sprintf("%s → %s: statements %s, rows %s", c.Before, c.After, thousands(c.Statements), thousands(c.Rows))
	if c.KeptAfter > 0 {
		s += ", kept back " + thousands(c.KeptAfter)
	}
	if c.KeptBefore > c.KeptAfter {
		s += ", set free " + thousands(c.KeptBefore-c.KeptAfter)
	}
	return s
}
