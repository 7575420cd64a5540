package gate

import (
	_ "embed"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

//go:embed testdata/psql.sql
var psqlScript string

// psql's backslash commands print the same through the gate as directly, also
// where what they are about is protected, and whom its reads show is named.
func TestPsqlOverProtectedTables(t *testing.T) {
	h := newWritingHouse(t, "comment on table crm.member is 'who flies'; create index on crm.member (email); create statistics crm.correlated on city, name from crm.member; alter table crm.member add check (member_no > 0)")
	tool := program(t, "psql")
	run := func(dsn string) string {
		cmd := exec.Command(tool, "-X", "-d", dsn, "-f", "-")
		cmd.Stdin, cmd.Dir = strings.NewReader(psqlScript), t.TempDir()
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	direct := run(fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s", cluster.SocketDir(), cluster.Port(), h.dbname))
	diff(t, "what psql prints", run(h.dsn("sato")), direct)
	if n := strings.Count(direct, "\n"); n < 1000 {
		t.Errorf("psql printed only %d lines:\n%s", n, direct)
	}
	h.stop()
	named := map[string]bool{}
	for _, a := range h.accounts() {
		for _, key := range a.keys {
			named[key] = true
		}
	}
	for key := 1001; key <= 1031; key++ {
		if !named[fmt.Sprint(key)] {
			t.Errorf("customer %d is not in the ledger", key)
		}
	}
	if len(named) != 31 {
		t.Errorf("the ledger names %d customers", len(named))
	}
}
