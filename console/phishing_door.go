package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"sekisho/duty"
	"sekisho/tell"
)

// The pages to which lures lead: a door of its own, open to whoever has a link.
// It knows no cookie, no account and nothing of the console, and says nothing
// about anybody. Every way in it ends at the learning page. Of a form it is told
// whether something was typed, never what: its fields have no names, so that a
// browser does not send them.

// A LureDoor serves them.
type LureDoor struct {
	lures   *tell.Lures
	presses map[string]*press // by language
	limits  *crowd
	log     *slog.Logger
}

const (
	lureAtOnce     = 256
	lurePerAddress = 3000 // requests a minute: a whole office can stand behind one
	lureInAll      = 500  // a second
	maxLureForm    = 1 << 10
)

// NewLureDoor makes the pages.
func NewLureDoor(l *tell.Lures, log *slog.Logger) (*LureDoor, error) {
	p := &LureDoor{lures: l, presses: map[string]*press{}, log: log,
		limits: &crowd{inside: make(chan struct{}, lureAtOnce), perAddress: lurePerAddress, inAll: lureInAll, now: time.Now, by: map[netip.Addr]*bucket{}}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	for _, s := range l.Config.Behind {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("lures: behind %q is no address", s)
		}
		p.limits.behind = append(p.limits.behind, a.Unmap())
	}
	for _, lang := range languages {
		t, err := readTongue(lang, l.Zone)
		if err != nil {
			return nil, err
		}
		if p.presses[lang], err = newDoorPress(t, "lure"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// A lureVisit is one request.
type lureVisit struct {
	*tongue
	press *press
	w     http.ResponseWriter
	r     *http.Request
	met   tell.Met
	from  netip.Addr
}

// Handler serves the pages.
func (p *LureDoor) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(v *lureVisit) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, do) })
	}
	handle("GET /p/{token}", p.lure)
	handle("POST /p/{token}", p.form)
	handle("GET /learn/{token}", p.learn)
	handle("POST /learn/{token}", p.learned)
	handle("GET /o/{token}", p.opened)
	handle("GET /t/{token}", p.trap)
	handle("POST /h/{token}", p.stirred)
	mux.HandleFunc("GET /about", func(w http.ResponseWriter, r *http.Request) { p.about(p.visit(w, r)) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { p.nowhere(p.visit(w, r)) })
	guard := http.NewCrossOriginProtection()
	static := http.NewServeMux()
	static.HandleFunc("GET /static/{name}", doorFiles("desk.css", "mark.svg", "lure.js"))
	static.Handle("/", p.limits.admit(guard.Handler(mux), p.busy))
	const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return headed(static, map[string]string{"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"})
}

// Server is Handler with limits for strangers.
func (p *LureDoor) Server() *http.Server {
	return &http.Server{
		Handler:           p.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // it names addresses
	}
}

func (p *LureDoor) visit(w http.ResponseWriter, r *http.Request) *lureVisit {
	r.Header.Del("Cookie") // nothing here depends on one
	lang := r.URL.Query().Get("lang")
	if p.presses[lang] == nil {
		lang = language(r)
	}
	return &lureVisit{tongue: p.presses[lang].tongue, press: p.presses[lang], w: w, r: r, from: p.limits.visitor(r)}
}

func (p *LureDoor) serve(w http.ResponseWriter, r *http.Request, do func(v *lureVisit) error) {
	v := p.visit(w, r)
	defer func() {
		if e := recover(); e != nil {
			p.log.Error("a lure's page panicked", "route", r.Pattern, "stack", string(debug.Stack()))
			w.WriteHeader(http.StatusInternalServerError)
		}
	}()
	r.Body = http.MaxBytesReader(w, r.Body, maxLureForm)
	var ok bool
	if v.met, ok = p.lures.Meet(r.PathValue("token")); !ok {
		p.nowhere(v)
		return
	}
	if press := p.presses[v.met.Language]; press != nil && r.URL.Query().Get("lang") == "" {
		v.press, v.tongue = press, press.tongue
	}
	if err := do(v); err != nil {
		p.log.Error("answering at a lure's page", "route", r.Pattern, "error", err)
	}
}

// did records, and does not keep the page from anybody if it cannot: a figure is
// lost then, and the log says so.
func (p *LureDoor) did(v *lureVisit, what string) {
	c := tell.Caller{Address: v.from, Agent: v.r.UserAgent(), Method: v.r.Method, Head: map[string]string{}}
	for _, name := range []string{"Accept-Language", "Purpose", "Sec-Purpose"} {
		c.Head[name] = v.r.Header.Get(name)
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(v.r.Context()), 5*time.Second)
	defer stop()
	if err := p.lures.Did(ctx, v.met, what, c); err != nil {
		p.log.Error("recording what was done with a lure", "what", what, "error", err)
	}
}

// lure is where a lure leads: a form if it has one, else the learning page.
func (p *LureDoor) lure(v *lureVisit) error {
	what := "clicked"
	if v.met.Lure.Asks == "attachment" {
		what = "attachment"
	}
	p.did(v, what)
	form := v.met.Lure.Versions[v.met.Language].Form
	if len(form.Fields) == 0 {
		return p.learning(v, false)
	}
	page := &lureForm{Token: v.r.PathValue("token"), Title: form.Title, Text: form.Text, Button: form.Button}
	for _, f := range form.Fields {
		name, secret := strings.CutPrefix(f, "*")
		page.Fields = append(page.Fields, lureField{name, secret})
	}
	return p.print(v, http.StatusOK, "form", form.Title, page)
}

type lureForm struct {
	Token, Title, Text, Button string
	Fields                     []lureField
}

type lureField struct {
	Label  string
	Secret bool
}

// form is told whether something was typed. What else a request holds is not
// looked at.
func (p *LureDoor) form(v *lureVisit) error {
	body, err := io.ReadAll(v.r.Body)
	switch {
	case err == nil && bytes.Equal(body, []byte("typed=yes")):
		p.did(v, "typed")
	case err == nil && bytes.Equal(body, []byte("typed=no")):
		p.did(v, "left_empty")
	}
	http.Redirect(v.w, v.r, "/learn/"+v.r.PathValue("token"), http.StatusSeeOther)
	return nil
}

func (p *LureDoor) learn(v *lureVisit) error { return p.learning(v, false) }

func (p *LureDoor) learned(v *lureVisit) error {
	p.did(v, "learned")
	return p.learning(v, true)
}

func (p *LureDoor) opened(v *lureVisit) error {
	p.did(v, "opened")
	v.w.Header().Set("Content-Type", "image/gif")
	_, err := v.w.Write(onePoint)
	return err
}

// onePoint is a transparent picture of one point (GIF89a).
var onePoint = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

func (p *LureDoor) trap(v *lureVisit) error {
	p.did(v, "trap")
	return p.learning(v, false)
}

func (p *LureDoor) stirred(v *lureVisit) error {
	p.did(v, "stirred")
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// A lureLesson is the learning page.
type lureLesson struct {
	Token           string
	Sender, Subject string
	Teaches         string
	Level           string
	Cues            []duty.Cue
	Report, Contact string
	Done            bool
}

func (p *LureDoor) learning(v *lureVisit, done bool) error {
	l := v.met.Lure
	t := l.Versions[v.met.Language]
	page := &lureLesson{Token: v.r.PathValue("token"), Sender: t.Sender, Subject: strings.NewReplacer("{date}", "", "{name}", "").Replace(t.Subject), Teaches: l.Teaches,
		Level: l.Rate(v.met.Language).Difficulty, Cues: slices.Clone(t.Cues), Report: p.lures.Config.Report, Contact: p.lures.Config.Contact, Done: done}
	return p.print(v, http.StatusOK, "learn", v.say("lure.learn"), page)
}

type lureAbout struct {
	Report, Contact string
	Least, Keep     int
}

func (p *LureDoor) about(v *lureVisit) error {
	c := &p.lures.Config
	return p.print(v, http.StatusOK, "about", v.say("lure.about"), &lureAbout{c.Report, c.Contact, c.Least, c.Keep})
}

func (p *LureDoor) nowhere(v *lureVisit) error {
	return p.print(v, http.StatusNotFound, "nowhere", v.say("lure.nowhere"), nil)
}

type lureFrame struct {
	Title string
	Token string // of the lure, if there is one: for the script
	Page  any
}

func (p *LureDoor) print(v *lureVisit, status int, name, title string, page any) error {
	f := lureFrame{Title: title, Page: page}
	if v.met.Lure != nil {
		f.Token = v.r.PathValue("token")
	}
	var b bytes.Buffer
	if err := v.press.pages[name].ExecuteTemplate(&b, "layout", f); err != nil {
		return fmt.Errorf("writing the page %s: %w", name, err)
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	h.Add("Vary", "Accept-Language")
	v.w.WriteHeader(status)
	_, err := v.w.Write(b.Bytes())
	return err
}

func (p *LureDoor) busy(w http.ResponseWriter, r *http.Request, status int, wait time.Duration) {
	w.Header().Set("Retry-After", fmt.Sprint(max(1, int(wait.Round(time.Second).Seconds()))))
	w.Header().Set("Connection", "close")
	w.WriteHeader(status)
}
