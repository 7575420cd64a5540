package console

import (
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// What people do at the register. Nobody signs their own evidence, and nobody
// approves their own exception: people are compared, not accounts.

// A DutyAct is one thing done at the register of duties. Do says which; the
// other fields are those that it needs.
type DutyAct struct {
	Do string `json:"do"` // "record", "sign", "except", "decide", "control", "unit"

	// record
	Kind     string   `json:"kind,omitempty"`     // of evidence
	Producer string   `json:"producer,omitempty"` // "S", "H", "X"; empty: H
	Duty     string   `json:"duty,omitempty"`     // whose population the units are of; also of except
	Units    []string `json:"units,omitempty"`    // names; none: the group, or in except all
	From     string   `json:"from,omitempty"`     // a day, or a moment of RFC 3339
	Until    string   `json:"until,omitempty"`
	Item     string   `json:"item,omitempty"`
	State    string   `json:"state,omitempty"` // empty: it counts; else why not, such as failed
	Value    uint64   `json:"value,omitempty"`
	Document string   `json:"document,omitempty"` // base64
	SHA256   string   `json:"sha256,omitempty"`   // of a document that is kept elsewhere
	Said     string   `json:"said,omitempty"`

	// sign, decide
	Entry  uint64 `json:"entry,omitempty"`
	Action string `json:"action,omitempty"`

	// except
	What  string `json:"what,omitempty"` // "waived", "na"
	Owner string `json:"owner,omitempty"`

	// control
	Instrument string   `json:"instrument,omitempty"`
	Control    string   `json:"control,omitempty"`
	Applicable bool     `json:"applicable,omitempty"`
	Claim      string   `json:"claim,omitempty"`
	Basis      []uint64 `json:"basis,omitempty"`

	// unit
	Population string `json:"population,omitempty"`
	Company    string `json:"company,omitempty"`

	Dry bool `json:"dry,omitempty"` // say what it would come to, and write nothing
}

// A DutyDone is what an act came to.
type DutyDone struct {
	Entry uint64 `json:"entry,omitempty"` // 0 of a dry run
	Units int    `json:"units,omitempty"`
	Dry   bool   `json:"dry,omitempty"`
	State string `json:"state,omitempty"` // of evidence: "unsigned" while it waits for a second person
}

// dutyAct does one thing, which is durable on return.
func (c *Console) dutyAct(v *visit, a DutyAct) (done DutyDone, err error) {
	if c.cfg.Duty == nil {
		return done, c.duties404()
	}
	if len(a.Said) > maxReason || len(a.Units) > 100_000 {
		return done, fail(http.StatusBadRequest, "duty_long")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	var body sekisho.Body
	switch a.Do {
	case "record":
		body, done, err = c.recordEvidence(v, &a)
	case "sign":
		body, err = c.signEvidence(v, &a)
	case "except":
		body, done, err = c.askException(v, &a)
	case "decide":
		body, err = c.decideException(v, &a)
	case "control":
		body, err = c.stateControl(v, &a)
	case "unit":
		body, err = c.listUnit(v, &a)
	default:
		err = fail(http.StatusBadRequest, "duty_act")
	}
	if err != nil || a.Dry {
		done.Dry = a.Dry
		return done, err
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), body)
	if err != nil {
		return done, notRecorded(err)
	}
	done.Entry = id.Seq
	return done, c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

// sayDuty keeps a free text in the vault; 0 for none, and of a dry run.
func (c *Console) sayDuty(text string, dry bool) uint32 {
	if text = strings.TrimSpace(text); text == "" || dry {
		return 0
	}
	return c.cfg.Vault.Space("said").OfText([]byte(text))
}

// dutyUnits finds what names mean as units of a duty's population. Nothing is
// made up by a name that is typed: who is not known is an error.
func (c *Console) dutyUnits(d *duty.Duty, names []string) (space string, units []uint32, err error) {
	for _, name := range names {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		u, ok := c.dutyUnit(d.Population, name)
		if !ok {
			return "", nil, fail(http.StatusNotFound, "duty_unit", name)
		}
		if space != "" && space != u.Space {
			return "", nil, fail(http.StatusBadRequest, "duty_units")
		}
		space, units = u.Space, append(units, u.Ordinal)
	}
	slices.Sort(units)
	return space, slices.Compact(units), nil
}

func (c *Console) dutyUnit(population, name string) (duty.Unit, bool) {
	find := func(space, key string) (duty.Unit, bool) {
		o, ok := c.cfg.Vault.Space(space).Find(key)
		return duty.Unit{Space: space, Ordinal: o}, ok
	}
	r := c.cfg.Duty.Register()
	head, rest, _ := strings.Cut(population, ":")
	switch head {
	case "people", "executives", "council_member":
		return find("staff", name)
	case "company", "department", "post":
		return find("unit", head+"/"+name)
	case "group", "programme", "events", "counter":
		return duty.Group, name == "group"
	case "duties":
		d := r.Duty(rest + "/" + name)
		if d == nil {
			return duty.Unit{}, false
		}
		return d.Unit(), true
	case "instruments":
		return duty.UnitOf(name), r.Instrument(name) != nil
	case "controls":
		i := r.Instrument(rest)
		if i == nil {
			return duty.Unit{}, false
		}
		one, ok := i.Clause(name)
		return duty.ControlUnit(rest, name), ok && one.Control
	}
	return find("thing", head+"/"+name)
}

// unitHint says how the units of a duty are named, for the words of a form.
func (c *Console) unitHint(d *duty.Duty) string {
	head, _, _ := strings.Cut(d.Population, ":")
	switch head {
	case "people", "executives", "council_member":
		return "staff"
	case "company", "department", "post":
		return "unit"
	case "group", "programme", "events", "counter":
		return "group"
	case "duties", "instruments", "controls":
		return "own"
	}
	return "thing"
}

func (c *Console) stateControl(v *visit, a *DutyAct) (sekisho.Body, error) {
	i := c.cfg.Duty.Register().Instrument(a.Instrument)
	if i == nil {
		return nil, fail(http.StatusNotFound, "duty_control")
	}
	if one, ok := i.Clause(a.Control); !ok || !one.Control {
		return nil, fail(http.StatusNotFound, "duty_control")
	}
	s := &sekisho.ControlStated{Instrument: i.ID, Control: a.Control, Applicable: a.Applicable, Basis: a.Basis, By: v.who.staff}
	if a.Applicable {
		s.Claim = a.Claim
		if !slices.Contains([]string{"implemented", "partly", "planned", "unknown"}, s.Claim) {
			return nil, fail(http.StatusBadRequest, "duty_claim")
		}
	}
	if !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "duty_role")
	}
	if strings.TrimSpace(a.Said) == "" {
		return nil, fail(http.StatusBadRequest, "duty_why")
	}
	last := c.cfg.Ledger.Last()
	for _, n := range a.Basis {
		if n == 0 || n > last {
			return nil, fail(http.StatusBadRequest, "duty_basis", number(n))
		}
	}
	var err error
	if s.From, err = c.parseDay(a.From); err != nil {
		return nil, err
	}
	if s.From == 0 {
		s.From = sekisho.At(c.cfg.Now())
	}
	if s.Review, err = c.parseDay(a.Until); err != nil {
		return nil, err
	}
	if s.Review != 0 && s.Review <= s.From {
		return nil, fail(http.StatusBadRequest, "duty_period")
	}
	if a.Owner != "" {
		owner, ok := c.cfg.Vault.Space("staff").Find(a.Owner)
		if !ok {
			return nil, fail(http.StatusBadRequest, "duty_owner")
		}
		s.Owner = owner
	}
	s.Said = c.sayDuty(a.Said, a.Dry)
	return s, nil
}

// listUnit puts something on the list of a population that is kept by hand, or
// takes it off.
func (c *Console) listUnit(v *visit, a *DutyAct) (sekisho.Body, error) {
	known := slices.ContainsFunc(c.cfg.Duty.Register().Duties(), func(d *duty.Duty) bool { return d.Population == a.Population })
	if !known || c.unitHint(&duty.Duty{Population: a.Population}) != "thing" && a.Population != "council_member" {
		return nil, fail(http.StatusBadRequest, "duty_population")
	}
	if a.Action != "listed" && a.Action != "struck" || len(a.Units) != 1 || strings.TrimSpace(a.Units[0]) == "" || len(a.Units[0]) > 200 {
		return nil, fail(http.StatusBadRequest, "duty_act")
	}
	if !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "duty_role")
	}
	u := &sekisho.UnitListed{Population: a.Population, Space: "thing", Action: a.Action, By: v.who.staff}
	name := strings.TrimSpace(a.Units[0])
	found, ok := c.dutyUnit(a.Population, name)
	switch {
	case ok:
		u.Space, u.Unit = found.Space, found.Ordinal
	case a.Population == "council_member" || a.Action == "struck":
		return nil, fail(http.StatusNotFound, "duty_unit", name)
	case !a.Dry:
		u.Unit = c.cfg.Vault.Space("thing").OfText([]byte(a.Population + "/" + name))
	}
	var err error
	if u.From, err = c.parseDay(a.From); err != nil {
		return nil, err
	}
	if u.From == 0 {
		u.From = sekisho.At(c.cfg.Now())
	}
	if u.Company, err = c.unitBy("company", a.Company); err != nil {
		return nil, err
	}
	if a.Owner != "" {
		owner, ok := c.cfg.Vault.Space("staff").Find(a.Owner)
		if !ok {
			return nil, fail(http.StatusBadRequest, "duty_owner")
		}
		u.Owner = owner
	}
	u.Said = c.sayDuty(a.Said, a.Dry)
	return u, nil
}

// dutyForm is a form of the pages as an act.
func dutyForm(v *visit) (a DutyAct, err error) {
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "application/json") {
		return told[DutyAct](v)
	}
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/") {
		err = v.r.ParseMultipartForm(2 << 20)
	} else {
		err = v.r.ParseForm()
	}
	if err != nil {
		return a, tooLarge(err)
	}
	f := v.r.Form
	a = DutyAct{Do: f.Get("do"), Kind: f.Get("kind"), Producer: f.Get("producer"), Duty: f.Get("duty"), From: f.Get("from"), Until: f.Get("until"), Item: f.Get("item"),
		State: f.Get("state"), SHA256: strings.TrimSpace(f.Get("sha256")), Said: f.Get("said"), Action: f.Get("action"), What: f.Get("what"), Owner: f.Get("owner"), Instrument: f.Get("instrument"),
		Control: f.Get("control"), Applicable: f.Get("applicable") == "yes", Claim: f.Get("claim"), Population: f.Get("population"), Company: f.Get("company")}
	a.Units = strings.FieldsFunc(f.Get("units"), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == '、' })
	if text := f.Get("entry"); text != "" {
		if a.Entry, err = strconv.ParseUint(text, 10, 64); err != nil {
			return a, fail(http.StatusBadRequest, "duty_evidence")
		}
	}
	if text := f.Get("value"); text != "" {
		if a.Value, err = strconv.ParseUint(text, 10, 62); err != nil {
			return a, fail(http.StatusBadRequest, "duty_value")
		}
	}
	for _, text := range strings.FieldsFunc(f.Get("basis"), func(r rune) bool { return r == ' ' || r == ',' }) {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return a, fail(http.StatusBadRequest, "duty_basis", text)
		}
		a.Basis = append(a.Basis, n)
	}
	if file, _, err := v.r.FormFile("document"); err == nil {
		text, err := io.ReadAll(io.LimitReader(file, maxEvidence+1))
		if err != nil {
			return a, tooLarge(err)
		}
		if len(text) > 0 {
			a.Document = base64.StdEncoding.EncodeToString(text)
		}
	}
	return a, nil
}

func (c *Console) dutyActForm(v *visit) (page, error) {
	a, err := dutyForm(v)
	if err != nil {
		return nil, err
	}
	done, err := c.dutyAct(v, a)
	if err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return &done, nil
	}
	to := "/duties"
	if d := c.cfg.Duty.Register().Duty(a.Duty); d != nil {
		to = "/duties/" + d.Name()
	} else if a.Instrument != "" {
		to = "/duties?instrument=" + a.Instrument + "#" + a.Control
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil, errDone
}

func (*DutyDone) file() string { return "duty" } // of JSON only: a form is sent on to its page

// controlDuties are the register's commands.
func (c *Console) controlDuties(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/duties", maxForm, c.settled(func(v *visit) (any, error) { return c.dutiesPage(v.tongue, v.r.URL.Query()) }))
	handle("GET /api/duties/{instrument}/{id}", maxForm, c.settled(func(v *visit) (any, error) {
		return c.dutyPage(v, v.r.PathValue("instrument")+"/"+v.r.PathValue("id"), v.r.URL.Query())
	}))
	handle("POST /api/duties", 4<<20, c.settled(func(v *visit) (any, error) {
		a, err := told[DutyAct](v)
		if err != nil {
			return nil, err
		}
		return c.dutyAct(v, a)
	}))
}
