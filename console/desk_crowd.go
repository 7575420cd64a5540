package console

import (
	"net"
	"net/http"
	"net/netip"
	"sekisho"
	"strings"
	"sync"
	"time"
)

// crowd keeps a door on its feet when everybody comes: so many at a
// time, so many a second, so many a minute from one address. Whoever is one too
// many is told so before anything of theirs is read, and comes again; nothing
// is half taken.
type crowd struct {
	inside     chan struct{}
	perAddress float64 // a minute
	inAll      float64 // a second
	behind     []netip.Addr
	now        func() time.Time

	mu    sync.Mutex
	all   bucket
	by    map[netip.Addr]*bucket
	swept time.Time
}

// A bucket is filled as time passes, and holds what one may do at once.
type bucket struct {
	left float64
	at   time.Time
}

const mostAddresses = 100_000

func newCrowd(atOnce, perAddress, inAll int, behind []string) *crowd {
	c := &crowd{inside: make(chan struct{}, atOnce), perAddress: float64(perAddress), inAll: float64(inAll), now: time.Now, by: map[netip.Addr]*bucket{}}
	for _, s := range behind {
		if a, err := sekisho.ParseAddress(s); err == nil { // Check came before
			c.behind = append(c.behind, a)
		}
	}
	return c
}

// take takes one, if there is one. rate is what comes a second, most what may
// gather. Else it says how long one has to wait.
func (b *bucket) take(now time.Time, rate, most float64) time.Duration {
	if b.at.IsZero() {
		b.left = most
	} else {
		b.left = min(most, b.left+now.Sub(b.at).Seconds()*rate)
	}
	b.at = now
	if b.left < 1 {
		return time.Duration((1 - b.left) / rate * float64(time.Second))
	}
	b.left--
	return 0
}

// wait is how long an address, or everybody, has to wait; 0 lets one in. One
// address counts as all that a provider's customer has.
func (c *crowd) wait(a netip.Addr) (status int, wait time.Duration) {
	if a.Is6() {
		p, _ := a.Prefix(64)
		a = p.Addr()
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.by) >= mostAddresses || now.Sub(c.swept) > 10*time.Minute {
		for addr, b := range c.by {
			if now.Sub(b.at) > time.Minute || len(c.by) >= mostAddresses { // a minute fills a bucket again
				delete(c.by, addr)
			}
		}
		c.swept = now
	}
	b := c.by[a]
	if b == nil {
		b = &bucket{}
		c.by[a] = b
	}
	if wait := b.take(now, c.perAddress/60, c.perAddress); wait > 0 {
		return http.StatusTooManyRequests, wait
	}
	if wait := c.all.take(now, c.inAll, 2*c.inAll); wait > 0 {
		return http.StatusServiceUnavailable, wait
	}
	return 0, 0
}

// visitor is whose turn it is: the proxy's word, if it is our proxy.
func (c *crowd) visitor(r *http.Request) netip.Addr {
	a := clientAddress(r)
	for _, p := range c.behind {
		if a != p {
			continue
		}
		list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if said, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			return said.WithZone("").Unmap()
		}
	}
	return a
}

// admit lets in who finds room.
func (c *crowd) admit(next http.Handler, busy func(w http.ResponseWriter, r *http.Request, status int, wait time.Duration)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, wait := c.wait(c.visitor(r)); status != 0 {
			busy(w, r, status, wait)
			return
		}
		select {
		case c.inside <- struct{}{}:
			defer func() { <-c.inside }()
			next.ServeHTTP(w, r)
		default:
			busy(w, r, http.StatusServiceUnavailable, 5*time.Second)
		}
	})
}

// How many browsers may be connected at a time; the next waits in the kernel's
// queue.
const (
	mostDeskConnections  = 4096
	mostStaffConnections = 16384
)

// Limited is a listener for the contact point's Server.
func Limited(l net.Listener) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, mostDeskConnections)}
}

// StaffLimited is a listener for the employees' door's Server.
func StaffLimited(l net.Listener) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, mostStaffConnections)}
}

type limited struct {
	net.Listener
	slots chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
