package console

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"sekisho"
)

// chrome starts a real browser, or skips where there is none.
func chrome(t testing.TB) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on this machine: apt-get install chromium fonts-noto-cjk")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	must(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	return ctx
}

// browserSignIn types the administrator's name and password.
func (h *house) browserSignIn(ctx context.Context) {
	h.t.Helper()
	must(h.t, chromedp.Do(ctx,
		chromedp.Navigate(h.server.URL+"/signin"),
		chromedp.SendKeys(chromedp.CSS("input[name=name]"), "admin"),
		chromedp.SendKeys(chromedp.CSS("input[name=password]"), h.admin),
		chromedp.Submit(chromedp.CSS("form.door")),
		chromedp.WaitReady(chromedp.CSS(".me .name")),
	))
}

// An access that stands in the ledger stands in an open browser, without
// anybody touching it.
func TestBrowserSeesAnAccessAppear(t *testing.T) {
	h := newHouse(t)
	ctx := chrome(t)
	complaints := complaintsOf(ctx)
	h.browserSignIn(ctx)
	must(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(".state.live"))))
	h.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, 1001)
	must(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS("#live-table tbody tr"))))
	row, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("#live-table tbody tr")))
	must(t, err)
	for _, want := range []string{"sato", "pc-0417"} {
		if !contains(row, want) {
			t.Errorf("the row lacks %q: %s", want, row)
		}
	}
	h.append(&sekisho.Alert{Detector: "sweep", Principal: h.staff("sato"), Endpoint: "pc-0417"})
	must(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS("#live-alert p"))))
	for _, text := range complaints() {
		t.Errorf("the browser complains: %s", text)
	}
}

// complaintsOf collects what the browser reports from now on: errors of the
// script, and what the page's own policy forbids it.
func complaintsOf(ctx context.Context) func() []string {
	var mu sync.Mutex
	var list []string
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			mu.Lock()
			list = append(list, fmt.Sprint(m.Type, " ", m.Text))
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

// Without JavaScript the live page is a table and a link that loads it again.
func TestBrowserWithoutJavaScript(t *testing.T) {
	h := newHouse(t)
	h.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, 1001)
	ctx := chrome(t)
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	must(t, err)
	h.browserSignIn(ctx)
	read := func() string {
		text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
		must(t, err)
		return text
	}
	if text := read(); !contains(text, "Refresh") || !contains(text, "pc-0417") || contains(text, "pc-0533") {
		t.Errorf("the page reads\n%s", text)
	}
	h.lookup("suzuki", "pc-0533", sekisho.Identity, 1002)
	must(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS("#live-state a")), chromedp.WaitVisible(chromedp.CSS("#live-table tbody tr:nth-child(2)"))))
	if text := read(); !contains(text, "pc-0533") {
		t.Errorf("after the link the page reads\n%s", text)
	}
}
