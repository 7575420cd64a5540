package incident

import (
	"cmp"
	"maps"
	"slices"

	"sekisho"
)

// Enquiries: what people asked the contact point, and how far each has come.
// It is a fold of the ledger, so that a restart forgets none.

// An Enquiry is one, with what became of it. What Enquiries gives out is a
// copy, to keep.
type Enquiry struct {
	Number uint64 // sequence number of its EnquiryReceived
	// Nth is how many there were with it: the number that askers see. Sequence
	// numbers rise with what the house does, such as a letter to a member.
	Nth  uint64
	At   sekisho.Time
	Body *sekisho.EnquiryReceived

	Matched  *sekisho.EnquiryMatched // the latest; nil: not compared yet
	Match    uint64                  // its sequence number
	MatchAt  sekisho.Time
	Matches  int    // how often it was compared
	CodeMail string // what became of the latest code's letter; "" as long as nobody knows

	Checked   *sekisho.IdentityChecked // the latest; nil: nobody has
	CheckedAt sekisho.Time
	ByHand    bool // the asker wants a person to check who they are
	HandAt    sekisho.Time

	To       uint32 // ordinal in "staff": who has it in hand
	Incident uint64 // to which it belongs, if somebody said so

	Answer     *sekisho.EnquiryAnswered // the latest; nil: none yet
	AnswerSeq  uint64
	AnswerAt   sekisho.Time
	AnsweredAt sekisho.Time // the first answer that was more than a delay; 0: none
	AnswerMail string
	Promised   sekisho.Time // until when an answer was put off; 0: it was not

	Closed   sekisho.Time // 0: open
	Why      string       // it was closed
	ClosedBy uint32
}

// NeedsIdentity says whether what is asked is told to the person alone.
func NeedsIdentity(asked string) bool { return asked != "complaint" && asked != "misuse" }

// Known says whether it is established who asks, and who it is.
func (q *Enquiry) Known() (space string, subject uint32, ok bool) {
	if q.Checked == nil || q.Checked.Result != "confirmed" {
		return "", 0, false
	}
	return q.Checked.Space, q.Checked.Subject, true
}

// Standing is how far an enquiry has come.
type Standing string

// The standings. What waits for staff is StandCheck and StandAnswer.
const (
	StandProof    Standing = "proof"    // the asker has yet to show who they are
	StandCheck    Standing = "check"    // staff have to check who the asker is
	StandAnswer   Standing = "answer"   // staff, or sekisho, have to answer
	StandAnswered Standing = "answered" // and may still be asked about
	StandClosed   Standing = "closed"   //
)

// Standing is the enquiry's.
func (q *Enquiry) Standing() Standing {
	_, _, known := q.Known()
	switch {
	case q.Closed != 0:
		return StandClosed
	case q.AnsweredAt != 0:
		return StandAnswered
	case known || !NeedsIdentity(q.Body.Asked):
		return StandAnswer
	case q.ByHand || q.Body.By != 0:
		return StandCheck
	}
	return StandProof
}

// Began is since when it was for the company to act: it came with nobody to
// identify, or it was known who asks, or the asker wants staff to find out; 0:
// not yet.
func (q *Enquiry) Began() sekisho.Time {
	if !NeedsIdentity(q.Body.Asked) || q.Body.By != 0 {
		return q.At
	}
	at := q.HandAt
	if _, _, known := q.Known(); known && (at == 0 || q.CheckedAt < at) {
		at = q.CheckedAt
	}
	return at
}

// Waits says whether it waits for the company, not for the asker.
func (q *Enquiry) Waits() bool {
	s := q.Standing()
	return s == StandCheck || s == StandAnswer
}

// An Allowance is whether sekisho itself tells identified people what an
// incident means for them.
type Allowance struct {
	Incident uint64
	Request  uint64 // sequence number of the entry that asked
	At       sekisho.Time
	Asked    *sekisho.AnswersAllowed
	Decided  *sekisho.AnswersAllowed // nil: it waits for a second person
	When     sekisho.Time
	Ended    sekisho.Time // 0: it has not
}

// Holds says whether it is in force.
func (a *Allowance) Holds() bool {
	return a.Decided != nil && a.Decided.Action == "approved" && a.Ended == 0
}

// Enquiries is the fold of all of them.
type Enquiries struct {
	list      []*Enquiry // in the order in which they came
	byNumber  map[uint64]*Enquiry
	byReceipt map[[32]byte]*Enquiry
	fresh     map[uint64]*Enquiry // not compared with the roster yet
	unmailed  map[uint64]*Enquiry // of whose code nobody knows what became
	unread    map[uint64]*Enquiry // to answer: who asks is known, or need not be
	told      map[uint64]*Enquiry // answered by sekisho itself
	codes     map[person][]sekisho.Time
	allowed   []*Allowance
	misuse    int
}

type person struct {
	space   string
	subject uint32
}

// codesKept is how many of the latest codes of a person are remembered.
const codesKept = 8

// NewEnquiries is an empty fold.
func NewEnquiries() *Enquiries {
	return &Enquiries{byNumber: map[uint64]*Enquiry{}, byReceipt: map[[32]byte]*Enquiry{}, fresh: map[uint64]*Enquiry{},
		unmailed: map[uint64]*Enquiry{}, unread: map[uint64]*Enquiry{}, told: map[uint64]*Enquiry{}, codes: map[person][]sekisho.Time{}}
}

// Name is the view's.
func (*Enquiries) Name() string { return "enquiries" }

// Apply folds one entry. An entry about an enquiry that is not there says
// nothing.
func (b *Enquiries) Apply(e *sekisho.Entry) {
	switch body := e.Body.(type) {
	case *sekisho.EnquiryReceived:
		q := &Enquiry{Number: e.ID.Seq, Nth: uint64(len(b.list)) + 1, At: e.Time, Body: body}
		b.list = append(b.list, q)
		b.byNumber[q.Number] = q
		b.byReceipt[body.Receipt] = q
		if body.Asked == "misuse" {
			b.misuse++
		}
		if body.By == 0 {
			b.fresh[q.Number] = q
		}
		b.place(q)
	case *sekisho.EnquiryMatched:
		if q := b.byNumber[body.Enquiry]; q != nil {
			q.Matched, q.Match, q.MatchAt, q.CodeMail = body, e.ID.Seq, e.Time, ""
			delete(b.fresh, q.Number)
			delete(b.unmailed, q.Number)
			q.Matches++
			if body.Code != [32]byte{} {
				b.unmailed[q.Number] = q
				p := person{body.Space, body.Subject}
				times := append(b.codes[p], e.Time)
				b.codes[p] = slices.Clone(times[max(0, len(times)-codesKept):])
			}
		}
	case *sekisho.EnquiryMailed:
		q := b.byNumber[body.Enquiry]
		switch {
		case q == nil:
		case body.Letter == "code" && body.Basis == q.Match:
			q.CodeMail = body.Outcome
			delete(b.unmailed, q.Number)
		case body.Letter == "answer" && body.Basis == q.AnswerSeq:
			q.AnswerMail = body.Outcome
		}
	case *sekisho.IdentityChecked:
		if q := b.byNumber[body.Enquiry]; q != nil {
			q.Checked, q.CheckedAt = body, e.Time
			delete(b.fresh, q.Number)
			b.place(q)
		}
	case *sekisho.EnquiryRouted:
		if q := b.byNumber[body.Enquiry]; q != nil {
			switch body.Action {
			case "assigned":
				q.To = body.To
			case "by_hand":
				q.ByHand = true
				if q.HandAt == 0 {
					q.HandAt = e.Time
				}
			case "code":
				b.fresh[q.Number] = q
			case "incident":
				q.Incident = body.Incident
			}
		}
	case *sekisho.EnquiryAnswered:
		if q := b.byNumber[body.Enquiry]; q != nil {
			q.Answer, q.AnswerSeq, q.AnswerAt, q.AnswerMail = body, e.ID.Seq, e.Time, ""
			switch {
			case body.Result == "extended":
				q.Promised = body.Until
			case q.AnsweredAt == 0:
				q.AnsweredAt = e.Time
			}
			b.place(q)
		}
	case *sekisho.EnquiryClosed:
		if q := b.byNumber[body.Enquiry]; q != nil && q.Closed == 0 {
			q.Closed, q.Why, q.ClosedBy = e.Time, body.Reason, body.By
			delete(b.fresh, q.Number)
			delete(b.unmailed, q.Number)
			b.place(q)
		}
	case *sekisho.AnswersAllowed:
		b.allow(e, body)
	}
}

// place keeps the sets of what sekisho itself has to do.
func (b *Enquiries) place(q *Enquiry) {
	if q.Standing() == StandAnswer {
		b.unread[q.Number] = q
	} else {
		delete(b.unread, q.Number)
	}
	if q.Answer != nil && q.Answer.By == 0 && q.Closed == 0 {
		b.told[q.Number] = q
	} else {
		delete(b.told, q.Number)
	}
}

func (b *Enquiries) allow(e *sekisho.Entry, body *sekisho.AnswersAllowed) {
	if body.Action == "asked" {
		b.allowed = append(b.allowed, &Allowance{Incident: body.Incident, Request: e.ID.Seq, At: e.Time, Asked: body})
		return
	}
	i := slices.IndexFunc(b.allowed, func(a *Allowance) bool { return a.Request == body.Request })
	if i < 0 {
		return
	}
	switch a := b.allowed[i]; {
	case body.Action == "ended":
		a.Ended = e.Time
	case a.Decided == nil:
		a.Decided, a.When = body, e.Time
		if body.Action == "approved" { // one text for an incident: the latest
			for _, older := range b.allowed[:i] {
				if older.Incident == a.Incident && older.Ended == 0 {
					older.Ended = e.Time
				}
			}
		}
	}
}

// Len is how many there are.
func (b *Enquiries) Len() int { return len(b.list) }

// Get gives the enquiry with a number.
func (b *Enquiries) Get(number uint64) (Enquiry, bool) { return copied(b.byNumber[number]) }

// ByReceipt gives the enquiry whose receipt's secret has this SHA-256.
func (b *Enquiries) ByReceipt(hash [32]byte) (Enquiry, bool) { return copied(b.byReceipt[hash]) }

func copied(q *Enquiry) (Enquiry, bool) {
	if q == nil {
		return Enquiry{}, false
	}
	return *q, true
}

// Each gives every enquiry in the order in which they came, until f says no.
// What it is given is not to be changed or kept.
func (b *Enquiries) Each(f func(q *Enquiry) bool) {
	for _, q := range b.list {
		if !f(q) {
			return
		}
	}
}

// Fresh gives the oldest that were not compared with the roster, most at most.
func (b *Enquiries) Fresh(most int) []Enquiry { return oldest(b.fresh, most) }

// Unmailed gives those with a code of whose letter nobody knows what became.
func (b *Enquiries) Unmailed() []Enquiry { return oldest(b.unmailed, len(b.unmailed)) }

// Unanswered gives those that can be answered.
func (b *Enquiries) Unanswered() []Enquiry { return oldest(b.unread, len(b.unread)) }

// Told gives the open ones that sekisho itself has answered.
func (b *Enquiries) Told() []Enquiry { return oldest(b.told, len(b.told)) }

func oldest(set map[uint64]*Enquiry, most int) []Enquiry {
	if len(set) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(set))
	list := make([]Enquiry, 0, min(most, len(numbers)))
	for _, n := range numbers[:min(most, len(numbers))] {
		list = append(list, *set[n])
	}
	return list
}

// CodesSince counts the codes made for a person since a moment, as far back as
// they are remembered.
func (b *Enquiries) CodesSince(space string, subject uint32, since sekisho.Time) (n int) {
	for _, at := range b.codes[person{space, subject}] {
		if at >= since {
			n++
		}
	}
	return n
}

// Allowances gives every request and approval of answers by sekisho itself, the
// latest first.
func (b *Enquiries) Allowances() []Allowance {
	list := make([]Allowance, 0, len(b.allowed))
	for _, a := range b.allowed {
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b Allowance) int { return cmp.Compare(b.Request, a.Request) })
	return list
}

// Allowed gives those that are in force, by incident.
func (b *Enquiries) Allowed() []Allowance {
	var list []Allowance
	for _, a := range b.allowed {
		if a.Holds() {
			list = append(list, *a)
		}
	}
	slices.SortFunc(list, func(a, b Allowance) int { return cmp.Compare(a.Incident, b.Incident) })
	return list
}

// Misuse gives the reports of misuse, the secondary damage of an incident:
// those that staff laid to it, or with incident 0 all of them.
func (b *Enquiries) Misuse(incident uint64) []Enquiry {
	if b.misuse == 0 {
		return nil
	}
	var list []Enquiry
	for _, q := range b.list {
		if q.Body.Asked == "misuse" && (incident == 0 || q.Incident == incident) {
			list = append(list, *q)
		}
	}
	return list
}
