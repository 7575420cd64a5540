package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sekisho"
	"sekisho/act"
	"sekisho/budget"
	"sekisho/permit"
)

// Budgets of distinct customers. A row's customers are charged when its keys
// were read and before it goes anywhere, so that sessions side by side never
// get more than there is; what was charged and then not released stays charged.

// Budget has the gate charge what it releases to a book. Before Serve, when the
// book has folded the past.
func (g *Gate) Budget(b *budget.Book) {
	b.Ahead()
	g.budgets = b
}

// accounts are the budgets that apply to what a session reads, one for each
// subject of a description; nil where none does. Of one side of a session.
type accounts struct {
	d      *desc
	holder budget.Holder
	ruled  *act.Decision // whose limits are among them
	of     []*budget.Account
}

// holder is who is charged for what the session reads: the person and the
// terminal behind it, as far as they were stated.
func (s *session) holder(by *said) budget.Holder {
	h := budget.Holder{Principal: s.principal, Role: s.roleName, Endpoint: s.opened.Endpoint, Purpose: by.purpose}
	if b := by.behalf; b != nil {
		if b.Principal != 0 {
			h.Principal = b.Principal
		}
		if b.Endpoint != "" {
			h.Endpoint = b.Endpoint
		}
	}
	return h
}

// accountsFor gives the accounts of an access; nil if no budget applies to any
// of its subjects. of is what the policy said of it.
func (r *replies) accountsFor(d *desc, by *said, of *ruling) []*budget.Account {
	if r.s.g.budgets == nil {
		return nil
	}
	return r.accounts.find(r.s, d, by, of)
}

// find gives the accounts of an access, those of the one before if they are the
// same.
func (c *accounts) find(s *session, d *desc, by *said, of *ruling) []*budget.Account {
	who := s.holder(by)
	var ruled *act.Decision
	if of != nil && len(of.Budgets) > 0 {
		ruled = of.Decision
	}
	if c.d == d && c.holder == who && c.ruled == ruled {
		return c.of
	}
	*c = accounts{d: d, holder: who, ruled: ruled}
	for i := range d.shapes {
		if d.shapes[i].writes {
			continue // budgets are of what is read
		}
		a := s.g.budgets.Account(who, d.shapes[i].space, limitsOf(ruled)...)
		if a != nil && c.of == nil {
			c.of = make([]*budget.Account, len(d.shapes))
		}
		if a != nil {
			c.of[i] = a
		}
	}
	return c.of
}

// mayForetell charges a customer whose access is about to be recorded before
// the row comes: what is recorded counts. Where there is no room nothing is
// foretold, and the row is cut when it comes. It is for the client side.
func (s *session) mayForetell(w *want, d *desc, who uint32) bool {
	if s.g.budgets == nil {
		return true
	}
	for _, a := range s.accounts.find(s, d, w.by(), w.rules.one) {
		if a == nil {
			continue
		}
		room, tell := a.Ahead(sekisho.At(s.g.conf.Now()), who)
		if tell {
			s.tellBudgets(a)
		}
		if !room {
			return false
		}
	}
	return true
}

func limitsOf(d *act.Decision) (list []budget.Limit) {
	if d != nil {
		for _, b := range d.Budgets {
			list = append(list, budget.Limit{Customers: b.Customers, Within: b.Window})
		}
	}
	return list
}

// beforeRow notes how many customers the run's entries have named so far.
func (r *replies) beforeRow(u *run, entries []sekisho.Body) {
	if u.accounts == nil {
		return
	}
	r.named = r.named[:0]
	for _, e := range entries {
		r.named = append(r.named, len(e.(*sekisho.Access).Subjects))
	}
}

// charge charges the customers that a row has named since beforeRow. A refusal
// says that the row must not go; the entries then do not name them.
func (r *replies) charge(w *want, sp *stmtPlan, u *run, entries []sekisho.Body) *refusal {
	for i, a := range u.accounts {
		if a == nil || u.limit.request != 0 {
			continue // an approved export has a number of its own
		}
		fresh := entries[i].(*sekisho.Access).Subjects[r.named[i]:]
		if len(fresh) == 0 {
			continue
		}
		if r.at == 0 {
			r.at = sekisho.At(r.s.g.conf.Now())
		}
		within, tell := a.Spend(r.at, fresh, !sp.observe)
		if tell {
			r.s.tellBudgets(a)
		}
		var lease error
		if within < len(fresh) {
			within, lease = r.spendMore(a, fresh, within, !sp.observe)
		}
		if within < len(fresh) && r.spendApproval(w, u) {
			continue
		}
		if within < len(fresh) {
			for j, e := range entries {
				b := e.(*sekisho.Access)
				b.Subjects = b.Subjects[:r.named[j]]
			}
			e := a.Ending()
			why := budgetRefusal(e, lease)
			if of := u.ruling; e.Limit && of != nil {
				hint := why.hint
				why = r.s.ruled("policy_customers", act.Cap, sp, &of.asked, of.Decision)
				why.hint = strings.TrimSpace(why.hint + " " + hint)
			}
			return why
		}
	}
	return nil
}

// spendMore asks for a larger share of what has ended, as long as that is what a
// row lacks.
func (r *replies) spendMore(a *budget.Account, fresh []uint32, within int, cut bool) (_ int, lease error) {
	for tries := 0; within < len(fresh); tries++ {
		ask, ok := a.Lacking()
		if !ok {
			break
		}
		r.t.wait(func() { lease = r.s.g.lease(a, ask, tries) })
		r.at = sekisho.At(r.s.g.conf.Now())
		var tell bool
		if within, tell = a.Spend(r.at, fresh, cut); tell {
			r.s.tellBudgets(a)
		}
	}
	return within, lease
}

// spendApproval spends the approval of w's statement, if there is one.
func (r *replies) spendApproval(w *want, u *run) (spent bool) {
	if u.limit.on && r.s.approved(w, u) {
		r.t.wait(func() { spent = r.s.spend(w, u, nil) == nil })
	}
	return spent
}

// approved says whether an approval of w's statement waits to be spent.
func (s *session) approved(w *want, u *run) bool {
	g := s.g
	st, ok := s.exactly(w, u.by)
	if !ok || g.conf.Permit == nil {
		return false
	}
	ord, known := g.vault.Space("export").Find(string(st.Key()))
	if !known {
		return false
	}
	g.exports.mu.Lock()
	defer g.exports.mu.Unlock()
	r, state, ok := g.conf.Permit(ord, func(n uint64) bool { return g.exports.spent[n] })
	return ok && state == permit.Approved && r.Decided.Most > u.limit.most
}

// tellBudgets records what there is to tell of budgets. It waits for nothing:
// what is told has no say in what goes out.
func (s *session) tellBudgets(a *budget.Account) {
	for _, b := range a.Entries(s.id.Load()) {
		s.g.note(b)
		e := b.(*sekisho.BudgetReached)
		s.log.Warn("a budget is used", "budget", e.Budget, "state", e.State.String(), "used", e.Used, "limit", e.Limit)
	}
}

// chargeAny charges an access that could be anybody's, before it is recorded. A
// refusal says that there is no room for it. known: it is known before the
// statement runs.
func (s *session) chargeAny(sp *stmtPlan, spaces []string, by *said, known bool) *refusal {
	book := s.g.budgets
	if book == nil {
		return nil
	}
	at := sekisho.At(s.g.conf.Now())
	for _, space := range spaces {
		a := book.Account(s.holder(by), space)
		if a == nil {
			continue
		}
		if known && !sp.observe && a.RefusesAny() {
			return anyRowRefusal(a.Ending())
		}
		within, tell := a.SpendAny(at, !sp.observe)
		if tell {
			s.tellBudgets(a)
		}
		var lease error
		for tries := 0; !within; tries++ {
			ask, ok := a.Lacking()
			if !ok {
				break
			}
			lease = s.g.lease(a, ask, tries)
			if within, tell = a.SpendAny(sekisho.At(s.g.conf.Now()), !sp.observe); tell {
				s.tellBudgets(a)
			}
		}
		if !within {
			return budgetRefusal(a.Ending(), lease)
		}
	}
	return nil
}

// mostAsks is how often the issuer is asked for one row: each time somebody else
// may have spent what it gave.
const mostAsks = 8

// lease asks another gate for more of a budget, and says why there is none. It
// waits for the answer, and for it to be durable.
func (g *Gate) lease(a *budget.Account, ask budget.Ask, tries int) error {
	err := budget.ErrUnreached
	if g.conf.Lease != nil && tries < mostAsks {
		err = g.conf.Lease(context.Background(), ask)
	}
	if err != nil {
		a.Refused()
	}
	return err
}

// An overBudget is the error of an access that there is no room for.
type overBudget struct{ *refusal }

func (o overBudget) Error() string { return o.text }

// refusalFor is what a client reads when an access could not be recorded, or
// there is no room for it.
func refusalFor(err error) *refusal {
	var over overBudget
	if errors.As(err, &over) {
		return over.refusal
	}
	return ledgerRefusal(err)
}

const (
	reasonBudget = "budget"
	reasonLease  = "budget_lease"
)

// budgetRefusal is what a client reads where a budget ends. lease says why the
// gate that grants shares of it did not give more; nil: it was not asked.
func budgetRefusal(e budget.Ending, lease error) *refusal {
	r := &refusal{code: "53400", reason: reasonBudget}
	text := fmt.Sprintf("the budget %q has ended: %d different customers within %s", e.Name, e.Customers, e.Within)
	again := "Customers that were read within that time can be read again."
	switch {
	case lease == nil && e.Lent > 0:
		r.text = fmt.Sprintf("%s, of which %d are leased to other gates", text, e.Lent)
	case lease == nil:
		r.text = text
	case errors.Is(lease, budget.ErrSpent):
		r.text = text + ", over all gates together"
	case errors.Is(lease, budget.ErrIdle):
		r.text = fmt.Sprintf("the budget %q has no more for this gate now: what is left of %d different customers within %s is leased to other gates", e.Name, e.Customers, e.Within)
		again += " Try another one again in a minute: gates give back what they do not use."
	case errors.Is(lease, budget.ErrUnreached) && e.Taken != nil && e.Taken.Ended:
		r.reason = reasonLease
		r.text = fmt.Sprintf("this gate's share of the budget %q has ended, and the gate that grants shares cannot be reached", e.Name)
		again = "Nothing that counts for it can be read here until that gate answers."
	case errors.Is(lease, budget.ErrUnreached):
		r.reason = reasonLease
		r.text = fmt.Sprintf("this gate's share of the budget %q is used up, %d different customers, and the gate that grants more cannot be reached", e.Name, e.Used)
	default:
		r.reason = reasonLease
		r.text = fmt.Sprintf("this gate gets no share of the budget %q: %v", e.Name, lease)
	}
	r.hint = again
	if e.Frees != 0 {
		r.hint += fmt.Sprintf(" There is room for another one from %s on.", e.Frees.Go().Format("2006-01-02 15:04:05 UTC"))
	}
	if r.reason == reasonLease {
		r.hint += " Whoever runs sekisho sees why: sekisho doctor, or the console's page Budgets."
	}
	if e.Ask != "" {
		r.hint += " Ask " + e.Ask + "."
	}
	return r
}

// anyRowRefusal is what a client reads whose statement could be anybody's.
func anyRowRefusal(e budget.Ending) *refusal {
	r := &refusal{code: "53400", reason: reasonBudget}
	r.text = fmt.Sprintf("the budget %q counts customers, and this statement may be about any or all of them", e.Name)
	r.hint = "Ask for those that you need."
	if e.Ask != "" {
		r.hint += " Or ask " + e.Ask + "."
	}
	return r
}
