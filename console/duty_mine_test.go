package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/incident"
)

// One's own page shows every obligation of the register, with its state, its end,
// and what to do: a course that is assigned is the way to fulfil the duty, and
// once it is taken the page says how far one is. Whoever administers a company
// sees what it owes.
func TestEveryObligationIsOnOnesPage(t *testing.T) {
	s := newStaffHouse(t)
	s.append(&sekisho.LedgerVerified{OK: true})
	s.hire("sato", "exec suzuki")
	company := s.vault.Space("unit").OfText([]byte("company/air"))
	s.append(&sekisho.PostChanged{Post: "administrator", Space: "unit", Unit: company, Person: s.staff("suzuki"), Action: "appointed", From: sekisho.At(s.clock.now())})
	plan := s.assign("suspicious-mail", 30)
	at := fmt.Sprintf("/my/training/%d", plan)
	for _, lang := range languages {
		a := s.enters("sato", lang).get("/my")
		for _, d := range s.duties.Register().Duties() {
			if d.Kind == "PER_PERSON" && d.Population == "people" && !strings.Contains(a.body, d.Title.In(lang)) {
				t.Errorf("%s: %s is not there", lang, d.Title.In(lang))
			}
		}
		if !strings.Contains(a.body, `href="`+at+`"`) {
			t.Errorf("%s: no way to the course", lang)
		}
		if want := s.door.presses[lang].tongue.say("my.progress", 0, 2); !strings.Contains(a.body, want) {
			t.Errorf("%s: nothing says %q", lang, want)
		}
	}
	b := s.enters("suzuki", "en")
	a := b.get("/my")
	if a.status != http.StatusOK || !strings.Contains(a.body, "In my charge") || !strings.Contains(a.body, "administrator · air") {
		t.Errorf("what an administrator answers for: %d\n%s", a.status, a.body)
	}
	// The console says the same of whoever is signed in there.
	s.hire("clerk")
	s.append(&sekisho.PostChanged{Post: "administrator", Space: "unit", Unit: company, Person: s.staff("clerk"), Deputy: true, Action: "appointed", From: sekisho.At(s.clock.now())})
	clerk := s.as("clerk", "viewer", "en")
	for _, path := range []string{"/duties/mine", "/people/clerk"} {
		body := clerk.get(path).body
		for _, d := range s.duties.Register().Duties() {
			if d.Kind == "PER_PERSON" && d.Population == "people" && !strings.Contains(body, d.ID+" ") {
				t.Errorf("%s: %s is not there", path, d.ID)
			}
		}
	}
	if body := clerk.get("/duties/mine").body; !strings.Contains(body, "deputy · air") {
		t.Errorf("what a deputy answers for:\n%s", body)
	}
}

// Whoever the rosters of the config name, and who has left or was never there, is
// said on the pages of the duties that rest on appointments.
func TestRostersAgainstTheDirectory(t *testing.T) {
	s := newStaffHouse(t)
	s.append(&sekisho.LedgerVerified{OK: true})
	m, err := incident.Read(incident.Config{People: map[string]incident.Contact{}, Roster: map[string][]string{"incident_commander": {"sato", "suzuki", "nobody"}}})
	must(t, err)
	s.console.cfg.Manual = m
	admin := s.signedIn("en")
	const page = "/duties/policy/P2b"
	if body := admin.get(page).body; strings.Contains(body, "not in the directory") {
		t.Error("a directory without anybody is compared")
	}
	s.hire("sato", "suzuki")
	s.clock.pass(24 * time.Hour)
	s.append(&sekisho.PersonChanged{Staff: s.staff("suzuki"), Action: "left", Effective: sekisho.At(s.clock.now()), Left: sekisho.At(s.clock.now())})
	s.clock.pass(time.Hour)
	body := s.signedIn("en").get(page).body
	for _, want := range []string{"has left</span> suzuki", "never in the directory</span> nobody"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not there", want)
		}
	}
	if strings.Contains(body, "</span> sato") {
		t.Error("somebody who works here is said to be gone")
	}
}
