package contain

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekisho"
	"sekisho/disk"
)

// State is what an agent shall enforce, all of it. It travels signed, and is
// kept signed: whoever can write the agent's disk, or stands between, can take
// it away, and cannot make another one.
type State struct {
	Ledger  string       `json:"ledger"` // the name of sekisho's ledger
	Hand    string       `json:"hand"`   // for whom it is: one agent's state is no other's
	Number  uint64       `json:"number"` // an agent takes none that is not higher than its own
	Made    sekisho.Time `json:"made"`
	Through uint64       `json:"through"`
	Orders  []uint64     `json:"orders"`

	Egress       []Held         `json:"egress"`
	Destinations []netip.Prefix `json:"destinations"`
	Inside       []netip.Prefix `json:"inside"`
	Open         []netip.Prefix `json:"open"`
}

// Held are sources that are cut until the same time.
type Held struct {
	Until    sekisho.Time   `json:"until"` // 0: until sekisho says otherwise
	Prefixes []netip.Prefix `json:"prefixes"`
}

// mostState is the most bytes of a state.
const mostState = 32 << 20

// stateOf is the state of d for one hand, without number and time.
func stateOf(ledger, hand string, d Desired) State {
	s := State{Ledger: ledger, Hand: hand, Through: d.Through, Orders: d.Orders, Destinations: Only(d, DoesDestinations).Destinations, Inside: d.Inside, Open: d.Open}
	until := map[netip.Prefix]sekisho.Time{}
	for _, t := range d.Targets {
		if t.Cuts&sekisho.CutEgress == 0 {
			continue
		}
		for _, a := range t.Addresses {
			switch had, ok := until[a]; {
			case covered(d.Open, a):
			case !ok:
				until[a] = t.Until
			case had == 0 || t.Until == 0:
				until[a] = 0
			default:
				until[a] = max(had, t.Until)
			}
		}
	}
	by := map[sekisho.Time][]netip.Prefix{}
	for a, t := range until {
		by[t] = append(by[t], a)
	}
	for t, list := range by {
		slices.SortFunc(list, netip.Prefix.Compare)
		s.Egress = append(s.Egress, Held{t, list})
	}
	slices.SortFunc(s.Egress, func(a, b Held) int { return cmp.Compare(a.Until, b.Until) })
	return s
}

// same says whether two states ask for the same.
func (s State) same(as State) bool {
	s.Number, s.Made, s.Through, s.Orders = as.Number, as.Made, as.Through, as.Orders
	a, err := json.Marshal(s)
	b, err2 := json.Marshal(as)
	return err == nil && err2 == nil && bytes.Equal(a, b)
}

// fence is what a state asks for at a time. What was to end by itself has ended
// only if sekisho is silent: as long as it is there, the end is an entry of its
// ledger first.
func (s State) fence(now sekisho.Time, silent bool) (f Fence, ended int) {
	f = Fence{Destinations: s.Destinations, Inside: s.Inside, Open: s.Open}
	for _, h := range s.Egress {
		if silent && h.Until != 0 && now >= h.Until {
			ended += len(h.Prefixes)
			continue
		}
		f.Egress = append(f.Egress, h.Prefixes...)
	}
	return f, ended
}

// whole is the fence that a state was told with.
func (s State) whole() Fence { f, _ := s.fence(0, false); return f }

// What a signature of a state is over, before its bytes, so that it is no
// signature of anything else.
const stateSigned = "sekisho: state of a hand, version 1\n"

// sign gives a line with the signature, and the state.
func (s State) sign(key ed25519.PrivateKey) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing a hand's state: %w", err)
	}
	sum := ed25519.Sign(key, slices.Concat([]byte(stateSigned), body))
	return slices.Concat([]byte(base64.StdEncoding.EncodeToString(sum)), []byte("\n"), body), nil
}

// OpenState reads a signed state. It is one that a holder of one of the keys
// made for this hand, or an error.
func OpenState(text []byte, hand string, keys []ed25519.PublicKey) (s State, err error) {
	if len(text) > mostState {
		return s, fmt.Errorf("the state of %s is longer than %d bytes", hand, mostState)
	}
	line, body, ok := bytes.Cut(text, []byte("\n"))
	sum, err := base64.StdEncoding.DecodeString(string(line))
	if !ok || err != nil || len(sum) != ed25519.SignatureSize {
		return s, errors.New("the state does not begin with a signature")
	}
	if !slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool {
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, slices.Concat([]byte(stateSigned), body), sum)
	}) {
		return s, errors.New("the state is not signed by sekisho's key: somebody else made it, it was damaged, or the key in the config is old (sekisho hand key shows the present one)")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("reading the state: %w: it is of another version of sekisho", err)
	}
	if s.Hand != hand {
		return s, fmt.Errorf("the state is for the hand %.60q, not for %q", s.Hand, hand)
	}
	return s, s.whole().check()
}

// Keys of states, as text.
const publicKeyPrefix = "ed25519:"

// ParsePublicKey reads what PublicKey wrote.
func ParsePublicKey(s string) (ed25519.PublicKey, error) {
	text, ok := strings.CutPrefix(s, publicKeyPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%.80q is no key of sekisho's: it starts with %s, and sekisho hand key shows it", s, publicKeyPrefix)
	}
	return key, nil
}

// PublicKey is a key as text, for an agent's config.
func PublicKey(key ed25519.PrivateKey) string {
	return publicKeyPrefix + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// LoadOrMakeKey reads the key that states are signed with, or makes one. A key
// that others may read is refused. Durable on return.
func LoadOrMakeKey(name string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making the key of hands: %w", err)
		}
		return key, replace(disk.OS{}, name, []byte(base64.StdEncoding.EncodeToString(key.Seed())+"\n"))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of hands: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("reading the key of hands: others may read %s: give it mode 0600, and, if they did, remove it and tell the agents the new one", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the key of hands: %w", err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("reading the key of hands: %s is damaged: restore it, or remove it and tell the agents the new one", name)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// replace writes a file anew, mode 0600. Durable on return; after a crash the
// file is the old one or the new one.
func replace(d disk.FS, name string, text []byte) error { return replaceMode(d, name, text, 0o600) }

func replaceMode(d disk.FS, name string, text []byte, mode uint32) (err error) {
	fresh := name + ".new"
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", name, err)
		}
	}()
	f, err := d.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(text, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = d.Rename(fresh, name); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(name))
}

// contents reads a file of at most some bytes.
func contents(d disk.FS, name string, most int64) ([]byte, error) {
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, most)
	}
	text := make([]byte, size)
	if _, err := f.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return text, nil
}
