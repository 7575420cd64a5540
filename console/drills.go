package console

import (
	"net/http"
	"strings"
	"time"

	"sekisho"
	"sekisho/view"
)

// Compared is a real case: what it took then, by the public reports, and what
// it takes here, by the ledger of a drill. Its JSON names are stable.
type Compared struct {
	Case          string        `json:"case"`
	Members       int           `json:"members"` // customers of the store that it was played with
	Incident      uint64        `json:"incident"`
	Began         string        `json:"began"`      // the first act in the drill
	BeganThen     string        `json:"began_then"` // the first act that is known of
	BeganSource   string        `json:"began_source"`
	BeganSourceJa string        `json:"began_source_ja"`
	Rows          []ComparedRow `json:"rows"`
}

// ComparedRow is one thing that took time.
type ComparedRow struct {
	What     string     `json:"what"` // "noticed", "cut", "counted", "told"
	Then     string     `json:"then"` // a date
	ThenDays int        `json:"then_days"`
	Source   string     `json:"source"`
	SourceJa string     `json:"source_ja"`
	Here     *Milestone `json:"here"` // nil: it did not happen in the drill
}

// Milestone is an entry of the drill's ledger, and how long it took to it.
type Milestone struct {
	At      string  `json:"at"`
	Seconds float64 `json:"seconds"`
	Entry   uint64  `json:"entry"`
	By      string  `json:"by,omitempty"`
}

// Tell says what a row took here.
func (c *Compared) Tell(w *Teller, r ComparedRow) string { return w.t.milestone(r) }

func (t *tongue) milestone(r ComparedRow) string {
	m := r.Here
	if m == nil {
		return t.say("then.not." + r.What)
	}
	at, _ := time.Parse(time.RFC3339, m.At)
	when := t.when(sekisho.At(at))
	took := t.say("then.at_once")
	switch {
	case m.Seconds >= 1:
		took = t.say("then.after", t.duration(m.Seconds))
	case m.Seconds >= 0.001:
		took = t.say("then.ms", int(m.Seconds*1000))
	}
	by := m.By
	if r.What == "noticed" {
		by = t.code("reason", m.By)
	}
	if r.What == "told" {
		by = t.code("then.form", m.By)
	}
	return t.say("then.here."+r.What, took, when, by)
}

// Steps is the view of an exercise: what it put before those who take part, and
// what observers noted.
type Steps struct {
	list []Step
}

// Step is one of them.
type Step struct {
	Seq  uint64
	At   sekisho.Time
	Body *sekisho.DrillStep
}

var _ view.View = (*Steps)(nil)

// Name is the view's.
func (*Steps) Name() string { return "console-steps" }

// Apply folds one entry.
func (s *Steps) Apply(e *sekisho.Entry) {
	if b, ok := e.Body.(*sekisho.DrillStep); ok {
		s.list = append(s.list, Step{e.ID.Seq, e.Time, b})
	}
}

// List gives them in order.
func (s *Steps) List() []Step { return append([]Step(nil), s.list...) }

// drillsPage is the page about drills: of this house, if it is one, and of the
// cases that were played beside it.
type drillsPage struct {
	Case   string       `json:"case,omitempty"`
	Now    sekisho.Time `json:"now"`
	Steps  []stepLine   `json:"steps"`
	Going  bool         `json:"going"` // the exercise takes notes
	Cases  []*Compared  `json:"cases"`
	tongue *tongue
}

func (*drillsPage) file() string { return "drills" }

type stepLine struct {
	Entry  uint64       `json:"entry"`
	Time   sekisho.Time `json:"time"`
	Action string       `json:"action"`
	Step   uint32       `json:"step,omitempty"`
	Text   string       `json:"text"`
	By     string       `json:"by,omitempty"`
}

// Here says what a row took, on the page.
func (p *drillsPage) Here(r ComparedRow) string { return p.tongue.milestone(r) }

func (c *Console) drills(v *visit) (page, error) {
	p := &drillsPage{Case: c.cfg.Drill, Now: sekisho.At(c.cfg.Now()), Steps: []stepLine{}, Cases: []*Compared{}, tongue: v.tongue}
	if c.cfg.Cases != nil {
		p.Cases = c.cfg.Cases()
	}
	if c.cfg.Steps == nil {
		return p, nil
	}
	var list []Step
	c.cfg.Views.Read(func() { list = c.cfg.Steps.List() })
	for i := len(list) - 1; i >= 0; i-- {
		b := list[i].Body
		if i == len(list)-1 {
			p.Going = b.Action != "ended"
		}
		p.Steps = append(p.Steps, stepLine{list[i].Seq, list[i].At, b.Action, b.Step, c.named("said", b.Said), c.named("staff", b.By)})
	}
	return p, nil
}

// noteForm takes an observer's note in.
func (c *Console) noteForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	text := strings.TrimSpace(v.r.PostForm.Get("text"))
	if c.cfg.Steps == nil || c.cfg.Drill == "" {
		return nil, fail(http.StatusNotFound, "drills_none")
	}
	going := false
	c.cfg.Views.Read(func() {
		n := len(c.cfg.Steps.list)
		going = n > 0 && c.cfg.Steps.list[n-1].Body.Action != "ended"
	})
	switch {
	case !going:
		return nil, fail(http.StatusConflict, "drills_none")
	case text == "" || len(text) > 4000:
		return nil, fail(http.StatusBadRequest, "drills_note")
	}
	b := &sekisho.DrillStep{Action: "noted", Case: c.cfg.Drill, Said: c.cfg.Vault.Space("said").OfText([]byte(text)), By: v.who.staff}
	id, err := c.cfg.Ledger.Append(v.r.Context(), b)
	if err != nil {
		return nil, notRecorded(err)
	}
	if err := c.cfg.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, "/drills", http.StatusSeeOther)
	return nil, errDone
}
