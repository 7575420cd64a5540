package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
)

const (
	livePast    = 2000 // statements kept for the live page
	livePage1   = 100  // statements on the page at first, and in one event at most
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
	change    uint64 // the value of changes when it last changed
	session   *sekisho.SessionOpened
	shape     *sekisho.Shape
	class     sekisho.Class
	purpose   uint32
	customers uint64
	rows      uint64
	reach     uint64
	outcome   string // "" while it goes on
	sqlState  string
	reason    string // of a refusal
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
	l := &Live{minutes: map[int64]*liveMinute{}, changed: make(chan struct{})}
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
	case *sekisho.Shape:
		l.shapes[e.ID.Seq] = b
	case *sekisho.Access:
		l.access(e, b)
	case *sekisho.AccessClosed:
		if row := l.open[stmtKey{b.Session, b.Number}]; row != nil {
			delete(l.open, row.key)
			l.touch(row, func(r *liveRow) { r.outcome, r.sqlState, r.seen = b.Outcome.String(), b.SQLState, nil })
		}
	case *sekisho.Refused:
		row := &liveRow{key: stmtKey{b.Session, b.Number}, first: e.ID.Seq, at: e.Time, session: l.sessions[b.Session],
			outcome: "refused", sqlState: b.SQLState, reason: b.Reason, tables: b.Tables, statement: b.Statement}
		l.push(row)
		l.minute(e.Time).refused++
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
	case *sekisho.Alert:
		f.alerts++
		l.alarm = &liveAlarm{e.ID.Seq, e.Time, b}
		l.changes++
		l.wake()
	}
}

func (l *Live) access(e *sekisho.Entry, b *sekisho.Access) {
	m := l.minute(e.Time)
	key := stmtKey{b.Session, b.Number}
	row := l.open[key]
	if row == nil {
		row = &liveRow{key: key, first: e.ID.Seq, at: e.Time, session: l.sessions[b.Session],
			shape: l.shapes[b.Shape], class: b.Class, purpose: b.Purpose}
		if row.shape != nil {
			row.tables, row.statement = row.shape.Tables, row.shape.Statement
		}
		l.push(row)
		m.statements++
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

// A liveFilter narrows the live page. Empty fields let everything through.
type liveFilter struct {
	Endpoint  string `json:"endpoint"`
	Principal string `json:"principal"`
	Category  string `json:"category"`
	category  sekisho.Categories
}

func readLiveFilter(r *http.Request) (liveFilter, error) {
	q := r.URL.Query()
	f := liveFilter{Endpoint: strings.TrimSpace(q.Get("endpoint")), Principal: strings.TrimSpace(q.Get("principal")), Category: q.Get("category")}
	if f.Category != "" {
		c, err := sekisho.ParseCategory(f.Category)
		if err != nil {
			return f, fail(http.StatusBadRequest, "category")
		}
		f.category = c
	}
	return f, nil
}

// A liveAccess is one statement on the live page.
type liveAccess struct {
	Session     uint64       `json:"session"`
	Number      uint64       `json:"number"`
	Entry       uint64       `json:"entry"`
	Time        sekisho.Time `json:"time"`
	Principal   string       `json:"principal"`
	Endpoint    string       `json:"endpoint"`
	Verified    bool         `json:"verified"`
	Application string       `json:"application,omitempty"`
	Purpose     string       `json:"purpose,omitempty"`
	Verb        string       `json:"verb,omitempty"`
	Door        string       `json:"door"`
	Categories  []string     `json:"categories"`
	Customers   uint64       `json:"customers"`
	Rows        uint64       `json:"rows"`
	Reach       uint64       `json:"reach,omitempty"`
	Class       string       `json:"class,omitempty"`
	Outcome     string       `json:"outcome"`
	SQLState    string       `json:"sqlstate,omitempty"`
	Reason      string       `json:"reason,omitempty"`
	Tables      []string     `json:"tables"`
}

type livePage struct {
	Filter   liveFilter   `json:"filter"`
	Accesses []liveAccess `json:"accesses"` // newest first
	Chart    *minuteChart `json:"per_minute"`
	Cursor   uint64       `json:"cursor"`
	Open     uint64       `json:"sessions_open"`
	Any      []string     `json:"-"` // every category, for the filter
	Query    string       `json:"-"`
	Partial  bool         `json:"partial"` // there were more than the page shows
	Alarm    *alarmLine   `json:"alert,omitempty"`
}

// alarmLine is the latest alert, for a day.
type alarmLine struct {
	Entry     uint64       `json:"entry"`
	Time      sekisho.Time `json:"time"`
	Detector  string       `json:"detector"`
	Endpoint  string       `json:"endpoint"`
	Principal string       `json:"principal,omitempty"`
}

func (*livePage) file() string { return "live" }

// minuteChart is the last hour, oldest first, up to and with the minute Until.
type minuteChart struct {
	Until   sekisho.Time `json:"until"`
	Minutes []minuteBar  `json:"minutes"`
}

type minuteBar struct {
	Time       sekisho.Time `json:"time"`
	Customers  uint64       `json:"customers"`
	Statements uint64       `json:"statements"`
	AnyRow     uint64       `json:"any_row"`
	Refused    uint64       `json:"refused"`
}

func (c *Console) live(v *visit) (page, error) {
	filter, err := readLiveFilter(v.r)
	if err != nil {
		return nil, err
	}
	p := c.liveSince(filter, 0)
	for _, one := range sekisho.AllCategories() {
		p.Any = append(p.Any, one.Names()...)
	}
	p.Query = v.r.URL.RawQuery
	return p, nil
}

// liveSince is what changed after the cursor, newest first.
func (c *Console) liveSince(f liveFilter, cursor uint64) *livePage {
	rows, alarm, p := c.cfg.Live.since(cursor, c.cfg.Now())
	p.Filter = f
	if alarm != nil {
		p.Alarm = &alarmLine{alarm.seq, alarm.at, alarm.body.Detector, alarm.body.Endpoint, c.named("staff", alarm.body.Principal)}
	}
	for i := range rows {
		a := c.liveAccess(&rows[i])
		if !f.match(&a, rows[i].shape) {
			continue
		}
		if len(p.Accesses) == livePage1 {
			p.Partial = true
			break
		}
		p.Accesses = append(p.Accesses, a)
	}
	return p
}

func (f *liveFilter) match(a *liveAccess, s *sekisho.Shape) bool {
	return (f.Endpoint == "" || strings.Contains(a.Endpoint, f.Endpoint)) &&
		(f.Principal == "" || strings.Contains(a.Principal, f.Principal)) &&
		(f.category == 0 || s != nil && s.Categories&f.category != 0)
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

func (c *Console) liveAccess(r *liveRow) liveAccess {
	a := liveAccess{Session: r.key.session, Number: r.key.number, Entry: r.first, Time: r.at, Customers: r.customers,
		Rows: r.rows, Outcome: r.outcome, SQLState: r.sqlState, Reason: r.reason, Tables: r.tables, Reach: r.reach,
		Purpose: c.named("purpose", r.purpose)}
	if a.Outcome == "" {
		a.Outcome = "open"
	}
	if r.class != 0 {
		a.Class = r.class.String()
	}
	if r.session != nil {
		a.Principal = c.named("staff", r.session.Principal)
		a.Endpoint, a.Verified, a.Door = r.session.Endpoint, r.session.Verified, r.session.Door.String()
		a.Application = c.named("application", r.session.Application)
	}
	if r.shape != nil {
		a.Verb, a.Categories = r.shape.Verb.String(), r.shape.Categories.Names()
	}
	return a
}

// named is the key behind an ordinal, or its number if it was erased.
func (c *Console) named(space string, ord uint32) string {
	if ord == 0 {
		return ""
	}
	if key, ok := c.cfg.Vault.Space(space).Key(ord); ok {
		return key
	}
	return fmt.Sprintf("#%d", ord)
}

// liveEvents streams what changes on the live page: the rows in the visitor's
// language, ready to be put into the table, and the chart. A browser that
// cannot keep up gets fewer, larger events, and after ten seconds without
// reading none: it asks again by itself.
func (c *Console) liveEvents(v *visit) (page, error) {
	filter, err := readLiveFilter(v.r)
	if err != nil {
		return nil, err
	}
	var cursor uint64
	if _, err := fmt.Sscan(v.r.URL.Query().Get("cursor"), &cursor); err != nil {
		cursor = c.cfg.Live.cursor()
	}
	if last := v.r.Header.Get("Last-Event-ID"); last != "" {
		fmt.Sscan(last, &cursor)
	}
	if cursor > c.cfg.Live.cursor() { // of an earlier process
		cursor = 0
	}
	if !c.streams.enter() {
		return nil, fail(http.StatusServiceUnavailable, "streams")
	}
	defer c.streams.leave()

	v.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	v.w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(v.w)
	out.SetReadDeadline(time.Time{})
	send := func(event string, id uint64, data any) error {
		raw, err := json.Marshal(data)
		if err != nil {
			return err
		}
		out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(v.w, "event: %s\nid: %d\ndata: %s\n\n", event, id, raw); err != nil {
			return err
		}
		return out.Flush()
	}
	if err := send("hello", cursor, nil); err != nil {
		return nil, errDone
	}
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for {
		wait := c.cfg.Live.after(cursor)
		select {
		case <-v.r.Context().Done():
			return nil, errDone
		case <-c.closing:
			return nil, errDone
		case <-v.who.ended:
			send("ended", cursor, nil)
			return nil, errDone
		case <-beat.C:
			if v.who.over(c.cfg.Now()) {
				send("ended", cursor, nil)
				return nil, errDone
			}
			if err := send("beat", cursor, nil); err != nil {
				return nil, errDone
			}
			continue
		case <-wait:
		}
		p := c.liveSince(filter, cursor)
		cursor = p.Cursor
		data, err := c.liveFragment(v, p)
		if err != nil {
			return nil, err
		}
		if err := send("accesses", cursor, data); err != nil {
			return nil, errDone
		}
		// Bursts are one event: whatever comes within a batch waits for its end.
		select {
		case <-v.r.Context().Done():
			return nil, errDone
		case <-time.After(liveBatch):
		}
	}
}

// fragment is what the page's script puts into place.
type fragment struct {
	Rows  string `json:"rows"`
	Chart string `json:"chart"`
	Alarm string `json:"alert"`
}

func (c *Console) liveFragment(v *visit, p *livePage) (*fragment, error) {
	var rows, chart, alarm bytes.Buffer
	bits := c.presses[v.Lang].bits
	if err := bits.ExecuteTemplate(&rows, "access-rows", p.Accesses); err != nil {
		return nil, fmt.Errorf("writing the live page's rows: %w", err)
	}
	if err := bits.ExecuteTemplate(&chart, "minute-chart", p.Chart); err != nil {
		return nil, fmt.Errorf("writing the live page's chart: %w", err)
	}
	if err := bits.ExecuteTemplate(&alarm, "alarm", p.Alarm); err != nil {
		return nil, fmt.Errorf("writing the live page's alert: %w", err)
	}
	return &fragment{Rows: rows.String(), Chart: chart.String(), Alarm: alarm.String()}, nil
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

// turnstile bounds how many streams are open.
type turnstile struct {
	mu sync.Mutex
	in int
}

const maxStreams = 200

func (t *turnstile) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.in >= maxStreams {
		return false
	}
	t.in++
	return true
}

func (t *turnstile) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.in--
}

func (s *session) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.seen) > idleLimit || now.Sub(s.opened) > longestStay
}
