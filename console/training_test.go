package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"sekisho"
	"sekisho/duty"
)

// A link lets one person in, once, for a while; a name that nobody has gets the
// same answer and no mail.
func TestSigningInAtTheEmployeesDoor(t *testing.T) {
	s := newStaffHouse(t)
	s.hire("sato")
	to := "sato@example.jp"
	known, unknown := s.at("en").post("/signin", url.Values{"name": {"sato"}}), s.at("en").post("/signin", url.Values{"name": {"nobody"}})
	if known.status != 200 || known.body != unknown.body || len(known.header) != len(unknown.header) {
		t.Errorf("a known name's answer differs from an unknown one's: %d %d\n%s\n%s", known.status, unknown.status, known.body, unknown.body)
	}
	s.until("a link", func() bool { return s.relay.count(to) == 1 })
	path, token := s.relay.link(to)
	b := s.at("en")
	for range 3 { // as mail scanners do
		if a := b.get(path); a.status != 200 || len(a.header.Values("Set-Cookie")) != 0 || a.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("opening the link: %d %v", a.status, a.header)
		}
	}
	r := b.request("POST", "/in", strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if a := b.do(r); a.status != http.StatusForbidden {
		t.Errorf("another site's form: %d", a.status)
	}
	if a := b.post("/in", url.Values{"token": {token}, "next": {"//evil.example"}}); a.status != http.StatusSeeOther || a.header.Get("Location") != "/my" {
		t.Errorf("using the link: %d %v", a.status, a.header)
	} else if c := a.header.Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") {
		t.Errorf("the cookie is %s", c)
	}
	if a := s.at("en").post("/in", url.Values{"token": {token}}); a.status != http.StatusUnauthorized {
		t.Errorf("using it twice: %d", a.status)
	}
	// By address, too; and not more than three in a quarter of an hour.
	for range 5 {
		s.at("en").post("/signin", url.Values{"name": {" SATO@example.jp "}})
	}
	s.until("three links", func() bool { return s.relay.count(to) == 3 })
	s.clock.pass(16 * time.Minute)
	_, old := s.relay.link(to)
	if a := s.at("en").post("/in", url.Values{"token": {old}}); a.status != http.StatusUnauthorized {
		t.Errorf("a link of a quarter of an hour ago: %d", a.status)
	}
	s.at("en").post("/signin", url.Values{"name": {"sato"}})
	s.until("a fourth link", func() bool { return s.relay.count(to) == 4 })
	if a := b.get("/my"); a.status != 200 {
		t.Errorf("the stay: %d", a.status)
	}
	s.clock.pass(2 * time.Hour)
	if a := b.get("/my"); a.status != http.StatusUnauthorized {
		t.Errorf("a stay of two quiet hours: %d", a.status)
	}
	if strings.Contains(s.logged.String(), token) {
		t.Error("the log has a link")
	}
}

// Whoever has something to do is written to once at each stage; whoever leads
// them is told once, of all of them.
func TestRemindersAndEscalation(t *testing.T) {
	s := newStaffHouse(t)
	s.school.Config.Heads, s.school.Config.PerSecond = []string{"director"}, 1000
	s.hire("sato", "suzuki", "head tanaka")
	plan := s.assign("suspicious-mail", 30)
	ctx := context.Background()
	send := func() {
		t.Helper()
		for {
			n, err := s.door.remindOnce(ctx)
			must(t, err)
			if n == 0 {
				return
			}
		}
	}
	total := func() (n int) {
		for _, name := range []string{"sato", "suzuki", "tanaka"} {
			n += s.relay.count(name + "@example.jp")
		}
		return n
	}
	for _, step := range []struct {
		pass time.Duration
		want int
		why  string
	}{
		{0, 3, "assigned"},
		{24 * time.Hour, 3, "nothing new"},
		{16 * 24 * time.Hour, 6, "two weeks before"},
		{11 * 24 * time.Hour, 9, "three days before"},
		{4 * 24 * time.Hour, 12, "overdue"},
	} {
		s.clock.pass(step.pass)
		send()
		send()
		if got := total(); got != step.want {
			t.Errorf("%s: %d letters in all, want %d", step.why, got, step.want)
		}
	}
	must(t, s.school.Change(ctx, sekisho.TrainingChanged{Plan: plan, Action: "excused", People: []uint32{s.staff("tanaka")}, By: s.staff("admin")}, "on leave"))
	s.clock.pass(7 * 24 * time.Hour)
	send()
	if got := total(); got != 13 {
		t.Errorf("escalated: %d letters in all, want 13", got)
	}
	s.relay.mu.Lock()
	letters := s.relay.letters["tanaka@example.jp"]
	s.relay.mu.Unlock()
	if last := letters[len(letters)-1]; !strings.Contains(last, "- Sato") || !strings.Contains(last, "- Suzuki") {
		t.Errorf("the letter to the head:\n%s", last)
	}
}

// Training is planned at the console after a dry run, and its figures say what
// they are made of; another system's completions are taken over by token.
func TestTrainingAtTheConsole(t *testing.T) {
	s := newStaffHouse(t)
	s.console.cfg.School, s.console.cfg.ImportToken = s.school, "0123456789abcdef"
	s.school.Config.Import = duty.TrainingImport{System: "lms"}
	s.hire("sato", "suzuki", "exec tanaka")
	b := s.signedIn("en")
	due := s.clock.now().AddDate(0, 0, 30).Format(time.DateOnly)
	before := s.ledger.Last()
	form := url.Values{"course": {"suspicious-mail 2026-11"}, "whom": {"all"}, "due": {due}, "joiners": {"30"}}
	if a := b.post("/training", form); a.status != 200 || !strings.Contains(a.body, "for 3 people") || strings.Contains(s.since(before), "TrainingPlanned") {
		t.Fatalf("the dry run: %d\n%s", a.status, a.body)
	}
	form.Set("go", "yes")
	a := b.post("/training", form)
	plan := strings.TrimPrefix(a.header.Get("Location"), "/training/")
	if a.status != http.StatusSeeOther || plan == "" {
		t.Fatalf("planning: %d\n%s", a.status, a.body)
	}
	for _, page := range []string{"/training", "/training/" + plan, "/training/" + plan + "?show=open"} {
		for _, lang := range languages {
			if a := s.signedIn(lang).get(page); a.status != 200 || !strings.Contains(a.body, "0 %") && !strings.Contains(a.body, "0%") {
				t.Errorf("%s in %s: %d\n%s", page, lang, a.status, a.body)
			}
		}
	}
	day := s.clock.now().Format(time.RFC3339)
	post := func(token, body string) answer {
		r := s.stranger("en").request("POST", "/training/completions", strings.NewReader(body))
		r.Header.Set("Content-Type", "text/csv")
		r.Header.Set("Authorization", "Bearer "+token)
		return s.stranger("en").do(r)
	}
	csv := fmt.Sprintf("person,course,completed,score\nsato,suspicious-mail,%s,90\nnobody,suspicious-mail,%s,\ntanaka@example.jp,unheard-of,%s,\n", day, day, day)
	if a := post("wrong", csv); a.status != http.StatusUnauthorized {
		t.Errorf("another token: %d %s", a.status, a.body)
	}
	a = post("0123456789abcdef", csv)
	for _, want := range []string{`"taken": 1`, `"line": 3`, `"person"`, `"line": 4`, `"course"`} {
		if a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("the answer lacks %s: %d %s", want, a.status, a.body)
		}
	}
	if a := post("0123456789abcdef", csv); !strings.Contains(a.body, `"known": 1`) || !strings.Contains(a.body, `"taken": 0`) {
		t.Errorf("the same again: %s", a.body)
	}
	if a := b.get("/training/" + plan); !strings.Contains(a.body, "1 of 3; unknown 0") || !strings.Contains(a.body, "0 of 1; unknown 0") {
		t.Errorf("the figures:\n%s", a.body)
	}
	// Later, the rest has missed it, and makes up for it; who joins is assigned.
	s.hire("kato")
	must(t, s.school.Tend(context.Background()))
	if a := b.get("/training/" + plan); !strings.Contains(a.body, "1 of 4; unknown 0") {
		t.Errorf("after somebody joined:\n%s", a.body)
	}
	s.clock.pass(90 * 24 * time.Hour)
	s.settle()
	again := s.signedIn("en") // the first stay is over
	form = url.Values{"course": {"suspicious-mail 2026-11"}, "whom": {"makeup/" + plan}, "due": {s.clock.now().AddDate(0, 0, 9).Format(time.DateOnly)}}
	if a := again.post("/training", form); a.status != 200 || !strings.Contains(a.body, "for 3 people") {
		t.Errorf("the make-up: %d\n%s", a.status, a.body)
	}
}

// The door on a telephone of 360 pixels, without JavaScript: nothing is wider
// than the screen, and the whole way can be gone by touch.
func TestTheEmployeesDoorOnATelephone(t *testing.T) {
	s := newStaffHouse(t)
	s.hire("sato", "suzuki")
	plan := s.assign("suspicious-mail", 30)
	ctx := chrome(t)
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	must(t, err)
	for lang, name := range map[string]string{"ja": "sato", "en": "suzuki"} {
		must(t, chromedp.Do(ctx, chromedp.EmulateViewport(360, 740)))
		open := func(path, what string) {
			t.Helper()
			must(t, chromedp.Do(ctx, chromedp.Navigate(s.server.URL+path), chromedp.WaitReady(chromedp.CSS("main"))))
			fits(t, ctx, "staff-"+what, lang, 360)
		}
		open("/my?lang="+lang, "signin")
		must(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("input[name=name]"), name), chromedp.Submit(chromedp.CSS("main form")), chromedp.WaitReady(chromedp.CSS(".good"))))
		fits(t, ctx, "staff-sent", lang, 360)
		s.until("a link", func() bool { return s.relay.count(name+"@example.jp") > 0 })
		path, _ := s.relay.link(name + "@example.jp")
		open(path, "link")
		must(t, chromedp.Do(ctx, chromedp.Submit(chromedp.CSS("main form")), chromedp.WaitReady(chromedp.CSS(".mine"))))
		fits(t, ctx, "staff-my", lang, 360)
		at := fmt.Sprintf("/my/training/%d", plan)
		open(at, "course")
		must(t, chromedp.Do(ctx, chromedp.Submit(chromedp.CSS("main form")), chromedp.WaitReady(chromedp.CSS(".reading"))))
		fits(t, ctx, "staff-page", lang, 360)
		open(at+"/pages/2", "page2")
		open(at+"/questions", "wait")
		s.clock.pass(5 * time.Minute)
		open(at+"/questions", "questions")
		for key, values := range s.right(plan, name, 0) {
			for _, v := range values {
				must(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(fmt.Sprintf("input[name=%s][value='%s']", key, v)))))
			}
		}
		must(t, chromedp.Do(ctx, chromedp.Submit(chromedp.CSS("main form")), chromedp.WaitReady(chromedp.CSS("main .good"))))
		fits(t, ctx, "staff-result", lang, 360)
		must(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS("main a.go")), chromedp.WaitReady(chromedp.CSS(".certificate"))))
		fits(t, ctx, "staff-certificate", lang, 360)
		must(t, chromedp.Do(ctx, chromedp.Submit(chromedp.CSS("form.who")), chromedp.WaitReady(chromedp.CSS("input[name=name]"))))
	}
}
