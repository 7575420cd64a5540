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
