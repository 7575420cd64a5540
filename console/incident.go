package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/sheet"
	"sekisho/trace"
)

// An IncidentsPage lists every incident, the newest first.
type IncidentsPage struct {
	Incidents []IncidentLine `json:"incidents"`
	Endpoints []string       `json:"-"`
	Ask       question       `json:"-"`
}

func (*IncidentsPage) file() string { return "incidents" }

type IncidentLine struct {
	ID        uint64       `json:"id"`
	Opened    sekisho.Time `json:"opened"`
	By        string       `json:"by,omitempty"`
	Detector  string       `json:"detector,omitempty"`
	Endpoints []string     `json:"endpoints"`
	Numbers   *revision    `json:"numbers,omitempty"` // of the last revision
	Revisions int          `json:"revisions"`
	Phase     string       `json:"phase"`
	PhaseName string       `json:"-"`
	Severity  RoomSeverity `json:"severity"`
	Closed    bool         `json:"closed"`
	Waits     string       `json:"waits,omitempty"` // for how long something in it has not been acknowledged
	Commander string       `json:"commander,omitempty"`
}

// A revision is one state of the four numbers.
type revision struct {
	Entry      uint64       `json:"entry"`
	Time       sekisho.Time `json:"time"`
	By         string       `json:"by,omitempty"`
	Reason     string       `json:"reason"`
	WorstCase  uint64       `json:"worst_case"`
	Suspected  uint64       `json:"suspected"`
	SentAtMost uint64       `json:"sent_at_most"`
	Confirmed  uint64       `json:"confirmed"`
	SentKnown  bool         `json:"sent_known"`
	Through    uint64       `json:"through"`
	Endpoints  int          `json:"endpoints"`
	// Subjects are its parts, where the company has several subjects.
	Subjects []subjectLine `json:"subjects,omitempty"`
	Prev     *revision     `json:"-"`
}

// A subjectLine is one subject's part of the numbers.
type subjectLine struct {
	Space      string `json:"space"`
	Name       string `json:"name"`
	WorstCase  uint64 `json:"worst_case"`
	Suspected  uint64 `json:"suspected"`
	SentAtMost uint64 `json:"sent_at_most"`
	Confirmed  uint64 `json:"confirmed"`
	SentKnown  bool   `json:"sent_known"`
	Incident   uint64 `json:"-"` // whose lists can be downloaded; 0: none
}

// subjectLines are the parts of a total.
func (c *Console) subjectLines(v *visit, a *trace.Answer) (lines []subjectLine) {
	for _, p := range a.Subjects {
		lines = append(lines, subjectLine{Space: p.Space, Name: v.called(p.Space), WorstCase: p.WorstCase, Suspected: p.Suspected, SentAtMost: p.SentAtMost, Confirmed: p.Confirmed, SentKnown: p.SentKnown})
	}
	return lines
}

func (c *Console) revision(f *incident.Revision) *revision {
	b := f.Body
	return &revision{Entry: f.Seq, Time: f.At, By: c.named("staff", b.By), Reason: b.Reason, WorstCase: b.WorstCase, Suspected: b.Suspected,
		SentAtMost: b.SentAtMost, Confirmed: b.Confirmed, SentKnown: b.SentKnown, Through: b.Through, Endpoints: len(b.Endpoints)}
}

func (c *Console) incidents(v *visit) (page, error) {
	p := &IncidentsPage{}
	var cases []*incident.Incident
	c.cfg.Views.Read(func() { cases = c.cfg.Incidents.List() })
	for n, one := range cases {
		line := IncidentLine{ID: one.Number, Opened: one.Opened, By: c.named("staff", one.By), Endpoints: one.Endpoints, Revisions: len(one.Revisions)}
		if one.By == 0 && len(one.Alerts) > 0 {
			line.Detector = one.Alerts[0].Body.Detector
		}
		const asks = 30 // the newest are asked for anew
		var a *trace.Answer
		if n < asks && len(one.Endpoints) > 0 {
			a, _ = c.ask(v.r.Context(), c.questionOf(one))
		}
		if n := len(one.Revisions); n > 0 {
			line.Numbers = c.revision(&one.Revisions[n-1])
		} else if a != nil {
			// Nothing is recorded yet: what would be.
			line.Numbers = &revision{WorstCase: a.WorstCase, Suspected: a.Suspected, SentAtMost: a.SentAtMost, Confirmed: a.Confirmed,
				SentKnown: a.SentKnown, Through: a.Through, Endpoints: len(one.Endpoints)}
		}
		if a == nil && line.Numbers != nil {
			r := line.Numbers
			a = &trace.Answer{WorstCase: r.WorstCase, Suspected: r.Suspected, SentAtMost: r.SentAtMost, Confirmed: r.Confirmed, SentKnown: r.SentKnown}
		}
		line.Severity = c.severityOf(v, one, a)
		line.Phase = string(one.Phase().Phase)
		line.PhaseName = v.say("phase." + line.Phase)
		_, line.Closed = one.Closed()
		line.Commander = c.named("staff", one.Holder("incident_commander"))
		for _, w := range one.Waits() {
			if w.Stage == "acknowledge" {
				line.Waits = v.span(sekisho.At(c.cfg.Now()) - w.Since)
				break
			}
		}
		p.Incidents = append(p.Incidents, line)
	}
	var last sekisho.Time
	c.cfg.Views.Read(func() {
		p.Endpoints, last = c.cfg.Trace.Terminals(), c.cfg.Trace.LastTime()
	})
	p.Ask = shownQuestion(trace.Question{Since: v.midnight(last - 30*24*3600e6), Until: v.midnight(last) + 24*3600e6, Compression: 10}, v.zone)
	return p, nil
}

// openIncident begins an incident by hand: the question is answered first, so
// that a mistyped endpoint opens nothing.
func (c *Console) openIncident(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	asked := formQuestion(v.r.PostForm)
	q, err := asked.parse(v.zone)
	if err != nil {
		return nil, err
	}
	q.Space = "" // an incident is about the people of every subject
	a, err := c.ask(v.r.Context(), q)
	if err != nil {
		return nil, err
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), &sekisho.IncidentOpened{By: v.who.staff, Endpoints: a.Question.Endpoints})
	if err != nil {
		return nil, notRecorded(err)
	}
	if err := c.cfg.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
		return nil, fmt.Errorf("showing a new incident: %w", err)
	}
	return c.record(v, id.Seq, a)
}

// record appends a state of the numbers, if it says anything new, and shows
// the incident once the pages know it.
func (c *Console) record(v *visit, number uint64, a *trace.Answer) (page, error) {
	one := c.caseByNumber(number)
	if one == nil {
		return nil, fail(http.StatusNotFound, "incident")
	}
	if moved := one.Revise(a, v.who.staff); moved != nil {
		id, err := c.cfg.Ledger.Append(v.r.Context(), moved...)
		if err != nil {
			return nil, notRecorded(err)
		}
		if err := c.cfg.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
			return nil, fmt.Errorf("showing a revision: %w", err)
		}
	}
	if wantsJSON(v.r) {
		return c.showIncident(v, number)
	}
	http.Redirect(v.w, v.r, "/incidents/"+strconv.FormatUint(number, 10), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) caseByNumber(number uint64) (one *incident.Incident) {
	c.cfg.Views.Read(func() { one = c.cfg.Incidents.Get(number) })
	return one
}

// questionOf is what an incident asks at present, about the people of every subject.
func (c *Console) questionOf(one *incident.Incident) trace.Question {
	var now sekisho.Time
	var known []string
	c.cfg.Views.Read(func() { now, known = c.cfg.Trace.LastTime(), c.cfg.Trace.Endpoints() })
	q, _ := incident.Asked(one.Question("", now), known)
	return q
}

// incidentPage is one incident: the four numbers and everything behind them.
type incidentPage struct {
	ID       uint64        `json:"id"`
	Opened   sekisho.Time  `json:"opened"`
	By       string        `json:"by,omitempty"`
	Detector string        `json:"detector,omitempty"`
	Answer   *trace.Answer `json:"answer"`
	Numbers  []fourth      `json:"-"`
	Subjects []subjectLine `json:"-"`
	Asked    question      `json:"question"`
	Since    sekisho.Time  `json:"-"`
	Until    sekisho.Time  `json:"-"`
	Moved    bool          `json:"moved"` // the ledger has grown, and the numbers with it, since the last revision
	NotOut   []string      `json:"not_out,omitempty"`
	Notes    []string      `json:"-"` // what was not observed, in the visitor's language

	Timeline  []event        `json:"timeline"`
	Revisions []*revision    `json:"revisions"` // the newest first
	Endpoints []endpointLine `json:"endpoints"`
	Breakdown []breakdown    `json:"-"`
	Span      *span          `json:"-"`
	Files     []fileLine     `json:"files"`
	Contain   any            `json:"contain,omitempty"`
	CanMatch  bool           `json:"-"`
}

func (*incidentPage) file() string { return "incident" }

// One of the four numbers, as the picture shows it.
type fourth struct {
	Key      string // of words, and the class of its bar
	Value    uint64
	Worst    uint64
	Formula  string
	Known    bool
	Evidence trace.Evidence
	List     string // the list's name; "" where a count has none
}

// An event is one line of the timeline.
type event struct {
	Time    sekisho.Time `json:"time"`
	Entry   uint64       `json:"entry"`
	Kind    string       `json:"kind"` // a key of words: event.KIND
	Text    string       `json:"text"`
	Serious bool         `json:"serious,omitempty"`
	Day     bool         `json:"day,omitempty"` // Time is the start of the day, no more is said
}

type endpointLine struct {
	Name     string       `json:"name"`
	Accesses uint64       `json:"accesses"`
	Most     uint64       `json:"most_customers_in_a_day"`
	Days     int          `json:"days"`
	First    sekisho.Time `json:"first"`
	Last     sekisho.Time `json:"last"`
	AnyRow   uint64       `json:"any_row"`
	People   []string     `json:"people"`
}

type fileLine struct {
	Entry   uint64       `json:"entry"`
	Time    sekisho.Time `json:"time"`
	By      string       `json:"by"`
	Rows    uint64       `json:"rows"`
	Damaged uint64       `json:"damaged"`
	Found   int          `json:"found"`
	Whose   string       `json:"-"`
}

// A breakdown shows how customers share one dimension.
type breakdown struct {
	Dimension string
	Title     string
	Date      bool
	Category  bool
	Rows      []breakdownRow
	Top       uint64
	More      int // values that are not shown
}

type breakdownRow struct {
	Value                       string
	Worst, Suspected, Confirmed uint64
}

func (c *Console) incident(v *visit) (page, error) {
	number, err := v.pathNumber("id", "incident")
	if err != nil {
		return nil, err
	}
	return c.showIncident(v, number)
}

func (c *Console) showIncident(v *visit, number uint64) (page, error) {
	one := c.caseByNumber(number)
	if one == nil {
		return nil, fail(http.StatusNotFound, "incident")
	}
	a, err := c.ask(v.r.Context(), c.questionOf(one))
	if err != nil {
		// No number can be given; what people do about it can be shown.
		if !wantsJSON(v.r) && v.r.Method == http.MethodGet {
			http.Redirect(v.w, v.r, fmt.Sprintf("/incidents/%d/room", number), http.StatusSeeOther)
			return nil, errDone
		}
		return nil, err
	}
	q := a.Question
	p := &incidentPage{ID: number, Opened: one.Opened, By: c.named("staff", one.By), Answer: a, Asked: shownQuestion(q, v.zone),
		Since: q.Since, Until: q.Until, CanMatch: c.cfg.MatchFile != nil}
	if one.By == 0 && len(one.Alerts) > 0 {
		p.Detector = one.Alerts[0].Body.Detector
	}
	four := func(key string, n trace.Number, known bool, list string) {
		p.Numbers = append(p.Numbers, fourth{key, n.Value, a.WorstCase, v.formula(n.Formula), known, n.Evidence, list})
	}
	for _, l := range c.subjectLines(v, a) {
		l.Incident = number
		p.Subjects = append(p.Subjects, l)
	}
	list := func(name string) string { // of several subjects each has its own
		if len(a.Subjects) > 0 {
			return ""
		}
		return name
	}
	four("worst_case", a.Numbers.WorstCase, true, list("worst-case"))
	four("suspected", a.Numbers.Suspected, true, list("suspected"))
	four("sent_at_most", a.Numbers.SentAtMost, a.SentKnown, "")
	four("confirmed", a.Numbers.Confirmed, true, list("confirmed"))
	for _, n := range a.NotObserved {
		p.Notes = append(p.Notes, v.note(n))
	}
	for i := range one.Revisions {
		r := c.revision(&one.Revisions[i])
		if i > 0 {
			r.Prev = p.Revisions[i-1]
		}
		p.Revisions = append(p.Revisions, r)
	}
	p.Moved = one.Revise(a, 0) != nil
	for _, f := range c.cfg.Live.filesOf(number) {
		p.Files = append(p.Files, fileLine{f.seq, f.at, c.named("staff", f.body.By), f.body.Rows, f.body.Damaged, len(f.body.Subjects), v.called(f.body.Space)})
	}
	c.incidentEndpoints(v, p, q)
	p.Timeline = c.timeline(v, one, p, q)
	slices.Reverse(p.Revisions)
	p.NotOut, p.Breakdown = notOut(a), c.breakdowns(v, a)
	p.Contain, _ = c.roomContain(v, one)
	return p, nil
}

// incidentEndpoints sums up what each endpoint read in the window.
func (c *Console) incidentEndpoints(v *visit, p *incidentPage, q trace.Question) {
	const most = 200
	var all []dayLine
	for i, name := range q.Endpoints {
		if i == most {
			break
		}
		line := endpointLine{Name: name}
		// One endpoint at a time: the views wait for whoever reads them.
		var days []dayLine
		for _, part := range p.Answer.Parts() {
			c.cfg.Views.Read(func() {
				days = addDays(days, c.dayLines(c.cfg.Trace.ByEndpoint(part.Space, name, v.offset(c))))
			})
		}
		for _, d := range days {
			if d.Start+oneDay <= q.Since || d.Start >= q.Until {
				continue
			}
			all = append(all, d)
			line.Days++
			line.Accesses += d.Accesses
			line.AnyRow += d.AnyRow
			line.Most = max(line.Most, d.Customers)
			line.First = d.Start
			if line.Last == 0 {
				line.Last = d.Start
			}
			for _, who := range d.People {
				if !slices.Contains(line.People, who) {
					line.People = append(line.People, who)
				}
			}
		}
		p.Endpoints = append(p.Endpoints, line)
	}
	slices.SortStableFunc(p.Endpoints, func(a, b endpointLine) int { return cmp.Compare(b.Accesses, a.Accesses) })
	if len(all) > 0 {
		last := slices.MaxFunc(all, func(a, b dayLine) int { return cmp.Compare(a.Start, b.Start) }).Start
		p.Span = spread(v.midnight(max(q.Since, last-3650*oneDay)), last, oneDay, "n.perday", func(add func(sekisho.Time, uint64)) {
			for _, d := range all {
				add(d.Start, d.Customers)
			}
		})
	}
}

// addDays adds up what an endpoint read of several subjects, the latest day first.
func addDays(days, more []dayLine) []dayLine {
	for _, d := range more {
		at := slices.IndexFunc(days, func(o dayLine) bool { return o.Start == d.Start })
		if at < 0 {
			days = append(days, d)
			continue
		}
		o := &days[at]
		o.Customers, o.Accesses, o.AnyRow = o.Customers+d.Customers, o.Accesses+d.Accesses, o.AnyRow+d.AnyRow
		for _, who := range d.People {
			if !slices.Contains(o.People, who) {
				o.People = append(slices.Clip(o.People), who)
			}
		}
	}
	slices.SortStableFunc(days, func(a, b dayLine) int { return cmp.Compare(b.Start, a.Start) })
	return days
}

// timeline is the facts in the order of their time.
func (c *Console) timeline(v *visit, one *incident.Incident, p *incidentPage, q trace.Question) (out []event) {
	add := func(at sekisho.Time, entry uint64, kind string, serious bool, args ...any) {
		if at != 0 {
			out = append(out, event{Time: at, Entry: entry, Kind: kind, Text: v.say("event."+kind, args...), Serious: serious,
				Day: kind == "first_access" || kind == "last_access"})
		}
	}
	var first, last sekisho.Time
	for _, line := range p.Endpoints {
		if line.First != 0 && (first == 0 || line.First < first) {
			first = line.First
		}
		last = max(last, line.Last)
	}
	add(first, entryOf(p.Answer.Numbers.WorstCase.Evidence.First), "first_access", false)
	add(last, entryOf(p.Answer.Numbers.WorstCase.Evidence.Last), "last_access", false)
	for _, a := range one.Alerts {
		switch b := a.Body; b.Detector {
		case "egress":
			add(b.From, a.Seq, "alert_egress", true, b.Endpoint, b.Target.String(), v.bytes(b.Observed))
		case "sweep":
			add(b.From, a.Seq, "alert_sweep", true, b.Endpoint, cmp.Or(c.named("staff", b.Principal), "–"), number(b.Observed), number(b.Limit))
		case "budget":
			add(b.Until, a.Seq, "alert_budget", true, b.Endpoint, cmp.Or(c.named("staff", b.Principal), "–"), number(b.Observed), number(b.Limit))
		case "outside":
			kind := "alert_outside"
			if b.Observed == 0 {
				kind = "alert_outside_session"
			}
			if len(a.Tables) > 0 {
				add(b.From, a.Seq, "alert_outside_of", true, v.count("event.rows", b.Observed), sheet.Few(a.Tables), cmp.Or(c.named("staff", b.Principal), "–"), v.when(b.From))
				break
			}
			add(b.From, a.Seq, kind, true, cmp.Or(c.named("staff", b.Principal), "–"), b.Endpoint, number(b.Observed))
		case "decoy":
			if n, ok := c.exportUsedBy(b.Basis); ok {
				add(b.From, a.Seq, "alert_decoy_file", true, ordinal(n), cmp.Or(c.named("staff", b.Principal), "–"), b.Endpoint)
				break
			}
			add(b.From, a.Seq, "alert_decoy", true, b.Endpoint, cmp.Or(c.named("staff", b.Principal), "–"), number(b.Observed))
		case "decoy_mail":
			if n, ok := c.exportUsedBy(b.Basis); ok {
				add(b.From, a.Seq, "alert_decoy_export", true, ordinal(n), cmp.Or(c.named("staff", b.Principal), "–"), b.Endpoint)
				break
			}
			add(b.From, a.Seq, "alert_decoy_mail", true)
		default:
			c.reportedLine(v, a, add)
		}
	}
	for _, f := range c.cfg.Live.hostileFlows(q.Endpoints, q.Hostile) {
		add(f.from, f.first, "egress", true, cmp.Or(f.endpoint, "?"), f.target.String(), v.bytes(f.bytes), number(f.connections))
	}
	if p.Detector != "" {
		add(one.Opened, one.Number, "opened_alert", false)
	} else {
		add(one.Opened, one.Number, "opened", false, cmp.Or(p.By, "sekisho"))
	}
	for _, r := range p.Revisions {
		add(r.Time, r.Entry, "revised", false, v.code("reason", r.Reason), cmp.Or(r.By, "sekisho"),
			number(r.WorstCase), number(r.Suspected), number(r.SentAtMost), number(r.Confirmed))
	}
	for _, f := range p.Files {
		add(f.Time, f.Entry, "file", true, cmp.Or(f.By, "–"), number(f.Rows), number(f.Found), number(f.Damaged))
	}
	slices.SortStableFunc(out, func(a, b event) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Entry, b.Entry)) })
	return out
}

// entryOf is the sequence number in "gate.epoch.sequence".
func entryOf(id string) uint64 {
	_, seq, _ := strings.Cut(id, ".")
	_, seq, _ = strings.Cut(seq, ".")
	n, _ := strconv.ParseUint(seq, 10, 64)
	return n
}

// notOut lists the gravest categories that are in no access of the worst case.
// It says nothing where the ledger cannot show it: with an any-row access, or
// with a column that nobody has classified.
func notOut(a *trace.Answer) (out []string) {
	seen := map[string]bool{}
	for _, part := range a.Numbers.WorstCase.Breakdown {
		if part.Kind == "category" {
			seen[part.Value] = true
		}
	}
	if a.Nameless() || len(seen) == 0 || seen[sekisho.Unclassified.String()] {
		return nil
	}
	for _, c := range []sekisho.Categories{sekisho.Credential, sekisho.Payment, sekisho.TravelDoc, sekisho.SpecialCare} {
		if !seen[c.String()] {
			out = append(out, c.String())
		}
	}
	return out
}

// breakdowns lays the parts of the numbers side by side.
func (c *Console) breakdowns(v *visit, a *trace.Answer) (out []breakdown) {
	const most = 12
	at := func(part trace.Part) *breakdownRow {
		i := slices.IndexFunc(out, func(b breakdown) bool { return b.Dimension == part.Dimension })
		if i < 0 {
			i = len(out)
			out = append(out, breakdown{Dimension: part.Dimension, Title: c.dimension(v, part.Dimension), Date: part.Kind == "date", Category: part.Kind == "category"})
		}
		b := &out[i]
		j := slices.IndexFunc(b.Rows, func(r breakdownRow) bool { return r.Value == part.Value })
		if j < 0 {
			j = len(b.Rows)
			b.Rows = append(b.Rows, breakdownRow{Value: part.Value})
		}
		return &b.Rows[j]
	}
	for _, part := range a.Numbers.WorstCase.Breakdown {
		at(part).Worst = part.Count
	}
	for _, part := range a.Numbers.Suspected.Breakdown {
		at(part).Suspected = part.Count
	}
	for _, part := range a.Numbers.Confirmed.Breakdown {
		at(part).Confirmed = part.Count
	}
	for i := range out {
		b := &out[i]
		slices.SortStableFunc(b.Rows, func(x, y breakdownRow) int { return cmp.Compare(y.Worst, x.Worst) })
		if len(b.Rows) > most {
			b.More = len(b.Rows) - most
			b.Rows = b.Rows[:most]
		}
		for _, r := range b.Rows {
			b.Top = max(b.Top, r.Worst, r.Suspected, r.Confirmed)
		}
	}
	return out
}

// dimension is what a breakdown is by.
func (c *Console) dimension(v *visit, name string) string {
	if v.has("dimension." + name) {
		return v.say("dimension." + name)
	}
	return v.called(name)
}

// formula tells how a number came about in the visitor's language; one that
// this program has no words for, in English.
func (t *tongue) formula(f trace.Formula) string {
	if !t.has("formula." + f.Code) {
		return f.Text
	}
	text := strings.ReplaceAll(t.say("formula."+f.Code), "{each}", f.Each(func(subject string, n float64) string {
		return t.say("formula.each", t.called(subject), figure(n))
	}))
	for _, term := range f.Terms {
		text = strings.ReplaceAll(text, "{"+term.Name+"}", figure(term.Value))
	}
	return text
}

func figure(v float64) string {
	if v >= 0 && v < 1e15 && v != float64(uint64(v)) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return number(uint64(v))
}

// note tells what was not observed.
func (t *tongue) note(n trace.Note) string {
	if !t.has("note." + n.Code) {
		return n.Text
	}
	moment := func(s string) string {
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.when(sekisho.At(at))
		}
		return s
	}
	if n.Code == "no_roster_of" {
		n.Name = t.called(n.Name)
	}
	return strings.NewReplacer("{name}", n.Name, "{count}", number(n.Count), "{bytes}", t.bytes(n.Bytes), "{reach}", number(n.Reach), "{share}", trace.Share(n.Count, n.Reach),
		"{from}", moment(n.From), "{to}", moment(n.To), "{seconds}", t.duration(n.Seconds)).Replace(t.say("note." + n.Code))
}

// restate asks an incident's question anew, and records the answer.
func (c *Console) restate(v *visit) (page, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	q := c.questionOf(one)
	if !v.r.PostForm.Has("again") {
		asked := formQuestion(v.r.PostForm)
		asked.Incident = one.Number
		was := q.Hostile
		if q, err = asked.parse(v.zone); err != nil {
			return nil, err
		}
		q.Space = ""
		if !c.mayDecide(v.who) && c.followed(one) && !sameSet(was, q.Hostile) {
			return nil, fail(http.StatusForbidden, "question_followed")
		}
	}
	a, err := c.ask(v.r.Context(), q)
	if err != nil {
		return nil, err
	}
	return c.record(v, one.Number, a)
}

// followed: orders in force block what the incident holds to be hostile, so that
// to name it is to cut it off.
func (c *Console) followed(one *incident.Incident) (ok bool) {
	c.cfg.Views.Read(func() {
		ok = slices.ContainsFunc(c.cfg.Incidents.InForce(), func(o *incident.Order) bool { return o.Proposed.Follow && o.Proposed.Incident == one.Number })
	})
	return ok
}

func sameSet(a, b []netip.Prefix) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	for _, list := range []*[]netip.Prefix{&a, &b} {
		slices.SortFunc(*list, netip.Prefix.Compare)
		*list = slices.Compact(*list)
	}
	return slices.Equal(a, b)
}

func (c *Console) caseOf(v *visit) (*incident.Incident, error) {
	number, err := strconv.ParseUint(v.r.PathValue("id"), 10, 64)
	if err == nil {
		if one := c.caseByNumber(number); one != nil {
			return one, nil
		}
	}
	return nil, fail(http.StatusNotFound, "incident")
}
