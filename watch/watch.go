// Package watch judges: entries in, alerts out. Its detectors are folds. They
// have no clock but the times of entries, and give the same alerts each time
// that a ledger is folded, so that a view.Set can record each exactly once.
package watch

import (
	"fmt"
	"net/netip"
	"slices"

	"sekisho"
	"sekisho/view"
)

// Config says what is too much. The zero value of a field means its default.
type Config struct {
	Sweep  Sweep  `yaml:"sweep"`
	Egress Egress `yaml:"egress"`
	Decoy  Decoy  `yaml:"decoy"`
	Bulk   Bulk   `yaml:"bulk"`
	Files  Files  `yaml:"files"`
	// Servers lists machines by what they may hold.
	Servers []Server `yaml:"servers"`
}

// Check names the first mistake.
func (c *Config) Check() error {
	for i, s := range c.Servers {
		if s.Endpoint == "" || s.Holds != "none" && s.Holds != "personal" {
			return fmt.Errorf("config: watch: servers: number %d needs an endpoint, and holds: none or personal", i+1)
		}
	}
	return nil
}

// Sweep is the limit on how many different customers one principal reads at
// one endpoint within one hour (by UTC).
type Sweep struct {
	// Floor is the number that is never an alert, whoever it is. Default 200.
	Floor uint32 `yaml:"floor"`
	// Factor: how many times what is usual is still quiet. Default 3.
	Factor uint32 `yaml:"factor"`
	// Days: how many days of the past count. Default 35, so that a monthly job
	// is seen twice.
	Days uint32 `yaml:"days"`
	// Settle: a day counts only once it is that many days old. An attacker
	// cannot make a burst usual by another burst the day after. Default 7.
	Settle uint32 `yaml:"settle"`
	// Rank: what is usual is the Rank-th busiest hour of different days, so
	// that a single odd day makes nothing usual. Default 2.
	Rank uint32 `yaml:"rank"`
	// Peers: the weight of the peer group (the same role), in days. With so
	// many days of one's own past, self and peers weigh the same. Default 3.
	Peers uint32 `yaml:"peers"`
	// MinPeers: fewer others in the role than this are no peer group. Default 3.
	MinPeers uint32 `yaml:"min_peers"`
	// Learn: with fewer settled days than this an alert says that it is still
	// learning, and is raised all the same. Default 5.
	Learn uint32 `yaml:"learn"`
}

// Egress is about traffic to where nothing of ours belongs.
type Egress struct {
	// Hostile lists the destinations held to be hostile.
	Hostile []netip.Prefix `yaml:"hostile"`
	// Days: traffic counts if the endpoint read customers within so many days
	// before. Default 30.
	Days uint32 `yaml:"days"`
}

func (c *Config) defaults() {
	set := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.Sweep.Floor, 200)
	set(&c.Sweep.Factor, 3)
	set(&c.Sweep.Days, 35)
	set(&c.Sweep.Settle, 7)
	set(&c.Sweep.Rank, 2)
	set(&c.Sweep.Peers, 3)
	set(&c.Sweep.MinPeers, 3)
	set(&c.Sweep.Learn, 5)
	set(&c.Egress.Days, 30)
	set(&c.Bulk.Factor, 3)
	if c.Bulk.Floor == 0 {
		c.Bulk.Floor = 1000
	}
	if c.Files.Floor == 0 {
		c.Files.Floor = 64 << 10
	}
}

// Watch is all the detectors.
type Watch struct {
	behind *view.Behind
	shapes map[uint64]*sekisho.Shape
	sweep  sweep
	egress egress
	decoys decoys
	bulk   bulk
	seen   observed
}

// New makes the detectors, knowing nothing of the past yet.
func New(cfg Config) *Watch {
	cfg.defaults()
	return &Watch{
		behind: view.NewBehind(),
		shapes: map[uint64]*sekisho.Shape{},
		sweep:  newSweep(cfg.Sweep),
		egress: newEgress(cfg.Egress),
		decoys: newDecoys(cfg.Decoy),
		bulk:   newBulk(cfg.Bulk, cfg.Sweep),
		seen:   newObserved(&cfg),
	}
}

// Reaction is how a view.Set asks.
func (w *Watch) Reaction() view.Reaction {
	return view.Reaction{Name: "watch", React: w.React, Key: Key}
}

// Key names what an alert is about: one is raised, whatever its figures.
func Key(b sekisho.Body) string {
	a, ok := b.(*sekisho.Alert)
	if !ok {
		return ""
	}
	switch a.Detector {
	case "sweep":
		return fmt.Sprintf("sweep %d %d %q", a.From, a.Principal, a.Endpoint)
	case "budget":
		return fmt.Sprintf("budget %v", a.Basis)
	case "decoy":
		return fmt.Sprintf("decoy %d %d %q", a.From, a.Principal, a.Endpoint)
	case "egress":
		return fmt.Sprintf("egress %d %v %q", a.From, a.Target, a.Endpoint)
	case "bulk":
		return fmt.Sprintf("bulk %d %d %q %v", a.From, a.Principal, a.Endpoint, a.Basis[:1])
	case "lure", "opened", "contact", "half_blocked", "finding", "file_birth", "large_file", "disk_full", "no_boot":
		return fmt.Sprintf("%s %v %v %q", a.Detector, a.Basis, a.Target, a.Endpoint)
	}
	return ""
}

// React folds one entry and gives the alerts that it raises.
func (w *Watch) React(e *sekisho.Entry) []sekisho.Body {
	w.behind.Apply(e)
	switch b := e.Body.(type) {
	case *sekisho.Shape:
		w.shapes[e.ID.Seq] = b
	case *sekisho.Access:
		c, h := w.behind.Of(b.Session, b.Number), w.shapes[b.Shape]
		if c == nil || h == nil {
			return nil
		}
		s := c.SessionOpened
		w.egress.read(s.Endpoint, e.Time)
		if c.Through != nil {
			w.egress.read(c.Through.Endpoint, e.Time) // the data were there too
		}
		// A list that a responder downloads at the console is no sweep: it
		// stands in the ledger under their name.
		if s.Door == sekisho.DoorGate {
			return slices.Concat(w.sweep.read(e, s, h, b), w.decoys.read(e, s, h, b), w.bulk.read(e, s, b))
		}
	case *sekisho.DecoyPlaced:
		w.decoys.Apply(e)
	case *sekisho.AccessClosed:
		w.bulk.closed(b)
	case *sekisho.Egress:
		return w.egress.sent(e, b)
	case *sekisho.Observation:
		return w.seen.see(e, b)
	case *sekisho.IncidentRevised:
		return w.seen.revised(e, b)
	case *sekisho.BudgetReached:
		return w.ended(e, b)
	}
	return nil
}
