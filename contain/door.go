package contain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sekisho/disk"
	"sekisho/porter"
)

// Hands says which hands there are besides the gate, and where they come for
// what they are to do.
type Hands struct {
	// Listen is the address of the door to which agents and firewalls come, such
	// as 0.0.0.0:8443.
	Listen string `yaml:"listen"`
	// Cert and Key are its PEM files.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Routers are firewalls on other machines, each with an agent (sekisho hand
	// nftables).
	Routers []RouterHand `yaml:"routers"`
	// Firewall is the one on this machine, if sekisho stands on the router.
	Firewall LocalHand `yaml:"firewall"`
	// Lists are lists of addresses that firewalls and proxies fetch.
	Lists []ListHand `yaml:"lists"`
	// Webhooks are told by HTTP what to cut.
	Webhooks []WebhookHand `yaml:"webhooks"`
	// Probes look from the other side.
	Probes []ProbeHand `yaml:"probes"`
}

// RouterHand is a router's agent, as sekisho knows it.
type RouterHand struct {
	// Name of the hand; the agent's config has the same.
	Name string `yaml:"name"`
	// Place is the machine. Default: the name. Two hands at one place count as
	// one.
	Place string `yaml:"place"`
	// TokenFile holds the word by which the agent is known; mode 0600, at least 20
	// characters.
	TokenFile string `yaml:"token_file"`
}

// LocalHand is the firewall of this machine.
type LocalHand struct {
	// Name of the hand. Empty: there is none.
	Name string `yaml:"name"`
	// Place is the machine. Default: the name.
	Place string `yaml:"place"`
	// NFT is the program; default nft in the usual places.
	NFT string `yaml:"nft"`
	// Router says what the firewall must know.
	Router Router `yaml:"router"`
}

// Check fills in defaults, takes paths against base, and names the first
// mistake.
func (c *Hands) Check(base string) error {
	against := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	against(&c.Cert)
	against(&c.Key)
	if (c.Cert == "") != (c.Key == "") {
		return errors.New("cert and key come together")
	}
	names := map[string]bool{"gate": true}
	name := func(kind, name string, place *string) error {
		if !plainHand(name) {
			return fmt.Errorf("%s: name %q: letters, digits, - and _, at most 40", kind, name)
		}
		if names[name] {
			return fmt.Errorf("%s: two hands are called %s", kind, name)
		}
		names[name] = true
		if *place == "" {
			*place = name
		}
		return nil
	}
	for i := range c.Routers {
		r := &c.Routers[i]
		if err := name("routers", r.Name, &r.Place); err != nil {
			return err
		}
		if r.TokenFile == "" {
			return fmt.Errorf("routers: %s: token_file is missing: a file with the word that its agent shows", r.Name)
		}
		against(&r.TokenFile)
	}
	if f := &c.Firewall; f.Name != "" {
		if err := name("firewall", f.Name, &f.Place); err != nil {
			return err
		}
		if _, err := f.Router.reading(); err != nil {
			return fmt.Errorf("firewall: %w", err)
		}
	}
	for i := range c.Lists {
		l := &c.Lists[i]
		if err := name("lists", l.Name, &l.Place); err != nil {
			return err
		}
		if err := l.check(against); err != nil {
			return fmt.Errorf("lists: %s: %w", l.Name, err)
		}
	}
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		if err := name("webhooks", w.Name, &w.Place); err != nil {
			return err
		}
		if err := w.check(against); err != nil {
			return fmt.Errorf("webhooks: %s: %w", w.Name, err)
		}
	}
	probes := map[string]bool{}
	for i := range c.Probes {
		p := &c.Probes[i]
		if !plainHand(p.Name) || probes[p.Name] {
			return fmt.Errorf("probes: name %q: letters, digits, - and _, at most 40, and once", p.Name)
		}
		probes[p.Name] = true
		if err := p.check(against, names); err != nil {
			return fmt.Errorf("probes: %s: %w", p.Name, err)
		}
	}
	if n := len(c.Routers) + len(c.Lists) + len(c.Probes); n > 0 && (c.Listen == "" || c.Cert == "") {
		return errors.New("listen, cert and key are needed: agents, firewalls and probes come by TLS")
	}
	return nil
}

// plainHand: it stands in entries, paths and logs.
func plainHand(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Outfit is what hands need of the house.
type Outfit struct {
	Ledger string             // its name
	Dir    string             // where what was published is kept
	Key    ed25519.PrivateKey // signs states; see LoadOrMakeKey
	Now    func() time.Time
	Log    *slog.Logger
}

// A Door is where agents and firewalls come.
type Door struct {
	Hands []Hand // all of the config, in its order

	mux    *http.ServeMux
	log    *slog.Logger
	now    func() time.Time
	porter *porter.Porter
	knocks knocks
}

// knocks bounds what is said of those who show no word: whoever can reach the
// door can knock as often as they like.
type knocks struct {
	mu     sync.Mutex
	began  time.Time
	said   int
	untold int
}

// mostKnocks are told in a minute; the first of a later one says how many more
// there were.
const mostKnocks = 20

func (k *knocks) tell(now time.Time) (ok bool, untold int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if since := now.Sub(k.began); since < 0 || since >= time.Minute {
		k.began, k.said, untold, k.untold = now, 0, k.untold, 0
	}
	if k.said == mostKnocks {
		k.untold++
		return false, 0
	}
	k.said++
	return true, untold
}

// NewDoor makes the hands of a config that was checked. Nothing is cut by it,
// and nothing given back: what was published before is still published.
func NewDoor(c Hands, o Outfit) (*Door, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Door{mux: http.NewServeMux(), log: o.Log, now: o.Now, porter: porter.New()}
	// What is not there answers as what is: names of hands are nobody's business.
	d.mux.HandleFunc("/", d.known(func(string, string) bool { return false }, http.NotFound))
	for _, r := range c.Routers {
		word, err := readSecret(r.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("hands: routers: %s: token_file: %w", r.Name, err)
		}
		remote := &Remote{name: r.Name, place: r.Place, ledger: o.Ledger, does: DoesEgress | DoesDestinations, key: o.Key, token: newSecret(word), now: o.Now,
			patience: 5 * time.Second, changed: make(chan struct{}), reading: make(chan struct{}, 1), seen: map[string]Observed{}}
		d.Hands = append(d.Hands, remote)
		d.mux.HandleFunc("/hands/"+r.Name, d.known(func(_, word string) bool { return remote.token.is(word) }, remote.serve))
	}
	if f := c.Firewall; f.Name != "" {
		n, err := NewNftables(f.Name, f.Place, f.NFT, f.Router)
		if err != nil {
			return nil, fmt.Errorf("hands: firewall: %w", err)
		}
		d.Hands = append(d.Hands, n)
	}
	for _, l := range c.Lists {
		list, err := newList(l, o, disk.OS{})
		if err != nil {
			return nil, fmt.Errorf("hands: lists: %s: %w", l.Name, err)
		}
		d.Hands = append(d.Hands, list)
		for _, file := range []string{listEgress, listDestinations} {
			d.mux.HandleFunc("/lists/"+l.Name+"/"+file, d.known(list.knows, list.serve(file)))
		}
	}
	for _, w := range c.Webhooks {
		hook, err := newWebhook(w, o)
		if err != nil {
			return nil, fmt.Errorf("hands: webhooks: %s: %w", w.Name, err)
		}
		d.Hands = append(d.Hands, hook)
	}
	by := map[string][]*probe{}
	for _, p := range c.Probes {
		word, err := readSecret(p.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("hands: probes: %s: token_file: %w", p.Name, err)
		}
		one := &probe{ProbeHand: p, word: newSecret(word)}
		d.mux.HandleFunc("/probes/"+p.Name, d.known(func(_, word string) bool { return one.word.is(word) }, one.serve(o.Now)))
		for _, h := range p.Hands {
			by[h] = append(by[h], one)
		}
	}
	for i, h := range d.Hands {
		if probes := by[h.Name()]; len(probes) > 0 {
			d.Hands[i] = &probed{Hand: h, probes: probes, now: o.Now}
		}
	}
	return d, nil
}

// A secret is kept as its hash, so that comparing takes the same time for all.
type secret [sha256.Size]byte

func newSecret(word string) secret { return sha256.Sum256([]byte(word)) }

func (s secret) is(word string) bool {
	sum := sha256.Sum256([]byte(word))
	return subtle.ConstantTimeCompare(s[:], sum[:]) == 1
}

// known lets in who shows a word: as a bearer token, or as a password with a
// name, which is what firewalls can do.
func (d *Door) known(knows func(name, word string) bool, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		name, word, ok := q.BasicAuth()
		if !ok {
			word, ok = strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
		}
		if !ok || !knows(name, word) {
			if say, untold := d.knocks.tell(d.now()); say {
				d.log.Warn("somebody unknown at the door of hands", "path", q.URL.Path[:min(len(q.URL.Path), 100)], "from", q.RemoteAddr, "before, not told", untold)
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="sekisho"`)
			w.Header().Set("Connection", "close") // and makes room
			http.Error(w, "not known here", http.StatusUnauthorized)
			return
		}
		d.porter.Knows(q)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		serve(w, q)
	}
}

// Server serves the door. The caller listens, and closes it.
func (d *Door) Server() *http.Server {
	return &http.Server{
		Handler: d.mux, ConnState: d.porter.State, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: longPoll + 30*time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
}
