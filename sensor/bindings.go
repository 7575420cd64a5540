package sensor

import (
	"fmt"
	"net/netip"
	"sort"
	"sync"
	"time"

	"sekisho"
)

// Binding says that an address, or every address of a prefix, was one endpoint.
type Binding struct {
	Address  string    `yaml:"address"` // "10.1.2.3" or "10.1.2.0/24"
	Endpoint string    `yaml:"endpoint"`
	Since    time.Time `yaml:"since"` // inclusive; zero: always
	Until    time.Time `yaml:"until"` // exclusive; zero: still
}

// Hold is how long before and after a session its proven endpoint is held to be
// at its address, unless another one proves to be there nearer in time. It is
// a day because address leases are of that order.
const Hold = 24 * time.Hour

// Bindings tells which endpoint an address was at a time: by the list in the
// config, else by the sessions whose endpoint a client certificate proved. An
// address behind which several endpoints work at once (a NAT, a jump host)
// belongs in the list, under a name of its own. Safe for concurrent use.
type Bindings struct {
	listed []listed // the most specific prefix first, then the latest Since

	mu     sync.RWMutex
	proven map[netip.Addr][]run // in the order of time
}

type listed struct {
	prefix       netip.Prefix
	endpoint     string
	since, until sekisho.Time // until 0: for ever
}

// run is an unbroken series of sessions of one endpoint at one address.
type run struct {
	endpoint    string
	first, last sekisho.Time
}

// NewBindings checks the list of the config.
func NewBindings(list []Binding) (*Bindings, error) {
	b := &Bindings{proven: map[netip.Addr][]run{}}
	for i, l := range list {
		p, err := sekisho.ParsePrefix(l.Address)
		if err != nil {
			return nil, fmt.Errorf("binding %d: %w", i+1, err)
		}
		if l.Endpoint == "" {
			return nil, fmt.Errorf("binding %d (%s): the endpoint has no name", i+1, l.Address)
		}
		if !l.Until.IsZero() && !l.Since.Before(l.Until) {
			return nil, fmt.Errorf("binding %d (%s): since is not before until", i+1, l.Address)
		}
		one := listed{prefix: p, endpoint: l.Endpoint}
		if !l.Since.IsZero() {
			one.since = sekisho.At(l.Since)
		}
		if !l.Until.IsZero() {
			one.until = sekisho.At(l.Until)
		}
		b.listed = append(b.listed, one)
	}
	sort.SliceStable(b.listed, func(i, j int) bool {
		x, y := &b.listed[i], &b.listed[j]
		if x.prefix.Bits() != y.prefix.Bits() {
			return x.prefix.Bits() > y.prefix.Bits()
		}
		return x.since > y.since
	})
	return b, nil
}

// Name is that of the view.
func (b *Bindings) Name() string { return "sensor-bindings" }

// Apply learns from one entry of the ledger, in the ledger's order.
func (b *Bindings) Apply(e *sekisho.Entry) {
	s, ok := e.Body.(*sekisho.SessionOpened)
	if !ok || !s.Verified || s.Endpoint == "" || !s.Address.IsValid() {
		return
	}
	a := s.Address.WithZone("").Unmap()
	b.mu.Lock()
	defer b.mu.Unlock()
	runs := b.proven[a]
	if n := len(runs); n > 0 && runs[n-1].endpoint == s.Endpoint && e.Time-runs[n-1].last <= hold {
		runs[n-1].last = e.Time
		return
	}
	b.proven[a] = append(runs, run{s.Endpoint, e.Time, e.Time})
}

const hold = sekisho.Time(Hold / time.Microsecond)

// Endpoint is what was at address a at time t; empty if nobody knows.
func (b *Bindings) Endpoint(a netip.Addr, t sekisho.Time) string {
	a = a.WithZone("").Unmap()
	for i := range b.listed {
		l := &b.listed[i]
		if l.prefix.Contains(a) && t >= l.since && (l.until == 0 || t < l.until) {
			return l.endpoint
		}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	runs := b.proven[a]
	// The last run that began by t, and the one after it.
	i := sort.Search(len(runs), func(i int) bool { return runs[i].first > t })
	before, after := hold+1, hold+1
	if i > 0 {
		before = max(0, t-runs[i-1].last)
	}
	if i < len(runs) {
		after = runs[i].first - t
	}
	switch {
	case before <= hold && before <= after:
		return runs[i-1].endpoint
	case after <= hold:
		return runs[i].endpoint
	}
	return ""
}
