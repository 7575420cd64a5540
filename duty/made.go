package duty

import "sekisho"

// made is what the book keeps to make evidence of entries that exist for other
// reasons.
type made struct{}

func newMade() made { return made{} }

// make folds the entries of which sekisho itself makes evidence.
func (b *Book) make(*sekisho.Entry) {}

// A counter counts cases of a continuous duty by day: those that were right, of
// all.
type counter struct {
	days    map[int64]*Tally
	changed uint64
}

func (b *Book) counted(d *Duty, j *Judged) (t Tally) {
	c := b.counters[d.Population]
	if c == nil {
		return t
	}
	for day, one := range c.days {
		if day >= j.from && day < j.Window.Until {
			t.plus(*one)
		}
	}
	return t
}
