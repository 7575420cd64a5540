package tell

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"mime"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"encoding/base64"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A relay is a real SMTP server, and what it was given.
type relay struct {
	mu       sync.Mutex
	letters  []taken
	password string // that it asks for
	refuse   map[string]*smtp.SMTPError
	hold     chan struct{} // a letter to slow@ waits for it
}

type taken struct {
	from, to, text string
	encrypted      bool
	user           string
}

func (r *relay) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, ok := c.TLSConnectionState()
	return &relaySession{r: r, taken: taken{encrypted: ok}}, nil
}

type relaySession struct {
	r *relay
	taken
}

func (s *relaySession) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *relaySession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.r.password == "" || password != s.r.password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}
func (s *relaySession) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *relaySession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.r.refuse[to]; err != nil {
		return err
	}
	s.to = to
	return nil
}
func (s *relaySession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if strings.HasPrefix(s.to, "slow@") {
		<-s.r.hold
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.text = string(b)
	s.r.letters = append(s.r.letters, s.taken)
	return nil
}
func (*relaySession) Reset()        {}
func (*relaySession) Logout() error { return nil }

// serve starts the relay; ca is the file of its certificate.
func (r *relay) serve(t *testing.T, implicit bool) (addr, ca string) {
	t.Helper()
	return serveAs(t, r, implicit)
}

func serveWith(t testing.TB, b smtp.Backend) (addr, ca string) {
	t.Helper()
	return serveAs(t, b, false)
}

func serveAs(t testing.TB, r smtp.Backend, implicit bool) (addr, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(r)
	s.Domain, s.ErrorLog = "relay.example.jp", log.New(io.Discard, "", 0)
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.AllowInsecureAuth = true
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if implicit {
		l = tls.NewListener(l, s.TLSConfig)
	}
	done := make(chan struct{})
	go func() { s.Serve(l); close(done) }()
	t.Cleanup(func() { s.Close(); l.Close(); <-done })
	return l.Addr().String(), ca
}

func secret(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

var letter = Letter{From: "desk@example.jp", Name: "お客様窓口", To: "hanako@example.jp", Subject: "お問い合わせを受け付けました (#12)",
	Text: "一行目\n. a line with a dot\n最後\n", ID: "12.abc@example.jp", Date: time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)}

// What the relay gets reads as what was written, over each kind of connection.
func TestSend(t *testing.T) {
	for _, kind := range []string{"none", "starttls", "tls"} {
		t.Run(kind, func(t *testing.T) {
			r := &relay{password: "open sesame"}
			addr, ca := r.serve(t, kind == "tls")
			line, err := Call(t.Context(), Relay{Server: addr, TLS: kind, CA: ca, Hello: "sekisho.example.jp", User: "desk", PasswordFile: secret(t, "open sesame\n", 0o600)})
			if err != nil {
				t.Fatal(err)
			}
			defer line.Close()
			second := letter
			second.Return = "bounce+7@example.jp"
			for _, m := range []Letter{letter, second} {
				if err := line.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			if len(r.letters) != 2 {
				t.Fatalf("the relay has %d letters", len(r.letters))
			}
			got := r.letters[0]
			if got.encrypted != (kind == "starttls") && kind != "tls" || got.user != "desk" || got.from != letter.From || got.to != letter.To {
				t.Errorf("the envelope is %+v", got)
			}
			if r.letters[1].from != "bounce+7@example.jp" {
				t.Errorf("bounces go to %s", r.letters[1].from)
			}
			m, err := mail.ReadMessage(strings.NewReader(got.text))
			if err != nil {
				t.Fatal(err)
			}
			var words mime.WordDecoder
			subject, _ := words.DecodeHeader(m.Header.Get("Subject"))
			from, err := m.Header.AddressList("From")
			if err != nil || from[0].Name != letter.Name || from[0].Address != letter.From {
				t.Errorf("it is from %v, %v", from, err)
			}
			if subject != letter.Subject || m.Header.Get("Message-ID") != "<12.abc@example.jp>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("its headers are %v", m.Header)
			}
			body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
			if err != nil || string(body) != strings.ReplaceAll(letter.Text, "\n", "\r\n") {
				t.Errorf("it reads %q, %v", body, err)
			}
		})
	}
}

// A relay's no is told apart by whether it may be a yes later, its words stay
// out of the error, and the line goes on.
func TestRefusals(t *testing.T) {
	r := &relay{refuse: map[string]*smtp.SMTPError{
		"gone@example.jp": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no gone@example.jp here"},
		"full@example.jp": {Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "full@example.jp is full"},
	}}
	addr, _ := r.serve(t, false)
	line, err := Call(t.Context(), Relay{Server: addr, TLS: "none"})
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	for to, permanent := range map[string]bool{"gone@example.jp": true, "full@example.jp": false} {
		m := letter
		m.To = to
		err := line.Send(t.Context(), m)
		var no *Refusal
		if !errors.As(err, &no) || no.Permanent() != permanent || strings.Contains(err.Error(), to) {
			t.Errorf("a letter to %s: %v", to, err)
		}
	}
	if err := line.Send(t.Context(), letter); err != nil {
		t.Errorf("after two refusals: %v", err)
	}
}

// What would send a letter in the clear, or to a relay that is another, sends
// none.
func TestNotSent(t *testing.T) {
	r := &relay{password: "open sesame"}
	addr, ca := r.serve(t, false)
	_, port, _ := net.SplitHostPort(addr)
	other := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		relay Relay
		want  string
	}{
		"in the clear":      {Relay{Server: "smtp.example.jp:25", TLS: "none"}, "on this machine only"},
		"without a port":    {Relay{Server: "smtp.example.jp"}, "host:port"},
		"another word":      {Relay{Server: addr, TLS: "maybe"}, "none of"},
		"unknown authority": {Relay{Server: addr}, "certificate"},
		"another name":      {Relay{Server: "localhost:" + port, CA: ca}, "localhost"},
		"no certificates":   {Relay{Server: addr, CA: other}, "holds no certificate"},
		"wrong password":    {Relay{Server: addr, CA: ca, User: "desk", PasswordFile: secret(t, "open says me", 0o600)}, "535"},
		"an open file":      {Relay{Server: addr, CA: ca, User: "desk", PasswordFile: secret(t, "open sesame", 0o644)}, "chmod 600"},
		"no relay":          {Relay{}, "none is configured"},
	} {
		if err := Send(t.Context(), c.relay, letter); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "open s") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Letter){
		"two addresses":   func(m *Letter) { m.To = "a@example.jp, b@example.jp" },
		"a line end":      func(m *Letter) { m.To = "a@example.jp\r\nBcc: b@example.jp" },
		"no domain":       func(m *Letter) { m.To = "root@localhost" },
		"not ASCII":       func(m *Letter) { m.To = "花子@example.jp" },
		"subject":         func(m *Letter) { m.Subject = "x\r\nBcc: b@example.jp" },
		"a name":          func(m *Letter) { m.Name = "x\nBcc: b@example.jp" },
		"an identifier":   func(m *Letter) { m.ID = "x>\r\nBcc: b@example.jp" },
		"too long a text": func(m *Letter) { m.Text = strings.Repeat("x", MaxLetter+1) },
	} {
		m := letter
		change(&m)
		if err := Send(t.Context(), Relay{Server: addr, CA: ca}, m); err == nil {
			t.Errorf("%s was sent", name)
		}
	}
	if len(r.letters) != 0 {
		t.Errorf("the relay has %d letters", len(r.letters))
	}
}

// A relay that hangs does not hold up whoever gives up.
func TestGivingUp(t *testing.T) {
	r := &relay{hold: make(chan struct{})}
	addr, _ := r.serve(t, false)
	defer close(r.hold)
	ctx, stop := context.WithCancel(t.Context())
	line, err := Call(ctx, Relay{Server: addr, TLS: "none"})
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	m := letter
	m.To = "slow@example.jp"
	go func() { sent <- line.Send(ctx, m) }()
	stop()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func FuzzGoodAddress(f *testing.F) {
	for _, s := range []string{"a@example.jp", `"a b"@example.jp`, "A <a@example.jp>", "a@[127.0.0.1]", "a@b@c.d", "a@example.jp\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !GoodAddress(s) {
			return
		}
		m := letter
		m.To = s
		b, err := m.bytes()
		if err != nil {
			t.Fatal(err)
		}
		read, err := mail.ReadMessage(strings.NewReader(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		to, err := read.Header.AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != s || len(read.Header) != 9 {
			t.Fatalf("%q is written so that it reads %v, %v", s, to, err)
		}
	})
}
