package console

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// At the employees' door the person of an inspected company reads the record and
// signs it: they were mailed the way in at the directory's address, so that no
// inspector can sign in their stead.

var checksAtTheDoor = []staffRoute{
	{pattern: "GET /my/checks/{number}", handle: (*StaffDoor).myCheck},
	{pattern: "POST /my/checks/{number}", handle: (*StaffDoor).signMyCheck},
}

// myChecks are the records that wait for the visitor's signature or have it, and
// the findings that the visitor owes.
func (d *StaffDoor) myChecks(v *staffVisit) (lines []MyLine, err error) {
	if d.Duty == nil {
		return nil, nil
	}
	now := sekisho.At(d.Now())
	d.Views.Read(func() {
		for _, one := range d.Duty.Checks().All() {
			n, _ := duty.NounOf(one.Body.Noun)
			if one.Other != v.who.staff || one.Cancelled != 0 {
				continue
			}
			l := MyLine{Title: v.code("noun", one.Body.Noun) + " " + number(one.Number), Due: one.Due, To: fmt.Sprintf("/my/checks/%d", one.Number), Go: "sign", State: "open", Owed: true}
			switch s := one.Signature(n.Parties[1]); {
			case one.Held == 0:
				l.Owed, l.State, l.Go = true, "planned", "look"
			case s != nil:
				l.Owed, l.State, l.Go, l.Done = false, "signed", "look", s.At
			default:
				l.State, l.Bad = "unsigned", one.Due != 0 && now > one.Due
			}
			lines = append(lines, l)
		}
		for _, f := range d.Duty.Checks().Found() {
			if f.Owner != v.who.staff {
				continue
			}
			switch state := f.State(now); state {
			case "open", "overdue", "expired":
				title, _ := d.Vault.Space("said").Key(f.Title)
				lines = append(lines, MyLine{Title: v.say("finding.head", number(f.Number)), What: title, State: "finding", Owed: true, Bad: state != "open", Due: f.Due})
			}
		}
	})
	return lines, nil
}

// A myCheckPage is the record as its second signer reads it.
type myCheckPage struct {
	Number   uint64
	Noun     string
	Held     sekisho.Time
	Lead     string
	Scope    string
	Record   string
	Items    []ItemLine
	Findings []FindingLine
	Papers   []PaperLine
	Signed   []CheckSignature
	Mine     bool   // it has the visitor's signature
	Bad      string // what to do about the form; a key
}

// mine is a copy of the check that the visitor answers for, or nil.
func (d *StaffDoor) mine(v *staffVisit) *duty.Check {
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
	if err != nil || d.Duty == nil {
		return nil
	}
	var one *duty.Check
	d.Views.Read(func() {
		if x := d.Duty.Checks().Check(n); x != nil && x.Other == v.who.staff && x.Cancelled == 0 {
			one = x.Clone()
		}
	})
	return one
}

func (d *StaffDoor) named(space string, o uint32) string {
	name, _ := d.Vault.Space(space).Key(o)
	return name
}

func (d *StaffDoor) myCheck(v *staffVisit) error { return d.showCheck(v, http.StatusOK, "") }

func (d *StaffDoor) showCheck(v *staffVisit, status int, bad string) error {
	one := d.mine(v)
	if one == nil { // also somebody else's: nobody learns what there is
		return d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	n, _ := duty.NounOf(one.Body.Noun)
	p := myCheckPage{Number: one.Number, Noun: one.Body.Noun, Held: one.Held, Lead: d.named("staff", one.Lead), Scope: d.named("said", one.Body.Scope), Record: hex.EncodeToString(one.Record[:]), Mine: one.Signature(n.Parties[1]) != nil, Bad: bad}
	if text := d.named("document", one.Body.Document); text != "" {
		list, err := duty.ReadChecklist([]byte(text))
		if err != nil {
			return err
		}
		for _, s := range list.Sections {
			for _, i := range s.Items {
				a := one.Answers[i.ID]
				p.Items = append(p.Items, ItemLine{ID: i.ID, Text: i.Say.In(v.Lang), Must: i.Must, Answer: a.Answer, Note: d.named("said", a.Note)})
			}
		}
	}
	d.Views.Read(func() {
		for _, m := range one.Findings {
			f := d.Duty.Checks().Finding(m)
			p.Findings = append(p.Findings, FindingLine{Number: f.Number, Title: d.named("said", f.Title), Grade: f.Body.Grade, Due: f.Due, Owner: d.named("staff", f.Owner)})
		}
	})
	for _, x := range one.Papers {
		p.Papers = append(p.Papers, PaperLine{What: x.Body.What, Title: d.named("said", x.Body.Title), SHA256: hex.EncodeToString(x.Body.SHA256[:])})
	}
	for _, s := range one.Signed {
		p.Signed = append(p.Signed, CheckSignature{Time: s.At, Party: s.Body.Party, Person: d.named("staff", s.Body.Person), Agreed: s.Body.Agreed, Stands: s.Body.SHA256 == one.Record, Text: d.named("said", s.Body.Said)})
	}
	return d.print(v, status, "check", v.code("noun", one.Body.Noun), p)
}

// signMyCheck is the visitor's signature on the record that the form showed.
func (d *StaffDoor) signMyCheck(v *staffVisit) error {
	one := d.mine(v)
	if one == nil {
		return d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	n, _ := duty.NounOf(one.Body.Noun)
	f := v.r.PostForm
	text, agreed := strings.TrimSpace(f.Get("text")), f.Get("answer") == "agree"
	switch {
	case one.Held == 0:
		return d.showCheck(v, http.StatusConflict, "hint.check_not_held")
	case one.Lead == v.who.staff:
		return d.showCheck(v, http.StatusForbidden, "hint.check_both")
	case f.Get("record") != hex.EncodeToString(one.Record[:]):
		return d.showCheck(v, http.StatusConflict, "hint.check_record")
	case one.Signature(n.Parties[1]) != nil:
		return d.showCheck(v, http.StatusConflict, "hint.check_signed")
	case !agreed && (f.Get("answer") != "disagree" || text == ""), len(text) > maxSaid:
		return d.showCheck(v, http.StatusBadRequest, "my.check.why")
	}
	b := &sekisho.CheckSigned{Check: one.Number, Party: n.Parties[1], Person: v.who.staff, Door: "staff", SHA256: one.Record, Agreed: agreed}
	if text != "" {
		if b.Said = d.Vault.Space("said").OfText([]byte(text)); b.Said == 0 {
			return fmt.Errorf("keeping what was said: the vault takes no more")
		}
	}
	id, err := d.Append(v.r.Context(), b)
	if err != nil {
		return fmt.Errorf("recording a signature: %w", err)
	}
	if err := d.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/my/checks/%d", one.Number), http.StatusSeeOther)
	return nil
}
