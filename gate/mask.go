package gate

import (
	"errors"
	"slices"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
)

// Masks that the policy wants are put into the statement (catalog.Masked,
// stmt.WithMasks). The statement of a text with other masks is another plan.

// masksOf says how a column of a category is shown.
func masksOf(m act.Masks) func(sekisho.Categories) catalog.MaskKind {
	return func(c sekisho.Categories) catalog.MaskKind {
		switch m.Of(c) {
		case act.Partial:
			return catalog.Partial
		case act.Token:
			return catalog.Token
		case act.Blank:
			return catalog.Blank
		}
		return catalog.NoMask
	}
}

// hintOf is what a client can do about a statement that cannot be masked.
func hintOf(err error) string {
	var m *catalog.MaskError
	if errors.As(err, &m) {
		return m.Hint
	}
	return "Leave out the columns that are masked."
}

// masked gives the plan with the masks that are due of it now, for a Parse.
// Whether it may run is asked when it is to.
func (s *session) masked(p *plan, t *strand) *plan {
	policy := s.g.rules.policy.Load()
	if policy == nil || !p.protected || p.refuse != nil || p.speak != nil {
		return p
	}
	var due act.Masks
	var refuse func() *refusal // in the words of the first that wants a mask
	for _, sp := range p.stmts {
		if sp.kind == planFree || sp.observe || sp.bounded || slices.Contains(p.named, sp) {
			continue
		}
		var r act.Request
		s.asks(&r, sp)
		d := sp.memo.Decide(policy, &r)
		if due = due.With(d.Masks); refuse == nil && d.Masks != (act.Masks{}) {
			refuse = func() *refusal { return s.ruled("policy_mask", act.Mask, sp, &r, d) }
		}
	}
	if due == p.masks {
		return p
	}
	if p = s.g.planMasked(s, p.original, due, t); p.refuse == nil && p.unmaskable != "" && refuse != nil {
		why := refuse()
		why.hint = p.unmaskable
		return p.refusedWith(why)
	}
	return p
}

// remasked is of a prepared statement whose masks are no longer those that are
// due. The message is the server's own for a plan that has to be made anew, so
// that drivers do that.
var remasked = &refusal{code: "0A000", reason: "policy_masks", text: "cached plan must not change result type", hint: "The policy masks other columns now than when the statement was prepared. Prepare it again."}
