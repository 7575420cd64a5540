package house

import (
	"context"
	"fmt"
	"net"
	"sync"

	"sekisho"
	"sekisho/budget"
	"sekisho/console"
	"sekisho/lease"
)

// borrow has the budgets spend shares of another gate, if the config says so:
// before the past is folded.
func (h *House) borrow() error {
	if !h.Config.Leases.Borrows() {
		return nil
	}
	clock, err := lease.Clock()
	if err != nil {
		return err
	}
	h.Budgets.Borrow(clock)
	return nil
}

// OpenLeases makes this house's side of the budgets that several gates share.
// The past has been folded. Nothing is asked and nobody let in yet.
func (h *House) OpenLeases() (err error) {
	c := h.Config.Leases
	lent := h.Budgets.LentOut()
	if !c.Issues() && !c.Borrows() && len(lent) == 0 {
		return nil
	}
	clock, err := lease.Clock()
	if err != nil {
		return err
	}
	o := lease.Outfit{
		Number: h.Config.Number, Book: h.Budgets, Now: h.now, Clock: clock, Log: h.Log.With("door", "leases"),
		Record: func(ctx context.Context, bodies ...sekisho.Body) error {
			first, err := h.Ledger.Append(ctx, bodies...)
			if err != nil {
				return err
			}
			return h.Views.WaitFor(ctx, first.Seq+uint64(len(bodies))-1)
		},
		Ordinal: func(space, name string) uint32 { return h.Vault.Space(space).OfText([]byte(name)) },
	}
	if c.Issues() {
		h.Lender, err = lease.NewDoor(c, o)
		return err
	}
	if len(lent) > 0 {
		h.Former = lease.NewFormer(c, o)
		h.Log.Warn("this house grants no shares of budgets any more, and other gates hold some: they count until they have run out and a window has passed", "shares", len(lent), "until", h.left().Frees.String())
	}
	if c.Borrows() {
		h.Borrower, err = lease.NewBorrower(c, o)
	}
	return err
}

// ServeLeases lets other gates ask for shares on l until ctx ends.
func (h *House) ServeLeases(ctx context.Context, l net.Listener) error {
	return h.Lender.Serve(ctx, l)
}

// KeepLeases ends the shares of gates that have gone silent, and keeps this
// gate's own, until ctx ends.
func (h *House) KeepLeases(ctx context.Context) {
	var kept sync.WaitGroup
	defer kept.Wait()
	for _, d := range []*lease.Door{h.Lender, h.Former} {
		if d != nil {
			kept.Go(func() { d.Keep(ctx) })
		}
	}
	if h.Borrower != nil {
		kept.Go(func() { h.Borrower.Keep(ctx) })
	}
}

// left is what other gates hold of a house that grants no shares any more; nil:
// nothing.
func (h *House) left() *console.ChannelLeft {
	var left console.ChannelLeft
	for _, l := range h.Budgets.LentOut() {
		left.Customers += l.Share
		left.Frees = max(left.Frees, l.Frees(h.Config.Leases.Margin))
	}
	if left.Customers == 0 {
		return nil
	}
	return &left
}

// leases is what the console shows of other gates.
func (h *House) leases() (c console.Channel) {
	c.Margin = budget.Span(h.Config.Leases.Margin)
	if h.Former != nil {
		c.Left = h.left()
	}
	switch {
	case h.Lender != nil:
		for _, g := range h.Lender.Gates() {
			c.Gates = append(c.Gates, console.ChannelGate{Number: g.Number, Name: g.Name, Asked: g.Asked, Claimed: g.Claimed})
		}
		c.Lasts = budget.Span(h.Config.Leases.Lasts)
	case h.Borrower != nil:
		s := h.Borrower.State()
		c.From = &console.ChannelFrom{Number: s.Issuer, Name: s.Name, Address: s.Address, Reached: s.Reached, Error: s.Error}
	}
	return c
}

// CheckLender looks whether the issuer's certificate, key and lists can be used.
func CheckLender(c lease.Config) error { return lease.CheckFiles(c) }

// CheckLeases asks the issuer once, as doctor does, and says how that went, and
// whether both have the same budgets.
func CheckLeases(ctx context.Context, c lease.Config, number uint32, budgets budget.Config) error {
	if err := lease.Knock(ctx, c, number, budgets); err != nil {
		return fmt.Errorf("asking the issuer of budget shares at %s: %w", c.From.Address, err)
	}
	return nil
}
