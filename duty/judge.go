package duty

import (
	"fmt"
	"slices"
	"strings"
)

// Status is what has become of one obligation.
type Status uint8

// The states of an obligation. Only Met counts as met.
const (
	Open    Status = iota // its time is not over
	Met                   // done in time
	Late                  // done after its time
	Missed                // its time is over
	Unknown               // nobody can say: no source has ever reported, or a second person has not signed
	Waived                // an exception in force
	NA                    // it does not apply: an exception, or there too short to owe it
)

var statusNames = [...]string{"OPEN", "MET", "LATE", "MISSED", "UNKNOWN", "WAIVED", "NA"}

func (s Status) String() string { return statusNames[s] }

// UnmarshalText reads the name.
func (s *Status) UnmarshalText(text []byte) error {
	one, ok := StatusOf(string(text))
	if !ok {
		return fmt.Errorf("%q is no status of an obligation", text)
	}
	*s = one
	return nil
}

// MarshalText is the name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Judged is one duty in one window.
type Judged struct {
	Duty        *Duty
	Window      Window
	Closed      bool // its time is over
	Frozen      bool // the population is the one that was frozen at the close
	Total       Tally
	Executives  Tally // of Total
	Companies   map[uint32]*Tally
	Departments map[uint32]*Tally

	Beside []Part // figures of other kinds of evidence, beside the total

	members []Member
	events  []fact // of EVENT_CLOCK: the event of each
	status  []Status
	done    []int64 // when what was owed was done; 0: not
	present []int64
	kinds   []kindsOf // of items that must be among it, one for each
	steps   int64     // done, of all that is owed: of two courses, one is a step
	owed    int64
	from    int64 // counted from here: the window's beginning, or the register's
}

// A Part is the figure of one kind of evidence beside another.
type Part struct {
	Kind  string `json:"kind"`
	Tally Tally  `json:"figure"`
}

// judge is a duty in every window since the register began.
func (b *Book) judge(d *Duty, now int64) []*Judged {
	if b.since == 0 {
		return nil
	}
	var list []*Judged
	for _, w := range b.calendar.between(d.Cadence.Window, b.since, now) {
		if d.instrument.over(w, b.calendar) {
			continue
		}
		list = append(list, &Judged{Duty: d, Window: w, Closed: now >= w.Until, Companies: map[uint32]*Tally{}, Departments: map[uint32]*Tally{}, from: b.begins(w)})
	}
	switch d.Kind {
	case PerPerson, PerEntity:
		b.judgeTimes(d, list, now)
	case State:
		b.judgeState(d, list, now)
	case Continuous:
		if d.Formula == "ratio" {
			b.judgeRatio(d, list, now)
		} else {
			b.judgeMinutes(d, list, now)
		}
	case EventClock:
		b.judgeEvents(d, list, now)
	case Programme:
		b.judgeProgramme(d, list, now)
	}
	return list
}

// over: the instrument was not in force for any of the window. An instrument
// that came later judges earlier windows as well: its evidence may be older.
func (i *Instrument) over(w Window, c calendar) bool {
	if i.Ends == "" {
		return false
	}
	ends, err := parseDay(i.Ends, c.zone)
	return err == nil && ends <= w.From
}

// heads are the specs that a figure counts.
func (d *Duty) heads() (list []Spec) {
	for _, s := range d.Evidence {
		if !s.Beside {
			list = append(list, s)
		}
	}
	return list
}

// silent: only systems could tell, and none has ever told anything of the duty's
// kinds before a time. What nobody watched is not known.
func (b *Book) silent(d *Duty, before int64) bool {
	for _, s := range d.heads() {
		if s.Producer != "S" {
			return false
		}
		if h := b.shelves[s.Kind]; h != nil && h.count > 0 && h.first < before {
			return false
		}
	}
	return true
}

// Accepts: the spec is about facts of this item.
func (s *Spec) Accepts(item string) bool {
	if head, ok := strings.CutSuffix(s.Item, "*"); ok {
		return strings.HasPrefix(item, head)
	}
	return s.Item == "" || s.Item == item
}

// worth is what a fact is to a spec.
type worth uint8

const (
	nothing worth = iota // it does not count
	pending              // it may come to count
	counts
)

func (b *Book) worth(s *Spec, f fact) worth {
	if !s.Accepts(b.names[f.item]) || f.value < s.Least {
		return nothing
	}
	return b.means(s, f)
}

// means is what a fact's state is worth.
func (b *Book) means(s *Spec, f fact) worth {
	switch state := b.names[f.state]; {
	case state == "" || state == Unsigned && !s.Second:
		return counts
	case state == Unsigned || state == Declared:
		return pending
	}
	return nothing
}

// gather are the facts about a unit that count for some spec, and those that may
// come to, of what has begun by now. The lists are those given, from their start.
func (b *Book) gather(specs []Spec, u Unit, now int64, good, open []fact) ([]fact, []fact) {
	good, open = good[:0], open[:0]
	for n := range specs {
		for _, f := range b.of(specs[n].Kind, u) {
			if f.from > now {
				break
			}
			switch b.worth(&specs[n], f) {
			case counts:
				good = append(good, f)
			case pending:
				open = append(open, f)
			}
		}
	}
	if len(specs) > 1 {
		slices.SortStableFunc(good, compare)
		slices.SortStableFunc(open, compare)
	}
	return good, open
}

// owed is how often a member owes a duty in a window, in which it was there for
// some days; 0 for one who was there too short.
func (c *Cadence) owed(present int64, w Window) int {
	if c.JoinDays > 0 {
		if present < int64(c.JoinDays) {
			return 0
		}
		return c.Times
	}
	days := w.days()
	return int((2*int64(c.Times)*min(present, days) + days) / (2 * days))
}

// judgeTimes: so many times a window, each for themselves.
func (b *Book) judgeTimes(d *Duty, list []*Judged, now int64) {
	pops := make([]*population, len(list))
	for n, j := range list {
		pops[n] = b.populationOf(d.Population, j.Window, now)
		j.take(pops[n])
	}
	units, at := placesIn(pops)
	parts := d.parts()
	for _, j := range list {
		j.kinds = make([]kindsOf, len(parts))
	}
	exceptions := b.about(d)
	silent := make([]bool, len(list))
	for n, j := range list {
		silent[n] = b.silent(d, j.Window.Until)
	}
	var good, open []fact
	var p picker
	status, done := make([]Status, len(list)), make([]int64, len(list))
	owed, steps, lack := make([]int, len(list)), make([]int, len(list)), make([]int, len(list))
	for row, u := range units {
		places := at[row*len(list) : (row+1)*len(list)]
		for n := range parts {
			part := &parts[n]
			good, open = b.gather(part.specs, u, now, good, open)
			p.begin(part.cadence, good, open)
			for k, j := range list {
				if places[k] == 0 {
					p.used = p.used[:0]
					continue
				}
				need := part.owed(d, pops[k].present[places[k]-1], j.Window)
				s, when := p.window(j.Window, need, now)
				if !j.Closed {
					switch did := p.partly(s, need); {
					case part.among == 0:
						owed[k], steps[k] = owed[k]+need, steps[k]+did
					default:
						j.kinds[n].owed++
						if did < need {
							lack[k]++
						} else {
							j.kinds[n].done++
						}
					}
				}
				if n == 0 {
					status[k], done[k] = s, when
				} else {
					status[k], done[k] = worse(status[k], s), max(done[k], when)
				}
			}
		}
		for k, j := range list {
			if places[k] == 0 {
				continue
			}
			// Where an item is lacking, one step at least is.
			j.owed, j.steps = j.owed+int64(owed[k]), j.steps+int64(min(steps[k], owed[k]-lack[k]))
			owed[k], steps[k], lack[k] = 0, 0, 0
			s := status[k]
			if s == Missed && silent[k] {
				s = Unknown
			}
			s = b.excuse(exceptions, d, u, j, s, now)
			j.status[places[k]-1], j.done[places[k]-1] = s, done[k]
		}
	}
	for _, j := range list {
		for n, s := range j.status {
			one := Tally{}
			one.add(s)
			one.units()
			j.count(n, one)
		}
	}
}

// kindsOf is of how many units an item must be among what counts, and of how many
// it is.
type kindsOf struct{ owed, done int64 }

// A part is what is judged by itself of what a unit owes so many times: all of
// it, or each kind of evidence where a duty needs them all, or an item that must
// be among what counts.
type part struct {
	specs   []Spec
	cadence *Cadence
	among   int // of how many items that must be among it this is one; 0: it is none
}

func (d *Duty) parts() (list []part) {
	if d.Need == "all" {
		for _, s := range d.heads() {
			list = append(list, part{[]Spec{s}, &d.Cadence, 0})
		}
		return list
	}
	list = []part{{d.heads(), &d.Cadence, 0}}
	for _, item := range d.Cadence.Among {
		one := part{d.heads(), &Cadence{Times: 1, Window: d.Cadence.Window, LateDays: d.Cadence.LateDays}, len(d.Cadence.Among)}
		for n := range one.specs {
			one.specs[n].Item = item
		}
		list = append(list, one)
	}
	return list
}

// owed is how often a unit owes the part that was there for some days of a window.
func (p *part) owed(d *Duty, present int64, w Window) int {
	need := d.Cadence.owed(present, w)
	switch {
	case p.among == 0:
		return need
	case need < p.among:
		return 0 // a joiner who owes fewer than there are items
	}
	return 1
}

// placesIn gives every unit of some populations once, and for each a row of its
// places in them, from 1; 0 where it is not. Populations are in the order of
// their units, so they are merged.
func placesIn(pops []*population) (units []Unit, at []int32) {
	next := make([]int, len(pops))
	for {
		var u Unit
		found := false
		for n, p := range pops {
			if next[n] < len(p.members) && (!found || before(p.members[next[n]].Unit, u)) {
				u, found = p.members[next[n]].Unit, true
			}
		}
		if !found {
			return units, at
		}
		units = append(units, u)
		for n, p := range pops {
			place := int32(0)
			for next[n] < len(p.members) && p.members[next[n]].Unit == u {
				next[n]++
				place = int32(next[n])
			}
			at = append(at, place)
		}
	}
}

func before(a, b Unit) bool {
	return a.Space < b.Space || a.Space == b.Space && a.Ordinal < b.Ordinal
}

// excuse puts an exception in force in the place of what was not done in time.
func (b *Book) excuse(list []*Exception, d *Duty, u Unit, j *Judged, s Status, now int64) Status {
	if len(list) == 0 {
		return s
	}
	o := b.exception(list, d, u, min(j.Window.Until-1, now))
	switch {
	case o == nil:
		return s
	case o.Body.What == "na":
		return NA
	case s == Met:
		return s
	}
	return Waived
}

// worse of two, where a duty needs both.
func worse(a, b Status) Status {
	rank := [...]int{Met: 0, Late: 1, NA: -1, Waived: 2, Open: 3, Unknown: 4, Missed: 5}
	if rank[a] >= rank[b] {
		return a
	}
	return b
}

// take puts a window's population under judgement.
func (j *Judged) take(p *population) {
	j.members, j.present, j.Frozen = p.members, p.present, p.frozen
	j.status, j.done = make([]Status, len(p.members)), make([]int64, len(p.members))
}

// count adds what one member brings to every figure in which it stands.
func (j *Judged) count(n int, one Tally) {
	m := &j.members[n]
	j.Total.plus(one)
	if m.Executive {
		j.Executives.plus(one)
	}
	add := func(to map[uint32]*Tally, key uint32) {
		if key == 0 {
			return
		}
		t := to[key]
		if t == nil {
			t = &Tally{}
			to[key] = t
		}
		t.plus(one)
	}
	company := j.company(n)
	add(j.Companies, company)
	for _, also := range m.Also {
		if also != company {
			add(j.Companies, also)
		}
	}
	add(j.Departments, m.Department)
}
