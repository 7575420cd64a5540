package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sekisho/console"
)

// An incident on the command line: opened for a call, taken on, commanded,
// told, decided by two, evidenced and ended, across a kill.
func TestIncidentOnTheCommandLine(t *testing.T) {
	r := start(t)
	room := func(args ...string) (p console.RoomPage) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.must(append(args, "--json")...)), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	r.mustNot("missing: --text", "incident", "open")
	p := room("incident", "open", "--text", "a provider called", "--source", "provider", "--endpoint", "web-01")
	n := strconv.FormatUint(p.ID, 10)
	if out := r.must("incident", "list"); !strings.Contains(out, n+" ") || !strings.Contains(out, "NOT ACKNOWLEDGED") {
		t.Errorf("the list: %s", out)
	}
	if out := r.must("incident", "show", n); !strings.Contains(out, "take_on: Who takes this on?") || !strings.Contains(out, "detection") && !strings.Contains(out, "Detection") {
		t.Errorf("the room: %s", out)
	}
	r.must("incident", "ack", n, "--text", "mine")
	r.mustNot("none of take", "incident", "role", n, "seize", "incident_commander")
	r.must("incident", "role", n, "take", "incident_commander")
	r.must("incident", "playbook", n, "malware")
	r.must("incident", "fact", n, "entry", "--text", "mail with an attachment", "--certainty", "confirmed")
	r.mustNot("is no fact of the manual", "incident", "fact", n, "guess", "--text", "x")
	r.must("incident", "task", n, "done", "malware/keep_running", "--text", "unplugged by the help desk")
	r.mustNot("no task", "incident", "task", n, "done", "malware/nothing")

	file := filepath.Join(r.dir, "image")
	os.WriteFile(file, []byte("bits"), 0o600)
	p = room("incident", "evidence", n, file, "--title", "memory image", "--kept", "safe 3")
	if e := p.Evidence[0]; e.Size != 4 || e.SHA256 != "e5e59d10f196504b6e08ac7785f84430a61e1558fd6246075a9566edaab2e814" {
		t.Errorf("%+v", e)
	}
	image := strconv.FormatUint(p.Evidence[0].Entry, 10)
	r.must("incident", "custody", n, image, file, "--kept", "police", "--reason", "handed over")
	os.WriteFile(file, []byte("bite"), 0o600)
	r.mustNot("not the one that was registered", "incident", "custody", n, image, file, "--kept", "police", "--reason", "handed over")

	p = room("incident", "decide", n, "report", "--chosen", "1", "--reason", "it cannot be excluded")
	decision := p.Decisions[0]
	if decision.State != "pending" {
		t.Errorf("%+v", decision)
	}
	number := strconv.FormatUint(decision.Entry, 10)
	r.mustNot("A second person", "incident", "approve", n, number)
	r.cmd.Process.Kill()
	r.cmd.Wait()
	r.up()
	other := r.signedIn("ito", r.must("user", "add", "ito", "--role", "approver"))
	if resp, err := other.PostForm(r.console+"/incidents/"+n+"/room/answer", url.Values{"about": {number}, "action": {"approved"}}); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("approving: %v, %v", resp, err)
	}
	if out := r.must("incident", "show", n); !strings.Contains(out, "approved by ito") || !strings.Contains(out, "sha256 ") || !strings.Contains(out, "police") {
		t.Errorf("after a kill: %s", out)
	}
	r.must("incident", "lesson", n, "add", "--text", "train the help desk", "--person", "ito", "--due", "2099-01-01")
	r.mustNot("has no answer", "incident", "close", n, "--outcome", "resolved", "--reason", "over")
	raised := strconv.FormatUint(p.Raised[0].Entry, 10)
	r.mustNot("what it was", "incident", "answer", n, raised)
	r.must("incident", "answer", n, raised, "--text", "the provider was right")
	r.mustNot("Tasks are left", "incident", "close", n, "--outcome", "resolved", "--reason", "over")
	if out := r.must("incident", "manual", "--playbook", "malware"); !strings.Contains(out, "name: malware") {
		t.Errorf("the playbook: %s", out)
	}
}
