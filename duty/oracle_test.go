package duty

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"sekisho"
)

// The oracle judges "so many times a window" straight from the entries, by
// trying every choice of what could count: slow, and with nothing in common with
// the engine but the rules of docs/duties.md.
type oracleFact struct {
	seq  uint64
	at   int64
	item string
	good bool // it counts; else it may come to
}

type oracle struct {
	times, gap, late int
	distinct         bool
}

// judge gives the status of each window for one unit.
func (o oracle) judge(facts []oracleFact, windows []Span, owed []int, there []bool, now int64) (list []string) {
	spent := map[uint64]bool{}
	for n, w := range windows {
		if !there[n] {
			list = append(list, "-")
			spent = map[uint64]bool{}
			continue
		}
		var own, tail, maybe []oracleFact
		for _, f := range facts {
			switch {
			case f.at > now || spent[f.seq] && f.good && f.at >= w.From && f.at < w.Until:
			case f.at >= w.From && f.at < w.Until && f.good:
				own = append(own, f)
			case f.at >= w.From && f.at < w.Until:
				maybe = append(maybe, f)
			case f.at >= w.Until && f.at < w.Until+int64(o.late)*microsADay && f.good:
				tail = append(tail, f)
			}
		}
		next := map[uint64]bool{}
		switch need := owed[n]; {
		case need == 0:
			list = append(list, "NA")
		case o.best(own, need) != nil:
			list = append(list, "MET")
		case o.best(append(append([]oracleFact{}, own...), tail...), need) != nil:
			list = append(list, "LATE")
			for _, f := range o.best(append(append([]oracleFact{}, own...), tail...), need) {
				if f.at >= w.Until {
					next[f.seq] = true
				}
			}
		case o.best(append(append([]oracleFact{}, own...), maybe...), need) != nil:
			list = append(list, "UNKNOWN")
		case now < w.Until:
			list = append(list, "OPEN")
		default:
			list = append(list, "MISSED")
		}
		spent = next
	}
	return list
}

// best is a choice of need facts that count together and whose last is as early
// as can be; of those, the one whose members are as late as can be, from the last
// backwards. It tries every subset.
func (o oracle) best(facts []oracleFact, need int) (best []oracleFact) {
	order := func(a, b oracleFact) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }
	for i := range facts {
		for j := i + 1; j < len(facts); j++ {
			if order(facts[j], facts[i]) {
				facts[i], facts[j] = facts[j], facts[i]
			}
		}
	}
	for mask := range 1 << len(facts) {
		var chosen []oracleFact
		for n := range facts {
			if mask>>n&1 == 1 {
				chosen = append(chosen, facts[n])
			}
		}
		if len(chosen) != need || !o.together(chosen) {
			continue
		}
		if best == nil || o.better(chosen, best, order) {
			best = chosen
		}
	}
	return best
}

func (o oracle) better(a, b []oracleFact, before func(a, b oracleFact) bool) bool {
	last := len(a) - 1
	if a[last].seq != b[last].seq {
		return before(a[last], b[last])
	}
	for n := last - 1; n >= 0; n-- {
		if a[n].seq != b[n].seq {
			if !o.distinct && o.gap == 0 {
				return before(a[n], b[n])
			}
			return before(b[n], a[n])
		}
	}
	return false
}

func (o oracle) together(chosen []oracleFact) bool {
	items := map[string]bool{}
	for n, f := range chosen {
		if o.distinct && items[f.item] {
			return false
		}
		items[f.item] = true
		if n > 0 && f.at-chosen[n-1].at < int64(o.gap)*microsADay {
			return false
		}
	}
	return true
}

// The engine and the oracle agree on random histories: who is met, late, missed,
// unknown, for how many, through year ends, joiners, leavers and leave, while
// evidence comes late, is withdrawn, rejected and signed.
func TestEngineAgainstTheOracle(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		o := oracle{times: 1 + r.IntN(3), gap: []int{0, 0, 20, 60}[r.IntN(4)], late: []int{0, 28, 60}[r.IntN(3)], distinct: r.IntN(2) == 0}
		register, err := Read(nil)
		if err != nil {
			t.Fatal(err)
		}
		window := []string{"year", "half"}[r.IntN(2)]
		d := register.Duty("M3a")
		d.Cadence = Cadence{Times: o.times, Window: window, GapDays: o.gap, LateDays: o.late, Distinct: o.distinct}
		d.Evidence[0].Second = true
		start := day("2025-04-01")
		var people []Member
		for n := range 6 {
			m := Member{Unit: Unit{"staff", uint32(n + 1)}, Kind: "employee", Company: 1}
			if r.IntN(3) == 0 {
				m.From = start + r.Int64N(700)*microsADay
			}
			if r.IntN(4) == 0 {
				m.Until = max(m.From, start) + (30+r.Int64N(600))*microsADay
			}
			if r.IntN(4) == 0 {
				from := start + r.Int64N(500)*microsADay
				m.Away = []Span{{from, from + (10+r.Int64N(200))*microsADay}}
			}
			people = append(people, m)
		}
		h := &hand{b: New(Setup{Register: register, Zone: tokyo, Directory: Directory{
			People: func(at int64) iter.Seq[Member] {
				return func(yield func(Member) bool) {
					for _, m := range people {
						if m.From <= at && (m.Until == 0 || m.Until > at) && !yield(m) {
							return
						}
					}
				}
			},
			Version: func() uint64 { return 1 },
		}})}
		h.at(start, &sekisho.LedgerOpened{})
		facts := make([][]oracleFact, len(people))
		wrote := start
		for range 40 {
			wrote += r.Int64N(40) * microsADay
			p := r.IntN(len(people))
			at := wrote - r.Int64N(90)*microsADay // it is recorded later than it held
			item := fmt.Sprint("course-", r.IntN(4))
			producer := []string{"S", "H"}[r.IntN(2)]
			seq := h.at(wrote, &sekisho.EvidenceStated{Evidence: "training_completion", Producer: producer, Space: "staff", Units: []uint32{uint32(p + 1)}, From: sekisho.Time(at), Item: item, By: 50})
			f := oracleFact{seq, at, item, producer == "S"}
			gone := false
			switch r.IntN(5) {
			case 0:
				h.at(wrote, &sekisho.EvidenceSigned{Evidence: seq, Action: "withdrawn", By: 50})
				gone = true
			case 1, 2:
				h.at(wrote, &sekisho.EvidenceSigned{Evidence: seq, Action: "countersigned", By: 51})
				f.good = true
			case 3:
				if producer == "H" {
					h.at(wrote, &sekisho.EvidenceSigned{Evidence: seq, Action: "rejected", By: 51})
					gone = true
				}
			}
			if !gone && len(facts[p]) < 11 {
				facts[p] = append(facts[p], f)
			} else if !gone { // the oracle tries every subset: it takes no more
				h.at(wrote, &sekisho.EvidenceSigned{Evidence: seq, Action: "withdrawn", By: 50})
			}
		}
		for _, now := range []int64{start + 100*microsADay, start + 400*microsADay, start + 1000*microsADay} {
			months := 12
			if window == "half" {
				months = 6
			}
			var windows []Span
			for from := time.UnixMicro(start).In(tokyo); from.UnixMicro() <= now; from = from.AddDate(0, months, 0) {
				windows = append(windows, Span{from.UnixMicro(), from.AddDate(0, months, 0).UnixMicro()})
			}
			list := h.b.judge(d, now)
			for p, m := range people {
				var owed []int
				var there []bool
				for _, w := range windows {
					at := min(w.Until-1, now)
					there = append(there, m.From <= at && (m.Until == 0 || m.Until > at))
					days, whole := int64(0), (w.Until-w.From)/microsADay
					for x := w.From; x < w.Until; x += microsADay {
						away := len(m.Away) > 0 && x >= m.Away[0].From && x < m.Away[0].Until
						if x >= m.From && (m.Until == 0 || x < m.Until) && !away {
							days++
						}
					}
					n := 0 // the nearest whole share of times; a half counts up
					for 2*int64(n+1)*whole <= 2*int64(o.times)*days+whole {
						n++
					}
					owed = append(owed, n)
				}
				want := o.judge(facts[p], windows, owed, there, now)
				var got []string
				for _, j := range list {
					s := "-"
					if ob, ok := h.b.Obligation(j, m.Unit); ok {
						s = ob.Status.String()
					}
					got = append(got, s)
				}
				// Where nobody has ever reported, what is missed is unknown.
				for n, j := range list {
					if n < len(got) && got[n] == "UNKNOWN" && want[n] == "MISSED" && h.b.silent(d, j.Window.Until) {
						got[n] = "MISSED"
					}
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("seed %d (%+v, %s), person %d (%+v), at day %d:\n got %v\nwant %v\nfacts %+v owed %v", seed, o, window, p+1, m, (now-start)/microsADay, got, want, facts[p], owed)
				}
			}
			// The figures are what the obligations add up to.
			for _, j := range list {
				var sum Tally
				for _, s := range j.status {
					sum.add(s)
				}
				sum.units()
				if sum != j.Total {
					t.Fatalf("seed %d: %+v, counted %+v", seed, j.Total, sum)
				}
			}
		}
	}
}
