package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/law"
)

// A ClockAct is one thing that a person does about the clocks of an incident.
type ClockAct struct {
	// Act is "judge" (what was noticed), "fact" (a question of the rules), "move"
	// (ask for another start), "answer" (such a request), "report" (something was
	// sent) or "mistaken" (such an entry).
	Act      string `json:"act"`
	About    uint64 `json:"about,omitempty"`    // judge: the entry, 0 is all; answer, mistaken: the entry
	Action   string `json:"action,omitempty"`   // judge: confirmed, rejected; answer: approved, rejected, withdrawn; fact: yes, no, unknown
	Question string `json:"question,omitempty"` // fact
	Regime   string `json:"regime,omitempty"`   // report
	Step     string `json:"step,omitempty"`     // report
	Time     string `json:"time,omitempty"`     // move: the start, empty is the earliest again; report: when it was sent, default now; fact: when it came about
	Reason   string `json:"reason,omitempty"`   // why; of a report its reference
}

// A NoticeAct registers a notice.
type NoticeAct struct {
	Incident   uint64 `json:"incident,omitempty"` // 0: that of its machine, or a new one
	Source     string `json:"source"`
	Ground     string `json:"ground,omitempty"`   // default: n4-e of providers, authorities, police and experts; else other
	Received   string `json:"received,omitempty"` // default now
	Department string `json:"department,omitempty"`
	Endpoint   string `json:"endpoint,omitempty"`
	Text       string `json:"text"`
}

var noticeSources = []string{"provider", "authority", "police", "expert", "contractor", "partner", "customer", "employee", "press", "attacker", "other"}

// mayJudge: the visitor may speak for the company about duties in an incident,
// by the role of the account or by one held here.
func (c *Console) mayJudge(who *session, one *incident.Incident) bool {
	if c.mayDecideIn(who, one) {
		return true
	}
	for _, role := range []string{"privacy_officer", "legal"} {
		if holder := one.Holder(role); who != nil && holder != 0 && holder == who.staff {
			return true
		}
	}
	return false
}

// actOnClock records one act. It is durable, and the pages know it, when this
// returns.
func (c *Console) actOnClock(v *visit, which uint64, a ClockAct) error {
	// One at a time: what is checked here still holds when it is written.
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return fmt.Errorf("acting on a clock: %w", err)
	}
	one := c.caseByNumber(which)
	if one == nil {
		return fail(http.StatusNotFound, "incident")
	}
	if !c.mayJudge(v.who, one) {
		return fail(http.StatusForbidden, "clock_role")
	}
	l := one.Legal
	if len(l.Judged)+len(l.Moves)+len(l.Reports)+len(l.Facts) > maxOpen {
		return fail(http.StatusConflict, "room_full")
	}
	if a.Reason = strings.TrimSpace(a.Reason); len(a.Reason) > maxSaid {
		return fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	said := func() (uint32, error) {
		if a.Reason == "" {
			return 0, fail(http.StatusBadRequest, "clock_reason")
		}
		return c.write(a.Reason)
	}
	body, err := c.clockEntry(v, one, a, said)
	if err != nil {
		return err
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), body)
	if err != nil {
		return notRecorded(err)
	}
	return c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

func (c *Console) clockEntry(v *visit, one *incident.Incident, a ClockAct, said func() (uint32, error)) (sekisho.Body, error) {
	switch a.Act {
	case "judge":
		if a.Action != "confirmed" && a.Action != "rejected" {
			return nil, fail(http.StatusBadRequest, "clock_action")
		}
		for _, n := range one.Aware(c.cfg.Rules) {
			// Two accounts of one person are one person.
			if (a.About == 0 || a.About == n.Seq) && a.Action == "rejected" && n.Doubted != 0 && c.same(v, c.named("staff", n.Doubted)) {
				return nil, fail(http.StatusForbidden, "clock_second")
			}
		}
		if a.About != 0 && !slices.ContainsFunc(one.Aware(c.cfg.Rules), func(n incident.Aware) bool { return n.Seq == a.About }) {
			return nil, fail(http.StatusNotFound, "clock_about", ordinal(a.About))
		}
		why, err := said()
		return &sekisho.AwareJudged{Incident: one.Number, About: a.About, Action: a.Action, Said: why, By: v.who.staff}, err
	case "fact":
		return c.factEntry(v, one, a, said)
	case "move":
		start, err := c.moment(v, a.Time)
		if err != nil {
			return nil, err
		}
		if start > sekisho.At(c.cfg.Now()) {
			return nil, fail(http.StatusBadRequest, "room_future")
		}
		if slices.ContainsFunc(one.Legal.Moves, func(m incident.Moving) bool { return m.Pending() }) {
			return nil, fail(http.StatusConflict, "clock_pending")
		}
		was, settled := one.Start(c.cfg.Rules)
		if settled != 0 {
			was = settled
		}
		why, err := said()
		return &sekisho.ClockMoved{Incident: one.Number, Action: "asked", Was: was, Start: start, Said: why, By: v.who.staff}, err
	case "answer":
		i := slices.IndexFunc(one.Legal.Moves, func(m incident.Moving) bool { return m.Seq == a.About })
		if i < 0 {
			return nil, fail(http.StatusNotFound, "clock_about", ordinal(a.About))
		}
		m := one.Legal.Moves[i]
		own := c.same(v, c.named("staff", m.Body.By))
		switch {
		case !m.Pending():
			return nil, fail(http.StatusConflict, "clock_answered")
		case a.Action == "withdrawn" && own:
		case a.Action != "approved" && a.Action != "rejected":
			return nil, fail(http.StatusBadRequest, "clock_action")
		case own:
			return nil, fail(http.StatusForbidden, "clock_second")
		}
		why, err := c.write(a.Reason)
		return &sekisho.ClockMoved{Incident: one.Number, Request: m.Seq, Action: a.Action, Said: why, By: v.who.staff}, err
	case "report":
		if !slices.ContainsFunc(c.cfg.Rules.Regimes(), func(r *law.Regime) bool {
			return r.ID == a.Regime && slices.ContainsFunc(r.Clocks, func(k law.ClockRule) bool { return k.Step == a.Step })
		}) {
			return nil, fail(http.StatusBadRequest, "clock_step", a.Regime+"/"+a.Step)
		}
		sent, err := c.past(v, a.Time, sekisho.At(c.cfg.Now()))
		if err != nil {
			return nil, err
		}
		reference, err := c.write(a.Reason)
		return &sekisho.DutyReported{Incident: one.Number, Regime: a.Regime, Step: a.Step, Action: "sent", Sent: min(sent, sekisho.At(c.cfg.Now())), Reference: reference, By: v.who.staff}, err
	case "mistaken":
		i := slices.IndexFunc(one.Legal.Reports, func(r incident.Reported) bool { return r.Seq == a.About && r.Mistaken == 0 })
		if i < 0 {
			return nil, fail(http.StatusNotFound, "clock_about", ordinal(a.About))
		}
		r := one.Legal.Reports[i].Body
		why, err := said()
		return &sekisho.DutyReported{Incident: one.Number, Regime: r.Regime, Step: r.Step, Action: "mistaken", Request: a.About, Sent: r.Sent, Reference: why, By: v.who.staff}, err
	}
	return nil, fail(http.StatusBadRequest, "clock_action")
}

func (c *Console) factEntry(v *visit, one *incident.Incident, a ClockAct, said func() (uint32, error)) (sekisho.Body, error) {
	_, known := c.cfg.Rules.Fact(a.Question)
	if regime, ok := strings.CutPrefix(a.Question, "statutory:"); ok {
		known = slices.ContainsFunc(c.cfg.Rules.Regimes(), func(r *law.Regime) bool { return r.ID == regime })
	}
	if !known {
		return nil, fail(http.StatusNotFound, "clock_question", a.Question)
	}
	if _, err := law.ParseAnswer(a.Action); err != nil || a.Action == "" {
		return nil, fail(http.StatusBadRequest, "clock_action")
	}
	happened, err := c.moment(v, a.Time)
	if err != nil {
		return nil, err
	}
	if happened > sekisho.At(c.cfg.Now()) {
		return nil, fail(http.StatusBadRequest, "room_future")
	}
	why, err := said()
	return &sekisho.LegalFactStated{Incident: one.Number, Question: a.Question, Answer: a.Action, Happened: happened, Said: why, By: v.who.staff}, err
}

// registerNotice records a notice, and gives the incident that it belongs to.
// Whoever works here may register one; what it is worth, others say.
func (c *Console) registerNotice(v *visit, a NoticeAct) (uint64, error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return 0, fmt.Errorf("registering a notice: %w", err)
	}
	a.Text, a.Endpoint, a.Department = strings.TrimSpace(a.Text), strings.TrimSpace(a.Endpoint), strings.TrimSpace(a.Department)
	if a.Text == "" || len(a.Text) > maxSaid || len(a.Endpoint) > 255 || len(a.Department) > 255 {
		return 0, fail(http.StatusBadRequest, "room_open")
	}
	if !slices.Contains(noticeSources, a.Source) {
		return 0, fail(http.StatusBadRequest, "notice_source")
	}
	if a.Ground == "" {
		a.Ground = incident.Grounded(a.Source)
	}
	if !slices.Contains(law.Bases(), a.Ground) {
		return 0, fail(http.StatusBadRequest, "notice_ground")
	}
	received, err := c.past(v, a.Received, sekisho.At(c.cfg.Now()))
	if err != nil {
		return 0, err
	}
	if a.Incident != 0 && c.caseByNumber(a.Incident) == nil {
		return 0, fail(http.StatusNotFound, "incident")
	}
	text, err := c.write(a.Text)
	if err != nil {
		return 0, err
	}
	department, err := c.write(a.Department)
	if err != nil {
		return 0, err
	}
	// The incident follows from this entry: a crash behind it opens it at the start.
	id, err := c.cfg.Ledger.Append(v.r.Context(), &sekisho.NoticeReceived{Incident: a.Incident, Source: a.Source, Ground: a.Ground, Received: received,
		Department: department, Endpoint: a.Endpoint, Said: text, By: v.who.staff})
	if err != nil {
		return 0, notRecorded(err)
	}
	soon, stop := context.WithTimeout(v.r.Context(), 10*time.Second)
	defer stop()
	for seen := id.Seq - 1; ; {
		if err := c.cfg.Views.WaitFor(soon, seen+1); err != nil {
			return 0, &failure{status: http.StatusServiceUnavailable, key: "notice_later", cause: fmt.Errorf("opening an incident for a notice: %w", err)}
		}
		var cases []*incident.Incident
		c.cfg.Views.Read(func() { cases, seen = c.cfg.Incidents.List(), c.cfg.Trace.Through() })
		for _, one := range cases {
			if slices.ContainsFunc(one.Legal.Notices, func(n incident.Notice) bool { return n.Seq == id.Seq }) {
				return one.Number, nil
			}
		}
	}
}

// The pages' forms.

func (c *Console) clocksForm(v *visit) (page, error) {
	number, err := v.pathNumber("id", "incident")
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := ClockAct{Act: f.Get("act"), Action: f.Get("action"), Question: f.Get("question"), Regime: f.Get("regime"), Step: f.Get("step"), Time: f.Get("time"), Reason: f.Get("reason")}
	if s := f.Get("about"); s != "" {
		if a.About, err = strconv.ParseUint(s, 10, 64); err != nil {
			return nil, fail(http.StatusBadRequest, "room_number")
		}
	}
	if err := c.actOnClock(v, number, a); err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.clocksPage(v, number)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/incidents/%d/clocks", number), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) noticeForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := NoticeAct{Source: f.Get("source"), Ground: f.Get("ground"), Received: f.Get("received"), Department: f.Get("department"), Endpoint: f.Get("endpoint"), Text: f.Get("text")}
	if s := strings.TrimSpace(f.Get("incident")); s != "" {
		var err error
		if a.Incident, err = called(s); err != nil {
			return nil, fail(http.StatusNotFound, "incident")
		}
	}
	n, err := c.registerNotice(v, a)
	if err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.clocksPage(v, n)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/incidents/%d/clocks", n), http.StatusSeeOther)
	return nil, errDone
}

// The control socket's.

func (c *Console) controlClocks(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/clocks", maxForm, c.settled(func(v *visit) (any, error) {
		var cases []*incident.Incident
		c.cfg.Views.Read(func() { cases = c.cfg.Incidents.List() })
		list := []*ClocksPage{}
		const most = 200
		for _, one := range cases {
			if _, closed := one.Closed(); closed || len(list) == most {
				continue
			}
			p, err := c.clocksPage(v, one.Number)
			if err != nil {
				return nil, err
			}
			list = append(list, p)
		}
		return list, nil
	}))
	handle("GET /api/incidents/{id}/clocks", maxForm, c.settled(func(v *visit) (any, error) { return c.clocks(v) }))
	handle("POST /api/incidents/{id}/clocks", maxForm, c.settled(func(v *visit) (any, error) {
		n, err := v.pathNumber("id", "incident")
		if err != nil {
			return nil, err
		}
		a, err := told[ClockAct](v)
		if err != nil {
			return nil, err
		}
		if err := c.actOnClock(v, n, a); err != nil {
			return nil, err
		}
		return c.clocksPage(v, n)
	}))
	handle("GET /api/notices", maxForm, c.settled(func(v *visit) (any, error) { return c.noticesPage(), nil }))
	handle("POST /api/notices", maxForm, c.settled(func(v *visit) (any, error) {
		a, err := told[NoticeAct](v)
		if err != nil {
			return nil, err
		}
		n, err := c.registerNotice(v, a)
		if err != nil {
			return nil, err
		}
		return c.clocksPage(v, n)
	}))
}
