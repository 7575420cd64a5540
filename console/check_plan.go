package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// What is to be looked at, of what, and by when.

// A CheckPlan plans a check.
type CheckPlan struct {
	Noun      string   `json:"noun"`
	Units     []string `json:"units"` // of things without the noun in front
	Checklist string   `json:"checklist,omitempty"`
	Due       string   `json:"due"`
	Lead      string   `json:"lead,omitempty"`  // default: who plans
	Other     string   `json:"other,omitempty"` // who answers for the other side
	Expert    string   `json:"expert,omitempty"`
	Scope     string   `json:"scope,omitempty"`
}

const maxUnits = 500

// unitsFor are what a check of a noun can be about.
func (c *Console) unitsFor(n duty.Noun) (list []UnitLine) {
	switch n.Space {
	case "unit":
		return c.unitsNow()
	case "instrument":
		for _, name := range duty.Shipped() {
			u := duty.UnitOf(name)
			list = append(list, UnitLine{Space: u.Space, Name: name, Ordinal: u.Ordinal})
		}
		return list
	}
	c.cfg.Views.Read(func() {
		for _, t := range c.cfg.Checks.Things(n.Of) {
			if !t.Retired() {
				l := c.unitLine("thing", t.Ordinal)
				l.Name = strings.TrimPrefix(l.Name, n.Of+"/")
				list = append(list, l)
			}
		}
	})
	return list
}

// unit is the ordinal of what somebody named. Things must stand in their
// register, and units in the directory if there is one.
func (c *Console) unit(space, of, name string) (uint32, error) {
	if name = strings.TrimSpace(name); name == "" || len(name) > 200 {
		return 0, fail(http.StatusBadRequest, "checks_unit", name)
	}
	if space == "thing" {
		o, known := c.cfg.Vault.Space("thing").Find(of + "/" + name)
		there := false
		c.cfg.Views.Read(func() {
			t := c.cfg.Checks.Thing(o)
			there = t != nil && !t.Retired()
		})
		if !known || !there {
			return 0, fail(http.StatusNotFound, "checks_thing", name)
		}
		return o, nil
	}
	if space == "instrument" {
		if !slices.Contains(duty.Shipped(), name) {
			return 0, fail(http.StatusNotFound, "checks_thing", name)
		}
		return duty.UnitOf(name).Ordinal, nil
	}
	if list := c.unitsNow(); len(list) > 0 {
		for _, u := range list {
			if _, code, _ := strings.Cut(u.Name, "/"); u.Name == name || code == name || u.Title == name {
				return u.Ordinal, nil
			}
		}
		return 0, fail(http.StatusNotFound, "checks_unit", name)
	}
	o, known := c.cfg.Vault.Space("unit").Find(name)
	if !known {
		if o = c.cfg.Vault.Space("unit").OfText([]byte(name)); o == 0 {
			return 0, fmt.Errorf("naming a unit: the vault takes no more")
		}
	}
	return o, nil
}

// planCheck records what is to be looked at. Its number is what it returns.
func (c *Console) planCheck(v *visit, a CheckPlan) (uint64, error) {
	if err := c.checksReady(); err != nil {
		return 0, err
	}
	n, ok := duty.NounOf(a.Noun)
	if !ok {
		return 0, fail(http.StatusBadRequest, "checks_noun", a.Noun)
	}
	b := &sekisho.CheckPlanned{Noun: n.Name, Space: n.Space, By: v.who.staff}
	if n.Of == assetNoun && len(a.Units) == 1 && strings.TrimSpace(a.Units[0]) == "*" {
		a.Units = c.allAssets()
	}
	for _, name := range a.Units {
		if strings.TrimSpace(name) == "" {
			continue
		}
		o, err := c.unit(n.Space, n.Of, name)
		if err != nil {
			return 0, err
		}
		if !slices.Contains(b.Units, o) {
			b.Units = append(b.Units, o)
		}
	}
	if len(b.Units) == 0 || len(b.Units) > maxUnits {
		return 0, fail(http.StatusBadRequest, "checks_units")
	}
	list := c.cfg.Checklists.Named(a.Checklist)
	if own := c.cfg.Checklists.Of(n.Name); a.Checklist == "" && len(own) > 0 {
		list = own[0]
	}
	if list == nil && a.Checklist != "" || list != nil && list.Noun != n.Name {
		return 0, fail(http.StatusBadRequest, "checks_list", a.Checklist)
	}
	if list != nil {
		b.Checklist, b.Edition, b.SHA256 = list.Name, list.Edition, list.SHA256
		b.Items, b.Must = list.Items()
		if b.Document = c.cfg.Vault.Space("document").OfText(list.Text); b.Document == 0 {
			return 0, fmt.Errorf("keeping a checklist: the vault takes no more")
		}
	}
	var err error
	if b.Due, err = c.moment(v, a.Due); err != nil {
		return 0, err
	}
	if b.Due == 0 {
		return 0, fail(http.StatusBadRequest, "checks_due")
	}
	if b.Lead, err = c.account(a.Lead); err != nil {
		return 0, err
	}
	if b.Lead == 0 {
		b.Lead = v.who.staff
	}
	if b.Other, err = c.account(a.Other); err != nil {
		return 0, err
	}
	if b.Other != 0 && c.onePerson(b.Lead, b.Other) {
		return 0, fail(http.StatusBadRequest, "checks_two")
	}
	if n.Expert && strings.TrimSpace(a.Expert) == "" {
		return 0, fail(http.StatusBadRequest, "checks_expert")
	}
	if b.Expert, err = c.write(a.Expert); err != nil {
		return 0, err
	}
	if len(a.Scope) > maxSaid || len(a.Expert) > maxSaid {
		return 0, fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	if b.Scope, err = c.write(a.Scope); err != nil {
		return 0, err
	}
	return c.enter(v, b)
}

// enter appends an entry, and returns when the pages know it.
func (c *Console) enter(v *visit, b sekisho.Body) (uint64, error) {
	id, err := c.cfg.Ledger.Append(v.r.Context(), b)
	if err != nil {
		return 0, notRecorded(err)
	}
	return id.Seq, c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

func (c *Console) planCheckForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := CheckPlan{Noun: f.Get("noun"), Checklist: f.Get("checklist"), Due: f.Get("due"), Lead: f.Get("lead"), Other: f.Get("other"), Expert: f.Get("expert"), Scope: f.Get("scope")}
	for _, field := range f["units"] {
		a.Units = append(a.Units, strings.FieldsFunc(field, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == '、' })...)
	}
	n, err := c.planCheck(v, a)
	if err != nil {
		return nil, err
	}
	return c.seeCheck(v, n, "")
}

func (c *Console) seeCheck(v *visit, number uint64, anchor string) (page, error) {
	if wantsJSON(v.r) {
		return c.checkPage(v, number)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/checks/%d%s", number, anchor), http.StatusSeeOther)
	return nil, errDone
}
