package duty

import (
	"slices"
	"strconv"

	"sekisho"
)

// What drills by mail prove: that a lure reached somebody, and that people
// report. What somebody did with a lure is not here, and nothing on this floor
// can get at it: it is folded two floors up, under pseudonyms. So no evaluation,
// and no sanction, can rest on a click.

// mailed are the campaigns, and which of them a MailStarted belongs to while it
// is open.
type mailed struct {
	campaigns map[uint64]*drilled // by LureAsked
	started   map[uint64]uint64
}

// drilled is a campaign: who got which lure, what each lure teaches, and the
// windows in which mails were taken.
type drilled struct {
	items []string // of the credit, by lure: "bec/812"; none of a campaign that does not say
	staff []uint32 // ascending
	lure  []uint8
	reach []reach
}

// item is what a credit for the lure of somebody is of.
func (c *drilled) item(campaign uint64, staff uint32) string {
	if n, ok := slices.BinarySearch(c.staff, staff); ok && int(c.lure[n]) < len(c.items) {
		return c.items[c.lure[n]]
	}
	return strconv.FormatUint(campaign, 10)
}

type reach struct {
	seq   uint64
	at    int64
	staff []uint32
}

// lured folds the entries of drills by mail.
func (b *Book) lured(e *sekisho.Entry) {
	at := int64(e.Time)
	switch body := e.Body.(type) {
	case *sekisho.LureAsked:
		if b.mailed.campaigns == nil {
			b.mailed = mailed{map[uint64]*drilled{}, map[uint64]uint64{}}
		}
		b.mailed.campaigns[e.ID.Seq] = &drilled{}
	case *sekisho.LureSorted:
		if c := b.mailed.campaigns[body.Campaign]; c != nil && len(c.items) == 0 {
			for _, t := range body.Teaches {
				c.items = append(c.items, t+"/"+strconv.FormatUint(body.Campaign, 10))
			}
		}
	case *sekisho.LureListed:
		if c := b.mailed.campaigns[body.Campaign]; c != nil && len(body.Staff) == len(body.Lures) {
			c.staff = append(c.staff, body.Staff...)
			for _, l := range body.Lures {
				c.lure = append(c.lure, uint8(min(l, 255)))
			}
		}
	case *sekisho.MailStarted:
		if b.mailed.campaigns[body.Mailing] != nil {
			b.mailed.started[e.ID.Seq] = body.Mailing
		}
	case *sekisho.MailEnded:
		if campaign, ok := b.mailed.started[body.Started]; ok {
			delete(b.mailed.started, body.Started)
			b.reached(campaign, reach{e.ID.Seq, at, body.Taken})
		}
	case *sekisho.MailSettled:
		if b.mailed.campaigns[body.Mailing] != nil && body.As == "sent" {
			b.reached(body.Mailing, reach{e.ID.Seq, at, body.Subjects})
		}
	case *sekisho.MailBounced:
		if body.Final {
			b.cameBack(body)
		}
	case *sekisho.LureSeen:
		if body.Did == "reported" { // by a pseudonym: a report of everybody's
			b.credit(Credit{Seq: e.ID.Seq, Kind: "phish_report", Unit: Group, From: at, Recorded: at, Item: strconv.FormatUint(body.Campaign, 10)})
		}
	case *sekisho.SuspectReported:
		b.credit(Credit{Seq: e.ID.Seq, Kind: "phish_report", Unit: Group, From: at, Recorded: at})
	}
}

func (b *Book) reached(campaign uint64, w reach) {
	if len(w.staff) == 0 {
		return
	}
	c := b.mailed.campaigns[campaign]
	c.reach = append(c.reach, w)
	b.creditReached(campaign, w)
}

func (b *Book) creditReached(campaign uint64, w reach) {
	c := b.mailed.campaigns[campaign]
	for _, o := range w.staff {
		b.credit(Credit{Seq: w.seq, Kind: "phish_result", Unit: Unit{"staff", o}, From: w.at, Recorded: w.at, Item: c.item(campaign, o)})
	}
}

// cameBack takes the credit of those back whose lure was not delivered after all.
func (b *Book) cameBack(body *sekisho.MailBounced) {
	c := b.mailed.campaigns[body.Mailing]
	if c == nil {
		return
	}
	for i, w := range c.reach {
		rest := slices.DeleteFunc(slices.Clone(w.staff), func(o uint32) bool { return slices.Contains(body.Subjects, o) })
		if len(rest) == len(w.staff) {
			continue
		}
		b.withdraw(w.seq)
		c.reach[i].staff = rest
		b.creditReached(body.Mailing, c.reach[i])
	}
}
