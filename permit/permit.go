// Package permit keeps who was allowed to take more customers out than a role
// may: requests, the answers of a second person, and whether an answer was used.
// It is a fold of the ledger, so a restart forgets nothing, and no approval
// counts twice.
package permit

import (
	"cmp"
	"slices"

	"sekisho"
)

// State is how far a request has come.
type State string

// The states.
const (
	Asked     State = "asked"     // waits for somebody to decide
	Approved  State = "approved"  // may be used once
	Rejected  State = "rejected"  //
	Withdrawn State = "withdrawn" // by whoever asked; once it is approved, by whoever may decide, too
	Used      State = "used"      //
	Expired   State = "expired"   // approved, or never decided, and too late now
	Lapsed    State = "lapsed"    // approved, and whoever approved has gone since
)

// askedFor is how long a request waits for an answer.
const askedFor = 7 * 24 * sekisho.Time(3600e6)

// MostDecoys is how many decoys of its own one answer can carry.
const MostDecoys = 100

// A Request is one request with what became of it. What Get and List return is
// a copy, to keep.
type Request struct {
	Number  uint64 // sequence number of its ExportAsked
	At      sekisho.Time
	Asked   *sekisho.ExportAsked
	Decided *sekisho.ExportDecided // nil: not yet
	Entry   uint64                 // sequence number of Decided
	When    sekisho.Time           // of Decided
	Decoys  uint64                 // that its answer is to carry
	Used    *sekisho.ExportUsed    // nil: not yet
	Taken   *sekisho.SessionOpened // of Used: who, where from
	UseSeq  uint64                 // sequence number of Used
	UsedAt  sekisho.Time
	Gone    bool // the account that approved it was removed
}

// State is the request's at a moment.
func (r *Request) State(now sekisho.Time) State {
	switch {
	case r.Used != nil:
		return Used
	case r.Decided == nil && now > r.At+askedFor:
		return Expired
	case r.Decided == nil:
		return Asked
	case r.Decided.Action != "approved":
		return State(r.Decided.Action)
	case r.Gone:
		return Lapsed
	case now >= r.Decided.Until:
		return Expired
	}
	return Approved
}

// Book is the fold of all requests.
type Book struct {
	byNumber map[uint64]*Request
	list     []*Request            // in the order in which they were asked
	byExact  map[uint32][]*Request // by the ordinal of the text
	marked   map[uint32]uint64     // decoys of a text whose request comes next
	sessions map[uint64]*sekisho.SessionOpened
}

// New is an empty book.
func New() *Book {
	return &Book{byNumber: map[uint64]*Request{}, byExact: map[uint32][]*Request{}, marked: map[uint32]uint64{}, sessions: map[uint64]*sekisho.SessionOpened{}}
}

// Name is the view's.
func (*Book) Name() string { return "permit" }

// Apply folds one entry. Of several answers to one request the first counts,
// but an approval can be taken back until it is used. The first use counts, and none
// of what was taken back before: the gate sends nothing until it has read here that
// its own is the one that counts.
func (b *Book) Apply(e *sekisho.Entry) {
	switch body := e.Body.(type) {
	case *sekisho.LedgerOpened:
		clear(b.sessions)
	case *sekisho.SessionOpened:
		b.sessions[e.ID.Seq] = body
	case *sekisho.SessionClosed:
		delete(b.sessions, body.Session)
	case *sekisho.ExportMarked:
		b.marked[body.Exact] = body.Decoys
	case *sekisho.ExportAsked:
		r := &Request{Number: e.ID.Seq, At: e.Time, Asked: body, Decoys: b.marked[body.Exact]}
		delete(b.marked, body.Exact)
		b.byNumber[r.Number] = r
		b.list = append(b.list, r)
		b.byExact[body.Exact] = append(b.byExact[body.Exact], r)
	case *sekisho.ExportDecided:
		if r := b.byNumber[body.Request]; r != nil && (r.Decided == nil || r.Used == nil && r.Decided.Action == "approved" && body.Action == "withdrawn") {
			r.Decided, r.Entry, r.When = body, e.ID.Seq, e.Time
		}
	case *sekisho.UserChanged:
		if body.Action != "removed" {
			break
		}
		for _, r := range b.list {
			if r.Used == nil && r.Decided != nil && r.Decided.Action == "approved" && r.Decided.By == body.User {
				r.Gone = true // for good: an account made anew may be somebody else's
			}
		}
	case *sekisho.ExportUsed:
		if r := b.byNumber[body.Request]; r != nil && r.Used == nil && r.Decided != nil && r.Decided.Action == "approved" && !r.Gone {
			r.Used, r.UsedAt, r.UseSeq, r.Taken = body, e.Time, e.ID.Seq, b.sessions[body.Session]
		}
	}
}

// Get gives the request with a number.
func (b *Book) Get(number uint64) (Request, bool) {
	if r := b.byNumber[number]; r != nil {
		return *r, true
	}
	return Request{}, false
}

// List gives every request, the latest first.
func (b *Book) List() []Request {
	list := make([]Request, 0, len(b.list))
	for _, r := range b.list {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b Request) int { return cmp.Compare(b.Number, a.Number) })
	return list
}

// Waiting counts the requests that wait for an answer.
func (b *Book) Waiting(now sekisho.Time) (n int) {
	for _, r := range b.list {
		if r.State(now) == Asked {
			n++
		}
	}
	return n
}

// For gives what is known of a text, by its ordinal in "export": the oldest
// approval that can be used, else the latest request. Those that are over are left
// out: the book does not know their use yet, or they no longer hold.
func (b *Book) For(exact uint32, now sekisho.Time, over func(r *Request) bool) (Request, bool) {
	all := b.byExact[exact]
	for _, r := range all {
		if r.State(now) == Approved && !over(r) {
			return *r, true
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		if !over(all[i]) {
			return *all[i], true
		}
	}
	return Request{}, false
}
