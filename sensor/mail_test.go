package sensor

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// piped is a listener whose one client has sent all that it will.
type piped struct {
	conn chan net.Conn
	done chan struct{}
}

func (p *piped) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *piped) Close() error   { return nil }
func (p *piped) Addr() net.Addr { return &net.TCPAddr{} }

// Whatever a sender sends, nothing comes in that is not for the domains.
func FuzzMail(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<k@decoy.example.jp>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<\"@decoy.example.jp\"@x>\r\nBDAT 5 LAST\r\nabcde"))
	f.Add([]byte("RCPT TO:<k@DECOY.example.jp>\r\nDATA\r\nRSET\r\nNOOP\r\nVRFY k\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		l := &piped{make(chan net.Conn, 1), make(chan struct{})}
		server := mailServer(ctx, MailOptions{Domains: []string{"decoy.example.jp"}, Come: func(_ context.Context, m Mail) error {
			if len(m.To) == 0 || len(m.To) > mostRecipients || len(m.Text) > mostMail {
				t.Errorf("%d recipients, %d bytes", len(m.To), len(m.Text))
			}
			for _, to := range m.To {
				if len(to) < len("@decoy.example.jp") || to[len(to)-len("@decoy.example.jp"):] != "@decoy.example.jp" {
					t.Errorf("received for %q", to)
				}
			}
			return nil
		}})
		theirs, ours := net.Pipe()
		l.conn <- ours
		served := make(chan struct{})
		go func() { server.Serve(l); close(served) }()
		answered := make(chan struct{})
		go func() { io.Copy(io.Discard, theirs); close(answered) }()
		theirs.Write(sent)
		theirs.Close()
		<-answered
		close(l.done)
		server.Close()
		<-served
	})
}
