package lease

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Clock gives a clock that nobody sets and that runs in sleep, too: which start of
// the machine it counts from, and the microseconds since then.
func Clock() (func() (boot string, since uint64), error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("leases: asking which start of the machine this is: %w", err)
	}
	boot := strings.TrimSpace(string(id))
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
		return nil, fmt.Errorf("leases: reading the clock: %w", err)
	}
	return func() (string, uint64) {
		var at unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
			return "", 0 // no share is of this start: nothing is spent
		}
		return boot, uint64(at.Nano()) / 1000
	}, nil
}
