package tell

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/law"
	"sekisho/ledger"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
)

// A point is a contact point over a real ledger, vault and mail relay. Only the
// clock is ours.
type point struct {
	*Desk
	t      *testing.T
	dir    string
	ledger *ledger.Ledger
	vault  *vault.Vault
	views  *view.Set
	relay  *relay
	end    func()

	mu sync.Mutex
	at time.Time
}

var tokyo = time.FixedZone("JST", 9*60*60)

func newPoint(t *testing.T, change ...func(*DeskConfig)) *point {
	t.Helper()
	p := &point{t: t, dir: t.TempDir(), relay: &relay{}, at: time.Date(2016, 6, 14, 9, 0, 0, 0, tokyo)}
	addr, _ := p.relay.serve(t, false)
	conf := DeskConfig{Space: "member", From: "desk@example.jp", Mail: Relay{Server: addr, TLS: "none"},
		Company: law.Words{EN: "Example Travel", JA: "見本旅行"}, Contact: law.Words{EN: "Privacy desk", JA: "個人情報窓口"}, Words: map[string]law.Words{"call_centre": {EN: "call centre", JA: "コールセンター"}}}
	for _, f := range change {
		f(&conf)
	}
	p.open(conf)
	_, err := p.vault.WriteRoster("member", vault.RosterSchema{Labels: []string{"residence"}, Match: []string{"email", "phone"}}, func(yield func(vault.RosterRow, error) bool) {
		for i := range 1000 {
			home := "JP"
			if i%10 == 7 {
				home = "DE"
			}
			if !yield(vault.RosterRow{Key: fmt.Sprint(i + 1), Labels: []string{home}, Match: []string{fmt.Sprintf("m%d@example.jp", i+1), fmt.Sprintf("0901234%04d", i+1)}}, nil) {
				return
			}
		}
	}, nil)
	p.must(err)
	return p
}

// open begins a life of the process.
func (p *point) open(conf DeskConfig) {
	p.t.Helper()
	conf.Listen = "127.0.0.1:0"
	p.must(conf.Check())
	var err error
	p.vault, err = vault.Open(vault.Config{Dir: p.dir + "/vault", FS: disk.OS{}, Key: [32]byte{1}})
	p.must(err)
	p.ledger, err = ledger.Open(ledger.Config{Dir: p.dir + "/ledger", Gate: 1, Name: "test", Software: "test", Now: p.now, SegmentBytes: 4 << 20, Before: p.vault.Flush})
	p.must(err)
	highest := highestOrdinals{}
	known, enquiries, cases := trace.New(), incident.NewEnquiries(), incident.New()
	p.views = view.New(view.Config{Follow: p.ledger.Follow, Hurry: p.ledger.Hurry, Last: p.ledger.Last, Append: p.ledger.Append,
		Views: []view.View{highest, known, enquiries}, Reactions: []view.Reaction{cases.Reaction()}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.views.Run(ctx) })
	p.must(p.views.WaitFor(ctx, p.ledger.Last()))
	p.must(p.vault.Reconcile(highest))
	rules, err := law.Load(law.Shipped())
	p.must(err)
	p.Desk, err = NewDesk(conf, Sources{Append: p.ledger.Append, Last: p.ledger.Last, Vault: p.vault, Views: p.views, Trace: known, Incidents: cases,
		Enquiries: enquiries, Law: rules, Zone: tokyo, Now: p.now})
	p.must(err)
	p.end = func() { stop(); running.Wait(); p.ledger.Close(); p.vault.Close() }
	p.t.Cleanup(func() { p.end() })
	desk := p.Desk
	running.Go(func() { desk.Run(ctx) })
}

// again stops the process and starts another.
func (p *point) again() {
	p.t.Helper()
	conf := p.Config
	p.end()
	p.open(conf)
}

// highestOrdinals is what Reconcile needs.
type highestOrdinals map[string]uint32

func (highestOrdinals) Name() string { return "highest" }
func (h highestOrdinals) Apply(e *sekisho.Entry) {
	if b, ok := e.Body.(*sekisho.Assigned); ok {
		h[b.Space] = max(h[b.Space], b.First+b.Count-1)
	}
}

func (p *point) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *point) now() time.Time { p.mu.Lock(); defer p.mu.Unlock(); return p.at }
func (p *point) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = p.at.Add(d)
}

// until waits for something to be so.
func (p *point) until(what string, so func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !so() {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: it did not come to that", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *point) enquiryNow(number uint64) (q incident.Enquiry) {
	p.views.Read(func() { q, _ = p.Enquiries.Get(number) })
	return q
}

// compared waits until what an asker gave has been compared, and a letter, if
// there is one, has been taken.
func (p *point) compared(number uint64, times int) incident.Enquiry {
	p.t.Helper()
	p.until("comparing", func() bool {
		q := p.enquiryNow(number)
		return q.Matches >= times && (q.Matched.Code == [32]byte{} || q.CodeMail != "")
	})
	return p.enquiryNow(number)
}

func (p *point) letters() []taken {
	p.relay.mu.Lock()
	defer p.relay.mu.Unlock()
	return slices.Clone(p.relay.letters)
}

var eightDigits = regexp.MustCompile(`[0-9]{4} [0-9]{4}`)

// read is the text of a letter.
func read(t *testing.T, l taken) string {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(l.text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (p *point) lastCode(to string) string {
	p.t.Helper()
	list := p.letters()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].to == to {
			return eightDigits.FindString(read(p.t, list[i]))
		}
	}
	p.t.Fatalf("no letter went to %s", to)
	return ""
}

// ask asks as a member would.
func (p *point) ask(asked string, number int, email string) (uint64, string) {
	p.t.Helper()
	n, receipt, err := p.Receive(p.t.Context(), Asking{Asked: asked, Language: "en", Asker: Asker{Number: fmt.Sprint(number), Email: email}})
	p.must(err)
	return n, receipt
}

// known asks, reads the code and proves who it is.
func (p *point) known(asked string, number int) (uint64, string) {
	p.t.Helper()
	email := fmt.Sprintf("m%d@example.jp", number)
	n, receipt := p.ask(asked, number, email)
	p.compared(n, 1)
	_, err := p.Prove(p.t.Context(), receipt, p.lastCode(email))
	p.must(err)
	return n, receipt
}

// worked is a clerk reading members at a terminal.
func (p *point) worked(endpoint, role string, members ...uint32) {
	p.t.Helper()
	space := p.vault.Space("member")
	var ords []uint32
	for _, m := range members {
		ords = append(ords, space.OfInt(int64(m)))
	}
	id, err := p.ledger.Append(p.t.Context(),
		&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: p.vault.Space("staff").OfText([]byte("sato")), Role: role, Endpoint: endpoint, Verified: true, Address: netip.MustParseAddr("10.1.2.3")},
		&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}, Categories: sekisho.Identity | sekisho.Contact})
	p.must(err)
	_, err = p.ledger.Append(p.t.Context(), &sekisho.Access{Session: id.Seq, Shape: id.Seq + 1, Number: 1, Class: sekisho.Exact, Rows: uint64(len(ords)), Least: 40,
		Purpose: p.vault.Space("purpose").OfText([]byte("support")), Subjects: ords})
	p.must(err)
}

// opened opens an incident about a terminal.
func (p *point) opened(endpoint string) uint64 {
	p.t.Helper()
	id, err := p.ledger.Append(p.t.Context(), &sekisho.IncidentOpened{By: 1, Endpoints: []string{endpoint}})
	p.must(err)
	p.must(p.views.WaitFor(p.t.Context(), id.Seq))
	return id.Seq
}

// allowed lets sekisho answer about an incident.
func (p *point) allowed(number uint64) uint64 {
	p.t.Helper()
	request, err := p.Allow(p.t.Context(), number, "On 14 June a terminal was misused.", "6月14日、端末が不正に操作されました。", 1)
	p.must(err)
	p.must(p.Decide(p.t.Context(), request, "approved", "", 2))
	return request
}

func TestAMemberIsToldWhatTheLedgerSays(t *testing.T) {
	p := newPoint(t)
	p.worked("pc-0417", "call_centre", 5, 6, 7)
	p.worked("pc-0900", "call_centre", 8)
	p.allowed(p.opened("pc-0417"))
	for member, want := range map[int]string{5: "was read at a terminal concerned", 8: "is not among the data that was read", 9: "is not among"} {
		n, receipt := p.known("affected", member)
		q, err := p.Open(t.Context(), receipt)
		p.must(err)
		text := p.AnswerText(&q)
		if q.Number != n || q.Standing() != incident.StandAnswered || !strings.Contains(text, want) || !strings.Contains(text, "On 14 June a terminal was misused.") {
			t.Errorf("member %d is told, standing %s:\n%s", member, q.Standing(), text)
		}
		if strings.Contains(text, "14 June 2016\tname and identity, contact details") != (member == 5) {
			t.Errorf("the entries of member %d:\n%s", member, text)
		}
		if q.Answer.SHA256 != hashOf(text) || q.Answer.By != 0 || q.Answer.Through == 0 {
			t.Errorf("the entry is %+v", q.Answer)
		}
	}
}

// What somebody was told is told anew, with a letter, when the numbers move.
func TestAnAnswerFollowsTheNumbers(t *testing.T) {
	p := newPoint(t)
	p.worked("pc-0417", "call_centre", 5)
	number := p.opened("pc-0417")
	p.allowed(number)
	n, receipt := p.known("affected", 9)
	if q := p.enquiryNow(n); !strings.Contains(p.AnswerText(&q), "is not among") {
		t.Fatal(p.AnswerText(&q))
	}
	p.worked("pc-0417", "call_centre", 9)
	_, err := p.ledger.Append(t.Context(), &sekisho.IncidentRevised{Incident: number, Endpoints: []string{"pc-0417"}, Since: sekisho.At(p.now().Add(-time.Hour)), Until: sekisho.At(p.now().Add(time.Hour)),
		Compression: 1000, WorstCase: 2, SentAtMost: 2, Reason: "ledger"})
	p.must(err)
	p.until("a new answer", func() bool { q := p.enquiryNow(n); return strings.Contains(p.AnswerText(&q), "was read at a terminal") })
	p.until("word of it", func() bool { return p.enquiryNow(n).AnswerMail == "taken" })
	letter := p.letters()[len(p.letters())-1]
	if text := read(t, letter); letter.to != "m9@example.jp" || !strings.Contains(text, fmt.Sprint("your enquiry ", p.Nth(n), ",")) || strings.Contains(text, "terminal") || strings.Contains(text, receipt) {
		t.Errorf("to %s: %s", letter.to, text)
	}
}

// Without an incident that two people have allowed, people answer; and they
// need not have done so twice.
func TestNobodyIsToldBeforeTwoPeopleAllowIt(t *testing.T) {
	p := newPoint(t)
	p.worked("pc-0417", "call_centre", 5)
	number := p.opened("pc-0417")
	n, receipt := p.known("affected", 5)
	if q := p.enquiryNow(n); q.Standing() != incident.StandAnswer {
		t.Errorf("it is %s", q.Standing())
	}
	request := p.allowed(number)
	p.until("an answer", func() bool { return p.enquiryNow(n).Answer != nil })
	if err := p.Decide(t.Context(), request, "rejected", "", 3); !errors.Is(err, ErrDecided) {
		t.Errorf("decided twice: %v", err)
	}
	p.must(p.Decide(t.Context(), request, "ended", "we say more", 2))
	other, _ := p.known("affected", 6)
	if q := p.enquiryNow(other); q.Answer != nil {
		t.Error("it goes on after its end")
	}
	_, err := p.Open(t.Context(), receipt)
	p.must(err)
}

func TestWhoHasLookedAtMyData(t *testing.T) {
	p := newPoint(t)
	p.worked("pc-0417", "call_centre", 5, 6)
	p.pass(10 * time.Minute)
	p.worked("pc-0417", "call_centre", 5)
	p.worked("batch-1", "batch", 6)
	n, _ := p.known("accesses", 5)
	q := p.enquiryNow(n)
	text := p.AnswerText(&q)
	for _, want := range []string{"in 2 accesses since 14 June 2016", "14 June 2016 09:00–09:10\tsupport\tname and identity, contact details\tcall centre\tread\t2\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "sato") || strings.Contains(text, "pc-0417") || strings.Contains(text, "batch") {
		t.Errorf("it names staff, a terminal, or others' accesses:\n%s", text)
	}
	// The next time that look is in it, as the customer's own.
	next, receipt := p.known("accesses", 5)
	q = p.enquiryNow(next)
	if text := p.AnswerText(&q); !strings.Contains(text, "in 3 accesses") || !strings.Contains(text, "\tyou, at this contact point\tread\t1\n") {
		t.Errorf("the look is not recorded:\n%s", text)
	}
	// What is answered, and was never closed, ends by itself.
	p.pass(91 * 24 * time.Hour)
	if _, err := p.Open(t.Context(), receipt); !errors.Is(err, ErrReceipt) {
		t.Errorf("after 91 days: %v", err)
	}
}

// Whatever does not agree with the roster brings no letter, and the enquiry
// stands as that of a member who has not typed a code yet.
func TestOnlyTheRostersAddressGetsACode(t *testing.T) {
	p := newPoint(t, func(c *DeskConfig) { c.Also = []string{"phone"} })
	ask := func(number, email, phone string) incident.Enquiry {
		n, receipt, err := p.Receive(t.Context(), Asking{Asked: "accesses", Language: "ja", Asker: Asker{Number: number, Email: email, Also: map[string]string{"phone": phone}}})
		p.must(err)
		q := p.compared(n, 1)
		if _, err := p.Prove(t.Context(), receipt, "0000 0000"); !errors.Is(err, ErrCode) {
			t.Errorf("%s, %s: a code that is none: %v", number, email, err)
		}
		if q.Standing() != incident.StandProof {
			t.Errorf("%s, %s: it is %s", number, email, q.Standing())
		}
		return q
	}
	for name, c := range map[string]struct {
		number, email, phone string
		agrees               bool
	}{
		"all":                 {"5", "m5@example.jp", "090-1234-0005", true},
		"as people write":     {"５", "M5@Example.jp", "０９０１２３４０００５", true},
		"another's address":   {"5", "m6@example.jp", "090-1234-0005", false},
		"another's telephone": {"5", "m5@example.jp", "090-1234-0006", false},
		"no telephone":        {"5", "m5@example.jp", "", false},
		"nobody's number":     {"5000", "m5@example.jp", "090-1234-0005", false},
		"a stranger":          {"77777", "me@elsewhere.example", "", false},
	} {
		before := len(p.letters())
		q := ask(c.number, c.email, c.phone)
		if sent := len(p.letters()) - before; (sent == 1) != c.agrees || (q.Matched.Subject != 0) != c.agrees {
			t.Errorf("%s: %d letters, matched %d", name, sent, q.Matched.Subject)
		}
	}
	// A stranger's number got no ordinal: the roster's space is not theirs to fill.
	if _, ok := p.vault.Space("member").Find("77777"); ok {
		t.Error("a number that somebody made up stands among the members")
	}
}

// Codes end: by time, by another one, by too many wrong ones, and a person's by
// a day's limit, whoever asks.
func TestCodesEnd(t *testing.T) {
	p := newPoint(t)
	n, receipt := p.ask("accesses", 5, "m5@example.jp")
	p.compared(n, 1)
	first := p.lastCode("m5@example.jp")
	_, err := p.Again(t.Context(), receipt)
	p.must(err)
	p.compared(n, 2)
	second := p.lastCode("m5@example.jp")
	if _, err := p.Prove(t.Context(), receipt, first); !errors.Is(err, ErrCode) {
		t.Errorf("the first code, after a second: %v", err)
	}
	p.pass(CodeLasts + time.Minute)
	if _, err := p.Prove(t.Context(), receipt, second); !errors.Is(err, ErrCode) {
		t.Errorf("a code of half an hour ago: %v", err)
	}
	_, err = p.Again(t.Context(), receipt)
	p.must(err)
	p.compared(n, 3)
	_, err = p.Again(t.Context(), receipt) // no more of one enquiry
	p.must(err)
	third := p.lastCode("m5@example.jp")
	for range mostTries - 2 {
		if _, err := p.Prove(t.Context(), receipt, "1111 1111"); !errors.Is(err, ErrCode) {
			t.Errorf("a wrong code: %v", err)
		}
	}
	if _, err := p.Prove(t.Context(), receipt, third); !errors.Is(err, ErrTries) {
		t.Errorf("the right code after too many wrong ones: %v", err)
	}
	for range 4 { // 2 of them are still in the day's limit
		n, _ := p.ask("accesses", 5, "m5@example.jp")
		p.compared(n, 1)
	}
	if got := len(p.letters()); got != codesDaily {
		t.Errorf("%d codes went to one person in a day", got)
	}
	p.pass(25 * time.Hour)
	n, _ = p.ask("accesses", 5, "m5@example.jp")
	p.compared(n, 1)
	if got := len(p.letters()); got != codesDaily+1 {
		t.Errorf("%d codes the day after", got)
	}
}

// The same form sent twice is one enquiry; the same words in another are not.
func TestSentTwice(t *testing.T) {
	p := newPoint(t)
	a := Asking{Asked: "complaint", Language: "en", Said: "nobody answers", Once: "form-1"}
	var wait sync.WaitGroup
	numbers, receipts := make([]uint64, 8), make([]string, 8)
	for i := range numbers {
		wait.Go(func() {
			var err error
			if numbers[i], receipts[i], err = p.Receive(t.Context(), a); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(slices.Compact(numbers)) != 1 || len(slices.Compact(receipts)) != 1 {
		t.Errorf("enquiries %v", numbers)
	}
	a.Once = "form-2"
	n, receipt, err := p.Receive(t.Context(), a)
	p.must(err)
	if n == numbers[0] || receipt == receipts[0] {
		t.Error("another form is the same enquiry")
	}
}

// A process that dies between a code's entry and its letter leaves nobody
// waiting: the next one sends another code.
func TestACodeThatMayBeLostIsSentAnew(t *testing.T) {
	p := newPoint(t)
	p.relay.hold = make(chan struct{})
	_, err := p.vault.WriteRoster("member", vault.RosterSchema{Match: []string{"email"}}, func(yield func(vault.RosterRow, error) bool) {
		yield(vault.RosterRow{Key: "5", Match: []string{"slow@example.jp"}}, nil)
	}, nil)
	p.must(err)
	n, receipt := p.ask("accesses", 5, "slow@example.jp")
	p.until("comparing", func() bool { return p.enquiryNow(n).Matches == 1 })
	p.again()
	close(p.relay.hold)
	p.compared(n, 2)
	if _, err := p.Prove(t.Context(), receipt, p.lastCode("slow@example.jp")); err != nil {
		t.Error(err)
	}
	if q := p.enquiryNow(n); q.Answer == nil {
		t.Error("no answer")
	}
}

// Staff find out who asks, and answer; what tells of a person is told to the
// person alone.
func TestByHand(t *testing.T) {
	p := newPoint(t)
	n, receipt := p.ask("disclosure", 5, "old@example.jp")
	q, err := p.ByHand(t.Context(), receipt)
	p.must(err)
	if q.Standing() != incident.StandCheck {
		t.Errorf("it is %s", q.Standing())
	}
	reply := Reply{Text: "Here it is.", Result: "granted", Close: true, By: 3}
	if _, err := p.Reply(t.Context(), n, reply); !errors.Is(err, ErrIdentity) {
		t.Errorf("answered without knowing whom: %v", err)
	}
	if _, err := p.Identify(t.Context(), n, "77777", "licence", true, 3); !errors.Is(err, ErrUnknown) {
		t.Errorf("identified as nobody: %v", err)
	}
	if _, err := p.Identify(t.Context(), n, "5", "a feeling", true, 3); !errors.Is(err, ErrMeans) {
		t.Errorf("identified by a feeling: %v", err)
	}
	_, err = p.Identify(t.Context(), n, "5", "licence", true, 3)
	p.must(err)
	draft, err := p.Draft(&q, "disclosed")
	p.must(err)
	if _, err := p.Reply(t.Context(), n, Reply{Text: draft, Result: "granted"}); !errors.Is(err, ErrText) {
		t.Errorf("a draft with gaps was sent: %v", err)
	}
	late := Reply{Text: "We need until July.", Result: "extended", Until: p.now().AddDate(0, 1, 0), By: 3}
	q, err = p.Reply(t.Context(), n, late)
	p.must(err)
	if target, _ := p.Due(&q); !target.Equal(late.Until) || q.Standing() != incident.StandAnswer {
		t.Errorf("it is due at %v, and %s", target, q.Standing())
	}
	q, err = p.Reply(t.Context(), n, reply)
	p.must(err)
	if q.Standing() != incident.StandClosed || p.AnswerText(&q) != "Here it is.\n" {
		t.Errorf("it is %s: %q", q.Standing(), p.AnswerText(&q))
	}
	if _, err := p.Reply(t.Context(), n, reply); !errors.Is(err, ErrClosed) {
		t.Errorf("answered after its end: %v", err)
	}
	// It can be read until the retention ends.
	p.pass(89 * 24 * time.Hour)
	_, err = p.Open(t.Context(), receipt)
	p.must(err)
	p.pass(2 * 24 * time.Hour)
	if _, err := p.Open(t.Context(), receipt); !errors.Is(err, ErrReceipt) {
		t.Errorf("after 91 days: %v", err)
	}
}

// Days are Japan's: came on Tuesday 14 June 2016, or before Golden Week.
func TestDue(t *testing.T) {
	p := newPoint(t, func(c *DeskConfig) { c.Targets = map[string]string{"misuse": "1d"} })
	for _, c := range []struct{ asked, came, want string }{
		{"disclosure", "2016-06-14 09:00", "2016-06-28"},
		{"affected", "2016-06-14 23:59", "2016-06-17"},
		{"affected", "2016-06-17 10:00", "2016-06-22"},  // over a weekend
		{"complaint", "2016-04-28 10:00", "2016-05-09"}, // over Golden Week: the 2nd, 6th and 9th are working days,
		{"affected", "2016-12-28 10:00", "2017-01-06"},  // the turn of the year
		{"misuse", "2016-06-17 10:00", "2016-06-18"},
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", c.came, tokyo)
		p.must(err)
		q := incident.Enquiry{At: sekisho.At(at), Body: &sekisho.EnquiryReceived{Asked: c.asked}}
		target, limit := p.Due(&q)
		if got := target.Add(-time.Second).Format("2006-01-02"); got != c.want || !limit.IsZero() {
			t.Errorf("%s of %s: %s, limit %v; want %s", c.asked, c.came, got, limit, c.want)
		}
	}
	// Somebody in Germany has a month, and three if it was put off.
	ord, _ := p.vault.Space("member").Find("8")
	q := incident.Enquiry{At: sekisho.At(time.Date(2024, 1, 31, 10, 0, 0, 0, tokyo)), Body: &sekisho.EnquiryReceived{Asked: "disclosure"},
		Checked: &sekisho.IdentityChecked{Space: "member", Subject: ord, Result: "confirmed"}}
	if _, limit := p.Due(&q); limit.Format("2006-01-02") != "2024-02-29" {
		t.Errorf("a month after 31 January 2024 is %v", limit)
	}
	q.Promised = sekisho.At(p.now())
	if _, limit := p.Due(&q); limit.Format("2006-01-02") != "2024-04-30" {
		t.Errorf("three months after 31 January 2024 are %v", limit)
	}
}

// Misuse is counted by the incident that staff lay it to.
func TestMisuse(t *testing.T) {
	p := newPoint(t)
	number := p.opened("pc-0417")
	var first uint64
	for i := range 3 {
		n, _, err := p.Receive(t.Context(), Asking{Asked: "misuse", Language: "ja", Said: fmt.Sprint("不審な電話 ", i)})
		p.must(err)
		if i == 0 {
			first = n
		}
	}
	_, err := p.Lay(t.Context(), first, number, 3)
	p.must(err)
	p.must(p.views.WaitFor(t.Context(), p.ledger.Last()))
	if all, one := p.Enquiries.Misuse(0), p.Enquiries.Misuse(number); len(all) != 3 || len(one) != 1 || one[0].Number != first {
		t.Errorf("%d in all, %v of the incident", len(all), one)
	}
}

// A receipt can be typed as people type.
func TestReceiptsAreForgiving(t *testing.T) {
	p := newPoint(t)
	n, receipt, err := p.Receive(t.Context(), Asking{Asked: "complaint", Language: "en", Said: "nobody answers"})
	p.must(err)
	for _, typed := range []string{receipt, ShownReceipt(receipt), strings.ToLower(receipt), " " + strings.ReplaceAll(strings.ReplaceAll(receipt, "O", "0"), "B", "8") + "\n"} {
		if q, err := p.Open(t.Context(), typed); err != nil || q.Number != n {
			t.Errorf("%q: %v", typed, err)
		}
	}
	for _, typed := range []string{"", receipt[1:], receipt + "A", strings.Repeat("A", 24)} {
		if _, err := p.Open(t.Context(), typed); !errors.Is(err, ErrReceipt) {
			t.Errorf("%q: %v", typed, err)
		}
	}
}

func TestAnswersThatCannotBe(t *testing.T) {
	shipped := string(shippedAnswers)
	for name, c := range map[string]struct{ old, new, want string }{
		"a key that is none":    {"edition:", "editoin: x\nedition:", "editoin"},
		"no edition":            {`edition: "2026-11-01"`, `edition: ""`, "edition is missing"},
		"a time that is none":   {"within: 14d", "within: soon", "is no time to answer in"},
		"a deadline less":       {"asked: [complaint, misuse]\n", "asked: [complaint]\n", "misuse"},
		"a template's mistake":  {"{{.Minutes}} minutes", "{{.Minutes} minutes", "bad character"},
		"no answer by sekisho":  {"  - name: accesses\n    asked: [accesses]\n    machine: true", "  - name: accesses\n    asked: [accesses]", "missing"},
		"a result that is none": {"result: granted", "result: perhaps", "lacks"},
	} {
		if !strings.Contains(shipped, c.old) {
			t.Fatalf("%s: the shipped file has no %q", name, c.old)
		}
		file := filepath.Join(t.TempDir(), "desk.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(shipped, c.old, c.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAnswers(file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every template of the shipped edition can be filled in, in both languages.
func TestEveryTemplateCanBeFilled(t *testing.T) {
	p := newPoint(t)
	for _, lang := range []string{"en", "ja"} {
		for _, tmpl := range p.Answers.Templates {
			if tmpl.Machine {
				continue
			}
			q := incident.Enquiry{Number: 12, At: sekisho.At(p.now()), Body: &sekisho.EnquiryReceived{Asked: tmpl.Asked[0], Language: lang}}
			if text, err := p.Draft(&q, tmpl.Name); err != nil || strings.Contains(text, "<no value>") {
				t.Errorf("%s in %s: %q, %v", tmpl.Name, lang, text, err)
			}
		}
		for _, class := range []string{"confirmed", "suspected", "worst", "open", "none"} {
			text, err := p.Answers.fill("answers.affected", lang, affectedFacts{Harmed: class != "none", Incidents: []affectedIncident{{Number: 3, Text: "What happened.", Class: class,
				Days: []affectedDay{{"2016-06-14", "contact"}}}}})
			if err != nil || !strings.Contains(text, "What happened.\n\n") || !strings.Contains(text, "2016-06-14\tcontact") {
				t.Errorf("%s in %s: %v\n%s", class, lang, err, text)
			}
		}
	}
}

func TestBlocks(t *testing.T) {
	got := fmt.Sprintf("%+v", Blocks("One.\nStill one.\n\nHead\tTimes\na\t1\nb\t2\textra\n\n- x\n- y\n"))
	want := "[{Text:One.\nStill one. List:[] Head:[] Rows:[]} {Text: List:[] Head:[Head Times] Rows:[[a 1] [b 2]]} {Text: List:[x y] Head:[] Rows:[]}]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A config that would be open to the wrong people, or that the law does not
// allow, is refused.
func TestDeskConfig(t *testing.T) {
	good := func() DeskConfig {
		return DeskConfig{Listen: "127.0.0.1:8443", From: "desk@example.jp", Mail: Relay{Server: "127.0.0.1:25", TLS: "none"},
			Company: law.Words{EN: "Example Travel", JA: "見本旅行"}, Contact: law.Words{EN: "Privacy desk", JA: "個人情報窓口"}}
	}
	c := good()
	if err := c.Check(); err != nil || c.Email != "email" || len(c.Machine) != 2 || c.Retention != 90*24*time.Hour || c.PerAddress != 120 {
		t.Errorf("%v: %+v", err, c)
	}
	for name, change := range map[string]func(*DeskConfig){
		"ends TLS itself": func(c *DeskConfig) { c.Listen = "0.0.0.0:80" },
		"cert and key":    func(c *DeskConfig) { c.Cert = "x.pem" },
		"company":         func(c *DeskConfig) { c.Company.JA = "" },
		"contact":         func(c *DeskConfig) { c.Contact = law.Words{} },
		"https://":        func(c *DeskConfig) { c.Policy = "javascript:alert(1)" },
		"from":            func(c *DeskConfig) { c.From = "" },
		"on this machine": func(c *DeskConfig) { c.Mail.Server = "smtp.example.jp:25" },
		"affected":        func(c *DeskConfig) { c.Machine = []string{"disclosure"} },
		"targets":         func(c *DeskConfig) { c.Targets = map[string]string{"affected": "soon"} },
		"is none of":      func(c *DeskConfig) { c.Targets = map[string]string{"everything": "3d"} },
		"is no address":   func(c *DeskConfig) { c.Behind = []string{"proxy"} },
		"below zero":      func(c *DeskConfig) { c.InAll = -1 },
		"no such file":    func(c *DeskConfig) { c.Answers = "/nowhere/desk.yaml" },
	} {
		c := good()
		change(&c)
		want := name
		if name == "ends TLS itself" {
			want = "may listen on this machine only"
		}
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReceipt(f *testing.F) {
	f.Add("ABCD-EFGH-IJKL-MNOP-QRST-UVWX")
	f.Add("ａｂｃｄ 0189")
	f.Fuzz(func(t *testing.T, typed string) {
		s, ok := readReceipt(typed)
		if !ok {
			return
		}
		if back, ok := readReceipt(ShownReceipt(s)); !ok || back != s {
			t.Fatalf("%q is shown so that it reads %q", s, back)
		}
	})
}

// Nobody gets a second code for one that has arrived.
func TestOneCodeForEachEnquiry(t *testing.T) {
	p := newPoint(t)
	var last uint64
	for i := range 200 {
		last, _ = p.ask("accesses", i+1, fmt.Sprintf("m%d@example.jp", i+1))
	}
	p.compared(last, 1)
	p.until("all letters", func() bool {
		left := 1
		p.views.Read(func() { left = len(p.Enquiries.Unmailed()) })
		return left == 0
	})
	_, err := p.Allow(t.Context(), p.opened("pc-0417"), "x", "x", 1) // so that everything is looked at again
	p.must(err)
	if n := len(p.letters()); n != 200 {
		t.Errorf("%d codes for 200 enquiries", n)
	}
}
