package duty

import (
	"cmp"
	"slices"
	"strings"

	"sekisho"
)

// A listing is what exists of one kind, from when until when.
type listing struct {
	members map[Unit]*Member
	changed uint64
}

// enlist says that something which duties count began to exist. It stands once,
// whoever says it.
func (b *Book) enlist(population string, m Member) {
	l := b.listed[population]
	if l == nil {
		l = &listing{members: map[Unit]*Member{}}
		b.listed[population] = l
	}
	if before := l.members[m.Unit]; before != nil && before.Until == 0 {
		m.From = min(before.From, m.From)
	}
	l.members[m.Unit] = &m
	l.changed = b.seq
}

// strike says that something ended.
func (b *Book) strike(population string, u Unit, at int64) {
	if l := b.listed[population]; l != nil && l.members[u] != nil {
		l.members[u].Until = at
		l.changed = b.seq
	}
}

func (b *Book) unitListed(x *sekisho.UnitListed) {
	u := Unit{x.Space, x.Unit}
	switch x.Action {
	case "listed":
		b.enlist(x.Population, Member{Unit: u, Company: x.Company, Owner: x.Owner, From: int64(x.From)})
	case "struck":
		b.strike(x.Population, u, int64(x.From))
	}
}

// Listed is what a population that is kept by hand holds at a time.
func (b *Book) Listed(population string, t int64) (list []Member) {
	if l := b.listed[population]; l != nil {
		for _, m := range l.members {
			if m.From <= t && (m.Until == 0 || m.Until > t) {
				list = append(list, *m)
			}
		}
	}
	sortMembers(list)
	return list
}

func sortMembers(list []Member) {
	slices.SortFunc(list, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Unit.Space, b.Unit.Space), cmp.Compare(a.Unit.Ordinal, b.Unit.Ordinal))
	})
}

// A population is who counts in one window.
type population struct {
	members []Member
	present []int64 // days of the window on which each was there
	frozen  bool    // from a PopulationFrozen: nothing told later changes it
	through uint64
}

// order puts members in the order of their units: what another sekisho froze may
// stand otherwise.
func (p *population) order() {
	inOrder := slices.IsSortedFunc(p.members, func(a, b Member) int {
		if before(b.Unit, a.Unit) {
			return 1
		}
		return -1
	})
	if inOrder {
		return
	}
	rows := make([]int, len(p.members))
	for n := range rows {
		rows[n] = n
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		switch x, y := p.members[a].Unit, p.members[b].Unit; {
		case before(x, y):
			return -1
		case before(y, x):
			return 1
		}
		return 0
	})
	members, present := make([]Member, len(rows)), make([]int64, len(rows))
	for n, row := range rows {
		members[n], present[n] = p.members[row], p.present[row]
	}
	p.members, p.present = members, present
}

type frozenKey struct {
	population string
	from, at   int64
}

func (b *Book) populationFrozen(x *sekisho.PopulationFrozen) {
	key := frozenKey{x.Population, int64(x.From), int64(x.At)}
	if b.frozen[key] != nil {
		return // the first counts
	}
	p := b.freezing[key]
	if p != nil && x.Through != p.through {
		p = nil // a freeze that a crash cut off was begun again
	}
	if p == nil {
		p = &population{frozen: true, through: x.Through}
		b.freezing[key] = p
	}
	executive := make(map[uint32]bool, len(x.Executives))
	for _, u := range x.Executives {
		executive[u] = true
	}
	for n, u := range x.Units {
		m := Member{Unit: Unit{x.Space, u}, Executive: executive[u]}
		if n < len(x.Companies) {
			m.Company = x.Companies[n]
		}
		if n < len(x.Departments) {
			m.Department = x.Departments[n]
		}
		days := int64(0)
		if n < len(x.Present) {
			days = int64(min(x.Present[n], 1<<20))
		}
		p.members, p.present = append(p.members, m), append(p.present, days)
	}
	if !x.More {
		delete(b.freezing, key)
		p.order()
		b.frozen[key], b.thawed = p, b.seq
	}
}

// live is a population by the directory of now.
func (b *Book) live(name string, w Window, now int64) *population {
	p := &population{}
	at := min(w.Until-1, now)
	for _, m := range b.membersAt(name, at) {
		p.members = append(p.members, m)
		p.present = append(p.present, b.presence(m, w))
	}
	return p
}

// membersAt are the members of a population at a time, in the order of their
// units.
func (b *Book) membersAt(name string, t int64) (list []Member) {
	d := b.setup.Directory
	switch name {
	case "group":
		return []Member{{Unit: Group}}
	case "people", "executives":
		if d.People == nil {
			return nil
		}
		for m := range d.People(t) {
			if name == "executives" && !m.Executive || !m.Executive && m.Kind != "" && !slices.Contains(b.setup.Config.People, m.Kind) {
				continue
			}
			list = append(list, m)
		}
	case "company", "department", "post":
		if d.Units == nil {
			return nil
		}
		for m := range d.Units(name, t) {
			list = append(list, m)
		}
	default:
		if id, ok := strings.CutPrefix(name, "controls:"); ok {
			list = b.applicable(id)
			sortMembers(list)
			return list
		}
		if id, ok := strings.CutPrefix(name, "duties:"); ok {
			if i := b.setup.Register.Instrument(id); i != nil {
				for _, one := range i.Duties {
					list = append(list, Member{Unit: one.Unit()})
				}
			}
			sortMembers(list)
			return list
		}
		if ids, ok := strings.CutPrefix(name, "instruments:"); ok {
			for n := range strings.SplitSeq(ids, ",") {
				list = append(list, Member{Unit: UnitOf(n)})
			}
			sortMembers(list)
			return list
		}
		return b.Listed(name, t)
	}
	sortMembers(list)
	return list
}

// applicable are an instrument's controls but for those of which it is stated
// that they do not apply.
func (b *Book) applicable(id string) (list []Member) {
	i := b.setup.Register.Instrument(id)
	if i == nil {
		return nil
	}
	for _, c := range i.Clauses {
		if !c.Control {
			continue
		}
		if claim := b.controls[id+"/"+c.Ref]; claim == nil || claim.Body.Applicable {
			list = append(list, Member{Unit: ControlUnit(id, c.Ref)})
		}
	}
	return list
}

// presence is how many days of a window somebody was there and not on leave, to
// the nearest day. Duties count from the day on which the register began.
func (b *Book) presence(m Member, w Window) int64 {
	from, until := max(w.From, m.From, b.begins(w)), w.Until
	if m.Until != 0 {
		until = min(until, m.Until)
	}
	here := max(0, until-from)
	for _, a := range m.Away {
		here -= max(0, min(until, a.Until)-max(from, a.From))
	}
	return (max(0, here) + microsADay/2) / microsADay
}

// begins is the register's first day in a window.
func (b *Book) begins(w Window) int64 {
	if b.since <= w.From {
		return w.From
	}
	t := b.since
	day := b.calendar.dayOf(t)
	return max(w.From, day)
}
