package gate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestBenchRelay is no gate at all, and runs only for bench/gate.sh: one loop
// that forwards between clients and a server's socket, without looking at what
// it forwards, for as long as its standard input is open. It is the least that
// any gate could cost on the machine at hand, so it says how far this one is
// from what can be reached there. SEKISHO_BENCH_RELAY says when it writes to
// the disk:
//
//   - never: it forwards;
//   - before: an answer goes out when a record of it is durable, together with
//     those that came at the same time;
//   - beside: the record is written when the question comes, and made durable
//     while the servers work at it.
func TestBenchRelay(t *testing.T) {
	kind := os.Getenv("SEKISHO_BENCH_RELAY")
	if kind == "" {
		t.Skip("only for bench/gate.sh")
	}
	r, err := newRelay(t.TempDir(), os.Getenv("SEKISHO_BENCH_SOCKET"), kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("SEKISHO_BENCH_PORT"), []byte(strconv.Itoa(r.port)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
}

// A bareRelay has one record of fixed size for each question.
type bareRelay struct {
	kind   string
	socket string
	port   int
	listen int
	poll   int
	log    int
	at     int64

	ends    map[int32]*relayEnd
	held    []*relayEnd // who have something in out
	records int
	buf     []byte
	zeros   []byte
}

// A relayEnd is one of the two sockets of a session.
type relayEnd struct {
	fd     int
	other  *relayEnd
	server bool
	out    []byte // waits to be written to it
}

const (
	relayRecord = 48       // bytes, about an Access of one customer
	relayLog    = 64 << 20 // bytes, written over again from the beginning
	relayRounds = 4        // looks for more, before it writes
)

func newRelay(dir, socket, kind string) (*bareRelay, error) {
	r := &bareRelay{kind: kind, socket: socket, ends: map[int32]*relayEnd{}, buf: make([]byte, 64<<10), zeros: make([]byte, 1<<20)}
	var err error
	if r.log, err = unix.Open(filepath.Join(dir, "log"), unix.O_RDWR|unix.O_CREAT, 0o600); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	for off := int64(0); off < relayLog; off += int64(len(r.zeros)) { // so that no block is new
		if _, err := unix.Pwrite(r.log, r.zeros, off); err != nil {
			return nil, fmt.Errorf("filling the log: %w", err)
		}
	}
	if err := unix.Fsync(r.log); err != nil {
		return nil, fmt.Errorf("syncing the log: %w", err)
	}
	if r.listen, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	if err := errors.Join(unix.Bind(r.listen, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(r.listen, 512)); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	at, err := unix.Getsockname(r.listen)
	if err != nil {
		return nil, err
	}
	r.port = at.(*unix.SockaddrInet4).Port
	if r.poll, err = unix.EpollCreate1(0); err != nil {
		return nil, err
	}
	for _, fd := range []int{r.listen, int(os.Stdin.Fd())} {
		if err := r.watch(fd); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *bareRelay) watch(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	return unix.EpollCtl(r.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (r *bareRelay) run() error {
	for {
		open, err := r.round(-1)
		for i := 0; open && err == nil && r.records > 0 && i < relayRounds; i++ {
			unix.RawSyscallNoError(unix.SYS_SCHED_YIELD, 0, 0, 0)
			open, err = r.round(0)
		}
		if err != nil || !open {
			return err
		}
		if err := r.commit(); err != nil {
			return err
		}
	}
}

// round forwards what there is. False: standard input has ended.
func (r *bareRelay) round(wait int) (bool, error) {
	var events [128]unix.EpollEvent
	n := relayWait(r.poll, events[:], wait)
	for _, e := range events[:max(n, 0)] {
		switch int(e.Fd) {
		case r.listen:
			if err := r.accept(); err != nil {
				return false, err
			}
		case int(os.Stdin.Fd()):
			return false, nil
		default:
			if end := r.ends[e.Fd]; end != nil {
				r.forward(end)
			}
		}
	}
	return true, nil
}

func (r *bareRelay) accept() error {
	fd, _, err := unix.Accept(r.listen)
	if err != nil {
		return nil
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	up, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(up, &unix.SockaddrUnix{Name: r.socket}); err != nil {
		return fmt.Errorf("connecting to %s: %w", r.socket, err)
	}
	client, server := &relayEnd{fd: fd}, &relayEnd{fd: up, server: true}
	client.other, server.other = server, client
	for _, end := range []*relayEnd{client, server} {
		r.ends[int32(end.fd)] = end
		if err := r.watch(end.fd); err != nil {
			return err
		}
	}
	return nil
}

func (r *bareRelay) forward(end *relayEnd) {
	n, errno := rawRead(end.fd, r.buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0 || n == 0:
		for _, e := range []*relayEnd{end, end.other} {
			delete(r.ends, int32(e.fd))
			unix.Close(e.fd)
			e.fd, e.out = -1, nil
		}
	case len(end.other.out) == 0 && !r.holds(end):
		relayWrite(end.other.fd, r.buf[:n])
	default:
		end.other.out = append(end.other.out, r.buf[:n]...)
		r.held = append(r.held, end.other)
	}
}

// holds tells whether what was read waits for the next commit, and counts the
// records. The first message alone is looked at: a Bind or a Query is a
// question, and BindComplete or RowDescription begins an answer.
func (r *bareRelay) holds(end *relayEnd) bool {
	asks := !end.server && strings.IndexByte("BQ", r.buf[0]) >= 0
	answers := end.server && strings.IndexByte("2T", r.buf[0]) >= 0
	if r.kind == "beside" && asks || r.kind == "before" && answers {
		r.records++
		return true
	}
	return r.kind == "beside" && end.server && r.records > 0
}

// commit makes the records durable, and lets go what waits: questions before
// that, answers behind.
func (r *bareRelay) commit() error {
	n := r.records * relayRecord
	if n == 0 {
		return nil
	}
	r.records = 0
	if r.at+int64(n) > relayLog {
		r.at = 0
	}
	if _, err := unix.Pwrite(r.log, r.zeros[:n], r.at); err != nil {
		return fmt.Errorf("writing the log: %w", err)
	}
	r.at += int64(n)
	r.letGo(true)
	if _, _, errno := unix.RawSyscall(unix.SYS_FDATASYNC, uintptr(r.log), 0, 0); errno != 0 {
		return fmt.Errorf("syncing the log: %w", errno)
	}
	r.letGo(false)
	r.held = r.held[:0]
	return nil
}

func (r *bareRelay) letGo(upstream bool) {
	for _, end := range r.held {
		if end.server == upstream && len(end.out) > 0 {
			relayWrite(end.fd, end.out)
			end.out = end.out[:0]
		}
	}
}

// relayWrite writes all of b, and waits where there is no room.
func relayWrite(fd int, b []byte) {
	for len(b) > 0 && fd >= 0 {
		n, errno := rawWrite(fd, b)
		switch errno {
		case 0:
			b = b[n:]
		case unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		case unix.EINTR:
		default:
			return
		}
	}
}

// relayWait asks the kernel without the scheduler's knowledge, as the gate's
// loop does.
func relayWait(poll int, events []unix.EpollEvent, ms int) int {
	r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(poll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	if errno != 0 {
		return 0
	}
	return int(r)
}
