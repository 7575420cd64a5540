package contain

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
)

// ProbeHand is a machine among the terminals that nobody works at. It is
// contained whenever somebody is, and tries to get out: the view from the other
// side.
type ProbeHand struct {
	// Name by which it is known.
	Name string `yaml:"name"`
	// TokenFile holds its word; mode 0600, at least 20 characters.
	TokenFile string `yaml:"token_file"`
	// Addresses that it has, of both families.
	Addresses []string `yaml:"addresses"`
	// Hands that cut it: those that stand between it and the outside.
	Hands []string `yaml:"hands"`

	addresses []netip.Prefix
}

func (p *ProbeHand) check(against func(*string), known map[string]bool) error {
	if p.TokenFile == "" || len(p.Addresses) == 0 || len(p.Hands) == 0 {
		return errors.New("token_file, addresses and hands are needed")
	}
	against(&p.TokenFile)
	p.addresses = nil
	for _, s := range p.Addresses {
		a, err := sekisho.ParsePrefix(s)
		if err != nil || !a.IsSingleIP() {
			return fmt.Errorf("addresses: %q is no address", s)
		}
		p.addresses = append(p.addresses, a)
	}
	for _, h := range p.Hands {
		if !known[h] {
			return fmt.Errorf("hands: there is no hand %q", h)
		}
	}
	return nil
}

// Codes of what a probe has found.
const (
	FaultLeaks    = "leaks"        // it reached something outside
	FaultNames    = "leaks_names"  // it got an answer from a name server
	FaultTooMuch  = "inside_cut"   // it cannot reach what lies inside
	FaultNoProbe  = "probe_silent" // it has not been heard for too long
	probePatience = 10 * time.Second
)

// ProbeReport is what a probe has tried.
type ProbeReport struct {
	Took    time.Duration `json:"took"`    // how long ago the first try was begun, in nanoseconds
	Outside []string      `json:"outside"` // what it reached, of that which lies outside
	Names   []string      `json:"names"`   // name servers that have answered
	Inside  []string      `json:"inside"`  // what it did not reach, of that which lies inside
}

// A probed hand cuts probes whenever it cuts anybody's way out, and says what
// they found.
type probed struct {
	Hand
	probes []*probe
	now    func() time.Time
	since  time.Time // when a state that cuts somebody was in force at last
}

type probe struct {
	ProbeHand
	word secret

	mu     sync.Mutex
	report ProbeReport
	began  time.Time // when the report's first try was begun, at the latest
}

func (h *probed) Apply(ctx context.Context, d Desired) error {
	egress := slices.ContainsFunc(d.Targets, func(t Target) bool { return t.Cuts&sekisho.CutEgress != 0 })
	if egress {
		d.Targets = slices.Clone(d.Targets)
		for _, p := range h.probes {
			d.Targets = append(d.Targets, Target{Endpoint: "probe:" + p.Name, Addresses: p.addresses, Cuts: sekisho.CutEgress, Orders: d.Orders})
		}
		slices.SortFunc(d.Targets, func(a, b Target) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	}
	if err := h.Hand.Apply(ctx, d); err != nil {
		return err
	}
	if !egress {
		h.since = time.Time{}
	} else if h.since.IsZero() {
		h.since = h.now()
	}
	return nil
}

func (h *probed) Enforced(ctx context.Context) (Observed, error) {
	o, err := h.Hand.Enforced(ctx)
	if err != nil {
		return o, err
	}
	own := func(p netip.Prefix) bool {
		return slices.ContainsFunc(h.probes, func(one *probe) bool { return slices.Contains(one.addresses, p) })
	}
	if h.since.IsZero() && !slices.ContainsFunc(o.Egress, own) {
		return o, nil
	}
	missing := 0
	for _, one := range h.probes {
		for _, a := range one.addresses {
			if !slices.Contains(o.Egress, a) {
				missing++
			}
		}
	}
	o.Egress = slices.DeleteFunc(slices.Clone(o.Egress), own)
	o.Faults = slices.Clone(o.Faults)
	if h.since.IsZero() {
		return o, nil // what a start found; the next Apply says what should be
	}
	for _, p := range h.probes {
		p.mu.Lock()
		switch {
		case p.began.Before(h.since) && h.now().Sub(h.since) > probePatience, h.now().Sub(p.began) > probePatience && !p.began.Before(h.since):
			o.Faults = append(o.Faults, FaultNoProbe)
		case p.began.Before(h.since): // it is on its way
		default:
			if len(p.report.Outside) > 0 || missing > 0 {
				o.Faults = append(o.Faults, FaultLeaks)
			}
			if len(p.report.Names) > 0 {
				o.Faults = append(o.Faults, FaultNames)
			}
			if len(p.report.Inside) > 0 {
				o.Faults = append(o.Faults, FaultTooMuch)
			}
		}
		p.mu.Unlock()
	}
	slices.Sort(o.Faults)
	o.Faults = slices.Compact(o.Faults)
	return o, nil
}

// serve takes a probe's report.
func (p *probe) serve(now func() time.Time) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "POST a report", http.StatusMethodNotAllowed)
			return
		}
		r, err := readProbeReport(http.MaxBytesReader(w, q.Body, 64<<10))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.report, p.began = r, now().Add(-r.Took)
		w.WriteHeader(http.StatusNoContent)
	}
}

func readProbeReport(from io.Reader) (r ProbeReport, err error) {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("reading a probe's report: %w", err)
	}
	if r.Took < 0 || r.Took > time.Hour {
		return r, errors.New("reading a probe's report: it took no time that can be")
	}
	return r, nil
}

// ProbeConfig is what a probe is told. It is one YAML file on its machine; paths
// count from its directory.
type ProbeConfig struct {
	// Name of the probe, as in sekisho's config.
	Name string `yaml:"name"`
	// Sekisho is where sekisho's door for hands is. It must lie inside, and be no
	// relay, or a contained probe is silent.
	Sekisho string `yaml:"sekisho"`
	// CA is a PEM file with who vouches for sekisho's certificate. Default: the
	// machine's own list.
	CA string `yaml:"ca"`
	// TokenFile holds the probe's word; mode 0600.
	TokenFile string `yaml:"token_file"`
	// Outside are places that it reaches while nobody is contained: tcp/ADDRESS:PORT,
	// of both families. The probe says at its start which of them it does not
	// reach: those prove nothing.
	Outside []string `yaml:"outside"`
	// Names are name servers that it can ask while nobody is contained, inside
	// ones that forward questions too.
	Names []string `yaml:"names"`
	// Question is the name that it asks for, with a new label in front each time,
	// so that no answer is an old one. Default example.com.
	Question string `yaml:"question"`
	// Inside are places that must stay reachable: tcp/ADDRESS:PORT.
	Inside []string `yaml:"inside"`
	// Every is how often it tries. Default 3s.
	Every time.Duration `yaml:"every"`
}

// A Prober tries.
type Prober struct {
	conf            ProbeConfig
	client          *http.Client
	word            string
	outside, inside []path
	names           []netip.Addr
	log             *slog.Logger
}

// NewProber checks a config.
func NewProber(c ProbeConfig, base string, log *slog.Logger) (p *Prober, err error) {
	fail := func(err error) (*Prober, error) { return nil, fmt.Errorf("the probe's config: %w", err) }
	for _, name := range []*string{&c.TokenFile, &c.CA} {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(base, *name)
		}
	}
	if c.Name == "" || len(c.Outside) == 0 {
		return fail(errors.New("name and outside are needed"))
	}
	if c.Every = cmp.Or(c.Every, 3*time.Second); c.Every < 100*time.Millisecond || c.Every > 5*time.Second {
		return fail(errors.New("every: try at least every 5s, and not more often than every 100ms"))
	}
	c.Question = cmp.Or(c.Question, "example.com")
	p = &Prober{conf: c, log: log}
	for _, l := range []struct {
		key  string
		list []string
		into *[]path
	}{{"outside", c.Outside, &p.outside}, {"inside", c.Inside, &p.inside}} {
		for _, s := range l.list {
			one, err := parsePath(s)
			if err != nil || one.proto != "tcp" {
				return fail(fmt.Errorf("%s: %q: write tcp/203.0.113.9:443", l.key, s))
			}
			*l.into = append(*l.into, one)
		}
	}
	for _, s := range c.Names {
		a, err := sekisho.ParseAddress(s)
		if err != nil {
			return fail(fmt.Errorf("names: %w", err))
		}
		p.names = append(p.names, a)
	}
	if p.word, err = readSecret(c.TokenFile); err != nil {
		return fail(fmt.Errorf("token_file: %w", err))
	}
	if p.client, err = client(c.Sekisho, c.CA); err != nil {
		return fail(err)
	}
	return p, nil
}

// Run tries until ctx ends.
func (p *Prober) Run(ctx context.Context) error {
	first := true
	for {
		began := time.Now()
		r := p.try(ctx)
		if first {
			first = false
			for _, one := range p.conf.Outside {
				if !slices.Contains(r.Outside, one) {
					p.log.Warn("this is not reached at the start; if nobody is contained now, it proves nothing", "outside", one)
				}
			}
		}
		r.Took = time.Since(began)
		if err := p.tell(ctx, r); err != nil && ctx.Err() == nil {
			p.log.Warn("telling sekisho", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(p.conf.Every):
		}
	}
}

// tryFor is how long one try may take.
const tryFor = 1500 * time.Millisecond

// try tries everything at once.
func (p *Prober) try(ctx context.Context) (r ProbeReport) {
	ctx, stop := context.WithTimeout(ctx, tryFor)
	defer stop()
	var mu sync.Mutex
	var trying sync.WaitGroup
	note := func(into *[]string, what string) {
		mu.Lock()
		defer mu.Unlock()
		*into = append(*into, what)
	}
	reaches := func(one path) bool {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(one.to.Addr(), one.port).String())
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	for i, one := range p.outside {
		trying.Go(func() {
			if reaches(one) {
				note(&r.Outside, p.conf.Outside[i])
			}
		})
	}
	for i, one := range p.inside {
		trying.Go(func() {
			if !reaches(one) {
				note(&r.Inside, p.conf.Inside[i])
			}
		})
	}
	for _, server := range p.names {
		trying.Go(func() {
			ask := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(server, 53).String())
			}}
			_, err := ask.LookupHost(ctx, fmt.Sprintf("probe-%x.%s.", rand.Uint64(), strings.Trim(p.conf.Question, ".")))
			var dns *net.DNSError
			if err == nil || errors.As(err, &dns) && dns.IsNotFound { // "no such name" is an answer, too
				note(&r.Names, server.String())
			}
		})
	}
	trying.Wait()
	for _, list := range [][]string{r.Outside, r.Names, r.Inside} {
		slices.Sort(list)
	}
	return r
}

func (p *Prober) tell(ctx context.Context, r ProbeReport) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(p.conf.Sekisho, "/")+"/probes/"+url.PathEscape(p.conf.Name), bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+p.word)
	res, err := p.client.Do(q)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("sekisho answered %s: is the probe's name and token right?", res.Status)
	}
	return nil
}
