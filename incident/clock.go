package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/law"
	"sekisho/trace"
)

// Legal is what the ledger holds about the clocks of the law in an incident.
// Every list is in the order of its entries, and nothing is taken off it.
type Legal struct {
	Notices []Notice    `json:"notices"`
	Judged  []Judged    `json:"judged"`
	Moves   []Moving    `json:"moves"`
	Reports []Reported  `json:"reports"`
	Facts   []LegalFact `json:"facts"`
}

// Notice is a line of the register.
type Notice struct {
	at
	Body *sekisho.NoticeReceived `json:"notice"`
}

// Judged is a person's word on what was noticed.
type Judged struct {
	at
	Body *sekisho.AwareJudged `json:"judgement"`
}

// Moving is a request for another start, with its answer.
type Moving struct {
	at
	Body   *sekisho.ClockMoved `json:"move"`
	Answer *MoveAnswer         `json:"answer,omitempty"`
}

// MoveAnswer is the answer to it.
type MoveAnswer struct {
	at
	Body *sekisho.ClockMoved `json:"answer"`
}

// Pending: it waits for a second person.
func (m Moving) Pending() bool { return m.Answer == nil }

// Reported is a report that went out.
type Reported struct {
	at
	Body     *sekisho.DutyReported `json:"report"`
	Mistaken uint64                `json:"mistaken,omitempty"` // the entry that says so
}

// LegalFact is an answer to a question of the rules.
type LegalFact struct {
	at
	Body *sekisho.LegalFactStated `json:"fact"`
}

// notice adds a line of the register to its incident: the one it names, or that
// which its machine belongs to, or a new one.
func (b *Book) notice(e *sekisho.Entry, body *sekisho.NoticeReceived) []sekisho.Body {
	if i := b.find(body.Incident); i != nil {
		i.noticed(e, body)
		return nil
	} else if body.Incident != 0 {
		return nil // nobody knows that incident: what names it wrongly starts nothing
	}
	about := &sekisho.Alert{Endpoint: body.Endpoint, From: body.Received, Until: body.Received}
	for _, i := range b.list {
		if _, closed := i.Closed(); !closed && body.Endpoint != "" && about.From-i.Latest <= joinWithin && i.Earliest-about.Until <= joinWithin && i.linked(about) {
			i.noticed(e, body)
			return nil
		}
	}
	i := &Incident{opener: e.ID.Seq, Opened: e.Time, Earliest: body.Received, Latest: body.Received}
	b.list = append(b.list, i)
	i.noticed(e, body)
	opened := &sekisho.IncidentOpened{Alert: e.ID.Seq}
	if body.Endpoint != "" {
		opened.Endpoints = []string{body.Endpoint}
	}
	return []sekisho.Body{opened}
}

func (i *Incident) noticed(e *sekisho.Entry, body *sekisho.NoticeReceived) {
	i.Earliest, i.Latest = min(i.Earliest, body.Received), max(i.Latest, body.Received)
	if body.Endpoint != "" {
		i.Endpoints = with(i.Endpoints, body.Endpoint, cmp.Compare)
	}
	i.Legal.Notices = append(i.Legal.Notices, Notice{at{e.ID.Seq, e.Time}, body})
	// Somebody must look at it, as at whatever else is raised: so that the ladder
	// of who must answer climbs for it, too.
	source := body.Source
	if source == "police" || source == "expert" {
		source = "authority"
	}
	i.Room.Raised = append(i.Room.Raised, Question{at: at{e.ID.Seq, e.Time}, Body: &sekisho.Raised{
		Incident: body.Incident, What: "notice", Source: source, Endpoint: body.Endpoint, Known: body.Received, Said: body.Said, By: body.By}})
	i.tell(Fact{Seq: e.ID.Seq, At: body.Received, Code: "notice", Endpoint: body.Endpoint, Principal: body.By, Reason: body.Source})
}

// clock folds what people do about the clocks.
func (b *Book) clock(e *sekisho.Entry) {
	here := at{e.ID.Seq, e.Time}
	switch x := e.Body.(type) {
	case *sekisho.AwareJudged:
		if i := b.find(x.Incident); i != nil {
			i.Legal.Judged = append(i.Legal.Judged, Judged{here, x})
			for n := range i.Room.Raised {
				if q := &i.Room.Raised[n]; q.Answer == nil && q.Body.What == "notice" && (x.About == q.Seq || x.About == 0) {
					q.Answer = &Answer{here, &sekisho.Answered{Incident: x.Incident, About: q.Seq, Action: "answered", Said: x.Said, By: x.By}}
				}
			}
		}
	case *sekisho.ClockMoved:
		i := b.find(x.Incident)
		if i == nil {
			return
		}
		if x.Action == "asked" {
			i.Legal.Moves = append(i.Legal.Moves, Moving{at: here, Body: x})
			return
		}
		for n := range i.Legal.Moves {
			if m := &i.Legal.Moves[n]; m.Seq == x.Request && m.Answer == nil && (x.Action != "approved" || x.By != m.Body.By) {
				m.Answer = &MoveAnswer{here, x}
			}
		}
	case *sekisho.DutyReported:
		i := b.find(x.Incident)
		if i == nil {
			return
		}
		if x.Action != "mistaken" {
			i.Legal.Reports = append(i.Legal.Reports, Reported{at: here, Body: x})
			return
		}
		for n := range i.Legal.Reports {
			if r := &i.Legal.Reports[n]; r.Seq == x.Request && r.Mistaken == 0 {
				r.Mistaken = here.Seq
			}
		}
	case *sekisho.LegalFactStated:
		if i := b.find(x.Incident); i != nil {
			i.Legal.Facts = append(i.Legal.Facts, LegalFact{here, x})
		}
	}
}

func (l Legal) clone() Legal {
	l.Notices, l.Judged, l.Moves = slices.Clone(l.Notices), slices.Clone(l.Judged), slices.Clone(l.Moves)
	l.Reports, l.Facts = slices.Clone(l.Reports), slices.Clone(l.Facts)
	return l
}

// Aware is one event by which a department came to know, or may have.
type Aware struct {
	Seq        uint64       `json:"entry"`
	At         sekisho.Time `json:"at"` // when a department knew
	Basis      string       `json:"basis"`
	Detector   string       `json:"detector,omitempty"`   // of an alert
	Source     string       `json:"source,omitempty"`     // of a notice, or of a fact
	Department uint32       `json:"department,omitempty"` // ordinal in "said"
	Endpoint   string       `json:"endpoint,omitempty"`
	Said       uint32       `json:"said,omitempty"`
	By         uint32       `json:"by,omitempty"` // who registered or stated it; 0: a detector
	// Counts: it starts a provisional clock by itself. What does not waits for a
	// person's confirmation.
	Counts bool      `json:"counts"`
	State  law.State `json:"state"`
	// Doubted is who has rejected it where one person's word is not enough: it is
	// what the clocks start from, or another person has confirmed it. 0: nobody.
	Doubted   uint32       `json:"doubted,omitempty"`
	CertainAt sekisho.Time `json:"certain_at,omitempty"` // when it was first confirmed
	Judged    []Judged     `json:"judged,omitempty"`
}

func (a *Aware) live() bool {
	return a.State == law.Confirmed || a.State == law.Provisional && a.Counts
}

// Grounded is what a notice counts as, by who gave it (guideline 3-5-3-1, note
// 4 (e): public bodies, security providers, experts).
func Grounded(source string) string {
	switch source {
	case "provider", "authority", "police", "expert":
		return law.Told
	}
	return law.OtherBasis
}

// Aware lists what was noticed, the earliest first, with what people said of
// it. It is asked again each time, since the rules say what a detector's alert
// counts as.
func (i *Incident) Aware(rules *law.Book) []Aware {
	var list []Aware
	for _, a := range i.Alerts {
		d, known := rules.Detector(a.Body.Detector)
		if !known {
			d.Basis = law.OtherBasis
		}
		list = append(list, Aware{Seq: a.Seq, At: a.At, Basis: d.Basis, Detector: a.Body.Detector, Endpoint: a.Body.Endpoint, Counts: d.Opens})
	}
	registered := map[uint64]bool{}
	for _, n := range i.Legal.Notices {
		registered[n.Seq] = true
		list = append(list, Aware{Seq: n.Seq, At: n.Body.Received, Basis: n.Body.Ground, Source: n.Body.Source, Department: n.Body.Department,
			Endpoint: n.Body.Endpoint, Said: n.Body.Said, By: n.Body.By, Counts: true})
	}
	for _, q := range i.Room.Raised {
		if q.Body.What == "notice" && !registered[q.Seq] {
			list = append(list, Aware{Seq: q.Seq, At: q.Body.Known, Basis: Grounded(q.Body.Source), Source: q.Body.Source, Endpoint: q.Body.Endpoint,
				Said: q.Body.Said, By: q.Body.By, Counts: true})
		}
	}
	for _, f := range i.Room.Facts {
		if f.Body.Code == "aware_personal_data" && f.Stands() {
			one := Aware{Seq: f.Seq, At: f.Body.Known, Basis: law.OtherBasis, Source: f.Body.Source, Said: f.Body.Said, By: f.Body.By, Counts: true}
			if f.Body.Certainty == "confirmed" {
				one.State, one.CertainAt = law.Confirmed, max(f.At, f.Body.Known)
			}
			list = append(list, one)
		}
	}
	if i.opener == 0 && i.By != 0 {
		list = append(list, Aware{Seq: i.Number, At: i.Opened, Basis: law.OtherBasis, Source: "person", By: i.By, Counts: true})
	}
	slices.SortStableFunc(list, func(a, b Aware) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Seq, b.Seq)) })
	for n := range list {
		if list[n].State == "" {
			list[n].State = law.Provisional
		}
	}
	for _, j := range i.Legal.Judged {
		judge(list, j)
	}
	return list
}

// judge applies one person's word. A rejection needs a second person where it
// would take back what somebody confirmed, or would let the clocks start later
// than they do: two people move a start, never one.
func judge(list []Aware, j Judged) {
	past := func(a *Aware) bool { return a.Seq < j.Seq }
	all := j.Body.About == 0
	first := -1
	for n := range list {
		if a := &list[n]; past(a) && a.live() {
			first = n
			break
		}
	}
	for n := range list {
		a := &list[n]
		if !past(a) || !all && a.Seq != j.Body.About {
			continue
		}
		a.Judged = append(a.Judged, j)
		if j.Body.Action == "confirmed" {
			if a.State, a.Doubted = law.Confirmed, 0; a.CertainAt == 0 {
				a.CertainAt = max(j.At, a.At)
			}
			continue
		}
		others := func() bool {
			return slices.ContainsFunc(list, func(b Aware) bool { return b.Seq != a.Seq && past(&b) && b.live() })
		}
		two := a.State == law.Confirmed || !all && n == first && others()
		switch {
		case !two || a.Doubted != 0 && a.Doubted != j.Body.By:
			a.State, a.Doubted = law.Rejected, 0
		case a.Doubted == 0:
			a.Doubted = j.Body.By
		}
	}
}

// Start gives when the clocks start, by the earliest event that counts, and the
// start that two people settled on instead, if they did.
func (i *Incident) Start(rules *law.Book) (earliest, settled sekisho.Time) {
	for _, a := range i.Aware(rules) {
		if a.live() {
			earliest = a.At
			break
		}
	}
	for _, m := range i.Legal.Moves {
		if m.Answer != nil && m.Answer.Body.Action == "approved" {
			settled = m.Body.Start
		}
	}
	return earliest, settled
}

// Concerned is what else is known of the people concerned: from the lists
// behind the numbers, where there are any.
type Concerned struct {
	Residence  []law.Residence
	Categories []string
}

// ConcernedBy reads it from an answer: dimension is the roster's name for where
// people live.
func ConcernedBy(a *trace.Answer, dimension string) Concerned {
	var c Concerned
	if a == nil {
		return c
	}
	for _, p := range a.Numbers.WorstCase.Breakdown {
		switch {
		case p.Count == 0:
		case p.Kind == "category":
			c.Categories = append(c.Categories, p.Value)
		case p.Kind == "label" && p.Dimension == dimension:
			place := law.Place(p.Value)
			at := slices.IndexFunc(c.Residence, func(r law.Residence) bool { return r.Place == place })
			if at < 0 {
				c.Residence = append(c.Residence, law.Residence{Place: place})
				at = len(c.Residence) - 1
			}
			c.Residence[at].Upper += p.Count
		}
	}
	return c
}

// LegalFacts gathers the facts on which duties hang. What the ledger does not
// hold stays unknown.
func (i *Incident) LegalFacts(rules *law.Book, company law.Company, people Concerned) law.Facts {
	f := law.Facts{Answers: map[string]law.Answer{}, Statutory: map[string]law.Answer{}, At: map[string]time.Time{},
		Industry: company.Industry, Established: company.Established, Categories: people.Categories}
	for name, a := range company.Facts {
		f.Answers[name] = a
	}
	// What was read says yes, and never no: a person may know better.
	for category, fact := range map[sekisho.Categories]string{sekisho.SpecialCare: law.SpecialCare, sekisho.Payment: law.PaymentRisk, sekisho.Credential: law.PaymentRisk} {
		if slices.Contains(people.Categories, category.String()) {
			f.Answers[fact] = law.Yes
		}
	}
	for _, x := range i.Legal.Facts {
		a, err := law.ParseAnswer(x.Body.Answer)
		if err != nil {
			continue
		}
		name := x.Body.Question
		if regime, ok := strings.CutPrefix(name, "statutory:"); ok {
			f.Statutory[regime] = a
			continue
		}
		if _, ok := rules.Fact(name); !ok {
			continue // of a directory of rules that is not there any more
		}
		f.Answers[name] = a
		if delete(f.At, name); a == law.Yes {
			f.At[name] = cmp.Or(x.Body.Happened, x.At).Go()
		}
	}
	for _, a := range i.Aware(rules) {
		if a.State == law.Provisional && !a.Counts {
			continue
		}
		one := law.Aware{At: a.At.Go(), Basis: a.Basis, By: cmp.Or(a.Detector, a.Source), Source: a.Seq, State: a.State}
		if a.CertainAt != 0 {
			one.CertainAt = a.CertainAt.Go()
		}
		f.Aware = append(f.Aware, one)
	}
	if _, settled := i.Start(rules); settled != 0 {
		start := settled.Go()
		f.Start = &start
	}
	for _, r := range i.Revisions {
		f.Subjects.History = append(f.Subjects.History, law.Count{At: r.At.Go(), Upper: r.Body.WorstCase})
		f.Subjects.Upper, f.Subjects.Likely, f.Subjects.Confirmed = law.N(r.Body.WorstCase), law.N(r.Body.Suspected), law.N(r.Body.Confirmed)
	}
	f.Subjects.Residence = people.Residence
	for _, r := range i.Legal.Reports {
		if r.Mistaken == 0 {
			f.Reports = append(f.Reports, law.Report{Regime: r.Body.Regime, Step: r.Body.Step, At: r.Body.Sent.Go(), Entry: r.Seq})
		}
	}
	return f
}

// Clocks is what every regime says about the incident at a time: which duties
// there are, and until when. In a drill, rules that came later count as well.
func (i *Incident) Clocks(rules *law.Book, company law.Company, people Concerned, now time.Time, drill bool) []law.Finding {
	return rules.Judge(law.Question{Facts: i.LegalFacts(rules, company, people), Now: now, Replay: drill})
}
