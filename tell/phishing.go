package tell

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/duty"
	"sekisho/vault"
	"sekisho/view"
)

// Drills by mail, for the company's own people. Addresses come from the
// directory alone, and only those of the domains in the config are ever written
// to; everybody else is refused before any connection. One person proposes a
// campaign, whose list is frozen then; another approves it.

// A Reader is somebody of the directory to whom a lure could go.
type Reader struct {
	Staff      uint32
	Company    uint32 // ordinals in "unit"; 0: none
	Department uint32
	Executive  bool
	Away       bool
}

// Contact is how somebody is written to.
type Contact struct{ Address, Name, Language string }

// Lures proposes campaigns, decides on them, writes their letters and takes in
// what comes of them. Its fields are set before it is used.
type Lures struct {
	Config LuresConfig
	Append func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error) // durable on return
	Last   func() uint64
	Views  *view.Set
	Book   *Book     // in Views
	Seen   *LureBook // in Views
	Vault  *vault.Vault
	Key    [32]byte // for MACs
	Lures  []duty.Lure
	Now    func() time.Time
	Zone   *time.Location
	Log    *slog.Logger

	// Readers are the people of the directory at a time, and Contact how one of
	// them is written to now; not ok: they have no address.
	Readers func(at sekisho.Time) []Reader
	Contact func(staff uint32) (Contact, bool)
	// Within are a unit and those below it; nil: it is alone.
	Within func(unit uint32, at sekisho.Time) map[uint32]bool
	// Sent is who of the directory has an address; 0: nobody.
	Sent func(address string) uint32
	// Returns is the envelope's sender of one letter; nil: that of the lure.
	Returns func(campaign uint64, staff uint32) string
	// Destroy takes a key out of the vault for ever. nil: it cannot be done.
	Destroy func(space string, ordinal uint32) error

	mu     sync.Mutex // one proposal or decision at a time
	joins  joins
	parsed sync.Map // ordinal in "document" → *duty.Lure
	doors  deeds
	added  results

	scanners []netip.Prefix // of the config
}

// Ask freezes a campaign, which waits for a second person on return.
func (l *Lures) Ask(ctx context.Context, ask LureAsk, by uint32) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.TrimSpace(ask.Reason) == "" || len(ask.Reason) > maxSaid {
		return 0, wrong("reason")
	}
	p, err := l.Plan(ask)
	if err != nil {
		return 0, err
	}
	h, _ := l.hoursOf(&p.Ask) // checked
	b := &sekisho.LureAsked{From: sekisho.At(p.Ask.From), Until: sekisho.At(p.Ask.Until), Opens: h.opens, Closes: h.closes, Days: h.days,
		Units: p.Ask.Units, Listed: uint64(p.Listed), People: uint64(len(p.Turns)), By: by}
	all := sha256.New()
	for _, v := range p.Lures {
		b.Lures = append(b.Lures, v.Lure.ID(v.Language))
		b.Documents = append(b.Documents, l.Vault.Space("document").OfText(v.Lure.File))
		all.Write(v.Lure.File)
	}
	all.Sum(b.SHA256[:0])
	var key [32]byte
	rand.Read(key[:])
	b.Title = l.Vault.Space("said").OfText([]byte(p.Ask.Title))
	b.Reason = l.Vault.Space("said").OfText([]byte(p.Ask.Reason))
	b.Key = l.Vault.Space("lure_key").OfText(key[:])
	if b.Title == 0 || b.Reason == 0 || b.Key == 0 || slices.Contains(b.Documents, 0) {
		return 0, errors.New("proposing a drill by mail: the vault takes no more")
	}
	if err := l.link(ctx, p.Turns); err != nil {
		return 0, err
	}
	id, err := l.Append(ctx, b)
	if err != nil {
		return 0, &NotRecorded{err}
	}
	sorted := &sekisho.LureSorted{Campaign: id.Seq}
	for _, v := range p.Lures {
		sorted.Teaches = append(sorted.Teaches, v.Lure.Teaches)
	}
	if _, err := l.Append(ctx, sorted); err != nil {
		return 0, &NotRecorded{err}
	}
	for rest := p.Turns; len(rest) > 0; {
		n := min(len(rest), listedAtOnce)
		part := &sekisho.LureListed{Campaign: id.Seq, More: n < len(rest)}
		for _, t := range rest[:n] {
			part.Staff, part.Lures = append(part.Staff, t.Staff), append(part.Lures, uint32(t.Lure))
			part.At = append(part.At, uint32((t.At-b.From)/1e6))
		}
		last, err := l.Append(ctx, part)
		if err != nil {
			return 0, &NotRecorded{err}
		}
		if rest = rest[n:]; len(rest) == 0 {
			err = l.Views.WaitFor(ctx, last.Seq)
		}
		if err != nil {
			return 0, err
		}
	}
	return id.Seq, nil
}

func (l *Lures) append(ctx context.Context, b ...sekisho.Body) (uint64, error) {
	id, err := l.Append(ctx, b...)
	if err != nil {
		return 0, &NotRecorded{err}
	}
	return id.Seq, l.Views.WaitFor(ctx, id.Seq+uint64(len(b)-1))
}

func (l *Lures) said(text string) (uint32, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return 0, nil
	case len(text) > maxSaid:
		return 0, wrong("reason")
	}
	if n := l.Vault.Space("said").OfText([]byte(text)); n != 0 {
		return n, nil
	}
	return 0, errors.New("keeping a reason: the vault takes no more")
}

// Campaign gives the state of one campaign's mails.
func (l *Lures) Campaign(number uint64) (s Status, err error) {
	ok := false
	l.Views.Read(func() { s, ok = l.Book.Campaign(number) })
	if !ok {
		return s, wrong("campaign")
	}
	return s, nil
}

// Decide records what somebody says to a campaign. same says whether two members
// of staff are one person.
func (l *Lures) Decide(ctx context.Context, number uint64, action, reason string, by uint32, same func(a, b uint32) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.Campaign(number)
	if err != nil {
		return err
	}
	said, err := l.said(reason)
	if err != nil {
		return err
	}
	if err := mayDecide(s, action, by, same); err != nil {
		return err
	}
	_, err = l.append(ctx, &sekisho.LureDecided{Campaign: number, Action: action, Reason: said, By: by})
	return err
}

// Settle records what is held of the unclear: as "sent" or "again".
func (l *Lures) Settle(ctx context.Context, number uint64, as, reason string, by uint32) (people int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.Campaign(number); err != nil {
		return 0, err
	}
	said, err := l.said(reason)
	if err != nil {
		return 0, err
	}
	if said == 0 {
		return 0, wrong("reason")
	}
	if as != "sent" && as != "again" {
		return 0, wrong("action")
	}
	var list []uint32
	l.Views.Read(func() { list = l.Book.In(number, 0, Unclear) })
	if len(list) == 0 {
		return 0, wrong("nobody")
	}
	_, err = l.append(ctx, &sekisho.MailSettled{Mailing: number, As: as, Subjects: list, Reason: said, By: by})
	return len(list), err
}

// Sender is what sends the campaigns that were approved, at their times.
func (l *Lures) Sender(j *Journal) *Sender {
	return &Sender{Append: l.Append, Views: l.Views, Book: l.Book, Relay: l.Config.Relay, Pace: l.Config.Pace, Journal: j, Lures: true,
		Addresses: l.addresses, Refuses: l.Refuses, Open: l.open, Compose: l.Compose, Now: l.Now, Log: l.Log}
}

// open: now is within the hours and the window of a campaign.
func (l *Lures) open(m Status, now time.Time) bool {
	a := m.Lures
	return a != nil && sekisho.At(now) >= a.From && sekisho.At(now) < a.Until && hours{a.Opens, a.Closes, a.Days}.open(now.In(l.Zone))
}

// addresses asks the directory anew: who has left since is not written to.
func (l *Lures) addresses(_ context.Context, _ Status, staff []uint32) (map[uint32]string, error) {
	to := map[uint32]string{}
	for _, o := range staff {
		if c, ok := l.Contact(o); ok {
			to[o] = c.Address
		}
	}
	return to, nil
}
