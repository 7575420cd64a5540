package duty

// A picker judges one unit's facts window by window, oldest first: what a window
// has used as late does not count for the next.
type picker struct {
	c     *Cadence
	good  []fact
	open  []fact
	used  []uint64 // entries that an earlier window used after its own end
	last  int64    // when the window before was done; 0: never
	some  []fact
	mine  []fact // those of the window that count for certain
	taken []int
	best  []int
}

func (p *picker) begin(c *Cadence, good, open []fact) {
	p.c, p.good, p.open, p.used, p.last = c, good, open, p.used[:0], 0
}

// window says what became of a window in which the unit owes need times, and
// when the last of them was done.
func (p *picker) window(w Window, need int, now int64) (Status, int64) {
	before := p.used
	late := w.Until + int64(p.c.LateDays)*microsADay
	p.some = p.some[:0]
	for _, f := range p.good {
		if f.from >= w.From && f.from < w.Until && !has(before, f.seq) {
			p.some = append(p.some, f)
		}
	}
	p.mine = append(p.mine[:0], p.some...)
	p.used = p.used[:0]
	if need == 0 {
		p.remember(p.some)
		return NA, 0
	}
	due := w.Until
	if p.c.MaxGapDays > 0 && p.last != 0 {
		due = min(due, max(w.From, p.last+int64(p.c.MaxGapDays)*microsADay))
	}
	if when, ok := p.reach(p.some, need); ok {
		p.remember(p.some)
		if when > due {
			return Late, when
		}
		return Met, when
	}
	own := len(p.some)
	if p.c.LateDays > 0 {
		for _, f := range p.good {
			if f.from >= w.Until && f.from < late {
				p.some = append(p.some, f)
			}
		}
		if when, ok := p.reach(p.some, need); ok {
			for _, n := range p.best {
				if n >= own {
					p.used = append(p.used, p.some[n].seq)
				}
			}
			p.last = when
			return Late, when
		}
		p.some = p.some[:own]
	}
	p.remember(p.some)
	for _, f := range p.open {
		if f.from >= w.From && f.from < w.Until {
			p.some = insert(p.some, f)
		}
	}
	if len(p.some) > own {
		if _, ok := p.reach(p.some, need); ok {
			return Unknown, 0
		}
	}
	if now < w.Until {
		return Open, 0
	}
	return Missed, 0
}

// partly is how many of need count in the window that was judged last.
func (p *picker) partly(s Status, need int) int {
	if s == Met || s == Late || need <= 1 {
		if s != Met && s != Late {
			return 0
		}
		return need
	}
	for n := need - 1; n > 0; n-- {
		if _, ok := p.reach(p.mine, n); ok {
			return n
		}
	}
	return 0
}

func (p *picker) remember(done []fact) {
	if len(done) > 0 {
		p.last = done[len(done)-1].from
	}
}

func insert(list []fact, f fact) []fact {
	n := len(list)
	list = append(list, f)
	for ; n > 0 && less(f, list[n-1]); n-- {
		list[n] = list[n-1]
	}
	list[n] = f
	return list
}

func has(list []uint64, seq uint64) bool {
	for _, s := range list {
		if s == seq {
			return true
		}
	}
	return false
}

// reach is the earliest moment at which need of the facts count together: each
// of its own item where the cadence asks for that, and far enough apart. The
// places of those stand in best.
func (p *picker) reach(list []fact, need int) (int64, bool) {
	if len(list) < need {
		return 0, false
	}
	p.best = p.best[:0]
	if !p.c.Distinct && p.c.GapDays == 0 {
		for n := range need {
			p.best = append(p.best, n)
		}
		return list[need-1].from, true
	}
	// The last of the chosen is at some place; the first such place is the answer.
	for last := need - 1; last < len(list); last++ {
		p.taken = append(p.taken[:0], last)
		if p.choose(list, last, need-1) {
			p.best = append(p.best, p.taken...)
			return list[last].from, true
		}
	}
	return 0, false
}

// choose takes need more from before a place, from there backwards.
func (p *picker) choose(list []fact, before, need int) bool {
	if need == 0 {
		return true
	}
	next := list[p.taken[len(p.taken)-1]]
	for n := before - 1; n >= need-1; n-- {
		f := list[n]
		if next.from-f.from < int64(p.c.GapDays)*microsADay || p.c.Distinct && p.repeats(list, f) {
			continue
		}
		p.taken = append(p.taken, n)
		if p.choose(list, n, need-1) {
			return true
		}
		p.taken = p.taken[:len(p.taken)-1]
	}
	return false
}

func (p *picker) repeats(list []fact, f fact) bool {
	for _, n := range p.taken {
		if list[n].item == f.item {
			return true
		}
	}
	return false
}
