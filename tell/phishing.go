package tell

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	randv2 "math/rand/v2"
	"net/netip"
	"net/url"
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

// LuresConfig says how drills by mail are sent, and to whom at most.
type LuresConfig struct {
	// Domains to whose addresses lures may go, such as example.jp, each as it
	// stands: a domain below one of them is another. Empty: there are no drills by
	// mail.
	Domains []string `yaml:"domains"`

	// Relay is the mail server that takes the lures. Default: that of tell.
	Relay Relay `yaml:"relay"`

	// Pace is how fast they go out. Default: 2 a second over one connection, in
	// windows of 5.
	Pace Pace `yaml:"pace"`

	// Sender is the domain from which lures come, such as drill.example.jp: one of
	// the company's own, for this alone.
	Sender string `yaml:"sender"`

	// Replies is the domain at which answers to lures are received, through
	// sensors.mail. Without it there are no lures that ask for an answer.
	Replies string `yaml:"replies"`

	// Report is the address to which people forward what they take for suspicious,
	// received through sensors.mail. Lures are told apart from what is real.
	Report string `yaml:"report"`

	// Listen is the address of the pages to which lures lead, such as :8443. Cert
	// and Key are PEM files. Base is how people reach it: https://portal.example.jp.
	Listen string `yaml:"listen"`
	Cert   string `yaml:"cert"`
	Key    string `yaml:"key"`
	Base   string `yaml:"base"`

	// Behind are the addresses of proxies whose X-Forwarded-For is believed.
	Behind []string `yaml:"behind"`

	// Templates is a directory of lures of the company's own, *.yaml.
	Templates string `yaml:"templates"`

	// Language of those of whom the directory says none: ja (the default) or en.
	Language string `yaml:"language"`

	// Least is the smallest group of people whose figures are shown by themselves.
	// Default 10.
	Least int `yaml:"least"`

	// Keep is for how many months who was who in a campaign can be found out at
	// all. Default 13.
	Keep int `yaml:"keep"`

	// Contact is whom people may ask about a drill, such as csirt@example.jp.
	Contact string `yaml:"contact"`

	// Scanners are machines that follow links in mails before people do.
	Scanners Scanners `yaml:"scanners"`
}

// Scanners are known by where they come from and by what they call themselves.
type Scanners struct {
	// Networks are addresses or prefixes of mail gateways and sandboxes.
	Networks []string `yaml:"networks"`
	// Agents are parts of a User-Agent, beside those that are known.
	Agents []string `yaml:"agents"`
}

// Check fills in the defaults and names the first mistake.
func (c *LuresConfig) Check() error {
	if len(c.Domains) == 0 {
		return nil
	}
	if c.Language == "" {
		c.Language = "ja"
	}
	if c.Least == 0 {
		c.Least = 10
	}
	if c.Keep == 0 {
		c.Keep = 13
	}
	if c.Pace == (Pace{}) {
		c.Pace = Pace{PerSecond: 2, Connections: 1, Window: 5}
	}
	if err := c.Pace.Check(); err != nil {
		return fmt.Errorf("lures: pace: %w", err)
	}
	if err := c.Relay.Check(); err != nil {
		return fmt.Errorf("lures: relay: %w", err)
	}
	for _, d := range append([]string{c.Sender}, c.Domains...) {
		if !goodDomain(d) {
			return fmt.Errorf("lures: %q is no domain such as example.jp: domains and sender are needed", d)
		}
	}
	base, err := url.Parse(c.Base)
	switch {
	case c.Replies != "" && !goodDomain(c.Replies):
		return fmt.Errorf("lures: replies %q is no domain such as drill.example.jp", c.Replies)
	case c.Report != "" && !GoodAddress(c.Report):
		return fmt.Errorf("lures: report %q is no mail address", c.Report)
	case c.Contact != "" && !GoodAddress(c.Contact):
		return fmt.Errorf("lures: contact %q is no mail address", c.Contact)
	case err != nil || base.Host == "" || base.Scheme != "https" && !(base.Scheme == "http" && loopback(base.Hostname())) || base.Path != "" || base.RawQuery != "":
		return fmt.Errorf("lures: base %q: give the address of the pages as people reach them, such as https://portal.example.jp; http is for this machine only", c.Base)
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("lures: cert and key come together")
	case c.Language != "ja" && c.Language != "en":
		return fmt.Errorf("lures: language %q: use ja or en", c.Language)
	case c.Least < 2:
		return fmt.Errorf("lures: least %d: a group of one is a person", c.Least)
	case c.Keep < 1 || c.Keep > 120:
		return fmt.Errorf("lures: keep %d: give months, such as 13", c.Keep)
	}
	return nil
}

func goodDomain(d string) bool { return GoodAddress("a@"+d) && strings.Contains(d, ".") }

// MailDomains are those for which mail must be received.
func (c *LuresConfig) MailDomains() (list []string) {
	if len(c.Domains) == 0 {
		return nil
	}
	if c.Replies != "" {
		list = append(list, c.Replies)
	}
	if at := strings.LastIndexByte(c.Report, '@'); at > 0 {
		list = append(list, c.Report[at+1:])
	}
	return list
}

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

// LureAsk is what somebody wants to send.
type LureAsk struct {
	Title  string    `json:"title"`
	Lures  []string  `json:"lures"` // names of templates
	Units  []uint32  `json:"units,omitempty"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Opens  string    `json:"opens"`  // "09:00"
	Closes string    `json:"closes"` // "18:00"
	Days   []int     `json:"days,omitempty"`
	Reason string    `json:"reason"`
	// Seed makes the random choices. A dry run gives it out, and the campaign that
	// is asked for with it is the one that was shown.
	Seed uint64 `json:"seed,omitempty"`
}

// A LureTurn is one person's part of a plan.
type LureTurn struct {
	Staff uint32
	Lure  int // in the plan's Lures
	At    sekisho.Time
}

// A LureVersion is one template in one language.
type LureVersion struct {
	Lure     *duty.Lure
	Language string
}

// A LurePlan is what a campaign would be. Nothing has happened.
type LurePlan struct {
	Ask      LureAsk
	Lures    []LureVersion
	Turns    []LureTurn     // by staff
	Excluded map[string]int // why nobody writes to so many: "no_address", "bad_address", "outside_domains", "away"
	Listed   int
	Takes    time.Duration // at the configured rate, at least
}

// Refuses says why no lure may go to an address; "" for one to which it may.
func (l *Lures) Refuses(address string) string {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	if !slices.ContainsFunc(l.Config.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return "outside_domains"
	}
	return ""
}

// hours are the times within a day, and the days, at which lures go out.
type hours struct {
	opens, closes uint64 // minutes of the day
	days          uint64 // bit 0 is Sunday
}

func (h hours) open(at time.Time) bool {
	m := uint64(at.Hour()*60 + at.Minute())
	return h.days&(1<<at.Weekday()) != 0 && m >= h.opens && m < h.closes
}

func minuteOf(s string) (uint64, bool) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 1440, s == "24:00"
	}
	return uint64(t.Hour()*60 + t.Minute()), true
}

// spans are the open times of a window, in seconds since its start.
func (h hours) spans(from, until time.Time, zone *time.Location) (list [][2]int64, total int64) {
	day := from.In(zone)
	y, m, d := day.Date()
	for i := 0; ; i++ {
		midnight := time.Date(y, m, d+i, 0, 0, 0, 0, zone)
		if !midnight.Before(until) {
			return list, total
		}
		if h.days&(1<<midnight.Weekday()) == 0 {
			continue
		}
		a := time.Date(y, m, d+i, 0, int(h.opens), 0, 0, zone)
		b := time.Date(y, m, d+i, 0, int(h.closes), 0, 0, zone)
		if a.Before(from) {
			a = from
		}
		if b.After(until) {
			b = until
		}
		if s, e := int64(a.Sub(from)/time.Second), int64(b.Sub(from)/time.Second); e > s {
			list, total = append(list, [2]int64{s, e}), total+e-s
		}
	}
}

const (
	mostTitle  = 200
	mostDays   = 92 // of a campaign
	mostLures  = 20
	mostPeople = 1_000_000
)

func (l *Lures) hoursOf(ask *LureAsk) (h hours, err error) {
	if ask.Opens == "" && ask.Closes == "" {
		ask.Opens, ask.Closes = "09:00", "18:00"
	}
	if len(ask.Days) == 0 {
		ask.Days = []int{1, 2, 3, 4, 5}
	}
	a, ok1 := minuteOf(ask.Opens)
	b, ok2 := minuteOf(ask.Closes)
	if !ok1 || !ok2 || a >= b {
		return h, wrong("lure_hours")
	}
	h = hours{opens: a, closes: b}
	for _, d := range ask.Days {
		if d < 0 || d > 6 {
			return h, wrong("lure_hours")
		}
		h.days |= 1 << d
	}
	return h, nil
}

// Plan says whom a campaign would write to, with which lure, and when. Nothing
// happens.
func (l *Lures) Plan(ask LureAsk) (*LurePlan, error) {
	if len(l.Config.Domains) == 0 {
		return nil, wrong("lure_off")
	}
	h, err := l.hoursOf(&ask)
	if err != nil {
		return nil, err
	}
	ask.From, ask.Until = ask.From.Truncate(time.Second), ask.Until.Truncate(time.Second)
	ask.Title, ask.Reason = strings.TrimSpace(ask.Title), strings.TrimSpace(ask.Reason)
	switch {
	case ask.Title == "" || len(ask.Title) > mostTitle || strings.ContainsAny(ask.Title, "\r\n"):
		return nil, wrong("lure_title")
	case !ask.Until.After(ask.From) || ask.Until.Sub(ask.From) > mostDays*24*time.Hour || !ask.Until.After(l.Now()):
		return nil, wrong("lure_window")
	case len(ask.Lures) == 0 || len(ask.Lures) > mostLures:
		return nil, wrong("lure_none")
	}
	p := &LurePlan{Excluded: map[string]int{}}
	versions := map[string][]int{} // by language: which of p.Lures
	for _, name := range ask.Lures {
		i := slices.IndexFunc(l.Lures, func(t duty.Lure) bool { return t.Name == name })
		if i < 0 {
			return nil, wrong("lure_unknown", name)
		}
		t := &l.Lures[i]
		if t.Asks == "reply" && l.Config.Replies == "" {
			return nil, wrong("lure_replies", name)
		}
		for _, lang := range duty.LureLanguages() {
			if _, ok := t.Versions[lang]; ok {
				versions[lang] = append(versions[lang], len(p.Lures))
				p.Lures = append(p.Lures, LureVersion{t, lang})
			}
		}
	}
	spans, total := h.spans(ask.From, ask.Until, l.Zone)
	if total == 0 {
		return nil, wrong("lure_window")
	}
	if ask.Seed == 0 {
		var b [8]byte
		rand.Read(b[:])
		ask.Seed = binary.LittleEndian.Uint64(b[:])>>12 | 1 // whole in JSON's numbers
	}
	p.Ask = ask
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], ask.Seed)
	chance := randv2.New(randv2.NewChaCha8(seed))
	readers := l.readers(ask.Units, sekisho.At(ask.From))
	p.Listed = len(readers)
	if p.Listed > mostPeople {
		return nil, wrong("lure_many")
	}
	for _, r := range readers {
		c, ok := l.Contact(r.Staff)
		why := ""
		switch {
		case r.Away:
			why = "away"
		case !ok || c.Address == "":
			why = "no_address"
		case !GoodAddress(c.Address):
			why = "bad_address"
		default:
			why = l.Refuses(c.Address)
		}
		if why != "" {
			p.Excluded[why]++
			continue
		}
		of := versions[l.languageOf(c)]
		if len(of) == 0 {
			of = versions[l.Config.Language]
		}
		if len(of) == 0 {
			p.Excluded["no_language"]++
			continue
		}
		at := chance.Int64N(total)
		for _, s := range spans {
			if at < s[1]-s[0] {
				at += s[0]
				break
			}
			at -= s[1] - s[0]
		}
		p.Turns = append(p.Turns, LureTurn{Staff: r.Staff, Lure: of[chance.IntN(len(of))], At: sekisho.At(ask.From) + sekisho.Time(at)*1e6})
	}
	switch n := len(p.Turns); {
	case n == 0:
		return nil, wrong("lure_nobody")
	case n < l.Config.Least: // its figures would be those of persons
		return nil, wrong("lure_few", n, l.Config.Least)
	}
	p.Takes = time.Duration(float64(len(p.Turns)) / l.Config.Pace.PerSecond * float64(time.Second))
	if p.Takes > time.Duration(total)*time.Second {
		return nil, wrong("lure_pace", len(p.Turns), int(p.Takes.Hours())+1)
	}
	return p, nil
}

func (l *Lures) languageOf(c Contact) string {
	lang, _, _ := strings.Cut(c.Language, "-")
	if lang == "" {
		return l.Config.Language
	}
	return lang
}

// readers are the people of some units, or everybody, ascending, each once.
func (l *Lures) readers(units []uint32, at sekisho.Time) []Reader {
	list := l.Readers(at)
	if len(units) > 0 {
		in := map[uint32]bool{}
		for _, u := range units {
			in[u] = true
			if l.Within != nil {
				for below := range l.Within(u, at) {
					in[below] = true
				}
			}
		}
		list = slices.DeleteFunc(slices.Clone(list), func(r Reader) bool { return !in[r.Company] && !in[r.Department] })
	}
	slices.SortFunc(list, func(a, b Reader) int { return cmp.Compare(a.Staff, b.Staff) })
	return slices.CompactFunc(list, func(a, b Reader) bool { return a.Staff == b.Staff })
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
