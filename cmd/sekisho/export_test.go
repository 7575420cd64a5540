package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// configured stops the program, changes its config and starts it again.
func (r *running) configured(old, new string) {
	r.t.Helper()
	r.stop()
	path := filepath.Join(r.dir, "sekisho.yaml")
	b, _ := os.ReadFile(path)
	if !strings.Contains(string(b), old) {
		r.t.Fatalf("the config has no %q", old)
	}
	os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o600)
	r.up()
}

// byDay lets the house stand where it is about noon now: the shipped policy has
// rules for the night.
func (r *running) byDay() {
	r.t.Helper()
	zone := "Etc/GMT"
	switch east := 12 - time.Now().UTC().Hour(); {
	case east > 0: // these names count to the west
		zone += fmt.Sprintf("-%d", east)
	case east < 0:
		zone += fmt.Sprintf("+%d", -east)
	}
	r.configured("time_zone: Asia/Tokyo", "time_zone: "+zone)
}

// must runs another command beside the program.
func (r *running) must(args ...string) string {
	r.t.Helper()
	out, err := r.sekisho(append(args, "--config", filepath.Join(r.dir, "sekisho.yaml"))...)
	if err != nil {
		r.t.Fatalf("sekisho %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// mustNot runs one that has to fail, saying why.
func (r *running) mustNot(why string, args ...string) {
	r.t.Helper()
	out, err := r.sekisho(append(args, "--config", filepath.Join(r.dir, "sekisho.yaml"))...)
	if err == nil || !strings.Contains(out, why) {
		r.t.Errorf("sekisho %s: %v: %s, want %q", strings.Join(args, " "), err, out, why)
	}
}

// signedIn is a browser of a console user.
func (r *running) signedIn(name, password string) *http.Client {
	r.t.Helper()
	jar, _ := cookiejar.New(nil)
	b := &http.Client{Jar: jar}
	resp, err := b.PostForm(r.console+"/signin", url.Values{"name": {name}, "password": {strings.TrimSpace(password)}})
	if err != nil || resp.StatusCode != 200 {
		r.t.Fatalf("%s does not get in: %v, %v", name, resp, err)
	}
	resp.Body.Close()
	return b
}

// An export from its refusal to its end: asked for on the command line, decided
// by somebody else in the console, used by psql once, across restarts.
func TestExportFromEndToEnd(t *testing.T) {
	r := start(t)
	r.byDay()
	r.configured("      purposes:", "      ask_above: 100\n      purposes:")
	const sql = "select member_no, name_latin from crm.member where member_no > 0 order by member_no limit 300"
	said := r.psql(sql)
	m := regexp.MustCompile(`sekisho export request (\d+)`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("psql printed %q", said)
	}
	if out := r.must("export", "list"); !strings.Contains(out, m[1]+" ") || !strings.Contains(out, "member_no > $1") {
		t.Errorf("what can be asked for: %s", out)
	}
	r.mustNot("more than 100", "export", "request", m[1], "--most", "100", "--reason", "the yearly letter")
	r.mustNot("does not remember", "export", "request", "99999", "--most", "3000", "--reason", "the yearly letter")
	out := r.must("export", "request", m[1], "--most", "3000", "--reason", "the yearly letter")
	if !strings.Contains(out, "member_no > 0") || !strings.Contains(out, "rows, by the database's planner") {
		t.Errorf("the request: %s", out)
	}
	number := regexp.MustCompile(`request +(\d+), asked`).FindStringSubmatch(out)
	if number == nil {
		t.Fatalf("the request has no number: %s", out)
	}
	if again := r.psql(sql); !strings.Contains(again, "Request "+number[1]+" for this statement waits") {
		t.Errorf("while it waits, psql printed %q", again[max(0, len(again)-300):])
	}
	r.mustNot("is not finished yet", "export", "request", m[1], "--most", "3000", "--reason", "again")
	r.mustNot("Nobody decides their own", "export", "approve", number[1])

	// The same person at another account, and somebody who may not.
	own := r.signedIn("boss", r.must("user", "add", "boss", "--role", "approver", "--also", "root,"+whoami(t)))
	clerk := r.signedIn("clerk", r.must("user", "add", "clerk"))
	other := r.signedIn("ito", r.must("user", "add", "ito", "--role", "approver"))
	answer := url.Values{"action": {"approved"}, "most": {"2500"}, "reason": {"agreed"}}
	for name, b := range map[string]*http.Client{"boss": own, "clerk": clerk} {
		if resp, err := b.PostForm(r.console+"/exports/"+number[1], answer); err != nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s decides: %v, %v", name, resp.StatusCode, err)
		}
	}
	for _, b := range []*http.Client{clerk, other} {
		page := get(t, b, r.console+"/exports/"+number[1])
		if shown := strings.Contains(page, "member_no &gt; 0"); shown != (b == other) {
			t.Errorf("the exact text is shown: %v", shown)
		}
	}
	if page := get(t, other, r.console+"/"); !strings.Contains(page, `answer">1</b>`) {
		t.Error("the live page does not tell that a request waits")
	}
	resp, err := other.PostForm(r.console+"/exports/"+number[1], answer)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("approving: %v, %v", resp, err)
	}
	if resp, _ := other.PostForm(r.console+"/exports/"+number[1], answer); resp.StatusCode != http.StatusConflict {
		t.Errorf("approving twice got %d", resp.StatusCode)
	}

	// A restart forgets neither the approval nor its use; nor does a kill.
	r.stop()
	r.up()
	if out := r.psql(sql); len(regexp.MustCompile(`(?m)^\d+\|`).FindAllString(out, -1)) != 300 || !strings.Contains(out, "NOTICE:") {
		t.Errorf("approved, with a label: %s", out[max(0, len(out)-400):])
	}
	r.cmd.Process.Kill()
	r.cmd.Wait()
	r.up()
	if got := r.psql(sql); strings.Count(got, "|") > 100 || !strings.Contains(got, "more than 100") {
		t.Errorf("used once: %d rows", strings.Count(got, "|"))
	}
	if out := r.must("export", "show", number[1]); !strings.Contains(out, ", used") || !strings.Contains(out, "2,500 customers at most") || !strings.Contains(out, "by ito: agreed") {
		t.Errorf("at the end: %s", out)
	}
	if out := r.must("export", "show", number[1], "--lang", "ja"); !strings.Contains(out, "申請       "+number[1]+"（使用済み）\n") || !strings.Contains(out, "承認内容   2,500 人 まで、期限 ") || !strings.Contains(out, "決定者 ito: agreed") {
		t.Errorf("at the end, in Japanese: %s", out)
	}
	r.mustNot("その番号の申請はありません", "export", "show", "99999", "--lang", "ja")
	r.mustNot(`"x" は申請の番号ではない`, "export", "show", "x", "--lang", "ja")
	r.stop()
	if out, err := r.sekisho("ledger", "verify", filepath.Join(r.dir, "live")); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func whoami(t *testing.T) string {
	t.Helper()
	name := os.Getenv("USER")
	if name == "" {
		name = "root"
	}
	return name
}

func get(t *testing.T, b *http.Client, url string) string {
	t.Helper()
	resp, err := b.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s strings.Builder
	if _, err := io.Copy(&s, resp.Body); err != nil {
		t.Fatal(err)
	}
	return s.String()
}
