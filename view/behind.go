package view

import (
	"maps"

	"sekisho"
)

// Behind is a fold that views have inside them: who is behind each statement,
// where a program works for others (sekisho.OnBehalf).
type Behind struct {
	sessions map[uint64]*told
}

// A Caller is who makes statements of a session: itself, or whoever its program
// works for. One for each combination that a session states: they can be told
// apart as pointers.
type Caller struct {
	// SessionOpened is the session's own. Behind a program, principal, endpoint
	// and verified are those of the person and the terminal, as far as they were
	// stated, and else the program's.
	*sekisho.SessionOpened
	Session uint64                 // sequence number of the entry
	Through *sekisho.SessionOpened // the program's; nil for a session that works for nobody else
	Lost    bool                   // behind a program, and at which terminal is not known
}

type told struct {
	own    *Caller // of statements that say nothing
	speaks bool
	by     map[uint64]*Caller
	known  map[stated]*Caller
}

type stated struct {
	principal uint32
	endpoint  string
	verified  bool
}

// Statements are answered in order, but for portals: what was stated long ago
// is forgotten, and then the terminal of such a statement is unknown.
const (
	mostStated  = 4096
	afterTheEnd = 64 // of a session that is closed: words on its last accesses may follow
)

// NewBehind knows nothing.
func NewBehind() *Behind { return &Behind{sessions: map[uint64]*told{}} }

// Apply folds one entry.
func (b *Behind) Apply(e *sekisho.Entry) {
	switch body := e.Body.(type) {
	case *sekisho.SessionOpened:
		b.sessions[e.ID.Seq] = &told{own: &Caller{SessionOpened: body, Session: e.ID.Seq}}
	case *sekisho.OnBehalf:
		t := b.sessions[body.Session]
		if t == nil {
			return
		}
		if !t.speaks {
			t.speaks, t.by, t.known = true, map[uint64]*Caller{}, map[stated]*Caller{}
			t.own = &Caller{SessionOpened: t.own.SessionOpened, Session: body.Session, Through: t.own.SessionOpened, Lost: true}
		}
		if body.Number == 0 {
			return
		}
		if len(t.by) >= mostStated {
			t.forget(body.Number, mostStated/2)
		}
		t.by[body.Number] = t.caller(body)
	case *sekisho.SessionClosed:
		t := b.sessions[body.Session]
		if t == nil {
			return
		}
		if !t.speaks {
			delete(b.sessions, body.Session)
			return
		}
		last := uint64(0)
		for n := range t.by {
			last = max(last, n)
		}
		t.forget(last, afterTheEnd)
		t.known = map[stated]*Caller{}
	}
}

// forget keeps what was said of the last n statements up to number.
func (t *told) forget(number, n uint64) {
	maps.DeleteFunc(t.by, func(k uint64, _ *Caller) bool { return k+n < number })
}

func (t *told) caller(body *sekisho.OnBehalf) *Caller {
	k := stated{body.Principal, body.Endpoint, body.Verified}
	c := t.known[k]
	if c == nil {
		program := t.own.Through
		opened := *program
		if body.Principal != 0 {
			opened.Principal = body.Principal
		}
		lost := body.Endpoint == ""
		if !lost {
			opened.Endpoint, opened.Verified = body.Endpoint, body.Verified
		}
		if len(t.known) >= mostStated {
			clear(t.known)
		}
		c = &Caller{SessionOpened: &opened, Session: body.Session, Through: program, Lost: lost}
		t.known[k] = c
	}
	return c
}

// Of is who made a statement of a session; nil for a session that is not known,
// or that is closed and worked for nobody else.
func (b *Behind) Of(session, number uint64) *Caller {
	t := b.sessions[session]
	if t == nil {
		return nil
	}
	if c := t.by[number]; c != nil {
		return c
	}
	return t.own
}
