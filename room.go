package sekisho

// What people do in an incident. Everything that somebody typed is an ordinal
// in "said"; people are ordinals in "staff".

// FactStated is one line of an incident's story, as somebody states it. A later
// one replaces it by naming it in Corrects; both stay.
type FactStated struct {
	Incident  uint64
	Code      string // of the manual's list, such as "first_malicious", "stopped", "recovered"; "note" for what has none
	Happened  Time   // 0: not known
	Known     Time   // when somebody of the company first knew; never 0
	Source    string // "person", "ledger", "sensor", "provider", "customer", "partner", "authority", "press", "attacker"
	Certainty string // "confirmed", "likely", "possible", "withdrawn"
	Corrects  uint64 // sequence number of the FactStated that this one replaces; 0 for none
	Said      uint32
	By        uint32
}

func (*FactStated) Kind() Kind { return KindFactStated }
func (b *FactStated) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Code)
	c.time(&b.Happened)
	c.time(&b.Known)
	c.string(&b.Source)
	c.string(&b.Certainty)
	c.uint(&b.Corrects)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// RoleChanged says who holds a role in an incident from here on.
type RoleChanged struct {
	Incident uint64
	Role     string // of the manual, such as "incident_commander"
	Action   string // "taken", "handed_over", "relinquished"
	Person   uint32 // who holds it now; of "relinquished": who held it
	Said     uint32 // what the next one must know
	By       uint32
}

func (*RoleChanged) Kind() Kind { return KindRoleChanged }
func (b *RoleChanged) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Role)
	c.string(&b.Action)
	c.uint32(&b.Person)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// PlaybookChosen puts the tasks of a playbook before the people of an incident,
// in the text that was in force at that moment.
type PlaybookChosen struct {
	Incident uint64
	Name     string
	Edition  string
	SHA256   [32]byte // of the text
	Document uint32   // ordinal in "document": the text
	By       uint32
}

func (*PlaybookChosen) Kind() Kind { return KindPlaybookChosen }
func (b *PlaybookChosen) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Name)
	c.string(&b.Edition)
	c.hash(&b.SHA256)
	c.uint32(&b.Document)
	c.uint32(&b.By)
}

// TaskChanged says what became of a task.
type TaskChanged struct {
	Incident uint64
	Task     string // "playbook/task"; one that was added by hand is "own/" and the number of its "added"
	Action   string // "added", "assigned", "done", "skipped", "reopened"
	Person   uint32 // "assigned", "added": whose it is; 0 leaves it to the role
	Due      Time   // "added", "assigned": until when; 0 leaves it to the playbook
	Said     uint32 // "added": what is to be done; "skipped": why; else a note
	By       uint32
}

func (*TaskChanged) Kind() Kind { return KindTaskChanged }
func (b *TaskChanged) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Task)
	c.string(&b.Action)
	c.uint32(&b.Person)
	c.time(&b.Due)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// DecisionMade records a choice with what else could have been chosen. With Two
// it stands only once a second person has approved it.
type DecisionMade struct {
	Incident uint64
	Code     string   // of the manual's list, such as "not_report"; "other" for what has none
	Title    uint32   // ordinal in "said": what was to be decided
	Options  []uint32 // ordinals in "said"
	Chosen   uint32   // which of them, from 0
	Two      bool
	Said     uint32 // why
	By       uint32
}

func (*DecisionMade) Kind() Kind { return KindDecisionMade }
func (b *DecisionMade) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Code)
	c.uint32(&b.Title)
	c.ordinals(&b.Options)
	c.uint32(&b.Chosen)
	c.bool(&b.Two)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// Answered is what a person answers to a DecisionMade, a Raised or an
// IncidentEnding. The first answer counts.
type Answered struct {
	Incident uint64
	About    uint64 // sequence number of what is answered
	Action   string // "approved", "rejected", "withdrawn"; of a Raised "answered"
	Said     uint32 // why, or the answer
	By       uint32
}

func (*Answered) Kind() Kind { return KindAnswered }
func (b *Answered) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.About)
	c.string(&b.Action)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// EvidenceAdded registers a piece of evidence. The thing itself is kept where
// Kept says.
type EvidenceAdded struct {
	Incident uint64
	SHA256   [32]byte // of the file; zero for a thing that is no file
	Size     uint64   // bytes
	Title    uint32   // ordinal in "said": what it is
	Kept     uint32   // ordinal in "said": where
	Taken    Time     // when it was secured
	Person   uint32   // who has it
	By       uint32
}

func (*EvidenceAdded) Kind() Kind { return KindEvidenceAdded }
func (b *EvidenceAdded) code(c *coder) {
	c.uint(&b.Incident)
	c.hash(&b.SHA256)
	c.uint(&b.Size)
	c.uint32(&b.Title)
	c.uint32(&b.Kept)
	c.time(&b.Taken)
	c.uint32(&b.Person)
	c.uint32(&b.By)
}

// CustodyMoved is one link of the chain of custody.
type CustodyMoved struct {
	Incident uint64
	Evidence uint64 // sequence number of the EvidenceAdded
	Person   uint32 // who has it now; 0 if it is somebody outside, whom Kept names
	Kept     uint32 // ordinal in "said": where
	Said     uint32 // why
	Checked  bool   // the hash was computed again at this handing over, and was the same
	By       uint32
}

func (*CustodyMoved) Kind() Kind { return KindCustodyMoved }
func (b *CustodyMoved) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.Evidence)
	c.uint32(&b.Person)
	c.uint32(&b.Kept)
	c.uint32(&b.Said)
	c.bool(&b.Checked)
	c.uint32(&b.By)
}

// Raised is something from outside the detectors that somebody must look at. It
// stays open until an Answered says what it was.
type Raised struct {
	Incident uint64
	What     string // "notice", "host_health", "question"
	Source   string // as of FactStated
	Endpoint string // the machine that it is about; empty for none
	Known    Time   // when somebody of the company first knew: a provider's call may be typed in later
	Person   uint32 // who is asked; 0 for the point of contact
	Said     uint32
	By       uint32
}

func (*Raised) Kind() Kind { return KindRaised }
func (b *Raised) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.What)
	c.string(&b.Source)
	c.string(&b.Endpoint)
	c.time(&b.Known)
	c.uint32(&b.Person)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// LessonNoted is an improvement that somebody owes after an incident.
type LessonNoted struct {
	Incident uint64
	Lesson   uint64 // sequence number of its first entry; 0 in that
	Action   string // "learned", "changed", "done", "dropped"
	Person   uint32 // "learned", "changed": who owes it
	Due      Time   // "learned", "changed": until when
	Said     uint32 // what is to be done; later: what was done, or why not
	By       uint32
}

func (*LessonNoted) Kind() Kind { return KindLessonNoted }
func (b *LessonNoted) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.Lesson)
	c.string(&b.Action)
	c.uint32(&b.Person)
	c.time(&b.Due)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// Acknowledged says that a person has seen an alert, an incident or a notice,
// and takes it on.
type Acknowledged struct {
	Incident uint64
	About    uint64 // sequence number of the Alert, IncidentOpened or Raised; what the incident held before it is acknowledged with an alert or the opening
	Said     uint32
	By       uint32
}

func (*Acknowledged) Kind() Kind { return KindAcknowledged }
func (b *Acknowledged) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.About)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// Escalated says that a deadline passed, and to whom the matter went. Each rung
// of a ladder is written once for each thing that waits.
type Escalated struct {
	Incident uint64
	About    uint64 // what waits: an Alert, IncidentOpened or Raised
	Stage    string // "acknowledge": nobody has seen it; "triage": seen, and nobody has judged it
	Rung     uint32 // from 0
	Role     string
	Person   uint32 // who holds the role, or is first in its roster; 0: nobody is named
	Due      Time   // when this rung fell due; the entry may be later, if sekisho did not run
}

func (*Escalated) Kind() Kind { return KindEscalated }
func (b *Escalated) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.About)
	c.string(&b.Stage)
	c.uint32(&b.Rung)
	c.string(&b.Role)
	c.uint32(&b.Person)
	c.time(&b.Due)
}

// IncidentEnding ends an incident, or begins it again. "close" takes effect when
// an Answered by somebody else approves it; "reopen" at once.
type IncidentEnding struct {
	Incident uint64
	Action   string // "close", "reopen"
	Outcome  string // "close": "resolved", "false_alarm", "not_reportable", "duplicate"
	Said     uint32 // why
	By       uint32
}

func (*IncidentEnding) Kind() Kind { return KindIncidentEnding }
func (b *IncidentEnding) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Action)
	c.string(&b.Outcome)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}
