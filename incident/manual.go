package incident

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho/sheet"
)

//go:embed manual.yaml playbooks/*.yaml
var shipped embed.FS

// Config is what a company says of its own people. The manual and the playbooks
// that sekisho ships stand in where it says nothing.
type Config struct {
	// Manual is a file that replaces the shipped manual: roles, severity, clocks,
	// the ladder, the list of facts and of decisions. "sekisho incident manual"
	// prints the one in force, to begin with.
	Manual string `yaml:"manual"`
	// Playbooks is a directory of *.yaml files that replaces the shipped
	// playbooks.
	Playbooks string `yaml:"playbooks"`
	// Roster names the accounts behind each role: first who holds it, then the
	// deputies in their order. Whoever takes a role in an incident goes before
	// the roster there.
	Roster map[string][]string `yaml:"roster"`
	// People says how to reach an account. It is shown in the incident room, and
	// stands in no entry.
	People map[string]Contact `yaml:"people"`
	// Ladder replaces the manual's: to whom an alert, an incident or a notice
	// goes that nobody acknowledged, and after what time. The last rung must be
	// an executive within 24h.
	Ladder []Rung `yaml:"ladder"`
}

// Contact is how to reach somebody.
type Contact struct {
	Name   string `yaml:"name"`    // as people call them
	NameJa string `yaml:"name_ja"` // the same on Japanese pages; default: name
	Phone  string `yaml:"phone"`   // by which they are reached at night
	Mail   string `yaml:"mail"`    // to which the ladder writes, by the relay of tell.mail
}

// In is the name in a language.
func (c Contact) In(lang string) string {
	if lang == "ja" && c.NameJa != "" {
		return c.NameJa
	}
	return c.Name
}

// Words are one text in both languages.
type Words struct {
	En string `yaml:"en" json:"en"`
	Ja string `yaml:"ja" json:"ja"`
}

// In is the text in a language; English for one that it does not have.
func (w Words) In(lang string) string {
	if lang == "ja" {
		return w.Ja
	}
	return w.En
}

func (w Words) both() bool {
	return strings.TrimSpace(w.En) != "" && strings.TrimSpace(w.Ja) != ""
}

// A Manual is the risk management manual as data.
type Manual struct {
	Edition   string         `yaml:"edition"`
	Effective string         `yaml:"effective"` // a date
	Sources   []string       `yaml:"sources"`
	Roles     []RoleDuty     `yaml:"roles"`
	Severity  Severity       `yaml:"severity"`
	Clocks    []ClockRule    `yaml:"clocks"`
	Ladder    []Rung         `yaml:"ladder"`
	Triage    []Rung         `yaml:"triage_ladder"` // counts from the acknowledgement, until somebody has judged
	Facts     []FactKind     `yaml:"facts"`
	Decisions []DecisionRule `yaml:"decisions"`

	Playbooks []*Playbook         `yaml:"-"` // by name
	Text      []byte              `yaml:"-"` // as it was read
	roster    map[string][]string `yaml:"-"`
	people    map[string]Contact  `yaml:"-"`
}

// RoleDuty is a role and what its holder does.
type RoleDuty struct {
	Key  string `yaml:"key"`
	Say  Words  `yaml:"say"`
	Duty Words  `yaml:"duty"`
}

// A ClockRule says within what time one moment must follow another.
type ClockRule struct {
	Key    string        `yaml:"key"`    // the mark that ends it
	From   string        `yaml:"from"`   // the mark that it counts from
	Within time.Duration `yaml:"within"` // 0: it is measured, and has no target
	Pause  bool          `yaml:"pause"`  // stands still between the facts hold_began and hold_ended
	Owner  string        `yaml:"owner"`  // a role
	Say    Words         `yaml:"say"`
}

// A Rung of a ladder: after so long it goes to the first, or the deputy, of a
// role.
type Rung struct {
	Role   string        `yaml:"role"`
	Deputy bool          `yaml:"deputy"`
	After  time.Duration `yaml:"after"`
}

// FactKind is something that can be known of an incident.
type FactKind struct {
	Key   string `yaml:"key"`
	Say   Words  `yaml:"say"`   // what is known, once it is
	Ask   Words  `yaml:"ask"`   // the question, while it is not; empty: nobody need know
	Owner string `yaml:"owner"` // the role that finds it out
}

// DecisionRule is a decision that comes up when its conditions hold.
type DecisionRule struct {
	Key     string   `yaml:"key"`
	Say     Words    `yaml:"say"`
	Why     Words    `yaml:"why"`
	Options []Words  `yaml:"options"`
	When    []string `yaml:"when"` // see Next
	Two     bool     `yaml:"two"`
	Owner   string   `yaml:"owner"`
}

// A Playbook is the tasks for one sort of incident.
type Playbook struct {
	Name      string         `yaml:"name"`
	Edition   string         `yaml:"edition"`
	Effective string         `yaml:"effective"`
	Sources   []string       `yaml:"sources"`
	Say       Words          `yaml:"say"`
	When      Words          `yaml:"when"` // for what it is
	Tasks     []PlaybookTask `yaml:"tasks"`

	Text   []byte   `yaml:"-"`
	SHA256 [32]byte `yaml:"-"`
}

// PlaybookTask is one task, with its owner and its clock.
type PlaybookTask struct {
	Key    string        `yaml:"key"`
	Role   string        `yaml:"role"`
	After  string        `yaml:"after"`  // a mark; default opened
	Within time.Duration `yaml:"within"` // 0: no deadline
	Say    Words         `yaml:"say"`
	How    Words         `yaml:"how"`
}

// Limits of what is read from files.
const (
	maxManual    = 1 << 20
	maxPlaybooks = 64
	maxTasks     = 200
)

// Read reads the manual and the playbooks, the company's own where the config
// names them, and checks that they fit together. Paths are absolute.
func Read(c Config) (*Manual, error) {
	text, err := shipped.ReadFile("manual.yaml")
	if c.Manual != "" {
		text, err = readFile(os.DirFS(filepath.Dir(c.Manual)), filepath.Base(c.Manual))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the manual: %w", err)
	}
	m := &Manual{Text: text, roster: c.Roster, people: c.People}
	if err := sheet.Read(text, m); err != nil {
		return nil, fmt.Errorf("reading the manual %s: %w", c.Manual, err)
	}
	var books fs.FS
	if books, err = fs.Sub(shipped, "playbooks"); c.Playbooks != "" {
		books = os.DirFS(c.Playbooks)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the playbooks: %w", err)
	}
	names, err := fs.Glob(books, "*.yaml")
	if err != nil || len(names) == 0 || len(names) > maxPlaybooks {
		return nil, fmt.Errorf("reading the playbooks in %q: %d files *.yaml, want 1 to %d", c.Playbooks, len(names), maxPlaybooks)
	}
	for _, name := range names {
		text, err := readFile(books, name)
		if err != nil {
			return nil, fmt.Errorf("reading the playbook %s: %w", name, err)
		}
		p, err := ReadPlaybook(text)
		if err != nil {
			return nil, fmt.Errorf("reading the playbook %s: %w", name, err)
		}
		if want := strings.TrimSuffix(name, ".yaml"); p.Name != want {
			return nil, fmt.Errorf("reading the playbook %s: its name is %q, want %q as its file is called", name, p.Name, want)
		}
		m.Playbooks = append(m.Playbooks, p)
	}
	if len(c.Ladder) > 0 {
		m.Ladder = c.Ladder
	}
	return m, m.check()
}

func readFile(in fs.FS, name string) ([]byte, error) {
	f, err := in.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxManual {
		return nil, fmt.Errorf("%d bytes, at most %d are read", info.Size(), maxManual)
	}
	return fs.ReadFile(in, name)
}

var keyPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// ReadPlaybook reads one playbook.
func ReadPlaybook(text []byte) (*Playbook, error) {
	if len(text) > maxManual {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(text), maxManual)
	}
	p := &Playbook{Text: text, SHA256: sha256.Sum256(text)}
	if err := sheet.Read(text, p); err != nil {
		return nil, err
	}
	switch {
	case !keyPattern.MatchString(p.Name):
		return nil, fmt.Errorf("the name %q is none: small letters, digits and _", p.Name)
	case p.Edition == "" || p.Effective == "" || len(p.Sources) == 0:
		return nil, errors.New("edition, effective or sources is missing")
	case !p.Say.both() || !p.When.both():
		return nil, errors.New("say and when need a text in both languages")
	case len(p.Tasks) == 0 || len(p.Tasks) > maxTasks:
		return nil, fmt.Errorf("%d tasks, want 1 to %d", len(p.Tasks), maxTasks)
	}
	if _, err := time.Parse(time.DateOnly, p.Effective); err != nil {
		return nil, fmt.Errorf("effective: %q is no date such as 2026-04-01", p.Effective)
	}
	seen := map[string]bool{}
	for n := range p.Tasks {
		t := &p.Tasks[n]
		if t.After == "" {
			t.After = "opened"
		}
		switch {
		case !keyPattern.MatchString(t.Key) || seen[t.Key]:
			return nil, fmt.Errorf("task %d: the key %q is none, or stands there twice", n+1, t.Key)
		case !t.Say.both() || !t.How.both():
			return nil, fmt.Errorf("task %s: say and how need a text in both languages", t.Key)
		case t.Within < 0:
			return nil, fmt.Errorf("task %s: within is negative", t.Key)
		}
		seen[t.Key] = true
	}
	return p, nil
}

// check names the first mistake.
func (m *Manual) check() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("csirt: "+format, args...)) }
	if m.Edition == "" || m.Effective == "" || len(m.Sources) == 0 {
		bad("the manual: edition, effective or sources is missing")
	}
	role := func(what, key string) {
		if _, ok := m.Role(key); !ok {
			bad("%s: %q is no role of the manual: %s", what, key, strings.Join(m.roleKeys(), ", "))
		}
	}
	for _, r := range m.Roles {
		if !keyPattern.MatchString(r.Key) || !r.Say.both() || !r.Duty.both() {
			bad("role %q: a key of small letters, and say and duty in both languages are needed", r.Key)
		}
	}
	for name := range m.roster {
		role("roster", name)
	}
	marks := map[string]bool{}
	for _, code := range builtinMarks {
		marks[code] = true
	}
	for _, f := range m.Facts {
		if !keyPattern.MatchString(f.Key) || !f.Say.both() {
			bad("fact %q: a key of small letters, and say in both languages are needed", f.Key)
		}
		if f.Owner != "" {
			role("fact "+f.Key, f.Owner)
		}
		marks[f.Key] = true
	}
	mark := func(what, key string) {
		if !marks[key] {
			bad("%s: %q is neither a fact of the manual nor a moment that sekisho knows", what, key)
		}
	}
	for _, c := range m.Clocks {
		mark("clock "+c.Key, c.Key)
		mark("clock "+c.Key, c.From)
		role("clock "+c.Key, c.Owner)
		if !c.Say.both() || c.Within < 0 {
			bad("clock %s: say in both languages and within are needed", c.Key)
		}
	}
	for _, d := range m.Decisions {
		role("decision "+d.Key, d.Owner)
		if !keyPattern.MatchString(d.Key) || !d.Say.both() || !d.Why.both() || len(d.Options) < 2 {
			bad("decision %q: say and why in both languages, and two options are needed", d.Key)
		}
		for _, o := range d.Options {
			if !o.both() {
				bad("decision %s: an option lacks a language", d.Key)
			}
		}
		for _, w := range d.When {
			if !goodCondition(w) {
				bad("decision %s: the condition %q is not understood", d.Key, w)
			}
		}
	}
	for _, p := range m.Playbooks {
		for _, t := range p.Tasks {
			role("playbook "+p.Name+", task "+t.Key, t.Role)
			mark("playbook "+p.Name+", task "+t.Key, t.After)
		}
	}
	m.checkLadder(bad, role, "ladder", m.Ladder)
	m.checkLadder(bad, role, "triage_ladder", m.Triage)
	if err := m.Severity.check(); err != nil {
		bad("severity: %w", err)
	}
	return errors.Join(wrong...)
}

// checkLadder: it climbs, and ends with an executive within a day.
func (m *Manual) checkLadder(bad func(string, ...any), role func(what, key string), name string, ladder []Rung) {
	for n, r := range ladder {
		role(name, r.Role)
		if r.After < 0 || n > 0 && r.After < ladder[n-1].After {
			bad("%s: rung %d comes before the one below it", name, n+1)
		}
	}
	if n := len(ladder); n == 0 || ladder[n-1].Role != "executive" || ladder[n-1].After > 24*time.Hour {
		bad("%s: the last rung must be an executive, within 24h", name)
	}
}

// builtinMarks are those that Marks gives without anybody stating them.
var builtinMarks = []string{"opened", "first_malicious", "indicator", "detected", "acknowledged", "triaged", "contained_partial", "contained_verified",
	"aware_personal_data", "escalated_exec", "scope", "regulator_prelim", "regulator_final", "subjects_notified", "partners_notified", "recovered", "lessons_done", "closed"}

func (m *Manual) roleKeys() (list []string) {
	for _, r := range m.Roles {
		list = append(list, r.Key)
	}
	return list
}

// Role finds a role of the manual.
func (m *Manual) Role(key string) (RoleDuty, bool) {
	n := slices.IndexFunc(m.Roles, func(r RoleDuty) bool { return r.Key == key })
	if n < 0 {
		return RoleDuty{}, false
	}
	return m.Roles[n], true
}

// Fact finds a fact of the manual.
func (m *Manual) Fact(key string) (FactKind, bool) {
	n := slices.IndexFunc(m.Facts, func(f FactKind) bool { return f.Key == key })
	if n < 0 {
		return FactKind{}, false
	}
	return m.Facts[n], true
}

// Decision finds a decision of the manual.
func (m *Manual) Decision(key string) (DecisionRule, bool) {
	n := slices.IndexFunc(m.Decisions, func(d DecisionRule) bool { return d.Key == key })
	if n < 0 {
		return DecisionRule{}, false
	}
	return m.Decisions[n], true
}

// Playbook finds a playbook in force.
func (m *Manual) Playbook(name string) (*Playbook, bool) {
	n := slices.IndexFunc(m.Playbooks, func(p *Playbook) bool { return p.Name == name })
	if n < 0 {
		return nil, false
	}
	return m.Playbooks[n], true
}

// Roster is the accounts of a role, the holder first.
func (m *Manual) Roster(role string) []string { return m.roster[role] }

// Rosters are the accounts of every role.
func (m *Manual) Rosters() map[string][]string { return maps.Clone(m.roster) }

// Contact is how to reach an account.
func (m *Manual) Contact(account string) Contact { return m.people[account] }

// Named: the account stands in a roster.
func (m *Manual) Named(account string) bool {
	for _, list := range m.roster {
		if slices.Contains(list, account) {
			return true
		}
	}
	return false
}
