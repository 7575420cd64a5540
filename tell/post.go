// Package tell is how the house speaks to people: texts about an incident, each
// sentence with what it rests on, and their approval; notices by mail, through
// the company's own relay; answers of the contact point; and drills by mail.
package tell

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/mail"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Relay is the mail server that takes the company's mail and brings it to
// where it belongs.
type Relay struct {
	// Server is its host and port, such as smtp.example.jp:587. Empty: no mail is
	// sent.
	Server string `yaml:"server"`

	// TLS is starttls (the default: encrypted, or not at all), tls (from the first
	// byte, as on port 465) or none, which only a relay on this machine may have.
	TLS string `yaml:"tls"`

	// CA is a PEM file of the authorities that may have signed the relay's
	// certificate. Default: the machine's.
	CA string `yaml:"ca"`

	// Hello is the name by which this machine greets the relay. Default:
	// localhost.
	Hello string `yaml:"hello"`

	// User signs in at the relay, with the password in PasswordFile, which nobody
	// else may read. Without User nobody signs in.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Limits on one message and on how long a relay may take.
const (
	MaxLetter    = 1 << 20 // bytes of a letter's text
	maxLine      = 320     // bytes of an address: 64 + 1 + 255 (RFC 5321 section 4.5.3.1), or of a subject's part
	dialTakes    = 20 * time.Second
	commandTakes = time.Minute
	dataTakes    = 3 * time.Minute
	maxPassword  = 4 << 10
)

// Check names the first mistake.
func (r *Relay) Check() error {
	if r.Server == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(r.Server)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("server %q: give host:port, such as smtp.example.jp:587", r.Server)
	}
	switch r.TLS {
	case "":
		r.TLS = "starttls"
	case "starttls", "tls":
	case "none":
		if !loopback(host) {
			return fmt.Errorf("tls: none is for a relay on this machine only, and %s is another: letters would go in the clear", host)
		}
	default:
		return fmt.Errorf("tls %q is none of starttls, tls, none", r.TLS)
	}
	if (r.User == "") != (r.PasswordFile == "") {
		return errors.New("user and password_file come together")
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// A Letter is one message to one person.
type Letter struct {
	From    string // the address that answers go to; also the envelope's, unless Return is set
	Name    string // of the sender, as people read it
	Return  string // the envelope's sender, to which bounces come
	To      string
	Subject string
	Text    string // with \n at line ends
	ID      string // of the message, as in Message-ID without its brackets; made if empty
	Date    time.Time

	// Of drills by mail.
	HTML       string      // the same text as a page; none if empty
	ReplyTo    string      // where answers go, if not to From
	Attachment *Attachment // nil: none
	Personal   bool        // it does not say of itself that a machine wrote it
	Contact    string      // whom a stranger who comes across it may ask
}

// A Refusal is the relay's no. It does not hold the relay's words, which can
// hold an address.
type Refusal struct {
	Code     int // of RFC 5321
	Enhanced [3]int
	OfSender bool // it refused who sends, not this letter: every other would fare the same
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("the relay refused with %d %d.%d.%d", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2])
}

// Permanent says that trying the same again is of no use.
func (r *Refusal) Permanent() bool { return r.Code >= 500 }

// A Line is a connection to a relay, for one letter after another. It belongs
// to one goroutine.
type Line struct {
	conn   net.Conn
	client *smtp.Client
}

// Call connects to a relay, and signs in if it is told to.
func Call(ctx context.Context, r Relay) (*Line, error) {
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("calling the mail relay: %w", err)
	}
	if r.Server == "" {
		return nil, errors.New("calling the mail relay: none is configured")
	}
	l, err := dial(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("calling the mail relay %s: %w", r.Server, plain(err))
	}
	return l, nil
}

func dial(ctx context.Context, r Relay) (*Line, error) {
	ctx, stop := context.WithTimeout(ctx, dialTakes)
	defer stop()
	host, _, _ := net.SplitHostPort(r.Server) // checked
	conf := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if r.CA != "" {
		pem, err := os.ReadFile(r.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", r.CA)
		}
	}
	var password []byte
	if r.User != "" {
		var err error
		if password, err = readPassword(r.PasswordFile); err != nil {
			return nil, err
		}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.Server)
	if err != nil {
		return nil, err
	}
	stopAt, _ := ctx.Deadline()
	conn.SetDeadline(stopAt)
	end := context.AfterFunc(ctx, func() { conn.Close() })
	defer end()
	var c *smtp.Client
	switch r.TLS {
	case "tls":
		c = smtp.NewClient(tls.Client(conn, conf))
	case "starttls":
		c, err = smtp.NewClientStartTLS(conn, conf)
	default:
		c = smtp.NewClient(conn)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.CommandTimeout, c.SubmissionTimeout = commandTakes, dataTakes
	hello := r.Hello
	if hello == "" {
		hello = "localhost"
	}
	err = c.Hello(hello)
	if err == nil && r.User != "" {
		if c.SupportsAuth(sasl.Plain) {
			err = c.Auth(sasl.NewPlainClient("", r.User, string(password)))
		} else {
			err = c.Auth(sasl.NewLoginClient(r.User, string(password)))
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	if !end() { // too late: the connection is shut
		c.Close()
		return nil, ctx.Err()
	}
	conn.SetDeadline(time.Time{})
	return &Line{conn: conn, client: c}, nil
}

// readPassword reads a file that nobody else may read.
func readPassword(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others (mode %#o): run chmod 600 on it", name, info.Mode().Perm()&fs.ModePerm)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassword))
	return bytes.TrimRight(b, "\r\n"), err
}

// ErrNotTaken: the relay cannot have taken the letter, because it was not given
// the end of it.
var ErrNotTaken = errors.New("the relay was not given the whole letter")

// Send gives one letter to the relay, which has taken it on return. After an
// error that is no Refusal the line is of no more use; unless it is ErrNotTaken,
// whether the relay took the letter is then not known (RFC 1047).
func (l *Line) Send(ctx context.Context, m Letter) error {
	text, err := m.bytes()
	if err != nil {
		return fmt.Errorf("sending a letter: %w: %w", ErrNotTaken, err)
	}
	end := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer end()
	sender := m.Return
	if sender == "" {
		sender = m.From
	}
	whole, err := l.give(sender, m.To, text)
	if err == nil {
		return nil
	}
	err = plain(err)
	r := (*Refusal)(nil)
	if ctx.Err() != nil && !errors.As(err, &r) {
		err = ctx.Err()
	}
	switch {
	case errors.As(err, &r):
		l.client.Reset() // a relay that does not answer shows at the next letter
	case !whole:
		err = fmt.Errorf("%w: %w", ErrNotTaken, err)
	}
	return fmt.Errorf("sending a letter: %w", err)
}

// give speaks the commands for one letter. whole: the end of the letter may have
// reached the relay.
func (l *Line) give(from, to string, text []byte) (whole bool, err error) {
	r := (*Refusal)(nil)
	if err := l.client.Mail(from, nil); err != nil {
		if err = plain(err); errors.As(err, &r) {
			r.OfSender = true
		}
		return false, err
	}
	if err := l.client.Rcpt(to, nil); err != nil {
		return false, err
	}
	w, err := l.client.Data()
	if err != nil {
		return false, err
	}
	l.conn.SetDeadline(time.Now().Add(dataTakes))
	if _, err := w.Write(text); err != nil {
		return false, err
	}
	return true, w.Close() // sets its own deadline
}

// Close says goodbye.
func (l *Line) Close() error {
	l.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if err := l.client.Quit(); err != nil {
		return l.client.Close()
	}
	return nil
}

// Send calls the relay for one letter.
func Send(ctx context.Context, r Relay, m Letter) error {
	l, err := Call(ctx, r)
	if err != nil {
		return err
	}
	defer l.Close()
	return l.Send(ctx, m)
}

// plain takes the relay's words out of an error.
func plain(err error) error {
	var s *smtp.SMTPError
	if errors.As(err, &s) {
		return &Refusal{Code: s.Code, Enhanced: s.EnhancedCode}
	}
	return err
}

// GoodAddress says whether a is the address of one mailbox, and nothing beside
// it: no name, no comment, no control character, in ASCII.
func GoodAddress(a string) bool {
	if len(a) > maxLine || strings.IndexFunc(a, func(r rune) bool { return r <= ' ' || r >= 0x7f }) >= 0 {
		return false
	}
	at := strings.LastIndexByte(a, '@')
	if at < 1 || at > 64 || !strings.Contains(a[at+1:], ".") {
		return false
	}
	parsed, err := mail.ParseAddress(a)
	return err == nil && parsed.Name == "" && parsed.Address == a
}

// bytes writes a letter in the form of RFC 5322, its text as UTF-8 in base64,
// which every relay takes.
func (m *Letter) bytes() ([]byte, error) {
	for i, a := range []string{m.From, m.To, m.Return, m.ReplyTo, m.Contact} {
		if a == "" && i >= 2 {
			continue
		}
		if !GoodAddress(a) {
			return nil, errors.New("an address is none that mail can go to")
		}
	}
	if m.Attachment != nil && strings.ContainsAny(m.Attachment.Name, "\r\n\x00\"") || strings.ContainsAny(m.Subject+m.Name+m.ID, "\r\n\x00") || strings.ContainsAny(m.ID, "<> ") {
		return nil, errors.New("a header with a line end")
	}
	if len(m.Text) > MaxLetter || len(m.HTML) > MaxLetter || m.Attachment != nil && len(m.Attachment.Bytes) > MaxLetter || len(m.Subject) > 4*maxLine || len(m.Name) > maxLine {
		return nil, fmt.Errorf("a text of %d bytes, the limit is %d", len(m.Text), MaxLetter)
	}
	id, date := m.ID, m.Date
	if id == "" {
		id = rand.Text() + "@" + m.From[strings.LastIndexByte(m.From, '@')+1:]
	}
	if date.IsZero() {
		date = time.Now()
	}
	from := mail.Address{Name: m.Name, Address: m.From}
	head := [][2]string{{"From", from.String()}, {"To", m.To}, {"Subject", mime.BEncoding.Encode("utf-8", m.Subject)},
		{"Date", date.Format(time.RFC1123Z)}, {"Message-ID", "<" + id + ">"}}
	if m.ReplyTo != "" {
		head = append(head, [2]string{"Reply-To", m.ReplyTo})
	}
	if m.Contact != "" {
		head = append(head, [2]string{"X-Drill-Contact", m.Contact})
	}
	if !m.Personal {
		head = append(head, [2]string{"Auto-Submitted", "auto-generated"}) // RFC 3834: no absence notes, please
	}
	head = append(head, [2]string{"MIME-Version", "1.0"})
	var b bytes.Buffer
	writeHead(&b, head)
	text := part{kind: "text/plain; charset=utf-8", body: []byte(strings.ReplaceAll(m.Text, "\n", "\r\n"))}
	whole := text
	if m.HTML != "" {
		whole = multi("alternative", text, part{kind: "text/html; charset=utf-8", body: []byte(m.HTML)})
	}
	if a := m.Attachment; a != nil {
		whole = multi("mixed", whole, part{kind: encodedName(a.Type, a.Name), place: mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}), body: a.Bytes})
	}
	whole.write(&b)
	return b.Bytes(), nil
}

// A part of a message (RFC 2046).
type part struct {
	kind, place string
	body        []byte
	parts       []part // instead of a body
}

func multi(sort string, parts ...part) part { return part{kind: "multipart/" + sort, parts: parts} }

func writeHead(b *bytes.Buffer, head [][2]string) {
	for _, h := range head {
		fmt.Fprintf(b, "%s: %s\r\n", h[0], h[1])
	}
}

// write writes the part's headers, an empty line and its body.
func (p part) write(b *bytes.Buffer) {
	if p.parts != nil {
		boundary := "=_" + rand.Text()
		writeHead(b, [][2]string{{"Content-Type", p.kind + `; boundary="` + boundary + `"`}})
		b.WriteString("\r\n")
		for _, one := range p.parts {
			b.WriteString("--" + boundary + "\r\n")
			one.write(b)
		}
		b.WriteString("--" + boundary + "--\r\n")
		return
	}
	head := [][2]string{{"Content-Type", p.kind}, {"Content-Transfer-Encoding", "base64"}}
	if p.place != "" {
		head = append(head, [2]string{"Content-Disposition", p.place})
	}
	writeHead(b, head)
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString(p.body)
	for len(text) > 0 {
		n := min(76, len(text)) // RFC 2045 section 6.8
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
}
