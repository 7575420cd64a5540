package survey

import "context"

// Lending is how several gates share budgets, as the running sekisho knows it.
// Numbers are of customers; times are as they are shown.
type Lending struct {
	Silent      []string // gates that may ask, and have not since sekisho began
	Claimed     []string // gates that said to hold more than they were granted, and how much, as it is shown
	Lapsed      uint64   // of shares whose gate has not asked again in time
	LapsedUntil string   // so long they count
	Left        uint64   // what others hold of a house that grants none any more
	LeftUntil   string
	Away        string // why the gate that grants shares is not reached
}

func (d *doctor) shares(ctx context.Context) {
	if d.p.Shares != nil {
		if err := d.p.Shares(ctx); err != nil {
			d.note(Failure, "shares", d.p.With, err)
		} else {
			d.note(OK, "shares", d.p.With)
		}
	}
	l := d.p.Lending
	if l == nil {
		return
	}
	if l.Away != "" {
		d.note(Failure, "shares_away", d.p.With, l.Away)
	}
	if len(l.Silent) > 0 {
		d.note(Warning, "shares_silent", l.Silent)
	}
	if len(l.Claimed) > 0 {
		d.note(Warning, "shares_claimed", l.Claimed)
	}
	if l.Lapsed > 0 {
		d.note(Warning, "shares_lapsed", l.Lapsed, l.LapsedUntil)
	}
	if l.Left > 0 {
		d.note(Warning, "shares_left", l.Left, l.LeftUntil)
	}
}
