package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sekisho"
)

// form is a form with its fields.
func form(fields ...string) url.Values {
	v := url.Values{}
	for n := 0; n < len(fields); n += 2 {
		v.Set(fields[n], fields[n+1])
	}
	return v
}

// A council's minutes go from one person's word to a figure, by hand, at the
// pages; and nobody signs or approves their own.
func TestDutyPages(t *testing.T) {
	h := newHouse(t)
	h.clock.pass(18 * 24 * time.Hour) // the next quarter: the ledger began too late for the last
	clerk, second, judge, japanese := h.as("ito", "user", "en"), h.as("mori", "user", "en"), h.as("kato", "approver", "en"), h.as("sato", "approver", "ja")
	post := func(b *browser, want int, fields ...string) {
		t.Helper()
		if a := b.post("/duties", form(fields...)); a.status != want {
			t.Errorf("%v got %d, want %d: %s", fields, a.status, want, a.body)
		}
		h.settle()
	}
	shows := func(b *browser, path string, want ...string) {
		t.Helper()
		page := b.get(path)
		if page.status != http.StatusOK {
			t.Errorf("%s got %d", path, page.status)
		}
		for _, w := range want {
			if !strings.Contains(page.body, w) {
				t.Errorf("%s lacks %q:\n%s", path, w, page.body)
			}
		}
	}
	post(clerk, http.StatusForbidden, "do", "unit", "population", "council", "units", "risk council", "action", "listed")
	post(judge, http.StatusSeeOther, "do", "unit", "population", "council", "units", "risk council", "action", "listed", "from", "2014-04-01", "duty", "policy/B3")
	shows(clerk, "/duties/policy/B3", "risk council", "0 / 1", "our default", "every quarter")

	record := []string{"do", "record", "duty", "policy/B3", "kind", "minutes", "units", "risk council", "from", "2014-10-02", "said", "the autumn meeting <held>"}
	for wrong, value := range map[string]string{"kind": "visit", "units": "somebody", "from": "2.10.2014", "until": "2014-10-01", "said": " ", "producer": "S", "sha256": "12", "state": "unsigned"} {
		bad := form(record...)
		bad.Set(wrong, value)
		if a := clerk.post("/duties", bad); a.status/100 != 4 {
			t.Errorf("%s = %q got %d", wrong, value, a.status)
		}
	}
	post(clerk, http.StatusSeeOther, record...)
	shows(clerk, "/duties/policy/B3", "waits for a second person", "the autumn meeting &lt;held&gt;", "somebody else must sign", "1 unknown")
	var p DutyPage
	read := func(b *browser) {
		t.Helper()
		p = DutyPage{}
		must(t, json.Unmarshal([]byte(b.json("/duties/policy/B3").body), &p))
	}
	read(clerk)
	if p.Shown.Figure.Num != 0 || p.Shown.Figure.Dark != 1 || len(p.Waiting) != 1 {
		t.Fatalf("one person's word: %+v", p.Shown.Figure)
	}
	entry := number(p.Waiting[0].Entry)
	entry = strings.ReplaceAll(entry, ",", "")
	post(clerk, http.StatusForbidden, "do", "sign", "entry", entry, "action", "countersigned")
	post(second, http.StatusSeeOther, "do", "sign", "entry", entry, "action", "countersigned", "duty", "policy/B3")
	post(judge, http.StatusConflict, "do", "sign", "entry", entry, "action", "rejected")
	read(clerk)
	if p.Shown.Figure.Num != 1 || p.Shown.Figure.Den != 1 || len(p.Listed) != 1 || len(p.Listed[0].Entries) != 1 || p.Listed[0].Entries[0].Item != "" {
		t.Errorf("signed: %+v, %+v", p.Shown.Figure, p.Listed)
	}
	shows(japanese, "/duties/policy/B3", "達成", "四半期ごと", "当方の既定", "100.0 %")

	except := []string{"do", "except", "duty", "policy/B3", "what", "waived", "units", "risk council", "from", "2014-10-03", "until", "2014-12-31", "owner", "kato", "said", "merged <soon>"}
	bad := form(except...)
	bad.Set("until", "2016-12-31")
	if a := clerk.post("/duties", bad); a.status != http.StatusBadRequest {
		t.Errorf("an exception of two years got %d", a.status)
	}
	post(clerk, http.StatusSeeOther, except...)
	read(clerk)
	if len(p.Exceptions) != 1 || p.Exceptions[0].Action != "" || p.Exceptions[0].Owner != "kato" {
		t.Fatalf("the exception: %+v", p.Exceptions)
	}
	entry = strings.ReplaceAll(number(p.Exceptions[0].Entry), ",", "")
	decide := []string{"do", "decide", "entry", entry, "action", "approved", "duty", "policy/B3"}
	post(second, http.StatusForbidden, decide...) // a plain user
	post(judge, http.StatusForbidden, decide...)  // who answers for it
	post(japanese, http.StatusSeeOther, decide...)
	shows(clerk, "/duties/policy/B3", "merged &lt;soon&gt;", "approved")

	// The statement of applicability: a claim counts with an entry behind it.
	state := []string{"do", "control", "instrument", "iso27001", "control", "A.5.1", "applicable", "yes", "claim", "implemented", "said", "approved and published"}
	post(clerk, http.StatusForbidden, state...)
	post(judge, http.StatusSeeOther, state...)
	controls := func() DutyFigure {
		t.Helper()
		var p DutyPage
		must(t, json.Unmarshal([]byte(judge.json("/duties/policy/P4a").body), &p))
		return p.Shown.Figure
	}
	if f := controls(); f.Num != 0 || f.Den != 93 || f.Dark != 1 {
		t.Errorf("a claim without anything behind it: %+v", f)
	}
	post(judge, http.StatusSeeOther, append(state, "basis", "1")...)
	post(judge, http.StatusSeeOther, "do", "control", "instrument", "iso27001", "control", "A.8.30", "applicable", "no", "said", "nothing is developed outside")
	if f := controls(); f.Num != 1 || f.Den != 92 || f.Dark != 0 {
		t.Errorf("a claim with an entry behind it: %+v", f)
	}
	shows(clerk, "/duties?instrument=iso27001", "nothing is developed outside", "does not apply", "A.8.34")
	shows(clerk, "/duties?instrument=mlit-avi", "This instrument is empty")
	shows(clerk, "/duties?council=1", "Reminders", "Worst duty")
	shows(japanese, "/duties", "セキュリティ教育", "年2回", "案件なし")
	shows(clerk, "/duties/mine", "My duties")
	shows(clerk, "/duties/policy/M1b", "Nothing reports a watch yet", "stated by the page")
	for _, path := range []string{"/duties?instrument=nobody", "/duties/policy/Z9", "/duties/policy/B3?window=1999", "/duties?company=nobody"} {
		if a := clerk.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s got %d", path, a.status)
		}
	}
	if a := h.stranger("en").get("/duties"); a.status == http.StatusOK {
		t.Error("a stranger sees the register")
	}
}

// Each page of a duty can be drawn, in both languages.
func TestEveryDutyHasAPage(t *testing.T) {
	h := newHouse(t)
	english, japanese := h.as("ito", "approver", "en"), h.as("sato", "approver", "ja")
	h.append(&sekisho.LedgerVerified{Through: 1, OK: true})
	for n, d := range h.duties.Register().Duties() {
		b := english
		if n%2 == 1 {
			b = japanese
		}
		if a := b.get("/duties/" + d.Name()); a.status != http.StatusOK || !strings.Contains(a.body, d.ID) {
			t.Errorf("%s got %d", d.Name(), a.status)
		}
	}
}
