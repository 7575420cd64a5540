package duty

// memo keeps answers that are still good. What it holds is worked out from the
// rest of the book and the time, so nothing is lost with it.
type memo struct {
	judged map[*Duty]*remembered
	people map[frozenKey]*known
}

type remembered struct {
	versions versions
	from     int64 // the time for which it was asked
	until    int64 // until when it is the same
	list     []*Judged
}

type known struct {
	versions versions
	day      int64
	p        *population
}

// versions are the entries that last changed what an answer rests on.
type versions struct {
	directory, credits, excepted, listed, thawed, claims, counted, incident uint64
}

func (b *Book) versions(d *Duty) (v versions) {
	v.excepted = b.excepted
	v = b.populationVersions(d.Population, v)
	for _, s := range d.Evidence {
		if h := b.shelves[s.Kind]; h != nil {
			v.credits = max(v.credits, h.changed)
		}
	}
	if d.Kind == EventClock {
		v.incident = b.made.incident
	}
	if c := b.counters[d.Population]; c != nil {
		v.counted = c.changed
	}
	return v
}

func (b *Book) populationVersions(name string, v versions) versions {
	switch name {
	case "people", "executives", "company", "department", "post":
		if b.setup.Directory.Version != nil {
			v.directory = b.setup.Directory.Version()
		}
	}
	if l := b.listed[name]; l != nil {
		v.listed = l.changed
	}
	v.thawed, v.claims = b.thawed, b.claims
	return v
}

// Judge is a duty in every window since the register began, oldest first. It is
// called while the views stand still; what it gives must not be changed.
func (b *Book) Judge(d *Duty, now int64) []*Judged {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.versions(d)
	if r := b.memo.judged[d]; r != nil && r.versions == v && r.from <= now && now < r.until {
		return r.list
	}
	list := b.judge(d, now)
	if b.memo.judged == nil {
		b.memo.judged = map[*Duty]*remembered{}
	}
	b.memo.judged[d] = &remembered{v, now, b.goodUntil(d, now), list}
	return list
}

// goodUntil is when an answer may change though no entry comes: at the latest
// when the next day begins, and each minute where days or minutes are counted.
func (b *Book) goodUntil(d *Duty, now int64) int64 {
	until := b.calendar.nextDay(now)
	if d.Kind != PerPerson && d.Kind != PerEntity && d.Kind != Programme {
		return min(until, now-now%microsAMinute+microsAMinute)
	}
	sooner := func(t int64) {
		if t > now {
			until = min(until, t)
		}
	}
	for _, o := range b.about(d) {
		sooner(int64(o.Body.From))
		sooner(int64(o.Body.Until))
	}
	// Evidence can be recorded before it begins to hold.
	for _, s := range d.Evidence {
		if h := b.shelves[s.Kind]; h != nil && h.latest > now {
			return min(until, now-now%microsAMinute+microsAMinute)
		}
	}
	return until
}

// populationOf is population, remembered. The caller holds mu.
func (b *Book) populationOf(name string, w Window, now int64) *population {
	key := frozenKey{name, w.From, w.Until}
	if p := b.frozen[key]; p != nil {
		return p
	}
	v := b.populationVersions(name, versions{})
	day := b.calendar.dayOf(min(w.Until-1, now))
	if k := b.memo.people[key]; k != nil && k.versions == v && k.day == day && (now >= w.Until || b.whole(name)) {
		return k.p
	}
	p := b.live(name, w, now)
	if b.memo.people == nil {
		b.memo.people = map[frozenKey]*known{}
	}
	b.memo.people[key] = &known{v, day, p}
	return p
}

// whole: a population changes within a day only by entries. People join and
// leave with days.
func (b *Book) whole(name string) bool { return name == "people" || name == "executives" }
