package console

import (
	"strings"

	"sekisho"
	"sekisho/duty"
)

// next says what somebody has to do now about a duty that counts them.
func (t *tongue) next(d *duty.Duty, s duty.Status) string {
	switch s {
	case duty.Met, duty.Late:
		return t.say("my.next.done")
	case duty.Waived:
		return t.say("my.next.waived")
	case duty.NA:
		return t.say("my.next.na")
	case duty.Unknown:
		return t.say("my.next.unknown")
	}
	if key := "my.next." + d.Evidence[0].Kind; t.has(key) {
		return t.say(key)
	}
	return t.say("my.next.other", t.code("role", d.Owner))
}

// A DutyCharge is a duty, or one unit's part of it, for which somebody answers.
type DutyCharge struct {
	Name   string       `json:"name"`
	ID     string       `json:"id"`
	Title  string       `json:"title"`
	As     string       `json:"as"`             // a code in "dutyreg.as"
	Unit   string       `json:"unit,omitempty"` // empty: all of the duty
	Window string       `json:"window"`
	Until  sekisho.Time `json:"until"`
	Status string       `json:"status,omitempty"` // of one unit
	Figure *DutyFigure  `json:"figure,omitempty"` // of more
	Done   bool         `json:"done"`
}

// mostCharges is how many a page lists.
const mostCharges = 200

// charges are those of a person; says whether an account is theirs. The views
// stand still.
func charges(t *tongue, b *duty.Book, name func(duty.Unit) string, staff uint32, is func(string) bool, now int64) (list []DutyCharge) {
	for _, g := range b.Charges(staff, is, now) {
		one := DutyCharge{Name: g.Duty.Name(), ID: g.Duty.ID, Title: t.inst(g.Duty.Title), As: g.As, Window: g.Window.Name, Until: sekisho.Time(g.Window.Until), Done: g.Done()}
		if g.Unit != (duty.Unit{}) {
			one.Unit = name(g.Unit)
		}
		if g.As == "owner" {
			one.Status = g.Status.String()
		} else {
			f := figureOf(g.Tally)
			one.Figure = &f
		}
		if list = append(list, one); len(list) == mostCharges {
			break
		}
	}
	return list
}

func (c *Console) chargesOf(v *visit) (list []DutyCharge) {
	if c.cfg.Duty == nil {
		return nil
	}
	c.cfg.Views.Read(func() {
		list = charges(v.tongue, c.cfg.Duty, func(u duty.Unit) string { return c.unitName(v.tongue, u) }, v.who.staff, func(account string) bool { return c.same(v, account) }, c.cfg.Now().UnixMicro())
	})
	return list
}

// myDuties lists every obligation of the visitor, and what they answer for. What
// can be done at the door now is among lines, by what it proves.
func (d *StaffDoor) myDuties(v *staffVisit, lines map[string][]MyLine) (mine []MyDuty, charged []DutyCharge) {
	if d.Duty == nil {
		return nil, nil
	}
	now := d.Now().UnixMicro()
	name, _ := d.Vault.Space("staff").Key(v.who.staff)
	d.Views.Read(func() {
		for _, m := range d.Duty.Mine(v.who.staff, now) {
			one := MyDuty{ID: m.Duty.ID, Title: v.inst(m.Duty.Title), Say: v.inst(m.Duty.Cadence.Say), Until: sekisho.Time(m.Window.Until), Window: m.Window.Name, Status: duty.NA.String()}
			s := duty.NA
			if m.Now != nil {
				s = m.Now.Status
				one.Status, one.Owed, one.Steps = s.String(), m.Now.Owed, m.Steps
				one.Why = d.whyExcused(m.Now)
			}
			if m.Before != nil {
				one.Last, one.Before = m.Before.Status.String(), m.Last.Name
			}
			one.Next = v.next(m.Duty, s)
			if s == duty.Open || s == duty.Missed {
				for _, e := range m.Duty.Evidence {
					if list := lines[e.Kind]; one.To == "" && len(list) > 0 {
						one.To, one.Go, one.Next = list[0].To, list[0].Go, list[0].Title
					}
				}
				if one.To == "" && m.Duty.Evidence[0].Kind == "phish_result" && d.Lures != nil && len(d.Lures.Config.Domains) > 0 {
					one.To, one.Go = "/my/phishing", "report"
				}
			}
			mine = append(mine, one)
		}
		charged = charges(v.tongue, d.Duty, d.unitCalled(v), v.who.staff, func(account string) bool { return account == name }, now)
	})
	return mine, charged
}

// whyExcused is the reason of an exception.
func (d *StaffDoor) whyExcused(o *duty.Obligation) (why string) {
	if o.Waiver != nil {
		why, _ = d.Vault.Space("said").Key(o.Waiver.Body.Said)
	}
	return why
}

// unitCalled is what a unit is called.
func (d *StaffDoor) unitCalled(v *staffVisit) func(duty.Unit) string {
	return func(u duty.Unit) string {
		if w, ok := d.Duty.Register().Called(u); ok {
			return v.inst(w)
		}
		name, _ := d.Vault.Space(u.Space).Key(u.Ordinal)
		if _, short, ok := strings.Cut(name, "/"); ok {
			return short
		}
		return name
	}
}

// A MyDuty is one obligation of the visitor.
type MyDuty struct {
	ID, Title, Say string
	Until          sekisho.Time
	Window         string
	Status         string
	Owed, Steps    int
	Next           string // what to do now
	To, Go         string // where; empty: there is nothing to open
	Why            string // of an exception
	Last, Before   string // what became of the window that ended, and its name
}

// Bad: its time is over.
func (m MyDuty) Bad() bool { return m.Status == "MISSED" }

// Good: it is fulfilled.
func (m MyDuty) Good() bool { return m.Status == "MET" }

// End is the last moment in which it can be done.
func (m MyDuty) End() sekisho.Time { return m.Until - 1 }

// End is the last moment of its window.
func (g DutyCharge) End() sekisho.Time { return g.Until - 1 }

// End is the last moment of its window.
func (m DutyMine) End() sekisho.Time { return m.Until - 1 }
