package console

import (
	"time"

	"sekisho"
	"sekisho/duty"
)

// The year of checks at a glance.

// A checkPicture is one row of marks for each noun: where its checks lie in the
// year.
type checkPicture struct {
	From, Until sekisho.Time
	Now         float64
	Rows        []checkRow
}

type checkRow struct {
	Noun  string
	Y     int
	Marks []checkMark
}

type checkMark struct {
	X      float64
	Number uint64
	State  string
}

const yearBack, yearAhead = 270 * 24 * time.Hour, 180 * 24 * time.Hour

// draw puts each check where its day is.
func (p *checkPicture) draw(list []CheckLine, now sekisho.Time) {
	const width = 1000.0
	span := float64(p.Until - p.From)
	at := func(t sekisho.Time) float64 { return width * float64(t-p.From) / span }
	p.Now = at(now)
	for _, n := range duty.Nouns() {
		row := checkRow{Noun: n.Name, Y: 22*len(p.Rows) + 14}
		for _, l := range list {
			when := l.Held
			if when == 0 {
				when = l.Due
			}
			if l.Noun == n.Name && when >= p.From && when < p.Until && l.State != "cancelled" {
				row.Marks = append(row.Marks, checkMark{at(when), l.Number, l.State})
			}
		}
		if len(row.Marks) > 0 {
			p.Rows = append(p.Rows, row)
		}
	}
}

// Height is the picture's.
func (p checkPicture) Height() int { return 22*len(p.Rows) + 6 }
