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
	speed   float64   // of it, once it runs; 0 is 1
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		return c.at
	}
	since := time.Since(c.started)
	if c.speed != 0 {
		since = time.Duration(float64(since) * c.speed)
	}
	return c.at.Add(since)
}

// set moves the clock; it never goes back.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.at) {
		c.at = t
	}
}

// pace lets it go on, so many times as fast as the machine's.
func (c *clock) pace(speed float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.speed, c.started = speed, time.Now()
}

// run lets it go on; once is enough.
func (c *clock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		c.started = time.Now()
	}
}
