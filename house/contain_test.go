package house

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho/contain"
	"sekisho/sekishotest/handtest"
)

// The gate is held to the contract of hands.
func TestContainGateHand(t *testing.T) {
	s := newSite(t)
	handtest.Run(t, handtest.Case{Open: func(*testing.T) contain.Hand { return &gateHand{s.house.Gate, "crm", ""} }})
}

// The set is computed from what the ledger and the policy know; whoever is cut
// off at the gate is ended, and is not let in after a start either, until it is
// lifted.
func TestContainAtTheGate(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	in := s.through()
	s.ask(in, "select name from crm.member where member_no = 7")
	must(t, s.house.Settle(ctx))
	plan, err := s.house.Contain.Plan(contain.Ask{System: "crm", Cuts: []string{"gate"}})
	must(t, err)
	if len(plan.Terminals) != 1 || plan.Terminals[0].Name != "unverified@127.0.0.1" || !slices.Equal(plan.Terminals[0].Why, []string{"may_read", "read", "session"}) || len(plan.People) != 1 || plan.People[0].Role != "staff" {
		t.Errorf("the plan is %+v", plan)
	}
	by := func(name string) contain.Actor {
		n := s.house.Vault.Space("staff").OfText([]byte(name))
		return contain.Actor{Staff: n, Person: name, May: true, Same: func(other uint32) bool { return other == n }}
	}
	number, err := s.house.Contain.Propose(ctx, contain.Ask{System: "crm", Cuts: []string{"gate"}, Alone: true, Reason: "a test"}, by("suzuki"))
	must(t, err)
	s.ask(in, "select name from crm.member where member_no = 8")
	must(t, s.house.Contain.Decide(ctx, number, "approved", "", by("tanaka")))
	if _, err := in.Exec(ctx, "select 1"); err == nil {
		t.Error("a session of a contained terminal goes on")
	}
	refused := func(when string) {
		t.Helper()
		conn, err := pgx.Connect(ctx, "postgres://sato:open%20sesame@"+s.gate+"/crm?sslmode=disable")
		var pe *pgconn.PgError
		if err == nil {
			conn.Close(context.Background())
		}
		if !errors.As(err, &pe) || pe.Code != "28000" || !strings.Contains(pe.Message, "cut off") {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("approved")
	s.close()
	s.open()
	refused("after a start")
	must(t, s.house.Contain.Lift(ctx, number, contain.LiftAsk{All: true, Reason: "over"}, by("tanaka")))
	s.ask(s.through(), "select name from crm.member where member_no = 9")
}
