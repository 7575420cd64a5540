package sekisho

// ServiceSeen says that machines of the house talked to a service outside. It is
// written once for each service and day on which a sensor saw it.
type ServiceSeen struct {
	Sensor    string
	Thing     uint32 // ordinal in "thing": "cloud/" and the service's domain
	First     Time
	Last      Time
	Endpoints []string // some of the machines, sorted
	Machines  uint64   // how many there were
	Times     uint64   // connections and look-ups
	Bytes     uint64   // sent to it, where that is known
}

func (*ServiceSeen) Kind() Kind { return KindServiceSeen }
func (b *ServiceSeen) code(c *coder) {
	c.string(&b.Sensor)
	c.uint32(&b.Thing)
	c.time(&b.First)
	c.time(&b.Last)
	c.strings(&b.Endpoints)
	c.uint(&b.Machines)
	c.uint(&b.Times)
	c.uint(&b.Bytes)
}
