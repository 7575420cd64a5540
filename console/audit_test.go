package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// admitted is the browser of an auditor whom the administrator admitted at the
// page, until 30 September 2014.
func (h *house) admitted(lang string) *browser {
	h.t.Helper()
	a := h.signedIn("en").post("/audit/auditors", url.Values{"name": {"audit-" + lang}, "until": {"2014-09-30"}, "for": {"Mita & Co., the policy"}})
	m := regexp.MustCompile(`<code class="strong">([a-z2-9-]+)</code>`).FindStringSubmatch(a.body)
	if a.status != http.StatusOK || m == nil {
		h.t.Fatalf("admitting: %d\n%s", a.status, a.body)
	}
	b := h.stranger(lang)
	if a := b.post("/signin", url.Values{"name": {"audit-" + lang}, "password": {m[1]}}); a.status != http.StatusSeeOther {
		h.t.Fatalf("an auditor does not get in: %d", a.status)
	}
	return b
}

// shown is the list of what auditors get. A page that is added is refused until
// somebody writes it here and marks its route.
var shown = map[string]int{
	"GET /{$}":                      http.StatusSeeOther, // to /audit
	"GET /audit":                    http.StatusOK,
	"GET /review":                   http.StatusOK,
	"GET /audit/packs/{number}":     http.StatusNotFound, // there is none of that number here
	"GET /duties":                   http.StatusOK,
	"GET /duties/{instrument}/{id}": http.StatusOK,
	"GET /entries/{seq}":            http.StatusOK, // the ledger's opening
	"GET /signin":                   http.StatusOK, // as a stranger's
	"GET /language":                 http.StatusSeeOther,
	"GET /healthz":                  http.StatusOK,
	"GET /metrics":                  http.StatusOK, // as a stranger's
	"POST /signin":                  http.StatusUnauthorized,
	"POST /signout":                 http.StatusSeeOther,
}

// Every route of the console, as an auditor asks for it: what is not on the list
// is refused, and so is every method that could change something.
func TestAuditorIsRefusedEveryRouteThatIsNotListed(t *testing.T) {
	h := newHouse(t)
	h.furnish()
	b := h.admitted("en")
	fill := strings.NewReplacer("{instrument}", "policy", "{id}", "M3a", "{$}", "", "{seq}", "1", "{form}", "press", "{act}", "fact", "{name}", "x", "{ordinal}", "1", "{entry}", "1", "{plan}", "1", "{number}", "1")
	met := map[string]bool{}
	for _, r := range routes {
		method, pattern, ok := strings.Cut(r.pattern, " ")
		if !ok {
			method, pattern = "GET", "/no/such/page"
		}
		path := fill.Replace(pattern)
		if pattern == "/language" {
			path += "?to=ja"
		}
		if r.pattern == "POST /signout" {
			continue // at the end
		}
		want, listed := shown[r.pattern]
		if met[r.pattern] = listed; !listed {
			want = http.StatusForbidden
		}
		if r.pattern == "/" {
			want = http.StatusNotFound // as a stranger's
		}
		before := h.ledger.Last()
		if a := b.do(b.request(method, path, nil)); a.status != want {
			t.Errorf("%s got %d, want %d", r.pattern, a.status, want)
		}
		if !r.open && h.ledger.Last() == before && r.pattern != "GET /{$}" {
			t.Errorf("%s was asked for, and no entry says so", r.pattern)
		}
		for _, other := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			if r.pattern == "POST /signin" || pattern == "/signin" && other == "POST" || other == method {
				continue
			}
			if a := b.do(b.request(other, path, nil)); a.status != http.StatusForbidden && a.status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s got %d", other, path, a.status)
			}
		}
	}
	for pattern := range shown {
		if !met[pattern] && pattern != "POST /signout" {
			t.Errorf("%s is on the list and no route", pattern)
		}
	}
	if a := b.get("/metrics"); strings.Contains(a.body, "sekisho_entries") || !strings.Contains(a.body, "More for who has signed in") {
		t.Errorf("the metrics are a signed-in person's:\n%s", a.body)
	}
	if a := b.post("/signout", nil); a.status != http.StatusSeeOther {
		t.Errorf("signing out got %d", a.status)
	}
}

// What an auditor is shown names nobody, whatever people typed.
func TestAuditorSeesNoNames(t *testing.T) {
	h := newHouse(t)
	said := h.vault.Space("said").OfText([]byte("Hanako Yamada forgot it"))
	tanaka, mori := h.staff("tanaka-taro"), h.staff("mori-jiro")
	stated := h.append(&sekisho.EvidenceStated{Evidence: "training_completion", Producer: "H", Space: "staff", Units: []uint32{tanaka}, From: sekisho.At(h.clock.now()), Said: said, By: mori})
	h.append(&sekisho.ExceptionAsked{Duty: "policy/M3a", Space: "staff", Units: []uint32{tanaka}, What: "waived", From: sekisho.At(h.clock.now()), Until: sekisho.At(h.clock.now().AddDate(0, 1, 0)), Owner: mori, Said: said, By: tanaka})
	claim := h.append(&sekisho.ControlStated{Instrument: "iso27001", Control: "A.5.1", Applicable: true, Claim: "partly", Said: said, By: mori})
	access := h.lookup("sato", "pc-0417", sekisho.Identity, 123456789)
	seen := false
	paths := []string{"/audit", "/review", "/duties", "/duties?council=1", "/duties?instrument=iso27001", "/duties/policy/M3a", fmt.Sprintf("/entries/%d", stated), fmt.Sprintf("/entries/%d", claim)}
	admin, auditor := h.signedIn("en"), h.admitted("en")
	for _, path := range paths {
		for n, a := range []answer{admin.get(path), auditor.get(path), auditor.json(path)} {
			if a.status != http.StatusOK {
				t.Errorf("%s: %d", path, a.status)
			}
			for _, name := range []string{"tanaka-taro", "mori-jiro", "Hanako", "audit-en", "Mita &amp; Co"} {
				there := strings.Contains(a.body, name)
				if seen = seen || n == 0 && there; n > 0 && there && name != "audit-en" {
					t.Errorf("%s tells an auditor of %s", path, name)
				}
			}
		}
	}
	if !seen {
		t.Error("nobody is named to an administrator either: this proves nothing")
	}
	if a := auditor.get(fmt.Sprintf("/entries/%d", access)); a.status != http.StatusForbidden || !strings.Contains(a.body, `<a href="/audit">Back to the page for auditors</a>`) {
		t.Errorf("an access to customers got %d", a.status)
	}
	if a := auditor.get(fmt.Sprintf("/entries/%d", stated)); !strings.Contains(a.body, fmt.Sprintf("#%d", tanaka)) {
		t.Errorf("the entry does not have the ordinal:\n%s", a.body)
	}
}

// An auditor has an end, which an administrator sets and can bring forward; each
// page that they ask for is an entry.
func TestAuditorUntilADay(t *testing.T) {
	h := newHouse(t)
	admin := h.signedIn("en")
	for what, form := range map[string]url.Values{
		"no end":              {"name": {"a"}, "for": {"x"}},
		"an end that is past": {"name": {"a"}, "until": {"2014-09-21"}, "for": {"x"}},
		"an end too far":      {"name": {"a"}, "until": {"2016-09-21"}, "for": {"x"}},
		"for nobody":          {"name": {"a"}, "until": {"2014-09-30"}},
	} {
		if a := admin.post("/audit/auditors", form); a.status != http.StatusBadRequest {
			t.Errorf("%s got %d", what, a.status)
		}
	}
	if a := h.as("ito", "approver", "en").post("/audit/auditors", url.Values{"name": {"a"}, "until": {"2014-09-30"}, "for": {"x"}}); a.status != http.StatusForbidden {
		t.Errorf("an approver admits: %d", a.status)
	}
	b := h.admitted("ja")
	if a := b.get("/audit"); a.status != http.StatusOK || !strings.Contains(a.body, "社外からの閲覧") {
		t.Errorf("the auditor's page: %d\n%s", a.status, a.body)
	}
	b.get("/customers")
	b.get("/search")
	looked := map[bool]int{}
	for e, err := range ledger.Read(disk.OS{}, h.console.cfg.Dir+"/ledger", 1) {
		must(t, err)
		if x, ok := e.Body.(*sekisho.AuditorLooked); ok {
			looked[x.Refused]++
		}
	}
	if looked[false] != 1 || looked[true] < 1 {
		t.Errorf("looks: %v", looked)
	}
	if a := admin.get("/audit"); !strings.Contains(a.body, "Mita &amp; Co., the policy") || !strings.Contains(a.body, "1 page, 1 refused") && !strings.Contains(a.body, "1 page, 2 refused") {
		t.Errorf("the administrator sees\n%s", a.body)
	}
	h.clock.pass(24 * time.Hour * 9) // beyond the last day
	if a := b.get("/audit"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/signin") {
		t.Errorf("after the end: %d %s", a.status, a.header.Get("Location"))
	}
	password := h.admittedPassword(h.signedIn("en"), "late", "2014-10-02")
	h.clock.pass(24 * time.Hour * 3)
	if a := h.stranger("en").post("/signin", url.Values{"name": {"late"}, "password": {password}}); a.status != http.StatusUnauthorized {
		t.Errorf("an auditor whose time is over got %d", a.status)
	}

	// And an administrator can end it at once.
	admin = h.signedIn("en")
	password = h.admittedPassword(admin, "other", "2014-10-30")
	now := h.stranger("en")
	now.want("/signin", http.StatusSeeOther, "", "name", "other", "password", password)
	admin.want("/audit/auditors", http.StatusOK, "ended", "action", "end", "name", "other")
	if a := now.get("/audit"); a.status != http.StatusSeeOther {
		t.Errorf("after it was ended: %d", a.status)
	}
	admin.want("/audit/auditors", http.StatusNotFound, "", "action", "end", "name", "ito")
}

func (h *house) admittedPassword(admin *browser, name, until string) string {
	h.t.Helper()
	a := admin.post("/audit/auditors", url.Values{"name": {name}, "until": {until}, "for": {"x"}})
	m := regexp.MustCompile(`<code class="strong">([a-z2-9-]+)</code>`).FindStringSubmatch(a.body)
	if m == nil {
		h.t.Fatalf("admitting: %d\n%s", a.status, a.body)
	}
	return m[1]
}
