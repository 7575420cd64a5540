package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sekisho/demo"
)

// typed runs a command with words on its standard input.
func (r *running) typed(words string, args ...string) (string, error) {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.dir, "sekisho"), args...)
	cmd.Stdin = strings.NewReader(words + "\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// From two people's keys to the database with sekisho down, and back into the
// ledger.
func TestBreakGlass(t *testing.T) {
	r := start(t)
	in := func(name string) string { return filepath.Join(r.dir, name) }
	people := []string{"ito", "sato", "kato"}
	args := []string{"breakglass", "seal", "--database", fmt.Sprintf("host=%s port=%d user=%s dbname=%s", r.cluster.SocketDir(), r.cluster.Port(), r.cluster.Superuser(), demo.Database), "--login", "glass", "--grant", demo.CallCentre, "--days", "30", "--out", in("glass.sealed")}
	for _, name := range people {
		out, err := r.typed("the words of "+name, "breakglass", "key", "--out", in(name+".key"))
		if err != nil || !strings.HasPrefix(out, "age1") {
			t.Fatalf("%v: %s", err, out)
		}
		args = append(args, "--person", name+"="+strings.TrimSpace(out))
	}
	if out, err := r.typed("short", "breakglass", "key", "--out", in("short.key")); err == nil {
		t.Errorf("a short passphrase is taken: %s", out)
	}
	out, err := r.sekisho(args...)
	if err != nil || !strings.Contains(out, "any two of 3 people") || !strings.Contains(out, "note: log_destination") {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := r.sekisho(args...); err == nil {
		t.Errorf("an envelope is replaced: %s", out)
	}
	if out, err := r.sekisho("breakglass", "status", in("glass.sealed"), "--lang", "ja"); err != nil || !strings.Contains(out, "未開封、glass（") || !strings.Contains(out, "次のうち二人: ito、sato、kato") {
		t.Errorf("in Japanese: %v: %s", err, out)
	}
	if out, err := r.sekisho("breakglass", "status", in("glass.sealed")); err != nil || !strings.Contains(out, "closed, glass at") || !strings.Contains(out, "ito, sato, kato") {
		t.Errorf("%v: %s", err, out)
	}

	r.psql("select 1") // so that the terminal is known
	// With sekisho down, kato takes the outer layer off and ito opens the rest.
	r.stop()
	if out, err := r.typed("the words of kato", "breakglass", "open", in("glass.sealed"), "--key", in("kato.key"), "--out", in("half")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := r.typed("the words of kato", "breakglass", "open", in("half"), "--key", in("kato.key"), "--out", in("glass.pgpass")); err == nil {
		t.Fatalf("one person opens it alone: %s", out)
	}
	out, err = r.typed("the words of ito", "breakglass", "open", in("half"), "--key", in("ito.key"), "--out", in("glass.pgpass"))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if info, err := os.Stat(in("glass.pgpass")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the password file: %v, %v", info, err)
	}
	pass, _ := os.ReadFile(in("glass.pgpass"))
	secret := strings.TrimSpace(string(pass[strings.LastIndexByte(string(pass), ':')+1:]))
	if strings.Contains(out, secret) {
		t.Error("the password is printed")
	}
	dsn := regexp.MustCompile(`psql "([^"]+)"`).FindStringSubmatch(out)[1]
	psql := exec.Command("psql", "-XAtd", dsn, "-c", "show log_statement", "-c", "select count(*) from crm.member")
	psql.Env = append(os.Environ(), "PGPASSFILE="+in("glass.pgpass"))
	if got, err := psql.CombinedOutput(); err != nil || string(got) != "all\n2000\n" {
		t.Errorf("behind glass: %v: %s", err, got)
	}

	// What the database has logged, as its csvlog would be.
	line := func(n int, message string) string {
		return fmt.Sprintf(`2026-01-02 03:04:05.678 UTC,"glass","crm",7,"10.1.2.3:4711",69571f25.7,%d,"SELECT",2026-01-02 03:00:00 UTC,4/2,0,LOG,00000,"%s",,,,,,,,,"psql","client backend",,0`+"\n", n, message)
	}
	os.WriteFile(in("postgresql.csv"), []byte(line(1, "statement: show log_statement")+line(2, "statement: select count(*) from crm.member")), 0o600)
	r.up()
	if out := r.must("breakglass", "import", "--login", "glass", in("postgresql.csv")); !strings.Contains(out, "1 session, any-row accesses: 1") {
		t.Errorf("imported: %s", out)
	}
	if out := r.must("breakglass", "import", "--login", "glass", in("postgresql.csv")); !strings.Contains(out, "0 sessions, any-row accesses: 0") {
		t.Errorf("imported again: %s", out)
	}
	if out := r.must("impact", "--endpoint", demoEndpoint, "--since", "2020-01-01", "--until", "2100-01-01"); !strings.Contains(out, "worst case          2,000") {
		t.Errorf("the worst case does not count it: %s", out)
	}
	r.stop()
	if strings.Contains(r.said.String(), secret) {
		t.Error("the log holds the password")
	}
}
