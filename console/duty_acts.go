package console

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
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

// maxEvidence is the most bytes of a document that is kept with a piece of
// evidence.
const maxEvidence = 1 << 20

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

func (c *Console) recordEvidence(v *visit, a *DutyAct) (sekisho.Body, DutyDone, error) {
	var done DutyDone
	e := &sekisho.EvidenceStated{Evidence: a.Kind, Producer: a.Producer, Item: strings.TrimSpace(a.Item), State: a.State, Value: a.Value, By: v.who.staff}
	if e.Producer == "" {
		e.Producer = "H"
	}
	d := c.cfg.Duty.Register().Duty(a.Duty)
	switch {
	case !slices.Contains(duty.Kinds, a.Kind):
		return nil, done, fail(http.StatusBadRequest, "duty_kind", strings.Join(duty.Kinds, ", "))
	case e.Producer != "H" && e.Producer != "X" && !(e.Producer == "S" && v.who.local):
		// What systems report comes by the control socket, not by a form that
		// somebody fills in.
		return nil, done, fail(http.StatusBadRequest, "duty_producer")
	case d == nil:
		return nil, done, fail(http.StatusNotFound, "duty")
	case len(e.Item) > 200 || len(a.State) > 40 || a.State == duty.Unsigned || a.State == duty.Declared:
		return nil, done, fail(http.StatusBadRequest, "duty_long")
	case strings.TrimSpace(a.Said) == "" && a.Document == "" && a.SHA256 == "":
		return nil, done, fail(http.StatusBadRequest, "duty_said")
	}
	fits := slices.ContainsFunc(d.Evidence, func(s duty.Spec) bool { return s.Kind == a.Kind && s.Accepts(e.Item) })
	if !fits {
		var kinds []string
		for _, s := range d.Evidence {
			kinds = append(kinds, strings.TrimSpace(s.Kind+" "+s.Item))
		}
		return nil, done, fail(http.StatusBadRequest, "duty_fits", strings.Join(kinds, ", "))
	}
	var err error
	if e.From, err = c.parseDay(a.From); err != nil {
		return nil, done, err
	}
	if e.Until, err = c.parseDay(a.Until); err != nil {
		return nil, done, err
	}
	if e.From == 0 {
		e.From = sekisho.At(c.cfg.Now())
	}
	if e.Until != 0 && e.Until <= e.From {
		return nil, done, fail(http.StatusBadRequest, "duty_period")
	}
	if e.Space, e.Units, err = c.dutyUnits(d, a.Units); err != nil {
		return nil, done, err
	}
	if len(e.Units) == 0 {
		if c.unitHint(d) != "group" {
			return nil, done, fail(http.StatusBadRequest, "duty_nobody")
		}
		e.Space, e.Units = duty.Group.Space, []uint32{duty.Group.Ordinal}
	}
	if a.SHA256 != "" {
		sum, err := hex.DecodeString(a.SHA256)
		if err != nil || len(sum) != len(e.SHA256) {
			return nil, done, fail(http.StatusBadRequest, "duty_sha256")
		}
		copy(e.SHA256[:], sum)
	}
	if a.Document != "" {
		text, err := base64.StdEncoding.DecodeString(a.Document)
		if err != nil || len(text) > maxEvidence {
			return nil, done, fail(http.StatusBadRequest, "duty_document")
		}
		sum := sha256.Sum256(text)
		if a.SHA256 != "" && sum != e.SHA256 {
			return nil, done, fail(http.StatusBadRequest, "duty_sha256")
		}
		if e.SHA256 = sum; !a.Dry {
			if e.Document = c.cfg.Vault.Space("document").OfText(text); e.Document == 0 {
				return nil, done, fmt.Errorf("keeping a document of evidence: the vault takes no more")
			}
		}
	}
	e.Said = c.sayDuty(a.Said, a.Dry)
	done.Units = len(e.Units)
	if e.Producer != "S" && e.State == "" {
		done.State = duty.Unsigned
	}
	return e, done, nil
}

// signEvidence is the second person's word.
func (c *Console) signEvidence(v *visit, a *DutyAct) (sekisho.Body, error) {
	var s duty.Stated
	ok := false
	c.cfg.Views.Read(func() { s, ok = c.cfg.Duty.Stated(a.Entry) })
	if !ok || s.Gone != 0 {
		return nil, fail(http.StatusNotFound, "duty_evidence")
	}
	mine := c.same(v, c.named("staff", s.Body.By))
	switch a.Action {
	case "withdrawn":
		if !mine {
			return nil, fail(http.StatusForbidden, "duty_withdraw")
		}
	case "countersigned", "rejected":
		if s.Verdict != "" {
			return nil, fail(http.StatusConflict, "duty_signed")
		}
		if mine {
			return nil, fail(http.StatusForbidden, "duty_own")
		}
	default:
		return nil, fail(http.StatusBadRequest, "duty_act")
	}
	return &sekisho.EvidenceSigned{Evidence: a.Entry, Action: a.Action, Said: c.sayDuty(a.Said, a.Dry), By: v.who.staff}, nil
}

// longestException is how long a waiver may last: it ends and is asked for
// again, or it is no exception.
const longestException = 366 * 24 * 3600 * 1_000_000

func (c *Console) askException(v *visit, a *DutyAct) (sekisho.Body, DutyDone, error) {
	var done DutyDone
	d := c.cfg.Duty.Register().Duty(a.Duty)
	if d == nil {
		return nil, done, fail(http.StatusNotFound, "duty")
	}
	e := &sekisho.ExceptionAsked{Duty: d.Name(), What: a.What, By: v.who.staff}
	if a.What != "waived" && a.What != "na" {
		return nil, done, fail(http.StatusBadRequest, "duty_what")
	}
	if strings.TrimSpace(a.Said) == "" {
		return nil, done, fail(http.StatusBadRequest, "duty_why")
	}
	var err error
	if e.From, err = c.parseDay(a.From); err != nil {
		return nil, done, err
	}
	if e.Until, err = c.parseDay(a.Until); err != nil {
		return nil, done, err
	}
	if e.From == 0 {
		e.From = sekisho.At(c.cfg.Now())
	}
	if e.Until <= e.From || e.Until-e.From > longestException {
		return nil, done, fail(http.StatusBadRequest, "duty_end")
	}
	if e.Space, e.Units, err = c.dutyUnits(d, a.Units); err != nil {
		return nil, done, err
	}
	owner, ok := c.cfg.Vault.Space("staff").Find(strings.TrimSpace(a.Owner))
	if !ok {
		return nil, done, fail(http.StatusBadRequest, "duty_owner")
	}
	e.Owner, e.Said = owner, c.sayDuty(a.Said, a.Dry)
	done.Units = len(e.Units)
	return e, done, nil
}

func (c *Console) decideException(v *visit, a *DutyAct) (sekisho.Body, error) {
	var one *duty.Exception
	c.cfg.Views.Read(func() {
		for _, o := range c.cfg.Duty.Exceptions() {
			if o.Seq == a.Entry {
				one = &o
			}
		}
	})
	if one == nil {
		return nil, fail(http.StatusNotFound, "duty_exception")
	}
	mine := c.same(v, c.named("staff", one.Body.By))
	switch a.Action {
	case "approved", "rejected":
		switch {
		case one.Action != "":
			return nil, fail(http.StatusConflict, "duty_decided")
		case !c.mayDecide(v.who):
			return nil, fail(http.StatusForbidden, "duty_role")
		case mine || c.same(v, c.named("staff", one.Body.Owner)):
			return nil, fail(http.StatusForbidden, "duty_own")
		}
	case "withdrawn":
		if one.Action != "" || !mine {
			return nil, fail(http.StatusForbidden, "duty_withdraw")
		}
	case "ended":
		if one.Action != "approved" || one.Ended != 0 {
			return nil, fail(http.StatusConflict, "duty_decided")
		}
		if !mine && !c.mayDecide(v.who) {
			return nil, fail(http.StatusForbidden, "duty_role")
		}
	default:
		return nil, fail(http.StatusBadRequest, "duty_act")
	}
	return &sekisho.ExceptionDecided{Exception: a.Entry, Action: a.Action, Said: c.sayDuty(a.Said, a.Dry), By: v.who.staff}, nil
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

// A StatedLine is evidence that waits for a second person.
type StatedLine struct {
	Entry uint64       `json:"entry"`
	At    sekisho.Time `json:"at"`
	Kind  string       `json:"kind"`
	Item  string       `json:"item,omitempty"`
	Units []string     `json:"units"`
	More  int          `json:"more,omitempty"`
	From  sekisho.Time `json:"from"`
	Text  string       `json:"text"`
	By    string       `json:"by"`
	Own   bool         `json:"own"`
}

// waitingFor lists unsigned evidence of a duty's kinds. The views stand still.
func (c *Console) waitingFor(v *visit, d *duty.Duty) (list []StatedLine) {
	for _, s := range c.cfg.Duty.Unsigned(500) {
		if d != nil && !slices.ContainsFunc(d.Evidence, func(e duty.Spec) bool {
			return e.Second && e.Kind == s.Body.Evidence && e.Accepts(s.Body.Item)
		}) {
			continue
		}
		line := StatedLine{Entry: s.Seq, At: sekisho.Time(s.At), Kind: s.Body.Evidence, Item: s.Body.Item, From: s.Body.From, Text: c.said(s.Body.Said), By: c.named("staff", s.Body.By)}
		line.Own = c.same(v, line.By)
		for n, u := range s.Body.Units {
			if n == 5 {
				line.More = len(s.Body.Units) - n
				break
			}
			line.Units = append(line.Units, c.unitName(v.tongue, duty.Unit{Space: s.Body.Space, Ordinal: u}))
		}
		if list = append(list, line); len(list) == 50 {
			break
		}
	}
	return list
}

// An ExceptionLine is one exception with its answer.
type ExceptionLine struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"at"`
	Duty   string       `json:"duty"`
	What   string       `json:"what"`
	Units  int          `json:"units"` // 0: all
	From   sekisho.Time `json:"from"`
	Until  sekisho.Time `json:"until"`
	Owner  string       `json:"owner"`
	Why    string       `json:"why"`
	By     string       `json:"by"`
	Action string       `json:"action"` // "" while it waits
	Judge  string       `json:"decided_by,omitempty"`
	Ended  sekisho.Time `json:"ended,omitempty"`
	Over   bool         `json:"over"`
	Own    bool         `json:"own"`
}

// exceptionLines are those of a duty, or all. The views stand still.
func (c *Console) exceptionLines(v *visit, name string) (list []ExceptionLine) {
	now := sekisho.At(c.cfg.Now())
	for _, o := range c.cfg.Duty.Exceptions() {
		if name != "" && o.Body.Duty != name {
			continue
		}
		line := ExceptionLine{Entry: o.Seq, At: sekisho.Time(o.At), Duty: o.Body.Duty, What: o.Body.What, Units: len(o.Body.Units), From: o.Body.From, Until: o.Body.Until,
			Owner: c.named("staff", o.Body.Owner), Why: c.said(o.Body.Said), By: c.named("staff", o.Body.By), Action: o.Action, Judge: c.named("staff", o.By), Ended: sekisho.Time(o.Ended)}
		line.Over = o.Ended != 0 || now >= o.Body.Until
		line.Own = c.same(v, line.By) || c.same(v, line.Owner)
		if list = append(list, line); len(list) == 100 {
			break
		}
	}
	return list
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
	settled := func(do func(v *visit) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
				return nil, fmt.Errorf("answering a command: %w", err)
			}
			return do(v)
		}
	}
	handle("GET /api/duties", maxForm, settled(func(v *visit) (any, error) { return c.dutiesPage(v.tongue, v.r.URL.Query()) }))
	handle("GET /api/duties/{instrument}/{id}", maxForm, settled(func(v *visit) (any, error) {
		return c.dutyPage(v, v.r.PathValue("instrument")+"/"+v.r.PathValue("id"), v.r.URL.Query())
	}))
	handle("POST /api/duties", 4<<20, settled(func(v *visit) (any, error) {
		a, err := told[DutyAct](v)
		if err != nil {
			return nil, err
		}
		return c.dutyAct(v, a)
	}))
}
