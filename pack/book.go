package pack

import "sekisho"

// A Book folds which packs were made, and who looks on from outside. It is a
// view.
type Book struct {
	made     []Made
	auditors map[uint32]*Auditor
	sessions map[uint64]uint32 // of auditors, that are open
}

// Made is one pack.
type Made struct {
	Seq  uint64
	At   sekisho.Time
	Body *sekisho.PackMade
}

// An Auditor was admitted, and looked.
type Auditor struct {
	User    uint32
	Entry   uint64 // the AuditorAdmitted that counts
	Until   sekisho.Time
	Said    uint32
	By      uint32
	Ended   bool
	Pages   uint64 // that were shown
	Refused uint64
	Last    sekisho.Time // of the last page
}

// NewBook makes an empty one.
func NewBook() *Book { return &Book{auditors: map[uint32]*Auditor{}, sessions: map[uint64]uint32{}} }

// Name is the view's.
func (*Book) Name() string { return "pack" }

// Apply folds one entry.
func (b *Book) Apply(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.LedgerOpened:
		clear(b.sessions)
	case *sekisho.PackMade:
		b.made = append(b.made, Made{e.ID.Seq, e.Time, x})
	case *sekisho.AuditorAdmitted:
		a := b.auditors[x.User]
		if a == nil {
			a = &Auditor{User: x.User}
			b.auditors[x.User] = a
		}
		a.Entry, a.Ended, a.By = e.ID.Seq, x.Action == "ended", x.By
		if !a.Ended {
			a.Until, a.Said = x.Until, x.Said
		}
	case *sekisho.SessionOpened:
		if x.Door == sekisho.DoorConsole && b.auditors[x.Principal] != nil {
			b.sessions[e.ID.Seq] = x.Principal
		}
	case *sekisho.SessionClosed:
		delete(b.sessions, x.Session)
	case *sekisho.AuditorLooked:
		a := b.auditors[b.sessions[x.Session]]
		if a == nil {
			return
		}
		if a.Last = e.Time; x.Refused {
			a.Refused++
		} else {
			a.Pages++
		}
	}
}

// Made are the packs, newest first.
func (b *Book) Made() (list []Made) {
	for n := len(b.made) - 1; n >= 0; n-- {
		list = append(list, b.made[n])
	}
	return list
}

// Pack is the one that an entry tells of.
func (b *Book) Pack(seq uint64) (Made, bool) {
	for _, m := range b.made {
		if m.Seq == seq {
			return m, true
		}
	}
	return Made{}, false
}

// Auditors are all who were ever admitted, in the order of their ordinals.
func (b *Book) Auditors() (list []Auditor) {
	for _, u := range sorted(b.auditors) {
		list = append(list, *b.auditors[u])
	}
	return list
}
