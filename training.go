package sekisho

// CourseRead says that an edition of a course can be assigned from here on. The
// whole of it is in the vault, so that what somebody was taught can be read
// later, whatever became of the files.
type CourseRead struct {
	Course   string   // its name, such as "suspicious-mail"
	Edition  string   // such as "2026-11"
	SHA256   [32]byte // of the document
	Document uint32   // ordinal in "document": pages, questions with their answers, and attestation, in both languages, as JSON
	Seconds  uint64   // least time between beginning and answering
	Draw     uint64   // questions drawn for one attempt
	Pass     uint64   // least share of right answers, in percent
	Attempts uint64   // how often somebody may try
}

func (*CourseRead) Kind() Kind { return KindCourseRead }
func (b *CourseRead) code(c *coder) {
	c.string(&b.Course)
	c.string(&b.Edition)
	c.hash(&b.SHA256)
	c.uint32(&b.Document)
	c.uint(&b.Seconds)
	c.uint(&b.Draw)
	c.uint(&b.Pass)
	c.uint(&b.Attempts)
}

// TrainingPlanned says that a course is to be taken by some people until a day.
// Who they are stands in the TrainingAssigned entries that follow.
type TrainingPlanned struct {
	Course  uint64   // sequence number of the CourseRead
	Whom    string   // "all", "executives", "company", "department", "makeup"
	Unit    uint32   // ordinal in "unit": the company or department; else 0
	Kinds   []string // kinds of people as the directory has them; empty for every one
	Of      uint64   // makeup: the plan that was failed or missed; else 0
	From    Time     // nobody is told before
	Due     Time     // exclusive
	Joiners uint64   // seconds that somebody has who comes later; 0: whoever comes later is not assigned
	Reason  uint32   // ordinal in "said"; 0 for none given
	By      uint32   // ordinal in "staff"; 0 for the programme of the config
}

func (*TrainingPlanned) Kind() Kind { return KindTrainingPlanned }
func (b *TrainingPlanned) code(c *coder) {
	c.uint(&b.Course)
	c.string(&b.Whom)
	c.uint32(&b.Unit)
	c.strings(&b.Kinds)
	c.uint(&b.Of)
	c.time(&b.From)
	c.time(&b.Due)
	c.uint(&b.Joiners)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// TrainingAssigned names people who are to take the course of a plan.
type TrainingAssigned struct {
	Plan   uint64   // sequence number of the TrainingPlanned
	Why    string   // "population", "joined", "makeup"
	Due    Time     // of these people; exclusive
	People []uint32 // ordinals in "staff", ascending
}

func (*TrainingAssigned) Kind() Kind { return KindTrainingAssigned }
func (b *TrainingAssigned) code(c *coder) {
	c.uint(&b.Plan)
	c.string(&b.Why)
	c.time(&b.Due)
	c.ordinals(&b.People)
}

// TrainingChanged says that a plan is not any more what it was.
type TrainingChanged struct {
	Plan   uint64
	Action string   // "ended" (nobody is reminded or can begin any more), "prolonged", "excused" (these people need not), "again" (these people may try anew)
	Due    Time     // prolonged: for everybody whose own was earlier
	People []uint32 // excused, again: ordinals in "staff", ascending
	Reason uint32   // ordinal in "said"
	By     uint32   // ordinal in "staff"
}

func (*TrainingChanged) Kind() Kind { return KindTrainingChanged }
func (b *TrainingChanged) code(c *coder) {
	c.uint(&b.Plan)
	c.string(&b.Action)
	c.time(&b.Due)
	c.ordinals(&b.People)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// TrainingBegun says that a person began an attempt. It is durable before the
// first page is shown, and holds the questions drawn, so that nobody can have
// others by coming again.
type TrainingBegun struct {
	Plan      uint64
	Person    uint32   // ordinal in "staff"
	Attempt   uint64   // 1, 2, …
	Language  string   // "en", "ja"
	Session   uint64   // sequence number of the SessionOpened
	Questions []uint64 // their places in the course's bank, from 0, in the order asked
}

func (*TrainingBegun) Kind() Kind { return KindTrainingBegun }
func (b *TrainingBegun) code(c *coder) {
	c.uint(&b.Plan)
	c.uint32(&b.Person)
	c.uint(&b.Attempt)
	c.string(&b.Language)
	c.uint(&b.Session)
	c.uints(&b.Questions)
}

// TrainingTried is how an attempt ended. The first for an attempt counts.
type TrainingTried struct {
	Begun   uint64   // sequence number of the TrainingBegun
	Answers []uint64 // of each question asked, the options chosen: bit n is the course's option n
	Right   uint64
	Count   uint64 // of the questions
	Passed  bool
}

func (*TrainingTried) Kind() Kind { return KindTrainingTried }
func (b *TrainingTried) code(c *coder) {
	c.uint(&b.Begun)
	c.uints(&b.Answers)
	c.uint(&b.Right)
	c.uint(&b.Count)
	c.bool(&b.Passed)
}

// TrainingCompleted is the evidence that a person has taken a course.
type TrainingCompleted struct {
	Person  uint32 // ordinal in "staff"
	Course  string
	Edition string   // empty if the other system does not say
	Plan    uint64   // 0 if it was not assigned here
	Begun   uint64   // door: sequence number of the TrainingBegun; else 0
	Source  string   // "door", "import" (a system of the company's that is held to be true), "declared" (counts once somebody else has countersigned)
	System  string   // import, declared: the name of the other system or of the way in
	When    Time     // when the course was completed: the effective time
	Scored  bool     // a score is known
	Score   uint64   // in percent
	Seconds uint64   // from beginning to answering; 0 if it is not known
	SHA256  [32]byte // door: of the words that the person agreed to; import: of the file or delivery that it came in
	By      uint32   // ordinal in "staff": door: the person; else who brought it
}

func (*TrainingCompleted) Kind() Kind { return KindTrainingCompleted }
func (b *TrainingCompleted) code(c *coder) {
	c.uint32(&b.Person)
	c.string(&b.Course)
	c.string(&b.Edition)
	c.uint(&b.Plan)
	c.uint(&b.Begun)
	c.string(&b.Source)
	c.string(&b.System)
	c.time(&b.When)
	c.bool(&b.Scored)
	c.uint(&b.Score)
	c.uint(&b.Seconds)
	c.hash(&b.SHA256)
	c.uint32(&b.By)
}

// TrainingJudged is what a second person says of completions.
type TrainingJudged struct {
	Completions []uint64 // sequence numbers of TrainingCompleted, ascending
	Action      string   // "countersigned", "withdrawn"
	Reason      uint32   // ordinal in "said"; 0 for none given
	By          uint32   // ordinal in "staff"
}

func (*TrainingJudged) Kind() Kind { return KindTrainingJudged }
func (b *TrainingJudged) code(c *coder) {
	c.uints(&b.Completions)
	c.string(&b.Action)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// TrainingWritten says that these people's mails about a plan may go out from
// here on: it is durable before the first does, and nobody who stands in one is
// written to again at that stage. What became of them is a MailEnded.
type TrainingWritten struct {
	Plan   uint64
	Stage  string   // "assigned", "remind_1", "remind_2", … (of those that the config has), "overdue", "escalated"
	To     uint32   // escalated: ordinal in "staff": who is told about them; else 0
	People []uint32 // ordinals in "staff", ascending
}

func (*TrainingWritten) Kind() Kind { return KindTrainingWritten }
func (b *TrainingWritten) code(c *coder) {
	c.uint(&b.Plan)
	c.string(&b.Stage)
	c.uint32(&b.To)
	c.ordinals(&b.People)
}
