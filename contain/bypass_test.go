package contain_test

import (
	"fmt"
	"net/netip"
	"testing"

	"sekisho"
	"sekisho/contain"
	"sekisho/incident"
)

// Breaking the glass takes the executive's own word, too: their name, typed by
// somebody else, is none.
func TestContainGlassIsNotTheExecutivesWord(t *testing.T) {
	o := newKeeping(t, usual)
	ctx := t.Context()
	ask := contain.Ask{Endpoints: []string{"ops-1"}, Cuts: []string{"egress"}, Executive: "president", BreakGlass: true, Reason: "a test"}
	_, err := o.Propose(ctx, ask, o.actor("suzuki", true))
	refused(t, err, "executive_word")
	o.expect(t, "nobody has ordered it", "", "")
	_, err = o.Propose(ctx, ask, o.actor("president", true))
	mustDo(t, err)
	o.expect(t, "by the president", "10.0.9.1", "10.0.9.1")
}

// Whoever may cut off a few terminals alone does not cut off many by many
// orders.
func TestContainManySmallOrders(t *testing.T) {
	conf := usual
	conf.ApproveAbove = 1
	o := newKeeping(t, conf)
	ctx := t.Context()
	ask := func(name string) contain.Ask {
		return contain.Ask{Endpoints: []string{name}, Cuts: []string{"egress"}, Reason: "a test"}
	}
	_, err := o.Propose(ctx, ask("pc-1"), o.actor("suzuki", true))
	mustDo(t, err)
	second, err := o.Propose(ctx, ask("pc-2"), o.actor("suzuki", true))
	mustDo(t, err)
	o.expect(t, "the second one waits", "10.0.0.1", "10.0.0.1")
	mustDo(t, o.Decide(ctx, second, "approved", "", o.actor("tanaka", true)))
	o.expect(t, "approved", "10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2")
	_, err = o.Propose(ctx, ask("pc-1"), o.actor("suzuki", true)) // the same one again is not another
	mustDo(t, err)
	if n := len(o.book.InForce()); n != 3 {
		t.Errorf("%d orders are in force, want 3", n)
	}
}

// A destination that is half of the world is cut off by two people, and one that
// no hand can close by nobody.
func TestContainWideDestinations(t *testing.T) {
	o := newKeeping(t, usual)
	ctx := t.Context()
	for _, everybody := range []string{"0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "::ffff:203.0.113.0/120", "203.0.113.9/24", "fe80::1%eth0"} {
		_, err := o.Propose(ctx, contain.Ask{Destinations: []string{everybody}, Reason: "a test"}, o.actor("suzuki", true))
		refused(t, err, "destination")
	}
	for _, wide := range []string{"128.0.0.0/1", "64:ff9b::/96", "64:ff9b::198.51.96.0/116", "64:ff9b:1::/48"} {
		_, err := o.Propose(ctx, contain.Ask{Destinations: []string{wide}, Reason: "a test"}, o.actor("suzuki", true))
		mustDo(t, err)
	}
	_, err := o.Propose(ctx, contain.Ask{Destinations: []string{"203.0.113.0/24"}, Reason: "a test"}, o.actor("suzuki", true))
	mustDo(t, err)
	o.expect(t, "the wide ones wait", "203.0.113.0", "203.0.113.0")
}

// What somebody types into an incident's question moves no hand by itself but
// for what is narrow, and never keeps hands from what else is ordered.
func TestContainFollowsNothingWide(t *testing.T) {
	l := newPages()
	l.put(&sekisho.Alert{Detector: "egress", Endpoint: "pc-1", From: l.now, Until: l.now + 1, Target: netip.MustParseAddr("203.0.113.1")})
	number := l.book.List()[0].Number
	order := l.put(&sekisho.ContainmentProposed{Incident: number, Follow: true, Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}})
	l.put(&sekisho.ContainmentDecided{Order: order, Action: "approved", Until: l.now + 3600e6})
	hostile := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2000::/3"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b::c000:200/120"), netip.MustParsePrefix("::ffff:192.0.2.1/128")}
	l.put(&sekisho.IncidentRevised{Incident: number, By: 1, Endpoints: []string{"pc-1"}, Until: l.now, Hostile: hostile})
	d := contain.Combine(1, []*incident.Order{l.book.Order(order)}, nil, contain.Paths{})
	if got, want := fmt.Sprint(d.Destinations), "[192.0.2.1/32 198.51.100.0/24 203.0.113.1/32 64:ff9b::c000:200/120]"; got != want {
		t.Errorf("hands are told to block %s, want %s", got, want)
	}
}
