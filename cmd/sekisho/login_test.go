package main

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/identity"
	"sekisho/ledger"
	"sekisho/vault"
)

// withAuthority makes an authority as `sekisho ca init` does, and has a running
// house trust it.
func withAuthority(t *testing.T) (r *running, ca string) {
	t.Helper()
	r = start(t)
	r.stop()
	ca = filepath.Join(r.dir, "ca")
	if out, err := r.sekisho("ca", "init", "--ca", ca); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := filepath.Join(r.dir, "sekisho.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^( *)client_ca: .*$`).ReplaceAllString(string(b), "${1}client_ca: ca/root.crt\n${1}client_crl: ca/revoked.crl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.up()
	return r, ca
}

// A login from end to end: the printed line brings a person in at the endpoint
// that the certificate names, until it is revoked; and the ledger has it all.
func TestLogin(t *testing.T) {
	r, ca := withAuthority(t)
	config, home := filepath.Join(r.dir, "sekisho.yaml"), filepath.Join(r.dir, "home")
	login := func(more ...string) (string, error) {
		return r.sekisho(append([]string{"login", demoUser, "--config", config, "--ca", ca, "--home", home, "--endpoint", "jump01", "--gate", r.gate}, more...)...)
	}
	out, err := login()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	line := regexp.MustCompile(`(?m)^  psql "(.*)"$`).FindStringSubmatch(out)
	if line == nil {
		t.Fatalf("no line for psql in\n%s", out)
	}
	ask := func() string {
		// The demo's gate has a certificate of another authority.
		cmd := exec.Command("psql", "-XqAt", "-d", strings.Replace(line[1], "AUTHORITY.crt", r.login.ca, 1), "-c", "select name_latin from crm.member limit 1")
		cmd.Env = append(os.Environ(), "PGPASSFILE="+r.login.passfile)
		text, err := cmd.CombinedOutput()
		if err != nil {
			return "ERROR " + string(text)
		}
		return strings.TrimSpace(string(text))
	}
	if got := ask(); got == "" || strings.HasPrefix(got, "ERROR") {
		t.Fatalf("the printed line brought %q", got)
	}
	// What drivers of Java read (PKCS #8 in DER) is the same key.
	der, err := os.ReadFile(filepath.Join(home, demoUser+".pk8"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(home, demoUser+".key"))
	if err != nil {
		t.Fatal(err)
	}
	if block, _ := pem.Decode(text); block == nil || !bytes.Equal(block.Bytes, der) || !strings.Contains(out, demoUser+".pk8\n") {
		t.Errorf("the key for DBeaver is another one, or is not told of:\n%s", out)
	}
	for _, file := range []string{demoUser + ".key", demoUser + ".pk8", "."} {
		info, err := os.Stat(filepath.Join(home, file))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}

	// Once more is another certificate; what is somebody else's stays.
	if out, err := login("--ttl", "1h"); err != nil {
		t.Errorf("once more: %v: %s", err, out)
	}
	if got := ask(); strings.HasPrefix(got, "ERROR") {
		t.Errorf("with the second certificate: %s", got)
	}
	if out, err := login("--endpoint", "jump02"); err == nil || !strings.Contains(out, "another endpoint") {
		t.Errorf("over another endpoint's key: %v: %s", err, out)
	}
	if out, err := r.sekisho("login", "stranger", "--config", config, "--ca", ca, "--home", home); err == nil || !strings.Contains(out, "no principal") {
		t.Errorf("a stranger: %v: %s", err, out)
	}
	foreign := filepath.Join(r.dir, "elsewhere")
	os.Mkdir(foreign, 0o700)
	if err := os.WriteFile(filepath.Join(foreign, demoUser+".key"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := login("--home", foreign); err == nil || !strings.Contains(out, "left as it is") {
		t.Errorf("over a key of something else: %v: %s", err, out)
	}
	os.Chmod(foreign, 0o777)
	if out, err := login("--home", foreign); err == nil || !strings.Contains(out, "only you can write") {
		t.Errorf("where everybody can write: %v: %s", err, out)
	}

	// Revoked while the gate runs.
	if out, err := r.sekisho("ca", "revoke", "jump01", "--ca", ca, "--config", config); err != nil || strings.Count(out, "revoked ") != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	if got := ask(); !strings.HasPrefix(got, "ERROR") {
		t.Errorf("with a revoked certificate: %q", got)
	}
	// And one that has ended.
	a, err := identity.Open(ca)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.NewKey(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue(key.Public(), identity.Request{Name: "jump01", From: time.Now().Add(-2 * time.Minute), Life: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.Keep(cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.WritePair(filepath.Join(home, demoUser+".crt"), filepath.Join(home, demoUser+".key"), chain, key); err != nil {
		t.Fatal(err)
	}
	if got := ask(); !strings.HasPrefix(got, "ERROR") {
		t.Errorf("with a certificate that has ended: %q", got)
	}

	r.stop()
	if out, err := login("--home", filepath.Join(r.dir, "another")); err == nil || !strings.Contains(out, "no sekisho is running") {
		t.Errorf("without a house: %v: %s", err, out)
	}
	search(t, "standard error", []byte(r.said.String()), []string{"PRIVATE KEY", demoUser})
	got := certified(t, filepath.Join(r.dir, "live"))
	if want := "login jump01 " + demoUser + ", login jump01 " + demoUser + ", revoked jump01, revoked jump01; sessions at jump01: 2"; got != want {
		t.Errorf("the ledger says %s, want %s", got, want)
	}
}

// certified is what a stopped ledger says of certificates and their use.
func certified(t *testing.T, data string) string {
	t.Helper()
	key, err := vault.LoadOrMakeKey(filepath.Join(data, "vault.key"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(vault.Config{Dir: filepath.Join(data, "vault"), FS: disk.OS{}, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var done []string
	sessions := 0
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(data, "ledger"), 1) {
		if err != nil {
			t.Fatal(err)
		}
		switch b := e.Body.(type) {
		case *sekisho.Certified:
			who := ""
			if name, ok := v.Space("staff").Key(b.Principal); ok {
				who = " " + name
			}
			if b.By == 0 || b.Until == 0 || len(b.Serial) != 32 {
				t.Errorf("%+v", b)
			}
			done = append(done, b.Action+" "+b.Endpoint+who)
		case *sekisho.SessionOpened:
			if b.Endpoint == "jump01" && b.Verified {
				sessions++
			}
		}
	}
	return strings.Join(done, ", ") + fmt.Sprint("; sessions at jump01: ", sessions)
}

// The printed line is pasted into a shell: nothing in a name may run there, or
// end the quotes of a connection string.
func TestLoginLineIsSafeToPaste(t *testing.T) {
	name := "o'brien \\ \"$(touch evil)\" `touch evil`"
	en, err := console.NewTeller("en", nil)
	if err != nil {
		t.Fatal(err)
	}
	text := howToConnect(en, name, "/home/x/.sekisho/n", "/root.crt", "[::1]:6543", "it's", &x509.Certificate{Subject: pkix.Name{CommonName: "jump01"}})
	line := strings.Split(text, "\n")[2]
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", strings.Replace(line, "psql", "printf %s", 1))
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	who, _, _ := strings.Cut(string(out), " sslmode=") // what follows names files, which would be read
	conf, err := pgconn.ParseConfig(who + " sslmode=disable")
	if err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if conf.User != name || conf.Database != "it's" || conf.Host != "::1" || conf.Port != 6543 {
		t.Errorf("%s is read as user %q, database %q at %s:%d", out, conf.User, conf.Database, conf.Host, conf.Port)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Error("a name ran in the shell")
	}
}
