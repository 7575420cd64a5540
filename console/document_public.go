package console

import (
	"bytes"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"sekisho/duty"
	"sekisho/vault"
	"sekisho/view"
)

// The public pages: the texts in force that everybody may read, and nothing
// else. No cookies, no forms, no scripts; a page is made of the version in the
// ledger, and is refused if the text is not the one whose hash stands there.

// Publication shows the world what is in force.
type Publication struct {
	Duty  *duty.Book // in Views
	Views *view.Set
	Vault *vault.Vault
	// Company is its name, in English and Japanese.
	Company [2]string
	Drill   string
	Zone    *time.Location

	texts texts
	press *template.Template
}

// NewPublication makes the pages ready.
func NewPublication(p *Publication) (_ *Publication, err error) {
	if p.press, err = template.ParseFS(assets, "templates/public/document.html"); err != nil {
		return nil, fmt.Errorf("reading the public page's template: %w", err)
	}
	return p, nil
}

// publicPage is what the template shows.
type publicPage struct {
	Lang, Other, Name, Title, Company, Drill string
	Text                                     template.HTML
	From, SHA256                             string
	List                                     []publicPage
}

// Text is the text of a public document in force; "" if there is none.
func (p *Publication) Text(name, lang string) (text string, one *duty.Version) {
	if !documentName.MatchString(name) {
		return "", nil
	}
	o, ok := p.Vault.Space("thing").Find(documentSpace + name)
	if !ok {
		return "", nil
	}
	p.Views.Read(func() {
		if d := p.Duty.Document(o); d != nil && d.InForce != nil && d.InForce.Body.Public {
			one = d.InForce
			text = textOf(p.Vault, one, lang)
		}
	})
	return text, one
}

// textOf is the text of a version; "" if it has none in that language, or the
// vault holds another than the ledger speaks of.
func textOf(v *vault.Vault, one *duty.Version, lang string) string {
	o, sum := one.Body.English, one.Body.EnglishSHA
	if lang == "ja" {
		o, sum = one.Body.Japanese, one.Body.JapaneseSHA
	}
	if o == 0 {
		return ""
	}
	text, ok := v.Space("document").Key(o)
	if !ok || hashOf(text) != sum {
		return ""
	}
	return text
}

// Handler serves the pages: / lists them, /NAME shows one, /NAME/ja.md is the
// text itself.
func (p *Publication) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.list)
	mux.HandleFunc("GET /{name}", p.show)
	mux.HandleFunc("GET /{name}/{file}", p.raw)
	static := http.NewServeMux()
	static.HandleFunc("GET /static/desk.css", func(w http.ResponseWriter, r *http.Request) {
		raw, err := assets.ReadFile("static/desk.css")
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Write(raw)
	})
	static.Handle("/", mux)
	const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
	return headed(static, map[string]string{"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "public, max-age=60"})
}

// Server is Handler with limits for strangers.
func (p *Publication) Server() *http.Server {
	return &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)} // it names addresses
}

func (p *Publication) language(r *http.Request) (lang, other string) {
	r.Header.Del("Cookie")
	if lang = r.URL.Query().Get("lang"); lang != "en" && lang != "ja" {
		lang = language(r)
	}
	if lang == "ja" {
		return "ja", "en"
	}
	return "en", "ja"
}

func (p *Publication) page(r *http.Request, name string) *publicPage {
	lang, other := p.language(r)
	company := p.Company[0]
	if lang == "ja" {
		company = p.Company[1]
	}
	return &publicPage{Lang: lang, Other: other, Name: name, Company: company, Drill: p.Drill}
}

func (p *Publication) print(w http.ResponseWriter, status int, page *publicPage) {
	var b bytes.Buffer
	if err := p.press.Execute(&b, page); err != nil {
		http.Error(w, "this page cannot be shown now: try again later", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", page.Lang)
	w.Header().Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

func (p *Publication) list(w http.ResponseWriter, r *http.Request) {
	page := p.page(r, "")
	p.Views.Read(func() {
		for _, d := range p.Duty.Documents() {
			if d.InForce == nil || !d.InForce.Body.Public {
				continue
			}
			key, _ := p.Vault.Space("thing").Key(d.Thing)
			name := DocumentName(key)
			title := headingOf(textOf(p.Vault, d.InForce, page.Lang))
			if title == "" {
				title = headingOf(textOf(p.Vault, d.InForce, page.Other))
			}
			if title == "" {
				title = name
			}
			page.List = append(page.List, publicPage{Name: name, Title: title, Lang: page.Lang})
		}
	})
	p.print(w, http.StatusOK, page)
}

// headingOf is the first heading of a text.
func headingOf(text string) string {
	h, ok := strings.CutPrefix(text, "# ")
	if !ok {
		return ""
	}
	h, _, _ = strings.Cut(h, "\n")
	return strings.TrimSpace(h)
}

func (p *Publication) show(w http.ResponseWriter, r *http.Request) {
	page := p.page(r, r.PathValue("name"))
	text, one := p.Text(page.Name, page.Lang)
	if text == "" { // in the other language then
		if text, one = p.Text(page.Name, page.Other); text != "" {
			page.Lang, page.Other = page.Other, ""
		}
	} else if other, _ := p.Text(page.Name, page.Other); other == "" {
		page.Other = ""
	}
	if text == "" {
		http.Error(w, "there is no such text in force / 該当する文書はありません", http.StatusNotFound)
		return
	}
	html, err := p.texts.html(text)
	if err != nil {
		http.Error(w, "this page cannot be shown now: try again later", http.StatusInternalServerError)
		return
	}
	page.Title, page.Text = headingOf(text), html
	if page.Title == "" {
		page.Title = page.Name
	}
	page.From = one.From.Go().In(p.Zone).Format("2006-01-02")
	sum := hashOf(text)
	page.SHA256 = fmt.Sprintf("%x", sum[:])
	p.print(w, http.StatusOK, page)
}

// raw is the text itself, byte for byte as it was approved.
func (p *Publication) raw(w http.ResponseWriter, r *http.Request) {
	lang, ok := strings.CutSuffix(r.PathValue("file"), ".md")
	text := ""
	if ok && (lang == "en" || lang == "ja") {
		text, _ = p.Text(r.PathValue("name"), lang)
	}
	if text == "" {
		http.Error(w, "there is no such text in force / 該当する文書はありません", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	w.Header().Set("Content-Language", lang)
	fmt.Fprint(w, text)
}
