package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho/console"
	"sekisho/demo"
)

// From a real incident to a text that two people agreed to, at the command line
// and, for the second, at the console.
func TestTellCommands(t *testing.T) {
	r := start(t)
	decoy := demo.MemberNo(storeSeed, 5)
	file := filepath.Join(r.dir, "decoys")
	os.WriteFile(file, fmt.Appendf(nil, "%d\n", decoy), 0o600)
	r.must("decoy", "add", file, "--space", "member")
	boss := r.signedIn("admin", r.must("user", "reset", "admin"))
	r.psql(fmt.Sprintf("select name_latin from crm.member where member_no = %d", decoy))
	number := ""
	for until := time.Now().Add(2 * time.Minute); number == ""; time.Sleep(20 * time.Millisecond) {
		if m := regexp.MustCompile(`/incidents/(\d+)"`).FindStringSubmatch(get(t, boss, r.console+"/incidents")); m != nil {
			number = m[1]
		}
		if time.Now().After(until) {
			t.Fatal("no incident")
		}
	}
	if out := r.must("tell", "drafts", number); !strings.Contains(out, "appi_preliminary   ja  draft") || !strings.Contains(out, "public             en  draft") {
		t.Errorf("drafts: %s", out)
	}
	out := r.must("tell", "show", number, "appi_preliminary", "--lang", "en")
	for _, want := range []string{"3. Number of people\n", "Under investigation.  [unknown]", " people whose data may have been disclosed.  [known: "} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	r.mustNot("There is no such text", "tell", "show", number, "letter")
	r.mustNot("There is no such version", "tell", "approve", number, "public")
	if out := r.must("tell", "propose", number, "public", "--lang", "en"); !strings.Contains(out, "public (en): proposed") {
		t.Errorf("proposed: %s", out)
	}
	if page := get(t, boss, r.console+"/incidents/"+number+"/tell/public?lang=en"); !strings.Contains(page, `value="approved"`) {
		t.Error("the console does not let somebody else approve")
	}
	var p console.DraftPage
	if err := json.Unmarshal([]byte(r.must("tell", "show", number, "public", "--lang", "en", "--json")), &p); err != nil || p.State != "proposed" || p.Text == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	// Which version was read is said; the error has the number to give.
	version := strconv.FormatUint(p.Text, 10)
	r.mustNot("--text "+version, "tell", "approve", number, "public", "--lang", "en")
	r.mustNot("Somebody else must agree", "tell", "approve", number, "public", "--lang", "en", "--text", version)
	if out := r.must("tell", "withdraw", number, "public", "--lang", "en"); !strings.Contains(out, "withdrawn") {
		t.Errorf("withdrawn: %s", out)
	}
	if out := r.must("tell", "send", number, "--list", "worst-case", "--dry-run"); !strings.Contains(out, "people would be written to") || !strings.Contains(out, "no approved text") && !strings.Contains(out, "0 people would") {
		t.Errorf("dry run: %s", out)
	}
	r.mustNot("No mail server is configured", "tell", "send", number, "--list", "worst-case")
	if out := r.must("tell", "status"); out != "there are no mailings\n" {
		t.Errorf("status: %s", out)
	}
	r.mustNot("There is no such mailing", "tell", "status", "7")
}
