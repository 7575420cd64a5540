package sensor

import (
	"hash/maphash"
	"sync"

	"sekisho"
)

// Seen knows which connections and which logs the ledger holds, so that
// reading something twice does not double the bytes that left. It is folded
// from the ledger, so there is no second truth that a crash could part from it.
//
// A connection is the same one if everything that the sensor said of it is the
// same; a longer record of a connection that was logged before under the same
// identifier is another one, so that bytes may be counted twice but never
// missed. Some 40 bytes of memory a connection. Safe for concurrent use.
type Seen struct {
	since sekisho.Time
	seed  [2]maphash.Seed // of this process: a log cannot be written so as to collide

	mu    sync.Mutex
	conns map[[2]uint64]struct{}
	files map[[32]byte]sekisho.ID
}

// NewSeen is empty. It keeps only connections that ended at since or later; 0
// keeps all of them. To follow a live log, the time before its oldest line is
// enough.
func NewSeen(since sekisho.Time) *Seen {
	return &Seen{
		since: since,
		seed:  [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		conns: map[[2]uint64]struct{}{},
		files: map[[32]byte]sekisho.ID{},
	}
}

// Name is that of the view.
func (s *Seen) Name() string { return "sensor-seen" }

// Apply takes in one entry.
func (s *Seen) Apply(e *sekisho.Entry) {
	switch b := e.Body.(type) {
	case *sekisho.Egress:
		s.take(b)
	case *sekisho.SensorRead:
		if b.Lines == 0 {
			return // every empty log has the same bytes
		}
		s.mu.Lock()
		s.files[b.SHA256] = e.ID
		s.mu.Unlock()
	}
}

// File tells which entry took in a log with this SHA-256 (see Result). A nil
// Seen has seen nothing.
func (s *Seen) File(sum [32]byte) (sekisho.ID, bool) {
	if s == nil {
		return sekisho.ID{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.files[sum]
	return id, ok
}

// take marks a connection and tells whether it is new.
func (s *Seen) take(e *sekisho.Egress) bool {
	if e.End < s.since {
		return true
	}
	// The name of the sensor and the endpoint are ours and may change with the
	// config; the rest is what the sensor saw.
	same := *e
	same.Sensor, same.Endpoint = "", ""
	key := [2]uint64{maphash.Comparable(s.seed[0], same), maphash.Comparable(s.seed[1], same)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[key]; ok {
		return false
	}
	s.conns[key] = struct{}{}
	return true
}
