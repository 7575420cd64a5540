package sekisho

import "net/netip"

// Door is the way in.
type Door byte

const (
	DoorGate    Door = 1 // the PostgreSQL gate
	DoorConsole Door = 2 // a person at the console
	DoorCommand Door = 3 // a person at the command line of the sekisho machine
	DoorLog     Door = 4 // the database's own log, read afterwards: a login that stood behind glass
	DoorDesk    Door = 5 // a customer at the contact point, who is told about themselves
	DoorNotice  Door = 6 // sekisho itself, which reads the addresses of people who are told of an incident
	DoorStaff   Door = 7 // a member of staff at the employees' door, who sees what is theirs
)

func (d Door) String() string {
	switch d {
	case DoorGate:
		return "gate"
	case DoorConsole:
		return "console"
	case DoorCommand:
		return "command"
	case DoorLog:
		return "log"
	case DoorDesk:
		return "desk"
	case DoorNotice:
		return "notice"
	case DoorStaff:
		return "staff"
	}
	return "unknown"
}

// SessionOpened says who came in, from where. Later entries name the session
// by this entry's sequence number.
type SessionOpened struct {
	Door        Door
	Principal   uint32 // ordinal in the space "staff"
	Role        string // the role of the config that the principal acts in
	Endpoint    string // the name in the client certificate; at the gate without one "unverified@" + address; at the console "console@" + address; at the command line and the contact point "sekisho"
	Verified    bool   // a client certificate proved the endpoint
	Address     netip.Addr
	Application uint32 // ordinal in the space "application"; 0 for none
	TLS         bool
}

func (*SessionOpened) Kind() Kind { return KindSessionOpened }
func (b *SessionOpened) code(c *coder) {
	c.byte((*byte)(&b.Door))
	c.uint32(&b.Principal)
	c.string(&b.Role)
	c.string(&b.Endpoint)
	c.bool(&b.Verified)
	c.addr(&b.Address)
	c.uint32(&b.Application)
	c.bool(&b.TLS)
}

// SessionClosed ends a session.
type SessionClosed struct {
	Session uint64 // sequence number of its SessionOpened
	Reason  string // "terminate", "client_gone", "server_gone", "shutdown", "protocol", "refused", "upstream" (the database could not be reached when the client first asked), "revoked" (its certificate was taken back), "contained" (an order of containment)
	Bytes   uint64 // bytes sent to the client in all
}

func (*SessionClosed) Kind() Kind { return KindSessionClosed }
func (b *SessionClosed) code(c *coder) {
	c.uint(&b.Session)
	c.string(&b.Reason)
	c.uint(&b.Bytes)
}

// SessionRefused says that somebody did not get in. The name that was tried is
// not kept unless it is a known principal's: people type passwords into it.
type SessionRefused struct {
	Door      Door
	Principal uint32 // ordinal in "staff" if the name is known; else 0
	Endpoint  string
	Address   netip.Addr
	Reason    string // "password", "unknown_principal", "database", "certificate", "protocol", "upstream", "contained"
}

func (*SessionRefused) Kind() Kind { return KindSessionRefused }
func (b *SessionRefused) code(c *coder) {
	c.byte((*byte)(&b.Door))
	c.uint32(&b.Principal)
	c.string(&b.Endpoint)
	c.addr(&b.Address)
	c.string(&b.Reason)
}
