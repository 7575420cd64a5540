// Package budget counts distinct customers: how many different ones a person, a
// terminal, a role or a purpose has read within a sliding window, and whether
// one more is too many.
//
// A Book is a view of the ledger, and the gate spends from it ahead: a customer
// is charged, in memory, before the row goes anywhere, and again when the entry
// that names the customer comes back from the ledger. Charging is adding to a
// set, so the second time changes nothing, and a restart, which folds the
// ledger, forgets nothing.
package budget

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config is the list of budgets. An access must be within each that applies to
// it.
type Config []Budget

// Budget is how many different customers may be read within a time.
type Budget struct {
	// Name stands in the ledger, in the client's error and on the console.
	Name string `yaml:"name"`
	// Who it applies to. What is not said is everybody's.
	Who Who `yaml:"who"`
	// Per says who shares one: principal (the default), endpoint, role, purpose,
	// several of them for each combination, or all for one that everybody shares.
	Per []string `yaml:"per"`
	// Subject is whose data, a subject of the catalog. Default: each subject, with
	// a count of its own.
	Subject string `yaml:"subject"`
	// Customers is how many different ones.
	Customers uint32 `yaml:"customers"`
	// Within is the length of the sliding window, from 1m to 90d.
	Within Span `yaml:"within"`
	// AtEnd is cut (the default): the row of one customer more does not go out,
	// and the statement fails. Or alert: it goes on, and somebody is told.
	AtEnd string `yaml:"at_end"`
	// AnyRow is refuse (the default): a statement of which it is known before it
	// runs that it could be anybody's is refused. Or pass: it counts as one
	// customer.
	AnyRow string `yaml:"any_row"`
	// Warn is the share, in percent, from which on the budget is nearly used.
	// Default 80.
	Warn uint32 `yaml:"warn"`
	// Ask is whom to turn to, for the client's error: a name or a number.
	Ask string `yaml:"ask"`
}

// A Limit is a budget of a policy's rule: of each principal, for each subject.
type Limit struct {
	Customers uint64
	Within    time.Duration
}

// budget is the limit as a budget of the config would say it.
func (l Limit) budget() Budget {
	return Budget{
		Name: fmt.Sprintf("policy: %d in %s", l.Customers, Span(l.Within)), Per: []string{"principal"}, AtEnd: Cut, AnyRow: Refuse, Warn: 80,
		Customers: uint32(min(l.Customers, mostCustomers)), Within: min(max(Span(l.Within), shortest), longest),
	}
}

const mostCustomers = 1 << 30

// Who selects accesses. Each is a list of names, in which * stands for any
// letters; one of each list that is not empty must fit.
type Who struct {
	Principals []string `yaml:"principals"`
	Roles      []string `yaml:"roles"`
	Endpoints  []string `yaml:"endpoints"`
	Purposes   []string `yaml:"purposes"`
}

// The words of Budget.
const (
	Cut    = "cut"
	Alert  = "alert"
	Refuse = "refuse"
	Pass   = "pass"
)

// Span is a length of time, written as Go writes one (90s, 1h30m) or in days
// (30d).
type Span time.Duration

// UnmarshalText reads a span.
func (s *Span) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		var n int64
		if _, err := fmt.Sscanf(days+"\n", "%d\n", &n); err != nil || n < 0 || n > 36500 {
			return fmt.Errorf("%q is no length of time: write 10m, 24h or 30d", text)
		}
		*s = Span(n) * Span(24*time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no length of time: write 10m, 24h or 30d", text)
	}
	*s = Span(d)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Span) String() string {
	d := time.Duration(s)
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// The window is cut into as many steps as this, and slides by one step.
const steps = 60

const (
	shortest = Span(time.Minute)
	longest  = Span(90 * 24 * time.Hour)
)

// per words, in the order in which a holder is told.
var perWords = []string{"principal", "endpoint", "role", "purpose", "all"}

// Check fills in the defaults and names the first thing that is wrong.
func (c Config) Check() error {
	seen := map[string]bool{}
	for i := range c {
		b := &c[i]
		if b.Name == "" {
			return fmt.Errorf("budgets: the name of number %d is missing", i+1)
		}
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("budgets: %s: "+format, append([]any{b.Name}, args...)...)
		}
		if seen[b.Name] {
			return wrong("it stands there twice")
		}
		seen[b.Name] = true
		if len(b.Per) == 0 {
			b.Per = []string{"principal"}
		}
		for _, p := range b.Per {
			if !slices.Contains(perWords, p) {
				return wrong("per %q: use %s", p, strings.Join(perWords, ", "))
			}
			if p == "all" && len(b.Per) > 1 {
				return wrong("per all stands alone")
			}
		}
		if b.AtEnd == "" {
			b.AtEnd = Cut
		}
		if b.AnyRow == "" {
			b.AnyRow = Refuse
		}
		if b.Warn == 0 {
			b.Warn = 80
		}
		switch {
		case b.Customers == 0:
			return wrong("customers is missing: how many different ones, from 1 on")
		case b.Customers > mostCustomers:
			return wrong("customers %d: the most is %d", b.Customers, mostCustomers)
		case b.Within < shortest || b.Within > longest:
			return wrong("within %s: give from %s to %s", b.Within, shortest, longest)
		case b.AtEnd != Cut && b.AtEnd != Alert:
			return wrong("at_end %q: use cut or alert", b.AtEnd)
		case b.AnyRow != Refuse && b.AnyRow != Pass:
			return wrong("any_row %q: use refuse or pass", b.AnyRow)
		case b.Warn > 100:
			return wrong("warn %d: it is a share in percent, up to 100", b.Warn)
		}
		for _, list := range [][]string{b.Who.Principals, b.Who.Roles, b.Who.Endpoints, b.Who.Purposes} {
			if slices.Contains(list, "") {
				return wrong("who: an empty name fits nobody")
			}
		}
	}
	return nil
}

// Known says whether every subject that a budget names is one of these.
func (c Config) Known(subjects []string) error {
	for _, b := range c {
		if b.Subject != "" && !slices.Contains(subjects, b.Subject) {
			return errors.New("budgets: " + b.Name + ": subject " + b.Subject + " is none of the catalog's")
		}
	}
	return nil
}

// fits says whether a name is one of a list, an empty one of which fits all.
func fits(list []string, name string) bool {
	if len(list) == 0 {
		return true
	}
	return slices.ContainsFunc(list, func(pattern string) bool { return like(pattern, name) })
}

// like compares a name with a pattern in which * stands for any letters.
func like(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for _, p := range parts[1 : len(parts)-1] {
		at := strings.Index(name, p)
		if at < 0 {
			return false
		}
		name = name[at+len(p):]
	}
	return strings.HasSuffix(name, last)
}
