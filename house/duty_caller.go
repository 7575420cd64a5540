package house

import (
	"context"
	"net/url"

	"sekisho/console"
)

// DutyList is the register; query narrows it as the page's address does.
func (c *Caller) DutyList(ctx context.Context, query url.Values) (p console.DutiesPage, err error) {
	return p, c.tell(ctx, "/api/duties?"+query.Encode(), nil, &p)
}

// DutyShow is one duty, by "policy/M3a".
func (c *Caller) DutyShow(ctx context.Context, instrument, id string, query url.Values) (p console.DutyPage, err error) {
	return p, c.tell(ctx, "/api/duties/"+url.PathEscape(instrument)+"/"+url.PathEscape(id)+"?"+query.Encode(), nil, &p)
}

// DutyAct does one thing at the register, which is durable on return.
func (c *Caller) DutyAct(ctx context.Context, a console.DutyAct) (done console.DutyDone, err error) {
	return done, c.tell(ctx, "/api/duties", a, &done)
}
