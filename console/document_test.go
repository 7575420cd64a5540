package console

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sekisho"
)

const policyJa = "# 情報セキュリティ基本方針\n\n当社は、お客さまの情報を守ります。\n\n- 法令を守ります。\n- <b>教育</b>を行います。"

// A policy is written by one, approved by two others in their roles, published,
// read by the world, reviewed, and replaced.
func TestDocuments(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Documents.Holders = map[string][]string{"ciso": {"sato"}}
	})
	writer, ciso, president, clerk := h.as("ito", "user", "en"), h.as("sato", "user", "en"), h.as("akasaka", "approver", "ja"), h.as("mori", "user", "en")
	if a := writer.get("/documents"); a.status != 200 || !contains(a.body, "There is no document yet") {
		t.Fatalf("an empty list: %d %s", a.status, a.body)
	}
	draft := url.Values{"name": {"basic-policy"}, "sort": {"policy"}, "japanese": {policyJa}, "public": {"on"}, "acknowledge": {"on"}, "review_days": {"365"}, "said": {"the first"}}
	for field, wrong := range map[string]string{"name": "Basic Policy!", "sort": "poem", "japanese": " ", "review_days": "often"} {
		form := url.Values{field: {wrong}}
		for k, v := range draft {
			if k != field {
				form[k] = v
			}
		}
		if a := writer.post("/documents", form); a.status != http.StatusBadRequest {
			t.Errorf("%s = %q got %d", field, wrong, a.status)
		}
	}
	write := func(form url.Values) (version string) {
		t.Helper()
		a := writer.post("/documents", form)
		_, version, _ = strings.Cut(a.header.Get("Location"), "version=")
		if a.status != http.StatusSeeOther || version == "" {
			t.Fatalf("writing: %d %s", a.status, a.body)
		}
		return version
	}
	act := func(b *browser, version, action string, more ...string) int {
		t.Helper()
		form := url.Values{"version": {version}, "action": {action}}
		for n := 0; n+1 < len(more); n += 2 {
			form.Set(more[n], more[n+1])
		}
		return b.post("/documents/basic-policy", form).status
	}
	first := write(draft)
	if a := writer.post("/documents", draft); a.status != http.StatusConflict {
		t.Errorf("the same again got %d", a.status)
	}

	// Not the writer, not somebody without the role, nobody twice.
	public, err := NewPublication(&Publication{Duty: h.duties, Views: h.views, Vault: h.vault, Company: [2]string{"Example Air", "見本航空"}, Zone: testZone})
	must(t, err)
	world := httptest.NewServer(public.Handler())
	defer world.Close()
	fetch := func(path string) (int, string, string) {
		t.Helper()
		r, err := http.Get(world.URL + path)
		must(t, err)
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		must(t, err)
		return r.StatusCode, r.Header.Get("Content-Type"), string(body)
	}
	for _, c := range []struct {
		who          *browser
		action, role string
		want         int
	}{
		{writer, "approved", "ciso", http.StatusForbidden},
		{clerk, "approved", "", http.StatusForbidden},
		{president, "published", "", http.StatusConflict},
		{ciso, "approved", "president", http.StatusBadRequest},
		{ciso, "rejected", "", http.StatusBadRequest}, // without a reason
		{ciso, "approved", "ciso", http.StatusSeeOther},
		{ciso, "approved", "", http.StatusForbidden},
		{president, "published", "", http.StatusConflict}, // the president has not approved
		{president, "approved", "", http.StatusSeeOther},
		{clerk, "published", "", http.StatusForbidden},
	} {
		if got := act(c.who, first, c.action, "role", c.role); got != c.want {
			t.Errorf("%s as %q got %d, want %d", c.action, c.role, got, c.want)
		}
	}
	if status, _, _ := fetch("/basic-policy"); status != http.StatusNotFound {
		t.Errorf("the world reads what is not in force: %d", status)
	}
	if got := act(president, first, "published", "from", "2099-01-01"); got != http.StatusBadRequest {
		t.Errorf("publishing ahead of time got %d", got)
	}
	if got := act(president, first, "published"); got != http.StatusSeeOther {
		t.Fatalf("publishing got %d", got)
	}
	if status, _, page := fetch("/basic-policy?lang=ja"); status != 200 || !contains(page, "<h1>情報セキュリティ基本方針</h1>") || contains(page, "<b>") ||
		!contains(page, fmt.Sprintf("%x", sha256.Sum256([]byte(policyJa)))) {
		t.Errorf("the public page: %d %s", status, page)
	}
	if _, kind, text := fetch("/basic-policy/ja.md"); text != policyJa || !contains(kind, "markdown") {
		t.Errorf("the text itself is %q", text)
	}
	for _, path := range []string{"/basic-policy/en.md", "/basic-policy/ja.html", "/other", "/..%2fsecret", "/basic-policy/ja.md/x"} {
		if status, _, _ := fetch(path); status != http.StatusNotFound {
			t.Errorf("%s got %d", path, status)
		}
	}

	// What the world reads, on a page of somebody else's making too.
	_, kind, page := fetch("/basic-policy?lang=ja")
	if same, err := SamePage(policyJa, kind, []byte(page)); err != nil || !same {
		t.Errorf("the page is not the text: %v", err)
	}
	if same, _ := SamePage(policyJa, "text/html", []byte(strings.Replace(page, "守ります", "守りません", 1))); same {
		t.Error("an altered page passes")
	}

	// A review counts with a second person.
	if got := act(writer, first, "keep"); got != http.StatusBadRequest {
		t.Errorf("a review without words got %d", got)
	}
	if got := act(writer, first, "keep", "text", "still fits"); got != http.StatusSeeOther {
		t.Errorf("a review got %d", got)
	}
	review := fmt.Sprint(h.ledger.Last())
	for _, c := range []struct {
		who  *browser
		want int
	}{{writer, http.StatusForbidden}, {clerk, http.StatusForbidden}, {ciso, http.StatusSeeOther}, {president, http.StatusConflict}} {
		if got := act(c.who, first, "agreed", "review", review); got != c.want {
			t.Errorf("agreeing got %d, want %d", got, c.want)
		}
	}

	// The next version shows what changed, and takes the place of the first.
	draft.Set("japanese", strings.Replace(policyJa, "法令を守ります。", "法令を守り、見直します。", 1))
	draft.Set("said", "reviews")
	second := write(draft)
	if p := president.get("/documents/basic-policy?version=" + second).body; !contains(p, `<span class="new">&#43; - 法令を守り、見直します。`) || !contains(p, `<span class="gone">- - 法令を守ります。`) || !contains(p, "承認待ち") {
		t.Errorf("the difference:\n%s", p)
	}
	if got := act(ciso, second, "rejected", "text", "name the law"); got != http.StatusSeeOther {
		t.Errorf("rejecting got %d", got)
	}
	if got := act(president, second, "approved"); got != http.StatusConflict {
		t.Errorf("approving what was rejected got %d", got)
	}
	if got := act(president, first, "retired", "text", "replaced by law"); got != http.StatusSeeOther {
		t.Errorf("retiring got %d", got)
	}
	if status, _, _ := fetch("/basic-policy"); status != http.StatusNotFound {
		t.Errorf("the world reads what was retired: %d", status)
	}
	h.append(&sekisho.LedgerClosed{})
}

// Everybody must acknowledge the handbook: it stands on a person's own page
// until they have read it, and the next version asks again.
func TestAcknowledgeAtTheDoor(t *testing.T) {
	s := newStaffHouse(t)
	s.hire("sato", "ito")
	put := func(text string) uint64 {
		t.Helper()
		n := s.append(&sekisho.DocumentWritten{Document: s.vault.Space("thing").OfText([]byte("document/handbook")), Sort: "handbook", Acknowledge: true, English: s.vault.Space("document").OfText([]byte(text)), EnglishSHA: hashOf(text), By: s.staff("ito")})
		s.append(&sekisho.DocumentPublished{Version: n, Action: "published", From: sekisho.At(s.clock.now())})
		return n
	}
	const text = "# Handbook\n\nKeep customers' data apart."
	version := put(text)
	path := fmt.Sprintf("/my/documents/%d", version)
	if a := s.at("en").get(path); a.status == http.StatusOK {
		t.Error("a stranger reads it")
	}
	sato := s.enters("sato", "ja")
	if a := sato.get("/my"); !contains(a.body, path) || !contains(a.body, "Handbook") {
		t.Fatalf("her own page:\n%s", a.body)
	}
	if a := sato.get(path); !contains(a.body, "Keep customers") || !contains(a.body, "確認する") {
		t.Fatalf("the text:\n%s", a.body)
	}
	sum := fmt.Sprintf("%x", hashOf(text))
	for name, form := range map[string]url.Values{"not ticked": {"sha256": {sum}}, "another text": {"read": {"on"}, "sha256": {strings.Repeat("0", 64)}}, "no text": {"read": {"on"}}, "too short": {"read": {"on"}, "sha256": {"00"}}} {
		if a := sato.post(path, form); a.status != http.StatusBadRequest {
			t.Errorf("%s got %d", name, a.status)
		}
	}
	before := s.ledger.Last()
	for range 2 { // the second time says nothing new
		if a := sato.post(path, url.Values{"read": {"on"}, "sha256": {sum}}); a.status != http.StatusSeeOther {
			t.Fatalf("acknowledging got %d: %s", a.status, a.body)
		}
	}
	if got := s.since(before); got != "DocumentAcknowledged" {
		t.Errorf("the ledger has %q", got)
	}
	one, _ := s.duties.Version(version)
	if !one.Acknowledged(s.staff("sato")) || one.Acknowledged(s.staff("ito")) {
		t.Error("somebody else has acknowledged")
	}
	next := put(text + " Always.")
	if a := sato.post(path, url.Values{"read": {"on"}, "sha256": {sum}}); a.status != http.StatusNotFound {
		t.Errorf("an old version can be acknowledged: %d", a.status)
	}
	if a := sato.get("/my"); !contains(a.body, fmt.Sprintf("/my/documents/%d", next)) {
		t.Error("the new version asks nobody")
	}
}

// A difference, put together again, is the later text; and it is small.
func TestDifference(t *testing.T) {
	var a, b []string
	for n := range 400 {
		a = append(a, fmt.Sprint("line ", n))
		if n%97 != 0 {
			b = append(b, fmt.Sprint("line ", n))
		}
		if n%131 == 0 {
			b = append(b, fmt.Sprint("new ", n))
		}
	}
	lines, added, removed := difference(strings.Join(a, "\n"), strings.Join(b, "\n"))
	if added != 4 || removed != 5 || len(lines) > 100 {
		t.Errorf("%d lines: +%d -%d", len(lines), added, removed)
	}
	all := changed(a, b)
	var before, after []string
	for _, l := range all {
		if l.Sign != "+" {
			before = append(before, l.Text)
		}
		if l.Sign != "-" {
			after = append(after, l.Text)
		}
	}
	if strings.Join(before, "\n") != strings.Join(a, "\n") || strings.Join(after, "\n") != strings.Join(b, "\n") {
		t.Error("the difference is of other texts")
	}
	if lines, added, removed := difference("x", "x"); len(lines)+added+removed != 0 {
		t.Error("a difference of a text with itself")
	}
}

// What a reader does not see does not count.
func TestVisible(t *testing.T) {
	for page, want := range map[string]string{
		"<p>a b</p>\n<p>c&amp;d</p>":                               "abc&d",
		"<script>x</script><style>y</style>z":                      "z",
		`<div hidden>not this</div>that`:                           "that",
		"<title>t</title><h1>情報 を</h1><br/>守る":                     "情報を守る",
		"<noscript>without</noscript><svg><text>x</text></svg>end": "end",
	} {
		if got := visible([]byte(page)); got != want {
			t.Errorf("%s shows %q, want %q", page, got, want)
		}
	}
}

func FuzzSamePage(f *testing.F) {
	f.Add("# a\n\nb", "text/html", []byte("<h1>a</h1><p>b</p>"))
	f.Fuzz(func(t *testing.T, text, kind string, page []byte) {
		SamePage(text, kind, page)
	})
}
