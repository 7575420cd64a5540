package budget

import (
	"cmp"
	"slices"

	"sekisho"
)

// A Simulation replays a ledger under budgets that were not there: who would
// have been cut, when, and how much each used at most. It is a view.
//
// Each budget is tried as if it were the only one. What it would have cut is taken
// for not read; the rest of the past stays as it was. The ledger does not say which any-row statements were
// known to be so before they ran, so that all of them count as one customer.
type Simulation struct {
	enforced []*Book // one for each budget, charged with what would have gone out
	uncut    *Book   // charged with all, without forgetting
	since    sekisho.Time
	holders  map[key]*Simulated // by the keys of uncut
}

// Simulated is what would have become of one holder of one budget.
type Simulated struct {
	Budget    string `json:"budget"`
	Subject   string `json:"subject"`
	Holder    `json:"holder"`
	Customers uint64       `json:"customers"` // the limit
	Most      uint64       `json:"most"`      // the most that was used at one time
	MostAt    sekisho.Time `json:"most_at"`
	Cut       uint64       `json:"cut"` // statements that would have been
	First     sekisho.Time `json:"first_cut,omitempty"`
	Last      sekisho.Time `json:"last_cut,omitempty"`
}

// NewSimulation makes one of budgets that were checked; name is as for New. What
// happened before since counts, and is not reported.
func NewSimulation(conf Config, since sekisho.Time, name func(space string, ordinal uint32) string) *Simulation {
	s := &Simulation{uncut: New(conf, name), since: since, holders: map[key]*Simulated{}}
	s.uncut.keepAll()
	s.uncut.accessed = s.measure
	for i := range conf {
		b := New(conf[i:i+1], name)
		b.accessed = func(of *folded, a *Account, e *sekisho.Entry, access *sekisho.Access) {
			s.cut(s.uncut.rules[i], of, a, e, access)
		}
		s.enforced = append(s.enforced, b)
	}
	return s
}

// Name is the view's.
func (s *Simulation) Name() string { return "budget-simulation" }

// Apply folds one entry.
func (s *Simulation) Apply(e *sekisho.Entry) {
	if _, told := e.Body.(*sekisho.BudgetReached); told {
		return // of other budgets
	}
	s.uncut.Apply(e)
	for _, b := range s.enforced {
		b.Apply(e)
	}
}

// measure charges an access whole, and notes who has used more than ever.
func (s *Simulation) measure(_ *folded, a *Account, e *sekisho.Entry, b *sekisho.Access) {
	a.charge(e.Time, b)
	for i := range a.lines {
		l := &a.lines[i]
		one := s.holders[l.key]
		if one == nil {
			one = &Simulated{Budget: l.key.rule.Name, Subject: l.key.space, Holder: l.key.Holder, Customers: uint64(l.key.rule.limit)}
			s.holders[l.key] = one
		}
		if used := uint64(l.h.used()); e.Time >= s.since && used > one.Most {
			one.Most, one.MostAt = used, e.Time
		}
	}
}

// cut charges an access up to where it would have been cut. The rest of its
// statement would not have come.
func (s *Simulation) cut(r *rule, of *folded, a *Account, e *sekisho.Entry, b *sekisho.Access) {
	within, _ := a.Spend(e.Time, b.Subjects, true)
	goes := within == len(b.Subjects)
	if goes && b.Class == sekisho.AnyRow {
		goes, _ = a.SpendAny(e.Time, true)
	}
	a.Entries(b.Session) // nobody is told
	if goes {
		return
	}
	of.note(b.Number, func(o *oddOne) { o.exempt = true })
	if e.Time < s.since {
		return
	}
	k := a.ended.key
	k.rule = r
	if one := s.holders[k]; one != nil {
		if one.Cut++; one.First == 0 {
			one.First = e.Time
		}
		one.Last = e.Time
	}
}

// Report lists everybody who used anything, those who would have been cut first,
// and the largest share before smaller ones.
func (s *Simulation) Report() []Simulated {
	list := []Simulated{}
	for _, one := range s.holders {
		if one.Most > 0 {
			list = append(list, *one)
		}
	}
	slices.SortFunc(list, func(a, b Simulated) int {
		return cmp.Or(cmp.Compare(min(b.Cut, 1), min(a.Cut, 1)), cmp.Compare(b.Most*a.Customers, a.Most*b.Customers), cmp.Compare(a.Budget, b.Budget), a.Holder.compare(b.Holder), cmp.Compare(a.Subject, b.Subject))
	})
	return list
}
