package tell

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sekisho"
	"sekisho/vault"
)

// A contact point of a company whose customers are members and guests: each is told
// what the ledger holds of them, and who may be either is told nothing by machine.
func TestMembersAndGuestsAskAtOneContactPoint(t *testing.T) {
	p := newPoint(t, func(c *DeskConfig) { c.Others = []string{"guest"} })
	_, err := p.vault.WriteRoster("guest", vault.RosterSchema{Match: []string{"email"}}, func(yield func(vault.RosterRow, error) bool) {
		for _, n := range []int{5, 90_001, 90_002} { // 5 is a member's number, too, and the same person's
			email := fmt.Sprintf("m%d@example.jp", n)
			if !yield(vault.RosterRow{Key: fmt.Sprint(n), Match: []string{email}}, nil) {
				return
			}
		}
	}, nil)
	p.must(err)
	p.worked("pc-0417", "call_centre", 7)
	guest := p.vault.Space("guest").OfInt(90_001)
	id, err := p.ledger.Append(t.Context(),
		&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: p.vault.Space("staff").OfText([]byte("sato")), Role: "call_centre", Endpoint: "pc-0417", Verified: true, Address: netip.MustParseAddr("10.1.2.3")},
		&sekisho.Shape{Verb: sekisho.Read, Space: "guest", Tables: []string{"crm.guest"}, Categories: sekisho.Contact})
	p.must(err)
	_, err = p.ledger.Append(t.Context(), &sekisho.Access{Session: id.Seq, Shape: id.Seq + 1, Number: 1, Class: sekisho.Exact, Rows: 1, Least: 40, Subjects: []uint32{guest}})
	p.must(err)
	p.allowed(p.opened("pc-0417"))
	// In turn, so that no subject is answered from another's lists.
	for _, x := range []struct {
		number int
		want   string
	}{{7, "was read at a terminal concerned"}, {90_001, "was read at a terminal concerned"}, {8, "is not among"}, {90_002, "is not among"}, {90_001, "was read at a terminal concerned"}} {
		_, receipt := p.known("affected", x.number)
		q, err := p.Open(t.Context(), receipt)
		p.must(err)
		if text := p.AnswerText(&q); !strings.Contains(text, x.want) {
			t.Errorf("%d is told:\n%s", x.number, text)
		}
	}

	n, _ := p.ask("affected", 5, "m5@example.jp")
	if q := p.compared(n, 1); q.Matched.Subject != 0 || q.Matched.Code != [32]byte{} {
		t.Errorf("one who is a member and a guest was matched: %+v", q.Matched)
	}
	if _, err := p.Identify(t.Context(), n, "5", "licence", true, 3); !errors.Is(err, ErrSeveral) {
		t.Errorf("by the number alone: %v", err)
	}
	q, err := p.Identify(t.Context(), n, "guest/5", "licence", true, 3)
	p.must(err)
	if space, ord, ok := q.Known(); !ok || space != "guest" || ord != p.vault.Space("guest").OfInt(5) {
		t.Errorf("identified as %d of %s", ord, space)
	}
}
