package sekisho

// StaffLink is about a link by which a member of staff signs in at the
// employees' door. The link itself is kept nowhere.
type StaffLink struct {
	Person uint32   // ordinal in "staff"
	Action string   // "made" (durable before it is mailed), "mailed", "refused" by the relay, "failed", "used"
	Link   uint64   // sequence number of the StaffLink that made it; 0 in that one
	HMAC   [32]byte // made: HMAC-SHA256 of its secret, by a key of the house's
	Until  Time     // made: it cannot be used from then on
}

func (*StaffLink) Kind() Kind { return KindStaffLink }
func (b *StaffLink) code(c *coder) {
	c.uint32(&b.Person)
	c.string(&b.Action)
	c.uint(&b.Link)
	c.hash(&b.HMAC)
	c.time(&b.Until)
}
