package duty

import "sekisho"

// A Reminder is one that was written.
type Reminder struct {
	Seq  uint64
	At   int64
	Body *sekisho.DutyReminded
}

type remindKey struct {
	duty    string
	from    int64
	company uint32
	rung    uint32
}

func (b *Book) dutyReminded(e *sekisho.Entry, x *sekisho.DutyReminded) {
	b.reminded[remindKey{x.Duty, int64(x.From), x.Company, x.Rung}] = true
	b.reminders = append(b.reminders, Reminder{e.ID.Seq, int64(e.Time), x})
}
