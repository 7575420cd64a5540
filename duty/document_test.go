package duty

import (
	"slices"
	"testing"

	"sekisho"
)

// What a handbook proves, from its first draft until nobody looks after it.
func TestDocument(t *testing.T) {
	h := newBook(t, staff(3))
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	status := func(id, now string) string {
		t.Helper()
		list := h.b.Judge(h.b.Register().Duty(id), day(now))
		if len(list) == 0 {
			return "nothing"
		}
		counts := list[len(list)-1].Total
		switch {
		case counts.Den == 0 && counts.Open == 0:
			return "nothing"
		case counts.Num == counts.Den && counts.Den > 0:
			return "met"
		case counts.Open > 0:
			return "open"
		}
		return "not met"
	}
	roles := []string{"privacy", "ciso"}
	const privacy, ciso, writer, handbook = 2, 3, 1, 40

	first := h.write("2026-04-10", &sekisho.DocumentWritten{Document: handbook, Sort: "handbook", Acknowledge: true, Public: true, ReviewDays: 300, By: writer})
	v, doc := h.b.Version(first)
	if v == nil || doc.Thing != handbook || v.State(roles) != VersionDraft || v.Count != 1 {
		t.Fatalf("%+v", v)
	}
	if got := status("P3", "2026-04-11"); got != "nothing" {
		t.Errorf("a draft proves: %s", got)
	}
	h.write("2026-04-11", &sekisho.DocumentDecided{Version: first, Action: "approved", Role: "privacy", By: privacy})
	if got := v.Wanting(roles); !slices.Equal(got, []string{"ciso"}) || !v.Spoke(privacy) || v.Spoke(ciso) || !v.Spoke(writer) {
		t.Errorf("wanting %v", got)
	}
	h.write("2026-04-12", &sekisho.DocumentDecided{Version: first, Action: "approved", Role: "ciso", By: ciso})
	if v.State(roles) != VersionApproved {
		t.Error(v.State(roles))
	}
	h.write("2026-04-13", &sekisho.DocumentPublished{Version: first, Action: "published", From: sekisho.Time(day("2026-04-15")), By: ciso})
	if v.State(roles) != VersionInForce || doc.InForce != v {
		t.Error(v.State(roles))
	}
	if got := status("P3", "2026-05-01"); got != "met" {
		t.Errorf("policies in date: %s", got)
	}
	if got := status("P3", "2027-03-01"); got == "met" { // 300 days have passed
		t.Errorf("nobody looked at it for a year: %s", got)
	}

	// The review that only one person has said counts when another agrees.
	review := h.write("2027-01-20", &sekisho.DocumentReviewed{Version: first, Outcome: "keep", By: writer})
	if got := status("P10a", "2027-01-21"); got == "met" {
		t.Error("a review by one person counts")
	}
	h.write("2027-01-21", &sekisho.DocumentReviewed{Version: first, Review: review, Outcome: "agreed", By: writer})
	if got := status("P10a", "2027-01-22"); got == "met" {
		t.Error("whoever reviewed has agreed with it, and that counts")
	}
	h.write("2027-01-22", &sekisho.DocumentReviewed{Version: first, Review: review, Outcome: "agreed", By: ciso})
	if got := status("P10a", "2027-01-23"); got != "met" {
		t.Errorf("reviewed by two: %s", got)
	}
	if got := status("P3", "2027-03-01"); got != "met" {
		t.Errorf("after the review: %s", got)
	}

	// Of three people two acknowledge, one of them twice.
	for _, who := range []uint32{1, 2, 2} {
		h.write("2026-04-20", &sekisho.DocumentAcknowledged{Version: first, Staff: who})
	}
	if v.Signed != 2 || !v.Acknowledged(2) || v.Acknowledged(3) {
		t.Errorf("%d have signed", v.Signed)
	}
	if got := h.b.Judge(h.b.Register().Duty("B1"), day("2026-05-01"))[0].Total; got.Met != 2 {
		t.Errorf("acknowledged: %+v", got)
	}

	// The page in the world: two good days, one bad.
	for at, found := range map[string]string{"2027-02-01": "same", "2027-02-02": "same", "2027-02-03": "differs"} {
		h.write(at, &sekisho.PublicationChecked{Version: first, English: "same", Japanese: found})
	}
	if got := h.b.Judge(h.b.Register().Duty("P10b"), day("2027-02-04")); len(got) == 0 || got[len(got)-1].Total.Num != 2 {
		t.Errorf("days on which the page was the approved one: %+v", got[len(got)-1].Total)
	}

	// A second version takes its place on its day; then the document ends.
	second := h.write("2027-04-01", &sekisho.DocumentWritten{Document: handbook, Sort: "handbook", Before: first, By: writer})
	h.write("2027-04-02", &sekisho.DocumentPublished{Version: second, Action: "published", From: sekisho.Time(day("2027-04-10")), By: ciso})
	next, _ := h.b.Version(second)
	if v.State(roles) != VersionPast || v.Until != sekisho.Time(day("2027-04-10")) || next.Count != 2 || doc.InForce != next {
		t.Errorf("%s until %d", v.State(roles), v.Until)
	}
	h.write("2027-05-01", &sekisho.DocumentPublished{Version: second, Action: "retired", From: sekisho.Time(day("2027-05-01")), By: ciso})
	if doc.InForce != nil || len(h.b.Listed("policy", day("2027-05-02"))) != 0 {
		t.Error("it is still among the policies")
	}
	if len(h.b.Listed("policy", day("2027-04-20"))) != 1 {
		t.Error("it never was among the policies")
	}
}
