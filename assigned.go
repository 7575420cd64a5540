package sekisho

// Assigned binds Count new ordinals of a vault space, from First on, to their
// keys without telling the keys: Root is the RFC 6962 Merkle tree hash over
// HMAC-SHA256(salt, key) of each, in order. It stands in the ledger no later
// than the first entry that uses one of the ordinals.
type Assigned struct {
	Space string // a subject of the catalog ("member"), or "staff", "application", "statement", "purpose"
	First uint32
	Count uint32
	Root  [32]byte
}

func (*Assigned) Kind() Kind { return KindAssigned }
func (b *Assigned) code(c *coder) {
	c.string(&b.Space)
	c.uint32(&b.First)
	c.uint32(&b.Count)
	c.hash(&b.Root)
}

// RosterRead says that the list of everybody in a space, with the dimensions
// that break the four numbers down, was read from the database.
type RosterRead struct {
	Space      string
	Count      uint32
	Dimensions []string // their names, never their values
	SHA256     [32]byte // of the roster file in the vault
}

func (*RosterRead) Kind() Kind { return KindRosterRead }
func (b *RosterRead) code(c *coder) {
	c.string(&b.Space)
	c.uint32(&b.Count)
	c.strings(&b.Dimensions)
	c.hash(&b.SHA256)
}
