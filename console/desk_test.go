package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"

	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/emersion/go-smtp"

	"sekisho"
	"sekisho/incident"
	"sekisho/law"
	"sekisho/tell"
	"sekisho/vault"
)

// A window is a contact point with its public pages, over the house of a test
// and a real mail relay.
type window struct {
	*house
	desk   *tell.Desk
	server *httptest.Server
	relay  *mailbox
	logged *bytes.Buffer
}

// mailbox is a real SMTP server that keeps what comes.
type mailbox struct {
	mu      sync.Mutex
	letters map[string][]string // by address
	took    int
}

type mailboxSession struct {
	m  *mailbox
	to string
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error)      { return &mailboxSession{m: m}, nil }
func (s *mailboxSession) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *mailboxSession) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *mailboxSession) Reset()                                    {}
func (s *mailboxSession) Logout() error                             { return nil }
func (s *mailboxSession) Data(r io.Reader) error {
	read, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, read.Body))
	if err != nil {
		return err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.letters[s.to] = append(s.m.letters[s.to], string(text))
	s.m.took++
	return nil
}

var digits = regexp.MustCompile(`[0-9]{4} [0-9]{4}`)

// code is the latest code that went to an address; "" for none.
func (m *mailbox) code(to string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.letters[to]); n > 0 {
		return digits.FindString(m.letters[to][n-1])
	}
	return ""
}

func deskConfig(relay string) tell.DeskConfig {
	return tell.DeskConfig{Listen: "127.0.0.1:0", Space: "member", From: "desk@example.jp", Mail: tell.Relay{Server: relay, TLS: "none"},
		Company: law.Words{EN: "Example Travel", JA: "見本旅行株式会社"},
		Contact: law.Words{EN: "Privacy desk, 1-2-3 Kasumigaseki, Tokyo\n03-0000-0000, 9:00 to 17:00", JA: "個人情報相談室 東京都千代田区霞が関1-2-3\n電話 03-0000-0000(9時から17時)"},
		Policy:  "https://example.jp/privacy", PerAddress: 1_000_000, InAll: 1_000_000,
		Words: map[string]law.Words{"callcenter": {EN: "call centre", JA: "コールセンター"}, "inquiry": {EN: "an enquiry of yours", JA: "お問い合わせ対応"}}}
}

// newWindow opens the contact point of a house with members 1 to n.
func newWindow(t testing.TB, n int, change ...func(*tell.DeskConfig)) *window {
	t.Helper()
	c := &window{relay: &mailbox{letters: map[string][]string{}}, logged: &bytes.Buffer{}}
	s := smtp.NewServer(c.relay)
	s.Domain, s.ErrorLog = "relay.example.jp", slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	conf := deskConfig(l.Addr().String())
	for _, f := range change {
		f(&conf)
	}
	must(t, conf.Check())
	c.house = newHouse(t, func(cfg *Config) {
		rules, err := law.Load(law.Shipped())
		must(t, err)
		c.desk, err = tell.NewDesk(conf, tell.Sources{Append: cfg.Ledger.Append, Last: cfg.Ledger.Last, Vault: cfg.Vault, Views: cfg.Views, Trace: cfg.Trace,
			Incidents: cfg.Incidents, Enquiries: cfg.Enquiries, Law: rules, Zone: testZone, Now: cfg.Now, Log: slog.New(slog.NewTextHandler(c.logged, nil))})
		must(t, err)
		cfg.Desk = c.desk
	})
	read, err := c.vault.WriteRoster("member", vault.RosterSchema{Labels: []string{"residence"}, Match: []string{"email"}}, func(yield func(vault.RosterRow, error) bool) {
		for i := range n {
			if !yield(vault.RosterRow{Key: fmt.Sprint(i + 1), Labels: []string{"JP"}, Match: []string{fmt.Sprintf("m%d@example.jp", i+1)}}, nil) {
				return
			}
		}
	}, nil)
	must(t, err)
	c.append(read)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.desk.Run(ctx) })
	door, err := NewDeskDoor(c.desk, "", slog.New(slog.NewTextHandler(c.logged, nil)))
	must(t, err)
	c.server = httptest.NewServer(door.Handler())
	t.Cleanup(func() { c.server.Close(); stop(); running.Wait() })
	return c
}

// visitor is somebody with a browser at the public page.
func (c *window) visitor(lang string) *browser {
	b := c.stranger(lang)
	b.at = c.server.URL
	return b
}

// until waits for something to be so.
func (c *window) until(what string, so func() bool) {
	c.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s: it did not come to that", what)
		}
	}
}

var (
	hiddenReceipt = regexp.MustCompile(`name="receipt" value="([A-Z2-7]{24})"`)
	takenNumber   = regexp.MustCompile(`(?:number is|受付番号は) ([0-9,]+)`)
)

// asks sends a form, and gives the receipt and the number.
func (b *browser) asks(asked string, form url.Values) (receipt string, number uint64) {
	b.h.t.Helper()
	a := b.post("/ask/"+asked, form)
	if a.status != http.StatusOK {
		b.h.t.Fatalf("asking %s: %d\n%s", asked, a.status, a.body)
	}
	m := takenNumber.FindStringSubmatch(a.body)
	if m == nil {
		b.h.t.Fatalf("no number:\n%s", a.body)
	}
	number, _ = strconv.ParseUint(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	if m := hiddenReceipt.FindStringSubmatch(a.body); m != nil {
		receipt = m[1]
	} else if m := regexp.MustCompile(`<b>([A-Z2-7-]{29})</b>`).FindStringSubmatch(a.body); m != nil {
		receipt = m[1]
	}
	b.h.views.Read(func() {
		b.h.console.cfg.Enquiries.Each(func(q *incident.Enquiry) bool {
			if q.Nth == number {
				number = q.Number
				return false
			}
			return true
		})
	})
	return receipt, number
}

// proves asks, reads the code in the mailbox, and types it.
func (c *window) proves(b *browser, asked string, member int) (receipt string, number uint64, a answer) {
	c.t.Helper()
	email := fmt.Sprintf("m%d@example.jp", member)
	receipt, number = b.asks(asked, url.Values{"number": {fmt.Sprint(member)}, "email": {email}})
	c.until("a code", func() bool { return c.relay.code(email) != "" })
	return receipt, number, b.post("/answer/code", url.Values{"receipt": {receipt}, "code": {c.relay.code(email)}})
}

// openAbout opens an incident about a terminal, and lets sekisho answer.
func (c *window) openAbout(endpoint string) uint64 {
	number := c.append(&sekisho.IncidentOpened{By: c.staff("admin"), Endpoints: []string{endpoint}})
	request, err := c.desk.Allow(context.Background(), number, "On 22 September a terminal of our call centre was misused.", "9月22日、コールセンターの端末が不正に操作されました。", 1)
	must(c.t, err)
	must(c.t, c.desk.Decide(context.Background(), request, "approved", "", 2))
	return number
}

func TestACustomerAsksAndIsAnswered(t *testing.T) {
	c := newWindow(t, 50)
	c.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, 5, 6)
	c.openAbout("pc-0417")
	b := c.visitor("ja")
	if a := b.get("/"); a.status != 200 || !strings.Contains(a.body, "見本旅行株式会社") || !strings.Contains(a.body, "03-0000-0000") || len(a.header.Values("Set-Cookie")) != 0 {
		t.Errorf("the first page: %d %v\n%s", a.status, a.header, a.body)
	}
	_, number, a := c.proves(b, "affected", 5)
	for _, want := range []string{"関係する端末でお客さまの情報が読み出されていました", "氏名など本人に関する情報、住所・電話番号", "9月22日、コールセンターの端末", "2014-09-22"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the answer lacks %q:\n%s", want, a.body)
		}
	}
	entries := c.since(number - 1)
	t.Log(entries)
	_, _, a = c.proves(b, "accesses", 6)
	for _, want := range []string{"コールセンター", "お問い合わせ対応", "閲覧"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the list lacks %q:\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "sato") || strings.Contains(a.body, "pc-0417") {
		t.Errorf("the list names staff or terminals:\n%s", a.body)
	}
	// The console sees that the customer has looked.
	admin := c.signedIn("en")
	if a := admin.post("/customers", url.Values{"key": {"6"}}); !strings.Contains(a.body, "who has looked at my data") && !strings.Contains(a.body, "Contact point") {
		t.Errorf("the look is not in the list of accesses:\n%s", a.body)
	}
	if strings.Contains(c.logged.String(), "m5@") || strings.Contains(c.logged.String(), "receipt") {
		t.Errorf("the log has personal values:\n%s", c.logged)
	}
}

// Whoever has the page alone cannot tell a member from a stranger: whatever
// they try, both get the same bytes, apart from the enquiry's own number and
// receipt.
func TestMembersAndStrangersGetTheSamePages(t *testing.T) {
	c := newWindow(t, 50)
	c.lookup("sato", "pc-0417", sekisho.Identity, 5)
	c.openAbout("pc-0417")

	people := []url.Values{
		{"number": {"5"}, "email": {"m5@example.jp"}},    // a member, with their address
		{"number": {"5"}, "email": {"x5@example.jp"}},    // a member's number, another address
		{"number": {"9005"}, "email": {"m5@example.jp"}}, // a member's address, another number
		{"number": {"9005"}, "email": {"x5@example.jp"}}, // nobody
		{"number": {"6"}, "email": {"m6@example.jp"}},    // a member who was not affected
	}
	pages := make([][]string, len(people))
	for i, form := range people {
		b := c.visitor("ja")
		var receipt string
		var number uint64
		keep := func(a answer) {
			a.header.Del("Date")
			text := fmt.Sprintln(a.status, a.header) + a.body
			text = strings.ReplaceAll(text, receipt, "RECEIPT")
			text = strings.ReplaceAll(text, tell.ShownReceipt(receipt), "SHOWN")
			pages[i] = append(pages[i], regexp.MustCompile(fmt.Sprintf("(受付番号は|お問い合わせ) %d\\b", number)).ReplaceAllString(text, "$1 NUMBER"))
		}
		a := b.post("/ask/affected", form)
		receipt = hiddenReceipt.FindStringSubmatch(a.body)[1]
		number, _ = strconv.ParseUint(takenNumber.FindStringSubmatch(a.body)[1], 10, 64)
		// What the house did for the one before, such as a letter, does not show.
		if number != uint64(i+1) {
			t.Errorf("visitor %d gets the number %d", i, number)
		}
		keep(a)
		hash, _ := tell.ReceiptHash(receipt)
		compared := func(times int) {
			c.until("comparing", func() bool {
				var q incident.Enquiry
				c.views.Read(func() { q, _ = c.desk.Enquiries.ByReceipt(hash) })
				return q.Matches == times && (q.Matched.Code == [32]byte{} || q.CodeMail != "")
			})
		}
		compared(1)
		one := url.Values{"receipt": {receipt}}
		keep(b.post("/answer", one))
		keep(b.post("/answer/again", one))
		compared(2)
		keep(b.post("/answer/again", one))
		compared(3)
		keep(b.post("/answer/again", one))
		for range 12 {
			keep(b.post("/answer/code", url.Values{"receipt": {receipt}, "code": {"1234 5678"}}))
		}
		keep(b.post("/answer/by-hand", one))
		keep(b.post("/answer", one))
	}
	for i := range people[1:] {
		for n := range pages[0] {
			if pages[i+1][n] != pages[0][n] {
				t.Errorf("page %d of visitor %d is not as the first one's:\n%s\n\nbut\n%s", n, i+1, pages[i+1][n], pages[0][n])
				break
			}
		}
	}
	c.relay.mu.Lock()
	defer c.relay.mu.Unlock()
	if len(c.relay.letters["m5@example.jp"]) != 3 || len(c.relay.letters["m6@example.jp"]) != 3 || len(c.relay.letters) != 2 {
		t.Errorf("letters went to %d mailboxes", len(c.relay.letters))
	}
}

// What is not a form of ours is turned away, before it is read or kept.
func TestTheDeskTurnsAway(t *testing.T) {
	c := newWindow(t, 5)
	b := c.visitor("en")
	before := c.ledger.Last()
	for name, try := range map[string]struct {
		path, kind, body, site string
		want                   int
	}{
		"too large":         {"/ask/complaint", "application/x-www-form-urlencoded", "said=" + strings.Repeat("x", maxDeskForm), "", 400},
		"too long":          {"/ask/complaint", "application/x-www-form-urlencoded", "said=" + strings.Repeat("x", tell.MaxSaid+1), "", 422},
		"no words":          {"/ask/complaint", "application/x-www-form-urlencoded", "said=+", "", 422},
		"two addresses":     {"/ask/affected", "application/x-www-form-urlencoded", "number=5&email=a@example.jp%0Ab@example.jp", "", 422},
		"no address":        {"/ask/affected", "application/x-www-form-urlencoded", "number=5", "", 422},
		"another kind":      {"/ask/everything", "application/x-www-form-urlencoded", "", "", 404},
		"another form":      {"/ask/complaint", "multipart/form-data; boundary=x", "--x--", "", 415},
		"JSON":              {"/ask/complaint", "application/json", "{}", "", 415},
		"another site's":    {"/ask/complaint", "application/x-www-form-urlencoded", "said=x", "cross-site", 403},
		"another receipt":   {"/answer", "application/x-www-form-urlencoded", "receipt=AAAAAAAAAAAAAAAAAAAAAAAA", "", 422},
		"a code for nobody": {"/answer/code", "application/x-www-form-urlencoded", "receipt=x&code=12345678", "", 422},
		"the console":       {"/signin", "application/x-www-form-urlencoded", "name=admin", "", 404},
		"the control":       {"/api/desk", "application/x-www-form-urlencoded", "", "", 404},
	} {
		r := b.request("POST", try.path, strings.NewReader(try.body))
		r.Header.Set("Content-Type", try.kind)
		if try.site != "" {
			r.Header.Set("Sec-Fetch-Site", try.site)
		}
		a := b.do(r)
		if a.status != try.want {
			t.Errorf("%s: %d\n%s", name, a.status, a.body)
		}
		if a.header.Get("Content-Security-Policy") == "" || strings.Contains(a.header.Get("Content-Security-Policy"), "script") || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", name, a.header)
		}
	}
	if got := c.ledger.Last(); got != before {
		t.Errorf("entries were made:\n%s", c.since(before))
	}
	for _, path := range []string{"/metrics", "/healthz", "/status", "/static/console.js", "/static/..%2fpage.go", "/entries/1"} {
		if a := b.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	// A form that was sent wrong comes back with what was typed, and nothing runs.
	a := b.post("/ask/correction", url.Values{"number": {`5"><script>`}, "email": {"m5@example.jp"}, "said": {""}})
	if a.status != 422 || !strings.Contains(a.body, `value="5&#34;&gt;&lt;script&gt;"`) || !strings.Contains(a.body, `role="alert"`) {
		t.Errorf("%d\n%s", a.status, a.body)
	}
}

// More than the limits are told to come again, and nothing of theirs is kept.
func TestTheDeskPushesBack(t *testing.T) {
	c := newWindow(t, 5, func(c *tell.DeskConfig) { c.PerAddress = 3 })
	b := c.visitor("en")
	for range 3 {
		if a := b.get("/"); a.status != 200 {
			t.Fatal(a.status)
		}
	}
	before := c.ledger.Last()
	a := b.post("/ask/complaint", url.Values{"said": {"x"}})
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "not taken") || c.ledger.Last() != before {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := b.get("/static/desk.css"); a.status != 200 {
		t.Errorf("the style: %d", a.status)
	}

	c = newWindow(t, 5, func(c *tell.DeskConfig) { c.InAll = 1 })
	b = c.visitor("en")
	got := map[int]int{}
	for range 6 {
		a := b.get("/")
		got[a.status]++
		if a.status == http.StatusServiceUnavailable && (a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "nothing was recorded")) {
			t.Errorf("%v\n%s", a.header, a.body)
		}
	}
	if got[200] < 2 || got[503] < 1 {
		t.Errorf("answers %v", got)
	}
}

// Of addresses that a proxy names, the proxy's own word is believed, and of
// nobody else.
func TestWhoseTurnItIs(t *testing.T) {
	c := newCrowd(1, 1, 1, []string{"10.0.0.9"})
	for _, one := range []struct{ from, said, want string }{
		{"10.0.0.9:1", "203.0.113.5, 198.51.100.7", "198.51.100.7"},
		{"10.0.0.8:1", "198.51.100.7", "10.0.0.8"},
		{"10.0.0.9:1", "", "10.0.0.9"},
		{"10.0.0.9:1", "nobody", "10.0.0.9"},
		{"[::ffff:10.0.0.9]:1", "2001:db8::1", "2001:db8::1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = one.from
		if one.said != "" {
			r.Header.Set("X-Forwarded-For", one.said)
		}
		if got := c.visitor(r).String(); got != one.want {
			t.Errorf("%v: %s", one, got)
		}
	}
	at := time.Unix(1000, 0)
	c.now = func() time.Time { return at }
	c.perAddress, c.inAll = 60, 1000
	admitted := 0
	for range 100 {
		if status, _ := c.wait(clientAddress(&http.Request{RemoteAddr: "[2001:db8::1]:1"})); status == 0 {
			admitted++
		}
	}
	if admitted != 60 {
		t.Errorf("%d of 100 came in at once", admitted)
	}
	if status, wait := c.wait(clientAddress(&http.Request{RemoteAddr: "[2001:db8::ffff]:1"})); status != 429 || wait <= 0 || wait > time.Second {
		t.Errorf("its neighbour: %d, %v", status, wait)
	}
	at = at.Add(time.Second)
	if status, _ := c.wait(clientAddress(&http.Request{RemoteAddr: "[2001:db8::ffff]:1"})); status != 0 {
		t.Errorf("a second later: %d", status)
	}
}

// arrives waits until the browser shows a page that has something. A page that
// is just being left can answer with an error, or not at all.
func (c *window) arrives(ctx context.Context, selector string) {
	c.t.Helper()
	last := ""
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		soon, stop := context.WithTimeout(ctx, 20*time.Second)
		there, err := chromedp.Run(soon, chromedp.Evaluate[bool](fmt.Sprintf("document.readyState === 'complete' && document.querySelector(%q) !== null", selector)))
		if err == nil && there {
			stop()
			return
		}
		last, err = chromedp.Run(soon, chromedp.Evaluate[string]("location.href + ' ' + document.querySelector('main').innerText"))
		if err != nil {
			last = err.Error()
		}
		stop()
	}
	c.t.Fatalf("no page with %s came, but %s", selector, last)
}

// Every page fits a telephone, in both languages, and can be used in a browser
// that runs no script. With SHOTS=DIR it leaves pictures.
func TestDeskPagesInABrowser(t *testing.T) {
	c := newWindow(t, 50)
	c.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, 5, 6)
	c.openAbout("pc-0417")
	ctx := chrome(t)
	widths, kinds := []int64{390}, []string{"affected", "disclosure", "misuse"}
	if os.Getenv("SHOTS") != "" {
		widths, kinds = append(widths, 1280), tell.EnquiryKinds()
	}
	for _, lang := range languages {
		for _, width := range widths {
			must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844), chromedp.Navigate(c.server.URL+"/?lang="+lang)))
			fits(t, ctx, "desk-start", lang, width)
			for _, asked := range kinds {
				must(t, chromedp.Do(ctx, chromedp.Navigate(c.server.URL+"/ask/"+asked+"?lang="+lang)))
				fits(t, ctx, "desk-ask-"+asked, lang, width)
			}
			for _, asked := range []string{"affected", "accesses"} {
				c.relay.mu.Lock()
				clear(c.relay.letters)
				c.relay.mu.Unlock()
				c.clock.pass(25 * time.Hour)
				must(t, chromedp.Do(ctx, chromedp.Navigate(c.server.URL+"/ask/"+asked+"?lang="+lang),
					chromedp.SendKeys(chromedp.CSS("input[name=number]"), "5"), chromedp.SendKeys(chromedp.CSS("input[name=email]"), "m5@example.jp"),
					chromedp.Submit(chromedp.CSS("main form"))))
				c.arrives(ctx, ".receipt")
				fits(t, ctx, "desk-taken-"+asked, lang, width)
				c.until("a code", func() bool { return c.relay.code("m5@example.jp") != "" })
				must(t, chromedp.Do(ctx, chromedp.Submit(chromedp.CSS("form[action='/answer']"))))
				c.arrives(ctx, ".facts")
				fits(t, ctx, "desk-proof-"+asked, lang, width)
				must(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("input[name=code]"), c.relay.code("m5@example.jp")),
					chromedp.Submit(chromedp.CSS("form[action='/answer/code']"))))
				c.arrives(ctx, ".answer")
				fits(t, ctx, "desk-answer-"+asked, lang, width)
			}
			must(t, chromedp.Do(ctx, chromedp.Navigate(c.server.URL+"/answer?lang="+lang), chromedp.SendKeys(chromedp.CSS("input[name=receipt]"), "nothing"),
				chromedp.Submit(chromedp.CSS("main form"))))
			c.arrives(ctx, ".bad")
			fits(t, ctx, "desk-receipt", lang, width)
		}
	}

}

// Staff find the enquiry in the queue, check who asks, answer and close; each
// step is an entry, and to open one is an access.
func TestStaffAnswer(t *testing.T) {
	c := newWindow(t, 50)
	b := c.visitor("ja")
	b.asks("disclosure", url.Values{"number": {"7"}, "email": {"old@example.jp"}, "name": {"山田花子"}, "said": {"すべて"}, "third": {"yes"}, "reach": {"post"}})
	clerk := c.as("mori", "user", "en")
	if a := clerk.get("/desk"); !strings.Contains(a.body, "Nothing of this kind.") || strings.Contains(a.body, "山田") {
		t.Errorf("it waits for the asker:\n%s", a.body)
	}
	receipt, number := b.asks("disclosure", url.Values{"number": {"7"}, "email": {"old@example.jp"}, "name": {"山田花子"}, "said": {"すべて"}, "third": {"yes"}, "reach": {"post"}})
	if a := b.post("/answer/by-hand", url.Values{"receipt": {receipt}}); !strings.Contains(a.body, "担当者による確認を受け付けました") {
		t.Errorf("by hand:\n%s", a.body)
	}
	at := fmt.Sprintf("/desk/%d", number)
	if a := clerk.get(fmt.Sprintf("/entries/%d", number)); a.status != http.StatusOK || strings.Contains(a.body, "すべて") || strings.Contains(a.body, "山田") {
		t.Errorf("the entry tells what the asker wrote:\n%s", a.body)
	}
	if a := clerk.get("/desk"); !strings.Contains(a.body, at) || strings.Contains(a.body, "山田") {
		t.Errorf("the queue:\n%s", a.body)
	}
	c.until("comparing", func() (done bool) {
		c.views.Read(func() { q, _ := c.desk.Enquiries.Get(number); done = q.Matched != nil })
		return done
	})
	before := c.ledger.Last()
	a := clerk.get(at + "?template=disclosed")
	for _, want := range []string{"山田花子", "agrees with nobody", "old@example.jp", "保有個人データの開示のご請求"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the enquiry lacks %q:\n%s", want, a.body)
		}
	}
	// It names nobody in the roster, and yet somebody saw what a person wrote.
	if said := c.since(before); strings.Contains(a.body, "salt") || !strings.HasSuffix(said, "\nAccess exact of ") || c.ledger.Last() == before {
		t.Errorf("a look at an enquiry of nobody's left:\n%s", said)
	}
	act := func(form url.Values, want int) {
		t.Helper()
		if a := clerk.post(at, form); a.status != want {
			t.Errorf("%v: %d\n%s", form, a.status, a.body)
		}
	}
	reply := url.Values{"act": {"reply"}, "text": {"お送りしました。"}, "result": {"granted"}, "close": {"yes"}}
	act(reply, http.StatusConflict) // nobody knows who it is
	act(url.Values{"act": {"identify"}, "key": {"9999"}, "means": {"licence"}}, http.StatusBadRequest)
	act(url.Values{"act": {"identify"}, "key": {"7"}, "means": {"licence"}}, http.StatusSeeOther)
	act(url.Values{"act": {"assign"}, "to": {"nobody"}}, http.StatusBadRequest)
	act(url.Values{"act": {"assign"}, "to": {"mori"}}, http.StatusSeeOther)
	act(url.Values{"act": {"lay"}, "incident": {"4711"}}, http.StatusNotFound)
	act(url.Values{"act": {"close"}, "reason": {"answered"}}, http.StatusBadRequest)
	act(url.Values{"act": {"reply"}, "text": {"… to be filled in"}, "result": {"granted"}}, http.StatusBadRequest)
	act(url.Values{"act": {"reply"}, "text": {"7月まで"}, "result": {"extended"}, "until": {"2014-09-20"}}, http.StatusBadRequest)
	act(reply, http.StatusSeeOther)
	act(reply, http.StatusConflict) // it is closed
	if a := b.post("/answer", url.Values{"receipt": {receipt}}); !strings.Contains(a.body, "お送りしました。") || !strings.Contains(a.body, "終了") {
		t.Errorf("the asker reads:\n%s", a.body)
	}
	entries := c.since(before)
	for _, want := range []string{"IdentityChecked", "EnquiryRouted", "EnquiryAnswered", "EnquiryClosed"} {
		if !strings.Contains(entries, want) {
			t.Errorf("no %s among\n%s", want, entries)
		}
	}
	// Whoever opens it now sees whose it is, and that stands in the ledger.
	before = c.ledger.Last()
	if a := clerk.get(at); !strings.Contains(a.body, "customer 7") || c.ledger.Last() == before {
		t.Errorf("an access left no entry:\n%s", a.body)
	}
	if a := clerk.json("/desk?show=all"); !strings.Contains(a.body, `"answered": 1`) || !strings.Contains(a.body, `"in_time": 1`) {
		t.Errorf("the statistics:\n%s", a.body)
	}
}

// What the machine tells people, two people have allowed.
func TestAllowedByTwo(t *testing.T) {
	c := newWindow(t, 50)
	c.lookup("sato", "pc-0417", sekisho.Identity, 5)
	number := c.append(&sekisho.IncidentOpened{By: c.staff("admin"), Endpoints: []string{"pc-0417"}})
	asker, clerk, other, same := c.as("ito", "approver", "en"), c.as("mori", "user", "en"), c.as("kato", "approver", "en"), c.as("ito.2", "administrator", "en", "ito.shell")
	ask := url.Values{"action": {"asked"}, "incident": {fmt.Sprint(number)}, "text_en": {"What happened."}, "text_ja": {"何が起きたか。"}}
	if a := asker.post("/desk/allowed", ask); a.status != http.StatusSeeOther {
		t.Fatalf("asking: %d\n%s", a.status, a.body)
	}
	request := uint64(0)
	c.views.Read(func() { request = c.desk.Enquiries.Allowances()[0].Request })
	decide := func(b *browser, action string, want int) {
		t.Helper()
		if a := b.post("/desk/allowed", url.Values{"request": {fmt.Sprint(request)}, "action": {action}}); a.status != want {
			t.Errorf("%s: %d\n%s", action, a.status, a.body)
		}
	}
	decide(asker, "approved", http.StatusForbidden)
	first := request
	var err error
	request, err = c.desk.Allow(context.Background(), number, "x", "x", c.staff("ito.shell")) // by the command line
	must(t, err)
	decide(same, "approved", http.StatusForbidden)
	decide(same, "rejected", http.StatusSeeOther) // their own
	request = first
	decide(clerk, "approved", http.StatusForbidden)
	decide(other, "asked twice", http.StatusBadRequest)
	decide(other, "approved", http.StatusSeeOther)
	decide(other, "rejected", http.StatusConflict)
	if _, _, a := c.proves(c.visitor("en"), "affected", 5); !strings.Contains(a.body, "What happened.") {
		t.Errorf("the answer:\n%s", a.body)
	}
	decide(asker, "ended", http.StatusSeeOther) // to stop it needs no second person
}

// An enquiry by telephone is taken in by staff, who check who asks.
func TestTakenInByTelephone(t *testing.T) {
	c := newWindow(t, 50)
	clerk := c.as("mori", "user", "en")
	a := clerk.post("/desk", url.Values{"asked": {"accesses"}, "language": {"ja"}, "number": {"9"}, "name": {"Sato Jiro"}})
	m := regexp.MustCompile(`<code>([A-Z2-7-]{29})</code>`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no receipt:\n%s", a.body)
	}
	var q incident.Enquiry
	c.views.Read(func() { c.desk.Enquiries.Each(func(one *incident.Enquiry) bool { q = *one; return true }) })
	if q.Standing() != incident.StandCheck || q.Body.By != c.staff("mori") {
		t.Errorf("it is %s", q.Standing())
	}
	if a := clerk.post(fmt.Sprintf("/desk/%d", q.Number), url.Values{"act": {"identify"}, "key": {"9"}, "means": {"callback"}}); a.status != http.StatusSeeOther {
		t.Errorf("%d\n%s", a.status, a.body)
	}
	if a := c.visitor("ja").post("/answer", url.Values{"receipt": {m[1]}}); !strings.Contains(a.body, "記録にありません") {
		t.Errorf("the asker reads:\n%s", a.body)
	}
	if c.relay.code("") != "" || c.relay.took != 0 {
		t.Error("a letter went out")
	}
}

// The pages for staff fit a telephone too.
func TestDeskStaffPagesInABrowser(t *testing.T) {
	c := newWindow(t, 50)
	c.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, 5, 6)
	incident := c.openAbout("pc-0417")
	_, err := c.desk.Allow(context.Background(), incident, "On 22 September two terminals of our call centre were misused.", "9月22日、コールセンターの端末2台が不正に操作されました。", c.staff("ito"))
	must(t, err)
	b := c.visitor("ja")
	_, answered, _ := c.proves(b, "affected", 5)
	b.asks("complaint", url.Values{"said": {"電話がつながりません。"}})
	b.asks("misuse", url.Values{"said": {"旅行会社を名乗る不審なメールが届きました。"}})
	receipt, open := b.asks("disclosure", url.Values{"number": {"7"}, "email": {"old@example.jp"}, "name": {"山田花子"}, "said": {"すべて"}, "third": {"yes"}, "reach": {"post"}})
	b.post("/answer/by-hand", url.Values{"receipt": {receipt}})
	c.clock.pass(12 * 24 * time.Hour) // the complaint is late
	ctx := chrome(t)
	c.browserSignIn(ctx)
	widths := []int64{390}
	if os.Getenv("SHOTS") != "" {
		widths = append(widths, 1280)
	}
	for _, lang := range languages {
		must(t, chromedp.Do(ctx, chromedp.Navigate(c.house.server.URL+"/language?to="+lang)))
		for _, width := range widths {
			must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844)))
			for name, path := range map[string]string{"queue": "/desk", "answered": fmt.Sprintf("/desk/%d", answered), "open": fmt.Sprintf("/desk/%d?template=disclosed", open)} {
				must(t, chromedp.Do(ctx, chromedp.Navigate(c.house.server.URL+path)))
				c.arrives(ctx, "main section")
				fits(t, ctx, "desk-staff-"+name, lang, width)
			}
		}
	}
}

// Whoever has one address cannot keep everybody else from the contact point by
// holding its connections, nor the proxy behind which everybody comes from its own.
func TestOneAddressCannotFillTheContactPoint(t *testing.T) {
	for behind, all := range map[string]bool{"": false, "127.0.0.1": true} {
		c := newWindow(t, 1, func(conf *tell.DeskConfig) {
			if behind != "" {
				conf.Behind = []string{behind}
			}
		})
		door, err := NewDeskDoor(c.desk, "", nil)
		must(t, err)
		s := httptest.NewUnstartedServer(nil)
		s.Config = door.Server()
		s.Config.ReadHeaderTimeout, s.Config.ReadTimeout = 0, 0 // they may say nothing for as long as the test takes
		var mu sync.Mutex
		in, state := 0, s.Config.ConnState
		s.Config.ConnState = func(conn net.Conn, to http.ConnState) {
			state(conn, to)
			mu.Lock()
			defer mu.Unlock()
			switch to {
			case http.StateNew:
				in++
			case http.StateClosed:
				in--
			}
		}
		s.Start()
		const come = mostDeskConnections/16 + 40
		var held []net.Conn
		for range come {
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			must(t, err)
			held = append(held, conn)
		}
		want := mostDeskConnections / 16
		if all {
			want = come
		}
		// The last to come has come, and all that had no room are gone.
		other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: other.DialContext, DisableKeepAlives: true}}
		c.until(fmt.Sprintf("behind %q %d are in", behind, want), func() bool {
			resp, err := client.Get(s.URL + "/")
			if err != nil {
				t.Fatalf("somebody else is kept out: %v", err)
			}
			resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			return in == want || in == want+1 // the last of our own may still be closing
		})
		for _, conn := range held {
			conn.Close()
		}
		s.Close()
	}
}
