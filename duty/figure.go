package duty

import (
	"maps"
	"slices"
)

// A Tally is a figure: how many obligations stand how, and the measure's own
// numerator, denominator and unknowns, in units, days, minutes, accesses.
type Tally struct {
	Met     int64 `json:"met"`
	Late    int64 `json:"late"`
	Missed  int64 `json:"missed"`
	Unknown int64 `json:"unknown_obligations"`
	Open    int64 `json:"open"`
	Waived  int64 `json:"waived"`
	NA      int64 `json:"na"`

	Num  int64 `json:"numerator"`
	Den  int64 `json:"denominator"`
	Dark int64 `json:"unknown"` // of the denominator: nobody can say
}

func (t *Tally) add(s Status) {
	switch s {
	case Met:
		t.Met++
	case Late:
		t.Late++
	case Missed:
		t.Missed++
	case Unknown:
		t.Unknown++
	case Open:
		t.Open++
	case Waived:
		t.Waived++
	case NA:
		t.NA++
	}
}

// units makes obligations themselves the measure: what is met of what is due,
// and of what is still open. WAIVED and NA stand beside.
func (t *Tally) units() {
	t.Num, t.Den, t.Dark = t.Met, t.Met+t.Late+t.Missed+t.Unknown+t.Open, t.Unknown
}

func (t *Tally) plus(o Tally) {
	t.Met += o.Met
	t.Late += o.Late
	t.Missed += o.Missed
	t.Unknown += o.Unknown
	t.Open += o.Open
	t.Waived += o.Waived
	t.NA += o.NA
	t.Num += o.Num
	t.Den += o.Den
	t.Dark += o.Dark
}

// judge is one unit's status by its days, minutes or cases. What is not known is
// given neither way.
func (t *Tally) judge(least int64, closed bool) Status {
	if least == 0 {
		least = 1000
	}
	switch {
	case t.Den == 0 && closed:
		return NA
	case t.Den == 0:
		return Open
	case t.Num*1000 >= least*t.Den && closed:
		return Met
	case (t.Num+t.Dark)*1000 < least*t.Den && (closed || least == 1000):
		return Missed
	case closed || t.Dark > 0:
		return Unknown
	}
	return Open
}

// Bounds are the coverage in thousandths, rounded down: low counts what is
// certain, high what could still turn out well. ok is false where nothing is
// due: no case is not 100 %.
func (t *Tally) Bounds() (low, high int64, ok bool) {
	if t.Den == 0 {
		return 0, 0, false
	}
	return t.Num * 1000 / t.Den, min(1000, (t.Num+t.Dark+t.Late+t.openUnits())*1000/t.Den), true
}

// openUnits are obligations that may still be met; days to come are in no
// denominator yet.
func (t *Tally) openUnits() int64 {
	if t.Den == t.Met+t.Late+t.Missed+t.Unknown+t.Open {
		return t.Open
	}
	return 0
}

// less: a is the worse figure. What has no case is no worse than anything.
func worst(a, b Tally) bool {
	if a.Den == 0 || b.Den == 0 {
		return a.Den != 0
	}
	return a.Num*b.Den < b.Num*a.Den
}

func sortedKeys[K interface{ ~string | ~uint32 }, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
