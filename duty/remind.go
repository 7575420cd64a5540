package duty

import (
	"cmp"
	"maps"
	"slices"

	"sekisho"
)

// A Reminder is one that was written.
type Reminder struct {
	Seq  uint64
	At   int64
	Body *sekisho.DutyReminded
}

type remindKey struct {
	duty    string
	from    int64
	rung    uint32
	company uint32
}

func (b *Book) dutyReminded(e *sekisho.Entry, x *sekisho.DutyReminded) {
	b.reminded[remindKey{x.Duty, int64(x.From), x.Rung, x.Company}] = true
	b.reminders = append(b.reminders, Reminder{e.ID.Seq, int64(e.Time), x})
}

// Reminders are those that were written, newest first.
func (b *Book) Reminders(most int) (list []Reminder) {
	for n := len(b.reminders) - 1; n >= 0 && len(list) < most; n-- {
		list = append(list, b.reminders[n])
	}
	return list
}

// ladder is what reminds where the config says nothing.
var ladder = []Rung{{60, "owner"}, {30, "owner"}, {7, "owner"}, {-7, "approver"}, {-30, "council"}}

// Rungs are the reminders in force, the earliest first.
func (b *Book) Rungs() []Rung {
	if len(b.setup.Config.Remind) > 0 {
		return b.setup.Config.Remind
	}
	return ladder
}

// Owners are the accounts behind the roles that owe duties, by the config.
func (b *Book) Owners() map[string][]string { return maps.Clone(b.setup.Config.Owners) }

// A Call is a reminder that has fallen due and stands in no entry: the entry. Of a
// whole duty the config of the moment may name another person.
type Call struct {
	Body *sekisho.DutyReminded
	Duty *Duty
}

// Due are the reminders that have fallen due by now, and when the next will; 0
// for none. Of one window only the latest rung is written, so that a sekisho that
// did not run for a while does not repeat itself. The same ledger and time give
// the same answer, so each is written once, also after a crash.
func (b *Book) Due(now int64) (due []Call, next int64) {
	rungs := b.Rungs()
	for _, d := range b.setup.Register.Duties() {
		list := b.Judge(d, now)
		for k := max(0, len(list)-2); k < len(list); k++ {
			j := list[k]
			owing := j.Total.Open + j.Total.Missed + j.Total.Unknown
			if owing == 0 || j.Total.Den == 0 && j.Total.Unknown == 0 {
				continue
			}
			for n := len(rungs) - 1; n >= 0; n-- {
				at := max(b.calendar.plusDays(j.Window.Until, -rungs[n].Days), j.from)
				if at > now {
					if next == 0 || at < next {
						next = at
					}
					continue
				}
				if rungs[n].To == "owner" {
					due = append(due, b.companiesDue(d, j, uint32(n), at, now)...)
				}
				if !b.climbed(d, j, uint32(n), 0) {
					role := d.Owner
					switch rungs[n].To {
					case "approver":
						role = cmp.Or(d.Approver, d.Owner)
					case "council":
						role = "council"
					}
					due = append(due, Call{&sekisho.DutyReminded{Duty: d.Name(), From: sekisho.Time(j.Window.From), Until: sekisho.Time(j.Window.Until),
						Rung: uint32(n), Role: role, Person: b.stands(d, rungs[n].To, now), Due: sekisho.Time(at), Open: uint64(owing), Through: b.seq}, d})
				}
				break
			}
		}
	}
	return due, next
}

// stands is who stands in the table of responsibilities for a duty, where its
// owner is to be told.
func (b *Book) stands(d *Duty, to string, now int64) uint32 {
	if to != "owner" {
		return 0
	}
	return b.Answers(d, 0, now)
}

// companiesDue are the reminders of one rung to whoever administers the companies
// that owe a duty still. A company that nobody administers has none: that is what
// P2a is about.
func (b *Book) companiesDue(d *Duty, j *Judged, rung uint32, at, now int64) (due []Call) {
	for _, company := range slices.Sorted(maps.Keys(j.Companies)) {
		t := j.Companies[company]
		owing := t.Open + t.Missed + t.Unknown
		if owing == 0 || b.climbed(d, j, rung, company) {
			continue
		}
		if person := b.Answers(d, company, now); person != 0 {
			due = append(due, Call{&sekisho.DutyReminded{Duty: d.Name(), From: sekisho.Time(j.Window.From), Until: sekisho.Time(j.Window.Until), Company: company,
				Rung: rung, Role: "administrator", Person: person, Due: sekisho.Time(at), Open: uint64(owing), Through: b.seq}, d})
		}
	}
	return due
}

// climbed: this rung of a window was written, of the whole duty or of a company,
// or one behind it.
func (b *Book) climbed(d *Duty, j *Judged, rung, company uint32) bool {
	for n := rung; n < uint32(len(b.Rungs())); n++ {
		if b.reminded[remindKey{d.Name(), j.Window.From, n, company}] {
			return true
		}
	}
	return false
}
