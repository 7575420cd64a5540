package house

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/disk"
	"sekisho/gate"
	"sekisho/ledger"
	"sekisho/survey"
)

// dataDirectory is where the cluster keeps its files.
func (s *site) dataDirectory() (dir string) {
	must(s.t, s.past("dba").QueryRow(s.t.Context(), "show data_directory").Scan(&dir))
	return dir
}

// A login behind glass from its making to the account of what it did: by the
// real server's log, in both forms.
func TestBehindGlass(t *testing.T) {
	// An address that no other server of this machine is likely to have with this port.
	address := fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()>>16%64, os.Getpid()>>8&255, os.Getpid()&255|1)
	s := newSite(t, "listen_addresses", address, "logging_collector", "on", "log_destination", "jsonlog,csvlog", "log_directory", "log", "log_filename", "all.log", "log_timezone", "UTC")
	owner := fmt.Sprintf("host=%s port=%d dbname=crm user=dba password=upstream", s.cluster.SocketDir(), s.cluster.Port())
	verifier, err := gate.MakeVerifier("break me")
	must(t, err)
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	glass := survey.Glass{Login: "glass", Verifier: verifier, Until: until, Grants: []string{"staff"}}
	where, notes, err := survey.SetBehindGlass(t.Context(), owner, glass)
	if err != nil || len(notes) > 0 || where.Database != "crm" || where.User != "glass" {
		t.Fatalf("%+v, %q, %v", where, notes, err)
	}

	if where.TLS {
		t.Errorf("this server speaks no TLS: %+v", where)
	}
	// By an address, that is worth a note: on the day nothing else is to be had.
	s.owner(`create table hba (line text); copy hba from '` + filepath.Join(s.dataDirectory(), "pg_hba.conf") + `' (delimiter e'\x01');
		insert into hba values ('host all dba all scram-sha-256'); copy hba to '` + filepath.Join(s.dataDirectory(), "pg_hba.conf") + `' (delimiter e'\x01'); drop table hba; select pg_reload_conf()`)
	tcp := fmt.Sprintf("host=%s port=%d dbname=crm user=dba password=upstream sslmode=disable", address, s.cluster.Port())
	if where, notes, err := survey.SetBehindGlass(t.Context(), tcp, glass); err != nil || where.TLS || len(notes) != 1 || !strings.Contains(notes[0], "ssl is off") {
		t.Errorf("without TLS: %+v, %q, %v", where, notes, err)
	}

	s.owner("grant select on crm.everybody to staff")

	// Whoever could stop the log, or is no superuser, cannot do this.
	for why, change := range map[string]func() (string, survey.Glass){
		"hide what it does":     func() (string, survey.Glass) { g := glass; g.Login = "dba"; return owner, g },
		"could stop the log":    func() (string, survey.Glass) { g := glass; g.Grants = []string{"dba"}; return owner, g },
		"takes a superuser":     func() (string, survey.Glass) { return strings.Replace(owner, "user=dba", "user=staff", 1), glass },
		"role nobody_s is none": func() (string, survey.Glass) { g := glass; g.Grants = []string{"nobody_s"}; return owner, g },
	} {
		dsn, g := change()
		if _, _, err := survey.SetBehindGlass(t.Context(), dsn, g); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}

	c := s.connect(fmt.Sprintf("host=%s port=%d dbname=crm user=glass password='break me'", s.cluster.SocketDir(), s.cluster.Port()))
	ask := func(sql string, args ...any) error {
		rows, err := c.Query(t.Context(), sql, args...)
		if err != nil {
			return err
		}
		rows.Close()
		return rows.Err()
	}
	for _, sql := range []string{"set log_statement = 'none'", "reset log_statement", "alter role glass set log_statement = 'none'", "set log_min_messages = 'panic'"} {
		if err := ask(sql); err == nil && sql != "reset log_statement" {
			t.Errorf("the login may %s", sql)
		}
	}
	ask("alter role glass reset all") // takes nothing of it back: see below
	must(t, ask("select code from crm.airport"))
	must(t, ask("select name from crm.member where member_no < $1", 413))
	must(t, ask("select 'a\n\"quoted\" line', name from crm.member", pgx.QueryExecModeSimpleProtocol))
	// A name that a person chooses must not hide the text behind it.
	_, err = c.Prepare(t.Context(), "x: select 1 --", "select count(*) from crm.member")
	must(t, err)
	must(t, ask("x: select 1 --"))
	again := s.connect(fmt.Sprintf("host=%s port=%d dbname=crm user=glass password='break me'", s.cluster.SocketDir(), s.cluster.Port()))
	must(t, func() error { _, err := again.Exec(t.Context(), "select name from crm.everybody"); return err }())

	// The house notices while it happens.
	if got := s.look(); !slices.ContainsFunc(got, func(a string) bool { return strings.HasPrefix(a, "outside: glass at unverified@local") }) {
		t.Errorf("the alerts are %q", got)
	}
	c.Close(t.Context())
	again.Close(t.Context())

	root := filepath.Join(filepath.Dir(s.config.Data), "postgres")
	read := func(name string) (text string) {
		must(t, filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.Name() != name {
				return err
			}
			b, err := os.ReadFile(path)
			text = string(b)
			return err
		}))
		return text
	}
	first := s.house.Ledger.Last()
	// Four that read members, and two that change a role, of which nobody here
	// knows what comes of them.
	done, err := s.house.ImportLog(t.Context(), "glass", strings.NewReader(read("all.json")))
	if err != nil || done.Sessions != 2 || done.Accesses != 6 || done.Rejected != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if got, want := s.imported(first), "member: any-row of 5000 by glass at unverified@local"; strings.Count(got, want) != 6 {
		t.Errorf("the ledger says\n%s", got)
	}
	// The same again, after a restart too, adds nothing.
	for range 2 {
		if done, err := s.house.ImportLog(t.Context(), "glass", strings.NewReader(read("all.json"))); err != nil || done.Sessions+done.Accesses != 0 {
			t.Errorf("again: %+v, %v", done, err)
		}
		s.close()
		s.open()
	}
	// By the other form it is the same.
	s.config.Data += "-csv"
	s.close()
	s.open()
	done, err = s.house.ImportLog(t.Context(), "glass", strings.NewReader(read("all.csv")))
	if err != nil || done.Sessions != 2 || done.Accesses != 6 || done.Rejected != 0 {
		t.Errorf("csv: %+v, %v", done, err)
	}
	// What cannot be read may have been anything.
	first = s.house.Ledger.Last()
	done, err = s.house.ImportLog(t.Context(), "glass", strings.NewReader("2026-01-02 03:04:05 JST [1] no form of ours\n"))
	if err != nil || done.Rejected != 1 || done.Accesses != 1 || !strings.Contains(s.imported(first), "any-row of 5000 by glass at unverified@unknown") {
		t.Errorf("unreadable: %+v, %v: %s", done, err, s.imported(first))
	}
	if _, err := s.house.ImportLog(t.Context(), "staff", strings.NewReader("")); err == nil {
		t.Error("a login of the gate's is imported")
	}

	// It ends by itself.
	glass.Until = time.Now().Add(-time.Minute)
	_, _, err = survey.SetBehindGlass(t.Context(), owner, glass)
	must(t, err)
	out, err := s.cluster.SQL(t.Context(), "postgres", "select rolvaliduntil < now() from pg_roles where rolname = 'glass'")
	must(t, err)
	if strings.TrimSpace(out) != "t" {
		t.Errorf("after its end the password counts: %q", out)
	}
}

// imported tells the accesses that the ledger holds since an entry.
func (s *site) imported(since uint64) string {
	var lines []string
	sessions, shapes := map[uint64]*sekisho.SessionOpened{}, map[uint64]*sekisho.Shape{}
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(s.config.Data), 1) {
		must(s.t, err)
		switch b := e.Body.(type) {
		case *sekisho.SessionOpened:
			sessions[e.ID.Seq] = b
		case *sekisho.Shape:
			shapes[e.ID.Seq] = b
		case *sekisho.Access:
			if from := sessions[b.Session]; e.ID.Seq > since && from.Door == sekisho.DoorLog {
				who, _ := s.house.Vault.Space("staff").Key(from.Principal)
				lines = append(lines, fmt.Sprintf("%s: %s of %d by %s at %s", shapes[b.Shape].Space, b.Class, b.Reach, who, from.Endpoint))
			}
		}
	}
	return strings.Join(lines, "\n")
}
