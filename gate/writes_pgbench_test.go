package gate

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"sekisho"
	"sekisho/catalog"
)

// TPC-B over protected accounts: every account that was changed is named, and
// the sums agree.
func TestPgbenchOverProtectedAccounts(t *testing.T) {
	pgbench := program(t, "pgbench")
	h := newWritingHouse(t, "", func(o *options) {
		_, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, `
			create table public.pgbench_accounts (aid int primary key, bid int, abalance int default 0, filler char(84));
			create table public.pgbench_branches (bid int primary key, bbalance int default 0, filler char(88));
			create table public.pgbench_tellers (tid int primary key, bid int, tbalance int default 0, filler char(84));
			create table public.pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
			insert into public.pgbench_branches values (1); insert into public.pgbench_tellers select i, 1 from generate_series(1, 10) i;
			insert into public.pgbench_accounts select i, 1 from generate_series(1, 100000) i;
			grant all on all tables in schema public to staff; grant select on all tables in schema public to reader`)
		if err != nil {
			t.Fatal(err)
		}
		o.catalog.Subjects = append(o.catalog.Subjects, catalog.Subject{Name: "account", Table: "public.pgbench_accounts", Key: "aid"})
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "public.pgbench_accounts", Subject: "account", Key: "aid", Columns: map[string]string{"aid": "public", "bid": "public", "abalance": "payment"}})
	})
	for _, mode := range []string{"simple", "extended", "prepared"} {
		out, err := exec.Command(pgbench, "-n", "-M", mode, "-c", "4", "-t", "50", "-s", "1", h.dsn("sato")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "number of transactions actually processed: 200/200") {
			t.Fatalf("%s: %v\n%s", mode, err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "tps") || strings.Contains(line, "latency average") {
				t.Log(mode, strings.TrimSpace(line))
			}
		}
	}
	out, err := cluster.SQL(context.Background(), h.dbname, "select (select sum(delta) from pgbench_history) = (select sum(abalance) from pgbench_accounts); select distinct aid from pgbench_history")
	if err != nil {
		t.Fatal(err)
	}
	agree, changed, _ := strings.Cut(out, "\n")
	if agree != "t" {
		t.Error("the history and the accounts do not agree")
	}
	h.stop()
	named := map[string]bool{}
	for _, a := range h.accounts() {
		for _, k := range a.keys {
			if a.verb == sekisho.Update && a.class == sekisho.Exact {
				named[k] = true
			}
		}
	}
	aids := strings.Fields(changed)
	for _, aid := range aids {
		if !named[aid] {
			t.Errorf("account %s was changed, and nobody says so", aid)
		}
	}
	if len(aids) < 500 || len(aids) != len(named) {
		t.Errorf("%d accounts were changed, %d are named", len(aids), len(named))
	}
}
