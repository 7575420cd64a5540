package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho/trace"
)

//go:embed templates/*.html templates/desk/*.html templates/staff/*.html templates/lure/*.html templates/public/*.html static/*
var assets embed.FS

// promises are the pages about what the policy promises: they share a second row
// of links.
var promises = []string{"duties", "duty", "duties_mine", "training", "trainingplan", "phishing", "phishing_plan", "phishing_campaign", "lure",
	"checks", "check", "finding", "registers", "thing", "posts", "scans", "cloud", "terminals", "evaluation", "case", "documents", "document", "handling", "label", "directory", "directory_person", "erasures", "erasure", "audit", "review"}

// A page is what a handler answers with: the same struct becomes HTML by the
// template that bears its name, or JSON, as the visitor accepts.
type page interface {
	// file is the template's name without ".html", and the key of the title.
	file() string
}

// A visit is one request by somebody, in a language.
type visit struct {
	*tongue
	w   http.ResponseWriter
	r   *http.Request
	who *session // nil on the few pages that need no sign-in
}

// pathNumber is a number in the address, such as an entry's; unknown is the hint
// that there is none such.
func (v *visit) pathNumber(name, unknown string) (uint64, error) {
	n, err := strconv.ParseUint(v.r.PathValue(name), 10, 64)
	if err != nil {
		return 0, fail(http.StatusNotFound, unknown)
	}
	return n, nil
}

// errDone is the answer of a handler that has written its own.
var errDone = errors.New("the answer is written")

// A failure is an error to show: its status chooses the words error.STATUS and
// hint.STATUS, unless key names a hint of its own. near are names that the
// visitor may have meant.
type failure struct {
	status   int
	key      string
	args     []any
	near     []string
	nearPath string // what to put before a near name to get there
	cause    error  // logged, never shown
}

func (f *failure) Error() string {
	if f.cause != nil {
		return f.cause.Error()
	}
	return fmt.Sprintf("%d %s", f.status, f.key)
}

func (f *failure) Unwrap() error { return f.cause }

// fail is an error that the visitor can act on.
func fail(status int, key string, args ...any) error {
	return &failure{status: status, key: key, args: args}
}

// A failurePage shows an error with what to do about it.
type failurePage struct {
	Status int      `json:"status"`
	Error  string   `json:"error"`
	Hint   string   `json:"hint"`
	Code   string   `json:"code,omitempty"`  // of the hint, for programs
	About  string   `json:"about,omitempty"` // what the hint speaks of
	Near   []string `json:"near,omitempty"`
	To     string   `json:"-"`
	Back   string   `json:"-"`
}

func (*failurePage) file() string { return "failure" }

// A frame is what the layout needs around a page.
type frame struct {
	Name     string // the ledger's
	Drill    string
	User     string
	Section  string
	Here     string // path and query, for the language link
	Zone     string
	Page     page
	Printed  string
	Label    string // of what is printed
	Desk     bool
	Promise  bool // a page about what the policy promises: see promises
	Checks   bool
	Lures    bool // drills by mail
	Overdue  int  // checks and findings that are late
	School   bool
	Waiting  int // requests for an export that nobody has answered
	Software string
	Auditor  bool // the visitor is one: they have few pages
	Audits   bool
}

// A press holds the templates of one language.
type press struct {
	*tongue
	pages map[string]*template.Template
	bits  *template.Template // fragments for the live stream
}

func newPress(t *tongue) (*press, error) {
	p := &press{tongue: t, pages: map[string]*template.Template{}}
	funcs := template.FuncMap{
		"t": t.say, "code": t.code, "item": t.item, "fault": t.fault, "trait": t.trait, "count": t.count, "num": number, "no": ordinal, "share": trace.Share, "bar": bar, "seconds": func(n int64) string { return t.duration(float64(n)) }, "when": t.when,
		"share3": permille,
		"day":    t.day, "clock": t.clock, "iso": t.iso, "bytes": t.bytes,
		"seg": url.PathEscape, "within": t.within, "cite": t.cite, "lang": func() string { return t.Lang }, "asset": assetPath, "join": strings.Join,

		"nested": nested, "triple": triple, "delta": delta, "entry": entryOf, "perMinute": t.perMinute, "timeline": t.strip, "in": t.in, "until": t.until, "calday": t.calday, "sought": t.sought, "trigger": trigger, "inc": func(n int) int { return n + 1 }, "dec": func(n int) int { return n - 1 },
		"called":   t.called,
		"open":     t.open,
		"shut":     t.shut,
		"checktag": checkTag,
		"list":     func(words ...string) []string { return words },
	}
	base, err := template.New("layout").Funcs(funcs).ParseFS(assets, "templates/layout.html", "templates/parts*.html", "templates/room_*.html")
	if err != nil {
		return nil, fmt.Errorf("reading the console's templates: %w", err)
	}
	names, err := fs.Glob(assets, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("reading the console's templates: %w", err)
	}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || strings.HasPrefix(name, "parts") || strings.HasPrefix(name, "room_") {
			continue
		}
		one, err := template.Must(base.Clone()).ParseFS(assets, file)
		if err != nil {
			return nil, fmt.Errorf("reading the console's templates: %w", err)
		}
		p.pages[name] = one
	}
	p.bits = base
	return p, nil
}

// print writes a page whole, or nothing: a template that fails must not leave
// half an answer behind a status of 200.
func (c *Console) print(v *visit, status int, p page) {
	h := v.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept, Accept-Language, Cookie")
	if wantsJSON(v.r) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		if err := e.Encode(p); err != nil {
			c.cfg.Log.Error("writing a page as JSON", "page", p.file(), "error", err)
			http.Error(v.w, "{}", http.StatusInternalServerError)
			return
		}
		h.Set("Content-Type", "application/json; charset=utf-8")
		v.w.WriteHeader(status)
		v.w.Write(b.Bytes())
		return
	}
	now := c.cfg.Now()
	f := frame{Name: c.cfg.Name, Drill: c.cfg.Drill, Section: p.file(), Here: v.r.URL.RequestURI(),
		Zone: v.zoneName(now), Page: p, Software: c.cfg.Software, Printed: v.printed(now)}
	if v.r.Method != http.MethodGet {
		f.Here = "/"
	}
	if v.who != nil && c.cfg.Handling != nil {
		f.Label = c.printLabel(v, p.file())
	}
	if v.who != nil {
		f.User, f.Waiting, f.Desk, f.School = v.who.name, c.waiting(), c.cfg.Desk != nil, c.cfg.School != nil
		f.Lures = c.cfg.Lures != nil
		f.Promise = slices.Contains(promises, p.file())
		f.Checks, f.Overdue = c.cfg.Checks != nil, c.overdue()
		f.Auditor, f.Audits = v.who.auditor, c.cfg.Packs != nil
	}
	var b bytes.Buffer
	if err := c.presses[v.Lang].pages[p.file()].ExecuteTemplate(&b, "layout", f); err != nil {
		c.cfg.Log.Error("writing a page", "page", p.file(), "error", err)
		http.Error(v.w, v.say("error.500"), http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes())
}

// refuse shows an error. What the visitor cannot act on is logged, and shown
// as no more than "something failed".
func (c *Console) refuse(v *visit, err error) {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{status: http.StatusInternalServerError, cause: err}
	}
	if f.status >= 500 {
		c.cfg.Log.Error("answering a request", "route", v.r.Pattern, "error", f.Error())
	}
	p := &failurePage{Status: f.status, Error: v.say(fmt.Sprintf("error.%d", f.status)), Near: f.near, To: f.nearPath, Back: "/"}
	if v.who != nil && v.who.auditor {
		p.Back = "/audit" // they have no live page
	}
	if f.key != "" {
		p.Code = f.key
		p.Hint = v.say("hint."+f.key, f.args...)
	} else {
		p.Hint = v.say(fmt.Sprintf("hint.%d", f.status))
	}
	if len(f.args) == 1 {
		p.About, _ = f.args[0].(string)
	}
	c.print(v, f.status, p)
}

func (t *tongue) printed(now time.Time) string {
	if t.Lang == "ja" {
		return now.In(t.zone).Format("2006年1月2日 15:04")
	}
	return now.In(t.zone).Format("2 January 2006 15:04")
}

// wantsJSON: the first of the two types that the client accepts. Browsers name
// text/html first.
func wantsJSON(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		kind, _, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		switch kind {
		case "application/json":
			return true
		case "text/html":
			return false
		}
	}
	return false
}

// localPath keeps a way back that stays on this host; anything else is "/".
func localPath(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") ||
		u.Host != "" || u.Scheme != "" || strings.ContainsAny(s, "\\\r\n\t") {
		return "/"
	}
	return s
}

// assetPath names a static file with a piece of its hash, so that browsers may
// keep it for ever and still see the next version.
func assetPath(name string) (string, error) {
	raw, err := assets.ReadFile("static/" + name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return "/static/" + name + "?v=" + hex.EncodeToString(sum[:6]), nil
}

func (c *Console) static(w http.ResponseWriter, r *http.Request) {
	raw, err := assets.ReadFile("static/" + path.Clean(r.PathValue("name")))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(r.PathValue("name"))))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(raw)
}
