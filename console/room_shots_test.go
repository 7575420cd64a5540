package console

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sekisho"
	"sekisho/incident"
)

// busyRoom is a house in whose incident people have been at work.
func busyRoom(t *testing.T) (h *house, number uint64) {
	t.Helper()
	m, err := incident.Read(incident.Config{
		Roster: map[string][]string{"point_of_contact": {"desk", "desk-night"}, "incident_commander": {"sato", "suzuki"}, "response_lead": {"ito"}, "privacy_officer": {"tanaka"},
			"executive": {"yamada"}, "communications": {"mori"}},
		People: map[string]incident.Contact{"yamada": {Name: "Yamada Hanako", Phone: "+81-3-0000-0000"}},
	})
	must(t, err)
	h = newHouse(t, func(c *Config) { c.Manual = m })
	path := h.furnish()["incident"]
	h.pursue(path)
	number, err = strconv.ParseUint(strings.TrimPrefix(path, "/incidents/"), 10, 64)
	must(t, err)
	h.fillRoom(number)
	return h, number
}

// fillRoom writes what people did in an incident.
func (h *house) fillRoom(n uint64) {
	said := func(text string) uint32 { return h.vault.Space("said").OfText([]byte(text)) }
	now := func() sekisho.Time { return sekisho.At(h.clock.now()) }
	malware, _ := h.console.cfg.Manual.Playbook("malware")
	for rung, who := range []string{"desk", "desk-night", "sato"} {
		h.append(&sekisho.Escalated{Incident: n, About: n, Stage: "acknowledge", Rung: uint32(rung), Role: []string{"point_of_contact", "point_of_contact", "incident_commander"}[rung], Person: h.staff(who), Due: now()})
		h.clock.pass(time.Hour)
	}
	h.append(&sekisho.Acknowledged{Incident: n, About: n, Said: said("the commander takes it on by telephone"), By: h.staff("sato")})
	h.append(&sekisho.RoleChanged{Incident: n, Role: "incident_commander", Action: "taken", Person: h.staff("sato"), By: h.staff("sato")},
		&sekisho.RoleChanged{Incident: n, Role: "response_lead", Action: "taken", Person: h.staff("ito"), By: h.staff("sato")},
		&sekisho.RoleChanged{Incident: n, Role: "incident_commander", Action: "handed_over", Person: h.staff("suzuki"), Said: said("the provider calls again at noon; destinations are not complete"), By: h.staff("sato")})
	h.append(&sekisho.PlaybookChosen{Incident: n, Name: malware.Name, Edition: malware.Edition, SHA256: malware.SHA256, Document: h.vault.Space("document").OfText(malware.Text), By: h.staff("suzuki")})
	h.append(&sekisho.TaskChanged{Incident: n, Task: "malware/keep_running", Action: "done", Said: said("by the help desk, at 11:40"), By: h.staff("ito")},
		&sekisho.TaskChanged{Incident: n, Task: "malware/memory", Action: "assigned", Person: h.staff("ito"), By: h.staff("suzuki")})
	first := h.append(&sekisho.FactStated{Incident: n, Code: "first_malicious", Happened: now() - 35*24*3600e6, Known: now(), Source: "sensor", Certainty: "likely", Said: said("first traffic to the address abroad"), By: h.staff("mori")})
	h.append(&sekisho.FactStated{Incident: n, Code: "first_malicious", Happened: now() - 53*24*3600e6, Known: now(), Source: "provider", Certainty: "confirmed", Corrects: first, Said: said("the provider finds earlier traffic in its own records"), By: h.staff("mori")},
		&sekisho.FactStated{Incident: n, Code: "entry", Known: now(), Source: "person", Certainty: "likely", Said: said("mail with an attachment that is named like an invoice"), By: h.staff("mori")},
		&sekisho.FactStated{Incident: n, Code: "note", Happened: now() - 3600e6, Known: now(), Source: "customer", Certainty: "possible", Said: said("a member asks why the counter is slow"), By: h.staff("mori")})
	d := h.append(&sekisho.DecisionMade{Incident: n, Code: "contain", Title: said("Cut off from the outside, now?"), Options: []uint32{said("Cut every terminal that can reach the system"), said("Watch on until noon")}, Said: said("it still goes on, and check-in is spared"), By: h.staff("suzuki")})
	h.append(&sekisho.DecisionMade{Incident: n, Code: "report", Title: said("Report to the regulator?"), Options: []uint32{said("Preliminary report now"), said("Not reportable")}, Two: true, Said: said("an act with an improper purpose cannot be excluded"), By: h.staff("tanaka")})
	_ = d
	h.append(&sekisho.Raised{Incident: n, What: "host_health", Source: "sensor", Endpoint: "srv-file-02", Known: now() - 3600e6, Said: said("the disk is full of a large file without an extension"), By: h.staff("ito")})
	e := h.append(&sekisho.EvidenceAdded{Incident: n, SHA256: [32]byte{0xd0, 0x7c, 0xd0}, Size: 8_589_934_592, Title: said("memory of pc-0417"), Kept: said("safe 3, building B"), Taken: now(), Person: h.staff("ito"), By: h.staff("ito")})
	h.append(&sekisho.CustodyMoved{Incident: n, Evidence: e, Kept: said("Metropolitan Police, cyber section"), Said: said("handed over against a receipt"), Checked: true, By: h.staff("ito")})
	h.append(&sekisho.LessonNoted{Incident: n, Action: "learned", Person: h.staff("ito"), Due: now() + 60*24*3600e6, Said: said("attachments from first contacts open in a room of their own"), By: h.staff("suzuki")})
	h.clock.pass(30 * time.Minute)
}

// The room and the president's page fit a telephone, and the latter one sheet
// of A4, in both languages. With SHOTS=DIR it leaves pictures there.
func TestTheRoomFits(t *testing.T) {
	h, number := busyRoom(t)
	ctx := chrome(t)
	h.browserSignIn(ctx)
	path := fmt.Sprintf("/incidents/%d", number)
	for _, lang := range languages {
		must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/language?to="+lang)))
		for _, width := range []int64{390, 1280} {
			must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844)))
			for _, name := range []string{"room", "brief"} {
				must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+path+"/"+name), chromedp.WaitReady(chromedp.CSS("main"))))
				fits(t, ctx, name, lang, width)
			}
		}
		pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground()))
		must(t, err)
		if n := bytes.Count(pdf, []byte("/Type /Page\n")); n != 1 {
			t.Errorf("the president's page in %s takes %d sheets", lang, n)
		}
		if dir := os.Getenv("SHOTS"); dir != "" {
			must(t, os.WriteFile(filepath.Join(dir, "brief-"+lang+".pdf"), pdf, 0o644))
		}
	}
}

// In a browser a fact that somebody else states appears by itself; a block in
// which somebody is typing stays as it is.
func TestTheRoomIsLive(t *testing.T) {
	h, number := busyRoom(t)
	ctx := chrome(t)
	h.browserSignIn(ctx)
	must(t, chromedp.Do(ctx, chromedp.Navigate(fmt.Sprintf("%s/incidents/%d/room", h.server.URL, number)), chromedp.WaitReady(chromedp.CSS("#room-state.live"))))
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector("#room-raised details").open = true`))
	must(t, err)
	must(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#room-raised details textarea"), "half a sentence")))
	text := h.vault.Space("said").OfText([]byte("seen in another room"))
	h.append(&sekisho.FactStated{Incident: number, Code: "cause", Known: sekisho.At(h.clock.now()), Source: "person", Certainty: "likely", Said: text, By: h.staff("mori")},
		&sekisho.Raised{Incident: number, What: "question", Source: "person", Known: sekisho.At(h.clock.now()), Said: text, By: h.staff("mori")})
	_, err = chromedp.Run(ctx, chromedp.PollFunction[bool](`() => document.querySelector("#room-known").textContent.includes("seen in another room")`))
	must(t, err)
	kept, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("#room-raised details[open] textarea").value`))
	must(t, err)
	if kept != "half a sentence" {
		t.Errorf("what was being typed is %q", kept)
	}
}
