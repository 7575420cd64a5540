package trace

import (
	"cmp"
	"slices"

	"sekisho"
)

// Access is one statement's effect on customers' data, with the facts of its
// session: a line of a page.
type Access struct {
	ID          string             `json:"id"`  // of its first entry
	Seq         uint64             `json:"seq"` // of its first entry
	At          sekisho.Time       `json:"at"`
	Session     uint64             `json:"session"`
	Number      uint64             `json:"number"`
	Endpoint    string             `json:"endpoint"`
	Verified    bool               `json:"verified"`
	Principal   uint32             `json:"principal"`         // ordinal in "staff"
	Role        string             `json:"role"`              //
	Through     string             `json:"through,omitempty"` // where the program runs that they were behind
	Program     uint32             `json:"program,omitempty"` // its principal, an ordinal in "staff"
	Lost        bool               `json:"lost,omitempty"`    // at which terminal they were is not known
	Application uint32             `json:"application"`       // ordinal in "application"
	Door        sekisho.Door       `json:"door"`
	Purpose     uint32             `json:"purpose"`   // ordinal in "purpose"
	Statement   uint32             `json:"statement"` // ordinal in "statement"
	Verb        sekisho.Verb       `json:"verb"`
	Class       sekisho.Class      `json:"class"`
	Space       string             `json:"space"`
	Tables      []string           `json:"tables"`
	Columns     []string           `json:"columns"`
	Categories  sekisho.Categories `json:"categories"`
	Customers   uint64             `json:"customers"` // distinct within each chunk, added up over the chunks
	Rows        uint64             `json:"rows"`
	Reach       uint64             `json:"reach"`   // with AnyRow
	Open        bool               `json:"open"`    // more may follow
	Outcome     sekisho.Outcome    `json:"outcome"` // 0 while open
}

// facts fills in what a session and a shape say.
func (t *Trace) facts(session, shape uint32) Access {
	s, h := &t.sessions[session], t.shapes[shape].body
	a := Access{
		Session: s.seq, Endpoint: s.end.name, Verified: s.body.Verified, Principal: s.body.Principal, Role: s.body.Role,
		Application: s.body.Application, Door: s.body.Door, Statement: h.Statement, Verb: h.Verb, Space: h.Space,
		Tables: h.Tables, Columns: h.Columns, Categories: h.Categories,
	}
	if s.through != nil {
		a.Through, a.Program, a.Lost = s.through.name, s.program, s.lost
	}
	return a
}

// WhoRead gives the accesses that name a customer, the newest first, no more
// than limit (0: all). Each is one entry, that is one chunk of its statement.
// Any-row accesses, which may have read anybody, are not among them.
func (t *Trace) WhoRead(space string, ord uint32, limit int) []Access {
	var pages []*page
	for _, name := range t.names {
		for _, p := range t.endpoints[name].pages {
			if p.space == space && (p.set == nil || p.set.has(ord)) {
				pages = append(pages, p)
			}
		}
	}
	slices.SortStableFunc(pages, func(a, b *page) int { return cmp.Compare(b.lastSeq, a.lastSeq) })
	newest := func(a, b Access) int { return cmp.Compare(b.Seq, a.Seq) }
	found := []Access{}
	for _, p := range pages {
		if limit > 0 && len(found) >= limit && found[limit-1].Seq > p.lastSeq {
			break
		}
		p.each(func(r *row, customers []extent) bool {
			if contains(customers, ord) {
				a := t.facts(r.session, r.shape)
				a.ID, a.Seq, a.At, a.Number = t.id(r.seq).String(), r.seq, r.at, uint64(r.number)
				a.Purpose, a.Class = r.purpose, r.class
				for _, e := range customers {
					a.Customers += uint64(e.n)
				}
				found = append(found, a)
			}
			return true
		})
		slices.SortFunc(found, newest)
		if limit > 0 && len(found) > limit {
			found = found[:limit]
		}
	}
	return found
}

func contains(ext []extent, ord uint32) bool {
	i, found := slices.BinarySearchFunc(ext, ord, func(e extent, o uint32) int { return cmp.Compare(e.start, o) })
	return found || i > 0 && ord-ext[i-1].start < ext[i-1].n
}

// has tells whether a set holds a customer.
func (s *set) has(ord uint32) bool {
	for i := range s.runs {
		if s.runs[i].start > ord {
			break
		}
		if ord-s.runs[i].start < s.runs[i].n {
			return true
		}
	}
	var subjects, slots [blockSize]uint32
	i, _ := slices.BinarySearch(s.heads, ord)
	for i = max(i-1, 0); i < len(s.heads) && s.heads[i] <= ord; i++ {
		n := s.unpack(i, &subjects, &slots)
		if slices.Contains(subjects[:n], ord) {
			return true
		}
	}
	return false
}

// Day sums up a day of an endpoint or a principal.
type Day struct {
	Start      sekisho.Time       `json:"start"`
	Customers  uint64             `json:"customers"` // distinct, over the space asked about
	Accesses   uint64             `json:"accesses"`  // entries
	AnyRow     uint64             `json:"any_row"`   // those of them that may have read anybody
	Categories sekisho.Categories `json:"categories"`
	Endpoints  []string           `json:"endpoints"`
	Principals []uint32           `json:"principals"`
}

// ByEndpoint sums up an endpoint's accesses to a space, day by day in a time
// zone offset seconds east of UTC, the latest first.
func (t *Trace) ByEndpoint(space, endpoint string, offset int) []Day {
	end := t.endpoints[endpoint]
	if end == nil {
		return nil
	}
	return t.days(space, []*terminal{end}, 0, offset)
}

// ByPrincipal sums up a principal's accesses in the same way.
func (t *Trace) ByPrincipal(space string, principal uint32, offset int) []Day {
	seen := map[*terminal]bool{}
	var ends []*terminal
	for i := range t.sessions {
		if s := &t.sessions[i]; (s.body.Principal == principal || s.program == principal) && !seen[s.end] {
			seen[s.end] = true
			ends = append(ends, s.end)
		}
	}
	return t.days(space, ends, principal, offset)
}

func (t *Trace) days(space string, ends []*terminal, principal uint32, offset int) []Day {
	type sums struct {
		Day
		ext        []extent
		endpoints  map[string]bool
		principals map[uint32]bool
	}
	by := map[int64]*sums{}
	shift := int64(offset) * 1e6
	for _, end := range ends {
		pages := end.pages
		if principal == 0 { // an endpoint: also what was done through it
			pages = slices.Concat(pages, end.passed)
		}
		for _, p := range pages {
			if p.space != space {
				continue
			}
			p.each(func(r *row, customers []extent) bool {
				of := &t.sessions[r.session]
				who := of.body.Principal
				if principal != 0 && who != principal && of.program != principal {
					return true
				}
				day := (int64(r.at) + shift) / microsPerDay
				d := by[day]
				if d == nil {
					d = &sums{endpoints: map[string]bool{}, principals: map[uint32]bool{}}
					d.Start = sekisho.Time(day*microsPerDay - shift)
					by[day] = d
				}
				d.Accesses++
				if r.class == sekisho.AnyRow {
					d.AnyRow++
				}
				d.Categories |= t.shapes[r.shape].body.Categories
				d.ext = append(d.ext, customers...)
				d.endpoints[of.end.name] = true
				d.principals[who] = true
				return true
			})
		}
	}
	list := make([]Day, 0, len(by))
	for _, d := range by {
		for _, e := range mergeExtents(d.ext) {
			d.Customers += uint64(e.n)
		}
		d.Endpoints = sortedKeys(d.endpoints)
		for p := range d.principals {
			d.Principals = append(d.Principals, p)
		}
		slices.Sort(d.Principals)
		list = append(list, d.Day)
	}
	slices.SortFunc(list, func(a, b Day) int { return cmp.Compare(b.Start, a.Start) })
	return list
}
