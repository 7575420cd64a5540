package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/tell"
)

// Signing in at the employees' door. Whoever asks for a link is told the same
// and at once, whether the directory knows the name or not: what was typed is
// looked up after the answer, by Run. The link goes to the directory's address
// and nowhere else; a GET of it does nothing, since mail scanners follow links;
// the button on that page uses it, once. The ledger holds its HMAC, so that it
// is used once over a restart too.

var signingIn = []staffRoute{
	{pattern: "POST /signin", handle: (*StaffDoor).askLink, open: true},
	{pattern: "GET /in/{token}", handle: (*StaffDoor).linkForm, open: true},
	{pattern: "POST /in", handle: (*StaffDoor).useLink, open: true},
	{pattern: "POST /signout", handle: (*StaffDoor).leave},
}

const (
	mostStays      = 50_000
	mostAsked      = 20_000 // links that wait to be made
	linksEach      = 3      // to one person
	linksWithin    = 15 * time.Minute
	maxTypedName   = 320
	linkMailers    = 4
	linkMailTakes  = time.Minute
	staffEndpoint  = "staff@"
	tokenLetters   = 26 // of rand.Text: 130 bits
	staffStayLong  = longestStay
	staffStayQuiet = idleLimit
)

// A stay is one person's at the door. It stands in the ledger before it stands
// here.
type stay struct {
	staff  uint32 // ordinal in "staff"
	entry  uint64 // sequence number of its SessionOpened
	opened time.Time
	seen   time.Time // guarded by stays.mu
}

// stays are those that last, by the SHA-256 of their cookie.
type stays struct {
	mu sync.Mutex
	by map[[32]byte]*stay
}

func (s *stays) visitor(d *StaffDoor, r *http.Request) *stay {
	c, err := r.Cookie(d.cookie())
	if err != nil || len(c.Value) > 128 {
		return nil
	}
	key, now := sha256.Sum256([]byte(c.Value)), d.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.by[key]
	if one == nil || one.over(now) {
		return nil
	}
	one.seen = now
	return one
}

func (s *stay) over(now time.Time) bool {
	return now.Sub(s.seen) > staffStayQuiet || now.Sub(s.opened) > staffStayLong
}

func (s *stays) add(token string, one *stay) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.by) >= mostStays {
		return false
	}
	s.by[sha256.Sum256([]byte(token))] = one
	return true
}

// take removes and returns the stays for which over says true.
func (s *stays) take(over func(one *stay) bool) (out []*stay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.by {
		if over(one) {
			delete(s.by, key)
			out = append(out, one)
		}
	}
	return out
}

// cookie is the name of the door's: another than the console's.
func (d *StaffDoor) cookie() string {
	sum := sha256.Sum256([]byte("staff\x00" + d.Name + "\x00" + d.Drill))
	return "sekisho_my_" + hex.EncodeToString(sum[:4])
}

// ends records the end of stays that are over already.
func (d *StaffDoor) ends(ctx context.Context, list []*stay, reason string) {
	const most = 1000
	for len(list) > 0 {
		var bodies []sekisho.Body
		for _, one := range list[:min(most, len(list))] {
			bodies = append(bodies, &sekisho.SessionClosed{Session: one.entry, Reason: reason})
		}
		if _, err := d.Append(ctx, bodies...); err != nil {
			d.Log.Warn("recording the end of stays at the employees' door", "stays", len(list), "error", err)
			return
		}
		list = list[len(bodies):]
	}
}

// A signInForm is the door's first page.
type staffSignIn struct {
	Next    string
	Sent    bool
	Bad     string // a key of words
	Minutes int
}

// wanted is a path at the door that somebody wants to see.
func wanted(s string) string {
	if s = localPath(s); s == "/my" || strings.HasPrefix(s, "/my/") {
		return s
	}
	return "/my"
}

func (d *StaffDoor) signInPage(v *staffVisit, status int, p staffSignIn) error {
	p.Minutes = int(d.Link.Minutes())
	return d.print(v, status, "signin", v.say("my.signin"), p)
}

func (d *StaffDoor) askToSignIn(v *staffVisit) {
	next := "/my"
	if v.r.Method == http.MethodGet {
		next = wanted(v.r.URL.RequestURI())
	}
	if err := d.signInPage(v, http.StatusUnauthorized, staffSignIn{Next: next}); err != nil {
		d.Log.Error("answering at the employees' door", "error", err)
	}
}

// An asked is a link that somebody wants.
type asked struct {
	typed, lang, next string
}

// linkMaker makes links behind the visitors' backs.
type linkMaker struct {
	asks  chan asked
	mails chan linkMail
	one   [64]sync.Mutex // a link at a time, by person

	mu     sync.Mutex
	lately map[uint32]*bucket // by person
	swept  time.Time

	byMail map[[32]byte]uint32 // by SHA-256 of the address; of the directory's entry seq
	seq    uint64
}

type linkMail struct {
	person uint32
	entry  uint64
	letter tell.Letter
}

func (m *linkMaker) open() {
	m.asks, m.mails, m.lately = make(chan asked, mostAsked), make(chan linkMail, mostAsked), map[uint32]*bucket{}
}

func (d *StaffDoor) askLink(v *staffVisit) error {
	typed := strings.ToLower(strings.TrimSpace(v.r.PostForm.Get("name")))
	p := staffSignIn{Next: wanted(v.r.PostForm.Get("next")), Sent: true}
	if typed == "" || len(typed) > maxTypedName || strings.ContainsFunc(typed, func(r rune) bool { return r < ' ' }) {
		p.Sent, p.Bad = false, "my.signin.type"
		return d.signInPage(v, http.StatusUnprocessableEntity, p)
	}
	select {
	case d.links.asks <- asked{typed, v.Lang, p.Next}:
		return d.signInPage(v, http.StatusOK, p)
	default:
		v.w.Header().Set("Retry-After", "30")
		return d.fails(v, http.StatusServiceUnavailable, "desk.fail.busy")
	}
}

// Run makes and mails links, and ends stays that ran out, until ctx ends.
func (d *StaffDoor) Run(ctx context.Context) {
	var mailers sync.WaitGroup
	turn := make(chan struct{})
	mailers.Go(func() { // the pace of all mailers together
		tick := time.NewTicker(time.Duration(float64(time.Second) / d.PerSecond))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	})
	for range linkMailers {
		mailers.Go(func() { d.mailLinks(ctx, turn) })
	}
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	for {
		select {
		case a := <-d.links.asks:
			if err := d.makeLink(ctx, a); err != nil && ctx.Err() == nil {
				d.Log.Error("making a link for somebody who signs in", "error", err)
			}
		case <-sweep.C:
			now := d.Now()
			d.ends(ctx, d.stays.take(func(one *stay) bool { return one.over(now) }), "client_gone")
		case <-ctx.Done():
			mailers.Wait()
			d.ends(context.WithoutCancel(ctx), d.stays.take(func(*stay) bool { return true }), "shutdown")
			return
		}
	}
}

// find is whom somebody means by a user name or a mail address.
func (d *StaffDoor) find(typed string) (staff uint32, who directory.Attributes, ok bool) {
	now := sekisho.At(d.Now())
	staff, ok = d.Vault.Space("staff").Find(typed)
	if !ok || d.People.Person(staff, now) == nil {
		if staff, ok = d.byMail(typed); !ok {
			return 0, who, false
		}
	}
	p := d.People.Person(staff, now)
	if p == nil || p.Joined > now || p.Left != 0 && p.Left <= now {
		return 0, who, false
	}
	who = d.School.Attributes(staff)
	return staff, who, tell.GoodAddress(who.Mail)
}

// byMail finds somebody by address, from an index that is made anew when the
// directory has changed. It holds hashes, so that addresses are in memory only
// where the vault has them. Only Run calls it.
func (d *StaffDoor) byMail(address string) (uint32, bool) {
	m := &d.links
	if seq := d.People.Seq(); m.byMail == nil || seq != m.seq {
		m.byMail, m.seq = map[[32]byte]uint32{}, seq
		for p := range d.People.PeopleAt(sekisho.At(d.Now())) {
			if a := strings.ToLower(d.School.Attributes(p.Staff).Mail); a != "" {
				key := sha256.Sum256([]byte(a))
				if other, twice := m.byMail[key]; twice && other != p.Staff {
					m.byMail[key] = 0 // it is nobody's alone
					continue
				}
				m.byMail[key] = p.Staff
			}
		}
	}
	staff := m.byMail[sha256.Sum256([]byte(address))]
	return staff, staff != 0
}

func (d *StaffDoor) mac(token string) (sum [32]byte) {
	m := hmac.New(sha256.New, d.Secret[:])
	m.Write([]byte(token))
	return [32]byte(m.Sum(nil))
}

// makeLink makes a link durable and hands it to a mailer, if there is somebody
// of that name who has not had too many.
func (d *StaffDoor) makeLink(ctx context.Context, a asked) error {
	staff, who, ok := d.find(a.typed)
	if !ok || !d.links.mayHave(staff, d.Now()) {
		return nil
	}
	token := rand.Text()
	until := sekisho.At(d.Now().Add(d.Link))
	id, err := d.Append(ctx, &sekisho.StaffLink{Person: staff, Action: "made", HMAC: d.mac(token), Until: until})
	if err != nil {
		return fmt.Errorf("recording a link: %w", err)
	}
	lang := a.lang
	if d.presses[who.Language] != nil {
		lang = who.Language
	}
	t := d.presses[lang].tongue
	way := d.Address + "/in/" + token
	if a.next != "/my" {
		way += "?to=" + url.QueryEscape(a.next)
	}
	select {
	case d.links.mails <- linkMail{staff, id.Seq, tell.Letter{From: d.From, Name: d.Company.In(lang), To: who.Mail, Date: d.Now(),
		Subject: t.say("my.mail.subject", d.Company.In(lang)), Text: lines(t.say("my.mail.text", int(d.Link.Minutes()), way))}}:
	case <-ctx.Done():
	}
	return nil
}

// mayHave takes one of the links that somebody may have.
func (m *linkMaker) mayHave(person uint32, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.swept) > linksWithin {
		for p, b := range m.lately {
			if now.Sub(b.at) > linksWithin {
				delete(m.lately, p)
			}
		}
		m.swept = now
	}
	b := m.lately[person]
	if b == nil {
		b = &bucket{}
		m.lately[person] = b
	}
	return b.take(now, linksEach/linksWithin.Seconds(), linksEach) == 0
}

// mailLinks sends links, each once: one whose fate is not known is not sent
// again, since whoever waits for it asks again.
func (d *StaffDoor) mailLinks(ctx context.Context, turn <-chan struct{}) {
	var line *tell.Line
	hangUp := func() {
		if line != nil {
			line.Close()
			line = nil
		}
	}
	defer hangUp()
	for {
		var m linkMail
		select {
		case m = <-d.links.mails:
		case <-time.After(5 * time.Second):
			hangUp() // a relay hangs up on those who say nothing
			continue
		case <-ctx.Done():
			return
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return
		}
		soon, stop := context.WithTimeout(ctx, linkMailTakes)
		err := d.Views.WaitFor(soon, m.entry) // a link is known here before it is there: whoever is quick is not told that it is stale
		if err == nil && line == nil {
			line, err = tell.Call(soon, d.Mail)
		}
		if err == nil {
			err = line.Send(soon, m.letter)
		}
		stop()
		outcome, no := "mailed", (*tell.Refusal)(nil)
		switch {
		case errors.As(err, &no):
			outcome = "refused"
		case err != nil:
			outcome = "failed"
			hangUp()
			d.Log.Error("mailing a link; whoever waits for it asks again", "entry", m.entry, "error", err)
		}
		if _, err := d.Append(context.WithoutCancel(ctx), &sekisho.StaffLink{Person: m.person, Action: outcome, Link: m.entry}); err != nil {
			d.Log.Warn("recording what became of a link", "entry", m.entry, "error", err)
		}
	}
}

// A staffLink is the page behind a link.
type staffLink struct{ Token, Next string }

func (d *StaffDoor) linkForm(v *staffVisit) error {
	v.r.URL.Path = "/in" // the page names no way to itself: the link is in none
	return d.print(v, http.StatusOK, "link", v.say("my.link"), staffLink{v.r.PathValue("token"), wanted(v.r.URL.Query().Get("to"))})
}

// useLink lets somebody in: the link's end and the stay are durable before the
// cookie is given.
func (d *StaffDoor) useLink(v *staffVisit) error {
	token, next := v.r.PostForm.Get("token"), wanted(v.r.PostForm.Get("next"))
	stale := func() error {
		return d.signInPage(v, http.StatusUnauthorized, staffSignIn{Next: next, Bad: "my.signin.stale"})
	}
	if len(token) != tokenLetters {
		return stale()
	}
	mac := d.mac(token)
	lock := &d.links.one[mac[0]%64]
	lock.Lock()
	defer lock.Unlock()
	now := d.Now()
	ctx := v.r.Context()
	var found bool
	var person uint32
	var entry uint64
	d.Views.Read(func() {
		l, ok := d.Links.Find(mac, sekisho.At(now))
		found, person, entry = ok, l.Person, l.Entry
	})
	who := d.People.Person(person, sekisho.At(now))
	if !found || who == nil || who.Left != 0 && who.Left <= sekisho.At(now) {
		return stale()
	}
	address := d.limits.visitor(v.r)
	id, err := d.Append(ctx, &sekisho.StaffLink{Person: person, Action: "used", Link: entry},
		&sekisho.SessionOpened{Door: sekisho.DoorStaff, Principal: person, Role: "staff", Endpoint: staffEndpoint + address.String(), Address: address, TLS: d.secure()})
	if err != nil {
		return fmt.Errorf("recording a stay: %w", err)
	}
	if err := d.Views.WaitFor(context.WithoutCancel(ctx), id.Seq); err != nil { // nobody uses it a second time
		return err
	}
	one := &stay{staff: person, entry: id.Seq + 1, opened: now, seen: now}
	cookie := rand.Text() + rand.Text()
	if !d.stays.add(cookie, one) {
		d.ends(ctx, []*stay{one}, "refused")
		v.w.Header().Set("Retry-After", "60")
		return d.fails(v, http.StatusServiceUnavailable, "desk.fail.busy")
	}
	http.SetCookie(v.w, &http.Cookie{Name: d.cookie(), Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: d.secure(), MaxAge: int(staffStayLong.Seconds())})
	http.Redirect(v.w, v.r, next, http.StatusSeeOther)
	return nil
}

func (d *StaffDoor) leave(v *staffVisit) error {
	d.ends(v.r.Context(), d.stays.take(func(one *stay) bool { return one == v.who }), "terminate")
	http.SetCookie(v.w, &http.Cookie{Name: d.cookie(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: d.secure(), MaxAge: -1})
	http.Redirect(v.w, v.r, "/my", http.StatusSeeOther)
	return nil
}
