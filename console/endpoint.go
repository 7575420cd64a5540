package console

import (
	"net/http"
	"slices"

	"sekisho/trace"
)

// endpointPage is what one terminal touched, day by day.
type endpointPage struct {
	Name     string    `json:"name"`
	Space    string    `json:"space"`
	Verified bool      `json:"verified"`
	Through  uint64    `json:"through"`
	Days     []dayLine `json:"days"` // the latest first
	Total    dayTotal  `json:"total"`
	Span     *span     `json:"span,omitempty"`
}

type dayTotal struct {
	Days     int    `json:"days"`
	Accesses uint64 `json:"accesses"`
	Most     uint64 `json:"most_customers_in_a_day"`
	AnyRow   uint64 `json:"any_row"`
}

func total(lines []dayLine) (t dayTotal) {
	t.Days = len(lines)
	for _, l := range lines {
		t.Accesses += l.Accesses
		t.AnyRow += l.AnyRow
		t.Most = max(t.Most, l.Customers)
	}
	return t
}

func (*endpointPage) file() string { return "endpoint" }

func (c *Console) endpoint(v *visit) (page, error) {
	space, err := c.space(v)
	if err != nil {
		return nil, err
	}
	p := &endpointPage{Name: v.r.PathValue("name"), Space: space}
	var names, terminals []string
	c.cfg.Views.Read(func() {
		names, terminals = c.cfg.Trace.Endpoints(), c.cfg.Trace.Terminals()
		p.Days = c.dayLines(c.cfg.Trace.ByEndpoint(space, p.Name, v.offset(c)))
		p.Through = c.cfg.Trace.Through()
	})
	if !slices.Contains(names, p.Name) {
		return nil, &failure{status: http.StatusNotFound, key: "endpoint", near: trace.Nearest(p.Name, terminals, 5), nearPath: "/endpoints/"}
	}
	p.Verified = !isUnverified(p.Name)
	p.Total, p.Span = total(p.Days), v.daySpan(p.Days)
	return p, nil
}
