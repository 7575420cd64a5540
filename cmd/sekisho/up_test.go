package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/demo"
)

// A running is the program itself, as a person would start it, in front of a
// real database.
type running struct {
	t       *testing.T
	cmd     *exec.Cmd
	out     *bufio.Reader
	said    log // on standard error
	dir     string
	login   login
	gate    string
	console string
	cluster *demo.Cluster
}

// A log is what a program that still runs has written so far.
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

// filled makes the small store once, stopped: every test has a copy of its own,
// which costs a tenth of making one.
var filled struct {
	sync.Once
	dir string
	err error
}

// store starts a copy of the small store in a directory.
func store(t *testing.T, dir string) (*demonstration, *demo.Cluster) {
	t.Helper()
	ctx := context.Background()
	filled.Do(func() {
		if filled.dir, filled.err = os.MkdirTemp("", "sekisho-store"); filled.err != nil {
			return
		}
		os.Chmod(filled.dir, 0o711)
		var cluster *demo.Cluster
		if cluster, filled.err = (&demonstration{dir: filled.dir, members: 2000, seed: storeSeed}).store(ctx); filled.err == nil {
			filled.err = cluster.Stop()
		}
	})
	if filled.err != nil {
		t.Fatal(filled.err)
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(filled.dir, "postgres"), dir).CombinedOutput(); err != nil {
		t.Fatalf("copying the store: %v: %s", err, out)
	}
	d := &demonstration{dir: dir, members: 2000, seed: storeSeed}
	cluster, err := d.store(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Stop() })
	return d, cluster
}

// start has a small store, writes the demo's config with free ports, and runs
// `sekisho up`.
func start(t *testing.T) *running {
	t.Helper()
	dir := t.TempDir()
	os.Chmod(dir, 0o711)
	d, cluster := store(t, dir)
	var err error
	r := &running{t: t, dir: dir, cluster: cluster}
	if r.login, err = d.config(cluster); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sekisho.yaml")
	b, _ := os.ReadFile(path)
	text := regexp.MustCompile(`listen: 127.0.0.1:\d+`).ReplaceAllString(string(b), "listen: 127.0.0.1:0")
	// Who tests a limit sets one.
	text = regexp.MustCompile(`(?m)^ *ask_above: .*\n|^budgets:\n(  .*\n)+`).ReplaceAllString(text, "")
	os.WriteFile(path, []byte(text), 0o600)
	r.up()
	return r
}

// up starts the program and reads where its doors are.
func (r *running) up() {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	// The test program is the command when it is called by its name.
	name := filepath.Join(r.dir, "sekisho")
	os.Symlink(self, name)
	r.cmd = exec.Command(name, "up", "--config", filepath.Join(r.dir, "sekisho.yaml"))
	r.cmd.Stderr = &r.said
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.cmd.Process.Kill(); r.cmd.Wait() })
	r.out = bufio.NewReader(out)
	r.gate = r.line("gate")
	r.console = r.line("console")
}

func (r *running) line(what string) string {
	r.t.Helper()
	line, err := r.out.ReadString('\n')
	rest, ok := strings.CutPrefix(line, what)
	if err != nil || !ok {
		r.t.Fatalf("waiting for the line %q: %q, %v\n%s", what, line, err, r.said.String())
	}
	return strings.TrimSpace(rest)
}

// psql runs a statement as the demo's member of staff.
func (r *running) psql(sql string) string {
	r.t.Helper()
	cmd := exec.Command("psql", "-XqAt", "-d", r.login.dsn(r.gate), "-c", sql)
	cmd.Env = append(os.Environ(), "PGPASSFILE="+r.login.passfile)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// stop ends it as Ctrl-C would.
func (r *running) stop() {
	r.t.Helper()
	r.cmd.Process.Signal(syscall.SIGINT)
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("sekisho ended with %v\n%s", err, r.said.String())
	}
}

// sekisho runs another command beside it.
func (r *running) sekisho(args ...string) (string, error) {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.dir, "sekisho"), args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestUp(t *testing.T) {
	r := start(t)
	member := demo.MemberNo(storeSeed, 7)
	m := demo.MemberAt(storeSeed, 7)
	if got := r.psql(fmt.Sprintf("select name_latin from crm.member where member_no = %d", member)); strings.TrimSpace(got) != m.NameLatin {
		t.Fatalf("psql printed %q, the member is called %q", got, m.NameLatin)
	}
	data := filepath.Join(r.dir, "live")
	ask := []string{"impact", "--config", filepath.Join(r.dir, "sekisho.yaml"), "--endpoint", demoEndpoint, "--since", "2020-01-01", "--until", "2100-01-01"}
	list := append(ask, "--list", "worst-case")

	// The running house answers; who asks for names is recorded.
	out, err := r.sekisho(ask...)
	if err != nil || !strings.Contains(out, "worst case              1") {
		t.Errorf("%v: %s", err, out)
	}
	if !strings.Contains(out, "2020-01-01 until 2100-01-01 (JST, UTC+09:00)") {
		t.Errorf("the window is not told as it was given: %s", out)
	}
	unknown := slices.Replace(slices.Clone(ask), 4, 5, "pc-0102")
	said, err := r.sekisho(unknown...)
	if err == nil || !strings.Contains(said, "never seen") || !strings.Contains(said, "nearest names are "+demoEndpoint+"\n") {
		t.Errorf("an endpoint that was never seen: %v: %s", err, said)
	}
	out, err = r.sekisho(list...)
	if err != nil || !strings.Contains(out, fmt.Sprint(member)) {
		t.Errorf("%v: %s", err, out)
	}
	if resp, err := http.Get(r.console + "/healthz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("healthz: %v, %v", resp, err)
	}
	out, err = r.sekisho("user", "reset", "admin", "--ledger", data)
	if err != nil || len(strings.TrimSpace(out)) < 12 {
		t.Errorf("user reset: %v: %s", err, out)
	}

	// Stopped and started again it knows what it knew; killed, too.
	r.stop()
	if out, err := r.sekisho(unknown...); err == nil || out != said {
		t.Errorf("a stopped ledger says %q, a running one %q", out, said)
	}
	if out, err = r.sekisho(ask...); err != nil || !strings.Contains(out, "worst case              1") {
		t.Errorf("stopped: %v: %s", err, out)
	}
	r.up()
	other := demo.MemberNo(storeSeed, 8)
	if got := r.psql(fmt.Sprintf("select name_latin from crm.member where member_no = %d", other)); strings.Contains(got, "ERROR") {
		t.Errorf("after a restart: %s", got)
	}
	r.cmd.Process.Kill()
	r.cmd.Wait()
	if out, err = r.sekisho(list...); err != nil || !strings.Contains(out, fmt.Sprint(other)) {
		t.Errorf("killed: %v: %s", err, out)
	}
	if out, err = r.sekisho("ledger", "verify", data); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestNothingPersonalLeavesTheVault plants values on every path in, and then
// looks for them in every file that sekisho wrote but the vault, and in all
// that it said.
func TestNothingPersonalLeavesTheVault(t *testing.T) {
	r := start(t)
	m := demo.MemberAt(storeSeed, 11)
	planted := []string{
		strings.TrimSpace(fmt.Sprint(m.No)), m.Email, m.Phone, m.NameLatin, // read below
		"literal-in-sql@example.com", "app-name@example.com", "tried-user@example.com", "alias@example.com", "comment@example.com",
		"wrong-password-9f2", "purpose@example.com", "98127398127", "setting@example.com", demoUser,
	}
	r.psql(fmt.Sprintf("select * from crm.member where member_no = %d /* comment@example.com */", m.No))
	r.psql(`select name_latin as "alias@example.com" from crm.member where email = 'literal-in-sql@example.com'`)
	r.psql("select email::int from crm.member where member_no = 98127398127 or email = 'literal-in-sql@example.com'")
	r.psql("select count(*) from crm.member where email = 'literal-in-sql@example.com'")
	r.psql("set sekisho.purpose = 'purpose@example.com'")
	r.psql("set work_mem = 'setting@example.com'")
	r.psql("select 'literal-in-sql@example.com' from nowhere; syntax error 'literal-in-sql@example.com'")
	for _, dsn := range []string{
		strings.Replace(r.login.dsn(r.gate), "user="+demoUser, "user=tried-user@example.com password=wrong-password-9f2", 1),
		r.login.dsn(r.gate) + " application_name=app-name@example.com",
		r.login.dsn(r.gate) + " password=wrong-password-9f2",
	} {
		cmd := exec.Command("psql", "-XqAt", "-d", dsn, "-c", fmt.Sprintf("select email from crm.member where member_no = %d", m.No))
		cmd.Env = append(os.Environ(), "PGPASSFILE="+r.login.passfile)
		cmd.CombinedOutput()
	}
	for _, path := range []string{"/metrics", "/healthz", "/search?key=" + fmt.Sprint(m.No)} {
		resp, err := http.Get(r.console + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		search(t, path, body, planted[1:]) // an address in a redirect may hold what the visitor typed
	}
	r.sekisho("impact", "--ledger", filepath.Join(r.dir, "live"), "--endpoint", demoEndpoint, "--since", "2020-01-01", "--until", "2100-01-01", "--list", "worst-case")
	r.stop()
	read := 0
	err := filepath.WalkDir(filepath.Join(r.dir, "live"), func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.Contains(path, "/live/vault") {
			return err
		}
		b, err := os.ReadFile(path)
		search(t, path, b, planted)
		read += len(b)
		return err
	})
	if err != nil || read < 1000 {
		t.Fatalf("%d bytes searched: %v", read, err)
	}
	search(t, "standard error", []byte(r.said.String()), planted)
}

func search(t *testing.T, where string, b []byte, planted []string) {
	t.Helper()
	for _, v := range planted {
		if v != "" && strings.Contains(string(b), v) {
			t.Errorf("%s holds %q", where, v)
		}
	}
}

// TestUpEndsWhenAsked: nothing stays behind, also while a client is connected.
func TestUpEndsWhenAsked(t *testing.T) {
	r := start(t)
	cmd := exec.Command("psql", "-XqAt", "-d", r.login.dsn(r.gate), "-c", "select pg_sleep(60)")
	cmd.Env = append(os.Environ(), "PGPASSFILE="+r.login.passfile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	boss := r.signedIn("admin", r.must("user", "reset", "admin"))
	deadline := time.Now().Add(2 * time.Minute)
	for { // until the gate has a session
		if regexp.MustCompile(`(?m)^\S*gate_sessions_open [1-9]`).MatchString(get(t, boss, r.console+"/metrics")) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no session appeared")
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.stop()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Error("the client was left hanging")
	}
}
