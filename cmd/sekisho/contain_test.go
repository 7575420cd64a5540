package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sekisho/contain"
)

// A containment from the first look to the last: shown and asked for on the
// command line, approved by somebody else in the console, in force across a
// kill, and given back.
func TestContainFromEndToEnd(t *testing.T) {
	r := start(t)
	const sql = "select name_latin from crm.member limit 1"
	if got := r.psql(sql); strings.Contains(got, "ERROR") {
		t.Fatalf("psql printed %q", got)
	}
	cutOff := func(when string, want bool) {
		t.Helper()
		got := r.psql(sql)
		if is := strings.Contains(got, "is cut off by order"); is != want || !is && strings.Contains(got, "ERROR") {
			t.Errorf("%s: psql printed %q", when, got)
		}
	}
	r.mustNot("it is called member-db", "contain", "--system", "another-db", "--dry-run")
	r.mustNot("No terminal is called pc-9999", "contain", "--endpoint", "pc-9999", "--dry-run")
	r.mustNot("Nothing is named", "contain", "--dry-run")
	shown := r.must("contain", "--system", "member-db", "--cut", "gate", "--dry-run")
	for _, want := range []string{"nothing has happened", "gate of 1 terminal,", "1 have read it", demoEndpoint, "somebody else has to approve it", "fewer than two independent hands"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the dry run does not say %q:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "closes the way out") {
		t.Errorf("nobody asked to close the way out:\n%s", shown)
	}
	if out := r.must("contain", "--system", "member-db", "--dry-run"); !strings.Contains(out, "no hand is configured that closes the way out") {
		t.Errorf("the gate alone closes no way out, and the dry run does not say so:\n%s", out)
	}
	var plan contain.Plan
	if err := json.Unmarshal([]byte(r.must("contain", "--system", "member-db", "--cut", "gate", "--dry-run", "--json")), &plan); err != nil || len(plan.Terminals) != 1 || plan.Terminals[0].Name != demoEndpoint {
		t.Errorf("as JSON: %v, %+v", err, plan)
	}
	cutOff("after a dry run", false)
	r.mustNot("Only 1 independent hand", "contain", "--system", "member-db", "--cut", "gate", "--reason", "malware")
	r.mustNot("Say why", "contain", "--system", "member-db", "--cut", "gate", "--one-hand")
	out := r.must("contain", "--system", "member-db", "--cut", "gate", "--one-hand", "--for", "2h", "--reason", "malware on office PCs")
	number := regexp.MustCompile(`order +(\d+), proposed`).FindStringSubmatch(out)
	if number == nil {
		t.Fatalf("the order has no number: %s", out)
	}
	cutOff("proposed", false)
	r.mustNot("Nobody decides on their own order", "contain", "approve", number[1])
	wider := r.must("contain", "--system", "member-db", "--cut", "gate,egress", "--one-hand", "--reason", "with a part that no hand does")
	if !strings.Contains(wider, "closes the way out: that part is not cut") || strings.Contains(out, "not cut") {
		t.Errorf("the gate closes no way out, and the order does not say so:\n%s\n%s", wider, out)
	}
	other := regexp.MustCompile(`order +(\d+), proposed`).FindStringSubmatch(wider)
	if other == nil {
		t.Fatalf("the order has no number: %s", wider)
	}
	r.must("contain", "withdraw", other[1])

	boss := r.signedIn("boss", r.must("user", "add", "boss", "--role", "approver"))
	clerk := r.signedIn("clerk", r.must("user", "add", "clerk"))
	at := r.console + "/containments/" + number[1]
	if page := get(t, boss, at); !strings.Contains(page, "malware on office PCs") || !strings.Contains(page, "waits for approval") || !strings.Contains(page, demoEndpoint) {
		t.Errorf("the page of the order is\n%s", page)
	}
	if resp, err := clerk.PostForm(at, url.Values{"action": {"approved"}}); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a clerk approves: %v, %v", resp.StatusCode, err)
	}
	if resp, err := boss.PostForm(at, url.Values{"action": {"approved"}}); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("approving: %v, %v", resp.StatusCode, err)
	}
	cutOff("approved", true)
	if out := r.must("contain", "show", number[1]); !strings.Contains(out, "gate: applied, 1 of 1 in force") {
		t.Errorf("it shows %s", out)
	}
	if out := r.must("contain", "list"); !strings.Contains(out, number[1]+" ") || !strings.Contains(out, "in_force") || !strings.Contains(out, "hand     gate") {
		t.Errorf("it lists %s", out)
	}

	r.cmd.Process.Kill()
	r.cmd.Wait()
	r.up()
	cutOff("killed, and started again", true)

	if out := r.must("contain", "lift", number[1], "--all", "--dry-run"); !strings.Contains(out, "gate of 1 terminal would be given back") || !strings.Contains(out, "the order would end") {
		t.Errorf("the dry run of a lift says %s", out)
	}
	cutOff("after the dry run of a lift", true)
	if out := r.must("contain", "lift", number[1], "--all", "--reason", "cleaned"); !strings.Contains(out, "lifted") {
		t.Errorf("lifting says %s", out)
	}
	cutOff("lifted", false)
	r.stop()
	r.up()
	cutOff("lifted, and started again", false)

	// At night one person is enough, and somebody else looks at it afterwards.
	out = r.must("contain", "--endpoint", demoEndpoint, "--cut", "gate", "--one-hand", "--break-glass", "--reason", "at night")
	number = regexp.MustCompile(`order +(\d+), in_force`).FindStringSubmatch(out)
	if number == nil {
		t.Fatalf("the order has no number: %s", out)
	}
	cutOff("on one person's word", true)
	if out := r.must("contain", "list"); !strings.Contains(out, "to be reviewed") {
		t.Errorf("it lists %s", out)
	}
	r.mustNot("Nobody decides on their own order", "contain", "review", number[1], "--reason", "it was right")
	boss = r.signedIn("boss", r.must("user", "reset", "boss"))
	if resp, err := boss.PostForm(r.console+"/containments/"+number[1], url.Values{"action": {"upheld"}, "reason": {"right"}}); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("reviewing: %v, %v", resp.StatusCode, err)
	}
	if out := r.must("contain", "show", number[1]); !strings.Contains(out, "upheld by boss: right") {
		t.Errorf("it shows %s", out)
	}
	r.must("contain", "lift", number[1], "--all", "--reason", "over")
	cutOff("lifted", false)

	// What was typed is in the vault alone.
	files, _ := filepath.Glob(filepath.Join(r.dir, "live", "ledger", "*"))
	for _, name := range files {
		if b, _ := os.ReadFile(name); strings.Contains(string(b), "malware on office") || strings.Contains(string(b), "at night") {
			t.Errorf("%s holds what somebody typed", name)
		}
	}
}
