package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/duty"
	"sekisho/incident"
)

// The management review: what ISO/IEC 27001:2022 clause 9.3.2 asks to be laid
// before those who direct the company, computed from the books each time it is
// asked for. What they decide stands where all meetings stand: minutes, who was
// there and two signatures at /checks, and each action as a finding with an owner
// and a day. The next review lists those.

// A ReviewPage is one review's inputs.
type ReviewPage struct {
	At       sekisho.Time    `json:"at"`
	From     sekisho.Time    `json:"from"`
	Until    sekisho.Time    `json:"until"`
	Through  uint64          `json:"through"` // the entry up to which the ledger is counted
	Sections []ReviewSection `json:"sections"`
	Meetings []ReviewMeeting `json:"meetings,omitempty"` // to which it can be attached
	CanWrite bool            `json:"-"`
	Day      [2]string       `json:"-"`
}

func (*ReviewPage) file() string { return "review" }

// A ReviewSection is one input of the clause.
type ReviewSection struct {
	Ref   string         `json:"ref"` // such as "9.3.2 d 1"
	Title string         `json:"title"`
	Lines []ReviewFigure `json:"lines"`
}

// A ReviewFigure is one figure with what it stands on.
type ReviewFigure struct {
	What    string   `json:"what"`
	Figure  string   `json:"figure"`
	Unknown bool     `json:"unknown,omitempty"` // nobody can say, or only in part
	Alarm   bool     `json:"alarm,omitempty"`
	Entries []uint64 `json:"entries,omitempty"` // some of them, newest first
	Link    string   `json:"link,omitempty"`    // where all of them are
}

// A ReviewMeeting is one that is not signed yet.
type ReviewMeeting struct {
	Number uint64       `json:"number"`
	Due    sekisho.Time `json:"due"`
	Of     string       `json:"of"`
}

// A ReviewAsk is for which time a review is, and to which meeting it is attached.
type ReviewAsk struct {
	From    string `json:"from,omitempty"`  // a day; empty: a year before
	Until   string `json:"until,omitempty"` // a day, or a moment; empty: now
	Meeting uint64 `json:"meeting,omitempty"`
}

const reviewEntries = 6

type reviewer struct {
	c           *Console
	v           *visit
	p           *ReviewPage
	from, until sekisho.Time
	now         int64
}

func (r *reviewer) section(ref, key string) {
	r.p.Sections = append(r.p.Sections, ReviewSection{Ref: ref, Title: r.v.say("review." + key), Lines: []ReviewFigure{}})
}

func (r *reviewer) line(l ReviewFigure) {
	s := &r.p.Sections[len(r.p.Sections)-1]
	if len(l.Entries) > reviewEntries {
		l.Entries = l.Entries[:reviewEntries]
	}
	s.Lines = append(s.Lines, l)
}

func (r *reviewer) in(t sekisho.Time) bool { return t >= r.from && t < r.until }

func (c *Console) reviewPage(v *visit, a ReviewAsk) (*ReviewPage, error) {
	if c.cfg.Duty == nil {
		return nil, c.duties404()
	}
	now := sekisho.At(c.cfg.Now())
	p := &ReviewPage{At: now, Sections: []ReviewSection{}}
	var err error
	if p.From, err = c.parseDay(a.From); err != nil {
		return nil, err
	}
	if p.Until, err = c.parseDay(a.Until); err != nil {
		return nil, err
	}
	if p.Until == 0 || p.Until > now {
		p.Until = now
	}
	if p.From == 0 {
		p.From = sekisho.At(p.Until.Go().AddDate(-1, 0, 0))
	}
	if p.From >= p.Until {
		return nil, fail(http.StatusBadRequest, "pack_span")
	}
	p.Day = [2]string{p.From.Go().In(c.cfg.Zone).Format("2006-01-02"), p.Until.Go().In(c.cfg.Zone).Format("2006-01-02")}
	p.CanWrite = !c.veiled
	r := &reviewer{c: c, v: v, p: p, from: p.From, until: p.Until, now: int64(p.Until)}
	if r.until == now {
		r.until++ // what happens at this moment is in
	}
	c.cfg.Views.Read(func() {
		p.Through = c.cfg.Duty.Through()
		r.earlier()
		r.changes()
		r.nonconformities()
		r.monitoring()
		r.incidents()
		r.audits()
		r.objectives()
		r.feedback()
		r.risks()
		r.improvements()
		for _, one := range c.cfg.Duty.Checks().All() {
			if one.Body.Noun == "meeting" && len(one.Signed) == 0 && one.Cancelled == 0 && p.CanWrite {
				m := ReviewMeeting{Number: one.Number, Due: one.Due}
				for _, u := range one.Body.Units {
					m.Of = strings.TrimPrefix(c.named(one.Body.Space, u), "council/")
				}
				p.Meetings = append(p.Meetings, m)
			}
		}
	})
	// Drills by mail are folded elsewhere, and read by themselves.
	r.mailDrills()
	return p, nil
}

// earlier: the status of actions from earlier reviews and meetings.
func (r *reviewer) earlier() {
	r.section("9.3.2 a", "earlier")
	checks := r.c.cfg.Duty.Checks()
	r.tallied("review.actions", func(f *duty.Finding) bool {
		if f.Body == nil {
			return false
		}
		one := checks.Check(f.Body.Check)
		return one != nil && one.Body.Noun == "meeting"
	}, true)
}

// tallied counts findings by state, and lists those that are owed.
func (r *reviewer) tallied(key string, which func(*duty.Finding) bool, list bool) {
	checks := r.c.cfg.Duty.Checks()
	states := map[string]int{}
	var all []uint64
	var owed []*duty.Finding
	for _, f := range checks.Found() {
		if f.At >= r.until || !which(f) {
			continue
		}
		s := f.State(r.until)
		if (s == "closed" || s == "dropped") && f.At < r.from && !(f.Verified >= r.from) {
			continue // settled before the time that is reviewed
		}
		states[s]++
		all = append(all, f.Number)
		if s != "closed" && s != "dropped" && s != "accepted" {
			owed = append(owed, f)
		}
	}
	slices.Reverse(all)
	open := states["open"] + states["done"] + states["overdue"] + states["expired"]
	r.line(ReviewFigure{What: r.v.say(key), Figure: r.v.say("review.findings", number(len(all)), number(states["closed"]), number(open), number(states["overdue"]+states["expired"])), Alarm: states["overdue"]+states["expired"] > 0, Entries: all, Link: "/checks"})
	if !list {
		return
	}
	for n, f := range owed {
		if n == 30 {
			r.line(ReviewFigure{What: r.v.say("review.more", number(len(owed)-n)), Link: "/checks"})
			break
		}
		due := r.v.say("review.nodue")
		if f.Due != 0 {
			due = r.v.day(f.Due)
		}
		r.line(ReviewFigure{What: "· " + r.c.said(f.Title), Figure: r.v.say("review.owed", cmp.Or(r.c.named("staff", f.Owner), "–"), due), Alarm: f.State(r.until) == "overdue", Entries: []uint64{f.Number}, Link: fmt.Sprintf("/findings/%d", f.Number)})
	}
}

// changes in issues and interested parties, as far as books have them.
func (r *reviewer) changes() {
	r.section("9.3.2 b, c", "changes")
	b := r.c.cfg.Duty
	before, after := len(b.Units("company", int64(r.from))), len(b.Units("company", r.now))
	r.line(ReviewFigure{What: r.v.say("review.companies"), Figure: fmt.Sprintf("%s → %s", number(before), number(after)), Unknown: after == 0, Link: "/directory"})
	if d := r.c.cfg.Directory; d != nil {
		count := func(at sekisho.Time) (n int) {
			for range d.PeopleAt(at) {
				n++
			}
			return n
		}
		then, since := count(r.from), count(r.until)
		r.line(ReviewFigure{What: r.v.say("review.people"), Figure: fmt.Sprintf("%s → %s", number(then), number(since)), Unknown: since == 0, Link: "/directory"})
	}
	for _, i := range b.Register().Instruments {
		if e, ok := b.Edition(i.ID); ok && r.in(sekisho.Time(e.At)) {
			r.line(ReviewFigure{What: r.v.say("review.edition", r.v.inst(i.Title)), Figure: r.v.cite(e.Body.Edition), Entries: []uint64{e.Seq}, Link: "/duties?instrument=" + i.ID})
		}
	}
	r.held("legal", "review.laws")
}

// held counts the checks of a noun in the time, with their results.
func (r *reviewer) held(noun, key string) {
	checks := r.c.cfg.Duty.Checks()
	done, waiting, findings, open := 0, 0, 0, 0
	var entries []uint64
	for _, one := range checks.All() {
		if one.Body.Noun != noun || one.Cancelled != 0 {
			continue
		}
		switch {
		case one.Held != 0 && r.in(one.Held):
			done++
			entries = append(entries, one.Number)
			for _, n := range one.Findings {
				findings++
				if s := checks.Finding(n).State(r.until); s != "closed" && s != "dropped" {
					open++
				}
			}
		case one.Held == 0 && one.Due < r.until:
			waiting++
		}
	}
	slices.Reverse(entries)
	r.line(ReviewFigure{What: r.v.say(key), Figure: r.v.say("review.held", number(done), number(waiting), number(findings), number(open)), Alarm: waiting > 0, Unknown: done == 0, Entries: entries, Link: "/checks?noun=" + noun})
}

func (r *reviewer) nonconformities() {
	r.section("9.3.2 d 1", "nonconformities")
	r.tallied("review.nonconformities.all", func(f *duty.Finding) bool { return f.Body != nil }, false)
	r.tallied("review.lessons", func(f *duty.Finding) bool { return f.Body == nil }, true)
}

// monitoring: every duty of the policy with its figure, and how it moved since the
// window before.
func (r *reviewer) monitoring() {
	r.section("9.3.2 d 2", "monitoring")
	b := r.c.cfg.Duty
	for _, i := range b.Register().Instruments {
		for _, d := range i.Duties {
			r.line(r.duty(d))
		}
	}
}

// duty is one duty's figure, its trend, and some of the entries behind it.
func (r *reviewer) duty(d *duty.Duty) ReviewFigure {
	b := r.c.cfg.Duty
	line := ReviewFigure{What: d.Name() + " " + r.v.inst(d.Title), Link: "/duties/" + d.Name()}
	l, ok := b.Line(d, duty.Scope{}, r.now)
	if !ok || l.Tally.Den == 0 {
		line.Figure = r.v.say("dutyreg.nocase") // nothing is due: that is neither good nor unknown
		return line
	}
	f := figureOf(l.Tally)
	line.Figure = fmt.Sprintf("%s %s (%s/%s)", l.Head.Window.Name, f.Percent(), number(f.Num), number(f.Den))
	if f.Dark > 0 {
		line.Figure += " · " + r.v.say("review.unknown", number(f.Dark))
		line.Unknown = true
	}
	list := b.Judge(d, r.now)
	if at := slices.Index(list, l.Head); at > 0 {
		if low, _, some := list[at-1].Total.Bounds(); some {
			line.Figure += " · " + r.v.say("review.before", list[at-1].Window.Name, permille(low))
		}
	}
	line.Alarm = f.Missed+f.Late > 0
	obligations, _ := b.Obligations(l.Head, duty.Scope{}, nil, 0, 4)
	for _, o := range obligations {
		for _, proof := range b.Behind(d, o.Member.Unit, l.Head.Window) {
			if len(line.Entries) < reviewEntries && !slices.Contains(line.Entries, proof.Seq) {
				line.Entries = append(line.Entries, proof.Seq)
			}
		}
	}
	return line
}

// incidents with their four numbers, each as it was last revised, and exercises.
func (r *reviewer) incidents() {
	r.section("9.3.2 d 2", "incidents")
	n := 0
	if book := r.c.cfg.Incidents; book != nil {
		for _, i := range book.List() {
			if i.Number == 0 || i.Opened >= r.until {
				continue
			}
			end, closed := i.Closed()
			if closed && end.At < r.from {
				continue
			}
			n++
			l := ReviewFigure{What: r.v.say("review.incident", ordinal(i.Number), r.v.day(i.Opened)), Link: fmt.Sprintf("/incidents/%d", i.Number), Entries: []uint64{i.Number}, Alarm: !closed}
			if rev := lastBefore(i.Revisions, r.until); rev != nil {
				sent := number(rev.Body.SentAtMost)
				if !rev.Body.SentKnown {
					sent, l.Unknown = r.v.beside(sent, r.v.say("review.notknown")), true
				}
				l.Figure = r.v.say("review.numbers", number(rev.Body.WorstCase), number(rev.Body.Suspected), sent, number(rev.Body.Confirmed))
				l.Entries = append(l.Entries, rev.Seq)
			} else {
				l.Figure, l.Unknown = r.v.say("review.notknown"), true
			}
			if closed {
				l.Figure += " · " + r.v.say("review.closed", r.v.day(end.At))
			} else {
				l.Figure += " · " + r.v.say("review.open")
			}
			r.line(l)
		}
	}
	if n == 0 {
		r.line(ReviewFigure{What: r.v.say("review.noincident"), Link: "/incidents"})
	}
	var drills []uint64
	for _, one := range r.c.cfg.Duty.Credits("drill_run", duty.Group) {
		if r.in(sekisho.Time(one.From)) {
			drills = append(drills, one.Seq)
		}
	}
	slices.Reverse(drills)
	r.line(ReviewFigure{What: r.v.say("review.drills"), Figure: number(len(drills)), Entries: drills, Unknown: len(drills) == 0, Link: "/drills"})
}

func lastBefore(list []incident.Revision, until sekisho.Time) (last *incident.Revision) {
	for n := range list {
		if list[n].At < until {
			last = &list[n]
		}
	}
	return last
}

// mailDrills are the report rates of drills by mail. It is called outside the
// views' lock.
func (r *reviewer) mailDrills() {
	if r.c.cfg.Lures == nil {
		return
	}
	page, err := r.c.phishingPage()
	if err != nil {
		return
	}
	at := slices.IndexFunc(r.p.Sections, func(s ReviewSection) bool { return s.Title == r.v.say("review.incidents") })
	some := false
	for _, one := range page.Campaigns {
		if !r.in(one.From) || one.Whole.Mailed == 0 {
			continue
		}
		some = true
		rate := permille(int64(one.Whole.Reported) * 1000 / int64(one.Whole.Mailed))
		r.p.Sections[at].Lines = append(r.p.Sections[at].Lines, ReviewFigure{What: r.v.say("review.campaign", ordinal(one.Number), r.v.day(one.From)),
			Figure:  r.v.say("review.reported", rate, number(one.Whole.Reported), number(one.Whole.Mailed), number(one.Whole.Unclear)),
			Unknown: one.Whole.Unclear > 0, Entries: []uint64{one.Number}, Link: fmt.Sprintf("/phishing/%d", one.Number)})
	}
	if !some {
		r.p.Sections[at].Lines = append(r.p.Sections[at].Lines, ReviewFigure{What: r.v.say("review.nocampaign"), Unknown: true, Link: "/phishing"})
	}
}

func (r *reviewer) audits() {
	r.section("9.3.2 d 3", "audits")
	for _, noun := range []string{"audit", "inspection", "selfcheck", "pentest", "cloud", "supplier"} {
		if _, ok := duty.NounOf(noun); ok {
			r.held(noun, "noun."+noun)
		}
	}
}

// objectives: each clause as good as its worst duty, and what this pace misses.
func (r *reviewer) objectives() {
	r.section("9.3.2 d 4", "objectives")
	b := r.c.cfg.Duty
	for _, i := range b.Register().Instruments {
		var stands duty.Stands
		for _, st := range b.Clauses(i, duty.Scope{}, r.now) {
			stands.Add(st)
		}
		if len(i.Clauses) > 0 {
			r.line(ReviewFigure{What: r.v.inst(i.Title), Figure: r.v.say("review.stands", number(stands.Full), number(stands.Part), number(stands.Unknown), number(stands.None)), Unknown: stands.Unknown > 0, Alarm: stands.Part > 0, Link: "/duties?instrument=" + i.ID})
		}
	}
	for _, d := range b.Register().Duties() {
		if l, ok := b.Line(d, duty.Scope{}, r.now); ok {
			if f, ok := b.Forecast(l.Now, r.now); ok && f.Missed > 0 {
				r.line(ReviewFigure{What: d.Name() + " " + r.v.inst(d.Title), Figure: r.v.say("dutyreg.forecast", number(f.Missed), number(f.AtLeast), r.c.monthOf(f.At)), Alarm: true, Link: "/duties/" + d.Name()})
			}
		}
	}
}

// feedback from those who ask or complain.
func (r *reviewer) feedback() {
	r.section("9.3.2 e", "feedback")
	if r.c.cfg.Enquiries == nil {
		r.line(ReviewFigure{What: r.v.say("review.nodesk"), Unknown: true})
		return
	}
	asked, open := 0, 0
	kinds := map[string]int{}
	var entries []uint64
	r.c.cfg.Enquiries.Each(func(q *incident.Enquiry) bool {
		if q.Closed == 0 || q.Closed >= r.until {
			open++
		}
		if n := q.Number; n != 0 && r.in(q.At) {
			asked++
			kinds[q.Body.Asked]++
			entries = append(entries, n)
		}
		return true
	})
	slices.Reverse(entries)
	r.line(ReviewFigure{What: r.v.say("review.enquiries"), Figure: r.v.say("review.asked", number(asked), number(kinds["complaint"]), number(open)), Entries: entries, Link: "/desk"})
}

// risks: assessments, treatment as the statement of applicability has it, and
// exceptions, which are risks that somebody accepted.
func (r *reviewer) risks() {
	r.section("9.3.2 f", "risks")
	b := r.c.cfg.Duty
	some := false
	for _, d := range b.Register().Duties() {
		if slices.ContainsFunc(d.Evidence, func(s duty.Spec) bool { return s.Kind == "risk_assessment" }) {
			r.line(r.duty(d))
			some = true
		}
	}
	if !some {
		r.line(ReviewFigure{What: r.v.say("review.norisk"), Unknown: true})
	}
	for _, i := range b.Register().Instruments {
		counts, controls := map[string]int{}, 0
		for _, c := range i.Clauses {
			if !c.Control {
				continue
			}
			controls++
			switch k, ok := b.Claimed(i.ID, c.Ref); {
			case !ok:
				counts["unknown"]++
			case !k.Body.Applicable:
				counts["na"]++
			default:
				counts[k.Body.Claim]++
			}
		}
		if controls > 0 {
			r.line(ReviewFigure{What: r.v.say("review.treatment", r.v.inst(i.Title)), Figure: r.v.say("review.claims", number(counts["implemented"]), number(counts["partly"]), number(counts["planned"]), number(counts["na"]), number(counts["unknown"])),
				Unknown: counts["unknown"] > 0, Link: "/duties?instrument=" + i.ID})
		}
	}
	force, soon := 0, 0
	var entries []uint64
	var ending []ReviewFigure
	for _, o := range b.Exceptions() {
		x := o.Body
		if o.Action != "approved" || o.Ended != 0 || x.From >= r.until || x.Until <= r.until {
			continue
		}
		force++
		entries = append(entries, o.Seq)
		if x.Until < sekisho.At(r.until.Go().AddDate(0, 0, 60)) {
			soon++
			ending = append(ending, ReviewFigure{What: "· " + x.Duty + " " + r.c.said(x.Said), Figure: r.v.say("review.owed", r.c.named("staff", x.Owner), r.v.day(x.Until)), Entries: []uint64{o.Seq}, Link: "/duties/" + x.Duty})
		}
	}
	r.line(ReviewFigure{What: r.v.say("review.exceptions"), Figure: r.v.say("review.inforce", number(force), number(soon)), Entries: entries, Link: "/duties"})
	for _, l := range ending {
		r.line(l)
	}
}

// improvements: what stands open, and what nobody knows.
func (r *reviewer) improvements() {
	r.section("9.3.2 g", "improvements")
	r.tallied("review.observations", func(f *duty.Finding) bool {
		return f.Body != nil && (f.Body.Grade == "observation" || f.Body.Grade == "minor")
	}, false)
	var dark []string
	for _, d := range r.c.cfg.Duty.Register().Duties() {
		if l, ok := r.c.cfg.Duty.Line(d, duty.Scope{}, r.now); ok && l.Tally.Dark > 0 {
			dark = append(dark, d.ID)
		}
	}
	r.line(ReviewFigure{What: r.v.say("review.dark"), Figure: r.v.say("review.darkones", number(len(dark)), strings.Join(dark, " ")), Unknown: len(dark) > 0, Link: "/duties"})
}

func (c *Console) review(v *visit) (page, error) {
	q := v.r.URL.Query()
	return c.reviewPage(v, ReviewAsk{From: q.Get("from"), Until: q.Get("until")})
}

// Text is the review as plain text, as it is attached to a meeting.
func (c *Console) reviewText(v *visit, p *ReviewPage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", v.say("title.review"), v.say("review.span", v.day(p.From), v.day(p.Until)), v.say("dutyreg.through", number(p.Through)))
	for _, s := range p.Sections {
		fmt.Fprintf(&b, "\n%s  %s\n", s.Ref, s.Title)
		for _, l := range s.Lines {
			fmt.Fprintf(&b, "  %s: %s", l.What, l.Figure)
			if l.Unknown {
				fmt.Fprintf(&b, " [%s]", v.say("review.isunknown"))
			}
			for _, e := range l.Entries {
				fmt.Fprintf(&b, " #%d", e)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// attachReview puts the review, in both languages, among the papers of a meeting:
// what those who met had before them.
func (c *Console) attachReview(v *visit, a ReviewAsk) (uint64, error) {
	if c.cfg.Duty == nil {
		return 0, c.duties404()
	}
	var one *duty.Check
	c.cfg.Views.Read(func() { one = c.cfg.Duty.Checks().Check(a.Meeting) })
	if one == nil || one.Body.Noun != "meeting" {
		return 0, fail(http.StatusNotFound, "review_meeting")
	}
	text := ""
	for _, lang := range languages {
		in := *v
		in.tongue = c.presses[lang].tongue
		p, err := c.reviewPage(&in, a)
		if err != nil {
			return 0, err
		}
		text += c.reviewText(&in, p) + "\n"
	}
	return c.actOnCheck(v, a.Meeting, "paper", CheckAct{Paper: &PaperAsk{What: "report", Title: v.say("title.review"), Text: []byte(text)}})
}

func (c *Console) reviewForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := ReviewAsk{From: f.Get("from"), Until: f.Get("until")}
	fmt.Sscan(f.Get("meeting"), &a.Meeting)
	if _, err := c.attachReview(v, a); err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/checks/%d", a.Meeting), http.StatusSeeOther)
	return nil, errDone
}

// A ReviewDone is a review that was attached.
type ReviewDone struct {
	Entry uint64 `json:"entry"`
}

func (c *Console) controlReview(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/review", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		q := v.r.URL.Query()
		if press := c.presses[q.Get("lang")]; press != nil {
			v.tongue = press.tongue
		}
		return c.reviewPage(v, ReviewAsk{From: q.Get("from"), Until: q.Get("until")})
	})
	handle("POST /api/review", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		a, err := told[ReviewAsk](v)
		if err != nil {
			return nil, err
		}
		entry, err := c.attachReview(v, a)
		return ReviewDone{entry}, err
	})
}
