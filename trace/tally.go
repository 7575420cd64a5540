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
// processors. Within a range each customer has a lane of a few bits: bit 0
// says "there", the others are the categories that occur in the space. The
// worst case and the suspected are counted one after the other; the second is
// short, because only pages with suspected accesses take part.

// rangeBitsFor is log2 of the customers in a range: some ranges for each
// processor, yet none so long that it leaves the cache.
func rangeBitsFor(highest uint32) uint {
	return uint(min(max(bits.Len32(highest)-3, 12), 21))
}

// counts is what came out.
type counts struct {
	worst, suspected, confirmed tally
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
	bits  uint   // of one lane: 8 or 16
	mask  uint64 // of one lane
	ones  uint64 // a 1 in each lane
	cats  []sekisho.Categories
}

func newLanes(all sekisho.Categories) *lanes {
	l := &lanes{shift: 3, bits: 8, ones: 0x0101_0101_0101_0101}
	for _, c := range sekisho.AllCategories() {
		if all&c != 0 {
			l.cats = append(l.cats, c)
		}
	}
	if len(l.cats) > 7 {
		l.shift, l.bits, l.ones = 2, 16, 0x0001_0001_0001_0001
	}
	l.mask = 1<<l.bits - 1
	return l
}

// value is the bits that these categories set in a lane.
func (l *lanes) value(categories sekisho.Categories) uint64 {
	x := uint64(1)
	for i, c := range l.cats {
		if categories&c != 0 {
			x |= 2 << i
		}
	}
	return x
}

// counter is one goroutine's share of a count.
type counter struct {
	l         *lanes
	rangeBits uint
	acc       []uint64
	cols      []column
	hist      []uint64   // by a lane's value
	dims      [][]uint64 // by column and code
	conf      []uint64   // customers of the file, by a lane's value
	subjects  [blockSize]uint32
	slots     [blockSize]uint32
}

// part is a page's share in a count: the values of its slots, or its rows.
type part struct {
	set    *set
	values []uint64
	ranges map[uint32][]valued
}

func (t *Trace) count(q Question, s *scope, roster *vault.Roster, confirmed []uint32) *counts {
	sp := t.known(q.Space)
	var cats sekisho.Categories
	for _, h := range t.shapes {
		if h.body.Space == q.Space {
			cats |= h.body.Categories
		}
	}
	l := newLanes(cats)
	c := &counts{}
	if roster != nil {
		c.population = max(uint64(roster.Count()), uint64(sp.assigned))
	} else if sp.roster != nil {
		c.population = max(uint64(sp.roster.Count), uint64(sp.assigned))
	}
	cols := t.dims.columns(roster, q.Until)

	var worst, suspected []part
	for _, j := range s.jobs {
		p := part{ranges: j.ranges}
		if j.ranges == nil {
			p.set, p.values = j.page.set, make([]uint64, len(j.values))
			for k, v := range j.values {
				p.values[k] = l.value(v.categories)
			}
		}
		worst = append(worst, p)
		if j.suspected.count == 0 {
			continue
		}
		if j.ranges == nil {
			p.values = slices.Clone(p.values)
			for k, v := range j.values {
				if !v.suspected {
					p.values[k] = 0
				}
			}
		}
		suspected = append(suspected, p)
	}
	k := &counting{l: l, cols: cols, rangeBits: s.rangeBits, highest: sp.assigned, lists: q.Lists, pool: &t.accumulators}
	var hist []uint64
	c.worst, hist = k.run(worst, false, confirmed)
	c.suspected, _ = k.run(suspected, true, nil)

	found := uint64(0)
	for _, n := range hist {
		found += n
	}
	c.outside = uint64(len(confirmed)) - found + hist[0]
	c.confirmed = l.tally(hist)
	for i := range cols {
		codes := make([]uint64, len(cols[i].codes))
		for _, o := range confirmed {
			codes[cols[i].code(o)]++
		}
		c.confirmed.parts = append(c.confirmed.parts, cols[i].parts(codes)...)
	}
	return c
}

// counting is what one count after another has in common.
type counting struct {
	l         *lanes
	cols      []column
	rangeBits uint
	highest   uint32 // ordinal
	lists     bool
	pool      *sync.Pool // of cleared accumulators, []uint64
}

// run counts the parts, or what of them is suspected. conf tells of the
// customers in confirmed, by a lane's value, how many there are.
func (c *counting) run(parts []part, suspected bool, confirmed []uint32) (out tally, conf []uint64) {
	conf = make([]uint64, 2<<len(c.l.cats))
	if len(parts) == 0 {
		conf[0] = uint64(len(confirmed))
		return tally{}, conf
	}
	last := c.highest >> c.rangeBits
	lists := make([][]uint32, last+1)
	workers := make([]*counter, min(runtime.GOMAXPROCS(0), int(last)+1))
	var next atomic.Uint32
	var wg sync.WaitGroup
	for w := range workers {
		k := &counter{l: c.l, rangeBits: c.rangeBits, cols: c.cols,
			hist: make([]uint64, 2<<len(c.l.cats)), conf: make([]uint64, 2<<len(c.l.cats))}
		for _, col := range c.cols {
			k.dims = append(k.dims, make([]uint64, len(col.codes)))
		}
		workers[w] = k
		wg.Go(func() {
			words := 1 << c.rangeBits >> c.l.shift
			room, _ := c.pool.Get().(*[]uint64)
			if room == nil || len(*room) < words {
				room = new(make([]uint64, words))
			}
			k.acc = (*room)[:words]
			defer c.pool.Put(room)
			for {
				r := next.Add(1) - 1
				if r > last {
					return
				}
				var list *[]uint32
				if c.lists {
					list = &lists[r]
				}
				k.run(r, parts, suspected, confirmed, list)
			}
		})
	}
	wg.Wait()
	k := workers[0]
	for _, o := range workers[1:] {
		addAll(k.hist, o.hist)
		addAll(k.conf, o.conf)
		for i := range k.dims {
			addAll(k.dims[i], o.dims[i])
		}
	}
	out = c.l.tally(k.hist)
	for i := range k.cols {
		out.parts = append(out.parts, k.cols[i].parts(k.dims[i])...)
	}
	out.list = slices.Concat(lists...)
	return out, k.conf
}

func addAll(to, from []uint64) {
	for i, v := range from {
		to[i] += v
	}
}

// run counts one range. The accumulator is clear before and after.
func (k *counter) run(r uint32, parts []part, suspected bool, confirmed []uint32, list *[]uint32) {
	lo := r << k.rangeBits
	touched := false
	for i := range parts {
		p := &parts[i]
		if p.set != nil {
			touched = k.set(p.set, p.values, lo) || touched
			continue
		}
		for _, v := range p.ranges[r] {
			if v.suspected || !suspected {
				k.fill(v.start-lo, v.n, k.l.value(v.categories))
				touched = true
			}
		}
	}
	from, _ := slices.BinarySearch(confirmed, lo)
	for _, o := range confirmed[from:] {
		if (o-lo)>>k.rangeBits != 0 {
			break
		}
		i := o - lo
		k.conf[k.acc[i>>k.l.shift]>>(uint(i)&(1<<k.l.shift-1)*k.l.bits)&k.l.mask]++
	}
	if touched {
		k.scan(lo, list)
		clear(k.acc)
	}
}

// fill gives n customers from i on the value v.
func (k *counter) fill(i, n uint32, v uint64) {
	l := k.l
	per := uint32(1) << l.shift
	for ; n > 0 && i%per != 0; i, n = i+1, n-1 {
		k.acc[i>>l.shift] |= v << (uint(i%per) * l.bits)
	}
	word := v * l.ones
	whole := k.acc[i>>l.shift:][:n>>l.shift]
	for w := range whole {
		whole[w] |= word
	}
	for i, n = i+n&^(per-1), n%per; n > 0; i, n = i+1, n-1 {
		k.acc[i>>l.shift] |= v << (uint(i%per) * l.bits)
	}
}

// set lays the customers of a packed set that lie in the range from lo on.
func (k *counter) set(s *set, values []uint64, lo uint32) (touched bool) {
	size := uint32(1) << k.rangeBits
	for _, r := range s.runs {
		if r.start >= lo && r.start-lo >= size {
			break
		}
		from, to := max(uint64(r.start), uint64(lo)), min(uint64(r.start)+uint64(r.n), uint64(lo)+uint64(size))
		if from < to {
			k.fill(uint32(from-uint64(lo)), uint32(to-from), values[r.slot])
			touched = true
		}
	}
	// A customer may stand in the block before the first whose head is not
	// below lo.
	first, _ := slices.BinarySearch(s.heads, lo)
	first = max(first-1, 0)
	acc, shift, lane := k.acc, k.l.shift&63, k.l.bits
	inWord := uint32(1)<<shift - 1
	for b := first; b < len(s.heads); b++ {
		if s.heads[b] >= lo && s.heads[b]-lo >= size {
			break
		}
		n := s.unpack(b, &k.subjects, &k.slots)
		touched = true
		for i, subject := range k.subjects[:n] {
			o := subject - lo
			if o >= size { // below lo, too: it wraps
				continue
			}
			acc[o>>shift] |= values[k.slots[i]] << (uint(o&inWord) * lane & 63)
		}
	}
	return touched
}

// scan counts what the range holds.
func (k *counter) scan(lo uint32, list *[]uint32) {
	l := k.l
	hist := k.hist
	per := uint32(1) << l.shift
	for w, word := range k.acc {
		if word == 0 {
			continue
		}
		ord := lo + uint32(w)<<l.shift
		if first := word & l.mask; word == first*l.ones { // a sweep: neighbours all alike
			hist[first] += uint64(per)
			for i := range k.cols {
				k.cols[i].tally(k.dims[i], ord, per)
			}
			if list != nil {
				for o := range per {
					*list = append(*list, ord+o)
				}
			}
			continue
		}
		for word != 0 {
			o := uint(bits.TrailingZeros64(word)) >> (6 - l.shift)
			hist[word>>(o*l.bits&63)&l.mask]++
			word &^= l.mask << (o * l.bits & 63)
			for i := range k.cols {
				k.dims[i][k.cols[i].code(ord+uint32(o))]++
			}
			if list != nil {
				*list = append(*list, ord+uint32(o))
			}
		}
	}
}

// tally reads a histogram by a lane's value. Value 0 is customers who are not
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
