package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sekisho"
)

// An approval stands as long as whoever gave it is here and may approve: not once
// their account is gone or approves no more, nor once the directory has lost them.
// Then it can be asked for anew.
func TestAnApprovalLapsesWithItsApprover(t *testing.T) {
	h := newHouse(t, withTurned)
	asker := h.as("ito", "user", "en")
	other := h.as("mori", "user", "ja")
	ask := url.Values{"reference": {"3"}, "most": {"20,000"}, "lasts": {"2h"}, "reason": {"a letter to everybody"}}
	person := func(name, action string, left sekisho.Time) {
		b := &sekisho.PersonChanged{Staff: h.vault.Space("staff").OfText([]byte(name)), Action: action, Effective: 1, Joined: 1, Left: left, Employed: "employee"}
		must(t, h.views.WaitFor(t.Context(), h.append(b)))
	}
	for name, goes := range map[string]func(name string){
		"kato": func(name string) {
			must(t, h.console.removeUser(&visit{who: &session{}, r: httptest.NewRequest("POST", "/", nil)}, name))
		},
		"wada": func(name string) {
			must(t, h.console.users.add(UserLine{Name: name, Role: "user"}, time.Time{}, "a password of "+name))
		},
		"doi": func(name string) {
			person("doi.taro", "joined", 0)
			person("doi.taro", "left", 2)
		},
	} {
		approver := h.as(name, "approver", "en", name+".taro")
		at := asker.post("/exports", ask).header.Get("Location")
		if a := approver.post(at, url.Values{"action": {"approved"}}); a.status != http.StatusSeeOther {
			t.Fatalf("%s: approving got %d: %s", name, a.status, a.body)
		}
		if a := asker.get(at); !strings.Contains(a.body, "Approved, not used yet") {
			t.Errorf("%s has approved, and the page says\n%s", name, a.body)
		}
		if a := asker.post("/exports", ask); a.status != http.StatusConflict {
			t.Errorf("asking again beside %s's approval got %d", name, a.status)
		}
		goes(name)
		if a := asker.get(at); !strings.Contains(a.body, "Lapsed: its approver has left") || strings.Contains(a.body, `value="withdrawn"`) {
			t.Errorf("%s is gone, and the page says\n%s", name, a.body)
		}
		if a := other.get(at); !strings.Contains(a.body, "失効（") {
			t.Errorf("%s is gone, and the Japanese page says\n%s", name, a.body)
		}
	}
}
