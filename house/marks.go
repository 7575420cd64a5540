package house

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekisho"
	"sekisho/permit"
	"sekisho/sensor"
	"sekisho/watch"
)

// Exports says what the answers of approved exports carry.
type Exports struct {
	// Decoys is how many records of people who do not exist each answer carries,
	// which no other has, unless whoever asks for it says otherwise. Default 0.
	Decoys uint64 `yaml:"decoys"`
	// Domain of their mailboxes: one for which sensors.mail receives.
	Domain string `yaml:"domain"`
}

func (c *Config) checkExports() error {
	e := &c.Exports
	e.Domain = strings.ToLower(e.Domain)
	switch {
	case e.Decoys > permit.MostDecoys:
		return fmt.Errorf("config: exports: decoys %d: the most is %d", e.Decoys, permit.MostDecoys)
	case e.Decoys > 0 && e.Domain == "":
		return errors.New("config: exports: domain is missing: where the decoys' mailboxes are")
	case e.Domain != "" && !slices.ContainsFunc(c.Sensors.Mail.Domains, func(d string) bool { return strings.EqualFold(d, e.Domain) }):
		return fmt.Errorf("config: exports: domain %s is none of sensors.mail.domains, so nobody would see the mail", e.Domain)
	}
	return nil
}

// given are the names by which mailboxes begin, so that they read as others do.
var given = []string{"aoi", "haruka", "kenji", "makoto", "misaki", "naoki", "rin", "satoshi", "sora", "takumi", "yui", "yuna"}

// marks are the mailboxes of an export's decoys. Each ends in 60 bits of a MAC over
// the request and its place, so that nobody who has not seen one can name it, and
// an address that somebody made up is nobody's.
func (h *House) marks(request uint64, decoys int) (list []string) {
	if h.Config.Exports.Domain == "" {
		return nil
	}
	for i := range uint64(min(decoys, permit.MostDecoys)) {
		mac := hmac.New(sha256.New, h.staffKey[:])
		mac.Write([]byte("sekisho: mailbox of an export's decoy\x00"))
		mac.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, request), i))
		sum := mac.Sum(nil)
		tag := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))[:12]
		list = append(list, fmt.Sprintf("%s.%s@%s", given[int(sum[31])%len(given)], tag, h.Config.Exports.Domain))
	}
	return list
}

// marked is the export whose answer alone had a decoy; false: it is another decoy,
// or nobody has used the approval.
func (h *House) marked(p watch.Placed) (r permit.Request, ok bool) {
	if p.Body.Request == 0 {
		return r, false
	}
	h.Views.Read(func() { r, ok = h.Permits.Get(p.Body.Request) })
	return r, ok && r.Used != nil
}

// mailedAlert is the alert of a mail to a decoy. Of one that an export's answer
// alone had it says who took that, and where to.
func (h *House) mailedAlert(p watch.Placed, now sekisho.Time) *sekisho.Alert {
	a := &sekisho.Alert{Detector: "decoy_mail", Endpoint: mailAt, From: now, Until: now + 1, Observed: 1, Basis: []uint64{p.Entry}}
	if r, ok := h.marked(p); ok {
		a.Basis = append(a.Basis, r.UseSeq)
		if r.Taken != nil {
			a.Principal, a.Endpoint = r.Taken.Principal, r.Taken.Endpoint
		}
	}
	return a
}

// A reader of addresses looks at all that is read through it for mailboxes of
// decoys that one export's answer alone had.
type markReader struct {
	in    io.Reader
	h     *House
	token []byte
	seen  map[uint64]bool
}

func (h *House) lookForMarks(in io.Reader) *markReader {
	return &markReader{in: in, h: h, seen: map[uint64]bool{}}
}

func (m *markReader) Read(b []byte) (int, error) {
	n, err := m.in.Read(b)
	for _, c := range b[:n] {
		switch {
		case c == 0: // of UTF-16
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("@._-+", c) >= 0:
			m.add(c)
		case c >= 'A' && c <= 'Z':
			m.add(c | 0x20)
		default:
			m.ends()
		}
	}
	if err != nil {
		m.ends()
	}
	return n, err
}

func (m *markReader) add(c byte) {
	if len(m.token) <= 254 {
		m.token = append(m.token, c)
	}
}

func (m *markReader) ends() {
	if at := strings.IndexByte(string(m.token), '@'); at > 0 && len(m.token) <= 254 {
		if box, known := m.h.Vault.Space("mailbox").Find(string(m.token)); known {
			var list []watch.Placed
			m.h.Views.Read(func() { list = m.h.Decoys.At(box) })
			for _, p := range list {
				if p.Body.Request != 0 {
					m.seen[p.Body.Request] = true
				}
			}
		}
	}
	m.token = m.token[:0]
}

// requests are the exports that were found, by the number of their request.
func (m *markReader) requests() (list []uint64) {
	for n := range m.seen {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// foundMarks raises an alert for each export whose own decoys stand in a recovered
// file: about whoever took it, and the moment when that was. Once for a file.
func (h *House) foundMarks(ctx context.Context, matched *sekisho.FileMatched, report *sensor.FileReport) error {
	if report == nil || len(report.Exports) == 0 {
		return nil
	}
	h.mail.mu.Lock()
	defer h.mail.mu.Unlock()
	for _, n := range report.Exports {
		var r permit.Request
		var first watch.Placed
		decoys := uint64(0)
		h.Views.Read(func() {
			r, _ = h.Permits.Get(n)
			for _, p := range h.Decoys.List() {
				if p.Body.Request == n {
					if decoys++; decoys == 1 {
						first = p
					}
				}
			}
		})
		key := fmt.Sprint(n)
		if matched != nil {
			key = fmt.Sprintf("%d %x", n, matched.SHA256)
		}
		if r.Used == nil || h.mail.found[key] {
			continue
		}
		a := &sekisho.Alert{Detector: "decoy", Endpoint: mailAt, From: r.UsedAt, Until: r.UsedAt + 1, Observed: decoys, Basis: []uint64{first.Entry, r.UseSeq}}
		if r.Taken != nil {
			a.Principal, a.Endpoint = r.Taken.Principal, r.Taken.Endpoint
		}
		if _, err := h.Ledger.Append(ctx, a); err != nil {
			return fmt.Errorf("recording whose export a file is: %w", err)
		}
		if h.mail.found == nil {
			h.mail.found = map[string]bool{}
		}
		h.mail.found[key] = true
		h.Log.Warn("a recovered file holds decoys that one export's answer alone had: see the incidents", "request", n)
	}
	return nil
}
