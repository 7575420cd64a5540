package duty

import (
	"slices"

	"sekisho"
)

// Training is what the ledger says of courses, who is to take them, and who
// did. It is a view of its own, beside Book, which holds what a completion
// proves. Its times are the entries'.
type Training struct {
	courses map[uint64]*sekisho.CourseRead // by entry
	known   []uint64                       // entries of courses, in order
	plans   map[uint64]*Plan
	order   []*Plan

	attempts map[uint64]*Attempt // that were begun and not ended
	done     []*Completion       // in order
	bySeq    map[uint64]*Completion
	byPerson map[uint32][]*Completion
	letters  map[uint64]letters // TrainingWritten without a MailEnded
	later    map[laterKey]later // letters that were not taken, and are tried again
}

type laterKey struct {
	plan   uint64
	person uint32
	stage  string
}

type later struct {
	at sekisho.Time // not before
	n  int
}

// Letters that a mail server did not take are tried again so often, so far
// apart.
const (
	mostLater  = 5
	laterAfter = sekisho.Time(30 * 60e6)
)

// NewTraining makes an empty view.
func NewTraining() *Training {
	return &Training{courses: map[uint64]*sekisho.CourseRead{}, plans: map[uint64]*Plan{}, attempts: map[uint64]*Attempt{},
		bySeq: map[uint64]*Completion{}, byPerson: map[uint32][]*Completion{}, letters: map[uint64]letters{}, later: map[laterKey]later{}}
}

// Name is the view's.
func (*Training) Name() string { return "training" }

// A Plan is a course that some people are to take until a day.
type Plan struct {
	Number uint64 // sequence number of its TrainingPlanned
	At     sekisho.Time
	Body   *sekisho.TrainingPlanned
	Due    sekisho.Time // as it was prolonged
	Ended  sekisho.Time // 0: it is on

	people []Enrolment
	place  []int32 // by ordinal of the person: 1 + where in people; 0 is nowhere
}

// An Enrolment is one person's share in a plan.
type Enrolment struct {
	Person    uint32
	Makeup    bool
	Excused   bool
	Tries     uint8 // attempts that ended without passing, since the last "again"
	Attempts  uint8 // begun in all
	Since     sekisho.Time
	Due       sekisho.Time // exclusive
	Open      uint64       // the attempt under way: sequence number of its TrainingBegun
	Completed uint64       // sequence number of the TrainingCompleted that counts here
	written   uint32       // stages at which mails may have gone out, as bits
}

// An Attempt was begun and has not ended.
type Attempt struct {
	Begun uint64
	At    sekisho.Time
	Body  *sekisho.TrainingBegun
}

// A Completion is the evidence that somebody has taken a course.
type Completion struct {
	Seq   uint64
	At    sekisho.Time // when it was recorded
	Body  *sekisho.TrainingCompleted
	State string // "" counts; "declared" waits for a second person; "withdrawn"
	Judge uint32 // ordinal in "staff": who countersigned or withdrew
}

// Counts says that a completion is evidence.
func (c *Completion) Counts() bool { return c.State == "" }

type letters struct {
	plan   *Plan
	stage  string
	people []uint32
}

// Apply folds one entry.
func (t *Training) Apply(e *sekisho.Entry) {
	switch b := e.Body.(type) {
	case *sekisho.CourseRead:
		t.courses[e.ID.Seq] = b
		t.known = append(t.known, e.ID.Seq)
	case *sekisho.TrainingPlanned:
		p := &Plan{Number: e.ID.Seq, At: e.Time, Body: b, Due: b.Due}
		t.plans[p.Number] = p
		t.order = append(t.order, p)
	case *sekisho.TrainingAssigned:
		if p := t.plans[b.Plan]; p != nil {
			p.assigned(e, b)
		}
	case *sekisho.TrainingChanged:
		if p := t.plans[b.Plan]; p != nil {
			p.changed(e, b)
		}
	case *sekisho.TrainingBegun:
		t.begun(e, b)
	case *sekisho.TrainingTried:
		t.tried(b)
	case *sekisho.TrainingCompleted:
		t.completed(e, b)
	case *sekisho.TrainingJudged:
		t.judged(b)
	case *sekisho.TrainingWritten:
		t.wrote(e, b)
	case *sekisho.MailEnded:
		t.wroteTo(e, b)
	}
}

// enrolment is a person's share, or nil.
func (p *Plan) enrolment(person uint32) *Enrolment {
	if int(person) >= len(p.place) || p.place[person] == 0 {
		return nil
	}
	return &p.people[p.place[person]-1]
}

// mostOrdinal bounds what an entry can make the view allocate: nobody has more
// staff.
const mostOrdinal = 1 << 26

func (p *Plan) assigned(e *sekisho.Entry, b *sekisho.TrainingAssigned) {
	p.people = slices.Grow(p.people, len(b.People))
	for _, o := range b.People {
		if o == 0 || o > mostOrdinal || p.enrolment(o) != nil {
			continue
		}
		if int(o) >= len(p.place) {
			p.place = append(p.place, make([]int32, max(int(o)+1, len(p.place)+len(p.place)/4)-len(p.place))...)
		}
		p.people = append(p.people, Enrolment{Person: o, Makeup: b.Why == "makeup", Since: e.Time, Due: max(b.Due, 0)})
		p.place[o] = int32(len(p.people))
	}
}

func (p *Plan) changed(e *sekisho.Entry, b *sekisho.TrainingChanged) {
	switch b.Action {
	case "ended":
		if p.Ended == 0 {
			p.Ended = e.Time
		}
	case "prolonged":
		p.Due = max(p.Due, b.Due)
		for i := range p.people {
			p.people[i].Due = max(p.people[i].Due, b.Due)
		}
	case "excused":
		for _, o := range b.People {
			if one := p.enrolment(o); one != nil {
				one.Excused = true
			}
		}
	case "again":
		for _, o := range b.People {
			if one := p.enrolment(o); one != nil {
				one.Tries, one.Excused = 0, false
			}
		}
	}
}

func (t *Training) begun(e *sekisho.Entry, b *sekisho.TrainingBegun) {
	p := t.plans[b.Plan]
	if p == nil {
		return
	}
	one := p.enrolment(b.Person)
	if one == nil {
		return
	}
	if one.Open != 0 {
		delete(t.attempts, one.Open)
	}
	one.Open = e.ID.Seq
	one.Attempts++
	t.attempts[e.ID.Seq] = &Attempt{e.ID.Seq, e.Time, b}
}

// tried ends an attempt. The completion follows in the same group, if it was
// passed.
func (t *Training) tried(b *sekisho.TrainingTried) {
	a := t.attempts[b.Begun]
	if a == nil {
		return
	}
	delete(t.attempts, b.Begun)
	one := t.plans[a.Body.Plan].enrolment(a.Body.Person)
	one.Open = 0
	if !b.Passed && one.Tries < 255 {
		one.Tries++
	}
}

func (t *Training) completed(e *sekisho.Entry, b *sekisho.TrainingCompleted) {
	c := &Completion{Seq: e.ID.Seq, At: e.Time, Body: b}
	if b.Source == "declared" {
		c.State = "declared"
	}
	t.done = append(t.done, c)
	t.bySeq[c.Seq] = c
	t.byPerson[b.Person] = append(t.byPerson[b.Person], c)
	t.settle(b.Person, b.Course)
}

func (t *Training) judged(b *sekisho.TrainingJudged) {
	for _, seq := range b.Completions {
		c := t.bySeq[seq]
		if c == nil {
			continue
		}
		switch {
		case b.Action == "withdrawn":
			c.State, c.Judge = "withdrawn", b.By
		case b.Action == "countersigned" && c.State == "declared" && b.By != c.Body.By && b.By != c.Body.Person:
			c.State, c.Judge = "", b.By
		default:
			continue
		}
		t.settle(c.Body.Person, c.Body.Course)
	}
}

// settle says for every plan of a course which completion of a person counts
// there: the first that counts and was not before the plan opened.
func (t *Training) settle(person uint32, course string) {
	for _, p := range t.order {
		one := p.enrolment(person)
		if one == nil || t.courses[p.Body.Course] == nil || t.courses[p.Body.Course].Course != course {
			continue
		}
		one.Completed = 0
		for _, c := range t.byPerson[person] {
			if c.Body.Course == course && c.Counts() && c.Body.When >= p.Body.From {
				one.Completed = c.Seq
				break
			}
		}
	}
}

func (t *Training) wrote(e *sekisho.Entry, b *sekisho.TrainingWritten) {
	p := t.plans[b.Plan]
	if p == nil {
		return
	}
	bit := stageBit(b.Stage)
	for _, o := range b.People {
		if one := p.enrolment(o); one != nil {
			one.written |= bit
		}
	}
	t.letters[e.ID.Seq] = letters{p, b.Stage, b.People}
}

// wroteTo ends a window. Whoever is in no list, or was asked to be tried later,
// has not been written to.
func (t *Training) wroteTo(e *sekisho.Entry, b *sekisho.MailEnded) {
	l, ok := t.letters[b.Started]
	if !ok {
		return // of another noun
	}
	delete(t.letters, b.Started)
	settled := map[uint32]bool{}
	for _, list := range [][]uint32{b.Taken, b.Denied, b.Unclear} {
		for _, o := range list {
			settled[o] = true
		}
	}
	for _, o := range l.people {
		one := l.plan.enrolment(o)
		if one == nil || settled[o] {
			continue
		}
		k := laterKey{l.plan.Number, o, l.stage}
		was := t.later[k]
		if was.n+1 >= mostLater {
			delete(t.later, k)
			continue // given up: it stays as written
		}
		t.later[k] = later{e.Time + laterAfter, was.n + 1}
		one.written &^= stageBit(l.stage)
	}
}

// waits says that a letter that was not taken is not to be tried again yet.
func (t *Training) waits(p *Plan, person uint32, stage string, now sekisho.Time) bool {
	return now < t.later[laterKey{p.Number, person, stage}].at
}

// Stages at which somebody is written to about a plan, besides "remind_1" to
// "remind_9".
const (
	StageAssigned  = "assigned"
	StageOverdue   = "overdue"
	StageEscalated = "escalated"
)

func stageBit(stage string) uint32 {
	switch stage {
	case StageAssigned:
		return 1
	case StageOverdue:
		return 2
	case StageEscalated:
		return 4
	}
	if len(stage) == len("remind_1") && stage[:7] == "remind_" && stage[7] >= '1' && stage[7] <= '9' {
		return 8 << (stage[7] - '1')
	}
	return 1 << 31
}

// EnrolmentState is how far a person has come with a plan.
type EnrolmentState string

const (
	EnrolDone    EnrolmentState = "done"    // completed in time
	EnrolLate    EnrolmentState = "late"    // completed after the due date
	EnrolOpen    EnrolmentState = "open"    // not begun, and still in time
	EnrolBegun   EnrolmentState = "begun"   // begun, and still in time
	EnrolFailed  EnrolmentState = "failed"  // all attempts used
	EnrolMissed  EnrolmentState = "missed"  // the due date has passed
	EnrolUnknown EnrolmentState = "unknown" // somebody says that it was completed, and nobody has countersigned
	EnrolExcused EnrolmentState = "excused"
)

// state is a person's at a moment. tries is how often the course may be tried.
func (t *Training) state(p *Plan, one *Enrolment, now sekisho.Time) EnrolmentState {
	if c := t.bySeq[one.Completed]; c != nil {
		if c.Body.When >= one.Due {
			return EnrolLate
		}
		return EnrolDone
	}
	if one.Excused {
		return EnrolExcused
	}
	course := t.courses[p.Body.Course]
	for _, c := range t.byPerson[one.Person] {
		if course != nil && c.State == "declared" && c.Body.Course == course.Course && c.Body.When >= p.Body.From {
			return EnrolUnknown
		}
	}
	switch {
	case course != nil && uint64(one.Tries) >= course.Attempts:
		return EnrolFailed
	case now >= one.Due:
		return EnrolMissed
	case one.Attempts > 0:
		return EnrolBegun
	}
	return EnrolOpen
}

// Plans are all plans, the latest first.
func (t *Training) Plans() []*Plan {
	list := slices.Clone(t.order)
	slices.Reverse(list)
	return list
}

// Plan is the plan of a number; nil if there is none. Read it within Set.Read.
func (t *Training) Plan(number uint64) *Plan { return t.plans[number] }

// People counts who was assigned.
func (p *Plan) People() int { return len(p.people) }

// CourseOf is the edition that a plan is of.
func (t *Training) CourseOf(p *Plan) *sekisho.CourseRead { return t.courses[p.Body.Course] }

// An EditionRead is an edition of a course that the ledger knows.
type EditionRead struct {
	Entry uint64
	Body  *sekisho.CourseRead
}

// Editions are the editions of courses, in the order in which they were read.
func (t *Training) Editions() (list []EditionRead) {
	for _, n := range t.known {
		list = append(list, EditionRead{n, t.courses[n]})
	}
	return list
}

// Edition finds one; the entry is 0 if the ledger does not know it.
func (t *Training) Edition(course, edition string) (e EditionRead) {
	for _, n := range t.known {
		if b := t.courses[n]; b.Course == course && b.Edition == edition {
			return EditionRead{n, b}
		}
	}
	return e
}

// Completions are somebody's, in the order in which they were recorded.
func (t *Training) Completions(person uint32) []Completion {
	var list []Completion
	for _, c := range t.byPerson[person] {
		list = append(list, *c)
	}
	return list
}

// Completion is the one of an entry.
func (t *Training) Completion(seq uint64) (c Completion, ok bool) {
	one := t.bySeq[seq]
	if one == nil {
		return c, false
	}
	return *one, true
}

// Attempt is one that was begun and has not ended.
func (t *Training) Attempt(begun uint64) (a Attempt, ok bool) {
	one := t.attempts[begun]
	if one == nil {
		return a, false
	}
	return *one, true
}

// A Share is a person's part in a plan at a moment.
type Share struct {
	Enrolment
	Plan   *Plan
	Course *sekisho.CourseRead
	State  EnrolmentState
}

// Body is what was planned.
func (s *Share) Body() *sekisho.TrainingPlanned { return s.Plan.Body }

// Of are the shares of one person, the latest plan first.
func (t *Training) Of(person uint32, now sekisho.Time) (list []Share) {
	for _, p := range slices.Backward(t.order) {
		if one := p.enrolment(person); one != nil {
			list = append(list, Share{*one, p, t.courses[p.Body.Course], t.state(p, one, now)})
		}
	}
	return list
}

// Share is a person's part in one plan.
func (t *Training) Share(p *Plan, person uint32, now sekisho.Time) (s Share, ok bool) {
	one := p.enrolment(person)
	if one == nil {
		return s, false
	}
	return Share{*one, p, t.courses[p.Body.Course], t.state(p, one, now)}, true
}

// Shares calls yield for everybody in a plan.
func (t *Training) Shares(p *Plan, now sekisho.Time, yield func(s Share)) {
	for i := range p.people {
		one := &p.people[i]
		yield(Share{*one, p, t.courses[p.Body.Course], t.state(p, one, now)})
	}
}
