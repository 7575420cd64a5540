package incident_test

import (
	"testing"

	"sekisho"
)

// The gate ends sessions, and closes nobody's way out: where it is the only hand
// that did something, an incident is contained in part, and not verified.
func TestTheGateAloneContainsNoIncident(t *testing.T) {
	h := newHouse()
	h.book.Run("alert sweep 7 pc-0417 for=1h")
	h.settle()
	n := h.cases.List()[0].Number
	order := h.put(&sekisho.ContainmentProposed{Incident: n, Cuts: sekisho.CutEgress | sekisho.CutGate, Endpoints: []sekisho.ContainedEndpoint{{Name: "pc-0417"}},
		Hands: []string{"gate", "router"}, Alone: true, Lasts: 3600, By: 4})
	h.put(&sekisho.ContainmentDecided{Order: order, Action: "approved", Until: h.book.Now + hour, By: 5})
	for _, step := range []struct {
		hand, state       string
		partial, verified bool
	}{
		{"gate", "applied", true, false},
		{"router", "partial", true, false},
		{"router", "applied", true, true},
		{"router", "drift", true, false},
		{"router", "applied", true, true},
	} {
		h.put(&sekisho.ContainmentReported{Hand: step.hand, Orders: []uint64{order}, State: step.state, Intended: 1, Enforced: 1})
		marks := h.cases.Get(n).Marks()
		_, partial := marks["contained_partial"]
		_, verified := marks["contained_verified"]
		if partial != step.partial || verified != step.verified {
			t.Errorf("%s %s: contained in part %v, verified %v; want %v, %v", step.hand, step.state, partial, verified, step.partial, step.verified)
		}
	}
}
