package gate

// A strand is one side of a session: code that reads, judges and sends in
// straight lines, and waits where it must. It runs on a goroutine of its own,
// where waiting is what Go does by itself, or as a coroutine of a loop, which
// then serves others meanwhile. The code is the same.
type strand struct {
	loop  *loop // nil: on a goroutine
	yield func(pause) bool
	next  func() (pause, bool)
	job   func() // for pauseJob
	read  int    // bytes since its turn began
}

// A pause says what a strand of a loop waits for.
type pause byte

const (
	pauseRead  pause = iota // bytes to read
	pauseWrite              // room to write
	pauseJob                // the end of job
	pauseTurn               // nothing: others shall have their turn
	pauseSend               // the commit of what it foretold, to send with the others
)

// goroutine is the strand of whoever runs on a goroutine.
var goroutine = &strand{}

// wait runs what may take its time: the disk's, the server's or the client's.
// Nothing inside may read from or write to a wire.
func (t *strand) wait(f func()) {
	if t.loop == nil {
		f()
		return
	}
	t.job = f
	t.yield(pauseJob)
}
