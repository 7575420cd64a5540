package sekisho

import "net/netip"

// Observation is one security event that another machine reported, in the
// numbers of OCSF (schema.ocsf.io). It names no person and no file: those are
// ordinals.
type Observation struct {
	Sensor   string     // who reported it: a source's name in the config
	Class    uint32     // class_uid: 1001 file, 1007 process, 2004 finding, 3002 sign-in, 4001 network, 4003 DNS, 4009 mail, 5001 device
	Activity uint32     // activity_id of that class
	Severity uint32     // severity_id: 1 informational to 6 fatal; 0 unknown
	At       Time       // of the event, by the reporter's clock
	Endpoint string     // where it happened; empty if nobody knows the machine
	Address  netip.Addr // of that machine
	Target   netip.Addr // the other end, outside
	Port     uint32     // there
	Blocked  bool       // it was prevented, says the reporter
	Actor    uint32     // ordinal in "staff": whose account did it
	Object   uint32     // ordinal in "object": a file, a program, a name asked of DNS, a mail's subject, a finding's title
	Domain   uint32     // ordinal in "domain": of a mail's sender, or asked of DNS
	Sender   uint32     // ordinal in "mailbox"
	To       []uint32   // ordinals in "mailbox"
	Size     uint64     // bytes of the file; of a device, those free on the disk
	Content  [32]byte   // SHA-256 of the file, or of a mail's first attachment; zeros if not told
	Traits   []string   // what was seen in names and addresses before they became ordinals
	Ref      [32]byte   // SHA-256 over the source's name, the event's metadata.uid and what was read of it: the same event is taken in once. Before those were bound together, over name and uid alone
}

func (*Observation) Kind() Kind { return KindObservation }
func (b *Observation) code(c *coder) {
	c.string(&b.Sensor)
	c.uint32(&b.Class)
	c.uint32(&b.Activity)
	c.uint32(&b.Severity)
	c.time(&b.At)
	c.string(&b.Endpoint)
	c.addr(&b.Address)
	c.addr(&b.Target)
	c.uint32(&b.Port)
	c.bool(&b.Blocked)
	c.uint32(&b.Actor)
	c.uint32(&b.Object)
	c.uint32(&b.Domain)
	c.uint32(&b.Sender)
	c.ordinals(&b.To)
	c.uint(&b.Size)
	c.hash(&b.Content)
	c.strings(&b.Traits)
	c.hash(&b.Ref)
}

// EventsRead says what was taken in of one delivery of events. It stands in
// one group with their observations.
type EventsRead struct {
	Sensor   string
	SHA256   [32]byte // of the delivery's bytes
	Events   uint64   // in it
	Accepted uint64
	Repeated uint64 // that the ledger had already
	Rejected uint64 // that could not be read; each may hide something
	From     Time   // the earliest and latest event time of those accepted or repeated
	Until    Time
}

func (*EventsRead) Kind() Kind { return KindEventsRead }
func (b *EventsRead) code(c *coder) {
	c.string(&b.Sensor)
	c.hash(&b.SHA256)
	c.uint(&b.Events)
	c.uint(&b.Accepted)
	c.uint(&b.Repeated)
	c.uint(&b.Rejected)
	c.time(&b.From)
	c.time(&b.Until)
}

// DrillStep is one moment of an exercise: that it begins or ends, what it put
// before the people who take part, what an observer noted. It stands in the
// ledger of a drill only.
type DrillStep struct {
	Action string   // "began", "injected", "noted", "asked", "ended"
	Case   string   // the case's name
	Step   uint32   // injected: its number, from 1
	At     Time     // injected: when the case has it happen
	Said   uint32   // ordinal in "said": what was told, or noted
	By     uint32   // ordinal in "staff"; 0 for the exercise itself
	SHA256 [32]byte // began: of the case's text; ended: of the report
}

func (*DrillStep) Kind() Kind { return KindDrillStep }
func (b *DrillStep) code(c *coder) {
	c.string(&b.Action)
	c.string(&b.Case)
	c.uint32(&b.Step)
	c.time(&b.At)
	c.uint32(&b.Said)
	c.uint32(&b.By)
	c.hash(&b.SHA256)
}
