package duty

import (
	"slices"
	"strconv"

	"sekisho"
)

// An inspection of a group company is a visit: it counts when the checklist is
// answered and both sides have signed the same record. Photos are welcome, and
// not asked for: not every room may be photographed.
var inspection = Noun{Name: "inspection", Evidence: "inspection_visit", Space: "unit", Parties: [2]string{"inspector", "inspected"}}

// A self-check is a department's own look at itself, signed by whoever made it
// and by the head.
var selfCheck = Noun{Name: "selfcheck", Evidence: "inspection_visit", Space: "unit", Parties: [2]string{"owner", "witness"}}

// itemOf tells one check from another of its kind.
func itemOf(c *Check) string { return c.Body.Noun + "/" + strconv.FormatUint(c.Number, 10) }

// A Finding is something that is not as it should be, and what is done about it.
type Finding struct {
	Number   uint64
	At       sekisho.Time
	Body     *sekisho.FindingRaised // nil: a lesson of an incident
	Incident uint64                 // of a lesson
	Title    uint32                 // ordinal in "said"
	Owner    uint32
	Due      sekisho.Time
	Done     sekisho.Time // when it was put right, as its owner says; 0: not
	DoneBy   uint32
	Verified sekisho.Time // when somebody else saw that it was
	Accepted sekisho.Time // until when it is accepted as it is; 0: it is not
	Dropped  bool
	Again    int // how often it came back: seen again, or a re-check that failed
	Acts     []Act
	Papers   []Paper

	credited bool
}

// An Act is one step, as it was written.
type Act struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.ActionChanged
}

// State is how far a finding has come at a moment: "open", "overdue", "done" (a
// re-check is due), "closed", "accepted", "expired" (an exception that ended),
// "dropped".
func (f *Finding) State(now sekisho.Time) string {
	switch {
	case f.Dropped:
		return "dropped"
	case f.Verified != 0:
		return "closed"
	case f.Accepted != 0 && now < f.Accepted:
		return "accepted"
	case f.Accepted != 0:
		return "expired"
	case f.Done != 0:
		return "done"
	case f.Due != 0 && now > f.Due:
		return "overdue"
	}
	return "open"
}

// Late: it was put right, but after its day.
func (f *Finding) Late() bool { return f.Done != 0 && f.Due != 0 && f.Done > f.Due }

// Finding is the finding of that number, or nil.
func (b *Checks) Finding(number uint64) *Finding { return b.findings[number] }

// Found is every finding, in the order in which they were raised.
func (b *Checks) Found() []*Finding { return b.found }

// Known is the finding that bears the same mark, or nil.
func (b *Checks) Known(ref [32]byte) *Finding {
	if ref == [32]byte{} {
		return nil
	}
	return b.byRef[ref]
}

func (b *Checks) raised(e *sekisho.Entry, x *sekisho.FindingRaised) {
	f := &Finding{Number: e.ID.Seq, At: e.Time, Body: x, Title: x.Title, Owner: x.Owner, Due: x.Due}
	b.findings[f.Number] = f
	b.found = append(b.found, f)
	if x.Ref != [32]byte{} {
		b.byRef[x.Ref] = f
	}
	if c := b.byNumber[x.Check]; c != nil {
		c.Findings = append(c.Findings, f.Number)
		c.sealed(e)
		b.prove(c, e)
	}
	b.scanned(e, x)
	b.proveFinding(f, e)
}

// lesson folds what an incident taught, which is looked at again like a finding.
func (b *Checks) lesson(e *sekisho.Entry, x *sekisho.LessonNoted) {
	f := b.findings[x.Lesson]
	switch {
	case x.Lesson == 0 && x.Action == "learned":
		f = &Finding{Number: e.ID.Seq, At: e.Time, Incident: x.Incident, Title: x.Said, Owner: x.Person, Due: x.Due}
		b.findings[f.Number] = f
		b.found = append(b.found, f)
	case f == nil || f.Body != nil:
		return
	case x.Action == "changed":
		f.Owner, f.Due = x.Person, x.Due
	case x.Action == "done":
		f.Done, f.DoneBy, f.Verified = e.Time, x.By, 0
	case x.Action == "dropped":
		f.Dropped = true
	}
	b.proveFinding(f, e)
}

const aDay = 24 * 3600 * sekisho.Time(1e6)

// Recheck is when it shall be seen whether the correction holds: 14 days after
// it was made, of an incident's lesson 90, so that it had time to fail.
func (f *Finding) Recheck() sekisho.Time {
	switch {
	case f.Done == 0 || f.Verified != 0:
		return 0
	case f.Body == nil:
		return f.Done + 90*aDay
	}
	return f.Done + 14*aDay
}

// closeBy is until when a second person shall have seen that a finding was put
// right: two weeks after its day, for a lesson four months, 90 days of which are
// to pass before anybody looks. 0: it has no day.
func (f *Finding) closeBy() sekisho.Time {
	due := f.Due
	if f.Done != 0 {
		due = f.Done
	}
	switch {
	case due == 0:
		return 0
	case f.Body == nil:
		return due + 120*aDay
	}
	return due + 14*aDay
}

// acted folds a step. What the owner may not do, the fold does not take: a
// finding is closed by somebody who did not put it right.
func (b *Checks) acted(e *sekisho.Entry, x *sekisho.ActionChanged) {
	f := b.findings[x.Finding]
	if f == nil {
		return
	}
	at := x.At
	if at == 0 {
		at = e.Time
	}
	switch x.Action {
	case "assigned":
		f.Owner, f.Due = x.Person, x.Due
	case "done":
		f.Done, f.DoneBy, f.Verified = at, x.By, 0
	case "verified":
		if f.Done == 0 || x.By == f.Owner || x.By == f.DoneBy {
			return
		}
		f.Verified = at
	case "reopened":
		f.Done, f.DoneBy, f.Verified, f.Accepted = 0, 0, 0, 0
		f.Again++
	case "accepted":
		f.Accepted = x.Due
	case "dropped":
		f.Dropped = true
	}
	f.Acts = append(f.Acts, Act{e.ID.Seq, e.Time, x})
	b.proveFinding(f, e)
}

// proveFinding says of a finding that it is there, and of its correction that it
// was seen by a second person.
func (b *Checks) proveFinding(f *Finding, e *sekisho.Entry) {
	if f.credited {
		b.withdraw(f.Number)
	}
	f.credited = true
	unit, item := Unit{"incident", uint32(f.Incident)}, "lesson/"+strconv.FormatUint(f.Number, 10)
	if f.Body != nil {
		unit, item = Unit{f.Body.Space, f.Body.Unit}, "finding/"+strconv.FormatUint(f.Number, 10)
	}
	if f.Dropped {
		return
	}
	if f.Body != nil {
		b.credit(Credit{Seq: f.Number, Kind: "finding", Unit: unit, From: int64(f.At), Until: int64(f.Verified), Recorded: int64(e.Time), Item: item})
	}
	// From when it was known until a second person saw that it was put right; the
	// value is until when that shall be.
	b.credit(Credit{Seq: f.Number, Kind: "corrective_action", Unit: unit, From: int64(f.At), Until: int64(f.Verified), Recorded: int64(e.Time), Item: item, Value: int64(f.closeBy())})
}

// Clone is a copy to keep while the views go on.
func (f *Finding) Clone() *Finding {
	g := *f
	g.Acts, g.Papers = slices.Clone(f.Acts), slices.Clone(f.Papers)
	return &g
}
