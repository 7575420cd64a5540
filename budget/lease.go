package budget

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"sekisho"
)

// Several gates in front of the same customers share a budget. One of them, the
// issuer, has the limit; each other one has a share: so many different customers
// of a holder may count there, within the window that ends now. At every moment
// the shares and what counts at the issuer itself are no more than the limit, so
// neither is the number of customers that all of them together have released
// within a window: a customer who counts at a gate has a place in its share, and
// keeps it as long as the customer counts. Nobody learns who they are; one whom
// two gates have read is counted by both.
//
// A share is for a time. Beyond it the gate releases nothing of this holder, not
// even who counts already, because that would make the customer count longer.
// The issuer lets the share count for the window behind the time, and for a
// margin, as if all of it had been released in the last moment.

// A Claim says whose budget a share is of, in words that mean the same at every
// gate. It is a comparable value.
type Claim struct {
	Budget    string `json:"budget"`
	Subject   string `json:"subject"`
	Principal string `json:"principal,omitempty"`
	Role      string `json:"role,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
	Purpose   string `json:"purpose,omitempty"`
	Customers uint64 `json:"customers"`      // the limit, which has to be the issuer's too
	Seconds   uint64 `json:"within_seconds"` // and so has the window
}

// An Ask is what a gate asks the issuer for.
type Ask struct {
	Claim
	Used  uint64 `json:"used"`  // different customers that count at the gate now
	Holds uint64 `json:"holds"` // the share that it may spend until it is answered
	Want  uint64 `json:"want"`  // the share that it would like to have
	Need  uint64 `json:"need"`  // of these, beyond Used, without which it has to refuse somebody
	Renew bool   `json:"renew,omitempty"`

	Whose sekisho.LeaseHolder `json:"-"` // with the gate's own ordinals
}

// lent is what another gate has of a holder: at the issuer.
type lent struct {
	share, used uint64 // of the ledger
	reserved    uint64 // what an answer under way may make of share
	at          sekisho.Time
	lasts       uint64 // seconds
	lapsed      bool
}

func (l *lent) counts() uint64 { return max(l.share, l.reserved) }

// taken is what a gate itself may spend: of its ledger, and less if it has given
// some back.
type taken struct {
	share  uint64
	boot   string
	ends   uint64
	until  sekisho.Time
	active bool // something was charged since it was last asked for
	untold bool // the issuer may believe that it is more
}

// leases is what a book knows of other gates.
type leases struct {
	clock func() (boot string, since uint64) // not nil: what is spent are shares of another gate
	asked map[uint32]Asked
	epoch uint64 // of the ledger
}

// Asked is the last question of a gate that the ledger knows.
type Asked struct{ Epoch, Number uint64 }

// Borrow has the book spend only shares that another gate grants, of every
// budget. clock says which start of the machine this is, and how many
// microseconds ago that was, sleep included. Before anything is charged.
func (b *Book) Borrow(clock func() (boot string, since uint64)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = clock
}

// measure says how many customers may count at this gate. The lock is held; the
// holder stands at the time.
func (b *Book) measure(h *holder) {
	h.shut = false
	if b.clock == nil {
		h.room = h.rule.limit - int(h.lentOut())
		return
	}
	h.room = min(h.rule.limit, int(h.taken.share))
	if b.ended(h) {
		h.shut, h.room = true, -1
	}
}

// ended: nothing may be spent of this gate's share any more. The lock is held.
func (b *Book) ended(h *holder) bool {
	boot, since := b.clock()
	return boot != h.taken.boot || since >= h.taken.ends || b.now >= h.taken.until
}

func (h *holder) lentOut() (n uint64) {
	for _, l := range h.lent {
		n += l.counts()
	}
	return n
}

// idle is the part of what other gates hold that they have not used.
func (h *holder) idleOut(but uint32) (n uint64) {
	for gate, l := range h.lent {
		if gate != but && l.counts() > l.used {
			n += l.counts() - l.used
		}
	}
	return n
}

// Lacking says what the last answer of false needs from the issuer; false: that
// would change nothing. Whoever asks then spends again, after Refused if nothing
// came of it.
func (a *Account) Lacking() (Ask, bool) {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	if a.lacks == nil {
		return Ask{}, false
	}
	h := a.lacks.h
	ask := a.book.ask(h)
	ask.Need, ask.Renew = 1, true
	if h.used() >= h.rule.limit {
		ask.Need = 0 // it is to go on with those who count
	}
	ask.Want = h.wish(ask)
	return ask, true
}

// wish is the share that a gate would like to have: some more than it uses.
func (h *holder) wish(ask Ask) uint64 {
	more := max(uint64(h.rule.limit)/16, ask.Used/4, 1)
	return min(uint64(h.rule.limit), max(ask.Holds, ask.Used+more))
}

// Fresh is an ask as it stands now. While it waited for its turn another question
// may have been answered: what it says of the gate's use and share must be true
// when it is put, because the issuer takes the gate at its word. false: the share
// is large enough by now, and nothing is to be asked.
func (b *Book) Fresh(a Ask) (Ask, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.keyOf(a.Whose)
	if !ok || b.holders[k] == nil {
		return a, true
	}
	h := b.holders[k]
	now := b.ask(h)
	now.Need, now.Renew = a.Need, a.Renew
	if h.used() >= h.rule.limit {
		now.Need = 0
	}
	if b.clock != nil && !b.ended(h) && h.taken.share >= now.Used+now.Need {
		return now, false
	}
	now.Want = h.wish(now)
	return now, true
}

// Refused says that the issuer did not help with what was Lacking: the next
// Spend takes the share for all there is.
func (a *Account) Refused() {
	if a.lacks != nil {
		a.lacks.final = true
	}
}

// ask is what stands in every question about a holder. The lock is held.
func (b *Book) ask(h *holder) Ask {
	k, r := h.key, h.rule
	used := uint64(h.used())
	holds := used
	if b.clock != nil && !b.ended(h) {
		holds = max(used, h.taken.share)
	}
	return Ask{
		Claim: Claim{
			Budget: r.Name, Subject: k.space, Principal: b.name("staff", k.Principal), Role: k.Role, Endpoint: k.Endpoint, Purpose: b.name("purpose", k.Purpose),
			Customers: uint64(r.limit), Seconds: uint64(r.Within / 1e9),
		},
		Used: used, Holds: holds, Want: holds,
		Whose: k.whose(),
	}
}

func (k key) whose() sekisho.LeaseHolder {
	return sekisho.LeaseHolder{Budget: k.rule.Name, Space: k.space, Principal: k.Principal, Role: k.Role, Endpoint: k.Endpoint, Purpose: k.Purpose}
}

// Due lists what to ask the issuer for now, and what to give back: shares that
// are used and have stood for a third of their time, and those of which the gate
// needs less. What is given back cannot be spent from here on; taken says so in
// the gate's own ledger, and has to be durable before the issuer is asked.
// wanted are holders whose budget has no room elsewhere.
func (b *Book) Due(at sekisho.Time, lasts uint64, wanted func(Claim) bool) (asks []Ask, lowered []*sekisho.LeaseTaken) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.clock == nil {
		return nil, nil
	}
	b.latest(at)
	boot, since := b.clock()
	for _, h := range b.order {
		t := &h.taken
		if t.share == 0 && !t.untold {
			continue
		}
		h.advance(h.rule.at(b.now))
		valid := t.boot == boot && since < t.ends && b.now < t.until
		old := valid && since+lasts*1e6*2/3 >= t.ends
		if !valid && !t.untold {
			continue // whoever reads next asks
		}
		ask := b.ask(h)
		keep := ask.Used
		if t.active && valid && !wanted(ask.Claim) {
			keep += max(uint64(h.rule.limit)/16, ask.Used/4, 1)
		}
		if !t.active && !old && valid && !wanted(ask.Claim) {
			keep = t.share // it may be used again at once
		}
		if keep < t.share {
			t.share, t.untold = keep, true
			lowered = append(lowered, &sekisho.LeaseTaken{Whose: h.key.whose(), Share: keep, Boot: t.boot, Ends: t.ends, Until: t.until})
			ask = b.ask(h)
		}
		ask.Renew = t.active && old
		if ask.Renew || t.untold {
			t.active = false
			asks = append(asks, ask)
		}
	}
	return asks, lowered
}

// Told says that the issuer has answered a question about a holder.
func (b *Book) Told(of sekisho.LeaseHolder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.keyOf(of); ok && b.holders[k] != nil {
		b.holders[k].taken.untold = false
	}
}

// keyOf is the holder of a lease; false if there is no such budget any more. The
// lock is held.
func (b *Book) keyOf(of sekisho.LeaseHolder) (k key, ok bool) {
	r := b.called(of.Budget)
	if r == nil {
		return k, false
	}
	k = key{r, of.Space, Holder{of.Principal, of.Role, of.Endpoint, of.Purpose}}
	return k, k == r.sharing(k.Holder, k.space) && (r.Subject == "" || r.Subject == of.Space)
}

// Why an issuer did not help.
var (
	ErrUnreached = errors.New("the gate that grants shares of this budget cannot be reached")
	ErrSpent     = errors.New("the budget has ended, over all gates together")
	ErrIdle      = errors.New("what is left of the budget is leased to other gates")
)

// What an issuer says to a question that it cannot grant.
var (
	ErrNoBudget = errors.New("the issuer has no such budget")
	ErrDiffers  = errors.New("the issuer's budget of this name has another limit, window or holder")
)

// A Lend is an answer to an Ask.
type Lend struct {
	Share  uint64 // what the gate may have from now on
	Before uint64 // what it had, by the ledger
	Counts uint64 // what counts of the budget then, at all gates
	Idle   uint64 // of the shares of others: what they have not used
	Claims uint64 // so many more than it ever was granted the gate says to hold
}

// Lend finds out which share a gate gets, and keeps it for that gate until
// Settled is called: what was granted is then to stand in the ledger, and to have
// been folded. of is the Ask's holder, with ordinals of this ledger's vault.
func (b *Book) Lend(at sekisho.Time, gate uint32, of sekisho.LeaseHolder, a Ask) (g Lend, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.called(of.Budget)
	if r == nil {
		return g, fmt.Errorf("%w: %q", ErrNoBudget, of.Budget)
	}
	k, ok := b.keyOf(of)
	if !ok || uint64(r.limit) != a.Customers || uint64(r.Within/1e9) != a.Seconds {
		return g, fmt.Errorf("%w: %q", ErrDiffers, of.Budget)
	}
	b.latest(at)
	h := b.holder(k)
	h.advance(r.at(b.now))
	l := h.lendTo(gate)
	g.Before = l.share
	others := int64(h.used()) + int64(h.lentOut()) - int64(l.counts())
	// What a gate says to hold is believed beyond what this ledger knows: one that
	// was put back to an older state has forgotten what it granted. It can only be
	// too much, and more than the limit nobody was granted.
	base := max(min(a.Holds, uint64(r.limit)), a.Used)
	if known := max(l.counts(), a.Used); a.Holds > known {
		g.Claims = a.Holds - known
	}
	room := max(0, int64(r.limit)-others-int64(min(base, 1<<40)))
	wish := int64(0)
	if a.Want > base {
		wish = int64(min(a.Want-base, 1<<40))
	}
	must := int64(0)
	if a.Used+a.Need > base {
		must = int64(a.Used + a.Need - base)
	}
	extra := min(wish, max(must, (room+1)/2), room)
	g.Idle = h.idleOut(gate)
	if extra < must {
		h.wanted = b.now
	}
	g.Share = base + uint64(extra)
	l.reserved = max(l.reserved, g.Share)
	l.used = a.Used
	g.Counts = uint64(others) + g.Share
	return g, nil
}

func (h *holder) lendTo(gate uint32) *lent {
	l := h.lent[gate]
	if l == nil {
		if h.lent == nil {
			h.lent = map[uint32]*lent{}
		}
		l = &lent{}
		h.lent[gate] = l
	}
	return l
}

// Settled says that what Lend gave has been folded from the ledger, or that
// nothing changed.
func (b *Book) Settled(gate uint32, of sekisho.LeaseHolder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.keyOf(of)
	if !ok || b.holders[k] == nil {
		return
	}
	h := b.holders[k]
	if l := h.lent[gate]; l != nil {
		l.reserved = 0
		if l.share == 0 {
			delete(h.lent, gate)
		}
	}
}

// Wanted lists the holders of whom a gate has more than it has used, while
// somebody else was refused within the last minute.
func (b *Book) Wanted(at sekisho.Time, gate uint32) (list []Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest(at)
	for _, h := range b.order {
		if l := h.lent[gate]; l != nil && h.wanted != 0 && b.now-h.wanted < 60e6 && l.share > l.used && !l.lapsed {
			list = append(list, b.ask(h).Claim)
		}
	}
	return list
}

// AskedBy is the last question of a gate that has changed anything.
func (b *Book) AskedBy(gate uint32) Asked {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[gate]
}

// Epoch is the ledger's: how often it was opened.
func (b *Book) Epoch() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch
}

// applyLease folds what the ledger says of leases. The lock is not held.
func (b *Book) applyLease(e *sekisho.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch body := e.Body.(type) {
	case *sekisho.LeaseGranted:
		b.lentNow(e.Time, body)
	case *sekisho.LeaseReturned:
		granted := sekisho.LeaseGranted(*body)
		b.lentNow(e.Time, &granted)
	case *sekisho.LeaseEnded:
		k, ok := b.keyOf(body.Whose)
		if !ok || b.holders[k] == nil || b.holders[k].lent[body.Gate] == nil {
			return
		}
		if body.State == "passed" {
			delete(b.holders[k].lent, body.Gate)
		} else {
			b.holders[k].lent[body.Gate].lapsed = true
		}
	case *sekisho.LeaseTaken:
		k, ok := b.keyOf(body.Whose)
		if !ok {
			return
		}
		b.latest(e.Time)
		h := b.holder(k)
		if body.Share == 0 && h.taken.share == 0 {
			return
		}
		h.taken.share, h.taken.boot, h.taken.ends, h.taken.until = body.Share, body.Boot, body.Ends, body.Until
	}
}

func (b *Book) lentNow(at sekisho.Time, e *sekisho.LeaseGranted) {
	if b.asked == nil {
		b.asked = map[uint32]Asked{}
	}
	b.asked[e.Gate] = Asked{e.Epoch, e.Question}
	k, ok := b.keyOf(e.Whose)
	if !ok {
		return
	}
	b.latest(at)
	h := b.holder(k)
	l := h.lendTo(e.Gate)
	l.share, l.used, l.at, l.lasts, l.lapsed = e.Share, e.Used, at, e.Lasts, false
	if l.share == 0 && l.reserved == 0 {
		delete(h.lent, e.Gate)
	}
}

// A Lent is what another gate holds of a budget.
type Lent struct {
	Gate   uint32       `json:"gate"`
	Share  uint64       `json:"share"`
	Used   uint64       `json:"used"` // of these, as the gate last said
	At     sekisho.Time `json:"time"` // when that was
	Lasts  uint64       `json:"lasts_seconds"`
	Lapsed bool         `json:"lapsed,omitempty"`

	Whose  sekisho.LeaseHolder `json:"-"`
	Window uint64              `json:"-"` // microseconds: for so long a share counts after it has ended
}

// Frees is when the share counts no more, at the earliest, if the gate does not
// ask again; margin is the issuer's.
func (l *Lent) Frees(margin time.Duration) sekisho.Time {
	return l.At + sekisho.Time(l.Lasts*1e6) + sekisho.Time(margin/time.Microsecond) + sekisho.Time(l.Window)
}

// LentOut lists what other gates hold of every budget.
func (b *Book) LentOut() (list []Lent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.order {
		list = append(list, h.lents()...)
	}
	return list
}

func (h *holder) lents() (list []Lent) {
	for gate, l := range h.lent {
		list = append(list, Lent{Gate: gate, Share: l.counts(), Used: l.used, At: l.at, Lasts: l.lasts, Lapsed: l.lapsed, Whose: h.key.whose(), Window: uint64(h.rule.step) * (width + 1)})
	}
	slices.SortFunc(list, func(a, b Lent) int { return cmp.Compare(a.Gate, b.Gate) })
	return list
}

// A Taken is the share that this gate has of a budget.
type Taken struct {
	Share uint64       `json:"share"`
	Until sekisho.Time `json:"until"`
	Ended bool         `json:"ended,omitempty"` // nothing of it can be spent any more
}
