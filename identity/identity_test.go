package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var monday = time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC)

func newAuthority(t *testing.T, kind Algorithm) *Authority {
	t.Helper()
	a, err := Make(filepath.Join(t.TempDir(), "ca"), Terms{Name: "Sora Airlines", Algorithm: kind, From: monday})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issueTo issues a certificate and writes it as its owner has it: NAME.crt and
// NAME.key.
func issueTo(t *testing.T, a *Authority, kind Algorithm, r Request) (*x509.Certificate, string) {
	t.Helper()
	key, err := NewKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue(key.Public(), r)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.Keep(cert)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mine")
	if err := WritePair(path+".crt", path+".key", chain, key); err != nil {
		t.Fatal(err)
	}
	return cert, path + ".crt"
}

// chainsOf verifies a certificate as the gate does.
func chainsOf(t *testing.T, a *Authority, file string, at time.Time) [][]*x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := parseCerts(text)
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.root)
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Fatal(err)
	}
	return chains
}

func listsOf(t *testing.T, a *Authority) *Lists {
	t.Helper()
	text, err := os.ReadFile(a.Lists())
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseLists(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What this package makes is what OpenSSL, another reader of the same
// standards, takes for good, revoked or ended.
func TestOpenSSLAgrees(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	for _, kind := range []Algorithm{P256, Ed25519} {
		a := newAuthority(t, kind)
		_, good := issueTo(t, a, kind, Request{Name: "pc-0417", From: monday, Life: TerminalLife})
		bad, taken := issueTo(t, a, kind, Request{Name: "営業-端末 3", From: monday, Life: TerminalLife})
		if _, err := a.Revoke(Serial(bad), monday.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		verify := func(file string, at time.Time) string {
			cmd := exec.Command("openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", "-CAfile", a.Root(), "-untrusted", file,
				"-CRLfile", a.Lists(), "-attime", big.NewInt(at.Unix()).String(), file)
			out, _ := cmd.CombinedOutput()
			return string(out)
		}
		day := monday.Add(24 * time.Hour)
		if got := verify(good, day); !strings.HasSuffix(got, ": OK\n") {
			t.Errorf("%s: a good one: %s", kind, got)
		}
		if got := verify(taken, day); !strings.Contains(got, "certificate revoked") {
			t.Errorf("%s: a revoked one: %s", kind, got)
		}
		if got := verify(good, day.Add(TerminalLife)); !strings.Contains(got, "certificate has expired") {
			t.Errorf("%s: after its end: %s", kind, got)
		}
		lists := listsOf(t, a)
		if err := lists.Check(chainsOf(t, a, good, day), day); err != nil {
			t.Errorf("%s: we refuse the good one: %v", kind, err)
		}
		if err := lists.Check(chainsOf(t, a, taken, day), day); !errors.Is(err, ErrRevoked) {
			t.Errorf("%s: we let the revoked one in: %v", kind, err)
		}
		out, err := exec.Command("openssl", "x509", "-in", good, "-noout", "-subject", "-serial", "-ext", "basicConstraints,keyUsage,extendedKeyUsage").CombinedOutput()
		for _, want := range []string{"subject=CN = pc-0417", "CA:FALSE", "Digital Signature", "TLS Web Client Authentication"} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in %s", kind, want, out)
			}
		}
	}
}

// A serial number has 16 bytes, and none comes twice.
func TestSerialsAreRandom(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := newSerial()
		if s.BitLen() != 127 || seen[s.String()] {
			t.Fatalf("serial number %x", s)
		}
		seen[s.String()] = true
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"pc-0417", "営業-端末 3", "jump01.corp.example.jp", strings.Repeat("端", 64), "a/b", "tanaka@laptop"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                      "empty",
		strings.Repeat("x", 65): "more than 64",
		"unverified@10.0.0.1":   "begins with unverified@",
		"UNVERIFIED@10.0.0.1":   "begins with unverified@",
		"*.corp.example.jp":     "one endpoint",
		" pc-0417":              "space",
		"pc-0417 ":              "space",
		"pc-0417\nuser=admin":   "cannot be seen",
		"pc-0417\x00":           "cannot be seen",
		"pc-\x1b[2J0417":        "cannot be seen",
		"pc-\u202e7140":         "cannot be seen",
		"pc\u200b-0417":         "cannot be seen",
		"pc\u00a00417":          "cannot be seen",
		"pc\u30000417":          "cannot be seen",
		"pc-\xff":               "not UTF-8",
	} {
		err := CheckName(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
		if err != nil && name != "" && len(name) > 8 && strings.Contains(err.Error(), name) {
			t.Errorf("the error repeats %q", name)
		}
	}
	// And no certificate is issued for such a name.
	a := newAuthority(t, P256)
	key, _ := NewKey(P256)
	if _, err := a.Issue(key.Public(), Request{Name: "unverified@10.0.0.1", From: monday, Life: time.Hour}); err == nil {
		t.Error("a certificate that calls itself unverified was issued")
	}
}

// Programs differ in which of two common names they take.
func TestTwoCommonNames(t *testing.T) {
	cn := asn1.ObjectIdentifier{2, 5, 4, 3}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "pc-2", Names: []pkix.AttributeTypeAndValue{{Type: cn, Value: "pc-1"}, {Type: cn, Value: "pc-2"}}}}
	if _, err := NameOf(c); err == nil {
		t.Error("a certificate with two names was taken for one of them")
	}
}

func TestIssueRefuses(t *testing.T) {
	a := newAuthority(t, P256)
	key, _ := NewKey(P256)
	for what, r := range map[string]Request{
		"no time at all":                  {Name: "pc-1", From: monday},
		"longer than the issuing key has": {Name: "pc-1", From: monday, Life: IssuingLife + time.Hour},
		"after the issuing key's end":     {Name: "pc-1", From: monday.Add(IssuingLife), Life: time.Hour},
	} {
		if _, err := a.Issue(key.Public(), r); err == nil {
			t.Errorf("%s: issued", what)
		}
	}
	if _, err := a.Issue(a.key.Public(), Request{Name: "pc-1", From: monday, Life: time.Hour}); err == nil {
		t.Error("the issuing key itself was given an endpoint's name")
	}
}

// The root's key can be away; the issuing key must be there, alone, and its own.
func TestOpen(t *testing.T) {
	a := newAuthority(t, P256)
	for _, name := range []string{rootKey, issueKey} {
		if info, err := os.Stat(filepath.Join(a.dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := Make(a.dir, Terms{Name: "other", From: monday}); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("a second authority in the same directory: %v", err)
	}
	if err := os.Remove(filepath.Join(a.dir, rootKey)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(a.dir)
	if err != nil {
		t.Fatalf("without the root's key: %v", err)
	}
	issueTo(t, again, P256, Request{Name: "pc-1", From: monday, Life: time.Hour})
	key := filepath.Join(a.dir, issueKey)
	os.Chmod(key, 0o640)
	if _, err := Open(a.dir); err == nil || !strings.Contains(err.Error(), "read by others") {
		t.Errorf("a key that the group can read: %v", err)
	}
	other := newAuthority(t, P256)
	text, _ := os.ReadFile(filepath.Join(other.dir, issueKey))
	os.WriteFile(key, text, 0o600)
	os.Chmod(key, 0o600)
	if _, err := Open(a.dir); err == nil || !strings.Contains(err.Error(), "is not the key of") {
		t.Errorf("another's key: %v", err)
	}
}

func TestRevoke(t *testing.T) {
	a := newAuthority(t, P256)
	one, _ := issueTo(t, a, P256, Request{Name: "pc-1", From: monday, Life: time.Hour})
	two, _ := issueTo(t, a, P256, Request{Name: "pc-1", From: monday, Life: TerminalLife})
	three, file := issueTo(t, a, P256, Request{Name: "pc-3", From: monday, Life: TerminalLife})
	day := monday.Add(24 * time.Hour)
	taken, err := a.Revoke("pc-1", day)
	if err != nil || len(taken) != 1 || !taken[0].Equal(two) {
		t.Fatalf("revoking pc-1, whose first certificate has ended, took %d back: %v", len(taken), err)
	}
	if taken, err := a.Revoke("pc-1", day); err != nil || len(taken) != 0 {
		t.Errorf("once more: %d, %v", len(taken), err)
	}
	if _, err := a.Revoke("pc-2", day); err == nil {
		t.Error("an endpoint that never had a certificate was revoked")
	}
	// Another process, and a list that grows instead of beginning anew.
	again, err := Open(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Revoke(strings.ToUpper(Serial(three)), day); err != nil {
		t.Fatal(err)
	}
	all, err := a.List()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d certificates, %v", len(all), err)
	}
	for _, c := range all {
		if want := !c.Equal(one); !c.Revoked.IsZero() != want {
			t.Errorf("%s %s: revoked %v", c.Subject.CommonName, Serial(c.Certificate), c.Revoked)
		}
	}
	if err := listsOf(t, a).Check(chainsOf(t, a, file, day), day); !errors.Is(err, ErrRevoked) {
		t.Errorf("pc-3: %v", err)
	}
}

// After the issuing key was stolen: the root takes it back, and everything that
// it signed, also what the thief signs from now on.
func TestRenew(t *testing.T) {
	a := newAuthority(t, P256)
	_, old := issueTo(t, a, P256, Request{Name: "pc-1", From: monday, Life: TerminalLife})
	away := filepath.Join(t.TempDir(), "root.key") // the root's key, kept elsewhere
	if err := os.Rename(filepath.Join(a.dir, rootKey), away); err != nil {
		t.Fatal(err)
	}
	day := monday.Add(24 * time.Hour)
	if err := Renew(a.dir, filepath.Join(a.dir, issueKey), P256, day); err == nil {
		t.Error("the issuing key renewed itself")
	}
	if err := Renew(a.dir, away, P256, day); err != nil {
		t.Fatal(err)
	}
	_, forged := issueTo(t, a, P256, Request{Name: "pc-9", From: day, Life: time.Hour}) // a still holds the stolen key
	again, err := Open(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	_, fresh := issueTo(t, again, P256, Request{Name: "pc-1", From: day, Life: time.Hour})
	lists := listsOf(t, a)
	for file, want := range map[string]bool{old: true, forged: true, fresh: false} {
		if err := lists.Check(chainsOf(t, a, file, day), day); errors.Is(err, ErrRevoked) != want || !want && err != nil {
			t.Errorf("%v, want revoked %v", err, want)
		}
	}
	// A crash between the new list and the new key: a second try mends it.
	os.WriteFile(filepath.Join(a.dir, issueKey), []byte("cut o"), 0o600)
	if err := Renew(a.dir, away, Ed25519, day); err != nil {
		t.Error(err)
	}
	if _, err := Open(a.dir); err != nil {
		t.Error(err)
	}
}

// Each issuer needs a list of its own, signed by it, that has not ended.
func TestListsInForce(t *testing.T) {
	a, other := newAuthority(t, P256), newAuthority(t, P256)
	_, file := issueTo(t, a, P256, Request{Name: "pc-1", From: monday, Life: TerminalLife})
	chains := chainsOf(t, a, file, monday)
	text, _ := os.ReadFile(a.Lists())
	first, rest := pem.Decode(text)
	second, _ := pem.Decode(rest)
	for what, lists := range map[string][]byte{
		"only the root's list":        pem.EncodeToMemory(first),
		"only the issuing key's list": pem.EncodeToMemory(second),
	} {
		l, err := ParseLists(lists)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Check(chains, monday); err == nil || errors.Is(err, ErrRevoked) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := listsOf(t, other).Check(chains, monday); err == nil {
		t.Error("another authority's lists, with the same name of the root, cover ours")
	}
	if err := listsOf(t, a).Check(chains, monday.Add(RootLife+time.Hour)); err == nil {
		t.Error("lists that have ended still count")
	}
	if err := listsOf(t, a).Check(nil, monday); err == nil {
		t.Error("no chain at all was let through")
	}
}

func TestParseListsRefuses(t *testing.T) {
	a := newAuthority(t, P256)
	text, _ := os.ReadFile(a.Lists())
	block, _ := pem.Decode(text)
	partial, err := x509.CreateRevocationList(nil, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: monday, NextUpdate: monday.Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}}, a.issuer, a.key)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]string{
		"nothing":                     "",
		"DER":                         string(block.Bytes),
		"a certificate":               string(certPEM(a.root)),
		"a list cut short":            string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: block.Bytes[:len(block.Bytes)-3]})),
		"a file cut within its end":   string(text[:len(text)-20]),
		"a list of what changed only": string(listPEM(partial)),
		"too many lists":              strings.Repeat(string(pem.EncodeToMemory(block)), maxLists+1),
	} {
		if _, err := ParseLists([]byte(bad)); err == nil {
			t.Errorf("%s was taken for lists", what)
		}
	}
}

// Whatever a file holds, reading it ends, and what is read can be asked.
func FuzzParseLists(f *testing.F) {
	dir := f.TempDir()
	a, err := Make(filepath.Join(dir, "ca"), Terms{Name: "fuzz", From: monday})
	if err != nil {
		f.Fatal(err)
	}
	text, _ := os.ReadFile(a.Lists())
	f.Add(text)
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	chains := [][]*x509.Certificate{{a.issuer, a.root}}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLists(b)
		if err != nil {
			return
		}
		if len(l.lists) == 0 {
			t.Error("an empty file was taken for lists")
		}
		l.Check(chains, monday)
	})
}
