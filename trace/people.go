package trace

import (
	"cmp"
	"slices"

	"sekisho"
	"sekisho/vault"
)

// column holds, for each customer, a code for a combination of dimensions: as
// many dimensions together as make no more than 65,536 combinations.
type column struct {
	of    []uint16 // by ordinal; 0 is nobody known
	codes [][]Part // by code: the parts that such a customer belongs to
	order []string // the dimensions, for the order of the parts
}

func (c *column) code(ord uint32) uint16 {
	if uint64(ord) < uint64(len(c.of)) {
		return c.of[ord]
	}
	return 0
}

// tally counts n neighbours from ord on.
func (c *column) tally(counts []uint64, ord, n uint32) {
	if uint64(ord)+uint64(n) > uint64(len(c.of)) {
		for o := range n {
			counts[c.code(ord+o)]++
		}
		return
	}
	for _, code := range c.of[ord : ord+n] {
		counts[code]++
	}
}

// parts adds up counts by code, each dimension's largest part first.
func (c *column) parts(counts []uint64) []Part {
	sums := map[Part]uint64{}
	for code, n := range counts {
		if n == 0 {
			continue
		}
		for _, p := range c.codes[code] {
			sums[p] += n
		}
	}
	parts := make([]Part, 0, len(sums))
	for p, n := range sums {
		p.Count = n
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b Part) int {
		return cmp.Or(
			cmp.Compare(slices.Index(c.order, a.Kind+" "+a.Dimension), slices.Index(c.order, b.Kind+" "+b.Dimension)),
			cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return parts
}

type dims struct {
	roster *vault.Roster
	day    int32
	cols   []column
}

// keptDims is how many days' columns are kept: an incident's page asks about
// few.
const keptDims = 2

// columns gives the dimensions of everybody, dates compared with the day of
// until. The first question about a roster and a day reads the whole roster.
func (c *dimCache) columns(r *vault.Roster, until sekisho.Time) []column {
	if r == nil {
		return nil
	}
	day := int32(int64(until) / microsPerDay)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, d := range c.list {
		if d.roster == r && d.day == day {
			c.list = append(append(c.list[:i:i], c.list[i+1:]...), d)
			return d.cols
		}
	}
	d := &dims{r, day, newColumns(r, day)}
	c.list = append(c.list, d)
	if len(c.list) > keptDims {
		c.list = slices.Clone(c.list[1:])
	}
	return d.cols
}

func newColumns(r *vault.Roster, day int32) []column {
	var each [][]uint16
	var names [][]Part // by dimension and code; code 0 is nothing to tell
	var order []string
	for dim, name := range r.Schema().Labels {
		parts := []Part{{}}
		for _, value := range r.LabelNames(dim)[1:] {
			parts = append(parts, Part{Kind: "label", Dimension: name, Value: value})
		}
		each, names, order = append(each, slices.Clone(r.Labels(dim))), append(names, parts), append(order, "label "+name)
	}
	for dim, name := range r.Schema().Dates {
		of := make([]uint16, len(r.Dates(dim)))
		for ord, d := range r.Dates(dim) {
			if d >= day {
				of[ord] = 1
			}
		}
		each, order = append(each, of), append(order, "date "+name)
		names = append(names, []Part{{}, {Kind: "date", Dimension: name, Value: "valid"}})
	}
	n := len(each)
	var cols []column
	for from := 0; from < n; {
		to, room := from+1, len(names[from])
		for to < n && len(each[to]) == len(each[from]) && room*len(names[to]) <= 1<<16 {
			room *= len(names[to])
			to++
		}
		col := column{of: each[from], order: order, codes: make([][]Part, room)}
		if to > from+1 {
			for ord := range col.of {
				code := 0
				for dim := from; dim < to; dim++ {
					code = code*len(names[dim]) + int(each[dim][ord])
				}
				col.of[ord] = uint16(code)
			}
		}
		for code := range col.codes {
			rest := code
			for dim := to - 1; dim >= from; dim-- {
				if part := names[dim][rest%len(names[dim])]; part.Kind != "" {
					col.codes[code] = append(col.codes[code], part)
				}
				rest /= len(names[dim])
			}
		}
		cols = append(cols, col)
		from = to
	}
	return cols
}
