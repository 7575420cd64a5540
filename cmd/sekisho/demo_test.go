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
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("before it was up: %v\n%s", err, r.said.String())
		}
		if strings.HasPrefix(line, "Ctrl-C ends everything") {
			break
		}
	}
	go io.Copy(io.Discard, lines)

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
	if said, err = r.sekisho("ledger", "verify", drill); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
