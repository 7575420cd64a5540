package duty

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sekisho"
	"sekisho/directory"
)

// TrainingConfig says how training is done.
type TrainingConfig struct {
	// Courses is a directory of courses of the company's own, each in a directory
	// with a course.yaml, beside those that are shipped.
	Courses string `yaml:"courses"`
	// Remind lists how long before the due date people are reminded who have not
	// completed. Default: 336h and 72h, two weeks and three days.
	Remind []time.Duration `yaml:"remind"`
	// Overdue is how long after the due date they are written to once more.
	// Default: 24h. Escalate is how long after it whoever leads them is. Default:
	// 168h, a week. Negative: never.
	Overdue  time.Duration `yaml:"overdue"`
	Escalate time.Duration `yaml:"escalate"`
	// Heads are the codes of posts whose holders lead a department or company, such
	// as director: they are told of what is overdue there.
	Heads []string `yaml:"heads"`
	// Elsewhere names courses that only another system of the company's has, whose
	// completions are imported: a name, and what it is called.
	Elsewhere map[string]string `yaml:"elsewhere"`
	// Programme lists plans that are made every year.
	Programme []Yearly `yaml:"programme"`
	// Import lets another system of the company's hand completions over, by HTTP.
	Import TrainingImport `yaml:"import"`
	// PerSecond is how many mails about training go out in a second. Default 5.
	PerSecond float64 `yaml:"per_second"`
}

// TrainingImport is another system that knows completions.
type TrainingImport struct {
	// System is its name, as the ledger calls it.
	System string `yaml:"system"`
	// TokenFile holds the token, of 16 characters or more, with which it comes; mode
	// 0600. Without it nothing is taken by HTTP.
	TokenFile string `yaml:"token_file"`
	// Declared: what it says is unknown until somebody countersigns.
	Declared bool `yaml:"declared"`
}

// Check fills in defaults and names the first mistake.
func (c *TrainingConfig) Check() error {
	if c.Remind == nil {
		c.Remind = []time.Duration{336 * time.Hour, 72 * time.Hour}
	}
	if c.Overdue == 0 {
		c.Overdue = 24 * time.Hour
	}
	if c.Escalate == 0 {
		c.Escalate = 7 * 24 * time.Hour
	}
	if c.PerSecond == 0 {
		c.PerSecond = 5
	}
	for name, title := range c.Elsewhere {
		if !courseName(name) || title == "" {
			return fmt.Errorf("training: elsewhere: %q: a name has small letters, digits and hyphens, and something it is called", name)
		}
	}
	for i := range c.Programme {
		if err := c.Programme[i].check(); err != nil {
			return err
		}
	}
	switch {
	case len(c.Remind) > 9:
		return fmt.Errorf("training: remind: at most 9 reminders")
	case !slices.IsSortedFunc(c.Remind, func(a, b time.Duration) int { return int(b/time.Second) - int(a/time.Second) }):
		return fmt.Errorf("training: remind: the longest time before the due date comes first")
	case len(c.Remind) > 0 && c.Remind[len(c.Remind)-1] <= 0:
		return fmt.Errorf("training: remind: times before the due date are above zero")
	case (c.Import.TokenFile == "") != (c.Import.System == ""):
		return fmt.Errorf("training: import: system and token_file come together")
	case c.PerSecond < 0 || c.PerSecond > 1000:
		return fmt.Errorf("training: per_second %v: use a number up to 1000", c.PerSecond)
	}
	return nil
}

// A Planning is a plan that somebody wants.
type Planning struct {
	Course  string `json:"course"`
	Edition string `json:"edition,omitempty"` // empty: the latest
	// Whom is "all", "executives", "company", "department" or "makeup".
	Whom  string       `json:"whom"`
	Unit  string       `json:"unit,omitempty"`  // company/CODE or department/CODE
	Kinds []string     `json:"kinds,omitempty"` // employee, executive, agency, secondee; empty: every one
	Of    uint64       `json:"of,omitempty"`    // makeup: the plan
	From  sekisho.Time `json:"from,omitempty"`  // 0: now
	Due   sekisho.Time `json:"due"`
	// Joiners is how many days somebody has who comes later; 0: whoever comes later
	// is not assigned.
	Joiners uint64 `json:"joiners,omitempty"`
	Reason  string `json:"reason,omitempty"`
	By      uint32 `json:"-"`
}

// A Planned is what a plan would be, or is.
type Planned struct {
	Course *sekisho.CourseRead
	Body   *sekisho.TrainingPlanned
	People []uint32 // ascending
	// Without is how many of them have no mail address.
	Without int
	// Same: the course was planned for others of its kind within a year, and is no
	// distinct one. Near is another course's plan that is due less than MinGap
	// before: the number of its TrainingPlanned; 0 for none.
	Same uint64
	Near uint64
}

// MinGap is how far apart two courses have to be completed to count as two in a
// year, where the rules do not say otherwise.
const MinGap = 60 * 24 * time.Hour

// maxJoiners is a year.
const maxJoiners = 366

// Draft says whom a plan would reach. Nothing happens.
func (s *School) Draft(p Planning) (*Planned, error) {
	now := s.now()
	var read EditionRead
	s.Views.Read(func() {
		for _, e := range s.Training.Editions() {
			if e.Body.Course == p.Course && (p.Edition == "" || e.Body.Edition == p.Edition) && (read.Entry == 0 || e.Body.Edition > read.Body.Edition) {
				read = e
			}
		}
	})
	if p.From == 0 {
		p.From = now
	}
	switch {
	case read.Entry == 0:
		return nil, ErrTraining("course")
	case p.Due <= now || p.Due <= p.From:
		return nil, ErrTraining("due")
	case p.Joiners > maxJoiners:
		return nil, ErrTraining("joiners")
	}
	d := &Planned{Course: read.Body, Body: &sekisho.TrainingPlanned{Course: read.Entry, Whom: p.Whom, Kinds: slices.Compact(slices.Sorted(slices.Values(p.Kinds))), From: p.From, Due: p.Due, Joiners: p.Joiners * 86400, By: p.By}}
	for _, k := range p.Kinds {
		if !slices.Contains([]string{"employee", "executive", "agency", "secondee"}, k) {
			return nil, ErrTraining("kinds")
		}
	}
	switch p.Whom {
	case "all", "executives":
	case "company", "department":
		o, ok := s.Vault.Space("unit").Find(p.Unit)
		if !ok || s.People.Unit(o, now) == nil || s.People.Unit(o, now).Kind != p.Whom {
			return nil, ErrTraining("unit")
		}
		d.Body.Unit = o
	case "makeup":
		d.Body.Of = p.Of
		var err error
		s.Views.Read(func() {
			of := s.Training.Plan(p.Of)
			if of == nil {
				err = ErrTraining("plan")
				return
			}
			s.Training.Shares(of, now, func(sh Share) {
				if sh.State == EnrolFailed || sh.State == EnrolMissed {
					d.People = append(d.People, sh.Person)
				}
			})
		})
		if err != nil {
			return nil, err
		}
	default:
		return nil, ErrTraining("whom")
	}
	if p.Whom == "makeup" {
		d.People = slices.DeleteFunc(d.People, func(o uint32) bool {
			who := s.People.Person(o, now)
			return who == nil || who.Left != 0 && who.Left <= now
		})
		d.Body.Joiners = 0
	} else {
		d.People = s.population(d.Body, now)
	}
	slices.Sort(d.People)
	if p.Whom != "makeup" {
		s.Views.Read(func() { s.beside(d) })
	}
	for _, o := range d.People {
		if s.Mail(o) == "" {
			d.Without++
		}
	}
	return d, nil
}

// beside looks for plans for the same people that this one is too much like, or
// too near to.
func (s *School) beside(d *Planned) {
	const year = sekisho.Time(365 * 24 * 3600e6)
	for _, p := range s.Training.order {
		c := s.Training.CourseOf(p)
		if c == nil || p.Body.Whom != d.Body.Whom || p.Body.Unit != d.Body.Unit || p.Ended != 0 {
			continue
		}
		switch {
		case c.Course == d.Course.Course && d.Body.From-p.Body.From < year:
			d.Same = p.Number
		case c.Course != d.Course.Course && d.Body.From < p.Due+sekisho.Time(MinGap.Microseconds()) && p.Body.From < d.Body.Due:
			d.Near = p.Number
		}
	}
}

// population is who is meant by a plan at a moment, by ordinal.
func (s *School) population(b *sekisho.TrainingPlanned, at sekisho.Time) (list []uint32) {
	people := s.People.PeopleAt(at)
	if b.Unit != 0 {
		people = s.People.PeopleWithin(b.Unit, at)
	}
	for p := range people {
		if b.Whom == "executives" && !p.Executive || len(b.Kinds) > 0 && !slices.Contains(b.Kinds, p.Kind) {
			continue
		}
		list = append(list, p.Staff)
	}
	return list
}

// mostAssigned is how many people stand in one entry.
const mostAssigned = 100_000

// Plan records a plan and whom it reaches. Both are durable on return; a crash
// between leaves a plan whose people KeepAssigned finds.
func (s *School) Plan(ctx context.Context, p Planning) (number uint64, err error) {
	s.planning.Lock()
	defer s.planning.Unlock()
	d, err := s.Draft(p)
	if err != nil {
		return 0, err
	}
	if len(d.People) == 0 && d.Body.Joiners == 0 {
		return 0, ErrTraining("nobody")
	}
	if d.Body.Reason, err = s.text("said", p.Reason); err != nil {
		return 0, err
	}
	if number, err = s.record(ctx, d.Body); err != nil {
		return 0, err
	}
	why := "population"
	if p.Whom == "makeup" {
		why = "makeup"
	}
	return number, s.assign(ctx, number, why, d.Body.Due, d.People)
}

func (s *School) assign(ctx context.Context, plan uint64, why string, due sekisho.Time, people []uint32) error {
	for part := range slices.Chunk(people, mostAssigned) {
		if _, err := s.record(ctx, &sekisho.TrainingAssigned{Plan: plan, Why: why, Due: due, People: part}); err != nil {
			return err
		}
	}
	return nil
}

// Mail is somebody's address; "" if none is known.
func (s *School) Mail(staff uint32) string { return s.Attributes(staff).Mail }

// Attributes are what the vault holds of somebody at present.
func (s *School) Attributes(staff uint32) (a directory.Attributes) {
	p := s.People.Person(staff, s.now())
	if p == nil || p.Record == 0 {
		return a
	}
	key, ok := s.Vault.Space("staff_record").Key(p.Record)
	if !ok {
		return a
	}
	a, _ = directory.ReadAttributes(key)
	return a
}
