package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// Findings: what is not as it should be, whose it is to put right, and who has
// looked again.

// fillFinding reads what every finding has.
func (c *Console) fillFinding(v *visit, b *sekisho.FindingRaised, a CheckAct) (err error) {
	if !slices.Contains(grades, b.Grade) || a.Text == "" {
		return fail(http.StatusBadRequest, "finding_what")
	}
	if b.Title, err = c.write(a.Text); err != nil {
		return err
	}
	if b.Owner, err = c.account(a.Owner); err != nil {
		return err
	}
	if b.Due, err = c.moment(v, a.Due); err != nil {
		return err
	}
	if b.Owner != 0 && b.Due == 0 && b.Grade != "remark" {
		return fail(http.StatusBadRequest, "finding_due")
	}
	return nil
}

// A FindingPage is one finding with what was done about it.
type FindingPage struct {
	FindingLine
	By     string      `json:"by"`
	Steps  []StepLine  `json:"steps"`
	Papers []PaperLine `json:"papers"`
	Own    bool        `json:"own"` // the visitor owes it, or says that it was put right
	Decide bool        `json:"can_decide"`
	Kinds  []string    `json:"-"`
	Lesson bool        `json:"-"`
}

func (*FindingPage) file() string { return "finding" }

func (c *Console) findingPage(v *visit, number uint64) (*FindingPage, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	var p *FindingPage
	c.cfg.Views.Read(func() {
		f := c.cfg.Checks.Finding(number)
		if f == nil {
			return
		}
		p = &FindingPage{FindingLine: c.findingLine(f, sekisho.At(c.cfg.Now())), Papers: c.paperLines(f.Papers), Steps: []StepLine{}, Kinds: []string{"proof", "photo", "report"}, Lesson: f.Body == nil}
		if f.Body != nil {
			p.By = c.named("staff", f.Body.By)
		}
		for _, s := range f.Acts {
			x := s.Body
			at := x.Due
			if at == 0 {
				at = x.At
			}
			p.Steps = append(p.Steps, StepLine{s.Entry, s.At, x.Action, at, "", c.named("staff", x.Person), c.named("staff", x.By), c.said(x.Said)})
		}
		p.Own = c.owns(v, f)
		p.Decide = c.mayDecide(v.who)
	})
	if p == nil {
		return nil, fail(http.StatusNotFound, "finding")
	}
	return p, nil
}

// owns: the visitor owes the correction, or made it.
func (c *Console) owns(v *visit, f *duty.Finding) bool {
	return f.Owner != 0 && c.same(v, c.named("staff", f.Owner)) || f.DoneBy != 0 && c.same(v, c.named("staff", f.DoneBy))
}

// actOnFinding does one thing about a finding.
func (c *Console) actOnFinding(v *visit, which uint64, act string, a CheckAct) error {
	if err := c.checksReady(); err != nil {
		return err
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return fmt.Errorf("working on a finding: %w", err)
	}
	var f *duty.Finding
	c.cfg.Views.Read(func() {
		if f = c.cfg.Checks.Finding(which); f != nil {
			f = f.Clone()
		}
	})
	if f == nil {
		return fail(http.StatusNotFound, "finding")
	}
	if a.Text = strings.TrimSpace(a.Text); len(a.Text) > maxSaid {
		return fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	if act == "paper" {
		if a.Paper == nil {
			return fail(http.StatusBadRequest, "paper_what")
		}
		b, err := c.paper(v, which, *a.Paper)
		if err == nil {
			_, err = c.enter(v, b)
		}
		return err
	}
	b, err := c.findingStep(v, f, act, a)
	if err != nil {
		return err
	}
	if b.Said, err = c.write(a.Text); err != nil {
		return err
	}
	_, err = c.enter(v, b)
	return err
}

func (c *Console) findingStep(v *visit, f *duty.Finding, act string, a CheckAct) (b *sekisho.ActionChanged, err error) {
	b = &sekisho.ActionChanged{Finding: f.Number, By: v.who.staff}
	now := sekisho.At(c.cfg.Now())
	state := f.State(now)
	over := state == "closed" || state == "dropped"
	if a.Text == "" && act != "assign" {
		return nil, fail(http.StatusBadRequest, "room_reason")
	}
	if f.Body == nil && act != "verify" && act != "reopen" {
		return nil, fail(http.StatusConflict, "finding_lesson")
	}
	switch act {
	case "assign":
		b.Action = "assigned"
		if b.Person, err = c.account(a.Person); err != nil {
			return nil, err
		}
		if b.Due, err = c.moment(v, a.Due); err != nil {
			return nil, err
		}
		if b.Person == 0 || b.Due == 0 {
			return nil, fail(http.StatusBadRequest, "finding_due")
		}
		if over {
			return nil, fail(http.StatusConflict, "finding_over")
		}
	case "done":
		b.Action = "done"
		if over || f.Done != 0 {
			return nil, fail(http.StatusConflict, "finding_over")
		}
		if f.Owner != 0 && !c.same(v, c.named("staff", f.Owner)) {
			return nil, fail(http.StatusForbidden, "finding_owner", c.named("staff", f.Owner))
		}
		b.At, err = c.past(v, a.At, now)
	case "verify", "reopen":
		b.Action = map[string]string{"verify": "verified", "reopen": "reopened"}[act]
		if act == "verify" && (f.Done == 0 || over) || act == "reopen" && f.Done == 0 {
			return nil, fail(http.StatusConflict, "finding_not_done")
		}
		if c.owns(v, f) {
			return nil, fail(http.StatusForbidden, "finding_own")
		}
		b.At, err = c.past(v, a.At, now)
		if act == "verify" && b.At < f.Done {
			return nil, fail(http.StatusBadRequest, "room_order")
		}
		if act == "verify" && f.Body == nil && b.At < f.Recheck() {
			return nil, fail(http.StatusConflict, "finding_early", v.day(f.Recheck()))
		}
	case "accept", "drop":
		b.Action = map[string]string{"accept": "accepted", "drop": "dropped"}[act]
		switch {
		case !c.mayDecide(v.who):
			return nil, fail(http.StatusForbidden, "export_role")
		case c.owns(v, f):
			return nil, fail(http.StatusForbidden, "finding_own")
		case over:
			return nil, fail(http.StatusConflict, "finding_over")
		}
		if act == "accept" {
			if b.Due, err = c.moment(v, a.Due); err != nil {
				return nil, err
			}
			if b.Due <= now || b.Due > now+sekisho.Time(366*24*3600e6) {
				return nil, fail(http.StatusBadRequest, "finding_accept")
			}
		}
	default:
		return nil, fail(http.StatusNotFound, "check_act")
	}
	return b, err
}

func (c *Console) finding(v *visit) (page, error) {
	n, err := v.pathNumber("number", "finding")
	if err != nil {
		return nil, err
	}
	return c.findingPage(v, n)
}

func (c *Console) findingForm(v *visit) (page, error) {
	n, err := v.pathNumber("number", "finding")
	if err != nil {
		return nil, err
	}
	act, a, err := actForm(v)
	if err != nil {
		return nil, err
	}
	if err := c.actOnFinding(v, n, act, a); err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.findingPage(v, n)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/findings/%d", n), http.StatusSeeOther)
	return nil, errDone
}

// A FindingLine is a finding in a list.
type FindingLine struct {
	Number   uint64       `json:"number"`
	Time     sekisho.Time `json:"time"`
	Check    uint64       `json:"check,omitempty"`
	Incident uint64       `json:"incident,omitempty"`
	Unit     UnitLine     `json:"unit"`
	Grade    string       `json:"grade,omitempty"`
	Code     string       `json:"code,omitempty"`
	Title    string       `json:"title"`
	Owner    string       `json:"owner"`
	Due      sekisho.Time `json:"due"`
	Recheck  sekisho.Time `json:"recheck,omitempty"`
	State    string       `json:"state"`
	Late     bool         `json:"late,omitempty"`
	Again    int          `json:"again,omitempty"`
}

func (c *Console) findingLine(f *duty.Finding, now sekisho.Time) FindingLine {
	l := FindingLine{Number: f.Number, Time: f.At, Incident: f.Incident, Title: c.said(f.Title), Owner: c.named("staff", f.Owner), Due: f.Due, Recheck: f.Recheck(), State: f.State(now), Late: f.Late(), Again: f.Again}
	if b := f.Body; b != nil {
		l.Unit, l.Grade, l.Code = c.unitLine(b.Space, b.Unit), b.Grade, b.Code
		if c.cfg.Checks.Check(b.Check) != nil {
			l.Check = b.Check
		}
	}
	return l
}

var grades = []string{"critical", "high", "medium", "low", "remark"}

func gradeRank(grade string) int { return slices.Index(grades, grade) }
