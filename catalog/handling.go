package catalog

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/sheet"
)

//go:embed handling.yaml
var shippedHandling []byte

// ShippedHandling is the text of the handling rules that the house brings along.
func ShippedHandling() []byte { return slices.Clone(shippedHandling) }

// Say is a text in both languages of the house.
type Say struct {
	En string `yaml:"en" json:"en"`
	Ja string `yaml:"ja" json:"ja"`
}

// In is the text in a language.
func (s Say) In(lang string) string {
	if lang == "ja" {
		return s.Ja
	}
	return s.En
}

// Handling says how information of each category may be handled.
type Handling struct {
	Edition    string         `yaml:"edition" json:"edition"`
	Effective  string         `yaml:"effective" json:"effective"` // the day from which it is meant to hold
	Source     string         `yaml:"source" json:"source"`
	Classes    []Coded        `yaml:"classes" json:"classes"`       // from the least to the strictest
	Conditions []Coded        `yaml:"conditions" json:"conditions"` // what an act may hang on
	Methods    []Coded        `yaml:"methods" json:"methods"`       // of destruction
	Rules      []HandlingRule `yaml:"categories" json:"categories"`

	Text   []byte   `yaml:"-" json:"-"`
	SHA256 [32]byte `yaml:"-" json:"-"` // of Text
}

// A Coded is a code with what it says.
type Coded struct {
	ID  string `yaml:"id" json:"id"`
	Say Say    `yaml:"say" json:"say"`
}

// A HandlingRule is how information of one category may be handled.
type HandlingRule struct {
	Category string  `yaml:"category" json:"category"`
	Name     Say     `yaml:"name" json:"name"`
	Class    string  `yaml:"class" json:"class"`
	Store    May     `yaml:"store" json:"store"`
	Send     May     `yaml:"send" json:"send"`
	Print    May     `yaml:"print" json:"print"`
	CarryOut May     `yaml:"carry_out" json:"carry_out"`
	Retain   Retain  `yaml:"retain" json:"retain"`
	Destroy  Destroy `yaml:"destroy" json:"destroy"`
	OffSite  May     `yaml:"off_site" json:"off_site"`

	Missing bool `yaml:"-" json:"missing,omitempty"` // nobody has said: the strictest
}

// May says whether something may be done.
type May struct {
	May  string   `yaml:"may" json:"may"` // "allowed", "conditions", "forbidden"
	With []string `yaml:"with" json:"with,omitempty"`
	Say  Say      `yaml:"say" json:"say,omitzero"`
}

// Retain says for how many days something may be kept.
type Retain struct {
	Days   int `yaml:"days" json:"days"`     // where it belongs, after Say
	Copies int `yaml:"copies" json:"copies"` // what was taken out, from then on; 0: not beyond the day
	Say    Say `yaml:"say" json:"say,omitzero"`
}

// Destroy says how something is destroyed.
type Destroy struct {
	How       []string `yaml:"how" json:"how"`
	Witnesses int      `yaml:"witnesses" json:"witnesses"` // who see it, apart from whoever does it
	Say       Say      `yaml:"say" json:"say,omitzero"`
}

// What May.May may be, from the mildest on.
const (
	Allowed    = "allowed"
	Conditions = "conditions"
	Forbidden  = "forbidden"
)

// What the gate can see to outside the office. Any other condition there would be
// a promise that nobody keeps.
var offSiteConditions = []string{"masked", "second_person", "permit", "logged", "encrypted"}

const (
	maxHandling  = 128 << 10 // bytes
	mostKeepDays = 36_600
)

var handlingCode = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// ReadHandling reads handling rules, and names everything that is wrong.
func ReadHandling(text []byte) (*Handling, error) {
	if len(text) > maxHandling {
		return nil, fmt.Errorf("reading handling rules: %d bytes; the limit is %d", len(text), maxHandling)
	}
	// As it will stand in the document that people approve.
	text = append(bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))), '\n')
	h := &Handling{Text: text, SHA256: sha256.Sum256(text)}
	if err := sheet.Read(text, h); err != nil {
		return nil, fmt.Errorf("reading handling rules: %w", err)
	}
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("handling rules: "+format, args...))
	}
	if h.Edition == "" || len(h.Edition) > 40 || strings.ContainsFunc(h.Edition, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '`' }) {
		wrong("edition %q: give one, of 40 plain characters at most", h.Edition)
	}
	if _, err := time.Parse(time.DateOnly, h.Effective); err != nil {
		wrong("effective %q: write a day such as 2026-11-01", h.Effective)
	}
	for _, list := range []struct {
		name string
		all  []Coded
	}{{"classes", h.Classes}, {"conditions", h.Conditions}, {"methods", h.Methods}} {
		if len(list.all) == 0 {
			wrong("%s: there are none", list.name)
		}
		seen := map[string]bool{}
		for _, c := range list.all {
			if !handlingCode.MatchString(c.ID) || seen[c.ID] {
				wrong("%s: %q: use small letters, digits and underscores, each name once", list.name, c.ID)
			}
			seen[c.ID] = true
			if !c.Say.whole() {
				wrong("%s: %s: say it in English and Japanese, in one line each", list.name, c.ID)
			}
		}
	}
	seen := map[string]bool{}
	for i := range h.Rules {
		r := &h.Rules[i]
		if _, err := sekisho.ParseCategory(r.Category); err != nil {
			wrong("%w", err)
			continue
		}
		if seen[r.Category] {
			wrong("category %s is there twice", r.Category)
		}
		seen[r.Category] = true
		h.checkRule(r, func(format string, args ...any) { wrong("category "+r.Category+": "+format, args...) })
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return h, nil
}

func (s Say) whole() bool {
	fits := func(t string) bool {
		return t != "" && len(t) <= 300 && !strings.ContainsFunc(t, func(r rune) bool { return r < ' ' || r == '|' || r == '`' || r == 0x7f })
	}
	return fits(s.En) && fits(s.Ja)
}

func (h *Handling) checkRule(r *HandlingRule, wrong func(string, ...any)) {
	known := func(list []Coded, id string) bool {
		return slices.ContainsFunc(list, func(c Coded) bool { return c.ID == id })
	}
	if !r.Name.whole() || len(r.Name.En) > 120 || len(r.Name.Ja) > 120 {
		wrong("name: give it in English and Japanese, in one line of 120 bytes at most each")
	}
	if !known(h.Classes, r.Class) {
		wrong("class %q is none of the classes", r.Class)
	}
	for _, a := range r.Acts() {
		m := a.May
		switch m.May {
		case Allowed, Forbidden:
			if len(m.With) > 0 {
				wrong("%s: %s has no conditions: write may: conditions", a.Act, m.May)
			}
		case Conditions:
			if len(m.With) == 0 {
				wrong("%s: may: conditions, and none is named in with", a.Act)
			}
		default:
			wrong("%s: may: %q: use allowed, conditions or forbidden", a.Act, m.May)
		}
		for _, w := range m.With {
			switch {
			case !known(h.Conditions, w):
				wrong("%s: %q is none of the conditions", a.Act, w)
			case a.Act == "off_site" && !slices.Contains(offSiteConditions, w):
				wrong("off_site: the gate cannot see to %q: use %s", w, strings.Join(offSiteConditions, ", "))
			}
		}
		if m.Say != (Say{}) && !m.Say.whole() {
			wrong("%s: say: in English and Japanese, in one line each", a.Act)
		}
	}
	if r.Retain.Days < 0 || r.Retain.Copies < 0 || r.Retain.Days > mostKeepDays || r.Retain.Copies > mostKeepDays {
		wrong("retain: days and copies are 0 to %d days", mostKeepDays)
	}
	for _, say := range []Say{r.Retain.Say, r.Destroy.Say} {
		if say != (Say{}) && !say.whole() {
			wrong("retain, destroy: say: in English and Japanese, in one line each")
		}
	}
	if len(r.Destroy.How) == 0 || r.Destroy.Witnesses < 0 || r.Destroy.Witnesses > 5 {
		wrong("destroy: name how, and 0 to 5 witnesses")
	}
	for _, how := range r.Destroy.How {
		if !known(h.Methods, how) {
			wrong("destroy: %q is none of the methods", how)
		}
	}
}

// An Act is one of the things that are done with information.
type Act struct {
	Act string
	May May
}

// Acts are those that are allowed or not, in the order in which they are shown.
func (r *HandlingRule) Acts() []Act {
	return []Act{{"store", r.Store}, {"send", r.Send}, {"print", r.Print}, {"carry_out", r.CarryOut}, {"off_site", r.OffSite}}
}

// Rule is the one of a category. If nobody has made one, it is the strictest,
// and Missing.
func (h *Handling) Rule(c sekisho.Categories) HandlingRule {
	name := c.String()
	if h != nil {
		for _, r := range h.Rules {
			if r.Category == name {
				return r
			}
		}
	}
	return h.strictest(name)
}

func (h *Handling) strictest(category string) HandlingRule {
	no := May{May: Forbidden}
	r := HandlingRule{Category: category, Name: Say{category, category}, Class: "strict", Store: no, Send: no, Print: no, CarryOut: no, OffSite: no, Missing: true}
	if h != nil {
		r.Class = h.Classes[len(h.Classes)-1].ID
		for _, m := range h.Methods {
			r.Destroy.How = append(r.Destroy.How, m.ID)
		}
		for _, other := range h.Rules {
			r.Destroy.Witnesses = max(r.Destroy.Witnesses, other.Destroy.Witnesses)
		}
	}
	r.Destroy.Witnesses = max(r.Destroy.Witnesses, 2)
	return r
}

// Strictest are rules by which nothing may be done: those that hold while nobody
// has approved any.
func (h *Handling) Strictest() *Handling {
	s := *h
	s.Rules = nil
	return &s
}

// Unruled are those of the categories of which the rules do not speak.
func (h *Handling) Unruled(used sekisho.Categories) (none sekisho.Categories) {
	for _, c := range sekisho.AllCategories() {
		if used&c != 0 && h.Rule(c).Missing {
			none |= c
		}
	}
	return none
}

// Used are the categories that the catalog's columns have. A table that lists no
// columns, or a column that nobody classified, is unclassified.
func (c Config) Used() (used sekisho.Categories) {
	for _, t := range c.Tables {
		for _, word := range t.Columns {
			cat, err := category(word)
			if err != nil {
				cat = sekisho.Unclassified
			}
			used |= cat
		}
	}
	return used
}

// SayOf is what the words say of a code; the code itself if there are none.
func SayOf(list []Coded, id string) Say {
	for _, c := range list {
		if c.ID == id {
			return c.Say
		}
	}
	return Say{id, id}
}

// Class is the strictest class of some categories, and Copies for how many days
// a copy of them may be kept; ok is false if there are none.
func (h *Handling) Class(of sekisho.Categories) (class string, copies int, ok bool) {
	at := -1
	for _, c := range sekisho.AllCategories() {
		if of&c == 0 {
			continue
		}
		r := h.Rule(c)
		if n := slices.IndexFunc(h.Classes, func(c Coded) bool { return c.ID == r.Class }); n > at {
			at, class = n, r.Class
		}
		if !ok || r.Retain.Copies < copies {
			copies = r.Retain.Copies
		}
		ok = true
	}
	return class, copies, ok
}

// Label is what a file bears that leaves the house with data of some categories,
// taken at a moment. Number, which is the entry's, is 0 yet. What holds nobody's
// data has the mildest class and no end.
func (h *Handling) Label(what, form string, of sekisho.Categories, at sekisho.Time, by uint32) *sekisho.Labelled {
	l := &sekisho.Labelled{What: what, Form: form, Categories: of, Class: h.Classes[0].ID, Edition: h.Edition, SHA256: h.SHA256, By: by}
	if class, copies, ok := h.Class(of); ok {
		l.Class = class
		l.Until = at + sekisho.Time(max(copies, 1))*sekisho.Time(24*time.Hour/time.Microsecond)
	}
	return l
}
