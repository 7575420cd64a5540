package console

import (
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sekisho"
	"sekisho/duty"
)

// Training at the employees' door: one reads, answers, and has a certificate.

var trainingAtTheDoor = []staffRoute{
	{pattern: "GET /my/training/{plan}", handle: (*StaffDoor).training},
	{pattern: "POST /my/training/{plan}/begin", handle: (*StaffDoor).trainingBegin},
	{pattern: "GET /my/training/{plan}/pages/{page}", handle: (*StaffDoor).trainingPage},
	{pattern: "GET /my/training/{plan}/questions", handle: (*StaffDoor).trainingQuestions},
	{pattern: "POST /my/training/{plan}/questions", handle: (*StaffDoor).trainingAnswer},
	{pattern: "GET /my/certificates/{entry}", handle: (*StaffDoor).certificate},
}

// myTraining lists what was assigned to the visitor, and what they completed.
func (d *StaffDoor) myTraining(v *staffVisit) (lines []MyLine, err error) {
	var shares []duty.Share
	var done []duty.Completion
	now := sekisho.At(d.Now())
	d.Views.Read(func() {
		shares, done = d.School.Training.Of(v.who.staff, now), d.School.Training.Completions(v.who.staff)
	})
	for _, s := range shares {
		if s.Body().From > now || s.Plan.Ended != 0 || s.Course == nil {
			continue
		}
		c, err := d.School.Course(s.Course)
		if err != nil {
			return nil, err
		}
		l := MyLine{Title: c.Title.In(v.Lang), What: c.About.In(v.Lang), State: string(s.State), Due: s.Due - 1, To: fmt.Sprintf("/my/training/%d", s.Plan.Number), Go: "begin"}
		switch s.State {
		case duty.EnrolBegun:
			l.Owed, l.Go = true, "go_on"
		case duty.EnrolOpen:
			l.Owed = true
		case duty.EnrolMissed:
			l.Owed, l.Bad = true, true
		case duty.EnrolFailed:
			l.Owed, l.Bad, l.Go = true, true, "look"
		default:
			continue // the completion says it
		}
		lines = append(lines, l)
	}
	for _, c := range done {
		l := MyLine{Title: d.courseTitle(v, c.Body), State: "done", Done: c.Body.When, More: fmt.Sprintf("/my/certificates/%d", c.Seq)}
		switch c.State {
		case "declared":
			l.State, l.More = "unknown", ""
		case "withdrawn":
			l.State, l.More = "withdrawn", ""
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// courseTitle is what a completed course is called: by its edition, if the
// ledger knows it.
func (d *StaffDoor) courseTitle(v *staffVisit, b *sekisho.TrainingCompleted) string {
	var e duty.EditionRead
	d.Views.Read(func() { e = d.School.Training.Edition(b.Course, b.Edition) })
	if e.Entry != 0 {
		if c, err := d.School.Course(e.Body); err == nil {
			return c.Title.In(v.Lang)
		}
	}
	return b.Course
}

// A myCourse is a course as the visitor has it before them.
type myCourse struct {
	Plan    uint64
	Title   string
	About   string
	Edition string
	State   string
	Why     string // a code of why it cannot be begun; empty if it can
	Due     sekisho.Time
	Pages   []string // titles
	Ask     int
	Pass    uint64
	Left    uint64 // attempts
	Minutes uint64
	Open    bool // an attempt is under way
	Page    int  // from 1
	Of      int
	Heading string
	Text    template.HTML
	Ready   sekisho.Time // when the questions can be answered
	Wait    int          // seconds until then
	Notes   []string     // what stands in the way of an answer
	Items   []myQuestion
	Attest  string
	Result  *duty.Result
	Score   uint64
	Wrong   []myWrong
	Done    uint64 // the completion's entry
}

// Before is the page before.
func (m *myCourse) Before() int { return m.Page - 1 }

type myQuestion struct {
	Number  int
	Ask     string
	Many    bool
	Options []myOption
	Missing bool
}

type myOption struct {
	Place  int // in the course
	Say    string
	Chosen bool
}

type myWrong struct{ Ask, Why, Page string }

// taking is the visitor's share in the plan of the path, and the course. nil:
// an answer was given.
func (d *StaffDoor) taking(v *staffVisit) (*duty.Share, *duty.Course, error) {
	n, err := strconv.ParseUint(v.r.PathValue("plan"), 10, 64)
	if err != nil {
		return nil, nil, d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	s, err := d.School.Share(n, v.who.staff)
	if errors.Is(err, duty.ErrNotAssigned) || err == nil && s.Body().From > sekisho.At(d.Now()) {
		return nil, nil, d.fails(v, http.StatusNotFound, "my.fail.nowhere") // somebody else's looks like nobody's
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := d.School.Course(s.Course)
	return &s, c, err
}

func (d *StaffDoor) courseOf(v *staffVisit, s *duty.Share, c *duty.Course) *myCourse {
	m := &myCourse{Plan: s.Plan.Number, Title: c.Title.In(v.Lang), About: c.About.In(v.Lang), Edition: c.Edition, State: string(s.State), Due: s.Due - 1,
		Ask: int(c.Draw), Pass: c.Pass, Left: c.Attempts - min(c.Attempts, uint64(s.Tries)), Minutes: (c.Seconds + 59) / 60, Open: s.Open != 0, Of: len(c.Pages), Done: s.Completed}
	for _, p := range c.Pages {
		m.Pages = append(m.Pages, p.Title.In(v.Lang))
	}
	if why := s.May(); why != nil {
		m.Why = string(why.(duty.ErrTraining))
	}
	return m
}

func (d *StaffDoor) training(v *staffVisit) error {
	s, c, err := d.taking(v)
	if s == nil || err != nil {
		return err
	}
	return d.print(v, http.StatusOK, "course", c.Title.In(v.Lang), d.courseOf(v, s, c))
}

func (d *StaffDoor) seeTraining(v *staffVisit, plan uint64, rest string) error {
	http.Redirect(v.w, v.r, fmt.Sprintf("/my/training/%d%s", plan, rest), http.StatusSeeOther)
	return nil
}

func (d *StaffDoor) trainingBegin(v *staffVisit) error {
	s, _, err := d.taking(v)
	if s == nil || err != nil {
		return err
	}
	_, err = d.School.Begin(v.r.Context(), s.Plan.Number, v.who.staff, v.Lang, v.who.entry)
	var why duty.ErrTraining
	if errors.As(err, &why) {
		return d.seeTraining(v, s.Plan.Number, "")
	}
	if err != nil {
		return err
	}
	return d.seeTraining(v, s.Plan.Number, "/pages/1")
}

// trainingPage shows a page to whoever has begun, or has completed the course
// and reads it again.
func (d *StaffDoor) trainingPage(v *staffVisit) error {
	s, c, err := d.taking(v)
	if s == nil || err != nil {
		return err
	}
	n, err := strconv.Atoi(v.r.PathValue("page"))
	if err != nil || n < 1 || n > len(c.Pages) {
		return d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	if s.Attempts == 0 && s.Completed == 0 {
		return d.seeTraining(v, s.Plan.Number, "")
	}
	m := d.courseOf(v, s, c)
	page := c.Pages[n-1]
	m.Page, m.Heading = n, page.Title.In(v.Lang)
	if m.Text, err = d.texts.html(page.Text.In(v.Lang)); err != nil {
		return err
	}
	return d.print(v, http.StatusOK, "read", m.Heading, m)
}

func (d *StaffDoor) trainingQuestions(v *staffVisit) error {
	s, c, err := d.taking(v)
	if s == nil || err != nil {
		return err
	}
	_, a, err := d.School.Open(s.Plan.Number, v.who.staff)
	if err != nil || s.May() != nil {
		return d.seeTraining(v, s.Plan.Number, "")
	}
	return d.questions(v, http.StatusOK, s, c, &a, nil)
}

// questions shows those that were drawn, with what was chosen already.
func (d *StaffDoor) questions(v *staffVisit, status int, s *duty.Share, c *duty.Course, a *duty.Attempt, chosen []uint64, notes ...string) error {
	m := d.courseOf(v, s, c)
	m.Notes, m.Attest = notes, c.Attestation.In(a.Body.Language)
	m.Ready = a.Ready(s.Course)
	if wait := m.Ready.Go().Sub(d.Now()); wait > 0 {
		m.Wait = int(wait/time.Second) + 1
		v.w.Header().Set("Refresh", strconv.Itoa(m.Wait)) // it opens by itself
		return d.print(v, status, "questions", v.say("my.questions"), m)
	}
	for i, q := range a.Body.Questions {
		if q >= uint64(len(c.Questions)) {
			continue
		}
		one := c.Questions[q]
		item := myQuestion{Number: i + 1, Ask: one.Ask.In(v.Lang), Many: one.Many()}
		for _, place := range a.Order(i, len(one.Options)) {
			o := myOption{Place: place, Say: one.Options[place].Say.In(v.Lang)}
			if chosen != nil {
				o.Chosen = chosen[i]&(1<<place) != 0
			}
			item.Options = append(item.Options, o)
		}
		item.Missing = chosen != nil && chosen[i] == 0
		m.Items = append(m.Items, item)
	}
	return d.print(v, status, "questions", v.say("my.questions"), m)
}

func (d *StaffDoor) trainingAnswer(v *staffVisit) error {
	s, c, err := d.taking(v)
	if s == nil || err != nil {
		return err
	}
	_, a, err := d.School.Open(s.Plan.Number, v.who.staff)
	if err != nil {
		return d.seeTraining(v, s.Plan.Number, "") // sent twice: how it ended stands there
	}
	chosen := make([]uint64, len(a.Body.Questions))
	for i := range chosen {
		for _, o := range v.r.PostForm["q"+strconv.Itoa(i+1)] {
			if n, err := strconv.Atoi(o); err == nil && n >= 0 && n < 64 {
				chosen[i] |= 1 << n
			}
		}
	}
	r, err := d.School.Answer(v.r.Context(), s.Plan.Number, v.who.staff, chosen, v.r.PostForm.Get("attest") == "yes")
	var why duty.ErrTraining
	if errors.As(err, &why) {
		switch why {
		case duty.ErrTooSoon, duty.ErrAnswers, duty.ErrAttest:
			return d.questions(v, http.StatusUnprocessableEntity, s, c, &a, chosen, "my.why."+string(why))
		}
		return d.seeTraining(v, s.Plan.Number, "")
	}
	if err != nil {
		return err
	}
	m := d.courseOf(v, s, c)
	m.Result, m.Score, m.Left, m.Done = r, r.Score(), r.Left, r.Completed
	for _, q := range r.Wrong {
		one := c.Questions[q]
		w := myWrong{Ask: one.Ask.In(v.Lang)}
		if at := slices.IndexFunc(c.Pages, func(p duty.CoursePage) bool { return p.Name == one.Page }); at >= 0 {
			w.Page = strconv.Itoa(at + 1)
		}
		if r.Passed {
			w.Why = one.Why.In(v.Lang)
		}
		m.Wrong = append(m.Wrong, w)
	}
	return d.print(v, http.StatusOK, "result", v.say("my.result"), m)
}

// A certificate says what the ledger says of a completion.
type certificate struct {
	Name    string
	Title   string
	Course  string
	Edition string
	When    sekisho.Time
	Scored  bool
	Score   uint64
	Source  string
	System  string
	Entry   uint64
	SHA256  string
}

func (d *StaffDoor) certificate(v *staffVisit) error {
	n, err := strconv.ParseUint(v.r.PathValue("entry"), 10, 64)
	if err != nil {
		return d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	var c duty.Completion
	ok := false
	d.Views.Read(func() { c, ok = d.School.Training.Completion(n) })
	if !ok || c.Body.Person != v.who.staff || !c.Counts() {
		return d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	return d.print(v, http.StatusOK, "certificate", v.say("my.certificate"), certificate{Name: d.nameOf(v.who.staff), Title: d.courseTitle(v, c.Body), Course: c.Body.Course, Edition: c.Body.Edition, When: c.Body.When,
		Scored: c.Body.Scored, Score: c.Body.Score, Source: c.Body.Source, System: c.Body.System, Entry: c.Seq, SHA256: hex.EncodeToString(c.Body.SHA256[:])})
}
