package house

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/directory"
	"sekisho/sensor"
)

// Directory is where people, companies and departments come from. All sources
// are compared with the same book, and what differs becomes entries.
type Directory struct {
	// Leavers is how many of a source's people may be gone at once, in hundredths
	// of all that it had; but 10 always may. With more, a file is taken for half
	// a file, and refused until somebody names the number. Default 10.
	Leavers int `yaml:"leavers"`
	// SCIM is a door to which Entra ID, Okta and others push users and groups.
	SCIM DirectorySCIM `yaml:"scim"`
	// LDAP lists directory servers that are read again and again.
	LDAP []DirectoryLDAP `yaml:"ldap"`
	// Pull lists SCIM servers that are read again and again.
	Pull []DirectoryPull `yaml:"pull"`
}

// DirectorySCIM is a SCIM 2.0 service provider, under /scim/v2.
type DirectorySCIM struct {
	// Listen is the address, such as 10.1.0.5:8443. Empty: nobody pushes.
	Listen string `yaml:"listen"`
	// Cert and Key are PEM files. Without them it speaks plain HTTP, and listens on
	// 127.0.0.1 or ::1 only.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// TokenFile holds the client's token, of 16 characters or more, and is readable
	// by its owner alone.
	TokenFile string `yaml:"token_file"`
	// Source is what the ledger calls it. Default scim.
	Source string `yaml:"source"`
	// Company is the code of the company of users whose organization is not said.
	Company string `yaml:"company"`
}

// logins are the names that may come in at the gate.
func (h *House) logins() (list []string) {
	for _, p := range h.Config.Gate.Principals {
		list = append(list, p.Name)
	}
	return list
}

// Leavers are the doors that open for people who have left by the directory.
func (c *Caller) Leavers(ctx context.Context) (list []console.Leaver, err error) {
	return list, c.tell(ctx, "/api/directory/leavers", nil, &list)
}

// DirectoryLDAP is one directory server.
type DirectoryLDAP struct {
	// Name is what the ledger calls it.
	Name string `yaml:"name"`
	// Every is how often it is read. Default 1h.
	Every       time.Duration `yaml:"every"`
	sensor.LDAP `yaml:",inline"`
}

// DirectoryPull is one SCIM server.
type DirectoryPull struct {
	// Name is what the ledger calls it.
	Name string `yaml:"name"`
	// Every is how often it is read. Default 1h.
	Every             time.Duration `yaml:"every"`
	sensor.SCIMServer `yaml:",inline"`
}

func (d *Directory) check(base string) error {
	if d.Leavers == 0 {
		d.Leavers = 10
	}
	if d.Leavers < 0 || d.Leavers > 100 {
		return errors.New("config: directory: leavers is in hundredths: 1 to 100")
	}
	names := map[string]bool{}
	named := func(what, name string, every *time.Duration) error {
		if name == "" || len(name) > 64 || names[name] || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("config: directory: %s: %q is no name of its own", what, name)
		}
		names[name] = true
		if every == nil {
			return nil
		}
		if *every == 0 {
			*every = time.Hour
		}
		if *every < time.Minute {
			return fmt.Errorf("config: directory: %s: %s: every is at least 1m", what, name)
		}
		return nil
	}
	if err := d.SCIM.check(base, named); err != nil {
		return err
	}
	for i := range d.LDAP {
		l := &d.LDAP[i]
		l.CA, l.PasswordFile = Against(base, l.CA), Against(base, l.PasswordFile)
		if err := errors.Join(named("ldap", l.Name, &l.Every), l.Check()); err != nil {
			return fmt.Errorf("config: directory: ldap: %s: %w", l.Name, err)
		}
	}
	for i := range d.Pull {
		p := &d.Pull[i]
		p.CA, p.TokenFile = Against(base, p.CA), Against(base, p.TokenFile)
		if err := errors.Join(named("pull", p.Name, &p.Every), p.Check()); err != nil {
			return fmt.Errorf("config: directory: pull: %s: %w", p.Name, err)
		}
	}
	return nil
}

func (s *DirectorySCIM) check(base string, named func(string, string, *time.Duration) error) error {
	if s.Source == "" {
		s.Source = "scim"
	}
	if s.Listen == "" {
		return nil
	}
	for _, p := range []*string{&s.Cert, &s.Key, &s.TokenFile} {
		*p = Against(base, *p)
	}
	if err := named("scim", s.Source, nil); err != nil {
		return err
	}
	if (s.Cert == "") != (s.Key == "") {
		return errors.New("config: directory: scim: cert and key come together")
	}
	if s.TokenFile == "" {
		return errors.New("config: directory: scim: token_file is missing")
	}
	if s.Cert == "" {
		at, err := netip.ParseAddrPort(s.Listen)
		if err != nil || !at.Addr().IsLoopback() {
			return fmt.Errorf("config: directory: scim: %s without cert and key: names and the token would cross the network in the clear; listen on 127.0.0.1, or give both", s.Listen)
		}
	}
	return nil
}

// ServeSCIM takes what SCIM clients push on l until ctx ends.
func (h *House) ServeSCIM(ctx context.Context, l net.Listener) error {
	conf := h.Config.Directory.SCIM
	token, err := readToken(conf.TokenFile)
	if err != nil {
		return fmt.Errorf("the token of directory.scim: %w", err)
	}
	return sensor.ServeSCIM(ctx, l, h.scimOptions(conf.Source, token, conf.Company, conf.Cert, conf.Key))
}

func (h *House) scimOptions(source, token, company, cert, key string) sensor.SCIMOptions {
	return sensor.SCIMOptions{Source: source, Token: token, Company: company, Book: h.Directory, Names: h.directoryNames(), Now: h.now,
		Log: h.Log.With("door", "scim"), Cert: cert, Key: key,
		Compare: func(ctx context.Context, s *directory.Snapshot) error {
			_, err := h.compareDirectory(context.WithoutCancel(ctx), s, compareOptions{})
			return err
		}}
}

// readSource reads a server of the config; nil if there is none of that name.
func (h *House) readSource(ctx context.Context, name string) (s *directory.Snapshot, err error) {
	for _, l := range h.Config.Directory.LDAP {
		if l.Name != name {
			continue
		}
		password := ""
		if l.PasswordFile != "" {
			if password, err = readSecret(l.PasswordFile); err != nil {
				return nil, err
			}
		}
		s, err = sensor.ReadLDAP(ctx, l.LDAP, password, h.Zone)
	}
	for _, p := range h.Config.Directory.Pull {
		if p.Name != name {
			continue
		}
		token, err := readToken(p.TokenFile)
		if err != nil {
			return nil, err
		}
		if s, err = sensor.ReadSCIM(ctx, p.SCIMServer, token, h.scimOptions(name, token, p.Company, "", "")); err != nil {
			return nil, err
		}
	}
	if s != nil {
		s.Source = name
	}
	return s, err
}

// PullDirectory reads a server of the config, and records what differs unless
// it is a dry run.
func (h *House) PullDirectory(ctx context.Context, ask console.DirectoryPullAsk, by uint32) (*directory.Plan, error) {
	s, err := h.readSource(ctx, ask.Source)
	if err != nil {
		return nil, &console.DirectoryRefused{Why: err.Error()}
	}
	if s == nil {
		return nil, &console.DirectoryRefused{Why: fmt.Sprintf("the config has no directory server %q", ask.Source)}
	}
	return h.compareDirectory(ctx, s, compareOptions{dry: ask.DryRun, leavers: ask.Leavers, by: by})
}

// KeepDirectory reads the servers of the config again and again, until ctx
// ends.
func (h *House) KeepDirectory(ctx context.Context) {
	keep := func(name string, every time.Duration) {
		h.running.Go(func() {
			for {
				if _, err := h.PullDirectory(ctx, console.DirectoryPullAsk{Source: name}, 0); err != nil && ctx.Err() == nil {
					h.Log.Error("reading a directory server", "source", name, "error", err)
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(every):
				}
			}
		})
	}
	for _, l := range h.Config.Directory.LDAP {
		keep(l.Name, l.Every)
	}
	for _, p := range h.Config.Directory.Pull {
		keep(p.Name, p.Every)
	}
}

func (h *House) directoryNames() directory.Names {
	return directory.Names{
		Find:   func(space, key string) (uint32, bool) { return h.Vault.Space(space).Find(key) },
		Key:    func(space string, ordinal uint32) (string, bool) { return h.Vault.Space(space).Key(ordinal) },
		Assign: func(space, key string) uint32 { return h.Vault.Space(space).OfText([]byte(key)) },
	}
}

// ImportDirectory compares a table of staff with the book, and records what
// differs unless it is a dry run.
func (h *House) ImportDirectory(ctx context.Context, file io.Reader, ask console.DirectoryImport, by uint32) (*directory.Plan, error) {
	s, err := sensor.ReadDirectory(file, sensor.DirectoryFile{Columns: ask.Columns, Encoding: ask.Encoding, Zone: h.Zone})
	if err != nil {
		return nil, &console.DirectoryRefused{Why: err.Error()}
	}
	s.Source, s.Whole = ask.Source, !ask.Part
	if ask.Effective != "" {
		if s.Effective, err = ParseTime(ask.Effective, h.Zone); err != nil {
			return nil, &console.DirectoryRefused{Why: err.Error()}
		}
	}
	return h.compareDirectory(ctx, s, compareOptions{dry: ask.DryRun, leavers: ask.Leavers, by: by})
}

type compareOptions struct {
	dry     bool
	leavers int // so many may be gone, whatever the config says
	by      uint32
}

// atOnce is how many entries of an import go into one append.
const atOnce = 2000

// compareDirectory is the one way from a source into the ledger. The read is
// an entry before its changes; a crash between leaves a part of them, and the
// next comparison brings the rest.
func (h *House) compareDirectory(ctx context.Context, s *directory.Snapshot, o compareOptions) (*directory.Plan, error) {
	h.comparing.Lock()
	defer h.comparing.Unlock()
	if err := h.Settle(ctx); err != nil {
		return nil, err
	}
	if s.Effective == 0 {
		s.Effective = sekisho.At(h.now())
	}
	// A row that could not be read is somebody: nobody is taken for gone.
	s.Whole = s.Whole && len(s.Refused) == 0
	names := h.directoryNames()
	plan := h.Directory.Plan(s, names)
	if left := plan.Count("left"); left > 10 && left*100 > plan.Had*h.Config.Directory.Leavers && left > o.leavers {
		return plan, &console.DirectoryRefused{Why: fmt.Sprintf("%d of the %d people of %q would leave, more than %d in a hundred. If the file is whole and they are gone, say so with --leavers %d", left, plan.Had, s.Source, h.Config.Directory.Leavers, left)}
	}
	if o.dry {
		return plan, nil
	}
	if plan.Empty() && s.Form != "csv" {
		return plan, nil // a client that asks every few minutes writes nothing while nothing differs
	}
	read, err := h.Ledger.Append(ctx, plan.Read(o.by))
	if err != nil {
		return nil, fmt.Errorf("recording a comparison with the directory: %w", err)
	}
	bodies, err := plan.Bodies(names, read.Seq)
	if err != nil {
		return nil, err
	}
	last := read
	for from := 0; from < len(bodies); from += atOnce {
		if last, err = h.Ledger.Append(ctx, bodies[from:min(from+atOnce, len(bodies))]...); err != nil {
			return nil, fmt.Errorf("recording a comparison with the directory: %w", err)
		}
	}
	return plan, h.Views.WaitFor(ctx, last.Seq)
}

// ImportDirectory sends a table of staff to the running house.
func (c *Caller) ImportDirectory(ctx context.Context, ask console.DirectoryImport, file io.Reader) (p console.DirectoryPlan, err error) {
	return p, c.upload(ctx, "/api/directory/import", ask, file, &p)
}

// PullDirectory has the running house read a server of its config.
func (c *Caller) PullDirectory(ctx context.Context, ask console.DirectoryPullAsk) (p console.DirectoryPlan, err error) {
	return p, c.tell(ctx, "/api/directory/pull", ask, &p)
}

// Directory asks the running house for the tree at a time; empty is now.
func (c *Caller) Directory(ctx context.Context, at string) (p console.DirectoryPage, err error) {
	return p, c.tell(ctx, "/api/directory?at="+at, nil, &p)
}

// DirectoryFields are the fields that a table of staff can have.
func DirectoryFields() []string { return sensor.DirectoryFields() }
