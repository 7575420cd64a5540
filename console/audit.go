package console

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/pack"
)

// The pages for auditors: packs, and who may look from outside. What an auditor
// gets is decided in one place (serve): a route that does not say so is refused.

// auditor is the role of somebody from outside who looks on, until a day. They
// change nothing, and read no name of a person: everything they see comes from a
// console of its own, which is veiled.
const auditor = "auditor"

// longestAudit is how long an auditor may be admitted for at once.
const longestAudit = 366 * 24 * time.Hour

// A PackAsk is what a pack shall hold.
type PackAsk struct {
	From, Until sekisho.Time // windows that end after From are in; figures stand as at Until
	Whole       bool
}

// A PackOrder asks for a pack, as a person types it.
type PackOrder struct {
	From  string `json:"from,omitempty"`  // a day; empty: a year before
	Until string `json:"until,omitempty"` // a day, or a moment; empty: now
	Whole bool   `json:"whole,omitempty"`
}

// A PacksPage is what there is for auditors.
type PacksPage struct {
	At       sekisho.Time  `json:"at"`
	Packs    []PackLine    `json:"packs"`
	Making   *PackProgress `json:"making,omitempty"`
	Auditors []AuditorLine `json:"auditors,omitempty"` // for administrators
	Visits   bool          `json:"-"`
	CanMake  bool          `json:"can_make"`
	Admin    bool          `json:"-"`
	Me       *AuditorLine  `json:"me,omitempty"` // of an auditor
	Given    *Given        `json:"given,omitempty"`
	Today    string        `json:"-"`
}

func (*PacksPage) file() string { return "audit" }

// A PackLine is one pack that was made.
type PackLine struct {
	Entry   uint64       `json:"entry"`
	At      sekisho.Time `json:"at"`
	From    sekisho.Time `json:"from"`
	Until   sekisho.Time `json:"until"`
	Through uint64       `json:"through"`
	Whole   bool         `json:"whole"`
	Entries uint64       `json:"entries"`
	Stated  uint64       `json:"stated"`
	SHA256  string       `json:"sha256"`
	By      string       `json:"by"`
	There   bool         `json:"there"` // it can be fetched
}

// PackProgress is how far a pack is.
type PackProgress struct {
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
	Wrong string `json:"wrong,omitempty"` // how the last one failed
}

// An AuditorLine is somebody from outside.
type AuditorLine struct {
	Name    string       `json:"name"`
	Entry   uint64       `json:"entry"`
	Until   sekisho.Time `json:"until"`
	For     string       `json:"for"`
	By      string       `json:"by"`
	State   string       `json:"state"` // "admitted", "over", "ended"
	Pages   uint64       `json:"pages"`
	Refused uint64       `json:"refused"`
	Last    sekisho.Time `json:"last,omitempty"`
}

// Given is a password, shown once.
type Given struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// packing is the pack that is being made for somebody at the console.
type packing struct {
	mu    sync.Mutex
	now   *PackProgress
	wrong string
}

func (p *packing) state() *PackProgress {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil && p.wrong == "" {
		return nil
	}
	one := PackProgress{Wrong: p.wrong}
	if p.now != nil {
		one = *p.now
	}
	return &one
}

func (c *Console) audits404() error { return fail(http.StatusNotFound, "packs") }

// audit is the page for auditors, and about them.
func (c *Console) audit(v *visit) (page, error) { return c.auditPage(v, nil) }

func (c *Console) auditPage(v *visit, given *Given) (*PacksPage, error) {
	if c.cfg.Packs == nil || c.cfg.OpenPack == nil {
		return nil, c.audits404()
	}
	// Whoever looks at who looked sees everything up to now.
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return nil, fmt.Errorf("reading the packs: %w", err)
	}
	now := c.cfg.Now()
	p := &PacksPage{At: sekisho.At(now), Packs: []PackLine{}, CanMake: !c.veiled && c.mayDecide(v.who), Admin: c.administers(v), Given: given, Today: now.In(c.cfg.Zone).Format("2006-01-02")}
	var made []pack.Made
	var auditors []pack.Auditor
	c.cfg.Views.Read(func() { made, auditors = c.cfg.Packs.Made(), c.cfg.Packs.Auditors() })
	for _, m := range made {
		p.Packs = append(p.Packs, c.packLine(m))
	}
	for _, a := range auditors {
		line := AuditorLine{Name: c.named("staff", a.User), Entry: a.Entry, Until: a.Until, For: c.said(a.Said), By: c.named("staff", a.By), State: "admitted", Pages: a.Pages, Refused: a.Refused, Last: a.Last}
		switch {
		case a.Ended:
			line.State = "ended"
		case sekisho.At(now) >= a.Until:
			line.State = "over"
		}
		if v.who.staff == a.User && v.who.auditor {
			line.Name = v.who.name
			p.Me = &line
		}
		if p.Admin {
			p.Auditors = append(p.Auditors, line)
		}
	}
	if p.CanMake {
		p.Making = c.packing.state()
	}
	return p, nil
}

// administers: the visitor may admit auditors.
func (c *Console) administers(v *visit) bool {
	return !c.veiled && (v.who.local || c.users.role(v.who.name) == administrator)
}

func (c *Console) packLine(m pack.Made) PackLine {
	l := PackLine{Entry: m.Seq, At: m.At, From: m.Body.From, Until: m.Body.Until, Through: m.Body.Through, Whole: m.Body.Whole, Entries: m.Body.Entries, Stated: m.Body.Stated,
		SHA256: hex.EncodeToString(m.Body.SHA256[:]), By: c.named("staff", m.Body.By)}
	if f, _, err := c.cfg.OpenPack(m.Body.SHA256); err == nil {
		l.There = true
		f.Close()
	}
	return l
}

// order reads what a pack shall hold.
func (c *Console) order(v *visit, o PackOrder) (a PackAsk, err error) {
	if c.cfg.Packs == nil || c.cfg.MakePack == nil {
		return a, c.audits404()
	}
	if !c.mayDecide(v.who) {
		return a, fail(http.StatusForbidden, "pack_role")
	}
	now := c.cfg.Now()
	if a.From, err = c.parseDay(o.From); err != nil {
		return a, err
	}
	if a.Until, err = c.parseDay(o.Until); err != nil {
		return a, err
	}
	if a.Until == 0 || a.Until > sekisho.At(now) {
		a.Until = sekisho.At(now)
	}
	if a.From == 0 {
		a.From = sekisho.At(a.Until.Go().AddDate(-1, 0, 0))
	}
	if a.From >= a.Until {
		return a, fail(http.StatusBadRequest, "pack_span")
	}
	a.Whole = o.Whole
	return a, nil
}

// makePackForm begins a pack; the page says how far it is.
func (c *Console) makePackForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	ask, err := c.order(v, PackOrder{From: f.Get("from"), Until: f.Get("until"), Whole: f.Get("whole") != ""})
	if err != nil {
		return nil, err
	}
	c.packing.mu.Lock()
	defer c.packing.mu.Unlock()
	if c.packing.now != nil {
		return nil, fail(http.StatusConflict, "pack_busy")
	}
	c.packing.now, c.packing.wrong = &PackProgress{}, ""
	by := v.who.staff
	ctx, stop := context.WithCancel(context.Background())
	c.work.Go(func() {
		defer stop()
		go func() {
			select {
			case <-c.closing: // the house closes: the pack is not finished
				stop()
			case <-ctx.Done():
			}
		}()
		_, err := c.cfg.MakePack(ctx, ask, by, func(done, total uint64) {
			c.packing.mu.Lock()
			c.packing.now = &PackProgress{Done: done, Total: total}
			c.packing.mu.Unlock()
		})
		c.packing.mu.Lock()
		defer c.packing.mu.Unlock()
		if c.packing.now = nil; err != nil {
			c.cfg.Log.Error("making an auditor's pack", "error", err)
			c.packing.wrong = err.Error()
		}
	})
	http.Redirect(v.w, v.r, "/audit", http.StatusSeeOther)
	return nil, errDone
}

// fetchPack gives the zip file of a pack.
func (c *Console) fetchPack(v *visit) (page, error) {
	if c.cfg.Packs == nil || c.cfg.OpenPack == nil {
		return nil, c.audits404()
	}
	number, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
	if err != nil {
		return nil, c.audits404()
	}
	var one pack.Made
	var ok bool
	c.cfg.Views.Read(func() { one, ok = c.cfg.Packs.Pack(number) })
	if !ok {
		return nil, c.audits404()
	}
	if v.who == nil || !v.who.auditor && !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "pack_role")
	}
	f, size, err := c.cfg.OpenPack(one.Body.SHA256)
	if err != nil {
		return nil, fail(http.StatusGone, "pack_gone")
	}
	defer f.Close()
	http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(10 * time.Minute))
	if err := c.gives(v, fmt.Sprintf("sekisho-pack-%d.zip", number), "application/zip", "pack", "zip", number, 0); err != nil {
		return nil, err
	}
	v.w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	n, err := io.Copy(v.w, f)
	v.who.sent(int(n))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil, errDone
}

// auditorForm admits somebody, or ends it.
func (c *Console) auditorForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	if !c.administers(v) {
		return nil, fail(http.StatusForbidden, "audit_role")
	}
	name := strings.ToLower(strings.TrimSpace(f.Get("name")))
	if f.Get("action") == "end" {
		if c.users.role(name) != auditor || !c.users.exists(name) {
			return nil, fail(http.StatusNotFound, "user")
		}
		if err := c.removeUser(v, name); err != nil {
			return nil, err
		}
		return c.auditPage(v, nil)
	}
	password, err := c.addUser(v, UserLine{Name: name, Role: auditor, Until: f.Get("until"), For: strings.TrimSpace(f.Get("for"))})
	if err != nil {
		return nil, err
	}
	return c.auditPage(v, &Given{name, password})
}

// admission reads until when an auditor may look.
func (c *Console) admission(u *UserLine) (until sekisho.Time, err error) {
	if until, err = c.parseDay(u.Until); err != nil {
		return 0, err
	}
	now := c.cfg.Now()
	if _, e := time.Parse("2006-01-02", u.Until); e == nil { // that day, too
		until = sekisho.At(until.Go().In(c.cfg.Zone).AddDate(0, 0, 1))
	}
	if until <= sekisho.At(now) || until > sekisho.At(now.Add(longestAudit)) {
		return 0, fail(http.StatusBadRequest, "audit_until")
	}
	if u.For == "" || len(u.For) > maxReason {
		return 0, fail(http.StatusBadRequest, "audit_for")
	}
	return until, nil
}

// forAuditors decides whether an auditor gets a page, and makes durable that they
// asked, before anything is shown. It gives the console that answers: one that
// knows no name of a person.
func (c *Console) forAuditors(v *visit, one route) (*Console, error) {
	if one.pattern == "GET /{$}" {
		http.Redirect(v.w, v.r, "/audit", http.StatusSeeOther)
		return nil, errDone
	}
	look := &sekisho.AuditorLooked{Session: v.who.entry, Page: one.pattern, Refused: !one.auditor}
	if one.auditor {
		look.About = v.r.URL.Path
	}
	if len(look.About) > 200 {
		return nil, fail(http.StatusNotFound, "")
	}
	if _, err := c.cfg.Ledger.Append(v.r.Context(), look); err != nil {
		return nil, notRecorded(err)
	}
	if !one.auditor {
		return nil, fail(http.StatusForbidden, "auditor")
	}
	return c.veil(), nil
}

// veil is a console over the same books whose every name of a person, and every
// text that people typed, is its ordinal. It has no sessions and changes nothing.
func (c *Console) veil() *Console {
	return &Console{cfg: c.cfg, users: c.users, presses: c.presses, closing: c.closing, shapes: map[string]uint64{}, veiled: true}
}

// mayRead: an auditor sees the entries that figures rest on, and those about
// auditors and packs.
func (c *Console) mayRead(e *sekisho.Entry) error {
	if !c.veiled {
		return nil
	}
	switch e.Body.(type) {
	case *sekisho.AuditorAdmitted, *sekisho.AuditorLooked:
		return nil
	}
	if e.Body == nil || !pack.Needs(e) {
		return fail(http.StatusForbidden, "auditor")
	}
	return nil
}

func (c *Console) controlPacks(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/packs", maxForm, c.settled(func(v *visit) (any, error) { return c.auditPage(v, nil) }))
	handle("POST /api/packs", maxForm, c.settled(func(v *visit) (any, error) {
		o, err := told[PackOrder](v)
		if err != nil {
			return nil, err
		}
		ask, err := c.order(v, o)
		if err != nil {
			return nil, err
		}
		made, err := c.cfg.MakePack(v.r.Context(), ask, v.who.staff, nil)
		if err != nil {
			return nil, err
		}
		return c.packLine(made), nil
	}))
	handle("GET /api/packs/{number}/file", maxForm, func(v *visit) (any, error) { return c.fetchPack(v) })
}
