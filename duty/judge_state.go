package duty

import (
	"cmp"
	"slices"
	"time"
)

func parseDay(day string, zone *time.Location) (int64, error) {
	t, err := time.ParseInLocation("2006-01-02", day, zone)
	return t.UnixMicro(), err
}

// spans are the times in which facts of one spec about a unit hold: until their
// end, until they are stale, or until the next of the same item says otherwise,
// whatever comes first. In order, and without overlaps.
func (b *Book) spans(s *Spec, u Unit, now int64, want worth) (list []Span) {
	facts := b.of(s.Kind, u)
	for n, f := range facts {
		if f.from > now {
			break
		}
		if b.worth(s, f) != want {
			continue
		}
		end := f.until
		if end == 0 {
			end = 1 << 62
			if s.FreshDays > 0 {
				end = b.calendar.plusDays(f.from, s.FreshDays)
			}
		}
		if want == counts {
			for _, later := range facts[n+1:] {
				if later.from >= end || later.from > now {
					break
				}
				if later.item == f.item && b.worth(s, later) != pending {
					end = later.from
					break
				}
			}
		}
		if end > f.from {
			list = append(list, Span{f.from, end})
		}
	}
	return merge(list)
}

// merge joins spans that touch or overlap. They come in the order of their
// beginnings.
func merge(list []Span) []Span {
	out := list[:0]
	for _, s := range list {
		if k := len(out); k > 0 && s.From <= out[k-1].Until {
			out[k-1].Until = max(out[k-1].Until, s.Until)
			continue
		}
		out = append(out, s)
	}
	return out
}

// overlap is where both hold.
func overlap(a, b []Span) (list []Span) {
	for len(a) > 0 && len(b) > 0 {
		s := Span{max(a[0].From, b[0].From), min(a[0].Until, b[0].Until)}
		if s.From < s.Until {
			list = append(list, s)
		}
		if a[0].Until < b[0].Until {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return list
}

// union is where either holds.
func union(a, b []Span) []Span {
	list := slices.Concat(a, b)
	slices.SortFunc(list, func(x, y Span) int { return cmp.Compare(x.From, y.From) })
	return merge(list)
}

// holds are the times in which a unit has what the duty needs, and those in
// which it would if what is pending were certain.
func (b *Book) holds(d *Duty, u Unit, now int64) (sure, maybe []Span) {
	for n, s := range d.heads() {
		good := b.spans(&s, u, now, counts)
		some := union(good, b.spans(&s, u, now, pending))
		switch {
		case n == 0:
			sure, maybe = good, some
		case d.Need == "all":
			sure, maybe = overlap(sure, good), overlap(maybe, some)
		default:
			sure, maybe = union(sure, good), union(maybe, some)
		}
	}
	return sure, maybe
}

func in(list []Span, t int64) bool {
	n, found := slices.BinarySearchFunc(list, t, func(s Span, t int64) int {
		switch {
		case s.Until <= t:
			return -1
		case s.From > t:
			return 1
		}
		return 0
	})
	return found && n >= 0
}

// judgeState: a condition that holds. A day counts if the condition held at its
// end; today counts by now.
func (b *Book) judgeState(d *Duty, list []*Judged, now int64) {
	exceptions := b.about(d)
	for _, j := range list {
		p := b.populationOf(d.Population, j.Window, now)
		j.take(p)
		for n, m := range p.members {
			sure, maybe := b.holds(d, m.Unit, now)
			var one Tally
			if d.Formula == "in_date" {
				at := min(j.Window.Until-1, now)
				switch {
				case in(sure, at):
					j.status[n] = Met
				case in(maybe, at) || b.silent(d, at+1):
					j.status[n] = Unknown
				default:
					j.status[n] = Missed
				}
			} else {
				one = b.days(d, j, m, sure, maybe, now)
				j.status[n] = one.judge(d.Cadence.Least, j.Closed)
			}
			j.status[n] = b.excuse(exceptions, d, m.Unit, j, j.status[n], now)
			if one.add(j.status[n]); d.Formula == "in_date" {
				one.units()
			} else if j.status[n] == Waived || j.status[n] == NA {
				one.Num, one.Den, one.Dark = 0, 0, 0
			}
			if j.status[n] == Met {
				j.done[n] = min(j.Window.Until-1, now)
			}
			j.count(n, one)
		}
	}
}

// days counts those on which a member's condition held.
func (b *Book) days(d *Duty, j *Judged, m Member, sure, maybe []Span, now int64) (t Tally) {
	from, until := max(j.from, m.From), j.Window.Until
	if m.Until != 0 {
		until = min(until, m.Until)
	}
	until = min(until, now+1)
	for day := b.calendar.dayOf(from); day < until; day = b.calendar.nextDay(day) {
		at := min(b.calendar.nextDay(day), until) - 1
		t.Den++
		switch {
		case in(sure, at):
			t.Num++
		case in(maybe, at) || b.silent(d, at+1):
			t.Dark++
		}
	}
	return t
}

// judgeMinutes: covered of due minutes.
func (b *Book) judgeMinutes(d *Duty, list []*Judged, now int64) {
	exceptions := b.about(d)
	for _, j := range list {
		p := b.populationOf(d.Population, j.Window, now)
		j.take(p)
		for n, m := range p.members {
			sure, maybe := b.holds(d, m.Unit, now)
			due := Span{max(j.from, m.From), min(j.Window.Until, now)}
			if m.Until != 0 {
				due.Until = min(due.Until, m.Until)
			}
			one := Tally{Den: max(0, due.Until-due.From), Num: length(sure, due)}
			one.Dark = length(maybe, due) - one.Num
			if b.silent(d, due.Until) {
				one.Dark = one.Den - one.Num
			}
			j.status[n] = b.excuse(exceptions, d, m.Unit, j, one.judge(d.Cadence.Least, j.Closed), now)
			one.Num, one.Den, one.Dark = one.Num/microsAMinute, one.Den/microsAMinute, one.Dark/microsAMinute
			if one.add(j.status[n]); j.status[n] == Waived || j.status[n] == NA {
				one.Num, one.Den, one.Dark = 0, 0, 0
			}
			j.count(n, one)
		}
	}
}

// length is how much of a time spans cover.
func length(list []Span, of Span) (sum int64) {
	for _, s := range list {
		sum += max(0, min(s.Until, of.Until)-max(s.From, of.From))
	}
	return sum
}

// Gaps are when a unit was not covered in a window, up to now.
func (b *Book) Gaps(d *Duty, u Unit, w Window, now int64) (list []Span) {
	sure, _ := b.holds(d, u, now)
	at, until := b.begins(w), min(w.Until, now)
	for _, s := range sure {
		if s.Until <= at {
			continue
		}
		if s.From >= until {
			break
		}
		if s.From > at {
			list = append(list, Span{at, s.From})
		}
		at = s.Until
	}
	if at < until {
		list = append(list, Span{at, until})
	}
	return list
}

// judgeRatio: right ones of all, as counters have them, and as single pieces of
// evidence say.
func (b *Book) judgeRatio(d *Duty, list []*Judged, now int64) {
	exceptions := b.about(d)
	for _, j := range list {
		j.take(&population{members: []Member{{Unit: Group}}})
		one, chain := b.counted(d, j), Met
		heads := d.heads()
		for n := range heads {
			if heads[n].Kind == "ledger_witness" {
				chain = b.chain(d, j, now)
				continue
			}
			b.eachFact(heads[n].Kind, func(_ Unit, f fact) {
				if f.from < j.from || f.from >= j.Window.Until || f.from > now || !heads[n].Accepts(b.names[f.item]) {
					return
				}
				one.Den++
				switch b.worth(&heads[n], f) {
				case counts:
					one.Num++
				case pending:
					one.Dark++
				}
			})
		}
		switch {
		case one.Den > 0:
			j.status[0] = one.judge(d.Cadence.Least, j.Closed)
		case j.Closed:
			j.status[0] = Unknown // nothing was seen: there was no case, or nobody looked
		default:
			j.status[0] = Open
		}
		if chain != Open {
			j.status[0] = worse(j.status[0], chain)
		}
		j.status[0] = b.excuse(exceptions, d, Group, j, j.status[0], now)
		one.add(j.status[0])
		j.count(0, one)
	}
}

// chain: every day of the window the ledger was read again, and holds. Its
// figure stands beside the ratio.
func (b *Book) chain(d *Duty, j *Judged, now int64) Status {
	var sure []Span
	for _, f := range b.of("ledger_witness", Group) {
		if f.from <= now && b.names[f.state] == "" {
			sure = append(sure, Span{f.from, f.until})
		}
	}
	t := b.days(d, j, Member{Unit: Group}, merge(sure), nil, now)
	for _, f := range b.of("ledger_witness", Group) { // a broken chain is no unknown, and nothing makes it good
		if f.from >= j.from && f.from < j.Window.Until && b.names[f.state] != "" {
			j.Beside = append(j.Beside, Part{"ledger_witness", t})
			return Missed
		}
	}
	t.Dark = t.Den - t.Num // a day on which nobody looked
	if !j.Closed && t.Den > 0 && t.Dark == 1 && !in(merge(sure), min(j.Window.Until-1, now)) {
		t.Den, t.Dark = t.Den-1, 0 // today's is yet to come
	}
	j.Beside = append(j.Beside, Part{"ledger_witness", t})
	return t.judge(d.Cadence.Least, j.Closed)
}

func (b *Book) eachFact(kind string, f func(Unit, fact)) {
	h := b.shelves[kind]
	if h == nil {
		return
	}
	for _, space := range sortedKeys(h.spaces) {
		h.spaces[space].each(func(o uint32, list []fact) {
			for _, one := range list {
				f(Unit{space, o}, one)
			}
		})
	}
}

// judgeEvents: each event within its time. Its beginning says to which window it
// belongs.
func (b *Book) judgeEvents(d *Duty, list []*Judged, now int64) {
	exceptions := b.about(d)
	heads := d.heads()
	for _, j := range list {
		j.members = nil
	}
	for n := range heads {
		one := func(u Unit, f fact, item string) {
			if f.from > now || !heads[n].Accepts(item) {
				return
			}
			at := slices.IndexFunc(list, func(j *Judged) bool { return f.from >= j.from && f.from < j.Window.Until })
			if at < 0 {
				return
			}
			j := list[at]
			m := Member{Unit: u}
			if u.Space == "unit" {
				m.Company = u.Ordinal
			}
			s := b.excuse(exceptions, d, u, j, b.onTime(d, &heads[n], f, now), now)
			j.members, j.status = append(j.members, m), append(j.status, s)
			j.done, j.events = append(j.done, f.until), append(j.events, f)
			t := Tally{}
			t.add(s)
			t.units()
			j.count(len(j.members)-1, t)
		}
		b.eachFact(heads[n].Kind, func(u Unit, f fact) { one(u, f, b.names[f.item]) })
		if b.setup.Events == nil {
			continue
		}
		for _, c := range b.setup.Events(heads[n].Kind, now) {
			one(c.Unit, fact{seq: c.Seq, from: c.From, until: c.Until, recorded: c.Recorded, value: c.Value}, c.Item)
		}
	}
}

// onTime judges one event: from begins its clock, until ends it.
func (b *Book) onTime(d *Duty, s *Spec, f fact, now int64) Status {
	due := f.value
	if minutes := cmp.Or(s.Minutes, d.Cadence.Minutes); minutes > 0 {
		due = f.from + minutes*microsAMinute
	}
	w := b.means(s, f) // that it is of the spec's item, the caller knows
	done := f.until != 0 && f.until <= now && w != nothing
	switch {
	case due == 0 || done && w == pending:
		return Unknown
	case done && f.until <= due:
		return Met
	case done:
		return Late
	case now > due:
		return Missed
	}
	return Open
}

// judgeProgramme: each milestone once a window.
func (b *Book) judgeProgramme(d *Duty, list []*Judged, now int64) {
	exceptions := b.about(d)
	heads := d.heads()
	for _, j := range list {
		p := &population{}
		for _, m := range d.Milestones {
			p.members = append(p.members, Member{Unit: d.milestone(m.Item)})
		}
		j.take(p)
		for n := range heads {
			b.eachFact(heads[n].Kind, func(_ Unit, f fact) {
				if f.from < j.Window.From || f.from >= j.Window.Until || f.from > now {
					return
				}
				at := slices.IndexFunc(d.Milestones, func(m Milestone) bool { return m.Item == b.names[f.item] })
				if at < 0 {
					return
				}
				switch b.worth(&heads[n], f) {
				case counts:
					j.status[at], j.done[at] = Met, f.from
				case pending:
					if j.status[at] != Met {
						j.status[at] = Unknown
					}
				}
			})
		}
		for n, s := range j.status {
			if s == Open && j.Closed {
				s = Missed
				if b.silent(d, j.Window.Until) {
					s = Unknown
				}
			}
			j.status[n] = b.excuse(exceptions, d, p.members[n].Unit, j, s, now)
			one := Tally{}
			one.add(j.status[n])
			one.units()
			j.count(n, one)
			if !j.Closed && j.status[n] != NA && j.status[n] != Waived {
				if j.owed++; j.status[n] == Met {
					j.steps++
				}
			}
		}
	}
}
