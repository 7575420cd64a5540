package console

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// Evidence: what one person states, and what a second says of it.

// maxEvidence is the most bytes of a document that is kept with a piece of
// evidence.
const maxEvidence = 1 << 20

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
