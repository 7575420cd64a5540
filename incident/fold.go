package incident

import (
	"cmp"
	"net/netip"
	"slices"

	"sekisho"
)

// Name is the view's.
func (b *Book) Name() string { return "incident" }

// Apply folds one entry of a ledger that nobody writes to. For a living one
// use Reaction.
func (b *Book) Apply(e *sekisho.Entry) { b.React(e) }

// React folds one entry, and opens an incident for an alert that fits none.
func (b *Book) React(e *sekisho.Entry) []sekisho.Body {
	answers := b.react(e)
	b.marksContained(e)
	return answers
}

func (b *Book) react(e *sekisho.Entry) []sekisho.Body {
	b.contained(e)
	switch body := e.Body.(type) {
	case *sekisho.PassedBy:
		b.passed, b.at = body, e.ID.Seq
	case *sekisho.Alert:
		if b.aboutOrder(e, body) {
			return nil
		}
		return b.alert(e, body)
	case *sekisho.IncidentOpened:
		b.opened(e, body)
	case *sekisho.IncidentRevised:
		if i := b.find(body.Incident); i != nil {
			i.revised(e, body)
		}
	case *sekisho.SubjectRevised:
		if i := b.find(body.Incident); i != nil && len(i.Revisions) > 0 {
			if r := &i.Revisions[len(i.Revisions)-1]; e.ID.Seq == r.Seq+1+uint64(len(r.Subjects)) {
				r.Subjects = append(slices.Clip(r.Subjects), body) // readers keep theirs
			}
		}
	case *sekisho.FileMatched:
		if i := b.find(body.Incident); i != nil {
			f := Fact{Seq: e.ID.Seq, At: e.Time, Code: "file", Principal: body.By, Count: uint64(len(body.Subjects))}
			i.Files = append(i.Files, f)
			i.tell(f)
		}
	case *sekisho.NoticeReceived:
		return b.notice(e, body)
	default:
		if !b.room(e) {
			b.clock(e)
		}
	}
	return nil
}

func (b *Book) find(number uint64) *Incident {
	if number != 0 {
		for _, i := range b.list {
			if i.Number == number {
				return i
			}
		}
	}
	return nil
}

// alert joins the oldest incident that it is linked to: by endpoint, by
// principal or by hostile destination. An incident that was decided upon but
// is not recorded yet takes part, so that what is decided does not depend on
// how fast it was written; for the same reason only the times that alerts speak
// of count, not those at which they were recorded.
func (b *Book) alert(e *sekisho.Entry, body *sekisho.Alert) []sekisho.Body {
	follows := uint64(0)
	for _, i := range b.list {
		if body.From-i.Latest <= joinWithin && i.Earliest-body.Until <= joinWithin && i.linked(body) {
			// Whether it has ended stands before the alert in the ledger, so every
			// replay decides the same. Somebody may reopen it; until then an alert
			// needs a case that somebody answers for.
			if _, closed := i.Closed(); closed {
				follows = i.Number
				continue
			}
			i.join(e, body, b.tables(body))
			return nil
		}
	}
	i := &Incident{opener: e.ID.Seq, Opened: e.Time, Earliest: body.From, Latest: body.Until}
	i.Room.Follows = follows
	b.list = append(b.list, i)
	i.join(e, body, b.tables(body))
	return []sekisho.Body{&sekisho.IncidentOpened{Alert: e.ID.Seq, Endpoints: []string{body.Endpoint}}}
}

func (i *Incident) linked(a *sekisho.Alert) bool {
	if a.Detector == "lure" {
		return false // it happened at the mail gateway, as every mail does
	}
	return slices.Contains(i.Endpoints, a.Endpoint) || i.lured(a) ||
		a.Principal != 0 && slices.Contains(i.Principals, a.Principal) ||
		a.Target.IsValid() && slices.Contains(i.Targets, a.Target)
}

// tables are those whose rows passed the gate by, of an alert that rests on the
// entry that names them.
func (b *Book) tables(a *sekisho.Alert) []string {
	if b.passed == nil || !slices.Contains(a.Basis, b.at) {
		return nil
	}
	return b.passed.Tables
}

func (i *Incident) join(e *sekisho.Entry, a *sekisho.Alert, tables []string) {
	i.Earliest, i.Latest = min(i.Earliest, a.From), max(i.Latest, a.Until)
	i.Alerts = append(i.Alerts, Alert{e.ID.Seq, e.Time, a, tables})
	i.Endpoints = with(i.Endpoints, a.Endpoint, cmp.Compare)
	if a.Principal != 0 {
		i.Principals = with(i.Principals, a.Principal, cmp.Compare)
	}
	if a.Target.IsValid() {
		i.Targets = with(i.Targets, a.Target, netip.Addr.Compare)
	}
	f := Fact{Seq: e.ID.Seq, At: a.From, Code: a.Detector, Endpoint: a.Endpoint, Principal: a.Principal, Target: a.Target, Count: a.Observed, Limit: a.Limit, Tables: tables}
	if !told(f.Code) {
		f.Code, f.Reason = "alert", a.Detector
	}
	i.tell(f)
}

func (b *Book) opened(e *sekisho.Entry, body *sekisho.IncidentOpened) {
	at := slices.IndexFunc(b.list, func(i *Incident) bool { return body.Alert != 0 && i.opener == body.Alert && i.Number == 0 })
	if at < 0 {
		// Opened by a person, or by an older sekisho that linked otherwise:
		// what the ledger says stands.
		b.list = append(b.list, &Incident{opener: body.Alert, Earliest: e.Time, Latest: e.Time})
		at = len(b.list) - 1
	}
	i := b.list[at]
	i.Number, i.Opened, i.By = e.ID.Seq, e.Time, body.By
	for _, name := range body.Endpoints {
		i.Endpoints = with(i.Endpoints, name, cmp.Compare)
	}
	f := Fact{Seq: e.ID.Seq, At: e.Time, Code: "opened"}
	if body.By != 0 {
		f.Code, f.Principal = "opened_by", body.By
	}
	i.tell(f)
}

func (i *Incident) revised(e *sekisho.Entry, body *sekisho.IncidentRevised) {
	r := Revision{Seq: e.ID.Seq, At: e.Time, Body: body}
	prev := &sekisho.IncidentRevised{}
	if n := len(i.Revisions); n > 0 {
		prev = i.Revisions[n-1].Body
	}
	r.Move = Move{
		WorstCase:  int64(body.WorstCase - prev.WorstCase),
		Suspected:  int64(body.Suspected - prev.Suspected),
		SentAtMost: int64(body.SentAtMost - prev.SentAtMost),
		Confirmed:  int64(body.Confirmed - prev.Confirmed),
	}
	i.Revisions = append(i.Revisions, r)
	for _, name := range body.Endpoints {
		i.Endpoints = with(i.Endpoints, name, cmp.Compare)
	}
	for _, p := range body.Hostile {
		if p.IsSingleIP() {
			i.Targets = with(i.Targets, p.Addr(), netip.Addr.Compare)
		}
	}
	i.tell(Fact{Seq: e.ID.Seq, At: e.Time, Code: "revised", Principal: body.By, Reason: body.Reason})
}

func (i *Incident) tell(f Fact) {
	at, _ := slices.BinarySearchFunc(i.Timeline, f, func(a, b Fact) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Seq, b.Seq))
	})
	i.Timeline = slices.Insert(i.Timeline, at, f)
}

// with adds v to an ascending list that holds each once.
func with[T any](list []T, v T, compare func(a, b T) int) []T {
	at, found := slices.BinarySearchFunc(list, v, compare)
	if found {
		return list
	}
	return slices.Insert(list, at, v)
}
