package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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

// A TrainingClaim is a completion that somebody declared.
type TrainingClaim struct {
	Entry  uint64       `json:"entry"`
	Person string       `json:"person,omitempty"`
	Course string       `json:"course"`
	When   sekisho.Time `json:"when"`
	System string       `json:"system"`
	By     string       `json:"by"`
}

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

// A TrainingVerdict is what a second person says of completions.
type TrainingVerdict struct {
	Completions []uint64 `json:"completions"`
	Action      string   `json:"action"` // countersigned, withdrawn
	Reason      string   `json:"reason,omitempty"`
}

const mostTrainingPeople = 500

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

// unitTitle is what a company or department is called.
func (c *Console) unitTitle(unit uint32) string {
	if u := c.cfg.School.People.Unit(unit, sekisho.At(c.cfg.Now())); u != nil && u.Title != 0 {
		return c.named("said", u.Title)
	}
	return c.named("unit", unit)
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
	n, err := strconv.ParseUint(v.r.PathValue("plan"), 10, 64)
	if err != nil {
		return nil, fail(http.StatusNotFound, "training_plan")
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
	n, err := strconv.ParseUint(v.r.PathValue("plan"), 10, 64)
	if err != nil {
		return nil, fail(http.StatusNotFound, "training_plan")
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

func (c *Console) judgeTraining(v *visit, a TrainingVerdict) error {
	s, err := c.schooled()
	if err != nil {
		return err
	}
	if !c.mayDecide(v.who) {
		return fail(http.StatusForbidden, "training_role")
	}
	if a.Reason = strings.TrimSpace(a.Reason); len(a.Reason) > maxReason {
		return fail(http.StatusBadRequest, "export_reason")
	}
	same := func(x, y uint32) bool {
		return x == y || c.users.person(c.named("staff", x)) == c.users.person(c.named("staff", y))
	}
	return refusedTraining(s.Judge(v.r.Context(), a.Completions, a.Action, a.Reason, v.who.staff, same))
}

func (c *Console) judgeTrainingForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	a := TrainingVerdict{Action: v.r.PostForm.Get("action"), Reason: v.r.PostForm.Get("reason")}
	for _, t := range v.r.PostForm["completion"] {
		n, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "training_completion")
		}
		a.Completions = append(a.Completions, n)
	}
	if err := c.judgeTraining(v, a); err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, "/training", http.StatusSeeOther)
	return nil, errDone
}

// takeTraining takes completions of another system over.
func (c *Console) takeTraining(ctx context.Context, m duty.Import, csv io.Reader, dry bool) (*duty.Imported, error) {
	s, err := c.schooled()
	if err != nil {
		return nil, err
	}
	if csv != nil {
		if m.Lines, m.SHA256, err = duty.ReadImport(csv); err != nil {
			if big := tooLarge(err); big != err {
				return nil, big
			}
			return nil, &failure{status: http.StatusUnprocessableEntity, key: "training_csv", args: []any{err.Error()}, cause: err}
		}
	}
	if m.System = strings.TrimSpace(m.System); m.System == "" || len(m.System) > 64 {
		return nil, fail(http.StatusUnprocessableEntity, "training_system")
	}
	if _, err := s.ReadIn(ctx); err != nil {
		return nil, notRecorded(err)
	}
	return s.Take(ctx, m, dry)
}

func (c *Console) importTrainingForm(v *visit) (page, error) {
	if !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "training_role")
	}
	if err := v.r.ParseMultipartForm(1 << 20); err != nil {
		return nil, tooLarge(err)
	}
	defer v.r.MultipartForm.RemoveAll()
	file, _, err := v.r.FormFile("file")
	if err != nil {
		return nil, fail(http.StatusBadRequest, "file_missing")
	}
	defer file.Close()
	took, err := c.takeTraining(v.r.Context(), duty.Import{System: v.r.FormValue("system"), Declared: v.r.FormValue("declared") == "yes", By: v.who.staff}, file, v.r.FormValue("go") != "yes")
	if err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return importedPage{took}, nil
	}
	p, err := c.trainingPage(v)
	if err != nil {
		return nil, err
	}
	p.Took = took
	return p, nil
}

type importedPage struct{ *duty.Imported }

func (importedPage) file() string { return "training" }

// importTraining is for another learning system, which comes with a token. It
// posts CSV, or JSON: {"dry_run": …, "completions": [{"person", "course",
// "completed", "edition", "score"}]}. The answer says what became of each line
// that was not taken.
func (c *Console) importTraining(v *visit) (page, error) {
	v.r.Header.Set("Accept", "application/json")
	word, ok := strings.CutPrefix(v.r.Header.Get("Authorization"), "Bearer ")
	have, want := sha256.Sum256([]byte(word)), sha256.Sum256([]byte(c.cfg.ImportToken))
	if subtle.ConstantTimeCompare(have[:], want[:]) != 1 || !ok || c.cfg.ImportToken == "" {
		v.w.Header().Set("WWW-Authenticate", "Bearer")
		return nil, fail(http.StatusUnauthorized, "training_token")
	}
	s, err := c.schooled()
	if err != nil {
		return nil, err
	}
	conf := s.Config.Import
	m := duty.Import{System: conf.System, Declared: conf.Declared}
	dry := v.r.URL.Query().Get("dry_run") == "true"
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "text/csv") {
		took, err := c.takeTraining(v.r.Context(), m, v.r.Body, dry)
		return importedPage{took}, err
	}
	h := sha256.New()
	v.r.Body = io.NopCloser(io.TeeReader(v.r.Body, h))
	body, err := told[struct {
		DryRun      bool                `json:"dry_run"`
		Completions []duty.ImportedLine `json:"completions"`
	}](v)
	if err != nil {
		return nil, err
	}
	io.Copy(io.Discard, v.r.Body)
	m.Lines, m.SHA256 = body.Completions, [32]byte(h.Sum(nil))
	took, err := c.takeTraining(v.r.Context(), m, nil, dry || body.DryRun)
	return importedPage{took}, err
}

func (c *Console) controlTraining(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	settled := func(do func(v *visit) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
				return nil, fmt.Errorf("answering a command: %w", err)
			}
			return do(v)
		}
	}
	numbered := func(v *visit) (uint64, error) {
		n, err := strconv.ParseUint(v.r.PathValue("plan"), 10, 64)
		if err != nil {
			return 0, fail(http.StatusNotFound, "training_plan")
		}
		return n, nil
	}
	handle("GET /api/training", maxForm, settled(func(v *visit) (any, error) { return c.trainingPage(v) }))
	handle("POST /api/training", maxForm, settled(func(v *visit) (any, error) {
		ask, err := told[TrainingAsk](v)
		if err != nil {
			return nil, err
		}
		return c.planTraining(v, ask)
	}))
	handle("GET /api/training/{plan}", maxForm, settled(func(v *visit) (any, error) {
		n, err := numbered(v)
		if err != nil {
			return nil, err
		}
		return c.planPage(v, n, v.r.URL.Query().Get("show"), v.r.URL.Query().Get("within"))
	}))
	handle("POST /api/training/{plan}", 1<<20, settled(func(v *visit) (any, error) {
		n, err := numbered(v)
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
	handle("POST /api/training/judge", 1<<20, settled(func(v *visit) (any, error) {
		a, err := told[TrainingVerdict](v)
		if err != nil {
			return nil, err
		}
		return map[string]int{"judged": len(a.Completions)}, c.judgeTraining(v, a)
	}))
	handle("POST /api/training/import", duty.MaxImport+1<<20, settled(func(v *visit) (any, error) {
		q := v.r.URL.Query()
		return c.takeTraining(v.r.Context(), duty.Import{System: q.Get("system"), Declared: q.Get("declared") == "true", By: v.who.staff}, v.r.Body, q.Get("dry_run") == "true")
	}))
}
