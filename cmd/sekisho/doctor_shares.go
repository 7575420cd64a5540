package main

import (
	"context"
	"fmt"
	"time"

	"sekisho/console"
	"sekisho/house"
	"sekisho/survey"
)

// lending is what the running sekisho knows of budgets that gates share; nil: it
// shares none.
func lending(ctx context.Context, c *house.Caller) *survey.Lending {
	p, err := c.Budgets(ctx)
	if err != nil || !p.Shared {
		return nil
	}
	return lendingOf(&p, c.Zone)
}

func lendingOf(p *console.BudgetsPage, zone *time.Location) *survey.Lending {
	var l survey.Lending
	for _, g := range p.Channel.Gates {
		if g.Asked == 0 {
			l.Silent = append(l.Silent, g.Name)
		}
		if g.Claimed > 0 {
			l.Claimed = append(l.Claimed, fmt.Sprintf("%s (%d)", g.Name, g.Claimed))
		}
	}
	if from := p.Channel.From; from != nil {
		l.Away = from.Error
	}
	if left := p.Channel.Left; left != nil {
		l.Left, l.LeftUntil = left.Customers, moment(left.Frees, zone)
	}
	until := p.At
	for _, u := range p.Uses {
		for _, lent := range u.Lent {
			if lent.Lapsed {
				l.Lapsed += lent.Share
				until = max(until, u.Lapses)
			}
		}
	}
	if l.Lapsed > 0 {
		l.LapsedUntil = moment(until, zone)
	}
	return &l
}
