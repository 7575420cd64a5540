package gate

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// pgDump is pg_dump of one table through the gate.
func (h *house) pgDump(table string, more ...string) (out, said string, err error) {
	tool, err := exec.LookPath("pg_dump")
	if err != nil {
		h.t.Skip("there is no pg_dump: install Debian's postgresql-client")
	}
	cmd := exec.Command(tool, append([]string{"-d", h.dsn("sato"), "-t", table}, more...)...)
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
