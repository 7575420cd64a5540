package incident

import (
	"slices"

	"sekisho"
)

// A Wait is something that nobody has acknowledged, or acknowledged and not
// judged.
type Wait struct {
	About uint64       // the entry that waits
	What  string       // "alert", "opened", "notice", "host_health", "question"
	Stage string       // "acknowledge" or "triage"
	Since sekisho.Time // from when its ladder counts
}

// Waits are what climbs a ladder now. Of alerts that wait in one incident only
// the earliest climbs: whoever acknowledges takes on all that came before. What
// was raised waits by itself.
func (i *Incident) Waits() (list []Wait) {
	if _, closed := i.Closed(); closed || i.Number == 0 {
		return nil
	}
	upTo, alone, first := uint64(0), map[uint64]bool{}, Seen{}
	for n, s := range i.Room.Seen {
		if n == 0 {
			first = s
		}
		if slices.ContainsFunc(i.Room.Raised, func(q Question) bool { return q.Seq == s.Body.About }) {
			alone[s.Body.About] = true
		} else {
			upTo = max(upTo, s.Seq)
		}
	}
	var notice bool
	for _, q := range i.Room.Raised {
		notice = notice || q.Body.What == "notice"
	}
	// Alerts that a reopening follows have been judged with what was closed.
	for n := len(i.Room.Endings) - 1; n >= 0; n-- {
		if e := i.Room.Endings[n]; e.Body.Action == "reopen" {
			upTo = max(upTo, e.Seq)
			break
		}
	}
	earliest := Wait{Stage: "acknowledge"}
	// Somebody who opens an incident for a notice has put the notice before people.
	if i.Number > upTo && i.By != 0 && !notice {
		earliest.About, earliest.What, earliest.Since = i.Number, "opened", i.Opened
	}
	for _, a := range i.Alerts {
		if a.Seq > upTo && (earliest.About == 0 || a.At < earliest.Since) {
			earliest.About, earliest.What, earliest.Since = a.Seq, "alert", a.At
		}
	}
	if earliest.About != 0 {
		list = append(list, earliest)
	}
	for _, q := range i.Room.Raised {
		if q.Answer == nil && q.Seq > upTo && !alone[q.Seq] {
			list = append(list, Wait{q.Seq, q.Body.What, "acknowledge", q.Body.Known})
		}
	}
	if _, judged := i.Marks()["triaged"]; !judged && first.Seq != 0 {
		list = append(list, Wait{first.Body.About, "opened", "triage", first.At})
	}
	return list
}

// A Climb is a rung that has fallen due and is not recorded: the entry, but for
// the person, whom the roster of the moment names.
type Climb struct {
	sekisho.Escalated
	Deputy bool // the roster's second is meant
}

// ladder is the one of a stage.
func (m *Manual) ladder(stage string) []Rung {
	if stage == "triage" {
		return m.Triage
	}
	return m.Ladder
}

// Due are the rungs that have fallen due by now and stand in no entry yet, and
// when the next one will; 0 for none. The same ledger and the same time give the
// same answer, so a rung is written once, whenever sekisho runs.
func (b *Book) Due(now sekisho.Time, m *Manual) (due []Climb, next sekisho.Time) {
	for _, i := range b.list {
		for _, w := range i.Waits() {
			for n, rung := range m.ladder(w.Stage) {
				at := w.Since + micros(rung.After)
				switch {
				case i.climbed(w, uint32(n)):
				case at <= now:
					due = append(due, Climb{sekisho.Escalated{Incident: i.Number, About: w.About, Stage: w.Stage, Rung: uint32(n), Role: rung.Role, Due: at}, rung.Deputy})
				case next == 0 || at < next:
					next = at
				}
			}
		}
	}
	return due, next
}

func (i *Incident) climbed(w Wait, rung uint32) bool {
	return slices.ContainsFunc(i.Room.Climbed, func(c Climbed) bool {
		return c.Body.About == w.About && c.Body.Stage == w.Stage && c.Body.Rung == rung
	})
}

// Up is to whom something that waits goes next, and when; false once it is at
// the top.
func (m *Manual) Up(i *Incident, w Wait) (rung Rung, at sekisho.Time, ok bool) {
	for n, r := range m.ladder(w.Stage) {
		if !i.climbed(w, uint32(n)) {
			return r, w.Since + micros(r.After), true
		}
	}
	return Rung{}, 0, false
}

// A Sat is how long something lay before somebody.
type Sat struct {
	About  uint64
	Stage  string
	Role   string
	Person uint32 // 0: nobody was named
	From   sekisho.Time
	Until  sekisho.Time // when it went on, or was taken on; now if it still lies there
	Still  bool
}

// Sat says before whom each thing lay, and for how long, from the rungs that
// were recorded.
func (i *Incident) Sat(now sekisho.Time) (list []Sat) {
	for n, c := range i.Room.Climbed {
		s := Sat{About: c.Body.About, Stage: c.Body.Stage, Role: c.Body.Role, Person: c.Body.Person, From: c.At, Until: now, Still: true}
		for _, later := range i.Room.Climbed[n+1:] {
			if later.Body.About == s.About && later.Body.Stage == s.Stage {
				s.Until, s.Still = later.At, false
				break
			}
		}
		if over := i.over(s.About, s.Stage, c.Seq); over != 0 && over <= s.Until {
			s.Until, s.Still = over, false
		}
		list = append(list, s)
	}
	return list
}

// over is when what waited was taken on, judged or ended, after an entry.
func (i *Incident) over(about uint64, stage string, after uint64) (at sekisho.Time) {
	earlier := func(seq uint64, when sekisho.Time) {
		if seq > after && (at == 0 || when < at) {
			at = when
		}
	}
	if end, closed := i.Closed(); closed {
		earlier(end.Answer.Seq, end.Answer.At)
	}
	if stage == "triage" {
		for _, p := range i.Room.Playbooks {
			earlier(p.Seq, p.At)
		}
		for _, f := range i.Room.Facts {
			if f.Body.Code == "triaged" && f.Stands() {
				earlier(f.Seq, f.At)
			}
		}
		return at
	}
	raised := func(seq uint64) bool {
		return slices.ContainsFunc(i.Room.Raised, func(q Question) bool { return q.Seq == seq })
	}
	for _, s := range i.Room.Seen {
		if s.Body.About == about || !raised(s.Body.About) {
			earlier(s.Seq, s.At)
		}
	}
	for _, q := range i.Room.Raised {
		if q.Seq == about && q.Answer != nil {
			earlier(q.Answer.Seq, q.Answer.At)
		}
	}
	return at
}
