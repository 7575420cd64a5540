package console

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/duty"
)

// A DutiesPage is the register: clause by clause, with the figure of each duty.
type DutiesPage struct {
	At         sekisho.Time    `json:"at"`
	Through    uint64          `json:"through"` // the entry up to which the ledger is counted
	Instrument string          `json:"instrument"`
	Edition    string          `json:"edition"`
	SHA256     string          `json:"sha256"` // of the instrument's text
	Title      string          `json:"title"`
	Source     string          `json:"source"`
	Note       string          `json:"note,omitempty"`
	Others     []InstrumentRef `json:"instruments"`
	Company    string          `json:"company,omitempty"`
	Department string          `json:"department,omitempty"`
	Companies  []string        `json:"companies,omitempty"`
	Named      []UnitRef       `json:"-"` // the same, with what they are called
	Council    bool            `json:"-"`
	Clauses    []ClauseLine    `json:"clauses"`
	Stands     duty.Stands     `json:"stands"` // how many clauses stand how: an instrument is a distribution
	Duties     int             `json:"duties"`
	Controls   bool            `json:"controls"`
	Reminders  []ReminderLine  `json:"reminders,omitempty"`
	query      url.Values
}

func (*DutiesPage) file() string { return "duties" }

// InstrumentRef is another instrument.
type InstrumentRef struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// A ClauseLine is one clause: as good as its worst duty.
type ClauseLine struct {
	Ref    string        `json:"ref"`
	Title  string        `json:"title"`
	Maps   []string      `json:"maps,omitempty"`
	Worst  string        `json:"worst,omitempty"` // the duty
	Figure *DutyFigure   `json:"figure,omitempty"`
	Mean   int64         `json:"mean_permille"`
	Duties []DutyLine    `json:"duties"`
	Claim  *ControlClaim `json:"claim,omitempty"`
}

// A ControlClaim is a line of the statement of applicability.
type ControlClaim struct {
	Entry      uint64       `json:"entry"`
	At         sekisho.Time `json:"at"`
	Applicable bool         `json:"applicable"`
	Claim      string       `json:"claim"`
	Why        string       `json:"why"`
	Basis      []uint64     `json:"basis,omitempty"`
	Review     sekisho.Time `json:"review,omitempty"`
	By         string       `json:"by"`
}

// A DutyFigure is a percentage with all that it is made of.
type DutyFigure struct {
	duty.Tally
	Low    int64 `json:"low_permille"`
	High   int64 `json:"high_permille"`
	NoCase bool  `json:"no_case"` // nothing is due: that is not 100 %
}

// Percent is the lower bound, as people read it.
func (f DutyFigure) Percent() string {
	return permille(f.Low)
}

// Upper is the upper bound, where it differs.
func (f DutyFigure) Upper() string {
	if f.High == f.Low {
		return ""
	}
	return permille(f.High)
}

// permille is a share in thousandths as people read it.
func permille(n int64) string { return fmt.Sprintf("%d.%d %%", n/10, n%10) }

func figureOf(t duty.Tally) DutyFigure {
	low, high, ok := t.Bounds()
	return DutyFigure{Tally: t, Low: low, High: high, NoCase: !ok}
}

// A DutyLine is one duty on the dashboard.
type DutyLine struct {
	Name    string        `json:"name"` // "policy/M3a"
	ID      string        `json:"id"`
	Title   string        `json:"title"`
	Kind    duty.Kind     `json:"kind"`
	Owner   string        `json:"owner"`
	Cadence string        `json:"cadence"`
	Origin  string        `json:"origin"` // "stated", "default"
	Part    string        `json:"default_part,omitempty"`
	Auto    string        `json:"auto"`
	Counted string        `json:"counted"`
	Measure string        `json:"measure"`
	Window  string        `json:"window"`
	Closed  bool          `json:"closed"`
	Frozen  bool          `json:"frozen"`
	Figure  DutyFigure    `json:"figure"`
	Now     *DutyFigure   `json:"so_far,omitempty"` // of the window that runs, beside one that ended
	Beside  []BesidePart  `json:"beside,omitempty"`
	Worry   *DutyForecast `json:"forecast,omitempty"`
}

// BesidePart is the figure of another kind of evidence.
type BesidePart struct {
	Kind   string     `json:"kind"`
	Figure DutyFigure `json:"figure"`
}

// A DutyForecast says what the running window comes to at this pace.
type DutyForecast struct {
	duty.Forecast
	Month string `json:"month"` // in which it ends, as 2027-03
}

func (c *Console) duties404() error { return fail(http.StatusNotFound, "duty") }

// dutyLine is a line with its figures.
func (c *Console) dutyLine(t *tongue, l duty.Line, s duty.Scope, now int64) DutyLine {
	d := l.Duty
	line := DutyLine{Name: d.Name(), ID: d.ID, Title: t.inst(d.Title), Kind: d.Kind, Owner: d.Owner, Cadence: t.inst(d.Cadence.Say), Origin: d.Cadence.Origin,
		Part: t.inst(d.Cadence.Part), Auto: d.Auto, Counted: t.inst(d.Counted), Measure: t.inst(d.Measure),
		Window: l.Head.Window.Name, Closed: l.Head.Closed, Frozen: l.Head.Frozen, Figure: figureOf(l.Tally)}
	if l.Now != l.Head {
		f := figureOf(l.Now.In(s))
		line.Now = &f
	}
	for _, p := range l.Head.Beside {
		line.Beside = append(line.Beside, BesidePart{p.Kind, figureOf(p.Tally)})
	}
	if s == (duty.Scope{}) {
		if f, ok := c.cfg.Duty.Forecast(l.Now, now); ok && f.Missed > 0 {
			line.Worry = &DutyForecast{f, c.monthOf(f.At)}
		}
	}
	return line
}

func (c *Console) monthOf(end int64) string {
	return sekisho.Time(end - 1).Go().In(c.cfg.Zone).Format("2006-01")
}

// inst is a text of an instrument in the visitor's language.
func (t *tongue) inst(w duty.Words) string { return w.In(t.Lang) }

// unit finds a company or department by its code; 0 for an empty one.
func (c *Console) unitBy(kind, code string) (uint32, error) {
	if code == "" {
		return 0, nil
	}
	o, ok := c.cfg.Vault.Space("unit").Find(kind + "/" + code)
	if !ok {
		return 0, fail(http.StatusNotFound, "duty_unit", code)
	}
	return o, nil
}

func (c *Console) dutiesPage(t *tongue, q url.Values) (*DutiesPage, error) {
	if c.cfg.Duty == nil {
		return nil, c.duties404()
	}
	b := c.cfg.Duty
	now := c.cfg.Now().UnixMicro()
	i := b.Register().Instrument(cmp.Or(q.Get("instrument"), "policy"))
	if i == nil {
		return nil, c.duties404()
	}
	p := &DutiesPage{At: sekisho.Time(now), Instrument: i.ID, Edition: i.Edition, SHA256: fmt.Sprintf("%x", i.SHA256), Title: t.inst(i.Title), Source: i.Source, Note: t.inst(i.Note),
		Company: q.Get("company"), Department: q.Get("department"), Council: q.Get("council") != "", query: q}
	var s duty.Scope
	var err error
	if s.Company, err = c.unitBy("company", p.Company); err != nil {
		return nil, err
	}
	if s.Department, err = c.unitBy("department", p.Department); err != nil {
		return nil, err
	}
	c.cfg.Views.Read(func() {
		p.Through = b.Through()
		for _, other := range b.Register().Instruments {
			p.Others = append(p.Others, InstrumentRef{other.ID, t.inst(other.Title)})
		}
		for _, m := range b.Units("company", now) {
			p.Named = append(p.Named, c.unitRef(m.Unit.Ordinal))
		}
		slices.SortFunc(p.Named, func(a, b UnitRef) int { return strings.Compare(a.Code, b.Code) })
		for _, r := range p.Named {
			p.Companies = append(p.Companies, r.Code)
		}
		for _, st := range b.Clauses(i, s, now) {
			line := ClauseLine{Ref: st.Clause.Ref, Title: t.inst(st.Clause.Title), Maps: st.Clause.Maps, Mean: st.Mean, Duties: []DutyLine{}}
			if st.Worst != nil {
				f := figureOf(st.Worst.Tally)
				line.Worst, line.Figure = st.Worst.Duty.ID, &f
			}
			for _, l := range st.Lines {
				line.Duties = append(line.Duties, c.dutyLine(t, l, s, now))
			}
			if st.Clause.Control {
				p.Controls = true
				if k, ok := b.Claimed(i.ID, st.Clause.Ref); ok {
					line.Claim = &ControlClaim{Entry: k.Seq, At: sekisho.Time(k.At), Applicable: k.Body.Applicable, Claim: k.Body.Claim, Why: c.said(k.Body.Said), Basis: k.Body.Basis, Review: k.Body.Review, By: c.named("staff", k.Body.By)}
				}
			}
			p.Stands.Add(st)
			p.Clauses = append(p.Clauses, line)
		}
		p.Duties = len(i.Duties)
		if p.Council {
			p.Reminders = c.reminderLines(20)
		}
	})
	return p, nil
}

// A ReminderLine is one reminder that was written.
type ReminderLine struct {
	Entry   uint64       `json:"entry"`
	At      sekisho.Time `json:"at"`
	Duty    string       `json:"duty"`
	Company string       `json:"company,omitempty"` // whose part of it; empty: all
	Until   sekisho.Time `json:"until"`
	Role    string       `json:"role"`
	Person  string       `json:"person,omitempty"`
	Open    uint64       `json:"open"`
}

func (c *Console) reminderLines(most int) (list []ReminderLine) {
	for _, r := range c.cfg.Duty.Reminders(most) {
		list = append(list, ReminderLine{r.Seq, sekisho.Time(r.At), r.Body.Duty, strings.TrimPrefix(c.named("unit", r.Body.Company), "company/"), r.Body.Until, r.Body.Role, c.named("staff", r.Body.Person), r.Body.Open})
	}
	return list
}

// With is the page's address with one setting changed.
func (p *DutiesPage) With(key, value string) string {
	q := url.Values{}
	for k, v := range p.query {
		q[k] = v
	}
	q.Set(key, value)
	if value == "" {
		q.Del(key)
	}
	return "/duties?" + q.Encode()
}

func (c *Console) dutiesList(v *visit) (page, error) { return c.dutiesPage(v.tongue, v.r.URL.Query()) }

// A DutyPage is one duty, with what is behind its figures.
type DutyPage struct {
	DutyLine
	At         sekisho.Time     `json:"at"`
	Through    uint64           `json:"through"`
	Instrument string           `json:"instrument"`
	Edition    string           `json:"edition"`
	SHA256     string           `json:"sha256"`
	Promise    string           `json:"promise"`
	Note       string           `json:"note,omitempty"`
	Approver   string           `json:"approver"`
	Population string           `json:"population"`
	Clauses    []string         `json:"clauses"`
	Maps       []string         `json:"maps,omitempty"`
	Evidence   []duty.Spec      `json:"evidence"`
	History    []DutyWindow     `json:"history"`
	Shown      DutyWindow       `json:"shown"` // the window whose obligations are listed
	Executives *DutyFigure      `json:"executives,omitempty"`
	Companies  []CompanyFigure  `json:"companies,omitempty"`
	Status     string           `json:"status,omitempty"`
	Listed     []ObligationLine `json:"obligations"`
	Total      int              `json:"obligations_total"`
	Page       int              `json:"page"`
	Hidden     bool             `json:"hidden,omitempty"` // who they are is not the visitor's to read
	Wrong      []uint64         `json:"wrong,omitempty"`  // entries that a counter found not right
	CanDecide  bool             `json:"can_decide"`
	Spaces     string           `json:"unit_hint"`
	Milestones []string         `json:"milestones,omitempty"`
	Waiting    []StatedLine     `json:"waiting,omitempty"`
	Exceptions []ExceptionLine  `json:"exceptions,omitempty"`
	Gone       []RosterGap      `json:"not_in_directory,omitempty"` // of the rosters that the duty rests on
}

func (*DutyPage) file() string { return "duty" }

// Before is the address of the page of obligations before this one, or empty.
func (p *DutyPage) Before() string {
	if p.Page <= 1 {
		return ""
	}
	return p.turn(p.Page - 1)
}

// After is the address of the next page, or empty.
func (p *DutyPage) After() string {
	if p.Page*mostObligations >= p.Total {
		return ""
	}
	return p.turn(p.Page + 1)
}

func (p *DutyPage) turn(n int) string {
	q := url.Values{"window": {p.Shown.Name}, "page": {strconv.Itoa(n)}}
	if p.Status != "" {
		q.Set("status", p.Status)
	}
	return "/duties/" + p.Instrument + "/" + p.ID + "?" + q.Encode()
}

// A DutyWindow is the figure of one window.
type DutyWindow struct {
	Name   string       `json:"window"`
	From   sekisho.Time `json:"from"`
	Until  sekisho.Time `json:"until"`
	Closed bool         `json:"closed"`
	Frozen bool         `json:"frozen"`
	Figure DutyFigure   `json:"figure"`
}

// A CompanyFigure is one company's part.
type CompanyFigure struct {
	Company string     `json:"company"`
	Title   string     `json:"title"`
	Figure  DutyFigure `json:"figure"`
}

// An ObligationLine is what one unit owes, with the entries behind it.
type ObligationLine struct {
	Unit    string       `json:"unit"`
	Company string       `json:"company,omitempty"`
	Title   string       `json:"company_title,omitempty"`
	Status  duty.Status  `json:"status"`
	Owed    int          `json:"owed,omitempty"`
	Present int64        `json:"days_present,omitempty"`
	Done    sekisho.Time `json:"done,omitempty"`
	Why     string       `json:"why,omitempty"` // of an exception
	Entries []EntryLine  `json:"entries,omitempty"`
}

// An EntryLine is one piece of evidence.
type EntryLine struct {
	Entry    uint64       `json:"entry"`
	Kind     string       `json:"kind"`
	Item     string       `json:"item,omitempty"`
	From     sekisho.Time `json:"from"`
	Until    sekisho.Time `json:"until,omitempty"`
	Recorded sekisho.Time `json:"recorded"`
	State    string       `json:"state,omitempty"`
	Counts   bool         `json:"counts"`
}

const mostObligations = 50

func (c *Console) dutyPage(v *visit, name string, q url.Values) (*DutyPage, error) {
	if c.cfg.Duty == nil {
		return nil, c.duties404()
	}
	b := c.cfg.Duty
	d := b.Register().Duty(name)
	if d == nil {
		return nil, c.duties404()
	}
	i := d.Instrument()
	now := c.cfg.Now().UnixMicro()
	p := &DutyPage{At: sekisho.Time(now), Instrument: i.ID, Edition: i.Edition, SHA256: fmt.Sprintf("%x", i.SHA256), Promise: v.inst(d.Promise), Note: v.inst(d.Note), Approver: d.Approver,
		Population: d.Population, Clauses: d.Clauses, Maps: d.Maps, Evidence: d.Evidence, Status: strings.ToUpper(q.Get("status")), Page: 1, CanDecide: c.mayDecide(v.who), Spaces: c.unitHint(d)}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 && n < 1_000_000 {
		p.Page = n
	}
	for _, m := range d.Milestones {
		p.Milestones = append(p.Milestones, m.Item)
	}
	p.Hidden = d.Kind == duty.PerPerson && !p.CanDecide && !c.veiled
	var wanted []duty.Status
	if p.Status != "" {
		s, ok := duty.StatusOf(p.Status)
		if !ok {
			return nil, fail(http.StatusBadRequest, "duty_status")
		}
		wanted = []duty.Status{s}
	}
	var s duty.Scope
	var err error
	if s.Company, err = c.unitBy("company", q.Get("company")); err != nil {
		return nil, err
	}
	found := false
	c.cfg.Views.Read(func() {
		p.Through = b.Through()
		l, ok := b.Line(d, s, now)
		if !ok {
			return
		}
		p.DutyLine = c.dutyLine(v.tongue, l, s, now)
		shown := l.Head
		for _, j := range b.Judge(d, now) {
			if q.Get("window") == j.Window.Name {
				shown = j
			}
			p.History = append(p.History, windowOf(j, s))
		}
		found = q.Get("window") == "" || shown.Window.Name == q.Get("window")
		p.Shown = windowOf(shown, s)
		if shown.Executives != (duty.Tally{}) {
			f := figureOf(shown.Executives)
			p.Executives = &f
		}
		for o, t := range shown.Companies {
			p.Companies = append(p.Companies, CompanyFigure{c.unitRef(o).Code, c.unitRef(o).Title, figureOf(*t)})
		}
		slices.SortFunc(p.Companies, func(a, b CompanyFigure) int {
			return cmp.Or(cmp.Compare(a.Figure.Low, b.Figure.Low), strings.Compare(a.Company, b.Company))
		})
		p.Wrong = b.Wrong(d)
		if len(p.Wrong) > 20 {
			p.Wrong = p.Wrong[:20]
		}
		list, total := b.Obligations(shown, s, wanted, (p.Page-1)*mostObligations, mostObligations)
		p.Total = total
		if !p.Hidden {
			for _, o := range list {
				p.Listed = append(p.Listed, c.obligationLine(v, d, shown.Window, o))
			}
		}
		p.Waiting = c.waitingFor(v, d)
		p.Exceptions = c.exceptionLines(v, d.Name())
	})
	if slices.ContainsFunc(d.Evidence, func(s duty.Spec) bool { return s.Kind == "role_assignment" }) {
		p.Gone = c.rosterGaps(v.tongue)
	}
	if !found {
		return nil, fail(http.StatusNotFound, "duty_window")
	}
	return p, nil
}

func windowOf(j *duty.Judged, s duty.Scope) DutyWindow {
	return DutyWindow{Name: j.Window.Name, From: sekisho.Time(j.Window.From), Until: sekisho.Time(j.Window.Until), Closed: j.Closed, Frozen: j.Frozen, Figure: figureOf(j.In(s))}
}

func (c *Console) obligationLine(v *visit, d *duty.Duty, w duty.Window, o duty.Obligation) ObligationLine {
	line := ObligationLine{Unit: c.unitName(v.tongue, o.Member.Unit), Status: o.Status, Owed: o.Owed, Present: o.Present, Done: sekisho.Time(o.Done)}
	if o.Member.Company != 0 {
		of := c.unitRef(o.Member.Company)
		line.Company, line.Title = of.Code, of.Title
	}
	if o.Waiver != nil {
		line.Why = c.said(o.Waiver.Body.Said)
	}
	if e := o.Event; e != nil {
		line.Entries = []EntryLine{{Entry: e.Seq, From: sekisho.Time(e.From), Until: sekisho.Time(e.Until), Recorded: sekisho.Time(e.Recorded), Counts: true}}
		return line
	}
	line.Entries = entryLines(c.cfg.Duty.Behind(d, o.Member.Unit, w), 10)
	return line
}

func entryLines(proofs []duty.Proof, most int) (list []EntryLine) {
	for _, e := range proofs[:min(most, len(proofs))] {
		list = append(list, EntryLine{e.Seq, e.Kind, e.Item, sekisho.Time(e.From), sekisho.Time(e.Until), sekisho.Time(e.Recorded), e.State, e.Counts})
	}
	return list
}

// unitName is what a unit is called.
func (c *Console) unitName(t *tongue, u duty.Unit) string {
	if u == duty.Group {
		return t.say("dutyreg.group")
	}
	if w, ok := c.cfg.Duty.Register().Called(u); ok {
		return t.inst(w)
	}
	name := c.named(u.Space, u.Ordinal)
	_, short, ok := strings.Cut(name, "/")
	if u.Space == "staff" || !ok {
		return name
	}
	return short
}

// DutyMine is what a person owes, for the employees' own page.
type DutyMine struct {
	Name   string       `json:"name"`
	ID     string       `json:"id"`
	Title  string       `json:"title"`
	Say    string       `json:"cadence"`
	Origin string       `json:"origin"`
	Window string       `json:"window"`
	Until  sekisho.Time `json:"until"`
	Status duty.Status  `json:"status"`
	Owed   int          `json:"owed"`
	Steps  int          `json:"done"` // of Owed
	Next   string       `json:"next"` // what to do now
	Before string       `json:"last_window,omitempty"`
	Last   *duty.Status `json:"last,omitempty"` // of the window that ended
	Done   []EntryLine  `json:"entries,omitempty"`
}

// dutiesOf are the duties that count a person. The caller has made sure who
// asks.
func (c *Console) dutiesOf(t *tongue, staff uint32) (list []DutyMine) {
	if c.cfg.Duty == nil {
		return nil
	}
	now := c.cfg.Now().UnixMicro()
	c.cfg.Views.Read(func() {
		for _, m := range c.cfg.Duty.Mine(staff, now) {
			one := DutyMine{Name: m.Duty.Name(), ID: m.Duty.ID, Title: t.inst(m.Duty.Title), Say: t.inst(m.Duty.Cadence.Say), Origin: m.Duty.Cadence.Origin,
				Window: m.Window.Name, Until: sekisho.Time(m.Window.Until), Status: duty.NA, Done: entryLines(m.Done, 20)}
			if m.Now != nil {
				one.Status, one.Owed, one.Steps = m.Now.Status, m.Now.Owed, m.Steps
			}
			if m.Before != nil {
				s := m.Before.Status
				one.Last, one.Before = &s, m.Last.Name
			}
			one.Next = t.next(m.Duty, one.Status)
			list = append(list, one)
		}
	})
	return list
}

// A MyDutiesPage is what the visitor owes.
type MyDutiesPage struct {
	Person  string       `json:"person"`
	Duties  []DutyMine   `json:"duties"`
	Charges []DutyCharge `json:"charges"`
	Door    string       `json:"door,omitempty"` // where they do what they owe
}

func (*MyDutiesPage) file() string { return "duties_mine" }

func (c *Console) myDuties(v *visit) (page, error) {
	return &MyDutiesPage{v.who.name, c.dutiesOf(v.tongue, v.who.staff), c.chargesOf(v), c.cfg.StaffDoor}, nil
}

func (c *Console) dutyOne(v *visit) (page, error) {
	return c.dutyPage(v, v.r.PathValue("instrument")+"/"+v.r.PathValue("id"), v.r.URL.Query())
}

// bar draws a figure: what is certain, what is unknown, and the rest.
func (f DutyFigure) Bar() template.HTML {
	return template.HTML(fmt.Sprintf(`<svg class="dutybar" viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true"><rect class="ground" width="1000" height="14"/><rect class="maybe" width="%d" height="14"/><rect class="sure" width="%d" height="14"/></svg>`, f.High, f.Low))
}

// Picture draws the history: one column a window, met below, unknown above it.
func (p *DutyPage) Picture() template.HTML {
	var b strings.Builder
	n := max(12, len(p.History)) // a first window is no wall
	fmt.Fprintf(&b, `<svg class="columns dutyhistory" viewBox="0 0 %d 100" preserveAspectRatio="none" aria-hidden="true"><path class="floor" d="M0 99.5H%d"/>`, 10*n, 10*n)
	for k, w := range p.History {
		low, high := w.Figure.Low/10, w.Figure.High/10
		fmt.Fprintf(&b, `<rect class="maybe" x="%d" y="%d" width="8" height="%d"/><rect class="sure" x="%d" y="%d" width="8" height="%d"/>`, 10*k+1, 100-high, high, 10*k+1, 100-low, low)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// parseDay is a day of the company's, as 2026-04-01.
func (c *Console) parseDay(text string) (sekisho.Time, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.ParseInLocation("2006-01-02", text, c.cfg.Zone)
	if err == nil && t.Year() >= 1971 && t.Year() < 2200 {
		return sekisho.At(t), nil
	}
	if t, err = time.Parse(time.RFC3339, text); err == nil && t.Year() >= 1971 && t.Year() < 2200 {
		return sekisho.At(t), nil
	}
	return 0, fail(http.StatusBadRequest, "duty_day")
}
