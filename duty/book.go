package duty

import (
	"iter"
	"sync"
	"time"

	"sekisho"
)

// A Member is somebody or something that a duty counts.
type Member struct {
	Unit       Unit
	Company    uint32   // ordinal in "unit" of the main post; 0: the group's
	Also       []uint32 // companies of concurrent posts: counted in each, and once in the whole
	Department uint32
	Owner      uint32 // ordinal in "staff": who answers for it; 0: nobody is named
	Executive  bool
	Kind       string // of people: "employee", "executive", "secondee", "agency"
	From       int64  // joined, or began to be; 0: before anybody wrote it down
	Until      int64  // left; 0: has not
	Away       []Span // on leave
}

// A Span of time, up to and without its end.
type Span struct{ From, Until int64 }

// A Directory says who and what there is. Its funcs are called while the views
// stand still.
type Directory struct {
	// People are those who are there at a time.
	People func(t int64) iter.Seq[Member]
	// Units are the companies, departments or posts ("company", "department",
	// "post") that there are at a time.
	Units func(kind string, t int64) iter.Seq[Member]
	// Version changes with every entry that changes an answer of the others.
	Version func() uint64
}

// A Setup is what a Book judges by.
type Setup struct {
	Register  *Register
	Directory Directory
	Zone      *time.Location
	Config    Config
	// Events gives further evidence of a kind that another view has the facts of,
	// such as when incidents were contained: from begins the clock, until ends it.
	// It is asked while the views stand still, and may be nil.
	Events func(kind string, now int64) []Credit
}

// A Book folds credits, and judges duties by them. It is a view: Apply cannot
// fail, and what is asked depends on the entries and on the time that the asker
// gives, alone.
type Book struct {
	setup    Setup
	calendar calendar
	since    int64 // from when duties are counted; 0 until the first entry

	store
	seq        uint64 // of the entry that is being applied
	at         int64  // its time
	evidence   map[uint64]*Stated
	order      []uint64 // of evidence
	exceptions []*Exception
	excepted   uint64 // the entry that last changed them
	listed     map[string]*listing
	controls   map[string]*Claimed // by "instrument/ref"
	claims     uint64              // the entry that last changed one
	frozen     map[frozenKey]*population
	freezing   map[frozenKey]*population
	thawed     uint64 // the entry that last froze one
	counters   map[string]*counter
	mailed     mailed // of drills
	reminded   map[remindKey]bool
	reminders  []Reminder
	editions   map[string]Edition
	made       made
	training   trainingCredits
	documents  documents
	handling   handling
	checks     *Checks

	mu   sync.Mutex // guards memo, which no answer depends on
	memo memo
}

// An Edition of an instrument, as the ledger has it.
type Edition struct {
	Seq  uint64
	At   int64
	Body *sekisho.InstrumentRead
}

// New makes an empty book.
func New(s Setup) *Book {
	if s.Zone == nil {
		s.Zone = time.UTC
	}
	if s.Config.YearBegins == 0 {
		s.Config.YearBegins = 4
	}
	if len(s.Config.People) == 0 {
		s.Config.People = everybody
	}
	b := &Book{setup: s, calendar: calendar{s.Zone, time.Month(s.Config.YearBegins)}, store: newStore(),
		evidence: map[uint64]*Stated{}, listed: map[string]*listing{}, controls: map[string]*Claimed{},
		frozen: map[frozenKey]*population{}, freezing: map[frozenKey]*population{}, counters: map[string]*counter{},
		reminded: map[remindKey]bool{}, editions: map[string]Edition{}, made: newMade(), documents: newDocuments()}
	b.checks = NewChecks()
	b.checks.credit, b.checks.withdraw, b.checks.enlist, b.checks.strike = b.credit, b.withdraw, b.enlist, b.strike
	b.checks.posed = b.posture
	b.checks.outside = func(permitted bool) {
		how := nothing
		if permitted {
			how = counts
		}
		b.count(offsites, how)
	}
	b.since, _ = s.Config.ParseSince(s.Zone) // the house has checked it
	return b
}

// Name is the view's.
func (b *Book) Name() string { return "duty" }

// Register is what the book judges by.
func (b *Book) Register() *Register { return b.setup.Register }

// Zone is the company's, in which days and windows begin.
func (b *Book) Zone() *time.Location { return b.setup.Zone }

// Apply folds one entry.
func (b *Book) Apply(e *sekisho.Entry) {
	b.seq, b.at = e.ID.Seq, int64(e.Time)
	if b.since == 0 {
		b.since = b.at
	}
	switch x := e.Body.(type) {
	case *sekisho.InstrumentRead:
		b.editions[x.Instrument] = Edition{e.ID.Seq, int64(e.Time), x}
	case *sekisho.EvidenceStated:
		b.stated(e, x)
	case *sekisho.EvidenceSigned:
		b.signed(e, x)
	case *sekisho.UnitListed:
		b.unitListed(x)
	case *sekisho.ExceptionAsked:
		b.exceptionAsked(e, x)
	case *sekisho.ExceptionDecided:
		b.exceptionDecided(e, x)
	case *sekisho.ControlStated:
		b.controlStated(e, x)
	case *sekisho.PopulationFrozen:
		b.populationFrozen(x)
	case *sekisho.DutyReminded:
		b.dutyReminded(e, x)
	default:
		b.lured(e)
		b.make(e)
	}
	// Each other noun's fold stands here in a line of its own.
	b.training.apply(b, e)
	b.documented(e)
	switch x := e.Body.(type) {
	case *sekisho.HandlingRead:
		b.handled(e, x)
	case *sekisho.Labelled:
		b.labelled(e, x)
	}
	b.checks.Apply(e)
}

// credit takes a piece of evidence into the book.
func (b *Book) credit(c Credit) { b.add(c, b.seq) }

// withdraw takes back every credit of an entry.
func (b *Book) withdraw(seq uint64) { b.remove(seq, b.seq) }

// Checks is what people look at, with the registers.
func (b *Book) Checks() *Checks { return b.checks }

// Edition is the edition of an instrument that the ledger last had.
func (b *Book) Edition(instrument string) (Edition, bool) {
	e, ok := b.editions[instrument]
	return e, ok
}

// VerifiedOn: the ledger was verified on the day of t.
func (b *Book) VerifiedOn(t int64) bool {
	list := b.of("ledger_witness", Group)
	return len(list) > 0 && list[len(list)-1].from >= b.calendar.dayOf(t)
}
