package duty

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
)

// A person's completions make the duty of two trainings a year go from missing
// to met to lapsed: two distinct courses, and next year anew.
func TestCompletionsMeetTheDutyAndLapse(t *testing.T) {
	h := newBook(t, staff(1))
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	d := h.b.Register().Duty("M3a")
	status := func(now string) Status { return h.b.Judge(d, day(now))[0].status[0] }
	completed := func(at, when, course, source string) uint64 {
		return h.write(at, &sekisho.TrainingCompleted{Person: 1, Course: course, Source: source, When: sekisho.Time(day(when)), By: 9})
	}
	completed("2026-05-10", "2026-05-10", "suspicious-mail", "door")
	completed("2026-08-20", "2026-08-20", "suspicious-mail", "door")
	if got := status("2026-08-21"); got != Open {
		t.Errorf("one course twice: %v, want %v", got, Open)
	}
	// Somebody's word about the second: it does not count before a second person's.
	declared := completed("2026-12-01", "2026-11-20", "export-control", "declared")
	if got := status("2026-12-02"); got == Met {
		t.Error("a declared completion counts before anybody has countersigned")
	}
	h.write("2026-12-03", &sekisho.TrainingJudged{Completions: []uint64{declared}, Action: "countersigned", By: 9})
	if got := status("2026-12-04"); got == Met {
		t.Error("who brought a completion countersigned it")
	}
	h.write("2026-12-05", &sekisho.TrainingJudged{Completions: []uint64{declared}, Action: "countersigned", By: 8})
	if got := status("2026-12-06"); got != Met {
		t.Errorf("after the second person: %v", got)
	}
	h.write("2026-12-07", &sekisho.TrainingJudged{Completions: []uint64{declared}, Action: "withdrawn", By: 8})
	if got := status("2026-12-08"); got == Met {
		t.Error("a completion that was withdrawn still counts")
	}
	completed("2026-12-10", "2026-12-10", "customer-data", "import")
	if got := status("2026-12-11"); got != Met {
		t.Errorf("with another distinct course: %v", got)
	}
	if list := h.b.Judge(d, day("2028-04-02")); list[1].status[0] != Missed {
		t.Errorf("the next year, without any: %v", list[1].status[0])
	}
}

// A plan's people, from assigned to done, failed, missed and made up for.
func TestSharesOfAPlan(t *testing.T) {
	v, seq := NewTraining(), uint64(0)
	at := func(when string, body sekisho.Body) uint64 {
		seq++
		v.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: sekisho.Time(day(when)), Body: body})
		return seq
	}
	course := at("2026-04-01", &sekisho.CourseRead{Course: "mail", Edition: "1", Attempts: 1, Draw: 1, Pass: 50})
	plan := at("2026-05-01", &sekisho.TrainingPlanned{Course: course, Whom: "all", From: sekisho.Time(day("2026-05-01")), Due: sekisho.Time(day("2026-06-01")), By: 9})
	at("2026-05-01", &sekisho.TrainingAssigned{Plan: plan, Why: "population", Due: sekisho.Time(day("2026-06-01")), People: []uint32{1, 2, 3, 4, 5}})
	begun := func(when string, person uint32, passed bool) {
		b := at(when, &sekisho.TrainingBegun{Plan: plan, Person: person, Attempt: 1, Questions: []uint64{0}})
		at(when, &sekisho.TrainingTried{Begun: b, Answers: []uint64{1}, Count: 1, Passed: passed})
		if passed {
			at(when, &sekisho.TrainingCompleted{Person: person, Course: "mail", Plan: plan, Begun: b, Source: "door", When: sekisho.Time(day(when)), By: person})
		}
	}
	begun("2026-05-10", 1, true)
	begun("2026-05-11", 2, false)
	begun("2026-06-10", 3, true)
	at("2026-06-11", &sekisho.TrainingChanged{Plan: plan, Action: "excused", People: []uint32{4}, By: 9})
	states := func(now string) string {
		var list []string
		v.Shares(v.Plan(plan), sekisho.Time(day(now)), func(s Share) { list = append(list, string(s.State)) })
		return strings.Join(list, " ")
	}
	if got, want := states("2026-06-12"), "done failed late excused missed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	at("2026-06-13", &sekisho.TrainingChanged{Plan: plan, Action: "again", People: []uint32{2}, By: 9})
	at("2026-06-13", &sekisho.TrainingChanged{Plan: plan, Action: "prolonged", Due: sekisho.Time(day("2026-07-01")), By: 9})
	if got, want := states("2026-06-14"), "done begun done excused open"; got != want {
		t.Errorf("after another chance: %s, want %s", got, want)
	}
}

// A plan of the programme has its days in each year, over the year's end too.
func TestProgrammeOverTheYearsEnd(t *testing.T) {
	l := Yearly{Course: "mail", From: "12-15", Due: "02-28"}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	from, due := l.in(2027, tokyo)
	if got := from.Format(time.DateOnly) + " " + due.Format(time.DateOnly); got != "2027-12-15 2028-02-29" {
		t.Errorf("from and up to: %s", got)
	}
	for _, wrong := range []Yearly{{Course: "mail", From: "02-29", Due: "03-01"}, {Course: "mail", From: "5-1", Due: "06-30"}, {Course: "../x", From: "05-01", Due: "06-30"}} {
		if wrong.check() == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}

// What another system's CSV holds, whatever wrote it.
func TestReadImport(t *testing.T) {
	lines, _, err := ReadImport(strings.NewReader("\ufeffPerson,Department,Course,Completed,Score\r\nsato,\"a,b\",mail,2026-05-01,90\r\n\"suzuki\",c,mail,2026/5/2,\r\nshort,line\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []ImportedLine{{"sato", "mail", "", "2026-05-01", "90"}, {"suzuki", "mail", "", "2026/5/2", ""}, {Person: "\x00"}}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	for text, want := range map[string]string{"": "line of names", "person,course\nsato,mail\n": `"completed"`, "person,course,completed\n\"sato,mail\n": "line 2"} {
		if _, _, err := ReadImport(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Whatever comes as CSV is read or refused, and no line is made up.
func FuzzReadImport(f *testing.F) {
	f.Add("person,course,completed\nsato,mail,2026-05-01\n")
	f.Add("\xef\xbb\xbfperson,course,completed,score\n\"a\nb\",c,d,e\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, _, err := ReadImport(strings.NewReader(text))
		if err == nil && len(lines) > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
			t.Errorf("%d lines of %q", len(lines), text)
		}
	})
}
