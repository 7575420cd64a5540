package console

import (
	"cmp"
	"slices"

	"sekisho"
)

// A RosterGap is somebody who stands in a roster of the config, and whom the
// directory does not have.
type RosterGap struct {
	Role   string `json:"role"`
	Person string `json:"person"`
	Left   bool   `json:"left"` // it had them once
	Say    string `json:"-"`    // the role in the visitor's language
}

// rosterGaps compares the CSIRT's rosters, and who is named as the owner of
// duties, with the directory of now. A directory without anybody says nothing.
func (c *Console) rosterGaps(t *tongue) (gaps []RosterGap) {
	if c.cfg.Directory == nil {
		return nil
	}
	now := sekisho.At(c.cfg.Now())
	here := map[uint32]bool{}
	for p := range c.cfg.Directory.PeopleAt(now) {
		here[p.Staff] = true
	}
	if len(here) == 0 {
		return nil
	}
	look := func(rosters map[string][]string) {
		for role, accounts := range rosters {
			for _, account := range accounts {
				staff, known := c.cfg.Vault.Space("staff").Find(account)
				gap := RosterGap{role, account, known && len(c.cfg.Directory.Past(staff)) > 0, t.code("role", role)}
				if c.cfg.Manual != nil {
					if r, ok := c.cfg.Manual.Role(role); ok {
						gap.Say = r.Say.In(t.Lang)
					}
				}
				if (!known || !here[staff]) && !slices.Contains(gaps, gap) {
					gaps = append(gaps, gap)
				}
			}
		}
	}
	if c.cfg.Manual != nil {
		look(c.cfg.Manual.Rosters())
	}
	if c.cfg.Duty != nil {
		look(c.cfg.Duty.Owners())
	}
	slices.SortFunc(gaps, func(a, b RosterGap) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Person, b.Person)) })
	return gaps
}
