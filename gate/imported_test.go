package gate

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What PostgreSQL keeps of a password is taken as it is: whoever had the
// password for the database has it for the gate.
func TestPasswordFromPostgres(t *testing.T) {
	ctx := context.Background()
	sql := func(text string) string {
		out, err := cluster.SQL(ctx, "postgres", text)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	sql("drop role if exists moved; set password_encryption = 'scram-sha-256'; create role moved login password '以前のパスワード ok'")
	verifier := sql("select rolpassword from pg_authid where rolname = 'moved'")
	if !strings.HasPrefix(verifier, "SCRAM-SHA-256$4096:") {
		t.Fatalf("the server keeps something else: %.20s", verifier)
	}
	h := newHouse(t, func(o *options) {
		o.gate.Principals = append(o.gate.Principals, Principal{Name: "moved", Role: "staff", Verifier: verifier})
	})
	if got := h.psql("moved", "select 1", "password='以前のパスワード ok'"); got != "1\n" {
		t.Errorf("with the password that the database knew: %q", got)
	}
	if got := h.psql("moved", "select 1", "password=another"); !strings.Contains(got, "password authentication failed") {
		t.Errorf("with another: %q", got)
	}
}

// The password of a login upstream is changed in the database and in its file;
// the next session uses the new one, and the one before goes on.
func TestUpstreamPasswordTurnsOver(t *testing.T) {
	ctx := context.Background()
	sql := func(text string) {
		if _, err := cluster.SQL(ctx, "postgres", text); err != nil {
			t.Fatal(err)
		}
	}
	sql("drop role if exists turned; create role turned login password 'first'")
	file := filepath.Join(t.TempDir(), "turned.password")
	write := func(password string) {
		if err := os.WriteFile(file+".new", []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	var mu sync.Mutex
	var log bytes.Buffer
	h := newHouse(t, func(o *options) {
		o.log = lockedWriter{&mu, &log}
		o.gate.Roles["turned"] = Role{Login: Login{User: "turned", PasswordFile: file}}
		o.gate.Principals = append(o.gate.Principals, Principal{Name: "turner", Role: "turned", Verifier: o.gate.Principals[0].Verifier})
	})
	before := h.connect("turner")
	sql("alter role turned password 'second'")
	if got := h.psql("turner", "select current_user"); !strings.Contains(got, "the database refused the gate's connection") {
		t.Fatalf("the database still takes the old password, so that this test shows nothing: %q", got)
	}
	// The client reads that the log says more, and it does.
	mu.Lock()
	if !strings.Contains(log.String(), "SQLSTATE 28P01") || !strings.Contains(log.String(), "password_file does not hold what the database knows") {
		t.Errorf("the log does not say what to do:\n%s", &log)
	}
	mu.Unlock()
	write("second")
	if got := h.psql("turner", "select current_user"); got != "turned\n" {
		t.Errorf("the next session: %q", got)
	}
	var user string
	if err := before.QueryRow(ctx, "select current_user").Scan(&user); err != nil || user != "turned" {
		t.Errorf("the session from before: %q, %v", user, err)
	}
}
