package sekisho

// Registered is a line of a register: a supplier, a contract, a server, a cloud
// service, a council, a membership, a certificate, a law. The last line about a
// thing is what holds of it.
type Registered struct {
	Noun    string   // "supplier", "contract", "server", "cloud", "council", "membership", "certificate", "law", …
	Thing   uint32   // ordinal in "thing"
	Action  string   // "registered", "changed", "retired"
	Owner   uint32   // ordinal in "staff": who answers for it; 0: nobody
	Unit    uint32   // ordinal in "unit": the company or department that it belongs to; 0: the group
	Of      uint32   // ordinal in "thing": of a contract, its supplier; 0 for none
	Traits  []string // what rules or figures hang on, such as "public", "personal_data", "tier_1", "quorum_5"
	Members []uint32 // ordinals in "staff": of a council; of a supplier, the logins that its people use
	From    Time     // since when it holds
	Until   Time     // when it ends by itself; 0: it does not
	Fields  uint32   // ordinal in "document": name, address and whatever else, as JSON
	By      uint32
}

func (*Registered) Kind() Kind { return KindRegistered }
func (b *Registered) code(c *coder) {
	c.string(&b.Noun)
	c.uint32(&b.Thing)
	c.string(&b.Action)
	c.uint32(&b.Owner)
	c.uint32(&b.Unit)
	c.uint32(&b.Of)
	c.strings(&b.Traits)
	c.ordinals(&b.Members)
	c.time(&b.From)
	c.time(&b.Until)
	c.uint32(&b.Fields)
	c.uint32(&b.By)
}

// PostChanged says who holds a post from a day on: the administrator of a
// company, who answers for a duty or a store.
type PostChanged struct {
	Post   string // "administrator", "responsible", …
	Space  string // of Unit: "unit" or "thing"
	Unit   uint32 // what the post is over
	Person uint32 // ordinal in "staff"
	Deputy bool
	Action string // "appointed", "ended"
	From   Time   // the day from which it is so, which may be another than this entry's
	Said   uint32
	By     uint32
}

func (*PostChanged) Kind() Kind { return KindPostChanged }
func (b *PostChanged) code(c *coder) {
	c.string(&b.Post)
	c.string(&b.Space)
	c.uint32(&b.Unit)
	c.uint32(&b.Person)
	c.bool(&b.Deputy)
	c.string(&b.Action)
	c.time(&b.From)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// BudgetDecided is a milestone of what is spent on security in a year.
type BudgetDecided struct {
	Year     uint32
	Unit     uint32 // ordinal in "unit"; 0: the group
	Step     string // "planned", "decided", "spent"
	Amount   uint64 // in units of the currency
	Currency string // ISO 4217
	Meeting  uint64 // sequence number of the CheckPlanned of the meeting that decided; 0 for none
	At       Time   // when it was so
	Said     uint32
	By       uint32
}

func (*BudgetDecided) Kind() Kind { return KindBudgetDecided }
func (b *BudgetDecided) code(c *coder) {
	c.uint32(&b.Year)
	c.uint32(&b.Unit)
	c.string(&b.Step)
	c.uint(&b.Amount)
	c.string(&b.Currency)
	c.uint(&b.Meeting)
	c.time(&b.At)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}
