package incident

import (
	"slices"

	"sekisho"
)

// A Room is what people have done in an incident: who does what, what they
// know, what they have decided. Every list is in the order of its entries.
type Room struct {
	Facts     []Stated        `json:"facts"`
	Roles     []Held          `json:"roles"`
	Playbooks []Played        `json:"playbooks"`
	Tasks     []TaskEvent     `json:"tasks"`
	Decisions []Decision      `json:"decisions"`
	Evidence  []Evidence      `json:"evidence"`
	Raised    []Question      `json:"raised"`
	Lessons   []Lesson        `json:"lessons"`
	Seen      []Seen          `json:"acknowledged"`
	Climbed   []Climbed       `json:"escalated"`
	Endings   []Ending        `json:"endings"`
	Follows   uint64          `json:"follows,omitempty"` // the closed incident that an alert would have joined
	marks     map[string]Mark // told by other folds: see mark
}

// at is the place of an entry in the ledger.
type at struct {
	Seq uint64       `json:"entry"`
	At  sekisho.Time `json:"at"`
}

// Stated is a fact as it was stated.
type Stated struct {
	at
	Body     *sekisho.FactStated `json:"fact"`
	Replaced uint64              `json:"replaced,omitempty"` // by this later entry
}

// Stands: the fact was neither replaced nor withdrawn.
func (s Stated) Stands() bool { return s.Replaced == 0 && s.Body.Certainty != "withdrawn" }

// Held is one time in which somebody held a role.
type Held struct {
	at
	Body  *sekisho.RoleChanged `json:"role"`
	Until sekisho.Time         `json:"until,omitempty"` // 0: still
	Over  *sekisho.RoleChanged `json:"over,omitempty"`  // how it ended
}

// Played is a playbook that was chosen.
type Played struct {
	at
	Body *sekisho.PlaybookChosen `json:"playbook"`
}

// TaskEvent is one change of a task.
type TaskEvent struct {
	at
	Body *sekisho.TaskChanged `json:"task"`
}

// Answer is what a person answered.
type Answer struct {
	at
	Body *sekisho.Answered `json:"answer"`
}

// Decision is a choice, with its answer if it needed one.
type Decision struct {
	at
	Body   *sekisho.DecisionMade `json:"decision"`
	Answer *Answer               `json:"answer,omitempty"`
}

// Stands: the decision is in force.
func (d Decision) Stands() bool {
	if d.Answer == nil {
		return !d.Body.Two
	}
	return d.Answer.Body.Action == "approved"
}

// Pending: it waits for a second person.
func (d Decision) Pending() bool { return d.Body.Two && d.Answer == nil }

// Evidence is a piece of evidence with its chain of custody.
type Evidence struct {
	at
	Body  *sekisho.EvidenceAdded `json:"evidence"`
	Chain []Moved                `json:"chain,omitempty"`
}

// Moved is one link of the chain.
type Moved struct {
	at
	Body *sekisho.CustodyMoved `json:"moved"`
}

// Question is something raised, and its answer.
type Question struct {
	at
	Body   *sekisho.Raised `json:"raised"`
	Answer *Answer         `json:"answer,omitempty"`
}

// Lesson is an improvement that somebody owes. Body is what it says at present.
type Lesson struct {
	at
	Body *sekisho.LessonNoted `json:"lesson"`
	Now  *sekisho.LessonNoted `json:"now"`
	Over sekisho.Time         `json:"over,omitempty"` // when it was done or dropped
}

// Open: the lesson is still owed.
func (l Lesson) Open() bool { return l.Now.Action == "learned" || l.Now.Action == "changed" }

// Seen is an acknowledgement.
type Seen struct {
	at
	Body *sekisho.Acknowledged `json:"acknowledged"`
}

// Climbed is one rung that was reached.
type Climbed struct {
	at
	Body *sekisho.Escalated `json:"escalated"`
}

// Ending is one request to close, with its answer, or a reopening.
type Ending struct {
	at
	Body   *sekisho.IncidentEnding `json:"ending"`
	Answer *Answer                 `json:"answer,omitempty"`
}

// Mark is a moment that clocks count from or end with.
type Mark struct {
	At    sekisho.Time `json:"at"`              // when it happened; when it was known, if that is all that is known
	Known sekisho.Time `json:"known,omitempty"` // when somebody first knew
	Seq   uint64       `json:"entry"`
	Word  bool         `json:"stated,omitempty"` // a person says so; else the ledger does
}

// room folds what people do. It reports whether the entry was of that sort. What
// names no incident that there is changes nothing.
func (b *Book) room(e *sekisho.Entry) bool {
	here := at{e.ID.Seq, e.Time}
	in := func(number uint64, do func(i *Incident)) bool {
		if i := b.find(number); i != nil {
			do(i)
		}
		return true
	}
	switch x := e.Body.(type) {
	case *sekisho.FactStated:
		return in(x.Incident, func(i *Incident) { i.stated(here, x) })
	case *sekisho.RoleChanged:
		return in(x.Incident, func(i *Incident) { i.role(here, x) })
	case *sekisho.PlaybookChosen:
		return in(x.Incident, func(i *Incident) { i.Room.Playbooks = append(i.Room.Playbooks, Played{here, x}) })
	case *sekisho.TaskChanged:
		return in(x.Incident, func(i *Incident) { i.Room.Tasks = append(i.Room.Tasks, TaskEvent{here, x}) })
	case *sekisho.DecisionMade:
		return in(x.Incident, func(i *Incident) { i.Room.Decisions = append(i.Room.Decisions, Decision{at: here, Body: x}) })
	case *sekisho.Answered:
		return in(x.Incident, func(i *Incident) { i.answered(here, x) })
	case *sekisho.EvidenceAdded:
		return in(x.Incident, func(i *Incident) { i.Room.Evidence = append(i.Room.Evidence, Evidence{at: here, Body: x}) })
	case *sekisho.CustodyMoved:
		return in(x.Incident, func(i *Incident) { i.moved(here, x) })
	case *sekisho.Raised:
		return in(x.Incident, func(i *Incident) { i.Room.Raised = append(i.Room.Raised, Question{at: here, Body: x}) })
	case *sekisho.LessonNoted:
		return in(x.Incident, func(i *Incident) { i.lesson(here, x) })
	case *sekisho.Acknowledged:
		return in(x.Incident, func(i *Incident) { i.Room.Seen = append(i.Room.Seen, Seen{here, x}) })
	case *sekisho.Escalated:
		return in(x.Incident, func(i *Incident) { i.Room.Climbed = append(i.Room.Climbed, Climbed{here, x}) })
	case *sekisho.IncidentEnding:
		return in(x.Incident, func(i *Incident) { i.Room.Endings = append(i.Room.Endings, Ending{at: here, Body: x}) })
	}
	return false
}

// stated takes in a fact, in the place of the one that it corrects.
func (i *Incident) stated(here at, x *sekisho.FactStated) {
	for n := range i.Room.Facts {
		if f := &i.Room.Facts[n]; f.Seq == x.Corrects && f.Replaced == 0 {
			f.Replaced = here.Seq
		}
	}
	i.Room.Facts = append(i.Room.Facts, Stated{at: here, Body: x})
}

func (i *Incident) moved(here at, x *sekisho.CustodyMoved) {
	for n := range i.Room.Evidence {
		if p := &i.Room.Evidence[n]; p.Seq == x.Evidence {
			p.Chain = append(p.Chain, Moved{here, x})
		}
	}
}

// role ends the time of whoever held the role, and begins another's.
func (i *Incident) role(here at, x *sekisho.RoleChanged) {
	for n := range i.Room.Roles {
		if h := &i.Room.Roles[n]; h.Body.Role == x.Role && h.Until == 0 {
			h.Until, h.Over = here.At, x
		}
	}
	if x.Action != "relinquished" {
		i.Room.Roles = append(i.Room.Roles, Held{at: here, Body: x})
	}
}

func (i *Incident) answered(here at, x *sekisho.Answered) {
	answer := &Answer{here, x}
	for n := range i.Room.Decisions {
		if d := &i.Room.Decisions[n]; d.Seq == x.About && d.Answer == nil {
			d.Answer = answer
		}
	}
	for n := range i.Room.Raised {
		if q := &i.Room.Raised[n]; q.Seq == x.About && q.Answer == nil {
			q.Answer = answer
		}
	}
	for n := range i.Room.Endings {
		if end := &i.Room.Endings[n]; end.Seq == x.About && end.Answer == nil {
			end.Answer = answer
		}
	}
}

func (i *Incident) lesson(here at, x *sekisho.LessonNoted) {
	if x.Lesson == 0 {
		i.Room.Lessons = append(i.Room.Lessons, Lesson{at: here, Body: x, Now: x})
		return
	}
	for n := range i.Room.Lessons {
		if l := &i.Room.Lessons[n]; l.Seq == x.Lesson {
			l.Now = x
			if l.Over = 0; !l.Open() {
				l.Over = here.At
			}
		}
	}
}

// mark notes a moment that another fold of this package has found, such as a
// containment that was verified. The earliest stands, until unmark.
func (i *Incident) mark(code string, at sekisho.Time, seq uint64) {
	if i.Room.marks == nil {
		i.Room.marks = map[string]Mark{}
	}
	if _, ok := i.Room.marks[code]; !ok {
		i.Room.marks[code] = Mark{At: at, Known: at, Seq: seq}
	}
}

// unmark takes a moment back: what was contained is not any more.
func (i *Incident) unmark(code string) { delete(i.Room.marks, code) }

func (r Room) clone() Room {
	r.Facts, r.Roles, r.Playbooks, r.Tasks = slices.Clone(r.Facts), slices.Clone(r.Roles), slices.Clone(r.Playbooks), slices.Clone(r.Tasks)
	r.Decisions, r.Evidence, r.Raised, r.Lessons = slices.Clone(r.Decisions), slices.Clone(r.Evidence), slices.Clone(r.Raised), slices.Clone(r.Lessons)
	r.Seen, r.Climbed, r.Endings = slices.Clone(r.Seen), slices.Clone(r.Climbed), slices.Clone(r.Endings)
	marks := map[string]Mark{}
	for code, m := range r.marks {
		marks[code] = m
	}
	r.marks = marks
	return r
}

// Closed says whether the incident has ended, by which entry and when. A closed
// one takes in no alerts, and its question ends there.
func (i *Incident) Closed() (end Ending, closed bool) {
	for n := len(i.Room.Endings) - 1; n >= 0; n-- {
		end := i.Room.Endings[n]
		if end.Body.Action == "reopen" {
			return Ending{}, false
		}
		if end.Answer != nil && end.Answer.Body.Action == "approved" {
			return end, true
		}
	}
	return Ending{}, false
}

// Closing is the request to close that waits for a second person.
func (i *Incident) Closing() (end Ending, waits bool) {
	if n := len(i.Room.Endings); n > 0 {
		if end := i.Room.Endings[n-1]; end.Body.Action == "close" && end.Answer == nil {
			return end, true
		}
	}
	return Ending{}, false
}

// Holder is who holds a role at present, or 0.
func (i *Incident) Holder(role string) uint32 {
	for n := len(i.Room.Roles) - 1; n >= 0; n-- {
		if h := i.Room.Roles[n]; h.Body.Role == role && h.Until == 0 {
			return h.Body.Person
		}
	}
	return 0
}

// Fact is the latest fact of a code that stands.
func (i *Incident) Fact(code string) (Stated, bool) {
	for n := len(i.Room.Facts) - 1; n >= 0; n-- {
		if f := i.Room.Facts[n]; f.Body.Code == code && f.Stands() {
			return f, true
		}
	}
	return Stated{}, false
}
