package catalog_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a real PostgreSQL, started once for the package, with the schema
// in testdata. It listens on a private socket only.
type server struct {
	bin, dir string
	as       *syscall.Credential
	process  *exec.Cmd
}

var postgres server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if err := postgres.start(); err != nil {
			fmt.Fprintf(os.Stderr, "starting PostgreSQL for the tests: %v\nInstall it (on Debian: apt install postgresql), or set PG_BIN to the directory with initdb and postgres.\n", err)
			return 1
		}
		defer postgres.stop()
		return m.Run()
	}())
}

func (s *server) start() (err error) {
	if s.bin = os.Getenv("PG_BIN"); s.bin == "" {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
		if len(found) > 0 {
			s.bin = filepath.Dir(found[len(found)-1])
		} else if path, err := exec.LookPath("initdb"); err == nil {
			s.bin = filepath.Dir(path)
		} else {
			return errors.New("there is no initdb")
		}
	}
	// A Unix socket's path may be 107 bytes long, so not deep below TMPDIR.
	if s.dir, err = os.MkdirTemp("", "sekisho-pg"); err != nil {
		return err
	}
	if os.Geteuid() == 0 { // initdb refuses root
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	if out, err := s.command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	s.process = s.command("postgres", "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "log_min_messages=fatal")
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.process.Stderr = log
	if err := s.process.Start(); err != nil {
		return err
	}
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if s.command("pg_isready", "-h", s.dir).Run() == nil {
			break
		}
		if time.Now().After(limit) {
			return errors.New("it does not answer")
		}
	}
	schema, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		return err
	}
	_, err = s.psql(string(schema))
	return err
}

func (s *server) stop() {
	if s.process != nil && s.process.Process != nil {
		s.process.Process.Signal(syscall.SIGQUIT)
		s.process.Wait()
	}
	os.RemoveAll(s.dir)
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGOPTIONS=")
	return cmd
}

const null = "\x02null"

// psql runs a text, and returns what psql prints.
func (s *server) psql(sql string, flags ...string) (string, error) {
	args := append([]string{"-h", s.dir, "-U", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--csv", "-t", "-P", "null=" + null}, flags...)
	cmd := s.command("psql", append(args, "postgres")...)
	cmd.Stdin = strings.NewReader(sql)
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, bad.String())
	}
	return out.String(), nil
}

// query is a catalog.Query over psql.
func (s *server) query(_ context.Context, sql string, args ...string) ([][]*string, error) {
	if len(args) > 0 {
		return nil, errors.New("parameters are not supported here")
	}
	out, err := s.psql(sql)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(strings.NewReader(out))
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	rows := make([][]*string, len(records))
	for i, rec := range records {
		rows[i] = make([]*string, len(rec))
		for j := range rec {
			if rec[j] != null {
				rows[i][j] = &rec[j]
			}
		}
	}
	return rows, nil
}
