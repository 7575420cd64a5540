package directory

import (
	"cmp"
	"slices"

	"sekisho"
)

// A Unit is what holds of a company, department, post or group from one day to
// the next. It is never changed once it was given out.
type Unit struct {
	Unit   uint32       // ordinal in "unit", whose key is its kind and code
	Kind   string       // "company", "department", "post", "group"
	Parent uint32       // ordinal in "unit"; 0 for none
	Title  uint32       // ordinal in "said"; 0 for none
	Opened sekisho.Time // since when there is this unit
	Closed sekisho.Time // the first moment without it; 0: it is there

	Source string // the source that said so

	From     sekisho.Time // it holds from here on
	Seq      uint64       // the entry that says so
	Recorded sekisho.Time
}

// deepest is how many parents are followed: a tree that a source gave may have
// a ring in it.
const deepest = 64

// units is everything that was said of one unit, by From.
type units []*Unit

func (h units) at(t, known sekisho.Time) *Unit {
	i, _ := slices.BinarySearchFunc(h, t, func(u *Unit, t sekisho.Time) int {
		if u.From <= t {
			return -1
		}
		return 1
	})
	for i--; i >= 0; i-- {
		if u := h[i]; known == 0 || u.Recorded <= known {
			return u
		}
	}
	return nil
}

func (h units) add(u *Unit) units {
	i, _ := slices.BinarySearchFunc(h, u, func(a, b *Unit) int {
		return cmp.Or(cmp.Compare(a.From, b.From), -1)
	})
	return slices.Insert(h, i, u)
}
