package duty

import (
	"cmp"

	"sekisho"
)

// A Reminder is one that was written.
type Reminder struct {
	Seq  uint64
	At   int64
	Body *sekisho.DutyReminded
}

type remindKey struct {
	duty string
	from int64
	rung uint32
}

func (b *Book) dutyReminded(e *sekisho.Entry, x *sekisho.DutyReminded) {
	b.reminded[remindKey{x.Duty, int64(x.From), x.Rung}] = true
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

// A Call is a reminder that has fallen due and stands in no entry: the entry,
// but for the person, whom the config of the moment names.
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
				if !b.climbed(d, j, uint32(n)) {
					role := d.Owner
					switch rungs[n].To {
					case "approver":
						role = cmp.Or(d.Approver, d.Owner)
					case "council":
						role = "council"
					}
					due = append(due, Call{&sekisho.DutyReminded{Duty: d.Name(), From: sekisho.Time(j.Window.From), Until: sekisho.Time(j.Window.Until),
						Rung: uint32(n), Role: role, Due: sekisho.Time(at), Open: uint64(owing), Through: b.seq}, d})
				}
				break
			}
		}
	}
	return due, next
}

// climbed: this rung of a window was written, or one behind it.
func (b *Book) climbed(d *Duty, j *Judged, rung uint32) bool {
	for n := rung; n < uint32(len(b.Rungs())); n++ {
		if b.reminded[remindKey{d.Name(), j.Window.From, n}] {
			return true
		}
	}
	return false
}
