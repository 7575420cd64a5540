package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/demo"
)

// A decoy from its placing to the alert that a touch of it is.
func TestDecoys(t *testing.T) {
	r := start(t)
	decoy, other := demo.MemberNo(storeSeed, 5), demo.MemberNo(storeSeed, 6)
	file := filepath.Join(r.dir, "decoys")
	os.WriteFile(file, fmt.Appendf(nil, "%d kasumi@decoy.example.jp\n\n999999999999\n", decoy), 0o600)
	r.mustNot("no protected tables of that subject", "decoy", "add", file, "--space", "pets")
	if out := r.must("decoy", "add", file, "--space", "member", "--group", "front-office"); out != "2 decoys placed\n" {
		t.Errorf("added: %s", out)
	}
	if out := r.must("decoy", "list"); !strings.Contains(out, fmt.Sprint("member ", decoy)) || !strings.Contains(out, "for front-office, kasumi@decoy.example.jp") {
		t.Errorf("listed: %s", out)
	}
	out, err := r.sekisho("decoy", "check", "--config", filepath.Join(r.dir, "sekisho.yaml"))
	if err == nil || !strings.Contains(out, "crm.member: 1 row\n") || !strings.Contains(out, "crm.member: 0 rows\n") || !strings.Contains(out, "may catch nobody") {
		t.Errorf("checked: %v: %s", err, out)
	}
	os.WriteFile(file, []byte("999999999999\n"), 0o600)
	r.must("decoy", "remove", file, "--space", "member")
	r.mustNot("is no decoy", "decoy", "remove", file, "--space", "member")

	// Somebody looks for one customer, and then browses.
	boss := r.signedIn("admin", r.must("user", "reset", "admin"))
	r.psql(fmt.Sprintf("select name_latin from crm.member where member_no = %d", other))
	if page := get(t, boss, r.console+"/incidents"); strings.Contains(page, "A decoy was touched") {
		t.Error("an alert about somebody who is none")
	}
	r.psql(fmt.Sprintf("select name_latin from crm.member where member_no between %d and %d", min(decoy, other), max(decoy, other)))
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if page := get(t, boss, r.console+"/incidents"); strings.Contains(page, "A decoy was touched") {
			break
		}
		if time.Now().After(until) {
			t.Fatal("no incident about the decoy")
		}
	}
	r.stop()
	b, err := os.ReadFile(filepath.Join(r.dir, "live", "ledger", firstSegment(t, filepath.Join(r.dir, "live", "ledger"))))
	if err != nil || strings.Contains(string(b), "kasumi") || strings.Contains(r.said.String(), "kasumi") {
		t.Errorf("the ledger or the log holds the mailbox: %v", err)
	}
}

func firstSegment(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Size() > 4096 {
			return e.Name()
		}
	}
	t.Fatal("no segment")
	return ""
}
