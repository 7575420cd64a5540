package house

import (
	"context"
	"fmt"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/incident"
	"sekisho/tell"
)

// Escalate writes every rung that has fallen due, and says when the next one
// will; 0 for none. What is written stands in the ledger, so whoever asks again,
// also after a restart, finds it climbed.
func (h *House) Escalate(ctx context.Context) (next sekisho.Time, err error) {
	h.climbing.Lock()
	defer h.climbing.Unlock()
	if err := h.Settle(ctx); err != nil {
		return 0, err
	}
	var due []incident.Climb
	who := map[int]uint32{}
	now := sekisho.At(h.now())
	h.Views.Read(func() {
		due, next = h.Incidents.Due(now, h.Manual)
		for n, d := range due {
			if one := h.Incidents.Get(d.Incident); one != nil && !d.Deputy {
				who[n] = one.Holder(d.Role)
			}
		}
	})
	bodies := make([]sekisho.Body, 0, len(due))
	for n := range due {
		d := &due[n]
		d.Person = who[n]
		if list := h.Manual.Roster(d.Role); d.Person == 0 && len(list) > 0 {
			place := 0
			if d.Deputy {
				place = 1
			}
			if place < len(list) {
				d.Person = h.Vault.Space("staff").OfText([]byte(list[place]))
			}
		}
		bodies = append(bodies, &d.Escalated)
	}
	if len(bodies) == 0 {
		return next, nil
	}
	if _, err := h.Ledger.Append(ctx, bodies...); err != nil {
		return next, fmt.Errorf("recording who is told next: %w", err)
	}
	for n := range due {
		if due[n].Rung == 0 && due[n].Stage == "acknowledge" {
			h.Log.Info("put before somebody", "incident", due[n].Incident, "role", due[n].Role, "named", due[n].Person != 0)
			continue
		}
		h.Log.Warn("nobody answered in time, so it goes up", "incident", due[n].Incident, "stage", due[n].Stage, "role", due[n].Role, "named", due[n].Person != 0)
	}
	h.write(ctx, due)
	return next, h.Settle(ctx)
}

// write sends a letter for each rung whose person has an address, behind the
// ladder's back: a relay that hangs holds up no rung. Once, after the rung is
// durable; a crash in between loses the letter and never the rung, which the
// room shows. No letter says more than that something waits, and where.
func (h *House) write(ctx context.Context, due []incident.Climb) {
	post := h.Config.Tell.Mail
	if post.Relay.Server == "" || post.From == "" {
		return
	}
	var letters []tell.Letter
	for _, d := range due {
		to := h.Manual.Contact(h.nameOf("staff", d.Person)).Mail
		if d.Person == 0 || to == "" {
			continue
		}
		role, _ := h.Manual.Role(d.Role)
		at := d.Due.Go().In(h.Zone).Format("2006-01-02 15:04")
		en, ja := "Nobody has acknowledged it.", "まだ誰も受領していません。"
		if d.Stage == "triage" {
			en, ja = "It was acknowledged, and nobody has judged it.", "受領されましたが、まだ判断されていません。"
		}
		letters = append(letters, tell.Letter{From: post.From, Name: "sekisho", To: to, Date: h.now(),
			Subject: fmt.Sprintf("[sekisho %s] incident %d waits for you / インシデント%dが待っています", h.Config.Name, d.Incident, d.Incident),
			Text: fmt.Sprintf("%s\nIt has come to you as %s, due %s: /incidents/%d/room in the console, or sekisho incident show %d.\n\n%s\n「%s」として上がってきました（期限 %s）。コンソールの /incidents/%d/room を開いてください。\n",
				en, role.Say.En, at, d.Incident, d.Incident, ja, role.Say.Ja, at, d.Incident)})
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
			h.Log.Error("writing to whom it went; the room shows it", "letters", len(letters), "error", err)
		}
	})
}

// KeepEscalated climbs the ladders until ctx ends: when something new comes, and
// when the next rung falls due.
func (h *House) KeepEscalated(ctx context.Context) {
	for {
		seen := h.Ledger.Last()
		next, err := h.Escalate(ctx)
		if err != nil && ctx.Err() == nil {
			h.Log.Error("climbing the ladders", "error", err)
		}
		// The clock is asked again at least once a minute: it can be set.
		wait := time.Minute
		if next != 0 {
			wait = min(wait, max(time.Second, next.Go().Sub(h.now())))
		}
		soon, stop := context.WithTimeout(ctx, wait)
		h.Views.WaitFor(soon, seen+1)
		stop()
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// Incidents lists every incident.
func (c *Caller) Incidents(ctx context.Context) (p console.IncidentsPage, err error) {
	return p, c.tell(ctx, "/api/incidents", nil, &p)
}

// Room shows an incident's room.
func (c *Caller) Room(ctx context.Context, number uint64) (p console.RoomPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/incidents/%d/room", number), nil, &p)
}

// Act does one thing in an incident, which is durable on return.
func (c *Caller) Act(ctx context.Context, number uint64, act string, a console.RoomAct) (p console.RoomPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/incidents/%d/room/%s", number, act), a, &p)
}

// OpenIncident opens an incident for what somebody has noticed or been told.
func (c *Caller) OpenIncident(ctx context.Context, a console.RoomOpening) (p console.RoomPage, err error) {
	return p, c.tell(ctx, "/api/incidents", a, &p)
}

// ManualText is the manual in force, or one of its playbooks.
func (c *Caller) ManualText(ctx context.Context, playbook string) (t console.ManualText, err error) {
	return t, c.tell(ctx, "/api/csirt/manual?playbook="+playbook, nil, &t)
}
