package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/duty"
	"sekisho/law"
	"sekisho/tell"
	"sekisho/vault"
	"sekisho/view"
)

// The employees' door: pages for members of staff about what they themselves owe
// and have done. It has a listener, a mux, templates and sessions of its own;
// nothing of the console is behind it. Whoever is there signs in by a link that
// is mailed to the directory's address, and sees what is theirs and nobody
// else's: every handler takes the person from the session, never from the
// request.
//
// A page of another noun joins by a line in staffNouns.

// StaffConfig is the employees' door. Without listen there is none.
type StaffConfig struct {
	// Listen is the address of the pages, such as 0.0.0.0:8444. It is a listener of
	// its own: nothing of the console can be reached there.
	Listen string `yaml:"listen"`
	// Cert and Key are PEM files. Without them the door speaks plain HTTP, and may
	// listen on this machine only, behind something that ends TLS.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Behind is the address of a proxy on this machine or network that ends TLS and
	// names the visitor in X-Forwarded-For: the last address there is believed.
	Behind []string `yaml:"behind"`
	// Address is how people reach the door, such as https://my.example.jp: it stands
	// in every mail, whatever a request says.
	Address string `yaml:"address"`

	// Company is its name, Contact whom people ask who cannot sign in, in both
	// languages.
	Company law.Words `yaml:"company"`
	Contact law.Words `yaml:"contact"`

	// Mail is the relay by which links and reminders go out, From their sender.
	// Default: those of tell.
	Mail tell.Relay `yaml:"mail"`
	From string     `yaml:"from"`
	// Link is for how long a link can be used. Default: 15m.
	Link time.Duration `yaml:"link"`
	// PerSecond is how many links are mailed in a second. Default 50.
	PerSecond float64 `yaml:"per_second"`

	// PerAddress is how many requests a minute one address may make (default 3000:
	// a whole office can stand behind one), InAll how many a second everybody
	// together (default 500), AtOnce how many are served at a time (default 256).
	// What is more is told to come back, and nothing of it is kept.
	PerAddress int `yaml:"per_address"`
	InAll      int `yaml:"in_all"`
	AtOnce     int `yaml:"at_once"`
}

// Check fills in defaults and names the first mistake.
func (c *StaffConfig) Check() error {
	if c.Link == 0 {
		c.Link = 15 * time.Minute
	}
	if c.PerSecond == 0 {
		c.PerSecond = 50
	}
	for n, v := range map[*int]int{&c.PerAddress: 3000, &c.InAll: 500, &c.AtOnce: 256} {
		if *n == 0 {
			*n = v
		}
		if *n < 0 {
			return errors.New("config: staff: a limit below zero")
		}
	}
	if c.Listen == "" {
		return nil
	}
	u, err := url.Parse(c.Address)
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("config: staff: cert and key come together")
	case err != nil || u.Host == "" || u.Path != "" || u.Scheme != "https" && !(u.Scheme == "http" && onThisMachine(u.Host)):
		return fmt.Errorf("config: staff: address %q: give how people reach the door, such as https://my.example.jp", c.Address)
	case c.Cert == "" && !onThisMachine(c.Listen):
		return fmt.Errorf("config: staff: without cert it may listen on this machine only, and %s is more: sessions would go in the clear", c.Listen)
	case c.Company.EN == "" || c.Company.JA == "" || c.Contact.EN == "" || c.Contact.JA == "":
		return errors.New("config: staff: company and contact are missing in English or Japanese")
	case c.Mail.Server == "":
		return errors.New("config: staff: mail: server is missing: people sign in by a link that is mailed to them")
	case !tell.GoodAddress(c.From):
		return errors.New("config: staff: from is missing: the address that links come from")
	case c.Link < time.Minute || c.Link > time.Hour:
		return fmt.Errorf("config: staff: link %v: from 1m to 1h", c.Link)
	case !(c.PerSecond > 0 && c.PerSecond <= 1000):
		return fmt.Errorf("config: staff: per_second %v: use a number up to 1000", c.PerSecond)
	}
	if err := c.Mail.Check(); err != nil {
		return fmt.Errorf("config: staff: mail: %w", err)
	}
	for _, a := range c.Behind {
		if _, err := sekisho.ParseAddress(a); err != nil {
			return fmt.Errorf("config: staff: behind: %q is no address", a)
		}
	}
	return nil
}

func onThisMachine(hostport string) bool {
	host := hostport
	if i := strings.LastIndexByte(hostport, ':'); i >= 0 && !strings.HasSuffix(hostport, "]") {
		host = hostport[:i]
	}
	host = strings.Trim(host, "[]")
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// StaffSources are what the employees' door stands on.
type StaffSources struct {
	Append   func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error)
	Last     func() uint64
	Vault    *vault.Vault
	Views    *view.Set
	Links    *duty.Links     // in Views
	People   *directory.Book // in Views
	School   *duty.School
	Lures    *tell.Lures     // nil: no drills by mail
	Duty     *duty.Book      // in Views; nil: there are no documents
	Handling func() Handling // how information is handled now; nil: nobody says
	Secret   [32]byte        // of the links, of the house's own
	Name     string          // the ledger's
	Drill    string          // the scenario, if this is one
	Zone     *time.Location
	Now      func() time.Time
	Log      *slog.Logger
}

// A StaffDoor serves the pages.
type StaffDoor struct {
	StaffConfig
	StaffSources
	presses map[string]*press // by language
	limits  *crowd
	stays   stays
	links   linkMaker
	texts   texts
}

// NewStaffDoor makes the door of a config that was checked. Run does what it has
// to do by itself.
func NewStaffDoor(c StaffConfig, s StaffSources) (*StaffDoor, error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	d := &StaffDoor{StaffConfig: c, StaffSources: s, presses: map[string]*press{}, limits: newCrowd(c.AtOnce, c.PerAddress, c.InAll, c.Behind)}
	d.stays.by = map[[32]byte]*stay{}
	d.links.open()
	for _, lang := range languages {
		t, err := readTongue(lang, s.Zone)
		if err != nil {
			return nil, err
		}
		if d.presses[lang], err = newDoorPress(t, "staff"); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// A staffVisit is one request.
type staffVisit struct {
	*tongue
	press *press
	w     http.ResponseWriter
	r     *http.Request
	who   *stay // nil on the few pages that need no sign-in
}

// A staffRoute is one page of the door.
type staffRoute struct {
	pattern string
	handle  func(*StaffDoor, *staffVisit) error
	open    bool  // needs no sign-in
	limit   int64 // bytes of the request's body; 0 is maxForm
}

// A staffNoun is what one noun has at the door: its pages, under /my/NOUN, and
// the lines that it puts on a person's own page.
type staffNoun struct {
	routes []staffRoute
	// mine lists what the visitor owes and has done. May be nil.
	mine func(*StaffDoor, *staffVisit) ([]MyLine, error)
	// proves are the kinds of evidence that doing what is owed there makes.
	proves string
}

// staffNouns is everything at the door.
var staffNouns = []staffNoun{
	{routes: signingIn},
	{routes: trainingAtTheDoor, mine: (*StaffDoor).myTraining, proves: "training_completion"},
	{routes: documentsAtTheDoor, mine: (*StaffDoor).myDocuments, proves: "acknowledgement"},
	{routes: checksAtTheDoor, mine: (*StaffDoor).myChecks},
	{routes: handlingAtTheDoor},
	{routes: phishingAtTheDoor, mine: (*StaffDoor).myPhishing},
}

// A MyLine is one thing that a person owes or has done.
type MyLine struct {
	Title string
	What  string // a line about it; may be empty
	State string // a code in "my.state"
	Owed  bool   // something is to be done
	Bad   bool   // and is overdue
	Due   sekisho.Time
	Done  sekisho.Time
	To    string // a path at the door; empty: nothing to open
	Go    string // what the way there is called: a code in "my.go"
	More  string // another path, such as a certificate's
}

// Handler serves the pages.
func (d *StaffDoor) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, noun := range staffNouns {
		for _, r := range noun.routes {
			mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { d.serve(w, req, r) })
		}
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/my", http.StatusSeeOther) })
	mux.HandleFunc("GET /my", func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, staffRoute{handle: (*StaffDoor).my}) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.fails(d.visit(w, r), http.StatusNotFound, "my.fail.nowhere")
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.fails(d.visit(w, r), http.StatusForbidden, "desk.fail.cross")
	}))
	static := http.NewServeMux()
	static.HandleFunc("GET /static/{name}", doorFiles("desk.css", "staff.css", "mark.svg"))
	static.Handle("/", d.limits.admit(guard.Handler(mux), d.busy))
	return deskSecured(static)
}

// Server is Handler with limits for strangers.
func (d *StaffDoor) Server() *http.Server {
	return &http.Server{
		Handler:           d.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       15 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // it names addresses
	}
}

// visit finds who it is, and the language: what the page says, else what was
// chosen before, else what the browser asks for.
func (d *StaffDoor) visit(w http.ResponseWriter, r *http.Request) *staffVisit {
	lang := r.URL.Query().Get("lang")
	if d.presses[lang] == nil {
		lang = language(r)
	} else if c, err := r.Cookie(languageCookie); err != nil || c.Value != lang {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: d.secure(), MaxAge: 365 * 24 * 60 * 60})
	}
	press := d.presses[lang]
	v := &staffVisit{tongue: press.tongue, press: press, w: w, r: r}
	v.who = d.stays.visitor(d, r)
	return v
}

// secure says that browsers reach the door over TLS.
func (d *StaffDoor) secure() bool { return strings.HasPrefix(d.Address, "https:") }

func (d *StaffDoor) serve(w http.ResponseWriter, r *http.Request, one staffRoute) {
	v := d.visit(w, r)
	defer func() {
		if e := recover(); e != nil {
			d.Log.Error("a page of the employees' door panicked", "route", one.pattern, "stack", string(debug.Stack()))
			d.fails(v, http.StatusInternalServerError, "desk.fail.broken")
		}
	}()
	if v.who == nil && !one.open {
		d.askToSignIn(v)
		return
	}
	if r.Method == http.MethodPost {
		limit := one.limit
		if limit == 0 {
			limit = maxForm
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
			d.fails(v, http.StatusUnsupportedMediaType, "desk.fail.form")
			return
		}
		if err := r.ParseForm(); err != nil {
			d.fails(v, http.StatusBadRequest, "desk.fail.form")
			return
		}
	}
	if err := one.handle(d, v); err != nil {
		// Nothing that was typed is in such an error.
		d.Log.Error("answering at the employees' door", "route", one.pattern, "error", err)
		v.w.Header().Set("Retry-After", "60")
		d.fails(v, http.StatusServiceUnavailable, "desk.fail.broken")
	}
}

// A staffFrame is what the layout needs.
type staffFrame struct {
	Title   string
	Company string
	Contact string
	Drill   string
	Here    string // the way to this page in the other language; empty behind a form
	Who     string // the visitor's name
	Page    any
	Zone    string
}

func (d *StaffDoor) print(v *staffVisit, status int, name, title string, page any) error {
	f := staffFrame{Title: title, Company: d.Company.In(v.Lang), Contact: d.Contact.In(v.Lang), Drill: d.Drill, Page: page, Zone: v.zoneName(d.Now())}
	if v.r.Method == http.MethodGet && v.r.URL.Path != "/in" {
		f.Here = v.r.URL.Path
	}
	if v.who != nil {
		f.Who = d.nameOf(v.who.staff)
	}
	return v.press.send(v.w, status, name, "Accept-Language, Cookie", f)
}

// nameOf is what somebody is called: the directory's name, else the user name.
func (d *StaffDoor) nameOf(staff uint32) string {
	if a := d.School.Attributes(staff); a.Name != "" {
		return a.Name
	}
	name, _ := d.Vault.Space("staff").Key(staff)
	return name
}

// fails shows what went wrong, and what to do.
func (d *StaffDoor) fails(v *staffVisit, status int, key string) error {
	return d.print(v, status, "failure", v.say("desk.fail"), v.say(key))
}

// busy is what those get who come while too many are there.
func (d *StaffDoor) busy(w http.ResponseWriter, r *http.Request, status int, wait time.Duration) {
	v := d.visit(w, r)
	d.fails(v, status, comeAgain(w, status, wait))
}

// First are the charges that the page lists.
func (p myPage) First() []DutyCharge { return p.Charges[:min(len(p.Charges), mostChargesAtTheDoor)] }

// More is how many it does not.
func (p myPage) More() int { return len(p.Charges) - len(p.First()) }

// A myPage is everything that a person owes and has done.
type myPage struct {
	Owed    []MyLine
	Done    []MyLine
	Duties  []MyDuty
	Charges []DutyCharge
	Left    int // of Charges, what is not done
}

// mostChargesAtTheDoor is how many of them a telephone has to scroll past.
const mostChargesAtTheDoor = 12

func (d *StaffDoor) my(v *staffVisit) error {
	p := myPage{}
	proving := map[string][]MyLine{}
	for _, noun := range staffNouns {
		if noun.mine == nil {
			continue
		}
		lines, err := noun.mine(d, v)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if l.Owed {
				p.Owed = append(p.Owed, l)
				proving[noun.proves] = append(proving[noun.proves], l)
			} else {
				p.Done = append(p.Done, l)
			}
		}
	}
	slices.SortStableFunc(p.Owed, func(a, b MyLine) int { return int(min(max(a.Due-b.Due, -1), 1)) })
	slices.SortStableFunc(p.Done, func(a, b MyLine) int { return int(min(max(b.Done-a.Done, -1), 1)) })
	p.Duties, p.Charges = d.myDuties(v, proving)
	for _, g := range p.Charges {
		if !g.Done {
			p.Left++
		}
	}
	return d.print(v, http.StatusOK, "my", v.say("my.title"), p)
}
