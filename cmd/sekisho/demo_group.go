package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sekisho/console"
	"sekisho/demo"
	"sekisho/house"
)

// groupSize is how many people the demo's group has: few enough to look at, enough
// for departments whose figures may be shown.
const groupSize = 240

// The policy that the demo's group gives itself, not yet approved.
var (
	//go:embed demo_policy.ja.md
	demoPolicyJa string
	//go:embed demo_policy.en.md
	demoPolicyEn string
)

// promise gives the live house people who owe something, once: the table of staff
// is read, the call centre is to take a course, and a policy waits for its approval. All
// of it goes through the doors that anybody has.
func (d *demonstration) promise(ctx context.Context, live *doors) error {
	caller, err := house.Call(ctx, live.house.Config.Data)
	if err != nil {
		return err
	}
	defer caller.Close()
	now, err := caller.Directory(ctx, "")
	if err != nil {
		return err
	}
	if now.People > 0 || d.kept {
		return nil
	}
	table := demo.Staff(d.seed, groupSize)
	if err := os.WriteFile(filepath.Join(d.dir, "staff.csv"), table, 0o600); err != nil {
		return fmt.Errorf("writing the demo's table of staff: %w", err)
	}
	plan, err := caller.ImportDirectory(ctx, console.DirectoryImport{Source: "staff"}, bytes.NewReader(table))
	if err == nil && plan.Refusal != "" {
		err = fmt.Errorf("%s", plan.Refusal)
	}
	if err != nil {
		return fmt.Errorf("reading the demo's table of staff: %w", err)
	}
	due := time.Now().AddDate(0, 0, 45).Format(time.DateOnly)
	if _, err := caller.PlanTraining(ctx, console.TrainingAsk{Course: "suspicious-mail", Whom: "department/0001/" + demo.CallCentreUnit, Due: due, Reason: "the demo's first course"}); err != nil {
		return fmt.Errorf("planning the demo's course: %w", err)
	}
	if _, err := caller.WriteDocument(ctx, console.DocumentAsk{Name: "basic-policy", Sort: "policy", Japanese: demoPolicyJa, English: demoPolicyEn, Public: true, Acknowledge: true, Owner: "sato"}); err != nil {
		return fmt.Errorf("writing the demo's policy: %w", err)
	}
	return nil
}
