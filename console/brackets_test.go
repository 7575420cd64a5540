package console

import (
	"io/fs"
	"regexp"
	"testing"
)

// What is written in Japanese has brackets as wide as its letters: in its words, and
// around what a template adds to one.
func TestBracketsOfJapanese(t *testing.T) {
	const letter = `[\x{3040}-\x{30ff}\x{4e00}-\x{9fff}、。：％]`
	half := regexp.MustCompile(letter + ` ?\([^)]*\)|\([^()]*` + letter + `[^()]*\)|\) ?` + letter)
	for key, text := range tongueOf(t, "ja").words {
		if found := half.FindString(text); found != "" {
			t.Errorf("%s has a half-width bracket: %q", key, found)
		}
	}
	around := regexp.MustCompile(`[^\w]\(\{\{(?:[^(]|$)[^}]*\}\}`)
	read := 0
	must(t, fs.WalkDir(assets, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := assets.ReadFile(path)
		must(t, err)
		read++
		if found := around.Find(raw); found != nil {
			t.Errorf("%s puts half-width brackets around what it says: %s: use open and shut", path, found)
		}
		return nil
	}))
	if read < 50 {
		t.Errorf("only %d templates were read", read)
	}
	for lang, want := range map[string]string{"en": "260 (not known)", "ja": "260（不明）"} {
		one := tongueOf(t, lang)
		if got := one.beside("260", one.say("review.notknown")); got != want {
			t.Errorf("in %s: %q, want %q", lang, got, want)
		}
	}
}
