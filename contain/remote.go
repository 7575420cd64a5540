package contain

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"sekisho"
)

// Remote is a hand on another machine: its agent there fetches the state, and
// says what is in force. See Agent.
type Remote struct {
	name, place, ledger string
	does                Does
	key                 ed25519.PrivateKey
	token               secret
	now                 func() time.Time
	patience            time.Duration // how long an agent may take to look

	reading chan struct{} // one report is read at a time: it may be large

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each change of what follows
	state   State
	which   string // SHA-256 of signed
	signed  []byte // nil: nothing was ordered since this start; what the agent has stays
	look    uint64 // how many times somebody has asked the agent to look
	heard   time.Time
	number  uint64 // of the state that the agent has
	has     string // SHA-256 of that
	looked  uint64 // the request that the last report answers
	failure string // the agent's own error with that state
	seen    map[string]Observed
	latest  Observed
	drift   *Observed // what the agent found before it put it right; until it is told
	refused uint64
}

// Report is what an agent says.
type Report struct {
	Number  uint64 `json:"number"`          // of the state that it has
	State   string `json:"state"`           // SHA-256 of that state as it was signed, in hex; empty: it has none
	Look    uint64 `json:"look,omitempty"`  // the request that it answers
	Error   string `json:"error,omitempty"` // why that state is not in force
	Drift   bool   `json:"drift,omitempty"` // this was found, and is being put right
	Ended   int    `json:"ended,omitempty"` // cuts that ended by themselves, since sekisho was not heard
	Refused uint64 `json:"refused"`         // packets turned away
	Digest  string `json:"digest"`          // SHA-256 of Observed in JSON, in hex
	// Observed may be left out if sekisho has it already: 409 asks for it.
	Observed *Observed `json:"observed,omitempty"`
}

func (o Observed) digest() string {
	text, _ := json.Marshal(o)
	return hash(text)
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (r *Remote) Name() string  { return r.name }
func (r *Remote) Place() string { return r.place }
func (r *Remote) Does() Does    { return r.does }

// Apply publishes the state and waits until the agent says that it is in force.
func (r *Remote) Apply(ctx context.Context, d Desired) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("asking the agent of %s: %w", r.name, err)
	}
	next := stateOf(r.ledger, r.name, d)
	if err := next.whole().check(); err != nil {
		return fmt.Errorf("asking the agent of %s: %w", r.name, err)
	}
	r.mu.Lock()
	if r.signed == nil || !r.state.same(next) {
		next.Number = max(r.state.Number, r.number, uint64(max(0, r.now().UnixNano()))) + 1
		if err := r.publish(next); err != nil {
			r.mu.Unlock()
			return err
		}
	}
	r.look++
	look := r.look
	r.wake()
	for {
		switch {
		case r.has == r.which && r.looked >= look && r.failure == "":
			r.mu.Unlock()
			return nil
		case r.has == r.which && r.looked >= look:
			failure := r.failure
			r.mu.Unlock()
			return fmt.Errorf("the agent of %s: %s", r.name, failure)
		}
		changed, heard := r.changed, r.heard
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("asking the agent of %s, %s: %w: %w", r.name, r.since(heard), ErrPartial, ctx.Err())
		case <-changed:
		}
		r.mu.Lock()
	}
}

// publish signs a state. With the lock held.
func (r *Remote) publish(s State) error {
	s.Made = sekisho.At(r.now())
	signed, err := s.sign(r.key)
	if err != nil {
		return err
	}
	r.state, r.signed, r.which = s, signed, hash(signed)
	return nil
}

func (r *Remote) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Remote) since(heard time.Time) string {
	if heard.IsZero() {
		return "which has not been heard since sekisho was started"
	}
	return fmt.Sprintf("which was last heard %v ago", r.now().Sub(heard).Round(time.Second))
}

// Enforced has the agent look now. What the agent has found and put right since
// it was last asked is told first, once: drift that was repaired was drift.
func (r *Remote) Enforced(ctx context.Context) (Observed, error) {
	ctx, stop := context.WithTimeout(ctx, r.patience)
	defer stop()
	r.mu.Lock()
	r.look++
	look := r.look
	r.wake()
	for r.looked < look {
		changed, heard := r.changed, r.heard
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return Observed{}, fmt.Errorf("asking the agent of %s, %s, what is in force: %w", r.name, r.since(heard), ctx.Err())
		case <-changed:
		}
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	if r.drift != nil {
		o := *r.drift
		r.drift = nil
		return o, nil
	}
	return r.latest, nil
}

// serve answers the agent.
func (r *Remote) serve(w http.ResponseWriter, q *http.Request) {
	switch q.Method {
	case http.MethodGet:
		r.serveState(w, q)
	case http.MethodPost:
		r.takeReport(w, q)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "GET a state or POST a report", http.StatusMethodNotAllowed)
	}
}

// longPoll is how long a question for news waits.
const longPoll = 20 * time.Second

const lookHeader = "Sekisho-Look"

// ahead: no clock was ever so wrong that a state got this number.
func (r *Remote) ahead(number uint64) bool {
	const years = 10 * 366 * 24 * time.Hour
	return number > uint64(max(0, r.now().Add(years).UnixNano()))
}

// serveState answers when there is a state with a higher number than the
// agent's, or somebody wants it to look.
func (r *Remote) serveState(w http.ResponseWriter, q *http.Request) {
	after, err1 := strconv.ParseUint(q.URL.Query().Get("after"), 10, 62)
	look, err2 := strconv.ParseUint(q.URL.Query().Get("look"), 10, 62)
	if err1 != nil || err2 != nil {
		http.Error(w, "after and look are numbers", http.StatusBadRequest)
		return
	}
	// Numbers rise with time. One that lies far ahead would make the next so high
	// that no agent could ask for anything after it.
	if r.ahead(after) {
		http.Error(w, "that number lies years ahead: remove the kept state", http.StatusBadRequest)
		return
	}
	ctx, stop := context.WithTimeout(q.Context(), longPoll)
	defer stop()
	r.mu.Lock()
	r.heard = r.now()
	if has := q.URL.Query().Get("has"); r.signed != nil && r.state.Number <= after && has != r.which {
		// It has one of an earlier life of sekisho's, or of another: ours is newer.
		next := r.state
		next.Number = after + 1
		if err := r.publish(next); err != nil {
			r.mu.Unlock()
			http.Error(w, "the state cannot be written", http.StatusInternalServerError)
			return
		}
		r.wake()
	}
	for {
		signed, number, asked, changed := r.signed, r.state.Number, r.look, r.changed
		r.mu.Unlock()
		w.Header().Set(lookHeader, strconv.FormatUint(asked, 10))
		switch {
		case signed != nil && number > after:
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.Itoa(len(signed)))
			w.Write(signed)
			return
		case asked != look:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		select {
		case <-ctx.Done():
			w.WriteHeader(http.StatusNoContent)
			return
		case <-changed:
		}
		r.mu.Lock()
	}
}

func (r *Remote) takeReport(w http.ResponseWriter, q *http.Request) {
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-q.Context().Done():
		return
	}
	report, err := readReport(http.MaxBytesReader(w, q.Body, mostState))
	if err == nil && r.ahead(report.Number) {
		err = errors.New("reading the report: its number lies years ahead")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if report.Observed == nil {
		o, ok := r.seen[report.Digest]
		if !ok {
			w.WriteHeader(http.StatusConflict)
			return
		}
		report.Observed = &o
	}
	if len(r.seen) >= 4 {
		clear(r.seen)
	}
	r.seen[report.Digest] = *report.Observed
	r.heard, r.number, r.has, r.failure, r.refused = r.now(), report.Number, report.State, report.Error, report.Refused
	r.looked = max(r.looked, min(report.Look, r.look))
	r.latest = *report.Observed
	if report.Drift && r.drift == nil {
		r.drift = report.Observed
	}
	r.wake()
	w.WriteHeader(http.StatusNoContent)
}

// mostFaults is how many faults an agent can have at once, and how long each
// code is at most, in bytes.
const mostFaults, longestFault = 16, 40

// readReport reads what an agent says: it is another machine, which an intruder
// may hold.
func readReport(from io.Reader) (p Report, err error) {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("reading the report: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("reading the report: something follows it")
	}
	if len(p.Error) > 500 {
		p.Error = p.Error[:500]
	}
	if len(p.Digest) != sha256.Size*2 {
		return p, errors.New("reading the report: its digest is none")
	}
	o := p.Observed
	if o == nil {
		return p, nil
	}
	if len(o.Endpoints)+len(o.Principals)+len(o.Roles)+len(o.Tables) > 0 {
		return p, errors.New("reading the report: an agent has no gate")
	}
	if n := len(o.Egress) + len(o.Destinations); n > 2*MostFenced || len(o.Faults) > mostFaults {
		return p, fmt.Errorf("reading the report: %d cuts and %d faults are too many", n, len(o.Faults))
	}
	for _, f := range o.Faults {
		if !plainName(f) || len(f) > longestFault {
			return p, errors.New("reading the report: a fault is no code")
		}
	}
	if o.digest() != p.Digest {
		return p, errors.New("reading the report: its digest is another's")
	}
	return p, nil
}
