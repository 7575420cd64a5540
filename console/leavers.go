package console

import (
	"cmp"
	"fmt"
	"slices"

	"sekisho"
)

// A Leaver is a door that still opens for somebody who has left by the directory.
type Leaver struct {
	What   string       `json:"what"` // "login": of the gate; "account": of the console; "terminal": of whom an MDM says that they hold it; "permit": to take information out of the office
	Name   string       `json:"name"` // of the login, account or terminal
	Person string       `json:"person"`
	Left   sekisho.Time `json:"left"`
}

// leavers are all doors that open for somebody who has left.
func (c *Console) leavers() (list []Leaver) {
	if c.cfg.Directory == nil {
		return nil
	}
	now := sekisho.At(c.cfg.Now())
	note := func(what, name string, staff uint32) {
		if staff == 0 || c.cfg.Directory.Person(staff, now) != nil {
			return
		}
		if last := c.cfg.Directory.Last(staff, now); last != nil && last.Left != 0 && last.Left <= now {
			list = append(list, Leaver{what, name, c.named("staff", staff), last.Left})
		}
	}
	find := func(name string) uint32 {
		o, _ := c.cfg.Vault.Space("staff").Find(name)
		return o
	}
	for _, name := range c.cfg.Logins {
		note("login", name, find(name))
	}
	for _, u := range c.users.list() {
		before := len(list)
		for _, name := range append([]string{u.Name}, u.Also...) {
			if len(list) == before { // one line for each account
				note("account", u.Name, find(name))
			}
		}
	}
	if c.cfg.Checks != nil {
		c.cfg.Views.Read(func() {
			for _, t := range c.cfg.Checks.Terminals() {
				if t.Posture != nil {
					note("terminal", t.Endpoint, t.Posture.Holder)
				}
			}
			for _, p := range c.cfg.Checks.Permits() {
				if p.State(now) == "approved" {
					note("permit", p.Body.Endpoint, p.Body.Person)
				}
			}
		})
	}
	slices.SortFunc(list, func(a, b Leaver) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Person, b.Person))
	})
	return slices.Compact(list)
}

func (c *Console) controlLeavers(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/directory/leavers", maxForm, func(v *visit) (any, error) {
		if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
			return nil, fmt.Errorf("answering a command: %w", err)
		}
		return append([]Leaver{}, c.leavers()...), nil
	})
}
