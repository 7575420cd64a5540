package duty

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/vault"
	"sekisho/view"
)

// A School does what is done about training: it makes courses known, assigns
// them, lets people take them, and takes over what other systems say. Every act
// is an entry first. Its methods may be called from any goroutine.
type School struct {
	Config  TrainingConfig
	Courses []*Course // of the files; those that were assigned are in the vault

	Append   func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error)
	Last     func() uint64
	Vault    *vault.Vault
	Views    *view.Set
	Training *Training       // in Views
	People   *directory.Book // in Views
	Now      func() time.Time
	Zone     *time.Location
	Log      *slog.Logger

	// One act about a person at a time, and one about plans.
	persons  [256]sync.Mutex
	planning sync.Mutex

	mu   sync.Mutex
	read map[uint32]*Course // by ordinal in "document"
}

func (s *School) now() sekisho.Time { return sekisho.At(s.Now()) }

// text keeps a text that somebody typed; 0 for none.
func (s *School) text(space, text string) (uint32, error) {
	if text == "" {
		return 0, nil
	}
	o := s.Vault.Space(space).OfText([]byte(text))
	if o == 0 {
		return 0, errors.New("the vault takes no more")
	}
	return o, nil
}

// record makes entries durable, and waits until the views have them. It gives
// the first one's number.
func (s *School) record(ctx context.Context, bodies ...sekisho.Body) (uint64, error) {
	id, err := s.Append(ctx, bodies...)
	if err != nil {
		return 0, fmt.Errorf("recording in the ledger: %w", err)
	}
	return id.Seq, s.Views.WaitFor(ctx, id.Seq+uint64(len(bodies)-1))
}

// ReadIn makes the courses of the files known to the ledger, each edition once.
// An edition that the ledger knows with another text stays what it was; it is
// named in changed.
func (s *School) ReadIn(ctx context.Context) (changed []string, err error) {
	var bodies []sekisho.Body
	for _, c := range s.Courses {
		text, sum := c.document()
		var known EditionRead
		s.Views.Read(func() { known = s.Training.Edition(c.Name, c.Edition) })
		switch {
		case known.Entry != 0 && known.Body.SHA256 != sum:
			changed = append(changed, c.Name+" "+c.Edition)
		case known.Entry == 0:
			o, err := s.text("document", string(text))
			if err != nil {
				return changed, fmt.Errorf("keeping a course: %w", err)
			}
			bodies = append(bodies, &sekisho.CourseRead{Course: c.Name, Edition: c.Edition, SHA256: sum, Document: o, Seconds: c.Seconds, Draw: c.Draw, Pass: c.Pass, Attempts: c.Attempts})
		}
	}
	if len(bodies) == 0 {
		return changed, nil
	}
	_, err = s.record(ctx, bodies...)
	return changed, err
}

// Course is an edition's text, as the vault holds it.
func (s *School) Course(b *sekisho.CourseRead) (*Course, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.read[b.Document]; c != nil {
		return c, nil
	}
	text, ok := s.Vault.Space("document").Key(b.Document)
	if !ok || sha256.Sum256([]byte(text)) != b.SHA256 {
		return nil, fmt.Errorf("edition %s of the course %s is not in the vault as the ledger has it", b.Edition, b.Course)
	}
	c, err := openDocument(text)
	if err != nil {
		return nil, err
	}
	if s.read == nil {
		s.read = map[uint32]*Course{}
	}
	s.read[b.Document] = c
	return c, nil
}

// ErrTraining is why an act cannot be done: a word for the reason.
type ErrTraining string

func (e ErrTraining) Error() string { return "training: " + string(e) }

// Why a person cannot go on.
const (
	ErrNotAssigned = ErrTraining("not_assigned") // or it is somebody else's
	ErrEnded       = ErrTraining("ended")        // the plan
	ErrDone        = ErrTraining("done")         // it is completed
	ErrNoAttempt   = ErrTraining("no_attempt")   // none is left, or none was begun
	ErrTooSoon     = ErrTraining("too_soon")     // the least time has not passed
	ErrAttest      = ErrTraining("attest")       // the statement was not made
	ErrAnswers     = ErrTraining("answers")      // a question was not answered
)

func (s *School) lockPerson(person uint32) func() {
	m := &s.persons[person%uint32(len(s.persons))]
	m.Lock()
	return m.Unlock
}

// share is a person's part in a plan.
func (s *School) share(plan uint64, person uint32) (sh Share, err error) {
	ok := false
	s.Views.Read(func() {
		if p := s.Training.Plan(plan); p != nil {
			sh, ok = s.Training.Share(p, person, s.now())
		}
	})
	if !ok || sh.Course == nil {
		return sh, ErrNotAssigned
	}
	return sh, nil
}

// Share is a person's part in a plan, and nobody else's.
func (s *School) Share(plan uint64, person uint32) (Share, error) { return s.share(plan, person) }

// May says why a person cannot begin; nil if they can, also after the due date.
func (sh *Share) May() error {
	switch {
	case sh.State == EnrolDone || sh.State == EnrolLate:
		return ErrDone
	case sh.Plan.Ended != 0:
		return ErrEnded
	case sh.State == EnrolFailed || uint64(sh.Tries) >= sh.Course.Attempts:
		return ErrNoAttempt
	}
	return nil
}

// Begin begins an attempt, or gives the one under way. What it draws is durable
// on return.
func (s *School) Begin(ctx context.Context, plan uint64, person uint32, lang string, session uint64) (Attempt, error) {
	defer s.lockPerson(person)()
	sh, err := s.share(plan, person)
	if err != nil {
		return Attempt{}, err
	}
	if err := sh.May(); err != nil {
		return Attempt{}, err
	}
	if a, ok := s.attempt(sh.Open); ok {
		return a, nil
	}
	c, err := s.Course(sh.Course)
	if err != nil {
		return Attempt{}, err
	}
	var drawn []uint64
	for _, i := range rand.Perm(len(c.Questions))[:c.Draw] {
		drawn = append(drawn, uint64(i))
	}
	seq, err := s.record(ctx, &sekisho.TrainingBegun{Plan: plan, Person: person, Attempt: uint64(sh.Attempts) + 1, Language: lang, Session: session, Questions: drawn})
	if err != nil {
		return Attempt{}, err
	}
	a, _ := s.attempt(seq)
	return a, nil
}

func (s *School) attempt(begun uint64) (a Attempt, ok bool) {
	s.Views.Read(func() { a, ok = s.Training.Attempt(begun) })
	return a, ok
}

// Open is the attempt that a person has under way in a plan.
func (s *School) Open(plan uint64, person uint32) (Share, Attempt, error) {
	sh, err := s.share(plan, person)
	if err != nil {
		return sh, Attempt{}, err
	}
	a, ok := s.attempt(sh.Open)
	if !ok {
		return sh, a, ErrNoAttempt
	}
	return sh, a, nil
}

// Ready is when the questions of an attempt may be answered.
func (a *Attempt) Ready(course *sekisho.CourseRead) sekisho.Time {
	return a.At + sekisho.Time(course.Seconds*1e6)
}

// Order is the order in which the options of the n-th question are shown: the
// same each time it is, and another for another attempt.
func (a *Attempt) Order(n, options int) []int {
	r := rand.New(rand.NewPCG(a.Begun, uint64(n)))
	return r.Perm(options)
}

// A Result is how an attempt ended.
type Result struct {
	Plan      uint64
	Course    *Course
	Right     uint64
	Asked     uint64
	Passed    bool
	Left      uint64 // attempts
	Wrong     []int  // places in the bank
	Completed uint64 // entry
}

// Score is the share of right answers, in percent, rounded down.
func (r *Result) Score() uint64 { return r.Right * 100 / max(r.Asked, 1) }

// Answer ends an attempt: answers has for each question asked the options
// chosen, as bits. The result is durable on return, and with it the completion
// if it was passed.
func (s *School) Answer(ctx context.Context, plan uint64, person uint32, answers []uint64, attested bool) (*Result, error) {
	defer s.lockPerson(person)()
	sh, a, err := s.Open(plan, person)
	if err != nil {
		return nil, err
	}
	if err := sh.May(); err != nil {
		return nil, err
	}
	now := s.now()
	switch {
	case now < a.Ready(sh.Course):
		return nil, ErrTooSoon
	case len(answers) != len(a.Body.Questions) || slices.Contains(answers, 0):
		return nil, ErrAnswers
	case !attested:
		return nil, ErrAttest
	}
	c, err := s.Course(sh.Course)
	if err != nil {
		return nil, err
	}
	r := &Result{Plan: plan, Course: c, Asked: uint64(len(answers))}
	for i, q := range a.Body.Questions {
		if q < uint64(len(c.Questions)) && c.Questions[q].Right() == answers[i] {
			r.Right++
		} else {
			r.Wrong = append(r.Wrong, int(q))
		}
	}
	r.Passed = r.Right*100 >= c.Pass*r.Asked
	bodies := []sekisho.Body{&sekisho.TrainingTried{Begun: a.Begun, Answers: answers, Right: r.Right, Count: r.Asked, Passed: r.Passed}}
	if r.Passed {
		bodies = append(bodies, &sekisho.TrainingCompleted{Person: person, Course: c.Name, Edition: c.Edition, Plan: plan, Begun: a.Begun, Source: "door", When: now,
			Scored: true, Score: r.Score(), Seconds: uint64(max(0, now-a.At) / 1e6), SHA256: sha256.Sum256([]byte(c.Attestation.In(a.Body.Language))), By: person})
	} else {
		r.Left = c.Attempts - min(c.Attempts, uint64(sh.Tries)+1)
	}
	seq, err := s.record(ctx, bodies...)
	if err != nil {
		return nil, err
	}
	if r.Passed {
		r.Completed = seq + 1
	}
	return r, nil
}
