package duty

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sekisho"
)

// What is done about training by itself: plans of the programme, people who come
// later, and whom to write to. All of it is asked of the ledger each time, so
// that a restart neither forgets nor repeats.

// A Yearly is a plan that is made every year.
type Yearly struct {
	// Course is the course's name: its latest edition is taken.
	Course string `yaml:"course"`
	// Whom is all (the default), executives, company/CODE or department/CODE.
	Whom string `yaml:"whom"`
	// Kinds of people: employee, executive, agency, secondee. Default: every one.
	Kinds []string `yaml:"kinds"`
	// From and Due are days of a year, such as 05-01 and 06-30: the last day on
	// which it is in time. A due day before the first is in the next year.
	From string `yaml:"from"`
	Due  string `yaml:"due"`
	// Joiners is how many days somebody has who comes later. Default: 30. Negative:
	// whoever comes later is not assigned.
	Joiners int `yaml:"joiners"`
}

func (l *Yearly) check() error {
	for _, d := range []string{l.From, l.Due} {
		if _, err := time.Parse("01-02", d); err != nil || d == "02-29" {
			return fmt.Errorf("training: programme: %q is no day of every year, such as 05-01", d)
		}
	}
	if l.Whom == "" {
		l.Whom = "all"
	}
	if l.Joiners == 0 {
		l.Joiners = 30
	}
	if !courseName(l.Course) || l.Joiners > maxJoiners {
		return fmt.Errorf("training: programme: the course %q, or its joiners, cannot be taken", l.Course)
	}
	return nil
}

// in is when a line's plan of a year begins and ends.
func (l *Yearly) in(year int, zone *time.Location) (from, due time.Time) {
	f, _ := time.Parse("01-02", l.From) // checked
	d, _ := time.Parse("01-02", l.Due)
	from = time.Date(year, f.Month(), f.Day(), 0, 0, 0, 0, zone)
	due = time.Date(year, d.Month(), d.Day()+1, 0, 0, 0, 0, zone)
	if !from.Before(due) {
		due = time.Date(year+1, d.Month(), d.Day()+1, 0, 0, 0, 0, zone)
	}
	return from, due
}

// Tend makes the plans of the programme that are due, and assigns who came
// later. What it did is durable on return.
func (s *School) Tend(ctx context.Context) error {
	var errs []error
	now := s.Now().In(s.Zone)
	for _, l := range s.Config.Programme {
		for year := now.Year() - 1; year <= now.Year(); year++ {
			from, due := l.in(year, s.Zone)
			if now.Before(from) || !now.Before(due) || s.programmed(l.Course, from) {
				continue
			}
			p := Planning{Course: l.Course, Whom: l.Whom, Kinds: l.Kinds, From: sekisho.At(from), Due: sekisho.At(due), Joiners: uint64(max(l.Joiners, 0))}
			if kind, _, ok := cut(l.Whom); ok {
				p.Whom, p.Unit = kind, l.Whom
			}
			if _, err := s.Plan(ctx, p); err != nil {
				errs = append(errs, fmt.Errorf("planning %s by the programme: %w", l.Course, err))
			}
		}
	}
	return errors.Join(append(errs, s.assignLater(ctx))...)
}

func cut(whom string) (kind, code string, ok bool) {
	for _, kind := range []string{"company", "department"} {
		if len(whom) > len(kind)+1 && whom[:len(kind)+1] == kind+"/" {
			return kind, whom[len(kind)+1:], true
		}
	}
	return "", "", false
}

// programmed says that the programme has made its plan of a course from a day.
func (s *School) programmed(course string, from time.Time) (done bool) {
	s.Views.Read(func() {
		for _, p := range s.Training.order {
			c := s.Training.CourseOf(p)
			done = done || p.Body.By == 0 && c != nil && c.Course == course && p.Body.From == sekisho.At(from)
		}
	})
	return done
}

// assignLater assigns whoever belongs to a plan's population by now and did not
// before; and everybody, if a crash came between a plan and its people.
func (s *School) assignLater(ctx context.Context) error {
	s.planning.Lock()
	defer s.planning.Unlock()
	type later struct {
		plan uint64
		why  string
		due  sekisho.Time
		who  []uint32
	}
	var todo []later
	now := s.now()
	var open []*Plan
	s.Views.Read(func() {
		for _, p := range s.Training.order {
			if p.Ended == 0 && now < p.Due && p.Body.Whom != "makeup" && (p.Body.Joiners > 0 || len(p.people) == 0) {
				open = append(open, p)
			}
		}
	})
	for _, p := range open {
		who := s.population(p.Body, now)
		s.Views.Read(func() {
			l := later{p.Number, "joined", max(p.Due, now+sekisho.Time(p.Body.Joiners*1e6)), nil}
			if len(p.people) == 0 {
				l.why, l.due = "population", p.Due
			}
			for _, o := range who {
				if p.enrolment(o) == nil {
					l.who = append(l.who, o)
				}
			}
			if len(l.who) > 0 {
				todo = append(todo, l)
			}
		})
	}
	for _, l := range todo {
		slices.Sort(l.who)
		if err := s.assign(ctx, l.plan, l.why, l.due, l.who); err != nil {
			return err
		}
	}
	return nil
}

// Letters are mails about one plan at one stage.
type Letters struct {
	Plan   uint64
	Stage  string
	To     uint32 // escalated: who is told; else 0
	People []uint32
	Due    sekisho.Time // the earliest of theirs
	Course *sekisho.CourseRead
}

// mostLetters is how many people stand in one window: as many may be unclear
// after a crash.
const mostLetters = 20

// Due gives up to n windows of people who are to be written to now.
func (s *School) Due(n int) (list []Letters) {
	now := s.now()
	heads := s.heads(now)
	s.Views.Read(func() {
		for _, p := range s.Training.order {
			if len(list) >= n {
				return
			}
			if p.Ended == 0 && p.Body.From <= now && s.Training.CourseOf(p) != nil {
				list = append(list, s.dueOf(p, now, heads, n-len(list))...)
			}
		}
	})
	return list
}

func (s *School) dueOf(p *Plan, now sekisho.Time, heads *heads, n int) (list []Letters) {
	t := s.Training
	type key struct {
		stage string
		to    uint32
	}
	open := map[key]*Letters{}
	var order []key
	for i := range p.people {
		one := &p.people[i]
		stage := s.stage(p, one, now)
		to := uint32(0)
		if stage == StageEscalated {
			if who := s.People.Person(one.Person, now); who != nil {
				to = heads.of(who.Main(now).Unit, one.Person)
			}
			if to == 0 { // nobody leads there: the page says so
				stage = StageOverdue
			}
		}
		if stage == "" || one.written&stageBit(stage) != 0 || t.waits(p, one.Person, stage, now) {
			continue
		}
		who := s.People.Person(one.Person, now)
		if who == nil || who.Left != 0 && who.Left <= now || who.Leave {
			continue
		}
		switch t.state(p, one, now) {
		case EnrolOpen, EnrolBegun, EnrolMissed:
		default:
			continue
		}
		k := key{stage, to}
		if stage != StageEscalated && len(open[k].people()) >= mostLetters {
			list = append(list, *open[k])
			if delete(open, k); len(list) >= n {
				return list
			}
		}
		l := open[k]
		if l == nil {
			l = &Letters{Plan: p.Number, Stage: stage, To: k.to, Due: one.Due, Course: t.CourseOf(p)}
			open[k] = l
			order = append(order, k)
		}
		l.People, l.Due = append(l.People, one.Person), min(l.Due, one.Due)
	}
	for _, k := range order {
		if l := open[k]; l != nil && len(list) < n {
			list = append(list, *l)
			delete(open, k)
		}
	}
	for i := range list {
		slices.Sort(list[i].People)
	}
	return list
}

func (l *Letters) people() []uint32 {
	if l == nil {
		return nil
	}
	return l.People
}

// stage is the one at which somebody is to be written to now. Of several that
// were missed, because sekisho did not run, only the last is made up for.
func (s *School) stage(p *Plan, one *Enrolment, now sekisho.Time) string {
	after := func(d time.Duration) bool { return d >= 0 && now >= one.Due+sekisho.Time(d.Microseconds()) }
	switch {
	case after(s.Config.Escalate) && one.written&stageBit(StageEscalated) == 0:
		return StageEscalated
	case after(s.Config.Overdue) && s.Config.Overdue >= 0:
		return StageOverdue
	case now >= one.Due:
		return ""
	}
	for k := len(s.Config.Remind) - 1; k >= 0; k-- {
		at := one.Due - sekisho.Time(s.Config.Remind[k].Microseconds())
		if now >= at && at > max(one.Since, p.Body.From) && one.written&1 != 0 {
			return fmt.Sprintf("remind_%d", k+1)
		}
	}
	return StageAssigned
}

// heads are who leads which unit.
type heads struct {
	by    map[uint32]uint32
	above func(uint32) uint32
}

func (s *School) heads(now sekisho.Time) *heads {
	h := &heads{by: map[uint32]uint32{}, above: func(o uint32) uint32 {
		if u := s.People.Unit(o, now); u != nil {
			return u.Parent
		}
		return 0
	}}
	posts := map[uint32]bool{}
	for _, code := range s.Config.Heads {
		if o, ok := s.Vault.Space("unit").Find("post/" + code); ok {
			posts[o] = true
		}
	}
	if len(posts) == 0 {
		return h
	}
	for p := range s.People.PeopleAt(now) {
		for one := range p.PostingsAt(now) {
			if posts[one.Post] && h.by[one.Unit] == 0 {
				h.by[one.Unit] = p.Staff
			}
		}
	}
	return h
}

// of is who leads somebody: the head of the unit, or of the next one above.
func (h *heads) of(unit, person uint32) uint32 {
	for n := 0; unit != 0 && n < 64; n++ {
		if o := h.by[unit]; o != 0 && o != person {
			return o
		}
		unit = h.above(unit)
	}
	return 0
}

// Writing records that letters may go out. From here on nobody in it is written
// to again at this stage, unless Written says that a letter was not taken.
func (s *School) Writing(ctx context.Context, l *Letters) (uint64, error) {
	return s.record(ctx, &sekisho.TrainingWritten{Plan: l.Plan, Stage: l.Stage, To: l.To, People: l.People})
}

// Written records what became of letters.
func (s *School) Written(ctx context.Context, ended *sekisho.MailEnded) error {
	for _, list := range [][]uint32{ended.Taken, ended.Denied, ended.Later, ended.Unclear} {
		slices.Sort(list)
	}
	_, err := s.record(ctx, ended)
	return err
}

// Recover says of letters in the midst of which an earlier run ended that it is
// unclear whether they went out: they are not sent again.
func (s *School) Recover(ctx context.Context) error {
	var bodies []sekisho.Body
	s.Views.Read(func() {
		for seq, l := range s.Training.letters {
			bodies = append(bodies, &sekisho.MailEnded{Started: seq, Unclear: l.people})
		}
	})
	if len(bodies) == 0 {
		return nil
	}
	slices.SortFunc(bodies, func(a, b sekisho.Body) int {
		return cmp.Compare(a.(*sekisho.MailEnded).Started, b.(*sekisho.MailEnded).Started)
	})
	_, err := s.record(ctx, bodies...)
	return err
}
