package console

import (
	"strings"

	"sekisho"
)

// A UnitRef is a company or department by its code and by what people call it.
type UnitRef struct {
	Code  string `json:"code"`
	Title string `json:"title"`
}

func (c *Console) unitRef(unit uint32) UnitRef {
	code := c.named("unit", unit)
	if _, rest, ok := strings.Cut(code, "/"); ok {
		code = rest
	}
	return UnitRef{code, c.unitTitle(unit)}
}

// unitTitle is what a company or department is called: of a department with its
// company's name before it, since many have one of the same name. Who said no
// title is called by the code.
func (c *Console) unitTitle(unit uint32) string {
	code := c.named("unit", unit)
	noun, rest, ok := strings.Cut(code, "/")
	if !ok {
		return code
	}
	own, now := "", sekisho.At(c.cfg.Now())
	if c.cfg.Directory != nil {
		if u := c.cfg.Directory.Unit(unit, now); u != nil {
			own = c.named("said", u.Title)
		}
	}
	if noun != "department" {
		if own == "" {
			return rest
		}
		return own
	}
	company, last, ok := strings.Cut(rest, "/")
	if !ok {
		company, last = "", rest
	}
	if own == "" {
		own = last
	}
	if o, known := c.cfg.Vault.Space("unit").Find("company/" + company); known && company != "" {
		return c.unitTitle(o) + " " + own
	}
	return own
}
