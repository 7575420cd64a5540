package console

import (
	"net/netip"
	"slices"

	"sekisho"
)

// A casebook is what the entries say of each incident, folded beside the live
// page: who opened it, how its numbers moved, which files were compared.
type casebook struct {
	cases  []*caseFacts // in the order of their opening
	byID   map[uint64]*caseFacts
	alerts []alertFact
	flows  map[flowKey]*flowFact
	lost   uint64 // connections whose pair did not fit into flows
}

type caseFacts struct {
	id        uint64
	at        sekisho.Time
	opened    sekisho.IncidentOpened
	revisions []revisionFact
	files     []fileFact
}

type revisionFact struct {
	seq  uint64
	at   sekisho.Time
	body *sekisho.IncidentRevised
}

type fileFact struct {
	seq  uint64
	at   sekisho.Time
	body *sekisho.FileMatched
}

type alertFact struct {
	seq  uint64
	at   sekisho.Time
	body *sekisho.Alert
}

// A flow is everything that one endpoint sent to one destination.
type flowKey struct {
	endpoint string
	target   netip.Addr
}

type flowFact struct {
	first, last uint64 // entries
	from, until sekisho.Time
	bytes       uint64
	connections uint64
	partial     bool
}

const maxFlows = 200_000

func (b *casebook) apply(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.IncidentOpened:
		one := &caseFacts{id: e.ID.Seq, at: e.Time, opened: *x}
		b.cases = append(b.cases, one)
		b.byID[one.id] = one
	case *sekisho.IncidentRevised:
		if one := b.byID[x.Incident]; one != nil {
			one.revisions = append(one.revisions, revisionFact{e.ID.Seq, e.Time, x})
		}
	case *sekisho.FileMatched:
		if one := b.byID[x.Incident]; one != nil {
			one.files = append(one.files, fileFact{e.ID.Seq, e.Time, x})
		}
	case *sekisho.Alert:
		b.alerts = append(b.alerts, alertFact{e.ID.Seq, e.Time, x})
	case *sekisho.Egress:
		key := flowKey{x.Endpoint, x.Target}
		f := b.flows[key]
		if f == nil {
			if len(b.flows) >= maxFlows {
				b.lost++
				return
			}
			f = &flowFact{first: e.ID.Seq, from: x.Start, until: x.End}
			b.flows[key] = f
		}
		f.last, f.bytes, f.connections = e.ID.Seq, f.bytes+x.Out, f.connections+1
		f.from, f.until = min(f.from, x.Start), max(f.until, x.End)
		f.partial = f.partial || x.Partial
	}
}

// snapshot copies one case with the alerts and flows that its question
// concerns.
func (l *Live) snapshot(id uint64) (one caseFacts, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.cases.byID[id]
	if found == nil {
		return one, false
	}
	one = *found
	one.revisions, one.files = slices.Clone(one.revisions), slices.Clone(one.files)
	return one, true
}

// alertsOn are the alerts about these endpoints that judge some of the window.
func (l *Live) alertsOn(endpoints []string, since, until sekisho.Time) (out []alertFact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.cases.alerts {
		if slices.Contains(endpoints, a.body.Endpoint) && a.body.From < until && a.body.Until > since {
			out = append(out, a)
		}
	}
	return out
}

// namedFlow is a flow with its ends.
type namedFlow struct {
	flowKey
	flowFact
}

// hostileFlows are the flows from these endpoints to these destinations.
func (l *Live) hostileFlows(endpoints []string, hostile []netip.Prefix) (out []namedFlow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, f := range l.cases.flows {
		if (key.endpoint == "" || slices.Contains(endpoints, key.endpoint)) &&
			slices.ContainsFunc(hostile, func(p netip.Prefix) bool { return p.Contains(key.target) }) {
			out = append(out, namedFlow{key, *f})
		}
	}
	return out
}
