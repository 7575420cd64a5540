package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/tell"
)

// A MailingLine is a mailing with what became of its people.
type MailingLine struct {
	Number   uint64            `json:"number"`
	Incident uint64            `json:"incident"`
	Time     sekisho.Time      `json:"time"`
	List     string            `json:"list"`
	Space    string            `json:"space"`
	Revision uint64            `json:"revision"` // entry
	State    tell.MailingState `json:"state"`
	By       string            `json:"by"`
	Listed   uint64            `json:"listed"`
	People   uint64            `json:"people"`
	Last     sekisho.Time      `json:"last"`
	Fates    []FateLine        `json:"fates"`
	Over     uint64            `json:"over"` // of People: nothing more will be done about them by itself
}

// A FateLine is how many people of a mailing stand so.
type FateLine struct {
	Fate  string `json:"fate"`
	Count uint64 `json:"count"`
}

// A MailingPage is one mailing.
type MailingPage struct {
	MailingLine
	Reason  string            `json:"reason,omitempty"`
	Texts   []uint64          `json:"texts"`
	Says    []DecidedLine     `json:"decisions"`
	Why     map[string]uint64 `json:"why,omitempty"`
	Bounces map[string]uint64 `json:"bounces,omitempty"`
	Unclear uint64            `json:"unclear"`
	ByPost  uint64            `json:"by_post"`          // whom mail did not reach
	Others  []MailingLine     `json:"others,omitempty"` // asked for with it
	All     uint64            `json:"people_with"`      // in it and in those asked for with it
	Own     bool              `json:"own"`
	Decide  bool              `json:"can_decide"`
}

func (*MailingPage) file() string { return "mailing" }

// A PlanPage is what a mailing would be.
type PlanPage struct {
	*tell.Plan
	Sampled string `json:"sampled,omitempty"`
	CanAsk  bool   `json:"can_ask"`
}

func (*PlanPage) file() string { return "plan" }

// A MailingAsk asks for a mailing, or what it would be.
type MailingAsk struct {
	Incident uint64 `json:"incident"`
	List     string `json:"list"`
	Again    bool   `json:"again,omitempty"` // also people who were told of an earlier revision
	Reason   string `json:"reason,omitempty"`
	DryRun   bool   `json:"dry_run,omitempty"`
	Sample   string `json:"sample,omitempty"` // an address of one's own
	Language string `json:"language,omitempty"`
}

// A MailingAct is what somebody does with a mailing.
type MailingAct struct {
	Action string   `json:"action"`          // "approved", "rejected", "withdrawn", "paused", "resumed", "ended", "settled"
	As     string   `json:"as,omitempty"`    // settled: "sent", "again", "post"
	Fates  []string `json:"fates,omitempty"` // settled: of whom; none: unclear
	Reason string   `json:"reason,omitempty"`
}

func (c *Console) mailingLine(s *tell.Status) MailingLine {
	a := s.Asked
	l := MailingLine{Number: s.Number, Incident: a.Incident, Time: s.At, List: a.List, Space: a.Space, Revision: a.Revision, State: s.State, By: c.named("staff", a.By), Listed: a.Listed, People: a.People, Last: s.Last}
	for _, f := range tell.Fates() {
		l.Fates = append(l.Fates, FateLine{f.String(), s.Counts[f]})
		if f != tell.Waiting && f != tell.UnderWay && f != tell.Later {
			l.Over += s.Counts[f]
		}
	}
	return l
}

func (c *Console) mailingPage(v *visit, number uint64) (*MailingPage, error) {
	o, err := c.office()
	if err != nil {
		return nil, err
	}
	s, err := o.Mailing(number)
	if err != nil {
		return nil, toldError(err)
	}
	one := c.caseByNumber(s.Asked.Incident)
	if one == nil {
		return nil, fail(http.StatusNotFound, "incident")
	}
	p := &MailingPage{MailingLine: c.mailingLine(&s), Reason: c.named("said", s.Asked.Reason), Texts: s.Asked.Texts, Says: c.saidLines(s.Says), Why: s.Why, Bounces: s.Bounces,
		Unclear: s.Counts[tell.Unclear], ByPost: s.Counts[tell.Unsent] + s.Counts[tell.Denied] + s.Counts[tell.Bounced]}
	p.All = p.People
	for _, n := range s.With {
		if n == s.Number {
			continue
		}
		other, err := o.Mailing(n)
		if err != nil {
			return nil, toldError(err)
		}
		p.Others = append(p.Others, c.mailingLine(&other))
		p.All += other.Asked.People
	}
	p.Own = c.onePerson(s.Asked.By, v.who.staff)
	p.Decide = s.State == tell.Asked && !p.Own && c.mayDecideIn(v.who, one)
	return p, nil
}

// mailingOf reads a mailing's number, which must be of the incident in the path.
func (c *Console) mailingOf(v *visit) (uint64, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return 0, err
	}
	o, err := c.office()
	if err != nil {
		return 0, err
	}
	n, err := v.pathNumber("number", "tell_mailing")
	if err != nil {
		return 0, err
	}
	if s, err := o.Mailing(n); err != nil || s.Asked.Incident != one.Number {
		return 0, fail(http.StatusNotFound, "tell_mailing")
	}
	return n, nil
}

func (c *Console) mailing(v *visit) (page, error) {
	n, err := c.mailingOf(v)
	if err != nil {
		return nil, err
	}
	return c.mailingPage(v, n)
}

// planMailing says what a mailing would be, and sends a sample if one is asked
// for. Nothing is recorded.
func (c *Console) planMailing(v *visit, ask MailingAsk) (*PlanPage, error) {
	o, err := c.office()
	if err != nil {
		return nil, err
	}
	if ask.Sample != "" {
		if err := o.Sample(v.r.Context(), ask.Incident, cmp.Or(ask.Language, v.Lang), ask.Sample); err != nil {
			return nil, toldError(err)
		}
	}
	p, err := o.Plan(v.r.Context(), ask.Incident, ask.List, ask.Again)
	if err != nil {
		return nil, toldError(err)
	}
	page := &PlanPage{Plan: p, Sampled: ask.Sample, CanAsk: p.People > 0 && o.Config.Mail.Relay.Server != ""}
	for lang, n := range p.Languages {
		page.CanAsk = page.CanAsk && (n == 0 || p.Texts[lang] != 0)
	}
	return page, nil
}

func (c *Console) askMailing(v *visit, ask MailingAsk) (uint64, error) {
	o, err := c.office()
	if err != nil {
		return 0, err
	}
	http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(15 * time.Minute)) // millions of people take their time
	n, err := o.AskMailing(v.r.Context(), ask.Incident, ask.List, ask.Again, ask.Reason, v.who.staff)
	return n, toldError(err)
}

func (c *Console) mailingForm(v *visit) (page, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	ask := MailingAsk{Incident: one.Number, List: f.Get("list"), Again: f.Has("again"), Reason: f.Get("reason"), Language: f.Get("lang"), DryRun: f.Get("action") != "ask"}
	if ask.DryRun {
		ask.Sample = strings.TrimSpace(f.Get("sample"))
		return c.planMailing(v, ask)
	}
	n, err := c.askMailing(v, ask)
	if err != nil {
		return nil, err
	}
	return c.seeMailing(v, one.Number, n)
}

func (c *Console) seeMailing(v *visit, incident, n uint64) (page, error) {
	if wantsJSON(v.r) {
		return c.mailingPage(v, n)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/incidents/%d/mailings/%d", incident, n), http.StatusSeeOther)
	return nil, errDone
}

// actOnMailing decides, or settles what is unclear.
func (c *Console) actOnMailing(v *visit, n uint64, act MailingAct) error {
	o, err := c.office()
	if err != nil {
		return err
	}
	s, err := o.Mailing(n)
	if err != nil {
		return toldError(err)
	}
	var one *incident.Incident
	if one = c.caseByNumber(s.Asked.Incident); one == nil {
		return fail(http.StatusNotFound, "incident")
	}
	if act.Action != "withdrawn" && !c.mayDecideIn(v.who, one) {
		return fail(http.StatusForbidden, "export_role")
	}
	if act.Action != "settled" {
		return toldError(o.DecideMailing(v.r.Context(), n, act.Action, act.Reason, v.who.staff, c.onePerson))
	}
	which := []tell.Fate{}
	for _, f := range tell.Fates() {
		if slices.Contains(act.Fates, f.String()) || len(act.Fates) == 0 && f == tell.Unclear {
			which = append(which, f)
		}
	}
	_, err = o.Settle(v.r.Context(), n, act.As, which, act.Reason, v.who.staff)
	return toldError(err)
}

func (c *Console) mailingActForm(v *visit) (page, error) {
	n, err := c.mailingOf(v)
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	if err := c.actOnMailing(v, n, MailingAct{Action: f.Get("action"), As: f.Get("as"), Fates: f["fate"], Reason: f.Get("reason")}); err != nil {
		return nil, err
	}
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	return c.seeMailing(v, one.Number, n)
}

// mailingList downloads the people of a mailing who stand so: for the post, or for
// who has to decide on the unclear. It is an export, recorded first.
func (c *Console) mailingList(v *visit) (page, error) {
	n, err := c.mailingOf(v)
	if err != nil {
		return nil, err
	}
	o, err := c.office()
	if err != nil {
		return nil, err
	}
	var fates []tell.Fate
	which := v.r.PostFormValue("list")
	switch which {
	case "post":
		fates = []tell.Fate{tell.Unsent, tell.Denied, tell.Bounced}
	case "unclear":
		fates = []tell.Fate{tell.Unclear}
	default:
		return nil, fail(http.StatusBadRequest, "tell_list")
	}
	s, err := o.Mailing(n)
	if err != nil {
		return nil, toldError(err)
	}
	var subjects []uint32
	c.cfg.Views.Read(func() { subjects = o.Book.In(n, 0, fates...) })
	roster, err := c.cfg.Vault.Roster(s.Asked.Space)
	if err != nil {
		return nil, fmt.Errorf("reading the roster for a list: %w", err)
	}
	shape := c.ownShape(sekisho.Export, s.Asked.Space, "list of a mailing: "+which, sekisho.Relation)
	if err := c.recordAccess(v.r.Context(), v.who.entry, v.who.statement(), shape, subjects, 0); err != nil {
		return nil, err
	}
	http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(15 * time.Minute))
	if err := c.gives(v, fmt.Sprintf("mailing-%d-%s.csv", n, which), csvMedia, "mailing_list", "csv", n, c.listOf(s.Asked.Space)); err != nil {
		return nil, err
	}
	counted := &counter{w: v.w}
	err = writeList(counted, s.Asked.Space, c.cfg.Vault.Space(s.Asked.Space), roster, subjects)
	v.who.sent(counted.n)
	if err != nil {
		panic(http.ErrAbortHandler) // the browser learns that the list is not whole
	}
	return nil, errDone
}

// mailingEvents streams the progress of a mailing.
func (c *Console) mailingEvents(v *visit) (page, error) {
	n, err := c.mailingOf(v)
	if err != nil {
		return nil, err
	}
	return c.streamPart(v, "mailing", "mailing-progress", func() (page, error) { return c.mailingPage(v, n) })
}

// streamPart keeps a part of a page up to date: a template of the page is written
// anew when the ledger has gone on, and sent when it says something else. Whatever
// changes beside the ledger is seen within a quarter of a minute.
func (c *Console) streamPart(v *visit, name, part string, fresh func() (page, error)) (page, error) {
	out, err := c.beginStream(v)
	if err != nil {
		return nil, err
	}
	defer c.streams.leave()
	shown := ""
	for !v.who.over(c.cfg.Now()) {
		seen := uint64(0)
		c.cfg.Views.Read(func() { seen = c.cfg.Trace.Through() })
		p, err := fresh()
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := c.presses[v.Lang].pages[name].ExecuteTemplate(&b, part, p); err != nil {
			return nil, fmt.Errorf("writing a part of a page: %w", err)
		}
		event := "beat"
		raw := []byte("null")
		if html := b.String(); html != shown {
			shown, event = html, "part"
			raw, _ = json.Marshal(html)
		}
		out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(v.w, "event: %s\ndata: %s\n\n", event, raw); err != nil || out.Flush() != nil {
			return nil, errDone
		}
		if !c.awaitChange(v, seen, 15*time.Second, liveBatch) {
			return nil, errDone
		}
	}
	return nil, errDone
}

// controlTell is the control socket's part.
func (c *Console) controlTell(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	about := func(do func(v *visit, one *incident.Incident) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.caughtUp(v); err != nil {
				return nil, err
			}
			if lang := v.r.URL.Query().Get("words"); c.presses[lang] != nil {
				v.tongue = c.presses[lang].tongue
			}
			one, err := c.caseOf(v)
			if err != nil {
				return nil, err
			}
			return do(v, one)
		}
	}
	handle("GET /api/tell/{id}", maxForm, about(func(v *visit, one *incident.Incident) (any, error) { return c.tellPage(v, one) }))
	handle("GET /api/tell/{id}/{form}", maxForm, about(func(v *visit, one *incident.Incident) (any, error) {
		q := v.r.URL.Query()
		return c.draftPage(v, one, v.r.PathValue("form"), q.Get("lang"), q.Get("about"))
	}))
	handle("POST /api/tell/{id}/{form}", 1<<20, about(func(v *visit, one *incident.Incident) (any, error) {
		act, err := told[TextAct](v)
		if err != nil {
			return nil, err
		}
		form := v.r.PathValue("form")
		if err := c.actOn(v, one, form, act); err != nil {
			return nil, err
		}
		return c.draftPage(v, one, form, act.Language, act.About)
	}))
	handle("POST /api/mailings", maxForm, func(v *visit) (any, error) {
		ask, err := told[MailingAsk](v)
		if err != nil {
			return nil, err
		}
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		if ask.DryRun {
			return c.planMailing(v, ask)
		}
		n, err := c.askMailing(v, ask)
		if err != nil {
			return nil, err
		}
		return c.mailingPage(v, n)
	})
	handle("GET /api/mailings", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		o, err := c.office()
		if err != nil {
			return nil, err
		}
		lines := []MailingLine{}
		var list []tell.Status
		c.cfg.Views.Read(func() { list = o.Book.Mailings(0) })
		for i := range list {
			lines = append(lines, c.mailingLine(&list[i]))
		}
		return lines, nil
	})
	one := func(do func(v *visit, n uint64) error) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.caughtUp(v); err != nil {
				return nil, err
			}
			n, err := v.pathNumber("number", "tell_mailing")
			if err != nil {
				return nil, err
			}
			if err := do(v, n); err != nil {
				return nil, err
			}
			return c.mailingPage(v, n)
		}
	}
	handle("GET /api/mailings/{number}", maxForm, one(func(*visit, uint64) error { return nil }))
	handle("POST /api/mailings/{number}", maxForm, one(func(v *visit, n uint64) error {
		act, err := told[MailingAct](v)
		if err != nil {
			return err
		}
		return c.actOnMailing(v, n, act)
	}))
}
