package sekisho

// Of people who broke rules and of what followed, names and texts stand in the
// vault's space "hr" alone, which no page but that of the evaluation reads.

// Evaluated says that security was part of somebody's performance evaluation. It
// does not say how it went.
type Evaluated struct {
	Person uint32 // ordinal in "staff"
	Year   uint32 // the year that was evaluated
	At     Time   // when
	Item   uint32 // ordinal in "hr": what was evaluated; 0 if it is kept elsewhere
	By     uint32
}

func (*Evaluated) Kind() Kind { return KindEvaluated }
func (b *Evaluated) code(c *coder) {
	c.uint32(&b.Person)
	c.uint32(&b.Year)
	c.time(&b.At)
	c.uint32(&b.Item)
	c.uint32(&b.By)
}

// EvaluationConfirmed is a second person's word that the records of a year are
// right: those that stand before it and are others'.
type EvaluationConfirmed struct {
	Year  uint32
	Count uint64 // how many
	By    uint32 // ordinal in "staff"
}

func (*EvaluationConfirmed) Kind() Kind { return KindEvaluationConfirmed }
func (b *EvaluationConfirmed) code(c *coder) {
	c.uint32(&b.Year)
	c.uint(&b.Count)
	c.uint32(&b.By)
}

// CaseOpened says that a rule was broken. Its sequence number is the case's.
type CaseOpened struct {
	Rule     string // of the list of breaches in the policy
	Gravity  string // "slight", "serious", "grave"
	Intent   string // "mistake", "negligence", "intent", "unknown"
	Repeated bool
	Rank     string // "employee", "manager", "executive", "agency"
	Happened Time
	Known    Time
	Subject  uint32 // ordinal in "hr": who
	Said     uint32 // ordinal in "hr": what happened
	By       uint32 // ordinal in "staff"
}

func (*CaseOpened) Kind() Kind { return KindCaseOpened }
func (b *CaseOpened) code(c *coder) {
	c.string(&b.Rule)
	c.string(&b.Gravity)
	c.string(&b.Intent)
	c.bool(&b.Repeated)
	c.string(&b.Rank)
	c.time(&b.Happened)
	c.time(&b.Known)
	c.uint32(&b.Subject)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// CaseDecided is a step towards the measure that is taken.
type CaseDecided struct {
	Case    uint64
	Action  string // "heard", "proposed", "approved", "rejected", "explained", "dropped"
	Measure string // "proposed": "none", "guidance", "training", "warning", "reprimand", "pay_cut", "suspension", "demotion", "dismissal"
	Said    uint32 // ordinal in "hr": why
	By      uint32 // ordinal in "staff"
}

func (*CaseDecided) Kind() Kind { return KindCaseDecided }
func (b *CaseDecided) code(c *coder) {
	c.uint(&b.Case)
	c.string(&b.Action)
	c.string(&b.Measure)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// Looked says that somebody is shown what few may see. It is durable before that.
type Looked struct {
	At    string   // "evaluation"
	Cases []uint64 // which
	By    uint32   // ordinal in "staff"
}

func (*Looked) Kind() Kind { return KindLooked }
func (b *Looked) code(c *coder) {
	c.string(&b.At)
	c.uints(&b.Cases)
	c.uint32(&b.By)
}
