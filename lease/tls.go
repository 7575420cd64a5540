package lease

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"sekisho/identity"
)

// channel is the TLS of both sides: each shows a certificate of the one root, and
// none that was taken back. now is for lists and certificates.
func channel(c Config, server bool, now func() time.Time) (*tls.Config, error) {
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("leases: reading ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("leases: ca: %s holds no certificate in PEM", c.CA)
	}
	own := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("leases: reading cert and key: %w", err)
		}
		return &pair, nil
	}
	if _, err := own(); err != nil {
		return nil, err
	}
	if _, err := lists(c.CRL); err != nil {
		return nil, err
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS13, Time: now,
		VerifyConnection: func(cs tls.ConnectionState) error { return counts(c.CRL, cs, now()) },
	}
	if server {
		conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, roots
		conf.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own() }
		return conf, nil
	}
	conf.RootCAs = roots
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() }
	return conf, nil
}

// lists reads the revocation lists; nil if the config has none.
func lists(path string) (*identity.Lists, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("leases: reading crl: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, identity.MaxLists+1))
	if err != nil {
		return nil, fmt.Errorf("leases: reading crl: %w", err)
	}
	ls, err := identity.ParseLists(text)
	if err != nil {
		return nil, fmt.Errorf("leases: crl: %s: %w", path, err)
	}
	return ls, nil
}

// counts: the other side's certificate has not been taken back. It is asked for
// each question again, so that a connection does not outlive its certificate.
func counts(crl string, cs tls.ConnectionState, now time.Time) error {
	if len(cs.VerifiedChains) == 0 {
		return errors.New("leases: the other side shows no certificate")
	}
	if leaf := cs.VerifiedChains[0][0]; now.After(leaf.NotAfter) {
		return fmt.Errorf("leases: the other side's certificate ended on %s", leaf.NotAfter.Format(time.DateTime))
	}
	ls, err := lists(crl)
	if err != nil || ls == nil {
		return err
	}
	return ls.Check(cs.VerifiedChains, now)
}

// nameIn is the common name that the other side's certificate has.
func nameIn(cs *tls.ConnectionState) (string, error) {
	if cs == nil || len(cs.VerifiedChains) == 0 {
		return "", errors.New("leases: the other side shows no certificate")
	}
	return identity.NameOf(cs.VerifiedChains[0][0])
}

// CheckFiles looks whether this side's certificate, key, root and lists can be
// used.
func CheckFiles(c Config) error {
	_, err := channel(c, c.Issues(), time.Now)
	return err
}
