package house

import (
	"context"
	"fmt"
	"net/url"

	"sekisho"
	"sekisho/console"
	"sekisho/permit"
)

// permit is what the gate asks about a text that names many customers: see
// gate.Config.Permit. Whoever approved it was answered when the views knew of
// it, so what somebody has been told is approved is found here.
func (h *House) permit(exact uint32, spent func(uint64) bool) (r permit.Request, state permit.State, ok bool) {
	now := sekisho.At(h.now())
	used := func(r *permit.Request) bool { return spent(r.Number) }
	h.Views.Read(func() {
		r, ok = h.Permits.For(exact, now, func(r *permit.Request) bool { return used(r) || h.lapsed(r) })
		if !ok || r.State(now) != permit.Approved && r.State(now) != permit.Asked { // so that it is told why
			r, ok = h.Permits.For(exact, now, used)
		}
		if ok {
			if state = r.State(now); state == permit.Approved && h.lapsed(&r) {
				state = permit.Lapsed
			}
		}
	})
	return r, state, ok
}

// lapsed: whoever approved it may not approve any more.
func (h *House) lapsed(r *permit.Request) bool {
	c := h.approvers.Load()
	return c != nil && c.Lapsed(r)
}

// counts is gate.Config.Counts.
func (h *House) counts(ctx context.Context, request, entry uint64) (is bool, err error) {
	if err := h.Views.WaitFor(ctx, entry); err != nil {
		return false, err
	}
	h.Views.Read(func() {
		r, ok := h.Permits.Get(request)
		is = ok && r.UseSeq == entry
	})
	return is, nil
}

// Exports lists the requests and what can be asked for.
func (c *Caller) Exports(ctx context.Context) (p console.ExportsPage, err error) {
	return p, c.tell(ctx, "/api/exports", nil, &p)
}

// Export shows one request.
func (c *Caller) Export(ctx context.Context, number uint64) (p console.ExportPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/exports/%d", number), nil, &p)
}

// AskExport records a request, which waits for an answer on return.
func (c *Caller) AskExport(ctx context.Context, ask console.ExportAsk) (p console.ExportPage, err error) {
	return p, c.tell(ctx, "/api/exports", ask, &p)
}

// DecideExport records an answer, which the gate knows on return.
func (c *Caller) DecideExport(ctx context.Context, number uint64, answer console.ExportAnswer) (p console.ExportPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/exports/%d", number), answer, &p)
}

// Users lists the console's users.
func (c *Caller) Users(ctx context.Context) (list []console.UserLine, err error) {
	return list, c.tell(ctx, "/api/users", nil, &list)
}

// AddUser makes a console user, whose password is kept nowhere else.
func (c *Caller) AddUser(ctx context.Context, u console.UserLine) (password string, err error) {
	var answer struct{ Password string }
	err = c.tell(ctx, "/api/users", u, &answer)
	return answer.Password, err
}

// RemoveUser takes a console user away and ends their sessions.
func (c *Caller) RemoveUser(ctx context.Context, name string) error {
	var answer struct{}
	return c.tell(ctx, "/api/users/"+url.PathEscape(name)+"/remove", struct{}{}, &answer)
}
