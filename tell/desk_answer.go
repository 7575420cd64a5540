package tell

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/sheet"
	"sekisho/trace"
)

// What sekisho answers itself, from the entries that name the person.

// An exposure is who is in an incident's lists, as of one state of its numbers.
type exposure struct {
	incident  uint64
	revision  uint64
	computed  time.Time
	through   uint64
	question  trace.Question
	worst     []uint32
	suspected []uint32
	confirmed []uint32
	open      bool // there are accesses that may have reached anybody
}

// exposed is what an exposure is of.
type exposed struct {
	incident uint64
	space    string
}

// exposures keeps them: a surge asks about the same incident all the time.
type exposures struct {
	mu   sync.Mutex
	by   map[exposed]*exposure
	seen string // what the answers given so far rest on
}

func (e *exposures) state() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

func (e *exposures) saw(state string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = state
}

// exposureLasts is how long the lists of an incident are used after its numbers
// last moved, and others were read meanwhile.
const exposureLasts = time.Minute

// exposureOf gives the lists of an incident; nil if there is no such incident,
// or nothing to answer from.
func (d *Desk) exposureOf(number uint64, space string) (*exposure, error) {
	d.lists.mu.Lock()
	defer d.lists.mu.Unlock()
	var one *incident.Incident
	var now sekisho.Time
	d.Views.Read(func() { one, now = d.Incidents.Get(number), d.Trace.LastTime() })
	if one == nil {
		return nil, nil
	}
	revision := uint64(0)
	if n := len(one.Revisions); n > 0 {
		revision = one.Revisions[n-1].Seq
	}
	known := d.lists.by[exposed{number, space}]
	if known != nil && known.revision == revision && d.Now().Sub(known.computed) < exposureLasts {
		return known, nil
	}
	q := one.Question(space, now)
	q.Lists = true
	var a *trace.Answer
	var err error
	d.Views.Read(func() { a, err = d.Trace.Impact(q, nil) })
	if err != nil {
		return nil, fmt.Errorf("computing whom incident %d concerns: %w", number, err)
	}
	e := &exposure{incident: number, revision: revision, computed: d.Now(), through: a.Through, question: a.Question,
		worst: a.Lists.WorstCase, suspected: a.Lists.Suspected, confirmed: a.Lists.Confirmed, open: a.WorstCase > uint64(len(a.Lists.WorstCase))}
	if d.lists.by == nil {
		d.lists.by = map[exposed]*exposure{}
	}
	d.lists.by[exposed{number, space}] = e
	return e, nil
}

// class is what the lists say of one person.
func (e *exposure) class(subject uint32) string {
	in := func(list []uint32) bool { _, ok := slices.BinarySearch(list, subject); return ok }
	switch {
	case in(e.confirmed):
		return "confirmed"
	case in(e.suspected):
		return "suspected"
	case in(e.worst):
		return "worst"
	case e.open:
		return "open"
	}
	return "none"
}

// affectedFacts are what the template affected may use.
type affectedFacts struct {
	Incidents []affectedIncident
	Harmed    bool // one of them concerns the person
}

type affectedIncident struct {
	Number uint64
	Text   string // the company's words about it
	Class  string // "confirmed", "suspected", "worst", "open", "none"
	Days   []affectedDay
}

type affectedDay struct{ Day, Categories string }

// ErrWait: no incident's answers have been allowed, so that this is for a person
// to answer.
var ErrWait = errors.New("this is for staff to answer")

// Affected is what somebody is told about the incidents that two people have
// allowed to be told about.
func (d *Desk) Affected(space string, subject uint32, lang string) (text string, through uint64, err error) {
	var allowed []incident.Allowance
	d.Views.Read(func() { allowed = d.Enquiries.Allowed() })
	facts := affectedFacts{}
	for _, a := range allowed {
		e, err := d.exposureOf(a.Incident, space)
		if err != nil {
			return "", 0, err
		}
		if e == nil || e.question.Space != space {
			continue
		}
		words := a.Asked.TextEn
		if lang == "ja" {
			words = a.Asked.TextJa
		}
		one := affectedIncident{Number: a.Incident, Text: strings.TrimSpace(d.text("document", words)), Class: e.class(subject)}
		if one.Class != "none" && one.Class != "open" {
			one.Days = d.affectedDays(e, space, subject, lang)
		}
		facts.Harmed = facts.Harmed || one.Class != "none"
		facts.Incidents = append(facts.Incidents, one)
		through = max(through, e.through)
	}
	if len(facts.Incidents) == 0 {
		return "", 0, ErrWait
	}
	text, err = d.Answers.fill("answers.affected", lang, facts)
	return text, through, err
}

// affectedDays are the days on which somebody's data was read at the terminals
// of an incident, from the entries that name them.
func (d *Desk) affectedDays(e *exposure, space string, subject uint32, lang string) (list []affectedDay) {
	var found []trace.Access
	d.Views.Read(func() { found = d.Trace.WhoRead(space, subject, 0) })
	by := map[string]sekisho.Categories{}
	for i := range found {
		a := &found[i]
		unknown := strings.HasPrefix(a.Endpoint, "unverified@") || a.Lost
		_, asked := slices.BinarySearch(e.question.Endpoints, a.Endpoint)
		_, through := slices.BinarySearch(e.question.Endpoints, a.Through)
		if a.At < e.question.Since || a.At >= e.question.Until || !asked && !through && !unknown {
			continue
		}
		by[a.At.Go().In(d.Zone).Format("2006-01-02")] |= a.Categories
	}
	for _, day := range slices.Sorted(maps.Keys(by)) {
		at, _ := time.ParseInLocation("2006-01-02", day, d.Zone) // as it was written above
		list = append(list, affectedDay{d.day(sekisho.At(at), lang), d.categories(by[day], lang)})
	}
	return list
}

func (d *Desk) categories(c sekisho.Categories, lang string) string {
	var names []string
	for _, n := range c.Names() {
		names = append(names, d.Answers.word(nil, "category", n, lang))
	}
	if lang == "ja" {
		return strings.Join(names, "、")
	}
	return strings.Join(names, ", ")
}

// accessFacts are what the template accesses may use.
type accessFacts struct {
	Rows       []accessRow
	Times      int
	Since      string // when the records begin
	Older      int
	AnyRow     int
	AnyRowDays int
}

type accessRow struct {
	When, Purpose, Categories, Who, Verb string
	Times                                int
}

const mostAccessRows = 300

// Looked is what somebody is told about who has used their data: when, what
// for, which kinds of data, by which department, how often. That they look
// stands in the ledger before they read it.
func (d *Desk) Looked(ctx context.Context, space string, subject uint32, lang string) (text string, through uint64, err error) {
	var found []trace.Access
	var began sekisho.Time
	var anyRow []trace.Access
	d.Views.Read(func() {
		found, through, began = d.Trace.WhoRead(space, subject, 0), d.Trace.Through(), d.Trace.Began()
		anyRow = d.any.of(d.Trace, space, d.Now())
	})
	// After the list is taken, so that this look is never in its own answer, and
	// before anybody is shown it.
	if err := d.recordLook(ctx, space, subject); err != nil {
		return "", 0, err
	}
	facts := accessFacts{AnyRow: len(anyRow)}
	if began != 0 {
		facts.Since = d.day(began, lang)
	}
	days := map[string]bool{}
	for i := range anyRow {
		days[d.day(anyRow[i].At, lang)] = true
	}
	facts.AnyRowDays = len(days)

	type group struct {
		accessRow
		first, last sekisho.Time
		categories  sekisho.Categories
	}
	by, statements := map[string]*group{}, map[[2]uint64]bool{}
	var order []*group
	for i := range found { // the newest first
		a := &found[i]
		one := [2]uint64{a.Session, a.Number}
		if statements[one] { // another chunk of it
			continue
		}
		statements[one] = true
		row := accessRow{Purpose: d.purpose(a, lang), Who: d.who(a, lang), Verb: d.Answers.word(nil, "verb", a.Verb.String(), lang)}
		if a.Class == sekisho.Contributed {
			row.Verb += d.Answers.word(nil, "class", "contributed", lang)
		}
		key := strings.Join([]string{d.day(a.At, lang), row.Purpose, row.Who, row.Verb}, "\x00")
		g := by[key]
		if g == nil {
			g = &group{accessRow: row, last: a.At}
			by[key] = g
			order = append(order, g)
		}
		g.first, g.categories = a.At, g.categories|a.Categories
		g.Times++
		facts.Times++
	}
	if n := len(order) - mostAccessRows; n > 0 {
		facts.Older, order = n, order[:mostAccessRows]
	}
	for _, g := range order {
		g.When = d.day(g.last, lang) + " " + g.first.Go().In(d.Zone).Format("15:04")
		if last := g.last.Go().In(d.Zone).Format("15:04"); !strings.HasSuffix(g.When, last) {
			g.When += "–" + last
		}
		g.Categories = d.categories(g.categories, lang)
		facts.Rows = append(facts.Rows, g.accessRow)
	}
	text, err = d.Answers.fill("answers.accesses", lang, facts)
	return text, through, err
}

func (d *Desk) day(at sekisho.Time, lang string) string {
	if lang == "ja" {
		return at.Go().In(d.Zone).Format("2006年1月2日")
	}
	return at.Go().In(d.Zone).Format("2 January 2006")
}

func (d *Desk) purpose(a *trace.Access, lang string) string {
	name := d.text("purpose", a.Purpose)
	if name == "" {
		name = "none"
	}
	return oneLine(d.Answers.word(d.Config.Words, "purpose", name, lang))
}

// who is the department, or the program; the person only if the config says so.
func (d *Desk) who(a *trace.Access, lang string) string {
	role := a.Role
	if role == "" {
		role = "unknown"
	}
	group := "role"
	if role == "unknown" {
		group = "part"
	}
	text := d.Answers.word(d.Config.Words, group, role, lang)
	if d.Config.StaffNames && a.Principal != 0 {
		text += sheet.Added(d.text("staff", a.Principal), lang)
	}
	return oneLine(text)
}

// oneLine keeps what others have named from making a line or cell of its own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

// anyRows keeps the accesses that name nobody, for as long as exposures are
// kept: they are the same for everybody.
type anyRows struct {
	mu    sync.Mutex
	space string
	at    time.Time
	list  []trace.Access
}

func (r *anyRows) of(t *trace.Trace, space string, now time.Time) []trace.Access {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.space != space || now.Sub(r.at) >= exposureLasts {
		r.space, r.at, r.list = space, now, t.AnyRow(space)
	}
	return r.list
}

// recordLook makes durable that a person was told who has looked at their data.
func (d *Desk) recordLook(ctx context.Context, space string, subject uint32) error {
	session, number, err := d.sitting(ctx)
	if err != nil {
		return err
	}
	shape, err := d.shape(ctx, space)
	if err != nil {
		return err
	}
	if _, err := d.Append(ctx, &sekisho.Access{Session: session, Shape: shape, Number: number, Class: sekisho.Exact, Rows: 1, Subjects: []uint32{subject}}); err != nil {
		return fmt.Errorf("recording that somebody looks at their own record: %w", err)
	}
	return nil
}

// sitting is the session of the contact point, one for each life of the
// process, and the number of the next statement in it.
func (d *Desk) sitting(ctx context.Context) (session, number uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == 0 {
		id, err := d.Append(ctx, &sekisho.SessionOpened{Door: sekisho.DoorDesk, Role: "customer", Endpoint: "sekisho", Verified: true, Address: netip.MustParseAddr("127.0.0.1")})
		if err != nil {
			return 0, 0, fmt.Errorf("opening the session of the contact point: %w", err)
		}
		d.session = id.Seq
	}
	d.number++
	return d.session, d.number, nil
}

func (d *Desk) shape(ctx context.Context, space string) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if seq := d.shapes[space]; seq != 0 {
		return seq, nil
	}
	id, err := d.Append(ctx, &sekisho.Shape{Verb: sekisho.Read, Space: space, Tables: []string{"sekisho.ledger"}, Columns: []string{"sekisho.ledger.customer"},
		Categories: sekisho.Identity, Statement: d.Vault.Space("statement").OfText([]byte("sekisho: who has looked at my data"))})
	if err != nil {
		return 0, fmt.Errorf("recording what the contact point shows: %w", err)
	}
	d.shapes[space] = id.Seq
	return id.Seq, nil
}

// answer answers one enquiry, if it is one for sekisho, and open.
func (d *Desk) answer(ctx context.Context, number uint64) error {
	d.mu.Lock()
	other := d.answering[number]
	if other == nil {
		d.answering[number] = make(chan struct{})
	}
	d.mu.Unlock()
	if other != nil { // somebody is at it
		select {
		case <-other:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() {
		d.mu.Lock()
		close(d.answering[number])
		delete(d.answering, number)
		d.mu.Unlock()
	}()
	var q incident.Enquiry
	var ok bool
	d.Views.Read(func() { q, ok = d.Enquiries.Get(number) })
	if !ok || q.Standing() != incident.StandAnswer || !slices.Contains(d.Config.Machine, q.Body.Asked) {
		return nil
	}
	body, err := d.machine(ctx, &q)
	if err != nil || body == nil {
		return err
	}
	_, err = d.record(ctx, number, body)
	return err
}

// machine makes the answer of sekisho to an enquiry; nil if it is for staff.
func (d *Desk) machine(ctx context.Context, q *incident.Enquiry) (*sekisho.EnquiryAnswered, error) {
	space, subject, known := q.Known()
	if !known || subject == 0 {
		return nil, nil
	}
	var text string
	var through uint64
	var err error
	switch q.Body.Asked {
	case "affected":
		text, through, err = d.Affected(space, subject, q.Body.Language)
	case "accesses":
		text, through, err = d.Looked(ctx, space, subject, q.Body.Language)
	default:
		return nil, nil
	}
	if err == ErrWait {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t, _ := d.Answers.Find(q.Body.Asked)
	body := &sekisho.EnquiryAnswered{Enquiry: q.Number, Template: q.Body.Asked + " " + d.Answers.Edition, Document: d.Vault.Space("document").OfText([]byte(text)),
		SHA256: hashOf(text), Result: t.Result, Through: through}
	if body.Document == 0 {
		return nil, fmt.Errorf("answering enquiry %d: the vault takes no more", q.Number)
	}
	return body, nil
}

// answerAll answers those that were left: after a crash between the check of
// an identity and its answer, or when an incident's answers have been allowed.
// Then those who were told something that is no longer so are told anew.
func (d *Desk) answerAll(ctx context.Context) error {
	var open []incident.Enquiry
	var told []incident.Enquiry
	d.Views.Read(func() { open = d.Enquiries.Unanswered() })
	for i := range open {
		if err := d.answer(ctx, open[i].Number); err != nil {
			return err
		}
	}
	state := d.affectedState()
	if state == d.lists.state() {
		return nil
	}
	d.Views.Read(func() { told = d.Enquiries.Told() })
	for i := range told {
		q := &told[i]
		if q.Body.Asked != "affected" || d.over(q) {
			continue
		}
		body, err := d.machine(ctx, q)
		if err != nil {
			return err
		}
		if body == nil || body.Document == q.Answer.Document {
			continue
		}
		fresh, err := d.record(ctx, q.Number, body)
		if err != nil {
			return err
		}
		if err := d.tellAnswered(ctx, &fresh); err != nil {
			return err
		}
	}
	d.lists.saw(state)
	return nil
}

// affectedState says on what the answers about incidents rest: which are
// allowed, and how their numbers stand.
func (d *Desk) affectedState() string {
	var parts []string
	d.Views.Read(func() {
		for _, a := range d.Enquiries.Allowed() {
			part := strconv.FormatUint(a.Request, 10)
			if one := d.Incidents.Get(a.Incident); one != nil && len(one.Revisions) > 0 {
				part += ":" + strconv.FormatUint(one.Revisions[len(one.Revisions)-1].Seq, 10)
			}
			parts = append(parts, part)
		}
	})
	sort.Strings(parts)
	return strings.Join(parts, " ")
}
