package trace

import (
	"cmp"
	"slices"

	"sekisho"
)

// AnyRow gives the accesses to a space of which it cannot be told whose data
// they read, and that were not taken back, the newest first.
func (t *Trace) AnyRow(space string) []Access {
	var found []Access
	for _, end := range t.endpoints {
		for _, r := range end.anyRow {
			if r.gone || t.shapes[r.shape].body.Space != space {
				continue
			}
			a := t.facts(r.sess, r.shape)
			a.ID, a.Seq, a.At, a.Number, a.Reach, a.Class = t.id(r.seq).String(), r.seq, r.at, r.number, r.reach, sekisho.AnyRow
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b Access) int { return cmp.Compare(b.Seq, a.Seq) })
	return found
}

// Began is when the ledger began; 0 if it is empty.
func (t *Trace) Began() sekisho.Time {
	if len(t.epochs) == 0 {
		return 0
	}
	return t.epochs[0].from
}
