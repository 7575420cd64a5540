package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/house"
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
