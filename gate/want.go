package gate

import (
	"sync"
	"sync/atomic"
)

// A want is one message that went upstream and whose reply has not been seen
// to the end. The server answers strictly in order, so one queue per session,
// of messages and not of types, says what every reply belongs to.
type want struct {
	typ      byte      // of the message sent: Q P B D E C S F, 'h' a Describe of the gate's own, 'c' the end of a client's COPY
	plan     *plan     // Q
	at       int       // Q: the statement whose reply is being read
	name     string    // of the statement (P, C) or portal (B, E, C)
	from     string    // B: of the statement
	kind     byte      // C: S or P
	ps       *prepared // P B D h
	portal   *portal   // B E D
	seen     bool      // E: its first reply has come
	looked   int       // Q and E: of so many of its statements the server side has asked whether they stand
	label    []byte    // E and Q: a notice for behind the answer
	rules    rulings   // E and Q over protected data: what the policy says of them
	refuse   *refusal  // what stands in the server's stead when it fails: this message was poisoned
	speak    *refusal  // P of a text that the gate cannot read: only an error may come
	number   uint64    // E and Q over protected data: of the first statement, in its session
	said     []*said   // what each of its statements was made for
	foretold *foretold // E and Q: its access, if that was written before its row, which has not come
	undo     func()    // takes back what sending it changed in the session's names

	rows    int32 // E: so many of the portal's at most; 0: all
	skipped int64 // E, Q: rows of the running statement that the client has not been given, because of OFFSET

	own     bool                    // the gate's own: that all is well is not the client's to read
	mute    bool                    // E: that it is done is not the client's to read yet
	undoes  bool                    // P: it has the server roll back what could not be recorded
	spoiled atomic.Pointer[refusal] // E, Q: the gate has ended the client's COPY, and why
	copyOut bool                    // E, Q: the server has begun to send a COPY
	late    bool                    // of a poisoned message: the refusal is recorded when the server comes to it
	failed  bool                    // Q: the server has given an error
	data    bool                    // S: data of a COPY that may be under way was sent before it
	encodes bool                    // E, Q: may change the encoding of what the client sends
}

// The client side decides by what it has sent, and cannot know yet what the
// server makes of it: a name may still mean what it meant before. So the server
// side keeps a second book, of the names that the server has confirmed, and
// compares: see replies.confirm.

// wants is the queue. The client side pushes just before it sends; the server
// side looks at the head and pops.
type wants struct {
	mu    sync.Mutex
	queue []*want
	head  int

	// After an error the server throws away all it gets until Sync. Sync is not
	// in the queue yet: what the client side sends until then is never answered.
	skip bool
	// The server is reading the client's COPY and ignores Sync until it ends.
	copyIn bool
	// A Sync was sent among the data: if the COPY has failed before the server
	// came to it, it is answered, and else it is not.
	maybe bool
	// The text that is on its way may have changed the client's encoding to
	// another than UTF-8: until the server has said what it is, bytes outside
	// ASCII mean nothing.
	foreign bool
	over    bool    // the server side has ended: nothing more is answered
	dropped []*want // by fail: they are never answered
	change  sync.Cond
}

// push puts w at the end. False: the server will never answer it, because it
// is skipping to the next Sync; then nothing may be believed of its effect.
func (q *wants) push(w *want) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.foreign = q.foreign || w.encodes
	if q.skip {
		if w.typ != 'S' {
			return false
		}
		q.skip = false
	}
	if q.copyIn {
		if w.typ == 'S' {
			q.maybe = true
			return true // ignored by the server, so not waited for
		}
		if w.typ == 'c' {
			q.copyIn = false
			return true
		}
	}
	if w.typ == 'c' && !q.anyCopyable() {
		return true // a CopyDone that nobody waits for: the server ignores it
	}
	if q.head > 64 && q.head*2 > len(q.queue) {
		n := copy(q.queue, q.queue[q.head:])
		clear(q.queue[n:])
		q.queue, q.head = q.queue[:n], 0
	}
	q.queue = append(q.queue, w)
	return true
}

// anyCopyable: something in the queue could turn out to be a COPY FROM STDIN,
// so that the end of the copy must be kept in its place.
func (q *wants) anyCopyable() bool {
	for _, w := range q.queue[q.head:] {
		if w.typ == 'E' || w.typ == 'Q' {
			return true
		}
	}
	return false
}

// first is the message whose reply comes next, or nil.
func (q *wants) first() *want {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropCopyEnds()
	if q.head == len(q.queue) {
		return nil
	}
	return q.queue[q.head]
}

// dropCopyEnds: an end of copy at the head had no copy to end.
func (q *wants) dropCopyEnds() {
	for q.head < len(q.queue) && q.queue[q.head].typ == 'c' {
		q.queue[q.head] = nil
		q.head++
	}
}

// pop takes the head away.
func (q *wants) pop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue[q.head] = nil
	q.head++
	if q.head == len(q.queue) {
		q.queue, q.head = q.queue[:0], 0
	}
	q.change.Broadcast()
}

// settle waits until the server has answered all that it was sent, or skips to
// the next Sync, or reads a COPY, or will never answer again. copying: it reads
// a COPY.
func (q *wants) settle() (copying bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change.L = &q.mu
	for {
		q.dropCopyEnds()
		if q.head == len(q.queue) || q.skip || q.copyIn || q.over {
			return q.copyIn
		}
		q.change.Wait()
	}
}

// end: the server answers nothing more.
func (q *wants) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	q.change.Broadcast()
}

// farBack is how far uncertain looks.
const farBack = 4096

// uncertain: what this name means depends on messages of an earlier cycle that
// the server has not answered: it may yet skip them. Within one cycle there is
// no doubt: what follows is skipped with them. kind is S or P, as in Close.
func (q *wants) uncertain(kind byte, name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	synced := false
	for i := len(q.queue) - 1; i >= q.head; i-- {
		if len(q.queue)-i > farBack {
			return true
		}
		w := q.queue[i]
		switch {
		case w.typ == 'S':
			synced = true
		case w.typ == 'P' && kind == 'S' && w.name == name, w.typ == 'B' && kind == 'P' && w.name == name,
			w.typ == 'C' && w.kind == kind && w.name == name, w.typ == 'Q' && name == "":
			if synced {
				return true
			}
		}
	}
	return false
}

// encoding notes, between two cycles, whether the client's encoding is UTF-8
// by the server's own word. Inside a transaction it may change back.
func (q *wants) encoding(utf8, settled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !utf8:
		q.foreign = true
	case settled && q.head == len(q.queue):
		q.foreign = false
	}
}

// isForeign: bytes outside ASCII may be in another encoding than UTF-8.
func (q *wants) isForeign() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.foreign
}

// left takes those that are never answered, and had something foretold: after
// the end of the server side, all that are left.
func (q *wants) left() []*want {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.dropped
	q.dropped = nil
	if q.over {
		all = append(all, q.queue[q.head:]...)
	}
	return all
}

// skipping: the server throws away what it gets until Sync.
func (q *wants) skipping() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.skip
}

// idle: nothing is under way.
func (q *wants) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropCopyEnds()
	return q.head == len(q.queue)
}

// copyFailed: a COPY by the simple protocol has ended in an error. Nothing is
// skipped then, and a Sync counts again. False: nobody can tell which.
func (q *wants) copyFailed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	sure := !q.maybe
	q.copyIn, q.maybe = false, false
	q.change.Broadcast()
	return sure
}

// copyEnded: the server has taken the whole COPY.
func (q *wants) copyEnded() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.maybe = false
}

// fail drops everything up to the next Sync, as the server does after an error
// in the extended protocol, and takes back what the dropped messages changed,
// last first. False: a COPY was given up with a Sync among its data, and nobody
// can tell whether that one will be answered.
func (q *wants) fail() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	end := q.head
	for end < len(q.queue) && q.queue[end].typ != 'S' {
		end++
	}
	for i := end - 1; i >= q.head; i-- {
		if undo := q.queue[i].undo; undo != nil {
			undo()
		}
		if q.queue[i].foretold != nil {
			q.dropped = append(q.dropped, q.queue[i])
		}
		q.queue[i] = nil
	}
	q.skip = end == len(q.queue)
	sure := !q.maybe
	q.copyIn, q.maybe = false, false
	q.head = end
	q.change.Broadcast()
	return sure
}

// copyStarted: the server has begun to read the client's COPY for the message
// at the head. It ignores every Sync that was sent since, up to the end of the
// copy. False: something else follows, which the server will fail on, and what
// of it is answered nobody can tell.
func (q *wants) copyStarted() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.maybe = false
	for i := q.head + 1; i < len(q.queue); i++ {
		switch q.queue[i].typ {
		case 'c':
			q.queue = append(q.queue[:i], q.queue[i+1:]...)
			return true
		case 'S':
			q.maybe = q.maybe || q.queue[i].data
			q.queue = append(q.queue[:i], q.queue[i+1:]...)
			i--
		default:
			return false
		}
	}
	q.copyIn = true
	q.change.Broadcast()
	return true
}
