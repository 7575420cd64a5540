package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// An Authority signs the certificates of a demo: the gate's own, and those that
// name its terminals. It is for demos, drills and tests on one machine; a
// company has its own.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// OpenAuthority takes the authority in a directory, and makes it if there is
// none. Certificates go into the same directory: NAME.pem and NAME.key.
func OpenAuthority(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the demo's authority: %w", err)
	}
	a := &Authority{dir: dir}
	if err := a.load(); err == nil {
		return a, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the demo's authority: %w", err)
	}
	if err := a.make(); err != nil {
		return nil, fmt.Errorf("making the demo's authority: %w", err)
	}
	return a, nil
}

// CA is the file that those who trust the authority name.
func (a *Authority) CA() string { return filepath.Join(a.dir, "ca.pem") }

func (a *Authority) load() error {
	c, err := os.ReadFile(a.CA())
	if err != nil {
		return err
	}
	k, err := os.ReadFile(filepath.Join(a.dir, "ca.key"))
	if err != nil {
		return err
	}
	cb, _ := pem.Decode(c)
	kb, _ := pem.Decode(k)
	if cb == nil || kb == nil {
		return fmt.Errorf("%s holds no PEM: remove it to have a new authority made", a.dir)
	}
	if a.cert, err = x509.ParseCertificate(cb.Bytes); err != nil {
		return err
	}
	key, err := x509.ParsePKCS8PrivateKey(kb.Bytes)
	if err != nil {
		return err
	}
	var ok bool
	if a.key, ok = key.(*ecdsa.PrivateKey); !ok {
		return errors.New("the authority's key is of another kind")
	}
	return nil
}

func (a *Authority) make() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := template("sekisho demo authority")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.key = key
	return a.write("ca", der, key)
}

// Gate makes a certificate for the gate at 127.0.0.1 and localhost, unless it
// is there.
func (a *Authority) Gate() (cert, key string, err error) {
	return a.issue("gate", func(t *x509.Certificate) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		t.DNSNames = []string{"localhost"}
	})
}

// Endpoint makes a certificate that names a terminal, unless it is there.
func (a *Authority) Endpoint(name string) (cert, key string, err error) {
	return a.issue(name, func(t *x509.Certificate) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
}

func (a *Authority) issue(name string, shape func(*x509.Certificate)) (cert, key string, err error) {
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	if _, err := os.Stat(key); err == nil {
		return cert, key, nil
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := template(name)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	shape(t)
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &k.PublicKey, a.key)
	if err != nil {
		return "", "", fmt.Errorf("issuing a certificate for %s: %w", name, err)
	}
	return cert, key, a.write(name, der, k)
}

// template is valid from long before any drill's clock until long after.
func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// write puts the key in place last: a key that is there has its certificate.
func (a *Authority) write(name string, der []byte, key *ecdsa.PrivateKey) error {
	kb, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		ext, kind string
		der       []byte
	}{{".pem", "CERTIFICATE", der}, {".key", "PRIVATE KEY", kb}} {
		if err := writeFile(filepath.Join(a.dir, name+f.ext), pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})); err != nil {
			return err
		}
	}
	return nil
}
