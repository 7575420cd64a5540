package gate

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"sekisho"
	"sekisho/ledger"
)

// A chunk is output for the client, with the entries that must be durable
// before a byte of it leaves.
type chunk struct {
	out      *outbox
	buf      []byte
	bodies   []sekisho.Body    // Access entries; none: nothing to wait for
	spare    []*sekisho.Access // what bodies is made of, reused with the chunk
	marks    []mark            // in order
	size     int               // of buf when it was handed over
	req      ledger.Request
	foretold []*foretold // what it waits for besides
	waits    int         // guarded by outbox.mu: requests that the ledger has not answered
	ready    bool        // guarded by outbox.mu: durable, or nothing to wait for
	err      error       // guarded by outbox.mu: the ledger refused
	final    bool        // guarded by outbox.mu: nothing may follow it
	words    bool        // the session's last
	last     uint64      // guarded by outbox.mu: sequence number of its last Access
}

// access adds an empty Access to the chunk's entries.
func (c *chunk) access() *sekisho.Access {
	n := len(c.bodies)
	for n >= len(c.spare) { // not all of bodies are of spare
		c.spare = append(c.spare, new(sekisho.Access))
	}
	a := c.spare[n]
	*a = sekisho.Access{Subjects: a.Subjects[:0]}
	c.bodies = append(c.bodies, a)
	return a
}

// A mark is a place in a chunk's bytes.
type mark struct {
	at     int
	is     markKind
	number uint64 // of markRows: the access
}

type markKind byte

const (
	markRows   markKind = iota // the first row of an access in this chunk
	markEffect                 // a CommandComplete of what may have changed something
	markCycle                  // a ReadyForQuery
	markUndone                 // the error by which the server rolls back what was not recorded
)

// chunkBytes is the most output in one chunk, unless a single row is larger.
const chunkBytes = 128 << 10

// smallChunk is what an idle session holds on to.
const smallChunk = 8 << 10

// maxPending and maxPendingBytes are how many chunks of a session may wait for
// the disk or for the client. They bound the session's memory, and stop the
// reading of a result whose client does not take it.
const (
	maxPending      = 24
	maxPendingBytes = 8 << 20
)

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
	c.release()
	c.out, c.ready, c.err, c.final, c.words, c.last = nil, false, nil, false, false, 0
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
	conn io.Writer                 // writes that wait
	try  func([]byte) (int, error) // writes what there is room for; nil with TLS
	loop bool                      // a loop tells when there is room: nobody waits in a write

	mu       sync.Mutex
	space    sync.Cond // a chunk has gone, or err is set
	queue    []*chunk
	bytes    int  // in queue
	writing  bool // somebody writes; only they touch the head's bytes
	again    bool // something has happened since they looked
	dropping bool // the rest of a cycle whose recording failed is being left out
	effects  bool // of that cycle: something may have been changed by it
	changed  bool // in the running cycle something may have been changed
	lost     bool // an entry was refused, or a statement cut off: what was written meanwhile must not be committed
	partial  int  // bytes of the head that have gone
	silent   bool // what has not begun to go does not go, but for the last words
	err      error
	wake     chan struct{} // for the writer: the committer could not finish
	ended    chan struct{} // for the writer: the session is over

	// refused is told when the ledger refuses a chunk; it must not block.
	refused func()
	// over is called, on a goroutine of its own, when nothing may follow.
	over func()
	// leftOut is told, on a goroutine of its own, the numbers of accesses whose
	// rest was left out, and the last Access that was released before.
	leftOut func(numbers []uint64, released uint64)

	released uint64 // sequence number of the last Access of which a byte was handed to the socket
	sent     uint64 // bytes handed to the socket
}

func newOutbox(conn net.Conn) *outbox {
	o := &outbox{conn: conn, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	o.space.L = &o.mu
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.try = func(b []byte) (int, error) { return tryRaw(raw, b) }
		}
	}
	return o
}

// overWire has the outbox write to a loop's wire, before anything was put in.
func (o *outbox) overWire(w *wire) {
	o.conn, o.try, o.loop = nil, w.try, true
	w.room = func() { o.flush(false) }
}

// put hands over a chunk: buf is what to release. It waits while too many
// chunks are pending. With entries, the ledger is asked first.
func (o *outbox) put(c *chunk, led func(*ledger.Request), t *strand) error {
	o.mu.Lock()
	for o.crowded(len(c.buf)) {
		o.mu.Unlock()
		o.untilRoom(len(c.buf), t)
		o.mu.Lock()
	}
	if o.err != nil {
		err := o.err
		o.mu.Unlock()
		return err
	}
	c.out, c.size = o, len(c.buf)
	o.bytes += c.size
	o.queue = append(o.queue, c)
	if c.hold(); len(c.bodies) == 0 {
		if c.ready = c.waits == 0; !c.ready {
			o.mu.Unlock()
			return nil
		}
		o.mu.Unlock()
		o.flush(true)
		return nil
	}
	c.waits++
	o.mu.Unlock()
	c.req.Bodies = c.bodies
	if c.req.Done == nil {
		c.req.Done = c.done
	}
	led(&c.req)
	return nil
}

// crowded: so many bytes more are too many. o.mu is held.
func (o *outbox) crowded(more int) bool {
	return o.err == nil && (len(o.queue) >= maxPending || len(o.queue) > 0 && o.bytes+more > maxPendingBytes)
}

// untilRoom waits for room for so many bytes.
func (o *outbox) untilRoom(more int, t *strand) {
	t.wait(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for o.crowded(more) {
			o.space.Wait()
		}
	})
}

// done is called by the ledger's committer: the entries are durable, or will
// never be. It must not block.
func (c *chunk) done(first sekisho.ID, err error) {
	o := c.out
	if err != nil && o.refused != nil {
		o.refused()
	}
	o.arrived(c, first.Seq+uint64(len(c.bodies))-1, err)
}

// poke has the writer go on. A loop knows by itself when there is room.
func (o *outbox) poke() {
	if o.loop {
		return
	}
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
		o.again = true
		return
	}
	o.writing = true
	for o.err == nil && len(o.queue) > 0 && o.queue[0].ready {
		c := o.queue[0]
		if o.partial == 0 {
			if c.err != nil || o.dropping {
				o.prune(c)
			} else {
				for _, m := range c.marks {
					o.changed = m.is == markEffect || o.changed && m.is != markCycle && m.is != markUndone
				}
			}
			if o.silent && !c.words {
				c.buf, c.final, c.last = c.buf[:0], false, 0
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
			o.err = fmt.Errorf("%w: %w", errClientGone, err)
			o.space.Broadcast()
			break
		}
		if o.partial < len(c.buf) {
			if o.again {
				o.again = false
				continue
			}
			o.poke()
			break
		}
		o.partial = 0
		if c.final {
			o.err = errTransaction
			if o.over != nil {
				go o.over()
			}
		}
		k := copy(o.queue, o.queue[1:])
		o.queue[k] = nil
		o.queue = o.queue[:k]
		o.bytes -= c.size
		c.recycle()
		o.space.Broadcast()
	}
	o.writing, o.again = false, false
}

// write writes b, all of it if block.
func (o *outbox) write(b []byte, block bool) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if o.try == nil || block && !o.loop {
		return o.conn.Write(b)
	}
	return o.try(b)
}

// tryRaw writes what there is room for to a connection that the runtime's
// poller watches.
func tryRaw(raw syscall.RawConn, b []byte) (int, error) {
	var n int
	var errno error
	err := raw.Write(func(fd uintptr) bool {
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
// server does not know of, where that matters.
var errTransaction = errors.New("a statement was cut off, and the server's transaction is not the client's")

// cutTransaction says so to the client.
var cutTransaction = &refusal{code: "25000", text: "the connection is closed so that its open transaction is rolled back", hint: "A statement inside it was cut off; see the error before this one."}

// cutEffect is for what the server has committed, and the client cannot know.
var cutEffect = &refusal{code: "08007", text: "the connection is closed because what other statements of the same batch have changed may stay, and not all their answers were given", hint: "Look whether their changes are there; see the error before this one."}

// prune leaves out of a chunk what was not recorded. Rows of an access whose
// entry the ledger refused are replaced by an error, and so is all that
// follows up to the next ReadyForQuery, as a client expects after an error.
// Where the server's view and the client's then differ, the chunk ends in the
// session's last words.
func (o *outbox) prune(c *chunk) {
	var kept []byte
	var numbers []uint64
	defer func() {
		c.buf, c.err = kept, nil
		if len(numbers) > 0 && o.leftOut != nil {
			go o.leftOut(numbers, o.released)
		}
	}()
	refused := c.err
	if refused != nil {
		c.last = 0
	}
	pos := 0
	for _, m := range c.marks {
		if m.is == markRows && (o.dropping || refused != nil) {
			numbers = append(numbers, m.number)
		}
		switch {
		case !o.dropping && m.is == markRows && refused != nil:
			kept = append(kept, c.buf[pos:m.at]...)
			kept = appendError(kept, "ERROR", ledgerRefusal(refused))
			o.dropping, o.effects = true, o.changed
		case m.is == markUndone:
			o.changed, o.effects = false, false
		case m.is == markEffect:
			o.changed = true
			o.effects = o.dropping
		case m.is == markCycle && !o.dropping:
			o.changed = false
		case m.is == markCycle:
			pos, o.dropping, o.changed = m.at, false, false
			if why := disagreement(c.buf[m.at+5], o.effects); why != nil {
				kept = appendError(kept, "FATAL", why)
				c.final = true
				return
			}
		}
	}
	if !o.dropping {
		kept = append(kept, c.buf[pos:]...)
	}
}

// reasonLedger is the code of refusals that may pass by themselves.
const reasonLedger = "ledger"

// ledgerRefusal is what a client reads when its statement could not be
// recorded.
func ledgerRefusal(err error) *refusal {
	r := &refusal{code: "53100", reason: reasonLedger, text: "the access could not be recorded, so nothing was released"}
	if errors.Is(err, ledger.ErrFull) {
		r.hint = "The disk of sekisho's ledger is full. Statements that touch no protected table go on working."
	} else {
		r.hint = "sekisho's ledger does not accept entries. Statements that touch no protected table go on working."
	}
	return r
}

// writeLoop is the writer goroutine: it finishes what the committer must not wait
// for. wake is never closed: the committer may still have something to say
// after the session's end.
func (o *outbox) writeLoop() {
	for {
		select {
		case <-o.wake:
			o.flush(true)
		case <-o.ended:
			return
		}
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
func (o *outbox) settle(t *strand) uint64 {
	t.wait(o.drain)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.released
}

// failure is why nothing is written any more; nil if that is not so.
func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
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
