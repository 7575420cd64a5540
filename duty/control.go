package duty

import "sekisho"

// Claimed is what is claimed of one control.
type Claimed struct {
	Seq  uint64
	At   int64
	Body *sekisho.ControlStated
}

// controlStated keeps the latest line about a control, and says by a credit
// what it is worth: a claim without an entry that bears it out is one's own word.
func (b *Book) controlStated(e *sekisho.Entry, x *sekisho.ControlStated) {
	key := x.Instrument + "/" + x.Control
	if before := b.controls[key]; before != nil {
		b.withdraw(before.Seq)
	}
	b.controls[key] = &Claimed{e.ID.Seq, int64(e.Time), x}
	b.claims = e.ID.Seq
	i := b.setup.Register.Instrument(x.Instrument)
	if i == nil {
		return
	}
	if !i.control(x.Control) || !x.Applicable {
		return
	}
	c := Credit{Seq: e.ID.Seq, Kind: "control_claim", Unit: ControlUnit(i.ID, x.Control), From: int64(x.From), Until: int64(x.Review), Recorded: int64(e.Time), Item: x.Claim}
	switch {
	case x.Claim == "unknown":
		return
	case x.Claim != "implemented":
		c.State = x.Claim
	case len(x.Basis) == 0:
		c.State = Declared
	}
	b.credit(c)
}

// Claimed is the line of a control, if there is one.
func (b *Book) Claimed(instrument, ref string) (Claimed, bool) {
	c := b.controls[instrument+"/"+ref]
	if c == nil {
		return Claimed{}, false
	}
	return *c, true
}
