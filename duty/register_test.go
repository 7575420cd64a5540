package duty

import (
	"net/netip"
	"slices"
	"testing"

	"sekisho"
)

func (p *play) on(date string, bodies ...sekisho.Body) (last uint64) {
	p.now = date
	for _, b := range bodies {
		last = p.put(b)
	}
	return last
}

func at(date string) sekisho.Time { return sekisho.Time(day(date)) }

// A membership and a certificate count from their first day to their last, once
// the paper is there.
func TestMembershipsAndCertificates(t *testing.T) {
	for _, c := range []struct{ duty, noun string }{{"B4", "membership"}, {"B6", "certificate"}} {
		p := newPlay(t, companies())
		line := p.on("2026-04-01", &sekisho.Registered{Noun: c.noun, Thing: 5, Action: "registered", From: at("2026-04-01"), Until: at("2028-04-01"), By: 1})
		d := p.b.Register().Duty(c.duty)
		figure := func(now string) Tally {
			list := p.b.Judge(d, day(now))
			return list[len(list)-1].Total
		}
		if f := figure("2026-05-01"); f.Num != 0 || f.Dark == 0 {
			t.Errorf("%s without its paper: %+v", c.duty, f)
		}
		p.on("2026-05-01", &sekisho.PaperAdded{About: line, What: "certificate", Document: 1, By: 1})
		if f := figure("2026-06-01"); f.Num == 0 || f.Num != f.Den {
			t.Errorf("%s with it: %+v", c.duty, f)
		}
		if f := figure("2028-06-01"); f.Num != 0 {
			t.Errorf("%s after its end: %+v", c.duty, f)
		}
	}
}

// A company without an administrator or a deputy has a vacancy; who leaves the
// company leaves the post.
func TestAdministratorsWithoutVacancy(t *testing.T) {
	p := newPlay(t, companies())
	post := func(person uint32, deputy bool) sekisho.Body {
		return &sekisho.PostChanged{Post: "administrator", Space: "unit", Unit: 1, Person: person, Deputy: deputy, Action: "appointed", From: at("2026-04-01"), By: 9}
	}
	d := p.b.Register().Duty("P2a")
	p.on("2026-04-01", post(1, false))
	filled := func(now string) (int64, int64) {
		list := p.b.Judge(d, day(now))
		f := list[len(list)-1].Total
		return f.Num, f.Den
	}
	if n, _ := filled("2026-06-01"); n != 0 {
		t.Errorf("without a deputy %d days are filled", n)
	}
	p.on("2026-04-02", post(2, true))
	n, den := filled("2026-06-01")
	if n != 62 || den != 124 { // one of two companies, the running day included
		t.Errorf("on the 62nd day: %d of %d", n, den)
	}
	if h := p.b.Checks().Holder("administrator", Unit{"unit", 1}, false, at("2026-06-01")); h != 1 {
		t.Errorf("the holder is %d", h)
	}
	p.on("2026-05-20", &sekisho.PersonChanged{Staff: 1, Action: "left", Effective: at("2026-05-11")})
	if n, _ := filled("2026-06-01"); n != 40 {
		t.Errorf("after the holder left on the 41st day, %d days are filled", n)
	}
	if h := p.b.Checks().Holder("administrator", Unit{"unit", 1}, false, at("2026-06-01")); h != 0 {
		t.Errorf("the post is held by %d", h)
	}
}

// A public server has to be scanned and tested; a scan whose findings do not
// all stand in the ledger proves nothing.
func TestServers(t *testing.T) {
	p := newPlay(t, companies())
	p.on("2026-04-01", &sekisho.Registered{Noun: "server", Thing: 5, Action: "registered", Traits: []string{"public"}, By: 1},
		&sekisho.Registered{Noun: "server", Thing: 6, Action: "registered", By: 1}) // the public does not reach it
	p.want("M1c", "2026-04-02", "MISSED")
	test := p.whole("pentest", "2026-04-02", 5)
	p.sign(test, 1, 2)
	p.want("M1c", "2026-04-03", "MISSED")
	scan := p.on("2026-04-03", &sekisho.ScanRead{Tool: "nmap", At: at("2026-04-03"), Servers: []uint32{5}, Results: 1, Fresh: 1, By: 1})
	p.want("M1c", "2026-04-04", "MISSED")
	p.on("2026-04-03", &sekisho.FindingRaised{Check: scan, Space: "thing", Unit: 5, Grade: "critical", Code: "CVE-2014-0160", Ref: [32]byte{1}, Due: at("2026-04-10"), By: 1})
	p.want("M1c", "2026-04-04", "MET")
	p.want("M1c", "2026-05-10", "MISSED") // 31 days are over
	if f := p.b.Checks().Known([32]byte{1}); f == nil || f.State(at("2026-04-11")) != "overdue" {
		t.Errorf("the critical one after a week: %+v", f)
	}
}

// A correction is closed by somebody who did not make it; a lesson of an
// incident shows with time whether it holds.
func TestCorrections(t *testing.T) {
	p := newPlay(t, companies())
	f := p.on("2026-05-01", &sekisho.FindingRaised{Space: "unit", Unit: 1, Grade: "high", Owner: 3, Due: at("2026-05-20"), By: 1})
	act := func(date, action string, by uint32) string {
		p.on(date, &sekisho.ActionChanged{Finding: f, Action: action, By: by, Due: at("2026-12-01")})
		return p.b.Checks().Finding(f).State(at(date))
	}
	for _, c := range []struct {
		date, action string
		by           uint32
		want         string
	}{
		{"2026-05-10", "done", 3, "done"},
		{"2026-05-11", "verified", 3, "done"}, // not by its owner
		{"2026-05-12", "reopened", 1, "open"},
		{"2026-05-25", "done", 2, "done"},
		{"2026-05-26", "verified", 2, "done"}, // nor by who made it
		{"2026-05-27", "verified", 1, "closed"},
	} {
		if got := act(c.date, c.action, c.by); got != c.want {
			t.Errorf("%s by %d: %s, want %s", c.action, c.by, got, c.want)
		}
	}
	if !p.b.Checks().Finding(f).Late() {
		t.Error("put right five days late, and nobody says so")
	}

	lesson := p.on("2026-06-01", &sekisho.LessonNoted{Incident: 7, Action: "learned", Person: 3, Due: at("2026-07-01"), By: 1})
	p.want("P8d", "2026-06-02", "OPEN")
	p.on("2026-06-20", &sekisho.LessonNoted{Incident: 7, Lesson: lesson, Action: "done", By: 3})
	p.want("P8d", "2026-09-01", "OPEN")
	if d := p.b.Checks().Finding(lesson).Recheck(); d != at("2026-09-18") {
		t.Errorf("the re-check is due on %v", d)
	}
	p.on("2026-09-20", &sekisho.ActionChanged{Finding: lesson, Action: "verified", By: 1})
	p.want("P8d", "2026-09-21", "MET")
	other := p.on("2026-10-01", &sekisho.LessonNoted{Incident: 7, Action: "learned", Person: 3, Due: at("2026-10-10"), By: 1})
	p.on("2026-10-05", &sekisho.LessonNoted{Incident: 7, Lesson: other, Action: "done", By: 3})
	p.want("P8d", "2027-03-01", "MET MISSED") // nobody looked
}

// Evaluations count once a second person confirms them.
func TestEvaluations(t *testing.T) {
	p := newPlay(t, companies())
	p.want("M4", "2026-05-01", "OPEN OPEN OPEN")
	for person := range uint32(3) {
		p.on("2026-05-02", &sekisho.Evaluated{Person: person + 1, Year: 2026, At: at("2026-05-02"), By: 1})
	}
	p.want("M4", "2026-05-03", "UNKNOWN UNKNOWN UNKNOWN")
	p.on("2026-05-03", &sekisho.EvaluationConfirmed{Year: 2026, Count: 3, By: 1}) // the same person
	p.want("M4", "2026-05-04", "UNKNOWN UNKNOWN UNKNOWN")
	p.on("2026-05-04", &sekisho.EvaluationConfirmed{Year: 2026, Count: 3, By: 2})
	p.want("M4", "2026-05-05", "MET MET MET")
	p.want("M4", "2027-04-02", "OPEN OPEN OPEN")
}

// Sessions from outside the house need a permit for their person and terminal.
func TestOffsite(t *testing.T) {
	p := newPlay(t, companies())
	d := p.b.Register().Duty("M1d")
	open := func(address string) {
		p.put(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 7, Endpoint: "pc-0417", Verified: true, Address: netip.MustParseAddr(address)})
	}
	figure := func(now string) Tally {
		list := p.b.Judge(d, day(now))
		return list[len(list)-1].Total
	}
	p.now = "2026-05-01"
	open("10.1.2.3")
	if f := figure("2026-05-02"); f.Den != 0 {
		t.Errorf("a session inside: %+v", f)
	}
	open("198.51.100.7")
	if f := figure("2026-05-02"); f.Num != 0 || f.Den != 1 {
		t.Errorf("one from outside: %+v", f)
	}
	permit := p.on("2026-05-02", &sekisho.OffsiteDecided{Action: "asked", Person: 7, Endpoint: "pc-0417", Categories: sekisho.Contact, From: at("2026-05-02"), Until: at("2026-06-02"), By: 7})
	p.put(&sekisho.OffsiteDecided{Permit: permit, Action: "approved", By: 7}) // nobody permits themselves
	open("198.51.100.7")
	p.put(&sekisho.OffsiteDecided{Permit: permit, Action: "approved", By: 1})
	open("198.51.100.7")
	if f := figure("2026-05-03"); f.Num != 1 || f.Den != 3 {
		t.Errorf("with a permit: %+v", f)
	}
	p.now = "2026-06-03"
	open("198.51.100.7")
	if f := figure("2026-06-04"); f.Num != 0 || f.Den != 1 { // of another month
		t.Errorf("after its end: %+v", f)
	}
}

// Terminals of which nothing is known, or nothing new, are no trusted ones.
func TestPostures(t *testing.T) {
	p := newPlay(t, companies())
	seen := func(date, patched string) {
		p.on(date, &sekisho.PostureSeen{Source: "mdm", Thing: 9, Endpoint: "pc-0417", At: at(date), Managed: "yes", Encrypted: "yes", Patched: patched, Offsite: "yes", By: 1})
	}
	state := func(now string) string {
		all := p.b.Checks().Terminals()
		return all[0].State(at(now))
	}
	p.on("2026-05-01", &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 7, Endpoint: "pc-0417", Verified: true, Address: netip.MustParseAddr("10.1.2.3")})
	if s := state("2026-05-01"); s != "unknown" {
		t.Error(s)
	}
	seen("2026-05-01", "no")
	if s := state("2026-05-02"); s != "unpatched" {
		t.Error(s)
	}
	seen("2026-05-03", "yes")
	if s := state("2026-05-04"); s != "good" {
		t.Error(s)
	}
	p.on("2026-05-05", &sekisho.Observation{Class: 2004, At: at("2026-05-05"), Endpoint: "pc-0417", Traits: []string{"malware"}})
	if s := state("2026-05-06"); s != "malware" {
		t.Error(s)
	}
	seen("2026-05-07", "yes")
	if s := state("2026-06-20"); s != "stale" {
		t.Error(s)
	}
}

// Services are told from logs of names; what cannot be read is counted.
func TestNames(t *testing.T) {
	log := "#fields\tts\tid.orig_h\tserver_name\n1411300000.5\t10.1.4.17\tfiles.example-drive.com\n1411300060\t10.1.4.18\twww.example-drive.com\n" +
		"1411386400\t10.1.4.17\tFiles.Example-Drive.com.\n1411300000\t10.1.4.17\tmail.example.co.jp\n1411300000\tnowhere\tx.example.com\n1411300000\t10.1.4.17\t-\n"
	n, err := ReadNames([]byte(log), func(a netip.Addr, _ sekisho.Time) string {
		if a == netip.MustParseAddr("10.1.4.17") {
			return "pc-0417"
		}
		return ""
	})
	if err != nil || n.Lines != 6 || n.Rejected != 1 || len(n.Services) != 3 {
		t.Fatalf("%+v, %v", n, err)
	}
	first := n.Services[0]
	if first.Domain != "example-drive.com" || first.Machines != 2 || first.Times != 2 || !slices.Equal(first.Endpoints, []string{"10.1.4.18", "pc-0417"}) {
		t.Errorf("%+v", first)
	}
	if d := n.Services[2].Domain; d != "example.co.jp" {
		t.Errorf("the Japanese one is %s", d)
	}
	if _, err := ReadNames([]byte("hello\n"), nil); err == nil {
		t.Error("a text is no log")
	}
}

func FuzzReadNames(f *testing.F) {
	f.Add([]byte("#fields\tts\tid.orig_h\tquery\n1411300000\t10.1.4.17\twww.example.com\n"))
	f.Add([]byte(`{"ts":1411300000,"id.orig_h":"10.1.4.17","server_name":"www.example.com"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := ReadNames(b, nil); err == nil && n.Rejected > n.Lines {
			t.Errorf("%+v", n)
		}
	})
}

func FuzzReadScan(f *testing.F) {
	f.Add([]byte("host,code,severity\n198.51.100.10,CVE-2014-0160,9.8\n"))
	f.Add([]byte(`{"version":"2.1.0","runs":[{"results":[{"ruleId":"x","locations":[{"physicalLocation":{"artifactLocation":{"uri":"https://a.example/x"}}}]}]}]}`))
	f.Add([]byte(`<nmaprun><host><status state="up"/><address addr="198.51.100.10" addrtype="ipv4"/></host><runstats><finished time="1411300100"/></runstats></nmaprun>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadScan(b)
		if err != nil {
			return
		}
		for _, r := range s.Results {
			if len(r.Code) > 80 || gradeOf(r.Grade) < 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func gradeOf(grade string) int {
	return slices.Index([]string{"critical", "high", "medium", "low", "remark"}, grade)
}
