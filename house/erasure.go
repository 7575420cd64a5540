package house

import (
	"context"
	"fmt"
	"net/url"

	"sekisho"
	"sekisho/console"
)

// erase destroys what was approved. The approval is durable before; after a
// crash at any line the next start does it again, which destroys nothing more.
// What was destroyed once is destroyed again if somebody put an older copy of
// the vault back.
func (h *House) erase(ctx context.Context) error {
	h.erasing.Lock()
	defer h.erasing.Unlock()
	if err := h.Settle(ctx); err != nil {
		return err
	}
	for _, e := range h.Erasures.List() {
		if e.State != "approved" && e.State != "destroyed" {
			continue
		}
		n := 0
		for _, r := range e.Asked.Records {
			now, err := h.Vault.Erase(r.Space, r.Ordinals)
			if err != nil {
				return fmt.Errorf("carrying out erasure %d: %w", e.Number, err)
			}
			n += now
		}
		if n > 0 && h.Lures != nil {
			h.Lures.Unjoin()
		}
		if e.State == "destroyed" {
			if n > 0 {
				h.Log.Warn("records were back that had been destroyed, as after an older copy of the vault: destroyed again", "erasure", e.Number, "records", n)
			}
			continue
		}
		if _, err := h.Ledger.Append(ctx, &sekisho.ErasureDecided{Erasure: e.Number, Action: "destroyed", Records: uint64(e.Count())}); err != nil {
			return fmt.Errorf("recording erasure %d: %w", e.Number, err)
		}
	}
	return h.Settle(ctx)
}

// Erasures lists what was asked to be destroyed.
func (c *Caller) Erasures(ctx context.Context) (p console.ErasuresPage, err error) {
	return p, c.tell(ctx, "/api/erasures", nil, &p)
}

// Erasure shows one request.
func (c *Caller) Erasure(ctx context.Context, number uint64) (p console.ErasurePage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/erasures/%d", number), nil, &p)
}

// AskErasure asks to destroy records; with DryRun it says what hangs on them.
func (c *Caller) AskErasure(ctx context.Context, ask console.ErasureAsk) (p console.ErasurePage, err error) {
	return p, c.tell(ctx, "/api/erasures", ask, &p)
}

// DecideErasure records an answer; what is approved is destroyed on return.
func (c *Caller) DecideErasure(ctx context.Context, number uint64, answer console.ErasureAnswer) (p console.ErasurePage, err error) {
	return p, c.tell(ctx, "/api/erasures/"+url.PathEscape(fmt.Sprint(number)), answer, &p)
}
