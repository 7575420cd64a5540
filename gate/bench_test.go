package gate

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sekisho"
	"sekisho/act"
	"sekisho/budget"
	"sekisho/catalog"
)

// TestBenchServer is the gate's side of bench/gate.sh, and runs only for it: a
// real cluster with a large table and a real gate in front of it, until its
// standard input ends.
func TestBenchServer(t *testing.T) {
	dir := os.Getenv("SEKISHO_BENCH_DIR")
	if dir == "" {
		t.Skip("only for bench/gate.sh")
	}
	Processors()
	rows := os.Getenv("SEKISHO_BENCH_ROWS")
	_, policy := withPolicy(t, benchPolicy)
	hour, month := budget.Span(time.Hour), budget.Span(30*24*time.Hour)
	// So many that they never end: what is measured is the counting.
	common := func(o *options) {
		veiled := o.gate.Principals[0]
		veiled.Name, veiled.Role = "veiled", "veiled"
		o.gate.Principals, o.gate.Roles["veiled"] = append(o.gate.Principals, veiled), o.gate.Roles["staff"]
		o.ledger.SegmentBytes = 0
		o.log = logToNobody{}
		o.catalog.Subjects = append(o.catalog.Subjects, catalog.Subject{Name: "bench", Table: "crm.bench", Key: "member_no", Roster: catalog.Roster{Labels: map[string]string{"phone": "phone"}}})
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.bench", Subject: "bench", Key: "member_no", Columns: map[string]string{"member_no": "identity", "name": "identity", "email": "contact"},
			Masks: map[string]string{"email": "email"}})
	}
	budgets := withBudgets(budget.Budget{Name: "hour", Customers: 1 << 30, Within: hour}, budget.Budget{Name: "month", Customers: 1 << 30, Within: month})
	h := newHouse(t, policy, budgets, common, func(o *options) {
		o.gate.TLS = TLS{}
		_, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, `
create table crm.bench (member_no bigint primary key, name text, email text, address text, phone text);
insert into crm.bench select i, 'name of '||i, 'mail'||i||'@example.jp', 'an address of some length, in a street of a town '||i, '0312345678' from generate_series(1,`+rows+`) i;
create view crm.bench_masked as select member_no, name,
	case when strpos(reverse(email), '@') > 0 and strpos(reverse(email), '@') < length(email)
		then left(email, 1) || '***' || right(email, strpos(reverse(email), '@')) else repeat('*', length(email)) end::text as email, address, phone from crm.bench;
grant select on crm.bench, crm.bench_masked to staff, reader;
vacuum analyze crm.bench;`+audited())
		if err != nil {
			t.Fatal(err)
		}
	})
	// The keys are known, as they are once a roster has been read.
	if _, err := h.gate.ReadRoster(context.Background(), "bench", nil); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(h.addr)
	settings := fmt.Sprintf("gate_host=%s\ngate_port=%s\nserver_dir=%s\nserver_port=%d\ndatabase=%s\n", host, port, cluster.SocketDir(), cluster.Port(), h.dbname)
	if os.Getenv("SEKISHO_BENCH_TLS") != "" {
		// Another gate before the same database, with TLS on both sides.
		safe := newHouse(t, policy, budgets, common, func(o *options) {
			o.gate.Upstream.Host, o.gate.Upstream.SSLMode, o.gate.Upstream.Database = tlsAddress, "require", h.dbname
		})
		if _, err := safe.gate.ReadRoster(context.Background(), "bench", nil); err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(safe.addr)
		settings += fmt.Sprintf("tls_port=%s\nserver_address=%s\n", port, tlsAddress)
	}
	if err := os.WriteFile(filepath.Join(dir, "settings"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// benchPolicy is asked about each statement. It masks for one role only.
const benchPolicy = `
@id("all")
permit (principal, action, resource);

@id("veiled")
@mask("partial")
@reason_en("masked")
@reason_ja("マスク")
forbid (principal in Role::"veiled", action in [Action::"read", Action::"export"], resource == Category::"contact");
`

type logToNobody struct{}

func (logToNobody) Write(b []byte) (int, error) { return len(b), nil }

// clusterSettings: for tests the cluster need not outlive the machine; for
// bench/gate.sh it is as a person has it, with pgaudit where that is asked for.
func clusterSettings() map[string]string {
	if os.Getenv("SEKISHO_BENCH_DIR") == "" {
		return map[string]string{"fsync": "off", "max_prepared_transactions": "10"}
	}
	settings := map[string]string{"max_connections": "1200"}
	if os.Getenv("SEKISHO_BENCH_PGAUDIT") != "" {
		settings["shared_preload_libraries"] = "pgaudit"
	}
	if dir := os.Getenv("SEKISHO_BENCH_TLS"); dir != "" {
		for name, value := range map[string]string{"listen_addresses": tlsAddress, "ssl": "on", "ssl_cert_file": dir + "/server.pem", "ssl_key_file": dir + "/server.key", "hba_file": dir + "/hba"} {
			settings[name] = value
		}
	}
	return settings
}

// tlsAddress is where bench/gate.sh has the cluster listen with TLS: of this
// machine alone, and nobody else's.
var tlsAddress = fmt.Sprintf("127.0.64.%d", 1+os.Getpid()%250)

// audited makes the login whose reads pgaudit logs: what people use who want to
// know, and do without a gate.
func audited() string {
	if os.Getenv("SEKISHO_BENCH_PGAUDIT") == "" {
		return ""
	}
	return `
create extension pgaudit;
create role audited login password 'upstream';
alter role audited set pgaudit.log = 'read';
grant usage on schema crm to audited;
grant select on crm.bench, crm.bench_masked to audited;`
}

// BenchmarkRuling is what a point lookup pays for being decided about, by the
// shipped policy.
func BenchmarkRuling(b *testing.B) {
	policies, _, err := act.Default()
	if err != nil {
		b.Fatal(err)
	}
	_, policy := withPolicy(b, "")
	h := newHouse(b, policy, func(o *options) {
		for _, f := range policies {
			writeFile(b, filepath.Join(o.gate.Policy.Dir, filepath.Base(f.Name)), string(f.Text))
		}
		os.Remove(filepath.Join(o.gate.Policy.Dir, "rules.cedar"))
		names := act.DefaultNames()
		o.gate.Policy.Known = Words{Roles: names.Roles, Purposes: names.Purposes, Posts: names.Posts}
		o.gate.Policy.Office = []string{"127.0.0.0/8"}
	})
	role := h.gate.conf.Roles["staff"]
	s := &session{g: h.gate, role: &role, roleName: "staff", wants: wants{}, opened: &sekisho.SessionOpened{}}
	s.asking = act.Request{Principal: "sato", Role: "call_centre", Verified: true, Endpoint: "pc-0417", Place: act.Office, Purpose: "support"}
	p := h.gate.planFor(s, "select name from crm.member where member_no = $1", goroutine)
	b.ReportAllocs()
	for b.Loop() {
		if q, _ := s.rule(p, false, goroutine); q.refuse != nil {
			b.Fatal(q.refuse.text)
		}
	}
}
