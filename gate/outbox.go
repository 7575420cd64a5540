package gate

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"sekisho"
	"sekisho/ledger"
)

// A chunk is output for the client, with the entries that must be durable
// before a byte of it leaves.
type chunk struct {
	out    *outbox
	buf    []byte
	bodies []sekisho.Body    // Access entries; none: nothing to wait for
	spare  []*sekisho.Access // what bodies is made of, reused with the chunk
	marks  []mark            // where protected rows and the ends of cycles stand, in order
	req    ledger.Request
	ready  bool   // guarded by outbox.mu: durable, or nothing to wait for
	err    error  // guarded by outbox.mu: the ledger refused
	last   uint64 // guarded by outbox.mu: sequence number of its last Access
}

// access adds an empty Access to the chunk's entries.
func (c *chunk) access() *sekisho.Access {
	n := len(c.bodies)
	if n == len(c.spare) {
		c.spare = append(c.spare, new(sekisho.Access))
	}
	a := c.spare[n]
	*a = sekisho.Access{Subjects: a.Subjects[:0]}
	c.bodies = append(c.bodies, a)
	return a
}

// A mark is a place in a chunk's bytes.
type mark struct {
	at    int
	cycle bool // a ReadyForQuery begins here; else the first protected row of an access
}

// chunkBytes is the most output in one chunk, unless a single row is larger.
const chunkBytes = 128 << 10

// smallChunk is what an idle session holds on to.
const smallChunk = 8 << 10

// maxPending is how many chunks of a session may wait for the disk or for the
// client. It bounds the session's memory, and stops the reading of a result
// whose client does not take it.
const maxPending = 24

var (
	smallChunks = sync.Pool{New: func() any { return &chunk{buf: make([]byte, smallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &chunk{buf: make([]byte, chunkBytes)} }}
)

func newChunk(size int) *chunk {
	switch {
	case size <= smallChunk:
		return smallChunks.Get().(*chunk)
	case size <= chunkBytes:
		return largeChunks.Get().(*chunk)
	}
	return &chunk{buf: make([]byte, size)}
}

func (c *chunk) recycle() {
	size := cap(c.buf)
	c.buf = c.buf[:size]
	clear(c.bodies)
	c.bodies, c.marks = c.bodies[:0], c.marks[:0]
	c.out, c.ready, c.err, c.last = nil, false, nil, 0
	switch size {
	case smallChunk:
		smallChunks.Put(c)
	case chunkBytes:
		largeChunks.Put(c)
	}
}

// An outbox holds a session's chunks in order and writes each to the client
// when it may go. Whoever makes the head ready writes it: the server side, the
// ledger's committer (never blocking), or the session's writer goroutine.
type outbox struct {
	conn net.Conn
	raw  syscall.RawConn // for writes that do not block; nil with TLS

	mu       sync.Mutex
	space    sync.Cond // a chunk has gone, or err is set
	queue    []*chunk
	writing  bool // somebody writes; only they touch the head's bytes
	dropping bool // the rest of a cycle whose recording failed is being left out
	partial  int  // bytes of the head that have gone
	err      error
	wake     chan struct{} // for the writer: the committer could not finish

	released uint64 // sequence number of the last Access of which a byte was handed to the socket
	sent     uint64 // bytes handed to the socket
}

func newOutbox(conn net.Conn) *outbox {
	o := &outbox{conn: conn, wake: make(chan struct{}, 1)}
	o.space.L = &o.mu
	if sc, ok := conn.(syscall.Conn); ok {
		o.raw, _ = sc.SyscallConn()
	}
	return o
}

// put hands over a chunk: buf is what to release. It waits while too many
// chunks are pending. With entries, the ledger is asked first.
func (o *outbox) put(c *chunk, led func(*ledger.Request)) error {
	o.mu.Lock()
	for len(o.queue) >= maxPending && o.err == nil {
		o.space.Wait()
	}
	if o.err != nil {
		err := o.err
		o.mu.Unlock()
		return err
	}
	c.out = o
	o.queue = append(o.queue, c)
	if len(c.bodies) == 0 {
		c.ready = true
		o.mu.Unlock()
		o.flush(true)
		return nil
	}
	o.mu.Unlock()
	c.req.Bodies = c.bodies
	if c.req.Done == nil {
		c.req.Done = c.done
	}
	led(&c.req)
	return nil
}

// done is called by the ledger's committer: the entries are durable, or will
// never be. It must not block.
func (c *chunk) done(first sekisho.ID, err error) {
	o := c.out
	o.mu.Lock()
	c.ready, c.err = true, err
	if err == nil {
		c.last = first.Seq + uint64(len(c.bodies)) - 1
	}
	head := o.queue[0] == c
	o.mu.Unlock()
	if !head {
		return // whoever is at the head will come to it
	}
	if o.raw == nil {
		o.poke()
		return
	}
	o.flush(false)
}

func (o *outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// pending is the number of chunks that have not gone.
func (o *outbox) pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}

// flush writes what may go. With block false it stops where the socket would
// block, and wakes the writer.
func (o *outbox) flush(block bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing {
		return
	}
	o.writing = true
	for o.err == nil && len(o.queue) > 0 && o.queue[0].ready {
		c := o.queue[0]
		if o.partial == 0 {
			if c.err != nil || o.dropping {
				o.prune(c)
			}
			if c.err == nil && c.last > o.released {
				o.released = c.last
			}
		}
		rest := c.buf[o.partial:]
		o.mu.Unlock()
		n, err := o.write(rest, block)
		o.mu.Lock()
		o.sent += uint64(n)
		o.partial += n
		if err != nil {
			o.err = err
			o.space.Broadcast()
			break
		}
		if o.partial < len(c.buf) {
			o.poke()
			break
		}
		o.partial = 0
		k := copy(o.queue, o.queue[1:])
		o.queue[k] = nil
		o.queue = o.queue[:k]
		c.recycle()
		o.space.Broadcast()
	}
	o.writing = false
}

// write writes b, all of it if block.
func (o *outbox) write(b []byte, block bool) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if block || o.raw == nil {
		return o.conn.Write(b)
	}
	var n int
	var errno error
	err := o.raw.Write(func(fd uintptr) bool {
		n, errno = syscall.Write(int(fd), b)
		return true
	})
	n = max(n, 0)
	if err != nil {
		return n, err
	}
	if errno == syscall.EAGAIN || errno == syscall.EINTR {
		errno = nil
	}
	return n, errno
}

// errTransaction ends a session whose client was told of an error that the
// server does not know of, inside a transaction.
var errTransaction = errors.New("a statement could not be recorded and its transaction is still open")

// prune leaves out of a chunk what was not recorded. Rows of an access whose
// entry the ledger refused are replaced by an error, and so is all that
// follows up to the next ReadyForQuery, as a client expects after an error.
func (o *outbox) prune(c *chunk) {
	var kept []byte
	pos := 0
	for _, m := range c.marks {
		switch {
		case o.dropping && m.cycle:
			pos, o.dropping = m.at, false
			if c.buf[m.at+5] == 'T' {
				// The client takes its transaction for failed. Only closing the
				// connection makes the server think the same.
				o.err = errTransaction
			}
		case !o.dropping && !m.cycle && c.err != nil:
			kept = append(kept, c.buf[pos:m.at]...)
			kept = appendError(kept, "ERROR", ledgerRefusal(c.err))
			o.dropping = true
		}
	}
	if !o.dropping {
		kept = append(kept, c.buf[pos:]...)
	}
	c.buf = kept
	c.err = nil
	c.last = 0
}

// ledgerRefusal is what a client reads when its statement could not be
// recorded.
func ledgerRefusal(err error) *refusal {
	r := &refusal{code: "53100", reason: "ledger", text: "the access could not be recorded, so nothing was released"}
	if errors.Is(err, ledger.ErrFull) {
		r.hint = "The disk of sekisho's ledger is full. Statements that touch no protected table go on working."
	} else {
		r.hint = "sekisho's ledger does not accept entries. Statements that touch no protected table go on working."
	}
	return r
}

// loop is the writer goroutine: it finishes what the committer must not wait
// for. It ends when wake is closed.
func (o *outbox) loop() {
	for range o.wake {
		o.flush(true)
	}
}

// drain waits until every chunk has gone or cannot go any more.
func (o *outbox) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 && o.err == nil {
		o.space.Wait()
	}
}

// settle waits until the ledger has answered for every chunk so far, and gives
// the sequence number of the last Access it took.
func (o *outbox) settle() uint64 {
	o.drain()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.released
}

// fail ends all writing. Chunks that the ledger still holds stay with it.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.space.Broadcast()
}
