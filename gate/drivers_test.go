package gate

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// psycopg 2 and 3 give their programs the same through the gate as directly,
// and all whom they read or write are named.
func TestPsycopg(t *testing.T) {
	run := func(dsn string) string {
		cmd := exec.Command("/usr/bin/python3", "testdata/drivers.py") // Debian's, which has Debian's packages
		cmd.Stdin = strings.NewReader(dsn + "\n")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return string(out)
	}
	open := newWritingHouse(t, "")
	want := run(fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s", cluster.SocketDir(), cluster.Port(), open.dbname))
	open.stop()
	h := newWritingHouse(t, "")
	diff(t, "what the program prints", run(h.dsn("sato")), want)
	h.stop()
	named := map[string]bool{}
	for _, a := range h.accounts() {
		for _, key := range a.keys {
			named[key] = true
		}
	}
	for _, span := range [][2]int{{1001, 1017}, {1020, 1023}, {9001, 9003}} {
		for n := span[0]; n <= span[1]; n++ {
			if !named[fmt.Sprint(n)] {
				t.Errorf("customer %d is not in the ledger", n)
			}
			delete(named, fmt.Sprint(n))
		}
	}
	if len(named) > 0 {
		t.Errorf("others are: %v", slices.Sorted(func(yield func(string) bool) {
			for key := range named {
				if !yield(key) {
					return
				}
			}
		}))
	}
}
