package trace

import "sekisho"

// Writes are accesses that show nothing: whose records were created, changed or
// destroyed. They are answered for beside the four numbers, which are about
// what left, and stand in pages of their own. What a write shows or tells is an
// access of its own, a read.

// onlyWrites: an access of this class and shape is a write and nothing else. An
// any-row write is one only if it says which columns it set or destroyed; else
// the gate could not tell what it is, and it may have shown anything.
func onlyWrites(class sekisho.Class, h *sekisho.Shape) bool {
	switch h.Verb {
	case sekisho.Insert, sekisho.Update, sekisho.Delete:
		return class == sekisho.Exact || len(h.Columns) > 0
	}
	return false
}

// written are the customers whose records were written from the asked endpoints
// in the window, by how many accesses, and how many more of these could have
// been about anybody.
func (t *Trace) written(q Question) (customers, accesses, anyRow uint64) {
	var all []extent
	for _, name := range q.Endpoints {
		for _, p := range t.endpoints[name].pages {
			if p.space != q.Space || !p.writes || p.first >= q.Until || p.last < q.Since {
				continue
			}
			p.each(func(r *row, of []extent) bool {
				switch {
				case r.at < q.Since || r.at >= q.Until:
				case r.class == sekisho.AnyRow:
					anyRow++
				case len(of) > 0:
					accesses++
					all = append(all, of...)
				}
				return true
			})
		}
	}
	for _, e := range mergeExtents(all) {
		customers += uint64(e.n)
	}
	return customers, accesses, anyRow
}
