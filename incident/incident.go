// Package incident gathers alerts into incidents: what happened at which
// endpoints, and how the four numbers moved and why. It is a fold of the
// ledger; an alert that fits no open incident opens one.
package incident

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"sekisho"
	"sekisho/sheet"
	"sekisho/trace"
	"sekisho/view"
)

// joinWithin is how long after its latest alert an incident takes in further
// ones: APT campaigns pause for days, not for weeks.
const joinWithin = 14 * 24 * sekisho.Time(3600e6)

// before is how long before its first alert an incident asks about, until a
// person says otherwise: what was quiet may have been part of it.
const before = 30 * 24 * sekisho.Time(3600e6)

// Incident is one case. What Get and List return is a copy, to keep.
type Incident struct {
	Number     uint64       `json:"number"` // sequence number of its IncidentOpened; 0 until that is recorded
	Opened     sekisho.Time `json:"opened"`
	By         uint32       `json:"by"`       // ordinal in "staff"; 0 for sekisho itself
	Earliest   sekisho.Time `json:"earliest"` // what its alerts span; or when a person opened it
	Latest     sekisho.Time `json:"latest"`
	Alerts     []Alert      `json:"alerts"`
	Endpoints  []string     `json:"endpoints"`  // sorted
	Principals []uint32     `json:"principals"` // sorted
	Targets    []netip.Addr `json:"targets"`    // hostile destinations, sorted
	Revisions  []Revision   `json:"revisions"`  // the latest last
	Files      []Fact       `json:"files"`
	Timeline   []Fact       `json:"timeline"`
	Room       Room         `json:"room"`
	Legal      Legal        `json:"legal"` // what starts, moves and meets the clocks of the law

	opener uint64 // sequence number of the alert or notice that opened it, or 0
}

// Alert is one alert of an incident.
type Alert struct {
	Seq  uint64         `json:"seq"`
	At   sekisho.Time   `json:"at"`
	Body *sekisho.Alert `json:"alert"`
	// Tables are those whose rows passed the gate by, where the ledger says so.
	Tables []string `json:"tables,omitempty"`
}

// Revision is one state of the numbers.
type Revision struct {
	Seq  uint64                   `json:"seq"`
	At   sekisho.Time             `json:"at"`
	Body *sekisho.IncidentRevised `json:"revision"`
	// Subjects are its parts, by name, where the company has several subjects. They
	// do not change once the entry behind them is folded.
	Subjects []*sekisho.SubjectRevised `json:"subjects,omitempty"`
	Move     Move                      `json:"move"` // from the revision before, or from nothing
}

// Move is how far each number went.
type Move struct {
	WorstCase  int64 `json:"worst_case"`
	Suspected  int64 `json:"suspected"`
	SentAtMost int64 `json:"sent_at_most"`
	Confirmed  int64 `json:"confirmed"`
}

// Fact is one line of the timeline: a code with its figures, so that it can
// be told in any language.
type Fact struct {
	Seq       uint64       `json:"seq"`
	At        sekisho.Time `json:"at"`   // of the event; the entry may be later
	Code      string       `json:"code"` // "sweep", "egress", "budget", "outside", "decoy", "decoy_mail", "alert", "opened", "opened_by", "revised", "file", "notice", "contain_…" (of an order), those of reported.go
	Endpoint  string       `json:"endpoint,omitempty"`
	Principal uint32       `json:"principal,omitempty"` // ordinal in "staff"
	Target    netip.Addr   `json:"target,omitzero"`
	Count     uint64       `json:"count,omitempty"` // customers, bytes or rows
	Limit     uint64       `json:"limit,omitempty"`
	Order     uint64       `json:"order,omitempty"` // of a containment
	Reason    string       `json:"reason,omitempty"`
	Tables    []string     `json:"tables,omitempty"` // of outside
}

// English tells the fact. person gives the name of an ordinal in "staff".
func (f Fact) English(person func(uint32) string) string {
	switch f.Code {
	case "sweep":
		return fmt.Sprintf("%s read %s at %s within the hour when the alert was raised; up to %d is quiet.", person(f.Principal), sheet.Of(f.Count, "customer"), f.Endpoint, f.Limit)
	case "egress":
		return fmt.Sprintf("%s sent %s to the hostile destination %v.", f.Endpoint, sheet.Of(f.Count, "byte"), f.Target)
	case "budget":
		who := f.Endpoint
		if f.Principal != 0 {
			who = person(f.Principal) + " at " + who
		}
		return fmt.Sprintf("%s used up a budget: %d customers of %d.", who, f.Count, f.Limit)
	case "outside":
		if f.Count == 0 {
			return fmt.Sprintf("%s was connected to the database past the gate, from %s; what was read there is not known.", person(f.Principal), f.Endpoint)
		}
		of := "protected tables"
		if len(f.Tables) > 0 {
			of = strings.Join(f.Tables, ", ")
		}
		return fmt.Sprintf("The database counted %s of %s that %s moved past the gate.", sheet.Of(f.Count, "row"), of, person(f.Principal))
	case "decoy":
		return fmt.Sprintf("%s touched %s at %s: records of nobody, which no work needs.", person(f.Principal), sheet.Of(f.Count, "decoy"), f.Endpoint)
	case "decoy_mail":
		if f.Principal != 0 {
			return fmt.Sprintf("Somebody wrote to the mailbox of a decoy that stood in one export's answer alone, which %s took at %s.", person(f.Principal), f.Endpoint)
		}
		return "Somebody wrote to the mailbox of a decoy, whose address stands in the database alone."
	case "notice":
		return fmt.Sprintf("A notice was received (%s).", f.Reason)
	case "alert":
		return fmt.Sprintf("%s: alert %q.", f.Endpoint, f.Reason)
	case "opened":
		return "sekisho opened the incident."
	case "opened_by":
		return fmt.Sprintf("%s opened the incident.", person(f.Principal))
	case "revised":
		return fmt.Sprintf("The numbers were revised (%s).", f.Reason)
	case "file":
		return fmt.Sprintf("A file was compared with the roster: %d customers were recognised.", f.Count)
	}
	if f.Order != 0 {
		return f.ofOrder(person)
	}
	return f.reported(person)
}

// Book is the fold of all incidents.
type Book struct {
	list   []*Incident // in the order in which they were opened
	orders *Orders
	passed *sekisho.PassedBy // the latest, whose alert is still to come
	at     uint64            // its sequence number
}

// New is an empty book.
func New() *Book { return &Book{orders: newOrders()} }

// Reaction is how a view.Set folds the book and lets it open incidents. The
// book must not be among the set's views as well.
func (b *Book) Reaction() view.Reaction {
	return view.Reaction{Name: "incident", React: b.React, Key: Key}
}

// Key names what an IncidentOpened answers: its alert, or the notice that opened it.
func Key(body sekisho.Body) string {
	if o, ok := body.(*sekisho.IncidentOpened); ok && o.Alert != 0 {
		return fmt.Sprint(o.Alert)
	}
	return ""
}

// List gives every recorded incident, the latest first.
func (b *Book) List() []*Incident {
	list := []*Incident{}
	for _, i := range b.list {
		if i.Number != 0 {
			list = append(list, i.clone())
		}
	}
	slices.SortFunc(list, func(a, b *Incident) int { return cmp.Compare(b.Number, a.Number) })
	return list
}

// Get gives the incident with a number, or nil.
func (b *Book) Get(number uint64) *Incident {
	if i := b.find(number); i != nil {
		return i.clone()
	}
	return nil
}

func (i *Incident) clone() *Incident {
	c := *i
	c.Alerts, c.Endpoints, c.Principals = slices.Clone(i.Alerts), slices.Clone(i.Endpoints), slices.Clone(i.Principals)
	c.Targets, c.Revisions = slices.Clone(i.Targets), slices.Clone(i.Revisions)
	c.Files, c.Timeline = slices.Clone(i.Files), slices.Clone(i.Timeline)
	c.Room, c.Legal = i.Room.clone(), i.Legal.clone()
	return &c
}

// Question is what the incident's numbers answer. The latest revision settles
// it; alerts that came since widen it. Without one it begins 30 days before
// the first alert. Where no person has said when it ends, it ends with now,
// the time of the last entry, or with the closing of the incident.
func (i *Incident) Question(space string, now sekisho.Time) trace.Question {
	if end, closed := i.Closed(); closed {
		now = min(now, end.Answer.At)
	}
	q := trace.Question{Space: space, Incident: i.Number, Endpoints: slices.Clone(i.Endpoints)}
	var since, until sekisho.Time = i.Opened, 0
	for _, a := range i.Alerts {
		since, until = min(since, a.Body.From), max(until, a.Body.Until)
	}
	since = max(0, since-before)
	person := false
	if n := len(i.Revisions); n > 0 {
		r := i.Revisions[n-1].Body
		since, until, person = r.Since, max(until, r.Until), r.By != 0
		q.Hostile = slices.Clone(r.Hostile)
		q.Compression = float64(r.Compression) / 100
	}
	if !person {
		until = max(until, now+1)
	}
	q.Since, q.Until = since, max(until, since+1)
	for _, t := range i.Targets {
		if !slices.ContainsFunc(q.Hostile, func(p netip.Prefix) bool { return p.Contains(t) }) {
			q.Hostile = append(q.Hostile, netip.PrefixFrom(t, t.BitLen()))
		}
	}
	return q
}

// Asked leaves out of a question the terminals that no entry of the ledger knows,
// as long as it knows one: what they did cannot be counted, and must be said
// beside the numbers. known is sorted.
func Asked(q trace.Question, known []string) (asked trace.Question, unseen []string) {
	var seen []string
	for _, name := range q.Endpoints {
		if _, ok := slices.BinarySearch(known, name); ok {
			seen = append(seen, name)
		} else {
			unseen = append(unseen, name)
		}
	}
	if len(seen) > 0 {
		q.Endpoints = seen
	}
	return q, unseen
}

// Revise gives the entries that record an answer, by a member of staff or by
// sekisho itself (0), to be appended together: an IncidentRevised, and a
// SubjectRevised for each part of a total. There are none if the latest revision
// says the same: a later end of the window that changes no number is no revision.
//
// The reason is "alert" for the first, "scope" if another question was asked,
// "file" if a file was matched since, else "ledger": new accesses came, or
// old ones were narrowed.
func (i *Incident) Revise(a *trace.Answer, by uint32) []sekisho.Body {
	q := a.Question
	r := &sekisho.IncidentRevised{
		Incident: i.Number, By: by, Endpoints: q.Endpoints, Since: q.Since, Until: q.Until, Hostile: q.Hostile,
		Compression: uint32(math.Ceil(q.Compression * 100)), Through: a.Through,
		WorstCase: a.WorstCase, Suspected: a.Suspected, SentAtMost: a.SentAtMost, Confirmed: a.Confirmed, SentKnown: a.SentKnown,
	}
	bodies := []sekisho.Body{r}
	for _, p := range a.Subjects {
		bodies = append(bodies, &sekisho.SubjectRevised{Incident: i.Number, Space: p.Space,
			WorstCase: p.WorstCase, Suspected: p.Suspected, SentAtMost: p.SentAtMost, Confirmed: p.Confirmed, SentKnown: p.SentKnown})
	}
	n := len(i.Revisions)
	if n == 0 {
		r.Reason = "alert"
		if len(i.Alerts) == 0 {
			r.Reason = "scope"
		}
		return bodies
	}
	last := i.Revisions[n-1].Body
	scope := !slices.Equal(last.Endpoints, r.Endpoints) || last.Since != r.Since || !slices.Equal(last.Hostile, r.Hostile) ||
		last.Compression != r.Compression || by != 0 && last.Until != r.Until
	same := last.WorstCase == r.WorstCase && last.Suspected == r.Suspected && last.SentAtMost == r.SentAtMost &&
		last.Confirmed == r.Confirmed && last.SentKnown == r.SentKnown &&
		slices.EqualFunc(i.Revisions[n-1].Subjects, bodies[1:], func(s *sekisho.SubjectRevised, b sekisho.Body) bool { return *s == *b.(*sekisho.SubjectRevised) })
	switch {
	case scope:
		r.Reason = "scope"
	case same:
		return nil
	case last.Confirmed != r.Confirmed:
		r.Reason = "file"
	default:
		r.Reason = "ledger"
	}
	return bodies
}
