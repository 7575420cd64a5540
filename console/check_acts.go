package console

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// A CheckAct is one thing that a person does with a check. Which fields count
// depends on the act.
type CheckAct struct {
	At       string            `json:"at,omitempty"`      // held
	Due      string            `json:"due,omitempty"`     // move; conclude: until when the result is good
	Person   string            `json:"person,omitempty"`  // hand, name
	Result   string            `json:"result,omitempty"`  // conclude
	Text     string            `json:"text,omitempty"`    // why
	Answers  map[string]string `json:"answers,omitempty"` // answer: by item
	Notes    map[string]string `json:"notes,omitempty"`   // answer: by item
	Paper    *PaperAsk         `json:"paper,omitempty"`   // paper
	Record   string            `json:"record,omitempty"`  // sign: the SHA-256 of the record that was read
	Disagree bool              `json:"disagree,omitempty"`
	Present  []string          `json:"present,omitempty"` // attend
	Unit     string            `json:"unit,omitempty"`    // finding: which of the check's; default the first
	Grade    string            `json:"grade,omitempty"`   // finding
	Code     string            `json:"code,omitempty"`    // finding: the checklist's item
	Seen     map[string]string `json:"seen,omitempty"`    // seen: what was found, by the asset's name
	Pieces   map[string]uint64 `json:"pieces,omitempty"`  // seen: how many
	Rest     string            `json:"rest,omitempty"`    // seen: what holds of those that nobody has seen yet
	Owner    string            `json:"owner,omitempty"`   // finding
}

// checkActs make the entry of each act, or say why it may not be.
var checkActs = map[string]func(*Console, *visit, *duty.Check, CheckAct) (sekisho.Body, error){
	"move": (*Console).checkMove, "hand": (*Console).checkHand, "name": (*Console).checkName, "cancel": (*Console).checkCancel, "held": (*Console).checkHeld,
	"answer": (*Console).checkAnswer, "paper": (*Console).checkPaper, "sign": (*Console).checkSign, "attend": (*Console).checkAttend,
	"conclude": (*Console).checkConclude, "finding": (*Console).checkFinding,
}

const maxActs = 5000 // of one check

// actOnCheck does one thing with a check. It is durable, and the pages know it,
// when this returns.
func (c *Console) actOnCheck(v *visit, which uint64, act string, a CheckAct) (uint64, error) {
	if err := c.checksReady(); err != nil {
		return 0, err
	}
	do, ok := checkActs[act]
	if !ok && act != "seen" {
		return 0, fail(http.StatusNotFound, "check_act")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return 0, fmt.Errorf("working on a check: %w", err)
	}
	var one *duty.Check
	c.cfg.Views.Read(func() {
		if one = c.cfg.Checks.Check(which); one != nil {
			one = one.Clone()
		}
	})
	switch {
	case one == nil:
		return 0, fail(http.StatusNotFound, "check")
	case one.Cancelled != 0:
		return 0, fail(http.StatusConflict, "check_cancelled")
	case len(one.Papers)+len(one.Findings)+len(one.Signed)+len(one.Steps) > maxActs:
		return 0, fail(http.StatusConflict, "room_full")
	}
	if a.Text = strings.TrimSpace(a.Text); len(a.Text) > maxSaid {
		return 0, fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	if act == "seen" {
		return c.see(v, one, a)
	}
	b, err := do(c, v, one, a)
	if err != nil {
		return 0, err
	}
	return c.enter(v, b)
}

// leads: the visitor leads the check, or may decide for others.
func (c *Console) leads(v *visit, one *duty.Check) bool {
	return c.same(v, c.named("staff", one.Lead)) || c.mayDecide(v.who)
}

// works: the visitor leads it, or answers for the other side.
func (c *Console) works(v *visit, one *duty.Check) bool {
	return c.leads(v, one) || one.Other != 0 && c.same(v, c.named("staff", one.Other))
}

func (c *Console) changed(one *duty.Check, action string, v *visit, a CheckAct) (*sekisho.CheckChanged, error) {
	b := &sekisho.CheckChanged{Check: one.Number, Action: action, By: v.who.staff}
	if !c.leads(v, one) {
		return b, fail(http.StatusForbidden, "check_lead", c.named("staff", one.Lead))
	}
	var err error
	b.Said, err = c.write(a.Text)
	return b, err
}

func (c *Console) checkMove(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	b, err := c.changed(one, "moved", v, a)
	if err != nil {
		return nil, err
	}
	if b.Due, err = c.moment(v, a.Due); err != nil {
		return nil, err
	}
	if b.Due == 0 || a.Text == "" {
		return nil, fail(http.StatusBadRequest, "check_move")
	}
	if one.Held != 0 {
		return nil, fail(http.StatusConflict, "check_held")
	}
	return b, nil
}

func (c *Console) checkHand(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	b, err := c.changed(one, "handed", v, a)
	if err != nil {
		return nil, err
	}
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	if b.Person == 0 || one.Other != 0 && c.onePerson(b.Person, one.Other) {
		return nil, fail(http.StatusBadRequest, "checks_two")
	}
	return b, nil
}

func (c *Console) checkName(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	b, err := c.changed(one, "named", v, a)
	if err != nil {
		return nil, err
	}
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	if b.Person == 0 || c.onePerson(b.Person, one.Lead) {
		return nil, fail(http.StatusBadRequest, "checks_two")
	}
	return b, nil
}

func (c *Console) checkCancel(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	b, err := c.changed(one, "cancelled", v, a)
	if err == nil && a.Text == "" {
		err = fail(http.StatusBadRequest, "room_reason")
	}
	if err == nil && one.Held != 0 {
		err = fail(http.StatusConflict, "check_held")
	}
	return b, err
}

func (c *Console) checkHeld(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	b, err := c.changed(one, "held", v, a)
	if err != nil {
		return nil, err
	}
	b.At, err = c.past(v, a.At, sekisho.At(c.cfg.Now()))
	return b, err
}

var checkAnswers = []string{"yes", "partly", "no", "na"}

func (c *Console) checkAnswer(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	if !c.leads(v, one) {
		return nil, fail(http.StatusForbidden, "check_lead", c.named("staff", one.Lead))
	}
	b := &sekisho.CheckAnswered{Check: one.Number, By: v.who.staff}
	for item := range a.Answers {
		if !slices.Contains(one.Body.Items, item) {
			return nil, fail(http.StatusBadRequest, "check_item", item)
		}
	}
	for _, item := range one.Body.Items {
		answer, note := a.Answers[item], strings.TrimSpace(a.Notes[item])
		before, had := one.Answers[item]
		switch {
		case answer == "":
			continue
		case had && before.Answer == answer && note == c.said(before.Note):
			continue // as it was: the signatures for it stay
		case !slices.Contains(checkAnswers, answer):
			return nil, fail(http.StatusBadRequest, "check_answer")
		case len(note) > maxSaid:
			return nil, fail(http.StatusBadRequest, "room_text", number(maxSaid))
		case answer != "yes" && note == "":
			return nil, fail(http.StatusBadRequest, "check_note", item)
		}
		said, err := c.write(note)
		if err != nil {
			return nil, err
		}
		b.Items, b.Answers, b.Notes = append(b.Items, item), append(b.Answers, answer), append(b.Notes, said)
	}
	if len(b.Items) == 0 {
		return nil, fail(http.StatusBadRequest, "check_nothing")
	}
	return b, nil
}

func (c *Console) checkPaper(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	if !c.works(v, one) {
		return nil, fail(http.StatusForbidden, "check_lead", c.named("staff", one.Lead))
	}
	if a.Paper == nil {
		return nil, fail(http.StatusBadRequest, "paper_what")
	}
	return c.paper(v, one.Number, *a.Paper)
}

// signer is who has to sign for a party; 0: nobody in particular.
func (c *Console) signer(one *duty.Check, party int) uint32 {
	if party == 0 {
		return one.Lead
	}
	return one.Other
}

// maySign: the visitor is who signs for a party. For the first that is whoever
// led; for the second the person who was named, or else, where no other side
// was visited, anybody who may decide. Nobody signs for both.
func (c *Console) maySign(v *visit, one *duty.Check, party int) error {
	lead := c.same(v, c.named("staff", one.Lead))
	switch {
	case party == 0 && lead:
		return nil
	case party == 0:
		return fail(http.StatusForbidden, "check_lead", c.named("staff", one.Lead))
	case lead:
		return fail(http.StatusForbidden, "check_both")
	case one.Other != 0 && c.same(v, c.named("staff", one.Other)):
		return nil
	case one.Other != 0:
		return fail(http.StatusForbidden, "check_other", c.named("staff", one.Other))
	case one.Body.Noun == "inspection":
		return fail(http.StatusConflict, "check_unnamed")
	case !c.mayDecide(v.who):
		return fail(http.StatusForbidden, "export_role")
	}
	return nil
}

func (c *Console) checkSign(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	n, _ := duty.NounOf(one.Body.Noun)
	party := 0
	err := c.maySign(v, one, 0)
	if err != nil {
		party = 1
		if second := c.maySign(v, one, 1); second != nil {
			return nil, second
		}
	}
	door := "console"
	if v.who.local {
		door = "control"
	}
	return c.signature(one, n.Parties[party], v.who.staff, door, a)
}

// signature is one on the record as its signer has read it.
func (c *Console) signature(one *duty.Check, party string, person uint32, door string, a CheckAct) (sekisho.Body, error) {
	if one.Held == 0 {
		return nil, fail(http.StatusConflict, "check_not_held")
	}
	if a.Record != hex.EncodeToString(one.Record[:]) {
		return nil, fail(http.StatusConflict, "check_record")
	}
	if a.Disagree && a.Text == "" {
		return nil, fail(http.StatusBadRequest, "room_reason")
	}
	if s := one.Signature(party); s != nil && s.Body.Agreed != a.Disagree {
		return nil, fail(http.StatusConflict, "check_signed")
	}
	said, err := c.write(a.Text)
	return &sekisho.CheckSigned{Check: one.Number, Party: party, Person: person, Door: door, SHA256: one.Record, Agreed: !a.Disagree, Said: said}, err
}

func (c *Console) checkAttend(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	n, _ := duty.NounOf(one.Body.Noun)
	if !n.Attended {
		return nil, fail(http.StatusNotFound, "check_act")
	}
	if !c.leads(v, one) {
		return nil, fail(http.StatusForbidden, "check_lead", c.named("staff", one.Lead))
	}
	b := &sekisho.Attended{Check: one.Number, By: v.who.staff}
	for _, name := range a.Present {
		o, err := c.account(name)
		if err != nil {
			return nil, err
		}
		if o != 0 && !slices.Contains(b.Present, o) {
			b.Present = append(b.Present, o)
		}
	}
	c.cfg.Views.Read(func() {
		for _, u := range one.Body.Units {
			if t := c.cfg.Checks.Thing(u); t != nil {
				for _, m := range t.Body.Members {
					if !slices.Contains(b.Present, m) && !slices.Contains(b.Absent, m) {
						b.Absent = append(b.Absent, m)
					}
				}
			}
		}
	})
	slices.Sort(b.Present)
	slices.Sort(b.Absent)
	if len(b.Present) == 0 {
		return nil, fail(http.StatusBadRequest, "check_present")
	}
	return b, nil
}

var checkResults = []string{"passed", "conditions", "failed"}

func (c *Console) checkConclude(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	b, err := c.changed(one, "concluded", v, a)
	if err != nil {
		return nil, err
	}
	if b.Result = a.Result; !slices.Contains(checkResults, b.Result) || b.Result != "passed" && a.Text == "" {
		return nil, fail(http.StatusBadRequest, "check_result")
	}
	if b.Due, err = c.moment(v, a.Due); err != nil {
		return nil, err
	}
	if b.Due != 0 && b.Due <= sekisho.At(c.cfg.Now()) {
		return nil, fail(http.StatusBadRequest, "check_good")
	}
	if one.Held == 0 {
		return nil, fail(http.StatusConflict, "check_not_held")
	}
	return b, nil
}

func (c *Console) checkFinding(v *visit, one *duty.Check, a CheckAct) (sekisho.Body, error) {
	if !c.leads(v, one) {
		return nil, fail(http.StatusForbidden, "check_lead", c.named("staff", one.Lead))
	}
	b := &sekisho.FindingRaised{Check: one.Number, Space: one.Body.Space, Unit: one.Body.Units[0], Grade: a.Grade, Code: a.Code, By: v.who.staff}
	if a.Unit != "" {
		n, _ := duty.NounOf(one.Body.Noun)
		o, err := c.unit(n.Space, n.Of, a.Unit)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(one.Body.Units, o) {
			return nil, fail(http.StatusBadRequest, "checks_unit", a.Unit)
		}
		b.Unit = o
	}
	if b.Code != "" && !slices.Contains(one.Body.Items, b.Code) {
		return nil, fail(http.StatusBadRequest, "check_item", b.Code)
	}
	return b, c.fillFinding(v, b, a)
}

// actForm is what a form of a check's or a finding's page asks for.
func actForm(v *visit) (act string, a CheckAct, err error) {
	act = v.r.PathValue("act")
	if act != "paper" {
		a, err = checkForm(v)
		return act, a, err
	}
	ask, err := paperForm(v)
	a.Paper = &ask
	return act, a, err
}

// checkActForm does what a form of the page asks for.
func (c *Console) checkActForm(v *visit) (page, error) {
	number, err := v.pathNumber("number", "check")
	if err != nil {
		return nil, err
	}
	act, a, err := actForm(v)
	if err != nil {
		return nil, err
	}
	if _, err := c.actOnCheck(v, number, act, a); err != nil {
		return nil, err
	}
	anchors := map[string]string{"answer": "#list", "paper": "#papers", "finding": "#findings", "sign": "#signatures", "attend": "#attendance"}
	return c.seeCheck(v, number, anchors[act])
}

func checkForm(v *visit) (a CheckAct, err error) {
	if err := v.r.ParseForm(); err != nil {
		return a, tooLarge(err)
	}
	f := v.r.PostForm
	a = CheckAct{At: f.Get("at"), Due: f.Get("due"), Person: f.Get("person"), Result: f.Get("result"), Text: f.Get("text"), Record: f.Get("record"), Disagree: f.Get("answer") == "disagree",
		Unit: f.Get("unit"), Grade: f.Get("grade"), Code: f.Get("code"), Owner: f.Get("owner"), Rest: f.Get("rest"), Seen: map[string]string{}, Pieces: map[string]uint64{}, Answers: map[string]string{}, Notes: map[string]string{}}
	for key := range f {
		if item, ok := strings.CutPrefix(key, "answer."); ok {
			a.Answers[item] = f.Get(key)
		}
		if item, ok := strings.CutPrefix(key, "note."); ok {
			a.Notes[item] = f.Get(key)
		}
		if item, ok := strings.CutPrefix(key, "seen."); ok {
			a.Seen[item] = f.Get(key)
		}
		if item, ok := strings.CutPrefix(key, "pieces."); ok && f.Get(key) != "" {
			if a.Pieces[item], err = strconv.ParseUint(f.Get(key), 10, 64); err != nil {
				return a, fail(http.StatusBadRequest, "asset_pieces")
			}
		}
	}
	for _, field := range f["present"] {
		a.Present = append(a.Present, strings.FieldsFunc(field, func(r rune) bool { return strings.ContainsRune("\r\n,、 ", r) })...)
	}
	return a, nil
}
