package house

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Commands that hang, in whatever they say or do not read, hold their place for
// a time only, and never more places than there are: who comes behind them is
// answered.
func TestCommandsThatHangAreHungUpOn(t *testing.T) {
	old := controlLimits
	defer func() { controlLimits = old }()
	controlLimits.header, controlLimits.body, controlLimits.idle, controlLimits.stalls = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	controlLimits.most = 3
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	h, err := Open(t.Context(), c, "/", Options{})
	must(t, err)
	defer h.Close()
	must(t, h.WithControl(t.Context(), func() error {
		for name, said := range map[string]string{
			"nothing":       "",
			"half a header": "POST /api/impact HTTP/1.1\r\nHost: sekisho\r\nContent-",
			"half a body":   "POST /api/users HTTP/1.1\r\nHost: sekisho\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"name\":",
			"a long answer unread": "GET /api/status HTTP/1.1\r\nHost: sekisho\r\n\r\n" +
				strings.Repeat("GET /api/status HTTP/1.1\r\nHost: sekisho\r\n\r\n", 2000),
			"one command, and no other": "GET /api/status HTTP/1.1\r\nHost: sekisho\r\n\r\n",
		} {
			var hang []net.Conn
			for range 2 * controlLimits.most {
				conn, err := dialControl(t.Context(), c.Data)
				must(t, err)
				defer conn.Close()
				hang = append(hang, conn)
				go io.WriteString(conn, said) // a long one is not taken whole
			}
			caller, err := Call(t.Context(), c.Data)
			must(t, err)
			if _, err := caller.Users(t.Context()); err != nil {
				t.Errorf("%s: who comes behind them: %v", name, err)
			}
			caller.Close()
			for _, conn := range hang {
				if strings.HasPrefix(name, "a long") {
					conn.Close()
					continue
				}
				conn.SetDeadline(time.Now().Add(2 * time.Minute))
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		return nil
	}))
}

// No more are in at once than have a place.
func TestSoManyCommandsAtOnce(t *testing.T) {
	old := controlLimits
	defer func() { controlLimits = old }()
	controlLimits.most = 2
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	h, err := Open(t.Context(), c, "/", Options{})
	must(t, err)
	defer h.Close()
	must(t, h.WithControl(t.Context(), func() error {
		ask := func() (net.Conn, *bufio.Reader) {
			conn, err := dialControl(t.Context(), c.Data)
			must(t, err)
			fmt.Fprint(conn, "GET /api/status HTTP/1.1\r\nHost: sekisho\r\n\r\n")
			return conn, bufio.NewReader(conn)
		}
		answered := func(r *bufio.Reader) {
			a, err := http.ReadResponse(r, nil)
			must(t, err)
			io.Copy(io.Discard, a.Body)
			a.Body.Close()
		}
		first, r1 := ask()
		defer first.Close()
		answered(r1)
		second, r2 := ask()
		defer second.Close()
		answered(r2)
		third, r3 := ask()
		defer third.Close()
		third.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := r3.Peek(1); err == nil {
			t.Error("a third is answered while two are in")
		}
		third.SetReadDeadline(time.Time{})
		first.Close()
		answered(r3)
		return nil
	}))
}
