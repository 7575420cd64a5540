package duty

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sekisho"
)

// becomes says what became of each unit of a duty in the window that runs on a
// day, or, with ended, in the one before.
func (p *play) becomes(duty, date string, ended bool) string {
	d := p.b.Register().Duty(duty)
	list := p.b.Judge(d, day(date))
	j := list[len(list)-1]
	if ended {
		j = list[len(list)-2]
	}
	var got []string
	for _, s := range j.status {
		got = append(got, s.String())
	}
	return strings.Join(got, " ")
}

// Executives owe their attendance at meetings of the council that oversees risks:
// it counts once the minutes are signed by two, for whoever was there, and for
// its quarter alone. Who leaves the council owes nothing any more.
func TestExecutivesOverseeRisks(t *testing.T) {
	p := newPlay(t, companies())
	council := func(members ...uint32) sekisho.Body {
		return &sekisho.Registered{Noun: "council", Thing: 5, Action: "registered", Traits: []string{"oversight", "quorum_2"}, Members: members, By: 1}
	}
	p.put(council(1, 2, 3))
	step := func(date string, ended bool, want string) {
		t.Helper()
		if got := p.becomes("E1", date, ended); got != want {
			t.Errorf("on %s: %s, want %s", date, got, want)
		}
	}
	step("2026-04-10", false, "OPEN OPEN OPEN")
	meeting := p.whole("meeting", "2026-05-10", 5) // 1 and 2 were there, 3 was not
	step("2026-05-11", false, "UNKNOWN UNKNOWN OPEN")
	p.sign(meeting, 1, 2)
	step("2026-05-11", false, "MET MET OPEN")
	p.now = "2026-07-02"
	step("2026-07-02", true, "MET MET MISSED")
	step("2026-07-02", false, "OPEN OPEN OPEN")
	step("2026-10-02", true, "MISSED MISSED MISSED")
	p.on("2026-10-03", council(1, 2))
	step("2026-11-01", false, "OPEN OPEN")
}

// The CISO's report on each instrument counts for its half-year, once it is
// attached and two have signed.
func TestReports(t *testing.T) {
	p := newPlay(t, companies())
	iso := UnitOf("iso27001")
	of := func(date string, ended bool) Status {
		t.Helper()
		list := p.b.Judge(p.b.Register().Duty("E2"), day(date))
		j := list[len(list)-1]
		if ended {
			j = list[len(list)-2]
		}
		o, ok := p.b.Obligation(j, iso)
		if !ok || j.Total.Met+j.Total.Missed+j.Total.Open+j.Total.Unknown != 2 {
			t.Fatalf("on %s: %+v", date, j.Total)
		}
		return o.Status
	}
	for _, step := range []struct {
		date  string
		ended bool
		want  Status
		then  func()
	}{
		{"2026-05-01", false, Open, nil},
		{"2026-06-11", false, Unknown, func() { p.name["report"] = p.whole("report", "2026-06-10", iso.Ordinal) }},
		{"2026-06-11", false, Met, func() { p.sign(p.name["report"], 1, 2) }},
		{"2026-10-02", true, Met, nil},
		{"2026-10-02", false, Open, nil},
		{"2027-04-02", true, Missed, nil},
	} {
		if step.then != nil {
			if p.name == nil {
				p.name = map[string]uint64{}
			}
			step.then()
		}
		if got := of(step.date, step.ended); got != step.want {
			t.Errorf("on %s, ended %v: %s, want %s", step.date, step.ended, got, step.want)
		}
	}
}

// Every duty needs somebody who is responsible for it: whoever leaves the company,
// or whose time ends, leaves a gap.
func TestResponsibilitiesAreDivided(t *testing.T) {
	p := newPlay(t, companies())
	rows := p.b.Register().Instrument("policy").Duties
	figure := func(date string, num int64) {
		t.Helper()
		list := p.b.Judge(p.b.Register().Duty("P2b"), day(date))
		if f := list[len(list)-1].Total; f.Num != num || f.Den != int64(len(rows)) {
			t.Errorf("on %s: %+v, want %d", date, f, num)
		}
	}
	figure("2026-04-02", 0)
	post := func(d *Duty, person uint32, action, date string) sekisho.Body {
		return &sekisho.PostChanged{Post: "responsible", Space: d.Unit().Space, Unit: d.Unit().Ordinal, Person: person, Action: action, From: at(date), By: 9}
	}
	for n, d := range rows {
		p.on("2026-05-01", post(d, uint32(1+n%3), "appointed", "2026-05-01"))
	}
	all := int64(len(rows))
	figure("2026-05-02", all)
	p.on("2026-06-01", post(rows[0], 1, "ended", "2026-06-01"))
	figure("2026-06-02", all-1)
	p.on("2026-06-03", &sekisho.PersonChanged{Staff: 3, Action: "left", Effective: at("2026-06-03")})
	figure("2026-06-04", all-1-all/3)
}

// The budget is planned, decided and compared, each on the minutes of a meeting
// that count: a milestone that was written down before the minutes were signed
// counts from then on. The next year begins with none.
func TestContinuousInvestment(t *testing.T) {
	p := newPlay(t, companies())
	p.put(&sekisho.Registered{Noun: "council", Thing: 5, Action: "registered", Members: []uint32{1, 2, 3}, By: 1})
	money := func(date, step string, meeting uint64) {
		p.on(date, &sekisho.BudgetDecided{Year: 2026, Step: step, Amount: 120_000_000, Currency: "JPY", Meeting: meeting, At: at(date), By: 1})
	}
	step := func(date string, ended bool, want string) {
		t.Helper()
		if got := p.becomes("P7b", date, ended); got != want {
			t.Errorf("on %s: %s, want %s", date, got, want)
		}
	}
	step("2026-04-10", false, "OPEN OPEN OPEN")
	money("2026-04-20", "planned", 0) // one person's word
	step("2026-04-21", false, "UNKNOWN OPEN OPEN")
	meeting := p.whole("meeting", "2026-05-10", 5)
	money("2026-05-11", "planned", meeting)
	money("2026-05-11", "decided", meeting)
	step("2026-05-12", false, "UNKNOWN UNKNOWN OPEN")
	p.now = "2026-05-13"
	p.sign(meeting, 1, 2)
	step("2026-05-14", false, "MET MET OPEN")
	last := p.whole("meeting", "2027-03-10", 5)
	p.sign(last, 1, 2)
	money("2027-03-11", "spent", last)
	step("2027-03-12", false, "MET MET MET")
	step("2027-04-02", true, "MET MET MET")
	step("2027-04-02", false, "OPEN OPEN OPEN")
	step("2028-04-02", true, "MISSED MISSED MISSED")
}

// A session that reads customers counts as verified if its terminal has a
// certificate and was found good; a terminal of which nothing is known, or whose
// state is old, is unknown, and one with malware is wrong.
func TestTerminalsAreVerifiedAtEachAccess(t *testing.T) {
	p := newPlay(t, companies())
	posture := func(date string) {
		p.on(date, &sekisho.PostureSeen{Source: "mdm", Thing: 9, Endpoint: "pc-0417", At: at(date), Managed: "yes", Encrypted: "yes", Patched: "yes", Offsite: "yes", By: 1})
	}
	reads := func(date string, verified bool) {
		n := p.on(date, &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 7, Endpoint: "pc-0417", Verified: verified, Address: netip.MustParseAddr("10.1.2.3")})
		p.put(&sekisho.Access{Session: n, Number: 1, Purpose: 1})
		p.put(&sekisho.SessionClosed{Session: n})
	}
	month := func(date, want string) {
		t.Helper()
		list := p.b.Judge(p.b.Register().Duty("M1e"), day(date))
		f := list[len(list)-1].Total
		if got := fmt.Sprintf("%d/%d, %d unknown", f.Num, f.Den, f.Dark); got != want {
			t.Errorf("on %s: %s, want %s", date, got, want)
		}
	}
	month("2026-04-30", "0/0, 0 unknown")
	reads("2026-05-02", true)
	month("2026-05-03", "0/1, 1 unknown")
	posture("2026-05-31")
	reads("2026-06-01", true)
	reads("2026-06-02", true)
	month("2026-06-03", "2/2, 0 unknown")
	reads("2026-07-25", true) // what is known of it is old
	month("2026-07-26", "0/1, 1 unknown")
	posture("2026-08-01")
	reads("2026-08-02", false) // no certificate
	p.on("2026-08-03", &sekisho.Observation{Class: 2004, At: at("2026-08-03"), Endpoint: "pc-0417", Traits: []string{"malware"}})
	reads("2026-08-04", true)
	month("2026-08-05", "0/2, 0 unknown")
}
