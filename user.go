package sekisho

import "net/netip"

// UserChanged says that a console account was made, reset or taken away.
type UserChanged struct {
	User   uint32 // ordinal in "staff"
	By     uint32 // ordinal in "staff"; 0 for sekisho itself
	Action string // "created", "password_reset", "removed"
}

func (*UserChanged) Kind() Kind { return KindUserChanged }
func (b *UserChanged) code(c *coder) {
	c.uint32(&b.User)
	c.uint32(&b.By)
	c.string(&b.Action)
}

// SignedIn says that somebody signed in at the console.
type SignedIn struct {
	User    uint32 // ordinal in "staff"; 0 if the name is nobody's
	Address netip.Addr
	OK      bool
}

func (*SignedIn) Kind() Kind { return KindSignedIn }
func (b *SignedIn) code(c *coder) {
	c.uint32(&b.User)
	c.addr(&b.Address)
	c.bool(&b.OK)
}
