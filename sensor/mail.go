package sensor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Mail to people who do not exist. Their addresses stand in the database alone,
// so whoever writes to one has it from there.

// A Mail is one message that came.
type Mail struct {
	To     []string // addresses in small letters, of the domains that are received for
	Peer   netip.Addr
	SHA256 [32]byte
	Text   []byte // as it was sent; belongs to whoever is given it
}

// MailOptions say what is received.
type MailOptions struct {
	// Any: mail to every domain is taken, as by a sink in which letters of a demo end.
	Any bool
	// Domains for which every address is taken: whoever tries addresses does not
	// learn which of them are decoys.
	Domains []string
	// Come is told of each message before it is acknowledged. After an error the
	// sender is asked to try again later.
	Come func(ctx context.Context, m Mail) error
	Log  *slog.Logger
}

const (
	mostMail       = 1 << 20 // bytes of a message
	mostRecipients = 20      // of a message
	mostSenders    = 64      // connections at once
	mailTakes      = 5 * time.Minute
)

// ReceiveMail receives mail by SMTP on l until ctx ends. It relays nothing, and
// keeps nothing itself.
func ReceiveMail(ctx context.Context, l net.Listener, opt MailOptions) error {
	s := mailServer(ctx, opt)
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(&turnstile{Listener: l, slots: make(chan struct{}, mostSenders), now: time.Now}); err != nil && ctx.Err() == nil && !errors.Is(err, smtp.ErrServerClosed) {
		return fmt.Errorf("receiving mail: %w", err)
	}
	return nil
}

func mailServer(ctx context.Context, opt MailOptions) *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		peer, _ := netip.ParseAddrPort(c.Conn().RemoteAddr().String())
		return &mailSession{ctx: ctx, opt: opt, peer: peer.Addr().Unmap()}, nil
	}))
	s.Domain = "mail"
	if len(opt.Domains) > 0 {
		s.Domain = opt.Domains[0]
	}
	s.MaxRecipients, s.MaxMessageBytes, s.MaxLineLength = mostRecipients, mostMail, 2000
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	s.ErrorLog = quietly{opt.Log}
	return s
}

// quietly keeps the library's words, which can hold what a sender sent, out of
// the log.
type quietly struct{ log *slog.Logger }

func (q quietly) Printf(string, ...any) { q.Println() }
func (q quietly) Println(...any) {
	if q.log != nil {
		q.log.Debug("a mail connection ended in an error")
	}
}

// mailSession is one connection, and the message that is under way.
type mailSession struct {
	ctx  context.Context
	opt  MailOptions
	peer netip.Addr
	to   []string
}

func (s *mailSession) Reset()                               { s.to = nil }
func (s *mailSession) Logout() error                        { return nil }
func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	at := strings.LastIndexByte(to, '@')
	if at < 1 || !s.opt.Any && !slices.ContainsFunc(s.opt.Domains, func(d string) bool { return strings.EqualFold(d, to[at+1:]) }) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not received here"}
	}
	s.to = append(s.to, strings.ToLower(to))
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, mostMail+1))
	if err != nil {
		return err // the library's own words: too large, or gone
	}
	if err := s.opt.Come(s.ctx, Mail{To: s.to, Peer: s.peer, SHA256: sha256.Sum256(text), Text: bytes.Clone(text)}); err != nil {
		if s.opt.Log != nil {
			s.opt.Log.Error("taking in a mail", "error", err)
		}
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
	}
	return nil
}

// turnstile lets so many in at a time, and nobody for long.
type turnstile struct {
	net.Listener
	slots chan struct{}
	now   func() time.Time
}

func (t *turnstile) Accept() (net.Conn, error) {
	t.slots <- struct{}{}
	c, err := t.Listener.Accept()
	if err != nil {
		<-t.slots
		return nil, err
	}
	return &guest{Conn: c, until: t.now().Add(mailTakes), leave: t.slots}, nil
}

// guest is a connection that ends at its time, whatever deadlines are set.
type guest struct {
	net.Conn
	until time.Time
	leave chan struct{}
	left  sync.Once
}

func (g *guest) SetReadDeadline(at time.Time) error  { return g.Conn.SetReadDeadline(g.soonest(at)) }
func (g *guest) SetWriteDeadline(at time.Time) error { return g.Conn.SetWriteDeadline(g.soonest(at)) }
func (g *guest) SetDeadline(at time.Time) error      { return g.Conn.SetDeadline(g.soonest(at)) }

func (g *guest) soonest(at time.Time) time.Time {
	if at.IsZero() || at.After(g.until) {
		return g.until
	}
	return at
}

func (g *guest) Close() error {
	err := g.Conn.Close()
	g.left.Do(func() { <-g.leave })
	return err
}
