package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// What /healthz and /metrics say about a ledger that takes entries, is full,
// has room again, and has failed.
func TestHealthz(t *testing.T) {
	var broken atomic.Bool
	fs := disk.NewForgetful(1)
	fs.Inject = func(op, _ string) disk.Fault {
		if broken.Load() && op == "sync" {
			return disk.Fault{Err: errors.New("the disk is gone")}
		}
		return disk.Fault{}
	}
	const segment = 64 << 10
	other, err := ledger.Open(ledger.Config{Dir: "/ledger", FS: fs, Gate: 1, Name: "test", SegmentBytes: segment})
	must(t, err)
	t.Cleanup(func() { other.Close() })
	h := newHouse(t, func(c *Config) { c.Ledger = other })
	get := func(path string) (int, string) {
		h.console.well.at = time.Time{} // what was found a moment ago does not count
		resp, err := http.Get(h.server.URL + path)
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(body)
	}
	expect := func(when string, status int, reason string) {
		t.Helper()
		code, body := get("/healthz")
		var said struct{ Status, Reason, What string }
		if err := json.Unmarshal([]byte(body), &said); err != nil || code != status || said.Reason != reason || (reason != "") != (said.What != "") {
			t.Errorf("%s: %d %s (%v)", when, code, body, err)
		}
		want := "\nsekisho_ledger_accepts 1\n"
		if reason != "" {
			want = "\nsekisho_ledger_accepts 0\n"
		}
		if _, body := get("/metrics"); !strings.Contains(body, want) {
			t.Errorf("%s: the metrics do not say%s", when, want)
		}
	}
	expect("at first", 200, "")
	fs.Room(segment)
	for n := 0; err == nil; n++ {
		if _, err = other.Append(t.Context(), &sekisho.SessionOpened{Endpoint: strings.Repeat("x", 200)}); n > 10_000 {
			t.Fatal("the disk never got full")
		}
	}
	expect("on a full disk", 503, "ledger_full")
	fs.Room(-1)
	expect("with room again", 200, "")
	broken.Store(true)
	if _, err := other.Append(t.Context(), &sekisho.SessionOpened{Endpoint: "x"}); err == nil {
		t.Fatal("the disk did not break")
	}
	expect("after a failed sync", 503, "ledger_failed")
}

// Figures that move tell what just happened: whether a member or a stranger has
// asked the contact point, too. Who has not signed in, and shows no token, gets
// the same answer before and after; who shows a wrong one gets none.
func TestMetricsTellStrangersNothingThatMoves(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MetricsToken = "of-prometheus-alone" })
	get := func(header string) (int, string) {
		r, err := http.NewRequest("GET", h.server.URL+"/metrics", nil)
		must(t, err)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(body)
	}
	_, before := get("")
	_, known := get("Bearer of-prometheus-alone")
	h.append(&sekisho.EnquiryMailed{Enquiry: 1, Letter: "code", Basis: 2, Outcome: "taken"})
	if _, after := get(""); after != before || strings.Contains(after, "sekisho_entries") {
		t.Errorf("a stranger sees that a code was mailed:\n%s", after)
	}
	if code, now := get("Bearer of-prometheus-alone"); code != 200 || now == known || !strings.Contains(now, `sekisho_entries{kind="EnquiryMailed"} 1`) {
		t.Errorf("the token got %d\n%s", code, now)
	}
	for _, wrong := range []string{"Bearer of-prometheus-alon", "Bearer ", "Basic of-prometheus-alone", "of-prometheus-alone", "Bearer"} {
		if code, body := get(wrong); code != http.StatusUnauthorized || strings.Contains(body, "sekisho_ledger") {
			t.Errorf("%q got %d\n%s", wrong, code, body)
		}
	}
	if a := h.as("mori", "user", "en").get("/metrics"); !strings.Contains(a.body, "sekisho_ledger_last_entry") {
		t.Errorf("who has signed in sees\n%s", a.body)
	}
	none := newHouse(t)
	resp, err := http.NewRequest("GET", none.server.URL+"/metrics", nil)
	must(t, err)
	resp.Header.Set("Authorization", "Bearer ")
	if a, err := http.DefaultClient.Do(resp); err != nil || a.StatusCode != http.StatusUnauthorized {
		t.Errorf("where there is no token, an empty one got %v (%v)", a, err)
	}
}
