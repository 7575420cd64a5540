package house

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/ledger"
	"sekisho/pack"
	"sekisho/sheet"
	"sekisho/tell"
)

// openDuties reads the instruments and makes the register's book.
func (h *House) openDuties() error {
	if err := h.Config.Duties.Check(h.Zone); err != nil {
		return err
	}
	register, err := duty.Read(h.Config.Duties.Instruments)
	if err != nil {
		return fmt.Errorf("config: duties: %w", err)
	}
	h.Duty = duty.New(duty.Setup{Register: register, Directory: duty.From(h.Directory), Zone: h.Zone, Config: h.Config.Duties, Events: pack.Events(h.Incidents, h.Rules, h.company, h.drill != "")})
	return nil
}

// RecordEditions writes which instruments decide from here on, if others did.
func (h *House) RecordEditions(ctx context.Context) error {
	var bodies []sekisho.Body
	h.Views.Read(func() {
		for _, i := range h.Duty.Register().Instruments {
			if e, ok := h.Duty.Edition(i.ID); !ok || e.Body.SHA256 != i.SHA256 {
				bodies = append(bodies, &sekisho.InstrumentRead{Instrument: i.ID, Edition: i.Edition, SHA256: i.SHA256, Duties: uint64(len(i.Duties)), Clauses: uint64(len(i.Clauses))})
			}
		}
	})
	if len(bodies) == 0 {
		return nil
	}
	if _, err := h.Ledger.Append(ctx, bodies...); err != nil {
		return fmt.Errorf("recording the editions of duties: %w", err)
	}
	return h.Settle(ctx)
}

// TendDuties does what has fallen due in the register: populations of windows
// that closed are frozen, reminders are written and then sent. It says when it is
// due again; 0 for never. Whatever is written stands in the ledger, so whoever
// asks again, also after a crash, finds it done.
func (h *House) TendDuties(ctx context.Context) (next sekisho.Time, err error) {
	h.tending.Lock()
	defer h.tending.Unlock()
	if err := h.Settle(ctx); err != nil {
		return 0, err
	}
	now := h.now()
	var frozen []sekisho.Body
	h.Views.Read(func() { frozen = h.Duty.Thawed(now.UnixMicro()) })
	if len(frozen) > 0 {
		if _, err := h.Ledger.Append(ctx, frozen...); err != nil {
			return 0, fmt.Errorf("freezing populations: %w", err)
		}
		if err := h.Settle(ctx); err != nil {
			return 0, err
		}
	}
	var calls []duty.Call
	h.Views.Read(func() {
		var at int64
		calls, at = h.Duty.Due(now.UnixMicro())
		next = sekisho.Time(at)
	})
	var bodies []sekisho.Body
	for _, c := range calls {
		if names := h.Config.Duties.Owners[c.Body.Role]; c.Body.Company == 0 && len(names) > 0 {
			c.Body.Person = h.Vault.Space("staff").OfText([]byte(names[0]))
		}
		bodies = append(bodies, c.Body)
	}
	if len(bodies) == 0 {
		return next, nil
	}
	if _, err := h.Ledger.Append(ctx, bodies...); err != nil {
		return next, fmt.Errorf("recording reminders of duties: %w", err)
	}
	h.Log.Info("reminded of duties", "reminders", len(calls))
	h.remind(ctx, calls)
	return next, h.Settle(ctx)
}

// remind sends one letter to each person for all their reminders. Once, after
// they are durable; a crash in between loses the letter and never the reminder,
// which the pages show.
func (h *House) remind(ctx context.Context, calls []duty.Call) {
	post := h.Config.Tell.Mail
	if post.Relay.Server == "" || post.From == "" {
		return
	}
	type bundle struct{ en, ja string }
	texts, order := map[uint32]*bundle{}, []uint32(nil)
	for _, c := range calls {
		if c.Body.Person == 0 {
			continue
		}
		b := texts[c.Body.Person]
		if b == nil {
			b = &bundle{}
			texts[c.Body.Person] = b
			order = append(order, c.Body.Person)
		}
		company, wide := strings.TrimPrefix(h.nameOf("unit", c.Body.Company), "company/"), ""
		if company != "" {
			company, wide = sheet.Added(company, "en"), sheet.Added(company, "ja")
		}
		end := c.Body.Until.Go().Add(-time.Microsecond).In(h.Zone).Format("2006-01-02")
		b.en += fmt.Sprintf("- %s %s%s: %d still owe it, until %s\n", c.Duty.ID, c.Duty.Title.En, company, c.Body.Open, end)
		b.ja += fmt.Sprintf("・%s %s%s:残り%d、期限 %s\n", c.Duty.ID, c.Duty.Title.Ja, wide, c.Body.Open, end)
	}
	var letters []tell.Letter
	for _, person := range order {
		to := h.mailOf(person)
		if to == "" {
			h.Log.Warn("a reminder of duties has no address to go to; the page shows it", "person", person)
			continue
		}
		letters = append(letters, tell.Letter{From: post.From, Name: "sekisho", To: to, Date: h.now(),
			Subject: fmt.Sprintf("[sekisho %s] duties wait for you / 期限の近い責務があります", h.Config.Name),
			Text:    "See /duties in the console, or sekisho duty list.\n" + texts[person].en + "\nコンソールの /duties を開いてください。\n" + texts[person].ja})
	}
	if len(letters) == 0 {
		return
	}
	h.running.Go(func() {
		soon, stop := context.WithTimeout(ctx, 2*time.Minute)
		defer stop()
		line, err := tell.Call(soon, post.Relay)
		if err == nil {
			defer line.Close()
		}
		for n := 0; err == nil && n < len(letters); n++ {
			err = line.Send(soon, letters[n])
		}
		if err != nil {
			h.Log.Error("writing reminders of duties; the page shows them", "letters", len(letters), "error", err)
		}
	})
}

// mailOf is a person's address: the roster's of the CSIRT, else the directory's.
func (h *House) mailOf(staff uint32) (to string) {
	if to = h.Manual.Contact(h.nameOf("staff", staff)).Mail; to != "" {
		return to
	}
	var record uint32
	h.Views.Read(func() {
		if p := h.Directory.Person(staff, sekisho.At(h.now())); p != nil {
			record = p.Record
		}
	})
	if record == 0 {
		return ""
	}
	a, err := directory.ReadAttributes(h.nameOf("staff_record", record))
	if err != nil || a.Staff != staff {
		return ""
	}
	return a.Mail
}

// VerifyLedger reads the whole chain again and records whether it holds.
func (h *House) VerifyLedger(ctx context.Context) error {
	r, err := ledger.Verify(disk.OS{}, ledgerDir(h.Config.Data), nil)
	if err != nil {
		return err
	}
	if _, err := h.Ledger.Append(ctx, &sekisho.LedgerVerified{Through: r.Last.Seq, Hash: r.Chain, OK: r.OK()}); err != nil {
		return fmt.Errorf("recording that the ledger was verified: %w", err)
	}
	if !r.OK() {
		h.Log.Error("the ledger does not hold", "problems", len(r.Problems)+r.More, "first", r.Problems[0].String())
	}
	return nil
}

// KeepDuties tends the register until ctx ends: when something falls due, at
// least once a minute, since the clock can be set; and once a day the ledger is
// verified.
func (h *House) KeepDuties(ctx context.Context) {
	if err := h.RecordEditions(ctx); err != nil && ctx.Err() == nil {
		h.Log.Error("recording the editions of duties", "error", err)
	}
	for ctx.Err() == nil {
		if !h.Config.Duties.NoVerify && !h.verifiedToday() {
			if err := h.VerifyLedger(ctx); err != nil && ctx.Err() == nil {
				h.Log.Error("verifying the ledger", "error", err)
			}
		}
		if _, err := h.TendDuties(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("tending the duties", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
	}
}

func (h *House) verifiedToday() (done bool) {
	h.Views.Read(func() { done = h.Duty.VerifiedOn(h.now().UnixMicro()) })
	return done
}
