package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sekisho"
	"sekisho/directory"
)

// The tree counts each person once in every unit; whose page is opened stands
// in the ledger first, and a destroyed record shows as one.
func TestDirectoryPages(t *testing.T) {
	book := directory.New()
	h := newHouse(t, func(c *Config) { c.Directory = book })
	space := func(name, key string) uint32 { return h.vault.Space(name).OfText([]byte(key)) }
	var entries []sekisho.Body
	unit := func(key, above, title string) uint32 {
		kind, _, _ := strings.Cut(key, "/")
		b := &sekisho.UnitChanged{Read: 1, Unit: space("unit", key), Action: "opened", Is: kind, Title: space("said", title), Effective: 1}
		if above != "" {
			b.Parent = space("unit", above)
		}
		entries = append(entries, b)
		return b.Unit
	}
	unit("company/0001", "", "見本航空")
	sales := unit("department/0001/sales", "company/0001", "営業部")
	tickets := unit("department/0001/sales/tickets", "department/0001/sales", "発券課")
	suzuki := space("staff", "suzuki")
	record := space("staff_record", directory.Attributes{Staff: suzuki, Name: "鈴木一郎", Mail: "suzuki@jalx.example", Language: "ja"}.Key())
	entries = append(entries, &sekisho.PersonChanged{Staff: suzuki, Action: "joined", Effective: 1, Joined: 1, Employed: "executive", Record: record,
		Postings: []sekisho.PersonPosting{{Unit: sales, As: "main"}, {Unit: tickets, As: "concurrent"}}})
	entries = append(entries, &sekisho.PersonChanged{Staff: space("staff", "<sato>"), Action: "joined", Effective: 1, Joined: 1, Employed: "agency",
		Postings: []sekisho.PersonPosting{{Unit: tickets, As: "main"}}})
	for _, b := range entries {
		seq := h.append(b)
		book.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: seq}, Time: 1, Body: b})
	}
	b := h.signedIn("en")
	p := b.get("/directory")
	for _, want := range []string{"見本航空", "営業部", "<b>2</b><span>people", "<b>1</b><span>executives", "<b>1</b><span>with concurrent posts"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the tree lacks %q", want)
		}
	}
	if n := strings.Count(p.body, "2 people"); n != 3 { // the company and both departments
		t.Errorf("2 people stand in %d units\n%s", n, p.body)
	}
	p = b.get(fmt.Sprintf("/directory?unit=%d", tickets))
	if !strings.Contains(p.body, "&lt;sato&gt;") || !strings.Contains(p.body, "suzuki") {
		t.Errorf("the people of a unit:\n%s", p.body)
	}
	at := h.ledger.Last()
	p = b.get(fmt.Sprintf("/directory/people/%d", suzuki))
	if !strings.Contains(p.body, "鈴木一郎") || !strings.Contains(p.body, "suzuki@jalx.example") || !strings.Contains(p.body, "発券課") {
		t.Errorf("the person's page:\n%s", p.body)
	}
	if got := h.since(at); !strings.Contains(got, "Shape read of staff") || !strings.Contains(got, "Access exact of") {
		t.Errorf("the ledger says\n%s", got)
	}
	for path, status := range map[string]int{"/directory/people/99": 404, "/directory/people/x": 404, "/directory?at=1.4.2026": 400, "/directory?unit=99": 404, "/directory?at=2013-01-01": 200} {
		if p := b.get(path); p.status != status {
			t.Errorf("%s got %d, want %d", path, p.status, status)
		}
	}
	must(t, h.ledger.Close())
	if p := b.get(fmt.Sprintf("/directory/people/%d", suzuki)); p.status != http.StatusServiceUnavailable || strings.Contains(p.body, "鈴木") {
		t.Errorf("without the ledger a person's page got %d", p.status)
	}
}
