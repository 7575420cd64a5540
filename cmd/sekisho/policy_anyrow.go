package main

import (
	"fmt"
	"io"

	"sekisho"
	"sekisho/act"
)

// anyRow is the word of a request about a statement that could be about anybody.
const anyRow = "any_row"

// anyRowAsked are the verbs that the policy is asked about such a statement.
func anyRowAsked(verb sekisho.Verb) []sekisho.Verb {
	if verb == 0 || verb == sekisho.Read || verb == sekisho.Export {
		return []sekisho.Verb{sekisho.Read}
	}
	return []sekisho.Verb{sekisho.Read, sekisho.Insert, sekisho.Update, sekisho.Delete}
}

// anyRowSays are the words about such a statement: that it runs, that it runs
// after a second person's yes, that it does not, and why a decision keeps it from
// running.
var anyRowSays = map[string]struct {
	runs, second, not string
	against           map[act.Effect]string
}{
	"en": {"it runs, recorded as if it were about everybody", "it runs once a second person has agreed to everybody", "it does not run: to %s, %s", map[act.Effect]string{
		act.Refuse: "it is refused",
		act.Mask:   "it would be masked, and nothing of such a statement is",
		act.Cap:    "it would be cut off, and nobody counts the customers of such a statement",
		act.Ask:    "a second person would have to agree, and cannot to what it writes",
	}},
	"ja": {"実行される（全員の情報として記録される）", "二人目が全員分に同意すれば実行される", "実行されない: %s は%s", map[act.Effect]string{
		act.Refuse: "拒否される",
		act.Mask:   "マスクの対象になるが、この種の文はマスクできない",
		act.Cap:    "途中で打ち切られるはずだが、この種の文の人数は数えられない",
		act.Ask:    "二人目の同意が要るが、書き込みには同意できない",
	}},
}

// explainAnyRow says what a policy makes of a statement that could be about
// anybody, for a role with any_row: true. Without categories it is of all.
func explainAnyRow(out io.Writer, policy *act.Policy, r act.Request, asJSON bool, lang string) error {
	if r.Categories == 0 {
		for _, c := range sekisho.AllCategories() {
			r.Categories |= c
		}
	}
	say := anyRowSays[lang]
	runs := say.runs
	var list []map[string]any
	var said []act.Explanation
	asked := anyRowAsked(r.Verb)
	for _, r.Verb = range asked {
		e := policy.Explain(r)
		d := &e.Decision
		said = append(said, e)
		against := d.AgainstAnyRow(r.Verb)
		if against != act.Allow {
			runs = fmt.Sprintf(say.not, r.Verb, say.against[against])
		} else if d.Second && len(said) == 1 {
			runs = say.second
		}
		list = append(list, map[string]any{"verb": r.Verb.String(), "decision": d.String(), "reason": d.Reason, "hint": d.Hint, "policies": append([]string{}, d.Policies...), "questions": e.Questions})
		if against != act.Allow {
			break
		}
	}
	if asJSON {
		return printJSON(out, map[string]any{"any_row": runs, "asked": list})
	}
	fmt.Fprintf(out, "%s\n", runs)
	for i := range said {
		fmt.Fprintf(out, "\n%s: ", asked[i])
		printExplanation(out, &said[i], lang)
	}
	return nil
}
