package house

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/tell"
)

// The alarm of 19 March 2016: a provider calls on a Saturday, and nobody takes
// it on. A named executive has it within a day, and the room says who sat on it.
// The house is stopped and started on the way, and nothing is written twice.
func TestTheAlarmOf19March(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Tokyo")
	must(t, err)
	call := time.Date(2016, 3, 19, 14, 0, 0, 0, zone)
	now := call
	var c Config
	c.Name, c.Data = "member-db", filepath.Join(t.TempDir(), "data")
	c.CSIRT = incident.Config{
		Roster: map[string][]string{"point_of_contact": {"desk", "desk-night"}, "incident_commander": {"sato"}, "executive": {"yamada"}},
		People: map[string]incident.Contact{"yamada": {Name: "Yamada Hanako", Phone: "+81-3-0000-0000"}},
	}
	open := func() *House {
		h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
		must(t, err)
		return h
	}
	// ask does something with the running house, as a command does.
	ask := func(h *House, f func(*Caller)) {
		must(t, h.WithControl(t.Context(), func() error {
			caller, err := Call(t.Context(), c.Data)
			must(t, err)
			defer caller.Close()
			f(caller)
			return nil
		}))
	}
	h := open()
	var number uint64
	now = call.Add(40 * time.Minute) // it is typed in later
	ask(h, func(caller *Caller) {
		p, err := caller.OpenIncident(t.Context(), console.RoomOpening{Text: "Traffic from web-01 to a command-and-control server", Source: "provider", Known: "2016-03-19 14:00", Endpoints: []string{"web-01"}})
		must(t, err)
		if number = p.ID; p.Unasked == "" || len(p.Waits) != 1 || p.Phase.Key != "detect" {
			t.Errorf("the room of a call: %+v", p)
		}
	})
	for _, after := range []time.Duration{40 * time.Minute, time.Hour, 2 * time.Hour, 5 * time.Hour, 23 * time.Hour, 24 * time.Hour} {
		now = call.Add(after)
		_, err := h.Escalate(t.Context())
		must(t, err)
		must(t, h.Close()) // and again, after a restart
		h = open()
		_, err = h.Escalate(t.Context())
		must(t, err)
	}
	var told []string
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(c.Data), 1) {
		must(t, err)
		if b, ok := e.Body.(*sekisho.Escalated); ok {
			told = append(told, b.Role+" "+h.nameOf("staff", b.Person)+" "+e.Time.Go().Sub(call).String())
		}
	}
	want := "point_of_contact desk 40m0s, point_of_contact desk-night 1h0m0s, incident_commander sato 5h0m0s, executive yamada 23h0m0s"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("the ladder was climbed as\n%s\nwant\n%s", got, want)
	}
	now = call.Add(30 * time.Hour)
	ask(h, func(caller *Caller) {
		p, err := caller.Room(t.Context(), number)
		must(t, err)
		if len(p.Sat) != 4 || p.Sat[3].Person != "yamada" || !p.Sat[3].Still || p.Sat[1].Person != "desk-night" || p.Sat[1].For != "4 h" {
			t.Errorf("who sat on it: %+v", p.Sat)
		}
		if len(p.Waits) != 1 || !p.Waits[0].Top {
			t.Errorf("what waits: %+v", p.Waits)
		}
		for _, k := range p.Clocks {
			if k.Key == "escalated_exec" && (k.State != incident.ClockMet || k.Met.Go().Sub(call) > 24*time.Hour) {
				t.Errorf("the executive's clock: %+v", k)
			}
		}
		p, err = caller.Act(t.Context(), number, "ack", console.RoomAct{})
		must(t, err)
		if len(p.Waits) != 1 || p.Waits[0].Stage != "triage" || p.Sat[3].Still {
			t.Errorf("taken on, it waits for a judgement alone: %+v, %+v", p.Waits, p.Sat)
		}
	})
	must(t, h.Close())
}

// With nobody in the roster the ladder is climbed all the same, and says so.
func TestALadderWithoutNames(t *testing.T) {
	now := time.Date(2016, 3, 19, 5, 0, 0, 0, time.UTC)
	var c Config
	c.Name, c.Data = "member-db", filepath.Join(t.TempDir(), "data")
	h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
	must(t, err)
	defer h.Close()
	id, err := h.Ledger.Append(t.Context(), &sekisho.IncidentOpened{By: h.Vault.Space("staff").OfText([]byte("desk")), Endpoints: []string{"web-01"}})
	must(t, err)
	now = now.Add(25 * time.Hour)
	next, err := h.Escalate(t.Context())
	must(t, err)
	var one *incident.Incident
	h.Views.Read(func() { one = h.Incidents.Get(id.Seq) })
	if len(one.Room.Climbed) != 4 || next != 0 {
		t.Fatalf("%d rungs, the next at %v", len(one.Room.Climbed), next)
	}
	for _, r := range one.Room.Climbed {
		if r.Body.Person != 0 {
			t.Errorf("%s is %d", r.Body.Role, r.Body.Person)
		}
	}
	if _, knows := one.Marks()["escalated_exec"]; knows {
		t.Error("an executive who is nobody knows")
	}
}

// The loop climbs by itself, with what comes while it runs.
func TestTheHouseKeepsClimbing(t *testing.T) {
	var c Config
	c.Name, c.Data = "member-db", filepath.Join(t.TempDir(), "data")
	c.CSIRT.Roster = map[string][]string{"point_of_contact": {"desk"}}
	h, err := Open(t.Context(), c, "/", Options{})
	must(t, err)
	defer h.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.KeepEscalated(ctx); close(done) }()
	_, err = h.Ledger.Append(t.Context(), &sekisho.IncidentOpened{By: h.Vault.Space("staff").OfText([]byte("desk")), Endpoints: []string{"web-01"}})
	must(t, err)
	for e, err := range h.Ledger.Follow(t.Context(), 1) {
		must(t, err)
		if b, ok := e.Body.(*sekisho.Escalated); ok {
			if b.Role != "point_of_contact" || h.nameOf("staff", b.Person) != "desk" {
				t.Errorf("%+v", b)
			}
			break
		}
	}
	stop()
	<-done
}

// Whoever it goes to gets a letter that says where, and nothing of what was
// typed. A relay that cannot be reached holds up no rung.
func TestALadderWritesLetters(t *testing.T) {
	now := time.Date(2016, 3, 19, 5, 0, 0, 0, time.UTC)
	var c Config
	c.Name, c.Data = "member-db", filepath.Join(t.TempDir(), "data")
	c.CSIRT = incident.Config{Roster: map[string][]string{"point_of_contact": {"desk"}, "executive": {"yamada"}}, People: map[string]incident.Contact{"yamada": {Mail: "yamada@example.jp"}}}
	post := &postOffice{}
	c.Tell = tell.Config{Company: tell.Company{Name: "日の丸航空", Contact: "0120-000-000"}, Mail: tell.Mail{Relay: tell.Relay{Server: post.open(t), TLS: "none"}, From: "sekisho@example.jp"}}
	h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
	must(t, err)
	id, err := h.Ledger.Append(t.Context(), &sekisho.IncidentOpened{By: h.Vault.Space("staff").OfText([]byte("desk")), Endpoints: []string{"web-01"}})
	must(t, err)
	h.Vault.Space("said").OfText([]byte("a secret"))
	now = now.Add(25 * time.Hour)
	_, err = h.Escalate(t.Context())
	must(t, err)
	_, err = h.Escalate(t.Context())
	must(t, err)
	must(t, h.Close()) // and waits for the letters
	post.mu.Lock()
	defer post.mu.Unlock()
	if len(post.came) != 1 || post.came[0].to != "yamada@example.jp" {
		t.Fatalf("%d letters came: %+v", len(post.came), post.came)
	}
	subject, body, _ := readLetter(t, post.came[0])
	if want := fmt.Sprintf("incident %d waits for you", id.Seq); !strings.Contains(subject, want) || !strings.Contains(body, "Executive") || !strings.Contains(body, "経営責任者") || strings.Contains(body, "secret") {
		t.Errorf("%s\n%s", subject, body)
	}
}
