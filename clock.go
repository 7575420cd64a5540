package sekisho

// What starts, moves and meets the clocks of the law in an incident. What was
// typed is an ordinal in "said"; people are ordinals in "staff".

// NoticeReceived is a line of the register of notices: somebody told a
// department of the company that something may have happened.
type NoticeReceived struct {
	Incident   uint64 // 0: it belongs to none, and opens one
	Source     string // "provider", "authority", "police", "expert", "contractor", "partner", "customer", "employee", "press", "attacker", "other"
	Ground     string // as what it counts: "n4-a" to "n4-e", "n5" or "other"
	Received   Time   // when the department got it; typed in, so it may be long before the entry
	Department uint32 // which one, or which contractor's
	Endpoint   string // the machine that it is about; empty for none
	Said       uint32 // what was told
	By         uint32 // who registered it
}

func (*NoticeReceived) Kind() Kind { return KindNoticeReceived }
func (b *NoticeReceived) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Source)
	c.string(&b.Ground)
	c.time(&b.Received)
	c.uint32(&b.Department)
	c.string(&b.Endpoint)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// AwareJudged is the word of a named person on whether something that was
// noticed is what it seems: it confirms a provisional clock, or ends it.
type AwareJudged struct {
	Incident uint64
	About    uint64 // sequence number of an Alert, NoticeReceived, Raised or FactStated; 0: all that was noticed so far
	Action   string // "confirmed", "rejected"
	Said     uint32 // why
	By       uint32
}

func (*AwareJudged) Kind() Kind { return KindAwareJudged }
func (b *AwareJudged) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.About)
	c.string(&b.Action)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// ClockMoved asks for another start of an incident's clocks than the earliest
// thing noticed, or answers. It takes effect with the approval of a second
// person; the start before is kept.
type ClockMoved struct {
	Incident uint64
	Request  uint64 // sequence number of the ClockMoved that asked; 0 in that
	Action   string // "asked", "approved", "rejected", "withdrawn"
	Was      Time   // "asked": the start as it stood; 0: there was none
	Start    Time   // "asked": the start from then on; 0: the earliest again
	Said     uint32 // why
	By       uint32
}

func (*ClockMoved) Kind() Kind { return KindClockMoved }
func (b *ClockMoved) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.Request)
	c.string(&b.Action)
	c.time(&b.Was)
	c.time(&b.Start)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// DutyReported says that a report which the law asks for went out, or that an
// earlier one of these entries was a mistake.
type DutyReported struct {
	Incident  uint64
	Regime    string // id of the rules, such as "jp-appi"
	Step      string // such as "preliminary", "final", "people"
	Action    string // "sent", "mistaken"
	Request   uint64 // "mistaken": sequence number of the DutyReported; else 0
	Sent      Time   // "sent": when it went out; typed in, never later than the entry
	Reference uint32 // the recipient's number, or what else proves it; 0 for none
	By        uint32
}

func (*DutyReported) Kind() Kind { return KindDutyReported }
func (b *DutyReported) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Regime)
	c.string(&b.Step)
	c.string(&b.Action)
	c.uint(&b.Request)
	c.time(&b.Sent)
	c.uint32(&b.Reference)
	c.uint32(&b.By)
}

// LegalFactStated answers a question on which duties hang. The latest answer to
// a question counts; all stay.
type LegalFactStated struct {
	Incident uint64
	Question string // of the rules' list, such as "improper_purpose"; "statutory:us-ca": the data is of the kinds that this statute lists
	Answer   string // "yes", "no", "unknown"
	Happened Time   // when it came about, where a clock starts with it; else 0
	Said     uint32 // on what the answer rests
	By       uint32
}

func (*LegalFactStated) Kind() Kind { return KindLegalFactStated }
func (b *LegalFactStated) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Question)
	c.string(&b.Answer)
	c.time(&b.Happened)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}
