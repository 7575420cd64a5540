package console

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/permit"
)

// withTurned gives the console one statement that was turned away.
func withTurned(c *Config) {
	plain := c.Vault.Space("statement").OfText([]byte("select name from crm.member where city = $1"))
	principal := c.Vault.Space("staff").OfText([]byte("sato"))
	c.Turned = func() []permit.Turned {
		return []permit.Turned{{Number: 3, At: sekisho.At(c.Now()), Plain: plain, Limit: 500, EndsAt: 700,
			Statement: permit.Statement{Principal: principal, Role: "staff", Verb: sekisho.Read, Tables: []string{"crm.member"},
				Text: []byte("select name from crm.member where city = $1"), Parameters: []byte{0, 0, 0, 1, 0, 0, 0, 5, 'O', 's', 'a', 'k', 'a'}}}}
	}
}

// as signs a console user in.
func (h *house) as(name, role, lang string, also ...string) *browser {
	h.t.Helper()
	must(h.t, h.console.users.add(UserLine{Name: name, Role: role, Also: also}, time.Time{}, "a password of "+name))
	b := h.stranger(lang)
	if a := b.post("/signin", url.Values{"name": {name}, "password": {"a password of " + name}}); a.status != http.StatusSeeOther {
		h.t.Fatalf("%s does not get in: %d", name, a.status)
	}
	return b
}

func TestExportPages(t *testing.T) {
	var logged bytes.Buffer
	h := newHouse(t, withTurned, logTo(&logged), func(c *Config) { c.MarksExports = true })
	asker, clerk, japanese, own := h.as("ito", "user", "en"), h.as("mori", "user", "en"), h.as("kato", "approver", "ja"), h.as("sato.console", "approver", "en", "sato")
	if a := asker.get("/exports"); !strings.Contains(a.body, "Turned away lately") || !strings.Contains(a.body, "where city = $1") || !strings.Contains(a.body, "ends this answer after 700 rows") || strings.Contains(a.body, "Osaka") {
		t.Errorf("the list is\n%s", a.body)
	}
	ask := url.Values{"reference": {"3"}, "most": {"20,000"}, "lasts": {"2h"}, "reason": {"a letter to <everybody>"}, "decoys": {"3"}}
	for field, wrong := range map[string]string{"reference": "4", "most": "500", "lasts": "900h", "reason": " ", "decoys": "101"} {
		form := url.Values{field: {wrong}}
		for k, v := range ask {
			if k != field {
				form[k] = v
			}
		}
		if a := asker.post("/exports", form); a.status/100 != 4 {
			t.Errorf("%s = %q got %d", field, wrong, a.status)
		}
	}
	a := asker.post("/exports", ask)
	at := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(at, "/exports/") {
		t.Fatalf("asking got %d to %q: %s", a.status, at, a.body)
	}
	if a := asker.post("/exports", ask); a.status != http.StatusConflict {
		t.Errorf("asking twice got %d", a.status)
	}
	for _, c := range []struct {
		b     *browser
		shows []string
		not   []string
	}{
		{asker, []string{"&#34;Osaka&#34;", "a letter to &lt;everybody&gt;", "somebody else has to decide", "Withdraw"}, []string{"Approve<"}},
		{clerk, []string{"shown to those who decide"}, []string{"Osaka", "Approve<", "Withdraw"}},
		{japanese, []string{"Osaka", "700行で打ち切られます", "<b>3</b><span>回答に含める、この持ち出し専用のおとりの件数", "回答待ち", "承認</button>", "却下</button>", `待つ申請">1</b>`}, []string{"取り下げ</button>"}},
		{own, []string{"Osaka", "somebody else has to decide"}, []string{"Approve<"}},
	} {
		page := c.b.get(at).body
		for _, want := range c.shows {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
		for _, never := range c.not {
			if strings.Contains(page, never) {
				t.Errorf("the page shows %q", never)
			}
		}
	}
	approve := url.Values{"action": {"approved"}}
	for name, c := range map[string]struct {
		b      *browser
		form   url.Values
		status int
	}{
		"who asked":                     {asker, approve, http.StatusForbidden},
		"a clerk":                       {clerk, approve, http.StatusForbidden},
		"whose statement it is":         {own, approve, http.StatusForbidden},
		"more than was asked for":       {japanese, url.Values{"action": {"approved"}, "most": {"20001"}}, http.StatusBadRequest},
		"an answer that is none":        {japanese, url.Values{"action": {"used"}}, http.StatusBadRequest},
		"somebody else who withdraws":   {japanese, url.Values{"action": {"withdrawn"}}, http.StatusForbidden},
		"a withdrawal of one's own way": {own, url.Values{"action": {"withdrawn"}}, http.StatusForbidden},
	} {
		if a := c.b.post(at, c.form); a.status != c.status {
			t.Errorf("%s got %d, want %d", name, a.status, c.status)
		}
	}
	before := h.ledger.Last()
	if a := japanese.post(at, approve); a.status != http.StatusSeeOther {
		t.Fatalf("approving got %d: %s", a.status, a.body)
	}
	if got := h.since(before); !strings.Contains(got, "ExportDecided") {
		t.Errorf("the ledger says %s", got)
	}
	if a := japanese.get(at); !strings.Contains(a.body, "承認済み・未使用") || strings.Contains(a.body, `待つ申請">`) && !strings.Contains(a.body, `待つ申請" hidden>`) {
		t.Errorf("approved, the page says\n%s", a.body)
	}
	h.clock.pass(2*time.Hour + time.Second)
	later := h.stranger("en")
	later.post("/signin", url.Values{"name": {"mori"}, "password": {"a password of mori"}})
	if a := later.get(at); !strings.Contains(a.body, "Expired") {
		t.Errorf("two hours later the page says\n%s", a.body)
	}
	for _, word := range []string{"Osaka", "everybody"} {
		if strings.Contains(logged.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
}

// A reset keeps a user's role, and a file with a role that is none is refused.
func TestUsersKeepTheirRole(t *testing.T) {
	h := newHouse(t)
	h.as("ito", "approver", "en", "root")
	_, err := h.console.Reset("ito")
	must(t, err)
	if got := h.console.users.role("ito"); got != approver {
		t.Errorf("after a reset ito is %s", got)
	}
	if got := h.console.users.person("root"); got != "ito" {
		t.Errorf("root is %s", got)
	}
	if got := h.console.users.role("admin"); got != administrator {
		t.Errorf("admin is %s", got)
	}
	if got := h.console.users.role("nobody"); got != plainUser {
		t.Errorf("nobody is %s", got)
	}
	if _, err := parseUsers([]byte(`[{"name":"x","salt":"AAAAAAAAAAAA","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","time":1,"memory_kib":64,"threads":1,"role":"god"}]`)); err == nil {
		t.Error("a role that is none is taken")
	}
}

// Whatever stands in the vault, showing it does not fail.
func FuzzParameters(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(parameters(b)); n > len(b) {
			t.Errorf("%d parameters in %d bytes", n, len(b))
		}
	})
}

// An approval that was not used is taken back by who asked, by whose statement it
// is, and by whoever may approve; by nobody else, and not twice.
func TestAnApprovalIsTakenBack(t *testing.T) {
	h := newHouse(t, withTurned)
	asker, clerk, approver, own := h.as("ito", "user", "en"), h.as("mori", "user", "en"), h.as("kato", "approver", "ja"), h.as("sato.console", "user", "en", "sato")
	ask := url.Values{"reference": {"3"}, "most": {"20,000"}, "lasts": {"2h"}, "reason": {"a letter to everybody"}}
	back := url.Values{"action": {"withdrawn"}}
	for name, by := range map[string]*browser{"who asked": asker, "whose statement it is": own, "an approver": approver} {
		at := asker.post("/exports", ask).header.Get("Location")
		if a := approver.post(at, url.Values{"action": {"approved"}}); a.status != http.StatusSeeOther {
			t.Fatalf("%s: approving got %d: %s", name, a.status, a.body)
		}
		if a := by.get(at); !strings.Contains(a.body, `value="withdrawn"`) {
			t.Errorf("%s has no button:\n%s", name, a.body)
		}
		if a := clerk.get(at); strings.Contains(a.body, `value="withdrawn"`) {
			t.Errorf("a clerk has a button")
		}
		if a := clerk.post(at, back); a.status != http.StatusForbidden {
			t.Errorf("a clerk got %d", a.status)
		}
		if a := by.post(at, back); a.status != http.StatusSeeOther {
			t.Errorf("%s got %d: %s", name, a.status, a.body)
		}
		if a := asker.get(at); !strings.Contains(a.body, "Withdrawn") {
			t.Errorf("%s took it back, and the page says\n%s", name, a.body)
		}
		if a := approver.post(at, url.Values{"action": {"approved"}}); a.status != http.StatusConflict {
			t.Errorf("approving again got %d", a.status)
		}
	}
}
