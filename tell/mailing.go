package tell

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"sekisho"
)

// Fate is what became of one person's mail.
type Fate byte

const (
	Nobody   Fate = iota // is not in the mailing
	Waiting              // has not been written to
	UnderWay             // the mail may be going out at this moment
	Taken                // the mail server took it, and nothing came back
	Later                // the mail server asked to try again later
	Denied               // it refused for good
	Unsent               // no mail can be sent: no address, none that is good, or too many tries
	Unclear              // nobody can tell whether it went out
	Bounced              // it was taken, and came back
	HeldSent             // was unclear; a person holds it to have gone out
	Posted               // told by another way, as a person says
	fates
)

// Fates are all that somebody in a mailing can have.
func Fates() (list []Fate) {
	for f := Waiting; f < fates; f++ {
		list = append(list, f)
	}
	return list
}

func (f Fate) String() string {
	return [...]string{"nobody", "waiting", "under_way", "taken", "later", "denied", "unsent", "unclear", "bounced", "held_sent", "posted"}[f]
}

// mostTries is how often a person is written to whom the mail server does not
// take at once, and backoffs how long to wait before each: greylisting asks for
// minutes, a full mailbox for days (RFC 5321, 4.5.4.1: give up after 4-5 days).
var backoffs = []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour}

// A Mailing is a frozen list of people and what became of each. It takes one
// byte a person, and two where mail servers ask to try again later.
type Mailing struct {
	Number uint64 // sequence number of its MailingAsked or LureAsked
	At     sekisho.Time
	Body   *sekisho.MailingAsked // of a campaign of lures: what it has in common with one
	lures  *turns                // nil: notices
	act    *act

	ready   bool // the list is whole
	readyAt sekisho.Time
	last    sekisho.Time // of the last thing that happened to it
	says    []Said
	fates   []Fate  // by ordinal
	tries   []uint8 // by ordinal: how often Later; nil until one is
	counts  [fates]uint64
	next    uint32 // nobody below it waits
	later   [][]retry
	why     map[string]uint64 // of those unsent
	bounces map[string]uint64 // of those bounced
}

type retry struct {
	at   sekisho.Time
	ords []uint32
}

// turns are when each person of a campaign is written to.
type turns struct {
	asked *sekisho.LureAsked
	at    []uint32 // by ordinal: seconds after the campaign's start
	order []uint32 // ordinals, the first to be written to first
	next  int      // in order: nobody before it waits
}

// An act is what one person asked for at once: a list for each subject. They are
// approved, rejected or withdrawn together; each is sent, paused and ended by
// itself.
type act struct{ lists []*Mailing }

// joins: this MailingAsked was written beside the one before it, for people of
// another subject.
func (m *Mailing) joins(before *Mailing) bool {
	a, b := m.Body, before.Body
	return before.lures == nil && before.Number+1 == m.Number && a.Incident == b.Incident && a.Revision == b.Revision && a.List == b.List && a.Again == b.Again && a.By == b.By &&
		!slices.ContainsFunc(before.act.lists, func(o *Mailing) bool { return o.Body.Space == a.Space })
}

// whole: its list can be read, and those asked for with it.
func (m *Mailing) whole() bool {
	return !slices.ContainsFunc(m.act.lists, func(o *Mailing) bool { return !o.ready })
}

// decided takes in what somebody says to it, and to those asked for with it.
func (m *Mailing) decided(s Said) {
	if s.Action != "approved" && s.Action != "rejected" && s.Action != "withdrawn" {
		m.says = append(m.says, s)
		return
	}
	for _, o := range m.act.lists {
		o.says = append(o.says, s)
	}
}

type window struct {
	mailing  *Mailing
	seq      uint64
	subjects []uint32
}

// MailingState is what may happen to a mailing.
type MailingState string

const (
	Unlisted  MailingState = "unlisted" // the list was never finished: it is no mailing
	Asked     MailingState = "asked"    // it waits for a second person
	Sending   MailingState = "sending"
	Paused    MailingState = "paused"
	Done      MailingState = "done"  // nobody waits any more
	Ended     MailingState = "ended" // by a person
	Turned    MailingState = "rejected"
	Withdrawn MailingState = "withdrawn"
)

// A Status is a mailing at one moment.
type Status struct {
	Number   uint64                `json:"number"`
	At       sekisho.Time          `json:"at"`
	Asked    *sekisho.MailingAsked `json:"-"`
	Lures    *sekisho.LureAsked    `json:"-"` // of a campaign; else nil
	State    MailingState          `json:"state"`
	Says     []Said                `json:"-"`
	Counts   map[Fate]uint64       `json:"-"`
	Why      map[string]uint64     `json:"why,omitempty"`     // of those unsent
	Bounces  map[string]uint64     `json:"bounces,omitempty"` // by status, of those bounced
	Unclear  uint64                `json:"unclear"`
	ListedAt sekisho.Time          `json:"listed_at"`
	Last     sekisho.Time          `json:"last"`           // when something last happened to it
	With     []uint64              `json:"with,omitempty"` // the lists asked for in one act, itself among them; nil: it alone
}

func newMailing(e *sekisho.Entry, body *sekisho.MailingAsked) *Mailing {
	m := &Mailing{Number: e.ID.Seq, At: e.Time, Body: body, last: e.Time, why: map[string]uint64{}, bounces: map[string]uint64{}}
	m.act = &act{[]*Mailing{m}}
	return m
}

func (m *Mailing) fate(ord uint32) Fate {
	if int(ord) < len(m.fates) {
		return m.fates[ord]
	}
	return Nobody
}

func (m *Mailing) set(ord uint32, to Fate) {
	if from := m.fates[ord]; from != Nobody {
		m.counts[from]--
	}
	m.counts[to]++
	m.fates[ord] = to
	if to == Waiting {
		m.next = min(m.next, ord)
		if m.lures != nil {
			m.lures.next = 0
		}
	}
}

// move gives people another fate, if they have one of those that it can follow.
func (m *Mailing) move(ords []uint32, to Fate, from ...Fate) (moved uint64) {
	for _, o := range ords {
		if slices.Contains(from, m.fate(o)) {
			m.set(o, to)
			moved++
		}
	}
	return moved
}

func (m *Mailing) listed(e *sekisho.Entry, body *sekisho.MailingListed) {
	if m.ready {
		return
	}
	for _, o := range body.Subjects {
		if int(o) >= len(m.fates) {
			// Lists come ascending: grow by a quarter, not by the next ordinal.
			size := max(int(o)+1, len(m.fates)+len(m.fates)/4)
			m.fates = append(m.fates, make([]Fate, size-len(m.fates))...)
		}
		if m.fates[o] == Nobody {
			m.set(o, Waiting)
		}
	}
	m.last = e.Time
	if !body.More {
		m.ready, m.readyAt, m.next = true, e.Time, 0
	}
}

// planned takes in a part of a campaign's list.
func (m *Mailing) planned(e *sekisho.Entry, body *sekisho.LureListed) {
	if m.ready || m.lures == nil || len(body.At) != len(body.Staff) {
		return
	}
	m.listed(e, &sekisho.MailingListed{More: body.More, Subjects: body.Staff})
	l := m.lures
	l.at = append(l.at, make([]uint32, len(m.fates)-len(l.at))...)
	for i, o := range body.Staff {
		l.at[o] = body.At[i]
		l.order = append(l.order, o)
	}
	if !body.More {
		slices.SortStableFunc(l.order, func(a, b uint32) int { return cmp.Compare(l.at[a], l.at[b]) })
	}
}

// turn gives up to n people of a campaign whose time has come.
func (m *Mailing) turn(now sekisho.Time, n int) (ords []uint32) {
	l := m.lures
	for _, o := range l.order[l.next:] {
		if len(ords) >= n || now < l.asked.From+sekisho.Time(l.at[o])*1e6 {
			break
		}
		if m.fates[o] == Waiting {
			ords = append(ords, o)
		}
	}
	return ords
}

func (m *Mailing) started(e *sekisho.Entry, body *sekisho.MailStarted) {
	m.last = e.Time
	m.move(body.Subjects, UnderWay, Waiting, Later)
	m.passed()
}

// ended sorts the people of a window. Who is in no list was not written to.
func (m *Mailing) ended(e *sekisho.Entry, w *window, body *sekisho.MailEnded) {
	m.last = e.Time
	m.move(body.Taken, Taken, UnderWay)
	m.move(body.Denied, Denied, UnderWay)
	m.move(body.Unclear, Unclear, UnderWay)
	if len(body.Later) > 0 && m.tries == nil {
		m.tries = make([]uint8, len(m.fates))
	}
	by := map[uint8][]uint32{}
	for _, o := range body.Later {
		if m.fate(o) == UnderWay {
			m.set(o, Later)
			m.tries[o]++
			by[m.tries[o]] = append(by[m.tries[o]], o)
		}
	}
	for tries, ords := range by {
		for len(m.later) <= int(tries) {
			m.later = append(m.later, nil)
		}
		m.later[tries] = append(m.later[tries], retry{e.Time, ords})
	}
	// A person who had been asked to wait, and whose turn did not come after all,
	// waits like everybody.
	m.move(w.subjects, Waiting, UnderWay)
}

func (m *Mailing) unsent(e *sekisho.Entry, body *sekisho.MailUnsent) {
	m.last = e.Time
	m.why[body.Why] += m.move(body.Subjects, Unsent, Waiting, Later)
	m.passed()
}

// bounced: a report about a mail that was unclear shows that it went out.
func (m *Mailing) bounced(e *sekisho.Entry, body *sekisho.MailBounced) {
	m.last = e.Time
	if !body.Final {
		m.move(body.Subjects, Taken, Unclear, HeldSent)
		return
	}
	m.bounces[body.Status] += m.move(body.Subjects, Bounced, Taken, Unclear, HeldSent)
}

func (m *Mailing) settled(e *sekisho.Entry, body *sekisho.MailSettled) {
	m.last = e.Time
	switch body.As {
	case "sent":
		m.move(body.Subjects, HeldSent, Unclear)
	case "again":
		m.move(body.Subjects, Waiting, Unclear, Denied)
	case "post":
		m.move(body.Subjects, Posted, Unclear, Denied, Unsent, Bounced)
	}
}

// state is what the decisions make of it: as with a text, the asker's word and
// that of another person.
func (m *Mailing) state() MailingState {
	if !m.whole() {
		return Unlisted
	}
	s := Asked
	for _, d := range m.says {
		switch {
		case d.Action == "approved" && s == Asked && d.By != m.Body.By:
			s = Sending
		case d.Action == "rejected" && s == Asked:
			s = Turned
		case d.Action == "withdrawn" && s == Asked:
			s = Withdrawn
		case d.Action == "paused" && s == Sending:
			s = Paused
		case d.Action == "resumed" && s == Paused:
			s = Sending
		case d.Action == "ended" && (s == Sending || s == Paused):
			s = Ended
		}
	}
	if s == Sending && m.counts[Waiting]+m.counts[UnderWay]+m.counts[Later] == 0 {
		return Done
	}
	return s
}

// holds: people in it may be written to, or were.
func (m *Mailing) holds() bool {
	s := m.state()
	return s != Unlisted && s != Turned && s != Withdrawn
}

// keeps: this person is told by this mailing, or was dealt with in it.
func (m *Mailing) keeps(ord uint32) bool {
	switch m.fate(ord) {
	case Nobody:
		return false
	case Waiting, Later:
		return m.state() != Ended
	}
	return true
}

func (m *Mailing) status() Status {
	s := Status{Number: m.Number, At: m.At, Asked: m.Body, State: m.state(), Says: slices.Clone(m.says), Counts: map[Fate]uint64{},
		Why: maps.Clone(m.why), Bounces: maps.Clone(m.bounces), Unclear: m.counts[Unclear], ListedAt: m.readyAt, Last: m.last}
	if m.lures != nil {
		s.Lures = m.lures.asked
	}
	if len(m.act.lists) > 1 {
		for _, o := range m.act.lists {
			s.With = append(s.With, o.Number)
		}
	}
	for f := Waiting; f < fates; f++ {
		s.Counts[f] = m.counts[f]
	}
	return s
}

// due gives up to n people who can be written to now: first those whose mail
// server asked to be tried again, then those who wait. tired are people who were
// tried often enough. The next MailStarted or MailUnsent takes them from here.
func (m *Mailing) due(now sekisho.Time, n int) (ords, tired []uint32) {
	for tries := 1; tries < len(m.later); tries++ {
		list := m.later[tries]
		for len(list) > 0 && len(ords)+len(tired) < n {
			if tries <= len(backoffs) && now < list[0].at+sekisho.Time(backoffs[tries-1].Microseconds()) {
				break
			}
			for _, o := range list[0].ords {
				if m.fate(o) != Later || int(m.tries[o]) != tries {
					continue
				}
				if tries > len(backoffs) {
					tired = append(tired, o)
				} else {
					ords = append(ords, o)
				}
			}
			list = list[1:]
		}
	}
	if m.lures != nil {
		return append(ords, m.turn(now, n-len(ords))...), tired
	}
	for o := int(m.next); o < len(m.fates) && len(ords) < n; o++ {
		if m.fates[o] == Waiting {
			ords = append(ords, uint32(o))
		}
	}
	return ords, tired
}

// passed forgets what due need not look at again.
func (m *Mailing) passed() {
	if l := m.lures; l != nil {
		for l.next < len(l.order) && m.fate(l.order[l.next]) != Waiting {
			l.next++
		}
	}
	for int(m.next) < len(m.fates) && m.fates[m.next] != Waiting {
		m.next++
	}
	for tries, list := range m.later {
		for len(list) > 0 && !slices.ContainsFunc(list[0].ords, func(o uint32) bool { return m.fate(o) == Later && int(m.tries[o]) == tries }) {
			list = list[1:]
		}
		m.later[tries] = list
	}
}
