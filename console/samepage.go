package console

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"unicode"

	"golang.org/x/net/html"
)

func hashOf(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// SamePage says whether a page that somebody fetched shows an approved text,
// which is Markdown. A page of HTML shows it if the text that a reader sees
// holds all of the approved one, unbroken and in its order, white space apart;
// anything else must be the text itself.
func SamePage(approved, contentType string, page []byte) (bool, error) {
	if kind, _, _ := strings.Cut(contentType, ";"); strings.TrimSpace(strings.ToLower(kind)) != "text/html" {
		return strings.TrimSpace(strings.ReplaceAll(string(page), "\r\n", "\n")) == approved, nil
	}
	var t texts
	wanted, err := t.html(approved)
	if err != nil {
		return false, err
	}
	want := visible([]byte(wanted))
	return want != "" && strings.Contains(visible(page), want), nil
}

// visible is what a reader sees of a page, without white space.
func visible(page []byte) string {
	var out strings.Builder
	z := html.NewTokenizer(bytes.NewReader(page))
	z.SetMaxBuf(1 << 20)
	hidden := "" // the element that is left out
	for {
		switch z.Next() {
		case html.ErrorToken: // the end, or a token that is too long
			return out.String()
		case html.StartTagToken:
			name, more := z.TagName()
			switch n := string(name); n {
			case "script", "style", "template", "noscript", "title", "textarea", "svg":
				if hidden == "" {
					hidden = n
				}
			default:
				for hidden == "" && more {
					var key []byte
					if key, _, more = z.TagAttr(); string(key) == "hidden" {
						hidden = n
					}
				}
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == hidden {
				hidden = ""
			}
		case html.TextToken:
			if hidden == "" {
				for _, r := range string(z.Text()) { // entities are read
					if !unicode.IsSpace(r) {
						out.WriteRune(r)
					}
				}
			}
		}
	}
}
