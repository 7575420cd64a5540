package house

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
	"sekisho/console"
	"sekisho/gate"
)

// Handling says how information of each category may be handled.
type Handling struct {
	// File holds the rules that are proposed for approval, in YAML. Default: those
	// that sekisho brings along. What holds is the version that was approved and is
	// in force: docs/handling.md.
	File string `yaml:"file"`
	// OffSite: the gate refuses outside the office what the rules do not let be used
	// there. It needs gate.policy; where gate.policy.office names no address, every
	// place is outside. While no rules are approved, nothing is let out there.
	OffSite bool `yaml:"offsite"`
}

func (c *Config) checkHandling(base string) error {
	c.Handling.File = Against(base, c.Handling.File)
	if _, err := c.Handling.Read(); err != nil {
		return fmt.Errorf("config: handling: %w", err)
	}
	if c.Handling.OffSite && c.Gate.Policy.Dir == "" {
		return errors.New("config: handling: offsite: the gate decides by a policy alone: name its directory in gate.policy.dir (sekisho policy init writes one)")
	}
	return nil
}

// Read gives the rules of the file, or the shipped ones.
func (c Handling) Read() (*catalog.Handling, error) {
	if c.File == "" {
		return catalog.ReadHandling(catalog.ShippedHandling())
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, err
	}
	h, err := catalog.ReadHandling(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return h, nil
}

// handlingInForce keeps what was read of the version in force.
type handlingInForce struct {
	sync.Mutex
	proposed *catalog.Handling // of the file
	rules    *catalog.Handling
	version  uint64
	told     uint64 // the version that could not be read
}

// HandlingDocument is the document whose version in force is what holds.
const HandlingDocument = console.HandlingDocument

// HandlingNow is what holds: the rules of the version in force, and that
// version's number. While there is none, or its text is not what was approved,
// nothing is allowed, and the number is 0.
func (h *House) HandlingNow() (rules *catalog.Handling, version uint64) {
	text, version := h.approvedHandling()
	h.handling.Lock()
	defer h.handling.Unlock()
	if version != 0 && version == h.handling.version {
		return h.handling.rules, version
	}
	if version != 0 {
		rules, err := catalog.HandlingOf(text)
		if err == nil {
			h.handling.rules, h.handling.version, h.handling.told = rules, version, 0
			return rules, version
		}
		if h.handling.told != version { // once, not at each look
			h.Log.Error("the handling rules in force cannot be read: nothing is allowed until others are", "version", version, "error", err)
			h.handling.told = version
		}
	}
	return h.handling.proposed.Strictest(), 0
}

// approvedHandling is the text in force; 0 if there is none.
func (h *House) approvedHandling() (text string, version uint64) {
	now := sekisho.At(h.now())
	thing, ok := h.Vault.Space("thing").Find("document/" + HandlingDocument)
	if !ok {
		return "", 0
	}
	h.Views.Read(func() {
		d := h.Duty.Document(thing)
		if d == nil {
			return
		}
		for _, v := range d.Versions {
			if v.From == 0 || v.From > now || v.Until != 0 && v.Until <= now || d.Retired != 0 && d.Retired <= now {
				continue
			}
			text, version = console.TextOf(h.Vault, v, "en"), v.Number
		}
	})
	if text == "" {
		return "", 0
	}
	return text, version
}

// narrow is what the gate adds to its policy.
func (h *House) narrow() []act.File {
	rules, version := h.HandlingNow()
	return []act.File{act.OffSite(rules, version != 0)}
}

// offSite says who may work outside the office now.
func (h *House) offSite() *gate.OffSite {
	now := sekisho.At(h.now())
	o := &gate.OffSite{Ready: map[string]bool{}, Permits: map[gate.Permitted]sekisho.Categories{}}
	h.Views.Read(func() {
		checks := h.Duty.Checks()
		for _, t := range checks.Terminals() {
			if checks.OffsiteReady(t.Endpoint, now) == "" {
				o.Ready[t.Endpoint] = true
			}
		}
		for _, p := range checks.Permits() {
			if p.State(now) == "approved" && p.Body.From <= now {
				o.Permits[gate.Permitted{Principal: h.nameOf("staff", p.Body.Person), Endpoint: p.Body.Endpoint}] |= p.Body.Categories
			}
		}
	})
	return o
}

// RecordHandling writes which rules hold, and which of the catalog's columns have
// a category, if that is not what the ledger says last, or says it for a month.
func (h *House) RecordHandling(ctx context.Context) error {
	rules, version := h.HandlingNow()
	b := &sekisho.HandlingRead{Edition: rules.Edition, SHA256: rules.SHA256, Version: version}
	used := h.Config.Catalog.Used()
	if h.Gate != nil {
		for _, s := range h.Gate.Stores() {
			used |= s.Categories
			unnamed := s.Unnamed
			if version != 0 && rules.Unruled(s.Categories&^sekisho.Unclassified) != 0 {
				unnamed = max(unnamed, 1)
			}
			b.Stores = append(b.Stores, h.Vault.Space("thing").OfText([]byte("store/"+s.Table)))
			b.Columns, b.Unnamed = append(b.Columns, uint64(s.Columns)), append(b.Unnamed, uint64(unnamed))
		}
	}
	b.Unruled = rules.Unruled(used)
	if slices.Contains(b.Stores, 0) {
		return errors.New("recording the handling rules: the vault takes no more")
	}
	if err := h.Settle(ctx); err != nil {
		return err
	}
	same := false
	h.Views.Read(func() {
		last, at := h.Duty.HandlingRead()
		same = last != nil && fmt.Sprintf("%+v", *last) == fmt.Sprintf("%+v", *b) && h.now().Sub(at.Go()) < 30*24*time.Hour
	})
	if same {
		return nil
	}
	if _, err := h.Ledger.Append(ctx, b); err != nil {
		return fmt.Errorf("recording the handling rules: %w", err)
	}
	return h.Settle(ctx)
}

// KeepHandling records what holds whenever it changes, until ctx ends.
func (h *House) KeepHandling(ctx context.Context) {
	for ctx.Err() == nil {
		if err := h.RecordHandling(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("recording the handling rules", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
	}
}

// handlingState is what the doors show.
func (h *House) handlingState() console.Handling {
	rules, version := h.HandlingNow()
	s := console.Handling{Rules: rules, Version: version, Proposed: h.handling.proposed, Used: h.Config.Catalog.Used(), OffSite: h.Config.Handling.OffSite, ListOf: map[string]sekisho.Categories{}}
	for _, subject := range h.Config.Catalog.Subjects {
		s.ListOf[subject.Name] = h.Config.Catalog.ListOf(subject)
	}
	return s
}

// label makes the label of what leaves at the gate.
func (h *House) label(of sekisho.Categories, at sekisho.Time, by uint32) *sekisho.Labelled {
	rules, _ := h.HandlingNow()
	return rules.Label("", "", of, at, by)
}

// Handling is what may be done with information of each category.
func (c *Caller) Handling(ctx context.Context) (p console.HandlingPage, err error) {
	return p, c.tell(ctx, "/api/handling", nil, &p)
}

// HandlingLabel is one label.
func (c *Caller) HandlingLabel(ctx context.Context, number uint64) (p console.LabelPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/handling/labels/%d", number), nil, &p)
}

// ProposeHandling keeps the file's rules as a version that is to be approved.
func (c *Caller) ProposeHandling(ctx context.Context) (p console.DocumentPage, err error) {
	return p, c.tell(ctx, "/api/handling/propose", struct{}{}, &p)
}
