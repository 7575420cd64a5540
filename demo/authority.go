package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sekisho/identity"
)

// An Authority signs the certificates of a demo: the gate's own, and those that
// name its terminals. It is the house's own authority, with certificates that
// count at any clock. It is for demos, drills and tests on one machine.
type Authority struct {
	*identity.Authority
	dir string
}

// What it signs is valid from long before any drill's clock until long after.
var (
	from = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	life = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Sub(from)
)

// OpenAuthority takes the authority in a directory, and makes it if there is
// none. Certificates go into the same directory: NAME.pem and NAME.key.
func OpenAuthority(dir string) (*Authority, error) {
	a, err := identity.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		a, err = identity.Make(dir, identity.Terms{Name: "sekisho demo", From: from, Life: life, Issuing: life})
	}
	if err != nil {
		return nil, fmt.Errorf("the demo's authority: %w", err)
	}
	return &Authority{a, dir}, nil
}

// CA is the file that those who trust the authority name.
func (a *Authority) CA() string { return a.Root() }

// Gate makes a certificate for the gate at 127.0.0.1 and localhost, unless it
// is there.
func (a *Authority) Gate() (cert, key string, err error) {
	return a.issue(identity.Request{Name: "gate", Hosts: []string{"127.0.0.1", "::1", "localhost"}})
}

// Endpoint makes a certificate that names a terminal, unless it is there.
func (a *Authority) Endpoint(name string) (cert, key string, err error) {
	return a.issue(identity.Request{Name: name})
}

func (a *Authority) issue(r identity.Request) (cert, key string, err error) {
	cert, key = filepath.Join(a.dir, r.Name+".pem"), filepath.Join(a.dir, r.Name+".key")
	if chain, err := os.ReadFile(cert); err == nil {
		if _, err := a.Ours(chain); err == nil {
			return cert, key, nil
		}
	}
	k, err := identity.NewKey(identity.P256)
	if err != nil {
		return "", "", err
	}
	r.From, r.Life = from, life
	c, err := a.Issue(k.Public(), r)
	if err != nil {
		return "", "", fmt.Errorf("the certificate of %s: %w", r.Name, err)
	}
	chain, err := a.Keep(c)
	if err != nil {
		return "", "", err
	}
	return cert, key, identity.WritePair(cert, key, chain, k) // the certificate last: where it is, its key is
}
