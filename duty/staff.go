package duty

import (
	"sekisho"
)

// Links are the links by which members of staff may sign in at the employees'
// door. It is a view: that a link was used is an entry, so it is used once,
// also over a restart.
type Links struct {
	by    map[[32]byte]*Link
	seq   map[uint64]*Link
	swept sekisho.Time
}

// A Link was made for somebody.
type Link struct {
	Entry  uint64
	Person uint32
	Until  sekisho.Time
	Used   bool
}

// NewLinks makes an empty view.
func NewLinks() *Links { return &Links{by: map[[32]byte]*Link{}, seq: map[uint64]*Link{}} }

// Name is the view's.
func (*Links) Name() string { return "staff-links" }

// Apply folds one entry.
func (l *Links) Apply(e *sekisho.Entry) {
	b, ok := e.Body.(*sekisho.StaffLink)
	if !ok {
		return
	}
	switch b.Action {
	case "made":
		l.forget(e.Time)
		one := &Link{e.ID.Seq, b.Person, b.Until, false}
		l.by[b.HMAC], l.seq[e.ID.Seq] = one, one
	case "used":
		if one := l.seq[b.Link]; one != nil {
			one.Used = true
		}
	}
}

// forget lets go, once a minute of the ledger's, of links that cannot be used
// any more.
func (l *Links) forget(now sekisho.Time) {
	if now-l.swept < 60e6 {
		return
	}
	l.swept = now
	for mac, one := range l.by {
		if one.Until <= now {
			delete(l.by, mac)
			delete(l.seq, one.Entry)
		}
	}
}

// Find gives the link of a MAC, if it can be used at a moment.
func (l *Links) Find(mac [32]byte, now sekisho.Time) (one Link, ok bool) {
	found := l.by[mac]
	if found == nil || found.Used || now >= found.Until {
		return one, false
	}
	return *found, true
}
