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

// mailed are the windows of a campaign whose mails were taken.
type mailed struct {
	campaigns map[uint64][]reach // by LureAsked; there: it is a campaign
	started   map[uint64]uint64  // MailStarted → its campaign, while it is open
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
			b.mailed = mailed{map[uint64][]reach{}, map[uint64]uint64{}}
		}
		b.mailed.campaigns[e.ID.Seq] = nil
	case *sekisho.MailStarted:
		if _, ok := b.mailed.campaigns[body.Mailing]; ok {
			b.mailed.started[e.ID.Seq] = body.Mailing
		}
	case *sekisho.MailEnded:
		if campaign, ok := b.mailed.started[body.Started]; ok {
			delete(b.mailed.started, body.Started)
			b.reached(campaign, reach{e.ID.Seq, at, body.Taken})
		}
	case *sekisho.MailSettled:
		if _, ok := b.mailed.campaigns[body.Mailing]; ok && body.As == "sent" {
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
	b.mailed.campaigns[campaign] = append(b.mailed.campaigns[campaign], w)
	b.creditReached(campaign, w)
}

func (b *Book) creditReached(campaign uint64, w reach) {
	for _, o := range w.staff {
		b.credit(Credit{Seq: w.seq, Kind: "phish_result", Unit: Unit{"staff", o}, From: w.at, Recorded: w.at, Item: strconv.FormatUint(campaign, 10)})
	}
}

// cameBack takes the credit of those back whose lure was not delivered after all.
func (b *Book) cameBack(body *sekisho.MailBounced) {
	windows := b.mailed.campaigns[body.Mailing]
	for i, w := range windows {
		rest := slices.DeleteFunc(slices.Clone(w.staff), func(o uint32) bool { return slices.Contains(body.Subjects, o) })
		if len(rest) == len(w.staff) {
			continue
		}
		b.withdraw(w.seq)
		windows[i].staff = rest
		b.creditReached(body.Mailing, windows[i])
	}
}
