package contain_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/contain"
)

// lines is a log that counts.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Whoever can reach the door of hands can fill neither the log nor the room of an
// agent that is known, and learns no hand's name.
func TestStrangersAtTheDoorOfHands(t *testing.T) {
	q := newHeadquarters(t, nil, netip.MustParseAddr("127.0.0.1"))
	key, err := contain.LoadOrMakeKey(q.write("unused", "") + ".key")
	mustDo(t, err)
	log := &lines{}
	var clock sync.Mutex
	at := time.Now()
	door, err := contain.NewDoor(q.conf, contain.Outfit{Ledger: "member-db", Dir: q.dir, Key: key, Log: slog.New(slog.NewTextHandler(log, nil)),
		Now: func() time.Time { clock.Lock(); defer clock.Unlock(); return at }})
	mustDo(t, err)
	s := httptest.NewUnstartedServer(nil)
	s.Config = door.Server()
	s.Config.ReadHeaderTimeout, s.Config.ReadTimeout = 0, 0 // strangers may say nothing for as long as the test takes
	s.StartTLS()
	defer s.Close()
	host := s.Listener.Addr().String()
	from := func(address string) *http.Client {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return d.DialContext(ctx, network, host)
			}}}
	}
	ask := func(c *http.Client, path, word string) (int, string, error) {
		r, err := http.NewRequest("GET", s.URL+path, nil)
		mustDo(t, err)
		if word != "" {
			r.Header.Set("Authorization", "Bearer "+word)
		}
		resp, err := c.Do(r)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	const state, word = "/hands/edge?after=0&look=7", "edge-token-of-thirty-characters"
	agent := from("127.0.0.1")
	if code, _, err := ask(agent, state, word); code != http.StatusNoContent {
		t.Fatalf("the agent got %d, %v", code, err)
	}

	stranger := from("127.0.0.2")
	for range 25 {
		for _, path := range []string{"/hands/edge", "/hands/nobody", "/lists/proxies/egress.txt", "/" + strings.Repeat("x", 5000)} {
			if code, body, err := ask(stranger, path, "word-of-somebody-else-entirely"); code != http.StatusUnauthorized || body != "not known here\n" {
				t.Fatalf("a stranger at %.40s got %d %q, %v", path, code, body, err)
			}
		}
	}
	if said := log.said(); strings.Count(said, "somebody unknown") != 20 || len(said) > 20_000 {
		t.Errorf("of 100 knocks the log says %d in %d bytes", strings.Count(said, "somebody unknown"), len(said))
	}
	clock.Lock()
	at = at.Add(time.Minute)
	clock.Unlock()
	ask(stranger, "/", "")
	if said := log.said(); !strings.HasSuffix(said, `"before, not told"=80`+"\n") {
		t.Errorf("a minute later it says …%s", said[max(0, len(said)-200):])
	}

	// Everybody's connections that do nothing.
	for i := range 40 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}
		for range 20 {
			c, err := d.DialContext(t.Context(), "tcp", host)
			mustDo(t, err)
			defer c.Close()
		}
	}
	wait(t, "strangers fill their room", func() bool {
		_, _, err := ask(stranger, "/", "")
		return err != nil
	})
	for range 3 {
		if code, _, err := ask(agent, state, word); code != http.StatusNoContent {
			t.Errorf("beside them the agent got %d, %v", code, err)
		}
	}
}
