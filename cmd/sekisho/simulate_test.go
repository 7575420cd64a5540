package main

import (
	"testing"
	"time"

	"sekisho"
	"sekisho/act"
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
