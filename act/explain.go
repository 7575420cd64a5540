package act

import (
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	tree "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// An Explanation is a decision with its grounds.
type Explanation struct {
	Decision  Decision
	Questions []Question
}

// A Question is one action on one category, as Cedar was asked.
type Question struct {
	Verb     string   `json:"verb"`
	Category string   `json:"category"` // "public" for none
	Deciding []Ground `json:"deciding"`
	Near     []Ground `json:"near"` // rules that all but one of their conditions fit
}

// A Ground is one rule, and what it did or would have done.
type Ground struct {
	ID     string `json:"id"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Permit bool   `json:"permit"`
	Does   string `json:"does"`            // "permit", "forbid", or what is due instead
	But    string `json:"but,omitempty"`   // of a near one: the condition that does not hold, in Cedar
	Error  string `json:"error,omitempty"` // the rule could not be evaluated
}

// Explain decides a request, and says why. It costs much more than Decide.
func (p *Policy) Explain(r Request) Explanation {
	e := Explanation{Decision: p.Decide(r)}
	w := p.world(&r)
	r.each(func(verb, slot int) {
		if slot < 0 {
			return
		}
		q := Question{Verb: string(p.actions[verb].ID), Category: string(p.resources[slot].ID)}
		w.request.Action, w.request.Resource = p.actions[verb], p.resources[slot]
		for _, rule := range p.index[verb][slot] {
			g := rule.ground()
			_, diagnostic := cedar.Authorize(run{rule}, w, w.request)
			switch {
			case len(diagnostic.Errors) > 0:
				g.Error = diagnostic.Errors[0].Message
				q.Deciding = append(q.Deciding, g)
			case len(diagnostic.Reasons) > 0:
				q.Deciding = append(q.Deciding, g)
			default:
				if but, ok := w.nearly(rule); ok {
					g.But = but
					q.Near = append(q.Near, g)
				}
			}
		}
		e.Questions = append(e.Questions, q)
	})
	return e
}

func (r *rule) ground() Ground {
	g := Ground{ID: r.id, File: r.file, Line: r.line, Permit: r.permit}
	switch {
	case r.permit:
		g.Does = "permit"
	case r.remedy.final():
		g.Does = "forbid"
	default:
		d := Decision{Effect: Cap, RowCap: r.remedy.rows, Second: r.remedy.ask}
		if r.remedy.ask {
			d.RowCap, d.AskAbove = 0, r.remedy.rows
		}
		if r.remedy.budget != (Budget{}) {
			d.Budgets = []Budget{r.remedy.budget}
		}
		var parts []string
		if r.remedy.mask != Plain {
			parts = append(parts, "mask "+r.remedy.mask.String())
		}
		if s := d.String(); s != "allow" {
			parts = append(parts, s)
		}
		g.Does = strings.Join(parts, ", ")
	}
	return g
}

// nearly: all of a rule's conditions hold but one, and somebody could change
// that: with another role or post or, where that only forbids, another context.
// Conditions behind one that cannot be evaluated are not asked, as Cedar would
// not.
func (w *world) nearly(r *rule) (but string, ok bool) {
	for _, c := range conditions(r.cedar) {
		allow, diagnostic := cedar.Authorize(run{{id: r.id, match: c.match}}, w, w.request)
		switch {
		case len(diagnostic.Errors) > 0:
			return "", false
		case allow == cedar.Allow:
			continue
		case ok || !c.context && !(c.principal && r.permit):
			return "", false
		}
		but, ok = c.text, true
	}
	return but, ok
}

// A condition is one part of a rule that must hold.
type condition struct {
	text               string
	match              *cedar.Policy // permits where it holds
	principal, context bool          // what it speaks of
}

// conditions takes a rule apart: what its scope says of the principal, and
// each part of its conditions that is joined to the others by &&. The rest of
// the scope holds wherever the rule is asked.
func conditions(p *cedar.Policy) (list []condition) {
	whole := (*tree.Policy)(p.AST())
	if _, all := whole.Principal.(tree.ScopeTypeAll); !all {
		part := tree.Permit()
		part.Principal = whole.Principal
		alone := cedar.NewPolicyFromAST((*ast.Policy)(part))
		// It is written as permit ( / principal … , / action, / resource / ).
		text := strings.TrimSuffix(strings.TrimSpace(strings.Split(string(alone.MarshalCedar()), "\n")[1]), ",")
		list = append(list, condition{text: text, match: alone, principal: true})
	}
	for _, c := range whole.Conditions {
		bodies := []tree.IsNode{c.Body}
		if c.Condition == tree.ConditionWhen {
			bodies = conjuncts(c.Body)
		}
		for _, body := range bodies {
			part := tree.Permit()
			part.Conditions = []tree.ConditionType{{Condition: c.Condition, Body: body}}
			one := condition{match: cedar.NewPolicyFromAST((*ast.Policy)(part))}
			tree.Inspect(tree.NewNode(body), func(n tree.IsNode) bool {
				if v, ok := n.(tree.NodeTypeVariable); ok {
					one.principal = one.principal || v.Name == "principal"
					one.context = one.context || v.Name == "context"
				}
				return true
			})
			text := string(one.match.MarshalCedar())
			text = text[strings.Index(text, "{")+1 : strings.LastIndex(text, "}")]
			one.text = strings.Join(strings.Fields(text), " ")
			if c.Condition == tree.ConditionUnless {
				one.text = "not (" + one.text + ")"
			}
			list = append(list, one)
		}
	}
	return list
}

func conjuncts(n tree.IsNode) []tree.IsNode {
	if and, ok := n.(tree.NodeTypeAnd); ok {
		return append(conjuncts(and.Left), conjuncts(and.Right)...)
	}
	return []tree.IsNode{n}
}
