package duty

import (
	"iter"

	"sekisho"
	"sekisho/directory"
)

// From is a directory's book as populations.
func From(book *directory.Book) Directory {
	return Directory{
		People: func(t int64) iter.Seq[Member] {
			return func(yield func(Member) bool) {
				at := sekisho.Time(t)
				company, department := nearest(book, "company", at), nearest(book, "department", at)
				for p := range book.PeopleAt(at) {
					m := Member{Unit: Unit{"staff", p.Staff}, Executive: p.Executive, Kind: p.Kind, From: int64(p.Joined), Until: int64(p.Left)}
					main := p.Main(at).Unit
					m.Company, m.Department = company(main), department(main)
					for post := range p.PostingsAt(at) {
						if c := company(post.Unit); c != 0 && c != m.Company {
							m.Also = append(m.Also, c)
						}
					}
					m.Away = away(book, p)
					if !yield(m) {
						return
					}
				}
			}
		},
		Units: func(kind string, t int64) iter.Seq[Member] {
			return func(yield func(Member) bool) {
				at := sekisho.Time(t)
				company := nearest(book, "company", at)
				for u := range book.UnitsAt(kind, at) {
					if !yield(Member{Unit: Unit{"unit", u.Unit}, Company: company(u.Unit), From: int64(u.Opened), Until: int64(u.Closed)}) {
						return
					}
				}
			}
		},
		Version: book.Seq,
	}
}

// nearest looks a unit's company or department up once: itself, or the nearest
// above.
func nearest(book *directory.Book, kind string, t sekisho.Time) func(uint32) uint32 {
	known := map[uint32]uint32{}
	return func(unit uint32) uint32 {
		if unit == 0 {
			return 0
		}
		found, ok := known[unit]
		if !ok {
			found = book.Above(unit, kind, t)
			known[unit] = found
		}
		return found
	}
}

// away is when somebody was on leave, as far as the directory says.
func away(book *directory.Book, p *directory.Person) (list []Span) {
	past := book.Past(p.Staff)
	for n, one := range past {
		if !one.Leave {
			continue
		}
		s := Span{int64(one.From), 1 << 62}
		if n+1 < len(past) {
			s.Until = int64(past[n+1].From)
		}
		list = append(list, s)
	}
	return merge(list)
}
