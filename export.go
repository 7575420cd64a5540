package sekisho

// ExportAsked says that somebody asked for one statement to name more customers
// than its role may read without. What was sent, and why, are in the vault.
type ExportAsked struct {
	Refused   uint64   // sequence number of the Refused whose statement it is: the reference that the client read
	Principal uint32   // ordinal in "staff": who sent it, or for whom a program did, and alone may have it again
	Role      string   // of the principal
	Statement uint32   // ordinal in "statement": the text without its literals
	Exact     uint32   // ordinal in "export": the text and its parameters, byte for byte
	Tables    []string // the protected tables, sorted
	Most      uint64   // how many customers are asked for
	Lasts     uint64   // seconds that an approval shall last
	Reason    uint32   // ordinal in "reason": why
	By        uint32   // ordinal in "staff": who asked
}

func (*ExportAsked) Kind() Kind { return KindExportAsked }
func (b *ExportAsked) code(c *coder) {
	c.uint(&b.Refused)
	c.uint32(&b.Principal)
	c.string(&b.Role)
	c.uint32(&b.Statement)
	c.uint32(&b.Exact)
	c.strings(&b.Tables)
	c.uint(&b.Most)
	c.uint(&b.Lasts)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// ExportDecided is the answer to an ExportAsked. The first one counts; "withdrawn"
// behind "approved" takes an approval back that was not used.
type ExportDecided struct {
	Request uint64 // sequence number of the ExportAsked
	Action  string // "approved", "rejected", "withdrawn"
	Most    uint64 // approved: how many customers at most
	Until   Time   // approved: when it ends by itself
	Reason  uint32 // ordinal in "reason"; 0 for none given
	By      uint32 // ordinal in "staff"
}

func (*ExportDecided) Kind() Kind { return KindExportDecided }
func (b *ExportDecided) code(c *coder) {
	c.uint(&b.Request)
	c.string(&b.Action)
	c.uint(&b.Most)
	c.time(&b.Until)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// ExportUsed says that an approval is spent: it is durable before the first row
// that needs it leaves, and whatever happens then, it cannot be used again.
type ExportUsed struct {
	Request uint64 // sequence number of the ExportAsked
	Session uint64 // sequence number of the SessionOpened
	Number  uint64 // of the statement in its session, as in its Access entries
}

func (*ExportUsed) Kind() Kind { return KindExportUsed }
func (b *ExportUsed) code(c *coder) {
	c.uint(&b.Request)
	c.uint(&b.Session)
	c.uint(&b.Number)
}

// DecoyPlaced says that a customer is nobody: a record that no work needs, so
// that any touch of it is an alert from here on.
type DecoyPlaced struct {
	Action  string   // "placed", "removed"
	Space   string   // a subject of the catalog
	Subject uint32   // ordinal in Space
	Tables  []string // the protected tables in which it stands, sorted
	Group   string   // the terminals to which it was shown, by a name of the house's own; empty for all
	Mailbox uint32   // ordinal in "mailbox": the address to which nobody should write; 0 for none
	Request uint64   // sequence number of the ExportAsked whose answer alone holds it; 0 for none
	By      uint32   // ordinal in "staff"
}

func (*DecoyPlaced) Kind() Kind { return KindDecoyPlaced }
func (b *DecoyPlaced) code(c *coder) {
	c.string(&b.Action)
	c.string(&b.Space)
	c.uint32(&b.Subject)
	c.strings(&b.Tables)
	c.string(&b.Group)
	c.uint32(&b.Mailbox)
	c.uint(&b.Request)
	c.uint32(&b.By)
}
