package trace

import "sekisho"

// Located says of how many accesses it is known at which terminal they were
// made. One whose terminal is not known counts in every worst case.
type Located struct {
	Accesses uint64 `json:"accesses"` // entries, at all endpoints
	Unknown  uint64 `json:"unknown"`  // from an unverified endpoint, or through a program that did not say
	Stated   uint64 `json:"stated"`   // known by a program's word alone
}

// Located counts the accesses to a space from since (inclusive) until until
// (exclusive).
func (t *Trace) Located(space string, since, until sekisho.Time) (of Located) {
	return t.terminals(Question{Space: space, Since: since, Until: until})
}

func (t *Trace) terminals(q Question) (of Located) {
	for _, name := range t.names {
		end := t.endpoints[name]
		for _, p := range end.pages {
			if p.space != q.Space || p.first >= q.Until || p.last < q.Since {
				continue
			}
			n, stated := p.count(t, q)
			of.Accesses += n
			switch {
			case p.lost || end.unknown || p.through != nil && p.through.unknown:
				of.Unknown += n
			case p.through != nil:
				of.Stated += stated
			}
		}
	}
	return of
}

// count counts the released rows of a page within the window, and those of them
// whose terminal nobody proved.
func (p *page) count(t *Trace, q Question) (n, stated uint64) {
	if p.set != nil && p.through == nil && p.first >= q.Since && p.last < q.Until {
		for i := range p.set.slots {
			n += p.set.slots[i].evidence.count
		}
		return n, 0
	}
	p.each(func(r *row, _ []extent) bool {
		if r.at >= q.Until {
			return false
		}
		if r.at >= q.Since {
			n++
			if !t.sessions[r.session].body.Verified {
				stated++
			}
		}
		return true
	})
	return n, stated
}
