package contain

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/disk"
)

// AgentConfig is what the agent on a router is told. It is one YAML file on
// that machine; paths count from its directory.
type AgentConfig struct {
	// Name of the hand, as in sekisho's config.
	Name string `yaml:"name"`
	// Sekisho is where sekisho's door for hands is, such as
	// https://sekisho.example.jp:8443.
	Sekisho string `yaml:"sekisho"`
	// CA is a PEM file with who vouches for sekisho's certificate. Default: the
	// machine's own list.
	CA string `yaml:"ca"`
	// TokenFile holds the word by which sekisho knows this agent; mode 0600.
	TokenFile string `yaml:"token_file"`
	// Keys are sekisho's public keys, as sekisho hand key shows them: a state
	// that none of them has signed is never enforced.
	Keys []string `yaml:"keys"`
	// State is the directory where the last state is kept, so that it is in force
	// after a restart before anything can ask sekisho.
	State string `yaml:"state"`
	// Every is how often the firewall is looked at. Default 2s.
	Every time.Duration `yaml:"every"`
	// Silent is how long sekisho may not be heard before orders that were to end
	// by themselves end here at their time. Default 30s.
	Silent time.Duration `yaml:"silent"`
	// Forward has the agent switch on the forwarding of packets, after a state is
	// in force and not before. The machine itself must leave it off then.
	Forward bool `yaml:"forward"`
	// NFT is the program; default nft in the usual places.
	NFT string `yaml:"nft"`
	// Router says what the firewall must know.
	Router Router `yaml:"router"`
}

// An Agent keeps a router's firewall as sekisho wants it.
type Agent struct {
	conf   AgentConfig
	keys   []ed25519.PublicKey
	token  string
	client *http.Client
	nft    *Nftables
	fs     disk.FS
	now    func() time.Time
	log    *slog.Logger

	put      *Fence // what this life of the agent has put in force last; only Run's
	forwards bool   // forwarding was switched on; only Run's

	mu    sync.Mutex
	state State
	which string    // SHA-256 of it as it was signed
	have  bool      // a state, from the disk or from sekisho
	heard time.Time // when sekisho last answered; at first, when the agent was started
	look  uint64    // the last request to look that came
	wake  chan struct{}
}

// NewAgent checks a config and reads the state kept on this machine. Nothing is
// enforced yet.
func NewAgent(c AgentConfig, base string, log *slog.Logger) (*Agent, error) {
	fail := func(err error) (*Agent, error) { return nil, fmt.Errorf("the agent's config: %w", err) }
	switch {
	case c.Name == "":
		return fail(errors.New("name is missing: that of the hand in sekisho's config"))
	case c.State == "":
		return fail(errors.New("state is missing: a directory for what must survive a restart"))
	case len(c.Keys) == 0:
		return fail(errors.New("keys is missing: sekisho hand key shows it"))
	}
	for _, p := range []*string{&c.CA, &c.TokenFile, &c.State} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	c.Every = cmp.Or(c.Every, 2*time.Second)
	if c.Every < 100*time.Millisecond || c.Every > 5*time.Second {
		return fail(errors.New("every: look at least every 5s, and not more often than every 100ms"))
	}
	if c.Silent = cmp.Or(c.Silent, 30*time.Second); c.Silent < 0 {
		return fail(errors.New("silent: give a length of time, such as 30s"))
	}
	a := &Agent{conf: c, fs: disk.OS{}, now: time.Now, log: log, wake: make(chan struct{}, 1)}
	a.heard = a.now()
	for _, k := range c.Keys {
		key, err := ParsePublicKey(k)
		if err != nil {
			return fail(fmt.Errorf("keys: %w", err))
		}
		a.keys = append(a.keys, key)
	}
	var err error
	if a.token, err = readSecret(c.TokenFile); err != nil {
		return fail(fmt.Errorf("token_file: %w", err))
	}
	if a.client, err = client(c.Sekisho, c.CA); err != nil {
		return fail(err)
	}
	if a.nft, err = NewNftables(c.Name, c.Name, c.NFT, c.Router); err != nil {
		return fail(fmt.Errorf("router: %w", err))
	}
	if err := a.fs.MkdirAll(c.State, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the state: %w", err)
	}
	switch text, err := contents(a.fs, a.file(), mostState); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("reading the kept state: %w", err)
	default:
		if a.state, err = OpenState(text, c.Name, a.keys); err != nil {
			// What was to be cut is not known here. Nothing is opened on a guess: what
			// the kernel has stays, and packets are not forwarded before sekisho has
			// told it again.
			log.Error("the kept state cannot be used; waiting for sekisho's", "file", a.file(), "error", err)
			a.state = State{}
		} else {
			a.have, a.which = true, hash(text)
		}
	}
	return a, nil
}

func (a *Agent) file() string { return filepath.Join(a.conf.State, "state") }

// client speaks to sekisho: TLS 1.3 or 1.2, and to nobody to whom it is sent on.
func client(address, ca string) (*http.Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%q is no address such as https://sekisho.example.jp:8443", address)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s has no certificate in PEM", ca)
		}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: time.Minute, MaxConnsPerHost: 4},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// readSecret reads a file that nobody else may read.
func readSecret(name string) (string, error) {
	if name == "" {
		return "", errors.New("it is missing")
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others may read %s: give it mode 0600", name)
	}
	text, err := os.ReadFile(name)
	word := strings.TrimSpace(string(text))
	if err == nil && len(word) < 20 {
		err = fmt.Errorf("the word in %s is shorter than 20 characters", name)
	}
	return word, err
}

// Once puts the kept state in force, if there is one. It says whether there
// was.
func (a *Agent) Once(ctx context.Context) (kept bool, err error) {
	if !a.have {
		return false, nil
	}
	if err := a.nft.Fence(ctx, a.state.whole()); err != nil {
		return true, err
	}
	return true, a.forward()
}

// forward switches forwarding on, if that is the agent's to do.
func (a *Agent) forward() error {
	if !a.conf.Forward || a.forwards {
		return nil
	}
	for _, name := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(name, []byte("1\n"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("switching forwarding on: %w", err)
		}
	}
	a.forwards = true
	return nil
}

// Run enforces until ctx ends: the kept state first, then whatever sekisho says.
// What is in force stays when it returns.
func (a *Agent) Run(ctx context.Context) error {
	var polling sync.WaitGroup
	polling.Go(func() { a.poll(ctx) })
	defer polling.Wait()
	every := time.NewTicker(a.conf.Every)
	defer every.Stop()
	for ctx.Err() == nil {
		a.round(ctx)
		select {
		case <-ctx.Done():
		case <-every.C:
		case <-a.wake:
		}
	}
	return nil
}

// round looks, tells what it found if that is drift, puts it right, and tells
// what is in force.
func (a *Agent) round(ctx context.Context) {
	a.mu.Lock()
	state, which, have, look := a.state, a.which, a.have, a.look
	now := a.now()
	f, ended := state.fence(sekisho.At(now), now.Sub(a.heard) > a.conf.Silent)
	a.mu.Unlock()
	report := Report{Number: state.Number, State: which, Ended: ended}
	found, refused, err := a.nft.observe(ctx)
	right := false
	if err == nil && a.put != nil {
		d := Compare(Observed{Egress: a.put.Egress, Destinations: a.put.Destinations}, found)
		if right = d.None(); !right {
			a.log.Error("the firewall was changed by somebody else; putting it right", "missing", len(d.Missing), "extra", len(d.Extra), "faults", d.Faults)
			report.Drift, report.Refused, report.Observed = true, refused, &found
			a.tell(ctx, report)
			report.Drift = false
		}
	}
	// What is right is left alone: so nothing is put right without being told.
	if have && !(right && a.nft.asked(f)) {
		err := a.nft.Fence(ctx, f)
		if err == nil {
			a.put = &f
			err = a.forward()
		}
		if err != nil {
			report.Error = err.Error()
			a.log.Error("enforcing", "error", err)
		}
	}
	found, refused, err = a.nft.observe(ctx)
	if err != nil {
		a.log.Error("looking at the firewall", "error", err)
		if ctx.Err() != nil {
			return
		}
		found, report.Error = Observed{Faults: []string{FaultBlind}}, err.Error()
	}
	report.Refused, report.Observed, report.Look = refused, &found, look
	a.tell(ctx, report)
}

// tell sends a report; sekisho may know its long part already.
func (a *Agent) tell(ctx context.Context, r Report) {
	full := r.Observed
	r.Digest, r.Observed = full.digest(), nil
	for range 2 {
		body, err := json.Marshal(r)
		if err != nil {
			a.log.Error("writing a report", "error", err)
			return
		}
		ctx, stop := context.WithTimeout(ctx, 5*time.Second)
		status, err := a.call(ctx, http.MethodPost, "", body, nil)
		stop()
		if err == nil && status == http.StatusConflict {
			r.Observed = full
			continue
		}
		if err == nil && status == http.StatusNoContent {
			a.mu.Lock()
			a.heard = a.now()
			a.mu.Unlock()
		} else if ctx.Err() == nil {
			a.log.Debug("telling sekisho", "status", status, "error", err)
		}
		return
	}
}

// poll asks for news until ctx ends.
func (a *Agent) poll(ctx context.Context) {
	for wait := time.Duration(0); ctx.Err() == nil; {
		if err := a.fetch(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("asking sekisho; what is in force stays", "error", err)
			wait = min(max(2*wait, 250*time.Millisecond), time.Second)
		} else {
			wait = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// fetch asks once. A state is on disk before it is enforced, so that a restart
// never goes back to the one before.
func (a *Agent) fetch(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, longPoll+10*time.Second)
	defer stop()
	a.mu.Lock()
	number, look, which := a.state.Number, a.look, a.which
	a.mu.Unlock()
	var text []byte
	var asked uint64
	status, err := a.call(ctx, http.MethodGet, fmt.Sprintf("?after=%d&has=%s&look=%d", number, which, look), nil, func(res *http.Response) (err error) {
		asked, _ = strconv.ParseUint(res.Header.Get(lookHeader), 10, 62)
		if res.StatusCode == http.StatusOK {
			text, err = io.ReadAll(io.LimitReader(res.Body, mostState+1))
		}
		return err
	})
	if err != nil {
		return err
	}
	switch status {
	case http.StatusNoContent:
	case http.StatusOK:
		s, err := OpenState(text, a.conf.Name, a.keys)
		if err != nil {
			return err
		}
		if s.Number <= number {
			return fmt.Errorf("sekisho sent state %d, and this router has %d already", s.Number, number)
		}
		if err := replace(a.fs, a.file(), text); err != nil {
			return err
		}
		a.mu.Lock()
		a.state, a.have, a.which = s, true, hash(text)
		a.mu.Unlock()
	default:
		return fmt.Errorf("sekisho answered %d %s: is the hand's name and token right?", status, http.StatusText(status))
	}
	a.mu.Lock()
	a.heard, a.look = a.now(), asked
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return nil
}

// call makes one request of sekisho's door.
func (a *Agent) call(ctx context.Context, method, query string, body []byte, read func(*http.Response) error) (status int, err error) {
	q, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.conf.Sekisho, "/")+"/hands/"+url.PathEscape(a.conf.Name)+query, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Authorization", "Bearer "+a.token)
	res, err := a.client.Do(q)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if read != nil {
		err = read(res)
	}
	return res.StatusCode, err
}
