package console

import (
	"net/http"
	"strings"

	"sekisho/trace"
)

// personPage is what one member of staff touched, day by day.
type personPage struct {
	Name    string    `json:"name"`
	Space   string    `json:"space"`
	Through uint64    `json:"through"`
	Days    []dayLine `json:"days"` // the latest first
	Total   dayTotal  `json:"total"`
	Span    *span     `json:"span,omitempty"`
	// Duties are what they owe; only for themselves, and for who may decide.
	Duties []DutyMine `json:"duties,omitempty"`
}

func (*personPage) file() string { return "person" }

func (c *Console) person(v *visit) (page, error) {
	space, err := c.space(v)
	if err != nil {
		return nil, err
	}
	p := &personPage{Name: v.r.PathValue("name"), Space: space}
	ord, ok := c.cfg.Vault.Space("staff").Find(p.Name)
	if !ok {
		return nil, &failure{status: http.StatusNotFound, key: "person", near: trace.Nearest(p.Name, c.people(), 5), nearPath: "/people/"}
	}
	c.cfg.Views.Read(func() {
		p.Days = c.dayLines(c.cfg.Trace.ByPrincipal(space, ord, v.offset(c)))
		p.Through = c.cfg.Trace.Through()
	})
	p.Total, p.Span = total(p.Days), v.daySpan(p.Days)
	if v.who.staff == ord || c.mayDecide(v.who) {
		p.Duties = c.dutiesOf(v.tongue, ord)
	}
	return p, nil
}

func isUnverified(endpoint string) bool { return strings.HasPrefix(endpoint, "unverified@") }
