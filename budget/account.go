package budget

import (
	"slices"

	"sekisho"
)

// An Account is every budget that applies to what one holder reads of one
// subject. It belongs to whoever asked for it: only one goroutine may use it at
// a time. What it charges is in the book at once, for all.
type Account struct {
	book  *Book
	lines []line
	ended *line // the one that the last answer of false is about
	lacks *line // the one whose share the last answer of false is about
	tells bool  // some line has something to tell
}

type line struct {
	key  key
	h    *holder             // nil until something is charged
	tell sekisho.BudgetState // not told yet; 0 for nothing

	ruled bool // a policy asks for it, of this very holder
	final bool // the issuer grants no more: what there is, is all
}

// Account gives the account for what somebody reads of a subject's data; nil if
// no budget applies. Limits are those that a policy's ruling asks for besides.
func (b *Book) Account(who Holder, space string, limits ...Limit) *Account {
	a := b.account(who, space)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range limits {
		a = a.with(b, line{key: b.under(l).sharing(who, space), ruled: true})
	}
	return a
}

func (b *Book) account(who Holder, space string) (a *Account) {
	for _, r := range b.rules {
		if b.applies(r, who, space) {
			a = a.with(b, line{key: r.sharing(who, space)})
		}
	}
	return a
}

// foldedAccount is Account for the fold: whatever statement a rule is about, all
// that its principal reads counts for it.
func (b *Book) foldedAccount(who Holder, space string) *Account {
	a := b.account(who, space)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.limits {
		a = a.with(b, line{key: r.sharing(who, space)})
	}
	return a
}

func (a *Account) with(b *Book, l line) *Account {
	if a == nil {
		a = &Account{book: b}
	}
	a.lines = append(a.lines, l)
	return a
}

// open brings the lines to a time. The lock is held.
func (a *Account) open(at sekisho.Time) {
	now := a.book.latest(at)
	for i := range a.lines {
		l := &a.lines[i]
		if l.h == nil || l.h.gone {
			l.h = a.book.holder(l.key)
		}
		l.h.advance(l.h.rule.at(now))
		l.h.ruled = l.h.ruled || l.ruled
		a.book.measure(l.h)
	}
	a.lacks = nil
}

// Spend charges customers, in order, up to the first for whom a budget has no
// room; it gives how many that are. With cut false, and by budgets that are
// there to alert, nobody is turned away, and all are charged. A customer who
// counts already costs nothing. A budget either has room for a customer or has
// not: whoever else spends at the same time, no more than its number go out.
//
// tell: there are Entries to record. It allocates nothing once the tables have
// their size.
func (a *Account) Spend(at sekisho.Time, subjects []uint32, cut bool) (within int, tell bool) {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	a.open(at)
	for i, ord := range subjects {
		if ord == 0 {
			continue
		}
		for j := range a.lines {
			l := &a.lines[j]
			if !l.h.takes(ord) && !a.over(l, cut) {
				return i, a.tells
			}
		}
		a.spend(ord)
	}
	a.calm()
	return len(subjects), a.tells
}

// SpendAll is Spend of customers among whom nothing can happen: whoever they are,
// every budget has room for so many, and is not nearly used after them. If that
// is not so, nothing is charged.
func (a *Account) SpendAll(at sekisho.Time, subjects []uint32) bool {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	a.open(at)
	for j := range a.lines {
		h := a.lines[j].h
		if n := h.used() + len(subjects); n > h.room || !h.told && n >= h.rule.warnAt {
			return false
		}
	}
	for j := range a.lines {
		h := a.lines[j].h
		h.touchAll(subjects, h.now)
		h.taken.active = h.taken.active || len(subjects) > 0
	}
	a.calm()
	return true
}

// Ahead charges one customer, whom a statement asks for before anything has come,
// if there is room. False: there is none, and nothing is charged or told: it is
// not known yet whether the customer's row comes.
func (a *Account) Ahead(at sekisho.Time, ord uint32) (room, tell bool) {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	a.open(at)
	for j := range a.lines {
		if !a.lines[j].h.takes(ord) {
			return false, a.tells
		}
	}
	a.spend(ord)
	return true, a.tells
}

// spend charges one customer. The lock is held.
func (a *Account) spend(ord uint32) {
	for j := range a.lines {
		h := a.lines[j].h
		h.touch(ord, h.now)
		a.spent(&a.lines[j])
	}
}

// spent notes what follows from something having been charged to a line.
func (a *Account) spent(l *line) {
	h := l.h
	h.taken.active = true
	if !h.told && h.used() >= h.rule.warnAt {
		h.tell()
		a.say(l, sekisho.BudgetNear)
	}
}

// SpendAny charges an access that could be anybody's: it counts as one customer
// of its own. False: there was no room, and it was not charged.
func (a *Account) SpendAny(at sekisho.Time, cut bool) (within, tell bool) {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	a.open(at)
	for j := range a.lines {
		if l := &a.lines[j]; l.h.used() >= l.h.room && !a.over(l, cut) {
			return false, a.tells
		}
	}
	for j := range a.lines {
		h := a.lines[j].h
		h.touchAny(h.now)
		a.spent(&a.lines[j])
	}
	a.calm()
	return true, a.tells
}

// calm forgets what the issuer has said: the next time it is asked again.
func (a *Account) calm() {
	for i := range a.lines {
		a.lines[i].final = false
	}
}

// RefusesAny says whether a statement must not run of which it is known before
// that it could be anybody's; Ending then speaks of that budget.
func (a *Account) RefusesAny() bool {
	for i := range a.lines {
		if r := a.lines[i].key.rule; r.AtEnd == Cut && r.AnyRow == Refuse {
			a.ended = &a.lines[i]
			return true
		}
	}
	return false
}

// over notes that a line has no room, and says whether the access goes on all
// the same.
func (a *Account) over(l *line, cut bool) bool {
	if a.book.clock != nil && !l.final && (l.h.shut || l.h.used() < l.h.rule.limit) {
		a.lacks = l
		return false
	}
	if len(l.h.lent) > 0 {
		l.h.wanted = a.book.now
	}
	state := sekisho.BudgetEnded
	switch {
	case l.h.rule.AtEnd == Alert:
		state = sekisho.BudgetPassed
	case !cut:
		state = sekisho.BudgetObserved
	}
	if !l.h.over {
		l.h.over = true
		l.h.tell()
		a.say(l, state)
	}
	if state == sekisho.BudgetEnded {
		a.ended = l
		a.calm()
	}
	return state != sekisho.BudgetEnded
}

func (a *Account) say(l *line, state sekisho.BudgetState) {
	l.tell, a.tells = max(l.tell, state), true
}

// charge charges what the ledger says was read. It turns nobody away.
func (a *Account) charge(at sekisho.Time, e *sekisho.Access) {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	a.open(at)
	for j := range a.lines {
		h := a.lines[j].h
		step := h.rule.at(at)
		if !h.live(step) {
			continue // the gate's own clock is a whole window ahead
		}
		if (e.Class == sekisho.AnyRow || e.Reach > 0) && !a.book.ahead { // all of a table, unread, is as much
			h.touchAny(step)
		}
		h.touchAll(e.Subjects, step)
	}
}

// Entries gives what is to be told of this account's budgets, and holds it to
// be told.
func (a *Account) Entries(session uint64) []sekisho.Body {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	var list []sekisho.Body
	for i := range a.lines {
		l := &a.lines[i]
		if l.tell == 0 {
			continue
		}
		h := l.h
		list = append(list, &sekisho.BudgetReached{
			Budget: h.rule.Name, State: l.tell, Session: session, Space: h.key.space,
			Principal: h.key.Principal, Role: h.key.Role, Endpoint: h.key.Endpoint, Purpose: h.key.Purpose,
			Window: uint64(h.rule.Within / 1e9), Limit: uint64(h.rule.limit), Used: uint64(h.used()),
		})
		l.tell = 0
	}
	a.tells = false
	return list
}

// An Ending is a budget that has no room for what was asked.
type Ending struct {
	Budget
	Limit bool // of a policy's rule
	Used  uint64
	Frees sekisho.Time // when there will be room for one customer more; 0: that is for other gates to say

	Lent  uint64 // what other gates hold of it
	Taken *Taken // the share that this gate has, if another one grants it
}

// Ending gives the budget that the last refusal was about.
func (a *Account) Ending() Ending {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	if a.ended == nil { // Lacking says of which
		a.ended = a.lacks
	}
	if a.ended.h == nil {
		return Ending{Budget: a.ended.key.rule.Budget, Limit: a.book.isLimit(a.ended.key.rule)}
	}
	h := a.ended.h
	e := Ending{Budget: h.rule.Budget, Limit: a.book.isLimit(h.rule), Used: uint64(h.used()), Lent: h.lentOut(), Taken: a.book.takenBy(h)}
	if !h.shut {
		e.Frees = sekisho.Time(h.freesIn()) * h.rule.step
	}
	return e
}

func (b *Book) isLimit(r *rule) bool { return !slices.Contains(b.rules, r) }
