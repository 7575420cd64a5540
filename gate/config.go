package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/budget"
	"sekisho/permit"
)

// Config says where the gate stands, who may pass, and what it stands in
// front of. One gate is one upstream database with one ledger.
type Config struct {
	// Listen is the address for clients, such as 127.0.0.1:6543 or :5432.
	Listen string `yaml:"listen"`

	// TLS is the gate's own certificate, and the authority whose client
	// certificates name endpoints.
	TLS TLS `yaml:"tls"`

	// Upstream is the PostgreSQL server behind the gate.
	Upstream Upstream `yaml:"upstream"`

	// Roles are what principals act as. Each has its own login upstream, which
	// must be neither superuser nor owner of a protected table, nor have
	// BYPASSRLS.
	Roles map[string]Role `yaml:"roles"`

	// Principals are the people and programs that may log in.
	Principals []Principal `yaml:"principals"`

	// Policy says who may do what.
	Policy Policy `yaml:"policy"`

	// Limits on what one client can ask of the gate.
	Limits Limits `yaml:"limits"`

	// Now is the clock that decisions go by; nil is time.Now. Only drills and
	// tests replace it.
	Now func() time.Time `yaml:"-" json:"-"`
	// File is the config's own path, for hints that name a command; "" if there
	// is none.
	File string `yaml:"-" json:"-"`

	// Marks gives the mailboxes of the decoys that the answer to an approved export
	// carries, one each, and always the same for a request. Nil: there are none.
	Marks func(request uint64, decoys int) []string `yaml:"-" json:"-"`

	// Lease asks the gate that grants shares of budgets for more of one: nil if there
	// is more now, durably. It may take seconds. Nil: there is no such gate.
	Lease func(ctx context.Context, ask budget.Ask) error `yaml:"-" json:"-"`

	// Permit gives what is known of a text that was asked for, by its ordinal in
	// the vault's space "export": an approval that can be used now, if there is
	// one. spent are the requests that the gate has used. nil: nothing is ever
	// approved.
	Permit func(exact uint32, spent func(request uint64) bool) (permit.Request, permit.State, bool) `yaml:"-" json:"-"`

	// Counts says whether this ExportUsed is the one that uses the request, once
	// the ledger is read so far: an approval can be taken back in the moment in
	// which it is spent. It is set where Permit is.
	Counts func(ctx context.Context, request, entry uint64) (bool, error) `yaml:"-" json:"-"`

	// Label makes the label of what leaves by COPY, or by an approved statement, with
	// data of these categories. nil: nothing is labelled.
	Label func(of sekisho.Categories, at sekisho.Time, by uint32) *sekisho.Labelled `yaml:"-" json:"-"`
}

// TLS for the client side.
type TLS struct {
	// Cert and Key are PEM files. Without them the gate offers no TLS, and every
	// endpoint is unverified.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA is a PEM file with the authority of the terminals' certificates.
	// The endpoint's name is the certificate's common name.
	ClientCA string `yaml:"client_ca"`
	// ClientCRL is a PEM file with the revocation lists of that authority and of
	// those under it. It is read again when it changes. Without it no certificate
	// is ever revoked.
	ClientCRL string `yaml:"client_crl"`
	// Require refuses clients without TLS.
	Require bool `yaml:"require"`
}

// Upstream is the PostgreSQL server.
type Upstream struct {
	// Host is a name, an address, or the directory of a unix socket.
	Host string `yaml:"host"`
	// Port of the server. Default 5432.
	Port uint16 `yaml:"port"`
	// Database is the one that clients reach. They name it themselves, and any
	// other name is refused.
	Database string `yaml:"database"`
	// SSLMode is one of libpq's: disable, require, verify-ca, verify-full.
	// Default verify-full for a host, disable for a socket.
	SSLMode string `yaml:"sslmode"`
	// SSLRootCert is a PEM file with the authority of the server's certificate.
	SSLRootCert string `yaml:"sslrootcert"`
	// Reader is the login with which sekisho itself reads the database's catalog
	// and the roster of customers.
	Reader Login `yaml:"reader"`
	// Refresh is how often the database's catalog is compared with what the gate
	// knows: for so long can a view that was redefined behind the gate's back go
	// unnoticed. Default 5s.
	Refresh time.Duration `yaml:"refresh"`
}

// Login is a database user. The password stands in a file of its own, with
// mode 0600, never here.
type Login struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Mode is what the gate does with what it cannot account exactly.
type Mode string

const (
	// Enforce refuses it, and adds hidden keys where they are needed.
	Enforce Mode = "enforce"
	// Observe never rewrites, and refuses nothing for what it reads: it records
	// exactly where the plain statement allows, else any-row. What no mode lets
	// through (role changes, files on the server, unsafe encodings, the fast
	// path), and what cannot be recorded, is refused here too.
	Observe Mode = "observe"
)

// Role is what a principal acts as.
type Role struct {
	Login `yaml:",inline"`
	// Mode is enforce (the default) or observe.
	Mode Mode `yaml:"mode"`
	// Tables overrides the mode for single tables (schema.table). A statement
	// over several is enforced if one of them is.
	Tables map[string]Mode `yaml:"tables"`
	// Writes lets the role write to protected tables, in enforce mode. Whose
	// records it creates, changes or destroys is in the ledger before that is
	// committed. The login upstream needs SELECT on the key columns. Default
	// false: such writes are refused.
	Writes bool `yaml:"writes"`
	// AnyRow lets the role run, in enforce mode, what could be about anybody:
	// queries that cannot be named, materialized views without a key, the server's
	// statistics, functions listed as reaching; and DO and functions that nobody
	// has read, in a read-only transaction that is rolled back. It is recorded as
	// any-row before it runs. Nothing of it is masked; ask_above,
	// budgets and caps take it for everybody. Default false: it is refused.
	AnyRow bool `yaml:"any_row"`
	// Purposes that a session may state with SET sekisho.purpose. The first is
	// taken when none is stated; with none listed, none can be stated.
	Purposes []string `yaml:"purposes"`
	// AskAbove is how many different customers one statement may name before a
	// second person has to agree (sekisho export). 0: any number. In observe mode
	// there is no limit.
	AskAbove uint64 `yaml:"ask_above"`
}

// Principal is a person or a program.
type Principal struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"`
	// Post is what the principal is there, for the policy's rules: agent,
	// contractor, service.
	Post string `yaml:"post"`
	// Company is whose people they are, for the policy's rules.
	Company string `yaml:"company"`
	// SpeaksFor is for a program that works for people, and says for whom. Then
	// its own name and server do not stand for the person and the terminal: what
	// it does not state is unknown, and an unknown terminal counts in every
	// incident.
	SpeaksFor SpeaksFor `yaml:"speaks_for"`
	// Verifier is the SCRAM-SHA-256 verifier of the password, as `sekisho
	// verifier` prints it or as it stands in pg_authid.rolpassword.
	Verifier string `yaml:"verifier"`
}

// SpeaksFor is what a program may state of the person it works for, by SET,
// SET LOCAL or a comment at the end of a statement.
type SpeaksFor struct {
	// User: who is behind a statement (sekisho.user).
	User bool `yaml:"user"`
	// Terminal: where they are (sekisho.terminal).
	Terminal bool `yaml:"terminal"`
	// Verified: the program proves which terminal it is, such as by a client
	// certificate. Else the ledger says that it was only stated.
	Verified bool `yaml:"verified"`
}

// any: what the program does, it does for others.
func (f SpeaksFor) any() bool { return f.User || f.Terminal }

// Limits, in bytes unless stated otherwise.
type Limits struct {
	// Sessions at once. Default 1000.
	Sessions int `yaml:"sessions"`
	// AtOnce is how many of them have a connection to the database from the moment
	// they log in, so that the process id that the client is told is the server's.
	// The others get theirs with their first statement, and another number.
	// Default 32; -1 for none.
	AtOnce int `yaml:"at_once"`
	// Statement is the longest text of one query message. Default 1 MiB.
	Statement int `yaml:"statement"`
	// Message is the largest other message from a client, such as the values of
	// one Bind. Default 64 MiB. COPY data streams and has no limit.
	Message int `yaml:"message"`
	// Row is the largest row of a protected table. Default 64 MiB.
	Row int `yaml:"row"`
	// Startup is how long a client may take until it is authenticated. Default
	// 30s.
	Startup time.Duration `yaml:"startup"`
}

// Check fills in the defaults and names the first thing that is wrong.
func (c *Config) Check() error {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.Limits.Sessions, 1000)
	def(&c.Limits.AtOnce, 32)
	def(&c.Limits.Statement, 1<<20)
	def(&c.Limits.Message, 64<<20)
	def(&c.Limits.Row, 64<<20)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Limits.Startup == 0 {
		c.Limits.Startup = 30 * time.Second
	}
	if c.Upstream.Refresh == 0 {
		c.Upstream.Refresh = 5 * time.Second
	}
	if c.Upstream.Port == 0 {
		c.Upstream.Port = 5432
	}
	switch {
	case c.Listen == "":
		return errors.New("gate: listen is missing: give an address such as 127.0.0.1:6543")
	case c.Upstream.Host == "" || c.Upstream.Database == "":
		return errors.New("gate: upstream: host and database are needed")
	case c.Upstream.Reader.User == "":
		return errors.New("gate: upstream: reader: user is needed: the login that reads the catalog and the roster")
	case !slices.Contains([]string{"", "disable", "require", "verify-ca", "verify-full"}, c.Upstream.SSLMode):
		return fmt.Errorf("gate: upstream: sslmode %q: use disable, require, verify-ca or verify-full", c.Upstream.SSLMode)
	case (c.TLS.Cert == "") != (c.TLS.Key == ""):
		return errors.New("gate: tls: cert and key come together")
	case c.TLS.Cert == "" && (c.TLS.Require || c.TLS.ClientCA != ""):
		return errors.New("gate: tls: client_ca and require need cert and key")
	case c.TLS.ClientCA == "" && c.TLS.ClientCRL != "":
		return errors.New("gate: tls: client_crl needs client_ca: the authority whose lists they are")
	}
	if err := c.Policy.check(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		r := c.Roles[name]
		if r.Mode == "" {
			r.Mode = Enforce
		}
		for table, m := range r.Tables {
			if m != Enforce && m != Observe {
				return fmt.Errorf("gate: role %s: table %s: mode %q: use enforce or observe", name, table, m)
			}
		}
		if r.Mode != Enforce && r.Mode != Observe {
			return fmt.Errorf("gate: role %s: mode %q: use enforce or observe", name, r.Mode)
		}
		if r.User == "" {
			return fmt.Errorf("gate: role %s: user is missing: the login upstream", name)
		}
		c.Roles[name] = r
	}
	seen := map[string]bool{}
	for i, p := range c.Principals {
		if p.Name == "" || strings.ContainsRune(p.Name, 0) {
			return fmt.Errorf("gate: principals: the name of number %d is missing or malformed", i+1)
		}
		if seen[p.Name] {
			return fmt.Errorf("gate: principals: %s stands there twice", p.Name)
		}
		seen[p.Name] = true
		if _, ok := c.Roles[p.Role]; !ok {
			return fmt.Errorf("gate: principal %s: there is no role %q", p.Name, p.Role)
		}
		if p.SpeaksFor.Verified && !p.SpeaksFor.Terminal {
			return fmt.Errorf("gate: principal %s: speaks_for: verified is about the terminal that it may state: set terminal too", p.Name)
		}
		if _, err := ParseVerifier(p.Verifier); err != nil {
			return fmt.Errorf("gate: principal %s: %w", p.Name, err)
		}
	}
	return nil
}

// Enforces: some statement of this role's is enforced.
func (r *Role) Enforces() bool { return !r.observes() }

// observes: no statement of this role is ever enforced.
func (r *Role) observes() bool {
	for _, m := range r.Tables {
		if m == Enforce {
			return false
		}
	}
	return r.Mode == Observe
}

// modeFor is the mode of a statement over these tables: enforced if one is.
func (r *Role) modeFor(tables []string) Mode {
	if len(r.Tables) == 0 || len(tables) == 0 {
		return r.Mode
	}
	for _, t := range tables {
		m, ok := r.Tables[t]
		if !ok {
			m = r.Mode
		}
		if m == Enforce {
			return Enforce
		}
	}
	return Observe
}

// server makes the TLS side of the gate, or nil when it has no certificate, and
// the lists of client certificates that were taken back, if there are any.
func (t *TLS) server() (*tls.Config, []byte, *revocations, error) {
	if t.Cert == "" {
		return nil, nil, nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("reading the gate's certificate: %w", err)
	}
	var revoked *revocations
	conf := &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"postgresql"},
	}
	if t.ClientCA != "" {
		pem, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("reading the authority of client certificates: %w", err)
		}
		conf.ClientCAs = x509.NewCertPool()
		if !conf.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, nil, nil, fmt.Errorf("reading the authority of client certificates: %s holds no PEM certificate", t.ClientCA)
		}
		conf.ClientAuth = tls.VerifyClientCertIfGiven
		if conf.VerifyConnection, revoked, err = t.admits(); err != nil {
			return nil, nil, nil, err
		}
	}
	return conf, endPoint(cert.Leaf), revoked, nil
}
