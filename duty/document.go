package duty

import (
	"slices"

	"sekisho"
)

// A Document is a policy, a handbook or another text that the company gives
// itself, with its versions.
type Document struct {
	Thing    uint32 // ordinal in "thing"; its key is "document/NAME"
	Versions []*Version
	InForce  *Version // nil: none
	Retired  sekisho.Time
}

// A Version is one state of a document's text.
type Version struct {
	Number    uint64 // of its DocumentWritten
	At        sekisho.Time
	Count     int // 1 for a document's first
	Body      *sekisho.DocumentWritten
	Said      []Opinion // in their order
	Published sekisho.Time
	From      sekisho.Time // since when it is in force; 0: it is not
	Until     sekisho.Time // when another took its place, or the document was retired
	Reviews   []Review
	Checks    []Checked // of what the world sees, the latest last
	Signed    int       // people who acknowledged it

	published uint64                  // entry of its DocumentPublished
	signers   map[uint32]sekisho.Time // by ordinal in "staff"
}

// An Opinion is what somebody said to a version.
type Opinion struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.DocumentDecided
}

// A Review is a look at whether a version in force still fits.
type Review struct {
	Entry  uint64
	At     sekisho.Time
	Body   *sekisho.DocumentReviewed
	Answer *sekisho.DocumentReviewed // nil: no second person has spoken
}

// A Checked is one comparison of what the world sees with a version.
type Checked struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.PublicationChecked
}

// The states of a version.
const (
	VersionDraft    = "draft"
	VersionApproved = "approved" // by everybody who must
	VersionRejected = "rejected"
	VersionGone     = "withdrawn"
	VersionInForce  = "in_force"
	VersionPast     = "past"
)

// Approvals are who must approve a version, by the sort of the document: the
// roles whose holders do. The writer is never one of them.
type Approvals map[string][]string

// State of a version where roles must approve it.
func (v *Version) State(roles []string) string {
	switch {
	case v.Until != 0:
		return VersionPast
	case v.From != 0:
		return VersionInForce
	}
	for _, o := range v.Said {
		switch o.Body.Action {
		case "rejected":
			return VersionRejected
		case "withdrawn":
			return VersionGone
		}
	}
	if len(v.Wanting(roles)) == 0 {
		return VersionApproved
	}
	return VersionDraft
}

// Wanting are the roles in which nobody has approved the version yet. Each
// person approves as one: two roles are two people.
func (v *Version) Wanting(roles []string) (wanting []string) {
	for _, role := range roles {
		if !slices.ContainsFunc(v.Said, func(o Opinion) bool { return o.Body.Action == "approved" && o.Body.Role == role }) {
			wanting = append(wanting, role)
		}
	}
	return wanting
}

// Spoke: a person has written the version or approved or rejected it.
func (v *Version) Spoke(staff uint32) bool {
	return v.Body.By == staff || slices.ContainsFunc(v.Said, func(o Opinion) bool {
		return o.Body.By == staff && o.Body.Action != "reviewed"
	})
}

// Acknowledged: a person has acknowledged the version.
func (v *Version) Acknowledged(staff uint32) bool { return v.signers[staff] != 0 }

// When a person acknowledged the version; 0: they have not.
func (v *Version) When(staff uint32) sekisho.Time { return v.signers[staff] }

// Due is until when a version in force needs another look: its days count from
// the last review that two people agreed on, or from when it came into force.
func (v *Version) Due() sekisho.Time {
	if v.From == 0 || v.Body.ReviewDays == 0 {
		return 0
	}
	from := v.From
	for _, r := range v.Reviews {
		if r.Answer != nil && r.Answer.Outcome == "agreed" && r.Body.Outcome == "keep" {
			from = max(from, r.At)
		}
	}
	return from + sekisho.Time(v.Body.ReviewDays)*sekisho.Time(24*3600*1_000_000)
}

// documents folds the entries about them.
type documents struct {
	byThing  map[uint32]*Document
	list     []*Document
	versions map[uint64]*Version
	of       map[*Version]*Document
	reviews  map[uint64]*Version // by the entry of a review
}

func newDocuments() documents {
	return documents{byThing: map[uint32]*Document{}, versions: map[uint64]*Version{}, of: map[*Version]*Document{}, reviews: map[uint64]*Version{}}
}

// Documents are all, in the order in which they were first written.
func (b *Book) Documents() []*Document { return b.documents.list }

// Document is the one of an ordinal in "thing", or nil.
func (b *Book) Document(thing uint32) *Document { return b.documents.byThing[thing] }

// Version is one version of a document, with the document; nil if there is none.
func (b *Book) Version(number uint64) (*Version, *Document) {
	v := b.documents.versions[number]
	return v, b.documents.of[v]
}

// documented folds one entry.
func (b *Book) documented(e *sekisho.Entry) {
	d := &b.documents
	switch x := e.Body.(type) {
	case *sekisho.DocumentWritten:
		doc := d.byThing[x.Document]
		if doc == nil {
			doc = &Document{Thing: x.Document}
			d.byThing[x.Document] = doc
			d.list = append(d.list, doc)
		}
		v := &Version{Number: e.ID.Seq, At: e.Time, Count: len(doc.Versions) + 1, Body: x, signers: map[uint32]sekisho.Time{}}
		doc.Versions = append(doc.Versions, v)
		d.versions[v.Number], d.of[v] = v, doc
	case *sekisho.DocumentDecided:
		if v := d.versions[x.Version]; v != nil {
			v.Said = append(v.Said, Opinion{e.ID.Seq, e.Time, x})
		}
	case *sekisho.DocumentPublished:
		if v := d.versions[x.Version]; v != nil {
			b.documentPublished(e, x, d.of[v], v)
		}
	case *sekisho.DocumentReviewed:
		b.documentReviewed(e, x)
	case *sekisho.PublicationChecked:
		v := d.versions[x.Version]
		if v == nil {
			return
		}
		v.Checks = append(v.Checks, Checked{e.ID.Seq, e.Time, x})
		c := Credit{Seq: e.ID.Seq, Kind: "publication_hash", Unit: Unit{"thing", v.Body.Document}, From: int64(e.Time), Recorded: int64(e.Time)}
		for _, state := range []string{x.English, x.Japanese} {
			if state != "" && state != "same" {
				c.State = state
			}
		}
		b.credit(c)
	case *sekisho.DocumentAcknowledged:
		if v := d.versions[x.Version]; v != nil && v.signers[x.Staff] == 0 {
			v.signers[x.Staff] = e.Time
			v.Signed++
			b.credit(Credit{Seq: e.ID.Seq, Kind: "acknowledgement", Unit: Unit{"staff", x.Staff}, From: int64(e.Time), Recorded: int64(e.Time), Item: v.Body.Sort})
		}
	}
}

func (b *Book) documentPublished(e *sekisho.Entry, x *sekisho.DocumentPublished, doc *Document, v *Version) {
	unit := Unit{"thing", doc.Thing}
	if now := doc.InForce; now != nil {
		now.Until = max(x.From, now.From)
		b.versionCounts(now)
		doc.InForce = nil
	}
	if x.Action == "retired" {
		doc.Retired = x.From
		b.strike("policy", unit, int64(x.From))
		return
	}
	doc.InForce, doc.Retired = v, 0
	v.Published, v.From, v.published = e.Time, x.From, e.ID.Seq
	b.enlist("policy", Member{Unit: unit, From: int64(x.From)})
	b.versionCounts(v)
}

// versionCounts says for how long a version is good: until its review is due,
// or another took its place.
func (b *Book) versionCounts(v *Version) {
	b.withdraw(v.published)
	until := v.Due()
	if v.Until != 0 && (until == 0 || v.Until < until) {
		until = v.Until
	}
	if v.Until != 0 && v.Until <= v.From { // replaced before it began
		return
	}
	b.credit(Credit{Seq: v.published, Kind: "policy_version", Unit: Unit{"thing", v.Body.Document}, From: int64(v.From), Until: int64(until), Recorded: int64(v.Published), Item: v.Body.Sort})
}

func (b *Book) documentReviewed(e *sekisho.Entry, x *sekisho.DocumentReviewed) {
	d := &b.documents
	if x.Review == 0 {
		if v := d.versions[x.Version]; v != nil {
			v.Reviews = append(v.Reviews, Review{Entry: e.ID.Seq, At: e.Time, Body: x})
			d.reviews[e.ID.Seq] = v
		}
		return
	}
	v := d.reviews[x.Review]
	if v == nil {
		return
	}
	for n := range v.Reviews {
		r := &v.Reviews[n]
		if r.Entry != x.Review || r.Answer != nil || r.Body.By == x.By {
			continue
		}
		r.Answer = x
		if x.Outcome != "agreed" {
			return
		}
		b.credit(Credit{Seq: r.Entry, Kind: "policy_version", Unit: Unit{"thing", v.Body.Document}, From: int64(r.At), Recorded: int64(e.Time), Item: "review " + r.Body.Outcome})
		if v.Until == 0 && v.From != 0 {
			b.versionCounts(v)
		}
	}
}
