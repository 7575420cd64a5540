package gate

import (
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// The output that the server side has decided on, from the buffer it was read
// into to the outbox.

// shouldEmit: hold output back only while a commit of this session is under
// way anyway, more rows are there to be read this instant, and there is room.
// So nothing ever waits for a batch to fill.
func (r *replies) shouldEmit() bool {
	if !r.midRow || r.fd < 0 || r.n > chunkBytes*3/4 || r.s.out.pending() == 0 {
		return true
	}
	if len(r.c.buf) < chunkBytes {
		return true
	}
	k, err := unix.IoctlGetInt(r.fd, unix.TIOCINQ)
	return err != nil || k == 0
}

func rawFD(c io.ReadWriteCloser) int {
	fd := -1
	switch c := c.(type) {
	case *wire:
		return c.fd
	case *net.TCPConn:
		if rc, err := c.SyscallConn(); err == nil {
			rc.Control(func(f uintptr) { fd = int(f) })
		}
	case *net.UnixConn:
		if rc, err := c.SyscallConn(); err == nil {
			rc.Control(func(f uintptr) { fd = int(f) })
		}
	}
	return fd
}

// emit puts the decided output into the outbox and goes on with a new chunk,
// which has room for at least need bytes beside what is left.
func (r *replies) emit(need int) error {
	old, left := r.c, r.n-r.scan
	size := left + need
	if r.midRow || len(old.buf) > smallChunk && left > 0 {
		size = max(size, chunkBytes)
	}
	r.c = newChunk(max(size, smallChunk))
	copy(r.c.buf, old.buf[r.scan:r.n])
	w := r.w
	r.w, r.scan, r.n = 0, 0, left
	if w == 0 && len(old.bodies) == 0 {
		old.recycle()
		return nil
	}
	old.buf = old.buf[:w]
	return r.put(old)
}

// put hands a chunk to the outbox.
func (r *replies) put(c *chunk) error {
	if l := r.t.loop; l != nil {
		return r.s.out.put(c, l.queue, r.t)
	}
	return r.s.out.put(c, r.s.g.ledger.Submit, r.t)
}

// makeRoom makes the buffer hold at least size bytes.
func (r *replies) makeRoom(size int) error {
	if r.w > 0 || len(r.c.bodies) > 0 {
		if err := r.emit(size); err != nil {
			return err
		}
		return nil
	}
	c := newChunk(size)
	r.n = copy(c.buf, r.c.buf[r.scan:r.n])
	r.scan = 0
	r.c.recycle()
	r.c = c
	return nil
}

// keep moves buf[from:to], which has just been scanned, to the output.
func (r *replies) keep(from, to int) {
	if r.w != from {
		copy(r.c.buf[r.w:], r.c.buf[from:to])
	}
	r.w += to - from
}

// insert puts b into the output, where there may be no room for it.
func (r *replies) insert(b []byte) error {
	if r.w+len(b) > r.scan {
		old, left := r.c, r.n-r.scan
		c := newChunk(len(b) + left + smallChunk)
		r.n = len(b) + copy(c.buf[len(b):], old.buf[r.scan:r.n])
		r.scan = len(b)
		r.c = c
		w := r.w
		r.w = 0
		if w == 0 && len(old.bodies) == 0 {
			old.recycle()
		} else {
			old.buf = old.buf[:w]
			if err := r.put(old); err != nil {
				return err
			}
		}
	}
	copy(r.c.buf[r.w:], b)
	r.w += len(b)
	return nil
}
