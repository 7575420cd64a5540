package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho"
	"sekisho/demo"
	"sekisho/disk"
	"sekisho/house"
	"sekisho/ledger"
	"sekisho/vault"
)

func TestMain(m *testing.M) {
	testscript.Main(andTidy{m}, map[string]func(){"sekisho": main})
}

// andTidy leaves nothing behind that tests share.
type andTidy struct{ m *testing.M }

// A program that watches for races sleeps for a second before it exits, in case
// one is still to come. The commands that the tests run do not: there are
// hundreds of them, and what they raced for is over.
const noSleep = "atexit_sleep_ms=0"

func (a andTidy) Run() int {
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", noSleep)
	}
	code := a.m.Run()
	if filled.dir != "" {
		os.RemoveAll(filled.dir)
	}
	return code
}

// scriptEnv is what the commands of a script have in their environment, which is
// not the tests' own.
func scriptEnv(e *testscript.Env) {
	e.Setenv("SEKISHO_LOG", "error")
	e.Setenv("GORACE", os.Getenv("GORACE"))
}

// TestCommands runs the scripts of testdata: each line is a command as a
// person types it.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			scriptEnv(e)
			return errors.Join(makeLedger(filepath.Join(e.WorkDir, "data")), makeLedger(filepath.Join(e.WorkDir, "other")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"flip": flip, "packs": packs},
	})
}

// makeLedger makes the data directory of a stopped sekisho: on 2014-09-19, at
// noon in Tokyo, sato read members 100 to 104 at pc-0417.
func makeLedger(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := vault.LoadOrMakeKey(filepath.Join(dir, "vault.key"))
	if err != nil {
		return err
	}
	v, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: key})
	if err != nil {
		return err
	}
	defer v.Close()
	if err := v.Reconcile(nil); err != nil {
		return err
	}
	noon := time.Date(2014, 9, 19, 3, 0, 0, 0, time.UTC)
	l, err := ledger.Open(ledger.Config{Dir: filepath.Join(dir, "ledger"), Gate: 1, Name: "member-db", Now: func() time.Time { return noon }, Before: v.Flush, SegmentBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer l.Close()
	ctx := context.Background()
	session, err := l.Append(ctx, &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: v.Space("staff").OfText([]byte("sato")), Role: "call_centre", Endpoint: "pc-0417", Verified: true})
	if err != nil {
		return err
	}
	shape, err := l.Append(ctx, &sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}, Columns: []string{"crm.member.email"}, Categories: sekisho.Contact})
	if err != nil {
		return err
	}
	var subjects []uint32
	for k := range int64(5) {
		subjects = append(subjects, v.Space("member").OfInt(100+k))
	}
	_, err = l.Append(ctx, &sekisho.Access{Session: session.Seq, Shape: shape.Seq, Number: 1, Class: sekisho.Exact, Rows: 5, Least: 40, Subjects: subjects})
	return err
}

// flip FILE TEXT changes one bit of the first byte of TEXT in FILE.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE TEXT")
	}
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	at := strings.Index(string(b), args[1])
	if at < 0 {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	b[at] ^= 1
	ts.Check(os.WriteFile(name, b, 0o600))
}

// TestDemoConfig: what the demo writes is a config that sekisho reads.
func TestDemoConfig(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o711)
	cluster, err := demo.StartCluster(context.Background(), demo.ClusterConfig{Dir: filepath.Join(dir, "postgres")})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Stop()
	d := demonstration{dir: dir}
	if _, err := d.config(cluster); err != nil {
		t.Fatal(err)
	}
	c, _, err := readConfig(filepath.Join(dir, "sekisho.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Gate.Check(); err != nil {
		t.Fatal(err)
	}
	if err := c.Catalog.Check(); err != nil {
		t.Fatal(err)
	}
	if len(c.Catalog.Tables) == 0 || c.Gate.Principals[0].Name != demoUser {
		t.Errorf("the config came out empty: %+v", c)
	}
}

// TestDataInUse: two houses on one data directory would each believe that they
// number its entries.
func TestDataInUse(t *testing.T) {
	dir := t.TempDir()
	if err := makeLedger(dir); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	h, err := house.Reopen(ctx, dir, "", house.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := house.Reopen(ctx, dir, "", house.Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("a second house on the same data: %v", err)
	}
}
