package directory

import (
	"cmp"
	"iter"
	"slices"

	"sekisho"
)

// A Person is what holds of somebody from one day to the next. It is never
// changed once it was given out.
type Person struct {
	Staff uint32 // ordinal in "staff", whose key is the user name
	// Kind is how the person is employed: "employee", "executive", "agency",
	// "secondee".
	Kind string
	// Executive: an officer of the company, counted apart. Always set where Kind
	// says so.
	Executive bool
	Leave     bool         // on leave
	Joined    sekisho.Time // first day of this employment; 0: not known
	Left      sekisho.Time // the first moment of not being one of us; 0: no end is known
	// Postings are all that were stated, those that ended or begin later too: see
	// PostingsAt.
	Postings []Posting
	Record   uint32 // ordinal in "staff_record": see Attributes. 0 for none
	Source   string // the source that said so

	Action   string       // "joined", "changed", "left", "returned"
	From     sekisho.Time // it holds from here on
	Seq      uint64       // the entry that says so
	Recorded sekisho.Time // the entry's time
}

// A Posting is a place in a unit.
type Posting struct {
	Unit  uint32 // ordinal in "unit"
	Post  uint32 // ordinal in "unit"; 0 for none
	As    string // "main", "concurrent", "secondment", "group"
	From  sekisho.Time
	Until sekisho.Time // 0: no end is known
}

// PostingsAt are the postings that hold at t.
func (p *Person) PostingsAt(t sekisho.Time) iter.Seq[Posting] {
	return func(yield func(Posting) bool) {
		for _, one := range p.Postings {
			if one.From <= t && (one.Until == 0 || t < one.Until) && !yield(one) {
				return
			}
		}
	}
}

// Main is the main posting at t, or the first of the others, or the zero one.
func (p *Person) Main(t sekisho.Time) (main Posting) {
	for one := range p.PostingsAt(t) {
		if one.As == "main" {
			return one
		}
		if main.Unit == 0 && one.As != "group" {
			main = one
		}
	}
	return main
}

// past is everything that was ever said of one person.
type past struct {
	versions []*Person // by From; of one day the later entry last
	recorded []*Person // the same, as they were recorded
}

// A spell is one employment.
type spell struct {
	joined, left sekisho.Time
	unstated     bool // nobody said when it began: joined is the first day that is known
}

func (s spell) covers(t sekisho.Time) bool { return s.joined <= t && (s.left == 0 || t < s.left) }

// stated is the day that somebody said; 0: nobody did.
func (s spell) stated() sekisho.Time {
	if s.unstated {
		return 0
	}
	return s.joined
}

// spells are the employments by what was recorded up to known; 0 is
// everything. What is said of a spell later holds of all of it, also of the
// days before.
func (h *past) spells(known sekisho.Time) (list []spell) {
	for _, p := range h.recorded {
		if known != 0 && p.Recorded > known {
			break
		}
		if len(list) == 0 || p.Action == "joined" || p.Action == "returned" {
			one := spell{joined: p.Joined, left: p.Left}
			if p.Joined == 0 {
				one.joined, one.unstated = p.From, true
			}
			list = append(list, one)
			continue
		}
		last := &list[len(list)-1]
		if p.Joined != 0 {
			last.joined, last.unstated = p.Joined, false
		} else if last.unstated {
			last.joined = min(last.joined, p.From)
		}
		last.left = p.Left
	}
	return list
}

// present is what holds at t of somebody who is one of us then; else nil.
func (h *past) present(t, known sekisho.Time) *Person {
	for _, s := range h.spells(known) {
		if !s.covers(t) {
			continue
		}
		p := h.at(t, known)
		if p == nil { // employed before the first day of which anything else is known
			p = h.first(known)
		}
		if joined := s.stated(); p.Joined != joined || p.Left != s.left {
			one := *p
			one.Joined, one.Left = joined, s.left
			p = &one
		}
		return p
	}
	return nil
}

func (h *past) first(known sekisho.Time) *Person {
	for _, p := range h.versions {
		if known == 0 || p.Recorded <= known {
			return p
		}
	}
	return nil
}

// at is what holds at t by what was recorded up to known; 0 is everything. It
// is nil if nothing does.
func (h *past) at(t, known sekisho.Time) *Person {
	i, _ := slices.BinarySearchFunc(h.versions, t, func(p *Person, t sekisho.Time) int {
		if p.From <= t {
			return -1
		}
		return 1
	})
	for i--; i >= 0; i-- {
		if p := h.versions[i]; known == 0 || p.Recorded <= known {
			return p
		}
	}
	return nil
}

// add takes in one more version.
func (h *past) add(p *Person) {
	i, _ := slices.BinarySearchFunc(h.versions, p, func(a, b *Person) int {
		return cmp.Or(cmp.Compare(a.From, b.From), -1) // behind those of its day
	})
	h.versions = slices.Insert(h.versions, i, p)
	h.recorded = append(h.recorded, p)
}
