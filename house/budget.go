package house

import (
	"context"

	"sekisho/budget"
	"sekisho/console"
	"sekisho/gate"
)

// limit has the budgets of the policy's rules counted from the first entry on. A
// policy that cannot be read has none: the gate does not open with it.
func (h *House) limit() {
	dir := h.Config.Gate.Policy.Dir
	if dir == "" {
		return
	}
	set, err := gate.ReadPolicy(dir)
	if err != nil {
		return
	}
	report, err := set.Check(h.Config.Gate.PolicyConfig(&h.Config.Catalog))
	if err != nil || report.Policy == nil {
		return
	}
	for _, b := range report.Policy.Budgets() {
		h.Budgets.Under(budget.Limit{Customers: b.Customers, Within: b.Window})
	}
}

// Budgets lists who has used how much of which budget.
func (c *Caller) Budgets(ctx context.Context) (p console.BudgetsPage, err error) {
	return p, c.tell(ctx, "/api/budgets", nil, &p)
}
