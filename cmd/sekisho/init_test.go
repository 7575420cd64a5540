package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sekisho/demo"
)

// newcomer is a person with a database and the program: no config yet.
func newcomer(t *testing.T) (r *running, cluster *demo.Cluster, dsn string) {
	t.Helper()
	r = &running{t: t, dir: t.TempDir()}
	os.Chmod(r.dir, 0o711)
	_, cluster = store(t, r.dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(r.dir, "sekisho")); err != nil {
		t.Fatal(err)
	}
	return r, cluster, fmt.Sprintf("host=%s port=%d user=%s dbname=%s", cluster.SocketDir(), cluster.Port(), cluster.Superuser(), demo.Database)
}

// TestInit: from a database that nobody has described to a sekisho in front of
// it, and no value on the way.
func TestInit(t *testing.T) {
	r, _, dsn := newcomer(t)
	path := filepath.Join(r.dir, "sekisho.yaml")
	said, err := r.sekisho("init", dsn, "--out", path)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := r.sekisho("policy", "check", "--config", path); err != nil || !strings.Contains(said, "of which 0 fail") {
		t.Errorf("the policy beside the new config: %v: %s", err, said)
	}
	asJSON, err := r.sekisho("init", dsn, "--json")
	if err != nil || !json.Valid([]byte(asJSON)) {
		t.Errorf("--json: %v: %.300s", err, asJSON)
	}
	for i := range 2000 {
		m := demo.MemberAt(storeSeed, i)
		for _, v := range []string{m.Email, m.Phone, m.NameLatin, m.NameKanji, m.Address} {
			if v != "" && (strings.Contains(string(text), v) || strings.Contains(said, v) || strings.Contains(asJSON, v)) {
				t.Fatalf("a value of member %d came out", i)
			}
		}
	}

	// It is not written over, unless that is asked for.
	if said, err := r.sekisho("init", dsn, "--out", path); err == nil || !strings.Contains(said, "--force") {
		t.Errorf("a second init: %v: %s", err, said)
	}
	said, err = r.sekisho("init", dsn, "--out", path, "--force", "--lang", "ja")
	if err != nil || !strings.Contains(said, "対象者    member (crm.member.member_no)") {
		t.Errorf("in Japanese: %v: %s", err, said)
	}

	c, _, err := readConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Gate.Check(); err != nil {
		t.Error(err)
	}
	if len(c.Gate.Roles) == 0 {
		t.Error("none of the logins became a role")
	}
	for name, role := range c.Gate.Roles {
		if role.Mode != "observe" {
			t.Errorf("role %s begins in mode %q", name, role.Mode)
		}
	}
	// As it is written, it stands in front of the database; only the ports are
	// made free ones.
	b, _ := os.ReadFile(path)
	os.WriteFile(path, regexp.MustCompile(`listen: 127.0.0.1:\d+`).ReplaceAll(b, []byte("listen: 127.0.0.1:0")), 0o600)
	os.Remove(filepath.Join(r.dir, "sekisho")) // up makes its own
	r.up()
	r.stop()
}

// A database without tables, or a login that sees none, is no success to go on from.
func TestInitOfNothing(t *testing.T) {
	r, cluster, dsn := newcomer(t)
	if _, err := cluster.SQL(t.Context(), demo.Database, "create database nothing"); err != nil {
		t.Fatal(err)
	}
	for lang, want := range map[string]string{"en": "this login sees no table of yours", "ja": "このログインに見える表がない"} {
		said, err := r.sekisho("init", strings.Replace(dsn, "dbname="+demo.Database, "dbname=nothing", 1), "--out", filepath.Join(r.dir, lang+".yaml"), "--lang", lang)
		if err != nil || !strings.Contains(said, want) {
			t.Errorf("%s: %v: %s", lang, err, said)
		}
	}
}

// TestInitPassword: the password comes from the environment, as with psql, and
// stands nowhere afterwards.
func TestInitPassword(t *testing.T) {
	r, cluster, _ := newcomer(t)
	password, err := cluster.Password(demo.CallCentre)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(r.dir, "sekisho"), "init", "--out", "-")
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "PGHOST="+cluster.SocketDir(), "PGUSER="+demo.CallCentre, "PGDATABASE="+demo.Database)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.Contains(string(out), password) {
		t.Error("the password came out")
	}
	// What this login may not read is judged by its name, and said to be.
	if want := "crm.credential. Why: the login may not read it"; !strings.Contains(string(out), want) {
		t.Errorf("no %q in:\n%s", want, out)
	}
	if want := "password_hash: credential"; !strings.Contains(string(out), want) {
		t.Errorf("no %q in:\n%s", want, out)
	}
}
