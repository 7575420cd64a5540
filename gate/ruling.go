package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/act"
)

// What the policy says of a statement: asked before it goes upstream, carried
// out then or while its rows come.

// rulings are the decisions about the statements of one message; nil where
// nothing is due.
type rulings struct {
	one  *ruling
	many []*ruling // of a text with several
}

func (r rulings) at(i int) *ruling {
	switch {
	case i < len(r.many):
		return r.many[i]
	case i == 0:
		return r.one
	}
	return nil
}

// A ruling is what is due of one statement while its rows come.
type ruling struct {
	*act.Decision
	asked act.Request
}

// asks fills in what the policy is asked about one statement of the session.
func (s *session) asks(r *act.Request, sp *stmtPlan) {
	*r = s.asking
	r.Time = sekisho.At(s.g.conf.Now())
	r.Verb, r.Tables, r.Categories = sp.judgement.Verb, sp.judgement.Tables, sp.asked
	if by := s.g.rules.postures.Load(); by != nil && r.Verified {
		r.Posture = (*by)[r.Endpoint]
	}
	if by := s.g.rules.offSite.Load(); by != nil && r.Verified {
		r.OffSiteReady = by.Ready[r.Endpoint]
		r.Permits = by.Permits[Permitted{r.Principal, r.Endpoint}]
	}
}

// rule asks the policy about the statements of a text that is over protected
// data. The text is refused if one of them is.
//
// What is masked stands in the text: may says that it can still be changed, as
// that of a Query.
func (s *session) rule(p *plan, may bool, t *strand) (*plan, rulings) {
	policy := s.g.rules.policy.Load()
	if policy == nil {
		return p, rulings{}
	}
	var out rulings
	var due act.Masks
	var by *refusal // in the words of the first that wants a mask
	for i, sp := range p.stmts {
		if sp.kind == planFree {
			continue
		}
		var r act.Request
		s.asks(&r, sp)
		if why := s.mayTell(policy, sp, r); why != nil {
			return p.refusedWith(why), rulings{}
		}
		d := sp.memo.Decide(policy, &r)
		if sp.observe {
			if d.Effect != act.Allow {
				s.tell(sp, &r, d, uint64(i))
			}
			continue
		}
		if sp.bounded {
			if why := s.mayReach(policy, sp, &r, d); why != nil {
				return p.refusedWith(why), rulings{}
			}
			s.tell(sp, &r, d, uint64(i))
			out.one = &ruling{Decision: d, asked: r}
			continue
		}
		if why := s.refuses(sp, &r, d); why != nil {
			return p.refusedWith(why), rulings{}
		}
		if sp.asked != sp.shown || d.Masks != (act.Masks{}) {
			s.tell(sp, &r, d, uint64(i))
		}
		if d.Effect == act.Allow {
			continue
		}
		if slices.Contains(p.named, sp) && d.Masks != sp.masks {
			return p.refusedWith(remasked), rulings{}
		}
		if d.Masks != (act.Masks{}) && !slices.Contains(p.named, sp) {
			due = due.With(d.Masks)
			if by == nil {
				by = s.ruled("policy_mask", act.Mask, sp, &r, d)
			}
		}
		one := &ruling{Decision: d, asked: r}
		if len(p.stmts) == 1 {
			out.one = one
			continue
		}
		if out.many == nil {
			out.many = make([]*ruling, len(p.stmts))
		}
		out.many[i] = one
	}
	if due != p.masks {
		if !may {
			return p.refusedWith(remasked), rulings{}
		}
		if p = s.g.planMasked(s, p.original, due, t); p.simple != nil {
			p = p.simple
		}
	}
	if p.refuse == nil && p.unmaskable != "" {
		by.hint = p.unmaskable
		return p.refusedWith(by), rulings{}
	}
	return p, out
}

// refuses says why a statement may not begin, or nil. One that only reads and
// needs a second person may: it is held up at its first row, where there is one,
// since only then is an approval spent.
func (s *session) refuses(sp *stmtPlan, r *act.Request, d *act.Decision) *refusal {
	switch {
	case d.Effect == act.Refuse:
		return s.ruled("policy_refused", act.Refuse, sp, r, d)
	case len(d.Budgets) > 0 && s.g.budgets == nil: // nobody counts
		return s.ruled("policy_customers", act.Cap, sp, r, d)
	case d.Second && d.AskAbove == 0 && r.Verb != sekisho.Read && r.Verb != sekisho.Export:
		return s.ruled("policy_second", act.Ask, sp, r, d)
	}
	return nil
}

// ruled is what a client reads of a decision against it.
func (s *session) ruled(code string, by act.Effect, sp *stmtPlan, r *act.Request, d *act.Decision) *refusal {
	reason, hint := d.Words(by)
	lang := s.g.conf.Policy.Language
	if !s.utf8.Load() || s.wants.isForeign() {
		lang = "en"
	}
	entry := s.entryOf(sp, r, d)
	entry.ReasonEn, entry.ReasonJa = reason.En, reason.Ja
	return &refusal{code: "42501", reason: code, tables: r.Tables, text: inLanguage(lang, reason), hint: strings.TrimSpace(inLanguage(lang, hint) + because(sp, r, d, by)), ruled: entry}
}

// because names the columns that a decision is about, with their categories,
// in no language: " (crm.member.email: contact)".
func because(sp *stmtPlan, r *act.Request, d *act.Decision, by act.Effect) string {
	of := r.Categories
	switch {
	case by == act.Refuse && d.Refused != 0:
		of = d.Refused
	case by == act.Cap: // of rows or customers, whatever they show
		return ""
	case by == act.Mask:
		of = d.Masks.Partial | d.Masks.Token | d.Masks.Blank
	}
	var names []string
	for _, col := range sp.judgement.AskedColumns() {
		if c := sp.judgement.CategoriesOf([]string{col}) & of; c != 0 {
			names = append(names, col+": "+c.String())
		}
	}
	if more := len(names) - mostBecause; more > 0 {
		names = append(names[:mostBecause], fmt.Sprintf("+%d", more))
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, "; ") + ")"
}

// mostBecause is how many columns a hint names.
const mostBecause = 6

// entryOf is what the ledger says of a decision, without the session.
func (s *session) entryOf(sp *stmtPlan, r *act.Request, d *act.Decision) *sekisho.Ruled {
	e := &sekisho.Ruled{
		Statement: sp.statement, Verb: r.Verb, Tables: r.Tables, Categories: r.Categories, Enforced: !sp.observe,
		Decision: d.String(), Rules: d.Policies, ReasonEn: d.Reason.En, ReasonJa: d.Reason.Ja,
	}
	if r.Purpose != "" {
		e.Purpose = s.g.vault.Space("purpose").OfText([]byte(r.Purpose))
	}
	return e
}

func inLanguage(lang string, t act.Text) string {
	switch {
	case lang == "ja" && t.Ja != "":
		return t.Ja
	case lang == "both" && t.Ja != "" && t.En != "":
		return t.En + " / " + t.Ja
	}
	return t.En
}

// bounded puts what a ruling says of rows into an access that begins.
func (u *run) bounded(of *ruling) *run {
	u.left = math.MaxInt64
	if of == nil {
		return u
	}
	u.ruling = of
	if of.RowCap != 0 {
		u.left = int64(min(of.RowCap, math.MaxInt64))
	}
	if of.Second {
		u.left = min(u.left, int64(min(of.AskAbove, math.MaxInt64)))
		if !u.limit.on { // so that an approval counts all customers, from the first on
			u.limit.on, u.limit.most = true, math.MaxUint64
		}
	}
	return u
}

// endsAt is after how many rows the policy ends an access, whoever agrees to it; 0:
// it does not.
func (u *run) endsAt() uint64 {
	if u.ruling == nil {
		return 0
	}
	return u.ruling.RowCap
}

// beyond is called when a row comes that is one more than an access may have.
// nil: it may have it after all, because a second person has agreed.
func (r *replies) beyond(w *want, sp *stmtPlan, u *run) (why *refusal) {
	of := u.ruling
	if !of.Second || u.agreed || of.RowCap != 0 && of.RowCap <= of.AskAbove {
		return r.s.ruled("policy_rows", act.Cap, sp, &of.asked, of.Decision)
	}
	if u.limit.request == 0 {
		if r.t.wait(func() { why = r.s.spend(w, u, of) }); why != nil {
			return why
		}
	}
	u.agreed, u.left = true, math.MaxInt64
	if of.RowCap != 0 {
		u.left = int64(min(of.RowCap, math.MaxInt64) - of.AskAbove)
	}
	return nil
}

// told remembers what has been recorded within the hour.
type told struct {
	mu sync.Mutex
	at map[tellKey]time.Time
}

type tellKey struct {
	principal, statement uint32
	decision             *act.Decision
}

// mostTold bounds the memory of told; beyond it, things are recorded again.
const mostTold = 10_000

// fresh: this has not been told within an hour.
func (t *told) fresh(k tellKey, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, ok := t.at[k]; ok && now.Sub(last) < time.Hour {
		return false
	}
	if t.at == nil || len(t.at) >= mostTold {
		t.at = map[tellKey]time.Time{}
	}
	t.at[k] = now
	return true
}

// tell records, once an hour, what the policy decided about a statement that
// goes on: what would have been done, where it is only observed; and what was
// asked, where its Shape does not say all of it because columns are masked or
// only tested.
func (s *session) tell(sp *stmtPlan, r *act.Request, d *act.Decision, nth uint64) {
	if !s.g.rules.told.fresh(tellKey{s.principal, sp.statement, d}, s.g.conf.Now()) {
		return
	}
	e := s.entryOf(sp, r, d)
	e.Session, e.Number = s.id.Load(), s.number.Load()+1+nth
	s.g.note(e)
}
