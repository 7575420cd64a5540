package console

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"sekisho"
)

// Who may decide in one incident, by a role taken there, decides on no text of
// another.
func TestATextIsDecidedInItsOwnIncident(t *testing.T) {
	h := newHouse(t)
	number := h.breach()
	sato, clerk := h.user("sato", approver), h.user("clerk", plainUser)
	at := func(n uint64) string { return fmt.Sprintf("/incidents/%d/tell/public", n) }
	form := url.Values{"lang": {"ja"}, "action": {"saved"}, "s.public_sorry": {"深くお詫びします。"}}
	if a := sato.post(at(number), form); a.status != http.StatusSeeOther {
		t.Fatalf("writing got %d: %s", a.status, a.body)
	}
	if a := sato.post(at(number), url.Values{"lang": {"ja"}, "action": {"proposed"}}); a.status != http.StatusSeeOther {
		t.Fatalf("proposing got %d: %s", a.status, a.body)
	}
	text := fmt.Sprint(sato.draftOf(number, "public", "ja").Text)
	own := h.append(&sekisho.IncidentOpened{By: h.staff("clerk")})
	h.append(&sekisho.RoleChanged{Incident: own, Role: "incident_commander", Action: "taken", Person: h.staff("clerk"), By: h.staff("clerk")})
	for n, want := range map[uint64]int{number: http.StatusForbidden, own: http.StatusNotFound} {
		if a := clerk.post(at(n), url.Values{"lang": {"ja"}, "action": {"approved"}, "text": {text}}); a.status != want {
			t.Errorf("approving in incident %d got %d, want %d: %.300s", n, a.status, want, a.body)
		}
	}
	if p := sato.draftOf(number, "public", "ja"); p.State != "proposed" {
		t.Errorf("the text is %s", p.State)
	}
}

// While an order blocks what an incident holds to be hostile, to name an address
// is to cut it off, and to leave one out is to give it back.
func TestHostileDestinationsOfAnOrderAreForApprovers(t *testing.T) {
	h := newHouse(t)
	h.lookup("sato", "pc-0417", 1, 7, 8)
	number := h.append(&sekisho.IncidentOpened{By: h.staff("sato"), Endpoints: []string{"pc-0417"}})
	boss, clerk := h.user("kato", approver), h.user("clerk", plainUser)
	at := fmt.Sprintf("/incidents/%d/question", number)
	ask := func(hostile string) url.Values {
		return url.Values{"endpoints": {"pc-0417"}, "since": {"2014-09-22"}, "until": {"2014-09-23T00:00"}, "hostile": {hostile}}
	}
	if a := clerk.post(at, ask("203.0.113.0/24")); a.status != http.StatusSeeOther {
		t.Fatalf("before an order anybody asks, and got %d: %s", a.status, a.body)
	}
	order := h.append(&sekisho.ContainmentProposed{Incident: number, Follow: true, By: h.staff("sato")})
	h.append(&sekisho.ContainmentDecided{Order: order, Action: "approved", Until: sekisho.At(h.console.cfg.Now()) + 3600e6, By: h.staff("kato")})
	for _, hostile := range []string{"203.0.113.0/24 198.51.100.1", ""} {
		if a := clerk.post(at, ask(hostile)); a.status != http.StatusForbidden {
			t.Errorf("naming %q got %d", hostile, a.status)
		}
	}
	if a := clerk.post(at, ask("203.0.113.0/24")); a.status != http.StatusSeeOther {
		t.Errorf("the same destinations got %d: %s", a.status, a.body)
	}
	if a := boss.post(at, ask("203.0.113.0/24 198.51.100.1")); a.status != http.StatusSeeOther {
		t.Errorf("an approver got %d: %s", a.status, a.body)
	}
}
