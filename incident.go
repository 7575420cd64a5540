package sekisho

import "net/netip"

// IncidentOpened starts an incident. Its number is this entry's sequence
// number.
type IncidentOpened struct {
	Alert     uint64 // sequence number of the alert that opened it, or of the NoticeReceived; 0 if a person did
	By        uint32 // ordinal in "staff"; 0 for sekisho itself
	Endpoints []string
}

func (*IncidentOpened) Kind() Kind { return KindIncidentOpened }
func (b *IncidentOpened) code(c *coder) {
	c.uint(&b.Alert)
	c.uint32(&b.By)
	c.strings(&b.Endpoints)
}

// IncidentRevised is one state of the four numbers, with the question that
// they answer. Where the company's customers are several subjects, it is of all of
// them, and a SubjectRevised for each follows it directly.
type IncidentRevised struct {
	Incident    uint64
	By          uint32 // ordinal in "staff"; 0 for sekisho itself
	Endpoints   []string
	Since       Time
	Until       Time // exclusive
	Hostile     []netip.Prefix
	Compression uint32 // the most that a packer is held to squeeze, in hundredths: 1000 is 10 to 1
	Through     uint64 // every entry up to this sequence number was counted
	WorstCase   uint64
	Suspected   uint64
	SentAtMost  uint64
	Confirmed   uint64
	SentKnown   bool   // false: no hostile destination was named or no egress was observed, so SentAtMost is the worst case
	Reason      string // a code: "alert", "scope", "file", "ledger"
}

func (*IncidentRevised) Kind() Kind { return KindIncidentRevised }
func (b *IncidentRevised) code(c *coder) {
	c.uint(&b.Incident)
	c.uint32(&b.By)
	c.strings(&b.Endpoints)
	c.time(&b.Since)
	c.time(&b.Until)
	n := c.length(len(b.Hostile), 2)
	if c.reading && n > 0 {
		b.Hostile = make([]netip.Prefix, n)
	}
	for i := range n {
		c.prefix(&b.Hostile[i])
	}
	c.uint32(&b.Compression)
	c.uint(&b.Through)
	c.uint(&b.WorstCase)
	c.uint(&b.Suspected)
	c.uint(&b.SentAtMost)
	c.uint(&b.Confirmed)
	c.bool(&b.SentKnown)
	c.string(&b.Reason)
}

// SubjectRevised is one subject's part of the IncidentRevised before it.
type SubjectRevised struct {
	Incident   uint64
	Space      string // whose data
	WorstCase  uint64
	Suspected  uint64
	SentAtMost uint64 // all that was sent being theirs, so that it does not add up
	Confirmed  uint64
	SentKnown  bool
}

func (*SubjectRevised) Kind() Kind { return KindSubjectRevised }
func (b *SubjectRevised) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Space)
	c.uint(&b.WorstCase)
	c.uint(&b.Suspected)
	c.uint(&b.SentAtMost)
	c.uint(&b.Confirmed)
	c.bool(&b.SentKnown)
}

func (c *coder) prefix(p *netip.Prefix) {
	a, bits := p.Addr(), uint32(p.Bits())
	c.addr(&a)
	c.uint32(&bits)
	if !c.reading || c.err != nil {
		return
	}
	if *p = netip.PrefixFrom(a, int(bits)); !p.IsValid() {
		c.fail("a prefix of %d bits", bits)
	}
}

// FileMatched says that a recovered or captured file was compared with the
// roster, record by record. The file itself is not kept.
type FileMatched struct {
	Incident uint64 // 0 if no incident was named
	By       uint32 // ordinal in "staff"
	SHA256   [32]byte
	Rows     uint64
	Damaged  uint64   // rows that match nobody
	Space    string   // whose data
	Subjects []uint32 // the customers found, ascending, each once
}

func (*FileMatched) Kind() Kind { return KindFileMatched }
func (b *FileMatched) code(c *coder) {
	c.uint(&b.Incident)
	c.uint32(&b.By)
	c.hash(&b.SHA256)
	c.uint(&b.Rows)
	c.uint(&b.Damaged)
	c.string(&b.Space)
	c.ordinals(&b.Subjects)
}
