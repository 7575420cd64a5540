// Package console is the door for people: every page, and the same as JSON.
//
// Whoever looks is looked at. A sign-in stands in the ledger before the cookie
// is given, a question about a customer before its answer, a list of customers
// before its first byte. If the entry cannot be written, the page is refused.
//
// The pages work without JavaScript; one small script adds what changes while
// one looks. Every word that a person reads is in the catalogues under words,
// in English and in Japanese.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/budget"
	"sekisho/contain"
	"sekisho/directory"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/incident"
	"sekisho/law"
	"sekisho/ledger"
	"sekisho/pack"
	"sekisho/permit"
	"sekisho/porter"
	"sekisho/tell"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
	"sekisho/watch"
)

// Config is what the console stands on. Everything is used until Close; the
// console closes none of it.
type Config struct {
	// Dir is where users.json is kept.
	Dir string
	FS  disk.FS // nil is disk.OS

	MetricsToken string // with which programs read all of /metrics; empty: none do

	Ledger  *ledger.Ledger
	Vault   *vault.Vault
	Views   *view.Set
	Live    *Live        // in Views
	Trace   *trace.Trace // in Views
	Budgets *budget.Book // in Views; nil: there are none
	// ExportDecoys is how many decoys of its own an export's answer carries unless
	// whoever asks says otherwise; MarksExports: there are mailboxes for them.
	ExportDecoys uint64
	MarksExports bool
	// Leases says with which gates the budgets are shared; nil: with none.
	Leases func() Channel
	// Incidents is among the reactions of Views.
	Incidents *incident.Book
	// Manual is the risk management manual. nil is the shipped one.
	Manual *incident.Manual
	// Rules are the duties to report; nil is the shipped ones. Company is what is
	// known of it whatever happens; Residence, the roster's name for where people
	// live.
	Rules     *law.Book
	Company   law.Company
	Residence string

	// MatchFile compares a recovered file with the roster of a space, reading
	// it once: sensor.MatchFile. The entry comes without Incident and By. nil:
	// files cannot be compared here.
	// With it come the requests of the exports whose own decoys the file holds.
	MatchFile func(ctx context.Context, file io.Reader, space string) (*sekisho.FileMatched, []uint64, error)

	// Permits is in Views. nil: nothing is exported here.
	Permits *permit.Book
	// Turned gives the statements that can be asked for, and Estimate how many
	// rows the database expects of one. nil: there is no gate.
	Turned   func() []permit.Turned
	Estimate func(ctx context.Context, st permit.Statement) (rows uint64, err error)

	// Decoys is in Views. Tables are the protected tables of each subject, and
	// CountRows counts the rows of some of its people in them; nil: no gate.
	Decoys    *watch.Decoys
	Tables    map[string][]string
	CountRows func(ctx context.Context, space string, keys []string) ([]map[string]int, error)

	// ImportLog takes over what a login did past the gate, by the database's own
	// log. nil: there is no gate.
	ImportLog func(ctx context.Context, login string, log io.Reader) (Imported, error)

	// Office writes, approves and sends what people outside are told. nil: it is
	// not done here.
	Office *tell.Office

	// StaffDoor is how people reach the employees' door; empty: there is none.
	StaffDoor string
	// Lures are the drills by mail. nil: there are none.
	Lures *tell.Lures

	// Contain keeps the orders of containment. nil: there is no gate, and nothing
	// can be cut off.
	Contain *contain.Keeper

	// Outside says how the last search for ways round the gate went. nil: there
	// is no gate.
	Outside func() Outside
	// Observed is the last day of the roles that are observed; nil: there are none.
	Observed func() *ObservedDay

	// Enquiries is in Views, Desk the contact point over it. nil: there is none.
	Enquiries *incident.Enquiries
	Desk      *tell.Desk

	// Duty is the register of duties, in Views; nil: there is none. Directory says
	// who works here; nil: nobody knows. Documents says who approves texts.
	Duty      *duty.Book
	Directory *directory.Book
	// Logins are the names that may come in at the gate.
	Logins    []string
	Documents DocumentsConfig
	// CheckPages compares what the world reads with the approved versions, and
	// records it. nil: it cannot be asked for.
	CheckPages func(ctx context.Context) error
	// ImportDirectory compares a table of staff with the directory, and records
	// what differs unless it is a dry run. nil: not here.
	ImportDirectory func(ctx context.Context, file io.Reader, ask DirectoryImport, by uint32) (*directory.Plan, error)
	// PullDirectory does the same with a server of the config.
	PullDirectory func(ctx context.Context, ask DirectoryPullAsk, by uint32) (*directory.Plan, error)

	// Handling says how information is handled now; nil: nobody says, and nothing
	// bears a label.
	Handling func() Handling

	// Erasures is in Views; Erase carries out what was approved. nil: not here.
	Erasures *directory.Erasures
	Erase    func(ctx context.Context) error
	// Checks folds what people look at and the registers: Duty's, if that is given.
	// nil: it is not done here.
	// Checklists are what they ask, and Units the companies and departments that
	// there are at a time; if there are none, any name is taken.
	Checks     *duty.Checks
	Checklists duty.Checklists
	Units      func(at sekisho.Time) []UnitLine
	// EndpointAt tells the machine at an address at a time; nil: nobody knows.
	EndpointAt func(netip.Addr, sekisho.Time) string

	// Packs is in Views: the auditor's packs. MakePack makes one, which is recorded
	// on return, and OpenPack gives its bytes. nil: there are none.
	Packs    *pack.Book
	MakePack func(ctx context.Context, ask PackAsk, by uint32, progress func(done, total uint64)) (pack.Made, error)
	OpenPack func(sum [32]byte) (io.ReadCloser, int64, error)

	// School plans training. nil: it is not done here. ImportToken is with
	// which another learning system brings completions; empty: none does.
	School      *duty.School
	ImportToken string

	Steps *Steps             // of an exercise; folded by Views; may be nil
	Cases func() []*Compared // what real cases took then and here; may be nil

	Name     string // the ledger's name
	Drill    string // the scenario, if the ledger is a drill: every page says so, loudly
	Software string // the version
	Mode     string // of the gate: "enforce", "observe", or "" where there is none

	// Zone is the time zone of every page. nil is Asia/Tokyo.
	Zone *time.Location
	// TLS says that browsers reach the console over TLS only, even if
	// something in front ends it: cookies are then marked Secure.
	TLS bool

	Now func() time.Time // nil is time.Now; drills and tests replace it
	Log *slog.Logger
}

// A Console serves the pages.
type Console struct {
	cfg      Config
	users    *users
	sessions sessions
	tries    tries
	streams  turnstile
	in       *porter.Porter
	presses  map[string]*press // by language
	closing  chan struct{}     // closed by Close: streams hang up
	well     lastHealth
	tallied  lastTally
	concerns concerns
	closed   sync.Once
	work     sync.WaitGroup // that goes on behind a page
	packing  packing
	veiled   bool // it answers auditors: see veil

	texts    texts
	drawing  sync.Mutex // one photo is drawn at a time
	deciding sync.Mutex // one export or user is decided on at a time

	shapesMu sync.Mutex
	shapes   map[string]uint64 // the console's own shapes of this epoch, by what they say
}

// New makes a console; Handler and Control serve it. Only EnsureAdmin and
// Reset may be called on one without views.
func New(cfg Config) (*Console, error) { return newConsole(cfg, fullCost) }

func newConsole(cfg Config, hashing cost) (*Console, error) {
	if cfg.FS == nil {
		cfg.FS = disk.OS{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Zone == nil {
		cfg.Zone = time.FixedZone("JST", 9*60*60) // Japan has had no summer time since 1951
	}
	if cfg.Manual == nil {
		var err error
		if cfg.Manual, err = incident.Read(incident.Config{}); err != nil {
			return nil, err
		}
	}
	if cfg.Duty != nil {
		cfg.Checks = cfg.Duty.Checks()
	}
	if cfg.Checks != nil && cfg.Checklists == nil {
		var err error
		if cfg.Checklists, err = duty.ReadChecklists(); err != nil {
			return nil, err
		}
	}
	if cfg.Rules == nil {
		var err error
		if cfg.Rules, err = law.Load(law.Shipped()); err != nil {
			return nil, err
		}
		if cfg.Company.Established == nil { // as the config's default
			cfg.Company.Established = []string{"JP"}
		}
	}
	c := &Console{cfg: cfg, presses: map[string]*press{}, shapes: map[string]uint64{}, closing: make(chan struct{}), in: porter.New()}
	c.in.Strangers, c.in.PerAddress, c.in.PerKnown = 2048, 128, 2048 // a whole office may come from one address
	c.sessions.by = map[[32]byte]*session{}
	c.tries.by = map[[32]byte]*failures{}
	for _, lang := range languages {
		t, err := readTongue(lang, cfg.Zone)
		if err != nil {
			return nil, err
		}
		if cfg.Office != nil {
			t.names = cfg.Office.Config.Called
		}
		if c.presses[lang], err = newPress(t); err != nil {
			return nil, err
		}
	}
	var err error
	c.users, err = openUsers(cfg.FS, cfg.Dir, hashing)
	return c, err
}

// Close ends every stay, and records it; live streams hang up. Call it before
// the server's Shutdown, which waits for them, and before the ledger's Close.
func (c *Console) Close(ctx context.Context) {
	c.closed.Do(func() { close(c.closing) })
	c.work.Wait()
	c.endSessions(ctx, c.sessions.take(func([32]byte, *session) bool { return true }), "shutdown")
}

// A route is one line of the table of contents.
type route struct {
	pattern string
	handle  func(*Console, *visit) (page, error)
	open    bool  // needs no sign-in
	limit   int64 // bytes of the request's body; 0 is maxForm
	auditor bool  // auditors get it: it changes nothing, and names nobody where the console is veiled
}

const maxForm = 64 << 10

// routes is every page. HTML and JSON come from the same line.
var routes = []route{
	{pattern: "GET /{$}", handle: (*Console).live},
	{pattern: "GET /live/events", handle: (*Console).liveEvents},
	{pattern: "GET /incidents", handle: (*Console).incidents},
	{pattern: "POST /incidents", handle: (*Console).openIncident, limit: 1 << 20},
	{pattern: "POST /incidents/notice", handle: (*Console).openRoomForm},
	{pattern: "GET /incidents/{id}", handle: (*Console).incident},
	{pattern: "POST /incidents/{id}/question", handle: (*Console).restate, limit: 1 << 20},
	{pattern: "POST /incidents/{id}/file", handle: (*Console).matchFile, limit: maxUpload},
	{pattern: "POST /incidents/{id}/list", handle: (*Console).list},
	{pattern: "GET /incidents/{id}/room", handle: (*Console).room},
	{pattern: "GET /incidents/{id}/room/events", handle: (*Console).roomEvents},
	{pattern: "POST /incidents/{id}/room/{act}", handle: (*Console).roomAct, limit: 1 << 20},
	{pattern: "GET /incidents/{id}/brief", handle: (*Console).brief},
	{pattern: "GET /incidents/{id}/clocks", handle: (*Console).clocks},
	{pattern: "POST /incidents/{id}/clocks", handle: (*Console).clocksForm},
	{pattern: "GET /notices", handle: (*Console).notices},
	{pattern: "POST /notices", handle: (*Console).noticeForm},
	{pattern: "GET /incidents/{id}/tell", handle: (*Console).tell},
	{pattern: "GET /incidents/{id}/tell/{form}", handle: (*Console).draft},
	{pattern: "POST /incidents/{id}/tell/{form}", handle: (*Console).draftForm, limit: 1 << 20},
	{pattern: "POST /incidents/{id}/mailings", handle: (*Console).mailingForm},
	{pattern: "GET /incidents/{id}/mailings/{number}", handle: (*Console).mailing},
	{pattern: "GET /incidents/{id}/mailings/{number}/events", handle: (*Console).mailingEvents},
	{pattern: "POST /incidents/{id}/mailings/{number}", handle: (*Console).mailingActForm},
	{pattern: "POST /incidents/{id}/mailings/{number}/list", handle: (*Console).mailingList},
	{pattern: "GET /budgets", handle: (*Console).budgets},
	{pattern: "GET /audit", handle: (*Console).audit, auditor: true},
	{pattern: "GET /review", handle: (*Console).review, auditor: true},
	{pattern: "POST /review", handle: (*Console).reviewForm},
	{pattern: "POST /audit/packs", handle: (*Console).makePackForm},
	{pattern: "GET /audit/packs/{number}", handle: (*Console).fetchPack, auditor: true},
	{pattern: "POST /audit/auditors", handle: (*Console).auditorForm},
	{pattern: "GET /duties", handle: (*Console).dutiesList, auditor: true},
	{pattern: "POST /duties", handle: (*Console).dutyActForm, limit: 4 << 20},
	{pattern: "GET /duties/mine", handle: (*Console).myDuties},
	{pattern: "GET /duties/{instrument}/{id}", handle: (*Console).dutyOne, auditor: true},
	{pattern: "GET /exports", handle: (*Console).exports},
	{pattern: "POST /exports", handle: (*Console).askExportForm},
	{pattern: "GET /exports/{number}", handle: (*Console).export},
	{pattern: "POST /exports/{number}", handle: (*Console).decideExportForm},
	{pattern: "GET /containments", handle: (*Console).containments},
	{pattern: "GET /containments/events", handle: (*Console).containmentsEvents},
	{pattern: "POST /containments", handle: (*Console).containForm, limit: 1 << 20},
	{pattern: "GET /containments/{number}", handle: (*Console).containment},
	{pattern: "POST /containments/{number}", handle: (*Console).answerContainmentForm, limit: 1 << 20},
	{pattern: "GET /phishing", handle: (*Console).phishing},
	{pattern: "POST /phishing", handle: (*Console).phishingForm},
	{pattern: "GET /phishing/{number}", handle: (*Console).phishingCampaign},
	{pattern: "POST /phishing/{number}", handle: (*Console).phishingActForm},
	{pattern: "GET /phishing/lures/{name}", handle: (*Console).lure},
	{pattern: "GET /documents", handle: (*Console).documents},
	{pattern: "POST /documents", handle: (*Console).writeDocumentForm, limit: 6*maxDocument + maxForm}, // each byte as %XX
	{pattern: "POST /documents/check", handle: (*Console).checkPagesForm},
	{pattern: "GET /documents/{name}", handle: (*Console).document},
	{pattern: "POST /documents/{name}", handle: (*Console).documentForm},
	{pattern: "GET /handling", handle: (*Console).handling},
	{pattern: "POST /handling", handle: (*Console).handlingProposeForm},
	{pattern: "GET /handling/labels/{number}", handle: (*Console).handlingLabel},
	{pattern: "GET /checks", handle: (*Console).checks},
	{pattern: "POST /checks", handle: (*Console).planCheckForm},
	{pattern: "GET /checks/{number}", handle: (*Console).check},
	{pattern: "POST /checks/{number}/{act}", handle: (*Console).checkActForm, limit: maxPaperUpload + 1<<20},
	{pattern: "GET /findings/{number}", handle: (*Console).finding},
	{pattern: "POST /findings/{number}/{act}", handle: (*Console).findingForm, limit: maxPaperUpload + 1<<20},
	{pattern: "GET /papers/{entry}", handle: (*Console).showPaper},
	{pattern: "GET /registers", handle: (*Console).registers},
	{pattern: "POST /registers", handle: (*Console).registerForm, limit: 16 << 20},
	{pattern: "GET /registers/{ordinal}", handle: (*Console).thing},
	{pattern: "POST /registers/{ordinal}/asset", handle: (*Console).assetForm},
	{pattern: "POST /registers/{ordinal}/paper", handle: (*Console).thingPaper, limit: maxPaperUpload + 1<<20},
	{pattern: "GET /posts", handle: (*Console).posts},
	{pattern: "POST /posts", handle: (*Console).postForm},
	{pattern: "GET /scans", handle: (*Console).scans},
	{pattern: "POST /scans", handle: (*Console).scanForm, limit: maxScanUpload},
	{pattern: "GET /terminals", handle: (*Console).terminals},
	{pattern: "POST /terminals", handle: (*Console).terminalForm, limit: maxScanUpload},
	{pattern: "GET /evaluation", handle: (*Console).evaluation},
	{pattern: "POST /evaluation", handle: (*Console).evaluationForm, limit: maxScanUpload},
	{pattern: "GET /training", handle: (*Console).training},
	{pattern: "POST /training", handle: (*Console).planTrainingForm},
	{pattern: "GET /training/{plan}", handle: (*Console).trainingPlan},
	{pattern: "POST /training/{plan}", handle: (*Console).actOnTrainingForm, limit: 1 << 20},
	{pattern: "POST /training/import", handle: (*Console).importTrainingForm, limit: duty.MaxImport + 1<<20},
	{pattern: "POST /training/judge", handle: (*Console).judgeTrainingForm},
	{pattern: "POST /training/completions", handle: (*Console).importTraining, open: true, limit: duty.MaxImport + 1<<20},
	{pattern: "GET /search", handle: (*Console).search},
	{pattern: "GET /desk", handle: (*Console).deskList},
	{pattern: "POST /desk", handle: (*Console).deskTake},
	{pattern: "POST /desk/allowed", handle: (*Console).deskAllow, limit: 1 << 20},
	{pattern: "GET /desk/{number}", handle: (*Console).deskEnquiry},
	{pattern: "POST /desk/{number}", handle: (*Console).deskActForm, limit: 1 << 20},
	{pattern: "POST /customers", handle: (*Console).customer},
	{pattern: "GET /endpoints/{name}", handle: (*Console).endpoint},
	{pattern: "GET /people/{name}", handle: (*Console).person},
	{pattern: "GET /directory", handle: (*Console).directory},
	{pattern: "GET /directory/people/{number}", handle: (*Console).directoryPerson},
	{pattern: "POST /directory/people/{number}/erase", handle: (*Console).askErasureForm},
	{pattern: "GET /erasures", handle: (*Console).erasures},
	{pattern: "GET /erasures/{number}", handle: (*Console).erasure},
	{pattern: "POST /erasures/{number}", handle: (*Console).decideErasureForm},
	{pattern: "GET /drills", handle: (*Console).drills},
	{pattern: "POST /drills/notes", handle: (*Console).noteForm},
	{pattern: "GET /status", handle: (*Console).status},
	{pattern: "GET /entries/{seq}", handle: (*Console).entry, auditor: true},
	{pattern: "GET /signin", handle: (*Console).signInForm, open: true},
	{pattern: "POST /signin", handle: (*Console).signIn, open: true},
	{pattern: "POST /signout", handle: (*Console).signOut, auditor: true},
	{pattern: "GET /language", handle: (*Console).chooseLanguage, open: true},
	{pattern: "GET /healthz", handle: (*Console).healthz, open: true},
	{pattern: "GET /metrics", handle: (*Console).metrics, open: true},
	{pattern: "/", handle: (*Console).nowhere, open: true},
}

// Handler serves the console to browsers.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{name}", c.static)
	for _, r := range routes {
		mux.Handle(r.pattern, c.serve(r))
	}
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.refuse(c.visit(w, r), fail(http.StatusForbidden, "cross_origin"))
	}))
	return secured(guard.Handler(mux))
}

// Server is Handler with the limits on time and size that a browser needs and
// an attacker does not. A stream and an upload lift their own.
func (c *Console) Server() *http.Server {
	return &http.Server{
		Handler:           c.Handler(),
		ConnState:         c.in.State, // strangers cannot take the place of who is signed in
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(c.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// secured puts the headers on every answer. The policy lets a page load its own
// style, script and data, and nothing else; nothing may stand inline.
func secured(next http.Handler) http.Handler {
	policy := strings.Join([]string{"default-src 'none'", "style-src 'self'", "script-src 'self'", "img-src 'self'",
		"connect-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"}, "; ")
	return headed(next, map[string]string{"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"})
}

// headed puts these headers on every answer, and those that all pages have.
func headed(next http.Handler, more map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		for name, value := range more {
			h.Set(name, value)
		}
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

func (c *Console) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{tongue: c.presses[language(r)].tongue, w: w, r: r}
}

// serve is the one handler of all routes.
func (c *Console) serve(one route) http.Handler {
	limit := one.limit
	if limit == 0 {
		limit = maxForm
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := c.visit(w, r)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				c.cfg.Log.Error("a page panicked", "route", one.pattern, "stack", string(debug.Stack()))
				c.refuse(v, errors.New("the page failed"))
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if who, ok := c.visitor(r); ok {
			v.who = who
			c.in.Knows(r)
		} else if !one.open {
			if err := askToSignIn(v); err != errDone {
				c.refuse(v, err)
			}
			return
		}
		answering := c
		if v.who != nil && v.who.auditor {
			var err error
			switch {
			case one.open && (r.Method == http.MethodGet || one.pattern == "POST /signin"):
				v.who = nil // as a stranger
			case one.pattern == "POST /signout":
			default:
				if answering, err = c.forAuditors(v, one); err != nil {
					if err != errDone {
						c.refuse(v, err)
					}
					return
				}
			}
		}
		p, err := one.handle(answering, v)
		switch {
		case err == errDone:
		case err != nil:
			c.refuse(v, err)
		default:
			c.print(v, http.StatusOK, p)
		}
	})
}

func (c *Console) chooseLanguage(v *visit) (page, error) {
	to := v.r.URL.Query().Get("to")
	if _, ok := c.presses[to]; !ok {
		return nil, fail(http.StatusBadRequest, "language")
	}
	http.SetCookie(v.w, &http.Cookie{Name: languageCookie, Value: to, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: v.r.TLS != nil || c.cfg.TLS, MaxAge: 365 * 24 * 60 * 60})
	http.Redirect(v.w, v.r, localPath(v.r.URL.Query().Get("next")), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) nowhere(v *visit) (page, error) { return nil, fail(http.StatusNotFound, "") }

// recordAccess makes durable that somebody saw what the ledger knows of these
// customers, before they see it. With verb Export it is a list that left.
func (c *Console) recordAccess(ctx context.Context, session, number uint64, shape *sekisho.Shape, subjects []uint32, least uint32) error {
	seq, err := c.shape(ctx, shape)
	if err != nil {
		return err
	}
	const chunk = 250_000 // ordinals take at most 5 bytes: well below MaxEntry
	var bodies []sekisho.Body
	for from := 0; from == 0 || from < len(subjects); from += chunk {
		part := subjects[from:min(from+chunk, len(subjects))]
		bodies = append(bodies, &sekisho.Access{Session: session, Shape: seq, Number: number, Class: sekisho.Exact,
			More: from+chunk < len(subjects), Rows: uint64(len(part)), Least: least, Subjects: part})
	}
	if _, err := c.cfg.Ledger.Append(ctx, bodies...); err != nil {
		return notRecorded(err)
	}
	return nil
}

// shape is the sequence number of a shape, appended if this epoch has none.
func (c *Console) shape(ctx context.Context, s *sekisho.Shape) (uint64, error) {
	key := fmt.Sprintf("%d %d %s %q %q %d", s.Statement, s.Verb, s.Space, s.Tables, s.Columns, s.Categories)
	c.shapesMu.Lock()
	defer c.shapesMu.Unlock()
	if seq, ok := c.shapes[key]; ok {
		return seq, nil
	}
	id, err := c.cfg.Ledger.Append(ctx, s)
	if err != nil {
		return 0, notRecorded(err)
	}
	c.shapes[key] = id.Seq
	return id.Seq, nil
}
