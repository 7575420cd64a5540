package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/law"
	"sekisho/ledger"
	"sekisho/pack"
)

// makePacks makes the auditor's packs of a stopped sekisho: dir/part, and
// dir/whole with every entry. The ledger says that both were made.
func makePacks(data, dir string) error {
	register, err := duty.Read(nil)
	if err != nil {
		return err
	}
	noon := time.Date(2014, 9, 20, 3, 0, 0, 0, time.UTC)
	l, err := ledger.Open(ledger.Config{Dir: filepath.Join(data, "ledger"), FS: disk.OS{}, Gate: 1, Name: "member-db", Now: func() time.Time { return noon }, SegmentBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer l.Close()
	ctx := context.Background()
	if _, err := l.Append(ctx, &sekisho.EvidenceStated{Evidence: "minutes", Producer: "H", From: sekisho.At(noon), By: 1}); err != nil {
		return err
	}
	for _, whole := range []bool{false, true} {
		to := filepath.Join(dir, map[bool]string{false: "part", true: "whole"}[whole])
		m, sum, err := pack.Make(ctx, pack.Source{FS: disk.OS{}, Dir: filepath.Join(data, "ledger"), Through: l.Last(), Register: register, Law: []fs.FS{law.Shipped()}, Software: "sekisho",
			Now: sekisho.At(noon), From: sekisho.At(noon.AddDate(-1, 0, 0)), Whole: whole, Settings: pack.Settings{Zone: "Asia/Tokyo"}, Readme: pack.Readme}, to)
		if err != nil {
			return err
		}
		chain, err := hex.DecodeString(m.Chain)
		if err != nil {
			return err
		}
		if _, err := l.Append(ctx, &sekisho.PackMade{Until: sekisho.At(noon), Through: m.Through, Chain: [32]byte(chain), Whole: whole, Entries: m.Entries, SHA256: sum}); err != nil {
			return err
		}
	}
	return nil
}

// packs DATA DIR makes the auditor's packs of the ledger in DATA.
func packs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: packs DATA DIR")
	}
	ts.Check(makePacks(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

// The whole way: a pack is asked for on the command line and checked by itself
// and beside the ledger; somebody from outside is admitted, fetches it at the
// console, and gets nothing else.
func TestPackOnTheCommandLine(t *testing.T) {
	r := start(t)
	// Verifying asks no house, and takes no config.
	verify := func(args ...string) string {
		t.Helper()
		out, err := r.sekisho(append([]string{"duty", "verify"}, args...)...)
		if err != nil {
			t.Fatalf("verifying %q: %v: %s", args, err, out)
		}
		return out
	}
	out := filepath.Join(t.TempDir(), "pack")
	for _, name := range []string{out, out + ".zip"} {
		said := r.must("duty", "pack", "--out", name)
		if !strings.Contains(said, "recorded as entry") || !strings.Contains(said, "SHA-256 of pack.json") {
			t.Errorf("making says %s", said)
		}
		sum := regexp.MustCompile(`SHA-256 of pack.json.*: ([0-9a-f]{64})`).FindStringSubmatch(said)
		if sum == nil || !strings.Contains(said, "label=") {
			t.Fatalf("making says %s", said)
		}
		if said := verify(name, "--sha256", sum[1]); !strings.Contains(said, "everything fits") || !strings.Contains(said, "complete  not shown") {
			t.Errorf("verifying says %s", said)
		}
	}
	r.mustNot("is there already", "duty", "pack", "--out", out)
	r.mustNot("--out pack.zip", "duty", "pack")
	if said := verify(out, "--ledger", filepath.Join(r.dir, "live")); !strings.Contains(said, "the ledger has nothing more on which figures rest") {
		t.Errorf("beside the ledger: %s", said)
	}
	whole := out + "-whole.zip"
	if said := r.must("duty", "pack", "--out", whole, "--whole"); strings.Contains(said, "only stated") {
		t.Errorf("a whole pack: %s", said)
	}
	if said := verify(whole); !strings.Contains(said, "nothing was left out") || strings.Contains(said, "only stated") || !strings.Contains(said, "earlier ") {
		t.Errorf("a whole pack: %s", said)
	}

	for lang, says := range map[string]string{"en": "Actions from earlier reviews", "ja": "前回までのレビューの処置の状況"} {
		if said := r.must("duty", "review", "--lang", lang); !strings.Contains(said, "9.3.2 a  "+says) || !strings.Contains(said, "policy/M3a") {
			t.Errorf("the management review in %s: %s", lang, said)
		}
	}
	r.mustNot("no meeting of that number", "duty", "review", "--meeting", "1")

	r.mustNot("needs a last day", "user", "add", "mita", "--role", "auditor", "--for", "the policy")
	r.mustNot("Say for whom", "user", "add", "mita", "--role", "auditor", "--until", time.Now().AddDate(0, 1, 0).Format("2006-01-02"))
	b := r.signedIn("mita", r.must("user", "add", "mita", "--role", "auditor", "--for", "Mita & Co.", "--until", time.Now().AddDate(0, 1, 0).Format("2006-01-02")))
	got := func(path string) (int, string) {
		t.Helper()
		resp, err := b.Get(r.console + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Content-Type")
	}
	list := r.must("user", "list")
	if !strings.Contains(list, "mita") || !strings.Contains(list, "auditor") {
		t.Errorf("the users: %s", list)
	}
	if code, _ := got("/audit"); code != http.StatusOK {
		t.Errorf("the auditor's page got %d", code)
	}
	if code, _ := got("/incidents"); code != http.StatusForbidden {
		t.Errorf("incidents got %d", code)
	}
	var page console.PacksPage
	req, _ := http.NewRequest("GET", r.console+"/audit", nil)
	req.Header.Set("Accept", "application/json")
	resp, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || len(page.Packs) != 3 {
		t.Fatalf("packs: %+v, %v", page, err)
	}
	if code, kind := got(fmt.Sprintf("/audit/packs/%d", page.Packs[0].Entry)); code != http.StatusOK || kind != "application/zip" {
		t.Errorf("fetching a pack got %d %s", code, kind)
	}
	if resp, err := b.PostForm(r.console+"/audit/packs", nil); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor makes a pack: %v %v", resp, err)
	}
	r.must("user", "remove", "mita")
}
