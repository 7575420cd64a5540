package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho"
	"sekisho/demo"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/vault"
)

// TestPolicyCommands runs the scripts of testdata/policy.
func TestPolicyCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/policy",
		Setup: func(e *testscript.Env) error {
			scriptEnv(e)
			return makeBusyLedger(filepath.Join(e.WorkDir, "data"))
		},
	})
}

// makeBusyLedger makes the data directory of a stopped sekisho, with an hour of
// a Monday: from 10:00 in Tokyo on, something happens every minute.
func makeBusyLedger(dir string) error {
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
	now := time.Date(2026, 4, 6, 1, 0, 0, 0, time.UTC)
	l, err := ledger.Open(ledger.Config{Dir: filepath.Join(dir, "ledger"), Gate: 1, Name: "member-db", Now: func() time.Time { return now }, Before: v.Flush, SegmentBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer l.Close()
	add := func(b sekisho.Body) uint64 {
		now = now.Add(time.Minute)
		id, failed := l.Append(context.Background(), b)
		if failed != nil && err == nil {
			err = failed
		}
		return id.Seq
	}
	staff := func(name string) uint32 { return v.Space("staff").OfText([]byte(name)) }
	purpose := func(name string) uint32 { return v.Space("purpose").OfText([]byte(name)) }
	members := func(n uint32) (list []uint32) {
		for k := range int64(n) {
			list = append(list, v.Space("member").OfInt(100+k))
		}
		return list
	}
	contact := add(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}, Categories: sekisho.Identity | sekisho.Contact})
	passport := add(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.passport"}, Categories: sekisho.TravelDoc})
	export := add(&sekisho.Shape{Verb: sekisho.Export, Space: "member", Tables: []string{"crm.member"}, Categories: sekisho.Identity | sekisho.Loyalty})
	whole := add(&sekisho.Shape{Verb: sekisho.Other, Space: "member", Tables: []string{"crm.member"}, Categories: sekisho.Identity})

	// sato, in the call centre: three members, nobody, eight hundred members in
	// two chunks with a passport between them, and something turned away.
	sato := add(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: staff("sato"), Role: "call_centre", Endpoint: "pc-0417", Verified: true, Address: netip.MustParseAddr("10.20.4.17")})
	access := func(session, shape, number uint64, rows uint32, more bool, stated uint32) {
		add(&sekisho.Access{Session: session, Shape: shape, Number: number, Class: sekisho.Exact, More: more, Purpose: stated, Rows: uint64(rows), Least: 40, Subjects: members(rows)})
	}
	support := purpose("support")
	access(sato, contact, 1, 3, false, support)
	access(sato, contact, 2, 0, false, support)
	access(sato, contact, 3, 700, true, support)
	access(sato, passport, 4, 1, false, support)
	access(sato, contact, 3, 100, false, support)
	add(&sekisho.Refused{Session: sato, Number: 5, Tables: []string{"crm.member"}, SQLState: "0A000", Reason: "aggregate"})

	// mori, an analyst at home, takes a file, and runs what nobody can read.
	mori := add(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: staff("mori"), Role: "analyst", Endpoint: "pc-0533", Verified: true, Address: netip.MustParseAddr("203.0.113.9")})
	access(mori, export, 1, 1000, false, purpose("statistics"))
	add(&sekisho.Access{Session: mori, Shape: whole, Number: 2, Class: sekisho.AnyRow, Purpose: purpose("statistics"), Reach: 1000})
	add(&sekisho.SessionClosed{Session: mori, Reason: "terminate"})

	console := add(&sekisho.SessionOpened{Door: sekisho.DoorConsole, Principal: staff("sato"), Endpoint: "console@10.20.4.17"})
	access(console, contact, 1, 5, false, 0)
	return err
}

// What the gate did with statements and what a simulation of its ledger under
// the same policy says is the same; under another policy it says what changes.
func TestSimulationAgreesWithTheGate(t *testing.T) {
	r := start(t)
	r.byDay()
	member := fmt.Sprint(demo.MemberNo(storeSeed, 1000))
	script := strings.ReplaceAll(`
select name_kanji, email from crm.member where member_no = $m;
select name_kanji from crm.member where email = 'nobody@example.jp';
select member_no from crm.passport where passport_no = 'TK0000000';
select p.passport_no, m.name_kanji from crm.member m join crm.passport p on p.member_no = m.member_no order by m.member_no limit 3;
select name_kanji from crm.member order by member_no limit 500;
select name_kanji from crm.member order by member_no;
select passport_no from crm.passport order by member_no;
select workplace from crm.member where member_no = $m;
select password_hash from crm.credential where member_no = $m;
select passport_no from crm.passport for update;
copy (select name_kanji from crm.member) to stdout;
set sekisho.purpose = 'travel_document_check';
select passport_no from crm.passport order by member_no limit 3;
select name_kanji from crm.member where member_no = $m;
`, "$m", member)
	cmd := exec.Command("psql", "-XqAt", "-d", r.login.dsn(r.gate), "-f", "-")
	cmd.Env = append(os.Environ(), "PGPASSFILE="+r.login.passfile)
	cmd.Stdin = strings.NewReader(script)
	said, _ := cmd.CombinedOutput()
	if n := strings.Count(string(said), "ERROR:"); n != 6 {
		t.Fatalf("%d errors in\n%s", n, said)
	}
	r.stop()

	config, live := filepath.Join(r.dir, "sekisho.yaml"), filepath.Join(r.dir, "live")
	type result struct {
		Statements, Changed uint64
		Summary             []change
		Notes               []string
	}
	simulate := func(args ...string) (out result) {
		t.Helper()
		said, err := r.sekisho(append([]string{"policy", "simulate", "--config", config, "--ledger", live, "--json"}, args...)...)
		if err == nil {
			err = json.Unmarshal([]byte(said), &out)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		return out
	}
	// FOR UPDATE is refused because it cannot be masked, which is no decision
	// of the policy's.
	same := simulate()
	if same.Statements != 13 || same.Changed != 1 || len(same.Summary) != 1 || same.Summary[0].Before != "refuse" || !strings.HasPrefix(same.Summary[0].After, "mask travel_document=partial") {
		t.Errorf("under the policy that decided: %+v", same)
	}

	policy := filepath.Join(r.dir, "policy", "limits.cedar")
	b, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join(r.dir, "policy", "default.tests")
	os.Remove(tests)
	os.WriteFile(policy, []byte(strings.ReplaceAll(string(b), `@rows("500")`, `@rows("100")`)), 0o644)
	var changed []string
	for _, c := range simulate().Summary {
		changed = append(changed, fmt.Sprintf("%s → %s: %d", c.Before, c.After, c.Statements))
	}
	slices.Sort(changed)
	if want := []string{
		"allow → cap 100 rows: 1",
		"cap 500 rows → cap 100 rows: 1",
		"mask travel_document=partial, cap 500 rows → mask travel_document=partial, cap 100 rows: 1",
		"refuse → mask travel_document=partial, cap 100 rows: 1",
	}; !slices.Equal(changed, want) {
		t.Errorf("with 100 rows: %q", changed)
	}
}
