package contain

import (
	"net/netip"
	"slices"
	"strings"

	"sekisho"
	"sekisho/view"
)

// Census is the view of every terminal that the ledger knows: which came to the
// gate, read there, were spoken for, or hold a certificate; who sat there, and
// at which addresses.
type Census struct {
	ends     map[string]*terminal
	at       map[netip.Addr]string // the terminal that last proved to be there
	behind   *view.Behind
	sessions map[uint64]bool // at the gate
	version  uint64          // counts changes of addresses
}

type terminal struct {
	read      sekisho.Time // when it last did; 0: never
	seen      sekisho.Time // when it was last at the gate, or spoken for
	stated    bool         // only a program says that it is there
	certified sekisho.Time // until when a certificate of it is good; 0: none
	people    map[uint32]sekisho.Time
	roles     map[string]bool
	addresses []netip.Addr
}

// NewCensus knows nothing.
func NewCensus() *Census {
	return &Census{ends: map[string]*terminal{}, at: map[netip.Addr]string{}, behind: view.NewBehind(), sessions: map[uint64]bool{}}
}

func (*Census) Name() string { return "contain-census" }

// unverified is how a terminal is called that proves nothing: by its address.
const unverified = "unverified@"

// Apply folds one entry.
func (c *Census) Apply(e *sekisho.Entry) {
	c.behind.Apply(e)
	switch b := e.Body.(type) {
	case *sekisho.SessionOpened:
		if b.Door != sekisho.DoorGate {
			return
		}
		c.sessions[e.ID.Seq] = true
		t := c.terminal(b.Endpoint)
		t.sits(b.Principal, b.Role, e.Time)
		if b.Address.IsValid() && (b.Verified || strings.HasPrefix(b.Endpoint, unverified)) {
			c.found(b.Endpoint, t, b.Address.WithZone("").Unmap(), b.Verified)
		}
	case *sekisho.SessionClosed:
		delete(c.sessions, b.Session)
	case *sekisho.LedgerOpened:
		clear(c.sessions)
	case *sekisho.OnBehalf:
		if b.Endpoint != "" {
			t := c.terminal(b.Endpoint)
			t.stated = t.stated || t.certified == 0 && len(t.addresses) == 0
			t.sits(b.Principal, "", e.Time)
		}
	case *sekisho.Access:
		if !c.sessions[b.Session] {
			return
		}
		if who := c.behind.Of(b.Session, b.Number); who != nil && who.Endpoint != "" {
			c.terminal(who.Endpoint).read = e.Time
			if who.Through != nil { // the program's server has read it, too
				c.terminal(who.Through.Endpoint).read = e.Time
			}
		}
	case *sekisho.Certified:
		switch b.Action {
		case "issued", "login":
			t := c.terminal(b.Endpoint)
			t.certified = max(t.certified, b.Until)
		case "revoked":
			c.terminal(b.Endpoint).certified = 0
		}
	}
}

func (c *Census) terminal(name string) *terminal {
	t := c.ends[name]
	if t == nil {
		t = &terminal{people: map[uint32]sekisho.Time{}, roles: map[string]bool{}}
		c.ends[name] = t
	}
	return t
}

func (t *terminal) sits(person uint32, role string, at sekisho.Time) {
	t.seen = at
	if person != 0 {
		t.people[person] = at
	}
	if role != "" {
		t.roles[role] = true
	}
}

// found notes that a terminal was at an address. Who proves to be there takes it
// from whoever proved so before.
func (c *Census) found(name string, t *terminal, a netip.Addr, proved bool) {
	if proved {
		if before := c.at[a]; before == name {
			return
		} else if before != "" {
			old := c.ends[before]
			old.addresses = slices.DeleteFunc(slices.Clone(old.addresses), func(x netip.Addr) bool { return x == a })
		}
		c.at[a] = name
	} else if slices.Contains(t.addresses, a) {
		return
	}
	c.version++
	t.addresses = append(slices.Clone(t.addresses), a)
}

// whereabouts are the addresses at which a terminal is known: those that the
// config lists for it, and those at which nobody has proved to be since. One on
// the gate's own machine says nothing to a firewall elsewhere, whose own loopback
// has the same address.
func (c *Census) whereabouts(listed map[string][]netip.Prefix, name string) []netip.Prefix {
	list := slices.Clone(listed[name])
	if t := c.ends[name]; t != nil {
		for _, a := range t.addresses {
			if !a.IsLoopback() {
				list = append(list, netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	if a, err := netip.ParseAddr(strings.TrimPrefix(name, unverified)); err == nil && strings.HasPrefix(name, unverified) {
		list = append(list, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}
