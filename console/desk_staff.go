package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/tell"
)

// The contact point from inside: the queue, one enquiry, what sekisho may
// answer itself.

// A DeskLine is an enquiry in the queue. It names nobody.
type DeskLine struct {
	Number   uint64            `json:"number"`
	Nth      uint64            `json:"nth"` // the number that the asker has
	Time     sekisho.Time      `json:"time"`
	Asked    string            `json:"asked"`
	Language string            `json:"language"`
	Standing incident.Standing `json:"standing"`
	Due      sekisho.Time      `json:"due,omitempty"`
	Limit    sekisho.Time      `json:"limit,omitempty"` // of a law
	Late     bool              `json:"late,omitempty"`
	To       string            `json:"to,omitempty"`
	Incident uint64            `json:"incident,omitempty"`
	Machine  bool              `json:"machine,omitempty"` // answered by sekisho
	Result   string            `json:"result,omitempty"`
	Closed   sekisho.Time      `json:"closed,omitempty"`
}

// A DeskStats counts enquiries.
type DeskStats struct {
	Received uint64       `json:"received"`
	Proof    uint64       `json:"proof"` // wait for the asker
	Waiting  uint64       `json:"waiting"`
	Late     uint64       `json:"late"`
	Answered uint64       `json:"answered"`
	Machine  uint64       `json:"machine"`
	InTime   uint64       `json:"in_time"`  // of the answered, within their target
	Withdrew uint64       `json:"withdrew"` // closed without an answer
	Misuse   uint64       `json:"misuse"`
	Oldest   sekisho.Time `json:"oldest,omitempty"` // of those that wait
	Kinds    []DeskKind   `json:"kinds"`
	Days     []DeskDay    `json:"days"` // the latest first
}

// A DeskKind counts those of one kind.
type DeskKind struct {
	Asked    string `json:"asked"`
	Received uint64 `json:"received"`
	Waiting  uint64 `json:"waiting"`
	Answered uint64 `json:"answered"`
	InTime   uint64 `json:"in_time"`
}

// A DeskDay counts those of one day.
type DeskDay struct {
	Start    sekisho.Time `json:"start"`
	Received uint64       `json:"received"`
	Answered uint64       `json:"answered"` // on that day, whenever they came
	Backlog  uint64       `json:"backlog"`  // that waited at its end
}

// A DeskPage is the queue.
type DeskPage struct {
	Show     string     `json:"show"`
	Asked    string     `json:"asked,omitempty"`
	Lines    []DeskLine `json:"lines"` // the most urgent first
	More     int        `json:"more,omitempty"`
	Stats    DeskStats  `json:"stats"`
	Allowed  []DeskRule `json:"allowed"`
	Kinds    []string   `json:"-"`
	Taken    *deskTaken `json:"taken,omitempty"` // just taken in: its receipt is shown this once
	CanAllow bool       `json:"-"`
	Edition  string     `json:"edition"`
}

func (*DeskPage) file() string { return "desk" }

// A DeskRule is whether sekisho answers about an incident.
type DeskRule struct {
	Request   uint64       `json:"request"`
	Incident  uint64       `json:"incident"`
	Time      sekisho.Time `json:"time"`
	By        string       `json:"by"`
	TextEn    string       `json:"text_en"`
	TextJa    string       `json:"text_ja"`
	State     string       `json:"state"` // "asked", "approved", "rejected", "ended"
	DecidedBy string       `json:"decided_by,omitempty"`
	CanDecide bool         `json:"-"`
}

// A DeskEnquiryPage is one enquiry.
type DeskEnquiryPage struct {
	DeskLine
	Asker     tell.Asker      `json:"asker"`
	Said      string          `json:"said,omitempty"`
	By        string          `json:"by,omitempty"` // who took it in
	Compared  bool            `json:"compared"`
	Match     string          `json:"match,omitempty"` // the key of who agrees with what was given
	CodeMail  string          `json:"code_mail,omitempty"`
	ByHand    bool            `json:"by_hand,omitempty"`
	Known     string          `json:"known,omitempty"` // the key of whoever it was established to be
	Means     string          `json:"means,omitempty"`
	Checked   string          `json:"checked,omitempty"` // "confirmed", "refused"
	CheckedBy string          `json:"checked_by,omitempty"`
	CheckedAt sekisho.Time    `json:"checked_at,omitempty"`
	Answer    string          `json:"answer,omitempty"`
	Blocks    []tell.Block    `json:"-"`
	AnswerAt  sekisho.Time    `json:"answer_at,omitempty"`
	AnswerBy  string          `json:"answer_by,omitempty"` // empty: sekisho
	Template  string          `json:"template,omitempty"`
	Entry     uint64          `json:"entry,omitempty"` // of the answer
	Draft     string          `json:"draft,omitempty"`
	Drafted   string          `json:"drafted,omitempty"` // the template's name
	Outcome   string          `json:"-"`
	Templates []tell.Template `json:"templates"`
	Means_    []string        `json:"-"`
	Results   []string        `json:"-"`
	Reasons   []string        `json:"-"`
}

func (*DeskEnquiryPage) file() string { return "desk_enquiry" }

// noDesk is the answer where there is no contact point.
func (c *Console) noDesk() error {
	if c.cfg.Desk == nil {
		return fail(http.StatusNotFound, "desk_none")
	}
	return nil
}

func (c *Console) deskLine(q *incident.Enquiry) DeskLine {
	l := DeskLine{Number: q.Number, Nth: q.Nth, Time: q.At, Asked: q.Body.Asked, Language: q.Body.Language, Standing: q.Standing(), To: c.named("staff", q.To),
		Incident: q.Incident, Closed: q.Closed}
	if q.Answer != nil {
		l.Machine, l.Result = q.Answer.By == 0, q.Answer.Result
	}
	if q.Waits() {
		target, limit := c.cfg.Desk.Due(q)
		l.Due = sekisho.At(target.Add(-time.Second)) // the last of its day
		if !limit.IsZero() {
			l.Limit = sekisho.At(limit)
		}
		l.Late = !c.cfg.Now().Before(target)
	}
	return l
}

const mostDeskLines = 200

// deskQueue is the queue: show is "waiting", "mine", "late", "proof" or "all".
func (c *Console) deskQueue(who *session, show, asked string) *DeskPage {
	if !slices.Contains([]string{"waiting", "mine", "late", "proof", "all"}, show) {
		show = "waiting"
	}
	p := &DeskPage{Show: show, Asked: asked, Lines: []DeskLine{}, Allowed: []DeskRule{}, Kinds: tell.EnquiryKinds(), Edition: c.cfg.Desk.Answers.Edition, CanAllow: c.mayDecide(who)}
	var list []incident.Enquiry
	var all []incident.Enquiry
	var rules []incident.Allowance
	c.cfg.Views.Read(func() {
		c.cfg.Enquiries.Each(func(q *incident.Enquiry) bool {
			all = append(all, *q)
			return true
		})
		rules = c.cfg.Enquiries.Allowances()
	})
	p.Stats = c.deskStats(all)
	for i := range all {
		q := &all[i]
		if asked != "" && q.Body.Asked != asked {
			continue
		}
		switch show {
		case "waiting", "late":
			if !q.Waits() {
				continue
			}
		case "mine":
			if q.To != who.staff || q.Closed != 0 {
				continue
			}
		case "proof":
			if q.Standing() != incident.StandProof {
				continue
			}
		}
		list = append(list, *q)
	}
	if show == "all" || show == "proof" { // the latest first
		slices.Reverse(list)
		p.More = max(0, len(list)-mostDeskLines)
		list = list[:min(len(list), mostDeskLines)]
	}
	for i := range list {
		l := c.deskLine(&list[i])
		if show != "late" || l.Late {
			p.Lines = append(p.Lines, l)
		}
	}
	if show != "all" && show != "proof" {
		slices.SortStableFunc(p.Lines, func(a, b DeskLine) int { return cmp.Compare(a.Due, b.Due) })
		p.More = max(0, len(p.Lines)-mostDeskLines)
		p.Lines = p.Lines[:min(len(p.Lines), mostDeskLines)]
	}
	for i := range rules {
		p.Allowed = append(p.Allowed, c.deskRule(who, &rules[i]))
	}
	return p
}

func (c *Console) deskRule(who *session, a *incident.Allowance) DeskRule {
	r := DeskRule{Request: a.Request, Incident: a.Incident, Time: a.At, By: c.named("staff", a.Asked.By), TextEn: c.named("document", a.Asked.TextEn), TextJa: c.named("document", a.Asked.TextJa), State: "asked"}
	if a.Decided != nil {
		r.State, r.DecidedBy = a.Decided.Action, c.named("staff", a.Decided.By)
	}
	if a.Ended != 0 {
		r.State = "ended"
	}
	r.CanDecide = c.mayDecide(who) && c.users.person(who.name) != c.users.person(r.By)
	return r
}

// deskStats counts, in days of the console's zone.
func (c *Console) deskStats(all []incident.Enquiry) DeskStats {
	s := DeskStats{Kinds: []DeskKind{}, Days: []DeskDay{}}
	kinds := map[string]*DeskKind{}
	for _, k := range tell.EnquiryKinds() {
		s.Kinds = append(s.Kinds, DeskKind{Asked: k})
	}
	for i := range s.Kinds {
		kinds[s.Kinds[i].Asked] = &s.Kinds[i]
	}
	type sums struct{ received, answered, came, went uint64 }
	days := map[int64]*sums{}
	at := func(t sekisho.Time) *sums {
		day := c.deskDay(t)
		if days[day] == nil {
			days[day] = &sums{}
		}
		return days[day]
	}
	now := c.cfg.Now()
	for i := range all {
		q := &all[i]
		k := kinds[q.Body.Asked]
		if k == nil {
			k = &DeskKind{}
		}
		s.Received++
		k.Received++
		at(q.At).received++
		if q.Body.Asked == "misuse" {
			s.Misuse++
		}
		ended := q.AnsweredAt
		if ended == 0 {
			ended = q.Closed
		}
		if began := q.Began(); began != 0 { // since then it was for the company to act
			at(began).came++
			if ended != 0 {
				at(max(ended, began)).went++
			}
		}
		switch {
		case q.AnsweredAt != 0:
			s.Answered++
			k.Answered++
			at(q.AnsweredAt).answered++
			if q.Answer.By == 0 {
				s.Machine++
			}
			if target, _ := c.cfg.Desk.Due(q); q.AnsweredAt.Go().Before(target) {
				s.InTime++
				k.InTime++
			}
		case q.Closed != 0:
			s.Withdrew++
		case q.Waits():
			s.Waiting++
			k.Waiting++
			if s.Oldest == 0 {
				s.Oldest = q.At
			}
			if target, _ := c.cfg.Desk.Due(q); !now.Before(target) {
				s.Late++
			}
		default:
			s.Proof++
		}
	}
	var order []int64
	for d := range days {
		order = append(order, d)
	}
	slices.Sort(order)
	backlog := uint64(0)
	for _, d := range order {
		one := days[d]
		backlog += one.came
		backlog -= min(backlog, one.went)
		s.Days = append(s.Days, DeskDay{Start: sekisho.Time(d), Received: one.received, Answered: one.answered, Backlog: backlog})
	}
	slices.Reverse(s.Days)
	s.Days = s.Days[:min(len(s.Days), 60)]
	return s
}

// deskDay is the midnight before a moment, in the console's zone.
func (c *Console) deskDay(t sekisho.Time) int64 {
	y, m, d := t.Go().In(c.cfg.Zone).Date()
	return int64(sekisho.At(dateIn(y, m, d, c.cfg.Zone)))
}

func (c *Console) deskList(v *visit) (page, error) {
	if err := c.noDesk(); err != nil {
		return nil, err
	}
	return c.deskQueue(v.who, v.r.URL.Query().Get("show"), v.r.URL.Query().Get("asked")), nil
}

// deskFound is an enquiry by the number in the path.
func (c *Console) deskFound(v *visit) (q incident.Enquiry, err error) {
	if err := c.noDesk(); err != nil {
		return q, err
	}
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
	ok := false
	if err == nil {
		c.cfg.Views.Read(func() { q, ok = c.cfg.Enquiries.Get(n) })
	}
	if !ok {
		return q, fail(http.StatusNotFound, "desk_enquiry")
	}
	return q, nil
}

func (c *Console) deskEnquiry(v *visit) (page, error) {
	q, err := c.deskFound(v)
	if err != nil {
		return nil, err
	}
	return c.deskEnquiryPage(v, &q, v.r.URL.Query().Get("template"))
}

// deskEnquiryPage shows an enquiry: that somebody sees whose it is stands in
// the ledger before they do.
func (c *Console) deskEnquiryPage(v *visit, q *incident.Enquiry, template string) (*DeskEnquiryPage, error) {
	d := c.cfg.Desk
	p := &DeskEnquiryPage{DeskLine: c.deskLine(q), Said: d.Said(q), By: c.named("staff", q.Body.By), ByHand: q.ByHand, CodeMail: q.CodeMail, Compared: q.Matched != nil,
		Means_: tell.Means(), Results: tell.Results(), Reasons: tell.Reasons(), Templates: []tell.Template{}}
	space, subject := d.Config.Space, uint32(0)
	if q.Matched != nil && q.Matched.Subject != 0 {
		space, subject = q.Matched.Space, q.Matched.Subject
		p.Match, _ = c.cfg.Vault.Space(space).Key(subject)
	}
	if s, o, ok := q.Known(); ok && o != 0 {
		space, subject = s, o
		p.Known, _ = c.cfg.Vault.Space(s).Key(o)
	}
	var whose []uint32 // empty: the roster knows nobody, but what somebody wrote of themselves is seen all the same
	if subject != 0 {
		whose = append(whose, subject)
	}
	shape := c.ownShape(sekisho.Read, space, "an enquiry of this customer", sekisho.Contact)
	err := c.recordAccess(v.r.Context(), v.who.entry, v.who.statement(), shape, whose, 0)
	if err != nil {
		return nil, err
	}
	if p.Asker, err = d.Asker(q); err != nil {
		return nil, err
	}
	p.Asker.Salt = "" // it is no business of anybody's
	if q.Checked != nil {
		p.Means, p.Checked, p.CheckedBy, p.CheckedAt = q.Checked.Means, q.Checked.Result, c.named("staff", q.Checked.By), q.CheckedAt
	}
	if q.Answer != nil {
		p.Answer, p.AnswerAt, p.AnswerBy, p.Template, p.Entry = d.AnswerText(q), q.AnswerAt, c.named("staff", q.Answer.By), q.Answer.Template, q.AnswerSeq
		p.Blocks = tell.Blocks(p.Answer)
	}
	for _, t := range d.Answers.Templates {
		if slices.Contains(t.Asked, q.Body.Asked) && (!t.Machine || t.Name == "affected" && p.Known != "") {
			p.Templates = append(p.Templates, t)
		}
	}
	if t, ok := d.Answers.Find(template); ok {
		if p.Draft, err = d.Draft(q, template); err != nil {
			return nil, deskFailure(err)
		}
		p.Drafted, p.Outcome = template, t.Result
	}
	return p, nil
}

// deskFailure gives words to what the contact point refuses.
func deskFailure(err error) error {
	var asked tell.ErrAsked
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tell.ErrNoEnquiry):
		return fail(http.StatusNotFound, "desk_enquiry")
	case errors.Is(err, tell.ErrClosed):
		return fail(http.StatusConflict, "desk_closed")
	case errors.Is(err, tell.ErrIdentity):
		return fail(http.StatusConflict, "desk_identity")
	case errors.Is(err, tell.ErrSeveral):
		return fail(http.StatusConflict, "desk_several")
	case errors.Is(err, tell.ErrUnknown):
		return fail(http.StatusBadRequest, "desk_unknown")
	case errors.Is(err, tell.ErrMeans):
		return fail(http.StatusBadRequest, "desk_means")
	case errors.Is(err, tell.ErrResult):
		return fail(http.StatusBadRequest, "desk_result")
	case errors.Is(err, tell.ErrText):
		return fail(http.StatusBadRequest, "desk_text")
	case errors.Is(err, tell.ErrReason):
		return fail(http.StatusBadRequest, "desk_reason")
	case errors.Is(err, tell.ErrPromise):
		return fail(http.StatusBadRequest, "desk_promise")
	case errors.Is(err, tell.ErrNoIncident):
		return fail(http.StatusNotFound, "desk_incident")
	case errors.Is(err, tell.ErrNoAllowance):
		return fail(http.StatusNotFound, "desk_allowance")
	case errors.Is(err, tell.ErrDecided):
		return fail(http.StatusConflict, "desk_decided")
	case errors.As(err, &asked):
		return fail(http.StatusBadRequest, "desk_asked", string(asked))
	case errors.Is(err, tell.ErrWait):
		return fail(http.StatusConflict, "desk_wait")
	}
	return notRecorded(err)
}

// A DeskAct is what somebody does with an enquiry.
type DeskAct struct {
	Act      string `json:"act"`                // "assign", "identify", "reply", "close", "lay"
	To       string `json:"to,omitempty"`       // assign: an account; empty gives it back
	Key      string `json:"key,omitempty"`      // identify: the person's number
	Means    string `json:"means,omitempty"`    // identify
	Refused  bool   `json:"refused,omitempty"`  // identify: it could not be established
	Template string `json:"template,omitempty"` // reply: filled in if there is no text
	Text     string `json:"text,omitempty"`
	Result   string `json:"result,omitempty"`
	Until    string `json:"until,omitempty"` // reply, extended: a date
	Close    bool   `json:"close,omitempty"` // reply
	Reason   string `json:"reason,omitempty"`
	Incident uint64 `json:"incident,omitempty"` // lay
}

// deskAct does it.
func (c *Console) deskAct(v *visit, q *incident.Enquiry, a DeskAct) error {
	d, ctx, me := c.cfg.Desk, v.r.Context(), v.who.staff
	var err error
	switch a.Act {
	case "assign":
		to := uint32(0)
		if a.To = strings.TrimSpace(a.To); a.To != "" {
			if !c.users.exists(a.To) && a.To != v.who.name {
				return fail(http.StatusBadRequest, "desk_to")
			}
			to = c.cfg.Vault.Space("staff").OfText([]byte(a.To))
		}
		_, err = d.Assign(ctx, q.Number, to, me)
	case "identify":
		_, err = d.Identify(ctx, q.Number, a.Key, a.Means, !a.Refused, me)
	case "reply":
		r := tell.Reply{Template: a.Template, Text: a.Text, Result: a.Result, Close: a.Close, By: me}
		if t, ok := d.Answers.Find(a.Template); ok {
			if strings.TrimSpace(r.Text) == "" {
				if r.Text, err = d.Draft(q, a.Template); err != nil {
					return deskFailure(err)
				}
			}
			if r.Result == "" {
				r.Result = t.Result
			}
		}
		if a.Until != "" {
			at, ok := parseMoment(a.Until, v.zone)
			if !ok {
				return fail(http.StatusBadRequest, "desk_promise")
			}
			r.Until = at.Go().Add(24*time.Hour - time.Second) // that day counts
		}
		_, err = d.Reply(ctx, q.Number, r)
	case "close":
		_, err = d.Close(ctx, q.Number, a.Reason, me)
	case "lay":
		if known := c.cfg.Incidents; a.Incident != 0 {
			found := false
			c.cfg.Views.Read(func() { found = known.Get(a.Incident) != nil })
			if !found {
				return fail(http.StatusNotFound, "desk_incident")
			}
		}
		_, err = d.Lay(ctx, q.Number, a.Incident, me)
	default:
		return fail(http.StatusBadRequest, "desk_act")
	}
	return deskFailure(err)
}

func (c *Console) deskActForm(v *visit) (page, error) {
	q, err := c.deskFound(v)
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	number := func(s string) uint64 { n, _ := called(s); return n }
	a := DeskAct{Act: f.Get("act"), To: f.Get("to"), Key: f.Get("key"), Means: f.Get("means"), Refused: f.Get("refused") == "yes", Template: f.Get("template"), Text: f.Get("text"),
		Result: f.Get("result"), Until: f.Get("until"), Close: f.Get("close") == "yes", Reason: f.Get("reason"), Incident: number(f.Get("incident"))}
	if err := c.deskAct(v, &q, a); err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		if q, err = c.deskFound(v); err != nil {
			return nil, err
		}
		return c.deskEnquiryPage(v, &q, "")
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/desk/%d", q.Number), http.StatusSeeOther)
	return nil, errDone
}

// deskTake takes an enquiry in that came by telephone or letter. The receipt
// is shown this once, to be passed on.
func (c *Console) deskTake(v *visit) (page, error) {
	if err := c.noDesk(); err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	lang := f.Get("language")
	if !slices.Contains(languages, lang) {
		lang = v.Lang
	}
	n, receipt, err := c.cfg.Desk.Receive(v.r.Context(), tell.Asking{Asked: f.Get("asked"), Language: lang, Said: f.Get("said"), By: v.who.staff,
		Asker: tell.Asker{Number: f.Get("number"), Email: f.Get("email"), Name: f.Get("name")}})
	if err != nil {
		return nil, deskFailure(err)
	}
	p := c.deskQueue(v.who, "waiting", "")
	p.Taken = &deskTaken{Number: c.cfg.Desk.Nth(n), Receipt: receipt, Shown: tell.ShownReceipt(receipt), Asked: f.Get("asked")}
	return p, nil
}

// deskAllow asks for sekisho to answer about an incident, or decides on it:
// another person than who asked.
func (c *Console) deskAllow(v *visit) (page, error) {
	if err := c.noDesk(); err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	if f.Get("action") == "asked" {
		n, err := called(f.Get("incident"))
		if err != nil {
			return nil, fail(http.StatusNotFound, "desk_incident")
		}
		if _, err := c.cfg.Desk.Allow(v.r.Context(), n, f.Get("text_en"), f.Get("text_ja"), v.who.staff); err != nil {
			return nil, deskFailure(err)
		}
	} else {
		n, err := strconv.ParseUint(f.Get("request"), 10, 64)
		if err != nil {
			return nil, fail(http.StatusNotFound, "desk_allowance")
		}
		if err := c.deskDecide(v, n, f.Get("action"), f.Get("reason")); err != nil {
			return nil, err
		}
	}
	if wantsJSON(v.r) {
		return c.deskQueue(v.who, "waiting", ""), nil
	}
	http.Redirect(v.w, v.r, "/desk#allowed", http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) deskDecide(v *visit, request uint64, action, reason string) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	a, ok := c.cfg.Desk.Allowance(request)
	switch {
	case !ok:
		return fail(http.StatusNotFound, "desk_allowance")
	case !slices.Contains([]string{"approved", "rejected", "ended"}, action):
		return fail(http.StatusBadRequest, "desk_act")
	case !c.mayDecide(v.who):
		return fail(http.StatusForbidden, "desk_role")
	// To stop telling people something needs no second person.
	case action == "approved" && c.users.person(v.who.name) == c.users.person(c.named("staff", a.Asked.By)):
		return fail(http.StatusForbidden, "desk_own")
	case len(reason) > maxReason:
		return fail(http.StatusBadRequest, "desk_text")
	}
	return deskFailure(c.cfg.Desk.Decide(v.r.Context(), request, action, reason, v.who.staff))
}

// A DeskAllowAsk is for the command line: a request, or a decision on one.
type DeskAllowAsk struct {
	Action   string `json:"action"`
	Incident uint64 `json:"incident,omitempty"` // asked
	TextEn   string `json:"text_en,omitempty"`
	TextJa   string `json:"text_ja,omitempty"`
	Request  uint64 `json:"request,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// The control socket's.
func (c *Console) controlDesk(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	ready := func(do func(v *visit) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.noDesk(); err != nil {
				return nil, err
			}
			if err := c.caughtUp(v); err != nil {
				return nil, err
			}
			return do(v)
		}
	}
	handle("GET /api/desk", maxForm, ready(func(v *visit) (any, error) {
		return c.deskQueue(v.who, v.r.URL.Query().Get("show"), v.r.URL.Query().Get("asked")), nil
	}))
	handle("GET /api/desk/{number}", maxForm, ready(func(v *visit) (any, error) {
		q, err := c.deskFound(v)
		if err != nil {
			return nil, err
		}
		return c.deskEnquiryPage(v, &q, v.r.URL.Query().Get("template"))
	}))
	handle("POST /api/desk/{number}", 1<<20, ready(func(v *visit) (any, error) {
		a, err := told[DeskAct](v)
		if err != nil {
			return nil, err
		}
		q, err := c.deskFound(v)
		if err == nil {
			err = c.deskAct(v, &q, a)
		}
		if err == nil {
			q, err = c.deskFound(v)
		}
		if err != nil {
			return nil, err
		}
		return c.deskEnquiryPage(v, &q, "")
	}))
	handle("POST /api/desk", 1<<20, ready(func(v *visit) (any, error) {
		a, err := told[DeskAllowAsk](v)
		if err != nil {
			return nil, err
		}
		if a.Action == "asked" {
			_, err = c.cfg.Desk.Allow(v.r.Context(), a.Incident, a.TextEn, a.TextJa, v.who.staff)
			err = deskFailure(err)
		} else {
			err = c.deskDecide(v, a.Request, a.Action, a.Reason)
		}
		if err != nil {
			return nil, err
		}
		return c.deskQueue(v.who, "waiting", ""), nil
	}))
}
