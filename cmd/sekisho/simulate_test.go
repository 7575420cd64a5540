package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/act"
	"sekisho/console"
	"sekisho/duty"
)

// A simulation knows of each moment which terminals could be used outside the
// office, and who had a permit, from the same ledger.
func TestSimulationKnowsTheRegisterOfTerminals(t *testing.T) {
	day := func(n int) sekisho.Time {
		return sekisho.At(time.Date(2026, 4, 1, 3, 0, 0, 0, time.UTC).AddDate(0, 0, n))
	}
	s := simulation{terminals: duty.NewChecks()}
	permit := sekisho.OffsiteDecided{Action: "asked", Person: 7, Endpoint: "pc-0417", Categories: sekisho.Identity, From: day(1), Until: day(10), By: 7}
	approved := permit
	approved.Action, approved.Permit, approved.By = "approved", 2, 9
	for i, b := range []sekisho.Body{
		&sekisho.PostureSeen{Source: "person", Endpoint: "pc-0417", At: day(0), Managed: "yes", Encrypted: "yes", Patched: "yes", Offsite: "yes"},
		&permit, &approved,
	} {
		s.terminals.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: uint64(i + 1)}, Time: day(0), Body: b})
	}
	for _, one := range []struct {
		name     string
		person   uint32
		endpoint string
		verified bool
		at       sekisho.Time
		ready    bool
		permits  sekisho.Categories
	}{
		{"with a permit", 7, "pc-0417", true, day(2), true, sekisho.Identity},
		{"somebody else", 8, "pc-0417", true, day(2), true, 0},
		{"another terminal", 7, "pc-0418", true, day(2), false, 0},
		{"no certificate", 7, "pc-0417", false, day(2), false, 0},
		{"before the permit", 7, "pc-0417", true, day(0), true, 0},
		{"after it", 7, "pc-0417", true, day(11), true, 0},
		{"nothing was heard of the terminal for long", 7, "pc-0417", true, day(60), false, 0},
	} {
		var r act.Request
		s.offSite(&r, &sekisho.SessionOpened{Principal: one.person, Endpoint: one.endpoint, Verified: one.verified}, one.at)
		if r.OffSiteReady != one.ready || r.Permits != one.permits {
			t.Errorf("%s: ready %v, permits %v", one.name, r.OffSiteReady, r.Permits)
		}
	}
}

// An access that could be anybody's has every category of its tables; what the
// policy was asked about the statement stands in the ledger beside it, and that is
// what another policy is asked.
func TestSimulationAsksWhatTheGateAsked(t *testing.T) {
	files, _, err := act.Default()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := act.Load(act.Config{}, files...)
	if err != nil {
		t.Fatal(err)
	}
	words, err := console.NewTeller("en", nil)
	if err != nil {
		t.Fatal(err)
	}
	run := func(ruled bool) string {
		now := sekisho.At(time.Date(2026, 4, 6, 3, 0, 0, 0, time.UTC))
		s := simulation{
			words: words, policy: policy, zone: time.UTC, posts: map[string]string{"application": "service"}, office: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			ruled: map[ruledKey]*sekisho.Ruled{}, sessions: map[uint64]*replayedSession{}, shapes: map[uint64]*sekisho.Shape{},
			memos: map[string]*[2]act.Memo{}, changes: map[changeKey]*change{}, total: simulated{roles: map[string]bool{}},
		}
		tables := []string{"crm.member"}
		for i, b := range []sekisho.Body{
			&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 2, Role: "analyst", Endpoint: "pc-0417", Verified: true, Address: netip.MustParseAddr("10.20.4.17")},
			&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: tables, Categories: sekisho.Identity | sekisho.Payment | sekisho.Loyalty, Statement: 7},
			&sekisho.Ruled{Session: 1, Number: 1, Statement: 7, Verb: sekisho.Read, Tables: tables, Categories: sekisho.Loyalty, Decision: "refuse"},
			&sekisho.Access{Session: 1, Shape: 2, Number: 1, Class: sekisho.AnyRow, Reach: 1000},
			&sekisho.SessionClosed{Session: 1},
		} {
			if _, is := b.(*sekisho.Ruled); is && !ruled {
				continue
			}
			s.apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: uint64(i + 1)}, Time: now, Body: b})
		}
		r := s.report()
		if len(r.Changes) != 1 {
			t.Fatalf("%+v", r)
		}
		if c := r.Changes[0]; c.Principal != "principal 2" || !slices.Contains(r.Notes, s.words.Say("cmd.note.unnamed")) {
			t.Errorf("whose name is not known: %s, %q", c.Principal, r.Notes)
		}
		return strings.Join(r.Changes[0].Policies, " ")
	}
	if by := run(true); strings.Contains(by, "never-by-people") {
		t.Errorf("it did not ask for payment, and is refused by %s", by)
	}
	if by := run(false); !strings.Contains(by, "never-by-people") {
		t.Errorf("where nothing says what it asked for it is refused by %q", by)
	}
}
