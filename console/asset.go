package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// Assets are lines of a register like others; what is their own is here: what
// they are, what a stock-taking found of them, and how they end.

const assetNoun = "asset"

// What a stock-taking can find, and how an asset can end.
var (
	assetStates = []string{"seen", "elsewhere", "damaged", "missing"}
	assetEnds   = []string{"shredded", "pulped", "incinerated", "wiped", "degaussed", "crushed", "returned"}
)

// An AssetLine is what is known of an asset.
type AssetLine struct {
	Kind       string      `json:"kind"`
	Categories []string    `json:"categories"`
	Witnesses  uint64      `json:"witnesses"` // who must see its end, by the handling rules now
	Seen       []SightLine `json:"seen"`
	Ends       []EndLine   `json:"ends"`
	How        []string    `json:"-"`
	Over       bool        `json:"over"` // it is no more
}

// A SightLine is what a stock-taking found.
type SightLine struct {
	Check  uint64       `json:"check"`
	Entry  uint64       `json:"entry"`
	Time   sekisho.Time `json:"at"`
	State  string       `json:"state"`
	Pieces uint64       `json:"pieces"`
	Note   string       `json:"note,omitempty"`
	By     string       `json:"by"`
}

// An EndLine is a destruction with its witnesses.
type EndLine struct {
	Entry     uint64       `json:"entry"`
	How       string       `json:"how"`
	Time      sekisho.Time `json:"at"`
	Pieces    uint64       `json:"pieces"`
	Text      string       `json:"text,omitempty"`
	By        string       `json:"by"`
	Waits     int          `json:"waits"` // for so many witnesses
	State     string       `json:"state"` // "destroyed", "destroying", "disputed", "withdrawn"
	Witnesses []StepLine   `json:"witnesses"`
	May       bool         `json:"-"` // the visitor can say that they saw it
	Own       bool         `json:"-"`
}

// An AssetAct destroys an asset, or is what somebody says of that.
type AssetAct struct {
	Action string `json:"action"`           // "destroyed", "witnessed", "disputed", "withdrawn"
	End    uint64 `json:"end,omitempty"`    // of an answer; 0: the one that waits
	How    string `json:"how,omitempty"`    // destroyed
	At     string `json:"at,omitempty"`     // destroyed: when; empty: now
	Pieces uint64 `json:"pieces,omitempty"` // destroyed
	Text   string `json:"text,omitempty"`
}

// checkAsset: an asset is one kind of thing, and its categories are known.
func checkAsset(b *sekisho.Registered) error {
	kinds := 0
	for _, t := range b.Traits {
		if slices.Contains(duty.AssetKinds(), t) {
			kinds++
		}
	}
	if b.Noun == assetNoun && kinds != 1 {
		return fail(http.StatusBadRequest, "asset_kind", strings.Join(duty.AssetKinds(), ", "))
	}
	return nil
}

// held are the categories that a thing's traits name.
func held(traits []string) (of sekisho.Categories) {
	for _, t := range traits {
		if c, err := sekisho.ParseCategory(t); err == nil {
			of |= c
		}
	}
	return of
}

// witnesses are how many must see the end of an asset with these categories.
func (c *Console) witnesses(of sekisho.Categories) (n uint64) {
	if c.cfg.Handling == nil {
		return 2
	}
	rules := c.cfg.Handling().Rules
	for _, one := range sekisho.AllCategories() {
		if of&one != 0 {
			n = max(n, uint64(rules.Rule(one).Destroy.Witnesses))
		}
	}
	return n
}

// assetLine needs the views' lock, and what the rules ask for.
func (c *Console) assetLine(v *visit, t *duty.Thing, witnesses uint64) *AssetLine {
	l := &AssetLine{Categories: held(t.Body.Traits).Names(), Witnesses: witnesses, Seen: []SightLine{}, Ends: []EndLine{}, How: assetEnds}
	for _, k := range duty.AssetKinds() {
		if t.Has(k) {
			l.Kind = k
		}
	}
	a := c.cfg.Checks.Asset(t.Ordinal)
	if a == nil {
		return l
	}
	l.Over = a.Destroyed() != 0
	for _, s := range slices.Backward(a.Seen) {
		l.Seen = append(l.Seen, SightLine{s.Check, s.Entry, s.At, s.State, s.Pieces, c.said(s.Note), c.named("staff", s.By)})
	}
	for _, e := range slices.Backward(a.Ends) {
		x := e.Body
		one := EndLine{Entry: e.Entry, How: x.How, Time: x.At, Pieces: x.Pieces, Text: c.said(x.Said), By: c.named("staff", x.By), Waits: e.Waits(), State: "destroying", Witnesses: []StepLine{}}
		switch {
		case e.Gone:
			one.State = "withdrawn"
		case e.Disputed:
			one.State = "disputed"
		case e.Complete != 0:
			one.State = "destroyed"
		default:
			one.Own = c.same(v, one.By)
			one.May = !one.Own && !c.spokeOf(v, e)
		}
		for _, w := range e.Answers {
			one.Witnesses = append(one.Witnesses, StepLine{Entry: w.Entry, Time: w.At, Action: w.Body.Action, By: c.named("staff", w.Body.By), Text: c.said(w.Body.Said)})
		}
		l.Ends = append(l.Ends, one)
	}
	return l
}

// spokeOf: the visitor, under whatever account, has stated an end or answered it.
func (c *Console) spokeOf(v *visit, e *duty.End) bool {
	for _, o := range append([]uint32{e.Body.By}, witnessesOf(e)...) {
		if c.same(v, c.named("staff", o)) {
			return true
		}
	}
	return false
}

func witnessesOf(e *duty.End) (list []uint32) {
	for _, w := range e.Answers {
		list = append(list, w.Body.By)
	}
	return list
}

// actOnAsset destroys an asset, or says what somebody saw of that.
func (c *Console) actOnAsset(v *visit, thing uint32, a AssetAct) error {
	if err := c.checksReady(); err != nil {
		return err
	}
	if a.Text = strings.TrimSpace(a.Text); len(a.Text) > maxSaid {
		return fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return fmt.Errorf("ending an asset: %w", err)
	}
	b := &sekisho.AssetEnded{Thing: thing, Action: a.Action, By: v.who.staff}
	var wrong error
	var of sekisho.Categories
	c.cfg.Views.Read(func() {
		t := c.cfg.Checks.Thing(thing)
		if t == nil || t.Body.Noun != assetNoun {
			wrong = fail(http.StatusNotFound, "register_thing")
			return
		}
		of = held(t.Body.Traits)
		asset := c.cfg.Checks.Asset(thing)
		end := asset.Open()
		if a.End != 0 {
			end = c.cfg.Checks.End(a.End)
		}
		switch {
		case asset.Destroyed() != 0:
			wrong = fail(http.StatusConflict, "asset_over")
		case a.Action == "destroyed" && asset.Open() != nil:
			wrong = fail(http.StatusConflict, "asset_waits")
		case a.Action == "destroyed":
		case end == nil || end.Body.Thing != thing || end.Gone:
			wrong = fail(http.StatusNotFound, "asset_end")
		case a.Action == "withdrawn" && !c.same(v, c.named("staff", end.Body.By)):
			wrong = fail(http.StatusForbidden, "asset_own")
		case a.Action != "withdrawn" && c.spokeOf(v, end):
			wrong = fail(http.StatusForbidden, "asset_witness")
		case a.Action == "disputed" && a.Text == "":
			wrong = fail(http.StatusBadRequest, "room_reason")
		default:
			b.End, b.How, b.At = end.Entry, end.Body.How, end.Body.At
		}
	})
	if wrong != nil {
		return wrong
	}
	var err error
	switch a.Action {
	case "destroyed":
		if !c.mayDecide(v.who) {
			return fail(http.StatusForbidden, "export_role")
		}
		if !slices.Contains(assetEnds, a.How) {
			return fail(http.StatusBadRequest, "asset_how", strings.Join(assetEnds, ", "))
		}
		b.How, b.Pieces, b.Witnesses = a.How, a.Pieces, c.witnesses(of)
		if b.At, err = c.past(v, a.At, sekisho.At(c.cfg.Now())); err != nil {
			return err
		}
	case "witnessed", "disputed", "withdrawn":
	default:
		return fail(http.StatusNotFound, "check_act")
	}
	if b.Said, err = c.write(a.Text); err != nil {
		return err
	}
	_, err = c.enter(v, b)
	return err
}

func (c *Console) assetForm(v *visit) (page, error) {
	o, err := strconv.ParseUint(v.r.PathValue("ordinal"), 10, 32)
	if err != nil {
		return nil, fail(http.StatusNotFound, "register_thing")
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := AssetAct{Action: f.Get("action"), How: f.Get("how"), At: f.Get("at"), Text: f.Get("text")}
	for field, into := range map[string]*uint64{"end": &a.End, "pieces": &a.Pieces} {
		if s := strings.TrimSpace(f.Get(field)); s != "" {
			if *into, err = strconv.ParseUint(s, 10, 64); err != nil {
				return nil, fail(http.StatusBadRequest, "asset_pieces")
			}
		}
	}
	if err := c.actOnAsset(v, uint32(o), a); err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.thing(v)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/registers/%d#asset", o), http.StatusSeeOther)
	return nil, errDone
}

// A StockLine is one asset of a stock-taking.
type StockLine struct {
	Ordinal uint32 `json:"ordinal"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Place   string `json:"place,omitempty"`
	State   string `json:"state,omitempty"` // "": nobody has seen it yet
	Pieces  uint64 `json:"pieces"`
	Note    string `json:"note,omitempty"`
	By      string `json:"by,omitempty"`
}

// stock lists what a stock-taking is about; the views are locked.
func (c *Console) stock(one *duty.Check, now sekisho.Time) (list []StockLine) {
	for _, u := range one.Body.Units {
		t := c.cfg.Checks.Thing(u)
		if t == nil {
			continue
		}
		line := c.thingLine(t, now)
		l := StockLine{Ordinal: u, Name: line.Name, Place: line.Fields["place"]}
		for _, k := range duty.AssetKinds() {
			if t.Has(k) {
				l.Kind = k
			}
		}
		if s, ok := one.Seen[u]; ok {
			l.State, l.Pieces, l.Note, l.By = s.State, s.Pieces, c.said(s.Note), c.named("staff", s.By)
		}
		list = append(list, l)
	}
	return list
}

// see records what a stock-taking found. What is missing becomes a finding of the
// asset's owner in the same append.
func (c *Console) see(v *visit, one *duty.Check, a CheckAct) (uint64, error) {
	if one.Body.Noun != "stocktake" {
		return 0, fail(http.StatusNotFound, "check_act")
	}
	if !c.works(v, one) {
		return 0, fail(http.StatusForbidden, "check_lead", c.named("staff", one.Lead))
	}
	now := sekisho.At(c.cfg.Now())
	b := &sekisho.AssetSeen{Check: one.Number, By: v.who.staff}
	var err error
	if b.At, err = c.past(v, a.At, now); err != nil {
		return 0, err
	}
	type lost struct {
		thing, owner uint32
		name         string
		grave        bool
	}
	var missing []lost
	names := map[string]bool{}
	var wrong error
	notes := []string{}
	c.cfg.Views.Read(func() {
		for _, l := range c.stock(one, now) {
			names[l.Name] = true
			state, note := a.Seen[l.Name], strings.TrimSpace(a.Notes[l.Name])
			if state == "" && l.State == "" {
				state = a.Rest
			}
			pieces := l.Pieces
			if n, ok := a.Pieces[l.Name]; ok {
				pieces = n
			}
			switch {
			case state == "" || state == l.State && note == l.Note && pieces == l.Pieces:
				continue
			case !slices.Contains(assetStates, state):
				wrong = fail(http.StatusBadRequest, "asset_state", strings.Join(assetStates, ", "))
				return
			case len(note) > maxSaid:
				wrong = fail(http.StatusBadRequest, "room_text", number(maxSaid))
				return
			}
			b.Things, b.States, b.Counts = append(b.Things, l.Ordinal), append(b.States, state), append(b.Counts, pieces)
			notes = append(notes, note)
			if t := c.cfg.Checks.Thing(l.Ordinal); state == "missing" {
				missing = append(missing, lost{l.Ordinal, t.Body.Owner, l.Name, held(t.Body.Traits) != 0})
			}
		}
	})
	if wrong != nil {
		return 0, wrong
	}
	for name := range a.Seen {
		if !names[name] {
			return 0, fail(http.StatusBadRequest, "checks_unit", name)
		}
	}
	if len(b.Things) == 0 {
		return 0, fail(http.StatusBadRequest, "check_nothing")
	}
	for _, note := range notes {
		o, err := c.write(note)
		if err != nil {
			return 0, err
		}
		b.Notes = append(b.Notes, o)
	}
	bodies := []sekisho.Body{b}
	for _, m := range missing {
		f := &sekisho.FindingRaised{Check: one.Number, Space: "thing", Unit: m.thing, Grade: "medium", Code: "missing", Owner: m.owner, By: v.who.staff}
		if m.grave { // personal data that is not where it should be may be a leak
			f.Grade = "critical"
		}
		if f.Owner != 0 {
			f.Due = now + 7*24*3600*1_000_000
		}
		if f.Title, err = c.write(v.say("asset.lost", m.name)); err != nil {
			return 0, err
		}
		bodies = append(bodies, f)
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), bodies...)
	if err != nil {
		return 0, notRecorded(err)
	}
	last := id.Seq + uint64(len(bodies)) - 1
	return last, c.cfg.Views.WaitFor(v.r.Context(), last)
}

// allAssets are the names of those that a stock-taking of everything looks at.
func (c *Console) allAssets() (names []string) {
	now := sekisho.At(c.cfg.Now())
	c.cfg.Views.Read(func() {
		for _, t := range c.cfg.Checks.Things(assetNoun) {
			if s := c.cfg.Checks.AssetState(t, now); !t.Retired() && s != "destroyed" {
				names = append(names, strings.TrimPrefix(c.named("thing", t.Ordinal), assetNoun+"/"))
			}
		}
	})
	return names
}
