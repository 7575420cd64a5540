// Package trace knows who touched whom: a fold of the ledger into sets of
// customers by endpoint, principal, category and hour, and the four numbers of
// an incident with their proof.
//
// An access counts from the entry's time. It counts whole until an
// AccessClosed narrows it, so that every answer errs towards too many.
package trace

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"sekisho"
	"sekisho/view"
)

// Trace is the fold. Apply is for one goroutine, with no reader beside it;
// readers may be many. A view.Set gives both.
type Trace struct {
	last     uint64       // sequence number of the last entry applied
	lastTime sekisho.Time // its time

	epochs    []epoch
	sessions  []session
	sessionOf map[uint64]uint32 // SessionOpened's sequence number → index
	behind    *view.Behind
	callerOf  map[*view.Caller]uint32 // of those who are behind a program
	lost      []*page                 // of programs that did not say at which terminal
	lostAny   []anyRowAt
	shapes    []shape
	shapeOf   map[uint64]uint32
	endpoints map[string]*terminal
	names     []string // of endpoints, in the order of their first entry
	spaces    map[string]*space
	open      []*page // pages of the day that is being written, and earlier ones that got late rows
	openDay   int64

	spare [][]row // room of sealed pages, for new ones

	unnamed []egress // connections whose source has no endpoint's name
	sensors []sensorRead
	alerts  []alert
	files   []file

	// What each incident asks about, as last stated.
	incidents map[uint64]*sekisho.IncidentRevised

	dims dimCache

	accumulators sync.Pool // of *[]uint64, cleared: see counting
}

type epoch struct {
	gate     uint32
	number   uint64
	firstSeq uint64
	from, to sekisho.Time // to: of its last entry so far
}

type session struct {
	seq  uint64
	at   sekisho.Time
	end  *terminal
	body *sekisho.SessionOpened
	// Behind a program: body and end are those of who is behind it.
	through *terminal // where the program runs; else nil
	program uint32    // its principal
	lost    bool      // at which terminal is not known, so that end is through
}

type shape struct {
	seq  uint64
	body *sekisho.Shape
}

// terminal is an endpoint, or an unverified address.
type terminal struct {
	name    string
	index   uint32
	unknown bool // nobody proved which terminal it is
	used    bool // a session came from it; false for one that only a sensor saw
	client  bool // a client of the gate came from it, or a sensor saw it
	pages   []*page
	anyRow  []anyRow
	egress  []egress
	// What programs did here for others, who were at terminals of their own.
	passed    []*page
	passedAny []anyRowAt
}

// anyRowAt is the n-th any-row access of a terminal.
type anyRowAt struct {
	end *terminal
	n   int
}

// space is what is known of everybody in a vault space.
type space struct {
	name     string
	assigned uint32 // highest ordinal seen
	roster   *sekisho.RosterRead
}

// anyRow is an access that may have read anybody in its tables.
type anyRow struct {
	seq    uint64
	at     sekisho.Time
	shape  uint32
	number uint64
	least  uint32
	sess   uint32
	reach  uint64
	gone   bool
}

type egress struct {
	seq        uint64
	start, end sekisho.Time
	out        uint64
	target     netip.Addr
	partial    bool
}

type sensorRead struct {
	seq  uint64
	body *sekisho.SensorRead
}

type alert struct {
	seq  uint64
	body *sekisho.Alert
}

type file struct {
	seq  uint64
	body *sekisho.FileMatched
}

// New is an empty trace.
func New() *Trace {
	return &Trace{
		sessionOf: map[uint64]uint32{},
		shapeOf:   map[uint64]uint32{},
		endpoints: map[string]*terminal{},
		spaces:    map[string]*space{},
		incidents: map[uint64]*sekisho.IncidentRevised{},
		behind:    view.NewBehind(),
		callerOf:  map[*view.Caller]uint32{},
		openDay:   -1,
	}
}

// Name is the view's.
func (t *Trace) Name() string { return "trace" }

// Through is the sequence number of the last entry that the answers count.
func (t *Trace) Through() uint64 { return t.last }

// LastTime is the time of that entry.
func (t *Trace) LastTime() sekisho.Time { return t.lastTime }

// Apply folds one entry.
func (t *Trace) Apply(e *sekisho.Entry) {
	t.last, t.lastTime = e.ID.Seq, e.Time
	if day := int64(e.Time) / microsPerDay; day != t.openDay {
		t.sealBefore(day)
		t.openDay = day
	}
	if _, next := e.Body.(*sekisho.LedgerOpened); !next && len(t.epochs) > 0 {
		t.epochs[len(t.epochs)-1].to = e.Time
	}
	t.behind.Apply(e)
	switch b := e.Body.(type) {
	case *sekisho.Access:
		t.access(e, b)
	case *sekisho.SessionOpened:
		t.sessionOf[e.ID.Seq] = uint32(len(t.sessions))
		end := t.endpoint(b.Endpoint)
		end.used = true
		end.client = end.client || b.Door == sekisho.DoorGate
		t.sessions = append(t.sessions, session{seq: e.ID.Seq, at: e.Time, end: end, body: b})
	case *sekisho.Shape:
		t.shapeOf[e.ID.Seq] = uint32(len(t.shapes))
		t.shapes = append(t.shapes, shape{e.ID.Seq, b})
		t.space(b.Space)
	case *sekisho.AccessClosed:
		t.narrow(b)
	case *sekisho.Egress:
		g := egress{e.ID.Seq, b.Start, b.End, b.Out, b.Target, b.Partial}
		if b.Endpoint == "" {
			t.unnamed = append(t.unnamed, g)
		} else {
			end := t.endpoint(b.Endpoint)
			end.client = true
			end.egress = append(end.egress, g)
		}
	case *sekisho.SensorRead:
		t.sensors = append(t.sensors, sensorRead{e.ID.Seq, b})
	case *sekisho.LedgerOpened:
		clear(t.callerOf)
		t.epochs = append(t.epochs, epoch{e.ID.Gate, e.ID.Epoch, e.ID.Seq, e.Time, e.Time})
	case *sekisho.Alert:
		t.alerts = append(t.alerts, alert{e.ID.Seq, b})
		if b.Detector == "outside" || b.Detector == "decoy_mail" || reported(b) {
			t.endpoint(b.Endpoint) // no session speaks of it
		}
	case *sekisho.FileMatched:
		t.files = append(t.files, file{e.ID.Seq, b})
	case *sekisho.IncidentOpened:
		t.incidents[e.ID.Seq] = &sekisho.IncidentRevised{Incident: e.ID.Seq, Endpoints: b.Endpoints, Until: math.MaxInt64}
	case *sekisho.IncidentRevised:
		t.incidents[b.Incident] = b
	case *sekisho.RosterRead:
		t.space(b.Space).roster = b
	case *sekisho.Assigned:
		s := t.space(b.Space)
		s.assigned = max(s.assigned, b.First+b.Count-1)
	}
}

func (t *Trace) endpoint(name string) *terminal {
	end := t.endpoints[name]
	if end == nil {
		end = &terminal{name: name, index: uint32(len(t.names)), unknown: name == "" || strings.HasPrefix(name, "unverified@")}
		t.endpoints[name] = end
		t.names = append(t.names, name)
	}
	return end
}

// known is what is known of a space; nothing, if no entry has named it.
func (t *Trace) known(name string) *space {
	if s := t.spaces[name]; s != nil {
		return s
	}
	return &space{name: name}
}

func (t *Trace) space(name string) *space {
	s := t.spaces[name]
	if s == nil {
		s = &space{name: name}
		t.spaces[name] = s
	}
	return s
}

// access folds one chunk. A ledger never names a session or shape that it does
// not hold; should one do so, the access is kept under the endpoint "", which
// is an unknown one, rather than dropped.
func (t *Trace) access(e *sekisho.Entry, b *sekisho.Access) {
	si, ok := t.sessionOf[b.Session]
	if !ok {
		si = uint32(len(t.sessions))
		t.sessionOf[b.Session] = si
		t.sessions = append(t.sessions, session{seq: b.Session, at: e.Time, end: t.endpoint(""), body: &sekisho.SessionOpened{}})
	}
	if ok {
		si = t.caller(si, b.Session, b.Number)
	}
	hi, ok := t.shapeOf[b.Shape]
	if !ok {
		hi = uint32(len(t.shapes))
		t.shapeOf[b.Shape] = hi
		t.shapes = append(t.shapes, shape{b.Shape, &sekisho.Shape{Verb: sekisho.Other, Categories: sekisho.Unclassified}})
	}
	s, name := &t.sessions[si], t.shapes[hi].body.Space
	writes := onlyWrites(b.Class, t.shapes[hi].body)
	if (b.Class == sekisho.AnyRow || b.Reach > 0) && !writes { // all of a table, unread, are as many
		s.end.anyRow = append(s.end.anyRow, anyRow{e.ID.Seq, e.Time, hi, b.Number, b.Least, si, b.Reach, false})
		switch at := (anyRowAt{s.end, len(s.end.anyRow) - 1}); {
		case s.lost:
			t.lostAny = append(t.lostAny, at)
		case s.through != nil && s.through != s.end:
			s.through.passedAny = append(s.through.passedAny, at)
		}
	}
	p := t.page(s, name, int64(e.Time)/microsPerDay, writes)
	p.add(row{at: e.Time, seq: e.ID.Seq, number: uint32(b.Number), session: si, shape: hi,
		purpose: b.Purpose, least: b.Least, class: b.Class}, b.Subjects)
	if len(b.Subjects) > 0 {
		sp := t.space(name)
		sp.assigned = max(sp.assigned, slices.Max(b.Subjects))
	}
}

// caller is who made a statement: the session itself, or whoever is behind it.
func (t *Trace) caller(own uint32, opened, number uint64) uint32 {
	c := t.behind.Of(opened, number)
	if c == nil || c.Through == nil {
		return own
	}
	i, ok := t.callerOf[c]
	if !ok {
		i = uint32(len(t.sessions))
		t.callerOf[c] = i
		end, through := t.endpoint(c.Endpoint), t.endpoint(c.Through.Endpoint)
		end.used, end.client = true, true
		of := &t.sessions[own]
		t.sessions = append(t.sessions, session{seq: of.seq, at: of.at, end: end, body: c.SessionOpened, through: through, program: c.Through.Principal, lost: c.Lost})
	}
	return i
}

// page finds the page of an endpoint's day, or begins it. What was done through
// a program has pages of its own.
func (t *Trace) page(s *session, space string, day int64, writes bool) *page {
	end := s.end
	for i := len(end.pages) - 1; i >= 0 && end.pages[i].day >= day; i-- {
		if p := end.pages[i]; p.day == day && p.space == space && p.through == s.through && p.lost == s.lost && p.writes == writes {
			return p
		}
	}
	p := &page{end: end, through: s.through, lost: s.lost, writes: writes, space: space, day: day}
	switch {
	case s.lost:
		t.lost = append(t.lost, p)
	case s.through != nil && s.through != end:
		s.through.passed = append(s.through.passed, p)
	}
	if n := len(t.spare); n > 0 {
		p.rows.list, t.spare = t.spare[n-1], t.spare[:n-1]
	}
	end.pages = append(end.pages, p)
	t.open = append(t.open, p)
	return p
}

// sealBefore packs every page of a day that is over.
func (t *Trace) sealBefore(day int64) {
	keep := t.open[:0]
	for _, p := range t.open {
		if p.day >= day {
			keep = append(keep, p)
			continue
		}
		if list := p.rows.list; cap(list) > 0 && cap(list) <= 1024 {
			t.spare = append(t.spare, list[:0])
		}
		p.seal(t)
	}
	clear(t.open[len(keep):])
	t.open = keep
}

// narrow drops the chunks of an access that never reached its client.
func (t *Trace) narrow(b *sekisho.AccessClosed) {
	si, ok := t.sessionOf[b.Session]
	if !ok {
		return
	}
	si = t.caller(si, b.Session, b.Number)
	s := &t.sessions[si]
	for i := len(s.end.anyRow) - 1; i >= 0 && s.end.anyRow[i].seq > s.seq; i-- {
		a := &s.end.anyRow[i]
		if a.sess == si && a.number == b.Number && a.seq > b.Released {
			a.gone = true
		}
	}
	// Statements of a session are numbered in order, so nothing of this access
	// lies on a day before that of an earlier one, nor before the session.
	stop := int64(s.at) / microsPerDay
	for i := len(s.end.pages) - 1; i >= 0 && s.end.pages[i].day >= stop; i-- {
		if s.end.pages[i].drop(t, si, uint32(b.Number), s.seq, b.Released) {
			stop = s.end.pages[i].day
		}
	}
}

// Endpoints lists every endpoint that a session came from or a sensor saw, by
// name.
func (t *Trace) Endpoints() []string {
	var names []string
	for _, n := range t.names {
		if n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// Terminals lists those of Endpoints from which somebody came to the gate, or
// which a sensor saw: not sekisho's own consoles.
func (t *Trace) Terminals() []string {
	return slices.DeleteFunc(t.Endpoints(), func(n string) bool { return !t.endpoints[n].client })
}

// Spaces lists the spaces whose customers were accessed, by name. Members of
// staff, whose pages are accesses too, are no customers.
func (t *Trace) Spaces() []string {
	seen := map[string]bool{}
	for _, s := range t.shapes {
		seen[s.body.Space] = true
	}
	delete(seen, "")
	delete(seen, "staff")
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Principals lists the ordinals in the space "staff" of everybody who ever
// opened a session, ascending.
func (t *Trace) Principals() []uint32 {
	var all []uint32
	for i := range t.sessions {
		if p := t.sessions[i].body.Principal; p != 0 {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// id names the entry seq, with the epoch that it was written in.
func (t *Trace) id(seq uint64) sekisho.ID {
	i, found := slices.BinarySearchFunc(t.epochs, seq, func(e epoch, seq uint64) int { return cmp.Compare(e.firstSeq, seq) })
	if !found {
		i--
	}
	if i < 0 {
		return sekisho.ID{Seq: seq}
	}
	return sekisho.ID{Gate: t.epochs[i].gate, Epoch: t.epochs[i].number, Seq: seq}
}

// dimCache holds the roster's dimensions in the form that the tally reads, for
// the last few days asked about.
type dimCache struct {
	mu   sync.Mutex
	list []*dims // newest last
}
