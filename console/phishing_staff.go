package console

import (
	"net/http"
	"strings"

	"sekisho"
)

// Drills by mail at the employees' door: how to report, one's own results, for
// one's own eyes, and what is kept.

var phishingAtTheDoor = []staffRoute{
	{pattern: "GET /my/phishing", handle: (*StaffDoor).phishing},
	{pattern: "POST /my/phishing", handle: (*StaffDoor).phishingReport, limit: 300 << 10},
}

// mostReported is the bytes of a mail that is pasted into the form.
const mostReported = 90 << 10

// myPhishing is the way to the page.
func (d *StaffDoor) myPhishing(v *staffVisit) ([]MyLine, error) {
	if d.Lures == nil || len(d.Lures.Config.Domains) == 0 {
		return nil, nil
	}
	return []MyLine{{Title: v.say("my.phishing"), State: "phishing", To: "/my/phishing", Go: "look"}}, nil
}

// A myDrill is what the visitor did with one lure.
type myDrill struct {
	Title    string
	Mailed   sekisho.Time
	Level    string
	Reported sekisho.Time
	Did      []string
}

type myPhishingPage struct {
	Drills          []myDrill
	Report, Contact string
	Least, Keep     int
	Sent            string // "": nothing was; else "drill" or "suspect"
}

func (d *StaffDoor) phishing(v *staffVisit) error { return d.phishingPage(v, "") }

func (d *StaffDoor) phishingPage(v *staffVisit, sent string) error {
	if d.Lures == nil {
		return d.fails(v, http.StatusNotFound, "my.fail.nowhere")
	}
	c := &d.Lures.Config
	p := &myPhishingPage{Report: c.Report, Contact: c.Contact, Least: c.Least, Keep: c.Keep, Sent: sent}
	for _, one := range d.Lures.Own(v.who.staff) {
		if one.Mailed == 0 { // not before it came: a drill is no news beforehand
			continue
		}
		title, _ := d.Vault.Space("said").Key(one.Title)
		m := myDrill{Title: title, Mailed: one.Mailed, Level: one.Level, Reported: one.Reported}
		for _, did := range []string{"clicked", "attachment", "typed", "left_empty", "replied", "learned", "reported"} {
			if class := one.Did[did]; class == "human" || class == "uncertain" {
				m.Did = append(m.Did, did)
			}
		}
		p.Drills = append(p.Drills, m)
	}
	return d.print(v, http.StatusOK, "phishing", v.say("my.phishing"), p)
}

// phishingReport takes in a mail that was pasted.
func (d *StaffDoor) phishingReport(v *staffVisit) error {
	text := strings.TrimSpace(v.r.PostForm.Get("mail"))
	if d.Lures == nil || text == "" || len(text) > mostReported {
		return d.fails(v, http.StatusBadRequest, "my.phishing.long")
	}
	drill, err := d.Lures.Report(v.r.Context(), v.who.staff, []byte(text))
	if err != nil {
		return err
	}
	if drill {
		return d.phishingPage(v, "drill")
	}
	return d.phishingPage(v, "suspect")
}
