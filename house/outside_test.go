package house

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/catalog"
	"sekisho/demo"
	"sekisho/disk"
	"sekisho/gate"
	"sekisho/ledger"
)

// The tests stand a real gate in front of a real PostgreSQL, and then go round
// it.

const guarded = `
create schema crm;
create table crm.member (member_no bigint primary key, name text) with (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
	autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
insert into crm.member select i, 'name'||i from generate_series(1, 5000) i;
create table crm.airport (code text);
insert into crm.airport values ('HND');
create view crm.everybody as select name from crm.member;
create extension pg_stat_statements;
create role staff login password 'upstream';
create role reader login password 'upstream';
create role dba login superuser password 'upstream';
create role porter login password 'upstream';
create role watcher login password 'upstream' in role pg_monitor; -- who may read nothing of anybody
grant usage on schema crm to staff, reader, porter;
grant select on crm.member, crm.airport to staff, reader;
grant select on crm.everybody to porter;
grant pg_read_all_stats to reader;
alter role staff set force_parallel_mode = on;
`

// A site is a database with a house in front of it.
type site struct {
	t       *testing.T
	cluster *demo.Cluster
	config  Config
	house   *House
	gate    string // its address
	shut    context.CancelFunc
	clock   atomic.Int64 // in nanoseconds: it begins with an hour, and moves when the test says so
	log     log
	watcher *pgx.Conn
}

func newSite(t *testing.T, settings ...string) *site {
	t.Helper()
	dir := t.TempDir()
	os.Chmod(filepath.Dir(dir), 0o711)
	os.Chmod(dir, 0o711)
	ctx := t.Context()
	with := map[string]string{"fsync": "off", "shared_preload_libraries": "pg_stat_statements", "autovacuum": "on", "autovacuum_naptime": "1s"}
	for i := 0; i < len(settings); i += 2 {
		with[settings[i]] = settings[i+1]
	}
	cluster, err := demo.StartCluster(ctx, demo.ClusterConfig{Dir: filepath.Join(dir, "postgres"), Settings: with})
	if errors.Is(err, demo.ErrNoPostgreSQL) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { cluster.Stop() })
	_, err = cluster.SQL(ctx, "postgres", "create database crm")
	must(t, err)
	_, err = cluster.SQL(ctx, "crm", guarded)
	must(t, err)
	password := filepath.Join(dir, "password")
	must(t, os.WriteFile(password, []byte("upstream\n"), 0o600))
	verifier, err := gate.MakeVerifier("open sesame")
	must(t, err)
	s := &site{t: t, cluster: cluster, config: Config{
		Name: "crm", Data: filepath.Join(dir, "data"),
		Catalog: catalog.Config{
			Subjects: []catalog.Subject{{Name: "member", Table: "crm.member", Key: "member_no"}},
			Tables:   []catalog.Table{{Name: "crm.member", Subject: "member", Key: "member_no", Columns: map[string]string{"name": "identity"}}},
		},
		Gate: gate.Config{
			Listen:     "127.0.0.1:0",
			Upstream:   gate.Upstream{Host: cluster.SocketDir(), Port: uint16(cluster.Port()), Database: "crm", Reader: gate.Login{User: "reader", PasswordFile: password}},
			Roles:      map[string]gate.Role{"staff": {Login: gate.Login{User: "staff", PasswordFile: password}}},
			Principals: []gate.Principal{{Name: "sato", Role: "staff", Verifier: verifier}},
		},
	}}
	s.clock.Store(time.Now().Truncate(time.Hour).Add(time.Hour).UnixNano())
	s.open()
	t.Cleanup(func() { s.close() })
	return s
}

// later sets the house's clock forward.
func (s *site) later(d time.Duration) { s.clock.Add(int64(d)) }

func (s *site) now() time.Time { return time.Unix(0, s.clock.Load()) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) open() {
	s.t.Helper()
	h, err := Open(s.t.Context(), s.config, "/", Options{Now: s.now, Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	must(s.t, err)
	s.house = h
	must(s.t, h.OpenGate(s.t.Context()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.gate = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { h.Gate.Serve(ctx, l); close(served) }()
	s.shut = func() { stop(); <-served }
}

func (s *site) close() {
	if s.house != nil {
		s.shut()
		must(s.t, s.house.Close())
		s.house = nil
	}
}

// A log is what the house has said.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// through connects a person by way of the gate.
func (s *site) through() *pgx.Conn {
	return s.connect("postgres://sato:open%20sesame@" + s.gate + "/crm?sslmode=disable")
}

// past connects a database role by the server's own socket.
func (s *site) past(role string) *pgx.Conn {
	return s.connect(fmt.Sprintf("host=%s port=%d user=%s password=upstream dbname=crm", s.cluster.SocketDir(), s.cluster.Port(), role))
}

func (s *site) connect(dsn string) *pgx.Conn {
	s.t.Helper()
	c, err := pgx.Connect(s.t.Context(), dsn)
	must(s.t, err)
	s.t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func (s *site) ask(c *pgx.Conn, sql string) {
	s.t.Helper()
	_, err := c.Exec(s.t.Context(), sql)
	must(s.t, err)
}

// look looks once, and gives the alerts that are new, one line each.
func (s *site) look() (alerts []string) {
	s.t.Helper()
	before := s.house.Ledger.Last()
	var of *sekisho.PassedBy
	var at uint64
	must(s.t, s.house.LookOutside(s.t.Context()))
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(s.config.Data), before+1) {
		must(s.t, err)
		switch a := e.Body.(type) {
		case *sekisho.PassedBy:
			of, at = a, e.ID.Seq
		case *sekisho.Alert:
			role, _ := s.house.Vault.Space("staff").Key(a.Principal)
			line := fmt.Sprintf("%s: %s at %s, %d rows", a.Detector, role, a.Endpoint, a.Observed)
			if slices.Equal(a.Basis, []uint64{at}) && of.Principal == a.Principal && of.Rows == a.Observed && of.From == a.From && of.Until == a.Until {
				line += " of " + strings.Join(of.Tables, ", ")
			}
			alerts = append(alerts, line)
		}
	}
	slices.Sort(alerts)
	return alerts
}

func (s *site) expect(when string, want ...string) {
	s.t.Helper()
	if got := s.look(); !slices.Equal(got, want) {
		s.t.Fatalf("%s:\n got %q\nwant %q", when, got, want)
	}
}

// owner runs a script as the cluster's owner, who is gone when it returns.
func (s *site) owner(script string) {
	s.t.Helper()
	_, err := s.cluster.SQL(s.t.Context(), "crm", script)
	must(s.t, err)
	s.until("the owner to leave", "select not exists (select from pg_stat_activity where usename = 'cluster_owner' and backend_type = 'client backend')")
}

// until waits for something that the database does of itself.
func (s *site) until(what, sql string) {
	s.t.Helper()
	if s.watcher == nil {
		s.watcher = s.past("watcher")
	}
	for began := time.Now(); ; {
		var yes bool
		must(s.t, s.watcher.QueryRow(s.t.Context(), sql).Scan(&yes))
		if yes {
			return
		}
		if time.Since(began) > 2*time.Minute {
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Whoever goes round the gate raises an alert, once; what comes through it, the
// gate itself, and the database's own workers raise none.
func TestPastTheGate(t *testing.T) {
	s := newSite(t)
	s.expect("nobody is there")

	// The gate's own: a session that reads, one in whose stead a parallel worker
	// works, and one that has ended. And the server's: a vacuum of the table.
	desk := s.through()
	s.ask(desk, "select name from crm.member where member_no = 7")
	busy := s.through()
	asked := make(chan error, 1)
	enough, stop := context.WithCancel(t.Context())
	go func() { _, err := busy.Exec(enough, "select pg_sleep(60)"); asked <- err }()
	s.until("a parallel worker", "select exists (select from pg_stat_activity where leader_pid is not null)")
	gone := s.through()
	s.ask(gone, "select name from crm.member where member_no = 8")
	gone.Close(t.Context())
	s.owner("delete from crm.member where member_no > 4000")
	s.later(time.Minute)
	s.until("an autovacuum worker", "select exists (select from pg_stat_activity where backend_type = 'autovacuum worker' and datname = 'crm')")
	// The delete was the cluster's owner's.
	s.expect("the gate's own, and the server's", "outside: cluster_owner at unverified@unknown, 1000 rows of crm.member")
	stop()
	<-asked

	// A superuser by the socket, and somebody who may read a view alone.
	dba, porter := s.past("dba"), s.past("porter")
	s.ask(dba, "select name from crm.member where member_no <= 412")
	s.ask(porter, "select name from crm.everybody")
	s.later(time.Minute)
	s.expect("two that went round",
		"outside: dba at unverified@local, 0 rows", "outside: dba at unverified@unknown, 412 rows of crm.member",
		"outside: porter at unverified@local, 0 rows", "outside: porter at unverified@unknown, 4000 rows of crm.member")
	s.expect("the same sessions once more")

	// What one alert is about, all together is one incident.
	must(t, s.house.Settle(t.Context()))
	s.house.Views.Read(func() {
		if list := s.house.Incidents.List(); len(list) != 2 {
			t.Errorf("%d incidents: the owner's and the two at the socket are two", len(list))
		}
	})
	must(t, s.house.Revise(t.Context()))

	// More rows within the hour are told with the next one; and neither a restart
	// tells anything twice, nor does it lose them.
	s.ask(dba, "select name from crm.member where member_no <= 10")
	s.later(time.Minute)
	s.expect("more rows within the hour")
	s.close()
	s.ask(dba, "select name from crm.member where member_no <= 30")
	s.open()
	s.expect("after a restart")
	s.later(time.Hour)
	s.expect("the next hour", "outside: dba at unverified@unknown, 40 rows of crm.member")

	// Somebody who has one of the gate's passwords.
	thief := s.past("staff")
	s.ask(thief, "select 1")
	s.expect("a login of the gate's, stolen", "outside: staff at unverified@local, 0 rows")

	// Who connects again and again is told ten times within an hour.
	var often []sekisho.Body
	for hour := range 2 { // by the database's clock, which does not stand still
		for i := range mostTold {
			at := sekisho.At(time.Now().Truncate(time.Hour).Add(time.Duration(hour)*time.Hour)) + sekisho.Time(i)
			often = append(often, &sekisho.Alert{Detector: "outside", Principal: s.house.Vault.Space("staff").OfText([]byte("porter")), Endpoint: "unverified@local", From: at, Until: at + 1})
		}
	}
	_, err := s.house.Ledger.Append(t.Context(), often...)
	must(t, err)
	s.past("porter")
	s.expect("the eleventh of an hour")
	if !strings.Contains(s.log.String(), "more sessions pass the gate by from where many were told within the hour\" sessions=1") {
		t.Errorf("the log does not count it:\n%s", s.log.String())
	}

	// What nobody saw is said.
	if o := s.house.outside.state(); o.Code != "looked" || len(o.Missing) > 0 {
		t.Errorf("the state is %+v", o)
	}
	s.owner("revoke pg_read_all_stats from reader")
	if got := s.look(); !slices.Equal(got, []string{"outside: dba at unverified@hidden, 0 rows", "outside: porter at unverified@hidden, 0 rows"}) {
		t.Errorf("sessions of which only the role is seen: %q", got)
	}
	if o := s.house.outside.state(); !slices.Equal(o.Missing, []string{"sessions", "statements"}) {
		t.Errorf("without pg_read_all_stats the state is %+v", o)
	}
	state, err := os.ReadFile(s.house.countsFile())
	must(t, err)
	if strings.Contains(string(state), "dba") {
		t.Errorf("the state file names somebody: %s", state)
	}
	for _, name := range []string{"dba", "porter", "cluster_owner"} {
		if strings.Contains(s.log.String(), name) {
			t.Errorf("the log names %s:\n%s", name, s.log.String())
		}
	}
}

// Clients come and go at the gate while it is being looked: none of them is ever
// taken for a thief.
func TestGateIsNeverPast(t *testing.T) {
	s := newSite(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 4)
	var came [4]int
	for i := range came {
		go func() {
			for ctx.Err() == nil {
				c, err := pgx.Connect(t.Context(), "postgres://sato:open%20sesame@"+s.gate+"/crm?sslmode=disable")
				if err != nil {
					ended <- err
					return
				}
				c.Close(t.Context())
				came[i]++
			}
			ended <- nil
		}()
	}
	for range 12 {
		if got := s.look(); len(got) > 0 {
			t.Errorf("somebody at the gate was told: %q", got)
			break
		}
	}
	stop()
	for range cap(ended) {
		must(t, <-ended)
	}
	for i, n := range came {
		if n == 0 {
			t.Errorf("client %d never came", i)
		}
	}
}

func TestEvery(t *testing.T) {
	for text, want := range map[string]string{"off": "-1ns", "1m": "1m0s", "1s": "1s", "10ms": "refused", "often": "refused", "-5m": "refused"} {
		var e Every
		got := "refused"
		if err := e.UnmarshalText([]byte(text)); err == nil {
			got = time.Duration(e).String()
		}
		if got != want {
			t.Errorf("every: %s is %s, want %s", text, got, want)
		}
	}
	if d := (Outside{}).every(); d != time.Minute {
		t.Errorf("without a word it is %v", d)
	}
}
