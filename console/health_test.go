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
