package sekisho

// LedgerOpened is the first entry of every epoch.
type LedgerOpened struct {
	Name     string // the ledger's name, from the config
	Drill    string // the scenario's name if what follows is a drill; else empty
	Software string // the version that writes from here on
	Dropped  uint64 // bytes of a torn, never acknowledged tail that recovery cut off
}

func (*LedgerOpened) Kind() Kind { return KindLedgerOpened }
func (b *LedgerOpened) code(c *coder) {
	c.string(&b.Name)
	c.string(&b.Drill)
	c.string(&b.Software)
	c.uint(&b.Dropped)
}

// LedgerClosed is the last entry of an epoch that ended in order. Without it
// the process died, and what it had accepted after its last entry was nothing
// that a client could have received.
type LedgerClosed struct{}

func (*LedgerClosed) Kind() Kind    { return KindLedgerClosed }
func (b *LedgerClosed) code(*coder) {}
