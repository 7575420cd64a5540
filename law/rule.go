package law

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status says how sure the text of a rule is.
type Status string

const (
	StatusConfirmed   Status = "confirmed"   // read in the primary text, or in two independent pages
	StatusOneSource   Status = "one source"  // one page says so
	StatusUnconfirmed Status = "unconfirmed" // sources differ, or none was found: nothing is computed from it
)

// A Regime is one edition of one body of duties: a file of rules/.
type Regime struct {
	ID           string `yaml:"regime" json:"regime"` // such as jp-appi; editions share it
	Name         Words  `yaml:"name" json:"name"`
	Jurisdiction string `yaml:"jurisdiction" json:"jurisdiction"` // ISO 3166, or EU
	Edition      string `yaml:"edition" json:"edition"`           // of the text
	// From and To are the days between which it is in force, both included, as
	// 2022-04-01. Empty: no source was read for it, and it is not bounded.
	From     string `yaml:"from" json:"from,omitempty"`
	To       string `yaml:"to" json:"to,omitempty"`
	Zone     string `yaml:"zone" json:"zone"`                   // in which its days are counted
	Calendar string `yaml:"calendar" json:"calendar,omitempty"` // of its holidays, if they matter
	Status   Status `yaml:"status" json:"status"`
	Source   string `yaml:"source" json:"source"`
	Note     Words  `yaml:"note" json:"note,omitzero"`
	// Disclaimer; empty takes the one of common.yaml.
	Disclaimer Words `yaml:"disclaimer" json:"disclaimer"`

	// Residents and Established are the places that make it apply: where the people
	// live, or where the company is established. ISO 3166 codes; a country's takes
	// in its parts.
	Residents   []string `yaml:"residents" json:"residents,omitempty"`
	Established []string `yaml:"established" json:"established,omitempty"`
	// Anywhere: no place decides, only its triggers.
	Anywhere bool `yaml:"anywhere" json:"anywhere,omitempty"`

	// Parameters that a company may settle otherwise, with their default.
	Parameters map[string]bool `yaml:"parameters" json:"parameters,omitempty"`

	Triggers   []Trigger      `yaml:"triggers" json:"triggers"`
	Exempt     []Exemption    `yaml:"exempt" json:"exempt,omitempty"`
	Clocks     []ClockRule    `yaml:"clocks" json:"clocks"`
	Recipients []RecipientRow `yaml:"recipients" json:"recipients,omitempty"`
	Items      []Item         `yaml:"items" json:"items,omitempty"`

	zone *time.Location
	file string
}

// A Trigger makes a regime apply when all of its conditions hold.
type Trigger struct {
	ID      string      `yaml:"id" json:"id"`
	Article string      `yaml:"article" json:"article,omitempty"`
	Text    Words       `yaml:"text" json:"text"`
	When    []Condition `yaml:"when" json:"when"`
}

// An Exemption lifts the duties when all of its conditions hold.
type Exemption struct {
	ID      string      `yaml:"id" json:"id"`
	Article string      `yaml:"article" json:"article,omitempty"`
	Text    Words       `yaml:"text" json:"text"`
	When    []Condition `yaml:"when" json:"when"`
	Status  Status      `yaml:"status" json:"status,omitempty"`
}

// A ClockRule is one duty with its limit.
type ClockRule struct {
	Step    string      `yaml:"step" json:"step"` // preliminary, final, people, …
	Article string      `yaml:"article" json:"article"`
	Name    Words       `yaml:"name" json:"name"`
	To      string      `yaml:"to" json:"to"`                 // whose row of Recipients: authority, people, …
	When    []Condition `yaml:"when" json:"when,omitempty"`   // beyond the regime's triggers
	Start   string      `yaml:"start" json:"start"`           // any, certain, fact:NAME, sent:STEP
	Limit   string      `yaml:"limit" json:"limit"`           // fixed, prompt (no number in the text), unknown (not settled yet, or sources differ)
	Count   string      `yaml:"count" json:"count,omitempty"` // inclusive (the first day is day 1), elapsed, or "inclusive if PARAMETER"
	Window  int         `yaml:"window" json:"window,omitempty"`
	Amount  int         `yaml:"amount" json:"amount,omitempty"`
	Unit    string      `yaml:"unit" json:"unit,omitempty"` // hours, days, business_days, months
	Instead []Instead   `yaml:"instead" json:"instead,omitempty"`
	Roll    bool        `yaml:"roll" json:"roll,omitempty"`           // a limit on a closed day of the calendar moves on
	Advice  bool        `yaml:"advice" json:"advice,omitempty"`       // a guideline's number, not the law's
	MetBy   []string    `yaml:"met_by" json:"met_by,omitempty"`       // other steps that fulfil it
	Exempts []string    `yaml:"exempt_by" json:"exempt_by,omitempty"` // steps that lift it
	Items   []string    `yaml:"items" json:"items,omitempty"`         // ids of Items; empty: all
	Status  Status      `yaml:"status" json:"status,omitempty"`       // where it differs from the regime's
	Text    Words       `yaml:"text" json:"text,omitzero"`            // the gist
}

// Instead is another amount where a trigger holds.
type Instead struct {
	Trigger string `yaml:"trigger" json:"trigger"`
	Amount  int    `yaml:"amount" json:"amount"`
}

// A RecipientRow says to whom a duty is owed, by industry and day.
type RecipientRow struct {
	To       string `yaml:"to" json:"to"`
	Industry string `yaml:"industry" json:"industry,omitempty"` // empty: any that has no row of its own
	From     string `yaml:"from" json:"from,omitempty"`
	Until    string `yaml:"until" json:"until,omitempty"`
	Name     Words  `yaml:"name" json:"name"`
	Via      string `yaml:"via" json:"via,omitempty"`
	Status   Status `yaml:"status" json:"status"`
	Note     Words  `yaml:"note" json:"note,omitzero"`
}

// An Item is something that a report must say.
type Item struct {
	ID     string `yaml:"id" json:"id"`
	Name   Words  `yaml:"name" json:"name"`
	Detail Words  `yaml:"detail" json:"detail,omitzero"`
}

// A FactRule is a fact that rules ask about.
type FactRule struct {
	ID       string `yaml:"id" json:"id"`
	Question Words  `yaml:"question" json:"question"`
	Source   string `yaml:"source" json:"source,omitempty"`
}

// A DetectorRule says what an alert of a detector counts as.
type DetectorRule struct {
	Detector string `yaml:"detector" json:"detector"`
	Basis    string `yaml:"basis" json:"basis"`
	// Opens: an alert alone opens a provisional clock. Otherwise it waits for a
	// person, or for another alert.
	Opens bool  `yaml:"opens" json:"opens"`
	Why   Words `yaml:"why" json:"why"`
}

// A Condition is one of
//
//	NAME                  a fact, as rules/common.yaml lists them
//	people > 1000         at most so many people are concerned, counted by this regime
//	category payment      data of that category may be concerned
//	industry aviation     what the company does
//	statutory             the data is of the kinds that the statute lists (counsel's answer)
//
// each also with "not " before it. An unknown fact makes it unknown.
type Condition struct {
	text   string
	negate bool
	kind   string // "fact", "people", "category", "industry", "statutory"
	name   string
	over   uint64
}

func (c Condition) String() string { return c.text }

// MarshalText writes the condition as it stands in the file.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.text), nil }

// UnmarshalText reads one.
func (c *Condition) UnmarshalText(b []byte) error {
	*c = Condition{text: string(b)}
	rest, negated := strings.CutPrefix(c.text, "not ")
	c.negate = negated
	words := strings.Fields(rest)
	switch {
	case len(words) == 3 && words[0] == "people" && (words[1] == ">" || words[1] == ">="):
		if _, err := fmt.Sscanf(words[2], "%d", &c.over); err != nil || fmt.Sprint(c.over) != words[2] || words[1] == ">=" && c.over == 0 {
			return fmt.Errorf("condition %q: %q is no number of people", c.text, words[2])
		}
		if c.kind = "people"; words[1] == ">=" {
			c.over--
		}
	case len(words) == 2 && (words[0] == "category" || words[0] == "industry"):
		c.kind, c.name = words[0], words[1]
	case len(words) == 1 && words[0] == "statutory":
		c.kind = "statutory"
	case len(words) == 1:
		c.kind, c.name = "fact", words[0]
	default:
		return fmt.Errorf("condition %q is none: write a fact, people > N, category NAME, industry NAME or statutory", c.text)
	}
	return nil
}

// parseDay reads 2022-04-01.
func parseDay(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, fmt.Errorf("%q is no day: write it as 2022-04-01", s)
	}
	return t, nil
}

// inForce: the day (in UTC's clothes) is between from and to.
func inForce(from, to string, day time.Time) bool {
	if t, err := parseDay(from); from != "" && (err != nil || day.Before(t)) {
		return false
	}
	if t, err := parseDay(to); to != "" && (err != nil || day.After(t)) {
		return false
	}
	return true
}

func (r *Regime) step(name string) *ClockRule {
	for i := range r.Clocks {
		if r.Clocks[i].Step == name {
			return &r.Clocks[i]
		}
	}
	return nil
}

// check names the first mistake, and fills in what the file leaves out.
func (r *Regime) check(b *Book) (err error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: regime %s, edition %q: %s", r.file, r.ID, r.Edition, fmt.Sprintf(format, args...))
	}
	if r.ID == "" || r.Edition == "" || r.Source == "" || r.Name.EN == "" || r.Name.JA == "" || r.Jurisdiction == "" {
		return wrong("regime, name (en and ja), jurisdiction, edition and source must be there")
	}
	if r.zone, err = time.LoadLocation(r.Zone); err != nil || r.Zone == "" {
		return wrong("zone %q is unknown", r.Zone)
	}
	for _, day := range []string{r.From, r.To} {
		if _, err := parseDay(day); day != "" && err != nil {
			return wrong("%v", err)
		}
	}
	if r.Calendar != "" && b.calendars[r.Calendar] == nil {
		return wrong("there is no calendar %q", r.Calendar)
	}
	if err := r.Status.check(); err != nil {
		return wrong("%v", err)
	}
	if r.Disclaimer == (Words{}) {
		r.Disclaimer = b.disclaimer
	}
	if r.Anywhere == (len(r.Residents)+len(r.Established) > 0) {
		return wrong("residents and established say where it applies; anywhere, that only its triggers do")
	}
	conditions := []Condition{}
	for _, t := range r.Triggers {
		conditions = append(conditions, t.When...)
	}
	for _, x := range r.Exempt {
		conditions = append(conditions, x.When...)
	}
	for i := range r.Clocks {
		c := &r.Clocks[i]
		conditions = append(conditions, c.When...)
		if c.Status == "" {
			c.Status = r.Status
		}
		if err := r.checkClock(c, b); err != nil {
			return wrong("clock %s: %v", c.Step, err)
		}
	}
	for _, c := range conditions {
		if _, ok := b.Fact(c.name); c.kind == "fact" && !ok {
			return wrong("no fact is called %q: common.yaml lists them", c.name)
		}
	}
	for _, row := range r.Recipients {
		if err := row.Status.check(); err != nil {
			return wrong("recipient %s: %v", row.Name.EN, err)
		}
	}
	return nil
}

func (s Status) check() error {
	if s != StatusConfirmed && s != StatusOneSource && s != StatusUnconfirmed {
		return fmt.Errorf("status %q: it is confirmed, one source or unconfirmed", s)
	}
	return nil
}

func (r *Regime) checkClock(c *ClockRule, b *Book) error {
	if c.Step == "" || c.Article == "" || c.Name.EN == "" || c.Name.JA == "" {
		return fmt.Errorf("step, article and name (en and ja) must be there")
	}
	kind, of, _ := strings.Cut(c.Start, ":")
	_, known := b.Fact(of)
	if !(kind == "any" || kind == "certain" || kind == "fact" && known || kind == "sent" && r.step(of) != nil) {
		return fmt.Errorf("start %q: it is any, certain, fact:NAME or sent:STEP", c.Start)
	}
	if err := c.Status.check(); err != nil {
		return err
	}
	for _, s := range slices.Concat(c.MetBy, c.Exempts) {
		if r.step(s) == nil {
			return fmt.Errorf("there is no step %q", s)
		}
	}
	for _, x := range c.Instead {
		if x.Amount <= 0 || !slices.ContainsFunc(r.Triggers, func(t Trigger) bool { return t.ID == x.Trigger }) {
			return fmt.Errorf("instead: an amount for trigger %q: there is no such trigger, or no amount", x.Trigger)
		}
	}
	for _, id := range c.Items {
		if !slices.ContainsFunc(r.Items, func(i Item) bool { return i.ID == id }) {
			return fmt.Errorf("there is no item %q", id)
		}
	}
	switch {
	case c.Limit == "prompt" || c.Limit == "unknown":
		if c.Amount != 0 || c.Window != 0 {
			return fmt.Errorf("limit %s has no amount", c.Limit)
		}
		return nil
	case c.Limit != "fixed":
		return fmt.Errorf("limit %q: it is fixed, prompt or unknown", c.Limit)
	case c.Status == StatusUnconfirmed:
		return fmt.Errorf("nothing is computed from an unconfirmed amount: its limit is unknown")
	case c.Amount <= 0 || c.Window < 0 || c.Window > c.Amount:
		return fmt.Errorf("amount must be a number above 0, and window none above it")
	case !slices.Contains([]string{"hours", "days", "business_days", "months"}, c.Unit):
		return fmt.Errorf("unit %q: it is hours, days, business_days or months", c.Unit)
	case (c.Roll || c.Unit == "business_days") && r.Calendar == "":
		return fmt.Errorf("it needs a calendar")
	case c.Window != 0 && c.Unit != "days":
		return fmt.Errorf("a window is counted in days")
	}
	parameter, hangs := strings.CutPrefix(c.Count, "inclusive if ")
	if _, ok := r.Parameters[parameter]; hangs && !ok {
		return fmt.Errorf("there is no parameter %q", parameter)
	}
	if !hangs && c.Count != "inclusive" && c.Count != "elapsed" {
		return fmt.Errorf("count %q: it is inclusive, elapsed or inclusive if PARAMETER", c.Count)
	}
	if c.Unit != "days" && c.Count != "elapsed" {
		return fmt.Errorf("%s are counted elapsed", c.Unit)
	}
	return nil
}
