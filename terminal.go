package sekisho

// PostureSeen is what somebody's system says of one terminal.
type PostureSeen struct {
	Source    string // the name of the MDM, or "person"
	Thing     uint32 // ordinal in "thing": "terminal/" and the name by which the gate knows it
	Endpoint  string // that name
	At        Time   // when it was so
	Managed   string // "yes", "no", "unknown", as the next ones
	Encrypted string
	Patched   string
	Offsite   string // whether it may be used outside the house
	Platform  string // such as "Windows 11 24H2"
	Holder    uint32 // ordinal in "staff"; 0: nobody
	By        uint32
}

func (*PostureSeen) Kind() Kind { return KindPostureSeen }
func (b *PostureSeen) code(c *coder) {
	c.string(&b.Source)
	c.uint32(&b.Thing)
	c.string(&b.Endpoint)
	c.time(&b.At)
	c.string(&b.Managed)
	c.string(&b.Encrypted)
	c.string(&b.Patched)
	c.string(&b.Offsite)
	c.string(&b.Platform)
	c.uint32(&b.Holder)
	c.uint32(&b.By)
}

// OffsiteDecided is a step of a permit to work with listed information outside
// the house.
type OffsiteDecided struct {
	Permit     uint64 // sequence number of its "asked"; 0 in that
	Action     string // "asked", "approved", "rejected", "ended"
	Person     uint32 // ordinal in "staff": who
	Endpoint   string // with what
	Categories Categories
	From       Time
	Until      Time
	Said       uint32
	By         uint32
}

func (*OffsiteDecided) Kind() Kind { return KindOffsiteDecided }
func (b *OffsiteDecided) code(c *coder) {
	c.uint(&b.Permit)
	c.string(&b.Action)
	c.uint32(&b.Person)
	c.string(&b.Endpoint)
	c.uint32((*uint32)(&b.Categories))
	c.time(&b.From)
	c.time(&b.Until)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}
