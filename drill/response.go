package drill

import (
	"context"
	"fmt"

	"sekisho"
	"sekisho/contain"
	"sekisho/house"
	"sekisho/tell"
)

// approver is the member of staff who answers what the responder asks.
const approver = "security.manager"

// respond has two people do what can be done about an incident: cut its
// terminals and accounts off at the gate, and write what authorities and people
// would be told. The clock runs meanwhile, so that the ledger says how long the
// machinery took.
func respond(ctx context.Context, h *house.House, c *clock, number uint64, endpoints, accounts []string) error {
	c.run()
	if err := h.OpenContain(ctx); err != nil {
		return err
	}
	staff := func(name string) contain.Actor {
		n := h.Vault.Space("staff").OfText([]byte(name))
		return contain.Actor{Staff: n, Person: name, May: true, Same: func(other uint32) bool { return other == n }}
	}
	ask := contain.Ask{Incident: number, Principals: accounts, Cuts: []string{"gate"}, Alone: true, Reason: "the drill's end: what was taken over is shut out"}
	for _, name := range endpoints {
		one := ask
		if one.Endpoints = []string{name}; one.Endpoints[0] != "" {
			if _, err := h.Contain.Plan(one); err == nil { // others never came to the gate
				ask.Endpoints = append(ask.Endpoints, name)
			}
		}
	}
	order, err := h.Contain.Propose(ctx, ask, staff(responder))
	if err != nil {
		return fmt.Errorf("ordering a containment: %w", err)
	}
	if err := h.Contain.Decide(ctx, order, "approved", "", staff(approver)); err != nil {
		return fmt.Errorf("approving a containment: %w", err)
	}
	by := staff(responder).Staff
	for _, key := range []tell.Key{
		{Incident: number, Form: "appi_preliminary", Language: "ja"}, {Incident: number, Form: "person", Language: "ja"}, {Incident: number, Form: "public", Language: "ja"},
		{Incident: number, Form: "person", Language: "en"}, {Incident: number, Form: "public", Language: "en"},
	} {
		if _, ok := h.Office.Forms.Name(key.Form); !ok {
			return fmt.Errorf("there is no form %q", key.Form)
		}
		if _, err := h.Office.Save(ctx, key, nil, nil, by); err != nil {
			return fmt.Errorf("writing the text %q: %w", key.Form, err)
		}
	}
	return h.Views.Quiet(ctx)
}

// personAsked says whether an entry is a person's asking for an incident's numbers.
func personAsked(e *sekisho.Entry, number uint64) bool {
	b, ok := e.Body.(*sekisho.IncidentRevised)
	return ok && b.Incident == number && b.By != 0
}
