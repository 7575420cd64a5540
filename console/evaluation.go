package console

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// The evaluation: breaches of rules and what followed. It is for people of the
// role "hr" alone, at the console and at the control socket; an administrator has
// no look. Each look is an entry before anything is shown. Who and what stand in
// the vault's space "hr", which nothing else reads. A mail drill is no breach: no
// case can name one, and none of this reads what came of them.

// hr is the role of who may see the evaluation.
const hr = "hr"

// breaches are the rules of the policy whose breach can be followed by a
// measure. That somebody was taken in, in a drill or in earnest, is none of them.
var breaches = []string{"password_shared", "access_out_of_purpose", "data_carried_out", "data_sent_out", "device_lost_unreported", "incident_unreported", "log_altered", "control_bypassed", "unassessed_service", "confidentiality", "other_rule"}

var (
	gravities = []string{"slight", "serious", "grave"}
	intents   = []string{"mistake", "negligence", "intent", "unknown"}
	ranks     = []string{"employee", "manager", "executive", "agency"}
)

// An EvaluationPage lists cases, those that wait first, and compares like ones.
type EvaluationPage struct {
	Cases     []CaseLine `json:"cases"`
	Groups    []LikeLine `json:"groups"`
	Uneven    int        `json:"uneven"` // groups with a case that nobody explained
	Years     []YearLine `json:"years"`
	Looks     []LookLine `json:"looks"`
	Breaches  []string   `json:"-"`
	Gravities []string   `json:"-"`
	Intents   []string   `json:"-"`
	Ranks     []string   `json:"-"`
	Measures  []string   `json:"-"`
}

func (*EvaluationPage) file() string { return "evaluation" }

// A CaseLine is one case.
type CaseLine struct {
	Number   uint64       `json:"number"`
	Time     sekisho.Time `json:"time"`
	State    string       `json:"state"`
	Rule     string       `json:"rule"`
	Gravity  string       `json:"gravity"`
	Intent   string       `json:"intent"`
	Repeated bool         `json:"repeated"`
	Rank     string       `json:"rank"`
	Happened sekisho.Time `json:"happened"`
	Known    sekisho.Time `json:"known"`
	Due      sekisho.Time `json:"due"` // 30 days after it was known
	Late     bool         `json:"late"`
	Person   string       `json:"person"`
	Text     string       `json:"text"`
	Measure  string       `json:"measure,omitempty"`
	Heard    bool         `json:"heard"`
	Steps    []StepLine   `json:"steps"`
	Proposer bool         `json:"-"` // the visitor proposed it
}

// A LikeLine is a group of like cases.
type LikeLine struct {
	Rule, Gravity, Intent string
	Repeated              bool
	Measures              []string
	Mildest, Hardest      string
	Ranks                 bool
	Unexplained           []uint64
}

// A YearLine says for how many people the evaluation of a year is recorded.
type YearLine struct {
	Year      uint32 `json:"year"`
	Recorded  int    `json:"recorded"`
	Confirmed int    `json:"confirmed"`
}

// A LookLine is who looked.
type LookLine struct {
	Entry uint64       `json:"entry"`
	Time  sekisho.Time `json:"time"`
	By    string       `json:"by"`
	Cases int          `json:"cases"`
}

// isHR: the visitor has the role. At the control socket it is the role of the
// account to which the login belongs; a local administrator has no other way.
func (c *Console) isHR(v *visit) bool { return c.users.role(c.users.person(v.who.name)) == hr }

const caseDays = 30 * 24 * 3600 * sekisho.Time(1e6)

// lookAt records that the visitor is shown these cases, before they are.
func (c *Console) lookAt(v *visit, cases []uint64) error {
	id, err := c.cfg.Ledger.Append(v.r.Context(), &sekisho.Looked{At: "evaluation", Cases: cases, By: v.who.staff})
	if err != nil {
		return notRecorded(err)
	}
	return c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

func (c *Console) evaluationPage(v *visit) (*EvaluationPage, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	if !c.isHR(v) {
		return nil, fail(http.StatusForbidden, "evaluation")
	}
	var numbers []uint64
	c.cfg.Views.Read(func() {
		for _, one := range c.cfg.Checks.Cases() {
			numbers = append(numbers, one.Number)
		}
	})
	if err := c.lookAt(v, numbers); err != nil {
		return nil, err
	}
	now := sekisho.At(c.cfg.Now())
	p := &EvaluationPage{Cases: []CaseLine{}, Groups: []LikeLine{}, Years: []YearLine{}, Looks: []LookLine{}, Breaches: breaches, Gravities: gravities, Intents: intents, Ranks: ranks, Measures: duty.Measures}
	c.cfg.Views.Read(func() {
		for _, one := range c.cfg.Checks.Cases() {
			if !slices.Contains(numbers, one.Number) {
				continue // opened since: not among those that were recorded
			}
			b := one.Body
			l := CaseLine{Number: one.Number, Time: one.At, State: one.State(), Rule: b.Rule, Gravity: b.Gravity, Intent: b.Intent, Repeated: b.Repeated, Rank: b.Rank, Happened: b.Happened, Known: b.Known, Due: b.Known + caseDays,
				Person: strings.TrimPrefix(c.named("hr", b.Subject), "person/"), Text: c.named("hr", b.Said), Heard: one.Heard != 0, Steps: []StepLine{}}
			l.Late = one.Over == 0 && now > l.Due || one.Over > l.Due
			if one.Proposed != nil {
				l.Measure, l.Proposer = one.Proposed.Measure, c.same(v, c.named("staff", one.Proposed.By))
			}
			for _, s := range one.Steps {
				l.Steps = append(l.Steps, StepLine{Entry: s.Entry, Time: s.At, Action: s.Body.Action, Result: s.Body.Measure, By: c.named("staff", s.Body.By), Text: c.named("hr", s.Body.Said)})
			}
			p.Cases = append(p.Cases, l)
		}
		for _, g := range c.cfg.Checks.Likenesses() {
			l := LikeLine{Rule: g.Rule, Gravity: g.Gravity, Intent: g.Intent, Repeated: g.Repeated, Mildest: g.Mildest, Hardest: g.Hardest, Ranks: g.Ranks}
			for _, one := range g.Cases {
				l.Measures = append(l.Measures, one.Measure())
			}
			for _, one := range g.Unexplained {
				l.Unexplained = append(l.Unexplained, one.Number)
			}
			if len(l.Unexplained) > 0 {
				p.Uneven++
			}
			p.Groups = append(p.Groups, l)
		}
		for _, y := range c.cfg.Checks.EvaluatedYears() {
			p.Years = append(p.Years, YearLine{y.Year, y.Recorded, y.Confirmed})
		}
		looks := c.cfg.Checks.Looks()
		for n := len(looks) - 1; n >= 0 && len(p.Looks) < 50; n-- {
			p.Looks = append(p.Looks, LookLine{looks[n].Entry, looks[n].At, c.named("staff", looks[n].Body.By), len(looks[n].Body.Cases)})
		}
	})
	slices.SortStableFunc(p.Cases, func(a, b CaseLine) int {
		rank := []string{"open", "proposed", "decided", "dropped"}
		return cmp.Or(slices.Index(rank, a.State)-slices.Index(rank, b.State), cmp.Compare(a.Due, b.Due))
	})
	slices.SortStableFunc(p.Groups, func(a, b LikeLine) int { return len(b.Unexplained) - len(a.Unexplained) })
	return p, nil
}

func (c *Console) evaluation(v *visit) (page, error) {
	p, err := c.evaluationPage(v)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// A CaseAsk opens a case, or takes it a step further.
type CaseAsk struct {
	Case     uint64 `json:"case,omitempty"` // 0: a new one
	Action   string `json:"action,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Gravity  string `json:"gravity,omitempty"`
	Intent   string `json:"intent,omitempty"`
	Repeated bool   `json:"repeated,omitempty"`
	Rank     string `json:"rank,omitempty"`
	Person   string `json:"person,omitempty"`
	Happened string `json:"happened,omitempty"`
	Known    string `json:"known,omitempty"`
	Measure  string `json:"measure,omitempty"`
	Text     string `json:"text"`
}

func (c *Console) hrText(text string) (uint32, error) {
	o := c.cfg.Vault.Space("hr").OfText([]byte(text))
	if o == 0 {
		return 0, fmt.Errorf("keeping a case: the vault takes no more")
	}
	return o, nil
}

func (c *Console) actOnCase(v *visit, a CaseAsk) error {
	if err := c.checksReady(); err != nil {
		return err
	}
	if !c.isHR(v) {
		return fail(http.StatusForbidden, "evaluation")
	}
	if a.Text = strings.TrimSpace(a.Text); a.Text == "" || len(a.Text) > maxSaid {
		return fail(http.StatusBadRequest, "room_reason")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	said, err := c.hrText(a.Text)
	if err != nil {
		return err
	}
	if a.Case == 0 {
		b := &sekisho.CaseOpened{Rule: a.Rule, Gravity: a.Gravity, Intent: a.Intent, Repeated: a.Repeated, Rank: a.Rank, Said: said, By: v.who.staff}
		if !slices.Contains(breaches, b.Rule) || !slices.Contains(gravities, b.Gravity) || !slices.Contains(intents, b.Intent) || !slices.Contains(ranks, b.Rank) {
			return fail(http.StatusBadRequest, "case_what")
		}
		person, err := c.account(a.Person)
		if err != nil {
			return err
		}
		if person == 0 {
			return fail(http.StatusBadRequest, "case_what")
		}
		if c.same(v, c.named("staff", person)) {
			return fail(http.StatusForbidden, "case_own")
		}
		if b.Subject, err = c.hrText("person/" + c.named("staff", person)); err != nil {
			return err
		}
		if b.Known, err = c.past(v, a.Known, sekisho.At(c.cfg.Now())); err != nil {
			return err
		}
		if b.Happened, err = c.past(v, a.Happened, b.Known); err != nil {
			return err
		}
		_, err = c.enter(v, b)
		return err
	}
	var one *duty.Case
	c.cfg.Views.Read(func() {
		if x := c.cfg.Checks.Case(a.Case); x != nil {
			y := *x
			one = &y
		}
	})
	if one == nil {
		return fail(http.StatusNotFound, "case")
	}
	if subject := strings.TrimPrefix(c.named("hr", one.Body.Subject), "person/"); c.same(v, subject) {
		return fail(http.StatusForbidden, "case_own")
	}
	b := &sekisho.CaseDecided{Case: a.Case, Action: a.Action, Said: said, By: v.who.staff}
	state := one.State()
	switch a.Action {
	case "heard":
		if state != "open" && state != "proposed" {
			return fail(http.StatusConflict, "case_over")
		}
	case "proposed":
		if b.Measure = a.Measure; !slices.Contains(duty.Measures, b.Measure) {
			return fail(http.StatusBadRequest, "case_what")
		}
		if state != "open" && state != "proposed" {
			return fail(http.StatusConflict, "case_over")
		}
	case "approved", "rejected":
		switch {
		case state != "proposed":
			return fail(http.StatusConflict, "case_over")
		case c.same(v, c.named("staff", one.Proposed.By)):
			return fail(http.StatusForbidden, "case_two")
		case a.Action == "approved" && one.Heard == 0:
			return fail(http.StatusConflict, "case_heard")
		}
	case "explained":
		if state != "decided" {
			return fail(http.StatusConflict, "case_over")
		}
	case "dropped":
		if state != "open" && state != "proposed" {
			return fail(http.StatusConflict, "case_over")
		}
	default:
		return fail(http.StatusNotFound, "check_act")
	}
	_, err = c.enter(v, b)
	return err
}

// readEvaluated takes in for whom security was part of the evaluation of a year:
// CSV with a column person. It is one person's word until another one of the role
// confirms the year.
func (c *Console) readEvaluated(v *visit, year uint32, text []byte, dry bool) (Taken, error) {
	t := Taken{Dry: dry}
	if err := c.checksReady(); err != nil {
		return t, err
	}
	if !c.isHR(v) {
		return t, fail(http.StatusForbidden, "evaluation")
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\ufeff")))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	at := slices.IndexFunc(head, func(h string) bool {
		return slices.Contains([]string{"person", "user", "username"}, strings.ToLower(strings.TrimSpace(h)))
	})
	if err != nil || at < 0 || year < 2000 || year > 2200 {
		return t, fail(http.StatusBadRequest, "evaluated_csv")
	}
	var bodies []sekisho.Body
	now := sekisho.At(c.cfg.Now())
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if t.Lines++; t.Lines > 500_000 {
			return t, fail(http.StatusBadRequest, "evaluated_csv")
		}
		person := uint32(0)
		if err == nil && at < len(row) {
			person, _ = c.cfg.Vault.Space("staff").Find(strings.TrimSpace(row[at]))
		}
		if person == 0 {
			if t.Rejected++; t.Why == "" {
				t.Why = v.say("evaluated.rejected", number(t.Lines+1))
			}
			continue
		}
		bodies = append(bodies, &sekisho.Evaluated{Person: person, Year: year, At: now, By: v.who.staff})
	}
	t.Fresh = len(bodies)
	if dry {
		return t, nil
	}
	for from := 0; from < len(bodies); from += 500 {
		if _, err := c.cfg.Ledger.Append(v.r.Context(), bodies[from:min(from+500, len(bodies))]...); err != nil {
			return t, notRecorded(err)
		}
	}
	return t, c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last())
}

// confirmYear is a second person's word that the records of a year are right.
func (c *Console) confirmYear(v *visit, year uint32) error {
	if err := c.checksReady(); err != nil {
		return err
	}
	if !c.isHR(v) {
		return fail(http.StatusForbidden, "evaluation")
	}
	others := 0
	c.cfg.Views.Read(func() {
		others = c.cfg.Checks.Unconfirmed(year, func(by uint32) bool { return c.same(v, c.named("staff", by)) })
	})
	if others == 0 {
		return fail(http.StatusConflict, "evaluated_two")
	}
	_, err := c.enter(v, &sekisho.EvaluationConfirmed{Year: year, Count: uint64(others), By: v.who.staff})
	return err
}

func (c *Console) evaluationForm(v *visit) (page, error) {
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/") {
		text, err := fileOf(v, maxScanUpload)
		if err != nil {
			return nil, err
		}
		year, _ := strconv.ParseUint(v.r.FormValue("year"), 10, 32)
		if _, err := c.readEvaluated(v, uint32(year), text, false); err != nil {
			return nil, err
		}
	} else {
		if err := v.r.ParseForm(); err != nil {
			return nil, tooLarge(err)
		}
		f := v.r.PostForm
		n, _ := strconv.ParseUint(f.Get("case"), 10, 64)
		var err error
		if year := f.Get("confirm"); year != "" {
			y, _ := strconv.ParseUint(year, 10, 32)
			err = c.confirmYear(v, uint32(y))
		} else {
			err = c.actOnCase(v, CaseAsk{Case: n, Action: f.Get("action"), Rule: f.Get("rule"), Gravity: f.Get("gravity"), Intent: f.Get("intent"), Repeated: f.Get("repeated") != "", Rank: f.Get("rank"),
				Person: f.Get("person"), Happened: f.Get("happened"), Known: f.Get("known"), Measure: f.Get("measure"), Text: f.Get("text")})
		}
		if err != nil {
			return nil, err
		}
	}
	if wantsJSON(v.r) {
		return c.evaluation(v)
	}
	http.Redirect(v.w, v.r, "/evaluation", http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) controlEvaluation(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/evaluation", maxForm, func(v *visit) (any, error) { return c.evaluation(v) })
	handle("POST /api/evaluation", maxScanUpload, func(v *visit) (any, error) {
		text, err := readAll(v)
		if err != nil {
			return nil, err
		}
		year, _ := strconv.ParseUint(v.r.URL.Query().Get("year"), 10, 32)
		return c.readEvaluated(v, uint32(year), text, v.r.URL.Query().Get("dry_run") != "")
	})
}
