package house

import (
	"sekisho"
	"sekisho/permit"
)

// permit is what the gate asks about a text that names many customers: see
// gate.Config.Permit. Whoever approved it was answered when the views knew of
// it, so what somebody has been told is approved is found here.
func (h *House) permit(exact uint32, spent func(uint64) bool) (r permit.Request, state permit.State, ok bool) {
	now := sekisho.At(h.now())
	h.Views.Read(func() { r, ok = h.Permits.For(exact, now, spent) })
	if ok {
		state = r.State(now)
	}
	return r, state, ok
}
