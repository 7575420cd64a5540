package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho/demo"
)

// postbox is a real mail relay that hands on what it takes.
type postbox chan [2]string // to, text

func (p postbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &posted{p: p}, nil }

type posted struct {
	p  postbox
	to string
}

func (*posted) Mail(string, *smtp.MailOptions) error        { return nil }
func (s *posted) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (*posted) Reset()                                      {}
func (*posted) Logout() error                               { return nil }
func (s *posted) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	s.p <- [2]string{s.to, string(text)}
	return err
}

// A customer asks at the public page, proves who they are by the code in their
// mailbox, and reads which lookups the gate has let through; staff answer what
// is theirs to answer on the command line.
func TestDeskFromEndToEnd(t *testing.T) {
	letters := make(postbox, 10)
	relay := smtp.NewServer(letters)
	relay.Domain = "relay.example.jp"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go relay.Serve(l)
	t.Cleanup(func() { relay.Close() })

	r := start(t)
	r.configured("gate:\n", fmt.Sprintf(`desk:
  listen: 127.0.0.1:0
  company: {en: Example Travel, ja: 見本旅行}
  contact: {en: Privacy desk, ja: 個人情報窓口}
  mail: {server: "%s", tls: none}
  from: privacy@example.jp
  words: {call_centre: {en: call centre, ja: コールセンター}, support: {en: an enquiry of yours, ja: お問い合わせ対応}}
gate:
`, l.Addr()))
	desk := r.line("desk")
	member, m := demo.MemberNo(storeSeed, 7), demo.MemberAt(storeSeed, 7)
	if got := r.psql(fmt.Sprintf("select name_latin from crm.member where member_no = %d", member)); strings.TrimSpace(got) != m.NameLatin {
		t.Fatalf("psql printed %q", got)
	}
	browser := &http.Client{}
	post := func(path string, form url.Values) string {
		t.Helper()
		form.Set("lang", "en")
		resp, err := browser.PostForm(desk+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if len(resp.Cookies()) > 0 {
			t.Errorf("%s sets a cookie", path)
		}
		return string(b)
	}
	receipt := func(page string) string {
		t.Helper()
		m := regexp.MustCompile(`<b>([A-Z2-7-]{29})</b>`).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no receipt:\n%s", page)
		}
		return m[1]
	}
	key := receipt(post("/ask/accesses", url.Values{"number": {fmt.Sprint(member)}, "email": {m.Email}}))
	var letter [2]string
	select {
	case letter = <-letters:
	case <-time.After(2 * time.Minute):
		t.Fatalf("no code came\n%s", r.said.String())
	}
	code := regexp.MustCompile(`\d{4} \d{4}`).FindString(letter[1])
	if letter[0] != m.Email || code == "" {
		t.Fatalf("a letter to %s: %s", letter[0], letter[1])
	}
	page := post("/answer/code", url.Values{"receipt": {key}, "code": {code}})
	for _, want := range []string{"in 1 access since", "call centre", "an enquiry of yours", "name and identity"} {
		if !strings.Contains(page, want) {
			t.Errorf("the answer lacks %q:\n%s", want, page)
		}
	}

	key = receipt(post("/ask/complaint", url.Values{"said": {"Nobody answers the telephone.\x1b[2J"}}))
	out := r.must("desk", "list")
	number := regexp.MustCompile(`(?m)^(\d+) +complaint +answer `).FindStringSubmatch(out)
	if number == nil || strings.Contains(out, "accesses") {
		t.Fatalf("the queue:\n%s", out)
	}
	if out := r.must("desk", "show", number[1]); !strings.Contains(out, "Nobody answers the telephone.") || strings.Contains(out, "\x1b") {
		t.Errorf("the enquiry:\n%s", out)
	}
	draft := r.must("desk", "show", number[1], "--template", "complaint")
	if !strings.Contains(draft, "We have looked into it.") {
		t.Errorf("the draft:\n%s", draft)
	}
	r.mustNot("a gap", "desk", "answer", number[1], "--template", "complaint")
	text := filepath.Join(r.dir, "answer.txt")
	os.WriteFile(text, []byte("We have more people at the telephones now."), 0o600)
	if out := r.must("desk", "answer", number[1], "--template", "complaint", "--file", text, "--close"); !strings.Contains(out, "closed") {
		t.Errorf("answered:\n%s", out)
	}
	if page := post("/answer", url.Values{"receipt": {key}}); !strings.Contains(page, "We have more people at the telephones now.") {
		t.Errorf("the asker reads:\n%s", page)
	}
	r.mustNot("is closed", "desk", "answer", number[1], "--file", text, "--result", "informed")
	r.mustNot("no such enquiry", "desk", "show", "1")
	if out := r.must("desk", "stats"); !strings.Contains(out, "received 2; 0 wait for the company") || !strings.Contains(out, "answered 2, 2 in time, 1 by sekisho itself") {
		t.Errorf("the statistics:\n%s", out)
	}
	// What was asked and answered is there after a restart.
	r.stop()
	r.up()
	desk = r.line("desk")
	if page := post("/answer", url.Values{"receipt": {key}}); !strings.Contains(page, "We have more people at the telephones now.") {
		t.Errorf("after a restart the asker reads:\n%s", page)
	}
	if said := r.said.String(); strings.Contains(said, m.Email) || strings.Contains(said, key) {
		t.Errorf("the log has what is nobody's business:\n%s", said)
	}
}
