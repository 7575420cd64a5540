package house

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sekisho"
	"sekisho/console"
)

// What the world reads is compared with what was approved: on the company's own
// page, on ours, after somebody changed it, and when it is gone.
func TestPagesAreCompared(t *testing.T) {
	const en, ja = "# Policy\n\nWe keep customers' data.", "# 方針\n\nお客さまの情報を守ります。"
	var page atomic.Pointer[string]
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := page.Load(); p != nil && r.URL.Path == "/security" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, *p)
			return
		}
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://127.0.0.2:1/", http.StatusFound)
			return
		}
		http.NotFound(w, r)
	}))
	defer site.Close()
	ours, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	c.Documents.Listen = ours.Addr().String()
	c.Documents.Pages = []console.DocumentAddress{{Document: "basic-policy", Language: "ja", URL: site.URL + "/security"}}
	var now atomic.Int64
	now.Store(time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC).UnixMicro())
	h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return time.UnixMicro(now.Load()) }})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.ServeDocuments(ctx, ours) }()
	defer func() {
		stop()
		must(t, <-served)
		must(t, h.Close())
	}()

	v := h.Vault
	keep := func(text string) (uint32, [32]byte) {
		return v.Space("document").OfText([]byte(text)), sha256.Sum256([]byte(text))
	}
	b := &sekisho.DocumentWritten{Document: v.Space("thing").OfText([]byte("document/basic-policy")), Sort: "policy", Public: true, ReviewDays: 365}
	b.English, b.EnglishSHA = keep(en)
	b.Japanese, b.JapaneseSHA = keep(ja)
	id, err := h.Ledger.Append(ctx, b)
	must(t, err)
	must(t, h.CheckPages(ctx)) // nothing is in force: nothing to compare
	_, err = h.Ledger.Append(ctx, &sekisho.DocumentPublished{Version: id.Seq, Action: "published", From: sekisho.Time(now.Load())})
	must(t, err)
	must(t, h.Settle(ctx))
	found := func() string {
		t.Helper()
		now.Add(int64(time.Hour / time.Microsecond))
		must(t, h.CheckPages(ctx))
		var last *sekisho.PublicationChecked
		h.Views.Read(func() {
			one, _ := h.Duty.Version(id.Seq)
			last = one.Checks[len(one.Checks)-1].Body
		})
		return last.English + " " + last.Japanese
	}
	if got := found(); got != "same unreachable" {
		t.Errorf("the company's page is not there: %s", got)
	}
	for _, c := range []struct{ page, want string }{
		{"<html><head><title>x</title></head><body><nav>menu</nav><h1>方針</h1><p>お客さまの<em>情報</em>を 守ります。</p><footer>©</footer></body></html>", "same same"},
		{"<h1>方針</h1><p>お客さまの情報を売ります。</p>", "same differs"},
		{"<h1>方針</h1><p>広告</p><p>お客さまの情報を守ります。</p>", "same differs"},
	} {
		page.Store(&c.page)
		if got := found(); got != c.want {
			t.Errorf("%s: %s, want %s", c.page, got, c.want)
		}
	}
	h.Config.Documents.Pages[0].URL = site.URL + "/away"
	if got := found(); got != "same unreachable" {
		t.Errorf("a page that leads to another host: %s", got)
	}

	// By itself it looks again a day later, and not before.
	count := func() (n int) {
		h.Views.Read(func() { one, _ := h.Duty.Version(id.Seq); n = len(one.Checks) })
		return n
	}
	before := count()
	must(t, h.checkPages(ctx, h.now().Add(-pagesEvery)))
	if count() != before {
		t.Error("it looked twice in a day")
	}
	now.Add(int64(25 * time.Hour / time.Microsecond))
	must(t, h.checkPages(ctx, h.now().Add(-pagesEvery)))
	if count() != before+1 {
		t.Error("it did not look a day later")
	}
}
