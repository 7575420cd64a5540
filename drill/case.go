package drill

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho/console"
	"sekisho/sheet"
	"sekisho/watch"
)

// A Case is an exercise as a YAML file: what is put before the people, and
// when. docs/drills.md explains its keys.
type Case struct {
	Name            string         `yaml:"case"`
	Title           Saying         `yaml:"title"`
	Begins          string         `yaml:"begins"` // RFC 3339
	Hostile         []string       `yaml:"hostile"`
	Servers         []watch.Server `yaml:"servers"`
	Domains         []string       `yaml:"domains"`
	SharedMailboxes []string       `yaml:"shared_mailboxes"`
	Injects         []Inject       `yaml:"injects"`
	Expect          Expect         `yaml:"expect"`

	begins time.Time
	text   []byte
}

// Saying is a text in two languages; one is enough.
type Saying struct {
	En string `yaml:"en"`
	Ja string `yaml:"ja"`
}

func (s Saying) in(lang string) string {
	if lang == "ja" && s.Ja != "" || s.En == "" {
		return s.Ja
	}
	return s.En
}

// Inject is one thing that happens.
type Inject struct {
	After  string           `yaml:"after"`  // from the beginning, such as 90m or 26h
	Tell   Saying           `yaml:"tell"`   // what the people are told
	Source string           `yaml:"source"` // who reports the events
	Events []map[string]any `yaml:"events"` // OCSF; time and metadata are filled in
	Copy   *Copying         `yaml:"copy"`   // somebody copies bookings out
}

// Copying is a read through the gate.
type Copying struct {
	Account  string  `yaml:"account"`
	Endpoint string  `yaml:"endpoint"`
	Share    float64 `yaml:"share"` // of the bookings
}

// Expect says how long each step may take, from the beginning of the case.
type Expect struct {
	Noticed   string `yaml:"noticed"`
	Decided   string `yaml:"decided"`
	Contained string `yaml:"contained"`
	Counted   string `yaml:"counted"`
	Reported  string `yaml:"reported"`
}

//go:embed cases/*.yaml
var shippedCases embed.FS

// Cases lists the cases that can be run as exercises.
func Cases() (list []string) {
	files, _ := shippedCases.ReadDir("cases")
	for _, f := range files {
		list = append(list, strings.TrimSuffix(f.Name(), path.Ext(f.Name())))
	}
	return list
}

// ShippedCase is one of Cases.
func ShippedCase(name string) (*Case, error) {
	text, err := shippedCases.ReadFile("cases/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no case called %q: there are %s; or name a YAML file", name, strings.Join(Cases(), ", "))
	}
	return ReadCase(text)
}

// The most that a case may hold.
const (
	mostCase    = 1 << 20 // bytes
	mostInjects = 1000
)

var caseName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// ReadCase reads a case and names its first mistake.
func ReadCase(text []byte) (*Case, error) {
	if len(text) > mostCase {
		return nil, fmt.Errorf("a case has at most %d bytes", mostCase)
	}
	c := &Case{text: text}
	if err := sheet.Read(text, c); err != nil {
		return nil, fmt.Errorf("reading the case: %w", err)
	}
	var err error
	switch {
	case !caseName.MatchString(c.Name):
		return nil, errors.New("the case's name (case:) has small letters, digits and hyphens")
	case len(c.Injects) == 0 && c.Name != Jtb2016, len(c.Injects) > mostInjects:
		return nil, fmt.Errorf("case %s: it has 1 to %d injects", c.Name, mostInjects)
	}
	if c.begins, err = time.Parse(time.RFC3339, c.Begins); err != nil {
		return nil, fmt.Errorf("case %s: begins is a time such as 2016-03-15T10:00:00+09:00", c.Name)
	}
	last := time.Duration(0)
	for i, in := range c.Injects {
		after, err := time.ParseDuration(in.After)
		switch {
		case err != nil || after < last:
			return nil, fmt.Errorf("case %s: inject %d: after is a time such as 90m, not before the inject above it", c.Name, i+1)
		case in.Tell == (Saying{}) && len(in.Events) == 0 && in.Copy == nil:
			return nil, fmt.Errorf("case %s: inject %d tells nothing and does nothing", c.Name, i+1)
		case len(in.Events) > 0 && in.Source == "":
			return nil, fmt.Errorf("case %s: inject %d: who reports the events? source is missing", c.Name, i+1)
		case in.Copy != nil && (in.Copy.Share <= 0 || in.Copy.Share > 1 || in.Copy.Account != reporting && !strings.HasPrefix(in.Copy.Account, "agent-") || in.Copy.Endpoint == ""):
			return nil, fmt.Errorf("case %s: inject %d: a copy is by %s or agent-1 to agent-%d, from an endpoint, of a share from 0 to 1", c.Name, i+1, reporting, agencyPCs)
		}
		last = after
	}
	for _, s := range c.Expect.all() {
		if s.within != "" {
			if _, err := time.ParseDuration(s.within); err != nil {
				return nil, fmt.Errorf("case %s: expect: %s is a time such as 4h", c.Name, s.what)
			}
		}
	}
	w := watch.Config{Servers: c.Servers}
	return c, w.Check()
}

type expectation struct{ what, within string }

func (e Expect) all() []expectation {
	return []expectation{{"noticed", e.Noticed}, {"decided", e.Decided}, {"contained", e.Contained}, {"counted", e.Counted}, {"reported", e.Reported}}
}

// stage is where the case is played.
func (c *Case) stage(conf Config) (*travel, error) {
	if c.Name == Jtb2016 {
		return newTravel(conf), nil // its beats are in code: they follow the seed
	}
	s := &travel{Config: conf, figures: newJtbFigures(conf.Seed, conf.Members), cast: newJtbCast(conf.Seed), clock: &clock{at: c.begins.Add(-time.Hour)}}
	s.setting = setting{c.Name, c.Hostile, c.Servers, c.Domains, c.SharedMailboxes, nil}
	sources := map[string]bool{}
	for i := range c.Injects {
		in := &c.Injects[i]
		after, _ := time.ParseDuration(in.After) // ReadCase has seen it
		at := c.begins.Add(after)
		b := beat{at: at, source: in.Source, told: in.Tell}
		if in.Source != "" {
			sources[in.Source] = true
		}
		for _, e := range in.Events {
			made := event(maps.Clone(e))
			made["time"] = at.UnixMilli()
			b.events = append(b.events, made)
		}
		if in.Copy != nil {
			account := in.Copy.Account
			if n := 0; strings.HasPrefix(account, "agent-") {
				if _, err := fmt.Sscanf(account, "agent-%d", &n); err != nil || n < 1 || n > agencyPCs {
					return nil, fmt.Errorf("inject %d: there are agent-1 to agent-%d", i+1, agencyPCs)
				}
				account = agent(n - 1)
			}
			until := bookingNo(int(float64(s.figures.rows) * in.Copy.Share))
			d := desk{account, in.Copy.Endpoint, "psql"}
			b.do = func(ctx context.Context) error {
				_, err := s.copy(ctx, d, 0, until, nil)
				return err
			}
		}
		s.add(b)
	}
	s.setting.sources = slices.Sorted(maps.Keys(sources))
	return s, nil
}

// tell is what a beat is; empty for everyday matters.
func (b *beat) tell(w *console.Teller) string {
	if b.code == "" {
		return b.told.in(w.Lang())
	}
	return Event{Code: b.code, Facts: b.facts}.tell(w)
}

// hidden: the people are not told of it, and have to find out.
func (b *beat) hidden() bool { return b.code != "" && !b.open }
