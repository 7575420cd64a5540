package contain

import (
	"errors"
	"fmt"
	"net/netip"
	glob "path"
	"sekisho"
	"slices"
	"time"
)

// Config says how containment is ordered here, and what is spared.
type Config struct {
	// ApproveAbove is how many terminals one person may cut off without another's
	// approval. Default 0: every order needs two. An order that names people,
	// roles or tables always does.
	ApproveAbove int `yaml:"approve_above"`
	// Lasts is how long an order lasts if it does not say so. Default 24h.
	Lasts time.Duration `yaml:"lasts"`
	// Longest is the most that it may. Default 720h.
	Longest time.Duration `yaml:"longest"`
	// OnExpiry says what happens then: lift (the default), or keep: it stays in
	// force, with an alarm, until a person lifts it.
	OnExpiry string `yaml:"on_expiry"`
	// Warn is how long before its end an order's owner is warned. Default 2h.
	Warn time.Duration `yaml:"warn"`
	// Every is how often what is intended is compared with what is in force.
	// Default 3s; 8s at most.
	Every time.Duration `yaml:"every"`
	// Protected lists what stays out of every order, unless a named executive
	// orders it: flight operations, check-in, maintenance.
	Protected []Group `yaml:"protected"`
	// Executives are the console users who may order that.
	Executives []string `yaml:"executives"`
	// Responders are addresses and prefixes that are never cut: those from which
	// the incident is worked on.
	Responders []string `yaml:"responders"`
	// Reachable are addresses and prefixes outside that everybody keeps, such as a
	// mail provider's. What they hold can still leave by them.
	Reachable []string `yaml:"reachable"`
	// Businesses say which business stops where.
	Businesses []Business `yaml:"businesses"`
	// Contact is what somebody reads who is cut off: whom to ask.
	Contact string `yaml:"contact"`

	responders, reachable []netip.Prefix
}

// Group is a set of terminals, by patterns of their names (*, ?, [a-z]) and by
// addresses.
type Group struct {
	Name      string   `yaml:"name"`
	Endpoints []string `yaml:"endpoints"`
	Addresses []string `yaml:"addresses"`

	prefixes []netip.Prefix
}

// Business is what people do at some terminals.
type Business struct {
	Name string `yaml:"name"`
	// Endpoints are patterns of names of terminals at which it is done.
	Endpoints []string `yaml:"endpoints"`
	// Roles are those in whose hands it is, at whichever terminal.
	Roles []string `yaml:"roles"`
	// Stops says what does not work any more while it is cut off.
	Stops string `yaml:"stops"`
}

// Check fills in defaults and names the first mistake.
func (c *Config) Check() (err error) {
	for _, d := range []struct {
		at   *time.Duration
		name string
		is   time.Duration
	}{{&c.Lasts, "lasts", 24 * time.Hour}, {&c.Longest, "longest", 720 * time.Hour}, {&c.Warn, "warn", 2 * time.Hour}, {&c.Every, "every", 3 * time.Second}} {
		if *d.at < 0 {
			return fmt.Errorf("contain: %s: give a length of time, such as %v", d.name, d.is)
		}
		if *d.at == 0 {
			*d.at = d.is
		}
	}
	if c.Every > 8*time.Second {
		return fmt.Errorf("contain: every: %v is too long: what is taken away must be seen within 10s", c.Every)
	}
	if c.Lasts > c.Longest {
		return errors.New("contain: lasts is longer than longest")
	}
	switch c.OnExpiry {
	case "":
		c.OnExpiry = "lift"
	case "lift", "keep":
	default:
		return fmt.Errorf("contain: on_expiry %q: use lift or keep", c.OnExpiry)
	}
	if c.ApproveAbove < 0 {
		return errors.New("contain: approve_above: give a number of terminals")
	}
	if c.responders, err = sekisho.ParsePrefixes(c.Responders); err != nil {
		return fmt.Errorf("contain: responders: %w", err)
	}
	if c.reachable, err = sekisho.ParsePrefixes(c.Reachable); err != nil {
		return fmt.Errorf("contain: reachable: %w", err)
	}
	for i := range c.Protected {
		g := &c.Protected[i]
		if g.Name == "" || len(g.Endpoints)+len(g.Addresses) == 0 {
			return fmt.Errorf("contain: protected: number %d needs a name, and endpoints or addresses", i+1)
		}
		if g.prefixes, err = sekisho.ParsePrefixes(g.Addresses); err != nil {
			return fmt.Errorf("contain: protected: %s: %w", g.Name, err)
		}
		if err := patterns(g.Endpoints); err != nil {
			return fmt.Errorf("contain: protected: %s: %w", g.Name, err)
		}
	}
	for i, b := range c.Businesses {
		if b.Name == "" {
			return fmt.Errorf("contain: businesses: number %d has no name", i+1)
		}
		if err := patterns(b.Endpoints); err != nil {
			return fmt.Errorf("contain: businesses: %s: %w", b.Name, err)
		}
	}
	return nil
}

func patterns(list []string) error {
	for _, p := range list {
		if _, err := glob.Match(p, ""); err != nil {
			return fmt.Errorf("%q is no pattern of names: use * and ?", p)
		}
	}
	return nil
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := glob.Match(p, name)
		return ok
	})
}

// protects gives the group that spares a terminal; empty if none does.
func (c *Config) protects(endpoint string, at []netip.Prefix) string {
	for i := range c.Protected {
		g := &c.Protected[i]
		if matches(g.Endpoints, endpoint) || slices.ContainsFunc(at, func(a netip.Prefix) bool { return covered(g.prefixes, a) }) {
			return g.Name
		}
	}
	return ""
}
