package house

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	netmail "net/mail"
	gosmtp "net/smtp"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/directory"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/tell"
)

// A lureSite is a house with a directory, a real mail server that takes what it
// sends, its own mail door, and the pages to which lures lead.
type lureSite struct {
	t     *testing.T
	house *House
	post  *postOffice
	now   atomic.Int64 // µs
	mail  string       // the mail door
	base  string
	staff map[string]uint32
}

func (s *lureSite) time() time.Time { return time.UnixMicro(s.now.Load()).UTC() }

func newLureSite(t *testing.T, more ...func(*Config)) *lureSite {
	t.Helper()
	s := &lureSite{t: t, post: &postOffice{}, staff: map[string]uint32{}}
	s.now.Store(time.Date(2026, 11, 16, 0, 30, 0, 0, time.UTC).UnixMicro()) // Monday, 09:30 in Tokyo
	pages, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.base = "http://" + pages.Addr().String()
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	c.Sensors.Mail.Listen = "127.0.0.1:0"
	c.Lures = tell.LuresConfig{Domains: []string{"example.jp"}, Relay: tell.Relay{Server: s.post.open(t), TLS: "none"}, Sender: "drill.example.jp",
		Replies: "answers.drill.example.jp", Report: "report@drill.example.jp", Base: s.base, Contact: "csirt@example.jp", Least: 2, Pace: tell.Pace{PerSecond: 1000, Connections: 2, Window: 3}}
	for _, do := range more {
		do(&c)
	}
	s.house, err = Open(t.Context(), c, "/", Options{Now: s.time})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	mailDoor, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.mail = mailDoor.Addr().String()
	done := make(chan error, 3)
	go func() { done <- s.house.ReceiveMail(ctx, mailDoor) }()
	go func() { done <- s.house.ServeLures(ctx, pages) }()
	go func() { done <- s.house.SendLures(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 3 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		must(t, s.house.Close())
	})
	return s
}

// hire puts somebody into the directory.
func (s *lureSite) hire(name, address, lang, department string, executive bool) uint32 {
	s.t.Helper()
	v := s.house.Vault
	staff := v.Space("staff").OfText([]byte(name))
	unit := v.Space("unit").OfText([]byte("department/0001/" + department))
	record := v.Space("staff_record").OfText([]byte(directory.Attributes{Staff: staff, Name: name + " 様", Mail: address, Language: lang}.Key()))
	_, err := s.house.Ledger.Append(s.t.Context(), &sekisho.UnitChanged{Unit: unit, Action: "opened", Is: "department", Effective: 1},
		&sekisho.PersonChanged{Staff: staff, Action: "joined", Effective: 1, Employed: "employee", Executive: executive, Record: record, Postings: []sekisho.PersonPosting{{Unit: unit, As: "main"}}})
	must(s.t, err)
	s.staff[name] = staff
	return staff
}

// campaign is proposed by one and approved by another.
func (s *lureSite) campaign(lures ...string) uint64 {
	s.t.Helper()
	must(s.t, s.house.Settle(s.t.Context()))
	v := s.house.Vault.Space("staff")
	a, b := v.OfText([]byte("training")), v.OfText([]byte("ciso"))
	n, err := s.house.Lures.Ask(s.t.Context(), tell.LureAsk{Title: "秋の訓練", Lures: lures, From: s.time(), Until: s.time().Add(4 * time.Hour), Opens: "09:00", Closes: "18:00", Reason: "年間計画"}, a)
	must(s.t, err)
	same := func(x, y uint32) bool { return x == y }
	var wrong *tell.Wrong
	if err := s.house.Lures.Decide(s.t.Context(), n, "approved", "", a, same); !errors.As(err, &wrong) || wrong.Code != "own" {
		s.t.Fatalf("who proposes a campaign approves it: %v", err)
	}
	must(s.t, s.house.Lures.Decide(s.t.Context(), n, "approved", "", b, same))
	return n
}

// until waits for a condition, which entries bring about.
func (s *lureSite) until(what string, ok func() bool) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), time.Minute)
	defer stop()
	for !ok() {
		if ctx.Err() != nil {
			s.t.Fatalf("after a minute: not %s", what)
		}
		wait, rest := context.WithTimeout(ctx, 50*time.Millisecond)
		s.house.Views.WaitFor(wait, s.house.Ledger.Last()+1)
		rest()
	}
}

func (s *lureSite) done(n uint64) bool {
	c, err := s.house.Lures.Campaign(n)
	must(s.t, err)
	return c.State == tell.Done
}

func (p *postOffice) letters() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.came)
}

// A parsedLure is a letter as a mail program shows it.
type parsedLure struct {
	head             netmail.Header
	text, html, file string
	fileName         string
	link, trap, dot  string
}

func parseLure(t *testing.T, text string) (p parsedLure) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(text))
	must(t, err)
	p.head = m.Header
	var walk func(kind, disposition string, r io.Reader)
	walk = func(kind, disposition string, r io.Reader) {
		media, params, err := mime.ParseMediaType(kind)
		must(t, err)
		if strings.HasPrefix(media, "multipart/") {
			for parts := multipart.NewReader(r, params["boundary"]); ; {
				one, err := parts.NextRawPart()
				if err == io.EOF {
					return
				}
				must(t, err)
				walk(one.Header.Get("Content-Type"), one.Header.Get("Content-Disposition"), one)
			}
		}
		b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, r))
		must(t, err)
		switch {
		case disposition != "":
			_, params, err := mime.ParseMediaType(disposition)
			must(t, err)
			p.file, p.fileName = string(b), params["filename"]
		case media == "text/html":
			p.html = string(b)
		default:
			p.text = string(b)
		}
	}
	walk(m.Header.Get("Content-Type"), "", m.Body)
	for into, path := range map[*string]string{&p.link: "p", &p.trap: "t", &p.dot: "o"} {
		*into = regexp.MustCompile(`http://[^"<\s]*/` + path + `/[a-z2-7]+`).FindString(p.html + p.file)
	}
	return p
}

const firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"

// browse asks as a browser does.
func (s *lureSite) browse(method, address string, form url.Values) (status int, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, address, strings.NewReader(form.Encode()))
	must(s.t, err)
	req.Header.Set("User-Agent", firefox)
	req.Header.Set("Accept-Language", "ja,en;q=0.5")
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	must(s.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(s.t, err)
	if c := resp.Header["Set-Cookie"]; c != nil {
		s.t.Errorf("%s sets a cookie: %v", address, c)
	}
	return resp.StatusCode, string(b)
}

func (s *lureSite) write(from, to, head, body string) {
	s.t.Helper()
	must(s.t, gosmtp.SendMail(s.mail, nil, from, []string{to}, []byte("From: "+from+"\r\nTo: "+to+"\r\n"+head+"\r\n\r\n"+body)))
}

// A campaign from its proposal to its figures: lures go out by SMTP to whom the
// directory names in the listed domains and to nobody else, and what people do
// with them is counted under pseudonyms.
func TestADrillByMail(t *testing.T) {
	s := newLureSite(t)
	s.hire("sato", "sato@example.jp", "ja", "sales", false)
	s.hire("suzuki", "suzuki@example.jp", "en", "sales", false)
	s.hire("guest", "guest@elsewhere.example.com", "ja", "sales", false)
	s.hire("below", "below@sub.example.jp", "ja", "sales", false)
	s.hire("mute", "", "ja", "sales", false)
	n := s.campaign("itinerary")
	s.now.Add(int64(4*time.Hour/time.Microsecond) - 1)
	s.until("everybody was written to", func() bool { return s.done(n) })
	letters := s.post.letters()
	if len(letters) != 2 {
		t.Fatalf("%d letters: %+v", len(letters), letters)
	}
	by := map[string]parsedLure{}
	for _, l := range letters {
		by[l.to] = parseLure(t, l.text)
	}
	ja, en := by["sato@example.jp"], by["suzuki@example.jp"]
	if !strings.Contains(ja.text, "sato 様") || ja.fileName != "E-TKT控え.html" || !strings.HasPrefix(ja.link, s.base) || !strings.Contains(ja.file, ja.link) {
		t.Errorf("the lure in Japanese is %+v", ja)
	}
	if !strings.Contains(en.text, "Dear suzuki") || en.fileName != "E-TKT_copy.html" || en.link == ja.link {
		t.Errorf("the lure in English is %+v", en)
	}

	// Sato opens the attachment, reads on, and reports it then by forwarding it.
	s.now.Add(90_000_000)
	status, page := s.browse("GET", ja.link, nil)
	if status != 200 || !strings.Contains(page, "このメールは訓練でした") || !strings.Contains(page, "HTML ファイルが添付されている") {
		t.Errorf("the viewer page is %d %s", status, page)
	}
	hand := regexp.MustCompile(`data-hand="([^"]+)"`).FindStringSubmatch(page)
	s.browse("POST", s.base+hand[1], nil)
	s.now.Add(60_000_000)
	s.write("sato@example.jp", "report@drill.example.jp", "Subject: Fwd: "+ja.head.Get("Subject"), "これは怪しいです\r\nMessage-ID: "+ja.head.Get("Message-Id")+"\r\n")
	// A scanner looks at Suzuki's, at once and from everywhere.
	for _, link := range []string{en.link, en.trap, en.dot} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", link, nil)
		must(t, err)
		req.Header.Set("User-Agent", "Mozilla/5.0 (compatible; ScannerX/2.0; +https://scanner.example)")
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		resp.Body.Close()
	}
	s.until("the report is in", func() bool {
		r, err := s.house.Lures.Result(n)
		must(t, err)
		return r.Whole.Reported == 1
	})
	r, err := s.house.Lures.Result(n)
	must(t, err)
	w := r.Whole
	got := fmt.Sprintf("mailed %d unclear %d reported %d (before anything else %d) first %ds median %ds fell %v opened %v", w.Mailed, w.Unclear, w.Reported, w.ReportedFirst, w.FirstReport, w.MedianReport, w.Fell, w.Did["opened"])
	if want := "mailed 2 unclear 0 reported 1 (before anything else 0) first 150s median 150s fell map[human:1 machine:1] opened map[machine:1]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(r.Levels) != 1 || r.Levels[0].Key != "very" || r.Levels[0].Figures.Reported != 1 {
		t.Errorf("by difficulty: %+v", r.Levels)
	}
	c, _ := s.house.Lures.Campaign(n)
	if c.Asked.Listed != 5 || c.Asked.People != 2 {
		t.Errorf("%d of %d", c.Asked.People, c.Asked.Listed)
	}

	// The ledger names nobody beside what was done, and holds no address.
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(s.house.Config.Data), 1) {
		must(t, err)
		if b, ok := e.Body.(*sekisho.LureSeen); ok {
			if b.Who == uint64(s.staff["sato"]) || b.Who == uint64(s.staff["suzuki"]) {
				t.Errorf("a pseudonym is an ordinal: %+v", b)
			}
		}
		if raw := e.AppendEncode(nil); strings.Contains(string(raw), "example.jp") || strings.Contains(string(raw), "127.0.0.1") {
			t.Errorf("an address is in %+v", e)
		}
	}
}

// What is typed into a lure's form never leaves the browser, and is looked for
// nowhere if something sends it all the same.
func TestALureFormTakesNoValue(t *testing.T) {
	s := newLureSite(t)
	s.hire("sato", "sato@example.jp", "ja", "sales", false)
	s.hire("suzuki", "suzuki@example.jp", "ja", "sales", false)
	n := s.campaign("password-expiry")
	s.now.Add(int64(4*time.Hour/time.Microsecond) - 1)
	s.until("everybody was written to", func() bool { return s.done(n) })
	lure := parseLure(t, s.post.letters()[0].text)
	s.now.Add(60_000_000)
	_, page := s.browse("GET", lure.link, nil)
	for _, input := range regexp.MustCompile(`<input[^>]*>`).FindAllString(page, -1) {
		if strings.Contains(input, "name=") {
			t.Errorf("a browser would send %s", input)
		}
	}
	if strings.Count(page, "<input") != 2 {
		t.Errorf("the form is %s", page)
	}
	status, page := s.browse("POST", lure.link, url.Values{"typed": {"yes"}, "password": {"hunter2secret"}})
	if status != 200 || !strings.Contains(page, "このメールは訓練でした") {
		t.Errorf("a form leads to %d %s", status, page)
	}
	r, err := s.house.Lures.Result(n)
	must(t, err)
	if len(r.Whole.Did["typed"]) != 0 {
		t.Errorf("a request with a value counts: %v", r.Whole.Did)
	}
	s.browse("POST", lure.link, url.Values{"typed": {"yes"}})
	if r, err = s.house.Lures.Result(n); err != nil || r.Whole.Did["typed"]["human"] != 1 {
		t.Errorf("%v %v", r.Whole.Did, err)
	}
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(s.house.Config.Data), 1) {
		must(t, err)
		if strings.Contains(string(e.AppendEncode(nil)), "hunter2secret") {
			t.Errorf("a typed value is in %+v", e)
		}
	}
}

// Answers to a BEC lure and reports come by mail, in whatever wrapping; of
// absence notes nothing is kept, and what is no lure is kept as it came.
func TestAnswersAndReportsByMail(t *testing.T) {
	s := newLureSite(t)
	for _, name := range []string{"sato", "suzuki", "tanaka"} {
		s.hire(name, name+"@example.jp", "ja", "sales", false)
	}
	n := s.campaign("bank-change")
	s.now.Add(int64(4*time.Hour/time.Microsecond) - 1)
	s.until("everybody was written to", func() bool { return s.done(n) })
	by := map[string]letter{}
	for _, l := range s.post.letters() {
		by[l.to] = l
	}
	lure := func(name string) parsedLure { return parseLure(t, by[name+"@example.jp"].text) }
	s.now.Add(120_000_000)
	answer := lure("sato").head.Get("Reply-To")
	s.write("sato@example.jp", answer, "Auto-Submitted: auto-replied\r\nSubject: away", "I am away until Monday")
	s.write("sato@example.jp", answer, "Subject: Re: account", "Please send me the new account: my telephone is 03-1111-2222")
	s.write("sato@example.jp", answer, "Subject: Re: account", "Hello?")
	// Suzuki forwards it as an attached message, Tanaka quotes it; then comes a
	// mail that is none of ours, and one from outside.
	s.write("suzuki@example.jp", "report@drill.example.jp", "Subject: FW\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b", "--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"+by["suzuki@example.jp"].text+"\r\n--b--\r\n")
	s.write("tanaka@example.jp", "report@drill.example.jp", "Subject: FW", "> Reply-To: "+lure("tanaka").head.Get("Reply-To"))
	s.write("tanaka@example.jp", "report@drill.example.jp", "Subject: FW", "> a prince has died, and left you a fortune")
	s.write("prince@elsewhere.example.com", "report@drill.example.jp", "Subject: FW", "> another fortune")
	s.until("the reports are in", func() bool {
		suspects := 0
		s.house.Views.Read(func() { suspects = len(s.house.LuresSeen.Suspects(0)) })
		return suspects > 0
	})
	r, err := s.house.Lures.Result(n)
	must(t, err)
	if got := fmt.Sprint(r.Whole.Reported, r.Whole.ReportedFirst, r.Whole.Did["replied"], r.Whole.Fell, r.Whole.MedianReport); got != "2 2 map[human:1] map[human:1] 120" {
		t.Errorf("figures: %s", got)
	}
	var suspects []tell.Suspect
	s.house.Views.Read(func() { suspects = s.house.LuresSeen.Suspects(0) })
	if len(suspects) != 1 || suspects[0].Body.Staff != s.staff["tanaka"] || !strings.Contains(s.house.nameOf("document", suspects[0].Body.Document), "a prince has died") {
		t.Errorf("reported mails that are no lures: %+v", suspects)
	}
	for ord := uint32(1); ord < 50; ord++ {
		if text := s.house.nameOf("document", ord) + s.house.nameOf("said", ord); strings.Contains(text, "03-1111-2222") {
			t.Error("an answer to a lure is kept")
		}
	}
}

// What single people did is opened by two people, for a reason, for a day, and
// each look stands in the ledger; after the months that are kept nobody can.
func TestNamesAreOpenedByTwo(t *testing.T) {
	s := newLureSite(t)
	for _, name := range []string{"sato", "suzuki", "ciso"} {
		s.hire(name, name+"@example.jp", "ja", "sales", false)
	}
	n := s.campaign("parcel")
	s.now.Add(int64(4*time.Hour/time.Microsecond) - 1)
	s.until("everybody was written to", func() bool { return s.done(n) })
	for _, l := range s.post.letters() {
		if l.to == "sato@example.jp" {
			s.browse("GET", parseLure(t, l.text).link, nil)
		}
	}
	l, ctx, same := s.house.Lures, t.Context(), func(a, b uint32) bool { return a == b }
	code := func(want string, err error) {
		t.Helper()
		var w *tell.Wrong
		if !errors.As(err, &w) || w.Code != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	asker, other, third := s.house.Vault.Space("staff").OfText([]byte("training")), s.staff["ciso"], s.house.Vault.Space("staff").OfText([]byte("auditor"))
	_, err := l.AskNames(ctx, n, []uint32{s.staff["sato"]}, " ", asker)
	code("reason", err)
	_, err = l.AskNames(ctx, n, []uint32{4711}, "why", asker)
	code("names_unknown", err)
	q, err := l.AskNames(ctx, n, []uint32{s.staff["sato"]}, "the account of sato was used that day", asker)
	must(t, err)
	_, err = l.Named(ctx, n, q, asker, same)
	code("names_state", err)
	code("own", l.DecideNames(ctx, n, q, "approved", "", asker, same))
	about, err := l.AskNames(ctx, n, []uint32{other}, "about who approves", asker)
	must(t, err)
	code("own", l.DecideNames(ctx, n, about, "approved", "", other, same))
	must(t, l.DecideNames(ctx, n, q, "approved", "", other, same))
	_, err = l.Named(ctx, n, q, third, same)
	code("own_names", err)
	before := s.house.Ledger.Last()
	parts, err := l.Named(ctx, n, q, asker, same)
	must(t, err)
	if len(parts) != 1 || parts[0].Staff != s.staff["sato"] || parts[0].Did["clicked"] == "" || parts[0].Level != "least" {
		t.Errorf("%+v", parts)
	}
	if last := s.house.Ledger.Last(); last != before+1 {
		t.Errorf("a look is %d entries", last-before)
	}
	s.now.Add(int64(25 * time.Hour / time.Microsecond))
	_, err = l.Named(ctx, n, q, asker, same)
	code("names_state", err)
	if own := l.Own(s.staff["suzuki"]); len(own) != 1 || len(own[0].Did) != 0 || own[0].Mailed == 0 {
		t.Errorf("one's own history: %+v", own)
	}

	whole, err := l.Result(n)
	must(t, err)
	if forgot, err := l.Forget(ctx); err != nil || forgot != 0 {
		t.Errorf("a campaign of yesterday is forgotten: %d, %v", forgot, err)
	}
	s.now.Add(int64(400 * 24 * time.Hour / time.Microsecond))
	if forgot, err := l.Forget(ctx); err != nil || forgot != 1 {
		t.Errorf("a campaign of last year is not forgotten: %d, %v", forgot, err)
	}
	if forgot, err := l.Forget(ctx); err != nil || forgot != 0 {
		t.Errorf("it is forgotten twice: %d, %v", forgot, err)
	}
	after, err := l.Result(n)
	must(t, err)
	if !after.Forgotten || after.Whole.Mailed != whole.Whole.Mailed || fmt.Sprint(after.Whole.Did["clicked"]) != fmt.Sprint(whole.Whole.Did["clicked"]) || len(after.Levels) != 1 {
		t.Errorf("what stays: %+v of %+v", after, whole)
	}
	for o := range uint32(s.house.Vault.Space("lure_key").Len()) {
		if !s.house.Vault.Space("lure_key").Erased(o + 1) {
			t.Errorf("key %d is still in the vault", o+1)
		}
	}
	if own := l.Own(s.staff["sato"]); len(own) != 0 {
		t.Errorf("somebody is still joined to a pseudonym: %+v", own)
	}
	_, err = l.AskNames(ctx, n, []uint32{s.staff["sato"]}, "why", asker)
	code("names_forgotten", err)
}

// Lures go out within the hours and the days of their window, each at its own
// time; who leaves before theirs is not written to; after the window nobody is.
func TestLuresKeepTheirHours(t *testing.T) {
	s := newLureSite(t)
	for i := range 40 {
		s.hire(fmt.Sprintf("p%02d", i), fmt.Sprintf("p%02d@example.jp", i), "ja", "sales", false)
	}
	must(t, s.house.Settle(t.Context()))
	friday := time.Date(2026, 11, 20, 0, 0, 0, 0, s.house.Zone)
	ask := tell.LureAsk{Title: "x", Lures: []string{"parcel", "shared-document"}, From: friday, Until: friday.AddDate(0, 0, 4), Reason: "x"}
	plan, err := s.house.Lures.Plan(ask)
	must(t, err)
	seen := map[int]int{}
	lures := map[int]int{}
	for _, turn := range plan.Turns {
		at := turn.At.Go().In(s.house.Zone)
		seen[at.Day()]++
		lures[turn.Lure]++
		if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday || at.Hour() < 9 || at.Hour() >= 18 {
			t.Errorf("a lure at %v", at)
		}
	}
	if seen[20] == 0 || seen[23] == 0 || len(seen) != 2 || len(lures) != 2 {
		t.Errorf("the days of the lures: %v, the lures: %v", seen, lures)
	}
	ask.Seed = plan.Ask.Seed
	again, err := s.house.Lures.Plan(ask)
	must(t, err)
	if !slices.Equal(plan.Turns, again.Turns) {
		t.Error("the same seed gives another plan")
	}
	training := s.house.Vault.Space("staff").OfText([]byte("training"))
	n, err := s.house.Lures.Ask(t.Context(), ask, training)
	must(t, err)
	must(t, s.house.Lures.Decide(t.Context(), n, "approved", "", training+1, func(a, b uint32) bool { return false }))
	first, late := plan.Turns[0], plan.Turns[0]
	for _, turn := range plan.Turns {
		if turn.At < first.At {
			first = turn
		}
		if turn.At > late.At {
			late = turn
		}
	}
	// Whoever is last leaves before.
	_, err = s.house.Ledger.Append(t.Context(), &sekisho.PersonChanged{Staff: late.Staff, Action: "left", Effective: first.At, Left: first.At, Employed: "employee"})
	must(t, err)
	s.now.Store(friday.Add(17*time.Hour + 59*time.Minute).UnixMicro())
	due := 0
	for _, turn := range plan.Turns {
		if turn.At <= sekisho.At(s.time()) {
			due++
		}
	}
	s.until("Friday's are sent", func() bool { return len(s.post.letters()) == due })
	s.now.Store(friday.AddDate(0, 0, 4).UnixMicro()) // the window is over, and Monday's have not gone
	s.until("the campaign is over", func() bool { return s.done(n) })
	c, err := s.house.Lures.Campaign(n)
	must(t, err)
	if c.Counts[tell.Taken] != uint64(due) || c.Why["over"] != uint64(40-due) || len(s.post.letters()) != due {
		t.Errorf("%v %v, %d due", c.Counts, c.Why, due)
	}
}

// Somebody who left and is erased is taken out of every drill: what was done with
// their lure can be joined to nobody any more, also after a restart of what
// joins, and the others keep theirs. The people come from a file, as the
// directory's do.
func TestErasureTakesSomebodyOutOfDrills(t *testing.T) {
	s := newLureSite(t)
	h, ctx := s.house, t.Context()
	read := func(lines string) {
		t.Helper()
		_, err := h.ImportDirectory(ctx, strings.NewReader("user,name,mail\n"+lines), console.DirectoryImport{Source: "hr"}, 0)
		must(t, err)
	}
	rest := "suzuki,Suzuki,suzuki@example.jp\ntanaka,Tanaka,tanaka@example.jp\n"
	read("sato,Sato,sato@example.jp\n" + rest)
	n := s.campaign("parcel")
	s.now.Add(int64(4*time.Hour/time.Microsecond) - 1)
	s.until("everybody was written to", func() bool { return s.done(n) })
	s.now.Add(60_000_000)
	for _, l := range s.post.letters() {
		s.browse("GET", parseLure(t, l.text).link, nil)
	}
	own := func(name string) string {
		staff, _ := h.Vault.Space("staff").Find(name)
		var did []string
		for _, p := range h.Lures.Own(staff) {
			for what := range p.Did {
				did = append(did, what)
			}
		}
		return strings.Join(did, " ")
	}
	sato, _ := h.Vault.Space("staff").Find("sato")
	if own("sato") != "clicked" || own("suzuki") != "clicked" {
		t.Fatalf("before: %q, %q", own("sato"), own("suzuki"))
	}
	read(rest)
	s.now.Add(int64(24 * time.Hour / time.Microsecond))
	var number uint64
	must(t, h.WithControl(ctx, func() error {
		caller, err := Call(ctx, h.Config.Data)
		must(t, err)
		defer caller.Close()
		p, err := caller.AskErasure(ctx, console.ErasureAsk{User: "sato", Reason: "retention is over"})
		must(t, err)
		number = p.Number
		return nil
	}))
	_, err := h.Ledger.Append(ctx, &sekisho.ErasureDecided{Erasure: number, Action: "approved", By: h.Vault.Space("staff").OfText([]byte("director"))})
	must(t, err)
	must(t, h.erase(ctx))
	for _, when := range []string{"at once", "anew"} {
		deeds := 0
		for _, p := range h.Lures.Own(sato) {
			deeds += len(p.Did)
		}
		if deeds != 0 || own("suzuki") != "clicked" {
			t.Errorf("%s: %d deeds are still joined, and of somebody else's there are %q", when, deeds, own("suzuki"))
		}
		h.Lures.Unjoin()
	}
	if r, err := h.Lures.Result(n); err != nil || r.Whole.Mailed != 3 {
		t.Errorf("the campaign's figures: %+v, %v", r.Whole, err)
	}
}
