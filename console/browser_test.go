package console

import (
	"context"
	"os/exec"
	"testing"
	"time"

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
}
