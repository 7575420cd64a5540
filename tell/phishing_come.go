package tell

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
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
