package sekisho

// Erasing takes the content of ordinals out of the vault for ever. The ledger
// keeps the ordinals, and the vault what the ledger commits to.

// ErasureAsked asks to destroy the keys of records in the vault. Nothing is
// destroyed before a second person has approved it.
type ErasureAsked struct {
	Records []VaultRecords
	Person  uint32 // ordinal in "staff": whose they are, if it is about one of the staff
	Reason  uint32 // ordinal in "said"
	By      uint32 // ordinal in "staff"
}

// VaultRecords are ordinals of one space of the vault.
type VaultRecords struct {
	Space    string
	Ordinals []uint32
}

func (*ErasureAsked) Kind() Kind { return KindErasureAsked }
func (b *ErasureAsked) code(c *coder) {
	n := c.length(len(b.Records), 2)
	if c.reading && n > 0 {
		b.Records = make([]VaultRecords, n)
	}
	for i := range n {
		c.string(&b.Records[i].Space)
		c.ordinals(&b.Records[i].Ordinals)
	}
	c.uint32(&b.Person)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// ErasureDecided is what became of an ErasureAsked. After "approved" the keys
// are destroyed, at every start again if need be; "destroyed" says that they
// are.
type ErasureDecided struct {
	Erasure uint64 // sequence number of the ErasureAsked
	Action  string // "approved", "rejected", "withdrawn", "destroyed"
	Records uint64 // "destroyed": how many records
	Reason  uint32 // ordinal in "said"; 0 for none given
	By      uint32 // ordinal in "staff"; of "destroyed" 0
}

func (*ErasureDecided) Kind() Kind { return KindErasureDecided }
func (b *ErasureDecided) code(c *coder) {
	c.uint(&b.Erasure)
	c.string(&b.Action)
	c.uint(&b.Records)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}
