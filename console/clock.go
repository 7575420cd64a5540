package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/law"
)

// A ClocksPage is one incident and the law: what was noticed and what people
// say of it, the duties that follow, the facts on which they hang.
type ClocksPage struct {
	ID        uint64          `json:"incident"`
	Now       sekisho.Time    `json:"now"`
	Drill     bool            `json:"drill,omitempty"`
	Earliest  sekisho.Time    `json:"earliest,omitempty"` // of what was noticed and counts
	Settled   sekisho.Time    `json:"settled,omitempty"`  // the start that two people settled on instead
	Noticed   []NoticedLine   `json:"noticed"`
	Findings  []law.Finding   `json:"findings"`
	Facts     []LegalFactLine `json:"facts"`
	Moves     []MoveLine      `json:"moves"`
	Reports   []ReportLine    `json:"reports"`
	CanDecide bool            `json:"can_decide"`
}

func (*ClocksPage) file() string { return "clocks" }

// Owed are the regimes that apply, or may.
func (p *ClocksPage) Owed() []law.Finding { return owed(p.Findings) }

// Elsewhere are those that would apply if some of the people lived there, which
// nobody knows.
func (p *ClocksPage) Elsewhere() []law.Finding { return elsewhere(p.Findings) }

// Spared are those that do not, with the reason.
func (p *ClocksPage) Spared() []law.Finding {
	return slices.DeleteFunc(slices.Clone(p.Findings), func(f law.Finding) bool { return !spared(f) })
}

func owed(list []law.Finding) []law.Finding {
	return slices.DeleteFunc(slices.Clone(list), func(f law.Finding) bool { return spared(f) || far(f) })
}

func elsewhere(list []law.Finding) []law.Finding {
	return slices.DeleteFunc(slices.Clone(list), func(f law.Finding) bool { return !far(f) })
}

func far(f law.Finding) bool {
	return f.Verdict == law.Undecided && slices.Contains(f.Missing, "residence")
}

func spared(f law.Finding) bool { return f.Verdict == law.NotReached || f.Verdict == law.NotInForce }

// NoticedLine is one event by which a department knew, or may have.
type NoticedLine struct {
	Entry      uint64       `json:"entry"`
	At         sekisho.Time `json:"at"`
	Basis      string       `json:"basis"`
	Detector   string       `json:"detector,omitempty"`
	Why        law.Words    `json:"why,omitzero"` // the rules' words on what such an alert counts as
	Source     string       `json:"source,omitempty"`
	Department string       `json:"department,omitempty"`
	Endpoint   string       `json:"endpoint,omitempty"`
	Text       string       `json:"text,omitempty"`
	By         string       `json:"by,omitempty"`
	Counts     bool         `json:"counts"`
	State      law.State    `json:"state"`
	Doubted    string       `json:"doubted_by,omitempty"`
	Judged     []SaidLine   `json:"judged,omitempty"`
}

// SaidLine is what a person said, and when.
type SaidLine struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"at"`
	Action string       `json:"action"`
	By     string       `json:"by"`
	Why    string       `json:"why,omitempty"`
}

// LegalFactLine is a question, with its latest answer.
type LegalFactLine struct {
	law.FactRule
	Answer law.Answer   `json:"answer"`
	From   string       `json:"from,omitempty"` // "config", "ledger": not a person's word
	By     string       `json:"by,omitempty"`
	At     sekisho.Time `json:"at,omitempty"`
	Entry  uint64       `json:"entry,omitempty"`
	Why    string       `json:"why,omitempty"`
	Asked  bool         `json:"asked"` // a duty hangs on it, and it is unknown
}

// MoveLine is a request for another start.
type MoveLine struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"at"`
	Was    sekisho.Time `json:"was,omitempty"`
	Start  sekisho.Time `json:"start,omitempty"` // 0: the earliest again
	By     string       `json:"by"`
	Why    string       `json:"why"`
	Own    bool         `json:"own"`
	Answer *SaidLine    `json:"answer,omitempty"`
}

// ReportLine is a report that went out.
type ReportLine struct {
	Entry     uint64       `json:"entry"`
	Regime    string       `json:"regime"`
	Step      string       `json:"step"`
	Sent      sekisho.Time `json:"sent"`
	Reference string       `json:"reference,omitempty"`
	By        string       `json:"by"`
	Mistaken  uint64       `json:"mistaken,omitempty"`
}

// in is a text of the rules in the visitor's language.
func (t *tongue) in(w law.Words) string { return w.In(t.Lang) }

// calday is a day of a regime's calendar as every other date on the page is
// written, with its weekday.
func (t *tongue) calday(day string) string {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	format := "2 Jan 2006 "
	if t.Lang == "ja" {
		format = "2006/01/02"
	}
	return at.Format(format) + t.say("weekday."+strconv.Itoa(int(at.Weekday())))
}

// until says until when a clock runs: a day in its own zone, or a moment.
func (t *tongue) until(c law.Clock) string {
	if c.Due.IsZero() {
		return ""
	}
	day := t.calday(c.Due.Format(time.DateOnly))
	if c.Unit == "hours" || c.Unit == "months" {
		return t.say("clock.until.moment", day+c.Due.Format(" 15:04"), c.Zone)
	}
	if c.From != "" {
		return t.say("clock.until.window", t.calday(c.From), day, c.Zone)
	}
	return t.say("clock.until.day", day, c.Zone)
}

// sought is a fact under investigation, in a few words.
func (t *tongue) sought(code string) string {
	if kind, regime, ok := strings.Cut(code, ":"); ok {
		return t.beside(t.code("missing", kind), regime)
	}
	return t.code("missing", code)
}

// trigger is what a duty hangs on, as its article is cited.
func trigger(f law.Finding, id string) string {
	for _, one := range f.Triggers {
		if one.ID == id && one.Article != "" {
			return one.Article
		}
	}
	return id
}

// concerns remembers for a moment whom incidents concern: the numbers are asked
// for that, and the clocks of a room are drawn again and again.
type concerns struct {
	mu sync.Mutex
	by map[uint64]concern
}

type concern struct {
	people  incident.Concerned
	through uint64
	at      time.Time
}

const (
	concernLasts = 10 * time.Second
	maxConcerns  = 1000
)

// concerned says where the people live and what data it is, as far as the lists
// behind the numbers say.
func (c *Console) concerned(ctx context.Context, one *incident.Incident) incident.Concerned {
	var through uint64
	c.cfg.Views.Read(func() { through = c.cfg.Trace.Through() })
	now := c.cfg.Now()
	c.concerns.mu.Lock()
	old, known := c.concerns.by[one.Number]
	c.concerns.mu.Unlock()
	if known && (old.through == through || now.Sub(old.at).Abs() < concernLasts) {
		return old.people
	}
	fresh := concern{through: through, at: now}
	if len(one.Endpoints) > 0 {
		// An endpoint that nobody ever saw gives no answer: then nothing is known.
		if a, err := c.ask(ctx, c.questionOf(one)); err == nil {
			fresh.people = incident.ConcernedBy(a, c.cfg.Residence)
		}
	}
	c.concerns.mu.Lock()
	defer c.concerns.mu.Unlock()
	if c.concerns.by == nil || len(c.concerns.by) >= maxConcerns {
		c.concerns.by = map[uint64]concern{}
	}
	c.concerns.by[one.Number] = fresh
	return fresh.people
}

// duties is what the law says of an incident now.
func (c *Console) duties(ctx context.Context, one *incident.Incident) []law.Finding {
	return one.Clocks(c.cfg.Rules, c.cfg.Company, c.concerned(ctx, one), c.cfg.Now(), c.cfg.Drill != "")
}

func (c *Console) clocks(v *visit) (page, error) {
	number, err := v.pathNumber("id", "incident")
	if err != nil {
		return nil, err
	}
	return c.clocksPage(v, number)
}

func (c *Console) clocksPage(v *visit, number uint64) (*ClocksPage, error) {
	one := c.caseByNumber(number)
	if one == nil {
		return nil, fail(http.StatusNotFound, "incident")
	}
	p := &ClocksPage{ID: number, Now: sekisho.At(c.cfg.Now()), Drill: c.cfg.Drill != "", CanDecide: c.mayJudge(v.who, one),
		Noticed: c.noticed(one), Findings: c.duties(v.r.Context(), one), Moves: []MoveLine{}, Reports: []ReportLine{}}
	p.Earliest, p.Settled = one.Start(c.cfg.Rules)
	p.Facts = c.legalFacts(v, one, p.Findings)
	for _, m := range one.Legal.Moves {
		line := MoveLine{Entry: m.Seq, At: m.At, Was: m.Body.Was, Start: m.Body.Start, By: c.named("staff", m.Body.By), Why: c.said(m.Body.Said)}
		line.Own = c.same(v, line.By)
		if a := m.Answer; a != nil {
			line.Answer = &SaidLine{a.Seq, a.At, a.Body.Action, c.named("staff", a.Body.By), c.said(a.Body.Said)}
		}
		p.Moves = append(p.Moves, line)
	}
	for _, r := range one.Legal.Reports {
		p.Reports = append(p.Reports, ReportLine{r.Seq, r.Body.Regime, r.Body.Step, r.Body.Sent, c.said(r.Body.Reference), c.named("staff", r.Body.By), r.Mistaken})
	}
	return p, nil
}

func (c *Console) noticed(one *incident.Incident) []NoticedLine {
	list := []NoticedLine{}
	for _, a := range one.Aware(c.cfg.Rules) {
		line := NoticedLine{Entry: a.Seq, At: a.At, Basis: a.Basis, Detector: a.Detector, Source: a.Source, Department: c.said(a.Department), Endpoint: a.Endpoint,
			Text: c.said(a.Said), By: c.named("staff", a.By), Counts: a.Counts, State: a.State, Doubted: c.named("staff", a.Doubted)}
		if d, ok := c.cfg.Rules.Detector(a.Detector); ok {
			line.Why = d.Why
		}
		for _, j := range a.Judged {
			line.Judged = append(line.Judged, SaidLine{j.Seq, j.At, j.Body.Action, c.named("staff", j.Body.By), c.said(j.Body.Said)})
		}
		list = append(list, line)
	}
	return list
}

// legalFacts lists the questions of the rules that concern this incident, with
// their answers: those on which something hangs and that nobody has answered
// come first.
func (c *Console) legalFacts(v *visit, one *incident.Incident, findings []law.Finding) []LegalFactLine {
	facts := one.LegalFacts(c.cfg.Rules, c.cfg.Company, c.concerned(v.r.Context(), one))
	missing := map[string]bool{}
	for _, f := range findings {
		for _, m := range f.Missing {
			missing[m] = true
		}
	}
	questions := slices.Clone(c.cfg.Rules.Facts())
	for _, f := range findings {
		if id := "statutory:" + f.Regime; missing[id] || facts.Statutory[f.Regime] != law.Unknown {
			questions = append(questions, law.FactRule{ID: id, Question: law.Words{
				EN: "Is the data of the kinds that this statute lists? " + f.Name.EN, JA: "この法律が対象とする種類のデータか。" + f.Name.JA}})
		}
	}
	list := []LegalFactLine{}
	for _, q := range questions {
		line := LegalFactLine{FactRule: q, Answer: facts.Answers[q.ID], Asked: missing[q.ID]}
		if len(q.ID) > 10 && q.ID[:10] == "statutory:" {
			line.Answer = facts.Statutory[q.ID[10:]]
		}
		for _, x := range one.Legal.Facts {
			if x.Body.Question == q.ID {
				line.By, line.At, line.Entry, line.Why = c.named("staff", x.Body.By), x.At, x.Seq, c.said(x.Body.Said)
			}
		}
		if line.Entry == 0 && line.Answer != law.Unknown {
			if line.From = "ledger"; c.cfg.Company.Facts[q.ID] == line.Answer {
				line.From = "config"
			}
		}
		list = append(list, line)
	}
	slices.SortStableFunc(list, func(a, b LegalFactLine) int {
		switch {
		case a.Asked == b.Asked:
			return 0
		case a.Asked:
			return -1
		}
		return 1
	})
	return list
}

// lawBlock is the law's part of an incident's room.
type lawBlock struct {
	ID       uint64        `json:"incident"`
	Findings []law.Finding `json:"findings"`
	Asked    int           `json:"facts_missing"`
	Unjudged int           `json:"not_judged"`
	Waiting  int           `json:"waiting_for_a_second_person"`
}

// Owed and Elsewhere are as those of ClocksPage.
func (b *lawBlock) Owed() []law.Finding      { return owed(b.Findings) }
func (b *lawBlock) Elsewhere() []law.Finding { return elsewhere(b.Findings) }

// Disclaimers are those of the regimes shown, each once.
func (b *lawBlock) Disclaimers() []law.Words { return disclaimers(b.Findings) }

// Disclaimers are those of the regimes shown, each once.
func (p *ClocksPage) Disclaimers() []law.Words { return disclaimers(p.Findings) }

func disclaimers(list []law.Finding) (out []law.Words) {
	for _, f := range list {
		if !slices.Contains(out, f.Disclaimer) {
			out = append(out, f.Disclaimer)
		}
	}
	return out
}

func (c *Console) roomLaw(v *visit, one *incident.Incident) (any, error) {
	b := &lawBlock{ID: one.Number, Findings: c.duties(v.r.Context(), one)}
	missing := map[string]bool{}
	for _, f := range b.Owed() {
		for _, m := range f.Missing {
			missing[m] = true
		}
	}
	b.Asked = len(missing)
	for _, a := range one.Aware(c.cfg.Rules) {
		if a.State == law.Provisional && a.Counts {
			b.Unjudged++
		}
		if a.Doubted != 0 {
			b.Waiting++
		}
	}
	for _, m := range one.Legal.Moves {
		if m.Pending() {
			b.Waiting++
		}
	}
	return b, nil
}

// roomLegalClocks are the law's clocks among those of the manual.
func (c *Console) roomLegalClocks(v *visit, one *incident.Incident) ([]RoomClock, error) {
	now := c.cfg.Now()
	states := map[law.ClockState]incident.ClockState{law.Running: incident.ClockRuns, law.DueSoon: incident.ClockWarns, law.Overdue: incident.ClockOverdue,
		law.Met: incident.ClockMet, law.MetLate: incident.ClockLate, law.Waiting: incident.ClockWaits}
	var list []RoomClock
	for _, f := range c.duties(v.r.Context(), one) {
		for _, k := range f.Clocks {
			state, counted := states[k.State]
			if spared(f) || far(f) || !counted || k.Due.IsZero() && k.Sent.IsZero() {
				continue
			}
			line := RoomClock{Key: k.Regime + "/" + k.Step, Name: v.in(f.Name) + ": " + v.in(k.Name), State: state, Rule: v.say("clock.rule", v.cite(f.Edition), f.Source),
				Due: timeOf(k.Due), Met: timeOf(k.Sent), End: k.Entry, From: timeOf(k.Start)}
			switch {
			case line.Met != 0 && line.From != 0:
				line.Left = v.say("room.took", v.span(max(0, line.Met-line.From)))
			case line.Due != 0:
				line.Left = v.left(sekisho.At(now), line.Due)
			}
			line.Provisional, line.Conditional = k.Provisional, k.Conditional
			list = append(list, line)
		}
	}
	return list, nil
}

func timeOf(t time.Time) sekisho.Time {
	if t.IsZero() {
		return 0
	}
	return sekisho.At(t)
}

// NoticesPage is the register of notices, the newest first.
type NoticesPage struct {
	Notices []NoticeLine `json:"notices"`
	Sources []string     `json:"-"`
	Grounds []string     `json:"-"`
}

func (*NoticesPage) file() string { return "notices" }

// NoticeLine is one line of the register.
type NoticeLine struct {
	NoticedLine
	Incident   uint64       `json:"incident"`
	Registered sekisho.Time `json:"registered"`
}

func (c *Console) notices(*visit) (page, error) { return c.noticesPage(), nil }

func (c *Console) noticesPage() *NoticesPage {
	p := &NoticesPage{Notices: []NoticeLine{}, Sources: noticeSources, Grounds: law.Bases()}
	var cases []*incident.Incident
	c.cfg.Views.Read(func() { cases = c.cfg.Incidents.List() })
	for _, one := range cases {
		if len(one.Legal.Notices) == 0 {
			continue
		}
		all := c.noticed(one)
		for _, n := range one.Legal.Notices {
			if i := slices.IndexFunc(all, func(l NoticedLine) bool { return l.Entry == n.Seq }); i >= 0 {
				p.Notices = append(p.Notices, NoticeLine{all[i], one.Number, n.At})
			}
		}
	}
	slices.SortFunc(p.Notices, func(a, b NoticeLine) int { return int(b.Entry) - int(a.Entry) })
	const most = 1000
	p.Notices = p.Notices[:min(len(p.Notices), most)]
	return p
}
