package trace

import (
	"cmp"
	"slices"

	"sekisho"
)

const (
	microsPerHour = int64(3600e6)
	microsPerDay  = 24 * microsPerHour
)

// A page is what one endpoint read of one space, or wrote to it, on one day (UTC). Its rows say
// everything, access by access. Once the day is over it also has a set: each
// customer once for each slot, packed and in order of ordinal, which is what a
// question about a long time reads. The set follows from the rows alone.
type page struct {
	end         *terminal
	through     *terminal // of what was done through a program: where that runs; else nil
	lost        bool      // through a program that did not say at which terminal
	space       string
	writes      bool // see onlyWrites; in no number
	day         int64
	first, last sekisho.Time // of the rows
	lastSeq     uint64
	rows        rows
	set         *set // nil while the page is open
}

// row is one Access entry. Its customers are one extent [start, start+n), or,
// with many set, n extents from index start of the page's list.
type row struct {
	at      sekisho.Time
	seq     uint64
	number  uint32
	session uint32
	shape   uint32
	purpose uint32
	least   uint32
	start   uint32
	n       uint32
	class   sekisho.Class
	many    bool
	gone    bool // never released
}

// extent is the customers [start, start+n).
type extent struct{ start, n uint32 }

// rows holds the accesses of a page: as they are while the page is open, and
// as varints once it is sealed.
type rows struct {
	list   []row
	ext    []extent
	packed *packedRows
}

// add keeps a row.
func (p *page) add(r row, subjects []uint32) {
	if p.rows.packed != nil { // a row for a day that was thought over
		p.unseal()
	}
	if p.lastSeq == 0 {
		p.first = r.at
	}
	p.last, p.lastSeq = r.at, r.seq
	from := len(p.rows.ext)
	p.rows.ext = appendExtents(p.rows.ext, subjects)
	switch n := len(p.rows.ext) - from; n {
	case 0:
	case 1:
		r.start, r.n = p.rows.ext[from].start, p.rows.ext[from].n
		p.rows.ext = p.rows.ext[:from]
	default:
		r.start, r.n, r.many = uint32(from), uint32(n), true
	}
	p.rows.list = append(p.rows.list, r)
}

// appendExtents appends the distinct subjects as extents in ascending order.
func appendExtents(ext []extent, subjects []uint32) []extent {
	if !slices.IsSorted(subjects) {
		subjects = slices.Clone(subjects)
		slices.Sort(subjects)
	}
	from := len(ext)
	for _, s := range subjects {
		if n := len(ext); n > from {
			switch e := &ext[n-1]; {
			case s < e.start+e.n:
				continue
			case s == e.start+e.n:
				e.n++
				continue
			}
		}
		ext = append(ext, extent{s, 1})
	}
	return ext
}

// each gives every released row in order, until f returns false. f must not
// keep what it is given.
func (p *page) each(f func(r *row, customers []extent) bool) {
	one := make([]extent, 1)
	visit := func(r *row) bool {
		switch {
		case r.gone:
			return true
		case r.many:
			return f(r, p.rows.ext[r.start:r.start+r.n])
		case r.n == 0:
			return f(r, nil)
		}
		one[0] = extent{r.start, r.n}
		return f(r, one)
	}
	if k := p.rows.packed; k != nil {
		k.each(visit)
		return
	}
	for i := range p.rows.list {
		if !visit(&p.rows.list[i]) {
			return
		}
	}
}

// drop takes out the rows of an access that come after released. It tells
// whether it saw an earlier statement of that session, before which there can
// be nothing of this one.
func (p *page) drop(t *Trace, session, number uint32, opened, released uint64) (older bool) {
	if k := p.rows.packed; k != nil {
		found := false
		k.each(func(r *row) bool {
			if r.session == session {
				older = older || r.number < number
				found = found || r.number == number && r.seq > released && !r.gone
			}
			return true
		})
		if !found {
			return older
		}
		p.unseal()
		defer p.seal(t)
	}
	for i := len(p.rows.list) - 1; i >= 0; i-- {
		r := &p.rows.list[i]
		if r.seq < opened {
			return true
		}
		if r.session != session {
			continue
		}
		if r.number < number {
			return true
		}
		if r.number == number && r.seq > released {
			r.gone = true
		}
	}
	return false
}

// seal packs the rows and makes the set.
func (p *page) seal(t *Trace) {
	p.set = p.newSet(t)
	p.rows.packed = packRows(p.rows.list)
	p.rows.list = nil
	p.rows.ext = slices.Clip(p.rows.ext)
}

func (p *page) unseal() {
	p.rows.list = p.rows.packed.unpack()
	p.rows.packed, p.set = nil, nil
}

// slot is what the accesses of a page that share principal, hour and
// categories have in common.
type slot struct {
	principal   uint32
	hour        uint8
	categories  sekisho.Categories
	least       uint32 // the smallest above 0, or 0
	first, last sekisho.Time
	evidence    evidence
}

// evidence counts entries.
type evidence struct {
	count       uint64
	first, last uint64 // sequence numbers
}

func (e *evidence) add(seq uint64) { e.merge(evidence{1, seq, seq}) }

func (e *evidence) merge(o evidence) {
	switch {
	case o.count == 0:
	case e.count == 0:
		*e = o
	default:
		e.count += o.count
		e.first, e.last = min(e.first, o.first), max(e.last, o.last)
	}
}

// minRun is how many neighbouring customers are kept as a run, rather than one
// by one.
const minRun = 12

// set is the customers of a page, each once for each slot: runs of neighbours,
// and the others packed in blocks of 64 in ascending order.
type set struct {
	slots  []slot
	runs   []run // by start
	n      int   // of the packed ones
	heads  []uint32
	metas  []blockMeta
	packed []byte
	bits   uint8 // that one slot number takes
}

type run struct {
	extent
	slot uint32
}

// blockMeta says where the fields of a block stand: for each customer the gap
// from the one before (0 from the head), width bits, and below it the slot,
// unless all of the block is in one.
type blockMeta struct {
	word  uint32 // of 8 bytes
	slot  uint32 // of the first
	width uint8
	one   bool
}

func (p *page) newSet(t *Trace) *set {
	type key struct {
		principal  uint32
		hour       uint8
		categories sekisho.Categories
	}
	s := &set{}
	index := map[key]uint32{}
	var by [][]extent
	p.each(func(r *row, customers []extent) bool {
		k := key{t.sessions[r.session].body.Principal, uint8(int64(r.at) / microsPerHour % 24), t.shapes[r.shape].body.Categories}
		i, ok := index[k]
		if !ok {
			i = uint32(len(s.slots))
			index[k] = i
			s.slots = append(s.slots, slot{principal: k.principal, hour: k.hour, categories: k.categories, first: r.at})
			by = append(by, nil)
		}
		sl := &s.slots[i]
		sl.last = r.at
		sl.evidence.add(r.seq)
		if r.least > 0 && (sl.least == 0 || r.least < sl.least) {
			sl.least = r.least
		}
		by[i] = append(by[i], customers...)
		return true
	})
	// A posting is subject<<32 | slot, so that sorting them is sorting numbers.
	var posts []uint64
	for i, ext := range by {
		for _, e := range mergeExtents(ext) {
			if e.n >= minRun {
				s.runs = append(s.runs, run{e, uint32(i)})
				continue
			}
			for o := range e.n {
				posts = append(posts, uint64(e.start+o)<<32|uint64(i))
			}
		}
	}
	slices.SortFunc(s.runs, func(a, b run) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.slot, b.slot))
	})
	s.runs = slices.Clip(s.runs)
	slices.Sort(posts)
	s.pack(posts)
	return s
}

// mergeExtents sorts extents in place and joins those that touch or overlap.
func mergeExtents(ext []extent) []extent {
	if len(ext) == 0 {
		return nil
	}
	slices.SortFunc(ext, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	out := ext[:1]
	for _, e := range ext[1:] {
		l := &out[len(out)-1]
		if uint64(e.start) > uint64(l.start)+uint64(l.n) {
			out = append(out, e)
			continue
		}
		l.n = uint32(max(uint64(l.start)+uint64(l.n), uint64(e.start)+uint64(e.n)) - uint64(l.start))
	}
	return out
}
