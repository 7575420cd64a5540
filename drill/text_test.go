package drill

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/console"
	"sekisho/trace"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

func teller(t testing.TB, lang string) *console.Teller {
	t.Helper()
	w, err := console.NewTeller(lang, japan)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestText: one report, told in both languages.
func TestText(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2014, 9, day, hour, 0, 0, 0, japan) }
	delay := func(seconds float64) *float64 { return &seconds }
	formula := func(code string, result float64, terms ...trace.Term) trace.Formula {
		return trace.Formula{Code: code, Terms: append(terms, trace.Term{Name: "result", Value: result})}
	}
	term := func(name string, v float64) trace.Term { return trace.Term{Name: name, Value: v} }
	categories := []trace.Part{{Kind: "category", Dimension: "category", Value: "contact", Count: 7500}, {Kind: "date", Dimension: "passport_until", Value: "valid", Count: 12},
		{Kind: "label", Dimension: "partner", Count: 3}}
	r := &Report{
		Scenario: Jal2014, Seed: 7, Members: 10_000, Elapsed: 12, WorstCase: 7500, Suspected: 1900, SentAtMost: 210, Confirmed: 41,
		Truth: Truth{Read: 7500, AttackRead: 2100, BurstRead: 2000, Taken: 120, SentBytes: 11_486, Recovered: 45, Undamaged: 40},
		Lists: Lists{Agreement{7500, 7500, 7500, 1, 1}, Agreement{1900, 2000, 1900, 1, 0.95}, Agreement{41, 45, 41, 1, 0.9111}},
		Timeline: []Event{
			{At: at(1, 0), Code: "infected", Facts: []string{"pc-1", "pc-2", "pc-3", "198.51.100.23"}},
			{At: at(2, 0), Code: "trial", Facts: []string{"anna", "bert", "139", "2014-09-18"}},
			{At: at(19, 11), Code: "burst", Facts: []string{"23:30", "pc-2", "pc-3"}, Delay: delay(0), By: "sweep"},
			{At: at(19, 11), Code: "incident", Facts: []string{"83002"}},
			{At: at(19, 23), Code: "sent", Facts: []string{"pc-2", "203.0.113.66"}, Delay: delay(1140), By: "egress"},
			{At: at(22, 11), Code: "burst", Facts: []string{"15:40", "pc-2", "pc-3"}},
			{At: at(24, 10), Code: "recovered", Facts: []string{"pc-2", "41", "45"}},
		},
		Alerts: Alerts{All: 12, Before: 4, Judging: 6, Sent: 1, Other: 1, Incidents: []Incident{{83002, 5}, {83086, 3}}},
		Spared: Spared{Credentials: true, Payment: true},
		Answer: &trace.Answer{
			Endpoints: []string{"pc-2", "pc-3"}, Since: "2014-08-17T15:00:00.000000Z", Until: "2014-09-22T15:00:00.000000Z",
			Hostile: []netip.Prefix{netip.MustParsePrefix("203.0.113.66/32")}, WorstCase: 7500,
			Numbers: trace.Numbers{
				WorstCase:  trace.Number{Value: 7500, Formula: formula("worst_case", 7500, term("customers", 7500), term("accesses", 654), term("unverified", 0)), Breakdown: categories},
				Suspected:  trace.Number{Value: 1900, Formula: formula("suspected", 1900, term("customers", 1900), term("accesses", 49), term("alerts", 6))},
				SentAtMost: trace.Number{Value: 210, Formula: formula("sent_at_most", 210, term("bytes", 1953), term("connections", 2), term("compression", 10), term("least", 93))},
				Confirmed:  trace.Number{Value: 41, Formula: formula("confirmed", 41, term("customers", 41), term("rows", 45), term("files", 1), term("damaged", 4))},
			},
			NotObserved: []trace.Note{{Code: "sensor_rejected", Name: "zeek-conn", Count: 21}, {Code: "gate_down", From: "2014-09-01T15:00:00.000000Z", To: "2014-09-01T16:00:00.000000Z"}},
		},
	}
	for _, lang := range []string{"en", "ja"} {
		var text strings.Builder
		r.Text(&text, teller(t, lang))
		golden := filepath.Join("testdata", "report."+lang+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if text.String() != string(want) {
			t.Errorf("in %s:\n%s\nwant:\n%s", lang, text.String(), want)
		}
	}
}
