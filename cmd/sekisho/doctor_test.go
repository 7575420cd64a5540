package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/demo"
)

// doctored runs the doctor and gives its exit status.
func (r *running) doctored(args ...string) (out string, code int) {
	r.t.Helper()
	out, err := r.sekisho(append([]string{"doctor", "--config", filepath.Join(r.dir, "sekisho.yaml")}, args...)...)
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return out, ended.ExitCode()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return out, 0
}

// TestDoctor: on the demo's house, running and stopped, and on one that is ill.
func TestDoctor(t *testing.T) {
	r := start(t)
	out, code := r.doctored()
	for _, want := range []string{
		"ok       the config", "ok       PostgreSQL",
		"  a sync of the disk takes", // which on a busy machine may be long enough for a warning
		"the 5 tables of the config are in the database",
		"warning  superusers read everything", "→ keep few",
		// The gate listens on a free port here, which is always free.
		"is free, or its own",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if code != 1 || strings.Contains(out, "FAILURE") {
		t.Errorf("the demo's house has warnings and no failures, so the status is 1; it is %d:\n%s", code, out)
	}

	out, code = r.doctored("--lang", "ja")
	if code != 1 || !strings.Contains(out, "正常") || !strings.Contains(out, "警告") {
		t.Errorf("in Japanese, status %d:\n%s", code, out)
	}

	var report struct {
		Worst    string
		Counts   map[string]int
		Findings []struct{ Check, Level, Text, Hint string }
	}
	cmd := exec.Command(filepath.Join(r.dir, "sekisho"), "doctor", "--json", "--config", filepath.Join(r.dir, "sekisho.yaml"))
	b, _ := cmd.Output() // its status was looked at above
	if err := json.Unmarshal(b, &report); err != nil || report.Worst != "warning" || len(report.Findings) != report.Counts["ok"]+report.Counts["warning"]+report.Counts["unknown"] {
		t.Errorf("--json: %v: %+v", err, report)
	}

	// It leaves nothing behind.
	left, err := filepath.Glob(filepath.Join(r.dir, "live", ".sekisho-doctor-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}

	// A policy that the gate would not begin with is told before it is started.
	tests := filepath.Join(r.dir, "policy", "default.tests")
	was, err := os.ReadFile(tests)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(tests, append(was, "\nread credential role=call_centre -> allow\n"...), 0o600)
	if out, code := r.doctored(); code != 2 || !strings.Contains(out, "FAILURE  the gate does not begin with this policy: 1 of the policy's") || !strings.Contains(out, "→ sekisho policy check") {
		t.Errorf("a test of the policy fails, status %d:\n%s", code, out)
	}
	os.WriteFile(tests, was, 0o600)

	r.stop()
	os.Chmod(filepath.Join(r.dir, "live"), 0o755)
	out, code = r.doctored()
	if code != 2 || !strings.Contains(out, "FAILURE  others can enter the data directory") {
		t.Errorf("status %d:\n%s", code, out)
	}
	out, code = r.doctored("--config", filepath.Join(r.dir, "none.yaml"))
	if code != 2 || !strings.Contains(out, "FAILURE  the config") {
		t.Errorf("without a config the status is %d:\n%s", code, out)
	}
	if out, code = r.doctored("--lang", "xx"); code != 2 || !strings.Contains(out, "use en or ja") {
		t.Errorf("an unknown language, status %d:\n%s", code, out)
	}
}

// TestInitThenDoctor: what init writes is what doctor can judge, and doctor says
// that the login that looked is too powerful.
func TestInitThenDoctor(t *testing.T) {
	r, cluster, dsn := newcomer(t)
	if said, err := r.sekisho("init", dsn, "--out", filepath.Join(r.dir, "sekisho.yaml")); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	// The passwords of the roles, where the file says.
	os.Mkdir(filepath.Join(r.dir, "secrets"), 0o700)
	for _, role := range demo.Roles {
		password, err := cluster.Password(role)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(r.dir, "secrets", role), []byte(password), 0o600)
	}
	out, code := r.doctored()
	if want := "FAILURE  " + cluster.Superuser() + " has more power than the gate can answer for: SUPERUSER"; code != 2 || !strings.Contains(out, want) {
		t.Errorf("status %d, no %q in:\n%s", code, want, out)
	}
	for _, want := range []string{"ok       these logins connect, and can do no more than they need: " + demo.Analyst, "ok       every column of the protected tables is classified"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}
