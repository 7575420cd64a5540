package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/incident"
)

// A RoomOpening is what somebody knows when they open an incident: a call, a
// notice, something seen. The four numbers can be asked once terminals are
// named that came through the gate.
type RoomOpening struct {
	Text      string   `json:"text"`
	What      string   `json:"what,omitempty"`   // as of RoomAct; default notice
	Source    string   `json:"source,omitempty"` // default person
	Known     string   `json:"known,omitempty"`  // default now
	Endpoints []string `json:"endpoints,omitempty"`
	Person    string   `json:"person,omitempty"` // who is asked to look
}

// openRoom opens an incident for a notice. The incident stands first: a crash
// between the two entries leaves one without a text, which climbs its ladder all
// the same.
func (c *Console) openRoom(v *visit, o RoomOpening) (uint64, error) {
	o.Text = strings.TrimSpace(o.Text)
	if o.Text == "" || len(o.Text) > maxSaid {
		return 0, fail(http.StatusBadRequest, "room_open")
	}
	var names []string
	for _, n := range o.Endpoints {
		if n = strings.TrimSpace(n); n != "" && len(n) <= 255 && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	a := RoomAct{What: o.What, Source: o.Source, Known: o.Known, Person: o.Person, Text: o.Text}
	if a.What == "" {
		a.What = "notice"
	}
	if len(names) > 0 {
		a.Endpoint = names[0]
	}
	// What cannot be recorded opens nothing.
	if _, err := c.actRaise(v, &incident.Incident{}, a); err != nil {
		return 0, err
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), &sekisho.IncidentOpened{By: v.who.staff, Endpoints: names})
	if err != nil {
		return 0, notRecorded(err)
	}
	return id.Seq, c.act(v, id.Seq, "raise", a)
}

// openRoomForm is the form of the incidents' page.
func (c *Console) openRoomForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	n, err := c.openRoom(v, RoomOpening{Text: f.Get("text"), What: f.Get("what"), Source: f.Get("source"), Known: f.Get("known"), Person: f.Get("person"),
		Endpoints: strings.FieldsFunc(f.Get("endpoints"), func(r rune) bool { return r == '\n' || r == ',' || r == '\r' })})
	if err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.roomPage(v, n)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/incidents/%d/room", n), http.StatusSeeOther)
	return nil, errDone
}

// ManualText is a part of the manual as it was read.
type ManualText struct {
	Text      string   `json:"text"`
	Playbooks []string `json:"playbooks"`
}

func (c *Console) controlRoom(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	numbered := func(do func(v *visit, n uint64) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.caughtUp(v); err != nil {
				return nil, err
			}
			n, err := v.pathNumber("id", "incident")
			if err != nil {
				return nil, err
			}
			return do(v, n)
		}
	}
	handle("GET /api/incidents", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		return c.incidents(v)
	})
	handle("POST /api/incidents", maxForm, func(v *visit) (any, error) {
		o, err := told[RoomOpening](v)
		if err != nil {
			return nil, err
		}
		n, err := c.openRoom(v, o)
		if err != nil {
			return nil, err
		}
		return c.roomPage(v, n)
	})
	handle("GET /api/incidents/{id}/room", maxForm, numbered(func(v *visit, n uint64) (any, error) { return c.roomPage(v, n) }))
	handle("POST /api/incidents/{id}/room/{act}", maxForm, numbered(func(v *visit, n uint64) (any, error) {
		a, err := told[RoomAct](v)
		if err != nil {
			return nil, err
		}
		if err := c.act(v, n, v.r.PathValue("act"), a); err != nil {
			return nil, err
		}
		return c.roomPage(v, n)
	}))
	handle("GET /api/csirt/manual", maxForm, func(v *visit) (any, error) {
		t := ManualText{Text: string(c.cfg.Manual.Text)}
		for _, b := range c.cfg.Manual.Playbooks {
			t.Playbooks = append(t.Playbooks, b.Name)
		}
		if name := v.r.URL.Query().Get("playbook"); name != "" {
			b, ok := c.cfg.Manual.Playbook(name)
			if !ok {
				return nil, fail(http.StatusNotFound, "room_playbook", name)
			}
			t.Text = string(b.Text)
		}
		return t, nil
	})
}
