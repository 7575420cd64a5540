package trace

import (
	"cmp"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"sekisho"
	"sekisho/vault"
)

// Customers are counted range by range, so that what is written at random
// stays in the processor's cache, and the ranges are shared out over the
// processors. Within a range each customer has a lane: a few bits, in the low
// half what the worst case holds of the customer, in the high half what the
// suspected accesses hold. Bit 0 of a half says "there", the others are the
// categories that occur in the space.
const (
	rangeBits = 19
	rangeSize = 1 << rangeBits
)

// counts is what came out.
type counts struct {
	worst, suspected, confirmed tally
	unverified                  uint64 // endpoints that are unknown and took part
	outside                     uint64 // confirmed, yet never named by an access that counts
	population                  uint64 // customers in the space as far as known; 0 if no roster was read
}

type tally struct {
	customers uint64
	parts     []Part
	list      []uint32
}

// lanes is how a word of the accumulator is divided.
type lanes struct {
	shift uint   // log2 of the lanes in a word
	bits  uint   // of one lane: 16 or 32
	half  uint   // bits/2
	mask  uint64 // of one lane
	ones  uint64 // a 1 in each lane
	cats  []sekisho.Categories
}

func newLanes(all sekisho.Categories) *lanes {
	l := &lanes{shift: 2, bits: 16, ones: 0x0001_0001_0001_0001}
	for _, c := range sekisho.AllCategories() {
		if all&c != 0 {
			l.cats = append(l.cats, c)
		}
	}
	if len(l.cats) > 7 {
		l.shift, l.bits, l.ones = 1, 32, 0x0000_0001_0000_0001
	}
	l.half, l.mask = l.bits/2, 1<<l.bits-1
	return l
}

// value is the bits that v sets in a lane.
func (l *lanes) value(v verdict) uint64 {
	x := uint64(1)
	for i, c := range l.cats {
		if v.categories&c != 0 {
			x |= 2 << i
		}
	}
	if v.suspected {
		x |= x << l.half
	}
	return x
}

// counter is one goroutine's share of a count.
type counter struct {
	l          *lanes
	acc        []uint64
	cols       []column
	hist       [2][]uint64   // by half's value: worst, suspected
	dims       [2][][]uint64 // by column and code
	conf       []uint64      // confirmed by half's value of the worst case
	subj, slot [blockSize]uint32
}

func (t *Trace) count(q Question, s *scope, roster *vault.Roster, confirmed []uint32) *counts {
	sp := t.spaces[q.Space]
	var cats sekisho.Categories
	for _, h := range t.shapes {
		if h.body.Space == q.Space {
			cats |= h.body.Categories
		}
	}
	l := newLanes(cats)
	c := &counts{}
	highest := sp.assigned
	if n := len(confirmed); n > 0 {
		highest = max(highest, confirmed[n-1])
	}
	if roster != nil {
		c.population = max(uint64(roster.Count()), uint64(sp.assigned))
	} else if sp.roster != nil {
		c.population = max(uint64(sp.roster.Count), uint64(sp.assigned))
	}
	cols := t.dims.columns(roster, q.Until)

	values := make([][]uint64, len(s.jobs))
	for i, j := range s.jobs {
		if j.ranges == nil {
			values[i] = make([]uint64, len(j.values))
			for k, v := range j.values {
				values[i][k] = l.value(v)
			}
		}
	}
	lists := make([][2][]uint32, highest/rangeSize+1)
	var next atomic.Uint32
	var wg sync.WaitGroup
	workers := make([]*counter, min(runtime.GOMAXPROCS(0), len(lists)))
	for w := range workers {
		k := &counter{l: l, acc: make([]uint64, rangeSize>>l.shift), cols: cols}
		for h := range k.hist {
			k.hist[h] = make([]uint64, 2<<len(l.cats))
			for _, col := range cols {
				k.dims[h] = append(k.dims[h], make([]uint64, len(col.codes)))
			}
		}
		k.conf = make([]uint64, 2<<len(l.cats))
		workers[w] = k
		wg.Go(func() {
			for {
				r := next.Add(1) - 1
				if r > highest/rangeSize {
					return
				}
				var list *[2][]uint32
				if q.Lists {
					list = &lists[r]
				}
				k.run(r, s.jobs, values, confirmed, list)
			}
		})
	}
	wg.Wait()
	k := workers[0]
	for _, o := range workers[1:] {
		for h := range k.hist {
			addAll(k.hist[h], o.hist[h])
			for i := range k.dims[h] {
				addAll(k.dims[h][i], o.dims[h][i])
			}
		}
		addAll(k.conf, o.conf)
	}
	c.worst = k.tally(0)
	c.suspected = k.tally(1)
	c.confirmed = l.tally(k.conf)
	for i := range cols {
		codes := make([]uint64, len(cols[i].codes))
		for _, o := range confirmed {
			codes[cols[i].code(o)]++
		}
		c.confirmed.parts = append(c.confirmed.parts, cols[i].parts(codes)...)
	}
	c.outside = k.conf[0]
	if q.Lists {
		for _, p := range lists {
			c.worst.list = append(c.worst.list, p[0]...)
			c.suspected.list = append(c.suspected.list, p[1]...)
		}
	}
	return c
}

func addAll(to, from []uint64) {
	for i, v := range from {
		to[i] += v
	}
}

// run counts one range.
func (k *counter) run(r uint32, jobs []*job, values [][]uint64, confirmed []uint32, list *[2][]uint32) {
	lo := r * rangeSize
	touched := false
	for i, j := range jobs {
		if j.ranges != nil {
			for _, v := range j.ranges[r] {
				k.fill(v.start-lo, v.n, k.l.value(v.verdict))
				touched = true
			}
		} else if k.set(j.page.set, values[i], lo) {
			touched = true
		}
	}
	from, _ := slices.BinarySearch(confirmed, lo)
	for _, o := range confirmed[from:] {
		if o-lo >= rangeSize {
			break
		}
		k.conf[k.at(o-lo)&(1<<k.l.half-1)]++
	}
	if touched {
		k.scan(lo, list)
		clear(k.acc)
	}
}

func (k *counter) at(i uint32) uint64 {
	return k.acc[i>>k.l.shift] >> (uint(i) & (1<<k.l.shift - 1) * k.l.bits) & k.l.mask
}

// fill gives n customers from i on the value v.
func (k *counter) fill(i, n uint32, v uint64) {
	l := k.l
	per := uint32(1) << l.shift
	for ; n > 0 && i%per != 0; i, n = i+1, n-1 {
		k.acc[i>>l.shift] |= v << (uint(i%per) * l.bits)
	}
	word := v * l.ones
	whole := k.acc[i>>l.shift : i>>l.shift+n>>l.shift]
	for w := range whole {
		whole[w] |= word
	}
	for i, n = i+n&^(per-1), n%per; n > 0; i, n = i+1, n-1 {
		k.acc[i>>l.shift] |= v << (uint(i%per) * l.bits)
	}
}

// set lays the customers of a packed set that lie in the range from lo on.
func (k *counter) set(s *set, values []uint64, lo uint32) (touched bool) {
	for _, r := range s.runs {
		if r.start >= lo && r.start-lo >= rangeSize {
			break
		}
		from, to := max(uint64(r.start), uint64(lo)), min(uint64(r.start)+uint64(r.n), uint64(lo)+rangeSize)
		if from < to {
			k.fill(uint32(from-uint64(lo)), uint32(to-from), values[r.slot])
			touched = true
		}
	}
	// A customer may stand in the block before the first whose head is not
	// below lo.
	first, _ := slices.BinarySearch(s.heads, lo)
	first = max(first-1, 0)
	acc, shift, lane := k.acc, k.l.shift, k.l.bits
	within := uint32(1)<<shift - 1
	for b := first; b < len(s.heads); b++ {
		if s.heads[b] >= lo && s.heads[b]-lo >= rangeSize {
			break
		}
		n := s.unpack(b, &k.subj, &k.slot)
		touched = true
		for i := range n {
			o := k.subj[i] - lo
			if o >= rangeSize { // below lo, too: it wraps
				continue
			}
			acc[o>>shift] |= values[k.slot[i]] << (uint(o&within) * lane)
		}
	}
	return touched
}

// scan counts what the range holds.
func (k *counter) scan(lo uint32, list *[2][]uint32) {
	l := k.l
	half := uint64(1)<<l.half - 1
	worst, suspected := k.hist[0], k.hist[1]
	per := uint64(1) << l.shift
	for w, word := range k.acc {
		if word == 0 {
			continue
		}
		ord := lo + uint32(w)<<l.shift
		first := word & l.mask
		if word == first*l.ones { // neighbours of a sweep, all alike
			worst[first&half] += per
			suspected[first>>l.half] += per
			for i := range k.cols {
				col, d := &k.cols[i], k.dims[0][i]
				for o := range uint32(per) {
					d[col.code(ord+o)]++
				}
				if first>>l.half != 0 {
					d := k.dims[1][i]
					for o := range uint32(per) {
						d[col.code(ord+o)]++
					}
				}
			}
		} else {
			for rest := word; rest != 0; {
				o := uint(bits.TrailingZeros64(rest)) / l.bits
				x := word >> (o * l.bits) & l.mask
				rest &^= l.mask << (o * l.bits)
				worst[x&half]++
				suspected[x>>l.half]++
				for i := range k.cols {
					code := k.cols[i].code(ord + uint32(o))
					k.dims[0][i][code]++
					if x>>l.half != 0 {
						k.dims[1][i][code]++
					}
				}
			}
		}
		if list != nil {
			for o := range uint(per) {
				if x := word >> (o * l.bits) & l.mask; x != 0 {
					list[0] = append(list[0], ord+uint32(o))
					if x>>l.half != 0 {
						list[1] = append(list[1], ord+uint32(o))
					}
				}
			}
		}
	}
}

func (k *counter) tally(h int) tally {
	t := k.l.tally(k.hist[h])
	for i := range k.cols {
		t.parts = append(t.parts, k.cols[i].parts(k.dims[h][i])...)
	}
	return t
}

// tally reads a histogram by half's value. Value 0 is customers who are not
// there.
func (l *lanes) tally(hist []uint64) tally {
	var t tally
	by := make([]uint64, len(l.cats))
	for x, n := range hist {
		if x&1 == 0 {
			continue
		}
		t.customers += n
		for i := range by {
			if x&(2<<i) != 0 {
				by[i] += n
			}
		}
	}
	for i, c := range l.cats {
		if by[i] > 0 {
			t.parts = append(t.parts, Part{Kind: "category", Dimension: "category", Value: c.String(), Count: by[i]})
		}
	}
	slices.SortStableFunc(t.parts, func(a, b Part) int { return cmp.Compare(b.Count, a.Count) })
	return t
}
