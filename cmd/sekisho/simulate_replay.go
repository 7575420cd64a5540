package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"sekisho"
	"sekisho/act"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/gate"
	"sekisho/ledger"
	"sekisho/vault"
)

// A simulation folds accesses into what would have changed.
type simulation struct {
	words            *console.Teller
	policy, against  *act.Policy // against is nil for what happened
	since, until     sekisho.Time
	zone             *time.Location
	office           []netip.Prefix
	posts, companies map[string]string
	terminals        *duty.Checks // the register of them; nil: no rule speaks of it
	gate             *gate.Config // whose principals have posts, and whose office is where; nil: unknown
	vault            *vault.Vault // nil if it cannot be read
	names            bool

	sessions map[uint64]*replayedSession
	shapes   map[uint64]*sekisho.Shape
	ruled    map[ruledKey]*sekisho.Ruled
	memos    map[string]*[2]act.Memo // by tables: of policy, and of against
	changes  map[changeKey]*change
	total    simulated
}

// A replayedSession is a session with its statements that may go on.
type replayedSession struct {
	opened *sekisho.SessionOpened
	open   []*replayed
	ruled  *sekisho.Ruled // the latest
}

// A replayed statement gathers the chunks of its result.
type replayed struct {
	number     uint64
	at         sekisho.Time
	verb       sekisho.Verb
	tables     []string
	categories sekisho.Categories
	purpose    uint32
	rows       uint64
	unknown    bool // how many rows: it may be any
	more       bool
	statement  uint32
	before     string // what became of it: "" is that it passed
}

// A ruledKey is what the policy's decision about a statement was recorded for.
type ruledKey struct{ principal, statement, purpose uint32 }

// replay reads the ledger from its beginning: a session of the window may have
// been opened long before.
func (s *simulation) replay(ctx context.Context, dir string, bar *bar, now sekisho.Time) error {
	s.ruled = map[ruledKey]*sekisho.Ruled{}
	s.sessions, s.shapes = map[uint64]*replayedSession{}, map[uint64]*sekisho.Shape{}
	s.memos, s.changes = map[string]*[2]act.Memo{}, map[changeKey]*change{}
	s.total.roles = map[string]bool{}
	end := now
	if s.until != 0 {
		end = min(end, s.until)
	}
	var begin sekisho.Time
	defer bar.done()
	for e, err := range ledger.Read(disk.OS{}, dir, 1) {
		if err != nil && !errors.Is(err, sekisho.ErrUnknownKind) {
			return err
		}
		if begin == 0 {
			begin = e.Time
		}
		if s.until != 0 && e.Time >= s.until {
			break
		}
		if ctx.Err() != nil {
			return both("replaying the ledger: stopped after entry %v: %v", "台帳の再生: 記録 %v の後で中断: %v", e.ID, ctx.Err())
		}
		bar.set(int64(e.Time-begin), int64(end-begin))
		if s.terminals != nil && e.Body != nil {
			s.terminals.Apply(&e)
		}
		s.apply(&e)
	}
	for _, session := range s.sessions {
		session.settle(s, 0)
	}
	return nil
}

func (s *simulation) apply(e *sekisho.Entry) {
	inside := e.Time >= s.since
	switch b := e.Body.(type) {
	case *sekisho.SessionOpened:
		s.sessions[e.ID.Seq] = &replayedSession{opened: b}
	case *sekisho.SessionClosed:
		if session := s.sessions[b.Session]; session != nil {
			session.settle(s, 0)
			delete(s.sessions, b.Session)
		}
	case *sekisho.AccessClosed:
		if session := s.sessions[b.Session]; session != nil {
			for _, st := range session.open {
				st.more = st.more && st.number != b.Number
			}
		}
	case *sekisho.Shape:
		s.shapes[e.ID.Seq] = b
	case *sekisho.Ruled:
		if session := s.sessions[b.Session]; session != nil {
			session.ruled = b
			s.ruled[ruledKey{session.opened.Principal, b.Statement, b.Purpose}] = b
		}
	case *sekisho.Refused:
		session := s.sessions[b.Session]
		if !inside || session == nil || !session.refused(s, e.Time, b) {
			if inside {
				s.total.refused++
			}
		}
	case *sekisho.Access:
		session, shape := s.sessions[b.Session], s.shapes[b.Shape]
		switch {
		case session == nil || shape == nil || !inside:
		case session.opened.Door != sekisho.DoorGate:
			s.total.elsewhere++
		default:
			session.access(s, e.Time, b, shape)
		}
	}
}

// refused takes in a statement that the policy refused or cut; false: it was
// not the policy.
func (rs *replayedSession) refused(s *simulation, at sekisho.Time, b *sekisho.Refused) bool {
	by := rs.ruled
	if by == nil || by.Number != b.Number || !by.Enforced {
		return false
	}
	i := slices.IndexFunc(rs.open, func(st *replayed) bool { return st.number == b.Number })
	if i < 0 {
		rs.settle(s, b.Number)
		rs.open = append(rs.open, &replayed{number: b.Number, at: at, verb: by.Verb, tables: by.Tables, purpose: by.Purpose, statement: by.Statement})
		i = len(rs.open) - 1
	}
	st := rs.open[i]
	st.unknown, st.more, st.categories, st.before = true, false, st.categories|by.Categories, by.Decision
	if b.Reason == "policy_mask" {
		st.before = act.Refuse.String()
	}
	return true
}

// access adds one chunk to its statement. Statements of a session end in their
// order, but a later one may begin before an earlier one has ended.
func (rs *replayedSession) access(s *simulation, at sekisho.Time, a *sekisho.Access, shape *sekisho.Shape) {
	i := slices.IndexFunc(rs.open, func(st *replayed) bool { return st.number == a.Number })
	if i < 0 {
		rs.settle(s, a.Number)
		rs.open = append(rs.open, &replayed{number: a.Number, at: at, verb: shape.Verb, purpose: a.Purpose})
		i = len(rs.open) - 1
	}
	st := rs.open[i]
	st.statement = shape.Statement
	st.more = a.More
	st.rows += a.Rows
	st.unknown = st.unknown || a.Class == sekisho.AnyRow
	st.categories |= shape.Categories
	if shape.Verb != st.verb {
		st.verb = sekisho.Other
	}
	for _, t := range shape.Tables {
		if at, found := slices.BinarySearch(st.tables, t); !found {
			st.tables = slices.Insert(slices.Clip(st.tables), at, t)
		}
	}
}

// settle judges the statements that have ended: those before number next with
// no chunk to come, or all if next is 0.
func (rs *replayedSession) settle(s *simulation, next uint64) {
	rs.open = slices.DeleteFunc(rs.open, func(st *replayed) bool {
		if next != 0 && (st.more || st.number >= next) {
			return false
		}
		s.judge(rs.opened, st)
		return true
	})
}
