package console

import (
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/view"
)

const (
	livePast    = 2000 // statements kept for the live page
	liveFirst   = 25   // statements on the page, unless more are asked for
	livePage1   = 300  // statements on the page, and in one event, at most
	liveMinutes = 60
	liveOpen    = 50_000 // statements and sessions followed at a time
	liveBatch   = 250 * time.Millisecond
)

// Live is the view under the live page: the newest statements, and what the
// ledger's status says. It holds ordinals, never names. Apply is called by one
// goroutine; the pages read it under its lock, and only copy there, so that no
// browser can hold the house up.
type Live struct {
	mu       sync.Mutex
	sessions map[uint64]*sekisho.SessionOpened
	ruled    map[uint64]*sekisho.Ruled // the latest of each session
	behind   *view.Behind
	shapes   map[uint64]*sekisho.Shape
	open     map[stmtKey]*liveRow
	ring     []*liveRow // the newest livePast, in order of their first entry
	changes  uint64     // counts every change to a row
	minutes  map[int64]*liveMinute
	changed  chan struct{} // closed and replaced at a change, if anybody waits
	waited   bool

	alarm *liveAlarm // the latest alert

	facts ledgerFacts
	cases casebook
}

type stmtKey struct{ session, number uint64 }

// A liveRow is one statement. Rows are replaced, never changed, once a reader
// may hold them: see touch.
type liveRow struct {
	key       stmtKey
	first     uint64
	at        sekisho.Time
	change    uint64                 // the value of changes when it last changed
	session   *sekisho.SessionOpened // of who is behind it
	through   *sekisho.SessionOpened // the program's, if they are behind one
	lost      bool                   // at which terminal is not known
	shape     *sekisho.Shape
	class     sekisho.Class
	purpose   uint32
	customers uint64
	rows      uint64
	reach     uint64
	outcome   string // "" while it goes on
	sqlState  string
	reason    string         // of a refusal
	ruled     *sekisho.Ruled // what the policy said of it, where it is in the ledger
	tables    []string
	statement uint32
	seen      []uint64 // while open: one bit for each customer
}

type liveAlarm struct {
	seq  uint64
	at   sekisho.Time
	body *sekisho.Alert
}

type liveMinute struct{ customers, statements, anyRow, refused uint64 }

// ledgerFacts is what the entries say about the ledger itself.
type ledgerFacts struct {
	opened   sekisho.LedgerOpened
	epoch    uint64
	openedAt sekisho.Time
	gate     uint32
	last     uint64
	lastAt   sekisho.Time
	total    uint64
	kinds    map[sekisho.Kind]uint64
	sensors  map[string]*sensorFact
	rosters  map[string]*rosterFact
	gateOpen uint64
	alerts   uint64
	anyRow   uint64
	noName   uint64 // gate sessions without a proved endpoint
	accesses uint64 // through the gate
	nowhere  uint64 // those of them whose terminal is not known
}

type sensorFact struct {
	Lines    uint64       `json:"lines"`
	Accepted uint64       `json:"accepted"`
	Rejected uint64       `json:"rejected"`
	From     sekisho.Time `json:"from"`
	Until    sekisho.Time `json:"until"`
}

type rosterFact struct {
	Count      uint32       `json:"count"`
	Dimensions []string     `json:"dimensions"`
	At         sekisho.Time `json:"at"`
}

// NewLive makes an empty view. Add it to the set of views before the set
// starts, and give it to New.
func NewLive() *Live {
	l := &Live{behind: view.NewBehind(), minutes: map[int64]*liveMinute{}, changed: make(chan struct{})}
	l.facts.kinds = map[sekisho.Kind]uint64{}
	l.facts.sensors = map[string]*sensorFact{}
	l.facts.rosters = map[string]*rosterFact{}
	l.cases.files = map[uint64][]fileFact{}
	l.cases.flows = map[flowKey]*flowFact{}
	l.forget()
	return l
}

// forget drops what cannot outlive an epoch: the process died, its sessions
// and shapes with it.
func (l *Live) forget() {
	l.sessions = map[uint64]*sekisho.SessionOpened{}
	l.ruled = map[uint64]*sekisho.Ruled{}
	l.shapes = map[uint64]*sekisho.Shape{}
	l.open = map[stmtKey]*liveRow{}
}

func (*Live) Name() string { return "console-live" }

// Apply folds one entry.
func (l *Live) Apply(e *sekisho.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &l.facts
	f.last, f.lastAt, f.epoch, f.gate = e.ID.Seq, e.Time, e.ID.Epoch, e.ID.Gate
	f.total++
	f.kinds[e.Body.Kind()]++
	l.cases.apply(e)
	l.behind.Apply(e)
	switch b := e.Body.(type) {
	case *sekisho.LedgerOpened:
		f.opened, f.openedAt, f.gateOpen = *b, e.Time, 0
		for _, row := range l.open {
			l.touch(row, func(r *liveRow) { r.outcome, r.seen = "process ended", nil })
		}
		l.forget()
	case *sekisho.SessionOpened:
		if len(l.sessions) < liveOpen {
			l.sessions[e.ID.Seq] = b
		}
		if b.Door == sekisho.DoorGate {
			f.gateOpen++
			if !b.Verified {
				f.noName++
			}
		}
	case *sekisho.SessionClosed:
		if s := l.sessions[b.Session]; s != nil && s.Door == sekisho.DoorGate {
			f.gateOpen--
		}
		delete(l.sessions, b.Session)
		delete(l.ruled, b.Session)
	case *sekisho.Shape:
		l.shapes[e.ID.Seq] = b
	case *sekisho.Access:
		l.access(e, b)
	case *sekisho.AccessClosed:
		key := stmtKey{b.Session, b.Number}
		row := l.open[key]
		whole := row == nil && b.Released == 0
		if whole {
			row = l.latest(key)
		}
		if row != nil {
			delete(l.open, key)
			l.touch(row, func(r *liveRow) {
				r.outcome, r.sqlState, r.seen = b.Outcome.String(), b.SQLState, nil
				if whole {
					if m := l.minutes[int64(r.at)/60e6]; m != nil {
						m.customers -= r.customers
					}
					r.customers, r.rows = 0, 0
				}
			})
		}
	case *sekisho.Ruled:
		if l.sessions[b.Session] != nil {
			l.ruled[b.Session] = b
		}
	case *sekisho.Refused:
		l.minute(e.Time).refused++
		if row := l.cut(stmtKey{b.Session, b.Number}); row != nil {
			l.touch(row, func(r *liveRow) {
				r.sqlState, r.reason, r.tables, r.ruled = b.SQLState, b.Reason, b.Tables, l.rulingOf(r.key)
			})
			return
		}
		row := &liveRow{key: stmtKey{b.Session, b.Number}, first: e.ID.Seq, at: e.Time,
			outcome: "refused", sqlState: b.SQLState, reason: b.Reason, tables: b.Tables, statement: b.Statement}
		row.ruled = l.rulingOf(row.key)
		l.by(row)
		l.push(row)
	case *sekisho.SensorRead:
		s := f.sensors[b.Sensor]
		if s == nil {
			s = &sensorFact{From: b.From}
			f.sensors[b.Sensor] = s
		}
		s.Lines, s.Accepted, s.Rejected = s.Lines+b.Lines, s.Accepted+b.Accepted, s.Rejected+b.Rejected
		if b.From != 0 && (s.From == 0 || b.From < s.From) {
			s.From = b.From
		}
		s.Until = max(s.Until, b.Until)
	case *sekisho.RosterRead:
		f.rosters[b.Space] = &rosterFact{Count: b.Count, Dimensions: b.Dimensions, At: e.Time}
	case *sekisho.ExportAsked, *sekisho.ExportDecided: // the badge of those that wait
		l.changes++
		l.wake()
	case *sekisho.Alert:
		f.alerts++
		l.alarm = &liveAlarm{e.ID.Seq, e.Time, b}
		l.changes++
		l.wake()
	}
}

// rulingOf is what the policy said of a statement, if that was the latest of its
// session.
func (l *Live) rulingOf(key stmtKey) *sekisho.Ruled {
	if r := l.ruled[key.session]; r != nil && r.Number == key.number {
		return r
	}
	return nil
}

func (l *Live) access(e *sekisho.Entry, b *sekisho.Access) {
	m := l.minute(e.Time)
	key := stmtKey{b.Session, b.Number}
	row := l.open[key]
	if row == nil {
		row = &liveRow{key: key, first: e.ID.Seq, at: e.Time,
			shape: l.shapes[b.Shape], class: b.Class, purpose: b.Purpose, ruled: l.rulingOf(key)}
		if row.shape != nil {
			row.tables, row.statement = row.shape.Tables, row.shape.Statement
		}
		l.by(row)
		l.push(row)
		m.statements++
		l.facts.place(row)
		if b.More && len(l.open) < liveOpen {
			l.open[key] = row
		}
	}
	l.touch(row, func(r *liveRow) {
		fresh := r.name(b.Subjects, b.More)
		m.customers += fresh
		r.customers += fresh
		r.rows += b.Rows
		r.reach = max(r.reach, b.Reach)
		r.class = max(r.class, b.Class)
		if !b.More {
			r.outcome, r.seen = sekisho.Completed.String(), nil
		}
	})
	if !b.More {
		delete(l.open, key)
	}
	if b.Class == sekisho.AnyRow {
		m.anyRow++
		l.facts.anyRow++
	}
}

// cut finds the access that a refusal ends, whose rows before it went out: they
// are one line.
func (l *Live) cut(key stmtKey) *liveRow {
	row := l.open[key]
	if row == nil {
		row = l.latest(key)
	}
	if row == nil || row.customers == 0 && row.rows == 0 || row.outcome != "" && row.outcome != sekisho.CutOff.String() {
		return nil
	}
	return row
}

// takenBack is how far back an access may stand that was written before its row
// came, and is taken back.
const takenBack = 512

// latest finds a statement that has ended among the latest ones; nil if it is
// not there.
func (l *Live) latest(key stmtKey) *liveRow {
	for i := len(l.ring) - 1; i >= max(0, len(l.ring)-takenBack); i-- {
		if l.ring[i].key == key {
			return l.ring[i]
		}
	}
	return nil
}

// by fills in who made a statement.
func (l *Live) by(row *liveRow) {
	row.session = l.sessions[row.key.session]
	if c := l.behind.Of(row.key.session, row.key.number); c != nil {
		row.session, row.through, row.lost = c.SessionOpened, c.Through, c.Lost
	}
}

// place counts a new access by whether its terminal is known.
func (f *ledgerFacts) place(row *liveRow) {
	if row.session == nil || row.session.Door != sekisho.DoorGate {
		return
	}
	f.accesses++
	from := row.session
	if row.through != nil {
		from = row.through // who is not known himself is not believed either
	}
	if row.lost || strings.HasPrefix(from.Endpoint, "unverified@") {
		f.nowhere++
	}
}

// name counts the customers in subjects that this statement had not named
// before.
func (r *liveRow) name(subjects []uint32, more bool) (fresh uint64) {
	if len(subjects) <= 1 && r.seen == nil && !more {
		return uint64(len(subjects))
	}
	if len(subjects) == 0 {
		return 0
	}
	if r.seen == nil && !more {
		// Most statements are small, and end with their first chunk: a set over
		// all customers would be far larger than what it holds.
		own := slices.Clone(subjects)
		slices.Sort(own)
		return uint64(len(slices.Compact(own)))
	}
	if top := int(slices.Max(subjects)) / 64; top >= len(r.seen) {
		r.seen = append(r.seen, make([]uint64, top+1-len(r.seen))...)
	}
	for _, s := range subjects {
		if bit := uint64(1) << (s % 64); r.seen[s/64]&bit == 0 {
			r.seen[s/64] |= bit
			fresh++
		}
	}
	return fresh
}

func (l *Live) push(row *liveRow) {
	l.changes++
	row.change = l.changes
	if len(l.ring) >= 2*livePast {
		l.ring = slices.Clone(l.ring[len(l.ring)-livePast:])
	}
	l.ring = append(l.ring, row)
	l.wake()
}

// touch changes a row for readers to see. They copy rows under the lock, so
// the change may be made in place.
func (l *Live) touch(row *liveRow, change func(*liveRow)) {
	change(row)
	l.changes++
	row.change = l.changes
	l.wake()
}

func (l *Live) wake() {
	if l.waited {
		close(l.changed)
		l.changed, l.waited = make(chan struct{}), false
	}
}

func (l *Live) minute(at sekisho.Time) *liveMinute {
	n := int64(at) / 60e6
	m := l.minutes[n]
	if m == nil {
		m = &liveMinute{}
		l.minutes[n] = m
		for old := range l.minutes {
			if old <= n-liveMinutes-1 {
				delete(l.minutes, old)
			}
		}
	}
	return m
}

// since copies the rows that changed after the cursor, newest first.
func (l *Live) since(cursor uint64, now time.Time) ([]liveRow, *liveAlarm, *livePage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []liveRow
	for i := len(l.ring) - 1; i >= max(0, len(l.ring)-livePast); i-- {
		if l.ring[i].change > cursor {
			row := *l.ring[i]
			row.seen = nil
			rows = append(rows, row)
		}
	}
	p := &livePage{Cursor: l.changes, Open: l.facts.gateOpen, Chart: &minuteChart{Until: sekisho.At(now)}}
	// A drill, or a ledger at rest, is shown as it stood.
	if len(l.ring) > 0 {
		if last := l.ring[len(l.ring)-1].at; p.Chart.Until-last > liveMinutes*60e6 || last > p.Chart.Until {
			p.Chart.Until = last
		}
	}
	end := int64(p.Chart.Until) / 60e6
	for n := end - liveMinutes + 1; n <= end; n++ {
		b := minuteBar{Time: sekisho.Time(n * 60e6)}
		if m := l.minutes[n]; m != nil {
			b.Customers, b.Statements, b.AnyRow, b.Refused = m.customers, m.statements, m.anyRow, m.refused
		}
		p.Chart.Minutes = append(p.Chart.Minutes, b)
	}
	alarm := l.alarm
	if alarm != nil && p.Chart.Until-alarm.at > oneDay {
		alarm = nil
	}
	return rows, alarm, p
}

func (l *Live) cursor() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

// after is closed once there is something after the cursor.
func (l *Live) after(cursor uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes > cursor {
		now := make(chan struct{})
		close(now)
		return now
	}
	l.waited = true
	return l.changed
}
