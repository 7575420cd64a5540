package sekisho

import "net/netip"

// Cut is what a containment takes away from a terminal. A set of bits.
type Cut uint32

const (
	CutEgress Cut = 1 // the way out of the company's networks
	CutGate   Cut = 2 // the way through the gate, to the affected system
)

func (c Cut) String() string {
	switch c {
	case 0:
		return "nothing"
	case CutEgress:
		return "egress"
	case CutGate:
		return "gate"
	case CutEgress | CutGate:
		return "egress and gate"
	}
	return "unknown"
}

// ContainedEndpoint is one terminal of an order, with the addresses at which it
// was known when the order was proposed.
type ContainedEndpoint struct {
	Name      string
	Addresses []netip.Prefix
}

// ContainmentProposed says what somebody wants to cut off. The order's number
// is this entry's sequence number. Nothing is cut before a ContainmentDecided.
type ContainmentProposed struct {
	Incident     uint64 // 0 if no incident was named
	System       string // the affected system, if the set was computed from it: the ledger's name
	Cuts         Cut    // of each of Endpoints
	Endpoints    []ContainedEndpoint
	Principals   []uint32       // ordinals in "staff": shut out at the gate, from wherever they come
	Roles        []string       // shut out at the gate
	Tables       []string       // shut at the gate, for everybody
	Destinations []netip.Prefix // hostile: nobody may reach them
	Follow       bool           // hostile destinations of the incident that become known later as well
	Spared       []string       // protected terminals that would belong to the set, and stay out
	Protected    []string       // protected terminals among Endpoints, on the word of Executive
	Executive    uint32         // ordinal in "staff"
	Hands        []string       // the hands that are to do it
	Alone        bool           // it is known that they are fewer than two that do not depend on each other
	Lasts        uint64         // seconds from its approval
	Keep         bool           // when they are over: stay in force, with an alarm, until a person lifts it
	Owner        uint32         // ordinal in "staff": who is warned before it ends
	Reason       uint32         // ordinal in "said"
	By           uint32         // ordinal in "staff"
}

func (*ContainmentProposed) Kind() Kind { return KindContainmentProposed }
func (b *ContainmentProposed) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.System)
	c.uint32((*uint32)(&b.Cuts))
	n := c.length(len(b.Endpoints), 2)
	if c.reading && n > 0 {
		b.Endpoints = make([]ContainedEndpoint, n)
	}
	for i := range n {
		c.string(&b.Endpoints[i].Name)
		c.prefixes(&b.Endpoints[i].Addresses)
	}
	c.ordinals(&b.Principals)
	c.strings(&b.Roles)
	c.strings(&b.Tables)
	c.prefixes(&b.Destinations)
	c.bool(&b.Follow)
	c.strings(&b.Spared)
	c.strings(&b.Protected)
	c.uint32(&b.Executive)
	c.strings(&b.Hands)
	c.bool(&b.Alone)
	c.uint(&b.Lasts)
	c.bool(&b.Keep)
	c.uint32(&b.Owner)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

func (c *coder) prefixes(list *[]netip.Prefix) {
	n := c.length(len(*list), 2)
	if c.reading && n > 0 {
		*list = make([]netip.Prefix, n)
	}
	for i := range n {
		c.prefix(&(*list)[i])
	}
}

// ContainmentDecided is the answer to a ContainmentProposed; the first one
// counts. With "approved" or "broken_glass" it is durable before any hand moves.
type ContainmentDecided struct {
	Order  uint64 // sequence number of the ContainmentProposed
	Action string // "approved", "broken_glass" (by whom it may be, alone, to be reviewed later), "rejected", "withdrawn"
	Until  Time   // when it ends by itself; 0 if it was not approved
	Reason uint32 // ordinal in "said"; 0 for none given
	By     uint32 // ordinal in "staff"
}

func (*ContainmentDecided) Kind() Kind { return KindContainmentDecided }
func (b *ContainmentDecided) code(c *coder) {
	c.uint(&b.Order)
	c.string(&b.Action)
	c.time(&b.Until)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// ContainmentReported is what a hand was found to have in force, each time that
// this changed.
type ContainmentReported struct {
	Hand     string
	Orders   []uint64 // that it is about
	State    string   // "applied" (read back, and complete), "unverified" (done; the hand cannot be read back), "partial", "failed" (it did not answer, or refused), "drift" (it was complete and is not any more), "lifted" (read back, and nothing of these orders is left)
	Intended uint64   // cuts that should be in force
	Enforced uint64   // of these
	Extra    uint64   // cuts in force that nobody ordered
	Missing  []string // some of those that are not in force: endpoints, addresses, destinations, tables
	Reason   string   // a code: of a failure, or what was found
}

func (*ContainmentReported) Kind() Kind { return KindContainmentReported }
func (b *ContainmentReported) code(c *coder) {
	c.string(&b.Hand)
	c.uints(&b.Orders)
	c.string(&b.State)
	c.uint(&b.Intended)
	c.uint(&b.Enforced)
	c.uint(&b.Extra)
	c.strings(&b.Missing)
	c.string(&b.Reason)
}

// ContainmentLifted gives back some of an order, or all. It is durable before
// any hand lets go.
type ContainmentLifted struct {
	Order     uint64
	All       bool     // the order ends
	Cuts      Cut      // not All: what the endpoints get back
	Endpoints []string // not All: which; none for every one that is left
	Cause     string   // "person", "expired"
	Reason    uint32   // ordinal in "said"
	By        uint32   // ordinal in "staff"; 0 for sekisho itself
}

func (*ContainmentLifted) Kind() Kind { return KindContainmentLifted }
func (b *ContainmentLifted) code(c *coder) {
	c.uint(&b.Order)
	c.bool(&b.All)
	c.uint32((*uint32)(&b.Cuts))
	c.strings(&b.Endpoints)
	c.string(&b.Cause)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// ContainmentReviewed is what a second person says afterwards of an order that
// was given alone.
type ContainmentReviewed struct {
	Order   uint64
	Verdict string // "upheld", "objected"
	Reason  uint32 // ordinal in "said"
	By      uint32 // ordinal in "staff"
}

func (*ContainmentReviewed) Kind() Kind { return KindContainmentReviewed }
func (b *ContainmentReviewed) code(c *coder) {
	c.uint(&b.Order)
	c.string(&b.Verdict)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// ContainmentProlonged gives an order another end, and perhaps another owner.
type ContainmentProlonged struct {
	Order  uint64
	Until  Time
	Owner  uint32 // ordinal in "staff"
	Reason uint32 // ordinal in "said"
	By     uint32 // ordinal in "staff"
}

func (*ContainmentProlonged) Kind() Kind { return KindContainmentProlonged }
func (b *ContainmentProlonged) code(c *coder) {
	c.uint(&b.Order)
	c.time(&b.Until)
	c.uint32(&b.Owner)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}
