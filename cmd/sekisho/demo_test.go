package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/console"
	"sekisho/demo"
)

// TestDemoAnswers: while the demo is up, the commands reach both of its
// houses, the live one and the drill's, and all that stands around it works.
func TestDemoAnswers(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o711)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, dir: dir}
	name := filepath.Join(dir, "sekisho") // the test program is the command when it is called by its name
	os.Symlink(self, name)
	cmd := exec.Command(name, "demo", "--members", "3000", "--dir", filepath.Join(dir, "var"))
	cmd.Stderr = &r.said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewReader(out)
	psql, member := "", ""
	var told strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("before it was up: %v\n%s", err, r.said.String())
		}
		told.WriteString(line)
		if at := strings.TrimSpace(line); strings.HasPrefix(at, "PGPASSFILE=") {
			psql = at
		} else if _, no, ok := strings.Cut(at, "where member_no = "); ok {
			member = strings.TrimSuffix(no, ";")
		}
		if strings.HasPrefix(line, "Ctrl-C ends everything") {
			break
		}
	}
	go io.Copy(io.Discard, lines)

	// Where to look, how to sign in and a ready line for psql stand last.
	if at := strings.Index(told.String(), "\nRead a customer"); at < 0 || strings.Contains(told.String()[at:], "incidents/") ||
		!regexp.MustCompile(`http://127\.0\.0\.1:\d+\n\(sign in as admin / \S+\):\n\n  PGPASSFILE=\S+ psql "`).MatchString(told.String()[at:]) {
		t.Errorf("what stands last:\n%s", told.String()[max(at, 0):])
	}

	// What the demo invites to works, and the shipped policy decides.
	for sql, want := range map[string]string{
		"select name_kanji, email, address from crm.member where member_no = " + member: "|",
		"select passport_no from crm.passport limit 1":                                  "*",
		"select password_hash from crm.credential limit 1":                              "passwords and payment data are never shown to, or changed by, people / パスワード",
		"select member_no from crm.member order by member_no":                           "sekisho export request",
	} {
		said, err := exec.Command("sh", "-c", psql+" -XAtc '"+sql+"'").CombinedOutput()
		if !strings.Contains(string(said), want) {
			t.Errorf("%s: %v: %.300s", sql, err, said)
		}
	}

	config := filepath.Join(dir, "var", "sekisho.yaml")
	if said, err := r.sekisho("budget", "--config", config); err != nil || !strings.Contains(said, demoUser) {
		t.Errorf("the budgets: %v: %s", err, said)
	}
	if said, err := r.sekisho("export", "list", "--config", config); err != nil || !strings.Contains(said, demoUser) {
		t.Errorf("what can be asked for: %v: %s", err, said)
	}

	r.responds(filepath.Join(dir, "var"), told.String())
	r.promises(filepath.Join(dir, "var"), told.String())

	drill := filepath.Join(dir, "var", "drill-jal-2014")
	said, err := r.sekisho("impact", "--ledger", drill, "--endpoint", "pc-0417", "--since", "2014-08-18", "--until", "2014-09-23", "--list", "suspected")
	if err != nil || !strings.HasPrefix(strings.TrimPrefix(said, "\ufeff"), "member") || strings.Count(said, "\n") < 100 {
		t.Errorf("the drill's house: %v: %.300s", err, said)
	}
	if said, err = r.sekisho("user", "reset", "admin", "--ledger", filepath.Join(dir, "var", "live")); err != nil {
		t.Errorf("the live house: %v: %s", err, said)
	}

	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, r.said.String())
	}
	if left := processesOf(dir); left != "" {
		t.Errorf("the demo has ended, and this runs on:\n%s", left)
	}
	// The house that the drill leaves beside the live one is no intruder.
	if strings.Contains(r.said.String(), "passed the gate by") {
		t.Errorf("the demo raised an alert about itself: %s", r.said.String())
	}
	if said, err = r.sekisho("ledger", "verify", drill); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// promises does what the demo's text invites an employee and their company to: the
// employee signs in by the link of a letter and finds a course, and a drill by mail
// is shown before anybody is written to.
func (r *running) promises(dir, told string) {
	t := r.t
	t.Helper()
	door := regexp.MustCompile(`employees' door +(\S+)/my `).FindStringSubmatch(told)
	if door == nil {
		t.Fatalf("the demo does not say where the employees' door is:\n%s", told)
	}
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	if resp, err := browser.PostForm(door[1]+"/signin", url.Values{"name": {demoUser}}); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("asking for a link: %v, %v", resp, err)
	}
	var link string
	r.until("the letter with the link", func() (string, bool) {
		letters, _ := filepath.Glob(filepath.Join(dir, "mail", "*.txt"))
		for _, name := range letters {
			if b, _ := os.ReadFile(name); strings.Contains(string(b), "To: "+demoUser+"@"+demo.StaffDomain) {
				link = cmp.Or(regexp.MustCompile(regexp.QuoteMeta(door[1])+`/in/\S+`).FindString(string(b)), link)
			}
		}
		return fmt.Sprintf("%d letters", len(letters)), link != ""
	})
	if resp, err := browser.PostForm(door[1]+"/in", url.Values{"token": {path.Base(link)}}); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("signing in by the link: %v, %v", resp, err)
	}
	resp, err := browser.Get(door[1] + "/my")
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(page), "/my/training/") {
		t.Errorf("the employee's page has no course:\n%s", page)
	}
	config := filepath.Join(dir, "sekisho.yaml")
	for part, want := range map[string]string{"list": "suspicious-mail ", "courses": "customer-data ", "declared": "0 in all"} {
		if said, err := r.sekisho("training", part, "--config", config); err != nil || !strings.Contains(said, want) {
			t.Errorf("training %s: %v: %s", part, err, said)
		}
	}
	from := time.Now()
	said, err := r.sekisho("phishing", "propose", "--config", config, "--title", "First drill", "--lure", "itinerary", "--from", from.Format(time.DateOnly), "--until", from.AddDate(0, 0, 7).Format(time.DateOnly), "--reason", "to see how it goes")
	if err != nil || !strings.Contains(said, "nothing has happened: this drill would write to") {
		t.Errorf("a drill by mail: %v: %s", err, said)
	}
}

// responds answers the incident that the demo begins with as its text invites
// to: every hand cuts one terminal off, and gives it back; people are told by mail.
func (r *running) responds(dir, told string) {
	t := r.t
	t.Helper()
	find := func(what string) string {
		t.Helper()
		m := regexp.MustCompile(what).FindStringSubmatch(told)
		if m == nil {
			t.Fatalf("the demo does not say %s:\n%s", what, told)
		}
		return m[1]
	}
	r.dir = dir // of the config
	os.Symlink(filepath.Join("..", "sekisho"), filepath.Join(dir, "sekisho"))
	r.console = find(`the console +(\S+)`)
	number, desk := find(`/incidents/(\d+)/room`), find(`contact point +(\S+)`)
	sato := r.signedIn("sato", find(`sato / (\S+)`))
	approve := func(path string, fields url.Values) {
		t.Helper()
		if resp, err := sato.PostForm(r.console+path, fields); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("approving at %s: %v, %v", path, resp, err)
		}
	}
	for _, lang := range []string{"en", "ja"} {
		if page := get(t, http.DefaultClient, desk+"?lang="+lang); !strings.Contains(page, map[string]string{"en": "Hinomaru Air", "ja": "日の丸航空"}[lang]) {
			t.Errorf("the contact point is %s", page)
		}
		q, _ := http.NewRequest(http.MethodGet, r.console+"/incidents/"+number+"/room", nil)
		q.Header.Set("Accept-Language", lang)
		resp, err := sato.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(page), map[string]string{"en": "Yamada Hanako", "ja": "山田 花子"}[lang]) {
			t.Errorf("the room in %s does not know the executive", lang)
		}
	}
	reaches := func(terminal string, want string) {
		t.Helper()
		out, err := r.sekisho("demo", "reach", terminal, "--dir", dir)
		if err != nil || len(out) == 0 {
			t.Fatalf("%v: %s", err, out)
		}
		for line := range strings.Lines(out) {
			if !strings.Contains(line, want) {
				t.Errorf("%s: %s, want %s", terminal, line, want)
			}
		}
	}
	hands := []string{"gate", "proxy", "switch"}
	if strings.Contains(told, "a router") {
		hands = append(hands, "router")
	}
	reaches(demoIntruderEndpoint, "open")
	order := regexp.MustCompile(`order +(\d+), proposed`).FindStringSubmatch(r.must("contain", "--endpoint", demoIntruderEndpoint, "--incident", number, "--reason", "a misused account"))[1]
	approve("/containments/"+order, url.Values{"action": {"approved"}})
	r.until("every hand has it in force", func() (string, bool) {
		out := r.must("contain", "show", order)
		whole := !strings.Contains(out, "ALARM")
		for _, h := range hands {
			whole = whole && strings.Contains(out, h+": applied")
		}
		return out, whole
	})
	r.until("the proxy has fetched the list", func() (string, bool) {
		out, err := r.sekisho("demo", "reach", demoIntruderEndpoint, "--dir", dir)
		return out, err == nil && !strings.Contains(out, "open")
	})
	reaches(demoEndpoint, "open")

	for _, lang := range []string{"ja", "en"} {
		r.must("tell", "propose", number, "person", "--lang", lang)
		var p console.DraftPage
		if err := json.Unmarshal([]byte(r.must("tell", "show", number, "person", "--lang", lang, "--json")), &p); err != nil {
			t.Fatal(err)
		}
		approve("/incidents/"+number+"/tell/person", url.Values{"lang": {lang}, "action": {"approved"}, "text": {fmt.Sprint(p.Text)}})
	}
	r.must("tell", "send", number, "--list", "suspected")
	list := regexp.MustCompile(`(?m)^(\d+) `).FindStringSubmatch(r.must("tell", "status"))[1]
	approve("/incidents/"+number+"/mailings/"+list, url.Values{"action": {"approved"}})
	r.until("the mailing is done", func() (string, bool) {
		out := r.must("tell", "status", list)
		return out, strings.Contains(out, "done")
	})
	letters, err := os.ReadDir(filepath.Join(dir, "mail"))
	if err != nil || len(letters) < misused/2 || len(letters) > misused+10 {
		t.Errorf("%d letters came: %v", len(letters), err)
	}

	r.must("contain", "lift", order, "--all", "--reason", "over")
	r.until("it is given back", func() (string, bool) {
		out, err := r.sekisho("demo", "reach", demoIntruderEndpoint, "--dir", dir)
		return out, err == nil && !strings.Contains(out, "cut off")
	})
}

// until waits for a condition, for as long as a loaded machine may take.
func (r *running) until(what string, holds func() (string, bool)) {
	r.t.Helper()
	said, ok := "", false
	for end := time.Now().Add(4 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if said, ok = holds(); ok {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("it never came that %s:\n%s\n%s", what, said, r.said.String())
		}
	}
}

// processesOf are those whose command line names a directory.
func processesOf(dir string) (list string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, one := range all {
		if b, err := os.ReadFile(one); err == nil && strings.Contains(string(b), dir) {
			list += strings.ReplaceAll(string(b), "\x00", " ") + "\n"
		}
	}
	return list
}

// A config that a person changed stays as it is; what the demo would have written
// is beside it. One that nobody changed is written anew.
func TestDemoKeepsAConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sekisho.yaml")
	step := func(write string, wantKept bool, want, wantBeside string) {
		t.Helper()
		kept, err := keepConfig(file, []byte(write))
		have, _ := os.ReadFile(file)
		beside, _ := os.ReadFile(file + ".new")
		if err != nil || kept != wantKept || string(have) != want || string(beside) != wantBeside {
			t.Errorf("kept %v, %q, and beside it %q: %v", kept, have, beside, err)
		}
	}
	step("one", false, "one", "")
	step("two", false, "two", "")
	os.WriteFile(file, []byte("mine"), 0o600)
	step("three", true, "mine", "three")
	step("four", true, "mine", "four")
	os.Rename(file+".new", file) // as the demo's text says
	step("five", false, "five", "")
	os.Remove(file)
	step("six", false, "six", "")
	os.Remove(file + ".sha256") // of a version that kept none
	step("seven", true, "six", "seven")
}
