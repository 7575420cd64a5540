package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// findBin is the directory of the PostgreSQL programs: of the version that made
// data if it is there, else of the newest.
func findBin(bin, data string) (string, error) {
	if bin != "" {
		if _, err := os.Stat(filepath.Join(bin, "postgres")); err != nil {
			return "", fmt.Errorf("no PostgreSQL server in %s: %w", bin, err)
		}
		return bin, nil
	}
	// Debian keeps the servers outside PATH, one directory a version.
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	version := func(path string) int {
		v, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return v
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if b, err := os.ReadFile(filepath.Join(data, "PG_VERSION")); err == nil && len(found) > 0 {
		made := strings.TrimSpace(string(b))
		found = slices.DeleteFunc(found, func(p string) bool { return strconv.Itoa(version(p)) != made })
		if len(found) == 0 {
			return "", fmt.Errorf("PostgreSQL %s made %s, and is not installed any more: install postgresql-%s, or remove the directory", made, data, made)
		}
	}
	for _, p := range found {
		dir := filepath.Dir(p)
		if _, err := os.Stat(filepath.Join(dir, "psql")); err == nil {
			return dir, nil
		}
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", ErrNoPostgreSQL
}

func credentialOf(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user %s to run it: %s", name, installHint)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// takeLock makes this process the only one to start a server in dir. The lock
// ends with the process.
func (c *Cluster) takeLock() error {
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	// A program that this process is just starting has the lock, too, until it
	// begins: so one that was given up may be held for an instant.
	for range 50 {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: stop that one first, or choose another directory", ErrInUse)
		}
		return err
	}
	c.lock = f
	return nil
}

// initialise makes data/ if there is none. initdb works beside it and the
// rename comes last, so a directory called data is always a whole one.
func (c *Cluster) initialise(ctx context.Context) error {
	data := filepath.Join(c.dir, "data")
	if _, err := os.Stat(data); err == nil {
		return nil
	}
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if c.as != nil {
		if err := os.Chown(fresh, int(c.as.Uid), int(c.as.Gid)); err != nil {
			return err
		}
	}
	dir, err := os.Open(fresh)
	if err != nil {
		return err
	}
	defer dir.Close()
	var said bytes.Buffer
	// Whatever the machine speaks, the store is UTF-8 and sorts by bytes.
	cmd := c.command(dir, "initdb", "--username="+superuser, "--auth=peer", "--encoding=UTF8", "--locale=C.UTF-8")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := run(ctx, cmd); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(said.String()))
	}
	hba := "# Only the owner of the cluster enters by who they are; everybody else by password.\n" +
		"local all " + superuser + " peer map=owner\n" +
		"local all all scram-sha-256\n"
	ident := "owner root " + superuser + "\n"
	if me, err := user.Current(); err == nil && me.Username != "root" {
		ident += "owner " + strconv.Quote(me.Username) + " " + superuser + "\n"
	}
	if c.as != nil {
		ident += "owner postgres " + superuser + "\n"
	}
	for name, text := range map[string]string{"pg_hba.conf": hba, "pg_ident.conf": ident} {
		// initdb made both; writing in place keeps their owner.
		if err := os.WriteFile(filepath.Join(fresh, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Rename(fresh, data); err != nil {
		return err
	}
	parent, err := os.Open(c.dir)
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// command is a PostgreSQL program that finds dir as its data directory. Path
// and permissions above dir do not matter to it.
func (c *Cluster) command(dir *os.File, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), append([]string{"-D", "/proc/self/fd/3"}, args...)...)
	cmd.ExtraFiles = []*os.File{dir}
	cmd.Dir = "/"
	cmd.Env = cleanEnv()
	// If this process dies, the server shuts down fast. The signal follows the
	// thread that forked, which is why run keeps one for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as, Pdeathsig: syscall.SIGINT, Setpgid: true}
	return cmd
}

// cleanEnv is this process's environment without what would send a PostgreSQL
// program elsewhere.
func cleanEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") || strings.HasPrefix(v, "LANG")
	})
	return append(env, "LC_ALL=C.UTF-8")
}

// run runs a command to its end. The thread that forks stays until then.
func run(ctx context.Context, cmd *exec.Cmd) error {
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		cmd.Process.Signal(syscall.SIGINT)
		<-ended
		return ctx.Err()
	}
}

// clearStale waits for the end of a server that outlived the process which
// started it, and of the helpers that outlived a killed server. Then it
// removes the process file: the number in it may meanwhile be somebody else's,
// which PostgreSQL would take for a running server. The lock is held, so
// nobody else starts one.
func (c *Cluster) clearStale(ctx context.Context) error {
	for signalled := false; ; signalled = true {
		left := c.serversInData()
		if len(left) == 0 {
			break
		}
		if !signalled {
			c.log.Warn("waiting for a PostgreSQL server that outlived its parent", "pids", left)
			// Only the first process of a server is named in its file. It ends
			// the others, which without it end by themselves.
			b, _ := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
			line, _, _ := strings.Cut(string(b), "\n")
			if pid, err := strconv.Atoi(line); err == nil && slices.Contains(left, pid) {
				syscall.Kill(pid, syscall.SIGINT)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the former server (processes %v) to end: %w", left, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	err := os.Remove(filepath.Join(c.dir, "data", "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// serversInData lists the postgres processes whose working directory is the
// data directory, as theirs always is.
func (c *Cluster) serversInData() []int {
	ours, err := c.data.Stat()
	if err != nil {
		return nil
	}
	var pids []int
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		theirs, err := os.Stat(proc + "/cwd")
		if err != nil || !os.SameFile(theirs, ours) {
			continue
		}
		// The link of a program that was upgraded meanwhile ends in " (deleted)".
		exe, err := os.Readlink(proc + "/exe")
		if err != nil || !strings.HasPrefix(filepath.Base(exe), "postgres") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// makeSocketDir chooses a directory that the server can reach by name and
// that is short enough: below dir, or else in /run or /tmp. Only the server's
// user and root may enter it.
func (c *Cluster) makeSocketDir() error {
	uid := os.Geteuid()
	if c.as != nil {
		uid = int(c.as.Uid)
	}
	c.sockets = filepath.Join(c.dir, "socket")
	if len(c.sockets)+len("/.s.PGSQL.5432") > maxSocketPath || c.as != nil {
		sum := sha256.Sum256([]byte(c.dir))
		base := "/tmp"
		if c.as != nil {
			base = "/run"
		}
		c.sockets = fmt.Sprintf("%s/sekisho-%d-%x", base, uid, sum[:6])
		c.own = true
	}
	if err := os.Mkdir(c.sockets, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		c.own = false
		return err
	} else if err == nil && c.as != nil {
		if err := os.Chown(c.sockets, int(c.as.Uid), int(c.as.Gid)); err != nil {
			return err
		}
	}
	// One left behind by a crash is ours; in /tmp it could be a stranger's.
	info, err := os.Lstat(c.sockets)
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || int(st.Uid) != uid || info.Mode().Perm() != 0o700 {
		c.own = false
		return fmt.Errorf("%s is not a directory of user %d with mode 0700: remove it", c.sockets, uid)
	}
	for _, name := range []string{".s.PGSQL.5432", ".s.PGSQL.5432.lock"} {
		if err := os.Remove(filepath.Join(c.sockets, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// launch starts the server and a goroutine that reaps it.
func (c *Cluster) launch(settings map[string]string) error {
	c.logged = filepath.Join(c.dir, "postgres.log")
	logFile, err := os.OpenFile(c.logged, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	all := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": c.sockets,
		"unix_socket_permissions": "0700",
		"port":                    strconv.Itoa(port),
		"max_connections":         "400",
		"shared_buffers":          "256MB",
		"maintenance_work_mem":    "256MB",
		"work_mem":                "16MB",
		"max_wal_size":            "4GB",
		"checkpoint_timeout":      "15min",
		"wal_level":               "minimal", // nobody replicates it, and a fill then writes each row once
		"max_wal_senders":         "0",
		// Parallel index builds want more of /dev/shm than containers give.
		"max_parallel_maintenance_workers": "0",
		"jit":                              "off",
		"password_encryption":              "scram-sha-256",
		"log_timezone":                     "UTC",
		"timezone":                         "Asia/Tokyo",
		// The log is for the server's troubles, and must not hold values.
		"log_error_verbosity":     "terse",
		"log_min_error_statement": "panic",
	}
	for k, v := range settings {
		all[k] = v
	}
	var args []string
	for k, v := range all {
		args = append(args, "-c", k+"="+v)
	}
	cmd := c.command(c.data, "postgres", args...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	started := make(chan error, 1)
	go func() {
		// This thread's end is what the server takes for the death of its
		// parent, so it waits here for as long as the server runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			if c.err = cmd.Wait(); c.err != nil {
				c.err = fmt.Errorf("the demo PostgreSQL server ended: %w: see %s", c.err, c.logged)
			}
		}
		close(c.done)
	}()
	return <-started
}

// waitReady returns when the server has written that it is ready.
func (c *Cluster) waitReady(ctx context.Context) error {
	for {
		b, _ := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
		lines := strings.Split(string(b), "\n")
		if len(lines) > 7 && lines[0] == strconv.Itoa(c.pid) && strings.TrimSpace(lines[7]) == "ready" {
			return nil
		}
		select {
		case <-c.done:
			tail, _ := os.ReadFile(c.logged)
			return fmt.Errorf("the server ended at once: %s", strings.TrimSpace(string(tail)))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
