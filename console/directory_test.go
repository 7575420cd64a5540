package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sekisho"
	"sekisho/directory"
)

// aDirectory is a console over one company with two people.
func aDirectory(t *testing.T) (h *house, book *directory.Book, suzuki, tickets uint32) {
	book, erasures := directory.New(), directory.NewErasures()
	h = newHouse(t, func(c *Config) {
		c.Directory, c.Erasures = book, erasures
		c.Erase = func(context.Context) error { return nil }
	})
	space := func(name, key string) uint32 { return h.vault.Space(name).OfText([]byte(key)) }
	entries := []sekisho.Body{&sekisho.DirectoryRead{Source: "hr", Form: "csv", Whole: true, People: 2, Joined: 2, Units: 3}}
	unit := func(key, above, title string) uint32 {
		kind, _, _ := strings.Cut(key, "/")
		b := &sekisho.UnitChanged{Unit: space("unit", key), Action: "opened", Is: kind, Title: space("said", title), Effective: 1}
		if above != "" {
			b.Parent = space("unit", above)
		}
		entries = append(entries, b)
		return b.Unit
	}
	unit("company/0001", "", "見本航空")
	sales := unit("department/0001/sales", "company/0001", "営業部")
	tickets = unit("department/0001/sales/tickets", "department/0001/sales", "発券課")
	suzuki = space("staff", "suzuki")
	record := space("staff_record", directory.Attributes{Staff: suzuki, Name: "鈴木一郎", Mail: "suzuki@jalx.example", Language: "ja"}.Key())
	entries = append(entries, &sekisho.PersonChanged{Staff: suzuki, Action: "joined", Effective: 1, Joined: 1, Employed: "executive", Record: record,
		Postings: []sekisho.PersonPosting{{Unit: sales, As: "main"}, {Unit: tickets, As: "concurrent"}}})
	entries = append(entries, &sekisho.PersonChanged{Staff: space("staff", "<sato>"), Action: "joined", Effective: 1, Joined: 1, Employed: "agency",
		Postings: []sekisho.PersonPosting{{Unit: tickets, As: "main"}}})
	entries = append(entries, &sekisho.PersonChanged{Staff: space("staff", "tanaka"), Action: "joined", Effective: 1, Joined: 1, Left: 2, Employed: "employee",
		Record: space("staff_record", directory.Attributes{Staff: 9, Name: "田中花子"}.Key())})
	entries = append(entries, &sekisho.ErasureAsked{Records: []sekisho.VaultRecords{{Space: "staff_record", Ordinals: []uint32{2}}}, Person: space("staff", "tanaka"), Reason: space("said", "retention is over"), By: space("staff", "nakamura")})
	for _, b := range entries {
		e := &sekisho.Entry{ID: sekisho.ID{Seq: h.append(b)}, Time: 1, Body: b}
		book.Apply(e)
		erasures.Apply(e)
	}
	return h, book, suzuki, tickets
}

// The directory's pages fit a telephone in both languages.
func TestDirectoryPagesFit(t *testing.T) {
	h, _, suzuki, tickets := aDirectory(t)
	pages := map[string]string{"directory": "/directory", "directory-unit": fmt.Sprintf("/directory?unit=%d", tickets), "directory-person": fmt.Sprintf("/directory/people/%d", suzuki),
		"directory-gone": fmt.Sprintf("/directory/people/%d", suzuki+2), "erasures": "/erasures", "erasure": fmt.Sprintf("/erasures/%d", h.ledger.Last())}
	ctx := chrome(t)
	h.browserSignIn(ctx)
	for _, lang := range languages {
		must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/language?to="+lang)))
		for _, width := range []int64{390, 1280} {
			must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844)))
			for name, path := range pages {
				must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+path), chromedp.WaitReady(chromedp.CSS("main"))))
				fits(t, ctx, name, lang, width)
			}
		}
	}
}

// The tree counts each person once in every unit; whose page is opened stands
// in the ledger first.
func TestDirectoryPages(t *testing.T) {
	h, _, suzuki, tickets := aDirectory(t)
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
