package sekisho

// The register of duties. Whom or what an entry is about is a vault space and
// ordinals in it: "staff" for people, "unit" for companies and departments,
// "thing" for the rest.

// InstrumentRead says that another edition of a set of duties was read, and
// decides from here on.
type InstrumentRead struct {
	Instrument string // its id, such as "policy"
	Edition    string
	SHA256     [32]byte // of the text
	Duties     uint64
	Clauses    uint64
}

func (*InstrumentRead) Kind() Kind { return KindInstrumentRead }
func (b *InstrumentRead) code(c *coder) {
	c.string(&b.Instrument)
	c.string(&b.Edition)
	c.hash(&b.SHA256)
	c.uint(&b.Duties)
	c.uint(&b.Clauses)
}

// EvidenceStated is a piece of evidence that no part of sekisho made itself:
// somebody states it, or another system reports it. When it holds is apart from
// when it was written down, which is the entry's own time.
type EvidenceStated struct {
	Evidence string   // its kind, such as "minutes"
	Producer string   // "S" a system, "H" a person of the company, "X" somebody outside
	Space    string   // of the units
	Units    []uint32 // whom or what it is about
	From     Time     // from when it holds
	Until    Time     // 0: it has no end of its own
	Item     string   // what distinguishes two of one kind; empty for nothing
	State    string   // empty: it counts; else why it does not, such as "failed"
	Value    uint64   // a score or measure, if the kind has one
	Said     uint32   // what it is
	Document uint32   // ordinal in "document": the thing itself; 0: kept elsewhere
	SHA256   [32]byte // of the thing itself
	By       uint32
}

func (*EvidenceStated) Kind() Kind { return KindEvidenceStated }
func (b *EvidenceStated) code(c *coder) {
	c.string(&b.Evidence)
	c.string(&b.Producer)
	c.string(&b.Space)
	c.ordinals(&b.Units)
	c.time(&b.From)
	c.time(&b.Until)
	c.string(&b.Item)
	c.string(&b.State)
	c.uint(&b.Value)
	c.uint32(&b.Said)
	c.uint32(&b.Document)
	c.hash(&b.SHA256)
	c.uint32(&b.By)
}

// EvidenceSigned is what a second person says of stated evidence. The first
// signature or rejection counts; a withdrawal is the stater's, at any time.
type EvidenceSigned struct {
	Evidence uint64 // sequence number of the EvidenceStated
	Action   string // "countersigned", "rejected", "withdrawn"
	Said     uint32
	By       uint32
}

func (*EvidenceSigned) Kind() Kind { return KindEvidenceSigned }
func (b *EvidenceSigned) code(c *coder) {
	c.uint(&b.Evidence)
	c.string(&b.Action)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// UnitListed says that something which duties count began to exist, or ended:
// a council, a membership, a critical system.
type UnitListed struct {
	Population string // such as "membership"
	Space      string
	Unit       uint32
	Action     string // "listed", "struck"
	From       Time   // from when
	Company    uint32 // ordinal in "unit"; 0: the group's
	Owner      uint32 // ordinal in "staff"; 0: nobody is named
	Said       uint32
	By         uint32
}

func (*UnitListed) Kind() Kind { return KindUnitListed }
func (b *UnitListed) code(c *coder) {
	c.string(&b.Population)
	c.string(&b.Space)
	c.uint32(&b.Unit)
	c.string(&b.Action)
	c.time(&b.From)
	c.uint32(&b.Company)
	c.uint32(&b.Owner)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// ExceptionAsked asks that a duty be waived, or not apply, for some units and a
// time. It takes effect when an ExceptionDecided by somebody else approves it.
type ExceptionAsked struct {
	Duty  string // such as "policy/M3a"
	Space string
	Units []uint32 // none: every unit of the duty
	What  string   // "waived", "na"
	From  Time
	Until Time   // never 0: every exception ends
	Owner uint32 // who answers for it
	Said  uint32 // why
	By    uint32
}

func (*ExceptionAsked) Kind() Kind { return KindExceptionAsked }
func (b *ExceptionAsked) code(c *coder) {
	c.string(&b.Duty)
	c.string(&b.Space)
	c.ordinals(&b.Units)
	c.string(&b.What)
	c.time(&b.From)
	c.time(&b.Until)
	c.uint32(&b.Owner)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// ExceptionDecided is the answer to an ExceptionAsked, or its end before time.
type ExceptionDecided struct {
	Exception uint64 // sequence number of the ExceptionAsked
	Action    string // "approved", "rejected", "withdrawn", "ended"
	Said      uint32
	By        uint32
}

func (*ExceptionDecided) Kind() Kind { return KindExceptionDecided }
func (b *ExceptionDecided) code(c *coder) {
	c.uint(&b.Exception)
	c.string(&b.Action)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// ControlStated is one line of a statement of applicability. The latest counts.
type ControlStated struct {
	Instrument string // such as "iso27001"
	Control    string // such as "A.5.1"
	Applicable bool
	Claim      string   // of an applicable one: "implemented", "partly", "planned", "unknown"
	Basis      []uint64 // entries on which the claim rests
	From       Time     // from when it holds
	Review     Time     // when it must be looked at again; 0: the duty decides
	Owner      uint32
	Said       uint32 // why it does not apply, or how it is implemented
	By         uint32
}

func (*ControlStated) Kind() Kind { return KindControlStated }
func (b *ControlStated) code(c *coder) {
	c.string(&b.Instrument)
	c.string(&b.Control)
	c.bool(&b.Applicable)
	c.string(&b.Claim)
	c.uints(&b.Basis)
	c.time(&b.From)
	c.time(&b.Review)
	c.uint32(&b.Owner)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// PopulationFrozen holds who belonged to a population when a window closed, so
// that what is told of the past later changes no closed figure. One beyond what
// an entry holds goes on in another, with the same Population and At.
type PopulationFrozen struct {
	Population  string
	From        Time // when the window began
	At          Time // when it closed
	More        bool // another entry of this population and time follows
	Space       string
	Units       []uint32
	Present     []uint64 // days of the window on which each was there and not on leave
	Companies   []uint32 // ordinals in "unit", one for each
	Departments []uint32
	Executives  []uint32 // those of Units who are
	Through     uint64   // up to which entry the directory was folded
}

func (*PopulationFrozen) Kind() Kind { return KindPopulationFrozen }
func (b *PopulationFrozen) code(c *coder) {
	c.string(&b.Population)
	c.time(&b.From)
	c.time(&b.At)
	c.bool(&b.More)
	c.string(&b.Space)
	c.ordinals(&b.Units)
	c.uints(&b.Present)
	c.ordinals(&b.Companies)
	c.ordinals(&b.Departments)
	c.ordinals(&b.Executives)
	c.uint(&b.Through)
}

// DutyReminded says that a duty is still owed as its end comes near, or after
// it, and who was told. Each rung is written once for each window and company.
type DutyReminded struct {
	Duty    string
	From    Time // of the window
	Until   Time
	Company uint32 // whose part of the duty; 0: all of it
	Rung    uint32 // from 0
	Role    string // who is told
	Person  uint32 // 0: nobody is named
	Due     Time   // when this rung fell due; the entry may be later
	Open    uint64 // how many owe it still
	Through uint64 // up to which entry that was counted
}

func (*DutyReminded) Kind() Kind { return KindDutyReminded }
func (b *DutyReminded) code(c *coder) {
	c.string(&b.Duty)
	c.time(&b.From)
	c.time(&b.Until)
	c.uint32(&b.Company)
	c.uint32(&b.Rung)
	c.string(&b.Role)
	c.uint32(&b.Person)
	c.time(&b.Due)
	c.uint(&b.Open)
	c.uint(&b.Through)
}

// LedgerVerified says that the whole chain of this ledger was read again, and
// whether it holds.
type LedgerVerified struct {
	Through uint64
	Hash    [32]byte // of the last group that was read
	OK      bool
}

func (*LedgerVerified) Kind() Kind { return KindLedgerVerified }
func (b *LedgerVerified) code(c *coder) {
	c.uint(&b.Through)
	c.hash(&b.Hash)
	c.bool(&b.OK)
}
