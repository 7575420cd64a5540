package stmt

import (
	"strings"
	"unicode/utf8"
)

// Placeholders in a shape key. A key holds them for literals only, since a
// text with any control character of its own has no key.
const (
	aNumber = 0x01
	aString = 0x02
)

const maxShapeBytes = 64 << 10

// ShapeKey is the text with its literals taken out. Two texts with the same
// key have the same analysis but for what stands after their first literal and
// for the literals themselves. It reports false for every text whose meaning
// could depend on a literal, or that it does not know for certain to be one
// simple SELECT, INSERT, UPDATE or DELETE: comments, dollar quotes, escapes,
// several statements. Numbers behind ORDER or GROUP, where they may name a
// column, and behind OFFSET, which skips rows or does not, stay in the key. A semicolon at the end and white space before or
// behind it are not in the key.
func ShapeKey(text string) (key string, ok bool) {
	key, _, ok = shapeKey(text)
	return key, ok
}

// shapeKey also gives the byte offset of the first literal, or the length of
// the text.
func shapeKey(text string) (key string, first int, ok bool) {
	if len(text) > maxShapeBytes {
		return "", 0, false
	}
	var room [512]byte
	b := room[:0]
	first = -1
	positional, ascii := false, true
	words, done := 0, false
	for i := 0; i < len(text); {
		c := text[i]
		if done && c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return "", 0, false // something behind the semicolon
		}
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			b = append(b, c)
			i++
		case c < ' ' || c == 0x7f:
			return "", 0, false
		case wordStart(c):
			j := i + 1
			for j < len(text) && wordPart(text[j]) {
				ascii = ascii && text[j] < utf8.RuneSelf
				j++
			}
			ascii = ascii && c < utf8.RuneSelf
			if j < len(text) && (text[j] == '\'' || text[j] == '"' && (c|0x20) == 'u') {
				return "", 0, false // E'', B'', X'', N'', U&"" and the like
			}
			word := text[i:j]
			words++
			if words == 1 && !isWord(word, "select") && !isWord(word, "insert") && !isWord(word, "update") && !isWord(word, "delete") {
				return "", 0, false
			}
			switch {
			case isWord(word, "order"), isWord(word, "group"), isWord(word, "partition"), isWord(word, "over"), isWord(word, "distinct"), isWord(word, "offset"):
				positional = true
			case isWord(word, "set_config"), isWord(word, "into") && words > 2, isWord(word, "uescape"):
				return "", 0, false
			}
			b = append(b, word...)
			i = j
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			j := i
			dots := 0
			for j < len(text) && (text[j] >= '0' && text[j] <= '9' || text[j] == '.') {
				if text[j] == '.' {
					dots++
				}
				j++
			}
			if dots > 1 || j < len(text) && (wordPart(text[j]) || text[j] == '\'' || text[j] == '"') {
				return "", 0, false // 1e5, 0x1F, 1_000, 1..2
			}
			if first < 0 {
				first = i
			}
			if positional {
				b = append(b, text[i:j]...)
			} else {
				b = append(b, aNumber)
			}
			i = j
		case c == '\'':
			if first < 0 {
				first = i
			}
			j := i + 1
			for {
				if j >= len(text) {
					return "", 0, false
				}
				if text[j] == '\\' {
					return "", 0, false
				}
				ascii = ascii && text[j] < utf8.RuneSelf
				if text[j] == 0 {
					return "", 0, false
				}
				if text[j] == '\'' {
					if j+1 < len(text) && text[j+1] == '\'' {
						j += 2
						continue
					}
					break
				}
				j++
			}
			b = append(b, aString)
			i = j + 1
		case c == '"':
			j := i + 1
			for j < len(text) && text[j] != '"' {
				if text[j] < ' ' {
					return "", 0, false
				}
				ascii = ascii && text[j] < utf8.RuneSelf
				j++
			}
			if j >= len(text) {
				return "", 0, false
			}
			if strings.Contains(lower(text[i:j]), "set_config") {
				return "", 0, false // what it does depends on its literals
			}
			b = append(b, text[i:j+1]...)
			i = j + 1
		case c == '$': // a parameter; a dollar quote has no digit here
			j := i + 1
			for j < len(text) && text[j] >= '0' && text[j] <= '9' {
				j++
			}
			if j == i+1 || j < len(text) && (wordPart(text[j]) || text[j] == '$') {
				return "", 0, false
			}
			b = append(b, text[i:j]...)
			i = j
		case c == '-' && strings.HasPrefix(text[i:], "--"), c == '/' && strings.HasPrefix(text[i:], "/*"), c == '&', c == '\\':
			return "", 0, false
		case c == ';':
			done = true
			i++
		default:
			b = append(b, c)
			i++
		}
	}
	if words == 0 || !ascii && !utf8.ValidString(text) {
		return "", 0, false
	}
	if first < 0 {
		first = len(text)
	}
	return strings.TrimRight(string(b), " \t\n\r"), first, true
}

func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func wordPart(c byte) bool {
	return wordStart(c) || c >= '0' && c <= '9' || c == '$'
}

// isWord compares without regard to ASCII case; word is in lower case.
func isWord(s, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
