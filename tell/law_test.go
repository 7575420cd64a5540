package tell

import (
	"slices"
	"testing"

	"sekisho"
	"sekisho/incident"
	"sekisho/law"
)

// What a person has answered about Rule 7 goes before what the figures say.
func TestAnswersGoBeforeFigures(t *testing.T) {
	g := story(t, "egress pc-0417 203.0.113.66 5000", "alert egress 0 pc-0417 for=1h")
	numbers := func() (list []string) {
		for _, i := range g.Facts()["rule7"].List {
			list = append(list, i.En)
		}
		return list
	}
	figures := numbers()
	if !slices.Contains(figures, "iv") || slices.Contains(figures, "i") {
		t.Fatalf("by the figures alone: %v", figures)
	}
	say := func(seq uint64, question, answer string) {
		f := incident.LegalFact{Body: &sekisho.LegalFactStated{Incident: g.Incident.Number, Question: question, Answer: answer}}
		f.Seq = seq
		g.Incident.Legal.Facts = append(g.Incident.Legal.Facts, f)
	}
	say(101, law.SpecialCare, "yes")
	say(102, law.ImproperPurpose, "no")
	if got := numbers(); !slices.Contains(got, "i") || slices.Contains(got, "iii") {
		t.Errorf("with answers: %v", got)
	}
	if f := g.Facts()["rule7_1"]; !f.Known || !slices.Contains(f.Entries, 101) {
		t.Errorf("number i rests on %v", f.Entries)
	}
	say(103, law.ImproperPurpose, "yes")
	if f := g.Facts()["rule7_3"]; !f.Known || !slices.Contains(f.Entries, 103) {
		t.Errorf("number iii rests on %v", f.Entries)
	}
	say(104, law.ImproperPurpose, "unknown")
	if got := numbers(); slices.Contains(got, "iii") != slices.Contains(figures, "iii") {
		t.Errorf("an answer that says unknown leaves it to the figures: %v, %v", got, figures)
	}
}
