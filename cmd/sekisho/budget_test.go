package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A budget from the config to its end: replayed before it is there, then in
// force, across a stop and a kill, and seen on the command line, in the console
// and as an incident.
func TestBudgetFromEndToEnd(t *testing.T) {
	r := start(t)
	page := func(from string) string {
		return "select member_no, name_latin from crm.member where member_no > " + from + " order by member_no limit 30"
	}
	lines := func(out string) (n int) { return len(regexp.MustCompile(`(?m)^\d+\|`).FindAllString(out, -1)) }
	first := r.psql(page("0"))
	if lines(first) != 30 {
		t.Fatalf("without a budget: %s", first)
	}
	last := regexp.MustCompile(`(?m)^(\d+)\|.*\n\z`).FindStringSubmatch(first)[1]

	proposed := filepath.Join(t.TempDir(), "proposed.yaml")
	const budgets = "budgets:\n  - {name: person-day, who: {roles: [call*]}, customers: 20, within: 1d, ask: the privacy office}\n"
	if err := os.WriteFile(proposed, []byte(budgets), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := r.sekisho("budget", "simulate", "--config", proposed, "--ledger", filepath.Join(r.dir, "live"), "--vault")
	if err != nil || !strings.Contains(out, "20 different customers within 24h, per principal") || !regexp.MustCompile(`\w+ \(member\) +30 on .*; 1 statement cut, from`).MatchString(out) {
		t.Errorf("simulated: %v: %s", err, out)
	}

	out, err = r.sekisho("budget", "simulate", "--config", proposed, "--ledger", filepath.Join(r.dir, "live"), "--lang", "ja")
	if err != nil || !strings.Contains(out, "person-day: 異なるお客さま 20 人まで、期間 24h、単位 利用者") || !strings.Contains(out, "打ち切り文 1 件（") {
		t.Errorf("simulated in Japanese: %v: %s", err, out)
	}

	r.configured("\nhostile: []", "\nhostile: []\n"+strings.Replace(budgets, "customers: 20", "customers: 50", 1))
	if got := r.psql(page("0")); lines(got) != 30 { // known already
		t.Errorf("the same again: %s", got)
	}
	if got := r.psql(page(last)); !strings.Contains(got, `the budget "person-day" has ended: 50 different customers within 24h`) || !strings.Contains(got, "Ask the privacy office.") {
		t.Errorf("thirty more: %s", got)
	}
	r.cmd.Process.Kill()
	r.cmd.Wait()
	r.up()
	if got := r.psql(page("0")); lines(got) != 30 {
		t.Errorf("after a kill, those that were read: %s", got)
	}
	if got := r.psql("select name_latin from crm.member order by member_no desc limit 1"); !strings.Contains(got, "has ended") {
		t.Errorf("after a kill, another one: %s", got)
	}
	if out := r.must("budget"); !regexp.MustCompile(`person-day +\w+ \(member\) +50 of 50 +100%  within 24h +used up; room again from`).MatchString(out) {
		t.Errorf("sekisho budget: %s", out)
	}
	if out := r.must("budget", "--lang", "ja"); !regexp.MustCompile(`person-day +\w+（member） +50 / 50 +100%  期間 24h +使い切り。.* 以降に空きあり`).MatchString(out) {
		t.Errorf("sekisho budget in Japanese: %s", out)
	}
	b := r.signedIn("boss", r.must("user", "add", "boss"))
	for path, want := range map[string]string{"/budgets": "used up", "/incidents": "Budget of customers"} {
		if got := get(t, b, r.console+path); !strings.Contains(got, want) || path == "/budgets" && !strings.Contains(got, "person-day") {
			t.Errorf("%s does not say %q:\n%s", path, want, got)
		}
	}
	r.stop()
	if out, err := r.sekisho("ledger", "verify", filepath.Join(r.dir, "live")); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
