package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sekisho"
	"sekisho/law"
)

// Where the people of the lists live says which regimes run side by side, and
// what people answer decides: facts, judgements, reports.
func TestResidenceSaysWhichRegimes(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Drill, c.Residence, c.Company = "jal-2014", "residence", law.Company{Industry: "aviation", Established: []string{"JP"}}
	})
	path := h.furnish()["incident"]
	h.pursue(path)
	b := h.signedIn("en")
	look := func() (p ClocksPage) {
		t.Helper()
		r := b.request(http.MethodGet, path+"/clocks", nil)
		r.Header.Set("Accept", "application/json")
		must(t, json.Unmarshal([]byte(b.do(r).body), &p))
		return p
	}
	of := func(p ClocksPage, regime string) law.Finding {
		t.Helper()
		i := slices.IndexFunc(p.Findings, func(f law.Finding) bool { return f.Regime == regime })
		if i < 0 {
			t.Fatalf("no finding of %s", regime)
		}
		return p.Findings[i]
	}
	verdicts := func(want map[string]law.Verdict) {
		t.Helper()
		p := look()
		for regime, v := range want {
			if f := of(p, regime); f.Verdict != v {
				t.Errorf("%s: %s, want %s: %v, missing %v", regime, f.Verdict, v, f.Reasons, f.Missing)
			}
		}
	}
	// A fifth of the members live in Germany, a fifth somewhere in the United States;
	// nobody in the United Kingdom. 905 people are not more than 1,000.
	verdicts(map[string]law.Verdict{"jp-appi": law.Undecided, "eu-gdpr": law.Undecided, "gb-gdpr": law.NotReached, "us-ca": law.Undecided, "us-sec": law.Undecided})
	if f := of(look(), "eu-gdpr"); !strings.Contains(f.Reasons[0].EN, "of the people live there") {
		t.Errorf("why the GDPR: %v", f.Reasons)
	}
	if p := look(); len(p.Noticed) != 2 || p.Noticed[0].Basis != law.Insider || p.Noticed[1].Basis != law.Control || p.Earliest != p.Noticed[0].At {
		t.Errorf("what was noticed: %+v", p.Noticed)
	}
	answer := func(question, value string) {
		t.Helper()
		if a := b.post(path+"/clocks", url.Values{"act": {"fact"}, "question": {question}, "action": {value}, "reason": {"asked around"}}); a.status != http.StatusSeeOther {
			t.Fatalf("%s = %s: %d %s", question, value, a.status, a.body)
		}
	}
	answer(law.ImproperPurpose, "yes")
	answer(law.RiskUnlikely, "no")
	answer(law.HighRisk, "yes")
	answer(law.Contractor, "no")
	answer("statutory:us-ca", "no")
	answer(law.Listed, "no")
	verdicts(map[string]law.Verdict{"jp-appi": law.Maybe, "eu-gdpr": law.Maybe, "gb-gdpr": law.NotReached, "us-ca": law.NotReached, "us-sec": law.NotReached})
	p := look()
	if f := p.Facts[len(p.Facts)-1]; f.Asked {
		t.Error("what nothing hangs on comes last")
	}
	// Nobody is certain yet: the GDPR's clock is shown from the first event, and
	// starts anew with a person's word.
	early := of(p, "eu-gdpr").Clocks[0]
	h.clock.pass(3600e9)
	if a := b.post(path+"/clocks", url.Values{"act": {"judge"}, "action": {"confirmed"}, "reason": {"the terminal was examined"}}); a.status != http.StatusSeeOther {
		t.Fatalf("confirming: %d %s", a.status, a.body)
	}
	verdicts(map[string]law.Verdict{"jp-appi": law.Triggered, "eu-gdpr": law.Triggered})
	p = look()
	late := of(p, "eu-gdpr").Clocks[0]
	if !early.Provisional || late.Provisional || !late.Start.After(early.Start) || !late.Due.Equal(late.Start.Add(72*3600e9)) {
		t.Errorf("the GDPR's clock: first %+v, then %+v", early, late)
	}
	if c := of(p, "jp-appi").Clocks[1]; c.Amount != 60 || c.StartDay != "2014-09-22" || c.DueDay != "2014-11-20" || !of(p, "jp-appi").Replayed {
		t.Errorf("Japan's: %+v", c)
	}
	// What the ledger holds about it names no text and nobody: ordinals.
	last := h.ledger.Last()
	for e, err := range h.ledger.Follow(t.Context(), last) {
		must(t, err)
		j, ok := e.Body.(*sekisho.AwareJudged)
		if !ok || j.Said == 0 || j.By == 0 {
			t.Errorf("the last entry is %+v", e.Body)
		}
		break
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(path, "/incidents/"), 10, 64)
	must(t, err)
	if p.ID != number {
		t.Errorf("incident %d", p.ID)
	}
	// The room counts them among its own clocks, and says whose edition it is.
	r := b.request(http.MethodGet, path+"/room", nil)
	r.Header.Set("Accept", "application/json")
	room := b.do(r).body
	for _, want := range []string{`"jp-appi/final"`, `"eu-gdpr/authority"`, "source: APPI art. 26"} {
		if !strings.Contains(room, want) {
			t.Errorf("the room does not say %q", want)
		}
	}
}

// What cannot be is refused, and leaves no entry.
func TestClockActsAreChecked(t *testing.T) {
	h := newHouse(t)
	path := h.furnish()["incident"]
	b := h.signedIn("en")
	b.get(path + "/clocks")
	before := h.ledger.Last()
	for _, c := range []struct {
		form url.Values
		want int
	}{
		{url.Values{"act": {"judge"}, "action": {"confirmed"}}, 400}, // no reason
		{url.Values{"act": {"judge"}, "action": {"perhaps"}, "reason": {"x"}}, 400},
		{url.Values{"act": {"judge"}, "action": {"confirmed"}, "about": {"1"}, "reason": {"x"}}, 404}, // no event
		{url.Values{"act": {"fact"}, "question": {"weather"}, "action": {"yes"}, "reason": {"x"}}, 404},
		{url.Values{"act": {"fact"}, "question": {"statutory:atlantis"}, "action": {"yes"}, "reason": {"x"}}, 404},
		{url.Values{"act": {"fact"}, "question": {"encrypted"}, "action": {""}, "reason": {"x"}}, 400},
		{url.Values{"act": {"fact"}, "question": {"material"}, "action": {"yes"}, "time": {"2030-01-01"}, "reason": {"x"}}, 400}, // lies ahead
		{url.Values{"act": {"move"}, "time": {"2030-01-01"}, "reason": {"x"}}, 400},
		{url.Values{"act": {"move"}, "time": {"2014-09-01"}}, 400},
		{url.Values{"act": {"answer"}, "about": {"1"}, "action": {"approved"}}, 404},
		{url.Values{"act": {"report"}, "regime": {"jp-appi"}, "step": {"authority"}}, 400},
		{url.Values{"act": {"report"}, "regime": {"jp-appi"}, "step": {"final"}, "time": {"2030-01-01"}}, 400},
		{url.Values{"act": {"mistaken"}, "about": {"1"}, "reason": {"x"}}, 404},
		{url.Values{"act": {"dance"}}, 400},
		{url.Values{"act": {"judge"}, "action": {"confirmed"}, "reason": {strings.Repeat("x", 9000)}}, 400},
	} {
		if a := b.post(path+"/clocks", c.form); a.status != c.want {
			t.Errorf("%v: %d, want %d", c.form, a.status, c.want)
		}
	}
	for _, form := range []url.Values{
		{"source": {"a friend"}, "text": {"x"}}, {"source": {"police"}}, {"source": {"police"}, "text": {"x"}, "ground": {"n9"}},
		{"source": {"police"}, "text": {"x"}, "incident": {"99999"}}, {"source": {"police"}, "text": {"x"}, "received": {"2030-01-01"}},
	} {
		if a := b.post("/notices", form); a.status != 400 && a.status != 404 {
			t.Errorf("%v: %d", form, a.status)
		}
	}
	if a := b.post("/incidents/99999/clocks", url.Values{"act": {"judge"}, "action": {"confirmed"}, "reason": {"x"}}); a.status != 404 {
		t.Errorf("an incident that there is not: %d", a.status)
	}
	h.append(&sekisho.SensorRead{Sensor: "the end"}) // so that there is something to follow to
	end := h.ledger.Last()
	for e, err := range h.ledger.Follow(t.Context(), before+1) {
		must(t, err)
		switch e.Body.(type) {
		case *sekisho.AwareJudged, *sekisho.ClockMoved, *sekisho.DutyReported, *sekisho.LegalFactStated, *sekisho.NoticeReceived:
			t.Errorf("an entry was written all the same: %+v", e.Body)
		}
		if e.ID.Seq >= end {
			break
		}
	}
}
