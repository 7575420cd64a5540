// Package porter bounds who is connected to a door of the house at a time, so
// that strangers can neither fill it nor keep those out who are known there.
package porter

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// A Porter stands at one door: its State is the http.Server's ConnState, and
// Knows is called for whoever has shown a word. Who finds no room is hung up on
// at once, before TLS. Strangers share their own room; what they fill is never
// that of known addresses. Safe for concurrent use.
type Porter struct {
	Strangers  int // connections from addresses that are not known
	PerAddress int // of one of those; all of an IPv6 /64 is one
	PerKnown   int // of one that is known

	mu    sync.Mutex
	all   map[net.Conn]guest
	by    map[netip.Prefix]int
	out   int // strangers who are in
	known map[netip.Prefix]bool
}

type guest struct {
	from     netip.Prefix
	stranger bool
}

// mostKnown is how many addresses are remembered; beyond it one is forgotten,
// and is a stranger until it shows its word again.
const mostKnown = 4096

// New is a porter for a door to which a few hundred programs come.
func New() *Porter {
	return &Porter{Strangers: 256, PerAddress: 16, PerKnown: 64, all: map[net.Conn]guest{}, by: map[netip.Prefix]int{}, known: map[netip.Prefix]bool{}}
}

// whose is what counts as one address. Whoever has one of IPv6 has its /64.
func whose(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{} // all of those are one
	}
	a, bits := at.Addr().WithZone("").Unmap(), 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// State follows a connection from its beginning to its end.
func (p *Porter) State(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		if !p.enter(c) {
			c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		p.leave(c)
	}
}

func (p *Porter) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := whose(c.RemoteAddr().String())
	g := guest{from, !p.known[from]}
	switch {
	case g.stranger && (p.out >= p.Strangers || p.by[from] >= p.PerAddress):
		return false
	case !g.stranger && p.by[from] >= p.PerKnown:
		return false
	}
	p.all[c] = g
	p.by[from]++
	if g.stranger {
		p.out++
	}
	return true
}

func (p *Porter) leave(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.all[c]
	if !ok {
		return
	}
	delete(p.all, c)
	if p.by[g.from]--; p.by[g.from] == 0 {
		delete(p.by, g.from)
	}
	if g.stranger {
		p.out--
	}
}

// Knows: whoever made this request has shown a word that is right.
func (p *Porter) Knows(r *http.Request) {
	p.know(whose(r.RemoteAddr))
}

// Trusts: this address is known from the beginning, such as a proxy's behind
// which everybody comes.
func (p *Porter) Trusts(a netip.Addr) { p.know(whose(netip.AddrPortFrom(a, 0).String())) }

func (p *Porter) know(from netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known[from] {
		return
	}
	if len(p.known) >= mostKnown {
		for one := range p.known {
			delete(p.known, one)
			break
		}
	}
	p.known[from] = true
	for c, g := range p.all {
		if g.from == from && g.stranger {
			p.all[c] = guest{from, false}
			p.out--
		}
	}
}
