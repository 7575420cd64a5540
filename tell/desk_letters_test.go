package tell

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"sekisho/incident"
)

// A stalled relay answers, and takes no letter until it is let.
type stalled struct {
	*relay
	open chan struct{}
}

type stalledSession struct {
	relaySession
	open chan struct{}
}

func (r *stalled) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &stalledSession{relaySession{r: r.relay}, r.open}, nil
}

func (s *stalledSession) Data(r io.Reader) error {
	<-s.open
	return s.relaySession.Data(r)
}

// atAStalledRelay is a contact point with one. goOn lets it take letters.
func atAStalledRelay(t *testing.T, change ...func(*DeskConfig)) (p *point, goOn func()) {
	t.Helper()
	r := &stalled{&relay{}, make(chan struct{})}
	addr, _ := serveWith(t, r)
	p = newPoint(t, append(change, func(c *DeskConfig) { c.Mail.Server = addr })...)
	p.relay = r.relay
	goOn = sync.OnceFunc(func() { close(r.open) })
	t.Cleanup(goOn)
	return p, goOn
}

// Letters that wait for the relay keep nobody from being compared, however many
// there are, and all of them go out in the end.
func TestLettersThatWaitHoldNobodyUp(t *testing.T) {
	p, goOn := atAStalledRelay(t)
	const members, strangers = 300, 20
	receipts := map[int]string{}
	for n := 1; n <= members; n++ {
		_, receipts[n] = p.ask("accesses", n, fmt.Sprintf("m%d@example.jp", n))
	}
	for n := range strangers {
		p.ask("accesses", 5000+n, fmt.Sprintf("x%d@example.jp", n))
	}
	p.until("everybody is compared", func() bool {
		left := 1
		p.views.Read(func() { left = len(p.Enquiries.Fresh(1)) })
		return left == 0
	})
	if n := len(p.letters()); n != 0 {
		t.Fatalf("a relay that takes nothing has %d letters", n)
	}
	goOn()
	p.until("all letters have gone", func() bool {
		left := 1
		p.views.Read(func() { left = len(p.Enquiries.Unmailed()) })
		return left == 0
	})
	got := map[string]bool{}
	for _, l := range p.letters() {
		got[l.to] = true
	}
	for n := 1; n <= members; n++ {
		if !got[fmt.Sprintf("m%d@example.jp", n)] {
			t.Errorf("member %d has no code", n)
		}
	}
	if len(got) != members {
		t.Errorf("%d people were written to", len(got))
	}
	if _, err := p.Prove(t.Context(), receipts[members], p.lastCode(fmt.Sprintf("m%d@example.jp", members))); err != nil {
		t.Errorf("the code of the last letter: %v", err)
	}
}

// Where no more letters may wait, enquiries do: in the order in which they came,
// members and strangers alike, and nobody is forgotten.
func TestPushedBackAlike(t *testing.T) {
	p, goOn := atAStalledRelay(t, func(c *DeskConfig) { c.mostLetters = 8 })
	const pairs = 20
	for n := 1; n <= pairs; n++ {
		p.ask("accesses", n, fmt.Sprintf("m%d@example.jp", n))
		p.ask("accesses", 5000+n, fmt.Sprintf("x%d@example.jp", n))
	}
	p.until("the bag is full", func() bool { return p.bag.len() >= 8 })
	var order strings.Builder
	p.views.Read(func() {
		p.Enquiries.Each(func(q *incident.Enquiry) bool {
			order.WriteByte("-+"[min(1, q.Matches)])
			return true
		})
	})
	compared := strings.Count(order.String(), "+")
	if order.String() != strings.Repeat("+", compared)+strings.Repeat("-", 2*pairs-compared) || compared < 12 || compared == 2*pairs {
		t.Errorf("compared were: %s", order.String())
	}
	if n := p.bag.len(); n > 8 {
		t.Errorf("%d letters wait", n)
	}
	goOn()
	p.until("everybody is compared, and has their letter", func() bool {
		left := 1
		p.views.Read(func() { left = len(p.Enquiries.Fresh(1)) + len(p.Enquiries.Unmailed()) })
		return left == 0
	})
	got := map[string]bool{}
	for _, l := range p.letters() {
		got[l.to] = true
	}
	if len(got) != pairs || got["x1@example.jp"] {
		t.Errorf("%d people were written to", len(got))
	}
}
