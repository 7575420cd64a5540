package sekisho

import "net/netip"

// Alert is a detector's judgement. OCSF: Detection Finding (2004). Every
// access by Principal at Endpoint from From (inclusive) until Until
// (exclusive) is judged by it.
type Alert struct {
	// Detector is "sweep", "egress", "budget", "outside", "decoy", "decoy_mail" or
	// "bulk", or, of what other machines reported, "lure", "opened", "contact",
	// "half_blocked", "finding", "file_birth", "large_file", "disk_full" or
	// "no_boot".
	Detector  string
	Principal uint32 // ordinal in "staff"; 0 for any
	Endpoint  string
	From      Time
	Until     Time
	Observed  uint64     // distinct customers, rows of a statement, or bytes out; outside: rows, 0 if only a connection was seen; half_blocked: destinations
	Limit     uint64     // what would still have been quiet
	Learning  bool       // too little past to know this principal: judged by its peers and the floor alone
	Target    netip.Addr // egress, contact, finding, half_blocked: the hostile destination
	Basis     []uint64   // sequence numbers of the entries that made it fire: the first and the last
}

// PassedBy says of which tables the rows were that a database role moved past
// the gate. It stands before the Alert that tells of them, whose basis it is. A
// statement over several tables counts its rows once, for all of them together.
type PassedBy struct {
	Principal uint32 // ordinal in "staff": the database role
	Tables    []string
	From      Time // not counted before it
	Until     Time
	Rows      uint64
}

func (*PassedBy) Kind() Kind { return KindPassedBy }
func (b *PassedBy) code(c *coder) {
	c.uint32(&b.Principal)
	c.strings(&b.Tables)
	c.time(&b.From)
	c.time(&b.Until)
	c.uint(&b.Rows)
}

func (*Alert) Kind() Kind { return KindAlert }
func (b *Alert) code(c *coder) {
	c.string(&b.Detector)
	c.uint32(&b.Principal)
	c.string(&b.Endpoint)
	c.time(&b.From)
	c.time(&b.Until)
	c.uint(&b.Observed)
	c.uint(&b.Limit)
	c.bool(&b.Learning)
	c.addr(&b.Target)
	c.uints(&b.Basis)
}
