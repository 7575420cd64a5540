package law

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a limit does not hang on which zones a machine has installed

	"sekisho/sheet"
)

//go:embed rules
var shipped embed.FS

// Shipped is the rules that come with the program.
func Shipped() fs.FS {
	sub, err := fs.Sub(shipped, "rules")
	if err != nil {
		panic(err) // the directory is embedded under that name
	}
	return sub
}

// A Book is a set of rules that was read and found whole. It is not changed
// after Load and Set.
type Book struct {
	regimes    []*Regime
	calendars  map[string]*Calendar
	facts      []FactRule
	detectors  []DetectorRule
	disclaimer Words
}

// common is the file common.yaml.
type common struct {
	Disclaimer Words          `yaml:"disclaimer"`
	Facts      []FactRule     `yaml:"facts"`
	Detectors  []DetectorRule `yaml:"detectors"`
}

// Load reads rules from directories, usually Shipped and a company's own: in
// each common.yaml, calendars/*.yaml, and every other *.yaml as one edition of
// a regime. What a later directory calls by the same name (regime and edition,
// calendar, fact, detector) takes the place of an earlier one.
func Load(dirs ...fs.FS) (*Book, error) {
	b := &Book{calendars: map[string]*Calendar{}}
	for _, dir := range dirs {
		if err := b.read(dir); err != nil {
			return nil, fmt.Errorf("reading rules of law: %w", err)
		}
	}
	for _, r := range b.regimes {
		if err := r.check(b); err != nil {
			return nil, fmt.Errorf("reading rules of law: %w", err)
		}
	}
	for _, d := range b.detectors {
		if !slices.Contains(Bases(), d.Basis) {
			return nil, fmt.Errorf("reading rules of law: common.yaml: detector %s: basis %q is none of %v", d.Detector, d.Basis, Bases())
		}
	}
	slices.SortStableFunc(b.regimes, func(a, c *Regime) int {
		return cmp.Or(cmp.Compare(order(a.Jurisdiction), order(c.Jurisdiction)), cmp.Compare(a.Jurisdiction, c.Jurisdiction), cmp.Compare(a.ID, c.ID), cmp.Compare(a.From, c.From))
	})
	return b, nil
}

// order puts the nearest law first for whom this was built.
func order(jurisdiction string) int {
	for i, first := range []string{"JP", "EU", "GB"} {
		if jurisdiction == first {
			return i
		}
	}
	return 3
}

func (b *Book) read(dir fs.FS) error {
	return fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		read := func(into any) error {
			if err := sheet.Read(text, into); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
		switch {
		case name == "common.yaml":
			var c common
			if err := read(&c); err != nil {
				return err
			}
			if c.Disclaimer != (Words{}) {
				b.disclaimer = c.Disclaimer
			}
			b.facts = merge(b.facts, c.Facts, func(f FactRule) string { return f.ID })
			b.detectors = merge(b.detectors, c.Detectors, func(d DetectorRule) string { return d.Detector })
		case strings.HasPrefix(name, "calendars/"):
			c := &Calendar{file: name}
			if err := read(c); err != nil {
				return err
			}
			if err := c.build(); err != nil {
				return err
			}
			b.calendars[c.ID] = c
		default:
			r := &Regime{file: name}
			if err := read(r); err != nil {
				return err
			}
			b.regimes = merge(b.regimes, []*Regime{r}, func(r *Regime) string { return r.ID + "\n" + r.Edition })
		}
		return nil
	})
}

func merge[T any](list, more []T, id func(T) string) []T {
	for _, m := range more {
		at := slices.IndexFunc(list, func(x T) bool { return id(x) == id(m) })
		if at < 0 {
			list = append(list, m)
		} else {
			list[at] = m
		}
	}
	return list
}

// Set settles a parameter of a regime, such as prelim.first_day_inclusive of
// jp-appi, in all of its editions.
func (b *Book) Set(regime, parameter string, value bool) error {
	found := false
	for _, r := range b.regimes {
		if _, ok := r.Parameters[parameter]; ok && r.ID == regime {
			r.Parameters[parameter], found = value, true
		}
	}
	if !found {
		return fmt.Errorf("regime %q has no parameter %q", regime, parameter)
	}
	return nil
}

// Regimes lists every edition of every regime.
func (b *Book) Regimes() []*Regime { return b.regimes }

// Calendar gives a calendar by its name, or nil.
func (b *Book) Calendar(id string) *Calendar { return b.calendars[id] }

// Calendars lists their names.
func (b *Book) Calendars() (list []string) {
	for id := range b.calendars {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

// Facts lists every fact that rules can ask about.
func (b *Book) Facts() []FactRule { return b.facts }

// Fact gives one.
func (b *Book) Fact(id string) (FactRule, bool) {
	i := slices.IndexFunc(b.facts, func(f FactRule) bool { return f.ID == id })
	if i < 0 {
		return FactRule{}, false
	}
	return b.facts[i], true
}

// Detector says what an alert of a detector counts as. False: nobody has said,
// and it opens no clock by itself.
func (b *Book) Detector(name string) (DetectorRule, bool) {
	i := slices.IndexFunc(b.detectors, func(d DetectorRule) bool { return d.Detector == name })
	if i < 0 {
		return DetectorRule{}, false
	}
	return b.detectors[i], true
}

// Detectors lists them.
func (b *Book) Detectors() []DetectorRule { return b.detectors }

func (b *Book) has(id string) bool {
	return slices.ContainsFunc(b.regimes, func(r *Regime) bool { return r.ID == id })
}

func (b *Book) hasStep(id, step string) bool {
	return slices.ContainsFunc(b.regimes, func(r *Regime) bool { return r.ID == id && r.step(step) != nil })
}

// editions gives the edition of each regime that decides about a clock that
// starts at a time: the one in force on that day. Where none was, it is the
// newest with newest, else the first one to come into force later, or the last
// that was: so that nobody takes silence for "no duty".
func (b *Book) editions(at time.Time, newest bool) (list []*Regime, was []bool) {
	for i := 0; i < len(b.regimes); {
		j := i + 1
		for j < len(b.regimes) && b.regimes[j].ID == b.regimes[i].ID {
			j++
		}
		all := b.regimes[i:j] // ascending by From
		pick, in := all[len(all)-1], false
		for _, r := range slices.Backward(all) {
			if inForce(r.From, r.To, dayOf(at, r.zone)) {
				pick, in = r, true
				break
			}
		}
		if !in && !newest {
			for _, r := range all {
				if from, err := parseDay(r.From); err == nil && dayOf(at, r.zone).Before(from) {
					pick = r
					break
				}
			}
		}
		list, was = append(list, pick), append(was, in)
		i = j
	}
	return list, was
}
