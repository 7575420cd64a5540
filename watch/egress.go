package watch

import (
	"net/netip"
	"slices"

	"sekisho"
)

const (
	hour = sekisho.Time(3600e6)
	day  = 24 * hour
)

// egress raises an alert when an endpoint that read customers sends something
// to a hostile destination: one for each endpoint, destination and hour.
type egress struct {
	cfg    Egress
	hours  map[string][]sekisho.Time // in which an endpoint read customers, ascending
	raised map[egressKey]bool
}

type egressKey struct {
	endpoint string
	target   netip.Addr
	hour     sekisho.Time
}

func newEgress(cfg Egress) egress {
	return egress{cfg: cfg, hours: map[string][]sekisho.Time{}, raised: map[egressKey]bool{}}
}

func (d *egress) read(endpoint string, at sekisho.Time) {
	h := at / hour * hour
	list := d.hours[endpoint]
	if n := len(list); n == 0 || list[n-1] != h {
		d.hours[endpoint] = append(list, h)
	}
}

func (d *egress) sent(e *sekisho.Entry, b *sekisho.Egress) []sekisho.Body {
	if !slices.ContainsFunc(d.cfg.Hostile, func(p netip.Prefix) bool { return p.Contains(b.Target) }) {
		return nil
	}
	// A sensor's file is often read long after its events, so the reads that
	// matter are those before the connection's end, not the latest.
	hours := d.hours[b.Endpoint]
	from := b.Start - sekisho.Time(d.cfg.Days)*day
	i, _ := slices.BinarySearch(hours, from/hour*hour)
	if i == len(hours) || hours[i] > max(b.Start, b.End) {
		return nil
	}
	k := egressKey{b.Endpoint, b.Target, b.Start / hour * hour}
	if d.raised[k] {
		return nil
	}
	d.raised[k] = true
	return []sekisho.Body{&sekisho.Alert{
		Detector: "egress", Endpoint: b.Endpoint, From: k.hour, Until: k.hour + hour,
		Observed: b.Out, Target: b.Target, Basis: []uint64{e.ID.Seq},
	}}
}
