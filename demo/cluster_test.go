package demo_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/demo"
)

// A test binary called with this variable set starts the cluster in the named
// directory, says so, and waits to be killed.
const ownerEnv = "SEKISHO_TEST_OWN_A_CLUSTER_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		if _, err := demo.StartCluster(context.Background(), demo.ClusterConfig{Dir: dir}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("up")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(t *testing.T, dir string) *demo.Cluster {
	t.Helper()
	c, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: dir})
	if errors.Is(err, demo.ErrNoPostgreSQL) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func query(t *testing.T, c *demo.Cluster, sql string) string {
	t.Helper()
	out, err := c.SQL(t.Context(), "postgres", sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestClusterKeepsWhatWasCommittedAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, dir)
	if got := query(t, c, "create table kept (n int); insert into kept values (42); show listen_addresses"); got != "" {
		t.Errorf("the server listens on TCP: %q", got)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if left := serversIn(t, dir); len(left) != 0 {
		t.Errorf("after Stop these processes are left: %v", left)
	}
	if _, err := os.Stat(c.SocketDir() + "/.s.PGSQL.5432"); err == nil {
		t.Error("after Stop the socket is still there")
	}

	c = start(t, dir)
	if got := query(t, c, "select n from kept"); got != "42" {
		t.Errorf("after a restart the row reads %q, want 42", got)
	}
}

func TestASecondClusterInTheSameDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir)
	if _, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: dir}); !errors.Is(err, demo.ErrInUse) {
		t.Errorf("starting it twice gave %v, want ErrInUse", err)
	}
}

func TestRolesEnterByPasswordOnly(t *testing.T) {
	t.Parallel()
	c := start(t, t.TempDir())
	password, err := c.Password("clerk")
	if err != nil {
		t.Fatal(err)
	}
	query(t, c, "create role clerk login password '"+password+"'")
	for given, want := range map[string]bool{password: true, "wrong": false, "": false} {
		cmd := exec.CommandContext(t.Context(), "psql", "-X", "-w", "-h", c.SocketDir(), "-U", "clerk", "-d", "postgres", "-c", "select 1")
		cmd.Env = append(os.Environ(), "PGPASSWORD="+given)
		if out, err := cmd.CombinedOutput(); (err == nil) != want {
			t.Errorf("signing in with password %q: %v, %s", given, err, out)
		}
	}
	again, err := c.Password("clerk")
	if err != nil || again != password {
		t.Errorf("the password reads %q the second time, was %q: %v", again, password, err)
	}
}

func TestPasswordFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, dir)
	if _, err := c.Password("clerk"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "passwords", "clerk"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %o, want 600", info.Mode().Perm())
	}
}

// A path longer than a socket's name may be, below a directory that the
// server's user cannot enter.
func TestClusterInADeepClosedDirectory(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	c := start(t, filepath.Join(closed, strings.Repeat("deep/", 30)))
	if got := query(t, c, "select 1"); got != "1" {
		t.Errorf("select 1 gave %q", got)
	}
}

func TestNoPostgreSQLIsSaid(t *testing.T) {
	_, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: t.TempDir(), Bin: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no PostgreSQL server in") {
		t.Errorf("a directory without programs gave %v", err)
	}
}

func TestASettingThatTheServerRefusesIsSaid(t *testing.T) {
	t.Parallel()
	_, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: t.TempDir(), Settings: map[string]string{"no_such_setting": "1"}})
	if errors.Is(err, demo.ErrNoPostgreSQL) {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %v, want an error that names the setting", err)
	}
}

func TestAStoreOfAnotherPostgreSQLIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).Stop()
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "PostgreSQL 7 made") {
		t.Errorf("got %v, want an error that names the version", err)
	}
}

// own starts a child process that owns a cluster in dir.
func own(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), ownerEnv+"="+dir)
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "up\n" {
		if strings.Contains(line, "not installed") {
			t.Skip(line)
		}
		t.Fatalf("the child did not start its cluster: %s", line)
	}
	return child
}

func TestKillingTheOwnerLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := own(t, dir)
	if len(serversIn(t, dir)) == 0 {
		t.Fatal("the child says that its cluster is up, but no process works in its directory")
	}
	child.Process.Kill()
	child.Wait()
	for deadline := time.Now().Add(time.Minute); len(serversIn(t, dir)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a minute after kill -9 these are left: %v", serversIn(t, dir))
		}
	}
	start(t, dir)
}

func TestStartWaitsForAServerThatOutlivedItsParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := own(t, dir)
	child.Process.Kill()
	child.Wait()
	// Without waiting: the former server may still be shutting down.
	c := start(t, dir)
	if got := query(t, c, "select 1"); got != "1" {
		t.Errorf("select 1 gave %q", got)
	}
}

func TestStartAfterTheServerItselfWasKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, dir)
	query(t, c, "create table kept (n int); insert into kept values (42)")
	pid := serverPID(t, dir)
	syscall.Kill(pid, syscall.SIGKILL)
	<-c.Done()
	if err := c.Stop(); err == nil {
		t.Error("Stop says nothing of a server that was killed")
	}
	// The process file is left behind, and its number belongs to somebody else by now.
	stale := filepath.Join(dir, "data", "postmaster.pid")
	b, err := os.ReadFile(stale)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(stale, []byte(strings.Replace(string(b), strconv.Itoa(pid), strconv.Itoa(os.Getpid()), 1)), 0o600)

	c = start(t, dir)
	if got := query(t, c, "select n from kept"); got != "42" {
		t.Errorf("after the crash the row reads %q, want 42", got)
	}
}

func serverPID(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// serversIn lists the processes whose working directory is the cluster's data.
func serversIn(t *testing.T, dir string) []string {
	t.Helper()
	data, err := filepath.EvalSymlinks(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && cwd == data {
			found = append(found, filepath.Base(filepath.Dir(link)))
		}
	}
	return found
}
