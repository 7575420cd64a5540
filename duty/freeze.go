package duty

import "sekisho"

// perEntry is how many members one PopulationFrozen holds: some 100 kB.
const perEntry = 20_000

// directoryHolds are the populations that the directory answers for.
func directoryHolds(name string) bool {
	switch name {
	case "people", "executives", "company", "department", "post":
		return true
	}
	return false
}

// Thawed are the populations of windows that have closed and are not frozen, as
// entries: who counted, how long each was there, and where. A directory that
// knows nobody freezes nothing. They are appended as one group, so that a crash
// leaves all parts or none.
func (b *Book) Thawed(now int64) (bodies []sekisho.Body) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since == 0 {
		return nil
	}
	seen := map[frozenKey]bool{}
	for _, d := range b.setup.Register.Duties() {
		if !directoryHolds(d.Population) {
			continue
		}
		for _, w := range b.calendar.between(d.Cadence.Window, b.since, now) {
			key := frozenKey{d.Population, w.From, w.Until}
			if now < w.Until || seen[key] || b.frozen[key] != nil {
				continue
			}
			seen[key] = true
			bodies = append(bodies, b.freeze(d.Population, w, now)...)
		}
	}
	return bodies
}

func (b *Book) freeze(name string, w Window, now int64) (bodies []sekisho.Body) {
	p := b.live(name, w, now)
	for first := 0; first < len(p.members); first += perEntry {
		last := min(first+perEntry, len(p.members))
		f := &sekisho.PopulationFrozen{Population: name, From: sekisho.Time(w.From), At: sekisho.Time(w.Until), More: last < len(p.members),
			Space: p.members[first].Unit.Space, Through: b.seq}
		for n := first; n < last; n++ {
			m := &p.members[n]
			f.Units, f.Present = append(f.Units, m.Unit.Ordinal), append(f.Present, uint64(p.present[n]))
			f.Companies, f.Departments = append(f.Companies, m.Company), append(f.Departments, m.Department)
			if m.Executive {
				f.Executives = append(f.Executives, m.Unit.Ordinal)
			}
		}
		bodies = append(bodies, f)
	}
	return bodies
}
