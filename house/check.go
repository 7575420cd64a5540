package house

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"sekisho"
	"sekisho/console"
)

// unitsAt are the companies and departments of the directory at a time.
func (h *House) unitsAt(t sekisho.Time) (list []console.UnitLine) {
	for _, kind := range []string{"company", "department"} {
		for u := range h.Directory.UnitsAt(kind, t) {
			list = append(list, console.UnitLine{Space: "unit", Ordinal: u.Unit, Name: h.nameOf("unit", u.Unit), Title: h.nameOf("said", u.Title)})
		}
	}
	return list
}

// Checks lists checks and findings; of all nouns if noun is empty.
func (c *Caller) Checks(ctx context.Context, noun string) (p console.ChecksPage, err error) {
	return p, c.tell(ctx, "/api/checks?noun="+url.QueryEscape(noun), nil, &p)
}

// Check is one check.
func (c *Caller) Check(ctx context.Context, number uint64) (p console.CheckPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/checks/%d", number), nil, &p)
}

// PlanCheck plans one.
func (c *Caller) PlanCheck(ctx context.Context, a console.CheckPlan) (p console.CheckPage, err error) {
	return p, c.tell(ctx, "/api/checks", a, &p)
}

// ActOnCheck does one thing with a check.
func (c *Caller) ActOnCheck(ctx context.Context, number uint64, act string, a console.CheckAct) (p console.CheckPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/checks/%d/%s", number, act), a, &p)
}

// Finding is one finding.
func (c *Caller) Finding(ctx context.Context, number uint64) (p console.FindingPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/findings/%d", number), nil, &p)
}

// ActOnFinding does one thing about a finding.
func (c *Caller) ActOnFinding(ctx context.Context, number uint64, act string, a console.CheckAct) (p console.FindingPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/findings/%d/%s", number, act), a, &p)
}

// Asset shows an asset of the register, after one step towards its end if a says so.
func (c *Caller) Asset(ctx context.Context, name string, a console.AssetAct) (p console.ThingPage, err error) {
	return p, c.tell(ctx, "/api/assets?name="+url.QueryEscape(name), a, &p)
}

// TakeIn sends a file to one of the registers' doors. With dry nothing is written.
func (c *Caller) TakeIn(ctx context.Context, api string, file io.Reader, dry bool) (t console.Taken, err error) {
	if dry {
		api += "&dry_run=1"
	}
	return t, c.post(ctx, api, "application/octet-stream", file, func(r io.Reader) error { return json.NewDecoder(r).Decode(&t) })
}

// Register writes a register to w as CSV.
func (c *Caller) Register(ctx context.Context, noun string, w io.Writer) error {
	return c.send(ctx, "GET", "/api/registers?form=csv&noun="+url.QueryEscape(noun), "", nil, func(r io.Reader) error {
		_, err := io.Copy(w, r)
		return err
	})
}
