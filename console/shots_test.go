package console

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPagesFit opens every page in a real browser, in both languages, on a
// desk and on a telephone, and finds that nothing is wider than the screen.
// With SHOTS=DIR it leaves a picture of each there.
func TestPagesFit(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Drill = "jal-2014" })
	pages := h.furnish()
	h.pursue(pages["incident"])
	ctx := chrome(t)
	h.browserSignIn(ctx)
	for _, lang := range languages {
		must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/language?to="+lang)))
		for name, path := range pages {
			for _, width := range []int64{390, 1280} {
				must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844), chromedp.Navigate(h.server.URL+path),
					chromedp.WaitReady(chromedp.CSS("main"))))
				wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
				must(t, err)
				if wide > width {
					t.Errorf("%s in %s is %d wide on a screen of %d", path, lang, wide, width)
				}
				if dir := os.Getenv("SHOTS"); dir != "" {
					png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					must(t, err)
					must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, lang, width)), png, 0o644))
				}
			}
		}
	}
}

// An incident is one sheet of A4 on paper: the page that goes to a meeting.
func TestIncidentPrintsOnOneSheet(t *testing.T) {
	h := newHouse(t)
	path := h.furnish()["incident"]
	h.pursue(path)
	ctx := chrome(t)
	h.browserSignIn(ctx)
	for _, lang := range languages {
		must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/language?to="+lang), chromedp.Navigate(h.server.URL+path)))
		pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground()))
		must(t, err)
		if n := bytes.Count(pdf, []byte("/Type /Page\n")); n != 1 {
			t.Errorf("in %s it takes %d sheets", lang, n)
		}
		if dir := os.Getenv("SHOTS"); dir != "" {
			must(t, os.WriteFile(filepath.Join(dir, "incident-"+lang+".pdf"), pdf, 0o644))
		}
	}
}
