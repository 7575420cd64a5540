package contain_test

import (
	"slices"
	"testing"
	"time"

	"sekisho/contain"
)

// The view from the other side: a probe among the terminals sees what the
// firewall's own listing cannot show.
func TestProbeSeesWhatLeaks(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.conf.Probes = []contain.ProbeHand{{Name: "canary", TokenFile: "probe.token", Addresses: []string{o.b4.String(), o.b6.String()}, Hands: []string{"edge"}}}
	if err := q.conf.Check(q.dir); err != nil {
		t.Fatal(err)
	}
	q.start()
	q.agent(o.router, nil)
	q.beside(o.b, "probe", contain.ProbeConfig{Name: "canary", Sekisho: q.url(), CA: "cert.pem", TokenFile: "probe.token", Every: 100 * time.Millisecond,
		Outside: []string{"tcp/203.0.113.2:7", "tcp/[2001:db8:113::2]:7"}, Names: []string{o.inside4.String(), o.out6.String()}, Inside: []string{"tcp/10.2.0.2:7"}})
	h, d := q.hand("edge"), o.desired(o.a4, o.a6)
	faults := func() []string { return o.compare(h, d).Faults }
	if err := h.Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	// A try that was begun before says nothing; then every one finds all shut.
	wait(t, "the probe to find itself cut off", func() bool { return !reaches(o.b, "tcp", o.b4, o.out4, 7) && len(faults()) == 0 })
	if diff := o.compare(h, d); !diff.None() || diff.Enforced != 2 {
		t.Errorf("%+v", diff)
	}

	// Mistakes in the router's own config: its rules are as they were written, and
	// let out all the same.
	q.agentStop()
	q.agent(o.router, func(c *contain.AgentConfig) { c.Router.Resolvers = []string{o.inside4.String()} })
	wait(t, "the probe to be answered", func() bool { return slices.Equal(faults(), []string{contain.FaultNames}) })
	q.agentStop()
	q.agent(o.router, func(c *contain.AgentConfig) { c.Router.Responders = []string{"203.0.113.2"} })
	wait(t, "the probe to get out", func() bool { return slices.Contains(faults(), contain.FaultLeaks) })
	q.agentStop()
	q.agent(o.router, func(c *contain.AgentConfig) { c.Router.Relays = []string{"tcp/10.2.0.2:7"} })
	wait(t, "the probe to miss the inside", func() bool { return slices.Equal(faults(), []string{contain.FaultTooMuch}) })
	if err := h.Apply(t.Context(), contain.Desired{}); err != nil {
		t.Fatal(err)
	}
	if diff := o.compare(h, contain.Desired{}); !diff.None() {
		t.Errorf("given back: %+v", diff)
	}
}
