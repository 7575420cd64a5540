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

// A handbook on the command line: written, approved by somebody else, in force,
// reviewed by two, across a kill.
func TestDocumentOnTheCommandLine(t *testing.T) {
	r := start(t)
	file := filepath.Join(r.dir, "handbook.md")
	os.WriteFile(file, []byte("# 個人情報保護ハンドブック\n\n顧客情報を分離します。\n"), 0o600)
	document := func(args ...string) (p console.DocumentPage) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.must(append(append([]string{"document"}, args...), "--json")...)), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if out := r.must("document", "list"); !strings.Contains(out, "no document yet") {
		t.Errorf("an empty list: %s", out)
	}
	r.mustNot("no sort of document", "document", "write", "handbook", "--ja", file, "--sort", "poem")
	r.mustNot("Give the text", "document", "write", "handbook", "--sort", "handbook")
	p := document("write", "handbook", "--ja", file, "--sort", "handbook", "--acknowledge", "--new", "first")
	version := strconv.FormatUint(p.Version.Number, 10)
	if p.Version.State != "draft" || len(p.Wanting) != 1 || p.Wanting[0] != "privacy" || p.Texts[0].SHA256 == "" {
		t.Errorf("%+v", p)
	}
	r.mustNot("--version NUMBER", "document", "approve", "handbook")
	r.mustNot("somebody else", "document", "approve", "handbook", "--version", version)
	r.mustNot("waits for approval", "document", "publish", "handbook", "--version", version)
	r.cmd.Process.Kill()
	r.cmd.Wait()
	r.up()
	other := r.signedIn("ito", r.must("user", "add", "ito", "--role", "approver"))
	if resp, err := other.PostForm(r.console+"/documents/handbook", url.Values{"version": {version}, "action": {"approved"}}); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("approving: %v, %v", resp, err)
	}
	if p = document("publish", "handbook", "--version", version); p.Version.State != "in_force" {
		t.Errorf("%+v", p.Version)
	}
	if out := r.must("document", "list"); !strings.Contains(out, "version 1") || !strings.Contains(out, "acknowledged by 0 of an unknown number") {
		t.Errorf("the list: %s", out)
	}
	p = document("keep", "handbook", "--version", version, "--text", "fits")
	r.mustNot("somebody else", "document", "agree", "handbook", "--version", version, "--review", strconv.FormatUint(p.Reviews[0].Entry, 10))
	if out := r.must("document", "show", "handbook"); !strings.Contains(out, "waits for a second person") {
		t.Errorf("the review: %s", out)
	}
}
