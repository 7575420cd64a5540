package survey

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"sekisho"
)

// What the policy and the budgets would have done while a role was observed. The
// gate asks both then, as if it enforced them, and says so in the ledger: of each
// principal, statement and decision once an hour.

// A Ruling is what the policy would have decided about statements of a role.
type Ruling struct {
	Decision   string   `json:"decision"` // in the policy's words: "refuse", "mask contact=full", "cap 500 rows"
	Refuses    bool     `json:"refuses"`
	Rules      []string `json:"rules"`
	Statements uint64   `json:"statements"` // different texts
	Runs       uint64   `json:"runs"`       // of these texts, in the time that was looked at, whoever sent them
}

// Spent is a budget that would have ended.
type Spent struct {
	Budget  string `json:"budget"`
	Holders uint64 `json:"holders"` // of those who share it: how many different ones
	Limit   uint64 `json:"limit"`
	Most    uint64 `json:"most"` // different customers that one of them had read then
}

type decided struct {
	rulings map[rulingKey]*ruled
	budgets map[spentKey]*spent
}

type rulingKey struct{ role, decision, rules string }

type ruled struct {
	body       *sekisho.Ruled
	statements map[uint32]bool
}

type spentKey struct{ role, budget string }

type spent struct {
	Spent
	who map[holder]bool
}

type holder struct {
	space              string
	principal, purpose uint32
	role, endpoint     string
}

func newDecided() decided {
	return decided{map[rulingKey]*ruled{}, map[spentKey]*spent{}}
}

// decides takes in what would have been, and was not.
func (r *Road) decides(e *sekisho.Entry) {
	if e.Time < r.since || e.Time >= r.until {
		return
	}
	switch b := e.Body.(type) {
	case *sekisho.Ruled:
		c := r.behind.Of(b.Session, b.Number)
		if c == nil || b.Enforced || c.Door != sekisho.DoorGate || b.Decision == "allow" {
			return
		}
		k := rulingKey{c.Role, b.Decision, strings.Join(b.Rules, " ")}
		if r.decided.rulings[k] == nil {
			r.decided.rulings[k] = &ruled{b, map[uint32]bool{}}
		}
		r.decided.rulings[k].statements[b.Statement] = true
	case *sekisho.BudgetReached:
		c := r.behind.Of(b.Session, 0)
		if c == nil || b.State != sekisho.BudgetObserved {
			return
		}
		k := spentKey{c.Role, b.Budget}
		s := r.decided.budgets[k]
		if s == nil {
			s = &spent{Spent{Budget: b.Budget}, map[holder]bool{}}
			r.decided.budgets[k] = s
		}
		s.who[holder{b.Space, b.Principal, b.Purpose, b.Role, b.Endpoint}] = true
		s.Limit, s.Most = b.Limit, max(s.Most, b.Used)
	}
}

// overruled tells it of one role.
func (r *Road) overruled(one *Readiness) {
	for k, of := range r.decided.rulings {
		if k.role != one.Role {
			continue
		}
		p := Ruling{Decision: k.decision, Refuses: strings.HasPrefix(k.decision, "refuse"), Rules: of.body.Rules, Statements: uint64(len(of.statements))}
		for s := range of.statements {
			if l := r.lines[roadKey{k.role, s}]; l != nil {
				p.Runs += l.exact + l.other + l.anyRow
			}
		}
		one.Policy = append(one.Policy, p)
	}
	slices.SortFunc(one.Policy, func(a, b Ruling) int {
		first := func(p Ruling) int {
			if p.Refuses {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Decision, b.Decision), slices.Compare(a.Rules, b.Rules))
	})
	for _, k := range slices.SortedFunc(maps.Keys(r.decided.budgets), func(a, b spentKey) int { return cmp.Compare(a.budget, b.budget) }) {
		if k.role == one.Role {
			s := r.decided.budgets[k]
			s.Holders = uint64(len(s.who))
			one.Budgets = append(one.Budgets, s.Spent)
		}
	}
}
