package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekisho"
)

// micros is a length of time in the ledger's unit.
func micros(d time.Duration) sekisho.Time { return sekisho.Time(d / time.Microsecond) }

// TaskState is how a task stands.
type TaskState string

const (
	Waiting TaskState = "waiting" // what it counts from has not happened
	Open    TaskState = "open"
	Overdue TaskState = "overdue"
	Done    TaskState = "done"
	Skipped TaskState = "skipped"
)

// A Task is one task of an incident, with what became of it.
type Task struct {
	ID     string       // as TaskChanged.Task
	Role   string       // whose it is; empty for one that was added by hand
	Say    Words        // empty for one that was added by hand: see Said
	How    Words        //
	Said   uint32       // ordinal in "said": what is to be done
	After  string       // the mark that it counts from
	Due    sekisho.Time // 0: none, or not known yet
	Person uint32       // to whom it was assigned; 0: whoever holds the role
	State  TaskState
	Over   sekisho.Time // when it was done or skipped
	By     uint32       // who did that
	Note   uint32       // ordinal in "said"
	Entry  uint64       // of its latest change
}

// Tasks are those of the chosen playbooks and those added by hand. book gives
// the playbook with a hash, or nil: then its tasks are not shown, and how many
// playbooks were missed is.
func (i *Incident) Tasks(now sekisho.Time, book func(*sekisho.PlaybookChosen) *Playbook) (list []Task, missed int) {
	marks := i.Marks()
	chosen := map[string]bool{}
	for n := len(i.Room.Playbooks) - 1; n >= 0; n-- { // a later edition of the same takes the place of the earlier
		p := i.Room.Playbooks[n]
		if chosen[p.Body.Name] {
			continue
		}
		chosen[p.Body.Name] = true
		b := book(p.Body)
		if b == nil {
			missed++
			continue
		}
		var tasks []Task
		for _, t := range b.Tasks {
			one := Task{ID: b.Name + "/" + t.Key, Role: t.Role, Say: t.Say, How: t.How, After: t.After, State: Waiting}
			if m, ok := marks[t.After]; ok {
				one.State = Open
				if t.Within > 0 {
					one.Due = m.At + micros(t.Within)
				}
			}
			tasks = append(tasks, one)
		}
		list = append(tasks, list...)
	}
	for _, e := range i.Room.Tasks {
		if e.Body.Action == "added" {
			list = append(list, Task{ID: fmt.Sprintf("own/%d", e.Seq), Said: e.Body.Said, After: "opened", Due: e.Body.Due, Person: e.Body.Person, State: Open, Entry: e.Seq})
			continue
		}
		n := slices.IndexFunc(list, func(t Task) bool { return t.ID == e.Body.Task })
		if n < 0 {
			continue
		}
		t := &list[n]
		switch t.Entry = e.Seq; e.Body.Action {
		case "assigned":
			t.Person = e.Body.Person
			if e.Body.Due != 0 {
				t.Due = e.Body.Due
			}
			if e.Body.Said != 0 {
				t.Note = e.Body.Said
			}
		case "done":
			t.State, t.Over, t.By, t.Note = Done, e.At, e.Body.By, e.Body.Said
		case "skipped":
			t.State, t.Over, t.By, t.Note = Skipped, e.At, e.Body.By, e.Body.Said
		case "reopened":
			t.State, t.Over, t.By, t.Note = Open, 0, 0, e.Body.Said
		}
	}
	for n := range list {
		if t := &list[n]; t.State == Open && t.Due != 0 && t.Due <= now {
			t.State = Overdue
		}
	}
	return list, missed
}

// Left: somebody still owes it.
func (t Task) Left() bool { return t.State == Waiting || t.State == Open || t.State == Overdue }

// ClockState is how a clock stands.
type ClockState string

const (
	ClockWaits   ClockState = "waiting" // what it counts from has not happened
	ClockRuns    ClockState = "running"
	ClockPaused  ClockState = "paused"
	ClockWarns   ClockState = "warning" // four fifths of its time are gone
	ClockOverdue ClockState = "overdue"
	ClockMet     ClockState = "met"
	ClockLate    ClockState = "late" // ended after its time
)

// A Clock of a case, as it stands at a moment.
type Clock struct {
	Rule   ClockRule
	State  ClockState
	From   sekisho.Time // 0: not yet
	FromBy uint64       // the entry
	Due    sekisho.Time // 0: it is only measured
	Met    sekisho.Time // 0: not yet
	MetBy  uint64
	Paused time.Duration
}

// ClocksOf gives every clock of the manual.
func (m *Manual) ClocksOf(i *Incident, now sekisho.Time) (list []Clock) {
	marks := i.Marks()
	for _, rule := range m.Clocks {
		c := Clock{Rule: rule, State: ClockWaits}
		from, ok := marks[rule.From]
		met, done := marks[rule.Key]
		if done {
			c.Met, c.MetBy = met.At, met.Seq
		}
		if !ok {
			if done {
				c.State = ClockMet
			}
			list = append(list, c)
			continue
		}
		c.From, c.FromBy = from.At, from.Seq
		upTo := now
		if done {
			upTo = c.Met
		}
		held, holding := sekisho.Time(0), false
		if rule.Pause {
			held, holding = i.held(c.From, upTo)
		}
		c.Paused = time.Duration(held) * time.Microsecond
		if rule.Within > 0 {
			c.Due = c.From + micros(rule.Within) + held
		}
		switch {
		case done && c.Due != 0 && c.Met > c.Due:
			c.State = ClockLate
		case done:
			c.State = ClockMet
		case holding:
			c.State = ClockPaused
		case c.Due == 0:
			c.State = ClockRuns
		case now >= c.Due:
			c.State = ClockOverdue
		case now-c.From-held >= micros(rule.Within)*4/5:
			c.State = ClockWarns
		default:
			c.State = ClockRuns
		}
		list = append(list, c)
	}
	return list
}

// held sums up the times between hold_began and hold_ended within a span, and
// says whether one is still going on at its end.
func (i *Incident) held(from, until sekisho.Time) (sum sekisho.Time, holding bool) {
	type turn struct {
		at    sekisho.Time
		began bool
	}
	var turns []turn
	for _, f := range i.Room.Facts {
		if f.Stands() && (f.Body.Code == "hold_began" || f.Body.Code == "hold_ended") {
			at := f.Body.Happened
			if at == 0 {
				at = f.Body.Known
			}
			turns = append(turns, turn{at, f.Body.Code == "hold_began"})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.at, b.at) })
	since := sekisho.Time(0)
	for _, t := range turns {
		switch {
		case t.began && !holding && t.at < until:
			since, holding = max(t.at, from), true
		case !t.began && holding:
			sum, holding = sum+max(0, min(t.at, until)-since), t.at > until
		}
	}
	if holding {
		sum += max(0, until-since)
	}
	return sum, holding
}

// A Situation is what the conditions of a decision look at beside the incident.
type Situation struct {
	People bool // one of the numbers is above 0
	Tasks  bool // some are left
}

// Next are the decisions that come up now, in the manual's order.
func (m *Manual) Next(i *Incident, s Situation) (list []DecisionRule) {
	if _, closed := i.Closed(); closed {
		return nil
	}
	marks := i.Marks()
	for _, d := range m.Decisions {
		made := slices.ContainsFunc(i.Room.Decisions, func(one Decision) bool {
			return one.Body.Code == d.Key && (one.Stands() || one.Pending())
		})
		if !made && !slices.ContainsFunc(d.When, func(when string) bool { return !i.holds(when, s, marks) }) {
			list = append(list, d)
		}
	}
	return list
}

func goodCondition(when string) bool {
	kind, arg, has := strings.Cut(strings.TrimPrefix(when, "!"), ":")
	switch kind {
	case "fact", "role", "mark", "decision":
		return has && arg != ""
	case "playbook", "ongoing", "people", "tasks", "raised", "lessons":
		return !has
	}
	return false
}

func (i *Incident) holds(when string, s Situation, marks map[string]Mark) bool {
	rest, not := strings.CutPrefix(when, "!")
	kind, arg, _ := strings.Cut(rest, ":")
	yes := false
	switch kind {
	case "fact":
		_, yes = i.Fact(arg)
	case "role":
		yes = i.Holder(arg) != 0
	case "mark":
		_, yes = marks[arg]
	case "decision":
		yes = slices.ContainsFunc(i.Room.Decisions, func(d Decision) bool { return d.Body.Code == arg && d.Stands() })
	case "playbook":
		yes = len(i.Room.Playbooks) > 0
	case "ongoing":
		yes, _ = i.Ongoing()
	case "people":
		yes = s.People
	case "tasks":
		yes = s.Tasks
	case "raised":
		yes = slices.ContainsFunc(i.Room.Raised, func(q Question) bool { return q.Answer == nil })
	case "lessons":
		yes = len(i.Room.Lessons) > 0
	}
	return yes != not
}
