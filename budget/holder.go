package budget

import "sekisho"

// A holder is what one holder of one budget has used: each customer of the
// window once, with the step in which it was last seen.
//
// A customer counts in the step in which it was seen and in the sixty that
// follow: never for less than the window, and at most for a sixtieth longer.
type holder struct {
	rule *rule
	key  key

	last lasts // when each customer was seen last; those who have left the window stay for a while

	now  uint32 // the latest step that anything happened in
	n    int    // customers within the window
	seen ring   // of these, by the step in which they were last seen
	any  int    // any-row accesses within the window, each of which counts as one
	anys *ring

	told   bool   // that it is nearly used
	over   bool   // that it has ended
	toldIn uint32 // the step in which that was told
	ruled  bool   // of a policy's limit: a ruling has asked for it
	gone   bool   // a later one stands in its place

	// Of several gates (lease.go).
	room   int  // so many may count at this gate; of measure
	shut   bool // nobody may be released, those who count included
	lent   map[uint32]*lent
	wanted sekisho.Time // when somebody was last refused for what others hold
	taken  taken
}

// takes says whether a customer may be released.
func (h *holder) takes(ord uint32) bool { return h.used() < h.room || !h.shut && h.has(ord) }

// A ring has a count for each step of the window.
type ring [64]uint32

func (r *ring) at(step uint32) *uint32 { return &r[step%64] }

const width = steps + 1 // how many steps a customer counts in

func (h *holder) used() int { return h.n + h.any }

// advance brings the window to a step.
func (h *holder) advance(step uint32) {
	if step <= h.now {
		return
	}
	before := h.used()
	if step-h.now >= width {
		h.seen, h.anys, h.n, h.any = ring{}, nil, 0, 0
		h.last = lasts{}
	} else {
		for s := h.now + 1; s != step+1; s++ {
			gone := h.seen.at(s - width)
			h.n -= int(*gone)
			*gone = 0
			if h.anys != nil {
				gone := h.anys.at(s - width)
				h.any -= int(*gone)
				*gone = 0
			}
		}
	}
	if h.n == 0 {
		h.last = lasts{}
	}
	h.last.advance(h.now, step)
	h.now = step
	// What is told may stand in the ledger before the access that it is about.
	if h.told && h.used() < h.rule.warnAt && (before >= h.rule.warnAt || !h.live(h.toldIn)) {
		h.told, h.over = false, false
	}
}

func (h *holder) live(step uint32) bool { return h.now-step < width }

// has says whether a customer counts already.
func (h *holder) has(ord uint32) bool {
	_, live := h.last.seen(ord, h.now)
	return live
}

// touch charges a customer who was seen in a step of the window.
func (h *holder) touch(ord, step uint32) {
	before, live := h.last.see(ord, step, h.now)
	if h.count(before, live, step); h.n > h.rule.most {
		h.forget()
	}
}

// count counts a customer who was seen before, if live, and now in step.
func (h *holder) count(before uint32, live bool, step uint32) {
	switch {
	case !live:
		h.n++
	case before >= step:
		return
	default:
		*h.seen.at(before)--
	}
	*h.seen.at(step)++
}

// touchAll is touch for each of them but 0, who is nobody. Of those who stand in
// one page each costs one byte of memory, and little more.
func (h *holder) touchAll(who []uint32, step uint32) {
	for len(who) > 0 {
		page, first := h.last.page(who[0])
		if page == nil {
			if who[0] != 0 {
				h.touch(who[0], step)
			}
			who = who[1:]
			continue
		}
		who = who[h.touchPage(page, first, who, step):]
	}
}

// touchPage charges those of who, from the first on, who stand in a page, and says
// how many they were.
func (h *holder) touchPage(page *lastPage, first uint32, who []uint32, step uint32) int {
	stands := byte(step) | 128
	for i, ord := range who {
		if ord-first >= pageOf {
			return i
		}
		at := &page[ord-first]
		if *at == stands || ord == 0 {
			continue
		}
		before, live := h.last.seeAt(at, step, h.now)
		if h.count(before, live, step); h.n > h.rule.most {
			h.forget() // they may stand elsewhere now
			return i + 1
		}
	}
	return len(who)
}

// touchAny charges an access that could be anybody's.
func (h *holder) touchAny(step uint32) {
	if h.anys == nil {
		h.anys = new(ring)
	}
	*h.anys.at(step)++
	h.any++
}

// forget drops those who were seen longest ago, and keeps as many as the limit
// and one: so long as they count the budget has ended, whoever was before them.
// Only where nothing is cut does a holder come to that.
func (h *holder) forget() {
	keep := h.rule.limit + 1
	oldest, left := h.now, keep
	for s := h.now; h.now-s < width; s-- {
		oldest = s
		if int(*h.seen.at(s)) >= left {
			break
		}
		left -= int(*h.seen.at(s))
	}
	kept := make([]uint64, 0, keep) // as in a table
	h.n, h.seen = 0, ring{}
	for ord, step := range h.last.all(h.now) {
		if h.now-step > h.now-oldest {
			continue
		}
		if step == oldest {
			if left == 0 {
				continue
			}
			left--
		}
		kept = append(kept, uint64(ord)<<32|uint64(step))
		h.n++
		*h.seen.at(step)++
	}
	h.last.become(seenIn(kept, h.now), h.now, h.rule.most)
}

// tell notes that it has been told that the budget is nearly used.
func (h *holder) tell() { h.told, h.toldIn = true, h.now }

// freesIn is the step in which there is room for one more; 0 if that is for other
// gates to say.
func (h *holder) freesIn() uint32 {
	over := h.used() - h.room + 1
	if over > h.used() {
		return 0
	}
	for s := h.now - steps; over > 0 && s != h.now+1; s++ {
		over -= int(*h.seen.at(s))
		if h.anys != nil {
			over -= int(*h.anys.at(s))
		}
		if over <= 0 {
			return s + width
		}
	}
	return h.now
}
