package gate

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Threads that were there ask for short turns, and for the usual ones again, and
// so do those that come later; a thread that was given less of the processor
// keeps to that.
func TestShortTurns(t *testing.T) {
	if err := askTurns(usual); err != nil { // a gate of another test may have been busy
		t.Fatal(err)
	}
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if before.Runtime == 0 {
		t.Skip("this kernel knows no turns of one's own (before Linux 6.12)")
	}
	for _, length := range []time.Duration{turn, usual, turn, usual} {
		if err := askTurns(length); err != nil {
			t.Fatal(err)
		}
		want := *before
		if length != usual {
			want.Runtime = uint64(length)
		}
		eachThread(t, want)
	}
}

func eachThread(t *testing.T, want unix.SchedAttr) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err == unix.ESRCH {
			continue
		}
		if err != nil || *attr != want {
			t.Errorf("thread %d: %+v, %v", id, attr, err)
		}
	}
}
