package sekisho

// BudgetState is how far a budget has been used.
type BudgetState byte

const (
	BudgetNear     BudgetState = 1 // nearly used
	BudgetObserved BudgetState = 2 // it has ended, and in observe mode nothing was cut
	BudgetPassed   BudgetState = 3 // it has ended, and is there to alert only
	BudgetEnded    BudgetState = 4 // it has ended, and what would have gone beyond it was cut
)

func (s BudgetState) String() string {
	switch s {
	case BudgetNear:
		return "near"
	case BudgetObserved:
		return "observed"
	case BudgetPassed:
		return "passed"
	case BudgetEnded:
		return "ended"
	}
	return "unknown"
}

// BudgetReached says that a budget of distinct customers is nearly used, or has
// ended. It is written once for each time that its use rises so far. Principal,
// Role, Endpoint and Purpose are what the budget counts by, and else empty: who
// it was this time is the session.
type BudgetReached struct {
	Budget    string // its name in the config
	State     BudgetState
	Session   uint64 // sequence number of the SessionOpened
	Space     string // whose data: a subject of the catalog
	Principal uint32 // ordinal in "staff"
	Role      string
	Endpoint  string
	Purpose   uint32 // ordinal in "purpose"
	Window    uint64 // its length, in seconds
	Limit     uint64 // distinct customers
	Used      uint64 // of these; an access that could be anybody's counts as one
}

func (*BudgetReached) Kind() Kind { return KindBudgetReached }
func (b *BudgetReached) code(c *coder) {
	c.string(&b.Budget)
	c.byte((*byte)(&b.State))
	c.uint(&b.Session)
	c.string(&b.Space)
	c.uint32(&b.Principal)
	c.string(&b.Role)
	c.string(&b.Endpoint)
	c.uint32(&b.Purpose)
	c.uint(&b.Window)
	c.uint(&b.Limit)
	c.uint(&b.Used)
}
