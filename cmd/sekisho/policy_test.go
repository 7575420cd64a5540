package main

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/vault"
)

// TestPolicyCommands runs the scripts of testdata/policy.
func TestPolicyCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/policy",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SEKISHO_LOG", "error")
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
