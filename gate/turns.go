package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// turn is how long a thread of a busy gate asks to run at a time: the least that
// may be asked for. Since 6.12 Linux lets whoever wakes and asks for short turns
// run before who has asked for longer ones, so answers do not lie in full
// sockets, with the server asleep, until a client on the same processor has had
// its turn of milliseconds. No share of the processor is gained by it, and no
// privilege needed; older kernels take no notice. sched_setattr(2), sched_runtime.
const turn = 100 * time.Microsecond

// usual has the kernel give the turns that it gives to everybody.
const usual = 0

// A gate with little to do asks for nothing: where answers come one by one, to
// run before the server that has just woken it makes half of them later by a third
// of a durable write. Much to do is either: to run for so long, or to wait for a
// processor for so long, each in a second of its threads together.
const (
	busyRun, busyWait = 420 * time.Millisecond, 400 * time.Millisecond
	idleRun, idleWait = 380 * time.Millisecond, 300 * time.Millisecond
	every             = 200 * time.Millisecond
)

// keepTurns asks for short turns while the process is busy, until ctx ends.
func (g *Gate) keepTurns(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	short := false
	at := time.Now()
	ran, waited, err := processor()
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		var r, w time.Duration
		if r, w, err = processor(); err != nil {
			break
		}
		perSecond := func(d time.Duration) time.Duration { return time.Duration(float64(d) / now.Sub(at).Seconds()) }
		run, wait := perSecond(r-ran), perSecond(w-waited) // too little where a thread has ended
		at, ran, waited = now, r, w
		switch {
		case !short && (run >= busyRun || wait >= busyWait):
			short, err = true, askTurns(turn)
		case short && run < idleRun && wait < idleWait:
			short, err = false, askTurns(usual)
		}
	}
	g.log.Debug("the gate takes the processor as everybody does", "error", err) // a sandbox may forbid it
}

// processor is for how long the process's threads have run, and waited for a
// processor. proc_pid_schedstat(5).
func processor() (ran, waited time.Duration, err error) {
	ids, err := threads()
	if err != nil {
		return 0, 0, err
	}
	for _, id := range ids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", id))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		var r, w time.Duration
		if err == nil {
			_, err = fmt.Sscan(string(text), &r, &w)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("reading how long a thread has run: %w", err)
		}
		ran, waited = ran+r, waited+w
	}
	return ran, waited, nil
}

// askTurns asks for turns of this length for each thread of the process. Threads
// that it starts later ask for what the thread asks for that starts them. Who was
// given another policy than the usual one is left alone.
func askTurns(length time.Duration) error {
	ids, err := threads()
	if err != nil {
		return err
	}
	for _, id := range ids {
		attr, err := unix.SchedGetAttr(id, 0)
		if err == nil && attr.Policy == unix.SCHED_NORMAL {
			attr.Runtime = uint64(length)
			err = unix.SchedSetAttr(id, attr, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("asking for turns on the processor: %w", err)
		}
	}
	return nil
}

// threads are the process's own, by number.
func threads() (ids []int, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, fmt.Errorf("listing the process's threads: %w", err)
	}
	for _, task := range tasks {
		if id, err := strconv.Atoi(task.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
