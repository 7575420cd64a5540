package house

import (
	"context"

	"sekisho/console"
)

// Budgets lists who has used how much of which budget.
func (c *Caller) Budgets(ctx context.Context) (p console.BudgetsPage, err error) {
	return p, c.tell(ctx, "/api/budgets", nil, &p)
}
