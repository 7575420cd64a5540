package budget

import (
	"iter"
	"math/bits"
)

// lasts says in which step each customer was seen last. Few customers, or ones
// far apart, stand in a hash table: 8 bytes for each, and one look into memory
// for each question. Many that are close together, as in a long answer, stand
// in pages by their ordinal, one byte for each: the next customer is mostly the
// next byte. It turns from one into the other by what takes less memory.
//
// Steps are those of a window: see holder. What is older counts as not seen.
type lasts struct {
	// table is open-addressed: ordinal<<32 | step. 0 is empty. Customers that have
	// left the window stay until it is built anew.
	table  []uint64
	shift  uint8
	filled int // places of the table, or bytes of pages, that are not 0

	// pages, if not nil, hold everybody instead. A byte is 0 for nobody, else the
	// step modulo 128, and 128: it says which step as long as it is less than 128
	// steps old, which the sweeps see to.
	pages []*lastPage // by ordinal / pageOf
	made  int         // of pages
	swept uint32      // the step of the latest sweep
}

const pageOf = 1024 // ordinals

type lastPage [pageOf]byte

// mostUnswept is how many steps may go by without a sweep: then no byte is as
// old as 128 steps, given that a sweep leaves none older than a window.
const mostUnswept = 128 - width - 1

// advance brings the window from one step to another, which is less than a
// window later.
func (l *lasts) advance(from, to uint32) {
	if l.pages != nil && to-l.swept > mostUnswept {
		l.sweep(from)
	}
}

// sweep forgets who has left the window that ends now.
func (l *lasts) sweep(now uint32) {
	l.swept, l.filled = now, 0
	for i, p := range l.pages {
		if p == nil {
			continue
		}
		before := l.filled
		for j, b := range p {
			if _, live := stepOf(b, now); live {
				l.filled++
			} else {
				p[j] = 0
			}
		}
		if l.filled == before {
			l.pages[i] = nil
			l.made--
		}
	}
}

// seen gives the step in which a customer was seen last, if that is within the
// window that ends now.
func (l *lasts) seen(ord, now uint32) (step uint32, live bool) {
	if l.pages != nil {
		if i := int(ord / pageOf); i < len(l.pages) && l.pages[i] != nil {
			return stepOf(l.pages[i][ord%pageOf], now)
		}
		return 0, false
	}
	if len(l.table) == 0 {
		return 0, false
	}
	v := l.table[l.slot(ord)]
	return uint32(v), v != 0 && now-uint32(v) < width
}

// stepOf reads a byte of a page.
func stepOf(b byte, now uint32) (step uint32, live bool) {
	age := uint32(byte(now)-b) & 127
	return now - age, b != 0 && age < width
}

// see notes that a customer was seen in a step of the window that ends now, and
// gives what seen would have given before. It never goes back.
func (l *lasts) see(ord, step, now uint32) (before uint32, live bool) {
	if l.pages != nil && l.paged(ord, now) {
		return l.seeAt(&l.pages[ord/pageOf][ord%pageOf], step, now)
	}
	if len(l.table) == 0 {
		l.build(16)
	}
	i := l.slot(ord)
	v := l.table[i]
	if v == 0 {
		if 4*(l.filled+1) > 3*len(l.table) {
			l.rebuild(now)
			return l.see(ord, step, now)
		}
		l.filled++
	}
	before, live = uint32(v), v != 0 && now-uint32(v) < width
	if !live || before < step {
		l.table[i] = uint64(ord)<<32 | uint64(step)
	}
	return before, live
}

// seeAt is see for the customer whose byte of a page this is.
func (l *lasts) seeAt(b *byte, step, now uint32) (before uint32, live bool) {
	if *b == 0 {
		l.filled++
	}
	if before, live = stepOf(*b, now); !live || before < step {
		*b = byte(step) | 128
	}
	return before, live
}

// page gives the page that a customer stands in, and whose byte is its first; nil
// if there is none.
func (l *lasts) page(ord uint32) (page *lastPage, first uint32) {
	if i := int(ord / pageOf); i < len(l.pages) {
		return l.pages[i], ord &^ (pageOf - 1)
	}
	return nil, 0
}

// all gives everybody who was seen within the window that ends now.
func (l *lasts) all(now uint32) iter.Seq2[uint32, uint32] {
	return func(yield func(ord, step uint32) bool) {
		for ord, step := range seenIn(l.table, now) {
			if !yield(ord, step) {
				return
			}
		}
		for i, p := range l.pages {
			if p == nil {
				continue
			}
			for j, b := range p {
				if step, live := stepOf(b, now); live && !yield(uint32(i*pageOf+j), step) {
					return
				}
			}
		}
	}
}

// seenIn gives everybody in a table who was seen within the window that ends now.
func seenIn(table []uint64, now uint32) iter.Seq2[uint32, uint32] {
	return func(yield func(ord, step uint32) bool) {
		for _, v := range table {
			if v != 0 && now-uint32(v) < width && !yield(uint32(v>>32), uint32(v)) {
				return
			}
		}
	}
}

// slot is where a customer stands in the table, or would stand. It is not empty.
func (l *lasts) slot(ord uint32) int {
	mask := len(l.table) - 1
	i := int(ord * 0x9e3779b1 >> l.shift)
	for {
		v := l.table[i]
		if v == 0 || uint32(v>>32) == ord {
			return i
		}
		i = (i + 1) & mask
	}
}

// build makes an empty table; size is a power of two.
func (l *lasts) build(size int) {
	l.table, l.filled = make([]uint64, size), 0
	l.shift = uint8(32 - bits.Len(uint(size-1)))
}

// rebuild makes room for more, and forgets who has left the window.
func (l *lasts) rebuild(now uint32) { l.become(l.all(now), now, 0) }

// become holds these customers alone, who count, in a table with room for so many
// or in pages.
func (l *lasts) become(who iter.Seq2[uint32, uint32], now uint32, room int) {
	n, highest := 0, uint32(0)
	for ord := range who {
		n++
		highest = max(highest, ord)
	}
	size := 16
	for 5*size < 8*(max(n, room)+1) {
		size *= 2
	}
	var next lasts
	if size >= leastPaged && pagesFor(who, highest)*pageOf+int(highest/pageOf)*8 <= size*8 {
		next = lasts{pages: make([]*lastPage, highest/pageOf+1), swept: now}
		for ord, step := range who {
			next.makePage(ord)
			next.pages[ord/pageOf][ord%pageOf] = byte(step) | 128
		}
	} else {
		next.build(size)
		for ord, step := range who {
			next.table[next.slot(ord)] = uint64(ord)<<32 | uint64(step)
		}
	}
	next.filled = n
	*l = next
}

// leastPaged is the table's size from which pages are thought of.
const leastPaged = 1 << 12

// pagesFor is how many pages they would take.
func pagesFor(who iter.Seq2[uint32, uint32], highest uint32) (n int) {
	taken := make([]bool, highest/pageOf+1)
	for ord := range who {
		if at := &taken[ord/pageOf]; !*at {
			*at = true
			n++
		}
	}
	return n
}

// paged makes sure that the customer has a page. False: pages have come to hold
// so few customers each that they were given up for a table.
func (l *lasts) paged(ord, now uint32) bool {
	if i := int(ord / pageOf); i < len(l.pages) && l.pages[i] != nil {
		return true
	}
	if (l.made+1)*pageOf > 64*l.filled+8*leastPaged {
		l.rebuild(now)
		if l.pages == nil {
			return false
		}
	}
	l.makePage(ord)
	return true
}

func (l *lasts) makePage(ord uint32) {
	i := int(ord / pageOf)
	for i >= len(l.pages) {
		l.pages = append(l.pages, nil)
	}
	if l.pages[i] == nil {
		l.pages[i] = new(lastPage)
		l.made++
	}
}
