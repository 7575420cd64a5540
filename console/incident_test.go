package console

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sekisho/trace"
)

func (b *browser) upload(path, field, name, content string) answer {
	b.h.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile(field, name)
	must(b.h.t, err)
	part.Write([]byte(content))
	form.Close()
	r := b.request("POST", path, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return b.do(r)
}

type incidentJSON struct {
	Answer struct {
		WorstCase  int  `json:"worst_case"`
		Suspected  int  `json:"suspected"`
		SentAtMost int  `json:"sent_at_most"`
		Confirmed  int  `json:"confirmed"`
		SentKnown  bool `json:"sent_known"`
	} `json:"answer"`
	Moved    bool     `json:"moved"`
	NotOut   []string `json:"not_out"`
	Timeline []event  `json:"timeline"`
}

func (b *browser) incident(path string) (p incidentJSON) {
	b.h.t.Helper()
	a := b.json(path)
	if a.status != http.StatusOK {
		b.h.t.Fatalf("%s got %d\n%s", path, a.status, a.body)
	}
	must(b.h.t, json.Unmarshal([]byte(a.body), &p))
	return p
}

func TestIncidentFromAlertToConfirmed(t *testing.T) {
	h := newHouse(t)
	h.roster(3000)
	path := fmt.Sprintf("/incidents/%d", h.breach())
	b := h.signedIn("en")

	p := b.incident(path)
	if p.Answer.WorstCase != 903 || p.Answer.Suspected != 900 || p.Answer.Confirmed != 0 || !p.Answer.SentKnown || p.Answer.SentAtMost != 325 || !p.Moved {
		t.Fatalf("the four numbers: %+v", p)
	}
	if got := strings.Join(p.NotOut, " "); got != "credential payment travel_document special_care" {
		t.Errorf("what did not go out: %s", got)
	}
	page := b.get(path).body
	for _, want := range []string{"903", "900", "Worst case", "Sent at most", "Alert: sweep at pc-0417 by sato: 900 customers, quiet up to 200",
		"pc-0417 → 203.0.113.66: 1.3 kB (connections: 1)", "Lines of the sensor “zeek-conn” that could not be read: 2", "Did not go out:", "Record these numbers",
		"1,300 bytes to hostile destinations (connections: 1) × 10 (compression) ÷ 40 bytes", "JP", "direct"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	at := h.ledger.Last()
	if a := b.post(path+"/question", url.Values{"again": {"1"}}); a.status != http.StatusSeeOther {
		t.Fatalf("recording the numbers got %d\n%s", a.status, a.body)
	}
	if got := h.since(at); got != "IncidentRevised alert by admin: 903 900 325 0" {
		t.Errorf("the ledger says %q", got)
	}
	if b.incident(path).Moved {
		t.Error("the numbers are recorded, and the page does not know")
	}

	at = h.ledger.Last()
	if a := b.upload(path+"/file", "file", "found.csv", recovered(1, 2, 3, 2900)); a.status != http.StatusSeeOther {
		t.Fatalf("the upload got %d\n%s", a.status, a.body)
	}
	if got, want := h.since(at), "FileMatched by admin: 6 rows, 4 found, 2 damaged\nIncidentRevised file by admin: 903 900 325 4"; got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}
	page = b.get(path).body
	for _, want := range []string{"File compared by admin: rows 6, customers found 4, rows that match nobody 2", "Accounting gap: customers of the file who are in no access that was counted: 1."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if a := b.upload(path+"/file", "file", "found.csv", "\x00\x01\x02"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a file that is none got %d", a.status)
	}
	if a := b.post(path+"/file", nil); a.status != http.StatusBadRequest {
		t.Errorf("no file got %d", a.status)
	}
}

// A list is in the ledger before it is at the browser.
func TestListIsRecordedBeforeItLeaves(t *testing.T) {
	h := newHouse(t)
	h.roster(3000)
	number := h.breach()
	path := fmt.Sprintf("/incidents/%d/list", number)
	b := h.signedIn("en")
	b.upload(fmt.Sprintf("/incidents/%d/file", number), "file", "found.csv", recovered(2, 3))
	at := h.ledger.Last()
	a := b.post(path, url.Values{"list": {"confirmed"}})
	if a.status != http.StatusOK || !strings.Contains(a.header.Get("Content-Disposition"), "confirmed.csv") {
		t.Fatalf("the list got %d %v", a.status, a.header)
	}
	if want := "\uFEFFmember,partner,residence,passport_until\r\n2,\"'=HYPERLINK(1)\",JP,\r\n3,direct,US,2014-09-22\r\n"; a.body != want {
		t.Errorf("the list is\n%q\nwant\n%q", a.body, want)
	}
	want := "Assigned 1 of statement\nShape export of member: sekisho: list of an incident: confirmed\nAccess exact of 2 3"
	if got := h.since(at); got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}
	a = b.post(path, url.Values{"list": {"worst-case"}})
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, "\uFEFF"))).ReadAll()
	must(t, err)
	if len(rows) != 904 {
		t.Errorf("the worst case has %d rows", len(rows)-1)
	}
	if a := b.post(path, url.Values{"list": {"everybody"}}); a.status != http.StatusBadRequest {
		t.Errorf("a list that does not exist got %d", a.status)
	}
	if a := b.get(path); a.status == http.StatusOK {
		t.Error("a link can download a list")
	}
	must(t, h.ledger.Close())
	if a := b.post(path, url.Values{"list": {"worst-case"}}); a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "example") {
		t.Errorf("without the ledger a list got %d", a.status)
	}
}

func TestOpenByHandAndRestate(t *testing.T) {
	h := newHouse(t)
	h.lookup("sato", "pc-0417", 1, 7, 8)
	h.lookup("suzuki", "pc-0533", 1, 8, 9)
	b := h.signedIn("ja")
	form := url.Values{"endpoints": {"pc-0417"}, "since": {"2014-09-22"}, "until": {"2014-09-23T00:00"}}
	at := h.ledger.Last()
	a := b.post("/incidents", form)
	path := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(path, "/incidents/") {
		t.Fatalf("opening got %d\n%s", a.status, a.body)
	}
	if got := h.since(at); got != "IncidentOpened\nIncidentRevised scope by admin: 2 0 2 0" {
		t.Errorf("the ledger says\n%s", got)
	}
	form.Set("endpoints", "pc-0417\r\npc-0533")
	form.Set("hostile", "203.0.113.0/24、198.51.100.7")
	at = h.ledger.Last()
	if a := b.post(path+"/question", form); a.status != http.StatusSeeOther {
		t.Fatalf("restating got %d\n%s", a.status, a.body)
	}
	if got := h.since(at); got != "IncidentRevised scope by admin: 3 0 3 0" {
		t.Errorf("the ledger says\n%s", got)
	}
	if page := b.get(path).body; !strings.Contains(page, "203.0.113.0/24\n198.51.100.7") && !strings.Contains(page, "198.51.100.7\n203.0.113.0/24") {
		t.Error("the form forgets the hostile destinations")
	}
	at = h.ledger.Last()
	for field, bad := range map[string]string{"endpoints": "pc-0471", "since": "yesterday", "until": "2014-09-21", "hostile": "evil", "compression": "0"} {
		wrong := url.Values{}
		for k, v := range form {
			wrong[k] = v
		}
		wrong.Set(field, bad)
		a := b.post("/incidents", wrong)
		if a.status < 400 || a.status >= 500 {
			t.Errorf("%s=%s got %d", field, bad, a.status)
		}
		if field == "endpoints" && !strings.Contains(a.body, "pc-0417") {
			t.Errorf("no nearest name:\n%s", a.body)
		}
	}
	// What can be meant in two ways is answered with what to write.
	for bad, says := range map[string]string{
		"::ffff:203.0.113.0/120": "。203.0.113.0/24 のように", "203.0.113.9/24": "。203.0.113.0/24, 203.0.113.9 のように", "fe80::1%eth0": "。fe80::1 のように",
		"evil": "のようなアドレスでも",
	} {
		form.Set("hostile", bad)
		if a := b.post("/incidents", form); a.status != http.StatusBadRequest || !strings.Contains(a.body, "「"+bad+"」") || !strings.Contains(a.body, says) {
			t.Errorf("hostile %s got %d\n%s", bad, a.status, a.body)
		}
	}
	if got := h.since(at); got != "" {
		t.Errorf("bad questions left\n%s", got)
	}
}

func TestCellsAreNoFormulas(t *testing.T) {
	for in, want := range map[string]string{"123456789": "123456789", "": "", "=1+1": `"'=1+1"`, "+81 90": `"'+81 90"`, "-x": `"'-x"`, "@x": `"'@x"`,
		"＝1": `"'＝1"`, "a,b": `"a,b"`, `a"b`: `"a""b"`, "x\ny": "\"x\ny\"", "日本": "日本", " x": `" x"`} {
		if got := cell(in); got != want {
			t.Errorf("cell(%q) = %s, want %s", in, got, want)
		}
	}
}

// What the ledger cannot show is not said.
func TestNotOutOnlyWhereShown(t *testing.T) {
	a := &trace.Answer{}
	part := func(values ...string) (out []trace.Part) {
		for _, v := range values {
			out = append(out, trace.Part{Kind: "category", Dimension: "category", Value: v, Count: 1})
		}
		return out
	}
	for _, one := range []struct {
		code  string
		parts []trace.Part
		want  string
	}{
		{"worst_case", part("identity", "contact"), "credential payment travel_document special_care"},
		{"worst_case", part("identity", "payment"), "credential travel_document special_care"},
		{"worst_case", part("identity", "unclassified"), ""},
		{"worst_case_any_row", part("identity"), ""},
		{"worst_case", nil, ""},
	} {
		a.Numbers.WorstCase.Formula.Code, a.Numbers.WorstCase.Breakdown = one.code, one.parts
		if got := strings.Join(notOut(a), " "); got != one.want {
			t.Errorf("%s %v: %q, want %q", one.code, one.parts, got, one.want)
		}
	}
}
