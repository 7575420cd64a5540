package gate

import (
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A wire is a connection without TLS that a loop watches. Reading waits by
// giving the loop to others.
type wire struct {
	reader *strand    // who reads from it, and nobody else
	writer *strand    // who may wait in Write, and nobody else; nil if nobody
	room   func()     // called by the loop when there is room to write again; may be nil
	slot   int        // in loop.wires
	life   int32      // of the slot, which others had before
	mu     sync.Mutex // held in each write, so that no other file gets the number fd meanwhile
	fd     int        // -1 once it is released
	shut   bool       // nothing is written any more
	poll   int        // the epoll that watches it

	// Of the loop alone.
	readable bool // there may be bytes: no read has come short since the kernel said so
	ended    bool // the other end has closed, or there is an error: reads do not wait
	reading  bool // reader waits
	writing  bool // writer waits
}

// double makes a wire with a descriptor of its own for a connection's socket,
// so that the connection can be closed without the other end noticing. nil: it
// has no socket of its own, or none can be had.
func double(c net.Conn) *wire {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	if raw.Control(func(f uintptr) { fd, err = unix.FcntlInt(f, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
		return nil
	}
	return &wire{fd: fd, readable: true, slot: -1}
}

// mostRead is how much a strand may read before others have their turn.
const mostRead = 256 << 10

// Read is io.Reader's, for the strand that reads.
func (w *wire) Read(b []byte) (int, error) {
	t := w.reader
	if t.read >= mostRead {
		t.yield(pauseTurn)
	}
	for {
		for !w.readable && !w.ended {
			w.reading = true
			t.yield(pauseRead)
		}
		n, errno := rawRead(w.fd, b)
		switch {
		case errno == unix.EAGAIN:
			w.readable, w.ended = false, false // the event was about the other direction
			continue
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return 0, fmt.Errorf("reading: %w", errno)
		case n == 0:
			return 0, io.EOF
		}
		if n < len(b) {
			w.readable = false // it is drained, and the kernel will tell of more
		}
		t.read += n
		return n, nil
	}
}

// Write is io.Writer's, for the strand that writes.
func (w *wire) Write(b []byte) (int, error) {
	sent := 0
	for {
		n, err := w.try(b[sent:])
		sent += n
		if err != nil || sent == len(b) {
			return sent, err
		}
		w.writing = true
		w.writer.yield(pauseWrite)
	}
}

// try writes what there is room for. When it could not write all, the loop
// tells when there is room again. Anybody may call it.
func (w *wire) try(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := 0
	for sent < len(b) {
		if w.fd < 0 || w.shut {
			return sent, net.ErrClosed
		}
		n, errno := rawWrite(w.fd, b[sent:])
		switch errno {
		case 0:
			sent += n
		case unix.EINTR:
		case unix.EAGAIN:
			return sent, w.ask(unix.EPOLL_CTL_MOD, true)
		default:
			return sent, fmt.Errorf("writing: %w", errno)
		}
	}
	return sent, nil
}

// ask says what the kernel shall tell of the wire: what there is to read, and
// if room is set, once, that there is room to write, also if there is already.
// Without being asked it would tell of room after each message that the other
// end reads.
func (w *wire) ask(op int, room bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(w.slot), Pad: w.life}
	if room {
		e.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(w.poll, op, w.fd, &e); err != nil {
		return fmt.Errorf("watching a connection: %w", err)
	}
	return nil
}

// Close ends the connection for both ends. The strand that reads it finds its
// end. Anybody may call it, more than once.
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 && !w.shut {
		w.shut = true
		unix.Shutdown(w.fd, unix.SHUT_RDWR)
	}
	return nil
}

// release gives the descriptor back, once no strand will read or write.
func (w *wire) release() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Close(w.fd)
		w.fd = -1
	}
}

// The descriptors never block, so the scheduler need not be told.

func rawRead(fd int, b []byte) (int, syscall.Errno) {
	if len(b) == 0 {
		return 0, unix.EINVAL
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func rawWrite(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
