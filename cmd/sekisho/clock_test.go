package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho/console"
	"sekisho/law"
)

// A notice opens an incident whose clock runs; people judge, answer and report,
// on the command line and in the console; a restart forgets nothing.
func TestClocksFromEndToEnd(t *testing.T) {
	r := start(t)
	r.configured("gate:", "law:\n  industry: travel\n  listed: \"no\"\n  facts: {telecoms: \"no\", special_care: \"no\"}\ngate:")
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	day := func(n int) string { return time.Now().In(tokyo).AddDate(0, 0, n).Format(time.DateOnly) }
	if out := r.must("clock", "list"); !strings.Contains(out, "no incident is open") {
		t.Fatalf("before anything has happened: %s", out)
	}
	r.mustNot("Say who gave the notice", "clock", "notice", "--source", "a friend", "--text", "x")
	r.mustNot("lies ahead", "clock", "notice", "--source", "provider", "--text", "x", "--received", day(2))
	out := r.must("clock", "notice", "--source", "provider", "--department", "web team", "--endpoint", "web-2", "--received", day(-1)+" 10:00",
		"--text", "suspicious traffic from web-2 to 203.0.113.9")
	m := regexp.MustCompile(`== incident (\d+) ==`).FindStringSubmatch(out)
	if m == nil || !strings.Contains(out, "n4-e") || !strings.Contains(out, "UNKNOWN: facts are under investigation") || !strings.Contains(out, day(1)) {
		t.Fatalf("the notice: %s", out)
	}
	number := m[1]
	look := func() console.ClocksPage {
		t.Helper()
		var list []console.ClocksPage
		if err := json.Unmarshal([]byte(r.must("clock", "list", "--incident", number, "--json")), &list); err != nil || len(list) != 1 {
			t.Fatalf("the clocks as JSON: %v, %d", err, len(list))
		}
		return list[0]
	}
	of := func(p console.ClocksPage, regime, step string) (law.Finding, law.Clock) {
		t.Helper()
		for _, f := range p.Findings {
			for _, c := range f.Clocks {
				if f.Regime == regime && c.Step == step {
					return f, c
				}
			}
		}
		t.Fatalf("no clock %s/%s in %+v", regime, step, p.Findings)
		return law.Finding{}, law.Clock{}
	}
	p := look()
	if f, c := of(p, "jp-appi", "preliminary"); !c.Provisional || c.State != law.Running || c.DueDay != day(3) || f.Replayed || c.Recipients[0].Status != law.StatusUnconfirmed {
		t.Errorf("the provisional clock: %+v", c)
	}
	if len(p.Noticed) != 1 || p.Noticed[0].Department != "web team" || !strings.Contains(p.Noticed[0].Text, "203.0.113.9") {
		t.Errorf("what was noticed: %+v", p.Noticed)
	}

	// A clerk looks on; the one at the control socket and an approver act.
	clerk := r.signedIn("clerk", r.must("user", "add", "clerk"))
	boss := r.signedIn("boss", r.must("user", "add", "boss", "--role", "approver", "--also", "root,"+whoami(t)))
	ito := r.signedIn("ito", r.must("user", "add", "ito", "--role", "approver"))
	post := func(b *http.Client, want int, form url.Values) {
		t.Helper()
		resp, err := b.PostForm(r.console+"/incidents/"+number+"/clocks", form)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%v: %v, %v, want %d", form, resp.StatusCode, err, want)
		}
		resp.Body.Close()
	}
	fact := url.Values{"act": {"fact"}, "question": {"improper_purpose"}, "action": {"yes"}, "reason": {"malware was found"}}
	post(clerk, http.StatusForbidden, fact)
	post(ito, http.StatusOK, fact)
	post(ito, http.StatusBadRequest, url.Values{"act": {"fact"}, "question": {"encrypted"}, "action": {"yes"}})
	r.mustNot("No rule asks", "clock", "fact", number, "weather=yes", "--reason", "x")
	r.must("clock", "confirm", number, "--reason", "the provider showed the packets")
	if f, c := of(look(), "jp-appi", "final"); f.Verdict != law.Triggered || c.Provisional || c.Amount != 60 {
		t.Errorf("once it is confirmed: %s, %+v", f.Verdict, c)
	}

	// What one has confirmed, another does not reject alone; nor two accounts of
	// one person.
	reject := url.Values{"act": {"judge"}, "action": {"rejected"}, "reason": {"an error of the provider"}}
	post(boss, http.StatusOK, reject)
	post(boss, http.StatusForbidden, reject)
	r.mustNot("second person", "clock", "reject", number, "--reason", "again")
	if p := look(); p.Noticed[0].State != law.Confirmed || p.Noticed[0].Doubted != "boss" {
		t.Errorf("one person has rejected it: %+v", p.Noticed[0])
	}

	// Another start takes two people.
	r.must("clock", "move", number, day(-2)+"T18:00", "--reason", "the web team had seen it on the evening before")
	p = look()
	request := p.Moves[0].Entry
	post(boss, http.StatusForbidden, url.Values{"act": {"answer"}, "about": {strconv.FormatUint(request, 10)}, "action": {"approved"}})
	post(ito, http.StatusOK, url.Values{"act": {"answer"}, "about": {strconv.FormatUint(request, 10)}, "action": {"approved"}, "reason": {"their chat says so"}})
	if _, c := of(look(), "jp-appi", "preliminary"); c.DueDay != day(2) {
		t.Errorf("after the start was moved: %+v", c)
	}
	r.must("clock", "reported", number, "jp-appi/preliminary", "--reference", "PPC 2026-1")
	r.mustNot("No rule has the step", "clock", "reported", number, "jp-appi/second")
	if _, c := of(look(), "jp-appi", "preliminary"); c.State != law.Met || c.Sent.IsZero() {
		t.Errorf("after it was reported: %+v", c)
	}

	// The pages say the same, in both languages, and the room counts it.
	for path, want := range map[string][]string{
		"/incidents/" + number + "/clocks": {"the provider showed the packets", "Act on the Protection of Personal Information", "Not legal advice", "limit unknown", "the web team had seen it", "PPC 2026-1", "malware was found", "whether the power is delegated for travel agencies is unconfirmed"},
		"/incidents/" + number + "/room":   {"Final report", "Judge, answer, report", "Not legal advice"},
		"/notices":                         {"web team", "suspicious traffic from web-2"},
	} {
		page := get(t, ito, r.console+path)
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("%s does not say %q:\n%s", path, w, page)
			}
		}
	}
	ja := r.must("clock", "list", "--lang", "ja")
	if !strings.Contains(ja, "速報") || !strings.Contains(ja, "法的助言ではありません") {
		t.Errorf("in Japanese: %s", ja)
	}
	before := r.must("clock", "list", "--incident", number)
	r.stop()
	r.up()
	if after := r.must("clock", "list", "--incident", number); after != before {
		t.Errorf("a restart changes the clocks:\n%s\n%s", before, after)
	}
}
