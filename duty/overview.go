package duty

import (
	"cmp"
	"slices"
	"strings"
)

// A Scope narrows figures to a company or a department; zero is the whole group.
type Scope struct {
	Company    uint32 `json:"company,omitempty"`
	Department uint32 `json:"department,omitempty"`
}

// In is the figure of a scope.
func (j *Judged) In(s Scope) Tally {
	var t *Tally
	switch {
	case s.Department != 0:
		t = j.Departments[s.Department]
	case s.Company != 0:
		t = j.Companies[s.Company]
	default:
		return j.Total
	}
	if t == nil {
		return Tally{}
	}
	return *t
}

// A Line is one duty on the dashboard.
type Line struct {
	Duty   *Duty
	Now    *Judged // the window that runs
	Closed *Judged // the last that ended; nil: none has
	Head   *Judged // what the duty is judged by: see Headline
	Tally  Tally   // of Head, in the scope
}

// Headline is the window that a duty is judged by: where a condition must hold,
// the one that runs; else the last that ended, and if there is none, or nothing
// was due in it, the one that runs.
func Headline(d *Duty, now, closed *Judged) *Judged {
	if closed == nil || d.Formula == "in_date" || closed.Total.Den == 0 {
		return now
	}
	return closed
}

// Line is one duty's line; false before the register began.
func (b *Book) Line(d *Duty, s Scope, now int64) (l Line, ok bool) {
	list := b.Judge(d, now)
	if len(list) == 0 {
		return Line{Duty: d}, false
	}
	l = Line{Duty: d, Now: list[len(list)-1]}
	if l.Now.Closed { // an instrument that has ended
		l.Closed = l.Now
	} else if len(list) > 1 {
		l.Closed = list[len(list)-2]
	}
	l.Head = Headline(d, l.Now, l.Closed)
	l.Tally = l.Head.In(s)
	return l, true
}

// A Standing is a clause: as good as its worst duty, with the mean beside.
type Standing struct {
	Clause Clause
	Lines  []Line
	Worst  *Line // nil: no duty of it has a case
	Mean   int64 // in thousandths, of the duties that have a case
}

// Clauses are an instrument's, with the duties that stand in each or are mapped
// to it.
func (b *Book) Clauses(i *Instrument, s Scope, now int64) []Standing {
	lines := map[*Duty]Line{}
	for _, d := range b.setup.Register.Duties() {
		if l, ok := b.Line(d, s, now); ok {
			lines[d] = l
		}
	}
	return b.setup.Register.Stand(i, lines)
}

// Stand is how an instrument's clauses stand, by a line for each duty that has one.
func (r *Register) Stand(i *Instrument, lines map[*Duty]Line) (list []Standing) {
	for _, c := range i.Clauses {
		st := Standing{Clause: c}
		for _, d := range r.Under(i, c.Ref) {
			if l, ok := lines[d]; ok {
				st.Lines = append(st.Lines, l)
			}
		}
		var sum, n int64
		for k := range st.Lines {
			l := &st.Lines[k]
			low, _, ok := l.Tally.Bounds()
			if !ok {
				continue
			}
			sum, n = sum+low, n+1
			if st.Worst == nil || worst(l.Tally, st.Worst.Tally) {
				st.Worst = l
			}
		}
		if n > 0 {
			st.Mean = sum / n
		}
		list = append(list, st)
	}
	return list
}

// Under are the duties of a clause: those that stand in it, and those of other
// instruments that map to it, directly or by a clause that does.
func (r *Register) Under(i *Instrument, ref string) (list []*Duty) {
	name := i.ID + "/" + ref
	wanted := map[string]bool{name: true}
	for _, other := range r.Instruments {
		for _, c := range other.Clauses {
			if slices.Contains(c.Maps, name) {
				wanted[other.ID+"/"+c.Ref] = true
			}
		}
	}
	for _, d := range r.Duties() {
		own := d.instrument == i && slices.Contains(d.Clauses, ref)
		if own || slices.ContainsFunc(d.Maps, func(m string) bool { return wanted[m] }) {
			list = append(list, d)
		}
	}
	return list
}

// A Forecast says what a window comes to if it goes on as it has since it began.
type Forecast struct {
	At       int64 `json:"at"`            // when the window ends
	Steps    int64 `json:"steps"`         // done by now: of two courses, one is a step
	Owed     int64 `json:"owed"`          // steps in all
	Expected int64 `json:"expected"`      // steps at the end, at this pace
	Missed   int64 `json:"missed"`        // how many units miss it, if each lacks one step
	AtLeast  int64 `json:"missed_least"`  // if those who miss it lack all of theirs
	Each     int64 `json:"steps_of_unit"` // steps that one unit owes
}

// Forecast is that of a window that runs; false where there is none to make: for
// conditions and events, within the window's first days, and where nothing is
// owed.
func (b *Book) Forecast(j *Judged, now int64) (f Forecast, ok bool) {
	d := j.Duty
	gone, whole := now-j.from, j.Window.Until-j.from
	if j.Closed || j.owed == 0 || gone < 7*microsADay || d.Kind != PerPerson && d.Kind != PerEntity && d.Kind != Programme {
		return f, false
	}
	f = Forecast{At: j.Window.Until, Steps: j.steps, Owed: j.owed, Each: int64(max(1, d.Cadence.Times))}
	// In minutes, so that the product stays within 63 bits for any company.
	f.Expected = min(f.Owed, f.Steps*(whole/microsAMinute)/max(1, gone/microsAMinute))
	// A kind that must be among them comes at its own pace: of three drills, of which
	// one must be about mail fraud, two of another kind bring that one no nearer.
	kinds := int64(0)
	for _, k := range j.kinds {
		kinds += k.owed - min(k.owed, k.done*(whole/microsAMinute)/max(1, gone/microsAMinute))
	}
	f.Expected = min(f.Expected, max(f.Steps, f.Owed-kinds))
	lack := f.Owed - f.Expected
	left := j.Total.Open + j.Total.Unknown + j.Total.Missed
	f.Missed = min(left, lack)
	f.AtLeast = min(left, (lack+f.Each-1)/f.Each)
	return f, true
}

// An Obligation is what one unit owes in one window.
type Obligation struct {
	Member  Member
	Status  Status
	Done    int64 // when it was done; 0: it is not
	Waiver  *Exception
	Present int64 // days of the window on which the unit was there
	Owed    int   // how often
	Event   *Credit
}

// Obligations are those of a window in a scope, of the statuses wanted (none:
// all), in the order of their units; skip and most cut a page. total is how many
// there are.
func (b *Book) Obligations(j *Judged, s Scope, wanted []Status, skip, most int) (list []Obligation, total int) {
	for n := range j.members {
		if len(wanted) > 0 && !slices.Contains(wanted, j.status[n]) || !j.within(n, s) {
			continue
		}
		if total++; total > skip && len(list) < most {
			list = append(list, b.obligation(j, n))
		}
	}
	return list, total
}

func (j *Judged) within(n int, s Scope) bool {
	m := &j.members[n]
	switch {
	case s.Department != 0:
		return m.Department == s.Department
	case s.Company != 0:
		return j.company(n) == s.Company || slices.Contains(m.Also, s.Company)
	}
	return true
}

// company is whose figure a member stands in: of a company as a unit, its own.
func (j *Judged) company(n int) uint32 {
	m := &j.members[n]
	if m.Company == 0 && j.Duty.Population == "company" {
		return m.Unit.Ordinal
	}
	return m.Company
}

func (b *Book) obligation(j *Judged, n int) Obligation {
	o := Obligation{Member: j.members[n], Status: j.status[n], Done: j.done[n]}
	if o.Status == Waived || o.Status == NA {
		o.Waiver = b.exception(b.about(j.Duty), j.Duty, o.Member.Unit, min(j.Window.Until-1, b.at))
	}
	if n < len(j.present) {
		o.Present = j.present[n]
		o.Owed = j.Duty.Cadence.owed(o.Present, j.Window)
	}
	if n < len(j.events) {
		f := j.events[n]
		o.Event = &Credit{Seq: f.seq, Unit: o.Member.Unit, From: f.from, Until: f.until, Recorded: f.recorded, Value: f.value}
	}
	return o
}

// Obligation is one unit's; false if it owes nothing in that window.
func (b *Book) Obligation(j *Judged, u Unit) (Obligation, bool) {
	if n := j.place(u); n >= 0 {
		return b.obligation(j, n), true
	}
	return Obligation{}, false
}

// place is where a unit stands; -1: nowhere. Populations are in the order of
// their units; events and milestones are in their own.
func (j *Judged) place(u Unit) int {
	if j.Duty.Kind != PerPerson && j.Duty.Kind != PerEntity && j.Duty.Kind != State {
		return slices.IndexFunc(j.members, func(m Member) bool { return m.Unit == u })
	}
	n, ok := slices.BinarySearchFunc(j.members, u, func(m Member, u Unit) int {
		return cmp.Or(strings.Compare(m.Unit.Space, u.Space), cmp.Compare(m.Unit.Ordinal, u.Ordinal))
	})
	if !ok {
		return -1
	}
	return n
}

// A Proof is a credit with what it is worth to a duty.
type Proof struct {
	Credit
	Counts  bool // in the figure
	Pending bool // it may come to
	Beside  bool // it stands beside the figure
}

// Behind is the evidence about a unit for a duty, of what began within a window,
// or still held then; the newest first.
func (b *Book) Behind(d *Duty, u Unit, w Window) (list []Proof) {
	for n := range d.Evidence {
		s := &d.Evidence[n]
		take := func(u Unit, f fact) {
			over := f.until != 0 && f.until <= w.From
			if d.Kind == PerPerson || d.Kind == PerEntity || d.Kind == EventClock || d.Kind == Programme {
				over = f.from < w.From
			}
			if f.from >= w.Until+int64(d.Cadence.LateDays)*microsADay || over || !s.Accepts(b.names[f.item]) {
				return
			}
			how := b.worth(s, f)
			list = append(list, Proof{b.kept(s.Kind, u, f), how == counts && !s.Beside, how == pending, s.Beside})
		}
		if u == Group || u == (Unit{}) {
			b.eachFact(s.Kind, take)
			continue
		}
		for _, f := range b.of(s.Kind, u) {
			take(u, f)
		}
	}
	slices.SortStableFunc(list, func(a, b Proof) int { return cmp.Or(cmp.Compare(b.From, a.From), cmp.Compare(b.Seq, a.Seq)) })
	return list
}

// Wrong are some of the entries that were not right, of a duty that a counter
// counts; newest first.
func (b *Book) Wrong(d *Duty) []uint64 {
	c := b.counters[d.Population]
	if c == nil {
		return nil
	}
	list := slices.Clone(c.wrong)
	slices.Reverse(list)
	return list
}

// Stands counts clauses by how their worst duty stands.
type Stands struct {
	Full    int `json:"full"`    // every obligation is met
	Part    int `json:"part"`    // some are missed or late
	Unknown int `json:"unknown"` // nothing is certain
	None    int `json:"no_case"` // nothing is due, or no duty stands behind it
}

// Add counts one clause.
func (s *Stands) Add(c Standing) {
	switch {
	case c.Worst == nil:
		s.None++
	case c.Worst.Tally.Num == c.Worst.Tally.Den:
		s.Full++
	case c.Worst.Tally.Num == 0 && c.Worst.Tally.Dark == c.Worst.Tally.Den:
		s.Unknown++
	default:
		s.Part++
	}
}

// StatusOf is a status by its name.
func StatusOf(name string) (Status, bool) {
	n := slices.Index(statusNames[:], name)
	return Status(max(0, n)), n >= 0
}

// Through is the last entry that was folded.
func (b *Book) Through() uint64 { return b.seq }

// Units are what the directory has of a kind at a time.
func (b *Book) Units(kind string, now int64) []Member { return b.membersAt(kind, now) }
