package console

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/porter"
	"sekisho/tell"
)

// The contact point's public pages: a door of its own, for people who have no
// account. It knows no cookie and no script. What a form needs to go on, the
// receipt above all, is in the form; so a page of somebody else's can make a
// browser do nothing here that it could not do itself.
//
// Every answer up to the proof of who asks is the same for members and for
// strangers: it is made from what was typed and from nothing else.

// A DeskDoor serves the contact point's pages.
type DeskDoor struct {
	desk    *tell.Desk
	drill   string
	presses map[string]*press // by language
	limits  *crowd
	log     *slog.Logger
}

// NewDeskDoor makes the pages of a contact point. drill is the scenario, if
// this is one.
func NewDeskDoor(d *tell.Desk, drill string, log *slog.Logger) (*DeskDoor, error) {
	p := &DeskDoor{desk: d, drill: drill, presses: map[string]*press{}, limits: newCrowd(d.Config.AtOnce, d.Config.PerAddress, d.Config.InAll, d.Config.Behind), log: log}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	for _, lang := range languages {
		t, err := readTongue(lang, d.Zone)
		if err != nil {
			return nil, err
		}
		if p.presses[lang], err = newDoorPress(t, "desk"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// A deskVisit is one request.
type deskVisit struct {
	*tongue
	press *press
	w     http.ResponseWriter
	r     *http.Request
}

// Handler serves the pages.
func (p *DeskDoor) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(v *deskVisit) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, do) })
	}
	handle("GET /{$}", p.start)
	handle("GET /ask/{asked}", p.askForm)
	handle("POST /ask/{asked}", p.ask)
	handle("GET /answer", p.receiptForm)
	handle("POST /answer", p.open)
	handle("POST /answer/code", p.prove)
	handle("POST /answer/again", p.again)
	handle("POST /answer/by-hand", p.byHand)
	handle("POST /answer/withdraw", p.withdraw)
	handle("/", func(v *deskVisit) error { return p.fails(v, http.StatusNotFound, "desk.fail.nowhere") })
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fails(p.visit(w, r), http.StatusForbidden, "desk.fail.cross")
	}))
	static := http.NewServeMux()
	static.HandleFunc("GET /static/{name}", doorFiles("desk.css", "mark.svg"))
	static.Handle("/", p.limits.admit(guard.Handler(mux), p.busy))
	return deskSecured(static)
}

// Server is Handler with limits for strangers.
func (p *DeskDoor) Server() *http.Server {
	door := porter.New()
	door.Strangers, door.PerAddress, door.PerKnown = mostDeskConnections, mostDeskConnections/16, mostDeskConnections
	for _, a := range p.limits.behind {
		door.Trusts(a)
	}
	return &http.Server{
		Handler:           p.Handler(),
		ConnState:         door.State, // one address cannot take everybody's place
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // it names addresses
	}
}

// deskSecured puts the headers on every answer: a style, a picture and forms of
// its own, nothing else, and nothing that a shared telephone keeps.
func deskSecured(next http.Handler) http.Handler {
	const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return headed(next, map[string]string{"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
}

// visit finds the language: what the page says, else what the browser asks for.
func (p *DeskDoor) visit(w http.ResponseWriter, r *http.Request) *deskVisit {
	lang := r.URL.Query().Get("lang")
	if p.presses[lang] == nil {
		r.Header.Del("Cookie") // a console's, on the same host: nothing here depends on one
		lang = language(r)
	}
	press := p.presses[lang]
	return &deskVisit{tongue: press.tongue, press: press, w: w, r: r}
}

// maxDeskForm is the bytes of a form: 4,000 letters of three bytes, each as
// %XX, and the rest.
const maxDeskForm = 64 << 10

func (p *DeskDoor) serve(w http.ResponseWriter, r *http.Request, do func(v *deskVisit) error) {
	v := p.visit(w, r)
	defer func() {
		if e := recover(); e != nil {
			p.log.Error("a page of the contact point panicked", "route", r.Pattern, "stack", string(debug.Stack()))
			p.fails(v, http.StatusInternalServerError, "desk.fail.broken")
		}
	}()
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxDeskForm)
		if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
			p.fails(v, http.StatusUnsupportedMediaType, "desk.fail.form")
			return
		}
		if err := r.ParseForm(); err != nil {
			p.fails(v, http.StatusBadRequest, "desk.fail.form")
			return
		}
		if lang := r.PostForm.Get("lang"); p.presses[lang] != nil {
			v.press = p.presses[lang]
			v.tongue = v.press.tongue
		}
	}
	if err := do(v); err != nil {
		// Nothing that was typed is in such an error.
		p.log.Error("answering at the contact point", "route", r.Pattern, "error", err)
		v.w.Header().Set("Retry-After", "60")
		p.fails(v, http.StatusServiceUnavailable, "desk.fail.broken")
	}
}

// A deskFrame is what the layout needs.
type deskFrame struct {
	Title   string
	Company string
	Contact string
	Policy  string
	Drill   string
	Here    string // the way to this page in the other language; empty behind a form
	Page    any
	Zone    string
}

func (p *DeskDoor) print(v *deskVisit, status int, name, title string, page any) error {
	conf := &p.desk.Config
	f := deskFrame{Title: title, Company: conf.Company.In(v.Lang), Contact: conf.Contact.In(v.Lang), Policy: conf.Policy, Drill: p.drill,
		Page: page, Zone: v.zoneName(p.desk.Now())}
	if v.r.Method == http.MethodGet {
		f.Here = v.r.URL.Path
	}
	return v.press.send(v.w, status, name, "Accept-Language", f)
}

// fails shows what went wrong, and what to do.
func (p *DeskDoor) fails(v *deskVisit, status int, key string) error {
	return p.print(v, status, "failure", v.say("desk.fail"), v.say(key))
}

// busy is what those get who come while too many are there.
func (p *DeskDoor) busy(w http.ResponseWriter, r *http.Request, status int, wait time.Duration) {
	v := p.visit(w, r)
	p.fails(v, status, comeAgain(w, status, wait))
}

type deskStart struct{ Kinds []string }

func (p *DeskDoor) start(v *deskVisit) error {
	return p.print(v, http.StatusOK, "start", v.say("desk.title"), deskStart{tell.EnquiryKinds()})
}

// A deskForm asks for an enquiry.
type deskForm struct {
	Asked    string
	Once     string
	Identity bool // who asks has to be known
	Codes    bool
	Words    bool // what is to be written is needed
	Demand   bool // one that the law grants
	Also     []deskField
	Optional bool // the number may be left out
	Values   map[string]string
	Wrong    string // the field that cannot be taken
}

type deskField struct{ Name, Label, Value, Wrong string }

func (p *DeskDoor) newForm(v *deskVisit, asked string) *deskForm {
	f := &deskForm{Asked: asked, Once: rand.Text(), Identity: incident.NeedsIdentity(asked), Codes: p.desk.Codes(), Optional: p.desk.Config.WithoutNumber,
		Words: asked == "complaint" || asked == "misuse" || asked == "correction", Demand: asked == "disclosure" || asked == "correction" || asked == "stop", Values: map[string]string{}}
	for _, name := range p.desk.Config.Also {
		label := v.code("desk.also", name)
		f.Also = append(f.Also, deskField{Name: name, Label: label})
	}
	return f
}

func known(asked string) bool {
	for _, k := range tell.EnquiryKinds() {
		if k == asked {
			return true
		}
	}
	return false
}

func (p *DeskDoor) askForm(v *deskVisit) error {
	asked := v.r.PathValue("asked")
	if !known(asked) {
		return p.fails(v, http.StatusNotFound, "desk.fail.nowhere")
	}
	return p.print(v, http.StatusOK, "ask", v.say("desk.asked."+asked), p.newForm(v, asked))
}

// A deskTaken is what somebody gets who has asked: the only key to the answer.
type deskTaken struct {
	Number  uint64 // as the asker sees it
	Receipt string
	Shown   string
	Asked   string
	Proof   bool // a code is to be typed now
	Codes   bool
	Minutes int
	Due     sekisho.Time
}

func (p *DeskDoor) ask(v *deskVisit) error {
	asked, form := v.r.PathValue("asked"), v.r.PostForm
	if !known(asked) {
		return p.fails(v, http.StatusNotFound, "desk.fail.nowhere")
	}
	a := tell.Asking{Asked: asked, Language: v.Lang, Said: form.Get("said"), Once: form.Get("once"), Asker: tell.Asker{
		Number: form.Get("number"), Email: form.Get("email"), Name: form.Get("name"), Third: form.Get("third") == "yes"}}
	if len(a.Once) > 64 || a.Once == "" {
		a.Once = rand.Text()
	}
	if form.Get("reach") == "post" {
		a.Asker.Reach = "post"
	}
	for _, name := range p.desk.Config.Also {
		if value := strings.TrimSpace(form.Get("also." + name)); value != "" {
			if a.Asker.Also == nil {
				a.Asker.Also = map[string]string{}
			}
			a.Asker.Also[name] = value
		}
	}
	number, receipt, err := p.desk.Receive(v.r.Context(), a)
	var wrong tell.ErrAsked
	if errors.As(err, &wrong) {
		f := p.newForm(v, asked)
		f.Once, f.Wrong = a.Once, string(wrong)
		for _, name := range []string{"number", "email", "name", "said", "reach", "third"} {
			f.Values[name] = form.Get(name)
		}
		for i := range f.Also {
			f.Also[i].Value = form.Get("also." + f.Also[i].Name)
			if wrong == tell.ErrAsked("also."+f.Also[i].Name) {
				f.Also[i].Wrong = "also"
			}
		}
		return p.print(v, http.StatusUnprocessableEntity, "ask", v.say("desk.asked."+asked), f)
	}
	if err != nil {
		return err
	}
	q := incident.Enquiry{At: sekisho.At(p.desk.Now()), Body: &sekisho.EnquiryReceived{Asked: asked}}
	due, _ := p.desk.Due(&q)
	return p.print(v, http.StatusOK, "taken", v.say("desk.taken"), deskTaken{Number: p.desk.Nth(number), Receipt: receipt, Shown: tell.ShownReceipt(receipt), Asked: asked,
		Proof: incident.NeedsIdentity(asked), Codes: p.desk.Codes(), Minutes: int(tell.CodeLasts.Minutes()), Due: sekisho.At(due.Add(-time.Second))})
}

type deskReceipt struct {
	Typed string
	Wrong bool
}

func (p *DeskDoor) receiptForm(v *deskVisit) error {
	return p.print(v, http.StatusOK, "receipt", v.say("desk.receipt"), deskReceipt{})
}

// A deskEnquiry is how far an enquiry has come.
type deskEnquiry struct {
	Number   uint64
	Asked    string
	At       sekisho.Time
	Receipt  string
	Standing incident.Standing
	Codes    bool
	Minutes  int
	Due      sekisho.Time // zero: nothing is to come
	Said     string
	Blocks   []tell.Block
	Answered sekisho.Time
	Result   string
	Machine  bool
	Closed   sekisho.Time
	Note     string // about what was just done
	Wrong    string
}

func (p *DeskDoor) show(v *deskVisit, q incident.Enquiry, receipt, note, wrong string) error {
	e := deskEnquiry{Number: q.Nth, Asked: q.Body.Asked, At: q.At, Receipt: receipt, Standing: q.Standing(), Codes: p.desk.Codes(), Minutes: int(tell.CodeLasts.Minutes()),
		Said: p.desk.Said(&q), Closed: q.Closed, Note: note, Wrong: wrong}
	if q.Answer != nil {
		e.Blocks, e.Answered, e.Result, e.Machine = tell.Blocks(p.desk.AnswerText(&q)), q.AnswerAt, q.Answer.Result, q.Answer.By == 0
	}
	if e.Standing != incident.StandAnswered && e.Standing != incident.StandClosed {
		due, _ := p.desk.Due(&q)
		e.Due = sekisho.At(due.Add(-time.Second))
	}
	status := http.StatusOK
	if wrong != "" {
		status = http.StatusUnprocessableEntity
	}
	return p.print(v, status, "enquiry", v.say("desk.enquiry", ordinal(q.Nth)), e)
}

// opened does something with the enquiry of the receipt in the form.
func (p *DeskDoor) opened(v *deskVisit, do func(receipt string) (incident.Enquiry, error), note string) error {
	receipt := v.r.PostForm.Get("receipt")
	q, err := do(receipt)
	switch {
	case errors.Is(err, tell.ErrReceipt):
		if len(receipt) > 64 {
			receipt = ""
		}
		return p.print(v, http.StatusUnprocessableEntity, "receipt", v.say("desk.receipt"), deskReceipt{receipt, true})
	case errors.Is(err, tell.ErrCode):
		return p.show(v, q, receipt, "", "desk.code.wrong")
	case errors.Is(err, tell.ErrTries):
		return p.show(v, q, receipt, "", "desk.code.tries")
	case err != nil:
		return err
	}
	return p.show(v, q, receipt, note, "")
}

func (p *DeskDoor) open(v *deskVisit) error {
	return p.opened(v, func(receipt string) (incident.Enquiry, error) { return p.desk.Open(v.r.Context(), receipt) }, "")
}

func (p *DeskDoor) prove(v *deskVisit) error {
	return p.opened(v, func(receipt string) (incident.Enquiry, error) {
		return p.desk.Prove(v.r.Context(), receipt, v.r.PostForm.Get("code"))
	}, "")
}

func (p *DeskDoor) again(v *deskVisit) error {
	return p.opened(v, func(receipt string) (incident.Enquiry, error) { return p.desk.Again(v.r.Context(), receipt) }, "desk.again.done")
}

func (p *DeskDoor) byHand(v *deskVisit) error {
	return p.opened(v, func(receipt string) (incident.Enquiry, error) { return p.desk.ByHand(v.r.Context(), receipt) }, "desk.hand.done")
}

func (p *DeskDoor) withdraw(v *deskVisit) error {
	return p.opened(v, func(receipt string) (incident.Enquiry, error) { return p.desk.Withdraw(v.r.Context(), receipt) }, "")
}
