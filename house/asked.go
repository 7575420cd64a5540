package house

import (
	"context"
	"fmt"
	"sync"

	"sekisho"
	"sekisho/duty"
	"sekisho/sensor"
)

// An asked keeps the services that events of DNS (OCSF 4003) tell of, by the source
// of the events: they are listed as those of Zeek's logs are.
type asked struct {
	mu sync.Mutex
	by map[string]*duty.Heard
}

// takeEvents makes events durable, and in the same append the services that they
// show in use. If that fails, what was heard is forgotten: the sender sends it again.
func (h *House) takeEvents(bodies []sekisho.Body) error {
	h.asked.mu.Lock()
	defer h.asked.mu.Unlock()
	more, err := h.asked.services(h, bodies)
	if err == nil {
		err = h.Take(append(bodies[:len(bodies):len(bodies)], more...))
	}
	if err != nil {
		h.asked.by = nil
	}
	return err
}

// services needs the lock.
func (a *asked) services(h *House, bodies []sekisho.Body) (list []sekisho.Body, err error) {
	for _, b := range bodies {
		o, ok := b.(*sekisho.Observation)
		if !ok || o.Class != sensor.ClassDNS || o.Object == 0 {
			continue
		}
		heard := a.by[o.Sensor]
		if heard == nil {
			var since sekisho.Time
			if err := h.Views.WaitFor(context.Background(), h.Ledger.Last()); err != nil {
				return nil, fmt.Errorf("finding which services are known: %w", err)
			}
			h.Views.Read(func() { since = h.Duty.Checks().HeardUntil(o.Sensor) })
			if heard = duty.NewHeard(since); a.by == nil {
				a.by = map[string]*duty.Heard{}
			}
			a.by[o.Sensor] = heard
		}
		heard.Hear(h.nameOf("object", o.Object), o.At, o.Endpoint)
	}
	for source, heard := range a.by {
		for _, one := range heard.Due(sekisho.At(h.now())) {
			if b := one.Seen(source, h.Vault.Space("thing")); b != nil {
				list = append(list, b)
			}
		}
	}
	return list, nil
}
