package duty

import (
	"fmt"
	"strings"
	"testing"

	"sekisho"
)

// Whoever administers a company is reminded of what their company owes, once a
// rung, and whoever stands in the table of responsibilities of the whole duty.
func TestCompaniesAreReminded(t *testing.T) {
	h := newBook(t, group())
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	row := h.b.Register().Duty("M5a")
	appoint := func(post string, u Unit, person uint32, deputy bool) {
		h.write("2026-04-02", &sekisho.PostChanged{Post: post, Space: u.Space, Unit: u.Ordinal, Person: person, Deputy: deputy, Action: "appointed", From: sekisho.Time(day("2026-04-02"))})
	}
	appoint("administrator", Unit{"unit", 1}, 2, false)
	appoint("administrator", Unit{"unit", 2}, 3, true)
	appoint("responsible", row.Unit(), 9, false)
	told := func(now string) string {
		var list []string
		calls, _ := h.b.Due(day(now))
		for _, c := range calls {
			if c.Duty == row {
				list = append(list, fmt.Sprintf("%s company %d person %d owes %d", c.Body.Role, c.Body.Company, c.Body.Person, c.Body.Open))
			}
			h.write(now, c.Body)
		}
		return strings.Join(list, ", ")
	}
	visit := func(at string, company uint32) {
		n := h.write(at, &sekisho.EvidenceStated{Evidence: "inspection_visit", Producer: "H", Space: "unit", Units: []uint32{company}, From: sekisho.Time(day(at)), Item: "inspection", By: 8})
		h.write(at, &sekisho.EvidenceSigned{Evidence: n, Action: "countersigned", By: 9})
	}
	for _, step := range []struct{ now, want string }{
		{"2026-12-01", ""},
		{"2027-02-10", "administrator company 1 person 2 owes 1, administrator company 2 person 3 owes 1, infosec_organisation company 0 person 9 owes 2"},
		{"2027-02-11", ""}, // once
		{"visited", ""},
		{"2027-03-10", "administrator company 2 person 3 owes 1, infosec_organisation company 0 person 9 owes 1"},
		{"2027-04-09", "ciso company 0 person 0 owes 1"}, // the approver hears of the whole
	} {
		if step.now == "visited" {
			visit("2027-02-20", 1)
			continue
		}
		if got := told(step.now); got != step.want {
			t.Errorf("on %s: %s, want %s", step.now, got, step.want)
		}
	}
}

// A person answers for what the config and the ledger give them: a role's duties,
// their company's part of each, and what they own; what waits comes first.
func TestChargesOfAPerson(t *testing.T) {
	h := newBook(t, group())
	h.b.setup.Config.Owners = map[string][]string{"procurement": {"sato"}}
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	h.write("2026-04-02", &sekisho.PostChanged{Post: "administrator", Space: "unit", Unit: 2, Person: 3, Action: "appointed", From: sekisho.Time(day("2026-04-02"))})
	h.write("2026-04-03", &sekisho.UnitListed{Population: "critical_system", Space: "thing", Unit: 7, Owner: 3, Action: "listed", From: sekisho.Time(day("2026-04-03"))})
	find := func(list []Charge, id string, u Unit) *Charge {
		for n := range list {
			if list[n].Duty.ID == id && list[n].Unit == u {
				return &list[n]
			}
		}
		return nil
	}
	is := func(account string) bool { return account == "sato" }
	list := h.b.Charges(3, is, day("2026-05-01"))
	if c := find(list, "P6a", Unit{}); c == nil || c.As != "role" {
		t.Errorf("the duty of a role: %+v", c)
	}
	if c := find(list, "M5a", Unit{"unit", 2}); c == nil || c.As != "administrator" || c.Tally.Open != 1 || c.Done() {
		t.Errorf("what a company owes: %+v", c)
	}
	if c := find(list, "M5a", Unit{"unit", 1}); c != nil {
		t.Errorf("somebody else's company: %+v", c)
	}
	if c := find(list, "P4c", Unit{"thing", 7}); c == nil || c.As != "owner" || c.Status != Open || c.Done() {
		t.Errorf("what one owns: %+v", c)
	}
	for n := 1; n < len(list); n++ {
		if list[n-1].Done() && !list[n].Done() {
			t.Errorf("what waits stands behind what is done: %v", list[n].Duty.ID)
		}
	}
	if list := h.b.Charges(4, func(string) bool { return false }, day("2026-05-01")); len(list) != 0 {
		t.Errorf("somebody without any: %d", len(list))
	}
}
