package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"sekisho"
)

const (
	sessionCookie = "sekisho_session_" // and the ledger: two consoles of one machine share its cookies
	idleLimit     = time.Hour
	longestStay   = 12 * time.Hour
	maxSessions   = 1000
)

// A session is one person's stay at the console. It stands in the ledger
// before it stands here.
type session struct {
	name   string
	local  bool   // at the control socket
	staff  uint32 // ordinal in "staff"
	entry  uint64 // sequence number of its SessionOpened
	opened time.Time

	auditor bool      // somebody from outside: see forAuditors
	until   time.Time // an auditor's end

	mu     sync.Mutex
	seen   time.Time
	number uint64 // of the last statement, as in Access.Number
	bytes  uint64
	ended  chan struct{} // closed when the stay is over: live streams hang up
}

// statement numbers the next access of this session.
func (s *session) statement() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return s.number
}

func (s *session) sent(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += uint64(n)
}

// over says that a stay ran out.
func (s *session) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late(now)
}

// late: s.mu is held.
func (s *session) late(now time.Time) bool {
	return now.Sub(s.seen) > idleLimit || now.Sub(s.opened) > longestStay || s.auditor && !now.Before(s.until)
}

// sessions are the stays that last, by the SHA-256 of their cookie: a look
// into this memory gives no cookie away, and the time of a map lookup tells
// nothing about one.
type sessions struct {
	mu sync.Mutex
	by map[[32]byte]*session
}

func (s *sessions) find(token string, now time.Time) (*session, bool) {
	key := sha256.Sum256([]byte(token))
	s.mu.Lock()
	one := s.by[key]
	s.mu.Unlock()
	if one == nil {
		return nil, false
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.late(now) {
		return nil, false
	}
	one.seen = now
	return one, true
}

// take removes and returns the stays for which over says true.
func (s *sessions) take(over func(key [32]byte, one *session) bool) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*session
	for key, one := range s.by {
		if over(key, one) {
			delete(s.by, key)
			close(one.ended)
			out = append(out, one)
		}
	}
	return out
}

// endSessions appends the end of each stay. It is for the record only: the
// stays are over already, so a ledger that is full does not keep anybody in.
func (c *Console) endSessions(ctx context.Context, list []*session, reason string) {
	for _, one := range list {
		one.mu.Lock()
		body := &sekisho.SessionClosed{Session: one.entry, Reason: reason, Bytes: one.bytes}
		one.mu.Unlock()
		if _, err := c.cfg.Ledger.Append(ctx, body); err != nil {
			c.cfg.Log.Warn("recording the end of a console session", "session", body.Session, "error", err)
		}
	}
}

// sweepSessions ends the stays that ran out.
func (c *Console) sweepSessions(ctx context.Context) {
	now := c.cfg.Now()
	c.endSessions(ctx, c.sessions.take(func(_ [32]byte, one *session) bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		return one.late(now)
	}), "client_gone")
}

// signInPage is the door.
type signInPage struct {
	Next string `json:"next"`
	Why  string `json:"why,omitempty"` // a key of words, if the last try failed
	Name string `json:"-"`
}

func (*signInPage) file() string { return "signin" }

func (c *Console) signInForm(v *visit) (page, error) {
	return &signInPage{Next: localPath(v.r.URL.Query().Get("next"))}, nil
}

// signIn lets somebody in, in this order: the limit on tries, the password,
// the entries, and only then the cookie. If the entries cannot be appended the
// sign-in fails.
func (c *Console) signIn(v *visit) (page, error) {
	name := strings.ToLower(strings.TrimSpace(v.r.PostFormValue("name")))
	next := localPath(v.r.PostFormValue("next"))
	address := clientAddress(v.r)
	now := c.cfg.Now()
	if wait := c.tries.wait(name, address, now); wait > 0 {
		v.w.Header().Set("Retry-After", fmt.Sprint(int(wait.Seconds())+1))
		return nil, fail(http.StatusTooManyRequests, "tries", int((wait+time.Minute-1)/time.Minute))
	}
	// Counted as failed before it is tried, so that many tries at once are not
	// each the first.
	c.tries.failed(name, address, now)
	c.sweepSessions(v.r.Context())
	known := c.users.exists(name)
	var staff uint32
	if known {
		staff = c.cfg.Vault.Space("staff").OfText([]byte(name))
	}
	until, outside := c.users.until(name)
	if !c.users.check(name, v.r.PostFormValue("password")) || outside && !now.Before(until) {
		if _, err := c.cfg.Ledger.Append(v.r.Context(), &sekisho.SignedIn{User: staff, Address: address}); err != nil {
			return nil, notRecorded(err)
		}
		v.w.Header().Set("WWW-Authenticate", `Cookie realm="sekisho"`)
		c.print(v, http.StatusUnauthorized, &signInPage{Next: next, Why: "signin.wrong", Name: name})
		return nil, errDone
	}
	first, err := c.cfg.Ledger.Append(v.r.Context(),
		&sekisho.SignedIn{User: staff, Address: address, OK: true},
		&sekisho.SessionOpened{Door: sekisho.DoorConsole, Principal: staff, Role: "console",
			Endpoint: "console@" + address.String(), Address: address, TLS: v.r.TLS != nil})
	if err != nil {
		return nil, notRecorded(err)
	}
	c.tries.succeeded(name, address)
	token := rand.Text() + rand.Text()
	one := &session{name: name, staff: staff, entry: first.Seq + 1, opened: now, seen: now, ended: make(chan struct{}), auditor: outside, until: until}
	if !c.sessions.add(token, one) {
		c.endSessions(v.r.Context(), []*session{one}, "refused")
		return nil, fail(http.StatusServiceUnavailable, "sessions")
	}
	http.SetCookie(v.w, &http.Cookie{Name: c.cookie(), Value: token, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: v.r.TLS != nil || c.cfg.TLS, MaxAge: int(longestStay.Seconds())})
	if wantsJSON(v.r) {
		return &signInPage{Next: next}, nil
	}
	http.Redirect(v.w, v.r, next, http.StatusSeeOther)
	return nil, errDone
}

func (s *sessions) add(token string, one *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.by) >= maxSessions {
		return false
	}
	s.by[sha256.Sum256([]byte(token))] = one
	return true
}

func (c *Console) signOut(v *visit) (page, error) {
	c.endSessions(v.r.Context(), c.sessions.take(func(_ [32]byte, one *session) bool { return one == v.who }), "terminate")
	http.SetCookie(v.w, &http.Cookie{Name: c.cookie(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: v.r.TLS != nil || c.cfg.TLS, MaxAge: -1})
	http.Redirect(v.w, v.r, "/signin", http.StatusSeeOther)
	return nil, errDone
}

// visitor finds who is asking.
func (c *Console) visitor(r *http.Request) (*session, bool) {
	cookie, err := r.Cookie(c.cookie())
	if err != nil {
		return nil, false
	}
	return c.sessions.find(cookie.Value, c.cfg.Now())
}

func askToSignIn(v *visit) error {
	if wantsJSON(v.r) {
		return fail(http.StatusUnauthorized, "")
	}
	to := "/signin"
	if v.r.Method == http.MethodGet && v.r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return errDone
}

func notRecorded(err error) error {
	return &failure{status: http.StatusServiceUnavailable, key: "not_recorded", cause: fmt.Errorf("recording in the ledger: %w", err)}
}

func clientAddress(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	return a.WithZone("").Unmap()
}

// tries slows guessing down: so many failures in a quarter of an hour for one
// name from one address, for one address, and, higher, for one name from
// anywhere (low enough against guessing, high enough that a stranger cannot
// easily lock the owner out).
type tries struct {
	mu sync.Mutex
	by map[[32]byte]*failures
}

// failures counts since the first of them, until they are forgotten.
type failures struct {
	n     int
	until time.Time
}

const (
	triesWindow    = 15 * time.Minute
	triesPair      = 5
	triesAddress   = 20
	triesName      = 50
	maxTriesMemory = 30_000
)

// keys are hashes, so that this memory keeps no password that somebody typed
// into the wrong field.
func (*tries) keys(name string, a netip.Addr) [3][32]byte {
	if a.Is6() {
		p, _ := a.Prefix(64) // one customer of a provider
		a = p.Addr()
	}
	return [3][32]byte{sha256.Sum256([]byte("p\x00" + name + "\x00" + a.String())),
		sha256.Sum256([]byte("a\x00" + a.String())), sha256.Sum256([]byte("n\x00" + name))}
}

var triesLimits = [3]int{triesPair, triesAddress, triesName}

func (t *tries) wait(name string, a netip.Addr, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, key := range t.keys(name, a) {
		if n := t.by[key]; n != nil && now.Before(n.until) && n.n >= triesLimits[i] {
			wait = max(wait, n.until.Sub(now))
		}
	}
	return wait
}

func (t *tries) failed(name string, a netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.by) > maxTriesMemory-3 {
		for key, n := range t.by {
			if len(t.by) > maxTriesMemory/2 || !now.Before(n.until) {
				delete(t.by, key)
			}
		}
	}
	for _, key := range t.keys(name, a) {
		n := t.by[key]
		if n == nil || !now.Before(n.until) {
			n = &failures{until: now.Add(triesWindow)}
			t.by[key] = n
		}
		n.n++
	}
}

func (t *tries) succeeded(name string, a netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := t.keys(name, a)
	delete(t.by, keys[0])
	for _, key := range keys[1:] {
		if n := t.by[key]; n != nil && n.n > 0 {
			n.n--
		}
	}
}

// adminName is the local administrator's.
const adminName = "admin"

// EnsureAdmin makes the local administrator if the console has no user yet,
// and then returns the password: it is kept nowhere, so whoever calls must
// show it once. The account's entry is durable before the account exists.
func (c *Console) EnsureAdmin() (name, password string, created bool, err error) {
	if !c.users.empty() {
		return adminName, "", false, nil
	}
	password, err = c.changeUser(adminName, "created")
	if err != nil {
		return "", "", false, fmt.Errorf("making the console's administrator: %w", err)
	}
	return adminName, password, true, nil
}

// ErrNoUser is the error of Reset for a name that is nobody's.
var ErrNoUser = errors.New("no such console user")

// Reset gives a user a new password, which it returns, and ends the user's
// sessions in this process. The entry is durable before the old password ends.
func (c *Console) Reset(name string) (password string, err error) {
	if !c.users.exists(name) {
		return "", fmt.Errorf("resetting a password: %w", ErrNoUser)
	}
	password, err = c.changeUser(name, "password_reset")
	if err != nil {
		return "", fmt.Errorf("resetting a password: %w", err)
	}
	c.endSessions(context.Background(), c.sessions.take(func(_ [32]byte, one *session) bool { return one.name == name }), "refused")
	return password, nil
}

// changeUser records first. A crash between the entry and the file leaves the
// old password, or no user, and an entry too many; never the other way round.
func (c *Console) changeUser(name, action string) (password string, err error) {
	staff := c.cfg.Vault.Space("staff").OfText([]byte(name))
	if _, err := c.cfg.Ledger.Append(context.Background(), &sekisho.UserChanged{User: staff, Action: action}); err != nil {
		return "", err
	}
	password = newPassword()
	return password, c.users.set(name, password)
}

// cookie is the name of this console's session cookie.
func (c *Console) cookie() string {
	sum := sha256.Sum256([]byte(c.cfg.Name + "\x00" + c.cfg.Drill))
	return sessionCookie + hex.EncodeToString(sum[:4])
}
