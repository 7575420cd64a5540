package console

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sekisho"
)

// An incident of a company whose customers are members and guests: the pages, the
// lists and a recovered file are about both.
func TestAnIncidentOfTwoSubjects(t *testing.T) {
	h := newHouse(t)
	h.roster(3000)
	session := h.lookup("sato", "pc-0417", sekisho.Identity, 1)
	shape := h.append(&sekisho.Shape{Statement: h.vault.Space("statement").OfText([]byte("SELECT mail FROM guest")), Verb: sekisho.Read, Space: "guest",
		Tables: []string{"crm.guest"}, Columns: []string{"crm.guest.mail"}, Categories: sekisho.Contact})
	var guests []uint32
	for n := range int64(30) {
		guests = append(guests, h.vault.Space("guest").OfInt(n))
	}
	h.append(&sekisho.Access{Session: session, Shape: shape, Number: 2, Class: sekisho.Exact, Rows: 30, Least: 20, Subjects: guests})
	number := h.breach()
	path := fmt.Sprintf("/incidents/%d", number)
	b := h.signedIn("en")
	if a := b.post(path+"/question", url.Values{"again": {"1"}}); a.status != http.StatusSeeOther {
		t.Fatalf("recording the numbers got %d\n%s", a.status, a.body)
	}
	var p struct {
		Answer struct {
			WorstCase int `json:"worst_case"`
			Subjects  []struct {
				Space     string `json:"space"`
				WorstCase int    `json:"worst_case"`
			} `json:"subjects"`
		} `json:"answer"`
	}
	must(t, json.Unmarshal([]byte(b.json(path).body), &p))
	if p.Answer.WorstCase != 933 || len(p.Answer.Subjects) != 2 || p.Answer.Subjects[0].Space != "guest" || p.Answer.Subjects[0].WorstCase != 30 || p.Answer.Subjects[1].WorstCase != 903 {
		t.Fatalf("the numbers: %+v", p.Answer)
	}
	one := h.console.caseByNumber(number)
	if r := one.Revisions[len(one.Revisions)-1]; r.Body.WorstCase != 933 || len(r.Subjects) != 2 {
		t.Errorf("the ledger holds %+v, %v", r.Body, r.Subjects)
	}
	for lang, want := range map[string][]string{
		"en": {"guests", "members", "30 of guests + 903 of members = 933", "No roster of guests was read"},
		"ja": {"ゲスト（非会員）", "会員", "ゲスト（非会員） 30 人 + 会員 903 人 = 933", "対象者の種別"},
	} {
		b := h.signedIn(lang)
		for _, page := range []string{path, path + "/room", path + "/brief"} {
			body := html.UnescapeString(b.get(page).body)
			for n, w := range want {
				if n < 2 || page == path {
					if !strings.Contains(body, w) {
						t.Errorf("%s in %s lacks %q", page, lang, w)
					}
				}
			}
		}
	}

	// A list is of one kind of people, and its access as well.
	if a := b.post(path+"/list", url.Values{"list": {"worst-case"}}); a.status != http.StatusBadRequest || !strings.Contains(a.body, "guest, member") {
		t.Errorf("a list of whom it does not say got %d\n%s", a.status, a.body)
	}
	if a := b.post(path+"/list", url.Values{"list": {"worst-case"}, "space": {"crew"}}); a.status != http.StatusNotFound {
		t.Errorf("a list of people who are none got %d", a.status)
	}
	a := b.post(path+"/list", url.Values{"list": {"worst-case"}, "space": {"guest"}})
	if lines := strings.Count(a.body, "\r\n"); lines != 31 || !strings.HasPrefix(a.body, "\uFEFFguest\r\n") || !strings.Contains(a.header.Get("Content-Disposition"), "worst-case-guest.csv") {
		t.Errorf("the guests' list has %d lines\n%.200s", lines, a.body)
	}

	// A file is compared with whoever is listed; nobody has listed the guests.
	at := h.ledger.Last()
	if a := b.upload(path+"/file", "file", "found.csv", recovered(1, 2, 3)); a.status != http.StatusSeeOther {
		t.Fatalf("the upload got %d\n%s", a.status, a.body)
	}
	if got := strings.Split(h.since(at), "\n"); len(got) != 4 || got[0] != "FileMatched by admin: 5 rows, 3 found, 2 damaged" || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "IncidentRevised file") && strings.HasSuffix(s, " 3") }) || got[3] != "SubjectRevised" {
		t.Errorf("the ledger says %q", got)
	}
}
