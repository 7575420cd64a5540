package tell

import (
	"cmp"
	"slices"

	"sekisho"
)

// LureBook is the fold of what became of lures. It is a view. It knows people
// only as the ledger does: those who are written to by their ordinals, those who
// did something by pseudonyms, and nothing that joins the two.
type LureBook struct {
	campaigns []*campaign         // in the order in which they were asked for
	open      map[uint64]*outgone // MailStarted without its MailEnded
	suspects  []Suspect
	links     map[uint32]uint32 // by staff: ordinal in "lure_link"
}

// A campaign as the ledger has it.
type campaign struct {
	number  uint64
	at      sekisho.Time
	asked   *sekisho.LureAsked
	ready   bool
	staff   []uint32 // ascending
	lure    []uint8
	link    []uint32       // by place: of the secret in "lure_link"; 0: of none
	mailed  []sekisho.Time // by place in staff; 0: not taken
	done    map[uint64][]Deed
	deeds   int
	last    sekisho.Time
	changed uint64 // the entry that last changed what is computed of it
	named   []Naming
	summed  []*sekisho.LureSummed
	forgot  bool
	unclear map[uint32]bool
}

type outgone struct {
	campaign *campaign
	staff    []uint32
}

// A Deed is one thing done with one lure.
type Deed struct {
	Seq   uint64
	At    sekisho.Time
	Did   string
	Visit uint32
	Signs []string
	Lure  uint32
}

// A Naming is a request to join some people's pseudonyms to them.
type Naming struct {
	Number   uint64
	Campaign uint64
	At       sekisho.Time
	Asked    *sekisho.LureNamed
	Decided  *sekisho.LureNamed // nil: it waits
	When     sekisho.Time
	Shown    int // how often it was looked at
}

// State is "asked", "approved", "expired", "rejected" or "withdrawn".
func (n *Naming) State(now sekisho.Time) string {
	switch {
	case n.Decided == nil:
		return "asked"
	case n.Decided.Action == "approved" && now >= n.Decided.Until:
		return "expired"
	}
	return n.Decided.Action
}

// A Suspect is a mail that somebody reported and that was no lure.
type Suspect struct {
	Seq  uint64
	At   sekisho.Time
	Body *sekisho.SuspectReported
}

// NewLureBook is an empty book.
func NewLureBook() *LureBook {
	return &LureBook{open: map[uint64]*outgone{}, links: map[uint32]uint32{}}
}

// Name is the view's.
func (b *LureBook) Name() string { return "lures" }

// Apply folds one entry.
func (b *LureBook) Apply(e *sekisho.Entry) {
	switch body := e.Body.(type) {
	case *sekisho.LureAsked:
		b.campaigns = append(b.campaigns, &campaign{number: e.ID.Seq, at: e.Time, asked: body, done: map[uint64][]Deed{}, last: e.Time, unclear: map[uint32]bool{}})
	case *sekisho.LureLinked:
		for i, o := range body.Staff {
			if b.links[o] == 0 && i < len(body.Links) { // the first counts: pseudonyms were made by it
				b.links[o] = body.Links[i]
			}
		}
	case *sekisho.LureListed:
		if c := b.find(body.Campaign); c != nil && !c.ready && len(body.Staff) == len(body.Lures) {
			c.staff = append(c.staff, body.Staff...)
			for _, o := range body.Staff {
				c.link = append(c.link, b.links[o])
			}
			for _, l := range body.Lures {
				c.lure = append(c.lure, uint8(l))
			}
			c.mailed = append(c.mailed, make([]sekisho.Time, len(body.Staff))...)
			c.ready, c.changed = !body.More, e.ID.Seq
		}
	case *sekisho.MailStarted:
		if c := b.find(body.Mailing); c != nil {
			b.open[e.ID.Seq] = &outgone{c, body.Subjects}
		}
	case *sekisho.MailEnded:
		if w := b.open[body.Started]; w != nil {
			delete(b.open, body.Started)
			w.campaign.changed = e.ID.Seq
			w.campaign.sent(e.Time, body.Taken)
			for _, o := range body.Unclear {
				w.campaign.unclear[o] = true
			}
		}
	case *sekisho.MailSettled:
		if c := b.find(body.Mailing); c != nil {
			c.changed = e.ID.Seq
			for _, o := range body.Subjects {
				delete(c.unclear, o)
			}
			if body.As == "sent" {
				c.sent(e.Time, body.Subjects)
			}
		}
	case *sekisho.MailBounced:
		if c := b.find(body.Mailing); c != nil && body.Final {
			c.changed = e.ID.Seq
			c.sent(0, body.Subjects)
		}
	case *sekisho.LureSeen:
		if c := b.find(body.Campaign); c != nil {
			c.done[body.Who] = append(c.done[body.Who], Deed{e.ID.Seq, e.Time, body.Did, body.Visit, body.Signs, body.Lure})
			c.deeds++
			c.last, c.changed = e.Time, e.ID.Seq
		}
	case *sekisho.LureNamed:
		b.named(e, body)
	case *sekisho.LureSummed:
		if c := b.find(body.Campaign); c != nil {
			c.summed, c.changed = append(c.summed, body), e.ID.Seq
		}
	case *sekisho.LureForgotten:
		if c := b.find(body.Campaign); c != nil {
			c.forgot, c.changed = true, e.ID.Seq
		}
	case *sekisho.SuspectReported:
		b.suspects = append(b.suspects, Suspect{e.ID.Seq, e.Time, body})
	}
}

func (b *LureBook) named(e *sekisho.Entry, body *sekisho.LureNamed) {
	c := b.find(body.Campaign)
	if c == nil {
		return
	}
	if body.Action == "asked" {
		c.named = append(c.named, Naming{Number: e.ID.Seq, Campaign: c.number, At: e.Time, Asked: body})
		return
	}
	i := slices.IndexFunc(c.named, func(n Naming) bool { return n.Number == body.Request })
	if i < 0 {
		return
	}
	switch n := &c.named[i]; {
	case body.Action == "shown":
		n.Shown++
	case n.Decided == nil && (body.Action != "approved" || body.By != n.Asked.By):
		n.Decided, n.When = body, e.Time
	}
}

func (c *campaign) sent(at sekisho.Time, staff []uint32) {
	for _, o := range staff {
		if i, ok := slices.BinarySearch(c.staff, o); ok {
			c.mailed[i] = at
		}
	}
}

// placeOf is somebody's place in the list; -1 if they are not in it.
func (c *campaign) placeOf(staff uint32) int {
	if i, ok := slices.BinarySearch(c.staff, staff); ok {
		return i
	}
	return -1
}

func (b *LureBook) find(number uint64) *campaign {
	i, ok := slices.BinarySearchFunc(b.campaigns, number, func(c *campaign, n uint64) int { return cmp.Compare(c.number, n) })
	if !ok {
		return nil
	}
	return b.campaigns[i]
}

// Numbers are all campaigns whose list is whole, the latest first.
func (b *LureBook) Numbers() (list []uint64) {
	for _, c := range slices.Backward(b.campaigns) {
		if c.ready {
			list = append(list, c.number)
		}
	}
	return list
}

// Suspects are the mails that were reported and were no lures, since a time.
func (b *LureBook) Suspects(since sekisho.Time) (list []Suspect) {
	for _, s := range slices.Backward(b.suspects) {
		if s.At < since {
			break
		}
		list = append(list, s)
	}
	return list
}

// Deeds counts what was recorded of a campaign.
func (b *LureBook) Deeds(number uint64) (n int, last sekisho.Time) {
	if c := b.find(number); c != nil {
		return c.deeds, c.last
	}
	return 0, 0
}

// Namings are the requests to see single people of a campaign, the latest first.
func (b *LureBook) Namings(number uint64) (list []Naming) {
	if c := b.find(number); c != nil {
		list = slices.Clone(c.named)
		slices.Reverse(list)
	}
	return list
}

// Waits counts the requests of all campaigns that nobody has answered.
func (b *LureBook) Waits() (n int) {
	for _, c := range b.campaigns {
		for i := range c.named {
			if c.named[i].Decided == nil {
				n++
			}
		}
	}
	return n
}
