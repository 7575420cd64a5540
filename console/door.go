package console

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// What the doors for people without an account here have in common: the contact
// point, the employees' door, the pages of drills by mail.

// newDoorPress reads the templates of a door of its own, beside the console's.
func newDoorPress(t *tongue, door string) (*press, error) {
	p := &press{tongue: t, pages: map[string]*template.Template{}}
	funcs := template.FuncMap{"t": t.say, "num": number, "no": ordinal, "day": t.day, "iso": t.iso, "when": t.when, "code": t.code,
		"lang": func() string { return t.Lang }, "asset": assetPath, "inc": func(n int) int { return n + 1 }, "count": t.count, "open": t.open, "shut": t.shut}
	base, err := template.New(door).Funcs(funcs).ParseFS(assets, "templates/"+door+"/layout.html")
	if err != nil {
		return nil, fmt.Errorf("reading the templates of a door: %w", err)
	}
	names, err := fs.Glob(assets, "templates/"+door+"/*.html")
	if err != nil {
		return nil, fmt.Errorf("reading the templates of a door: %w", err)
	}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" {
			continue
		}
		one, err := template.Must(base.Clone()).ParseFS(assets, file)
		if err != nil {
			return nil, fmt.Errorf("reading the templates of a door: %w", err)
		}
		p.pages[name] = one
	}
	return p, nil
}

// send writes a page in its layout.
func (p *press) send(w http.ResponseWriter, status int, name, vary string, frame any) error {
	var b bytes.Buffer
	if err := p.pages[name].ExecuteTemplate(&b, "layout", frame); err != nil {
		return fmt.Errorf("writing the page %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Add("Vary", vary)
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}

// doorFiles serves these of the static files, and no other.
func doorFiles(names ...string) http.HandlerFunc {
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		raw, err := assets.ReadFile("static/" + name)
		if !slices.Contains(names, name) || err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kinds[path.Ext(name)])
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Write(raw)
	}
}

// comeAgain tells somebody who is one too many when to come back, and gives the
// words for it.
func comeAgain(w http.ResponseWriter, status int, wait time.Duration) (key string) {
	w.Header().Set("Retry-After", fmt.Sprint(max(1, int(wait.Round(time.Second).Seconds()))))
	w.Header().Set("Connection", "close") // what was not read yet is not
	if status == http.StatusTooManyRequests {
		return "desk.fail.often"
	}
	return "desk.fail.busy"
}
