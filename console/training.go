package console

import (
	"errors"
	"net/http"
	"slices"

	"sekisho"
	"sekisho/duty"
)

// Training at the console: courses, plans, how far people have come, and what
// other systems say. Who has not completed something is shown by name to those
// alone who may decide.

// A TrainingPage lists courses and plans.
type TrainingPage struct {
	Courses  []TrainingCourse `json:"courses"`
	Plans    []TrainingLine   `json:"plans"`
	Declared int              `json:"declared"` // completions that wait for a second person
	Waiting  []TrainingClaim  `json:"waiting,omitempty"`
	May      bool             `json:"may_decide"`
	Units    []TrainingUnit   `json:"units"`
	Import   string           `json:"import,omitempty"` // the system that brings completions by itself
	Ask      TrainingAsk      `json:"-"`
	Plan     *TrainingDraft   `json:"-"` // a dry run
	Took     *duty.Imported   `json:"-"` // an import
}

func (*TrainingPage) file() string { return "training" }

// A TrainingCourse is an edition that can be assigned.
type TrainingCourse struct {
	Entry     uint64 `json:"entry"` // 0: the ledger does not know it yet
	Course    string `json:"course"`
	Edition   string `json:"edition"`
	Title     string `json:"title"`
	About     string `json:"about"`
	Pages     int    `json:"pages"`
	Questions int    `json:"questions"`
	Draw      uint64 `json:"draw"`
	Pass      uint64 `json:"pass"`
	Attempts  uint64 `json:"attempts"`
	Seconds   uint64 `json:"seconds"`
}

// A TrainingUnit is a company or department.
type TrainingUnit struct {
	Key   string `json:"key"`
	Title string `json:"title"`
}

// A TrainingLine is one plan.
type TrainingLine struct {
	Number  uint64         `json:"number"`
	Course  string         `json:"course"`
	Edition string         `json:"edition"`
	Title   string         `json:"title"`
	Whom    string         `json:"whom"`
	Unit    string         `json:"unit,omitempty"`
	Of      uint64         `json:"of,omitempty"`
	From    sekisho.Time   `json:"from"`
	Due     sekisho.Time   `json:"due"`
	Ended   sekisho.Time   `json:"ended,omitempty"`
	Joiners uint64         `json:"joiners_days,omitempty"`
	By      string         `json:"by,omitempty"` // empty: the programme
	All     TrainingFigure `json:"all"`
	Through uint64         `json:"through"` // every entry up to this one was considered
}

// A TrainingFigure is a share with what it is made of.
type TrainingFigure struct {
	Title       string `json:"title,omitempty"`
	Unit        string `json:"unit,omitempty"`
	Numerator   int    `json:"numerator"`
	Denominator int    `json:"denominator"`
	duty.TrainingCount
}

// Percent is the share, for a bar.
func (f TrainingFigure) Percent() int { return f.Numerator * 100 / max(f.Denominator, 1) }

// Behind is who is not done in time: failed or missed.
func (f TrainingFigure) Behind() int { return f.Failed + f.Missed }

func trainingFigure(c duty.TrainingCount) TrainingFigure {
	return TrainingFigure{Numerator: c.Numerator(), Denominator: c.Denominator(), TrainingCount: c}
}

// schooled gives training, if it is done here.
func (c *Console) schooled() (*duty.School, error) {
	if c.cfg.School == nil {
		return nil, fail(http.StatusConflict, "training_not_here")
	}
	return c.cfg.School, nil
}

// refusedTraining turns a reason into something to show.
func refusedTraining(err error) error {
	var why duty.ErrTraining
	if errors.As(err, &why) {
		f := &failure{status: http.StatusUnprocessableEntity, cause: err}
		f.key = "training_" + string(why)
		return f
	}
	return err
}

func (c *Console) training(v *visit) (page, error) { return c.trainingPage(v) }

func (c *Console) trainingPage(v *visit) (*TrainingPage, error) {
	s, err := c.schooled()
	if err != nil {
		return nil, err
	}
	p := &TrainingPage{Courses: []TrainingCourse{}, Plans: []TrainingLine{}, Units: []TrainingUnit{}, May: c.mayDecide(v.who)}
	if c.cfg.ImportToken != "" {
		p.Import = s.Config.Import.System
	}
	var read []duty.EditionRead
	var plans []uint64
	var claims []duty.Completion
	c.cfg.Views.Read(func() {
		read = s.Training.Editions()
		for _, one := range s.Training.Plans() {
			plans = append(plans, one.Number)
		}
		claims, p.Declared = s.Training.Declared(200)
	})
	for _, e := range read {
		one, err := s.Course(e.Body)
		if err != nil {
			return nil, err
		}
		p.Courses = append(p.Courses, courseLine(v, one, e.Entry))
	}
	for _, one := range s.Courses { // those that nobody has planned yet
		if !slices.ContainsFunc(p.Courses, func(t TrainingCourse) bool { return t.Course == one.Name && t.Edition == one.Edition }) {
			p.Courses = append(p.Courses, courseLine(v, one, 0))
		}
	}
	const most = 100
	for _, n := range plans[:min(most, len(plans))] {
		if pr := s.Progress(n); pr != nil {
			p.Plans = append(p.Plans, c.trainingLine(v, pr))
		}
	}
	if p.May {
		for _, one := range claims {
			p.Waiting = append(p.Waiting, TrainingClaim{Entry: one.Seq, Person: c.named("staff", one.Body.Person), Course: one.Body.Course, When: one.Body.When, System: one.Body.System, By: c.named("staff", one.Body.By)})
		}
	}
	now := sekisho.At(c.cfg.Now())
	for _, kind := range []string{"company", "department"} {
		for u := range s.People.UnitsAt(kind, now) {
			p.Units = append(p.Units, TrainingUnit{c.named("unit", u.Unit), c.unitTitle(u.Unit)})
		}
	}
	return p, nil
}

func courseLine(v *visit, one *duty.Course, entry uint64) TrainingCourse {
	return TrainingCourse{Entry: entry, Course: one.Name, Edition: one.Edition, Title: one.Title.In(v.Lang), About: one.About.In(v.Lang), Pages: len(one.Pages), Questions: len(one.Questions),
		Draw: one.Draw, Pass: one.Pass, Attempts: one.Attempts, Seconds: one.Seconds}
}

func (c *Console) trainingLine(v *visit, pr *duty.TrainingProgress) TrainingLine {
	b := pr.Plan.Body
	l := TrainingLine{Number: pr.Plan.Number, Whom: b.Whom, Of: b.Of, From: b.From, Due: pr.Plan.Due - 1, Ended: pr.Plan.Ended, Joiners: b.Joiners / 86400, All: trainingFigure(pr.All), Through: pr.Through}
	if b.Unit != 0 {
		l.Unit = c.unitTitle(b.Unit)
	}
	if b.By != 0 {
		l.By = c.named("staff", b.By)
	}
	if pr.Course != nil {
		l.Course, l.Edition, l.Title = pr.Course.Course, pr.Course.Edition, pr.Course.Course
		if one, err := c.cfg.School.Course(pr.Course); err == nil {
			l.Title = one.Title.In(v.Lang)
		}
	}
	return l
}

func (c *Console) controlTraining(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/training", maxForm, c.settled(func(v *visit) (any, error) { return c.trainingPage(v) }))
	handle("POST /api/training", maxForm, c.settled(func(v *visit) (any, error) {
		ask, err := told[TrainingAsk](v)
		if err != nil {
			return nil, err
		}
		return c.planTraining(v, ask)
	}))
	handle("GET /api/training/{plan}", maxForm, c.settled(func(v *visit) (any, error) {
		n, err := v.pathNumber("plan", "training_plan")
		if err != nil {
			return nil, err
		}
		return c.planPage(v, n, v.r.URL.Query().Get("show"), v.r.URL.Query().Get("within"))
	}))
	handle("POST /api/training/{plan}", 1<<20, c.settled(func(v *visit) (any, error) {
		n, err := v.pathNumber("plan", "training_plan")
		if err != nil {
			return nil, err
		}
		a, err := told[TrainingAct](v)
		if err != nil {
			return nil, err
		}
		if err := c.actOnTraining(v, n, a); err != nil {
			return nil, err
		}
		return c.planPage(v, n, "", "")
	}))
	handle("POST /api/training/judge", 1<<20, c.settled(func(v *visit) (any, error) {
		a, err := told[TrainingVerdict](v)
		if err != nil {
			return nil, err
		}
		return map[string]int{"judged": len(a.Completions)}, c.judgeTraining(v, a)
	}))
	handle("POST /api/training/import", duty.MaxImport+1<<20, c.settled(func(v *visit) (any, error) {
		q := v.r.URL.Query()
		return c.takeTraining(v.r.Context(), duty.Import{System: q.Get("system"), Declared: q.Get("declared") == "true", By: v.who.staff}, v.r.Body, q.Get("dry_run") == "true")
	}))
}
