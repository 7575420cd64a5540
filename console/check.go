package console

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/duty"
)

// What people look at: inspections, audits, reviews, meetings. One page lists
// them with what is overdue first, and one shows a check with its record.

// A UnitLine is what a check, a finding or a post is about.
type UnitLine struct {
	Space   string `json:"space"`
	Name    string `json:"name"`
	Ordinal uint32 `json:"ordinal"`
	Title   string `json:"title,omitempty"` // by the directory
}

// Say is what a reader knows it by.
func (u UnitLine) Say() string {
	if _, short, ok := strings.Cut(u.Name, "/"); ok && u.Space == "thing" {
		return cmp.Or(u.Title, short) // without its register
	}
	return cmp.Or(u.Title, u.Name)
}

// A CheckLine is a check in a list.
type CheckLine struct {
	Number   uint64       `json:"number"`
	Noun     string       `json:"noun"`
	Units    []UnitLine   `json:"units"`
	State    string       `json:"state"`
	Missing  []string     `json:"missing"` // why it does not count
	Due      sekisho.Time `json:"due"`
	Held     sekisho.Time `json:"held"`
	Good     sekisho.Time `json:"good"`
	Lead     string       `json:"lead"`
	Other    string       `json:"other"`
	Result   string       `json:"result,omitempty"`
	Findings int          `json:"findings"`
	Open     int          `json:"open"` // findings that are not closed
	Title    string       `json:"title"`
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

// A ChecksPage lists checks and findings, those that are late first.
type ChecksPage struct {
	Noun     string        `json:"noun,omitempty"`
	Nouns    []NounLine    `json:"nouns"`
	Checks   []CheckLine   `json:"checks"`
	More     int           `json:"more,omitempty"` // checks that are not listed
	Findings []FindingLine `json:"findings"`
	Lists    []ListLine    `json:"checklists"`
	Units    []UnitLine    `json:"units"` // that can be chosen
	People   []string      `json:"-"`
	Picture  checkPicture  `json:"-"`
}

func (*ChecksPage) file() string { return "checks" }

// A NounLine counts the checks of one sort.
type NounLine struct {
	Noun     string `json:"noun"`
	Complete int    `json:"complete"`
	Waiting  int    `json:"waiting"`
	Overdue  int    `json:"overdue"`
}

// A ListLine is a checklist that can be planned with.
type ListLine struct {
	Name    string `json:"name"`
	Noun    string `json:"noun"`
	Edition string `json:"edition"`
	Title   string `json:"title"`
	Items   int    `json:"items"`
}

// A CheckPlan plans a check.
type CheckPlan struct {
	Noun      string   `json:"noun"`
	Units     []string `json:"units"` // of things without the noun in front
	Checklist string   `json:"checklist,omitempty"`
	Due       string   `json:"due"`
	Lead      string   `json:"lead,omitempty"`  // default: who plans
	Other     string   `json:"other,omitempty"` // who answers for the other side
	Expert    string   `json:"expert,omitempty"`
	Scope     string   `json:"scope,omitempty"`
}

const maxUnits = 500

// A checkPicture is one row of marks for each noun: where its checks lie in the
// year.
type checkPicture struct {
	From, Until sekisho.Time
	Now         float64
	Rows        []checkRow
}

type checkRow struct {
	Noun  string
	Y     int
	Marks []checkMark
}

type checkMark struct {
	X      float64
	Number uint64
	State  string
}

const yearBack, yearAhead = 270 * 24 * time.Hour, 180 * 24 * time.Hour

func (c *Console) checksReady() error {
	if c.cfg.Checks == nil {
		return fail(http.StatusNotFound, "checks")
	}
	return nil
}

func (c *Console) unitLine(space string, o uint32) UnitLine {
	switch space {
	case "unit":
		for _, u := range c.unitsNow() {
			if u.Ordinal == o {
				return u
			}
		}
	case "instrument":
		for _, name := range duty.Shipped() {
			if duty.UnitOf(name).Ordinal == o {
				return UnitLine{Space: space, Name: name, Ordinal: o}
			}
		}
	}
	return UnitLine{Space: space, Name: c.named(space, o), Ordinal: o}
}

// unitsNow are the companies and departments of now.
func (c *Console) unitsNow() []UnitLine {
	if c.cfg.Units == nil {
		return nil
	}
	return c.cfg.Units(sekisho.At(c.cfg.Now()))
}

func (c *Console) checkLine(v *visit, one *duty.Check, now sekisho.Time) CheckLine {
	b := one.Body
	l := CheckLine{Number: one.Number, Noun: b.Noun, State: c.cfg.Checks.State(one, now), Missing: c.cfg.Checks.Missing(one), Due: one.Due, Held: one.Held, Good: one.Good,
		Lead: c.named("staff", one.Lead), Other: c.named("staff", one.Other), Result: one.Result, Findings: len(one.Findings), Units: []UnitLine{}}
	for _, u := range b.Units {
		l.Units = append(l.Units, c.unitLine(b.Space, u))
	}
	for _, n := range one.Findings {
		if s := c.cfg.Checks.Finding(n).State(now); s != "closed" && s != "dropped" {
			l.Open++
		}
	}
	l.Title = v.code("noun", b.Noun)
	return l
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

// checkRank puts first what is late, then what waits for somebody.
func checkRank(state string) int {
	return slices.Index([]string{"overdue", "expired", "lapsed", "unsigned", "open", "done", "planned", "accepted", "complete", "closed", "cancelled", "dropped"}, state)
}

// checkTag is how a state looks.
func checkTag(state string) string {
	switch state {
	case "overdue", "expired", "lapsed", "failed":
		return "alarm"
	case "unsigned", "open", "done":
		return "warn"
	case "complete", "closed":
		return "good"
	}
	return "live"
}

const maxListed = 300

func (c *Console) checksPage(v *visit, noun string) *ChecksPage {
	now := sekisho.At(c.cfg.Now())
	p := &ChecksPage{Noun: noun, Checks: []CheckLine{}, Findings: []FindingLine{}, Lists: []ListLine{}, Units: []UnitLine{}}
	b := c.cfg.Checks
	c.cfg.Views.Read(func() {
		by := map[string]*NounLine{}
		for _, n := range duty.Nouns() {
			by[n.Name] = &NounLine{Noun: n.Name}
		}
		p.Picture = checkPicture{From: sekisho.At(now.Go().Add(-yearBack)), Until: sekisho.At(now.Go().Add(yearAhead))}
		for _, one := range b.All() {
			l := c.checkLine(v, one, now)
			if n := by[l.Noun]; n != nil {
				switch l.State {
				case "complete":
					n.Complete++
				case "overdue", "lapsed":
					n.Overdue++
				case "cancelled":
				default:
					n.Waiting++
				}
			}
			if noun == "" || l.Noun == noun {
				p.Checks = append(p.Checks, l)
			}
		}
		for _, n := range duty.Nouns() {
			p.Nouns = append(p.Nouns, *by[n.Name])
		}
		for _, f := range b.Found() {
			l := c.findingLine(f, now)
			of := ""
			if l.Check != 0 {
				of = b.Check(l.Check).Body.Noun
			}
			if (noun == "" || of == noun) && l.State != "closed" && l.State != "dropped" {
				p.Findings = append(p.Findings, l)
			}
		}
	})
	p.Picture.draw(p.Checks, now)
	slices.SortStableFunc(p.Checks, func(a, b CheckLine) int {
		return cmp.Or(checkRank(a.State)-checkRank(b.State), cmp.Compare(a.Due, b.Due), cmp.Compare(b.Number, a.Number))
	})
	if len(p.Checks) > maxListed {
		p.Checks, p.More = p.Checks[:maxListed], len(p.Checks)-maxListed
	}
	slices.SortStableFunc(p.Findings, func(a, b FindingLine) int {
		return cmp.Or(checkRank(a.State)-checkRank(b.State), gradeRank(a.Grade)-gradeRank(b.Grade), cmp.Compare(a.Due, b.Due))
	})
	p.Findings = p.Findings[:min(len(p.Findings), maxListed)]
	for _, l := range c.cfg.Checklists {
		all, _ := l.Items()
		p.Lists = append(p.Lists, ListLine{l.Name, l.Noun, l.Edition, l.Title.In(v.Lang), len(all)})
	}
	if n, ok := duty.NounOf(noun); ok {
		p.Units = c.unitsFor(n)
	}
	return p
}

var grades = []string{"critical", "high", "medium", "low", "remark"}

func gradeRank(grade string) int { return slices.Index(grades, grade) }

// draw puts each check where its day is.
func (p *checkPicture) draw(list []CheckLine, now sekisho.Time) {
	const width = 1000.0
	span := float64(p.Until - p.From)
	at := func(t sekisho.Time) float64 { return width * float64(t-p.From) / span }
	p.Now = at(now)
	for _, n := range duty.Nouns() {
		row := checkRow{Noun: n.Name, Y: 22*len(p.Rows) + 14}
		for _, l := range list {
			when := l.Held
			if when == 0 {
				when = l.Due
			}
			if l.Noun == n.Name && when >= p.From && when < p.Until && l.State != "cancelled" {
				row.Marks = append(row.Marks, checkMark{at(when), l.Number, l.State})
			}
		}
		if len(row.Marks) > 0 {
			p.Rows = append(p.Rows, row)
		}
	}
}

// Height is the picture's.
func (p checkPicture) Height() int { return 22*len(p.Rows) + 6 }

// unitsFor are what a check of a noun can be about.
func (c *Console) unitsFor(n duty.Noun) (list []UnitLine) {
	switch n.Space {
	case "unit":
		return c.unitsNow()
	case "instrument":
		for _, name := range duty.Shipped() {
			u := duty.UnitOf(name)
			list = append(list, UnitLine{Space: u.Space, Name: name, Ordinal: u.Ordinal})
		}
		return list
	}
	c.cfg.Views.Read(func() {
		for _, t := range c.cfg.Checks.Things(n.Of) {
			if !t.Retired() {
				l := c.unitLine("thing", t.Ordinal)
				l.Name = strings.TrimPrefix(l.Name, n.Of+"/")
				list = append(list, l)
			}
		}
	})
	return list
}

// overdue counts what is late.
func (c *Console) overdue() (n int) {
	if c.cfg.Checks != nil {
		c.cfg.Views.Read(func() { n = c.cfg.Checks.Overdue(sekisho.At(c.cfg.Now())) })
	}
	return n
}

func (c *Console) checks(v *visit) (page, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	noun := v.r.URL.Query().Get("noun")
	if _, ok := duty.NounOf(noun); !ok && noun != "" {
		return nil, fail(http.StatusNotFound, "checks_noun", noun)
	}
	return c.checksPage(v, noun), nil
}

// unit is the ordinal of what somebody named. Things must stand in their
// register, and units in the directory if there is one.
func (c *Console) unit(space, of, name string) (uint32, error) {
	if name = strings.TrimSpace(name); name == "" || len(name) > 200 {
		return 0, fail(http.StatusBadRequest, "checks_unit", name)
	}
	if space == "thing" {
		o, known := c.cfg.Vault.Space("thing").Find(of + "/" + name)
		there := false
		c.cfg.Views.Read(func() {
			t := c.cfg.Checks.Thing(o)
			there = t != nil && !t.Retired()
		})
		if !known || !there {
			return 0, fail(http.StatusNotFound, "checks_thing", name)
		}
		return o, nil
	}
	if space == "instrument" {
		if !slices.Contains(duty.Shipped(), name) {
			return 0, fail(http.StatusNotFound, "checks_thing", name)
		}
		return duty.UnitOf(name).Ordinal, nil
	}
	if list := c.unitsNow(); len(list) > 0 {
		for _, u := range list {
			if _, code, _ := strings.Cut(u.Name, "/"); u.Name == name || code == name || u.Title == name {
				return u.Ordinal, nil
			}
		}
		return 0, fail(http.StatusNotFound, "checks_unit", name)
	}
	o, known := c.cfg.Vault.Space("unit").Find(name)
	if !known {
		if o = c.cfg.Vault.Space("unit").OfText([]byte(name)); o == 0 {
			return 0, fmt.Errorf("naming a unit: the vault takes no more")
		}
	}
	return o, nil
}

// planCheck records what is to be looked at. Its number is what it returns.
func (c *Console) planCheck(v *visit, a CheckPlan) (uint64, error) {
	if err := c.checksReady(); err != nil {
		return 0, err
	}
	n, ok := duty.NounOf(a.Noun)
	if !ok {
		return 0, fail(http.StatusBadRequest, "checks_noun", a.Noun)
	}
	b := &sekisho.CheckPlanned{Noun: n.Name, Space: n.Space, By: v.who.staff}
	if n.Of == assetNoun && len(a.Units) == 1 && strings.TrimSpace(a.Units[0]) == "*" {
		a.Units = c.allAssets()
	}
	for _, name := range a.Units {
		if strings.TrimSpace(name) == "" {
			continue
		}
		o, err := c.unit(n.Space, n.Of, name)
		if err != nil {
			return 0, err
		}
		if !slices.Contains(b.Units, o) {
			b.Units = append(b.Units, o)
		}
	}
	if len(b.Units) == 0 || len(b.Units) > maxUnits {
		return 0, fail(http.StatusBadRequest, "checks_units")
	}
	list := c.cfg.Checklists.Named(a.Checklist)
	if own := c.cfg.Checklists.Of(n.Name); a.Checklist == "" && len(own) > 0 {
		list = own[0]
	}
	if list == nil && a.Checklist != "" || list != nil && list.Noun != n.Name {
		return 0, fail(http.StatusBadRequest, "checks_list", a.Checklist)
	}
	if list != nil {
		b.Checklist, b.Edition, b.SHA256 = list.Name, list.Edition, list.SHA256
		b.Items, b.Must = list.Items()
		if b.Document = c.cfg.Vault.Space("document").OfText(list.Text); b.Document == 0 {
			return 0, fmt.Errorf("keeping a checklist: the vault takes no more")
		}
	}
	var err error
	if b.Due, err = c.moment(v, a.Due); err != nil {
		return 0, err
	}
	if b.Due == 0 {
		return 0, fail(http.StatusBadRequest, "checks_due")
	}
	if b.Lead, err = c.account(a.Lead); err != nil {
		return 0, err
	}
	if b.Lead == 0 {
		b.Lead = v.who.staff
	}
	if b.Other, err = c.account(a.Other); err != nil {
		return 0, err
	}
	if b.Other != 0 && c.onePerson(b.Lead, b.Other) {
		return 0, fail(http.StatusBadRequest, "checks_two")
	}
	if n.Expert && strings.TrimSpace(a.Expert) == "" {
		return 0, fail(http.StatusBadRequest, "checks_expert")
	}
	if b.Expert, err = c.write(a.Expert); err != nil {
		return 0, err
	}
	if len(a.Scope) > maxSaid || len(a.Expert) > maxSaid {
		return 0, fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	if b.Scope, err = c.write(a.Scope); err != nil {
		return 0, err
	}
	return c.enter(v, b)
}

// enter appends an entry, and returns when the pages know it.
func (c *Console) enter(v *visit, b sekisho.Body) (uint64, error) {
	id, err := c.cfg.Ledger.Append(v.r.Context(), b)
	if err != nil {
		return 0, notRecorded(err)
	}
	return id.Seq, c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

func (c *Console) planCheckForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := CheckPlan{Noun: f.Get("noun"), Checklist: f.Get("checklist"), Due: f.Get("due"), Lead: f.Get("lead"), Other: f.Get("other"), Expert: f.Get("expert"), Scope: f.Get("scope")}
	for _, field := range f["units"] {
		a.Units = append(a.Units, strings.FieldsFunc(field, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == '、' })...)
	}
	n, err := c.planCheck(v, a)
	if err != nil {
		return nil, err
	}
	return c.seeCheck(v, n, "")
}

func (c *Console) seeCheck(v *visit, number uint64, anchor string) (page, error) {
	if wantsJSON(v.r) {
		return c.checkPage(v, number)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/checks/%d%s", number, anchor), http.StatusSeeOther)
	return nil, errDone
}

// A CheckPage is one check with its record.
type CheckPage struct {
	CheckLine
	Checklist string           `json:"checklist,omitempty"`
	Edition   string           `json:"edition,omitempty"`
	Source    string           `json:"source,omitempty"`
	Expert    string           `json:"expert,omitempty"`
	Scope     string           `json:"scope,omitempty"`
	Planned   sekisho.Time     `json:"planned"`
	By        string           `json:"by"`
	Record    string           `json:"record"` // SHA-256 of what is signed
	Sections  []SectionLine    `json:"sections,omitempty"`
	Answered  int              `json:"answered"`
	Items     int              `json:"items"`
	Papers    []PaperLine      `json:"papers"`
	Found     []FindingLine    `json:"found"`
	Signed    []CheckSignature `json:"signed"`
	Parties   []PartyLine      `json:"parties"`
	Steps     []StepLine       `json:"steps"`
	Present   []string         `json:"present,omitempty"`
	Absent    []string         `json:"absent,omitempty"`
	Members   []string         `json:"members,omitempty"` // of the council
	Stock     []StockLine      `json:"stock,omitempty"`   // of a stock-taking
	Quorum    int              `json:"quorum,omitempty"`
	Suggested sekisho.Time     `json:"-"`
	Evidence  string           `json:"evidence"`
	Kinds     []string         `json:"-"`
	Grades    []string         `json:"-"`
	rules     duty.Noun
}

func (*CheckPage) file() string { return "check" }

// Wants: the noun asks for it.
func (p *CheckPage) Wants(what string) bool {
	switch what {
	case "result":
		return p.rules.Result
	case "attended":
		return p.rules.Attended
	case "expert":
		return p.rules.Expert
	}
	return slices.Contains(p.rules.Papers, what)
}

// A SectionLine is a part of the checklist with its answers.
type SectionLine struct {
	Title string     `json:"title"`
	Items []ItemLine `json:"items"`
}

// An ItemLine is an item with its answer.
type ItemLine struct {
	ID     string       `json:"id"`
	Text   string       `json:"text"`
	Must   bool         `json:"must,omitempty"`
	Maps   string       `json:"maps,omitempty"`
	Answer string       `json:"answer,omitempty"`
	Note   string       `json:"note,omitempty"`
	By     string       `json:"by,omitempty"`
	Time   sekisho.Time `json:"time,omitempty"`
	Entry  uint64       `json:"entry,omitempty"`
}

// A CheckSignature is a signature.
type CheckSignature struct {
	Entry  uint64       `json:"entry"`
	Time   sekisho.Time `json:"time"`
	Party  string       `json:"party"`
	Person string       `json:"person"`
	Door   string       `json:"door"`
	Agreed bool         `json:"agreed"`
	Stands bool         `json:"stands"` // it is for the record as it is now
	Text   string       `json:"text,omitempty"`
}

// A PartyLine is who has to sign, and whether the visitor can.
type PartyLine struct {
	Party  string `json:"party"`
	Person string `json:"person"`
	Signed bool   `json:"signed"`
	You    bool   `json:"you"`
}

// A StepLine is a step.
type StepLine struct {
	Entry  uint64       `json:"entry"`
	Time   sekisho.Time `json:"time"`
	Action string       `json:"action"`
	At     sekisho.Time `json:"at,omitempty"`
	Result string       `json:"result,omitempty"`
	Person string       `json:"person,omitempty"`
	By     string       `json:"by"`
	Text   string       `json:"text,omitempty"`
}

func (c *Console) paperLines(papers []duty.Paper) (list []PaperLine) {
	list = []PaperLine{}
	for _, p := range papers {
		b := p.Body
		l := PaperLine{Entry: p.Entry, Time: p.At, What: b.What, Media: b.Media, Size: b.Size, SHA256: hex.EncodeToString(b.SHA256[:]), Title: c.said(b.Title), By: c.named("staff", b.By), Here: b.Document != 0, Picture: b.Media == "image/jpeg"}
		if b.Original != b.SHA256 {
			l.Original = hex.EncodeToString(b.Original[:])
		}
		list = append(list, l)
	}
	return list
}

// checkPage makes the page of one check.
func (c *Console) checkPage(v *visit, number uint64) (*CheckPage, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	now := sekisho.At(c.cfg.Now())
	var p *CheckPage
	var one *duty.Check
	c.cfg.Views.Read(func() {
		if one = c.cfg.Checks.Check(number); one == nil {
			return
		}
		one = one.Clone()
		b := one.Body
		p = &CheckPage{CheckLine: c.checkLine(v, one, now), Edition: b.Edition, Expert: c.said(b.Expert), Scope: c.said(b.Scope), Planned: one.At, By: c.named("staff", b.By),
			Record: hex.EncodeToString(one.Record[:]), Papers: c.paperLines(one.Papers), Found: []FindingLine{}, Signed: []CheckSignature{}, Steps: []StepLine{}, Items: len(b.Items), Suggested: now, Kinds: paperKinds, Grades: grades}
		p.rules, _ = duty.NounOf(b.Noun)
		p.Evidence = p.rules.Evidence
		for _, n := range one.Findings {
			p.Found = append(p.Found, c.findingLine(c.cfg.Checks.Finding(n), now))
		}
		for _, s := range one.Signed {
			x := s.Body
			p.Signed = append(p.Signed, CheckSignature{s.Entry, s.At, x.Party, c.named("staff", x.Person), x.Door, x.Agreed, x.SHA256 == one.Record, c.said(x.Said)})
		}
		if b.Noun == "stocktake" {
			p.Stock = c.stock(one, now)
		}
		for n, party := range p.rules.Parties {
			l := PartyLine{Party: party, Person: c.named("staff", c.signer(one, n)), Signed: one.Signature(party) != nil}
			l.You = one.Held != 0 && !l.Signed && c.maySign(v, one, n) == nil
			p.Parties = append(p.Parties, l)
		}
		for _, s := range one.Steps {
			x := s.Body
			at := x.At
			if at == 0 {
				at = x.Due
			}
			p.Steps = append(p.Steps, StepLine{s.Entry, s.At, x.Action, at, x.Result, c.named("staff", x.Person), c.named("staff", x.By), c.said(x.Said)})
		}
		if one.Attended != nil {
			p.Present, p.Absent = c.staffNames(one.Attended.Present), c.staffNames(one.Attended.Absent)
		}
		if p.rules.Attended && len(b.Units) > 0 {
			if t := c.cfg.Checks.Thing(b.Units[0]); t != nil {
				p.Members, p.Quorum = c.staffNames(t.Body.Members), t.Quorum()
			}
		}
	})
	if p == nil {
		return nil, fail(http.StatusNotFound, "check")
	}
	return p, c.checkItems(v, one, p)
}

func (c *Console) staffNames(list []uint32) (names []string) {
	for _, o := range list {
		names = append(names, c.named("staff", o))
	}
	return names
}

// checkItems reads the checklist in the text with which the check was planned.
func (c *Console) checkItems(v *visit, one *duty.Check, p *CheckPage) error {
	if one.Body.Document == 0 {
		return nil
	}
	list := c.cfg.Checklists.Named(one.Body.Checklist)
	if list == nil || list.SHA256 != one.Body.SHA256 {
		text, _ := c.cfg.Vault.Space("document").Key(one.Body.Document)
		var err error
		if list, err = duty.ReadChecklist([]byte(text)); err != nil {
			return fmt.Errorf("reading the checklist of a check: %w", err)
		}
	}
	p.Checklist, p.Source = list.Title.In(v.Lang), list.Source
	for _, s := range list.Sections {
		l := SectionLine{Title: s.Title.In(v.Lang)}
		for _, i := range s.Items {
			item := ItemLine{ID: i.ID, Text: i.Say.In(v.Lang), Must: i.Must, Maps: i.Maps}
			if a, ok := one.Answers[i.ID]; ok {
				item.Answer, item.Note, item.By, item.Time, item.Entry = a.Answer, c.said(a.Note), c.named("staff", a.By), a.At, a.Entry
				p.Answered++
			}
			l.Items = append(l.Items, item)
		}
		p.Sections = append(p.Sections, l)
	}
	return nil
}

func (c *Console) check(v *visit) (page, error) {
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
	if err != nil {
		return nil, fail(http.StatusNotFound, "check")
	}
	return c.checkPage(v, n)
}
