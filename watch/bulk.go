package watch

import (
	"slices"

	"sekisho"
)

// Bulk is about one statement that gives out far more rows than any of the
// same account's before: how a program's account is used by somebody else. A
// sweep in many small statements is Sweep's matter.
type Bulk struct {
	// Floor is the number of rows of one statement that is never an alert.
	// Default 1000.
	Floor uint64 `yaml:"floor"`
	// Factor: how many times what is usual is still quiet. Default 3.
	Factor uint32 `yaml:"factor"`
	// Roles whose accounts are watched: those of programs, whose single
	// statements are of much the same size every day. Default: none.
	Roles []string `yaml:"roles"`
}

// bulk adds up the rows of each statement while it runs, and compares them
// with the largest statements of the account's settled past. It takes Sweep's
// word for how long the past is, and when a day settles.
type bulk struct {
	cfg   Bulk
	sweep Sweep
	past  map[uint32]*past // by principal: the largest statement of each day
	open  map[statement]*reading
}

type statement struct{ session, number uint64 }

type reading struct {
	first  uint64 // its first entry
	rows   uint64
	limit  uint64
	learns bool
	raised sekisho.Time // the hour in which it was last raised
}

func newBulk(cfg Bulk, of Sweep) bulk {
	return bulk{cfg: cfg, sweep: of, past: map[uint32]*past{}, open: map[statement]*reading{}}
}

func (d *bulk) read(e *sekisho.Entry, s *sekisho.SessionOpened, b *sekisho.Access) []sekisho.Body {
	if b.Class == sekisho.AnyRow || !slices.Contains(d.cfg.Roles, s.Role) {
		return nil
	}
	k := statement{b.Session, b.Number}
	r := d.open[k]
	if r == nil {
		r = &reading{first: e.ID.Seq, raised: -1}
		if b.More {
			d.open[k] = r
		}
	} else if !b.More {
		delete(d.open, k)
	}
	r.rows += b.Rows
	if r.rows <= d.cfg.Floor {
		return nil // too small to tell anything, and to be remembered
	}
	p := d.past[s.Principal]
	if p == nil {
		p = &past{}
		d.past[s.Principal] = p
	}
	today := int64(e.Time / day)
	if r.limit == 0 {
		usual, days := p.usual(today, &d.sweep)
		r.limit, r.learns = max(d.cfg.Floor, uint64(d.cfg.Factor)*uint64(usual)), days < d.sweep.Learn
	}
	p.note(today, uint32(min(r.rows, 1<<32-1)), &d.sweep)
	h := e.Time / hour * hour
	if r.rows <= r.limit || r.raised == h {
		return nil
	}
	r.raised = h
	return []sekisho.Body{&sekisho.Alert{Detector: "bulk", Principal: s.Principal, Endpoint: s.Endpoint, From: h, Until: h + hour,
		Observed: r.rows, Limit: r.limit, Learning: r.learns, Basis: []uint64{r.first, e.ID.Seq}}}
}

// closed forgets a statement that ended before its last chunk.
func (d *bulk) closed(b *sekisho.AccessClosed) { delete(d.open, statement{b.Session, b.Number}) }
