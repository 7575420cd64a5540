package console

import (
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"

	"sekisho"
	"sekisho/duty"
)

// Documents at the employees' door: one reads what is in force, and says so.

var documentsAtTheDoor = []staffRoute{
	{pattern: "GET /my/documents/{version}", handle: (*StaffDoor).document},
	{pattern: "POST /my/documents/{version}", handle: (*StaffDoor).documentAcknowledge},
}

// acknowledgeDays are how long people have to read what came into force.
const acknowledgeDays = 60

// myDocuments lists what everybody must acknowledge.
func (d *StaffDoor) myDocuments(v *staffVisit) (lines []MyLine, err error) {
	if d.Duty == nil {
		return nil, nil
	}
	now := sekisho.At(d.Now())
	d.Views.Read(func() {
		for _, doc := range d.Duty.Documents() {
			one := doc.InForce
			if one == nil || !one.Body.Acknowledge || one.From > now {
				continue
			}
			l := MyLine{Title: d.documentTitle(v, one), State: "open", Owed: true, Due: one.From + sekisho.Time(acknowledgeDays*24*3600*1_000_000),
				To: fmt.Sprintf("/my/documents/%d", one.Number), Go: "read"}
			if at := one.When(v.who.staff); at != 0 {
				l.State, l.Owed, l.Done, l.Due, l.Go = "done", false, at, 0, "look"
			} else if l.Due < now {
				l.State, l.Bad = "missed", true
			}
			lines = append(lines, l)
		}
	})
	return lines, nil
}

// documentTitle is a text's first heading, in the reader's language if it is
// there in it.
func (d *StaffDoor) documentTitle(v *staffVisit, one *duty.Version) string {
	text, _ := d.documentText(v, one)
	if h := headingOf(text); h != "" {
		return h
	}
	return v.code("document.sort", one.Body.Sort)
}

// documentText is a text in the reader's language, else in the other.
func (d *StaffDoor) documentText(v *staffVisit, one *duty.Version) (text, lang string) {
	for _, lang := range []string{v.Lang, "ja", "en"} {
		if text := textOf(d.Vault, one, lang); text != "" {
			return text, lang
		}
	}
	return "", ""
}

// A myDocument is what the page shows.
type myDocument struct {
	Version  uint64
	Title    string
	Language string
	Text     template.HTML
	SHA256   string
	From     sekisho.Time
	Done     sekisho.Time
	Must     bool
	Note     string
}

// inForce is the version that a request is about, if it is in force and for
// everybody; nil after an answer was written.
func (d *StaffDoor) inForce(v *staffVisit) (one *duty.Version, err error) {
	n, err := strconv.ParseUint(v.r.PathValue("version"), 10, 64)
	if err == nil && d.Duty != nil {
		d.Views.Read(func() {
			if found, doc := d.Duty.Version(n); found != nil && doc.InForce == found && found.Body.Acknowledge {
				one = found
			}
		})
	}
	if one == nil {
		return nil, d.fails(v, http.StatusNotFound, "my.document.gone")
	}
	return one, nil
}

func (d *StaffDoor) document(v *staffVisit) error {
	one, err := d.inForce(v)
	if one == nil || err != nil {
		return err
	}
	return d.showDocument(v, http.StatusOK, one, "")
}

func (d *StaffDoor) showDocument(v *staffVisit, status int, one *duty.Version, note string) error {
	text, lang := d.documentText(v, one)
	if text == "" {
		return errors.New("the text of a document in force is not the one of the ledger")
	}
	html, err := d.texts.html(text)
	if err != nil {
		return err
	}
	sum := hashOf(text)
	m := &myDocument{Version: one.Number, Title: d.documentTitle(v, one), Language: lang, Text: html, SHA256: hex.EncodeToString(sum[:]), From: one.From, Must: one.Body.Acknowledge, Note: note}
	d.Views.Read(func() { m.Done = one.When(v.who.staff) })
	return d.print(v, status, "document", m.Title, m)
}

// documentAcknowledge records that the visitor read the text that was shown,
// once.
func (d *StaffDoor) documentAcknowledge(v *staffVisit) error {
	one, err := d.inForce(v)
	if one == nil || err != nil {
		return err
	}
	var was [32]byte
	shown, err := hex.DecodeString(v.r.PostFormValue("sha256"))
	known := err == nil && copy(was[:], shown) == len(was) && was != [32]byte{} && slices.Contains([][32]byte{one.Body.EnglishSHA, one.Body.JapaneseSHA}, was)
	if v.r.PostFormValue("read") == "" || !known {
		return d.showDocument(v, http.StatusBadRequest, one, v.say("my.document.tick"))
	}
	done := sekisho.Time(0)
	d.Views.Read(func() { done = one.When(v.who.staff) })
	if done == 0 {
		id, err := d.Append(v.r.Context(), &sekisho.DocumentAcknowledged{Version: one.Number, Staff: v.who.staff, SHA256: was})
		if err != nil {
			return fmt.Errorf("recording that a document was read: %w", err)
		}
		if err := d.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
			return fmt.Errorf("recording that a document was read: %w", err)
		}
	}
	http.Redirect(v.w, v.r, "/my", http.StatusSeeOther)
	return nil
}
