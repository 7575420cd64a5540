package contain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"path/filepath"
	"sekisho"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho/disk"
)

// ListHand is a list that firewalls and proxies fetch by HTTP: plain text, an
// address or prefix a line, which is what Palo Alto calls an external dynamic
// list and Fortinet an external threat feed.
type ListHand struct {
	// Name of the hand, and part of the list's address.
	Name string `yaml:"name"`
	// Place is the machine that enforces it. Default: the name.
	Place string `yaml:"place"`
	// Readers are those that may fetch it, and must.
	Readers []Reader `yaml:"readers"`
}

// Reader is one firewall or proxy.
type Reader struct {
	// Name by which it signs in.
	Name string `yaml:"name"`
	// PasswordFile holds its password; mode 0600, at least 20 characters.
	PasswordFile string `yaml:"password_file"`
	// Within is how long after a change it may not have fetched the list before
	// that is an alarm. Default 1m; a Palo Alto firewall asks every 5m at most
	// often.
	Within time.Duration `yaml:"within"`
}

func (l *ListHand) check(against func(*string)) error {
	if len(l.Readers) == 0 {
		return errors.New("readers is missing: who fetches the list, so that it is seen when somebody does not")
	}
	for i := range l.Readers {
		r := &l.Readers[i]
		if !plainHand(r.Name) {
			return fmt.Errorf("readers: name %q: letters, digits, - and _, at most 40", r.Name)
		}
		if r.PasswordFile == "" {
			return fmt.Errorf("readers: %s: password_file is missing", r.Name)
		}
		against(&r.PasswordFile)
		if r.Within == 0 {
			r.Within = time.Minute
		}
	}
	return nil
}

// The two lists of a ListHand: terminals that may not go out, and destinations
// that nobody may reach.
const listEgress, listDestinations = "terminals.txt", "destinations.txt"

// ListEnd is the last line of every list: an address of RFC 5737, which is
// nobody's. So a list is never empty, for firewalls that take an empty list for
// a failed download or a failed download for an empty list; and one without it
// was cut off on its way.
const ListEnd = "192.0.2.255"

// mostList is the most bytes of a list.
const mostList = 16 << 20

// List is a published list. What it publishes is on disk before anybody can
// fetch it, and is published again when sekisho starts.
type List struct {
	name, place string
	file        string
	fs          disk.FS
	now         func() time.Time
	readers     []*reader

	mu    sync.Mutex
	lists map[string]*published // nil: nothing was ever published, and nobody gets anything
}

type reader struct {
	Reader
	word    secret
	fetched map[string]string // by file: the tag of what it has
}

type published struct {
	text  []byte
	tag   string // an ETag
	since time.Time
}

func newList(c ListHand, o Outfit, d disk.FS) (*List, error) {
	l := &List{name: c.Name, place: c.Place, file: filepath.Join(o.Dir, "list-"+c.Name+".json"), fs: d, now: o.Now}
	for _, r := range c.Readers {
		word, err := readSecret(r.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("readers: %s: password_file: %w", r.Name, err)
		}
		l.readers = append(l.readers, &reader{Reader: r, word: newSecret(word), fetched: map[string]string{}})
	}
	if err := d.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	o2, err := l.read()
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what was published last: %w: firewalls keep what they have; remove the file to publish anew", err)
	}
	l.publish(o2)
	return l, nil
}

// listFile is what is kept of a list.
type listFile struct {
	Egress       []netip.Prefix `json:"egress"`
	Destinations []netip.Prefix `json:"destinations"`
}

// read reads the kept list.
func (l *List) read() (o Observed, err error) {
	text, err := contents(l.fs, l.file, mostList)
	if err != nil {
		return o, err
	}
	var kept listFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&kept); err != nil {
		return o, fmt.Errorf("reading %s: %w", l.file, err)
	}
	for _, p := range slices.Concat(kept.Egress, kept.Destinations) {
		if !p.IsValid() || p.Bits() == 0 {
			return o, fmt.Errorf("reading %s: it is damaged", l.file)
		}
	}
	return Observed{Egress: kept.Egress, Destinations: kept.Destinations}, nil
}

// publish shows the lists from now on. What did not change keeps its tag and
// time.
func (l *List) publish(o Observed) {
	next := map[string]*published{listEgress: {text: listText(o.Egress)}, listDestinations: {text: listText(o.Destinations)}}
	for file, p := range next {
		sum := sha256.Sum256(p.text)
		p.tag, p.since = `"`+base64.RawURLEncoding.EncodeToString(sum[:18])+`"`, l.now()
		if old := l.lists[file]; old != nil && old.tag == p.tag {
			next[file] = old
		}
	}
	l.lists = next
}

// listText is a list as it is fetched.
func listText(list []netip.Prefix) []byte {
	var out bytes.Buffer
	for _, p := range list {
		out.WriteString(Short(p))
		out.WriteByte('\n')
	}
	out.WriteString(ListEnd + "\n")
	return out.Bytes()
}

func (l *List) Name() string  { return l.name }
func (l *List) Place() string { return l.place }
func (l *List) Does() Does    { return DoesEgress | DoesDestinations }

// Apply publishes the lists. They are durable, and whoever fetches gets them,
// when it returns. Whether the firewalls have done so says Enforced.
func (l *List) Apply(ctx context.Context, d Desired) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publishing the list %s: %w", l.name, err)
	}
	f := d.Fence()
	if err := f.check(); err != nil {
		return fmt.Errorf("publishing the list %s: %w", l.name, err)
	}
	text, err := json.Marshal(listFile{f.Egress, f.Destinations})
	if err != nil {
		return fmt.Errorf("publishing the list %s: %w", l.name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, err := contents(l.fs, l.file, mostList); err != nil || !bytes.Equal(have, text) {
		if err := replace(l.fs, l.file, text); err != nil {
			return fmt.Errorf("publishing the list %s: %w", l.name, err)
		}
	}
	l.publish(Observed{Egress: f.Egress, Destinations: f.Destinations})
	return nil
}

// FaultNotFetched: a reader of a list does not have what is published.
const FaultNotFetched = "not_fetched"

// Enforced reads what is published, and says if somebody has not come for it.
func (l *List) Enforced(context.Context) (Observed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, err := l.read()
	if errors.Is(err, fs.ErrNotExist) {
		return Observed{}, nil
	}
	if err != nil {
		return o, err
	}
	for _, r := range l.readers {
		for file, p := range l.lists {
			if r.fetched[file] != p.tag && l.now().Sub(p.since) > r.Within {
				o.Faults = append(o.Faults, FaultNotFetched)
			}
		}
	}
	slices.Sort(o.Faults)
	o.Faults = slices.Compact(o.Faults)
	return o, nil
}

// knows compares with every reader, so that it takes the same time for all.
func (l *List) knows(name, word string) (ok bool) {
	for _, r := range l.readers {
		if r.word.is(word) && r.Name == name {
			ok = true
		}
	}
	return ok
}

// serve gives one file to a reader that is known.
func (l *List) serve(file string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "a list is fetched by GET", http.StatusMethodNotAllowed)
			return
		}
		l.mu.Lock()
		var p *published
		if l.lists != nil {
			p = l.lists[file]
		}
		l.mu.Unlock()
		if p == nil {
			// An empty answer would be read as "nobody is contained".
			w.Header().Set("Retry-After", "5")
			http.Error(w, "nothing was published yet: keep what you have", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("ETag", p.tag)
		sent := &whole{ResponseWriter: w}
		http.ServeContent(sent, q, "", time.Time{}, bytes.NewReader(p.text))
		if q.Method != http.MethodGet || sent.failed || !(sent.status == http.StatusNotModified || sent.status == http.StatusOK && sent.n == len(p.text)) {
			return
		}
		name, _, _ := q.BasicAuth()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, r := range l.readers {
			if r.Name == name {
				r.fetched[file] = p.tag
			}
		}
	}
}

// whole notes whether all of an answer was taken.
type whole struct {
	http.ResponseWriter
	status, n int
	failed    bool
}

func (w *whole) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *whole) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.n += n
	w.failed = w.failed || err != nil
	return n, err
}

// ReadList reads a list as a reader got it. One that is cut off, or something
// else, such as a proxy's page of excuse, is no list.
func ReadList(text []byte) ([]netip.Prefix, error) {
	if len(text) > mostList {
		return nil, fmt.Errorf("the list is longer than %d bytes", mostList)
	}
	rest, ok := strings.CutSuffix(string(text), ListEnd+"\n")
	if !ok || rest != "" && !strings.HasSuffix(rest, "\n") {
		return nil, errors.New("the list does not end with the line " + ListEnd + ": it was cut off, or it is none")
	}
	var out []netip.Prefix
	number := 0
	for line := range strings.Lines(rest) {
		number++
		p, err := sekisho.ParsePrefix(strings.TrimSuffix(line, "\n"))
		if err != nil || p.Bits() == 0 {
			return nil, fmt.Errorf("line %d of the list is no address", number)
		}
		out = append(out, p)
	}
	return out, nil
}
