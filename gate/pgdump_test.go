package gate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is one of PostgreSQL's own: the one that lies beside the server, if
// the tests are told of a server and it runs here.
func program(t testing.TB, name string) string {
	t.Helper()
	if dir := os.Getenv("SEKISHO_TEST_POSTGRES"); dir != "" {
		if path := filepath.Join(dir, name); exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		t.Fatalf("there is no %s: install Debian's postgresql", name)
	}
	return found[len(found)-1]
}

// pgDump is pg_dump of one table through the gate.
func (h *house) pgDump(table string, more ...string) (out, said string, err error) {
	cmd := exec.Command(program(h.t, "pg_dump"), append([]string{"-d", h.dsn("sato"), "-t", table}, more...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// pg_dump of a protected table is an export like any other: it is cut, asked
// for, approved by somebody else, and then goes through once, as it would
// without the gate.
func TestPgDumpWithAnApprovedExport(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(100, &h))
	if out, said, err := h.pgDump("crm.airport"); err != nil || !strings.Contains(out, "Haneda") {
		t.Fatalf("of what is about nobody: %v %s", err, said)
	}
	_, said, err := h.pgDump("crm.member", "--data-only")
	if err == nil {
		t.Fatal("a dump of a protected table needs nobody's agreement")
	}
	h.approve(reference(t, said), 1000, time.Now().Add(time.Hour))
	out, said, err := h.pgDump("crm.member", "--data-only")
	if err != nil || strings.Count(out, "@example.jp") != 1000 {
		t.Fatalf("the approved dump: %v %s, %d members", err, said, strings.Count(out, "@example.jp"))
	}
	if strings.Contains(out, "__sekisho") {
		t.Error("the dump holds the gate's own columns")
	}
	if _, _, err := h.pgDump("crm.member", "--data-only"); err == nil {
		t.Error("the approval serves twice")
	}
	h.stop()
	named := map[string]bool{}
	for _, a := range h.accounts() {
		for _, k := range a.keys {
			named[k] = true
		}
	}
	if len(named) != 1000 {
		t.Errorf("the ledger names %d", len(named))
	}
}
