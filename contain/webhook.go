package contain

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sekisho"
)

// WebhookHand tells something else by HTTP what is to be cut: a switch's
// controller, an identity provider, a ticket system.
type WebhookHand struct {
	// Name of the hand.
	Name string `yaml:"name"`
	// Place is what does the cutting. Default: the name.
	Place string `yaml:"place"`
	// URL to which the whole state is posted, whenever it changed.
	URL string `yaml:"url"`
	// ReadBack is where it says what it has in force. Without it nothing proves
	// what it does, and an order says so.
	ReadBack string `yaml:"read_back"`
	// SecretFile holds the key that requests are signed with; mode 0600, at least
	// 20 characters.
	SecretFile string `yaml:"secret_file"`
	// CA is a PEM file with who vouches for the server's certificate. Default: the
	// machine's own list.
	CA string `yaml:"ca"`
	// Egress and Destinations are what it can cut; both false stands for egress.
	Egress       bool `yaml:"egress"`
	Destinations bool `yaml:"destinations"`
}

func (w *WebhookHand) check(against func(*string)) error {
	if w.SecretFile == "" {
		return errors.New("secret_file is missing: the key that requests are signed with")
	}
	against(&w.SecretFile)
	against(&w.CA)
	for _, s := range []string{w.URL, w.ReadBack} {
		if u, err := url.Parse(s); s != "" && (err != nil || u.Scheme != "https" || u.User != nil) {
			return fmt.Errorf("%q is no https address without a password in it", s)
		}
	}
	if w.URL == "" {
		return errors.New("url is missing")
	}
	if !w.Egress && !w.Destinations {
		w.Egress = true
	}
	return nil
}

// Webhook posts the whole state, signed, again and again until it is answered
// with 2xx: at least once. The same state has the same identifier, however often
// and by whichever life of sekisho it is sent.
type Webhook struct {
	conf   WebhookHand
	ledger string
	does   Does
	key    []byte
	client *http.Client
	now    func() time.Time
	pause  time.Duration // before the second try; doubled at each further one
}

func newWebhook(c WebhookHand, o Outfit) (*Webhook, error) {
	word, err := readSecret(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	h, err := client(c.URL, c.CA)
	if err != nil {
		return nil, err
	}
	w := &Webhook{conf: c, ledger: o.Ledger, key: []byte(word), client: h, now: o.Now, pause: 250 * time.Millisecond}
	if c.Egress {
		w.does |= DoesEgress
	}
	if c.Destinations {
		w.does |= DoesDestinations
	}
	return w, nil
}

func (w *Webhook) Name() string  { return w.conf.Name }
func (w *Webhook) Place() string { return w.conf.Place }
func (w *Webhook) Does() Does    { return w.does }

// hooked is the body of a request.
type hooked struct {
	ID           string         `json:"id"` // the same for the same state
	Ledger       string         `json:"ledger"`
	Hand         string         `json:"hand"`
	Through      uint64         `json:"through"`
	Orders       []uint64       `json:"orders"`
	Egress       []hookedEnd    `json:"egress"`
	Destinations []netip.Prefix `json:"destinations"`
	Open         []netip.Prefix `json:"open"`
}

// hookedEnd is a terminal: its name is for those who know it by name.
type hookedEnd struct {
	Endpoint  string         `json:"endpoint"`
	Addresses []netip.Prefix `json:"addresses"`
	Until     sekisho.Time   `json:"until"`
}

// body is the state for d: everything, so that a request that is lost, doubled
// or late does no harm, and what was cut by one that was missed is cut by the
// next.
func (w *Webhook) body(d Desired) ([]byte, string, error) {
	b := hooked{Ledger: w.ledger, Hand: w.conf.Name, Orders: d.Orders, Egress: []hookedEnd{}, Destinations: []netip.Prefix{}, Open: d.Open}
	if w.does&DoesEgress != 0 {
		for _, t := range d.Targets {
			if t.Cuts&sekisho.CutEgress != 0 {
				addresses := slices.DeleteFunc(slices.Clone(t.Addresses), func(p netip.Prefix) bool { return covered(d.Open, p) })
				b.Egress = append(b.Egress, hookedEnd{t.Endpoint, addresses, t.Until})
			}
		}
	}
	if w.does&DoesDestinations != 0 {
		b.Destinations = append(b.Destinations, Only(d, DoesDestinations).Destinations...)
	}
	text, err := json.Marshal(b)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	b.ID, b.Through = hex.EncodeToString(sum[:16]), d.Through
	text, err = json.Marshal(b)
	return text, b.ID, err
}

// Names of the headers that a webhook's request has.
const (
	HeaderID        = "Sekisho-Id"
	HeaderTime      = "Sekisho-Time"      // seconds since 1970
	HeaderSignature = "Sekisho-Signature" // hex of HMAC-SHA256 over time, a full stop, and the body
)

// Sign is the signature of a request.
func Sign(key []byte, time string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(time + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Apply posts until somebody answers that it was taken, or ctx ends.
func (w *Webhook) Apply(ctx context.Context, d Desired) error {
	body, id, err := w.body(d)
	if err != nil {
		return fmt.Errorf("writing to the webhook %s: %w", w.conf.Name, err)
	}
	pause, sent := w.pause, false
	for {
		if err := ctx.Err(); err != nil && !sent {
			return fmt.Errorf("telling the webhook %s: %w", w.conf.Name, err)
		}
		sent = true
		status, _, err := w.call(ctx, http.MethodPost, w.conf.URL, id, body)
		if err == nil && status >= 200 && status < 300 {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("it answered %d %s", status, http.StatusText(status))
			if status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests {
				return fmt.Errorf("telling the webhook %s: %w", w.conf.Name, err) // it has refused, and would again
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("telling the webhook %s: %w: %w", w.conf.Name, ErrPartial, err)
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// mostAnswer is the most bytes of what a webhook says is in force.
const mostAnswer = 32 << 20

func (w *Webhook) call(ctx context.Context, method, address, id string, body []byte) (status int, answer []byte, err error) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	q, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	at := strconv.FormatInt(w.now().Unix(), 10)
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set(HeaderID, id)
	q.Header.Set(HeaderTime, at)
	q.Header.Set(HeaderSignature, Sign(w.key, at, body))
	res, err := w.client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	return res.StatusCode, answer, err
}

// Enforced asks it what it has in force.
func (w *Webhook) Enforced(ctx context.Context) (o Observed, err error) {
	if w.conf.ReadBack == "" {
		return o, fmt.Errorf("the webhook %s has no read_back: %w", w.conf.Name, ErrBlind)
	}
	status, answer, err := w.call(ctx, http.MethodGet, w.conf.ReadBack, "", nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("it answered %d %s", status, http.StatusText(status))
	}
	if err == nil {
		o, err = readAnswer(answer)
	}
	if err != nil {
		return Observed{}, fmt.Errorf("asking the webhook %s what is in force: %w", w.conf.Name, err)
	}
	return o, nil
}

// readAnswer reads what a webhook says is in force: {"egress": ["10.0.0.1/32"],
// "destinations": []}.
func readAnswer(text []byte) (o Observed, err error) {
	if len(text) > mostAnswer {
		return o, fmt.Errorf("the answer is longer than %d bytes", mostAnswer)
	}
	var in struct {
		Egress       []netip.Prefix `json:"egress"`
		Destinations []netip.Prefix `json:"destinations"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return o, fmt.Errorf("reading the answer: %w", err)
	}
	for _, p := range slices.Concat(in.Egress, in.Destinations) {
		if !p.IsValid() {
			return o, errors.New("reading the answer: an address is missing")
		}
	}
	return Observed{Egress: in.Egress, Destinations: in.Destinations}, nil
}
