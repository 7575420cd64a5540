package console

import (
	"strings"
	"testing"
	"time"

	"sekisho/budget"
)

// The page of budgets says with which gates they are shared, and at most what
// that could cost, in both languages.
func TestSharedBudgetsPage(t *testing.T) {
	use := budget.Use{Budget: "month", Subject: "member", Used: 60, Customers: 139, Within: budget.Span(30 * 24 * time.Hour), State: "free"}
	lent, taken := use, use
	lent.Lent = []budget.Lent{{Gate: 2, Share: 79, Used: 71, Lapsed: true}}
	taken.Taken = &budget.Taken{Share: 79, Until: 1_411_088_400_000_000}
	lines := []budgetLine{{Name: "month", Per: []string{"principal"}, Customers: 139, Within: "30d", AtEnd: "cut"}}
	issuer := &BudgetsPage{Budgets: lines, Fault: 79, Channel: Channel{Margin: budget.Span(time.Minute), Gates: []ChannelGate{{Number: 2, Name: "gate-2"}}}, Uses: []BudgetUse{{Use: lent}}}
	other := &BudgetsPage{Budgets: lines, Channel: Channel{From: &ChannelFrom{Number: 1, Name: "gate-1", Address: "10.0.0.5:7443", Error: "no route to host"}}, Uses: []BudgetUse{{Use: taken}}}
	for lang, want := range map[string][2][]string{
		"en": {{"Greatest overshoot: 0.", "at most 79 customers", "gate 2: 79, of which 71 used · lapsed"}, {"Gate 1 (gate-1, 10.0.0.5:7443) grants", "not reached", "no route to host", "share of 79 until"}},
		"ja": {{"超過の最大は0人", "79人まで", "関所2: 79人、うち使用71人 · 期限切れ"}, {"関所1（gate-1、10.0.0.5:7443）", "応答なし", "枠79人"}},
	} {
		press, err := newPress(tongueOf(t, lang))
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range []*BudgetsPage{issuer, other} {
			var out strings.Builder
			if err := press.pages[p.file()].ExecuteTemplate(&out, "body", p); err != nil {
				t.Fatal(err)
			}
			for _, words := range want[i] {
				if !strings.Contains(out.String(), words) {
					t.Errorf("%s: no %q in\n%s", lang, words, out.String())
				}
			}
		}
	}
}
