package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sekisho"
	"sekisho/duty"
	"sekisho/tell"
)

// withLures gives the house drills by mail for 36 people of three departments.
func withLures(t testing.TB) (*house, *tell.Lures) {
	t.Helper()
	h := newHouse(t)
	return h, h.withLures()
}

func (h *house) withLures() *tell.Lures {
	t := h.t
	t.Helper()
	list, err := duty.ReadLures(duty.ShippedLures())
	must(t, err)
	departments := []uint32{}
	for _, name := range []string{"department/0001/sales", "department/0001/operations", "department/0001/legal"} {
		departments = append(departments, h.vault.Space("unit").OfText([]byte(name)))
	}
	var readers []tell.Reader
	for i := range 36 {
		readers = append(readers, tell.Reader{Staff: h.staff(fmt.Sprintf("person-%02d", i)), Department: departments[min(i/15, 2)], Executive: i == 0})
	}
	l := &tell.Lures{Config: tell.LuresConfig{Domains: []string{"example.jp"}, Relay: tell.Relay{Server: "127.0.0.1:1", TLS: "none"}, Sender: "drill.example.jp", Replies: "answers.drill.example.jp",
		Report: "report@drill.example.jp", Base: "https://portal.drill.example.jp", Contact: "csirt@example.jp"}, Append: h.ledger.Append, Last: h.ledger.Last, Views: h.views, Book: h.letters, Seen: h.lures,
		Vault: h.vault, Lures: list, Now: h.clock.now, Zone: testZone, Readers: func(sekisho.Time) []tell.Reader { return readers },
		Contact: func(o uint32) (tell.Contact, bool) {
			name, ok := h.vault.Space("staff").Key(o)
			return tell.Contact{Address: name + "@example.jp", Name: name, Language: []string{"ja", "en"}[o%2]}, ok && strings.HasPrefix(name, "person-")
		}}
	must(t, l.Config.Check())
	h.console.cfg.Lures = l
	return l
}

// sent says that everybody's lure of a campaign was taken.
func (h *house) sent(l *tell.Lures, n uint64) {
	h.t.Helper()
	var staff []uint32
	h.views.Read(func() { staff = l.Book.In(n, 0, tell.Waiting) })
	started := h.append(&sekisho.MailStarted{Mailing: n, Subjects: staff})
	h.append(&sekisho.MailEnded{Started: started, Taken: staff})
	h.settle()
}

// met is somebody's lure.
func (h *house) met(l *tell.Lures, n uint64, name string) tell.Met {
	h.t.Helper()
	s, err := l.Campaign(n)
	must(h.t, err)
	letter, err := l.Compose(h.t.Context(), s, h.staff(name))
	must(h.t, err)
	token, _, _ := strings.Cut(letter.ID, "@")
	m, ok := l.Meet(token)
	if !ok {
		h.t.Fatalf("the token of %s is none", name)
	}
	return m
}

// play makes a campaign of which much came.
func (h *house) play(l *tell.Lures) uint64 {
	h.t.Helper()
	now := h.clock.now()
	n, err := l.Ask(h.t.Context(), tell.LureAsk{Title: "秋の訓練 Autumn", Lures: []string{"itinerary", "bank-change", "parcel"}, From: now, Until: now.AddDate(0, 0, 14), Reason: "年間計画 plan of the year", Seed: 5}, h.staff("training"))
	must(h.t, err)
	must(h.t, l.Decide(h.t.Context(), n, "approved", "", h.staff("ciso"), func(a, b uint32) bool { return a == b }))
	h.settle()
	h.sent(l, n)
	person := tell.Caller{Address: netip.MustParseAddr("198.51.100.7"), Agent: "Mozilla/5.0 Firefox/140", Method: "GET", Head: map[string]string{"Accept-Language": "ja"}}
	for i := range 20 {
		m := h.met(l, n, fmt.Sprintf("person-%02d", i))
		h.clock.pass(3 * time.Minute)
		if i%3 == 0 {
			must(h.t, l.Did(h.t.Context(), m, "clicked", person))
			must(h.t, l.Did(h.t.Context(), m, "stirred", person))
		}
		if i%4 == 1 {
			scanner := person
			scanner.Agent = "curl/8"
			must(h.t, l.Did(h.t.Context(), m, "clicked", scanner))
		}
		if i%2 == 0 {
			_, err := l.Report(h.t.Context(), h.staff("x"), []byte("Message-ID: "+h.tokenOf(l, n, i)))
			must(h.t, err)
		}
	}
	h.settle()
	return n
}

func (h *house) tokenOf(l *tell.Lures, n uint64, i int) string {
	s, err := l.Campaign(n)
	must(h.t, err)
	letter, err := l.Compose(h.t.Context(), s, h.staff(fmt.Sprintf("person-%02d", i)))
	must(h.t, err)
	return letter.ID
}

// A drill is seen whole before it is proposed, is proposed as it was seen, and
// goes out on the word of another person.
func TestPhishingPages(t *testing.T) {
	h, l := withLures(t)
	asker, clerk, other := h.as("training", "approver", "en"), h.as("mori", "user", "en"), h.as("ciso", "approver", "ja")
	day := h.clock.now().In(testZone)
	ask := url.Values{"title": {"Autumn <drill>"}, "lure": {"itinerary", "bank-change"}, "from": {day.AddDate(0, 0, 1).Format("2006-01-02")}, "until": {day.AddDate(0, 0, 8).Format("2006-01-02")},
		"opens": {"09:00"}, "closes": {"18:00"}, "reason": {"plan of the year"}, "action": {"plan"}}
	before := h.ledger.Last()
	plan := asker.post("/phishing", ask)
	if plan.status != http.StatusOK || h.ledger.Last() != before {
		t.Fatalf("a dry run got %d and wrote %d entries: %s", plan.status, h.ledger.Last()-before, plan.body)
	}
	for _, want := range []string{"36 of 36 people", "person-07", "E-TKT控え.html", "r-", "very difficult", "Autumn &lt;drill&gt;"} {
		if !strings.Contains(plan.body, want) {
			t.Errorf("the dry run lacks %q:\n%s", want, plan.body)
		}
	}
	for field, wrong := range map[string]string{"until": "2010-01-01", "lure": "nonsense", "opens": "26:00", "title": " ", "units": "department/none"} {
		form := url.Values{field: {wrong}}
		for k, v := range ask {
			if k != field {
				form[k] = v
			}
		}
		if a := asker.post("/phishing", form); a.status != http.StatusBadRequest {
			t.Errorf("%s = %q got %d", field, wrong, a.status)
		}
	}
	ask.Set("seed", regexp.MustCompile(`name="seed" value="(\d+)"`).FindStringSubmatch(plan.body)[1])
	ask.Set("action", "ask")
	if a := clerk.post("/phishing", ask); a.status != http.StatusForbidden {
		t.Errorf("a plain user proposes: %d", a.status)
	}
	a := asker.post("/phishing", ask)
	at := a.header.Get("Location")
	if a.status != http.StatusSeeOther {
		t.Fatalf("proposing got %d: %s", a.status, a.body)
	}
	h.settle()
	if a := asker.post(at, url.Values{"action": {"approved"}}); a.status != http.StatusForbidden {
		t.Errorf("who proposed approves: %d", a.status)
	}
	if a := other.get(at); !strings.Contains(a.body, "36 人に送る") {
		t.Errorf("the second person sees\n%s", a.body)
	}
	if a := other.post(at, url.Values{"action": {"approved"}}); a.status != http.StatusSeeOther {
		t.Errorf("approving got %d", a.status)
	}

	n := h.play(l)
	page := clerk.get(fmt.Sprintf("/phishing/%d", n))
	for _, want := range []string{"10 / 36", "department/0001/sales", "very difficult", "least difficult", "Autumn"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the campaign lacks %q:\n%s", want, page.body)
		}
	}
	if strings.Contains(page.body, "department/0001/legal") || strings.Contains(page.body, "person-0") {
		t.Errorf("the campaign shows a small department, or somebody:\n%s", page.body)
	}
	path := fmt.Sprintf("/phishing/%d", n)
	if a := clerk.post(path, url.Values{"action": {"names"}, "people": {"person-03"}, "reason": {"x"}}); a.status != http.StatusForbidden {
		t.Errorf("a plain user asks for names: %d", a.status)
	}
	if a := asker.post(path, url.Values{"action": {"names"}, "people": {"person-03"}, "reason": {"their account was used"}}); a.status != http.StatusSeeOther {
		t.Errorf("asking for names got %d: %s", a.status, a.body)
	}
	request := regexp.MustCompile(`name="request" value="(\d+)"`).FindStringSubmatch(other.get(path).body)[1]
	other.post(path, url.Values{"action": {"names_approved"}, "request": {request}})
	seen := asker.post(path, url.Values{"action": {"names_shown"}, "request": {request}})
	if seen.status != http.StatusOK || !strings.Contains(seen.body, "followed the link (human)") && !strings.Contains(seen.body, "opened the attachment (human)") && !strings.Contains(seen.body, "person-03") {
		t.Errorf("what they did: %d\n%s", seen.status, seen.body)
	}
	if a := asker.json("/phishing"); !strings.Contains(a.body, `"reported": 10`) {
		t.Errorf("as JSON:\n%s", a.body)
	}
}

// The pages, and those to which lures lead, fit a telephone in both languages,
// and a hand in a real browser shows. SHOTS=DIR leaves pictures.
func TestPhishingPagesFit(t *testing.T) {
	h, l := withLures(t)
	n := h.play(l)
	door, err := NewLureDoor(l, nil)
	must(t, err)
	pages := httptest.NewServer(door.Handler())
	defer pages.Close()
	ctx := chrome(t)
	h.browserSignIn(ctx)
	now := h.clock.now()
	form, err := l.Ask(t.Context(), tell.LureAsk{Title: "x", Lures: []string{"password-expiry"}, From: now, Until: now.AddDate(0, 0, 3), Opens: "00:00", Closes: "24:00", Reason: "x"}, 1)
	must(t, err)
	h.settle()
	tokenIn := func(n uint64, i int) string { token, _, _ := strings.Cut(h.tokenOf(l, n, i), "@"); return token }
	for _, width := range []int64{390, 1280} {
		must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844)))
		for _, lang := range languages {
			must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/language?to="+lang)))
			for name, path := range map[string]string{"phishing": "/phishing", "phishing-campaign": fmt.Sprintf("/phishing/%d", n), "phishing-lure": "/phishing/lures/itinerary?in=" + lang} {
				must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+path), chromedp.WaitReady(chromedp.CSS("main"))))
				fits(t, ctx, name, lang, width)
			}
			for name, path := range map[string]string{"lure-form": "/p/" + tokenIn(form, 1), "lure-learn": "/learn/" + tokenIn(n, 0), "lure-about": "/about", "lure-nowhere": "/p/x"} {
				must(t, chromedp.Do(ctx, chromedp.Navigate(pages.URL+path+"?lang="+lang), chromedp.WaitReady(chromedp.CSS("main"))))
				fits(t, ctx, name, lang, width)
			}
		}
	}
	deeds := func() (n int) { h.views.Read(func() { n, _ = l.Seen.Deeds(form) }); return n }
	before := deeds()
	must(t, chromedp.Do(ctx, chromedp.Navigate(pages.URL+"/p/"+tokenIn(form, 2)), chromedp.WaitReady(chromedp.CSS("main")),
		chromedp.SendKeys(chromedp.CSS("input[type=text]"), "sato"), chromedp.SendKeys(chromedp.CSS("input[type=password]"), "hunter2"),
		chromedp.Click(chromedp.CSS("button[value=yes]")), chromedp.WaitReady(chromedp.CSS("section.care"))))
	limit, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for deeds() < before+3 { // clicked, stirred, typed
		if h.views.WaitFor(limit, h.ledger.Last()+1) != nil {
			t.Fatalf("a hand in a browser left %d deeds", deeds()-before)
		}
	}
}
