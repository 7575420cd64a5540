package drill

import (
	"sync"
	"time"
)

// A clock stands still until the drill moves it on. Once it runs it goes on
// from where it stood, as fast as any other.
type clock struct {
	mu      sync.Mutex
	at      time.Time
	started time.Time // by the machine's clock; zero while it stands still
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		return c.at
	}
	return c.at.Add(time.Since(c.started))
}

// set moves the clock; it never goes back.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.at) {
		c.at = t
	}
}

// run lets it go on; once is enough.
func (c *clock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		c.started = time.Now()
	}
}
