package sekisho

// ScanRead says what was read of a scanner's output: which registered servers it
// looked at, so that a server without a finding was seen as well.
type ScanRead struct {
	Tool     string // "nmap", "sarif", "csv"
	SHA256   [32]byte
	At       Time     // when the scan ended, by the scanner's word
	Servers  []uint32 // ordinals in "thing": registered servers that it reached
	Silent   []uint32 // registered servers that it asked and that did not answer
	Strange  uint64   // addresses that answered and stand in no register
	Results  uint64   // findings in it
	Fresh    uint64   // of them: new ones, which follow as FindingRaised
	Document uint32   // ordinal in "document": the output, if it was small enough
	By       uint32
}

func (*ScanRead) Kind() Kind { return KindScanRead }
func (b *ScanRead) code(c *coder) {
	c.string(&b.Tool)
	c.hash(&b.SHA256)
	c.time(&b.At)
	c.ordinals(&b.Servers)
	c.ordinals(&b.Silent)
	c.uint(&b.Strange)
	c.uint(&b.Results)
	c.uint(&b.Fresh)
	c.uint32(&b.Document)
	c.uint32(&b.By)
}
