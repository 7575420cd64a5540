package house

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"sekisho/console"
	"sekisho/duty"
)

// Training lists courses and plans.
func (c *Caller) Training(ctx context.Context) (p console.TrainingPage, err error) {
	return p, c.tell(ctx, "/api/training", nil, &p)
}

// TrainingPlan shows a plan, with the people of a state, within a unit.
func (c *Caller) TrainingPlan(ctx context.Context, number uint64, show, within string) (p console.TrainingPlanPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/training/%d?%s", number, url.Values{"show": {show}, "within": {within}}.Encode()), nil, &p)
}

// PlanTraining plans, or says what a plan would be.
func (c *Caller) PlanTraining(ctx context.Context, ask console.TrainingAsk) (d console.TrainingDraft, err error) {
	return d, c.tell(ctx, "/api/training", ask, &d)
}

// ChangeTraining changes a plan. It stands when it returns.
func (c *Caller) ChangeTraining(ctx context.Context, number uint64, act console.TrainingAct) (p console.TrainingPlanPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/training/%d", number), act, &p)
}

// JudgeTraining countersigns completions, or takes them back.
func (c *Caller) JudgeTraining(ctx context.Context, verdict console.TrainingVerdict) error {
	var done struct{ Judged int }
	return c.tell(ctx, "/api/training/judge", verdict, &done)
}

// ImportTraining takes completions of another system over, or says what it would
// take.
func (c *Caller) ImportTraining(ctx context.Context, system string, declared, dry bool, csv io.Reader) (out duty.Imported, err error) {
	path := "/api/training/import?" + url.Values{"system": {system}, "declared": {strconv.FormatBool(declared)}, "dry_run": {strconv.FormatBool(dry)}}.Encode()
	return out, c.post(ctx, path, "text/csv", csv, func(r io.Reader) error { return json.NewDecoder(r).Decode(&out) })
}
