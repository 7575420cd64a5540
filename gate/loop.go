package gate

import (
	"fmt"
	"iter"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sekisho/ledger"
)

// A loop serves many sessions without TLS on one goroutine. It asks the kernel
// which wires have something to read, runs the strands that wait for it until
// each waits again, and then commits what they have to record, all in one
// group. So a statement costs its four system calls and a share of one flush,
// and no goroutine is woken for it.
//
// What may take long (reading new SQL, an entry that must be durable before the
// session goes on, a full queue) a strand gives to a goroutine of its own, by
// wait, and the loop goes on with others.
type loop struct {
	poll   int // epoll
	bell   int // eventfd: somebody tells something
	ledger *ledger.Ledger

	mu     sync.Mutex
	told   []func()
	asleep bool // the bell must be rung
	ends   bool

	// Of the loop alone.
	wires   []*wire // by slot
	lives   []int32 // of the slots
	unused  []int
	events  []unix.EpollEvent
	turns   []*strand // who has had its turn and has more to do
	held    []*strand // who waits to send a foretold statement upstream, until the next commit
	sent    []*strand // the other of two such lists, empty
	owed    bool      // something was queued for the ledger and not committed
	jobs    int       // strands whose job runs elsewhere
	stopped chan struct{}
}

// theBell stands for a wire in the events about the bell.
const theBell = -1

// newLoop starts a loop whose sessions record in led.
func newLoop(led *ledger.Ledger) (*loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(poll)
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	l := &loop{poll: poll, bell: bell, ledger: led, events: make([]unix.EpollEvent, 256), stopped: make(chan struct{})}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: theBell}); err != nil {
		unix.Close(poll)
		unix.Close(bell)
		return nil, fmt.Errorf("watching the eventfd: %w", err)
	}
	go l.run()
	return l, nil
}

// end ends the loop, which serves nobody any more.
func (l *loop) end() {
	l.tell(func() { l.ends = true })
	<-l.stopped
	unix.Close(l.poll)
	unix.Close(l.bell)
}

// tell has the loop call f. f must not block.
func (l *loop) tell(f func()) {
	l.mu.Lock()
	l.told = append(l.told, f)
	ring := l.asleep
	l.asleep = false
	l.mu.Unlock()
	if ring {
		one := [8]byte{1}
		rawWrite(l.bell, one[:])
	}
}

// queue hands a chunk's entries to the ledger, which is asked to commit at the
// end of the round. For strands alone.
func (l *loop) queue(r *ledger.Request) {
	l.ledger.Queue(r)
	l.owed = true
}

// watch has the kernel tell what happens on a wire. It may be called before
// anybody reads from it.
func (l *loop) watch(w *wire) {
	if n := len(l.unused); n > 0 {
		w.slot, l.unused = l.unused[n-1], l.unused[:n-1]
	} else {
		w.slot = len(l.wires)
		l.wires, l.lives = append(l.wires, nil), append(l.lives, 0)
	}
	w.life = l.lives[w.slot]
	l.wires[w.slot] = w
	w.poll = l.poll
	if err := w.ask(unix.EPOLL_CTL_ADD, false); err != nil {
		w.Close() // out of memory, or of watches: whoever reads finds the end
		w.ended = true
	}
}

// forget ends the watching and gives the descriptor back.
func (l *loop) forget(w *wire) {
	unix.EpollCtl(l.poll, unix.EPOLL_CTL_DEL, w.fd, nil)
	w.release()
	l.wires[w.slot] = nil
	l.lives[w.slot]++ // an event that was fetched already is not the next one's
	l.unused = append(l.unused, w.slot)
}

// begin runs body as a strand.
func (l *loop) begin(t *strand, body func()) {
	t.loop = l
	t.next, _ = iter.Pull(func(yield func(pause) bool) {
		t.yield = yield
		body()
	})
	l.tell(func() { l.resume(t) })
}

// ask has the loop call f, and waits for it. Not for strands.
func (l *loop) ask(f func()) {
	done := make(chan struct{})
	l.tell(func() {
		f()
		close(done)
	})
	<-done
}

// resume runs a strand until it waits.
func (l *loop) resume(t *strand) {
	why, more := t.next()
	for more && why == pauseSend && !l.owed {
		why, more = t.next() // that commit has been
	}
	if !more {
		return
	}
	switch why {
	case pauseJob:
		l.jobs++
		job := t.job
		t.job = nil
		go func() {
			job()
			l.tell(func() {
				l.jobs--
				l.resume(t)
			})
		}()
	case pauseSend:
		l.held = append(l.held, t)
	case pauseTurn:
		t.read = 0
		l.turns = append(l.turns, t)
	}
}

// rounds is how often the loop looks for more before it commits.
const rounds = 2

// Processors gives Go two processors more than the machine has. The loop holds
// one while it waits a millisecond for the kernel, and another while it waits
// for the disk; with one to spare, Go's own watchman does not come every 20 µs
// to take them away. It is for main, unless GOMAXPROCS says otherwise.
func Processors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
}

// hangs is how long a commit may keep the loop. A disk that took longer than a
// quick one until now has the committer; this is for one that stops answering.
const hangs = 50 * time.Millisecond

// run serves until the loop ends, or until another has taken over because a
// commit did not return.
func (l *loop) run() {
	relief := time.AfterFunc(time.Hour, l.run)
	relief.Stop()
	busy := false
	for !l.ends {
		busy = l.round(l.patience(busy))
		if !l.owed {
			l.sendHeld() // from before a relief
			continue
		}
		// Those who are about to send, here or on the other side of a socket, may
		// come along. This waits for nobody.
		for range rounds {
			syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
			if !l.round(0) {
				break
			}
		}
		if !l.commit(relief) {
			return // the loop is another's, and nothing of it may be touched
		}
	}
	close(l.stopped)
}

// commit has the ledger commit what is owed. False: the disk has not answered
// for so long that relief has given the loop to another.
func (l *loop) commit(relief *time.Timer) bool {
	mine := true
	l.owed = false
	relief.Reset(hangs)
	l.ledger.Commit(func() {
		if mine = relief.Stop(); mine {
			if len(l.held) > 0 {
				l.sendHeld()
			} else {
				l.round(0) // answers that nobody could foretell: the next are read while the disk writes these
			}
			relief.Reset(hangs)
		}
	})
	return mine && relief.Stop()
}

// sendHeld lets go upstream what was held back until now, when its accesses are
// on their way to the disk: so the servers work while the disk does, all of them
// at once, and not while the loop is still collecting.
func (l *loop) sendHeld() {
	held := l.held
	l.held = l.sent[:0]
	for i, t := range held {
		held[i] = nil
		l.resume(t)
	}
	l.sent = held
}

// How long a round may wait.
const (
	forever = -1
	brief   = 1 // ms
)

// patience is how long the next round may wait for the kernel. A brief wait
// keeps a processor from others, so there must be another, and nothing of the
// loop's own waiting for it.
func (l *loop) patience(busy bool) int {
	switch {
	case len(l.turns) > 0 || len(l.held) > 0 || l.owed:
		return 0
	case busy && l.jobs == 0 && runtime.GOMAXPROCS(0) > 1:
		return brief
	}
	return forever
}

// round takes what the kernel tells, and what others tell, and runs who waited
// for it. False: there was nothing.
func (l *loop) round(wait int) bool {
	l.mu.Lock()
	told := l.told
	l.told = nil
	if l.asleep = wait != 0 && len(told) == 0; !l.asleep {
		wait = 0
	}
	l.mu.Unlock()
	n := l.wait(wait)
	if wait != 0 {
		l.mu.Lock()
		l.asleep = false
		l.mu.Unlock()
	}
	for _, f := range told {
		f()
	}
	turns := l.turns
	l.turns = nil
	for _, e := range l.events[:n] {
		if e.Fd == theBell {
			var count [8]byte
			rawRead(l.bell, count[:])
			continue
		}
		w := l.wires[e.Fd]
		if w == nil || w.life != e.Pad {
			continue
		}
		l.happened(w, e.Events)
	}
	for _, t := range turns {
		l.resume(t)
	}
	return n > 0 || len(told) > 0 || len(turns) > 0
}

// happened runs who waited for what the kernel tells of a wire.
func (l *loop) happened(w *wire, events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		w.ended = true
	}
	if events&unix.EPOLLIN != 0 {
		w.readable = true
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		w.ask(unix.EPOLL_CTL_MOD, false)
		if w.writing {
			w.writing = false
			l.resume(w.writer)
		}
		if w.room != nil {
			w.room()
		}
	}
	if w.reading && (w.readable || w.ended) {
		w.reading = false
		w.reader.read = 0
		l.resume(w.reader)
	}
}

// wait asks the kernel for events. The short wait of a busy loop keeps the
// scheduler out of it: to leave a processor and to take one again costs more
// than what is to be done. The collector can still interrupt it.
func (l *loop) wait(ms int) int {
	for {
		var n int
		var err error
		if ms == forever {
			n, err = unix.EpollWait(l.poll, l.events, ms)
		} else {
			r, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.poll), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), uintptr(ms), 0, 0)
			if n = int(r); errno != 0 {
				n, err = 0, errno
			}
		}
		if err == unix.EINTR && ms != forever {
			return 0
		}
		if err != unix.EINTR {
			return max(n, 0)
		}
	}
}
