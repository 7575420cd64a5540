package trace_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/trace"
)

const (
	minute = sekisho.Time(60e6)
	hour   = 60 * minute
	day    = 24 * hour
)

var hostile = netip.MustParseAddr("203.0.113.66")

// world makes a random ledger of a few days, and keeps what the oracle needs.
type world struct {
	rng      *rand.Rand
	entries  []sekisho.Entry
	at       sekisho.Time
	sessions []uint64
	opened   map[uint64]*sekisho.SessionOpened
	shapes   []uint64
	shapeOf  map[uint64]*sekisho.Shape
	number   map[uint64]uint64
}

func (w *world) put(b sekisho.Body) uint64 {
	seq := uint64(len(w.entries) + 1)
	w.entries = append(w.entries, sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: w.at, Body: b})
	return seq
}

var endpointNames = []string{"pc-0417", "pc-0533", "pc-1001", "unverified@10.0.0.9", "unverified@10.0.0.8"}

func randomWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{rng: rng, at: 400 * day, opened: map[uint64]*sekisho.SessionOpened{}, shapeOf: map[uint64]*sekisho.Shape{}, number: map[uint64]uint64{}}
	w.put(&sekisho.LedgerOpened{Name: "test"})
	all := sekisho.AllCategories()
	for range 1 + rng.IntN(4) {
		h := &sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{fmt.Sprint("t", rng.IntN(3))}}
		if rng.IntN(4) == 0 {
			h.Tables = append(h.Tables, "t9")
		}
		if rng.IntN(8) == 0 {
			h.Space = "agent"
		}
		for range 1 + rng.IntN(1+rng.IntN(10)) {
			h.Categories |= all[rng.IntN(len(all))]
		}
		seq := w.put(h)
		w.shapes = append(w.shapes, seq)
		w.shapeOf[seq] = h
	}
	w.session()
	for range rng.IntN(120) {
		w.at += sekisho.Time(rng.Int64N(int64(2 * hour)))
		switch rng.IntN(12) {
		case 0, 1:
			w.session()
		case 2:
			w.put(&sekisho.Egress{Sensor: "zeek", Endpoint: append([]string{"", "pc-9999"}, endpointNames[:3]...)[rng.IntN(5)],
				Target: []netip.Addr{hostile, netip.MustParseAddr("198.51.100.1")}[rng.IntN(2)],
				Start:  w.at - hour, End: w.at, Out: rng.Uint64N(3000), Partial: rng.IntN(5) == 0})
		case 3:
			from := w.at / hour * hour
			if rng.IntN(3) == 0 {
				from = w.at - sekisho.Time(rng.Int64N(int64(day)))
			}
			w.put(&sekisho.Alert{Detector: []string{"sweep", "sweep", "egress"}[rng.IntN(3)], Principal: uint32(rng.IntN(4)),
				Endpoint: endpointNames[rng.IntN(3)], From: from, Until: from + sekisho.Time(1+rng.Int64N(int64(6*hour)))})
		case 4:
			s := w.sessions[rng.IntN(len(w.sessions))]
			if n := w.number[s]; n > 0 { // a close that comes late, perhaps days late
				w.put(&sekisho.AccessClosed{Session: s, Number: 1 + rng.Uint64N(n), Outcome: sekisho.ClientGone,
					Released: rng.Uint64N(uint64(len(w.entries)) + 1)})
			}
		case 5:
			w.put(&sekisho.FileMatched{Incident: 5, SHA256: [32]byte{byte(rng.IntN(2))}, Rows: 40, Space: "member",
				Subjects: slices.Compact(slices.Sorted(slices.Values(w.subjects())))})
		default:
			w.access()
		}
	}
	return w
}

func (w *world) session() {
	name := endpointNames[w.rng.IntN(len(endpointNames))]
	b := &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: uint32(1 + w.rng.IntN(3)), Endpoint: name, Verified: !strings.HasPrefix(name, "unverified@")}
	seq := w.put(b)
	w.sessions = append(w.sessions, seq)
	w.opened[seq] = b
}

func (w *world) subjects() []uint32 {
	rng := w.rng
	var list []uint32
	switch rng.IntN(4) {
	case 0: // a sweep in key order, sometimes over the bound of two ranges
		from := uint32(1 + rng.IntN(500))
		if rng.IntN(3) == 0 {
			from = 1<<19 - 20
		}
		for o := range uint32(1 + rng.IntN(60)) {
			list = append(list, from+o)
		}
	case 1: // a join: repeated, out of order
		for range rng.IntN(30) {
			list = append(list, uint32(1+rng.IntN(100)))
		}
	default: // a look-up
		list = append(list, uint32(1+rng.IntN(400)))
	}
	return list
}

func (w *world) access() {
	rng := w.rng
	s := w.sessions[rng.IntN(len(w.sessions))]
	w.number[s]++
	shape := w.shapes[rng.IntN(len(w.shapes))]
	if rng.IntN(15) == 0 {
		w.put(&sekisho.Access{Session: s, Shape: shape, Number: w.number[s], Class: sekisho.AnyRow, Reach: rng.Uint64N(2) * (100 + rng.Uint64N(50))})
		return
	}
	chunks := 1 + rng.IntN(3)
	for i := range chunks {
		w.put(&sekisho.Access{Session: s, Shape: shape, Number: w.number[s], Class: sekisho.Exact, More: i+1 < chunks,
			Least: uint32(rng.IntN(4) * 10), Subjects: w.subjects()})
		w.at += sekisho.Time(rng.Int64N(int64(minute)))
	}
	if rng.IntN(5) == 0 {
		w.put(&sekisho.AccessClosed{Session: s, Number: w.number[s], Outcome: sekisho.ClientGone,
			Released: uint64(len(w.entries)) - rng.Uint64N(uint64(chunks)+1)})
	}
}

// oracle answers by maps, from the definitions alone.
type oracle struct {
	worst, suspected, confirmed map[uint32]bool
	byCategory                  map[string]int
	outside                     int
	WorstCase, SentAtMost       uint64
	SentKnown                   bool
	accesses                    []uint64
}

func (w *world) released() map[uint64]*sekisho.Access {
	all := map[uint64]*sekisho.Access{}
	for _, e := range w.entries {
		switch b := e.Body.(type) {
		case *sekisho.Access:
			all[e.ID.Seq] = b
		case *sekisho.AccessClosed:
			for seq, a := range all {
				if a.Session == b.Session && a.Number == b.Number && seq > b.Released {
					delete(all, seq)
				}
			}
		}
	}
	return all
}

func (w *world) oracle(q trace.Question) *oracle {
	o := &oracle{worst: map[uint32]bool{}, suspected: map[uint32]bool{}, confirmed: map[uint32]bool{}, byCategory: map[string]int{}}
	categories := map[uint32]sekisho.Categories{}
	reach := map[string]uint64{}
	least := uint64(0)
	for seq, a := range w.released() {
		s, h, at := w.opened[a.Session], w.shapeOf[a.Shape], w.entries[seq-1].Time
		asked := slices.Contains(q.Endpoints, s.Endpoint)
		if h.Space != q.Space || at < q.Since || at >= q.Until || !asked && s.Verified {
			continue
		}
		o.accesses = append(o.accesses, seq)
		if l := uint64(a.Least); l > 0 && (least == 0 || l < least) {
			least = l
		}
		if a.Class == sekisho.AnyRow {
			k := strings.Join(h.Tables, " ")
			reach[k] = max(reach[k], a.Reach)
		}
		extracted := false
		for _, e := range w.entries {
			if b, ok := e.Body.(*sekisho.Alert); ok && asked && b.Detector == "sweep" && b.Endpoint == s.Endpoint &&
				(b.Principal == 0 || b.Principal == s.Principal) && at >= b.From && at < b.Until {
				extracted = true
			}
		}
		for _, c := range a.Subjects {
			o.worst[c] = true
			categories[c] |= h.Categories
			if extracted {
				o.suspected[c] = true
			}
		}
	}
	slices.Sort(o.accesses)
	for _, c := range categories {
		for _, n := range c.Names() {
			o.byCategory[n]++
		}
	}
	o.WorstCase = uint64(len(o.worst))
	for k, n := range reach { // "t1" lies within "t1 t9", and then counts with it
		if larger, ok := reach[k+" t9"]; ok && !strings.HasSuffix(k, " t9") {
			o.WorstCase += max(n, larger) - larger
		} else {
			o.WorstCase += n
		}
	}
	var bytes, seen uint64
	files := map[[32]byte]*sekisho.FileMatched{}
	for _, e := range w.entries {
		switch b := e.Body.(type) {
		case *sekisho.Egress:
			asked := slices.Contains(q.Endpoints, b.Endpoint)
			if b.Start >= q.Until || b.End < q.Since || !asked && b.Endpoint != "" {
				continue
			}
			if asked {
				seen++
			}
			if b.Target == hostile {
				bytes += b.Out
			}
		case *sekisho.FileMatched:
			files[b.SHA256] = b
		}
	}
	o.SentAtMost = o.WorstCase
	if seen > 0 && len(q.Hostile) > 0 && (least > 0 || bytes == 0) {
		o.SentKnown = true
		if bytes == 0 {
			o.SentAtMost = 0
		} else {
			o.SentAtMost = min(bytes*uint64(q.Compression)/least, o.WorstCase)
		}
	}
	for _, f := range files {
		for _, c := range f.Subjects {
			o.confirmed[c] = true
		}
	}
	for c := range o.confirmed {
		if !o.worst[c] {
			o.outside++
		}
	}
	return o
}

func sorted(m map[uint32]bool) []uint32 {
	list := make([]uint32, 0, len(m))
	for c := range m {
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

func fold(entries []sekisho.Entry) *trace.Trace {
	t := trace.New()
	for i := range entries {
		t.Apply(&entries[i])
	}
	return t
}

func TestImpactAgreesWithBruteForce(t *testing.T) {
	for seed := range uint64(1500) {
		w := randomWorld(seed)
		tr := fold(w.entries)
		rng := rand.New(rand.NewPCG(seed, 99))
		known := slices.DeleteFunc(slices.Clone(endpointNames), func(n string) bool { return !slices.Contains(tr.Endpoints(), n) })
		for range 3 {
			q := trace.Question{Space: "member", Since: 400*day + sekisho.Time(rng.Int64N(int64(2*day))), Lists: true, Incident: 5, Compression: 3, Evidence: 5}
			if rng.IntN(2) == 0 {
				q.Since = 400 * day
			}
			q.Until = q.Since + sekisho.Time(1+rng.Int64N(int64(6*day)))
			if rng.IntN(4) > 0 {
				q.Hostile = []netip.Prefix{netip.PrefixFrom(hostile, 32)}
			}
			for range 1 + rng.IntN(2) {
				q.Endpoints = append(q.Endpoints, known[rng.IntN(len(known))])
			}
			if !slices.Contains(tr.Spaces(), "member") {
				continue
			}
			a, err := tr.Impact(q, nil)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			w.compare(t, seed, q, a)
		}
	}
}

func (w *world) compare(t *testing.T, seed uint64, q trace.Question, a *trace.Answer) {
	t.Helper()
	o := w.oracle(q)
	check := func(what string, got, want any) {
		t.Helper()
		if g, v := fmt.Sprint(got), fmt.Sprint(want); g != v {
			t.Fatalf("seed %d, %v from %v to %v: %s\n got %s\nwant %s", seed, q.Endpoints, q.Since, q.Until, what, g, v)
		}
	}
	check("worst case", a.WorstCase, o.WorstCase)
	check("list of the worst case", a.Lists.WorstCase, sorted(o.worst))
	check("suspected", a.Suspected, len(o.suspected))
	check("list of the suspected", a.Lists.Suspected, sorted(o.suspected))
	check("sent at most", a.SentAtMost, o.SentAtMost)
	check("whether that is known", a.SentKnown, o.SentKnown)
	check("confirmed", a.Lists.Confirmed, sorted(o.confirmed))
	got := map[string]int{}
	for _, p := range a.Numbers.WorstCase.Breakdown {
		got[p.Value] = int(p.Count)
	}
	check("breakdown by category", got, o.byCategory)
	check("entries of the worst case", a.Numbers.WorstCase.Evidence.Entries, len(o.accesses))
	var some []string
	for _, seq := range o.accesses[:min(5, len(o.accesses))] {
		some = append(some, fmt.Sprintf("1.1.%d", seq))
	}
	check("the first of them", a.Numbers.WorstCase.Evidence.Some, some)
	outside := 0
	for _, n := range a.NotObserved {
		if n.Code == "confirmed_outside" {
			outside = int(n.Count)
		}
	}
	check("accounting gap", outside, o.outside)
}

func TestWhoReadAgreesWithBruteForce(t *testing.T) {
	for seed := range uint64(500) {
		w := randomWorld(seed)
		tr := fold(w.entries)
		released := w.released()
		for _, ord := range []uint32{1, 50, 100, 250, 1<<19 - 1, 1 << 19, 5_000_000} {
			var want []uint64
			for seq, a := range released {
				if w.shapeOf[a.Shape].Space == "member" && slices.Contains(a.Subjects, ord) {
					want = append(want, seq)
				}
			}
			slices.SortFunc(want, func(a, b uint64) int { return cmp.Compare(b, a) })
			for _, limit := range []int{0, 3} {
				if limit > 0 {
					want = want[:min(limit, len(want))]
				}
				var got []uint64
				for _, r := range tr.WhoRead("member", ord, limit) {
					got = append(got, r.Seq)
					if e := w.entries[r.Seq-1]; r.At != e.Time || r.Endpoint != w.opened[r.Session].Endpoint {
						t.Fatalf("seed %d: access %+v is told of entry %+v", seed, r, e)
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, customer %d, limit %d: got %v, want %v", seed, ord, limit, got, want)
				}
			}
		}
	}
}

func TestReplayGivesTheSameBytes(t *testing.T) {
	for seed := range uint64(200) {
		w := randomWorld(seed)
		live := fold(w.entries)
		replayed := trace.New()
		for i := range w.entries {
			e, err := sekisho.Decode(w.entries[i].AppendEncode(nil))
			if err != nil {
				t.Fatal(err)
			}
			replayed.Apply(&e)
		}
		for _, name := range live.Endpoints() {
			say := func(tr *trace.Trace) string {
				var out []any
				a, err := tr.Impact(trace.Question{Space: "member", Endpoints: []string{name}, Since: 400 * day, Until: 410 * day}, nil)
				out = append(out, a, fmt.Sprint(err), tr.ByEndpoint("member", name, 9*3600), tr.ByPrincipal("member", 1, 0))
				b, err := json.Marshal(out)
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			if a, b := say(live), say(replayed); a != b {
				t.Fatalf("seed %d: live and replay differ\n%s\n%s", seed, a, b)
			}
		}
	}
}

func TestDaysAgreeWithBruteForce(t *testing.T) {
	const tokyo = 9 * 3600
	for seed := range uint64(300) {
		w := randomWorld(seed)
		tr := fold(w.entries)
		type key struct {
			day  sekisho.Time
			name string
		}
		customers, accesses := map[key]map[uint32]bool{}, map[key]uint64{}
		for seq, a := range w.released() {
			if w.shapeOf[a.Shape].Space != "member" {
				continue
			}
			k := key{(w.entries[seq-1].Time+tokyo*1e6)/day*day - tokyo*1e6, w.opened[a.Session].Endpoint}
			if customers[k] == nil {
				customers[k] = map[uint32]bool{}
			}
			for _, c := range a.Subjects {
				customers[k][c] = true
			}
			accesses[k]++
		}
		n := 0
		for _, name := range tr.Endpoints() {
			for _, d := range tr.ByEndpoint("member", name, tokyo) {
				n++
				k := key{d.Start, name}
				if d.Customers != uint64(len(customers[k])) || d.Accesses != accesses[k] {
					t.Fatalf("seed %d: %s on %v: got %d customers in %d accesses, want %d in %d",
						seed, name, d.Start, d.Customers, d.Accesses, len(customers[k]), accesses[k])
				}
			}
		}
		if n != len(customers) {
			t.Fatalf("seed %d: got %d days, want %d", seed, n, len(customers))
		}
	}
}
