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
		if h.used() == 0 || b.isLimit(h.rule) && !h.ruled {
			continue
		}
		u := Use{
			Budget: h.rule.Name, Subject: h.key.space, Holder: h.key.Holder, Used: uint64(h.used()), AnyRow: uint64(h.any),
			AtLeast: h.used() > h.rule.limit, Customers: uint64(h.rule.limit), Within: h.rule.Within, AtEnd: h.rule.AtEnd, State: "free",
		}
		switch {
		case h.used() >= h.rule.limit:
			u.State, u.Frees = "ended", sekisho.Time(h.freesIn())*h.rule.step
		case h.used() >= h.rule.warnAt:
			u.State = "near"
		}
		list = append(list, u)
	}
	return list
}

func (h Holder) compare(o Holder) int {
	return cmp.Or(cmp.Compare(h.Principal, o.Principal), cmp.Compare(h.Role, o.Role), cmp.Compare(h.Endpoint, o.Endpoint), cmp.Compare(h.Purpose, o.Purpose))
}
