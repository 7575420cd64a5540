package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sekisho"
	"sekisho/trace"
)

// searchPage asks whom to look for.
type searchPage struct {
	Spaces    []string `json:"spaces"`
	Endpoints []string `json:"endpoints"` // to choose from
	People    []string `json:"people"`
}

func (*searchPage) file() string { return "search" }

// maxChoices bounds the names that a page offers to choose from.
const maxChoices = 2000

func (c *Console) search(v *visit) (page, error) {
	q := v.r.URL.Query()
	for field, to := range map[string]string{"endpoint": "/endpoints/", "person": "/people/"} {
		if name := strings.TrimSpace(q.Get(field)); name != "" {
			http.Redirect(v.w, v.r, to+url.PathEscape(name), http.StatusSeeOther)
			return nil, errDone
		}
	}
	p := &searchPage{}
	c.cfg.Views.Read(func() {
		p.Spaces = c.cfg.Trace.Spaces()
		p.Endpoints = c.cfg.Trace.Endpoints()
	})
	p.People = c.people()
	slices.Sort(p.Endpoints)
	p.Endpoints = p.Endpoints[:min(len(p.Endpoints), maxChoices)]
	p.People = p.People[:min(len(p.People), maxChoices)]
	return p, nil
}

// people are the names of everybody who ever came in.
func (c *Console) people() (names []string) {
	var ords []uint32
	c.cfg.Views.Read(func() { ords = c.cfg.Trace.Principals() })
	for _, ord := range ords {
		if ord != 0 {
			names = append(names, c.named("staff", ord))
		}
	}
	slices.Sort(names)
	return names
}

// space is whose data the visitor asks about: what the form says, or the only
// or first subject that there is.
func (c *Console) space(v *visit) (string, error) {
	known := c.spaces()
	asked := v.r.FormValue("space")
	switch {
	case asked == "":
		return c.firstSpace(), nil
	case slices.Contains(known, asked):
		return asked, nil
	}
	return "", &failure{status: http.StatusNotFound, key: "space", near: known}
}

func (c *Console) spaces() (known []string) {
	c.cfg.Views.Read(func() { known = c.cfg.Trace.Spaces() })
	return known
}

func (c *Console) firstSpace() string {
	if known := c.spaces(); len(known) > 0 {
		return known[0]
	}
	return ""
}

// A dayLine is one day of an endpoint or a person.
type dayLine struct {
	Start      sekisho.Time `json:"start"`
	Customers  uint64       `json:"customers"`
	Accesses   uint64       `json:"accesses"`
	AnyRow     uint64       `json:"any_row"`
	Categories []string     `json:"categories"`
	Endpoints  []string     `json:"endpoints"`
	People     []string     `json:"people"`
}

func (c *Console) dayLines(days []trace.Day) (lines []dayLine) {
	for _, d := range days {
		l := dayLine{Start: d.Start, Customers: d.Customers, Accesses: d.Accesses, AnyRow: d.AnyRow,
			Categories: d.Categories.Names(), Endpoints: d.Endpoints}
		for _, ord := range d.Principals {
			l.People = append(l.People, c.named("staff", ord))
		}
		lines = append(lines, l)
	}
	return lines
}

// daySpan is the days as a picture; lines are the latest first.
func (v *visit) daySpan(lines []dayLine) *span {
	if len(lines) == 0 {
		return nil
	}
	return spread(v.midnight(lines[len(lines)-1].Start), lines[0].Start, oneDay, "n.customers", func(add func(sekisho.Time, uint64)) {
		for _, l := range lines {
			add(l.Start, l.Customers)
		}
	})
}

// midnight is the start of a day in the zone of the pages.
func (t *tongue) midnight(at sekisho.Time) sekisho.Time {
	y, m, d := at.Go().In(t.zone).Date()
	return sekisho.At(dateIn(y, m, d, t.zone))
}

// offset is how far the zone of the pages is east of UTC, in seconds.
func (v *visit) offset(c *Console) int {
	_, east := c.cfg.Now().In(v.zone).Zone()
	return east
}
