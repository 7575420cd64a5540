package survey

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed words/en.txt words/ja.txt
var wordFiles embed.FS

// Languages that reasons, findings and the written config speak. The first is
// the one for everybody else.
var Languages = []string{"en", "ja"}

// Words are the texts of one language. They do not change.
type Words struct {
	Lang  string
	texts map[string]string
}

// Speak reads the words of a language: one of Languages, or the value of LANG
// (ja_JP.UTF-8). What it does not know is English.
func Speak(lang string) (*Words, error) {
	w := &Words{Lang: Languages[0], texts: map[string]string{}}
	for _, l := range Languages {
		if lang == l || strings.HasPrefix(lang, l+"_") || strings.HasPrefix(lang, l+".") {
			w.Lang = l
		}
	}
	raw, err := wordFiles.ReadFile("words/" + w.Lang + ".txt")
	if err != nil {
		return nil, fmt.Errorf("reading the words of language %q: %w", w.Lang, err)
	}
	for line := range strings.Lines(string(raw)) {
		key, text, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if ok && !strings.HasPrefix(key, "#") {
			w.texts[strings.TrimSpace(key)] = strings.TrimSpace(text)
		}
	}
	return w, nil
}

// Say is the text called key; the key itself, in brackets, if there is none.
func (w *Words) Say(key string, args ...any) string {
	text, ok := w.texts[key]
	if !ok {
		return "[" + key + "]"
	}
	if len(args) == 0 {
		return strings.ReplaceAll(text, "%%", "%")
	}
	return fmt.Sprintf(text, args...)
}

func (w *Words) has(key string) bool { _, ok := w.texts[key]; return ok }

// kind is what a Kind is called.
func (w *Words) kind(k Kind) string {
	if inner, ok := strings.CutPrefix(string(k), "text_with_"); ok {
		return w.Say("kind.text_with", w.Say("kind."+inner))
	}
	return w.Say("kind." + string(k))
}

// reason is a Reason in words. Names of kinds among its arguments are said in
// words too.
func (w *Words) reason(r Reason) string {
	args := make([]any, len(r.Args))
	for i, a := range r.Args {
		if s, ok := a.(string); ok && w.has("kind."+s) {
			a = w.Say("kind." + s)
		} else if ok {
			a = oneLine(s)
		}
		args[i] = a
	}
	if k, ok := strings.CutPrefix(r.Code, "values_"); ok && !w.has("reason."+r.Code) {
		return w.Say("reason.values", append(args, w.kind(Kind(k)))...)
	}
	return w.Say("reason."+r.Code, args...)
}

// reasons joins several.
func (w *Words) reasons(list []Reason) (all string) {
	for i, r := range list {
		if i == 0 {
			all = w.reason(r)
		} else {
			all = w.Say("join", all, w.reason(r))
		}
	}
	return all
}

// oneLine is a name of the database that can stand in a comment: identifiers
// may hold anything, a line feed too.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return '?'
		}
		return r
	}, s)
}
