package console

import (
	"strings"
	"testing"

	"sekisho"
)

// What enforcement would have done on the last day stands on the status page, in both
// languages, and in its JSON.
func TestTheDayOfObservedRoles(t *testing.T) {
	var day *ObservedDay
	h := newHouse(t, func(c *Config) { c.Observed = func() *ObservedDay { return day } })
	page := func(lang string) string { return h.signedIn(lang).get("/status").body }
	const title = "Observed roles: what enforcement would have done"
	if strings.Contains(page("en"), title) {
		t.Error("it is there though nobody is observed")
	}
	day = &ObservedDay{}
	if got := page("en"); !strings.Contains(got, title) || !strings.Contains(got, "No day has ended yet") {
		t.Error("a house that is observed for less than a day does not say so")
	}
	day = &ObservedDay{Until: sekisho.At(h.clock.now()), Roles: []ObservedRole{{Role: "call_centre", Verdict: "not_ready", Runs: 1204, Refused: 31, Compared: 2, Worst: 1.25}}}
	for lang, want := range map[string][]string{"en": {"call_centre", "not ready", "1,204", ">31<", "× 1.25"}, "ja": {"call_centre", "未完了", "拒否されるもの", "1,204", "× 1.25"}} {
		got := page(lang)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("in %s the page does not say %q", lang, w)
			}
		}
	}
	if got := h.signedIn("en").json("/status").body; !strings.Contains(got, `"would_be_refused_runs":31`) && !strings.Contains(got, `"would_be_refused_runs": 31`) {
		t.Errorf("the JSON: %s", got)
	}
}
