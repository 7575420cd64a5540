package incident_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/incident"
)

const hour = sekisho.Time(3600e6)

func shipped(t *testing.T) *incident.Manual {
	t.Helper()
	m, err := incident.Read(incident.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// notice opens an incident for a provider's call.
func (h *house) notice(known sekisho.Time) uint64 {
	n := h.book.Put(&sekisho.IncidentOpened{By: 3, Endpoints: []string{"web-01"}})
	h.book.Put(&sekisho.Raised{Incident: n, What: "notice", Source: "provider", Endpoint: "web-01", Known: known, Said: 1, By: 3})
	h.settle()
	return n
}

func (h *house) put(body sekisho.Body) uint64 {
	n := h.book.Put(body)
	h.settle()
	return n
}

// climb writes what is due, as the house does, and gives its roles.
func (h *house) climb(m *incident.Manual) string {
	due, _ := h.cases.Due(h.book.Now, m)
	var roles []string
	for n := range due {
		h.put(&due[n].Escalated)
		roles = append(roles, due[n].Stage+" "+due[n].Role)
	}
	return strings.Join(roles, ", ")
}

// A notice that nobody acknowledges is with an executive within a day, rung by
// rung, each written once, whenever sekisho looks.
func TestALadderIsClimbedByTheClock(t *testing.T) {
	m, h := shipped(t), newHouse()
	start := h.book.Now
	n := h.notice(start)
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{0, "acknowledge point_of_contact"},
		{30 * time.Minute, ""},
		{time.Hour, "acknowledge point_of_contact"},
		{time.Hour, ""},
		{13 * time.Hour, "acknowledge incident_commander, acknowledge executive"}, // it did not run meanwhile
		{24 * time.Hour, ""},
	} {
		h.book.Now = start + sekisho.Time(step.after.Microseconds())
		if got := h.climb(m); got != step.want {
			t.Errorf("after %v: %q, want %q", step.after, got, step.want)
		}
	}
	one := h.cases.Get(n)
	if mark, ok := one.Marks()["escalated_exec"]; ok {
		t.Errorf("an executive whom nobody names knows since %v", mark.At)
	}
	sat := one.Sat(start + 24*hour)
	if len(sat) != 4 || !sat[3].Still || sat[3].Until-sat[3].From != 11*hour || sat[1].Until-sat[1].From != 12*hour {
		t.Errorf("who sat on it: %+v", sat)
	}
}

// Whoever acknowledges takes on what came before; what comes afterwards waits
// anew, and so does a judgement.
func TestAcknowledging(t *testing.T) {
	m, h := shipped(t), newHouse()
	n := h.notice(h.book.Now)
	h.climb(m)
	h.book.Now += hour / 2
	h.put(&sekisho.Acknowledged{Incident: n, About: n, By: 4})
	h.book.Now += 30 * hour
	if got, want := h.climb(m), "triage incident_commander, triage executive"; got != want {
		t.Errorf("seen and not judged: %q, want %q", got, want)
	}
	h.put(&sekisho.PlaybookChosen{Incident: n, Name: "malware"})
	h.book.Run("alert contact 7 web-01 for=1h")
	h.settle()
	if got, want := h.climb(m), "acknowledge point_of_contact"; got != want {
		t.Errorf("a new alert: %q, want %q", got, want)
	}
	h.book.Now += hour
	h.put(&sekisho.Acknowledged{Incident: n, About: n, By: 4})
	h.book.Now += 100 * hour
	if got := h.climb(m); got != "" {
		t.Errorf("all is seen and judged, and still %q climbs", got)
	}
}

// The phase follows what is known, backwards too.
func TestThePhaseIsDerived(t *testing.T) {
	h := newHouse()
	h.book.Run("alert sweep 7 pc-0417 for=1h")
	h.settle()
	n := h.cases.List()[0].Number
	fact := func(code string) sekisho.Body {
		return &sekisho.FactStated{Incident: n, Code: code, Known: h.book.Now, Certainty: "confirmed", Source: "person", By: 4}
	}
	expect := func(want incident.Phase, ongoing bool) {
		t.Helper()
		one := h.cases.Get(n)
		if got := one.Phase(); got.Phase != want {
			t.Errorf("phase %s because of %s, want %s", got.Phase, got.Why, want)
		}
		if on, why := one.Ongoing(); on != ongoing {
			t.Errorf("in phase %s it goes on: %v (%s)", want, on, why)
		}
	}
	expect(incident.Detect, true)
	h.put(&sekisho.Acknowledged{Incident: n, About: n, By: 4})
	expect(incident.Assess, true)
	h.put(fact("triaged"))
	expect(incident.Respond, true)
	h.book.Now += hour
	cut := h.put(fact("contained_verified"))
	expect(incident.Recover, false)
	h.book.Now += hour
	h.book.Run("alert egress 7 pc-0417 for=1h")
	h.settle()
	expect(incident.Respond, true)
	h.book.Now += 2 * hour
	again := fact("contained_verified").(*sekisho.FactStated)
	again.Corrects = cut
	h.put(again)
	expect(incident.Recover, false)
	back := h.put(fact("recovered"))
	expect(incident.Learn, false)
	h.put(&sekisho.FactStated{Incident: n, Code: "recovered", Known: h.book.Now, Certainty: "withdrawn", Corrects: back, Said: 3, By: 4})
	expect(incident.Recover, false)
	end := h.put(&sekisho.IncidentEnding{Incident: n, Action: "close", Outcome: "resolved", Said: 1, By: 4})
	expect(incident.Recover, false)
	h.put(&sekisho.Answered{Incident: n, About: end, Action: "approved", By: 5})
	expect(incident.Ended, false)
}

// A closed incident takes in nothing: a later alert opens one that says which it
// follows. Reopened, it joins again. A replay decides the same.
func TestAnEndedIncidentTakesInNoAlert(t *testing.T) {
	h := newHouse()
	raise := func() { h.book.Run("alert sweep 7 pc-0417 for=1h"); h.settle() }
	raise()
	n := h.cases.List()[0].Number
	end := h.put(&sekisho.IncidentEnding{Incident: n, Action: "close", Outcome: "resolved", Said: 1, By: 4})
	h.book.Now += hour
	raise()
	if list := h.cases.List(); len(list) != 1 || len(list[0].Alerts) != 2 {
		t.Fatalf("asking to close is not closing: %d incidents", len(list))
	}
	h.put(&sekisho.Answered{Incident: n, About: end, Action: "approved", By: 5})
	closed := h.book.Now
	h.book.Now += hour
	raise()
	list := h.cases.List()
	if len(list) != 2 || list[0].Room.Follows != n || len(list[1].Alerts) != 2 {
		t.Fatalf("%d incidents, the newest follows %d", len(list), list[0].Room.Follows)
	}
	if q := list[1].Question("member", h.book.Now+100*hour); q.Until > max(closed, list[1].Latest)+1 {
		t.Errorf("what a closed incident asks ends at %v, after it was closed at %v", q.Until, closed)
	}
	h.put(&sekisho.IncidentEnding{Incident: n, Action: "reopen", Said: 1, By: 4})
	raise()
	if list = h.cases.List(); len(list) != 2 || len(list[1].Alerts) != 3 {
		t.Errorf("reopened, it has %d alerts; there are %d incidents", len(list[1].Alerts), len(list))
	}
	again := incident.New()
	for n := range h.book.Entries {
		again.Apply(&h.book.Entries[n])
	}
	if tellAll(t, again) != tellAll(t, h.cases) {
		t.Error("a replay tells another story")
	}
}

// The formula, by the numbers of two cases. The reasoning is in the manual; what
// changes one factor changes the score by as much.
func TestSeverityIsAProduct(t *testing.T) {
	s := shipped(t).Severity
	jal := []incident.Finding{
		{Certainty: "confirmed", Asked: true, Subjects: 0},
		{Certainty: "likely", Asked: true, Subjects: 21_000, Categories: counted(21_000, "identity", "contact")},
		{Certainty: "possible", Asked: true, Subjects: 750_000, Categories: counted(750_000, "identity", "contact", "employment")},
	}
	j := s.Judge(jal, true)
	if j.Level != "critical" || !j.Terms[2].Strongest || j.Terms[2].Category != "identity" || math.Abs(j.Score-32*1.5*1*0.5*1.5) > 1e-9 {
		t.Errorf("JAL 2014: %s, %v, %+v", j.Level, j.Score, j.Terms)
	}
	if over := s.Judge(jal, false); math.Abs(over.Score*1.5-j.Score) > 1e-9 {
		t.Errorf("once it has stopped: %v of %v", over.Score, j.Score)
	}
	passports := incident.Finding{Certainty: "likely", Asked: true, Subjects: 9154, Categories: counted(9154, "contact", "travel_document"), Dated: true, Valid: 4359}
	half := s.Judge([]incident.Finding{passports}, false)
	passports.Valid = 0
	none := s.Judge([]incident.Finding{passports}, false)
	if half.Score <= none.Score || half.Terms[0].Weight != s.Categories["travel_document"] || none.Terms[0].Validity != s.Validity.Expired {
		t.Errorf("valid passports weigh %v, past ones %v", half.Score, none.Score)
	}
	if one := s.Judge([]incident.Finding{{Certainty: "confirmed", Asked: true, Subjects: 65, Categories: counted(65, "loyalty")}}, false); one.Level != "moderate" {
		t.Errorf("65 accounts of loyalty: %s, %v", one.Level, one.Score)
	}
	if unknown := s.Judge([]incident.Finding{{Certainty: "possible"}}, true); unknown.Rank == 0 {
		t.Errorf("what is not known at all is %s", unknown.Level)
	}
}

// A category counts with the people whom it concerns, not with everybody.
func TestSeverityCountsEachCategory(t *testing.T) {
	s := shipped(t).Severity
	f := incident.Finding{Certainty: "possible", Asked: true, Subjects: 37_601, Dated: true, Valid: 7_241,
		Categories: append(counted(37_601, "identity", "contact"), incident.Counted{Name: "travel_document", People: 153})}
	got := s.Judge([]incident.Finding{f}, true).Terms[0]
	if got.Category != "identity" || got.People != 37_601 || got.OfDated != 0 || math.Abs(got.Score-16*1.5*0.5*1.5) > 1e-9 {
		t.Errorf("153 passports among 37,601 people: %+v", got)
	}
	f.Subjects, f.Categories[0].People, f.Categories[1].People = 153, 153, 153
	got = s.Judge([]incident.Finding{f}, true).Terms[0]
	if got.Category != "travel_document" || got.OfDated != 153 || got.StillGood != 153 || got.Validity != s.Validity.Valid {
		t.Errorf("153 passports of 153 people: %+v", got)
	}
	f.Subjects = 200_000 // of nearly all of whom no category is known
	if got = s.Judge([]incident.Finding{f}, true).Terms[0]; got.Category != "unknown" || got.People != 200_000-153 {
		t.Errorf("people without a category: %+v", got)
	}
}

func counted(people uint64, names ...string) (list []incident.Counted) {
	for _, n := range names {
		list = append(list, incident.Counted{Name: n, People: people})
	}
	return list
}

// Clocks run from fact to fact, warn, stand still while an authority asks to
// wait, and stay late once they were.
func TestClocksOfTheCase(t *testing.T) {
	m, h := shipped(t), newHouse()
	start := h.book.Now
	n := h.notice(start)
	clock := func(key string) incident.Clock {
		for _, c := range m.ClocksOf(h.cases.Get(n), h.book.Now) {
			if c.Rule.Key == key {
				return c
			}
		}
		t.Fatalf("no clock %s", key)
		return incident.Clock{}
	}
	if c := clock("triaged"); c.State != incident.ClockRuns || c.Due != start+4*hour {
		t.Errorf("%+v", c)
	}
	h.book.Now = start + 3*hour + hour/4
	if c := clock("triaged"); c.State != incident.ClockWarns {
		t.Errorf("at four fifths: %s", c.State)
	}
	h.book.Now = start + 5*hour
	if c := clock("triaged"); c.State != incident.ClockOverdue {
		t.Errorf("after its time: %s", c.State)
	}
	h.put(&sekisho.FactStated{Incident: n, Code: "triaged", Known: h.book.Now, Certainty: "confirmed", Source: "person", By: 4})
	if c := clock("triaged"); c.State != incident.ClockLate || c.Met != h.book.Now {
		t.Errorf("met late: %+v", c)
	}
	if c := clock("recovered"); c.State != incident.ClockWaits {
		t.Errorf("recovery counts from what has not happened: %s", c.State)
	}
	at := func(code string, when sekisho.Time) {
		h.put(&sekisho.FactStated{Incident: n, Code: code, Happened: when, Known: when, Certainty: "confirmed", Source: "authority", By: 4})
	}
	at("aware_personal_data", h.book.Now)
	due := clock("subjects_notified").Due
	began := h.book.Now + 10*hour
	h.book.Now = began + 5*hour
	at("hold_began", began)
	if c := clock("subjects_notified"); c.State != incident.ClockPaused || c.Paused != 5*time.Hour {
		t.Errorf("asked to wait: %+v", c)
	}
	h.book.Now = began + 20*hour
	at("hold_ended", began+20*hour)
	if c := clock("subjects_notified"); c.State != incident.ClockRuns || c.Due != due+20*hour {
		t.Errorf("after 20 hours of waiting it ends %v later", time.Duration(c.Due-due)*time.Microsecond)
	}
	if c := clock("regulator_prelim"); c.Paused != 0 {
		t.Error("the regulator's clock stands still")
	}
}

// A decision comes up while its conditions hold, and goes once it is made.
func TestTheNextDecision(t *testing.T) {
	m, h := shipped(t), newHouse()
	n := h.notice(h.book.Now)
	next := func() string {
		if list := m.Next(h.cases.Get(n), incident.Situation{}); len(list) > 0 {
			return list[0].Key
		}
		return "none"
	}
	for _, step := range []struct {
		do   sekisho.Body
		want string
	}{
		{nil, "take_on"},
		{&sekisho.Acknowledged{Incident: n, About: n, By: 4}, "command"},
		{&sekisho.RoleChanged{Incident: n, Role: "incident_commander", Action: "taken", Person: 4, By: 4}, "triage"},
		{&sekisho.PlaybookChosen{Incident: n, Name: "malware"}, "contain"},
		{&sekisho.DecisionMade{Incident: n, Code: "contain", Options: []uint32{1, 2}, By: 4}, "executive"},
		{&sekisho.RoleChanged{Incident: n, Role: "executive", Action: "taken", Person: 9, By: 4}, "personal_data"},
		{&sekisho.RoleChanged{Incident: n, Role: "incident_commander", Action: "relinquished", Person: 4, By: 4}, "command"},
	} {
		if step.do != nil {
			h.put(step.do)
		}
		if got := next(); got != step.want {
			t.Errorf("after %T the next is %s, want %s", step.do, got, step.want)
		}
	}
}

// Tasks begin with the fact that they count from, and the text that was in force
// stays theirs.
func TestTasksOfAPlaybook(t *testing.T) {
	m, h := shipped(t), newHouse()
	n := h.notice(h.book.Now)
	book, _ := m.Playbook("malware")
	h.put(&sekisho.PlaybookChosen{Incident: n, Name: book.Name, Edition: book.Edition, SHA256: book.SHA256, By: 4})
	find := func(chosen *sekisho.PlaybookChosen) *incident.Playbook {
		if chosen.SHA256 == book.SHA256 {
			return book
		}
		return nil
	}
	state := func(key string) incident.Task {
		list, missed := h.cases.Get(n).Tasks(h.book.Now, find)
		for _, task := range list {
			if task.ID == key && missed == 0 {
				return task
			}
		}
		t.Fatalf("no task %s (%d missed)", key, missed)
		return incident.Task{}
	}
	if s := state("malware/keep_running"); s.State != incident.Open || s.Due == 0 {
		t.Errorf("%+v", s)
	}
	if s := state("malware/share"); s.State != incident.Waiting || s.Due != 0 {
		t.Errorf("nothing is cut yet, and %+v", s)
	}
	h.book.Now += hour
	if s := state("malware/keep_running"); s.State != incident.Overdue {
		t.Errorf("after an hour: %s", s.State)
	}
	h.put(&sekisho.TaskChanged{Incident: n, Task: "malware/keep_running", Action: "done", By: 7})
	if s := state("malware/keep_running"); s.State != incident.Done || s.By != 7 || s.Left() {
		t.Errorf("done: %+v", s)
	}
	h.put(&sekisho.TaskChanged{Incident: n, Task: "malware/keep_running", Action: "reopened", Said: 2, By: 7})
	if s := state("malware/keep_running"); s.State != incident.Overdue {
		t.Errorf("reopened: %s", s.State)
	}
	own := h.put(&sekisho.TaskChanged{Incident: n, Action: "added", Said: 5, Person: 8, Due: h.book.Now + hour, By: 7})
	list, _ := h.cases.Get(n).Tasks(h.book.Now, find)
	if last := list[len(list)-1]; last.Entry != own || last.Person != 8 || last.State != incident.Open {
		t.Errorf("added by hand: %+v", last)
	}
	if _, missed := h.cases.Get(n).Tasks(h.book.Now, func(*sekisho.PlaybookChosen) *incident.Playbook { return nil }); missed != 1 {
		t.Errorf("a playbook without its text is missed %d times", missed)
	}
}

// A company's own manual and playbooks take the place of the shipped ones, and
// a mistake in them is named.
func TestTheCompanysOwnManual(t *testing.T) {
	m := shipped(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	books := filepath.Dir(write("books/ours.yaml", `name: ours
edition: "7"
effective: "2026-10-01"
sources: [the works council]
say: {en: Ours, ja: 当社}
when: {en: always, ja: 常に}
tasks:
  - {key: call, role: executive, within: 2h, say: {en: Call, ja: 電話}, how: {en: By telephone, ja: 電話で}}
`))
	own, err := incident.Read(incident.Config{Playbooks: books, Roster: map[string][]string{"executive": {"yamada"}}, Manual: write("manual.yaml", strings.Replace(string(m.Text), `edition: "2026-1"`, `edition: "ours-3"`, 1))})
	if err != nil {
		t.Fatal(err)
	}
	if len(own.Playbooks) != 1 || own.Edition != "ours-3" || own.Playbooks[0].Tasks[0].Within != 2*time.Hour {
		t.Errorf("%+v", own.Playbooks)
	}
	for _, c := range []struct{ from, to, want string }{
		{"after: 12h }", "after: 36h }", "the last rung must be an executive, within 24h"},
		{"owner: response_lead, say: { en: \"First cut\"", "owner: nobody, say: { en: \"First cut\"", `"nobody" is no role`},
		{"from: detected, within: 8h", "from: dawn, within: 8h", `"dawn" is neither`},
		{"roles:", "rolls:", "rolls"},
		{"when: [\"raised\"]", "when: [\"asked\"]", `"asked" is not understood`},
		{"payment: 4", "payment: 0", "categories: payment is missing"},
		{`ja: "終結するか"`, `ja: ""`, "both languages"},
	} {
		if !strings.Contains(string(m.Text), c.from) {
			t.Fatalf("the manual has no %q any more", c.from)
		}
		_, err := incident.Read(incident.Config{Manual: write("wrong.yaml", strings.Replace(string(m.Text), c.from, c.to, 1))})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.to, err, c.want)
		}
	}
	if _, err := incident.Read(incident.Config{Roster: map[string][]string{"boss": {"yamada"}}}); err == nil || !strings.Contains(err.Error(), `"boss" is no role`) {
		t.Errorf("a roster for no role: %v", err)
	}
}

// Whatever stands in a file: an error, never a crash, and what is taken is whole.
func FuzzReadPlaybook(f *testing.F) {
	m, err := incident.Read(incident.Config{})
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range m.Playbooks {
		f.Add(p.Text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := incident.ReadPlaybook(text)
		if err != nil {
			return
		}
		for _, task := range p.Tasks {
			if task.Key == "" || task.After == "" || task.Within < 0 || task.Say.En == "" || task.Say.Ja == "" {
				t.Errorf("%+v", task)
			}
		}
	})
}
