package directory

import (
	"cmp"
	"slices"
	"sync"

	"sekisho"
)

// An Erasure is a request to destroy records of the vault, with what became of
// it.
type Erasure struct {
	Number   uint64 // sequence number of its ErasureAsked
	At       sekisho.Time
	Asked    sekisho.ErasureAsked
	State    string // "asked", "approved", "rejected", "withdrawn", "destroyed"
	Decided  *sekisho.ErasureDecided
	When     sekisho.Time // of the decision
	Entry    uint64       // of the decision
	Finished sekisho.Time
}

// Count is how many records it is about.
func (e *Erasure) Count() (n int) {
	for _, r := range e.Asked.Records {
		n += len(r.Ordinals)
	}
	return n
}

// Erasures is what was asked to be destroyed. It is a view.
type Erasures struct {
	mu sync.RWMutex
	by map[uint64]*Erasure
}

// NewErasures makes an empty view.
func NewErasures() *Erasures { return &Erasures{by: map[uint64]*Erasure{}} }

// Name is the view's.
func (b *Erasures) Name() string { return "erasures" }

// Apply folds one entry. The first answer counts; what was approved stays
// approved until it is destroyed.
func (b *Erasures) Apply(e *sekisho.Entry) {
	switch body := e.Body.(type) {
	case *sekisho.ErasureAsked:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.by[e.ID.Seq] = &Erasure{Number: e.ID.Seq, At: e.Time, Asked: *body, State: "asked"}
	case *sekisho.ErasureDecided:
		b.mu.Lock()
		defer b.mu.Unlock()
		was := b.by[body.Erasure]
		if was == nil {
			return
		}
		one := *was // those who look at it keep what they saw
		switch {
		case was.State == "asked" && (body.Action == "approved" || body.Action == "rejected" || body.Action == "withdrawn"):
			one.State, one.Decided, one.When, one.Entry = body.Action, body, e.Time, e.ID.Seq
		case was.State == "approved" && body.Action == "destroyed":
			one.State, one.Finished = body.Action, e.Time
		default:
			return
		}
		b.by[body.Erasure] = &one
	}
}

// Get gives one; nil if there is none of that number.
func (b *Erasures) Get(number uint64) *Erasure {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.by[number]
}

// List gives all, the latest first.
func (b *Erasures) List() []*Erasure {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]*Erasure, 0, len(b.by))
	for _, e := range b.by {
		list = append(list, e)
	}
	slices.SortFunc(list, func(x, y *Erasure) int { return cmp.Compare(y.Number, x.Number) })
	return list
}

// RecordsOf are all records of a person that the directory put into the vault:
// the user name, and each version of the attributes.
func (b *Book) RecordsOf(staff uint32) []sekisho.VaultRecords {
	b.mu.RLock()
	defer b.mu.RUnlock()
	h := b.people[staff]
	if h == nil {
		return nil
	}
	var records []uint32
	for _, p := range h.recorded {
		if p.Record != 0 {
			records = append(records, p.Record)
		}
	}
	slices.Sort(records)
	list := []sekisho.VaultRecords{{Space: "staff", Ordinals: []uint32{staff}}}
	if records = slices.Compact(records); len(records) > 0 {
		list = append(list, sekisho.VaultRecords{Space: "staff_record", Ordinals: records})
	}
	return list
}
