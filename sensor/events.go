package sensor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sekisho/porter"
	"strings"
	"sync"
	"time"

	"sekisho"
)

// Limits of the door for events.
const (
	MostBatch   = 4 << 20 // bytes of one delivery
	mostWaiting = 8       // deliveries at a time; whoever comes then is asked to wait
)

// A Source is a machine that reports events.
type Source struct {
	Name  string
	Token string // it shows as Authorization: Bearer; never logged
}

// EventsOptions say who may report, and what becomes of it.
type EventsOptions struct {
	Sources  []Source
	Domains  []string
	Shared   []string
	Bindings *Bindings
	Reported *Reported // what the ledger has already; folded by whoever serves
	Ordinal  func(space, key string) uint32
	// Take makes entries durable, as one group. After an error the reporter is
	// asked to send the same again.
	Take      func(bodies []sekisho.Body) error
	Now       func() time.Time
	Log       *slog.Logger
	Cert, Key string // PEM files; empty: plain HTTP
}

// Taken is the answer to a delivery. Its JSON names are stable.
type Taken struct {
	Accepted int         `json:"accepted"`
	Repeated int         `json:"repeated"`
	Rejected int         `json:"rejected"`
	Reasons  []Rejection `json:"reasons,omitempty"` // of the first rejected
}

// ReceiveEvents takes events in on l until ctx ends: POST /events, a JSON array
// or one event a line. What was answered with 200 is durable.
func ReceiveEvents(ctx context.Context, l net.Listener, opt EventsOptions) error {
	door := newIntake(opt)
	s := &http.Server{
		Handler: door, ConnState: door.porter.State, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if err := serve(ctx, s, l, opt.Cert, opt.Key); err != nil {
		return fmt.Errorf("receiving events: %w", err)
	}
	return nil
}

// serve serves until ctx ends, with TLS if there is a certificate.
func serve(ctx context.Context, s *http.Server, l net.Listener, cert, key string) (err error) {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if cert != "" {
		err = s.ServeTLS(l, cert, key)
	} else {
		err = s.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// intake is the door.
type intake struct {
	opt    EventsOptions
	porter *porter.Porter
	slots  chan struct{}
	one    sync.Mutex // one delivery is compared with the ledger and appended at a time
}

func newIntake(opt EventsOptions) *intake {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &intake{opt: opt, porter: porter.New(), slots: make(chan struct{}, mostWaiting)}
}

func (i *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(code int, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(map[string]string{"error": text})
	}
	source := i.who(r)
	if source != "" {
		i.porter.Knows(r)
	} else {
		w.Header().Set("Connection", "close") // and makes room
	}
	switch {
	case r.URL.Path != "/events":
		say(http.StatusNotFound, "events are posted to /events")
		return
	case source == "":
		w.Header().Set("WWW-Authenticate", "Bearer")
		say(http.StatusUnauthorized, "show the source's token: Authorization: Bearer TOKEN")
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST")
		say(http.StatusMethodNotAllowed, "post the events")
		return
	case r.Header.Get("Content-Encoding") != "":
		say(http.StatusUnsupportedMediaType, "send the events as they are, not packed")
		return
	case r.ContentLength > MostBatch:
		say(http.StatusRequestEntityTooLarge, fmt.Sprintf("a delivery has at most %d bytes: send several", MostBatch))
		return
	}
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		say(http.StatusTooManyRequests, "others are being served: send it again in a second")
		return
	}
	batch, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MostBatch))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			say(http.StatusRequestEntityTooLarge, fmt.Sprintf("a delivery has at most %d bytes: send several", MostBatch))
		} else {
			say(http.StatusBadRequest, "the delivery did not come whole")
		}
		return
	}
	taken, err := i.take(source, batch)
	switch {
	case errors.Is(err, ErrNotEvents):
		i.opt.Log.Warn("a delivery of events was refused", "source", source, "reason", err)
		say(http.StatusBadRequest, err.Error())
	case err != nil:
		i.opt.Log.Error("taking in events", "source", source, "error", err)
		w.Header().Set("Retry-After", "5")
		say(http.StatusServiceUnavailable, "it could not be recorded: send the same again")
	default:
		if taken.Rejected > 0 {
			i.opt.Log.Warn("events were left out", "source", source, "rejected", taken.Rejected, "first", taken.Reasons[0].Reason)
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(taken)
	}
}

// who is the source that a request comes from; empty if it is none.
func (i *intake) who(r *http.Request) (name string) {
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(shown))
	for _, s := range i.opt.Sources {
		want := sha256.Sum256([]byte(s.Token))
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 && ok && s.Token != "" {
			name = s.Name
		}
	}
	return name
}

// take makes a delivery durable: its observations and the EventsRead, in one
// group. What the ledger has already is counted and left out.
func (i *intake) take(source string, batch []byte) (*Taken, error) {
	now := i.opt.Now()
	i.one.Lock()
	defer i.one.Unlock()
	o := &Events{Source: source, Domains: i.opt.Domains, Shared: i.opt.Shared, Bindings: i.opt.Bindings, Ordinal: i.opt.Ordinal, Now: now}
	d, err := o.Read(batch)
	if err != nil {
		return nil, err
	}
	read := &sekisho.EventsRead{Sensor: source, SHA256: sha256.Sum256(batch), Events: uint64(d.Events), Rejected: uint64(d.Rejected)}
	t := &Taken{Rejected: d.Rejected, Reasons: d.Rejections}
	var bodies []sekisho.Body
	here := map[[32]byte]bool{}
	for _, b := range d.Observations {
		if read.From == 0 || b.At < read.From {
			read.From = b.At
		}
		read.Until = max(read.Until, b.At)
		if here[b.Ref] || i.opt.Reported.Has(b.Ref) {
			t.Repeated++
			continue
		}
		here[b.Ref] = true
		bodies = append(bodies, b)
		if sent := d.Egress[b]; sent != nil {
			bodies = append(bodies, sent)
		}
		t.Accepted++
	}
	if d.Events == 0 { // a source that says that there is nothing to say
		read.From, read.Until = sekisho.At(now), sekisho.At(now)
	}
	if t.Accepted == 0 && t.Repeated > 0 && t.Rejected == 0 {
		return t, nil // the same delivery again
	}
	read.Accepted, read.Repeated = uint64(t.Accepted), uint64(t.Repeated)
	if err := i.opt.Take(append(bodies, read)); err != nil {
		return nil, err
	}
	i.opt.Reported.take(here) // the fold may not have come to it yet
	return t, nil
}
