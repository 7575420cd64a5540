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

// Certified says that the house's own authority gave a certificate out, or took
// one back. For what was given it is durable before the certificate is written
// anywhere; what was taken back is so before it.
type Certified struct {
	Action    string // "issued", "login", "revoked", "renewed" (the issuing key)
	Endpoint  string // the certificate's common name
	Serial    string // 32 hexadecimal digits
	Until     Time   // when the certificate ends by itself
	Principal uint32 // ordinal in "staff": whom a login is for; else 0
	By        uint32 // ordinal in "staff"
}

func (*Certified) Kind() Kind { return KindCertified }
func (b *Certified) code(c *coder) {
	c.string(&b.Action)
	c.string(&b.Endpoint)
	c.string(&b.Serial)
	c.time(&b.Until)
	c.uint32(&b.Principal)
	c.uint32(&b.By)
}
