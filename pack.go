package sekisho

// PackMade says that an auditor's pack was made: how the duties stand, with the
// bytes of the ledger behind it. It is durable before anybody gets the pack.
type PackMade struct {
	From    Time     // windows that end after it are in
	Until   Time     // the moment at which the figures stand
	Through uint64   // sequence number of the last entry that is counted
	Chain   [32]byte // chain hash of the group that ends with it
	Whole   bool     // every entry up to there is in, not only those that figures rest on
	Entries uint64   // that are in
	Stated  uint64   // duties whose figures cannot be computed again from what is in
	SHA256  [32]byte // of its pack.json, which has those of all other files
	By      uint32   // ordinal in "staff"
}

func (*PackMade) Kind() Kind { return KindPackMade }
func (b *PackMade) code(c *coder) {
	c.time(&b.From)
	c.time(&b.Until)
	c.uint(&b.Through)
	c.hash(&b.Chain)
	c.bool(&b.Whole)
	c.uint(&b.Entries)
	c.uint(&b.Stated)
	c.hash(&b.SHA256)
	c.uint32(&b.By)
}
