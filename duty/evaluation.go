package duty

import (
	"cmp"
	"slices"

	"sekisho"
)

// Measures are what can follow a breach, the mildest first.
var Measures = []string{"none", "guidance", "training", "warning", "reprimand", "pay_cut", "suspension", "demotion", "dismissal"}

// A Case is a breach of the rules and what followed. Whose it is stands in the
// vault alone.
type Case struct {
	Number   uint64
	At       sekisho.Time
	Body     *sekisho.CaseOpened
	Heard    sekisho.Time         // when the person could say their side
	Proposed *sekisho.CaseDecided // the last proposal
	Decided  *sekisho.CaseDecided // the answer to it
	Over     sekisho.Time         // when that was, or it was dropped
	Dropped  bool
	Steps    []CaseStep
}

// A CaseStep is one step, as it was written.
type CaseStep struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.CaseDecided
}

// State is "open", "proposed", "decided", "dropped".
func (c *Case) State() string {
	switch {
	case c.Dropped:
		return "dropped"
	case c.Over != 0:
		return "decided"
	case c.Proposed != nil:
		return "proposed"
	}
	return "open"
}

// Measure is what was decided; "" for nothing yet.
func (c *Case) Measure() string {
	if c.Over == 0 || c.Dropped {
		return ""
	}
	return c.Proposed.Measure
}

// Explained: somebody wrote why it was measured otherwise than its likes.
func (c *Case) Explained() bool {
	return slices.ContainsFunc(c.Steps, func(s CaseStep) bool { return s.Body.Action == "explained" })
}

// like: what the two did is the same by every mark that is recorded. The rank of
// a person is none of them: that is what the comparison is for.
func (c *Case) like(d *Case) bool {
	x, y := c.Body, d.Body
	return x.Rule == y.Rule && x.Gravity == y.Gravity && x.Intent == y.Intent && x.Repeated == y.Repeated
}

// A Likeness is a group of like cases with what followed each.
type Likeness struct {
	Rule, Gravity, Intent string
	Repeated              bool
	Cases                 []*Case // those that were decided
	Mildest, Hardest      string
	Apart                 int     // measures between them
	Ranks                 bool    // the ranks of their people differ
	Unexplained           []*Case // decided otherwise than most, without a word why
}

// Likenesses compares like cases. A group is uneven when its measures are not
// the same; a case that stands apart from what most of its group got has to be
// explained.
func (b *Checks) Likenesses() (groups []Likeness) {
	for _, c := range b.cases {
		if c.Measure() == "" {
			continue
		}
		n := slices.IndexFunc(groups, func(g Likeness) bool { return g.Cases[0].like(c) })
		if n < 0 {
			x := c.Body
			groups = append(groups, Likeness{Rule: x.Rule, Gravity: x.Gravity, Intent: x.Intent, Repeated: x.Repeated})
			n = len(groups) - 1
		}
		groups[n].Cases = append(groups[n].Cases, c)
	}
	for n := range groups {
		groups[n].weigh()
	}
	return groups
}

func (g *Likeness) weigh() {
	var times [9]int
	low, high, most := len(Measures), -1, 0
	for _, c := range g.Cases {
		m := slices.Index(Measures, c.Measure())
		if m < 0 {
			continue
		}
		times[m]++
		low, high = min(low, m), max(high, m)
		g.Ranks = g.Ranks || c.Body.Rank != g.Cases[0].Body.Rank
	}
	if high < 0 {
		return
	}
	for m, n := range times {
		if n > times[most] {
			most = m
		}
	}
	g.Mildest, g.Hardest, g.Apart = Measures[low], Measures[high], high-low
	for _, c := range g.Cases {
		// With no measure that most got, each of them has to be explained.
		if apart := c.Measure() != Measures[most] || 2*times[most] <= len(g.Cases) && g.Apart > 0; apart && !c.Explained() {
			g.Unexplained = append(g.Unexplained, c)
		}
	}
}

type evaluation struct {
	cases     []*Case
	evaluated map[uint32]map[uint32]*evaluated // by year, then person
	looks     []Look
}

type evaluated struct {
	entry     uint64
	body      *sekisho.Evaluated
	at        sekisho.Time
	confirmed bool
}

// A Year is how far the evaluations of a year are recorded.
type Year struct {
	Year                uint32
	Recorded, Confirmed int
}

// EvaluatedYears are the years, the latest first.
func (b *Checks) EvaluatedYears() (list []Year) {
	for year, people := range b.evaluated {
		y := Year{Year: year, Recorded: len(people)}
		for _, one := range people {
			if one.confirmed {
				y.Confirmed++
			}
		}
		list = append(list, y)
	}
	slices.SortFunc(list, func(a, b Year) int { return cmp.Compare(b.Year, a.Year) })
	return list
}

// Unconfirmed counts the records of a year that wait for a second person's word
// and are not by whom mine says.
func (b *Checks) Unconfirmed(year uint32, mine func(by uint32) bool) (n int) {
	for _, one := range b.evaluated[year] {
		if !one.confirmed && !mine(one.body.By) {
			n++
		}
	}
	return n
}

// A Look is one time in which somebody saw cases.
type Look struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.Looked
}

func (e *evaluation) init() { e.evaluated = map[uint32]map[uint32]*evaluated{} }

// Cases is every case.
func (b *Checks) Cases() []*Case { return b.cases }

// Case is the case of that number, or nil.
func (b *Checks) Case(number uint64) *Case {
	n := slices.IndexFunc(b.cases, func(c *Case) bool { return c.Number == number })
	if n < 0 {
		return nil
	}
	return b.cases[n]
}

// Looks is who saw them.
func (b *Checks) Looks() []Look { return b.looks }

func (b *Checks) evaluate(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.Evaluated:
		year := b.evaluated[x.Year]
		if year == nil {
			year = map[uint32]*evaluated{}
			b.evaluated[x.Year] = year
		}
		if before := year[x.Person]; before != nil {
			b.withdraw(before.entry)
		}
		one := &evaluated{entry: e.ID.Seq, body: x, at: e.Time}
		year[x.Person] = one
		b.proveEvaluated(one)
	case *sekisho.EvaluationConfirmed:
		for _, person := range sortedKeys(b.evaluated[x.Year]) {
			if one := b.evaluated[x.Year][person]; !one.confirmed && one.body.By != x.By {
				one.confirmed = true
				b.withdraw(one.entry)
				b.proveEvaluated(one)
			}
		}
	case *sekisho.CaseOpened:
		c := &Case{Number: e.ID.Seq, At: e.Time, Body: x}
		b.cases = append(b.cases, c)
		b.credit(Credit{Seq: c.Number, Kind: "sanction_record", Unit: Unit{"case", uint32(c.Number)}, From: int64(x.Known), Recorded: int64(e.Time), State: "open"})
	case *sekisho.CaseDecided:
		if c := b.Case(x.Case); c != nil && c.State() != "dropped" {
			b.decided(c, e, x)
		}
	case *sekisho.Looked:
		b.looks = append(b.looks, Look{e.ID.Seq, e.Time, x})
	}
}

func (b *Checks) proveEvaluated(one *evaluated) {
	state := Unsigned
	if one.confirmed {
		state = ""
	}
	x := one.body
	b.credit(Credit{Seq: one.entry, Kind: "evaluation_record", Unit: Unit{"staff", x.Person}, From: int64(x.At), Recorded: int64(one.at), Item: "evaluation", State: state})
}

func (b *Checks) decided(c *Case, e *sekisho.Entry, x *sekisho.CaseDecided) {
	switch x.Action {
	case "heard":
		c.Heard = e.Time
	case "proposed":
		if c.Over != 0 || !slices.Contains(Measures, x.Measure) {
			return
		}
		c.Proposed = x
	case "approved":
		// By a second person, after the first could say their side.
		if c.Over != 0 || c.Proposed == nil || c.Heard == 0 || x.By == c.Proposed.By {
			return
		}
		c.Decided, c.Over = x, e.Time
	case "rejected":
		if c.Over != 0 || c.Proposed == nil || x.By == c.Proposed.By {
			return
		}
		c.Proposed = nil
	case "dropped":
		if c.Over != 0 {
			return
		}
		c.Dropped, c.Over = true, e.Time
	}
	c.Steps = append(c.Steps, CaseStep{e.ID.Seq, e.Time, x})
	if c.Over != 0 && x.Action != "explained" {
		b.withdraw(c.Number)
		if !c.Dropped {
			b.credit(Credit{Seq: c.Number, Kind: "sanction_record", Unit: Unit{"case", uint32(c.Number)}, From: int64(c.Over), Recorded: int64(e.Time), Item: "decided"})
		}
	}
}
