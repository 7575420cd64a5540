package trace_test

import (
	"strings"
	"testing"

	"sekisho"
	"sekisho/trace"
)

// What passed the gate by is in no number, even if somebody of the same name
// worked through the gate from the same address at that time; and each answer
// about that time speaks of it, also one about the endpoint of the alert alone.
func TestPassedByIsNoAccess(t *testing.T) {
	book := script(t, `
		shape m member members identity
		session a 7 clerk unverified@10.0.0.9
		alert outside 7 unverified@10.0.0.9 for=1h
		read a m 1..20`)
	at := book.Now
	book.Put(&sekisho.Alert{Detector: "outside", Principal: 8, Endpoint: "unverified@unknown", From: at, Until: at + 1, Observed: 412000})
	tr := fold(book.Entries)
	for _, c := range []struct {
		what  string
		q     trace.Question
		worst uint64
		note  string
	}{
		{"where somebody also worked", trace.Question{Endpoints: []string{"unverified@10.0.0.9"}, Since: at, Until: at + 1}, 20, "2 alerts, with 412,000 rows"},
		{"where nothing but the alert was", trace.Question{Endpoints: []string{"unverified@unknown"}, Since: at, Until: at + 1}, 20, "2 alerts, with 412,000 rows"},
		{"after the second", trace.Question{Endpoints: []string{"unverified@unknown"}, Since: at + 1, Until: at + day}, 0, "1 alerts, with 0 rows"},
		{"before it all", trace.Question{Endpoints: []string{"unverified@unknown"}, Since: at - day, Until: at}, 0, ""},
	} {
		a, err := tr.Impact(c.q, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.WorstCase != c.worst || a.Suspected != 0 {
			t.Errorf("%s: the worst case is %d, want %d; suspected are %d, want 0", c.what, a.WorstCase, c.worst, a.Suspected)
		}
		note := ""
		for _, n := range a.NotObserved {
			if n.Code == "passed_by" {
				note = n.Text
			}
		}
		if (note == "") != (c.note == "") || !strings.Contains(note, c.note) {
			t.Errorf("%s: the note is %q, want %q", c.what, note, c.note)
		}
	}
}
