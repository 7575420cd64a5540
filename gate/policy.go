package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
)

// Where the policy comes from: files that are read again when they change. What
// is wrong never comes into force.

// Policy says by which rules the gate decides.
type Policy struct {
	// Dir holds the policy, *.cedar, with the tables of its tests. It is read
	// again when it changes, and checked as `sekisho policy check` does: if
	// something is wrong the policy before stays in force. Without it the gate
	// decides nothing: who may log in with a role may read what its login may.
	Dir string `yaml:"dir"`
	// Refresh is how often files are looked at. A set counts once it has not
	// changed from one look to the next. Default 2s.
	Refresh time.Duration `yaml:"refresh"`
	// Office lists the addresses and prefixes of the office. Without any, every
	// place is unknown.
	Office []string `yaml:"office"`
	// Remote lists those that are outside it, such as a VPN's inside a larger
	// prefix of the office. Without any, all that is not the office is remote.
	Remote []string `yaml:"remote"`
	// Postures is a file with one line for each terminal, its name and good or
	// bad, that whoever looks after terminals keeps up to date. A terminal that is
	// not in it is unknown.
	Postures string `yaml:"postures"`
	// Language of a refusal's reason and hint: en (the default), ja or both. A
	// client whose encoding is not UTF-8 gets English.
	Language string `yaml:"language"`
	// Known are names that the policy may speak of though nothing else in this
	// config has them yet. A rule about any other name is a mistake.
	Known Words `yaml:"known"`

	// Zone in which hours and weekdays are told; nil is UTC. It is the house's
	// time_zone.
	Zone *time.Location `yaml:"-" json:"-"`

	// Narrow gives the forbids that are made of something else than the files in
	// Dir, and OffSite who may work outside the office: both are asked at every
	// look at the files. nil: none, and nobody.
	Narrow  func() []act.File `yaml:"-" json:"-"`
	OffSite func() *OffSite   `yaml:"-" json:"-"`

	office, remote []netip.Prefix
}

// Words are names by their kind.
type Words struct {
	Roles     []string `yaml:"roles"`
	Purposes  []string `yaml:"purposes"`
	Posts     []string `yaml:"posts"`
	Companies []string `yaml:"companies"`
}

func (p *Policy) check() (err error) {
	if p.Refresh == 0 {
		p.Refresh = 2 * time.Second
	}
	if p.Language == "" {
		p.Language = "en"
	}
	if !slices.Contains([]string{"en", "ja", "both"}, p.Language) {
		return fmt.Errorf("gate: policy: language %q: use en, ja or both", p.Language)
	}
	if p.Refresh < 0 {
		return errors.New("gate: policy: refresh: give a length of time, such as 2s")
	}
	if p.office, err = sekisho.ParsePrefixes(p.Office); err != nil {
		return fmt.Errorf("gate: policy: office: %w", err)
	}
	if p.remote, err = sekisho.ParsePrefixes(p.Remote); err != nil {
		return fmt.Errorf("gate: policy: remote: %w", err)
	}
	return nil
}

// PlaceOf is where an address is, as the config says. Check comes before.
func (p *Policy) PlaceOf(a netip.Addr) act.Place { return act.PlaceOf(a, p.office, p.remote) }

// PolicyConfig is what a policy for this gate is read with: the names of which
// it may speak, of tables those of the catalog.
func (c *Config) PolicyConfig(of *catalog.Config) act.Config {
	k := act.Names{
		Roles: slices.Collect(maps.Keys(c.Roles)), Purposes: []string{}, Posts: []string{}, Companies: []string{},
		Tables: []string{},
	}
	for _, t := range of.Tables {
		k.Tables = append(k.Tables, t.Name)
	}
	for _, r := range c.Roles {
		k.Purposes = append(k.Purposes, r.Purposes...)
	}
	for _, p := range c.Principals {
		if p.Post != "" {
			k.Posts = append(k.Posts, p.Post)
		}
		if p.Company != "" {
			k.Companies = append(k.Companies, p.Company)
		}
	}
	more := c.Policy.Known
	for _, each := range []struct {
		list *[]string
		more []string
	}{{&k.Roles, more.Roles}, {&k.Purposes, more.Purposes}, {&k.Posts, more.Posts}, {&k.Companies, more.Companies}, {&k.Tables, nil}} {
		*each.list = append(*each.list, each.more...)
		slices.Sort(*each.list)
		*each.list = slices.Compact(*each.list)
	}
	return act.Config{Zone: c.Policy.Zone, Known: k}
}

// ReadPolicy reads the files of a policy's directory, in the order of their
// names.
func ReadPolicy(dir string) (set act.Set, err error) {
	for _, part := range []struct {
		ext  string
		into *[]act.File
	}{{act.PolicyExt, &set.Policies}, {act.TableExt, &set.Tables}} {
		names, err := filepath.Glob(filepath.Join(dir, "*"+part.ext))
		if err != nil {
			return set, fmt.Errorf("reading a policy: %w", err)
		}
		if len(names) > mostPolicyFiles {
			return set, fmt.Errorf("reading a policy: %s holds %d *%s; the limit is %d", dir, len(names), part.ext, mostPolicyFiles)
		}
		for _, name := range names {
			text, err := readAtMost(name, act.MaxFile)
			if err != nil {
				return set, fmt.Errorf("reading a policy: %w", err)
			}
			*part.into = append(*part.into, act.File{Name: name, Text: text})
		}
	}
	if len(set.Policies) == 0 {
		return set, fmt.Errorf("reading a policy: %s holds no *%s: `sekisho policy init` writes the shipped ones to a new directory", dir, act.PolicyExt)
	}
	return set, nil
}

const mostPolicyFiles = 256

// readAtMost reads a file, and one byte more than most if it is longer.
func readAtMost(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// rules are the policy in force, and what it is asked with.
type rules struct {
	policy   atomic.Pointer[act.Policy] // nil: none
	postures atomic.Pointer[map[string]act.Posture]
	offSite  atomic.Pointer[OffSite]
	names    act.Config
	sum      [32]byte // of what was read last, whether or not it is in force
	told     told     // what observe mode has recorded lately
}

// openRules reads the policy and the postures for the first time, and refuses to
// start on doubt.
func (g *Gate) openRules() error {
	if g.conf.Policy.Dir == "" {
		return nil
	}
	g.rules.names = g.conf.PolicyConfig(&g.catalog)
	set, err := g.policySet()
	if err != nil {
		return err
	}
	report, err := set.Check(g.rules.names)
	if err != nil {
		return err
	}
	if err := complaint(report); err != nil {
		return err
	}
	if err := g.take(set.Sum(), report); err != nil {
		return err
	}
	g.readOffSite()
	return g.readPostures()
}

// policySet is what decides: the directory's files, and what narrows them.
func (g *Gate) policySet() (set act.Set, err error) {
	if set, err = ReadPolicy(g.conf.Policy.Dir); err == nil && g.conf.Policy.Narrow != nil {
		set.Narrow = g.conf.Policy.Narrow()
	}
	return set, err
}

// TryPolicy says why a gate would not begin with the policy of a directory, but
// for what narrows it; nil: it would.
func TryPolicy(dir string, names act.Config) error {
	set, err := ReadPolicy(dir)
	if err != nil {
		return err
	}
	report, err := set.Check(names)
	if err != nil {
		return err
	}
	return complaint(report)
}

// complaint says what a check found, or nil.
func complaint(r *act.Report) error {
	switch {
	case len(r.Mistakes) > 0:
		return fmt.Errorf("the policy has mistakes: %w", r.Mistakes)
	case len(r.Failed) > 0:
		f := r.Failed[0]
		return fmt.Errorf("%d of the policy's %d tests fail: %s:%d: %s: it is: %s", len(r.Failed), r.Tests, f.File, f.Line, f.Text, f.Got)
	}
	return nil
}

// take lets a policy decide, once that stands in the ledger.
func (g *Gate) take(sum [32]byte, r *act.Report) error {
	read := &sekisho.PolicyRead{SHA256: sum, Mistakes: uint32(r.Wrong())}
	if r.Policy != nil {
		read.Rules = uint32(len(r.Policy.Rules()))
	}
	if _, err := g.append(read); err != nil {
		return fmt.Errorf("recording the policy: %w", err)
	}
	g.rules.sum = sum
	if r.Wrong() == 0 {
		g.rules.policy.Store(r.Policy)
	}
	return nil
}

// keepPolicy reads policy and postures again when their files change, until ctx
// ends.
func (g *Gate) keepPolicy(ctx context.Context) {
	dir, file := g.conf.Policy.Dir, g.conf.Policy.Postures
	if dir == "" {
		return
	}
	tick := time.NewTicker(g.conf.Policy.Refresh)
	defer tick.Stop()
	policy, postures := lookout{now: "as at start"}, lookout{now: signature(file)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.readOffSite()
		if policy.settled(signature(filepath.Join(dir, "*"+act.PolicyExt), filepath.Join(dir, "*"+act.TableExt)) + g.narrowness()) {
			switch changed, err := g.readPolicyAgain(); {
			case err != nil:
				g.log.Error("the policy was changed and is not taken: the one before stays in force", "error", err)
			case changed:
				g.log.Info("another policy is in force", "rules", len(g.rules.policy.Load().Rules()), "sha256", fmt.Sprintf("%x", g.rules.sum))
			}
		}
		if file != "" && postures.settled(signature(file)) {
			if err := g.readPostures(); err != nil {
				g.log.Error("the postures of terminals cannot be read: those read before stay in force", "error", err)
			}
		}
	}
}

// readPolicyAgain brings another policy into force, if there is one and it is
// right.
func (g *Gate) readPolicyAgain() (changed bool, err error) {
	set, err := g.policySet()
	if err != nil {
		return false, err
	}
	sum := set.Sum()
	report, err := set.Check(g.rules.names)
	if err != nil {
		return false, err
	}
	if sum != g.rules.sum {
		if err := g.take(sum, report); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, complaint(report)
}

// A lookout tells when something has changed and has then come to rest, so that
// files that are being written are left alone.
type lookout struct{ taken, now string }

// settled: what is there now is there since the last look, and was not settled
// before.
func (l *lookout) settled(now string) bool {
	rests := now == l.now
	l.now = now
	if !rests || now == l.taken {
		return false
	}
	l.taken = now
	return true
}

// signature is another one when a file of these patterns has come, gone or
// changed.
func signature(patterns ...string) string {
	var b strings.Builder
	for _, pattern := range patterns {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				fmt.Fprintln(&b, name, "unreadable")
				continue
			}
			fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// readPostures reads the file of postures.
func (g *Gate) readPostures() error {
	name := g.conf.Policy.Postures
	if name == "" {
		return nil
	}
	text, err := readAtMost(name, mostPostures)
	if err != nil {
		return fmt.Errorf("reading the postures of terminals: %w", err)
	}
	by, err := parsePostures(text)
	if err != nil {
		return fmt.Errorf("reading the postures of terminals: %s: %w", name, err)
	}
	g.rules.postures.Store(&by)
	return nil
}

// mostPostures is how many bytes the file of postures may have.
const mostPostures = 16 << 20

// parsePostures reads lines of a terminal's name and good or bad. A line that
// says anything else makes the whole file wrong: half a list would make bad
// terminals unknown.
func parsePostures(text []byte) (map[string]act.Posture, error) {
	if len(text) > mostPostures {
		return nil, fmt.Errorf("the limit is %d bytes", mostPostures)
	}
	by := map[string]act.Posture{}
	for n, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case len(words) == 2 && words[1] == "good" && by[words[0]] != act.PostureBad:
			by[words[0]] = act.PostureGood // said twice, the worse counts
		case len(words) == 2 && words[1] == "good":
		case len(words) == 2 && words[1] == "bad":
			by[words[0]] = act.PostureBad
		default:
			return nil, fmt.Errorf("line %d: write the terminal's name and good or bad", n+1)
		}
	}
	return by, nil
}
