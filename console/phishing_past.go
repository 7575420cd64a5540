package console

import (
	"slices"
	"strings"

	"sekisho/tell"
)

// mostPast is how many drills the history goes back.
const mostPast = 12

// A PhishingPast is what became of one department's lures over the last drills.
type PhishingPast struct {
	Department string          `json:"department"`
	Drills     []*PhishingCell `json:"drills"` // as many as Over has, the latest first; nil: it had no part, or too few people to be shown apart
}

// A PhishingCell is a department in one drill.
type PhishingCell struct {
	Campaign uint64 `json:"campaign"`
	People   int    `json:"people"`
	tell.Figures
}

// departmentsOver is the history by department. Each drill hides its small groups
// by itself, and what it hides stands here no more than there: the figures are
// those of its own page, also after its people are forgotten.
func (c *Console) departmentsOver(l *tell.Lures, drills []PhishingLine) (list []PhishingPast, err error) {
	rows := map[uint32]int{}
	for n, one := range drills {
		r, err := l.Result(one.Number)
		if err != nil {
			return nil, phishingError(err)
		}
		for _, g := range r.Departments {
			if g.Unit == 0 {
				continue // the small ones together: never the same people
			}
			row, ok := rows[g.Unit]
			if !ok {
				row = len(list)
				rows[g.Unit] = row
				list = append(list, PhishingPast{c.unitLine("unit", g.Unit).Say(), make([]*PhishingCell, len(drills))})
			}
			list[row].Drills[n] = &PhishingCell{one.Number, g.People, g.Figures}
		}
	}
	slices.SortFunc(list, func(a, b PhishingPast) int { return strings.Compare(a.Department, b.Department) })
	return list, nil
}
