package console

import (
	"encoding/json"
	"strings"
	"testing"

	"sekisho"
)

// Behind an application the live page shows the person and the terminal, and
// what they came through; where nobody said, it shows that nobody knows.
func TestLivePageShowsWhoIsBehindAnApplication(t *testing.T) {
	h := newHouse(t)
	web := h.append(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: h.staff("crm-web"), Role: "crm", Endpoint: "app-1", Verified: true})
	h.append(&sekisho.OnBehalf{Session: web})
	h.append(&sekisho.OnBehalf{Session: web, Number: 1, Principal: h.staff("alice"), Endpoint: "pc-0417", Source: sekisho.SourceTag})
	h.read(web, 1, sekisho.Identity, 1001)
	h.read(web, 2, sekisho.Identity, 1002)
	h.append(&sekisho.OnBehalf{Session: web, Number: 3, Principal: h.staff("bob"), Source: sekisho.SourceLocal}, &sekisho.Refused{Session: web, Number: 3, Reason: "explain"})
	h.lookup("sato", "pc-0533", sekisho.Identity, 1003)

	b := h.signedIn("en")
	var got []string
	var p livePage
	must(t, json.Unmarshal([]byte(b.json("/").body), &p))
	for _, a := range p.Accesses {
		got = append(got, strings.Join([]string{a.Principal, a.Endpoint, a.Program, a.Through}, "/"))
	}
	if want := "sato/pc-0533// bob//crm-web/app-1 //crm-web/app-1 alice/pc-0417/crm-web/app-1"; strings.Join(got, " ") != want {
		t.Errorf("the live page has\n%s, want\n%s", strings.Join(got, " "), want)
	}
	page := b.get("/").body
	for _, want := range []string{`href="/people/alice"`, `href="/endpoints/pc-0417"`, `through <a href="/people/crm-web"`, `through <a href="/endpoints/app-1"`, "unknown terminal", "stated"} {
		if !strings.Contains(page, want) {
			t.Errorf("the live page lacks %q", want)
		}
	}
	if a := b.get("/?endpoint=app-1").body; !strings.Contains(a, "alice") || strings.Contains(a, "pc-0533") {
		t.Error("the filter by the application's server does not show what came through it")
	}
	if a := b.get("/status").body; !strings.Contains(a, "1 of 3 (33.3 %)") {
		t.Errorf("the status page does not say of how many accesses the terminal is not known:\n%s", a)
	}
	if a := b.get("/endpoints/app-1").body; !strings.Contains(a, "pc-0417") {
		t.Error("the page of the application's server does not show what came through it")
	}
}
