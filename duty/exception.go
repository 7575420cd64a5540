package duty

import (
	"slices"

	"sekisho"
)

// An Exception is a waiver, or the statement that a duty does not apply.
type Exception struct {
	Seq  uint64
	At   int64
	Body *sekisho.ExceptionAsked

	Decided   uint64 // the ExceptionDecided that answered it
	DecidedAt int64
	Action    string // "approved", "rejected", "withdrawn"; "" while it waits
	By        uint32
	Said      uint32
	Ended     int64 // before its time; 0: not
	EndedBy   uint32

	units map[uint32]bool // nil: all
}

func (b *Book) exceptionAsked(e *sekisho.Entry, x *sekisho.ExceptionAsked) {
	one := &Exception{Seq: e.ID.Seq, At: int64(e.Time), Body: x}
	if len(x.Units) > 0 {
		one.units = make(map[uint32]bool, len(x.Units))
		for _, u := range x.Units {
			one.units[u] = true
		}
	}
	b.exceptions = append(b.exceptions, one)
}

// exceptionDecided takes the first answer, and an end of what was approved.
func (b *Book) exceptionDecided(e *sekisho.Entry, x *sekisho.ExceptionDecided) {
	at := slices.IndexFunc(b.exceptions, func(o *Exception) bool { return o.Seq == x.Exception })
	if at < 0 {
		return
	}
	o := b.exceptions[at]
	switch x.Action {
	case "approved", "rejected", "withdrawn":
		// Four eyes: whoever asked does not approve, whatever door let it in.
		if o.Action != "" || x.Action == "approved" && (x.By == o.Body.By || x.By == o.Body.Owner) {
			return
		}
		o.Action, o.Decided, o.DecidedAt, o.By, o.Said = x.Action, e.ID.Seq, int64(e.Time), x.By, x.Said
	case "ended":
		if o.Action != "approved" || o.Ended != 0 {
			return
		}
		o.Ended, o.EndedBy = int64(e.Time), x.By
	default:
		return
	}
	b.excepted = e.ID.Seq
}

// covers: the exception is in force for a unit at a time.
func (o *Exception) covers(d *Duty, u Unit, t int64) bool {
	x := o.Body
	if o.Action != "approved" || x.Duty != d.Name() || t < int64(x.From) || t >= int64(x.Until) || o.Ended != 0 && t >= o.Ended {
		return false
	}
	return o.units == nil || x.Space == u.Space && o.units[u.Ordinal]
}

// Exceptions are all that were asked for, newest first.
func (b *Book) Exceptions() (list []Exception) {
	for n := len(b.exceptions) - 1; n >= 0; n-- {
		list = append(list, *b.exceptions[n])
	}
	return list
}

// excepted is the exception in force for a duty and unit at a time, or nil. "na"
// goes before "waived".
func (b *Book) exception(list []*Exception, d *Duty, u Unit, t int64) (found *Exception) {
	for _, o := range list {
		if o.covers(d, u, t) && (found == nil || o.Body.What == "na") {
			found = o
		}
	}
	return found
}

// about are the approved exceptions of a duty.
func (b *Book) about(d *Duty) (list []*Exception) {
	for _, o := range b.exceptions {
		if o.Action == "approved" && o.Body.Duty == d.Name() {
			list = append(list, o)
		}
	}
	return list
}
