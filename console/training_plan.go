package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/duty"
)

// One plan: what it would be, how far its people have come, and what is changed
// about it.

// A TrainingAsk is a plan as somebody types it. Days are in the house's zone;
// Due is the last day on which it is in time.
type TrainingAsk struct {
	Course  string   `json:"course"`
	Edition string   `json:"edition,omitempty"`
	Whom    string   `json:"whom"` // all, executives, company/CODE, department/CODE, makeup/PLAN
	Kinds   []string `json:"kinds,omitempty"`
	From    string   `json:"from,omitempty"`
	Due     string   `json:"due"`
	Joiners uint64   `json:"joiners,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	DryRun  bool     `json:"dry_run,omitempty"`
}

// A TrainingDraft is what a plan would be.
type TrainingDraft struct {
	Number  uint64 `json:"number,omitempty"` // of the plan, once it is one
	Course  string `json:"course"`
	Edition string `json:"edition"`
	Title   string `json:"title"`
	People  int    `json:"people"`
	Without int    `json:"without_mail"`
	Same    uint64 `json:"same_course,omitempty"` // another plan of the same course within a year
	Near    uint64 `json:"too_near,omitempty"`    // another plan that is due less than 60 days before
}

func (*TrainingDraft) file() string { return "training" }

// A TrainingPlanPage is one plan.
type TrainingPlanPage struct {
	TrainingLine
	Entry       uint64           `json:"course_entry"`
	Reason      string           `json:"reason,omitempty"`
	Executives  TrainingFigure   `json:"executives"`
	Companies   []TrainingFigure `json:"companies"`
	Departments []TrainingFigure `json:"departments"`
	Leaderless  int              `json:"leaderless"`
	People      []TrainingPerson `json:"people,omitempty"`
	AllPeople   int              `json:"all_people,omitempty"`
	Show        string           `json:"show,omitempty"`
	Within      string           `json:"within,omitempty"`
	May         bool             `json:"may_decide"`
}

func (*TrainingPlanPage) file() string { return "trainingplan" }

// A TrainingPerson is somebody behind a figure.
type TrainingPerson struct {
	User     string       `json:"user"`
	Name     string       `json:"name,omitempty"`
	State    string       `json:"state"`
	Due      sekisho.Time `json:"due"`
	Attempts int          `json:"attempts"`
	Entry    uint64       `json:"completion,omitempty"`
}

// A TrainingAct changes a plan.
type TrainingAct struct {
	Action string   `json:"action"` // ended, prolonged, excused, again
	Due    string   `json:"due,omitempty"`
	People []string `json:"people,omitempty"` // user names
	Reason string   `json:"reason"`
}

const mostTrainingPeople = 500

// planTraining plans, or with dry run says what a plan would be.
func (c *Console) planTraining(v *visit, ask TrainingAsk) (*TrainingDraft, error) {
	s, err := c.schooled()
	if err != nil {
		return nil, err
	}
	if !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "training_role")
	}
	p := duty.Planning{Course: ask.Course, Edition: ask.Edition, Whom: ask.Whom, Kinds: ask.Kinds, Joiners: ask.Joiners, Reason: strings.TrimSpace(ask.Reason), By: v.who.staff}
	if len(p.Reason) > maxReason {
		return nil, fail(http.StatusBadRequest, "export_reason")
	}
	switch kind, rest, _ := strings.Cut(ask.Whom, "/"); kind {
	case "company", "department":
		p.Whom, p.Unit = kind, ask.Whom
	case "makeup":
		n, err := strconv.ParseUint(rest, 10, 64)
		if err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "training_plan")
		}
		p.Whom, p.Of = kind, n
	}
	if ask.From != "" {
		from, err := time.ParseInLocation(time.DateOnly, ask.From, v.zone)
		if err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "training_due")
		}
		p.From = sekisho.At(from)
	}
	due, err := time.ParseInLocation(time.DateOnly, ask.Due, v.zone)
	if err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "training_due")
	}
	p.Due = sekisho.At(due.AddDate(0, 0, 1))
	if _, err := s.ReadIn(v.r.Context()); err != nil {
		return nil, notRecorded(err)
	}
	d, err := s.Draft(p)
	if err != nil {
		return nil, refusedTraining(err)
	}
	out := &TrainingDraft{Course: d.Course.Course, Edition: d.Course.Edition, Title: d.Course.Course, People: len(d.People), Without: d.Without, Same: d.Same, Near: d.Near}
	if one, err := s.Course(d.Course); err == nil {
		out.Title = one.Title.In(v.Lang)
	}
	if ask.DryRun {
		return out, nil
	}
	out.Number, err = s.Plan(v.r.Context(), p)
	return out, refusedTraining(err)
}

func (c *Console) planTrainingForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	ask := TrainingAsk{Course: f.Get("course"), Whom: f.Get("whom"), Kinds: f["kinds"], From: f.Get("from"), Due: f.Get("due"), Reason: f.Get("reason"), DryRun: f.Get("go") != "yes"}
	ask.Course, ask.Edition, _ = strings.Cut(ask.Course, " ")
	if unit := f.Get("unit"); ask.Whom == "unit" {
		ask.Whom = unit
	}
	if days := f.Get("joiners"); days != "" {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "training_joiners")
		}
		ask.Joiners = n
	}
	d, err := c.planTraining(v, ask)
	if err != nil {
		return nil, err
	}
	if d.Number != 0 {
		return c.seeTraining(v, d.Number)
	}
	if wantsJSON(v.r) {
		return d, nil
	}
	p, err := c.trainingPage(v)
	if err != nil {
		return nil, err
	}
	p.Plan, p.Ask = d, ask
	return p, nil
}

func (c *Console) seeTraining(v *visit, n uint64) (page, error) {
	if wantsJSON(v.r) {
		return c.planPage(v, n, "", "")
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/training/%d", n), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) trainingPlan(v *visit) (page, error) {
	n, err := v.pathNumber("plan", "training_plan")
	if err != nil {
		return nil, err
	}
	return c.planPage(v, n, v.r.URL.Query().Get("show"), v.r.URL.Query().Get("within"))
}

// planPage shows a plan; show is a state whose people are listed, within a unit
// or "executives".
func (c *Console) planPage(v *visit, n uint64, show, within string) (*TrainingPlanPage, error) {
	s, err := c.schooled()
	if err != nil {
		return nil, err
	}
	pr := s.Progress(n)
	if pr == nil {
		return nil, fail(http.StatusNotFound, "training_plan")
	}
	p := &TrainingPlanPage{TrainingLine: c.trainingLine(v, pr), Entry: pr.Plan.Body.Course, Executives: trainingFigure(pr.Executives), Companies: []TrainingFigure{}, Departments: []TrainingFigure{}, Leaderless: pr.Leaderless,
		Show: show, Within: within, May: c.mayDecide(v.who)}
	if r := pr.Plan.Body.Reason; r != 0 {
		p.Reason = c.named("said", r)
	}
	for from, to := range map[*[]duty.TrainingCount]*[]TrainingFigure{&pr.Companies: &p.Companies, &pr.Departments: &p.Departments} {
		for _, one := range *from {
			f := trainingFigure(one)
			if f.Title = v.say("train.nowhere"); one.Unit != 0 {
				f.Title, f.Unit = c.unitTitle(one.Unit), c.named("unit", one.Unit)
			}
			*to = append(*to, f)
		}
	}
	if show == "" || !p.May {
		return p, nil
	}
	var unit uint32
	if within != "" && within != "executives" {
		var ok bool
		if unit, ok = c.cfg.Vault.Space("unit").Find(within); !ok {
			return nil, fail(http.StatusNotFound, "training_unit")
		}
	}
	states := []duty.EnrolmentState{duty.EnrolmentState(show)}
	if show == "behind" {
		states = []duty.EnrolmentState{duty.EnrolFailed, duty.EnrolMissed}
	}
	var list []duty.Share
	list, p.AllPeople = s.Behind(n, unit, within == "executives", states, mostTrainingPeople)
	for _, one := range list {
		p.People = append(p.People, TrainingPerson{User: c.named("staff", one.Person), Name: s.Attributes(one.Person).Name, State: string(one.State), Due: one.Due - 1, Attempts: int(one.Attempts), Entry: one.Completed})
	}
	return p, nil
}

func (c *Console) actOnTraining(v *visit, n uint64, a TrainingAct) error {
	s, err := c.schooled()
	if err != nil {
		return err
	}
	if !c.mayDecide(v.who) {
		return fail(http.StatusForbidden, "training_role")
	}
	b := sekisho.TrainingChanged{Plan: n, Action: a.Action, By: v.who.staff}
	if a.Due != "" {
		due, err := time.ParseInLocation(time.DateOnly, a.Due, v.zone)
		if err != nil {
			return fail(http.StatusUnprocessableEntity, "training_due")
		}
		b.Due = sekisho.At(due.AddDate(0, 0, 1))
	}
	for _, name := range a.People {
		o, ok := c.cfg.Vault.Space("staff").Find(strings.ToLower(strings.TrimSpace(name)))
		if !ok {
			return fail(http.StatusUnprocessableEntity, "training_person")
		}
		b.People = append(b.People, o)
	}
	if a.Reason = strings.TrimSpace(a.Reason); len(a.Reason) > maxReason {
		return fail(http.StatusBadRequest, "export_reason")
	}
	return refusedTraining(s.Change(v.r.Context(), b, a.Reason))
}

func (c *Console) actOnTrainingForm(v *visit) (page, error) {
	n, err := v.pathNumber("plan", "training_plan")
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	if err := c.actOnTraining(v, n, TrainingAct{Action: f.Get("action"), Due: f.Get("due"), People: strings.Fields(f.Get("people")), Reason: f.Get("reason")}); err != nil {
		return nil, err
	}
	return c.seeTraining(v, n)
}
