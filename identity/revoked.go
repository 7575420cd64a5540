package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrRevoked: the certificate, or one above it, was taken back by its issuer.
var ErrRevoked = errors.New("the certificate was revoked")

const (
	// MaxLists is the most bytes that a file of revocation lists may have.
	MaxLists = 32 << 20
	maxLists = 64 // in one file
)

// Lists are certificate revocation lists, one or more for each issuer (RFC 5280
// section 5). They are safe to use from several goroutines.
type Lists struct {
	lists []*list
}

type list struct {
	*x509.RevocationList
	serials map[string]bool

	mu    sync.Mutex
	valid map[[32]byte]bool // by certificate of an issuer: the signature is its
}

// ParseLists reads a file of lists in PEM. One that speaks only of a part of
// the certificates, or in a way that this program does not know, is refused: a
// list that is misread would let somebody in. Signatures are checked when a
// certificate is, against its own issuer.
func ParseLists(text []byte) (*Lists, error) {
	if len(text) > MaxLists {
		return nil, fmt.Errorf("reading revocation lists: more than %d bytes", MaxLists)
	}
	all := &Lists{}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			return nil, errors.New("reading revocation lists: a PEM block that is not an X509 CRL")
		}
		if len(all.lists) == maxLists {
			return nil, fmt.Errorf("reading revocation lists: more than %d", maxLists)
		}
		l, err := parseList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading revocation list %d: %w", len(all.lists)+1, err)
		}
		all.lists = append(all.lists, l)
	}
	if len(bytes.TrimSpace(text)) > 0 {
		// A block that was cut off must not pass for a file that ends before it.
		return nil, errors.New("reading revocation lists: something that is not PEM stands at the end")
	}
	if len(all.lists) == 0 {
		return nil, errors.New("reading revocation lists: there is none: it must be in PEM (X509 CRL)")
	}
	return all, nil
}

func parseList(der []byte) (*list, error) {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	for _, x := range crl.Extensions {
		if x.Critical {
			return nil, fmt.Errorf("it has a critical extension (%v): only complete lists of one issuer are understood", x.Id)
		}
	}
	l := &list{RevocationList: crl, serials: make(map[string]bool, len(crl.RevokedCertificateEntries)), valid: map[[32]byte]bool{}}
	for _, e := range crl.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical {
				return nil, fmt.Errorf("an entry of it has a critical extension (%v): only complete lists of one issuer are understood", x.Id)
			}
		}
		l.serials[e.SerialNumber.String()] = true
	}
	return l, nil
}

// of: the issuer signed this list.
func (l *list) of(issuer *x509.Certificate) bool {
	if !bytes.Equal(l.RawIssuer, issuer.RawSubject) {
		return false
	}
	key := sha256.Sum256(issuer.Raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	valid, known := l.valid[key]
	if !known {
		valid = l.CheckSignatureFrom(issuer) == nil
		if len(l.valid) < maxLists { // issuers come with the client; the chain above them is ours
			l.valid[key] = valid
		}
	}
	return valid
}

// Check says whether a certificate still counts, by the chains that verified
// it. If any certificate of any chain was revoked, ErrRevoked. Otherwise one
// chain must be covered: each issuer in it has a list that is in force now. So a
// list that is missing or too old refuses, as PostgreSQL does.
func (ls *Lists) Check(chains [][]*x509.Certificate, now time.Time) error {
	covered := false
	var missing error
	for _, chain := range chains {
		whole := true
		for i := 0; i+1 < len(chain); i++ {
			inForce := false
			for _, l := range ls.lists {
				if !l.of(chain[i+1]) {
					continue
				}
				if l.serials[chain[i].SerialNumber.String()] {
					return ErrRevoked
				}
				// A list from the future is one that somebody's clock is wrong about;
				// what it revokes is revoked already.
				if now.Before(l.NextUpdate) || l.NextUpdate.IsZero() {
					inForce = true
				}
			}
			if !inForce {
				whole, missing = false, fmt.Errorf("there is no revocation list in force of the issuer %q", chain[i+1].Subject.CommonName)
			}
		}
		covered = covered || whole
	}
	if !covered {
		if missing == nil {
			missing = errors.New("the certificate was not verified")
		}
		return missing
	}
	return nil
}
