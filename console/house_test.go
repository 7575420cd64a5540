package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/pack"
	"sekisho/permit"
	"sekisho/sensor"
	"sekisho/tell"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
)

// A house is the real thing in a temporary directory: ledger, vault, views and
// console behind an HTTP server. Only the clock is ours.
type house struct {
	t       testing.TB
	ledger  *ledger.Ledger
	vault   *vault.Vault
	views   *view.Set
	console *Console
	server  *httptest.Server
	admin   string // the administrator's password
	clock   *clock

	people   *directory.Book
	training *duty.Training
	links    *duty.Links
	duties   *duty.Book
	letters  *tell.Book
	lures    *tell.LureBook
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cheap hashes passwords fast; the full cost is tested once.
var cheap = cost{time: 1, memoryKiB: 64, threads: 1}

func newHouse(t testing.TB, change ...func(*Config)) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, clock: &clock{at: time.Date(2014, 9, 22, 1, 0, 0, 0, time.UTC)}}
	var err error
	h.vault, err = vault.Open(vault.Config{Dir: dir + "/vault", FS: disk.OS{}, Key: [32]byte{1}})
	must(t, err)
	h.ledger, err = ledger.Open(ledger.Config{Dir: dir + "/ledger", Gate: 1, Name: "test", Software: "test",
		Now: h.clock.now, SegmentBytes: 4 << 20, Before: h.vault.Flush})
	must(t, err)
	must(t, h.vault.Reconcile(map[string]uint32{}))
	live, known, cases, permits := NewLive(), trace.New(), incident.New(), permit.New()
	enquiries, letters := incident.NewEnquiries(), tell.NewBook()
	packs := pack.NewBook()
	h.letters, h.lures = letters, tell.NewLureBook()
	register, err := duty.Read(nil)
	must(t, err)
	h.people, h.training, h.links = directory.New(), duty.NewTraining(), duty.NewLinks()
	h.duties = duty.New(duty.Setup{Register: register, Directory: duty.From(h.people), Zone: testZone})
	h.views = view.New(view.Config{Follow: h.ledger.Follow, Hurry: h.ledger.Hurry, Last: h.ledger.Last, Append: h.ledger.Append, Views: []view.View{known, live, permits, enquiries, letters, h.lures, h.people, h.training, h.links, h.duties, packs},
		Reactions: []view.Reaction{cases.Reaction()}})
	ctx, stop := context.WithCancel(context.Background())
	running := make(chan struct{})
	go func() { h.views.Run(ctx); close(running) }()
	cfg := Config{Dir: dir, FS: disk.OS{}, Ledger: h.ledger, Vault: h.vault, Views: h.views, Live: live, Trace: known, Incidents: cases, Permits: permits, Enquiries: enquiries,
		Name: "jal-test", Software: "0.1", Mode: "enforce", Now: h.clock.now, Duty: h.duties, Directory: h.people,
		Packs: packs, OpenPack: func([32]byte) (io.ReadCloser, int64, error) { return nil, 0, os.ErrNotExist }, // none is made here
		MatchFile: func(ctx context.Context, file io.Reader, space string) (*sekisho.FileMatched, []uint64, error) {
			roster, err := h.vault.Roster(space)
			if err != nil {
				return nil, nil, err
			}
			found, _, err := sensor.MatchFile(ctx, file, sensor.FileOptions{Name: "upload", KeyNames: []string{"member"}}, roster, h.vault.Space(space))
			return found, nil, err
		}}
	forms, err := tell.ReadForms(nil)
	must(t, err)
	cfg.Office = &tell.Office{Config: tell.Config{Partner: "partner", Language: tell.Language{Default: "ja"}, Company: tell.Company{Name: "日の丸航空", NameEn: "Hinomaru Air"}},
		Forms: forms, Append: h.ledger.Append, Last: h.ledger.Last, Views: h.views, Book: letters, Incidents: cases, Trace: known, Vault: h.vault, Now: h.clock.now, Zone: testZone,
		Ask:      func(ctx context.Context, q trace.Question) (*trace.Answer, error) { return h.console.ask(ctx, q) },
		Question: func(i *incident.Incident) trace.Question { return h.console.questionOf(i) }}
	for _, f := range change {
		f(&cfg)
	}
	must(t, cfg.Documents.Check())
	h.console, err = newConsole(cfg, cheap)
	must(t, err)
	_, h.admin, _, err = h.console.EnsureAdmin()
	must(t, err)
	h.server = httptest.NewServer(h.console.Handler())
	t.Cleanup(func() {
		h.console.Close(context.Background())
		h.server.Close()
		stop()
		<-running
		h.ledger.Close()
		h.vault.Close()
	})
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// append puts entries into the ledger and waits until the pages know them.
func (h *house) append(bodies ...sekisho.Body) uint64 {
	h.t.Helper()
	id, err := h.ledger.Append(context.Background(), bodies...)
	must(h.t, err)
	h.settle()
	return id.Seq
}

// settle waits until the pages know everything in the ledger.
func (h *house) settle() {
	h.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	must(h.t, h.views.WaitFor(ctx, h.ledger.Last()))
}

func (h *house) staff(name string) uint32 { return h.vault.Space("staff").OfText([]byte(name)) }

// lookup is one member of staff reading customers at a terminal.
func (h *house) lookup(staff, endpoint string, c sekisho.Categories, members ...int64) (session uint64) {
	session = h.append(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: h.staff(staff), Role: "callcenter", Endpoint: endpoint,
		Verified: !strings.HasPrefix(endpoint, "unverified@"), Address: netip.MustParseAddr("10.1.4.17"),
		Application: h.vault.Space("application").OfText([]byte("desk")), TLS: true})
	h.read(session, 1, c, members...)
	return session
}

func (h *house) read(session, number uint64, c sekisho.Categories, members ...int64) {
	shape := h.append(&sekisho.Shape{Statement: h.vault.Space("statement").OfText([]byte("SELECT * FROM member WHERE number = $1")),
		Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}, Columns: []string{"crm.member.name"}, Categories: c})
	var ords []uint32
	for _, m := range members {
		ords = append(ords, h.vault.Space("member").OfInt(m))
	}
	h.append(&sekisho.Access{Session: session, Shape: shape, Number: number, Class: sekisho.Exact, Rows: uint64(len(ords)), Least: 40,
		Purpose: h.vault.Space("purpose").OfText([]byte("inquiry")), Subjects: ords})
}

// A browser is a client with cookies.
type browser struct {
	h    *house
	lang string
	*http.Client
	at string // another server than the console's
}

func (h *house) stranger(lang string) *browser {
	jar, err := cookiejar.New(nil)
	must(h.t, err)
	return &browser{h: h, lang: lang, Client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn is a browser of the administrator's.
func (h *house) signedIn(lang string) *browser {
	h.t.Helper()
	b := h.stranger(lang)
	if a := b.post("/signin", url.Values{"name": {"admin"}, "password": {h.admin}}); a.status != http.StatusSeeOther {
		h.t.Fatalf("signing in: %d\n%s", a.status, a.body)
	}
	return b
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(r *http.Request) answer {
	b.h.t.Helper()
	if r.Header.Get("Accept-Language") == "" {
		r.Header.Set("Accept-Language", b.lang)
	}
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html,application/xhtml+xml")
	}
	res, err := b.Do(r)
	must(b.h.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(b.h.t, err)
	return answer{res.StatusCode, res.Header, string(body)}
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.h.t.Helper()
	at := b.h.server.URL
	if b.at != "" {
		at = b.at
	}
	r, err := http.NewRequest(method, at+path, body)
	must(b.h.t, err)
	return r
}

func (b *browser) get(path string) answer { b.h.t.Helper(); return b.do(b.request("GET", path, nil)) }

func (b *browser) json(path string) answer {
	b.h.t.Helper()
	r := b.request("GET", path, nil)
	r.Header.Set("Accept", "application/json")
	return b.do(r)
}

func (b *browser) post(path string, form url.Values) answer {
	b.h.t.Helper()
	r := b.request("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// since lists the entries after seq, one line each, as an auditor would read
// them.
func (h *house) since(seq uint64) string {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var lines []string
	if h.ledger.Last() == seq {
		return ""
	}
	for e, err := range h.ledger.Follow(ctx, seq+1) {
		must(h.t, err)
		lines = append(lines, h.describe(e.Body))
		if e.ID.Seq == h.ledger.Last() {
			break
		}
	}
	return strings.Join(lines, "\n")
}

func (h *house) describe(b sekisho.Body) string {
	name := func(space string, ord uint32) string {
		if key, ok := h.vault.Space(space).Key(ord); ok {
			return key
		}
		return "nobody"
	}
	switch b := b.(type) {
	case *sekisho.Certified:
		return fmt.Sprintf("Certified %s of %s for %s by %s", b.Action, b.Endpoint, name("staff", b.Principal), name("staff", b.By))
	case *sekisho.SignedIn:
		return fmt.Sprintf("SignedIn %s ok=%v", name("staff", b.User), b.OK)
	case *sekisho.SessionOpened:
		return fmt.Sprintf("SessionOpened %s by %s", b.Door, name("staff", b.Principal))
	case *sekisho.SessionClosed:
		return "SessionClosed " + b.Reason
	case *sekisho.UserChanged:
		return fmt.Sprintf("UserChanged %s %s", name("staff", b.User), b.Action)
	case *sekisho.Shape:
		return fmt.Sprintf("Shape %s of %s: %s", b.Verb, b.Space, name("statement", b.Statement))
	case *sekisho.Access:
		var who []string
		for _, o := range b.Subjects {
			who = append(who, name("member", o))
		}
		return fmt.Sprintf("Access %s of %s", b.Class, strings.Join(who, " "))
	case *sekisho.Assigned:
		return fmt.Sprintf("Assigned %d of %s", b.Count, b.Space)
	case *sekisho.IncidentRevised:
		return fmt.Sprintf("IncidentRevised %s by %s: %d %d %d %d", b.Reason, name("staff", b.By), b.WorstCase, b.Suspected, b.SentAtMost, b.Confirmed)
	case *sekisho.FileMatched:
		return fmt.Sprintf("FileMatched by %s: %d rows, %d found, %d damaged", name("staff", b.By), b.Rows, len(b.Subjects), b.Damaged)
	}
	return kindName(b.Kind())
}

func goFiles(t testing.TB) (out []string) {
	t.Helper()
	all, err := filepath.Glob("*.go")
	must(t, err)
	for _, path := range all {
		if !strings.HasSuffix(path, "_test.go") {
			out = append(out, path)
		}
	}
	return out
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	return string(raw)
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// furnish fills the house with a morning's work, a sweep, the alert and the
// incident that came of it, what left for a hostile address, and a file that
// was found there. It gives a path of every page.
func (h *house) furnish() map[string]string {
	h.t.Helper()
	h.roster(3000)
	for i := range 12 {
		h.clock.pass(100 * time.Second)
		h.lookup([]string{"sato", "suzuki", "takahashi"}[i%3], []string{"pc-0417", "pc-0533", "unverified@10.9.9.9"}[i%3],
			[]sekisho.Categories{sekisho.Identity | sekisho.Contact, sekisho.Identity | sekisho.Loyalty, sekisho.TravelDoc | sekisho.Identity}[i%3], int64(1000+i))
	}
	s := h.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact|sekisho.Employment|sekisho.Loyalty, 5, 6, 7, 8, 9, 10, 11, 12)
	h.append(&sekisho.Refused{Session: s, Number: 2, SQLState: "42501", Reason: "names", Tables: []string{"crm.member", "crm.passport"},
		Statement: h.vault.Space("statement").OfText([]byte("SELECT count(*) FROM member"))})
	refused := h.ledger.Last()
	incident := h.breach()
	mailing := h.append(&sekisho.MailingAsked{Incident: incident, Revision: 1, List: "suspected", Space: "member", Listed: 4, People: 4, By: h.staff("sato")})
	h.append(&sekisho.MailingListed{Mailing: mailing, Subjects: []uint32{1, 2, 3, 4}}, &sekisho.MailingDecided{Mailing: mailing, Action: "approved", By: h.staff("suzuki")})
	window := h.append(&sekisho.MailStarted{Mailing: mailing, Subjects: []uint32{1, 2, 3}})
	h.append(&sekisho.MailEnded{Started: window, Taken: []uint32{1}, Denied: []uint32{2}, Unclear: []uint32{3}})
	return map[string]string{"live": "/", "status": "/status", "search": "/search", "budgets": "/budgets", "exports": "/exports", "endpoint": "/endpoints/pc-0417", "person": "/people/sato",
		"entry": fmt.Sprintf("/entries/%d", refused), "failure": "/endpoints/pc-0471", "incidents": "/incidents", "incident": fmt.Sprintf("/incidents/%d", incident),
		"clocks": fmt.Sprintf("/incidents/%d/clocks", incident), "notices": "/notices",
		"tell": fmt.Sprintf("/incidents/%d/tell", incident), "draft": fmt.Sprintf("/incidents/%d/tell/appi_preliminary", incident), "mailing": fmt.Sprintf("/incidents/%d/mailings/%d", incident, mailing)}
}

// breach is a sweep by sato at pc-0417, 900 of 1,200 customers within its
// alert, and 64 kB to a hostile address. It gives the incident's number.
func (h *house) breach() uint64 {
	h.t.Helper()
	h.clock.pass(time.Hour)
	from := sekisho.At(h.clock.now())
	var some []int64
	for i := range int64(900) {
		some = append(some, 1+i)
	}
	h.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, some...)
	h.clock.pass(30 * time.Minute)
	until := sekisho.At(h.clock.now())
	h.clock.pass(30 * time.Minute)
	h.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Employment, 1500, 1501, 1502)
	hostile := netip.MustParseAddr("203.0.113.66")
	h.append(&sekisho.Egress{Sensor: "zeek-conn", Endpoint: "pc-0417", Source: netip.MustParseAddr("10.1.4.17"), Target: hostile, Port: 443,
		Protocol: "tcp", Start: from, End: until, Out: 1300, In: 900, Ref: "C1"},
		&sekisho.SensorRead{Sensor: "zeek-conn", Lines: 1200, Accepted: 1198, Rejected: 2, From: from - 3600e6, Until: until},
		&sekisho.Alert{Detector: "sweep", Principal: h.staff("sato"), Endpoint: "pc-0417", From: from, Until: until, Observed: 900, Limit: 200, Basis: []uint64{h.ledger.Last()}},
		&sekisho.Alert{Detector: "egress", Endpoint: "pc-0417", From: from, Until: until, Observed: 1300, Target: hostile})
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	for e, err := range h.ledger.Follow(ctx, 1) {
		must(h.t, err)
		if _, ok := e.Body.(*sekisho.IncidentOpened); ok {
			must(h.t, h.views.WaitFor(ctx, e.ID.Seq))
			return e.ID.Seq
		}
	}
	h.t.Fatal("the alert opened no incident")
	return 0
}

// pursue takes an incident on, as a person would: the numbers recorded, a file
// compared, a second endpoint named.
func (h *house) pursue(path string) {
	h.t.Helper()
	b := h.signedIn("en")
	b.post(path+"/question", url.Values{"again": {"1"}})
	h.clock.pass(20 * time.Minute)
	b.upload(path+"/file", "file", "found.csv", recovered(1, 2, 3, 5, 8, 13, 21, 2900))
	h.clock.pass(20 * time.Minute)
	b.post(path+"/question", url.Values{"endpoints": {"pc-0417 pc-0533"}, "since": {"2014-08-18"}, "until": {"2014-09-23"}, "hostile": {"203.0.113.66"}, "compression": {"12.5"}})
}

// roster makes customers 1 to n known, with what breaks the numbers down.
func (h *house) roster(n int) {
	h.t.Helper()
	day := int32(h.clock.now().Unix() / 86400)
	read, err := h.vault.WriteRoster("member", vault.RosterSchema{Labels: []string{"partner", "residence"}, Dates: []string{"passport_until"}, Match: []string{"email"}},
		func(yield func(vault.RosterRow, error) bool) {
			for i := 1; i <= n; i++ {
				row := vault.RosterRow{Key: strconv.Itoa(i), Labels: []string{[]string{"direct", "card", "=HYPERLINK(1)"}[i%3], []string{"JP", "JP", "JP", "US", "DE"}[i%5]},
					Dates: []int32{day + int32(i%7-3)*100}, Match: []string{fmt.Sprintf("member%d@example.jp", i)}}
				if i%2 == 0 {
					row.Dates[0] = vault.NoDate
				}
				if !yield(row, nil) {
					return
				}
			}
		}, func(int) {})
	must(h.t, err)
	h.append(read)
}

// recovered is a CSV of customers, two rows of it damaged.
func recovered(members ...int) string {
	var b strings.Builder
	b.WriteString("member,email\r\n")
	for _, m := range members {
		fmt.Fprintf(&b, "%d,member%d@example.jp\r\n", m, m)
	}
	b.WriteString("9999999,nobody@example.jp\r\n,\r\n")
	return b.String()
}

func logTo(w io.Writer) func(*Config) {
	return func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}
