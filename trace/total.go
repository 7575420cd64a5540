package trace

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"sekisho/vault"
)

// Whole answers a question about the customers of one subject, or, where it names
// none, about those of all: then it is the Total over the subjects that rosters
// names, with each one's roster, or nil.
func (t *Trace) Whole(q Question, rosters map[string]*vault.Roster) (*Answer, error) {
	if q.Space != "" || len(rosters) == 0 {
		return t.Impact(q, rosters[q.Space])
	}
	var parts []*Answer
	for _, space := range sortedKeys(rosters) {
		q := q
		q.Space = space
		a, err := t.Impact(q, rosters[space])
		if err != nil {
			return nil, err
		}
		parts = append(parts, a)
	}
	return Total(parts...), nil
}

// Total is the answer over all subjects of a company, from one for each of them to
// the same question otherwise. Of one subject it is its answer itself. Somebody who
// is in two subjects counts twice: nothing says that two keys are one person.
//
// It has no lists, since an ordinal means nothing without its subject; those of the
// parts have theirs.
func Total(parts ...*Answer) *Answer {
	if len(parts) == 1 {
		return parts[0]
	}
	first := parts[0]
	a := &Answer{
		Question: first.Question, Endpoints: first.Endpoints, Since: first.Since, Until: first.Until, Hostile: first.Hostile,
		Compression: first.Compression, Through: first.Through, Subjects: parts,
	}
	a.Question.Space = ""
	number := func(of func(*Answer) Number) Number {
		n := Number{}
		var terms []Term
		var evidence []Evidence
		for _, p := range parts {
			one := of(p)
			n.Value += one.Value
			n.Breakdown = together(n.Breakdown, one.Breakdown)
			evidence = append(evidence, one.Evidence)
			terms = append(terms, term(p.Space, one.Value))
		}
		n.Evidence = allEvidence(evidence, a.Question.Evidence)
		n.Formula = formula("subjects", n.Value, terms...)
		return n
	}
	a.Numbers.WorstCase = number(func(p *Answer) Number { return p.Numbers.WorstCase })
	a.Numbers.Suspected = number(func(p *Answer) Number { return p.Numbers.Suspected })
	a.Numbers.Confirmed = number(func(p *Answer) Number { return p.Numbers.Confirmed })
	if !slices.ContainsFunc(parts, func(p *Answer) bool { return p.Numbers.Confirmed.Formula.Code != "no_file" }) {
		a.Numbers.Confirmed.Formula = formula("no_file", 0)
	}
	a.WorstCase, a.Suspected, a.Confirmed = a.Numbers.WorstCase.Value, a.Numbers.Suspected.Value, a.Numbers.Confirmed.Value
	a.totalSent()
	a.Observed = first.Observed
	a.NotObserved = allNotes(parts)
	return a
}

// totalSent is the most people whose data fits into what left. The same bytes bound
// each subject, so the bounds do not add up: the bytes are spent on the subject
// with the smallest rows first, of which the most fit.
func (a *Answer) totalSent() {
	n := &a.Numbers.SentAtMost
	n.Evidence = a.Subjects[0].Numbers.SentAtMost.Evidence // the connections are the same for each
	a.SentKnown = true
	var bytes uint64
	var least []*Answer
	for _, p := range a.Subjects {
		if p.WorstCase == 0 {
			continue
		}
		if !p.SentKnown {
			a.SentKnown, a.SentAtMost = false, a.WorstCase
			code := p.Numbers.SentAtMost.Formula.Code
			n.Value, n.Formula = a.SentAtMost, formula(code, a.SentAtMost, term("worst_case", a.WorstCase))
			return
		}
		bytes = p.sent.bytes
		least = append(least, p)
	}
	if len(least) == 0 { // nobody is concerned
		a.SentKnown = a.Subjects[0].SentKnown
		n.Formula = formula(a.Subjects[0].Numbers.SentAtMost.Formula.Code, 0, a.Subjects[0].Numbers.SentAtMost.Formula.Terms...)
		return
	}
	slices.SortStableFunc(least, func(x, y *Answer) int { return cmp.Compare(x.sent.least, y.sent.least) })
	left := new(big.Int).Mul(new(big.Int).SetUint64(bytes), big.NewInt(int64(math.Ceil(a.Compression*100))))
	spent := map[string]uint64{}
	for _, p := range least {
		if left.Sign() == 0 {
			break
		}
		row := big.NewInt(int64(p.sent.least) * 100)
		fits := new(big.Int).Div(left, row)
		people := p.WorstCase
		if fits.IsUint64() {
			people = min(people, fits.Uint64())
		}
		spent[p.Space] = people
		a.SentAtMost += people
		left.Sub(left, row.Mul(row, new(big.Int).SetUint64(people)))
	}
	terms := []Term{term("bytes", bytes), {"compression", a.Compression}, term("connections", n.Evidence.Entries)}
	for _, p := range a.Subjects {
		terms = append(terms, term(p.Space, spent[p.Space]))
	}
	n.Value, n.Formula = a.SentAtMost, formula("sent_subjects", a.SentAtMost, terms...)
}

// Nameless: an access could have read anybody, so that no list holds everybody whom
// the worst case counts.
func (a *Answer) Nameless() bool {
	return slices.ContainsFunc(a.Parts(), func(p *Answer) bool { return p.Numbers.WorstCase.Formula.Code != "worst_case" })
}

// Parts are the answers of which it is the total; itself, if it is of one subject.
func (a *Answer) Parts() []*Answer {
	if len(a.Subjects) > 0 {
		return a.Subjects
	}
	return []*Answer{a}
}

// together adds up parts that say the same of their customers.
func together(a, b []Part) []Part {
	for _, p := range b {
		at := slices.IndexFunc(a, func(o Part) bool { return o.Kind == p.Kind && o.Dimension == p.Dimension && o.Value == p.Value })
		if at < 0 {
			a = append(slices.Clip(a), p)
			continue
		}
		a[at].Count += p.Count
	}
	return a
}

// allEvidence names the entries of several numbers; none of them is in two.
func allEvidence(list []Evidence, most int) (all Evidence) {
	var some []string
	for _, e := range list {
		all.Entries += e.Entries
		if e.First != "" && (all.First == "" || byEntry(e.First, all.First) < 0) {
			all.First = e.First
		}
		if e.Last != "" && (all.Last == "" || byEntry(e.Last, all.Last) > 0) {
			all.Last = e.Last
		}
		some = append(some, e.Some...)
	}
	slices.SortFunc(some, byEntry)
	some = slices.Compact(some)
	all.Some = some[:min(most, len(some))]
	return all
}

// byEntry compares entries written as gate.epoch.sequence.
func byEntry(a, b string) int {
	seq := func(id string) uint64 {
		n, _ := strconv.ParseUint(id[strings.LastIndexByte(id, '.')+1:], 10, 64)
		return n
	}
	return cmp.Compare(seq(a), seq(b))
}

// allNotes are what was not observed, each said once. What is about the customers of
// one subject adds up.
func allNotes(parts []*Answer) []Note {
	list := []Note{}
	for _, p := range parts {
		for _, n := range p.NotObserved {
			if n.Code == "no_roster" {
				n.Code, n.Name = "no_roster_of", p.Space
				n.Text = n.English()
			}
			adds := slices.Contains([]string{"unverified", "terminal_unknown", "terminal_stated", "any_row", "written", "files_elsewhere", "confirmed_outside"}, n.Code)
			at := slices.IndexFunc(list, func(o Note) bool { return o == n || adds && o.Code == n.Code })
			switch {
			case at < 0:
				list = append(list, n)
			case adds:
				list[at].Count += n.Count
				list[at].Reach += n.Reach
				list[at].Text = list[at].English()
			}
		}
	}
	return list
}
