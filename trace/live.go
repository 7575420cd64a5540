package trace

import (
	"sync"
	"sync/atomic"

	"sekisho"
)

// Access is one statement's effect on customers' data, with the facts of its
// session: a line of a page.
type Access struct {
	ID          string             `json:"id"`  // of its first entry
	Seq         uint64             `json:"seq"` // of its first entry
	At          sekisho.Time       `json:"at"`
	Session     uint64             `json:"session"`
	Number      uint64             `json:"number"`
	Endpoint    string             `json:"endpoint"`
	Verified    bool               `json:"verified"`
	Principal   uint32             `json:"principal"`   // ordinal in "staff"
	Role        string             `json:"role"`        //
	Application uint32             `json:"application"` // ordinal in "application"
	Door        sekisho.Door       `json:"door"`
	Purpose     uint32             `json:"purpose"`   // ordinal in "purpose"
	Statement   uint32             `json:"statement"` // ordinal in "statement"
	Verb        sekisho.Verb       `json:"verb"`
	Class       sekisho.Class      `json:"class"`
	Space       string             `json:"space"`
	Tables      []string           `json:"tables"`
	Columns     []string           `json:"columns"`
	Categories  sekisho.Categories `json:"categories"`
	Customers   uint64             `json:"customers"` // distinct within each chunk, added up over the chunks
	Rows        uint64             `json:"rows"`
	Reach       uint64             `json:"reach"`   // with AnyRow
	Open        bool               `json:"open"`    // more may follow
	Outcome     sekisho.Outcome    `json:"outcome"` // 0 while open
}

// recentKept is how many statements Live can give.
const recentKept = 1024

// recent is a ring of the latest statements. Places are counted from 1 and
// never again, so that a session can remember the place of its own.
type recent struct {
	ring  [recentKept]recentAccess
	count uint64
}

type recentAccess struct {
	seq, number     uint64
	at              sekisho.Time
	session, shape  uint32
	purpose         uint32
	class           sekisho.Class
	open            bool
	outcome         sekisho.Outcome
	customers, rows uint64
	reach           uint64
}

func (r *recent) find(s *session, number uint64) *recentAccess {
	if s.live == 0 || s.number != number || r.count-s.live >= recentKept {
		return nil
	}
	return &r.ring[s.live%recentKept]
}

// add folds a chunk and gives the place of its statement.
func (r *recent) add(s *session, si, hi uint32, e *sekisho.Entry, b *sekisho.Access, customers uint64) *recentAccess {
	a := r.find(s, b.Number)
	if a == nil || a.shape != hi {
		r.count++
		s.live, s.number = r.count, b.Number
		a = &r.ring[r.count%recentKept]
		*a = recentAccess{seq: e.ID.Seq, number: b.Number, at: e.Time, session: si, shape: hi, purpose: b.Purpose, class: b.Class}
	}
	a.customers += customers
	a.rows += b.Rows
	a.reach = max(a.reach, b.Reach)
	if a.open = b.More; !b.More {
		a.outcome = sekisho.Completed
	}
	return a
}

func (t *Trace) row(a *recentAccess) Access {
	row := t.facts(a.session, a.shape)
	row.ID, row.Seq, row.At, row.Number = t.id(a.seq).String(), a.seq, a.at, a.number
	row.Purpose, row.Class, row.Customers, row.Rows = a.purpose, a.class, a.customers, a.rows
	row.Reach, row.Open, row.Outcome = a.reach, a.open, a.outcome
	return row
}

// facts fills in what a session and a shape say.
func (t *Trace) facts(session, shape uint32) Access {
	s, h := &t.sessions[session], t.shapes[shape].body
	return Access{
		Session: s.seq, Endpoint: s.end.name, Verified: s.body.Verified, Principal: s.body.Principal, Role: s.body.Role,
		Application: s.body.Application, Door: s.body.Door, Statement: h.Statement, Verb: h.Verb, Space: h.Space,
		Tables: h.Tables, Columns: h.Columns, Categories: h.Categories,
	}
}

// Live gives the latest n statements, the newest first: no more than 1,024.
func (t *Trace) Live(n int) []Access {
	rows := []Access{}
	for i := t.recent.count; i > 0 && len(rows) < n && t.recent.count-i < recentKept; i-- {
		rows = append(rows, t.row(&t.recent.ring[i%recentKept]))
	}
	return rows
}

// subscribers are told of each statement as it is applied.
type subscribers struct {
	mu   sync.Mutex
	list map[*Subscription]struct{}
	some atomic.Bool
}

// Subscription gives every new statement, and again each time that it grows
// or ends. What its reader is too slow for is dropped and counted: the fold
// waits for nobody.
type Subscription struct {
	C       <-chan Access
	c       chan Access
	dropped atomic.Uint64
	of      *subscribers
}

// Subscribe begins a subscription with room for so many statements. It is safe
// at any time, also beside Apply.
func (t *Trace) Subscribe(room int) *Subscription {
	c := make(chan Access, room)
	s := &Subscription{C: c, c: c, of: &t.subs}
	t.subs.mu.Lock()
	defer t.subs.mu.Unlock()
	if t.subs.list == nil {
		t.subs.list = map[*Subscription]struct{}{}
	}
	t.subs.list[s] = struct{}{}
	t.subs.some.Store(true)
	return s
}

// Dropped is how many statements the reader was too slow for.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. C is not closed.
func (s *Subscription) Close() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	delete(s.of.list, s)
	s.of.some.Store(len(s.of.list) > 0)
}

func (t *Trace) tell(a *recentAccess) {
	if a == nil || !t.subs.some.Load() {
		return
	}
	row := t.row(a)
	t.subs.mu.Lock()
	defer t.subs.mu.Unlock()
	for s := range t.subs.list {
		select {
		case s.c <- row:
		default:
			s.dropped.Add(1)
		}
	}
}
