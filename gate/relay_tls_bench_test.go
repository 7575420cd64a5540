package gate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBenchSafeRelay is TestBenchRelay with TLS on both sides: two goroutines a
// session, as crypto/tls wants it, and all answers that come while the disk is
// busy in the next flush. SEKISHO_BENCH_RELAY is "never" or "before".
func TestBenchSafeRelay(t *testing.T) {
	kind, dir := os.Getenv("SEKISHO_BENCH_RELAY"), os.Getenv("SEKISHO_BENCH_TLS")
	if kind == "" || dir == "" {
		t.Skip("only for bench/gate.sh")
	}
	Processors()
	plain, err := newRelay(t.TempDir(), "", kind) // its log
	if err == nil {
		err = unix.SetNonblock(int(os.Stdin.Fd()), false) // it is read here
	}
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "bouncer.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &safeRelay{kind: kind, server: os.Getenv("SEKISHO_BENCH_SOCKET"), log: plain.log, cert: cert}
	r.turn.L = &r.mu
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if err := r.serve(conn.(*net.TCPConn)); err != nil {
					fmt.Println(err)
				}
			}()
		}
	}()
	if err := os.WriteFile(os.Getenv("SEKISHO_BENCH_PORT"), fmt.Append(nil, l.Addr().(*net.TCPAddr).Port), 0o644); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, os.Stdin)
}

type safeRelay struct {
	kind, server string
	cert         tls.Certificate
	log          int

	mu      sync.Mutex
	turn    sync.Cond
	asked   int // records, from the beginning
	durable int
	busy    bool
}

// serve forwards for a client, both ways, until one of the two goes.
func (r *safeRelay) serve(plain *net.TCPConn) error {
	defer plain.Close()
	request := []byte{0, 0, 0, 8, 4, 210, 22, 47} // SSLRequest
	if _, err := io.ReadFull(plain, make([]byte, len(request))); err != nil {
		return err
	}
	plain.Write([]byte("S"))
	client := tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{r.cert}})
	up, err := net.Dial("tcp", r.server)
	if err != nil {
		return fmt.Errorf("connecting to the server: %w", err)
	}
	defer up.Close()
	up.Write(request)
	answer := make([]byte, 1)
	if _, err := io.ReadFull(up, answer); err != nil || answer[0] != 'S' {
		return errors.Join(errors.New("the server speaks no TLS"), err)
	}
	server := tls.Client(up, &tls.Config{InsecureSkipVerify: true}) // made for this run, and says nothing
	go func() {
		defer plain.Close()
		defer up.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			if r.kind == "before" && strings.IndexByte("2T", buf[0]) >= 0 {
				r.record()
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return nil
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return nil
		}
	}
}

// record returns when a record is durable. Whoever finds the disk idle writes for
// all who have asked.
func (r *safeRelay) record() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	for mine := r.asked; r.durable < mine; {
		if r.busy {
			r.turn.Wait()
			continue
		}
		r.busy = true
		upTo := r.asked
		n := (upTo - r.durable) * relayRecord
		r.mu.Unlock()
		unix.Pwrite(r.log, make([]byte, n), int64(upTo)*relayRecord%(relayLog-1<<20))
		if err := unix.Fdatasync(r.log); err != nil {
			panic(err)
		}
		r.mu.Lock()
		r.busy, r.durable = false, upTo
		r.turn.Broadcast()
	}
}
