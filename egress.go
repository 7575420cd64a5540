package sekisho

import "net/netip"

// SensorRead says what a sensor took in from one file or stream, so that what
// was not observed can be named.
type SensorRead struct {
	Sensor   string   // its name in the config, such as "zeek-conn"
	SHA256   [32]byte // of the bytes read
	Lines    uint64
	Accepted uint64
	Rejected uint64 // lines that could not be read; each may hide bytes
	From     Time   // the earliest and latest event time seen
	Until    Time
}

func (*SensorRead) Kind() Kind { return KindSensorRead }
func (b *SensorRead) code(c *coder) {
	c.string(&b.Sensor)
	c.hash(&b.SHA256)
	c.uint(&b.Lines)
	c.uint(&b.Accepted)
	c.uint(&b.Rejected)
	c.time(&b.From)
	c.time(&b.Until)
}

// Egress is one connection from an endpoint to the outside. OCSF: Network
// Activity (4001).
type Egress struct {
	Sensor   string
	Endpoint string // the name bound to Source at that time; empty if none is known
	Source   netip.Addr
	Target   netip.Addr
	Port     uint32
	Protocol string // "tcp", "udp", "icmp"
	Start    Time
	End      Time
	Out      uint64 // payload bytes from Source to Target
	In       uint64
	Partial  bool   // the sensor says that it missed bytes: Out is a lower bound
	Ref      string // the sensor's own identifier of the connection
}

func (*Egress) Kind() Kind { return KindEgress }
func (b *Egress) code(c *coder) {
	c.string(&b.Sensor)
	c.string(&b.Endpoint)
	c.addr(&b.Source)
	c.addr(&b.Target)
	c.uint32(&b.Port)
	c.string(&b.Protocol)
	c.time(&b.Start)
	c.time(&b.End)
	c.uint(&b.Out)
	c.uint(&b.In)
	c.bool(&b.Partial)
	c.string(&b.Ref)
}
