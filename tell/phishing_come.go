package tell

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"sekisho"
	"sekisho/duty"
)

// deeds bounds what anybody can write into the ledger by asking again and again.
type deeds struct {
	mu    sync.Mutex
	count map[deedKey]int
}

type deedKey struct {
	campaign, who uint64
	did           string
}

const (
	mostDeeds   = 10        // of one kind with one lure: more are not recorded
	mostCounted = 1_000_000 // keys
)

// full counts one, and says whether it is one too many. It starts anew with the
// process.
func (d *deeds) full(k deedKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count == nil || len(d.count) > mostCounted {
		d.count = map[deedKey]int{}
	}
	d.count[k]++
	return d.count[k] > mostDeeds
}

// A Met is a lure that somebody came with, as its page shows it.
type Met struct {
	Token    Token
	Lure     *duty.Lure
	Language string
	Over     bool // the campaign's people are forgotten: nothing is recorded
}

// Meet reads a token and finds its lure.
func (l *Lures) Meet(token string) (m Met, ok bool) {
	t, ok := l.Token(token)
	if !ok {
		return m, false
	}
	var asked *sekisho.LureAsked
	l.Views.Read(func() {
		if c := l.Seen.find(t.Campaign); c != nil {
			asked, m.Over = c.asked, c.forgot
		}
	})
	if asked == nil {
		return m, false
	}
	lure, lang, err := l.template(asked, t.Lure)
	if err != nil {
		return m, false
	}
	m.Token, m.Lure, m.Language = t, lure, lang
	return m, true
}

// A Caller is who asks for a page, as far as it serves to tell machines.
type Caller struct {
	Address netip.Addr
	Agent   string
	Method  string
	Head    map[string]string // Accept-Language, Purpose, Sec-Purpose
}

// visitOf is the same for one caller of one lure, and says nothing of either to
// who has no key.
func (l *Lures) visitOf(t Token, c Caller) uint32 {
	h := hmac.New(sha256.New, l.Key[:])
	h.Write([]byte("lure visit\x00"))
	h.Write(binary.BigEndian.AppendUint64(binary.AppendUvarint(nil, t.Campaign), t.Who))
	h.Write([]byte(c.Address.Unmap().String() + "\x00" + c.Agent))
	return max(1, binary.BigEndian.Uint32(h.Sum(nil)))
}

// Did records that something was done with a lure from a browser. It is durable
// on return. Nothing that was typed comes here.
func (l *Lures) Did(ctx context.Context, m Met, did string, c Caller) error {
	return l.record(ctx, m, &sekisho.LureSeen{Campaign: m.Token.Campaign, Who: m.Token.Who, Lure: m.Token.Lure, Did: did,
		Visit: l.visitOf(m.Token, c), Signs: l.Signs(c.Address, c.Agent, c.Method, c.Head)})
}

func (l *Lures) record(ctx context.Context, m Met, b *sekisho.LureSeen) error {
	if m.Over || l.doors.full(deedKey{b.Campaign, b.Who, b.Did}) {
		return nil
	}
	if b.Did == "reported" || b.Did == "replied" { // once is enough
		again := false
		l.Views.Read(func() {
			if c := l.Seen.find(b.Campaign); c != nil {
				again = slices.ContainsFunc(c.done[b.Who], func(d Deed) bool { return d.Did == b.Did })
			}
		})
		if again {
			return nil
		}
	}
	slices.Sort(b.Signs)
	_, err := l.append(ctx, b)
	return err
}

// A Came is a mail that came to the house, as far as drills need it.
type Came struct {
	To        []string
	From      string // as it says of itself: nobody has proven it
	Automatic bool
	Texts     [][]byte
	Mail      []byte // that was forwarded, or the mail itself
}

// Ours says whether a mail is for drills: an answer to a lure, or a report.
func (l *Lures) Ours(to []string) (reply, report bool) {
	for _, a := range to {
		at := strings.LastIndexByte(a, '@')
		reply = reply || l.Config.Replies != "" && at > 0 && strings.EqualFold(a[at+1:], l.Config.Replies)
		report = report || l.Config.Report != "" && strings.EqualFold(a, l.Config.Report)
	}
	return reply && !report, report
}

// Come takes in a mail that is ours. What it says is durable on return; of an
// answer to a lure nothing is kept but that there was one.
func (l *Lures) Come(ctx context.Context, m Came) error {
	reply, report := l.Ours(m.To)
	switch {
	case m.Automatic:
		return nil
	case reply:
		var found []Token
		for _, a := range m.To {
			local, _, _ := strings.Cut(strings.ToLower(a), "@")
			if t, ok := l.Token(strings.TrimPrefix(local, "r-")); ok {
				found = append(found, t)
			}
		}
		if len(found) == 0 {
			found = l.find(m.Texts)
		}
		return l.all(ctx, found, "replied")
	case report:
		found := l.find(m.Texts)
		if len(found) > 0 {
			return l.all(ctx, found, "reported")
		}
		return l.suspect(ctx, m)
	}
	return nil
}

// mostFound bounds what one mail can record.
const mostFound = 5

func (l *Lures) all(ctx context.Context, found []Token, did string) error {
	for _, t := range found[:min(len(found), mostFound)] {
		m, ok := l.Meet(l.token(t))
		if !ok {
			continue
		}
		if err := l.record(ctx, m, &sekisho.LureSeen{Campaign: t.Campaign, Who: t.Who, Lure: t.Lure, Did: did}); err != nil {
			return err
		}
	}
	return nil
}

// find looks for tokens in texts: runs of their letters, of their length. Each is
// proven by its MAC.
func (l *Lures) find(texts [][]byte) (found []Token) {
	seen := map[Token]bool{}
	tries := 0
	for _, text := range texts {
		for i := 0; i < len(text); {
			j := i
			for j < len(text) && (text[j] >= 'a' && text[j] <= 'z' || text[j] >= '2' && text[j] <= '7') {
				j++
			}
			if n := j - i; n >= shortestToken && n <= longestToken && tries < 10_000 {
				tries++
				if t, ok := l.Token(string(text[i:j])); ok && !seen[t] {
					seen[t] = true
					found = append(found, t)
				}
			}
			i = j + 1
		}
	}
	return found
}

// suspect keeps a mail that is no lure of ours, for whoever looks into it. Only
// what says to come from one of our domains is taken: the address of the mailbox
// is no secret.
func (l *Lures) suspect(ctx context.Context, m Came) error {
	if m.From == "" || l.Refuses(m.From) != "" {
		return nil
	}
	b := &sekisho.SuspectReported{How: "mail", SHA256: sha256.Sum256(m.Mail)}
	if l.Sent != nil {
		b.Staff = l.Sent(m.From)
	}
	return l.keep(ctx, b, m.Mail)
}

const mostSuspects = 500 // mails kept within a day: more are entries without one

func (l *Lures) keep(ctx context.Context, b *sekisho.SuspectReported, text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := sekisho.At(l.Now().AddDate(0, 0, -1))
	var lately []Suspect
	l.Views.Read(func() { lately = l.Seen.Suspects(since) })
	if slices.ContainsFunc(lately, func(s Suspect) bool { return s.Body.SHA256 == b.SHA256 && s.Body.Staff == b.Staff }) {
		return nil
	}
	if len(lately) >= 20*mostSuspects {
		return nil // a flood: the log of the mail door says so
	}
	if len(lately) < mostSuspects && len(text) > 0 {
		b.Document = l.Vault.Space("document").OfText(text)
	}
	_, err := l.append(ctx, b)
	return err
}

// Report records that somebody pressed the button on their own page: the lure of
// a campaign that they say it was, or a mail that is none.
func (l *Lures) Report(ctx context.Context, staff uint32, text []byte) (drill bool, err error) {
	if found := l.find([][]byte{text}); len(found) > 0 {
		return true, l.all(ctx, found, "reported")
	}
	return false, l.keep(ctx, &sekisho.SuspectReported{Staff: staff, How: "button", SHA256: sha256.Sum256(text)}, text)
}

// Open reads what the config says of scanners.
func (l *Lures) Open() (err error) {
	if l.scanners, err = sekisho.ParsePrefixes(l.Config.Scanners.Networks); err != nil {
		return fmt.Errorf("lures: scanners: %w", err)
	}
	return nil
}
