package house

import (
	"context"
	"net/url"

	"sekisho/console"
)

// Review is what a management review needs, in a language.
func (c *Caller) Review(ctx context.Context, a console.ReviewAsk, lang string) (p console.ReviewPage, err error) {
	return p, c.tell(ctx, "/api/review?"+url.Values{"from": {a.From}, "until": {a.Until}, "lang": {lang}}.Encode(), nil, &p)
}

// AttachReview puts it among the papers of a meeting, durable on return.
func (c *Caller) AttachReview(ctx context.Context, a console.ReviewAsk) (done console.ReviewDone, err error) {
	return done, c.tell(ctx, "/api/review", a, &done)
}
