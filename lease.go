package sekisho

// Several gates share a budget by leases. One of them, the issuer, grants each of
// the others a share: so many different customers of one holder may count there
// at a time. A share counts as used at the issuer, whatever the gate does with it.

// LeaseHolder is whose budget a share is of: what BudgetReached says of it, with
// ordinals of the ledger's own vault.
type LeaseHolder struct {
	Budget    string
	Space     string // whose data: a subject of the catalog
	Principal uint32 // ordinal in "staff"
	Role      string
	Endpoint  string
	Purpose   uint32 // ordinal in "purpose"
}

func (h *LeaseHolder) code(c *coder) {
	c.string(&h.Budget)
	c.string(&h.Space)
	c.uint32(&h.Principal)
	c.string(&h.Role)
	c.string(&h.Endpoint)
	c.uint32(&h.Purpose)
}

// LeaseGranted is the issuer's: from here on Share customers of the holder belong
// to a gate, in place of what was its before. It is durable before the gate is
// answered; an answer that is lost leaves it granted.
type LeaseGranted struct {
	Gate     uint32 // its number
	Epoch    uint64 // of the gate's ledger
	Question uint64 // of the gate, counted within the epoch
	Whose    LeaseHolder
	Share    uint64 // different customers, those that it has used included
	Used     uint64 // of these, as the gate said
	Lasts    uint64 // seconds, from when the gate asked, by its own clock
}

func (*LeaseGranted) Kind() Kind { return KindLeaseGranted }
func (b *LeaseGranted) code(c *coder) {
	c.uint32(&b.Gate)
	c.uint(&b.Epoch)
	c.uint(&b.Question)
	b.Whose.code(c)
	c.uint(&b.Share)
	c.uint(&b.Used)
	c.uint(&b.Lasts)
}

// LeaseReturned is the issuer's: a gate has given a part of its share back, which
// it does not spend any more. Share is what is left to it, for Lasts.
type LeaseReturned LeaseGranted

func (*LeaseReturned) Kind() Kind      { return KindLeaseReturned }
func (b *LeaseReturned) code(c *coder) { (*LeaseGranted)(b).code(c) }

// LeaseEnded is the issuer's: a gate has not asked again for a share in time.
// Lapsed: the gate may spend nothing of it any more, and it counts on, as if all
// of it had been spent in the last moment. Passed: a whole window has gone by
// since, and it counts no more.
type LeaseEnded struct {
	Gate  uint32
	Whose LeaseHolder
	Share uint64
	State string // "lapsed", "passed"
}

func (*LeaseEnded) Kind() Kind { return KindLeaseEnded }
func (b *LeaseEnded) code(c *coder) {
	c.uint32(&b.Gate)
	b.Whose.code(c)
	c.uint(&b.Share)
	c.string(&b.State)
}

// LeaseTaken is the gate's own: what it may spend from here on, in place of what
// it might before. It is durable before the first customer is charged to it, and
// before the issuer learns that it is less than it was; so after a restart the
// gate knows what it may still spend. Ends and Until are two clocks' words for
// one moment; whichever comes first counts.
type LeaseTaken struct {
	Issuer uint32 // the number of the gate that granted it
	Whose  LeaseHolder
	Share  uint64
	Boot   string // which start of the machine Ends counts from
	Ends   uint64 // microseconds since that start, sleep included
	Until  Time
}

func (*LeaseTaken) Kind() Kind { return KindLeaseTaken }
func (b *LeaseTaken) code(c *coder) {
	c.uint32(&b.Issuer)
	b.Whose.code(c)
	c.uint(&b.Share)
	c.string(&b.Boot)
	c.uint(&b.Ends)
	c.time(&b.Until)
}

// ExportMarked says how many decoys the answer to an export shall carry that no
// other has. It stands before the ExportAsked of the same text, in one group with
// it.
type ExportMarked struct {
	Exact  uint32 // ordinal in "export", as in ExportAsked
	Decoys uint64
	By     uint32 // ordinal in "staff"
}

func (*ExportMarked) Kind() Kind { return KindExportMarked }
func (b *ExportMarked) code(c *coder) {
	c.uint32(&b.Exact)
	c.uint(&b.Decoys)
	c.uint32(&b.By)
}
