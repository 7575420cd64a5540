package tell

import (
	"cmp"
	"slices"

	"sekisho"
)

// A Text is one version of something that is said about an incident.
type Text struct {
	Number   uint64       `json:"number"` // sequence number of its TextWritten
	At       sekisho.Time `json:"at"`
	Body     *sekisho.TextWritten
	Says     []Said // what people said to it, in order
	Replaced uint64 // sequence number of the version that came after; 0 if it is the last
}

// Said is one decision about a text or a mailing.
type Said struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"at"`
	Action string       `json:"action"`
	Reason uint32       `json:"reason"` // ordinal in "said"
	By     uint32       `json:"by"`     // ordinal in "staff"
}

// TextState is how far a version has come.
type TextState string

const (
	Written  TextState = "written"
	Proposed TextState = "proposed"
	Approved TextState = "approved"
	Rejected TextState = "rejected"
)

// State is what the decisions make of the text: a proposal, then the word of
// another person. A rejected or withdrawn proposal leaves the version as it was
// written; it may be proposed again.
func (t *Text) State() (s TextState, proposer uint32) {
	s = Written
	for _, d := range t.Says {
		switch {
		case d.Action == "proposed" && s != Approved:
			s, proposer = Proposed, d.By
		case d.Action == "approved" && s == Proposed && d.By != proposer:
			s = Approved
		case d.Action == "rejected" && s == Proposed:
			s = Rejected
		case d.Action == "withdrawn" && s == Proposed:
			s = Written
		}
	}
	return s, proposer
}

// HandedOver is the last time that the text was given to whom it is for.
func (t *Text) HandedOver() (d Said, ok bool) {
	for _, d = range slices.Backward(t.Says) {
		if d.Action == "handed_over" {
			return d, true
		}
	}
	return Said{}, false
}

// Key names what the versions of a text have in common.
type Key struct {
	Incident              uint64
	Form, About, Language string
}

func keyOf(b *sekisho.TextWritten) Key { return Key{b.Incident, b.Form, b.About, b.Language} }

// Book is the fold of all texts and mailings. It is a view.
type Book struct {
	texts    map[uint64]*Text
	versions map[Key][]*Text // in the order in which they were written
	mailings []*Mailing      // in the order in which they were asked for
	open     map[uint64]*window
}

// NewBook is an empty book.
func NewBook() *Book {
	return &Book{texts: map[uint64]*Text{}, versions: map[Key][]*Text{}, open: map[uint64]*window{}}
}

// Name is the view's.
func (b *Book) Name() string { return "tell" }

// Apply folds one entry.
func (b *Book) Apply(e *sekisho.Entry) {
	switch body := e.Body.(type) {
	case *sekisho.TextWritten:
		t := &Text{Number: e.ID.Seq, At: e.Time, Body: body}
		k := keyOf(body)
		if n := len(b.versions[k]); n > 0 {
			b.versions[k][n-1].Replaced = t.Number
		}
		b.texts[t.Number], b.versions[k] = t, append(b.versions[k], t)
	case *sekisho.TextDecided:
		if t := b.texts[body.Text]; t != nil {
			t.Says = append(t.Says, Said{e.ID.Seq, e.Time, body.Action, body.Reason, body.By})
		}
	case *sekisho.MailingAsked:
		m := newMailing(e, body)
		if n := len(b.mailings); n > 0 && m.joins(b.mailings[n-1]) {
			m.act = b.mailings[n-1].act
			m.act.lists = append(m.act.lists, m)
		}
		b.mailings = append(b.mailings, m)
	case *sekisho.MailingListed:
		if m := b.find(body.Mailing); m != nil {
			m.listed(e, body)
		}
	case *sekisho.LureAsked:
		m := newMailing(e, &sekisho.MailingAsked{List: "lures", Space: "staff", Listed: body.Listed, People: body.People, Reason: body.Reason, By: body.By})
		m.lures = &turns{asked: body}
		b.mailings = append(b.mailings, m)
	case *sekisho.LureListed:
		if m := b.find(body.Campaign); m != nil {
			m.planned(e, body)
		}
	case *sekisho.LureDecided:
		if m := b.find(body.Campaign); m != nil && m.lures != nil {
			m.says = append(m.says, Said{e.ID.Seq, e.Time, body.Action, body.Reason, body.By})
		}
	case *sekisho.MailingDecided:
		if m := b.find(body.Mailing); m != nil && m.lures == nil {
			m.decided(Said{e.ID.Seq, e.Time, body.Action, body.Reason, body.By})
		}
	case *sekisho.MailStarted:
		if m := b.find(body.Mailing); m != nil {
			m.started(e, body)
			b.open[e.ID.Seq] = &window{m, e.ID.Seq, body.Subjects}
		}
	case *sekisho.MailEnded:
		if w := b.open[body.Started]; w != nil {
			delete(b.open, body.Started)
			w.mailing.ended(e, w, body)
		}
	case *sekisho.MailUnsent:
		if m := b.find(body.Mailing); m != nil {
			m.unsent(e, body)
		}
	case *sekisho.MailBounced:
		if m := b.find(body.Mailing); m != nil {
			m.bounced(e, body)
		}
	case *sekisho.MailSettled:
		if m := b.find(body.Mailing); m != nil {
			m.settled(e, body)
		}
	}
}

func (b *Book) find(number uint64) *Mailing {
	i, ok := slices.BinarySearchFunc(b.mailings, number, func(m *Mailing, n uint64) int { return cmp.Compare(m.Number, n) })
	if !ok {
		return nil
	}
	return b.mailings[i]
}

// Text gives a version, to keep.
func (b *Book) Text(number uint64) (Text, bool) {
	t := b.texts[number]
	if t == nil {
		return Text{}, false
	}
	return t.clone(), true
}

func (t *Text) clone() Text {
	c := *t
	c.Says = slices.Clone(t.Says)
	return c
}

// Versions gives all versions of a text, the latest last.
func (b *Book) Versions(k Key) (list []Text) {
	for _, t := range b.versions[k] {
		list = append(list, t.clone())
	}
	return list
}

// Keys lists the texts of an incident, sorted.
func (b *Book) Keys(incident uint64) (list []Key) {
	for k := range b.versions {
		if k.Incident == incident {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(x, y Key) int {
		return cmp.Or(cmp.Compare(x.Form, y.Form), cmp.Compare(x.About, y.About), cmp.Compare(x.Language, y.Language))
	})
	return list
}

// Approved gives the latest approved version of a text.
func (b *Book) Approved(k Key) (Text, bool) {
	for _, t := range slices.Backward(b.versions[k]) {
		if s, _ := t.State(); s == Approved {
			return t.clone(), true
		}
	}
	return Text{}, false
}

// Status gives the state of a mailing, to keep. A campaign of lures is none.
func (b *Book) Status(number uint64) (Status, bool) {
	m := b.find(number)
	if m == nil || m.lures != nil {
		return Status{}, false
	}
	return m.status(), true
}

// Campaign gives the state of a campaign's mails, to keep.
func (b *Book) Campaign(number uint64) (Status, bool) {
	m := b.find(number)
	if m == nil || m.lures == nil {
		return Status{}, false
	}
	return m.status(), true
}

// TextsWith gives the texts of a mailing, and of those asked for with it.
func (b *Book) TextsWith(number uint64) (list []uint64) {
	if m := b.find(number); m != nil {
		for _, o := range m.act.lists {
			list = append(list, o.Body.Texts...)
		}
	}
	return list
}

// Mailings lists the mailings of an incident (0: of all), the latest first.
func (b *Book) Mailings(incident uint64) (list []Status) {
	for _, m := range slices.Backward(b.mailings) {
		if m.lures == nil && (incident == 0 || m.Body.Incident == incident) {
			list = append(list, m.status())
		}
	}
	return list
}

// In gives the people of a mailing who stand so, ascending, no more than most
// (0: all).
func (b *Book) In(number uint64, most int, states ...Fate) (list []uint32) {
	m := b.find(number)
	if m == nil {
		return nil
	}
	for ord, s := range m.fates {
		if slices.Contains(states, s) {
			if list = append(list, uint32(ord)); most > 0 && len(list) == most {
				return list
			}
		}
	}
	return list
}

// FateOf is how a person stands in a mailing.
func (b *Book) FateOf(number uint64, ord uint32) Fate {
	if m := b.find(number); m != nil {
		return m.fate(ord)
	}
	return Nobody
}

// ToTell takes out of an ascending list whom a mailing for a revision must not
// write to: everybody who is in another mailing for the same revision, and,
// unless again is set, in one for any revision of the incident. People whose
// turn did not come before their mailing ended are free again. The list is
// changed in place.
func (b *Book) ToTell(incident, revision uint64, space string, again bool, list []uint32) []uint32 {
	var others []*Mailing
	for _, m := range b.mailings {
		a := m.Body
		if m.lures == nil && a.Incident == incident && a.Space == space && (!again || a.Revision == revision) && m.holds() {
			others = append(others, m)
		}
	}
	return slices.DeleteFunc(list, func(ord uint32) bool {
		return slices.ContainsFunc(others, func(m *Mailing) bool { return m.keeps(ord) })
	})
}

// Unfinished gives the MailStarted entries that have no MailEnded, ascending:
// those under way, or, in a process that has sent nothing yet, those in the midst
// of which the last one ended.
func (b *Book) Unfinished() (list []uint64) {
	for seq := range b.open {
		list = append(list, seq)
	}
	slices.Sort(list)
	return list
}

// WindowOf gives the mailing and the people of an unfinished MailStarted.
func (b *Book) WindowOf(started uint64) (mailing uint64, people []uint32) {
	if w := b.open[started]; w != nil {
		return w.mailing.Number, w.subjects
	}
	return 0, nil
}

func (b *Book) isLures(number uint64) bool {
	m := b.find(number)
	return m != nil && m.lures != nil
}
