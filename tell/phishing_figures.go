package tell

import (
	"cmp"
	"slices"
	"sync"

	"sekisho"
	"sekisho/duty"
)

// Figures are what became of some people's lures. Everything counts people, not
// events, each by the most human of what they did. The headline is who reported,
// and how soon: not who fell for it.
type Figures struct {
	Mailed   int `json:"mailed"`   // the denominator: the mail server took the lure
	Unclear  int `json:"unclear"`  // unknown: nobody can tell whether it went out
	Unsent   int `json:"unsent"`   // not written to (yet)
	Reported int `json:"reported"` // the numerator of the report rate
	// ReportedFirst reported, and did nothing else with the lure before.
	ReportedFirst int `json:"reported_first"`
	// FirstReport is how many seconds after the first lure of the group the first
	// report came, and MedianReport how long those who reported took after their
	// own came; -1: nobody reported.
	FirstReport  int64 `json:"first_report_seconds"`
	MedianReport int64 `json:"median_report_seconds"`
	// Fell are people who followed the link, opened the attachment, gave the form
	// something or answered, by who is held to have done it.
	Fell map[string]int `json:"fell"`
	// Did is each deed, by who is held to have done it.
	Did map[string]map[string]int `json:"did"`
}

// DeedCodes are all deeds that are counted, in the order in which they happen.
func DeedCodes() []string {
	return []string{"opened", "clicked", "attachment", "typed", "left_empty", "replied", "learned", "reported"}
}

var falls = []string{"clicked", "attachment", "typed", "left_empty", "replied"}

// A Group is some people of a campaign.
type Group struct {
	Unit    uint32  `json:"unit,omitempty"` // ordinal in "unit"; 0: no one unit
	Key     string  `json:"key,omitempty"`  // difficulty, lure, "executives", "others"
	People  int     `json:"people"`
	Figures Figures `json:"figures"`
}

// A Result is a campaign's figures. Groups below the least size are put together.
type Result struct {
	Campaign    uint64
	At          sekisho.Time
	Asked       *sekisho.LureAsked
	Whole       Figures
	Levels      []Group // by difficulty, the hardest first
	Lures       []Group // by lure and language
	Departments []Group // of at least so many people; Key "others": all smaller ones together
	Hidden      int     // people of departments of whom nothing can be shown apart
	Executives  *Group  // nil: too few
	Forgotten   bool    // who was who cannot be found out any more: what was summed up before
	Deeds       int
	Last        sekisho.Time
}

// outcome is one person's part.
type outcome struct {
	mailed   sekisho.Time
	unclear  bool
	did      map[string]Class // the most human
	reported sekisho.Time
	fell     sekisho.Time // when a person first did; 0: never
}

func outcomeOf(deeds []Deed, mailed sekisho.Time) outcome {
	o := outcome{mailed: mailed}
	if len(deeds) == 0 {
		return o
	}
	o.did = map[string]Class{}
	visits := judge(deeds, mailed)
	for _, d := range deeds {
		if d.Did == "trap" || d.Did == "stirred" {
			continue
		}
		c := classOf(d, visits)
		if was, ok := o.did[d.Did]; !ok || c > was {
			o.did[d.Did] = c
		}
		if d.Did == "reported" && o.reported == 0 {
			o.reported = d.At
		}
		if c == Human && slices.Contains(falls, d.Did) && (o.fell == 0 || d.At < o.fell) {
			o.fell = d.At
		}
	}
	return o
}

// sum adds outcomes up. began: the first of the group's lures.
func sum(list []outcome) Figures {
	f := Figures{FirstReport: -1, MedianReport: -1, Fell: map[string]int{}, Did: map[string]map[string]int{}}
	for _, d := range DeedCodes() {
		f.Did[d] = map[string]int{}
	}
	var began, first sekisho.Time
	var took []int64
	for _, o := range list {
		switch {
		case o.mailed > 0:
			f.Mailed++
			if began == 0 || o.mailed < began {
				began = o.mailed
			}
		case o.unclear:
			f.Unclear++
		default:
			f.Unsent++
		}
		fell, any := Machine, false
		for did, c := range o.did {
			if f.Did[did] != nil {
				f.Did[did][c.String()]++
			}
			if slices.Contains(falls, did) {
				fell, any = max(fell, c), true
			}
		}
		if any {
			f.Fell[fell.String()]++
		}
		if o.reported > 0 {
			f.Reported++
			if o.fell == 0 || o.reported < o.fell {
				f.ReportedFirst++
			}
			if first == 0 || o.reported < first {
				first = o.reported
			}
			if o.mailed > 0 {
				took = append(took, max(0, int64(o.reported-o.mailed)/1e6))
			}
		}
	}
	if first > 0 && began > 0 {
		f.FirstReport = max(0, int64(first-began)/1e6)
	}
	if len(took) > 0 {
		slices.Sort(took)
		f.MedianReport = took[(len(took)-1)/2]
	}
	return f
}

// results are kept until an entry changes them: to add 50,000 people up takes a
// quarter of a second.
type results struct {
	mu sync.Mutex
	by map[uint64]kept
}

type kept struct {
	changed uint64
	result  Result
}

// Result gives a campaign's figures: computed while its key is there, what was
// summed up after. It is shared: nobody changes it.
func (l *Lures) Result(number uint64) (r Result, err error) {
	changed := uint64(0)
	l.Views.Read(func() {
		if c := l.Seen.find(number); c != nil {
			changed = c.changed
		}
	})
	l.added.mu.Lock()
	k, ok := l.added.by[number]
	l.added.mu.Unlock()
	if ok && k.changed == changed {
		return k.result, nil
	}
	if r, err = l.add(number); err != nil {
		return r, err
	}
	l.added.mu.Lock()
	defer l.added.mu.Unlock()
	if l.added.by == nil {
		l.added.by = map[uint64]kept{}
	}
	l.added.by[number] = kept{changed, r}
	return r, nil
}

// add adds a campaign up.
func (l *Lures) add(number uint64) (r Result, err error) {
	type person struct {
		outcome
		staff, lure uint32
	}
	var people []person
	var summed []*sekisho.LureSummed
	ok := false
	l.Views.Read(func() {
		c := l.Seen.find(number)
		if c == nil || !c.ready {
			return
		}
		ok = true
		r = Result{Campaign: number, At: c.at, Asked: c.asked, Forgotten: c.forgot, Deeds: c.deeds, Last: c.last}
		if c.forgot {
			summed = c.summed
			return
		}
		j := l.join(c)
		if j == nil {
			r.Forgotten = true
			return
		}
		people = make([]person, len(c.staff))
		for i, o := range c.staff {
			p := person{outcomeOf(c.done[j.who[i]], c.mailed[i]), o, uint32(c.lure[i])}
			p.unclear = c.unclear[o]
			people[i] = p
		}
	})
	if !ok {
		return r, wrong("campaign")
	}
	if r.Forgotten {
		l.remember(&r, summed)
		return r, nil
	}
	all := make([]outcome, len(people))
	levels, lures := map[string][]outcome{}, map[string][]outcome{}
	where := map[uint32]Reader{}
	for _, p := range l.Readers(r.Asked.From) {
		where[p.Staff] = p
	}
	units, executives := map[uint32][]outcome{}, []outcome{}
	for i, p := range people {
		all[i] = p.outcome
		if t, lang, err := l.template(r.Asked, p.lure); err == nil {
			level := t.Rate(lang).Difficulty
			levels[level] = append(levels[level], p.outcome)
		}
		lures[r.Asked.Lures[p.lure]] = append(lures[r.Asked.Lures[p.lure]], p.outcome)
		w := where[p.staff]
		units[w.Department] = append(units[w.Department], p.outcome)
		if w.Executive {
			executives = append(executives, p.outcome)
		}
	}
	r.Whole = sum(all)
	r.Levels = keyed(levels, duty.Difficulties(), l.Config.Least)
	r.Lures = keyed(lures, r.Asked.Lures, l.Config.Least)
	if n := len(executives); n >= l.Config.Least && (len(people) == n || len(people)-n >= l.Config.Least) {
		r.Executives = &Group{Key: "executives", People: n, Figures: sum(executives)}
	}
	r.Departments, r.Hidden = apart(units, l.Config.Least)
	return r, nil
}

// keyed gives the figures of groups in an order, by the same rule: who got which
// lure is no secret, so that a group of few would name them.
func keyed(groups map[string][]outcome, order []string, least int) []Group {
	units := map[uint32][]outcome{}
	for i, key := range order {
		if len(groups[key]) > 0 {
			units[uint32(i+1)] = groups[key]
		}
	}
	list, _ := apart(units, least)
	for i, g := range list {
		if g.Unit != 0 {
			list[i].Key, list[i].Unit = order[g.Unit-1], 0
		}
	}
	return list
}

// apart gives the figures of each department that is large enough. The smaller
// ones stand together; where they are few together, too, the smallest of the
// others is put to them, so that what is hidden cannot be had by taking what is
// shown from the whole.
func apart(units map[uint32][]outcome, least int) (list []Group, hidden int) {
	var small []outcome
	var large []uint32
	for u, people := range units {
		if u == 0 || len(people) < least {
			small = append(small, people...)
		} else {
			large = append(large, u)
		}
	}
	slices.SortFunc(large, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(len(units[b]), len(units[a])), cmp.Compare(a, b))
	})
	for n := len(large); n > 0 && len(small) > 0 && len(small) < least; n = len(large) {
		small = append(small, units[large[n-1]]...)
		large = large[:n-1]
	}
	for _, u := range large {
		list = append(list, Group{Unit: u, People: len(units[u]), Figures: sum(units[u])})
	}
	slices.SortFunc(list, func(a, b Group) int { return cmp.Compare(a.Unit, b.Unit) })
	if len(small) > 0 {
		if len(small) < least || len(large) == 0 {
			return list, len(small)
		}
		list = append(list, Group{Key: "others", People: len(small), Figures: sum(small)})
	}
	return list, 0
}

// A Part is what one person did in one campaign.
type Part struct {
	Campaign uint64            `json:"campaign"`
	Title    uint32            `json:"-"` // ordinal in "said"
	Staff    uint32            `json:"-"`
	Mailed   sekisho.Time      `json:"mailed,omitempty"`
	Lure     string            `json:"lure"`
	Level    string            `json:"difficulty"`
	Reported sekisho.Time      `json:"reported,omitempty"`
	Did      map[string]string `json:"did"` // each deed, and who is held to have done it
}

// parts are what some people did in a campaign. It names them: its callers have
// recorded that they look.
func (l *Lures) parts(number uint64, staff []uint32) (list []Part) {
	l.Views.Read(func() {
		c := l.Seen.find(number)
		if c == nil || !c.ready {
			return
		}
		j := l.join(c)
		if j == nil {
			return
		}
		for _, s := range staff {
			i := c.placeOf(s)
			if i < 0 {
				continue
			}
			o := outcomeOf(c.done[j.who[i]], c.mailed[i])
			p := Part{Campaign: number, Title: c.asked.Title, Staff: s, Mailed: o.mailed, Lure: c.asked.Lures[c.lure[i]], Reported: o.reported, Did: map[string]string{}}
			if t, lang, err := l.template(c.asked, uint32(c.lure[i])); err == nil {
				p.Level = t.Rate(lang).Difficulty
			}
			for did, class := range o.did {
				p.Did[did] = class.String()
			}
			list = append(list, p)
		}
	})
	return list
}

// Own is somebody's own history, for their own eyes: everything that was kept of
// them, the latest first.
func (l *Lures) Own(staff uint32) (list []Part) {
	var numbers []uint64
	l.Views.Read(func() { numbers = l.Seen.Numbers() })
	for _, n := range numbers {
		list = append(list, l.parts(n, []uint32{staff})...)
	}
	return list
}
