package console

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Strangers who fill their room, saying nothing or little, do not keep those out
// who are signed in.
func TestStrangersDoNotFillTheConsole(t *testing.T) {
	h := newHouse(t)
	h.console.in.Strangers, h.console.in.PerAddress, h.console.in.PerKnown = 3, 3, 100
	server := httptest.NewUnstartedServer(nil)
	server.Config = h.console.Server()
	server.Config.ReadHeaderTimeout, server.Config.ReadTimeout = 0, 0 // who says nothing stays
	server.Start()
	defer server.Close()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
		return conn
	}
	answers := func(conn net.Conn) error {
		fmt.Fprint(conn, "GET /signin HTTP/1.1\r\nHost: sekisho\r\n\r\n")
		a, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			a.Body.Close()
		}
		return err
	}
	var one net.Conn
	for i := range 3 {
		one = dial()
		if err := answers(one); err != nil { // and stays
			t.Fatalf("stranger %d: %v", i, err)
		}
	}
	if answers(dial()) == nil {
		t.Error("a fourth stranger finds room")
	}
	// One leaves, and somebody who is signed in comes from that address.
	b := h.signedIn("en")
	b.at = server.URL
	one.Close()
	for {
		res, err := b.Do(b.request("GET", "/status", nil))
		if err != nil { // the server has not seen yet that there is room
			continue
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("signed in: %d", res.StatusCode)
		}
		break
	}
	for range 10 {
		if err := answers(dial()); err != nil {
			t.Fatalf("from an address where somebody is signed in: %v", err)
		}
	}
}
