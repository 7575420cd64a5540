package vault

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Normalise brings a match value into the form in which values are compared:
// Unicode's NFKC, lower case, without white space and hyphens. So "０９０-1234
// 5678" is "09012345678". The Japanese long vowel mark ー is a letter, and
// stays. Normalising twice changes nothing more.
func Normalise(s string) string {
	if t, ok := normaliseASCII(s); ok {
		return t
	}
	// Dropping a rune can bring two together that compose, and lowering one can
	// make one that decomposes: so until it is stable, which is soon.
	for range 8 {
		t := norm.NFKC.String(strings.Map(plain, norm.NFKC.String(s)))
		if t == s {
			break
		}
		s = t
	}
	return s
}

func plain(r rune) rune {
	switch {
	case unicode.IsSpace(r), r == '-', r >= 0x2010 && r <= 0x2015, r == 0x2212, r == 0xff0d:
		return -1
	case r == 0x200b, r == 0xfeff: // zero width space, with and without a break
		return -1
	}
	return unicode.ToLower(r)
}

func normaliseASCII(s string) (string, bool) {
	same := true
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return "", false
		case c <= ' ', c == '-', 'A' <= c && c <= 'Z':
			same = false
		}
	}
	if same {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '-', c == ' ', '\t' <= c && c <= '\r':
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}
