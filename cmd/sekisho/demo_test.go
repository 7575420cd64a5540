package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDemoAnswers: while the demo is up, the commands reach both of its
// houses, the live one and the drill's.
func TestDemoAnswers(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o711)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, dir: dir}
	name := filepath.Join(dir, "sekisho") // the test program is the command when it is called by its name
	os.Symlink(self, name)
	cmd := exec.Command(name, "demo", "--members", "3000", "--dir", filepath.Join(dir, "var"))
	cmd.Stderr = &r.said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewReader(out)
	psql, member := "", ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("before it was up: %v\n%s", err, r.said.String())
		}
		if at := strings.TrimSpace(line); strings.HasPrefix(at, "PGPASSFILE=") {
			psql = at
		} else if _, no, ok := strings.Cut(at, "where member_no = "); ok {
			member = strings.TrimSuffix(no, ";")
		}
		if strings.HasPrefix(line, "Ctrl-C ends everything") {
			break
		}
	}
	go io.Copy(io.Discard, lines)

	// What the demo invites to works, and the shipped policy decides.
	for sql, want := range map[string]string{
		"select name_kanji, email, address from crm.member where member_no = " + member: "|",
		"select passport_no from crm.passport limit 1":                                  "*",
		"select password_hash from crm.credential limit 1":                              "passwords and payment data are never shown to, or changed by, people / パスワード",
		"select member_no from crm.member order by member_no":                           "sekisho export request",
	} {
		said, err := exec.Command("sh", "-c", psql+" -XAtc '"+sql+"'").CombinedOutput()
		if !strings.Contains(string(said), want) {
			t.Errorf("%s: %v: %.300s", sql, err, said)
		}
	}

	config := filepath.Join(dir, "var", "sekisho.yaml")
	if said, err := r.sekisho("budget", "--config", config); err != nil || !strings.Contains(said, demoUser) {
		t.Errorf("the budgets: %v: %s", err, said)
	}
	if said, err := r.sekisho("export", "list", "--config", config); err != nil || !strings.Contains(said, demoUser) {
		t.Errorf("what can be asked for: %v: %s", err, said)
	}

	drill := filepath.Join(dir, "var", "drill-jal-2014")
	said, err := r.sekisho("impact", "--ledger", drill, "--endpoint", "pc-0417", "--since", "2014-08-18", "--until", "2014-09-23", "--list", "suspected")
	if err != nil || !strings.HasPrefix(strings.TrimPrefix(said, "\ufeff"), "member") || strings.Count(said, "\n") < 100 {
		t.Errorf("the drill's house: %v: %.300s", err, said)
	}
	if said, err = r.sekisho("user", "reset", "admin", "--ledger", filepath.Join(dir, "var", "live")); err != nil {
		t.Errorf("the live house: %v: %s", err, said)
	}

	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, r.said.String())
	}
	// The house that the drill leaves beside the live one is no intruder.
	if strings.Contains(r.said.String(), "passed the gate by") {
		t.Errorf("the demo raised an alert about itself: %s", r.said.String())
	}
	if said, err = r.sekisho("ledger", "verify", drill); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
