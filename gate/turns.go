package gate

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// turn is how long a thread of the gate asks to run at a time: the least that
// may be asked for. Since 6.12 Linux lets whoever wakes and asks for short turns
// run before who has asked for longer ones, so answers do not lie in full
// sockets, with the server asleep, until a client on the same processor has had
// its turn of milliseconds. No share of the processor is gained by it, and no
// privilege needed; older kernels take no notice. sched_setattr(2), sched_runtime.
const turn = 100 * time.Microsecond

// shortTurns asks for them for each thread of the process. Threads that it
// starts later ask for what the thread asks for that starts them. Who was given
// another policy than the usual one is left alone.
func shortTurns() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("listing the process's threads: %w", err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err == nil && attr.Policy == unix.SCHED_NORMAL {
			attr.Runtime = uint64(turn)
			err = unix.SchedSetAttr(id, attr, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("asking for short turns on the processor: %w", err)
		}
	}
	return nil
}
