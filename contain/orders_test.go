package contain_test

import (
	"crypto/ed25519"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/contain"
)

// An order, from the word of two people to a terminal that reaches nothing, by a
// router and by a list; what somebody changes at the router, a start of sekisho,
// another end, and the way back.
func TestContainAtARouterAndInAList(t *testing.T) {
	o := newOffice(t)
	pc1 := netip.MustParseAddr("10.0.0.1") // as the keeper's own list of terminals has it
	o.a.Run("ip", "addr", "add", "10.0.0.1/32", "dev", "eth0")
	o.router.Run("ip", "route", "add", "10.0.0.1/32", "dev", "lan-a")
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	q.agent(o.router, func(c *contain.AgentConfig) { c.Every = time.Second })
	dir := t.TempDir()
	k := reopen(t, dir, usual, q.door.Hands...)
	stop := k.runs(t)
	cut := func() bool { return !reaches(o.a, "tcp", pc1, o.out4, 7) }
	if cut() {
		t.Fatal("nothing was ordered, and pc-1 is cut")
	}

	number, err := k.Propose(t.Context(), contain.Ask{Endpoints: []string{"pc-1"}, Cuts: []string{"egress"}, For: "1h", Reason: "malware"}, k.actor("suzuki", true))
	mustDo(t, err)
	if cut() {
		t.Error("it is cut before anybody agreed")
	}
	began := time.Now()
	mustDo(t, k.Decide(t.Context(), number, "approved", "", k.actor("tanaka", true)))
	t.Logf("approved, carried out and read back by every hand in %v", time.Since(began).Round(time.Millisecond))
	if !cut() {
		t.Error("it is approved, and pc-1 reaches the outside")
	}
	if _, _, body := q.fetch("terminals.txt", "squid", "squid-password-of-thirty-chars", ""); !strings.HasPrefix(body, "10.0.0.1\n") {
		t.Errorf("the list says %q", body)
	}
	until(t, "all hands are recorded as complete", func() bool {
		return strings.Contains(k.states(number), "edge applied 1/1") && strings.Contains(k.states(number), "proxies applied 1/1")
	})

	// Drift at the router, looked for every second as it is in the field every two.
	began = time.Now()
	o.router.Run("nft", "flush", "set", "inet", "sekisho", "hosts4")
	until(t, "the drift is recorded", func() bool {
		for _, h := range k.order(number).History {
			if h.Body.Hand == "edge" && h.Body.State == "drift" {
				return true
			}
		}
		return false
	})
	t.Logf("taken away by hand at the router: recorded after %v", time.Since(began).Round(time.Millisecond))
	until(t, "it is put back", cut)

	// Another end of the order reaches the router, although it changes nothing
	// that is cut.
	text, err := os.ReadFile(filepath.Join(q.dir, "router", "state"))
	mustDo(t, err)
	key, err := contain.ParsePublicKey(q.key)
	mustDo(t, err)
	before, err := contain.OpenState(text, "edge", []ed25519.PublicKey{key})
	mustDo(t, err)
	mustDo(t, k.Prolong(t.Context(), number, 5*time.Hour, "", "not clean yet", k.actor("tanaka", true)))
	until(t, "the router knows the new end", func() bool {
		text, err := os.ReadFile(filepath.Join(q.dir, "router", "state"))
		if err != nil {
			return false
		}
		s, err := contain.OpenState(text, "edge", []ed25519.PublicKey{key})
		return err == nil && len(s.Egress) == 1 && s.Egress[0].Until > before.Egress[0].Until+sekisho.Time((3*time.Hour).Microseconds())
	})

	// sekisho starts again, and the router has lost everything but its disk.
	stop()
	k.close()
	q.stop()
	o.router.Run("nft", "flush", "ruleset")
	until(t, "the agent alone puts it back", cut)
	q.start()
	k = reopen(t, dir, usual, q.door.Hands...)
	k.Assert(t.Context())
	k.runs(t)
	if !cut() {
		t.Error("after a start pc-1 reaches the outside")
	}
	mustDo(t, k.Lift(t.Context(), number, contain.LiftAsk{All: true, Reason: "cleaned"}, k.actor("tanaka", true)))
	if cut() {
		t.Error("it was given back, and is cut")
	}
	if _, _, body := q.fetch("terminals.txt", "squid", "squid-password-of-thirty-chars", ""); body != contain.ListEnd+"\n" {
		t.Errorf("the list says %q", body)
	}
}
