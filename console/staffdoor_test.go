package console

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho"
	"sekisho/directory"
	"sekisho/duty"
	"sekisho/law"
	"sekisho/tell"
)

// A staffHouse is an employees' door over the house of a test and a real mail
// relay.
type staffHouse struct {
	*house
	door   *StaffDoor
	school *duty.School
	server *httptest.Server
	relay  *mailbox
	logged *bytes.Buffer
}

func newStaffHouse(t testing.TB, change ...func(*StaffConfig)) *staffHouse {
	t.Helper()
	s := &staffHouse{relay: &mailbox{letters: map[string][]string{}}, logged: &bytes.Buffer{}}
	relay := smtp.NewServer(s.relay)
	relay.Domain, relay.ErrorLog = "relay.example.jp", slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go relay.Serve(l)
	t.Cleanup(func() { relay.Close() })
	conf := StaffConfig{Listen: "127.0.0.1:0", Address: "http://127.0.0.1", From: "my@example.jp", Mail: tell.Relay{Server: l.Addr().String(), TLS: "none"}, PerSecond: 1000,
		Company: law.Words{EN: "Example Air", JA: "見本航空株式会社"}, Contact: law.Words{EN: "Training desk, extension 4242", JA: "研修事務局 内線4242"}, PerAddress: 10_000_000, InAll: 1_000_000, AtOnce: 1000}
	for _, f := range change {
		f(&conf)
	}
	must(t, conf.Check())
	log := slog.New(slog.NewTextHandler(s.logged, nil))
	s.house = newHouse(t)
	courses, err := duty.ReadCourses(duty.ShippedCourses())
	must(t, err)
	s.school = &duty.School{Courses: courses, Append: s.ledger.Append, Last: s.ledger.Last, Vault: s.vault, Views: s.views, Training: s.training, People: s.people, Now: s.clock.now, Zone: testZone, Log: log}
	must(t, s.school.Config.Check())
	_, err = s.school.ReadIn(context.Background())
	must(t, err)
	s.door, err = NewStaffDoor(conf, StaffSources{Append: s.ledger.Append, Last: s.ledger.Last, Vault: s.vault, Views: s.views, Links: s.links, People: s.people, School: s.school, Duty: s.duties, Secret: [32]byte{7},
		Name: "test", Zone: testZone, Now: s.clock.now, Log: log})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.door.Run(ctx) })
	s.server = httptest.NewServer(s.door.Handler())
	t.Cleanup(func() { s.server.Close(); stop(); running.Wait() })
	return s
}

// hire puts people into the directory, each with an address; "exec" in front of
// a name makes an executive.
func (s *staffHouse) hire(names ...string) {
	s.t.Helper()
	now := sekisho.At(s.clock.now())
	unit := func(key string) uint32 { return s.vault.Space("unit").OfText([]byte(key)) }
	bodies := []sekisho.Body{&sekisho.DirectoryRead{Source: "hr", Form: "csv", Whole: true},
		&sekisho.UnitChanged{Unit: unit("company/air"), Action: "opened", Is: "company", Title: s.vault.Space("said").OfText([]byte("Example Air")), Effective: now},
		&sekisho.UnitChanged{Unit: unit("department/air/desk"), Action: "opened", Is: "department", Parent: unit("company/air"), Title: s.vault.Space("said").OfText([]byte("Reservation desk")), Effective: now},
		&sekisho.UnitChanged{Unit: unit("post/director"), Action: "opened", Is: "post", Effective: now}}
	for _, name := range names {
		name, executive := strings.CutPrefix(name, "exec ")
		name, head := strings.CutPrefix(name, "head ")
		staff := s.staff(name)
		record := directory.Attributes{Staff: staff, Name: strings.ToUpper(name[:1]) + name[1:], Mail: name + "@example.jp", Language: "en"}
		p := &sekisho.PersonChanged{Read: s.ledger.Last() + 1, Staff: staff, Action: "joined", Effective: now, Joined: now, Employed: "employee", Executive: executive,
			Record: s.vault.Space("staff_record").OfText([]byte(record.Key())), Postings: []sekisho.PersonPosting{{Unit: unit("department/air/desk"), As: "main"}}}
		if head {
			p.Postings[0].Post = unit("post/director")
		}
		bodies = append(bodies, p)
	}
	s.append(bodies...)
}

// at is somebody with a browser at the door.
func (s *staffHouse) at(lang string) *browser {
	b := s.stranger(lang)
	b.at = s.server.URL
	return b
}

func (s *staffHouse) until(what string, so func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: it did not come to that", what)
		}
	}
}

var linkText = regexp.MustCompile(`http://127\.0\.0\.1(/in/([A-Z2-7]{26})(\?to=\S*)?)`)

// link is the latest link that went to an address: its path and its token.
func (m *mailbox) link(to string) (path, token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.letters[to]) - 1; i >= 0; i-- {
		if found := linkText.FindStringSubmatch(m.letters[to][i]); found != nil {
			return found[1], found[2]
		}
	}
	return "", ""
}

func (m *mailbox) count(to string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.letters[to])
}

// enters signs somebody in by the link in their mailbox.
func (s *staffHouse) enters(name, lang string) *browser {
	s.t.Helper()
	b, to := s.at(lang), name+"@example.jp"
	before := s.relay.count(to)
	if a := b.post("/signin", url.Values{"name": {name}}); a.status != http.StatusOK {
		s.t.Fatalf("asking for a link: %d\n%s", a.status, a.body)
	}
	s.until("a link", func() bool { return s.relay.count(to) > before })
	path, token := s.relay.link(to)
	if a := b.get(path); a.status != http.StatusOK || !strings.Contains(a.body, token) {
		s.t.Fatalf("opening the link: %d\n%s", a.status, a.body)
	}
	if a := b.post("/in", url.Values{"token": {token}, "next": {"/my"}}); a.status != http.StatusSeeOther {
		s.t.Fatalf("using the link: %d\n%s", a.status, a.body)
	}
	return b
}

// assign plans a course for all, due in so many days.
func (s *staffHouse) assign(course string, days int) uint64 {
	s.t.Helper()
	n, err := s.school.Plan(context.Background(), duty.Planning{Course: course, Whom: "all", Due: sekisho.At(s.clock.now().AddDate(0, 0, days)), By: s.staff("admin")})
	must(s.t, err)
	return n
}

// right is the form of right answers to the questions that were drawn; wrong
// makes so many of them false.
func (s *staffHouse) right(plan uint64, person string, wrong int) url.Values {
	s.t.Helper()
	sh, a, err := s.school.Open(plan, s.staff(person))
	must(s.t, err)
	c, err := s.school.Course(sh.Course)
	must(s.t, err)
	form := url.Values{"attest": {"yes"}}
	for i, q := range a.Body.Questions {
		set := c.Questions[q].Right()
		for n := range c.Questions[q].Options {
			if (set&(1<<n) != 0) != (i < wrong) {
				form.Add("q"+strconv.Itoa(i+1), strconv.Itoa(n))
			}
		}
	}
	return form
}

// A member of staff signs in by a mailed link, reads, answers, passes, and has a
// certificate; the completion stands in the ledger, and is a credit of theirs.
func TestAMemberOfStaffTakesACourse(t *testing.T) {
	s := newStaffHouse(t)
	s.hire("sato", "suzuki")
	plan := s.assign("suspicious-mail", 30)
	b := s.enters("sato", "ja")
	a := b.get("/my")
	if a.status != 200 || !strings.Contains(a.body, "なりすましメールを見抜く") || !strings.Contains(a.body, "未着手") || !strings.Contains(a.body, "Sato") {
		t.Fatalf("the first page: %d\n%s", a.status, a.body)
	}
	at := fmt.Sprintf("/my/training/%d", plan)
	if a := b.get(at); a.status != 200 || !strings.Contains(a.body, "正答率80%以上") {
		t.Errorf("the course before beginning: %d\n%s", a.status, a.body)
	}
	if a := b.get(at + "/pages/1"); a.status != http.StatusSeeOther {
		t.Errorf("a page before beginning: %d", a.status)
	}
	before := s.ledger.Last()
	if a := b.post(at+"/begin", nil); a.status != http.StatusSeeOther || a.header.Get("Location") != at+"/pages/1" {
		t.Fatalf("beginning: %d %v\n%s", a.status, a.header, a.body)
	}
	for n := 1; n <= 4; n++ {
		if a := b.get(fmt.Sprintf("%s/pages/%d", at, n)); a.status != 200 || !strings.Contains(a.body, "<article") {
			t.Errorf("page %d: %d\n%s", n, a.status, a.body)
		}
	}
	if a := b.get(at + "/questions"); a.status != 200 || strings.Contains(a.body, "<fieldset") || a.header.Get("Refresh") == "" {
		t.Errorf("the questions before their time: %d\n%s", a.status, a.body)
	}
	if a := b.post(at+"/questions", s.right(plan, "sato", 0)); a.status != http.StatusUnprocessableEntity {
		t.Errorf("answering before the time: %d\n%s", a.status, a.body)
	}
	s.clock.pass(5 * time.Minute)
	if a := b.get(at + "/questions"); a.status != 200 || strings.Count(a.body, "<fieldset") != 7 {
		t.Errorf("the questions: %d\n%s", a.status, a.body)
	}
	form := s.right(plan, "sato", 0)
	form.Del("attest")
	if a := b.post(at+"/questions", form); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "誓約") {
		t.Errorf("without the statement: %d\n%s", a.status, a.body)
	}
	if a := b.post(at+"/questions", s.right(plan, "sato", 4)); a.status != 200 || !strings.Contains(a.body, "残りの受験回数: 2") {
		t.Errorf("failing: %d\n%s", a.status, a.body)
	}
	b.post(at+"/begin", nil)
	s.clock.pass(5 * time.Minute)
	a = b.post(at+"/questions", s.right(plan, "sato", 0))
	if a.status != 200 || !strings.Contains(a.body, "合格です。正答率 100%") {
		t.Errorf("passing: %d\n%s", a.status, a.body)
	}
	if got, want := s.since(before), "TrainingBegun\nTrainingTried\nTrainingBegun\nTrainingTried\nTrainingCompleted"; got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}
	if a := b.post(at+"/questions", form); a.status != http.StatusSeeOther {
		t.Errorf("answering twice: %d", a.status)
	}
	certificate := regexp.MustCompile(`/my/certificates/[0-9]+`).FindString(b.get("/my").body)
	if a := b.get(certificate); a.status != 200 || !strings.Contains(a.body, "Sato") || !strings.Contains(a.body, "2014年9月22日") {
		t.Errorf("the certificate %q: %d\n%s", certificate, a.status, a.body)
	}
	var credits []duty.Credit
	s.views.Read(func() {
		credits = s.duties.Credits("training_completion", duty.Unit{Space: "staff", Ordinal: s.staff("sato")})
	})
	if len(credits) != 1 || credits[0].State != "" || credits[0].Item != "suspicious-mail" || credits[0].Value != 100 {
		t.Errorf("the credits are %+v", credits)
	}

	// What is sato's is nobody else's.
	other := s.enters("suzuki", "en")
	if a := other.get(certificate); a.status != http.StatusNotFound {
		t.Errorf("another's certificate: %d", a.status)
	}
	if a := other.get("/my"); strings.Contains(a.body, "Sato") || !strings.Contains(a.body, "not begun") {
		t.Errorf("another's page:\n%s", a.body)
	}
	for _, word := range []string{"sato", "suzuki", "/in/"} {
		if strings.Contains(s.logged.String(), word) {
			t.Errorf("the log has %q:\n%s", word, s.logged.String())
		}
	}
}
