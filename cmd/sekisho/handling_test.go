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

// From a file of rules to a refusal: while nobody has approved any, nothing goes
// out of the office; approved by two others and published they hold at the running
// gate; what leaves bears its label.
func TestHandlingRulesFromTheFileToTheGate(t *testing.T) {
	r := start(t)
	wide := filepath.Join(r.dir, "wide")
	os.Mkdir(wide, 0o700)
	os.WriteFile(filepath.Join(wide, "all.cedar"), []byte(`@id("all") permit (principal, action, resource);`), 0o600)
	path := filepath.Join(r.dir, "sekisho.yaml")
	text, _ := os.ReadFile(path)
	os.WriteFile(path, []byte(strings.NewReplacer("    dir: policy\n", "    dir: wide\n", "\nconsole:\n", "\nhandling:\n  offsite: true\n\nconsole:\n").Replace(string(text))), 0o600)
	r.configured(`office: [127.0.0.0/8, "::1"]`, "office: [192.0.2.0/24]")
	const passport, name = "select passport_no from crm.passport limit 1", "select count(*) from crm.member where member_no < 1000"
	if said := r.psql(passport); !strings.Contains(said, "nobody has approved handling rules yet") || !strings.Contains(said, "HINT") {
		t.Fatalf("before any approval: %s", said)
	}
	var p console.HandlingPage
	show := func() {
		t.Helper()
		p = console.HandlingPage{}
		if err := json.Unmarshal([]byte(r.must("handling", "show", "--json")), &p); err != nil {
			t.Fatal(err)
		}
	}
	if show(); p.Version != 0 || p.Proposed == "" || !p.OffSite || p.Rows[0].Class != "strict" {
		t.Errorf("%+v", p)
	}
	r.mustNot("does not hold handling rules", "document", "write", "handling", "--sort", "handling", "--en", filepath.Join(wide, "all.cedar"), "--ja", filepath.Join(wide, "all.cedar"))
	var d console.DocumentPage
	if err := json.Unmarshal([]byte(r.must("handling", "propose", "--json")), &d); err != nil {
		t.Fatal(err)
	}
	version := strconv.FormatUint(d.Version.Number, 10)
	r.mustNot("somebody else", "document", "approve", "handling", "--version", version)
	for user, role := range map[string]string{"ito": "ciso", "sato2": "privacy"} {
		other := r.signedIn(user, r.must("user", "add", user, "--role", "approver"))
		if resp, err := other.PostForm(r.console+"/documents/handling", url.Values{"version": {version}, "action": {"approved"}, "role": {role}}); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("approving: %v, %v", resp, err)
		}
	}
	r.must("document", "publish", "handling", "--version", version)
	r.until("the approved rules hold at the gate", func() (string, bool) {
		said := r.psql(passport)
		return said, strings.Contains(said, "forbid passports and visas outside the office") && strings.Contains(said, "HINT")
	})
	if said := r.psql(name); !strings.Contains(said, "only at a terminal that the register allows there") {
		t.Errorf("a terminal that nobody knows: %s", said)
	}
	if show(); strconv.FormatUint(p.Version, 10) != version || p.Proposed != "" {
		t.Errorf("%+v", p)
	}
	if out := r.must("handling", "show", "travel_document", "--lang", "ja"); !strings.Contains(out, "off_site   禁止") || strings.Contains(out, "loyalty:") {
		t.Error(out)
	}
	r.until("the ledger says which columns have a category", func() (string, bool) {
		out := r.must("handling", "show", "--json")
		return out, json.Unmarshal([]byte(out), &p) == nil && len(p.Stores) > 0
	})

	// A file of the command line: as it is, with its label beside it.
	out := r.must("register", "export", "supplier")
	if !strings.HasPrefix(out, "label=") && !strings.Contains(out, "\nlabel=") || !strings.Contains(out, "class=internal categories=none") {
		t.Errorf("a register bears no label: %s", out)
	}
	_, rest, _ := strings.Cut(out, "label=")
	number, _, _ := strings.Cut(rest, " ")
	if again := r.must("handling", "label", number); !strings.Contains(out, strings.TrimSpace(again)) {
		t.Errorf("the label %s is kept as %q; it was shown in %q", number, again, out)
	}
	r.mustNot("The oldest", "handling", "label", "1")
}

// An asset ends by the command, too: who destroyed it is not their own witness, and
// it counts until the others have said that they saw it.
func TestAnAssetEndsBeforeWitnesses(t *testing.T) {
	r := start(t)
	file := filepath.Join(r.dir, "assets.csv")
	os.WriteFile(file, []byte("name,owner,traits,place\nOld backup,ueda,media contact,vault\n"), 0o600)
	r.must("user", "add", "ueda")
	r.must("register", "import", "asset", file)
	if out := r.must("register", "asset", "Old backup"); !strings.Contains(out, "holds      contact") || !strings.Contains(out, "place      vault") || strings.Contains(out, "end ") && !strings.Contains(out, "its end") {
		t.Error(out)
	}
	r.mustNot("none of destroyed", "register", "asset", "Old backup", "burnt")
	r.mustNot("shredded, pulped", "register", "asset", "Old backup", "destroyed")
	r.mustNot("", "register", "asset", "No such thing", "destroyed", "--how", "wiped")
	var p console.ThingPage
	if err := json.Unmarshal([]byte(r.must("register", "asset", "Old backup", "destroyed", "--how", "degaussed", "--pieces", "3", "--text", "with the large magnet", "--json")), &p); err != nil {
		t.Fatal(err)
	}
	r.mustNot("somebody else", "register", "asset", "Old backup", "witnessed")
	out := r.must("register", "asset", "Old backup")
	if !strings.Contains(out, "degaussed") || !strings.Contains(out, "3 pieces") || !strings.Contains(out, "waits for") || !strings.Contains(out, "with the large magnet") {
		t.Error(out)
	}
	for n := range p.Asset.Witnesses {
		user := "witness" + strconv.FormatUint(n, 10)
		other := r.signedIn(user, r.must("user", "add", user))
		if resp, err := other.PostForm(r.console+"/registers/"+strconv.FormatUint(uint64(p.Ordinal), 10)+"/asset", url.Values{"action": {"witnessed"}}); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("a witness: %v, %v", resp, err)
		}
	}
	if out := r.must("register", "asset", "Old backup"); !strings.Contains(out, ": destroyed: with the large magnet") || strings.Contains(out, "waits for") {
		t.Error(out)
	}
	r.mustNot("destroyed already", "register", "asset", "Old backup", "withdrawn")
}
