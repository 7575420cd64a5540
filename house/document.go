package house

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/duty"
)

// newPublication makes the public pages ready.
func (h *House) newPublication() (*console.Publication, error) {
	company := [2]string{h.Config.Tell.Company.NameEn, h.Config.Tell.Company.Name}
	for n, name := range company {
		if name == "" {
			company[n] = h.Config.Name
		}
	}
	return console.NewPublication(&console.Publication{Duty: h.Duty, Views: h.Views, Vault: h.Vault, Zone: h.Zone, Company: company, Drill: h.drill})
}

// ServeDocuments serves the public pages on l until ctx ends.
func (h *House) ServeDocuments(ctx context.Context, l net.Listener) error {
	p, err := h.newPublication()
	if err != nil {
		return err
	}
	srv := p.Server()
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	l = console.Limited(l)
	if cert := h.Config.Documents.Cert; cert != "" {
		err = srv.ServeTLS(l, cert, h.Config.Documents.Key)
	} else {
		err = srv.Serve(l)
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("serving the public pages: %w", err)
}

// How often pages in the world are compared, and how long one look may take.
const (
	pagesEvery  = 24 * time.Hour
	pageWait    = 20 * time.Second
	mostOfAPage = 4 << 20 // bytes
)

// KeepPages compares what the world reads with the approved versions once a day
// until ctx ends.
func (h *House) KeepPages(ctx context.Context) {
	for {
		if err := h.checkPages(ctx, h.now().Add(-pagesEvery)); err != nil && ctx.Err() == nil {
			h.Log.Error("comparing public pages", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Minute):
		}
	}
}

// CheckPages compares all of them now. What it found is in the ledger when it
// returns.
func (h *House) CheckPages(ctx context.Context) error { return h.checkPages(ctx, h.now()) }

// checkPages compares what was not compared since.
func (h *House) checkPages(ctx context.Context, since time.Time) error {
	type due struct {
		name   string
		one    *duty.Version
		pages  [2]string // addresses, English and Japanese
		texts  [2]string
		states [2]string
		found  [2][32]byte
	}
	var list []*due
	public, err := h.newPublication()
	if err != nil {
		return err
	}
	h.Views.Read(func() {
		for _, d := range h.Duty.Documents() {
			one := d.InForce
			if one == nil || !one.Body.Public || len(one.Checks) > 0 && one.Checks[len(one.Checks)-1].At > sekisho.At(since) {
				continue
			}
			key, _ := h.Vault.Space("thing").Key(d.Thing)
			list = append(list, &due{name: console.DocumentName(key), one: one})
		}
	})
	for _, d := range list {
		looked := false
		for n, lang := range []string{"en", "ja"} {
			if d.texts[n], _ = public.Text(d.name, lang); d.texts[n] == "" {
				continue
			}
			if d.pages[n] = h.pageOf(d.name, lang); d.pages[n] == "" {
				continue
			}
			d.states[n], d.found[n] = h.lookAt(ctx, d.pages[n], d.texts[n])
			looked = true
		}
		if !looked {
			continue // nobody has said where the world reads it
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := h.Ledger.Append(ctx, &sekisho.PublicationChecked{Version: d.one.Number, English: d.states[0], Japanese: d.states[1], Found: d.found}); err != nil {
			return fmt.Errorf("recording what the world reads: %w", err)
		}
		for n, state := range d.states {
			if state != "" && state != "same" {
				h.Log.Warn("a public page is not the approved text", "document", d.name, "language", []string{"en", "ja"}[n], "state", state)
			}
		}
	}
	return h.Settle(ctx)
}

// pageOf is where the world reads a text; empty: nobody has said.
func (h *House) pageOf(name, lang string) string {
	for _, p := range h.Config.Documents.Pages {
		if p.Document == name && p.Language == lang {
			return p.URL
		}
	}
	if at := h.Config.Documents.Listen; at != "" && h.Config.Documents.Cert == "" {
		return "http://" + at + "/" + name + "?lang=" + lang
	}
	return ""
}

// lookAt fetches a page as anybody would. It follows no redirect to another
// host, and reads no more than a page has.
func (h *House) lookAt(ctx context.Context, address, text string) (state string, found [32]byte) {
	ctx, stop := context.WithTimeout(ctx, pageWait)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "unreachable", found
	}
	transport := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: pageWait, MaxResponseHeaderBytes: 64 << 10}
	client := &http.Client{Transport: transport, CheckRedirect: func(to *http.Request, past []*http.Request) error {
		if len(past) > 3 || to.URL.Host != past[0].URL.Host {
			return errors.New("it leads to another host")
		}
		return nil
	}}
	answer, err := client.Do(r)
	if err != nil {
		return "unreachable", found
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostOfAPage+1))
	if err != nil || answer.StatusCode != http.StatusOK {
		return "unreachable", found
	}
	found = sha256.Sum256(body)
	if len(body) > mostOfAPage {
		return "differs", found
	}
	same, err := console.SamePage(text, answer.Header.Get("Content-Type"), body)
	if err != nil || !same {
		return "differs", found
	}
	return "same", found
}

// Documents lists the texts that the company gives itself.
func (c *Caller) Documents(ctx context.Context) (p console.DocumentsPage, err error) {
	return p, c.tell(ctx, "/api/documents", nil, &p)
}

// Document is one of them; version 0 is the one that waits, else the one in
// force.
func (c *Caller) Document(ctx context.Context, name string, version uint64) (p console.DocumentPage, err error) {
	path := "/api/documents/" + url.PathEscape(name)
	if version != 0 {
		path += fmt.Sprintf("?version=%d", version)
	}
	return p, c.tell(ctx, path, nil, &p)
}

// WriteDocument keeps a version as a draft.
func (c *Caller) WriteDocument(ctx context.Context, a console.DocumentAsk) (p console.DocumentPage, err error) {
	return p, c.tell(ctx, "/api/documents", a, &p)
}

// ActOnDocument does something with a version. It stands when it returns.
func (c *Caller) ActOnDocument(ctx context.Context, name string, a console.DocumentAct) (p console.DocumentPage, err error) {
	return p, c.tell(ctx, "/api/documents/"+url.PathEscape(name), a, &p)
}

// CheckDocuments compares what the world reads with what was approved, now.
func (c *Caller) CheckDocuments(ctx context.Context) (p console.DocumentsPage, err error) {
	return p, c.tell(ctx, "/api/document-pages", struct{}{}, &p)
}
