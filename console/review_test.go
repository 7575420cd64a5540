package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sekisho"
)

// A management review lists what the books have, says what nobody knows, is put
// among a meeting's papers in both languages, and finds there what was decided.
func TestManagementReview(t *testing.T) {
	h := newHouse(t)
	h.pursue(h.furnish()["incident"])
	b := h.signedIn("en")
	now := sekisho.At(h.clock.now())
	said := func(text string) uint32 { return h.vault.Space("said").OfText([]byte(text)) }
	council := h.vault.Space("thing").OfText([]byte("council/risk"))
	read := func(b *browser) (p ReviewPage, lines map[string]ReviewFigure) {
		t.Helper()
		a := b.json("/review")
		if a.status != http.StatusOK {
			t.Fatalf("the review: %d\n%s", a.status, a.body)
		}
		must(t, json.Unmarshal([]byte(a.body), &p))
		lines = map[string]ReviewFigure{}
		for _, s := range p.Sections {
			for _, l := range s.Lines {
				lines[s.Ref+" "+l.What] = l
			}
		}
		return p, lines
	}
	p, lines := read(b)
	for _, ref := range []string{"9.3.2 a", "9.3.2 b, c", "9.3.2 d 1", "9.3.2 d 2", "9.3.2 d 3", "9.3.2 d 4", "9.3.2 e", "9.3.2 f", "9.3.2 g"} {
		found := false
		for _, s := range p.Sections {
			found = found || s.Ref == ref && len(s.Lines) > 0
		}
		if !found {
			t.Errorf("nothing stands under %s", ref)
		}
	}
	numbers := 0
	for what, l := range lines {
		if strings.Contains(what, "Incident") && strings.Contains(l.Figure, "worst case") {
			numbers++
			if len(l.Entries) == 0 {
				t.Errorf("%s has no entries", what)
			}
		}
	}
	if numbers == 0 {
		t.Error("no incident has its four numbers")
	}
	if l := lines["9.3.2 a Actions that meetings decided"]; l.Figure != "0 in all, 0 closed, 0 owed, 0 of them late" {
		t.Errorf("before any meeting: %+v", l)
	}

	// A council meets, has the review before it, and decides on an action.
	h.append(&sekisho.Registered{Noun: "council", Thing: council, Action: "listed", Members: []uint32{h.staff("admin"), h.staff("ito")}, From: now, By: h.staff("ito")})
	meeting := h.append(&sekisho.CheckPlanned{Noun: "meeting", Space: "thing", Units: []uint32{council}, Due: now + 86_400_000_000, Lead: h.staff("admin"), Other: h.staff("ito"), By: h.staff("ito")})
	if p, _ := read(b); len(p.Meetings) != 1 || p.Meetings[0].Number != meeting {
		t.Errorf("meetings that wait: %+v", p.Meetings)
	}
	a := b.post("/review", url.Values{"meeting": {fmt.Sprint(meeting)}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("attaching: %d\n%s", a.status, a.body)
	}
	papers := b.state(fmt.Sprintf("/checks/%d", meeting)).Papers
	if len(papers) != 1 || papers[0].What != "report" || papers[0].SHA256 == "" {
		t.Fatalf("papers: %+v", papers)
	}
	text := b.get(fmt.Sprintf("/papers/%d", papers[0].Entry)).body
	for _, want := range []string{"Management review", "マネジメントレビュー", "9.3.2 a", "worst case", "最大想定"} {
		if !strings.Contains(text, want) {
			t.Errorf("the paper lacks %q:\n%.2000s", want, text)
		}
	}
	b.want("/review", http.StatusNotFound, "no meeting of that number", "meeting", "1")
	h.append(&sekisho.FindingRaised{Check: meeting, Space: "thing", Unit: council, Grade: "observation", Title: said("Train the night shift"), Owner: h.staff("ito"), Due: now + 1, By: h.staff("admin")})
	h.clock.pass(1e9)
	_, lines = read(b)
	if l := lines["9.3.2 a Actions that meetings decided"]; l.Figure != "1 in all, 0 closed, 1 owed, 1 of them late" || len(l.Entries) != 1 {
		t.Errorf("the action: %+v", l)
	}
	if l, ok := lines["9.3.2 a · Train the night shift"]; !ok || !strings.HasPrefix(l.Figure, "ito, until") || !l.Alarm {
		t.Errorf("the action's line: %+v in %v", l, lines)
	}
	for _, lang := range languages {
		for _, path := range []string{"/review", "/review?from=2014-01-01&until=2014-09-01"} {
			a := h.signedIn(lang).get(path)
			if a.status != http.StatusOK || strings.Contains(a.body, "[review.") || strings.Contains(a.body, "%!") {
				t.Errorf("%s in %s: %d\n%.3000s", path, lang, a.status, a.body)
			}
		}
	}
	if a := b.get("/review?from=2014-09-01&until=2014-08-01"); a.status != http.StatusBadRequest {
		t.Errorf("a span that ends before it begins: %d", a.status)
	}
}
