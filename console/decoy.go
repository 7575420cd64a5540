package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/watch"
)

// A DecoyOrder places decoys, or takes them away.
type DecoyOrder struct {
	Action string  `json:"action"` // "placed", "removed"
	Space  string  `json:"space"`  // a subject of the catalog
	Group  string  `json:"group,omitempty"`
	Decoys []Decoy `json:"decoys"`
}

// A Decoy is one record of nobody.
type Decoy struct {
	Key     string `json:"key"`
	Mailbox string `json:"mailbox,omitempty"`
}

// A DecoyLine is a decoy that stands.
type DecoyLine struct {
	Space   string       `json:"space"`
	Key     string       `json:"key"`
	Tables  []string     `json:"tables"`
	Group   string       `json:"group,omitempty"`
	Mailbox string       `json:"mailbox,omitempty"`
	Request uint64       `json:"request,omitempty"` // of the export whose answer alone had it
	Time    sekisho.Time `json:"time"`
	Entry   uint64       `json:"entry"`
	By      string       `json:"by"`
	// Rows is how many rows of each table are the decoy's, where they were
	// counted; -1: sekisho's own login may not read the table.
	Rows map[string]int `json:"rows,omitempty"`
}

const (
	mostDecoys = 10_000 // with one command
	maxMailbox = 254    // RFC 5321
)

func (c *Console) controlDecoys(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/decoys", maxForm, func(v *visit) (any, error) { return c.decoys(v, false) })
	handle("POST /api/decoys/check", maxForm, func(v *visit) (any, error) { return c.decoys(v, true) })
	handle("POST /api/decoys", 4<<20, func(v *visit) (any, error) {
		order, err := told[DecoyOrder](v)
		if err != nil {
			return nil, err
		}
		return map[string]int{"decoys": len(order.Decoys)}, c.placeDecoys(v, order)
	})
}

// placeDecoys records an order: all of it, or nothing.
func (c *Console) placeDecoys(v *visit, order DecoyOrder) error {
	tables := c.cfg.Tables[order.Space]
	switch {
	case order.Action != "placed" && order.Action != "removed", len(order.Decoys) == 0, len(order.Decoys) > mostDecoys:
		return fail(http.StatusBadRequest, "decoy_order")
	case tables == nil:
		return fail(http.StatusNotFound, "decoy_space")
	case len(order.Group) > maxName:
		return fail(http.StatusBadRequest, "decoy_order")
	}
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return fmt.Errorf("placing decoys: %w", err)
	}
	var bodies []sekisho.Body
	for _, d := range order.Decoys {
		if d.Key == "" || len(d.Key) > maxReason || len(d.Mailbox) > maxMailbox || d.Mailbox != "" && !strings.Contains(d.Mailbox, "@") {
			return fail(http.StatusBadRequest, "decoy_order")
		}
		subject, known := c.cfg.Vault.Space(order.Space).Find(d.Key)
		if order.Action == "removed" {
			stands := false
			c.cfg.Views.Read(func() { stands = known && c.cfg.Decoys.Has(order.Space, subject) })
			if !stands {
				return fail(http.StatusNotFound, "decoy_unknown")
			}
		} else if !known {
			subject = c.cfg.Vault.Space(order.Space).OfText([]byte(d.Key))
		}
		b := &sekisho.DecoyPlaced{Action: order.Action, Space: order.Space, Subject: subject, Tables: tables, Group: order.Group, By: v.who.staff}
		if d.Mailbox != "" {
			b.Mailbox = c.cfg.Vault.Space("mailbox").OfText([]byte(strings.ToLower(d.Mailbox)))
		}
		bodies = append(bodies, b)
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), bodies...)
	if err != nil {
		return notRecorded(err)
	}
	return c.cfg.Views.WaitFor(v.r.Context(), id.Seq+uint64(len(bodies)-1))
}

// decoys lists those that stand. check counts their rows in the database.
func (c *Console) decoys(v *visit, check bool) ([]DecoyLine, error) {
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return nil, fmt.Errorf("listing decoys: %w", err)
	}
	var placed []watch.Placed
	c.cfg.Views.Read(func() {
		if c.cfg.Decoys != nil {
			placed = c.cfg.Decoys.List()
		}
	})
	list := []DecoyLine{}
	keys := map[string][]string{}
	for _, p := range placed {
		b := p.Body
		l := DecoyLine{Space: b.Space, Key: c.named(b.Space, b.Subject), Tables: b.Tables, Group: b.Group, Mailbox: c.named("mailbox", b.Mailbox), Request: b.Request, Time: p.At, Entry: p.Entry, By: c.named("staff", b.By)}
		if list = append(list, l); b.Request != 0 {
			continue // it stands in no table
		}
		keys[l.Space] = append(keys[l.Space], l.Key)
	}
	if !check {
		return list, nil
	}
	if c.cfg.CountRows == nil {
		return nil, fail(http.StatusConflict, "decoy_not_here")
	}
	for space, all := range keys {
		rows, err := c.cfg.CountRows(v.r.Context(), space, all)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if at := slices.Index(all, list[i].Key); list[i].Space == space && at >= 0 {
				list[i].Rows = rows[at]
			}
		}
	}
	return list, nil
}
