package act

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"sekisho"
)

// Effect is the strictest thing that a decision does, from the strictest on.
// The zero value refuses.
type Effect byte

const (
	Refuse Effect = 0
	Ask    Effect = 1 // a second person has to agree
	Cap    Effect = 2 // cut at a number of rows or customers
	Mask   Effect = 3
	Allow  Effect = 4
)

func (e Effect) String() string {
	switch e {
	case Ask:
		return "ask"
	case Cap:
		return "cap"
	case Mask:
		return "mask"
	case Allow:
		return "allow"
	}
	return "refuse"
}

// Masks says which categories are shown how. A category stands in one at most.
type Masks struct {
	Partial, Token, Blank sekisho.Categories
}

// Of is how a column of category c is shown: by the strictest mask, if c is
// several.
func (m Masks) Of(c sekisho.Categories) MaskKind {
	switch {
	case c&m.Blank != 0:
		return Blank
	case c&m.Token != 0:
		return Token
	case c&m.Partial != 0:
		return Partial
	}
	return Plain
}

// add masks one category.
func (m *Masks) add(c sekisho.Categories, k MaskKind) {
	if k <= m.Of(c) {
		return
	}
	m.Partial, m.Token, m.Blank = m.Partial&^c, m.Token&^c, m.Blank&^c
	switch k {
	case Partial:
		m.Partial |= c
	case Token:
		m.Token |= c
	case Blank:
		m.Blank |= c
	}
}

// With is both: of each category the stricter mask.
func (m Masks) With(n Masks) Masks {
	for rest := n.Partial | n.Token | n.Blank; rest != 0; rest &= rest - 1 {
		c := rest & -rest
		m.add(c, n.Of(c))
	}
	return m
}

// A Decision is what a policy says to a request. All of it is due, not only
// what Effect names. One decision may be shared: nobody may change it.
type Decision struct {
	Effect   Effect
	Masks    Masks
	RowCap   uint64 // no more rows than this; 0 is no limit
	Second   bool   // a second person has to agree
	AskAbove uint64 // with Second: so many rows go out without
	Budgets  []Budget

	Refused      sekisho.Categories // the categories for which it is refused
	Reason, Hint Text               // for the client; no personal value is in them
	Policies     []string           // the ids of the rules that decided

	words [Allow]*rule // whose words are those of an effect
}

// Words are what a client reads where one of the things that are due stops it:
// those of the rule that wants that, where Reason and Hint are of the strictest.
func (d *Decision) Words(e Effect) (reason, hint Text) {
	if int(e) < len(d.words) && d.words[e] != nil {
		return d.words[e].reason, d.words[e].hint
	}
	return d.Reason, d.Hint
}

// String writes a decision as the tables of tests do.
func (d *Decision) String() string {
	if d.Effect == Refuse {
		return "refuse"
	}
	var parts []string
	if m := d.Masks; m != (Masks{}) {
		list := "mask"
		for s := range slots {
			if k := m.Of(bitOf(s)); k != Plain {
				list += " " + string(categoryOf(s).ID) + "=" + k.String()
			}
		}
		parts = append(parts, list)
	}
	if d.RowCap != 0 {
		parts = append(parts, fmt.Sprintf("cap %d rows", d.RowCap))
	}
	for _, b := range d.Budgets {
		parts = append(parts, b.String())
	}
	switch {
	case d.Second && d.AskAbove > 0:
		parts = append(parts, fmt.Sprintf("ask above %d rows", d.AskAbove))
	case d.Second:
		parts = append(parts, "ask")
	}
	if parts == nil {
		return "allow"
	}
	return strings.Join(parts, ", ")
}

// Decide answers a request. It does no input or output, has no clock, and gives
// the same answer to the same request. If a rule cannot be evaluated the answer
// is a refusal that names it.
func (p *Policy) Decide(r Request) Decision {
	w := p.world(&r)
	var t tally
	r.each(func(verb, slot int) { t.add(w, verb, slot) })
	return t.decision(w.policy, &r)
}

// A tally gathers what the questions of a request come to.
type tally struct {
	broken, final *rule              // the first that failed, the first without a remedy
	refused       sekisho.Categories // by a final rule, or because no permit covers them
	uncovered     bool               // no permit covers one of the questions

	masks           Masks
	rowCap          uint64
	second          bool
	askAbove        uint64
	budgets         []Budget
	mask, cap, asks *rule // the first that wants the strictest of its kind

	decided, against set // the rules that decided, if it is not refused and if it is
}

// A set of rules, by their number.
type set [maxRules / 64]uint64

func (s *set) add(r *rule) { s[r.n/64] |= 1 << (r.n % 64) }

// ids lists a set in the order of the files.
func (p *Policy) ids(s *set) []string {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	ids := make([]string, 0, n)
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			ids = append(ids, p.rules[i*64+bits.TrailingZeros64(word)].id)
		}
	}
	return ids
}

// add asks one question.
func (t *tally) add(w *world, verb, slot int) {
	if slot < 0 {
		t.uncovered = true
		return
	}
	p, c := w.policy, bitOf(slot)
	w.request.Action, w.request.Resource = p.actions[verb], p.resources[slot]
	covered := false
	for r := range t.matching(w, p.index[verb][slot]) {
		switch {
		case r.permit:
			covered = true
			t.decided.add(r)
		case r.remedy.final():
			if t.final == nil {
				t.final = r
			}
			t.refused |= c
			t.against.add(r)
		default:
			t.remedied(r, c)
		}
	}
	if !covered {
		t.uncovered = true
		t.refused |= c
	}
}

// matching gives the rules that match, in their order. All are asked, so that
// an error in one is found even where another would have decided.
func (t *tally) matching(w *world, rules run) iter.Seq[*rule] {
	return func(yield func(*rule) bool) {
		if len(rules) == 0 {
			return
		}
		_, diagnostic := cedar.Authorize(rules, w, w.request)
		for _, failed := range diagnostic.Errors {
			for _, r := range rules {
				if r.id == string(failed.PolicyID) {
					if t.broken == nil {
						t.broken = r
					}
					t.against.add(r)
				}
			}
		}
		next := 0
		for _, reason := range diagnostic.Reasons {
			for rules[next].id != string(reason.PolicyID) {
				next++
			}
			if !yield(rules[next]) {
				return
			}
		}
	}
}

// remedied takes what a forbid asks for instead of refusing category c.
func (t *tally) remedied(r *rule, c sekisho.Categories) {
	t.decided.add(r)
	m := &r.remedy
	if m.mask != Plain {
		if t.mask == nil {
			t.mask = r
		}
		t.masks.add(c, m.mask)
	}
	switch {
	case m.ask:
		if !t.second || m.rows < t.askAbove {
			t.second, t.askAbove, t.asks = true, m.rows, r
		}
	case m.rows != 0 && (t.rowCap == 0 || m.rows < t.rowCap):
		t.rowCap, t.cap = m.rows, r
	}
	if m.budget != (Budget{}) && !slices.Contains(t.budgets, m.budget) {
		t.budgets = append(t.budgets, m.budget)
		if t.cap == nil {
			t.cap = r
		}
	}
}

func (t *tally) decision(p *Policy, r *Request) Decision {
	switch {
	case t.broken != nil:
		return Decision{Effect: Refuse, Refused: r.Categories, Reason: brokenReason(t.broken.id), Hint: brokenHint, Policies: p.ids(&t.against)}
	case t.final != nil:
		return Decision{Effect: Refuse, Refused: t.refused, Reason: t.final.reason, Hint: t.final.hint, Policies: p.ids(&t.against)}
	case t.uncovered:
		return Decision{Effect: Refuse, Refused: t.refused, Reason: uncoveredReason(r, t.refused), Hint: p.uncoveredHint(r.Role)}
	}
	d := Decision{Effect: Allow, Masks: t.masks, RowCap: t.rowCap, Second: t.second, AskAbove: t.askAbove, Budgets: t.budgets, Policies: p.ids(&t.decided)}
	d.words = [Allow]*rule{Ask: t.asks, Cap: t.cap, Mask: t.mask}
	for e, by := range d.words {
		if by != nil {
			d.Effect, d.Reason, d.Hint = Effect(e), by.reason, by.hint
			break
		}
	}
	return d
}

// The policy's own words, for what no rule says.

func brokenReason(id string) Text {
	return Text{
		En: "the rule " + id + " of the policy could not be evaluated, so nothing is released",
		Ja: "ポリシーの規則 " + id + " を評価できないため、開示しません",
	}
}

var brokenHint = Text{
	En: "Tell whoever keeps the policy; sekisho policy explain shows the error.",
	Ja: "ポリシーの管理者に連絡してください。sekisho policy explain で原因を確認できます。",
}

func uncoveredReason(r *Request, refused sekisho.Categories) Text {
	data := refused.String()
	if data == "" {
		data = "public"
	}
	data = strings.ReplaceAll(data, ",", ", ")
	return Text{
		En: "no rule of the policy lets this session " + verbEn(r.Verb) + " data of category " + data,
		Ja: "このセッションによる区分 " + data + " の" + verbJa(r.Verb) + "を許可する規則がありません",
	}
}

// uncoveredHint says what the client can do; where no rule is about the role at
// all that is nothing.
func (p *Policy) uncoveredHint(role string) Text {
	if p.Silent(role) {
		return Text{
			En: "No rule of the policy is about the role " + role + ": whoever keeps the policy has to write one (sekisho doctor lists such roles).",
			Ja: "役割 " + role + " についての規則がポリシーにありません。ポリシーの管理者に追加を依頼してください（sekisho doctor で確認できます）。",
		}
	}
	return uncoveredHint
}

var uncoveredHint = Text{
	En: "Leave out columns of these categories, state the purpose of your work with SET sekisho.purpose, or come from a terminal with a certificate.",
	Ja: "該当区分の列を除くか、SET sekisho.purpose で業務目的を指定するか、証明書のある端末から接続してください。",
}

func verbEn(v sekisho.Verb) string {
	if v < sekisho.Read || v > sekisho.Export {
		return "do what cannot be told with"
	}
	return v.String()
}

func verbJa(v sekisho.Verb) string {
	switch v {
	case sekisho.Read:
		return "参照"
	case sekisho.Insert:
		return "追加"
	case sekisho.Update:
		return "更新"
	case sekisho.Delete:
		return "削除"
	case sekisho.Export:
		return "出力"
	}
	return "内容を判別できない操作"
}
