package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/console"
	"sekisho/house"
	"sekisho/survey"
)

// The command reads the ledger of a demo that is running, in both languages.
func TestReadinessCommand(t *testing.T) {
	r := start(t)
	config := filepath.Join(r.dir, "sekisho.yaml")
	out, err := r.sekisho("readiness", "--config", config, "--role", "call_centre", "--lang", "en")
	if err != nil || !strings.Contains(out, "What touches nothing protected is not in the ledger") || !strings.Contains(out, ": ") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := r.sekisho("readiness", "--config", config, "--role", "call_centre", "--lang", "ja"); err != nil || !strings.Contains(out, "保護された表") || strings.Contains(out, "ready.") {
		t.Errorf("in Japanese: %v\n%s", err, out)
	}
	// A hint for what is refused is in the reader's language.
	r.psql("select name_kanji from crm.member tablesample system (1)")
	if out, _ := r.sekisho("readiness", "--config", config, "--role", "call_centre", "--lang", "ja", "--no-plans"); !strings.Contains(out, "→ TABLESAMPLE を外す。") {
		t.Errorf("no hint in Japanese:\n%s", out)
	}
	out, err = r.sekisho("readiness", "--config", config, "--role", "call_centre", "--json", "--no-plans")
	var report house.RoadReport
	if err != nil || json.Unmarshal([]byte(out), &report) != nil || len(report.Roles) == 0 {
		t.Errorf("--json: %v\n%s", err, out)
	}
	// An observed role that did nothing is not ready: nobody knows.
	if out, err := r.sekisho("readiness", "--config", config, "--role", "analyst", "--lang", "en"); err == nil || !strings.Contains(out, "it did nothing") {
		t.Errorf("an idle role: %v\n%s", err, out)
	}
	if out, err := r.sekisho("readiness", "--config", config, "--role", "nobody"); err == nil || !strings.Contains(out, "no such role") {
		t.Errorf("a role that is not there: %v\n%s", err, out)
	}
}

// A statement that could be about anybody counts at every table; of a hundred
// tables that is one line, and of a few it is one for each.
func TestReadinessOfManyTables(t *testing.T) {
	role := survey.Readiness{Role: "staff", Verdict: "not_ready", Runs: 4, Statements: 2,
		Policy: []survey.Ruling{{Decision: "refuse", Statements: 1, Runs: 1}}}
	for i := range 100 {
		role.Tables = append(role.Tables, survey.Over{Name: fmt.Sprintf("crm.t%d", i), Runs: 1, Refused: 1})
	}
	role.Tables[50].Runs = 3
	for _, c := range []struct {
		lang string
		want []string
	}{
		{"en", []string{"\n    crm.t0, crm.t1, crm.t2, crm.t3, crm.t4, crm.t5 … (+93): runs 1, would be refused 1", "\n    crm.t50: runs 3", "By the policy: refuse (no rule permits it)"}},
		{"ja", []string{"crm.t5 … (+93)：実行 1 回", "refuse（許可する規則なし）"}},
	} {
		var out strings.Builder
		words, err := console.NewTeller(c.lang, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		printRoad(&out, &house.RoadReport{Roles: []survey.Readiness{role}}, words, 20)
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("lacks %q:\n%s", want, out.String())
			}
		}
	}
	words, err := console.NewTeller("en", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	role.Tables = role.Tables[:12]
	printRoad(&out, &house.RoadReport{Roles: []survey.Readiness{role}}, words, 20)
	if n := strings.Count(out.String(), "\n    crm.t"); n != 12 {
		t.Errorf("%d lines for 12 tables:\n%s", n, out.String())
	}
}

// What the running house said of the last day is printed anew, in both languages.
func TestTheLastDayIsPrinted(t *testing.T) {
	dir := t.TempDir()
	said := func(lang, role string) string {
		var out strings.Builder
		if err := printDay(&out, dir, role, lang, time.UTC, false); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := said("ja", ""); !strings.Contains(got, "まだ 1 日が終わっていません") {
		t.Errorf("before the first: %s", got)
	}
	day := console.ObservedDay{Until: 1_411_084_800_000_000, Roles: []console.ObservedRole{{Role: "web", Verdict: "ready", Runs: 7, Statements: 2, Exact: 7},
		{Role: "batch", Verdict: "not_ready", Runs: 1, Statements: 1, Refused: 1, Keys: 2, Compared: 1, Worst: 1.5}}}
	text, err := json.Marshal(day)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "observed.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := said("en", "batch"), `The day until 19 Sep 2014 00:00:00, role by role. Nothing of it was refused.

batch: not ready: some of it would be refused
  Runs: 1, of different statements: 1. In the ledger: exact 0, contributed 0, any row 0.
  Would be refused: 1 of 1 runs (100 %).
  Would get hidden keys, of different statements: 2; with plans to compare: 1.
  The planner's cost grows to 1.50 times at most.
`; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := said("ja", ""); !strings.Contains(got, "web: 準備完了") || !strings.Contains(got, "拒否されるもの：1 / 1 回") {
		t.Errorf("in Japanese: %s", got)
	}
}
