package budget

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sekisho"
)

// A Book is what has been used of every budget. It is a view: fold it from the
// first entry of a ledger on. Its methods may be called from any goroutine, and
// beside Apply.
type Book struct {
	rules []*rule // of the config
	name  func(space string, ordinal uint32) string

	mu      sync.Mutex
	limits  map[Limit]*rule // of policies
	added   int             // to limits, ever
	now     sekisho.Time    // the latest time that was spoken of
	spoken  atomic.Int64    // the same, without the lock
	holders map[key]*holder
	order   []*holder // of holders, to look at one after the other
	next    int       // of order
	ahead   bool
	leases

	// Of the fold.
	sessions map[uint64]*folded
	shapes   map[uint64]shape
	accessed func(of *folded, a *Account, e *sekisho.Entry, b *sekisho.Access) // instead of charging it; nil: charge it
}

// A shape is what accesses have in common, as far as budgets ask.
type shape struct {
	space  string // the subject that it is about
	writes bool   // what is created, changed or destroyed is not read, and costs nothing, if it is known whose it is
}

// A rule is a budget, ready for counting.
type rule struct {
	Budget
	step   sekisho.Time // a sixtieth of the window
	limit  int
	warnAt int
	most   int // so many customers are kept, at most
}

// A key names one holder. Only what the budget counts by is filled in.
type key struct {
	rule  *rule
	space string
	Holder
}

// A Holder is who reads.
type Holder struct {
	Principal uint32 `json:"principal,omitempty"` // ordinal in "staff"
	Role      string `json:"role,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
	Purpose   uint32 `json:"purpose,omitempty"` // ordinal in "purpose"; 0 if none is stated
}

// folded is an open session of the ledger.
type folded struct {
	Holder
	added    int // Book.added when accounts were made
	accounts []foldedAccount
	odd      map[uint64]oddOne // statements of it, by their number
}

// An oddOne is a statement that its session is not charged for like others.
type oddOne struct {
	exempt    bool   // an approved export, which has a number of its own
	principal uint32 // for whom it was made, if that was said
	endpoint  string
}

// mostOdd are so many of them that the older half is forgotten: statements of
// one session are answered in their order, but for portals.
const mostOdd = 1024

func (s *folded) note(number uint64, change func(*oddOne)) {
	if s.odd == nil {
		s.odd = map[uint64]oddOne{}
	}
	if len(s.odd) >= mostOdd {
		maps.DeleteFunc(s.odd, func(n uint64, _ oddOne) bool { return n+mostOdd/2 < number })
	}
	one := s.odd[number]
	change(&one)
	s.odd[number] = one
}

type foldedAccount struct {
	space   string
	who     Holder
	account *Account
}

// New makes an empty book. conf was checked. name gives the name of an ordinal
// of the vault, "" if it has none; it must neither wait nor fail.
func New(conf Config, name func(space string, ordinal uint32) string) *Book {
	b := &Book{name: name, holders: map[key]*holder{}, limits: map[Limit]*rule{}, sessions: map[uint64]*folded{}, shapes: map[uint64]shape{}}
	for _, one := range conf {
		b.rules = append(b.rules, newRule(one))
	}
	return b
}

func newRule(one Budget) *rule {
	limit := int(one.Customers)
	return &rule{
		Budget: one, step: sekisho.Time(time.Duration(one.Within).Microseconds() / steps), limit: limit,
		warnAt: max(1, (limit*int(one.Warn)+99)/100), most: 2*limit + 64,
	}
}

// Under has the book count for a limit of a policy from here on: before the
// past is folded for those that are known then. A limit that comes later counts
// from when it came, until the next start.
func (b *Book) Under(l Limit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under(l)
}

func (b *Book) under(l Limit) *rule {
	r := b.limits[l]
	if r == nil {
		r = newRule(l.budget())
		b.limits[l] = r
		b.added++
	}
	return r
}

// keepAll has the book count on beyond a limit, however much memory that takes.
func (b *Book) keepAll() {
	for _, r := range b.rules {
		r.most = math.MaxInt
	}
}

// Ahead says that from now on whoever reads spends first. An access that could
// be anybody's is then not charged again when its entry comes; for customers it
// makes no difference. Call it when the past has been folded.
func (b *Book) Ahead() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead = true
}

// Budgets gives the config, and after it the limits of policies.
func (b *Book) Budgets() Config {
	conf := Config{}
	for _, r := range b.rules {
		conf = append(conf, r.Budget)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.limits {
		conf = append(conf, r.Budget)
	}
	slices.SortFunc(conf[len(b.rules):], func(x, y Budget) int { return cmp.Compare(x.Name, y.Name) })
	return conf
}

// Name is the view's.
func (b *Book) Name() string { return "budget" }

// Apply folds one entry.
func (b *Book) Apply(e *sekisho.Entry) {
	if len(b.rules) == 0 && b.none() {
		return
	}
	switch body := e.Body.(type) {
	case *sekisho.LedgerOpened: // sessions and shapes do not outlive their epoch
		clear(b.sessions)
		clear(b.shapes)
		b.mu.Lock()
		b.epoch = uint64(e.ID.Epoch)
		b.mu.Unlock()
	case *sekisho.SessionOpened:
		if body.Door == sekisho.DoorGate {
			b.sessions[e.ID.Seq] = &folded{Holder: Holder{Principal: body.Principal, Role: body.Role, Endpoint: body.Endpoint}}
		}
	case *sekisho.SessionClosed:
		delete(b.sessions, body.Session)
	case *sekisho.Shape:
		b.shapes[e.ID.Seq] = shape{body.Space, body.Verb == sekisho.Insert || body.Verb == sekisho.Update || body.Verb == sekisho.Delete}
	case *sekisho.OnBehalf:
		if s := b.sessions[body.Session]; s != nil && body.Number != 0 {
			s.note(body.Number, func(o *oddOne) { o.principal, o.endpoint = body.Principal, body.Endpoint })
		}
	case *sekisho.ExportUsed:
		if s := b.sessions[body.Session]; s != nil {
			s.note(body.Number, func(o *oddOne) { o.exempt = true })
		}
	case *sekisho.Access:
		s, of := b.sessions[body.Session], b.shapes[body.Shape]
		if s == nil || of.space == "" || of.writes && body.Class != sekisho.AnyRow {
			break
		}
		odd := s.odd[body.Number]
		if odd.exempt {
			break
		}
		switch a := s.account(b, of.space, odd, body.Purpose); {
		case a == nil:
		case b.accessed != nil:
			b.accessed(s, a, e, body)
		default:
			a.charge(e.Time, body)
		}
	case *sekisho.BudgetReached:
		b.reached(e.Time, body)
	case *sekisho.LeaseGranted, *sekisho.LeaseReturned, *sekisho.LeaseEnded, *sekisho.LeaseTaken:
		b.applyLease(e)
	}
	b.lookAtOne(e.Time)
}

func (s *folded) account(b *Book, space string, odd oddOne, purpose uint32) *Account {
	who := s.Holder
	who.Purpose = purpose
	if odd.principal != 0 {
		who.Principal = odd.principal
	}
	if odd.endpoint != "" {
		who.Endpoint = odd.endpoint
	}
	b.mu.Lock()
	added := b.added
	b.mu.Unlock()
	if s.added != added {
		s.accounts, s.added = nil, added
	}
	for i := range s.accounts {
		if f := &s.accounts[i]; f.who == who && f.space == space {
			return f.account
		}
	}
	if len(s.accounts) >= mostAccounts {
		s.accounts = s.accounts[:0]
	}
	a := b.foldedAccount(who, space)
	s.accounts = append(s.accounts, foldedAccount{space, who, a})
	return a
}

// mostAccounts are kept for a session, which may work for many people.
const mostAccounts = 32

// reached notes what has been told already.
func (b *Book) reached(at sekisho.Time, e *sekisho.BudgetReached) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.called(e.Budget)
	if r == nil {
		return
	}
	k := key{r, e.Space, Holder{e.Principal, e.Role, e.Endpoint, e.Purpose}}
	if k != k.rule.sharing(k.Holder, k.space) {
		return // it counted by something else then
	}
	b.latest(at)
	h := b.holder(k)
	h.advance(h.rule.at(b.now))
	h.tell()
	h.over = h.over || e.State != sekisho.BudgetNear
}

func (b *Book) none() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.limits) == 0
}

// called is the rule of a name, or nil. The lock is held.
func (b *Book) called(name string) *rule {
	for _, r := range b.rules {
		if r.Name == name {
			return r
		}
	}
	for _, r := range b.limits {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// latest is the time that it is: it never goes back, as in the ledger.
func (b *Book) latest(at sekisho.Time) sekisho.Time {
	if at > b.now {
		b.now = at
		b.spoken.Store(int64(at))
	}
	return b.now
}

// Latest is the latest time that was spoken of: windows end there, so what is
// charged now must not get an earlier time in the ledger. Where a clock was set
// back after customers had left the window, a restart would find them within it
// again, beside those who have taken their places.
func (b *Book) Latest() sekisho.Time { return sekisho.Time(b.spoken.Load()) }

func (r *rule) at(t sekisho.Time) uint32 { return uint32(t / r.step) }

// holder gives the holder with a key, making it if need be. The lock is held.
func (b *Book) holder(k key) *holder {
	h := b.holders[k]
	if h == nil {
		h = &holder{rule: k.rule, key: k, now: k.rule.at(b.now)}
		b.holders[k] = h
		b.order = append(b.order, h)
	}
	return h
}

// lookAtOne brings one holder after the other up to date, and gives back those
// that have used nothing for a whole window.
func (b *Book) lookAtOne(at sekisho.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest(at)
	if len(b.order) == 0 {
		return
	}
	if b.next++; b.next >= len(b.order) {
		b.next = 0
	}
	h := b.order[b.next]
	h.advance(h.rule.at(b.now))
	if h.used() == 0 && !h.told && len(h.lent) == 0 && h.taken.share == 0 && !h.taken.untold {
		h.gone = true
		delete(b.holders, h.key)
		last := len(b.order) - 1
		b.order[b.next] = b.order[last]
		b.order[last] = nil
		b.order = b.order[:last]
	}
}

// applies says whether a budget is about accesses of this holder.
func (b *Book) applies(r *rule, who Holder, space string) bool {
	if r.Subject != "" && r.Subject != space || !fits(r.Who.Roles, who.Role) || !fits(r.Who.Endpoints, who.Endpoint) {
		return false
	}
	named := func(list []string, space string, ordinal uint32) bool {
		return len(list) == 0 || ordinal != 0 && fits(list, b.name(space, ordinal))
	}
	return named(r.Who.Principals, "staff", who.Principal) && named(r.Who.Purposes, "purpose", who.Purpose)
}

// sharing is the key of the holder whose budget an access is charged to.
func (r *rule) sharing(who Holder, space string) key {
	k := key{rule: r, space: space}
	for _, p := range r.Per {
		switch p {
		case "principal":
			k.Principal = who.Principal
		case "role":
			k.Role = who.Role
		case "endpoint":
			k.Endpoint = who.Endpoint
		case "purpose":
			k.Purpose = who.Purpose
		}
	}
	return k
}
