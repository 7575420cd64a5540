package sekisho

// A check is something that people do to see how things are: an inspection, an
// audit, a review of a supplier, a meeting that decides. What was typed is an
// ordinal in "said", what was handed in one in "document", and what it is about
// an ordinal in Space.

// CheckPlanned says that something will be looked at. Its sequence number is the
// check's number.
type CheckPlanned struct {
	Noun      string   // "inspection", "audit", "supplier", …: what rules it
	Space     string   // "unit" or "thing"
	Units     []uint32 // ordinals in Space: what is looked at
	Checklist string   // its name; empty for none
	Edition   string
	SHA256    [32]byte // of the checklist's text
	Document  uint32   // ordinal in "document": that text
	Items     []string // what must be answered, as the checklist names it
	Must      []string // of Items: what has to be met for the check to have gone well
	Due       Time     // until when it shall have been done
	Lead      uint32   // ordinal in "staff": who does it
	Other     uint32   // ordinal in "staff": who answers for the other side; 0: not known yet
	Expert    uint32   // ordinal in "said": the outside expert and where from; 0 for none
	Scope     uint32   // ordinal in "said"
	By        uint32
}

func (*CheckPlanned) Kind() Kind { return KindCheckPlanned }
func (b *CheckPlanned) code(c *coder) {
	c.string(&b.Noun)
	c.string(&b.Space)
	c.ordinals(&b.Units)
	c.string(&b.Checklist)
	c.string(&b.Edition)
	c.hash(&b.SHA256)
	c.uint32(&b.Document)
	c.strings(&b.Items)
	c.strings(&b.Must)
	c.time(&b.Due)
	c.uint32(&b.Lead)
	c.uint32(&b.Other)
	c.uint32(&b.Expert)
	c.uint32(&b.Scope)
	c.uint32(&b.By)
}

// CheckChanged is a step of a check.
type CheckChanged struct {
	Check  uint64
	Action string // "moved", "handed", "named", "cancelled", "held", "concluded"
	Due    Time   // "moved": the new date; "concluded": until when the result is good, 0 if nobody set an end
	At     Time   // "held": when it took place, which may be long before this entry
	Person uint32 // "handed": who leads it now; "named": who answers for the other side
	Result string // "concluded": "passed", "conditions", "failed"
	Said   uint32
	By     uint32
}

func (*CheckChanged) Kind() Kind { return KindCheckChanged }
func (b *CheckChanged) code(c *coder) {
	c.uint(&b.Check)
	c.string(&b.Action)
	c.time(&b.Due)
	c.time(&b.At)
	c.uint32(&b.Person)
	c.string(&b.Result)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// CheckAnswered holds answers to items of the checklist. A later answer to the
// same item replaces the one before; both stay.
type CheckAnswered struct {
	Check   uint64
	Items   []string
	Answers []string // as many: "yes", "partly", "no", "na"
	Notes   []uint32 // as many, ordinals in "said"; 0 for none
	By      uint32
}

func (*CheckAnswered) Kind() Kind { return KindCheckAnswered }
func (b *CheckAnswered) code(c *coder) {
	c.uint(&b.Check)
	c.strings(&b.Items)
	c.strings(&b.Answers)
	c.ordinals(&b.Notes)
	c.uint32(&b.By)
}

// PaperAdded says that a document or photo belongs to a check, a finding or a
// thing of a register.
type PaperAdded struct {
	About    uint64   // sequence number of the CheckPlanned, FindingRaised or Registered
	What     string   // "photo", "report", "minutes", "certificate", "contract", "competence", "proof"
	Media    string   // "image/jpeg", "application/pdf", …, of what is kept
	Size     uint64   // bytes of what is kept; of what is kept elsewhere: of that
	SHA256   [32]byte // of the same
	Original [32]byte // of the bytes as they were handed in: a photo is kept without what its camera wrote beside it
	Document uint32   // ordinal in "document"; 0: it is kept elsewhere, Title says where
	Title    uint32   // ordinal in "said"
	By       uint32
}

func (*PaperAdded) Kind() Kind { return KindPaperAdded }
func (b *PaperAdded) code(c *coder) {
	c.uint(&b.About)
	c.string(&b.What)
	c.string(&b.Media)
	c.uint(&b.Size)
	c.hash(&b.SHA256)
	c.hash(&b.Original)
	c.uint32(&b.Document)
	c.uint32(&b.Title)
	c.uint32(&b.By)
}

// CheckSigned is a signature on the record of a check as it stood: what was
// planned, held, answered, attached and found until then. It counts for that
// record alone.
type CheckSigned struct {
	Check  uint64
	Party  string   // "inspector", "inspected", "owner", "witness", "chair", "secretary", "assessor"
	Person uint32   // ordinal in "staff"
	Door   string   // by what the person was known: "console", "staff" (the employees' door), "control"
	SHA256 [32]byte // of the record
	Agreed bool     // false: the person read it and does not agree; Said tells why
	Said   uint32
}

func (*CheckSigned) Kind() Kind { return KindCheckSigned }
func (b *CheckSigned) code(c *coder) {
	c.uint(&b.Check)
	c.string(&b.Party)
	c.uint32(&b.Person)
	c.string(&b.Door)
	c.hash(&b.SHA256)
	c.bool(&b.Agreed)
	c.uint32(&b.Said)
}

// FindingRaised is something that is not as it should be. Its sequence number is
// the finding's number.
type FindingRaised struct {
	Check uint64 // sequence number of the CheckPlanned or ScanRead that found it; 0: noticed otherwise
	Space string
	Unit  uint32   // where, an ordinal in Space
	Grade string   // "critical", "high", "medium", "low", "remark"
	Code  string   // a public name, such as "CVE-2021-44228", or the checklist's item; empty for none
	Ref   [32]byte // SHA-256 of what makes it the same finding when it is found again; zero: it never is
	Title uint32   // ordinal in "said": what was found
	Owner uint32   // ordinal in "staff": who has to put it right; 0: nobody yet
	Due   Time     // until when; 0: no date yet
	By    uint32
}

func (*FindingRaised) Kind() Kind { return KindFindingRaised }
func (b *FindingRaised) code(c *coder) {
	c.uint(&b.Check)
	c.string(&b.Space)
	c.uint32(&b.Unit)
	c.string(&b.Grade)
	c.string(&b.Code)
	c.hash(&b.Ref)
	c.uint32(&b.Title)
	c.uint32(&b.Owner)
	c.time(&b.Due)
	c.uint32(&b.By)
}

// ActionChanged is a step in putting a finding right.
type ActionChanged struct {
	Finding uint64 // sequence number of the FindingRaised, or of the LessonNoted of an incident
	Action  string // "assigned", "done", "verified", "reopened", "accepted", "dropped"
	Person  uint32 // "assigned": who owes it
	Due     Time   // "assigned": until when; "accepted": when the exception ends
	At      Time   // "done", "verified": when it took place; 0: at this entry
	Said    uint32 // what is to be done, was done, was seen, or why not
	By      uint32
}

func (*ActionChanged) Kind() Kind { return KindActionChanged }
func (b *ActionChanged) code(c *coder) {
	c.uint(&b.Finding)
	c.string(&b.Action)
	c.uint32(&b.Person)
	c.time(&b.Due)
	c.time(&b.At)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// Attended says who was at a meeting.
type Attended struct {
	Check   uint64
	Present []uint32 // ordinals in "staff"
	Absent  []uint32 // members who were not
	By      uint32
}

func (*Attended) Kind() Kind { return KindAttended }
func (b *Attended) code(c *coder) {
	c.uint(&b.Check)
	c.ordinals(&b.Present)
	c.ordinals(&b.Absent)
	c.uint32(&b.By)
}
