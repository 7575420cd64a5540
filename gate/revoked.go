package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"sekisho/identity"
)

// Which client certificates count, once their signatures were found good.

// admits gives the check that comes after a handshake's own. It also runs when
// a TLS session is resumed, so a ticket does not outlive its certificate.
func (t *TLS) admits() (func(tls.ConnectionState) error, *revocations, error) {
	var r *revocations
	if t.ClientCRL != "" {
		r = &revocations{path: t.ClientCRL}
		if err := r.load(); err != nil {
			return nil, nil, err
		}
	}
	return func(cs tls.ConnectionState) error {
		if len(cs.VerifiedChains) == 0 {
			return nil // without a certificate: the endpoint is unverified
		}
		leaf := cs.VerifiedChains[0][0]
		err := sayable(leaf)
		if err == nil && r != nil {
			err = r.current().Check(cs.VerifiedChains, time.Now())
		}
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
		return nil
	}, r, nil
}

// revokedEvery is how often the gate looks whether somebody who is in shall not
// be any more.
const revokedEvery = time.Second

// endRevoked ends the sessions of certificates that were taken back while they
// were open. A list that only grew too old ends nobody: what it does not say,
// it does not say of those who are in either.
func (g *Gate) endRevoked(ctx context.Context) {
	if g.revoked == nil {
		return
	}
	tick := time.NewTicker(revokedEvery)
	defer tick.Stop()
	var seen *identity.Lists
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lists := g.revoked.current()
		if lists == seen {
			continue
		}
		seen = lists
		g.mu.Lock()
		for _, s := range g.sessions {
			if len(s.chains) > 0 && errors.Is(lists.Check(s.chains, time.Now()), identity.ErrRevoked) {
				s.end(&ending{reason: "revoked", why: &refusal{code: "57P01", text: "terminating connection: this terminal's certificate was taken back", hint: "Ask whoever issues the certificates for a new one."}})
			}
		}
		g.mu.Unlock()
	}
}

// sayable: the certificate's name can stand in the ledger and be read there for
// what it is. One without a name, or that calls itself unverified, is let in
// as somebody without a certificate.
func sayable(leaf *x509.Certificate) error {
	if name := leaf.Subject.CommonName; name == "" || strings.HasPrefix(name, identity.Unverified) {
		return nil
	}
	_, err := identity.NameOf(leaf)
	return err
}

// revocations is a file of revocation lists that is replaced while the gate
// runs.
type revocations struct {
	path string

	mu    sync.Mutex
	seen  os.FileInfo // of the file at the last try to read it
	lists *identity.Lists
	told  string // what the log last said against the file: not to be told for each client
}

// current gives the lists as the file has them now. A file that cannot be read
// leaves the lists as they were: what was revoked stays so, and a list ends by
// its own date.
func (r *revocations) current() *identity.Lists {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.path)
	if err == nil && r.seen != nil && os.SameFile(info, r.seen) && info.ModTime().Equal(r.seen.ModTime()) && info.Size() == r.seen.Size() {
		return r.lists
	}
	if err == nil {
		err = r.load()
		r.seen = info // a damaged file is read once
	}
	switch {
	case err == nil:
		r.told = ""
	case err.Error() != r.told:
		r.told = err.Error()
		slog.Warn("the file of revocation lists cannot be read: the lists read before stay in force", "error", err)
	}
	return r.lists
}

// load reads the file. The information is taken before the bytes: a change in
// between is seen at the next look.
func (r *revocations) load() error {
	f, err := os.Open(r.path)
	if err != nil {
		return fmt.Errorf("reading the revocation lists of client certificates: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading the revocation lists of client certificates: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, identity.MaxLists+1))
	if err != nil {
		return fmt.Errorf("reading the revocation lists of client certificates: %w", err)
	}
	lists, err := identity.ParseLists(text)
	if err != nil {
		return fmt.Errorf("reading the revocation lists of client certificates: %s: %w", r.path, err)
	}
	r.seen, r.lists = info, lists
	return nil
}
