package duty

import (
	"cmp"
	"slices"

	"sekisho"
)

// Mine is what one person owes now, and what they owed when the last window
// ended, by duty.
type Mine struct {
	Duty   *Duty
	Now    *Obligation // nil: nothing
	Steps  int         // done, of Now.Owed
	Window Window
	Before *Obligation
	Last   Window
	Done   []Proof
}

// Mine are the duties that count a person.
func (b *Book) Mine(staff uint32, now int64) (list []Mine) {
	u := Unit{"staff", staff}
	for _, d := range b.setup.Register.Duties() {
		if d.Kind != PerPerson {
			continue
		}
		judged := b.Judge(d, now)
		if len(judged) == 0 {
			continue
		}
		j := judged[len(judged)-1]
		m := Mine{Duty: d, Window: j.Window}
		if o, ok := b.Obligation(j, u); ok {
			m.Now, m.Steps = &o, b.stepsOf(d, judged, u, now)
		}
		if len(judged) > 1 {
			last := judged[len(judged)-2]
			if o, ok := b.Obligation(last, u); ok {
				m.Before, m.Last = &o, last.Window
			}
		}
		if m.Now == nil && m.Before == nil {
			continue
		}
		m.Done = b.Behind(d, u, j.Window)
		list = append(list, m)
	}
	return list
}

// stepsOf is how many of what a unit owes in the last of some windows are done:
// where the duty needs all kinds of evidence, of the kind of which the fewest are.
func (b *Book) stepsOf(d *Duty, list []*Judged, u Unit, now int64) int {
	least, lack := -1, 0
	last := list[len(list)-1]
	for _, part := range d.parts() {
		var p picker
		good, open := b.gather(part.specs, u, now, nil, nil)
		p.begin(part.cadence, good, open)
		need, steps := 0, 0
		for _, j := range list {
			n := j.place(u)
			if n < 0 {
				p.used = p.used[:0]
				continue
			}
			need = part.owed(d, j.present[n], j.Window)
			s, _ := p.window(j.Window, need, now)
			steps = p.partly(s, need)
		}
		switch {
		case part.among > 0 && steps < need:
			lack++
		case part.among == 0 && (least < 0 || steps < least):
			least = steps
		}
	}
	if n := last.place(u); n >= 0 {
		least = min(least, d.Cadence.owed(last.present[n], last.Window)-lack)
	}
	return max(0, least)
}

// A Charge is a duty, or one unit's part of it, for which a person answers.
type Charge struct {
	Duty   *Duty
	As     string // "role": by the config; "responsible", "deputy", "administrator": by the ledger; "owner": of what is listed
	Unit   Unit   // zero: all of the duty
	Window Window
	Status Status // of the unit
	Tally  Tally  // of the whole duty, or of the company
}

// Done: nothing is to be done about it now.
func (c *Charge) Done() bool {
	if c.Unit != (Unit{}) && c.Tally == (Tally{}) {
		return c.Status == Met || c.Status == NA || c.Status == Waived
	}
	return c.Tally.Open+c.Tally.Missed+c.Tally.Unknown+c.Tally.Late == 0 && c.Tally.Num == c.Tally.Den
}

// Charges are the duties for which a person answers: those of the roles that the
// config gives them, those that the table of responsibilities does, what
// companies owe whose administrator they are, and what they own. Those that wait
// come first. is tells whether an account of the config is theirs.
func (b *Book) Charges(staff uint32, is func(account string) bool, now int64) (list []Charge) {
	at := sekisho.Time(now)
	posts := map[Unit]string{}
	for _, p := range b.checks.posts {
		if x := p.Body; x.Person == staff && x.From <= at && (p.Until == 0 || at < p.Until) {
			as := x.Post
			if x.Deputy {
				as = "deputy"
			}
			posts[Unit{x.Space, x.Unit}] = as
		}
	}
	roles := map[string]bool{}
	for role, accounts := range b.setup.Config.Owners {
		roles[role] = slices.ContainsFunc(accounts, is)
	}
	for _, d := range b.setup.Register.Duties() {
		var l Line
		line := func() bool {
			ok := l.Head != nil
			if !ok {
				l, ok = b.Line(d, Scope{}, now)
			}
			return ok
		}
		as := posts[d.Unit()]
		if as == "" && roles[d.Owner] {
			as = "role"
		}
		if as != "" && line() {
			list = append(list, Charge{Duty: d, As: as, Window: l.Head.Window, Tally: l.Head.Total})
		}
		for u, as := range posts {
			if u.Space == "unit" && line() {
				if t := l.Head.Companies[u.Ordinal]; t != nil {
					list = append(list, Charge{Duty: d, As: as, Unit: u, Window: l.Head.Window, Tally: *t})
				}
			}
		}
		if one := b.listed[d.Population]; one != nil {
			for _, m := range one.members {
				if m.Owner != staff || m.Until != 0 && m.Until <= now || !line() {
					continue
				}
				if o, ok := b.Obligation(l.Head, m.Unit); ok {
					list = append(list, Charge{Duty: d, As: "owner", Unit: m.Unit, Window: l.Head.Window, Status: o.Status})
				}
			}
		}
	}
	rank := func(c *Charge) int {
		if c.Done() {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, c Charge) int {
		return cmp.Or(rank(&a)-rank(&c), cmp.Compare(a.Duty.Name(), c.Duty.Name()), cmp.Compare(a.Unit.Space, c.Unit.Space), cmp.Compare(a.Unit.Ordinal, c.Unit.Ordinal))
	})
	return list
}

// Answers is who answers for a duty by the ledger, of a company if one is given:
// its administrator, or else the deputy; of the group, who stands in the table of
// responsibilities. 0: nobody.
func (b *Book) Answers(d *Duty, company uint32, now int64) uint32 {
	u, post := d.Unit(), "responsible"
	if company != 0 {
		u, post = Unit{"unit", company}, "administrator"
	}
	return cmp.Or(b.checks.Holder(post, u, false, sekisho.Time(now)), b.checks.Holder(post, u, true, sekisho.Time(now)))
}
