package duty

import (
	"sekisho"
)

// Evidence that sekisho makes of entries which exist for other reasons.

// made is what the book keeps for that.
type made struct {
	today    Span              // the day of the last entry
	counting map[uint64]uint64 // session: the statement of it that was counted last
	sessions map[uint64]bool   // sessions at the gate that read customers' data: counted
	opened   map[uint64]*sekisho.SessionOpened
	postures map[string][]posture // by endpoint, in the order of their beginnings
	cases    map[uint64]enquiry
	drills   map[string]int64 // exercises that run: when they began
	incident uint64           // the last entry about an incident
}

type enquiry struct {
	at    int64
	kind  string
	reply int64
}

type posture struct {
	Span
	good bool
}

func newMade() made {
	return made{counting: map[uint64]uint64{}, sessions: map[uint64]bool{}, opened: map[uint64]*sekisho.SessionOpened{}, postures: map[string][]posture{},
		cases: map[uint64]enquiry{}, drills: map[string]int64{}}
}

// A counter counts cases of a continuous duty by day: those that were right, of
// all. What is neither is unknown.
type counter struct {
	days    map[int64]*Tally
	wrong   []uint64 // some of the entries that were not right, newest last
	changed uint64
}

const maxWrong = 200

// count counts one case of the day. State: counts is right, pending unknown.
func (b *Book) count(name string, how worth) {
	if b.at < b.made.today.From || b.at >= b.made.today.Until {
		from := b.calendar.dayOf(b.at)
		b.made.today = Span{from, b.calendar.nextDay(from)}
	}
	c := b.counters[name]
	if c == nil {
		c = &counter{days: map[int64]*Tally{}}
		b.counters[name] = c
	}
	t := c.days[b.made.today.From]
	if t == nil {
		t = &Tally{}
		c.days[b.made.today.From] = t
	}
	t.Den++
	switch how {
	case counts:
		t.Num++
	case pending:
		t.Dark++
	default:
		if len(c.wrong) >= maxWrong {
			c.wrong = c.wrong[1:]
		}
		c.wrong = append(c.wrong, b.seq)
	}
	c.changed = b.seq
}

func (b *Book) counted(d *Duty, j *Judged) (t Tally) {
	c := b.counters[d.Population]
	if c == nil {
		return t
	}
	for day, one := range c.days {
		if day >= b.calendar.dayOf(j.from) && day < j.Window.Until {
			t.plus(*one)
		}
	}
	return t
}

// The counters.
const (
	accesses = "counter:access"
	postures = "counter:posture"
	offsites = "counter:offsite"
)

// posture says how a terminal was found, and until when that holds.
func (b *Book) posture(endpoint string, from, until int64, good bool) {
	b.made.postures[endpoint] = append(b.made.postures[endpoint], posture{Span{from, until}, good})
}

// found is what the last finding about a terminal is worth at a time.
func (b *Book) found(endpoint string, t int64) worth {
	list := b.made.postures[endpoint]
	for n := len(list) - 1; n >= 0; n-- {
		if p := list[n]; p.From <= t {
			switch {
			case t >= p.Until:
				return pending
			case p.good:
				return counts
			}
			return nothing
		}
	}
	return pending
}

// make folds the entries of which sekisho itself makes evidence.
func (b *Book) make(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.SessionOpened:
		b.made.opened[e.ID.Seq] = x
	case *sekisho.SessionClosed:
		delete(b.made.opened, x.Session)
		delete(b.made.counting, x.Session)
		delete(b.made.sessions, x.Session)
	case *sekisho.LedgerOpened:
		// What was open in another life of the process is not any more.
		clear(b.made.opened)
		clear(b.made.counting)
		clear(b.made.sessions)
	case *sekisho.Access:
		b.access(x)
	case *sekisho.LedgerVerified:
		from := b.calendar.dayOf(b.at)
		c := Credit{Seq: e.ID.Seq, Kind: "ledger_witness", Unit: Group, From: from, Until: b.calendar.nextDay(from), Recorded: b.at, Item: "chain"}
		if !x.OK {
			c.State = "broken"
		}
		b.credit(c)
	case *sekisho.DrillStep:
		b.exercise(e, x)
	case *sekisho.EnquiryReceived, *sekisho.EnquiryAnswered, *sekisho.EnquiryClosed:
		b.enquiry(e)
	}
	if k := e.Body.Kind(); k >= sekisho.KindAlert && k <= sekisho.KindFileMatched || k >= sekisho.KindFactStated && k <= sekisho.KindLegalFactStated {
		b.made.incident = e.ID.Seq
	}
}

// access: each statement over customers' data has a purpose, or not; and each
// session that made one came from a terminal whose state was known, or not.
func (b *Book) access(x *sekisho.Access) {
	if n, known := b.made.counting[x.Session]; known && n == x.Number {
		return // another chunk, or another subject, of the same statement
	}
	b.made.counting[x.Session] = x.Number
	how := nothing
	if x.Purpose != 0 {
		how = counts
	}
	b.count(accesses, how)
	if b.made.sessions[x.Session] {
		return
	}
	b.made.sessions[x.Session] = true
	how = pending // at a terminal of which the ledger knows nothing
	if s := b.made.opened[x.Session]; s != nil {
		if how = b.found(s.Endpoint, b.at); !s.Verified {
			how = nothing
		}
	}
	b.count(postures, how)
}

// exercise: one that ran to its end counts as a drill of the group's CSIRT.
func (b *Book) exercise(e *sekisho.Entry, x *sekisho.DrillStep) {
	switch x.Action {
	case "began":
		b.made.drills[x.Case] = b.at
	case "ended":
		from, ok := b.made.drills[x.Case]
		if !ok {
			return
		}
		delete(b.made.drills, x.Case)
		b.credit(Credit{Seq: e.ID.Seq, Kind: "drill_run", Unit: Group, From: from, Until: b.at, Recorded: b.at, Item: "exercise/" + x.Case})
	}
}

// enquiry: a case has two clocks, to the first reply and to its end.
func (b *Book) enquiry(e *sekisho.Entry) {
	give := func(number uint64, c enquiry, reply, closed int64) {
		b.withdraw(number)
		for _, one := range []struct {
			item string
			done int64
		}{{"reply", reply}, {"close", closed}} {
			b.credit(Credit{Seq: number, Kind: c.kind, Unit: Group, From: c.at, Until: one.done, Recorded: b.at, Item: one.item})
		}
	}
	switch x := e.Body.(type) {
	case *sekisho.EnquiryReceived:
		c := enquiry{at: b.at, kind: "contact_case"}
		switch x.Asked {
		case "disclosure", "correction", "stop":
			c.kind = "dsar_case" // what the act gives a right to
		}
		b.made.cases[e.ID.Seq] = c
		give(e.ID.Seq, c, 0, 0)
	case *sekisho.EnquiryAnswered:
		if c, ok := b.made.cases[x.Enquiry]; ok && c.reply == 0 {
			c.reply = b.at
			b.made.cases[x.Enquiry] = c
			give(x.Enquiry, c, c.reply, 0)
		}
	case *sekisho.EnquiryClosed:
		if c, ok := b.made.cases[x.Enquiry]; ok {
			delete(b.made.cases, x.Enquiry)
			if x.Reason == "withdrawn" || x.Reason == "duplicate" {
				b.withdraw(x.Enquiry) // no case
				return
			}
			if c.reply == 0 {
				c.reply = b.at
			}
			give(x.Enquiry, c, c.reply, b.at)
		}
	}
}
