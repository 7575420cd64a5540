package main

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"sekisho"
	"sekisho/act"
	"sekisho/gate"
)

func (s *simulation) judge(by *sekisho.SessionOpened, st *replayed) {
	beforeMasks := ""
	if told := s.ruled[ruledKey{by.Principal, st.statement, st.purpose}]; told != nil && st.statement != 0 {
		// What the policy was asked then. An access that could be anybody's has all
		// categories of its tables instead, an exact one those that went out.
		st.categories = told.Categories
		if mask, _, _ := strings.Cut(told.Decision, ", "); told.Enforced && strings.HasPrefix(mask, "mask ") {
			beforeMasks = mask
		}
	}
	r := act.Request{
		Role: by.Role, Endpoint: by.Endpoint, Verified: by.Verified, Address: by.Address,
		Post: s.posts[by.Role], Company: s.companies[by.Role], Place: s.placeOf(by.Address),
		Verb: st.verb, Tables: st.tables, Categories: st.categories, Time: st.at,
	}
	if !st.unknown {
		r.Rows = max(st.rows, 1)
	}
	if st.purpose != 0 {
		known := false
		if s.vault != nil {
			r.Purpose, known = s.vault.Space("purpose").Key(st.purpose)
		}
		if !known {
			s.total.purposes++
		}
	}
	if s.vault != nil {
		r.Principal, _ = s.vault.Space("staff").Key(by.Principal)
	}
	if s.gate != nil {
		for _, p := range s.gate.Principals {
			if p.Name == r.Principal {
				r.Post, r.Company = cmp.Or(p.Post, r.Post), cmp.Or(p.Company, r.Company)
			}
		}
	}
	s.offSite(&r, by, st.at)
	t := &s.total
	t.Statements++
	t.Rows += st.rows
	if t.Statements == 1 || st.at < t.first {
		t.first = st.at
	}
	t.last = max(t.last, st.at)
	t.roles[by.Role] = true
	if r.Place == act.PlaceUnknown {
		t.unplaced++
	}

	tables := strings.Join(st.tables, ", ")
	memos := s.memos[tables]
	if memos == nil {
		memos = new([2]act.Memo)
		s.memos[tables] = memos
	}
	decision := memos[0].Decide(s.policy, &r)
	if len(decision.Budgets) > 0 {
		t.budgets++
	}
	after, keptAfter := due(decision, st)
	before, keptBefore := cmp.Or(st.before, beforeMasks, act.Allow.String()), uint64(0)
	if s.against != nil {
		var d act.Decision
		d, keptBefore = due(memos[1].Decide(s.against, &r), st)
		before = d.String()
	}
	if after.String() == before {
		return
	}
	t.Changed++
	k := changeKey{by.Principal, by.Role, by.Endpoint, tables, st.verb.String(), before, after.String(), strings.Join(decision.Policies, " ")}
	c := s.changes[k]
	if c == nil {
		c = &change{
			Principal: s.nameOf(by.Principal), Role: by.Role, Endpoint: by.Endpoint, Tables: append([]string{}, st.tables...), Verb: k.verb,
			Before: k.before, After: k.after, Policies: append([]string{}, decision.Policies...), effect: after.Effect,
		}
		s.changes[k] = c
	}
	c.add(&change{Statements: 1, Rows: st.rows, KeptBefore: keptBefore, KeptAfter: keptAfter})
}

// due is what a decision would have done to a statement, and how many of its
// rows would not have gone out at once. A limit that it stays within does
// nothing.
func due(d *act.Decision, st *replayed) (act.Decision, uint64) {
	if d.Effect == act.Refuse {
		return act.Decision{}, st.rows
	}
	out, kept := act.Decision{Effect: act.Allow, Masks: d.Masks}, uint64(0)
	if out.Masks != (act.Masks{}) {
		out.Effect = act.Mask
	}
	beyond := func(limit uint64) bool {
		if st.rows > limit {
			kept = max(kept, st.rows-limit)
		}
		return st.unknown || st.rows > limit
	}
	if d.RowCap != 0 && beyond(d.RowCap) {
		out.Effect, out.RowCap = act.Cap, d.RowCap
	}
	if d.Second && (beyond(d.AskAbove) || d.AskAbove == 0) {
		out.Effect, out.Second, out.AskAbove = act.Ask, true, d.AskAbove
	}
	return out, kept
}

// offSite says what the register of terminals, folded from the same ledger, let
// be done outside the office then.
func (s *simulation) offSite(r *act.Request, by *sekisho.SessionOpened, at sekisho.Time) {
	if s.terminals == nil || !by.Verified {
		return
	}
	r.OffSiteReady = s.terminals.OffsiteReady(by.Endpoint, at) == ""
	for _, p := range s.terminals.Permits() {
		if p.State(at) == "approved" && p.Body.From <= at && p.Body.Person == by.Principal && p.Body.Endpoint == by.Endpoint {
			r.Permits |= p.Body.Categories
		}
	}
}

func (s *simulation) placeOf(a netip.Addr) act.Place {
	if len(s.office) == 0 && s.gate != nil {
		return s.gate.Policy.PlaceOf(a)
	}
	return act.PlaceOf(a, s.office, nil)
}

func (s *simulation) nameOf(staff uint32) string {
	if s.vault != nil {
		if name, ok := s.vault.Space("staff").Key(staff); ok && (s.names || s.gate != nil && inConfig(s.gate, name)) {
			return name
		}
	}
	s.total.unnamed = true
	return s.words.Say("cmd.principal", staff)
}

// inConfig: the config says the name in plain, so that nobody learns it here.
func inConfig(g *gate.Config, name string) bool {
	return slices.ContainsFunc(g.Principals, func(p gate.Principal) bool { return p.Name == name })
}
