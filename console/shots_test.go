package console

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"sekisho"
)

// TestPagesFit opens every page in a real browser, in both languages, on a
// telephone, and finds that nothing is wider than the screen. With SHOTS=DIR it
// leaves pictures there, also of the pages on a desk.
func TestPagesFit(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Drill = "jal-2014" })
	pages := h.furnish()
	h.pursue(pages["incident"])
	// What the policy promises: a text in force and its next version, an inspection.
	text := "# 情報セキュリティ基本方針\n\nお客さまの情報を守ります。"
	keep := func(text string) uint32 { return h.vault.Space("document").OfText([]byte(text)) }
	thing := h.vault.Space("thing").OfText([]byte("document/basic-policy"))
	first := h.append(&sekisho.DocumentWritten{Document: thing, Sort: "policy", Public: true, Acknowledge: true, ReviewDays: 365, Japanese: keep(text), JapaneseSHA: hashOf(text), By: h.staff("ito")})
	h.append(&sekisho.DocumentPublished{Version: first, Action: "published", From: sekisho.At(h.clock.now()), By: h.staff("sato")})
	next := text + "\n\n- 毎年見直します。"
	h.append(&sekisho.DocumentWritten{Document: thing, Sort: "policy", Before: first, Public: true, ReviewDays: 365, Japanese: keep(next), JapaneseSHA: hashOf(next), By: h.staff("ito")})
	for name, path := range map[string]string{"duties": "/duties", "duties_mine": "/duties/mine", "duty": "/duties/policy/M3a", "documents": "/documents", "document": "/documents/basic-policy", "checks": "/checks",
		"registers": "/registers", "posts": "/posts", "scans": "/scans", "terminals": "/terminals", "directory": "/directory", "audit": "/audit", "review": "/review"} {
		pages[name] = path
	}
	ctx := chrome(t)
	h.browserSignIn(ctx)
	widths := []int64{390}
	if os.Getenv("SHOTS") != "" {
		widths = append(widths, 1280)
	}
	for _, lang := range languages {
		must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/language?to="+lang)))
		for _, width := range widths {
			must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844)))
			for name, path := range pages {
				must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+path), chromedp.WaitReady(chromedp.CSS("main"))))
				fits(t, ctx, name, lang, width)
			}
			must(t, chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/search"), chromedp.SendKeys(chromedp.CSS("input[name=key]"), "5"),
				chromedp.Submit(chromedp.CSS("form[action='/customers']")), chromedp.WaitReady(chromedp.CSS(".page-customer main"))))
			fits(t, ctx, "customer", lang, width)
		}
		must(t, chromedp.Do(ctx, chromedp.Submit(chromedp.CSS(".me form")), chromedp.WaitReady(chromedp.CSS("form.door"))))
		fits(t, ctx, "signin", lang, widths[len(widths)-1])
		h.browserSignIn(ctx)
	}
}

// fits finds that the page open now is no wider than the screen.
func fits(t *testing.T, ctx context.Context, name, lang string, width int64) {
	t.Helper()
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
	must(t, err)
	if wide > width {
		t.Errorf("%s in %s is %d wide on a screen of %d", name, lang, wide, width)
	}
	if dir := os.Getenv("SHOTS"); dir != "" {
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, lang, width)), png, 0o644))
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
