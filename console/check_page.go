package console

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"

	"sekisho"
	"sekisho/duty"
)

// One check: its record, its checklist with answers, who has to sign.

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
	n, err := v.pathNumber("number", "check")
	if err != nil {
		return nil, err
	}
	return c.checkPage(v, n)
}
