package directory

import (
	"cmp"
	"iter"
	"slices"
	"sync"

	"sekisho"
)

// A Book is the directory of a ledger. It is a view: fold it from the first
// entry on. Its methods may be called from any goroutine, and beside Apply.
type Book struct {
	mu     sync.RWMutex
	people map[uint32]*past
	staff  []uint32 // those of people, ascending
	units  map[uint32]units
	order  []uint32 // those of units, ascending
	reads  map[uint64]string
	last   map[string]Read // the last read of each source
	seq    uint64
}

// A Read is a comparison with a source.
type Read struct {
	Seq  uint64
	Time sekisho.Time
	sekisho.DirectoryRead
}

// New makes an empty book.
func New() *Book {
	return &Book{people: map[uint32]*past{}, units: map[uint32]units{}, reads: map[uint64]string{}, last: map[string]Read{}}
}

// Name is the view's.
func (b *Book) Name() string { return "directory" }

// Apply folds one entry.
func (b *Book) Apply(e *sekisho.Entry) {
	switch body := e.Body.(type) {
	case *sekisho.DirectoryRead:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.reads[e.ID.Seq] = body.Source
		b.last[body.Source] = Read{e.ID.Seq, e.Time, *body}
		b.seq = e.ID.Seq
	case *sekisho.PersonChanged:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.person(e, body)
		b.seq = e.ID.Seq
	case *sekisho.UnitChanged:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.unit(e, body)
		b.seq = e.ID.Seq
	}
}

func (b *Book) person(e *sekisho.Entry, body *sekisho.PersonChanged) {
	p := &Person{Staff: body.Staff, Kind: body.Employed, Executive: body.Executive || body.Employed == "executive", Leave: body.Leave,
		Joined: body.Joined, Left: body.Left, Record: body.Record, Source: b.reads[body.Read],
		Action: body.Action, From: body.Effective, Seq: e.ID.Seq, Recorded: e.Time}
	for _, one := range body.Postings {
		p.Postings = append(p.Postings, Posting(one))
	}
	h := b.people[p.Staff]
	if h == nil {
		h = &past{}
		b.people[p.Staff] = h
		i, _ := slices.BinarySearch(b.staff, p.Staff)
		b.staff = slices.Insert(b.staff, i, p.Staff)
	}
	h.add(p)
}

func (b *Book) unit(e *sekisho.Entry, body *sekisho.UnitChanged) {
	u := &Unit{Unit: body.Unit, Kind: body.Is, Parent: body.Parent, Title: body.Title, Opened: body.Effective, Source: b.reads[body.Read],
		From: body.Effective, Seq: e.ID.Seq, Recorded: e.Time}
	h := b.units[u.Unit]
	if len(h) == 0 {
		i, _ := slices.BinarySearch(b.order, u.Unit)
		b.order = slices.Insert(b.order, i, u.Unit)
	}
	if before := h.at(u.From, 0); before != nil && before.Closed == 0 {
		u.Opened = before.Opened
	}
	if body.Action == "closed" {
		u.Closed = u.From
	}
	b.units[u.Unit] = h.add(u)
}

// Seq is the last entry that changed the directory.
func (b *Book) Seq() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.seq
}

// PeopleAt are the people who are of the group at t, by ordinal. They are those
// of the moment of the call: entries that come while one goes through them
// change nothing.
func (b *Book) PeopleAt(t sekisho.Time) iter.Seq[*Person] { return b.Known(t, 0) }

// Known is PeopleAt by what was recorded up to a moment; 0 is everything.
func (b *Book) Known(t, recorded sekisho.Time) iter.Seq[*Person] {
	return slices.Values(b.chosen(t, recorded, nil))
}

// PeopleWithin are the people who have a posting at t in a unit or in one below
// it, each once.
func (b *Book) PeopleWithin(unit uint32, t sekisho.Time) iter.Seq[*Person] {
	within := b.Within(unit, t)
	return slices.Values(b.chosen(t, 0, func(p *Person) bool {
		for one := range p.PostingsAt(t) {
			if within[one.Unit] || within[one.Post] {
				return true
			}
		}
		return false
	}))
}

func (b *Book) chosen(t, recorded sekisho.Time, wanted func(*Person) bool) []*Person {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]*Person, 0, len(b.staff))
	for _, staff := range b.staff {
		if p := b.people[staff].present(t, recorded); p != nil && (wanted == nil || wanted(p)) {
			list = append(list, p)
		}
	}
	return list
}

// Person is somebody at t; nil if they are not of the group then.
func (b *Book) Person(staff uint32, t sekisho.Time) *Person {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if h := b.people[staff]; h != nil {
		return h.present(t, 0)
	}
	return nil
}

// Everybody is everybody whom the directory ever knew, by ordinal.
func (b *Book) Everybody() []uint32 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Clone(b.staff)
}

// Last is what holds of somebody at t, or held last, or will first: also of
// those who are gone. It is nil if the directory never knew them.
func (b *Book) Last(staff uint32, t sekisho.Time) *Person {
	b.mu.RLock()
	defer b.mu.RUnlock()
	h := b.people[staff]
	if h == nil {
		return nil
	}
	if p := h.present(t, 0); p != nil {
		return p
	}
	p := h.at(t, 0)
	if p == nil {
		p = h.first(0)
	}
	one, all := *p, h.spells(0)
	s := all[len(all)-1]
	one.Joined, one.Left = s.stated(), s.left
	return &one
}

// Past is everything that was said of somebody, by the day from which it holds.
func (b *Book) Past(staff uint32) []*Person {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if h := b.people[staff]; h != nil {
		return slices.Clone(h.versions)
	}
	return nil
}

// Moves are who joined and who left from one moment on and before another, by
// ordinal. Somebody who did both, or came back, stands in both. Of whom nobody
// said when they joined, because they were there when their source was first
// read, did not join.
func (b *Book) Moves(from, until sekisho.Time) (joined, left []*Person) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	within := func(t sekisho.Time) bool { return t != 0 && from <= t && t < until }
	for _, staff := range b.staff {
		h := b.people[staff]
		var in, out bool
		for _, s := range h.spells(0) {
			in = in || !s.unstated && within(s.joined)
			out = out || within(s.left)
		}
		if in || out {
			p := h.at(until-1, 0)
			if p == nil {
				p = h.first(0)
			}
			if in {
				joined = append(joined, p)
			}
			if out {
				left = append(left, p)
			}
		}
	}
	return joined, left
}

// UnitsAt are the units of a kind that are there at t, by ordinal; of every
// kind if kind is "".
func (b *Book) UnitsAt(kind string, t sekisho.Time) iter.Seq[*Unit] {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var list []*Unit
	for _, o := range b.order {
		if u := b.units[o].at(t, 0); u != nil && u.Closed == 0 && (kind == "" || u.Kind == kind) {
			list = append(list, u)
		}
	}
	return slices.Values(list)
}

// Unit is what holds of a unit at t; nil if the directory does not know it
// then. One that was closed is given, with Closed set.
func (b *Book) Unit(unit uint32, t sekisho.Time) *Unit {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.units[unit].at(t, 0)
}

// Above is the nearest unit of a kind at t, from the unit itself upwards; 0 if
// there is none. So a department's company is Above(department, "company", t).
func (b *Book) Above(unit uint32, kind string, t sekisho.Time) uint32 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for range deepest {
		u := b.units[unit].at(t, 0)
		if u == nil {
			return 0
		}
		if u.Kind == kind {
			return unit
		}
		unit = u.Parent
	}
	return 0
}

// Within is a unit and everything below it at t, closed units too: who is still
// posted in one counts.
func (b *Book) Within(unit uint32, t sekisho.Time) map[uint32]bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	below := map[uint32][]uint32{}
	for _, o := range b.order {
		if u := b.units[o].at(t, 0); u != nil && u.Parent != 0 {
			below[u.Parent] = append(below[u.Parent], o)
		}
	}
	within := map[uint32]bool{unit: true}
	for queue := []uint32{unit}; len(queue) > 0; queue = queue[1:] {
		for _, o := range below[queue[0]] {
			if !within[o] {
				within[o] = true
				queue = append(queue, o)
			}
		}
	}
	return within
}

// Companies are the companies of a person's postings at t, each once, the main
// posting's first.
func (b *Book) Companies(p *Person, t sekisho.Time) []uint32 { return b.places(p, "company", t) }

// Departments are the departments of a person's postings at t, each once, the
// main posting's first.
func (b *Book) Departments(p *Person, t sekisho.Time) []uint32 {
	return b.places(p, "department", t)
}

func (b *Book) places(p *Person, kind string, t sekisho.Time) (list []uint32) {
	add := func(unit uint32) {
		if o := b.Above(unit, kind, t); o != 0 && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	add(p.Main(t).Unit)
	for one := range p.PostingsAt(t) {
		add(one.Unit)
	}
	return list
}

// Reads are the last comparison with each source, by the source's name.
func (b *Book) Reads() []Read {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var list []Read
	for _, r := range b.last {
		list = append(list, r)
	}
	slices.SortFunc(list, func(x, y Read) int { return cmp.Compare(x.Source, y.Source) })
	return list
}
