package duty

import (
	"slices"

	"sekisho"
)

// A stock-taking counts when somebody stood before every asset of it, and two
// people signed for what was found. What was missing counts as missing, whoever
// signed.
var stocktake = Noun{Name: "stocktake", Evidence: "asset_entry", Space: "thing", Of: "asset", Parties: [2]string{"owner", "witness"}}

// AssetKinds are what an asset is; each asset has one of them as a trait.
func AssetKinds() []string { return []string{"digital", "media", "paper", "room"} }

// The trait of assets on which the safety of flights hangs: the protected list of
// the response (duty F1).
const flightSafety = "flight_safety"

// A Sight is what a stock-taking found of one asset.
type Sight struct {
	Check  uint64
	Entry  uint64
	At     sekisho.Time
	State  string // "seen", "elsewhere", "damaged", "missing"
	Pieces uint64
	Note   uint32
	By     uint32
}

// An End is one destruction, or return, of an asset, as somebody states it.
type End struct {
	Entry    uint64
	At       sekisho.Time
	Body     *sekisho.AssetEnded
	Answers  []Witness // of the witnesses
	Complete sekisho.Time
	Disputed bool
	Gone     bool // withdrawn
}

// A Witness is what one of them says.
type Witness struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.AssetEnded
}

// Waits is how many witnesses are still to say that they saw it.
func (e *End) Waits() int {
	n := int(e.Body.Witnesses)
	for _, a := range e.Answers {
		if a.Body.Action == "witnessed" {
			n--
		}
	}
	return max(n, 0)
}

// Spoke: somebody stated the end, or has answered.
func (e *End) Spoke(staff uint32) bool {
	return e.Body.By == staff || slices.ContainsFunc(e.Answers, func(a Witness) bool { return a.Body.By == staff })
}

// An Asset is what is known of one beside its line in the register.
type Asset struct {
	Seen []Sight
	Ends []*End
}

type assets struct {
	assets map[uint32]*Asset
	ends   map[uint64]*End
}

func (a *assets) init() { a.assets, a.ends = map[uint32]*Asset{}, map[uint64]*End{} }

// Asset is what is known of a thing; nil if nobody has seen or ended it.
func (b *Checks) Asset(thing uint32) *Asset { return b.assets.assets[thing] }

// End is the one of that entry, or nil.
func (b *Checks) End(entry uint64) *End { return b.ends[entry] }

func (b *Checks) asset(thing uint32) *Asset {
	a := b.assets.assets[thing]
	if a == nil {
		a = &Asset{}
		b.assets.assets[thing] = a
	}
	return a
}

// Open is the end of an asset that waits for witnesses, or nil.
func (a *Asset) Open() *End {
	if a == nil {
		return nil
	}
	for _, e := range a.Ends {
		if e.Complete == 0 && !e.Gone && !e.Disputed {
			return e
		}
	}
	return nil
}

// Destroyed is when an asset was destroyed, all witnesses having said so; 0: it
// was not.
func (a *Asset) Destroyed() sekisho.Time {
	if a == nil {
		return 0
	}
	for _, e := range a.Ends {
		if e.Complete != 0 {
			return e.Body.At
		}
	}
	return 0
}

// AssetState is an asset's at a moment: "destroyed", "disputed", "destroying" (a
// witness is to come), "overdue" (kept beyond its end), "missing", "damaged",
// "elsewhere", "seen", "unseen" (never, or not for a year).
func (b *Checks) AssetState(t *Thing, now sekisho.Time) string {
	a := b.assets.assets[t.Ordinal]
	switch {
	case a.Destroyed() != 0:
		return "destroyed"
	case a != nil && slices.ContainsFunc(a.Ends, func(e *End) bool { return e.Disputed && !e.Gone }):
		return "disputed"
	case a.Open() != nil:
		return "destroying"
	case t.Body.Until != 0 && t.Body.Until <= now:
		return "overdue"
	case a == nil || len(a.Seen) == 0:
		return "unseen"
	}
	last := a.Seen[len(a.Seen)-1]
	if last.State != "missing" && now > last.At+366*aDay {
		return "unseen"
	}
	return last.State
}

func (b *Checks) assetEntry(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.AssetSeen:
		c := b.byNumber[x.Check]
		if c == nil || c.Body.Noun != stocktake.Name || len(x.States) != len(x.Things) || len(x.Counts) != len(x.Things) || len(x.Notes) != len(x.Things) {
			return
		}
		if c.Seen == nil {
			c.Seen = map[uint32]Sight{}
		}
		for i, t := range x.Things {
			if !slices.Contains(c.Body.Units, t) {
				continue
			}
			s := Sight{c.Number, e.ID.Seq, x.At, x.States[i], x.Counts[i], x.Notes[i], x.By}
			c.Seen[t] = s
			a := b.asset(t)
			a.Seen = append(a.Seen, s)
		}
		c.sealed(e)
		if c.credited { // what is said of single assets may have changed
			b.withdraw(c.Number)
			c.credited = false
		}
		b.prove(c, e)
	case *sekisho.AssetEnded:
		b.assetEnded(e, x)
	}
}

func (b *Checks) assetEnded(e *sekisho.Entry, x *sekisho.AssetEnded) {
	if x.End == 0 {
		if x.Action != "destroyed" {
			return
		}
		end := &End{Entry: e.ID.Seq, At: e.Time, Body: x}
		b.ends[end.Entry] = end
		a := b.asset(x.Thing)
		a.Ends = append(a.Ends, end)
		b.endAsset(end, e)
		return
	}
	end := b.ends[x.End]
	if end == nil || end.Complete != 0 || end.Gone {
		return
	}
	switch x.Action {
	case "withdrawn":
		end.Gone = x.By == end.Body.By
	case "witnessed", "disputed":
		if end.Spoke(x.By) {
			return
		}
		end.Answers = append(end.Answers, Witness{e.ID.Seq, e.Time, x})
		end.Disputed = end.Disputed || x.Action == "disputed"
		b.endAsset(end, e)
	}
}

// endAsset: what all witnesses saw is no more, and is counted no more.
func (b *Checks) endAsset(end *End, e *sekisho.Entry) {
	if end.Disputed || end.Waits() > 0 {
		return
	}
	end.Complete = e.Time
	b.strike("asset", Unit{"thing", end.Body.Thing}, int64(end.Body.At))
}

// unseen: an asset of a stock-taking that nobody has stood before.
func (c *Check) unseen() bool {
	return slices.ContainsFunc(c.Body.Units, func(u uint32) bool { _, ok := c.Seen[u]; return !ok })
}

// proveStocktake gives each asset its own credit, and the protected list its, if
// all of it was among them.
func (b *Checks) proveStocktake(c *Check, e *sekisho.Entry, state string) {
	if state == Unsigned { // one person's word is not enough, whatever the row asks for
		state = Declared
	}
	for _, u := range c.Body.Units {
		one := state
		if c.Seen[u].State == "missing" {
			one = "missing"
		}
		at := c.Held
		if s, ok := c.Seen[u]; ok {
			at = s.At
		}
		b.credit(Credit{Seq: c.Number, Kind: stocktake.Evidence, Unit: Unit{"thing", u}, From: int64(at), Recorded: int64(e.Time), Item: itemOf(c), State: one, Value: int64(min(c.Seen[u].Pieces, 1<<62))})
	}
	protected := 0
	for _, t := range b.order {
		if t.Body.Noun != "asset" || !t.Has(flightSafety) || t.Retired() || b.assets.assets[t.Ordinal].Destroyed() != 0 {
			continue
		}
		protected++
		if !slices.Contains(c.Body.Units, t.Ordinal) {
			return
		}
		if c.Seen[t.Ordinal].State == "missing" {
			state = "missing"
		}
	}
	if protected > 0 {
		b.credit(Credit{Seq: c.Number, Kind: stocktake.Evidence, Unit: Group, From: int64(c.Held), Recorded: int64(e.Time), Item: "protected-list", State: state})
	}
}
