package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
)

// A table of staff in Shift_JIS, from its dry run to somebody's erasure by two
// people, with the program that runs; then Entra ID pushes somebody.
func TestDirectoryFromEndToEnd(t *testing.T) {
	r := start(t)
	file := func(name, text string) string {
		t.Helper()
		sjis, err := japanese.ShiftJIS.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(r.dir, name)
		if err := os.WriteFile(path, []byte(sjis), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "社員CD,氏名,メールアドレス,会社コード,会社名,部署,雇用区分\n"
	const stays, goes = "k.tanaka,田中花子,tanaka@jalx.example,0001,見本航空,営業部,正社員\n", "i.suzuki,鈴木一郎,suzuki@jalx.example,0001,見本航空,営業部,派遣\n"
	all := file("all.csv", head+stays+goes+",名無し,,0001,,,\n")
	whole := file("whole.csv", head+stays+goes)
	later := file("later.csv", head+stays)

	r.mustNot("no column holds the user names", "directory", "import", file("odd.csv", "番号,氏名\n1,あ\n"))
	mapped := []string{"--map", "user=社員CD"}
	out := r.must(append([]string{"directory", "import", all, "--dry-run"}, mapped...)...)
	for _, want := range []string{"opened   company/0001", "joined   k.tanaka", "refused  row 4: the user name is missing", "read 2 people, had 0: joined 2, changed 0, left 0, units 2, rows refused 1 (dry run, nothing is recorded)"} {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run lacks %q:\n%s", want, out)
		}
	}
	if out := r.must("directory", "show"); !strings.Contains(out, "0 people; companies 0") {
		t.Errorf("after a dry run: %s", out)
	}
	r.must(append([]string{"directory", "import", whole}, mapped...)...)
	if out := r.must("directory", "show"); !strings.Contains(out, "company/0001 見本航空  2") || !strings.Contains(out, "2 people; companies 1, executives 0, agency staff 1") {
		t.Errorf("the tree: %s", out)
	}
	r.mustNot("works here", "directory", "erase", "i.suzuki", "--reason", "gone")
	if out := r.must(append([]string{"directory", "import", later}, mapped...)...); !strings.Contains(out, "left     i.suzuki") {
		t.Errorf("somebody leaves: %s", out)
	}
	// The doctor names what still opens for whoever has left.
	r.must("user", "add", "i.suzuki")
	mdm := filepath.Join(r.dir, "mdm.csv")
	os.WriteFile(mdm, []byte("endpoint,managed,encrypted,patched,holder\npc-9001,yes,yes,yes,i.suzuki\n"), 0o600)
	r.must("register", "terminals", mdm)
	if out, _ := r.doctored(); !strings.Contains(out, "are let in still: account i.suzuki, left ") || !strings.Contains(out, ", terminal pc-9001 (i.suzuki), left ") {
		t.Errorf("the doctor does not know who has left:\n%s", out)
	}
	r.must("user", "remove", "i.suzuki")
	os.WriteFile(mdm, []byte("endpoint,managed,encrypted,patched,holder\npc-9001,yes,yes,yes,k.tanaka\n"), 0o600)
	r.must("register", "terminals", mdm)
	if out, _ := r.doctored(); !strings.Contains(out, "nobody who has left") {
		t.Errorf("nothing opens any more:\n%s", out)
	}
	if out := r.must("directory", "erase", "i.suzuki", "--dry-run"); !strings.Contains(out, "dry run: 2 records of i.suzuki") || !strings.Contains(out, "hangs    2 entries of PersonChanged") {
		t.Errorf("what hangs on it: %s", out)
	}
	out = r.must("directory", "erase", "i.suzuki", "--reason", "retention is over")
	number := regexp.MustCompile(`erasure  (\d+), asked`).FindStringSubmatch(out)
	if number == nil {
		t.Fatalf("asked: %s", out)
	}
	r.mustNot("another person", "directory", "erasure", "approve", number[1])
	password := r.must("user", "add", "approver", "--role", "approver")
	b := r.signedIn("approver", password)
	resp, err := b.PostForm(r.console+"/erasures/"+number[1], url.Values{"action": {"approved"}, "reason": {"yes"}})
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("approving: %v %v", resp, err)
	}
	resp.Body.Close()
	if out := r.must("directory", "erasure", "show", number[1]); !strings.Contains(out, ", destroyed: 2 records") || strings.Contains(out, "suzuki") {
		t.Errorf("approved: %s", out)
	}

	token := filepath.Join(r.dir, "scim-token")
	if err := os.WriteFile(token, []byte("a-token-of-the-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.stop()
	path := filepath.Join(r.dir, "sekisho.yaml")
	conf, _ := os.ReadFile(path)
	os.WriteFile(path, append(conf, []byte("\ndirectory:\n  scim: {listen: \"127.0.0.1:0\", token_file: scim-token, source: entra}\n")...), 0o600)
	r.up()
	at := r.line("scim")
	req, _ := http.NewRequest("POST", at+"/Users", strings.NewReader(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"n.new","displayName":"新人"}`))
	req.Header.Set("Authorization", "Bearer a-token-of-the-test")
	resp, err = http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("a push: %v %v", resp, err)
	}
	resp.Body.Close()
	if out := r.must("directory", "show"); !strings.Contains(out, "2 people; companies 1") {
		t.Errorf("after the push: %s", out)
	}
}
