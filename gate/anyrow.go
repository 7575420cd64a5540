package gate

import (
	"fmt"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
)

// Statements that could be about anybody, run by a role with any_row. Before one
// goes upstream, and before it is bound, since that runs code:
//
//   - The policy is asked about every category of all tables that it can reach,
//     as a read, and of those that it may write as insert, update and delete. A
//     refusal, a mask or a cap of any of them refuses it: nobody counts its
//     customers, and nothing of it is rewritten.
//   - ask_above, what needs a second person, and budgets take it for everybody.
//     An approval of so many customers lets it through once.
//   - It is in the ledger, durably, as a read of any-row, and if it may write as
//     a write of any-row.
//
// It stands alone in its text, so that an approval is of it and nothing else.

// bounds decides about an opaque statement in enforce mode: nil if it may run,
// recorded as any-row.
func (sp *stmtPlan) bounds(role *Role, statements int) *refusal {
	j := sp.judgement
	b := j.Bound
	switch {
	case b == nil || !role.AnyRow:
		return refusalOf(j)
	case statements > 1:
		return aloneRefusal(j.Tables)
	case b.Writes() && !role.Writes:
		r := refusalOf(catalog.Refused("write"))
		r.tables = j.Tables
		return r
	}
	if sp.kind, sp.bounded, sp.unread = planAnyRow, true, b.Unread; sp.unread {
		sp.effect = nil // it ends no transaction
	}
	if b.Writes() {
		sp.changing = &stmtPlan{kind: planAnyRow, sets: b.Columns, shapes: map[string]uint64{},
			judgement: catalog.Judgement{Kind: catalog.Opaque, Verb: sekisho.Delete, Spaces: b.Spaces, Tables: b.Tables, Categories: b.Categories}}
	}
	return nil
}

func aloneRefusal(tables []string) *refusal {
	return &refusal{code: "0A000", reason: "several_statements", tables: tables, text: "a statement that could be about anybody stands alone in its text", hint: "Send the statements one by one."}
}

// mayReach says why the policy does not let a statement run that could be about
// anybody. d is what it says of reading all of its tables.
func (s *session) mayReach(policy *act.Policy, sp *stmtPlan, r *act.Request, d *act.Decision) *refusal {
	switch d.AgainstAnyRow(sekisho.Read) {
	case act.Refuse:
		return s.ruled("policy_refused", act.Refuse, sp, r, d)
	case act.Mask:
		why := s.ruled("policy_mask", act.Mask, sp, r, d)
		if why.hint = "Nothing is masked in a statement that could be about anybody. " + hintOf(nil); sp.unread {
			why.hint = "Nothing is masked in what nobody has read. Have the function reviewed, and listed in the catalog under functions.reviewed, or leave it out."
		}
		return why
	case act.Cap:
		if d.RowCap != 0 {
			return s.ruled("policy_rows", act.Cap, sp, r, d)
		}
		return s.ruled("policy_customers", act.Cap, sp, r, d)
	}
	if sp.changing == nil {
		return nil
	}
	asked := *r
	asked.Tables, asked.Categories = sp.changing.judgement.Tables, sp.changing.judgement.Categories
	for _, asked.Verb = range []sekisho.Verb{sekisho.Insert, sekisho.Update, sekisho.Delete} {
		d := sp.changing.memo.Decide(policy, &asked)
		switch d.AgainstAnyRow(asked.Verb) {
		case act.Refuse:
			return s.ruled("policy_refused", act.Refuse, sp, &asked, d)
		case act.Ask:
			return s.ruled("policy_second", act.Ask, sp, &asked, d)
		}
	}
	return nil
}

// reaches records that a statement could be about anybody, or says why it must
// not run. On return it is in the ledger, durably, and an approval that it needs
// is spent.
func (q *requests) reaches(w *want, of *ruling, number uint64, by *said) (why *refusal) {
	q.t.wait(func() { why = q.s.reaches(w, of, number, by) })
	return why
}

func (s *session) reaches(w *want, of *ruling, number uint64, by *said) *refusal {
	g, sp := s.g, w.statement()
	u := &run{number: number, by: by, everybody: 1}
	u.limit.on = true
	all := uint64(0)
	for _, space := range sp.judgement.Spaces {
		all += g.populationOf(space)
	}
	u.everybody = max(all, 1)
	second := of != nil && of.Second
	needs := second || s.role.AskAbove > 0
	if !needs && g.budgets != nil && s.approved(w, u) {
		for _, space := range sp.judgement.Spaces {
			if a := g.budgets.Account(s.holder(by), space); a != nil && a.RefusesAny() {
				needs = true
			}
		}
	}
	if needs {
		if !second {
			of = nil
		}
		if why := s.spend(w, u, of); why != nil {
			return why
		}
	}
	for _, one := range []*stmtPlan{sp, sp.changing} {
		if one == nil {
			continue
		}
		if !needs { // an approval has a number of its own
			if why := s.chargeAny(one, one.judgement.Spaces, by, true); why != nil {
				return why
			}
		}
		if err := g.recordReach(s, one, one.judgement.Spaces, number, by); err != nil {
			return refusalFor(err)
		}
		number = s.number.Add(1)
	}
	return nil
}

// before is what must happen before a statement that could be about anybody is
// bound: planning runs code.
func (q *requests) before(ps *prepared, po *portal, said []*said) *refusal {
	p, rules := q.s.admit(q.s.g.current(q.s, ps.plan, q.t), false, q.t)
	if p.refuse != nil {
		return p.refuse
	}
	w := &want{typ: 'E', ps: ps, portal: po, rules: rules, said: said}
	po.number = q.s.number.Add(1)
	why := q.reaches(w, rules.at(0), po.number, w.by())
	po.reached, po.label = why == nil, w.label
	return why
}

// everybodyHint is of a statement that needs an approval for everybody.
func everybodyHint(all uint64) string {
	return fmt.Sprintf("Nothing was sent: it could be about all %d. ", all)
}
