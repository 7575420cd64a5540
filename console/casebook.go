package console

import (
	"net/netip"
	"slices"

	"sekisho"
)

// A casebook keeps what an incident's page shows beside the incident itself:
// who sent how much where, and what compared files held. Live folds it.
type casebook struct {
	files map[uint64][]fileFact // by incident
	flows map[flowKey]*flowFact
	lost  uint64 // connections whose pair of ends did not fit into flows
}

type fileFact struct {
	seq  uint64
	at   sekisho.Time
	body *sekisho.FileMatched
}

// A flow is everything that one endpoint sent to one destination.
type flowKey struct {
	endpoint string
	target   netip.Addr
}

type flowFact struct {
	first       uint64 // its first entry
	from, until sekisho.Time
	bytes       uint64
	connections uint64
}

const maxFlows = 200_000

func (b *casebook) apply(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.FileMatched:
		b.files[x.Incident] = append(b.files[x.Incident], fileFact{e.ID.Seq, e.Time, x})
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
		f.bytes, f.connections = f.bytes+x.Out, f.connections+1
		f.from, f.until = min(f.from, x.Start), max(f.until, x.End)
	}
}

// filesOf are the files compared for an incident, the earliest first.
func (l *Live) filesOf(incident uint64) []fileFact {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.cases.files[incident])
}

// namedFlow is a flow with its ends.
type namedFlow struct {
	flowKey
	flowFact
}

// hostileFlows are the flows from these endpoints, or from none that is known
// by name, to these destinations.
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
