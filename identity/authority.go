package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The files of an authority, in one directory.
const (
	rootCert  = "root.crt"    // what the gate trusts: tls.client_ca
	rootKey   = "root.key"    // signs issuing certificates only; may be carried away
	issueCert = "issuing.crt" // goes with each certificate that it signed
	issueKey  = "issuing.key"
	listFile  = "revoked.crl" // the root's list and the issuing key's: tls.client_crl
	issued    = "issued"      // a directory: each certificate as SERIAL.crt
)

// How long things live, and the most that may be asked for.
const (
	RootLife     = 20 * 365 * 24 * time.Hour
	IssuingLife  = 5 * 365 * 24 * time.Hour
	PersonLife   = 12 * time.Hour
	TerminalLife = 30 * 24 * time.Hour
	MostLife     = 398 * 24 * time.Hour

	// skew is by how much a client's or gate's clock may be behind the
	// authority's.
	skew = 5 * time.Minute
)

// Algorithm is the kind of a key.
type Algorithm string

const (
	P256    Algorithm = "p256"    // ECDSA, which every client knows
	Ed25519 Algorithm = "ed25519" // RFC 8410; not in older Java
)

// NewKey makes a private key.
func NewKey(kind Algorithm) (crypto.Signer, error) {
	switch kind {
	case P256, "":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("no such kind of key: %q: use %s or %s", string(kind), P256, Ed25519)
}

// Terms of a new authority.
type Terms struct {
	Name      string // of the company; stands in the authority's own certificates
	Algorithm Algorithm
	From      time.Time
	// Life and Issuing are of the root's and the issuing certificate; the defaults
	// are RootLife and IssuingLife.
	Life, Issuing time.Duration
}

// An Authority issues and revokes. It works without the root's key.
type Authority struct {
	dir    string
	root   *x509.Certificate
	issuer *x509.Certificate
	key    crypto.Signer
}

// Make makes an authority in a directory that has none. The issuing key is
// written last but for the lists: a directory that a crash left half made is
// refused by Open and by Make, and can be removed.
func Make(dir string, t Terms) (*Authority, error) {
	a, err := makeAuthority(dir, t)
	if err != nil {
		return nil, fmt.Errorf("making an authority in %s: %w", dir, err)
	}
	return a, nil
}

func makeAuthority(dir string, t Terms) (*Authority, error) {
	if err := CheckName(t.Name); err != nil {
		return nil, fmt.Errorf("its name: %w", err)
	}
	if t.Life == 0 {
		t.Life = RootLife
	}
	if t.Issuing == 0 {
		t.Issuing = min(IssuingLife, t.Life)
	}
	if err := os.MkdirAll(filepath.Join(dir, issued), 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{rootCert, rootKey, issueCert, issueKey, listFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is there already: an authority is never overwritten", name)
		}
	}
	key, err := NewKey(t.Algorithm)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: clipName(t.Name + " root")},
		NotBefore: t.From.Add(-skew), NotAfter: t.From.Add(t.Life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &Authority{dir: dir}
	if a.root, err = sign(template, template, key.Public(), key); err != nil {
		return nil, err
	}
	text, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, rootKey), text); err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(dir, rootCert), certPEM(a.root), 0o644); err != nil {
		return nil, err
	}
	rootList, err := newList(nil, a.root, key, nil, t.From)
	if err != nil {
		return nil, err
	}
	return a, a.newIssuer(t.Name, key, t.Algorithm, t.From, t.Issuing, rootList)
}

// newIssuer makes an issuing key, which the root vouches for, and an empty list
// for it beside the root's.
func (a *Authority) newIssuer(name string, root crypto.Signer, kind Algorithm, from time.Time, life time.Duration, rootList []byte) (err error) {
	if a.key, err = NewKey(kind); err != nil {
		return err
	}
	serial := newSerial()
	template := &x509.Certificate{
		// A name of its own, so that its list is never taken for an earlier one's.
		SerialNumber: serial, Subject: pkix.Name{CommonName: clipName(name+" issuing") + " " + hex.EncodeToString(serial.Bytes()[:4])},
		NotBefore: from.Add(-skew), NotAfter: earlier(from.Add(life), a.root.NotAfter),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if a.issuer, err = sign(template, a.root, a.key.Public(), root); err != nil {
		return err
	}
	list, err := newList(nil, a.issuer, a.key, nil, from)
	if err != nil {
		return err
	}
	text, err := keyPEM(a.key)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{listFile, append(rootList, list...), 0o644}, {issueCert, certPEM(a.issuer), 0o644}, {issueKey, text, 0o600}} {
		if err := replace(filepath.Join(a.dir, f.name), f.text, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// Open opens the authority of a directory, to issue and to revoke. A key that
// others may read is refused.
func Open(dir string) (*Authority, error) {
	a, err := open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("opening the authority in %s: %w: \"sekisho ca init\" makes one, and --ca names where it is", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the authority in %s: %w", dir, err)
	}
	return a, nil
}

func open(dir string) (a *Authority, err error) {
	a = &Authority{dir: dir}
	if a.root, err = readCert(filepath.Join(dir, rootCert)); err != nil {
		return nil, err
	}
	if a.issuer, err = readCert(filepath.Join(dir, issueCert)); err != nil {
		return nil, err
	}
	if a.key, err = readKey(filepath.Join(dir, issueKey)); err != nil {
		return nil, err
	}
	if !sameKey(a.key.Public(), a.issuer.PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s", issueKey, issueCert)
	}
	return a, a.issuer.CheckSignatureFrom(a.root)
}

// Root is the file that the gate is to trust, as tls.client_ca.
func (a *Authority) Root() string { return filepath.Join(a.dir, rootCert) }

// Issuer is the certificate of the issuing key.
func (a *Authority) Issuer() *x509.Certificate { return a.issuer }

// Lists is the file that the gate is to read as tls.client_crl.
func (a *Authority) Lists() string { return filepath.Join(a.dir, listFile) }

// A Request is for one certificate. A server's is for the gate itself, and for
// tests; endpoints get a client's.
type Request struct {
	Name  string // the endpoint, or the server's common name
	From  time.Time
	Life  time.Duration
	Hosts []string // names and addresses: then it is a server's
}

// Issue signs a certificate for a public key. Nothing is written: Keep does
// that, after the ledger has its entry.
func (a *Authority) Issue(public crypto.PublicKey, r Request) (*x509.Certificate, error) {
	if err := CheckName(r.Name); err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	if r.Life <= 0 || r.From.Add(r.Life).After(a.issuer.NotAfter) {
		return nil, fmt.Errorf("issuing a certificate: it would have to end after now and by %s, when the issuing certificate ends: `sekisho ca renew` makes a new one", a.issuer.NotAfter.Format(time.DateOnly))
	}
	if sameKey(public, a.key.Public()) || sameKey(public, a.root.PublicKey) {
		return nil, errors.New("issuing a certificate: the authority's own key names no endpoint")
	}
	t := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: r.Name},
		NotBefore: r.From.Add(-skew), NotAfter: r.From.Add(r.Life),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, host := range r.Hosts {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	cert, err := sign(t, a.issuer, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	return cert, nil
}

// Keep takes a certificate into the directory of those that were issued, and
// gives the PEM text that its owner needs: it and the issuing certificate.
// Durable on return.
func (a *Authority) Keep(cert *x509.Certificate) (chain []byte, err error) {
	if err := writeNew(filepath.Join(a.dir, issued, Serial(cert)+".crt"), certPEM(cert)); err != nil {
		return nil, fmt.Errorf("keeping a certificate: %w", err)
	}
	return append(certPEM(cert), certPEM(a.issuer)...), nil
}

// Ours says whether a certificate comes from this authority, in whatever year:
// chain is the PEM text that Keep gave.
func (a *Authority) Ours(chain []byte) (*x509.Certificate, error) {
	certs, err := parseCerts(chain)
	if err != nil {
		return nil, err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.root)
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err = certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: certs[0].NotBefore.Add(skew), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return certs[0], err
}

// Issued is a certificate and whether it was taken back.
type Issued struct {
	*x509.Certificate
	Revoked time.Time // zero if it was not
}

// List gives what was issued, in the order of beginning.
func (a *Authority) List() ([]Issued, error) {
	_, mine, err := a.lists()
	if err != nil {
		return nil, fmt.Errorf("listing certificates: %w", err)
	}
	gone := map[string]time.Time{}
	for _, e := range mine.RevokedCertificateEntries {
		gone[e.SerialNumber.String()] = e.RevocationTime
	}
	names, err := os.ReadDir(filepath.Join(a.dir, issued))
	if err != nil {
		return nil, fmt.Errorf("listing certificates: %w", err)
	}
	var all []Issued
	for _, e := range names {
		if filepath.Ext(e.Name()) != ".crt" {
			continue
		}
		cert, err := readCert(filepath.Join(a.dir, issued, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("listing certificates: %w", err)
		}
		all = append(all, Issued{cert, gone[cert.SerialNumber.String()]})
	}
	slices.SortStableFunc(all, func(a, b Issued) int { return a.NotBefore.Compare(b.NotBefore) })
	return all, nil
}

// Revoke takes certificates back: all of an endpoint that have not ended, or
// the one with a serial number. It gives those that it took back now, and none
// if all of them had been. The list is replaced whole, and durable on return.
func (a *Authority) Revoke(name string, now time.Time) (taken []*x509.Certificate, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("revoking %s: %w", name, err)
		}
	}()
	// Two revocations at once would each write a list without the other's.
	unlock, err := lock(a.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	all, err := a.List()
	if err != nil {
		return nil, err
	}
	known := false
	for _, c := range all {
		if c.Subject.CommonName == name && now.Before(c.NotAfter) || Serial(c.Certificate) == strings.ToLower(name) {
			if known = true; c.Revoked.IsZero() {
				taken = append(taken, c.Certificate)
			}
		}
	}
	if !known {
		return nil, errors.New("no certificate that has not ended has that name or serial number: `sekisho ca list` shows all")
	}
	if len(taken) == 0 {
		return nil, nil
	}
	root, mine, err := a.lists()
	if err != nil {
		return nil, err
	}
	text, err := newList(mine, a.issuer, a.key, taken, now)
	if err != nil {
		return nil, err
	}
	return taken, replace(a.Lists(), append(listPEM(root.Raw), text...), 0o644)
}

// Renew makes a new issuing key, and takes the one before it back with all that
// it signed. It needs the root's key; nothing else does. It is what to do when
// the issuing key was stolen or lost, or when its certificate is about to end.
func Renew(dir, rootKeyFile string, kind Algorithm, now time.Time) error {
	if err := renew(dir, rootKeyFile, kind, now); err != nil {
		return fmt.Errorf("renewing the issuing key in %s: %w", dir, err)
	}
	return nil
}

func renew(dir, rootKeyFile string, kind Algorithm, now time.Time) (err error) {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	a := &Authority{dir: dir}
	if a.root, err = readCert(a.Root()); err != nil {
		return err
	}
	if a.issuer, err = readCert(filepath.Join(dir, issueCert)); err != nil {
		return err
	}
	key, err := readKey(rootKeyFile)
	if err != nil {
		return err
	}
	if !sameKey(key.Public(), a.root.PublicKey) {
		return fmt.Errorf("%s is not the key of %s", rootKeyFile, rootCert)
	}
	root, _, err := a.lists()
	if err != nil {
		return err
	}
	text, err := newList(root, a.root, key, []*x509.Certificate{a.issuer}, now)
	if err != nil {
		return err
	}
	// The list is written first: after a crash behind it nobody comes in with the
	// old key, and another Renew makes the new one.
	return a.newIssuer(strings.TrimSuffix(a.root.Subject.CommonName, " root"), key, kind, now, IssuingLife, text)
}

// lists reads the root's list and the issuing key's own.
func (a *Authority) lists() (root, mine *x509.RevocationList, err error) {
	text, err := os.ReadFile(a.Lists())
	if err != nil {
		return nil, nil, err
	}
	all, err := ParseLists(text)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range all.lists {
		switch {
		case l.of(a.issuer):
			mine = l.RevocationList
		case l.of(a.root):
			root = l.RevocationList
		}
	}
	if root == nil {
		return nil, nil, fmt.Errorf("%s holds no list of the root", listFile)
	}
	if mine == nil { // a crash in Renew
		mine = &x509.RevocationList{}
	}
	return root, mine, nil
}

// Serial is a serial number as it stands in the ledger and in names of files.
func Serial(cert *x509.Certificate) string { return fmt.Sprintf("%032x", cert.SerialNumber) }

// newSerial is random, so that nobody can foresee what will be signed (CA/B
// Forum's rule of 64 bits, twice over). The highest bit of 128 is kept 0, as
// DER's INTEGER would need another byte.
func newSerial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x7f | 0x40 // so it is never short either
	return new(big.Int).SetBytes(b)
}

func clipName(name string) string {
	r := []rune(name)
	return strings.TrimSpace(string(r[:min(len(r), maxName-10)]))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// lock holds a directory for one process.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}
