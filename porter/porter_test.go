package porter

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// far is a connection from wherever a test says.
type far struct {
	net.Conn
	from   string
	closed bool
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func (f *far) RemoteAddr() net.Addr { return address(f.from) }
func (f *far) Close() error         { f.closed = true; return nil }

// Strangers fill their own room, each address its share of it, and nothing else.
func TestStrangersFillTheirOwnRoom(t *testing.T) {
	p := New()
	p.Strangers, p.PerAddress, p.PerKnown = 6, 2, 4
	come := func(from string) *far {
		c := &far{from: from}
		p.State(c, http.StateNew)
		if c.closed {
			p.State(c, http.StateClosed) // as the server does
		}
		return c
	}
	agent := "10.0.0.9:1"
	first := come(agent)
	p.Knows(&http.Request{RemoteAddr: agent})
	p.Knows(&http.Request{RemoteAddr: agent})
	var in []*far
	for i := range 20 {
		// One machine with all the addresses of its network, and one that has IPv4.
		for _, from := range []string{fmt.Sprintf("[2001:db8::%x]:7", i), "203.0.113.5:8", "[::ffff:203.0.113.5]:9"} {
			if c := come(from); !c.closed {
				in = append(in, c)
			}
		}
	}
	if len(in) != 4 {
		t.Errorf("two strangers have %d connections", len(in))
	}
	for i := range 20 {
		if c := come(fmt.Sprintf("198.51.100.%d:7", i)); !c.closed {
			in = append(in, c)
		}
	}
	if len(in) != 6 {
		t.Errorf("strangers have %d connections", len(in))
	}
	known := 1
	for range 10 {
		if !come(agent).closed {
			known++
		}
	}
	if known != 4 {
		t.Errorf("who is known has %d connections beside them", known)
	}
	for _, c := range append(in, first) {
		p.State(c, http.StateActive)
		p.State(c, http.StateClosed)
		p.State(c, http.StateClosed)
	}
	if come("198.51.100.77:7").closed || come(agent).closed {
		t.Error("whose place is free is not let in")
	}
	for i := range mostKnown + 10 {
		p.Knows(&http.Request{RemoteAddr: fmt.Sprintf("10.%d.%d.1:1", i/256, i%256)})
	}
	if n := len(p.known); n != mostKnown {
		t.Errorf("%d addresses are remembered", n)
	}
}

// At a real server: who is over the limit is hung up on, and who leaves makes room.
func TestAtAServer(t *testing.T) {
	p := New()
	p.PerAddress = 2
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "in") }))
	s.Config.ConnState = p.State
	s.StartTLS()
	defer s.Close()
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	// The kernel may hand connections over a moment later.
	waitFor(t, "two are in", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.all) == 2 })
	client := s.Client()
	if _, err := client.Get(s.URL); err == nil {
		t.Error("a third was let in")
	}
	held[0].Close()
	waitFor(t, "there is room again", func() bool {
		resp, err := client.Get(s.URL)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited until %s", what)
		}
	}
}
