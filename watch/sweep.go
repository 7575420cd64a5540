package watch

import (
	"slices"

	"sekisho"
)

// sweep counts, for each principal at each endpoint, the different customers
// of the running hour, and compares the count with what is usual for that
// pair, for that principal and for the peers in the role.
//
// The limit is Factor × usual, and never below Floor. What is usual is the
// pair's own past, drawn towards the peers' the less of it there is. A pair
// without a past does not inherit the principal's whole past: a batch account
// at a clerk's terminal is judged as a clerk, and a clerk at a new desk by the
// lower of own and peers' past.
type sweep struct {
	cfg    Sweep
	pairs  map[pairKey]*pair
	people map[uint32]*person
	roles  map[string][]*person // in the order in which they came
	spaces map[string]uint64    // what is added to an ordinal of the space, to tell it from others'
	hour   sekisho.Time         // that is running
	active []*pair              // in it
}

type pairKey struct {
	principal uint32
	endpoint  string
}

type pair struct {
	past   past
	of     *person
	seen   counted
	first  uint64 // sequence number of the hour's first access
	limit  uint64 // of the hour; 0 until the floor is crossed
	learns bool
	raised bool
}

type person struct {
	past past
	role string
}

func newSweep(cfg Sweep) sweep {
	return sweep{cfg: cfg, pairs: map[pairKey]*pair{}, people: map[uint32]*person{}, roles: map[string][]*person{}, spaces: map[string]uint64{}}
}

func (d *sweep) read(e *sekisho.Entry, s *sekisho.SessionOpened, h *sekisho.Shape, b *sekisho.Access) []sekisho.Body {
	if len(b.Subjects) == 0 {
		return nil
	}
	if now := e.Time / hour * hour; now != d.hour {
		for _, p := range d.active {
			p.seen.reset()
			p.first, p.limit, p.raised = 0, 0, false
		}
		clear(d.active)
		d.hour, d.active = now, d.active[:0]
	}
	p := d.pair(s)
	if p.first == 0 {
		p.first = e.ID.Seq
		d.active = append(d.active, p)
	}
	space := d.spaces[h.Space]
	if space == 0 {
		space = uint64(len(d.spaces)+1) << 32
		d.spaces[h.Space] = space
	}
	for _, c := range b.Subjects {
		p.seen.add(space | uint64(c))
	}
	n := uint64(p.seen.n)
	today := int64(e.Time / day)
	if p.raised || n <= uint64(d.cfg.Floor) {
		p.past.note(today, uint32(n), &d.cfg)
		p.of.past.note(today, uint32(n), &d.cfg)
		return nil
	}
	if p.limit == 0 {
		p.limit, p.learns = d.limit(p, today)
	}
	p.past.note(today, uint32(n), &d.cfg)
	p.of.past.note(today, uint32(n), &d.cfg)
	if n <= p.limit {
		return nil
	}
	p.raised = true
	return []sekisho.Body{&sekisho.Alert{
		Detector: "sweep", Principal: s.Principal, Endpoint: s.Endpoint, From: d.hour, Until: d.hour + hour,
		Observed: n, Limit: p.limit, Learning: p.learns, Basis: []uint64{p.first, e.ID.Seq},
	}}
}

func (d *sweep) pair(s *sekisho.SessionOpened) *pair {
	k := pairKey{s.Principal, s.Endpoint}
	p := d.pairs[k]
	if p == nil {
		who := d.people[s.Principal]
		if who == nil {
			who = &person{role: s.Role}
			d.people[s.Principal] = who
			d.roles[s.Role] = append(d.roles[s.Role], who)
		}
		p = &pair{of: who}
		d.pairs[k] = p
	}
	return p
}

// limit is what is still quiet for a pair today.
func (d *sweep) limit(p *pair, today int64) (limit uint64, learning bool) {
	own, days := p.past.usual(today, &d.cfg)
	peers, some := d.peers(p.of, today)
	learning = days < d.cfg.Learn
	if days == 0 {
		// No past at this endpoint: the principal's past counts for what the
		// peers allow, and for nothing without peers.
		own, _ = p.of.past.usual(today, &d.cfg)
		own = min(own, peers)
		if !some {
			own = 0
		}
	}
	usual := uint64(own)
	if some {
		n, w := uint64(days), uint64(d.cfg.Peers)
		usual = (n*uint64(own) + w*uint64(peers)) / (n + w)
	}
	return max(uint64(d.cfg.Floor), uint64(d.cfg.Factor)*usual), learning
}

// peers is the middle of what is usual for the others in the role.
func (d *sweep) peers(of *person, today int64) (usual uint32, some bool) {
	var list []uint32
	for _, o := range d.roles[of.role] {
		if o == of {
			continue
		}
		if u, days := o.past.usual(today, &d.cfg); days > 0 {
			list = append(list, u)
		}
	}
	if uint32(len(list)) < d.cfg.MinPeers {
		return 0, false
	}
	slices.Sort(list)
	return list[(len(list)-1)/2], true
}

// past is the busiest hour of each of the latest days on which there was one.
type past struct{ days []dayMax }

type dayMax struct {
	day int64
	max uint32
}

func (p *past) note(today int64, n uint32, cfg *Sweep) {
	last := len(p.days) - 1
	if last >= 0 && p.days[last].day == today {
		p.days[last].max = max(p.days[last].max, n)
		return
	}
	gone := 0
	for gone < len(p.days) && p.days[gone].day < today-int64(cfg.Days) {
		gone++
	}
	p.days = append(slices.Delete(p.days, 0, gone), dayMax{today, n})
}

// usual is the Rank-th busiest of the settled days, and how many of those
// there are.
func (p *past) usual(today int64, cfg *Sweep) (n, days uint32) {
	top := make([]uint32, cfg.Rank)
	for _, d := range p.days {
		if d.day < today-int64(cfg.Days) || d.day > today-int64(cfg.Settle) {
			continue
		}
		days++
		for v, i := d.max, 0; i < len(top); i++ {
			if v > top[i] {
				top[i], v = v, top[i]
			}
		}
	}
	return top[len(top)-1], days
}

// counted is an exact set of non-zero numbers, of which only the size is
// asked. An open-addressed table at most half full.
type counted struct {
	table []uint64
	n     int
}

func (c *counted) add(v uint64) {
	if 2*(c.n+1) > len(c.table) {
		old := c.table
		c.table, c.n = make([]uint64, max(16, 2*len(old))), 0
		for _, v := range old {
			if v != 0 {
				c.add(v)
			}
		}
	}
	mask := uint64(len(c.table) - 1)
	for i := v * 0x9e3779b97f4a7c15 >> 20 & mask; ; i = (i + 1) & mask {
		switch c.table[i] {
		case v:
			return
		case 0:
			c.table[i] = v
			c.n++
			return
		}
	}
}

// reset empties the set, and gives back what a sweep made large.
func (c *counted) reset() {
	if c.n = 0; len(c.table) > 1024 {
		c.table = nil
	}
	clear(c.table)
}
