package sensor

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"sekisho"
)

// Reported knows which events the ledger holds, and when each source was
// heard. It is folded from the ledger. An event costs some 20 bytes of memory.
// Safe for concurrent use.
type Reported struct {
	mu      sync.RWMutex
	events  map[[16]byte]struct{}
	sources map[string]*heard
}

// heard is one source.
type heard struct {
	spans    []heardSpan // ascending, apart by more than an hour
	events   uint64
	rejected uint64
	last     sekisho.Time // when its latest delivery was recorded
}

type heardSpan struct{ from, to sekisho.Time }

// NewReported is empty.
func NewReported() *Reported {
	return &Reported{events: map[[16]byte]struct{}{}, sources: map[string]*heard{}}
}

// Name is that of the view.
func (*Reported) Name() string { return "sensor-reported" }

// Apply takes in one entry.
func (r *Reported) Apply(e *sekisho.Entry) {
	switch b := e.Body.(type) {
	case *sekisho.Observation:
		r.mu.Lock()
		r.events[[16]byte(b.Ref[:16])] = struct{}{}
		at := min(b.At, e.Time) // a clock that is ahead has not heard what is to come
		r.source(b.Sensor).add(heardSpan{at, at})
		r.mu.Unlock()
	case *sekisho.EventsRead:
		r.mu.Lock()
		h := r.source(b.Sensor)
		h.events, h.rejected, h.last = h.events+b.Accepted, h.rejected+b.Rejected, e.Time
		// What a delivery spans was not heard for that: one old event among new ones
		// would cover up the silence between them. Only its ends were.
		if b.Until != 0 {
			from, until := min(b.From, e.Time), min(b.Until, e.Time)
			h.add(heardSpan{from, from})
			h.add(heardSpan{until, until})
		}
		r.mu.Unlock()
	}
}

// source is called with the lock held.
func (r *Reported) source(name string) *heard {
	h := r.sources[name]
	if h == nil {
		h = &heard{}
		r.sources[name] = h
	}
	return h
}

// add joins spans that are less than an hour apart.
func (h *heard) add(s heardSpan) {
	const hour = sekisho.Time(3600e6)
	at, _ := slices.BinarySearchFunc(h.spans, s.from, func(a heardSpan, t sekisho.Time) int { return cmp.Compare(a.from, t) })
	if at > 0 && h.spans[at-1].to+hour >= s.from {
		at--
		s.from, s.to = h.spans[at].from, max(h.spans[at].to, s.to)
	}
	until := at
	for until < len(h.spans) && h.spans[until].from <= s.to+hour {
		s.to = max(s.to, h.spans[until].to)
		until++
	}
	h.spans = slices.Replace(h.spans, at, until, s)
}

// Has says whether the ledger holds the event.
func (r *Reported) Has(ref [32]byte) bool {
	if r == nil {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.events[[16]byte(ref[:16])]
	return ok
}

func (r *Reported) take(refs map[[32]byte]bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for ref := range refs {
		r.events[[16]byte(ref[:16])] = struct{}{}
	}
}

// A Silence is a time in which a source said nothing.
type Silence struct {
	Name     string
	From, To sekisho.Time
	Never    bool // it was not heard in the window at all
}

// Silent gives the silences of a source within a window that are longer than
// it is allowed. What it may have seen then is not known.
func (r *Reported) Silent(name string, allowed time.Duration, since, until sekisho.Time) (list []Silence) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	limit := sekisho.Time(allowed.Microseconds())
	at, any := since, false
	if h := r.sources[name]; h != nil {
		for _, s := range h.spans {
			if s.to < since || s.from >= until {
				continue
			}
			if any = true; s.from-at > limit {
				list = append(list, Silence{Name: name, From: at, To: s.from})
			}
			at = max(at, s.to)
		}
	}
	if until-at > limit {
		list = append(list, Silence{Name: name, From: at, To: until, Never: !any})
	}
	return list
}

// A Reporter is what is known of one source.
type Reporter struct {
	Name     string       `json:"name"`
	Events   uint64       `json:"events"`
	Rejected uint64       `json:"rejected"`
	Last     sekisho.Time `json:"last"`
}

// Sources lists who was heard, by name.
func (r *Reported) Sources() (list []Reporter) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, h := range r.sources {
		list = append(list, Reporter{name, h.events, h.rejected, h.last})
	}
	slices.SortFunc(list, func(a, b Reporter) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
