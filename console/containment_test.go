package console

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/contain"
	"sekisho/sekishotest/handtest"
)

// withHands gives the console a keeper with two hands that keep lists in files,
// and three terminals.
func withHands(t *testing.T) func(*Config) {
	dir := t.TempDir()
	return func(c *Config) {
		at := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
		k, err := contain.New(contain.Parts{
			Config: contain.Config{Protected: []contain.Group{{Name: "flight operations", Endpoints: []string{"ops-*"}}}, Executives: []string{"president"},
				Businesses: []contain.Business{{Name: "Call <centre>", Endpoints: []string{"pc-*"}, Stops: "Callers wait."}}},
			System: c.Name, Listed: map[string][]netip.Prefix{"pc-1": at("10.0.0.1/32"), "pc-2": at("10.0.0.2/32"), "ops-1": at("10.0.9.1/32")},
			Hands: []contain.Hand{&handtest.File{Called: "proxy", Path: filepath.Join(dir, "proxy"), Can: contain.DoesEgress | contain.DoesDestinations},
				&handtest.File{Called: "router", Path: filepath.Join(dir, "router"), Can: contain.DoesEgress | contain.DoesDestinations}},
			Orders: c.Incidents, Census: contain.NewCensus(), Read: c.Views.Read, WaitFor: c.Views.WaitFor, Append: c.Ledger.Append,
			Ordinal: func(space, key string) uint32 { return c.Vault.Space(space).OfText([]byte(key)) },
			Known:   func(space, key string) uint32 { n, _ := c.Vault.Space(space).Find(key); return n },
			Name:    func(space string, n uint32) string { s, _ := c.Vault.Space(space).Key(n); return s },
			People:  func(string) (contain.Person, bool) { return contain.Person{}, false }, Now: c.Now,
		})
		must(t, err)
		c.Contain = k
	}
}

// One button on the incident's page, the dry run first, then four eyes, in both
// languages.
func TestContainmentPages(t *testing.T) {
	h := newHouse(t, withHands(t))
	number := h.append(&sekisho.IncidentOpened{By: h.staff("sato"), Endpoints: []string{"pc-1"}})
	asker, boss := h.as("ito", "approver", "en"), h.as("kato", "approver", "ja")
	room := asker.get("/incidents/" + number64(number) + "/room").body
	for _, want := range []string{"Nothing of this incident is cut off.", "Cut every terminal that read jal-test, or may, off the outside", `name="do" value="plan"`} {
		if !strings.Contains(room, want) {
			t.Errorf("the room lacks %q", want)
		}
	}
	form := url.Values{"incident": {number64(number)}, "system": {"jal-test"}, "do": {"plan"}}
	plan := asker.post("/containments", form)
	for _, want := range []string{"Nothing has happened.", "pc-1", "10.0.0.2", "Call &lt;centre&gt;", "Callers wait.", "ops-1 · flight operations", "Propose</button>"} {
		if !strings.Contains(plan.body, want) {
			t.Errorf("the dry run lacks %q:\n%s", want, plan.body)
		}
	}
	if list := asker.get("/containments").body; !strings.Contains(list, "Nothing has been cut off.") {
		t.Errorf("after the dry run the list is\n%s", list)
	}
	form.Set("do", "propose")
	if a := asker.post("/containments", form); a.status != http.StatusBadRequest || !strings.Contains(a.body, "Say why") {
		t.Errorf("without a reason: %d", a.status)
	}
	form.Set("reason", "a <mail>")
	a := asker.post("/containments", form)
	at := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(at, "/containments/") {
		t.Fatalf("proposing got %d to %q: %s", a.status, at, a.body)
	}
	if own := asker.get(at).body; !strings.Contains(own, "a &lt;mail&gt;") || !strings.Contains(own, "This is your own order") || strings.Contains(own, `value="approved"`) {
		t.Errorf("the asker sees\n%s", own)
	}
	if a := asker.post(at, url.Values{"action": {"approved"}}); a.status != http.StatusForbidden {
		t.Errorf("the asker approves: %d", a.status)
	}
	if page := boss.get(at).body; !strings.Contains(page, "承認待ち") || !strings.Contains(page, "承認して今すぐ遮断する") {
		t.Errorf("the approver sees\n%s", page)
	}
	if a := boss.post(at, url.Values{"action": {"approved"}}); a.status != http.StatusSeeOther {
		t.Fatalf("approving: %d %s", a.status, a.body)
	}
	page := boss.get(at).body
	for _, want := range []string{"実施中", "完全（確認済み）", "2/2"} {
		if !strings.Contains(page, want) {
			t.Errorf("the order in force lacks %q:\n%s", want, page)
		}
	}
	var told ContainmentPage
	if err := json.Unmarshal([]byte(asker.json(at).body), &told); err != nil || told.State != "in_force" || len(told.Hands) != 2 || told.Hands[0].Enforced != 2 || told.Left != 2 {
		t.Errorf("as JSON: %v %+v", err, told)
	}
	if room := asker.get("/incidents/" + number64(number) + "/room").body; !strings.Contains(room, "complete, read back") {
		t.Error("the room does not show what is in force")
	}
	// A lift is shown before it happens, too.
	dry := asker.post(at, url.Values{"action": {"lift_plan"}, "endpoints": {"pc-1"}})
	if !strings.Contains(dry.body, "Terminals that would get something back: 1; that would stay cut") {
		t.Errorf("the dry run of a lift is\n%s", dry.body)
	}
	if a := asker.post(at, url.Values{"action": {"lifted"}, "endpoints": {"pc-1"}, "reason": {"cleaned"}}); a.status != http.StatusSeeOther {
		t.Errorf("lifting: %d %s", a.status, a.body)
	}
	if page := asker.get(at).body; !strings.Contains(page, "cleaned") || !strings.Contains(page, "1 terminal ·") {
		t.Errorf("after a first stage the order is\n%s", page)
	}
	if a := asker.get("/containments/99999"); a.status != http.StatusNotFound || strings.Contains(a.body, "%!") {
		t.Errorf("an order that is not there: %d", a.status)
	}
	if o, err := h.console.cfg.Contain.PlanLift(told.Number, contain.LiftAsk{All: true}); err != nil || len(o.Back) != 1 {
		t.Errorf("what is left: %+v, %v", o, err)
	}
}

// The page of all orders shows a new one while somebody looks, and that no hand
// does a part of it.
func TestTheOrdersStream(t *testing.T) {
	h := newHouse(t, withHands(t))
	number := h.append(&sekisho.IncidentOpened{By: h.staff("sato"), Endpoints: []string{"pc-1"}})
	asker := h.as("ito", "approver", "en")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	res, err := asker.Do(asker.request("GET", "/containments/events", nil).WithContext(ctx))
	must(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	asked := false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		var html string
		if !ok || json.Unmarshal([]byte(data), &html) != nil || html == "" {
			continue
		}
		if !asked {
			if asked = true; !strings.Contains(html, "Nothing has been cut off.") {
				t.Fatalf("at first the page says %s", html)
			}
			form := url.Values{"incident": {number64(number)}, "endpoints": {"pc-1"}, "cuts": {"gate"}, "alone": {"1"}, "do": {"propose"}, "reason": {"a stream"}}
			if a := asker.post("/containments", form); a.status != http.StatusSeeOther {
				t.Fatalf("proposing: %d %s", a.status, a.body)
			}
		}
		if strings.Contains(html, "a stream") {
			if !strings.Contains(html, "No hand is configured that shuts out at the gate") {
				t.Errorf("the list does not say that no hand does it: %s", html)
			}
			return
		}
	}
	t.Fatalf("the new order never came: %v", lines.Err())
}

// Whatever can be wrong with an order, or be said of it, has words.
func TestContainmentHasWords(t *testing.T) {
	en := tongueOf(t, "en")
	files, err := filepath.Glob("../contain/*.go")
	must(t, err)
	codes, topics := map[string]bool{}, map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		must(t, err)
		for _, m := range regexp.MustCompile(`wrong\("(\w+)"`).FindAllStringSubmatch(string(text), -1) {
			codes["hint.contain_"+m[1]] = true
		}
		for _, m := range regexp.MustCompile(`topic(?:At)?\(ctx, o, "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
			topics["contain.topic."+m[1]] = true
		}
		for _, m := range regexp.MustCompile(`\.warn\("(\w+)"`).FindAllStringSubmatch(string(text), -1) {
			topics["contain.warning."+m[1]] = true
		}
	}
	for _, state := range []string{"asked", "applied", "unverified", "partial", "failed", "drift", "lifted", "idle", "waiting", "alarm", "settled"} {
		topics["contain.hand."+state] = true
	}
	if len(codes) < 20 || len(topics) < 20 {
		t.Fatalf("only %d mistakes and %d topics were found", len(codes), len(topics))
	}
	for _, keys := range []map[string]bool{codes, topics} {
		for key := range keys {
			if !en.has(key) {
				t.Errorf("no text for %q", key)
			}
		}
	}
}
