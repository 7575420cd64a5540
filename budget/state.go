package budget

import (
	"cmp"
	"slices"

	"sekisho"
)

// A Use is what one holder has used of one budget. Of Holder, only what the
// budget counts by is filled in.
type Use struct {
	Budget  string `json:"budget"`
	Subject string `json:"subject"`
	Holder
	Used      uint64       `json:"used"`
	AtLeast   bool         `json:"at_least,omitempty"` // more than the limit, and perhaps more than Used
	AnyRow    uint64       `json:"any_row,omitempty"`  // of Used: accesses that could be anybody's
	Customers uint64       `json:"customers"`          // the limit
	Within    Span         `json:"within"`
	AtEnd     string       `json:"at_end"`
	Frees     sekisho.Time `json:"frees,omitempty"` // when there is room again, if there is none; 0 if there is
	State     string       `json:"state"`           // "free", "near" or "ended"

	Lent  []Lent `json:"lent,omitempty"`  // shares of other gates, which count as used
	Taken *Taken `json:"share,omitempty"` // the share of this gate, if another one grants it
	// Overshoot is the most customers that all gates together could release beyond
	// the limit if every clock of other gates stood still, or two processes ran as
	// one gate: the sum of their shares. Without such a fault it is 0.
	Overshoot uint64 `json:"overshoot_by_fault,omitempty"`
}

// Uses lists what is used now: at is the time that it is. The holder with the
// largest share comes first.
func (b *Book) Uses(at sekisho.Time) []Use {
	list := b.uses(at)
	slices.SortFunc(list, func(a, b Use) int {
		return cmp.Or(cmp.Compare(b.Used*a.Customers, a.Used*b.Customers), cmp.Compare(a.Budget, b.Budget), a.Holder.compare(b.Holder), cmp.Compare(a.Subject, b.Subject))
	})
	return list
}

func (b *Book) uses(at sekisho.Time) []Use {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest(at)
	list := []Use{}
	for _, h := range b.order {
		h.advance(h.rule.at(b.now))
		b.measure(h)
		if h.used() == 0 && len(h.lent) == 0 && h.taken.share == 0 || b.isLimit(h.rule) && !h.ruled {
			continue
		}
		u := Use{
			Budget: h.rule.Name, Subject: h.key.space, Holder: h.key.Holder, Used: uint64(h.used()), AnyRow: uint64(h.any),
			AtLeast: h.used() > h.rule.limit, Customers: uint64(h.rule.limit), Within: h.rule.Within, AtEnd: h.rule.AtEnd, State: "free",
			Lent: h.lents(), Taken: b.takenBy(h), Overshoot: h.lentOut(),
		}
		switch {
		case h.used() >= h.rule.limit, b.clock == nil && h.used() >= h.room:
			u.State, u.Frees = "ended", sekisho.Time(h.freesIn())*h.rule.step
		case h.used() >= h.rule.warnAt, h.used()+int(h.lentOut()) >= h.rule.warnAt:
			u.State = "near"
		}
		list = append(list, u)
	}
	return list
}

func (h Holder) compare(o Holder) int {
	return cmp.Or(cmp.Compare(h.Principal, o.Principal), cmp.Compare(h.Role, o.Role), cmp.Compare(h.Endpoint, o.Endpoint), cmp.Compare(h.Purpose, o.Purpose))
}

// takenBy is the share of this gate; nil if it needs none. The lock is held.
func (b *Book) takenBy(h *holder) *Taken {
	if b.clock == nil {
		return nil
	}
	return &Taken{Share: h.taken.share, Until: h.taken.until, Ended: h.shut}
}
