package gate

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/identity"
)

// asks is what psql prints for a member's name, over TLS and with the
// certificate at path.crt and path.key.
func asks(h *house, path string) string {
	dsn := strings.Replace(h.dsn("sato"), "sslmode=disable", "", 1) +
		fmt.Sprintf(" sslmode=verify-full sslrootcert=%s sslcert='%s.crt' sslkey='%s.key'", h.ca.file, path, path)
	cmd := exec.Command("psql", "-XqAt", "-d", dsn, "-c", "select name from crm.member where member_no=1001")
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// A certificate comes in until it is revoked or has ended, and the gate learns
// of it while it runs.
func TestRevokedWhileRunning(t *testing.T) {
	ca, err := identity.Make(filepath.Join(t.TempDir(), "ca"), identity.Terms{Name: "test", From: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(o *options) { o.gate.TLS.ClientCA, o.gate.TLS.ClientCRL = ca.Root(), ca.Lists() })
	issue := func(name string, kind identity.Algorithm, from time.Time, life time.Duration) string {
		key, err := identity.NewKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.Issue(key.Public(), identity.Request{Name: name, From: from, Life: life})
		if err != nil {
			t.Fatal(err)
		}
		chain, err := ca.Keep(cert)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(h.dir, name)
		if err := identity.WritePair(path+".crt", path+".key", chain, key); err != nil {
			t.Fatal(err)
		}
		return path
	}
	now := time.Now()
	first, second := issue("pc-0417", identity.P256, now, time.Hour), issue("pc-0533", identity.Ed25519, now, time.Hour)
	ended := issue("pc-0600", identity.P256, now.Add(-2*time.Hour), time.Hour)
	for _, path := range []string{first, second} {
		if got := asks(h, path); got != "name1\n" {
			t.Fatalf("%s: %q", filepath.Base(path), got)
		}
	}
	if got := asks(h, ended); strings.Contains(got, "name1") {
		t.Error("a certificate that has ended was let in")
	}
	if _, err := ca.Revoke("pc-0417", now); err != nil {
		t.Fatal(err)
	}
	if got := asks(h, first); strings.Contains(got, "name1") {
		t.Error("a revoked certificate was let in")
	}
	if got := asks(h, second); got != "name1\n" {
		t.Errorf("beside a revoked one: %q", got)
	}
	// A file that is damaged or gone brings nobody back.
	for what, spoil := range map[string]func() error{
		"damaged": func() error { return os.WriteFile(ca.Lists(), []byte("-----BEGIN X509 CRL-----\nAAA"), 0o644) },
		"gone":    func() error { return os.RemoveAll(ca.Lists()) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if got := asks(h, first); strings.Contains(got, "name1") {
			t.Errorf("with the lists %s a revoked certificate was let in", what)
		}
		if got := asks(h, second); got != "name1\n" {
			t.Errorf("with the lists %s: %q", what, got)
		}
	}
	h.stop()
	seen := map[string]int{}
	for _, e := range h.entries() {
		switch b := e.Body.(type) {
		case *sekisho.SessionOpened:
			seen[fmt.Sprint(b.Endpoint, " ", b.Verified)]++
		case *sekisho.SessionRefused:
			seen[b.Reason]++
		}
	}
	if got := fmt.Sprint(seen); got != "map[certificate:4 pc-0417 true:1 pc-0533 true:4]" {
		t.Errorf("the ledger says %s", got)
	}
}

// A gate that was told of lists does not start without them.
func TestListsMustBeThere(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.server(t, t.TempDir())
	conf := TLS{Cert: cert, Key: key, ClientCA: ca.file, ClientCRL: filepath.Join(t.TempDir(), "none.crl")}
	if _, _, _, err := conf.server(); err == nil || !strings.Contains(err.Error(), "revocation lists") {
		t.Errorf("a missing file: %v", err)
	}
	conf.ClientCRL = ca.file
	if _, _, _, err := conf.server(); err == nil || !strings.Contains(err.Error(), "not an X509 CRL") {
		t.Errorf("a certificate in place of lists: %v", err)
	}
}

// signAnything makes a certificate that the house's own authority would not.
func signAnything(t *testing.T, ca *authority, name, path string) {
	t.Helper()
	key, err := identity.NewKey(identity.P256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.WritePair(path+".crt", path+".key", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key); err != nil {
		t.Fatal(err)
	}
}

// A name that would lie in the ledger does not get in, whoever signed it.
func TestNamesThatLie(t *testing.T) {
	h := newHouse(t)
	for i, name := range []string{"pc-0417\nendpoint=pc-1", "pc-\u202e7140", "*.corp.example.jp", strings.Repeat("x", 65), "UNVERIFIED@10.0.0.1", "pc-0417\x1b[2J"} {
		path := filepath.Join(h.dir, fmt.Sprint("lies", i))
		signAnything(t, h.ca, name, path)
		if got := asks(h, path); strings.Contains(got, "name1") {
			t.Errorf("%q was let in", name)
		}
	}
	h.stop()
	refused := 0
	for _, e := range h.entries() {
		switch b := e.Body.(type) {
		case *sekisho.SessionOpened:
			t.Errorf("a session of %q", b.Endpoint)
		case *sekisho.SessionRefused:
			refused++
			if b.Endpoint != "unverified@127.0.0.1" || b.Reason != "certificate" {
				t.Errorf("refused: %+v", b)
			}
		}
	}
	if refused != 6 {
		t.Errorf("%d refusals", refused)
	}
}

// Who is in when a certificate is taken back, is out soon after: also one who
// has never asked anything, and one who waits for an answer. Others go on.
func TestRevocationEndsSessions(t *testing.T) {
	ctx := context.Background()
	ca, err := identity.Make(filepath.Join(t.TempDir(), "ca"), identity.Terms{Name: "test", From: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, late, func(o *options) { o.gate.TLS.ClientCA, o.gate.TLS.ClientCRL = ca.Root(), ca.Lists() })
	connect := func(name string) *pgx.Conn {
		path := filepath.Join(h.dir, name)
		if _, err := os.Stat(path + ".crt"); err != nil {
			key, err := identity.NewKey(identity.P256)
			if err != nil {
				t.Fatal(err)
			}
			cert, err := ca.Issue(key.Public(), identity.Request{Name: name, From: time.Now(), Life: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			chain, err := ca.Keep(cert)
			if err != nil {
				t.Fatal(err)
			}
			if err := identity.WritePair(path+".crt", path+".key", chain, key); err != nil {
				t.Fatal(err)
			}
		}
		dsn := strings.Replace(h.dsn("sato"), "sslmode=disable", "", 1) + fmt.Sprintf(" sslmode=verify-full sslrootcert=%s sslcert='%s.crt' sslkey='%s.key'", h.ca.file, path, path)
		c, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(ctx) })
		return c
	}
	good, idle, asked, busy := connect("pc-0533"), connect("pc-0417"), connect("pc-0417"), connect("pc-0417")
	without := h.connect("sato", "sslmode=require")
	for _, c := range []*pgx.Conn{good, asked, without} {
		if _, err := c.Exec(ctx, "select 1"); err != nil {
			t.Fatal(err)
		}
	}
	end := make(chan error, 1)
	go func() { _, err := busy.Exec(ctx, "select pg_sleep(60)"); end <- err }()
	eventually(t, "the statement runs", func() bool { return h.backendsOf("staff") == 4 })
	if _, err := ca.Revoke("pc-0417", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := <-end; sqlstate(err) != "57P01" || !strings.Contains(err.Error(), "taken back") {
		t.Errorf("who waited for an answer: %v", err)
	}
	eventually(t, "the three sessions have ended", func() bool { return strings.Join(h.reasons(), " ") == "revoked revoked revoked" })
	for _, c := range []*pgx.Conn{idle, asked} {
		if _, err := c.Exec(ctx, "select 1"); sqlstate(err) != "57P01" {
			t.Errorf("who asks again: %v", err)
		}
	}
	for _, c := range []*pgx.Conn{good, without} {
		if _, err := c.Exec(ctx, "select 1"); err != nil {
			t.Errorf("somebody else: %v", err)
		}
	}
	eventually(t, "the server is rid of them", func() bool { return h.backendsOf("staff") == 2 })
}
