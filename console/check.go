package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

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
