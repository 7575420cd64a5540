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

// A company group as large as asked for, over three years: who joined and left,
// and the evidence of every row by entries. The same seed gives the same group.
type bigGroup struct {
	people  []Member
	units   map[string][]Member
	version uint64
}

func (g *bigGroup) directory() Directory {
	there := func(list []Member, t int64) iter.Seq[Member] {
		return func(yield func(Member) bool) {
			for _, m := range list {
				if m.From <= t && (m.Until == 0 || m.Until > t) && !yield(m) {
					return
				}
			}
		}
	}
	return Directory{
		People:  func(t int64) iter.Seq[Member] { return there(g.people, t) },
		Units:   func(kind string, t int64) iter.Seq[Member] { return there(g.units[kind], t) },
		Version: func() uint64 { return g.version },
	}
}

func newGroup(companies, people int, start int64) *bigGroup {
	r := rand.New(rand.NewPCG(60, 50_000))
	g := &bigGroup{units: map[string][]Member{}, version: 1}
	for c := range companies {
		g.units["company"] = append(g.units["company"], Member{Unit: Unit{"unit", uint32(c + 1)}})
		for d := range 10 {
			g.units["department"] = append(g.units["department"], Member{Unit: Unit{"unit", uint32(1000 + c*10 + d)}, Company: uint32(c + 1)})
		}
	}
	for n := range people {
		c := r.IntN(companies)
		m := Member{Unit: Unit{"staff", uint32(n + 1)}, Kind: "employee", Company: uint32(c + 1), Department: uint32(1000 + c*10 + r.IntN(10)), Executive: n%500 == 0}
		if r.IntN(10) == 0 {
			m.From = start + r.Int64N(1000)*microsADay
		}
		if r.IntN(12) == 0 {
			m.Until = max(m.From, start) + (1+r.Int64N(1000))*microsADay
		}
		g.people = append(g.people, m)
	}
	return g
}

// write writes three years of evidence: two courses, three drills, the yearly
// acknowledgements and the evaluation of nearly everybody, and what each company
// and department owes.
func (g *bigGroup) write(apply func(at int64, b sekisho.Body), start int64) {
	r := rand.New(rand.NewPCG(3, 3))
	apply(start, &sekisho.LedgerOpened{})
	state := func(day int64, kind, producer, space, item string, units []uint32) {
		for first := 0; first < len(units); first += 500 {
			at := start + day*microsADay + int64(first)
			apply(at, &sekisho.EvidenceStated{Evidence: kind, Producer: producer, Space: space, Units: units[first:min(first+500, len(units))], From: sekisho.Time(at), Item: item, By: 7})
		}
	}
	some := func(list []Member, percent int) (units []uint32) {
		for _, m := range list {
			if r.IntN(100) < percent {
				units = append(units, m.Unit.Ordinal)
			}
		}
		return units
	}
	for year := range int64(3) {
		at := year * 365
		for n, kind := range []string{"training_completion", "phish_result", "acknowledgement", "acknowledgement", "acknowledgement", "phish_result", "inspection_visit", "evaluation_record", "training_completion", "phish_result"} {
			item, producer := fmt.Sprint(kind, "-", year, "-", n), "S"
			switch n {
			case 2:
				item = fmt.Sprint("handbook-", year)
			case 3:
				item = fmt.Sprint("duty-sheet-", year)
			case 4:
				item = fmt.Sprint("nda-", year)
			case 6:
				state(at+70, kind, "S", "unit", "visit", some(g.units["company"], 90))
				state(at+75, kind, "S", "unit", "self", some(g.units["department"], 90))
				continue
			}
			state(at+65+int64(n)*25, kind, producer, "staff", item, some(g.people, 97))
		}
	}
}

func bigBook(tb testing.TB, g *bigGroup, start int64) (b *Book, replay func() *Book, entries int) {
	var log []sekisho.Entry
	r, err := Read(nil)
	if err != nil {
		tb.Fatal(err)
	}
	b = New(Setup{Register: r, Directory: g.directory(), Zone: tokyo})
	g.write(func(at int64, body sekisho.Body) {
		log = append(log, sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: uint64(len(log) + 1)}, Time: sekisho.Time(at), Body: body})
		b.Apply(&log[len(log)-1])
	}, start)
	return b, func() *Book {
		again := New(Setup{Register: r, Directory: g.directory(), Zone: tokyo})
		for n := range log {
			again.Apply(&log[n])
		}
		return again
	}, len(log)
}

// standings are every figure of the dashboard.
func standings(b *Book, now int64) (list []string) {
	for _, i := range b.Register().Instruments {
		for _, c := range b.Clauses(i, Scope{}, now) {
			line := fmt.Sprintf("%s/%s mean %d", i.ID, c.Clause.Ref, c.Mean)
			for _, l := range c.Lines {
				line += fmt.Sprintf(" %s %s %+v", l.Duty.ID, l.Head.Window.Name, l.Tally)
			}
			list = append(list, line)
		}
	}
	return list
}

// A dashboard that lived through the entries, asked now and then, equals one
// that is folded from the ledger afresh; and so after a change.
func TestLiveEqualsReplay(t *testing.T) {
	start := day("2023-04-01")
	g := newGroup(6, 600, start)
	b, replay, entries := bigBook(t, g, start)
	now := start + 1200*microsADay
	for at := start; at < now; at += 97 * microsADay {
		standings(b, at) // fills what it remembers
	}
	live := standings(b, now)
	if again := standings(replay(), now); !reflect.DeepEqual(live, again) {
		for n := range live {
			if live[n] != again[n] {
				t.Fatalf("live   %s\nreplay %s", live[n], again[n])
			}
		}
	}
	extra := &sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: uint64(entries + 1)}, Time: sekisho.Time(now), Body: &sekisho.EvidenceStated{Evidence: "training_completion", Producer: "S",
		Space: "staff", Units: []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}, From: sekisho.Time(now - 300*microsADay), Item: "make-up"}}
	b.Apply(extra)
	again := replay()
	again.Apply(extra)
	changed := standings(b, now)
	if reflect.DeepEqual(live, changed) {
		t.Error("nine more completions changed no figure")
	}
	if fresh := standings(again, now); !reflect.DeepEqual(changed, fresh) {
		t.Error("after a change the figures differ from a fold of the whole ledger")
	}
}

// Populations that are frozen when their window closes stay as they are,
// whatever is told of the past later.
func TestFrozenPopulations(t *testing.T) {
	start := day("2025-04-01")
	g := newGroup(3, 50, start)
	b, _, _ := bigBook(t, g, start)
	now := day("2026-04-01")
	seq := b.seq
	for _, body := range b.Thawed(now) {
		seq++
		b.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: sekisho.Time(now), Body: body})
	}
	if more := b.Thawed(now); len(more) > 0 {
		t.Errorf("%d populations are left to freeze", len(more))
	}
	d := b.Register().Duty("M3a")
	before := b.Judge(d, now)[0]
	if !before.Frozen || before.Total.Den == 0 {
		t.Fatalf("not frozen: %+v", before.Total)
	}
	total := before.Total
	g.people, g.version = g.people[:10], 2 // the directory now says that most were never there
	after := b.Judge(d, now)[0]
	if after.Total != total || !reflect.DeepEqual(after.Companies, before.Companies) {
		t.Errorf("frozen %+v, and later %+v", total, after.Total)
	}
	if open := b.Judge(d, now)[1].Total; open.Den+open.NA > 10 {
		t.Errorf("the running window counts whom there is: %+v", open)
	}
}

// BenchmarkRegister is the dashboard of 60 companies and 50,000 people over three
// years: folded, drawn, drawn again, and after a change.
func BenchmarkRegister(bench *testing.B) {
	start := day("2023-04-01")
	g := newGroup(60, 50_000, start)
	began := time.Now()
	b, replay, entries := bigBook(bench, g, start)
	fold := time.Since(began)
	now := start + 1090*microsADay
	measure := func(f func()) float64 {
		began := time.Now()
		f()
		return float64(time.Since(began).Microseconds()) / 1000
	}
	var first []string
	cold := measure(func() { first = standings(b, now) })
	warm := measure(func() { standings(b, now) })
	company := measure(func() { b.Clauses(b.Register().Instrument("policy"), Scope{Company: 7}, now) })
	seq := b.seq
	change := 0.0
	for range bench.N {
		seq++
		b.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: sekisho.Time(now), Body: &sekisho.EvidenceStated{Evidence: "training_completion", Producer: "S", Space: "staff",
			Units: []uint32{uint32(seq%50_000) + 1}, From: sekisho.Time(now - 20*microsADay), Item: "make-up"}})
		change = max(change, measure(func() { standings(b, now) }))
	}
	g.version++
	moved := measure(func() { standings(b, now) })
	if again := standings(replay(), now); !reflect.DeepEqual(first, again) {
		bench.Error("the figures differ from a fold of the whole ledger")
	}
	bench.ReportMetric(float64(entries), "entries")
	bench.ReportMetric(float64(len(b.placed)), "credits")
	bench.ReportMetric(float64(fold.Milliseconds()), "fold-ms")
	bench.ReportMetric(cold, "first-ms")
	bench.ReportMetric(warm, "again-ms")
	bench.ReportMetric(company, "company-ms")
	bench.ReportMetric(change, "changed-ms")
	bench.ReportMetric(moved, "directory-ms")
}
