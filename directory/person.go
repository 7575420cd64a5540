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
	Record   uint32 // ordinal in "person": see Attributes. 0 for none
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

// present says whether the person is one of us at t.
func (p *Person) present(t sekisho.Time) bool {
	return p.Joined <= t && (p.Left == 0 || t < p.Left)
}

// past is everything that was ever said of one person.
type past struct {
	versions []*Person // by From; of one day the later entry last
	spells   []spell   // employments, in the order in which they were recorded
}

// A spell is one employment, as it is known now.
type spell struct {
	joined, left sekisho.Time
	seq          uint64
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
	if n := len(h.spells); n == 0 || p.Action == "joined" || p.Action == "returned" {
		h.spells = append(h.spells, spell{p.Joined, p.Left, p.Seq})
	} else {
		last := &h.spells[n-1]
		if p.Joined != 0 {
			last.joined = p.Joined
		}
		last.left = p.Left
	}
}
