package house

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	netmail "net/mail"
	netsmtp "net/smtp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho"
	"sekisho/catalog"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/tell"
)

// postOffice is a real mail server that keeps what it is given.
type postOffice struct {
	mu   sync.Mutex
	came []letter
}

type letter struct{ from, to, text string }

func (p *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &counter{p: p}, nil }

type counter struct {
	p *postOffice
	letter
}

func (s *counter) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *counter) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = to; return nil }
func (s *counter) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.text = string(b)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.came = append(s.p.came, s.letter)
	return err
}
func (*counter) Reset()        {}
func (*counter) Logout() error { return nil }

func (p *postOffice) open(t *testing.T) string {
	s := smtp.NewServer(p)
	s.Domain = "relay.example.jp"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() { s.Serve(l); close(done) }()
	t.Cleanup(func() { s.Close(); l.Close(); <-done })
	return l.Addr().String()
}

// readLetter undoes what mail does to a text.
func readLetter(t *testing.T, l letter) (subject, body string, head netmail.Header) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(l.text))
	must(t, err)
	raw, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	must(t, err)
	subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	must(t, err)
	return subject, string(raw), m.Header
}

// From a terminal that reads customers through the gate to the notice that each
// of them gets: two people agree to the text, two to the list, the addresses are
// read with a login of their own after the ledger holds that they are, a real mail
// server takes the mail, and one comes back.
func TestTellingPeople(t *testing.T) {
	s := newSite(t)
	s.owner(`alter table crm.member add email text;
		update crm.member set email = 'm'||member_no||'@example.jp' where member_no <> 7;
		create role notifier login password 'upstream';
		grant usage on schema crm to notifier; grant select (member_no, email) on crm.member to notifier`)
	post := &postOffice{}
	s.close()
	s.config.Catalog.Tables[0].Columns["email"] = "contact"
	s.config.Sensors.Mail = Mail{Listen: "127.0.0.1:0"}
	s.config.Tell = tell.Config{
		Company:   tell.Company{Name: "日の丸航空", Contact: "0120-000-000"},
		Mail:      tell.Mail{Relay: tell.Relay{Server: post.open(t), TLS: "none"}, From: "notice@example.jp", Returns: "back.example.jp", Pace: tell.Pace{PerSecond: 1000}},
		Addresses: map[string]tell.Addresses{"member": {Email: "email", User: "notifier", PasswordFile: s.config.Gate.Upstream.Reader.PasswordFile}},
	}
	s.open()
	h, ctx := s.house, t.Context()
	s.ask(s.through(), "select name, email from crm.member where member_no <= 30")
	must(t, h.Settle(ctx))
	var ends []string
	h.Views.Read(func() { ends = h.Trace.Terminals() })
	opened, err := h.Ledger.Append(ctx, &sekisho.IncidentOpened{By: 1, Endpoints: ends})
	must(t, err)
	must(t, h.Revise(ctx))
	must(t, h.Settle(ctx))

	said := h.Vault.Space("said").OfText([]byte("標的型メールに添付された不正プログラム"))
	_, err = h.Ledger.Append(ctx, &sekisho.FactStated{Incident: opened.Seq, Code: "cause", Known: 1, Source: "person", Certainty: "confirmed", Said: said, By: 1},
		&sekisho.LessonNoted{Incident: opened.Seq, Action: "learned", Person: 1, Said: h.Vault.Space("said").OfText([]byte("閲覧枠を下げる")), By: 1})
	must(t, err)
	must(t, h.Settle(ctx))
	report, err := h.Office.Draft(ctx, tell.Key{Incident: opened.Seq, Form: "appi_final", Language: "ja"})
	must(t, err)
	for _, want := range []string{"標的型メールに添付された不正プログラム", "今後の措置: 閲覧枠を下げる"} {
		if !strings.Contains(report.Now.Text(), want) {
			t.Errorf("the report does not say %q:\n%s", want, report.Now.Text())
		}
	}

	o, same := h.Office, func(a, b uint32) bool { return a == b }
	code := func(want string, err error) {
		t.Helper()
		var w *tell.Wrong
		if !errors.As(err, &w) || w.Code != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	key := tell.Key{Incident: opened.Seq, Form: "person", Language: "ja"}
	_, err = o.AskMailing(ctx, opened.Seq, "worst-case", false, "", 1)
	code("no_text", err)
	text, err := o.Save(ctx, key, map[string]string{"person_cause": "原因は標的型メールです。"}, nil, 1)
	must(t, err)
	code("not_proposed", o.Decide(ctx, text, "approved", "", 2, same))
	if text, err = o.Propose(ctx, key, 0, 1); err != nil {
		t.Fatal(err)
	}
	code("own", o.Decide(ctx, text, "approved", "", 1, same))
	must(t, o.Decide(ctx, text, "approved", "", 2, same))

	plan, err := o.Plan(ctx, opened.Seq, "worst-case", false)
	must(t, err)
	if plan.Listed != 30 || plan.People != 30 || plan.Languages["ja"] != 30 || plan.Texts["ja"] != text {
		t.Errorf("%+v", plan)
	}
	number, err := o.AskMailing(ctx, opened.Seq, "worst-case", false, "", 1)
	must(t, err)
	code("own", o.DecideMailing(ctx, number, "approved", "", 1, same))
	code("nobody", second(o.AskMailing(ctx, opened.Seq, "worst-case", false, "", 1))) // all of them wait in the first

	sending, stop := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- h.SendNotices(sending) }()
	if m, _ := o.Mailing(number); m.State != tell.Asked {
		t.Errorf("before a second person agreed it is %s", m.State)
	}
	must(t, o.DecideMailing(ctx, number, "approved", "", 2, same))
	settled(t, h, number, tell.Done)
	stop()
	must(t, <-sent)

	m, err := o.Mailing(number)
	must(t, err)
	if m.Counts[tell.Taken] != 29 || m.Counts[tell.Unsent] != 1 || m.Why["no_address"] != 1 || len(post.came) != 29 {
		t.Errorf("%v, %v; %d letters came", m.Counts, m.Why, len(post.came))
	}
	slices.SortFunc(post.came, func(a, b letter) int { return strings.Compare(a.to, b.to) })
	subject, body, head := readLetter(t, post.came[0])
	if post.came[0].to != "m10@example.jp" || subject != "【重要】お客様の情報に関するお詫びとお知らせ" || !strings.HasPrefix(post.came[0].from, "b-") || head.Get("Message-ID") == "" ||
		head.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%+v: %s, %v", post.came[0], subject, head)
	}
	for _, want := range []string{"日の丸航空です。", "原因は標的型メールです。", "氏名・生年月日・会員番号等、住所・メールアドレス・電話番号（20", "お問い合わせ先: 0120-000-000"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if strings.ContainsAny(body, "{}") {
		t.Error(body)
	}
	readBeforeSent(t, s.config.Data, number)
	s.bounces(post.came[0].from, number)

	code("nobody", second(o.AskMailing(ctx, opened.Seq, "worst-case", false, "", 1)))
	if again, err := o.Plan(ctx, opened.Seq, "worst-case", true); err != nil || again.Told != 30 {
		t.Errorf("for the same revision: %+v, %v", again, err)
	}
}

func second(_ uint64, err error) error { return err }

func settled(t *testing.T, h *House, number uint64, want tell.MailingState) {
	t.Helper()
	for {
		m, err := h.Office.Mailing(number)
		must(t, err)
		if m.State == want {
			return
		}
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		err = h.Views.WaitFor(ctx, h.Ledger.Last()+1)
		stop()
		if err != nil {
			t.Fatalf("it is %s, with %v: %v", m.State, m.Counts, err)
		}
	}
}

// readBeforeSent: whoever is written to stands in an access of the house's own
// first.
func readBeforeSent(t *testing.T, data string, number uint64) {
	t.Helper()
	session, read := uint64(0), map[uint32]bool{}
	windows := 0
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(data), 1) {
		must(t, err)
		switch b := e.Body.(type) {
		case *sekisho.SessionOpened:
			if b.Door == sekisho.DoorNotice {
				if session = e.ID.Seq; b.Principal != 2 {
					t.Errorf("the addresses were read for %d, not for who approved", b.Principal)
				}
			}
		case *sekisho.Access:
			for _, s := range b.Subjects {
				read[s] = read[s] || b.Session == session
			}
		case *sekisho.MailStarted:
			windows++
			for _, s := range b.Subjects {
				if !read[s] {
					t.Errorf("%d was written to, and no entry says that the address was read", s)
				}
			}
		}
	}
	if windows == 0 {
		t.Error("nothing was sent")
	}
}

// bounces has a report come back to a return address, through the house's own
// door.
func (s *site) bounces(to string, number uint64) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	ctx, stop := context.WithCancel(s.t.Context())
	served := make(chan error, 1)
	go func() { served <- s.house.ReceiveMail(ctx, l) }()
	defer func() {
		stop()
		must(s.t, <-served)
	}()
	report := func(action, status string) string {
		return "From: MAILER-DAEMON@example.jp\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"xx\"\r\n\r\n" +
			"--xx\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n--xx\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; example.jp\r\n\r\n" +
			fmt.Sprintf("Final-Recipient: rfc822; m10@example.jp\r\nAction: %s\r\nStatus: %s\r\n", action, status) + "\r\n--xx--\r\n"
	}
	for _, one := range []struct {
		to, text string
		bounced  uint64
	}{
		{to, "Subject: I am away\r\n\r\nBack on Monday.\r\n", 0},
		{strings.Replace(to, "@", "a@", 1), report("failed", "5.1.1"), 0}, // not one of ours
		{to, report("delayed", "4.4.1"), 0},
		{to, report("failed", "5.1.1"), 1},
		{to, report("failed", "5.1.1"), 1},
	} {
		must(s.t, netsmtp.SendMail(l.Addr().String(), nil, "", []string{one.to}, []byte(one.text)))
		m, err := s.house.Office.Mailing(number)
		must(s.t, err)
		if m.Counts[tell.Bounced] != one.bounced || m.Bounces["5.1.1"] != one.bounced {
			s.t.Errorf("after %q: %v, %v", one.text[:20], m.Counts, m.Bounces)
		}
	}
}

// A company whose members and guests are two subjects: one act asks for both, one
// approval sends both, each subject's people have the addresses of their own
// roster, and somebody who is in both is two customers.
func TestTellingPeopleOfTwoSubjects(t *testing.T) {
	s := newSite(t)
	s.owner(`alter table crm.member add email text; update crm.member set email = 'member'||member_no||'@example.jp';
		create table crm.guest (guest_no int primary key, name text, mail text);
		insert into crm.guest select n, 'guest '||n, 'guest'||n||'@example.jp' from generate_series(1, 12) n;
		grant select on crm.guest to staff, reader; grant select on crm.member to reader`)
	post := &postOffice{}
	s.close()
	c := &s.config.Catalog
	c.Tables[0].Columns["email"] = "contact"
	c.Subjects = append(c.Subjects, catalog.Subject{Name: "guest", Table: "crm.guest", Key: "guest_no"})
	c.Tables = append(c.Tables, catalog.Table{Name: "crm.guest", Subject: "guest", Key: "guest_no", Columns: map[string]string{"name": "identity", "mail": "contact"}})
	s.config.Tell = tell.Config{
		Company:   tell.Company{Name: "日の丸航空", Contact: "0120-000-000"},
		Mail:      tell.Mail{Relay: tell.Relay{Server: post.open(t), TLS: "none"}, From: "notice@example.jp", Pace: tell.Pace{PerSecond: 1000}},
		Addresses: map[string]tell.Addresses{"member": {Email: "email"}, "guest": {Email: "mail"}},
	}
	s.open()
	h, ctx := s.house, t.Context()
	s.ask(s.through(), "select name from crm.member where member_no <= 20")
	s.ask(s.through(), "select name from crm.guest where guest_no <= 10")
	must(t, h.Settle(ctx))
	var ends []string
	h.Views.Read(func() { ends = h.Trace.Terminals() })
	// What was read at that terminal within the hour was extraction, and 4,000 bytes
	// went to a hostile destination.
	opened, err := h.Ledger.Append(ctx, &sekisho.Alert{Detector: "sweep", Principal: s.house.Vault.Space("staff").OfText([]byte("sato")), Endpoint: ends[0], From: sekisho.At(s.now()) - 1, Until: sekisho.At(s.now()) + 3600e6, Observed: 30})
	must(t, err)
	must(t, h.Settle(ctx))
	for opened.Seq = 0; opened.Seq == 0; time.Sleep(10 * time.Millisecond) {
		h.Views.Read(func() {
			if list := h.Incidents.List(); len(list) > 0 {
				opened.Seq = list[0].Number
			}
		})
	}
	must(t, h.Revise(ctx))
	must(t, h.Settle(ctx))
	var one *incident.Incident
	h.Views.Read(func() { one = h.Incidents.Get(opened.Seq) })
	last := one.Revisions[len(one.Revisions)-1]
	if b := last.Body; b.WorstCase != 30 || b.Suspected != 30 || len(last.Subjects) != 2 || last.Subjects[0].Space != "guest" || last.Subjects[0].WorstCase != 10 || last.Subjects[1].WorstCase != 20 {
		t.Fatalf("%+v: %+v", b, last.Subjects)
	}
	must(t, h.Revise(ctx)) // says nothing new
	must(t, h.Settle(ctx))
	if again := h.Incidents.Get(opened.Seq); len(again.Revisions) != len(one.Revisions) {
		t.Errorf("%d revisions, then %d", len(one.Revisions), len(again.Revisions))
	}

	o, same := h.Office, func(a, b uint32) bool { return a == b }
	for form, want := range map[string]string{
		"appi_preliminary": "対象者の種別ごとの内訳: ゲスト（非会員） 10人、会員 20人（最大 ゲスト（非会員） 10人、会員 20人）。",
		"public":           "持ち出されたおそれがある方は30人です。最大で30人に及ぶ可能性があります。内訳は、ゲスト（非会員） 10人、会員 20人",
	} {
		d, err := o.Draft(ctx, tell.Key{Incident: opened.Seq, Form: form, Language: "ja"})
		must(t, err)
		if text := d.Now.Text(); !strings.Contains(text, want) {
			t.Errorf("%s: %s", form, text)
		}
	}
	text, err := o.Propose(ctx, tell.Key{Incident: opened.Seq, Form: "person", Language: "ja"}, 0, 1)
	must(t, err)
	must(t, o.Decide(ctx, text, "approved", "", 2, same))
	number, err := o.AskMailing(ctx, opened.Seq, "suspected", false, "", 1)
	must(t, err)
	m, err := o.Mailing(number)
	must(t, err)
	if len(m.With) != 2 {
		t.Fatalf("one act asked for %v", m.With)
	}
	must(t, o.DecideMailing(ctx, number, "approved", "", 2, same))
	sending, stop := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- h.SendNotices(sending) }()
	for _, n := range m.With {
		settled(t, h, n, tell.Done)
	}
	stop()
	must(t, <-sent)
	to := map[string]int{}
	for _, l := range post.came {
		to[l.to]++
	}
	for n := 1; n <= 20; n++ {
		if to[fmt.Sprintf("member%d@example.jp", n)] != 1 || n <= 10 && to[fmt.Sprintf("guest%d@example.jp", n)] != 1 {
			t.Fatalf("letters by address: %v", to)
		}
	}
	if len(post.came) != 30 {
		t.Errorf("%d letters came: %v", len(post.came), to)
	}
	// The law's thresholds are about people, of whichever subject.
	one, err = o.Incident(opened.Seq)
	must(t, err)
	people, err := h.concerned(ctx, one)
	must(t, err)
	if facts := one.LegalFacts(h.Rules, h.company, people); facts.Subjects.Upper == nil || *facts.Subjects.Upper != 30 {
		t.Errorf("the duties are about %v people", facts.Subjects.Upper)
	}
}
