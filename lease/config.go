package lease

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"sekisho/identity"
)

// Config says with whom this gate shares its budgets. With gates, it is the
// issuer; with from, it spends what another one grants. Without either it has
// its budgets to itself.
type Config struct {
	// Listen is the address of the issuer's door, such as 10.0.0.5:7443.
	Listen string `yaml:"listen"`
	// Gates are the others, each with its number and the name in its certificate.
	Gates []Known `yaml:"gates"`
	// From is the issuer, at a gate that is not it.
	From From `yaml:"from"`
	// Cert and Key are this gate's own PEM files: at the issuer a server's
	// (sekisho ca issue NAME --host ADDRESS), else a client's (sekisho ca issue
	// NAME). They are read again for each connection.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// CA is the file with the root that both sides trust: root.crt of sekisho ca.
	CA string `yaml:"ca"`
	// CRL is the file of revocation lists, as gate.tls.client_crl.
	CRL string `yaml:"crl"`
	// Lasts is how long a share can be spent without a word from the issuer, which
	// decides it. From 10s to 24h; default 1h.
	Lasts time.Duration `yaml:"lasts"`
	// Margin is how much longer the issuer waits: for clocks that run at another
	// rate, and for rows that were charged and are still on their way. From 1s;
	// default 1m.
	Margin time.Duration `yaml:"margin"`
	// Every is how often a gate looks what it could give back, and whether the
	// issuer is there. Default 5s.
	Every time.Duration `yaml:"every"`
}

// Known is a gate that may ask for shares.
type Known struct {
	// Number is its `number`.
	Number uint32 `yaml:"number"`
	// Name is the common name of its certificate.
	Name string `yaml:"name"`
}

// From says where shares come from.
type From struct {
	// Address of the issuer's door: host:port.
	Address string `yaml:"address"`
	// Name is the common name of the issuer's certificate.
	Name string `yaml:"name"`
	// Number is the issuer's `number`.
	Number uint32 `yaml:"number"`
}

// Issues: this gate has the limits, and others ask it.
func (c *Config) Issues() bool { return len(c.Gates) > 0 }

// Borrows: this gate spends what another one grants.
func (c *Config) Borrows() bool { return c.From.Address != "" }

// Check fills in defaults, takes paths against base, and names the first mistake.
// number is this gate's own.
func (c *Config) Check(base string, number uint32) error {
	for _, p := range []*string{&c.Cert, &c.Key, &c.CA, &c.CRL} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	if c.Lasts == 0 {
		c.Lasts = time.Hour
	}
	if c.Margin == 0 {
		c.Margin = time.Minute
	}
	if c.Every == 0 {
		c.Every = 5 * time.Second
	}
	if !c.Issues() && !c.Borrows() {
		if c.Listen != "" || c.From != (From{}) {
			return errors.New("leases: give gates at the issuer, or from.address at a gate that asks one")
		}
		return nil
	}
	switch {
	case c.Issues() && c.Borrows():
		return errors.New("leases: gates and from exclude each other: one gate grants the shares of all")
	case c.Cert == "" || c.Key == "" || c.CA == "":
		return errors.New("leases: cert, key and ca are needed: gates know each other by certificates (sekisho ca)")
	case c.Lasts < 10*time.Second || c.Lasts > 24*time.Hour:
		return fmt.Errorf("leases: lasts %s: give from 10s to 24h", c.Lasts)
	case c.Margin < time.Second:
		return fmt.Errorf("leases: margin %s: give 1s or more", c.Margin)
	case c.Every < 10*time.Millisecond || c.Every > c.Lasts/3:
		return fmt.Errorf("leases: every %s: give a third of lasts at most", c.Every)
	}
	if c.Borrows() {
		if _, _, err := net.SplitHostPort(c.From.Address); err != nil {
			return fmt.Errorf("leases: from: address %q: give host:port", c.From.Address)
		}
		if err := identity.CheckName(c.From.Name); err != nil {
			return fmt.Errorf("leases: from: name: %w", err)
		}
		if c.From.Number == 0 || c.From.Number == number {
			return fmt.Errorf("leases: from: number %d: give the issuer's, which is not this gate's own (number: %d)", c.From.Number, number)
		}
		return nil
	}
	if c.Listen == "" {
		return errors.New("leases: listen is missing: the address at which the gates ask")
	}
	names, numbers := map[string]bool{}, map[uint32]bool{number: true}
	for _, g := range c.Gates {
		if err := identity.CheckName(g.Name); err != nil {
			return fmt.Errorf("leases: gates: the name of gate %d: %w", g.Number, err)
		}
		if g.Number == 0 || numbers[g.Number] || names[g.Name] {
			return fmt.Errorf("leases: gates: %s, number %d: each gate has a name and a number of its own, and %d is the issuer's", g.Name, g.Number, number)
		}
		names[g.Name], numbers[g.Number] = true, true
	}
	return nil
}
