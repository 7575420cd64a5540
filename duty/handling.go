package duty

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"sekisho"
)

// What the handling rules and the catalog say of the stores: which have a
// category in every column.

// HandlingRead is the last word on which rules hold, and when it was said; nil:
// there is none yet.
func (b *Book) HandlingRead() (*sekisho.HandlingRead, sekisho.Time) {
	return b.handling.last, b.handling.at
}

type handling struct {
	last   *sekisho.HandlingRead
	at     sekisho.Time
	labels []Credit // of the last word

	labelled []Label
}

// handled: each protected table is a store that is counted; it has its labels if
// every column has a category of which approved rules speak. What was said before
// held until now.
func (b *Book) handled(e *sekisho.Entry, x *sekisho.HandlingRead) {
	if len(x.Stores) != len(x.Columns) || len(x.Stores) != len(x.Unnamed) {
		return
	}
	b.handling.last, b.handling.at = x, e.Time
	was := map[Unit]bool{}
	for i, c := range b.handling.labels {
		if i == 0 {
			b.withdraw(c.Seq) // all of them
		}
		was[c.Unit] = true
		if c.Until = int64(e.Time); c.Until > c.From {
			b.credit(c)
		}
	}
	b.handling.labels = nil
	for i, s := range x.Stores {
		state := ""
		switch {
		case x.Version == 0:
			state = "unapproved"
		case x.Unnamed[i] > 0:
			state = "unlabelled"
		}
		u := Unit{"thing", s}
		if !was[u] {
			b.enlist("store", Member{Unit: u, From: int64(e.Time)})
		}
		delete(was, u)
		c := Credit{Seq: e.ID.Seq, Kind: "category_label", Unit: u, From: int64(e.Time), Recorded: int64(e.Time), Item: strings.Join(x.Unruled.Names(), ","), State: state}
		b.handling.labels = append(b.handling.labels, c)
		b.credit(c)
	}
	for _, u := range slices.SortedFunc(maps.Keys(was), func(a, b Unit) int { return cmp.Compare(a.Ordinal, b.Ordinal) }) {
		b.strike("store", u, int64(e.Time))
	}
}

// A Label is what something bears that left the house.
type Label struct {
	Seq  uint64
	At   sekisho.Time
	Body *sekisho.Labelled
}

// mostLabels are kept; the ledger has all.
const mostLabels = 10_000

// Labels are the latest, the last one last.
func (b *Book) Labels() []Label { return b.handling.labelled }

// Label is one of them.
func (b *Book) Label(seq uint64) (Label, bool) {
	i, ok := slices.BinarySearchFunc(b.handling.labelled, seq, func(l Label, seq uint64) int { return cmp.Compare(l.Seq, seq) })
	if !ok {
		return Label{}, false
	}
	return b.handling.labelled[i], true
}

func (b *Book) labelled(e *sekisho.Entry, x *sekisho.Labelled) {
	b.handling.labelled = append(b.handling.labelled, Label{e.ID.Seq, e.Time, x})
	if n := len(b.handling.labelled); n >= 2*mostLabels {
		b.handling.labelled = slices.Clone(b.handling.labelled[n-mostLabels:])
	}
}
