package console

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sekisho"
)

// TestPages plays testdata/pages.txt.
func TestPages(t *testing.T) {
	h := newHouse(t)
	incident := strings.TrimPrefix(h.furnish()["incident"], "/incidents/")
	visitors := map[string]*browser{}
	script := readFile(t, "testdata/pages.txt")
	played := map[string]bool{}
	for _, block := range strings.Split(script, "\n\n") {
		lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(block, "{incident}", incident)), "\n")
		if strings.HasPrefix(lines[0], "#") {
			continue
		}
		words := strings.Fields(lines[0])
		method, path, lang := words[0], words[1], words[2]
		stranger := len(words) > 3
		key := fmt.Sprint(lang, stranger)
		b := visitors[key]
		if b == nil {
			if b = h.stranger(lang); !stranger {
				b = h.signedIn(lang)
			}
			visitors[key] = b
		}
		r := b.request(method, path, nil)
		if lang == "json" {
			r.Header.Set("Accept", "application/json")
			r.Header.Set("Accept-Language", "en")
		}
		a := b.do(r)
		if got := fmt.Sprint(a.status); got != lines[1] {
			t.Errorf("%s: got %s, want %s", lines[0], got, lines[1])
		}
		for _, line := range lines[2:] {
			want := line[2:]
			if has := strings.Contains(a.body, want); has != (line[0] == '+') {
				t.Errorf("%s: %s\n%s", lines[0], line, a.body)
			}
		}
		for header, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
			if !strings.Contains(a.header.Get(header), want) {
				t.Errorf("%s: the header %s is %q", lines[0], header, a.header.Get(header))
			}
		}
		if strings.Contains(a.body, "[") && strings.Contains(a.body, "<html") {
			for key := range b.h.console.presses["en"].words {
				if strings.Contains(a.body, "["+key+"]") {
					t.Errorf("%s shows the key %s", lines[0], key)
				}
			}
		}
		played[path] = true
	}
	if len(played) < 25 {
		t.Errorf("the script has only %d pages", len(played))
	}
}

// Every kind of entry can be looked at, in both languages, and no field is
// left without a name.
func TestEveryEntryHasAPage(t *testing.T) {
	h := newHouse(t)
	for _, b := range oneOfEach() {
		switch b.Kind() {
		case sekisho.KindLedgerOpened, sekisho.KindLedgerClosed, sekisho.KindAssigned:
			continue // the ledger alone writes them
		case sekisho.KindIncidentRevised:
			b.(*sekisho.IncidentRevised).Incident = 1
		}
		seq := h.append(b)
		for _, lang := range languages {
			p := h.signedIn(lang).get(fmt.Sprintf("/entries/%d", seq))
			if p.status != http.StatusOK || !strings.Contains(p.body, tongueOf(t, lang).say("kind."+kindName(b.Kind()))) {
				t.Errorf("%s in %s got %d", kindName(b.Kind()), lang, p.status)
			}
		}
	}
}

// Who asks about a customer stands in the ledger before the answer does; the
// key stands nowhere but in the vault and on the page.
func TestAskingAboutACustomerIsRecorded(t *testing.T) {
	var logged bytes.Buffer
	h := newHouse(t, logTo(&logged))
	h.lookup("sato", "pc-0417", sekisho.Identity, 123456789)
	h.lookup("suzuki", "pc-0533", sekisho.TravelDoc, 5, 123456789)
	h.lookup("suzuki", "pc-0533", sekisho.TravelDoc, 6)
	b := h.signedIn("en")
	at := h.ledger.Last()
	a := b.post("/customers", map[string][]string{"key": {" 123456789 "}})
	for _, want := range []string{"Who has read customer 123456789", "sato", "suzuki", "pc-0417", "Travel document", "Accesses over time"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the answer lacks %q", want)
		}
	}
	if got, want := h.since(at), "Assigned 1 of statement\nShape read of member: sekisho: who has read this customer\nAccess exact of 123456789"; got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}
	at = h.ledger.Last()
	if a := b.post("/customers", map[string][]string{"key": {"123456789"}}); a.status != http.StatusOK {
		t.Errorf("asking again got %d", a.status)
	}
	if got, want := h.since(at), "Access exact of 123456789"; got != want {
		t.Errorf("the second time the ledger says\n%s", got)
	}
	if a := b.post("/customers", map[string][]string{"key": {"987654321"}}); a.status != http.StatusNotFound || strings.Contains(a.body, "123456789") {
		t.Errorf("a customer who is nobody got %d", a.status)
	}
	if a := b.get("/customers?key=123456789"); a.status == http.StatusOK {
		t.Error("a key can stand in an address")
	}
	if a := b.post("/customers", map[string][]string{"key": {"123456789"}, "space": {"pets"}}); a.status != http.StatusNotFound {
		t.Errorf("a space that is none got %d", a.status)
	}
	must(t, h.ledger.Close())
	if a := b.post("/customers", map[string][]string{"key": {"123456789"}}); a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "sato") {
		t.Errorf("without the ledger the answer is %d", a.status)
	}
	if strings.Contains(logged.String(), "123456789") || strings.Contains(logged.String(), "sato") {
		t.Errorf("the log names people:\n%s", logged.String())
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	h := newHouse(t)
	b := h.signedIn("en")
	a := b.post("/customers", map[string][]string{"key": {strings.Repeat("x", 2*maxForm)}})
	if a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of %d bytes got %d", 2*maxForm, a.status)
	}
}

func TestDrillIsLoud(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Drill = "jal-2014" })
	for lang, want := range map[string]string{"en": "DRILL · 訓練", "ja": "演習「jal-2014」"} {
		for _, path := range []string{"/", "/status", "/nowhere"} {
			if a := h.signedIn(lang).get(path); !strings.Contains(a.body, want) {
				t.Errorf("%s in %s does not say that it is a drill", path, lang)
			}
		}
	}
}
