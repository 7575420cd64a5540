package console

import (
	"bytes"
	"fmt"
	"html/template"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

// texts turns Markdown into HTML, and keeps what it has turned. HTML in a text
// is left out, and so are links that could run something; what a text may load
// is the page's policy's to say.
type texts struct {
	mu   sync.Mutex
	kept map[string]template.HTML
}

// mostTexts is how many are kept: a course has some forty pages.
const mostTexts = 2000

func (t *texts) html(text string) (template.HTML, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h, ok := t.kept[text]; ok {
		return h, nil
	}
	var b bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.Table)).Convert([]byte(text), &b); err != nil {
		return "", fmt.Errorf("reading Markdown: %w", err)
	}
	h := template.HTML(b.String()) // goldmark escapes, and leaves HTML out
	if t.kept == nil || len(t.kept) >= mostTexts {
		t.kept = map[string]template.HTML{}
	}
	t.kept[text] = h
	return h, nil
}
