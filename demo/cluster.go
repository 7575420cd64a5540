package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// superuser owns the cluster. It signs in by peer only: as the operating
	// system user that runs the server, or as root.
	superuser = "cluster_owner"
	// port is part of the socket's name only; nothing listens on TCP.
	port = 5432
	// maxSocketPath is what sockaddr_un holds, less the closing NUL (unix(7)).
	maxSocketPath = 107

	installHint = "install it with: apt-get install postgresql"
)

// ErrNoPostgreSQL says that no PostgreSQL server is installed here.
var ErrNoPostgreSQL = errors.New("PostgreSQL is not installed: " + installHint)

// ErrInUse says that another process holds the cluster's directory.
var ErrInUse = errors.New("already in use by another process")

// ClusterConfig says where a private cluster lives.
type ClusterConfig struct {
	// Dir is made if need be. It holds the data (data/), the passwords
	// (passwords/, one file of mode 0600 a role) and the server's log.
	Dir string
	// Bin is the directory of initdb, postgres and psql. Empty: the newest
	// /usr/lib/postgresql/*/bin, else wherever PATH finds postgres.
	Bin string
	// Settings are server settings (postgresql.conf) over the ones chosen here.
	Settings map[string]string
	Log      *slog.Logger // may be nil
}

// Cluster is a running private PostgreSQL server. It ends with Stop, and with
// the process that started it, however that ends.
type Cluster struct {
	dir     string
	bin     string
	data    *os.File // the data directory; the server reaches it by this descriptor
	lock    *os.File
	sockets string
	own     bool // sockets was made outside dir, and goes away with Stop
	as      *syscall.Credential
	log     *slog.Logger

	pid    int
	done   chan struct{} // closed when the server has ended and was reaped
	err    error         // how it ended; valid after done
	stop   sync.Once
	logged string // path of the server's log
}

// StartCluster starts the private cluster in cfg.Dir, and makes it first if it
// is not there. On return the server accepts connections. ctx bounds the start
// only. A directory left behind by a crash or a kill is recovered; one that
// another living process holds is ErrInUse.
//
// PostgreSQL refuses to run as root, so root runs it as the user postgres. The
// data directory is then handed over as an open descriptor, so that it may lie
// below directories that this user cannot enter.
func StartCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	c := &Cluster{log: cfg.Log, done: make(chan struct{})}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := c.start(ctx, cfg); err != nil {
		c.release()
		return nil, fmt.Errorf("starting the demo PostgreSQL cluster in %s: %w", cfg.Dir, err)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, cfg ClusterConfig) (err error) {
	if cfg.Dir == "" {
		return errors.New("no directory was given")
	}
	if c.dir, err = filepath.Abs(cfg.Dir); err != nil {
		return err
	}
	if c.bin, err = findBin(cfg.Bin, filepath.Join(c.dir, "data")); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if c.as, err = credentialOf("postgres"); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(c.dir, "passwords"), 0o700); err != nil {
		return err
	}
	if err := c.takeLock(); err != nil {
		return err
	}
	if err := c.initialise(ctx); err != nil {
		return err
	}
	if c.data, err = os.Open(filepath.Join(c.dir, "data")); err != nil {
		return err
	}
	if err := c.clearStale(ctx); err != nil {
		return err
	}
	if err := c.makeSocketDir(); err != nil {
		return err
	}
	if err := c.launch(cfg.Settings); err != nil {
		return err
	}
	if err := c.waitReady(ctx); err != nil {
		return errors.Join(err, c.Stop())
	}
	c.log.Info("demo PostgreSQL cluster is up", "dir", c.dir, "sockets", c.sockets)
	return nil
}

// SocketDir is the directory of the server's socket: the "host" of a
// connection string.
func (c *Cluster) SocketDir() string { return c.sockets }

// Port is the number in the socket's name.
func (c *Cluster) Port() int { return port }

// Program is where a program of the server's version is, such as psql.
func (c *Cluster) Program(name string) string { return filepath.Join(c.bin, name) }

// Superuser is the role that owns the cluster. The user who started the
// cluster signs in with it through the socket, without a password.
func (c *Cluster) Superuser() string { return superuser }

// Conninfo is a libpq connection string for role and database, with the
// role's password where the role has one. It is a secret.
func (c *Cluster) Conninfo(role, database string) (string, error) {
	s := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", quoteConninfo(c.sockets), port, quoteConninfo(role), quoteConninfo(database))
	if role == superuser {
		return s, nil
	}
	password, err := c.Password(role)
	if err != nil {
		return "", err
	}
	return s + " password=" + quoteConninfo(password), nil
}

func quoteConninfo(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// Password is the password of a role of this cluster, made at the first call
// and kept in a file of mode 0600. Making it does not give it to the role.
func (c *Cluster) Password(role string) (string, error) {
	name := filepath.Join(c.dir, "passwords", filepath.Base(role))
	b, err := os.ReadFile(name)
	if err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the password of role %s: %w", role, err)
	}
	var raw [24]byte
	rand.Read(raw[:])
	password := base64.RawURLEncoding.EncodeToString(raw[:])
	if err := writeFile(name, []byte(password+"\n")); err != nil {
		return "", fmt.Errorf("keeping the password of role %s: %w", role, err)
	}
	return password, nil
}

// writeFile puts a whole file of mode 0600 in place, or leaves what was there.
func writeFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// SQL runs a script in a database as the superuser and gives what it printed:
// one line a row, columns parted by "|". It stops at the first error.
func (c *Cluster) SQL(ctx context.Context, database, script string) (string, error) {
	var out bytes.Buffer
	err := c.psql(ctx, database, strings.NewReader(script), &out, "-f", "-")
	return strings.TrimSuffix(out.String(), "\n"), err
}

// psql runs the client with the given input. Errors carry the server's first
// line only: details and context can hold values.
func (c *Cluster) psql(ctx context.Context, database string, in io.Reader, out io.Writer, args ...string) error {
	args = append([]string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-v", "SHOW_CONTEXT=never",
		"-h", c.sockets, "-p", strconv.Itoa(port), "-U", superuser, "-d", database}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "psql"), args...)
	cmd.Env = append(cleanEnv(), "PGOPTIONS=-c client_min_messages=warning", "PGCLIENTENCODING=UTF8")
	cmd.Stdin, cmd.Stdout = in, out
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return nil
}

// Done is closed when the server has ended, asked or not.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Stop ends the server: open connections are cut, what was committed is on
// disk. It may be called more than once, and returns when the server is gone.
func (c *Cluster) Stop() error {
	var err error
	c.stop.Do(func() {
		err = c.end()
		c.release()
	})
	return err
}

func (c *Cluster) end() error {
	// Fast, then immediate, then by force; the next start recovers from each.
	steps := []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{syscall.SIGINT, 60 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 10 * time.Second}}
	for _, s := range steps {
		select {
		case <-c.done:
			return c.err
		default:
		}
		// The process is reaped only when done closes, so the id is still ours.
		syscall.Kill(c.pid, s.sig)
		select {
		case <-c.done:
			return c.err
		case <-time.After(s.wait):
		}
	}
	return fmt.Errorf("stopping the demo PostgreSQL cluster: process %d does not end", c.pid)
}

// release gives back what start took, as far as it came.
func (c *Cluster) release() {
	if c.own {
		os.RemoveAll(c.sockets)
	}
	if c.data != nil {
		c.data.Close()
	}
	if c.lock != nil {
		c.lock.Close()
	}
}
