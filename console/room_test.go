package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
)

// user makes an account of the console and signs it in.
func (h *house) user(name, role string, also ...string) *browser {
	h.t.Helper()
	must(h.t, h.console.users.add(UserLine{Name: name, Role: role, Also: also}, time.Time{}, "long enough a password"))
	b := h.stranger("en")
	if a := b.post("/signin", url.Values{"name": {name}, "password": {"long enough a password"}}); a.status >= 400 {
		h.t.Fatalf("%s could not sign in: %d", name, a.status)
	}
	return b
}

// roomOf asks for a room as JSON.
func (b *browser) roomOf(number uint64) *RoomPage {
	b.h.t.Helper()
	r := b.request("GET", fmt.Sprintf("/incidents/%d/room", number), nil)
	r.Header.Set("Accept", "application/json")
	a := b.do(r)
	p := &RoomPage{}
	if a.status != http.StatusOK {
		b.h.t.Fatalf("the room got %d: %s", a.status, a.body)
	}
	must(b.h.t, json.Unmarshal([]byte(a.body), p))
	return p
}

// An incident from its first call to its end, by the forms of the room alone:
// what is not owed, not answered or not approved by a second person does not
// end it.
func TestAnIncidentFromItsCallToItsEnd(t *testing.T) {
	h := newHouse(t)
	sato, suzuki, clerk := h.user("sato", approver, "sato.gate"), h.user("suzuki", approver), h.user("clerk", plainUser)
	a := sato.post("/incidents/notice", url.Values{"text": {"traffic to a strange address"}, "source": {"provider"}, "known": {"2014-09-22T09:30"}, "endpoints": {"web-01"}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("opening got %d: %s", a.status, a.body)
	}
	number := h.ledger.Last() - 1
	p := sato.roomOf(number)
	if p.Phase.Key != "detect" || len(p.Waits) != 1 || p.Waits[0].Since != p.Raised[0].Known || p.Unasked == "" || p.Severity.Level == "low" {
		t.Fatalf("the room begins as %+v", p)
	}
	raised := p.Raised[0].Entry
	do := func(b *browser, act string, status int, form ...string) {
		t.Helper()
		values := url.Values{}
		for n := 0; n < len(form); n += 2 {
			values.Add(form[n], form[n+1])
		}
		if a := b.post(fmt.Sprintf("/incidents/%d/room/%s", number, act), values); a.status != status {
			t.Errorf("%s %q got %d, want %d\n%s", act, form, a.status, status, a.body)
		}
	}
	const ok, bad, conflict, forbidden, missing = http.StatusSeeOther, http.StatusBadRequest, http.StatusConflict, http.StatusForbidden, http.StatusNotFound
	do(clerk, "ack", ok)
	do(clerk, "ack", conflict)
	do(sato, "role", ok, "role", "incident_commander", "action", "taken")
	do(suzuki, "role", conflict, "role", "incident_commander", "action", "taken")
	do(suzuki, "role", missing, "role", "deputy", "action", "taken", "person", "nobody-we-know")
	for _, role := range deciding {
		if role != "incident_commander" {
			do(clerk, "role", forbidden, "role", role, "action", "taken")
		}
	}
	do(clerk, "role", ok, "role", "scribe", "action", "taken")
	do(clerk, "role", forbidden, "role", "incident_commander", "action", "handed_over", "person", "clerk", "text", "mine now")
	do(sato, "role", bad, "role", "incident_commander", "action", "handed_over", "person", "suzuki")
	do(sato, "role", ok, "role", "incident_commander", "action", "handed_over", "person", "suzuki", "text", "the provider calls again at noon")
	do(sato, "playbook", ok, "playbook", "denial_of_service")
	do(sato, "playbook", conflict, "playbook", "denial_of_service")
	h.clock.pass(time.Hour)
	do(clerk, "fact", ok, "code", "first_malicious", "happened", "2014-09-22T08:00", "known", "2014-09-22T09:30", "source", "provider", "certainty", "likely", "text", "first packet")
	do(clerk, "fact", bad, "code", "first_malicious", "happened", "2014-09-22T10:00", "known", "2014-09-22T09:30")
	do(clerk, "fact", bad, "code", "first_malicious", "happened", "2014-09-25T10:00")
	do(clerk, "fact", bad, "code", "invented")
	fact := sato.roomOf(number).Facts[0].Entry
	do(clerk, "fact", ok, "code", "first_malicious", "happened", "2014-09-22T07:00", "known", "2014-09-22T10:00", "certainty", "confirmed", "corrects", fmt.Sprint(fact), "text", "an hour earlier")
	do(clerk, "fact", conflict, "code", "first_malicious", "corrects", fmt.Sprint(fact), "text", "again")

	// A decision for two people is none before the second.
	do(sato, "decide", bad, "code", "report", "chosen", "1")
	do(sato, "decide", bad, "code", "report", "chosen", "9", "text", "why")
	do(sato, "decide", ok, "code", "report", "chosen", "2", "text", "no personal data on that server")
	do(sato, "decide", conflict, "code", "report", "chosen", "1", "text", "again")
	decision := h.ledger.Last()
	do(sato, "answer", forbidden, "about", fmt.Sprint(decision), "action", "approved")
	do(clerk, "answer", forbidden, "about", fmt.Sprint(decision), "action", "approved")
	do(suzuki, "answer", bad, "about", fmt.Sprint(decision), "action", "rejected")
	if d := sato.roomOf(number).Decisions[0]; d.State != "pending" || !d.Own || len(d.Options) != 2 {
		t.Errorf("%+v", d)
	}
	do(suzuki, "answer", ok, "about", fmt.Sprint(decision), "action", "approved")
	do(suzuki, "answer", conflict, "about", fmt.Sprint(decision), "action", "rejected", "text", "no, after all")
	if d := sato.roomOf(number).Decisions[0]; d.State != "stands" || d.Second.By != "suzuki" {
		t.Errorf("%+v", d)
	}

	// Evidence: whoever has it hashes it again.
	hash := strings.Repeat("ab", 32)
	do(clerk, "evidence", bad, "title", "disk image", "kept", "safe 3", "sha256", "abc")
	do(clerk, "evidence", ok, "title", "disk image", "kept", "safe 3", "sha256", hash, "size", "1,000,000")
	image := fmt.Sprint(h.ledger.Last())
	do(suzuki, "custody", conflict, "evidence", image, "person", "suzuki", "kept", "laboratory", "text", "analysis", "sha256", strings.Repeat("cd", 32))
	do(suzuki, "custody", ok, "evidence", image, "person", "suzuki", "kept", "laboratory", "text", "analysis", "sha256", hash)
	if e := sato.roomOf(number).Evidence[0]; e.Size != 1_000_000 || len(e.Chain) != 1 || !e.Chain[0].Checked || e.Chain[0].Person != "suzuki" {
		t.Errorf("%+v", e)
	}

	// The large file of 21 March: nobody closes it without saying what it was.
	do(clerk, "raise", ok, "what", "host_health", "endpoint", "db-02", "text", "the disk is full of a file without an extension")
	file := fmt.Sprint(h.ledger.Last())
	do(suzuki, "answer", bad, "about", file, "action", "answered")
	do(suzuki, "answer", bad, "about", file, "action", "approved", "text", "not needed")

	do(sato, "close", bad, "outcome", "resolved")
	do(sato, "close", conflict, "outcome", "resolved", "text", "it is over")
	do(suzuki, "answer", ok, "about", file, "action", "answered", "text", "a dump that suzuki made for the analysis")
	do(suzuki, "answer", ok, "about", fmt.Sprint(raised), "action", "answered", "text", "a flood, no intrusion")
	do(sato, "close", conflict, "outcome", "resolved", "text", "it is over")
	for n, task := range sato.roomOf(number).Tasks {
		switch {
		case n == 0:
			do(clerk, "task", ok, "task", task.ID, "action", "done", "text", "three figures")
			do(clerk, "task", conflict, "task", task.ID, "action", "done")
		case n == 1:
			do(clerk, "task", bad, "task", task.ID, "action", "skipped")
			fallthrough
		default:
			do(clerk, "task", ok, "task", task.ID, "action", "skipped", "text", "over before")
		}
	}
	do(sato, "close", conflict, "outcome", "resolved", "text", "it is over")
	do(sato, "lesson", bad, "text", "filter upstream from the start")
	do(sato, "lesson", ok, "text", "filter upstream from the start", "person", "clerk", "due", "2014-12-01T00:00")
	do(sato, "close", ok, "outcome", "resolved", "text", "it is over")
	end := fmt.Sprint(h.ledger.Last())
	do(sato, "answer", forbidden, "about", end, "action", "approved")
	if sato.roomOf(number).Closed {
		t.Error("one person closed it")
	}
	// What is raised while the end waits for its second person is not forgotten by it.
	do(clerk, "raise", ok, "what", "question", "text", "who has the backup?")
	open := fmt.Sprint(h.ledger.Last())
	do(suzuki, "answer", conflict, "about", end, "action", "approved")
	if sato.roomOf(number).Closed {
		t.Error("it was closed over an open question")
	}
	do(clerk, "answer", ok, "about", open, "action", "answered", "text", "the provider")
	do(suzuki, "answer", ok, "about", end, "action", "approved")
	if p := sato.roomOf(number); !p.Closed || p.Phase.Key != "closed" || len(p.Next) != 0 || len(p.Waits) != 0 {
		t.Errorf("closed: %+v", p)
	}
	do(clerk, "raise", conflict, "what", "question", "text", "one more thing")
	do(clerk, "lesson", ok, "lesson", fmt.Sprint(sato.roomOf(number).Lessons[0].Entry), "action", "done", "text", "done with the provider")
	do(clerk, "reopen", ok, "text", "it begins again")
	if p := sato.roomOf(number); p.Closed || p.Lessons[0].State != "done" {
		t.Errorf("reopened: %+v", p)
	}

	// What people typed stands in the vault alone.
	for e, err := range h.ledger.Follow(t.Context(), 1) {
		must(t, err)
		if raw := e.AppendEncode(nil); strings.Contains(string(raw), "flood") || strings.Contains(string(raw), "suzuki") {
			t.Errorf("entry %d names what was typed, or who", e.ID.Seq)
		}
		if e.ID.Seq == h.ledger.Last() {
			break
		}
	}
}

// An account of the same person is not a second one.
func TestASecondAccountIsNoSecondPerson(t *testing.T) {
	h := newHouse(t)
	h.user("sato", approver, "sato-admin")
	other := h.user("suzuki", approver)
	n := h.append(&sekisho.IncidentOpened{By: h.staff("sato-admin"), Endpoints: []string{"web-01"}})
	d := h.append(&sekisho.DecisionMade{Incident: n, Code: "report", Options: []uint32{1, 2}, Two: true, By: h.staff("sato-admin")})
	again := h.stranger("en")
	again.post("/signin", url.Values{"name": {"sato"}, "password": {"long enough a password"}})
	form := url.Values{"about": {fmt.Sprint(d)}, "action": {"approved"}}
	if a := again.post(fmt.Sprintf("/incidents/%d/room/answer", n), form); a.status != http.StatusForbidden {
		t.Errorf("by another account of the same person: %d", a.status)
	}
	if a := other.post(fmt.Sprintf("/incidents/%d/room/answer", n), form); a.status != http.StatusSeeOther {
		t.Errorf("by somebody else: %d", a.status)
	}
}

// The room in both languages, before and after anything has happened in it; and
// the president's page.
func TestTheRoomInBothLanguages(t *testing.T) {
	h := newHouse(t)
	number := strings.TrimPrefix(h.furnish()["incident"], "/incidents/")
	words := map[string][]string{"en": {"What we know", "The next decision", "Who takes this on?", "Severity", "ISO/IEC 27035"}, "ja": {"分かっていること", "次の判断", "誰が引き受けるか", "重大度", "ISO/IEC 27035"}}
	for _, lang := range languages {
		for _, path := range []string{"/room", "/brief"} {
			a := h.signedIn(lang).get("/incidents/" + number + path)
			if a.status != http.StatusOK {
				t.Fatalf("%s in %s got %d", path, lang, a.status)
			}
			for n, want := range words[lang] {
				if path == "/brief" && n > 2 {
					break
				}
				if !strings.Contains(a.body, want) {
					t.Errorf("%s in %s lacks %q", path, lang, want)
				}
			}
			if strings.Contains(a.body, "[room.") || strings.Contains(a.body, "%!") {
				t.Errorf("%s in %s shows a key or a verb", path, lang)
			}
		}
	}
	if a := h.signedIn("en").get("/incidents/999999/room"); a.status != http.StatusNotFound {
		t.Errorf("the room of nothing got %d", a.status)
	}
	if a := h.stranger("en").get("/incidents/" + number + "/room"); strings.Contains(a.body, "What we know") {
		t.Error("a stranger sees the room")
	}
}

// A block that changed comes by the stream, and only that.
func TestTheRoomsStream(t *testing.T) {
	h := newHouse(t)
	n := h.append(&sekisho.IncidentOpened{By: h.staff("sato"), Endpoints: []string{"web-01"}})
	b := h.signedIn("en")
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	res, err := b.Do(b.request("GET", fmt.Sprintf("/incidents/%d/room/events", n), nil).WithContext(ctx))
	must(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	blocks := func(e string) (names []string) {
		var changed map[string]string
		if json.Unmarshal([]byte(e), &changed) == nil {
			for name := range changed {
				names = append(names, name)
			}
		}
		return names
	}
	first := false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		names := blocks(data)
		if !first {
			if len(names) > 0 {
				first = true
				h.append(&sekisho.FactStated{Incident: n, Code: "cause", Known: sekisho.At(h.clock.now()), Certainty: "likely", Source: "person", By: h.staff("sato")})
			}
			continue
		}
		if slices.Contains(names, "known") {
			if slices.Contains(names, "lessons") || slices.Contains(names, "who") {
				t.Errorf("blocks that did not change came too: %v", names)
			}
			return
		}
	}
	t.Error("the stream ended without the new fact")
}
