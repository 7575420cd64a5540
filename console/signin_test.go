package console

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/disk"
)

func TestSignInIsRecordedBeforeItHolds(t *testing.T) {
	h := newHouse(t)
	at := h.ledger.Last()
	b := h.stranger("en")

	if a := b.get("/"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/signin" {
		t.Fatalf("a stranger got %d, to %q", a.status, a.header.Get("Location"))
	}
	if a := b.json("/status"); a.status != http.StatusUnauthorized {
		t.Fatalf("a stranger's JSON got %d", a.status)
	}
	if a := b.post("/signin", url.Values{"name": {"admin"}, "password": {"guess"}}); a.status != http.StatusUnauthorized || strings.Contains(a.body, "guess") {
		t.Fatalf("a wrong password got %d:\n%s", a.status, a.body)
	}
	if a := b.post("/signin", url.Values{"name": {"hunter2"}, "password": {"x"}}); a.status != http.StatusUnauthorized {
		t.Fatalf("an unknown name got %d", a.status)
	}
	a := b.post("/signin", url.Values{"name": {" Admin "}, "password": {h.admin}, "next": {"/status"}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/status" {
		t.Fatalf("the right password got %d to %q", a.status, a.header.Get("Location"))
	}
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie lacks %s: %s", want, cookie)
		}
	}
	if a := b.get("/status"); a.status != http.StatusOK {
		t.Fatalf("signed in, the status page is %d", a.status)
	}
	if a := b.post("/signout", nil); a.status != http.StatusSeeOther {
		t.Fatalf("signing out got %d", a.status)
	}
	if a := b.get("/status"); a.status != http.StatusSeeOther {
		t.Fatalf("signed out, the status page is %d", a.status)
	}
	want := strings.Join([]string{
		"SignedIn admin ok=false",
		"SignedIn nobody ok=false",
		"SignedIn admin ok=true",
		"SessionOpened console by admin",
		"SessionClosed terminate",
	}, "\n")
	if got := h.since(at); got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}
}

func TestSignInFailsWithoutTheLedger(t *testing.T) {
	h := newHouse(t)
	must(t, h.ledger.Close())
	a := h.stranger("en").post("/signin", url.Values{"name": {"admin"}, "password": {h.admin}})
	if a.status != http.StatusServiceUnavailable || a.header.Get("Set-Cookie") != "" {
		t.Fatalf("with the ledger closed a sign-in got %d, cookie %q", a.status, a.header.Get("Set-Cookie"))
	}
	if !strings.Contains(a.body, "could not be recorded") {
		t.Errorf("no hint:\n%s", a.body)
	}
	if _, err := h.console.Reset("admin"); err == nil {
		t.Error("a password was reset without an entry")
	}
	if !h.console.users.check("admin", h.admin) {
		t.Error("the old password no longer holds")
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	h := newHouse(t)
	b := h.stranger("ja")
	for range triesPair {
		b.post("/signin", url.Values{"name": {"admin"}, "password": {"guess"}})
	}
	at := h.ledger.Last()
	a := b.post("/signin", url.Values{"name": {"admin"}, "password": {h.admin}})
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Fatalf("try %d got %d", triesPair+1, a.status)
	}
	if !strings.Contains(a.body, "15 分") {
		t.Errorf("the page does not say how long:\n%s", a.body)
	}
	if h.since(at) != "" {
		t.Error("tries beyond the limit fill the ledger")
	}
	h.clock.pass(triesWindow)
	if a := b.post("/signin", url.Values{"name": {"admin"}, "password": {h.admin}}); a.status != http.StatusSeeOther {
		t.Fatalf("after the wait: %d", a.status)
	}
}

// Two consoles may share the users' file: a password reset at one counts at
// the other, and neither forgets whom the other made.
func TestConsolesShareTheirUsers(t *testing.T) {
	dir := t.TempDir()
	one, err := openUsers(disk.OS{}, dir, cheap)
	must(t, err)
	must(t, one.set("admin", "first"))
	other, err := openUsers(disk.OS{}, dir, cheap)
	must(t, err)
	must(t, one.set("admin", "second"))
	if other.check("admin", "first") || !other.check("admin", "second") {
		t.Error("the other console goes by the old password")
	}
	must(t, one.set("sato", "third"))
	must(t, other.set("admin", "fourth"))
	if !one.check("admin", "fourth") || !other.check("sato", "third") {
		t.Error("one of the two was forgotten")
	}
	must(t, os.WriteFile(filepath.Join(dir, usersFile), []byte("damaged"), 0o600))
	if !one.check("admin", "fourth") {
		t.Error("a damaged file locks everybody out")
	}
}

func TestStaysEnd(t *testing.T) {
	h := newHouse(t)
	idle, busy := h.signedIn("en"), h.signedIn("en")
	for passed := time.Duration(0); passed < longestStay; passed += idleLimit / 2 {
		if a := busy.get("/status"); a.status != http.StatusOK {
			t.Fatalf("after %v a busy visitor is out: %d", passed, a.status)
		}
		h.clock.pass(idleLimit / 2)
	}
	if a := idle.get("/status"); a.status != http.StatusSeeOther {
		t.Errorf("an idle visitor is still in: %d", a.status)
	}
	h.clock.pass(time.Minute)
	if a := busy.get("/status"); a.status != http.StatusSeeOther {
		t.Errorf("a visitor outlasts the longest stay: %d", a.status)
	}
	at := h.ledger.Last()
	h.console.sweepSessions(context.Background())
	if got := h.since(at); got != "SessionClosed client_gone\nSessionClosed client_gone" {
		t.Errorf("the ledger says %q", got)
	}
}

func TestResetEndsTheOldPasswordAndItsStays(t *testing.T) {
	h := newHouse(t)
	b := h.signedIn("en")
	at := h.ledger.Last()
	fresh, err := h.console.Reset("admin")
	must(t, err)
	if a := b.get("/status"); a.status != http.StatusSeeOther {
		t.Errorf("the old stay goes on: %d", a.status)
	}
	if got := h.since(at); got != "UserChanged admin password_reset\nSessionClosed refused" {
		t.Errorf("the ledger says %q", got)
	}
	if h.console.users.check("admin", h.admin) || !h.console.users.check("admin", fresh) {
		t.Error("the wrong password holds")
	}
	if _, err := h.console.Reset("nobody"); err == nil {
		t.Error("a stranger got a password")
	}
	again, err := openUsers(disk.OS{}, h.console.cfg.Dir, cheap)
	must(t, err)
	if !again.check("admin", fresh) {
		t.Error("the new password was not kept")
	}
	info, err := os.Stat(filepath.Join(h.console.cfg.Dir, usersFile))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("users.json has mode %v", info.Mode())
	}
	raw, err := os.ReadFile(filepath.Join(h.console.cfg.Dir, usersFile))
	must(t, err)
	if strings.Contains(string(raw), fresh) {
		t.Error("users.json holds a password")
	}
	if _, _, created, err := h.console.EnsureAdmin(); created || err != nil {
		t.Errorf("a second administrator was made: %v", err)
	}
}

// The cost that users pay is the one of RFC 9106; a hash made by it verifies.
func TestFullCost(t *testing.T) {
	u, err := openUsers(disk.OS{}, t.TempDir(), fullCost)
	must(t, err)
	must(t, u.set("aoi", "correct"))
	if !u.check("aoi", "correct") || u.check("aoi", "wrong") {
		t.Error("the wrong password holds")
	}
}

func TestOnlyLocalWaysBack(t *testing.T) {
	for in, want := range map[string]string{
		"/incidents/7?list=a": "/incidents/7?list=a", "": "/", "//evil.example": "/", "https://evil.example/": "/",
		`/\evil.example`: "/", "/\tevil": "/", "javascript:alert(1)": "/", "/%zz": "/",
	} {
		if got := localPath(in); got != want {
			t.Errorf("localPath(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	h := newHouse(t)
	b := h.signedIn("en")
	for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		r := b.request("POST", "/signout", nil)
		r.Header.Set(header[0], header[1])
		if a := b.do(r); a.status != http.StatusForbidden {
			t.Errorf("%s: %s got %d", header[0], header[1], a.status)
		}
	}
	if a := b.get("/status"); a.status != http.StatusOK {
		t.Errorf("another site signed us out: %d", a.status)
	}
}

func FuzzUsersFile(f *testing.F) {
	f.Add([]byte(`[{"name":"admin","salt":"AAAAAAAAAAA=","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","time":1,"memory_kib":64,"threads":1}]`))
	f.Add([]byte(`[{}]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := parseUsers(raw)
		if err != nil {
			return
		}
		for _, one := range list {
			if !goodName(one.Name) || len(one.Hash) != 32 || one.Threads == 0 || one.Memory > 1<<20 {
				t.Errorf("accepted %+v", one)
			}
		}
	})
}
